// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder metadata-size: how large must a metadata device be?
 */
#include <stdio.h>

#include "options.h"
#include "sizes.h"

#define JOURNAL_WANTED	1024u	/* 4 MiB */
#define HINT_WIDTH_MAX	128u	/* of dm-cache */

static const char help[] =
	"usage: larder metadata-size --block-size SIZE --device-size SIZE [-u UNIT] [-n]\n"
	"       larder metadata-size --nr-blocks NUMBER [-u UNIT] [-n]\n"
	"\n"
	"Says how large the metadata device of a cache should be: for blocks as small as they can\n"
	"be, and a journal of 4 MiB. Less will do: the cache then uses larger blocks.\n"
	"\n";

static const char after_options[] =
	"\n"
	"SIZE is in sectors, or has a unit: b, s, k, m, g, t, p, K, M, G, T, P.\n"
	"Exit code: 0, or 64 wrong usage, impossible sizes.\n";

static const struct unit {
	char letter;
	const char *name;
	u64 bytes;
} units[] = {
	{ 'b', "byte", 1 },
	{ 's', "sector", 512 },
	{ 'k', "kibibyte", 1ull << 10 },
	{ 'm', "mebibyte", 1ull << 20 },
	{ 'g', "gibibyte", 1ull << 30 },
	{ 't', "tebibyte", 1ull << 40 },
	{ 'p', "pebibyte", 1ull << 50 },
	{ 'K', "kilobyte", 1000ull },
	{ 'M', "megabyte", 1000000ull },
	{ 'G', "gigabyte", 1000000000ull },
	{ 'T', "terabyte", 1000000000000ull },
	{ 'P', "petabyte", 1000000000000000ull },
};

static const struct unit *find_unit(const char *text)
{
	unsigned int i;
	size_t length = strlen(text);

	if (!length)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (length == 1 && *text == units[i].letter)
			return &units[i];
		if (!strcmp(text, units[i].name))
			return &units[i];
	}
	return NULL;
}

static bool parse_number(const char *text, u64 *number, char **end)
{
	if (*text < '0' || *text > '9')	/* strtoull takes signs and blanks */
		return false;
	errno = 0;
	*number = strtoull(text, end, 10);
	return !errno;
}

bool parse_size(const char *text, u64 *sectors)
{
	const struct unit *unit = &units[1];
	u64 number, bytes;
	char *end;

	if (!parse_number(text, &number, &end))
		return false;
	if (*end)
		unit = find_unit(end);
	if (!unit || !number || number > U64_MAX / unit->bytes)
		return false;
	bytes = number * unit->bytes;
	*sectors = bytes / 512;
	return bytes % 512 == 0;
}

/* With as much room as there can be, the smallest block is chosen. */
u64 metadata_units_wanted(u32 chunk_sectors, u64 cache_sectors)
{
	struct geometry g;
	u64 least;

	if (geometry_choose(&g, chunk_sectors, chunk_sectors, cache_sectors, 1ull << 40, &least))
		return 0;
	return least + JOURNAL_WANTED - JOURNAL_BLOCKS_MIN;
}

/* With no room, the largest one is what is tried last. */
static u64 units_least(u32 chunk_sectors, u64 cache_sectors)
{
	struct geometry g;
	u64 least;

	geometry_choose(&g, chunk_sectors, chunk_sectors, cache_sectors, 0, &least);
	return least;
}

struct question {
	u64 block_sectors;
	u64 device_sectors;
	u64 nr_blocks;
	bool minimum;
	bool numeric;
	const struct unit *unit;
};

static int take_number(const struct tool_option *option, void *member, const char *text)
{
	u64 *number = member;
	char *end;

	return parse_number(text, number, &end) && !*end && *number ? 0 :
	       wrong_usage("'%s' is no number of blocks", text);
}

static int take_width(const struct tool_option *option, void *member, const char *text)
{
	u64 width;
	char *end;

	return parse_number(text, &width, &end) && !*end && width <= HINT_WIDTH_MAX ? 0 :
	       wrong_usage("'%s' is no width of a hint, up to 128", text);
}

static int take_unit(const struct tool_option *option, void *member, const char *text)
{
	const struct unit *unit = find_unit(text);

	*(const struct unit **)member = unit;
	return unit ? 0 : wrong_usage("unknown unit '%s'", text);
}

#define AT(member) offsetof(struct question, member)
static const struct tool_option options[] = {
	{ "block-size", 0, "SIZE", take_size, AT(block_sectors),
	  "chunk size of the cache, as in the table line" },
	{ "device-size", 0, "SIZE", take_size, AT(device_sectors), "size of the cache device" },
	{ "nr-blocks", 0, "NUMBER", take_number, AT(nr_blocks),
	  "instead of both: chunks of the cache, not divided into blocks" },
	{ "minimum", 0, NULL, take_flag, AT(minimum), "the least that a cache starts with" },
	{ "max-hint-width", 0, "BYTES", take_width, 0,
	  "accepted and ignored: hints have 4 bytes, which are counted" },
	{ "unit", 'u', "UNIT", take_unit, AT(unit),
	  "of the answer: b, s (the default: sectors), k, m, g (of 1024), K, M, G (of 1000)" },
	{ "numeric-only", 'n', NULL, take_flag, AT(numeric), "print the number alone" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static int parse(struct question *q, int argc, char **argv)
{
	int code = parse_options(options, q, argc, argv);

	if (!code)
		code = no_operand(argc, argv);
	if (code)
		return code;
	if (q->nr_blocks && !q->block_sectors && !q->device_sectors)
		return 0;
	if (!q->nr_blocks && q->block_sectors && q->device_sectors)
		return 0;
	return wrong_usage("expected --block-size and --device-size, or --nr-blocks");
}

static void print_answer(const struct question *q, u64 bytes)
{
	double size = (double)bytes / (double)q->unit->bytes;

	/* as cache_metadata_size does */
	if (bytes % q->unit->bytes == 0)
		printf("%llu", (unsigned long long)(bytes / q->unit->bytes));
	else
		printf(size < 1 ? "%.10g" : "%.2f", size);
	if (!q->numeric)
		printf(" %ss", q->unit->name);
	putchar('\n');
}

static int run_metadata_size(int argc, char **argv)
{
	struct question q = { .unit = &units[1] };
	int code = parse(&q, argc, argv);
	u64 units;

	if (code)
		return code;
	if (q.nr_blocks) {
		/* blocks that cannot be divided */
		if (q.nr_blocks > SLOTS_MAX)
			return wrong_usage("there can be at most %u blocks", SLOTS_MAX);
		q.block_sectors = CHUNK_SECTORS_MIN;
		q.device_sectors = q.nr_blocks * CHUNK_SECTORS_MIN;
	}
	if (q.block_sectors < CHUNK_SECTORS_MIN || q.block_sectors > CHUNK_SECTORS_MAX ||
	    q.block_sectors % CHUNK_SECTORS_MIN)
		return wrong_usage("a block has 8 to 2097152 sectors, in steps of 8");
	units = (q.minimum ? units_least : metadata_units_wanted)((u32)q.block_sectors,
								   q.device_sectors);
	if (!units)
		return wrong_usage("no cache can have these sizes");
	print_answer(&q, units * LARDER_UNIT_SIZE);
	return EXIT_OK;
}

const struct command command_metadata_size = {
	.name = "metadata-size",
	.summary = "how large a metadata device should be",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_metadata_size,
};
