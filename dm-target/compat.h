/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place where kernel versions differ.  The rest reads as for 7.2.
 */
#ifndef LARDER_COMPAT_H
#define LARDER_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/fs.h>
typedef fmode_t blk_mode_t;
#endif

#include <linux/blkdev.h>

/* From drivers/md/dm.h, which is not among the installed headers. */
#ifndef DM_STATUS_NOFLUSH_FLAG
#define DM_STATUS_NOFLUSH_FLAG (1U << 0)
#endif

/* The same; exported by all kernels. */
struct mapped_device;
void dm_internal_suspend_noflush(struct mapped_device *md);

/* Largest discard that the target takes in one piece. */
static inline void larder_limit_discards(struct queue_limits *limits, unsigned int sectors)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	limits->max_hw_discard_sectors = sectors;
#else
	limits->max_discard_sectors = sectors;
#endif
}

#endif
