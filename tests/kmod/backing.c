// SPDX-License-Identifier: GPL-2.0-only
/*
 * A backing block device instead of a medium in RAM. It holds what is durable; the volatile
 * versions are in guest memory only, so killing the guest loses what was not flushed, as a power
 * cut does.
 *
 * Everything that writes to the backing device runs in one ordered workqueue: an older value can
 * never overtake a newer one. Reads run beside it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/slab.h>

#include "simdisk.h"

#define MAX_WRITES_IN_FLIGHT	256

/* --- writing --- */

struct batch {
	struct simdisk *disk;
	atomic_t in_flight;
	blk_status_t status;
	wait_queue_head_t done;
};

static void batch_init(struct batch *batch, struct simdisk *disk)
{
	batch->disk = disk;
	atomic_set(&batch->in_flight, 0);
	batch->status = BLK_STS_OK;
	init_waitqueue_head(&batch->done);
}

static void write_done(struct bio *bio)
{
	struct batch *batch = bio->bi_private;
	unsigned long flags;

	if (bio->bi_status)
		WRITE_ONCE(batch->status, bio->bi_status);
	__free_page(bio_first_page_all(bio));
	bio_put(bio);
	/* Under the lock of the queue, as the batch is on the stack of the one that waits. */
	spin_lock_irqsave(&batch->done.lock, flags);
	atomic_dec(&batch->in_flight);
	wake_up_locked(&batch->done);
	spin_unlock_irqrestore(&batch->done.lock, flags);
}

static void batch_wait(struct batch *batch, int most)
{
	spin_lock_irq(&batch->done.lock);
	wait_event_interruptible_locked_irq(batch->done, atomic_read(&batch->in_flight) <= most);
	spin_unlock_irq(&batch->done.lock);
}

/* Starts writing a copy of some consecutive sectors of one page; data may be NULL for zeroes. */
static void batch_write_run(struct batch *batch, u64 sector, const u8 *data, unsigned int sectors)
{
	struct page *page = alloc_page(GFP_NOIO | __GFP_NOFAIL);
	struct bio *bio = bio_alloc(batch->disk->backing.bdev, 1, REQ_OP_WRITE, GFP_NOIO);

	if (data)
		memcpy(page_address(page), data, sectors * SECTOR_SIZE);
	else
		memset(page_address(page), 0, sectors * SECTOR_SIZE);
	__bio_add_page(bio, page, sectors * SECTOR_SIZE, 0);
	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = write_done;
	bio->bi_private = batch;
	batch_wait(batch, MAX_WRITES_IN_FLIGHT - 1);
	atomic_inc(&batch->in_flight);
	submit_bio(bio);
}

static void batch_write(struct batch *batch, unsigned long index, u8 mask, const u8 *data)
{
	u64 base = (u64)index * SIMDISK_PAGE_SECTORS;
	unsigned int first = 0, end;

	while (mask >> first) {
		if (!(mask & (1U << first))) {
			first++;
			continue;
		}
		for (end = first; mask & (1U << end); )
			end++;
		batch_write_run(batch, base + first, data ? data + first * SECTOR_SIZE : NULL,
				end - first);
		first = end;
	}
}

int simdisk_backing_write_sectors(struct simdisk *disk, unsigned long index, u8 mask,
				  const u8 *data)
{
	struct batch batch;

	batch_init(&batch, disk);
	batch_write(&batch, index, mask, data);
	batch_wait(&batch, 0);
	return blk_status_to_errno(batch.status);
}

int simdisk_backing_flush(struct simdisk *disk)
{
	return blkdev_issue_flush(disk->backing.bdev);
}

/* --- destaging --- */

/* The newest values of a page of at most this generation; returns the sectors that have any. */
static u8 collect_page(const struct simdisk_cell *cell, u64 barrier, u8 *page)
{
	const struct simdisk_version *version;
	unsigned int sector;
	u8 mask = 0;

	for (version = cell->newest; version; version = version->next) {
		if (version->generation > barrier)
			continue;
		for (sector = 0; sector < SIMDISK_PAGE_SECTORS; sector++) {
			u8 *to = page + sector * SECTOR_SIZE;

			if (!(version->mask & ~mask & (1U << sector)))
				continue;
			if (version->data)
				memcpy(to, version->data + sector * SECTOR_SIZE, SECTOR_SIZE);
			else
				memset(to, 0, SECTOR_SIZE);
		}
		mask |= version->mask;
	}
	return mask;
}

/*
 * Writes everything of at most this generation. The versions stay: they are dropped with the event.
 * Cells that come up behind the walk have newer generations only.
 */
