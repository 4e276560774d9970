// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder restore: makes the metadata of a cache from XML; without any, exports
 * exist again (export/restore-exports.c).
 *
 * The XML is read as a whole before the first byte is written.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/random.h>

#include "../dm-target/core/metadata-internal.h"
#include "dump.h"
#include "export/restore-exports.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "restore.h"
#include "sizes.h"

#define LL(n) ((unsigned long long)(n))

static const char help[] =
	"usage: larder restore -i FILE -o DEVICE [OPTION...]\n"
	"       larder restore [--exports] [-q] [--json] [VG/LV | DEVICE]\n"
	"\n"
	"Makes the metadata of a cache from XML: as `larder dump` writes it, or as cache_dump writes\n"
	"it for a dm-cache, which so becomes a dm-larder. All of the XML is read and judged before\n"
	"anything is written; what DEVICE held is lost then.\n"
	"\n"
	"With neither -i nor -o: makes what `larder save` has written down of exports, of VG/LV or all,\n"
	"exist again; what is there already is left alone. See larder-export(8).\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 done, 1 the XML is refused, 64 wrong usage, 66 FILE cannot be opened, 71 no\n"
	"memory, 73 DEVICE cannot be opened, is in use, too small or holds something else, 74 I/O\n"
	"error, 77 no permission. Of exports: 1 the kernel refused, 65 a device or file is not as it\n"
	"should be, 66 VG/LV is not there or not written down.\n";

static int take_version(const struct tool_option *option, void *member, const char *text)
{
	return !strcmp(text, "1") || !strcmp(text, "2") ? 0 :
	       wrong_usage("the metadata version is 1 or 2, not '%s'", text);
}

