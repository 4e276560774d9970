// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes slot maps for tests, see maps.h.
 */
#include "maps.h"
#include "unit.h"

void geometry_make(struct geometry *g, u32 block_sectors, u64 origin_sectors, u64 nr_slots)
{
	memset(g, 0, sizeof(*g));
	g->chunk_sectors = block_sectors;
	g->block_sectors = block_sectors;
	g->grain_sectors = 8;
	while (g->grain_sectors * 64 < block_sectors)
		g->grain_sectors *= 2;
	g->grain_shift = (u32)ilog2(g->grain_sectors);
	g->grains_per_block = DIV_ROUND_UP(block_sectors, g->grain_sectors);
	g->block_shift = is_power_of_2(block_sectors) ? (u32)ilog2(block_sectors) : 0;
	g->nr_slots = nr_slots;
	g->cache_sectors = nr_slots * block_sectors;
	g->table_pages = DIV_ROUND_UP(nr_slots, LARDER_ENTRIES_PER_PAGE);
	geometry_set_origin(g, origin_sectors);
}

void fixture_blank(struct fixture *f, u32 block_sectors, u64 origin_sectors, u64 nr_slots)
{
	size_t bytes;

	memset(f, 0, sizeof(*f));
	geometry_make(&f->g, block_sectors, origin_sectors, nr_slots);
	bytes = slotmap_bytes(&f->g);
	if (posix_memalign(&f->memory, 4096, bytes))
		abort();
	memset(f->memory, 0, bytes);
	slotmap_init(&f->map, &f->g, f->memory);
	f->map.intent_kind = LARDER_INTENT_WRITE_BACK;
	f->map.heat_max = 3;
}

void fixture_init(struct fixture *f, u32 block_sectors, u64 origin_sectors, u64 nr_slots)
{
	u64 block;

	fixture_blank(f, block_sectors, origin_sectors, nr_slots);
	CHECK_EQUAL(slotmap_load_end(&f->map, nr_slots, &block), 0);
}

void fixture_free(struct fixture *f)
{
	free(f->memory);
	f->memory = NULL;
}

u32 fixture_slot(struct fixture *f, enum slot_state state, u64 valid, u64 dirty)
{
	struct slotmap *map = &f->map;
	u32 slot = slotmap_take_free(map);

	CHECK(slot != SLOT_NONE);
	CHECK(f->next_block < f->g.nr_origin_blocks);
	slot_insert(map, slot, f->next_block++, SLOT_VALID, 0);
	slot_filled(map, slot, valid & ~dirty, true);
	slot_written(map, slot, dirty);
	hbitmap_clear(&map->changed, slot);
	hbitmap_clear(&map->lazy, slot);
	if (state != SLOT_VALID)
		CHECK(slot_change(map, slot, SLOT_VALID, state, NO_WRITERS | NO_READERS, NULL));
	return slot;
}
