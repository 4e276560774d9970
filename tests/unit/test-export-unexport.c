// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder unexport, and the guard of detach, against a configfs in memory: what it
 * says, and what is there afterwards.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
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

static int stdout_was = -1;

static void restore_stdout(void)
{
	fflush(stdout);
	dup2(stdout_was, STDOUT_FILENO);
	close(stdout_was);
}

/* larder unexport; its exit code. */
static int unexport(const char *const *words)
{
	/* getopt() keeps a pointer into them from call to call */
	static char word[WORDS_OF_COMMAND_MAX][256];
	static char *argv[WORDS_OF_COMMAND_MAX + 1];
	int argc = 1, code, fd = memfd_create("stdout", MFD_CLOEXEC);
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
	restore_stdout();
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

/* A target may be called as export took its name. */
static void test_spelling(void)
{
	host_begin();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=iscsi",
			       "wwn=iqn.2003-01.org.Example:Store", "acl=" INITIATOR)));
	CHECK(!do_export(WORDS("/dev/vg/other", "fabric=fcoe", "wwn=0x200000112233445A",
			       "acl=20:00:00:11:22:33:44:56")));
	CHECK_SAY(!unexport(WORDS("iqn.2003-01.org.Example:Store")), "%s", words_said());
	CHECK_SAY(!unexport(WORDS("0x200000112233445A")), "%s", words_said());
	CHECK_EQUAL(recorded_luns(), 0);
	host_end();
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
	CHECK_EQUAL(unexport(WORDS("vg/data", "--lun", "")), EXIT_WRONG_USAGE);
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

/* What fails can be asked for again. */
static void test_again(void)
{
	unsigned int n;

	for (n = 1; n < CHANGES_MAX; n++) {
		host_begin();
		export_all();
		fake_fail_at(n);
		if (!unexport(WORDS("vg/data", "--fabric", "loopback"))) {
			CHECK(fake_changes() < n);
			host_end();
			break;
		}
		CHECK_EQUAL(recorded_luns(), 4);
		fake_fail_at(0);
		CHECK_SAY(!unexport(WORDS("vg/data", "--fabric", "loopback")), "change %u: %s", n,
			  words_said());
		CHECK_EQUAL(recorded_luns(), 3);
		host_end();
	}
	CHECK_SAY(n > 3 && n < CHANGES_MAX, "%u changes", n);
}

/* --- initiators at work --- */

#define TPG_PATH	"target/iscsi/" IQN "/tpgt_1"

static const char *const drain_one[] = { "vg/data", "--drain", "--timeout", "0", NULL };
static const char *const drain_all[] = { "--all", "--drain", "--timeout", "0", NULL };

/* Nothing has changed, and the next command finds nothing to be finished. */
static void check_same(char *was, const char *what, unsigned int step, size_t luns)
{
	char *is;

	CHECK_SAY(!do_begin(), "%s", words_said());
	is = fake_text();
	CHECK_SAY(!strcmp(is, was), "%s, change %u: there is\n%s\ninstead of\n%s\n%s", what, step,
		  is, was, words_said());
	CHECK_EQUAL(recorded_luns(), luns);
	free(is);
	free(was);
}

static void test_sessions(void)
{
	host_begin();
	export_all();
	CHECK(fake_write(TPG_PATH "/acls/" INITIATOR "/info", "InitiatorName: " INITIATOR));
	CHECK_EQUAL(unexport(WORDS("vg/data")), EXIT_NOT_OURS);
	CHECK_SAY(strstr(words_said(), INITIATOR) && strstr(words_said(), "--drain"), "%s",
		  words_said());
	check_same(fake_text(), "a session", 0, 4);
	CHECK_EQUAL(unexport(WORDS("--all")), EXIT_NOT_OURS);
	check_same(fake_text(), "a session", 0, 4);
	/* others choose their names as they like */
	CHECK(fake_write(TPG_PATH "/dynamic_sessions", "iqn.\33[2Jx\ny"));
	forget_words();
	CHECK_EQUAL(unexport(WORDS("vg/data")), EXIT_NOT_OURS);
	CHECK_SAY(!strchr(words_said(), 033) && strstr(words_said(), "[2Jx"), "%s", words_said());
	CHECK_SAY(strstr(words_said(), "3 sessions"), "%s", words_said());
	CHECK(fake_write(TPG_PATH "/dynamic_sessions", ""));
	/* those of the other targets are not in the way */
	CHECK_SAY(!unexport(WORDS("vg/data", "--fabric", "loopback")), "%s", words_said());
	CHECK_SAY(!unexport(WORDS("/dev/mapper/vg-third")), "%s", words_said());
	CHECK_SAY(!unexport(WORDS("--all", "--drain")), "%s", words_said());
	CHECK_EQUAL(recorded_luns(), 0);
	host_end();
}

