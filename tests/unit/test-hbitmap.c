// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hierarchical bitmap against a plain one, for sizes around each power of
 * the word size, where levels begin and end.
 */
#include "hbitmap.h"
#include "unit.h"

#define CANARY 0xa5

static const unsigned long sizes[] = {
	1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 262143, 262144, 262145,
	3 * 262144 + 17, 16777217,
};

struct pair {
	struct hbitmap hb;
	u8 *memory;
	size_t bytes;
	u64 *plain;
	unsigned long bits;
};

static void pair_init(struct pair *p, unsigned long bits)
{
	p->bits = bits;
	p->bytes = hbitmap_bytes(bits);
	p->memory = malloc(p->bytes + 64);
	p->plain = calloc(DIV_ROUND_UP(bits, 64), sizeof(u64));
	memset(p->memory, 0, p->bytes);
	memset(p->memory + p->bytes, CANARY, 64);
	hbitmap_init(&p->hb, bits, p->memory);
}

static void pair_free(struct pair *p)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		CHECK_EQUAL(p->memory[p->bytes + i], CANARY);
	free(p->memory);
	free(p->plain);
}

static bool plain_test(const struct pair *p, unsigned long bit)
{
	return p->plain[bit / 64] >> (bit % 64) & 1;
}

static unsigned long plain_next(const struct pair *p, unsigned long from)
{
	unsigned long bit = from;

	while (bit < p->bits) {
		if (plain_test(p, bit))
			return bit;
		bit += bit % 64 == 0 && !p->plain[bit / 64] ? 64 : 1;
	}
	return HBITMAP_NONE;
}

static void set(struct pair *p, unsigned long bit)
{
	CHECK_EQUAL(hbitmap_set(&p->hb, bit), !plain_test(p, bit));
	p->plain[bit / 64] |= 1ull << (bit % 64);
	CHECK(hbitmap_test(&p->hb, bit));
}

static void clear(struct pair *p, unsigned long bit)
{
	CHECK_EQUAL(hbitmap_clear(&p->hb, bit), plain_test(p, bit));
	p->plain[bit / 64] &= ~(1ull << (bit % 64));
	CHECK(!hbitmap_test(&p->hb, bit));
}

static void check_next(struct pair *p, unsigned long from)
{
	unsigned long found = hbitmap_next(&p->hb, from), wanted = plain_next(p, from);

	CHECK_SAY(found == wanted, "%lu bits, from %lu: found %ld, expected %ld", p->bits, from,
		  (long)found, (long)wanted);
}

/* Every set bit, in order; returns how many. */
static unsigned long check_all(struct pair *p)
{
	unsigned long at = 0, wanted = 0, nr = 0;

	for (;; at++, wanted++, nr++) {
		at = hbitmap_next(&p->hb, at);
		wanted = plain_next(p, wanted);
		CHECK_SAY(at == wanted, "%lu bits: found %ld, expected %ld", p->bits, (long)at,
			  (long)wanted);
		if (at == HBITMAP_NONE)
			return nr;
	}
}

/* Near a word's or a level's edge as often as anywhere. */
static unsigned long some_bit(struct pair *p, struct rng *rng)
{
	unsigned long bit = rng_next(rng) % p->bits, unit = 64;

	if (rng_below(rng, 2))
		return bit;
	if (rng_below(rng, 2))
		unit = 4096;
	bit = bit / unit * unit + rng_below(rng, 3);
	bit = bit ? bit - 1 : bit;
	return bit < p->bits ? bit : p->bits - 1;
}

static void test_random(void)
{
	struct rng rng = { 1 };
	unsigned int i, step;
	struct pair p;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int steps = sizes[i] > 1000000 ? 400 : 3000;

		pair_init(&p, sizes[i]);
		for (step = 0; step < 2 * steps; step++) {
			/* first more are set than cleared, then the other way round */
			bool setting = rng_below(&rng, 4) ? step < steps : step >= steps;

			if (setting)
				set(&p, some_bit(&p, &rng));
			else
				clear(&p, some_bit(&p, &rng));
			check_next(&p, some_bit(&p, &rng));
		}
		check_all(&p);
		pair_free(&p);
	}
}

static void test_edges(void)
{
	struct pair p;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long last = sizes[i] - 1;

		pair_init(&p, sizes[i]);
		CHECK(hbitmap_next(&p.hb, 0) == HBITMAP_NONE);
		CHECK(hbitmap_next(&p.hb, last) == HBITMAP_NONE);
		set(&p, last);
		CHECK(hbitmap_next(&p.hb, 0) == last);
		CHECK(hbitmap_next(&p.hb, last) == last);
		CHECK(hbitmap_next(&p.hb, last + 1) == HBITMAP_NONE);
		CHECK(hbitmap_next(&p.hb, last + 64) == HBITMAP_NONE);
		set(&p, 0);
		CHECK(hbitmap_next(&p.hb, 0) == 0);
		CHECK(hbitmap_next(&p.hb, 1) == (last ? last : HBITMAP_NONE));
		CHECK_EQUAL(check_all(&p), last ? 2 : 1);
		pair_free(&p);
	}
}

static void test_full(void)
{
	unsigned long bit, bits = 4096 * 3 + 5;
	struct pair p;

	pair_init(&p, bits);
	for (bit = 0; bit < bits; bit++)
		set(&p, bit);
	CHECK_EQUAL(check_all(&p), bits);
	for (bit = 0; bit < bits; bit++)
		if (bit % 4097)
			clear(&p, bit);
	CHECK_EQUAL(check_all(&p), 4);
	pair_free(&p);
}

/* No summary bit over an empty word, but where a scan from 0 begins. */
static void check_tidy(struct pair *p)
{
	unsigned long words = p->bits, word;
	int level;

	/* a scan may leave the word behind it: each tidies one more level */
	for (level = 1; level < p->hb.nr_levels; level++)
		check_all(p);
	for (level = 1; level < p->hb.nr_levels; level++) {
		words = DIV_ROUND_UP(words, 64);
		for (word = 1; word < words; word++)
			CHECK_EQUAL(test_bit(word, p->hb.level[level]),
				    p->hb.level[level - 1][word] != 0);
		CHECK(test_bit(0, p->hb.level[level]) || !p->hb.level[level - 1][0]);
	}
}

/* A scan takes down the summaries over what has been cleared, and only those. */
static void test_tidy(void)
{
	static const unsigned long places[] = { 5, 70, 4096, 262144, 400000 };
	unsigned int i;
	struct pair p;

	pair_init(&p, 500000);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		set(&p, places[i]);
	check_tidy(&p);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i] != 4096)
			clear(&p, places[i]);
	CHECK_EQUAL(check_all(&p), 1);
	check_tidy(&p);
	clear(&p, 4096);
	CHECK_EQUAL(check_all(&p), 0);
	check_tidy(&p);
	/* and they come back */
	set(&p, 400000);
	check_tidy(&p);
	CHECK_EQUAL(check_all(&p), 1);
	pair_free(&p);
}

static const struct unit_test tests[] = {
	{ "random", test_random },
	{ "edges", test_edges },
	{ "full", test_full },
	{ "tidy", test_tidy },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
