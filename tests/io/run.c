// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `oracle-io run` and `oracle-io fill`: threads that do I/O, tell the oracle and check each read
 * when it returns. The first I/O error is taken for the death of the device (a power cut) unless
 * errors are tolerated: all threads stop and the whole oracle goes to the journal for verify.
 */
#define _GNU_SOURCE
#include "run.h"

#include "journal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ERRORS_IN_A_ROW	256u	/* tolerated errors that still mean death */

struct run;

struct worker {
	struct run *run;
	pthread_t thread;
	unsigned int number;
	struct io_channel channel;
	struct generator generator;
	void *buffer;
	struct sector_view *views;
	struct found *found;
	bool *wrong;
	struct operation current;
	int64_t started;	/* second in which the current operation began, 0: none */
	uint64_t done[OPERATION_KINDS];
	uint64_t sectors[OPERATION_KINDS];
	uint64_t errors;
	uint64_t unsupported;
};

struct run {
	struct io_device *device;
	struct oracle *oracle;
	const struct run_options *options;
	pthread_mutex_t lock;
	pthread_cond_t finished;
	unsigned int running;
	bool died;
	uint64_t wrong_sectors;
	unsigned int errors_in_a_row;
	struct worker *workers;
};

static volatile sig_atomic_t stop_requested;

static void request_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = 1;
}

void *allocate_buffer(uint32_t sectors)
{
	void *buffer = mmap(NULL, (size_t)sectors * SECTOR_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buffer == MAP_FAILED) {
		perror("I/O buffer");
		exit(EXIT_CANNOT);
	}
	return buffer;
}

void report_wrong(const struct oracle *oracle, const char *when, uint64_t sector,
		  const struct found *found)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned int reported;

	pthread_mutex_lock(&lock);
	if (reported++ < REPORT_LIMIT) {
		printf("WRONG %s: sector %llu: expected", when,
		       (unsigned long long)(sector + oracle->first_sector));
		oracle_describe(oracle, sector, stdout);
		printf(", found %s", found_class_name(found->class));
		if (found->class != FOUND_ZERO && found->class != FOUND_UNREADABLE)
			printf(" (version 0x%llx of sector %llu, run %016llx)",
			       (unsigned long long)found->version,
			       (unsigned long long)found->sector,
			       (unsigned long long)found->run_id);
		printf("\n");
		fflush(stdout);
	}
	pthread_mutex_unlock(&lock);
}

static int64_t coarse_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec + 1;
}

static bool is_stopping(const struct run *run)
{
	return stop_requested || __atomic_load_n(&run->died, __ATOMIC_ACQUIRE);
}

static void handle_result(struct worker *worker, const struct operation *operation, int error)
{
	struct run *run = worker->run;

	if (!error) {
		worker->done[operation->kind]++;
		worker->sectors[operation->kind] += operation->count;
		__atomic_store_n(&run->errors_in_a_row, 0, __ATOMIC_RELAXED);
		return;
	}
	if (error == -EOPNOTSUPP && operation->kind == OPERATION_DISCARD) {
		worker->unsupported++;
		return;
	}
	worker->errors++;
	if (run->options->tolerate_errors &&
	    __atomic_add_fetch(&run->errors_in_a_row, 1, __ATOMIC_RELAXED) < ERRORS_IN_A_ROW)
		return;
	if (!__atomic_exchange_n(&run->died, true, __ATOMIC_ACQ_REL))
		fprintf(stderr, "%s: %s of %u sectors at %llu: %s; taking the device for dead\n",
			run->device->path, operation_names[operation->kind], operation->count,
			(unsigned long long)(operation->sector + run->oracle->first_sector),
			strerror(-error));
}

static void check_found(struct worker *worker, uint64_t begin, const struct operation *operation)
{
	struct run *run = worker->run;
	struct oracle *oracle = run->oracle;
	uint32_t i, wrong;

	for (i = 0; i < operation->count; i++)
		worker->found[i] = sector_decode((char *)worker->buffer + (size_t)i * SECTOR_SIZE,
						 oracle->first_sector + operation->sector + i,
						 oracle->run_id);
	wrong = oracle_read_check(oracle, begin, operation->sector, operation->count,
				  worker->views, worker->found, worker->wrong);
	if (!wrong)
		return;
	for (i = 0; i < operation->count; i++)
		if (worker->wrong[i])
			report_wrong(oracle, "while running", operation->sector + i,
				     &worker->found[i]);
	__atomic_add_fetch(&run->wrong_sectors, wrong, __ATOMIC_RELAXED);
	if (run->options->stop_on_error)
		stop_requested = 1;
}

static int do_read(struct worker *worker, const struct operation *operation)
{
	struct oracle *oracle = worker->run->oracle;
	uint64_t begin = oracle_read_begin(oracle, operation->sector, operation->count,
					   worker->views);
	int error = channel_read(&worker->channel, worker->buffer,
				 oracle->first_sector + operation->sector, operation->count);

	if (!error)
		check_found(worker, begin, operation);
	return error;
}

