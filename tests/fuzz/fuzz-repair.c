// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: `larder repair` on hostile and on damaged metadata.
 *
 *	- what it writes is sound: check finds nothing, the module opens it;
 *	- no mapping is invented: each is said somewhere in the input;
 *	- metadata without damage comes out as it was;
 *	- where units are damaged and nothing is forged, each slot that comes out
 *	  is as it truly was, and if one that is missing may have been dirty,
 *	  repair says so.
 */
#include <json-c/json.h>
#include <stdio.h>

#include "image-input.h"
#include "loader.h"
#include "tool.h"

#define OUTPUT_EXISTS IMAGE_OPTION_A

/* What an image says about slots: every entry and record that verifies. */
#define SAID_MAX (DISK_UNITS_MAX * LARDER_RECORDS_PER_BLOCK)

static struct {
	u64 generation;			/* the highest of a page */
	u32 nr;
	u32 first[LOADER_SLOTS_MAX];	/* by slot, plus one; 0: none */
	struct {
		struct shown_slot state;
		u32 next;
	} said[SAID_MAX];
} input_says;

static struct loader *loader;
static struct shown *before;
static struct tool_file input, output;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	loader = loader_new();
	before = fuzz_alloc(1, sizeof(*before));
	tool_file_init(&input, "input");
	tool_file_init(&output, "output");
	return 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned int seed)
{
	return image_mutate(data, size, max_size, seed);
}

/* --- all that the input says --- */

static void hear(u64 slot, u64 block_flags, u64 valid, u64 dirty)
{
	if (slot >= LOADER_SLOTS_MAX || !(block_flags & LARDER_ENTRY_USED))
		return;
	FUZZ_CHECK(input_says.nr < SAID_MAX);
	input_says.said[input_says.nr].state = (struct shown_slot){ block_flags, valid, dirty };
	input_says.said[input_says.nr].next = input_says.first[slot];
	input_says.first[slot] = ++input_says.nr;
}

static void hear_page(const struct larder_page *page)
{
	u32 i;

	input_says.generation = max(input_says.generation, le64_to_cpu(page->generation));
	for (i = 0; i < LARDER_ENTRIES_PER_PAGE; i++)
		hear((u64)le32_to_cpu(page->page) * LARDER_ENTRIES_PER_PAGE + i,
		     le64_to_cpu(page->entries[i].block_flags),
		     le64_to_cpu(page->entries[i].valid), le64_to_cpu(page->entries[i].dirty));
}

static void hear_block(const struct larder_journal_block *block)
{
	u32 i;

	for (i = 0; i < LARDER_RECORDS_PER_BLOCK; i++)
		if (block->records[i].type == LARDER_RECORD_ENTRY)
			hear(le32_to_cpu(block->records[i].index),
			     le64_to_cpu(block->records[i].block_flags),
			     le64_to_cpu(block->records[i].valid),
			     le64_to_cpu(block->records[i].dirty));
}

static void hear_all(const struct metadata_disk *disk)
{
	const struct larder_unit_header *header;
	u64 unit, number;

	memset(input_says.first, 0, sizeof(input_says.first));
	input_says.nr = 0;
	input_says.generation = 0;
	for (unit = 0; unit < disk->units; unit++) {
		header = (const void *)disk->unit[unit];
		/* copies carry the number of their home */
		number = le64_to_cpu(header->unit);
		if (!unit_verify(header, LARDER_MAGIC_PAGE, number, header->uuid))
			hear_page((const void *)header);
		else if (!unit_verify(header, LARDER_MAGIC_JOURNAL, number, header->uuid))
			hear_block((const void *)header);
	}
}

static void check_said(u32 slot, const struct shown_slot *state)
{
	const struct shown_slot *said;
	u32 next;

	for (next = input_says.first[slot]; next; next = input_says.said[next - 1].next) {
		said = &input_says.said[next - 1].state;
		if (said->block_flags == state->block_flags && !(state->valid & ~said->valid) &&
		    !(state->dirty & ~said->dirty))
			return;
	}
	FUZZ_CHECK(false, "slot %u: 0x%llx 0x%llx 0x%llx is said nowhere", slot,
		   (unsigned long long)state->block_flags, (unsigned long long)state->valid,
		   (unsigned long long)state->dirty);
}

static void check_nothing_invented(void)
{
	u32 slot;

	for (slot = 0; slot < LOADER_SLOTS_MAX; slot++)
		if (loader->shown.slot[slot].block_flags)
			check_said(slot, &loader->shown.slot[slot]);
}

/* --- truth --- */

/* Grains that are dirty when the cache is started. */
static u64 dirty_at_start(const struct shown *shown, u32 slot)
{
	const struct shown_intent *intent = &shown->intent[slot / LARDER_ENTRIES_PER_PAGE];
	u32 bit = slot % LARDER_ENTRIES_PER_PAGE / LARDER_SLOTS_PER_INTENT_BIT;

	if (intent->kind == LARDER_INTENT_WRITE_BACK && intent->slots >> bit & 1)
		return shown->slot[slot].valid;
	return shown->slot[slot].dirty;
}

/*
 * An intent that is lost is made up for: by one for all slots, or by giving up
 * what is clean.  So what counts is what is made of the slots at the start.
 */
static void check_truth(const struct shown *found, const struct shown *truth, bool told)
{
	const struct shown_slot *now, *then;
	u32 slot;

	for (slot = 0; slot < LOADER_SLOTS_MAX; slot++) {
		now = &found->slot[slot];
		then = &truth->slot[slot];
		FUZZ_CHECK(!now->block_flags || !memcmp(now, then, sizeof(*now)),
			   "slot %u is not as it was", slot);
		FUZZ_CHECK(told || !(dirty_at_start(truth, slot) & ~dirty_at_start(found, slot)),
			   "slot %u: dirty data is lost in silence", slot);
	}
}

