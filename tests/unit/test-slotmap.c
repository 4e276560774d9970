// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slot map as a whole, over many shapes of cache: its memory, lookups
 * against a plain array, regions and shards, the supply of free slots, and
 * loading, with intents and with metadata that cannot be.
 */
#include "maps.h"
#include "unit.h"

static const struct shape {
	u32 block;		/* sectors */
	u64 nr_slots;
	u64 origin_blocks;
	u32 tail;		/* sectors of the short last block */
} shapes[] = {
	{ 8, 1, 1, 0 },
	{ 8, 3, 10, 1 },
	{ 8, 5000, 20000, 7 },
	{ 24, 126, 1000, 8 },
	{ 32, 127, 5000, 0 },
	{ 40, 31, 77, 39 },
	{ 48, 2000, 4001, 9 },
	{ 128, 3, 100, 127 },
	{ 128, 1000, 3000, 0 },
	{ 136, 1000, 900, 1 },		/* 17 grains: wide masks */
	{ 504, 64, 700, 500 },
	{ 1000, 500, 2000, 16 },
	{ 2040, 33, 500, 2 },
	{ 2048, 252, 1000, 0 },
	{ 2056, 10, 90, 2048 },		/* larger than a region is otherwise */
	{ 2097152, 3, 40, 5 },
	{ 8, 100, 1ull << 33, 0 },	/* block numbers of more than 32 bits */
};

static void blank(struct fixture *f, const struct shape *s)
{
	fixture_blank(f, s->block, s->origin_blocks * s->block + s->tail, s->nr_slots);
}

static void empty(struct fixture *f, const struct shape *s)
{
	fixture_init(f, s->block, s->origin_blocks * s->block + s->tail, s->nr_slots);
}

static u64 some_block(const struct fixture *f, struct rng *rng)
{
	return rng_next(rng) % f->g.nr_origin_blocks;
}

/* The arrays fill just the memory asked for, one behind the other, and reach every last element. */
static void check_memory(const struct fixture *f)
{
	const struct slotmap *map = &f->map;
	const struct hbitmap *last = &map->intent_used;
	const u8 *end = (const u8 *)(last->level[last->nr_levels - 1] + 1);
	size_t used = (size_t)(end - (const u8 *)f->memory), bytes = slotmap_bytes(&f->g);

	CHECK(used <= bytes);
	CHECK(bytes - used < 64);
	CHECK_EQUAL(!!map->wide, f->g.grains_per_block > 16);
	CHECK_EQUAL(map->nr_slots, f->g.nr_slots);
	CHECK(is_power_of_2(map->nr_shards) && is_power_of_2(map->heads_per_shard));
	CHECK((u64)map->nr_shards * map->heads_per_shard >= map->nr_slots);
	CHECK_EQUAL(map->changed.bits, map->nr_slots);
	CHECK_EQUAL(map->dirty_regions.bits, map->nr_regions);
	CHECK_EQUAL(slotmap_region(map, f->g.nr_origin_blocks - 1), map->nr_regions - 1);
	CHECK(slot_intent_group(map->nr_slots - 1) < map->intent_live.bits);
}

static void test_memory(void)
{
	unsigned int i, slot;
	struct fixture f;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		/* that no step leaves the memory is watched by the address sanitizer */
		blank(&f, &shapes[i]);
		check_memory(&f);
		for (slot = 0; slot < f.map.nr_slots; slot++)
			CHECK_EQUAL(state_of(&f.map, slot), SLOT_FREE);
		fixture_free(&f);
	}
}

/* --- lookup --- */

struct model {
	struct fixture f;
	u64 *block_of;		/* by slot; ~0: free */
	u32 nr_used;
};

static u32 model_find(const struct model *m, u64 block)
{
	u32 slot;

	for (slot = 0; slot < m->f.map.nr_slots; slot++)
		if (m->block_of[slot] == block)
			return slot;
	return SLOT_NONE;
}

