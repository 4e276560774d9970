// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Takes exports away that initiators may be using.
 *
 * The kernel waits for commands that are under way whenever a LUN is taken from
 * it, for ever and so that nobody can interrupt it.  So all waiting is done here,
 * before, where it has an end.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exporting.h"

#define TICK_NS		100000000
#define LEAVING_TICKS	20	/* a session that has been logged out of ends soon */
#define TOLD_MAX	10

static void pause_shortly(void)
{
	const struct timespec tick = { 0, TICK_NS };

	nanosleep(&tick, NULL);
}

/* What configfs calls the LUNs of a target that are in these. */
static void luns_of_target(const struct exporting *e, const struct target *t,
			   const struct state *these, struct names *luns)
{
	char name[16];
	size_t i;

	memset(luns, 0, sizeof(*luns));
	for (i = 0; i < these->luns; i++) {
		const struct lun *l = &these->lun[i];

		if (state_target(&e->state, l->fabric, l->wwn) != t)
			continue;
		snprintf(name, sizeof(name), "%s%u", fabric_is_nvmet(t->fabric) ? "" : "lun_",
			 l->lun);
		names_add(luns, name);
	}
}

/* --- who is there --- */

/* How many are logged in at the targets of these; told: the first are named. */
static size_t count_sessions(struct exporting *e, const struct state *these, bool told)
{
	struct names luns, initiators;
	size_t i, k, nr = 0;

	for (i = 0; i < e->state.targets; i++) {
		const struct target *t = &e->state.target[i];

		luns_of_target(e, t, these, &luns);
		if (luns.nr && !fabric_is_nvmet(t->fabric)) {
			lio_sessions(&e->configfs, t, &initiators);
			for (k = 0; told && k < initiators.nr && nr + k < TOLD_MAX; k++)
				complain("%s is logged in at %s %s", initiators.name[k],
					 t->fabric->name, t->wwn);
			nr += initiators.nr;
			names_free(&initiators);
		}
		names_free(&luns);
	}
	return nr;
}

static int judge_sessions(struct exporting *e, const struct state *these)
{
	unsigned int i;

	for (i = 0; i < LEAVING_TICKS; i++) {
		if (!count_sessions(e, these, false))
			return 0;
		pause_shortly();
	}
	complain("%zu sessions, and nothing is taken away: have them log out, or give --drain, "
		 "which ends them", count_sessions(e, these, true));
	return EXIT_NOT_OURS;
}

/* --- what is under way --- */

struct watched {
	char device[DEVICE_MAX];
	dev_t number;
	struct backing_load first, now;
};

/*
 * As many have been completed as there were when we began to look; where no new
 * ones come, these are all.
 */
static bool is_over(struct watched *w)
{
	if (!backing_load(w->number, &w->now))
		return true;
	return !w->now.suspended &&
	       (!w->now.under_way || w->now.completed - w->first.completed >= w->first.under_way);
}

static size_t watch_devices(struct exporting *e, const struct state *these,
			    struct watched **devices)
{
	struct watched *w = calloc(these->luns, sizeof(*w));
	size_t i, nr = 0;

	if (!w) {
		complain("not enough memory");
		exit(EXIT_NO_MEMORY);
	}
	for (i = 0; i < these->luns; i++) {
		const struct backstore *b = state_backstore(&e->state, these->lun[i].backstore);

		if (!b || !backing_number(b->device, &w[nr].number))
			continue;
		snprintf(w[nr].device, sizeof(w[nr].device), "%s", b->device);
		backing_load(w[nr].number, &w[nr].first);
		nr++;
	}
	*devices = w;
	return nr;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int tell_late(const struct watched *w, unsigned int seconds)
{
	complain("%s: %llu commands are still under way after %u s%s: nothing is taken away",
		 w->device, (unsigned long long)w->now.under_way, seconds,
		 w->now.suspended ? ", as it is suspended" : "");
	return EXIT_INTERRUPTED;
}

/* 0, or an exit code after a message. */
static int wait_for_devices(struct exporting *e, const struct state *these, unsigned int seconds,
			    double end)
{
	struct watched *devices;
	size_t i = 0, nr = watch_devices(e, these, &devices);
	int code = 0;

	while (i < nr && !code) {
		if (is_over(&devices[i])) {
			i++;
		} else if (journal_interrupted()) {
			complain("interrupted: nothing is taken away");
			code = EXIT_INTERRUPTED;
		} else if (seconds_now() >= end) {
			code = tell_late(&devices[i], seconds);
		} else {
			pause_shortly();
		}
	}
	free(devices);
	return code;
}

/* --- the whole --- */

static void stop_all(struct exporting *e, const struct state *these, struct journal *j)
{
	struct names luns;
	size_t i;

	for (i = 0; i < e->state.targets && !j->code; i++) {
		const struct target *t = &e->state.target[i];

		luns_of_target(e, t, these, &luns);
		if (luns.nr && fabric_is_nvmet(t->fabric))
			nvmet_stop(j, t, &luns);
		else if (luns.nr)
			lio_stop(j, t, &luns);
		names_free(&luns);
	}
}

static int drain(struct exporting *e, const struct state *these, unsigned int seconds)
{
	double end = seconds_now() + seconds;
	struct journal j;

	journal_begin(&j, &e->configfs, false);
	/* a device that does not answer would keep the kernel from ending a session, too */
	journal_fail(&j, wait_for_devices(e, these, seconds, end));
	stop_all(e, these, &j);
	if (!j.code)
		journal_fail(&j, wait_for_devices(e, these, seconds, end));
	journal_keep(&j);
	return journal_end(&j);
}

static int remove_told(struct exporting *e, const struct lun *l, bool quiet)
{
	const struct backstore *b = state_backstore(&e->state, l->backstore);
	char device[DEVICE_MAX];
	int code;

	snprintf(device, sizeof(device), "%s", b ? b->device : l->backstore);
	code = export_remove(e, l);
	if (!code && !quiet && !e->dry_run)
		printf("%s: not exported any more by %s %s\n", device, l->fabric->name, l->wwn);
	return code;
}

/* Who is killed has records behind him by which the next command finishes this. */
static int mark(struct exporting *e, const struct state *these, bool incomplete)
{
	struct lun *l;
	size_t i;

	for (i = 0; i < these->luns; i++) {
		l = state_lun(&e->state, these->lun[i].fabric, these->lun[i].wwn,
			      these->lun[i].lun);
		if (l)
			l->incomplete = incomplete;
	}
	return e->dry_run ? 0 : state_save(&e->state, STATE_RUNNING);
}

static int remove_all(struct exporting *e, const struct state *these, bool quiet)
{
	int code, failed = 0;
	size_t i;

	for (i = these->luns; i-- > 0;) {
		code = remove_told(e, &these->lun[i], quiet);
		if (code && !failed)
			failed = code;
	}
	return failed;
}

int export_remove_all(struct exporting *e, const struct state *these, const struct removal *how)
{
	int code;

	if (!these->luns)
		return 0;
	code = how->drain ? 0 : judge_sessions(e, these);
	if (code)
		return code;
	code = mark(e, these, true);
	/* what is stopped first would be printed twice */
	if (!code && how->drain && !e->dry_run)
		code = drain(e, these, how->seconds);
	if (!code)
		code = remove_all(e, these, how->quiet);
	if (code)
		mark(e, these, false);
	return code;
}
