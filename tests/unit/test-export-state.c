// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What outlives an export: targetctl's file, into which our objects are put, and
 * the texts that LIO writes of reservations and states.
 */
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../userland/export/restore-state.h"
#include "../../userland/export/save-file.h"
#include "../../userland/export/saveconfig-splice.h"
#include "../../userland/larder.h"
#include "unit.h"

static char said[512];

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

/* --- targetctl's file --- */

static const char ours[] =
	"{\"storage_objects\":[{\"plugin\":\"block\",\"name\":\"mine\",\"dev\":\"/dev/vg/lv\"}],"
	"\"targets\":[{\"fabric\":\"iscsi\",\"wwn\":\"iqn.mine\",\"tpgs\":[]}]}";
static const char nothing[] = "{\"storage_objects\":[],\"targets\":[]}";

/* To be freed; NULL when it is refused. */
static char *splice(const char *text, const char *what, const char **why)
{
	struct json_object *o = json_tokener_parse(what);
	const char *reason;
	char *result = saveconfig_splice(text, strlen(text), o, why ? why : &reason);
	struct json_object *parsed = result ? json_tokener_parse(result) : NULL;

	CHECK(!result == !parsed);
	json_object_put(parsed);
	json_object_put(o);
	return result;
}

/* How many elements a list of the text has, and is one of them called so? */
static size_t elements(const char *text, const char *list, const char *key, const char *value,
		       size_t *found)
{
	struct json_object *whole = json_tokener_parse(text), *array, *member;
	size_t i, nr;

	CHECK(json_object_object_get_ex(whole, list, &array));
	nr = json_object_array_length(array);
	for (*found = 0, i = 0; i < nr; i++)
		if (json_object_object_get_ex(json_object_array_get_idx(array, i), key, &member) &&
		    !strcmp(json_object_get_string(member), value))
			(*found)++;
	json_object_put(whole);
	return nr;
}

static void check_element(const char *text, const char *list, const char *key, const char *value,
			  size_t wanted)
{
	size_t found;

	elements(text, list, key, value, &found);
	CHECK_SAY(found == wanted, "%zu of %s in %s", found, value, text);
}

static void test_splice_adds(void)
{
	static const char *const texts[] = {
		"{}", "{\n}\n", "{ \"targets\" : [ ] }", "{\"storage_objects\":[\n  ]}",
		"{\"a\":1}", "\n{\"x\":{\"targets\":[1]},\"targets\":[]}\t\n",
	};
	size_t i, found;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text = splice(texts[i], ours, NULL), *again;

		CHECK(text);
		CHECK_EQUAL(elements(text, "storage_objects", "name", "mine", &found), 1);
		CHECK_EQUAL(found, 1);
		check_element(text, "targets", "wwn", "iqn.mine", 1);
		again = splice(text, ours, NULL);
		CHECK_SAY(again && !strcmp(text, again), "again: %s", again);
		free(text);
		free(again);
	}
}

/* Nobody could read the file any more, nor what others have in it. */
static void test_splice_bytes(void)
{
	static const char bytes[] =
		"{\"storage_objects\":[{\"plugin\":\"block\",\"name\":\"a\377b\"}],\"targets\":[]}";
	const char *why = NULL;

	CHECK(!splice("{}", bytes, &why));
	CHECK_SAY(why && strstr(why, "UTF-8"), "%s", why);
}

/* With everything that a tool which writes text by itself could get wrong. */
static const char strange[] =
	"{\n \"fabric_modules\" :[ {\"name\":\"iscsi\", \"discovery_password\":\"a\\\"b}]\"}],\n"
	"\t\"storage_objects\": [ {\"name\":\"theirs\",\"plugin\":\"fileio\",\"size\":1e3,"
	" \"x\":1.50},\n   {\"plugin\":\"block\",\"name\":\"mine\",\"old\":true} ,"
	" {\"name\":\"mine\",\"plugin\":\"pscsi\"}\n ],"
	"\"targets\":[{\"wwn\":\"iqn.theirs\",\"fabric\":\"iscsi\",\"\\u0061\":\"\\/\"},"
	"null , 7]\n}\n\n";

