// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See volatile-cache.h. Every unflushed write of a sector is remembered, so the power cut may
 * leave any of them or what was there before. The planted bugs are what broken drives and broken
 * caches do; the self-test proves that oracle-io notices each.
 */
#include "volatile-cache.h"

#include "sector-format.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct unflushed {
	struct unflushed *older;
	unsigned char data[SECTOR_SIZE];
};

enum planted_bug {
	BUG_NONE,
	BUG_LOSE_FLUSH,		/* FLUSH is acknowledged and does nothing */
	BUG_LOSE_FUA,		/* a FUA write stays in the cache */
	BUG_STALE_READ,		/* now and then a read misses the newest write */
	BUG_MISPLACE,		/* now and then a write lands one sector off */
	BUG_TEAR,		/* the power cut mixes two writes inside a sector */
	BUG_FLUSH_OLDER,	/* now and then FLUSH writes back a write before the newest */
	BUGS
};

static const char *const bug_names[BUGS] = {
	[BUG_NONE] = "none",
	[BUG_LOSE_FLUSH] = "lose-flush",
	[BUG_LOSE_FUA] = "lose-fua",
	[BUG_STALE_READ] = "stale-read",
	[BUG_MISPLACE] = "misplace",
	[BUG_TEAR] = "tear",
	[BUG_FLUSH_OLDER] = "flush-older",
};

struct volatile_cache {
	pthread_mutex_t lock;
	int fd;
	bool power_off;
	enum planted_bug bug;
	uint64_t random;
	uint64_t sectors;
	uint64_t writes;
	struct unflushed **newest;	/* one list per sector */
};

static uint64_t next_random(struct volatile_cache *cache)
{
	cache->random += 0x9e3779b97f4a7c15ull;
	return mix64(cache->random);
}

struct volatile_cache *volatile_cache_create(int fd, uint64_t sectors, uint64_t seed,
					     const char *planted_bug)
{
	struct volatile_cache *cache;
	unsigned int bug = BUG_NONE;

	for (; planted_bug && bug < BUGS && strcmp(planted_bug, bug_names[bug]); bug++)
		;
	if (bug == BUGS)
		return NULL;
	cache = calloc(1, sizeof(*cache));
	if (cache)
		cache->newest = calloc(sectors, sizeof(struct unflushed *));
	if (!cache || !cache->newest) {
		perror("volatile cache");
		exit(2);
	}
	pthread_mutex_init(&cache->lock, NULL);
	cache->fd = fd;
	cache->bug = bug;
	cache->random = seed;
	cache->sectors = sectors;
	return cache;
}

static void forget(struct volatile_cache *cache, uint64_t sector)
{
	struct unflushed *entry = cache->newest[sector];

	while (entry) {
		struct unflushed *older = entry->older;

		free(entry);
		entry = older;
	}
	cache->newest[sector] = NULL;
}

void volatile_cache_destroy(struct volatile_cache *cache)
{
	uint64_t sector;

	for (sector = 0; sector < cache->sectors; sector++)
		forget(cache, sector);
	free(cache->newest);
	free(cache);
}

static int file_transfer(struct volatile_cache *cache, void *buffer, uint64_t sector,
			 uint32_t count, bool write)
{
	size_t bytes = (size_t)count * SECTOR_SIZE;
	off_t position = (off_t)(sector * SECTOR_SIZE);
	ssize_t done = write ? pwrite(cache->fd, buffer, bytes, position) :
			       pread(cache->fd, buffer, bytes, position);

	return done == (ssize_t)bytes ? 0 : -EIO;
}

int volatile_cache_read(struct volatile_cache *cache, void *buffer, uint64_t sector,
			uint32_t count)
{
	int error = -EIO;
	uint32_t i;

	pthread_mutex_lock(&cache->lock);
	if (!cache->power_off)
		error = file_transfer(cache, buffer, sector, count, false);
	for (i = 0; i < count && !error; i++) {
		struct unflushed *entry = cache->newest[sector + i];
		bool stale = cache->bug == BUG_STALE_READ && next_random(cache) % 64 == 0;

		if (entry && stale)
			entry = entry->older;
		if (entry)
			memcpy((char *)buffer + (size_t)i * SECTOR_SIZE, entry->data, SECTOR_SIZE);
	}
	pthread_mutex_unlock(&cache->lock);
	return error;
}

static void write_sector(struct volatile_cache *cache, const char *data, uint64_t sector,
			 bool through)
{
	struct unflushed *entry;

	if (through) {
		forget(cache, sector);
		file_transfer(cache, (void *)(uintptr_t)data, sector, 1, true);
		return;
	}
	entry = malloc(sizeof(*entry));
	if (!entry) {
		perror("volatile cache");
		exit(2);
	}
	memcpy(entry->data, data, SECTOR_SIZE);
	entry->older = cache->newest[sector];
	cache->newest[sector] = entry;
}

int volatile_cache_write(struct volatile_cache *cache, const void *buffer, uint64_t sector,
			 uint32_t count, bool fua)
{
	int error = -EIO;
	uint32_t i;

	pthread_mutex_lock(&cache->lock);
	if (!cache->power_off) {
		bool misplaced = cache->bug == BUG_MISPLACE && ++cache->writes % 32 == 0;
		uint64_t place = sector + (misplaced && sector + count < cache->sectors);

		for (i = 0; i < count; i++)
			write_sector(cache, (const char *)buffer + (size_t)i * SECTOR_SIZE,
				     place + i, fua && cache->bug != BUG_LOSE_FUA);
		error = 0;
	}
	pthread_mutex_unlock(&cache->lock);
	return error;
}

int volatile_cache_flush(struct volatile_cache *cache)
{
	uint64_t sector;
	int error = -EIO;

	pthread_mutex_lock(&cache->lock);
	if (!cache->power_off)
		error = 0;
	for (sector = 0; !error && cache->bug != BUG_LOSE_FLUSH && sector < cache->sectors;
	     sector++) {
		struct unflushed *entry = cache->newest[sector];

		if (!entry)
			continue;
		if (cache->bug == BUG_FLUSH_OLDER && entry->older && next_random(cache) % 8 == 0)
			entry = entry->older;
		error = file_transfer(cache, entry->data, sector, 1, true);
		forget(cache, sector);
	}
	pthread_mutex_unlock(&cache->lock);
	return error;
}

/* What the power cut leaves of one sector: the media's content or any unflushed write's. */
static void settle_sector(struct volatile_cache *cache, uint64_t sector)
{
	struct unflushed *entry = cache->newest[sector];
	unsigned char torn[SECTOR_SIZE];

	while (entry && next_random(cache) % 2)
		entry = entry->older;
	if (!entry)
		return;
	if (cache->bug == BUG_TEAR && !file_transfer(cache, torn, sector, 1, false))
		memcpy(entry->data, torn, SECTOR_SIZE / 2);
	file_transfer(cache, entry->data, sector, 1, true);
}

void volatile_cache_power_cut(struct volatile_cache *cache)
{
	uint64_t sector;

	pthread_mutex_lock(&cache->lock);
	cache->power_off = true;
	for (sector = 0; sector < cache->sectors; sector++) {
		settle_sector(cache, sector);
		forget(cache, sector);
	}
	pthread_mutex_unlock(&cache->lock);
}
