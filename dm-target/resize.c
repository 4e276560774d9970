// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that have other sizes than when the cache was last active.
 *
 * A cache always comes up with the sizes that its metadata know; then, before
 * the first request, it is fitted to what there is.  All records are made to
 * fit the old and the new sizes, and are committed; then one superblock write
 * makes the new sizes count, then the map in memory grows.  So it is the same
 * for a new table, a plain resume and an activation after a crash, and a power
 * cut leaves the old sizes or the new ones.
 *
 * Origin: blocks that it no longer has are refused; only a cache at work, which
 * knows its origin, drops those that are clean.  A last block that ended within
 * a grain needs care, because a grain is valid as far as the origin went, and
 * behind that its slot holds whatever was there before.
 *
 * Cache device: what has been added is used as far as the slot table has room
 * on the metadata device.  Slots are never taken away.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "larder.h"

/* Only the clean ones are beyond the end of the origin of a cache at work? */
static bool may_be_dropped(const struct larder_scan *scan)
{
	u32 slot;

	for_each_set_bit(slot, scan->beyond, scan->nr_slots)
		if (test_bit(slot, scan->dirty) || test_bit(slot, scan->intent))
			return false;
	return true;
}

/* The origin has shrunk; is anything cached that it no longer has? */
static int check_shrunk(struct larder_cache *c, char **error)
{
	struct larder_scan scan;
	bool fits;
	int err = larder_scan(c, &scan, error);

	if (err)
		return err;
	fits = find_first_bit(scan.beyond, scan.nr_slots) >= scan.nr_slots ||
	       (larder_has_twin(c) && may_be_dropped(&scan));
	larder_scan_free(&scan);
	if (fits)
		return 0;
	*error = "Origin is smaller than what is cached of it";
	DMERR("%s: origin has %llu sectors, but sectors up to %llu are cached: give it its size back, or remove the cache first",
	      dm_table_device_name(c->ti->table), (u64)c->ti->len,
	      scan.end * c->geometry.block_sectors);
	return -EINVAL;
}

/* Sectors from the origin to the same place in the slot. */
static int copy_tail(struct larder_cache *c, u32 slot, u64 block, u64 from, u64 to)
{
	u64 shift = geometry_slot_start(&c->geometry, slot) -
		    geometry_block_start(&c->geometry, block);
	struct larder_tuples *tuples = c->pi_kept ? larder_tuples_alloc(c, 1, GFP_NOIO) : NULL;
	struct page *page = alloc_page(GFP_NOIO);
	struct larder_transfer t;
	blk_status_t status = page && (tuples || !c->pi_kept) ? BLK_STS_OK : BLK_STS_RESOURCE;
	u32 n;

	for (; from < to && !status; from += n) {
		n = min_t(u64, to - from, PAGE_SIZE >> SECTOR_SHIFT);
		larder_transfer_init(c, &t, tuples, from);
		larder_transfer(c, &t, c->origin_dev, REQ_OP_READ, from, n, &page, 0);
		status = larder_transfer_wait(&t);
		if (status)
			break;
		larder_transfer_init(c, &t, tuples, from);
		larder_transfer(c, &t, c->cache_dev, REQ_OP_WRITE, from + shift, n, &page, 0);
		status = larder_transfer_wait(&t);
	}
	if (page)
		__free_page(page);
	larder_tuples_free(tuples);
	return blk_status_to_errno(status);
}

int larder_check_cache_size(struct larder_cache *c, char **error)
{
	u64 sectors = bdev_nr_sectors(c->cache_dev->bdev);
	u64 used = c->geometry.nr_slots * c->geometry.block_sectors;

	if (used <= sectors)
		return 0;
	*error = "Cache device is smaller than what the cache uses of it";
	DMERR("%s: cache device has %llu sectors, the cache uses %llu: give it its size back",
	      dm_table_device_name(c->ti->table), sectors, used);
	return -EINVAL;
}

/* What the cache's geometry becomes with the devices and the table as they are. */
static void fit(struct larder_cache *c, struct geometry *g, u64 *units_needed)
{
	*g = c->geometry;
	geometry_grow(g, bdev_nr_sectors(c->cache_dev->bdev),
		      bdev_nr_sectors(c->metadata_dev->bdev) / LARDER_UNIT_SECTORS, units_needed);
	geometry_set_origin(g, c->ti->len);
}

/* Constructor: the sizes with which the cache will come up; refuses what can be told already. */
int larder_expect_sizes(struct larder_cache *c, char **error)
{
	u64 before = c->geometry.origin_sectors, needed;
	struct geometry g;

	fit(c, &g, &needed);
	c->geometry = g;
	if (g.nr_origin_blocks > LARDER_BLOCK_MASK) {
		*error = "Too many blocks: use larger chunks";
		return -EINVAL;
	}
	return g.origin_sectors < before ? check_shrunk(c, error) : 0;
}

static u64 blocks_now(const struct larder_cache *c)
{
	return DIV_ROUND_UP_ULL(c->ti->len, c->geometry.block_sectors);
}

static bool is_beyond(const struct larder_cache *c, u32 slot)
{
	enum slot_state state = word_state(slot_word(&c->map, slot));

	return state != SLOT_FREE && state != SLOT_FORGETTING &&
	       slot_block(&c->map.slots[slot]) >= blocks_now(c);
}

