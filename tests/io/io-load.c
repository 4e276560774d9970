// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io-load: a light, deterministic load generator for block devices. All choices (place, read or
 * write) are made before the clock starts, so that the loop around the two system calls costs
 * some tens of instructions per I/O and what is measured is the kernel.
 * It uses the kernel's native asynchronous I/O: io_uring would first try each request with NOWAIT,
 * and on devices that refuse it hand the request to a worker thread, which measures something else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S	1000000000ull
#define PLAN_MAX	(1ull << 22)	/* a longer run repeats its plan */
#define PLAN_TIMED	(1ull << 20)	/* length of the plan if only a time is given */
#define DEPTH_MAX	1024u
#define PLAN_WRITE	(1ull << 63)
#define STAMP_STRIDE	4096u

static const char usage[] =
"io-load DEV key=value...\n"
"  rw=read|write|mix   mix=70    percentage of reads in a mix\n"
"  pat=rand|seq|zipf   theta=1.1 exponent; grain=65536 bytes of neighbours with similar ranks\n"
"  bs=4096 qd=32       block size; I/Os in flight (at most 1024)\n"
"  n=5000 t=SECONDS    stop after so many I/Os or so long, whichever is first (n=0: no limit)\n"
"  off=0 span=BYTES    part of the device (default: to its end); K, M, G are understood\n"
"  seed=1              same seed, same sequence\n"
"  sync=1              fdatasync after every write;  fua=1: FUA writes\n"
"  warm=N              I/Os before the measurement\n"
"  series=K            also K lines of progress over n or t\n"
"  verify=1            each 4 KiB that is read must begin with the stamp of its own place, which\n"
"                      writes leave there, or be zero; verify=2: not zero either\n"
"  notime=1            no clock reading per I/O, hence no latencies; not with t= or series=\n"
"  mark=1              x86: execute nopl 0x7e57c0NN(%rax), NN=01 before and 02 after the\n"
"                      measurement, for an instruction counter that looks for it\n"
"  l=LABEL json=1      name of the result; print it as one JSON object\n"
"Exit code: 0 good, 1 I/O errors or wrong data, 2 wrong use.\n";

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_MIX };
enum pattern { PATTERN_RANDOM, PATTERN_SEQUENTIAL, PATTERN_ZIPF };

struct options {
	const char *device, *label;
	enum access access;
	enum pattern pattern;
	double theta, seconds;
	uint64_t mix, grain, block, depth, count, offset, span, seed, warm, series, verify;
	uint64_t sync, fua, notime, json, mark;
	bool count_given;
};

/* 64 buckets per power of two: latencies to 1.6 % in constant space. */
#define BUCKET_BITS	6u
#define BUCKETS		((64u - BUCKET_BITS + 1) << BUCKET_BITS)

struct slice {
	uint64_t time, count, latency;
};

struct load {
	struct options options;
	int fd;
	aio_context_t aio;
	char *buffers;
	uint64_t *plan;
	uint64_t plan_length, next;
	struct iocb requests[DEPTH_MAX];
	struct iocb *idle[DEPTH_MAX];	/* requests not in flight; also the batch to submit */
	uint64_t idle_count;
	uint64_t started[DEPTH_MAX];	/* by request */
	struct io_event events[DEPTH_MAX];

	uint64_t begun, limit;
	uint64_t submitted, completed, deadline;
	uint64_t errors, wrong, latency_sum, latency_max;
	uint64_t histogram[BUCKETS];
	struct slice *slices;
	uint64_t slices_done;
};

static _Noreturn void fail(const char *label, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", label, what, strerror(errno));
	exit(1);
}

static _Noreturn void refuse(const char *what, const char *value)
{
	fprintf(stderr, "io-load: %s: '%s'; see --help\n", what, value);
	exit(2);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/* ---- options ---- */

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text)
		refuse("expected a number", text);
	switch (*end) {
	case 'G':
		value <<= 10; /* fall through */
	case 'M':
		value <<= 10; /* fall through */
	case 'K':
		value <<= 10;
		end++;
	}
	if (*end)
		refuse("expected a number", text);
	return value;
}

static unsigned int choice(const char *value, const char *const *names)
{
	unsigned int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(value, names[i]))
			return i;
	refuse("unknown choice", value);
}

