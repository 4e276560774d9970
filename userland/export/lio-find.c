// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What LIO has, whoever made it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "lio.h"

/* --- backstores --- */

/* "... Major: 254 Minor: 3 ..." */
static dev_t number_in(const char *info)
{
	const char *at = strstr(info, "Major: ");
	unsigned int a, b;

	return at && sscanf(at, "Major: %u Minor: %u", &a, &b) == 2 ? makedev(a, b) : 0;
}

dev_t lio_number_at(struct configfs *c, const char *backstore)
{
	char path[CONFIGFS_PATH_MAX], text[CONFIGFS_VALUE_MAX];

	configfs_path(path, "%s/info", backstore);
	configfs_text(c, path, text, sizeof(text));
	return number_in(text);
}

static void read_backstore(struct configfs *c, struct lio_backstore *b)
{
	static const char before[] = "T10 VPD Unit Serial Number: ";
	char path[CONFIGFS_PATH_MAX], text[CONFIGFS_VALUE_MAX];

	configfs_path(path, "%s/enable", b->path);
	configfs_text(c, path, text, sizeof(text));
	b->enabled = !strcmp(text, "1");
	configfs_path(path, "%s/udev_path", b->path);
	configfs_text(c, path, b->device, sizeof(b->device));
	b->number = lio_number_at(c, b->path);
	/* fileio and pscsi say none, but may have a device all the same */
	if (!b->number && b->enabled && !backing_number(b->device, &b->number))
		b->number = 0;
	configfs_path(path, "%s/wwn/vpd_unit_serial", b->path);
	configfs_text(c, path, text, sizeof(text));
	if (!strncmp(text, before, strlen(before)))
		snprintf(b->serial, sizeof(b->serial), "%.250s", text + strlen(before));
}

static bool visit_hba(struct configfs *c, const char *hba, visit_backstore_fn visit, void *context)
{
	char path[CONFIGFS_PATH_MAX];
	const char *underscore = strrchr(hba, '_');
	struct lio_backstore b;
	struct names names;
	bool ended = false;
	size_t i;

	if (!underscore || !isdigit((unsigned char)underscore[1]))
		return false;
	configfs_path(path, "target/core/%s", hba);
	configfs_list(c, path, &names);
	for (i = 0; i < names.nr && !ended; i++) {
		memset(&b, 0, sizeof(b));
		snprintf(b.plugin, sizeof(b.plugin), "%.*s", (int)(underscore - hba), hba);
		snprintf(b.name, sizeof(b.name), "%s", names.name[i]);
		configfs_path(b.path, "target/core/%s/%s", hba, names.name[i]);
		read_backstore(c, &b);
		ended = visit(context, &b);
	}
	names_free(&names);
	return ended;
}

bool lio_backstores_visit(struct configfs *c, visit_backstore_fn visit, void *context)
{
	struct names hbas;
	bool ended = false;
	size_t i;

	configfs_list(c, "target/core", &hbas);
	for (i = 0; i < hbas.nr && !ended; i++)
		ended = visit_hba(c, hbas.name[i], visit, context);
	names_free(&hbas);
	return ended;
}

struct search {
	const struct backstore *wanted;
	struct lio_backstore *found;
};

static bool is_wanted(void *context, const struct lio_backstore *b)
{
	struct search *s = context;

	if (strcmp(b->plugin, "iblock") || strcmp(b->name, s->wanted->name))
		return false;
	/* an incomplete one has no serial number yet */
	if (strcmp(b->serial, s->wanted->serial) &&
	    (!s->wanted->incomplete || strcmp(b->device, s->wanted->device)) &&
	    (!s->wanted->incomplete || *b->device || b->enabled))
		return false;
	*s->found = *b;
	return true;
}

bool lio_find_backstore(struct configfs *c, const struct backstore *b, struct lio_backstore *found)
{
	struct search s = { b, NULL };

	s.found = found;
	return lio_backstores_visit(c, is_wanted, &s);
}

/* --- names of logical units --- */

#define NAA_DIGITS 25

static void first_digits(const char *serial, char digits[NAA_DIGITS + 1])
{
	size_t nr = 0;

	for (; *serial && nr < NAA_DIGITS; serial++)
		if (isxdigit((unsigned char)*serial))
			digits[nr++] = (char)tolower((unsigned char)*serial);
	while (nr < NAA_DIGITS)
		digits[nr++] = '0';
	digits[nr] = '\0';
}

bool lio_same_naa(const char *serial, const char *other)
{
	char a[NAA_DIGITS + 1], b[NAA_DIGITS + 1];

	first_digits(serial, a);
	first_digits(other, b);
	return !strcmp(a, b);
}

void lio_naa(const char *serial, char naa[37])
{
	char digits[NAA_DIGITS + 1];

	first_digits(serial, digits);
	snprintf(naa, 37, "naa.6001405%s", digits);
}

/* --- LUNs --- */

static bool take_backstore(struct configfs *c, struct seen_lun *l, const char *lun_path)
{
	char path[CONFIGFS_PATH_MAX], to[CONFIGFS_PATH_MAX];
	struct lio_backstore b = { .enabled = false };
	struct names names;
	size_t i;

	configfs_list(c, lun_path, &names);
	for (i = 0; i < names.nr && !*b.path; i++) {
		configfs_path(path, "%s/%s", lun_path, names.name[i]);
		if (configfs_kind(c, path) == CONFIGFS_LINK &&
		    !configfs_read_link(c, path, to, sizeof(to)) &&
		    !strncmp(to, "target/core/", 12))
			configfs_path(b.path, "%s", to);
	}
	names_free(&names);
	if (!*b.path)
		return false;
	read_backstore(c, &b);
	snprintf(l->backstore, sizeof(l->backstore), "%.220s", b.path + 12);
	snprintf(l->device, sizeof(l->device), "%s", b.device);
	snprintf(l->serial, sizeof(l->serial), "%s", b.serial);
	l->number = b.number;
	return true;
}

