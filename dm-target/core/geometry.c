// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chooses the geometry of a new cache, and judges the one that a superblock
 * claims.  The judge believes nothing: whatever it lets pass is within its
 * device, within the limits of the format, and does not overlap.
 */
#include "geometry.h"

#define GRAIN_SECTORS_MIN	8u
#define GRAINS_MAX		64u
#define SUPER_UNITS		2u

static u64 div_up(u64 n, u32 d)
{
	u64 q = div_u64(n, d);

	return q + (q * d != n);
}

static u32 grain_sectors_for(u32 block_sectors)
{
	u32 grain = GRAIN_SECTORS_MIN;

	while ((u64)grain * GRAINS_MAX < block_sectors)
		grain *= 2;
	return grain;
}

void geometry_to_super(const struct geometry *g, struct larder_superblock *sb)
{
	sb->chunk_sectors = cpu_to_le32(g->chunk_sectors);
	sb->block_sectors = cpu_to_le32(g->block_sectors);
	sb->grain_sectors = cpu_to_le32(g->grain_sectors);
	sb->nr_slots = cpu_to_le64(g->nr_slots);
	sb->origin_sectors = cpu_to_le64(g->origin_sectors);
	sb->cache_sectors = cpu_to_le64(g->cache_sectors);
	sb->metadata_units = cpu_to_le64(g->metadata_units);
	sb->dw_start = cpu_to_le64(g->dw_start);
	sb->dw_pages = cpu_to_le32(g->dw_pages);
	sb->journal_blocks = cpu_to_le32(g->journal_blocks);
	sb->journal_start = cpu_to_le64(g->journal_start);
	sb->table_start = cpu_to_le64(g->table_start);
	sb->table_pages = cpu_to_le64(g->table_pages);
}

void geometry_set_origin(struct geometry *g, u64 origin_sectors)
{
	g->origin_sectors = origin_sectors;
	g->nr_origin_blocks = div_up(origin_sectors, g->block_sectors);
}

/* Fills in what follows from chunk_sectors, block_sectors and the sizes. */
static void derive(struct geometry *g)
{
	g->grain_shift = ilog2(g->grain_sectors);
	g->grains_per_block = DIV_ROUND_UP(g->block_sectors, g->grain_sectors);
	g->block_shift = is_power_of_2(g->block_sectors) ? ilog2(g->block_sectors) : 0;
	geometry_set_origin(g, g->origin_sectors);
	g->table_pages = div_up(g->nr_slots, LARDER_ENTRIES_PER_PAGE);
}

static bool within_limits(const struct geometry *g)
{
	return g->nr_slots <= SLOTS_MAX && g->nr_origin_blocks <= LARDER_BLOCK_MASK;
}

/* Units that this geometry takes with the shortest journal. */
static u64 units_for(const struct geometry *g)
{
	return SUPER_UNITS + 1 + g->dw_pages + JOURNAL_BLOCKS_MIN + g->table_pages;
}

static void set_block(struct geometry *g, u32 block_sectors)
{
	g->block_sectors = block_sectors;
	g->grain_sectors = grain_sectors_for(block_sectors);
	g->nr_slots = div_u64(g->cache_sectors, block_sectors);
	derive(g);
	g->dw_pages = min_t(u64, g->table_pages, LARDER_DOUBLE_PAGES_MAX);
}

static void lay_out(struct geometry *g)
{
	u64 spare = g->metadata_units - units_for(g);

	/* the other half is behind the table, which grows with the cache device */
	g->journal_blocks = JOURNAL_BLOCKS_MIN;
	g->journal_blocks += min_t(u64, spare / 2, JOURNAL_BLOCKS_MAX - JOURNAL_BLOCKS_MIN);
	g->dw_start = SUPER_UNITS;
	g->journal_start = g->dw_start + 1 + g->dw_pages;
	g->table_start = g->journal_start + g->journal_blocks;
}

enum geometry_error geometry_choose(struct geometry *g, u32 chunk_sectors, u64 origin_sectors,
				    u64 cache_sectors, u64 metadata_units, u64 *units_needed)
{
	u32 smallest = chunk_sectors, block;
	bool slot = false, limits = false;

	memset(g, 0, sizeof(*g));
	*units_needed = 0;
	if (chunk_sectors < CHUNK_SECTORS_MIN || chunk_sectors > CHUNK_SECTORS_MAX ||
	    chunk_sectors % LARDER_UNIT_SECTORS)
		return GEOMETRY_CHUNK_RANGE;
	if (!origin_sectors)
		return GEOMETRY_ORIGIN_SMALL;

	g->chunk_sectors = chunk_sectors;
	g->origin_sectors = origin_sectors;
	g->cache_sectors = cache_sectors;
	g->metadata_units = metadata_units;

	while (smallest % (2 * LARDER_UNIT_SECTORS) == 0 && smallest / 2 >= BLOCK_SECTORS_WANTED)
		smallest /= 2;
	for (block = smallest; block <= chunk_sectors; block *= 2) {
		set_block(g, block);
		if (!g->nr_slots)
			break;
		slot = true;
		if (!within_limits(g))
			continue;
		limits = true;
		*units_needed = units_for(g);
		if (*units_needed <= metadata_units) {
			lay_out(g);
			return GEOMETRY_OK;
		}
	}
	if (!slot)
		return GEOMETRY_CACHE_SMALL;
	return limits ? GEOMETRY_METADATA_SMALL : GEOMETRY_TOO_MANY_BLOCKS;
}

