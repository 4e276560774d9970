/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of names: of initiators, of portals, of what is in a directory.
 */
#ifndef LARDER_EXPORT_NAMES_H
#define LARDER_EXPORT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct names {
	char **name;
	size_t nr;
};

/* Copies it to the end; there is no way on without memory: ends the program then. */
void names_add(struct names *names, const char *name);
bool names_have(const struct names *names, const char *name);
void names_remove(struct names *names, const char *name);
void names_copy(struct names *to, const struct names *from);
/* By digits as numbers, else as text: lun_2 before lun_10. */
void names_sort(struct names *names);
void names_free(struct names *names);

#endif
