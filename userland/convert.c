// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder convert: a dm-cache becomes a dm-larder cache where it is, or the other
 * way round.  See convert.h for how.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>

#include "convert.h"
#include "options.h"
#include "output.h"
#include "progress.h"

#define LL(n) ((unsigned long long)(n))

#define OPTION(member) offsetof(struct convert, member)

static const struct tool_option options[] = {
	{ "from-dm-cache", 0, NULL, take_flag, OPTION(from),
	  "a dm-cache becomes a dm-larder cache" },
	{ "to-dm-cache", 0, NULL, take_flag, OPTION(to),
	  "a dm-larder cache becomes a dm-cache" },
	{ "metadata-device", 0, "DEVICE", take_text, OPTION(metadata_path),
	  "of a cache that LVM knows nothing of" },
	{ "cache-device", 0, "DEVICE", take_text, OPTION(cache_path),
	  "with the cached data; not needed with --from-dm-cache" },
	{ "origin-device", 0, "DEVICE", take_text, OPTION(origin_path), "the slow one" },
	{ "origin-size", 0, "SIZE", take_size, OPTION(origin_sectors),
	  "with --from-dm-cache instead of --origin-device: in sectors, or with a unit: k, m, "
	  "g, t" },
	{ "staging", 0, "FILE", take_text, OPTION(staging_path),
	  "where the new metadata is made: a file (a new one, or that of a run that was "
	  "interrupted) or a device that begins with zeros; as large as the metadata, and to be "
	  "kept until all is done. For VG/LV, a volume is made for it" },
	{ "metadata-version", 0, "1|2", take_text, OPTION(metadata_version),
	  "with --to-dm-cache: the format of dm-cache's metadata (default: 2)" },
	{ "cache-restore", 0, "PROGRAM", take_text, OPTION(restore_program),
	  "with --to-dm-cache: the cache_restore of thin-provisioning-tools" },
	{ "dry-run", 'n', NULL, take_flag, OPTION(dry_run), "say what would be done" },
	{ "yes", 'y', NULL, take_flag, OPTION(assume_yes),
	  "do not ask before an active cache is stopped" },
	{ "force", 0, NULL, take_flag, OPTION(force), "the staging may be lost in a power cut" },
	{ "json", 0, NULL, take_flag, OPTION(json), "print one JSON object" },
	{ "quiet", 'q', NULL, take_flag, OPTION(quiet), "print nothing but errors" },
	{ NULL }
};

static int judge_line(struct convert *c)
{
	if (c->from == c->to)
		return wrong_usage("expected one of --from-dm-cache and --to-dm-cache");
	c->direction = c->from ? CONVERT_FROM_STOCK : CONVERT_TO_STOCK;
	if (c->metadata_version && strcmp(c->metadata_version, "1") &&
	    strcmp(c->metadata_version, "2"))
		return wrong_usage("the metadata version is 1 or 2, not '%s'", c->metadata_version);
	if (!!c->volume == !!c->metadata_path)
		return wrong_usage("expected either VG/LV or --metadata-device");
	if (c->volume)
		return c->cache_path || c->origin_path || c->origin_sectors ?
		       wrong_usage("the devices of VG/LV are known to LVM") : 0;
	if (!c->staging_path && !c->dry_run)
		return wrong_usage("expected --staging: the new metadata needs a place until it is "
				   "complete");
	if (c->to && (!c->cache_path || !c->origin_path || c->origin_sectors))
		return wrong_usage("--to-dm-cache needs --cache-device and --origin-device");
	if (c->from && !c->origin_path == !c->origin_sectors)
		return wrong_usage("--from-dm-cache needs either --origin-device or --origin-size");
	return 0;
}

static int parse(struct convert *c, int argc, char **argv)
{
	int code = parse_options(options, c, argc, argv);

	if (!code && argc > optind)
		code = one_operand("VG/LV", &c->volume, argc, argv);
	if (!code && c->volume) {
		code = lv_name_parse(&c->lv, c->volume);
		c->volume = c->lv.full;
	}
	if (!code)
		code = judge_line(c);
	if (c->quiet)
		progress_quiet();
	return code;
}

/* --- signals --- */

static volatile sig_atomic_t signalled;

static void note_signal(int number)
{
	signalled = number;
}

bool convert_interrupted(void)
{
	return signalled;
}

int tell_interrupted(void)
{
	complain("interrupted: the cache is as it was");
	return EXIT_INTERRUPTED;
}

/* Noted only: the end must find components of VG/LV inactive, or the new metadata in place. */
static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = note_signal, .sa_flags = SA_RESTART };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

/* --- the devices --- */