/* Blocks of the last commit may as well never have been written. */
static bool may_be_torn(const struct image_input *image)
{
	const struct base *base = image->base;
	u64 sequence;

	for (sequence = base->last_commit; sequence < base->head_seq; sequence++)
		if (image->disk->touched[base->geometry.journal_start +
					 sequence % base->geometry.journal_blocks])
			return true;
	return image->disk->units < base->disk.units;
}

static const struct shown *truth_of(const struct base *base)
{
	static struct shown *truths[NR_BASES];
	struct metadata_disk copy = base->disk;
	u32 number;

	for (number = 0; base != base_get(number); number++)
		;
	if (!truths[number]) {
		truths[number] = fuzz_alloc(1, sizeof(*truths[number]));
		FUZZ_CHECK(loader_probe(loader, &copy) == METADATA_OURS);
		FUZZ_CHECK(!loader_load(loader, false, false));
		memcpy(truths[number], &loader->shown, sizeof(loader->shown));
	}
	return truths[number];
}

/* --- repair --- */

static char sizes[4][24];

static char *run_repair(const struct image_input *image, int *code)
{
	static const char *const sizes_of[] = {
		"--chunk-size", "--cache-size", "--origin-size", "--metadata-size",
	};
	const struct geometry *g = &image->base->geometry;
	const u64 values[] = {
		g->chunk_sectors, g->cache_sectors, g->origin_sectors,
		g->metadata_units * LARDER_UNIT_SECTORS,
	};
	const char *arguments[20] = { "--json", "-i", input.path, "-o", output.path };
	u32 nr = 5, i;

	if (image->seed & 1)
		arguments[nr++] = "--wiped";
	if (image->seed & 2)
		arguments[nr++] = "--keep-uncertain";
	for (i = 0; image->seed & 4 && i < ARRAY_SIZE(sizes_of); i++) {
		snprintf(sizes[i], sizeof(sizes[i]), "%llu", (unsigned long long)values[i]);
		arguments[nr++] = sizes_of[i];
		arguments[nr++] = sizes[i];
	}
	return tool_run(&command_repair, code, arguments);
}

/*
 * Numbers that say what is older than what: repair relies on more of them than
 * a start does, and comes to other results when they are forged.
 */
static bool forged_order(const struct image_input *image)
{
	const struct base *base = image->base;
	const size_t at = offsetof(struct larder_page, generation);
	u64 unit;

	if (super_tail(loader->md) != base->tail_seq ||
	    le64_to_cpu(metadata_super(loader->md)->epoch) != base->epoch)
		return true;
	for (unit = 2; unit < base->disk.units; unit++)
		if (memcmp(image->disk->unit[unit] + at, base->disk.unit[unit] + at, sizeof(u64)))
			return true;
	/* records that are in the table already are not looked at: they may be forged */
	return input_says.generation > base->tail_seq;
}

/* The input loads without any damage: all of it must come out. */
static bool load_before(const struct image_input *image)
{
	bool whole = loader_probe(loader, image->disk) == METADATA_OURS &&
		     !loader_load(loader, false, false) && !loader->beyond &&
		     !forged_order(image);

	memcpy(before, &loader->shown, sizeof(*before));
	return whole;
}

static void check_output(const struct image_input *image, int repair_code, bool whole)
{
	static struct metadata_disk disk;
	int code;

	if (!disk.unit)
		disk_init(&disk, DISK_UNITS_MAX);
	if (!tool_file_read(&output, &disk))
		return;		/* larger than what we can hold */
	free(TOOL_RUN(&command_check, &code, "--quiet", output.path));
	FUZZ_CHECK(code == EXIT_OK, "check: %d", code);
	FUZZ_CHECK(loader_probe(loader, &disk) == METADATA_OURS);
	FUZZ_CHECK(!loader_load(loader, false, false) && !metadata_journal_used(loader->md));
	check_nothing_invented();
	if (image->flags & IMAGE_DAMAGE && !(image->seed & 2) && !may_be_torn(image))
		check_truth(&loader->shown, truth_of(image->base), repair_code == EXIT_DAMAGED);
	else if (whole && repair_code == EXIT_OK && !(image->seed & 4))
		shown_check_equal(&loader->shown, before, "repair of what is whole");
	if (loader->geometry.nr_origin_blocks > 1u << 22)
		return;
	code = loader_open(loader, &disk, 0);
	loader_close(loader);
	FUZZ_CHECK(!code, "module: %d", code);
}

static bool was_written(const char *json)
{
	struct json_object *o = tool_parse_json(json), *value;
	bool written;

	FUZZ_CHECK(json_object_object_get_ex(o, "written", &value));
	written = json_object_get_boolean(value);
	json_object_put(o);
	return written;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct image_input image;
	bool whole, written;
	char *json;
	int code;

	image_read(&image, data, size);
	if (image.flags & IMAGE_DAMAGE)
		truth_of(image.base);
	hear_all(image.disk);
	whole = load_before(&image);
	if (image.disk->units && counters_run_out(loader->md))
		return 0;
	tool_file_write(&input, image.disk->unit, image.disk->units * LARDER_UNIT_SIZE);
	if (image.flags & OUTPUT_EXISTS)
		tool_file_garbage(&output, DISK_UNITS_MAX);
	else
		tool_file_remove(&output);
	json = run_repair(&image, &code);
	/* the tool may have been refused before there was anything to say */
	written = *json && was_written(json);
	FUZZ_CHECK(!written || code == EXIT_OK || code == EXIT_DAMAGED, "%d", code);
	FUZZ_CHECK(written || code != EXIT_OK);
	free(json);
	if (written)
		check_output(&image, code, whole);
	return 0;
}
