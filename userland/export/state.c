// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The records of what has been exported, in memory; state-file.c has them on disk.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "state.h"

static void *grow(void *list, size_t *nr, size_t size)
{
	list = reallocarray(list, *nr + 1, size);
	if (!list) {
		complain("not enough memory");
		exit(EXIT_NO_MEMORY);
	}
	++*nr;
	return list;
}

/* --- finding --- */

struct backstore *state_backstore(const struct state *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->backstores; i++)
		if (!strcmp(s->backstore[i].name, name))
			return &s->backstore[i];
	return NULL;
}

struct backstore *state_backstore_of(const struct state *s, dev_t number, const char *device)
{
	dev_t other;
	size_t i;

	for (i = 0; i < s->backstores; i++)
		if (!strcmp(s->backstore[i].device, device) ||
		    (number && backing_number(s->backstore[i].device, &other) && other == number))
			return &s->backstore[i];
	return NULL;
}

/* iscsi and iser are one tree with one set of names. */
static bool same_tree(const struct fabric *a, const struct fabric *b)
{
	return a == b || (fabric_is_nvmet(a) && fabric_is_nvmet(b)) ||
	       (a->tree && b->tree && !strcmp(a->tree, b->tree));
}

struct target *state_target(const struct state *s, const struct fabric *f, const char *wwn)
{
	size_t i;

	for (i = 0; i < s->targets; i++)
		if (same_tree(s->target[i].fabric, f) && !strcmp(s->target[i].wwn, wwn))
			return &s->target[i];
	return NULL;
}

struct lun *state_lun(const struct state *s, const struct fabric *f, const char *wwn, uint32_t lun)
{
	size_t i;

	for (i = 0; i < s->luns; i++)
		if (same_tree(s->lun[i].fabric, f) && !strcmp(s->lun[i].wwn, wwn) &&
		    s->lun[i].lun == lun)
			return &s->lun[i];
	return NULL;
}

size_t state_luns_of_backstore(const struct state *s, const char *name)
{
	size_t i, nr = 0;

	for (i = 0; i < s->luns; i++)
		nr += !strcmp(s->lun[i].backstore, name);
	return nr;
}

size_t state_luns_of_target(const struct state *s, const struct target *t)
{
	size_t i, nr = 0;

	for (i = 0; i < s->luns; i++)
		nr += state_target(s, s->lun[i].fabric, s->lun[i].wwn) == t;
	return nr;
}

/* --- adding --- */

struct backstore *state_add_backstore(struct state *s, const struct backstore *b)
{
	struct backstore *to;

	s->backstore = grow(s->backstore, &s->backstores, sizeof(*b));
	to = &s->backstore[s->backstores - 1];
	*to = *b;
	names_copy(&to->attributes, &b->attributes);
	return to;
}

void target_copy(struct target *to, const struct target *from)
{
	*to = *from;
	names_copy(&to->portals, &from->portals);
	names_copy(&to->acls, &from->acls);
	names_copy(&to->added_portals, &from->added_portals);
	names_copy(&to->added_acls, &from->added_acls);
	names_copy(&to->made_hosts, &from->made_hosts);
	names_copy(&to->made_ports, &from->made_ports);
}

void target_free(struct target *t)
{
	names_free(&t->portals);
	names_free(&t->acls);
	names_free(&t->added_portals);
	names_free(&t->added_acls);
	names_free(&t->made_hosts);
	names_free(&t->made_ports);
	chap_forget(&t->chap);
}

struct target *state_add_target(struct state *s, const struct target *t)
{
	s->target = grow(s->target, &s->targets, sizeof(*t));
	target_copy(&s->target[s->targets - 1], t);
	return &s->target[s->targets - 1];
}

struct lun *state_add_lun(struct state *s, const struct lun *l)
{
	s->lun = grow(s->lun, &s->luns, sizeof(*l));
	s->lun[s->luns - 1] = *l;
	return &s->lun[s->luns - 1];
}

/* --- removing --- */

void state_remove_backstore(struct state *s, struct backstore *b)
{
	names_free(&b->attributes);
	s->backstores--;
	memmove(b, b + 1, (size_t)(&s->backstore[s->backstores] - b) * sizeof(*b));
}

void state_remove_target(struct state *s, struct target *t)
{
	target_free(t);
	s->targets--;
	memmove(t, t + 1, (size_t)(&s->target[s->targets] - t) * sizeof(*t));
}

void state_remove_lun(struct state *s, struct lun *l)
{
	s->luns--;
	memmove(l, l + 1, (size_t)(&s->lun[s->luns] - l) * sizeof(*l));
}

void state_free(struct state *s)
{
	while (s->backstores)
		state_remove_backstore(s, &s->backstore[s->backstores - 1]);
	while (s->targets)
		state_remove_target(s, &s->target[s->targets - 1]);
	free(s->backstore);
	free(s->target);
	free(s->lun);
	memset(s, 0, sizeof(*s));
}
