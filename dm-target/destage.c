// SPDX-License-Identifier: GPL-2.0-only
/*
 * Out of the cache: write-back.  Regions with dirty blocks are visited in
 * origin order, round and round; the dirty grains of a region are read into a
 * buffer at their origin positions, so that neighbours leave it in one write.
 * After some regions the origin is flushed and the blocks are recorded clean
 * (I4, in commit.c).  A block that was written meanwhile just stays dirty.
 *
 * Pace: in earnest when the cache is a cleaner, more than half dirty, out of
 * free slots or idle; below that, the less is dirty the longer the pauses, in
 * proportion to how long the origin takes.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "larder.h"

#define WINDOW_PAGES	256
#define WINDOW_SECTORS	((u32)(WINDOW_PAGES << (PAGE_SHIFT - SECTOR_SHIFT)))
#define UNIT_SECTORS	8u		/* of the window's map: all grains are multiples */
#define WINDOW_UNITS	(WINDOW_SECTORS / UNIT_SECTORS)
#define BATCH_ENTRIES	1024
#define BATCH_REGIONS	32
#define DIRTY_LOW	10		/* percent of all slots */
#define DIRTY_HIGH	50

struct destage {
	u64 cursor;			/* region to look at next */
	unsigned long backoff;		/* jiffies to wait after an error */
	unsigned long last_duration;	/* of a batch, jiffies */
	struct page *pages[WINDOW_PAGES];
	struct larder_tuples *tuples;	/* of the pages, or NULL */
	DECLARE_BITMAP(have, WINDOW_UNITS);
	struct destage_batch *batch;
};

/*
 * Takes the dirty blocks of a region that nobody is writing, nor, unless it is
 * urgent, has just been writing: into the batch, DESTAGING.
 */
static void region_begin(struct larder_cache *c, u64 region, bool urgent)
{
	struct destage_batch *batch = c->destage->batch;
	u64 block = region << c->map.region_shift;
	u64 end = min(block + (1ull << c->map.region_shift), c->geometry.nr_origin_blocks);
	struct larder_shard *sh = shard_of(c, block);
	bool left = false;

	hbitmap_clear(&c->map.dirty_regions, region);
	spin_lock_irq(&sh->lock);
	for (; block < end; block++) {
		struct destage_entry *e = &batch->entries[batch->nr];
		u32 slot = slotmap_find(&c->map, block);

		if (slot == SLOT_NONE || !slot_dirty(&c->map, slot))
			continue;
		if (batch->nr == BATCH_ENTRIES || (!urgent && slot_written_lately(&c->map, slot)) ||
		    !slot_destage_begin(&c->map, slot, &e->grains, &e->version)) {
			left = true;
			continue;
		}
		e->slot = slot;
		e->block = block;
		e->failed = false;
		batch->nr++;
	}
	spin_unlock_irq(&sh->lock);
	if (left)
		hbitmap_set(&c->map.dirty_regions, region);
}

static void window_read_entry(struct larder_cache *c, struct larder_transfer *t,
			      const struct destage_entry *e, u64 start)
{
	u64 block_start = geometry_block_start(&c->geometry, e->block);
	u32 offset, sectors, next = 0;

	while (request_grain_run(&c->geometry, e->block, e->grains, next, &offset, &sectors,
				 &next)) {
		u64 from = max(block_start + offset, start);
		u64 to = min(block_start + offset + sectors, start + WINDOW_SECTORS);

		if (from >= to)
			continue;
		bitmap_set(c->destage->have, (from - start) / UNIT_SECTORS,
			   DIV_ROUND_UP(to - from, UNIT_SECTORS));
		larder_transfer(c, t, c->cache_dev, REQ_OP_READ,
				geometry_slot_start(&c->geometry, e->slot) + from - block_start,
				to - from, c->destage->pages, (from - start) << SECTOR_SHIFT);
	}
}

