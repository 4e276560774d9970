// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata worker: group commit and checkpoints.
 *
 * A round takes everybody who waits, gathers the records that are owed, has
 * the devices flushed that those records and the waiters need, writes the
 * records with FUA, and lets everybody go on.  Who comes during a round waits
 * for the next.  The order within a round is what makes the invariants true:
 *
 *	1. destaged blocks become clean in memory, before the origin's flush (I4)
 *	2. records are gathered: only completed writes are in the masks (I1)
 *	3. flush of cache and origin, as needed
 *	4. journal write; once it is durable:
 *	5. forgotten slots are free (I2), intents hold (I3), waiters end (I5)
 *
 * A round is one or more journal commits, as many as its records need; steps
 * 2 to 4 are repeated for each.  Whatever fails, fails the round: waiters get
 * an error, records are owed again, and writes are refused until a later
 * round has succeeded.
 */
#include <linux/slab.h>

#include "larder.h"

static bool has_work(struct larder_committer *k)
{
	return k->wanted || k->withdraw_all || k->probe || !list_empty(&k->waiters) ||
	       !list_empty(&k->intent_waiters) || !list_empty(&k->forgets) || k->destaged;
}

static void add_waiter(struct larder_cache *c, struct larder_io *io, struct list_head *list)
{
	struct larder_committer *k = &c->committer;
	unsigned long flags;

	spin_lock_irqsave(&k->lock, flags);
	list_add_tail(&io->list, list);
	spin_unlock_irqrestore(&k->lock, flags);
	queue_work(c->commit_queue, &k->work);
}

void larder_commit_bio(struct larder_cache *c, struct larder_io *io)
{
	add_waiter(c, io, &c->committer.waiters);
}

void larder_commit_intent(struct larder_cache *c, struct larder_io *io, u32 slot)
{
	hbitmap_set(&c->map.intent_wanted, slot_intent_group(slot));
	hbitmap_set(&c->map.intent_used, slot_intent_group(slot));
	add_waiter(c, io, &c->committer.intent_waiters);
}

void larder_commit_forget(struct larder_cache *c, struct larder_forget_batch *batch)
{
	struct larder_committer *k = &c->committer;

	spin_lock_irq(&k->lock);
	list_add_tail(&batch->list, &k->forgets);
	spin_unlock_irq(&k->lock);
	queue_work(c->commit_queue, &k->work);
}

void larder_commit_soon(struct larder_cache *c, bool lazy)
{
	struct larder_committer *k = &c->committer;
	unsigned long flags;

	spin_lock_irqsave(&k->lock, flags);
	k->wanted = true;
	k->lazy_wanted |= lazy;
	spin_unlock_irqrestore(&k->lock, flags);
	queue_work(c->commit_queue, &k->work);
}

void larder_commit_destaged(struct larder_cache *c, struct destage_batch *batch)
{
	struct larder_committer *k = &c->committer;

	batch->done = false;
	spin_lock_irq(&k->lock);
	k->destaged = batch;
	spin_unlock_irq(&k->lock);
	queue_work(c->commit_queue, &k->work);
	wait_event(k->done, READ_ONCE(batch->done));
}

/* What a round has taken from the lists. */
struct round {
	struct list_head waiters, intent_waiters, forgets;
	struct destage_batch *destaged;
	bool lazy, withdraw_all;
	bool probe;
	bool sync_cache, sync_origin;	/* somebody waits for all data on it */
	unsigned int flush;		/* devices still to be flushed in this round */
};

static void round_take(struct larder_cache *c, struct round *r)
{
	struct larder_committer *k = &c->committer;
	struct larder_io *io;

	INIT_LIST_HEAD(&r->waiters);
	INIT_LIST_HEAD(&r->intent_waiters);
	INIT_LIST_HEAD(&r->forgets);
	spin_lock_irq(&k->lock);
	list_splice_init(&k->waiters, &r->waiters);
	list_splice_init(&k->intent_waiters, &r->intent_waiters);
	list_splice_init(&k->forgets, &r->forgets);
	r->destaged = k->destaged;
	k->destaged = NULL;
	r->lazy = k->lazy_wanted;
	r->withdraw_all = k->withdraw_all;
	r->probe = k->probe || k->super_failed;
	k->probe = false;
	k->wanted = false;
	k->lazy_wanted = false;
	k->withdraw_all = false;
	spin_unlock_irq(&k->lock);

	r->sync_cache = r->withdraw_all || !list_empty(&r->waiters);
	r->sync_origin = r->withdraw_all;
	list_for_each_entry(io, &r->waiters, list)
		r->sync_origin |= io->flush;
}

