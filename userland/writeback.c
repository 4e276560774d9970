// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder writeback: brings all dirty data of a cache that is not active to the
 * origin, without the kernel's help.
 *
 * The origin is written and flushed before the metadata calls anything clean,
 * so at each moment the cache may be started: what has been copied is then
 * dirty once more, and no harm done.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

#include "options.h"
#include "output.h"
#include "progress.h"
#include "writeback.h"
#include "writeback-metadata.h"

#define LL(n) ((unsigned long long)(n))
#define BUFFER_MEG_MAX 4096

struct command_line {
	const char *metadata_path, *origin_path, *cache_path;
	u64 cache_offset, origin_offset;
	const char *buffer_meg;
	const char *retry_count;
	bool list_failed, no_update, quiet, json;
};

struct state {
	struct command_line line;
	struct disk metadata, origin, cache;
	struct image *image;
	u64 *slots;		/* with dirty grains */
	u64 nr_slots;
	u64 dirty_sectors;
	u64 *left;		/* by slot: grains that stay dirty */
	u64 nr_failed;		/* slots */
	u64 buffer_sectors;
	u64 written;
};

#define OPTION(member) offsetof(struct command_line, member)

/* Sectors, as with the tool for dm-cache: 0 is one of these. */
static int take_offset(const struct tool_option *option, void *member, const char *text)
{
	char *end;

	errno = 0;
	*(u64 *)member = strtoull(text, &end, 0);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *(u64 *)member < 1ull << 54)
		return 0;
	return wrong_usage("'%s' is no number of sectors, for --%s", text, option->name);
}

static const struct tool_option options[] = {
	{ "metadata-device", 0, "DEVICE", take_text, OPTION(metadata_path),
	  "of the cache, which is not active" },
	{ "fast-device", 0, "DEVICE", take_text, OPTION(cache_path), "with the cached data" },
	{ "origin-device", 0, "DEVICE", take_text, OPTION(origin_path), "the slow one" },
	{ "fast-device-offset", 0, "N", take_offset, OPTION(cache_offset),
	  "the cached data begins with this sector of the fast device" },
	{ "origin-device-offset", 0, "N", take_offset, OPTION(origin_offset),
	  "the same of the origin" },
	{ "buffer-size-meg", 0, "N", take_text, OPTION(buffer_meg),
	  "write up to so many MiB at once (default: 4)" },
	{ "buffer-size", 0, "N", take_text, OPTION(buffer_meg), "the same" },
	{ "list-failed-blocks", 0, NULL, take_flag, OPTION(list_failed),
	  "name each block that could not be copied" },
	{ "no-metadata-update", 0, NULL, take_flag, OPTION(no_update),
	  "leave the metadata as it is: all stays dirty" },
	{ "retry-count", 0, "N", take_text, OPTION(retry_count), NULL },
	{ "json", 0, NULL, take_flag, OPTION(json), "print one JSON object" },
	{ "quiet", 'q', NULL, take_flag, OPTION(quiet), "print nothing but errors" },
	{ NULL }
};

static int parse(struct state *s, int argc, char **argv)
{
	struct command_line *line = &s->line;
	unsigned long meg = 4;
	char *end = (char *)"";
	int code = parse_options(options, line, argc, argv);

	if (!code)
		code = no_operand(argc, argv);
	if (code)
		return code;
	if (!line->metadata_path || !line->cache_path || !line->origin_path)
		return wrong_usage("expected --metadata-device, --fast-device and --origin-device");
	if (line->buffer_meg)
		meg = strtoul(line->buffer_meg, &end, 10);
	if (*end || !meg || meg > BUFFER_MEG_MAX)
		return wrong_usage("'%s' is no number of MiB from 1 to %d", line->buffer_meg,
				   BUFFER_MEG_MAX);
	s->buffer_sectors = (u64)meg << 11;
	if (line->quiet)
		progress_quiet();
	return 0;
}

/* --- opening --- */

