// SPDX-License-Identifier: GPL-2.0-or-later
#include "larder.h"

#include "kernel/memory.h"
#include "machine.h"
#include "module.h"

#define STEPS_MAX 1000000ull
#define HANG_NS (3600ull * 1000000000ull)

struct machine machine;

static void main_task(void *arg)
{
	machine.fn(arg);
	machine.ended = true;
	sched_stop();
}

static bool has_ended(void *unused)
{
	(void)unused;
	if (sim_now() > HANG_NS)
		sim_fail("no end after an hour: something hangs");
	return machine.ended || devices.stopped;
}

bool machine_run(void (*fn)(void *arg), void *arg)
{
	machine.fn = fn;
	machine.ended = false;
	sched_spawn("main", main_task, arg, false);
	if (!sched_run(has_ended, NULL))
		sim_fail("nothing can run any more: deadlock");
	return machine.ended;
}

void machine_off(void)
{
	struct sched_options options = {
		.seed = machine.seed,
		.max_steps = STEPS_MAX,
		.trace = machine.trace,
	};
	u32 i;

	sched_init(&options);
	module_reset();
	machine.md = NULL;
	devices.stopped = false;
	devices.stop_at = 0;
	devices.nr_events = 0;
	devices.rng.state = machine.seed;
	devices_no_faults();
	for (i = 0; i < NR_DEVICES; i++)
		INIT_LIST_HEAD(&devices.dev[i].in_flight);
}

struct larder_cache *machine_cache(void)
{
	struct dm_target *ti = machine.md ? sim_dm_target(machine.md) : NULL;

	return ti ? ti->private : NULL;
}

void machine_boot(const char *line)
{
	const char *why = NULL;
	int err = sim_module_init();

	if (err)
		sim_fail("loading the module failed with %d", err);
	machine.md = sim_dm_create();
	err = sim_dm_load(machine.md, machine.sectors, line, &why);
	if (err)
		sim_fail("loading \"%s\" failed with %d: %s", line, err, why ? why : "");
	err = sim_dm_resume(machine.md);
	if (err)
		sim_fail("resuming failed with %d", err);
}

void machine_stop(void)
{
	sim_dm_remove(machine.md);
	machine.md = NULL;
	sim_module_exit();
	if (memory_in_use())
		sim_fail("%llu bytes are left behind by the module",
			 (unsigned long long)memory_in_use());
}

static bool busy(void)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		if (!list_empty(&devices.dev[i].in_flight))
			return true;
	return false;
}

void machine_settle(u64 ns)
{
	do {
		sim_sleep_ns(ns);
		ns = 1000000;
	} while (busy());
}

struct waiting {
	struct sim_request request;
	struct wait_queue queue;
	bool ended;
};

static void io_done(struct sim_request *request)
{
	struct waiting *w = request->context;

	w->ended = true;
	sim_wake(&w->queue);
}

blk_status_t machine_io(blk_opf_t opf, u64 sector, u32 sectors, u8 *data)
{
	struct waiting w = {
		.request = {
			.opf = opf,
			.sector = sector,
			.sectors = sectors,
			.data = data,
			.done = io_done,
		},
	};

	w.request.context = &w;
	INIT_LIST_HEAD(&w.queue.waiters);
	sim_dm_submit(machine.md, &w.request);
	while (!w.ended)
		sim_wait(&w.queue, "a user's I/O");
	return w.request.status;
}

/* --- disks --- */

static void clone_all(struct sim_disk *const *to, struct sim_domain *ssd,
		      const struct sim_disk *const *from, bool shared)
{
	if (shared) {
		sim_domain_clone(ssd, to, from[DEV_METADATA]->domain);
	} else {
		sim_domain_init(ssd);
		sim_disk_clone(to[DEV_METADATA], from[DEV_METADATA]);
		sim_disk_clone(to[DEV_CACHE], from[DEV_CACHE]);
	}
	sim_disk_clone(to[DEV_ORIGIN], from[DEV_ORIGIN]);
}

/* As devices_crash() does it. */
static void hand_in(struct sim_disk *disk, const struct backing *b)
{
	struct bio *bio;

	list_for_each_entry(bio, &b->in_flight, link) {
		u32 bytes = bio->bi_iter.bi_size;
		u8 *data;

		if ((bio->bi_opf & REQ_PREFLUSH) || bio_op(bio) != REQ_OP_WRITE)
			continue;
		data = malloc(bytes);
		sim_bio_copy(bio, 0, data, bytes, false);
		sim_disk_in_flight(disk, bio->bi_iter.bi_sector, data, bytes / SIM_SECTOR);
		free(data);
	}
}

void snapshot_take(struct snapshot *s, bool in_flight)
{
	const struct sim_disk *from[NR_DEVICES];
	struct sim_disk *to[NR_DEVICES];
	u32 i;

	for (i = 0; i < NR_DEVICES; i++) {
		from[i] = &devices.dev[i].disk;
		to[i] = &s->disk[i];
	}
	s->shared = devices.topology == ONE_SSD;
	clone_all(to, &s->ssd, from, s->shared);
	for (i = 0; in_flight && i < NR_DEVICES; i++)
		hand_in(&s->disk[i], &devices.dev[i]);
}

void snapshot_put(const struct snapshot *s)
{
	const struct sim_disk *from[NR_DEVICES];
	struct sim_disk *to[NR_DEVICES];
	u32 i;

	for (i = 0; i < NR_DEVICES; i++) {
		from[i] = &s->disk[i];
		to[i] = &devices.dev[i].disk;
	}
	devices_free();
	clone_all(to, &devices.ssd, from, s->shared);
	for (i = 0; i < NR_DEVICES; i++) {
		devices.dev[i].bdev.sectors = devices.dev[i].disk.sectors;
		INIT_LIST_HEAD(&devices.dev[i].in_flight);
	}
}

void snapshot_free(struct snapshot *s)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		sim_disk_free(&s->disk[i]);
	sim_domain_free(&s->ssd);
}

static bool is_first_of_drive(u32 i)
{
	return i != DEV_CACHE || devices.topology != ONE_SSD;
}

u64 machine_pending(void)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		if (is_first_of_drive(i))
			sum += sim_disk_pending(&devices.dev[i].disk);
	return sum;
}

/* Bits by drive, then by time. */
void machine_crash_subset(u64 mask)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++) {
		u64 pending;

		if (!is_first_of_drive(i))
			continue;
		pending = sim_disk_pending(&devices.dev[i].disk);
		sim_disk_crash_subset(&devices.dev[i].disk, mask);
		mask = pending < 64 ? mask >> pending : 0;
	}
}

void machine_crash(struct sim_rng *rng, enum sim_mood mood)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++) {
		hand_in(&devices.dev[i].disk, &devices.dev[i]);
		INIT_LIST_HEAD(&devices.dev[i].in_flight);
	}
	for (i = 0; i < NR_DEVICES; i++)
		if (is_first_of_drive(i))
			sim_disk_crash(&devices.dev[i].disk, rng, mood);
}
