/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole operations on exports, for the commands: everything between the lock
 * and the state file.
 *
 *	exporting_begin(&e, dry_run)	the lock, the state file, configfs; what was
 *					left incomplete is removed
 *	export_make() / export_remove()
 *	exporting_end(&e)
 *
 * All return 0, or an exit code after a message.
 */
#ifndef LARDER_EXPORT_EXPORTING_H
#define LARDER_EXPORT_EXPORTING_H

#include "lio.h"
#include "nvmet.h"

struct exporting;
typedef int (*announce_fn)(struct exporting *e, const struct backstore *b, const struct target *t,
			   const struct lun *l);

struct exporting {
	struct configfs configfs;
	struct state state;
	int lock;			/* one command at a time changes exports */
	bool dry_run;
	before_luns_fn before_luns;	/* see lio_make_backstore(); NULL, or the caller's */
	/*
	 * Of export_make(), when all is made and recorded: says so.  What it returns is
	 * an exit code; if it is not 0, all is taken away again.  NULL, or the caller's.
	 */
	announce_fn announce;
	void *context;
};

int exporting_begin(struct exporting *e, bool dry_run);
/* The same for reading: no lock, nothing is removed; without configfs, ops is NULL. */
int exporting_look(struct exporting *e);
void exporting_end(struct exporting *e);

/*
 * One export: b, t and l are records that are in e->state or are added to it
 * (by name, or by fabric and WWN; where the state has one, its own is taken, and
 * portals and initiators of t are added to it).  Makes whatever of it configfs
 * has not; on failure both are as before.  What configfs has and the state has
 * not is somebody else's, and refused; but with the serial number of b it is what
 * larder has made and somebody else has restored, and becomes larder's again.
 */
int export_make(struct exporting *e, const struct backstore *b, const struct target *t,
		const struct lun *l);
/* Has configfs this target?  Does it name this initiator there? */
bool export_target_exists(struct exporting *e, const struct target *t);
bool export_lets_in(struct exporting *e, const struct target *t, const char *initiator);
/* Removes it from configfs (if it is there) and from the state. */
int export_remove(struct exporting *e, const struct lun *l);
/*
 * All LUNs of these, from the last, each told once it is gone.  Initiators that are
 * logged in are a reason to refuse, with nothing done; but with drain, new commands
 * are stopped first, and when those under way are not over in time, all is as it
 * was.  Later failures are told, and the first one's code returned.
 */
#define DRAIN_SECONDS	30
struct removal {
	bool drain, quiet;
	unsigned int seconds;
};

int export_remove_all(struct exporting *e, const struct state *these, const struct removal *how);

/*
 * Who exports this device, by LIO or nvmet, ours or not?  For those who want to
 * take it away: writes "iscsi iqn... LUN 0 (larder unexport VG/LV)" and so on.
 * false: nobody, or the kernel has neither LIO nor nvmet.  Needs no lock.
 */
bool export_holder(const char *device, char *who, size_t size);

#endif
