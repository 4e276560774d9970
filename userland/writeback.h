/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies dirty grains of a cache that is not active to its origin.
 */
#ifndef LARDER_WRITEBACK_H
#define LARDER_WRITEBACK_H

#include "convert-disk.h"
#include "image.h"

struct write_back {
	const struct image *image;
	const struct disk *cache, *origin;
	u64 buffer_sectors;
	u64 end;		/* sector of the origin behind which nothing is valid */
	/* told of grains that could not be copied; NULL: the first failure ends it */
	void (*failed)(void *context, u64 slot, u64 grains);
	bool (*interrupted)(void);
	void *context;
	u64 sectors;		/* written */
	u64 total;		/* for the progress; 0: unknown */
};

/*
 * All dirty grains of these slots, in the order of the origin, with a flush of
 * the origin at the end.  0, or an exit code after a message; a failure that
 * was told of is none.  Sorts the slots.
 */
int write_back_slots(struct write_back *w, u64 *slots, u64 nr);

#endif
