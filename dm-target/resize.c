// SPDX-License-Identifier: GPL-2.0-only
/*
 * The origin has another size than when the cache was last active.  Blocks
 * that it no longer has are refused; a last block that ended within a grain
 * needs care, because a grain is valid as far as the origin went, and behind
 * that its slot holds whatever was there before.
 */
#include <linux/bitmap.h>
#include <linux/vmalloc.h>

#include "larder.h"

/* A twin of ours may be at work on the metadata: what looks like damage is then read again. */
#define SHRUNK_TRIES 5

struct scan {
	u64 nr_blocks;		/* of the origin now */
	u64 end;		/* of the furthest block that was ever named */
	u32 nr_slots;		/* of the cache */
	unsigned long *beyond;	/* by slot: what it holds now is beyond that */
};

static int scan_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	u64 flags = le64_to_cpu(entry->block_flags), block = flags & LARDER_BLOCK_MASK;
	struct scan *scan = context;

	if (!(flags & LARDER_ENTRY_USED) || block < scan->nr_blocks) {
		clear_bit(slot, scan->beyond);
		return 0;
	}
	set_bit(slot, scan->beyond);
	scan->end = max(scan->end, block + 1);
	return 0;
}

static int scan_intent(void *context, u64 page, u8 intent, u64 slots)
{
	return 0;
}

/* Constructor: the origin has shrunk; is anything cached that it no longer has? */
int larder_check_shrunk(struct larder_cache *c, char **error)
{
	struct scan scan = {
		.nr_blocks = c->geometry.nr_origin_blocks,
		.nr_slots = c->geometry.nr_slots,
	};
	struct metadata_visitor visitor = {
		.entry = scan_entry,
		.intent = scan_intent,
		.context = &scan,
	};
	u32 tries = SHRUNK_TRIES;
	bool any;
	int err;

	scan.beyond = vzalloc(array_size(BITS_TO_LONGS(scan.nr_slots), sizeof(long)));
	if (!scan.beyond) {
		*error = "Out of memory";
		return -ENOMEM;
	}
	do {
		bitmap_zero(scan.beyond, scan.nr_slots);
		err = larder_run_operation(c, metadata_load_begin(c->metadata, &visitor, false));
	} while (err == -EUCLEAN && --tries);
	any = find_first_bit(scan.beyond, scan.nr_slots) < scan.nr_slots;
	vfree(scan.beyond);
	if (err) {
		*error = err == -EUCLEAN ? "Metadata is damaged: it is not known what is cached" :
					   "Cannot read the metadata device";
		return err;
	}
	if (!any)
		return 0;
	*error = "Origin is smaller than what is cached of it";
	DMERR("%s: origin has %llu sectors, but sectors up to %llu are cached: give it its size back, or remove the cache first",
	      dm_table_device_name(c->ti->table), (u64)c->ti->len,
	      scan.end * c->geometry.block_sectors);
	return -EINVAL;
}

/* Sectors from the origin to the same place in the slot. */
static int copy_tail(struct larder_cache *c, u32 slot, u64 block, u64 from, u64 to)
{
	u64 shift = geometry_slot_start(&c->geometry, slot) -
		    geometry_block_start(&c->geometry, block);
	struct page *page = alloc_page(GFP_NOIO);
	struct larder_transfer t;
	blk_status_t status = BLK_STS_OK;
	u32 n;

	if (!page)
		return -ENOMEM;
	for (; from < to && !status; from += n) {
		n = min_t(u64, to - from, PAGE_SIZE >> SECTOR_SHIFT);
		larder_transfer_init(&t);
		larder_transfer(c, &t, c->origin_dev, REQ_OP_READ, from, n, &page, 0);
		status = larder_transfer_wait(&t);
		if (status)
			break;
		larder_transfer_init(&t);
		larder_transfer(c, &t, c->cache_dev, REQ_OP_WRITE, from + shift, n, &page, 0);
		status = larder_transfer_wait(&t);
	}
	__free_page(page);
	return blk_status_to_errno(status);
}

/*
 * After loading, before the new size is recorded: drops what a shorter last
 * block no longer has, completes the last grain of one that has grown.  A crash
 * in between does no harm: it is done again.
 */
int larder_settle_end(struct larder_cache *c, u64 before)
{
	const struct geometry *g = &c->geometry;
	u64 now = g->origin_sectors, end = min(before, now);
	u64 block = geometry_block_of(g, end), start = geometry_block_start(g, block);
	u32 slot, offset = end - start, grain = offset >> g->grain_shift;
	int err;

	if (before == now || !offset)
		return 0;
	slot = slotmap_load_find(&c->map, block);
	if (slot == SLOT_NONE)
		return 0;
	if (now < before) {
		slotmap_load_trim(&c->map, slot, geometry_block_grains(g, block));
		return 0;
	}
	if (!(offset & (g->grain_sectors - 1)) || !(slot_valid(&c->map, slot) >> grain & 1))
		return 0;
	err = copy_tail(c, slot, block, end,
			min_t(u64, now, start + ((u64)(grain + 1) << g->grain_shift)));
	return err ?: larder_flush_devices(c, DEVICE_CACHE);
}
