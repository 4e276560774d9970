// SPDX-License-Identifier: GPL-2.0-only
/*
 * The request path.  map() runs in the submitter's context: a hit takes no
 * lock, allocates nothing and is remapped; whatever must wait is cut to one
 * block first, because a bio that has left map() is never trimmed.
 */
#include "larder.h"

void larder_remap(struct bio *bio, struct dm_dev *dev, u64 sector)
{
	bio_set_dev(bio, dev->bdev);
	bio->bi_iter.bi_sector = sector;
}

static u64 in_slot(const struct larder_cache *c, const struct extent *e, u32 slot)
{
	return geometry_slot_start(&c->geometry, slot) + e->offset;
}

/*
 * A write that has been set up, and cut.  Its tuples are checked, whoever sends
 * them: dirty data that do not fit theirs could never be written back.
 */
static int send_to_slot(struct larder_cache *c, struct bio *bio, const struct extent *e, u32 slot)
{
	if (unlikely(c->pi_kept)) {
		if (c->carrier)
			return larder_carrier_write(c, bio, in_slot(c, e, slot));
		larder_ask_for_checks(bio, &c->profile);
	}
	larder_remap(bio, c->cache_dev, in_slot(c, e, slot));
	return DM_MAPIO_REMAPPED;
}

static void accept(struct bio *bio, u32 sectors)
{
	if (sectors < bio_sectors(bio))
		larder_accept(bio, sectors);
}

/*
 * Sectors from the bio's start, within its region and the bio, whose blocks
 * are not in the cache; the first is known not to be.  Shard lock held.
 */
static u32 unmapped_run(struct larder_cache *c, struct bio *bio, const struct extent *e)
{
	u64 sector = bio->bi_iter.bi_sector;
	u64 limit = min_t(u64, bio_sectors(bio), slotmap_region_left(&c->map, sector));
	u64 block = e->block + 1, run = e->sectors;

	while (run < limit && slotmap_find(&c->map, block) == SLOT_NONE) {
		run += geometry_block_length(&c->geometry, block);
		block++;
	}
	return min(run, limit);
}

#define HIT_SLOTS_MAX 64

/*
 * A hit goes on into the following blocks, as long as they are in the
 * following slots and all that is touched has the mask bits needed; each gets
 * a hold of its own.  Returns the sectors of the bio that are held.
 */
static u32 extend_hit(struct larder_cache *c, struct bio *bio, struct larder_io *io,
		      const struct extent *first, u32 slot, bool write)
{
	u64 sector = geometry_block_start(&c->geometry, first->block) + first->offset;
	u32 limit = min_t(u64, bio_sectors(bio), slotmap_region_left(&c->map, sector));
	u32 run = first->sectors;

	while (run < limit && io->nr_slots < HIT_SLOTS_MAX) {
		u32 next = slot + io->nr_slots, sectors = limit - run;
		u64 block = first->block + io->nr_slots, touched;

		sectors = min(sectors, c->geometry.block_sectors);
		touched = geometry_touched(&c->geometry, 0, sectors);
		if (slotmap_peek(&c->map, block) != next)
			break;
		if (write ? !slot_hold_write(&c->map, next, block, false) :
			    !slot_hold_read(&c->map, next, block))
			break;
		if (touched & ~(write ? slot_dirty(&c->map, next) : slot_valid(&c->map, next))) {
			if (write) {
				slot_release_write(&c->map, next);
				larder_wake(c, block);
			} else {
				slot_release_read(&c->map, next);
			}
			break;
		}
		if (write)
			slot_touch_write(&c->map, next);
		else
			slot_touch(&c->map, next);
		io->nr_slots++;
		run += sectors;
	}
	return run;
}

