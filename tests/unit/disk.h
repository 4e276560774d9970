/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk in memory with a volatile write cache, which can lose its power at
 * any write or flush and fail any I/O.
 */
#ifndef DISK_H
#define DISK_H

#include "metadata.h"
#include "unit.h"

#define DISK_SECTOR 512u
#define NEVER UINT64_MAX

/* What a power cut makes of the sectors that were not yet flushed. */
enum disk_cut {
	CUT_LOSES_ALL,
	CUT_KEEPS_ALL,
	CUT_TEARS,		/* each one for itself: kept or lost */
	CUT_HOST_ONLY,		/* the disk keeps its power: all can be read, and still be lost */
	NR_CUTS,
};

/* What a write that fails has done. */
enum disk_fail {
	FAIL_DOES_NOTHING,
	FAIL_TAKES_EFFECT,
	FAIL_TEARS,		/* some of its sectors */
	NR_FAILS,
};

struct disk {
	u64 units;
	u8 *now;		/* what reads see */
	u8 *durable;		/* what a power cut leaves of it */
	u8 *unflushed;		/* per sector */
	bool off;
	struct rng rng;

	/* set by the test */
	u64 cut_at;		/* the power goes during this write or flush */
	enum disk_cut cut;
	u64 fail_at;		/* this I/O fails */
	enum disk_fail fail;	/* ... and has done this */

	/* what happened */
	u64 nr_changes;		/* writes and flushes */
	u64 nr_ios;
};

void disk_init(struct disk *disk, u64 units);
void disk_destroy(struct disk *disk);
/* Contents, counters and switches of another of the same size. */
void disk_copy(struct disk *to, const struct disk *from);
/* 0 or a negative errno, as metadata_step() wants it. */
int disk_perform(struct disk *disk, const struct metadata_io *io);
/* Cuts the power now. */
void disk_power_cut(struct disk *disk);
/* On again; counters and switches start anew. */
void disk_power_on(struct disk *disk);
/* For tests that change bytes behind our back: settles all, hands out what reads see of a unit. */
void *disk_unit(struct disk *disk, u64 unit);
/* All that was written is durable. */
void disk_settle(struct disk *disk);

#endif