static int judge_metadata(struct state *s)
{
	const char *path = s->line.metadata_path, *other = image_not_ours(s->image);
	int code;

	if (other && s->image->found == METADATA_FOREIGN && s->image->foreign &&
	    !strcmp(s->image->foreign, "dm-cache")) {
		complain("%s is a dm-cache: cache_writeback of thin-provisioning-tools writes that "
			 "back", path);
		return EXIT_NOT_OURS;
	}
	if (other) {
		complain("%s holds no dm-larder cache, found: %s", path, other);
		return EXIT_NOT_OURS;
	}
	code = s->image->found == METADATA_OURS ? image_load(s->image) : EXIT_DAMAGED;
	if (!code && s->image->nr_damages[SEVERITY_DAMAGE])
		code = EXIT_DAMAGED;
	if (code == EXIT_DAMAGED)
		complain("%s: the metadata is damaged, nothing was written: see larder check, and "
			 "larder repair", path);
	return code;
}

static int judge_size(const struct disk *d, u64 needed, const char *what)
{
	if (d->sectors >= needed)
		return 0;
	complain("%s has %llu sectors, but %s %llu", d->path, LL(d->sectors), what, LL(needed));
	return EXIT_NOT_OURS;
}

/* A cachevol is both: claimed once. */
static int open_cache(struct state *s)
{
	struct stat metadata, cache;

	if (!fstat(s->metadata.fd, &metadata) && !stat(s->line.cache_path, &cache) &&
	    (s->metadata.block ? S_ISBLK(cache.st_mode) && metadata.st_rdev == cache.st_rdev :
	     metadata.st_dev == cache.st_dev && metadata.st_ino == cache.st_ino)) {
		s->cache = disk_part(&s->metadata, 0, s->metadata.sectors);
		return 0;
	}
	return disk_open(&s->cache, s->line.cache_path, false);
}

static int open_all(struct state *s)
{
	const struct command_line *line = &s->line;
	int code = disk_open(&s->metadata, line->metadata_path, !line->no_update);

	if (!code)
		code = open_cache(s);
	if (!code)
		code = disk_open(&s->origin, line->origin_path, true);
	if (!code)
		code = disk_skip(&s->cache, line->cache_offset);
	if (!code)
		code = disk_skip(&s->origin, line->origin_offset);
	if (!code)
		code = image_open(s->image, line->metadata_path);
	return code ? code : judge_metadata(s);
}

/* --- the work --- */

static int out_of_memory(void)
{
	complain("not enough memory");
	return EXIT_NO_MEMORY;
}

static u64 dirty_sectors(const struct image *image, const struct slot_state *state)
{
	const struct geometry *g = &image->geometry;
	u64 sectors = hweight64(state->dirty) << g->grain_shift;

	/* of a short last grain that is too much, for a progress it does */
	return min(sectors, (u64)g->block_sectors);
}

/* Also how far the two devices must reach. */
static int find_dirty(struct state *s)
{
	const struct image *image = s->image;
	const struct geometry *g = &image->geometry;
	u64 slot, block, cache_end = 0, origin_end = 0;
	int code;

	s->slots = reserve(image->nr_slots, sizeof(*s->slots));
	s->left = reserve(image->nr_slots, sizeof(*s->left));
	if (!s->slots || !s->left)
		return out_of_memory();
	for (slot = 0; slot < image->nr_slots; slot++) {
		struct slot_state state = image_after_activation(image, slot);

		if (!slot_used(&state) || !state.dirty)
			continue;
		block = slot_state_block(&state);
		s->slots[s->nr_slots++] = slot;
		s->dirty_sectors += dirty_sectors(image, &state);
		cache_end = (slot + 1) * g->block_sectors;
		origin_end = max(origin_end, geometry_block_start(g, block) +
				 geometry_block_length(g, block));
	}
	code = judge_size(&s->cache, cache_end, "the cached data takes");
	return code ? code : judge_size(&s->origin, origin_end, "there is data for sectors up to");
}

