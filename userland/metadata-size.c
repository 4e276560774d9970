// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder metadata-size: how large must a metadata device be?
 */
#include <getopt.h>
#include <stdio.h>

#include "sizes.h"

#define JOURNAL_WANTED	1024u	/* 4 MiB */
#define HINT_WIDTH_MAX	128u	/* of dm-cache */

static const char help[] =
	"usage: larder metadata-size --block-size SIZE --device-size SIZE [-u UNIT] [-n]\n"
	"       larder metadata-size --nr-blocks NUMBER [-u UNIT] [-n]\n"
	"\n"
	"Says how large the metadata device of a cache should be: for blocks as small as they can\n"
	"be, and a journal of 4 MiB. Less will do: the cache then uses larger blocks.\n"
	"\n"
	"  --block-size SIZE       chunk size of the cache, as in the table line\n"
	"  --device-size SIZE      size of the cache device\n"
	"  --nr-blocks NUMBER      instead of both: chunks of the cache, not divided into blocks\n"
	"  --minimum               the least that a cache starts with\n"
	"  --max-hint-width BYTES  accepted and ignored: hints have 4 bytes, which are counted\n"
	"  -u, --unit UNIT         of the answer: b, s (the default: sectors), k, m, g (of 1024),\n"
	"                          K, M, G (of 1000)\n"
	"  -n, --numeric-only      print the number alone\n"
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

enum { OPT_BLOCK = 256, OPT_DEVICE, OPT_NUMBER, OPT_HINT, OPT_MINIMUM };

static int parse_option(struct question *q, int c, char **argv)
{
	u64 width;
	char *end;

	switch (c) {
	case OPT_BLOCK:
		return parse_size(optarg, &q->block_sectors) ? 0 :
		       wrong_usage("'%s' is no size of a block", optarg);
	case OPT_DEVICE:
		return parse_size(optarg, &q->device_sectors) ? 0 :
		       wrong_usage("'%s' is no size of a device", optarg);
	case OPT_NUMBER:
		return parse_number(optarg, &q->nr_blocks, &end) && !*end && q->nr_blocks ? 0 :
		       wrong_usage("'%s' is no number of blocks", optarg);
	case OPT_HINT:
		return parse_number(optarg, &width, &end) && !*end && width <= HINT_WIDTH_MAX ? 0 :
		       wrong_usage("'%s' is no width of a hint, up to 128", optarg);
	case OPT_MINIMUM:
		q->minimum = true;
		return 0;
	case 'n':
		q->numeric = true;
		return 0;
	case 'u':
		q->unit = find_unit(optarg);
		return q->unit ? 0 : wrong_usage("unknown unit '%s'", optarg);
	case ':':
		return wrong_usage("option '%s' needs a value", argv[optind - 1]);
	default:
		return wrong_usage("unknown option '%s'", argv[optind - 1]);
	}
}

static int parse(struct question *q, int argc, char **argv)
{
	static const struct option options[] = {
		{ "block-size", required_argument, NULL, OPT_BLOCK },
		{ "device-size", required_argument, NULL, OPT_DEVICE },
		{ "nr-blocks", required_argument, NULL, OPT_NUMBER },
		{ "max-hint-width", required_argument, NULL, OPT_HINT },
		{ "minimum", no_argument, NULL, OPT_MINIMUM },
		{ "numeric-only", no_argument, NULL, 'n' },
		{ "unit", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	int c, code = 0;

	optind = 1;
	while (!code && (c = getopt_long(argc, argv, ":nu:", options, NULL)) != -1)
		code = parse_option(q, c, argv);
	if (code)
		return code;
	if (argc > optind)
		return wrong_usage("unexpected argument '%s'", argv[optind]);
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
	.run = run_metadata_size,
};
