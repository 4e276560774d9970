/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that simdisk is built for (6.1, 6.12, 7.2). The rest of simdisk
 * reads as for the newest and has no version checks.
 */
#ifndef SIMDISK_COMPAT_H
#define SIMDISK_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/hrtimer.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* The type of the last argument of blk_mq_ops.init_request. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
typedef int simdisk_node_t;
#else
typedef unsigned int simdisk_node_t;
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define SIMDISK_TAG_FLAGS 0
#else
#define SIMDISK_TAG_FLAGS BLK_MQ_F_SHOULD_MERGE
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
/* The part of the later struct queue_limits that simdisk sets, applied call by call. */
#define BLK_FEAT_WRITE_CACHE	BIT(0)
#define BLK_FEAT_FUA		BIT(1)
#define BLK_FEAT_ROTATIONAL	BIT(2)

struct simdisk_limits {
	unsigned int features;
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int io_min;
	unsigned int max_hw_sectors;
	unsigned short max_segments;
	unsigned int max_segment_size;
	unsigned int max_hw_discard_sectors;
	unsigned int discard_granularity;
	unsigned int max_write_zeroes_sectors;
};

static inline struct gendisk *simdisk_alloc_gendisk(struct blk_mq_tag_set *tags,
						    struct simdisk_limits *limits, void *data)
{
	struct gendisk *gendisk = blk_mq_alloc_disk(tags, data);
	struct request_queue *queue;

	if (IS_ERR(gendisk))
		return gendisk;
	queue = gendisk->queue;
	blk_queue_logical_block_size(queue, limits->logical_block_size);
	blk_queue_physical_block_size(queue, limits->physical_block_size);
	blk_queue_io_min(queue, limits->io_min);
	blk_queue_max_hw_sectors(queue, limits->max_hw_sectors);
	blk_queue_max_segments(queue, limits->max_segments);
	blk_queue_max_segment_size(queue, limits->max_segment_size);
	blk_queue_max_discard_sectors(queue, limits->max_hw_discard_sectors);
	queue->limits.discard_granularity = limits->discard_granularity;
	blk_queue_max_write_zeroes_sectors(queue, limits->max_write_zeroes_sectors);
	blk_queue_write_cache(queue, limits->features & BLK_FEAT_WRITE_CACHE,
			      limits->features & BLK_FEAT_FUA);
	if (!(limits->features & BLK_FEAT_ROTATIONAL))
		blk_queue_flag_set(QUEUE_FLAG_NONROT, queue);
	return gendisk;
}
#else
#define simdisk_limits queue_limits

static inline struct gendisk *simdisk_alloc_gendisk(struct blk_mq_tag_set *tags,
						    struct simdisk_limits *limits, void *data)
{
	return blk_mq_alloc_disk(tags, limits, data);
}
#endif

/* An exclusively opened backing block device. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
struct simdisk_backing {
	struct block_device *bdev;
};

static inline int simdisk_backing_open(struct simdisk_backing *backing, const char *path,
				       void *holder)
{
	struct block_device *bdev;

	bdev = blkdev_get_by_path(path, FMODE_READ | FMODE_WRITE | FMODE_EXCL, holder);
	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	backing->bdev = bdev;
	return 0;
}

static inline void simdisk_backing_close(struct simdisk_backing *backing)
{
	if (backing->bdev)
		blkdev_put(backing->bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
	backing->bdev = NULL;
}
#else
struct simdisk_backing {
	struct block_device *bdev;
	struct file *file;
};

static inline int simdisk_backing_open(struct simdisk_backing *backing, const char *path,
				       void *holder)
{
	struct file *file;

	file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, NULL);
	if (IS_ERR(file))
		return PTR_ERR(file);
	backing->file = file;
	backing->bdev = file_bdev(file);
	return 0;
}

static inline void simdisk_backing_close(struct simdisk_backing *backing)
{
	if (backing->file)
		fput(backing->file);
	backing->file = NULL;
	backing->bdev = NULL;
}
#endif

#endif
