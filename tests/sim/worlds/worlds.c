// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command: deals the sequences out to processes, adds up, replays.
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worlds.h"

#define SEQUENCE_SECONDS 300u
#define FAILURES_MAX 5u	/* then it ends */
#define SEEN_BYTES (sizeof(u64) << 24)

struct worlds worlds = {
	.length = 4, .chunk_sectors = 8, .subset_bits = 6, .samples = 48, .torn = 2, .nested = 4,
	.seed = 1,
};

static const char on_block[] = "wpurd", on_all[] = "FCTS";
static const char *const modes[] = { "writethrough", "writeback" };
static const char *const topologies[] = { "three-drives", "one-ssd", "nothing-volatile" };

/* Consecutive sequences that begin alike. */
struct unit {
	u32 first, nr;
};

static struct {
	struct sequence *sequence;
	struct unit *unit;
	u32 nr, room, nr_units;
	u32 jobs;
	bool replay, trace;
	u64 passed, failed;
} m = { .jobs = 2 };

/* --- sequences --- */

static void add_sequence(const struct sequence *s)
{
	struct unit *u = m.nr_units ? &m.unit[m.nr_units - 1] : NULL;

	if (m.nr == m.room) {
		m.room = m.room ? 2 * m.room : 1024;
		m.sequence = realloc(m.sequence, m.room * sizeof(*m.sequence));
		m.unit = realloc(m.unit, m.room * sizeof(*m.unit));
	}
	m.sequence[m.nr++] = *s;
	if (u && s->nr > 2 && !memcmp(m.sequence[u->first].op, s->op, 2 * sizeof(s->op[0])))
		u->nr++;
	else
		m.unit[m.nr_units++] = (struct unit){ m.nr - 1, 1 };
}

/* Twice the same with nothing in between adds nothing, nor does a beginning without a block. */
static bool adds_nothing(const struct sequence *s, char what)
{
	return !s->nr || s->op[s->nr - 1].what == what;
}

/* Depth first; blocks are named in the order of their first use. */
static void add_longer(struct sequence *s, u32 used)
{
	u32 i, block;

	add_sequence(s);
	if (s->nr == worlds.length)
		return;
	for (block = 0; block < min(used + 1, BLOCKS); block++) {
		for (i = 0; on_block[i]; i++) {
			s->op[s->nr++] = (struct op){ on_block[i], (u8)block };
			add_longer(s, max(used, block + 1));
			s->nr--;
		}
	}
	for (i = 0; on_all[i]; i++) {
		if (adds_nothing(s, on_all[i]))
			continue;
		s->op[s->nr++] = (struct op){ on_all[i], 0 };
		add_longer(s, used);
		s->nr--;
	}
}

static void make_sequences(void)
{
	struct sequence s = { .create = true };

	add_sequence(&s);
	s.create = false;
	add_longer(&s, 0);
}

/* --- failures --- */

static void print_replay(void)
{
	const struct sequence *s = worlds.sequence;
	u32 i;

	fprintf(stderr, "replay: build/worlds/small-worlds --mode %s --topology %s --chunk %u --seed %llu",
		modes[worlds.setup.write_back], topologies[worlds.setup.topology],
		worlds.chunk_sectors, (unsigned long long)worlds.seed);
	fprintf(stderr, " --sequence %s", s->create ? "create" : s->nr ? "" : "boot");
	for (i = 0; i < s->nr; i++)
		fprintf(stderr, s->op[i].what >= 'a' ? "%c%u" : "%c", s->op[i].what,
			s->op[i].block);
	if (worlds.has_point && worlds.has_survivors)
		fprintf(stderr, " --point %u --%s %#llx", worlds.point_number,
			worlds.survivors.torn ? "torn" : "survivors",
			(unsigned long long)worlds.survivors.mask);
	fputs(" --trace\n", stderr);
}

void sim_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("FAIL ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (m.trace)
		sched_print_tasks(stderr);
	else if (worlds.sequence)
		print_replay();
	if (!worlds.in_child)
		puts("0 passed, 1 failed, 0 skipped");
	fflush(stdout);
	_exit(1);
}

/* --- many processes --- */

