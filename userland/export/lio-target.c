// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes and removes targets of LIO, and the LUNs in them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lio.h"

static void target_path(const struct fabric *f, const char *wwn, char path[CONFIGFS_PATH_MAX])
{
	configfs_path(path, "target/%s/%s/" TPG, f->tree, wwn);
}

/* A link's name says nothing; rtslib and we use ten digits. */
static void link_name(char name[11])
{
	unsigned char b[5];

	random_bytes(b, sizeof(b));
	snprintf(name, 11, "%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4]);
}

static void make_link(struct journal *j, const char *to, const char *directory)
{
	char path[CONFIGFS_PATH_MAX], name[11];

	link_name(name);
	configfs_path(path, "%s/%s", directory, name);
	journal_link(j, to, path);
}

static void write_below(struct journal *j, const char *directory, const char *name,
			const char *value)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "%s/%s", directory, name);
	journal_write(j, path, "%s", value);
}

static void write_secrets(struct journal *j, const char *directory, const struct chap *chap)
{
	char path[CONFIGFS_PATH_MAX];
	size_t i;
	const struct {
		const char *name, *value;
	} all[] = {
		{ "userid", chap->userid },
		{ "password", chap->password },
		{ "userid_mutual", chap->userid_mutual },
		{ "password_mutual", chap->password_mutual },
	};

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		configfs_path(path, "%s/auth/%s", directory, all[i].name);
		if (*all[i].value)
			journal_write_secret(j, path, all[i].value);
	}
}

/* --- the target --- */

static void set_switches(struct journal *j, const struct target *t, const char *tpg)
{
	const char *any = t->any_initiator ? "1" : "0";

	write_below(j, tpg, "attrib/generate_node_acls", any);
	write_below(j, tpg, "attrib/cache_dynamic_acls", any);
	write_below(j, tpg, "attrib/demo_mode_write_protect", t->any_initiator ? "0" : "1");
	if (t->fabric->chap)
		write_below(j, tpg, "attrib/authentication", chap_empty(&t->chap) ? "0" : "1");
}

static void make_portals(struct journal *j, const struct target *t, const char *tpg)
{
	char path[CONFIGFS_PATH_MAX];
	size_t i;

	for (i = 0; i < t->portals.nr && !t->fabric->port_only; i++) {
		configfs_path(path, "%s/np/%s", tpg, t->portals.name[i]);
		if (configfs_kind(j->configfs, path) == CONFIGFS_DIRECTORY)
			continue;
		journal_make(j, path);
		if (!strcmp(t->fabric->name, "iser"))
			write_below(j, path, "iser", "1");
	}
}

/* Has the fabric another target? */
static bool has_others(struct configfs *c, const struct target *t)
{
	char path[CONFIGFS_PATH_MAX];
	struct names names;
	bool others = false;
	size_t i;

	configfs_path(path, "target/%s", t->fabric->tree);
	configfs_list(c, path, &names);
	for (i = 0; i < names.nr; i++)
		others |= strcmp(names.name[i], t->wwn) && strcmp(names.name[i], "discovery_auth");
	names_free(&names);
	return others;
}

/* SRP initiators that are known by an address come by rdma_cm, which has to be told to listen. */
static void listen_for_srp(struct journal *j, const struct target *t)
{
	static const char path[] = "target/srpt/discovery_auth/rdma_cm_port";
	char address[PORTAL_MAX], port[8], now[16];
	bool ipv6;

	if (!t->portals.nr)
		return;
	portal_split(t->portals.name[0], address, port, &ipv6);
	configfs_text(j->configfs, path, now, sizeof(now));
	if (!strcmp(now, port))
		return;
	if (*now && strcmp(now, "0") && has_others(j->configfs, t)) {
		complain("SRP listens at port %s of this host, for targets that are there already: "
			 "--portal %s:%s is not possible beside them", now, address, port);
		journal_fail(j, EXIT_NOT_OURS);
	}
	journal_change(j, path, port, *now ? NULL : "0");
}

static bool make_target(struct journal *j, const struct target *t, const char *tpg)
{
	char path[CONFIGFS_PATH_MAX];

	if (lio_target_exists(j->configfs, t))
		return false;
	configfs_path(path, "target/%s", t->fabric->tree);
	journal_need(j, path);
	configfs_path(path, "target/%s/%s", t->fabric->tree, t->wwn);
	journal_need(j, path);
	journal_make(j, tpg);
	if (t->fabric->acl_switches)
		set_switches(j, t, tpg);
	configfs_path(path, "%s/nexus", tpg);
	if (t->fabric->initiators == INITIATORS_LOCAL)
		journal_change(j, path, t->nexus, "NULL");
	if (t->any_initiator && !chap_empty(&t->chap))
		write_secrets(j, tpg, &t->chap);
	if (t->fabric->port_only)
		listen_for_srp(j, t);
	return true;
}