/* Does the origin still have all blocks that are dirty? */
int larder_check_end(struct larder_cache *c)
{
	u32 slot;

	if (blocks_now(c) >= c->geometry.nr_origin_blocks)
		return 0;
	for (slot = 0; slot < c->map.nr_slots; slot++) {
		if (!is_beyond(c, slot) || !slot_dirty(&c->map, slot))
			continue;
		DMERR("%s: origin is smaller than what is dirty of it: give it its size back, or remove the cache first",
		      dm_table_device_name(c->ti->table));
		return -EINVAL;
	}
	return 0;
}

/* What is clean; also what the constructor did not find in the metadata, being recorded since. */
static int forget_beyond(struct larder_cache *c)
{
	struct larder_forget_batch *batch;
	u32 slot = 0;

	while (slot < c->map.nr_slots) {
		batch = kzalloc(sizeof(*batch), GFP_NOIO);
		if (!batch)
			return -ENOMEM;
		batch->why = POLICY_REMOVED_DROPPED;
		for (; slot < c->map.nr_slots && batch->nr < ARRAY_SIZE(batch->slots); slot++)
			if (is_beyond(c, slot) &&
			    slot_change(&c->map, slot, SLOT_VALID, SLOT_FORGETTING,
					NO_WRITERS | NO_READERS, NULL))
				batch->slots[batch->nr++] = slot;
		atomic_add(batch->nr, &c->forgets_pending);
		larder_commit_forget(c, batch);
	}
	return 0;
}

static int complete_grain(struct larder_cache *c, u32 slot, u64 block, u64 from, u64 to)
{
	/* what becomes part of a clean grain must be durable on the origin (I4) */
	int err = larder_flush_devices(c, DEVICE_ORIGIN);

	if (!err)
		err = copy_tail(c, slot, block, from, to);
	return err ?: larder_flush_devices(c, DEVICE_CACHE);
}

/*
 * The end of the origin, in memory and on the cache device: drops what a
 * shorter last block no longer has, completes the last grain of one that has
 * grown.  The metadata still have the old size: after a crash it is done again.
 */
int larder_settle_end(struct larder_cache *c)
{
	const struct geometry *g = &c->geometry;
	u64 before = g->origin_sectors, now = c->ti->len, end = min(before, now);
	u64 block = geometry_block_of(g, end), start = geometry_block_start(g, block);
	u32 slot, offset = end - start, grain = offset >> g->grain_shift;
	int err = blocks_now(c) < g->nr_origin_blocks ? forget_beyond(c) : 0;

	if (err || before == now || !offset)
		return err;
	slot = slotmap_find(&c->map, block);
	if (slot == SLOT_NONE)
		return 0;
	if (now < before) {
		slotmap_trim(&c->map, slot, geometry_touched(g, 0, offset));
		return 0;
	}
	if (!(offset & (g->grain_sectors - 1)) || !(slot_valid(&c->map, slot) >> grain & 1))
		return 0;
	return complete_grain(c, slot, block, end,
			      min_t(u64, now, start + ((u64)(grain + 1) << g->grain_shift)));
}

static void tell_room(struct larder_cache *c, const struct geometry *g, u64 units_needed)
{
	if (units_needed > g->metadata_units)
		DMWARN("%s: only %llu sectors of the cache device are used: for all of its %llu, the metadata device must have %llu sectors, it has %llu",
		       dm_table_device_name(c->ti->table), g->nr_slots * g->block_sectors,
		       (u64)bdev_nr_sectors(c->cache_dev->bdev), units_needed * LARDER_UNIT_SECTORS,
		       (u64)bdev_nr_sectors(c->metadata_dev->bdev));
}

/* Makes the new sizes count, in the superblock first. */
static int change(struct larder_cache *c, const struct geometry *g, const struct larder_map *m)
{
	int err = larder_run_operation(c, metadata_resize_begin(c->metadata, g));
	struct larder_map map;

	if (err)
		return err;
	if (g->nr_slots > c->geometry.nr_slots)
		DMINFO("%s: the cache grows from %llu to %llu blocks of %u KiB",
		       dm_table_device_name(c->ti->table), c->geometry.nr_slots, g->nr_slots,
		       g->block_sectors / 2);
	if (m) {
		map = *m;
		map.map.g = g;
		slotmap_grow(&map.map, &c->map);
		larder_map_install(c, &map);
	}
	c->geometry = *g;
	slotmap_set_usable(&c->map, metadata_formatted_slots(c->metadata));
	return 0;
}

/* When all records fit; the worker rests. */
int larder_resize(struct larder_cache *c, bool anew)
{
	struct geometry g, *old = &c->geometry;
	struct larder_map m;
	u64 needed;
	int err;

	fit(c, &g, &needed);
	if (anew || memcmp(&g, old, sizeof(g)))
		tell_room(c, &g, needed);
	if (!memcmp(&g, old, sizeof(g)) &&
	    le64_to_cpu(metadata_super(c->metadata)->metadata_units) == g.metadata_units)
		return 0;
	if (g.nr_slots == old->nr_slots && g.nr_origin_blocks == old->nr_origin_blocks)
		return change(c, &g, NULL);
	err = larder_map_alloc(c, &g, &m);
	if (err && g.origin_sectors == old->origin_sectors) {
		DMWARN("%s: the cache stays as it is, for want of memory",
		       dm_table_device_name(c->ti->table));
		return 0;
	}
	if (err)
		return err;
	err = change(c, &g, &m);
	if (err)
		larder_map_free(&m);
	return err;
}
