// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's NVMe target, see nvmet.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvmet.h"

#define PORTS_MAX	65535

static void subsystem_path(const char *nqn, char path[CONFIGFS_PATH_MAX])
{
	configfs_path(path, "nvmet/subsystems/%s", nqn);
}

static void read_below(struct configfs *c, const char *directory, const char *name, char *text,
		       size_t size)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "%s/%s", directory, name);
	configfs_text(c, path, text, size);
}

static void write_below(struct journal *j, const char *directory, const char *name,
			const char *value)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "%s/%s", directory, name);
	journal_write(j, path, "%s", value);
}

/* --- ports --- */

static bool port_is(struct configfs *c, const char *number, const char *trtype, const char *portal)
{
	char path[CONFIGFS_PATH_MAX], type[32], address[PORTAL_MAX], service[16], text[256];
	char port[8];
	bool ipv6;

	portal_split(portal, address, port, &ipv6);
	configfs_path(path, "nvmet/ports/%s", number);
	read_below(c, path, "addr_trtype", type, sizeof(type));
	read_below(c, path, "addr_traddr", text, sizeof(text));
	read_below(c, path, "addr_trsvcid", service, sizeof(service));
	return !strcmp(type, trtype) && !strcmp(text, address) && !strcmp(service, port);
}

/* The port where initiators of this fabric come to this address; false: there is none. */
static bool find_port(struct configfs *c, const struct fabric *f, const char *portal,
		      char number[8])
{
	struct names ports;
	bool found = false;
	size_t i;

	configfs_list(c, "nvmet/ports", &ports);
	for (i = 0; i < ports.nr && !found; i++) {
		found = strlen(ports.name[i]) < 8 && port_is(c, ports.name[i], f->trtype, portal);
		if (found)
			snprintf(number, 8, "%s", ports.name[i]);
	}
	names_free(&ports);
	return found;
}

static bool port_is_recorded(const struct state *s, const char *number)
{
	size_t i;

	for (i = 0; i < s->targets; i++)
		if (names_have(&s->target[i].made_ports, number))
			return true;
	return false;
}

static void free_port(struct configfs *c, const struct state *s, char number[8])
{
	char path[CONFIGFS_PATH_MAX];
	unsigned int i;

	for (i = 1; i < PORTS_MAX; i++) {
		snprintf(number, 8, "%u", i);
		configfs_path(path, "nvmet/ports/%s", number);
		if (configfs_kind(c, path) == CONFIGFS_NOTHING && !port_is_recorded(s, number))
			return;
	}
}

void nvmet_plan(struct configfs *c, const struct state *s, struct target *t)
{
	char path[CONFIGFS_PATH_MAX], number[8];
	size_t i;

	for (i = t->made_ports.nr; i-- > 0;) {
		configfs_path(path, "nvmet/ports/%s", t->made_ports.name[i]);
		/* of an earlier time: the number may be another's by now */
		if (configfs_kind(c, path) == CONFIGFS_NOTHING)
			names_remove(&t->made_ports, t->made_ports.name[i]);
	}
	for (i = 0; i < t->portals.nr; i++) {
		if (find_port(c, t->fabric, t->portals.name[i], number))
			continue;
		free_port(c, s, number);
		names_add(&t->made_ports, number);
	}
	for (i = 0; i < t->acls.nr; i++) {
		configfs_path(path, "nvmet/hosts/%s", t->acls.name[i]);
		if (configfs_kind(c, path) == CONFIGFS_NOTHING &&
		    !names_have(&t->made_hosts, t->acls.name[i]))
			names_add(&t->made_hosts, t->acls.name[i]);
	}
}

/* The first number that was planned and is not there yet. */
static const char *planned_port(struct journal *j, const struct target *t, size_t *next)
{
	char path[CONFIGFS_PATH_MAX];

	while (*next < t->made_ports.nr) {
		const char *number = t->made_ports.name[(*next)++];

		configfs_path(path, "nvmet/ports/%s", number);
		if (configfs_kind(j->configfs, path) == CONFIGFS_NOTHING)
			return number;
	}
	complain("a port of nvmet has come or gone meanwhile: try again");
	journal_fail(j, EXIT_INTERRUPTED);
	return "0";
}

static void make_port(struct journal *j, const struct fabric *f, const char *portal,
		      const char *number)
{
	char path[CONFIGFS_PATH_MAX], address[PORTAL_MAX], port[8];
	bool ipv6;

	portal_split(portal, address, port, &ipv6);
	configfs_path(path, "nvmet/ports/%s", number);
	journal_make(j, path);
	write_below(j, path, "addr_trtype", f->trtype);
	write_below(j, path, "addr_adrfam", ipv6 ? "ipv6" : "ipv4");
	write_below(j, path, "addr_traddr", address);
	write_below(j, path, "addr_trsvcid", port);
}