static void check_block(const struct model *m, u64 block)
{
	u32 wanted = model_find(m, block), slot = slotmap_find(&m->f.map, block);

	CHECK_EQUAL(slot, wanted);
	/* single threaded and with chains this short, it is just as definite */
	CHECK_EQUAL(slotmap_peek(&m->f.map, block), wanted);
	if (slot != SLOT_NONE)
		CHECK_EQUAL(slot_block(&m->f.map.slots[slot]), block);
}

static void model_insert(struct model *m, u64 block)
{
	struct slotmap *map = &m->f.map;
	u32 slot = slotmap_take_free(map), version;

	CHECK_EQUAL(slot == SLOT_NONE, m->nr_used == map->nr_slots);
	if (slot == SLOT_NONE)
		return;
	CHECK_EQUAL(m->block_of[slot], ~0ull);
	version = version_of(map, slot);
	slot_insert(map, slot, block, SLOT_VALID, 0);
	CHECK(version_of(map, slot) != version);
	CHECK_EQUAL(slot_valid(map, slot), 0);
	slot_filled(map, slot, geometry_all_grains(map->g), true);
	m->block_of[slot] = block;
	m->nr_used++;
}

static void model_unmap(struct model *m, u32 slot)
{
	struct slotmap *map = &m->f.map;
	u64 block = m->block_of[slot];
	u32 generation = shard_generation(map, block);

	CHECK(slot_change(map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS | NO_READERS, NULL));
	CHECK_EQUAL(slotmap_find(map, block), slot);
	CHECK(!shard_unmoved(map, block, generation));
	CHECK(hbitmap_test(&map->changed, slot));
	generation = shard_generation(map, block);
	slot_unmap(map, slot);
	CHECK(!shard_unmoved(map, block, generation));
	CHECK(!hbitmap_test(&map->changed, slot) && !hbitmap_test(&map->lazy, slot));
	CHECK_EQUAL(slot_valid(map, slot), 0);
	slotmap_give_back(map, slot);
	m->block_of[slot] = ~0ull;
	m->nr_used--;
}

static void lookup_steps(struct model *m, struct rng *rng, unsigned int steps)
{
	while (steps--) {
		/* as often a neighbour: regions and shards are shared */
		u64 block = some_block(&m->f, rng);
		u32 slot = rng_below(rng, m->f.map.nr_slots);

		if (rng_below(rng, 2) && m->block_of[slot] != ~0ull)
			block = (m->block_of[slot] + 1) % m->f.g.nr_origin_blocks;
		if (rng_below(rng, 8) == 0 && m->block_of[slot] != ~0ull) {
			block = m->block_of[slot];
			model_unmap(m, slot);
		} else if (model_find(m, block) == SLOT_NONE) {
			check_block(m, block);
			model_insert(m, block);
		}
		check_block(m, block);
		check_block(m, some_block(&m->f, rng));
		CHECK_EQUAL(atomic64_read(&m->f.map.nr_used), m->nr_used);
		CHECK_EQUAL(atomic64_read(&m->f.map.nr_free), m->f.map.nr_slots - m->nr_used);
	}
}

static void test_lookup(void)
{
	struct rng rng = { 6 };
	unsigned int i;
	struct model m;
	u32 slot;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		empty(&m.f, &shapes[i]);
		m.nr_used = 0;
		m.block_of = malloc(m.f.map.nr_slots * sizeof(u64));
		memset(m.block_of, 0xff, m.f.map.nr_slots * sizeof(u64));
		lookup_steps(&m, &rng, min_t(u32, 2500, 20 * m.f.map.nr_slots));
		for (slot = 0; slot < m.f.map.nr_slots; slot++)
			if (m.block_of[slot] != ~0ull)
				check_block(&m, m.block_of[slot]);
		for (slot = 0; slot < m.f.map.nr_slots; slot++)
			if (m.block_of[slot] != ~0ull)
				model_unmap(&m, slot);
		CHECK_EQUAL(atomic64_read(&m.f.map.nr_used), 0);
		for (slot = 0; slot < m.f.map.nr_shards * m.f.map.heads_per_shard; slot++)
			CHECK_EQUAL(m.f.map.heads[slot], SLOT_NONE);
		free(m.block_of);
		fixture_free(&m.f);
	}
}

