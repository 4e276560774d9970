// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What rtslib's dump() would say of our objects.
 *
 * Of the attributes of a backstore only those are saved that are a choice: what
 * follows from the device (how much may be unmapped at once, in which steps) is
 * found out anew by the kernel, and would be wrong for a cache of another block
 * size.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../larder.h"
#include "../output.h"
#include "lio.h"
#include "saveconfig.h"

static const char *const chosen[] = {
	"emulate_3pc", "emulate_caw", "emulate_pr", "emulate_tpu", "emulate_tpws", NULL
};

static const char *const tpg_attributes[] = {
	"authentication", "cache_dynamic_acls", "default_erl", "demo_mode_discovery",
	"demo_mode_write_protect", "fabric_prot_type", "generate_node_acls",
	"prod_mode_write_protect", "t10_pi", NULL
};

static const char *const tpg_parameters[] = {
	"AuthMethod", "ErrorRecoveryLevel", "MaxConnections", NULL
};

/* In the order in which rtslib may set them. */
static const char *const group_files[] = {
	"alua_support_active_nonoptimized", "alua_support_active_optimized",
	"alua_support_offline", "alua_support_standby", "alua_support_transitioning",
	"alua_support_unavailable", "implicit_trans_secs", "nonop_delay_msecs", "preferred",
	"tg_pt_gp_id", "trans_delay_msecs", "alua_write_metadata", "alua_access_state", NULL
};

/* As rtslib numbers them. */
static const char *const access_types[] = {
	"None", "Implicit", "Explicit", "Implicit and Explicit", NULL
};

static const char *const access_statuses[] = {
	"None", "Altered by Explicit STPG", "Altered by Implicit ALUA", NULL
};

static const struct fabric_words {
	const char *tree, *name, *prefix;
} fabric_words[] = {
	{ "iscsi", "iscsi", "" }, { "loopback", "loopback", "" }, { "vhost", "vhost", "" },
	{ "sbp", "sbp", "eui." }, { "srpt", "srpt", "ib." }, { "fc", "tcm_fc", "naa." },
	{ "qla2xxx", "qla2xxx", "naa." }, { NULL, NULL, NULL },
};

struct dump {
	struct configfs *c;
	const struct fabric_words *words;
	const char *tpg;		/* path of the portal group */
};

/* --- values --- */

static bool read_file(struct dump *d, const char *dir, const char *name, char *text, size_t size)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "%s/%s", dir, name);
	return !configfs_read(d->c, path, text, size);
}

/* Numbers as numbers. */
static void add_value(struct json_object *o, const char *key, const char *text)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (!errno && *text && !*end)
		json_object_object_add(o, key, json_object_new_int64(number));
	else
		add_string(o, key, text);
}

static void add_file(struct dump *d, struct json_object *o, const char *dir, const char *name)
{
	char text[CONFIGFS_VALUE_MAX];

	if (read_file(d, dir, name, text, sizeof(text)))
		add_value(o, name, text);
}

static void add_files(struct dump *d, struct json_object *o, const char *key, const char *dir,
		      const char *below, const char *const *names)
{
	struct json_object *values = json_object_new_object();
	char path[CONFIGFS_PATH_MAX], text[CONFIGFS_VALUE_MAX];

	configfs_path(path, "%s/%s", dir, below);
	for (; *names; names++) {
		if (strcmp(below, "param"))
			add_file(d, values, path, *names);
		else if (read_file(d, path, *names, text, sizeof(text)))
			add_string(values, *names, text);	/* those are words to rtslib */
	}
	json_object_object_add(o, key, values);
}

static void add_index(struct dump *d, struct json_object *o, const char *dir, const char *name,
		      const char *const *words)
{
	char text[CONFIGFS_VALUE_MAX];
	unsigned int i;

	if (!read_file(d, dir, name, text, sizeof(text)))
		return;
	for (i = 0; words[i]; i++)
		if (!strcmp(words[i], text))
			add_number(o, name, i);
}

/* The one link in a directory, and where it leads to. */
static bool find_link(struct dump *d, const char *dir, char *name, char *to)
{
	struct names names = { .nr = 0 };
	char path[CONFIGFS_PATH_MAX];
	bool found = false;
	size_t i;

	if (configfs_list(d->c, dir, &names))
		return false;
	for (i = 0; i < names.nr && !found; i++) {
		configfs_path(path, "%s/%s", dir, names.name[i]);
		found = configfs_kind(d->c, path) == CONFIGFS_LINK &&
			!configfs_read_link(d->c, path, to, CONFIGFS_PATH_MAX);
		if (found)
			snprintf(name, CONFIGFS_NAME_MAX, "%s", names.name[i]);
	}
	names_free(&names);
	return found;
}

