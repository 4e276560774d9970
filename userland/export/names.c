// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists of names, see names.h.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "../larder.h"
#include "names.h"

static void *or_end(void *memory)
{
	if (memory)
		return memory;
	complain("not enough memory");
	exit(EXIT_NO_MEMORY);
}

void names_add(struct names *names, const char *name)
{
	names->name = or_end(reallocarray(names->name, names->nr + 1, sizeof(*names->name)));
	names->name[names->nr++] = or_end(strdup(name));
}

static size_t find(const struct names *names, const char *name)
{
	size_t i;

	for (i = 0; i < names->nr; i++)
		if (!strcmp(names->name[i], name))
			break;
	return i;
}

bool names_have(const struct names *names, const char *name)
{
	return find(names, name) < names->nr;
}

void names_remove(struct names *names, const char *name)
{
	size_t i = find(names, name);

	if (i == names->nr)
		return;
	free(names->name[i]);
	names->nr--;
	memmove(&names->name[i], &names->name[i + 1], (names->nr - i) * sizeof(*names->name));
}

void names_copy(struct names *to, const struct names *from)
{
	size_t i;

	memset(to, 0, sizeof(*to));
	for (i = 0; i < from->nr; i++)
		names_add(to, from->name[i]);
}

static int compare(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

void names_sort(struct names *names)
{
	if (names->nr)
		qsort(names->name, names->nr, sizeof(*names->name), compare);
}

void names_free(struct names *names)
{
	size_t i;

	for (i = 0; i < names->nr; i++)
		free(names->name[i]);
	free(names->name);
	memset(names, 0, sizeof(*names));
}