/* What cannot be recorded is not begun. */
static void test_no_records(void)
{
	static const char in_the_way[] = LARDER_ROOT "/run/larder/.exports.json.new";
	char *was;

	host_begin();
	export_all();
	was = fake_text();
	fake_fail_at(0);
	CHECK(!mkdir(in_the_way, 0700));
	CHECK_EQUAL(unexport(WORDS("--all")), EXIT_NO_OUTPUT);
	CHECK_EQUAL(unexport(drain_all), EXIT_NO_OUTPUT);
	CHECK(!rmdir(in_the_way));
	CHECK_EQUAL(fake_changes(), 0);
	check_same(was, "no records", 0, 4);
	host_end();
}

static void test_any_initiator(void)
{
	host_begin();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "any")));
	CHECK(fake_write(TPG_PATH "/dynamic_sessions", "iqn.one\niqn.two"));
	CHECK_EQUAL(unexport(WORDS(IQN)), EXIT_NOT_OURS);
	CHECK(strstr(words_said(), "iqn.one") && strstr(words_said(), "iqn.two"));
	CHECK(strstr(words_said(), "2 sessions"));
	CHECK(!unexport(WORDS(IQN, "--drain")));
	CHECK_EQUAL(recorded_luns(), 0);
	host_end();
}

static void log_out(int signal)
{
	fake_write(TPG_PATH "/dynamic_sessions", "");
}

/* Of a session that is about to end, nobody has to be told. */
static void test_leaving(void)
{
	const struct itimerval soon = { .it_value = { .tv_usec = 150000 } };

	host_begin();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "any")));
	CHECK(fake_write(TPG_PATH "/dynamic_sessions", "iqn.one"));
	signal(SIGALRM, log_out);
	setitimer(ITIMER_REAL, &soon, NULL);
	CHECK_SAY(!unexport(WORDS(IQN)), "%s", words_said());
	signal(SIGALRM, SIG_DFL);
	host_end();
}

static bool always(void)
{
	return true;
}

/* New commands are stopped by now. */
static bool after_changes(void)
{
	return fake_changes();
}

static unsigned int looks;

static bool for_a_while(void)
{
	return looks++ < 5;
}

static void test_waits(void)
{
	host_begin();
	export_all();
	devices_busy = always;
	fake_fail_at(0);
	CHECK_EQUAL(unexport(WORDS("--all", "--drain", "--timeout", "0")), EXIT_INTERRUPTED);
	CHECK_SAY(strstr(words_said(), "still under way"), "%s", words_said());
	CHECK_EQUAL(fake_changes(), 0);
	CHECK(!*printed);
	devices_busy = for_a_while;
	CHECK_SAY(!unexport(WORDS("--all", "--drain", "--timeout", "600")), "%s", words_said());
	CHECK(looks > 5);
	CHECK_EQUAL(recorded_luns(), 0);
	CHECK_EQUAL(unexport(WORDS("--all", "--timeout", "7")), EXIT_WRONG_USAGE);
	CHECK_EQUAL(unexport(WORDS("--all", "--drain", "--timeout", "-1")), EXIT_WRONG_USAGE);
	CHECK_EQUAL(unexport(WORDS("--all", "--drain", "--timeout", "7s")), EXIT_WRONG_USAGE);
	CHECK_EQUAL(unexport(WORDS("--all", "--drain", "--timeout", "99999999999999999999")),
		    EXIT_WRONG_USAGE);
	host_end();
}

/* What does not end in time is as before, and a step that fails changes nothing either. */
static void test_put_back(const char *const *words)
{
	unsigned int n, nr = 0;
	char *was;

	/* half of the changes put back what the others have done */
	for (n = 0; n <= nr / 2; n++) {
		host_begin();
		export_all();
		was = fake_text();
		devices_busy = after_changes;
		fake_fail_at(n);
		CHECK(unexport(words));
		CHECK(!*printed);
		if (!n)
			nr = fake_changes();
		check_same(was, words[0], n, 4);
		host_end();
	}
	CHECK_SAY(n >= 2 && n < CHANGES_MAX, "%u changes", n);
}

static void test_put_back_one(void)
{
	test_put_back(drain_one);
}

static void test_put_back_all(void)
{
	test_put_back(drain_all);
}

/* The last LUN of a target: nobody can log in any more; another: it is not seen any more. */
static char *stopped;

static bool look_at_stopped(void)
{
	free(stopped);
	stopped = fake_text();
	return false;
}