/* Step 1.  True when something is to become clean, and so the origin must be flushed. */
static bool destaged_begin(struct larder_cache *c, struct destage_batch *batch)
{
	struct destage_entry *e;
	bool any = false;
	u32 i;

	for (i = 0; batch && i < batch->nr; i++) {
		struct larder_shard *sh;

		e = &batch->entries[i];
		sh = shard_of(c, e->block);
		spin_lock_irq(&sh->lock);
		e->failed = !slot_clean_begin(&c->map, e->slot, e->grains, e->version);
		spin_unlock_irq(&sh->lock);
		if (e->failed) {
			count(c, COUNT_DESTAGE_SPOILED);
			hbitmap_set(&c->map.dirty_regions, slotmap_region(&c->map, e->block));
			larder_wake(c, e->block);
		}
		any |= !e->failed;
	}
	return any;
}

static void destaged_end(struct larder_cache *c, struct destage_batch *batch, bool durable)
{
	u32 i;

	if (!batch)
		return;
	for (i = 0; i < batch->nr; i++) {
		struct destage_entry *e = &batch->entries[i];
		struct larder_shard *sh = shard_of(c, e->block);

		if (e->failed)
			continue;
		spin_lock_irq(&sh->lock);
		slot_clean_end(&c->map, e->slot, e->grains, durable);
		spin_unlock_irq(&sh->lock);
		if (durable)
			count(c, COUNT_DESTAGE);
		larder_wake(c, e->block);
	}
	WRITE_ONCE(batch->done, true);
	wake_up_all(&c->committer.done);
}

static bool listed(const u64 *groups, u32 nr, u64 group)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/*
 * The record of a page's intents: those that hold, those that this round sets,
 * and, until their slots have been recorded, those that it withdraws.
 */
static void add_intent(struct larder_cache *c, u64 page, bool withdrawn_too)
{
	struct larder_committer *k = &c->committer;
	u64 group = page * INTENT_GROUPS_PER_PAGE, end = group + INTENT_GROUPS_PER_PAGE, mask = 0;
	struct larder_record record = {
		.type = LARDER_RECORD_INTENT,
		.index = cpu_to_le32(page),
	};

	for (; group < end; group++)
		if (hbitmap_test(&c->map.intent_live, group) ||
		    listed(k->setting, k->nr_setting, group) ||
		    (withdrawn_too && listed(k->clearing, k->nr_clearing, group)))
			mask |= intent_group_mask(group);
	record.valid = cpu_to_le64(mask);
	record.block_flags = cpu_to_le64(mask ? c->map.intent_kind : LARDER_INTENT_NONE);
	metadata_commit_add(c->metadata, &record);
}

/*
 * Intents that somebody waits for: into the commit being gathered.  One that
 * this round withdraws has to wait for the next, or its end would undo it.
 */
static void gather_intents(struct larder_cache *c)
{
	struct larder_committer *k = &c->committer;
	u64 page = ~0ull;
	unsigned long group;

	for (group = 0; k->nr_setting < COMMIT_GROUPS_MAX; group++) {
		group = hbitmap_next(&c->map.intent_wanted, group);
		if (group == HBITMAP_NONE || metadata_commit_room(c->metadata, false) < 2)
			break;
		if (listed(k->clearing, k->nr_clearing, group))
			continue;
		hbitmap_clear(&c->map.intent_wanted, group);
		if (page != ~0ull && page != intent_group_page(group))
			add_intent(c, page, true);
		page = intent_group_page(group);
		k->setting[k->nr_setting++] = group;
		count(c, COUNT_INTENT);
	}
	if (page != ~0ull)
		add_intent(c, page, true);
}

/*
 * Is what has been read from the origin so far durable there, or will it be by
 * the flush that this commit begins with?  To be asked anew for each record:
 * writes to the origin go on, and only a round's first commit flushes it.
 */
static bool origin_synced(struct larder_cache *c, const struct round *r)
{
	return (r->flush & DEVICE_ORIGIN) ||
	       (c->committer.origin_ever_flushed &&
		larder_sum(c, COUNT_WRITES_ORIGIN) == c->committer.origin_flushed);
}

/*
 * Step 2 for the slots of one bitmap from *cursor on, until the commit is
 * full.  True when all have been seen.
 */
