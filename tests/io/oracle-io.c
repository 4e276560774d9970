// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * oracle-io: random I/O against a block device, with an oracle that knows what every sector may
 * hold: while the I/O runs, after a power cut, and for ever after it was read once.
 * This file is the command line; the rules are in oracle.h, what survives a crash in journal.h,
 * the contents of a sector in sector-format.h.
 */
#define _GNU_SOURCE
#include "journal.h"
#include "run.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char usage[] =
"oracle-io run    DEV --journal FILE [options]   random I/O, every read checked\n"
"oracle-io verify DEV --journal FILE [options]   check all sectors, adopt what was found\n"
"oracle-io fill   DEV --journal FILE [options]   write the whole span once\n"
"oracle-io dump   DEV SECTOR [COUNT] [--journal FILE]   decode sectors\n"
"\n"
"  --journal FILE     what is known about the device; kept by run, fill and verify\n"
"  --ack-stream FILE  (run, verify) survives a kill of the machine, see journal.h; put it and\n"
"                     the journal on storage outside\n"
"  --file             DEV may be a regular file\n"
"run, fill (a new journal):\n"
"  --offset BYTES --span BYTES   part of the device to use (default: all of it; 80 bytes of\n"
"                     memory per sector that is touched)\n"
"  --initial zero|any contents before the first write (default zero)\n"
"  --continue         go on from a journal that fill, a good run or verify has left\n"
"run:\n"
"  --seed N           of the sequence of operations (default 1)\n"
"  --threads T        (default 4)\n"
"  --ops N            operations in total; --seconds S: duration (default: --ops 10000)\n"
"  --mix R,W,FLUSH,FUA,DISCARD,ZEROES   weights (default 45,40,4,5,3,3)\n"
"  --sizes MIN..MAX   in bytes, K and M are understood (default 512..1M)\n"
"  --unaligned        any sector and length; without it multiples of 4 KiB\n"
"  --hot PERCENT      of the operations in 8 windows of 256 KiB (default 60)\n"
"  --sequential-runs  mix in sequential runs\n"
"  --stop-on-error    stop at the first wrong read\n"
"  --tolerate-errors  go on after I/O errors; without it the first one ends the run\n"
"  --allow-tearing    a read during a write of the same sector may find a mixture; for RAM disks\n"
"                     (brd, null_blk) and files, which copy without a lock\n"
"  --hang SECONDS     give up on an operation that does not return (default 300)\n"
"  --list-operations  print the sequence of operations instead of performing it\n"
"verify:\n"
"  --expect-exact     no crash: the last acknowledged contents, nothing older\n"
"  --reread N         passes in other orders (default 1)\n"
"  --between COMMAND  shell command before each of these passes\n"
"  --no-adopt         leave the journal alone\n"
"self-test, with --file:\n"
"  --fail-after N     everything fails from the N-th operation on\n"
"  --volatile[=BUG]   the file is a drive with a volatile cache that --fail-after cuts\n"
"                     from power; BUG: lose-flush lose-fua stale-read misplace tear flush-older\n"
"\n"
"Exit code: 0 good, 1 wrong data, 2 cannot do that, 75 the device died (verify after recovery),\n"
"76 the device hangs.\n";

enum option_code {
	OPT_JOURNAL = 256, OPT_ACK_STREAM, OPT_FILE, OPT_OFFSET, OPT_SPAN, OPT_INITIAL,
	OPT_CONTINUE, OPT_SEED, OPT_THREADS, OPT_OPS, OPT_SECONDS, OPT_MIX, OPT_SIZES,
	OPT_UNALIGNED, OPT_HOT, OPT_SEQUENTIAL, OPT_STOP_ON_ERROR, OPT_TOLERATE, OPT_TEARING,
	OPT_HANG,
	OPT_LIST, OPT_EXACT, OPT_REREAD, OPT_BETWEEN, OPT_NO_ADOPT, OPT_FAIL_AFTER, OPT_VOLATILE,
};