/* For each entry of a directory that begins so: an element, unless make() has none. */
static void add_list(struct dump *d, struct json_object *o, const char *key, const char *dir,
		     const char *prefix, struct json_object *(*make)(struct dump *d,
		     const char *path, const char *name))
{
	struct json_object *list = json_object_new_array(), *element;
	struct names names = { .nr = 0 };
	char path[CONFIGFS_PATH_MAX];
	size_t i;

	if (configfs_list(d->c, dir, &names))
		names.nr = 0;
	for (i = 0; i < names.nr; i++) {
		if (strncmp(names.name[i], prefix, strlen(prefix)))
			continue;
		configfs_path(path, "%s/%s", dir, names.name[i]);
		element = make(d, path, names.name[i]);
		if (element)
			json_object_array_add(list, element);
	}
	names_free(&names);
	json_object_object_add(o, key, list);
}

/* --- backstores --- */

static struct json_object *make_group(struct dump *d, const char *path, const char *name)
{
	struct json_object *o = json_object_new_object();
	const char *const *file;

	add_string(o, "name", name);
	add_index(d, o, path, "alua_access_type", access_types);
	for (file = group_files; *file; file++)
		add_file(d, o, path, *file);
	add_index(d, o, path, "alua_access_status", access_statuses);
	return o;
}

static struct json_object *make_storage_object(struct dump *d, const struct backstore *b,
					       const char *path)
{
	struct json_object *o = json_object_new_object();
	char groups[CONFIGFS_PATH_MAX];

	configfs_path(groups, "%s/%s", path, "alua");
	add_list(d, o, "alua_tpgs", groups, "", make_group);
	add_files(d, o, "attributes", path, "attrib", chosen);
	add_string(o, "dev", b->device);
	add_string(o, "name", b->name);
	add_string(o, "plugin", "block");
	add_bool(o, "readonly", b->readonly);
	add_bool(o, "write_back", false);
	add_string(o, "wwn", b->serial);
	return o;
}

/* --- targets --- */

static bool wwn_words(const struct fabric_words *words, const char *wwn, char text[WWN_MAX + 8])
{
	char *to = text;

	if (!strcmp(words->tree, "srpt")) {
		if (strncmp(wwn, "0x", 2))	/* by GUID or address: rtslib cannot say that */
			return false;
		wwn += 2;
	}
	if (!strncmp(wwn, "naa.6", 5))		/* it would make "naa.5" of it */
		return false;
	to += snprintf(text, WWN_MAX + 8, "%s", words->prefix);
	for (; *wwn && to < text + WWN_MAX + 7; wwn++)
		if (*wwn != ':' || strcmp(words->prefix, "naa."))
			*to++ = *wwn;
	*to = '\0';
	return true;
}

static struct json_object *make_lun(struct dump *d, const char *path, const char *name)
{
	char alias[CONFIGFS_NAME_MAX], to[CONFIGFS_PATH_MAX], plugin[32], what[CONFIGFS_NAME_MAX];
	char text[CONFIGFS_VALUE_MAX], object[CONFIGFS_PATH_MAX];
	struct json_object *o;
	char *group;

	if (!find_link(d, path, alias, to) ||
	    sscanf(to, "target/core/%31[^_/]%*[^/]/%223[^/]", plugin, what) != 2)
		return NULL;
	o = json_object_new_object();
	add_string(o, "alias", alias);
	/* "TG Port Alias: NAME", and more lines */
	if (read_file(d, path, "alua_tg_pt_gp", text, sizeof(text)) && strchr(text, ':')) {
		group = strchr(text, ':') + 1;
		group += strspn(group, " ");
		group[strcspn(group, "\n")] = '\0';
		add_string(o, "alua_tg_pt_gp_name", group);
	}
	add_value(o, "index", name + strlen("lun_"));
	snprintf(object, sizeof(object), "/backstores/%s/%s",
		 !strcmp(plugin, "iblock") ? "block" : plugin, what);
	add_string(o, "storage_object", object);
	return o;
}

static struct json_object *make_portal(struct dump *d, const char *path, const char *name)
{
	struct json_object *o;
	const char *colon = strrchr(name, ':');
	char address[PORTAL_MAX], text[CONFIGFS_VALUE_MAX];

	if (!colon || colon - name >= PORTAL_MAX)
		return NULL;
	o = json_object_new_object();
	snprintf(address, sizeof(address), "%.*s", (int)(colon - name), name);
	add_string(o, "ip_address", address);
	add_bool(o, "iser", read_file(d, path, "iser", text, sizeof(text)) && *text == '1');
	add_bool(o, "offload", false);
	add_value(o, "port", colon + 1);
	return o;
}

static struct json_object *make_mapped_lun(struct dump *d, const char *path, const char *name)
{
	char alias[CONFIGFS_NAME_MAX], to[CONFIGFS_PATH_MAX], text[CONFIGFS_VALUE_MAX];
	const char *lun;
	struct json_object *o;

