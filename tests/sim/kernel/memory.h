/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "kernel.h"

/* Frees all that has been allocated: its owners are gone. */
void memory_forget(void);
/* The n-th allocation from now on fails, once (1: the next); 0: none. */
void memory_fail_at(u64 n);
/* True when that has happened. */
bool memory_has_failed(void);
/* One in n allocations that may not sleep fails; 0: none. */
void memory_fail_nowait(u32 one_in);
/* What is allocated now, for leak checks. */
u64 memory_in_use(void);

#endif
