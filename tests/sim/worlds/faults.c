// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command: does every operation again and again, the n-th time with the
 * n-th I/O failing, then the n-th allocation, then with the power going at the
 * n-th event, until there is no n-th.
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "faults.h"
#include "kernel/memory.h"
#include "world.h"

#define CASE_SECONDS 300u
#define SETTLE_NS 20000000ull
#define LATCH_NS 2100000000ull

enum fault {
	FAULT_IO,
	FAULT_MEMORY,
	FAULT_POWER,
	NR_FAULTS,
};

static const char *const fault_names[] = { "io", "memory", "power" };
static const char *const topologies[] = { "three-drives", "one-ssd", "nothing-volatile" };

/* Of one operation with one kind of fault. */
struct outcome {
	u64 tried, refused;	/* the operation reported an error; else it did its work */
	bool passed;
};

static struct {
	const struct operation *op;
	enum fault fault;
	u64 n;
	enum sim_mood mood;
	bool then_cut;		/* the power goes right after the operation */
	bool hit, refused;
	struct snapshot base[ON_LIVE];
	struct known content;	/* of base, but the blank one */
	/* command line */
	enum topology topology;
	u32 jobs;
	bool single, trace;
} f = { .jobs = 2 };

static void print_replay(void)
{
	fprintf(stderr, "replay: build/worlds/faults --topology %s --operation %s --fault %s --at %llu",
		topologies[f.topology], f.op->name, fault_names[f.fault],
		(unsigned long long)f.n);
	if (f.fault == FAULT_POWER)
		fprintf(stderr, " --mood %u", f.mood);
	if (f.then_cut)
		fputs(" --then-cut", stderr);
	fputs(" --trace\n", stderr);
}

void sim_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "FAIL %s: ", f.op ? f.op->name : "the scene");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (f.trace)
		sched_print_tasks(stderr);
	else if (f.op)
		print_replay();
	if (f.single)
		puts("0 passed, 1 failed, 0 skipped");
	fflush(stdout);
	_exit(1);
}

/* --- beginnings --- */

static void make_content(void *unused)
{
	(void)unused;
	if (scene_start("writeback", "s3fifo"))
		sim_fail("cannot start");
	scene_fill();
}

static void stop_task(void *unused)
{
	(void)unused;
	scene_stop();
}

static void power_off(enum sim_mood mood, u64 seed)
{
	struct sim_rng rng = { .state = seed };

	machine_crash(&rng, mood);
	machine_off();
	scene.module = false;
}

static void make_beginnings(void)
{
	u8 sector[SIM_SECTOR];
	u32 i;

	for (i = 0; i < FAULT_SECTORS_GROWN; i++) {
		known_data(sector, i, 0);
		sim_disk_write(&devices.dev[DEV_ORIGIN].disk, i, sector, 1, true);
	}
	sim_disk_flush(&devices.dev[DEV_ORIGIN].disk);
	known_init(&scene.known);
	snapshot_take(&f.base[ON_BLANK], false);
	machine_off();
	machine_run(make_content, NULL);
	power_off(SIM_MOOD_LOSE_ALL, 1);
	snapshot_take(&f.base[ON_CRASHED], false);

	snapshot_put(&f.base[ON_BLANK]);
	known_init(&scene.known);
	machine_run(make_content, NULL);
	machine_run(stop_task, NULL);
	power_off(SIM_MOOD_LOSE_ALL, 1);
	snapshot_take(&f.base[ON_CLEAN], false);
	f.content = scene.known;
}

static void prepare(void)
{
	struct device_sizes sizes;
	struct geometry g;
	u64 units = 0;

	scene.memory = aligned_alloc(PAGE_SIZE, KNOWN_SECTORS_MAX * SIM_SECTOR);
	machine.sectors = FAULT_SECTORS;
	machine.seed = 1;
	geometry_choose(&g, FAULT_CHUNK, machine.sectors, FAULT_SLOTS * FAULT_CHUNK, 1, &units);
	sizes.sectors[DEV_METADATA] = units * LARDER_UNIT_SECTORS;
	sizes.sectors[DEV_CACHE] = FAULT_SLOTS * FAULT_CHUNK;
	sizes.sectors[DEV_ORIGIN] = FAULT_SECTORS_GROWN;
	devices_init(f.topology, &sizes, true, machine.seed);
	/* the judge of what is on the metadata device: after every write there */
	world.config.origin_sectors = FAULT_SECTORS_GROWN;
	while (sim_rng_below(&(struct sim_rng){ world.rng.state }, 4))
		world.rng.state++;
	judge_init();
	devices.metadata_written = judge_metadata;
	make_beginnings();
}

/* --- a case --- */

static void arm(void)
{
	switch (f.fault) {
	case FAULT_IO:
		devices.has_failed = false;
		devices.fail_at = f.n;
		break;
	case FAULT_MEMORY:
		memory_fail_at(f.n);
		break;
	default:
		devices.stop_at = devices.nr_events + f.n;
		break;
	}
}

