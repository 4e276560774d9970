// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of the policies that are always there: what every policy promises
 * (policy.h) under random calls, the work per call, and how well S3-FIFO
 * chooses, against FIFO and LRU on the same requests.  The measure of work is
 * the number of calls that a policy makes for heat bytes: it has to look at
 * one for each slot that it judges.
 */
#include <stdio.h>
#include <unistd.h>
#include <math.h>

#include "../../policy/policy.h"

#define NOTHING U64_MAX

static unsigned int passed, failed;
static bool ok;

#define expect(cond, ...) do { \
	if (!(cond)) { \
		printf("# %s:%d: %s: ", __FILE__, __LINE__, #cond); \
		printf(__VA_ARGS__); \
		printf("\n"); \
		ok = false; \
	} \
} while (0)

static u64 random_state;

static u64 random_u64(void)
{
	u64 h = random_state += 0x9e3779b97f4a7c15ull;

	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
	return h ^ (h >> 31);
}

static u32 random_below(u32 n)
{
	return (u32)(random_u64() % n);
}

/* --- a core in miniature: the map, the heat bytes, one policy --- */

struct cache {
	struct policy policy;
	u32 nr_slots;
	u32 nr_blocks;
	u64 *blocks;		/* by slot */
	u32 *slots;		/* by block */
	u8 *heat;
	u32 *free_slots;
	u32 nr_free;
	u64 nr_heat_calls;
	void *memory;
};

static u8 heat_get(void *context, u32 slot)
{
	struct cache *c = context;

	assert(slot < c->nr_slots);
	c->nr_heat_calls++;
	return c->heat[slot];
}

static void heat_set(void *context, u32 slot, u8 heat)
{
	struct cache *c = context;

	assert(slot < c->nr_slots);
	assert(heat <= c->policy.ops->heat_max);
	c->heat[slot] = heat;
}

static void *zeroed(size_t n, size_t size)
{
	void *p = calloc(n, size);

	assert(p);
	return p;
}

static void cache_start(struct cache *c, const struct policy_ops *ops, u32 nr_slots, u32 nr_blocks)
{
	u64 seed = random_u64();
	size_t bytes;
	u32 i;

	memset(c, 0, sizeof(*c));
	c->nr_slots = nr_slots;
	c->nr_blocks = nr_blocks;
	c->blocks = zeroed(nr_slots, sizeof(u64));
	c->slots = zeroed(nr_blocks, sizeof(u32));
	c->heat = zeroed(nr_slots, 1);
	c->free_slots = zeroed(nr_slots, sizeof(u32));
	for (i = 0; i < nr_slots; i++) {
		c->blocks[i] = NOTHING;
		c->free_slots[c->nr_free++] = nr_slots - 1 - i;
	}
	for (i = 0; i < nr_blocks; i++)
		c->slots[i] = POLICY_NO_SLOT;
	c->policy.ops = ops;
	c->policy.geometry.nr_slots = nr_slots;
	c->policy.geometry.block_sectors = 32;
	c->policy.geometry.nr_origin_blocks = nr_blocks;
	c->policy.heat.get = heat_get;
	c->policy.heat.set = heat_set;
	c->policy.heat.context = c;
	bytes = ops->state_bytes(&c->policy.geometry);
	assert(bytes);
	/* exactly that much, so that the sanitizer sees a byte too many */
	assert(!posix_memalign(&c->memory, 64, bytes));
	memset(c->memory, 0, bytes);
	c->policy.state = c->memory;
	assert(!ops->init(&c->policy, seed));
}

static void cache_stop(struct cache *c)
{
	free(c->blocks);
	free(c->slots);
	free(c->heat);
	free(c->free_slots);
	free(c->memory);
}

static void cache_put(struct cache *c, u32 slot, u64 block)
{
	c->blocks[slot] = block;
	c->slots[block] = slot;
}

static void cache_insert(struct cache *c, u64 block, bool write)
{
	u32 slot = c->free_slots[--c->nr_free];

	cache_put(c, slot, block);
	c->policy.ops->inserted(&c->policy, slot, block, write);
}

