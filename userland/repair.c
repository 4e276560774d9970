// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder repair: salvages damaged metadata into another device, and reports
 * what is lost.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

#include "options.h"
#include "output.h"
#include "progress.h"
#include "salvage.h"

#define LL(n) ((unsigned long long)(n))

static const char help[] =
	"usage: larder repair -i DEVICE -o DEVICE [OPTION...]\n"
	"\n"
	"Reads the damaged metadata of a cache that is not active, and writes all of it that can be\n"
	"relied upon to another device or file. The input is not changed: keep it. No mapping is\n"
	"ever guessed; what is lost is reported.\n"
	"\n";

static const char after_options[] =
	"\n"
	"SIZE is in sectors, or has a unit: k, m, g, t.\n"
	"Exit code: 0 repaired, 1 dirty blocks may be missing from what was written, or there is\n"
	"nothing to be salvaged, 64 wrong usage, 65 not a dm-larder cache, 66 the input cannot be\n"
	"opened or is in use, 71 no memory, 73 the output cannot be opened, is in use or too small,\n"
	"74 I/O error, 77 no permission.\n";

struct repair {
	const char *input;
	const char *output;
	bool accept_loss;
	bool quiet;
	bool json;
	bool written;
	struct salvage salvage;
	struct target target;
	struct build build;
};

#define AT(member) offsetof(struct repair, member)
static const struct tool_option options[] = {
	{ "input", 'i', "DEVICE", take_text, AT(input), "the damaged metadata" },
	{ "output", 'o', "DEVICE", take_text, AT(output),
	  "where the repaired metadata goes; a file that does not exist is made" },
	{ "accept-loss", 0, NULL, take_flag, AT(accept_loss),
	  "exit with 0 even if blocks are missing that may be dirty" },
	{ "keep-uncertain", 0, NULL, take_flag, AT(salvage.options.keep_uncertain),
	  "keep what may be out of date because a part of the journal is lost. Such blocks may show "
	  "old data: for looking, not for using" },
	{ "wiped", 0, NULL, take_flag, AT(salvage.options.wiped),
	  "unit 0 was wiped or overwritten by accident, and no cache has used the slots since: "
	  "superblock B counts" },
	{ "chunk-size", 0, "SIZE", take_size, AT(salvage.options.chunk_sectors),
	  "when both superblocks are lost: of a chunk" },
	{ "cache-size", 0, "SIZE", take_size, AT(salvage.options.cache_sectors),
	  "... of the cache device" },
	{ "first-cache-size", 0, "SIZE", take_size, AT(salvage.options.first_cache_sectors),
	  "... of the cache device when the cache was made, if that has changed" },
	{ "origin-size", 0, "SIZE", take_size, AT(salvage.options.origin_sectors),
	  "... of the origin; by itself, corrects that of the superblock" },
	{ "metadata-size", 0, "SIZE", take_size, AT(salvage.options.metadata_sectors),
	  "... of the metadata device when the cache was made, if that has changed" },
	{ "json", 0, NULL, take_flag, AT(json), "print one JSON object" },
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static int parse(struct repair *r, int argc, char **argv)
{
	int code = parse_options(options, r, argc, argv);

	if (!code)
		code = no_operand(argc, argv);
	if (!code && (!r->input || !r->output))
		code = wrong_usage("expected -i DEVICE and -o DEVICE");
	if (r->quiet)
		progress_quiet();
	return code;
}

/* --- report --- */

static const struct {
	const char *key;
	const char *text;
	size_t at;
} counts[] = {
#define COUNT(member, text) { #member, text, offsetof(struct salvage_losses, member) }
	COUNT(units_unreadable, "units of 4 KiB that cannot be read"),
	COUNT(superblocks, "superblocks"),
	COUNT(pages, "pages of the slot table"),
	COUNT(slots_unknown, "slots of these pages, of which nothing is known"),
	COUNT(journal_blocks, "blocks of the journal, with up to 126 changes each"),
	COUNT(slots_uncertain, "slots that may have changed in these"),
	COUNT(slots_uncertain_dirty, "... of them dirty"),
	COUNT(slots_impossible, "slots whose entries say what cannot be"),
	COUNT(slots_doubled, "slots with the same block as another"),
	COUNT(slots_doubled_dirty, "... of them dirty"),
	COUNT(slots_beyond, "slots with data beyond the end of the origin"),
	COUNT(slots_beyond_dirty, "... of them dirty"),
	COUNT(pages_intent_unknown, "pages whose intents are not known"),
#undef COUNT
};

static u64 count(const struct salvage *s, unsigned int i)
{
	return *(const u64 *)((const u8 *)&s->losses + counts[i].at);
}

static void print_losses(const struct repair *r)
{
	const struct salvage *s = &r->salvage;
	const struct image *image = &s->image;
	bool any = false;
	unsigned int i;

	for (i = 0; i < image->nr_kept && i < 100; i++)
		printf("unit %llu: %s\n", LL(image->damages[i].unit), image->damages[i].what);
	if (image->nr_damages[SEVERITY_DAMAGE] > i)
		printf("... and %llu more\n", LL(image->nr_damages[SEVERITY_DAMAGE] - i));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		if (!count(s, i))
			continue;
		if (!any)
			printf("lost, or left out:\n");
		any = true;
		printf("%10llu %s\n", LL(count(s, i)), counts[i].text);
	}
	if (s->losses.slots_uncertain && s->options.keep_uncertain)
		printf("slots that may be out of date were kept, as asked: do not use this cache\n");
	if (s->losses.pages_intent_unknown)
		printf("where intents are not known, clean data %s\n", s->losses.clean_dropped ?
		       "was given up, some of which may have been dirty" :
		       "counts as the mode of the cache demands after a crash");
}

