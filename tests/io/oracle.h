/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The oracle: what every sector may hold, while I/O runs and after a crash.
 *
 * One clock numbers all events. A write's version is the tick at which it was submitted, written
 * into each of its sectors; the tick at which it returned is kept in `ends`. Both ticks are taken
 * on the safe side (before the system call, after it), so "ends[w] < version of w'" proves that w
 * was over before w' began. Everything follows from that:
 *
 * - Live: a read that began at tick R may find any submitted write w, except one that was over
 *   before a write w' began which itself was acknowledged before R. Per sector only the largest
 *   acknowledged version, `live.floor`, is needed: w is legal if ends[w] >= live.floor.
 * - Crash: the same with "durable" for "acknowledged": `durable.floor` is the largest version that
 *   was acknowledged before a FLUSH was submitted which completed without error, or was a FUA
 *   write. A write whose end is unknown counts as still in flight, hence legal.
 * - Overlapping writes leave several legal contents. The first read that finds no write in flight
 *   settles the sector: from then on only what it saw is legal (`settled`, `settled_at`).
 *   A later FLUSH makes that durable.
 * - Zeroed ranges carry no version: zeros are legal if the last zeroing that ended, or one in
 *   flight, is legal by the same rule. While a discard is, any content that the sector ever had
 *   is legal too, but never another sector's.
 */
#ifndef TESTS_IO_ORACLE_H
#define TESTS_IO_ORACLE_H

#include "sector-format.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define ORACLE_THREADS	64u		/* changes in flight at a time */
#define GENERATION_BITS	40u		/* a run's versions begin at generation << 40 */
#define TICKS_MAX	(1ull << 30)	/* bounds the (sparse) table of ends */

/* Values of `settled` that are no version. */
#define VALUE_ZERO	0ull
#define VALUE_FOREIGN	(~0ull - 1)	/* whatever was there before the journal began */
#define VALUE_ANY	(~0ull)		/* discarded: any earlier content of this sector */

#define END_UNKNOWN	((1ull << 61) - 1)

enum change_kind {
	CHANGE_NONE,
	CHANGE_WRITE,
	CHANGE_ZERO,
	CHANGE_DISCARD,
	CHANGE_SETTLE,		/* a read narrowed one sector to `value` */
	CHANGE_FLUSH,		/* stream only: a FLUSH submitted at `begin` has completed */
	CHANGE_INTENT,		/* stream only: a zeroing or discard (`value`) is about to begin */
};

/* Something that happened to a range of sectors, in the order of `end`. */
struct change {
	uint64_t begin;		/* tick of submission: the version, for a write */
	uint64_t end;		/* tick of return, 0 while in flight */
	uint64_t value;		/* SETTLE: the content; INTENT: the kind */
	uint64_t sector;	/* relative to the span */
	uint32_t count;
	uint8_t kind;
	uint8_t ok;		/* acknowledged without error */
	uint8_t fua;
	uint8_t unused;
};

_Static_assert(sizeof(struct change) == 40, "the stream's record layout");

struct sector_view {
	uint64_t settled;
	uint64_t settled_at;
	uint64_t floor;
};

struct sector_state {
	struct sector_view live;
	struct sector_view durable;
	uint64_t zero_end;	/* END_UNKNOWN: began, and was never seen to end */
	uint64_t discard_end;
	uint64_t last_end;	/* of any change, for detecting overlap */
	uint64_t ambiguous;	/* overlapping or failed changes, not read since */
};

_Static_assert(sizeof(struct sector_state) == 80, "the journal's sector layout");

struct oracle {
	/* identity, fixed while running */
	uint64_t run_id;
	uint64_t seed;
	uint64_t first_sector;	/* of the span on the device */
	uint64_t sectors;
	uint64_t foreign_start;	/* the span began with unknown content */
	uint64_t base;		/* all older versions are settled */
	bool allow_tearing;	/* a read during a write may find a mixture inside a sector */
	bool ends_lost;		/* killed: versions beyond `tick` may exist */

	pthread_mutex_t lock;	/* over everything below */
	uint64_t tick;
	uint64_t failed_changes;
	struct sector_state *states;
	uint64_t *ends;		/* by version - base: end << 2 | zeroing << 1 | ok */
	struct change in_flight[ORACLE_THREADS];

	/* Ended changes in order of end, as far as they are not both durable and streamed. */
	struct change *changes;
	size_t change_room, change_count, durable_count, streamed_count;

	pthread_mutex_t stream_lock;	/* taken before lock */
	bool streaming;
	int stream_fd;
};

int oracle_create(struct oracle *oracle, uint64_t first_sector, uint64_t sectors);
void oracle_destroy(struct oracle *oracle);

/* A change: begin returns the version to write. Each thread has one slot. */
uint64_t oracle_begin(struct oracle *oracle, unsigned int slot, enum change_kind kind,
		      uint64_t sector, uint32_t count, bool fua);
void oracle_end(struct oracle *oracle, unsigned int slot, bool ok);

uint64_t oracle_flush_begin(struct oracle *oracle);
void oracle_flush_end(struct oracle *oracle, uint64_t begin);

/* A read: begin copies what was legal then; check looks at one sector that was found. */
uint64_t oracle_read_begin(struct oracle *oracle, uint64_t sector, uint32_t count,
			   struct sector_view *views);
uint32_t oracle_read_check(struct oracle *oracle, uint64_t begin, uint64_t sector, uint32_t count,
			   const struct sector_view *views, const struct found *found,
			   bool *wrong);

/* Without concurrency, for verify: is this legal after a crash (or exactly, live)? */
bool oracle_legal(const struct oracle *oracle, uint64_t sector, const struct found *found,
		  bool exact);
bool oracle_undefined(const struct oracle *oracle, uint64_t sector, bool exact);
/* Make what was found the only legal content from now on. */
void oracle_adopt(struct oracle *oracle, uint64_t sector, const struct found *found, bool exact);
/* The only content when nothing is in flight or ambiguous; see also VALUE_*. */
uint64_t oracle_final_value(const struct oracle *oracle, uint64_t sector);
void oracle_describe(const struct oracle *oracle, uint64_t sector, FILE *out);

/* Replay of an acknowledgement stream (journal.c). */
void oracle_apply(struct oracle *oracle, const struct change *change);
void oracle_apply_flush(struct oracle *oracle, uint64_t begin);

#endif
