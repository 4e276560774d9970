// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulator's command: runs seeds, replays one, shrinks a failure.
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sched.h"
#include "world.h"

#define JOBS_MAX 64
#define SEED_SECONDS 300u	/* more is a hang of the simulator itself */
#define SHRINK_SECONDS 30u	/* a hang counts as a failure like the others */
#define TWICE_ONE_IN 16		/* seeds are run a second time: same hash? */
#define SHRUNK_MAX 3		/* failures that are shrunk */

struct result {
	u64 seed, crashes, ops, steps, hash;
	enum { STARTED, PASSED, FAILED } what;
};

struct job {
	pid_t pid;
	int from;		/* results come from here */
	u64 next, running;
	bool busy;
};

static struct {
	struct world_options options;
	u64 first, count, jobs;
	bool single, no_shrink, until_failure;
	struct job job[JOBS_MAX];
	u64 passed, failed, crashes, ops, steps, hash;
	u64 failure[SHRUNK_MAX];
} m = { .first = 1, .count = 100, .jobs = 2 };

static bool in_child;

void sim_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "FAIL seed %llu, round %u, at %llu us: ",
		(unsigned long long)world.options.seed, world.round,
		(unsigned long long)sim_now() / 1000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (m.single)
		sched_print_tasks(stderr);
	_exit(in_child ? 3 : 1);
}

/* Of clang's coverage, when built with it: a job does not end by exit(). */
int __llvm_profile_write_file(void) __attribute__((weak));

static struct result run_seed(u64 seed)
{
	struct world_options options = m.options;
	struct result r = { .seed = seed };

	options.seed = seed;
	alarm(SEED_SECONDS);
	world_run(&options);
	alarm(0);
	r.crashes = world.nr_crashes;
	r.ops = world.nr_ops;
	r.steps = sched_steps();
	r.hash = sched_hash();
	r.what = PASSED;
	return r;
}

static void tell(int to, const struct result *r)
{
	if (write(to, r, sizeof(*r)) != sizeof(*r))
		_exit(2);
}

static void run_seeds(u64 from, int to)
{
	u64 seed;

	for (seed = from; seed < m.first + m.count; seed += m.jobs) {
		struct result r = { .seed = seed, .what = STARTED };

		tell(to, &r);
		r = run_seed(seed);
		if (seed % TWICE_ONE_IN == 0 && run_seed(seed).hash != r.hash) {
			fprintf(stderr, "FAIL seed %llu: the second run differs from the first\n",
				(unsigned long long)seed);
			_exit(3);
		}
		tell(to, &r);
	}
	if (__llvm_profile_write_file)
		__llvm_profile_write_file();
	_exit(0);
}

static void start_job(struct job *job, u64 from)
{
	int ends[2];

	job->busy = from < m.first + m.count;
	if (!job->busy)
		return;
	if (pipe(ends)) {
		perror("sim: pipe");
		exit(2);
	}
	fflush(stdout);
	job->pid = fork();
	if (job->pid < 0) {
		perror("sim: fork");
		exit(2);
	}
	if (!job->pid) {
		in_child = true;
		close(ends[0]);
		run_seeds(from, ends[1]);
	}
	close(ends[1]);
	job->from = ends[0];
	job->running = 0;
}

static void count_failure(u64 seed, int status)
{
	if (WIFSIGNALED(status))
		fprintf(stderr, "FAIL seed %llu: %s%s\n", (unsigned long long)seed,
			strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGALRM ? " (no end after five minutes)" : "");
	if (m.failed < SHRUNK_MAX)
		m.failure[m.failed] = seed;
	m.failed++;
}

/* One result, or the end, of a job. */
static void hear(struct job *job)
{
	struct result r;
	int status;

	if (read(job->from, &r, sizeof(r)) == sizeof(r)) {
		job->running = r.seed;
		if (r.what == PASSED) {
			m.passed++;
			m.crashes += r.crashes;
			m.ops += r.ops;
			m.steps += r.steps;
			m.hash ^= sim_mix(r.seed ^ r.hash);
			job->running = 0;
		}
		return;
	}
	close(job->from);
	waitpid(job->pid, &status, 0);
	job->busy = false;
	if (!job->running) {
		if (status)
			exit(2);
		return;
	}
	count_failure(job->running, status);
	start_job(job, job->running + m.jobs);
}

