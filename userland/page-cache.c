// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading past the page cache; a file of its own because the headers that
 * O_DIRECT comes with and those of the core do not go together.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "page-cache.h"

/*
 * The page cache may hold what the device had before the kernel's cache wrote
 * to it from below.  Where O_DIRECT cannot be had, the answer is as old as the
 * page cache, which is no reason to fail.
 */
void bypass_page_cache(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_DIRECT);
}
