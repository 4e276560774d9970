// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The second oracle: what is on the metadata device, and what counts as dirty.
 *
 * After every write to the metadata device, both what a reboot would find now
 * and what a power cut might leave (nothing that is pending) must load without
 * damage, with no block in two slots.
 *
 * After a crash the dirty set has bounds (architecture, "what a crash may do"):
 * what was dirty when a completed flush began and is still so must be in it;
 * what is neither dirty, nor in flight, nor under an intent must not.  Both
 * sets are kept up at every event of the devices.
 */
#include "larder.h"

#include "kernel/sched.h"
#include "world.h"

#define FLUSHES_MAX 64

static struct judge {
	u64 nr_blocks;
	u64 *sure;		/* by block: grains that must be dirty */
	u64 *allowed;		/* ... that may be */
	u64 *now;		/* scratch: grains that are */
	bool known;		/* allowed has been filled in since the last forget */
	struct {
		u64 id;		/* 0: free */
		u64 *grains;
	} flush[FLUSHES_MAX];
	void *metadata, *map;
	size_t map_bytes;
	u32 one_in;		/* of the metadata writes is judged */
} j;

void judge_init(void)
{
	u32 i;

	/* blocks are 4 KiB at least */
	j.nr_blocks = world.config.origin_sectors / 8 + 2;
	j.sure = calloc(j.nr_blocks, sizeof(u64));
	j.allowed = calloc(j.nr_blocks, sizeof(u64));
	j.now = calloc(j.nr_blocks, sizeof(u64));
	for (i = 0; i < FLUSHES_MAX; i++) {
		j.flush[i].id = 0;
		j.flush[i].grains = calloc(j.nr_blocks, sizeof(u64));
	}
	j.known = true;		/* nothing is dirty */
	j.metadata = aligned_alloc(PAGE_SIZE, ALIGN(metadata_bytes(), PAGE_SIZE));
	j.map = NULL;
	j.map_bytes = 0;
	j.one_in = world_one_in(4) ? 1 : 24;
}

void judge_free(void)
{
	u32 i;

	for (i = 0; i < FLUSHES_MAX; i++)
		free(j.flush[i].grains);
	free(j.sure);
	free(j.allowed);
	free(j.now);
	free(j.metadata);
	free(j.map);
}

void judge_forget(void)
{
	u32 i;

	memset(j.sure, 0, j.nr_blocks * sizeof(u64));
	memset(j.allowed, 0, j.nr_blocks * sizeof(u64));
	j.known = true;
	for (i = 0; i < FLUSHES_MAX; i++)
		j.flush[i].id = 0;
}

/* --- the dirty set --- */

static struct larder_cache *loaded_cache(void)
{
	struct larder_cache *c = world_cache();

	return c && c->loaded && c->map.slots ? c : NULL;
}

static bool has_block(const struct slotmap *map, u32 slot)
{
	return word_state(slot_word(map, slot)) != SLOT_FREE;
}

static void dirty_now(struct larder_cache *c)
{
	u32 slot;

	memset(j.now, 0, j.nr_blocks * sizeof(u64));
	for (slot = 0; slot < c->map.nr_slots; slot++)
		if (has_block(&c->map, slot))
			j.now[slot_block(&c->map.slots[slot])] |= slot_dirty(&c->map, slot);
}

static bool in_list(const u64 *groups, u32 nr, u64 group)
{
	while (nr--)
		if (groups[nr] == group)
			return true;
	return false;
}

/* without giving way to others, as hbitmap_test() does here */
static bool has_bit(const struct hbitmap *hb, u64 bit)
{
	return test_bit(bit, hb->level[0]);
}

static u64 may_be_dirty(struct larder_cache *c, u32 slot)
{
	const struct larder_committer *k = &c->committer;
	u64 word = slot_word(&c->map, slot), group = slot_intent_group(slot);

	if (word_state(word) != SLOT_VALID || (word & WORD_WRITERS_MASK) ||
	    has_bit(&c->map.intent_live, group) ||
	    has_bit(&c->map.intent_wanted, group) ||
	    in_list(k->setting, k->nr_setting, group) || in_list(k->clearing, k->nr_clearing, group))
		return ~0ull;
	return slot_dirty(&c->map, slot);
}

void judge_event(void *unused)
{
	struct larder_cache *c = loaded_cache();
	u64 block;
	u32 slot, i;

	(void)unused;
	if (!c)
		return;
	dirty_now(c);
	for (block = 0; block < j.nr_blocks; block++)
		j.sure[block] &= j.now[block];
	for (i = 0; i < FLUSHES_MAX; i++)
		for (block = 0; j.flush[i].id && block < j.nr_blocks; block++)
			j.flush[i].grains[block] &= j.now[block];
	memset(j.allowed, 0, j.nr_blocks * sizeof(u64));
	for (slot = 0; slot < c->map.nr_slots; slot++)
		if (has_block(&c->map, slot))
			j.allowed[slot_block(&c->map.slots[slot])] |= may_be_dirty(c, slot);
}

void judge_flush_begins(u64 id)
{
	struct larder_cache *c = loaded_cache();
	u32 i;

	for (i = 0; c && i < FLUSHES_MAX; i++) {
		if (j.flush[i].id)
			continue;
		dirty_now(c);
		j.flush[i].id = id;
		memcpy(j.flush[i].grains, j.now, j.nr_blocks * sizeof(u64));
		return;
	}
}