static void cache_remove(struct cache *c, u32 slot, enum policy_removed why)
{
	u64 block = c->blocks[slot];

	c->blocks[slot] = NOTHING;
	c->slots[block] = POLICY_NO_SLOT;
	c->free_slots[c->nr_free++] = slot;
	c->policy.ops->removed(&c->policy, slot, block, why);
}

static u32 cache_victims(struct cache *c, u32 *slots, u32 want)
{
	return c->policy.ops->victims(&c->policy, slots, want, 0);
}

/* One request for a block.  True for a hit. */
static bool cache_request(struct cache *c, u64 block)
{
	u32 slot = c->slots[block], victims[POLICY_VICTIMS_MAX], i, n;
	struct policy_miss miss = { .block = block, .grains = 1, .free_slots = c->nr_free };

	if (slot != POLICY_NO_SLOT) {
		if (c->heat[slot] < c->policy.ops->heat_max)
			c->heat[slot]++;
		return true;
	}
	if (c->policy.ops->miss(&c->policy, &miss) == POLICY_BYPASS)
		return false;
	if (!c->nr_free) {
		n = cache_victims(c, victims, 4);
		for (i = 0; i < n; i++)
			cache_remove(c, victims[i], POLICY_REMOVED_EVICTED);
	}
	if (c->nr_free)
		cache_insert(c, block, false);
	return false;
}

struct stat_wanted {
	const char *key;
	u64 value;
	bool found;
};

static void look_for_stat(void *context, const char *key, u64 value)
{
	struct stat_wanted *wanted = context;

	if (strcmp(key, wanted->key))
		return;
	wanted->value = value;
	wanted->found = true;
}

static u64 stat_of(struct cache *c, const char *key)
{
	struct stat_wanted wanted = { .key = key };

	c->policy.ops->emit_stats(&c->policy, look_for_stat, &wanted);
	assert(wanted.found);
	return wanted.value;
}

static u64 nr_queued(struct cache *c)
{
	return stat_of(c, "small") + stat_of(c, "main") + stat_of(c, "waiting");
}

/* --- every resident slot is in one queue, or is away --- */

enum { FREE, RESIDENT, HANDED_OUT };

struct walk {
	struct cache c;
	u8 *state;		/* by slot */
	u32 away[4 * POLICY_VICTIMS_MAX];
	u32 nr_away;
};

static void walk_victims(struct walk *w)
{
	u32 slots[POLICY_VICTIMS_MAX], want = random_below(POLICY_VICTIMS_MAX + 1), n, i;
	u64 queued = nr_queued(&w->c), before = w->c.nr_heat_calls;

	if (w->nr_away + want > ARRAY_SIZE(w->away))
		return;
	n = cache_victims(&w->c, slots, want);
	expect(n <= want, "%u of %u", n, want);
	expect(w->c.nr_heat_calls - before <= 4 * want + 64, "work for %u", want);
	expect(n || !want || !queued, "no victim of %llu", (unsigned long long)queued);
	for (i = 0; i < n && ok; i++) {
		expect(slots[i] < w->c.nr_slots, "slot %u", slots[i]);
		if (!ok)
			return;
		expect(w->state[slots[i]] == RESIDENT, "slot %u is %u", slots[i],
		       w->state[slots[i]]);
		w->state[slots[i]] = HANDED_OUT;
		w->away[w->nr_away++] = slots[i];
	}
}

static void walk_answer(struct walk *w)
{
	u32 i, slot, fate = random_below(8);

	if (!w->nr_away)
		return;
	i = random_below(w->nr_away);
	slot = w->away[i];
	w->away[i] = w->away[--w->nr_away];
	if (fate < 4) {
		w->c.policy.ops->victim_refused(&w->c.policy, slot);
		w->state[slot] = RESIDENT;
	} else {
		cache_remove(&w->c, slot, fate == 4 ? POLICY_REMOVED_DROPPED :
			     POLICY_REMOVED_EVICTED);
		w->state[slot] = FREE;
	}
}

