// SPDX-License-Identifier: GPL-2.0-only
/*
 * Into the cache: fills from data that a user's read has just brought, and
 * copying in grains that a write covers only partly.  A fill is never owed:
 * it uses a private copy, and is dropped when memory is short, when too many
 * are under way, or when something wrote to its region since the read.
 */
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/slab.h>

#include "larder.h"

#define FILL_PAGES_MAX	2048	/* 8 MiB under way at most */
#define COPY_PAGES	16	/* 64 KiB at a time for copying in */
#define COPY_OPS_MIN	4

struct fill {
	struct work_struct work;
	struct larder_cache *c;
	u64 sector;
	u32 sectors;
	u32 generation;
	u32 nr_pages;
	bool bare;			/* the tuples are still to be made */
	struct larder_tuples *tuples;	/* of the pages, or NULL */
	struct page *pages[];
};

struct copy_in {
	struct work_struct work;
	struct larder_cache *c;
	struct bio *bio;
	u64 block;
	u64 grains;
	u32 slot;
	struct larder_tuples *tuples;	/* of the pages, or NULL */
	struct page *pages[COPY_PAGES];
};

static bool origin_is_synced(struct larder_cache *c)
{
	return c->committer.origin_ever_flushed &&
	       larder_sum(c, COUNT_WRITES_ORIGIN) == READ_ONCE(c->committer.origin_flushed);
}

static void fill_free(struct fill *f)
{
	struct larder_cache *c = f->c;
	u32 i;

	for (i = 0; i < f->nr_pages; i++)
		__free_page(f->pages[i]);
	larder_tuples_free(f->tuples);
	atomic_sub(f->nr_pages, &c->fill_pages);
	kfree(f);
}

/* Makes the slot FILLING for the grains that it lacks; 0 when the fill is to be dropped. */
static u64 fill_begin(struct larder_cache *c, const struct fill *f, const struct extent *e,
		      u32 *slot)
{
	struct larder_shard *sh = shard_of(c, e->block);
	u32 fresh = SLOT_NONE, found;
	bool asked = false;
	u64 grains = 0;

again:
	spin_lock_irq(&sh->lock);
	found = slotmap_find(&c->map, e->block);
	if (!shard_unmoved(&c->map, e->block, f->generation)) {
		grains = 0;
	} else if (found != SLOT_NONE) {
		grains = e->covered & ~slot_valid(&c->map, found);
		*slot = found;
		if (grains && !slot_change(&c->map, found, SLOT_VALID, SLOT_FILLING, NO_WRITERS,
					   NULL))
			grains = 0;
	} else if (!asked) {
		spin_unlock_irq(&sh->lock);
		asked = true;
		if (larder_policy_miss(c, e, false) == POLICY_BYPASS)
			return 0;
		fresh = larder_take_slot(c);
		if (fresh == SLOT_NONE)
			return 0;
		goto again;
	} else {
		slot_insert(&c->map, fresh, e->block, SLOT_FILLING, 0);
		spin_unlock_irq(&sh->lock);
		larder_policy_inserted(c, fresh, e->block, false);
		count(c, COUNT_PROMOTION);
		*slot = fresh;
		return e->covered;
	}
	spin_unlock_irq(&sh->lock);
	if (fresh != SLOT_NONE)
		larder_return_slot(c, fresh);
	return grains;
}

static void fill_block(struct larder_cache *c, struct fill *f, const struct extent *e, u32 from)
{
	struct larder_shard *sh = shard_of(c, e->block);
	u32 slot, offset, sectors, next = 0;
	struct larder_transfer t;
	blk_status_t status;
	u64 grains;

	grains = e->covered ? fill_begin(c, f, e, &slot) : 0;
	if (!grains) {
		count(c, COUNT_FILL_DROPPED);
		return;
	}
	larder_transfer_init(c, &t, f->tuples, f->sector);
	while (request_grain_run(&c->geometry, e->block, grains, next, &offset, &sectors, &next)) {
		count_by(c, COUNT_CACHE_SECTORS_WRITTEN, sectors);
		larder_transfer(c, &t, c->cache_dev, REQ_OP_WRITE,
				geometry_slot_start(&c->geometry, slot) + offset, sectors, f->pages,
				(from + offset - e->offset) << SECTOR_SHIFT);
	}
	status = larder_transfer_wait(&t);
	count(c, COUNT_WRITES_CACHE);
	count(c, status ? COUNT_CACHE_ERROR : COUNT_FILL);

	spin_lock_irq(&sh->lock);
	if (!status)
		slot_filled(&c->map, slot, grains, origin_is_synced(c));
	slot_change(&c->map, slot, SLOT_FILLING, SLOT_VALID, 0, NULL);
	spin_unlock_irq(&sh->lock);
	larder_wake(c, e->block);
}

