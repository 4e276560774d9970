/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tools ask of the kernel, through libdevmapper.
 */
#ifndef LARDER_KERNEL_H
#define LARDER_KERNEL_H

#include "larder.h"

struct cache_target {
	char name[128];		/* of the mapped device */
	char uuid[160];		/* LVM's begin with LVM- */
	char type[32];		/* "larder" or "cache" */
	uint32_t major, minor;	/* cache_target_peek(), cache_targets_visit() only */
	uint64_t sectors;
	bool suspended;
	char *status;		/* its status line */
	char *table;		/* cache_target_peek(), cache_targets_visit() only */
	char *stats;		/* its answer to "stats"; the kernel's dm-cache has none */
};

/* name: a name of device mapper, VG/LV, or a path.  0, or an exit code after a message. */
int cache_target_read(struct cache_target *target, const char *name);
/*
 * Sends it a message; *answer: what it says, to be freed, or NULL (also when
 * answer is).  0, or an exit code after a message.
 */
int cache_target_message(const struct cache_target *target, const char *message, char **answer);
/* As cache_target_read() by its name of device mapper, without a word when it is not there. */
bool cache_target_peek(struct cache_target *target, const char *name);
/* All that are active.  0, or an exit code after a message. */
int cache_targets_visit(void (*visit)(void *context, const struct cache_target *target),
			void *context);
/* Of a target that the kernel has; false: it has none of that name. */
bool kernel_target_version(const char *name, uint32_t version[3]);
/* May we ask at all?  0, or an exit code after a message. */
int device_mapper_ready(void);
/* A component of LVM, by its path below /dev/mapper.  0, or an exit code after a message. */
int make_writable(const char *path);

void cache_target_free(struct cache_target *target);

#endif
