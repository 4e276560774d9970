// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of the forecast that larder detach gives.
 */
#include <stdio.h>

#include "../../../userland/flush.h"

static unsigned int passed, failed;

static void check(bool ok, const char *name)
{
	printf("%s flush pace: %s\n", ok ? "ok" : "not ok", name);
	if (ok)
		passed++;
	else
		failed++;
}

int main(void)
{
	struct flush_pace pace = { .begun = false };
	double rate = 0;
	u64 seconds = 0;

	check(!flush_pace_forecast(&pace, &rate, &seconds), "nothing was seen, nothing is told");
	flush_pace_see(&pace, 1000, 1000);
	check(!flush_pace_forecast(&pace, &rate, &seconds), "one look says nothing");
	flush_pace_see(&pace, 1100, 990);
	check(!flush_pace_forecast(&pace, &rate, &seconds), "nor do two that are close");
	flush_pace_see(&pace, 3000, 900);
	check(flush_pace_forecast(&pace, &rate, &seconds) && rate == 50 && seconds == 18,
	      "a steady pace");
	flush_pace_see(&pace, 4000, 1500);
	check(!flush_pace_forecast(&pace, &rate, &seconds), "more than there was: begin anew");
	flush_pace_see(&pace, 9000, 1500);
	check(!flush_pace_forecast(&pace, &rate, &seconds), "no progress has no end");
	flush_pace_see(&pace, 10000, 0);
	check(flush_pace_forecast(&pace, &rate, &seconds) && rate == 250 && !seconds, "all is done");
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
