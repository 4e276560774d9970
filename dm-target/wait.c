// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read-only table beside a live cache.
 *
 * When a cached LV becomes the external origin of a thin LV, lvm2 2.03.16 gives
 * the cache to a new, read-only device, resumes that while the LV's own is
 * still at work, and swaps the thin table into the latter afterwards.  One
 * cache at a time works on a metadata device; so the new one waits, its reads
 * with it, until the other has stopped.  Then it takes over (handover.c).
 */
#include "larder.h"

/* Reads that came meanwhile are for the caller to begin anew, or to end. */
static void set_wait(struct larder_cache *c, enum larder_wait wait, struct list_head *ios)
{
	spin_lock_irq(&c->rerun_lock);
	/* pairs with larder_waits(): what was brought up before is seen by who sees this */
	smp_store_release(&c->wait, wait);
	list_splice_init(&c->waiting, ios);
	spin_unlock_irq(&c->rerun_lock);
}

static void map_again(struct larder_cache *c, struct list_head *ios)
{
	struct larder_io *io, *next;

	list_for_each_entry_safe(io, next, ios, list) {
		struct bio *bio = io_bio(io);

		list_del(&io->list);
		larder_mapped(bio, larder_map(c->ti, bio));
	}
}

static void fail_all(struct larder_cache *c, struct list_head *ios)
{
	blk_status_t status = dm_noflush_suspending(c->ti) ? BLK_STS_DM_REQUEUE : BLK_STS_IOERR;
	struct larder_io *io, *next;

	list_for_each_entry_safe(io, next, ios, list) {
		list_del(&io->list);
		io_bio(io)->bi_status = status;
		bio_endio(io_bio(io));
	}
}

/* The other cache has stopped. */
static void wait_worker(struct work_struct *work)
{
	struct larder_cache *c = container_of(work, struct larder_cache, wait_work);
	unsigned int noio = memalloc_noio_save();
	LIST_HEAD(ios);
	int err;

	err = READ_ONCE(c->wait) == WAIT_FOR_OTHER ? larder_open(c) : -EBUSY;
	memalloc_noio_restore(noio);
	/* somebody else was quicker, and will stop in turn */
	if (err == -EBUSY)
		return;
	set_wait(c, err ? WAIT_FAILED : WAIT_OVER, &ios);
	if (err) {
		fail_all(c, &ios);
		return;
	}
	larder_start(c);
	map_again(c, &ios);
}

/* Requests while c->wait is set: a reader waits, nobody writes to a read-only device. */
int larder_wait(struct larder_cache *c, struct bio *bio)
{
	struct larder_io *io = bio_io(bio);
	struct extent e;
	int r = DM_MAPIO_SUBMITTED;

	if (bio_op(bio) != REQ_OP_READ) {
		if (!(bio->bi_opf & REQ_PREFLUSH) || bio_sectors(bio))
			return DM_MAPIO_KILL;
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	spin_lock_irq(&c->rerun_lock);
	if (c->wait == WAIT_FOR_OTHER) {
		/* a grain at most, which nothing divides later, when it is too late for that */
		extent_locate(&c->geometry, &e, bio->bi_iter.bi_sector, bio_sectors(bio));
		e.sectors = min(e.sectors, c->geometry.grain_sectors -
				(e.offset & (c->geometry.grain_sectors - 1)));
		if (e.sectors < bio_sectors(bio))
			larder_accept(bio, e.sectors);
		count(c, COUNT_PARKED);
		list_add_tail(&io->list, &c->waiting);
	} else if (c->wait == WAIT_FAILED) {
		r = dm_noflush_suspending(c->ti) ? DM_MAPIO_REQUEUE : DM_MAPIO_KILL;
	} else {
		r = -EAGAIN;
	}
	spin_unlock_irq(&c->rerun_lock);
	return r == -EAGAIN ? larder_map(c->ti, bio) : r;
}

/* Presuspend; waits for a take-over that has begun. */
void larder_wait_stop(struct larder_cache *c)
{
	LIST_HEAD(ios);

	if (!larder_end_wait(c))
		return;
	flush_workqueue(c->run_queue);
	if (!larder_waits(c))
		return;
	set_wait(c, WAIT_FAILED, &ios);
	fail_all(c, &ios);
}

void larder_wait_init(struct larder_cache *c)
{
	INIT_LIST_HEAD(&c->waiting);
	INIT_WORK(&c->wait_work, wait_worker);
}