/* Units from the beginning of the table to whatever comes behind it. */
static u64 table_room(const struct geometry *g)
{
	u64 end = g->metadata_units;

	if (g->dw_start > g->table_start)
		end = min(end, g->dw_start);
	if (g->journal_start > g->table_start)
		end = min(end, g->journal_start);
	return end > g->table_start ? end - g->table_start : 0;
}

void geometry_grow(struct geometry *g, u64 cache_sectors, u64 metadata_units, u64 *units_needed)
{
	u64 slots = min_t(u64, div_u64(cache_sectors, g->block_sectors), SLOTS_MAX);
	u64 pages = div_up(slots, LARDER_ENTRIES_PER_PAGE);

	g->metadata_units = metadata_units;
	*units_needed = metadata_units;
	if (pages > table_room(g)) {
		*units_needed = max(g->table_start + pages, metadata_units);
		slots = table_room(g) * LARDER_ENTRIES_PER_PAGE;
	}
	if (slots <= g->nr_slots)
		return;
	g->nr_slots = slots;
	g->cache_sectors = cache_sectors;
	derive(g);
}

static bool block_divides_chunk(const struct geometry *g)
{
	u32 parts;

	if (g->chunk_sectors < CHUNK_SECTORS_MIN || g->chunk_sectors > CHUNK_SECTORS_MAX ||
	    g->chunk_sectors % LARDER_UNIT_SECTORS)
		return false;
	if (!g->block_sectors || g->block_sectors % LARDER_UNIT_SECTORS)
		return false;
	parts = g->chunk_sectors / g->block_sectors;
	return parts && parts * g->block_sectors == g->chunk_sectors && is_power_of_2(parts);
}

static bool grain_fits_block(const struct geometry *g)
{
	if (g->grain_sectors < GRAIN_SECTORS_MIN || !is_power_of_2(g->grain_sectors))
		return false;
	if (g->grain_sectors > g->block_sectors && g->grain_sectors > GRAIN_SECTORS_MIN)
		return false;
	return DIV_ROUND_UP(g->block_sectors, g->grain_sectors) <= GRAINS_MAX;
}

struct extent {
	u64 start, length;
};

static bool apart(const struct extent *a, const struct extent *b)
{
	return a->start + a->length <= b->start || b->start + b->length <= a->start;
}

static bool layout_fits(const struct geometry *g)
{
	const struct extent part[] = {
		{ 0, SUPER_UNITS },
		{ g->dw_start, 1 + (u64)g->dw_pages },
		{ g->journal_start, g->journal_blocks },
		{ g->table_start, g->table_pages },
	};
	unsigned int i, j;

	if (!g->dw_pages || g->dw_pages > LARDER_DOUBLE_PAGES_MAX)
		return false;
	if (g->journal_blocks < JOURNAL_BLOCKS_MIN || g->journal_blocks > JOURNAL_BLOCKS_MAX)
		return false;
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		/* each sum is safe: the lengths are all below 2^33 */
		if (part[i].start > g->metadata_units ||
		    part[i].length > g->metadata_units - part[i].start)
			return false;
		for (j = 0; j < i; j++)
			if (!apart(&part[i], &part[j]))
				return false;
	}
	return true;
}

bool geometry_from_super(struct geometry *g, const struct larder_superblock *sb,
			 u64 metadata_units)
{
	memset(g, 0, sizeof(*g));
	g->chunk_sectors = le32_to_cpu(sb->chunk_sectors);
	g->block_sectors = le32_to_cpu(sb->block_sectors);
	g->grain_sectors = le32_to_cpu(sb->grain_sectors);
	g->nr_slots = le64_to_cpu(sb->nr_slots);
	g->origin_sectors = le64_to_cpu(sb->origin_sectors);
	g->cache_sectors = le64_to_cpu(sb->cache_sectors);
	g->metadata_units = metadata_units;
	g->dw_start = le64_to_cpu(sb->dw_start);
	g->dw_pages = le32_to_cpu(sb->dw_pages);
	g->journal_blocks = le32_to_cpu(sb->journal_blocks);
	g->journal_start = le64_to_cpu(sb->journal_start);
	g->table_start = le64_to_cpu(sb->table_start);

	if (!block_divides_chunk(g) || !grain_fits_block(g))
		return false;
	if (!g->origin_sectors || !g->nr_slots ||
	    g->nr_slots > div_u64(g->cache_sectors, g->block_sectors))
		return false;
	derive(g);
	return within_limits(g) && g->table_pages == le64_to_cpu(sb->table_pages) &&
	       layout_fits(g);
}

u64 geometry_covered(const struct geometry *g, u64 block, u32 offset, u32 sectors)
{
	u32 end = offset + sectors;
	u32 first = DIV_ROUND_UP(offset, g->grain_sectors);
	u32 after = end >> g->grain_shift;

	/* a short last grain has no data beyond the end of its block */
	if (end == geometry_block_length(g, block))
		after = DIV_ROUND_UP(end, g->grain_sectors);
	return first < after ? grain_mask(first, after - 1) : 0;
}
