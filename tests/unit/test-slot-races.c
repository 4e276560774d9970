// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slot map under threads, built with the thread sanitizer: users that read
 * and write, an evictor, and a committer that destages, records, withdraws
 * intents and sometimes fails; each goes by the locks and the order of steps
 * that the kernel module goes by.  Devices are arrays of versions, the
 * metadata is an array of entries, so that after each commit it can be seen
 * what a crash would leave.
 *
 * Races by design, all through READ_ONCE(), WRITE_ONCE() or atomics: masks and
 * blocks of a slot are looked at without the lock, under a hold or to be
 * verified by one; chains are followed without the lock by slotmap_peek().
 */
#include "maps.h"
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#define BLOCKS		96u
#define SLOTS		64u
#define GRAINS		4u	/* of a block of 32 sectors */
#define USERS		3u
#define USER_STEPS	150000u
#define GROUPS_MAX	64u
#define POISON		~0ull

struct user {
	struct world *w;
	pthread_t thread;
	struct rng rng;
	u32 number;
	u64 written[BLOCKS][GRAINS];	/* versions; a grain is written by one user only */
};

struct world {
	struct fixture f;
	pthread_mutex_t *shard_locks;
	pthread_mutex_t free_lock, forget_lock;
	u64 cache[SLOTS][GRAINS];	/* block and version */
	u64 origin[BLOCKS][GRAINS];	/* the same */
	u64 acked[BLOCKS][GRAINS];	/* versions whose write has ended */
	u32 forgets[SLOTS], nr_forgets;	/* FORGETTING, for the committer */
	u32 users_left;
	const char *failed;		/* the first expectation that did not hold */
	u32 failed_line;
	u64 hits, destaged, spoiled, evicted, fills, intents, withdrawn, arounds;

	/* the committer's: what is durable, and one round */
	struct larder_record disk[SLOTS];
	bool disk_intent[GROUPS_MAX];
	struct larder_record records[2 * SLOTS];	/* changed ones, and then lazy ones */
	u64 acked_before[BLOCKS][GRAINS];
	struct batch {
		u32 slot, version;
		u64 block, grains;
		bool failed;
	} batch[SLOTS];
	u32 nr_batch, nr_records, nr_setting, nr_clearing;
	u64 setting[GROUPS_MAX], clearing[GROUPS_MAX];
};

static void expect(struct world *w, bool ok, const char *what, u32 line)
{
	const char *none = NULL;

	if (!ok && __atomic_compare_exchange_n(&w->failed, &none, what, false, __ATOMIC_SEQ_CST,
					       __ATOMIC_SEQ_CST))
		WRITE_ONCE(w->failed_line, line);
}

#define EXPECT(w, cond) expect(w, cond, #cond, __LINE__)
#define COUNT(counter) ((void)__atomic_fetch_add(&(counter), 1, __ATOMIC_RELAXED))

/* For who waits for others: there may be one processor only. */
static void rest(void)
{
	usleep(20);
}

static u64 content(u64 block, u64 version)
{
	return block << 40 | version;
}

static u64 content_block(u64 value)
{
	return value >> 40;
}

static u64 content_version(u64 value)
{
	return value & ((1ull << 40) - 1);
}

static void lock(struct world *w, u64 block)
{
	pthread_mutex_lock(&w->shard_locks[slotmap_shard(&w->f.map, block)]);
}

static void unlock(struct world *w, u64 block)
{
	pthread_mutex_unlock(&w->shard_locks[slotmap_shard(&w->f.map, block)]);
}

static u32 take_free(struct world *w)
{
	u32 slot;

	pthread_mutex_lock(&w->free_lock);
	slot = slotmap_take_free(&w->f.map);
	pthread_mutex_unlock(&w->free_lock);
	return slot;
}

static void give_back(struct world *w, u32 slot)
{
	pthread_mutex_lock(&w->free_lock);
	slotmap_give_back(&w->f.map, slot);
	pthread_mutex_unlock(&w->free_lock);
}

/* --- users --- */

/* What a lookup or a read of the origin has shown may be outdated when it is used. */
static void hesitate(struct user *u)
{
	if (rng_below(&u->rng, 200) == 0)
		usleep(200);
}

