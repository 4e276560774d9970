// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Salvage: the frame, and the second part, the slot table.
 *
 * Every unit stands for itself: what verifies is believed, wherever the damage
 * around it, and what does not is counted as lost.
 */
#include <stdio.h>

#include "../dm-target/core/metadata-internal.h"
#include "progress.h"
#include "salvage.h"

#define PIECE METADATA_IO_UNITS_MAX

/* The double-write area, and what each image in it is worth. */
static struct {
	struct larder_double_header header;
	struct larder_page image[LARDER_DOUBLE_PAGES_MAX];
	bool intact[LARDER_DOUBLE_PAGES_MAX];
	bool listed[LARDER_DOUBLE_PAGES_MAX];	/* stands for its page, as when a cache starts */
} copies __attribute__((aligned(LARDER_UNIT_SIZE)));

static u8 piece[PIECE][LARDER_UNIT_SIZE] __attribute__((aligned(LARDER_UNIT_SIZE)));

static void see_unreadable(void *context, u64 unit, int error)
{
	struct salvage *s = context;

	s->losses.units_unreadable++;
	image_damage(&s->image, SEVERITY_DAMAGE, unit, "cannot be read: %s", strerror(error));
}

void salvage_read(struct salvage *s, u64 unit, u32 nr_units, void *buffer)
{
	u64 left = unit < s->device.units ? s->device.units - unit : 0;
	u32 here = (u32)min_t(u64, nr_units, left);

	memset((u8 *)buffer + (size_t)here * LARDER_UNIT_SIZE, 0,
	       (size_t)(nr_units - here) * LARDER_UNIT_SIZE);
	if (here)
		device_read_units(&s->device, unit, here, buffer);
	/* beyond the end of a device that was cut */
	s->losses.units_unreadable += nr_units - here;
}

/* --- the slot table --- */

static void read_copies(struct salvage *s)
{
	const struct geometry *g = &s->md->geometry;
	const struct larder_double_header *header = &copies.header;
	bool whole;
	u32 i;

	memset(&copies, 0, sizeof(copies));
	salvage_read(s, g->dw_start, 1 + g->dw_pages, &copies.header);
	whole = !unit_verify(header, LARDER_MAGIC_DOUBLE, g->dw_start,
			     s->md->buffers.super.header.uuid) &&
		le32_to_cpu(header->nr_images) <= g->dw_pages;
	for (i = 0; i < g->dw_pages; i++) {
		const struct larder_page *image = &copies.image[i];
		u64 page = le32_to_cpu(image->page);

		copies.intact[i] = page < s->image.nr_pages && !page_verify(s->md, image, page);
		copies.listed[i] = copies.intact[i] && whole &&
				   i < le32_to_cpu(header->nr_images) &&
				   header->images[i].page == cpu_to_le64(page) &&
				   header->images[i].crc == image->header.crc;
	}
}

static void take_entry(struct salvage *s, u64 slot, const struct larder_entry *entry, u64 unit)
{
	const char *what = entry_judge(&s->md->geometry, slot, entry);

	if (what) {
		s->losses.slots_impossible++;
		image_damage(&s->image, SEVERITY_DAMAGE, unit, "slot %llu: %s",
			     (unsigned long long)slot, what);
	} else if (entry->block_flags) {
		s->image.slots[slot] = (struct slot_state){
			.block_flags = le64_to_cpu(entry->block_flags),
			.valid = le64_to_cpu(entry->valid),
			.dirty = le64_to_cpu(entry->dirty),
			.hint = le32_to_cpu(entry->hint),
		};
	}
}

static void take_page(struct salvage *s, u64 number, const struct larder_page *page)
{
	struct page_state *state = &s->pages[number];
	u64 first = number * LARDER_ENTRIES_PER_PAGE;
	unsigned int i;

	state->intact = true;
	state->generation = min_t(u64, le64_to_cpu(page->generation), COUNTER_MAX);
	s->image.intents[number].kind = page->intent;
	s->image.intents[number].slots = le64_to_cpu(page->intent_slots);
	for (i = 0; i < LARDER_ENTRIES_PER_PAGE; i++)
		take_entry(s, first + i, &page->entries[i],
			   s->md->geometry.table_start + number);
}

static const struct larder_page *listed_copy(u64 number)
{
	u32 i;

	for (i = 0; i < LARDER_DOUBLE_PAGES_MAX; i++)
		if (copies.listed[i] && copies.image[i].page == cpu_to_le32((u32)number))
			return &copies.image[i];
	return NULL;
}

