// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Salvage, last part: which slots are certain (see salvage-journal.c), and
 * whether what they say goes together.
 */
#include "../dm-target/core/metadata-internal.h"
#include "salvage.h"

#define LL(n) ((unsigned long long)(n))
#define ALL_INTENT_SLOTS ((1ull << LARDER_ENTRIES_PER_PAGE / LARDER_SLOTS_PER_INTENT_BIT) - 1)

static void drop(struct salvage *s, u64 slot)
{
	s->image.slots[slot] = (struct slot_state){ 0 };
}

/* --- certain or not --- */

/* Pages from here on are as blank as they look. */
static u64 pages_formatted(const struct salvage *s)
{
	u64 nr = s->image.nr_pages;

	if (s->both_supers)
		return nr;
	while (nr > le64_to_cpu(s->super.formatted_pages) && nr > s->pages_named &&
	       !s->pages[nr - 1].intact)
		nr--;
	return nr;
}

/* To a page that is intact. */
static bool hole_matters(const struct salvage *s, const struct page_state *page)
{
	return s->hole && s->hole >= s->floor && s->hole >= page->generation;
}

static void judge_slot(struct salvage *s, const struct page_state *page, u64 slot)
{
	struct slot_state *state = &s->image.slots[slot];
	u64 recorded = s->recorded[slot];

	if (recorded > s->hole || (page->intact && !hole_matters(s, page)))
		return;
	if (!page->intact)
		s->losses.slots_unknown++;
	if (!slot_used(state))
		return;		/* in a page that is intact, journal_blocks tells */
	s->losses.slots_uncertain++;
	s->losses.slots_uncertain_dirty += state->dirty != 0;
	if (!s->options.keep_uncertain)
		drop(s, slot);
}

/* What kind of intents this cache has; LARDER_INTENT_NONE: unknown. */
static u8 intent_kind(const struct salvage *s)
{
	u64 i, nr[3] = { 0 };

	if (s->super_known && s->super.last_mode &&
	    s->super.last_mode <= LARDER_INTENT_WRITE_THROUGH &&
	    s->epoch == le64_to_cpu(s->super.epoch))
		return s->super.last_mode;
	for (i = 0; i < s->image.nr_pages; i++)
		nr[s->image.intents[i].kind]++;
	if (nr[LARDER_INTENT_WRITE_BACK] == nr[LARDER_INTENT_WRITE_THROUGH])
		return LARDER_INTENT_NONE;
	return nr[LARDER_INTENT_WRITE_BACK] > nr[LARDER_INTENT_WRITE_THROUGH] ?
	       LARDER_INTENT_WRITE_BACK : LARDER_INTENT_WRITE_THROUGH;
}

/* An intent that may have been there is taken for one. */
static void judge_intent(struct salvage *s, u64 number, u64 nr_used, u8 kind)
{
	const struct page_state *page = &s->pages[number];
	struct page_intent *intent = &s->image.intents[number];

	if (page->intact && !hole_matters(s, page))
		return;
	if (page->intent_sequence && page->intent_sequence > s->hole)
		return;
	*intent = (struct page_intent){ 0 };
	if (!nr_used)
		return;
	s->losses.pages_intent_unknown++;
	intent->slots = ALL_INTENT_SLOTS;
	intent->kind = kind ? kind : LARDER_INTENT_WRITE_THROUGH;
	s->losses.clean_dropped |= !kind;
}

static void judge_page(struct salvage *s, u64 number, u8 kind)
{
	const struct page_state *page = &s->pages[number];
	u64 slot = number * LARDER_ENTRIES_PER_PAGE, used = 0;
	u64 end = min_t(u64, slot + LARDER_ENTRIES_PER_PAGE, s->image.nr_slots);

	if (!page->intact) {
		s->losses.pages++;
		image_damage(&s->image, SEVERITY_DAMAGE, s->md->geometry.table_start + number,
			     "table page %llu (slots %llu to %llu) is lost", LL(number), LL(slot),
			     LL(end - 1));
	}
	for (; slot < end; slot++) {
		judge_slot(s, page, slot);
		used += slot_used(&s->image.slots[slot]);
	}
	judge_intent(s, number, used, kind);
}

/* --- the origin's end --- */

static u64 grains_within(const struct geometry *g, const struct slot_state *state)
{
	u64 block = slot_state_block(state);

	return block < g->nr_origin_blocks ? geometry_block_grains(g, block) : 0;
}

