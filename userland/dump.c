// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder dump: the metadata as text.
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <stdio.h>

#include "dump.h"
#include "options.h"
#include "output.h"

#define LL(n) ((unsigned long long)(n))

static const char help[] =
	"usage: larder dump [--format xml|larder|json] [-o FILE [--force]] DEVICE\n"
	"\n"
	"Writes the metadata of a cache as text, journal included. Changes nothing on the device.\n"
	"\n";

static const char after_options[] =
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

static int take_format(const struct tool_option *option, void *member, const char *name)
{
	unsigned int *format = member;

	for (*format = 0; *format < ARRAY_SIZE(formats); (*format)++)
		if (!strcmp(formats[*format].name, name))
			return 0;
	return wrong_usage("unknown format '%s': xml, larder or json", name);
}

#define AT(member) offsetof(struct dump, member)
static const struct tool_option options[] = {
	{ "format", 0, "FORMAT", take_format, AT(format),
	  "xml (default): what cache_dump writes for dm-cache, as far as whole chunks are cached, "
	  "for cache_restore; everything else in a comment behind it. larder: our own XML alone: "
	  "each slot with its exact grains. json: the same as one JSON object" },
	{ "output", 'o', "FILE", take_text, AT(output),
	  "write to FILE instead of stdout; FILE must not exist" },
	{ "force", 0, NULL, take_flag, AT(force), "... or may be replaced" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static int parse(struct dump *dump, int argc, char **argv)
{
	int code = parse_options(options, dump, argc, argv);

	if (code)
		return code;
	if (dump->force && !dump->output)
		return wrong_usage("--force means nothing without -o");
	return one_operand("device", &dump->path, argc, argv);
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
	.options = options,
	.after_options = after_options,
	.run = run_dump,
};
