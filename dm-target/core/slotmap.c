// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slot map's memory, hash chains, lookups and supply of free slots.  What
 * happens to a single slot is in slot.c, see slotmap.h for the rules.
 */
#include "slotmap.h"

#define REGION_SECTORS		2048u	/* 1 MiB */
#define SHARDS_MAX		1024u
#define CHAIN_STEPS_MAX		64u	/* of a lookup without the lock */

static u64 hash_block(u64 block)
{
	block *= 0x9e3779b97f4a7c15ull;
	return block ^ block >> 29;
}

static u32 region_shift_of(const struct geometry *g)
{
	if (g->block_sectors >= REGION_SECTORS)
		return 0;
	return (u32)ilog2(REGION_SECTORS / g->block_sectors);
}

static u32 nr_shards_of(u64 nr_slots)
{
	u64 wanted = roundup_pow_of_two(nr_slots / 32 + 1);

	return (u32)min_t(u64, wanted, SHARDS_MAX);
}

static u32 heads_per_shard_of(u64 nr_slots)
{
	return (u32)roundup_pow_of_two(DIV_ROUND_UP_ULL(nr_slots, nr_shards_of(nr_slots)));
}

static u64 nr_regions_of(const struct geometry *g)
{
	return ((g->nr_origin_blocks - 1) >> region_shift_of(g)) + 1;
}

/* Hands out pieces of the one block of memory; with no block, only adds up. */
struct carver {
	u8 *at;
	size_t size;
};

static void *carve(struct carver *c, u64 bytes)
{
	void *p = c->at ? c->at + c->size : NULL;

	c->size += (size_t)ALIGN(bytes, 64ull);
	return p;
}

static void carve_bitmap(struct carver *c, struct hbitmap *hb, u64 bits)
{
	void *p = carve(c, hbitmap_bytes(bits));

	if (p)
		hbitmap_init(hb, bits, p);
}

static void carve_all(struct slotmap *map, const struct geometry *g, struct carver *c)
{
	u64 n = g->nr_slots, pages = DIV_ROUND_UP_ULL(n, LARDER_ENTRIES_PER_PAGE);
	u32 shards = nr_shards_of(n);

	map->slots = carve(c, n * sizeof(struct slot));
	map->wide = NULL;
	if (g->grains_per_block > 16)
		map->wide = carve(c, n * sizeof(struct slot_masks));
	map->heads = carve(c, (u64)shards * heads_per_shard_of(n) * sizeof(u32));
	map->shards = carve(c, shards * sizeof(struct slot_shard));
	carve_bitmap(c, &map->changed, n);
	carve_bitmap(c, &map->lazy, n);
	carve_bitmap(c, &map->free, n);
	carve_bitmap(c, &map->dirty_regions, nr_regions_of(g));
	carve_bitmap(c, &map->intent_wanted, pages * INTENT_GROUPS_PER_PAGE);
	carve_bitmap(c, &map->intent_live, pages * INTENT_GROUPS_PER_PAGE);
	carve_bitmap(c, &map->intent_used, pages * INTENT_GROUPS_PER_PAGE);
}

size_t slotmap_bytes(const struct geometry *g)
{
	struct carver c = { NULL, 0 };
	struct slotmap scratch;

	carve_all(&scratch, g, &c);
	return c.size;
}

void slotmap_init(struct slotmap *map, const struct geometry *g, void *memory)
{
	struct carver c = { memory, 0 };
	u64 i, nr_heads;

	memset(map, 0, sizeof(*map));
	map->g = g;
	map->nr_slots = (u32)g->nr_slots;
	map->nr_shards = nr_shards_of(g->nr_slots);
	map->heads_per_shard = heads_per_shard_of(g->nr_slots);
	map->region_shift = region_shift_of(g);
	map->nr_regions = nr_regions_of(g);
	map->nr_pages = DIV_ROUND_UP_ULL(g->nr_slots, LARDER_ENTRIES_PER_PAGE);
	carve_all(map, g, &c);
	nr_heads = (u64)map->nr_shards * map->heads_per_shard;
	for (i = 0; i < nr_heads; i++)
		map->heads[i] = SLOT_NONE;
}