static void run_all(void)
{
	u64 i, busy;

	for (i = 0; i < m.jobs; i++)
		start_job(&m.job[i], m.first + i);
	do {
		fd_set set;
		int top = 0;

		FD_ZERO(&set);
		for (i = 0, busy = 0; i < m.jobs; i++) {
			if (!m.job[i].busy)
				continue;
			FD_SET(m.job[i].from, &set);
			top = max(top, m.job[i].from);
			busy++;
		}
		if (busy && select(top + 1, &set, NULL, NULL, NULL) < 0)
			exit(2);
		for (i = 0; i < m.jobs; i++)
			if (m.job[i].busy && FD_ISSET(m.job[i].from, &set))
				hear(&m.job[i]);
	} while (busy && !(m.until_failure && m.failed));
	for (i = 0; busy && i < m.jobs; i++)
		if (m.job[i].busy)
			kill(m.job[i].pid, SIGKILL);
}

/* --- shrinking --- */

static bool still_fails(const struct world_options *options)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		in_child = true;
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		alarm(SHRINK_SECONDS);
		world_run(options);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status != 0;
}

static void shrink_number(struct world_options *options, u32 *value, u32 from)
{
	u32 low = 1;

	*value = from;
	if (!still_fails(options)) {
		*value = 0;
		return;
	}
	while (low < *value) {
		struct world_options trial = *options;
		u32 middle = low + (*value - low) / 2;

		*(u32 *)((char *)&trial + ((char *)value - (char *)options)) = middle;
		if (still_fails(&trial))
			*value = middle;
		else
			low = middle + 1;
	}
}

static void print_command(const struct world_options *o)
{
	u32 f;

	printf("replay: build/sim/sim --trace --seed %llu", (unsigned long long)o->seed);
	for (f = 0; f < NR_WORLD_FEATURES; f++)
		if (o->without >> f & 1)
			printf(" --without %s", world_feature_name(f));
	if (o->carriers)
		printf(" --carriers");
	if (o->rounds)
		printf(" --rounds %u", o->rounds);
	if (o->users)
		printf(" --users %u", o->users);
	if (o->ops)
		printf(" --ops %u", o->ops);
	putchar('\n');
	/* or each process that is forked from now on prints it again */
	fflush(stdout);
}

static void shrink(u64 seed)
{
	struct world_options options = m.options;
	u32 f;

	options.seed = seed;
	for (f = 0; f < NR_WORLD_FEATURES; f++) {
		struct world_options trial = options;

		trial.without |= 1u << f;
		if (still_fails(&trial))
			options = trial;
	}
	shrink_number(&options, &options.rounds, 12);
	shrink_number(&options, &options.users, 6);
	shrink_number(&options, &options.ops, 270);
	print_command(&options);
}

/* --- command line --- */

static const char usage[] =
	"usage: sim [--seeds N] [--first SEED] [--jobs N] [--no-shrink]\n"
	"       sim --seed SEED [--trace]\n"
	"\n"
	"Runs the module's own sources on a simulated kernel and disks; every choice comes from the\n"
	"seed. A failure prints the command that replays it, shrunk.\n"
	"\n"
	"  --seeds N        how many seeds (default 100)\n"
	"  --first SEED     the first of them (default 1)\n"
	"  --jobs N         processes (default 2)\n"
	"  --until-failure  end when a seed has failed\n"
	"  --seed SEED      only this one\n"
	"  --trace          with --seed: print everything that happens\n"
	"  --without WHAT   leave something out, any number of times:\n"
	"                  ";

static void print_usage(void)
{
	u32 f;

	fputs(usage, stdout);
	for (f = 0; f < NR_WORLD_FEATURES; f++)
		printf(" %s%s", world_feature_name(f), f % 9 == 8 ? "\n                  " : "");
	puts("\n"
	     "  --rounds N       from boot to crash or stop, this many times\n"
	     "  --users N, --ops N   at most so many users, and requests of each\n"
	     "  --carriers       cache devices that keep tuples without knowing what they are, mostly\n"
	     "  --no-shrink      do not look for a smaller case of a failure");
}

