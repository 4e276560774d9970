/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * targetctl's file: our objects are put into its text, and everything else stays
 * as it is, byte for byte.
 *
 * What we have put there is listed in a member "larder" of the whole, so that it
 * can be taken out when it is exported no more.  rtslib asks for members by name
 * and ignores that one; in an object it would not.
 */
#ifndef LARDER_SAVECONFIG_SPLICE_H
#define LARDER_SAVECONFIG_SPLICE_H

#include <stddef.h>

struct json_object;

#define SAVECONFIG_MAX	(16u << 20)	/* bytes */

/*
 * ours has arrays "storage_objects" (known by plugin and name) and "targets" (by
 * fabric and wwn).  Of each, those in the text are replaced, others appended, and
 * those taken out that were put there and are not in ours any more.  Returns the
 * new text, to be freed, or NULL and why not.
 */
char *saveconfig_splice(const char *text, size_t length, struct json_object *ours,
			const char **why);

#endif