static int read_held(struct larder_cache *c, struct bio *bio, struct larder_io *io,
		     const struct extent *e, u32 slot, u32 run)
{
	io->kind = IO_READ_HIT;
	io->slot = slot;
	io->nr_slots = 1;
	if (unlikely(run < e->sectors))
		count(c, COUNT_READ_MIXED);
	else if (run < bio_sectors(bio))
		run = extend_hit(c, bio, io, e, slot, false);
	accept(bio, run);
	slot_touch(&c->map, slot);
	count(c, COUNT_READ_HIT);
	if (unlikely(c->pi_kept))
		return c->carrier ? larder_carrier_read(c, bio, in_slot(c, e, slot)) :
				    larder_pi_read(c, bio, c->cache_dev, in_slot(c, e, slot));
	larder_remap(bio, c->cache_dev, in_slot(c, e, slot));
	return DM_MAPIO_REMAPPED;
}

/* What the lookup without a lock did not find, or not all of it. */
static noinline int read_slow(struct larder_cache *c, struct bio *bio, struct larder_io *io,
			      const struct extent *e)
{
	struct larder_shard *sh = shard_of(c, e->block);
	unsigned long flags;
	bool cached, held;
	u32 slot, run;

again:
	spin_lock_irqsave(&sh->lock, flags);
	slot = slotmap_find(&c->map, e->block);
	if (slot == SLOT_NONE) {
		run = unmapped_run(c, bio, e);
	} else if (word_state(slot_word(&c->map, slot)) == SLOT_FORGETTING) {
		/* clean, and nobody writes before the forget is durable (I2) */
		run = e->sectors;
	} else {
		run = request_read_run(&c->geometry, e, slot_valid(&c->map, slot), &cached);
		if (cached) {
			held = slot_hold_read(&c->map, slot, e->block);
			spin_unlock_irqrestore(&sh->lock, flags);
			if (held)
				return read_held(c, bio, io, e, slot, run);
			cpu_relax();	/* 65535 readers: one of them will end */
			goto again;
		}
	}
	io->generation = shard_generation(&c->map, e->block);
	spin_unlock_irqrestore(&sh->lock, flags);

	accept(bio, run);
	count(c, COUNT_READ_MISS);
	count(c, COUNT_ORIGIN_READS);
	io->kind = READ_ONCE(c->running) && !c->policy_ops->cleaner ? IO_READ_MISS : IO_PASS;
	larder_remap(bio, c->origin_dev, bio->bi_iter.bi_sector);
	io->iter = bio->bi_iter;
	return unlikely(c->pi_kept) ? larder_pi_miss(c, bio, io) : DM_MAPIO_REMAPPED;
}

static int read_extent(struct larder_cache *c, struct bio *bio, struct larder_io *io,
		       const struct extent *e)
{
	u32 slot = slotmap_peek(&c->map, e->block);

	if (slot == SLOT_NONE || !slot_hold_read(&c->map, slot, e->block))
		return read_slow(c, bio, io, e);
	if (likely(!(e->touched & ~slot_valid(&c->map, slot))))
		return read_held(c, bio, io, e, slot, e->sectors);
	slot_release_read(&c->map, slot);
	return read_slow(c, bio, io, e);
}

static int map_read(struct larder_cache *c, struct bio *bio, struct larder_io *io)
{
	struct extent e;

	if (unlikely(c->args.mode == MODE_PASS_THROUGH))
		return larder_pass_read(c, bio, io);
	extent_locate(&c->geometry, &e, bio->bi_iter.bi_sector, bio_sectors(bio));
	return read_extent(c, bio, io, &e);
}

static int write_to_origin(struct larder_cache *c, struct bio *bio, struct larder_io *io,
			   const struct extent *e)
{
	count(c, COUNT_ORIGIN_WRITES);
	count_by(c, COUNT_ORIGIN_SECTORS_WRITTEN, bio_sectors(bio));
	io->kind = IO_ORIGIN_WRITE;
	io->block = e->block;
	io->write_origin_durable = bio->bi_opf & REQ_FUA;
	larder_remap(bio, c->origin_dev, bio->bi_iter.bi_sector);
	return DM_MAPIO_REMAPPED;
}

static void set_up_slot_write(struct bio *bio, struct larder_io *io, const struct extent *e,
			      u32 slot, u64 grains)
{
	io->kind = IO_WRITE_HIT;
	io->block = e->block;
	io->slot = slot;
	io->nr_slots = 1;
	io->grains = grains;
	if (unlikely(bio->bi_opf & REQ_FUA)) {
		/* the mapping must be durable too: a commit does both (I5) */
		bio->bi_opf &= ~REQ_FUA;
		io->fua = true;
	}
}