static void test_splice_keeps(void)
{
	static const char *const kept[] = {
		"{\n \"fabric_modules\" :[ {\"name\":\"iscsi\", \"discovery_password\":\"a\\\"b}]\"}],\n"
		"\t\"storage_objects\": [ {\"name\":\"theirs\",\"plugin\":\"fileio\",\"size\":1e3,"
		" \"x\":1.50},\n   {",
		" , {\"name\":\"mine\",\"plugin\":\"pscsi\"}\n ],\"targets\":[{\"wwn\":\"iqn.theirs\","
		"\"fabric\":\"iscsi\",\"\\u0061\":\"\\/\"},null , 7,\n", "\n}\n\n",
	};
	char *text = splice(strange, ours, NULL);
	const char *at = text;
	size_t i;

	CHECK(text);
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		at = strstr(at, kept[i]);
		CHECK_SAY(at, "part %zu is lost in %s", i, text);
		at += strlen(kept[i]);
	}
	CHECK(!*at);
	CHECK(!strstr(text, "\"old\""));
	check_element(text, "storage_objects", "name", "mine", 2);
	free(text);
}

/* What we have put there goes, and nothing that others have put there. */
static void test_splice_removes(void)
{
	char *with = splice(strange, ours, NULL), *without = splice(with, nothing, NULL);

	check_element(without, "storage_objects", "name", "mine", 1);	/* pscsi's */
	check_element(without, "storage_objects", "name", "theirs", 1);
	check_element(without, "targets", "wwn", "iqn.mine", 0);
	check_element(without, "targets", "wwn", "iqn.theirs", 1);
	free(with);
	free(without);
	/* of the same name, but not put there by us */
	without = splice("{\"storage_objects\":[{\"plugin\":\"block\",\"name\":\"mine\"}]}",
			 nothing, NULL);
	check_element(without, "storage_objects", "name", "mine", 1);
	free(without);
	/* the first of several, the last, all */
	with = splice("{\"larder\":{\"targets\":[{\"fabric\":\"f\",\"wwn\":\"1\"},"
		      "{\"fabric\":\"f\",\"wwn\":\"3\"}]},\"targets\":[{\"fabric\":\"f\",\"wwn\":\"1\"},"
		      "{\"fabric\":\"f\",\"wwn\":\"2\"}, {\"wwn\":\"3\",\"fabric\":\"f\"}]}",
		      nothing, NULL);
	CHECK(strstr(with, "\"targets\":[{\"fabric\":\"f\",\"wwn\":\"2\"}]"));
	free(with);
}

static void test_splice_refuses(void)
{
	static const char *const texts[] = {
		"", " ", "[]", "{", "{}x", "{}{}", "nul", "{\"targets\":{}}", "{\"targets\":[],}",
		"{\"targets\":[],\"targets\":[]}", "{\"t\\u0061rgets\":[]}", "/* */{}",
		"{'targets':[]}", "{\"a\":\"\xff\"}", "{\"larder\":1,\"larder\":1}",
	};
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CHECK_SAY(!splice(texts[i], ours, &why), "taken: %s", texts[i]);
		CHECK(why && *why);
	}
	CHECK(!saveconfig_splice("{}\0{}", 5, NULL, &why));
}

/* --- what LIO writes --- */

struct taken {
	unsigned int nr;
	char last[4096];
	int answer;
};

static int take(void *context, const char *registration)
{
	struct taken *t = context;

	t->nr++;
	snprintf(t->last, sizeof(t->last), "%s", registration);
	return t->answer;
}

