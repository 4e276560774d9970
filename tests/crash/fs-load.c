// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fs-load: files that are created, replaced, overwritten, appended to and removed, each time with
 * fsync, and a ledger (see mark.h) of what was begun and what was promised. After a power cut every
 * file must be as the last promise left it, or on the way to where an operation that had begun led.
 *
 * A file consists of sectors; each tells by its contents the file, its place and the operation that
 * wrote it, so the ledger alone says what must be found.
 */
#define _GNU_SOURCE
#include "mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR		512u
#define NR_FILES	40u
#define NR_DIRECTORIES	4u
#define MAX_SECTORS	256u

static const char usage[] =
"fs-load run DIRECTORY LEDGER SEED OPERATIONS   performs them; CRASH_MARKS: see mark.h\n"
"fs-load verify DIRECTORY LEDGER                judges the files by a part of that ledger\n"
"\n"
"Exit code: 0 good, 1 wrong or lost files, 2 cannot do that.\n";

enum kind { REPLACE = 'r', OVERWRITE = 'o', APPEND = 'a', REMOVE = 'u' };

struct operation {
	uint32_t number;	/* from 1 on */
	char kind;
	uint32_t file, first, count;	/* sectors */
};

/* What a file holds: the operation that wrote each sector. */
struct file {
	bool exists;
	uint32_t sectors;
	uint32_t writer[MAX_SECTORS];
};

static struct file files[NR_FILES];
static const char *top;
static FILE *ledger;
static uint64_t ledger_length, random_state;
static unsigned int nr_wrong;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "fs-load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint32_t random_below(uint32_t limit)
{
	random_state += 0x9e3779b97f4a7c15ull;
	return (uint32_t)(mix(random_state) % limit);
}

static void fill(uint64_t *words, uint32_t file, uint32_t sector, uint32_t writer)
{
	uint64_t base = mix(((uint64_t)file << 48) ^ ((uint64_t)sector << 32) ^ writer);
	unsigned int i;

	for (i = 0; i < SECTOR / sizeof(*words); i++)
		words[i] = mix(base + i);
}

static const char *path_of(uint32_t file, const char *suffix)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/d%u/f%u%s", top, file % NR_DIRECTORIES, file, suffix);
	return path;
}

static void apply(struct file *file, const struct operation *operation)
{
	uint32_t i;

	if (operation->kind == REPLACE)
		*file = (struct file){ .exists = true };
	if (operation->kind == REMOVE)
		*file = (struct file){ 0 };
	for (i = operation->first; i < operation->first + operation->count; i++)
		file->writer[i] = operation->number;
	if (file->sectors < operation->first + operation->count)
		file->sectors = operation->first + operation->count;
}

/* ---- run ---- */

static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...)
{
	va_list arguments;
	char line[128];
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	mark(ledger_length + (uint64_t)length);
	if (fputs(line, ledger) < 0 || fflush(ledger))
		die("ledger");
	ledger_length += (uint64_t)length;
}

static void sync_directory(uint32_t file)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/d%u", top, file % NR_DIRECTORIES);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fsync(fd))
		die(path);
	close(fd);
}

static void write_sectors(const char *path, int flags, const struct operation *operation)
{
	static uint64_t buffer[MAX_SECTORS * SECTOR / sizeof(uint64_t)];
	int fd = open(path, O_WRONLY | flags, 0644);
	ssize_t bytes = (ssize_t)operation->count * SECTOR;
	uint32_t i;

	if (fd < 0)
		die(path);
	for (i = 0; i < operation->count; i++)
		fill(buffer + i * (SECTOR / sizeof(*buffer)), operation->file, operation->first + i,
		     operation->number);
	if (pwrite(fd, buffer, (size_t)bytes, (off_t)operation->first * SECTOR) != bytes ||
	    fsync(fd) || close(fd))
		die(path);
}

