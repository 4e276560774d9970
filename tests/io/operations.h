/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deterministic sequence of operations of one oracle-io thread: it depends on the seed, the
 * thread's number and the options alone, never on timing or on what the device answers.
 */
#ifndef TESTS_IO_OPERATIONS_H
#define TESTS_IO_OPERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_IO_SECTORS	2048u	/* 1 MiB */
#define HOT_WINDOWS	8u

enum operation_kind {
	OPERATION_READ,
	OPERATION_WRITE,
	OPERATION_FLUSH,
	OPERATION_FUA,
	OPERATION_DISCARD,
	OPERATION_ZERO,
	OPERATION_KINDS
};

extern const char *const operation_names[OPERATION_KINDS];

struct operation {
	enum operation_kind kind;
	uint64_t sector;	/* relative to the span */
	uint32_t count;
};

struct operation_options {
	uint64_t seed;
	uint64_t sectors;		/* of the span */
	uint32_t block_sectors;		/* the device's logical block */
	uint32_t min_sectors, max_sectors;
	uint32_t mix[OPERATION_KINDS];
	uint32_t hot_percent;		/* of the operations go to a few small windows */
	bool unaligned;			/* else multiples of 4 KiB where sizes allow it */
	bool sequential_runs;
};

struct generator {
	const struct operation_options *options;
	uint64_t random;
	uint64_t sectors;		/* of the span that is reachable with the alignment */
	uint32_t unit;
	uint32_t mix_total;
	uint64_t hot_start[HOT_WINDOWS];
	uint64_t hot_sectors;
	struct operation last;
	uint32_t run_left;		/* operations left of a sequential run */
};

/* -1 and a message if the options make no sense for the device. */
int generator_init(struct generator *generator, const struct operation_options *options,
		   unsigned int thread);
struct operation generator_next(struct generator *generator);

#endif
