// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes a metadata device as a whole, with the table pages as they should be
 * and an empty journal.  The rest of journal and table is zeroed: the uuid may
 * be that of units which are still there.
 */
#include "build.h"
#include "progress.h"

#define PIECE 256u	/* units in one write */

static u8 buffer[PIECE][LARDER_UNIT_SIZE] __attribute__((aligned(LARDER_UNIT_SIZE)));

static u64 units_with_journal(const struct geometry *g, u32 journal_blocks)
{
	return 2 + 1 + (u64)g->dw_pages + journal_blocks + g->table_pages;
}

u64 build_units_needed(const struct geometry *g)
{
	return units_with_journal(g, JOURNAL_BLOCKS_MIN);
}

static bool layout_ends_within(const struct geometry *g, u64 units)
{
	return g->dw_start + 1 + g->dw_pages <= units &&
	       g->journal_start + g->journal_blocks <= units &&
	       g->table_start + g->table_pages <= units;
}

bool build_fit(struct geometry *g, u64 units)
{
	u64 needed = build_units_needed(g);

	g->metadata_units = units;
	if (layout_ends_within(g, units))
		return true;
	if (needed > units)
		return false;
	g->journal_blocks = (u32)min_t(u64, JOURNAL_BLOCKS_MIN + units - needed,
				       JOURNAL_BLOCKS_MAX);
	g->dw_start = 2;
	g->journal_start = g->dw_start + 1 + g->dw_pages;
	g->table_start = g->journal_start + g->journal_blocks;
	return true;
}

static bool marked(const void *unit, const char *mark, size_t size)
{
	const struct larder_unit_header *header = unit;

	return header->magic == cpu_to_le64(LARDER_MAGIC_SUPER) &&
	       !memcmp((const char *)unit + sizeof(*header), mark, size);
}

bool build_marked(const void *unit)
{
	return marked(unit, BUILD_MARK, sizeof(BUILD_MARK));
}

bool convert_marked(const void *unit)
{
	return marked(unit, CONVERT_MARK, sizeof(CONVERT_MARK));
}

static int write_mark(struct target *t)
{
	struct larder_unit_header *header = (void *)buffer[0];
	int code;

	memset(buffer, 0, 2 * LARDER_UNIT_SIZE);
	header->magic = cpu_to_le64(LARDER_MAGIC_SUPER);
	memcpy(buffer[0] + sizeof(*header), BUILD_MARK, sizeof(BUILD_MARK));
	code = target_write(t, 0, 2, buffer);
	return code ? code : target_flush(t);
}

static int write_zeros(struct target *t, u64 unit, u64 nr)
{
	int code = 0;
	u32 piece;

	if (t->created)		/* it has nothing else */
		return 0;
	memset(buffer, 0, sizeof(buffer));
	for (; nr && !code; unit += piece, nr -= piece) {
		piece = (u32)min_t(u64, nr, PIECE);
		code = target_write(t, unit, piece, buffer);
		progress_at(unit + piece);
	}
	return code;
}

static int write_double_header(const struct build *b, struct target *t)
{
	const struct geometry *g = &b->image->geometry;

	memset(buffer[0], 0, LARDER_UNIT_SIZE);
	unit_seal(buffer[0], LARDER_MAGIC_DOUBLE, g->dw_start, b->super.header.uuid);
	return target_write(t, g->dw_start, 1, buffer);
}

static void fill_page(const struct build *b, struct larder_page *page, u64 number)
{
	const struct image *image = b->image;
	u64 slot = number * LARDER_ENTRIES_PER_PAGE;
	unsigned int i;

	memset(page, 0, sizeof(*page));
	page->generation = b->super.tail_seq;
	page->page = cpu_to_le32((u32)number);
	page->intent = image->intents[number].kind;
	page->intent_slots = cpu_to_le64(image->intents[number].slots);
	for (i = 0; i < LARDER_ENTRIES_PER_PAGE && slot < image->nr_slots; i++, slot++) {
		const struct slot_state *state = &image->slots[slot];
		struct larder_entry *entry = &page->entries[i];

		if (!slot_used(state))
			continue;
		entry->block_flags = cpu_to_le64(state->block_flags);
		entry->valid = cpu_to_le64(state->valid);
		entry->dirty = cpu_to_le64(state->dirty);
		entry->hint = cpu_to_le32(state->hint);
	}
	unit_seal(page, LARDER_MAGIC_PAGE, image->geometry.table_start + number,
		  b->super.header.uuid);
}

static int write_table(const struct build *b, struct target *t)
{
	const struct geometry *g = &b->image->geometry;
	u64 page = 0;
	int code = 0;
	u32 piece, i;

	for (; page < b->image->nr_pages && !code; page += piece) {
		piece = (u32)min_t(u64, b->image->nr_pages - page, PIECE);
		for (i = 0; i < piece; i++)
			fill_page(b, (struct larder_page *)buffer[i], page + i);
		code = target_write(t, g->table_start + page, piece, buffer);
		progress_at(g->table_start + page + piece);
	}
	if (!code)
		code = write_zeros(t, g->table_start + page, g->table_pages - page);
	return code;
}

/* The unit that the generation belongs into. */
static int write_super(struct build *b, struct target *t, u64 generation)
{
	b->super.generation = cpu_to_le64(generation);
	memcpy(buffer[0], &b->super, LARDER_UNIT_SIZE);
	unit_seal(buffer[0], LARDER_MAGIC_SUPER, generation & 1, b->super.header.uuid);
	return target_write(t, generation & 1, 1, buffer);
}

/* Unit 0, which decides what a device is, comes last. */
static int write_supers(struct build *b, struct target *t)
{
	u64 newer = max_t(u64, le64_to_cpu(b->super.generation), 2), odd = newer - !(newer & 1);
	u64 even = newer - (newer & 1);
	int code = write_super(b, t, odd);

	if (!code)
		code = target_flush(t);
	if (!code)
		code = write_super(b, t, even);
	b->super.generation = cpu_to_le64(newer);
	return code ? code : target_flush(t);
}

int build_write(struct build *b, struct target *t)
{
	const struct geometry *g = &b->image->geometry;
	struct geometry judged;
	int code;

	geometry_to_super(g, &b->super);
	b->super.formatted_pages = cpu_to_le64(b->image->nr_pages);
	/* whatever led here: the kernel must be able to start it */
	if (core_broken(!geometry_from_super(&judged, &b->super, t->units)))
		return EXIT_DAMAGED;
	progress_start("writing", g->table_start + g->table_pages);
	code = write_mark(t);
	if (!code)
		code = write_zeros(t, g->dw_start, 1 + g->dw_pages);
	if (!code)
		code = write_double_header(b, t);
	if (!code)
		code = write_zeros(t, g->journal_start, g->journal_blocks);
	if (!code)
		code = write_table(b, t);
	if (!code)
		code = target_flush(t);
	if (!code)
		code = write_supers(b, t);
	progress_end();
	return code;
}
