// SPDX-License-Identifier: GPL-2.0-only
/*
 * Discards.  Whole blocks are dropped from the cache, whatever is dirty in
 * them included; when that is durable (I2) the discard is passed on to the
 * origin.  Parts of blocks are left alone, which a discard always allows.
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include "larder.h"

struct discard {
	struct work_struct work;
	struct larder_cache *c;
	struct bio *bio;
	u64 block;
	u32 nr_blocks;
};

/* Makes the block's slot FORGETTING, waiting for who is using it; SLOT_NONE when it has none. */
static u32 take_slot(struct larder_cache *c, u64 block)
{
	struct larder_shard *sh = shard_of(c, block);
	bool taken = false;
	u32 slot;

	for (;;) {
		spin_lock_irq(&sh->lock);
		slot = slotmap_find(&c->map, block);
		if (slot != SLOT_NONE)
			taken = slot_change(&c->map, slot, SLOT_VALID, SLOT_FORGETTING,
					    NO_WRITERS | NO_READERS, NULL);
		if (taken)
			slot_discard(&c->map, slot);
		spin_unlock_irq(&sh->lock);
		if (slot == SLOT_NONE || taken)
			return slot;
		/* its I/O, destage or older forget will end */
		usleep_range(500, 2000);
	}
}

static int forget_blocks(struct larder_cache *c, u64 block, u32 nr)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct larder_forget_batch *batch;
	int err = 0;
	u32 slot;

	while (nr && !err) {
		batch = kzalloc(sizeof(*batch), GFP_NOIO);
		if (!batch)
			return -ENOMEM;
		batch->why = POLICY_REMOVED_DROPPED;
		batch->done = &done;
		batch->error = &err;
		reinit_completion(&done);
		for (; nr && batch->nr < POLICY_VICTIMS_MAX; block++, nr--) {
			slot = take_slot(c, block);
			if (slot != SLOT_NONE)
				batch->slots[batch->nr++] = slot;
		}
		if (!batch->nr) {
			kfree(batch);
			continue;
		}
		atomic_add(batch->nr, &c->forgets_pending);
		larder_commit_forget(c, batch);
		wait_for_completion(&done);
	}
	return err;
}

static void discard_worker(struct work_struct *work)
{
	struct discard *d = container_of(work, struct discard, work);
	struct larder_cache *c = d->c;
	struct bio *bio = d->bio;
	struct larder_io *io = bio_io(bio);
	int err;

	err = forget_blocks(c, d->block, d->nr_blocks);
	io->kind = IO_ORIGIN_WRITE;
	io->block = d->block;
	io->write_origin_durable = false;
	kfree(d);
	if (!err && c->args.discard_passdown && bdev_max_discard_sectors(c->origin_dev->bdev)) {
		bio_set_dev(bio, c->origin_dev->bdev);
		submit_bio_noacct(bio);
		return;
	}
	bio->bi_status = errno_to_blk_status(err);
	bio_endio(bio);
}

int larder_map_discard(struct larder_cache *c, struct bio *bio)
{
	u64 sector = bio->bi_iter.bi_sector, limit;
	const struct geometry *g = &c->geometry;
	u32 taken = 0, nr = 0;
	struct larder_shard *sh;
	struct discard *d;
	struct extent e;

	if (larder_failed(c))
		return DM_MAPIO_KILL;
	count(c, COUNT_DISCARD);
	limit = min_t(u64, bio_sectors(bio), slotmap_region_left(&c->map, sector));
	extent_init(g, &e, sector, limit);
	while (taken < limit) {
		struct extent next;

		extent_init(g, &next, sector + taken, limit - taken);
		if (next.offset || next.sectors < geometry_block_length(g, next.block))
			break;
		taken += next.sectors;
		nr++;
	}
	if (!nr) {
		if (e.sectors < bio_sectors(bio))
			dm_accept_partial_bio(bio, e.sectors);
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	d = kmalloc(sizeof(*d), GFP_NOIO);
	if (!d)
		return DM_MAPIO_KILL;
	if (taken < bio_sectors(bio))
		dm_accept_partial_bio(bio, taken);
	d->c = c;
	d->bio = bio;
	d->block = e.block;
	d->nr_blocks = nr;
	/* from now on no block of the region comes into the cache */
	sh = shard_of(c, e.block);
	spin_lock_irq(&sh->lock);
	shard_origin_write_begin(&c->map, e.block);
	spin_unlock_irq(&sh->lock);
	INIT_WORK(&d->work, discard_worker);
	queue_work(c->discard_queue, &d->work);
	return DM_MAPIO_SUBMITTED;
}