static void parse_option(struct options *options, const char *key, const char *value)
{
	static const char *const accesses[] = { "read", "write", "mix", NULL };
	static const char *const patterns[] = { "rand", "seq", "zipf", NULL };
	const struct {
		const char *key;
		uint64_t *value;
	} numbers[] = {
		{ "mix", &options->mix }, { "grain", &options->grain },
		{ "bs", &options->block }, { "qd", &options->depth },
		{ "n", &options->count }, { "off", &options->offset },
		{ "span", &options->span }, { "seed", &options->seed },
		{ "warm", &options->warm }, { "series", &options->series },
		{ "verify", &options->verify }, { "sync", &options->sync },
		{ "fua", &options->fua }, { "notime", &options->notime },
		{ "json", &options->json }, { "mark", &options->mark },
	};
	unsigned int i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(key, numbers[i].key)) {
			*numbers[i].value = number(value);
			options->count_given |= !strcmp(key, "n");
			return;
		}
	if (!strcmp(key, "rw"))
		options->access = choice(value, accesses);
	else if (!strcmp(key, "pat"))
		options->pattern = choice(value, patterns);
	else if (!strcmp(key, "theta"))
		options->theta = atof(value);
	else if (!strcmp(key, "t"))
		options->seconds = atof(value);
	else if (!strcmp(key, "l"))
		options->label = value;
	else
		refuse("unknown key", key);
}

static void parse_options(struct options *options, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(usage, stdout);
			exit(0);
		}
	if (argc < 2)
		refuse("expected a device", "");
	options->device = argv[1];
	for (i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			refuse("expected key=value", argv[i]);
		*value++ = '\0';
		parse_option(options, argv[i], value);
	}
	if (options->seconds > 0 && !options->count_given)
		options->count = 0;
	if (!options->count && options->seconds <= 0)
		refuse("n=0 needs", "t=SECONDS");
	if (options->notime && (options->seconds > 0 || options->series))
		refuse("notime=1 does not go with", "t= or series=");
	if (!options->depth || options->depth > DEPTH_MAX)
		refuse("expected qd from 1 to", "1024");
	if (!options->block || options->block % 512)
		refuse("expected a multiple of 512", "bs=");
	if (options->pattern == PATTERN_ZIPF && options->theta <= 0)
		refuse("expected a positive number", "theta=");
}

/* ---- plan ---- */

static uint64_t random_state;

