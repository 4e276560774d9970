// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many transfers at random by several threads, each judged by the journal: any range, any cut, any
 * place of data and tuples in their pages.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/kthread.h>

#include "pi-io.h"

#define MOST_THREADS	16u
#define MOST_OPS	1000000u

struct stress {
	struct pi_io_session *session;
	struct pi_io_device *device;
	struct pi_io_journal *journal;
	const struct pi_io_words *words;
	unsigned int most;		/* intervals of a transfer */
	atomic_t ops;			/* still to be done */
	atomic_t errors;		/* that may still happen */
	atomic_t reads, writes, flushes, failed;
	atomic_t result;		/* stops all when it is set */
	atomic_t threads;
	struct completion done;
};

struct worker {
	struct stress *stress;
	u64 random;
};

static u64 draw(struct worker *worker, u64 below)
{
	u64 number = pi_io_mix(++worker->random * 0x9e3779b97f4a7c15ull);

	return below ? number % below : 0;
}

static bool draw_percent(struct worker *worker, u64 percent)
{
	return draw(worker, 100) < percent;
}

/* Small ones, large ones, and those that begin or end where a cache divides its blocks. */
static void draw_range(struct worker *worker, struct pi_io_transfer *transfer)
{
	struct stress *stress = worker->stress;
	struct pi_io_journal *journal = stress->journal;
	unsigned int step = pi_io_interval_sectors(&stress->device->format);
	unsigned int most = min(stress->most, journal->intervals);
	unsigned int first, eighth = 4096 >> stress->device->format.shift;

	transfer->intervals = 1 + draw(worker, draw_percent(worker, 50) ? min(most, 16u) : most);
	first = draw(worker, journal->intervals - transfer->intervals + 1);
	if (draw_percent(worker, 40))
		first = rounddown(first, eighth);
	transfer->start = journal->start + (u64)first * step;
	transfer->seed = transfer->start >> (stress->device->format.shift - SECTOR_SHIFT);
	/* where somebody below looks at the reference tags, they may count from anywhere */
	if (stress->device->format.type == PI_IO_TYPE1 && draw_percent(worker, 30))
		transfer->seed = draw_percent(worker, 50) ? transfer->start :
							    draw(worker, 1u << 30);
}

static void draw_shape(struct worker *worker, struct pi_io_transfer *transfer)
{
	unsigned int cut = 0;

	while (transfer->nr_cuts < 2 && draw_percent(worker, 40)) {
		cut += 1 + draw(worker, transfer->intervals);
		if (cut >= transfer->intervals)
			break;
		transfer->cuts[transfer->nr_cuts++] = cut;
	}
	if (draw_percent(worker, 30))
		transfer->data_offset = draw(worker, PAGE_SIZE >> transfer->device->format.shift) <<
			transfer->device->format.shift;
	if (draw_percent(worker, 30))
		transfer->break_after = draw(worker, min(transfer->intervals, 500u));
}

/* An error that is tolerated is counted, and the journal knows what may have become of a write. */
static int tolerate(struct stress *stress, struct pi_io_transfer *transfer, int error)
{
	if (error == -EUCLEAN || error == -ENOMEM || atomic_dec_return(&stress->errors) < 0)
		return error;
	atomic_inc(&stress->failed);
	return 0;
}

static int one_transfer(struct worker *worker)
{
	struct stress *stress = worker->stress;
	struct pi_io_expectation expectation = {
		.journal = stress->journal,
		.version = PI_IO_NOT_GIVEN,
	};
	struct pi_io_transfer transfer = { .device = stress->device };
	u32 version;
	int error;

	draw_range(worker, &transfer);
	transfer.write = !draw_percent(worker, stress->words->reads);
	transfer.plain = draw_percent(worker, stress->words->plains);
	transfer.fua = draw_percent(worker, 5);
	draw_shape(worker, &transfer);
	error = pi_io_prepare(&transfer);
	if (!error && transfer.write) {
		error = pi_io_write(&transfer, stress->journal, PI_IO_OWN_APP, &version);
		if (error && atomic_read(&stress->errors) <= 0)
			pi_io_say_error(stress->session, &transfer, error);
		atomic_inc(&stress->writes);
	} else if (!error) {
		error = pi_io_read(stress->session, &transfer, &expectation);
		atomic_inc(&stress->reads);
	}
	if (error)
		error = tolerate(stress, &transfer, error);
	pi_io_release(&transfer);
	return error;
}

