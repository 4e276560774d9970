// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The administrator: boots, manages the cache while users work, stops it in
 * order or takes it away for good; and the fate that breaks devices.
 */
#include "larder.h"

#include "kernel/memory.h"
#include "kernel/sched.h"
#include "world.h"

#define PATIENCE 40	/* attempts, the last ones without faults */

static const char *pick_policy(void)
{
	static const char *const names[] = { "s3fifo", "s3fifo", "default", "smq", "cleaner" };

	return names[world_below(ARRAY_SIZE(names))];
}

static void make_line(char *line, size_t size, bool write_back, const char *policy)
{
	const char *mode = write_back ? "writeback" : "writethrough", *word = world.pi.word;
	u32 more = *word ? 1 : 0;

	switch (world_below(3)) {
	case 0:
		snprintf(line, size, "metadata cache origin %u %u %s %s %s 0",
			 world.config.chunk_sectors, 1 + more, mode, word, policy);
		break;
	case 1:
		snprintf(line, size, "metadata cache origin %u %u metadata2 %s %s %s 2 migration_threshold 2048",
			 world.config.chunk_sectors, 2 + more, mode, word, policy);
		break;
	default:
		snprintf(line, size, "metadata cache origin %u %u %s %s no_discard_passdown %s 0",
			 world.config.chunk_sectors, 2 + more, mode, word, policy);
		break;
	}
}

/* Errors may have ended what was asked for: then it is tried again, at last without any. */
static bool try_again(const char *what, int err, u32 *tries, const char *why)
{
	sim_log("admin: %s: %d %s", what, err, why ? why : "");
	sched_note((u64)(s64)err);
	if (!err)
		return false;
	if (devices.lost_its_way) {
		world.gave_up = true;
		sched_stop();
	}
	if (!world.errors_expected)
		sim_fail("%s failed with %d (%s), and nothing had been broken", what, err,
			 why ? why : "no reason given");
	if (++*tries > PATIENCE / 2) {
		devices_no_faults();
		memory_fail_at(0);
	}
	if (*tries > PATIENCE)
		sim_fail("%s still fails with %d (%s) long after the last fault", what, err,
			 why ? why : "no reason given");
	sim_sleep_ns(100000000);
	return true;
}

static int load_table(u64 sectors, bool write_back, const char *policy, const char **why)
{
	char line[200];
	int err;

	make_line(line, sizeof(line), write_back, policy);
	sim_log("admin: table %llu %s", (unsigned long long)sectors, line);
	err = sim_dm_load(world.md, sectors, line, why);
	if (!err)
		tuples_loaded();
	return err;
}

static void load_for_sure(u64 sectors, bool write_back, const char *policy)
{
	const char *why;
	u32 tries = 0;
	int err;

	do {
		err = load_table(sectors, write_back, policy, &why);
	} while (try_again("loading a table", err, &tries, why));
}

static void resume_for_sure(void)
{
	u32 tries = 0;

	while (try_again("resuming", sim_dm_resume(world.md), &tries, NULL))
		;
	tuples_resumed();
}

/*
 * The metadata device is away while one table takes the place of another: what could not be
 * recorded is in memory only.  Or it looks blank, and must not be formatted.
 */
static void resume_in_trouble(bool away)
{
	struct device_faults *f = &devices.dev[DEV_METADATA].faults;
	int err;

	if (!world_may(WORLD_errors))
		return;
	world.errors_expected = true;
	f->dead = away;
	sim_dm_suspend(world.md, false);
	f->blank_one_in = !away;
	err = sim_dm_resume(world.md);
	sim_log("admin: resume while the metadata device is %s: %d", away ? "away" : "blank", err);
	f->dead = false;
	f->blank_one_in = 0;
}

#define CACHE_SECTORS_MAX 24576u
#define METADATA_SECTORS_MAX 4096u

static void grow(enum device_name name, u64 by, u64 limit)
{
	u64 sectors = min(devices.dev[name].bdev.sectors + 1 + by, limit);

	sectors = ALIGN(sectors, devices.dev[name].disk.unit);
	if (sectors <= devices.dev[name].bdev.sectors)
		return;
	sim_log("admin: %s grows to %llu sectors", devices.dev[name].bdev.name,
		(unsigned long long)sectors);
	devices_grow(name, sectors, &world.grow_rng);
}

/* The cache device, the metadata device or both, by some slots or pages or less; or none. */
static void grow_devices(void)
{
	struct sim_rng *rng = &world.grow_rng;
	u32 what;

	if (!world.grows)
		return;
	what = (u32)sim_rng_below(rng, 8);
	if (what & 1)
		grow(DEV_CACHE, sim_rng_below(rng, (u64)world.config.chunk_sectors <<
					      sim_rng_below(rng, 6)), CACHE_SECTORS_MAX);
	if ((what & 6) == 6)
		grow(DEV_METADATA, sim_rng_below(rng, 4u << sim_rng_below(rng, 6)),
		     METADATA_SECTORS_MAX);
}

