// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state as a file: JSON, replaced as a whole, believed only if nobody but
 * root can have written it, and judged word by word as a command line would be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../output.h"
#include "../program.h"
#include "state.h"

#define FILE_BYTES_MAX	(1u << 20)
#define MADE_AS		".exports.json.new"

static int refuse(const char *path, const char *why)
{
	complain("%s cannot be used: %s", path, why);
	return EXIT_NOT_OURS;
}

/* --- reading --- */

static bool take_text(struct json_object *o, const char *key, char *text, size_t size)
{
	struct json_object *value;

	if (!json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) >= size)
		return false;
	snprintf(text, size, "%s", json_object_get_string(value));
	return true;
}

/* "" where it is missing */
static bool take_option(struct json_object *o, const char *key, char *text, size_t size)
{
	*text = '\0';
	return !json_object_object_get_ex(o, key, NULL) || take_text(o, key, text, size);
}

/* false where it is missing; a word that says "false" would be true to json-c */
static bool take_bool(struct json_object *o, const char *key, bool *is)
{
	struct json_object *value;

	*is = false;
	if (!json_object_object_get_ex(o, key, &value))
		return true;
	*is = json_object_get_boolean(value);
	return json_object_is_type(value, json_type_boolean);
}

static bool take_number(struct json_object *o, const char *key, uint32_t *number, uint32_t most)
{
	struct json_object *value;
	int64_t n;

	*number = 0;
	if (!json_object_object_get_ex(o, key, &value))
		return true;
	n = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;
	*number = (uint32_t)n;
	return n >= 0 && n <= most;
}

static struct json_object *list_of(struct json_object *o, const char *key)
{
	struct json_object *list;

	return json_object_object_get_ex(o, key, &list) &&
	       json_object_is_type(list, json_type_array) ? list : NULL;
}

static bool take_names(struct json_object *o, const char *key, struct names *names)
{
	struct json_object *list = list_of(o, key), *item;
	size_t i;

	if (!list && json_object_object_get_ex(o, key, NULL))
		return false;
	for (i = 0; list && i < json_object_array_length(list); i++) {
		item = json_object_array_get_idx(list, i);
		if (!json_object_is_type(item, json_type_string) ||
		    !configfs_name_valid(json_object_get_string(item)))
			return false;
		names_add(names, json_object_get_string(item));
	}
	return true;
}

static const struct fabric *take_fabric(struct json_object *o)
{
	char name[32];

	return take_text(o, "fabric", name, sizeof(name)) ? fabric_find(name) : NULL;
}

static bool take_backstore(struct state *s, struct json_object *o)
{
	struct backstore b = { .name = "" };
	bool good = take_bool(o, "nvmet", &b.nvmet) && take_bool(o, "readonly", &b.readonly) &&
		    take_bool(o, "incomplete", &b.incomplete) &&
		    take_text(o, "name", b.name, sizeof(b.name)) && configfs_name_valid(b.name) &&
		    take_text(o, "device", b.device, sizeof(b.device)) &&
		    backing_name_valid(b.device) &&
		    take_text(o, "serial", b.serial, sizeof(b.serial)) && uuid_valid(b.serial) &&
		    take_names(o, "attributes", &b.attributes) && !state_backstore(s, b.name);

	if (good)
		state_add_backstore(s, &b);
	names_free(&b.attributes);
	return good;
}

static bool take_chap(struct json_object *o, struct chap *c)
{
	return take_option(o, "userid", c->userid, SECRET_MAX) &&
	       take_option(o, "password", c->password, SECRET_MAX) &&
	       take_option(o, "mutual_userid", c->userid_mutual, SECRET_MAX) &&
	       take_option(o, "mutual_password", c->password_mutual, SECRET_MAX) &&
	       take_option(o, "dhchap_key", c->dhchap_key, SECRET_MAX) &&
	       take_option(o, "dhchap_ctrl_key", c->dhchap_ctrl_key, SECRET_MAX) && chap_valid(c);
}

/* The host's own initiator has a name where it is the only one, and nowhere else. */
static bool take_nexus(const struct fabric *f, struct json_object *o, char nexus[WWN_MAX])
{
	char text[WWN_MAX];
	const char *why;

	if (f->initiators != INITIATORS_LOCAL)
		return !json_object_object_get_ex(o, "nexus", NULL);
	return take_text(o, "nexus", text, sizeof(text)) &&
	       wwn_parse(WWN_NAA, text, nexus, &why);
}