#define NEEDS_MERGE 1000	/* beside DM_MAPIO_* */

/* Has a write hold.  Gives it up unless it returns DM_MAPIO_REMAPPED. */
static int write_held(struct larder_cache *c, struct bio *bio, struct larder_io *io,
		      const struct extent *e, u32 slot)
{
	u64 grains = 0, valid, dirty, group;
	enum write_need need;
	unsigned long flags;
	u32 run;

	dirty = slot_dirty(&c->map, slot);
	if (unlikely(e->touched & ~dirty)) {
		valid = slot_valid(&c->map, slot);
		group = slot_intent_group(slot);
		/* after the hold: who withdraws an intent looks at the holds last */
		need = request_write_need(e, valid, dirty,
					  hbitmap_test(&c->map.intent_live, group));
		if (need == WRITE_MERGE) {
			slot_release_write(&c->map, slot);
			larder_wake(c, e->block);
			return NEEDS_MERGE;
		}
		if ((e->touched & valid & ~dirty) && !hbitmap_test(&c->map.intent_used, group))
			hbitmap_set(&c->map.intent_used, group);
		if (need == WRITE_INTENT) {
			slot_release_write(&c->map, slot);
			larder_wake(c, e->block);
			accept(bio, e->sectors);
			larder_commit_intent(c, io, slot);
			return DM_MAPIO_SUBMITTED;
		}
		if (e->touched & ~valid) {
			struct larder_shard *sh = shard_of(c, e->block);

			spin_lock_irqsave(&sh->lock, flags);
			shard_move_on(&c->map, e->block);
			spin_unlock_irqrestore(&sh->lock, flags);
		}
		grains = e->touched;
	}
	set_up_slot_write(bio, io, e, slot, grains);
	run = e->sectors;
	if (!grains && run < bio_sectors(bio))
		run = extend_hit(c, bio, io, e, slot, true);
	accept(bio, run);
	slot_touch_write(&c->map, slot);
	count(c, COUNT_WRITE_HIT);
	count_by(c, COUNT_CACHE_SECTORS_WRITTEN, run);
	return send_to_slot(c, bio, e, slot);
}

/* A write to a block that is in the cache but cannot simply be held. */
static int write_mapped(struct larder_cache *c, struct bio *bio, struct larder_io *io,
			const struct extent *e, u32 slot, struct larder_shard *sh,
			unsigned long flags)
	__releases(&sh->lock)
{
	u64 word, missing = 0;

	if (c->args.mode == MODE_WRITE_BACK)
		missing = e->touched & ~slot_valid(&c->map, slot) & ~e->covered;
	accept(bio, e->sectors);
	if (missing && slot_change(&c->map, slot, SLOT_VALID, SLOT_FILLING, NO_WRITERS, NULL)) {
		spin_unlock_irqrestore(&sh->lock, flags);
		count(c, COUNT_MERGE);
		larder_copy_in(c, bio, e->block, slot, missing);
		return DM_MAPIO_SUBMITTED;
	}
	larder_park(c, sh, io);
	spin_unlock_irqrestore(&sh->lock, flags);
	smp_mb();
	word = slot_word(&c->map, slot);
	if (!(word & WORD_WRITERS_MASK) &&
	    (word_state(word) == SLOT_VALID || (word_state(word) == SLOT_DESTAGING && !missing)))
		larder_wake(c, e->block);	/* the last writer left before it could see us */
	return DM_MAPIO_SUBMITTED;
}

int larder_write_around(struct larder_cache *c, struct bio *bio, struct larder_io *io,
			const struct extent *e, bool first, struct larder_shard *sh,
			unsigned long flags)
	__releases(&sh->lock)
{
	u32 run = first ? unmapped_run(c, bio, e) : e->sectors;

	shard_origin_write_begin(&c->map, e->block);
	spin_unlock_irqrestore(&sh->lock, flags);
	accept(bio, run);
	count(c, COUNT_WRITE_AROUND);
	return write_to_origin(c, bio, io, e);
}