static void walk_step(struct walk *w)
{
	u64 block = random_below(w->c.nr_blocks);
	u32 slot = w->c.slots[block];

	switch (random_below(10)) {
	case 0:
		walk_victims(w);
		break;
	case 1: case 2: case 3:
		walk_answer(w);
		break;
	case 4:
		if (slot != POLICY_NO_SLOT && w->state[slot] == RESIDENT && !random_below(4)) {
			cache_remove(&w->c, slot, POLICY_REMOVED_DROPPED);
			w->state[slot] = FREE;
		}
		break;
	case 5:
		if (!random_below(50))
			w->c.policy.ops->set(&w->c.policy, "small_percent", 1 + random_below(90));
		else if (!random_below(50))
			w->c.policy.ops->set(&w->c.policy, "ghost_percent", random_below(101));
		break;
	default:
		if (slot != POLICY_NO_SLOT) {
			cache_request(&w->c, block);
		} else if (w->c.nr_free) {
			cache_insert(&w->c, block, random_below(2));
			w->state[w->c.slots[block]] = RESIDENT;
		}
	}
}

static void walk_check(struct walk *w)
{
	u64 resident = 0, queued = nr_queued(&w->c);
	u32 i;

	for (i = 0; i < w->c.nr_slots; i++)
		resident += w->state[i] == RESIDENT;
	expect(resident == queued, "%llu resident, %llu queued", (unsigned long long)resident,
	       (unsigned long long)queued);
}

/* Takes everything out: each resident slot must come exactly once. */
static void walk_drain(struct walk *w)
{
	u32 slots[POLICY_VICTIMS_MAX], n, i;
	u64 left = nr_queued(&w->c);

	while (ok && (n = cache_victims(&w->c, slots, POLICY_VICTIMS_MAX))) {
		for (i = 0; i < n; i++) {
			expect(w->state[slots[i]] == RESIDENT, "slot %u", slots[i]);
			w->state[slots[i]] = HANDED_OUT;
		}
		left -= n;
	}
	expect(!left, "%llu never came", (unsigned long long)left);
}

static void test_random_calls(void)
{
	static const u32 sizes[] = { 1, 2, 3, 7, 64, 500, 3000 };
	unsigned int i, round, steps;

	for (i = 0; ok && i < ARRAY_SIZE(sizes); i++) {
		for (round = 0; ok && round < 6; round++) {
			struct walk w = { .nr_away = 0 };

			cache_start(&w.c, &policy_s3fifo, sizes[i], 2 * sizes[i] + 3);
			w.state = zeroed(sizes[i], 1);
			for (steps = 0; ok && steps < 20000; steps++) {
				walk_step(&w);
				if (steps % 97 == 0)
					walk_check(&w);
			}
			walk_check(&w);
			walk_drain(&w);
			free(w.state);
			cache_stop(&w.c);
		}
	}
}

/* The shell's calls can overtake each other between two CPUs: nothing may break. */
static void test_calls_out_of_order(void)
{
	const struct policy_ops *ops = &policy_s3fifo;
	struct cache c;
	u32 slots[4];

	cache_start(&c, ops, 4, 16);
	ops->removed(&c.policy, 2, 7, POLICY_REMOVED_DROPPED);	/* before inserted() */
	ops->removed(&c.policy, 2, 7, POLICY_REMOVED_EVICTED);
	expect(!nr_queued(&c), "removed() of an empty slot queued it");
	ops->inserted(&c.policy, 2, 7, false);
	ops->inserted(&c.policy, 2, 8, false);
	expect(nr_queued(&c) == 1, "inserted() twice");
	expect(cache_victims(&c, slots, 4) == 1 && slots[0] == 2, "victim");
	expect(cache_victims(&c, slots, 4) == 0, "handed out twice");
	ops->inserted(&c.policy, 2, 9, false);			/* while it is away */
	ops->victim_refused(&c.policy, 2);			/* too late */
	expect(stat_of(&c, "small") == 1 && nr_queued(&c) == 1, "queued twice");
	ops->removed(&c.policy, 2, 9, POLICY_REMOVED_EVICTED);
	ops->victim_refused(&c.policy, 2);
	expect(!nr_queued(&c), "a refusal brought an empty slot back");
	cache_stop(&c);
}