static void read_table(struct salvage *s)
{
	const struct geometry *g = &s->md->geometry;
	const struct larder_page *page;
	u64 first;
	u32 nr, i;

	progress_start("reading", s->image.nr_pages);
	for (first = 0; first < s->image.nr_pages; first += nr) {
		nr = (u32)min_t(u64, s->image.nr_pages - first, PIECE);
		salvage_read(s, g->table_start + first, nr, piece);
		for (i = 0; i < nr; i++) {
			page = listed_copy(first + i);
			if (!page)
				page = (const void *)piece[i];
			if (page_verify(s->md, page, first + i))
				continue;
			take_page(s, first + i, page);
			s->generation_max = max(s->generation_max,
						s->pages[first + i].generation);
		}
		progress_at(first + nr);
	}
	progress_end();
}

/*
 * A copy that no header vouches for may be older than its page was; the journal
 * has all that is missing in it unless it is older than the journal's floor.
 */
static void use_loose_copies(struct salvage *s)
{
	u32 i, j;

	for (i = 0; i < LARDER_DOUBLE_PAGES_MAX; i++) {
		const struct larder_page *best = &copies.image[i];
		u64 number = le32_to_cpu(best->page);

		if (!copies.intact[i] || s->pages[number].intact)
			continue;
		for (j = i + 1; j < LARDER_DOUBLE_PAGES_MAX; j++)
			if (copies.intact[j] && copies.image[j].page == best->page &&
			    le64_to_cpu(copies.image[j].generation) >
			    le64_to_cpu(best->generation))
				best = &copies.image[j];
		if (le64_to_cpu(best->generation) >= s->floor)
			take_page(s, number, best);
	}
}

/* --- the frame --- */

static int out_of_memory(void)
{
	complain("not enough memory");
	return EXIT_NO_MEMORY;
}

int salvage_open(struct salvage *s, const char *path)
{
	int code;

	s->image.device.fd = -1;
	code = device_open(&s->device, path);
	if (code)
		return code;
	s->device.unreadable = see_unreadable;
	s->device.context = s;
	s->md = aligned_alloc(LARDER_UNIT_SIZE, metadata_bytes());
	if (!s->md)
		return out_of_memory();
	metadata_init(s->md, s->device.units);
	if (!s->device.in_use)
		return salvage_super(s, path);
	complain("%s is in use by %s: deactivate the cache before", path, s->device.holder);
	return EXIT_NO_INPUT;
}

static int get_memory(struct salvage *s)
{
	u32 blocks = s->md->geometry.journal_blocks;

	s->nr_pages = s->image.nr_pages;
	s->nr_recorded = s->image.nr_slots;
	s->ring_bytes = (u64)blocks * LARDER_UNIT_SIZE;
	s->pages = reserve(s->nr_pages, sizeof(*s->pages));
	s->recorded = reserve(s->nr_recorded, sizeof(*s->recorded));
	s->ring = reserve(s->ring_bytes, 1);
	s->ring_valid = calloc(blocks, sizeof(*s->ring_valid));
	s->ring_unreadable = calloc(blocks, sizeof(*s->ring_unreadable));
	if (!s->pages || !s->recorded || !s->ring || !s->ring_valid || !s->ring_unreadable)
		return out_of_memory();
	return image_reserve(&s->image);
}

int salvage_run(struct salvage *s)
{
	int code = get_memory(s);

	if (code)
		return code;
	read_copies(s);
	read_table(s);
	salvage_read_journal(s);
	use_loose_copies(s);
	salvage_replay(s);
	return salvage_judge_slots(s);
}

void salvage_close(struct salvage *s)
{
	release(s->pages, s->nr_pages, sizeof(*s->pages));
	release(s->recorded, s->nr_recorded, sizeof(*s->recorded));
	release(s->ring, s->ring_bytes, 1);
	free(s->ring_valid);
	free(s->ring_unreadable);
	image_close(&s->image);
	free(s->md);
	if (s->device.fd >= 0)
		device_close(&s->device);
}

bool salvage_may_lack_dirty(const struct salvage *s)
{
	const struct salvage_losses *l = &s->losses;

	return l->slots_unknown || l->journal_blocks || l->slots_uncertain_dirty ||
	       l->slots_impossible || l->slots_doubled_dirty || l->slots_beyond_dirty ||
	       l->clean_dropped;
}