#define AT(member) offsetof(struct restore, member)
static const struct tool_option options[] = {
	{ "input", 'i', "FILE", take_text, AT(input), "the XML; - is stdin" },
	{ "output", 'o', "DEVICE", take_text, AT(output),
	  "the metadata device, or a file; one that does not exist is made" },
	{ "origin-size", 0, "SIZE", take_size, AT(origin_sectors),
	  "of the cached device, for XML of a dm-cache, which does not say it; without, it is taken "
	  "to end with the last block that is cached, and the next start of the cache puts it "
	  "right. In sectors, or with a unit: k, m, g, t" },
	{ "omit-clean-shutdown", 0, NULL, take_flag, AT(unclean),
	  "the dm-cache was not stopped in order: all that it holds is dirty" },
	{ "without-hints", 0, NULL, take_flag, AT(without_hints),
	  "leave out the hints of the policy" },
	{ "incomplete", 0, NULL, take_flag, AT(incomplete),
	  "XML of damaged metadata will do, though dirty blocks may be missing" },
	{ "force", 0, NULL, take_flag, AT(force),
	  "overwrite a file system or something else that is not a cache's" },
	{ "metadata-version", 0, "1|2", take_version, 0,
	  "accepted and ignored, as there is one format here" },
	{ "exports", 0, NULL, take_flag, AT(exports), "exports are meant, not metadata" },
	{ "json", 0, NULL, take_flag, AT(json), "print one JSON object" },
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static int parse_exports(struct restore *r, int argc, char **argv)
{
	if (r->input || r->output || r->origin_sectors || r->unclean || r->without_hints ||
	    r->incomplete || r->force)
		return wrong_usage("expected -i FILE and -o DEVICE; exports have none of the "
				   "options of metadata");
	return argc > optind ? one_operand("VG/LV or device", &r->exported, argc, argv) : 0;
}

static int parse(struct restore *r, int argc, char **argv)
{
	int code = parse_options(options, r, argc, argv);

	if (!code && !r->input && !r->output && !called_by_old_name())
		r->exports = true;
	if (!code && r->exports)
		return parse_exports(r, argc, argv);
	if (!code)
		code = no_operand(argc, argv);
	if (!code && (!r->input || !r->output))
		code = wrong_usage("expected -i FILE and -o DEVICE");
	if (r->quiet)
		progress_quiet();
	return code;
}

static int refuse(const struct restore *r, const char *why)
{
	complain("%s: %s", r->input, why);
	return EXIT_DAMAGED;
}

/* --- from dm-cache --- */

static void convert_chunk(struct restore *r, u64 number)
{
	const struct stock_chunk *chunk = &r->stock.chunks[number];
	const struct geometry *g = &r->image.geometry;
	u64 ratio = g->chunk_sectors / g->block_sectors, i;

	for (i = 0; i < ratio; i++) {
		struct slot_state *state = &r->image.slots[number * ratio + i];
		u64 block = chunk->origin * ratio + i;

		/* the last chunk of the origin may be short */
		if (block >= g->nr_origin_blocks)
			break;
		state->block_flags = block | LARDER_ENTRY_USED;
		state->valid = geometry_block_grains(g, block);
		state->dirty = chunk->dirty || r->unclean ? state->valid : 0;
		state->hint = chunk->hint;
	}
}

static int choose_geometry(struct restore *r)
{
	struct stock *stock = &r->stock;
	u64 origin = r->origin_sectors, needed;
	u64 cache = stock->nr_chunks * stock->chunk_sectors;

	r->origin_guessed = !origin;
	if (!origin)
		origin = max_t(u64, stock->origin_chunks, 1) * stock->chunk_sectors;
	if (stock->origin_chunks && (stock->origin_chunks - 1) * stock->chunk_sectors >= origin) {
		complain("%s: block %llu of the origin is cached, but --origin-size ends before it",
			 r->input, LL(stock->origin_chunks - 1));
		return EXIT_DAMAGED;
	}
	if (!r->target.units)
		r->target.units = metadata_units_wanted((u32)stock->chunk_sectors, cache);
	switch (geometry_choose(&r->image.geometry, (u32)stock->chunk_sectors, origin, cache,
				r->target.units, &needed)) {
	case GEOMETRY_OK:
		return 0;
	case GEOMETRY_METADATA_SMALL:
		complain("%s has %llu units of 4 KiB, this cache needs %llu", r->output,
			 LL(r->target.units), LL(needed));
		return EXIT_NO_OUTPUT;
	default:
		return refuse(r, "a cache of these sizes is not possible here");
	}
}

int restore_convert(struct restore *r)
{
	struct larder_superblock *sb = &r->build.super;
	struct image *image = &r->image;
	u64 i;
	int code = choose_geometry(r);

	if (code)
		return code;
	image->nr_slots = image->geometry.nr_slots;
	image->nr_pages = image->geometry.table_pages;
	code = image_reserve(image);
	if (code)
		return code;
	for (i = 0; i < r->stock.nr_chunks; i++)
		if (r->stock.chunks[i].mapped)
			convert_chunk(r, i);
	if (getrandom(sb->header.uuid, LARDER_UUID_SIZE, 0) != LARDER_UUID_SIZE) {
		complain("no random numbers: %s", strerror(errno));
		return EXIT_IO;
	}
	sb->version = cpu_to_le32(LARDER_FORMAT_VERSION);
	sb->flags = cpu_to_le32(r->unclean ? 0 : LARDER_SUPER_CLEAN);
	sb->compat = cpu_to_le64(LARDER_COMPAT_HINTS);
	sb->tail_seq = cpu_to_le64(1);
	memcpy(sb->last_policy, r->stock.policy, strlen(r->stock.policy));
	return 0;
}

/* --- ours --- */

/* A dump has both dialects; somebody may have edited only one. */
static int compare(const struct restore *r)
{
	const struct stock *stock = &r->stock;
	const struct geometry *g = &r->image.geometry;
	u64 nr = div_u64(g->nr_slots, g->chunk_sectors / g->block_sectors), i;
	struct chunk chunk;

	if (stock->chunk_sectors != g->chunk_sectors || stock->nr_chunks != nr)
		return refuse(r, "<superblock> and <larder> are of different sizes");
	for (i = 0; i < nr; i++) {
		const struct stock_chunk *theirs = &stock->chunks[i];
		bool ours = whole_chunk(&r->image, i, &chunk);

		if (ours == theirs->mapped &&
		    (!ours || (chunk.origin == theirs->origin && chunk.dirty == theirs->dirty)))
			continue;
		complain("%s: <superblock> and <larder> disagree about cache block %llu; take away "
			 "the one that is wrong", r->input, LL(i));
		return EXIT_DAMAGED;
	}
	return 0;
}

static int accept(struct restore *r)
{
	if (!r->larder && !r->stock.seen)
		return refuse(r, "neither <superblock> nor <larder> is in it");
	if (!r->larder)
		return restore_convert(r);
	if (!r->layout)
		return refuse(r, "<larder> without <geometry> and <layout>");
	if (!r->complete && !r->incomplete)
		return refuse(r, "it was dumped from damaged metadata (complete=\"false\"), dirty "
			      "blocks may be missing: see `larder repair`, or --incomplete");
	if (r->origin_sectors)
		return wrong_usage("--origin-size is for XML of a dm-cache, this says it itself");
	return r->stock.seen ? compare(r) : 0;
}

/* What the slots say together: blocks in two slots, beyond the origin. */
int restore_judge(struct restore *r)
{
	struct image *image = &r->image;
	int code = judge_slots(image);
	u32 i;

	if (code)
		return code;
	for (i = 0; i < image->nr_kept && i < 20; i++)
		complain("%s: %s", r->input, image->damages[i].what);
	return image->nr_damages[SEVERITY_DAMAGE] ? refuse(r, "nothing was written") : 0;
}

/* --- the output --- */

static int judge_target(struct restore *r)
{
	static u8 head[2 * LARDER_UNIT_SIZE];
	const char *foreign;
	int code;

	if (r->target.fd < 0)
		return target_create(&r->target, r->larder ?
				     le64_to_cpu(r->build.super.metadata_units) :
				     r->target.units);
	code = target_read_head(&r->target, head);
	if (code || r->force)
		return code;
	foreign = foreign_name(head);
	if (!foreign || !strcmp(foreign, "dm-cache"))
		return 0;
	complain("%s holds %s: --force overwrites it", r->output, foreign);
	return EXIT_NO_OUTPUT;
}

static void report(const struct restore *r)
{
	const struct image_totals *t = &r->image.totals;
	const struct geometry *g = &r->image.geometry;
	struct json_object *o;

	if (r->json) {
		o = json_object_new_object();
		add_string(o, "output", r->output);
		add_string(o, "from", r->larder ? "dm-larder" : "dm-cache");
		add_number(o, "chunk_sectors", g->chunk_sectors);
		add_number(o, "block_sectors", g->block_sectors);
		add_number(o, "origin_sectors", g->origin_sectors);
		add_bool(o, "origin_guessed", r->origin_guessed);
		add_number(o, "slots", g->nr_slots);
		add_number(o, "slots_used", t->slots_used);
		add_number(o, "slots_dirty", t->slots_dirty);
		add_number(o, "hints_left_out", r->stock.lost_hints);
		add_bool(o, "tuples_left_out", r->unmarked);
		print_object(o);
		return;
	}
	printf("%s: %llu of %llu slots used, %llu of them dirty", r->output, LL(t->slots_used),
	       LL(g->nr_slots), LL(t->slots_dirty));
	if (!r->larder)
		printf("; %u slots for each block of the dm-cache",
		       g->chunk_sectors / g->block_sectors);
	putchar('\n');
	if (r->origin_guessed)
		printf("note: the origin is taken to have %llu sectors, as dm-cache does not say; "
		       "the next start of the cache puts that right\n", LL(g->origin_sectors));
	if (r->unmarked)
		printf("note: the tuples of protection information that the cache device carries are "
		       "not used any more: they may be of other data than this\n");
	if (r->stock.lost_hints)
		printf("note: %llu hints of blocks that are not cached were left out\n",
		       LL(r->stock.lost_hints));
}

static int restore(struct restore *r)
{
	int code = target_open(&r->target, r->output);

	if (!code)
		code = restore_parse(r);
	if (!code)
		code = accept(r);
	if (!code)
		code = restore_judge(r);
	if (!code)
		code = judge_target(r);
	if (!code) {
		r->build.image = &r->image;
		code = build_write(&r->build, &r->target);
	}
	target_close(&r->target, !code);
	if (!code && !r->quiet)
		report(r);
	return code;
}

static int exports(const struct restore *r)
{
	const struct restore_exports request = {
		.what = r->exported, .json = r->json, .quiet = r->quiet,
	};

	return restore_exports(&request);
}

static int run_restore(int argc, char **argv)
{
	struct restore *r = calloc(1, sizeof(*r));
	int code;

	if (!r) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	r->image.device.fd = -1;
	code = parse(r, argc, argv);
	if (!code)
		code = r->exports ? exports(r) : restore(r);
	release(r->stock.chunks, r->stock.nr_chunks, sizeof(*r->stock.chunks));
	image_close(&r->image);
	free(r);
	return code;
}

const struct command command_restore = {
	.name = "restore",
	.summary = "makes the metadata of a cache from XML; or exports again",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_restore,
};
