// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tuples of T10 protection information, and how they travel with data: with
 * clones of users' requests, and beside pages of our own transfers.  Used only
 * in caches whose c->pi_kept is set.  The lowest driver exchanges the reference
 * tags in place, for writes without putting them back, and it adds to or
 * subtracts from the seed; so nothing here ever looks at them, but for
 * never-written sectors.  A cache device without such a driver: see carrier.c.
 */
#include <linux/slab.h>

#include "larder.h"

/* --- beside pages --- */

/* For so many pages of data; NULL when there is no memory. */
struct larder_tuples *larder_tuples_alloc(struct larder_cache *c, u32 pages, gfp_t gfp)
{
	u32 nr = pages << (PAGE_SHIFT - c->profile.interval_exp);
	u32 nr_pages = DIV_ROUND_UP(nr, c->tuples_per_page);
	struct larder_tuples *t = kzalloc(struct_size(t, pages, nr_pages), gfp);

	if (!t)
		return NULL;
	t->nr = nr;
	if (c->carrier_possible) {
		t->unchecked = kcalloc(BITS_TO_LONGS(nr), sizeof(long), gfp);
		if (!t->unchecked) {
			kfree(t);
			return NULL;
		}
	}
	for (; t->nr_pages < nr_pages; t->nr_pages++) {
		t->pages[t->nr_pages] = alloc_page(gfp);
		if (!t->pages[t->nr_pages]) {
			larder_tuples_free(t);
			return NULL;
		}
	}
	return t;
}

void larder_tuples_free(struct larder_tuples *t)
{
	u32 i;

	if (!t)
		return;
	for (i = 0; i < t->nr_pages; i++)
		__free_page(t->pages[i]);
	kfree(t->unchecked);
	kfree(t);
}

static u8 *tuple(const struct larder_cache *c, const struct larder_tuples *t, u32 i)
{
	return (u8 *)page_address(t->pages[i / c->tuples_per_page]) +
	       i % c->tuples_per_page * c->profile.tuple_size;
}

/* Has the bio as many tuples as it has intervals? */
static bool is_complete(const struct larder_cache *c, struct bio *bio)
{
	u32 nr = bio->bi_iter.bi_size >> c->profile.interval_exp;

	return larder_has_tuples(bio) && larder_tuple_bytes(bio) == nr * c->profile.tuple_size;
}

/* Those of a read of that sector that has ended; false when it has not got them all. */
bool larder_tuples_copy(struct larder_cache *c, struct larder_tuples *t, struct bio *bio,
			u64 sector)
{
	u32 per_page = c->tuples_per_page * c->profile.tuple_size, at, bytes, i;

	if (!is_complete(c, bio))
		return false;
	bytes = larder_tuple_bytes(bio);
	t->seed = larder_tuple_seed(bio);
	for (at = 0, i = 0; at < bytes; at += per_page, i++)
		larder_read_tuples(bio, at, page_address(t->pages[i]), min(per_page, bytes - at));
	if (c->carrier)
		larder_carrier_adopt(c, t, bytes / c->profile.tuple_size, t->seed, sector);
	return true;
}

/*
 * Never written, or written so that nobody checks it: the application tag is
 * all ones, and where devices do not use the reference tag, that, too.  Nothing
 * else of such a tuple need be right, and a device may refuse to have it written.
 */
static bool is_blank(const struct larder_cache *c, const u8 *tuple)
{
	bool wide = c->profile.guard == GUARD_CRC64;
	u32 bytes = c->profile.ref_tag ? 2 : wide ? 8 : 6;

	return !memchr_inv(tuple + c->profile.tuple_offset + (wide ? 8 : 2), 0xff, bytes);
}

/*
 * How many of the bytes from at on go into one bio: its tuples are one piece
 * within a page, and of what is to be written to a device that judges it, all
 * is blank or nothing is.  *with: whether it has tuples; without, they are made
 * below.
 */
u64 larder_tuples_run(struct larder_cache *c, const struct larder_tuples *t, bool judged,
		      u64 at, u64 bytes, bool *with)
{
	u32 first = at >> c->profile.interval_exp, n;
	u32 room = c->tuples_per_page - first % c->tuples_per_page;
	u32 limit = min_t(u64, room, bytes >> c->profile.interval_exp);

	*with = true;
	if (!judged)
		return (u64)limit << c->profile.interval_exp;
	*with = !is_blank(c, tuple(c, t, first));
	for (n = 1; n < limit; n++)
		if (is_blank(c, tuple(c, t, first + n)) == *with)
			break;
	return (u64)n << c->profile.interval_exp;
}

