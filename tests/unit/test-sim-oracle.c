// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulator's oracle: small histories by hand, legal and not.  See also
 * test-sim-histories.
 */
#include "../sim/oracle.h"
#include "../sim/random.h"
#include "unit.h"

#define WORDS (ORACLE_SECTOR / sizeof(u64))

/* All on one sector, number 3. */

static struct oracle o;

static void start(void)
{
	oracle_free(&o);
	oracle_init(&o, 16);
}

static u64 begin(u64 now) { return oracle_write_begin(&o, 3, 1, false, now); }
static void end(u64 id, u64 now) { oracle_write_end(&o, id, true, now); }

static u64 written(u64 from, u64 to)
{
	u64 id = begin(from);

	end(id, to);
	return id;
}

static void flush(u64 from, u64 to)
{
	oracle_flush_end(&o, oracle_flush_begin(&o, from), true, to);
}

static const char *read_of(u64 id, u64 from, u64 to)
{
	u64 data[WORDS] = { 0 };

	if (id)
		oracle_fill(&o, id, 3, 1, data);
	return oracle_read_end(&o, 3, 1, data, oracle_read_begin(&o, from), to);
}

#define LEGAL(id, from, to) do { \
	const char *_wrong = read_of(id, from, to); \
	CHECK_SAY(!_wrong, "%s", _wrong); \
} while (0)
/* The oracle is of no use afterwards. */
#define WRONG(id, from, to) do { \
	const char *_wrong = read_of(id, from, to); \
	CHECK(_wrong && strstr(_wrong, "sector 3") && strstr(_wrong, "found") && \
	      strstr(_wrong, "allowed")); \
	start(); \
} while (0)

static void sequence(void)
{
	u64 a, b;

	start();
	LEGAL(0, 1, 2);
	a = begin(3);
	LEGAL(0, 4, 5);
	LEGAL(a, 4, 5);
	end(a, 6);
	LEGAL(a, 7, 8);
	b = written(9, 12);
	LEGAL(a, 10, 20);
	LEGAL(b, 11, 20);
	WRONG(a, 21, 22);
	a = written(1, 2);
	WRONG(0, 3, 4);
	a = begin(1);
	LEGAL(a, 2, 3);
	WRONG(0, 4, 5);			/* although a is in flight yet */
	WRONG(a + 1, 1, 2);		/* never was */
	/* between begin and end of a read anything of that time */
	a = written(1, 2);
	b = written(3, 4);
	LEGAL(0, 1, 10);
	LEGAL(a, 2, 10);
	LEGAL(b, 2, 10);
	WRONG(0, 3, 10);
}

static void overlap(void)
{
	u64 a, b, c;

	start();
	a = begin(1);
	b = begin(2);
	end(a, 3);
	end(b, 4);
	LEGAL(a, 5, 6);
	LEGAL(a, 7, 8);
	WRONG(b, 9, 10);
	/* two reads at a time cannot disagree when no write is in flight */
	a = begin(1);
	b = begin(2);
	end(a, 3);
	end(b, 4);
	LEGAL(b, 5, 10);
	WRONG(a, 6, 10);
	/* but they can while one is */
	a = written(1, 2);
	b = begin(3);
	LEGAL(b, 5, 10);
	LEGAL(a, 6, 10);
	WRONG(a, 11, 12);
	/* seen before c began, so c is after it */
	a = begin(1);
	LEGAL(a, 2, 3);
	c = written(4, 5);
	end(a, 6);
	LEGAL(c, 7, 8);
	WRONG(a, 9, 10);
	a = begin(1);
	LEGAL(a, 2, 3);
	c = written(4, 5);
	end(a, 6);
	WRONG(a, 9, 10);
}