/* first: straight from map(), so that the bio may still be cut. */
static noinline int write_slow(struct larder_cache *c, struct bio *bio, struct larder_io *io,
			       const struct extent *e, bool first)
{
	struct larder_shard *sh = shard_of(c, e->block);
	bool asked = false, whole = e->touched == e->covered;
	u32 slot, fresh = SLOT_NONE;
	unsigned long flags;
	int r;

again:
	spin_lock_irqsave(&sh->lock, flags);
	slot = slotmap_find(&c->map, e->block);
	if (slot != SLOT_NONE) {
		if (fresh != SLOT_NONE)
			larder_return_slot(c, fresh);
		fresh = SLOT_NONE;
		if (!slot_hold_write(&c->map, slot, e->block, false))
			return write_mapped(c, bio, io, e, slot, sh, flags);
		spin_unlock_irqrestore(&sh->lock, flags);
		r = write_held(c, bio, io, e, slot);
		if (r != NEEDS_MERGE)
			return r;
		spin_lock_irqsave(&sh->lock, flags);
		if (slotmap_find(&c->map, e->block) == slot)
			return write_mapped(c, bio, io, e, slot, sh, flags);
		spin_unlock_irqrestore(&sh->lock, flags);
		goto again;
	}
	if (!asked) {
		spin_unlock_irqrestore(&sh->lock, flags);
		asked = true;
		count(c, COUNT_WRITE_MISS);
		if (request_write_admissible(&c->geometry, e) &&
		    larder_policy_miss(c, e, true) != POLICY_BYPASS)
			fresh = larder_take_slot(c);
		goto again;
	}
	if (fresh != SLOT_NONE && c->map.shards[sh - c->shards].origin_writers) {
		/* an older write to the block may still be on its way to the origin */
		larder_return_slot(c, fresh);
		fresh = SLOT_NONE;
	}
	if (fresh == SLOT_NONE)
		return larder_write_around(c, bio, io, e, first, sh, flags);
	shard_move_on(&c->map, e->block);
	slot_insert(&c->map, fresh, e->block, whole ? SLOT_VALID : SLOT_FILLING, whole);
	spin_unlock_irqrestore(&sh->lock, flags);
	larder_policy_inserted(c, fresh, e->block, true);
	count(c, COUNT_PROMOTION);
	accept(bio, e->sectors);
	if (whole) {
		count_by(c, COUNT_CACHE_SECTORS_WRITTEN, e->sectors);
		set_up_slot_write(bio, io, e, fresh, e->touched);
		return send_to_slot(c, bio, e, fresh);
	}
	count(c, COUNT_MERGE);
	larder_copy_in(c, bio, e->block, fresh, e->touched & ~e->covered);
	return DM_MAPIO_SUBMITTED;
}

/* Write-through: the origin always, and the slot where it holds some of it. */
static int write_through(struct larder_cache *c, struct bio *bio, struct larder_io *io,
			 const struct extent *e, bool first)
{
	struct larder_shard *sh = shard_of(c, e->block);
	unsigned long flags;
	u64 group;
	u32 slot;

	spin_lock_irqsave(&sh->lock, flags);
	slot = slotmap_find(&c->map, e->block);
	if (slot == SLOT_NONE) {
		count(c, COUNT_WRITE_MISS);
		return larder_write_around(c, bio, io, e, first, sh, flags);
	}
	group = slot_intent_group(slot);
	if (!slot_hold_write(&c->map, slot, e->block, true)) {
		accept(bio, e->sectors);
		return write_mapped(c, bio, io, e, slot, sh, flags);
	}
	accept(bio, e->sectors);
	if ((e->touched & slot_valid(&c->map, slot)) &&
	    !hbitmap_test(&c->map.intent_live, group)) {
		spin_unlock_irqrestore(&sh->lock, flags);
		slot_release_write(&c->map, slot);
		larder_wake(c, e->block);
		larder_commit_intent(c, io, slot);
		return DM_MAPIO_SUBMITTED;
	}
	if (!hbitmap_test(&c->map.intent_used, group))
		hbitmap_set(&c->map.intent_used, group);
	shard_origin_write_begin(&c->map, e->block);
	spin_unlock_irqrestore(&sh->lock, flags);
	count(c, e->touched & slot_valid(&c->map, slot) ? COUNT_WRITE_HIT : COUNT_WRITE_MISS);
	larder_write_both(c, bio, e, slot);
	return DM_MAPIO_SUBMITTED;
}

