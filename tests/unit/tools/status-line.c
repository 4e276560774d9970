// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of the status line's parser: right lines, every cut of them, and noise.
 */
#include <stdio.h>

#include "../../../userland/status-line.h"

static const char good[] =
	"8 72/1280 128 10/960 1 2 3 4 5 6 7 3 metadata2 writeback no_discard_passdown "
	"2 migration_threshold 2048 smq 4 small_percent 20 ghost_percent 0 rw -";

static unsigned int passed, failed;

static void check(bool ok, const char *name)
{
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (ok)
		passed++;
	else
		failed++;
}

static void test_good(void)
{
	struct status_line s;

	check(!status_line_parse(&s, good), "status line: a right one is understood");
	check(s.metadata_block_sectors == 8 && s.metadata_used == 72 && s.metadata_total == 1280 &&
	      s.chunk_sectors == 128 && s.used == 10 && s.total == 960 && s.read_hits == 1 &&
	      s.read_misses == 2 && s.write_hits == 3 && s.write_misses == 4 &&
	      s.demotions == 5 && s.promotions == 6 && s.dirty == 7, "status line: numbers");
	check(!strcmp(s.mode, "writeback") && !strcmp(s.policy, "smq") && !s.read_only &&
	      !s.needs_check && !s.failed, "status line: words");
	check(!strcmp(s.settings, "migration_threshold=2048 small_percent=20 ghost_percent=0"),
	      "status line: settings");
	check(!status_line_parse(&s, "8 1/2 128 3/4 18446744073709551615 2 3 4 5 6 7 "
				 "1 writethrough 0 cleaner 0 ro needs_check") &&
	      s.read_hits == U64_MAX && s.read_only && s.needs_check && !s.settings[0],
	      "status line: no settings, read-only, needs check, largest number");
	check(!status_line_parse(&s, "Fail") && s.failed, "status line: Fail");
	check(!status_line_parse(&s, "Error") && s.failed, "status line: Error");
}

/* The last word, needs_check or "-", may be missing: older targets have none. */
static void test_cut(void)
{
	char line[sizeof(good)];
	struct status_line s;
	size_t length;
	bool ok = true;

	for (length = 0; length < strlen(good) - strlen(" rw -"); length++) {
		memcpy(line, good, length);
		line[length] = '\0';
		if (!status_line_parse(&s, line)) {
			printf("# taken for whole: \"%s\"\n", line);
			ok = false;
		}
	}
	check(ok, "status line: each cut is refused");
}

static void test_refused(void)
{
	static const char *const lines[] = {
		"",
		"-8 72/1280 128 10/960 1 2 3 4 5 6 7 0 0 smq 0 rw -",
		"8 72/x 128 10/960 1 2 3 4 5 6 7 0 0 smq 0 rw -",
		"8 72/1280 128 10/960 1 2 3 4 5 6 18446744073709551616 0 0 smq 0 rw -",
		"8 72/1280 128 10/960 1 2 3 4 5 6 7 18446744073709551615 a b c",
		"8 72/1280 128 10/960 1 2 3 4 5 6 7 0 1 key smq 0 rw -",
		"8 72/1280 128 10/960 1 2 3 4 5 6 7 0 0 smq 18446744073709551614 a b",
	};
	struct status_line s;
	unsigned int i;
	bool ok = true;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		if (status_line_parse(&s, lines[i]))
			continue;
		printf("# taken for right: \"%s\"\n", lines[i]);
		ok = false;
	}
	check(ok, "status line: wrong ones are refused");
}

/* Settings of any length are cut, never overrun; the sanitizers look on. */
static void test_long(void)
{
	static char line[100000];
	struct status_line s;
	size_t at;
	u32 i;

	at = (size_t)snprintf(line, sizeof(line), "8 7/8 128 1/9 1 2 3 4 5 6 7 0 2000");
	for (i = 0; i < 2000; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, " setting-that-is-long%u", i);
	snprintf(line + at, sizeof(line) - at, " %0200d 0 rw -", 7);
	check(!status_line_parse(&s, line) && strlen(s.settings) < sizeof(s.settings) &&
	      strlen(s.policy) == STATUS_WORD_MAX - 1, "status line: long ones are cut");
}

int main(void)
{
	test_good();
	test_cut();
	test_refused();
	test_long();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
