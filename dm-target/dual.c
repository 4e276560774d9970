// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write-through: a write to a block that is in the cache goes to the slot and
 * to the origin at once and ends when both have.  The page's intent is durable
 * (I3), so that a crash in between drops the slot's copy; the slot is held by
 * this writer alone, so that both copies see writes in the same order.
 */
#include <linux/slab.h>

#include "larder.h"

struct dual {
	struct larder_cache *c;
	struct bio *bio;
	u64 block;
	u64 touched;
	u32 slot;
	bool fua;
	atomic_t pending;
	blk_status_t status;
};

static void dual_end(struct dual *d)
{
	struct larder_cache *c = d->c;
	struct bio *bio = d->bio;
	struct larder_io *io = bio_io(bio);
	struct larder_shard *sh = shard_of(c, d->block);
	blk_status_t status = d->status;
	unsigned long flags;
	bool fua = d->fua;

	count(c, COUNT_WRITES_CACHE);
	if (slot_dirty(&c->map, d->slot))
		count(c, COUNT_WRITES_CACHE_DIRTY);
	if (status) {
		/* which leg holds what is unknown: the origin is right from now on */
		spin_lock_irqsave(&sh->lock, flags);
		slot_drop(&c->map, d->slot, d->touched);
		spin_unlock_irqrestore(&sh->lock, flags);
		larder_commit_soon(c, false);
	}
	larder_origin_written(c, d->block, false);
	slot_release_write(&c->map, d->slot);
	larder_wake(c, d->block);
	kfree(d);
	io->kind = IO_PASS;
	if (fua && !status) {
		count(c, COUNT_FUA);
		io->flush = true;	/* the origin's copy too */
		larder_commit_bio(c, io);
		return;
	}
	bio->bi_status = status;
	bio_endio(bio);
}

static void leg_end_io(struct bio *leg)
{
	struct dual *d = leg->bi_private;

	if (leg->bi_status)
		WRITE_ONCE(d->status, leg->bi_status);
	bio_put(leg);
	if (atomic_dec_and_test(&d->pending))
		dual_end(d);
}

static void send_leg(struct dual *d, struct dm_dev *dev, u64 sector)
{
	struct bio *leg = bio_alloc_clone(dev->bdev, d->bio, GFP_NOIO, &d->c->bios);

	leg->bi_opf &= ~REQ_FUA;
	leg->bi_iter.bi_sector = sector;
	leg->bi_private = d;
	leg->bi_end_io = leg_end_io;
	submit_bio_noacct(leg);
}

/* Has the slot's only write hold and has been counted as a write to the origin. */
void larder_write_both(struct larder_cache *c, struct bio *bio, const struct extent *e, u32 slot)
{
	struct dual *d = kmalloc(sizeof(*d), GFP_NOIO);

	if (!d) {
		larder_origin_written(c, e->block, true);
		slot_release_write(&c->map, slot);
		larder_wake(c, e->block);
		bio->bi_status = BLK_STS_RESOURCE;
		bio_endio(bio);
		return;
	}
	d->c = c;
	d->bio = bio;
	d->block = e->block;
	d->slot = slot;
	d->touched = e->touched;
	d->fua = bio->bi_opf & REQ_FUA;
	d->status = BLK_STS_OK;
	count(c, COUNT_ORIGIN_WRITES);
	count_by(c, COUNT_ORIGIN_SECTORS_WRITTEN, e->sectors);
	if (!(e->touched & slot_valid(&c->map, slot))) {
		/* nothing of it is in the slot: the origin alone */
		atomic_set(&d->pending, 1);
		send_leg(d, c->origin_dev, bio->bi_iter.bi_sector);
		return;
	}
	slot_touch(&c->map, slot);
	count_by(c, COUNT_CACHE_SECTORS_WRITTEN, e->sectors);
	atomic_set(&d->pending, 2);
	send_leg(d, c->origin_dev, bio->bi_iter.bi_sector);
	send_leg(d, c->cache_dev, geometry_slot_start(&c->geometry, slot) + e->offset);
}
