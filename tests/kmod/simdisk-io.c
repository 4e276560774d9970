// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The part of simdisk-test that bash cannot do: direct I/O with sectors that tell who wrote them,
 * and looking at what a power cut left of them. Statically linked, as it runs in guests:
 *
 *   gcc -O2 -Wall -Wextra -static -o build/bin/simdisk-io tests/kmod/simdisk-io.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint8_t u8;

#define SECTOR		512
#define MAX_BYTES	(1 << 20)
#define MAX_TAG		64

static const char usage[] =
	"usage: simdisk-io OPERATION ...\n"
	"  write DEVICE SECTOR COUNT TAG [CHUNK [fua]]   write tagged sectors, CHUNK (8) per request\n"
	"  tags DEVICE SECTOR COUNT                      print TAG:COUNT of the sectors, 0 is zeroes\n"
	"  map DEVICE SECTOR COUNT                       print the tag of each sector\n"
	"  try r|w|f DEVICE SECTOR COUNT                 one request; print OK or the error\n"
	"  alternate DEVICE-A DEVICE-B                   write 1, 2, .. to A, then B, until one fails\n"
	"  oracle DEVICE MIB OPERATIONS SEED BLOCK       random operations checked against memory\n"
	"  rate DEVICE seq|rand OPERATIONS JOBS SEED     4 KiB reads; print the milliseconds taken\n"
	"Exit code: 0 done, 1 an I/O failed or data was wrong, 2 usage.\n";

/* A sector is filled with these: whoever finds one knows what was written and where to. */
struct mark {
	u64 tag;
	u64 sector;
};

#define MARKS (SECTOR / sizeof(struct mark))

static u8 *buffer;

static u64 number(const char *text)
{
	char *end;
	u64 value = strtoull(text, &end, 0);

	if (end == text || *end) {
		fprintf(stderr, "simdisk-io: '%s' is no number\n", text);
		exit(2);
	}
	return value;
}

