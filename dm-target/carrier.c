// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cache devices that keep tuples of protection information without knowing
 * what they are: what the lowest queue and the device do elsewhere is done
 * here.  Every write stores tuples, in the form of core/pi.h, and every tuple
 * is compared with its data before a write goes out and before a read ends.
 * Used only in caches whose c->carrier is set; integrity.c says when that is.
 * Users' requests go by clones with tuples of their own, and stay as they
 * were: their sector is that of the origin.
 */
#include <linux/highmem.h>
#include <linux/slab.h>

#include "larder.h"
#include "core/pi.h"

/* Tuples of a clone; freed after its end. */
struct larder_carried {
	struct work_struct work;
	struct bio *bio;		/* the user's */
	u8 tuples[] __aligned(PI_TUPLE);	/* so that none lies across the end of a page */
};

/* The number of an interval of the origin, as far as tuples know it. */
static u32 place_of(const struct larder_cache *c, u64 sector)
{
	return (u32)(sector >> (c->profile.interval_exp - SECTOR_SHIFT));
}

static u32 nr_of(const struct larder_cache *c, const struct bio *bio)
{
	return bio->bi_iter.bi_size >> c->profile.interval_exp;
}

/* --- users' requests --- */

/* Of the next interval of a bio's data. */
static u16 next_guard(const struct larder_cache *c, const struct bio *bio, struct bvec_iter *iter)
{
	u32 left = 1u << c->profile.interval_exp, bytes;
	u16 guard = 0;

	for (; left; left -= bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		void *data = bvec_kmap_local(&bv);

		bytes = min(bv.bv_len, left);
		guard = larder_guard(guard, data, bytes);
		kunmap_local(data);
		bio_advance_iter(bio, iter, bytes);
	}
	return guard;
}

/* The tuples of a write, to be stored; false when they do not fit its data. */
static bool gather(const struct larder_cache *c, struct bio *bio, u8 *tuples)
{
	u32 nr = nr_of(c, bio), place = place_of(c, bio->bi_iter.bi_sector), i;
	bool has = larder_has_tuples(bio), ref_tag = c->profile.ref_tag;
	struct bvec_iter iter = bio->bi_iter;

	if (has) {
		if (larder_tuple_bytes(bio) != nr * PI_TUPLE)
			return false;
		larder_read_tuples(bio, 0, tuples, nr * PI_TUPLE);
		if (ref_tag)
			pi_translate(tuples, nr, (u32)larder_tuple_seed(bio), place);
	}
	for (i = 0; i < nr; i++, tuples += PI_TUPLE) {
		u16 guard = next_guard(c, bio, &iter);

		if (!has)
			pi_make(tuples, guard, ref_tag ? place + i : 0);
		else if (!pi_fits(tuples, guard, ref_tag, place + i))
			return false;
	}
	return true;
}

/* What has been read with a user's data: compared with these, and given to the user. */
static bool deliver(const struct larder_cache *c, struct bio *bio, u8 *tuples)
{
	u32 nr = nr_of(c, bio), place = place_of(c, bio->bi_iter.bi_sector), i;
	bool ref_tag = c->profile.ref_tag;
	struct bvec_iter iter = bio->bi_iter;
	const u8 *tuple = tuples;

	for (i = 0; i < nr; i++, tuple += PI_TUPLE) {
		u16 guard = next_guard(c, bio, &iter);

		if (!pi_escapes(tuple, ref_tag) && !pi_fits(tuple, guard, ref_tag, place + i))
			return false;
	}
	if (!larder_has_tuples(bio))
		return true;
	if (larder_tuple_bytes(bio) != nr * PI_TUPLE)
		return false;
	if (ref_tag)
		pi_translate(tuples, nr, place, (u32)larder_tuple_seed(bio));
	larder_write_tuples(bio, tuples, nr * PI_TUPLE);
	return true;
}