/* Has a read hold; true when the grain was there. */
static bool read_held(struct world *w, u64 block, u32 grain, u32 slot, u64 before)
{
	bool valid = slot_valid(&w->f.map, slot) >> grain & 1;
	u64 value = READ_ONCE(w->cache[slot][grain]);

	EXPECT(w, slot_block(&w->f.map.slots[slot]) == block);
	if (valid) {
		EXPECT(w, content_block(value) == block);
		EXPECT(w, content_version(value) >= before);
		COUNT(w->hits);
	}
	slot_touch(&w->f.map, slot);
	slot_release_read(&w->f.map, slot);
	return valid;
}

/* Data as read from the origin at this generation goes into the cache, if it still may. */
static void fill(struct user *u, u64 block, const u64 *values, u32 generation)
{
	struct world *w = u->w;
	struct slotmap *map = &w->f.map;
	u32 slot, fresh = rng_below(&u->rng, 2) ? take_free(w) : SLOT_NONE, grain;
	u64 grains = 0;

	lock(w, block);
	slot = slotmap_find(map, block);
	if (shard_unmoved(map, block, generation)) {
		if (slot != SLOT_NONE) {
			grains = geometry_all_grains(map->g) & ~slot_valid(map, slot);
			if (grains && !slot_change(map, slot, SLOT_VALID, SLOT_FILLING, NO_WRITERS,
						   NULL))
				grains = 0;
		} else if (fresh != SLOT_NONE) {
			slot = fresh;
			fresh = SLOT_NONE;
			grains = geometry_all_grains(map->g);
			slot_insert(map, slot, block, SLOT_FILLING, 0);
		}
	}
	unlock(w, block);
	if (fresh != SLOT_NONE)
		give_back(w, fresh);
	if (!grains)
		return;
	for (grain = 0; grain < GRAINS; grain++)
		if (grains >> grain & 1)
			WRITE_ONCE(w->cache[slot][grain], values[grain]);
	lock(w, block);
	slot_filled(map, slot, grains, rng_below(&u->rng, 2));
	EXPECT(w, slot_change(map, slot, SLOT_FILLING, SLOT_VALID, 0, NULL));
	unlock(w, block);
	COUNT(w->fills);
}

static void user_read(struct user *u, u64 block, u32 grain)
{
	struct world *w = u->w;
	u64 before = smp_load_acquire(&w->acked[block][grain]), values[GRAINS];
	u32 slot = slotmap_peek(&w->f.map, block), generation, i;
	bool held;

	hesitate(u);
	if (slot != SLOT_NONE && slot_hold_read(&w->f.map, slot, block) &&
	    read_held(w, block, grain, slot, before))
		return;
	lock(w, block);
	slot = slotmap_find(&w->f.map, block);
	if (slot != SLOT_NONE && state_of(&w->f.map, slot) != SLOT_FORGETTING &&
	    slot_valid(&w->f.map, slot) >> grain & 1) {
		held = slot_hold_read(&w->f.map, slot, block);
		unlock(w, block);
		EXPECT(w, held);
		EXPECT(w, read_held(w, block, grain, slot, before));
		return;
	}
	generation = shard_generation(&w->f.map, block);
	unlock(w, block);
	for (i = 0; i < GRAINS; i++)
		values[i] = READ_ONCE(w->origin[block][i]);
	EXPECT(w, content_version(values[grain]) >= before);
	hesitate(u);
	if (rng_below(&u->rng, 2))
		fill(u, block, values, generation);
}

/* Has a write hold, which it gives up; false: an intent is needed, to be tried again. */
static bool write_held(struct user *u, u64 block, u32 grain, u32 slot, u64 version)
{
	struct world *w = u->w;
	struct slotmap *map = &w->f.map;
	u64 bit = 1ull << grain, dirty = slot_dirty(map, slot), valid, group;

	EXPECT(w, slot_block(&map->slots[slot]) == block);
	if (bit & ~dirty) {
		valid = slot_valid(map, slot);
		group = slot_intent_group(slot);
		if (valid & bit && !hbitmap_test(&map->intent_live, group)) {
			slot_release_write(map, slot);
			hbitmap_set(&map->intent_wanted, group);
			hbitmap_set(&map->intent_used, group);
			return false;
		}
		if (valid & bit)
			hbitmap_set(&map->intent_used, group);
		if (bit & ~valid) {
			lock(w, block);
			shard_move_on(map, block);
			unlock(w, block);
		}
	}
	WRITE_ONCE(w->cache[slot][grain], content(block, version));
	if (bit & ~dirty) {
		lock(w, block);
		slot_written(map, slot, bit);
		unlock(w, block);
	}
	slot_touch_write(map, slot);
	slot_release_write(map, slot);
	return true;
}

