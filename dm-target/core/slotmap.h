/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which block is in which slot, and in what state.
 *
 * DOC: step, lock, effect
 *
 * The core is a set of steps.  Each step runs to its end under exactly one
 * lock, which the caller takes and which the step's comment names:
 *
 *	shard lock	one of many; guards the hash chains, masks and state
 *			changes of the blocks of its regions
 *	free lock	guards the supply of free slots
 *	(none)		steps on a slot's atomic word only
 *
 * Between two steps nothing is held, and any other step may come in between;
 * whoever needs a promise to last takes a hold (below) or a state.  Steps do
 * no I/O, never wait and never call back: what is to be done next is in what
 * they return.  That is what lets one source run in the module, the tools and
 * the simulator, which reorders at step boundaries.
 *
 * DOC: the slot word
 *
 * One 64-bit atomic word a slot: state, number of writers and readers (holds)
 * and a version.  A hit is a lookup without a lock and one cmpxchg that takes
 * a hold; it can only succeed on the word that was seen together with the
 * block, so a slot that was given to another block in between is noticed.
 * The version counts write holds and state changes: a destage that finds it
 * unchanged knows that nobody wrote.
 *
 *	FREE		holds nothing; no durable record names it
 *	VALID		holds a block; readers and writers come and go
 *	FILLING		one owner copies origin data into it; readers of valid
 *			grains are welcome, writers wait
 *	DESTAGING	being written back; readers and writers are welcome
 *	FORGETTING	its forget is not yet durable (I2): reads go to the
 *			origin (it is clean), writes wait
 *
 * DOC: region, shard
 *
 * A region is a run of neighbouring blocks of at most 1 MiB.  All blocks of a
 * region share a shard, and no request crosses a region, so that each step of
 * a request needs one lock.  A shard also counts writes to the origin in
 * flight and keeps a generation, which moves whenever data read from the
 * origin earlier may no longer be put into the cache.
 */
#ifndef CORE_SLOTMAP_H
#define CORE_SLOTMAP_H

#include "geometry.h"
#include "hbitmap.h"
#include "invariants.h"

#define SLOT_NONE U32_MAX

enum slot_state {
	SLOT_FREE,
	SLOT_VALID,
	SLOT_FILLING,
	SLOT_DESTAGING,
	SLOT_FORGETTING,
};

#define WORD_STATE_MASK		0xfull
#define WORD_WRITER		(1ull << 4)
#define WORD_WRITERS_MASK	(0xfffull << 4)
#define WORD_READER		(1ull << 16)
#define WORD_READERS_MASK	(0xffffull << 16)
#define WORD_VERSION		(1ull << 32)

struct slot {
	atomic64_t word;
	u32 block_low;
	u32 next;		/* hash chain, by slot number */
	u16 valid;		/* grain masks, when at most 16 grains */
	u16 dirty;
	u8 block_high;
	u8 heat;		/* touches, for the policy */
	u8 unsynced_fill;	/* has clean grains whose origin data may be volatile (I4) */
	u8 write_epoch;		/* slotmap.write_epoch when it was last written */
};

struct slot_masks {		/* beside the slots, when there are more than 16 grains */
	u64 valid;
	u64 dirty;
};

struct slot_shard {
	u32 generation;		/* moves when fills of older reads must be dropped */
	u32 origin_writers;	/* writes to the origin in flight */
};

struct slotmap {
	const struct geometry *g;
	struct slot *slots;
	struct slot_masks *wide;	/* NULL when 16 grains suffice */
	u32 *heads;
	struct slot_shard *shards;
	u32 nr_slots;
	u32 nr_shards;
	u32 heads_per_shard;
	u32 region_shift;		/* log2 of blocks per region */
	u64 nr_regions;
	struct hbitmap changed;		/* slots whose record is out of date and owed */
	struct hbitmap lazy;		/* ... but not owed: fills */
	struct hbitmap free;		/* under the free lock */
	struct hbitmap dirty_regions;	/* where a destager will find something */
	struct hbitmap intent_wanted;	/* intent groups: record the intent in the next commit */
	struct hbitmap intent_live;	/* ... a durable record holds it */
	struct hbitmap intent_used;	/* ... it was needed since the last look */
	u32 withdrawing;		/* intent group being looked at, plus one */
	u64 nr_pages;			/* of the slot table */
	u8 intent_kind;			/* LARDER_INTENT_* of the present mode */
	u8 heat_max;			/* touches are counted up to this */
	u8 write_epoch;			/* moved on by the owner once a second */
	u32 free_cursor;
	u32 usable_slots;		/* slots below may be handed out */
	atomic64_t nr_free;		/* of those */
	atomic64_t nr_used;		/* slots that are not FREE */
	atomic64_t nr_dirty;		/* slots with a grain that is dirty or not durably clean */
};

/* Memory for all arrays, to be handed in zeroed and page aligned. */
size_t slotmap_bytes(const struct geometry *g);
void slotmap_init(struct slotmap *map, const struct geometry *g, void *memory);

