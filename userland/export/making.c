// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes one export, or nothing: judges, records, builds, records again.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "exporting.h"

/* What the records were, and which are new. */
struct making {
	struct exporting *e;
	struct backing backing;
	bool new_backstore, new_target, new_lun;
	struct target before;		/* of a target that is not new */
	char backstore[BACKSTORE_MAX];
	const struct fabric *fabric;
	char wwn[WWN_MAX];
	uint32_t lun;
};

static int refuse(const char *device, const char *why, const char *who)
{
	complain("%s: %s%s", device, why, who);
	return EXIT_NOT_OURS;
}

/* --- what there is --- */

bool export_target_exists(struct exporting *e, const struct target *t)
{
	return fabric_is_nvmet(t->fabric) ? nvmet_target_exists(&e->configfs, t) :
					    lio_target_exists(&e->configfs, t);
}

bool export_lets_in(struct exporting *e, const struct target *t, const char *initiator)
{
	return fabric_is_nvmet(t->fabric) ? nvmet_lets_in(&e->configfs, t, initiator) :
					    lio_has(&e->configfs, t, initiator);
}

/* --- may it be made? --- */

struct look {
	const struct backstore *b;
	dev_t number;
	bool nvmet;
	bool same;		/* what is to be made is there already */
	char other[512];
};

static bool look_at_backstore(void *context, const struct lio_backstore *other)
{
	struct look *look = context;

	if (other->number != look->number)
		return false;
	if (!look->nvmet && !strcmp(other->name, look->b->name) &&
	    !strcmp(other->serial, look->b->serial)) {
		look->same = true;
		return false;
	}
	snprintf(look->other, sizeof(look->other), "%.400s", other->path);
	return true;
}

static void look_at_namespace(void *context, const struct seen_lun *l)
{
	struct look *look = context;

	if (l->number != look->number)
		return;
	if (look->nvmet && !strcmp(l->serial, look->b->serial))
		look->same = true;
	else if (!*look->other)
		snprintf(look->other, sizeof(look->other), "nvmet/subsystems/%.230s, namespace %s",
			 l->wwn, l->lun);
}

/* Reservations of one target do not hold for another: a device has one identity only. */
static int judge_device(struct making *m, const struct backstore *b)
{
	struct look look = { .b = b, .number = m->backing.number, .nvmet = b->nvmet };

	lio_backstores_visit(&m->e->configfs, look_at_backstore, &look);
	nvmet_luns_visit(&m->e->configfs, look_at_namespace, &look);
	if (*look.other)
		return refuse(b->device, "it is exported already: ", look.other);
	if (m->backing.read_only && !b->readonly)
		return refuse(b->device, "it is read-only: give --readonly", "");
	return look.same ? 0 : backing_judge(&m->backing);
}

struct owner {
	const struct backstore *b;
	const struct lun *l;
	const struct target *t;
	bool ours;
};

static void look_for_own(void *context, const struct seen_lun *seen)
{
	struct owner *o = context;
	char number[16];

	snprintf(number, sizeof(number), "%u", o->l->lun);
	if (!strcmp(seen->wwn, o->l->wwn) && !strcmp(seen->lun, number) &&
	    !strcmp(seen->serial, o->b->serial))
		o->ours = true;
}

/* Restored by others from their file, with our serial number: it is what we have made. */
static int judge_target(struct making *m, const struct backstore *b, const struct target *t,
			const struct lun *l)
{
	struct owner owner = { b, l, t, false };
	struct configfs *c = &m->e->configfs;

	if (state_target(&m->e->state, t->fabric, t->wwn))
		return 0;
	if (!export_target_exists(m->e, t))
		return 0;
	if (fabric_is_nvmet(t->fabric))
		nvmet_luns_visit(c, look_for_own, &owner);
	else
		lio_luns_visit(c, look_for_own, &owner);
	if (owner.ours)
		return 0;
	return refuse(b->device, "this target is there already, and not larder's: ", t->wwn);
}

