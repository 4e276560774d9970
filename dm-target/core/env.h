/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The whole of what core/ and policy/ may use from their surroundings.
 *
 * Code that includes only this header builds unchanged as part of the module
 * and of the user-space tools, the simulator and the fuzzers.  It never
 * allocates, sleeps, locks, reads a clock or does I/O: memory, time, random
 * numbers and results of I/O are handed in, decisions are handed back.
 */
#ifndef CORE_ENV_H
#define CORE_ENV_H

#ifdef __KERNEL__

#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/byteorder/generic.h>
#include <linux/cache.h>
#include <linux/container_of.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sort.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

#define core_warn_on(cond) WARN_ON_ONCE(cond)

#else
#include "env-user.h"
#endif

/*
 * A broken promise of our own code.  True when broken, so that the caller can
 * refuse to go on: the kernel warns once and lives, user space aborts.
 */
#define core_broken(cond) core_warn_on(cond)
#define core_assert(cond) ((void)core_warn_on(!(cond)))

/*
 * For the simulator, and nothing anywhere else: core_point() is a place where
 * others may come in between, core_unlikely() makes happen, once in so many
 * times, what is legal here but hardly ever the case.
 */
#ifdef CORE_SIMULATED
bool core_unlikely(u32 one_in);
#else
static inline void core_point(void) { }
static inline bool core_unlikely(u32 one_in) { return false; }
#endif

#endif