/* --- work --- */

/* With every block hot there is no cold one to be found, and yet one must be given at once. */
static void test_work_is_bounded(void)
{
	u32 slots[POLICY_VICTIMS_MAX], want, i;
	struct cache c;

	cache_start(&c, &policy_s3fifo, 10000, 10000);
	for (i = 0; i < c.nr_slots; i++)
		cache_insert(&c, i, false);
	for (want = 1; want <= POLICY_VICTIMS_MAX; want++) {
		u64 before = c.nr_heat_calls;

		memset(c.heat, policy_s3fifo.heat_max, c.nr_slots);
		expect(cache_victims(&c, slots, want) >= 1, "no victim for %u", want);
		expect(c.nr_heat_calls - before <= 4 * want + 64, "%llu steps for %u",
		       (unsigned long long)(c.nr_heat_calls - before), want);
		c.policy.ops->victim_refused(&c.policy, slots[0]);
	}
	expect(stat_of(&c, "victims_forced") == POLICY_VICTIMS_MAX, "forced");
	cache_stop(&c);
}

/* Dirty slots that are refused keep neither clean ones nor themselves from going. */
static void test_refused_wait_and_go(void)
{
	u32 slots[POLICY_VICTIMS_MAX], n, i, clean = 0, rounds;
	struct cache c;

	cache_start(&c, &policy_s3fifo, 1000, 1000);
	for (i = 0; i < c.nr_slots; i++)
		cache_insert(&c, i, i % 10);
	/* nine tenths are dirty */
	for (rounds = 0; rounds < 60 && clean < 100; rounds++) {
		n = cache_victims(&c, slots, POLICY_VICTIMS_MAX);
		for (i = 0; i < n; i++) {
			if (c.blocks[slots[i]] % 10) {
				c.policy.ops->victim_refused(&c.policy, slots[i]);
			} else {
				cache_remove(&c, slots[i], POLICY_REMOVED_EVICTED);
				clean++;
			}
		}
	}
	expect(clean == 100, "%u of 100 clean slots after %u rounds", clean, rounds);
	expect(stat_of(&c, "waiting") > 800, "waiting %llu",
	       (unsigned long long)stat_of(&c, "waiting"));
	/* written back at last: those that waited come before new ones */
	for (i = 0; i < 50; i++)
		cache_insert(&c, 10 * i, false);
	n = cache_victims(&c, slots, 40);
	expect(n == 40, "%u", n);
	for (i = 0; i < 10; i++)
		expect(c.blocks[slots[i]] % 10, "block %llu was not waiting",
		       (unsigned long long)c.blocks[slots[i]]);
	cache_stop(&c);
}

/* --- choices --- */

/* LRU (or FIFO, when hits do not count) by time stamps: slow, but plainly right. */
static double hits_of_list(const u32 *trace, u32 length, u32 nr_slots, u32 nr_blocks, bool lru)
{
	u32 *queue = zeroed(2 * (size_t)length + 1, sizeof(u32));
	u64 *last = zeroed(nr_blocks, sizeof(u64));	/* place in the queue + 1 */
	u64 head = 0, tail = 0;
	u32 i, resident = 0, hits = 0;

	for (i = 0; i < length; i++) {
		if (last[trace[i]]) {
			hits++;
			if (!lru)
				continue;
			resident--;
		}
		while (resident >= nr_slots) {
			u32 block = queue[tail++];

			if (last[block] == tail) {
				last[block] = 0;
				resident--;
			}
		}
		queue[head++] = trace[i];
		last[trace[i]] = head;
		resident++;
	}
	free(queue);
	free(last);
	return 100.0 * hits / length;
}

static double hits_of_s3fifo(const u32 *trace, u32 length, u32 nr_slots, u32 nr_blocks)
{
	struct cache c;
	u32 i, hits = 0;

	cache_start(&c, &policy_s3fifo, nr_slots, nr_blocks);
	for (i = 0; i < length; i++)
		hits += cache_request(&c, trace[i]);
	expect(nr_queued(&c) == c.nr_slots - c.nr_free, "queued %llu",
	       (unsigned long long)nr_queued(&c));
	cache_stop(&c);
	return 100.0 * hits / length;
}