static bool gather_slots(struct larder_cache *c, struct round *r, struct hbitmap *slots,
			 unsigned long *cursor, bool optional)
{
	struct larder_record record;
	unsigned long slot;

	for (;;) {
		struct larder_shard *sh;
		u64 block;
		bool use;

		slot = hbitmap_next(slots, *cursor);
		if (slot == HBITMAP_NONE)
			return true;
		if (!metadata_commit_room(c->metadata, optional))
			return false;
		*cursor = slot + 1;
		block = slot_block(&c->map.slots[slot]);
		sh = shard_of(c, block);
		spin_lock_irq(&sh->lock);
		/* it may have been freed, and used again, since we looked */
		use = hbitmap_test(slots, slot) && slotmap_find(&c->map, block) == slot;
		if (use)
			slot_record(&c->map, slot, origin_synced(c, r), &record);
		else if (hbitmap_test(slots, slot))
			*cursor = slot;
		spin_unlock_irq(&sh->lock);
		if (use)
			metadata_commit_add(c->metadata, &record);
	}
}

/*
 * Withdraws intents that nobody has needed since the last look: their slots'
 * exact masks have been recorded by the time this round ends.
 */
static void withdraw_intents(struct larder_cache *c, struct round *r)
{
	struct larder_committer *k = &c->committer;
	unsigned long group;

	for (group = 0; k->nr_clearing < COMMIT_GROUPS_MAX; group++) {
		group = hbitmap_next(&c->map.intent_live, group);
		if (group == HBITMAP_NONE)
			return;
		if (hbitmap_clear(&c->map.intent_used, group) && !r->withdraw_all)
			continue;
		if (slotmap_withdraw_intent(&c->map, group))
			k->clearing[k->nr_clearing++] = group;
	}
}

/* Steps 3 and 4 for what has been gathered. */
static int write_commit(struct larder_cache *c, struct round *r)
{
	struct larder_committer *k = &c->committer;
	u64 cache = larder_sum(c, COUNT_WRITES_CACHE);
	u64 cache_dirty = larder_sum(c, COUNT_WRITES_CACHE_DIRTY);
	u64 origin = larder_sum(c, COUNT_WRITES_ORIGIN);
	u64 origin_user = larder_sum(c, COUNT_WRITES_ORIGIN_USER);
	u32 records = metadata_commit_count(c->metadata);
	int err;

	if ((records && cache != k->cache_flushed) ||
	    (r->sync_cache && cache_dirty != k->cache_dirty_flushed))
		r->flush |= DEVICE_CACHE;
	if (!records && !r->flush)
		return 0;
	err = larder_run_operation(c, metadata_commit_run(c->metadata, r->flush));
	if (err)
		return err;
	if (r->flush & DEVICE_CACHE) {
		k->cache_flushed = cache;
		k->cache_dirty_flushed = cache_dirty;
	}
	if (r->flush & DEVICE_ORIGIN) {
		k->origin_flushed = origin;
		k->origin_user_flushed = origin_user;
		k->origin_ever_flushed = true;
	}
	invariant(I1_DATA_BEFORE_MAP, !records || k->cache_flushed == cache);
	if (records) {
		count(c, COUNT_COMMIT);
		count_by(c, COUNT_COMMIT_RECORDS, records);
	}
	r->flush = 0;
	return 0;
}

static void commit_failed(struct larder_cache *c)
{
	u32 i, n = metadata_commit_count(c->metadata);

	for (i = 0; i < n; i++) {
		const struct larder_record *record = metadata_commit_record(c->metadata, i);

		if (record->type == LARDER_RECORD_ENTRY)
			slot_record_failed(&c->map, le32_to_cpu(record->index));
	}
}

/* One segment of the journal, so that commits can come in between. */
static int checkpoint(struct larder_cache *c)
{
	count(c, COUNT_CHECKPOINT);
	return larder_run_operation(c, metadata_checkpoint_begin(c->metadata));
}

static int make_room(struct larder_cache *c)
{
	int err = 0;

	while (!err && !metadata_commit_room(c->metadata, false))
		err = checkpoint(c);
	return err;
}