void admin_boot(void)
{
	u32 tries = 0;

	while (try_again("loading the module", sim_module_init(), &tries, NULL))
		;
	if (world_may(WORLD_memory))
		memory_fail_nowait(world_one_in(2) ? 5 + (u32)world_below(100) : 0);
	world.md = sim_dm_create();
	tuples_boot();
	/* before anything is on them, the metadata device would be too small for more */
	if (world.came_up)
		grow_devices();
	load_for_sure(world.sectors, world.write_back, world.config.policy);
	if (world.came_up && tuples_chance(6))
		resume_in_trouble(false);
	resume_for_sure();
	world.came_up = true;
	judge_after_boot();
}

/* --- while users work --- */

static void manage_suspend(void)
{
	int err;

	if (!world_may(WORLD_suspend))
		return;
	sim_log("admin: suspend");
	err = sim_dm_suspend(world.md, world_one_in(4));
	sim_sleep_ns(world_below(50000000));
	if (!err && world_one_in(2))
		judge_visit();
	grow_devices();
	resume_for_sure();
	/* a suspend that was interrupted is no resume */
	if (!err)
		judge_sizes();
}

static void manage_reload(void)
{
	bool write_back = world.write_back;
	const char *policy = world.config.policy;
	u64 sectors = world.sectors;

	if (!world_may(WORLD_reload))
		return;
	if (world_may(WORLD_modes) && world_one_in(2))
		write_back = !write_back;
	if (world_may(WORLD_policies) && world_one_in(2))
		policy = pick_policy();
	if (world_may(WORLD_resize) && world_one_in(4)) {
		sectors = sectors + 1 + world_below(world_one_in(2) ? 32 : 2048);
		sectors = min((u64)ALIGN(sectors, world.pi.unit), world.config.origin_sectors);
		/* it may have been longer before: what comes back is empty */
		sim_disk_zero(&devices.dev[DEV_ORIGIN].disk, world.sectors,
			      sectors - world.sectors, true);
		sim_disk_flush(&devices.dev[DEV_ORIGIN].disk);
		oracle_resize(&world.oracle, sectors, ++world.tick);
	}
	grow_devices();
	load_for_sure(sectors, write_back, policy);
	if (world_one_in(8)) {
		sim_dm_clear(world.md);
		load_for_sure(sectors, write_back, policy);
	}
	grow_devices();
	sim_dm_suspend(world.md, false);
	resume_for_sure();
	judge_sizes();
	world.sectors = sectors;
	world.write_back = write_back;
}

/*
 * Cut off what the origin lost.  A wrong bit that the constructor read can have hidden what is
 * cached there: then it is the resume that refuses, and the old size comes back.
 */
static void finish_shrinking(u64 sectors)
{
	u32 tries = 0;
	int err;

	world.shrinking_to = sectors;
	do {
		err = sim_dm_resume(world.md);
		if (err == -EINVAL && world.errors_expected) {
			sim_log("admin: shrinking is refused at last");
			load_for_sure(world.sectors, world.write_back, world.config.policy);
			resume_for_sure();
			world.shrinking_to = 0;
			return;
		}
	} while (try_again("resuming with fewer sectors", err, &tries, NULL));
	oracle_resize(&world.oracle, sectors, ++world.tick);
	world.sectors = sectors;
	world.shrinking_to = 0;
}

/* Fewer sectors: only as far as nothing is cached beyond; what was there is gone for good. */
static void manage_shrink(void)
{
	u64 sectors = world.sectors - min(world.sectors / 2, 1 + world_below(300));
	const char *why;
	int err;

	sectors -= sectors % world.pi.unit;
	/* users need room for some grains */
	if (!world_may(WORLD_resize) || sectors < 64)
		return;
	world.users_paused = true;
	while (world.ops_running)
		sim_sleep_ns(1000000);
	sim_dm_suspend(world.md, false);
	err = load_table(sectors, world.write_back, world.config.policy, &why);
	sim_log("admin: shrinking: %d %s", err, why ? why : "");
	if (err && err != -EINVAL && !world.errors_expected)
		sim_fail("shrinking failed with %d (%s)", err, why ? why : "no reason given");
	if (err)
		resume_for_sure();
	else
		finish_shrinking(sectors);
	world.users_paused = false;
}

/* Power went in the middle: whether the end is still there is not known. */
static void forget_shrinking(void)
{
	u64 id;

	if (!world.shrinking_to)
		return;
	id = oracle_discard_begin(&world.oracle, world.shrinking_to,
				  world.sectors - world.shrinking_to, ++world.tick);
	oracle_discard_end(&world.oracle, id, true, ++world.tick);
	world.shrinking_to = 0;
}

