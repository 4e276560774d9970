// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder check: is the metadata device whole, and what does it hold?
 */
#include <json-c/json.h>
#include <stdio.h>

#include "dump.h"
#include "options.h"
#include "output.h"

#define LL(n) ((unsigned long long)(n))

static const char help[] =
	"usage: larder check [-q] [--json] [--activation] DEVICE\n"
	"\n"
	"Reads the metadata of a cache (a block device, or a file with a copy of it) and reports\n"
	"every damage. Writes nothing. A cache in use can be checked, but may change meanwhile.\n"
	"\n";

static const char after_options[] =
	"\n"
	"The options of cache_check are accepted: --clear-needs-check-flag, for which there is no\n"
	"flag to be cleared; --super-block-only, --skip-mappings, --skip-hints, --skip-discards,\n"
	"which leave nothing out here; and --ignore-non-fatal-errors, which is --activation.\n"
	"\n"
	"Exit code: 0 sound, 1 damaged, 64 wrong usage, 65 not a dm-larder cache (blank, another\n"
	"format, a newer one), 66 cannot be opened, 71 no memory, 74 I/O error,\n"
	"77 no permission.\n";

struct check {
	const char *path;
	bool quiet;
	bool json;
	bool activation;
	struct image image;
};

#define AT(member) offsetof(struct check, member)
static const struct tool_option options[] = {
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing, just set the exit code" },
	{ "json", 0, NULL, take_flag, AT(json), "print one JSON object" },
	{ "activation", 0, NULL, take_flag, AT(activation),
	  "damage that does not keep the cache from starting (one of the two superblocks) is "
	  "reported, but counts as sound: for checks that run before each start; always so as "
	  "cache_check" },
	{ "ignore-non-fatal-errors", 0, NULL, take_flag, AT(activation), NULL },
	{ "clear-needs-check-flag", 0, NULL, take_nothing, 0, NULL },
	{ "super-block-only", 0, NULL, take_nothing, 0, NULL },
	{ "skip-mappings", 0, NULL, take_nothing, 0, NULL },
	{ "skip-hints", 0, NULL, take_nothing, 0, NULL },
	{ "skip-discards", 0, NULL, take_nothing, 0, NULL },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static const char *const severity_names[] = { "note", "damage, spare", "damage" };

static const char *verdict_name(int verdict)
{
	switch (verdict) {
	case EXIT_OK:
		return "ok";
	case EXIT_NOT_OURS:
		return "not a dm-larder cache";
	default:
		return "damaged";
	}
}

/* --- text --- */

static void print_size(u64 sectors)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	double size = (double)sectors / 2;
	unsigned int i = 0;

	while (size >= 1024 && i + 1 < ARRAY_SIZE(units)) {
		size /= 1024;
		i++;
	}
	printf(size == (double)(u64)size ? "%.0f %s" : "%.1f %s", size, units[i]);
}

static void print_damages(const struct image *image)
{
	u64 total = 0;
	u32 i;

	for (i = 0; i < image->nr_kept; i++) {
		const struct damage *d = &image->damages[i];

		printf("%s: unit %llu: %s\n", d->severity == SEVERITY_NOTE ? "note" : "damage",
		       LL(d->unit), d->what);
	}
	for (i = 0; i < ARRAY_SIZE(image->nr_damages); i++)
		total += image->nr_damages[i];
	if (total > image->nr_kept)
		printf("... and %llu more\n", LL(total - image->nr_kept));
}

static void print_contents(const struct image *image)
{
	const struct larder_superblock *sb = metadata_super(image->md);
	const struct image_totals *t = &image->totals;
	const struct geometry *g = &image->geometry;
	char uuid[37], policy[33];

	printf("cache %s, generation %llu, epoch %llu, last %s with policy %s\n",
	       uuid_text(sb->header.uuid, uuid), LL(metadata_generation(image->md)),
	       LL(le64_to_cpu(sb->epoch)), mode_name(sb->last_mode), policy_text(sb, policy));
	printf("geometry: chunks of ");
	print_size(g->chunk_sectors);
	printf(", blocks of ");
	print_size(g->block_sectors);
	printf(", grains of ");
	print_size(g->grain_sectors);
	printf("; %llu slots (", LL(g->nr_slots));
	print_size(g->nr_slots * g->block_sectors);
	printf(") for an origin of ");
	print_size(g->origin_sectors);
	printf("\nslots: %llu used, %llu of them dirty: %llu grains, ", LL(t->slots_used),
	       LL(t->slots_dirty), LL(t->grains_dirty));
	print_size(t->dirty_sectors);
	if (le64_to_cpu(sb->ro_compat) & LARDER_RO_COMPAT_TUPLES)
		printf("\nprotection information: the cache device carries the tuples of all that is cached");
	printf("\njournal: ");
	if (image->nr_damages[SEVERITY_DAMAGE])
		printf("%u blocks, it is not certain how many to replay\n", g->journal_blocks);
	else
		printf("%llu of %u blocks to replay\n", LL(metadata_journal_used(image->md)),
		       g->journal_blocks);
	printf("stopped in order: %s\n",
	       le32_to_cpu(sb->flags) & LARDER_SUPER_CLEAN ? "yes" : "no");
	if (t->intent_pages)
		printf("intents on %llu table pages: the next start takes %llu clean grains for "
		       "dirty and drops %llu\n", LL(t->intent_pages), LL(t->grains_made_dirty),
		       LL(t->grains_dropped));
}

