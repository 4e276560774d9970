// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opens and reads metadata devices.  Never writes: the file descriptor would
 * not allow it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "page-cache.h"

static int refuse(const char *path, int error)
{
	complain("cannot open %s: %s", path, strerror(error));
	return error == EACCES || error == EPERM ? EXIT_NO_PERMISSION : EXIT_NO_INPUT;
}

/* The first device that is stacked upon this one, e.g. "dm-3". */
static void look_for_holder(struct device *d, const struct stat *st)
{
	const struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(st->st_rdev),
		 minor(st->st_rdev));
	dir = opendir(path);
	if (!dir)
		return;
	while (!d->in_use && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		d->in_use = true;
		snprintf(d->holder, sizeof(d->holder), "%.60s", entry->d_name);
	}
	closedir(dir);
}

static int find_size(struct device *d, const char *path, const struct stat *st)
{
	off_t bytes;

	if (!S_ISBLK(st->st_mode) && !S_ISREG(st->st_mode)) {
		complain("%s is neither a block device nor a file", path);
		return EXIT_NO_INPUT;
	}
	/* st_size is 0 for a block device */
	bytes = lseek(d->fd, 0, SEEK_END);
	if (bytes < 0) {
		complain("cannot learn the size of %s: %s", path, strerror(errno));
		return EXIT_NO_INPUT;
	}
	d->units = (u64)bytes / LARDER_UNIT_SIZE;
	if (!d->units) {
		complain("%s has %llu bytes: too small for the metadata of any cache", path,
			 (unsigned long long)bytes);
		return EXIT_NOT_OURS;
	}
	if (S_ISBLK(st->st_mode)) {
		look_for_holder(d, st);
		bypass_page_cache(d->fd);
	}
	return 0;
}

int device_open(struct device *d, const char *path)
{
	struct stat st;
	int code;

	memset(d, 0, sizeof(*d));
	/* without O_NONBLOCK, a FIFO would hold us until somebody writes into it */
	d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0)
		return refuse(path, errno);
	if (fstat(d->fd, &st)) {
		code = refuse(path, errno);
		device_close(d);
		return code;
	}
	code = find_size(d, path, &st);
	if (code)
		device_close(d);
	return code;
}

void device_close(struct device *d)
{
	close(d->fd);
	d->fd = -1;
}

static int read_all(int fd, u8 *buffer, size_t bytes, u64 offset)
{
	while (bytes) {
		ssize_t n = pread(fd, buffer, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		buffer += n;
		offset += (u64)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* One unit after another: what can be read around a bad place shall be. */
static void read_singly(struct device *d, const struct metadata_io *io)
{
	u32 i;

	for (i = 0; i < io->nr_units; i++) {
		u8 *buffer = (u8 *)io->buffer + (size_t)i * LARDER_UNIT_SIZE;
		u64 unit = io->unit + i;
		int error = read_all(d->fd, buffer, LARDER_UNIT_SIZE, unit * LARDER_UNIT_SIZE);

		if (!error)
			continue;
		memset(buffer, 0, LARDER_UNIT_SIZE);
		if (d->unreadable)
			d->unreadable(d->context, unit, -error);
	}
}

static int perform(struct device *d, const struct metadata_io *io)
{
	if (io->kind != METADATA_READ)
		return -EROFS;
	if (io->unit > d->units || io->nr_units > d->units - io->unit)
		return -EINVAL;
	if (read_all(d->fd, io->buffer, (size_t)io->nr_units * LARDER_UNIT_SIZE,
		     io->unit * LARDER_UNIT_SIZE))
		read_singly(d, io);
	return 0;
}

int device_read_units(struct device *d, u64 unit, u32 nr_units, void *buffer)
{
	const struct metadata_io io = {
		.kind = METADATA_READ,
		.unit = unit,
		.nr_units = nr_units,
		.buffer = buffer,
	};

	return perform(d, &io);
}

int device_read_unit(struct device *d, u64 unit, void *buffer)
{
	return device_read_units(d, unit, 1, buffer);
}

int device_run(struct device *d, struct metadata_op *op)
{
	struct metadata_io io;
	int rc, result = 0;

	while ((rc = metadata_step(op, result, &io)) == METADATA_IO)
		result = perform(d, &io);
	return rc;
}
