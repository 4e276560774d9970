// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The on-disk format of dm-cache (drivers/md/dm-cache-metadata.c) and of the
 * arrays of the kernel's persistent-data library that it is made of: a btree
 * that leads from the number of an array block to its place.
 *
 * Nothing is guessed: a block whose checksum, number or shape is wrong ends the
 * reading, and cache_repair is the tool for that.
 */
#include <stdio.h>

#include "progress.h"
#include "stock-read.h"

#define LL(n) ((unsigned long long)(n))

#define STOCK_MAGIC	06142003ull
#define SUPER_XOR	9031977u
#define NODE_XOR	121107u
#define ARRAY_XOR	595846735u

#define FLAG_CLEAN		(1u << 0)
#define FLAG_NEEDS_CHECK	(1u << 1)

#define MAPPING_VALID	1u
#define MAPPING_DIRTY	2u

struct stock_super {
	__le32 csum;
	__le32 flags;
	__le64 blocknr;
	u8 uuid[16];
	__le64 magic;
	__le32 version;
	u8 policy_name[16];
	__le32 hint_size;
	u8 space_map_root[128];
	__le64 mapping_root;
	__le64 hint_root;
	__le64 discard_root;
	__le64 discard_block_size;
	__le64 discard_nr_blocks;
	__le32 data_block_size;
	__le32 metadata_block_size;
	__le32 cache_blocks;
	__le32 compat_flags;
	__le32 compat_ro_flags;
	__le32 incompat_flags;
	__le32 hits[4];
	__le32 policy_version[3];
	__le64 dirty_root;
} __packed;

#define NODE_INTERNAL	1u
#define NODE_LEAF	2u
#define NODE_DEPTH_MAX	16u

struct stock_node {
	__le32 csum;
	__le32 flags;
	__le64 blocknr;
	__le32 nr_entries;
	__le32 max_entries;
	__le32 value_size;
	__le32 padding;
	__le64 keys[];
} __packed;

struct stock_array {
	__le32 csum;
	__le32 max_entries;
	__le32 nr_entries;
	__le32 value_size;
	__le64 blocknr;
	u8 values[];
} __packed;

static_assert(offsetof(struct stock_super, mapping_root) == 192, "dm-cache superblock");
static_assert(offsetof(struct stock_super, dirty_root) == 284, "dm-cache superblock");
static_assert(sizeof(struct stock_node) == 32, "btree node");
static_assert(sizeof(struct stock_array) == 24, "array block");

struct reading {
	const struct disk *disk;
	struct stock *stock;
	struct stock_info *info;
	u64 units;
	const char *wrong;	/* what the reading ended with */
	u64 where;
	/* of the array that is being read */
	u32 value_size;
	u64 nr_entries;
	u64 next;		/* entry */
	u64 blocks_left;	/* more than an array can have: it goes round in circles */
	void (*take)(struct reading *r, u64 i, const u8 *value);
	u8 array[LARDER_UNIT_SIZE] __attribute__((aligned(DISK_ALIGN)));
	u8 node[NODE_DEPTH_MAX][LARDER_UNIT_SIZE] __attribute__((aligned(DISK_ALIGN)));
};

static u32 checksum(const void *unit, u32 xor)
{
	return crc32c(~0u, (const u8 *)unit + 4, LARDER_UNIT_SIZE - 4) ^ xor;
}

static bool sum_fits(const void *unit, u32 xor)
{
	return le32_to_cpu(*(const __le32 *)unit) == checksum(unit, xor);
}

bool stock_has_magic(const void *unit)
{
	return le64_to_cpu(((const struct stock_super *)unit)->magic) == STOCK_MAGIC;
}

bool stock_is_super(const void *unit)
{
	return stock_has_magic(unit) && sum_fits(unit, SUPER_XOR);
}

static bool wrong(struct reading *r, u64 unit, const char *what)
{
	if (!r->wrong) {
		r->wrong = what;
		r->where = unit;
	}
	return false;
}

static bool read_unit(struct reading *r, u64 unit, void *buffer)
{
	if (!unit || unit >= r->units)
		return wrong(r, unit, "a block that does not exist is referred to");
	if (disk_read(r->disk, unit * LARDER_UNIT_SECTORS, LARDER_UNIT_SECTORS, buffer))
		return wrong(r, unit, "cannot be read");
	return true;
}

/* --- arrays --- */

