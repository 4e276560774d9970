/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SIM_WORK_H
#define SIM_WORK_H

#include "kernel.h"

/* A crash: all queues are gone. */
void work_forget(void);

#endif
