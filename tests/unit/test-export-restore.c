// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder save, restore and the guard of detach, against a configfs in memory:
 * what is exported is there again after a restart, as it was, and nothing of it
 * when a step fails; what waits for its device is not forgotten.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../userland/export/exporting.h"
#include "../../userland/export/guard.h"
#include "../../userland/export/restore-exports.h"
#include "../../userland/options.h"
#include "tools/export-fixture.h"
#include "tools/fake-configfs.h"
#include "unit.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define IQN		"iqn.2003-01.org.example:store"
#define NQN		"nqn.2014-08.org.example:store"
#define TPG_PATH	"target/iscsi/" IQN "/tpgt_1"
#define DBROOT		LARDER_ROOT "/etc/rtslib-fb-target"
#define SAVECONFIG	LARDER_ROOT "/etc/saveconfig.json"
#define CHANGES_MAX	200

static int do_save(const char *targetcli)
{
	/* getopt() keeps a pointer into them from call to call */
	static char word[4][256];
	static char *argv[5];
	int i;

	snprintf(word[0], sizeof(word[0]), "save");
	snprintf(word[1], sizeof(word[1]), "-q");
	snprintf(word[2], sizeof(word[2]), "--targetcli");
	snprintf(word[3], sizeof(word[3]), "%s", targetcli ? targetcli : "");
	for (i = 0; i < 4; i++)
		argv[i] = i < 2 || targetcli ? word[i] : NULL;
	return command_save.run(targetcli ? 4 : 2, argv);
}

static int do_restore(const char *what)
{
	const struct restore_exports r = { .what = what, .quiet = true };

	return restore_exports(&r);
}

static void begin(void)
{
	host_begin();
	unlink(STATE_SAVED);
	unlink(SAVECONFIG);
}

/* A target with everything, and one more LUN of the same device; NVMe. */
static void export_all(void)
{
	CHECK_SAY(!do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
				   "acl=" INITIATOR, "chap=" CHAP_FILE, "alua=left:standby",
				   "lun=3")), "%s", words_said());
	CHECK_SAY(!do_export(WORDS("/dev/vg/data", "fabric=loopback",
				   "wwn=naa.5001405000000001")), "%s", words_said());
	CHECK_SAY(!do_export(WORDS("/dev/vg/other", "fabric=nvme-tcp", "wwn=" NQN, "acl=" HOST,
				   "portal=10.0.0.1")), "%s", words_said());
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines in another order, without the names of links to LUNs, which are random. */
static void mask(char *text)
{
	char *copy = strdup(text), *line, *rest = copy, *name, *lines[2000];
	size_t nr = 0, i;

	while ((line = strsep(&rest, "\n")) && nr < 2000) {
		name = strstr(line, "(link)") ? strstr(line, "/lun_") : NULL;
		name = name ? strchr(name + 1, '/') : NULL;
		for (i = 1; name && name[i] && name[i] != ' '; i++)
			name[i] = 'x';
		lines[nr++] = line;
	}
	qsort(lines, nr, sizeof(lines[0]), by_text);
	for (*text = '\0', i = 0; i < nr; i++) {
		text = stpcpy(text, lines[i]);
		text = stpcpy(text, i + 1 < nr ? "\n" : "");
	}
	free(copy);
}

/* The same tree; both are freed. */
static void check_same(char *is, char *was, const char *when, unsigned int step)
{
	mask(is);
	mask(was);
	CHECK_SAY(!strcmp(is, was), "%s %u: there is\n%s\ninstead of\n%s\n%s", when, step, is, was,
		  words_said());
	free(is);
	free(was);
}

static void test_restart(void)
{
	char *was;

	begin();
	CHECK_EQUAL(do_restore(NULL), 0);	/* nothing is written down */
	export_all();
	was = fake_text();
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	check_same(fake_text(), was, "restored", 0);
	CHECK_EQUAL(recorded_luns(), 3);
	/* again: nothing happens */
	fake_fail_at(0);
	CHECK_EQUAL(do_restore(NULL), 0);
	CHECK_EQUAL(fake_changes(), 0);
	CHECK_EQUAL(do_restore("vg/data"), 0);
	CHECK_EQUAL(do_restore("/dev/vg/data"), 0);
	CHECK_EQUAL(do_restore("vg/fourth"), EXIT_NO_INPUT);
	CHECK_EQUAL(do_unexport(NULL), 0);
	host_end();
}

