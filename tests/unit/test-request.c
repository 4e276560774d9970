// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Decisions on requests and the arithmetic of grains, each against a slow
 * model that knows sectors only: all extents of all small blocks, random ones
 * of large blocks, and short last blocks of every kind.
 */
#include "maps.h"
#include "request.h"
#include "unit.h"

/* 520 and 1000 sectors have grains of 16, and with those a short last one */
static const u32 blocks[] = { 8, 16, 24, 32, 40, 64, 72, 128, 512, 520, 1000, 1024, 2048 };

/* The last block has tail sectors; there are three whole ones before it. */
static void make(struct geometry *g, u32 block_sectors, u32 tail)
{
	geometry_make(g, block_sectors, 3ull * block_sectors + tail, 10);
}

static const u64 tested_blocks[] = { 0, 3 };

/* Does a grain of this block hold sectors at all, how many of them are in the range? */
static u32 grain_sectors_of(const struct geometry *g, u64 block, u32 grain, u32 from, u32 to)
{
	u64 start = block * g->block_sectors;
	u32 sector, nr = 0;

	for (sector = from; sector < to; sector++)
		if (sector / g->grain_sectors == grain && sector < g->block_sectors &&
		    start + sector < g->origin_sectors)
			nr++;
	return nr;
}

static void check_masks(const struct geometry *g, u64 block, u32 offset, u32 sectors)
{
	u64 touched = 0, covered = 0, all = 0, within = 0;
	u32 grain;

	for (grain = 0; grain < g->grains_per_block; grain++) {
		u32 whole = grain_sectors_of(g, block, grain, 0, g->block_sectors);
		u32 part = grain_sectors_of(g, block, grain, offset, offset + sectors);

		all |= 1ull << grain;
		within |= whole ? 1ull << grain : 0;
		touched |= part ? 1ull << grain : 0;
		covered |= part && part == whole ? 1ull << grain : 0;
	}
	CHECK_EQUAL(geometry_all_grains(g), all);
	CHECK_EQUAL(geometry_block_grains(g, block), within);
	CHECK_EQUAL(geometry_touched(g, offset, sectors), touched);
	CHECK_SAY(geometry_covered(g, block, offset, sectors) == covered,
		  "block %u of %u, %u+%u: found %llx, expected %llx", (u32)block, g->block_sectors,
		  offset, sectors,
		  (unsigned long long)geometry_covered(g, block, offset, sectors),
		  (unsigned long long)covered);
}

static void check_read_run(const struct geometry *g, const struct extent *e, u64 valid)
{
	bool first = valid >> e->offset / g->grain_sectors & 1, cached;
	u32 run = 0;

	while (run < e->sectors && (valid >> (e->offset + run) / g->grain_sectors & 1) == first)
		run++;
	CHECK_EQUAL(request_read_run(g, e, valid, &cached), run);
	CHECK_EQUAL(cached, first);
}

static void check_write_need(const struct geometry *g, const struct extent *e, u64 valid,
			     u64 dirty, bool live)
{
	enum write_need wanted = WRITE_READY;
	u32 grain;

	for (grain = 0; grain < g->grains_per_block; grain++) {
		u32 part = grain_sectors_of(g, e->block, grain, e->offset, e->offset + e->sectors);
		bool whole = part == grain_sectors_of(g, e->block, grain, 0, g->block_sectors);

		if (!part)
			continue;
		if (!(valid >> grain & 1) && !whole)
			wanted = WRITE_MERGE;
		else if ((valid >> grain & 1) && !(dirty >> grain & 1) && !live &&
			 wanted == WRITE_READY)
			wanted = WRITE_INTENT;
	}
	CHECK_EQUAL(request_write_need(e, valid, dirty, live), wanted);
}

static void check_decisions(const struct geometry *g, u64 block, u32 offset, u32 sectors,
			    u64 valid, u64 dirty)
{
	struct extent e;

	/* asks for more than the block has: cut */
	extent_init(g, &e, block * g->block_sectors + offset, sectors);
	CHECK_EQUAL(e.block, block);
	CHECK_EQUAL(e.offset, offset);
	CHECK_EQUAL(e.sectors, sectors);
	CHECK_EQUAL(e.touched, geometry_touched(g, offset, sectors));
	CHECK_EQUAL(e.covered, geometry_covered(g, block, offset, sectors));
	check_read_run(g, &e, valid);
	check_write_need(g, &e, valid, dirty & valid, false);
	check_write_need(g, &e, valid, dirty & valid, true);
	CHECK_EQUAL(request_write_admissible(g, &e),
		    g->block_sectors <= 512 || e.touched == e.covered);
}