static void test_what_stops(void)
{
	host_begin();
	export_all();
	devices_busy = look_at_stopped;
	CHECK(!unexport(WORDS("vg/data", "--fabric", "iscsi", "--drain")));
	CHECK(strstr(stopped, TPG_PATH "/enable 1\n"));
	CHECK(strstr(stopped, TPG_PATH "/lun/lun_3 "));
	CHECK(strstr(stopped, "/lun/lun_4 (link)\n") && !strstr(stopped, "/lun/lun_3 (link)\n"));
	CHECK(!unexport(WORDS("vg/other", "--drain")));
	CHECK(strstr(stopped, TPG_PATH "/enable 0\n"));
	CHECK(strstr(stopped, "/lun/lun_4 (link)\n"));
	CHECK(!unexport(WORDS(NQN, "--drain")));
	CHECK(!strstr(stopped, "nvmet/ports/1/subsystems/" NQN " "));
	CHECK(strstr(stopped, "nvmet/subsystems/" NQN "/namespaces/1/enable 1\n"));
	free(stopped);
	stopped = NULL;
	host_end();
}

/* What puts a mapping back does not put reservations back. */
static void test_reservations(void)
{
	host_begin();
	export_all();
	devices_busy = look_at_stopped;
	CHECK(fake_write("target/core/iblock_0/vg-data/pr/res_pr_registered_i_pts",
			 "SPC-3 PR Registrations:\niSCSI Node: " INITIATOR " Key: 0x1"));
	CHECK(!unexport(WORDS("vg/data", "--fabric", "iscsi", "--drain")));
	CHECK(strstr(stopped, "/lun/lun_3 (link)\n"));
	free(stopped);
	stopped = NULL;
	host_end();
}

/* Something of others is in the target: it stays enabled. */
static void test_stranger(void)
{
	host_begin();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "acl=" INITIATOR)));
	CHECK(fake_mkdir(TPG_PATH "/lun/lun_9"));
	CHECK_SAY(!unexport(WORDS("--all", "--drain")), "%s", words_said());
	CHECK(!strcmp(fake_value(TPG_PATH "/enable"), "1"));
	CHECK(!fake_has(TPG_PATH "/lun/lun_0"));
	host_end();
}

static bool raise_signal(void)
{
	if (fake_changes())
		raise(SIGTERM);
	return fake_changes();
}

static void test_interrupted(void)
{
	char *was;

	host_begin();
	export_all();
	was = fake_text();
	devices_busy = raise_signal;
	fake_fail_at(0);
	CHECK_EQUAL(unexport(WORDS("--all", "--drain", "--timeout", "600")), EXIT_INTERRUPTED);
	CHECK(fake_changes());
	check_same(was, "interrupted", 0, 4);
	host_end();
}

static jmp_buf gone;

static void die(void)
{
	longjmp(gone, 1);
}

/* SIGKILL at each change: the next command finishes what was begun. */
static void test_killed(const char *const *words)
{
	volatile unsigned int n;
	char *volatile left;

	for (n = 1; n < CHANGES_MAX; n++) {
		host_begin();
		CHECK(!do_export(WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN, "lun=4",
				       "acl=" INITIATOR)));
		left = fake_text();
		CHECK(!do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "lun=3")));
		CHECK(!do_export(WORDS("/dev/vg/data", "fabric=loopback")));
		fake_call_at(n, die);
		if (!setjmp(gone)) {
			CHECK(!unexport(words));
			CHECK(fake_changes() < n);
			free(left);
			host_end();
			break;
		}
		restore_stdout();
		closefrom(3);
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		fake_call_at(0, NULL);
		CHECK_SAY(!do_begin(), "%s", words_said());
		check_same(left, words[0], n, 1);
		CHECK(!unexport(drain_all));
		host_end();
	}
	CHECK_SAY(n > 10 && n < CHANGES_MAX, "%u changes", n);
}

static void test_killed_in_drain(void)
{
	test_killed(drain_one);
}

static void test_killed_without(void)
{
	test_killed(WORDS("vg/data"));
}

static const struct unit_test tests[] = {
	{ "all", test_all },
	{ "told-when-done", test_told_when_done },
	{ "goes-on", test_goes_on },
	{ "again", test_again },
	{ "sessions", test_sessions },
	{ "no-records", test_no_records },
	{ "any-initiator", test_any_initiator },
	{ "spelling", test_spelling },
	{ "leaving", test_leaving },
	{ "waits", test_waits },
	{ "put-back-one", test_put_back_one },
	{ "put-back-all", test_put_back_all },
	{ "what-stops", test_what_stops },
	{ "reservations", test_reservations },
	{ "stranger", test_stranger },
	{ "interrupted", test_interrupted },
	{ "killed-in-drain", test_killed_in_drain },
	{ "killed-without", test_killed_without },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
