/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What larder has exported, in a file of its own: targetcli's saveconfig.json
 * cannot hold it, as an unknown key there makes its restore fail.  There are two
 * of them.  STATE_RUNNING is what is in configfs now and has been made by larder;
 * like configfs it is gone when the system starts again.  STATE_SAVED is the same
 * as larder save has written it down, for larder restore.
 *
 * A file has three lists.  A backstore is a device with an
 * identity (serial number, which initiators know it by for ever).  A target is a
 * name on a fabric with its portals, initiators and secrets.  A LUN joins one of
 * each.  Only what larder has made is in it; every object that it removes is.
 *
 * A record is written before its first object is made (incomplete), and again
 * when all are there: who finds an incomplete one under the lock removes what
 * there is of it.
 *
 * The file is replaced as a whole (new file, fsync, rename, fsync of the
 * directory), mode 0600, owned by root; another owner, a link, group or other
 * with write permission, or more than 1 MiB are refused.  Secrets are in it.
 */
#ifndef LARDER_EXPORT_STATE_H
#define LARDER_EXPORT_STATE_H

#include <stdint.h>

#include "../larder.h"
#include "../program.h"
#include "backing.h"
#include "chap.h"
#include "configfs.h"
#include "fabric.h"

#define STATE_RUNNING	LARDER_ROOT "/run/larder/exports.json"
#define STATE_SAVED	LARDER_ROOT "/etc/larder/exports.json"
#define STATE_VERSION	1
#define BACKSTORE_MAX	128	/* a name, with the end */
#define ALUA_MAX	64
#define LUN_MAX		65535
#define TPG		"tpgt_1"	/* the only one that larder makes */

struct backstore {
	char name[BACKSTORE_MAX];	/* unique; of the directory below core/iblock_N/ */
	char device[DEVICE_MAX];	/* its stable name */
	char serial[UUID_MAX];		/* VPD page 80h; NAA name and nvmet's UUID come of it */
	bool nvmet;			/* has no object of LIO: its namespaces are all of it */
	bool readonly;
	struct names attributes;	/* "KEY=N", as given with --attribute */
	bool incomplete;
};

struct target {
	const struct fabric *fabric;
	char wwn[WWN_MAX];
	char nexus[WWN_MAX];		/* INITIATORS_LOCAL: the initiator's name */
	bool any_initiator;
	struct names portals;		/* as configfs spells them */
	struct names acls;
	/* of those two, while a LUN is being made: what was not there before */
	struct names added_portals, added_acls;
	struct names made_hosts;	/* nvmet: hosts/NAME that were not there */
	struct names made_ports;	/* nvmet: ports/N that were not there */
	struct chap chap;
	bool incomplete;
};

struct lun {
	char backstore[BACKSTORE_MAX];
	const struct fabric *fabric;
	char wwn[WWN_MAX];
	uint32_t lun;			/* nvmet: namespace, from 1 */
	char alua_group[ALUA_MAX];	/* "" = default_tg_pt_gp */
	uint32_t alua_state;		/* 0 active/optimized .. 3 unavailable; of an own group */
	bool incomplete;
};

struct state {
	struct backstore *backstore;
	struct target *target;
	struct lun *lun;
	size_t backstores, targets, luns;
};

/* No file is an empty state.  0, or an exit code after a message. */
int state_load(struct state *s, const char *path);
int state_save(const struct state *s, const char *path);
void state_free(struct state *s);

/* NULL: there is none.  Pointers hold until something is added or removed. */
struct backstore *state_backstore(const struct state *s, const char *name);
struct backstore *state_backstore_of(const struct state *s, dev_t number, const char *device);
struct target *state_target(const struct state *s, const struct fabric *f, const char *wwn);
struct lun *state_lun(const struct state *s, const struct fabric *f, const char *wwn,
		      uint32_t lun);
/* The copies that are in the state then; lists of names are copied, too. */
struct backstore *state_add_backstore(struct state *s, const struct backstore *b);
struct target *state_add_target(struct state *s, const struct target *t);
struct lun *state_add_lun(struct state *s, const struct lun *l);
void state_remove_backstore(struct state *s, struct backstore *b);
void state_remove_target(struct state *s, struct target *t);
void state_remove_lun(struct state *s, struct lun *l);
void target_copy(struct target *to, const struct target *from);
void target_free(struct target *t);
size_t state_luns_of_backstore(const struct state *s, const char *name);
size_t state_luns_of_target(const struct state *s, const struct target *t);

#endif
