// SPDX-License-Identifier: GPL-2.0-or-later
/* See convert-disk-cuts.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert-disk-cuts.h"

#define SECTOR 512

/* pwrite64 is what pwrite is called with large files. */
ssize_t __real_pwrite64(int fd, const void *buffer, size_t bytes, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *buffer, size_t bytes, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

/* A write that has not been flushed, and what was there before. */
struct pending {
	struct pending *older;
	int fd;
	ino_t inode;
	off_t at;
	size_t bytes;
	unsigned char before[];
};

static struct pending *newest;
static unsigned int countdown;
static uint64_t random_state;

void cuts_arm(unsigned int event, uint64_t seed)
{
	countdown = event;
	random_state = seed * 2 + 1;
}

static unsigned int random_number(unsigned int below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(random_state >> 33) % below;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* Newest first: each sector ends as it was, or as one of the writes made it. */
static void lose_power(void)
{
	unsigned int kind = random_number(4);
	struct pending *p;
	size_t at;

	for (p = newest; p; p = p->older)
		for (at = 0; at < p->bytes; at += SECTOR) {
			size_t n = p->bytes - at < SECTOR ? p->bytes - at : SECTOR;

			/* all of it came through, nothing did, or anything */
			if (kind == 0 || (kind > 1 && random_number(2)))
				continue;
			if (__real_pwrite64(p->fd, p->before + at, n, p->at + (off_t)at) !=
			    (ssize_t)n)
				_exit(1);
		}
	_exit(CUT_EXIT);
}

static void count(void)
{
	if (countdown && !--countdown)
		lose_power();
}

static void remember(int fd, size_t bytes, off_t at)
{
	struct pending *p = calloc(1, sizeof(*p) + bytes);

	if (!p || pread(fd, p->before, bytes, at) < 0)
		_exit(1);
	p->fd = dup(fd);
	p->inode = inode_of(fd);
	p->at = at;
	p->bytes = bytes;
	p->older = newest;
	newest = p;
}

ssize_t __wrap_pwrite64(int fd, const void *buffer, size_t bytes, off_t at)
{
	ssize_t n;

	remember(fd, bytes, at);
	n = __real_pwrite64(fd, buffer, bytes, at);
	count();
	return n;
}

int __wrap_fsync(int fd)
{
	struct pending **link = &newest, *p;
	ino_t inode = inode_of(fd);

	count();
	while ((p = *link)) {
		if (p->inode != inode) {
			link = &p->older;
			continue;
		}
		*link = p->older;
		close(p->fd);
		free(p);
	}
	return 0;
}

int __wrap_unlink(const char *path)
{
	count();
	return __real_unlink(path);
}