static void print_text(const struct repair *r)
{
	const struct image_totals *t = &r->salvage.image.totals;

	print_losses(r);
	printf("%s: %llu slots salvaged, %llu of them dirty\n", r->output, LL(t->slots_used),
	       LL(t->slots_dirty));
}

static void warn(const struct repair *r)
{
	fflush(stdout);
	complain("WARNING: what is lost may have been dirty, that is: newer than the origin, and "
		 "only on the cache device. Starting the cache with this metadata gives it up for "
		 "good. Keep the old metadata and the cache device until you know.%s",
		 r->accept_loss ? "" : " (--accept-loss makes this exit with 0.)");
}

static void print_json(const struct repair *r, int code)
{
	const struct salvage *s = &r->salvage;
	struct json_object *o = json_object_new_object(), *lost = json_object_new_object();
	struct json_object *reports = json_object_new_array(), *one;
	u32 i;

	add_string(o, "input", r->input);
	add_string(o, "output", r->output);
	add_number(o, "exit_code", (u64)code);
	add_bool(o, "written", r->written);
	add_bool(o, "may_lack_dirty", salvage_may_lack_dirty(s));
	add_number(o, "slots_used", s->image.totals.slots_used);
	add_number(o, "slots_dirty", s->image.totals.slots_dirty);
	add_number(o, "origin_sectors", s->image.geometry.origin_sectors);
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		add_number(lost, counts[i].key, count(s, i));
	add_bool(lost, "clean_dropped", s->losses.clean_dropped);
	json_object_object_add(o, "lost", lost);
	for (i = 0; i < s->image.nr_kept; i++) {
		one = json_object_new_object();
		add_number(one, "unit", s->image.damages[i].unit);
		add_string(one, "what", s->image.damages[i].what);
		json_object_array_add(reports, one);
	}
	json_object_object_add(o, "reports", reports);
	print_object(o);
}

/* --- the command --- */

static int refuse_same(const struct repair *r)
{
	const struct stat *to = &r->target.st;
	struct stat from;

	if (r->target.fd < 0 || fstat(r->salvage.device.fd, &from))
		return 0;
	if (S_ISBLK(from.st_mode) ? !S_ISBLK(to->st_mode) || from.st_rdev != to->st_rdev :
	    from.st_dev != to->st_dev || from.st_ino != to->st_ino)
		return 0;
	return wrong_usage("input and output are the same device");
}

static int fit_output(struct repair *r)
{
	struct geometry *g = &r->salvage.image.geometry;
	u64 units = r->target.units ? r->target.units :
		    max(r->salvage.device.units, g->metadata_units);

	if (build_fit(g, units))
		return r->target.fd < 0 ? target_create(&r->target, units) : 0;
	complain("%s has %llu units of 4 KiB, this cache needs %llu", r->output, LL(units),
		 LL(build_units_needed(g)));
	return EXIT_NO_OUTPUT;
}

/* Nobody ever counts that far: damage, too.  All is written anew, so it may begin again. */
static u64 counter(u64 value)
{
	return value < 1ull << 61 ? value : 1;
}

static void fill_super(struct repair *r)
{
	const struct salvage *s = &r->salvage;
	struct larder_superblock *sb = &r->build.super;
	bool whole = !s->image.nr_damages[SEVERITY_DAMAGE];

	*sb = s->super;
	sb->generation = cpu_to_le64(counter(le64_to_cpu(sb->generation) + 1));
	sb->epoch = cpu_to_le64(counter(s->epoch + 1));
	sb->tail_seq = cpu_to_le64(counter(s->next_sequence));
	sb->tail_crc = 0;
	if (!whole)
		sb->flags &= ~cpu_to_le32(LARDER_SUPER_CLEAN);
	r->build.image = &s->image;
}

static int write_repaired(struct repair *r)
{
	int code = salvage_run(&r->salvage);

	if (!code)
		code = fit_output(r);
	if (code)
		return code;
	fill_super(r);
	code = build_write(&r->build, &r->target);
	r->written = !code;
	return code;
}

static int repair(struct repair *r)
{
	int code = salvage_open(&r->salvage, r->input);

	if (!code)
		code = target_open(&r->target, r->output);
	if (!code)
		code = refuse_same(r);
	if (!code)
		code = write_repaired(r);
	target_close(&r->target, !code);
	if (!code && salvage_may_lack_dirty(&r->salvage) && !r->accept_loss)
		code = EXIT_DAMAGED;
	if (r->json)
		print_json(r, code);
	else if (r->written && !r->quiet)
		print_text(r);
	if (r->written && salvage_may_lack_dirty(&r->salvage) && (code || !r->quiet))
		warn(r);
	return code;
}

static int run_repair(int argc, char **argv)
{
	struct repair *r = calloc(1, sizeof(*r));
	int code;

	if (!r) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	r->target.fd = -1;
	r->salvage.device.fd = -1;
	r->salvage.image.device.fd = -1;
	code = parse(r, argc, argv);
	if (!code)
		code = repair(r);
	salvage_close(&r->salvage);
	free(r);
	return code;
}

const struct command command_repair = {
	.name = "repair",
	.summary = "salvages damaged metadata into another device",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_repair,
};