static int open_metadata(struct convert *c)
{
	bool write = !c->dry_run;
	int code = disk_open(&c->metadata, c->metadata_path, write);

	if (code || !c->metadata_sectors)
		return code;
	if (c->metadata_sectors >= c->metadata.sectors) {
		complain("%s is smaller than LVM says", c->metadata_path);
		return EXIT_NOT_OURS;
	}
	/* a cachevol: one device, and one claim of it, for both */
	c->cache = disk_part(&c->metadata, c->metadata_sectors,
			     c->metadata.sectors - c->metadata_sectors);
	c->metadata.sectors = c->metadata_sectors;
	return 0;
}

static int open_disks(struct convert *c)
{
	int code = open_metadata(c);

	if (!code && c->cache_path && c->cache.fd < 0)
		code = disk_open(&c->cache, c->cache_path, c->to && !c->dry_run);
	if (!code && c->origin_path)
		code = disk_open(&c->origin, c->origin_path, c->to && !c->dry_run);
	if (code)
		return code;
	if (c->origin.fd >= 0)
		c->origin_sectors = c->origin.sectors;
	/* what a name meant yesterday must be found tomorrow */
	return 0;
}

/* The mark names it: what that meant today must be found tomorrow. */
static int make_absolute(struct convert *c)
{
	char *here;

	if (!c->staging_path || *c->staging_path == '/')
		return 0;
	here = realpath(".", NULL);
	if (here)
		c->staging_absolute = malloc(strlen(here) + strlen(c->staging_path) + 2);
	if (!c->staging_absolute) {
		free(here);
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	sprintf(c->staging_absolute, "%s/%s", here, c->staging_path);
	c->staging_path = c->staging_absolute;
	free(here);
	return 0;
}

static void close_disks(struct convert *c)
{
	if (c->cache.fd == c->metadata.fd)
		c->cache.fd = -1;
	disk_close(&c->metadata);
	disk_close(&c->cache);
	disk_close(&c->origin);
	disk_close(&c->staging);
}

/* --- what is there, and what is to do --- */

static int is_ours(const struct convert *c)
{
	struct image *image = calloc(1, sizeof(*image));
	int code = EXIT_NO_MEMORY;

	if (image)
		code = image_open(image, c->metadata_path);
	if (!code && image->found != METADATA_OURS) {
		complain("%s is a dm-larder cache already, a damaged one: see larder check",
			 c->metadata_path);
		code = EXIT_DAMAGED;
	}
	if (image && image->md)
		image_close(image);
	free(image);
	return code;
}

/*
 * A superblock that has something behind its first sector could be torn by the
 * mark.  Neither format has any.
 */
static bool could_be_torn(const u8 *unit0)
{
	const struct larder_unit_header *header = (const void *)unit0;
	u32 i;

	if (!stock_is_super(unit0) && unit_verify(unit0, LARDER_MAGIC_SUPER, 0, header->uuid))
		return false;
	for (i = 512; i < LARDER_UNIT_SIZE; i++)
		if (unit0[i])
			return true;
	return false;
}

static int begin(struct convert *c, const u8 *unit0)
{
	const struct larder_unit_header *header = (const void *)unit0;
	bool ours = header->magic == cpu_to_le64(LARDER_MAGIC_SUPER);

	c->already = c->direction == CONVERT_FROM_STOCK ? ours : stock_is_super(unit0);
	if (c->already)
		return ours ? is_ours(c) : 0;
	if (could_be_torn(unit0)) {
		complain("%s: there is something behind the superblock: nothing was done",
			 c->metadata_path);
		return EXIT_NOT_OURS;
	}
	if (c->direction == CONVERT_FROM_STOCK)
		return convert_from_stock(c);
	return convert_to_stock(c);
}

static int convert(struct convert *c)
{
	static u8 unit0[LARDER_UNIT_SIZE] __attribute__((aligned(DISK_ALIGN)));
	enum mark_found found = MARK_NONE;
	int code = 0, error;

	if (c->metadata.sectors < 2 * LARDER_UNIT_SECTORS) {
		complain("%s is too small for the metadata of a cache", c->metadata_path);
		return EXIT_NOT_OURS;
	}
	error = disk_read(&c->metadata, 0, LARDER_UNIT_SECTORS, unit0);
	if (error)
		return disk_failed(&c->metadata, "read", error);
	if (c->staging_path)
		code = staging_open(c, 0);
	if (!code)
		code = staging_judge(c, unit0, &found);
	if (code)
		return code;
	c->resumed = found == MARK_OURS;
	if (!c->resumed)
		code = begin(c, unit0);
	if (!code && !c->dry_run && !c->already)
		code = staging_apply(c);
	if (!code && !c->dry_run)
		code = staging_end(c);
	return code;
}

/* --- the report --- */

static const char *outcome(const struct convert *c)
{
	if (c->already)
		return "nothing to do";
	if (c->dry_run)
		return c->resumed ? "would be finished" : "would be converted";
	return c->resumed ? "finished" : "converted";
}

static void print_json(const struct convert *c, int code)
{
	struct json_object *o = json_object_new_object();

	add_string(o, "target", c->volume ? c->volume : c->metadata_path);
	add_string(o, "direction", c->from ? "from-dm-cache" : "to-dm-cache");
	add_number(o, "exit_code", (u64)code);
	add_string(o, "outcome", code ? "failed" : outcome(c));
	add_bool(o, "dry_run", c->dry_run);
	add_number(o, "chunks_cached", c->chunks_kept);
	add_number(o, "chunks_dirty", c->chunks_dirty);
	if (c->to) {
		add_number(o, "chunks_completed", c->chunks_completed);
		add_number(o, "chunks_given_up", c->chunks_left);
		add_number(o, "sectors_completed", c->sectors_completed);
		add_number(o, "sectors_written_back", c->sectors_written_back);
	}
	print_object(o);
}

static void print_text(const struct convert *c)
{
	printf("%s: %s\n", c->volume ? c->volume : c->metadata_path, outcome(c));
	if (c->already) {
		printf("it is a %s already\n", c->from ? "dm-larder cache" : "dm-cache");
		return;
	}
	if (c->resumed)
		return;
	printf("%llu chunks are cached, %llu of them dirty\n", LL(c->chunks_kept),
	       LL(c->chunks_dirty));
	if (c->from && !c->info.clean)
		puts("note: the dm-cache was not stopped in order, so all of it counts as dirty");
	if (c->to)
		printf("%llu chunks completed from the origin; %llu cannot be expressed, and are "
		       "not cached any more: %llu dirty sectors of these written back\n",
		       LL(c->chunks_completed), LL(c->chunks_left), LL(c->sectors_written_back));
}

/* --- the command --- */

static int run_on_devices(struct convert *c, bool *done)
{
	int code = make_absolute(c);

	if (!code)
		code = open_disks(c);
	if (!code)
		code = convert(c);
	*done = !code && !c->dry_run;
	close_disks(c);
	return code;
}

static int run(struct convert *c)
{
	bool done = false;
	int code, end;

	catch_signals();
	code = c->volume ? lvm_prepare(c) : 0;
	if (!code)
		code = run_on_devices(c, &done);
	if (c->volume) {
		end = lvm_finish(c, done);
		code = code ? code : end;
	}
	if (c->json)
		print_json(c, code);
	else if (!code && !c->quiet)
		print_text(c);
	return code;
}

static int run_convert(int argc, char **argv)
{
	struct convert *c = calloc(1, sizeof(*c));
	int code;

	if (!c) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	c->metadata.fd = -1;
	c->cache.fd = -1;
	c->origin.fd = -1;
	c->staging.fd = -1;
	c->restore.image.device.fd = -1;
	c->image.device.fd = -1;
	code = parse(c, argc, argv);
	if (!code)
		code = run(c);
	image_close(&c->restore.image);
	image_close(&c->image);
	stock_release(&c->stock);
	free(c->staging_absolute);
	free(c);
	return code;
}

const struct command command_convert = {
	.name = "convert",
	.summary = "makes a dm-larder cache of a dm-cache, and back",
	.help =
		"usage: larder convert --from-dm-cache|--to-dm-cache VG/LV [OPTION...]\n"
		"       larder convert --from-dm-cache|--to-dm-cache --metadata-device DEVICE\n"
		"                      [--cache-device DEVICE] [--origin-device DEVICE] --staging FILE\n"
		"\n"
		"Converts the metadata of a cache that is not active, in its place. The data stays on its\n"
		"devices, dirty data stays dirty. Interrupted at any point, by a power cut too, the cache\n"
		"is the old one, the new one, or refuses to start until the same command has been run\n"
		"again, with the same staging.\n"
		"\n",
	.options = options,
	.after_options =
		"\n"
		"Exit code: 0 done, or nothing to do, 1 the metadata is damaged, or another conversion\n"
		"must be finished first, 64 wrong usage, 65 not such a cache, or one that cannot be\n"
		"converted, 66 cannot be opened or is in use, 69 LVM fails, 71 no memory, 73 no room for\n"
		"the staging or the new metadata, 74 I/O error, 75 interrupted, 77 no permission.\n",
	.run = run_convert,
};
