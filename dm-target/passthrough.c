// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pass-through mode: every read and write goes to the origin, and a write
 * drops what the cache has of its block.  So the cache stays coherent while
 * the origin is used as if it were not there, and what was not written
 * meanwhile is warm when another mode comes back.  Entered only with nothing
 * dirty; nothing is filled and nothing evicted.
 */
#include <linux/slab.h>

#include "larder.h"

int larder_pass_read(struct larder_cache *c, struct bio *bio, struct larder_io *io)
{
	u64 block = geometry_block_of(&c->geometry, bio->bi_iter.bi_sector);

	count(c, slotmap_peek(&c->map, block) == SLOT_NONE ? COUNT_READ_MISS : COUNT_READ_HIT);
	count(c, COUNT_ORIGIN_READS);
	io->kind = IO_PASS;
	larder_remap(bio, c->origin_dev, bio->bi_iter.bi_sector);
	return DM_MAPIO_REMAPPED;
}

static struct larder_forget_batch *new_batch(void)
{
	struct larder_forget_batch *batch = kzalloc(sizeof(*batch), GFP_NOIO);

	if (batch)
		batch->why = POLICY_REMOVED_DROPPED;
	return batch;
}

/* Of a block that is in the cache: waits until that is forgotten durably (I2). */
int larder_pass_write(struct larder_cache *c, struct bio *bio, struct larder_io *io, bool first)
{
	struct larder_forget_batch *batch = NULL;
	struct larder_shard *sh;
	unsigned long flags;
	struct extent e;
	u32 slot;

	extent_locate(&c->geometry, &e, bio->bi_iter.bi_sector, bio_sectors(bio));
	sh = shard_of(c, e.block);
again:
	spin_lock_irqsave(&sh->lock, flags);
	slot = slotmap_find(&c->map, e.block);
	if (slot == SLOT_NONE) {
		kfree(batch);
		return larder_write_around(c, bio, io, &e, first, sh, flags);
	}
	if (!batch) {
		spin_unlock_irqrestore(&sh->lock, flags);
		batch = new_batch();
		if (!batch)
			return DM_MAPIO_KILL;
		goto again;
	}
	if (e.sectors < bio_sectors(bio))
		larder_accept(bio, e.sectors);
	/* only a scrub holds slots in this mode, and wakes us when it does so no more */
	if (slot_change(&c->map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS | NO_READERS, NULL))
		batch->slots[batch->nr++] = slot;
	larder_park(c, sh, io);
	spin_unlock_irqrestore(&sh->lock, flags);
	if (batch->nr) {
		count(c, COUNT_WRITE_HIT);
		count(c, COUNT_INVALIDATED);
		atomic_inc(&c->forgets_pending);
		larder_commit_forget(c, batch);
	} else {
		kfree(batch);
	}
	return DM_MAPIO_SUBMITTED;
}

/*
 * Constructor: is there anything that only the cache device has?  A twin at
 * work knows best; what it makes dirty from now on, larder_open() finds.
 */
int larder_check_all_clean(struct larder_cache *c, char **error)
{
	bool dirty = larder_dirty_elsewhere(c);
	struct larder_scan scan;
	int err;

	if (!larder_has_twin(c) && metadata_found(c->metadata) == METADATA_OURS) {
		err = larder_scan(c, &scan, error);
		if (err)
			return err;
		dirty |= find_first_bit(scan.dirty, scan.nr_slots) < scan.nr_slots ||
			 find_first_bit(scan.intent, scan.nr_slots) < scan.nr_slots;
		larder_scan_free(&scan);
	}
	if (!dirty)
		return 0;
	*error = "No passthrough mode with dirty blocks: write them back first (cleaner)";
	return -EINVAL;
}

/* "N": one chunk; "N-M": up to M, not included. */
static int parse_range(const char *word, u64 limit, u64 *begin, u64 *end)
{
	const char *dash = strchr(word, '-');
	char first[24];

	if (dash) {
		if (dash - word >= sizeof(first))
			return -EINVAL;
		memcpy(first, word, dash - word);
		first[dash - word] = '\0';
		if (kstrtou64(first, 10, begin) || kstrtou64(dash + 1, 10, end))
			return -EINVAL;
	} else {
		if (kstrtou64(word, 10, begin) || *begin >= limit)
			return -EINVAL;
		*end = *begin + 1;
	}
	return *begin < *end && *end <= limit ? 0 : -EINVAL;
}

/* Slots that a write is just dropping may still be there at the end: that write sees to it. */
static int invalidate_slots(struct larder_cache *c, u32 slot, u32 end)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct larder_forget_batch *batch;
	int err = 0;

	while (slot < end && !err) {
		batch = new_batch();
		if (!batch)
			return -ENOMEM;
		batch->done = &done;
		batch->error = &err;
		reinit_completion(&done);
		for (; slot < end && batch->nr < POLICY_VICTIMS_MAX; slot++)
			if (larder_evict(c, slot))
				batch->slots[batch->nr++] = slot;
		if (!batch->nr) {
			kfree(batch);
			continue;
		}
		count_by(c, COUNT_INVALIDATED, batch->nr);
		atomic_add(batch->nr, &c->forgets_pending);
		larder_commit_forget(c, batch);
		wait_for_completion(&done);
	}
	return err;
}

int larder_invalidate(struct larder_cache *c, unsigned int argc, char **argv)
{
	u32 ratio = c->geometry.chunk_sectors / c->geometry.block_sectors;
	u64 chunks = DIV_ROUND_UP_ULL(c->geometry.nr_slots, ratio), begin, end;
	unsigned int i;
	int err;

	if (c->args.mode != MODE_PASS_THROUGH) {
		DMERR("message: invalidate_cblocks needs pass-through mode");
		return -EPERM;
	}
	/* between resume and suspend, and so the commit that we wait for will be made */
	if (!c->loaded || !READ_ONCE(c->running))
		return -EAGAIN;
	for (i = 0; i < argc; i++) {
		if (parse_range(argv[i], chunks, &begin, &end)) {
			DMERR("message: expected chunks below %llu, as N or N-M (without M), found \"%s\"",
			      chunks, argv[i]);
			return -EINVAL;
		}
	}
	/* it holds slots, which could not be dropped then */
	larder_scrub_pause(c);
	for (err = 0, i = 0; i < argc && !err; i++)
		err = parse_range(argv[i], chunks, &begin, &end) ?:
		      invalidate_slots(c, begin * ratio,
				       min_t(u64, end * ratio, c->geometry.nr_slots));
	larder_scrub_go_on(c);
	return err;
}