static void offer_at_ports(struct journal *j, const struct target *t, const char *subsystem)
{
	char path[CONFIGFS_PATH_MAX], number[8];
	size_t i, next = 0;

	for (i = 0; i < t->portals.nr && !j->code; i++) {
		if (!find_port(j->configfs, t->fabric, t->portals.name[i], number)) {
			snprintf(number, sizeof(number), "%s", planned_port(j, t, &next));
			make_port(j, t->fabric, t->portals.name[i], number);
		}
		configfs_path(path, "nvmet/ports/%s/subsystems/%s", number, t->wwn);
		if (configfs_kind(j->configfs, path) != CONFIGFS_LINK)
			journal_link(j, subsystem, path);
	}
}

/* --- hosts --- */

static void write_keys(struct journal *j, const struct target *t, const char *host)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "%s/dhchap_key", host);
	if (*t->chap.dhchap_key)
		journal_write_secret(j, path, t->chap.dhchap_key);
	configfs_path(path, "%s/dhchap_ctrl_key", host);
	if (*t->chap.dhchap_ctrl_key)
		journal_write_secret(j, path, t->chap.dhchap_ctrl_key);
}

static void let_hosts_in(struct journal *j, const struct target *t, const char *subsystem)
{
	char host[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];
	size_t i;

	for (i = 0; i < t->acls.nr && !j->code; i++) {
		configfs_path(host, "nvmet/hosts/%s", t->acls.name[i]);
		configfs_path(path, "%s/allowed_hosts/%s", subsystem, t->acls.name[i]);
		if (configfs_kind(j->configfs, path) == CONFIGFS_LINK)
			continue;
		if (configfs_kind(j->configfs, host) == CONFIGFS_NOTHING) {
			journal_make(j, host);
			write_keys(j, t, host);
		} else if (*t->chap.dhchap_key && !names_have(&t->made_hosts, t->acls.name[i])) {
			complain("the host %s is there already, with a key or without: it is not ours to "
				 "change", t->acls.name[i]);
			journal_fail(j, EXIT_NOT_OURS);
		}
		journal_link(j, host, path);
	}
}

/* --- subsystem and namespace --- */

static void make_subsystem(struct journal *j, const struct target *t, const char *subsystem,
			   const struct backstore *b)
{
	char serial[21];
	size_t i, nr = 0;

	journal_make(j, subsystem);
	/* 20 characters, which differ as the UUID does */
	for (i = 0; b->serial[i] && nr < sizeof(serial) - 1; i++)
		if (b->serial[i] != '-')
			serial[nr++] = b->serial[i];
	serial[nr] = '\0';
	write_below(j, subsystem, "attr_serial", serial);
	write_below(j, subsystem, "attr_allow_any_host", t->any_initiator ? "1" : "0");
}

static void make_namespace(struct journal *j, const struct lun *l, const char *subsystem,
			   const struct backstore *b)
{
	char path[CONFIGFS_PATH_MAX], enable[CONFIGFS_PATH_MAX];

	configfs_path(path, "%s/namespaces/%u", subsystem, l->lun);
	journal_make(j, path);
	write_below(j, path, "device_path", b->device);
	write_below(j, path, "device_uuid", b->serial);
	configfs_path(enable, "%s/enable", path);
	journal_change(j, enable, "1", "0");
}

int nvmet_make_lun(struct journal *j, struct target *t, const struct lun *l,
		   const struct backstore *b)
{
	char subsystem[CONFIGFS_PATH_MAX];

	subsystem_path(t->wwn, subsystem);
	if (!nvmet_target_exists(j->configfs, t))
		make_subsystem(j, t, subsystem, b);
	if (!nvmet_lun_exists(j->configfs, l))
		make_namespace(j, l, subsystem, b);
	let_hosts_in(j, t, subsystem);
	offer_at_ports(j, t, subsystem);
	return j->code;
}

bool nvmet_target_exists(struct configfs *c, const struct target *t)
{
	char path[CONFIGFS_PATH_MAX];

	subsystem_path(t->wwn, path);
	return configfs_kind(c, path) == CONFIGFS_DIRECTORY;
}

bool nvmet_lun_exists(struct configfs *c, const struct lun *l)
{
	char subsystem[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];

	subsystem_path(l->wwn, subsystem);
	configfs_path(path, "%s/namespaces/%u", subsystem, l->lun);
	return configfs_kind(c, path) == CONFIGFS_DIRECTORY;
}