static int map_write(struct larder_cache *c, struct bio *bio, struct larder_io *io, bool first)
{
	struct extent e;
	u32 slot;
	int r;

	if (unlikely(larder_failed(c)))
		return DM_MAPIO_KILL;
	if (unlikely(c->args.mode == MODE_PASS_THROUGH))
		return larder_pass_write(c, bio, io, first);
	extent_locate(&c->geometry, &e, bio->bi_iter.bi_sector, bio_sectors(bio));
	if (c->args.mode == MODE_WRITE_THROUGH)
		return write_through(c, bio, io, &e, first);
	slot = slotmap_peek(&c->map, e.block);
	if (slot == SLOT_NONE || !slot_hold_write(&c->map, slot, e.block, false)) {
		extent_cover(&c->geometry, &e);
		return write_slow(c, bio, io, &e, first);
	}
	/* a grain that is dirty now stays so under the hold; else covered is wanted below */
	if (unlikely(e.touched & ~slot_dirty(&c->map, slot)))
		extent_cover(&c->geometry, &e);
	else
		e.covered = 0;
	r = write_held(c, bio, io, &e, slot);
	return r == NEEDS_MERGE ? write_slow(c, bio, io, &e, first) : r;
}

/* What device-mapper does with the result of larder_map(), for a bio that comes later. */
void larder_mapped(struct bio *bio, int result)
{
	switch (result) {
	case DM_MAPIO_REMAPPED:
		submit_bio_noacct(bio);
		break;
	case DM_MAPIO_KILL:
		bio_io_error(bio);
		break;
	}
}

void larder_write_again(struct larder_cache *c, struct bio *bio)
{
	larder_mapped(bio, map_write(c, bio, bio_io(bio), false));
}

/*
 * LIO makes bios of any length, 0 too, when an initiator wants less than it asks
 * for, and before they reach a device with a request queue nobody looks.
 */
static bool is_whole(const struct larder_cache *c, const struct bio *bio)
{
	u32 bytes = bio->bi_iter.bi_size;

	return !(bytes & c->block_mask) && (bytes || bio->bi_opf & REQ_PREFLUSH);
}

/*
 * Such a read of one grain, which is nowhere divided, goes where its sectors
 * would, for the device there to answer; nothing is filled from it.
 */
static int map_part(struct larder_cache *c, struct bio *bio, struct larder_io *io)
{
	u32 bytes = bio->bi_iter.bi_size, sectors = DIV_ROUND_UP(bytes, 1u << SECTOR_SHIFT);
	struct extent e;
	int r;

	if (bio_op(bio) == REQ_OP_READ && !bytes) {
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	/* devices with larger blocks have nothing to answer */
	if (bio_op(bio) != REQ_OP_READ || c->block_mask >> SECTOR_SHIFT || c->pi_kept ||
	    larder_waits(c) || c->args.mode == MODE_PASS_THROUGH ||
	    sectors > c->geometry.grain_sectors)
		return DM_MAPIO_KILL;
	extent_locate(&c->geometry, &e, bio->bi_iter.bi_sector, sectors);
	if (e.sectors < sectors || e.touched & (e.touched - 1))
		return DM_MAPIO_KILL;
	r = read_extent(c, bio, io, &e);
	if (io->kind == IO_READ_MISS)
		io->kind = IO_PASS;
	return r;
}

int larder_map(struct dm_target *ti, struct bio *bio)
{
	struct larder_cache *c = ti->private;
	struct larder_io *io = bio_io(bio);

	io->cache = c;
	io->kind = IO_PASS;
	io->fua = false;
	io->flush = false;
	if (unlikely(!is_whole(c, bio)))
		return map_part(c, bio, io);
	if (unlikely(larder_waits(c)))
		return larder_wait(c, bio);
	/* looked at before it is written: the line is shared by all CPUs */
	if (time_before(READ_ONCE(c->last_io), jiffies))
		WRITE_ONCE(c->last_io, jiffies);
	if (unlikely(bio->bi_opf & (REQ_PREFLUSH | REQ_INTEGRITY))) {
		if (bio->bi_opf & REQ_PREFLUSH) {
			/* dm sends flushes without data */
			io->flush = true;
			count(c, COUNT_FLUSH);
			larder_commit_bio(c, io);
			return DM_MAPIO_SUBMITTED;
		}
		if (!c->pi)
			return larder_pi_refuse(c);
	}
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return map_read(c, bio, io);
	case REQ_OP_WRITE:
		return map_write(c, bio, io, true);
	case REQ_OP_DISCARD:
		return larder_map_discard(c, bio);
	default:
		return DM_MAPIO_KILL;
	}
}

