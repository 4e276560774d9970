// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder restore: makes the metadata of a cache from XML.
 *
 * The XML is read as a whole before the first byte is written.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/random.h>

#include "../dm-target/core/metadata-internal.h"
#include "dump.h"
#include "output.h"
#include "progress.h"
#include "restore.h"
#include "sizes.h"

#define LL(n) ((unsigned long long)(n))

static const char help[] =
	"usage: larder restore -i FILE -o DEVICE [OPTION...]\n"
	"\n"
	"Makes the metadata of a cache from XML: as `larder dump` writes it, or as cache_dump writes\n"
	"it for a dm-cache, which so becomes a dm-larder. All of the XML is read and judged before\n"
	"anything is written; what DEVICE held is lost then.\n"
	"\n"
	"  -i, --input FILE         the XML; - is stdin\n"
	"  -o, --output DEVICE      the metadata device, or a file; one that does not exist is made\n"
	"  --origin-size SIZE       of the cached device, for XML of a dm-cache, which does not say it;\n"
	"                           without, it is taken to end with the last block that is cached,\n"
	"                           and the next start of the cache puts it right. In sectors, or\n"
	"                           with a unit: k, m, g, t\n"
	"  --omit-clean-shutdown    the dm-cache was not stopped in order: all that it holds is dirty\n"
	"  --without-hints          leave out the hints of the policy\n"
	"  --incomplete             XML of damaged metadata will do, though dirty blocks may be missing\n"
	"  --force                  overwrite a file system or something else that is not a cache's\n"
	"  --metadata-version 1|2   accepted and ignored, as there is one format here\n"
	"  --json                   print one JSON object\n"
	"  -q, --quiet              print nothing but errors\n"
	"\n"
	"Exit code: 0 done, 1 the XML is refused, 64 wrong usage, 66 FILE cannot be opened, 71 no\n"
	"memory, 73 DEVICE cannot be opened, is in use, too small or holds something else, 74 I/O\n"
	"error, 77 no permission.\n";

enum {
	OPT_ORIGIN = 256,
	OPT_UNCLEAN,
	OPT_NO_HINTS,
	OPT_INCOMPLETE,
	OPT_FORCE,
	OPT_VERSION,
	OPT_JSON,
};

static int parse_option(struct restore *r, int c, char **argv)
{
	switch (c) {
	case 'i':
		r->input = optarg;
		return 0;
	case 'o':
		r->output = optarg;
		return 0;
	case 'q':
		r->quiet = true;
		progress_quiet();
		return 0;
	case OPT_ORIGIN:
		return parse_size(optarg, &r->origin_sectors) ? 0 :
		       wrong_usage("'%s' is no size of the origin", optarg);
	case OPT_UNCLEAN:
		r->unclean = true;
		return 0;
	case OPT_NO_HINTS:
		r->without_hints = true;
		return 0;
	case OPT_INCOMPLETE:
		r->incomplete = true;
		return 0;
	case OPT_FORCE:
		r->force = true;
		return 0;
	case OPT_VERSION:
		return !strcmp(optarg, "1") || !strcmp(optarg, "2") ? 0 :
		       wrong_usage("the metadata version is 1 or 2, not '%s'", optarg);
	case OPT_JSON:
		r->json = true;
		return 0;
	case ':':
		return wrong_usage("option '%s' needs a value", argv[optind - 1]);
	default:
		return wrong_usage("unknown option '%s'", argv[optind - 1]);
	}
}

static int parse(struct restore *r, int argc, char **argv)
{
	static const struct option options[] = {
		{ "input", required_argument, NULL, 'i' },
		{ "output", required_argument, NULL, 'o' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "origin-size", required_argument, NULL, OPT_ORIGIN },
		{ "omit-clean-shutdown", no_argument, NULL, OPT_UNCLEAN },
		{ "without-hints", no_argument, NULL, OPT_NO_HINTS },
		{ "incomplete", no_argument, NULL, OPT_INCOMPLETE },
		{ "force", no_argument, NULL, OPT_FORCE },
		{ "metadata-version", required_argument, NULL, OPT_VERSION },
		{ "json", no_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	int c, code = 0;

	optind = 1;
	while (!code && (c = getopt_long(argc, argv, ":i:o:q", options, NULL)) != -1)
		code = parse_option(r, c, argv);
	if (code)
		return code;
	if (argc > optind)
		return wrong_usage("unexpected argument '%s'", argv[optind]);
	if (!r->input || !r->output)
		return wrong_usage("expected -i FILE and -o DEVICE");
	return 0;
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

static int convert(struct restore *r)
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
		return convert(r);
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
static int judge(struct restore *r)
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
		code = judge(r);
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
		code = restore(r);
	release(r->stock.chunks, r->stock.nr_chunks, sizeof(*r->stock.chunks));
	image_close(&r->image);
	free(r);
	return code;
}

const struct command command_restore = {
	.name = "restore",
	.summary = "makes the metadata of a cache from XML",
	.help = help,
	.run = run_restore,
};
