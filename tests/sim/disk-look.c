// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Comparisons of disks in memory, see disk.h.
 */
#include "disk-page.h"

static const u64 zeros[PAGE_BYTES / sizeof(u64)];

static const u8 *bytes_of(const struct sim_page *page)
{
	return (const u8 *)(page ? page->data : zeros);
}

static u64 stamp_of(const struct sim_page *page)
{
	return page ? page->stamp : ZERO_STAMP;
}

static bool equal_pages(struct sim_page *a, struct sim_page *b)
{
	bool known = (a && a->same_as == stamp_of(b)) || (b && b->same_as == stamp_of(a));

	if (a == b)
		return true;
#ifndef __SANITIZE_ADDRESS__
	if (known)
		return true;
#endif
	if (memcmp(bytes_of(a), bytes_of(b), PAGE_BYTES)) {
		core_assert(!known);
		return false;
	}
	if (a)
		a->same_as = stamp_of(b);
	else
		b->same_as = ZERO_STAMP;
	return true;
}

u64 sim_disk_equal(struct sim_view a, u64 sector_a, struct sim_view b, u64 sector_b, u64 nr)
{
	u64 done, n;

	core_assert(sector_a + nr <= a.disk->sectors && sector_b + nr <= b.disk->sectors);
	for (done = 0; done < nr; done += n) {
		u64 from_a = sector_a + done, from_b = sector_b + done;
		u64 at_a = from_a % PAGE_SECTORS, at_b = from_b % PAGE_SECTORS;
		struct sim_page *pa = page_of(a.disk, a.durable, from_a / PAGE_SECTORS);
		struct sim_page *pb = page_of(b.disk, b.durable, from_b / PAGE_SECTORS);

		n = min(nr - done, PAGE_SECTORS - max(at_a, at_b));
		if (n == PAGE_SECTORS ? !equal_pages(pa, pb) :
		    memcmp(bytes_of(pa) + at_a * SIM_SECTOR, bytes_of(pb) + at_b * SIM_SECTOR,
			   n * SIM_SECTOR))
			break;
	}
	return done;
}
