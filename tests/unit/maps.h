/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slot maps for tests: a geometry of any shape, with just the parts that the
 * slot map looks at, and a map in memory of exactly the size it asks for.
 */
#ifndef MAPS_H
#define MAPS_H

#include "slotmap.h"

struct fixture {
	struct geometry g;
	struct slotmap map;
	void *memory;
	u64 next_block;		/* for fixture_slot() */
};

/* The smallest grain for this block; the last origin block may be short. */
void geometry_make(struct geometry *g, u32 block_sectors, u64 origin_sectors, u64 nr_slots);

/* A map with nothing loaded yet; memory ends where slotmap_bytes() says. */
void fixture_blank(struct fixture *f, u32 block_sectors, u64 origin_sectors, u64 nr_slots);
/* Loaded: empty, all slots usable, write-back intents. */
void fixture_init(struct fixture *f, u32 block_sectors, u64 origin_sectors, u64 nr_slots);
void fixture_free(struct fixture *f);

/* A slot that holds a block (a new one each time), with these masks, in this state. */
u32 fixture_slot(struct fixture *f, enum slot_state state, u64 valid, u64 dirty);

static inline u64 holds_of(const struct slotmap *map, u32 slot)
{
	return slot_word(map, slot) & (WORD_WRITERS_MASK | WORD_READERS_MASK);
}

static inline enum slot_state state_of(const struct slotmap *map, u32 slot)
{
	return word_state(slot_word(map, slot));
}

static inline u32 version_of(const struct slotmap *map, u32 slot)
{
	return (u32)(slot_word(map, slot) >> 32);
}

#endif
