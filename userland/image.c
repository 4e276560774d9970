// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a metadata device into memory through the metadata core.
 *
 * What is read is not trusted.  Memory is taken for the table pages that the
 * superblock calls formatted, after the core has seen that they fit the
 * device, and is only touched for entries of pages that verify.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "image.h"

void image_damage(struct image *image, enum severity severity, u64 unit, const char *format, ...)
{
	struct damage *damage = &image->damages[image->nr_kept];
	va_list args;

	image->nr_damages[severity]++;
	if (image->nr_kept == DAMAGES_KEPT)
		return;
	image->nr_kept++;
	damage->unit = unit;
	damage->severity = severity;
	damage->unreadable = false;
	va_start(args, format);
	vsnprintf(damage->what, sizeof(damage->what), format, args);
	va_end(args);
}

/* Once for each unit, however often it is tried. */
static void note_unreadable(void *context, u64 unit, int error)
{
	struct image *image = context;
	u32 i;

	for (i = 0; i < image->nr_kept; i++)
		if (image->damages[i].unit == unit && image->damages[i].unreadable)
			return;
	image_damage(image, SEVERITY_DAMAGE, unit, "cannot be read: %s", strerror(error));
	if (image->nr_kept && image->nr_kept < DAMAGES_KEPT)
		image->damages[image->nr_kept - 1].unreadable = true;
}

bool image_read_unit(struct image *image, u64 unit, void *buffer)
{
	return unit < image->device.units && !device_read_unit(&image->device, unit, buffer);
}

