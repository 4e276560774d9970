// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads dirty grains wherever they are, and writes what belongs side by side on
 * the origin in one go.
 */
#include <stdio.h>

#include "progress.h"
#include "writeback.h"

#define PIECES_MAX	4096u

struct piece {
	u64 slot;
	u64 grains;
	u64 at;			/* sector of the origin */
	u32 sectors;
};

struct copying {
	struct write_back *w;
	u8 *buffer;
	u64 filled;		/* sectors */
	u32 nr;
	int code;
	struct piece pieces[PIECES_MAX];
};

static u64 block_of(const struct image *image, u64 slot)
{
	return slot_state_block(&image->slots[slot]);
}

static const struct image *sorted_image;

static int compare_slots(const void *a, const void *b)
{
	u64 left = block_of(sorted_image, *(const u64 *)a);
	u64 right = block_of(sorted_image, *(const u64 *)b);

	return left < right ? -1 : left > right;
}

static void fail(struct copying *c, const struct piece *p, const struct disk *d, const char *what,
		 int error)
{
	int code = disk_failed(d, what, error);

	if (c->w->failed)
		c->w->failed(c->w->context, p->slot, p->grains);
	else
		c->code = code;
}

/* One by one: only those that really cannot be written have failed. */
static void write_singly(struct copying *c)
{
	const u8 *from = c->buffer;
	u32 i;

	for (i = 0; i < c->nr && !c->code; i++) {
		const struct piece *p = &c->pieces[i];
		int error = disk_write(c->w->origin, p->at, p->sectors, from);

		if (error)
			fail(c, p, c->w->origin, "write", error);
		else
			c->w->sectors += p->sectors;
		from += (size_t)p->sectors * 512;
	}
}

static void write_out(struct copying *c)
{
	if (c->nr && !c->code) {
		if (disk_write(c->w->origin, c->pieces[0].at, c->filled, c->buffer))
			write_singly(c);
		else
			c->w->sectors += c->filled;
		progress_at(c->w->sectors);
	}
	c->nr = 0;
	c->filled = 0;
}

static void add(struct copying *c, const struct piece *p, u64 from)
{
	int error;

	if (c->nr && (c->pieces[0].at + c->filled != p->at || c->nr == PIECES_MAX ||
		      c->filled + p->sectors > c->w->buffer_sectors))
		write_out(c);
	error = disk_read(c->w->cache, from, p->sectors, c->buffer + (size_t)c->filled * 512);
	if (error) {
		/* what is behind a gap must not be taken for its neighbour */
		write_out(c);
		fail(c, p, c->w->cache, "read", error);
		return;
	}
	c->filled += p->sectors;
	c->pieces[c->nr++] = *p;
}

/* One run of dirty grains, cut where the block, the origin or the buffer ends. */
static void add_run(struct copying *c, u64 slot, u32 first, u32 after)
{
	const struct geometry *g = &c->w->image->geometry;
	u64 start = geometry_block_start(g, block_of(c->w->image, slot));
	u64 end = min_t(u64, start + min((u64)after << g->grain_shift, (u64)g->block_sectors),
			c->w->end);
	u64 at = start + ((u64)first << g->grain_shift), n;

	for (; at < end && !c->code; at += n) {
		struct piece p = { .slot = slot, .at = at };

		n = min(end - at, c->w->buffer_sectors);
		p.sectors = (u32)n;
		p.grains = geometry_touched(g, (u32)(at - start), (u32)n);
		add(c, &p, slot * g->block_sectors + at - start);
	}
}

static void add_slot(struct copying *c, u64 slot)
{
	u64 dirty = image_after_activation(c->w->image, slot).dirty;
	u32 first, after;

	for (first = 0; first < 64 && dirty >> first && !c->code; first = after + 1) {
		first += (u32)__builtin_ctzll(dirty >> first);
		for (after = first; after < 64 && dirty >> after & 1; after++)
			;
		add_run(c, slot, first, after);
	}
}

static int copy(struct write_back *w, struct copying *c, const u64 *slots, u64 nr)
{
	int error;
	u64 i;

	progress_start("writing back", w->total);
	for (i = 0; i < nr && !c->code; i++) {
		if (w->interrupted && w->interrupted())
			break;
		add_slot(c, slots[i]);
	}
	write_out(c);
	progress_end();
	if (c->code)
		return c->code;
	error = disk_flush(w->origin);
	return error ? disk_failed(w->origin, "flush", error) : 0;
}

int write_back_slots(struct write_back *w, u64 *slots, u64 nr)
{
	struct copying *c = calloc(1, sizeof(*c));
	int code = EXIT_NO_MEMORY;

	if (c)
		c->buffer = aligned_alloc(DISK_ALIGN, (size_t)w->buffer_sectors * 512);
	if (c && c->buffer) {
		c->w = w;
		sorted_image = w->image;
		qsort(slots, (size_t)nr, sizeof(*slots), compare_slots);
		code = copy(w, c, slots, nr);
	} else {
		complain("not enough memory");
	}
	if (c)
		free(c->buffer);
	free(c);
	return code;
}
