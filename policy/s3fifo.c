// SPDX-License-Identifier: GPL-2.0-only
/*
 * S3-FIFO, the policy that admits everything: Yang et al., "FIFO queues are
 * all you need for cache eviction" (SOSP'23), with bounded work per call.
 *
 * DOC: the queues
 *
 *	small	new blocks; about a tenth of the slots
 *	main	blocks that were touched while in small, or that came back while
 *		the ghost still remembered them
 *	waiting	should have gone but could not (dirty, busy); tried again soon
 *	ghost	not slots: fingerprints of the blocks that left small untouched
 *
 * A slot is in one of the first three, or away (handed out by victims(), until
 * removed() or victim_refused()), or nowhere (holds nothing).  Only the heat
 * byte changes on a hit; it is looked at when a slot reaches a queue's old end.
 *
 * DOC: the ghost
 *
 * A table of buckets, each a cache line of 16 entries: 20 bits of fingerprint
 * and the age in 12.  Time is counted in evictions from small, in steps of a
 * 1024th of the ghost's length, so that 12 bits are four lengths.  Each
 * insertion also clears what is too old out of one further bucket in turn,
 * long before its age could wrap.  A wrong answer (one lookup in 75,000, or
 * an entry pushed out early by a full bucket) costs a little hit ratio only.
 */
#include "policy.h"

#define HEAT_MAX		3
#define SMALL_PERCENT		10
#define GHOST_PERCENT		100
#define GHOST_PERCENT_MAX	100

#define BUCKET_ENTRIES		16u
#define AGE_BITS		12
#define AGE_MASK		((1u << AGE_BITS) - 1)
#define GHOST_STEPS		1024u

/* A queue's number, and where a slot is. */
enum place {
	SMALL,
	MAIN,
	WAITING,
	NR_QUEUES,
	AWAY = NR_QUEUES,
	NOWHERE,
};

#define PLACE_MASK	0x7fu
#define FROM_MAIN	0x80u	/* waiting or away, and was in main */

/* Kept by get_hint(): two bits of heat, and this. */
#define HINT_MAIN	(1u << 2)
#define HINT_HEAT	3u

struct queue {
	u32 newest;
	u32 oldest;
	u32 count;
};

struct ghost {
	u32 (*buckets)[BUCKET_ENTRIES];
	u32 nr_buckets;
	u32 length;		/* evictions that are remembered */
	u32 step;		/* evictions per unit of time */
	u32 in_step;
	u32 now;
	u32 hand;		/* next bucket to be cleared of old entries */
	u64 seed;
};

struct s3fifo {
	struct queue queues[NR_QUEUES];
	u32 *newer;		/* links, by slot */
	u32 *older;
	u8 *places;
	struct ghost ghost;
	u32 small_percent;
	u32 ghost_percent;
	u64 nr_ghost_hits;
	u64 nr_promoted;	/* from small to main */
	u64 nr_reinserted;	/* spared in main or waiting for their heat */
	u64 nr_refused;
	u64 nr_forced;		/* given up though hot, as nothing cold was near */
};

/* --- queues --- */

static enum place place_of(const struct s3fifo *s, u32 slot)
{
	return (enum place)(s->places[slot] & PLACE_MASK);
}

static void queue_push(struct s3fifo *s, enum place which, u32 slot, u8 flags)
{
	struct queue *q = &s->queues[which];

	s->newer[slot] = POLICY_NO_SLOT;
	s->older[slot] = q->newest;
	if (q->count)
		s->newer[q->newest] = slot;
	else
		q->oldest = slot;
	q->newest = slot;
	q->count++;
	s->places[slot] = (u8)which | flags;
}

/* Takes the slot out of its queue, if it is in one. */
static void queue_remove(struct s3fifo *s, u32 slot)
{
	enum place which = place_of(s, slot);
	u32 newer = s->newer[slot], older = s->older[slot];
	struct queue *q;

	if (which < NR_QUEUES) {
		q = &s->queues[which];
		if (newer == POLICY_NO_SLOT)
			q->newest = older;
		else
			s->older[newer] = older;
		if (older == POLICY_NO_SLOT)
			q->oldest = newer;
		else
			s->newer[older] = newer;
		q->count--;
	}
	s->places[slot] = NOWHERE;
}

/* --- ghost --- */

