/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages of disks in memory, for disk*.c.
 */
#ifndef SIM_DISK_PAGE_H
#define SIM_DISK_PAGE_H

#include "disk.h"

#define PAGE_SECTORS 8u
#define PAGE_BYTES (PAGE_SECTORS * SIM_SECTOR)
#define NO_STAMP U64_MAX
#define ZERO_STAMP 0		/* of a page that is not there */

/* Shared by disks and images; written only by who has the only reference. */
struct sim_page {
	u32 refs;		/* 0: spare */
	struct sim_page *next_spare;
	u64 stamp;		/* another one whenever it is written */
	u64 same_as;		/* stamp of a page that has been found equal to what is here */
	u64 data[PAGE_BYTES / sizeof(u64)];
	u64 cells[PAGE_SECTORS];	/* right behind the data: one look compares both */
};

void page_free(struct sim_page *page);

static inline struct sim_page *page_get(struct sim_page *page)
{
	if (page)
		page->refs++;
	return page;
}

static inline void page_put(struct sim_page *page)
{
	if (page && !--page->refs)
		page_free(page);
}

static inline struct sim_page *page_of(const struct sim_disk *disk, bool durable, u64 number)
{
	struct sim_page *page = durable ? NULL : disk->newest[number];

	return page ? page : disk->durable[number];
}

#endif
