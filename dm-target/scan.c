// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the constructor: what do the records on the metadata device say of each
 * slot?  Without a map, and beside a twin that may be at work on them.
 */
#include <linux/bitmap.h>
#include <linux/vmalloc.h>

#include "larder.h"

/* A twin of ours may be at work on the metadata: what looks like damage is then read again. */
#define SCAN_TRIES 5

static void set_to(unsigned long *bits, u32 slot, bool value)
{
	if (value)
		set_bit(slot, bits);
	else
		clear_bit(slot, bits);
}

/* Once from the table and once more for each record in the journal: the last one counts. */
static int scan_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	u64 flags = le64_to_cpu(entry->block_flags), block = flags & LARDER_BLOCK_MASK;
	struct larder_scan *scan = context;
	bool beyond = (flags & LARDER_ENTRY_USED) && block >= scan->nr_blocks;

	set_to(scan->beyond, slot, beyond);
	set_to(scan->dirty, slot, entry->dirty);
	set_to(scan->used, slot, flags & LARDER_ENTRY_USED);
	if (beyond)
		scan->end = max(scan->end, block + 1);
	return 0;
}

static int scan_intent(void *context, u64 page, u8 intent, u64 slots)
{
	struct larder_scan *scan = context;
	u64 start = page * LARDER_ENTRIES_PER_PAGE, slot;
	u64 end = min_t(u64, start + LARDER_ENTRIES_PER_PAGE, scan->nr_slots);

	for (slot = start; slot < end; slot++)
		set_to(scan->intent, slot, intent == LARDER_INTENT_WRITE_BACK &&
		       (slots >> (slot - start) / LARDER_SLOTS_PER_INTENT_BIT & 1));
	return 0;
}

static int read_records(struct larder_cache *c, struct larder_scan *scan)
{
	struct metadata_visitor visitor = {
		.entry = scan_entry,
		.intent = scan_intent,
		.context = scan,
	};
	u32 tries = SCAN_TRIES;
	int err;

	do {
		bitmap_zero(scan->beyond, scan->nr_slots);
		bitmap_zero(scan->dirty, scan->nr_slots);
		bitmap_zero(scan->intent, scan->nr_slots);
		bitmap_zero(scan->used, scan->nr_slots);
		err = larder_run_operation(c, metadata_load_begin(c->metadata, &visitor, false));
	} while (err == -EUCLEAN && --tries);
	return err;
}

int larder_scan(struct larder_cache *c, struct larder_scan *scan, char **error)
{
	size_t longs = BITS_TO_LONGS(c->geometry.nr_slots);
	int err;

	memset(scan, 0, sizeof(*scan));
	scan->nr_blocks = c->geometry.nr_origin_blocks;
	scan->nr_slots = c->geometry.nr_slots;
	scan->beyond = vzalloc(array_size(longs, 4 * sizeof(long)));
	if (!scan->beyond) {
		*error = "Out of memory";
		return -ENOMEM;
	}
	scan->dirty = scan->beyond + longs;
	scan->intent = scan->dirty + longs;
	scan->used = scan->intent + longs;
	err = read_records(c, scan);
	if (!err)
		return 0;
	larder_scan_free(scan);
	*error = err == -EUCLEAN ? "Metadata is damaged: it is not known what is cached" :
				   "Cannot read the metadata device";
	return err;
}

void larder_scan_free(struct larder_scan *scan)
{
	vfree(scan->beyond);
}
