/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our objects in the words of rtslib, as targetctl saves and restores them.
 */
#ifndef LARDER_EXPORT_SAVECONFIG_H
#define LARDER_EXPORT_SAVECONFIG_H

#include "state.h"

struct json_object;

/*
 * Arrays "storage_objects" and "targets" with what configfs has of s; told, as it
 * has no words for it there: nvmet, gadgets, ports by GUID.  To be freed by
 * json_object_put().
 */
struct json_object *saveconfig_ours(struct configfs *c, const struct state *s, bool quiet);

#endif
