// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Geometry: what is chosen for many chunk sizes, what is refused and why, the
 * arithmetic of grains, and the judgement of made-up superblocks.
 */
#include "machine.h"

#define KIB 2u		/* sectors */
#define MIB 2048u
#define GIB (1024ull * MIB)

static const u32 chunks[] = {
	4 * KIB, 8 * KIB, 12 * KIB, 32 * KIB, 64 * KIB, 96 * KIB, 100 * KIB, 128 * KIB, 256 * KIB,
	1000 * KIB, 1024 * KIB, 3 * MIB, 64 * MIB, 1024 * MIB, 1024 * MIB - 4 * KIB,
};

/* Room for the table of one block a chunk, as LVM computes it. */
static u64 lvm_units(u64 cache_sectors, u32 chunk)
{
	return 1024 + (cache_sectors / chunk * 44 + 4095) / 4096;
}

static void to_super(const struct geometry *g, struct larder_superblock *sb)
{
	memset(sb, 0, sizeof(*sb));
	geometry_to_super(g, sb);
}

static void check_chosen(const struct geometry *g, u32 chunk, u64 origin, u64 cache, u64 units)
{
	struct larder_superblock sb;
	struct geometry again;

	CHECK_EQUAL(g->chunk_sectors, chunk);
	CHECK_EQUAL(chunk % g->block_sectors, 0);
	CHECK(is_power_of_2(chunk / g->block_sectors));
	CHECK_EQUAL(g->block_sectors % 8, 0);
	CHECK(g->block_sectors >= BLOCK_SECTORS_WANTED || g->block_sectors == chunk);
	CHECK(g->grain_sectors >= 8 && is_power_of_2(g->grain_sectors));
	CHECK_EQUAL(1u << g->grain_shift, g->grain_sectors);
	CHECK(g->grains_per_block >= 1 && g->grains_per_block <= 64);
	CHECK((u64)g->grains_per_block * g->grain_sectors >= g->block_sectors);
	CHECK((u64)(g->grains_per_block - 1) * g->grain_sectors < g->block_sectors);
	CHECK(!g->block_shift || 1u << g->block_shift == g->block_sectors);
	CHECK_EQUAL(g->nr_slots, cache / g->block_sectors);
	CHECK_EQUAL(g->nr_origin_blocks, (origin - 1) / g->block_sectors + 1);
	CHECK_EQUAL(g->table_pages, (g->nr_slots + 125) / 126);
	CHECK(g->dw_start == 2 && g->journal_start == 3 + g->dw_pages);
	CHECK_EQUAL(g->table_start, g->journal_start + g->journal_blocks);
	CHECK(g->table_start + g->table_pages <= units);
	CHECK(g->journal_blocks >= 64 && g->journal_blocks <= 4096);

	to_super(g, &sb);
	CHECK(geometry_from_super(&again, &sb, units));
	CHECK(!memcmp(&again, g, sizeof(again)));
	/* a device that has shrunk */
	CHECK(!geometry_from_super(&again, &sb, g->table_start + g->table_pages - 1));
}

static void test_choose(void)
{
	static const u64 caches[] = { 2 * GIB + 56, 100 * GIB, 4096 * GIB };
	struct geometry g;
	u64 needed, units;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(chunks); i++) {
		for (j = 0; j < ARRAY_SIZE(caches); j++) {
			units = lvm_units(caches[j], chunks[i]);
			CHECK_EQUAL(geometry_choose(&g, chunks[i], 77 * GIB + 8, caches[j], units,
						    &needed), GEOMETRY_OK);
			check_chosen(&g, chunks[i], 77 * GIB + 8, caches[j], units);
		}
	}
}

static void test_block_follows_budget(void)
{
	struct geometry g;
	u64 needed;

	/* plenty: the wanted block; no more than LVM gives: larger ones */
	CHECK_EQUAL(geometry_choose(&g, 1024 * KIB, GIB, 4096 * GIB, 1 << 22, &needed), 0);
	CHECK_EQUAL(g.block_sectors, BLOCK_SECTORS_WANTED);
	CHECK_EQUAL(geometry_choose(&g, 1024 * KIB, GIB, 4096 * GIB,
				    lvm_units(4096 * GIB, 1024 * KIB), &needed), 0);
	CHECK_EQUAL(g.block_sectors, 1024 * KIB);
	CHECK_EQUAL(geometry_choose(&g, 1000 * KIB, GIB, GIB, 100000, &needed), 0);
	CHECK_EQUAL(g.block_sectors, 500 * KIB);
	CHECK_EQUAL(g.grains_per_block, 63);
	CHECK_EQUAL(g.block_shift, 0);
	CHECK_EQUAL(geometry_choose(&g, 96 * KIB, GIB, GIB, 100000, &needed), 0);
	CHECK_EQUAL(g.block_sectors, 24 * KIB);
	CHECK_EQUAL(geometry_choose(&g, 4 * KIB, GIB, GIB, 100000, &needed), 0);
	CHECK_EQUAL(g.block_sectors, 4 * KIB);
	CHECK_EQUAL(g.grains_per_block, 1);
	CHECK_EQUAL(geometry_all_grains(&g), 1);
}

