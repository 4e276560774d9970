// SPDX-License-Identifier: GPL-2.0-only
/*
 * The medium in RAM and the volatile cache over it. A cell stands for a page of the disk: its
 * durable value and, newest first, the versions written since. Without versions nothing can be
 * reverted.
 *
 * Everything that applying a write needs is allocated when it is accepted; from then on no step can
 * fail, whatever context it runs in.
 */
#include <linux/bvec.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/slab.h>

#include "simdisk.h"

#define GFP_SIMDISK	(GFP_NOWAIT | __GFP_NOWARN)

static struct kmem_cache *cell_cache;
static struct kmem_cache *version_cache;

int simdisk_store_init(void)
{
	cell_cache = KMEM_CACHE(simdisk_cell, 0);
	if (!cell_cache)
		return -ENOMEM;
	version_cache = KMEM_CACHE(simdisk_version, 0);
	if (!version_cache) {
		kmem_cache_destroy(cell_cache);
		return -ENOMEM;
	}
	return 0;
}

void simdisk_store_exit(void)
{
	kmem_cache_destroy(version_cache);
	kmem_cache_destroy(cell_cache);
}

/* --- cells and versions --- */

static struct simdisk_cell *get_cell(struct simdisk *disk, unsigned long index)
{
	struct simdisk_cell *cell = xa_load(&disk->cells, index);

	if (!cell) {
		cell = kmem_cache_zalloc(cell_cache, GFP_SIMDISK);
		if (!cell)
			return NULL;
		cell->index = index;
		INIT_LIST_HEAD(&cell->dirty);
		if (xa_err(xa_store(&disk->cells, index, cell, GFP_SIMDISK))) {
			kmem_cache_free(cell_cache, cell);
			return NULL;
		}
	}
	cell->pins++;
	return cell;
}

/* Frees the cell if it says nothing any more. */
void simdisk_put_cell(struct simdisk *disk, struct simdisk_cell *cell)
{
	if (cell->pins || cell->newest || cell->durable)
		return;
	xa_erase(&disk->cells, cell->index);
	kmem_cache_free(cell_cache, cell);
}

static void free_version(struct simdisk *disk, struct simdisk_version *version)
{
	free_page((unsigned long)version->data);
	kmem_cache_free(version_cache, version);
}

static void unlink_version(struct simdisk *disk, struct simdisk_cell *cell,
			   struct simdisk_version **link)
{
	struct simdisk_version *version = *link;

	*link = version->next;
	if (version->data)
		disk->volatile_pages--;
	if (!cell->newest)
		list_del_init(&cell->dirty);
}

static void copy_sectors(u8 *to, const u8 *from, u8 mask)
{
	unsigned int sector;

	if (mask == SIMDISK_ALL_SECTORS && from) {
		memcpy(to, from, SIMDISK_PAGE_SIZE);
		return;
	}
	for (sector = 0; sector < SIMDISK_PAGE_SECTORS; sector++) {
		if (!(mask & (1U << sector)))
			continue;
		if (from)
			memcpy(to + sector * SECTOR_SIZE, from + sector * SECTOR_SIZE, SECTOR_SIZE);
		else
			memset(to + sector * SECTOR_SIZE, 0, SECTOR_SIZE);
	}
}

/* Makes the given sectors of an unlinked version the durable ones; may take its page. */
static void merge_into_durable(struct simdisk *disk, struct simdisk_cell *cell,
			       struct simdisk_version *version, u8 mask)
{
	if (simdisk_has_backing(disk)) {
		disk->destages++;
		return;
	}
	if (!mask)
		return;
	if (!cell->durable && version->data)
		copy_sectors(version->data, NULL, ~mask);
	if (mask == SIMDISK_ALL_SECTORS || !cell->durable)
		swap(cell->durable, version->data);
	else
		copy_sectors(cell->durable, version->data, mask);
}

/* Everything of at most this generation becomes durable. May free the cell. */
void simdisk_fold_cell(struct simdisk *disk, struct simdisk_cell *cell, u64 barrier)
{
	struct simdisk_version **link = &cell->newest;
	u8 open = SIMDISK_ALL_SECTORS;

	while (*link && (*link)->generation > barrier)
		link = &(*link)->next;
	while (*link) {
		struct simdisk_version *version = *link;

		unlink_version(disk, cell, link);
		merge_into_durable(disk, cell, version, version->mask & open);
		open &= ~version->mask;
		free_version(disk, version);
	}
	simdisk_put_cell(disk, cell);
}

void simdisk_make_durable(struct simdisk *disk, u64 barrier)
{
	struct simdisk_cell *cell, *next;

	list_for_each_entry_safe(cell, next, &disk->dirty_cells, dirty)
		simdisk_fold_cell(disk, cell, barrier);
}

