/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bitmap with summary levels, so that the next set bit among many millions
 * is found in a few steps.  Bits are set and cleared with atomic operations
 * and without a lock; a scan sees every bit that was set before it began and not
 * cleared meanwhile.  At most one scan of a bitmap runs at a time.
 */
#ifndef CORE_HBITMAP_H
#define CORE_HBITMAP_H

#include "env.h"

#define HBITMAP_LEVELS	6	/* 64^6 bits */
#define HBITMAP_NONE	(~0ul)

struct hbitmap {
	unsigned long bits;
	int nr_levels;
	unsigned long *level[HBITMAP_LEVELS];	/* [0] holds the bits */
};

/* Bytes of zeroed memory for this many bits (at most 2^32). */
size_t hbitmap_bytes(unsigned long bits);
void hbitmap_init(struct hbitmap *hb, unsigned long bits, void *memory);

static inline bool hbitmap_test(const struct hbitmap *hb, unsigned long bit)
{
	core_point();
	return test_bit(bit, hb->level[0]);
}

/* True when the bit was clear before. */
bool hbitmap_set(struct hbitmap *hb, unsigned long bit);
/* True when the bit was set before. */
bool hbitmap_clear(struct hbitmap *hb, unsigned long bit);
/* The first set bit at or after from, or HBITMAP_NONE. */
unsigned long hbitmap_next(struct hbitmap *hb, unsigned long from);

#endif