static inline u64 slot_block(const struct slot *s)
{
	return READ_ONCE(s->block_low) | (u64)READ_ONCE(s->block_high) << 32;
}

static inline enum slot_state word_state(u64 word)
{
	return (enum slot_state)(word & WORD_STATE_MASK);
}

static inline u64 slot_word(const struct slotmap *map, u32 slot)
{
	return (u64)atomic64_read_acquire(&map->slots[slot].word);
}

static inline u64 slot_valid(const struct slotmap *map, u32 slot)
{
	return map->wide ? READ_ONCE(map->wide[slot].valid) : READ_ONCE(map->slots[slot].valid);
}

static inline u64 slot_dirty(const struct slotmap *map, u32 slot)
{
	return map->wide ? READ_ONCE(map->wide[slot].dirty) : READ_ONCE(map->slots[slot].dirty);
}

/*
 * Intents are asked for and withdrawn by groups of neighbouring slots: large
 * enough that a run of overwrites shares a commit, small enough that a crash
 * makes little dirty.
 */
#define INTENT_GROUP_SLOTS	8u
#define INTENT_GROUPS_PER_PAGE	DIV_ROUND_UP(LARDER_ENTRIES_PER_PAGE, INTENT_GROUP_SLOTS)

static inline u64 slot_intent_group(u32 slot)
{
	return (u64)(slot / LARDER_ENTRIES_PER_PAGE) * INTENT_GROUPS_PER_PAGE +
	       slot % LARDER_ENTRIES_PER_PAGE / INTENT_GROUP_SLOTS;
}

static inline u64 intent_group_page(u64 group)
{
	return div_u64(group, INTENT_GROUPS_PER_PAGE);
}

/* First slot of a group; and behind its last one. */
static inline u64 intent_group_start(u64 group)
{
	u64 page = intent_group_page(group);

	return page * LARDER_ENTRIES_PER_PAGE +
	       (group - page * INTENT_GROUPS_PER_PAGE) * INTENT_GROUP_SLOTS;
}

static inline u64 intent_group_end(u64 group)
{
	u64 page_end = (intent_group_page(group) + 1) * LARDER_ENTRIES_PER_PAGE;

	return min(intent_group_start(group) + INTENT_GROUP_SLOTS, page_end);
}

/* Its bits in a page's intent_slots. */
static inline u64 intent_group_mask(u64 group)
{
	u64 first = intent_group_start(group) -
		    intent_group_page(group) * LARDER_ENTRIES_PER_PAGE;
	u64 count = intent_group_end(group) - intent_group_start(group);

	return grain_mask(first / LARDER_SLOTS_PER_INTENT_BIT,
			  (first + count - 1) / LARDER_SLOTS_PER_INTENT_BIT);
}

static inline u64 slotmap_region(const struct slotmap *map, u64 block)
{
	return block >> map->region_shift;
}

u32 slotmap_shard(const struct slotmap *map, u64 block);

/* Sectors from this sector to the end of its region (or of the origin). */
u64 slotmap_region_left(const struct slotmap *map, u64 sector);

/* --- lookup and holds: no lock --- */

/*
 * Where the block seems to be.  SLOT_NONE may be wrong while chains move: look
 * again under the lock.
 */
u32 slotmap_peek(const struct slotmap *map, u64 block);
/* Shard lock.  Definite. */
u32 slotmap_find(const struct slotmap *map, u64 block);

/*
 * A hold for reading what is valid; false when the slot does not hold the block
 * (any more) or is FORGETTING.
 */
bool slot_hold_read(struct slotmap *map, u32 slot, u64 block);
/* A hold for writing: VALID or DESTAGING only.  sole: refuse when there are other writers. */
bool slot_hold_write(struct slotmap *map, u32 slot, u64 block, bool sole);
void slot_release_read(struct slotmap *map, u32 slot);
void slot_release_write(struct slotmap *map, u32 slot);

static inline void slot_touch(struct slotmap *map, u32 slot)
{
	u8 heat = READ_ONCE(map->slots[slot].heat);

	if (heat < map->heat_max)
		WRITE_ONCE(map->slots[slot].heat, heat + 1);
}

static inline void slot_touch_write(struct slotmap *map, u32 slot)
{
	u8 epoch = READ_ONCE(map->write_epoch);

	slot_touch(map, slot);
	if (READ_ONCE(map->slots[slot].write_epoch) != epoch)
		WRITE_ONCE(map->slots[slot].write_epoch, epoch);
}

/* Written within the last one to two epochs: not worth writing back yet. */
static inline bool slot_written_lately(const struct slotmap *map, u32 slot)
{
	return (u8)(READ_ONCE(map->write_epoch) - READ_ONCE(map->slots[slot].write_epoch)) < 2;
}

/* --- free slots: free lock --- */

u32 slotmap_take_free(struct slotmap *map);	/* SLOT_NONE when there is none */
void slotmap_give_back(struct slotmap *map, u32 slot);
/* Slots below may be named by records now (the table has been extended). */
void slotmap_set_usable(struct slotmap *map, u64 slots);

