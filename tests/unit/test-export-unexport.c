// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder unexport, and the guard of detach, against a configfs in memory: what it
 * says, and what is there afterwards.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../userland/options.h"
#include "tools/export-fixture.h"
#include "tools/fake-configfs.h"
#include "unit.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define IQN		"iqn.2003-01.org.example:store"
#define NQN		"nqn.2014-08.org.example:store"
#define CHANGES_MAX	200
#define WORDS_OF_COMMAND_MAX 8

static char printed[4096];	/* what the last command has written to stdout */

/* larder unexport; its exit code. */
static int unexport(const char *const *words)
{
	/* getopt() keeps a pointer into them from call to call */
	static char word[WORDS_OF_COMMAND_MAX][256];
	static char *argv[WORDS_OF_COMMAND_MAX + 1];
	int argc = 1, code, stdout_was, fd = memfd_create("stdout", MFD_CLOEXEC);
	ssize_t n;

	snprintf(word[0], sizeof(word[0]), "unexport");
	argv[0] = word[0];
	for (; *words; words++, argc++) {
		snprintf(word[argc], sizeof(word[argc]), "%s", *words);
		argv[argc] = word[argc];
	}
	argv[argc] = NULL;
	fflush(stdout);
	stdout_was = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	dup2(fd, STDOUT_FILENO);
	code = command_unexport.run(argc, argv);
	fflush(stdout);
	dup2(stdout_was, STDOUT_FILENO);
	close(stdout_was);
	n = pread(fd, printed, sizeof(printed) - 1, 0);
	printed[n < 0 ? 0 : n] = '\0';
	close(fd);
	return code;
}

static void export_all(void)
{
	CHECK_SAY(!do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
				   "acl=" INITIATOR, "alua=left:standby", "lun=3")), "%s",
		  words_said());
	CHECK_SAY(!do_export(WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN, "lun=4")), "%s",
		  words_said());
	CHECK_SAY(!do_export(WORDS("/dev/vg/data", "fabric=loopback",
				   "wwn=naa.5001405000000001")), "%s", words_said());
	CHECK_SAY(!do_export(WORDS("/dev/mapper/vg-third", "fabric=nvme-tcp", "wwn=" NQN,
				   "acl=" HOST, "portal=10.0.0.1")), "%s", words_said());
}

/* How often "not exported any more" has been said of it. */
static unsigned int times_told(const char *device)
{
	char line[300];
	const char *at = printed;
	unsigned int nr = 0;

	snprintf(line, sizeof(line), "%s: not exported any more by", device);
	for (; (at = strstr(at, line)); at++)
		nr++;
	return nr;
}

static void test_all(void)
{
	char *before;

	host_begin();
	before = fake_text();
	export_all();
	CHECK_EQUAL(unexport(WORDS("--all", "--dry-run")), 0);
	CHECK_EQUAL(times_told("/dev/vg/data"), 0);
	CHECK(strstr(printed, "rmdir"));
	CHECK_EQUAL(recorded_luns(), 4);
	CHECK_SAY(!unexport(WORDS("vg/data")), "%s", words_said());
	CHECK_EQUAL(times_told("/dev/vg/data"), 2);
	CHECK_EQUAL(times_told("/dev/vg/other"), 0);
	CHECK_EQUAL(recorded_luns(), 2);
	CHECK_EQUAL(unexport(WORDS("vg/data")), EXIT_NO_INPUT);
	CHECK_EQUAL(unexport(WORDS("vg/data", "--all")), EXIT_WRONG_USAGE);
	CHECK_EQUAL(unexport(WORDS("vg/data", "--lun", "0x4")), EXIT_WRONG_USAGE);
	CHECK_SAY(!unexport(WORDS(IQN, "--lun", "4", "-q")), "%s", words_said());
	CHECK(!*printed);
	CHECK_SAY(!unexport(WORDS("--all")), "%s", words_said());
	CHECK_EQUAL(times_told("/dev/mapper/vg-third"), 1);
	CHECK_EQUAL(recorded_luns(), 0);
	CHECK_SAY(!strcmp(before, fake_text()), "left: %s", fake_text());
	free(before);
	host_end();
}

/* What is still there is not said to be gone. */
static void test_told_when_done(void)
{
	unsigned int n, told;

	for (n = 1; n < CHANGES_MAX; n++) {
		host_begin();
		export_all();
		fake_fail_at(n);
		if (!unexport(WORDS("--all"))) {
			CHECK(fake_changes() < n);
			host_end();
			break;
		}
		told = times_told("/dev/vg/data") + times_told("/dev/vg/other") +
		       times_told("/dev/mapper/vg-third");
		CHECK_EQUAL(told + recorded_luns(), 4);
		fake_fail_at(0);
		CHECK_SAY(!unexport(WORDS("--all")), "change %u: %s", n, words_said());
		CHECK_EQUAL(recorded_luns(), 0);
		host_end();
	}
	CHECK_SAY(n > 20 && n < CHANGES_MAX, "%u changes", n);
}

/* One cannot be removed, the next can: the records of both are what is so. */
static void test_goes_on(void)
{
	unsigned int n;

	for (n = 1; n < CHANGES_MAX; n++) {
		host_begin();
		CHECK(!do_export(WORDS("/dev/vg/data", "fabric=loopback")));
		CHECK(!do_export(WORDS("/dev/vg/other", "fabric=loopback")));
		fake_fail_at(n);
		if (!unexport(WORDS("--all"))) {
			CHECK(fake_changes() < n);
			host_end();
			break;
		}
		CHECK_SAY(recorded_luns() == 1, "change %u: %s", n, words_said());
		fake_fail_at(0);
		CHECK_SAY(!unexport(WORDS("--all")), "change %u: %s", n, words_said());
		CHECK_EQUAL(recorded_luns(), 0);
		host_end();
	}
	CHECK_SAY(n > 10 && n < CHANGES_MAX, "%u changes", n);
}

static const struct unit_test tests[] = {
	{ "all", test_all },
	{ "told-when-done", test_told_when_done },
	{ "goes-on", test_goes_on },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