/* Those that the fabric tells of: iSCSI's. */
static void list_sessions(struct configfs *c, const char *tpg, struct names *initiators)
{
	char path[CONFIGFS_PATH_MAX], text[CONFIGFS_VALUE_MAX], *at = text, *line;
	struct names acls;
	size_t i;

	memset(initiators, 0, sizeof(*initiators));
	configfs_path(path, "%s/dynamic_sessions", tpg);
	configfs_text(c, path, text, sizeof(text));
	while ((line = strsep(&at, "\n"))) {
		/* they have chosen their names themselves, and a terminal would obey */
		for (i = 0; line[i]; i++)
			if (!isgraph((unsigned char)line[i]))
				line[i] = '?';
		if (*line)
			names_add(initiators, line);
	}
	configfs_path(path, "%s/acls", tpg);
	configfs_list(c, path, &acls);
	for (i = 0; i < acls.nr; i++) {
		configfs_path(path, "%s/acls/%s/info", tpg, acls.name[i]);
		configfs_text(c, path, text, sizeof(text));
		if (!strncmp(text, "InitiatorName: ", 15))
			names_add(initiators, acls.name[i]);
	}
	names_free(&acls);
}

void lio_sessions(struct configfs *c, const struct target *t, struct names *initiators)
{
	char tpg[CONFIGFS_PATH_MAX];

	configfs_path(tpg, "target/%s/%s/" TPG, t->fabric->tree, t->wwn);
	list_sessions(c, tpg, initiators);
}

static unsigned int count_sessions(struct configfs *c, const char *tpg)
{
	struct names initiators;
	size_t nr;

	list_sessions(c, tpg, &initiators);
	nr = initiators.nr;
	names_free(&initiators);
	return (unsigned int)nr;
}

struct visitor {
	void (*visit)(void *context, const struct seen_lun *l);
	void *context;
};

static void visit_tpg(struct configfs *c, struct seen_lun *l, const char *tpg,
		      const struct visitor *v)
{
	char path[CONFIGFS_PATH_MAX], text[16];
	struct names luns;
	size_t i;

	configfs_path(path, "%s/enable", tpg);
	configfs_text(c, path, text, sizeof(text));
	l->enabled = strcmp(text, "0") != 0;
	l->sessions = count_sessions(c, tpg);
	configfs_path(path, "%s/lun", tpg);
	configfs_list(c, path, &luns);
	for (i = 0; i < luns.nr; i++) {
		configfs_path(path, "%s/lun/%s", tpg, luns.name[i]);
		snprintf(l->lun, sizeof(l->lun), "%.30s",
			 strncmp(luns.name[i], "lun_", 4) ? luns.name[i] : luns.name[i] + 4);
		if (take_backstore(c, l, path))
			v->visit(v->context, l);
	}
	names_free(&luns);
}

/* iSER is iSCSI with another kind of portal. */
static void find_fabric(struct configfs *c, struct seen_lun *l, const char *tpg)
{
	char path[CONFIGFS_PATH_MAX], text[16];
	struct names portals;
	size_t i;

	l->fabric = fabric_of_tree(l->tree);
	if (!l->fabric || strcmp(l->tree, "iscsi"))
		return;
	configfs_path(path, "%s/np", tpg);
	configfs_list(c, path, &portals);
	for (i = 0; i < portals.nr; i++) {
		configfs_path(path, "%s/np/%s/iser", tpg, portals.name[i]);
		configfs_text(c, path, text, sizeof(text));
		if (!strcmp(text, "1"))
			l->fabric = fabric_find("iser");
	}
	names_free(&portals);
}

static void visit_wwn(struct configfs *c, const char *tree, const char *wwn,
		      const struct visitor *v)
{
	char path[CONFIGFS_PATH_MAX];
	struct seen_lun l = { .fabric = NULL };
	struct names tpgs;
	size_t i;

	configfs_path(path, "target/%s/%s", tree, wwn);
	configfs_list(c, path, &tpgs);
	for (i = 0; i < tpgs.nr; i++) {
		if (!strcmp(tpgs.name[i], "fabric_statistics") || !strcmp(tpgs.name[i], "param"))
			continue;
		configfs_path(path, "target/%s/%s/%s", tree, wwn, tpgs.name[i]);
		snprintf(l.tree, sizeof(l.tree), "%.60s", tree);
		snprintf(l.wwn, sizeof(l.wwn), "%s", wwn);
		snprintf(l.tpg, sizeof(l.tpg), "%s", tpgs.name[i]);
		find_fabric(c, &l, path);
		visit_tpg(c, &l, path, v);
	}
	names_free(&tpgs);
}

void lio_luns_visit(struct configfs *c, void (*visit)(void *context, const struct seen_lun *l),
		    void *context)
{
	const struct visitor v = { visit, context };
	char path[CONFIGFS_PATH_MAX];
	struct names trees, wwns;
	size_t i, k;

	configfs_list(c, "target", &trees);
	for (i = 0; i < trees.nr; i++) {
		if (!strcmp(trees.name[i], "core"))
			continue;
		configfs_path(path, "target/%s", trees.name[i]);
		configfs_list(c, path, &wwns);
		for (k = 0; k < wwns.nr; k++)
			if (strcmp(wwns.name[k], "discovery_auth"))
				visit_wwn(c, trees.name[i], wwns.name[k], &v);
		names_free(&wwns);
	}
	names_free(&trees);
}
