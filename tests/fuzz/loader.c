// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See loader.h.
 */
#include "loader.h"

#define LL(n) ((unsigned long long)(n))

struct loader *loader_new(void)
{
	struct loader *l = fuzz_alloc(1, sizeof(*l));

	l->md = fuzz_alloc_aligned(LARDER_UNIT_SIZE, metadata_bytes());
	return l;
}

bool counters_run_out(const struct metadata *md)
{
	const struct larder_superblock *sb = metadata_super(md);
	const u64 near = COUNTER_MAX - 100000;

	return le64_to_cpu(sb->epoch) > near || le64_to_cpu(sb->generation) > near ||
	       le64_to_cpu(sb->tail_seq) > near;
}

void shown_check_equal(const struct shown *found, const struct shown *expected, const char *when)
{
	u32 i;

	if (!memcmp(found, expected, sizeof(*found)))
		return;
	for (i = 0; i < LOADER_SLOTS_MAX; i++)
		FUZZ_CHECK(!memcmp(&found->slot[i], &expected->slot[i], sizeof(found->slot[i])),
			   "%s, slot %u: found 0x%llx 0x%llx 0x%llx, expected 0x%llx 0x%llx 0x%llx",
			   when, i, LL(found->slot[i].block_flags), LL(found->slot[i].valid),
			   LL(found->slot[i].dirty), LL(expected->slot[i].block_flags),
			   LL(expected->slot[i].valid), LL(expected->slot[i].dirty));
	for (i = 0; i < DISK_UNITS_MAX; i++)
		FUZZ_CHECK(!memcmp(&found->intent[i], &expected->intent[i],
				   sizeof(found->intent[i])),
			   "%s, page %u: found intent %llu 0x%llx, expected %llu 0x%llx", when, i,
			   LL(found->intent[i].kind), LL(found->intent[i].slots),
			   LL(expected->intent[i].kind), LL(expected->intent[i].slots));
}

/* Slots of no intent mean nothing. */
static void show_intent(struct shown *shown, u64 page, u64 kind, u64 slots)
{
	shown->intent[page].kind = kind;
	shown->intent[page].slots = kind ? slots : 0;
}

void shown_apply(struct shown *shown, const struct larder_record *record)
{
	u32 index = le32_to_cpu(record->index);

	if (record->type == LARDER_RECORD_ENTRY)
		shown->slot[index] = (struct shown_slot){ le64_to_cpu(record->block_flags),
							  le64_to_cpu(record->valid),
							  le64_to_cpu(record->dirty) };
	else if (record->type == LARDER_RECORD_INTENT)
		show_intent(shown, index, le64_to_cpu(record->block_flags),
			    le64_to_cpu(record->valid));
}

/* --- what the core shows, and what it promises about that --- */

static int see_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	struct loader *l = context;
	const struct geometry *g = metadata_geometry(l->md);
	u64 flags = le64_to_cpu(entry->block_flags);
	u64 valid = le64_to_cpu(entry->valid), dirty = le64_to_cpu(entry->dirty);

	FUZZ_CHECK(slot < g->nr_slots && slot < metadata_formatted_slots(l->md), "slot %u", slot);
	FUZZ_CHECK(!(flags & ~(LARDER_BLOCK_MASK | LARDER_ENTRY_KNOWN)));
	FUZZ_CHECK(!(valid & ~geometry_all_grains(g)));
	FUZZ_CHECK(!(dirty & ~valid));
	FUZZ_CHECK((flags & LARDER_ENTRY_USED) || (!flags && !valid));
	l->shown.slot[slot] = (struct shown_slot){ flags, valid, dirty };
	if ((flags & LARDER_BLOCK_MASK) >= l->geometry.nr_origin_blocks)
		l->beyond = true;
	return l->into_map ? slotmap_load_entry(&l->map, slot, entry) : 0;
}

static int see_intent(void *context, u64 page, u8 intent, u64 slots)
{
	struct loader *l = context;

	FUZZ_CHECK(page < metadata_geometry(l->md)->table_pages);
	FUZZ_CHECK(page < le64_to_cpu(metadata_super(l->md)->formatted_pages));
	FUZZ_CHECK(intent <= LARDER_INTENT_WRITE_THROUGH);
	FUZZ_CHECK(!(slots >> (LARDER_ENTRIES_PER_PAGE / LARDER_SLOTS_PER_INTENT_BIT)));
	show_intent(&l->shown, page, intent, slots);
	return 0;
}

