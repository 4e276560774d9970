/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device that is to be exported: what it is, and why it may not be.
 */
#ifndef LARDER_EXPORT_BACKING_H
#define LARDER_EXPORT_BACKING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEVICE_MAX	256	/* with the end; the kernel's limit is 512 */

struct backing {
	char device[DEVICE_MAX];	/* a stable name: /dev/VG/LV, /dev/mapper/x, ... */
	dev_t number;
	uint64_t bytes;
	bool read_only;
	uint64_t discard_bytes;		/* at once; 0: it has no discard */
};

/*
 * VG/LV, /dev/VG/LV or any path of a block device; needs no LVM, the volume must
 * be active.  0, or an exit code after a message.
 */
int backing_find(struct backing *b, const char *text);
/* Could a device be called so?  Below /dev, no "..", nothing that a shell or JSON would mangle. */
bool backing_name_valid(const char *device);
/* Its number alone, without a word; false: there is no such device. */
bool backing_number(const char *device, dev_t *number);
/* What sysfs says of it, without a name. */
bool backing_peek(dev_t number, struct backing *b);
/* What is under way there.  false: the kernel does not say (and it is nothing, then). */
struct backing_load {
	uint64_t under_way, completed;	/* commands; completed since it is there */
	bool suspended;
};

bool backing_load(dev_t number, struct backing_load *load);
/*
 * May it be exported?  Not if it is mounted, a swap area, below another device
 * (an origin or cachevol of a cache, a PV, a part of an array), or held by
 * somebody else.  0, or EXIT_NOT_OURS after a message.
 */
int backing_judge(const struct backing *b);

#endif
