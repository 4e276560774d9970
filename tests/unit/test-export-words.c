// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What larder export believes of names, files and values of others: names in
 * configfs and on fabrics, portals, files with secrets, its own state file.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/export-fixture.h"
#include "tools/fake-configfs.h"
#include "unit.h"

static void test_names(void)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "a\nb", "\x7f", "/" };
	static const char *const good[] = { "a", "...", "iblock_0", "[::1]:3260", "iqn.x:y" };
	char path[CONFIGFS_PATH_MAX], name[300];
	struct configfs c;
	size_t i;

	host_begin();
	c = fake_configfs();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_SAY(!configfs_name_valid(bad[i]), "'%s'", bad[i]);
		configfs_path(path, "target/%s", bad[i]);
		/* others may use blanks; two good names in one are a path of their own */
		CHECK_SAY(configfs_name_possible(bad[i]) == !strcmp(bad[i], "a b"), "'%s'", bad[i]);
		if (!configfs_name_possible(bad[i]) && strcmp(bad[i], "a/b"))
			CHECK_SAY(!*path, "'%s' becomes '%s'", bad[i], path);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK_SAY(configfs_name_valid(good[i]), "'%s'", good[i]);
	memset(name, 'x', sizeof(name));
	name[299] = '\0';
	CHECK(!configfs_name_valid(name));
	name[223] = '\0';
	CHECK(configfs_name_valid(name));
	CHECK(configfs_make(&c, "target/../nvmet/hosts/x") && !fake_has("nvmet/hosts/x"));
	CHECK(configfs_make(&c, ""));
	CHECK(configfs_link(&c, "target/core/../core", "target/x"));
	CHECK(configfs_write(&c, "target/dbroot", "/a\n/b"));
	CHECK(configfs_write(&c, "target/dbroot", ""));
	CHECK(configfs_kind(&c, "target//core") == CONFIGFS_NOTHING);
	host_end();
}

static void test_wwns(void)
{
	static const struct {
		enum wwn_kind kind;
		const char *text, *wwn;		/* NULL: it is none */
	} all[] = {
		{ WWN_IQN, "iqn.2003-01.org.Example:Store", "iqn.2003-01.org.example:store" },
		{ WWN_IQN, "eui.0123456789ABCDEF", "eui.0123456789abcdef" },
		{ WWN_IQN, "naa.5001405000000001", "naa.5001405000000001" },
		{ WWN_IQN, "iqn.2003-1.org.example:x", NULL },
		{ WWN_IQN, "iqn.2003-01.", NULL },
		{ WWN_IQN, "iqn.2003-01.org.example:a b", NULL },
		{ WWN_IQN, "iqn.2003-01.org.example:a/b", NULL },
		{ WWN_IQN, "eui.0123", NULL },
		{ WWN_IQN, "../../core", NULL },
		{ WWN_NAA, "naa.5001405000000001", "naa.5001405000000001" },
		{ WWN_NAA, "naa.500140500000000", NULL },
		{ WWN_NAA, "5001405000000001", NULL },
		{ WWN_NAA, "naa.500140500000000g", NULL },
		{ WWN_COLONS, "20:00:00:11:22:33:44:5A", "20:00:00:11:22:33:44:5a" },
		{ WWN_COLONS, "0x200000112233445A", "20:00:00:11:22:33:44:5a" },
		{ WWN_COLONS, "naa.2000001122334455", "20:00:00:11:22:33:44:55" },
		{ WWN_COLONS, "20:00:00:11:22:33:44", NULL },
		{ WWN_COLONS, "20-00-00-11-22-33-44-55", NULL },
		{ WWN_GUID, "fe80:0001:0002:0003", "fe80:0001:0002:0003" },
		{ WWN_GUID, "0xfe800000000000000011223344556677",
		  "0xfe800000000000000011223344556677" },
		{ WWN_GUID, "10.0.0.1", NULL },
		{ WWN_GUID_OR_IP, "10.0.0.1", "10.0.0.1" },
		{ WWN_GUID_OR_IP, "10.0.0", NULL },
		{ WWN_EUI64, "0011223344556677", "0011223344556677" },
		{ WWN_EUI64, "00112233445566", NULL },
		{ WWN_NQN, "nqn.2014-08.org.Example:Store", "nqn.2014-08.org.Example:Store" },
		{ WWN_NQN, "iqn.2014-08.org.example:store", NULL },
		{ WWN_NQN, "nqn.2014-08.org.nvmexpress:uuid:1-2",
		  "nqn.2014-08.org.nvmexpress:uuid:1-2" },
		{ WWN_NONE, "x", NULL },
	};
	char wwn[WWN_MAX], made[WWN_MAX];
	const char *why = NULL;
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool is = wwn_parse(all[i].kind, all[i].text, wwn, &why);

		CHECK_SAY(is == !!all[i].wwn && why, "%s", all[i].text);
		if (is)
			CHECK_SAY(!strcmp(wwn, all[i].wwn), "%s becomes %s", all[i].text, wwn);
	}
	for (i = WWN_IQN; i <= WWN_NAA; i++) {
		wwn_make(i, made);
		CHECK_SAY(wwn_parse(i, made, wwn, &why) && !strcmp(made, wwn), "%s", made);
	}
	wwn_make(WWN_NQN, made);
	CHECK_SAY(wwn_parse(WWN_NQN, made, wwn, &why), "%s", made);
}