static void perform(const struct operation *operation)
{
	char temporary[4096];

	tell("b %u %c %u %u %u\n", operation->number, operation->kind, operation->file,
	     operation->first, operation->count);
	switch (operation->kind) {
	case REPLACE:
		snprintf(temporary, sizeof(temporary), "%s", path_of(operation->file, ".new"));
		write_sectors(temporary, O_CREAT | O_TRUNC, operation);
		if (rename(temporary, path_of(operation->file, "")))
			die(temporary);
		sync_directory(operation->file);
		break;
	case REMOVE:
		if (unlink(path_of(operation->file, "")))
			die(path_of(operation->file, ""));
		sync_directory(operation->file);
		break;
	default:
		write_sectors(path_of(operation->file, ""), 0, operation);
	}
	apply(&files[operation->file], operation);
	tell("d %u\n", operation->number);
}

/* Files that nobody promised anything about, for more to be under way. */
static void make_noise(void)
{
	static char buffer[64 * 1024];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/noise%u", top, random_below(6));
	fd = open(path, O_WRONLY | O_CREAT | (random_below(3) ? 0 : O_TRUNC), 0644);
	memset(buffer, (int)random_below(256), sizeof(buffer));
	if (fd < 0 || pwrite(fd, buffer, 512 + random_below(sizeof(buffer) - 512),
			     random_below(1 << 18)) < 0)
		die(path);
	close(fd);
}

static struct operation next_operation(uint32_t number)
{
	struct operation operation = { .number = number, .file = random_below(NR_FILES) };
	const struct file *file = &files[operation.file];
	uint32_t choice = random_below(10), room = MAX_SECTORS - file->sectors;

	if (!file->exists || choice < 3) {
		operation.kind = REPLACE;
		operation.count = 1 + random_below(random_below(2) ? MAX_SECTORS : 16);
	} else if (choice < 6) {
		operation.kind = OVERWRITE;
		operation.first = random_below(file->sectors);
		operation.count = 1 + random_below(file->sectors - operation.first);
	} else if (choice < 9 && room) {
		operation.kind = APPEND;
		operation.first = file->sectors;
		operation.count = 1 + random_below(room < 32 ? room : 32);
	} else {
		operation.kind = REMOVE;
	}
	return operation;
}

static int run(const char *ledger_path, uint64_t seed, uint32_t operations)
{
	char path[4096];
	uint32_t i;
	int fd;

	random_state = seed * 1000003;
	ledger = fopen(ledger_path, "we");
	if (!ledger)
		die(ledger_path);
	for (i = 0; i < NR_DIRECTORIES; i++) {
		snprintf(path, sizeof(path), "%s/d%u", top, i);
		if (mkdir(path, 0755) && errno != EEXIST)
			die(path);
		sync_directory(i);
	}
	fd = open(top, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fsync(fd))
		die(top);
	close(fd);
	tell("fs-load\n");
	for (i = 1; i <= operations; i++) {
		struct operation operation = next_operation(i);

		perform(&operation);
		if (!random_below(3))
			make_noise();
	}
	printf("fs-load: %u operations\n", operations);
	return 0;
}

/* ---- verify ---- */