static blk_status_t destage(struct simdisk *disk, u64 barrier)
{
	u8 *page = (u8 *)__get_free_page(GFP_NOIO | __GFP_NOFAIL);
	struct simdisk_cell *cell;
	unsigned long index = 0;
	struct blk_plug plug;
	struct batch batch;
	u8 mask;

	batch_init(&batch, disk);
	blk_start_plug(&plug);
	for (;; index++) {
		spin_lock_irq(&disk->lock);
		cell = xa_find(&disk->cells, &index, ULONG_MAX, XA_PRESENT);
		mask = cell ? collect_page(cell, barrier, page) : 0;
		disk->statistics.destaged_sectors += hweight8(mask);
		spin_unlock_irq(&disk->lock);
		if (!cell)
			break;
		batch_write(&batch, index, mask, page);
	}
	blk_finish_plug(&plug);
	batch_wait(&batch, 0);
	free_page((unsigned long)page);
	return batch.status;
}

static blk_status_t write_prepared(struct simdisk *disk, struct simdisk_command *command)
{
	struct simdisk_version *version;
	struct batch batch;

	batch_init(&batch, disk);
	for (version = command->versions; version; version = version->next)
		batch_write(&batch, version->cell->index, version->mask, version->data);
	batch_wait(&batch, 0);
	return batch.status;
}

/* What a FLUSH, a FUA write or any write without a volatile cache does before it is an event. */
void simdisk_backing_finish(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);

	if (req_op(request) == REQ_OP_FLUSH)
		command->status = destage(disk, command->barrier);
	else
		command->status = write_prepared(disk, command);
	if (!command->status)
		command->status = errno_to_blk_status(simdisk_backing_flush(disk));
}

static void evict_work(struct work_struct *work)
{
	struct simdisk *disk = container_of(work, struct simdisk, evict_work);
	u64 barrier;

	spin_lock_irq(&disk->lock);
	barrier = disk->generation;
	disk->flush_barrier = barrier;
	spin_unlock_irq(&disk->lock);
	if (destage(disk, barrier))
		return;
	spin_lock_irq(&disk->lock);
	simdisk_make_durable(disk, barrier);
	disk->statistics.evictions++;
	spin_unlock_irq(&disk->lock);
}

/* Writes some sectors of one dirty page: a volatile cache may do that at any time, in any order. */
static void leak_work(struct work_struct *work)
{
	struct simdisk *disk = container_of(work, struct simdisk, leak_work);
	u8 *page = (u8 *)__get_free_page(GFP_NOIO | __GFP_NOFAIL);
	struct simdisk_cell *cell;
	unsigned long index = 0;
	u64 choice, steps;
	u8 mask = 0;

	spin_lock_irq(&disk->lock);
	choice = simdisk_hash(disk->generation, disk->number);
	steps = choice % 64;
	list_for_each_entry(cell, &disk->dirty_cells, dirty) {
		index = cell->index;
		mask = 0;
		if (steps-- && !list_is_last(&cell->dirty, &disk->dirty_cells))
			continue;
		mask = collect_page(cell, U64_MAX, page) & (choice >> 16);
		break;
	}
	disk->statistics.destaged_sectors += hweight8(mask);
	spin_unlock_irq(&disk->lock);
	if (mask && simdisk_backing_write_sectors(disk, index, mask, page))
		pr_err("%s: cannot write to %s\n", disk->spec.name, disk->spec.backing);
	free_page((unsigned long)page);
}

/* After a volatile write, disk->lock held. */
void simdisk_backing_leak(struct simdisk *disk)
{
	if (simdisk_hash(disk->generation, 1) % 100 < READ_ONCE(disk->knobs.leak))
		queue_work(disk->destager, &disk->leak_work);
}

/* --- reading --- */

int simdisk_backing_read_page(struct simdisk *disk, unsigned long index, u8 *data)
{
	struct page *page = alloc_page(GFP_NOIO | __GFP_NOFAIL);
	struct bio_vec vec;
	struct bio bio;
	int error;

	bio_init(&bio, disk->backing.bdev, &vec, 1, REQ_OP_READ);
	bio.bi_iter.bi_sector = (u64)index * SIMDISK_PAGE_SECTORS;
	__bio_add_page(&bio, page, SIMDISK_PAGE_SIZE, 0);
	error = submit_bio_wait(&bio);
	bio_uninit(&bio);
	memcpy(data, page_address(page), SIMDISK_PAGE_SIZE);
	__free_page(page);
	return error;
}

/* A bio of its own pages for the whole range of the request. */
static struct bio *alloc_read(struct simdisk *disk, struct request *request)
{
	unsigned int left = blk_rq_bytes(request);
	struct bio *bio = bio_alloc(disk->backing.bdev, DIV_ROUND_UP(left, SIMDISK_PAGE_SIZE),
				    REQ_OP_READ, GFP_NOIO);

