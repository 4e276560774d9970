/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells how far LVM has got with writing back what is dirty, and when it ends.
 */
#ifndef LARDER_FLUSH_H
#define LARDER_FLUSH_H

#include "../dm-target/core/env.h"

/* What was seen of it; times in milliseconds. */
struct flush_pace {
	u64 first_ms, first_dirty;	/* when it began to shrink */
	u64 last_ms, last_dirty;
	bool begun;
};

void flush_pace_see(struct flush_pace *pace, u64 now_ms, u64 dirty);
/* Chunks in a second, and the seconds that are left; false while nothing is known. */
bool flush_pace_forecast(const struct flush_pace *pace, double *rate, u64 *seconds);

struct lv_name;
struct program;
/* Shows it while p runs; quiet: does not. */
struct flush_show {
	const struct lv_name *lv;
	struct flush_pace pace;
	u64 chunk_sectors;
	u64 shown_ms;
	bool quiet;
	bool on_terminal;
};

void flush_show(struct flush_show *show, struct program *p, const struct lv_name *lv, bool quiet);
/* Takes the line away. */
void flush_show_end(struct flush_show *show);

#endif
