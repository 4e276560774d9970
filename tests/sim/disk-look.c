// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is on disks in memory: reads, comparisons, hashes.  See disk.h.
 */
#include "disk-page.h"

static void check_range(const struct sim_disk *disk, u64 sector, u64 nr)
{
	core_assert(sector <= disk->sectors && nr <= disk->sectors - sector);
}

static void read_image(const struct sim_disk *disk, bool newest, u64 sector, u8 *data, u64 nr)
{
	check_range(disk, sector, nr);
	while (nr) {
		u64 number = sector / PAGE_SECTORS, first = sector % PAGE_SECTORS;
		u64 count = min_t(u64, nr, PAGE_SECTORS - first);
		const struct sim_page *page = page_of(disk, !newest, number);

		if (page)
			memcpy(data, (const u8 *)page->data + first * SIM_SECTOR,
			       count * SIM_SECTOR);
		else
			memset(data, 0, count * SIM_SECTOR);
		data += count * SIM_SECTOR;
		sector += count;
		nr -= count;
	}
}

void sim_disk_read(struct sim_disk *disk, u64 sector, void *data, u32 nr)
{
	disk->stats.reads++;
	disk->stats.sectors_read += nr;
	read_image(disk, true, sector, data, nr);
}

void sim_disk_read_durable(const struct sim_disk *disk, u64 sector, void *data, u32 nr)
{
	read_image(disk, false, sector, data, nr);
}

void sim_disk_read_cells(const struct sim_disk *disk, bool durable, u64 sector, u64 *cells, u32 nr)
{
	check_range(disk, sector, nr);
	for (; nr; nr--, sector++, cells++) {
		const struct sim_page *page = page_of(disk, durable, sector / PAGE_SECTORS);

		*cells = page ? page->cells[sector % PAGE_SECTORS] : 0;
	}
}

static const struct sim_page zeros;

static const u8 *bytes_of(const struct sim_page *page)
{
	return (const u8 *)(page ? page->data : zeros.data);
}

static const u64 *cells_of(const struct sim_page *page)
{
	return page ? page->cells : zeros.cells;
}

static u64 stamp_of(const struct sim_page *page)
{
	return page ? page->stamp : ZERO_STAMP;
}

static bool equal_pages(struct sim_page *a, struct sim_page *b, bool cells)
{
	size_t bytes = PAGE_BYTES + (cells ? sizeof(a->cells) : 0);
	bool known = (a && a->same_as == stamp_of(b)) || (b && b->same_as == stamp_of(a));

	if (a == b)
		return true;
#ifndef __SANITIZE_ADDRESS__
	if (known)
		return true;
#endif
	if (memcmp(bytes_of(a), bytes_of(b), bytes)) {
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
	bool cells = a.cells && b.cells;
	u64 done, n;

	core_assert(sector_a + nr <= a.disk->sectors && sector_b + nr <= b.disk->sectors);
	for (done = 0; done < nr; done += n) {
		u64 from_a = sector_a + done, from_b = sector_b + done;
		u64 at_a = from_a % PAGE_SECTORS, at_b = from_b % PAGE_SECTORS;
		struct sim_page *pa = page_of(a.disk, a.durable, from_a / PAGE_SECTORS);
		struct sim_page *pb = page_of(b.disk, b.durable, from_b / PAGE_SECTORS);

		n = min(nr - done, PAGE_SECTORS - max(at_a, at_b));
		if (n == PAGE_SECTORS ? !equal_pages(pa, pb, cells) :
		    memcmp(bytes_of(pa) + at_a * SIM_SECTOR, bytes_of(pb) + at_b * SIM_SECTOR,
			   n * SIM_SECTOR) ||
		    (cells && memcmp(cells_of(pa) + at_a, cells_of(pb) + at_b, n * sizeof(u64))))
			break;
	}
	return done;
}

static u64 hash_page(const struct sim_page *page)
{
	u64 lanes[4] = { 1, 2, 3, 4 }, any = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(page->data); i++) {
		any |= page->data[i];
		lanes[i % 4] = (lanes[i % 4] ^ page->data[i]) * 0x9e3779b97f4a7c15ull;
		lanes[i % 4] ^= lanes[i % 4] >> 29;
	}
	if (!any) /* as a page that does not exist */
		return 0;
	return sim_mix(lanes[0] ^ sim_mix(lanes[1] ^ sim_mix(lanes[2] ^ sim_mix(lanes[3]))));
}

u64 sim_disk_hash(const struct sim_disk *disk)
{
	u64 hash = 0, page;

	for (page = 0; page < disk->nr_pages; page++) {
		u64 of_page = disk->durable[page] ? hash_page(disk->durable[page]) : 0;

		if (of_page)
			hash += sim_mix(of_page ^ sim_mix(page));
	}
	return hash;
}
