// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder export against a configfs in memory: what is made on each fabric, and
 * that nothing is left of it when any of its steps fails, a signal comes, or the
 * tool is killed.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/export-fixture.h"
#include "tools/fake-configfs.h"
#include "unit.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define IQN		"iqn.2003-01.org.example:store"
#define TPG_OF(f, w)	"target/" f "/" w "/tpgt_1"
#define NQN		"nqn.2014-08.org.example:store"
#define CHANGES_MAX	200

/* One export on each fabric, and what is there then. */
static const struct kind {
	const char *const *words;
	const char *there, *value;	/* an attribute and its value; NULL: a link or directory */
} kinds[] = {
	{ WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1", "acl=" INITIATOR,
		"chap=" CHAP_FILE, "alua=left:standby", "attribute=emulate_caw=0"),
	  TPG_OF("iscsi", IQN) "/enable", "1" },
	{ WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "any", "chap=" CHAP_FILE),
	  TPG_OF("iscsi", IQN) "/attrib/generate_node_acls", "1" },
	{ WORDS("/dev/vg/data", "fabric=iser", "wwn=" IQN, "portal=[::1]:3261", "acl=" INITIATOR),
	  TPG_OF("iscsi", IQN) "/np/[::1]:3261/iser", "1" },
	{ WORDS("/dev/vg/data", "fabric=loopback", "wwn=naa.5001405000000001", "lun=3"),
	  TPG_OF("loopback", "naa.5001405000000001") "/lun/lun_3", NULL },
	{ WORDS("/dev/vg/data", "fabric=vhost", "wwn=naa.5001405000000001", "readonly"),
	  TPG_OF("vhost", "naa.5001405000000001") "/lun/lun_0", NULL },
	{ WORDS("/dev/vg/data", "fabric=srp", "wwn=fe80:0001:0002:0003", "acl=10.0.0.1",
		"portal=10.0.0.1"),
	  "target/srpt/discovery_auth/rdma_cm_port", "5555" },
	{ WORDS("/dev/vg/data", "fabric=fcoe", "wwn=2000001122334455",
		"acl=20:00:00:11:22:33:44:56"),
	  TPG_OF("fc", "20:00:00:11:22:33:44:55") "/acls/20:00:00:11:22:33:44:56/lun_0", NULL },
	{ WORDS("/dev/vg/data", "fabric=fc", "wwn=20:00:00:11:22:33:44:55",
		"acl=20:00:00:11:22:33:44:56"),
	  TPG_OF("qla2xxx", "20:00:00:11:22:33:44:55") "/enable", "1" },
	{ WORDS("/dev/vg/data", "fabric=usb", "wwn=naa.5001405000000001"),
	  TPG_OF("usb_gadget", "naa.5001405000000001") "/enable", "1" },
	{ WORDS("/dev/vg/data", "fabric=sbp", "wwn=0011223344556677", "any"),
	  TPG_OF("sbp", "0011223344556677") "/enable", "1" },
	{ WORDS("/dev/vg/data", "fabric=nvme-tcp", "wwn=" NQN, "acl=" HOST, "portal=10.0.0.1",
		"portal=[fe80::1]:4421"),
	  "nvmet/subsystems/" NQN "/namespaces/1/enable", "1" },
	{ WORDS("/dev/vg/data", "fabric=nvme-rdma", "wwn=" NQN, "any"),
	  "nvmet/subsystems/" NQN "/attr_allow_any_host", "1" },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The tree is what text says, which is freed. */
static void check_text(char *text, const char *what, unsigned int step)
{
	char *now = fake_text();

	CHECK_SAY(!strcmp(now, text), "%s, change %u: there is\n%s\ninstead of\n%s\n%s", what, step,
		  now, text, words_said());
	free(now);
	free(text);
}

static void test_all_fabrics(void)
{
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		char *before, *told;

		host_begin();
		before = fake_text();
		CHECK_SAY(!do_export(kinds[i].words), "%s: %s", kinds[i].words[1], words_said());
		CHECK_SAY(fake_has(kinds[i].there), "%s: no %s", kinds[i].words[1],
			  kinds[i].there);
		if (kinds[i].value)
			CHECK_SAY(!strcmp(fake_value(kinds[i].there), kinds[i].value), "%s is %s",
				  kinds[i].there, fake_value(kinds[i].there));
		CHECK_EQUAL(recorded_luns(), 1);
		told = strdup(words_said());
		CHECK_SAY(!*told, "%s", told);
		free(told);
		CHECK_SAY(!do_unexport(NULL), "%s: %s", kinds[i].words[1], words_said());
		CHECK_EQUAL(recorded_luns(), 0);
		check_text(before, kinds[i].words[1], 0);
		host_end();
	}
}

