/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status line of a cache target, which larder shares with dm-cache.
 */
#ifndef LARDER_STATUS_LINE_H
#define LARDER_STATUS_LINE_H

#include "../dm-target/core/env.h"

#define STATUS_WORD_MAX 64

struct status_line {
	bool failed;			/* the kernel says no more than "Fail" or "Error" */
	u64 metadata_block_sectors, metadata_used, metadata_total;
	u64 chunk_sectors, used, total;
	u64 read_hits, read_misses, write_hits, write_misses;
	u64 demotions, promotions, dirty;
	char mode[STATUS_WORD_MAX];	/* writeback, writethrough, passthrough, or "" */
	char policy[STATUS_WORD_MAX];
	char settings[512];		/* "key=value key=value", cut when too long */
	bool read_only;
	bool needs_check;
};

/* NULL, or what is wrong with the line. */
const char *status_line_parse(struct status_line *s, const char *line);

#endif