/* --- regions and shards --- */

static void check_region(const struct fixture *f, u64 sector)
{
	const struct slotmap *map = &f->map;
	u64 left = slotmap_region_left(map, sector), block = sector / f->g.block_sectors;
	u64 last = (sector + left - 1) / f->g.block_sectors, region = slotmap_region(map, block);

	CHECK(left);
	CHECK(left <= max(2048u, f->g.block_sectors));
	CHECK(sector + left <= f->g.origin_sectors);
	CHECK_EQUAL(slotmap_region(map, last), region);
	CHECK_EQUAL(slotmap_shard(map, last), slotmap_shard(map, block));
	CHECK(slotmap_shard(map, block) < map->nr_shards);
	if (sector + left < f->g.origin_sectors) {
		CHECK_EQUAL((sector + left) % f->g.block_sectors, 0);
		CHECK_EQUAL(slotmap_region(map, last + 1), region + 1);
	}
}

static void test_regions(void)
{
	struct rng rng = { 7 };
	unsigned int i, n;
	struct fixture f;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		u64 in_region;

		blank(&f, &shapes[i]);
		in_region = 1ull << f.map.region_shift;
		/* as large as it can be */
		CHECK(in_region == 1 || in_region * f.g.block_sectors <= 2048);
		CHECK(2 * in_region * f.g.block_sectors > 2048);
		check_region(&f, 0);
		check_region(&f, f.g.origin_sectors - 1);
		for (n = 0; n < 2000; n++) {
			u64 sector = rng_next(&rng) % f.g.origin_sectors;

			if (n % 2)
				sector = geometry_block_start(&f.g,
							      geometry_block_of(&f.g, sector));
			check_region(&f, sector);
		}
		fixture_free(&f);
	}
}

/* Neighbouring regions are not all of one shard. */
static void test_shards_spread(void)
{
	u32 seen[1024] = { 0 }, shard, most = 0;
	struct fixture f;
	u64 region;

	fixture_blank(&f, 32, 1ull << 30, 100000);
	CHECK_EQUAL(f.map.nr_shards, 1024);
	for (region = 0; region < 64 * 1024; region++)
		seen[slotmap_shard(&f.map, region << f.map.region_shift)]++;
	for (shard = 0; shard < 1024; shard++)
		most = max(most, seen[shard]);
	/* 64 on average */
	CHECK(most < 256);
	fixture_free(&f);
}

static void test_generation(void)
{
	u32 generation;
	struct fixture f;

	fixture_init(&f, 32, 1 << 20, 100);
	generation = shard_generation(&f.map, 5);
	CHECK(shard_unmoved(&f.map, 5, generation));
	shard_move_on(&f.map, 5);
	CHECK(!shard_unmoved(&f.map, 5, generation));

	/* two writes to the origin: during either nothing may be filled in, nor read for it */
	generation = shard_generation(&f.map, 5);
	shard_origin_write_begin(&f.map, 5);
	CHECK(!shard_unmoved(&f.map, 5, generation));
	CHECK(!shard_unmoved(&f.map, 5, shard_generation(&f.map, 5)));
	shard_origin_write_begin(&f.map, 6);
	generation = shard_generation(&f.map, 5);
	shard_origin_write_end(&f.map, 6);
	CHECK(!shard_unmoved(&f.map, 5, shard_generation(&f.map, 5)));
	shard_origin_write_end(&f.map, 5);
	CHECK(!shard_unmoved(&f.map, 5, generation));
	CHECK(shard_unmoved(&f.map, 5, shard_generation(&f.map, 5)));
	fixture_free(&f);
}

/* --- supply of free slots --- */

