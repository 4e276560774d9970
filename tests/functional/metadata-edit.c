// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes dm-larder's metadata on purpose, for the functional suites: fields of a superblock, one
 * unit, or (fuzz) random damage with and without a fitting checksum. Linked with the core, so
 * what it seals is what the module believes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/metadata.h"

static const char usage[] =
"usage: metadata-edit OPERATION DEVICE ...\n"
"  get DEVICE UNIT FIELD             print a field of the superblock in this unit (0 or 1)\n"
"  set DEVICE UNIT FIELD=VALUE...    change fields, and the checksum with them\n"
"  damage DEVICE UNIT                flip one bit of a unit\n"
"  fuzz DEVICE SEED                  a few random changes to superblocks, journal, table pages\n"
"FIELD: generation version flags incompat ro_compat chunk_sectors block_sectors grain_sectors\n"
"  nr_slots origin_sectors cache_sectors dw_start dw_pages journal_blocks journal_start\n"
"  table_start table_pages formatted_pages epoch tail_seq tail_crc\n"
"Exit code: 0 done, 1 the device cannot be read or written, 2 usage.\n";

#define FIELD(name) \
	{ #name, offsetof(struct larder_superblock, name), \
	  sizeof(((struct larder_superblock *)0)->name) }

static const struct field {
	const char *name;
	size_t offset;
	size_t size;
} fields[] = {
	FIELD(generation), FIELD(version), FIELD(flags), FIELD(incompat), FIELD(ro_compat),
	FIELD(chunk_sectors), FIELD(block_sectors), FIELD(grain_sectors), FIELD(nr_slots),
	FIELD(origin_sectors), FIELD(cache_sectors), FIELD(dw_start), FIELD(dw_pages),
	FIELD(journal_blocks), FIELD(journal_start), FIELD(table_start), FIELD(table_pages),
	FIELD(formatted_pages), FIELD(epoch), FIELD(tail_seq), FIELD(tail_crc),
};

static union {
	u8 bytes[LARDER_UNIT_SIZE];
	struct larder_unit_header header;
	struct larder_superblock super;
} *unit;

static int device;

static void transfer(bool writing, u64 number)
{
	off_t at = (off_t)(number * LARDER_UNIT_SIZE);
	ssize_t done = writing ? pwrite(device, unit, LARDER_UNIT_SIZE, at) :
				 pread(device, unit, LARDER_UNIT_SIZE, at);

	if (done == LARDER_UNIT_SIZE)
		return;
	fprintf(stderr, "metadata-edit: cannot %s unit %llu: %s\n", writing ? "write" : "read",
		(unsigned long long)number, done < 0 ? strerror(errno) : "beyond the end");
	exit(1);
}

static void reseal(u64 number)
{
	unit_seal(unit, le64_to_cpu(unit->header.magic), number, unit->header.uuid);
}

static const struct field *field_named(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strlen(fields[i].name) == length && !strncmp(fields[i].name, name, length))
			return &fields[i];
	fprintf(stderr, "metadata-edit: no field '%s'\n%s", name, usage);
	exit(2);
}

static u64 field_get(const struct field *field)
{
	__le64 value = 0;

	memcpy(&value, unit->bytes + field->offset, field->size);
	return le64_to_cpu(value);
}

static u64 number(const char *text)
{
	char *end;
	u64 value = strtoull(text, &end, 0);

	if (end == text || *end) {
		fprintf(stderr, "metadata-edit: '%s' is no number\n%s", text, usage);
		exit(2);
	}
	return value;
}

static void set_fields(u64 at, char **settings, int count)
{
	transfer(false, at);
	for (int i = 0; i < count; i++) {
		const char *equals = strchrnul(settings[i], '=');
		size_t length = (size_t)(equals - settings[i]);
		const struct field *field = field_named(settings[i], length);
		__le64 value = cpu_to_le64(number(*equals ? equals + 1 : equals));

		memcpy(unit->bytes + field->offset, &value, field->size);
	}
	reseal(at);
	transfer(true, at);
}

/* --- random damage --- */

static u64 state;

static u64 random_below(u64 limit)
{
	u64 z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % limit;
}

/* A unit that is in use, the kinds equally likely. */
static u64 random_unit(const struct larder_superblock *super)
{
	u64 pages = le64_to_cpu(super->formatted_pages);

	switch (random_below(4)) {
	case 0:
		return random_below(2);
	case 1:
		return le64_to_cpu(super->dw_start) +
		       random_below(1 + le32_to_cpu(super->dw_pages));
	case 2:
		return le64_to_cpu(super->journal_start) +
		       random_below(le32_to_cpu(super->journal_blocks));
	default:
		return le64_to_cpu(super->table_start) + (pages ? random_below(pages) : 0);
	}
}

/* Most changes go to the first bytes, where the numbers are. */
static void change_unit(void)
{
	u64 at = random_below(random_below(2) ? 256 : LARDER_UNIT_SIZE);
	u64 value, i;

	switch (random_below(6)) {
	case 0:
		unit->bytes[at] ^= (u8)(1 << random_below(8));
		break;
	case 1:
		unit->bytes[at] = (u8)random_below(256);
		break;
	case 2:
		value = random_below(2) ? random_below(1 << 16) : ~0ull >> random_below(64);
		memcpy(unit->bytes + (at & ~7ull), &value, sizeof(value));
		break;
	case 3:
		for (i = at; i < LARDER_UNIT_SIZE; i++)
			unit->bytes[i] = (u8)random_below(256);
		break;
	case 4:
		memset(unit->bytes + at, 0, LARDER_UNIT_SIZE - at);
		break;
	default:
		memset(unit->bytes + at, 0xff, min_t(u64, 16, LARDER_UNIT_SIZE - at));
		break;
	}
}

static void fuzz(u64 seed)
{
	struct larder_superblock super;
	u64 changes, at, from;

	state = seed;
	transfer(false, 0);
	super = unit->super;
	for (changes = 1 + random_below(6); changes; changes--) {
		at = random_unit(&super);
		from = random_below(8) ? at : random_unit(&super);
		transfer(false, from);
		if (from == at)
			change_unit();
		/* with a fitting checksum it reaches the judges behind the checksum */
		if (random_below(4))
			reseal(at);
		transfer(true, at);
		printf("unit %llu changed%s\n", (unsigned long long)at, from == at ? "" : ", a copy");
	}
}

int main(int argc, char **argv)
{
	const char *operation = argc > 3 ? argv[1] : "";
	u64 at;

	if (posix_memalign((void **)&unit, LARDER_UNIT_SIZE, sizeof(*unit)))
		return 1;
	device = argc > 3 ? open(argv[2], O_RDWR | O_DIRECT) : -1;
	if (argc > 3 && device < 0) {
		fprintf(stderr, "metadata-edit: cannot open %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	at = argc > 3 ? number(argv[3]) : 0;
	if (!strcmp(operation, "get") && argc == 5) {
		transfer(false, at);
		printf("%llu\n",
		       (unsigned long long)field_get(field_named(argv[4], strlen(argv[4]))));
	} else if (!strcmp(operation, "set") && argc > 4) {
		set_fields(at, argv + 4, argc - 4);
	} else if (!strcmp(operation, "damage") && argc == 4) {
		transfer(false, at);
		unit->bytes[LARDER_UNIT_SIZE / 2] ^= 1;
		transfer(true, at);
	} else if (!strcmp(operation, "fuzz") && argc == 4) {
		fuzz(at);
	} else {
		fputs(usage, stderr);
		return 2;
	}
	return fsync(device) ? 1 : 0;
}
