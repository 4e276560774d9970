/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tools ask of the kernel, through libdevmapper.
 */
#ifndef LARDER_KERNEL_H
#define LARDER_KERNEL_H

#include "larder.h"

struct cache_target {
	char name[128];		/* of the mapped device */
	char type[32];		/* "larder" or "cache" */
	uint64_t sectors;
	bool suspended;
	char *status;		/* its status line */
	char *stats;		/* its answer to "stats"; the kernel's dm-cache has none */
};

/* name: a name of device mapper, VG/LV, or a path.  0, or an exit code after a message. */
int cache_target_read(struct cache_target *target, const char *name);
void cache_target_free(struct cache_target *target);

#endif
