// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tree of nodes, see fake-configfs.h.  What a new directory has in it is in
 * the table of templates, what may be written where is in the table of rules.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake-configfs.h"

struct node {
	enum configfs_kind kind;
	char name[CONFIGFS_NAME_MAX];
	char value[512];
	bool made;			/* by somebody, not by the kernel */
	struct node *parent, *next, *child;
	struct node *to;		/* of a link */
	unsigned int links;		/* that lead here */
};

static struct node *root;
static unsigned int changes, fail_at, call_at;
static void (*call)(void);

/* --- nodes --- */

static struct node *find_child(struct node *n, const char *name, size_t length)
{
	struct node *c;

	for (c = n->child; c; c = c->next)
		if (strlen(c->name) == length && !memcmp(c->name, name, length))
			return c;
	return NULL;
}

static struct node *find(const char *path)
{
	struct node *n = root;
	size_t length;

	for (; n && *path; path += length + !!path[length]) {
		length = strcspn(path, "/");
		if (n->kind == CONFIGFS_LINK)
			return NULL;
		n = find_child(n, path, length);
	}
	return n;
}

static struct node *find_parent(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char parent[CONFIGFS_PATH_MAX];

	*name = slash ? slash + 1 : path;
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
	return find(parent);
}

static void path_of(const struct node *n, char path[CONFIGFS_PATH_MAX])
{
	char rest[CONFIGFS_PATH_MAX] = "", made[2 * CONFIGFS_PATH_MAX];

	for (; n != root; n = n->parent) {
		snprintf(made, sizeof(made), "%s%s%s", n->name, *rest ? "/" : "", rest);
		memcpy(rest, made, strlen(made) + 1);
	}
	memcpy(path, rest, strlen(rest) + 1);
}

static struct node *add(struct node *parent, const char *name, enum configfs_kind kind)
{
	struct node *n = calloc(1, sizeof(*n));

	n->kind = kind;
	n->parent = parent;
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->next = parent->child;
	parent->child = n;
	return n;
}

/* It, and all that is below it. */
static void drop(struct node *n)
{
	struct node *child;

	while ((child = n->child)) {
		n->child = child->next;
		drop(child);
	}
	if (n->to)
		n->to->links--;
	free(n);
}

static void cut(struct node *n)
{
	struct node **at;

	for (at = n->parent ? &n->parent->child : &root; *at != n; at = &(*at)->next)
		;
	*at = n->next;
	drop(n);
}

/* --- what a new directory has --- */

/* Words: "name/" a directory, "name=value" an attribute. */
static const struct template {
	const char *path, *words;
} templates[] = {
	{ "target/core/*_*", "hba_info=x" },
	{ "target/core/*_*/*", "control= enable=0 udev_path= info= alias= wwn/ pr/ attrib/ alua/ "
			       "statistics/ action/" },
	{ "target/core/*_*/*/wwn", "vpd_unit_serial=" },
	{ "target/core/*_*/*/pr", "res_aptpl_metadata= res_pr_registered_i_pts=None" },
	{ "target/core/*_*/*/attrib", "emulate_tpu=0 emulate_tpws=0 optimal_sectors=248 "
				      "hw_max_sectors=248 emulate_caw=1 unmap_granularity=0" },
	{ "target/core/*_*/*/alua", "default_tg_pt_gp/" },
	{ "target/core/*_*/*/alua/*", "tg_pt_gp_id=0 alua_access_state=0 alua_access_type=3 "
				      "alua_write_metadata=0" },
	{ "target/srpt", "discovery_auth/" },
	{ "target/srpt/discovery_auth", "rdma_cm_port=0" },
	{ "target/?*", "discovery_auth/" },
	{ "target/*/*/tpgt_*", "lun/ np/ acls/ attrib/ auth/ param/ nexus= enable=0 "
			       "dynamic_sessions=" },
	{ "target/*/*/tpgt_*/attrib", "generate_node_acls=0 cache_dynamic_acls=0 "
				      "demo_mode_write_protect=1 authentication=1" },
	{ "target/*/*/tpgt_*/auth", "userid= password= userid_mutual= password_mutual=" },
	{ "target/*/*/tpgt_*/lun/lun_*", "alua_tg_pt_gp= statistics/" },
	{ "target/*/*/tpgt_*/np/*", "iser=0" },
	{ "target/*/*/tpgt_*/acls/*", "info= auth/ attrib/ param/ fabric_statistics/" },
	{ "target/*/*/tpgt_*/acls/*/auth", "userid= password= userid_mutual= password_mutual=" },
	{ "target/*/*/tpgt_*/acls/*/lun_*", "write_protect=0 statistics/" },
	{ "nvmet/subsystems/*", "attr_serial=x attr_allow_any_host=0 namespaces/ allowed_hosts/" },
	{ "nvmet/subsystems/*/namespaces/*", "device_path= device_uuid= enable=0" },
	{ "nvmet/hosts/*", "dhchap_key= dhchap_ctrl_key=" },
	{ "nvmet/ports/*", "addr_trtype= addr_adrfam= addr_traddr= addr_trsvcid= subsystems/ "
			   "referrals/ ana_groups/" },
};