static int do_write(struct worker *worker, const struct operation *operation, bool fua)
{
	struct oracle *oracle = worker->run->oracle;
	uint64_t sector = oracle->first_sector + operation->sector;
	uint64_t version = oracle_begin(oracle, worker->number, CHANGE_WRITE, operation->sector,
					operation->count, fua);
	uint32_t i;
	int error;

	for (i = 0; i < operation->count; i++)
		sector_encode((char *)worker->buffer + (size_t)i * SECTOR_SIZE, version,
			      sector + i, oracle->run_id);
	error = channel_write(&worker->channel, worker->buffer, sector, operation->count, fua);
	oracle_end(oracle, worker->number, !error);
	return error;
}

static int do_flush(struct worker *worker)
{
	uint64_t begin = oracle_flush_begin(worker->run->oracle);
	int error = channel_flush(&worker->channel);

	if (!error)
		oracle_flush_end(worker->run->oracle, begin);
	return error;
}

/* A discard that is not supported counts as done: it promises nothing. */
static int do_range(struct worker *worker, const struct operation *operation)
{
	struct oracle *oracle = worker->run->oracle;
	bool zero = operation->kind == OPERATION_ZERO;
	uint64_t sector = oracle->first_sector + operation->sector;
	int error;

	oracle_begin(oracle, worker->number, zero ? CHANGE_ZERO : CHANGE_DISCARD,
		     operation->sector, operation->count, false);
	error = zero ? channel_zero(&worker->channel, sector, operation->count) :
		       channel_discard(&worker->channel, sector, operation->count);
	oracle_end(oracle, worker->number, !error || (!zero && error == -EOPNOTSUPP));
	return error;
}

static int perform(struct worker *worker, const struct operation *operation)
{
	switch (operation->kind) {
	case OPERATION_READ:
		return do_read(worker, operation);
	case OPERATION_WRITE:
	case OPERATION_FUA:
		return do_write(worker, operation, operation->kind == OPERATION_FUA);
	case OPERATION_FLUSH:
		return do_flush(worker);
	default:
		return do_range(worker, operation);
	}
}

static void perform_watched(struct worker *worker, const struct operation *operation)
{
	int error;

	worker->current = *operation;
	__atomic_store_n(&worker->started, coarse_seconds(), __ATOMIC_RELEASE);
	error = perform(worker, operation);
	__atomic_store_n(&worker->started, 0, __ATOMIC_RELEASE);
	handle_result(worker, operation, error);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct run *run = worker->run;
	const struct run_options *options = run->options;
	uint64_t limit = UINT64_MAX, number;

	if (options->operation_limit)
		limit = options->operation_limit / options->threads +
			(worker->number < options->operation_limit % options->threads);
	for (number = 0; number < limit && !is_stopping(run); number++) {
		struct operation operation = generator_next(&worker->generator);

		perform_watched(worker, &operation);
	}
	pthread_mutex_lock(&run->lock);
	run->running--;
	pthread_cond_signal(&run->finished);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

static void watch_for_hangs(struct run *run)
{
	int64_t now = coarse_seconds();
	unsigned int i;

	for (i = 0; i < run->options->threads; i++) {
		struct worker *worker = &run->workers[i];
		int64_t started = __atomic_load_n(&worker->started, __ATOMIC_ACQUIRE);

		if (!started || now - started <= run->options->hang_seconds)
			continue;
		printf("HANG: %s of %u sectors at %llu has not returned for %u seconds\n",
		       operation_names[worker->current.kind], worker->current.count,
		       (unsigned long long)(worker->current.sector + run->oracle->first_sector),
		       run->options->hang_seconds);
		fflush(stdout);
		_exit(EXIT_DEVICE_HANGS);
	}
}

static void wait_for_workers(struct run *run)
{
	int64_t begun = coarse_seconds();

	pthread_mutex_lock(&run->lock);
	while (run->running) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&run->finished, &run->lock, &until);
		if (run->options->seconds && coarse_seconds() - begun >= run->options->seconds)
			stop_requested = 1;
		watch_for_hangs(run);
	}
	pthread_mutex_unlock(&run->lock);
}

static int start_workers(struct run *run)
{
	const struct run_options *options = run->options;
	unsigned int i;

	run->running = options->threads;
	for (i = 0; i < options->threads; i++) {
		struct worker *worker = &run->workers[i];

		worker->run = run;
		worker->number = i;
		worker->buffer = allocate_buffer(MAX_IO_SECTORS);
		worker->views = calloc(MAX_IO_SECTORS, sizeof(*worker->views));
		worker->found = calloc(MAX_IO_SECTORS, sizeof(*worker->found));
		worker->wrong = calloc(MAX_IO_SECTORS, sizeof(*worker->wrong));
		if (!worker->views || !worker->found || !worker->wrong ||
		    channel_open(&worker->channel, run->device) ||
		    generator_init(&worker->generator, &options->operations, i))
			return -1;
	}
	for (i = 0; i < options->threads; i++)
		if (pthread_create(&run->workers[i].thread, NULL, work, &run->workers[i])) {
			perror("thread");
			return -1;
		}
	return 0;
}