static void test_portals(void)
{
	static const struct {
		const char *text, *portal;
	} all[] = {
		{ "10.0.0.1", "10.0.0.1:3260" },
		{ "10.0.0.1:80", "10.0.0.1:80" },
		{ "::1", "[::1]:3260" },
		{ "[2001:DB8:0::1]:4420", "[2001:db8::1]:4420" },
		{ "[::1]", "[::1]:3260" },
		{ "localhost", NULL },
		{ "localhost; true", NULL },
		{ "10.0.0.1:", NULL },
		{ "10.0.0.1:0", NULL },
		{ "10.0.0.1:99999", NULL },
		{ "10.0.0.1:-1", NULL },
		{ "10.0.0.1:80x", NULL },
		{ "10.0.0.1/24", NULL },
		{ "[10.0.0.1]:80", NULL },
		{ "[::1", NULL },
		{ "[::1]80", NULL },
		{ "", NULL },
		{ ":80", NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee", NULL },
	};
	char portal[PORTAL_MAX], address[PORTAL_MAX], port[8];
	bool ipv6;
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool is = portal_parse(all[i].text, 3260, portal);

		CHECK_SAY(is == !!all[i].portal, "%s", all[i].text);
		if (is)
			CHECK_SAY(!strcmp(portal, all[i].portal), "%s becomes %s", all[i].text,
				  portal);
	}
	portal_split("[2001:db8::1]:4420", address, port, &ipv6);
	CHECK(ipv6 && !strcmp(address, "2001:db8::1") && !strcmp(port, "4420"));
	portal_split("10.0.0.1:80", address, port, &ipv6);
	CHECK(!ipv6 && !strcmp(address, "10.0.0.1") && !strcmp(port, "80"));
}

static void test_naa(void)
{
	char naa[37];

	lio_naa("bbbb2222-0000-4000-8000-000000000002", naa);
	CHECK(!strcmp(naa, "naa.6001405bbbb222200004000800000000"));
	CHECK(lio_same_naa("bbbb2222-0000-4000-8000-000000000002",
			   "BBBB2222-0000-4000-8000-000000000999"));
	CHECK(!lio_same_naa("bbbb2222-0000-4000-8000-000000000002",
			    "bbbb2223-0000-4000-8000-000000000002"));
}

/* --- secrets --- */

static int try_chap(const char *text, unsigned int mode, bool nvmet)
{
	struct chap chap;
	int code;

	forget_words();
	write_file(CHAP_FILE, text, mode);
	code = chap_read(&chap, CHAP_FILE, nvmet);
	CHECK_SAY(!strstr(words_said(), "hidden"), "%s", words_said());
	chap_forget(&chap);
	return code;
}

