/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LIO: backstores (target/core/iblock_N/NAME), targets (target/FABRIC/WWN/tpgt_1)
 * and what joins them.  The order of steps is the kernel's and rtslib's, see
 * Documentation/export.md.  Everything is made through a journal; what is there
 * already as recorded is left as it is, so that restoring is the same as making.
 */
#ifndef LARDER_EXPORT_LIO_H
#define LARDER_EXPORT_LIO_H

#include "journal.h"
#include "state.h"

/* Loads the modules that a fabric needs.  dry_run prints.  0, or an exit code after a message. */
int fabric_load_modules(const struct fabric *f, bool dry_run);
/* Once, before the first backstore of the host: where the kernel keeps PR and ALUA state. */
int lio_set_dbroot(struct journal *j);
/* Where that is, from the kernel: dbroot/pr, dbroot/alua. */
void lio_dbroot(struct configfs *c, char *path, size_t size);

/* A backstore that the kernel has, whoever made it. */
struct lio_backstore {
	char path[CONFIGFS_PATH_MAX];	/* target/core/iblock_0/NAME */
	char plugin[32];		/* iblock, fileio, ... */
	char name[CONFIGFS_NAME_MAX];
	char device[512];		/* udev_path, "" when it has none */
	char serial[256];
	dev_t number;			/* 0: it is no block device, or not enabled */
	bool enabled;
};

/* Calls visit for each; one that returns true ends it. */
typedef bool (*visit_backstore_fn)(void *context, const struct lio_backstore *b);
bool lio_backstores_visit(struct configfs *c, visit_backstore_fn visit, void *context);
/* By its name and serial number (or device, without one); false: it is not there. */
bool lio_find_backstore(struct configfs *c, const struct backstore *b,
			struct lio_backstore *found);
/* What device the kernel has opened for the one at path; 0: it does not say. */
dev_t lio_number_at(struct configfs *c, const char *path);
/* Two serial numbers with the same 25 first hex digits make the same NAA name. */
bool lio_same_naa(const char *serial, const char *other);
void lio_naa(const char *serial, char naa[37]);		/* naa.6001405... */

/*
 * Makes it, enabled, with identity and attributes, without a LUN.  place is what
 * it became.  before_luns may be NULL: is called once between the serial number
 * and the first LUN, for what only fits there (pr/res_aptpl_metadata, ALUA state);
 * it uses the journal and returns j->code.
 */
typedef int (*before_luns_fn)(struct journal *j, const struct backstore *b, const char *path);
int lio_make_backstore(struct journal *j, const struct backstore *b, const struct backing *backing,
		       before_luns_fn before_luns, char place[CONFIGFS_PATH_MAX]);
int lio_remove_backstore(struct configfs *c, bool dry_run, const struct backstore *b);
/* May --attribute set it so?  0, or EXIT_WRONG_USAGE after a message. */
int lio_judge_attribute(const char *key_value);

/*
 * A LUN in a target: makes the target unless it is there, adds portals and
 * initiators that it has not, joins the LUN with all initiators, and enables the
 * target last.
 */
int lio_make_lun(struct journal *j, const struct state *s, const struct target *t,
		 const struct lun *l, const char *backstore_path);
/*
 * No new commands for these LUNs of a target ("lun_0"), though all of it is still
 * there: a target of which nothing would be left is disabled, which ends its
 * sessions; else initiators see these no more, unless they have registered keys
 * for reservations, which would be lost.
 */
int lio_stop(struct journal *j, const struct target *t, const struct names *luns);
/* The LUN alone; the target with all that is recorded of it, after its last LUN. */
int lio_remove_lun(struct configfs *c, bool dry_run, const struct target *t, const struct lun *l);
int lio_remove_target(struct configfs *c, bool dry_run, const struct target *t);
/* The portals and initiators that t says were added, which a removed LUN had brought with it. */
int lio_remove_added(struct configfs *c, const struct target *t);
/* Does the target have a portal or an initiator of this name? */
bool lio_has(struct configfs *c, const struct target *t, const char *name);
bool lio_target_exists(struct configfs *c, const struct target *t);
bool lio_lun_exists(struct configfs *c, const struct lun *l);

/* A LUN or namespace that the kernel has, whoever made it; of nvmet, too. */
struct seen_lun {
	const struct fabric *fabric;
	char tree[64];			/* "iscsi", "nvmet", ... also those of no fabric of ours */
	char wwn[CONFIGFS_NAME_MAX];
	char tpg[CONFIGFS_NAME_MAX];
	char lun[32];
	char backstore[CONFIGFS_NAME_MAX];	/* iblock_0/NAME; "" for nvmet */
	char device[512];
	char serial[256];
	dev_t number;
	bool enabled;
	unsigned int sessions;		/* logged in, where the fabric says so */
};

void lio_luns_visit(struct configfs *c, void (*visit)(void *context, const struct seen_lun *l),
		    void *context);
/* Initiators that are logged in at this target, where the fabric says so: iSCSI's. */
void lio_sessions(struct configfs *c, const struct target *t, struct names *initiators);

#endif
