// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tuples on cache devices that do not know what they keep, against what the
 * block layer's t10-pi.c and a device do with them, written down again here.
 */
#include "pi.h"
#include "unit.h"

#include <string.h>

#define NR 16

struct tuple {
	u16 guard, app;
	u32 ref;
};

static void pack(u8 *to, struct tuple t)
{
	const u8 bytes[PI_TUPLE] = {
		(u8)(t.guard >> 8), (u8)t.guard, (u8)(t.app >> 8), (u8)t.app,
		(u8)(t.ref >> 24), (u8)(t.ref >> 16), (u8)(t.ref >> 8), (u8)t.ref,
	};

	memcpy(to, bytes, sizeof(bytes));
}

/* Right, wrong by one, never written: all that may come. */
static u32 pick_ref(struct rng *rng, u32 right)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return right + 1 - rng_below(rng, 3);
	case 1:
		return U32_MAX;
	case 2:
		return (u32)rng_next(rng);
	default:
		return right;
	}
}

/* Seeds around the end of 32 bits, too. */
static u32 pick_seed(struct rng *rng)
{
	return rng_below(rng, 2) ? (u32)rng_next(rng) : U32_MAX - rng_below(rng, 2 * NR);
}

static void test_translate(void)
{
	struct rng rng = { 1 };
	u8 tuples[NR * PI_TUPLE], wanted[NR * PI_TUPLE];
	u32 n, i;

	for (n = 0; n < 20000; n++) {
		u32 from = pick_seed(&rng), to = pick_seed(&rng), nr = 1 + rng_below(&rng, NR);

		memset(tuples, 0x5a, sizeof(tuples));
		memset(wanted, 0x5a, sizeof(wanted));
		for (i = 0; i < nr; i++) {
			struct tuple t = { (u16)rng_next(&rng), (u16)rng_next(&rng),
					   pick_ref(&rng, from + i) };

			pack(tuples + i * PI_TUPLE, t);
			if (t.ref == from + i)
				t.ref = to + i;
			pack(wanted + i * PI_TUPLE, t);
		}
		pi_translate(tuples, nr, from, to);
		CHECK(!memcmp(tuples, wanted, sizeof(tuples)));
	}
}

/* What two submitters with seeds of their own see of each other's right tuples. */
static void test_there_and_back(void)
{
	struct rng rng = { 2 };
	u8 tuples[NR * PI_TUPLE], wanted[NR * PI_TUPLE];
	u32 n, i;

	for (n = 0; n < 1000; n++) {
		u32 writer = pick_seed(&rng), place = pick_seed(&rng), reader = pick_seed(&rng);

		for (i = 0; i < NR; i++) {
			pack(tuples + i * PI_TUPLE, (struct tuple){ (u16)n, (u16)i, writer + i });
			pack(wanted + i * PI_TUPLE, (struct tuple){ (u16)n, (u16)i, reader + i });
		}
		pi_translate(tuples, NR, writer, place);
		for (i = 0; i < NR; i++)
			CHECK(pi_fits(tuples + i * PI_TUPLE, (u16)n, true, place + i));
		pi_translate(tuples, NR, place, reader);
		CHECK(!memcmp(tuples, wanted, sizeof(tuples)));
	}
}

static void test_make(void)
{
	u8 made[PI_TUPLE], wanted[PI_TUPLE];

	pi_make(made, 0x1234, 0x89abcdef);
	pack(wanted, (struct tuple){ 0x1234, 0, 0x89abcdef });
	CHECK(!memcmp(made, wanted, sizeof(made)));
	CHECK(pi_fits(made, 0x1234, true, 0x89abcdef));
	CHECK(!pi_escapes(made, true));
	pi_make(made, U16_MAX, U32_MAX);
	CHECK(!pi_escapes(made, false));
}

static void test_fits(void)
{
	const struct tuple right = { 0xfedc, 0x4711, 0x12345678 };
	struct tuple t;
	u8 tuple[PI_TUPLE];
	u32 bit;

	pack(tuple, right);
	CHECK(pi_fits(tuple, right.guard, true, right.ref));
	for (bit = 0; bit < 8 * PI_TUPLE; bit++) {
		pack(tuple, right);
		tuple[bit / 8] ^= (u8)(1 << bit % 8);
		/* the application tag is the submitter's, and with type 3 the rest, too */
		CHECK_EQUAL(pi_fits(tuple, right.guard, true, right.ref), bit / 16 == 1);
		CHECK_EQUAL(pi_fits(tuple, right.guard, false, right.ref), bit >= 16);
	}
	for (bit = 0; bit < 4; bit++) {
		t = (struct tuple){ 1, bit & 1 ? U16_MAX : U16_MAX - 1,
				    bit & 2 ? U32_MAX : U32_MAX - 1 };
		pack(tuple, t);
		CHECK_EQUAL(pi_escapes(tuple, true), bit & 1);
		CHECK_EQUAL(pi_escapes(tuple, false), bit == 3);
	}
}

static const struct unit_test tests[] = {
	{ "reference tags that were right stay right, others stay what they were", test_translate },
	{ "what one submitter wrote is right for another", test_there_and_back },
	{ "tuples of our own", test_make },
	{ "each bit counts where it should", test_fits },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