u32 slotmap_shard(const struct slotmap *map, u64 block)
{
	return (u32)hash_block(slotmap_region(map, block)) & (map->nr_shards - 1);
}

u64 slotmap_region_left(const struct slotmap *map, u64 sector)
{
	u64 region = slotmap_region(map, geometry_block_of(map->g, sector));
	u64 end = geometry_block_start(map->g, (region + 1) << map->region_shift);

	return min(end, map->g->origin_sectors) - sector;
}

static u32 *head_of(const struct slotmap *map, u64 block)
{
	u64 hash = hash_block(block) >> 10;

	return &map->heads[(u64)slotmap_shard(map, block) * map->heads_per_shard +
			   (hash & (map->heads_per_shard - 1))];
}

u32 slotmap_peek(const struct slotmap *map, u64 block)
{
	u32 slot = READ_ONCE(*head_of(map, block)), steps;

	/* bounded: a chain that changes under us may lead into another one */
	for (steps = 0; slot != SLOT_NONE && steps < CHAIN_STEPS_MAX; steps++) {
		if (slot_block(&map->slots[slot]) == block)
			return slot;
		slot = READ_ONCE(map->slots[slot].next);
	}
	return SLOT_NONE;
}

u32 slotmap_find(const struct slotmap *map, u64 block)
{
	u32 slot = *head_of(map, block);

	while (slot != SLOT_NONE && slot_block(&map->slots[slot]) != block)
		slot = map->slots[slot].next;
	return slot;
}

static void chain_add(struct slotmap *map, u32 slot, u64 block)
{
	u32 *head = head_of(map, block);

	WRITE_ONCE(map->slots[slot].next, *head);
	smp_store_release(head, slot);
}

static void chain_remove(struct slotmap *map, u32 slot)
{
	u32 *link = head_of(map, slot_block(&map->slots[slot]));

	while (*link != slot) {
		if (core_broken(*link == SLOT_NONE))
			return;
		link = &map->slots[*link].next;
	}
	WRITE_ONCE(*link, map->slots[slot].next);
}

u32 slotmap_take_free(struct slotmap *map)
{
	unsigned long slot;

	if (core_unlikely(30))
		return SLOT_NONE;
	/* onwards from the last one: neighbours share a table page */
	slot = hbitmap_next(&map->free, map->free_cursor);
	if (slot >= map->usable_slots)
		slot = hbitmap_next(&map->free, 0);
	if (slot >= map->usable_slots)
		return SLOT_NONE;
	hbitmap_clear(&map->free, slot);
	atomic64_dec(&map->nr_free);
	map->free_cursor = (u32)slot + 1;
	return (u32)slot;
}

void slotmap_give_back(struct slotmap *map, u32 slot)
{
	hbitmap_set(&map->free, slot);
	atomic64_inc(&map->nr_free);
}

void slotmap_set_usable(struct slotmap *map, u64 slots)
{
	u32 usable = (u32)min_t(u64, slots, map->nr_slots);

	/* what was not formatted has never been used */
	if (usable > map->usable_slots)
		atomic64_add(usable - map->usable_slots, &map->nr_free);
	map->usable_slots = usable;
}

void slot_insert(struct slotmap *map, u32 slot, u64 block, enum slot_state state, u32 writers)
{
	struct slot *s = &map->slots[slot];
	u64 word = slot_word(map, slot);

	invariant(I2_FORGET_BEFORE_DIVERGENCE, word_state(word) == SLOT_FREE);
	core_assert(!slot_valid(map, slot) && !slot_dirty(map, slot));
	WRITE_ONCE(s->block_low, (u32)block);
	WRITE_ONCE(s->block_high, (u8)(block >> 32));
	WRITE_ONCE(s->heat, 0);
	s->unsynced_fill = 0;
	s->write_epoch = READ_ONCE(map->write_epoch);
	word &= ~(WORD_VERSION - 1);
	/* whoever sees the word sees the block */
	atomic64_set_release(&s->word,
			     (s64)((word + WORD_VERSION) | state | writers * WORD_WRITER));
	chain_add(map, slot, block);
	atomic64_inc(&map->nr_used);
}