static void disarm(void)
{
	f.hit = f.fault == FAULT_IO ? devices.has_failed : memory_has_failed();
	memory_fail_at(0);
	devices.fail_at = 0;
	devices.stop_at = 0;
}

static void begin(void)
{
	bool live = f.op->begins == ON_LIVE || f.op->begins == ON_SUSPENDED;

	if (live) {
		if (scene_start("writeback", "s3fifo"))
			sim_fail("cannot start");
		machine_settle(SETTLE_NS);
		if (scene_dirty() != 3)
			sim_fail("%lld dirty blocks at the beginning", (long long)scene_dirty());
	}
	if (f.op->unflushed)
		scene_write(32, 8, 6);
	if (f.op->begins == ON_SUSPENDED && sim_dm_suspend(machine.md, false))
		sim_fail("cannot suspend");
}

static int read_origin(u32 sector)
{
	sim_disk_read(&devices.dev[DEV_ORIGIN].disk, sector, scene.memory, 1);
	return known_versions(scene.memory, sector);
}

static void judge_origin(void)
{
	u32 i;

	for (i = 0; i < machine.sectors; i++)
		if (!(read_origin(i) & scene.known.now[i]))
			sim_fail("detached, but sector %u of the origin has versions %x; allowed are %x",
				 i, read_origin(i), scene.known.now[i]);
}

/* A cache that works: it has its data, takes more, and stops. */
static void judge_cache(const u16 *allowed, const char *when)
{
	bool whole = scene.module && machine.md && sim_dm_target(machine.md);
	int err = whole ? sim_dm_resume(machine.md) : scene_start("writeback", "s3fifo");

	if (err)
		sim_fail("%s, starting failed with %d", when, err);
	scene_read_all(allowed, when);
	scene_flush();
	scene_write(24, 8, 4);
	scene_write(3, 2, 5);
	scene_flush();
	scene_read_all(scene.known.now, "after more writes");
	scene_stop();
}

static void case_task(void *unused)
{
	int err;

	(void)unused;
	begin();
	arm();
	err = f.op->act();
	disarm();
	f.refused = err != 0;
	if (err && !f.hit)
		sim_fail("fails with %d, and nothing had been broken", err);
	/* refused by design until a commit has succeeded, which is tried once a second */
	if (err && machine_cache() && larder_failed(machine_cache()))
		machine_settle(LATCH_NS);
	if (err)
		err = f.op->act();
	if (err)
		sim_fail("still fails with %d after the fault", err);
	if (f.op->detached)
		judge_origin();
	if (!f.then_cut)
		judge_cache(scene.known.now, "after the operation");
}

static void after_crash_task(void *allowed)
{
	judge_cache(allowed, "after a crash");
}

/* True when there was an n-th. */
static bool run_case(void)
{
	static u16 allowed[KNOWN_SECTORS_MAX];
	enum beginning b = min(f.op->begins, ON_CLEAN);

	alarm(CASE_SECONDS);
	if (f.op->begins == ON_CRASHED)
		b = ON_CRASHED;
	snapshot_put(&f.base[b]);
	scene.known = f.content;
	if (b == ON_BLANK)
		known_init(&scene.known);
	machine.sectors = FAULT_SECTORS;
	scene.module = false;
	machine.trace = f.trace;
	machine_off();
	if (machine_run(case_task, NULL)) {
		if (f.fault == FAULT_POWER)
			f.hit = false;
		power_off(SIM_MOOD_LOSE_ALL, 1);
	} else {
		f.hit = true;
		f.refused = false;
		power_off(f.mood, f.n);
	}
	memcpy(allowed, scene.known.may, sizeof(allowed));
	/* unknown which of them it is, until it is read */
	memcpy(scene.known.now, scene.known.may, sizeof(allowed));
	machine_run(after_crash_task, allowed);
	return f.hit;
}

static void run_cases(struct outcome *o)
{
	static const enum sim_mood moods[] = { SIM_MOOD_LOSE_ALL, SIM_MOOD_KEEP_ALL, SIM_MOOD_ANY };
	static const u32 variants[NR_FAULTS] = { 2, 1, ARRAY_SIZE(moods) };
	bool more = true;
	u32 i;

	for (f.n = 1; more; f.n++) {
		for (i = 0; more && i < variants[f.fault]; i++) {
			f.mood = f.fault == FAULT_POWER ? moods[i] : SIM_MOOD_LOSE_ALL;
			f.then_cut = f.fault == FAULT_IO && i;
			more = run_case();
			o->tried += more;
			o->refused += more && f.refused;
		}
	}
	o->passed = true;
}

/* --- all of them --- */

static struct outcome *outcomes;