static int one_flush(struct stress *stress)
{
	int error = pi_io_flush_journal(stress->device, stress->journal);

	atomic_inc(&stress->flushes);
	return error ? tolerate(stress, NULL, error) : 0;
}

static int work(void *data)
{
	struct worker *worker = data;
	struct stress *stress = worker->stress;
	int error;

	while (!atomic_read(&stress->result) && atomic_dec_return(&stress->ops) >= 0) {
		if (draw_percent(worker, stress->words->flushes))
			error = one_flush(stress);
		else
			error = one_transfer(worker);
		if (error)
			atomic_cmpxchg(&stress->result, 0, error);
		cond_resched();
	}
	if (atomic_dec_and_test(&stress->threads))
		kthread_complete_and_exit(&stress->done, 0);
	return 0;
}

static int check_words(struct pi_io_session *session, struct pi_io_words *words)
{
	static const struct pi_io_words defaults = {
		.threads = 4, .ops = 1000, .random = 1, .most = 256, .reads = 50, .plains = 0,
		.flushes = 2, .errors = 0,
	};
	u64 *number = &words->threads;
	const u64 *otherwise = &defaults.threads;

	/* the numbers of a stress lie one behind the other */
	for (; number <= &words->errors; number++, otherwise++)
		if (*number == PI_IO_NOT_GIVEN)
			*number = *otherwise;
	if (!words->threads || words->threads > MOST_THREADS || words->ops > MOST_OPS ||
	    !words->most || words->most > PI_IO_MAX_SECTORS || words->reads > 100 ||
	    words->plains > 100 || words->flushes > 100 || words->errors > MOST_OPS) {
		pi_io_say(session, "error: a number of the stress is out of range\n");
		return -EINVAL;
	}
	return 0;
}

static void run_threads(struct stress *stress, struct worker *workers)
{
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < stress->words->threads; i++) {
		workers[i].stress = stress;
		workers[i].random = pi_io_mix(stress->words->random + ((u64)i << 32));
		atomic_inc(&stress->threads);
		task = kthread_run(work, &workers[i], "pi-io/%u", i);
		if (IS_ERR(task)) {
			atomic_dec(&stress->threads);
			atomic_cmpxchg(&stress->result, 0, (int)PTR_ERR(task));
		}
	}
	/* the one that was counted from the beginning */
	if (atomic_dec_and_test(&stress->threads))
		return;
	if (wait_for_completion_killable(&stress->done)) {
		atomic_cmpxchg(&stress->result, 0, -EINTR);
		wait_for_completion(&stress->done);
	}
}

int pi_io_stress(struct pi_io_session *session, struct pi_io_device *device,
		 struct pi_io_journal *journal, const struct pi_io_words *given)
{
	struct worker workers[MOST_THREADS];
	struct pi_io_words words = *given;
	struct stress stress = {
		.session = session, .device = device, .journal = journal, .words = &words,
		.threads = ATOMIC_INIT(1),
		.done = COMPLETION_INITIALIZER_ONSTACK(stress.done),
	};
	int error = check_words(session, &words);

	if (error)
		return error;
	stress.most = max(1u, (unsigned int)words.most / pi_io_interval_sectors(&device->format));
	atomic_set(&stress.ops, words.ops);
	atomic_set(&stress.errors, words.errors);
	run_threads(&stress, workers);
	error = atomic_read(&stress.result);
	pi_io_say(session, "%s %d reads, %d writes, %d flushes, %d failed\n",
		  error ? pi_io_error_name(error) : "ok", atomic_read(&stress.reads),
		  atomic_read(&stress.writes), atomic_read(&stress.flushes),
		  atomic_read(&stress.failed));
	return error;
}
