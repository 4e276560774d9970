// SPDX-License-Identifier: GPL-2.0-only
/*
 * The supply of free slots.  The request path only takes; this worker keeps
 * some ready: it asks the policy for victims, and a victim becomes free when
 * its forget is durable (I2).  Hundreds of forgets share one commit.
 */
#include <linux/slab.h>

#include "larder.h"

#define SUPPLY_TRIES 8	/* batches of victims in one run of the worker */

/* So many slots are kept free or on their way. */
static u32 wanted(const struct larder_cache *c)
{
	return clamp_t(u32, c->map.nr_slots / 32, 1, 2048);
}

static s64 coming(struct larder_cache *c)
{
	return atomic64_read(&c->map.nr_free) + atomic_read(&c->forgets_pending);
}

u32 larder_take_slot(struct larder_cache *c)
{
	unsigned long flags;
	u32 slot;

	spin_lock_irqsave(&c->free_lock, flags);
	slot = slotmap_take_free(&c->map);
	spin_unlock_irqrestore(&c->free_lock, flags);
	if (coming(c) < wanted(c) && READ_ONCE(c->running)) {
		if (c->map.usable_slots < c->map.nr_slots)
			larder_commit_soon(c, false);	/* extends the table */
		else
			queue_work(c->run_queue, &c->supply_work);
	}
	return slot;
}

void larder_return_slot(struct larder_cache *c, u32 slot)
{
	unsigned long flags;

	spin_lock_irqsave(&c->free_lock, flags);
	slotmap_give_back(&c->map, slot);
	spin_unlock_irqrestore(&c->free_lock, flags);
}

/* The batch is recorded: its slots are free. */
void larder_forgotten(struct larder_cache *c, struct larder_forget_batch *batch)
{
	u32 i;

	for (i = 0; i < batch->nr; i++) {
		u32 slot = batch->slots[i];
		u64 block = slot_block(&c->map.slots[slot]);
		struct larder_shard *sh = shard_of(c, block);

		spin_lock_irq(&sh->lock);
		slot_unmap(&c->map, slot);
		spin_unlock_irq(&sh->lock);
		larder_policy_removed(c, slot, block, batch->why);
		larder_return_slot(c, slot);
		atomic_dec(&c->forgets_pending);
		if (batch->why == POLICY_REMOVED_EVICTED)
			count(c, COUNT_DEMOTION);
		larder_wake(c, block);
	}
	if (batch->done)
		complete(batch->done);
	kfree(batch);
}

bool larder_evict(struct larder_cache *c, u32 slot)
{
	u64 block = slot_block(&c->map.slots[slot]);
	struct larder_shard *sh = shard_of(c, block);
	bool ok;

	spin_lock_irq(&sh->lock);
	/* found, not only named: a slot that a discard has freed keeps its last block's number */
	ok = slotmap_find(&c->map, block) == slot && !slot_dirty(&c->map, slot) &&
	     slot_change(&c->map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS | NO_READERS, NULL);
	spin_unlock_irq(&sh->lock);
	return ok;
}

static u32 evict_some(struct larder_cache *c)
{
	struct larder_forget_batch *batch = kzalloc(sizeof(*batch), GFP_NOIO);
	u32 slots[POLICY_VICTIMS_MAX], n, i, want;

	if (!batch)
		return 0;
	batch->why = POLICY_REMOVED_EVICTED;
	want = clamp_t(s64, 2 * (s64)wanted(c) - coming(c), 1, POLICY_VICTIMS_MAX);
	spin_lock_irq(&c->policy_lock);
	n = c->policy_ops->victims(&c->policy, slots, want, ktime_get_ns() / NSEC_PER_MSEC);
	spin_unlock_irq(&c->policy_lock);
	for (i = 0; i < n; i++) {
		if (larder_evict(c, slots[i])) {
			batch->slots[batch->nr++] = slots[i];
		} else {
			spin_lock_irq(&c->policy_lock);
			c->policy_ops->victim_refused(&c->policy, slots[i]);
			spin_unlock_irq(&c->policy_lock);
		}
	}
	n = batch->nr;
	if (!n) {
		kfree(batch);
		return 0;
	}
	atomic_add(n, &c->forgets_pending);
	larder_commit_forget(c, batch);
	return n;
}

void larder_supply_worker(struct work_struct *work)
{
	struct larder_cache *c = container_of(work, struct larder_cache, supply_work);
	u32 tries, got = 0;

	for (tries = 0; tries < SUPPLY_TRIES && coming(c) < 2 * (s64)wanted(c); tries++) {
		if (!READ_ONCE(c->running) || c->policy_ops->cleaner ||
		    c->args.mode == MODE_PASS_THROUGH)
			return;
		got += evict_some(c);
	}
	/* nothing but dirty blocks: they have to be written back before anything can go */
	WRITE_ONCE(c->starving, !got && coming(c) < wanted(c));
	if (c->starving)
		larder_destage_kick(c);
}
