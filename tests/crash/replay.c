// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * crash-replay: the program, see replay.h. Commands come on stdin, one line each; each is answered
 * with one line on stdout.
 */
#define _GNU_SOURCE
#include "replay.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char usage[] =
"crash-replay --log-writes LOG --disk 0:FIRST:SECTORS DEVICE\n"
"crash-replay --simdisk LOG --marks FILE --disk NUMBER:FIRST:SECTORS[:durable]... DEVICE\n"
"\n"
"Puts onto DEVICE, which begins all zero, what a power cut at a place in the log may leave. DEVICE\n"
"holds all disks, each from sector FIRST (of 512 bytes) on; \"durable\" ones have no volatile cache.\n"
"\n"
"  --plant no-flushes   a planted fault: flushes make nothing durable\n"
"\n"
"Commands on stdin:\n"
"  plan SEED RANDOM LIMIT   numbers of events, ascending: all FLUSHes and FUA writes since the first\n"
"                           mark (by seed LIMIT of them, if there are more; all writes if there\n"
"                           are none), and RANDOM others, half of these right before a FLUSH\n"
"  cut NUMBER MANNER SEED   a cut behind that event (numbers must not fall); what is volatile\n"
"                           survives in the MANNER nothing, everything, writes (each or not; also\n"
"                           those in flight), sectors (each has any of its contents since it was\n"
"                           durable), disks (each in one of these manners). Answer: LEDGER LOST\n"
"                           FLIGHT KIND: length of the ledger by then, sectors that are older than\n"
"                           they were, writes in flight, and what event NUMBER was\n"
"  end                      number of the last event\n";

static const char *const manner_names[MANNERS] = {
	[NOTHING] = "nothing", [EVERYTHING] = "everything", [SOME_WRITES] = "writes",
	[SOME_SECTORS] = "sectors", [BY_DISK] = "disks",
};

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("crash-replay: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(2);
}

/* A device is mapped, since most of it may be unused; files of debugfs must be read. */
uint8_t *map_input(const char *path, uint64_t *length)
{
	uint64_t room = 64 << 20;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *memory = NULL;
	ssize_t got = 1;

	if (fd < 0)
		die("%s: %m", path);
	if (size > 0) {
		*length = (uint64_t)size;
		memory = mmap(NULL, *length, PROT_READ, MAP_PRIVATE, fd, 0);
		if (memory == MAP_FAILED)
			die("%s: %m", path);
		return memory;
	}
	if (lseek(fd, 0, SEEK_SET))
		die("%s: %m", path);
	for (*length = 0; got; *length += (uint64_t)got) {
		if (!memory || *length == room) {
			room *= memory ? 2 : 1;
			memory = realloc(memory, room);
			if (!memory)
				die("no memory for %s", path);
		}
		got = read(fd, memory + *length, room - *length);
		if (got < 0)
			die("%s: %m", path);
	}
	close(fd);
	return memory;
}

struct event *add_event(struct log *log)
{
	static uint64_t room;
	struct event *event;

	if (log->nr_events == room) {
		room = room ? 2 * room : 4096;
		log->events = realloc(log->events, room * sizeof(*log->events));
		if (!log->events)
			die("no memory for events");
	}
	event = &log->events[log->nr_events++];
	memset(event, 0, sizeof(*event));
	return event;
}

struct disk *find_disk(struct log *log, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < log->nr_disks; i++)
		if (log->disks[i].number == number)
			return &log->disks[i];
	die("an event of disk %llu, which no --disk names", (unsigned long long)number);
}

static void add_disk(struct log *log, const char *text)
{
	unsigned long long number, first, sectors;
	struct disk *disk = &log->disks[log->nr_disks++];
	char rest[16] = "";

	if (log->nr_disks > MAX_DISKS ||
	    sscanf(text, "%llu:%llu:%llu%15s", &number, &first, &sectors, rest) < 3 ||
	    (*rest && strcmp(rest, ":durable")))
		die("--disk %s: see --help", text);
	if (first % PAGE_SECTORS || sectors % PAGE_SECTORS)
		die("--disk %s: expected multiples of %u sectors", text, PAGE_SECTORS);
	disk->number = number;
	disk->first = first;
	disk->sectors = sectors;
	disk->cached = !*rest;
	if (log->sectors < first + sectors)
		log->sectors = first + sectors;
}

/* ---- plan ---- */

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 20) % limit;
}

static bool is_durable_point(const struct event *event)
{
	return event->kind == EVENT_FLUSH || (event->kind == EVENT_WRITE && event->fua);
}

static bool is_write(const struct event *event)
{
	return event->kind == EVENT_WRITE;
}

/* Marks those from the first cut on that have the property: all, or by chance about `limit`. */
static uint64_t choose_points(const struct log *log, bool (*wanted)(const struct event *),
			      uint64_t limit, uint64_t *random, uint8_t *chosen)
{
	uint64_t n, total = 0, left;

	for (n = log->first_cut; n <= log->nr_events; n++)
		total += wanted(&log->events[n - 1]);
	left = total;
	for (n = log->first_cut; n <= log->nr_events && limit; n++) {
		if (!wanted(&log->events[n - 1]))
			continue;
		/* of those left, each with the same chance */
		if (random_below(random, left) < limit) {
			chosen[n] = 1;
			limit--;
		}
		left--;
	}
	return total;
}