/* Reads what entries have in this window of the origin, and writes it there. */
static blk_status_t window_copy(struct larder_cache *c, const struct destage_entry *entries,
				u32 nr, u64 start)
{
	struct destage *d = c->destage;
	struct larder_transfer t;
	unsigned int unit, end;
	blk_status_t status;
	u32 i;

	bitmap_zero(d->have, WINDOW_UNITS);
	larder_transfer_init(c, &t, d->tuples, start);
	for (i = 0; i < nr; i++)
		window_read_entry(c, &t, &entries[i], start);
	status = larder_transfer_wait(&t);
	if (status == BLK_STS_PROTECTION)
		count(c, COUNT_PI_ERROR);
	if (status)
		return status;

	larder_transfer_init(c, &t, d->tuples, start);
	for_each_set_bitrange(unit, end, d->have, WINDOW_UNITS) {
		u64 from = start + (u64)unit * UNIT_SECTORS;
		u64 to = min(start + (u64)end * UNIT_SECTORS, c->geometry.origin_sectors);

		count(c, COUNT_ORIGIN_WRITES);
		count_by(c, COUNT_ORIGIN_SECTORS_WRITTEN, to - from);
		larder_transfer(c, &t, c->origin_dev, REQ_OP_WRITE, from, to - from, d->pages,
				(from - start) << SECTOR_SHIFT);
	}
	status = larder_transfer_wait(&t);
	count(c, COUNT_WRITES_ORIGIN);
	return status;
}

/* The entries are of this region. */
static blk_status_t entries_copy(struct larder_cache *c, u64 region,
				 const struct destage_entry *entries, u32 nr)
{
	u64 start = geometry_block_start(&c->geometry, region << c->map.region_shift);
	u64 end = start + slotmap_region_left(&c->map, start);
	blk_status_t status = BLK_STS_OK;

	for (; start < end && !status; start += WINDOW_SECTORS)
		status = window_copy(c, entries, nr, start);
	return status;
}

static void stays_dirty(struct larder_cache *c, const struct destage_entry *e)
{
	struct larder_shard *sh = shard_of(c, e->block);

	DMWARN_LIMIT("%s: destage of the block at sector %llu failed: it stays dirty",
		     dm_table_device_name(c->ti->table),
		     geometry_block_start(&c->geometry, e->block));
	spin_lock_irq(&sh->lock);
	slot_change(&c->map, e->slot, SLOT_DESTAGING, SLOT_VALID, 0, NULL);
	spin_unlock_irq(&sh->lock);
	larder_wake(c, e->block);
}

/* Such an error of one block must not keep its neighbours dirty for ever. */
static bool of_single_sectors(blk_status_t status)
{
	return status == BLK_STS_PROTECTION || status == BLK_STS_MEDIUM;
}

/* The batch's entries from first on are all of one region. */
static bool region_copy(struct larder_cache *c, u64 region, u32 first)
{
	struct destage_batch *batch = c->destage->batch;
	u32 i, end = batch->nr;
	blk_status_t status;

	if (end == first)
		return true;
	status = entries_copy(c, region, batch->entries + first, end - first);
	if (!status)
		return true;

	count(c, COUNT_ORIGIN_ERROR);
	batch->nr = first;
	for (i = first; i < end; i++) {
		struct destage_entry e = batch->entries[i];

		if (of_single_sectors(status) && !entries_copy(c, region, &e, 1))
			batch->entries[batch->nr++] = e;
		else
			stays_dirty(c, &e);
	}
	hbitmap_set(&c->map.dirty_regions, region);
	return false;
}

/* Everything has to go, also what is being overwritten. */
static bool is_urgent(const struct larder_cache *c)
{
	return c->policy_ops->cleaner || c->args.mode != MODE_WRITE_BACK || READ_ONCE(c->starving);
}

