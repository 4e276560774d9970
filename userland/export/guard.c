// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nothing is taken away below an export: initiators have been told what the
 * device can do, and would not hear of it.
 */
#include <string.h>

#include "../larder.h"
#include "exporting.h"
#include "guard.h"

/* Our LUNs on that device. */
static void find_luns(const struct exporting *e, dev_t wanted, struct state *these)
{
	const struct backstore *b;
	dev_t number;
	size_t i;

	memset(these, 0, sizeof(*these));
	for (i = 0; i < e->state.luns; i++) {
		b = state_backstore(&e->state, e->state.lun[i].backstore);
		if (b && backing_number(b->device, &number) && number == wanted)
			state_add_lun(these, &e->state.lun[i]);
	}
}

/* Commands that are under way are completed, then sessions end. */
static int remove_ours(const char *device, bool quiet)
{
	const struct removal how = { .drain = true, .quiet = quiet, .seconds = DRAIN_SECONDS };
	struct exporting e = { .lock = -1 };
	struct state these;
	dev_t number;
	int code;

	if (!backing_number(device, &number))
		return 0;
	code = exporting_begin(&e, false);
	if (code)
		return code;
	find_luns(&e, number, &these);
	code = export_remove_all(&e, &these, &how);
	state_free(&these);
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
			 "away first, or give --unexport, which lets them finish and ends their sessions",
			 device, who);
		return EXIT_NOT_OURS;
	}
	code = remove_ours(device, quiet);
	if (code || !export_holder(device, who, sizeof(who)))
		return code;
	complain("%s is exported, and not by larder: %s", device, who);
	return EXIT_NOT_OURS;
}