/* A clone for the cache device, with room for tuples; NULL: out of memory. */
static struct bio *make_leg(struct larder_cache *c, struct bio *bio,
			    struct larder_carried **carried)
{
	u32 bytes = nr_of(c, bio) * PI_TUPLE;
	struct larder_carried *t = kmalloc(struct_size(t, tuples, bytes), GFP_NOIO);
	blk_opf_t with = bio->bi_opf & REQ_INTEGRITY;
	struct bio *leg;

	if (!t)
		return NULL;
	t->bio = bio;
	/* hidden, so that they are not cloned */
	bio->bi_opf &= ~REQ_INTEGRITY;
	leg = bio_alloc_clone(c->cache_dev->bdev, bio, GFP_NOIO, &c->bios);
	bio->bi_opf |= with;
	if (leg && larder_attach_tuples(leg, t->tuples, bytes, 0, &c->cache_profile, NULL)) {
		bio_put(leg);
		leg = NULL;
	}
	if (!leg) {
		kfree(t);
		return NULL;
	}
	/* who polls looks at the bio, not at its clone */
	leg->bi_opf &= ~REQ_POLLED;
	*carried = t;
	return leg;
}

/* Of a write; *carried is to be freed after its end.  NULL: *status says why. */
struct bio *larder_carrier_clone(struct larder_cache *c, struct bio *bio, void **carried,
				 blk_status_t *status)
{
	struct larder_carried *t;
	struct bio *leg = make_leg(c, bio, &t);

	if (!leg) {
		*status = BLK_STS_RESOURCE;
		return NULL;
	}
	if (!gather(c, bio, t->tuples)) {
		*status = BLK_STS_PROTECTION;
		bio_put(leg);
		kfree(t);
		return NULL;
	}
	*carried = t;
	return leg;
}