void judge_flush_ended(u64 id)
{
	u64 block;
	u32 i;

	for (i = 0; i < FLUSHES_MAX; i++) {
		if (j.flush[i].id != id)
			continue;
		for (block = 0; block < j.nr_blocks; block++)
			j.sure[block] |= j.flush[i].grains[block];
		j.flush[i].id = 0;
	}
}

void judge_before_crash(void)
{
	u32 i;

	judge_event(NULL);
	for (i = 0; i < FLUSHES_MAX; i++)
		j.flush[i].id = 0;
}

void judge_after_boot(void)
{
	struct larder_cache *c = loaded_cache();
	u64 block;

	if (!c || devices.lost_its_way)
		return;
	dirty_now(c);
	for (block = 0; block < j.nr_blocks; block++) {
		if (j.now[block] & ~j.allowed[block])
			sim_fail("after the crash, grains %llx of block %llu are dirty; %llx might be",
				 (unsigned long long)j.now[block], (unsigned long long)block,
				 (unsigned long long)j.allowed[block]);
		if (j.sure[block] & ~j.now[block])
			sim_fail("after the crash, grains %llx of block %llu are dirty; %llx must be",
				 (unsigned long long)j.now[block], (unsigned long long)block,
				 (unsigned long long)j.sure[block]);
	}
	judge_event(NULL);
}

void judge_all_clean(void)
{
	struct larder_cache *c = loaded_cache();
	u64 block;

	if (!c)
		return;
	dirty_now(c);
	for (block = 0; block < j.nr_blocks; block++)
		if (j.now[block])
			sim_fail("said to be clean, but block %llu is dirty",
				 (unsigned long long)block);
}

/* --- what is on the metadata device --- */

struct reading {
	struct slotmap map;
	bool durable;		/* only what a power cut leaves for sure */
	char what[80];
	u64 unit;
};

static int read_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	struct reading *r = context;

	return slotmap_load_entry(&r->map, slot, entry);
}

static int read_intent(void *context, u64 page, u8 intent, u64 slots)
{
	struct reading *r = context;

	slotmap_load_intent(&r->map, page, intent, slots);
	return 0;
}

static bool read_damage(void *context, u64 unit, const char *what)
{
	struct reading *r = context;

	r->unit = unit;
	snprintf(r->what, sizeof(r->what), "%s", what);
	return false;
}

static int run_operation(struct reading *r, struct metadata_op *op)
{
	struct sim_disk *disk = &devices.dev[DEV_METADATA].disk;
	struct metadata_io io;
	int rc = 0;

	while ((rc = metadata_step(op, rc, &io)) == METADATA_IO) {
		u64 sector = io.unit * LARDER_UNIT_SECTORS;
		u32 sectors = io.nr_units * LARDER_UNIT_SECTORS;

		if (io.kind != METADATA_READ)
			sim_fail("a load that only looks writes");
		if (r->durable)
			sim_disk_read_durable(disk, sector, io.buffer, sectors);
		else
			sim_disk_read(disk, sector, io.buffer, sectors);
		rc = 0;
	}
	return rc;
}

static void take_map(struct reading *r, const struct geometry *g)
{
	size_t bytes = slotmap_bytes(g);

	if (bytes > j.map_bytes) {
		free(j.map);
		j.map_bytes = ALIGN(bytes, PAGE_SIZE);
		j.map = aligned_alloc(PAGE_SIZE, j.map_bytes);
	}
	memset(j.map, 0, bytes);
	slotmap_init(&r->map, g, j.map);
}

static void judge_view(bool durable)
{
	struct metadata_visitor visitor = {
		.entry = read_entry,
		.intent = read_intent,
		.damage = read_damage,
	};
	struct reading r = { .durable = durable };
	const char *view = durable ? "after a power cut" : "now";
	struct metadata *md;
	struct geometry g;
	u64 block;
	int rc;

	memset(j.metadata, 0, metadata_bytes());
	md = metadata_init(j.metadata, devices.dev[DEV_METADATA].bdev.sectors / LARDER_UNIT_SECTORS);
	rc = run_operation(&r, metadata_probe_begin(md));
	if (rc)
		sim_fail("metadata %s: probe failed with %d", view, rc);
	if (metadata_found(md) == METADATA_BLANK)
		return;
	if (metadata_found(md) != METADATA_OURS)
		sim_fail("metadata %s: not ours any more (%d)", view, metadata_found(md));
	g = *metadata_geometry(md);
	take_map(&r, &g);
	visitor.context = &r;
	rc = run_operation(&r, metadata_load_begin(md, &visitor, false));
	if (rc)
		sim_fail("metadata %s: load failed with %d, unit %llu: %s", view, rc,
			 (unsigned long long)r.unit, r.what);
	rc = slotmap_load_end(&r.map, metadata_formatted_slots(md), &block);
	if (rc)
		sim_fail("metadata %s: block %llu is in two slots, or where it cannot be", view,
			 (unsigned long long)block);
}

void judge_metadata(void *unused)
{
	(void)unused;
	if (devices.lost_its_way || !sim_chance(j.one_in))
		return;
	judge_view(false);
	judge_view(true);
}