/* targetctl clear does that. */
static void test_others_clear(void)
{
	char *was;

	begin();
	export_all();
	was = fake_text();
	CHECK_EQUAL(do_save(NULL), 0);
	fake_end();
	fake_begin();
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	check_same(fake_text(), was, "restored", 0);
	host_end();
}

static void test_missing_device(void)
{
	char *was;

	begin();
	export_all();
	was = fake_text();
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	missing = "/dev/vg/data";
	CHECK_EQUAL(do_restore(NULL), 0);
	CHECK_EQUAL(recorded_luns(), 1);
	CHECK_EQUAL(do_restore("vg/data"), EXIT_NO_INPUT);
	CHECK_EQUAL(do_save(NULL), 0);		/* does not forget it */
	missing = NULL;
	CHECK_SAY(!do_restore("vg/data"), "%s", words_said());
	CHECK_EQUAL(recorded_luns(), 3);
	check_same(fake_text(), was, "restored", 0);
	host_end();
}

/* A number that is another's by now cannot wait. */
static void test_number_taken(void)
{
	begin();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "acl=" INITIATOR)));
	CHECK_EQUAL(do_save(NULL), 0);
	CHECK_SAY(!*words_said(), "%s", words_said());
	host_restart();
	missing = "/dev/vg/data";
	CHECK(!do_export(WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN, "acl=" INITIATOR)));
	CHECK_EQUAL(do_save(NULL), 0);
	CHECK_SAY(strstr(words_said(), "/dev/vg/data"), "%s", words_said());
	host_end();
}

/* The name and serial number of what waits are those of another kind of export now. */
static void test_other_kind(void)
{
	static const char serial[] = "serial=12345678-1234-4234-8234-1234567890ab";
	struct state s;

	begin();
	CHECK(!do_export(WORDS("/dev/vg/data", "fabric=loopback", serial)));
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	missing = "/dev/vg/data";
	CHECK_SAY(!do_export(WORDS("/dev/mapper/vg-data", "fabric=nvme-tcp", "any", serial)), "%s",
		  words_said());
	CHECK_EQUAL(do_save(NULL), 0);
	CHECK_SAY(!state_load(&s, STATE_SAVED), "%s", words_said());
	CHECK_EQUAL(s.luns, 1);
	state_free(&s);
	CHECK_EQUAL(do_unexport(NULL), 0);
	host_end();
}

static void test_unexported(void)
{
	begin();
	export_all();
	CHECK_EQUAL(do_save(NULL), 0);
	CHECK_EQUAL(do_unexport("/dev/vg/data"), 0);
	CHECK_EQUAL(do_restore(NULL), 0);	/* as save was not told */
	CHECK_EQUAL(recorded_luns(), 3);
	CHECK_EQUAL(do_unexport("/dev/vg/data"), 0);
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	CHECK_EQUAL(do_restore(NULL), 0);
	CHECK_EQUAL(recorded_luns(), 1);
	CHECK_EQUAL(do_restore("vg/data"), EXIT_NO_INPUT);
	host_end();
}

/* What fails is not there, and the next attempt makes it. */
static void test_each_step_fails(void)
{
	char *was, *again;
	unsigned int n;

	for (n = 1; n < CHANGES_MAX; n++) {
		begin();
		export_all();
		was = fake_text();
		CHECK_EQUAL(do_save(NULL), 0);
		host_restart();
		fake_fail_at(n);
		do_restore(NULL);
		if (fake_changes() < n) {
			free(was);
			host_end();
			break;
		}
		fake_fail_at(0);
		CHECK(!strstr(words_said(), SECRET));
		forget_words();
		CHECK_SAY(!do_restore(NULL), "change %u: %s", n, words_said());
		CHECK_EQUAL(recorded_luns(), 3);
		/* the numbers of adapters and ports depend on what failed */
		CHECK_EQUAL(do_unexport(NULL), 0);
		again = fake_text();
		CHECK_SAY(!strstr(again, "iqn."), "change %u: %s", n, again);
		free(again);
		free(was);
		host_end();
	}
	CHECK_SAY(n > 30 && n < CHANGES_MAX, "%u changes", n);
}

/* --- what LIO writes down --- */