static const char aptpl[] =
	"PR_REG_START: 0\ninitiator_fabric=iSCSI\ninitiator_node=iqn.1993-08.org.debian:01:a\n"
	"initiator_sid=0x00023d000001\nsa_res_key=2748\nres_holder=1\nres_type=05\nres_scope=00\n"
	"res_all_tg_pt=0\nmapped_lun=0\ntarget_fabric=iSCSI\ntarget_node=iqn.2003-01.org.x:y\n"
	"tpgt=1\nport_rtpi=1\ntarget_lun=0\nPR_REG_END: 0\n"
	"PR_REG_START: 1\ninitiator_node=iqn.b\nsa_res_key=1\nres_holder=0\nPR_REG_END: 1\n";

static void test_reservations(void)
{
	struct taken t = { .answer = 0 };
	const char *why;

	CHECK_EQUAL(aptpl_parse(aptpl, take, &t, &why), 0);
	CHECK_EQUAL(t.nr, 2);
	CHECK(!strcmp(t.last, "initiator_node=iqn.b,sa_res_key=1,res_holder=0"));
	t = (struct taken) { .answer = 5 };
	CHECK_EQUAL(aptpl_parse(aptpl, take, &t, &why), 5);
	CHECK_EQUAL(t.nr, 1);
	CHECK(!strncmp(t.last, "initiator_fabric=iSCSI,initiator_node=iqn.1993-08.org.debian:01:a",
		       64));
	t = (struct taken) { .answer = 0 };
	CHECK_EQUAL(aptpl_parse("No Registrations or Reservations\n", take, &t, &why), 0);
	CHECK_EQUAL(aptpl_parse("", take, &t, &why), 0);
	CHECK_EQUAL(t.nr, 0);
}

static void test_reservations_damaged(void)
{
	static const char *const texts[] = {
		"PR_REG_START: 0\nsa_res_key=1\n", "PR_REG_END: 0\n", "sa_res_key=1\n",
		"PR_REG_START: 0\nPR_REG_END: 0\n", "PR_REG_START: 0\nPR_REG_START: 1\n",
		"PR_REG_START: 0\nsa_res_key=1,res_holder=1\nPR_REG_END: 0\n",
		"PR_REG_START: 0\nsa_res_key=1 2\nPR_REG_END: 0\n",
		"PR_REG_START: 0\nsomething=1\nPR_REG_END: 0\n",
		"PR_REG_START: 0\nsa_res_key\nPR_REG_END: 0\n",
		"PR_REG_START: 0\nsa_res_key=\x1b[0m\nPR_REG_END: 0\n",
	};
	struct taken t = { .answer = 0 };
	char longer[8192];
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CHECK_SAY(aptpl_parse(texts[i], take, &t, &why) == -1, "taken: %s", texts[i]);
		CHECK(why);
	}
	snprintf(longer, sizeof(longer), "PR_REG_START: 0\ninitiator_node=%05000d\nPR_REG_END: 0\n",
		 1);
	CHECK_EQUAL(aptpl_parse(longer, take, &t, &why), -1);
	CHECK_EQUAL(t.nr, 0);
}

static void test_group_state(void)
{
	unsigned int state = 9, status = 9;

	CHECK(alua_parse("tg_pt_gp_id=16\nalua_access_state=0x02\nalua_access_status=0x01\n",
			 &state, &status));
	CHECK_EQUAL(state, 2);
	CHECK_EQUAL(status, 1);
	CHECK(!alua_parse("", &state, &status));
	CHECK(!alua_parse("alua_access_state=0x02\n", &state, &status));
	CHECK(!alua_parse("alua_access_state=2\nalua_access_status=0x01\n", &state, &status));
	CHECK(!alua_parse("alua_access_state=0x02z\nalua_access_status=0x01\n", &state, &status));
	CHECK(!alua_parse("alua_access_state=0xfffffffff2\nalua_access_status=0x01\n", &state,
			  &status));
	CHECK(!alua_parse("xalua_access_state=0x02\nalua_access_status=0x01\n", &state, &status));
}

