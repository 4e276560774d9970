/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of the small worlds: one small cache, one thing at a time, and
 * disks that can be put away and brought back.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "devices.h"
#include "kernel/sched.h"

struct larder_cache;

struct machine {
	struct mapped_device *md;
	u64 seed;		/* of the scheduler: the same choices in every run */
	bool trace;
	u64 sectors;		/* of the cached device */
	bool ended;		/* what machine_run() runs has come to its end */
	void (*fn)(void *arg);
};

extern struct machine machine;

/* Runs fn in a task until it ends: true; false when the power went first (devices.stop_at). */
bool machine_run(void (*fn)(void *arg), void *arg);
/* Whatever ran is gone; disks stay.  With another seed, everything takes other turns. */
void machine_off(void);

/* Within a task. */
void machine_boot(const char *line);		/* must succeed */
void machine_stop(void);			/* in order, module and all */
void machine_settle(u64 ns);			/* sleeps, then until no I/O is in flight */
/* Data NULL: none.  Returns the status. */
blk_status_t machine_io(blk_opf_t opf, u64 sector, u32 sectors, u8 *data);
struct larder_cache *machine_cache(void);	/* of the live table, or NULL */

/* Disks with what is pending, and what is in flight at the time. */
struct snapshot {
	struct sim_domain ssd;
	struct sim_disk disk[NR_DEVICES];
	bool shared;
};

/* in_flight: handed in as the last pending ones; only a crash may follow then. */
void snapshot_take(struct snapshot *s, bool in_flight);
void snapshot_put(const struct snapshot *s);	/* becomes what the devices have */
void snapshot_free(struct snapshot *s);

/* Of the devices; each drive once. */
u64 machine_pending(void);
void machine_crash_subset(u64 mask);
void machine_crash(struct sim_rng *rng, enum sim_mood mood);

#endif
