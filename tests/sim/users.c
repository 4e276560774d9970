// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Users: tasks that read, write, flush and discard, and tell the oracle.
 */
#include "kernel/sched.h"
#include "world.h"

#define BIG_SECTORS 2048u
#define CUT_WORLDS_ONE_IN 8
#define CUT_ONE_IN 50		/* requests there */

enum what { READ, WRITE, FLUSH, DISCARD };

struct op {
	struct sim_request request;
	enum what what;
	u64 id;			/* the oracle's, of a write or discard */
	u64 flush_id;
	u64 begin;
	bool ended;
	bool bad;		/* its tuples do not fit */
	struct wait_queue waiter;
};

static void check_error(const struct op *op)
{
	static const char *const names[] = { "read", "write", "flush", "discard" };

	if (op->request.cut && op->request.status)
		return;
	if (op->request.cut && op->what != READ)
		sim_fail("%s of %llu+%u succeeded, which lacks %u bytes", names[op->what],
			 (unsigned long long)op->request.sector, op->request.sectors,
			 op->request.cut);
	if (op->bad && !op->request.status)
		sim_fail("write of %llu+%u succeeded, with tuples that do not fit",
			 (unsigned long long)op->request.sector, op->request.sectors);
	if (op->bad && op->request.status == BLK_STS_PROTECTION)
		return;
	if (op->request.status == BLK_STS_PROTECTION && !devices.lost_its_way) {
		if (op->what == READ &&
		    tuples_lost(op->request.sector, op->request.sectors, op->begin))
			return;
		sim_fail("%s of %llu+%u: protection error, and nothing is lost", names[op->what],
			 (unsigned long long)op->request.sector, op->request.sectors);
	}
	if (op->request.status && !world.errors_expected)
		sim_fail("%s of %llu+%u failed with %u, and nothing had been broken",
			 names[op->what], (unsigned long long)op->request.sector,
			 op->request.sectors, op->request.status);
}

static void judge_read(const struct op *op)
{
	const struct sim_request *r = &op->request;
	const char *wrong;

	if (r->status || devices.lost_its_way)
		return;
	wrong = oracle_read_end(&world.oracle, r->sector, r->sectors - !!r->cut, r->data,
				op->begin, ++world.tick);
	if (!wrong) {
		tuples_end_read(r);
		return;
	}
	if (world.options.trace)
		oracle_describe(&world.oracle, r->sector, stdout);
	sim_fail("read of %llu+%u: %s", (unsigned long long)r->sector, r->sectors, wrong);
}

/*
 * A FLUSH failed because its commit did.  Until one has succeeded, which then
 * has flushed both, what begins from now on must fail (I5).
 */
static struct {
	u64 tick, cache_flushes, origin_flushes;
} latch;

static void judge_latch(const struct op *op)
{
	u64 cache = devices.dev[DEV_CACHE].nr_flushes, origin = devices.dev[DEV_ORIGIN].nr_flushes;

	if (op->what == FLUSH && op->request.status) {
		latch.tick = world.tick;
		latch.cache_flushes = cache;
		latch.origin_flushes = origin;
	} else if ((op->what == FLUSH || op->what == WRITE) && !op->request.status &&
		   latch.tick && op->begin > latch.tick &&
		   (cache == latch.cache_flushes || origin == latch.origin_flushes)) {
		sim_fail("%s of %llu+%u succeeded after a commit that failed",
			 op->what == WRITE ? "write" : "flush",
			 (unsigned long long)op->request.sector, op->request.sectors);
	}
}

static void op_done(struct sim_request *r)
{
	struct op *op = r->context;
	bool ok = !r->status;

	world.nr_ops++;
	judge_latch(op);
	sim_log("user's %llu+%u ends with %u", (unsigned long long)r->sector, r->sectors,
		r->status);
	sched_note((u64)r->status << 32 | op->what);
	check_error(op);
	switch (op->what) {
	case READ:
		judge_read(op);
		break;
	case WRITE:
		oracle_write_end(&world.oracle, op->id, ok, ++world.tick);
		break;
	case DISCARD:
		oracle_discard_end(&world.oracle, op->id, ok, ++world.tick);
		break;
	case FLUSH:
		break;
	}
	if (op->flush_id) {
		oracle_flush_end(&world.oracle, op->flush_id, ok, ++world.tick);
		if (ok)
			judge_flush_ended(op->flush_id);
	}
	op->ended = true;
	sim_wake(&op->waiter);
}

