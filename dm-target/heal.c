// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protection errors of the cache device.  The read is done again, grain by
 * grain: what is clean comes from the origin where the cache device still says
 * no, and its block is dropped; what is dirty nobody else has, and the reader
 * is told.
 */
#include <linux/slab.h>

#include "larder.h"

static blk_status_t read_piece(struct larder_cache *c, struct bio *bio, struct dm_dev *dev,
			       u64 sector, u32 offset, u32 sectors)
{
	struct bio *piece = bio_alloc_clone(dev->bdev, bio, GFP_NOIO, &c->bios);
	blk_status_t status;

	if (!piece)
		return BLK_STS_RESOURCE;
	bio_trim(piece, offset, sectors);
	/* who polls looks at the bio, not at its clone */
	piece->bi_opf &= ~REQ_POLLED;
	if (c->carrier && dev == c->cache_dev) {
		status = larder_carrier_read_now(c, piece, sector);
	} else {
		piece->bi_iter.bi_sector = sector;
		larder_ask_for_checks(piece, &c->profile);
		submit_bio_wait(piece);
		status = piece->bi_status;
	}
	bio_put(piece);
	return status;
}

/* Under the lock: who makes it clean looks once more, and may take that back. */
static bool is_dirty(struct larder_cache *c, const struct extent *e, u32 slot)
{
	struct larder_shard *sh = shard_of(c, e->block);
	bool dirty;

	spin_lock_irq(&sh->lock);
	dirty = slot_dirty(&c->map, slot) & e->touched;
	spin_unlock_irq(&sh->lock);
	return dirty;
}

/* Sectors of the bio from offset on, all of one grain. */
static blk_status_t heal_grain(struct larder_cache *c, struct bio *bio, const struct extent *e,
			       u32 slot, u32 offset, bool *bad)
{
	u64 in_slot = geometry_slot_start(&c->geometry, slot) + e->offset;
	u64 in_origin = bio->bi_iter.bi_sector + offset;
	blk_status_t status = read_piece(c, bio, c->cache_dev, in_slot, offset, e->sectors);

	if (status != BLK_STS_PROTECTION)
		return status;
	if (is_dirty(c, e, slot)) {
		/* what made it so may have come after that read, and mended it */
		status = read_piece(c, bio, c->cache_dev, in_slot, offset, e->sectors);
		if (status != BLK_STS_PROTECTION)
			return status;
		count(c, COUNT_PI_LOST);
		DMERR_LIMIT("%s: protection error in dirty data of the cache, sector %llu of the origin",
			    dm_table_device_name(c->ti->table), in_origin);
		return status;
	}
	*bad = true;
	status = read_piece(c, bio, c->origin_dev, in_origin, offset, e->sectors);
	if (status)
		return status;
	count(c, COUNT_PI_HEALED);
	DMWARN_LIMIT("%s: protection error in the cache, sector %llu read from the origin instead",
		     dm_table_device_name(c->ti->table), in_origin);
	return BLK_STS_OK;
}

/* Of a read hit that has failed; in batch: what is to be dropped. */
static blk_status_t read_again(struct larder_cache *c, struct larder_io *io,
			       struct larder_forget_batch *batch)
{
	struct bio *bio = io_bio(io);
	u64 first = geometry_block_of(&c->geometry, bio->bi_iter.bi_sector);
	u32 offset, slot, last = SLOT_NONE;
	blk_status_t status = BLK_STS_OK;
	struct extent e;
	bool bad;

	for (offset = 0; offset < bio_sectors(bio) && !status; offset += e.sectors) {
		extent_locate(&c->geometry, &e, bio->bi_iter.bi_sector + offset,
			      bio_sectors(bio) - offset);
		/* only what is in its first grain */
		e.sectors = min(e.sectors, c->geometry.grain_sectors -
				(e.offset & (c->geometry.grain_sectors - 1)));
		e.touched = geometry_touched(&c->geometry, e.offset, e.sectors);
		slot = io->slot + (u32)(e.block - first);
		bad = false;
		status = heal_grain(c, bio, &e, slot, offset, &bad);
		if (bad && batch && slot != last)
			batch->slots[batch->nr++] = slot;
		if (bad)
			last = slot;
	}
	return status;
}

/* Those that nobody uses, and nobody has written since: else whoever reads next heals again. */
static void drop(struct larder_cache *c, struct larder_forget_batch *batch)
{
	u32 i, nr = 0;

	if (!batch)
		return;
	for (i = 0; i < batch->nr; i++)
		if (larder_evict(c, batch->slots[i]))
			batch->slots[nr++] = batch->slots[i];
	batch->nr = nr;
	if (!nr) {
		kfree(batch);
		return;
	}
	atomic_add(nr, &c->forgets_pending);
	larder_commit_forget(c, batch);
}

static void heal(struct larder_cache *c, struct larder_io *io)
{
	struct larder_forget_batch *batch = kzalloc(sizeof(*batch), GFP_NOIO);
	struct bio *bio = io_bio(io);

	if (batch)
		batch->why = POLICY_REMOVED_DROPPED;
	bio->bi_status = read_again(c, io, batch);
	bio_endio(bio);
	drop(c, batch);
}

static void heal_worker(struct work_struct *work)
{
	struct larder_cache *c = container_of(work, struct larder_cache, heal_work);
	struct larder_io *io, *next;
	LIST_HEAD(ios);

	spin_lock_irq(&c->rerun_lock);
	list_splice_init(&c->unhealed, &ios);
	spin_unlock_irq(&c->rerun_lock);
	list_for_each_entry_safe(io, next, &ios, list) {
		list_del(&io->list);
		heal(c, io);
		cond_resched();
	}
}

/* At the end of a read from slots, which it still holds. */
void larder_heal(struct larder_cache *c, struct larder_io *io)
{
	unsigned long flags;

	count(c, COUNT_PI_ERROR);
	spin_lock_irqsave(&c->rerun_lock, flags);
	list_add_tail(&io->list, &c->unhealed);
	spin_unlock_irqrestore(&c->rerun_lock, flags);
	queue_work(c->copy_queue, &c->heal_work);
}

void larder_heal_init(struct larder_cache *c)
{
	INIT_LIST_HEAD(&c->unhealed);
	INIT_WORK(&c->heal_work, heal_worker);
}