static const struct option long_options[] = {
	{ "journal", required_argument, NULL, OPT_JOURNAL },
	{ "ack-stream", required_argument, NULL, OPT_ACK_STREAM },
	{ "file", no_argument, NULL, OPT_FILE },
	{ "offset", required_argument, NULL, OPT_OFFSET },
	{ "span", required_argument, NULL, OPT_SPAN },
	{ "initial", required_argument, NULL, OPT_INITIAL },
	{ "continue", no_argument, NULL, OPT_CONTINUE },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "ops", required_argument, NULL, OPT_OPS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "mix", required_argument, NULL, OPT_MIX },
	{ "sizes", required_argument, NULL, OPT_SIZES },
	{ "unaligned", no_argument, NULL, OPT_UNALIGNED },
	{ "hot", required_argument, NULL, OPT_HOT },
	{ "sequential-runs", no_argument, NULL, OPT_SEQUENTIAL },
	{ "stop-on-error", no_argument, NULL, OPT_STOP_ON_ERROR },
	{ "tolerate-errors", no_argument, NULL, OPT_TOLERATE },
	{ "allow-tearing", no_argument, NULL, OPT_TEARING },
	{ "hang", required_argument, NULL, OPT_HANG },
	{ "list-operations", no_argument, NULL, OPT_LIST },
	{ "expect-exact", no_argument, NULL, OPT_EXACT },
	{ "reread", required_argument, NULL, OPT_REREAD },
	{ "between", required_argument, NULL, OPT_BETWEEN },
	{ "no-adopt", no_argument, NULL, OPT_NO_ADOPT },
	{ "fail-after", required_argument, NULL, OPT_FAIL_AFTER },
	{ "volatile", optional_argument, NULL, OPT_VOLATILE },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

struct command_line {
	struct run_options run;
	struct verify_options verify;
	const char *journal;
	const char *ack_stream;
	uint64_t offset, span;
	bool allow_file, foreign_start, continued, list;
	uint64_t fail_after;
	bool volatile_cache;
	const char *planted_bug;
};

static _Noreturn void refuse(const char *what, const char *value)
{
	fprintf(stderr, "oracle-io: %s: '%s'; see --help\n", what, value);
	exit(EXIT_CANNOT);
}

static uint64_t parse_number(const char *text, char **end)
{
	uint64_t number = strtoull(text, end, 0);

	if (*end == text || *text == '-')
		refuse("expected a number", text);
	switch (**end) {
	case 'G':
		number <<= 10; /* fall through */
	case 'M':
		number <<= 10; /* fall through */
	case 'K':
		number <<= 10;
		(*end)++;
	}
	return number;
}

static uint64_t number_argument(const char *text)
{
	char *end;
	uint64_t number = parse_number(text, &end);

	if (*end)
		refuse("expected a number", text);
	return number;
}

static uint64_t sectors_argument(const char *text)
{
	uint64_t bytes = number_argument(text);

	if (bytes % SECTOR_SIZE)
		refuse("expected a multiple of 512", text);
	return bytes / SECTOR_SIZE;
}

static void parse_sizes(struct operation_options *options, const char *text)
{
	char *end;
	uint64_t low = parse_number(text, &end), high;

	if (strncmp(end, "..", 2))
		refuse("expected MIN..MAX", text);
	high = number_argument(end + 2);
	if (low % SECTOR_SIZE || high % SECTOR_SIZE || high > MAX_IO_SECTORS * SECTOR_SIZE)
		refuse("expected multiples of 512, at most 1M", text);
	options->min_sectors = (uint32_t)(low / SECTOR_SIZE);
	options->max_sectors = (uint32_t)(high / SECTOR_SIZE);
}

static void parse_mix(struct operation_options *options, const char *text)
{
	const char *next = text;
	unsigned int kind;
	char *end;

	for (kind = 0; kind < OPERATION_KINDS; kind++) {
		options->mix[kind] = (uint32_t)parse_number(next, &end);
		if (*end != (kind + 1 < OPERATION_KINDS ? ',' : '\0'))
			refuse("expected six weights READ,WRITE,FLUSH,FUA,DISCARD,ZEROES", text);
		next = end + 1;
	}
}

static void parse_operation_option(struct operation_options *options, int code, const char *value)
{
	switch (code) {
	case OPT_SEED:
		options->seed = number_argument(value);
		break;
	case OPT_MIX:
		parse_mix(options, value);
		break;
	case OPT_SIZES:
		parse_sizes(options, value);
		break;
	case OPT_UNALIGNED:
		options->unaligned = true;
		break;
	case OPT_HOT:
		options->hot_percent = (uint32_t)number_argument(value);
		break;
	case OPT_SEQUENTIAL:
		options->sequential_runs = true;
		break;
	default:
		exit(EXIT_CANNOT);	/* getopt has said what is wrong */
	}
}

static void parse_run_option(struct run_options *options, int code, const char *value)
{
	switch (code) {
	case OPT_THREADS:
		options->threads = (unsigned int)number_argument(value);
		if (!options->threads || options->threads > ORACLE_THREADS)
			refuse("expected 1 to 64 threads", value);
		break;
	case OPT_OPS:
		options->operation_limit = number_argument(value);
		break;
	case OPT_SECONDS:
		options->seconds = (unsigned int)number_argument(value);
		break;
	case OPT_HANG:
		options->hang_seconds = (unsigned int)number_argument(value);
		break;
	case OPT_STOP_ON_ERROR:
		options->stop_on_error = true;
		break;
	case OPT_TOLERATE:
		options->tolerate_errors = true;
		break;
	case OPT_TEARING:
		options->allow_tearing = true;
		break;
	default:
		parse_operation_option(&options->operations, code, value);
	}
}