/* Nothing dirty is needed, and users go on writing: it may be refused at any step. */
static void manage_pass_through(void)
{
	const char *why;
	char line[200], text[200];
	u32 n;
	int err;

	if (!world_may(WORLD_modes))
		return;
	if (!world_one_in(3)) {
		load_for_sure(world.sectors, false, "cleaner");
		resume_for_sure();
		for (n = 0; n < 20 && atomic64_read(&world_cache()->map.nr_dirty); n++)
			sim_sleep_ns(50000000);
	}
	snprintf(line, sizeof(line), "metadata cache origin %u %u passthrough %s smq 0",
		 world.config.chunk_sectors, *world.pi.word ? 2u : 1u, world.pi.word);
	err = sim_dm_load(world.md, world.sectors, line, &why);
	if (!err)
		tuples_loaded();
	sim_log("admin: pass-through: %d %s", err, why ? why : "");
	if (err && err != -EINVAL && !world.errors_expected)
		sim_fail("pass-through failed with %d (%s)", err, why ? why : "no reason given");
	if (!err) {
		err = sim_dm_resume(world.md);
		sim_log("admin: resuming in pass-through: %d", err);
		for (n = (u32)world_below(6); !err && n; n--) {
			u64 chunk = world_below(8);

			sim_sleep_ns(world_below(50000000));
			snprintf(line, sizeof(line), "invalidate_cblocks %llu-%llu",
				 (unsigned long long)chunk, (unsigned long long)chunk + 2);
			sim_dm_message(world.md, line, text, sizeof(text));
		}
	}
	load_for_sure(world.sectors, world.write_back, world.config.policy);
	resume_for_sure();
}

/* From a crawl to as fast as it goes; it goes on over whatever else is done meanwhile. */
static void manage_scrub(void)
{
	char line[40], text[8192];

	if (world_one_in(4))
		snprintf(line, sizeof(line), "scrub stop");
	else
		snprintf(line, sizeof(line), "scrub start %u", 1u << world_below(31));
	sim_log("admin: %s: %d", line, sim_dm_message(world.md, line, text, sizeof(text)));
	sim_dm_message(world.md, "scrub status", text,
		       world_one_in(4) ? 1 + (u32)world_below(64) : sizeof(text));
}

static void manage_look(void)
{
	char text[4096];

	sim_dm_status(world.md, world_one_in(3) ? STATUSTYPE_TABLE : STATUSTYPE_INFO,
		      world_one_in(2) ? DM_STATUS_NOFLUSH_FLAG : 0, text,
		      world_one_in(4) ? 1 + (u32)world_below(64) : sizeof(text));
	sim_dm_message(world.md, world_one_in(2) ? "stats" : "migration_threshold 100", text,
		       sizeof(text));
}

/* Tuples pass no longer, or again: nobody may be sending any meanwhile. */
static void manage_tuples(void)
{
	world.users_paused = true;
	while (world.ops_running)
		sim_sleep_ns(1000000);
	tuples_pick_word();
	load_for_sure(world.sectors, world.write_back, world.config.policy);
	if (tuples_chance(2) && !world.errors_expected)
		resume_in_trouble(tuples_chance(2));
	resume_for_sure();
	world.users_paused = false;
}

static void manage(void)
{
	tuples_damage();
	if (tuples_chance(8) && world_may(WORLD_reload))
		manage_tuples();
	switch (world_below(11)) {
	case 10: case 9:
		manage_scrub();
		break;
	case 8:
		manage_pass_through();
		break;
	case 0: case 1:
		manage_suspend();
		break;
	case 2: case 3:
		manage_reload();
		break;
	case 4:
		manage_shrink();
		break;
	default:
		manage_look();
		break;
	}
}

/* --- faults --- */

static u32 rate(struct sim_rng *rng)
{
	return 2 + (u32)sim_rng_below(rng, 1u << (2 + sim_rng_below(rng, 8)));
}

static u32 error_rate(struct sim_rng *rng)
{
	/* always: a device that reads but does not write, for instance */
	return world.config.rare && !sim_rng_below(rng, 4) ? 1 : rate(rng);
}

