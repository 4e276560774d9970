/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduler's other side: what the simulator's main loop uses.
 */
#ifndef SIM_SCHED_H
#define SIM_SCHED_H

#include "kernel.h"

struct sched_options {
	u64 seed;
	u32 preempt_one_in;	/* chance of handing over at a sim_point(); 0: never */
	u32 stall_one_in;	/* chance that it then is without a processor for long */
	u64 max_steps;		/* more task switches than that are a livelock */
	bool unlikely;		/* core_unlikely() may be true */
	bool trace;
};

/* Everything anew: no task, clock at 0, no memory. */
void sched_init(const struct sched_options *options);
/* A crash: tasks, timers, queues and memory vanish; clock and generator go on. */
void sched_crash(void);

/* atomic: may not sleep (an end of I/O). */
void sched_spawn(const char *name, void (*fn)(void *), void *arg, bool atomic);
/* Calls fn(arg) in a task of its own when the time has come; a timer's identity. */
u64 sched_at(u64 when, const char *name, void (*fn)(void *), void *arg, bool atomic);
bool sched_cancel(u64 timer);

/* Runs until stop() is true (asked between two tasks), or nothing is left to run: false then. */
bool sched_run(bool (*stop)(void *), void *context);
/* From within a task: the run ends before any other task goes on. */
void sched_stop(void);

/* No other task runs until it is off again: what watches takes no time. */
void sched_undivided(bool on);

u64 sched_steps(void);
u64 sched_hash(void);		/* of everything that happened */
void sched_note(u64 value);	/* into the hash */
void sched_print_tasks(FILE *to);

#endif