/* In some worlds submitters ask for parts of sectors now and then, as LIO does for an initiator. */
static u32 pick_cut(const struct op *op)
{
	u64 dice = sim_mix(sim_mix(world.options.seed) ^ op->begin);

	if (sim_mix(world.options.seed ^ 0x637574ull) % CUT_WORLDS_ONE_IN || dice % CUT_ONE_IN ||
	    (op->what != READ && op->what != WRITE))
		return 0;
	/* of one sector, nothing may be left */
	return 1 + (u32)(dice >> 32) % (op->request.sectors == 1 ? 512 : 511);
}

static void begin_op(struct op *op)
{
	struct sim_request *r = &op->request;
	bool fua = r->opf & REQ_FUA;

	op->begin = ++world.tick;
	r->cut = pick_cut(op);
	r->context = op;
	r->done = op_done;
	INIT_LIST_HEAD(&op->waiter.waiters);
	if (r->opf & REQ_PREFLUSH) {
		op->flush_id = oracle_flush_begin(&world.oracle, ++world.tick);
		judge_flush_begins(op->flush_id);
	}
	switch (op->what) {
	case READ:
		op->begin = oracle_read_begin(&world.oracle, ++world.tick);
		break;
	case WRITE:
		op->id = oracle_write_begin(&world.oracle, r->sector, r->sectors, fua,
					    ++world.tick);
		oracle_fill(&world.oracle, op->id, r->sector, r->sectors, r->data);
		break;
	case DISCARD:
		op->id = oracle_discard_begin(&world.oracle, r->sector, r->sectors, ++world.tick);
		break;
	case FLUSH:
		break;
	}
	tuples_begin_request(r, op->what == WRITE ? op->id : 0, &op->bad);
	sim_log("user: op %x of %llu+%u-%u (write %llu)%s", r->opf, (unsigned long long)r->sector,
		r->sectors, r->cut, (unsigned long long)op->id,
		op->bad ? " with bad tuples" : r->tuples ? " with tuples" : "");
}

/* Any offset in its first page, as users' memory has. */
static u8 *get_memory(u32 sectors, void **base)
{
	u32 offset = (u32)world_below(8) * 512;

	*base = NULL;
	while (!*base)
		*base = sim_alloc((size_t)sectors * 512 + PAGE_SIZE, PAGE_SIZE, false, GFP_NOWAIT);
	return (u8 *)*base + offset;
}

static void run_op(struct op *op)
{
	void *base = NULL;

	if (op->what == READ || op->what == WRITE)
		op->request.data = get_memory(op->request.sectors, &base);
	world.ops_running++;
	begin_op(op);
	sim_dm_submit(world.md, &op->request);
	while (!op->ended)
		sim_wait(&op->waiter, "a user's I/O");
	world.ops_running--;
	sim_free(op->request.tuples);
	sim_free(base);
}

/* --- what they do --- */

static u32 pick_sectors(void)
{
	switch (world_below(10)) {
	case 0:
		if (world_may(WORLD_big_io))
			return 1 + (u32)world_below(BIG_SECTORS);
		return 8;
	case 1: case 2: case 3:
		return 1 + (u32)world_below(16);
	case 4: case 5:
		return 1 + (u32)world_below(128);
	default:
		return 8u << world_below(4);
	}
}

static void pick_place(struct sim_request *r)
{
	u64 limit = world.sectors, at;

	if (!world_one_in(5))
		limit = max(limit * world.config.hot_percent / 100, 1ull);
	at = world_below(limit);
	/* where somebody has just been */
	if (world_one_in(4))
		at = min(world.lately[world_below(ARRAY_SIZE(world.lately))], world.sectors - 1);
	/* the end, which may be within a block and a grain */
	if (world_one_in(16))
		at = world.sectors - 1 - world_below(min(world.sectors, 64ull));
	r->sectors = pick_sectors();
	if (!world_one_in(3)) {
		at &= ~7ull;
		r->sectors = ALIGN(r->sectors, 8);
	}
	at -= at % world.pi.unit;
	r->sectors = ALIGN(r->sectors, world.pi.unit);
	world.lately[world_below(ARRAY_SIZE(world.lately))] = at;
	r->sector = at;
	r->sectors = (u32)min((u64)r->sectors, world.sectors - at);
}

static bool few_flushes(void)
{
	return world.config.flush_percent < 9 && world_below(9) >= world.config.flush_percent;
}

