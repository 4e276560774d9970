// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To dm-cache, which knows chunks that are cached as a whole, or not at all.
 *
 * A chunk of the cache device can stay where it is when all that it holds are
 * parts of one chunk of the origin, in their places, and no other slot has a
 * part of that.  What is missing in it is copied from the origin.  Of all other
 * chunks the dirty grains are written to the origin, and dm-cache does not hear
 * of them.  Neither changes what the old metadata says.
 */
#include <stdio.h>

#include "convert.h"
#include "progress.h"

#define LL(n) ((unsigned long long)(n))
#define BUFFER_SECTORS	8192u
#define STOCK_CHUNK	64u	/* its chunks are multiples of so many sectors */

struct plan {
	struct convert *c;
	const struct image *image;
	u32 ratio;		/* slots in a chunk */
	u64 nr_chunks;		/* whole ones, on the cache device */
	u64 *owners;		/* chunk of the origin of each used slot, sorted */
	u64 nr_owners;
	struct kept_chunk *kept;
	u64 nr_kept;
	u64 *away;		/* slots with dirty grains that are written back */
	u64 nr_away;
	u8 *buffer;
};

static int out_of_memory(void)
{
	complain("not enough memory");
	return EXIT_NO_MEMORY;
}

/* --- the old metadata --- */

static int judge(struct convert *c)
{
	const struct geometry *g = &c->image.geometry;
	const struct larder_superblock *sb = metadata_super(c->image.md);

	if (c->image.nr_damages[SEVERITY_DAMAGE] ||
	    (le64_to_cpu(sb->ro_compat) & ~LARDER_RO_COMPAT_SUPPORTED)) {
		complain("%s: the metadata is damaged or of a newer dm-larder: see larder check",
			 c->metadata_path);
		return EXIT_DAMAGED;
	}
	if (g->chunk_sectors % STOCK_CHUNK) {
		complain("%s: dm-cache needs chunks of a multiple of 32 KiB, these have %u sectors",
			 c->metadata_path, g->chunk_sectors);
		return EXIT_NOT_OURS;
	}
	if (g->nr_slots < g->chunk_sectors / g->block_sectors) {
		complain("%s: the cache is smaller than one chunk", c->metadata_path);
		return EXIT_NOT_OURS;
	}
	if (c->cache.sectors < g->nr_slots * g->block_sectors ||
	    c->origin.sectors < g->origin_sectors) {
		complain("the cache device or the origin is smaller than when the cache was last "
			 "active (%llu and %llu sectors)", LL(g->nr_slots * g->block_sectors),
			 LL(g->origin_sectors));
		return EXIT_NOT_OURS;
	}
	return 0;
}

static int load(struct convert *c)
{
	int code = image_open(&c->image, c->metadata_path);
	const char *other;

	if (code)
		return code;
	other = image_not_ours(&c->image);
	if (other) {
		complain("%s holds no dm-larder cache, found: %s", c->metadata_path, other);
		return EXIT_NOT_OURS;
	}
	if (c->image.found != METADATA_OURS) {
		complain("%s: the metadata is damaged: see larder check, and larder repair",
			 c->metadata_path);
		return EXIT_DAMAGED;
	}
	code = image_load(&c->image);
	return code ? code : judge(c);
}

/* --- the plan --- */

static int compare_numbers(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return left < right ? -1 : left > right;
}

static void find_owners(struct plan *p)
{
	u64 slot;

	for (slot = 0; slot < p->image->nr_slots; slot++) {
		struct slot_state state = image_after_activation(p->image, slot);

		if (slot_used(&state))
			p->owners[p->nr_owners++] = slot_state_block(&state) / p->ratio;
	}
	qsort(p->owners, (size_t)p->nr_owners, sizeof(*p->owners), compare_numbers);
}