static void test_each_step_fails(void)
{
	unsigned int n;
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		for (n = 1; n < CHANGES_MAX; n++) {
			char *before;
			int code;

			host_begin();
			before = fake_text();
			fake_fail_at(n);
			code = do_export(kinds[i].words);
			if (fake_changes() < n) {
				free(before);
				host_end();
				break;
			}
			/* an attempt that may fail may be its only one: dbroot */
			if (code) {
				CHECK_EQUAL(recorded_luns(), 0);
				CHECK_SAY(!strstr(words_said(), SECRET), "%s", words_said());
				check_text(before, kinds[i].words[1], n);
			} else {
				CHECK_EQUAL(n, 1);
				free(before);
			}
			host_end();
		}
		CHECK_SAY(n > 6 && n < CHANGES_MAX, "%s: %u changes", kinds[i].words[1], n);
	}
}

static void test_each_removal_fails(void)
{
	unsigned int n;
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		for (n = 1; n < CHANGES_MAX; n++) {
			char *before;

			host_begin();
			before = fake_text();
			CHECK(!do_export(kinds[i].words));
			fake_fail_at(n);
			if (!do_unexport(NULL)) {
				CHECK(fake_changes() < n);
				free(before);
				host_end();
				break;
			}
			CHECK_EQUAL(recorded_luns(), 1);
			fake_fail_at(0);
			CHECK_SAY(!do_unexport(NULL), "again: %s", words_said());
			CHECK_EQUAL(recorded_luns(), 0);
			check_text(before, kinds[i].words[1], n);
			host_end();
		}
		CHECK_SAY(n > 4 && n < CHANGES_MAX, "%s: %u changes", kinds[i].words[1], n);
	}
}

/* --- signals, and worse --- */

static void send_signal(void)
{
	raise(SIGTERM);
}

static void test_interrupted(void)
{
	unsigned int n, interrupted = 0;
	char *before;
	int code;

	for (n = 1; n < CHANGES_MAX; n++) {
		host_begin();
		before = fake_text();
		fake_call_at(n, send_signal);
		code = do_export(kinds[0].words);
		if (fake_changes() < n) {
			free(before);
			host_end();
			break;
		}
		/* the last change is too late to be interrupted */
		if (code) {
			CHECK_EQUAL(code, EXIT_INTERRUPTED);
			CHECK_EQUAL(recorded_luns(), 0);
			check_text(before, "interrupted", n);
			interrupted++;
		} else {
			free(before);
		}
		host_end();
	}
	CHECK(interrupted > 10 && interrupted + 2 >= n);
}

static jmp_buf gone;

static void die(void)
{
	longjmp(gone, 1);
}

/* What the kernel does then. */
static void recover(void)
{
	closefrom(3);	/* and with them the locks */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	fake_call_at(0, NULL);
}

/* SIGKILL: nothing of ours runs any more. */
static void test_killed(void)
{
	volatile unsigned int n;
	volatile size_t i;
	char *volatile before;

	for (i = 0; i < NR_KINDS; i++) {
		for (n = 1; n < CHANGES_MAX; n++) {
			host_begin();
			before = fake_text();
			fake_call_at(n, die);
			if (!setjmp(gone)) {
				CHECK(!do_export(kinds[i].words));
				CHECK(fake_changes() < n);
				free(before);
				host_end();
				break;
			}
			recover();
			CHECK_SAY(!do_begin(), "%s", words_said());
			CHECK_EQUAL(recorded_luns(), 0);
			check_text(before, kinds[i].words[1], n);
			host_end();
		}
		CHECK(n > 6 && n < CHANGES_MAX);
	}
}

static void swap(void)
{
	swapped = true;
}