static bool take_wwn(const struct fabric *f, struct json_object *o, char wwn[WWN_MAX])
{
	char text[WWN_MAX];
	const char *why;

	return take_text(o, "wwn", text, sizeof(text)) && wwn_parse(f->target, text, wwn, &why);
}

static bool take_target(struct state *s, struct json_object *o)
{
	struct target t = { .fabric = take_fabric(o) };
	char portal[PORTAL_MAX];
	const char *why;
	bool good;
	size_t i;

	good = t.fabric && take_wwn(t.fabric, o, t.wwn) && take_chap(o, &t.chap) &&
	       take_bool(o, "any_initiator", &t.any_initiator) &&
	       take_bool(o, "incomplete", &t.incomplete) &&
	       take_nexus(t.fabric, o, t.nexus) &&
	       take_names(o, "portals", &t.portals) && take_names(o, "acls", &t.acls) &&
	       take_names(o, "added_portals", &t.added_portals) &&
	       take_names(o, "added_acls", &t.added_acls) &&
	       take_names(o, "made_hosts", &t.made_hosts) &&
	       take_names(o, "made_ports", &t.made_ports) && !state_target(s, t.fabric, t.wwn);
	/* both as configfs has them, which others may have spelled in another way */
	for (i = 0; good && i < t.portals.nr; i++)
		good = portal_parse(t.portals.name[i], 0, portal);
	for (i = 0; good && i < t.acls.nr; i++) {
		char wwn[WWN_MAX];

		good = wwn_parse(t.fabric->initiator, t.acls.name[i], wwn, &why);
	}
	for (i = 0; good && i < t.added_portals.nr; i++)
		good = names_have(&t.portals, t.added_portals.name[i]);
	for (i = 0; good && i < t.added_acls.nr; i++)
		good = names_have(&t.acls, t.added_acls.name[i]);
	if (good)
		state_add_target(s, &t);
	target_free(&t);
	return good;
}

static bool take_lun(struct state *s, struct json_object *o)
{
	struct lun l = { .fabric = take_fabric(o) };
	const struct backstore *b;

	if (!l.fabric || !take_wwn(l.fabric, o, l.wwn) ||
	    !take_bool(o, "incomplete", &l.incomplete) ||
	    !take_text(o, "backstore", l.backstore, sizeof(l.backstore)) ||
	    !take_number(o, "lun", &l.lun, LUN_MAX) ||
	    !take_option(o, "alua_group", l.alua_group, sizeof(l.alua_group)) ||
	    (*l.alua_group && (!configfs_name_valid(l.alua_group) ||
			       !strcmp(l.alua_group, "default_tg_pt_gp"))) ||
	    !take_number(o, "alua_state", &l.alua_state, 3) ||
	    !state_target(s, l.fabric, l.wwn) || state_lun(s, l.fabric, l.wwn, l.lun))
		return false;
	/* what makes an object is also what takes it away */
	b = state_backstore(s, l.backstore);
	if (!b || b->nvmet != fabric_is_nvmet(l.fabric) || (b->nvmet && !l.lun))
		return false;
	state_add_lun(s, &l);
	return true;
}

static bool take_all(struct state *s, struct json_object *whole, const char *key,
		     bool (*take)(struct state *s, struct json_object *o))
{
	struct json_object *list = list_of(whole, key), *item;
	size_t i;

	for (i = 0; list && i < json_object_array_length(list); i++) {
		item = json_object_array_get_idx(list, i);
		if (!json_object_is_type(item, json_type_object) || !take(s, item))
			return false;
	}
	return list;
}

/* All of it and nothing else; NULL: it is none. */
static struct json_object *parse(const char *text, size_t length)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *whole = NULL;

	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	/* with the zero at its end, so that it ends there */
	if (strlen(text) == length)
		whole = json_tokener_parse_ex(tokener, text, (int)length + 1);
	if (json_tokener_get_error(tokener) != json_tokener_success) {
		json_object_put(whole);
		whole = NULL;
	}
	json_tokener_free(tokener);
	return whole;
}

