// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bios.
 */
#include "sched.h"

int bioset_init(struct bio_set *set, unsigned int pool, unsigned int front, int flags)
{
	(void)pool;
	(void)front;
	(void)flags;
	/* its reserve is never exhausted here, but making it may fail */
	void *probe = kmalloc(1, GFP_KERNEL);

	if (!probe)
		return -ENOMEM;
	kfree(probe);
	set->ready = true;
	return 0;
}

void bioset_exit(struct bio_set *set)
{
	set->ready = false;
}

static struct bio *new_bio(struct block_device *bdev, unsigned int vecs, blk_opf_t opf, gfp_t gfp,
			   struct bio_set *set)
{
	struct bio *bio;

	if (!set->ready)
		sim_fail("a bio from a bioset that is not there");
	if (!(gfp & GFP_NOWAIT))
		sim_might_sleep("bio_alloc");
	/* from the reserve if need be: never fails */
	do {
		bio = sim_alloc(sizeof(*bio) + vecs * sizeof(struct bio_vec), 16, true, GFP_NOWAIT);
	} while (!bio);
	bio->bi_bdev = bdev;
	bio->bi_opf = opf;
	bio->bi_max_vecs = (unsigned short)vecs;
	bio->bi_io_vec = bio->own;
	return bio;
}

struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned int vecs, blk_opf_t opf, gfp_t gfp,
			     struct bio_set *set)
{
	if (vecs > BIO_MAX_VECS)
		sim_fail("a bio of %u vectors", vecs);
	return new_bio(bdev, vecs, opf, gfp, set);
}

struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *from, gfp_t gfp,
			    struct bio_set *set)
{
	struct bio *bio = new_bio(bdev, 0, from->bi_opf, gfp, set);

	bio->bi_iter = from->bi_iter;
	bio->bi_io_vec = from->bi_io_vec;
	bio->bi_vcnt = from->bi_vcnt;
	if (bio_integrity(from) && bio_integrity_clone(bio, from, gfp)) {
		bio_put(bio);
		return NULL;
	}
	return bio;
}

void bio_put(struct bio *bio)
{
	if (bio_integrity(bio))
		bio_integrity_free(bio);
	sim_free(bio);
}

void bio_endio(struct bio *bio)
{
	sim_integrity_end(bio);
	bio->bi_end_io(bio);
}

void __bio_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int offset)
{
	if (bio->bi_vcnt >= bio->bi_max_vecs || offset + len > PAGE_SIZE)
		sim_fail("a page that does not fit its bio");
	bio->bi_io_vec[bio->bi_vcnt++] = (struct bio_vec){ page, len, offset };
	bio->bi_iter.bi_size += len;
}

void sim_bio_advance(const struct bio *bio, struct bvec_iter *iter, unsigned int bytes)
{
	iter->bi_sector += bytes >> SECTOR_SHIFT;
	iter->bi_size -= bytes;
	iter->bi_bvec_done += bytes;
	while (iter->bi_size && iter->bi_bvec_done >= bio->bi_io_vec[iter->bi_idx].bv_len) {
		iter->bi_bvec_done -= bio->bi_io_vec[iter->bi_idx].bv_len;
		iter->bi_idx++;
	}
}

void bio_trim(struct bio *bio, sector_t offset, sector_t sectors)
{
	sim_bio_advance(bio, &bio->bi_iter, (unsigned int)offset << SECTOR_SHIFT);
	bio->bi_iter.bi_size = (unsigned int)sectors << SECTOR_SHIFT;
	if (!bio_integrity(bio))
		return;
	bio_integrity_advance(bio, (unsigned int)offset << SECTOR_SHIFT);
	bio_integrity_trim(bio);
}

void sim_bio_copy(struct bio *bio, unsigned int at, void *buffer, unsigned int bytes, bool to_bio)
{
	struct bvec_iter iter = bio->bi_iter;
	u8 *other = buffer;

	sim_bio_advance(bio, &iter, at);
	while (bytes) {
		struct bio_vec bv = sim_bio_vec(bio, &iter);
		unsigned int n = min(bv.bv_len, bytes);
		u8 *mine = bv.bv_page->bytes + bv.bv_offset;

		memcpy(to_bio ? mine : other, to_bio ? other : mine, n);
		sim_bio_advance(bio, &iter, n);
		other += n;
		bytes -= n;
	}
}

void submit_bio_noacct(struct bio *bio)
{
	if ((bio->bi_opf & REQ_POLLED) && !sim_dm_polls(bio))
		sim_fail("a bio for %s waits to be polled, and nobody does", bio->bi_bdev->name);
	sim_point();
	sim_disk_submit(bio);
}

static void wake_waiter(struct bio *bio)
{
	complete(bio->bi_private);
}

int submit_bio_wait(struct bio *bio)
{
	DECLARE_COMPLETION_ONSTACK(done);

	bio->bi_private = &done;
	bio->bi_end_io = wake_waiter;
	submit_bio_noacct(bio);
	wait_for_completion(&done);
	return blk_status_to_errno(bio->bi_status);
}

int blk_status_to_errno(blk_status_t status)
{
	switch (status) {
	case BLK_STS_OK: return 0;
	case BLK_STS_NOSPC: return -ENOSPC;
	case BLK_STS_RESOURCE: return -ENOMEM;
	case BLK_STS_PROTECTION: return -EILSEQ;
	case BLK_STS_AGAIN: return -EAGAIN;
	default: return -EIO;
	}
}

blk_status_t errno_to_blk_status(int error)
{
	switch (error) {
	case 0: return BLK_STS_OK;
	case -ENOSPC: return BLK_STS_NOSPC;
	case -ENOMEM: return BLK_STS_RESOURCE;
	case -EILSEQ: return BLK_STS_PROTECTION;
	case -EAGAIN: return BLK_STS_AGAIN;
	default: return BLK_STS_IOERR;
	}
}
