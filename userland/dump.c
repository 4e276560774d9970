// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder dump: the metadata as text.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <stdio.h>

#include "dump.h"
#include "output.h"

#define LL(n) ((unsigned long long)(n))

static const char help[] =
	"usage: larder dump [--format xml|larder|json] [-o FILE [--force]] DEVICE\n"
	"\n"
	"Writes the metadata of a cache as text, journal included. Changes nothing on the device.\n"
	"\n"
	"  --format xml     (default) what cache_dump writes for dm-cache, as far as whole chunks\n"
	"                   are cached, for cache_restore; everything else in a comment behind it\n"
	"  --format larder  our own XML alone: each slot with its exact grains\n"
	"  --format json    the same as one JSON object\n"
	"  -o, --output     write to FILE instead of stdout; FILE must not exist\n"
	"  --force          ... or may be replaced\n"
	"\n"
	"Of damaged metadata, what can be read is dumped, the damage is told on stderr, and the exit\n"
	"code is 1. Others: 0 complete, 64 wrong usage, 65 not a dm-larder cache, 66 cannot be\n"
	"opened, 71 no memory, 73 FILE cannot be made, 74 I/O error, 77 no permission.\n";

static const struct {
	const char *name;
	void (*write)(const struct image *image, FILE *out);
} formats[] = {
	{ "xml", dump_xml },
	{ "larder", dump_larder },
	{ "json", dump_json },
};

struct dump {
	const char *path;
	const char *output;
	bool force;
	unsigned int format;
	struct image image;
};

static int parse_format(struct dump *dump, const char *name)
{
	for (dump->format = 0; dump->format < ARRAY_SIZE(formats); dump->format++)
		if (!strcmp(formats[dump->format].name, name))
			return 0;
	return wrong_usage("unknown format '%s': xml, larder or json", name);
}

static int parse(struct dump *dump, int argc, char **argv)
{
	static const struct option options[] = {
		{ "format", required_argument, NULL, 'f' },
		{ "output", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, 'F' },
		{ NULL, 0, NULL, 0 },
	};
	int c, code;

	optind = 1;
	while ((c = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			code = parse_format(dump, optarg);
			if (code)
				return code;
			break;
		case 'o':
			dump->output = optarg;
			break;
		case 'F':
			dump->force = true;
			break;
		case ':':
			return wrong_usage("option '%s' needs a value", argv[optind - 1]);
		default:
			return wrong_usage("unknown option '%s'", argv[optind - 1]);
		}
	}
	if (dump->force && !dump->output)
		return wrong_usage("--force means nothing without -o");
	if (argc - optind != 1)
		return wrong_usage("expected one device, got %d", argc - optind);
	dump->path = argv[optind];
	return 0;
}

static void tell_damages(const struct image *image)
{
	u32 i;

	for (i = 0; i < image->nr_kept; i++)
		if (image->damages[i].severity != SEVERITY_NOTE)
			complain("unit %llu: %s", LL(image->damages[i].unit),
				 image->damages[i].what);
	if (!dump_complete(image))
		complain("the metadata is damaged: the dump has what could be read");
}

static int write_dump(struct dump *dump)
{
	struct output out;
	int code, verdict;

	code = image_load(&dump->image);
	if (code)
		return code;
	code = output_open(&out, dump->output, dump->force);
	if (code)
		return code;
	formats[dump->format].write(&dump->image, out.file);
	verdict = image_verdict(&dump->image);
	code = output_close(&out, true);
	tell_damages(&dump->image);
	return code ? code : verdict;
}

static int dump_device(struct dump *dump)
{
	struct image *image = &dump->image;
	const char *other = image_not_ours(image);

	if (image->found == METADATA_OURS)
		return write_dump(dump);
	judge_unusable(image);
	tell_damages(image);
	if (other)
		complain("%s holds no dm-larder cache, found: %s", dump->path, other);
	return image_verdict(image);
}

static int run_dump(int argc, char **argv)
{
	struct dump *dump = calloc(1, sizeof(*dump));
	int code;

	if (!dump) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	code = parse(dump, argc, argv);
	if (!code)
		code = image_open(&dump->image, dump->path);
	if (!code && dump->image.md) {
		code = dump_device(dump);
		image_close(&dump->image);
	}
	free(dump);
	return code;
}

const struct command command_dump = {
	.name = "dump",
	.summary = "the metadata of a cache as XML or JSON",
	.help = help,
	.run = run_dump,
};