/* What was judged is what is exported, whatever becomes of its name meanwhile. */
static void test_other_device(void)
{
	static const char info[] = "target/core/iblock_0/vg-data/info";
	unsigned int n, refused = 0;
	char *before;

	for (n = 1; n < CHANGES_MAX; n++) {
		host_begin();
		before = fake_text();
		fake_call_at(n, swap);
		if (do_export(kinds[0].words)) {
			CHECK_SAY(strstr(words_said(), "another device"), "%s", words_said());
			check_text(before, "other device", n);
			refused++;
		} else {
			free(before);
			CHECK_SAY(strstr(fake_value(info), "Minor: 1 "), "change %u", n);
		}
		host_end();
		if (fake_changes() < n)
			break;
	}
	CHECK(refused > 3 && refused < n);
}

static const char *const *const first_luns[] = {
	WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
	      "acl=" INITIATOR),
	WORDS("/dev/vg/data", "fabric=nvme-tcp", "wwn=" NQN, "acl=" HOST,
	      "portal=127.0.0.1"),
};

static const char *const *const second_luns[] = {
	WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN, "portal=10.0.0.1",
	      "acl=iqn.1993-08.org.debian:01:second"),
	WORDS("/dev/vg/other", "fabric=nvme-tcp", "wwn=" NQN, "acl=" HOST "2",
	      "portal=10.0.0.1"),
};

/*
 * Killed while another LUN is made, with another initiator and portal: neither that
 * LUN is there nor they are.
 */
static void test_killed_at_second(void)
{
	volatile unsigned int n;
	volatile size_t i;
	char *volatile before;

	for (i = 0; i < 2; i++) {
		for (n = 1; n < CHANGES_MAX; n++) {
			host_begin();
			CHECK(!do_export(first_luns[i]));
			before = fake_text();
			fake_call_at(n, die);
			if (!setjmp(gone)) {
				CHECK(!do_export(second_luns[i]));
				CHECK(fake_changes() < n);
				free(before);
				fake_call_at(0, NULL);
				before = fake_text();
				CHECK(!do_begin());
				check_text(before, "complete", n);
				host_end();
				break;
			}
			recover();
			CHECK_SAY(!do_begin(), "%s", words_said());
			CHECK_EQUAL(recorded_luns(), 1);
			check_text(before, first_luns[i][1], n);
			CHECK(!do_unexport(NULL));
			host_end();
		}
		CHECK(n > 6 && n < CHANGES_MAX);
	}
}

/* --- with others of ours --- */

/* Two LUNs in a target, then another initiator: each sees both. */
static void test_second_lun(void)
{
	char *one;

	host_begin();
	CHECK(!do_export(kinds[0].words));
	one = fake_text();
	CHECK_SAY(!do_export(WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN,
				   "acl=iqn.1993-08.org.debian:01:second")), "%s", words_said());
	CHECK(fake_has(TPG_OF("iscsi", IQN) "/acls/" INITIATOR "/lun_1"));
	CHECK(fake_has(TPG_OF("iscsi", IQN) "/acls/iqn.1993-08.org.debian:01:second/lun_0"));
	CHECK(fake_has(TPG_OF("iscsi", IQN) "/acls/iqn.1993-08.org.debian:01:second/lun_1"));
	CHECK_EQUAL(do_export(WORDS("/dev/vg/fourth", "fabric=iscsi", "wwn=" IQN, "lun=1")),
		    EXIT_NOT_OURS);
	CHECK_EQUAL(do_export(WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN, "lun=7")),
		    EXIT_NOT_OURS);
	CHECK(!do_unexport("/dev/vg/data"));
	CHECK(fake_has(TPG_OF("iscsi", IQN) "/lun/lun_1"));
	CHECK(!fake_has(TPG_OF("iscsi", IQN) "/lun/lun_0"));
	CHECK(!do_unexport(NULL));
	CHECK_EQUAL(recorded_luns(), 0);
	free(one);
	one = fake_text();
	CHECK_SAY(!*one, "left: %s", one);
	free(one);
	host_end();
}