/* An older superblock may not know that the origin has grown. */
static void find_end(struct salvage *s)
{
	struct geometry *g = &s->image.geometry;
	u64 slot, end = 0;

	if (s->options.origin_sectors) {
		geometry_set_origin(g, s->options.origin_sectors);
		return;
	}
	if (s->both_supers)
		return;
	for (slot = 0; slot < s->image.nr_slots; slot++) {
		const struct slot_state *state = &s->image.slots[slot];

		if (slot_used(state) && (state->valid & ~grains_within(g, state)))
			end = max(end, (slot_state_block(state) + 1) * g->block_sectors);
	}
	if (end)
		geometry_set_origin(g, end);
}

static void cut_to_origin(struct salvage *s, u64 slot)
{
	struct slot_state *state = &s->image.slots[slot];
	u64 grains = grains_within(&s->image.geometry, state);

	if (!slot_used(state) || (grains && !(state->valid & ~grains)))
		return;
	s->losses.slots_beyond++;
	s->losses.slots_beyond_dirty += (state->dirty & ~grains) != 0;
	image_damage(&s->image, SEVERITY_DAMAGE, s->md->geometry.table_start +
		     geometry_table_page((u32)slot), "slot %llu: holds data of block %llu beyond "
		     "the end of the origin", LL(slot), LL(slot_state_block(state)));
	state->valid &= grains;
	state->dirty &= grains;
	if (!grains)
		drop(s, slot);
}

/* --- a block in two slots --- */

struct holding {
	u64 block;
	u64 recorded;
	u64 slot;
};

/* The youngest record of a block comes first. */
static int by_block(const void *a, const void *b)
{
	const struct holding *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	if (x->recorded != y->recorded)
		return x->recorded > y->recorded ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/*
 * A block is in one slot at a time, so the last record of it is the one that
 * holds.  What the table says has no order: then none of them is believed.
 */
static void resolve(struct salvage *s, const struct holding *first, u64 nr)
{
	bool decided = first[0].recorded > first[1].recorded;
	u64 i;

	for (i = decided ? 1 : 0; i < nr; i++) {
		s->losses.slots_doubled++;
		s->losses.slots_doubled_dirty += s->image.slots[first[i].slot].dirty != 0;
		drop(s, first[i].slot);
	}
	image_damage(&s->image, SEVERITY_DAMAGE, s->md->geometry.table_start +
		     geometry_table_page((u32)first->slot), decided ?
		     "%llu slots hold block %llu: the last that the journal names is kept" :
		     "%llu slots hold block %llu: which one is right is unknown, none is kept",
		     LL(nr), LL(first->block));
}

static int judge_doubles(struct salvage *s)
{
	u64 slot, nr = 0, i, j, nr_used = 0;
	struct holding *all;

	for (slot = 0; slot < s->image.nr_slots; slot++)
		nr_used += slot_used(&s->image.slots[slot]);
	all = reserve(nr_used, sizeof(*all));
	if (!all) {
		complain("not enough memory for %llu slots", LL(nr_used));
		return EXIT_NO_MEMORY;
	}
	for (slot = 0; slot < s->image.nr_slots; slot++)
		if (slot_used(&s->image.slots[slot]))
			all[nr++] = (struct holding){ slot_state_block(&s->image.slots[slot]),
						      s->recorded[slot], slot };
	qsort(all, nr, sizeof(*all), by_block);
	for (i = 0; i < nr; i = j) {
		for (j = i + 1; j < nr && all[j].block == all[i].block; j++)
			;
		if (j > i + 1)
			resolve(s, &all[i], j - i);
	}
	release(all, nr_used, sizeof(*all));
	return 0;
}

int salvage_judge_slots(struct salvage *s)
{
	u64 nr = pages_formatted(s), number, slot, told;
	u8 kind = intent_kind(s);
	int code;

	for (number = 0; number < nr; number++)
		judge_page(s, number, kind);
	find_end(s);
	for (slot = 0; slot < s->image.nr_slots; slot++)
		cut_to_origin(s, slot);
	code = judge_doubles(s);
	if (code)
		return code;
	/* what comes out must satisfy the judge of whole devices */
	told = s->image.nr_damages[SEVERITY_DAMAGE];
	code = judge_slots(&s->image);
	if (code || s->image.nr_damages[SEVERITY_DAMAGE] == told)
		return code;
	complain("what was salvaged does not go together, nothing is written: please report this");
	return EXIT_DAMAGED;
}