static void test_free_order(void)
{
	struct fixture f;
	u32 i;

	fixture_init(&f, 32, 1 << 20, 300);
	for (i = 0; i < 300; i++) {
		CHECK_EQUAL(atomic64_read(&f.map.nr_free), 300 - i);
		CHECK_EQUAL(slotmap_take_free(&f.map), i);
	}
	CHECK_EQUAL(slotmap_take_free(&f.map), SLOT_NONE);
	CHECK_EQUAL(atomic64_read(&f.map.nr_free), 0);
	slotmap_give_back(&f.map, 200);
	slotmap_give_back(&f.map, 7);
	slotmap_give_back(&f.map, 8);
	CHECK_EQUAL(atomic64_read(&f.map.nr_free), 3);
	/* onwards, from the start again at the end */
	CHECK_EQUAL(slotmap_take_free(&f.map), 7);
	slotmap_give_back(&f.map, 3);
	CHECK_EQUAL(slotmap_take_free(&f.map), 8);
	CHECK_EQUAL(slotmap_take_free(&f.map), 200);
	CHECK_EQUAL(slotmap_take_free(&f.map), 3);
	CHECK_EQUAL(slotmap_take_free(&f.map), SLOT_NONE);
	fixture_free(&f);
}

static void test_usable(void)
{
	struct fixture f;
	u64 block;
	u32 i;

	fixture_blank(&f, 32, 1 << 20, 300);
	CHECK_EQUAL(slotmap_load_end(&f.map, 126, &block), 0);
	CHECK_EQUAL(atomic64_read(&f.map.nr_free), 126);
	for (i = 0; i < 126; i++)
		CHECK_EQUAL(slotmap_take_free(&f.map), i);
	CHECK_EQUAL(slotmap_take_free(&f.map), SLOT_NONE);
	slotmap_give_back(&f.map, 125);
	slotmap_set_usable(&f.map, 252);
	CHECK_EQUAL(atomic64_read(&f.map.nr_free), 127);
	slotmap_set_usable(&f.map, 252);
	CHECK_EQUAL(atomic64_read(&f.map.nr_free), 127);
	for (i = 126; i < 252; i++)
		CHECK_EQUAL(slotmap_take_free(&f.map), i);
	CHECK_EQUAL(slotmap_take_free(&f.map), 125);
	CHECK_EQUAL(slotmap_take_free(&f.map), SLOT_NONE);
	/* the last table page has room for more than there are */
	slotmap_set_usable(&f.map, 378);
	CHECK_EQUAL(f.map.usable_slots, 300);
	for (i = 252; i < 300; i++)
		CHECK_EQUAL(slotmap_take_free(&f.map), i);
	CHECK_EQUAL(slotmap_take_free(&f.map), SLOT_NONE);
	CHECK_EQUAL(atomic64_read(&f.map.nr_free), 0);
	fixture_free(&f);
}

/* --- intents --- */

static void test_intent_groups(void)
{
	u64 page, group, mask, whole = grain_mask(0, LARDER_ENTRIES_PER_PAGE / 2 - 1);
	u32 slot, next = 0;

	for (page = 0; page < 5; page++) {
		mask = 0;
		for (group = page * INTENT_GROUPS_PER_PAGE;
		     group < (page + 1) * INTENT_GROUPS_PER_PAGE; group++) {
			CHECK_EQUAL(intent_group_page(group), page);
			CHECK_EQUAL(intent_group_start(group), next);
			CHECK(intent_group_end(group) > next);
			CHECK(intent_group_end(group) <= next + INTENT_GROUP_SLOTS);
			CHECK(!(mask & intent_group_mask(group)));
			mask |= intent_group_mask(group);
			for (slot = next; slot < intent_group_end(group); slot++) {
				u32 in_page = slot % LARDER_ENTRIES_PER_PAGE;

				CHECK_EQUAL(slot_intent_group(slot), group);
				CHECK_EQUAL(geometry_table_page(slot), page);
				CHECK(intent_group_mask(group) >>
				      in_page / LARDER_SLOTS_PER_INTENT_BIT & 1);
			}
			CHECK_EQUAL(hweight64(intent_group_mask(group)) *
				    LARDER_SLOTS_PER_INTENT_BIT, slot - next);
			next = slot;
		}
		CHECK_EQUAL(next, (page + 1) * LARDER_ENTRIES_PER_PAGE);
		CHECK_EQUAL(mask, whole);
	}
}