/* One device by two fabrics is one storage object, so that reservations hold for both. */
static void test_second_fabric(void)
{
	unsigned int n;
	char *first;

	for (n = 1; n < CHANGES_MAX; n++) {
		host_begin();
		CHECK(!do_export(kinds[0].words));
		first = fake_text();
		fake_fail_at(n);
		if (!do_export(WORDS("/dev/vg/data", "fabric=loopback"))) {
			free(first);
			break;
		}
		CHECK_EQUAL(recorded_luns(), 1);
		check_text(first, "second fabric", n);
		host_end();
	}
	fake_fail_at(0);
	CHECK(n > 5);
	CHECK(fake_has("target/core/iblock_0/vg-data"));
	CHECK(!fake_has("target/core/iblock_1"));
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=loopback")), EXIT_NOT_OURS);
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=nvme-tcp", "any")), EXIT_NOT_OURS);
	CHECK(!do_unexport(NULL));
	CHECK_EQUAL(recorded_luns(), 0);
	host_end();
}

/* A port of nvmet belongs to who made it first, until he is gone. */
static void test_shared_port(void)
{
	char *before;

	host_begin();
	before = fake_text();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=nvme-tcp", "wwn=" NQN, "acl=" HOST)));
	CHECK(!do_export(WORDS("/dev/vg/other", "fabric=nvme-tcp", "wwn=" NQN "2", "acl=" HOST)));
	CHECK(fake_has("nvmet/ports/1/subsystems/" NQN "2"));
	CHECK(!fake_has("nvmet/ports/2"));
	CHECK(!do_unexport("/dev/vg/data"));
	CHECK(fake_has("nvmet/ports/1/subsystems/" NQN "2"));
	CHECK(fake_has("nvmet/hosts/" HOST));
	CHECK(!do_unexport("/dev/vg/other"));
	check_text(before, "shared port", 0);
	host_end();
}

/* --- with others' --- */

static void make_foreign(const char *device, const char *serial)
{
	CHECK(fake_mkdir("target/core/iblock_7/their disk"));
	CHECK(fake_write("target/core/iblock_7/their disk/udev_path", device));
	CHECK(fake_write("target/core/iblock_7/their disk/control", "udev_path=x"));
	CHECK(fake_write("target/core/iblock_7/their disk/enable", "1"));
	CHECK(fake_write("target/core/iblock_7/their disk/wwn/vpd_unit_serial", serial));
}

static const struct refused {
	const char *const *words;
	int code;
} refused[] = {
	{ WORDS("/dev/vg/data", "fabric=loopback"), EXIT_NOT_OURS },	/* it is theirs */
	/* the same 25 digits */
	{ WORDS("/dev/vg/other", "fabric=loopback",
		"serial=12345678-1234-4234-8234-123456789fff"), EXIT_NOT_OURS },
	{ WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN, "any"), EXIT_NOT_OURS },
	{ WORDS("/dev/vg/fourth", "fabric=loopback"), EXIT_NOT_OURS },	/* mounted */
	{ WORDS("/dev/vg/nothing", "fabric=loopback"), EXIT_NO_INPUT },
	{ WORDS("/dev/vg/other", "fabric=iscsi"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=srp", "wwn=fe80:0001:0002:0003"),
	  EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=srp", "any"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=sbp", "wwn=0011223344556677"),
	  EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "any"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "portal=127.0.0.1"),
	  EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "chap=" CHAP_FILE), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=nvme-tcp", "any", "readonly"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=nvme-tcp", "any", "lun=0"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=pigeon"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "json", "dry"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "lun=-1"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "lun=70000"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "alua=../x"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "alua=a:dreaming"), EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "attribute=unmap_zeroes_data=1"),
	  EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "attribute=emulate_pr=0"),
	  EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "attribute=pgr_support=0"),
	  EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "attribute=../enable=0"),
	  EXIT_WRONG_USAGE },
	{ WORDS("/dev/vg/other", "fabric=loopback", "attribute=queue_depth=-1"),
	  EXIT_WRONG_USAGE },
	/* an attribute that this kernel does not have */
	{ WORDS("/dev/vg/other", "fabric=loopback", "attribute=submit_type=1"),
	  EXIT_DAMAGED },
};

