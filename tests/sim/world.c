// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A seed from its beginning to its end: rounds of work, each ended by a crash
 * or in order, and a last one that takes the cache away and looks at what the
 * origin has.
 */
#include "larder.h"

#include "kernel/sched.h"
#include "module.h"
#include "world.h"

#define STEPS_MAX 30000000ull
#define HANG_NS (3600ull * 1000000000ull)	/* of simulated time without any end of I/O */

struct world world;

const char *world_feature_name(enum world_feature f)
{
	static const char *const names[] = {
#define X(name) #name,
		WORLD_FEATURES(X)
#undef X
	};

	return names[f];
}

struct larder_cache *world_cache(void)
{
	struct dm_target *ti = world.md ? sim_dm_target(world.md) : NULL;

	return ti ? ti->private : NULL;
}

static u64 pick_metadata(void)
{
	const struct world_config *c = &world.config;
	struct geometry g;
	u64 needed = 0;

	geometry_choose(&g, c->chunk_sectors, c->origin_sectors, c->cache_sectors, 1, &needed);
	/* as small as it goes, or room for smaller blocks or a longer journal */
	needed += world_one_in(2) ? 0 : world_below(200);
	return needed * LARDER_UNIT_SECTORS;
}

/* Larger than a window of the destager, and not to be divided: blocks of 2 MiB and more. */
static void pick_large_blocks(struct sim_rng *rng)
{
	static const u32 chunks[] = { 2056, 4104, 6152 };
	struct world_config *c = &world.config;

	c->chunk_sectors = chunks[sim_rng_below(rng, ARRAY_SIZE(chunks))];
	c->cache_sectors = (1 + sim_rng_below(rng, 4)) * c->chunk_sectors;
	c->origin_sectors = c->cache_sectors + sim_rng_below(rng, 16384);
}

/* So many that a commit takes more than one block of the journal. */
static void pick_many_slots(struct sim_rng *rng)
{
	struct world_config *c = &world.config;

	c->chunk_sectors = 8;
	c->cache_sectors = 8 * (256 + sim_rng_below(rng, 1024));
	c->origin_sectors = c->cache_sectors + sim_rng_below(rng, 8192);
}

/* What would be too slow, or in the way of other things, in every seed. */
static void pick_rare(void)
{
	struct world_config *c = &world.config;
	struct sim_rng rng = { .state = ~sim_mix(world.options.seed) };

	c->flush_percent = 9;
	c->rest_one_in = 10;
	c->rare = world_may(WORLD_rare) && world.options.seed % 2 == 0;
	if (!c->rare)
		return;
	switch (sim_rng_below(&rng, 6)) {
	case 0:
		pick_large_blocks(&rng);
		break;
	case 1:
		pick_many_slots(&rng);
		break;
	}
	if (sim_rng_below(&rng, 3) == 0)
		c->stall_one_in = 2 + (u32)sim_rng_below(&rng, 1u << sim_rng_below(&rng, 7));
	if (sim_rng_below(&rng, 3) == 0)
		c->flush_percent = (u32)sim_rng_below(&rng, 4);
	if (sim_rng_below(&rng, 3) == 0)
		c->rest_one_in = 1;
	c->host_crashes = sim_rng_below(&rng, 4) == 0;
}

static void pick_config(void)
{
	static const u32 chunks[] = { 8, 8, 16, 32, 64, 64, 128, 192, 512, 2048, 4096 };
	struct world_config *c = &world.config;
	u64 slots;

	c->topology = world_below(NR_TOPOLOGIES);
	c->fua = world_one_in(2);
	c->chunk_sectors = chunks[world_below(ARRAY_SIZE(chunks))];
	slots = 1 + world_below(1u << (1 + world_below(7)));
	c->cache_sectors = max(slots * c->chunk_sectors, 64ull) + world_below(c->chunk_sectors);
	c->cache_sectors = min(c->cache_sectors, 16384ull + c->chunk_sectors);
	c->origin_sectors = c->cache_sectors * (1 + world_below(5)) + world_below(4096);
	c->origin_sectors = min(c->origin_sectors, 32768ull + world_below(64));
	pick_rare();
	c->cache_sectors -= c->cache_sectors % world.pi.unit;
	c->origin_sectors = ALIGN(c->origin_sectors, world.pi.unit);
	c->metadata_sectors = pick_metadata();
	c->rounds = 2 + (u32)world_below(10);
	c->users = 1 + (u32)world_below(6);
	c->ops = 5 + (u32)world_below(1u << (3 + world_below(6)));
	c->policy = "s3fifo";
	c->write_back = !world_one_in(3);
	c->hot_percent = 1 + (u32)world_below(60);
	c->preempt_one_in = world_one_in(4) ? 0 : 2 + (u32)world_below(1u << world_below(8));
	if (world.options.rounds)
		c->rounds = world.options.rounds;
	if (world.options.users)
		c->users = min(c->users, world.options.users);
	if (world.options.ops)
		c->ops = min(c->ops, world.options.ops);
	if (!world_may(WORLD_preempt))
		c->preempt_one_in = 0;
}

static bool round_ends(void *unused)
{
	static u64 last_ops, last_time;

	(void)unused;
	if (world.nr_ops != last_ops || sim_now() < last_time) {
		last_ops = world.nr_ops;
		last_time = sim_now();
	}
	if (sim_now() - last_time > HANG_NS)
		sim_fail("nothing has ended for an hour: a request hangs");
	return world.round_over || world.gave_up || devices.stopped;
}