/* Where directories can be made. */
static const char *const makable[] = {
	"target/?*", "target/core/iblock_*", "target/core/fileio_*", "target/core/*_*/*",
	"target/core/*_*/*/alua/*", "target/*/*", "target/*/*/tpgt_*",
	"target/*/*/tpgt_*/lun/lun_*", "target/*/*/tpgt_*/np/*:*", "target/*/*/tpgt_*/acls/*",
	"target/*/*/tpgt_*/acls/*/lun_*", "nvmet/subsystems/*", "nvmet/subsystems/*/namespaces/*",
	"nvmet/hosts/*", "nvmet/ports/*",
};

static bool matches(const char *pattern, const char *path)
{
	return !fnmatch(pattern, path, FNM_PATHNAME);
}

static void fill(struct node *n)
{
	char path[CONFIGFS_PATH_MAX], words[512], *word, *save = NULL, *end;
	struct node *child;
	size_t i;

	path_of(n, path);
	for (i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (matches(templates[i].path, path) && strcmp(path, "target/core"))
			break;
	if (i == sizeof(templates) / sizeof(templates[0]))
		return;
	snprintf(words, sizeof(words), "%s", templates[i].words);
	for (word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		end = word + strcspn(word, "=/");
		child = *end == '/' ? NULL : add(n, "", CONFIGFS_ATTRIBUTE);
		if (child)
			snprintf(child->value, sizeof(child->value), "%s", end + 1);
		*end = '\0';
		if (child)
			snprintf(child->name, sizeof(child->name), "%s", word);
		else
			fill(add(n, word, CONFIGFS_DIRECTORY));
	}
}

/* --- rules --- */

static unsigned int links_to(const struct node *n)
{
	unsigned int nr = n->links;
	const struct node *c;

	for (c = n->child; c; c = c->next)
		nr += c->made ? 0 : links_to(c);
	return nr;
}

static bool has_made(const struct node *n)
{
	const struct node *c;

	for (c = n->child; c; c = c->next)
		if (c->made || has_made(c))
			return true;
	return false;
}

static const char *value_of(struct node *n, const char *name)
{
	struct node *c = find_child(n, name, strlen(name));

	return c ? c->value : "";
}

static void set(struct node *n, const char *name, const char *value)
{
	struct node *c = find_child(n, name, strlen(name));

	snprintf(c->value, sizeof(c->value), "%.500s", value);
}

static bool has_devices(void)
{
	struct node *hba, *core = find("target/core");

	for (hba = core->child; hba; hba = hba->next)
		if (has_made(hba))
			return true;
	return false;
}

static int write_backstore(struct node *backstore, struct node *n, const char *value)
{
	unsigned int number = fake_device_number(value_of(backstore, "udev_path"));
	char text[128];

	if (!strcmp(n->name, "control"))
		return strcmp(value_of(backstore, "enable"), "1") ? 0 : -EEXIST;
	if (!strcmp(n->name, "enable")) {
		/* the kernel opens what control was told, which is checked to be the same */
		if (!number || !*value_of(backstore, "control"))
			return -ENODEV;
		snprintf(text, sizeof(text), "Status: DEACTIVATED\n Major: 254 Minor: %u  CLAIMED",
			 number);
		set(backstore, "info", text);
		return 0;
	}
	if (!strcmp(n->name, "vpd_unit_serial") &&
	    (backstore->links || strcmp(value_of(backstore, "enable"), "1")))
		return -EINVAL;
	if (!strcmp(n->name, "optimal_sectors") && atoi(value) > 248)
		return -EINVAL;
	if (!strcmp(n->name, "alua_access_state") && strcmp(value_of(backstore, "enable"), "1"))
		return -ENODEV;
	return 0;
}

static int write_lun_group(struct node *lun, const char *value)
{
	struct node *link, *groups;

	for (link = lun->child; link && link->kind != CONFIGFS_LINK; link = link->next)
		;
	groups = link ? find_child(link->to, "alua", 4) : NULL;
	return groups && find_child(groups, value, strlen(value)) ? 0 : -ENODEV;
}

static int judge_write(struct node *n, const char *path, const char *value)
{
	struct node *p = n->parent;

	if (!strcmp(path, "target/dbroot"))
		return has_devices() ? -EINVAL : 0;
	if (matches("target/core/*_*/*/*", path))
		return write_backstore(p, n, value);
	if (matches("target/core/*_*/*/*/*", path))
		return write_backstore(p->parent, n, value);
	if (matches("target/core/*_*/*/alua/*/*", path))
		return write_backstore(p->parent->parent, n, value);
	if (!strcmp(n->name, "alua_tg_pt_gp"))
		return write_lun_group(p, value);
	/* iscsi does not like to be disabled twice */
	if (matches("target/*/*/tpgt_*/enable", path) && *value == '0')
		return *n->value == '0' ? -EINVAL : 0;
	if (!strcmp(n->name, "nexus"))
		return !strcmp(value, "NULL") || !strncmp(value, "naa.", 4) ? 0 : -EINVAL;
	if (matches("nvmet/subsystems/*/namespaces/*/enable", path))
		return *value == '0' || *value_of(p, "device_path") ? 0 : -EINVAL;
	if (matches("nvmet/subsystems/*/namespaces/*/device_*", path))
		return strcmp(value_of(p, "enable"), "1") ? 0 : -EBUSY;
	if (matches("nvmet/ports/*/addr_*", path))
		return has_made(p) ? -EACCES : 0;
	return 0;
}

static int judge_link(struct node *parent, struct node *to, const char *path)
{
	if (matches("target/*/*/tpgt_*/lun/lun_*/*", path))
		return strcmp(value_of(to, "enable"), "1") ? -ENODEV : 0;
	if (matches("target/*/*/tpgt_*/acls/*/lun_*/*", path))
		return to->parent->parent != parent->parent->parent->parent || !has_made(to) ?
		       -EINVAL : 0;
	if (matches("nvmet/ports/*/subsystems/*", path))
		return *value_of(parent->parent, "addr_trtype") &&
		       *value_of(parent->parent, "addr_traddr") ? 0 : -EINVAL;
	if (matches("nvmet/subsystems/*/allowed_hosts/*", path))
		return strcmp(value_of(parent->parent, "attr_allow_any_host"), "1") ? 0 : -EINVAL;
	return -EPERM;
}

/* --- the tree's functions --- */

/* Does this change fail? */
static bool is_hit(void)
{
	changes++;
	if (call && changes == call_at)
		call();
	return changes == fail_at;
}

static int fake_kind(struct configfs *c, const char *path)
{
	struct node *n = find(path);

	return n ? n->kind : CONFIGFS_NOTHING;
}

static int make(const char *path)
{
	const char *name;
	struct node *n, *parent = find_parent(path, &name);
	size_t i;

	if (!parent)
		return -ENOENT;
	if (find_child(parent, name, strlen(name)))
		return -EEXIST;
	for (i = 0; i < sizeof(makable) / sizeof(makable[0]); i++)
		if (matches(makable[i], path))
			break;
	if (i == sizeof(makable) / sizeof(makable[0]))
		return -EPERM;
	n = add(parent, name, CONFIGFS_DIRECTORY);
	n->made = true;
	fill(n);
	return 0;
}

static int make_link(const char *to_path, const char *path)
{
	const char *name;
	struct node *n, *to = find(to_path), *parent = find_parent(path, &name);
	int rc;

	if (!to || !parent)
		return -ENOENT;
	if (find_child(parent, name, strlen(name)))
		return -EEXIST;
	rc = judge_link(parent, to, path);
	if (rc)
		return rc;
	n = add(parent, name, CONFIGFS_LINK);
	n->made = true;
	n->to = to;
	to->links++;
	return 0;
}

static int write_value(const char *path, const char *value)
{
	char text[512];
	struct node *n = find(path);
	int rc = n ? -EISDIR : -ENOENT;
	size_t i;

	if (n && n->kind == CONFIGFS_ATTRIBUTE)
		rc = judge_write(n, path, value);
	if (rc)
		return rc;
	snprintf(text, sizeof(text), "%s%.450s", strcmp(n->name, "vpd_unit_serial") ? "" :
		 "T10 VPD Unit Serial Number: ", strcmp(n->name, "nexus") ||
		 strcmp(value, "NULL") ? value : "");
	/* to the kernel it is a number */
	for (i = 0; text[i] && !strcmp(n->name, "device_uuid"); i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	memcpy(n->value, text, sizeof(n->value));
	return 0;
}

static int fake_make(struct configfs *c, const char *path)
{
	return is_hit() ? -EIO : make(path);
}

static int fake_remove(struct configfs *c, const char *path)
{
	struct node *n = find(path);

	if (is_hit())
		return -EIO;
	if (!n)
		return -ENOENT;
	if (!n->made || n->kind != CONFIGFS_DIRECTORY)
		return n->made ? -ENOTDIR : -EPERM;
	if (has_made(n))
		return -ENOTEMPTY;
	if (links_to(n))
		return -EBUSY;
	cut(n);
	return 0;
}

static int fake_link(struct configfs *c, const char *to, const char *path)
{
	return is_hit() ? -EIO : make_link(to, path);
}

static int fake_unlink(struct configfs *c, const char *path)
{
	struct node *n = find(path);

	if (is_hit())
		return -EIO;
	if (!n || n->kind != CONFIGFS_LINK)
		return n ? -EPERM : -ENOENT;
	/* who maps this LUN has to go before */
	if (matches("target/*/*/tpgt_*/lun/lun_*/*", path) && n->parent->links)
		return -EBUSY;
	cut(n);
	return 0;
}

static int fake_read(struct configfs *c, const char *path, char *text, size_t size)
{
	struct node *n = find(path);
	size_t i, length = 0;

	if (!n || n->kind != CONFIGFS_ATTRIBUTE)
		return n ? -EISDIR : -ENOENT;
	for (i = 0; i <= strlen(n->value) && length + 3 < size; i++) {
		text[length++] = n->value[i] ? n->value[i] : '\n';
		/* as the kernel has it */
		if (text[length - 1] == '\n' && !strcmp(n->name, "dynamic_sessions"))
			text[length++] = '\0';
	}
	text[length] = '\0';
	return (int)length;
}

static int fake_read_link(struct configfs *c, const char *path, char *text, size_t size)
{
	struct node *n = find(path);
	char to[CONFIGFS_PATH_MAX];

	if (!n || n->kind != CONFIGFS_LINK)
		return n ? -EINVAL : -ENOENT;
	path_of(n->to, to);
	snprintf(text, size, "%s", to);
	return 0;
}

static int fake_write_op(struct configfs *c, const char *path, const char *text)
{
	return is_hit() ? -EIO : write_value(path, text);
}

static int fake_list(struct configfs *c, const char *path, struct names *names)
{
	struct node *n = find(path);

	if (!n)
		return -ENOENT;
	for (n = n->child; n; n = n->next)
		if (n->kind != CONFIGFS_ATTRIBUTE)
			names_add(names, n->name);
	return 0;
}

static void fake_close(struct configfs *c)
{
}

struct configfs fake_configfs(void)
{
	static const struct configfs_ops ops = {
		.kind = fake_kind,
		.make = fake_make,
		.remove = fake_remove,
		.link = fake_link,
		.unlink = fake_unlink,
		.read = fake_read,
		.read_link = fake_read_link,
		.write = fake_write_op,
		.list = fake_list,
		.close = fake_close,
	};

	return (struct configfs){ .ops = &ops, .root = -1 };
}

/* --- for tests --- */

void fake_begin(void)
{
	static const char *const kernel[] = { "core", "hosts", "ports", "subsystems" };
	struct node *target, *nvmet;
	size_t i;

	root = calloc(1, sizeof(*root));
	root->kind = CONFIGFS_DIRECTORY;
	target = add(root, "target", CONFIGFS_DIRECTORY);
	nvmet = add(root, "nvmet", CONFIGFS_DIRECTORY);
	add(target, "dbroot", CONFIGFS_ATTRIBUTE);
	for (i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++)
		add(i ? nvmet : target, kernel[i], CONFIGFS_DIRECTORY);
	fake_fail_at(0);
	fake_call_at(0, NULL);
}

static void loosen(struct node *n)
{
	for (n = n->child; n; n = n->next) {
		n->to = NULL;
		loosen(n);
	}
}

void fake_end(void)
{
	loosen(root);
	cut(root);
	root = NULL;
}

void fake_fail_at(unsigned int n)
{
	changes = 0;
	fail_at = n;
}

void fake_call_at(unsigned int n, void (*to_call)(void))
{
	changes = 0;
	call_at = n;
	call = to_call;
}

unsigned int fake_changes(void)
{
	return changes;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
	char *line[2000];
	size_t nr;
};

static void gather(const struct node *n, struct lines *l, bool below_made)
{
	char path[CONFIGFS_PATH_MAX], to[CONFIGFS_PATH_MAX] = "";

	for (n = n->child; n; n = n->next) {
		path_of(n, path);
		if (n->to)
			path_of(n->to, to);
		/* a fabric's own directory stays, as targetcli leaves it */
		if ((n->made && !matches("target/*", path)) ||
		    (n->kind == CONFIGFS_ATTRIBUTE && below_made))
			if (l->nr < 2000 && asprintf(&l->line[l->nr], "%s %s%s\n", path,
						     n->kind == CONFIGFS_LINK ? to : n->value,
						     n->kind == CONFIGFS_LINK ? " (link)" : "") > 0)
				l->nr++;
		gather(n, l, below_made || (n->made && !matches("target/*", path)));
	}
}

char *fake_text(void)
{
	struct lines *l = calloc(1, sizeof(*l));
	size_t i, size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	gather(root, l, false);
	qsort(l->line, l->nr, sizeof(l->line[0]), compare);
	for (i = 0; i < l->nr; i++) {
		fputs(l->line[i], out);
		free(l->line[i]);
	}
	free(l);
	fclose(out);
	return text;
}

bool fake_has(const char *path)
{
	return find(path);
}

bool fake_mkdir(const char *path)
{
	char part[CONFIGFS_PATH_MAX];
	size_t length = 0;

	while (path[length]) {
		length += 1 + strcspn(path + length + 1, "/");
		snprintf(part, sizeof(part), "%.*s", (int)length, path);
		if (!find(part) && make(part))
			return false;
	}
	return true;
}

bool fake_rmtree(const char *path)
{
	struct node *n = find(path);

	if (n)
		cut(n);
	return n;
}

bool fake_write(const char *path, const char *value)
{
	return !write_value(path, value);
}

bool fake_symlink(const char *to, const char *path)
{
	return !make_link(to, path);
}

const char *fake_value(const char *path)
{
	struct node *n = find(path);

	return n ? n->value : "";
}