static void fill_worker(struct work_struct *work)
{
	struct fill *f = container_of(work, struct fill, work);
	struct larder_cache *c = f->c;
	struct extent e;
	u32 at;

	if (f->bare)
		larder_carrier_make(c, f->tuples, f->pages,
				    f->sectors >> (c->profile.interval_exp - SECTOR_SHIFT),
				    f->sector);
	for (at = 0; at < f->sectors && READ_ONCE(c->running); at += e.sectors) {
		extent_init(&c->geometry, &e, f->sector + at, f->sectors - at);
		fill_block(c, f, &e, at);
	}
	fill_free(f);
}

static void copy_bio(struct fill *f, struct bio *bio, struct bvec_iter start)
{
	struct bvec_iter iter;
	struct bio_vec bv;
	u32 at = 0;

	__bio_for_each_segment(bv, bio, iter, start) {
		u32 done = 0, len;

		while (done < bv.bv_len) {
			len = min_t(u32, bv.bv_len - done, PAGE_SIZE - offset_in_page(at));
			memcpy_page(f->pages[at >> PAGE_SHIFT], offset_in_page(at), bv.bv_page,
				    bv.bv_offset + done, len);
			done += len;
			at += len;
		}
	}
}

/* Of a read that has brought some; without them, they are made when the slot is written. */
static bool copy_tuples(struct fill *f, struct bio *bio)
{
	bool has = larder_has_tuples(bio);

	f->tuples = NULL;
	f->bare = !has && f->c->carrier;
	if (likely(!f->c->pi_kept) || (!has && !f->bare))
		return true;
	f->tuples = larder_tuples_alloc(f->c, f->nr_pages, GFP_NOWAIT | __GFP_NOWARN);
	return f->tuples && (f->bare || larder_tuples_copy(f->c, f->tuples, bio, f->sector));
}

/* End of a read from the origin, in whatever context that is. */
void larder_fill(struct larder_cache *c, struct bio *bio, struct larder_io *io)
{
	u32 bytes = io->iter.bi_size, nr_pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct fill *f;

	if (bytes >> SECTOR_SHIFT < c->geometry.grain_sectors || !READ_ONCE(c->running))
		return;
	if (atomic_add_return(nr_pages, &c->fill_pages) > FILL_PAGES_MAX)
		goto drop;
	f = kmalloc(struct_size(f, pages, nr_pages), GFP_NOWAIT | __GFP_NOWARN);
	if (!f)
		goto drop;
	for (f->nr_pages = 0; f->nr_pages < nr_pages; f->nr_pages++) {
		f->pages[f->nr_pages] = alloc_page(GFP_NOWAIT | __GFP_NOWARN);
		if (f->pages[f->nr_pages])
			continue;
		while (f->nr_pages)
			__free_page(f->pages[--f->nr_pages]);
		kfree(f);
		goto drop;
	}
	f->c = c;
	f->sector = io->iter.bi_sector;
	f->sectors = bytes >> SECTOR_SHIFT;
	f->generation = io->generation;
	copy_bio(f, bio, io->iter);
	if (!copy_tuples(f, bio)) {
		count(c, COUNT_FILL_DROPPED);
		fill_free(f);
		return;
	}
	INIT_WORK(&f->work, fill_worker);
	queue_work(c->copy_queue, &f->work);
	return;
drop:
	atomic_sub(nr_pages, &c->fill_pages);
	count(c, COUNT_FILL_DROPPED);
}