/* The first of them that is not below. */
static u64 lower_bound(const struct plan *p, u64 owner)
{
	u64 low = 0, high = p->nr_owners;

	while (low < high) {
		u64 middle = low + (high - low) / 2;

		if (p->owners[middle] < owner)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct slot_state slot_of(const struct plan *p, u64 chunk, u32 i)
{
	u64 slot = chunk * p->ratio + i;

	if (slot >= p->image->nr_slots)
		return (struct slot_state){ 0 };
	return image_after_activation(p->image, slot);
}

/* Is the chunk a part of one chunk of the origin?  Says what is known of it. */
static bool one_owner(const struct plan *p, u64 number, struct kept_chunk *chunk, u64 *nr_used,
		      u64 *nr_grains)
{
	u32 i;

	*nr_used = 0;
	*nr_grains = 0;
	*chunk = (struct kept_chunk){ .cache = number };
	for (i = 0; i < p->ratio; i++) {
		struct slot_state state = slot_of(p, number, i);
		u64 block = slot_state_block(&state);

		if (!slot_used(&state))
			continue;
		if (block % p->ratio != i || (*nr_used && block / p->ratio != chunk->origin))
			return false;
		chunk->origin = block / p->ratio;
		chunk->dirty |= state.dirty != 0;
		chunk->hint = max(chunk->hint, state.hint);
		++*nr_used;
		*nr_grains += hweight64(state.valid);
	}
	return *nr_used;
}

static bool can_stay(const struct plan *p, u64 number, struct kept_chunk *chunk)
{
	const struct geometry *g = &p->image->geometry;
	u64 nr_used, nr_grains;

	if (number >= p->nr_chunks || !one_owner(p, number, chunk, &nr_used, &nr_grains))
		return false;
	/* dm-cache sends what goes to a short last chunk to the origin, whatever is cached */
	if ((chunk->origin + 1) * g->chunk_sectors > g->origin_sectors)
		return false;
	if (lower_bound(p, chunk->origin + 1) - lower_bound(p, chunk->origin) != nr_used)
		return false;
	/* little of it is here: rather a few writes than a long read */
	return nr_grains * 2 >= (u64)p->ratio * g->grains_per_block;
}

static void give_up(struct plan *p, u64 number)
{
	bool any = false;
	u32 i;

	for (i = 0; i < p->ratio; i++) {
		struct slot_state state = slot_of(p, number, i);

		any |= slot_used(&state);
		if (slot_used(&state) && state.dirty)
			p->away[p->nr_away++] = number * p->ratio + i;
	}
	p->c->chunks_left += any;
}

static bool is_whole(const struct plan *p, const struct kept_chunk *chunk)
{
	u64 all = geometry_all_grains(&p->image->geometry);
	u32 i;

	for (i = 0; i < p->ratio; i++)
		if (slot_of(p, chunk->cache, i).valid != all)
			return false;
	return true;
}

static int make_plan(struct plan *p)
{
	const struct geometry *g = &p->image->geometry;
	struct convert *c = p->c;
	u64 i;

	p->ratio = g->chunk_sectors / g->block_sectors;
	p->nr_chunks = div_u64(g->nr_slots, p->ratio);
	p->owners = reserve(g->nr_slots, sizeof(*p->owners));
	p->away = reserve(g->nr_slots, sizeof(*p->away));
	p->kept = reserve(p->nr_chunks, sizeof(*p->kept));
	p->buffer = aligned_alloc(DISK_ALIGN, BUFFER_SECTORS * 512);
	if (!p->owners || !p->away || !p->kept || !p->buffer)
		return out_of_memory();
	find_owners(p);
	/* slots behind the last whole chunk are one that can never stay */
	for (i = 0; i * p->ratio < g->nr_slots; i++) {
		struct kept_chunk chunk;

		if (!can_stay(p, i, &chunk)) {
			give_up(p, i);
			continue;
		}
		p->kept[p->nr_kept++] = chunk;
		c->chunks_dirty += chunk.dirty;
		c->chunks_completed += !is_whole(p, &chunk);
	}
	c->chunks_kept = p->nr_kept;
	return 0;
}

static void drop_plan(struct plan *p)
{
	const struct geometry *g = &p->image->geometry;

	release(p->owners, g->nr_slots, sizeof(*p->owners));
	release(p->away, g->nr_slots, sizeof(*p->away));
	release(p->kept, p->nr_chunks, sizeof(*p->kept));
	free(p->buffer);
}

/* --- the data --- */

/* From the origin to the same place in a slot. */
static int fetch(struct plan *p, u64 from, u64 to, u64 sectors)
{
	struct convert *c = p->c;
	u64 n;

	for (; sectors; from += n, to += n, sectors -= n) {
		int error;

		n = min_t(u64, sectors, BUFFER_SECTORS);
		error = disk_read(&c->origin, from, n, p->buffer);
		if (error)
			return disk_failed(&c->origin, "read", error);
		error = disk_write(&c->cache, to, n, p->buffer);
		if (error)
			return disk_failed(&c->cache, "write", error);
		c->sectors_completed += n;
	}
	return 0;
}

static int complete_slot(struct plan *p, const struct kept_chunk *chunk, u32 i)
{
	const struct geometry *g = &p->image->geometry;
	u64 missing = geometry_all_grains(g) & ~slot_of(p, chunk->cache, i).valid;
	u64 block = chunk->origin * p->ratio + i, slot = chunk->cache * p->ratio + i;
	u32 first, after;
	int code = 0;

	for (first = 0; first < 64 && missing >> first && !code; first = after) {
		u64 start, end;

		first += (u32)__builtin_ctzll(missing >> first);
		for (after = first; after < 64 && missing >> after & 1; after++)
			;
		start = (u64)first << g->grain_shift;
		end = min((u64)after << g->grain_shift, (u64)g->block_sectors);
		code = fetch(p, block * g->block_sectors + start, slot * g->block_sectors + start,
			     end - start);
	}
	return code;
}

static int complete(struct plan *p)
{
	int code = 0, error;
	u64 i;
	u32 j;

	progress_start("completing chunks", p->nr_kept);
	for (i = 0; i < p->nr_kept && !code; i++) {
		for (j = 0; j < p->ratio && !code; j++)
			code = complete_slot(p, &p->kept[i], j);
		if (!code && convert_interrupted())
			code = tell_interrupted();
		progress_at(i);
	}
	progress_end();
	if (code || !p->c->sectors_completed)
		return code;
	error = disk_flush(&p->c->cache);
	return error ? disk_failed(&p->c->cache, "write", error) : 0;
}

static int write_away(struct plan *p)
{
	struct convert *c = p->c;
	struct write_back w = {
		.image = p->image,
		.cache = &c->cache,
		.origin = &c->origin,
		.buffer_sectors = BUFFER_SECTORS,
		.end = p->image->geometry.origin_sectors,
		.interrupted = convert_interrupted,
	};
	int code = p->nr_away ? write_back_slots(&w, p->away, p->nr_away) : 0;

	c->sectors_written_back = w.sectors;
	if (!code && convert_interrupted())
		code = tell_interrupted();
	return code;
}

int convert_to_stock(struct convert *c)
{
	struct plan p = { .c = c, .image = &c->image };
	int code = load(c);

	if (code)
		return code;
	code = make_plan(&p);
	if (!code && !c->dry_run) {
		/* before the data is moved: is there a place at all? */
		code = staging_open(c, c->metadata.sectors / LARDER_UNIT_SECTORS);
		if (!code)
			code = complete(&p);
		if (!code)
			code = write_away(&p);
		if (!code)
			code = stock_write(c, p.kept, p.nr_kept);
	}
	drop_plan(&p);
	return code;
}