static bool read_array_block(struct reading *r, u64 number, u64 unit)
{
	const struct stock_array *a = (const void *)r->array;
	u32 max = (LARDER_UNIT_SIZE - (u32)sizeof(*a)) / r->value_size, nr, i;

	if (!read_unit(r, unit, r->array))
		return false;
	if (!sum_fits(a, ARRAY_XOR) || le64_to_cpu(a->blocknr) != unit)
		return wrong(r, unit, "wrong checksum of an array block");
	nr = le32_to_cpu(a->nr_entries);
	if (le32_to_cpu(a->value_size) != r->value_size || le32_to_cpu(a->max_entries) != max ||
	    nr > max || number * max != r->next)
		return wrong(r, unit, "an array block that does not fit its array");
	for (i = 0; i < nr && r->next < r->nr_entries; i++, r->next++)
		r->take(r, r->next, a->values + (size_t)i * r->value_size);
	return true;
}

static bool judge_node(struct reading *r, const struct stock_node *n, u64 unit)
{
	u32 nr = le32_to_cpu(n->nr_entries), max = le32_to_cpu(n->max_entries);
	u32 flags = le32_to_cpu(n->flags);

	if (!sum_fits(n, NODE_XOR) || le64_to_cpu(n->blocknr) != unit)
		return wrong(r, unit, "wrong checksum of a btree node");
	if ((flags != NODE_LEAF && flags != NODE_INTERNAL) ||
	    le32_to_cpu(n->value_size) != sizeof(__le64) || nr > max ||
	    max > (LARDER_UNIT_SIZE - sizeof(*n)) / (2 * sizeof(__le64)))
		return wrong(r, unit, "an impossible btree node");
	return true;
}

/* Recursion is bounded by the depth. */
static bool read_node(struct reading *r, u64 unit, u32 depth)
{
	const struct stock_node *n;
	const __le64 *values;
	u32 i;

	if (depth == NODE_DEPTH_MAX || !r->blocks_left--)
		return wrong(r, unit, "a btree that is too deep");
	n = (const void *)r->node[depth];
	if (!read_unit(r, unit, r->node[depth]) || !judge_node(r, n, unit))
		return false;
	values = n->keys + le32_to_cpu(n->max_entries);
	for (i = 0; i < le32_to_cpu(n->nr_entries) && r->next < r->nr_entries; i++) {
		u64 child = le64_to_cpu(values[i]);

		if (le32_to_cpu(n->flags) == NODE_LEAF ?
		    !read_array_block(r, le64_to_cpu(n->keys[i]), child) :
		    !read_node(r, child, depth + 1))
			return false;
	}
	return true;
}

static bool read_array(struct reading *r, __le64 root, u32 value_size, u64 nr_entries,
		       void (*take)(struct reading *r, u64 i, const u8 *value))
{
	r->value_size = value_size;
	r->nr_entries = nr_entries;
	r->next = 0;
	r->blocks_left = r->units;
	r->take = take;
	if (!read_node(r, le64_to_cpu(root), 0))
		return false;
	return r->next == nr_entries || wrong(r, le64_to_cpu(root), "an array that is too short");
}

/* --- what is in them --- */

static void take_mapping(struct reading *r, u64 i, const u8 *value)
{
	struct stock_chunk *chunk = &r->stock->chunks[i];
	u64 packed;

	memcpy(&packed, value, sizeof(packed));
	packed = le64_to_cpu((__force __le64)packed);
	if (!(packed & MAPPING_VALID))
		return;
	chunk->mapped = true;
	chunk->origin = packed >> 16;
	chunk->dirty = !r->info->clean || (r->info->version == 1 && (packed & MAPPING_DIRTY));
	r->stock->origin_chunks = max(r->stock->origin_chunks, chunk->origin + 1);
	r->info->nr_mapped++;
}

static void take_dirty_bits(struct reading *r, u64 word, const u8 *value)
{
	struct stock_chunk *chunk;
	u64 bits, i;

	memcpy(&bits, value, sizeof(bits));
	bits = le64_to_cpu((__force __le64)bits);
	for (i = word * 64; bits && i < r->stock->nr_chunks; i++, bits >>= 1) {
		chunk = &r->stock->chunks[i];
		chunk->dirty |= chunk->mapped && (bits & 1);
	}
}

static void take_hint(struct reading *r, u64 i, const u8 *value)
{
	u32 hint;

	memcpy(&hint, value, sizeof(hint));
	if (r->stock->chunks[i].mapped)
		r->stock->chunks[i].hint = le32_to_cpu((__force __le32)hint);
}

/* They are advice: that they cannot be read is no reason to refuse. */
static void read_hints(struct reading *r, const struct stock_super *sb)
{
	u32 size = le32_to_cpu(sb->hint_size);
	u64 i;

	/* cache_restore leaves the size out; the array has it, too */
	if (!r->info->clean || !sb->hint_root || (size && size != HINT_BYTES))
		return;
	r->info->hints = read_array(r, sb->hint_root, HINT_BYTES, r->stock->nr_chunks, take_hint);
	if (r->info->hints)
		return;
	r->wrong = NULL;
	for (i = 0; i < r->stock->nr_chunks; i++)
		r->stock->chunks[i].hint = 0;
}

