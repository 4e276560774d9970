// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pace of a write-back, from counts of dirty chunks.
 */
#include "flush.h"

void flush_pace_see(struct flush_pace *pace, u64 now_ms, u64 dirty)
{
	/* what is written meanwhile makes it longer: begin anew from the highest */
	if (!pace->begun || dirty > pace->first_dirty) {
		pace->begun = true;
		pace->first_ms = now_ms;
		pace->first_dirty = dirty;
	}
	pace->last_ms = now_ms;
	pace->last_dirty = dirty;
}

bool flush_pace_forecast(const struct flush_pace *pace, double *rate, u64 *seconds)
{
	u64 took = pace->last_ms - pace->first_ms;

	if (!pace->begun || took < 500 || pace->last_dirty >= pace->first_dirty)
		return false;
	*rate = (double)(pace->first_dirty - pace->last_dirty) * 1000 / (double)took;
	*seconds = (u64)((double)pace->last_dirty / *rate + 0.5);
	return true;
}