static void print_text(const struct check *check, int verdict)
{
	const struct image *image = &check->image;
	const char *other = image_not_ours(image);

	if (image->device.in_use)
		printf("note: %s is in use by %s: what looks like damage may be a change\n",
		       check->path, image->device.holder);
	print_damages(image);
	if (other)
		printf("%s: no dm-larder cache, found: %s\n", check->path, other);
	else if (image->found == METADATA_OURS)
		print_contents(image);
	printf("%s: %s\n", check->path, verdict_name(verdict));
}

/* --- JSON --- */

static void add_contents(struct json_object *o, const struct image *image)
{
	const struct image_totals *t = &image->totals;
	const struct geometry *g = &image->geometry;

	add_identity(o, image);
	add_sizes(o, image);
	add_number(o, "slots", g->nr_slots);
	add_number(o, "slots_used", t->slots_used);
	add_number(o, "slots_dirty", t->slots_dirty);
	add_number(o, "grains_valid", t->grains_valid);
	add_number(o, "grains_dirty", t->grains_dirty);
	add_number(o, "dirty_sectors", t->dirty_sectors);
	if (!image->nr_damages[SEVERITY_DAMAGE])
		add_number(o, "journal_blocks_to_replay", metadata_journal_used(image->md));
	add_number(o, "intent_pages", t->intent_pages);
	add_number(o, "grains_made_dirty", t->grains_made_dirty);
	add_number(o, "grains_dropped", t->grains_dropped);
}

static struct json_object *damages_array(const struct image *image)
{
	struct json_object *array = json_object_new_array();
	u32 i;

	for (i = 0; i < image->nr_kept; i++) {
		const struct damage *d = &image->damages[i];
		struct json_object *o = json_object_new_object();

		add_number(o, "unit", d->unit);
		add_string(o, "severity", severity_names[d->severity]);
		add_string(o, "what", d->what);
		json_object_array_add(array, o);
	}
	return array;
}

static void print_json(const struct check *check, int verdict)
{
	const struct image *image = &check->image;
	struct json_object *o = json_object_new_object();
	const char *other = image_not_ours(image);

	add_string(o, "device", check->path);
	add_string(o, "result", verdict_name(verdict));
	add_bool(o, "in_use", image->device.in_use);
	if (other)
		add_string(o, "found", other);
	else if (image->found == METADATA_OURS)
		add_contents(o, image);
	add_number(o, "damages", image->nr_damages[SEVERITY_DAMAGE] +
		   image->nr_damages[SEVERITY_SPARE]);
	add_number(o, "notes", image->nr_damages[SEVERITY_NOTE]);
	json_object_object_add(o, "reports", damages_array(image));
	print_object(o);
}

/* --- the command --- */

static int parse(struct check *check, int argc, char **argv)
{
	int code;

	/* LVM runs it before each start */
	check->activation = called_by_old_name();
	code = parse_options(options, check, argc, argv);
	return code ? code : one_operand("device", &check->path, argc, argv);
}

static int judge(struct check *check)
{
	struct image *image = &check->image;
	int code, verdict;

	if (image->found == METADATA_OURS) {
		code = image_load(image);
		if (code)
			return code;
	} else {
		judge_unusable(image);
	}
	verdict = image_verdict(image);
	if (check->activation && image->found == METADATA_OURS &&
	    !image->nr_damages[SEVERITY_DAMAGE])
		verdict = EXIT_OK;
	if (check->quiet)
		return verdict;
	if (check->json)
		print_json(check, verdict);
	else
		print_text(check, verdict);
	return verdict;
}

static int run_check(int argc, char **argv)
{
	struct check *check = calloc(1, sizeof(*check));
	int code;

	if (!check) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	code = parse(check, argc, argv);
	if (!code)
		code = image_open(&check->image, check->path);
	if (!code && check->image.md) {
		code = judge(check);
		image_close(&check->image);
	}
	free(check);
	return code;
}

const struct command command_check = {
	.name = "check",
	.summary = "is the metadata of a cache whole, and what does it hold",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_check,
};
