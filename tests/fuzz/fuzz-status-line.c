// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the status line of a cache, as `larder status` takes it apart.
 * A line of the kernel's is made by dm-cache or by us, so it should be harmless;
 * the tool must not rely upon it.
 */
#include "../../userland/status-line.h"
#include "fuzz.h"

/* Ends within its field, and everything in it can be printed. */
static void check_text(const char *text, size_t size)
{
	size_t i;

	FUZZ_CHECK(memchr(text, '\0', size));
	for (i = 0; text[i]; i++)
		FUZZ_CHECK(text[i] >= ' ' && text[i] <= '~', "byte %u", (u8)text[i]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char *line = fuzz_alloc(size + 1, 1);
	struct status_line *s = fuzz_alloc(1, sizeof(*s));
	struct status_line again;
	const char *what;

	memcpy(line, data, size);
	memset(s, 0xa5, sizeof(*s));
	what = status_line_parse(s, line);
	FUZZ_CHECK(!what || *what);
	check_text(s->mode, sizeof(s->mode));
	check_text(s->policy, sizeof(s->policy));
	check_text(s->settings, sizeof(s->settings));
	if (!what && !s->failed) {
		FUZZ_CHECK(s->policy[0]);
		/* what is left of an earlier line does not matter */
		memset(&again, 0, sizeof(again));
		FUZZ_CHECK(!status_line_parse(&again, line));
		FUZZ_CHECK(!strcmp(again.policy, s->policy) && !strcmp(again.mode, s->mode) &&
			   !strcmp(again.settings, s->settings) && again.dirty == s->dirty);
	}
	free(s);
	free(line);
	return 0;
}