#define ZIPF_BLOCKS 20000u
#define ZIPF_LENGTH 300000u

/* Blocks by Zipf's law with exponent 0.9; every tenth request a scan, if so wanted. */
static u32 *make_zipf(bool scan, u32 nr_blocks)
{
	double *sum = zeroed(ZIPF_BLOCKS, sizeof(double)), total = 0, at;
	u32 *trace = zeroed(ZIPF_LENGTH, sizeof(u32));
	u32 i, next = ZIPF_BLOCKS, low, high;

	for (i = 0; i < ZIPF_BLOCKS; i++)
		sum[i] = total += 1 / pow(i + 1, 0.9);
	for (i = 0; i < ZIPF_LENGTH; i++) {
		if (scan && i % 2000 < 1000) {
			trace[i] = next;
			next = next + 1 < nr_blocks ? next + 1 : ZIPF_BLOCKS;
			continue;
		}
		at = total * (double)(random_u64() >> 11) / (double)(1ull << 53);
		for (low = 0, high = ZIPF_BLOCKS - 1; low < high;) {
			u32 middle = (low + high) / 2;

			if (sum[middle] < at)
				low = middle + 1;
			else
				high = middle;
		}
		trace[i] = low;
	}
	free(sum);
	return trace;
}

static const u32 cache_sizes[] = { 20, 200, 1000, 4000 };

static void test_zipf(void)
{
	u32 *trace = make_zipf(false, ZIPF_BLOCKS);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cache_sizes); i++) {
		u32 size = cache_sizes[i];
		double fifo = hits_of_list(trace, ZIPF_LENGTH, size, ZIPF_BLOCKS, false);
		double lru = hits_of_list(trace, ZIPF_LENGTH, size, ZIPF_BLOCKS, true);
		double s3fifo = hits_of_s3fifo(trace, ZIPF_LENGTH, size, ZIPF_BLOCKS);

		printf("# %u slots: fifo %.2f lru %.2f s3fifo %.2f %%\n", size, fifo, lru, s3fifo);
		expect(s3fifo > fifo + 2, "%u slots", size);
		expect(s3fifo > lru - 0.5, "%u slots", size);
	}
	free(trace);
}

static void test_scan_resistance(void)
{
	const u32 nr_blocks = ZIPF_BLOCKS + ZIPF_LENGTH;
	u32 *trace = make_zipf(true, nr_blocks);
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(cache_sizes); i++) {
		u32 size = cache_sizes[i];
		double lru = hits_of_list(trace, ZIPF_LENGTH, size, nr_blocks, true);
		double s3fifo = hits_of_s3fifo(trace, ZIPF_LENGTH, size, nr_blocks);

		printf("# %u slots, scans: lru %.2f s3fifo %.2f %%\n", size, lru, s3fifo);
		expect(s3fifo > lru + 2, "%u slots", size);
	}
	free(trace);
}

/* --- ghost, hints, settings --- */

/* Fingerprints are alike by chance once in some 75,000 lookups; more than this often, never. */
#define BY_CHANCE 10

static void test_ghost_remembers(void)
{
	const u32 nr_slots = 1000, nr_blocks = 20 * nr_slots;
	struct cache c;
	u64 hits;
	u32 i;

	cache_start(&c, &policy_s3fifo, nr_slots, nr_blocks);
	for (i = 0; i < 3 * nr_slots; i++)
		cache_request(&c, i);
	expect(stat_of(&c, "ghost_hits") < BY_CHANCE, "blocks were never seen before");
	/* left 0 to 900 evictions ago */
	for (i = 2 * nr_slots - 1; i >= nr_slots + 600; i--)
		cache_request(&c, i);
	hits = stat_of(&c, "ghost_hits");
	expect(hits > 380, "%llu of 400", (unsigned long long)hits);
	expect(stat_of(&c, "main") == hits, "a ghost hit goes to main");
	/* long forgotten */
	for (i = 0; i < 500; i++)
		cache_request(&c, i);
	expect(stat_of(&c, "ghost_hits") < hits + BY_CHANCE, "remembers for too long");
	hits = stat_of(&c, "ghost_hits");
	expect(!c.policy.ops->set(&c.policy, "ghost_percent", 0), "set");
	for (i = 5 * nr_slots; i < 8 * nr_slots; i++)
		cache_request(&c, i);
	for (i = 6 * nr_slots; i < 7 * nr_slots; i++)
		cache_request(&c, i);
	expect(stat_of(&c, "ghost_hits") == hits, "ghost is off");
	cache_stop(&c);
}