static void note_failed(void *context, u64 slot, u64 grains)
{
	struct state *s = context;

	if (!s->left[slot])
		s->nr_failed++;
	s->left[slot] |= grains;
	if (s->line.list_failed && !s->line.json)
		printf("block %llu\n", LL(slot_state_block(&s->image->slots[slot])));
}

static int write_back(struct state *s)
{
	struct write_back w = {
		.image = s->image,
		.cache = &s->cache,
		.origin = &s->origin,
		.buffer_sectors = s->buffer_sectors,
		.end = s->image->geometry.origin_sectors,
		.failed = note_failed,
		.context = s,
		.total = s->dirty_sectors,
	};
	int code = find_dirty(s);

	if (!code && s->nr_slots)
		code = write_back_slots(&w, s->slots, s->nr_slots);
	s->written = w.sectors;
	if (!code && !s->line.no_update)
		code = writeback_record(&s->metadata, s->image, s->left);
	if (!code && s->nr_failed)
		code = EXIT_IO;
	return code;
}

static void report(const struct state *s, int code)
{
	struct json_object *o;

	if (s->line.json) {
		o = json_object_new_object();
		add_string(o, "metadata", s->line.metadata_path);
		add_number(o, "exit_code", (u64)code);
		add_number(o, "slots_dirty", s->nr_slots);
		add_number(o, "sectors_written", s->written);
		add_number(o, "slots_failed", s->nr_failed);
		add_bool(o, "metadata_updated", !s->line.no_update);
		print_object(o);
		return;
	}
	if (!s->line.quiet)
		printf("%s: %llu slots were dirty, %llu sectors written to the origin%s\n",
		       s->line.metadata_path, LL(s->nr_slots), LL(s->written),
		       s->line.no_update ? "; the metadata still calls them dirty" : "");
	if (s->nr_failed)
		complain("%llu slots could not be copied as a whole, and stay dirty",
			 LL(s->nr_failed));
}

static int run(struct state *s)
{
	bool opened;
	int code = open_all(s);

	opened = !code;
	if (opened) {
		code = write_back(s);
		if (!code || s->nr_failed)
			report(s, code);
	}
	release(s->slots, s->image->nr_slots, sizeof(*s->slots));
	release(s->left, s->image->nr_slots, sizeof(*s->left));
	if (s->image->md)
		image_close(s->image);
	if (s->cache.fd == s->metadata.fd)
		s->cache.fd = -1;
	disk_close(&s->metadata);
	disk_close(&s->cache);
	disk_close(&s->origin);
	return code;
}

static int run_writeback(int argc, char **argv)
{
	struct state s = {
		.metadata.fd = -1,
		.origin.fd = -1,
		.cache.fd = -1,
		.image = calloc(1, sizeof(*s.image)),
	};
	int code;

	if (!s.image)
		return out_of_memory();
	code = parse(&s, argc, argv);
	if (!code)
		code = run(&s);
	free(s.image);
	return code;
}

const struct command command_writeback = {
	.name = "writeback",
	.summary = "brings the dirty data of a cache that is not active to the origin",
	.help =
		"usage: larder writeback --metadata-device DEVICE --fast-device DEVICE\n"
		"                        --origin-device DEVICE [OPTION...]\n"
		"\n"
		"Copies all dirty data of a cache that is not active to its origin, then calls it clean.\n"
		"Interrupted at any point, the cache is as good as before: run it again, or start it.\n"
		"\n",
	.options = options,
	.after_options =
		"\n"
		"Exit code: 0 nothing is dirty any more (--no-metadata-update: all was copied), 1 the\n"
		"metadata is damaged, 64 wrong usage, 65 not a dm-larder cache or devices that are too\n"
		"small, 66 cannot be opened or is in use, 71 no memory, 74 I/O error: what could not be\n"
		"copied is still dirty, 77 no permission.\n",
	.run = run_writeback,
};