/* --- loading --- */

static struct larder_entry entry_of(u64 block, u64 valid, u64 dirty)
{
	return (struct larder_entry){
		.block_flags = cpu_to_le64(block | LARDER_ENTRY_USED),
		.valid = cpu_to_le64(valid),
		.dirty = cpu_to_le64(dirty),
	};
}

static int load(struct fixture *f, u32 slot, u64 block, u64 valid, u64 dirty)
{
	struct larder_entry entry = entry_of(block, valid, dirty);

	return slotmap_load_entry(&f->map, slot, &entry);
}

static void check_masks(const struct fixture *f, u32 slot, u64 valid, u64 dirty)
{
	CHECK_EQUAL(slot_valid(&f->map, slot), valid);
	CHECK_EQUAL(slot_dirty(&f->map, slot), dirty);
}

static void test_load(void)
{
	static const struct larder_entry nothing;
	struct fixture f;
	u64 block;

	fixture_blank(&f, 128, 128 * 1000 + 8, 300);
	CHECK_EQUAL(load(&f, 3, 1000, 1, 0), 0);
	CHECK_EQUAL(load(&f, 300, 5, 1, 0), -EUCLEAN);
	/* beyond the origin, which may have been longer then */
	CHECK_EQUAL(load(&f, 4, 1001, 1, 0), 0);
	CHECK_EQUAL(load(&f, 4, LARDER_BLOCK_MASK, 1, 0), 0);
	CHECK_EQUAL(slotmap_load_entry(&f.map, 4, &nothing), 0);
	/* the last one counts, also when that is free, or used again */
	CHECK_EQUAL(load(&f, 10, 10, 0xffff, 0xf0f0), 0);
	CHECK_EQUAL(load(&f, 10, 11, 0x00ff, 0x0001), 0);
	CHECK_EQUAL(load(&f, 20, 20, 0xffff, 0xffff), 0);
	CHECK_EQUAL(slotmap_load_entry(&f.map, 20, &nothing), 0);
	CHECK_EQUAL(load(&f, 21, 21, 0xffff, 0xffff), 0);
	CHECK_EQUAL(slotmap_load_entry(&f.map, 21, &nothing), 0);
	CHECK_EQUAL(load(&f, 21, 20, 0x0100, 0), 0);
	CHECK_EQUAL(slotmap_load_end(&f.map, 126, &block), 0);
	CHECK_EQUAL(slotmap_find(&f.map, 1000), 3);
	CHECK_EQUAL(slotmap_find(&f.map, 11), 10);
	CHECK_EQUAL(slotmap_find(&f.map, 10), SLOT_NONE);
	CHECK_EQUAL(slotmap_find(&f.map, 20), 21);
	CHECK_EQUAL(slotmap_find(&f.map, 21), SLOT_NONE);
	check_masks(&f, 10, 0xff, 1);
	check_masks(&f, 20, 0, 0);
	check_masks(&f, 21, 0x100, 0);
	CHECK_EQUAL(state_of(&f.map, 10), SLOT_VALID);
	CHECK_EQUAL(state_of(&f.map, 20), SLOT_FREE);
	CHECK_EQUAL(atomic64_read(&f.map.nr_used), 3);
	CHECK_EQUAL(atomic64_read(&f.map.nr_dirty), 1);
	CHECK_EQUAL(atomic64_read(&f.map.nr_free), 123);
	CHECK_EQUAL(hbitmap_next(&f.map.dirty_regions, 0), slotmap_region(&f.map, 11));
	CHECK(hbitmap_next(&f.map.changed, 0) == HBITMAP_NONE);
	/* what is used is not handed out */
	CHECK_EQUAL(slotmap_take_free(&f.map), 0);
	CHECK_EQUAL(slotmap_take_free(&f.map), 1);
	CHECK_EQUAL(slotmap_take_free(&f.map), 2);
	CHECK_EQUAL(slotmap_take_free(&f.map), 4);
	fixture_free(&f);
}