/* The ghost's clock wraps many times, and no block comes back from the dead. */
static void test_ghost_forgets(void)
{
	const u32 nr_slots = 50, nr_blocks = 200000;
	struct cache c;
	u32 i;

	cache_start(&c, &policy_s3fifo, nr_slots, nr_blocks);
	for (i = 0; i < 2 * nr_blocks; i++)
		cache_request(&c, i % nr_blocks);
	expect(stat_of(&c, "ghost_hits") < 4 * BY_CHANCE, "%llu",
	       (unsigned long long)stat_of(&c, "ghost_hits"));
	cache_stop(&c);
}

static void test_hints_bring_queues_back(void)
{
	const struct policy_ops *ops = &policy_s3fifo;
	u32 *trace = make_zipf(false, ZIPF_BLOCKS), i;
	struct cache before, after;

	cache_start(&before, ops, 1000, ZIPF_BLOCKS);
	for (i = 0; i < ZIPF_LENGTH; i++)
		cache_request(&before, trace[i]);
	cache_start(&after, ops, 1000, ZIPF_BLOCKS);
	for (i = 0; i < before.nr_slots; i++) {
		if (before.blocks[i] == NOTHING)
			continue;
		cache_put(&after, i, before.blocks[i]);
		/* whatever else is in a hint must not matter */
		ops->load(&after.policy, i, before.blocks[i],
			  ops->get_hint(&before.policy, i) | (u32)random_u64() << 8, true);
	}
	ops->load_end(&after.policy);
	expect(stat_of(&after, "small") == stat_of(&before, "small"), "small");
	expect(stat_of(&after, "main") == stat_of(&before, "main"), "main");
	expect(stat_of(&after, "main"), "the test has nothing in main");
	expect(!memcmp(before.heat, after.heat, before.nr_slots), "heat");
	for (i = 0; i < before.nr_slots; i++)
		expect(ops->get_hint(&before.policy, i) == ops->get_hint(&after.policy, i),
		       "hint of slot %u", i);
	cache_stop(&before);
	cache_stop(&after);

	cache_start(&after, ops, 10, 100);
	for (i = 0; i < 10; i++)
		ops->load(&after.policy, i, i, U32_MAX, false);
	ops->load_end(&after.policy);
	expect(stat_of(&after, "main") == 10, "loaded without a hint");
	cache_stop(&after);
	free(trace);
}

/* The setting as the status line has it; those at their default are not there. */
static u64 arg_of(struct cache *c, const char *key, u64 otherwise)
{
	struct stat_wanted wanted = { .key = key, .value = otherwise };

	c->policy.ops->emit_args(&c->policy, look_for_stat, &wanted);
	return wanted.value;
}

static void test_settings(void)
{
	const struct policy_ops *ops = &policy_s3fifo;
	struct cache c;

	cache_start(&c, ops, 100, 200);
	expect(arg_of(&c, "small_percent", 0) == 0, "default");
	expect(arg_of(&c, "ghost_percent", 7) == 7, "default");
	expect(!ops->set(&c.policy, "small_percent", 90), "largest");
	expect(!ops->set(&c.policy, "small_percent", 1), "smallest");
	expect(ops->set(&c.policy, "small_percent", 0) == -EINVAL, "0");
	expect(ops->set(&c.policy, "small_percent", 91) == -EINVAL, "91");
	expect(ops->set(&c.policy, "small_percent", (1ull << 32) + 5) == -EINVAL, "2^32 + 5");
	expect(arg_of(&c, "small_percent", 0) == 1, "refused values change nothing");
	expect(!ops->set(&c.policy, "ghost_percent", 0), "none");
	expect(arg_of(&c, "ghost_percent", 7) == 0, "a value of zero");
	expect(!ops->set(&c.policy, "ghost_percent", 100), "largest");
	expect(arg_of(&c, "ghost_percent", 7) == 7, "default again");
	expect(ops->set(&c.policy, "ghost_percent", 101) == -EINVAL, "101");
	expect(ops->set(&c.policy, "migration_threshold", 1) == -ENOENT, "not ours");
	cache_stop(&c);
}