/* The pages of withdrawn intents, from *done on; true when all are in. */
static bool gather_withdrawn(struct larder_cache *c, u32 *done)
{
	struct larder_committer *k = &c->committer;

	while (*done < k->nr_clearing) {
		u64 page = intent_group_page(k->clearing[*done]);

		if (!metadata_commit_room(c->metadata, false))
			return false;
		add_intent(c, page, false);
		while (*done < k->nr_clearing && intent_group_page(k->clearing[*done]) == page)
			(*done)++;
	}
	return true;
}

/* Records in as many commits as it takes; intents withdrawn come last. */
static int round_write(struct larder_cache *c, struct round *r)
{
	unsigned long cursor = 0, lazy_cursor = 0;
	bool owed_done = false, lazy_done = false, last = false;
	u32 cleared = 0;
	int err;

	while (!last) {
		metadata_commit_begin(c->metadata);
		err = make_room(c);
		if (err)
			return err;
		gather_intents(c);
		if (!owed_done)
			owed_done = gather_slots(c, r, &c->map.changed, &cursor, false);
		if (owed_done && !lazy_done) {
			/* nothing gathered: the journal is too full for optional records */
			lazy_done = !r->lazy || !origin_synced(c, r) ||
				gather_slots(c, r, &c->map.lazy, &lazy_cursor, true) ||
				!metadata_commit_count(c->metadata);
		}
		if (owed_done && lazy_done)
			last = gather_withdrawn(c, &cleared);
		err = write_commit(c, r);
		if (err) {
			commit_failed(c);
			return err;
		}
	}
	return 0;
}

static void round_end(struct larder_cache *c, struct round *r, int err)
{
	struct larder_committer *k = &c->committer;
	struct larder_forget_batch *batch, *next_batch;
	struct larder_io *io, *next;
	bool failed = err;
	u32 i;

	if (k->failed != failed) {
		WRITE_ONCE(k->failed, failed);
		dm_table_event(c->ti->table);
	}
	for (i = 0; i < k->nr_setting; i++)
		hbitmap_set(err ? &c->map.intent_wanted : &c->map.intent_live, k->setting[i]);
	/* a withdrawal that failed may be durable or not: hold it, and record that again */
	for (i = 0; err && i < k->nr_clearing; i++) {
		hbitmap_set(&c->map.intent_wanted, k->clearing[i]);
		hbitmap_set(&c->map.intent_live, k->clearing[i]);
	}
	k->nr_setting = 0;
	k->nr_clearing = 0;
	if (err)
		count(c, COUNT_COMMIT_FAILED);
	destaged_end(c, r->destaged, !err);

	list_for_each_entry_safe(batch, next_batch, &r->forgets, list) {
		list_del(&batch->list);
		if (!err) {
			larder_forgotten(c, batch);
		} else {
			/* stays FORGETTING; tried again with the next round */
			if (batch->done) {
				*batch->error = err;
				complete(batch->done);
				batch->done = NULL;
			}
			spin_lock_irq(&k->lock);
			list_add_tail(&batch->list, &k->forgets);
			spin_unlock_irq(&k->lock);
			/* writes that wait for these are refused now */
			for (i = 0; i < batch->nr; i++)
				larder_wake(c, slot_block(&c->map.slots[batch->slots[i]]));
		}
	}
	list_for_each_entry_safe(io, next, &r->waiters, list) {
		struct bio *bio = io_bio(io);

		list_del(&io->list);
		io->kind = IO_PASS;
		if (err)
			bio->bi_status = errno_to_blk_status(err);
		bio_endio(bio);
	}
	larder_run_again(c, &r->intent_waiters);
}

static int commit_round(struct larder_cache *c)
{
	struct larder_committer *k = &c->committer;
	bool cleaned;
	struct round r = { };
	int err;

	round_take(c, &r);
	cleaned = destaged_begin(c, r.destaged);
	if (r.lazy || r.withdraw_all)
		withdraw_intents(c, &r);
	if (cleaned || r.withdraw_all ||
	    (k->nr_clearing && c->map.intent_kind == LARDER_INTENT_WRITE_THROUGH) ||
	    (r.sync_origin &&
	     (!k->origin_ever_flushed ||
	      larder_sum(c, COUNT_WRITES_ORIGIN_USER) != k->origin_user_flushed)))
		r.flush |= DEVICE_ORIGIN;
	if (k->nr_clearing)
		r.flush |= DEVICE_CACHE;
	if (k->failed) {
		/* nothing that only seems to succeed may lift the latch */
		r.sync_cache = true;
		r.flush |= DEVICE_CACHE | DEVICE_ORIGIN;
	}
	/* fills want the origin flushed too, but only when nobody is held up by it */
	if (r.lazy && list_empty(&r.waiters) && list_empty(&r.intent_waiters) &&
	    hbitmap_next(&c->map.lazy, 0) != HBITMAP_NONE &&
	    larder_sum(c, COUNT_WRITES_ORIGIN) != k->origin_flushed)
		r.flush |= DEVICE_ORIGIN;
	invariant(I4_CLEAN_AFTER_ORIGIN, !cleaned || (r.flush & DEVICE_ORIGIN));

	err = round_write(c, &r);
	if (!err && r.probe) {
		err = larder_run_operation(c, metadata_rewrite_begin(c->metadata));
		k->super_failed = err != 0;
	}
	if (err)
		DMERR_LIMIT("%s: commit failed (%d): writes are refused until one succeeds",
			    dm_table_device_name(c->ti->table), err);
	round_end(c, &r, err);
	return err;
}

