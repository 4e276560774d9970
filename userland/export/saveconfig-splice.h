/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * targetctl's file: our objects are put into its text, and everything else stays
 * as it is, byte for byte.
 */
#ifndef LARDER_SAVECONFIG_SPLICE_H
#define LARDER_SAVECONFIG_SPLICE_H

#include <stddef.h>

struct json_object;

#define SAVECONFIG_MAX	(16u << 20)	/* bytes */

/*
 * ours has arrays "storage_objects" (known by plugin and name) and "targets" (by
 * fabric and wwn), either of which may be missing; of each, those in the text
 * are replaced and others appended.  gone is the same for what is to be taken
 * out; may be NULL.  Returns the new text, to be freed, or NULL and why not.
 */
char *saveconfig_splice(const char *text, size_t length, struct json_object *ours,
			struct json_object *gone, const char **why);

#endif