static void first_serial(char serial[UUID_MAX])
{
	struct state s;

	CHECK(!state_load(&s, STATE_RUNNING));
	CHECK(s.backstores);
	snprintf(serial, UUID_MAX, "%s", s.backstore[0].serial);
	state_free(&s);
}

/* With the zero at its end, if that is asked for: so does the kernel. */
static void write_bytes(const char *format, const char *serial, const char *text, size_t length)
{
	char path[512], *slash;
	FILE *file;

	snprintf(path, sizeof(path), format, serial);
	slash = strrchr(path, '/');
	*slash = '\0';
	mkdir(path, 0700);
	*slash = '/';
	write_file(path, "", 0600);
	file = fopen(path, "w");
	CHECK(file && fwrite(text, 1, length, file) == length && !fclose(file));
}

static void write_below(const char *format, const char *serial, const char *text)
{
	write_bytes(format, serial, text, strlen(text));
}

static const char *backstore_value(const char *name)
{
	static const char *const places[] = { "target/core/iblock_0", "target/core/iblock_1" };
	char path[512];
	size_t i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/vg-data/%s", places[i], name);
		if (*fake_value(path))
			return fake_value(path);
	}
	return "";
}

static void test_reservations(void)
{
	static const char aptpl[] =
		"PR_REG_START: 0\ninitiator_node=iqn.a\nsa_res_key=2748\nres_holder=1\n"
		"PR_REG_END: 0\n";
	static const char damaged[] = "PR_REG_START: 0\nsa_res_key=2748\nPR_REG_END: 0\n\0";
	char serial[UUID_MAX];

	begin();
	export_all();
	first_serial(serial);
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	/* a file whose end never reached the disk */
	write_bytes(DBROOT "/pr/aptpl_%s", serial, damaged, sizeof(damaged));
	CHECK_EQUAL(do_restore(NULL), EXIT_NOT_OURS);
	CHECK(!*backstore_value("pr/res_aptpl_metadata"));
	host_restart();
	write_bytes(DBROOT "/pr/aptpl_%s", serial, aptpl, sizeof(aptpl));
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	CHECK_SAY(!strcmp(backstore_value("pr/res_aptpl_metadata"),
			  "initiator_node=iqn.a,sa_res_key=2748,res_holder=1"), "%s",
		  backstore_value("pr/res_aptpl_metadata"));
	/* without what they protect from, it is not exported */
	host_restart();
	write_below(DBROOT "/pr/aptpl_%s", serial, "PR_REG_START: 0\nsa_res_key=2748\n");
	CHECK_EQUAL(do_restore(NULL), EXIT_NOT_OURS);
	CHECK_EQUAL(recorded_luns(), 1);
	write_below(DBROOT "/pr/aptpl_%s", serial, "No Registrations or Reservations\n");
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	CHECK_EQUAL(recorded_luns(), 3);
	CHECK(!*backstore_value("pr/res_aptpl_metadata"));
	host_end();
}

static void test_group_state(void)
{
	char serial[UUID_MAX];

	begin();
	export_all();
	first_serial(serial);
	CHECK(!strcmp(backstore_value("alua/left/alua_access_state"), "2"));
	CHECK(!strcmp(backstore_value("alua/left/alua_write_metadata"), "1"));
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	write_below(DBROOT "/alua/tpgs_%s/left", serial,
		    "tg_pt_gp_id=1\nalua_access_state=0x01\nalua_access_status=0x02\n");
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	CHECK(!strcmp(backstore_value("alua/left/alua_access_state"), "1"));
	host_restart();
	write_below(DBROOT "/alua/tpgs_%s/left", serial, "nonsense\n");
	CHECK_EQUAL(do_restore(NULL), 0);
	CHECK(!strcmp(backstore_value("alua/left/alua_access_state"), "2"));
	CHECK(strstr(words_said(), "left"));
	host_end();
}

/* --- others --- */

/* What targetcli has given to our target, and taken from it. */
static void test_follow(void)
{
	begin();
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
				    "acl=" INITIATOR)), 0);
	CHECK(fake_mkdir(TPG_PATH "/np/10.0.0.9:3260"));
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	CHECK(fake_has(TPG_PATH "/np/10.0.0.9:3260") && fake_has(TPG_PATH "/np/127.0.0.1:3260"));
	CHECK_SAY(!do_unexport(NULL), "%s", words_said());
	CHECK(!fake_has("target/iscsi/" IQN));
	host_end();
}

