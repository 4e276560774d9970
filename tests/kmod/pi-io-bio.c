// SPDX-License-Identifier: GPL-2.0-only
/*
 * A transfer: data and tuples of one range, sent as one bio, or as several at the same time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-integrity.h>
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "pi-io.h"

#define TUPLE_BYTES ((unsigned int)sizeof(struct t10_pi_tuple))

/* The bios of a transfer on their way. */
struct batch {
	atomic_t left;
	atomic_t error;
	struct completion done;
};

static unsigned int interval_bytes(const struct pi_io_transfer *transfer)
{
	return 1u << transfer->device->format.shift;
}

int pi_io_prepare(struct pi_io_transfer *transfer)
{
	size_t bytes = (size_t)transfer->intervals << transfer->device->format.shift;
	size_t before = 0;

	/* the first page of the PI holds break_after tuples, at its end */
	if (transfer->break_after)
		before = PAGE_SIZE - transfer->break_after * TUPLE_BYTES;
	transfer->data_memory = vzalloc(transfer->data_offset + bytes);
	transfer->tuple_memory = vzalloc(before + transfer->intervals * TUPLE_BYTES);
	if (!transfer->data_memory || !transfer->tuple_memory)
		return -ENOMEM;
	transfer->data = transfer->data_memory + transfer->data_offset;
	transfer->tuples = transfer->tuple_memory + before;
	return 0;
}

void pi_io_release(struct pi_io_transfer *transfer)
{
	vfree(transfer->data_memory);
	vfree(transfer->tuple_memory);
}

static void bio_done(struct bio *bio)
{
	struct batch *batch = bio->bi_private;
	int error = blk_status_to_errno(bio->bi_status);

	if (error)
		atomic_cmpxchg(&batch->error, 0, error);
	bio_put(bio);
	if (atomic_dec_and_test(&batch->left))
		complete(&batch->done);
}

static int add_data(struct bio *bio, u8 *data, size_t bytes)
{
	while (bytes) {
		unsigned int offset = offset_in_page(data);
		unsigned int length = min_t(size_t, bytes, PAGE_SIZE - offset);

		if (bio_add_page(bio, vmalloc_to_page(data), length, offset) != length)
			return -E2BIG;
		data += length;
		bytes -= length;
	}
	return 0;
}

static int add_tuples(struct bio *bio, const struct pi_io_transfer *transfer, unsigned int first,
		      unsigned int count)
{
	u8 *at = (u8 *)(transfer->tuples + first);
	unsigned int left = count * TUPLE_BYTES;
	struct bio_integrity_payload *payload;

	payload = bio_integrity_alloc(bio, GFP_KERNEL, left / PAGE_SIZE + 2);
	if (IS_ERR_OR_NULL(payload))
		return payload ? PTR_ERR(payload) : -ENOMEM;
	bip_set_seed(payload, transfer->seed + first);
	payload->bip_flags |= pi_io_check_flags(&transfer->device->format, transfer->nocheck);
	while (left) {
		unsigned int length = min_t(unsigned int, left, PAGE_SIZE - offset_in_page(at));

		if (bio_integrity_add_page(bio, vmalloc_to_page(at), length,
					   offset_in_page(at)) != (int)length)
			return -E2BIG;
		at += length;
		left -= length;
	}
	/* 6.1 does not count it when a page is added */
	payload->bip_iter.bi_size = count * TUPLE_BYTES;
	return 0;
}

static int send(struct batch *batch, const struct pi_io_transfer *transfer, unsigned int first,
		unsigned int count)
{
	blk_opf_t op = transfer->write ? REQ_OP_WRITE | REQ_SYNC : REQ_OP_READ;
	u8 *data = transfer->data + (size_t)first * interval_bytes(transfer);
	size_t bytes = (size_t)count * interval_bytes(transfer);
	struct bio *bio;
	int error;

	if (transfer->write && transfer->fua)
		op |= REQ_FUA;
	bio = bio_alloc(transfer->device->bdev, bytes / PAGE_SIZE + 2, op, GFP_KERNEL);
	bio->bi_iter.bi_sector = transfer->start +
		first * pi_io_interval_sectors(&transfer->device->format);
	bio->bi_private = batch;
	bio->bi_end_io = bio_done;
	error = add_data(bio, data, bytes);
	if (!error && !transfer->plain)
		error = add_tuples(bio, transfer, first, count);
	if (error) {
		bio_put(bio);
		return error;
	}
	atomic_inc(&batch->left);
	submit_bio(bio);
	return 0;
}

/* How many intervals from first on may go into one bio. */
static unsigned int next_count(const struct pi_io_transfer *transfer, unsigned int first)
{
	/* half of what a bio can hold, as the data may begin within a page */
	unsigned int most = (BIO_MAX_VECS / 2) * (PAGE_SIZE / interval_bytes(transfer));
	unsigned int end = transfer->intervals;
	unsigned int i;

	for (i = 0; i < transfer->nr_cuts; i++)
		if (transfer->cuts[i] > first)
			end = min(end, transfer->cuts[i]);
	/* where the hardware takes one piece of PI, it must be in one page */
	if (!transfer->plain && transfer->device->format.segments < 2)
		most = min_t(unsigned int, most,
			     (PAGE_SIZE - offset_in_page(transfer->tuples + first)) / TUPLE_BYTES);
	return min(end - first, most);
}

int pi_io_submit(struct pi_io_transfer *transfer)
{
	struct batch batch = {
		.left = ATOMIC_INIT(1),
		.error = ATOMIC_INIT(0),
		.done = COMPLETION_INITIALIZER_ONSTACK(batch.done),
	};
	unsigned int first = 0, count;
	int error = 0;

	while (!error && first < transfer->intervals) {
		count = next_count(transfer, first);
		error = send(&batch, transfer, first, count);
		first += count;
	}
	if (!atomic_dec_and_test(&batch.left))
		wait_for_completion(&batch.done);
	return error ?: atomic_read(&batch.error);
}

int pi_io_flush(struct pi_io_device *device)
{
	return blkdev_issue_flush(device->bdev);
}
