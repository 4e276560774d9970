// SPDX-License-Identifier: GPL-2.0-only
/*
 * Birth and death of one disk: its queue, its limits, its name under /dev.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>

#include "simdisk.h"

static const struct block_device_operations simdisk_operations = {
	.owner = THIS_MODULE,
};

/* A discard may touch every page of its range under a spinlock: fewer if all have to be kept. */
#define DISCARD_SECTORS_RAM	(256U << (20 - SECTOR_SHIFT))
#define DISCARD_SECTORS_BACKING	(16U << (20 - SECTOR_SHIFT))

static void set_limits(const struct simdisk_spec *spec, struct simdisk_limits *limits)
{
	unsigned int discard = spec->backing ? DISCARD_SECTORS_BACKING : DISCARD_SECTORS_RAM;

	memset(limits, 0, sizeof(*limits));
	limits->logical_block_size = spec->logical_block_size;
	limits->physical_block_size = 4096;
	limits->io_min = 4096;
	limits->max_hw_sectors = (1U << 20) >> SECTOR_SHIFT;
	limits->max_segments = 256;
	limits->max_segment_size = 1U << 20;
	if (spec->discard) {
		limits->max_hw_discard_sectors = discard;
		limits->discard_granularity = 4096;
	}
	if (spec->write_zeroes)
		limits->max_write_zeroes_sectors = discard;
	if (spec->write_cache)
		limits->features |= BLK_FEAT_WRITE_CACHE;
	if (spec->write_cache && spec->fua)
		limits->features |= BLK_FEAT_FUA;
	if (spec->rotational)
		limits->features |= BLK_FEAT_ROTATIONAL;
}

static int add_gendisk(struct simdisk *disk)
{
	struct simdisk_limits limits;
	struct gendisk *gendisk;
	int error;

	set_limits(&disk->spec, &limits);
	gendisk = simdisk_alloc_gendisk(&disk->tags, &limits, disk);
	if (IS_ERR(gendisk))
		return PTR_ERR(gendisk);
	gendisk->fops = &simdisk_operations;
	gendisk->private_data = disk;
	strscpy(gendisk->disk_name, disk->spec.name, DISK_NAME_LEN);
	set_capacity(gendisk, disk->spec.size >> SECTOR_SHIFT);
	disk->gendisk = gendisk;
	error = device_add_disk(NULL, gendisk, simdisk_disk_groups);
	if (error)
		put_disk(gendisk);
	return error;
}

static struct simdisk *alloc_disk_state(const struct simdisk_spec *spec)
{
	struct simdisk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);

	if (!disk)
		return NULL;
	disk->spec = *spec;
	disk->knobs = spec->knobs;
	disk->number = world.next_number++;
	spin_lock_init(&disk->lock);
	xa_init(&disk->cells);
	INIT_LIST_HEAD(&disk->dirty_cells);
	INIT_LIST_HEAD(&disk->errors);
	simdisk_timing_init(disk);
	return disk;
}

/* Takes over spec->backing, also if it fails. Called with world.control held. */
struct simdisk *simdisk_create(struct simdisk_spec *spec)
{
	struct simdisk *disk = alloc_disk_state(spec);
	int error = -ENOMEM;

	if (!disk) {
		kfree(spec->backing);
		return ERR_PTR(error);
	}
	error = simdisk_backing_init(disk);
	if (error)
		goto no_backing;
	disk->tags.ops = &simdisk_mq_ops;
	disk->tags.nr_hw_queues = spec->queues;
	disk->tags.queue_depth = spec->queue_depth;
	disk->tags.numa_node = NUMA_NO_NODE;
	disk->tags.cmd_size = sizeof(struct simdisk_command);
	disk->tags.flags = SIMDISK_TAG_FLAGS;
	error = blk_mq_alloc_tag_set(&disk->tags);
	if (error)
		goto no_tags;
	error = add_gendisk(disk);
	if (error)
		goto no_gendisk;
	return disk;

no_gendisk:
	blk_mq_free_tag_set(&disk->tags);
no_tags:
	simdisk_backing_exit(disk);
no_backing:
	pr_err("cannot create disk '%s': error %d\n", disk->spec.name, error);
	kfree(disk->spec.backing);
	kfree(disk);
	return ERR_PTR(error);
}

/* Called with world.control held and the disk no longer in the list. */
void simdisk_destroy(struct simdisk *disk)
{
	del_gendisk(disk->gendisk);
	put_disk(disk->gendisk);
	blk_mq_free_tag_set(&disk->tags);
	simdisk_backing_exit(disk);
	simdisk_forget_all(disk);
	simdisk_free_errors(disk);
	kfree(disk->spec.backing);
	kfree(disk);
}