static void make_acls(struct journal *j, const struct target *t, const char *tpg)
{
	char path[CONFIGFS_PATH_MAX];
	size_t i;

	for (i = 0; i < t->acls.nr; i++) {
		configfs_path(path, "%s/acls/%s", tpg, t->acls.name[i]);
		if (configfs_kind(j->configfs, path) == CONFIGFS_DIRECTORY)
			continue;
		journal_make(j, path);
		if (!chap_empty(&t->chap))
			write_secrets(j, path, &t->chap);
	}
}

/* One LUN of the target, as one initiator sees it: by the same number. */
static void map_lun(struct journal *j, const char *tpg, const char *acl, uint32_t lun)
{
	char lun_path[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];

	configfs_path(lun_path, "%s/lun/lun_%u", tpg, lun);
	configfs_path(path, "%s/acls/%s/lun_%u", tpg, acl, lun);
	if (configfs_kind(j->configfs, path) == CONFIGFS_DIRECTORY)
		return;
	journal_make(j, path);
	make_link(j, lun_path, path);
}

static void map_luns(struct journal *j, const struct state *s, const struct target *t,
		     const struct lun *l, const char *tpg)
{
	size_t i, k;

	for (i = 0; i < t->acls.nr; i++) {
		map_lun(j, tpg, t->acls.name[i], l->lun);
		for (k = 0; k < s->luns; k++)
			if (s->lun[k].lun != l->lun &&
			    state_target(s, s->lun[k].fabric, s->lun[k].wwn) == t &&
			    lio_lun_exists(j->configfs, &s->lun[k]))
				map_lun(j, tpg, t->acls.name[i], s->lun[k].lun);
	}
}

/* --- groups of ports --- */

/* A number that no group of this device has. */
static unsigned int free_group(struct configfs *c, const char *backstore)
{
	char path[CONFIGFS_PATH_MAX], text[16];
	unsigned int number = 1;
	struct names groups;
	size_t i;

	configfs_path(path, "%s/alua", backstore);
	configfs_list(c, path, &groups);
	for (i = 0; i < groups.nr; i++) {
		unsigned int id;

		configfs_path(path, "%s/alua/%s/tg_pt_gp_id", backstore, groups.name[i]);
		configfs_text(c, path, text, sizeof(text));
		id = (unsigned int)strtoul(text, NULL, 10);
		if (id >= number)
			number = id + 1;
	}
	names_free(&groups);
	return number;
}

static void make_group(struct journal *j, const struct lun *l, const char *backstore)
{
	char path[CONFIGFS_PATH_MAX], attribute[CONFIGFS_PATH_MAX];
	unsigned int number = free_group(j->configfs, backstore);

	configfs_path(path, "%s/alua/%s", backstore, l->alua_group);
	if (configfs_kind(j->configfs, path) == CONFIGFS_DIRECTORY)
		return;
	journal_make(j, path);
	configfs_path(attribute, "%s/tg_pt_gp_id", path);
	journal_write(j, attribute, "%u", number);
	if (l->alua_state) {
		configfs_path(attribute, "%s/alua_access_state", path);
		journal_write(j, attribute, "%u", l->alua_state);
	}
	/* of changes from now on: what it wrote before a restart is still to be read */
	configfs_path(attribute, "%s/alua_write_metadata", path);
	journal_write(j, attribute, "1");
}

/* --- the LUN --- */

int lio_make_lun(struct journal *j, const struct state *s, const struct target *t,
		 const struct lun *l, const char *backstore)
{
	char tpg[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];
	bool made;

	target_path(t->fabric, t->wwn, tpg);
	if (*l->alua_group)
		make_group(j, l, backstore);
	made = make_target(j, t, tpg);
	make_portals(j, t, tpg);
	make_acls(j, t, tpg);
	configfs_path(path, "%s/lun/lun_%u", tpg, l->lun);
	if (!lio_lun_exists(j->configfs, l)) {
		journal_make(j, path);
		make_link(j, backstore, path);
		if (*l->alua_group)
			write_below(j, path, "alua_tg_pt_gp", l->alua_group);
	}
	map_luns(j, s, t, l, tpg);
	configfs_path(path, "%s/enable", tpg);
	if (made && t->fabric->enable)
		journal_change(j, path, "1", "0");
	return j->code;
}