/* NULL, or what is wrong with it. */
static const char *take_state(struct state *s, const char *text, size_t length)
{
	struct json_object *whole = parse(text, length);
	const char *why = NULL;
	uint32_t version = 0;

	if (!whole || !json_object_is_type(whole, json_type_object))
		why = "it is no JSON object";
	else if (!take_number(whole, "version", &version, UINT32_MAX) || version != STATE_VERSION)
		why = "it is of another version of larder";
	else if (!take_all(s, whole, "backstores", take_backstore) ||
		 !take_all(s, whole, "targets", take_target) ||
		 !take_all(s, whole, "luns", take_lun))
		why = "a record in it is damaged";
	json_object_put(whole);
	return why;
}

static int judge_file(const char *path, int fd, struct stat *st)
{
	if (fstat(fd, st))
		return refuse(path, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return refuse(path, "it is no regular file");
	if (st->st_uid && st->st_uid != geteuid())
		return refuse(path, "it is not root's");
	if (st->st_mode & 022)
		return refuse(path, "others can write it");
	return st->st_size > FILE_BYTES_MAX ? refuse(path, "it is too large") : 0;
}

static int read_file(struct state *s, const char *path, int fd)
{
	size_t length = 0;
	const char *why;
	struct stat st;
	char *text;
	ssize_t n = 0;
	int code = judge_file(path, fd, &st);

	if (code)
		return code;
	text = calloc(1, (size_t)st.st_size + 1);
	while (text && length < (size_t)st.st_size &&
	       (n = read(fd, text + length, (size_t)st.st_size - length)) > 0)
		length += (size_t)n;
	if (!text)
		why = "not enough memory";
	else
		why = n < 0 ? strerror(errno) : take_state(s, text, length);
	if (why)
		code = refuse(path, why);
	if (text)
		explicit_bzero(text, length);
	free(text);
	return code;
}

static int cannot_open(const char *path)
{
	if (errno == ENOENT)
		return 0;
	complain("cannot open %s: %s", path,
		 errno == ELOOP ? "it is a symbolic link" : strerror(errno));
	return errno == EACCES ? EXIT_NO_PERMISSION : EXIT_NOT_OURS;
}

/* Of path; -1 with errno. */
static int open_directory(const char *path)
{
	char parent[256];

	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	return open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Who can rename files there could put another one of root's in its place. */
static int judge_directory(const char *path, int dir)
{
	struct stat st;

	if (fstat(dir, &st))
		return refuse(path, strerror(errno));
	if (st.st_uid && st.st_uid != geteuid())
		return refuse(path, "its directory is not root's");
	return (st.st_mode & 022) && !(st.st_mode & S_ISVTX) ?
	       refuse(path, "others can write to its directory") : 0;
}

static int load_from(struct state *s, const char *path, int dir)
{
	int code = judge_directory(path, dir), fd;

	if (code)
		return code;
	fd = openat(dir, strrchr(path, '/') + 1,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return cannot_open(path);
	code = read_file(s, path, fd);
	close(fd);
	return code;
}

int state_load(struct state *s, const char *path)
{
	int code, dir = open_directory(path);

	memset(s, 0, sizeof(*s));
	if (dir < 0)
		return cannot_open(path);
	code = load_from(s, path, dir);
	close(dir);
	if (code)
		state_free(s);
	return code;
}

/* --- writing --- */

static void add_option(struct json_object *o, const char *key, const char *value)
{
	if (*value)
		add_string(o, key, value);
}

static void add_names(struct json_object *o, const char *key, const struct names *names)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < names->nr; i++)
		json_object_array_add(list, json_object_new_string(names->name[i]));
	json_object_object_add(o, key, list);
}

static struct json_object *backstore_object(const struct backstore *b)
{
	struct json_object *o = json_object_new_object();

	add_string(o, "name", b->name);
	add_string(o, "device", b->device);
	add_string(o, "serial", b->serial);
	add_bool(o, "nvmet", b->nvmet);
	add_bool(o, "readonly", b->readonly);
	add_names(o, "attributes", &b->attributes);
	if (b->incomplete)
		add_bool(o, "incomplete", true);
	return o;
}

static struct json_object *target_object(const struct target *t)
{
	struct json_object *o = json_object_new_object();

	add_string(o, "fabric", t->fabric->name);
	add_string(o, "wwn", t->wwn);
	add_option(o, "nexus", t->nexus);
	add_bool(o, "any_initiator", t->any_initiator);
	add_names(o, "portals", &t->portals);
	add_names(o, "acls", &t->acls);
	if (t->added_portals.nr)
		add_names(o, "added_portals", &t->added_portals);
	if (t->added_acls.nr)
		add_names(o, "added_acls", &t->added_acls);
	add_names(o, "made_hosts", &t->made_hosts);
	add_names(o, "made_ports", &t->made_ports);
	add_option(o, "userid", t->chap.userid);
	add_option(o, "password", t->chap.password);
	add_option(o, "mutual_userid", t->chap.userid_mutual);
	add_option(o, "mutual_password", t->chap.password_mutual);
	add_option(o, "dhchap_key", t->chap.dhchap_key);
	add_option(o, "dhchap_ctrl_key", t->chap.dhchap_ctrl_key);
	if (t->incomplete)
		add_bool(o, "incomplete", true);
	return o;
}

static struct json_object *lun_object(const struct lun *l)
{
	struct json_object *o = json_object_new_object();

	add_string(o, "backstore", l->backstore);
	add_string(o, "fabric", l->fabric->name);
	add_string(o, "wwn", l->wwn);
	add_number(o, "lun", l->lun);
	add_option(o, "alua_group", l->alua_group);
	add_number(o, "alua_state", l->alua_state);
	if (l->incomplete)
		add_bool(o, "incomplete", true);
	return o;
}

static struct json_object *state_object(const struct state *s)
{
	struct json_object *whole = json_object_new_object();
	struct json_object *backstores = json_object_new_array();
	struct json_object *targets = json_object_new_array(), *luns = json_object_new_array();
	size_t i;

	for (i = 0; i < s->backstores; i++)
		json_object_array_add(backstores, backstore_object(&s->backstore[i]));
	for (i = 0; i < s->targets; i++)
		json_object_array_add(targets, target_object(&s->target[i]));
	for (i = 0; i < s->luns; i++)
		json_object_array_add(luns, lun_object(&s->lun[i]));
	add_number(whole, "version", STATE_VERSION);
	json_object_object_add(whole, "backstores", backstores);
	json_object_object_add(whole, "targets", targets);
	json_object_object_add(whole, "luns", luns);
	return whole;
}

static bool write_text(int fd, const char *text)
{
	size_t length = strlen(text), done = 0;
	ssize_t n;

	while (done < length) {
		n = write(fd, text + done, length - done);
		if (n < 0)
			return false;
		done += (size_t)n;
	}
	return !fsync(fd);
}

static bool replace(int dir, const char *name, const char *text)
{
	bool good;
	int fd, error;

	unlinkat(dir, MADE_AS, 0);	/* of somebody who was killed; we hold the lock */
	fd = openat(dir, MADE_AS, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	good = write_text(fd, text) && !renameat(dir, MADE_AS, dir, name) && !fsync(dir);
	error = errno;
	close(fd);
	if (!good)
		unlinkat(dir, MADE_AS, 0);
	errno = error;
	return good;
}

/* What cannot be read again would keep every later command from taking anything away. */
static const char *judge_text(const char *text)
{
	struct state again = { .luns = 0 };
	const char *why = strlen(text) > FILE_BYTES_MAX ? "it would be too large" :
			  take_state(&again, text, strlen(text));

	state_free(&again);
	return why;
}

int state_save(const struct state *s, const char *path)
{
	const char *slash = strrchr(path, '/'), *text, *why = NULL;
	struct json_object *whole = NULL;
	char parent[256];
	bool good = false;
	int dir;

	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	mkdir(parent, 0755);
	dir = open_directory(path);
	if (dir >= 0) {
		whole = state_object(s);
		text = json_object_to_json_string_ext(whole, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
		why = judge_text(text);
		good = !why && replace(dir, slash + 1, text);
	}
	if (!good)
		complain("cannot write %s: %s", path, why ? why : strerror(errno));
	json_object_put(whole);
	if (dir >= 0)
		close(dir);
	return good ? 0 : EXIT_NO_OUTPUT;
}