/* A block that is not in the cache, as it seems: to a fresh slot, or to the origin. */
static bool write_miss(struct user *u, u64 block, u32 grain, u64 version)
{
	struct world *w = u->w;
	struct slotmap *map = &w->f.map;
	u32 fresh = rng_below(&u->rng, 4) ? take_free(w) : SLOT_NONE;
	bool around;

	lock(w, block);
	if (slotmap_find(map, block) != SLOT_NONE) {
		unlock(w, block);
		if (fresh != SLOT_NONE)
			give_back(w, fresh);
		return false;
	}
	around = fresh == SLOT_NONE || map->shards[slotmap_shard(map, block)].origin_writers;
	if (around) {
		shard_origin_write_begin(map, block);
	} else {
		shard_move_on(map, block);
		slot_insert(map, fresh, block, SLOT_VALID, 1);
	}
	unlock(w, block);
	if (!around) {
		WRITE_ONCE(w->cache[fresh][grain], content(block, version));
		lock(w, block);
		slot_written(map, fresh, 1ull << grain);
		unlock(w, block);
		slot_release_write(map, fresh);
		return true;
	}
	if (fresh != SLOT_NONE)
		give_back(w, fresh);
	WRITE_ONCE(w->origin[block][grain], content(block, version));
	lock(w, block);
	shard_origin_write_end(map, block);
	unlock(w, block);
	COUNT(w->arounds);
	return true;
}

static void user_write(struct user *u, u64 block, u32 grain)
{
	struct world *w = u->w;
	u64 version = ++u->written[block][grain];
	bool done = false;
	u32 slot;

	while (!done && !READ_ONCE(w->failed)) {
		slot = slotmap_peek(&w->f.map, block);
		hesitate(u);
		if (slot == SLOT_NONE || !slot_hold_write(&w->f.map, slot, block, false)) {
			lock(w, block);
			slot = slotmap_find(&w->f.map, block);
			if (slot != SLOT_NONE &&
			    slot_hold_write(&w->f.map, slot, block, false)) {
				unlock(w, block);
				done = write_held(u, block, grain, slot, version);
			} else {
				unlock(w, block);
				done = slot == SLOT_NONE && write_miss(u, block, grain, version);
			}
		} else {
			done = write_held(u, block, grain, slot, version);
		}
		if (!done)
			rest();
	}
	smp_store_release(&w->acked[block][grain], version);
}