static uint64_t next_random(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static double random_unit(void)
{
	return (double)(next_random() >> 11) / 9007199254740992.0;
}

/*
 * Zipf ranks by rejection-inversion (Hoermann and Derflinger 1996): constant time and no table,
 * whatever the number of blocks. `integral` is that of x^-theta, `inverse` its inverse.
 */
struct zipf {
	double theta, blocks, first, last, shortcut;
};

static double integral(const struct zipf *zipf, double x)
{
	double t = (1 - zipf->theta) * log(x);

	return log(x) * (fabs(t) > 0.00000001 ? expm1(t) / t : 1 + t / 2);
}

static double inverse(const struct zipf *zipf, double y)
{
	double t = fmax(y * (1 - zipf->theta), -1);

	return exp(y * (fabs(t) > 0.00000001 ? log1p(t) / t : 1 - t / 2));
}

static double density(const struct zipf *zipf, double x)
{
	return exp(-zipf->theta * log(x));
}

static void zipf_init(struct zipf *zipf, double theta, uint64_t blocks)
{
	zipf->theta = theta;
	zipf->blocks = (double)blocks;
	zipf->first = integral(zipf, 1.5) - 1;
	zipf->last = integral(zipf, zipf->blocks + 0.5);
	zipf->shortcut = 2 - inverse(zipf, integral(zipf, 2.5) - density(zipf, 2));
}

static uint64_t zipf_rank(const struct zipf *zipf)
{
	for (;;) {
		double y = zipf->last + random_unit() * (zipf->first - zipf->last);
		double x = inverse(zipf, y), rank = fmin(fmax(floor(x + 0.5), 1), zipf->blocks);

		if (rank - x <= zipf->shortcut ||
		    y >= integral(zipf, rank + 0.5) - density(zipf, rank))
			return (uint64_t)rank - 1;
	}
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Groups of neighbouring ranks are scattered over the span by a stride prime to their number. */
struct scatter {
	uint64_t group_blocks, groups, stride;
};

static void scatter_init(struct scatter *scatter, uint64_t grain, uint64_t block, uint64_t blocks)
{
	scatter->group_blocks = grain > block ? grain / block : 1;
	scatter->groups = blocks / scatter->group_blocks;
	scatter->stride = (uint64_t)((double)scatter->groups * 0.618) | 1;
	while (scatter->groups && greatest_common_divisor(scatter->stride, scatter->groups) != 1)
		scatter->stride += 2;
}

static uint64_t scatter_block(const struct scatter *scatter, uint64_t rank)
{
	uint64_t group = rank / scatter->group_blocks;

	if (group >= scatter->groups)
		return rank;	/* the short group at the end stays where it is */
	return (group * scatter->stride % scatter->groups) * scatter->group_blocks +
	       rank % scatter->group_blocks;
}

static void make_plan(struct load *load)
{
	const struct options *options = &load->options;
	uint64_t blocks = options->span / options->block, i, block;
	struct scatter scatter;
	struct zipf zipf;

	if (!blocks)
		refuse("the span is smaller than a block on", options->device);
	load->plan_length = options->count ? options->count + options->warm : PLAN_TIMED;
	if (load->plan_length > PLAN_MAX)
		load->plan_length = PLAN_MAX;
	load->plan = malloc(load->plan_length * sizeof(*load->plan));
	if (!load->plan)
		fail(options->label, "plan");
	random_state = options->seed * 0x9e3779b97f4a7c15ull;
	zipf_init(&zipf, options->theta, blocks);
	scatter_init(&scatter, options->grain, options->block, blocks);
	for (i = 0; i < load->plan_length; i++) {
		bool write = options->access == ACCESS_WRITE;

		if (options->access == ACCESS_MIX)
			write = next_random() % 100 >= options->mix;
		if (options->pattern == PATTERN_SEQUENTIAL)
			block = i % blocks;
		else if (options->pattern == PATTERN_ZIPF)
			block = scatter_block(&scatter, zipf_rank(&zipf));
		else
			block = next_random() % blocks;
		load->plan[i] = (options->offset + block * options->block) |
				(write ? PLAN_WRITE : 0);
	}
}

/* ---- preparation ---- */

static void open_device(struct load *load)
{
	struct options *options = &load->options;
	int flags = (options->access == ACCESS_READ ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	struct stat status;
	uint64_t bytes;

	load->fd = open(options->device, flags | O_DIRECT);
	if (load->fd < 0 && errno == EINVAL)
		load->fd = open(options->device, flags);	/* a file on tmpfs: self-test */
	if (load->fd < 0 || fstat(load->fd, &status))
		fail(options->label, options->device);
	bytes = (uint64_t)status.st_size;
	if (S_ISBLK(status.st_mode) && ioctl(load->fd, BLKGETSIZE64, &bytes))
		fail(options->label, options->device);
	if (!options->span && options->offset < bytes)
		options->span = bytes - options->offset;
	if (options->offset + options->span > bytes)
		refuse("off= and span= go beyond the end of", options->device);
}

static void prepare(struct load *load)
{
	const struct options *options = &load->options;
	uint64_t i;

	load->buffers = mmap(NULL, options->depth * options->block, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (load->buffers == MAP_FAILED)
		fail(options->label, "buffers");
	if (syscall(SYS_io_setup, (unsigned int)options->depth, &load->aio))
		fail(options->label, "io_setup");
	load->slices = calloc(options->series + 1, sizeof(*load->slices));
	if (!load->slices)
		fail(options->label, "series");
	for (i = 0; i < options->depth; i++) {
		struct iocb *request = &load->requests[i];

		request->aio_data = i;
		request->aio_fildes = (uint32_t)load->fd;
		request->aio_buf = (uintptr_t)(load->buffers + i * options->block);
		request->aio_nbytes = options->block;
		load->idle[load->idle_count++] = request;
	}
	make_plan(load);
}

/* ---- the loop ---- */

static inline void stamp(const struct iocb *request)
{
	char *buffer = (char *)(uintptr_t)request->aio_buf;
	uint64_t i;

	for (i = 0; i < request->aio_nbytes; i += STAMP_STRIDE)
		*(uint64_t *)(buffer + i) = (uint64_t)request->aio_offset + i + 1;
}

static void check(struct load *load, const struct iocb *request)
{
	const char *buffer = (const char *)(uintptr_t)request->aio_buf;
	uint64_t i;

	for (i = 0; i < request->aio_nbytes; i += STAMP_STRIDE) {
		uint64_t expected = (uint64_t)request->aio_offset + i + 1;
		uint64_t found = *(const uint64_t *)(buffer + i);

		if (found == expected || (!found && load->options.verify == 1))
			continue;
		if (!load->wrong++)
			fprintf(stderr, "%s: at %" PRIu64 ": expected the stamp 0x%" PRIx64
				", found 0x%" PRIx64 "\n", load->options.label, expected - 1,
				expected, found);
	}
}

static inline void fill_request(struct load *load, struct iocb *request)
{
	uint64_t entry = load->plan[load->next];

	if (++load->next == load->plan_length)
		load->next = 0;
	request->aio_offset = (int64_t)(entry & ~PLAN_WRITE);
	request->aio_rw_flags = 0;
	if (entry & PLAN_WRITE) {
		request->aio_lio_opcode = IOCB_CMD_PWRITE;
		if (load->options.fua)
			request->aio_rw_flags |= RWF_DSYNC;
		stamp(request);
	} else {
		request->aio_lio_opcode = IOCB_CMD_PREAD;
	}
}

static void submit(struct load *load)
{
	uint64_t count = load->idle_count, left = load->limit - load->submitted, i, time = 0;
	struct iocb **batch;

	if (count > left)
		count = left;
	if (!count)
		return;
	batch = load->idle + load->idle_count - count;
	if (!load->options.notime)
		time = now();
	for (i = 0; i < count; i++) {
		fill_request(load, batch[i]);
		load->started[batch[i]->aio_data] = time;
	}
	load->submitted += count;
	load->idle_count -= count;
	while (count) {
		long done = syscall(SYS_io_submit, load->aio, (long)count, batch);

		if (done <= 0)
			fail(load->options.label, "io_submit");
		batch += done;
		count -= (uint64_t)done;
	}
}

static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift;

	if (value < 1u << BUCKET_BITS)
		return (unsigned int)value;
	shift = 63u - (unsigned int)__builtin_clzll(value) - BUCKET_BITS;
	return (shift << BUCKET_BITS) + (unsigned int)(value >> shift);
}

/* The middle of a bucket's range. */
static double bucket_value(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2u << BUCKET_BITS)
		return bucket;
	shift = (bucket >> BUCKET_BITS) - 1;
	return ((double)(bucket - (shift << BUCKET_BITS)) + 0.5) * (double)(1ull << shift);
}

static void account_time(struct load *load, uint64_t latency, uint64_t time)
{
	const struct options *options = &load->options;
	uint64_t next = load->slices_done + 1;

	load->latency_sum += latency;
	load->histogram[bucket_of(latency)]++;
	if (latency > load->latency_max)
		load->latency_max = latency;
	if (load->slices_done >= options->series)
		return;
	if (options->count ? load->completed >= options->count * next / options->series :
	    (double)(time - load->begun) >= options->seconds * 1e9 * (double)next /
					    (double)options->series)
		load->slices[++load->slices_done] = (struct slice) {
			.time = time, .count = load->completed, .latency = load->latency_sum,
		};
}

static void complete(struct load *load, const struct io_event *event, uint64_t time)
{
	const struct options *options = &load->options;
	struct iocb *request = &load->requests[event->data];

	load->completed++;
	if (event->res != (int64_t)options->block) {
		if (!load->errors++)
			fprintf(stderr, "%s: %s at %" PRId64 ": result %" PRId64 "\n",
				options->label, request->aio_lio_opcode == IOCB_CMD_PREAD ?
				"read" : "write", (int64_t)request->aio_offset,
				(int64_t)event->res);
	} else if (request->aio_lio_opcode == IOCB_CMD_PREAD) {
		if (options->verify)
			check(load, request);
	} else if (options->sync) {
		load->errors += fdatasync(load->fd) != 0;
		time = options->notime ? 0 : now();
	}
	if (!options->notime)
		account_time(load, time - load->started[event->data], time);
	load->idle[load->idle_count++] = request;
}

/* Performs `count` I/Os (0: until the deadline) and leaves nothing in flight. */
static void perform(struct load *load, uint64_t count)
{
	bool notime = load->options.notime;
	uint64_t time = 0;
	long i, events;

	load->limit = count ? count : UINT64_MAX;
	load->submitted = 0;
	load->completed = 0;
	for (;;) {
		if (time < load->deadline)
			submit(load);
		if (load->idle_count == load->options.depth)
			break;
		events = syscall(SYS_io_getevents, load->aio, 1L, (long)load->options.depth,
				 load->events, NULL);
		if (events < 0 && errno == EINTR)
			continue;
		if (events < 1)
			fail(load->options.label, "io_getevents");
		if (!notime)
			time = now();
		for (i = 0; i < events; i++)
			complete(load, &load->events[i], time);
	}
}

static void warm_up(struct load *load)
{
	load->deadline = UINT64_MAX;
	if (!load->options.warm)
		return;
	load->slices_done = load->options.series;	/* no slices yet */
	perform(load, load->options.warm);
	load->slices_done = 0;
	load->latency_sum = 0;
	load->latency_max = 0;
	memset(load->histogram, 0, sizeof(load->histogram));
}

/* Tells an instruction counter in the emulator that the measurement begins or ends. */
static void mark(const struct load *load, bool end)
{
	if (!load->options.mark)
		return;
#ifdef __x86_64__
	if (end)
		__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x02, 0xc0, 0x57, 0x7e" : : : "memory");
	else
		__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x01, 0xc0, 0x57, 0x7e" : : : "memory");
#else
	(void)end;
	refuse("mark=1 is for x86-64 only", "mark");
#endif
}

/* ---- results ---- */

static double percentile(const struct load *load, double part)
{
	uint64_t rank = (uint64_t)((double)load->completed * part), seen = 0;
	unsigned int bucket;

	for (bucket = 0; bucket < BUCKETS; bucket++) {
		seen += load->histogram[bucket];
		if (seen > rank)
			return fmin(bucket_value(bucket), (double)load->latency_max) / 1e3;
	}
	return (double)load->latency_max / 1e3;
}

static void print_series(const struct load *load)
{
	uint64_t i;

	for (i = 1; i <= load->slices_done; i++) {
		const struct slice *slice = &load->slices[i], *last = &load->slices[i - 1];
		uint64_t count = slice->count - last->count;
		uint64_t from = i == 1 ? load->begun : last->time;
		double rate = (double)count * 1e9 / (double)(slice->time - from);

		printf("%s.series %" PRIu64 "/%" PRIu64 " t=%.3f iops=%.0f mean_us=%.1f\n",
		       load->options.label, i, load->options.series,
		       (double)(slice->time - load->begun) / 1e9, rate, count ?
		       (double)(slice->latency - last->latency) / (double)count / 1e3 : 0.0);
	}
}

static void print_result(const struct load *load, double seconds)
{
	bool json = load->options.json;
	double count = (double)load->completed;

	print_series(load);
	printf(json ? "{\"label\":\"%s\",\"n\":%" PRIu64 ",\"seconds\":%.6f,\"iops\":%.1f,"
		      "\"mb_per_s\":%.3f" :
		      "%s n=%" PRIu64 " seconds=%.6f iops=%.1f mb_per_s=%.3f",
	       load->options.label, load->completed, seconds, count / seconds,
	       count * (double)load->options.block / seconds / 1e6);
	if (!load->options.notime && load->completed)
		printf(json ? ",\"mean_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
			      "\"p999_us\":%.1f,\"max_us\":%.1f" :
			      " mean_us=%.1f p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f",
		       (double)load->latency_sum / count / 1e3, percentile(load, 0.5),
		       percentile(load, 0.99), percentile(load, 0.999),
		       (double)load->latency_max / 1e3);
	printf(json ? ",\"errors\":%" PRIu64 ",\"wrong\":%" PRIu64 "}\n" :
		      " errors=%" PRIu64 " wrong=%" PRIu64 "\n", load->errors, load->wrong);
}

int main(int argc, char **argv)
{
	static struct load load = {
		.options = {
			.label = "io-load", .theta = 1.1, .mix = 70, .grain = 65536,
			.block = 4096, .depth = 32, .count = 5000, .seed = 1,
		},
	};
	uint64_t ended;

	parse_options(&load.options, argc, argv);
	open_device(&load);
	prepare(&load);
	warm_up(&load);
	load.begun = now();
	if (load.options.seconds > 0)
		load.deadline = load.begun + (uint64_t)(load.options.seconds * 1e9);
	mark(&load, false);
	perform(&load, load.options.count);
	mark(&load, true);
	ended = now();
	print_result(&load, (double)(ended - load.begun) / 1e9);
	return load.errors || load.wrong;
}
