/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device under test as oracle-io sees it: a block device opened with O_DIRECT or, for the
 * self-test, a regular file that may play a drive with a volatile cache and lose power.
 * All calls take absolute 512-byte sectors and return 0 or a negative errno.
 */
#ifndef TESTS_IO_IO_DEVICE_H
#define TESTS_IO_IO_DEVICE_H

#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct volatile_cache;

struct io_device {
	const char *path;
	int fd;
	bool regular_file;
	uint32_t block_sectors;		/* logical block size in sectors */
	uint64_t sectors;
	uint64_t fail_after;		/* 0: never, else operations until everything fails */
	uint64_t operations;		/* counted only when fail_after is set */
	pthread_rwlock_t file_lock;	/* a page cache tears sectors, a drive does not */
	struct volatile_cache *cache;	/* regular files only, NULL: write straight to the file */
};

/* One per thread: asynchronous I/O is the only way to a FUA write without a FLUSH behind it. */
struct io_channel {
	struct io_device *device;
	aio_context_t aio;
};

int device_open(struct io_device *device, const char *path, bool allow_file, bool writable);
void device_close(struct io_device *device);
void device_simulate_power_cut(struct io_device *device, uint64_t fail_after, bool volatile_cache,
			       uint64_t seed, const char *planted_bug);

int channel_open(struct io_channel *channel, struct io_device *device);
void channel_close(struct io_channel *channel);
int channel_read(struct io_channel *channel, void *buffer, uint64_t sector, uint32_t count);
int channel_write(struct io_channel *channel, const void *buffer, uint64_t sector,
		  uint32_t count, bool fua);
int channel_flush(struct io_channel *channel);
int channel_discard(struct io_channel *channel, uint64_t sector, uint32_t count);
int channel_zero(struct io_channel *channel, uint64_t sector, uint32_t count);

#endif
