/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz inputs that stand for a metadata device: the number of a base, and a
 * list of changes to it.  So inputs are small, and the fuzzer changes meaning
 * instead of checksums.
 *
 *	byte 0		number of the base
 *	byte 1		IMAGE_* flags
 *	bytes 2..3	what the target makes of them
 *	then changes	area and flags, index, offset (2 bytes), length, that many bytes
 *
 * When all changes are made, each unit that was changed is sealed anew (magic,
 * own number, uuid, checksum), the journal is chained from its tail on, blank
 * journal blocks get the epoch and the sequence number that belong there, and
 * the double-write header gets the checksums of its images: all of it unless
 * a flag says no.  What an input says in those fields counts, where it does.
 */
#ifndef IMAGE_INPUT_H
#define IMAGE_INPUT_H

#include "metadata-disk.h"

#define IMAGE_RAW	(1u << 0)	/* seal and chain nothing */
#define IMAGE_UNCHAINED	(1u << 1)	/* seal, but do not chain */
#define IMAGE_OPTION_A	(1u << 2)	/* the target's own */
#define IMAGE_OPTION_B	(1u << 3)
#define IMAGE_DAMAGE	(1u << 4)	/* changed units do not verify: a bad device, no forgery */

#define IMAGE_HEAD	4u
#define CHANGE_HEAD	5u
#define CHANGE_BYTES_MAX 64u

enum image_area {
	AREA_SUPER,		/* index 0: the one that counts, 1: the other, 2: both */
	AREA_DOUBLE,		/* index 0: the header, from 1: images */
	AREA_JOURNAL,		/* index from the tail */
	AREA_TABLE,
	AREA_COPY,		/* unit index gets what unit (first byte) holds */
	AREA_SIZE,		/* the device gets index units more, or (odd) less */
	NR_AREAS,
	AREA_BROKEN = 0x80,	/* the unit is not sealed anew */
};

struct image_input {
	const struct base *base;
	struct metadata_disk *disk;	/* with the changes; until the next image_read() */
	u8 flags;
	u16 seed;
};

void image_read(struct image_input *image, const u8 *data, size_t size);
/* A mutation that knows the fields of the format. */
size_t image_mutate(u8 *data, size_t size, size_t max_size, unsigned int seed);

#endif