static void test_refuses(void)
{
	static const char serial[] = "12345678-1234-4234-8234-1234567890ab";
	char *before;
	size_t i;

	host_begin();
	make_foreign("/dev/vg/data", serial);
	CHECK(fake_mkdir(TPG_OF("iscsi", IQN)));
	mounted = "/dev/vg/fourth";
	before = fake_text();
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		forget_words();
		CHECK_SAY(do_export(refused[i].words) == refused[i].code, "%zu: %s: %s", i,
			  refused[i].words[1], words_said());
		CHECK_EQUAL(recorded_luns(), 0);
	}
	/* our objects beside theirs; theirs stay */
	CHECK_SAY(!do_export(WORDS("/dev/vg/other", "fabric=loopback")), "%s", words_said());
	CHECK(fake_has("target/core/iblock_0/vg-other"));
	CHECK(!do_unexport(NULL));
	check_text(before, "others", 0);
	host_end();
}

/* By another plugin, of which info says no number: it has the device all the same. */
static void test_foreign_plugin(void)
{
	static const char place[] = "target/core/fileio_3/theirs";
	char path[256], who[256];

	host_begin();
	CHECK(fake_mkdir(place));
	snprintf(path, sizeof(path), "%s/udev_path", place);
	CHECK(fake_write(path, "/dev/mapper/vg-third"));
	snprintf(path, sizeof(path), "%s/control", place);
	CHECK(fake_write(path, "fd_dev_name=/dev/mapper/vg-third"));
	snprintf(path, sizeof(path), "%s/enable", place);
	CHECK(fake_write(path, "1"));
	snprintf(path, sizeof(path), "%s/info", place);
	CHECK(fake_write(path, "TCM FILEIO ID: 0        File: /dev/mapper/vg-third"));
	CHECK_EQUAL(do_export(WORDS("/dev/mapper/vg-third", "fabric=loopback")), EXIT_NOT_OURS);
	CHECK(export_holder("/dev/mapper/vg-third", who, sizeof(who)));
	CHECK_SAY(strstr(who, "fileio_3"), "%s", who);
	CHECK_SAY(!do_export(WORDS("/dev/vg/other", "fabric=loopback")), "%s", words_said());
	host_end();
}

/* SRP listens at one port for the whole host: that of others stays. */
static void test_srp_port_of_others(void)
{
	static const char port[] = "target/srpt/discovery_auth/rdma_cm_port";
	const char *const *words = WORDS("/dev/vg/data", "fabric=srp", "wwn=fe80:0001:0002:0003",
					 "acl=10.0.0.1", "portal=10.0.0.1");
	char *before;

	host_begin();
	CHECK(fake_mkdir(TPG_OF("srpt", "fe80:0001:0002:0004")));
	CHECK(fake_write(port, "6000"));
	before = fake_text();
	CHECK_EQUAL(do_export(words), EXIT_NOT_OURS);
	CHECK_SAY(strstr(words_said(), "6000"), "%s", words_said());
	CHECK(!strcmp(fake_value(port), "6000"));
	check_text(before, "port of others", 0);
	/* where nobody else is, nobody misses it */
	CHECK(fake_rmtree("target/srpt/fe80:0001:0002:0004"));
	CHECK_SAY(!do_export(words), "%s", words_said());
	CHECK(!strcmp(fake_value(port), "5555"));
	host_end();
}

/* Something of others in our target keeps it, and it is theirs then. */
static void test_stranger_in_target(void)
{
	host_begin();
	CHECK(!do_export(kinds[0].words));
	CHECK(fake_mkdir(TPG_OF("iscsi", IQN) "/lun/lun_9"));
	CHECK(!do_unexport(NULL));
	CHECK(fake_has(TPG_OF("iscsi", IQN) "/lun/lun_9"));
	CHECK(!strcmp(fake_value(TPG_OF("iscsi", IQN) "/enable"), "1"));
	CHECK(!fake_has(TPG_OF("iscsi", IQN) "/lun/lun_0"));
	CHECK_EQUAL(recorded_luns(), 0);
	host_end();
}

/* --- what was there before --- */

static void load_records(struct state *saved)
{
	CHECK_SAY(!state_load(saved, STATE_RUNNING), "%s", words_said());
	CHECK(saved->backstores == 1 && saved->targets == 1 && saved->luns == 1);
}

/* The first export of saved, which is freed, so many times. */
static void make_again(struct state *saved, const char *what, unsigned int times)
{
	struct exporting e;

	CHECK(!exporting_begin(&e, false));
	while (times--)
		CHECK_SAY(!export_make(&e, &saved->backstore[0], &saved->target[0],
				       &saved->lun[0]), "%s: %s", what, words_said());
	exporting_end(&e);
	state_free(saved);
	CHECK_EQUAL(recorded_luns(), 1);
}