static void failures(void)
{
	u64 a, b;

	start();
	a = written(1, 2);
	b = begin(3);
	oracle_write_end(&o, b, false, 4);
	LEGAL(a, 5, 6);
	WRONG(b, 7, 8);			/* either at once or never */
	a = written(1, 2);
	b = begin(3);
	oracle_write_end(&o, b, false, 4);
	LEGAL(b, 5, 6);
	WRONG(a, 7, 8);
	/* it is no one's duty to keep it */
	a = written(1, 2);
	flush(3, 4);
	b = begin(5);
	oracle_write_end(&o, b, false, 6);
	LEGAL(b, 7, 8);
	flush(9, 10);
	oracle_crash(&o, 11);
	LEGAL(a, 12, 13);
	WRONG(b, 14, 15);
	/* unless it is not there and may yet return */
	a = written(1, 2);
	flush(3, 4);
	b = begin(5);
	oracle_write_end(&o, b, false, 6);
	LEGAL(a, 7, 8);
	oracle_crash(&o, 11);
	WRONG(b, 14, 15);
	o.failed_may_return = true;
	a = written(1, 2);
	flush(3, 4);
	b = begin(5);
	oracle_write_end(&o, b, false, 6);
	LEGAL(a, 7, 8);
	oracle_crash(&o, 11);
	LEGAL(b, 14, 15);
	WRONG(a, 16, 17);
}

static void durability(void)
{
	u64 a, b, c;

	start();
	a = written(1, 2);
	flush(3, 4);
	b = written(5, 6);
	c = begin(7);
	oracle_crash(&o, 8);
	LEGAL(c, 9, 10);
	WRONG(b, 11, 12);
	a = written(1, 2);
	b = begin(3);
	flush(4, 5);
	end(b, 6);
	c = begin(6);
	oracle_crash(&o, 7);
	LEGAL(a, 8, 9);
	end(c, 10);			/* void */
	WRONG(0, 11, 12);
	a = written(1, 2);
	flush(3, 4);
	oracle_crash(&o, 5);
	WRONG(0, 6, 7);
	/* a flush only covers what had ended before */
	a = begin(1);
	b = oracle_flush_begin(&o, 2);
	end(a, 3);
	oracle_flush_end(&o, b, true, 4);
	oracle_crash(&o, 5);
	LEGAL(0, 6, 7);
	WRONG(a, 8, 9);
	/* nor does a failed one */
	a = written(1, 2);
	oracle_flush_end(&o, oracle_flush_begin(&o, 3), false, 4);
	oracle_crash(&o, 5);
	LEGAL(0, 6, 7);
	start();
	a = oracle_write_begin(&o, 3, 1, true, 1);
	end(a, 2);
	oracle_crash(&o, 3);
	WRONG(0, 4, 5);
	/* a had been seen, then b: a read, or a later one, tells what a flush has kept */
	a = begin(1);
	b = begin(2);
	end(a, 3);
	end(b, 4);
	LEGAL(b, 5, 6);
	flush(7, 8);
	oracle_crash(&o, 9);
	WRONG(a, 10, 11);
	a = begin(1);
	b = begin(2);
	end(a, 3);
	end(b, 4);
	flush(7, 8);
	LEGAL(b, 9, 10);
	oracle_crash(&o, 11);
	WRONG(a, 12, 13);
}

static void pinned(void)
{
	u64 a, b, c;

	start();
	a = written(1, 2);
	b = written(3, 4);
	oracle_crash(&o, 5);
	LEGAL(a, 6, 7);
	oracle_crash(&o, 8);
	LEGAL(a, 9, 10);
	c = written(11, 12);
	oracle_crash(&o, 13);
	oracle_crash(&o, 14);		/* unread: still either */
	LEGAL(a, 15, 16);
	WRONG(c, 17, 18);
	a = written(1, 2);
	b = written(3, 4);
	oracle_crash(&o, 5);
	LEGAL(a, 6, 7);
	oracle_crash(&o, 8);
	WRONG(b, 9, 10);
	a = written(1, 2);
	oracle_crash(&o, 5);
	LEGAL(a, 6, 7);
	oracle_crash(&o, 8);
	WRONG(0, 9, 10);
	/* a read of before the crash is void */
	a = written(1, 2);
	oracle_crash(&o, 5);
	LEGAL(a, 4, 6);
	LEGAL(0, 7, 8);
}