static void run_unit(u64 number)
{
	u64 of_setup = number / m.nr_units;
	const struct setup setup = {
		.write_back = of_setup % 2,
		.topology = of_setup / 2,
	};
	const struct unit *u = &m.unit[number % m.nr_units];
	u32 i;

	if (worlds.setup.write_back != setup.write_back ||
	    worlds.setup.topology != setup.topology || !worlds.sequence)
		run_prepare(&setup);
	for (i = 0; i < u->nr; i++) {
		alarm(SEQUENCE_SECONDS);
		run_sequence(&m.sequence[u->first + i]);
		crash_check_all();
		run_forget_points();
	}
}

static void work(void)
{
	u64 number;

	worlds.in_child = true;
	for (;;) {
		number = __atomic_fetch_add(&worlds.tally->next_unit, 1, __ATOMIC_RELAXED);
		if (number >= (u64)m.nr_units * SETUPS)
			_exit(0);
		run_unit(number);
	}
}

static void start_worker(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("worlds: fork");
		exit(2);
	}
	if (!pid)
		work();
}

static void run_all(void)
{
	u32 i, running = m.jobs;
	int status;

	for (i = 0; i < m.jobs; i++)
		start_worker();
	while (running) {
		if (wait(&status) < 0)
			exit(2);
		if (!status) {
			running--;
			continue;
		}
		if (WIFSIGNALED(status))
			fprintf(stderr, "FAIL a worker ended by signal %d\n", WTERMSIG(status));
		m.failed++;
		if (m.failed < FAILURES_MAX)
			start_worker();
		else
			running--;
	}
}

/* --- one --- */

static void replay(const struct sequence *s, s64 point, const struct survivors *survivors)
{
	run_prepare(&worlds.setup);
	machine.trace = m.trace;
	run_sequence(s);
	if (point >= 0 && point < worlds.nr_points) {
		worlds.has_point = true;
		worlds.point_number = (u32)point;
		sim_log("--- the power goes at point %u", (u32)point);
		crash_check((u32)point, survivors);
	} else {
		crash_check_all();
	}
	run_forget_points();
}

/* --- command line --- */

static const char usage[] =
	"usage: worlds [--length N] [--jobs N] [--chunk SECTORS] [--seed N]\n"
	"              [--subsets N] [--samples N] [--torn-samples N] [--nested N]\n"
	"       worlds --mode writeback|writethrough --topology NAME --sequence OPS\n"
	"              [--point N --survivors MASK | --point N --torn SEED] [--trace]\n"
	"\n"
	"Runs all short sequences of operations on a cache of two slots over three blocks, cuts the\n"
	"power at every place where something may have become durable, lets every subset of what is\n"
	"pending survive, and judges what comes back.\n"
	"\n"
	"  --length N       operations in a sequence (default 4)\n"
	"  --jobs N         processes (default 2)\n"
	"  --chunk SECTORS  a block: 8 or 16 (default 8)\n"
	"  --seed N         of the order in which parallel I/O ends (default 1)\n"
	"  --subsets N      up to N pending writes: all subsets of them (default 6)\n"
	"  --samples N      above that, so many subsets (default 48)\n"
	"  --torn-samples N at each point, so many times writes are torn too (default 2)\n"
	"  --nested N       one of N states is cut while it is recovered, 0: none (default 4)\n"
	"\n"
	"  --topology NAME  three-drives, one-ssd or nothing-volatile\n"
	"  --sequence OPS   create, boot, or operations: w0 write block 0, p0 a part of a grain,\n"
	"                   u0 write with FUA, r0 read, d0 discard; F flush, C wait until clean,\n"
	"                   T idle for a second, S suspend and resume\n";

static u64 number(const char *text, u64 limit)
{
	char *end;
	u64 value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || value > limit) {
		fprintf(stderr, "worlds: expected a number up to %llu, found \"%s\"\n",
			(unsigned long long)limit, text);
		exit(64);
	}
	return value;
}

static u32 choice(const char *text, const char *const *names, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (!strcmp(text, names[i]))
			return i;
	fprintf(stderr, "worlds: unknown word \"%s\", see --help\n", text);
	exit(64);
}

static struct sequence read_sequence(const char *text)
{
	struct sequence s = { .create = !strcmp(text, "create") };

