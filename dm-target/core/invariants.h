/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The promises that every part of dm-larder relies on, as named assertions.
 * Documentation/architecture.md explains each; a test that breaks one reports
 * it by this name.
 *
 *  I1 data_before_map	    a durable record names only data that is durable
 *  I2 forget_before_divergence  while a durable record names (block, slot), the slot holds
 *			    nothing else and the origin gets no write of the block alone
 *  I3 one_authority	    before SSD and origin may differ, a durable record says which is right
 *  I4 clean_after_origin   "clean" becomes durable only after an origin flush that began
 *			    after the data was written or read
 *  I5 flush_means_flush    FLUSH and FUA complete when data and mapping are durable
 *  I6 recovery_idempotent  a crash at any point leaves what recovers to a legal state
 *  I7 stale_never_returns  a bypassed or replaced cache never serves its old contents
 *  I8 dirty_never_dropped  dirty data that cannot be reached is an error that names it
 */
#ifndef CORE_INVARIANTS_H
#define CORE_INVARIANTS_H

#include "env.h"

enum invariant {
	I1_DATA_BEFORE_MAP = 1,
	I2_FORGET_BEFORE_DIVERGENCE,
	I3_ONE_AUTHORITY,
	I4_CLEAN_AFTER_ORIGIN,
	I5_FLUSH_MEANS_FLUSH,
	I6_RECOVERY_IDEMPOTENT,
	I7_STALE_NEVER_RETURNS,
	I8_DIRTY_NEVER_DROPPED,
};

/* The name stands in the report: the stringified expression holds it. */
#define invariant(name, cond) core_assert(((void)(name), cond))

#endif
