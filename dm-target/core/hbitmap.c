// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hierarchical bitmap, see hbitmap.h.  A summary bit may be set over an empty
 * word (clearing is lazy) but is never clear over a set bit for longer than
 * the setter takes to reach it.
 */
#include "hbitmap.h"

static unsigned long level_longs(unsigned long bits)
{
	return DIV_ROUND_UP(bits, BITS_PER_LONG);
}

size_t hbitmap_bytes(unsigned long bits)
{
	size_t longs = 0;
	int i;

	for (i = 0; i < HBITMAP_LEVELS; i++) {
		bits = level_longs(bits);
		longs += bits;
		if (bits == 1)
			break;
	}
	return longs * sizeof(long);
}

void hbitmap_init(struct hbitmap *hb, unsigned long bits, void *memory)
{
	unsigned long *p = memory;
	int i;

	hb->bits = bits;
	hb->nr_levels = 0;
	for (i = 0; i < HBITMAP_LEVELS; i++) {
		hb->level[hb->nr_levels++] = p;
		bits = level_longs(bits);
		p += bits;
		if (bits == 1)
			break;
	}
}

bool hbitmap_set(struct hbitmap *hb, unsigned long bit)
{
	bool was_clear;
	int i;

	was_clear = !test_and_set_bit(bit, hb->level[0]);
	/* the summaries even when the bit was set: a scanner may just be clearing them */
	for (i = 1; i < hb->nr_levels; i++) {
		bit /= BITS_PER_LONG;
		if (test_bit(bit, hb->level[i]))
			continue;
		set_bit(bit, hb->level[i]);
		/* before the look at the next level: tidy() looks the other way round */
		smp_mb__after_atomic();
	}
	return was_clear;
}

bool hbitmap_clear(struct hbitmap *hb, unsigned long bit)
{
	return test_and_clear_bit(bit, hb->level[0]);
}

/* Takes a summary bit down over an empty word, unless a setter came in between. */
static void tidy(struct hbitmap *hb, int level, unsigned long word)
{
	clear_bit(word, hb->level[level + 1]);
	smp_mb__after_atomic();
	if (READ_ONCE(hb->level[level][word]))
		set_bit(word, hb->level[level + 1]);
}

/* Next set bit of one level within the word of `from`, at or after it. */
static unsigned long in_word(const struct hbitmap *hb, int level, unsigned long from)
{
	unsigned long w = READ_ONCE(hb->level[level][from / BITS_PER_LONG]);

	w &= ~0ul << (from % BITS_PER_LONG);
	return w ? from / BITS_PER_LONG * BITS_PER_LONG + __ffs(w) : HBITMAP_NONE;
}

unsigned long hbitmap_next(struct hbitmap *hb, unsigned long from)
{
	unsigned long found, at = from, size = hb->bits;
	int level = 0, i;

	while (level < hb->nr_levels) {
		for (i = 0, size = hb->bits; i < level; i++)
			size = level_longs(size);
		if (at >= size)
			return HBITMAP_NONE;
		found = in_word(hb, level, at);
		if (found == HBITMAP_NONE) {
			/* up, behind the word just seen */
			at = at / BITS_PER_LONG + 1;
			level++;
		} else if (level == 0) {
			return found;
		} else if (READ_ONCE(hb->level[level - 1][found])) {
			at = found * BITS_PER_LONG;
			level--;
		} else {
			tidy(hb, level - 1, found);
			at = found + 1;
		}
	}
	return HBITMAP_NONE;
}