/* --- state changes: shard lock --- */

/*
 * Gives a slot from slotmap_take_free() to a block that slotmap_find() did not
 * find.  writers: holds to begin with.
 */
void slot_insert(struct slotmap *map, u32 slot, u64 block, enum slot_state state, u32 writers);

#define NO_WRITERS 1u
#define NO_READERS 2u

/* from -> to if the slot is in it and without the holds that flags exclude; *version afterwards. */
bool slot_change(struct slotmap *map, u32 slot, enum slot_state from, enum slot_state to,
		 unsigned int flags, u32 *version);

/* FORGETTING and its record durable (I2): unmaps.  The slot is the caller's to give back. */
void slot_unmap(struct slotmap *map, u32 slot);

/*
 * A write of these grains has completed (under a write hold or as owner of a
 * FILLING slot): they are valid and dirty from now on.
 */
void slot_written(struct slotmap *map, u32 slot, u64 grains);
/* Clean data was put in.  synced: the origin's copy is durable (I4). */
void slot_filled(struct slotmap *map, u32 slot, u64 grains, bool synced);
/* Drops those of the grains that are clean: they may differ from the origin. */
void slot_drop(struct slotmap *map, u32 slot, u64 grains);
/* Discard: drops everything, dirty or not; only for FORGETTING. */
void slot_discard(struct slotmap *map, u32 slot);

/* VALID -> DESTAGING if something is dirty and nobody writes; *grains and *version for later. */
bool slot_destage_begin(struct slotmap *map, u32 slot, u64 *grains, u32 *version);
/*
 * The origin has the data, and a flush of it is about to begin: the grains are
 * clean from now on, unless somebody wrote meanwhile (false; the slot is VALID
 * again).  The dirty count goes down only in slot_clean_end().
 */
bool slot_clean_begin(struct slotmap *map, u32 slot, u64 grains, u32 version);
/* The commit that recorded them is durable, or has failed: they are dirty again. */
void slot_clean_end(struct slotmap *map, u32 slot, u64 grains, bool durable);

/*
 * Fills in the record for a changed slot and marks it as unchanged.
 * origin_synced: what was read from the origin so far is durable there, or will
 * be by the flush of this commit.
 */
void slot_record(struct slotmap *map, u32 slot, bool origin_synced, struct larder_record *record);
/* Its record was not written after all. */
void slot_record_failed(struct slotmap *map, u32 slot);

/*
 * Takes an intent down in memory, so that new writes ask for a new one; false,
 * and it stays, when a write is under way on it.  One caller at a time.
 */
bool slotmap_withdraw_intent(struct slotmap *map, u64 group);

/* Writes to the origin: from before they are sent until after they completed. */
void shard_origin_write_begin(struct slotmap *map, u64 block);
void shard_origin_write_end(struct slotmap *map, u64 block);

static inline u32 shard_generation(const struct slotmap *map, u64 block)
{
	return map->shards[slotmap_shard(map, block)].generation;
}

/*
 * Data read from the origin until now may no longer be filled in: called
 * before a write goes to grains that are not valid (writes to valid grains
 * need not, a fill leaves those alone).
 */
static inline void shard_move_on(struct slotmap *map, u64 block)
{
	map->shards[slotmap_shard(map, block)].generation++;
}

/* May data that was read from the origin at this generation still be used? */
static inline bool shard_unmoved(const struct slotmap *map, u64 block, u32 generation)
{
	const struct slot_shard *sh = &map->shards[slotmap_shard(map, block)];

	return sh->generation == generation && !sh->origin_writers;
}

/* --- loading: single threaded --- */

/*
 * 0, or -EUCLEAN when there is no such slot.  The last call for a slot counts;
 * only that one's block need be within the origin, which may have been longer.
 */
int slotmap_load_entry(struct slotmap *map, u32 slot, const struct larder_entry *entry);
/*
 * A page's intent as found on disk, after all its entries: resolves clean
 * grains (I3).  Slots whose record changes by that are marked changed.
 */
void slotmap_load_intent(struct slotmap *map, u64 page, u8 intent, u64 intent_slots);
/*
 * Builds chains and free supply; usable: slots below may be handed out.
 * -EUCLEAN: two slots hold the same block, one holds a block beyond the origin,
 * or one beyond usable is in use (*block).
 */
int slotmap_load_end(struct slotmap *map, u64 usable, u64 *block);

/* --- resizing: nothing else runs, nobody holds a slot --- */

/* Leaves a slot only these grains, dirty or not; its record is owed when that changes it. */
void slotmap_trim(struct slotmap *map, u32 slot, u64 grains);
/*
 * Fills a map that is as slotmap_init() left it with what another holds, which
 * had fewer slots or another size of the origin.  No block may lie beyond the
 * new origin.
 */
void slotmap_grow(struct slotmap *map, struct slotmap *from);

#endif
