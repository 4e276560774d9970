/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Before something is done to a device that initiators should not see.
 */
#ifndef LARDER_EXPORT_GUARD_H
#define LARDER_EXPORT_GUARD_H

#include <stdbool.h>

/*
 * 0 when nobody exports it; with unexport, after what is ours has been taken
 * away.  Otherwise an exit code after a message that says by whom.
 */
int guard_exported(const char *device, bool unexport, bool quiet);

#endif
