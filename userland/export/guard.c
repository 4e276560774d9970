// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nothing is taken away below an export: initiators have been told what the
 * device can do, and would not hear of it.
 */
#include "../larder.h"
#include "exporting.h"
#include "guard.h"

/* One LUN of ours on that device; false: there is none (any more). */
static bool find_lun(const struct exporting *e, dev_t wanted, struct lun *l)
{
	const struct backstore *b;
	dev_t number;
	size_t i;

	for (i = 0; i < e->state.luns; i++) {
		*l = e->state.lun[i];
		b = state_backstore(&e->state, l->backstore);
		if (b && backing_number(b->device, &number) && number == wanted)
			return true;
	}
	return false;
}

/* Each ends its sessions before it goes, and commands that are under way are completed. */
static int remove_ours(const char *device, bool quiet)
{
	struct exporting e = { .lock = -1 };
	struct lun l;
	dev_t number;
	int code;

	if (!backing_number(device, &number))
		return 0;
	code = exporting_begin(&e, false);
	if (code)
		return code;
	while (!code && find_lun(&e, number, &l))
		code = export_remove_told(&e, &l, quiet);
	exporting_end(&e);
	return code;
}

int guard_exported(const char *device, bool unexport, bool quiet)
{
	char who[512];
	int code;

	if (!export_holder(device, who, sizeof(who)))
		return 0;
	if (!unexport) {
		complain("%s is exported: %s. Initiators would not hear of the change: take that "
			 "away first, or give --unexport, which ends their sessions", device, who);
		return EXIT_NOT_OURS;
	}
	code = remove_ours(device, quiet);
	if (code || !export_holder(device, who, sizeof(who)))
		return code;
	complain("%s is exported, and not by larder: %s", device, who);
	return EXIT_NOT_OURS;
}