/* targetcli spells some names in another way, and an administrator in any. */
static void test_follow_spelling(void)
{
	char *was;

	begin();
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
				    "acl=" INITIATOR)), 0);
	CHECK(fake_mkdir(TPG_PATH "/np/[::0]:3260"));
	CHECK(fake_mkdir(TPG_PATH "/acls/iqn.1993-08.org.Debian:01:Other"));
	was = fake_text();
	CHECK_SAY(!do_save(NULL), "%s", words_said());
	CHECK_EQUAL(recorded_luns(), 1);
	host_restart();
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	CHECK(fake_has(TPG_PATH "/np/[::0]:3260") && fake_has(TPG_PATH "/np/127.0.0.1:3260"));
	CHECK(fake_has(TPG_PATH "/acls/iqn.1993-08.org.Debian:01:Other"));
	CHECK_SAY(!do_unexport(NULL), "%s", words_said());
	CHECK(!fake_has("target/iscsi/" IQN));
	free(was);
	host_end();
}

/* What no command would take is told, not written down, and not larder's. */
static void test_follow_strange(void)
{
	begin();
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
				    "acl=" INITIATOR)), 0);
	CHECK(fake_mkdir(TPG_PATH "/acls/somebody"));
	CHECK(fake_mkdir(TPG_PATH "/np/localhost:3260"));
	CHECK_SAY(!do_save(NULL), "%s", words_said());
	CHECK_SAY(strstr(words_said(), "somebody") && strstr(words_said(), "localhost"), "%s",
		  words_said());
	CHECK_EQUAL(recorded_luns(), 1);
	host_restart();
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	CHECK(fake_has(TPG_PATH "/acls/" INITIATOR) && !fake_has(TPG_PATH "/acls/somebody"));
	host_end();
}

/* Where a portal is only a port, no directory has it. */
static void test_follow_srp(void)
{
	static const char port[] = "target/srpt/discovery_auth/rdma_cm_port";

	begin();
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=srp", "wwn=fe80:0001:0002:0003",
				    "acl=10.0.0.1", "portal=10.0.0.1")), 0);
	CHECK_EQUAL(do_save(NULL), 0);
	host_restart();
	CHECK_SAY(!do_restore(NULL), "%s", words_said());
	CHECK_SAY(!strcmp(fake_value(port), "5555"), "port %s", fake_value(port));
	host_end();
}

#define SECOND		"iqn.1993-08.org.debian:01:second"

/* Whom somebody has taken away since, or has never let in this time, is not let in again. */
static void test_revoked(void)
{
	begin();
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
				    "acl=" INITIATOR, "acl=" SECOND)), 0);
	CHECK_EQUAL(do_save(NULL), 0);
	CHECK(fake_rmtree(TPG_PATH "/acls/" SECOND));
	CHECK_EQUAL(do_restore("vg/data"), EXIT_DAMAGED);
	CHECK(!fake_has(TPG_PATH "/acls/" SECOND));
	CHECK_EQUAL(do_unexport(NULL), 0);
	CHECK_EQUAL(do_export(WORDS("/dev/vg/data", "fabric=iscsi", "wwn=" IQN, "portal=127.0.0.1",
				    "acl=" INITIATOR)), 0);
	CHECK_EQUAL(do_restore(NULL), EXIT_DAMAGED);
	CHECK(!fake_has(TPG_PATH "/acls/" SECOND));
	CHECK_SAY(strstr(words_said(), SECOND), "%s", words_said());
	/* nor with another LUN */
	CHECK(fake_rmtree(TPG_PATH "/acls/" INITIATOR));
	CHECK_SAY(!do_export(WORDS("/dev/vg/other", "fabric=iscsi", "wwn=" IQN, "acl=" SECOND)),
		  "%s", words_said());
	CHECK(fake_has(TPG_PATH "/acls/" SECOND "/lun_1"));
	CHECK(!fake_has(TPG_PATH "/acls/" INITIATOR));
	CHECK_SAY(!do_unexport(NULL), "%s", words_said());
	CHECK(!fake_has("target/iscsi/" IQN));
	host_end();
}

static struct json_object *element(struct json_object *o, const char *list, size_t i)
{
	struct json_object *array;