/* --- files --- */

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[2][128];
	static unsigned int which;

	which = !which;
	snprintf(path[which], sizeof(path[which]), "%s/%s", dir, name);
	return path[which];
}

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/larder-unit-XXXXXX");
	CHECK(mkdtemp(dir));
}

static void remove_dir(void)
{
	static const char *const names[] = { "file", "link", "fifo" };
	size_t i;

	for (i = 0; i < 3; i++)
		unlink(in_dir(names[i]));
	CHECK(!rmdir(dir));	/* nothing else is left */
}

static void test_file(void)
{
	char *text;
	size_t length;
	struct stat st;

	make_dir();
	CHECK_EQUAL(file_read_whole(in_dir("file"), 100, &text, &length), 0);
	CHECK(!text);
	CHECK_EQUAL(file_replace(in_dir("file"), "one", 3), 0);
	CHECK(!stat(in_dir("file"), &st));
	CHECK_EQUAL(st.st_mode & 07777, 0600);
	CHECK(!chmod(in_dir("file"), 0644));
	CHECK_EQUAL(file_replace(in_dir("file"), "three", 5), 0);
	CHECK(!stat(in_dir("file"), &st));
	CHECK_EQUAL(st.st_mode & 07777, 0600);
	CHECK_EQUAL(file_read_whole(in_dir("file"), 5, &text, &length), 0);
	CHECK(text && length == 5 && !strcmp(text, "three"));
	free(text);
	remove_dir();
}

static void test_file_of_others(void)
{
	char *text;
	size_t length;

	make_dir();
	CHECK_EQUAL(file_replace(in_dir("file"), "three", 5), 0);
	CHECK(file_read_whole(in_dir("file"), 4, &text, &length) && !text);
	CHECK(!symlink("file", in_dir("link")));
	CHECK(file_read_whole(in_dir("link"), 100, &text, &length) && !text);
	unlink(in_dir("link"));
	CHECK(!symlink("nowhere", in_dir("link")));	/* is no missing file */
	CHECK(file_read_whole(in_dir("link"), 100, &text, &length) && !text);
	CHECK(!mkfifo(in_dir("fifo"), 0600));
	CHECK(file_read_whole(in_dir("fifo"), 100, &text, &length) && !text);
	CHECK(!chmod(in_dir("file"), 0620));
	CHECK(file_read_whole(in_dir("file"), 100, &text, &length) && !text);
	CHECK(!chmod(in_dir("file"), 0600) && !chmod(dir, 0777));
	CHECK(file_read_whole(in_dir("file"), 100, &text, &length) && !text);
	CHECK(file_replace(in_dir("file"), "x", 1));
	if (!geteuid()) {
		CHECK(!chmod(dir, 0755) && !chown(in_dir("file"), 65534, 65534));
		CHECK(file_read_whole(in_dir("file"), 100, &text, &length) && !text);
	}
	/* a link is replaced, not followed */
	CHECK(!chmod(dir, 0755) && !chown(in_dir("file"), geteuid(), getegid()));
	unlink(in_dir("link"));
	CHECK(!symlink("file", in_dir("link")));
	CHECK_EQUAL(file_replace(in_dir("link"), "x", 1), 0);
	CHECK_EQUAL(file_read_whole(in_dir("file"), 100, &text, &length), 0);
	CHECK(!strcmp(text, "three"));
	free(text);
	remove_dir();
}

static const struct unit_test tests[] = {
	{ "splice_adds", test_splice_adds },
	{ "splice-bytes", test_splice_bytes },
	{ "splice_keeps", test_splice_keeps },
	{ "splice_removes", test_splice_removes },
	{ "splice_refuses", test_splice_refuses },
	{ "reservations", test_reservations },
	{ "reservations_damaged", test_reservations_damaged },
	{ "group_state", test_group_state },
	{ "file", test_file },
	{ "file_of_others", test_file_of_others },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
