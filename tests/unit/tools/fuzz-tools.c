// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Feeds damaged copies of metadata to `larder check` and `larder dump`, in one
 * process: flipped bytes, numbers at their limits, moved units, cut files,
 * with and without a checksum that was put right.  The sanitizers judge.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../dm-target/core/metadata.h"

int larder_main(int argc, char **argv);	/* userland/main.c */

static u64 random_state;

static u64 random_u64(void)
{
	u64 h = random_state += 0x9e3779b97f4a7c15ull;

	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
	return h ^ (h >> 31);
}

static u64 random_below(u64 n)
{
	return random_u64() % n;
}

static u64 interesting(void)
{
	static const u64 values[] = {
		0, 1, 2, 7, 125, 126, 127, U16_MAX, U32_MAX, U32_MAX - 1, 1ull << 32, 1ull << 40,
		LARDER_ENTRY_USED, 1ull << 62, 1ull << 63, U64_MAX, U64_MAX - 1,
	};

	if (random_below(4))
		return values[random_below(ARRAY_SIZE(values))];
	return random_u64();
}

static void seal(u8 *unit)
{
	struct larder_unit_header *header = (void *)unit;

	unit_seal(unit, le64_to_cpu(header->magic), le64_to_cpu(header->unit), header->uuid);
}

/* Most of a device is empty: prefer what is in use. */
static u8 *some_unit(u8 *copy, u64 units)
{
	u64 unit = 0, tries;

	for (tries = 0; tries < 20; tries++) {
		unit = random_below(4) ? random_below(units) : random_below(2);
		if (*(u64 *)(copy + unit * LARDER_UNIT_SIZE))
			break;
	}
	return copy + unit * LARDER_UNIT_SIZE;
}

static void mutate(u8 *copy, u64 units)
{
	u8 *unit = some_unit(copy, units);
	u64 offset = random_below(random_below(3) ? 256 : LARDER_UNIT_SIZE), value = interesting();

	switch (random_below(4)) {
	case 0:
		unit[offset] ^= 1u << random_below(8);
		break;
	case 1:
		memcpy(unit + (offset & ~7ull), &value, 8);
		break;
	case 2:
		memcpy(unit + (offset & ~3ull), &value, 4);
		break;
	case 3:
		if (!random_below(4))
			memcpy(unit, some_unit(copy, units), LARDER_UNIT_SIZE);
		else
			unit[offset] = (u8)value;
		break;
	}
	if (random_below(5))
		seal(unit);
}

static int run(const char *command, const char *option, const char *value, const char *path)
{
	const char *words[6] = { "larder", command, option, value ? value : path };

	if (value)
		words[4] = path;
	return larder_main(value ? 5 : 4, (char **)words);
}

/* 0 sound, 1 damaged, 65 not ours: nothing else can come of a file that can be read. */
static void expect_code(int code, const char *command, u64 round)
{
	if (code == 0 || code == 1 || code == 65)
		return;
	fprintf(stderr, "round %llu: larder %s ended with %d\n", (unsigned long long)round, command,
		code);
	abort();
}

static void one_round(const u8 *file, u8 *copy, u64 units, int fd, const char *path, u64 round)
{
	static const char *const formats[] = { "xml", "larder", "json" };
	u64 nr = 1 + random_below(6), size = units * LARDER_UNIT_SIZE;
	int check, dump;

	memcpy(copy, file, size);
	while (nr--)
		mutate(copy, units);
	if (!random_below(20))
		size = random_below(size);
	if (ftruncate(fd, (off_t)size) || pwrite(fd, copy, size, 0) != (ssize_t)size)
		abort();
	check = run("check", random_below(2) ? "--json" : "--activation", NULL, path);
	expect_code(check, "check", round);
	dump = run("dump", "--format", formats[random_below(3)], path);
	expect_code(dump, "dump", round);
}

int main(int argc, char **argv)
{
	u64 round, rounds, units;
	u8 *file, *copy;
	char path[64];
	off_t size;
	int in, fd;

	if (argc != 4) {
		fputs("usage: fuzz-tools SEED ROUNDS FILE\n", stderr);
		return 64;
	}
	random_state = strtoull(argv[1], NULL, 0);
	rounds = strtoull(argv[2], NULL, 0);
	in = open(argv[3], O_RDONLY);
	size = lseek(in, 0, SEEK_END);
	fd = memfd_create("metadata", 0);
	if (in < 0 || fd < 0 || size < (off_t)LARDER_UNIT_SIZE)
		return 66;
	units = (u64)size / LARDER_UNIT_SIZE;
	file = malloc((size_t)size);
	copy = aligned_alloc(LARDER_UNIT_SIZE, units * LARDER_UNIT_SIZE);
	if (!file || !copy || pread(in, file, (size_t)size, 0) != size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (round = 0; round < rounds; round++)
		one_round(file, copy, units, fd, path, round);
	free(file);
	free(copy);
	close(in);
	close(fd);
	return 0;
}
