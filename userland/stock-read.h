/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the metadata of a stock dm-cache, both formats of it, and means by it
 * what the kernel would: what was not stopped in order is dirty as a whole.
 */
#ifndef LARDER_STOCK_READ_H
#define LARDER_STOCK_READ_H

#include "convert-disk.h"
#include "restore.h"

struct stock_info {
	u32 version;		/* 1, or 2: dirty bits apart */
	bool clean;		/* stopped in order: its dirty bits count */
	bool needs_check;
	bool hints;		/* there were some that we can use */
	u64 nr_mapped;
	u64 nr_dirty;
};

/* Is this the superblock of a dm-cache, checksum and all? */
bool stock_is_super(const void *unit);
/* The same, if its checksum fits or not. */
bool stock_has_magic(const void *unit);

/*
 * Everything there is; 0, or an exit code after a message.  stock->chunks is the
 * caller's then, to be released.
 */
int stock_read(const struct disk *d, struct stock *stock, struct stock_info *info);
void stock_release(struct stock *stock);

#endif
