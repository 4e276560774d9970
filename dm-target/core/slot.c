// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps on a single slot: holds, state changes, grain masks and the record
 * that describes it.  See slotmap.h for states, locks and meaning.
 */
#include "slotmap.h"

static void set_masks(struct slotmap *map, u32 slot, u64 valid, u64 dirty)
{
	if (map->wide) {
		WRITE_ONCE(map->wide[slot].valid, valid);
		core_point();
		WRITE_ONCE(map->wide[slot].dirty, dirty);
	} else {
		WRITE_ONCE(map->slots[slot].valid, (u16)valid);
		core_point();
		WRITE_ONCE(map->slots[slot].dirty, (u16)dirty);
	}
}

bool slot_hold_read(struct slotmap *map, u32 slot, u64 block)
{
	struct slot *s = &map->slots[slot];
	enum slot_state state;
	s64 word;

	core_point();
	if (core_unlikely(100))
		return false;
	do {
		/* anew each time: a failed cmpxchg does not order what is read after it */
		word = atomic64_read_acquire(&s->word);
		state = word_state((u64)word);
		if (state == SLOT_FREE || state == SLOT_FORGETTING || slot_block(s) != block ||
		    ((u64)word & WORD_READERS_MASK) == WORD_READERS_MASK)
			return false;
	} while (!atomic64_try_cmpxchg(&s->word, &word, word + (s64)WORD_READER));
	return true;
}

bool slot_hold_write(struct slotmap *map, u32 slot, u64 block, bool sole)
{
	struct slot *s = &map->slots[slot];
	enum slot_state state;
	u64 writers;
	s64 word;

	core_point();
	if (core_unlikely(100))
		return false;
	do {
		word = atomic64_read_acquire(&s->word);
		state = word_state((u64)word);
		writers = (u64)word & WORD_WRITERS_MASK;
		if ((state != SLOT_VALID && state != SLOT_DESTAGING) || slot_block(s) != block ||
		    writers == WORD_WRITERS_MASK || (sole && writers))
			return false;
	} while (!atomic64_try_cmpxchg(&s->word, &word,
				       (s64)((u64)word + WORD_WRITER + WORD_VERSION)));
	return true;
}

void slot_release_read(struct slotmap *map, u32 slot)
{
	u64 word = (u64)atomic64_fetch_sub((s64)WORD_READER, &map->slots[slot].word);

	core_point();
	core_assert(word & WORD_READERS_MASK);
}

void slot_release_write(struct slotmap *map, u32 slot)
{
	u64 word = (u64)atomic64_fetch_sub((s64)WORD_WRITER, &map->slots[slot].word);

	core_point();
	core_assert(word & WORD_WRITERS_MASK);
}

bool slot_change(struct slotmap *map, u32 slot, enum slot_state from, enum slot_state to,
		 unsigned int flags, u32 *version)
{
	struct slot *s = &map->slots[slot];
	s64 word = atomic64_read_acquire(&s->word);
	u64 new;

	do {
		if (word_state((u64)word) != from ||
		    ((flags & NO_WRITERS) && ((u64)word & WORD_WRITERS_MASK)) ||
		    ((flags & NO_READERS) && ((u64)word & WORD_READERS_MASK)))
			return false;
		new = (((u64)word & ~WORD_STATE_MASK) | to) + WORD_VERSION;
	} while (!atomic64_try_cmpxchg(&s->word, &word, (s64)new));
	if (version)
		*version = (u32)(new >> 32);
	if (to == SLOT_FORGETTING) {
		/* its blocks are the origin's alone from here on */
		invariant(I8_DIRTY_NEVER_DROPPED, flags & NO_WRITERS);
		shard_move_on(map, slot_block(s));
		hbitmap_set(&map->changed, slot);
	}
	return true;
}

/* A writer relies on it: who tries to withdraw it just now, will put it back. */
static bool intent_holds(const struct slotmap *map, u32 slot)
{
	u64 group = slot_intent_group(slot);

	if (hbitmap_test(&map->intent_live, group))
		return true;
	smp_rmb();
	return smp_load_acquire(&map->withdrawing) == group + 1 ||
	       hbitmap_test(&map->intent_live, group);
}

void slot_written(struct slotmap *map, u32 slot, u64 grains)
{
	u64 valid = slot_valid(map, slot), dirty = slot_dirty(map, slot);

	if (!(grains & ~dirty))
		return;
	invariant(I3_ONE_AUTHORITY, !(grains & valid & ~dirty) || intent_holds(map, slot));
	if (!dirty)
		atomic64_inc(&map->nr_dirty);
	set_masks(map, slot, valid | grains, dirty | grains);
	hbitmap_set(&map->changed, slot);
	hbitmap_set(&map->dirty_regions, slotmap_region(map, slot_block(&map->slots[slot])));
}

void slot_filled(struct slotmap *map, u32 slot, u64 grains, bool synced)
{
	u64 valid = slot_valid(map, slot);

	if (!(grains & ~valid))
		return;
	if (!synced)
		WRITE_ONCE(map->slots[slot].unsynced_fill, 1);
	set_masks(map, slot, valid | grains, slot_dirty(map, slot));
	hbitmap_set(&map->lazy, slot);
}