void *reserve(u64 nr, size_t size)
{
	void *p;

	if (nr > SIZE_MAX / 2 / size)
		return NULL;
	p = mmap(NULL, (nr ? nr : 1) * size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void release(void *p, u64 nr, size_t size)
{
	if (p)
		munmap(p, (nr ? nr : 1) * size);
}

static int out_of_memory(void)
{
	complain("not enough memory");
	return EXIT_NO_MEMORY;
}

int image_reserve(struct image *image)
{
	image->slots = reserve(image->nr_slots, sizeof(*image->slots));
	image->intents = reserve(image->nr_pages, sizeof(*image->intents));
	return image->slots && image->intents ? 0 : out_of_memory();
}

int image_open(struct image *image, const char *path)
{
	int code, error;

	memset(image, 0, sizeof(*image));
	code = device_open(&image->device, path);
	if (code)
		return code;
	image->device.unreadable = note_unreadable;
	image->device.context = image;
	image->md = aligned_alloc(LARDER_UNIT_SIZE, metadata_bytes());
	if (!image->md) {
		device_close(&image->device);
		return out_of_memory();
	}
	metadata_init(image->md, image->device.units);
	error = device_run(&image->device, metadata_probe_begin(image->md));
	if (error) {
		complain("cannot read the superblocks of %s: %s", path, strerror(-error));
		image_close(image);
		return EXIT_IO;
	}
	image->found = metadata_found(image->md);
	image->foreign = metadata_foreign(image->md);
	if (image->found == METADATA_OURS)
		image->geometry = *metadata_geometry(image->md);
	return 0;
}

void image_close(struct image *image)
{
	release(image->slots, image->nr_slots, sizeof(*image->slots));
	release(image->intents, image->nr_pages, sizeof(*image->intents));
	free(image->md);
	image->md = NULL;
	if (image->device.fd >= 0)
		device_close(&image->device);
}

/* --- what the core shows us --- */

/* A block keeps its hint; a slot that changes hands loses it. */
static int see_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	struct image *image = context;
	struct slot_state *state;

	if (slot >= image->nr_slots)
		return -EUCLEAN;
	state = &image->slots[slot];
	if (entry->hint || state->block_flags != le64_to_cpu(entry->block_flags))
		state->hint = le32_to_cpu(entry->hint);
	state->block_flags = le64_to_cpu(entry->block_flags);
	state->valid = le64_to_cpu(entry->valid);
	state->dirty = le64_to_cpu(entry->dirty);
	return 0;
}

static int see_intent(void *context, u64 page, u8 intent, u64 slots)
{
	struct image *image = context;

	if (page >= image->nr_pages)
		return -EUCLEAN;
	image->intents[page].kind = intent;
	image->intents[page].slots = slots;
	return 0;
}

static int see_hint(void *context, u32 slot, u32 hint)
{
	struct image *image = context;

	if (slot >= image->nr_slots)
		return -EUCLEAN;
	image->slots[slot].hint = hint;
	return 0;
}

/* Which part of the device a unit of the geometry belongs to, and what its loss means. */
static void explain(const struct image *image, u64 unit, char *text, size_t size)
{
	const struct geometry *g = &image->geometry;
	u64 first, last;

	if (unit >= g->table_start && unit - g->table_start < g->table_pages) {
		first = (unit - g->table_start) * LARDER_ENTRIES_PER_PAGE;
		last = min_t(u64, first + LARDER_ENTRIES_PER_PAGE, g->nr_slots) - 1;
		snprintf(text, size, "table page %llu (slots %llu to %llu)",
			 (unsigned long long)(unit - g->table_start), (unsigned long long)first,
			 (unsigned long long)last);
	} else if (unit >= g->journal_start && unit - g->journal_start < g->journal_blocks) {
		snprintf(text, size, "journal block %llu",
			 (unsigned long long)(unit - g->journal_start));
	} else {
		snprintf(text, size, "metadata");
	}
}

static bool see_damage(void *context, u64 unit, const char *what)
{
	struct image *image = context;
	char where[80];

	explain(image, unit, where, sizeof(where));
	image_damage(image, SEVERITY_DAMAGE, unit, "%s: %s", where, what);
	return true;
}

int image_load(struct image *image)
{
	const struct metadata_visitor visitor = {
		.entry = see_entry,
		.intent = see_intent,
		.hint = see_hint,
		.damage = see_damage,
		.context = image,
	};
	const struct larder_superblock *sb = metadata_super(image->md);
	int error;

	image->nr_pages = le64_to_cpu(sb->formatted_pages);
	image->nr_slots = metadata_formatted_slots(image->md);
	error = image_reserve(image);
	if (error)
		return error;
	judge_superblocks(image);
	judge_double_write(image);
	error = device_run(&image->device, metadata_load_begin(image->md, &visitor, false));
	if (error) {
		complain("cannot load the metadata: %s", strerror(-error));
		return EXIT_IO;
	}
	return judge_slots(image);
}

/* --- answers --- */

struct slot_state image_after_activation(const struct image *image, u64 slot)
{
	const struct page_intent *intent = &image->intents[geometry_table_page((u32)slot)];
	u64 in_page = slot % LARDER_ENTRIES_PER_PAGE;
	struct slot_state state = image->slots[slot];

	if (!slot_used(&state) || !(intent->slots >> in_page / LARDER_SLOTS_PER_INTENT_BIT & 1))
		return state;
	if (intent->kind == LARDER_INTENT_WRITE_BACK) {
		state.dirty = state.valid;
	} else if (intent->kind == LARDER_INTENT_WRITE_THROUGH) {
		state.valid = state.dirty;
		if (!state.valid)
			state.block_flags = 0;
	}
	return state;
}

const char *image_not_ours(const struct image *image)
{
	switch (image->found) {
	case METADATA_OURS:
	case METADATA_DAMAGED:
	case METADATA_BAD_GEOMETRY:
		return NULL;
	case METADATA_BLANK:
		return "blank: the first 4096 bytes are zero";
	case METADATA_TOO_NEW:
		return "a dm-larder cache of a newer format than this tool knows";
	case METADATA_FOREIGN:
		break;
	}
	return image->foreign ? image->foreign : "data of an unknown format";
}

int image_verdict(const struct image *image)
{
	if (image->nr_damages[SEVERITY_DAMAGE] || image->nr_damages[SEVERITY_SPARE])
		return EXIT_DAMAGED;
	if (image_not_ours(image))
		return EXIT_NOT_OURS;
	return image->found == METADATA_OURS ? EXIT_OK : EXIT_DAMAGED;
}

const char *mode_name(u8 last_mode)
{
	static const char *const names[] = {
		"unknown", "writeback", "writethrough", "passthrough",
	};

	return last_mode < ARRAY_SIZE(names) ? names[last_mode] : "unknown";
}

char *policy_text(const struct larder_superblock *sb, char text[33])
{
	unsigned int i;

	for (i = 0; i < sizeof(sb->last_policy) && sb->last_policy[i]; i++) {
		text[i] = sb->last_policy[i];
		if (text[i] <= ' ' || text[i] > '~')
			text[i] = '?';
	}
	text[i] = '\0';
	return text;
}

char *uuid_text(const u8 uuid[LARDER_UUID_SIZE], char text[37])
{
	unsigned int i, at = 0;

	for (i = 0; i < LARDER_UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		snprintf(text + at, 3, "%02x", uuid[i]);
		at += 2;
	}
	return text;
}