static bool read_maps(struct reading *r, const struct stock_super *sb)
{
	u64 nr = r->stock->nr_chunks, i;

	if (!read_array(r, sb->mapping_root, sizeof(u64), nr, take_mapping))
		return false;
	/* the separate bits are written by an orderly stop, and mean nothing without */
	if (r->info->version == 2 && r->info->clean &&
	    !read_array(r, sb->dirty_root, sizeof(u64), DIV_ROUND_UP(nr, 64), take_dirty_bits))
		return false;
	read_hints(r, sb);
	for (i = 0; i < nr; i++)
		r->info->nr_dirty += r->stock->chunks[i].dirty;
	return true;
}

/* --- the superblock --- */

static int refuse(const struct reading *r, const char *why)
{
	complain("%s: %s", r->disk->path, why);
	return EXIT_DAMAGED;
}

static int judge_super(struct reading *r, const struct stock_super *sb)
{
	u32 flags = le32_to_cpu(sb->flags);

	if (!stock_has_magic(sb)) {
		complain("%s holds no metadata of a dm-cache", r->disk->path);
		return EXIT_NOT_OURS;
	}
	if (!stock_is_super(sb) || le64_to_cpu(sb->blocknr))
		return refuse(r, "the superblock of the dm-cache is damaged: see cache_repair");
	r->info->version = le32_to_cpu(sb->version);
	if (r->info->version < 1 || r->info->version > 2)
		return refuse(r, "a dm-cache of a format that is not known here");
	if (sb->incompat_flags || sb->compat_ro_flags)
		return refuse(r, "a dm-cache with features that are not known here");
	if (flags & FLAG_NEEDS_CHECK)
		return refuse(r, "the dm-cache needs a check first: run cache_check "
			      "--clear-needs-check-flag on it, and cache_repair if that finds damage");
	if (le32_to_cpu(sb->metadata_block_size) != LARDER_UNIT_SECTORS)
		return refuse(r, "a dm-cache whose metadata blocks do not have 4 KiB");
	r->info->clean = flags & FLAG_CLEAN;
	return 0;
}

static int take_sizes(struct reading *r, const struct stock_super *sb)
{
	struct stock *stock = r->stock;
	unsigned int i;

	stock->seen = true;
	stock->chunk_sectors = le32_to_cpu(sb->data_block_size);
	stock->nr_chunks = le32_to_cpu(sb->cache_blocks);
	for (i = 0; i < sizeof(sb->policy_name) && sb->policy_name[i] > ' ' &&
	     sb->policy_name[i] <= '~'; i++)
		stock->policy[i] = (char)sb->policy_name[i];
	stock->policy[i] = '\0';
	if (!stock->nr_chunks || stock->nr_chunks > SLOTS_MAX)
		return refuse(r, "the dm-cache has no blocks: it was never active");
	if (stock->chunk_sectors < CHUNK_SECTORS_MIN || stock->chunk_sectors > CHUNK_SECTORS_MAX ||
	    stock->chunk_sectors % LARDER_UNIT_SECTORS)
		return refuse(r, "its chunks do not have 4 KiB to 1 GiB, in steps of 4 KiB");
	return 0;
}

static int read_all(struct reading *r)
{
	static u8 unit[LARDER_UNIT_SIZE] __attribute__((aligned(DISK_ALIGN)));
	const struct stock_super *sb = (const void *)unit;
	int code, error = disk_read(r->disk, 0, LARDER_UNIT_SECTORS, unit);

	if (error)
		return disk_failed(r->disk, "read", error);
	code = judge_super(r, sb);
	if (!code)
		code = take_sizes(r, sb);
	if (code)
		return code;
	r->stock->chunks = reserve(r->stock->nr_chunks, sizeof(*r->stock->chunks));
	if (!r->stock->chunks) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	if (read_maps(r, sb))
		return 0;
	complain("%s: block %llu of the dm-cache's metadata: %s: see cache_check and cache_repair",
		 r->disk->path, LL(r->where), r->wrong);
	return EXIT_DAMAGED;
}

int stock_read(const struct disk *d, struct stock *stock, struct stock_info *info)
{
	struct reading *r = aligned_alloc(DISK_ALIGN, ALIGN(sizeof(*r), (size_t)DISK_ALIGN));
	int code;

	memset(stock, 0, sizeof(*stock));
	memset(info, 0, sizeof(*info));
	if (!r) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	memset(r, 0, sizeof(*r));
	r->disk = d;
	r->stock = stock;
	r->info = info;
	r->units = d->sectors / LARDER_UNIT_SECTORS;
	code = read_all(r);
	free(r);
	if (code)
		stock_release(stock);
	return code;
}

void stock_release(struct stock *stock)
{
	release(stock->chunks, stock->nr_chunks, sizeof(*stock->chunks));
	stock->chunks = NULL;
}
