/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading block devices past the page cache. */
#ifndef LARDER_PAGE_CACHE_H
#define LARDER_PAGE_CACHE_H

void bypass_page_cache(int fd);

#endif