void slot_drop(struct slotmap *map, u32 slot, u64 grains)
{
	u64 dirty = slot_dirty(map, slot);

	set_masks(map, slot, slot_valid(map, slot) & (~grains | dirty), dirty);
	shard_move_on(map, slot_block(&map->slots[slot]));
	hbitmap_set(&map->changed, slot);
}

void slot_discard(struct slotmap *map, u32 slot)
{
	core_assert(word_state(slot_word(map, slot)) == SLOT_FORGETTING);
	if (slot_dirty(map, slot))
		atomic64_dec(&map->nr_dirty);
	set_masks(map, slot, 0, 0);
}

bool slot_destage_begin(struct slotmap *map, u32 slot, u64 *grains, u32 *version)
{
	if (!slot_dirty(map, slot) || core_unlikely(20) ||
	    !slot_change(map, slot, SLOT_VALID, SLOT_DESTAGING, NO_WRITERS, version))
		return false;
	*grains = slot_dirty(map, slot);
	return true;
}

bool slot_clean_begin(struct slotmap *map, u32 slot, u64 grains, u32 version)
{
	u64 valid = slot_valid(map, slot), dirty = slot_dirty(map, slot);
	s64 word;

	core_assert(word_state(slot_word(map, slot)) == SLOT_DESTAGING);
	/*
	 * The mask first, then the word: a writer takes its hold before it looks
	 * at the mask, so it either moves the version that we check, or finds the
	 * grains clean and asks for an intent (I3).
	 */
	set_masks(map, slot, valid, dirty & ~grains);
	smp_mb();
	word = atomic64_read(&map->slots[slot].word);
	if ((u32)((u64)word >> 32) == version && !core_unlikely(30) &&
	    atomic64_try_cmpxchg(&map->slots[slot].word, &word, word)) {
		hbitmap_set(&map->changed, slot);
		return true;
	}
	set_masks(map, slot, valid, dirty);
	slot_change(map, slot, SLOT_DESTAGING, SLOT_VALID, 0, NULL);
	return false;
}

void slot_clean_end(struct slotmap *map, u32 slot, u64 grains, bool durable)
{
	u64 valid = slot_valid(map, slot), dirty = slot_dirty(map, slot);
	/* not what slot_drop() has given to the origin meanwhile: newer writes may be there only */
	u64 again = durable ? 0 : grains & valid;

	/* a writer that has made it dirty again meanwhile has also counted it anew */
	if (!again || dirty)
		atomic64_dec(&map->nr_dirty);
	if (!durable) {
		dirty |= again;
		set_masks(map, slot, valid, dirty);
		hbitmap_set(&map->changed, slot);
	}
	if (dirty)
		hbitmap_set(&map->dirty_regions,
			    slotmap_region(map, slot_block(&map->slots[slot])));
	slot_change(map, slot, SLOT_DESTAGING, SLOT_VALID, 0, NULL);
}

void slot_record(struct slotmap *map, u32 slot, bool origin_synced, struct larder_record *record)
{
	struct slot *s = &map->slots[slot];
	u64 valid = slot_valid(map, slot), dirty = slot_dirty(map, slot);

	memset(record, 0, sizeof(*record));
	record->type = LARDER_RECORD_ENTRY;
	record->index = cpu_to_le32(slot);
	hbitmap_clear(&map->changed, slot);
	if (word_state(slot_word(map, slot)) == SLOT_FORGETTING) {
		invariant(I8_DIRTY_NEVER_DROPPED, !dirty);
		return;
	}
	if (s->unsynced_fill) {
		if (origin_synced) {
			s->unsynced_fill = 0;
		} else {
			/* I4: leave out clean grains for now; a later record has them again */
			valid = dirty;
			hbitmap_set(&map->lazy, slot);
		}
	}
	if (!s->unsynced_fill)
		hbitmap_clear(&map->lazy, slot);
	if (!valid)
		return;
	record->block_flags = cpu_to_le64(slot_block(s) | LARDER_ENTRY_USED);
	record->valid = cpu_to_le64(valid);
	record->dirty = cpu_to_le64(dirty);
}

void slot_record_failed(struct slotmap *map, u32 slot)
{
	/* whether the origin was flushed for it is unknown now; no lock: nobody else clears it */
	WRITE_ONCE(map->slots[slot].unsynced_fill, 1);
	hbitmap_set(&map->changed, slot);
}

void shard_origin_write_begin(struct slotmap *map, u64 block)
{
	struct slot_shard *sh = &map->shards[slotmap_shard(map, block)];

	sh->origin_writers++;
	sh->generation++;
}

void shard_origin_write_end(struct slotmap *map, u64 block)
{
	struct slot_shard *sh = &map->shards[slotmap_shard(map, block)];

	core_assert(sh->origin_writers);
	sh->origin_writers--;
	sh->generation++;
}
