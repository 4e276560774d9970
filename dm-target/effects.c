// SPDX-License-Identifier: GPL-2.0-only
/*
 * Performs what the core asks for: reads, writes and flushes of the metadata
 * device, and transfers between pages and the other two.  Everything here may
 * sleep.
 */
#include <linux/highmem.h>
#include <linux/vmalloc.h>

#include "larder.h"

/* tuples: of the pages, or NULL; they go along with the data where they are kept. */
void larder_transfer_init(struct larder_cache *c, struct larder_transfer *t,
			  struct larder_tuples *tuples, u64 sector)
{
	atomic_set(&t->pending, 1);
	t->status = BLK_STS_OK;
	t->cache = c;
	t->tuples = c->pi_kept ? tuples : NULL;
	init_completion(&t->done);
	if (unlikely(c->carrier && tuples))
		larder_carrier_seed(c, tuples, sector);
}

static void transfer_put(struct larder_transfer *t)
{
	if (atomic_dec_and_test(&t->pending))
		complete(&t->done);
}

static void transfer_end_io(struct bio *bio)
{
	struct larder_transfer *t = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(t->status, bio->bi_status);
	bio_put(bio);
	transfer_put(t);
}

static void transfer_submit(struct larder_transfer *t, struct bio *bio)
{
	bio->bi_private = t;
	bio->bi_end_io = transfer_end_io;
	atomic_inc(&t->pending);
	submit_bio_noacct(bio);
}

/* A bio of at most that many bytes of the pages, from at on. */
static struct bio *make_bio(struct larder_cache *c, struct dm_dev *dev, blk_opf_t opf,
			    struct page **pages, u64 at, u64 bytes)
{
	u32 offset = offset_in_page(at);
	unsigned int vecs = bio_max_segs(DIV_ROUND_UP_ULL(offset + bytes, PAGE_SIZE));
	struct bio *bio = bio_alloc_bioset(dev->bdev, vecs, opf, GFP_NOIO, &c->bios);

	pages += at >> PAGE_SHIFT;
	while (bytes && vecs--) {
		unsigned int len = min_t(u64, PAGE_SIZE - offset, bytes);

		__bio_add_page(bio, *pages, len, offset);
		pages++;
		offset = 0;
		bytes -= len;
	}
	return bio;
}

/*
 * Sends sectors of dev from or into pages, which begin offset bytes into the
 * first one.  Any length: bios are made as long as the pages, and their tuples,
 * allow.
 */
void larder_transfer(struct larder_cache *c, struct larder_transfer *t, struct dm_dev *dev,
		     blk_opf_t opf, u64 sector, u32 sectors, struct page **pages, u32 offset)
{
	u64 at = offset, end = at + ((u64)sectors << SECTOR_SHIFT), bytes;
	bool carried = unlikely(c->carrier) && dev == c->cache_dev, with;
	bool judged = !carried && (opf & REQ_OP_MASK) == REQ_OP_WRITE;
	blk_status_t status = BLK_STS_OK;
	struct bio *bio;

	if (carried)
		status = larder_carrier_begin(c, t, opf, pages, at, end);
	if (status) {
		WRITE_ONCE(t->status, status);
		return;
	}
	for (; at < end; at += bytes) {
		bytes = end - at;
		with = false;
		if (unlikely(t->tuples))
			bytes = larder_tuples_run(c, t->tuples, judged, at, bytes, &with);
		bio = make_bio(c, dev, opf, pages, at, bytes);
		bio->bi_iter.bi_sector = sector;
		bytes = bio->bi_iter.bi_size;
		sector += bytes >> SECTOR_SHIFT;
		if (with && larder_tuples_attach(c, t->tuples, bio, at, carried ?
						 &c->cache_profile : &c->profile)) {
			WRITE_ONCE(t->status, BLK_STS_RESOURCE);
			bio_put(bio);
			continue;
		}
		transfer_submit(t, bio);
	}
}

blk_status_t larder_transfer_wait(struct larder_transfer *t)
{
	transfer_put(t);
	wait_for_completion_io(&t->done);
	if (unlikely(t->cache->carrier) && t->tuples && !t->status)
		t->status = larder_carrier_end(t);
	return t->status;
}

static void flush_one(struct larder_cache *c, struct larder_transfer *t, struct dm_dev *dev)
{
	struct bio *bio = bio_alloc_bioset(dev->bdev, 0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC,
					   GFP_NOIO, &c->bios);

	transfer_submit(t, bio);
}

int larder_flush_devices(struct larder_cache *c, unsigned int devices)
{
	struct larder_transfer t;

	/* two parts of one SSD need only one, but the second costs it next to nothing */
	larder_transfer_init(c, &t, NULL, 0);
	if (devices & DEVICE_METADATA)
		flush_one(c, &t, c->metadata_dev);
	if (devices & DEVICE_CACHE) {
		count(c, COUNT_CACHE_FLUSH);
		flush_one(c, &t, c->cache_dev);
	}
	if (devices & DEVICE_ORIGIN) {
		count(c, COUNT_ORIGIN_FLUSH);
		flush_one(c, &t, c->origin_dev);
	}
	return blk_status_to_errno(larder_transfer_wait(&t));
}

static int metadata_transfer(struct larder_cache *c, const struct metadata_io *io)
{
	blk_opf_t opf = REQ_META | REQ_SYNC | REQ_PRIO;
	size_t bytes = (size_t)io->nr_units * LARDER_UNIT_SIZE, at;
	struct bio *bio;
	int r;

	if (io->kind == METADATA_READ)
		opf |= REQ_OP_READ;
	else
		opf |= REQ_OP_WRITE | (io->kind == METADATA_WRITE_FUA ? REQ_FUA : 0);
	bio = bio_alloc_bioset(c->metadata_dev->bdev, DIV_ROUND_UP(bytes, PAGE_SIZE), opf, GFP_NOIO,
			       &c->bios);
	bio->bi_iter.bi_sector = io->unit * LARDER_UNIT_SECTORS;
	if (io->kind != METADATA_READ)
		flush_kernel_vmap_range(io->buffer, bytes);
	for (at = 0; at < bytes; at += PAGE_SIZE)
		__bio_add_page(bio, vmalloc_to_page(io->buffer + at),
			       min_t(size_t, PAGE_SIZE, bytes - at), 0);
	r = submit_bio_wait(bio);
	bio_put(bio);
	if (io->kind == METADATA_READ)
		invalidate_kernel_vmap_range(io->buffer, bytes);
	return r;
}

int larder_perform(struct larder_cache *c, const struct metadata_io *io)
{
	if (io->kind == METADATA_FLUSH)
		return larder_flush_devices(c, io->devices);
	return metadata_transfer(c, io);
}

int larder_run_operation(struct larder_cache *c, struct metadata_op *op)
{
	struct metadata_io io;
	int r = 0;

	while ((r = metadata_step(op, r, &io)) == METADATA_IO)
		r = larder_perform(c, &io);
	return r;
}
