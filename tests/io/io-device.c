// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System calls behind io-device.h. FLUSH is fdatasync(); a FUA write goes through io_submit()
 * with RWF_DSYNC, because a synchronous RWF_DSYNC write to a block device is followed by a FLUSH
 * in the kernel, which would hide a target that ignores FUA.
 */
#define _GNU_SOURCE
#include "io-device.h"

#include "sector-format.h"
#include "volatile-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int open_failed(const char *path, const char *what)
{
	int error = errno;

	fprintf(stderr, "%s: %s: %s\n", path, what, strerror(error));
	return -error;
}

static int measure_block_device(struct io_device *device)
{
	uint64_t bytes;
	int block_size;

	if (ioctl(device->fd, BLKGETSIZE64, &bytes) || ioctl(device->fd, BLKSSZGET, &block_size))
		return open_failed(device->path, "cannot get the size");
	device->sectors = bytes / SECTOR_SIZE;
	device->block_sectors = (uint32_t)block_size / SECTOR_SIZE;
	return 0;
}

int device_open(struct io_device *device, const char *path, bool allow_file, bool writable)
{
	int mode = writable ? O_RDWR : O_RDONLY;
	struct stat status;

	memset(device, 0, sizeof(*device));
	device->path = path;
	device->fd = -1;
	pthread_rwlock_init(&device->file_lock, NULL);
	if (stat(path, &status))
		return open_failed(path, "cannot stat");
	device->regular_file = S_ISREG(status.st_mode);
	if (!S_ISBLK(status.st_mode) && !(allow_file && device->regular_file)) {
		fprintf(stderr, "%s: expected a block device%s\n", path,
			allow_file ? " or a regular file" : " (a regular file needs --file)");
		return -ENOTBLK;
	}
	device->fd = open(path, mode | O_CLOEXEC | (device->regular_file ? 0 : O_DIRECT));
	if (device->fd < 0)
		return open_failed(path, "cannot open");
	if (!device->regular_file)
		return measure_block_device(device);
	device->sectors = (uint64_t)status.st_size / SECTOR_SIZE;
	device->block_sectors = 1;
	return 0;
}

void device_close(struct io_device *device)
{
	if (device->cache)
		volatile_cache_destroy(device->cache);
	device->cache = NULL;
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

void device_simulate_power_cut(struct io_device *device, uint64_t fail_after, bool volatile_cache,
			       uint64_t seed, const char *planted_bug)
{
	device->fail_after = fail_after;
	if (!volatile_cache)
		return;
	device->cache = volatile_cache_create(device->fd, device->sectors, seed, planted_bug);
	if (!device->cache) {
		fprintf(stderr, "cannot simulate a volatile cache: unknown bug '%s'\n",
			planted_bug ? planted_bug : "");
		exit(2);
	}
}

int channel_open(struct io_channel *channel, struct io_device *device)
{
	channel->device = device;
	channel->aio = 0;
	if (device->regular_file)
		return 0;
	if (syscall(SYS_io_setup, 1u, &channel->aio))
		return open_failed(device->path, "io_setup");
	return 0;
}

void channel_close(struct io_channel *channel)
{
	if (channel->aio)
		syscall(SYS_io_destroy, channel->aio);
	channel->aio = 0;
}

/* With --fail-after: true once the simulated power is gone. */
static bool power_is_off(struct io_device *device)
{
	uint64_t number;

	if (!device->fail_after)
		return false;
	number = __atomic_add_fetch(&device->operations, 1, __ATOMIC_SEQ_CST);
	if (number == device->fail_after && device->cache)
		volatile_cache_power_cut(device->cache);
	return number >= device->fail_after;
}

/* A short transfer is an error: oracle-io then knows nothing about any part of the range. */
static int transfer_result(ssize_t transferred, uint32_t count)
{
	if (transferred < 0)
		return -errno;
	return (uint64_t)transferred == (uint64_t)count * SECTOR_SIZE ? 0 : -EIO;
}

int channel_read(struct io_channel *channel, void *buffer, uint64_t sector, uint32_t count)
{
	struct io_device *device = channel->device;
	int error;

	if (power_is_off(device))
		return -EIO;
	if (device->cache)
		return volatile_cache_read(device->cache, buffer, sector, count);
	if (device->regular_file)
		pthread_rwlock_rdlock(&device->file_lock);
	error = transfer_result(pread(device->fd, buffer, (size_t)count * SECTOR_SIZE,
				      (off_t)(sector * SECTOR_SIZE)), count);
	if (device->regular_file)
		pthread_rwlock_unlock(&device->file_lock);
	return error;
}

static int write_fua(struct io_channel *channel, const void *buffer, uint64_t sector,
		     uint32_t count)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = (uint32_t)channel->device->fd,
		.aio_buf = (uintptr_t)buffer,
		.aio_nbytes = (uint64_t)count * SECTOR_SIZE,
		.aio_offset = (int64_t)(sector * SECTOR_SIZE),
		.aio_rw_flags = RWF_DSYNC,
	};
	struct iocb *requests[] = { &request };
	struct io_event event;
	long ret;

	if (syscall(SYS_io_submit, channel->aio, 1L, requests) != 1)
		return -errno;
	do {
		ret = syscall(SYS_io_getevents, channel->aio, 1L, 1L, &event, NULL);
	} while (ret < 0 && errno == EINTR);
	if (ret != 1)
		return ret < 0 ? -errno : -EIO;
	if ((int64_t)event.res < 0)
		return (int)event.res;
	return transfer_result((ssize_t)event.res, count);
}