static void parse_verify_option(struct command_line *line, int code, const char *value)
{
	switch (code) {
	case OPT_EXACT:
		line->verify.exact = true;
		break;
	case OPT_REREAD:
		line->verify.rereads = (unsigned int)number_argument(value);
		break;
	case OPT_BETWEEN:
		line->verify.between = value;
		break;
	case OPT_NO_ADOPT:
		line->verify.adopt = false;
		break;
	case OPT_FAIL_AFTER:
		line->fail_after = number_argument(value);
		break;
	case OPT_VOLATILE:
		line->volatile_cache = true;
		line->planted_bug = value;
		break;
	default:
		parse_run_option(&line->run, code, value);
	}
}

static void parse_option(struct command_line *line, int code, const char *value)
{
	switch (code) {
	case 'h':
		fputs(usage, stdout);
		exit(EXIT_GOOD);
	case OPT_JOURNAL:
		line->journal = value;
		break;
	case OPT_ACK_STREAM:
		line->ack_stream = value;
		break;
	case OPT_FILE:
		line->allow_file = true;
		break;
	case OPT_OFFSET:
		line->offset = sectors_argument(value);
		break;
	case OPT_SPAN:
		line->span = sectors_argument(value);
		break;
	case OPT_INITIAL:
		line->foreign_start = !strcmp(value, "any");
		if (!line->foreign_start && strcmp(value, "zero"))
			refuse("--initial: expected zero or any", value);
		break;
	case OPT_CONTINUE:
		line->continued = true;
		break;
	case OPT_LIST:
		line->list = true;
		break;
	default:
		parse_verify_option(line, code, value);
	}
}

static void new_oracle(struct oracle *oracle, const struct command_line *line,
		       const struct io_device *device)
{
	uint64_t sectors = line->span, i;

	if (!sectors && line->offset < device->sectors)
		sectors = device->sectors - line->offset;
	if (!sectors || line->offset + sectors > device->sectors) {
		fprintf(stderr, "%s: --offset and --span go beyond its %llu sectors\n",
			device->path, (unsigned long long)device->sectors);
		exit(EXIT_CANNOT);
	}
	if (oracle_create(oracle, line->offset, sectors) ||
	    getrandom(&oracle->run_id, sizeof(oracle->run_id), 0) != sizeof(oracle->run_id))
		exit(EXIT_CANNOT);
	oracle->seed = line->run.operations.seed;
	oracle->base = 1ull << GENERATION_BITS;
	oracle->tick = oracle->base;
	oracle->foreign_start = line->foreign_start;
	for (i = 0; line->foreign_start && i < sectors; i++) {
		oracle->states[i].live.settled = VALUE_FOREIGN;
		oracle->states[i].durable.settled = VALUE_FOREIGN;
	}
}

static void prepare_oracle(struct oracle *oracle, const struct command_line *line,
			   const struct io_device *device)
{
	enum journal_state state;

	if (!line->continued) {
		new_oracle(oracle, line, device);
	} else {
		if (journal_load(oracle, line->journal, &state))
			exit(EXIT_CANNOT);
		if (state != JOURNAL_CLEAN) {
			fprintf(stderr, "%s: the last run did not end well; verify the device "
				"before --continue\n", line->journal);
			exit(EXIT_CANNOT);
		}
	}
	if (oracle->first_sector % device->block_sectors ||
	    oracle->sectors % device->block_sectors) {
		fprintf(stderr, "%s: offset and span must be multiples of its %u-sector blocks\n",
			device->path, device->block_sectors);
		exit(EXIT_CANNOT);
	}
}

/* Sizes below the device's block are rounded up to it. */
static void fit_to_device(struct operation_options *options, const struct io_device *device,
			  uint64_t sectors)
{
	uint32_t block = device->block_sectors;

	options->sectors = sectors;
	options->block_sectors = block;
	options->min_sectors += (block - options->min_sectors % block) % block;
	options->max_sectors -= options->max_sectors % block;
	if (options->max_sectors > sectors)
		options->max_sectors = (uint32_t)sectors;
}

static int list_operations(const struct run_options *options)
{
	struct generator generator;
	unsigned int thread;
	uint64_t i;

	for (thread = 0; thread < options->threads; thread++) {
		if (generator_init(&generator, &options->operations, thread))
			return EXIT_CANNOT;
		for (i = 0; i < options->operation_limit / options->threads; i++) {
			struct operation operation = generator_next(&generator);

			printf("%u %s %llu+%u\n", thread, operation_names[operation.kind],
			       (unsigned long long)operation.sector, operation.count);
		}
	}
	return EXIT_GOOD;
}