/* The bio is complete; at: where its first byte is. */
int larder_tuples_attach(struct larder_cache *c, const struct larder_tuples *t, struct bio *bio,
			 u64 at, const struct larder_profile *p)
{
	u32 first = at >> c->profile.interval_exp;
	u32 nr = bio->bi_iter.bi_size >> c->profile.interval_exp;

	return larder_attach_tuples(bio, tuple(c, t, first), nr * c->profile.tuple_size,
				    t->seed + first, p, NULL);
}

/* --- with users' requests --- */

/*
 * A clone with a copy of the tuples of its own, *copy, to be freed after its
 * end.  Of a bio without tuples, just a clone.  NULL: out of memory.
 */
struct bio *larder_pi_clone(struct larder_cache *c, struct bio *bio, struct dm_dev *dev,
			    void **copy)
{
	struct bio *clone;
	u32 bytes;

	*copy = NULL;
	if (!larder_has_tuples(bio))
		return bio_alloc_clone(dev->bdev, bio, GFP_NOIO, &c->bios);
	if (!is_complete(c, bio))
		return NULL;
	bytes = larder_tuple_bytes(bio);
	/* a power of two is aligned so that no tuple lies across the end of a page */
	*copy = kmalloc(2u << ilog2(bytes - 1), GFP_NOIO);
	if (!*copy)
		return NULL;
	larder_read_tuples(bio, 0, *copy, bytes);
	/* hidden, so that they are not cloned */
	bio->bi_opf &= ~REQ_INTEGRITY;
	clone = bio_alloc_clone(dev->bdev, bio, GFP_NOIO, &c->bios);
	bio->bi_opf |= REQ_INTEGRITY;
	if (!larder_attach_tuples(clone, *copy, bytes, larder_tuple_seed(bio), &c->profile, bio)) {
		/* both devices shall judge it the same */
		larder_ask_for_checks(clone, &c->profile);
		return clone;
	}
	bio_put(clone);
	kfree(*copy);
	*copy = NULL;
	return NULL;
}

static void read_leg_end_io(struct bio *leg)
{
	struct bio *bio = leg->bi_private;
	struct larder_io *io = bio_io(bio);
	blk_status_t status = leg->bi_status;

	bio_put(leg);
	if (status == BLK_STS_PROTECTION && io->kind == IO_READ_HIT) {
		larder_heal(io->cache, io);
		return;
	}
	if (!status && io->kind == IO_READ_MISS) {
		larder_fill(io->cache, bio, io);
		io->kind = IO_PASS;
	}
	bio->bi_status = status;
	bio_endio(bio);
}

/*
 * A read by a clone: the bio keeps its tuples to its end, for a fill, and
 * stays as it was, so that it can be read from elsewhere.
 */
int larder_pi_read(struct larder_cache *c, struct bio *bio, struct dm_dev *dev, u64 sector)
{
	struct bio *leg = bio_alloc_clone(dev->bdev, bio, GFP_NOIO, &c->bios);

	if (!leg) {
		bio->bi_status = BLK_STS_RESOURCE;
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	/* what nobody checks is not healed */
	if (dev == c->cache_dev)
		larder_ask_for_checks(leg, &c->profile);
	/* who polls looks at the bio, not at its clone */
	leg->bi_opf &= ~REQ_POLLED;
	leg->bi_iter.bi_sector = sector;
	leg->bi_private = bio;
	leg->bi_end_io = read_leg_end_io;
	submit_bio_noacct(leg);
	return DM_MAPIO_SUBMITTED;
}

/*
 * Of a read that has been remapped to the origin.  What it may be filled from
 * has tuples in any case: those that the origin has must not get lost.
 */
int larder_pi_miss(struct larder_cache *c, struct bio *bio, struct larder_io *io)
{
	if (io->kind == IO_READ_MISS && !larder_prepare_tuples(bio))
		return DM_MAPIO_SUBMITTED;
	if (!larder_has_tuples(bio))
		return DM_MAPIO_REMAPPED;
	return larder_pi_read(c, bio, c->origin_dev, bio->bi_iter.bi_sector);
}
