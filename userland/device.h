/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The metadata device as the tools see it: opened for reading only, and the
 * effects of the metadata core performed on it with pread.
 */
#ifndef LARDER_DEVICE_H
#define LARDER_DEVICE_H

#include "../dm-target/core/metadata.h"
#include "larder.h"

struct device {
	int fd;
	u64 units;
	bool in_use;		/* something is stacked upon it: it may change while we read */
	char holder[64];	/* who */
	/* told of each unit that cannot be read; such units read as zeros */
	void (*unreadable)(void *context, u64 unit, int error);
	void *context;
};

/* 0, or an exit code after a message. */
int device_open(struct device *d, const char *path);
void device_close(struct device *d);

/* Performs an operation to its end; 0 or a negative errno. */
int device_run(struct device *d, struct metadata_op *op);

/* The same for more units, all of which are within the device. */
int device_read_units(struct device *d, u64 unit, u32 nr_units, void *buffer);
/* Reads one unit into a page aligned buffer; 0 or -EINVAL, beyond the end. */
int device_read_unit(struct device *d, u64 unit, void *buffer);

#endif