bool nvmet_lets_in(struct configfs *c, const struct target *t, const char *host)
{
	char subsystem[CONFIGFS_PATH_MAX], path[CONFIGFS_PATH_MAX];

	subsystem_path(t->wwn, subsystem);
	configfs_path(path, "%s/allowed_hosts/%s", subsystem, host);
	return configfs_kind(c, path) == CONFIGFS_LINK;
}

/* --- removal --- */

int nvmet_stop(struct journal *j, const struct target *t, const struct names *namespaces)
{
	char path[CONFIGFS_PATH_MAX];
	struct names there, ports;
	bool all = true;
	size_t i;

	configfs_path(path, "nvmet/subsystems/%s/namespaces", t->wwn);
	configfs_list(j->configfs, path, &there);
	for (i = 0; i < there.nr; i++)
		all &= names_have(namespaces, there.name[i]);
	names_free(&there);
	configfs_list(j->configfs, "nvmet/ports", &ports);
	for (i = 0; i < ports.nr && all; i++) {
		configfs_path(path, "nvmet/ports/%s/subsystems/%s", ports.name[i], t->wwn);
		if (configfs_kind(j->configfs, path) == CONFIGFS_LINK)
			journal_unlink(j, path);
	}
	names_free(&ports);
	return j->code;
}

int nvmet_remove_lun(struct configfs *c, bool dry_run, const struct target *t, const struct lun *l)
{
	struct journal j = { .configfs = c, .dry_run = dry_run };
	char path[CONFIGFS_PATH_MAX], enable[CONFIGFS_PATH_MAX];

	configfs_path(path, "nvmet/subsystems/%s/namespaces/%u", t->wwn, l->lun);
	configfs_path(enable, "%s/enable", path);
	if (configfs_kind(c, enable) == CONFIGFS_ATTRIBUTE)
		journal_write(&j, enable, "0");
	return j.code ? j.code : remove_directory(c, dry_run, path);
}

static int leave_ports(struct configfs *c, bool dry_run, const struct target *t)
{
	char path[CONFIGFS_PATH_MAX];
	struct names ports;
	int code = 0;
	size_t i;

	configfs_list(c, "nvmet/ports", &ports);
	for (i = 0; i < ports.nr && !code; i++) {
		configfs_path(path, "nvmet/ports/%s/subsystems/%s", ports.name[i], t->wwn);
		if (configfs_kind(c, path) == CONFIGFS_LINK)
			code = remove_link(c, dry_run, path);
	}
	names_free(&ports);
	return code;
}

static bool has_entries(struct configfs *c, const char *path)
{
	struct names names;
	bool any;

	configfs_list(c, path, &names);
	any = names.nr;
	names_free(&names);
	return any;
}

/* Those that other subsystems are offered at by now stay. */
static int remove_ports(struct configfs *c, bool dry_run, const struct target *t)
{
	char path[CONFIGFS_PATH_MAX], used[CONFIGFS_PATH_MAX];
	int code = 0;
	size_t i;

	for (i = 0; i < t->made_ports.nr && !code; i++) {
		configfs_path(path, "nvmet/ports/%s", t->made_ports.name[i]);
		configfs_path(used, "%s/subsystems", path);
		if (dry_run || !has_entries(c, used))
			code = remove_directory(c, dry_run, path);
	}
	return code;
}

bool nvmet_host_used(struct configfs *c, const char *host)
{
	char path[CONFIGFS_PATH_MAX];
	struct names subsystems;
	bool used = false;
	size_t i;

	configfs_list(c, "nvmet/subsystems", &subsystems);
	for (i = 0; i < subsystems.nr && !used; i++) {
		configfs_path(path, "nvmet/subsystems/%s/allowed_hosts/%s", subsystems.name[i],
			      host);
		used = configfs_kind(c, path) == CONFIGFS_LINK;
	}
	names_free(&subsystems);
	return used;
}

static int remove_hosts(struct configfs *c, bool dry_run, const struct target *t)
{
	char path[CONFIGFS_PATH_MAX];
	int code = 0;
	size_t i;

	for (i = 0; i < t->acls.nr && !code; i++) {
		configfs_path(path, "nvmet/subsystems/%s/allowed_hosts/%s", t->wwn,
			      t->acls.name[i]);
		code = remove_link(c, dry_run, path);
	}
	for (i = 0; i < t->made_hosts.nr && !code; i++) {
		configfs_path(path, "nvmet/hosts/%s", t->made_hosts.name[i]);
		if (dry_run || !nvmet_host_used(c, t->made_hosts.name[i]))
			code = remove_directory(c, dry_run, path);
	}
	return code;
}

