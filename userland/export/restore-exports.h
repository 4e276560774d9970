/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * larder restore, for exports: what larder save has written down exists again.
 */
#ifndef LARDER_EXPORT_RESTORE_EXPORTS_H
#define LARDER_EXPORT_RESTORE_EXPORTS_H

#include <stdbool.h>

struct restore_exports {
	const char *what;	/* VG/LV or a device; NULL: all that is written down */
	bool json, quiet;
};

/* 0, or an exit code after a message. */
int restore_exports(const struct restore_exports *r);

#endif
