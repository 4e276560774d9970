/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A very small oracle: one operation at a time, few sectors, few versions.
 *
 * A set of versions is a mask: bit n stands for the n-th operation's data,
 * bit 0 for what the origin had at the beginning, KNOWN_ZEROS for zeros.
 */
#ifndef SIM_KNOWN_H
#define SIM_KNOWN_H

#include "core/env.h"

#define KNOWN_SECTORS_MAX 48u
#define KNOWN_VERSIONS 15u
#define KNOWN_ZEROS (1u << KNOWN_VERSIONS)

struct known {
	u16 now[KNOWN_SECTORS_MAX];	/* what a read may find */
	u16 may[KNOWN_SECTORS_MAX];	/* what may be there after a crash */
	u16 ever[KNOWN_SECTORS_MAX];	/* whatever was written */
};

void known_init(struct known *k);
void known_write_begin(struct known *k, u32 sector, u32 nr, u32 version);
void known_write_end(struct known *k, u32 sector, u32 nr, u32 version, bool fua);
void known_discard_begin(struct known *k, u32 sector, u32 nr);
void known_discard_end(struct known *k, u32 sector, u32 nr);
void known_flushed(struct known *k);
u64 known_hash(const struct known *k);

/* The data of a version of a sector; and all versions that they might be. */
void known_data(u8 *to, u32 sector, u32 version);
u16 known_versions(const u8 *data, u32 sector);

#endif