	CHECK_SAY(json_object_object_get_ex(o, list, &array), "no %s", list);
	CHECK_SAY(json_object_array_length(array) > i, "%s has no %zu", list, i);
	return json_object_array_get_idx(array, i);
}

static void check_value(struct json_object *o, const char *key, const char *value)
{
	struct json_object *is;

	CHECK_SAY(json_object_object_get_ex(o, key, &is), "no %s", key);
	CHECK_SAY(!strcmp(json_object_get_string(is), value), "%s is %s", key,
		  json_object_get_string(is));
}

static void test_targetctl(void)
{
	struct json_object *whole, *target, *tpg, *acl;
	struct stat st;

	begin();
	export_all();
	CHECK_SAY(!do_save(SAVECONFIG), "%s", words_said());
	CHECK(!stat(SAVECONFIG, &st) && (st.st_mode & 07777) == 0600);
	whole = json_object_from_file(SAVECONFIG);
	CHECK(whole);
	check_value(element(whole, "storage_objects", 0), "dev", "/dev/vg/data");
	check_value(element(whole, "storage_objects", 0), "plugin", "block");
	check_value(element(element(whole, "storage_objects", 0), "alua_tpgs", 1), "name", "left");
	target = element(whole, "targets", 0);
	check_value(target, "fabric", "iscsi");
	check_value(target, "wwn", IQN);
	tpg = element(target, "tpgs", 0);
	check_value(tpg, "enable", "true");
	check_value(element(tpg, "luns", 0), "index", "3");
	check_value(element(tpg, "luns", 0), "storage_object", "/backstores/block/vg-data");
	check_value(element(tpg, "portals", 0), "ip_address", "127.0.0.1");
	check_value(element(tpg, "portals", 0), "port", "3260");
	acl = element(tpg, "node_acls", 0);
	check_value(acl, "node_wwn", INITIATOR);
	check_value(acl, "chap_password", SECRET);
	check_value(element(acl, "mapped_luns", 0), "tpg_lun", "3");
	check_value(element(whole, "targets", 1), "fabric", "loopback");
	json_object_put(whole);
	/* nothing of it stays when it is exported no more */
	CHECK_EQUAL(do_unexport(NULL), 0);
	CHECK_EQUAL(do_save(SAVECONFIG), 0);
	whole = json_object_from_file(SAVECONFIG);
	CHECK(!strstr(json_object_to_json_string(whole), "vg-data"));
	json_object_put(whole);
	/* what is none of targetctl's stays what it is */
	write_file(SAVECONFIG, "[]", 0600);
	CHECK_EQUAL(do_save(SAVECONFIG), EXIT_NOT_OURS);
	CHECK(!stat(SAVECONFIG, &st) && st.st_size == 2);
	unlink(SAVECONFIG);
	host_end();
}

static void test_guard(void)
{
	begin();
	CHECK_EQUAL(guard_exported("/dev/vg/data", false, true), 0);
	export_all();
	CHECK_EQUAL(guard_exported("/dev/vg/fourth", false, true), 0);
	CHECK_EQUAL(guard_exported("/dev/vg/data", false, true), EXIT_NOT_OURS);
	CHECK(strstr(words_said(), "larder unexport"));
	CHECK_EQUAL(recorded_luns(), 3);
	CHECK_EQUAL(guard_exported("/dev/vg/other", false, true), EXIT_NOT_OURS);
	CHECK_EQUAL(guard_exported("/dev/vg/data", true, true), 0);
	CHECK_EQUAL(recorded_luns(), 1);
	CHECK_EQUAL(guard_exported("/dev/vg/data", false, true), 0);
	host_end();
}

static const struct unit_test tests[] = {
	{ "restart", test_restart },
	{ "others_clear", test_others_clear },
	{ "missing_device", test_missing_device },
	{ "other_kind", test_other_kind },
	{ "number_taken", test_number_taken },
	{ "unexported", test_unexported },
	{ "each_step_fails", test_each_step_fails },
	{ "reservations", test_reservations },
	{ "group_state", test_group_state },
	{ "follow", test_follow },
	{ "follow_spelling", test_follow_spelling },
	{ "follow_strange", test_follow_strange },
	{ "follow_srp", test_follow_srp },
	{ "revoked", test_revoked },
	{ "targetctl", test_targetctl },
	{ "guard", test_guard },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