/*
 * The end of a run whose device lives: a last FLUSH, and one read of each sector that overlapping
 * writes left with several legal contents, so that the journal can name one. False: it cannot, as
 * one of these failed, or a change before: what that has left need not last.
 */
static bool settle_device(struct run *run)
{
	struct worker *worker = &run->workers[0];
	struct operation operation = { .kind = OPERATION_FLUSH };
	uint32_t block = run->device->block_sectors;
	uint64_t sector, errors = worker->errors;

	perform_watched(worker, &operation);
	operation.kind = OPERATION_READ;
	operation.count = block;
	for (sector = 0; sector < run->oracle->sectors && !run->died; sector++) {
		const struct sector_state *state = &run->oracle->states[sector];

		if (!state->ambiguous || oracle_undefined(run->oracle, sector, true))
			continue;
		operation.sector = sector - sector % block;
		perform_watched(worker, &operation);
	}
	return !run->died && worker->errors == errors && !run->oracle->failed_changes;
}

static void print_summary(const struct run *run)
{
	uint64_t errors = 0, unsupported = 0, done, sectors;
	unsigned int kind, i;

	printf("run:");
	for (kind = 0; kind < OPERATION_KINDS; kind++) {
		for (i = 0, done = 0, sectors = 0; i < run->options->threads; i++) {
			done += run->workers[i].done[kind];
			sectors += run->workers[i].sectors[kind];
		}
		printf(" %s=%llu/%lluKiB", operation_names[kind], (unsigned long long)done,
		       (unsigned long long)sectors / 2);
	}
	for (i = 0; i < run->options->threads; i++) {
		errors += run->workers[i].errors;
		unsupported += run->workers[i].unsupported;
	}
	printf(" errors=%llu unsupported-discards=%llu wrong-sectors=%llu%s\n",
	       (unsigned long long)errors, (unsigned long long)unsupported,
	       (unsigned long long)run->wrong_sectors, run->died ? " device-died" : "");
}

int run_oracle(struct io_device *device, struct oracle *oracle, const struct run_options *options)
{
	struct run run = {
		.device = device, .oracle = oracle, .options = options,
		.lock = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER,
	};
	bool settled;
	unsigned int i;
	int error;

	oracle->allow_tearing = options->allow_tearing;
	if (journal_save(oracle, options->journal, JOURNAL_RUNNING) ||
	    (options->ack_stream && stream_open(oracle, options->ack_stream)))
		return EXIT_CANNOT;
	signal(SIGINT, request_stop);
	signal(SIGTERM, request_stop);
	run.workers = calloc(options->threads, sizeof(*run.workers));
	if (!run.workers || start_workers(&run))
		return EXIT_CANNOT;
	wait_for_workers(&run);
	for (i = 0; i < options->threads; i++)
		pthread_join(run.workers[i].thread, NULL);
	settled = !run.died && settle_device(&run);
	print_summary(&run);
	error = journal_save(oracle, options->journal, settled && !run.wrong_sectors ?
			     JOURNAL_CLEAN : JOURNAL_STOPPED);
	for (i = 0; i < options->threads; i++)
		channel_close(&run.workers[i].channel);
	free(run.workers);
	if (error)
		return EXIT_CANNOT;
	if (run.wrong_sectors)
		return EXIT_WRONG_DATA;
	return run.died ? EXIT_DEVICE_DIED : EXIT_GOOD;
}

static int fill_range(struct io_channel *channel, struct oracle *oracle, void *buffer)
{
	uint64_t sector = 0;
	int error = 0;

	while (sector < oracle->sectors && !error) {
		uint64_t left = oracle->sectors - sector;
		uint32_t i, count = left < MAX_IO_SECTORS ? (uint32_t)left : MAX_IO_SECTORS;
		uint64_t version = oracle_begin(oracle, 0, CHANGE_WRITE, sector, count, false);

		for (i = 0; i < count; i++)
			sector_encode((char *)buffer + (size_t)i * SECTOR_SIZE, version,
				      oracle->first_sector + sector + i, oracle->run_id);
		error = channel_write(channel, buffer, oracle->first_sector + sector, count,
				      false);
		oracle_end(oracle, 0, !error);
		sector += count;
	}
	return error ? error : channel_flush(channel);
}

int fill_device(struct io_device *device, struct oracle *oracle, const char *journal)
{
	void *buffer = allocate_buffer(MAX_IO_SECTORS);
	struct io_channel channel;
	int error;

	if (journal_save(oracle, journal, JOURNAL_RUNNING) || channel_open(&channel, device))
		return EXIT_CANNOT;
	error = fill_range(&channel, oracle, buffer);
	channel_close(&channel);
	if (error) {
		fprintf(stderr, "%s: filling failed: %s\n", device->path, strerror(-error));
		return EXIT_DEVICE_DIED;
	}
	printf("fill: %llu sectors from sector %llu\n", (unsigned long long)oracle->sectors,
	       (unsigned long long)oracle->first_sector);
	return journal_save(oracle, journal, JOURNAL_CLEAN) ? EXIT_CANNOT : EXIT_GOOD;
}