/* A volatile cache is finite: beyond its size the least recently dirtied pages become durable. */
void simdisk_evict(struct simdisk *disk)
{
	u64 limit = simdisk_cache_pages(disk);

	if (disk->volatile_pages <= limit)
		return;
	if (simdisk_has_backing(disk)) {
		queue_work(disk->destager, &disk->evict_work);
		return;
	}
	while (disk->volatile_pages > limit) {
		simdisk_fold_cell(disk, list_first_entry(&disk->dirty_cells, struct simdisk_cell,
							 dirty), U64_MAX);
		disk->statistics.evictions++;
	}
}

/* --- writing --- */

static bool add_version(struct simdisk *disk, struct simdisk_version ***tail, unsigned long index,
			u8 mask, bool with_data)
{
	struct simdisk_version *version;

	version = kmem_cache_zalloc(version_cache, GFP_SIMDISK);
	if (!version)
		return false;
	version->mask = mask;
	if (with_data) {
		version->data = (u8 *)__get_free_page(GFP_SIMDISK);
		if (!version->data)
			goto fail;
	}
	version->cell = get_cell(disk, index);
	if (!version->cell)
		goto fail;
	**tail = version;
	*tail = &version->next;
	return true;

fail:
	free_version(disk, version);
	return false;
}

/* The sectors of page index that lie in [first, last]. */
static u8 mask_of(unsigned long index, sector_t first, sector_t last)
{
	sector_t base = (sector_t)index * SIMDISK_PAGE_SECTORS;
	unsigned int from = first > base ? first - base : 0;
	unsigned int to = min_t(sector_t, last - base, SIMDISK_PAGE_SECTORS - 1);

	return GENMASK(to, from);
}

static bool prepare_range(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	bool with_data = req_op(request) == REQ_OP_WRITE;
	sector_t first = blk_rq_pos(request), last = first + blk_rq_sectors(request) - 1;
	unsigned long index, last_index = last / SIMDISK_PAGE_SECTORS;
	struct simdisk_version **tail = &command->versions;
	struct simdisk_cell *cell;

	index = first / SIMDISK_PAGE_SECTORS;
	if (with_data || simdisk_has_backing(disk)) {
		for (; index <= last_index; index++)
			if (!add_version(disk, &tail, index, mask_of(index, first, last),
					 with_data))
				return false;
		return true;
	}
	/* Where nothing was ever written there are zeroes already. */
	xa_for_each_range(&disk->cells, index, cell, index, last_index)
		if (!add_version(disk, &tail, index, mask_of(index, first, last), false))
			return false;
	return true;
}

static void copy_from_request(struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	struct simdisk_version *version = command->versions;
	u64 position = (u64)blk_rq_pos(request) << SECTOR_SHIFT;
	struct req_iterator iter;
	struct bio_vec bvec;

	rq_for_each_segment(bvec, request, iter) {
		u8 *from = bvec_kmap_local(&bvec);
		unsigned int done = 0;

		while (done < bvec.bv_len) {
			unsigned int offset = position & (SIMDISK_PAGE_SIZE - 1);
			unsigned int length = min(bvec.bv_len - done, SIMDISK_PAGE_SIZE - offset);

			memcpy(version->data + offset, from + done, length);
			done += length;
			position += length;
			if (!(position & (SIMDISK_PAGE_SIZE - 1)))
				version = version->next;
		}
		kunmap_local(from);
	}
}

bool simdisk_prepare(struct simdisk *disk, struct simdisk_command *command)
{
	unsigned long flags;
	bool prepared;

	spin_lock_irqsave(&disk->lock, flags);
	/* A backing device may be slower than the guest: what waits for it is bounded here. */
	prepared = disk->volatile_pages <= 2 * simdisk_cache_pages(disk) &&
		   prepare_range(disk, command);
	if (!prepared)
		simdisk_discard_prepared(disk, command);
	spin_unlock_irqrestore(&disk->lock, flags);
	if (prepared && req_op(blk_mq_rq_from_pdu(command)) == REQ_OP_WRITE)
		copy_from_request(command);
	return prepared;
}

void simdisk_discard_prepared(struct simdisk *disk, struct simdisk_command *command)
{
	struct simdisk_version *version;

	while ((version = command->versions) != NULL) {
		struct simdisk_cell *cell = version->cell;

		command->versions = version->next;
		free_version(disk, version);
		cell->pins--;
		simdisk_put_cell(disk, cell);
	}
}

/*
 * Whether the newest version may be overwritten instead of being kept as one more that can survive
 * a power cut: only one that no received FLUSH covers, and only beyond the number that is wanted.
 */
static bool may_replace_newest(struct simdisk *disk, struct simdisk_cell *cell,
			       const struct simdisk_version *version)
{
	struct simdisk_version *older = cell->newest;
	u32 count = 0;

	if (!older || version->survives || (older->mask & ~version->mask))
		return false;
	for (; older && older->generation > disk->flush_barrier; older = older->next)
		count++;
	return count >= READ_ONCE(disk->knobs.versions);
}