static void test_chap(void)
{
	struct chap chap;

	host_begin();
	write_file(CHAP_FILE, "# comment\n userid = me\t\npassword\thidden word\n\n", 0600);
	CHECK(!chap_read(&chap, CHAP_FILE, false));
	CHECK(!strcmp(chap.userid, "me") && !strcmp(chap.password, "hidden word"));
	CHECK(!chap_empty(&chap));
	chap_forget(&chap);
	CHECK(chap_empty(&chap));
	CHECK(!try_chap("userid me\npassword hidden\n", 0400, false));
	CHECK_EQUAL(try_chap("userid me\npassword hidden\n", 0644, false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword hidden\n", 0620, false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\n", 0600, false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("nonsense hidden\n", 0600, false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("", 0600, false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword NULLhidden\n", 0600, false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword hidden\npassword hidden2\n", 0600, false),
		    EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword hidden\nmutual_userid x\n", 0600, false),
		    EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword hidden\nmutual_userid x\n"
			     "mutual_password hidden\n", 0600, false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword hi\1dden\n", 0600, false), EXIT_NOT_OURS);
	CHECK(!try_chap("dhchap_key DHHC-1:00:hidden:\n", 0600, true));
	/* what is recorded has to be read again, and is judged like that */
	CHECK_EQUAL(try_chap("userid me\npassword hidden\ndhchap_key DHHC-1:00:hidden:\n", 0600,
			     false), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword hidden\ndhchap_key DHHC-1:00:hidden:\n", 0600,
			     true), EXIT_NOT_OURS);
	CHECK_EQUAL(try_chap("userid me\npassword hidden\n", 0600, true), EXIT_NOT_OURS);
	unlink(CHAP_FILE);
	CHECK_EQUAL(chap_read(&chap, CHAP_FILE, false), EXIT_NO_INPUT);
	write_file(CHAP_FILE "2", "userid me\npassword hidden\n", 0600);
	CHECK(!symlink(CHAP_FILE "2", CHAP_FILE));
	CHECK_EQUAL(chap_read(&chap, CHAP_FILE, false), EXIT_NOT_OURS);
	unlink(CHAP_FILE);
	CHECK(!mkfifo(CHAP_FILE, 0600));
	CHECK_EQUAL(chap_read(&chap, CHAP_FILE, false), EXIT_NOT_OURS);
	unlink(CHAP_FILE);
	host_end();
}

/* --- the state file --- */

#define FILE_OF_STATE LARDER_ROOT "/etc/larder/exports.json"

static int try_state(const char *text, unsigned int mode)
{
	struct state s;
	int code;

	write_file(FILE_OF_STATE, text, mode);
	code = state_load(&s, FILE_OF_STATE);
	if (!code)
		state_free(&s);
	return code;
}

static void test_state(void)
{
	struct backstore b = { .name = "vg-data", .device = "/dev/vg/data", .readonly = true,
			       .serial = "12345678-1234-4234-8234-1234567890ab" };
	struct target t = { .wwn = "iqn.2003-01.org.example:x", .chap = { .userid = "me",
			    .password = "a \"b\" \\" } };
	struct lun l = { .backstore = "vg-data", .wwn = "iqn.2003-01.org.example:x", .lun = 7,
			 .alua_group = "left", .alua_state = 2, .incomplete = true };
	struct state s = { .luns = 0 };
	struct stat st;

	host_begin();
	t.fabric = fabric_find("iscsi");
	l.fabric = t.fabric;
	names_add(&t.portals, "10.0.0.1:3260");
	names_add(&t.acls, INITIATOR);
	names_add(&b.attributes, "emulate_caw=0");
	state_add_backstore(&s, &b);
	state_add_target(&s, &t);
	state_add_lun(&s, &l);
	names_free(&b.attributes);
	target_free(&t);
	CHECK(!state_save(&s, FILE_OF_STATE));
	CHECK(!stat(FILE_OF_STATE, &st) && (st.st_mode & 07777) == 0600);
	state_free(&s);
	CHECK_SAY(!state_load(&s, FILE_OF_STATE), "%s", words_said());
	CHECK(s.backstores == 1 && s.targets == 1 && s.luns == 1);
	CHECK(s.backstore[0].readonly && names_have(&s.backstore[0].attributes, "emulate_caw=0"));
	CHECK(!strcmp(s.target[0].chap.password, "a \"b\" \\") && s.target[0].fabric == l.fabric);
	CHECK(names_have(&s.target[0].acls, INITIATOR));
	CHECK(s.lun[0].lun == 7 && s.lun[0].alua_state == 2 && s.lun[0].incomplete);
	CHECK(!strcmp(s.lun[0].alua_group, "left"));
	CHECK(state_lun(&s, fabric_find("iser"), l.wwn, 7) == &s.lun[0]);
	CHECK(!state_lun(&s, fabric_find("loopback"), l.wwn, 7));
	state_free(&s);
	unlink(FILE_OF_STATE);
	CHECK(!state_load(&s, FILE_OF_STATE) && !s.luns);
	host_end();
}

#define EMPTY "\"backstores\":[],\"targets\":[],\"luns\":[]"
#define BACKSTORE(device, serial) \
	"{\"version\":1,\"backstores\":[{\"name\":\"x\",\"device\":\"" device "\",\"serial\":\"" \
	serial "\"}],\"targets\":[],\"luns\":[]}"
#define SERIAL "12345678-1234-4234-8234-1234567890ab"

#define TARGET(fabric, wwn, more) \
	"{\"version\":1,\"backstores\":[],\"targets\":[{\"fabric\":\"" fabric "\"," \
	"\"wwn\":\"" wwn "\"" more "}],\"luns\":[]}"
#define IQN_TARGET(more) TARGET("iscsi", "iqn.2003-01.org.x:y", more)
#define LOCAL_TARGET(more) TARGET("loopback", "naa.5001405000000001", more)
#define WHOLE(nvmet, fabric, wwn, lun, group) \
	"{\"version\":1,\"backstores\":[{\"name\":\"x\",\"device\":\"/dev/vg/data\"," \
	"\"serial\":\"" SERIAL "\",\"nvmet\":" nvmet "}],\"targets\":[{\"fabric\":\"" fabric "\"," \
	"\"wwn\":\"" wwn "\"}],\"luns\":[{\"fabric\":\"" fabric "\",\"wwn\":\"" wwn "\"," \
	"\"backstore\":\"x\",\"lun\":" lun ",\"alua_group\":\"" group "\"}]}"
#define NQN_OF_X "nqn.2014-08.org.x:y"

/* What no command would have written, and what would not be safe to make. */
static void test_state_word_by_word(void)
{
	static const char *const good[] = {
		IQN_TARGET(""), IQN_TARGET(",\"userid\":\"a\",\"password\":\"b\""),
		LOCAL_TARGET(",\"nexus\":\"naa.5001405000000002\""),
		WHOLE("false", "iscsi", "iqn.2003-01.org.x:y", "0", "left"),
		WHOLE("true", "nvme-tcp", NQN_OF_X, "1", ""),
	};
	static const char *const bad[] = {
		IQN_TARGET("") "x", IQN_TARGET("") "{}",
		/* the kernel would take it for no authentication */
		IQN_TARGET(",\"userid\":\"a\",\"password\":\"NULL\""),
		IQN_TARGET(",\"userid\":\"a\",\"password\":\"b\\nc\""),
		IQN_TARGET(",\"userid\":\"a\""), IQN_TARGET(",\"password\":\"a\""),
		IQN_TARGET(",\"userid\":\"a\",\"password\":\"b\",\"mutual_userid\":\"c\""),
		IQN_TARGET(",\"nexus\":\"naa.5001405000000002\""),
		LOCAL_TARGET(""), LOCAL_TARGET(",\"nexus\":\"\""),
		LOCAL_TARGET(",\"nexus\":\"NULL\""),
		/* nobody would take it away again */
		WHOLE("true", "iscsi", "iqn.2003-01.org.x:y", "0", "left"),
		WHOLE("false", "nvme-tcp", NQN_OF_X, "1", ""),
		WHOLE("true", "nvme-tcp", NQN_OF_X, "0", ""),
		WHOLE("false", "iscsi", "iqn.2003-01.org.x:y", "65536", ""),
		WHOLE("false", "iscsi", "iqn.2003-01.org.x:y", "-1", ""),
		WHOLE("false", "iscsi", "iqn.2003-01.org.x:y", "0.5", ""),
		WHOLE("false", "iscsi", "iqn.2003-01.org.x:y", "0", "../x"),
		WHOLE("false", "iscsi", "iqn.2003-01.org.x:y", "0", "default_tg_pt_gp"),
		/* a word is no yes, and nobody is let in by mistake */
		IQN_TARGET(",\"any_initiator\":\"false\""), IQN_TARGET(",\"any_initiator\":1"),
		IQN_TARGET(",\"incomplete\":null"), IQN_TARGET(",\"acls\":\"" INITIATOR "\""),
		IQN_TARGET(",\"portals\":{}"),
		WHOLE("\"false\"", "iscsi", "iqn.2003-01.org.x:y", "0", ""),
	};
	size_t i;

	host_begin();
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK_SAY(!try_state(good[i], 0600), "%s: %s", good[i], words_said());
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_SAY(try_state(bad[i], 0600) == EXIT_NOT_OURS, "%s", bad[i]);
	host_end();
}

/* Others could put something else in the place of any file there. */
static void test_state_directory(void)
{
	static const char directory[] = LARDER_ROOT "/etc/larder";
	struct state s;

	host_begin();
	CHECK(!try_state(IQN_TARGET(""), 0600));
	CHECK(!chmod(directory, 0775));
	CHECK_EQUAL(try_state(IQN_TARGET(""), 0600), EXIT_NOT_OURS);
	CHECK(!chmod(directory, 0755));
	if (!geteuid()) {
		CHECK(!chown(directory, 12345, 0));
		CHECK_EQUAL(try_state(IQN_TARGET(""), 0600), EXIT_NOT_OURS);
		CHECK(!chown(directory, 0, 0));
	}
	CHECK(!try_state(IQN_TARGET(""), 0600));
	unlink(FILE_OF_STATE);
	CHECK(!rename(directory, LARDER_ROOT "/etc/elsewhere"));
	CHECK(!state_load(&s, FILE_OF_STATE));
	CHECK(!symlink(LARDER_ROOT "/etc/elsewhere", directory));
	CHECK_EQUAL(state_load(&s, FILE_OF_STATE), EXIT_NOT_OURS);
	CHECK_EQUAL(state_save(&s, FILE_OF_STATE), EXIT_NO_OUTPUT);
	CHECK(!unlink(directory));
	CHECK(!rename(LARDER_ROOT "/etc/elsewhere", directory));
	host_end();
}

static void test_state_of_others(void)
{
	struct state s;

	host_begin();
	CHECK(!try_state("{\"version\":1," EMPTY "}", 0600));
	CHECK(!try_state("{\"version\":1," EMPTY "}", 0644));
	CHECK(!try_state(BACKSTORE("/dev/vg/data", SERIAL), 0600));
	CHECK_EQUAL(try_state("{\"version\":1," EMPTY "}", 0620), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state("{\"version\":2," EMPTY "}", 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state("{\"version\":1}", 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state("[]", 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state("", 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state("{\"version\":1," EMPTY, 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state(BACKSTORE("/etc/passwd", SERIAL), 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state(BACKSTORE("/dev/vg/data", "../x"), 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state("{\"version\":1,\"backstores\":[],\"targets\":[{\"fabric\":\"iscsi\","
			      "\"wwn\":\"../core\"}],\"luns\":[]}", 0600), EXIT_NOT_OURS);
	CHECK_EQUAL(try_state("{\"version\":1,\"backstores\":[],\"targets\":[{\"fabric\":\"iscsi\","
			      "\"wwn\":\"iqn.2003-01.org.x:y\",\"acls\":[\"../x\"]}],\"luns\":[]}",
			      0600), EXIT_NOT_OURS);
	/* a LUN of nothing */
	CHECK_EQUAL(try_state("{\"version\":1,\"backstores\":[],\"targets\":[],\"luns\":[{"
			      "\"fabric\":\"iscsi\",\"wwn\":\"iqn.2003-01.org.x:y\","
			      "\"backstore\":\"x\",\"lun\":0}]}", 0600), EXIT_NOT_OURS);
	unlink(FILE_OF_STATE);
	CHECK(!symlink("/etc/passwd", FILE_OF_STATE));
	CHECK_EQUAL(state_load(&s, FILE_OF_STATE), EXIT_NOT_OURS);
	/* and is replaced, not written through */
	CHECK(!state_save(&s, FILE_OF_STATE));
	CHECK(!state_load(&s, FILE_OF_STATE));
	unlink(FILE_OF_STATE);
	host_end();
}

/* A file that could not be read again would keep everything from being taken away. */
static void test_state_unreadable(void)
{
	struct target t = { .wwn = "iqn.2003-01.org.example:x" };
	struct state s = { .luns = 0 };
	char portal[PORTAL_MAX];
	unsigned int i;

	host_begin();
	t.fabric = fabric_find("iscsi");
	CHECK(!try_state(IQN_TARGET(""), 0600));
	state_add_target(&s, &t);
	names_add(&s.target[0].acls, "no-name");
	CHECK_EQUAL(state_save(&s, FILE_OF_STATE), EXIT_NO_OUTPUT);
	names_remove(&s.target[0].acls, "no-name");
	for (i = 0; i < 65000; i++) {
		snprintf(portal, sizeof(portal), "10.0.0.1:%u", i + 1);
		names_add(&s.target[0].portals, portal);
	}
	CHECK_EQUAL(state_save(&s, FILE_OF_STATE), EXIT_NO_OUTPUT);
	state_free(&s);
	/* the last that was written is still there */
	CHECK_SAY(!state_load(&s, FILE_OF_STATE), "%s", words_said());
	CHECK_EQUAL(s.targets, 1);
	state_free(&s);
	unlink(FILE_OF_STATE);
	host_end();
}

static const struct unit_test tests[] = {
	{ "names", test_names },
	{ "wwns", test_wwns },
	{ "portals", test_portals },
	{ "naa", test_naa },
	{ "chap", test_chap },
	{ "state", test_state },
	{ "state-of-others", test_state_of_others },
	{ "state-word-by-word", test_state_word_by_word },
	{ "state-directory", test_state_directory },
	{ "state-unreadable", test_state_unreadable },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
