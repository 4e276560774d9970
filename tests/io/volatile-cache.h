/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A drive's volatile write cache in front of a regular file, with a power cut: what was not
 * flushed is kept or lost sector by sector, at random. It gives oracle-io a device in user space
 * on which its own rules are tried thousands of times, with planted bugs that it must notice.
 */
#ifndef TESTS_IO_VOLATILE_CACHE_H
#define TESTS_IO_VOLATILE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct volatile_cache;

/* planted_bug: NULL, or the name of a defect (see volatile-cache.c); NULL return: unknown name */
struct volatile_cache *volatile_cache_create(int fd, uint64_t sectors, uint64_t seed,
					     const char *planted_bug);
void volatile_cache_destroy(struct volatile_cache *cache);
int volatile_cache_read(struct volatile_cache *cache, void *buffer, uint64_t sector,
			uint32_t count);
int volatile_cache_write(struct volatile_cache *cache, const void *buffer, uint64_t sector,
			 uint32_t count, bool fua);
int volatile_cache_flush(struct volatile_cache *cache);
void volatile_cache_power_cut(struct volatile_cache *cache);

#endif
