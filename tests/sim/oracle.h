/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The oracle: what every sector of the device under test may hold, while
 * operations overlap, after errors and after crashes.
 *
 * `now` is the number of an event, given by the caller, and never decreases;
 * A is before B for sure if A's end < B's begin.  A write is a version of each
 * of its sectors, known by its id, which its data carry; version 0 is zeros.
 *
 * Per version, [lo, hi]: what had happened before lo (hi < lo) is before it in
 * the order of the sector; if it ever happened, it had by hi.  At first that is
 * [begin, end].  A read that found it raises lo to the begin of the read, and
 * lowers hi to its end.  Then, for versions v and X of a sector, X sure (ended
 * well, or seen):
 *
 * - v.hi < X.lo: v is overwritten.  A read that began after X.hi may not find it.
 * - the same, and X durable (it ended well before a flush began which ended
 *   well, or was FUA): no crash brings v back.
 * - A crash ends all operations.  One of the versions that were not excluded is
 *   there, unknown which, until the first read has seen it.  From then on that
 *   one counts as durable: no further crash may bring back another.
 * - A failed write may have happened, sector by sector, but after its end it
 *   either has or never will.
 * - A discard is a version that matches anything the sector ever held, and
 *   zeros, at every read anew, until it is overwritten.
 *
 * Never a false alarm; some violations that only a search through all orders
 * would find pass.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "core/env.h"

#include <stdio.h>

#define ORACLE_SECTOR 512u

struct oracle_version;
struct oracle_sector;
struct oracle_op;

struct oracle {
	u64 sectors;
	struct oracle_sector *states;
	u64 next_id;
	u64 crashed_at, crash_id;	/* what began before is void */

	/*
	 * Set by the caller.  A failed write that a read has shown not to be there may still
	 * come back after a crash, until a later write is durable.
	 */
	bool failed_may_return;

	/* versions, and those that are free */
	struct oracle_version *versions;
	u32 nr_versions, versions_room, free_version;

	/* sectors that have versions which a flush would make durable */
	u32 *unflushed;
	size_t nr_unflushed, unflushed_room;

	/* the last operations, by id; those of the original in a copy, which notes none */
	struct oracle_op *ops;
	bool is_copy;
	/* statistics */
	u64 nr_reads, nr_sectors_read, nr_crashes;
	u32 most_versions;	/* of one sector at a time */
};

void oracle_init(struct oracle *o, u64 sectors);
void oracle_free(struct oracle *o);
/*
 * What can be asked, and crashed, without consequences, until the original goes on; `to` is a copy
 * already, or all zero.
 */
void oracle_copy(struct oracle *to, const struct oracle *from);
/* New sectors are zeros, durably.  No operation may be in flight on sectors that are cut off. */
void oracle_resize(struct oracle *o, u64 sectors, u64 now);

/* Returns the id.  After a crash, ending what began before it is ignored. */
u64 oracle_write_begin(struct oracle *o, u64 sector, u32 nr, bool fua, u64 now);
void oracle_write_end(struct oracle *o, u64 id, bool ok, u64 now);
/* The data of a write, or of some of its sectors. */
void oracle_fill(const struct oracle *o, u64 id, u64 sector, u32 nr, void *buf);

u64 oracle_discard_begin(struct oracle *o, u64 sector, u64 nr, u64 now);
void oracle_discard_end(struct oracle *o, u64 id, bool ok, u64 now);

/* Returns what flush_end wants. */
u64 oracle_flush_begin(struct oracle *o, u64 now);
void oracle_flush_end(struct oracle *o, u64 id, bool ok, u64 now);

/*
 * Returns the begin time, which may be used for any number of ranges; a read that failed is never
 * ended.  NULL: all right; else a message that lives until the next one (and the oracle is of no
 * further use).
 */
u64 oracle_read_begin(struct oracle *o, u64 now);
const char *oracle_read_end(struct oracle *o, u64 sector, u32 nr, const void *data, u64 begin,
			    u64 now);

/* Operations in flight may or may not have happened; unflushed ones may be undone. */
void oracle_crash(struct oracle *o, u64 now);

/* Reads the whole device by the callback, which returns 0, and judges it as one read at `now`. */
const char *oracle_check_all(struct oracle *o, int (*read_sector)(void *ctx, u64 sector, void *buf),
			     void *ctx, u64 now);

/* What is known of a sector: its versions, and the operations on it among the last 65536. */
void oracle_describe(const struct oracle *o, u64 sector, FILE *out);

#endif
