// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Feeds damaged copies of metadata to `larder check`, `dump` and `repair`, in
 * one process: flipped bytes, numbers at their limits, moved units, cut files,
 * with and without a checksum that was put right; and damaged XML to `larder
 * restore`.  The sanitizers judge, and the check of what was written.
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

/* What the tool has written, if anything, must be sound. */
static void check_written(u64 round)
{
	char *const words[] = { "larder", "check", "-q", "written.bin", NULL };

	if (access("written.bin", F_OK))
		return;
	if (larder_main(4, (char **)words)) {
		fprintf(stderr, "round %llu: what was written is damaged\n",
			(unsigned long long)round);
		abort();
	}
	unlink("written.bin");
}

static void repair(const char *path, u64 round)
{
	char *const words[] = { "larder", "repair", random_below(2) ? "--json" : "--keep-uncertain",
		"--wiped", "-i", (char *)path, "-o", "written.bin", NULL };

	expect_code(larder_main(8, (char **)words), "repair", round);
	check_written(round);
}

/* --- XML --- */

static const char *const words[] = {
	"<", ">", "/>", "\"", "-->", "<!--", "<larder>", "<slot>", "</larder>", "\n", "0x", "-1",
	"18446744073709551615", "18446744073709551616", "4294967295", "1099511627775", "0", "1",
	"<!DOCTYPE a [<!ENTITY b 'c'>]>", "<![CDATA[", "<?x?>", "&#0;", "&amp;", "true", "complete=",
};

/* Cuts a piece out, puts a word in, or says a piece twice. */
static size_t mutate_text(char *text, size_t length, size_t room)
{
	const char *word = words[random_below(ARRAY_SIZE(words))];
	size_t at = random_below(length + 1), left = length - at, n = random_below(60);

	switch (random_below(4)) {
	case 0:
		n = min_t(size_t, n, left);
		memmove(text + at, text + at + n, left - n);
		return length - n;
	case 1:
		n = strlen(word);
		break;
	case 2:
		word = text + random_below(length + 1);
		n = min_t(size_t, n, (size_t)(text + length - word));
		break;
	default:
		if (left)
			text[at] = (char)('0' + random_below(10));
		return length;
	}
	if (length + n > room)
		return length;
	/* the word may lie in what is moved */
	memmove(text + room, word, n);
	memmove(text + at + n, text + at, left);
	memcpy(text + at, text + room, n);
	return length + n;
}

#define TEXT_MAX (64u << 10)

static void restore_round(const char *xml, size_t length, u64 round)
{
	static char text[TEXT_MAX + 64];
	char *const words[] = { "larder", "restore", "-q", "-i", "fuzzed.xml", "-o", "written.bin",
		NULL };
	u64 nr = random_below(4);
	FILE *out = fopen("fuzzed.xml", "w");
	int code;

	memcpy(text, xml, length);
	while (nr--)
		length = mutate_text(text, length, TEXT_MAX);
	if (!out || fwrite(text, 1, length, out) != length || fclose(out))
		abort();
	code = larder_main(7, (char **)words);
	/* a geometry may ask for a file that is larger than files can be */
	if (code != 73 && code != 71)
		expect_code(code, "restore", round);
	if (code && !access("written.bin", F_OK)) {
		fprintf(stderr, "round %llu: refused, but written\n", (unsigned long long)round);
		abort();
	}
	check_written(round);
}

static size_t read_text(const char *path, char *text)
{
	FILE *in = fopen(path, "r");
	size_t length;

	if (!in)
		abort();
	length = fread(text, 1, TEXT_MAX, in);
	fclose(in);
	return length;
}

static int fuzz_xml(u64 rounds, int nr, char **paths)
{
	static char text[4][TEXT_MAX];
	size_t length[4];
	u64 round;
	int i;

	for (i = 0; i < nr && i < 4; i++)
		length[i] = read_text(paths[i], text[i]);
	for (round = 0; round < rounds; round++) {
		i = (int)random_below((u64)min(nr, 4));
		restore_round(text[i], length[i], round);
	}
	return 0;
}

/* --- metadata --- */

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
	repair(path, round);
}

int main(int argc, char **argv)
{
	u64 round, rounds, units;
	u8 *file, *copy;
	char path[64];
	off_t size;
	int in, fd;

	if (argc < 4) {
		fputs("usage: fuzz-tools SEED ROUNDS FILE | FILE.xml...\n", stderr);
		return 64;
	}
	random_state = strtoull(argv[1], NULL, 0);
	rounds = strtoull(argv[2], NULL, 0);
	if (strstr(argv[3], ".xml"))
		return fuzz_xml(rounds, argc - 3, argv + 3);
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