static void break_something(void)
{
	struct sim_rng *rng = &world.fault_rng;
	struct backing *b = &devices.dev[sim_rng_below(rng, NR_DEVICES)];
	struct device_faults *f = &b->faults;

	switch (sim_rng_below(rng, 8)) {
	case 0: case 1: case 2:
		if (!world_may(WORLD_errors))
			return;
		f->error_one_in[sim_rng_below(rng, NR_KINDS)] = error_rate(rng);
		break;
	case 3:
		if (!world_may(WORLD_bad_sectors))
			return;
		f->bad_start = sim_rng_below(rng, b->bdev.sectors);
		f->bad_end = f->bad_start + 1 + sim_rng_below(rng, 64);
		break;
	case 4:
		if (!world_may(WORLD_loss))
			return;
		f->dead = true;
		break;
	case 5:
		if (!world_may(WORLD_misdirected) || b != &devices.dev[DEV_METADATA])
			return;
		if (sim_rng_below(rng, 2))
			f->misdirected_one_in = 4 * rate(rng);
		else
			f->rot_one_in = 1 + (u32)sim_rng_below(rng, 8);
		break;
	case 6:
		if (!world_may(WORLD_slow))
			return;
		f->slow_one_in = rate(rng);
		f->slow_ns = world.config.rare ? sim_rng_below(rng, 1ull << 33) : 0;
		return;
	default:
		if (!world_may(WORLD_memory))
			return;
		memory_fail_at(1 + sim_rng_below(rng, 200));
		break;
	}
	sim_log("fate: %s", b->bdev.name);
	world.errors_expected = true;
}

static void fate(void *unused)
{
	struct sim_rng *rng = &world.fault_rng;
	u32 n = 1 + (u32)sim_rng_below(rng, 4);

	(void)unused;
	while (n--) {
		sim_sleep_ns(sim_rng_below(rng, 1ull << (20 + sim_rng_below(rng, 12))));
		break_something();
		sim_sleep_ns(sim_rng_below(rng, 1ull << (20 + sim_rng_below(rng, 12))));
		devices_no_faults();
		memory_fail_at(0);
	}
}

void admin_plan_faults(void)
{
	struct sim_rng *rng = &world.fault_rng;

	world.errors_expected = false;
	if (sim_rng_below(rng, 2))
		return;
	if (!sim_rng_below(rng, 3))
		break_something();	/* already while it boots */
	sched_spawn("fate", fate, NULL, false);
}

/* --- the end of a round --- */

static void stop_in_order(void)
{
	sim_log("admin: remove");
	sim_dm_remove(world.md);
	world.md = NULL;
	sim_module_exit();
	if (memory_in_use())
		sim_fail("%llu bytes are left behind by the module",
			 (unsigned long long)memory_in_use());
	judge_before_crash();
}

static int read_origin(void *context, u64 sector, void *buffer)
{
	struct sim_disk *disk = &devices.dev[DEV_ORIGIN].disk;

	(void)context;
	sim_disk_read(disk, sector, buffer, 1);
	tuples_check_disk(disk, false, sector, sector, "the origin alone, after detaching");
	return 0;
}

/* Everything is written back, the cache is taken away: the origin alone has it all. */
void admin_detach(void)
{
	struct larder_cache *c;
	const char *wrong;
	u32 tries;

	load_for_sure(world.sectors, true, "cleaner");
	resume_for_sure();
	c = world_cache();
	for (tries = 0; atomic64_read(&c->map.nr_dirty); tries++) {
		if (tries > 6000 && !world.errors_expected)
			sim_fail("%lld slots stay dirty",
				 (long long)atomic64_read(&c->map.nr_dirty));
		sim_sleep_ns(100000000);
	}
	judge_all_clean();
	stop_in_order();
	judge_forget();
	wrong = devices.lost_its_way ? NULL :
		oracle_check_all(&world.oracle, read_origin, NULL, ++world.tick);
	if (wrong)
		sim_fail("the origin alone, after detaching: %s", wrong);
	/* as LVM does: what is blank is a new cache */
	sim_disk_zero(&devices.dev[DEV_METADATA].disk, 0, 8, true);
	/* a new cache needs records for all of a cache device that has grown */
	world.came_up = false;
	tuples_new_cache();
	if (world.grows)
		grow(DEV_METADATA, METADATA_SECTORS_MAX, METADATA_SECTORS_MAX);
	sim_disk_flush(&devices.dev[DEV_METADATA].disk);
	users_bypass();
}

void admin_round(void *unused)
{
	bool clean_stop = world_may(WORLD_clean_stop) && world_one_in(3);
	bool detach = world_may(WORLD_detach) && world_one_in(6);

	(void)unused;
	forget_shrinking();
	admin_plan_faults();
	admin_boot();
	if (world_one_in(3))
		users_read_all();
	users_start(world.config.users, world.config.ops);
	while (world.users_left) {
		sim_sleep_ns(world_below(1ull << (20 + world_below(10))));
		if (world_may(WORLD_manage) && world.users_left && world_one_in(3))
			manage();
	}
	devices_no_faults();
	memory_fail_at(0);
	memory_fail_nowait(0);
	users_replace_lost();
	users_write_succeeds();
	if (detach || world.round + 1 == world.config.rounds)
		admin_detach();
	else if (clean_stop || !world_may(WORLD_crashes))
		stop_in_order();	/* what is not stopped ends in a crash */
	world.round_over = true;
	sched_stop();
}