static int remove_added_hosts(struct configfs *c, struct target *t)
{
	char path[CONFIGFS_PATH_MAX];
	int code = 0;
	size_t i;

	for (i = 0; i < t->added_acls.nr && !code; i++) {
		const char *host = t->added_acls.name[i];

		configfs_path(path, "nvmet/subsystems/%s/allowed_hosts/%s", t->wwn, host);
		code = remove_link(c, false, path);
		if (code || !names_have(&t->made_hosts, host))
			continue;
		configfs_path(path, "nvmet/hosts/%s", host);
		if (!nvmet_host_used(c, host))
			code = remove_directory(c, false, path);
		if (!code)
			names_remove(&t->made_hosts, host);
	}
	return code;
}

int nvmet_remove_added(struct configfs *c, struct target *t)
{
	char path[CONFIGFS_PATH_MAX], number[8];
	int code = remove_added_hosts(c, t);
	size_t i;

	for (i = 0; i < t->added_portals.nr && !code; i++) {
		if (!find_port(c, t->fabric, t->added_portals.name[i], number))
			continue;
		configfs_path(path, "nvmet/ports/%s/subsystems/%s", number, t->wwn);
		code = remove_link(c, false, path);
	}
	for (i = t->made_ports.nr; i-- > 0 && !code;) {
		configfs_path(path, "nvmet/ports/%s/subsystems", t->made_ports.name[i]);
		if (has_entries(c, path))
			continue;
		configfs_path(path, "nvmet/ports/%s", t->made_ports.name[i]);
		code = remove_directory(c, false, path);
		if (!code)
			names_remove(&t->made_ports, t->made_ports.name[i]);
	}
	return code;
}

/* Something of others is in it: then it is theirs from now on. */
static bool has_strangers(struct configfs *c, const struct target *t)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "nvmet/subsystems/%s/namespaces", t->wwn);
	if (!has_entries(c, path))
		return false;
	complain("%s has something that is not larder's: the target stays", path);
	return true;
}

int nvmet_remove_target(struct configfs *c, bool dry_run, const struct target *t)
{
	char subsystem[CONFIGFS_PATH_MAX];
	int code;

	if (!dry_run && has_strangers(c, t))
		return 0;
	subsystem_path(t->wwn, subsystem);
	code = leave_ports(c, dry_run, t);
	if (!code)
		code = remove_hosts(c, dry_run, t);
	if (!code)
		code = remove_ports(c, dry_run, t);
	return code ? code : remove_directory(c, dry_run, subsystem);
}

/* --- what there is --- */

static const struct fabric *fabric_of(struct configfs *c, const char *nqn)
{
	char path[CONFIGFS_PATH_MAX], type[32];
	const struct fabric *f = NULL;
	struct names ports;
	size_t i, k;

	configfs_list(c, "nvmet/ports", &ports);
	for (i = 0; i < ports.nr && !f; i++) {
		configfs_path(path, "nvmet/ports/%s/subsystems/%s", ports.name[i], nqn);
		if (configfs_kind(c, path) != CONFIGFS_LINK)
			continue;
		configfs_path(path, "nvmet/ports/%s/addr_trtype", ports.name[i]);
		configfs_text(c, path, type, sizeof(type));
		for (k = 0; (f = fabric_at(k)) && (!f->trtype || strcmp(f->trtype, type)); k++)
			;
	}
	names_free(&ports);
	return f;
}

static void visit_namespace(struct configfs *c, struct seen_lun *l, const char *path)
{
	char text[16];

	read_below(c, path, "device_path", l->device, sizeof(l->device));
	read_below(c, path, "device_uuid", l->serial, sizeof(l->serial));
	read_below(c, path, "enable", text, sizeof(text));
	l->enabled = !strcmp(text, "1");
	l->number = 0;
	backing_number(l->device, &l->number);
}

void nvmet_luns_visit(struct configfs *c, void (*visit)(void *context, const struct seen_lun *l),
		      void *context)
{
	char path[CONFIGFS_PATH_MAX];
	struct names subsystems, numbers;
	size_t i, k;

	configfs_list(c, "nvmet/subsystems", &subsystems);
	for (i = 0; i < subsystems.nr; i++) {
		struct seen_lun l = { .tree = "nvmet" };

		l.fabric = fabric_of(c, subsystems.name[i]);
		snprintf(l.wwn, sizeof(l.wwn), "%s", subsystems.name[i]);
		configfs_path(path, "nvmet/subsystems/%s/namespaces", l.wwn);
		configfs_list(c, path, &numbers);
		for (k = 0; k < numbers.nr; k++) {
			configfs_path(path, "nvmet/subsystems/%s/namespaces/%s", l.wwn,
				      numbers.name[k]);
			snprintf(l.lun, sizeof(l.lun), "%.30s", numbers.name[k]);
			visit_namespace(c, &l, path);
			visit(context, &l);
		}
		names_free(&numbers);
	}
	names_free(&subsystems);
}
