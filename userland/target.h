/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device or file that metadata is written to.
 */
#ifndef LARDER_TARGET_H
#define LARDER_TARGET_H

#include <sys/stat.h>

#include "../dm-target/core/env.h"
#include "larder.h"

struct target {
	int fd;			/* -1: does not exist yet, see target_create() */
	const char *path;
	u64 units;		/* 0: does not exist yet */
	u64 base;		/* units of the device that are not ours, in front */
	struct stat st;
	bool created;		/* by us: taken away again unless it becomes complete */
};

/*
 * Opens a block device that nobody uses, or a regular file; symbolic links are
 * followed to block devices only.  What does not exist is no error yet.  Writes
 * nothing.  0, or an exit code after a message.
 */
int target_open(struct target *t, const char *path);
/* Makes the file, which must still not exist, of that size. */
int target_create(struct target *t, u64 units);
/* ok = false takes away what target_create() made. */
void target_close(struct target *t, bool ok);

/* 0, or an exit code after a message. */
int target_write(struct target *t, u64 unit, u32 nr_units, const void *buffer);
int target_flush(struct target *t);
/* Into a buffer of two units: what the first two hold now. */
int target_read_head(struct target *t, void *buffer);

#endif