int channel_write(struct io_channel *channel, const void *buffer, uint64_t sector,
		  uint32_t count, bool fua)
{
	struct io_device *device = channel->device;
	struct iovec vector = {
		.iov_base = (void *)(uintptr_t)buffer,
		.iov_len = (size_t)count * SECTOR_SIZE,
	};
	int error;

	if (power_is_off(device))
		return -EIO;
	if (device->cache)
		return volatile_cache_write(device->cache, buffer, sector, count, fua);
	if (fua && !device->regular_file)
		return write_fua(channel, buffer, sector, count);
	if (device->regular_file)
		pthread_rwlock_wrlock(&device->file_lock);
	error = transfer_result(pwritev2(device->fd, &vector, 1, (off_t)(sector * SECTOR_SIZE),
					 fua ? RWF_DSYNC : 0), count);
	if (device->regular_file)
		pthread_rwlock_unlock(&device->file_lock);
	return error;
}

int channel_flush(struct io_channel *channel)
{
	struct io_device *device = channel->device;

	if (power_is_off(device))
		return -EIO;
	if (device->cache)
		return volatile_cache_flush(device->cache);
	return fdatasync(device->fd) ? -errno : 0;
}

/* The file's counterpart of discard and of zeroing: both leave zeros. */
static int punch(struct io_channel *channel, uint64_t sector, uint32_t count)
{
	static const char zeros[SECTOR_SIZE];
	struct io_device *device = channel->device;
	uint32_t i;
	int error = 0;

	if (!device->cache) {
		pthread_rwlock_wrlock(&device->file_lock);
		if (fallocate(device->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)(sector * SECTOR_SIZE), (off_t)count * SECTOR_SIZE))
			error = -errno;
		pthread_rwlock_unlock(&device->file_lock);
		return error;
	}
	for (i = 0; i < count && !error; i++)
		error = volatile_cache_write(device->cache, zeros, sector + i, 1, false);
	return error;
}

static int range_ioctl(struct io_channel *channel, unsigned long request, uint64_t sector,
		       uint32_t count)
{
	uint64_t range[2] = { sector * SECTOR_SIZE, (uint64_t)count * SECTOR_SIZE };

	return ioctl(channel->device->fd, request, range) ? -errno : 0;
}

int channel_discard(struct io_channel *channel, uint64_t sector, uint32_t count)
{
	if (power_is_off(channel->device))
		return -EIO;
	if (channel->device->regular_file)
		return punch(channel, sector, count);
	return range_ioctl(channel, BLKDISCARD, sector, count);
}

int channel_zero(struct io_channel *channel, uint64_t sector, uint32_t count)
{
	if (power_is_off(channel->device))
		return -EIO;
	if (channel->device->regular_file)
		return punch(channel, sector, count);
	return range_ioctl(channel, BLKZEROOUT, sector, count);
}
