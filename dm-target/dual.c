// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write-through: a write to a block that is in the cache goes to the slot and
 * to the origin at once and ends when both have.  The intent of its slot is
 * durable (I3), so that a crash in between drops the slot's copy; the slot is
 * held by this writer alone, so that both copies see writes in the same order.
 */
#include <linux/slab.h>

#include "larder.h"

static void both_ended(struct larder_cache *c, struct bio *bio, struct larder_io *io)
{
	struct larder_shard *sh = shard_of(c, io->block);
	blk_status_t status = io->status ?: io->cache_status;
	unsigned long flags;

	count(c, COUNT_WRITES_CACHE);
	if (slot_dirty(&c->map, io->slot) || io->status)
		count(c, COUNT_WRITES_CACHE_DIRTY);
	if (status) {
		spin_lock_irqsave(&sh->lock, flags);
		/*
		 * What the slot has may have been read already: it stays, and is
		 * written to the origin later.  When that is not known either, the
		 * origin is right from now on.
		 */
		if (io->cache_status)
			slot_drop(&c->map, io->slot, io->grains);
		else
			slot_written(&c->map, io->slot,
				     io->grains & slot_valid(&c->map, io->slot));
		spin_unlock_irqrestore(&sh->lock, flags);
		larder_commit_soon(c, false);
	}
	larder_origin_written(c, io->block, false);
	slot_release_write(&c->map, io->slot);
	larder_wake(c, io->block);
	io->kind = IO_PASS;
	if (io->fua && !status) {
		count(c, COUNT_FUA);
		io->flush = true;	/* the origin's copy too */
		larder_commit_bio(c, io);
		return;
	}
	bio->bi_status = status;
	bio_endio(bio);
}

static void leg_done(struct bio *bio)
{
	struct larder_io *io = bio_io(bio);

	if (!atomic_dec_and_test(&io->legs))
		return;
	if (unlikely(io->cache->pi_kept)) {
		kfree(io->tuples[0]);
		kfree(io->tuples[1]);
	}
	both_ended(io->cache, bio, io);
}

static void leg_ended(struct bio *leg)
{
	struct bio *bio = leg->bi_private;

	bio_put(leg);
	leg_done(bio);
}

static void origin_leg_end_io(struct bio *leg)
{
	bio_io(leg->bi_private)->status = leg->bi_status;
	leg_ended(leg);
}

static void cache_leg_end_io(struct bio *leg)
{
	bio_io(leg->bi_private)->cache_status = leg->bi_status;
	leg_ended(leg);
}

/* tuples: a place for the leg's own, which the lowest driver changes; *status: for its failure. */
static void send_leg(struct larder_cache *c, struct bio *bio, struct dm_dev *dev, u64 sector,
		     bio_end_io_t *end_io, void **tuples, blk_status_t *status)
{
	struct bio *leg;

	*status = BLK_STS_RESOURCE;
	if (unlikely(c->carrier) && dev == c->cache_dev)
		leg = larder_carrier_clone(c, bio, tuples, status);
	else if (unlikely(c->pi))
		leg = larder_pi_clone(c, bio, dev, tuples);
	else
		leg = bio_alloc_clone(dev->bdev, bio, GFP_NOIO, &c->bios);
	if (unlikely(!leg)) {
		leg_done(bio);
		return;
	}
	leg->bi_opf &= ~(REQ_FUA | REQ_POLLED);
	leg->bi_iter.bi_sector = sector;
	leg->bi_private = bio;
	leg->bi_end_io = end_io;
	submit_bio_noacct(leg);
}

/* Has the slot's only write hold and has been counted as a write to the origin. */
void larder_write_both(struct larder_cache *c, struct bio *bio, const struct extent *e, u32 slot)
{
	struct larder_io *io = bio_io(bio);
	bool cached = e->touched & slot_valid(&c->map, slot);
	u64 in_slot = geometry_slot_start(&c->geometry, slot) + e->offset;
	u64 in_origin = bio->bi_iter.bi_sector;

	io->block = e->block;
	io->slot = slot;
	io->grains = e->touched;
	io->fua = bio->bi_opf & REQ_FUA;
	io->status = BLK_STS_OK;
	io->cache_status = BLK_STS_OK;
	/* with nothing of it in the slot, the origin alone */
	atomic_set(&io->legs, cached ? 2 : 1);
	io->tuples[0] = NULL;
	io->tuples[1] = NULL;
	count(c, COUNT_ORIGIN_WRITES);
	count_by(c, COUNT_ORIGIN_SECTORS_WRITTEN, e->sectors);
	if (cached) {
		slot_touch(&c->map, slot);
		count_by(c, COUNT_CACHE_SECTORS_WRITTEN, e->sectors);
		send_leg(c, bio, c->cache_dev, in_slot, cache_leg_end_io, &io->tuples[0],
			 &io->cache_status);
	}
	send_leg(c, bio, c->origin_dev, in_origin, origin_leg_end_io, &io->tuples[1],
		 &io->status);
}