/* The end of an origin that has shrunk: fewer grains, and the counts that go with them. */
static void check_trim(u32 block_sectors)
{
	struct fixture f;
	u64 block;

	fixture_blank(&f, block_sectors, block_sectors * 1000, 300);
	CHECK_EQUAL(load(&f, 7, 70, 0xf, 0x3), 0);
	CHECK_EQUAL(load(&f, 8, 80, 0xf, 0), 0);
	CHECK_EQUAL(load(&f, 9, 90, 0xff, 0xf0), 0);
	CHECK_EQUAL(slotmap_load_end(&f.map, 300, &block), 0);
	slotmap_trim(&f.map, 7, 0xf);
	CHECK(hbitmap_next(&f.map.changed, 0) == HBITMAP_NONE);
	slotmap_trim(&f.map, 9, 0x1f);
	check_masks(&f, 7, 0xf, 0x3);
	check_masks(&f, 9, 0x1f, 0x10);
	CHECK_EQUAL(hbitmap_next(&f.map.changed, 0), 9);
	CHECK_EQUAL(atomic64_read(&f.map.nr_dirty), 2);
	slotmap_trim(&f.map, 9, 0xf);
	slotmap_trim(&f.map, 8, 0x1);
	check_masks(&f, 9, 0xf, 0);
	CHECK_EQUAL(atomic64_read(&f.map.nr_dirty), 1);
	CHECK_EQUAL(hbitmap_next(&f.map.changed, 0), 8);
	fixture_free(&f);
}

static void test_trim(void)
{
	check_trim(128);
	check_trim(512);
}

static bool same_bit(const struct hbitmap *a, const struct hbitmap *b, unsigned long bit)
{
	return hbitmap_test(a, bit) == hbitmap_test(b, bit);
}

static void check_same_slot(const struct slotmap *map, const struct slotmap *old, u32 slot)
{
	u64 group = slot_intent_group(slot);

	CHECK_EQUAL(slot_word(map, slot), slot_word(old, slot));
	CHECK_EQUAL(slot_valid(map, slot), slot_valid(old, slot));
	CHECK_EQUAL(slot_dirty(map, slot), slot_dirty(old, slot));
	CHECK_EQUAL(map->slots[slot].heat, old->slots[slot].heat);
	CHECK_EQUAL(map->slots[slot].unsynced_fill, old->slots[slot].unsynced_fill);
	CHECK(same_bit(&map->changed, &old->changed, slot));
	CHECK(same_bit(&map->lazy, &old->lazy, slot));
	CHECK(same_bit(&map->free, &old->free, slot));
	CHECK(same_bit(&map->intent_live, &old->intent_live, group));
	CHECK(same_bit(&map->intent_wanted, &old->intent_wanted, group));
	CHECK(same_bit(&map->intent_used, &old->intent_used, group));
	if (state_of(old, slot) == SLOT_FREE)
		return;
	CHECK_EQUAL(slotmap_find(map, slot_block(&old->slots[slot])), slot);
	CHECK(!slot_dirty(map, slot) ||
	      hbitmap_test(&map->dirty_regions,
			   slotmap_region(map, slot_block(&old->slots[slot]))));
}

