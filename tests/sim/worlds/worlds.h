/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small worlds: every short sequence of operations on a very small cache,
 * every crash in it.
 *
 *	worlds.c	the command: which sequences, by which processes
 *	run.c		one sequence, and where it may be cut
 *	crash.c		what a cut may leave, and whether the cache comes back
 */
#ifndef SIM_WORLDS_H
#define SIM_WORLDS_H

#include "known.h"
#include "machine.h"

#define BLOCKS 3u
#define SLOTS 2u
#define OPS_MAX 6u
#define POINTS_MAX 512u

struct op {
	char what;		/* see ops in worlds.c */
	u8 block;
};

struct sequence {
	u8 nr;
	bool create;		/* on blank disks: nothing but the first boot */
	struct op op[OPS_MAX];
};

struct setup {
	bool write_back;
	enum topology topology;
};

#define SETUPS (2u * NR_TOPOLOGIES)

/* Where the power may go: after an event on a disk, or after an operation. */
struct point {
	struct snapshot disks;
	struct known known;
};

/* What survives: a set of the pending writes, or, torn, what a seed chooses. */
struct survivors {
	bool torn;
	u64 mask;
};

/* Common to all processes. */
struct tally {
	u64 next_unit;
	u64 sequences, points, states, distinct, recoveries, sampled, seen;
};

extern struct worlds {
	u32 length, chunk_sectors, subset_bits, samples, torn, nested;
	u64 seed;
	struct tally *tally;
	u64 *seen;		/* a set of hashes, common to all processes */
	/* what is being done, for messages and replays */
	struct setup setup;
	const struct sequence *sequence;
	bool has_point, has_survivors, in_child;
	u32 point_number;
	struct survivors survivors;
	struct point point[POINTS_MAX];
	u32 nr_points;
} worlds;

#define TALLY(what, n) ((void)__atomic_fetch_add(&worlds.tally->what, n, __ATOMIC_RELAXED))

/* run.c */
void run_prepare(const struct setup *setup);
/* Leaves its points. */
void run_sequence(const struct sequence *s);
void run_forget_points(void);
const char *run_table(bool write_back);

/* crash.c */
void crash_check_all(void);
void crash_check(u32 number, const struct survivors *survivors);

#endif