static int judge_records(struct making *m, const struct backstore *b, const struct target *t,
			 const struct lun *l)
{
	const struct backstore *known = state_backstore(&m->e->state, b->name);
	const struct target *target = state_target(&m->e->state, t->fabric, t->wwn);
	const struct lun *lun = state_lun(&m->e->state, l->fabric, l->wwn, l->lun);

	if (known && strcmp(known->serial, b->serial))
		return refuse(b->device, "another export has this name: ", known->device);
	if (target && target->fabric != t->fabric)
		return refuse(b->device, "this target is there already, as one of ",
			      target->fabric->name);
	if (lun && strcmp(lun->backstore, b->name))
		return refuse(b->device, "this LUN is another device's: ", lun->backstore);
	return 0;
}

static int judge(struct making *m, const struct backstore *b, const struct target *t,
		 const struct lun *l)
{
	int code = backing_find(&m->backing, b->device);

	if (!code)
		code = fabric_load_modules(t->fabric, m->e->dry_run);
	if (!code)
		code = judge_records(m, b, t, l);
	if (!code)
		code = judge_device(m, b);
	if (!code)
		code = judge_target(m, b, t, l);
	return code;
}

/* --- records --- */

/* Whom somebody has taken away since is not let in again because of another LUN. */
static void drop_revoked(struct making *m, struct target *t)
{
	size_t i;

	for (i = t->acls.nr; i-- > 0 && export_target_exists(m->e, t);)
		if (!export_lets_in(m->e, t, t->acls.name[i]))
			names_remove(&t->acls, t->acls.name[i]);
}

/* added: those that nobody has made yet, who is killed shall not leave them there. */
static void add_names(struct making *m, const struct target *t, struct names *to,
		      const struct names *from, struct names *added)
{
	size_t i;

	for (i = 0; i < from->nr; i++) {
		const char *name = from->name[i];

		if (names_have(to, name))
			continue;
		names_add(to, name);
		if (fabric_is_nvmet(t->fabric) || !lio_has(&m->e->configfs, t, name))
			names_add(added, name);
	}
}

static void record(struct making *m, const struct backstore *b, const struct target *t,
		   const struct lun *l)
{
	struct state *s = &m->e->state;
	struct target *target;

	m->new_backstore = !state_backstore(s, b->name);
	m->new_target = !state_target(s, t->fabric, t->wwn);
	m->new_lun = !state_lun(s, l->fabric, l->wwn, l->lun);
	m->fabric = t->fabric;
	snprintf(m->backstore, sizeof(m->backstore), "%s", b->name);
	snprintf(m->wwn, sizeof(m->wwn), "%s", t->wwn);
	m->lun = l->lun;
	if (m->new_backstore)
		state_add_backstore(s, b)->incomplete = true;
	if (m->new_target)
		state_add_target(s, t)->incomplete = true;
	if (m->new_lun)
		state_add_lun(s, l)->incomplete = true;
	target = state_target(s, m->fabric, m->wwn);
	if (!m->new_target) {
		target_copy(&m->before, target);
		drop_revoked(m, target);
		add_names(m, target, &target->portals, &t->portals, &target->added_portals);
		add_names(m, target, &target->acls, &t->acls, &target->added_acls);
	}
	if (fabric_is_nvmet(m->fabric))
		nvmet_plan(&m->e->configfs, s, target);
}

static void complete(struct making *m)
{
	struct state *s = &m->e->state;
	struct target *t = state_target(s, m->fabric, m->wwn);

	names_free(&t->added_portals);
	names_free(&t->added_acls);
	t->incomplete = false;
	state_backstore(s, m->backstore)->incomplete = false;
	state_lun(s, m->fabric, m->wwn, m->lun)->incomplete = false;
}

/* The state as it was. */
static void forget(struct making *m)
{
	struct state *s = &m->e->state;
	struct target *t = state_target(s, m->fabric, m->wwn);

	if (m->new_lun)
		state_remove_lun(s, state_lun(s, m->fabric, m->wwn, m->lun));
	if (m->new_target) {
		state_remove_target(s, t);
	} else {
		target_free(t);
		target_copy(t, &m->before);
	}
	if (m->new_backstore)
		state_remove_backstore(s, state_backstore(s, m->backstore));
}

