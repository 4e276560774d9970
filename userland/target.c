// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes metadata.  A planted symbolic link must not lead us to a file that
 * its planter could not write; a link to a block device is what LVM makes of
 * every volume, and /dev is root's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "target.h"

/* env.h brings format.h's unit size only with the format */
#include "../dm-target/core/format.h"

static int refuse(const struct target *t, int code, const char *why)
{
	complain("cannot write %s: %s", t->path, why);
	return code;
}

static int refuse_error(const struct target *t, int error)
{
	if (error == EBUSY)
		return refuse(t, EXIT_NO_OUTPUT, "it is in use");
	return refuse(t, error == EACCES || error == EPERM ? EXIT_NO_PERMISSION : EXIT_NO_OUTPUT,
		      strerror(error));
}

static int judge(const struct target *t, const struct stat *st)
{
	struct stat named;

	if (S_ISBLK(st->st_mode))
		return 0;
	if (!S_ISREG(st->st_mode))
		return refuse(t, EXIT_NO_OUTPUT, "it is neither a block device nor a regular file");
	if (lstat(t->path, &named))
		return refuse_error(t, errno);
	if (named.st_dev != st->st_dev || named.st_ino != st->st_ino)
		return refuse(t, EXIT_NO_OUTPUT, "it is a symbolic link to a file");
	return 0;
}

static int find_size(struct target *t)
{
	off_t bytes = lseek(t->fd, 0, SEEK_END);

	if (bytes < 0)
		return refuse_error(t, errno);
	t->units = (u64)bytes / LARDER_UNIT_SIZE;
	if (!t->units)
		return refuse(t, EXIT_NO_OUTPUT, "it is smaller than 4 KiB; a file that does not "
			      "exist is made as large as needed");
	return 0;
}

int target_open(struct target *t, const char *path)
{
	int code;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	t->path = path;
	if (stat(path, &t->st)) {
		/* a dangling link is no place for a new file */
		if (errno == ENOENT && lstat(path, &t->st))
			return 0;
		return refuse_error(t, errno);
	}
	/* before it is opened: that alone does something to some devices */
	code = judge(t, &t->st);
	if (code)
		return code;
	/* a block device is refused with EBUSY while anyone has claimed it */
	t->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | (S_ISBLK(t->st.st_mode) ? O_EXCL : 0));
	if (t->fd < 0)
		return refuse_error(t, errno);
	code = fstat(t->fd, &t->st) ? refuse_error(t, errno) : judge(t, &t->st);
	if (!code)
		code = find_size(t);
	if (code)
		target_close(t, false);
	return code;
}

int target_create(struct target *t, u64 units)
{
	t->fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (t->fd < 0)
		return refuse_error(t, errno);
	t->created = true;
	if (ftruncate(t->fd, (off_t)(units * LARDER_UNIT_SIZE)) || fstat(t->fd, &t->st))
		return refuse_error(t, errno);
	t->units = units;
	return 0;
}

void target_close(struct target *t, bool ok)
{
	if (t->created && !ok)
		unlink(t->path);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

int target_write(struct target *t, u64 unit, u32 nr_units, const void *buffer)
{
	size_t left = (size_t)nr_units * LARDER_UNIT_SIZE;
	off_t at = (off_t)((t->base + unit) * LARDER_UNIT_SIZE);
	const u8 *from = buffer;

	while (left) {
		ssize_t n = pwrite(t->fd, from, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return refuse(t, EXIT_IO, n ? strerror(errno) : "nothing was written");
		from += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

int target_flush(struct target *t)
{
	return fsync(t->fd) ? refuse(t, EXIT_IO, strerror(errno)) : 0;
}

int target_read_head(struct target *t, void *buffer)
{
	const size_t bytes = 2 * LARDER_UNIT_SIZE;

	memset(buffer, 0, bytes);
	if (pread(t->fd, buffer, bytes, 0) < 0)
		return refuse(t, EXIT_IO, strerror(errno));
	return 0;
}
