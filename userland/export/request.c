// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From words to records: judges what larder export was asked for, and chooses
 * what it was not told.
 */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

/* --- words --- */

static int judge_fabric(struct export_request *r)
{
	char all[256] = "";
	const struct fabric *f;
	size_t i;

	if (r->fabric_name)
		r->fabric = fabric_find(r->fabric_name);
	if (r->fabric)
		return 0;
	for (i = 0; (f = fabric_at(i)); i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
			 f->name);
	return r->fabric_name ? wrong_usage("there is no fabric '%s': expected one of %s",
					    r->fabric_name, all) :
				wrong_usage("--fabric is missing: one of %s", all);
}

static int judge_names(const struct fabric *f, const struct export_request *r)
{
	char wwn[WWN_MAX], portal[PORTAL_MAX];
	const char *why;
	size_t i;

	if (r->wwn && !wwn_parse(f->target, r->wwn, wwn, &why))
		return wrong_usage("--wwn '%s': expected %s", r->wwn, why);
	for (i = 0; i < r->acls.nr; i++)
		if (!wwn_parse(f->initiator, r->acls.name[i], wwn, &why))
			return wrong_usage("--acl '%s': expected %s", r->acls.name[i], why);
	if (r->portals.nr && !f->portals)
		return wrong_usage("--portal: %s has no addresses", f->name);
	for (i = 0; i < r->portals.nr; i++)
		if (!portal_parse(r->portals.name[i], f->port, portal))
			return wrong_usage("--portal '%s': expected an IP address, and a port after a "
					   "colon if it is not %u", r->portals.name[i], f->port);
	return 0;
}

static int judge_initiators(const struct fabric *f, const struct export_request *r)
{
	bool any = r->any_initiator;

	if (f->initiators == INITIATORS_LOCAL && (any || r->acls.nr))
		return wrong_usage("%s has no initiators to be named", f->name);
	if (f->initiators == INITIATORS_ONLY_NAMED && any)
		return wrong_usage("--any-initiator: %s lets in nobody but who is named", f->name);
	if (f->initiators == INITIATORS_ANY && !any)
		return wrong_usage("%s lets every initiator in: give --any-initiator if that is meant",
				   f->name);
	if (any && r->acls.nr)
		return wrong_usage("--acl and --any-initiator exclude each other");
	if (r->chap_file && !f->chap)
		return wrong_usage("--chap-file: %s has no authentication", f->name);
	return 0;
}

static int judge_nvmet(const struct export_request *r)
{
	if (!fabric_is_nvmet(r->fabric))
		return 0;
	if (r->readonly)
		return wrong_usage("--readonly: nvmet has no such thing");
	if (r->alua)
		return wrong_usage("--alua-group is for SCSI");
	return r->attributes.nr ? wrong_usage("--attribute is for SCSI") : 0;
}

static bool parse_lun(const char *text, bool nvmet, uint32_t *lun)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	*lun = (uint32_t)n;
	return isdigit((unsigned char)*text) && !*end && !errno && n <= LUN_MAX && (n || !nvmet);
}