static void *user_thread(void *arg)
{
	struct user *u = arg;
	u32 step, i;

	for (step = 0; step < USER_STEPS && !READ_ONCE(u->w->failed); step++) {
		/* half of it goes to a few blocks */
		u64 block = rng_below(&u->rng, rng_below(&u->rng, 2) ? BLOCKS : 8);
		u32 grain = rng_below(&u->rng, GRAINS);

		/* its own grains: versions then only grow */
		if (rng_below(&u->rng, 2) && (block + grain) % USERS == u->number)
			for (i = 0; i < 3; i++)
				user_write(u, block, grain);
		else
			user_read(u, block, grain);
	}
	__atomic_fetch_sub(&u->w->users_left, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* --- evictor --- */

static void *evictor_thread(void *arg)
{
	struct world *w = arg;
	struct slotmap *map = &w->f.map;
	struct rng rng = { 77 };

	while (READ_ONCE(w->users_left)) {
		u32 slot = rng_below(&rng, SLOTS);
		u64 block = slot_block(&map->slots[slot]);
		bool ok;

		if (atomic64_read(&map->nr_free) > SLOTS / 8) {
			rest();
			continue;
		}
		lock(w, block);
		/* the chain is the proof that this is the slot's lock */
		ok = slotmap_find(map, block) == slot && !slot_dirty(map, slot) &&
		     slot_change(map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS | NO_READERS,
				 NULL);
		EXPECT(w, !ok || !slot_dirty(map, slot));
		unlock(w, block);
		if (!ok) {
			rest();
			continue;
		}
		pthread_mutex_lock(&w->forget_lock);
		w->forgets[w->nr_forgets++] = slot;
		pthread_mutex_unlock(&w->forget_lock);
	}
	return NULL;
}

/* --- committer --- */

static bool listed(const u64 *groups, u32 nr, u64 group)
{
	while (nr--)
		if (groups[nr] == group)
			return true;
	return false;
}

static void destage_block(struct world *w, u64 block)
{
	struct slotmap *map = &w->f.map;
	struct batch *b = &w->batch[w->nr_batch];
	u32 slot, grain;
	bool ok;

	lock(w, block);
	slot = slotmap_find(map, block);
	ok = slot != SLOT_NONE && slot_dirty(map, slot);
	if (ok && !slot_destage_begin(map, slot, &b->grains, &b->version)) {
		hbitmap_set(&map->dirty_regions, slotmap_region(map, block));
		ok = false;
	}
	unlock(w, block);
	if (!ok)
		return;
	b->slot = slot;
	b->block = block;
	w->nr_batch++;
	for (grain = 0; grain < GRAINS; grain++) {
		u64 value = READ_ONCE(w->cache[slot][grain]);

		if (!(b->grains >> grain & 1))
			continue;
		EXPECT(w, content_block(value) == block);
		WRITE_ONCE(w->origin[block][grain], value);
	}
}

static void destage_regions(struct world *w, struct rng *rng)
{
	struct slotmap *map = &w->f.map;
	unsigned long region = 0;
	u64 block, end;

	while ((region = hbitmap_next(&map->dirty_regions, region)) != HBITMAP_NONE) {
		block = (u64)region << map->region_shift;
		end = min(block + (1ull << map->region_shift), (u64)BLOCKS);
		hbitmap_clear(&map->dirty_regions, region++);
		for (; block < end; block++) {
			/* not always all that is dirty */
			if (rng_below(rng, 3) == 0)
				destage_block(w, block);
			else
				hbitmap_set(&map->dirty_regions, region - 1);
		}
	}
}

static void withdraw_intents(struct world *w, bool used_too)
{
	struct slotmap *map = &w->f.map;
	unsigned long group = 0;

	while ((group = hbitmap_next(&map->intent_live, group)) != HBITMAP_NONE) {
		if ((!hbitmap_clear(&map->intent_used, group) || used_too) &&
		    slotmap_withdraw_intent(map, group)) {
			w->clearing[w->nr_clearing++] = group;
			COUNT(w->withdrawn);
		}
		group++;
	}
}

static void gather_intents(struct world *w)
{
	struct slotmap *map = &w->f.map;
	unsigned long group = 0;

	while ((group = hbitmap_next(&map->intent_wanted, group)) != HBITMAP_NONE) {
		if (!listed(w->clearing, w->nr_clearing, group)) {
			hbitmap_clear(&map->intent_wanted, group);
			w->setting[w->nr_setting++] = group;
			COUNT(w->intents);
		}
		group++;
	}
}

static void gather_slots(struct world *w, struct hbitmap *slots, bool origin_synced)
{
	struct slotmap *map = &w->f.map;
	unsigned long slot = 0;
	u64 block;

	while ((slot = hbitmap_next(slots, slot)) != HBITMAP_NONE) {
		block = slot_block(&map->slots[slot]);
		lock(w, block);
		if (hbitmap_test(slots, slot) && slot_block(&map->slots[slot]) == block)
			slot_record(map, (u32)slot, origin_synced, &w->records[w->nr_records++]);
		unlock(w, block);
		slot++;
	}
}

/* No two slots may hold the same block (I2); what is durably clean is the same on both (I3). */
static void check_disk(struct world *w)
{
	u32 owner[BLOCKS], slot, grain;
	u64 block, value;

	memset(owner, 0xff, sizeof(owner));
	for (slot = 0; slot < SLOTS; slot++) {
		const struct larder_record *entry = &w->disk[slot];
		u64 valid = le64_to_cpu(entry->valid), dirty = le64_to_cpu(entry->dirty);

		if (!entry->block_flags)
			continue;
		block = le64_to_cpu(entry->block_flags) & LARDER_BLOCK_MASK;
		EXPECT(w, owner[block] == SLOT_NONE);
		owner[block] = slot;
		for (grain = 0; grain < GRAINS; grain++)
			if (valid & ~dirty & 1ull << grain &&
			    !w->disk_intent[slot_intent_group(slot)])
				EXPECT(w, READ_ONCE(w->cache[slot][grain]) ==
				       READ_ONCE(w->origin[block][grain]));
	}
	/* I5: what had ended before the commit began would survive a crash now */
	for (block = 0; block < BLOCKS; block++) {
		for (grain = 0; grain < GRAINS; grain++) {
			slot = owner[block];
			if (slot != SLOT_NONE && le64_to_cpu(w->disk[slot].valid) >> grain & 1)
				value = READ_ONCE(w->cache[slot][grain]);
			else
				value = READ_ONCE(w->origin[block][grain]);
			EXPECT(w, content_block(value) == block);
			EXPECT(w, content_version(value) >= w->acked_before[block][grain]);
		}
	}
}

static void forget_slots(struct world *w, const u32 *slots, u32 nr)
{
	u32 i, grain;
	u64 block;

	for (i = 0; i < nr; i++) {
		block = slot_block(&w->f.map.slots[slots[i]]);
		lock(w, block);
		slot_unmap(&w->f.map, slots[i]);
		unlock(w, block);
		for (grain = 0; grain < GRAINS; grain++)
			WRITE_ONCE(w->cache[slots[i]][grain], POISON);
		give_back(w, slots[i]);
		COUNT(w->evicted);
	}
}

static void round_begin(struct world *w, struct rng *rng)
{
	u64 block;
	u32 i;

	w->nr_records = 0;
	w->nr_setting = 0;
	w->nr_clearing = 0;
	for (block = 0; block < BLOCKS; block++)
		for (i = 0; i < GRAINS; i++)
			w->acked_before[block][i] = smp_load_acquire(&w->acked[block][i]);
	w->nr_batch = 0;
	if (rng_below(rng, 3) == 0)
		destage_regions(w, rng);
	for (i = 0; i < w->nr_batch; i++) {
		struct batch *b = &w->batch[i];

		lock(w, b->block);
		b->failed = !slot_clean_begin(&w->f.map, b->slot, b->grains, b->version);
		unlock(w, b->block);
		if (b->failed) {
			hbitmap_set(&w->f.map.dirty_regions, slotmap_region(&w->f.map, b->block));
			COUNT(w->spoiled);
		}
	}
	if (rng_below(rng, 2))
		withdraw_intents(w, rng_below(rng, 2));
}

static void round_end(struct world *w, bool ok)
{
	u32 i;

	for (i = 0; i < w->nr_records; i++) {
		u32 slot = le32_to_cpu(w->records[i].index);

		if (ok)
			w->disk[slot] = w->records[i];
		else
			slot_record_failed(&w->f.map, slot);
	}
	for (i = 0; i < w->nr_setting; i++) {
		w->disk_intent[w->setting[i]] |= ok;
		hbitmap_set(ok ? &w->f.map.intent_live : &w->f.map.intent_wanted, w->setting[i]);
	}
	for (i = 0; i < w->nr_clearing; i++) {
		w->disk_intent[w->clearing[i]] = !ok;
		if (!ok) {
			hbitmap_set(&w->f.map.intent_wanted, w->clearing[i]);
			hbitmap_set(&w->f.map.intent_live, w->clearing[i]);
		}
	}
	for (i = 0; i < w->nr_batch; i++) {
		struct batch *b = &w->batch[i];

		if (b->failed)
			continue;
		lock(w, b->block);
		slot_clean_end(&w->f.map, b->slot, b->grains, ok);
		unlock(w, b->block);
		COUNT(w->destaged);
	}
}

static void commit_round(struct world *w, struct rng *rng, bool may_fail)
{
	bool ok = !may_fail || rng_below(rng, 6), synced = rng_below(rng, 2);
	u32 forgets[SLOTS], nr_forgets;

	pthread_mutex_lock(&w->forget_lock);
	nr_forgets = w->nr_forgets;
	memcpy(forgets, w->forgets, sizeof(forgets));
	w->nr_forgets = 0;
	pthread_mutex_unlock(&w->forget_lock);

	round_begin(w, rng);
	gather_intents(w);
	gather_slots(w, &w->f.map.changed, synced);
	if (synced)
		gather_slots(w, &w->f.map.lazy, true);
	round_end(w, ok);
	if (ok) {
		check_disk(w);
		forget_slots(w, forgets, nr_forgets);
	} else {
		pthread_mutex_lock(&w->forget_lock);
		memcpy(w->forgets + w->nr_forgets, forgets, nr_forgets * sizeof(u32));
		w->nr_forgets += nr_forgets;
		pthread_mutex_unlock(&w->forget_lock);
	}
}

static void *committer_thread(void *arg)
{
	struct world *w = arg;
	struct rng rng = { 99 };

	while (READ_ONCE(w->users_left)) {
		commit_round(w, &rng, true);
		rest();
	}
	return NULL;
}

/* --- the whole --- */

static void check_counts(struct world *w)
{
	u32 slot, nr_used = 0, nr_dirty = 0;

	for (slot = 0; slot < SLOTS; slot++) {
		CHECK_EQUAL(holds_of(&w->f.map, slot), 0);
		if (state_of(&w->f.map, slot) == SLOT_FREE)
			continue;
		nr_used++;
		nr_dirty += slot_dirty(&w->f.map, slot) != 0;
		CHECK(!(slot_dirty(&w->f.map, slot) & ~slot_valid(&w->f.map, slot)));
		CHECK_EQUAL(slotmap_find(&w->f.map, slot_block(&w->f.map.slots[slot])), slot);
	}
	CHECK_EQUAL(atomic64_read(&w->f.map.nr_used), nr_used);
	CHECK_EQUAL(atomic64_read(&w->f.map.nr_dirty), nr_dirty);
	CHECK_EQUAL(atomic64_read(&w->f.map.nr_free), SLOTS - nr_used);
}

/* Alone again: everything can be written back, and then the origin has the newest of all. */
static void check_end(struct world *w, const struct user *users)
{
	struct rng rng = { 5 };
	u64 block, newest;
	u32 grain, i;

	check_counts(w);
	for (i = 0; i < 1000 && (atomic64_read(&w->f.map.nr_dirty) || w->nr_forgets); i++)
		commit_round(w, &rng, false);
	CHECK_SAY(!w->failed, "line %u: %s", w->failed_line, w->failed);
	check_counts(w);
	CHECK_EQUAL(atomic64_read(&w->f.map.nr_dirty), 0);
	for (block = 0; block < BLOCKS; block++) {
		for (grain = 0; grain < GRAINS; grain++) {
			newest = 0;
			for (i = 0; i < USERS; i++)
				newest = max(newest, users[i].written[block][grain]);
			CHECK_EQUAL(w->acked[block][grain], newest);
			CHECK_EQUAL(w->origin[block][grain], content(block, newest));
		}
	}
}

static void world_init(struct world *w)
{
	u64 block, grain;
	u32 i;

	memset(w, 0, sizeof(*w));
	fixture_init(&w->f, 8 * GRAINS, BLOCKS * 8 * GRAINS, SLOTS);
	w->shard_locks = calloc(w->f.map.nr_shards, sizeof(*w->shard_locks));
	for (i = 0; i < w->f.map.nr_shards; i++)
		pthread_mutex_init(&w->shard_locks[i], NULL);
	pthread_mutex_init(&w->free_lock, NULL);
	pthread_mutex_init(&w->forget_lock, NULL);
	memset(w->cache, 0xff, sizeof(w->cache));
	for (block = 0; block < BLOCKS; block++)
		for (grain = 0; grain < GRAINS; grain++)
			w->origin[block][grain] = content(block, 0);
	w->users_left = USERS;
	CHECK(w->f.map.nr_shards > 1);
	CHECK(w->f.map.intent_live.bits <= GROUPS_MAX);
}

static struct world world;
static struct user users[USERS];

static void test_all_at_once(void)
{
	pthread_t evictor, committer;
	u32 i;

	world_init(&world);
	for (i = 0; i < USERS; i++) {
		memset(&users[i], 0, sizeof(users[i]));
		users[i].w = &world;
		users[i].number = i;
		users[i].rng.state = 1000 + i;
		CHECK_EQUAL(pthread_create(&users[i].thread, NULL, user_thread, &users[i]), 0);
	}
	CHECK_EQUAL(pthread_create(&evictor, NULL, evictor_thread, &world), 0);
	CHECK_EQUAL(pthread_create(&committer, NULL, committer_thread, &world), 0);
	for (i = 0; i < USERS; i++)
		pthread_join(users[i].thread, NULL);
	pthread_join(evictor, NULL);
	pthread_join(committer, NULL);
	CHECK_SAY(!world.failed, "line %u: %s", world.failed_line, world.failed);
	check_end(&world, users);
	printf("  %llu hits, %llu fills, %llu around, %llu destaged, %llu spoiled, %llu evicted\n",
	       (unsigned long long)world.hits, (unsigned long long)world.fills,
	       (unsigned long long)world.arounds, (unsigned long long)world.destaged,
	       (unsigned long long)world.spoiled, (unsigned long long)world.evicted);
	/* everything has been tried */
	CHECK(world.hits && world.fills && world.arounds && world.destaged && world.evicted);
	CHECK(world.intents && world.withdrawn);
	free(world.shard_locks);
	fixture_free(&world.f);
}

static const struct unit_test tests[] = {
	{ "all at once", test_all_at_once },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