/* --- making --- */

static void build(struct making *m, struct journal *j)
{
	struct state *s = &m->e->state;
	const struct backstore *b = state_backstore(s, m->backstore);
	struct target *t = state_target(s, m->fabric, m->wwn);
	const struct lun *l = state_lun(s, m->fabric, m->wwn, m->lun);
	char place[CONFIGFS_PATH_MAX];

	if (fabric_is_nvmet(t->fabric)) {
		nvmet_make_lun(j, t, l, b);
		return;
	}
	lio_make_backstore(j, b, &m->backing, m->e->before_luns, place);
	if (!j->code)
		lio_make_lun(j, s, t, l, place);
}

static void conclude(struct making *m, struct journal *j)
{
	struct exporting *e = m->e;
	struct state *s = &e->state;

	if (j->code)
		return;
	complete(m);
	if (!e->dry_run)
		journal_fail(j, state_save(s, STATE_RUNNING));
	if (!j->code && e->announce)
		journal_fail(j, e->announce(e, state_backstore(s, m->backstore),
					    state_target(s, m->fabric, m->wwn),
					    state_lun(s, m->fabric, m->wwn, m->lun)));
}

int export_make(struct exporting *e, const struct backstore *b, const struct target *t,
		const struct lun *l)
{
	struct making m = { .e = e };
	struct journal j;
	int code = judge(&m, b, t, l);

	if (code)
		return code;
	record(&m, b, t, l);
	if (!e->dry_run)
		code = state_save(&e->state, STATE_RUNNING);
	if (!code) {
		journal_begin(&j, &e->configfs, e->dry_run);
		build(&m, &j);
		conclude(&m, &j);
		code = journal_end(&j);
	}
	if (code || e->dry_run) {
		forget(&m);
		if (!e->dry_run)
			state_save(&e->state, STATE_RUNNING);
	}
	target_free(&m.before);
	return code;
}

/* --- who has it --- */

struct holder {
	const struct state *state;
	dev_t number;
	bool found;
	char *who;
	size_t size;
};

static void look_at_lun(void *context, const struct seen_lun *l)
{
	struct holder *h = context;
	bool nvmet = !strcmp(l->tree, "nvmet");
	size_t i;

	if (h->found || l->number != h->number)
		return;
	h->found = true;
	snprintf(h->who, h->size, "%s %s %s %s", l->fabric ? l->fabric->name : l->tree, l->wwn,
		 nvmet ? "namespace" : "LUN", l->lun);
	for (i = 0; i < h->state->backstores; i++)
		if (!strcmp(h->state->backstore[i].serial, l->serial))
			snprintf(h->who, h->size, "%s %s %s %s (larder unexport %s)",
				 l->fabric ? l->fabric->name : l->tree, l->wwn,
				 nvmet ? "namespace" : "LUN", l->lun,
				 h->state->backstore[i].device);
}

/* Not linked to any LUN, but it has the device open. */
static bool look_for_holder(void *context, const struct lio_backstore *b)
{
	struct holder *h = context;

	if (b->number != h->number)
		return false;
	h->found = true;
	snprintf(h->who, h->size, "the storage object %s", b->path);
	return true;
}

bool export_holder(const char *device, char *who, size_t size)
{
	struct exporting e;
	struct holder h = { .state = &e.state, .who = who, .size = size };

	if (!backing_number(device, &h.number))
		return false;
	/* a state file that cannot be read does not make it any less exported */
	if (exporting_look(&e))
		memset(&e.state, 0, sizeof(e.state));
	if (e.configfs.ops) {
		lio_luns_visit(&e.configfs, look_at_lun, &h);
		nvmet_luns_visit(&e.configfs, look_at_lun, &h);
		if (!h.found)
			lio_backstores_visit(&e.configfs, look_for_holder, &h);
	}
	exporting_end(&e);
	return h.found;
}