/* Nothing that contains this is left. */
static void unexport_and_check(const char *part, const char *what)
{
	char *left;

	CHECK_SAY(!do_unexport(NULL), "%s: %s", what, words_said());
	left = fake_text();
	CHECK_SAY(!strstr(left, part) || !*left, "%s left %s", what, left);
	free(left);
	host_end();
}

/* The records are gone, the objects are there: somebody else has restored them. */
static void test_adopts(void)
{
	struct state saved;
	char *before;
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		host_begin();
		CHECK(!do_export(kinds[i].words));
		before = fake_text();
		load_records(&saved);
		unlink(STATE_RUNNING);
		CHECK(do_export(kinds[i].words));	/* for a stranger, it is in use */
		make_again(&saved, kinds[i].words[1], 1);
		check_text(before, kinds[i].words[1], 0);
		/* what others made with us has become ours, but for nvmet's ports and hosts */
		unexport_and_check("target/", kinds[i].words[1]);
	}
}

/* A UUID is the same in capital letters. */
static void test_adopts_capitals(void)
{
	struct state saved;

	host_begin();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=nvme-tcp", "wwn=" NQN, "any",
			       "serial=ABCDEF78-1234-4234-8234-1234567890AB")));
	load_records(&saved);
	unlink(STATE_RUNNING);
	make_again(&saved, "capitals", 1);
	unexport_and_check("nvmet/subsystems", "capitals");
}

/* Nothing in configfs, records elsewhere: all is made as it was, and can be asked for again. */
static void test_restores(void)
{
	struct state saved;
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		host_begin();
		CHECK(!do_export(kinds[i].words));
		load_records(&saved);
		host_restart();
		make_again(&saved, kinds[i].words[1], 2);
		/* links have names that say nothing */
		CHECK_SAY(fake_has(kinds[i].there), "%s", kinds[i].words[1]);
		unexport_and_check("", kinds[i].words[1]);
	}
}

/* targetctl clear: what is recorded is not there, and must not be in the way. */
static void test_cleared_by_others(void)
{
	size_t i;

	for (i = 0; i < NR_KINDS; i++) {
		host_begin();
		CHECK(!do_export(kinds[i].words));
		fake_end();
		fake_begin();
		CHECK_SAY(!do_export(kinds[i].words), "%s: %s", kinds[i].words[1], words_said());
		CHECK(fake_has(kinds[i].there));
		CHECK_EQUAL(recorded_luns(), 1);
		CHECK(!do_unexport(NULL));
		CHECK_EQUAL(recorded_luns(), 0);
		host_end();
	}
}

static void test_holder(void)
{
	char who[256];

	host_begin();
	CHECK(!export_holder("/dev/vg/data", who, sizeof(who)));
	CHECK(!do_export(kinds[0].words));
	CHECK(export_holder("/dev/vg/data", who, sizeof(who)));
	CHECK(strstr(who, IQN) && strstr(who, "larder unexport"));
	CHECK(!export_holder("/dev/vg/other", who, sizeof(who)));
	make_foreign("/dev/vg/other", "87654321-1234-4234-8234-1234567890ab");
	CHECK(export_holder("/dev/vg/other", who, sizeof(who)));
	CHECK(!strstr(who, "larder unexport"));
	host_end();
}

static const struct unit_test tests[] = {
	{ "all-fabrics", test_all_fabrics },
	{ "each-step-fails", test_each_step_fails },
	{ "each-removal-fails", test_each_removal_fails },
	{ "interrupted", test_interrupted },
	{ "killed", test_killed },
	{ "killed-at-second", test_killed_at_second },
	{ "other-device", test_other_device },
	{ "second-lun", test_second_lun },
	{ "second-fabric", test_second_fabric },
	{ "shared-port", test_shared_port },
	{ "refuses", test_refuses },
	{ "foreign-plugin", test_foreign_plugin },
	{ "srp-port-of-others", test_srp_port_of_others },
	{ "stranger-in-target", test_stranger_in_target },
	{ "adopts", test_adopts },
	{ "adopts-capitals", test_adopts_capitals },
	{ "restores", test_restores },
	{ "cleared-by-others", test_cleared_by_others },
	{ "holder", test_holder },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
