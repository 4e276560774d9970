/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All caches of the host: LVM's, active or not, and those that were made with
 * dmsetup.
 */
#ifndef LARDER_CACHES_H
#define LARDER_CACHES_H

#include "lvm.h"
#include "status-line.h"

struct cache {
	char name[2 * NAME_MAX_LVM];	/* VG/LV, or what device mapper calls it */
	const char *kind;		/* cachepool, cachevol, dmsetup */
	char pool[2 * NAME_MAX_LVM];	/* what it is cached by: VG/LV, "" for dmsetup's */
	char mode[32];
	char policy[64];		/* as wished: LVM's word */
	char settings[512];
	char runs_policy[64];		/* as the kernel has it; "" when it is not active */
	u64 sectors;
	bool active;
	struct cache_target target;	/* when active */
	struct status_line line;
	u64 block_sectors;		/* of its statistics; 0: unknown */
};

/* Calls visit for each.  0, or an exit code after a message; without LVM, only dmsetup's. */
int caches_visit(void (*visit)(void *context, const struct cache *cache), void *context);
const char *cache_health(const struct cache *cache);

#endif