static int see_hint(void *context, u32 slot, u32 hint)
{
	struct loader *l = context;

	FUZZ_CHECK(slot < metadata_formatted_slots(l->md));
	return 0;
}

static bool see_damage(void *context, u64 unit, const char *what)
{
	struct loader *l = context;

	FUZZ_CHECK(unit < l->disk->units && what && *what);
	l->damages++;
	return l->go_on;
}

enum metadata_found loader_probe(struct loader *l, struct metadata_disk *disk)
{
	bool read_only = disk->read_only;
	int err;

	l->disk = disk;
	metadata_init(l->md, disk->units);
	disk->read_only = true;
	err = disk_run(disk, metadata_probe_begin(l->md));
	disk->read_only = read_only;
	FUZZ_CHECK(err == (disk->units ? 0 : -ENOSPC));
	if (err)
		return METADATA_BAD_GEOMETRY;
	if (metadata_found(l->md) == METADATA_OURS) {
		l->geometry = *metadata_geometry(l->md);
		FUZZ_CHECK(l->geometry.nr_slots <= LOADER_SLOTS_MAX);
	}
	return metadata_found(l->md);
}

int loader_load(struct loader *l, bool write, bool go_on)
{
	const struct metadata_visitor visitor = {
		.entry = see_entry,
		.intent = see_intent,
		.hint = see_hint,
		.damage = see_damage,
		.context = l,
	};
	int err;

	memset(&l->shown, 0, sizeof(l->shown));
	l->damages = 0;
	l->beyond = false;
	l->go_on = go_on;
	l->disk->read_only = !write;
	err = disk_run(l->disk, metadata_load_begin(l->md, &visitor, write));
	l->disk->read_only = false;
	return err;
}

/* --- as the module --- */

/* Each used slot is found by its block, and the counts are true. */
static void check_map(const struct loader *l)
{
	const struct slotmap *map = &l->map;
	u64 used = 0, dirty = 0;
	u32 slot;

	for (slot = 0; slot < map->nr_slots; slot++) {
		if (word_state(slot_word(map, slot)) == SLOT_FREE)
			continue;
		used++;
		dirty += slot_dirty(map, slot) != 0;
		FUZZ_CHECK(!(slot_dirty(map, slot) & ~slot_valid(map, slot)));
		FUZZ_CHECK(slotmap_find(map, slot_block(&map->slots[slot])) == slot);
	}
	FUZZ_CHECK(used == (u64)atomic64_read(&map->nr_used));
	FUZZ_CHECK(dirty == (u64)atomic64_read(&map->nr_dirty));
	FUZZ_CHECK(used + (u64)atomic64_read(&map->nr_free) == map->usable_slots);
}

static int load_into_map(struct loader *l)
{
	u64 page;
	int err;

	l->map_memory = fuzz_alloc_aligned(LARDER_UNIT_SIZE, slotmap_bytes(&l->geometry));
	slotmap_init(&l->map, &l->geometry, l->map_memory);
	l->map.intent_kind = LARDER_INTENT_WRITE_BACK;
	l->into_map = true;
	err = loader_load(l, true, false);
	l->into_map = false;
	for (page = 0; !err && page < l->map.nr_pages; page++)
		slotmap_load_intent(&l->map, page, (u8)l->shown.intent[page].kind,
				    l->shown.intent[page].slots);
	return err;
}

int loader_open(struct loader *l, struct metadata_disk *disk, u64 origin_sectors)
{
	u64 block;
	int err;

	if (loader_probe(l, disk) != METADATA_OURS)
		return -EINVAL;
	if (origin_sectors)
		geometry_set_origin(&l->geometry, origin_sectors);
	err = load_into_map(l);
	if (err)
		return err;
	/* what loads without damage can be activated */
	err = disk_run(disk, metadata_activate_begin(l->md, l->geometry.origin_sectors, 0,
						     "s3fifo", NULL));
	FUZZ_CHECK(!err, "activation: %d", err);
	if (!metadata_formatted_slots(l->md))
		FUZZ_CHECK(!disk_run(disk, metadata_extend_begin(l->md)));
	err = slotmap_load_end(&l->map, metadata_formatted_slots(l->md), &block);
	if (!err)
		check_map(l);
	return err;
}

void loader_close(struct loader *l)
{
	free(l->map_memory);
	l->map_memory = NULL;
}
