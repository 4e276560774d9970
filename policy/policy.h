/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a cache policy is.
 *
 * The core owns the map, masks, free slots and all I/O.  A policy owns
 * nothing but opinions: whether a missed block is worth a slot, and which
 * slots to give up.  It is plain C that includes only core/env.h, takes time
 * as an argument, never sleeps, allocates or does I/O; the same file runs in
 * the module, in the simulator and in the unit tests.
 *
 * Locking.  Every call but hit() is made under one lock per policy instance,
 * the policy lock (a spinlock taken with interrupts off), by the shell; calls
 * must be short.  hit() is not a call at all: on a hit the core stores
 * min(heat + 1, heat_max) into the slot's heat byte, without a lock, once
 * per touch window; the policy reads and lowers it with policy_slots ops.
 * A policy never sees a bio and can never make the cache wrong: the core
 * refuses victims that may not go (policy_ops.victim_refused tells).
 */
#ifndef POLICY_H
#define POLICY_H

#include "../dm-target/core/env.h"

#define POLICY_NO_SLOT U32_MAX
#define POLICY_VICTIMS_MAX 64

enum policy_admit {
	POLICY_BYPASS,		/* leave it on the origin */
	POLICY_ADMIT,		/* give it a slot, fill what was touched */
	POLICY_ADMIT_WHOLE,	/* give it a slot, and the whole block may be filled */
};

enum policy_removed {
	POLICY_REMOVED_EVICTED,	/* was a victim */
	POLICY_REMOVED_DROPPED,	/* discarded, failed or invalidated: not worth a ghost */
};

struct policy_miss {
	u64 block;
	u32 grains;		/* touched by the request, 1..64 */
	bool write;
	bool free_slots;	/* is there a free slot now */
	u64 now_ms;		/* monotonic */
};

/* The heat bytes of all slots, owned by the core; see above. */
struct policy_heat {
	u8 (*get)(void *context, u32 slot);
	void (*set)(void *context, u32 slot, u8 heat);
	void *context;
};

struct policy_geometry {
	u32 nr_slots;
	u32 block_sectors;
	u64 nr_origin_blocks;
};

struct policy {
	const struct policy_ops *ops;
	struct policy_geometry geometry;
	struct policy_heat heat;
	/* memory of state_bytes() bytes, 64-byte aligned, handed in zeroed before init() */
	void *state;
};

/* Writes one "key value" pair; used by emit_args and emit_stats. */
typedef void (*policy_emit_fn)(void *context, const char *key, u64 value);

struct policy_ops {
	const char *name;	/* lower case, no leading "ro", no "fail", "error": LVM reads it */
	const char *description;
	unsigned int version[3];
	u8 heat_max;		/* 0: the core does not count touches */
	bool cleaner;		/* admits nothing, everything dirty is to be written back at once */

	/* Bytes of policy.state for this geometry, checked against overflow; 0 = refuse. */
	size_t (*state_bytes)(const struct policy_geometry *geometry);
	/* Sets up zeroed state.  0 or -errno. */
	int (*init)(struct policy *p, u64 seed);
	/* Optional: anything to take down. */
	void (*exit)(struct policy *p);

	/* A block that is not cached was asked for. */
	enum policy_admit (*miss)(struct policy *p, const struct policy_miss *miss);
	/* A slot now holds a block (after a miss that was admitted). */
	void (*inserted)(struct policy *p, u32 slot, u64 block, bool write);
	/* It was there at activation, in ascending slot order; hint as get_hint gave it. */
	void (*load)(struct policy *p, u32 slot, u64 block, u32 hint, bool has_hint);
	/* All have been loaded. */
	void (*load_end)(struct policy *p);
	/* The slot holds nothing any more. */
	void (*removed)(struct policy *p, u32 slot, u64 block, enum policy_removed why);
	/*
	 * Up to want (<= POLICY_VICTIMS_MAX) slots to give up, best first; returns how
	 * many.  Each is then followed by removed(EVICTED) or victim_refused().
	 */
	u32 (*victims)(struct policy *p, u32 *slots, u32 want, u64 now_ms);
	/* The slot cannot go now (dirty, busy); keep it. */
	void (*victim_refused)(struct policy *p, u32 slot);

	u32 (*get_hint)(struct policy *p, u32 slot);
	/* Optional: once a second. */
	void (*tick)(struct policy *p, u64 now_ms);
	/* Table line and message keys.  0, -EINVAL (value out of range), -ENOENT (unknown key). */
	int (*set)(struct policy *p, const char *key, u64 value);
	/* Settings that differ from the default, as "key value". */
	void (*emit_args)(struct policy *p, policy_emit_fn emit, void *context);
	/* Optional. */
	void (*emit_stats)(struct policy *p, policy_emit_fn emit, void *context);
};

/* The policies that are built into every program that links policy/. */
extern const struct policy_ops policy_s3fifo;
extern const struct policy_ops policy_cleaner;

#endif