static void plan(const struct log *log, uint64_t seed, uint64_t nr_random, uint64_t limit)
{
	uint8_t *chosen = calloc(log->nr_events + 2, 1);
	uint64_t n, random = seed * 2654435761u + 1, range = log->nr_events - log->first_cut + 1;

	if (!chosen)
		die("no memory for a plan");
	if (!choose_points(log, is_durable_point, limit, &random, chosen))
		choose_points(log, is_write, limit, &random, chosen);
	while (nr_random--) {
		n = log->first_cut + random_below(&random, range);
		if (nr_random & 1)
			while (n < log->nr_events && log->events[n].kind != EVENT_FLUSH)
				n++;
		chosen[n] = 1;
	}
	for (n = 1; n <= log->nr_events; n++)
		if (chosen[n])
			printf("%llu ", (unsigned long long)n);
	printf("\n");
	free(chosen);
}

/* ---- cut ---- */

static const char *kind_of(const struct event *event)
{
	switch (event->kind) {
	case EVENT_WRITE:
		return event->fua ? "FUA write" : "write";
	case EVENT_ZERO:
		return "discard";
	case EVENT_FLUSH:
		return "FLUSH";
	default:
		return "mark";
	}
}

static uint64_t ledger_at(const struct log *log, uint64_t number)
{
	while (number && !log->events[number - 1].mark)
		number--;
	return number ? log->events[number - 1].mark : 0;
}

/* In runs of neighbouring pages. */
static void put_onto(int fd, struct medium *medium)
{
	static uint8_t run[256 * PAGE] __attribute__((aligned(PAGE)));
	uint64_t index, first = 0, count = 0;
	const uint8_t *page;

	do {
		page = medium_next_page(medium, &index);
		if (count && (!page || index != first + count || count == sizeof(run) / PAGE)) {
			if (pwrite(fd, run, count * PAGE, (off_t)(first * PAGE)) !=
			    (ssize_t)(count * PAGE))
				die("writing page %llu: %m", (unsigned long long)first);
			count = 0;
		}
		if (page) {
			first = count ? first : index;
			memcpy(run + count++ * PAGE, page, PAGE);
		}
	} while (page);
}

static void cut(const struct log *log, struct medium *medium, int fd, const char *line)
{
	unsigned long long number, seed;
	static uint64_t last;
	char name[16];
	int manner;

	if (sscanf(line, "cut %llu %15s %llu", &number, name, &seed) != 3)
		die("expected 'cut NUMBER MANNER SEED', not '%s'", line);
	for (manner = 0; manner < MANNERS && strcmp(name, manner_names[manner]); manner++)
		;
	if (manner == MANNERS || number < last || !number || number > log->nr_events)
		die("no such cut: '%s'", line);
	last = number;
	medium_cut(medium, number, (enum manner)manner, seed);
	put_onto(fd, medium);
	printf("%llu %llu %llu %s\n", (unsigned long long)ledger_at(log, number),
	       (unsigned long long)medium_lost(medium),
	       (unsigned long long)medium_in_flight(medium), kind_of(&log->events[number - 1]));
}

static void serve(const struct log *log, struct medium *medium, int fd)
{
	unsigned long long seed, nr_random, limit;
	char line[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "plan %llu %llu %llu", &seed, &nr_random, &limit) == 3)
			plan(log, seed, nr_random, limit);
		else if (!strcmp(line, "end\n"))
			printf("%llu\n", (unsigned long long)log->nr_events);
		else
			cut(log, medium, fd, line);
	}
}

static void find_first_cut(struct log *log)
{
	for (log->first_cut = 1; log->first_cut <= log->nr_events; log->first_cut++)
		if (log->events[log->first_cut - 1].mark)
			return;
	die("there is no mark in the log");
}

static const struct option options[] = {
	{ "log-writes", required_argument, NULL, 'l' },
	{ "simdisk", required_argument, NULL, 's' },
	{ "marks", required_argument, NULL, 'm' },
	{ "disk", required_argument, NULL, 'd' },
	{ "plant", required_argument, NULL, 'p' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

int main(int argc, char **argv)
{
	const char *log_writes = NULL, *simdisk = NULL, *marks = NULL;
	struct log log = { 0 };
	bool flushes_count = true;
	int code, fd;

	while ((code = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (code) {
		case 'l':
			log_writes = optarg;
			break;
		case 's':
			simdisk = optarg;
			break;
		case 'm':
			marks = optarg;
			break;
		case 'd':
			add_disk(&log, optarg);
			break;
		case 'p':
			if (strcmp(optarg, "no-flushes"))
				die("--plant: expected no-flushes");
			flushes_count = false;
			break;
		default:
			fputs(usage, code == 'h' ? stdout : stderr);
			return code == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 1 || !log.nr_disks || !log_writes == !simdisk || (simdisk && !marks))
		die("wrong use: see --help");
	if (log_writes)
		read_log_writes(&log, log_writes);
	else
		read_simdisk(&log, simdisk, marks);
	find_first_cut(&log);
	fd = open(argv[optind], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die("%s: %m", argv[optind]);
	serve(&log, medium_create(&log, flushes_count), fd);
	return 0;
}
