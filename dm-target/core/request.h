/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What to do with a request on one block, from its grain masks alone.  Pure
 * functions; the caller holds the slot, so that the masks can only grow.
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include "slotmap.h"

/* A request's part that lies within one block. */
struct extent {
	u64 block;
	u32 offset;	/* sectors from the start of the block */
	u32 sectors;
	u64 touched;	/* grains that it touches */
	u64 covered;	/* grains that it covers whole */
};

/* All but covered, which a hit does not need. */
static inline void extent_locate(const struct geometry *g, struct extent *e, u64 sector,
				 u32 sectors)
{
	e->block = geometry_block_of(g, sector);
	e->offset = (u32)(sector - geometry_block_start(g, e->block));
	e->sectors = min(sectors, geometry_block_length(g, e->block) - e->offset);
	e->touched = geometry_touched(g, e->offset, e->sectors);
}

static inline void extent_cover(const struct geometry *g, struct extent *e)
{
	e->covered = geometry_covered(g, e->block, e->offset, e->sectors);
}

static inline void extent_init(const struct geometry *g, struct extent *e, u64 sector, u32 sectors)
{
	extent_locate(g, e, sector, sectors);
	extent_cover(g, e);
}

/*
 * How many sectors from its start a read gets from one side, as valid says:
 * all up to the first grain that is on the other one.
 */
u32 request_read_run(const struct geometry *g, const struct extent *e, u64 valid, bool *cached);

enum write_need {
	WRITE_READY,	/* go to the slot */
	WRITE_INTENT,	/* a clean grain would differ from the origin: intent first (I3) */
	WRITE_MERGE,	/* a grain that is not valid is covered partly: copy it in first */
};

/* For write-back: what a write to a mapped block needs first. */
static inline enum write_need request_write_need(const struct extent *e, u64 valid, u64 dirty,
						 bool intent_live)
{
	if (e->touched & ~valid & ~e->covered)
		return WRITE_MERGE;
	if ((e->touched & valid & ~dirty) && !intent_live)
		return WRITE_INTENT;
	return WRITE_READY;
}

/* May a write miss be taken at all: large blocks admit nothing below a grain. */
static inline bool request_write_admissible(const struct geometry *g, const struct extent *e)
{
	return g->block_sectors <= MERGE_BLOCK_SECTORS_MAX || e->touched == e->covered;
}

/*
 * The first run of set grains in mask at or after grain from, in sectors of
 * the block: false when there is none.  For copying in either direction.
 */
bool request_grain_run(const struct geometry *g, u64 block, u64 mask, u32 from, u32 *offset,
		       u32 *sectors, u32 *next);

#endif