/* The runs, put together, are exactly the sectors of the mask. */
static void check_grain_runs(const struct geometry *g, u64 block, u64 mask)
{
	u32 length = geometry_block_length(g, block), at = 0, next = 0, offset, sectors, sector;

	while (request_grain_run(g, block, mask, next, &offset, &sectors, &next)) {
		CHECK(sectors);
		CHECK(offset >= at && offset + sectors <= length);
		for (sector = at; sector < offset; sector++)
			CHECK(!(mask >> sector / g->grain_sectors & 1));
		for (; sector < offset + sectors; sector++)
			CHECK(mask >> sector / g->grain_sectors & 1);
		/* as long as it can be */
		CHECK(offset == 0 || !(mask >> (offset - 1) / g->grain_sectors & 1));
		at = offset + sectors;
		CHECK(next <= g->grains_per_block);
		CHECK_EQUAL(min(next * g->grain_sectors, length), at);
	}
	for (sector = at; sector < length; sector++)
		CHECK(!(mask >> sector / g->grain_sectors & 1));
}

static void every_extent(const struct geometry *g, u64 block, u64 valid, u64 dirty)
{
	u32 length = geometry_block_length(g, block), offset, sectors;

	for (offset = 0; offset < length; offset++)
		for (sectors = 1; offset + sectors <= length; sectors++)
			check_decisions(g, block, offset, sectors, valid, dirty);
}

static void every_mask(const struct geometry *g, u64 block, struct rng *rng)
{
	u64 nr = 1ull << g->grains_per_block, valid;

	for (valid = 0; valid < nr; valid++) {
		check_grain_runs(g, block, valid);
		every_extent(g, block, valid, rng_next(rng));
		every_extent(g, block, valid, valid);
	}
}

/* All tails, extents and masks of blocks of up to three grains. */
static void test_small(void)
{
	struct rng rng = { 2 };
	struct geometry g;
	u32 block, tail, offset, sectors;
	unsigned int i;

	for (block = 8; block <= 24; block += 8) {
		for (tail = 1; tail <= block; tail++) {
			make(&g, block, tail);
			for (i = 0; i < ARRAY_SIZE(tested_blocks); i++) {
				u32 length = geometry_block_length(&g, tested_blocks[i]);

				CHECK_EQUAL(length, i ? tail : block);
				for (offset = 0; offset < length; offset++)
					for (sectors = 1; offset + sectors <= length; sectors++)
						check_masks(&g, tested_blocks[i], offset, sectors);
				every_mask(&g, tested_blocks[i], &rng);
			}
		}
	}
}

static u64 some_mask(const struct geometry *g, struct rng *rng)
{
	u64 mask = rng_next(rng) & geometry_all_grains(g);

	switch (rng_below(rng, 4)) {
	case 0:
		return mask & rng_next(rng) & rng_next(rng);
	case 1:
		return mask | (rng_next(rng) & geometry_all_grains(g));
	case 2:		/* one run */
		return grain_mask(rng_below(rng, g->grains_per_block), 63) &
		       grain_mask(0, rng_below(rng, g->grains_per_block)) & geometry_all_grains(g);
	default:
		return mask;
	}
}

static void test_random(void)
{
	struct rng rng = { 3 };
	struct geometry g;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		for (n = 0; n < 2000; n++) {
			u64 block = tested_blocks[n % 2];
			u32 length, offset, sectors;

			if (n % 20 == 0)
				make(&g, blocks[i], 1 + rng_below(&rng, blocks[i]));
			length = geometry_block_length(&g, block);
			offset = rng_below(&rng, length);
			sectors = 1 + rng_below(&rng, length - offset);
			if (n % 3 == 0)
				sectors = length - offset;
			if (n % 5 == 0) {
				sectors += offset % g.grain_sectors;
				offset -= offset % g.grain_sectors;
			}
			check_masks(&g, block, offset, sectors);
			check_decisions(&g, block, offset, sectors, some_mask(&g, &rng),
					some_mask(&g, &rng));
			check_grain_runs(&g, block, some_mask(&g, &rng));
		}
	}
}

/* A request is cut at the end of each block, and the pieces are the request. */
static void test_cut(void)
{
	struct rng rng = { 4 };
	struct geometry g;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		make(&g, blocks[i], 1 + rng_below(&rng, blocks[i]));
		for (n = 0; n < 500; n++) {
			u64 sector = rng_next(&rng) % g.origin_sectors;
			u64 end = sector + 1 + rng_next(&rng) % (g.origin_sectors - sector);
			struct extent e;

			while (sector < end) {
				extent_init(&g, &e, sector, (u32)(end - sector));
				CHECK_EQUAL(e.block, sector / g.block_sectors);
				CHECK_EQUAL(e.offset, sector % g.block_sectors);
				CHECK(e.sectors && e.sectors <= end - sector);
				sector += e.sectors;
				CHECK(sector == end || sector % g.block_sectors == 0);
			}
			CHECK_EQUAL(sector, end);
		}
	}
}

static const struct unit_test tests[] = {
	{ "small blocks", test_small },
	{ "random", test_random },
	{ "cut", test_cut },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