bool lio_target_exists(struct configfs *c, const struct target *t)
{
	char path[CONFIGFS_PATH_MAX];

	target_path(t->fabric, t->wwn, path);
	return configfs_kind(c, path) == CONFIGFS_DIRECTORY;
}

bool lio_lun_exists(struct configfs *c, const struct lun *l)
{
	char tpg[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];

	target_path(l->fabric, l->wwn, tpg);
	configfs_path(path, "%s/lun/lun_%u", tpg, l->lun);
	return configfs_kind(c, path) == CONFIGFS_DIRECTORY;
}

/* --- removal --- */

/* A directory with nothing in it but links of ours. */
static int remove_with_links(struct configfs *c, bool dry_run, const char *directory)
{
	char path[CONFIGFS_PATH_MAX];
	struct names names;
	int code = 0;
	size_t i;

	configfs_list(c, directory, &names);
	for (i = 0; i < names.nr && !code; i++) {
		configfs_path(path, "%s/%s", directory, names.name[i]);
		if (configfs_kind(c, path) == CONFIGFS_LINK)
			code = remove_link(c, dry_run, path);
	}
	names_free(&names);
	return code ? code : remove_directory(c, dry_run, directory);
}

int lio_remove_lun(struct configfs *c, bool dry_run, const struct target *t, const struct lun *l)
{
	char tpg[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];
	int code = 0;
	size_t i;

	target_path(t->fabric, t->wwn, tpg);
	for (i = 0; i < t->acls.nr && !code; i++) {
		configfs_path(path, "%s/acls/%s/lun_%u", tpg, t->acls.name[i], l->lun);
		code = remove_with_links(c, dry_run, path);
	}
	configfs_path(path, "%s/lun/lun_%u", tpg, l->lun);
	return code ? code : remove_with_links(c, dry_run, path);
}

/* The first thing in a directory of the target that is not recorded. */
static bool find_stranger(struct configfs *c, const char *tpg, const char *directory,
			  const struct names *ours, char stranger[CONFIGFS_PATH_MAX])
{
	char path[CONFIGFS_PATH_MAX];
	struct names names;
	bool found = false;
	size_t i;

	configfs_path(path, "%s/%s", tpg, directory);
	configfs_list(c, path, &names);
	for (i = 0; i < names.nr && !found; i++) {
		found = !names_have(ours, names.name[i]);
		if (found)
			configfs_path(stranger, "%s/%s", path, names.name[i]);
	}
	names_free(&names);
	return found;
}

/* The first thing in a target that would be left without these LUNs and all that is recorded. */
static bool find_rest(struct configfs *c, const struct target *t, const char *tpg,
		      const struct names *luns, char rest[CONFIGFS_PATH_MAX])
{
	return find_stranger(c, tpg, "lun", luns, rest) ||
	       find_stranger(c, tpg, "np", &t->portals, rest) ||
	       find_stranger(c, tpg, "acls", &t->acls, rest);
}

/* Something of others is in it: then it is theirs from now on. */
static bool has_strangers(struct configfs *c, const struct target *t, const char *tpg)
{
	char stranger[CONFIGFS_PATH_MAX];
	static const struct names none;

	if (!find_rest(c, t, tpg, &none, stranger))
		return false;
	complain("%s is not larder's: the target %s stays", stranger, t->wwn);
	return true;
}

/* This LUN, from all initiators that are named; without their links it is no LUN of theirs. */
static void unmap_lun(struct journal *j, const struct target *t, const char *tpg, const char *lun)
{
	char directory[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];
	struct names names;
	size_t i, k;

	for (i = 0; i < t->acls.nr; i++) {
		configfs_path(directory, "%s/acls/%s/%s", tpg, t->acls.name[i], lun);
		configfs_list(j->configfs, directory, &names);
		for (k = 0; k < names.nr; k++) {
			configfs_path(path, "%s/%s", directory, names.name[k]);
			if (configfs_kind(j->configfs, path) == CONFIGFS_LINK)
				journal_unlink(j, path);
		}
		names_free(&names);
	}
}

