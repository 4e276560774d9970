/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What oracle-io writes into every 512-byte sector, and how it recognises it again. A sector names
 * its own place, its write and its run, and the rest is derived from these, so any single flipped
 * bit, any mixture of two writes and any misplaced sector is told apart when it is read.
 */
#ifndef TESTS_IO_SECTOR_FORMAT_H
#define TESTS_IO_SECTOR_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR_SIZE	512u
#define SECTOR_MAGIC	0x726564726c6f7263ull
#define PAYLOAD_WORDS	59u

struct sector_stamp {
	uint64_t magic;
	uint64_t version;	/* number of the write: larger means submitted later */
	uint64_t sector;	/* absolute, in units of 512 bytes */
	uint64_t run_id;	/* of the journal that knows this write */
	uint64_t check;		/* of the four words above */
	uint64_t payload[PAYLOAD_WORDS];
};

_Static_assert(sizeof(struct sector_stamp) == SECTOR_SIZE, "a stamp fills one sector");

enum found_class {
	FOUND_VALID,		/* a whole sector of this run, in its own place */
	FOUND_ZERO,
	FOUND_WRONG_SECTOR,	/* a whole sector of this run that belongs elsewhere */
	FOUND_OTHER_RUN,
	FOUND_TORN,		/* header of a write of this run, payload of something else */
	FOUND_GARBAGE,
	FOUND_UNREADABLE,	/* the read itself failed */
};

struct found {
	enum found_class class;
	uint64_t version;
	uint64_t sector;	/* as the stamp claims */
	uint64_t run_id;
};

/* Finaliser of splitmix64: every output bit depends on every input bit. */
static inline uint64_t mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

void sector_encode(void *buffer, uint64_t version, uint64_t sector, uint64_t run_id);
struct found sector_decode(const void *buffer, uint64_t sector, uint64_t run_id);
const char *found_class_name(enum found_class class);

#endif