	bio->bi_iter.bi_sector = blk_rq_pos(request);
	while (left) {
		unsigned int part = min(left, SIMDISK_PAGE_SIZE);

		__bio_add_page(bio, alloc_page(GFP_NOIO | __GFP_NOFAIL), part, 0);
		left -= part;
	}
	return bio;
}

static u8 *address_in(struct bio *bio, unsigned int offset)
{
	return (u8 *)page_address(bio->bi_io_vec[offset >> SIMDISK_PAGE_SHIFT].bv_page) +
	       (offset & (SIMDISK_PAGE_SIZE - 1));
}

static void copy_to_request(struct request *request, struct bio *bio)
{
	struct req_iterator iter;
	struct bio_vec bvec;
	unsigned int offset = 0;

	rq_for_each_segment(bvec, request, iter) {
		u8 *to = bvec_kmap_local(&bvec);
		unsigned int done = 0, part;

		for (; done < bvec.bv_len; done += part, offset += part) {
			part = min_t(unsigned int, bvec.bv_len - done,
				     SIMDISK_PAGE_SIZE - (offset & (SIMDISK_PAGE_SIZE - 1)));
			memcpy(to + done, address_in(bio, offset), part);
		}
		kunmap_local(to);
		flush_dcache_page(bvec.bv_page);
	}
}

static void free_read(struct bio *bio)
{
	unsigned int i;

	for (i = 0; i < bio->bi_vcnt; i++)
		__free_page(bio->bi_io_vec[i].bv_page);
	bio_put(bio);
}

/*
 * First the backing device, then the volatile versions over it. If versions were destaged in
 * between, what was read may be older than they were: once more.
 */
void simdisk_backing_read(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	unsigned int i, sectors = blk_rq_sectors(request);
	bool again = true;
	struct bio *bio;
	u64 destages;

	while (again && !command->status) {
		spin_lock_irq(&disk->lock);
		destages = disk->destages;
		spin_unlock_irq(&disk->lock);
		bio = alloc_read(disk, request);
		command->status = errno_to_blk_status(submit_bio_wait(bio));
		spin_lock_irq(&disk->lock);
		again = disk->destages != destages;
		for (i = 0; !again && i < sectors; i++)
			simdisk_read_sector_overlay(disk, blk_rq_pos(request) + i,
						    address_in(bio, i << SECTOR_SHIFT));
		spin_unlock_irq(&disk->lock);
		if (!again && !command->status)
			copy_to_request(request, bio);
		free_read(bio);
	}
}

/* --- opening and closing --- */

static int check_backing(struct simdisk *disk)
{
	struct block_device *bdev = disk->backing.bdev;
	u64 size = round_down((u64)bdev_nr_bytes(bdev), SIMDISK_PAGE_SIZE);

	if (!disk->spec.size)
		disk->spec.size = size;
	if (disk->spec.size > size || !size) {
		pr_err("%s: %s has %llu bytes: too small for size=%llu\n", disk->spec.name,
		       disk->spec.backing, size, disk->spec.size);
		return -ENOSPC;
	}
	if (bdev_logical_block_size(bdev) > disk->spec.logical_block_size) {
		pr_err("%s: %s has logical blocks of %u bytes: lbs=%u is smaller\n",
		       disk->spec.name, disk->spec.backing, bdev_logical_block_size(bdev),
		       disk->spec.logical_block_size);
		return -EINVAL;
	}
	return 0;
}

int simdisk_backing_init(struct simdisk *disk)
{
	int error;

	if (!simdisk_has_backing(disk))
		return 0;
	INIT_WORK(&disk->evict_work, evict_work);
	INIT_WORK(&disk->leak_work, leak_work);
	error = simdisk_backing_open(&disk->backing, disk->spec.backing, disk);
	if (error) {
		pr_err("%s: cannot open %s: error %d\n", disk->spec.name, disk->spec.backing,
		       error);
		return error;
	}
	error = check_backing(disk);
	if (error)
		goto fail;
	error = -ENOMEM;
	disk->readers = alloc_workqueue("simdisk-read", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	disk->destager = alloc_ordered_workqueue("simdisk-destage", WQ_MEM_RECLAIM);
	if (disk->readers && disk->destager)
		return 0;
fail:
	simdisk_backing_exit(disk);
	return error;
}

void simdisk_backing_exit(struct simdisk *disk)
{
	if (disk->readers)
		destroy_workqueue(disk->readers);
	if (disk->destager)
		destroy_workqueue(disk->destager);
	simdisk_backing_close(&disk->backing);
}