static void crash(bool host_only)
{
	sim_log("crash: %s", host_only ? "the host" : "power");
	judge_before_crash();
	if (host_only)
		devices_host_crash(&world.crash_rng);
	else
		devices_crash(&world.crash_rng);
	oracle_crash(&world.oracle, ++world.tick);
	world.nr_crashes++;
	world.host_crashed = host_only;
}

static void run_round(void)
{
	struct sim_rng *rng = &world.crash_rng;
	bool may_crash = world_may(WORLD_crashes) && sim_rng_below(rng, 5);
	u64 when = 1 + sim_rng_below(rng, 1u << (3 + sim_rng_below(rng, 10)));
	bool host_only = !sim_rng_below(rng, 6) && world_may(WORLD_host_crashes);

	if (world.config.host_crashes && world_may(WORLD_host_crashes)) {
		host_only = sim_rng_below(rng, 2);
		/* what the drives still hold meets a recovery that does not get far */
		if (world.host_crashed && sim_rng_below(rng, 2))
			when = 1 + sim_rng_below(rng, 64);
	}
	world.round_over = false;
	devices.stop_at = may_crash && world.round + 1 < world.config.rounds ?
			  devices.nr_events + when : 0;
	sched_spawn("admin", admin_round, NULL, false);
	if (!sched_run(round_ends, NULL))
		sim_fail("nothing can run any more: deadlock");
	/* also after an orderly stop: what it left must survive */
	if (world_may(WORLD_crashes) || !world.round_over)
		crash(host_only && world.round + 1 < world.config.rounds);
	devices.stop_at = 0;
	world.md = NULL;
	sched_crash();
	module_reset();
}

static int read_durable_origin(void *context, u64 sector, void *buffer)
{
	struct sim_disk *disk = &devices.dev[DEV_ORIGIN].disk;

	(void)context;
	sim_disk_read_durable(disk, sector, buffer, 1);
	tuples_check_disk(disk, true, sector, sector, "the origin alone, at the end");
	return 0;
}

static void check_origin(void)
{
	const char *wrong;

	if (devices.lost_its_way || world.gave_up)
		return;
	wrong = oracle_check_all(&world.oracle, read_durable_origin, NULL, ++world.tick);
	if (wrong)
		sim_fail("the origin alone, at the end: %s", wrong);
}

static void begin(const struct world_options *options)
{
	struct device_sizes sizes;
	struct sched_options sched = { 0 };

	memset(&world, 0, sizeof(world));
	world.options = *options;
	world.rng.state = sim_mix(options->seed * 4);
	world.fault_rng.state = sim_mix(options->seed * 4 + 1);
	world.crash_rng.state = sim_mix(options->seed * 4 + 2);
	world.judge_rng.state = sim_mix(~options->seed);
	/* of its own: without growth a seed is what it was */
	world.grow_rng.state = sim_mix(options->seed ^ 0x67726f77);
	world.grows = world_may(WORLD_grow) && sim_rng_below(&world.grow_rng, 2);
	tuples_pick();
	pick_config();
	world.write_back = world.config.write_back;
	world.sectors = world.config.origin_sectors;
	if (world_may(WORLD_resize) && world_one_in(3))
		world.sectors -= world_below(world.sectors / 4 + 1);
	world.sectors -= world.sectors % world.pi.unit;

	sched.seed = sim_mix(options->seed * 4 + 3);
	sched.preempt_one_in = world.config.preempt_one_in;
	sched.stall_one_in = world.config.stall_one_in;
	sched.max_steps = STEPS_MAX;
	sched.trace = options->trace;
	sched.unlikely = world_may(WORLD_unlikely) && world_one_in(2);
	sched_init(&sched);
	module_reset();
	sizes.sectors[DEV_METADATA] = world.config.metadata_sectors;
	sizes.sectors[DEV_CACHE] = world.config.cache_sectors;
	sizes.sectors[DEV_ORIGIN] = world.config.origin_sectors;
	devices_init(world.config.topology, &sizes, world.config.fua, sim_mix(options->seed));
	tuples_begin();
	devices.metadata_written = judge_metadata;
	devices.event = judge_event;
	devices.origin_changes = judge_origin_changes;
	oracle_init(&world.oracle, world.sectors);
	judge_init();
}

void world_run(const struct world_options *options)
{
	begin(options);
	sim_log("seed %llu: chunk %u, cache %llu, origin %llu, metadata %llu, topology %d, %u rounds, %u users, %u ops",
		(unsigned long long)options->seed, world.config.chunk_sectors,
		(unsigned long long)world.config.cache_sectors,
		(unsigned long long)world.config.origin_sectors,
		(unsigned long long)world.config.metadata_sectors, world.config.topology,
		world.config.rounds, world.config.users, world.config.ops);
	if (world.pi.any)
		sim_log("protection information: origin type %u of %u, cache type %u of %u, %s%s",
			world.pi.origin.type, world.pi.origin.interval, world.pi.cache.type,
			world.pi.cache.interval, world.pi.word,
			sim_tuples_end_early ? ", ends early" : "");
	for (world.round = 0; world.round < world.config.rounds && !world.gave_up; world.round++)
		run_round();
	check_origin();
	judge_free();
	oracle_free(&world.oracle);
	devices_free();
}
