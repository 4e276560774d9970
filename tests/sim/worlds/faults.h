/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Management under faults: what faults.c breaks, operations.c does.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "known.h"
#include "machine.h"

#define FAULT_CHUNK 8u
#define FAULT_SLOTS 4u
#define FAULT_SECTORS 44u	/* the last block is short, and ends within a grain */
#define FAULT_SECTORS_GROWN KNOWN_SECTORS_MAX

enum beginning {
	ON_BLANK,
	ON_CLEAN,		/* stopped in order, with clean and dirty blocks */
	ON_CRASHED,		/* the same, without the stop */
	ON_LIVE,		/* at work */
	ON_SUSPENDED,
	NR_BEGINNINGS,
};

struct operation {
	const char *name;
	enum beginning begins;
	int (*act)(void);	/* in a task: 0 or a negative errno; then it is tried again */
	bool unflushed;		/* there is something to commit */
	bool detached;		/* afterwards the origin alone has everything */
};

extern const struct operation operations[];
extern const u32 nr_operations;

/* What operations and their judge share. */
struct scene {
	struct known known;
	bool module;		/* has been loaded */
	u8 *memory;
};

extern struct scene scene;

/* In a task.  The beginning's content, all of it durable; at work afterwards. */
void scene_fill(void);
/* Also with a module, a device or a table that is there already; honest about errors. */
int scene_start(const char *mode, const char *policy);
void scene_stop(void);		/* in order, whatever there is; nothing may be left behind */
void scene_read_all(const u16 *allowed, const char *when);
void scene_write(u32 sector, u32 nr, u32 version);
void scene_flush(void);
s64 scene_dirty(void);

#endif