static void pick_op(struct op *op)
{
	struct sim_request *r = &op->request;
	u64 dice = world_below(100);

	pick_place(r);
	if (dice < 50) {
		op->what = WRITE;
		r->opf = REQ_OP_WRITE;
		if (world_may(WORLD_fua) && world_one_in(12) && !few_flushes())
			r->opf |= REQ_FUA;
		if (world_may(WORLD_flush) && world_one_in(20) && !few_flushes())
			r->opf |= REQ_PREFLUSH;
	} else if (dice < 87) {
		op->what = READ;
		r->opf = REQ_OP_READ;
	} else if (dice < 87 + world.config.flush_percent && world_may(WORLD_flush)) {
		op->what = FLUSH;
		r->opf = REQ_OP_WRITE | REQ_PREFLUSH;
		r->sector = 0;
		r->sectors = 0;
	} else if (dice >= 96 && world_may(WORLD_discard)) {
		op->what = DISCARD;
		r->opf = REQ_OP_DISCARD;
	} else {
		op->what = READ;
		r->opf = REQ_OP_READ;
	}
}

static void user(void *arg)
{
	u32 ops = (u32)(uintptr_t)arg;

	while (ops-- && !world.stopping) {
		struct op op = { 0 };

		do {
			pick_op(&op);
			/* what has been picked must fit the device when it begins */
			while (world.users_paused)
				sim_sleep_ns(1000000);
		} while (op.request.sector + op.request.sectors > world.sectors);
		run_op(&op);
		if (world_one_in(8))
			sim_sleep_ns(world_below(world_one_in(world.config.rest_one_in) ?
						 1500000000 : 20000000));
	}
	if (!--world.users_left)
		sim_wake(&world.users_gone);
}

void users_start(u32 nr, u32 ops)
{
	u32 i;

	INIT_LIST_HEAD(&world.users_gone.waiters);
	latch.tick = 0;
	world.users_left = nr;
	world.ops_running = 0;
	world.stopping = false;
	world.users_paused = false;
	for (i = 0; i < nr; i++)
		sched_spawn("user", user, (void *)(uintptr_t)ops, false);
}

void users_read_all(void)
{
	u64 at;

	for (at = 0; at < world.sectors; at += BIG_SECTORS) {
		u64 left = world.sectors - at;
		struct op op = {
			.what = READ,
			.request = {
				.opf = REQ_OP_READ,
				.sector = at,
				.sectors = left < BIG_SECTORS ? (u32)left : BIG_SECTORS,
			},
		};

		run_op(&op);
	}
}

void users_replace_lost(void)
{
	u64 sector;

	while (tuples_next_lost(&sector)) {
		struct op op = {
			.what = WRITE,
			.request = {
				.opf = REQ_OP_WRITE,
				.sector = sector,
				.sectors = world.pi.unit,
			},
		};

		run_op(&op);
		if (op.request.status)
			sim_sleep_ns(500000000);
	}
}

void users_write_succeeds(void)
{
	u32 tries;

	for (tries = 0; tries < 100; tries++) {
		struct op op = {
			.what = WRITE,
			.request = { .opf = REQ_OP_WRITE | REQ_FUA, .sectors = 8 },
		};

		op.request.sector = world_below(world.sectors / 8) * 8;
		run_op(&op);
		if (!op.request.status)
			return;
		sim_sleep_ns(500000000);
	}
	sim_fail("writes still fail long after the last fault");
}

void users_bypass(void)
{
	struct backing *origin = &devices.dev[DEV_ORIGIN];
	u32 n;

	for (n = 0; n < 20; n++) {
		struct sim_request r = { 0 };
		u64 id, *cells = NULL;
		u8 *data;

		pick_place(&r);
		data = malloc((size_t)r.sectors * 512);
		id = oracle_write_begin(&world.oracle, r.sector, r.sectors, true, ++world.tick);
		oracle_fill(&world.oracle, id, r.sector, r.sectors, data);
		if (world.pi.origin.interval)
			cells = malloc(r.sectors * sizeof(*cells));
		if (tuples_kept())
			tuples_of_write(id, r.sector, data, cells, r.sectors);
		else if (cells)
			devices_generate(origin, r.sector, data, cells, r.sectors);
		sim_disk_write_cells(&origin->disk, r.sector, data, cells, r.sectors, true);
		sim_disk_flush(&origin->disk);
		oracle_write_end(&world.oracle, id, true, ++world.tick);
		free(cells);
		free(data);
	}
}
