// SPDX-License-Identifier: GPL-2.0-only
/*
 * A block device that is opened by its path, and the format of its PI. The only file of pi-io that
 * knows of kernel versions.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-integrity.h>
#include <linux/string.h>
#include <linux/version.h>

#include "pi-io.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
static int open_path(struct pi_io_device *device, const char *path)
{
	device->bdev = blkdev_get_by_path(path, FMODE_READ | FMODE_WRITE, NULL);
	return PTR_ERR_OR_ZERO(device->bdev);
}

static void close_path(struct pi_io_device *device)
{
	blkdev_put(device->bdev, FMODE_READ | FMODE_WRITE);
}
#else
static int open_path(struct pi_io_device *device, const char *path)
{
	device->file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE, NULL, NULL);
	if (IS_ERR(device->file))
		return PTR_ERR(device->file);
	device->bdev = file_bdev(device->file);
	return 0;
}

static void close_path(struct pi_io_device *device)
{
	fput(device->file);
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
/* The types differ in their functions, which are not all exported; the names are part of sysfs. */
static void read_type(struct pi_io_format *format, const struct blk_integrity *profile)
{
	const char *name = profile->profile->name;

	format->tuple = profile->tuple_size;
	format->ip = strstr(name, "-IP");
	if (strstr(name, "TYPE1"))
		format->type = PI_IO_TYPE1;
	else if (strstr(name, "TYPE3"))
		format->type = PI_IO_TYPE3;
	else
		format->type = PI_IO_OPAQUE;
}
#else
static void read_type(struct pi_io_format *format, const struct blk_integrity *profile)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	format->tuple = profile->tuple_size;
#else
	format->tuple = profile->metadata_size;
#endif
	format->ip = profile->csum_type == BLK_INTEGRITY_CSUM_IP;
	if (profile->csum_type == BLK_INTEGRITY_CSUM_NONE)
		format->type = PI_IO_OPAQUE;
	else if (profile->flags & BLK_INTEGRITY_REF_TAG)
		format->type = PI_IO_TYPE1;
	else
		format->type = PI_IO_TYPE3;
}
#endif

static void read_format(struct pi_io_device *device)
{
	const struct blk_integrity *profile = bdev_get_integrity(device->bdev);
	struct pi_io_format *format = &device->format;

	format->type = PI_IO_NONE;
	format->shift = ilog2(bdev_logical_block_size(device->bdev));
	if (!profile)
		return;
	read_type(format, profile);
	if (profile->interval_exp)
		format->shift = profile->interval_exp;
	format->segments = queue_max_integrity_segments(bdev_get_queue(device->bdev));
}

int pi_io_open(struct pi_io_device *device, const char *path)
{
	int error;

	memset(device, 0, sizeof(*device));
	error = open_path(device, path);
	if (error)
		return error;
	read_format(device);
	device->sectors = bdev_nr_sectors(device->bdev);
	/* what is computed with below: 512 bytes to a page */
	if (device->format.shift < SECTOR_SHIFT || device->format.shift > PAGE_SHIFT) {
		close_path(device);
		return -EMEDIUMTYPE;
	}
	return 0;
}

void pi_io_close(struct pi_io_device *device)
{
	close_path(device);
}

const char *pi_io_type_name(enum pi_io_type type)
{
	static const char *const names[] = {
		[PI_IO_NONE] = "none",
		[PI_IO_OPAQUE] = "opaque",
		[PI_IO_TYPE1] = "1",
		[PI_IO_TYPE3] = "3",
	};

	return names[type];
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
unsigned short pi_io_check_flags(const struct pi_io_format *format, bool nocheck)
{
	unsigned short flags = format->ip ? BIP_IP_CHECKSUM : 0;

	if (nocheck || format->type == PI_IO_OPAQUE)
		return flags | BIP_DISK_NOCHECK;
	flags |= BIP_CHECK_GUARD;
	return format->type == PI_IO_TYPE1 ? flags | BIP_CHECK_REFTAG : flags;
}
#else
unsigned short pi_io_check_flags(const struct pi_io_format *format, bool nocheck)
{
	unsigned short flags = format->ip ? BIP_IP_CHECKSUM : 0;

	return nocheck ? flags | BIP_CTRL_NOCHECK | BIP_DISK_NOCHECK : flags;
}
#endif
