/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module's files that only work with words ask of the kernel
 * (tests/sim/kernel has the declarations), and one cache without devices.
 */
#ifndef MODULE_KERNEL_H
#define MODULE_KERNEL_H

#include "../../dm-target/larder.h"
#include "fuzz.h"

/* The n-th allocation from now on fails; 0: none does. */
void kernel_fail_allocation(u32 n);
/* Allocations that have not been freed. */
u64 kernel_memory_in_use(void);

#endif