static u64 ghost_hash(const struct ghost *gh, u64 block)
{
	u64 h = block + gh->seed;

	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
	return h ^ (h >> 31);
}

static u32 *ghost_bucket(const struct ghost *gh, u64 hash)
{
	return gh->buckets[((hash >> 32) * gh->nr_buckets) >> 32];
}

/* Never 0, which is an empty entry's. */
static u32 ghost_fingerprint(u64 hash)
{
	u32 fingerprint = (u32)hash >> AGE_BITS;

	return fingerprint ? fingerprint : 1;
}

static u32 ghost_age(const struct ghost *gh, u32 entry)
{
	return (gh->now - entry) & AGE_MASK;
}

static bool ghost_alive(const struct ghost *gh, u32 entry)
{
	return entry && (u64)ghost_age(gh, entry) * gh->step <= gh->length;
}

static void ghost_clear_old(const struct ghost *gh, u32 *bucket)
{
	u32 i;

	for (i = 0; i < BUCKET_ENTRIES; i++)
		if (!ghost_alive(gh, bucket[i]))
			bucket[i] = 0;
}

static void ghost_add(struct ghost *gh, u64 block)
{
	u64 hash = ghost_hash(gh, block);
	u32 *bucket, place = 0, i;

	if (!gh->length)
		return;
	if (++gh->in_step >= gh->step) {
		gh->in_step = 0;
		gh->now++;
	}
	gh->hand = gh->hand + 1 < gh->nr_buckets ? gh->hand + 1 : 0;
	ghost_clear_old(gh, gh->buckets[gh->hand]);

	bucket = ghost_bucket(gh, hash);
	ghost_clear_old(gh, bucket);
	for (i = 0; i < BUCKET_ENTRIES && bucket[place]; i++)
		if (!bucket[i] || ghost_age(gh, bucket[i]) > ghost_age(gh, bucket[place]))
			place = i;
	bucket[place] = ghost_fingerprint(hash) << AGE_BITS | (gh->now & AGE_MASK);
}

/* Is the block remembered?  It is not, from now on. */
static bool ghost_take(struct ghost *gh, u64 block)
{
	u64 hash = ghost_hash(gh, block);
	u32 *bucket = ghost_bucket(gh, hash), i;

	if (!gh->length)
		return false;
	for (i = 0; i < BUCKET_ENTRIES; i++) {
		if (bucket[i] >> AGE_BITS != ghost_fingerprint(hash))
			continue;
		if (!ghost_alive(gh, bucket[i]))
			continue;
		bucket[i] = 0;
		return true;
	}
	return false;
}

/* Buckets for a ghost of that many per cent of main, a quarter more than needed. */
static u32 ghost_nr_buckets(u32 nr_slots, u32 percent)
{
	return (u32)div_u64((u64)nr_slots * percent, 80 * BUCKET_ENTRIES) + 1;
}

/*
 * Main's share of the slots counts as its size.  The table shrinks with the
 * length, or its unused part would be cleared too seldom; what is in it is
 * lost by that, which is no harm.
 */
static void ghost_resize(struct s3fifo *s, u32 nr_slots)
{
	struct ghost *gh = &s->ghost;
	u64 length = (u64)nr_slots * (100 - s->small_percent) * s->ghost_percent;

	gh->length = (u32)min_t(u64, div_u64(length + 9999, 10000), U32_MAX);
	gh->step = gh->length / GHOST_STEPS + 1;
	gh->nr_buckets = ghost_nr_buckets(nr_slots, s->ghost_percent);
}

/* --- setting up --- */

static u64 memory_layout(const struct policy_geometry *g, u64 *places, u64 *ghost)
{
	u64 at = ALIGN((u64)sizeof(struct s3fifo), 64);

	*ghost = at;
	at += (u64)ghost_nr_buckets(g->nr_slots, GHOST_PERCENT_MAX) * BUCKET_ENTRIES * sizeof(u32);
	at += 2 * (u64)g->nr_slots * sizeof(u32);	/* links */
	*places = at;
	return at + g->nr_slots;
}

static size_t s3fifo_state_bytes(const struct policy_geometry *g)
{
	u64 places, ghost, bytes = memory_layout(g, &places, &ghost);

	if (!g->nr_slots || g->nr_slots == POLICY_NO_SLOT || bytes > (size_t)-1 / 2)
		return 0;
	return (size_t)bytes;
}

