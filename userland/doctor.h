/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What larder doctor finds.
 */
#ifndef LARDER_DOCTOR_H
#define LARDER_DOCTOR_H

#include "lvm.h"

enum finding_level {
	FINDING_OK,
	FINDING_UNKNOWN,	/* could not be checked; counts as nothing */
	FINDING_WARNING,
	FINDING_ERROR,
};

struct doctor {
	bool json;
	bool root_on_cache;
	unsigned int count[FINDING_ERROR + 1];
	struct json_object *array;
};

/* what is printf's. */
void finding(struct doctor *d, const char *check, enum finding_level level, const char *why,
	     const char *cure, const char *what, ...) __attribute__((format(printf, 6, 7)));
void all_well(struct doctor *d, const char *check, const char *what, ...)
	__attribute__((format(printf, 3, 4)));
/* It could not be found out; why may be NULL. */
void not_known(struct doctor *d, const char *check, const char *why, const char *what, ...)
	__attribute__((format(printf, 4, 5)));

/* doctor-host.c */
void doctor_module(struct doctor *d);
void doctor_aliases(struct doctor *d);
void doctor_lvm(struct doctor *d);
void doctor_initramfs(struct doctor *d);
/* doctor-caches.c */
void doctor_caches(struct doctor *d);

#endif
