// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One sequence, from a clean empty cache, with a copy of the disks wherever
 * something became durable or might have during its last operation: the cuts
 * before that are those of a shorter sequence.
 */
#include "larder.h"

#include "worlds.h"

#define SETTLE_NS 60000000ull
#define TICK_NS 1050000000ull
#define PART_OFFSET 3u
#define PART_SECTORS 2u

static struct {
	struct snapshot base[2];	/* a clean empty cache; blank disks */
	bool have_base;
	struct known known;
	bool recording;
	u64 last_change;	/* of what has happened to the disks */
	u8 *memory;		/* a user's page or more */
} r;

const char *run_table(bool write_back)
{
	static char line[100];

	snprintf(line, sizeof(line), "metadata cache origin %u 1 %s s3fifo 0",
		 worlds.chunk_sectors, write_back ? "writeback" : "writethrough");
	return line;
}

/* Does a crash now leave something else than at the last point? */
static bool changed(void)
{
	const struct bio *bio;
	u64 sum = 0;
	u32 i;

	for (i = 0; i < NR_DEVICES; i++) {
		const struct sim_disk_stats *stats = &devices.dev[i].disk.stats;

		sum += (stats->writes + stats->flushes + stats->trims) << 8;
		list_for_each_entry(bio, &devices.dev[i].in_flight, link)
			sum += !(bio->bi_opf & REQ_PREFLUSH) && bio_op(bio) == REQ_OP_WRITE;
	}
	if (sum == r.last_change)
		return false;
	r.last_change = sum;
	return true;
}

static void add_point(void)
{
	struct point *p = &worlds.point[worlds.nr_points];

	if (worlds.nr_points == POINTS_MAX)
		sim_fail("more than %u places to cut", POINTS_MAX);
	sim_log("--- point %u", worlds.nr_points);
	snapshot_take(&p->disks, true);
	p->known = r.known;
	worlds.nr_points++;
}

static void disk_event(void *unused)
{
	(void)unused;
	if (r.recording && changed())
		add_point();
}

void run_forget_points(void)
{
	while (worlds.nr_points)
		snapshot_free(&worlds.point[--worlds.nr_points].disks);
}

/* --- operations --- */

static void must_succeed(blk_status_t status, const struct op *op)
{
	if (status)
		sim_fail("%c of block %u failed with %u, and nothing had been broken", op->what,
			 op->block, status);
}

static void do_write(const struct op *op, u32 version)
{
	u32 at = op->block * worlds.chunk_sectors, nr = worlds.chunk_sectors, i;
	bool fua = op->what == 'u';

	if (op->what == 'p') {
		at += PART_OFFSET;
		nr = PART_SECTORS;
	}
	for (i = 0; i < nr; i++)
		known_data(r.memory + i * SIM_SECTOR, at + i, version);
	known_write_begin(&r.known, at, nr, version);
	must_succeed(machine_io(REQ_OP_WRITE | (fua ? REQ_FUA : 0), at, nr, r.memory), op);
	known_write_end(&r.known, at, nr, version, fua);
}

static void do_read(const struct op *op)
{
	u32 at = op->block * worlds.chunk_sectors, i;

	must_succeed(machine_io(REQ_OP_READ, at, worlds.chunk_sectors, r.memory), op);
	for (i = 0; i < worlds.chunk_sectors; i++)
		if (!(known_versions(r.memory + i * SIM_SECTOR, at + i) & r.known.now[at + i]))
			sim_fail("a read of sector %u found versions %x, expected %x", at + i,
				 known_versions(r.memory + i * SIM_SECTOR, at + i),
				 r.known.now[at + i]);
}

static void do_discard(const struct op *op)
{
	u32 at = op->block * worlds.chunk_sectors;

	known_discard_begin(&r.known, at, worlds.chunk_sectors);
	must_succeed(machine_io(REQ_OP_DISCARD, at, worlds.chunk_sectors, NULL), op);
	known_discard_end(&r.known, at, worlds.chunk_sectors);
}

