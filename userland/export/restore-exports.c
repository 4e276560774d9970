// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder restore, for exports: makes what larder save has written down.  Can be
 * repeated at any time: what is there as it should be is left alone.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "../larder.h"
#include "../output.h"
#include "exporting.h"
#include "restore-exports.h"
#include "restore-state.h"

struct restoring {
	const struct restore_exports *request;
	struct exporting e;
	struct state saved;
	char device[DEVICE_MAX];	/* what, as a path */
	dev_t number;			/* 0: it is not there */
	struct json_object *array;
	unsigned int nr;
	int code;			/* of the first that failed */
};

/* --- which --- */

static int find_device(struct restoring *r)
{
	const char *what = r->request->what;

	if (!what)
		return 0;
	if (snprintf(r->device, sizeof(r->device), "%s%s", *what == '/' ? "" : "/dev/", what) >=
	    (int)sizeof(r->device))
		return wrong_usage("'%.40s...' is too long for a device", what);
	if (!backing_number(r->device, &r->number))
		r->number = 0;
	return 0;
}

static bool is_wanted(const struct restoring *r, const struct backstore *b)
{
	dev_t number;

	if (!r->request->what || !strcmp(r->device, b->device))
		return true;
	return r->number && backing_number(b->device, &number) && number == r->number;
}

/* --- telling --- */

static void tell(struct restoring *r, const struct backstore *b, const struct lun *l,
		 const char *state)
{
	struct json_object *o;

	r->nr++;
	if (r->request->json) {
		o = json_object_new_object();
		add_string(o, "device", b->device);
		add_string(o, "fabric", l->fabric->name);
		add_string(o, "wwn", l->wwn);
		add_number(o, "lun", l->lun);
		add_string(o, "state", state);
		json_object_array_add(r->array, o);
	} else if (!r->request->quiet) {
		printf("%s: %s %s %s %u: %s\n", b->device, l->fabric->name, l->wwn,
		       fabric_is_nvmet(l->fabric) ? "namespace" : "LUN", l->lun, state);
	}
}

static void failed(struct restoring *r, int code)
{
	if (!r->code)
		r->code = code;
}

/* --- doing --- */

static bool is_there(struct restoring *r, const struct lun *l)
{
	if (!r->e.configfs.ops)
		return false;
	return fabric_is_nvmet(l->fabric) ? nvmet_lun_exists(&r->e.configfs, l) :
	       lio_lun_exists(&r->e.configfs, l);
}

/* It may have grown: nvmet tells its hosts when it is asked to look; LIO looks itself. */
static void look_at_size(struct restoring *r, const struct lun *l)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "nvmet/subsystems/%s/namespaces/%u/revalidate_size", l->wwn, l->lun);
	if (fabric_is_nvmet(l->fabric) &&
	    configfs_kind(&r->e.configfs, path) == CONFIGFS_ATTRIBUTE)
		configfs_write(&r->e.configfs, path, "1");
}

/* The first that was let in, and is not any more. */
static const char *find_revoked(struct restoring *r, const struct target *t)
{
	const struct target *is = state_target(&r->e.state, t->fabric, t->wwn);
	size_t i;

	if (!is || !export_target_exists(&r->e, t))
		return NULL;
	if (t->any_initiator && !is->any_initiator)
		return "every initiator";
	for (i = 0; i < t->acls.nr; i++)
		if (!export_lets_in(&r->e, t, t->acls.name[i]))
			return t->acls.name[i];
	return NULL;
}

/* Who may use a target of ours that is there has been decided since it was written down. */
static bool differs(struct restoring *r, const struct target *t)
{
	const char *revoked = find_revoked(r, t);

	if (revoked)
		complain("%s %s: %s is written down, and not let in any more: left as it is "
			 "(larder save writes down what is)", t->fabric->name, t->wwn, revoked);
	return revoked;
}

static void make(struct restoring *r, const struct backstore *b, const struct target *t,
		 const struct lun *l)
{
	bool was = is_there(r, l);
	struct lio_backstore found;
	int code;

	if (differs(r, t)) {
		failed(r, EXIT_DAMAGED);
		if (was)
			look_at_size(r, l);
		tell(r, b, l, "different");
		return;
	}
	code = export_make(&r->e, b, t, l);
	if (code) {
		failed(r, code);
		tell(r, b, l, "failed");
		return;
	}
	if (was)
		look_at_size(r, l);
	else if (!fabric_is_nvmet(l->fabric) && lio_find_backstore(&r->e.configfs, b, &found))
		restore_group(&r->e.configfs, b, l, found.path);
	tell(r, b, l, was ? "present" : "made");
}

/* A device that is missing now may come later, and stays written down. */
static void wait_for(struct restoring *r, const struct backstore *b, const struct lun *l)
{
	if (r->request->what) {
		complain("%s is not there", b->device);
		failed(r, EXIT_NO_INPUT);
	}
	tell(r, b, l, "missing");
}

static void do_all(struct restoring *r)
{
	const struct backstore *b;
	const struct lun *l;
	struct target *t;
	dev_t number;
	size_t i;

	for (i = 0; i < r->saved.luns; i++) {
		l = &r->saved.lun[i];
		b = state_backstore(&r->saved, l->backstore);
		t = state_target(&r->saved, l->fabric, l->wwn);
		if (!b || !t || !is_wanted(r, b))
			continue;
		/* what had to be made at that time; now it may be somebody else's */
		names_free(&t->made_hosts);
		names_free(&t->made_ports);
		if (backing_number(b->device, &number))
			make(r, b, t, l);
		else
			wait_for(r, b, l);
		if (journal_interrupted()) {
			failed(r, EXIT_INTERRUPTED);
			return;
		}
	}
}

static int judge_end(struct restoring *r)
{
	if (r->nr || r->code)
		return r->code;
	if (r->request->what) {
		if (!r->request->quiet)
			complain("no export of %s is written down", r->request->what);
		return EXIT_NO_INPUT;
	}
	if (!r->request->quiet && !r->request->json)
		puts("nothing is written down");
	return 0;
}

static void print_json(struct restoring *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "exports", r->array);
	print_object(o);
}

int restore_exports(const struct restore_exports *request)
{
	struct restoring r = { .request = request, .array = NULL };
	int code = find_device(&r);

	if (!code)
		code = state_load(&r.saved, STATE_SAVED);
	if (code)
		return code;
	if (request->json)
		r.array = json_object_new_array();
	/* with nothing written down, no module is loaded and no configfs needed */
	if (r.saved.luns)
		code = exporting_begin(&r.e, false);
	if (!code && r.saved.luns) {
		r.e.before_luns = restore_reservations;
		do_all(&r);
		exporting_end(&r.e);
	}
	if (!code)
		code = judge_end(&r);
	if (request->json)
		print_json(&r);
	state_free(&r.saved);
	return code;
}
