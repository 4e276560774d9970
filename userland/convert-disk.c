// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Exclusive access: O_EXCL keeps device mapper and mounts away from a block
 * device, a lock keeps others of us away from a file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert-disk.h"
#include "page-cache.h"

#define SECTOR 512u

static int refuse(const char *path, int error)
{
	if (error == EBUSY)
		complain("%s is in use: stop the cache, or unmount it, first", path);
	else
		complain("cannot open %s: %s", path, strerror(error));
	return error == EACCES || error == EPERM ? EXIT_NO_PERMISSION : EXIT_NO_INPUT;
}

static int refuse_kind(const char *path)
{
	complain("%s is neither a block device nor a regular file", path);
	return EXIT_NO_INPUT;
}

static int open_file(struct disk *d, bool write, const struct stat *named)
{
	int flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
	struct stat st;

	/* nobody may lead us to a file of his choice by a link */
	flags |= d->block ? O_EXCL : O_NOFOLLOW;
	d->fd = open(d->path, flags);
	if (d->fd < 0)
		return refuse(d->path, errno);
	if (fstat(d->fd, &st))
		return refuse(d->path, errno);
	if (st.st_dev != named->st_dev || st.st_ino != named->st_ino ||
	    (st.st_mode & S_IFMT) != (named->st_mode & S_IFMT))
		return refuse(d->path, ESTALE);
	if (!d->block && flock(d->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB))
		return refuse(d->path, errno == EWOULDBLOCK ? EBUSY : errno);
	return 0;
}

static int find_size(struct disk *d)
{
	off_t bytes = lseek(d->fd, 0, SEEK_END);

	if (bytes < 0)
		return refuse(d->path, errno);
	d->sectors = (u64)bytes / SECTOR;
	if (d->block)
		bypass_page_cache(d->fd);
	return 0;
}

int disk_open(struct disk *d, const char *path, bool write)
{
	struct stat st;
	int code;

	memset(d, 0, sizeof(*d));
	d->fd = -1;
	d->path = path;
	if (stat(path, &st))
		return refuse(path, errno);
	d->block = S_ISBLK(st.st_mode);
	if (!d->block && !S_ISREG(st.st_mode))
		return refuse_kind(path);
	code = open_file(d, write, &st);
	if (!code)
		code = find_size(d);
	if (code)
		disk_close(d);
	return code;
}

struct disk disk_part(const struct disk *d, u64 base, u64 sectors)
{
	struct disk part = *d;

	part.base += base;
	part.sectors = sectors;
	return part;
}

void disk_close(struct disk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int disk_skip(struct disk *d, u64 sectors)
{
	if (sectors > d->sectors)
		return wrong_usage("%s has only %llu sectors", d->path,
				   (unsigned long long)d->sectors);
	d->base += sectors;
	d->sectors -= sectors;
	return 0;
}

/* Bytes there are of it; 0 when it does not lie within the disk. */
static size_t extent(const struct disk *d, u64 sector, u64 sectors)
{
	if (sector > d->sectors || sectors > d->sectors - sector || sectors > SIZE_MAX / SECTOR / 2)
		return 0;
	return (size_t)sectors * SECTOR;
}

int disk_read(const struct disk *d, u64 sector, u64 sectors, void *buffer)
{
	size_t left = extent(d, sector, sectors);
	off_t at = (off_t)((d->base + sector) * SECTOR);
	u8 *to = buffer;

	if (!left && sectors)
		return -EINVAL;
	while (left) {
		ssize_t n = pread(d->fd, to, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		to += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

int disk_write(const struct disk *d, u64 sector, u64 sectors, const void *buffer)
{
	size_t left = extent(d, sector, sectors);
	off_t at = (off_t)((d->base + sector) * SECTOR);
	const u8 *from = buffer;

	if (!left && sectors)
		return -EINVAL;
	while (left) {
		ssize_t n = pwrite(d->fd, from, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

int disk_flush(const struct disk *d)
{
	return fsync(d->fd) ? -errno : 0;
}

int disk_failed(const struct disk *d, const char *what, int error)
{
	complain("cannot %s %s: %s", what, d->path, strerror(-error));
	return EXIT_IO;
}
