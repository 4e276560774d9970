/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices and files that writeback and convert work on: opened so that
 * nobody else can use them meanwhile, read and written past the page cache.
 */
#ifndef LARDER_CONVERT_DISK_H
#define LARDER_CONVERT_DISK_H

#include "../dm-target/core/format.h"
#include "larder.h"

#define DISK_ALIGN	4096u	/* of buffers */

struct disk {
	int fd;			/* -1: closed */
	const char *path;
	u64 base;		/* sectors of the device that are not ours, in front */
	u64 sectors;		/* ours */
	bool block;
};

/*
 * Opens a block device that nobody uses, or a regular file that no other of
 * these commands has open.  0, or an exit code after a message.
 */
int disk_open(struct disk *d, const char *path, bool write);
/* Another part of the same device; not to be closed. */
struct disk disk_part(const struct disk *d, u64 base, u64 sectors);
void disk_close(struct disk *d);
/* Leaves the first sectors out. */
int disk_skip(struct disk *d, u64 sectors);

/* 0 or a negative errno.  Buffers are aligned, all sectors within the disk. */
int disk_read(const struct disk *d, u64 sector, u64 sectors, void *buffer);
int disk_write(const struct disk *d, u64 sector, u64 sectors, const void *buffer);
int disk_flush(const struct disk *d);

/* "cannot WHAT PATH: ..."; EXIT_IO */
int disk_failed(const struct disk *d, const char *what, int error);

#endif