	if (!find_link(d, path, alias, to))
		return NULL;
	lun = strrchr(to, '/');
	if (!lun || strncmp(lun, "/lun_", 5))
		return NULL;
	o = json_object_new_object();
	add_string(o, "alias", alias);
	add_value(o, "index", name + strlen("lun_"));
	add_value(o, "tpg_lun", lun + 5);
	add_bool(o, "write_protect", read_file(d, path, "write_protect", text, sizeof(text)) &&
		 *text == '1');
	return o;
}

static void add_chap(struct dump *d, struct json_object *o, const char *dir)
{
	static const char *const keys[][2] = {
		{ "userid", "chap_userid" }, { "password", "chap_password" },
		{ "userid_mutual", "chap_mutual_userid" },
		{ "password_mutual", "chap_mutual_password" },
	};
	char path[CONFIGFS_PATH_MAX], text[CONFIGFS_VALUE_MAX];
	unsigned int i;

	configfs_path(path, "%s/%s", dir, "auth");
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (read_file(d, path, keys[i][0], text, sizeof(text)) && *text &&
		    strcmp(text, "NULL"))
			add_string(o, keys[i][1], text);
	explicit_bzero(text, sizeof(text));
}

static struct json_object *make_acl(struct dump *d, const char *path, const char *name)
{
	struct json_object *o;
	char wwn[WWN_MAX + 8];

	if (!wwn_words(d->words, name, wwn))
		return NULL;
	o = json_object_new_object();
	if (!strcmp(d->words->tree, "iscsi"))
		add_chap(d, o, path);
	add_list(d, o, "mapped_luns", path, "lun_", make_mapped_lun);
	add_string(o, "node_wwn", wwn);
	return o;
}

static struct json_object *make_tpg(struct dump *d)
{
	struct json_object *o = json_object_new_object();
	char path[CONFIGFS_PATH_MAX], text[CONFIGFS_VALUE_MAX];

	add_files(d, o, "attributes", d->tpg, "attrib", tpg_attributes);
	if (!strcmp(d->words->tree, "iscsi"))
		add_chap(d, o, d->tpg);
	add_bool(o, "enable", !read_file(d, d->tpg, "enable", text, sizeof(text)) || *text == '1');
	configfs_path(path, "%s/%s", d->tpg, "lun");
	add_list(d, o, "luns", path, "lun_", make_lun);
	configfs_path(path, "%s/%s", d->tpg, "acls");
	add_list(d, o, "node_acls", path, "", make_acl);
	add_files(d, o, "parameters", d->tpg, "param", tpg_parameters);
	configfs_path(path, "%s/%s", d->tpg, "np");
	add_list(d, o, "portals", path, "", make_portal);
	add_number(o, "tag", 1);
	return o;
}

/* NULL: it cannot be said. */
static struct json_object *make_target(struct dump *d, const struct target *t)
{
	struct json_object *o, *tpgs;
	char wwn[WWN_MAX + 8], path[CONFIGFS_PATH_MAX], acl[WWN_MAX + 8];
	size_t i;

	for (d->words = fabric_words; d->words->tree; d->words++)
		if (t->fabric->tree && !strcmp(d->words->tree, t->fabric->tree))
			break;
	if (!d->words->tree || !wwn_words(d->words, t->wwn, wwn))
		return NULL;
	for (i = 0; i < t->acls.nr; i++)
		if (!wwn_words(d->words, t->acls.name[i], acl))
			return NULL;
	configfs_path(path, "target/%s/%s/%s", t->fabric->tree, t->wwn, TPG);
	d->tpg = path;
	o = json_object_new_object();
	tpgs = json_object_new_array();
	add_string(o, "fabric", d->words->name);
	json_object_array_add(tpgs, make_tpg(d));
	json_object_object_add(o, "tpgs", tpgs);
	add_string(o, "wwn", wwn);
	return o;
}

struct json_object *saveconfig_ours(struct configfs *c, const struct state *s, bool quiet)
{
	struct json_object *ours = json_object_new_object(), *o;
	struct json_object *objects = json_object_new_array(), *targets = json_object_new_array();
	struct dump d = { .c = c };
	struct lio_backstore found;
	size_t i;

	for (i = 0; i < s->backstores; i++)
		if (!s->backstore[i].nvmet && lio_find_backstore(c, &s->backstore[i], &found))
			json_object_array_add(objects, make_storage_object(&d, &s->backstore[i],
									   found.path));
	for (i = 0; i < s->targets; i++) {
		const struct target *t = &s->target[i];

		if (!fabric_is_nvmet(t->fabric) && !lio_target_exists(c, t))
			continue;
		o = make_target(&d, t);
		if (o)
			json_object_array_add(targets, o);
		else if (!quiet)
			printf("%s %s: left out, targetctl has no words for it\n",
			       t->fabric->name, t->wwn);
	}
	json_object_object_add(ours, "storage_objects", objects);
	json_object_object_add(ours, "targets", targets);
	return ours;
}