static int s3fifo_init(struct policy *p, u64 seed)
{
	struct s3fifo *s = p->state;
	u32 nr_slots = p->geometry.nr_slots, i;
	u64 places, ghost;

	memory_layout(&p->geometry, &places, &ghost);
	s->ghost.buckets = (void *)((u8 *)p->state + ghost);
	s->places = (u8 *)p->state + places;
	s->newer = (u32 *)s->places - 2 * (size_t)nr_slots;
	s->older = s->newer + nr_slots;
	s->ghost.seed = seed;
	s->small_percent = SMALL_PERCENT;
	s->ghost_percent = GHOST_PERCENT;
	ghost_resize(s, nr_slots);
	memset(s->places, NOWHERE, nr_slots);
	for (i = 0; i < NR_QUEUES; i++) {
		s->queues[i].newest = POLICY_NO_SLOT;
		s->queues[i].oldest = POLICY_NO_SLOT;
	}
	return 0;
}

/* --- coming and going --- */

static enum policy_admit s3fifo_miss(struct policy *p, const struct policy_miss *miss)
{
	return POLICY_ADMIT;
}

static void s3fifo_inserted(struct policy *p, u32 slot, u64 block, bool write)
{
	struct s3fifo *s = p->state;
	bool known = ghost_take(&s->ghost, block);

	if (core_broken(slot >= p->geometry.nr_slots))
		return;
	s->nr_ghost_hits += known;
	p->heat.set(p->heat.context, slot, 0);
	/* it can still be queued: a discard on another CPU may have told us first */
	queue_remove(s, slot);
	queue_push(s, known ? MAIN : SMALL, slot, 0);
}

/* A block that survived until now without a hint has some merit, too. */
static void s3fifo_load(struct policy *p, u32 slot, u64 block, u32 hint, bool has_hint)
{
	bool small = has_hint && !(hint & HINT_MAIN);

	if (core_broken(slot >= p->geometry.nr_slots))
		return;
	p->heat.set(p->heat.context, slot, has_hint ? hint & HINT_HEAT : 0);
	queue_remove(p->state, slot);
	queue_push(p->state, small ? SMALL : MAIN, slot, 0);
}

static void s3fifo_load_end(struct policy *p)
{
}

static bool was_in_main(const struct s3fifo *s, u32 slot)
{
	return place_of(s, slot) == MAIN || (s->places[slot] & FROM_MAIN);
}

static void s3fifo_removed(struct policy *p, u32 slot, u64 block, enum policy_removed why)
{
	struct s3fifo *s = p->state;

	if (core_broken(slot >= p->geometry.nr_slots))
		return;
	if (why == POLICY_REMOVED_EVICTED && place_of(s, slot) != NOWHERE && !was_in_main(s, slot))
		ghost_add(&s->ghost, block);
	queue_remove(s, slot);
}

static u32 s3fifo_get_hint(struct policy *p, u32 slot)
{
	u32 heat = min_t(u32, p->heat.get(p->heat.context, slot), HEAT_MAX);

	return heat | (was_in_main(p->state, slot) ? HINT_MAIN : 0);
}

/* --- victims --- */

static u32 take_away(struct s3fifo *s, u32 slot)
{
	u8 flags = was_in_main(s, slot) ? FROM_MAIN : 0;

	queue_remove(s, slot);
	s->places[slot] = AWAY | flags;
	return slot;
}

/* Looks at the oldest of a queue: it goes (and is returned), or moves on to main. */
static u32 step(struct policy *p, enum place which)
{
	struct s3fifo *s = p->state;
	u32 slot = s->queues[which].oldest;
	u8 heat = p->heat.get(p->heat.context, slot);

	if (!heat)
		return take_away(s, slot);
	if (which == SMALL)
		s->nr_promoted++;
	else
		s->nr_reinserted++;
	p->heat.set(p->heat.context, slot, which == SMALL ? 0 : min_t(u8, heat, HEAT_MAX) - 1);
	queue_remove(s, slot);
	queue_push(s, MAIN, slot, 0);
	return POLICY_NO_SLOT;
}

/* Which queue has to give next: small while it is above its share. */
static enum place next_queue(const struct s3fifo *s)
{
	u64 small = s->queues[SMALL].count, main = s->queues[MAIN].count;

