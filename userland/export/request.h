/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What larder export was asked for, and the records that this becomes.
 */
#ifndef LARDER_EXPORT_REQUEST_H
#define LARDER_EXPORT_REQUEST_H

#include "exporting.h"

struct export_request {
	const char *what;			/* VG/LV or a device */
	const char *fabric_name, *wwn, *chap_file, *serial, *lun, *alua;
	struct names portals, acls, attributes;	/* as given */
	bool any_initiator, readonly, json, dry_run, quiet;
	/* after request_judge() */
	const struct fabric *fabric;
};

/* All that can be judged without the kernel.  0, or an exit code after a message. */
int request_judge(struct export_request *r);
/*
 * The records, with what was not given chosen: name, serial number, target, LUN.
 * The same; b, t to be freed in any case (names_free() of b's attributes).
 */
int request_records(const struct export_request *r, struct exporting *e, struct backstore *b,
		    struct target *t, struct lun *l);
/*
 * All of larder export, of a request that has been judged; see exporting.h for
 * before_luns and announce, whose context is r.
 */
int request_export(struct export_request *r, before_luns_fn before_luns, announce_fn announce);

#endif
