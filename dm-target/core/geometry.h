/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arithmetic of chunks, blocks, grains and slots, and where each part of the
 * metadata lies.  Filled in by geometry_choose() at format, from the superblock
 * at a load, and constant while requests run: a resize makes a new one.
 */
#ifndef CORE_GEOMETRY_H
#define CORE_GEOMETRY_H

#include "format.h"

#define CHUNK_SECTORS_MIN	8u
#define CHUNK_SECTORS_MAX	2097152u	/* 1 GiB */
#define BLOCK_SECTORS_WANTED	32u		/* 16 KiB, see geometry_choose() */
#define MERGE_BLOCK_SECTORS_MAX	512u		/* larger blocks admit no write below a grain */
#define JOURNAL_BLOCKS_MIN	64u		/* 256 KiB */
#define JOURNAL_BLOCKS_MAX	4096u		/* 16 MiB */
#define SLOTS_MAX		(U32_MAX - 1)

struct geometry {
	/* what is mapped */
	u32 chunk_sectors;
	u32 block_sectors;
	u32 grain_sectors;
	u32 grain_shift;	/* log2(grain_sectors) */
	u32 grains_per_block;	/* 1..64; the last grain may be short */
	u32 block_shift;	/* log2(block_sectors) if that is a power of two, else 0 */
	u64 nr_slots;
	u64 origin_sectors;
	u64 cache_sectors;
	u64 nr_origin_blocks;	/* the last one may be short */
	/* where the metadata is, in units */
	u64 metadata_units;
	u64 dw_start;
	u32 dw_pages;
	u32 journal_blocks;
	u64 journal_start;
	u64 table_start;
	u64 table_pages;
};

enum geometry_error {
	GEOMETRY_OK = 0,
	GEOMETRY_CHUNK_RANGE,		/* not within 4 KiB .. 1 GiB, or not a multiple of 4 KiB */
	GEOMETRY_ORIGIN_SMALL,		/* origin is empty */
	GEOMETRY_CACHE_SMALL,		/* not even one block fits the cache device */
	GEOMETRY_METADATA_SMALL,	/* see units_needed */
	GEOMETRY_TOO_MANY_BLOCKS,	/* more than 2^32 slots or 2^40 origin blocks */
};

/*
 * Chooses everything for a new cache of the given sizes (512-byte sectors;
 * metadata in 4 KiB units).  The block is the chunk divided by the largest
 * power of two that leaves a multiple of 4 KiB, at least BLOCK_SECTORS_WANTED
 * (or the chunk itself, when smaller), and a table that fits; the journal gets
 * half of what the table leaves, within its limits, and the rest stays for a
 * table that grows (geometry_grow()).  On GEOMETRY_METADATA_SMALL
 * *units_needed says how large the metadata device must be at least.
 */
enum geometry_error geometry_choose(struct geometry *g, u32 chunk_sectors, u64 origin_sectors,
				    u64 cache_sectors, u64 metadata_units, u64 *units_needed);

/*
 * Takes the geometry from an untrusted superblock whose CRC has been checked.
 * Every number is judged; false when any is out of range, overlaps, or does
 * not lie within metadata_units (the size of the device now).
 */
bool geometry_from_super(struct geometry *g, const struct larder_superblock *sb,
			 u64 metadata_units);

/* The fields that geometry_from_super() reads; the others are left alone. */
void geometry_to_super(const struct geometry *g, struct larder_superblock *sb);

/*
 * The cache device or the metadata device may have become larger: as many more
 * slots as there are on the one and as the table has room for behind its end
 * on the other.  Nothing else moves, and there are never fewer.  *units_needed:
 * the metadata device with which all of the cache device would be used.
 */
void geometry_grow(struct geometry *g, u64 cache_sectors, u64 metadata_units, u64 *units_needed);

/* The origin was resized. */
void geometry_set_origin(struct geometry *g, u64 origin_sectors);

/* The same but for sizes. */
static inline bool geometry_same_shape(const struct geometry *a, const struct geometry *b)
{
	return a->chunk_sectors == b->chunk_sectors && a->block_sectors == b->block_sectors &&
	       a->grain_sectors == b->grain_sectors;
}

static inline u64 geometry_block_of(const struct geometry *g, u64 sector)
{
	return g->block_shift ? sector >> g->block_shift : div_u64(sector, g->block_sectors);
}

static inline u64 geometry_block_start(const struct geometry *g, u64 block)
{
	return block * g->block_sectors;
}

/* Sectors of this block: all but the last have block_sectors. */
static inline u32 geometry_block_length(const struct geometry *g, u64 block)
{
	u64 left = g->origin_sectors - geometry_block_start(g, block);

	return left < g->block_sectors ? (u32)left : g->block_sectors;
}

static inline u64 geometry_slot_start(const struct geometry *g, u32 slot)
{
	return (u64)slot * g->block_sectors;
}

static inline u64 geometry_table_page(u32 slot)
{
	return slot / LARDER_ENTRIES_PER_PAGE;
}

/* Mask of grains first..last, both included. */
static inline u64 grain_mask(u32 first, u32 last)
{
	return (~0ull >> (63 - (last - first))) << first;
}

static inline u64 geometry_all_grains(const struct geometry *g)
{
	return grain_mask(0, g->grains_per_block - 1);
}

/* Grains that sectors offset..offset+sectors-1 of a block touch. */
static inline u64 geometry_touched(const struct geometry *g, u32 offset, u32 sectors)
{
	return grain_mask(offset >> g->grain_shift, (offset + sectors - 1) >> g->grain_shift);
}

/* Grains that they cover whole; the end of a short last block ends its last grain. */
u64 geometry_covered(const struct geometry *g, u64 block, u32 offset, u32 sectors);

/* Grains that lie (partly) within the origin, for this block. */
static inline u64 geometry_block_grains(const struct geometry *g, u64 block)
{
	return geometry_touched(g, 0, geometry_block_length(g, block));
}

#endif
