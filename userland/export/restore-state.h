/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What LIO itself writes down below its dbroot, and never reads: persistent
 * reservations with APTPL, and the states of target port groups.
 */
#ifndef LARDER_EXPORT_RESTORE_STATE_H
#define LARDER_EXPORT_RESTORE_STATE_H

#include "lio.h"

/*
 * pr/aptpl_SERIAL goes back into a backstore that has no LUN yet; the directory
 * for its groups is made.  A before_luns_fn.  Fails if the file is not what the
 * kernel writes: to go on without reservations would let a fenced host write.
 */
int restore_reservations(struct journal *j, const struct backstore *b, const char *path);

/*
 * The group of a LUN gets the state that alua/tpgs_SERIAL/GROUP says, where the
 * kernel writes each change.  path: of its backstore.  A state that cannot be set
 * is told, and no error: RTPG says what is so.
 */
void restore_group(struct configfs *c, const struct backstore *b, const struct lun *l,
		   const char *path);

/*
 * The text of an APTPL file: take() is called for each registration with what
 * res_aptpl_metadata wants to have; what is not 0 ends it and is returned.  -1:
 * it is no such text (*why).
 */
int aptpl_parse(const char *text, int (*take)(void *context, const char *registration),
		void *context, const char **why);
/* "alua_access_state=0x02" and so on; false: it is no such text. */
bool alua_parse(const char *text, unsigned int *state, unsigned int *status);

#endif