static void __attribute__((format(printf, 2, 3))) wrong(uint32_t file, const char *format, ...)
{
	va_list arguments;

	if (nr_wrong++ >= 10)
		return;
	printf("WRONG %s: ", path_of(file, ""));
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

static bool holds(const uint64_t *found, uint32_t file, uint32_t sector, uint32_t writer)
{
	uint64_t expected[SECTOR / sizeof(uint64_t)];

	if (!writer)
		memset(expected, 0, sizeof(expected));
	else
		fill(expected, file, sector, writer);
	return !memcmp(found, expected, sizeof(expected));
}

/* Each of the sectors [from, to) must be one's or the other's. Returns the first that is not. */
static uint32_t first_wrong(const uint64_t *found, uint32_t number, uint32_t from, uint32_t to,
			    const struct file *one, const struct file *other)
{
	for (; from < to; from++) {
		const uint64_t *sector = found + from * (SECTOR / sizeof(*found));

		if (!holds(sector, number, from, one->writer[from]) &&
		    !holds(sector, number, from, other->writer[from]))
			break;
	}
	return from;
}

static bool is_exactly(const uint64_t *found, uint32_t sectors, uint32_t number,
		       const struct file *file)
{
	return file->exists && sectors == file->sectors &&
	       first_wrong(found, number, 0, sectors, file, file) == sectors;
}

/* after: the file when the operation that had begun is over, or as before if there is none. */
static void judge(uint32_t number, const struct file *before, const struct file *after, char kind)
{
	static uint64_t found[(MAX_SECTORS + 1) * SECTOR / sizeof(uint64_t)];
	int fd = open(path_of(number, ""), O_RDONLY);
	uint32_t sectors, bad;
	ssize_t bytes;

	if (fd < 0 && errno == ENOENT) {
		if (before->exists && after->exists)
			wrong(number, "is not there");
		return;
	}
	bytes = fd < 0 ? -1 : read(fd, found, sizeof(found));
	close(fd);
	if (bytes < 0) {
		wrong(number, "cannot be read: %s", strerror(errno));
		return;
	}
	if (!before->exists && !after->exists) {
		wrong(number, "is there, though it was removed or never made");
		return;
	}
	sectors = (uint32_t)bytes / SECTOR;
	if (sectors > MAX_SECTORS) {
		wrong(number, "is longer than any file was");
		return;
	}
	bad = first_wrong(found, number, 0, sectors, before, after);
	if (kind == OVERWRITE || kind == APPEND) {
		if (bytes % SECTOR || sectors < before->sectors || sectors > after->sectors)
			wrong(number, "has %zd bytes, expected %u to %u", bytes,
			      before->sectors * SECTOR, after->sectors * SECTOR);
		else if (bad < sectors)
			wrong(number, "sector %u is neither what operation %u wrote nor %u's", bad,
			      before->writer[bad], after->writer[bad]);
	} else if (bytes % SECTOR || (!is_exactly(found, sectors, number, before) &&
				      !is_exactly(found, sectors, number, after))) {
		wrong(number, "%zd bytes, expected %u or %u; up to sector %u they are right", bytes,
		      before->sectors * SECTOR, after->sectors * SECTOR, bad);
	}
}

static int verify(const char *ledger_path)
{
	struct operation begun = { 0 };
	unsigned int done = 0, promised = 0;
	char line[128];
	uint32_t i;

	ledger = fopen(ledger_path, "re");
	if (!ledger || !fgets(line, sizeof(line), ledger) || strcmp(line, "fs-load\n"))
		die(ledger_path);
	while (fgets(line, sizeof(line), ledger)) {
		if (sscanf(line, "b %u %c %u %u %u", &begun.number, &begun.kind, &begun.file,
			   &begun.first, &begun.count) == 5)
			continue;
		if (sscanf(line, "d %u", &done) != 1 || done != begun.number)
			die(line);
		apply(&files[begun.file], &begun);
		begun.kind = 0;
	}
	for (i = 0; i < NR_FILES; i++) {
		struct file after = files[i];
		bool under_way = begun.kind && begun.file == i;

		if (under_way)
			apply(&after, &begun);
		promised += files[i].exists;
		judge(i, &files[i], &after, under_way ? begun.kind : 0);
	}
	printf("fs-load: %u operations were promised, %u files%s, %u wrong\n", done, promised,
	       begun.kind ? ", one operation was under way" : "", nr_wrong);
	return nr_wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "run")) {
		top = argv[2];
		return run(argv[3], strtoull(argv[4], NULL, 0), (uint32_t)atoi(argv[5]));
	}
	if (argc == 4 && !strcmp(argv[1], "verify")) {
		top = argv[2];
		return verify(argv[3]);
	}
	fputs(usage, argc == 2 && !strcmp(argv[1], "--help") ? stdout : stderr);
	return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
}