static int extend(struct larder_cache *c)
{
	int err = larder_run_operation(c, metadata_extend_begin(c->metadata));

	if (!err) {
		spin_lock_irq(&c->free_lock);
		slotmap_set_usable(&c->map, metadata_formatted_slots(c->metadata));
		spin_unlock_irq(&c->free_lock);
	}
	return err;
}

static void commit_worker(struct work_struct *work)
{
	struct larder_committer *k = container_of(work, struct larder_committer, work);
	struct larder_cache *c = container_of(k, struct larder_cache, committer);
	bool again;
	int err = 0;

	mutex_lock(&k->round);
	if (k->stopped) {
		mutex_unlock(&k->round);
		return;
	}
	spin_lock_irq(&k->lock);
	again = has_work(k);
	spin_unlock_irq(&k->lock);
	if (again)
		err = commit_round(c);
	if (!err && metadata_checkpoint_wanted(c->metadata))
		err = checkpoint(c);
	if (!err && c->map.usable_slots < c->map.nr_slots &&
	    atomic64_read(&c->map.nr_free) < 2 * LARDER_ENTRIES_PER_PAGE)
		err = extend(c);
	if (err && err != -EIO)
		DMERR_LIMIT("%s: metadata: %d", dm_table_device_name(c->ti->table), err);
	mutex_unlock(&k->round);

	spin_lock_irq(&k->lock);
	/* after a failure, only who waits is served; the rest waits for the next tick */
	again = err ? !list_empty(&k->waiters) || !list_empty(&k->intent_waiters) || k->destaged :
		      has_work(k) || metadata_checkpoint_wanted(c->metadata);
	spin_unlock_irq(&k->lock);
	if (again)
		queue_work(c->commit_queue, &k->work);
}

/* From here on the worker does nothing, whoever asks; larder_commit_now() still works. */
void larder_commit_stop(struct larder_cache *c, bool stop)
{
	mutex_lock(&c->committer.round);
	c->committer.stopped = stop;
	mutex_unlock(&c->committer.round);
}

int larder_commit_probe(struct larder_cache *c)
{
	spin_lock_irq(&c->committer.lock);
	c->committer.probe = true;
	spin_unlock_irq(&c->committer.lock);
	return larder_commit_now(c, false);
}

int larder_commit_now(struct larder_cache *c, bool stop)
{
	struct larder_committer *k = &c->committer;
	int err;

	mutex_lock(&k->round);
	do {
		spin_lock_irq(&k->lock);
		k->wanted = true;
		k->lazy_wanted = true;
		k->withdraw_all = stop;
		spin_unlock_irq(&k->lock);
		err = commit_round(c);
	} while (!err && stop && hbitmap_next(&c->map.intent_live, 0) != HBITMAP_NONE);
	mutex_unlock(&k->round);
	return err;
}

void larder_commit_init(struct larder_cache *c)
{
	struct larder_committer *k = &c->committer;

	INIT_WORK(&k->work, commit_worker);
	spin_lock_init(&k->lock);
	INIT_LIST_HEAD(&k->waiters);
	INIT_LIST_HEAD(&k->intent_waiters);
	INIT_LIST_HEAD(&k->forgets);
	init_waitqueue_head(&k->done);
	mutex_init(&k->round);
}

/* Forgets that could not be recorded go with the cache. */
void larder_commit_exit(struct larder_cache *c)
{
	struct larder_forget_batch *batch, *next;

	list_for_each_entry_safe(batch, next, &c->committer.forgets, list)
		kfree(batch);
}