static void start_job(u32 number)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("faults: fork");
		exit(2);
	}
	if (pid)
		return;
	f.op = &operations[number / NR_FAULTS];
	f.fault = number % NR_FAULTS;
	run_cases(&outcomes[number]);
	_exit(0);
}

static int run_all(void)
{
	u32 i, running = 0, started = 0, nr = nr_operations * NR_FAULTS, failed = 0;
	u64 tried = 0;

	outcomes = mmap(NULL, nr * sizeof(*outcomes), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcomes == MAP_FAILED) {
		perror("faults");
		return 2;
	}
	while (started < nr || running) {
		if (started < nr && running < f.jobs) {
			start_job(started++);
			running++;
		} else {
			wait(NULL);
			running--;
		}
	}
	printf("%-22s %-8s %8s %10s %10s\n", "operation", "fault", "tried", "reported", "survived");
	for (i = 0; i < nr; i++) {
		const struct outcome *o = &outcomes[i];

		printf("%-22s %-8s %8llu %10llu %10llu%s\n", operations[i / NR_FAULTS].name,
		       fault_names[i % NR_FAULTS], (unsigned long long)o->tried,
		       (unsigned long long)o->refused, (unsigned long long)(o->tried - o->refused),
		       o->passed ? "" : "  FAILED");
		failed += !o->passed;
		tried += o->tried;
	}
	printf("%llu faults\n%u passed, %u failed, 0 skipped\n", (unsigned long long)tried,
	       nr - failed, failed);
	return failed ? 1 : 0;
}

/* --- command line --- */

static const char usage[] =
	"usage: faults [--topology NAME] [--jobs N]\n"
	"       faults --operation NAME --fault io|memory|power --at N [--mood N] [--then-cut]\n"
	"              [--trace]\n"
	"\n"
	"Does each management operation on a small cache with known content, with the n-th I/O failing,\n"
	"n = 1, 2, 3 ... until none fails; the same with allocations; and with the power going at the\n"
	"n-th event. Afterwards the operation must have been done or refused, work when it is tried\n"
	"again, and have lost, leaked and damaged nothing.\n"
	"\n"
	"  --topology NAME  three-drives (default), one-ssd or nothing-volatile\n"
	"  --jobs N         processes (default 2)\n"
	"  --mood N         what survives the power cut, see enum sim_mood (default 0: nothing)\n"
	"  --then-cut       the power goes right after the operation\n"
	"\n"
	"operations:";

static void print_usage(void)
{
	u32 i;

	fputs(usage, stdout);
	for (i = 0; i < nr_operations; i++)
		printf(" %s", operations[i].name);
	putchar('\n');
}

static u32 choice(const char *text, const char *const *names, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (!strcmp(text, names[i]))
			return i;
	fprintf(stderr, "faults: unknown word \"%s\", see --help\n", text);
	exit(64);
}

static const struct operation *find_operation(const char *name)
{
	u32 i;

	for (i = 0; i < nr_operations; i++)
		if (!strcmp(name, operations[i].name))
			return &operations[i];
	fprintf(stderr, "faults: no operation \"%s\", see --help\n", name);
	exit(64);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "topology", required_argument, NULL, 't' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "operation", required_argument, NULL, 'o' },
		{ "fault", required_argument, NULL, 'f' },
		{ "at", required_argument, NULL, 'n' },
		{ "mood", required_argument, NULL, 'm' },
		{ "then-cut", no_argument, NULL, 'c' },
		{ "trace", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 't':
			f.topology = choice(optarg, topologies, NR_TOPOLOGIES);
			break;
		case 'j':
			f.jobs = max(1, atoi(optarg));
			break;
		case 'o':
			f.op = find_operation(optarg);
			f.single = true;
			break;
		case 'f':
			f.fault = choice(optarg, fault_names, NR_FAULTS);
			break;
		case 'n':
			f.n = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			f.mood = (enum sim_mood)atoi(optarg);
			break;
		case 'c':
			f.then_cut = true;
			break;
		case 'x':
			f.trace = true;
			break;
		case 'h':
			print_usage();
			exit(0);
		default:
			exit(64);
		}
	}
	if (optind < argc || (f.single && !f.n)) {
		fputs("faults: expected --operation NAME --fault KIND --at N\n", stderr);
		exit(64);
	}
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:quarantine_size_mb=8:thread_local_quarantine_size_kb=64";
}

/* An assertion, a hang: it is to be replayed as well. */
static void on_signal(int what)
{
	sim_fail("signal %d", what);
}

int main(int argc, char **argv)
{
	const struct operation *op;

	parse(argc, argv);
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	/* large blocks come and go with every boot */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	op = f.op;
	f.op = NULL;
	prepare();
	if (!f.single)
		return run_all();
	f.op = op;
	printf("%s\n", run_case() ? "the fault happened" : "there is no such fault");
	puts("1 passed, 0 failed, 0 skipped");
	return 0;
}