void larder_origin_written(struct larder_cache *c, u64 block, bool durable)
{
	struct larder_shard *sh = shard_of(c, block);
	unsigned long flags;

	if (!durable) {
		count(c, COUNT_WRITES_ORIGIN);
		count(c, COUNT_WRITES_ORIGIN_USER);
	}
	spin_lock_irqsave(&sh->lock, flags);
	shard_origin_write_end(&c->map, block);
	spin_unlock_irqrestore(&sh->lock, flags);
}

static int write_hit_end(struct larder_cache *c, struct larder_io *io, blk_status_t error)
{
	struct larder_shard *sh = shard_of(c, io->block);
	unsigned long flags;
	u64 grains = io->grains;
	u32 slot;

	/* before the record can be made: a commit flushes when it sees this counter move (I1) */
	count(c, COUNT_WRITES_CACHE);
	count(c, COUNT_WRITES_CACHE_DIRTY);
	if (unlikely(grains)) {
		spin_lock_irqsave(&sh->lock, flags);
		/* what a failed write has left of a clean grain may differ from the origin (I3) */
		if (error)
			grains &= slot_valid(&c->map, io->slot);
		slot_written(&c->map, io->slot, grains);
		spin_unlock_irqrestore(&sh->lock, flags);
	}
	/* all blocks of a hit are of one region, and so of one shard */
	for (slot = io->slot; slot < io->slot + io->nr_slots; slot++)
		slot_release_write(&c->map, slot);
	smp_mb__after_atomic();
	if (unlikely(READ_ONCE(sh->nr_parked)))
		larder_wake(c, io->block);
	io->kind = IO_PASS;
	if (error) {
		count(c, COUNT_CACHE_ERROR);
	} else if (unlikely(io->fua)) {
		count(c, COUNT_FUA);
		larder_commit_bio(c, io);
		return DM_ENDIO_INCOMPLETE;
	}
	return DM_ENDIO_DONE;
}

int larder_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct larder_io *io = bio_io(bio);
	struct larder_cache *c = io->cache;
	u32 slot;

	switch (io->kind) {
	case IO_READ_HIT:
		for (slot = io->slot; slot < io->slot + io->nr_slots; slot++)
			slot_release_read(&c->map, slot);
		if (unlikely(*error))
			count(c, COUNT_CACHE_ERROR);
		break;
	case IO_WRITE_HIT:
		return write_hit_end(c, io, *error);
	case IO_READ_MISS:
		if (likely(!*error))
			larder_fill(c, bio, io);
		else
			count(c, COUNT_ORIGIN_ERROR);
		break;
	case IO_ORIGIN_WRITE:
		larder_origin_written(c, io->block, io->write_origin_durable && !*error);
		if (unlikely(*error))
			count(c, COUNT_ORIGIN_ERROR);
		break;
	case IO_PASS:
		break;
	}
	io->kind = IO_PASS;
	return DM_ENDIO_DONE;
}