/* The kernel forgets persistent reservations with a mapping; they do not come back with it. */
static bool has_registrations(struct configfs *c, const char *tpg, const char *lun)
{
	char directory[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX], to[CONFIGFS_PATH_MAX];
	char text[CONFIGFS_VALUE_MAX] = "None";
	struct names names;
	size_t i;

	configfs_path(directory, "%s/lun/%s", tpg, lun);
	configfs_list(c, directory, &names);
	for (i = 0; i < names.nr; i++) {
		configfs_path(path, "%s/%s", directory, names.name[i]);
		if (configfs_kind(c, path) != CONFIGFS_LINK ||
		    configfs_read_link(c, path, to, sizeof(to)))
			continue;
		configfs_path(path, "%s/pr/res_pr_registered_i_pts", to);
		/* more than a page of them cannot be read */
		if (configfs_read(c, path, text, sizeof(text)))
			*text = '\0';
	}
	names_free(&names);
	return !strstr(text, "None");
}

int lio_stop(struct journal *j, const struct target *t, const struct names *luns)
{
	char tpg[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX], rest[CONFIGFS_PATH_MAX];
	size_t i;

	target_path(t->fabric, t->wwn, tpg);
	configfs_path(path, "%s/enable", tpg);
	if (t->fabric->enable && configfs_kind(j->configfs, path) == CONFIGFS_ATTRIBUTE &&
	    !find_rest(j->configfs, t, tpg, luns, rest))
		return journal_change(j, path, "0", NULL);
	for (i = 0; i < luns->nr; i++)
		if (!has_registrations(j->configfs, tpg, luns->name[i]))
			unmap_lun(j, t, tpg, luns->name[i]);
	return j->code;
}

static int disable(struct configfs *c, bool dry_run, const struct target *t, const char *tpg)
{
	char path[CONFIGFS_PATH_MAX], is[16];
	struct journal j = { .configfs = c, .dry_run = dry_run };

	configfs_path(path, "%s/enable", tpg);
	configfs_text(c, path, is, sizeof(is));
	/* who disables it twice is told of an error by some fabrics */
	if (t->fabric->enable && strcmp(is, "0") &&
	    configfs_kind(c, path) == CONFIGFS_ATTRIBUTE)
		journal_write(&j, path, "0");
	return j.code;
}

static int remove_all(struct configfs *c, bool dry_run, const char *tpg, const char *directory,
		      const struct names *names)
{
	char path[CONFIGFS_PATH_MAX];
	int code = 0;
	size_t i;

	for (i = 0; i < names->nr && !code; i++) {
		configfs_path(path, "%s/%s/%s", tpg, directory, names->name[i]);
		code = remove_directory(c, dry_run, path);
	}
	return code;
}

/* All LUNs as this initiator sees them. */
static int unmap_all(struct configfs *c, const char *tpg, const char *acl)
{
	char directory[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];
	struct names names;
	int code = 0;
	size_t i;

	configfs_path(directory, "%s/acls/%s", tpg, acl);
	configfs_list(c, directory, &names);
	for (i = 0; i < names.nr && !code; i++) {
		configfs_path(path, "%s/%s", directory, names.name[i]);
		if (!strncmp(names.name[i], "lun_", 4))
			code = remove_with_links(c, false, path);
	}
	names_free(&names);
	return code;
}

int lio_remove_added(struct configfs *c, const struct target *t)
{
	char tpg[CONFIGFS_PATH_MAX];
	int code = 0;
	size_t i;

	target_path(t->fabric, t->wwn, tpg);
	for (i = 0; i < t->added_acls.nr && !code; i++)
		code = unmap_all(c, tpg, t->added_acls.name[i]);
	if (!code)
		code = remove_all(c, false, tpg, "acls", &t->added_acls);
	return code || t->fabric->port_only ? code :
	       remove_all(c, false, tpg, "np", &t->added_portals);
}

bool lio_has(struct configfs *c, const struct target *t, const char *name)
{
	char tpg[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];
	bool has;

	target_path(t->fabric, t->wwn, tpg);
	configfs_path(path, "%s/acls/%s", tpg, name);
	has = configfs_kind(c, path) == CONFIGFS_DIRECTORY;
	configfs_path(path, "%s/np/%s", tpg, name);
	return has || configfs_kind(c, path) == CONFIGFS_DIRECTORY;
}

int lio_remove_target(struct configfs *c, bool dry_run, const struct target *t)
{
	char tpg[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];
	int code;

	target_path(t->fabric, t->wwn, tpg);
	if (!dry_run && has_strangers(c, t, tpg))
		return 0;
	code = disable(c, dry_run, t, tpg);
	if (!code)
		code = remove_all(c, dry_run, tpg, "acls", &t->acls);
	if (!code)
		code = remove_all(c, dry_run, tpg, "np", &t->portals);
	if (!code)
		code = remove_directory(c, dry_run, tpg);
	configfs_path(path, "target/%s/%s", t->fabric->tree, t->wwn);
	return code ? code : remove_directory(c, dry_run, path);
}