static void wait_until_clean(void)
{
	u32 tries;

	for (tries = 0; atomic64_read(&machine_cache()->map.nr_dirty); tries++) {
		if (tries > 1000)
			sim_fail("the cache stays dirty");
		sim_sleep_ns(TICK_NS / 10);
	}
}

static void do_op(const struct op *op, u32 version)
{
	switch (op->what) {
	case 'w': case 'p': case 'u':
		do_write(op, version);
		break;
	case 'r':
		do_read(op);
		break;
	case 'd':
		do_discard(op);
		break;
	case 'F':
		must_succeed(machine_io(REQ_OP_WRITE | REQ_PREFLUSH, 0, 0, NULL), op);
		known_flushed(&r.known);
		break;
	case 'C':
		wait_until_clean();
		break;
	case 'T':
		machine_settle(TICK_NS);
		break;
	case 'S':
		sim_dm_suspend(machine.md, false);
		if (sim_dm_resume(machine.md))
			sim_fail("resuming failed");
		break;
	default:
		sim_fail("no operation \"%c\"", op->what);
	}
	/* what is acknowledged promises something, also without any I/O */
	if (r.recording)
		add_point();
	machine_settle(SETTLE_NS);
}

static void run_task(void *arg)
{
	const struct sequence *s = arg;
	u32 i;

	r.recording = !s->nr;
	if (r.recording)
		add_point();
	machine_boot(run_table(worlds.setup.write_back));
	machine_settle(SETTLE_NS / 60);
	for (i = 0; i < s->nr; i++) {
		r.recording = i + 1u == s->nr;
		sim_log("=== %c%u", s->op[i].what, s->op[i].block);
		do_op(&s->op[i], i + 1);
	}
	r.recording = false;
}

void run_sequence(const struct sequence *s)
{
	worlds.sequence = s;
	snapshot_put(&r.base[s->create]);
	known_init(&r.known);
	r.last_change = 0;
	devices.event = disk_event;
	machine_off();
	machine_run(run_task, (void *)s);
	devices.event = NULL;
	TALLY(sequences, 1);
	TALLY(points, worlds.nr_points);
}

/* --- the beginning --- */

static void make_base(void *unused)
{
	(void)unused;
	machine_boot(run_table(worlds.setup.write_back));
	machine_settle(SETTLE_NS);
	machine_stop();
}

void run_prepare(const struct setup *setup)
{
	struct device_sizes sizes;
	struct geometry g;
	u8 sector[SIM_SECTOR];
	u64 units = 0;
	u32 i;

	if (r.have_base) {
		snapshot_free(&r.base[0]);
		snapshot_free(&r.base[1]);
		devices_free();
	}
	r.have_base = true;
	if (!r.memory)
		r.memory = aligned_alloc(PAGE_SIZE, KNOWN_SECTORS_MAX * SIM_SECTOR);
	worlds.setup = *setup;
	machine.sectors = BLOCKS * worlds.chunk_sectors;
	machine.seed = worlds.seed;
	geometry_choose(&g, worlds.chunk_sectors, machine.sectors, SLOTS * worlds.chunk_sectors, 1,
			&units);
	sizes.sectors[DEV_METADATA] = units * LARDER_UNIT_SECTORS;
	sizes.sectors[DEV_CACHE] = SLOTS * worlds.chunk_sectors;
	sizes.sectors[DEV_ORIGIN] = machine.sectors;
	devices_init(setup->topology, &sizes, true, machine.seed);
	for (i = 0; i < machine.sectors; i++) {
		known_data(sector, i, 0);
		sim_disk_write(&devices.dev[DEV_ORIGIN].disk, i, sector, 1, true);
	}
	sim_disk_flush(&devices.dev[DEV_ORIGIN].disk);
	snapshot_take(&r.base[1], false);
	machine_off();
	machine_run(make_base, NULL);
	for (i = 0; i < NR_DEVICES; i++)
		sim_disk_flush(&devices.dev[i].disk);
	snapshot_take(&r.base[0], false);
}