	if (s.create || !strcmp(text, "boot"))
		return s;
	for (; *text && s.nr < OPS_MAX; text++) {
		struct op *op = &s.op[s.nr++];

		op->what = *text;
		if (strchr(on_all, *text))
			continue;
		if (!strchr(on_block, *text) || text[1] < '0' || text[1] >= '0' + (char)BLOCKS)
			break;
		op->block = (u8)(*++text - '0');
	}
	if (*text) {
		fprintf(stderr, "worlds: do not understand \"%s\" in the sequence\n", text);
		exit(64);
	}
	return s;
}

static const struct option options[] = {
	{ "length", required_argument, NULL, 'l' },
	{ "jobs", required_argument, NULL, 'j' },
	{ "chunk", required_argument, NULL, 'c' },
	{ "seed", required_argument, NULL, 's' },
	{ "subsets", required_argument, NULL, 'b' },
	{ "samples", required_argument, NULL, 'n' },
	{ "torn-samples", required_argument, NULL, 'T' },
	{ "nested", required_argument, NULL, 'N' },
	{ "mode", required_argument, NULL, 'm' },
	{ "topology", required_argument, NULL, 't' },
	{ "sequence", required_argument, NULL, 'q' },
	{ "point", required_argument, NULL, 'p' },
	{ "survivors", required_argument, NULL, 'v' },
	{ "torn", required_argument, NULL, 'r' },
	{ "trace", no_argument, NULL, 'x' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static struct sequence sequence;
static s64 point = -1;
static struct survivors survivors;

static void parse_one(int c)
{
	switch (c) {
	case 'l':
		worlds.length = (u32)number(optarg, OPS_MAX);
		break;
	case 'j':
		m.jobs = max_t(u32, 1, number(optarg, 64));
		break;
	case 'c':
		worlds.chunk_sectors = number(optarg, 16) >= 16 ? 16 : 8;
		break;
	case 's':
		worlds.seed = number(optarg, U64_MAX);
		break;
	case 'b':
		worlds.subset_bits = (u32)number(optarg, 12);
		break;
	case 'n':
		worlds.samples = (u32)number(optarg, 4096);
		break;
	case 'T':
		worlds.torn = (u32)number(optarg, 4096);
		break;
	case 'N':
		worlds.nested = (u32)number(optarg, 1000000);
		break;
	case 'm':
		worlds.setup.write_back = choice(optarg, modes, 2);
		break;
	case 't':
		worlds.setup.topology = choice(optarg, topologies, NR_TOPOLOGIES);
		break;
	case 'q':
		sequence = read_sequence(optarg); m.replay = true;
		break;
	case 'p':
		point = (s64)number(optarg, POINTS_MAX);
		break;
	case 'v':
		survivors.mask = number(optarg, U64_MAX);
		break;
	case 'r':
		survivors = (struct survivors){ true, number(optarg, U64_MAX) };
		break;
	case 'x':
		m.trace = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		exit(64);
	}
}

static void *shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		perror("worlds: no memory");
		exit(2);
	}
	return memory;
}

static void print_tally(u64 seconds)
{
	const struct tally *t = worlds.tally;

	printf("%llu sequences, %llu places to cut (%llu of them with more than %u pending writes), ",
	       (unsigned long long)t->sequences, (unsigned long long)t->points,
	       (unsigned long long)t->sampled, worlds.subset_bits);
	printf("%llu crash states, %llu of them distinct, %llu recoveries, %llu s\n",
	       (unsigned long long)t->states, (unsigned long long)t->distinct,
	       (unsigned long long)t->recoveries, (unsigned long long)seconds);
	printf("%llu passed, %llu failed, 0 skipped\n", (unsigned long long)t->sequences,
	       (unsigned long long)m.failed);
}

/* An assertion, a hang: it is to be replayed as well. */
static void on_signal(int what)
{
	sim_fail("signal %d", what);
}

int main(int argc, char **argv)
{
	time_t begun = time(NULL);
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
		parse_one(c);
	if (optind < argc) {
		fputs("worlds: too many words, see --help\n", stderr);
		return 64;
	}
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	/* large blocks come and go with every boot */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	worlds.tally = shared(sizeof(*worlds.tally));
	if (m.replay) {
		replay(&sequence, point, &survivors);
	} else {
		worlds.seen = shared(SEEN_BYTES);
		make_sequences();
		run_all();
	}
	print_tally((u64)(time(NULL) - begun));
	return m.failed ? 1 : 0;
}