	if (small && (!main || small * 100 > (small + main) * s->small_percent))
		return SMALL;
	return main ? MAIN : NR_QUEUES;
}

/*
 * Those that wait are the best candidates, but still dirty for the most part:
 * they get a quarter of the places, and what the others leave.  When all that
 * was looked at is hot, the oldest goes nevertheless: a call that gives nothing
 * while there is something would stop all insertions.
 */
static u32 s3fifo_victims(struct policy *p, u32 *slots, u32 want, u64 now_ms)
{
	struct s3fifo *s = p->state;
	const struct queue *waiting = &s->queues[WAITING];
	u32 steps = 4 * min_t(u32, want, POLICY_VICTIMS_MAX) + 64;
	u32 n = 0, slot;
	enum place which;

	want = min_t(u32, want, POLICY_VICTIMS_MAX);
	while (n < want && steps) {
		which = next_queue(s);
		if (waiting->count && (n < DIV_ROUND_UP(want, 4) || which == NR_QUEUES))
			which = WAITING;
		if (which == NR_QUEUES)
			break;
		steps--;
		slot = step(p, which);
		if (slot != POLICY_NO_SLOT)
			slots[n++] = slot;
	}
	which = next_queue(s);
	if (want && !n && which != NR_QUEUES) {
		s->nr_forced++;
		slots[n++] = take_away(s, s->queues[which].oldest);
	}
	return n;
}

static void s3fifo_victim_refused(struct policy *p, u32 slot)
{
	struct s3fifo *s = p->state;

	/* removed and perhaps inserted anew in the meantime: leave it where it is */
	if (core_broken(slot >= p->geometry.nr_slots) || place_of(s, slot) != AWAY)
		return;
	s->nr_refused++;
	queue_push(s, WAITING, slot, s->places[slot] & FROM_MAIN);
}

/* --- settings and figures --- */

static int s3fifo_set(struct policy *p, const char *key, u64 value)
{
	struct s3fifo *s = p->state;

	if (!strcmp(key, "small_percent")) {
		if (value < 1 || value > 90)
			return -EINVAL;
		s->small_percent = (u32)value;
	} else if (!strcmp(key, "ghost_percent")) {
		if (value > GHOST_PERCENT_MAX)
			return -EINVAL;
		s->ghost_percent = (u32)value;
	} else {
		return -ENOENT;
	}
	ghost_resize(s, p->geometry.nr_slots);
	return 0;
}

static void s3fifo_emit_args(struct policy *p, policy_emit_fn emit, void *context)
{
	const struct s3fifo *s = p->state;

	if (s->small_percent != SMALL_PERCENT)
		emit(context, "small_percent", s->small_percent);
	if (s->ghost_percent != GHOST_PERCENT)
		emit(context, "ghost_percent", s->ghost_percent);
}

static void s3fifo_emit_stats(struct policy *p, policy_emit_fn emit, void *context)
{
	const struct s3fifo *s = p->state;

	emit(context, "small", s->queues[SMALL].count);
	emit(context, "main", s->queues[MAIN].count);
	emit(context, "waiting", s->queues[WAITING].count);
	emit(context, "ghost_hits", s->nr_ghost_hits);
	emit(context, "promoted", s->nr_promoted);
	emit(context, "reinserted", s->nr_reinserted);
	emit(context, "victims_refused", s->nr_refused);
	emit(context, "victims_forced", s->nr_forced);
}

const struct policy_ops policy_s3fifo = {
	.name = "s3fifo",
	.description = "S3-FIFO: admits everything, keeps what is used again",
	.version = { 1, 0, 0 },
	.heat_max = HEAT_MAX,
	.state_bytes = s3fifo_state_bytes,
	.init = s3fifo_init,
	.miss = s3fifo_miss,
	.inserted = s3fifo_inserted,
	.load = s3fifo_load,
	.load_end = s3fifo_load_end,
	.removed = s3fifo_removed,
	.victims = s3fifo_victims,
	.victim_refused = s3fifo_victim_refused,
	.get_hint = s3fifo_get_hint,
	.set = s3fifo_set,
	.emit_args = s3fifo_emit_args,
	.emit_stats = s3fifo_emit_stats,
};
