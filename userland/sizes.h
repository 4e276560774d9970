/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes on the command line, and how large a metadata device should be.
 */
#ifndef LARDER_SIZES_H
#define LARDER_SIZES_H

#include "../dm-target/core/geometry.h"
#include "larder.h"

/*
 * Sectors; or with a unit: b bytes, s sectors, k m g t p of 1024, K M G T P of
 * 1000.  False unless it is a whole number of sectors, at least one.
 */
bool parse_size(const char *text, u64 *sectors);

/* For the smallest blocks that a cache can have, and a journal of 4 MiB; 0: impossible. */
u64 metadata_units_wanted(u32 chunk_sectors, u64 cache_sectors);

#endif
