// SPDX-License-Identifier: GPL-2.0-or-later
#include "known.h"
#include "random.h"

#define SECTOR_BYTES 512u

void known_init(struct known *k)
{
	u32 i;

	memset(k, 0, sizeof(*k));
	for (i = 0; i < KNOWN_SECTORS_MAX; i++)
		k->ever[i] = 1;
	memcpy(k->now, k->ever, sizeof(k->now));
	memcpy(k->may, k->ever, sizeof(k->may));
}

void known_write_begin(struct known *k, u32 sector, u32 nr, u32 version)
{
	for (; nr--; sector++) {
		k->may[sector] |= 1u << version;
		k->ever[sector] |= 1u << version;
		k->now[sector] |= 1u << version;
	}
}

void known_write_end(struct known *k, u32 sector, u32 nr, u32 version, bool fua)
{
	for (; nr--; sector++) {
		k->now[sector] = (u16)(1u << version);
		if (fua)
			k->may[sector] = (u16)(1u << version);
	}
}

/* Whatever the sector ever held, and zeros, at every read anew. */
void known_discard_begin(struct known *k, u32 sector, u32 nr)
{
	for (; nr--; sector++) {
		k->now[sector] = k->ever[sector] | KNOWN_ZEROS;
		k->may[sector] = k->ever[sector] | KNOWN_ZEROS;
	}
}

void known_discard_end(struct known *k, u32 sector, u32 nr)
{
	known_discard_begin(k, sector, nr);
}

void known_flushed(struct known *k)
{
	memcpy(k->may, k->now, sizeof(k->may));
}

u64 known_hash(const struct known *k)
{
	u64 hash = 0;
	u32 i;

	for (i = 0; i < KNOWN_SECTORS_MAX; i++)
		hash = sim_mix(hash ^ k->may[i]);
	return hash;
}

void known_data(u8 *to, u32 sector, u32 version)
{
	u64 word = sim_mix((u64)sector << 32 | (version + 1));
	u32 i;

	if (version == KNOWN_VERSIONS) {
		memset(to, 0, SECTOR_BYTES);
		return;
	}
	for (i = 0; i < SECTOR_BYTES; i += sizeof(word)) {
		memcpy(to + i, &word, sizeof(word));
		word += 0x9e3779b97f4a7c15ull;
	}
}

u16 known_versions(const u8 *data, u32 sector)
{
	static u8 table[KNOWN_SECTORS_MAX][KNOWN_VERSIONS + 1][SECTOR_BYTES];
	static bool filled;
	u32 s, v;

	for (s = 0; s < KNOWN_SECTORS_MAX && !filled; s++)
		for (v = 0; v <= KNOWN_VERSIONS; v++)
			known_data(table[s][v], s, v);
	filled = true;
	for (v = 0; v <= KNOWN_VERSIONS; v++)
		if (!memcmp(data, table[sector][v], SECTOR_BYTES))
			return (u16)(1u << v);
	return 0;
}