static void link_version(struct simdisk *disk, struct simdisk_cell *cell,
			 struct simdisk_version *version)
{
	if (may_replace_newest(disk, cell, version)) {
		struct simdisk_version *replaced = cell->newest;

		unlink_version(disk, cell, &cell->newest);
		free_version(disk, replaced);
	}
	version->generation = disk->generation;
	version->next = cell->newest;
	cell->newest = version;
	if (version->data)
		disk->volatile_pages++;
	if (list_empty(&cell->dirty))
		list_add_tail(&cell->dirty, &disk->dirty_cells);
}

/* The sectors of this version are durable at once: whatever they were before is forgotten. */
static void harden_version(struct simdisk *disk, struct simdisk_cell *cell,
			   struct simdisk_version *version)
{
	struct simdisk_version **link = &cell->newest;

	while (*link) {
		struct simdisk_version *older = *link;

		older->mask &= ~version->mask;
		if (older->mask) {
			link = &older->next;
		} else {
			unlink_version(disk, cell, link);
			free_version(disk, older);
		}
	}
	merge_into_durable(disk, cell, version, version->mask);
	free_version(disk, version);
}

void simdisk_apply(struct simdisk *disk, struct simdisk_command *command, bool durable)
{
	struct simdisk_version *version, *next;

	disk->generation++;
	for (version = command->versions; version; version = next) {
		struct simdisk_cell *cell = version->cell;

		next = version->next;
		if (!version->mask)
			free_version(disk, version);
		else if (durable)
			harden_version(disk, cell, version);
		else
			link_version(disk, cell, version);
		cell->pins--;
		simdisk_put_cell(disk, cell);
	}
	command->versions = NULL;
}

/* --- reading --- */

/* The newest version of a sector, or NULL if the durable value is the newest. */
static struct simdisk_version *newest_of(struct simdisk_cell *cell, u8 mask)
{
	struct simdisk_version *version = cell->newest;

	while (version && !(version->mask & mask))
		version = version->next;
	return version;
}

/* Part of one page; offset + length do not leave it. */
static void read_page_part(struct simdisk_cell *cell, unsigned int offset, unsigned int length,
			   u8 *to)
{
	if (!cell) {
		memset(to, 0, length);
		return;
	}
	while (length) {
		unsigned int sector = offset >> SECTOR_SHIFT;
		unsigned int part = length;
		struct simdisk_version *version = newest_of(cell, 1U << sector);
		const u8 *from = version ? version->data : cell->durable;

		if (cell->newest && !(version == cell->newest &&
				      version->mask == SIMDISK_ALL_SECTORS))
			part = min_t(unsigned int, length, SECTOR_SIZE - offset % SECTOR_SIZE);
		if (from)
			memcpy(to, from + offset, part);
		else
			memset(to, 0, part);
		offset += part;
		length -= part;
		to += part;
	}
}

void simdisk_read(struct simdisk *disk, struct request *request)
{
	u64 position = (u64)blk_rq_pos(request) << SECTOR_SHIFT;
	struct req_iterator iter;
	struct bio_vec bvec;

	rq_for_each_segment(bvec, request, iter) {
		u8 *to = bvec_kmap_local(&bvec);
		unsigned int done = 0;

		while (done < bvec.bv_len) {
			unsigned int offset = position & (SIMDISK_PAGE_SIZE - 1);
			unsigned int length = min(bvec.bv_len - done, SIMDISK_PAGE_SIZE - offset);

			read_page_part(xa_load(&disk->cells, position >> SIMDISK_PAGE_SHIFT),
				       offset, length, to + done);
			done += length;
			position += length;
		}
		kunmap_local(to);
		flush_dcache_page(bvec.bv_page);
	}
}

/* With a backing device: false if the sector has no volatile version. */
bool simdisk_read_sector_overlay(struct simdisk *disk, sector_t sector, u8 *to)
{
	struct simdisk_cell *cell = xa_load(&disk->cells, sector / SIMDISK_PAGE_SECTORS);
	unsigned int offset = sector % SIMDISK_PAGE_SECTORS;

	if (!cell || !newest_of(cell, 1U << offset))
		return false;
	read_page_part(cell, offset << SECTOR_SHIFT, SECTOR_SIZE, to);
	return true;
}

/* At the end of a disk, when nothing else uses it: no lock needed. */
void simdisk_forget_all(struct simdisk *disk)
{
	struct simdisk_cell *cell;
	unsigned long index;

	xa_for_each(&disk->cells, index, cell) {
		while (cell->newest) {
			struct simdisk_version *version = cell->newest;

			cell->newest = version->next;
			free_version(disk, version);
		}
		free_page((unsigned long)cell->durable);
		kmem_cache_free(cell_cache, cell);
	}
	xa_destroy(&disk->cells);
}