static blk_status_t copy_run(struct larder_cache *c, struct copy_in *op, u32 offset, u32 sectors)
{
	u64 from = geometry_block_start(&c->geometry, op->block) + offset;
	u64 to = geometry_slot_start(&c->geometry, op->slot) + offset;
	struct larder_transfer t;
	blk_status_t status;

	while (sectors) {
		u32 n = min_t(u32, sectors, COPY_PAGES << (PAGE_SHIFT - SECTOR_SHIFT));

		larder_transfer_init(c, &t, op->tuples, from);
		count(c, COUNT_ORIGIN_READS);
		larder_transfer(c, &t, c->origin_dev, REQ_OP_READ, from, n, op->pages, 0);
		status = larder_transfer_wait(&t);
		if (status)
			return status;
		larder_transfer_init(c, &t, op->tuples, from);
		count_by(c, COUNT_CACHE_SECTORS_WRITTEN, n);
		larder_transfer(c, &t, c->cache_dev, REQ_OP_WRITE, to, n, op->pages, 0);
		status = larder_transfer_wait(&t);
		if (status)
			return status;
		from += n;
		to += n;
		sectors -= n;
	}
	return BLK_STS_OK;
}

static void copy_in_worker(struct work_struct *work)
{
	struct copy_in *op = container_of(work, struct copy_in, work);
	struct larder_cache *c = op->c;
	struct larder_shard *sh = shard_of(c, op->block);
	struct bio *bio = op->bio;
	u32 offset, sectors, next = 0;
	blk_status_t status = BLK_STS_OK;
	u64 block = op->block;

	while (!status && request_grain_run(&c->geometry, block, op->grains, next, &offset,
					    &sectors, &next))
		status = copy_run(c, op, offset, sectors);
	count(c, COUNT_WRITES_CACHE);
	count(c, COUNT_WRITES_CACHE_DIRTY);

	spin_lock_irq(&sh->lock);
	/* dirty, although equal: the write that follows then needs no intent (I3) */
	if (!status)
		slot_written(&c->map, op->slot, op->grains);
	slot_change(&c->map, op->slot, SLOT_FILLING, SLOT_VALID, 0, NULL);
	spin_unlock_irq(&sh->lock);
	mempool_free(op, &c->copy_ops);
	larder_wake(c, block);
	if (status) {
		bio->bi_status = status;
		bio_endio(bio);
	} else {
		larder_write_again(c, bio);
	}
}

void larder_copy_in(struct larder_cache *c, struct bio *bio, u64 block, u32 slot, u64 grains)
{
	struct copy_in *op = mempool_alloc(&c->copy_ops, GFP_NOIO);

	op->c = c;
	op->bio = bio;
	op->block = block;
	op->slot = slot;
	op->grains = grains;
	INIT_WORK(&op->work, copy_in_worker);
	queue_work(c->copy_queue, &op->work);
}

static void copy_op_free(void *element, void *data)
{
	struct copy_in *op = element;
	u32 i;

	for (i = 0; i < COPY_PAGES && op->pages[i]; i++)
		__free_page(op->pages[i]);
	larder_tuples_free(op->tuples);
	kfree(op);
}

static void *copy_op_alloc(gfp_t gfp, void *data)
{
	struct copy_in *op = kzalloc(sizeof(*op), gfp);
	struct larder_cache *c = data;
	u32 i;

	for (i = 0; op && i < COPY_PAGES; i++) {
		op->pages[i] = alloc_page(gfp);
		if (!op->pages[i]) {
			copy_op_free(op, data);
			return NULL;
		}
	}
	if (op && c->pi_possible) {
		op->tuples = larder_tuples_alloc(c, COPY_PAGES, gfp);
		if (!op->tuples) {
			copy_op_free(op, data);
			return NULL;
		}
	}
	return op;
}

int larder_fill_init(struct larder_cache *c)
{
	return mempool_init(&c->copy_ops, COPY_OPS_MIN, copy_op_alloc, copy_op_free, c);
}

void larder_fill_exit(struct larder_cache *c)
{
	mempool_exit(&c->copy_ops);
}