/* All that a map holds is in the one that takes over, and what has been added is free. */
static void check_grow(u32 block_sectors, u32 nr, u32 more, u64 origin_blocks)
{
	struct fixture f, big;
	struct rng rng = { nr + more };
	u32 slot, i, usable = nr > 200 ? 126 : nr;
	u64 all, block;

	fixture_blank(&f, block_sectors, block_sectors * 10000ull, nr);
	CHECK_EQUAL(slotmap_load_end(&f.map, usable, &block), 0);
	all = geometry_all_grains(&f.g);
	for (i = 0; i < usable * 2 / 3; i++) {
		u64 valid = rng_next(&rng) & all;

		slot = fixture_slot(&f, rng_below(&rng, 4) ? SLOT_VALID : SLOT_FORGETTING, valid,
				    0);
		if (state_of(&f.map, slot) == SLOT_VALID && rng_below(&rng, 2))
			slot_written(&f.map, slot, ~valid & rng_next(&rng) & all);
		if (!rng_below(&rng, 3))
			slot_filled(&f.map, slot, rng_next(&rng) & all, false);
		f.map.slots[slot].heat = rng_below(&rng, 4);
		if (!rng_below(&rng, 4))
			hbitmap_set(&f.map.intent_live, slot_intent_group(slot));
		if (!rng_below(&rng, 4))
			hbitmap_set(&f.map.intent_wanted, slot_intent_group(slot));
	}
	fixture_blank(&big, block_sectors, block_sectors * origin_blocks, nr + more);
	slotmap_grow(&big.map, &f.map);
	for (slot = 0; slot < nr; slot++)
		check_same_slot(&big.map, &f.map, slot);
	CHECK_EQUAL(atomic64_read(&big.map.nr_used), atomic64_read(&f.map.nr_used));
	CHECK_EQUAL(atomic64_read(&big.map.nr_dirty), atomic64_read(&f.map.nr_dirty));
	CHECK_EQUAL(atomic64_read(&big.map.nr_free), atomic64_read(&f.map.nr_free));
	CHECK_EQUAL(big.map.intent_kind, f.map.intent_kind);
	CHECK_EQUAL(slotmap_find(&big.map, f.next_block), SLOT_NONE);
	/* what was free and what has been added, each once */
	slotmap_set_usable(&big.map, nr + more);
	CHECK_EQUAL(atomic64_read(&big.map.nr_free), nr + more - usable * 2 / 3);
	for (i = nr + more - usable * 2 / 3; i; i--) {
		slot = slotmap_take_free(&big.map);
		CHECK(slot < nr + more && state_of(&big.map, slot) == SLOT_FREE);
		CHECK(!slot_valid(&big.map, slot) && !slot_dirty(&big.map, slot));
	}
	CHECK_EQUAL(slotmap_take_free(&big.map), SLOT_NONE);
	fixture_free(&f);
	fixture_free(&big);
}

static void test_grow(void)
{
	static const u32 block_sectors[] = { 8, 128, 512 };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(block_sectors); i++) {
		check_grow(block_sectors[i], 3, 1, 10000);
		check_grow(block_sectors[i], 126, 0, 20000);
		check_grow(block_sectors[i], 126, 126, 10000);
		check_grow(block_sectors[i], 300, 5000, 3000);
		check_grow(block_sectors[i], 4000, 1, 40000);
	}
}

static void test_load_damage(void)
{
	struct fixture f;
	u64 block = 0;

	fixture_blank(&f, 128, 128 * 1000, 300);
	CHECK_EQUAL(load(&f, 3, 77, 1, 0), 0);
	CHECK_EQUAL(load(&f, 4, 78, 1, 0), 0);
	CHECK_EQUAL(load(&f, 299, 77, 1, 0), 0);
	CHECK_EQUAL(slotmap_load_end(&f.map, 300, &block), -EUCLEAN);
	CHECK_EQUAL(block, 77);
	fixture_free(&f);

	fixture_blank(&f, 128, 128 * 1000, 300);
	CHECK_EQUAL(load(&f, 125, 5, 1, 0), 0);
	CHECK_EQUAL(load(&f, 126, 6, 1, 0), 0);
	CHECK_EQUAL(slotmap_load_end(&f.map, 126, &block), -EUCLEAN);
	CHECK_EQUAL(block, 6);
	fixture_free(&f);

	fixture_blank(&f, 128, 128 * 1000 + 8, 300);
	CHECK_EQUAL(load(&f, 3, 1000, 1, 0), 0);
	CHECK_EQUAL(load(&f, 4, 1001, 1, 0), 0);
	CHECK_EQUAL(slotmap_load_end(&f.map, 300, &block), -EUCLEAN);
	CHECK_EQUAL(block, 1001);
	fixture_free(&f);
}

