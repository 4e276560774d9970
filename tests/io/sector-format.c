// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Encoding and decoding of oracle-io's sectors; see sector-format.h. Both are a handful of
 * instructions per word because they run under emulation, where a CRC would dominate the test.
 */
#include "sector-format.h"

#include <string.h>

#define PAYLOAD_STEP	0x9e3779b97f4a7c15ull

static uint64_t header_check(const struct sector_stamp *stamp)
{
	return mix64(stamp->version ^ mix64(stamp->sector ^ mix64(stamp->run_id ^ SECTOR_MAGIC)));
}

static uint64_t payload_key(const struct sector_stamp *stamp)
{
	return mix64(stamp->check + PAYLOAD_STEP);
}

void sector_encode(void *buffer, uint64_t version, uint64_t sector, uint64_t run_id)
{
	struct sector_stamp *stamp = buffer;
	uint64_t word;
	unsigned int i;

	stamp->magic = SECTOR_MAGIC;
	stamp->version = version;
	stamp->sector = sector;
	stamp->run_id = run_id;
	stamp->check = header_check(stamp);
	word = payload_key(stamp);
	for (i = 0; i < PAYLOAD_WORDS; i++, word += PAYLOAD_STEP)
		stamp->payload[i] = word;
}

static bool all_zero(const struct sector_stamp *stamp)
{
	static const struct sector_stamp zero;

	return stamp->magic == 0 && !memcmp(stamp, &zero, sizeof(zero));
}

static bool payload_matches(const struct sector_stamp *stamp)
{
	uint64_t word = payload_key(stamp), difference = 0;
	unsigned int i;

	for (i = 0; i < PAYLOAD_WORDS; i++, word += PAYLOAD_STEP)
		difference |= stamp->payload[i] ^ word;
	return difference == 0;
}

struct found sector_decode(const void *buffer, uint64_t sector, uint64_t run_id)
{
	const struct sector_stamp *stamp = buffer;
	struct found found = {
		.class = FOUND_GARBAGE,
		.version = stamp->version,
		.sector = stamp->sector,
		.run_id = stamp->run_id,
	};

	if (all_zero(stamp))
		found.class = FOUND_ZERO;
	else if (stamp->magic != SECTOR_MAGIC || stamp->check != header_check(stamp))
		found.class = FOUND_GARBAGE;
	else if (stamp->run_id != run_id)
		found.class = FOUND_OTHER_RUN;
	else if (!payload_matches(stamp))
		found.class = FOUND_TORN;
	else if (stamp->sector != sector)
		found.class = FOUND_WRONG_SECTOR;
	else
		found.class = FOUND_VALID;
	return found;
}

const char *found_class_name(enum found_class class)
{
	static const char *const names[] = {
		[FOUND_VALID] = "valid",
		[FOUND_ZERO] = "zeros",
		[FOUND_WRONG_SECTOR] = "another sector's data",
		[FOUND_OTHER_RUN] = "data of another run",
		[FOUND_TORN] = "torn (header and payload of different writes)",
		[FOUND_GARBAGE] = "garbage",
		[FOUND_UNREADABLE] = "unreadable",
	};

	return names[class];
}