static int open_device(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT);

	if (fd < 0) {
		fprintf(stderr, "simdisk-io: cannot open %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return fd;
}

static void fill(u64 sector, u64 count, u64 tag)
{
	struct mark *mark = (struct mark *)buffer;

	for (u64 i = 0; i < count * MARKS; i++)
		mark[i] = (struct mark){ .tag = tag, .sector = sector + i / MARKS };
}

static int do_write(int fd, u64 sector, u64 count, u64 tag, int flags)
{
	struct iovec vector = { .iov_base = buffer, .iov_len = count * SECTOR };
	ssize_t done;

	fill(sector, count, tag);
	done = pwritev2(fd, &vector, 1, sector * SECTOR, flags);
	if (done < 0)
		return -errno;
	return (u64)done == count * SECTOR ? 0 : -EIO;
}

static int write_tags(char **argument, int arguments)
{
	int fd = open_device(argument[0], O_WRONLY);
	u64 sector = number(argument[1]), left = number(argument[2]);
	u64 tag = number(argument[3]);
	u64 chunk = arguments > 4 ? number(argument[4]) : 8;
	int flags = arguments > 5 ? RWF_DSYNC : 0;

	while (left) {
		u64 count = left < chunk ? left : chunk;
		int error = do_write(fd, sector, count, tag, flags);

		if (error) {
			fprintf(stderr, "simdisk-io: writing sector %llu: %s\n",
				(unsigned long long)sector, strerror(-error));
			return 1;
		}
		sector += count;
		left -= count;
	}
	return 0;
}

/* The tag of a sector; -1: a mixture; exits if it holds what belongs elsewhere. */
static int tag_of(const u8 *data, u64 sector)
{
	const struct mark *mark = (const struct mark *)data;
	int tag = mark[0].tag;

	for (unsigned int i = 0; i < MARKS; i++) {
		bool zero = !mark[i].tag && !mark[i].sector;

		if (mark[i].tag >= MAX_TAG || (!zero && mark[i].sector != sector)) {
			printf("sector %llu holds foreign data: tag %llu, sector %llu\n",
			       (unsigned long long)sector, (unsigned long long)mark[i].tag,
			       (unsigned long long)mark[i].sector);
			exit(1);
		}
		if ((int)mark[i].tag != tag)
			tag = -1;
	}
	return tag;
}

static int print_tags(char **argument, bool each)
{
	int fd = open_device(argument[0], O_RDONLY);
	u64 sector = number(argument[1]), left = number(argument[2]);
	u64 counts[MAX_TAG + 1] = { 0 };

	while (left) {
		u64 count = left < MAX_BYTES / SECTOR ? left : MAX_BYTES / SECTOR;

		ssize_t done = pread(fd, buffer, count * SECTOR, sector * SECTOR);

		if (done != (ssize_t)(count * SECTOR)) {
			fprintf(stderr, "simdisk-io: reading sector %llu: %s\n",
				(unsigned long long)sector, strerror(errno));
			return 1;
		}
		for (u64 i = 0; i < count; i++) {
			int tag = tag_of(buffer + i * SECTOR, sector + i);

			counts[tag < 0 ? MAX_TAG : tag]++;
			if (each)
				printf("%d ", tag);
		}
		sector += count;
		left -= count;
	}
	for (int tag = 0; !each && tag < MAX_TAG; tag++)
		if (counts[tag])
			printf("%d:%llu ", tag, (unsigned long long)counts[tag]);
	if (!each && counts[MAX_TAG])
		printf("mixed:%llu ", (unsigned long long)counts[MAX_TAG]);
	printf("\n");
	return 0;
}

static int try_one(char **argument)
{
	char direction = argument[0][0];
	int fd = open_device(argument[1], direction == 'r' ? O_RDONLY : O_RDWR);
	u64 sector = number(argument[2]), count = number(argument[3]);
	int error = 0;

	if (direction == 'r')
		error = pread(fd, buffer, count * SECTOR, sector * SECTOR) < 0 ? errno : 0;
	else if (direction == 'w')
		error = -do_write(fd, sector, count, 1, 0);
	else
		error = fsync(fd) ? errno : 0;
	printf("%s\n", error ? strerrorname_np(error) : "OK");
	return 0;
}

/* Prints the last numbers that A and B have acknowledged. */
static int alternate(char **argument)
{
	int fds[2] = { open_device(argument[0], O_WRONLY), open_device(argument[1], O_WRONLY) };
	u64 last[2] = { 0, 0 };

	for (u64 count = 1;; count++) {
		for (int i = 0; i < 2; i++) {
			memset(buffer, 0, 4096);
			memcpy(buffer, &count, sizeof(count));
			if (pwrite(fds[i], buffer, 4096, 0) != 4096)
				goto cut;
			last[i] = count;
		}
	}
cut:
	printf("%llu %llu\n", (unsigned long long)last[0], (unsigned long long)last[1]);
	return 0;
}

static u64 random_state;

static u64 random_number(u64 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static int oracle_step(int fd, u8 *memory, u64 size, u64 block)
{
	u64 longest = random_number(8) ? 64 << 10 : MAX_BYTES;
	u64 length = (1 + random_number(longest / block)) * block;
	u64 offset = random_number((size - length) / block + 1) * block;
	u64 range[2] = { offset, length };
	ssize_t done = length;

	switch (random_number(8)) {
	case 0:
		if (ioctl(fd, BLKDISCARD, range))
			return errno == EOPNOTSUPP ? 0 : -errno;
		memset(memory + offset, 0, length);
		break;
	case 1:
		if (ioctl(fd, BLKZEROOUT, range))
			return -errno;
		memset(memory + offset, 0, length);
		break;
	case 2:
	case 3:
	case 4:
		for (u64 i = 0; i < length; i += 8)
			*(u64 *)(buffer + i) = random_number(UINT64_MAX);
		memcpy(memory + offset, buffer, length);
		done = pwrite(fd, buffer, length, offset);
		break;
	case 5:
		return fsync(fd) ? -errno : 0;
	default:
		done = pread(fd, buffer, length, offset);
		if (done == (ssize_t)length && memcmp(buffer, memory + offset, length)) {
			printf("wrong data in the %llu bytes at %llu\n",
			       (unsigned long long)length, (unsigned long long)offset);
			return -EILSEQ;
		}
	}
	return done == (ssize_t)length ? 0 : -EIO;
}

/* Whether the whole disk holds what memory holds. */
static bool is_same(int fd, const u8 *memory, u64 size)
{
	u64 offset;

	for (offset = 0; offset < size; offset += MAX_BYTES) {
		if (pread(fd, buffer, MAX_BYTES, offset) != MAX_BYTES ||
		    memcmp(buffer, memory + offset, MAX_BYTES)) {
			printf("wrong data at the end, in the MiB at %llu\n",
			       (unsigned long long)offset);
			return false;
		}
	}
	return true;
}

/* The disk must be new: zeroes. */
static int oracle(char **argument)
{
	int fd = open_device(argument[0], O_RDWR), error = 0;
	u64 size = number(argument[1]) << 20, operations = number(argument[2]);
	u64 block = number(argument[4]);
	u8 *memory = calloc(1, size);

	if (!memory)
		return 1;
	random_state = number(argument[3]) * 0x9e3779b97f4a7c15ULL + 1;
	while (operations-- && !error)
		error = oracle_step(fd, memory, size, block);
	if (error)
		printf("%s\n", strerror(-error));
	else if (!is_same(fd, memory, size))
		error = -EILSEQ;
	free(memory);
	return error ? 1 : 0;
}

static u64 size_of(int fd)
{
	u64 size = 0;

	if (ioctl(fd, BLKGETSIZE64, &size))
		exit(1);
	return size;
}

static void read_some(const char *path, bool in_sequence, u64 operations, u64 seed)
{
	int fd = open_device(path, O_RDONLY);
	u64 blocks = size_of(fd) / 4096;

	random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
	for (u64 i = 0; i < operations; i++) {
		u64 block = in_sequence ? i : random_number(blocks);

		if (pread(fd, buffer, 4096, block * 4096) != 4096)
			exit(1);
	}
}

static int rate(char **argument)
{
	u64 operations = number(argument[2]), jobs = number(argument[3]);
	struct timespec start, end;
	int status, failed = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (u64 job = 0; job < jobs; job++) {
		if (fork() == 0) {
			read_some(argument[0], !strcmp(argument[1], "seq"), operations / jobs,
				  number(argument[4]) + job);
			exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000LL +
	       (end.tv_nsec - start.tv_nsec) / 1000000);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int least; } operations[] = {
		{ "write", 4 }, { "tags", 3 }, { "map", 3 }, { "try", 4 }, { "alternate", 2 },
		{ "oracle", 5 }, { "rate", 5 },
	};
	unsigned int i, count = sizeof(operations) / sizeof(operations[0]);
	char **argument = argv + 2;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return fputs(usage, stdout) < 0;
	for (i = 0; i < count; i++)
		if (argc > 1 && !strcmp(argv[1], operations[i].name))
			break;
	if (i == count || argc - 2 < operations[i].least)
		return fputs(usage, stderr) < 0 ? 1 : 2;
	if (posix_memalign((void **)&buffer, 4096, MAX_BYTES))
		return 1;
	switch (i) {
	case 0:
		return write_tags(argument, argc - 2);
	case 1:
		return print_tags(argument, false);
	case 2:
		return print_tags(argument, true);
	case 3:
		return try_one(argument);
	case 4:
		return alternate(argument);
	case 5:
		return oracle(argument);
	default:
		return rate(argument);
	}
}