void slot_unmap(struct slotmap *map, u32 slot)
{
	struct slot *s = &map->slots[slot];
	u64 word = slot_word(map, slot);

	invariant(I2_FORGET_BEFORE_DIVERGENCE, word_state(word) == SLOT_FORGETTING &&
		  !(word & (WORD_WRITERS_MASK | WORD_READERS_MASK)));
	invariant(I8_DIRTY_NEVER_DROPPED, !slot_dirty(map, slot));
	chain_remove(map, slot);
	shard_move_on(map, slot_block(s));
	if (map->wide)
		WRITE_ONCE(map->wide[slot].valid, 0);
	WRITE_ONCE(s->valid, 0);
	word &= ~(WORD_VERSION - 1);
	atomic64_set(&s->word, (s64)((word + WORD_VERSION) | SLOT_FREE));
	hbitmap_clear(&map->lazy, slot);
	hbitmap_clear(&map->changed, slot);
	atomic64_dec(&map->nr_used);
}

bool slotmap_withdraw_intent(struct slotmap *map, u64 group)
{
	u64 slot, end = min_t(u64, intent_group_end(group), map->nr_slots);
	bool busy = core_unlikely(20);

	/* slot_written() must not take the moment's absence for a broken promise */
	WRITE_ONCE(map->withdrawing, (u32)group + 1);
	hbitmap_clear(&map->intent_live, group);
	/* a writer takes its hold before it looks at the intent */
	smp_mb__after_atomic();
	for (slot = intent_group_start(group); slot < end; slot++)
		busy |= (slot_word(map, (u32)slot) & WORD_WRITERS_MASK) != 0;
	if (busy)
		hbitmap_set(&map->intent_live, group);
	smp_store_release(&map->withdrawing, 0);
	return !busy;
}

static void load_masks(struct slotmap *map, u32 slot, u64 valid, u64 dirty)
{
	if (map->wide) {
		map->wide[slot].valid = valid;
		map->wide[slot].dirty = dirty;
	} else {
		map->slots[slot].valid = (u16)valid;
		map->slots[slot].dirty = (u16)dirty;
	}
}

int slotmap_load_entry(struct slotmap *map, u32 slot, const struct larder_entry *entry)
{
	u64 block_flags = le64_to_cpu(entry->block_flags), block = block_flags & LARDER_BLOCK_MASK;
	struct slot *s = &map->slots[slot];
	bool used = block_flags & LARDER_ENTRY_USED;
	u64 valid = used ? le64_to_cpu(entry->valid) : 0;
	u64 dirty = used ? le64_to_cpu(entry->dirty) : 0;

	if (slot >= map->nr_slots)
		return -EUCLEAN;
	s->block_low = (u32)block;
	s->block_high = (u8)(block >> 32);
	load_masks(map, slot, valid, dirty & valid);
	atomic64_set(&s->word, used ? SLOT_VALID : SLOT_FREE);
	return 0;
}

void slotmap_load_intent(struct slotmap *map, u64 page, u8 intent, u64 intent_slots)
{
	u64 start = page * LARDER_ENTRIES_PER_PAGE, slot;
	u64 end = min_t(u64, start + LARDER_ENTRIES_PER_PAGE, map->nr_slots);

	/* should they have to be recorded again before they are withdrawn */
	if (intent != LARDER_INTENT_NONE)
		map->intent_kind = intent;
	for (slot = start; intent != LARDER_INTENT_NONE && slot < end; slot++) {
		struct slot_masks masks = {
			.valid = slot_valid(map, (u32)slot),
			.dirty = slot_dirty(map, (u32)slot),
		};

		if (!(intent_slots >> (slot - start) / LARDER_SLOTS_PER_INTENT_BIT & 1))
			continue;
		/* on disk, whatever is made of it: to be withdrawn */
		hbitmap_set(&map->intent_live, slot_intent_group((u32)slot));
		if (word_state(slot_word(map, (u32)slot)) == SLOT_FREE ||
		    masks.valid == masks.dirty)
			continue;
		if (intent == LARDER_INTENT_WRITE_BACK)
			masks.dirty = masks.valid;
		else
			masks.valid = masks.dirty;
		load_masks(map, (u32)slot, masks.valid, masks.dirty);
		hbitmap_set(&map->changed, slot);
	}
}

