// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that wait.  A write that cannot go on because of its slot's state
 * (or of other writers) is parked on its shard; whoever changes a slot wakes
 * the whole shard, and everybody looks again.  Woken requests run in a
 * worker, never in the context of who woke them.
 */
#include "larder.h"

/* Shard lock held. */
void larder_park(struct larder_cache *c, struct larder_shard *sh, struct larder_io *io)
{
	count(c, COUNT_PARKED);
	list_add_tail(&io->list, &sh->parked);
	WRITE_ONCE(sh->nr_parked, sh->nr_parked + 1);
}

void larder_run_again(struct larder_cache *c, struct list_head *ios)
{
	unsigned long flags;

	if (list_empty(ios))
		return;
	spin_lock_irqsave(&c->rerun_lock, flags);
	list_splice_tail_init(ios, &c->rerun);
	spin_unlock_irqrestore(&c->rerun_lock, flags);
	queue_work(c->run_queue, &c->rerun_work);
}

/* After any change to a slot of this block's shard that somebody may wait for; no lock held. */
void larder_wake(struct larder_cache *c, u64 block)
{
	struct larder_shard *sh = shard_of(c, block);
	unsigned long flags;
	LIST_HEAD(ios);

	/* pairs with the barrier of who parks: it looks again after it is on the list */
	smp_mb();
	if (!READ_ONCE(sh->nr_parked))
		return;
	spin_lock_irqsave(&sh->lock, flags);
	list_splice_init(&sh->parked, &ios);
	WRITE_ONCE(sh->nr_parked, 0);
	spin_unlock_irqrestore(&sh->lock, flags);
	larder_run_again(c, &ios);
}

void larder_rerun_worker(struct work_struct *work)
{
	struct larder_cache *c = container_of(work, struct larder_cache, rerun_work);
	struct larder_io *io, *next;
	LIST_HEAD(ios);

	spin_lock_irq(&c->rerun_lock);
	list_splice_init(&c->rerun, &ios);
	spin_unlock_irq(&c->rerun_lock);
	list_for_each_entry_safe(io, next, &ios, list) {
		list_del(&io->list);
		larder_write_again(c, io_bio(io));
		cond_resched();
	}
}