/* 16 grains and 64: loads random entries and intents, and compares each slot. */
static void check_intent(u32 block_sectors, u8 intent, struct rng *rng)
{
	u64 valid[300], dirty[300], slots[3], all, block;
	bool used[300], live, changed;
	u32 slot, nr_dirty = 0;
	struct fixture f;

	fixture_blank(&f, block_sectors, 1ull << 24, 300);
	all = geometry_all_grains(&f.g);
	for (slot = 0; slot < 300; slot++) {
		used[slot] = rng_below(rng, 4);
		valid[slot] = rng_next(rng) & all;
		dirty[slot] = rng_below(rng, 3) ? rng_next(rng) & valid[slot] : 0;
		if (used[slot])
			CHECK_EQUAL(load(&f, slot, slot * 3, valid[slot], dirty[slot]), 0);
	}
	for (block = 0; block < 3; block++) {
		slots[block] = rng_next(rng) & grain_mask(0, 62);
		slotmap_load_intent(&f.map, block, intent, slots[block]);
	}
	CHECK_EQUAL(slotmap_load_end(&f.map, 300, &block), 0);
	for (slot = 0; slot < 300; slot++) {
		live = intent != LARDER_INTENT_NONE && slots[slot / 126] >> slot % 126 / 2 & 1;
		changed = used[slot] && live && valid[slot] != dirty[slot];
		if (live && intent == LARDER_INTENT_WRITE_BACK)
			dirty[slot] = valid[slot];
		else if (live)
			valid[slot] = dirty[slot];
		check_masks(&f, slot, used[slot] ? valid[slot] : 0, used[slot] ? dirty[slot] : 0);
		CHECK_EQUAL(hbitmap_test(&f.map.changed, slot), changed);
		CHECK(!live || hbitmap_test(&f.map.intent_live, slot_intent_group(slot)));
		CHECK(intent != LARDER_INTENT_NONE ||
		      !hbitmap_test(&f.map.intent_live, slot_intent_group(slot)));
		nr_dirty += used[slot] && dirty[slot];
		CHECK_EQUAL(slotmap_find(&f.map, slot * 3), used[slot] ? slot : SLOT_NONE);
	}
	CHECK_EQUAL(atomic64_read(&f.map.nr_dirty), nr_dirty);
	fixture_free(&f);
}

static void test_load_intent(void)
{
	static const u32 block_sectors[] = { 8, 32, 128, 1024 };
	struct rng rng = { 8 };
	unsigned int i;
	int n;

	for (i = 0; i < ARRAY_SIZE(block_sectors); i++) {
		for (n = 0; n < 20; n++) {
			check_intent(block_sectors[i], LARDER_INTENT_NONE, &rng);
			check_intent(block_sectors[i], LARDER_INTENT_WRITE_BACK, &rng);
			check_intent(block_sectors[i], LARDER_INTENT_WRITE_THROUGH, &rng);
		}
	}
}

static const struct unit_test tests[] = {
	{ "memory", test_memory },
	{ "lookup", test_lookup },
	{ "regions", test_regions },
	{ "shards spread", test_shards_spread },
	{ "generation", test_generation },
	{ "order of free slots", test_free_order },
	{ "usable slots", test_usable },
	{ "intent groups", test_intent_groups },
	{ "load", test_load },
	{ "trim", test_trim },
	{ "grow", test_grow },
	{ "load damaged metadata", test_load_damage },
	{ "load intents", test_load_intent },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