int slotmap_load_end(struct slotmap *map, u64 usable, u64 *block)
{
	u32 slot;

	for (slot = 0; slot < map->nr_slots; slot++) {
		struct slot *s = &map->slots[slot];

		if (word_state(slot_word(map, slot)) == SLOT_FREE) {
			hbitmap_set(&map->free, slot);
			continue;
		}
		*block = slot_block(s);
		if (slot >= usable || *block >= map->g->nr_origin_blocks ||
		    slotmap_find(map, *block) != SLOT_NONE)
			return -EUCLEAN;
		chain_add(map, slot, *block);
		atomic64_inc(&map->nr_used);
		if (!slot_dirty(map, slot))
			continue;
		atomic64_inc(&map->nr_dirty);
		hbitmap_set(&map->dirty_regions, slotmap_region(map, *block));
	}
	/* an unused tail counts as free only once it is usable */
	map->usable_slots = (u32)min_t(u64, usable, map->nr_slots);
	atomic64_set(&map->nr_free, (s64)map->usable_slots - atomic64_read(&map->nr_used));
	return 0;
}

void slotmap_trim(struct slotmap *map, u32 slot, u64 grains)
{
	u64 valid = slot_valid(map, slot), dirty = slot_dirty(map, slot);

	if (!(valid & ~grains))
		return;
	load_masks(map, slot, valid & grains, dirty & grains);
	if (dirty && !(dirty & grains))
		atomic64_dec(&map->nr_dirty);
	hbitmap_set(&map->changed, slot);
}

static void copy_slot(struct slotmap *map, struct slotmap *from, u32 slot)
{
	u64 word = slot_word(from, slot), block = slot_block(&from->slots[slot]);

	core_assert(!(word & (WORD_WRITERS_MASK | WORD_READERS_MASK)));
	map->slots[slot] = from->slots[slot];
	if (map->wide)
		map->wide[slot] = from->wide[slot];
	if (word_state(word) == SLOT_FREE)
		return;
	core_assert(block < map->g->nr_origin_blocks);
	chain_add(map, slot, block);
	if (slot_dirty(map, slot))
		hbitmap_set(&map->dirty_regions, slotmap_region(map, block));
}

static void copy_bits(struct hbitmap *to, struct hbitmap *from)
{
	unsigned long bit;

	for (bit = hbitmap_next(from, 0); bit != HBITMAP_NONE; bit = hbitmap_next(from, bit + 1))
		hbitmap_set(to, bit);
}

void slotmap_grow(struct slotmap *map, struct slotmap *from)
{
	u32 slot;

	core_assert(map->nr_slots >= from->nr_slots && !map->wide == !from->wide &&
		    map->region_shift == from->region_shift);
	for (slot = 0; slot < from->nr_slots; slot++)
		copy_slot(map, from, slot);
	copy_bits(&map->free, &from->free);
	for (; slot < map->nr_slots; slot++)
		hbitmap_set(&map->free, slot);
	copy_bits(&map->changed, &from->changed);
	copy_bits(&map->lazy, &from->lazy);
	copy_bits(&map->intent_wanted, &from->intent_wanted);
	copy_bits(&map->intent_live, &from->intent_live);
	copy_bits(&map->intent_used, &from->intent_used);
	map->intent_kind = from->intent_kind;
	map->heat_max = from->heat_max;
	map->write_epoch = from->write_epoch;
	map->free_cursor = from->free_cursor;
	map->usable_slots = from->usable_slots;
	atomic64_set(&map->nr_free, atomic64_read(&from->nr_free));
	atomic64_set(&map->nr_used, atomic64_read(&from->nr_used));
	atomic64_set(&map->nr_dirty, atomic64_read(&from->nr_dirty));
}
