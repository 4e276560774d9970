/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The format of /sys/kernel/debug/simdisk/data: one record for each event of any disk, in their one
 * order, all of it little endian. The data of a write follows its record.
 *
 * A FLUSH makes durable what its disk had completed when it was received: the events up to the
 * number "received". An event was in flight after every event from number "received" up to its own.
 */
#ifndef SIMDISK_LOG_FORMAT_H
#define SIMDISK_LOG_FORMAT_H

#include <linux/types.h>

#define SIMDISK_LOG_MAGIC	0x676f4c53U	/* "SLog" */

struct simdisk_log_record {
	__le32 magic;
	__le32 disk;		/* its number, see /sys/block/NAME/simdisk/number */
	__le64 sequence;
	__le64 received;	/* the last event before it was accepted, or one before that */
	__le64 sector;
	__le32 sectors;		/* of 512 bytes */
	__u8 operation;		/* w: write, f: flush, d: discard, z: zeroes */
	__u8 fua;
	__u8 unused[2];
};

#endif