static void test_refused(void)
{
	struct geometry g;
	u64 needed;

	CHECK_EQUAL(geometry_choose(&g, 0, GIB, GIB, 10000, &needed), GEOMETRY_CHUNK_RANGE);
	CHECK_EQUAL(geometry_choose(&g, 7, GIB, GIB, 10000, &needed), GEOMETRY_CHUNK_RANGE);
	CHECK_EQUAL(geometry_choose(&g, 68, GIB, GIB, 10000, &needed), GEOMETRY_CHUNK_RANGE);
	CHECK_EQUAL(geometry_choose(&g, 2097160, GIB, GIB, 10000, &needed), GEOMETRY_CHUNK_RANGE);
	CHECK_EQUAL(geometry_choose(&g, 128, 0, GIB, 10000, &needed), GEOMETRY_ORIGIN_SMALL);
	CHECK_EQUAL(geometry_choose(&g, 128, GIB, 31, 10000, &needed), GEOMETRY_CACHE_SMALL);
	CHECK_EQUAL(geometry_choose(&g, 128, GIB, 0, 10000, &needed), GEOMETRY_CACHE_SMALL);
	CHECK_EQUAL(geometry_choose(&g, 8, GIB, 1ull << 36, 1ull << 40, &needed),
		    GEOMETRY_TOO_MANY_BLOCKS);
	CHECK_EQUAL(geometry_choose(&g, 8, U64_MAX, GIB, 1ull << 40, &needed),
		    GEOMETRY_TOO_MANY_BLOCKS);
	/* a larger block helps where there is one */
	CHECK_EQUAL(geometry_choose(&g, 128, 1ull << 46, GIB, 1ull << 40, &needed), GEOMETRY_OK);
	CHECK(g.nr_origin_blocks <= LARDER_BLOCK_MASK);

	CHECK_EQUAL(geometry_choose(&g, 128, GIB, 100 * GIB, 1000, &needed),
		    GEOMETRY_METADATA_SMALL);
	CHECK_EQUAL(geometry_choose(&g, 128, GIB, 100 * GIB, needed - 1, &needed),
		    GEOMETRY_METADATA_SMALL);
	CHECK_EQUAL(geometry_choose(&g, 128, GIB, 100 * GIB, needed, &needed), GEOMETRY_OK);
	CHECK_EQUAL(g.block_sectors, 128);
	CHECK_EQUAL(g.journal_blocks, JOURNAL_BLOCKS_MIN);
}

/* Nothing that is there moves; as many slots as both devices have room for, never fewer. */
static void check_grown(const struct geometry *old, u64 cache, u64 units)
{
	struct geometry g = *old, again;
	struct larder_superblock sb;
	u64 needed, room = units - old->table_start, slots = cache / old->block_sectors;

	geometry_grow(&g, cache, units, &needed);
	CHECK_EQUAL(g.nr_slots, max(old->nr_slots, min(slots, room * LARDER_ENTRIES_PER_PAGE)));
	CHECK_EQUAL(g.metadata_units, units);
	CHECK(needed >= units);
	CHECK_EQUAL(needed > units, slots > g.nr_slots);
	CHECK(!memcmp(&g.dw_start, &old->dw_start, offsetof(struct geometry, table_pages) -
		      offsetof(struct geometry, dw_start)));
	to_super(&g, &sb);
	CHECK(geometry_from_super(&again, &sb, units));
	CHECK(!memcmp(&again, &g, sizeof(g)));
	if (needed == units)
		return;
	/* with what it asked for, all of it is used, and with one less, not */
	g = *old;
	geometry_grow(&g, cache, needed - 1, &needed);
	CHECK(g.nr_slots < slots);
	geometry_grow(&g, cache, needed, &needed);
	CHECK_EQUAL(g.nr_slots, slots);
}