/* NAME[:STATE] */
static bool parse_group(const char *text, char name[ALUA_MAX], uint32_t *state)
{
	static const char *const states[] = {
		"active-optimized", "active-nonoptimized", "standby", "unavailable"
	};
	size_t i, length = strcspn(text, ":");

	*state = 0;
	if (!length || length >= ALUA_MAX)
		return false;
	memcpy(name, text, length);
	name[length] = '\0';
	for (i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_-", name[i]))
			return false;
	if (!strcmp(name, "default_tg_pt_gp") || !strcmp(name, "NULL"))
		return false;
	for (i = 0; text[length] && i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(text + length + 1, states[i]))
			break;
	*state = text[length] ? (uint32_t)i : 0;
	return *state < sizeof(states) / sizeof(states[0]);
}

int request_judge(struct export_request *r)
{
	char group[ALUA_MAX];
	uint32_t number;
	int code = judge_fabric(r);
	size_t i;

	if (!code && r->json && r->dry_run)
		code = wrong_usage("--json and --dry-run exclude each other: steps are no JSON");
	if (!code)
		code = judge_names(r->fabric, r);
	if (!code)
		code = judge_initiators(r->fabric, r);
	if (!code)
		code = judge_nvmet(r);
	for (i = 0; i < r->attributes.nr && !code; i++)
		code = lio_judge_attribute(r->attributes.name[i]);
	if (!code && r->lun && !parse_lun(r->lun, fabric_is_nvmet(r->fabric), &number))
		code = wrong_usage("--lun '%s': expected a number from %d to %d", r->lun,
				   fabric_is_nvmet(r->fabric), LUN_MAX);
	if (!code && r->alua && !parse_group(r->alua, group, &number))
		code = wrong_usage("--alua-group '%s': expected a name of letters and digits, and "
				   ":active-optimized, :active-nonoptimized, :standby or :unavailable",
				   r->alua);
	if (!code && r->serial && !uuid_valid(r->serial))
		code = wrong_usage("--serial '%s': expected a UUID", r->serial);
	return code;
}

/* --- the device --- */

static bool name_taken(void *context, const struct lio_backstore *b)
{
	return !strcmp(b->name, context);
}

static bool name_is_used(struct exporting *e, char *name)
{
	return state_backstore(&e->state, name) ||
	       lio_backstores_visit(&e->configfs, name_taken, name);
}

/* Of the device's name, as rtslib's users would call it; one that nobody has. */
static void choose_name(struct exporting *e, const char *device, char name[BACKSTORE_MAX])
{
	const char *at = strncmp(device, "/dev/mapper/", 12) ? device + 5 : device + 12;
	char base[BACKSTORE_MAX - 8];
	unsigned int i;

	snprintf(base, sizeof(base), "%.110s", at);
	for (i = 0; base[i]; i++)
		if (!isalnum((unsigned char)base[i]) && !strchr("_.+-", base[i]))
			base[i] = base[i] == '/' ? '-' : '_';
	if (*base == '.' || *base == '-')
		*base = '_';
	snprintf(name, BACKSTORE_MAX, "%s", base);
	for (i = 2; name_is_used(e, name); i++)
		snprintf(name, BACKSTORE_MAX, "%s-%u", base, i);
}

static bool is_gone(struct exporting *e, const struct lun *l)
{
	const struct backstore *b = state_backstore(&e->state, l->backstore);
	const struct target *t = state_target(&e->state, l->fabric, l->wwn);
	struct lio_backstore found;

	if (fabric_is_nvmet(l->fabric))
		return !nvmet_target_exists(&e->configfs, t);
	return !lio_target_exists(&e->configfs, t) && !lio_find_backstore(&e->configfs, b, &found);
}

/* Somebody else (targetctl clear) has taken away what is recorded: the device is as if new. */
static int forget_gone(struct exporting *e, const struct backing *backing)
{
	const struct backstore *b;
	int code = 0;
	size_t i;

	for (i = e->state.luns; i-- > 0 && !code && !e->dry_run;) {
		b = state_backstore_of(&e->state, backing->number, backing->device);
		if (b && !strcmp(b->name, e->state.lun[i].backstore) &&
		    is_gone(e, &e->state.lun[i]))
			code = export_remove(e, &e->state.lun[i]);
	}
	return code;
}

static int choose_backstore(const struct export_request *r, struct exporting *e,
			    struct backstore *b)
{
	const struct backstore *known;
	struct backing backing;
	int code = backing_find(&backing, r->what);
	size_t i;

	if (!code)
		code = forget_gone(e, &backing);
	if (code)
		return code;
	known = state_backstore_of(&e->state, backing.number, backing.device);
	if (known && known->nvmet != fabric_is_nvmet(r->fabric)) {
		complain("%s is exported by %s already: reservations of the one would not hold for the other",
			 known->device, known->nvmet ? "nvmet" : "LIO");
		return EXIT_NOT_OURS;
	}
	if (known && (r->serial || r->attributes.nr || r->readonly != known->readonly)) {
		complain("%s is exported already: serial number, attributes and --readonly cannot be others",
			 known->device);
		return EXIT_NOT_OURS;
	}
	if (known) {
		*b = *known;
		names_copy(&b->attributes, &known->attributes);
		return 0;
	}
	snprintf(b->device, sizeof(b->device), "%s", backing.device);
	choose_name(e, b->device, b->name);
	if (r->serial)
		snprintf(b->serial, sizeof(b->serial), "%s", r->serial);
	else
		uuid_make(b->serial);
	b->nvmet = fabric_is_nvmet(r->fabric);
	/* of a namespace, it is a number to the kernel, which spells it so */
	for (i = 0; b->nvmet && b->serial[i]; i++)
		b->serial[i] = (char)tolower((unsigned char)b->serial[i]);
	b->readonly = r->readonly;
	names_copy(&b->attributes, &r->attributes);
	return 0;
}

/* --- the target --- */

/* The port of this host, if it has only one. */
static int find_port(const struct fabric *f, char wwn[WWN_MAX])
{
	char text[WWN_MAX] = "";
	const char *why;
	glob_t found;
	FILE *file;
	int code = 0;

	if (glob(f->hint, 0, NULL, &found))
		found.gl_pathc = 0;
	file = found.gl_pathc == 1 ? fopen(found.gl_pathv[0], "re") : NULL;
	if (file && !fgets(text, sizeof(text), file))
		*text = '\0';
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = '\0';
	if (!wwn_parse(f->target, !strncmp(text, "0x", 2) && f->target == WWN_EUI64 ? text + 2 :
								      text, wwn, &why)) {
		complain("this host has %zu ports for %s (%s): say which with --wwn",
			 found.gl_pathc, f->name, f->hint);
		code = EXIT_WRONG_USAGE;
	}
	if (found.gl_pathc)
		globfree(&found);
	return code;
}

static int choose_wwn(const struct export_request *r, const struct exporting *e,
		      const struct backstore *b, char wwn[WWN_MAX])
{
	const char *why;
	size_t i;

	if (r->wwn)
		return wwn_parse(r->fabric->target, r->wwn, wwn, &why) ? 0 : EXIT_WRONG_USAGE;
	for (i = 0; i < e->state.luns; i++)
		if (e->state.lun[i].fabric == r->fabric &&
		    !strcmp(e->state.lun[i].backstore, b->name)) {
			complain("%s is exported by %s already, as %s: for another target give --wwn",
				 b->device, r->fabric->name, e->state.lun[i].wwn);
			return EXIT_NOT_OURS;
		}
	if (r->fabric->hint)
		return find_port(r->fabric, wwn);
	wwn_make(r->fabric->target, wwn);
	return 0;
}

static int join_target(const struct export_request *r, const struct target *known)
{
	if (r->chap_file || r->any_initiator != known->any_initiator) {
		complain("%s is there already: --chap-file and --any-initiator are given for its first LUN",
			 known->wwn);
		return EXIT_NOT_OURS;
	}
	return 0;
}

static int begin_target(const struct export_request *r, struct target *t)
{
	const struct fabric *f = r->fabric;
	char portal[PORTAL_MAX];

	if (!r->any_initiator && !t->acls.nr && f->initiators != INITIATORS_LOCAL)
		return wrong_usage("who may use it? Name initiators with --acl%s",
				   f->initiators == INITIATORS_NAMED ? ", or give --any-initiator" :
				   "");
	if (f->portals && !t->portals.nr && !f->port_only &&
	    portal_parse("0.0.0.0", f->port, portal))
		names_add(&t->portals, portal);
	if (f->initiators == INITIATORS_LOCAL)
		wwn_make(WWN_NAA, t->nexus);
	t->any_initiator = r->any_initiator;
	return r->chap_file ? chap_read(&t->chap, r->chap_file, fabric_is_nvmet(f)) : 0;
}

static int choose_target(const struct export_request *r, struct exporting *e,
			 const struct backstore *b, struct target *t)
{
	char wwn[WWN_MAX], portal[PORTAL_MAX];
	const struct target *known;
	const char *why;
	size_t i;
	int code;

	t->fabric = r->fabric;
	code = choose_wwn(r, e, b, t->wwn);
	if (code)
		return code;
	for (i = 0; i < r->acls.nr; i++)
		if (wwn_parse(r->fabric->initiator, r->acls.name[i], wwn, &why) &&
		    !names_have(&t->acls, wwn))
			names_add(&t->acls, wwn);
	for (i = 0; i < r->portals.nr; i++)
		if (portal_parse(r->portals.name[i], r->fabric->port, portal) &&
		    !names_have(&t->portals, portal))
			names_add(&t->portals, portal);
	known = state_target(&e->state, r->fabric, t->wwn);
	return known ? join_target(r, known) : begin_target(r, t);
}

/* --- the LUN --- */

static int choose_lun(const struct export_request *r, struct exporting *e,
		      const struct backstore *b, const struct target *t, struct lun *l)
{
	bool nvmet = fabric_is_nvmet(r->fabric);

	l->fabric = r->fabric;
	snprintf(l->wwn, sizeof(l->wwn), "%s", t->wwn);
	snprintf(l->backstore, sizeof(l->backstore), "%s", b->name);
	if (r->alua)
		parse_group(r->alua, l->alua_group, &l->alua_state);
	if (r->lun) {
		parse_lun(r->lun, nvmet, &l->lun);
		if (!state_lun(&e->state, l->fabric, l->wwn, l->lun))
			return 0;
		complain("%s has a LUN %u already", l->wwn, l->lun);
		return EXIT_NOT_OURS;
	}
	for (l->lun = nvmet; l->lun < LUN_MAX; l->lun++)
		if (!state_lun(&e->state, l->fabric, l->wwn, l->lun) &&
		    !(nvmet ? nvmet_lun_exists(&e->configfs, l) :
			      lio_lun_exists(&e->configfs, l)))
			break;
	return 0;
}

/* Two LUNs of a target that are one device would be two paths of one port. */
static int judge_twice(const struct exporting *e, const struct backstore *b,
		       const struct target *t)
{
	size_t i;

	for (i = 0; i < e->state.luns; i++) {
		const struct lun *l = &e->state.lun[i];

		if (!strcmp(l->backstore, b->name) && l->fabric == t->fabric &&
		    !strcmp(l->wwn, t->wwn)) {
			complain("%s is exported already: %s LUN %u", b->device, l->wwn, l->lun);
			return EXIT_NOT_OURS;
		}
	}
	return 0;
}

int request_records(const struct export_request *r, struct exporting *e, struct backstore *b,
		    struct target *t, struct lun *l)
{
	int code;

	memset(b, 0, sizeof(*b));
	memset(t, 0, sizeof(*t));
	memset(l, 0, sizeof(*l));
	code = choose_backstore(r, e, b);
	if (!code)
		code = choose_target(r, e, b, t);
	if (!code)
		code = judge_twice(e, b, t);
	return code ? code : choose_lun(r, e, b, t, l);
}

int request_export(struct export_request *r, before_luns_fn before_luns, announce_fn announce)
{
	struct exporting e = { .lock = -1 };
	struct backstore b;
	struct target t;
	struct lun l;
	int code = exporting_begin(&e, r->dry_run);

	if (code)
		return code;
	e.before_luns = before_luns;
	e.announce = announce;
	e.context = r;
	code = request_records(r, &e, &b, &t, &l);
	if (!code)
		code = export_make(&e, &b, &t, &l);
	names_free(&b.attributes);
	target_free(&t);
	exporting_end(&e);
	return code;
}
