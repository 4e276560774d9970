// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whole operations on exports: begins and ends them, and removes; making.c makes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exporting.h"

#define RUN_DIR		LARDER_ROOT "/run/larder"
#define LOCK_FILE	RUN_DIR "/exports.lock"
#define LOCK_TRIES	600
#define LOCK_TICK_NS	100000000

static int take_lock(struct exporting *e)
{
	const struct timespec tick = { 0, LOCK_TICK_NS };
	int i;

	mkdir(RUN_DIR, 0700);
	e->lock = open(LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (e->lock < 0) {
		complain("cannot open %s: %s", LOCK_FILE, strerror(errno));
		return errno == EACCES ? EXIT_NO_PERMISSION : EXIT_NO_OUTPUT;
	}
	for (i = 0; i < LOCK_TRIES; i++) {
		if (!flock(e->lock, LOCK_EX | LOCK_NB))
			return 0;
		nanosleep(&tick, NULL);
	}
	complain("another larder changes exports, and does not end (%s)", LOCK_FILE);
	return EXIT_INTERRUPTED;
}

static int save(const struct exporting *e)
{
	return e->dry_run ? 0 : state_save(&e->state, STATE_RUNNING);
}

/* --- removing --- */

/* Ports and hosts that others of ours still use are theirs to remove from now on. */
static void hand_over(struct exporting *e, const struct target *gone)
{
	char path[CONFIGFS_PATH_MAX];
	size_t i, k;

	for (i = 0; i < e->state.targets; i++) {
		struct target *t = &e->state.target[i];

		if (!fabric_is_nvmet(t->fabric) || t == gone)
			continue;
		for (k = 0; k < gone->made_ports.nr; k++) {
			configfs_path(path, "nvmet/ports/%s/subsystems/%s",
				      gone->made_ports.name[k], t->wwn);
			if (configfs_kind(&e->configfs, path) == CONFIGFS_LINK &&
			    !names_have(&t->made_ports, gone->made_ports.name[k]))
				names_add(&t->made_ports, gone->made_ports.name[k]);
		}
		for (k = 0; k < gone->made_hosts.nr; k++)
			if (names_have(&t->acls, gone->made_hosts.name[k]) &&
			    !names_have(&t->made_hosts, gone->made_hosts.name[k]))
				names_add(&t->made_hosts, gone->made_hosts.name[k]);
	}
}

static int remove_target(struct exporting *e, const struct target *t)
{
	return fabric_is_nvmet(t->fabric) ?
	       nvmet_remove_target(&e->configfs, e->dry_run, t) :
	       lio_remove_target(&e->configfs, e->dry_run, t);
}

static void forget_target(struct exporting *e, struct target *t)
{
	if (fabric_is_nvmet(t->fabric))
		hand_over(e, t);
	state_remove_target(&e->state, t);
}

static int remove_backstore(struct exporting *e, const struct backstore *b)
{
	return b->nvmet ? 0 : lio_remove_backstore(&e->configfs, e->dry_run, b);
}

static int remove_lun(struct exporting *e, const struct target *t, const struct lun *l)
{
	return fabric_is_nvmet(l->fabric) ?
	       nvmet_remove_lun(&e->configfs, e->dry_run, t, l) :
	       lio_remove_lun(&e->configfs, e->dry_run, t, l);
}

/* The group of ports that no other LUN of the device is in any more. */
static int remove_group(struct exporting *e, const struct lun *l)
{
	const struct backstore *b = state_backstore(&e->state, l->backstore);
	char path[CONFIGFS_PATH_MAX];
	struct lio_backstore found;
	size_t i;

	if (!*l->alua_group || !b || !lio_find_backstore(&e->configfs, b, &found))
		return 0;
	for (i = 0; i < e->state.luns; i++) {
		const struct lun *other = &e->state.lun[i];

		if (!strcmp(other->backstore, l->backstore) &&
		    !strcmp(other->alua_group, l->alua_group) &&
		    (other->fabric != l->fabric || strcmp(other->wwn, l->wwn) ||
		     other->lun != l->lun))
			return 0;
	}
	configfs_path(path, "%s/alua/%s", found.path, l->alua_group);
	return remove_directory(&e->configfs, e->dry_run, path);
}

int export_remove(struct exporting *e, const struct lun *gone)
{
	const struct lun l = *gone;	/* gone may be in the state, which moves */
	struct target *t = state_target(&e->state, l.fabric, l.wwn);
	struct backstore *b = state_backstore(&e->state, l.backstore);
	struct lun *record = state_lun(&e->state, l.fabric, l.wwn, l.lun);
	bool with_target = t && state_luns_of_target(&e->state, t) <= 1;
	bool with_backstore = b && state_luns_of_backstore(&e->state, b->name) <= 1;
	int code = t ? remove_lun(e, t, &l) : 0;

	if (!code)
		code = remove_group(e, &l);
	if (!code && with_target)
		code = remove_target(e, t);
	if (!code && with_backstore)
		code = remove_backstore(e, b);
	if (code || e->dry_run)
		return code;
	/* all at once: a LUN without its target is no state that can be read again */
	if (with_target)
		forget_target(e, t);
	if (with_backstore)
		state_remove_backstore(&e->state, b);
	if (record)
		state_remove_lun(&e->state, record);
	return save(e);
}

/* --- beginning and end --- */

/* An initiator that was let in for a LUN which never came is not let in to the others. */
static int remove_added(struct exporting *e, struct target *t)
{
	int code = fabric_is_nvmet(t->fabric) ? nvmet_remove_added(&e->configfs, t) :
						lio_remove_added(&e->configfs, t);
	size_t i;

	if (code)
		return code;
	for (i = 0; i < t->added_portals.nr; i++)
		names_remove(&t->portals, t->added_portals.name[i]);
	for (i = 0; i < t->added_acls.nr; i++)
		names_remove(&t->acls, t->added_acls.name[i]);
	names_free(&t->added_portals);
	names_free(&t->added_acls);
	return 0;
}

/* Of somebody who was killed in the middle. */
static int remove_incomplete(struct exporting *e)
{
	bool any = false;
	int code = 0;
	size_t i;

	for (i = e->state.luns; i-- > 0 && !code;)
		if (e->state.lun[i].incomplete) {
			const struct lun *l = &e->state.lun[i];

			complain("export or unexport was interrupted (%s %s), what there is of it is removed",
				 l->fabric->name, l->wwn);
			code = export_remove(e, l);
			any = true;
		}
	for (i = 0; i < e->state.targets && !code; i++)
		if (e->state.target[i].added_portals.nr || e->state.target[i].added_acls.nr) {
			code = remove_added(e, &e->state.target[i]);
			any = true;
		}
	for (i = e->state.targets; i-- > 0 && !code;)
		if (e->state.target[i].incomplete) {
			code = remove_target(e, &e->state.target[i]);
			if (!code)
				forget_target(e, &e->state.target[i]);
			any = true;
		}
	for (i = e->state.backstores; i-- > 0 && !code;)
		if (e->state.backstore[i].incomplete) {
			code = remove_backstore(e, &e->state.backstore[i]);
			if (!code)
				state_remove_backstore(&e->state, &e->state.backstore[i]);
			any = true;
		}
	return code || !any ? code : save(e);
}

int exporting_begin(struct exporting *e, bool dry_run)
{
	int code;

	memset(e, 0, sizeof(*e));
	e->dry_run = dry_run;
	code = take_lock(e);
	if (!code)
		code = state_load(&e->state, STATE_RUNNING);
	if (!code)
		code = configfs_open(&e->configfs);
	if (!code && !dry_run)
		code = remove_incomplete(e);
	if (code)
		exporting_end(e);
	return code;
}

int exporting_look(struct exporting *e)
{
	memset(e, 0, sizeof(*e));
	e->lock = -1;
	if (!configfs_try(&e->configfs))
		memset(&e->configfs, 0, sizeof(e->configfs));
	return state_load(&e->state, STATE_RUNNING);
}

void exporting_end(struct exporting *e)
{
	configfs_close(&e->configfs);
	state_free(&e->state);
	if (e->lock >= 0)
		close(e->lock);
	e->lock = -1;
}