static void test_grow(void)
{
	static const u32 by[] = { 0, 1, 8, 16 * KIB, 125 * 16 * KIB, 126 * 16 * KIB, 700 * MIB };
	struct geometry g, moved;
	u64 needed, units;
	u32 i, j;

	for (j = 0; j < 4; j++) {
		units = 100 + 331 * j * j * j;
		CHECK_EQUAL(geometry_choose(&g, 64 * KIB, GIB, 3 * MIB + 5, units, &needed), 0);
		for (i = 0; i < ARRAY_SIZE(by); i++) {
			check_grown(&g, g.cache_sectors + by[i], units);
			check_grown(&g, g.cache_sectors + by[i], units + i);
			check_grown(&g, g.cache_sectors + by[i], units + 10000);
		}
		check_grown(&g, 100 * GIB, units);
		/* a cache device that has shrunk is for others to refuse */
		check_grown(&g, g.cache_sectors - 1000, units);
	}
	/* what the journal left is there to grow: about half of the device */
	CHECK_EQUAL(geometry_choose(&g, 64 * KIB, GIB, 60 * MIB, 1280, &needed), 0);
	geometry_grow(&g, 100 * GIB, 1280, &needed);
	CHECK(g.nr_slots * g.block_sectors > 900 * MIB);

	/* a layout of others: up to the next part */
	CHECK_EQUAL(geometry_choose(&g, 64 * KIB, GIB, 60 * MIB, 1280, &needed), 0);
	moved = g;
	moved.table_start = 100;
	moved.journal_start = 200;
	geometry_grow(&moved, 100 * GIB, 1280, &needed);
	CHECK_EQUAL(moved.table_pages, 100);
	/* never more than a slot number holds */
	geometry_grow(&g, U64_MAX, 1ull << 40, &needed);
	CHECK_EQUAL(g.nr_slots, SLOTS_MAX);
}

/* Against a slow count of every sector. */
static void test_grains(void)
{
	static const u32 sizes[] = { 8, 32, 48, 1000, 128 };
	struct geometry g;
	u64 needed, touched, covered;
	u32 i, offset, sectors, grain, length, from, to;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u32 block = sizes[i];

		CHECK_EQUAL(geometry_choose(&g, block, block * 5 + 8, GIB, 1 << 20, &needed), 0);
		block = g.block_sectors;
		for (offset = 0; offset < block; offset += 3) {
			u64 last = g.nr_origin_blocks - 1;

			for (sectors = 1; offset + sectors <= block; sectors += 5) {
				touched = 0;
				covered = 0;
				for (grain = 0; grain < g.grains_per_block; grain++) {
					from = grain * g.grain_sectors;
					to = min(from + g.grain_sectors, block);
					if (offset < to && offset + sectors > from)
						touched |= 1ull << grain;
					if (offset <= from && offset + sectors >= to)
						covered |= 1ull << grain;
				}
				CHECK_EQUAL(geometry_touched(&g, offset, sectors), touched);
				CHECK_EQUAL(geometry_covered(&g, 0, offset, sectors), covered);
			}
			/* to the end of the short last block */
			length = geometry_block_length(&g, last);
			if (offset < length && offset % g.grain_sectors == 0)
				CHECK_EQUAL(geometry_covered(&g, last, offset, length - offset),
					    geometry_touched(&g, offset, length - offset));
		}
		CHECK_EQUAL(geometry_block_of(&g, block * 3 - 1), 2);
		CHECK_EQUAL(geometry_block_of(&g, block * 3), 3);
	}
}

/* Whatever numbers a superblock holds, what passes is sound. */
static void check_sound(const struct geometry *g, u64 units)
{
	u64 dw_end = g->dw_start + 1 + g->dw_pages;
	u64 journal_end = g->journal_start + g->journal_blocks;
	u64 table_end = g->table_start + g->table_pages;

	CHECK(g->grains_per_block && g->grains_per_block <= 64 && g->nr_slots);
	CHECK(g->nr_slots * g->block_sectors <= g->cache_sectors);
	CHECK(g->dw_start >= 2 && g->journal_start >= 2 && g->table_start >= 2);
	CHECK(dw_end <= units && journal_end <= units && table_end <= units);
	CHECK(dw_end <= g->journal_start || journal_end <= g->dw_start);
	CHECK(dw_end <= g->table_start || table_end <= g->dw_start);
	CHECK(table_end <= g->journal_start || journal_end <= g->table_start);
	CHECK(g->table_pages * 126 >= g->nr_slots && (g->table_pages - 1) * 126 < g->nr_slots);
}

static void test_hostile_super(void)
{
	struct larder_superblock good, bad;
	struct rng rng = { 5 };
	struct geometry g;
	u64 needed;
	u32 i, passed = 0;

	CHECK_EQUAL(geometry_choose(&g, 128, GIB, GIB, 3000, &needed), 0);
	to_super(&g, &good);
	for (i = 0; i < 300000; i++) {
		u32 at = 96 + rng_below(&rng, 88), nr = 1 + rng_below(&rng, 3);

		bad = good;
		while (nr--) {
			((u8 *)&bad)[at] = rng_below(&rng, 4) ? rng_next(&rng) : 0xff;
			at = 96 + rng_below(&rng, 88);
		}
		if (geometry_from_super(&g, &bad, 3000)) {
			check_sound(&g, 3000);
			passed++;
		}
	}
	CHECK(passed);
	CHECK(passed < 300000);
}

static const struct unit_test tests[] = {
	{ "choose", test_choose },
	{ "block follows the budget", test_block_follows_budget },
	{ "refused", test_refused },
	{ "grow", test_grow },
	{ "grains", test_grains },
	{ "hostile superblock", test_hostile_super },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