/* How many regions to write back now, and the pause afterwards. */
static u32 pace(struct larder_cache *c, unsigned long *pause)
{
	u64 dirty = atomic64_read(&c->map.nr_dirty);
	u32 percent = div64_u64(dirty * 100, c->map.nr_slots);
	struct destage *d = c->destage;

	*pause = HZ;
	if (!dirty)
		return 0;
	if (d->backoff) {
		*pause = d->backoff;
		return 1;
	}
	if (is_urgent(c) || percent >= DIRTY_HIGH ||
	    time_after(jiffies, READ_ONCE(c->last_io) + HZ)) {
		*pause = 0;
		return BATCH_REGIONS;
	}
	if (percent < DIRTY_LOW)
		return 1;
	*pause = min_t(unsigned long, HZ, 1 + d->last_duration * (DIRTY_HIGH - percent) /
		       (percent - DIRTY_LOW + 1));
	return 1 + (BATCH_REGIONS - 1) * (percent - DIRTY_LOW) / (DIRTY_HIGH - DIRTY_LOW);
}

static void destage_worker(struct work_struct *work)
{
	struct larder_cache *c = container_of(to_delayed_work(work), struct larder_cache,
					      destage_work);
	struct destage *d = c->destage;
	unsigned long pause, begun = jiffies, region;
	u32 regions = pace(c, &pause), done = 0;
	bool ok = true, urgent = is_urgent(c);

	d->batch->nr = 0;
	while (ok && done < regions && READ_ONCE(c->running) &&
	       d->batch->nr + (1u << c->map.region_shift) <= BATCH_ENTRIES) {
		u32 first = d->batch->nr;

		region = hbitmap_next(&c->map.dirty_regions, d->cursor);
		if (region == HBITMAP_NONE && d->cursor)
			region = hbitmap_next(&c->map.dirty_regions, 0);
		if (region == HBITMAP_NONE)
			break;
		region_begin(c, region, urgent);
		ok = region_copy(c, region, first);
		d->cursor = region + 1;
		done++;
	}
	if (d->batch->nr)
		larder_commit_destaged(c, d->batch);
	d->last_duration = jiffies - begun;
	d->backoff = ok ? 0 : clamp_t(unsigned long, d->backoff * 2, HZ / 10, 10 * HZ);
	if (!READ_ONCE(c->running))
		return;
	if (c->starving) {
		WRITE_ONCE(c->starving, false);
		queue_work(c->run_queue, &c->supply_work);
	}
	/* blocks that are written all the time come round at most every tenth of a second */
	if (done && !d->batch->nr)
		pause = max_t(unsigned long, pause, HZ / 10);
	queue_delayed_work(c->copy_queue, &c->destage_work, pause);
}

void larder_destage_kick(struct larder_cache *c)
{
	if (READ_ONCE(c->running))
		mod_delayed_work(c->copy_queue, &c->destage_work, 0);
}

void larder_destage_start(struct larder_cache *c)
{
	queue_delayed_work(c->copy_queue, &c->destage_work, HZ / 10);
}

void larder_destage_stop(struct larder_cache *c)
{
	cancel_delayed_work_sync(&c->destage_work);
}

int larder_destage_init(struct larder_cache *c)
{
	struct destage *d = kzalloc(sizeof(*d), GFP_KERNEL);
	u32 i;

	if (!d)
		return -ENOMEM;
	c->destage = d;
	INIT_DELAYED_WORK(&c->destage_work, destage_worker);
	d->batch = kvzalloc(struct_size(d->batch, entries, BATCH_ENTRIES), GFP_KERNEL);
	if (!d->batch)
		return -ENOMEM;
	for (i = 0; i < WINDOW_PAGES; i++) {
		d->pages[i] = alloc_page(GFP_KERNEL);
		if (!d->pages[i])
			return -ENOMEM;
	}
	if (c->pi_possible)
		d->tuples = larder_tuples_alloc(c, WINDOW_PAGES, GFP_KERNEL);
	return c->pi_possible && !d->tuples ? -ENOMEM : 0;
}

/* Also after a failed init. */
void larder_destage_exit(struct larder_cache *c)
{
	struct destage *d = c->destage;
	u32 i;

	if (!d)
		return;
	for (i = 0; i < WINDOW_PAGES && d->pages[i]; i++)
		__free_page(d->pages[i]);
	larder_tuples_free(d->tuples);
	kvfree(d->batch);
	kfree(d);
	c->destage = NULL;
}