static u64 number(const char *text, u64 limit)
{
	char *end;
	u64 value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || value > limit) {
		fprintf(stderr, "sim: expected a number up to %llu, found \"%s\"\n",
			(unsigned long long)limit, text);
		exit(64);
	}
	return value;
}

static void leave_out(const char *name)
{
	u32 f;

	for (f = 0; f < NR_WORLD_FEATURES; f++) {
		if (!strcmp(name, world_feature_name(f))) {
			m.options.without |= 1u << f;
			return;
		}
	}
	fprintf(stderr, "sim: nothing is called \"%s\", see --help\n", name);
	exit(64);
}

static const struct option options[] = {
	{ "seeds", required_argument, NULL, 'n' },
	{ "first", required_argument, NULL, 'f' },
	{ "jobs", required_argument, NULL, 'j' },
	{ "until-failure", no_argument, NULL, 'e' },
	{ "seed", required_argument, NULL, 's' },
	{ "trace", no_argument, NULL, 't' },
	{ "without", required_argument, NULL, 'w' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "users", required_argument, NULL, 'u' },
	{ "ops", required_argument, NULL, 'o' },
	{ "no-shrink", no_argument, NULL, 'S' },
	{ "carriers", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			m.count = number(optarg, 1000000000);
			break;
		case 'f':
			m.first = number(optarg, U64_MAX / 8);
			break;
		case 'j':
			m.jobs = max(1ull, (unsigned long long)number(optarg, JOBS_MAX));
			break;
		case 's':
			m.single = true;
			m.first = number(optarg, U64_MAX / 8);
			break;
		case 'e':
			m.until_failure = true;
			break;
		case 't':
			m.options.trace = true;
			break;
		case 'w':
			leave_out(optarg);
			break;
		case 'r':
			m.options.rounds = (u32)number(optarg, 1000);
			break;
		case 'u':
			m.options.users = (u32)number(optarg, 1000);
			break;
		case 'o':
			m.options.ops = (u32)number(optarg, 1000000);
			break;
		case 'c':
			m.options.carriers = true;
			break;
		case 'S':
			m.no_shrink = true;
			break;
		case 'h':
			print_usage();
			exit(0);
		default:
			exit(64);
		}
	}
	if (optind < argc || (m.options.trace && !m.single)) {
		fprintf(stderr, "sim: %s\n", optind < argc ? "too many words, see --help" :
			"--trace needs --seed");
		exit(64);
	}
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:quarantine_size_mb=8:thread_local_quarantine_size_kb=64";
}

int main(int argc, char **argv)
{
	time_t begun = time(NULL);
	struct result r;
	u64 i, seconds;

	parse(argc, argv);
	/* large blocks come and go with every boot */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	if (m.single) {
		r = run_seed(m.first);
		printf("seed %llu: %llu crashes, %llu requests, %llu steps, hash %016llx\n",
		       (unsigned long long)r.seed, (unsigned long long)r.crashes,
		       (unsigned long long)r.ops, (unsigned long long)r.steps,
		       (unsigned long long)r.hash);
		puts("1 passed, 0 failed");
		return 0;
	}
	run_all();
	for (i = 0; i < min(m.failed, (u64)SHRUNK_MAX) && !m.no_shrink; i++)
		shrink(m.failure[i]);
	seconds = max(1ll, (long long)(time(NULL) - begun));
	printf("%llu seeds, %llu crashes (%llu a minute), %llu requests, %llu steps; hash %016llx\n",
	       (unsigned long long)m.count, (unsigned long long)m.crashes,
	       (unsigned long long)(m.crashes * 60 / seconds), (unsigned long long)m.ops,
	       (unsigned long long)m.steps, (unsigned long long)m.hash);
	printf("%llu passed, %llu failed\n", (unsigned long long)m.passed,
	       (unsigned long long)m.failed);
	return m.failed ? 1 : 0;
}