static void test_memory(void)
{
	struct policy_geometry g = { .nr_slots = 0, .block_sectors = 32, .nr_origin_blocks = 1 };
	const u32 many = U32_MAX - 1;
	size_t bytes;

	expect(!policy_s3fifo.state_bytes(&g), "no slots");
	g.nr_slots = POLICY_NO_SLOT;
	expect(!policy_s3fifo.state_bytes(&g), "a slot with the number of none");
	g.nr_slots = many;
	bytes = policy_s3fifo.state_bytes(&g);
	expect(!bytes || bytes > 9ull * many, "overflow: %zu", bytes);
	expect(bytes < 15ull * many, "more than 15 bytes a slot: %zu", bytes);
}

static void test_cleaner(void)
{
	const struct policy_ops *ops = &policy_cleaner;
	struct policy_miss miss = { .block = 1, .grains = 1, .free_slots = true };
	struct cache c;
	u32 slots[POLICY_VICTIMS_MAX], i;

	cache_start(&c, ops, 10, 20);
	expect(ops->cleaner && !policy_s3fifo.cleaner, "flag");
	for (i = 0; i < 5; i++)
		ops->load(&c.policy, i, i, 0, false);
	ops->load_end(&c.policy);
	expect(ops->miss(&c.policy, &miss) == POLICY_BYPASS, "read");
	miss.write = true;
	expect(ops->miss(&c.policy, &miss) == POLICY_BYPASS, "write");
	expect(!cache_victims(&c, slots, POLICY_VICTIMS_MAX), "victims");
	expect(ops->set(&c.policy, "small_percent", 10) == -ENOENT, "settings");
	cache_stop(&c);
}

/* LVM looks for these words in the whole status line. */
static void check_word(void *context, const char *key, u64 value)
{
	(void)context;
	(void)value;
	expect(!strstr(key, "Fail") && !strstr(key, "Error") && strncmp(key, "ro", 2), "%s", key);
	expect(!strpbrk(key, " \t\"\\"), "%s", key);
}

static void test_words_in_status(void)
{
	static const struct policy_ops *const all[] = { &policy_s3fifo, &policy_cleaner };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct cache c;

		cache_start(&c, all[i], 10, 10);
		check_word(NULL, all[i]->name, 0);
		all[i]->emit_args(&c.policy, check_word, NULL);
		if (all[i]->emit_stats)
			all[i]->emit_stats(&c.policy, check_word, NULL);
		cache_stop(&c);
	}
}

static void run(const char *name, void (*test)(void))
{
	ok = true;
	test();
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (ok)
		passed++;
	else
		failed++;
}

int main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) : (u64)getpid();
	printf("# seed %llu (give it as argument to repeat)\n", (unsigned long long)random_state);

	run("policy: random calls keep each slot in one queue", test_random_calls);
	run("policy: calls that overtake each other", test_calls_out_of_order);
	run("policy: work per call is bounded, and gives a victim", test_work_is_bounded);
	run("policy: refused victims wait, and go before others", test_refused_wait_and_go);
	run("policy: s3fifo beats fifo, keeps up with lru (zipf)", test_zipf);
	run("policy: s3fifo resists scans", test_scan_resistance);
	run("policy: the ghost remembers", test_ghost_remembers);
	run("policy: the ghost forgets", test_ghost_forgets);
	run("policy: hints bring the queues back", test_hints_bring_queues_back);
	run("policy: settings and their limits", test_settings);
	run("policy: memory", test_memory);
	run("policy: cleaner", test_cleaner);
	run("policy: words in the status line", test_words_in_status);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