static void discards(void)
{
	u64 a, b, d;

	start();
	a = written(1, 2);
	b = written(3, 4);
	d = oracle_discard_begin(&o, 2, 3, 5);
	LEGAL(a, 6, 7);
	LEGAL(0, 8, 9);
	LEGAL(b, 10, 11);
	oracle_discard_end(&o, d, true, 12);
	LEGAL(a, 13, 14);
	LEGAL(b, 15, 16);
	a = written(17, 18);
	LEGAL(a, 19, 20);
	oracle_crash(&o, 21);
	LEGAL(0, 22, 23);
	LEGAL(b, 24, 25);
	a = written(26, 27);
	WRONG(b, 28, 29);
	/* a write that began before the end of the discard ends nothing */
	d = oracle_discard_begin(&o, 2, 3, 5);
	a = begin(6);
	oracle_discard_end(&o, d, false, 7);
	end(a, 8);
	LEGAL(a, 9, 10);
	LEGAL(0, 11, 12);
	b = written(13, 14);
	flush(15, 16);
	oracle_crash(&o, 17);
	WRONG(0, 18, 19);
	d = oracle_discard_begin(&o, 2, 3, 5);
	WRONG(d + 1, 6, 7);
}

static const char *read_raw(const void *data) { return oracle_read_end(&o, 3, 1, data, 5, 6); }

static void contents(void)
{
	u64 data[WORDS], other[WORDS], a;
	unsigned int i;

	start();
	a = written(1, 2);
	for (i = 0; i < WORDS; i++) {
		oracle_fill(&o, a, 3, 1, data);
		CHECK(!read_raw(data));
		data[i] ^= 1ull << (i * 7 % 64);
		CHECK(read_raw(data));
		memset(data, 0, sizeof(data));
		data[i] = 1;
		CHECK(read_raw(data));
		/* torn between two of its own versions, or with zeros */
		oracle_fill(&o, a, 3, 1, data);
		oracle_fill(&o, a + 1, 3, 1, other);
		memcpy(data, other, i * sizeof(u64));
		CHECK(i < 2 || (read_raw(data) && strstr(read_raw(data), "mixture")));
		memset(data, 0, i * sizeof(u64));
		CHECK(!i || read_raw(data));
	}
	oracle_fill(&o, a, 4, 1, data);
	CHECK(strstr(read_raw(data), "sector 4's data"));
}

static int read_zero(void *ctx, u64 sector, void *buf)
{
	const u64 *id = ctx;

	memset(buf, 0, ORACLE_SECTOR);
	if (sector == 3)
		oracle_fill(&o, *id, sector, 1, buf);
	return sector == 14 ? -EIO : 0;
}

static void whole_device(void)
{
	u64 a, b;
	char *text;
	size_t size;
	FILE *out;

	start();
	a = written(1, 2);
	CHECK(strstr(oracle_check_all(&o, read_zero, &a, 5), "sector 14 cannot"));
	oracle_resize(&o, 14, 6);
	CHECK(!oracle_check_all(&o, read_zero, &a, 7));
	b = written(8, 9);
	CHECK(oracle_check_all(&o, read_zero, &a, 10));
	out = open_memstream(&text, &size);
	oracle_describe(&o, 3, out);
	fclose(out);
	CHECK(strstr(text, "write 1") && strstr(text, "sectors 3+1") && !strstr(text, "4+1"));
	free(text);
	/* cut off and grown again: zeros */
	oracle_resize(&o, 2, 11);
	oracle_resize(&o, 16, 12);
	LEGAL(0, 13, 14);
	WRONG(b, 15, 16);
}

/* Long runs on many sectors stay small. */
static void memory(void)
{
	u64 now = 1, i, id, data[8 * WORDS];
	struct sim_rng rng = { 7 };

	oracle_free(&o);
	oracle_init(&o, 16384);
	for (i = 0; i < 100000; i++, now += 2) {
		u64 sector = sim_rng_below(&rng, i % 2 ? 8 : 16376);

		id = oracle_write_begin(&o, sector, 8, false, now);
		oracle_write_end(&o, id, true, now + 1);
		oracle_fill(&o, id, sector, 8, data);
		CHECK(!oracle_read_end(&o, sector, 8, data, now + 2, now + 2));
		now += 2;
		if (i % 1000 == 999)
			flush(now, now + 1);
	}
	CHECK(o.most_versions <= 64);
	CHECK_SAY(o.nr_versions < 16384 * 4, "%u versions", o.nr_versions);
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		{ "sequence", sequence },
		{ "overlap", overlap },
		{ "failures", failures },
		{ "durability", durability },
		{ "pinned", pinned },
		{ "discards", discards },
		{ "contents", contents },
		{ "whole-device", whole_device },
		{ "memory", memory },
	};

	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