static int command_run(struct command_line *line, struct io_device *device)
{
	struct oracle oracle;
	int code;

	prepare_oracle(&oracle, line, device);
	fit_to_device(&line->run.operations, device, oracle.sectors);
	if (!line->run.operation_limit && !line->run.seconds)
		line->run.operation_limit = 10000;
	if (line->list)
		code = list_operations(&line->run);
	else
		code = run_oracle(device, &oracle, &line->run);
	oracle_destroy(&oracle);
	return code;
}

static int command_fill(const struct command_line *line, struct io_device *device)
{
	struct oracle oracle;
	int code;

	prepare_oracle(&oracle, line, device);
	code = fill_device(device, &oracle, line->journal);
	oracle_destroy(&oracle);
	return code;
}

static void dump_sector(struct io_channel *channel, char *buffer, const struct oracle *oracle,
			uint64_t sector)
{
	const struct sector_stamp *stamp;
	uint32_t block = channel->device->block_sectors;
	uint64_t first = sector - sector % block;
	struct found found;

	if (channel_read(channel, buffer, first, block)) {
		printf("%llu: unreadable\n", (unsigned long long)sector);
		return;
	}
	stamp = (const void *)(buffer + (sector - first) * SECTOR_SIZE);
	found = sector_decode(stamp, sector, oracle->sectors ? oracle->run_id : stamp->run_id);
	printf("%llu: %s", (unsigned long long)sector, found_class_name(found.class));
	if (found.class != FOUND_ZERO)
		printf(" version=0x%llx sector=%llu run=%016llx magic=%016llx",
		       (unsigned long long)stamp->version, (unsigned long long)stamp->sector,
		       (unsigned long long)stamp->run_id, (unsigned long long)stamp->magic);
	if (sector >= oracle->first_sector && sector - oracle->first_sector < oracle->sectors)
		oracle_describe(oracle, sector - oracle->first_sector, stdout);
	printf("\n");
}

static int command_dump(const struct command_line *line, struct io_device *device, char **words)
{
	uint64_t sector = words[0] ? number_argument(words[0]) : 0;
	uint64_t count = words[0] && words[1] ? number_argument(words[1]) : 1;
	char *buffer = allocate_buffer(MAX_IO_SECTORS);
	struct oracle oracle = { 0 };
	struct io_channel channel;
	enum journal_state state;

	if ((line->journal && journal_load(&oracle, line->journal, &state)) ||
	    channel_open(&channel, device))
		return EXIT_CANNOT;
	for (; count-- && sector < device->sectors; sector++)
		dump_sector(&channel, buffer, &oracle, sector);
	channel_close(&channel);
	return EXIT_GOOD;
}

static int dispatch(struct command_line *line, struct io_device *device, const char *command,
		    char **words)
{
	if (!strcmp(command, "dump"))
		return command_dump(line, device, words);
	if (!line->journal)
		refuse("needs --journal FILE", command);
	line->run.journal = line->journal;
	line->run.ack_stream = line->ack_stream;
	line->verify.journal = line->journal;
	line->verify.ack_stream = line->ack_stream;
	line->verify.seed = line->run.operations.seed;
	if (!strcmp(command, "run"))
		return command_run(line, device);
	if (!strcmp(command, "fill"))
		return command_fill(line, device);
	if (!strcmp(command, "verify"))
		return verify_device(device, &line->verify);
	refuse("expected run, verify, fill or dump", command);
}

int main(int argc, char **argv)
{
	struct command_line line = {
		.run = {
			.operations = {
				.seed = 1, .min_sectors = 1, .max_sectors = MAX_IO_SECTORS,
				.mix = { 45, 40, 4, 5, 3, 3 }, .hot_percent = 60,
			},
			.threads = 4, .hang_seconds = 300,
		},
		.verify = { .rereads = 1, .adopt = true },
	};
	struct io_device device;
	int code;

	while ((code = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		parse_option(&line, code, optarg);
	if (argc - optind < 2) {
		fputs(usage, stderr);
		return EXIT_CANNOT;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (device_open(&device, argv[optind + 1], line.allow_file,
			strcmp(argv[optind], "dump") && strcmp(argv[optind], "verify")))
		return EXIT_CANNOT;
	if ((line.fail_after || line.volatile_cache) && !device.regular_file)
		refuse("power cuts are simulated on regular files only", device.path);
	device_simulate_power_cut(&device, line.fail_after, line.volatile_cache,
				  line.run.operations.seed, line.planted_bug);
	code = dispatch(&line, &device, argv[optind], argv + optind + 2);
	device_close(&device);
	return code;
}