/* The clone goes in the user's place, to that sector of the cache device; NULL: status says why. */
static int send(struct bio *bio, struct bio *leg, void *carried, bio_end_io_t *end_io, u64 in_slot,
		blk_status_t status)
{
	if (!leg) {
		bio->bi_status = status;
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	leg->bi_iter.bi_sector = in_slot;
	leg->bi_private = carried;
	leg->bi_end_io = end_io;
	submit_bio_noacct(leg);
	return DM_MAPIO_SUBMITTED;
}

static void write_end_io(struct bio *leg)
{
	struct larder_carried *t = leg->bi_private;
	struct bio *bio = t->bio;

	bio->bi_status = leg->bi_status;
	bio_put(leg);
	kfree(t);
	bio_endio(bio);
}

/* A write to a slot, at that sector of the cache device. */
int larder_carrier_write(struct larder_cache *c, struct bio *bio, u64 in_slot)
{
	blk_status_t status = BLK_STS_OK;
	void *carried = NULL;
	struct bio *leg = larder_carrier_clone(c, bio, &carried, &status);

	return send(bio, leg, carried, write_end_io, in_slot, status);
}

static void read_worker(struct work_struct *work)
{
	struct larder_carried *t = container_of(work, struct larder_carried, work);
	struct bio *bio = t->bio;
	struct larder_io *io = bio_io(bio);
	bool ok = deliver(io->cache, bio, t->tuples);

	kfree(t);
	if (ok)
		bio_endio(bio);
	else
		larder_heal(io->cache, io);
}

/* Checksums take too long for an interrupt. */
static void read_end_io(struct bio *leg)
{
	struct larder_carried *t = leg->bi_private;
	struct bio *bio = t->bio;
	blk_status_t status = leg->bi_status;

	bio_put(leg);
	if (!status) {
		INIT_WORK(&t->work, read_worker);
		queue_work(bio_io(bio)->cache->run_queue, &t->work);
		return;
	}
	kfree(t);
	if (status == BLK_STS_PROTECTION) {
		larder_heal(bio_io(bio)->cache, bio_io(bio));
		return;
	}
	bio->bi_status = status;
	bio_endio(bio);
}

/* A read hit. */
int larder_carrier_read(struct larder_cache *c, struct bio *bio, u64 in_slot)
{
	struct larder_carried *t = NULL;
	struct bio *leg = make_leg(c, bio, &t);

	return send(bio, leg, t, read_end_io, in_slot, BLK_STS_RESOURCE);
}

/* Reads a part of a user's request, whose sector is still that of the origin, and waits. */
blk_status_t larder_carrier_read_now(struct larder_cache *c, struct bio *part, u64 in_slot)
{
	struct larder_carried *t;
	struct bio *leg = make_leg(c, part, &t);
	blk_status_t status;

	if (!leg)
		return BLK_STS_RESOURCE;
	leg->bi_iter.bi_sector = in_slot;
	submit_bio_wait(leg);
	status = leg->bi_status;
	bio_put(leg);
	if (!status && !deliver(c, part, t->tuples))
		status = BLK_STS_PROTECTION;
	kfree(t);
	return status;
}

/* --- own transfers --- */

static u8 *tuple_of(const struct larder_cache *c, const struct larder_tuples *t, u32 i)
{
	return (u8 *)page_address(t->pages[i / c->tuples_per_page]) +
	       i % c->tuples_per_page * PI_TUPLE;
}

static u16 guard_of(const struct larder_cache *c, struct page **pages, u32 i)
{
	u64 at = (u64)i << c->profile.interval_exp;

	return larder_guard(0, (u8 *)page_address(pages[at >> PAGE_SHIFT]) + offset_in_page(at),
			    1u << c->profile.interval_exp);
}

static bool fits(const struct larder_cache *c, const struct larder_tuples *t, struct page **pages,
		 u32 i)
{
	const u8 *tuple = tuple_of(c, t, i);
	bool ref_tag = c->profile.ref_tag;

	return pi_escapes(tuple, ref_tag) ||
	       pi_fits(tuple, guard_of(c, pages, i), ref_tag, (u32)t->seed + i);
}

/* Tuples in pages are as they are stored when they are counted from the origin's sector. */
void larder_carrier_seed(const struct larder_cache *c, struct larder_tuples *t, u64 sector)
{
	t->seed = place_of(c, sector);
	bitmap_zero(t->unchecked, t->nr);
}

/* Those that a user's read has brought. */
void larder_carrier_adopt(const struct larder_cache *c, struct larder_tuples *t, u32 nr, u64 seed,
			  u64 sector)
{
	u32 place = place_of(c, sector), i, n;

	for (i = 0; c->profile.ref_tag && i < nr; i += n) {
		n = min(nr - i, c->tuples_per_page);
		pi_translate(tuple_of(c, t, i), n, (u32)seed + i, place + i);
	}
}

/* For data that came without. */
void larder_carrier_make(const struct larder_cache *c, struct larder_tuples *t, struct page **pages,
			 u32 nr, u64 sector)
{
	u32 place = place_of(c, sector), i;

	for (i = 0; i < nr; i++)
		pi_make(tuple_of(c, t, i), guard_of(c, pages, i),
			c->profile.ref_tag ? place + i : 0);
}

/*
 * Some bytes of the pages are about to be written or read.  What is read is
 * compared at the end, what is to be written now.
 */
blk_status_t larder_carrier_begin(struct larder_cache *c, struct larder_transfer *t, blk_opf_t opf,
				  struct page **pages, u64 at, u64 end)
{
	u32 i = at >> c->profile.interval_exp, last = end >> c->profile.interval_exp;

	/* nothing may ever be written without */
	if (core_broken(!t->tuples))
		return BLK_STS_IOERR;
	if ((opf & REQ_OP_MASK) != REQ_OP_WRITE) {
		t->pages = pages;
		bitmap_set(t->tuples->unchecked, i, last - i);
		return BLK_STS_OK;
	}
	for (; i < last; i++)
		if (!fits(c, t->tuples, pages, i))
			return BLK_STS_PROTECTION;
	return BLK_STS_OK;
}

/* All that was read has come. */
blk_status_t larder_carrier_end(struct larder_transfer *t)
{
	unsigned int i;

	for_each_set_bit(i, t->tuples->unchecked, t->tuples->nr)
		if (!fits(t->cache, t->tuples, t->pages, i))
			return BLK_STS_PROTECTION;
	return BLK_STS_OK;
}
