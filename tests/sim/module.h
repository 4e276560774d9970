/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SIM_MODULE_H
#define SIM_MODULE_H

/*
 * The module's own static variables as they were when it was loaded for the
 * first time: a reboot.
 */
void module_reset(void);

#endif
