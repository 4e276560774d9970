// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes metadata files for the tests of the tools, through the metadata core,
 * and breaks them: the command line is a list of operations.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "../../../dm-target/core/metadata.h"

static const char help[] =
	"usage: make-metadata FILE OPERATION...\n"
	"\n"
	"  new:UNITS:CHUNK:ORIGIN:CACHE    format FILE (of that many 4 KiB units) for a cache; sectors\n"
	"  open                            load FILE and start it, as a module would\n"
	"  grow:UNITS:CACHE                FILE and the cache device have been made longer\n"
	"  entry:SLOT:BLOCK:VALID:DIRTY    add a record to the next commit\n"
	"  free:SLOT\n"
	"  hint:SLOT:HINT\n"
	"  intent:PAGE:KIND:SLOTS          KIND: 0 none, 1 write-back, 2 write-through\n"
	"  commit  checkpoint  stop\n"
	"  poke:UNIT:OFFSET:BYTES:VALUE    overwrite, little endian\n"
	"  flip:UNIT:OFFSET                invert a byte\n"
	"  seal:UNIT                       put the checksum right\n"
	"  where                           print name=UNIT for each part of the layout\n"
	"\n"
	"Numbers may be hexadecimal (0x).\n";

static int fd = -1;
static struct metadata *md;
static u8 unit_buffer[LARDER_UNIT_SIZE] __attribute__((aligned(LARDER_UNIT_SIZE)));

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("make-metadata: ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(64);
}

static void transfer(bool write, u64 unit, u32 nr, void *buffer)
{
	size_t bytes = (size_t)nr * LARDER_UNIT_SIZE;
	off_t at = (off_t)(unit * LARDER_UNIT_SIZE);
	ssize_t done = write ? pwrite(fd, buffer, bytes, at) : pread(fd, buffer, bytes, at);

	if (done != (ssize_t)bytes)
		die("cannot transfer unit %llu", (unsigned long long)unit);
}

static void run(struct metadata_op *op, const char *what)
{
	struct metadata_io io;
	int rc;

	while ((rc = metadata_step(op, 0, &io)) == METADATA_IO)
		if (io.kind != METADATA_FLUSH)
			transfer(io.kind != METADATA_READ, io.unit, io.nr_units, io.buffer);
	if (rc)
		die("%s: %s", what, strerror(-rc));
}

static void start_metadata(void)
{
	off_t size = lseek(fd, 0, SEEK_END);

	free(md);
	md = aligned_alloc(LARDER_UNIT_SIZE, metadata_bytes());
	if (!md || size < 0)
		die("cannot start");
	metadata_init(md, (u64)size / LARDER_UNIT_SIZE);
	run(metadata_probe_begin(md), "probe");
}

static void activate(u64 origin_sectors)
{
	const struct metadata_identity who = { 1, 2, 3 };

	run(metadata_activate_begin(md, origin_sectors, 0, "s3fifo", &who), "activate");
	while (metadata_formatted_slots(md) < metadata_geometry(md)->nr_slots)
		run(metadata_extend_begin(md), "extend");
	metadata_commit_begin(md);
}

static void do_new(const u64 *n)
{
	static const u8 uuid[LARDER_UUID_SIZE] = "make-metadata-01";
	const struct metadata_identity who = { 1, 2, 3 };
	struct geometry g;
	u64 needed;

	if (ftruncate(fd, 0) || ftruncate(fd, (off_t)(n[0] * LARDER_UNIT_SIZE)))
		die("cannot size the file");
	start_metadata();
	if (geometry_choose(&g, (u32)n[1], n[2], n[3], n[0], &needed))
		die("no geometry: %llu units are needed", (unsigned long long)needed);
	run(metadata_format_begin(md, &g, uuid, &who), "format");
	activate(n[2]);
}

static int ignore_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	return 0;
}

static int ignore_intent(void *context, u64 page, u8 intent, u64 slots)
{
	return 0;
}

static void do_open(const u64 *n)
{
	const struct metadata_visitor visitor = { .entry = ignore_entry, .intent = ignore_intent };

	start_metadata();
	run(metadata_load_begin(md, &visitor, true), "load");
	activate(metadata_geometry(md)->origin_sectors);
}

static void do_grow(const u64 *n)
{
	struct geometry g = *metadata_geometry(md);
	u64 needed;

	if (ftruncate(fd, (off_t)(n[0] * LARDER_UNIT_SIZE)))
		die("cannot size the file");
	geometry_grow(&g, n[1], n[0], &needed);
	run(metadata_resize_begin(md, &g), "resize");
	while (metadata_formatted_slots(md) < g.nr_slots)
		run(metadata_extend_begin(md), "extend");
}

static void add(enum larder_record_type type, u64 index, u64 flags, u64 valid, u64 dirty)
{
	const struct larder_record record = {
		.index = cpu_to_le32((u32)index),
		.type = type,
		.block_flags = cpu_to_le64(flags),
		.valid = cpu_to_le64(valid),
		.dirty = cpu_to_le64(dirty),
	};

	if (!metadata_commit_add(md, &record))
		die("record refused: it is impossible, or the commit is full");
}

static void do_entry(const u64 *n)
{
	add(LARDER_RECORD_ENTRY, n[0], n[1] | LARDER_ENTRY_USED, n[2], n[3]);
}

static void do_free(const u64 *n)
{
	add(LARDER_RECORD_ENTRY, n[0], 0, 0, 0);
}

static void do_hint(const u64 *n)
{
	add(LARDER_RECORD_HINT, n[0], n[1], 0, 0);
}

static void do_intent(const u64 *n)
{
	add(LARDER_RECORD_INTENT, n[0], n[1], n[2], 0);
}

static void do_commit(const u64 *n)
{
	run(metadata_commit_run(md, DEVICE_CACHE), "commit");
	metadata_commit_begin(md);
}

static void do_checkpoint(const u64 *n)
{
	run(metadata_checkpoint_begin(md), "checkpoint");
}

static void do_stop(const u64 *n)
{
	run(metadata_stop_begin(md), "stop");
}

static void do_poke(const u64 *n)
{
	__le64 value = cpu_to_le64(n[3]);

	if (n[1] >= LARDER_UNIT_SIZE || n[2] > sizeof(value) || n[1] + n[2] > LARDER_UNIT_SIZE)
		die("poke: beyond the unit");
	transfer(false, n[0], 1, unit_buffer);
	memcpy(unit_buffer + n[1], &value, n[2]);
	transfer(true, n[0], 1, unit_buffer);
}

static void do_flip(const u64 *n)
{
	if (n[1] >= LARDER_UNIT_SIZE)
		die("flip: beyond the unit");
	transfer(false, n[0], 1, unit_buffer);
	unit_buffer[n[1]] ^= 0xff;
	transfer(true, n[0], 1, unit_buffer);
}

static void do_seal(const u64 *n)
{
	struct larder_unit_header *header = (void *)unit_buffer;

	transfer(false, n[0], 1, unit_buffer);
	unit_seal(unit_buffer, le64_to_cpu(header->magic), le64_to_cpu(header->unit), header->uuid);
	transfer(true, n[0], 1, unit_buffer);
}

static void do_where(const u64 *n)
{
	const struct geometry *g = metadata_geometry(md);

	printf("dw_start=%llu dw_pages=%u journal_start=%llu journal_blocks=%u table_start=%llu "
	       "table_pages=%llu nr_slots=%llu nr_origin_blocks=%llu block_sectors=%u "
	       "generation=%llu tail=%llu\n",
	       (unsigned long long)g->dw_start, g->dw_pages, (unsigned long long)g->journal_start,
	       g->journal_blocks, (unsigned long long)g->table_start,
	       (unsigned long long)g->table_pages, (unsigned long long)g->nr_slots,
	       (unsigned long long)g->nr_origin_blocks, g->block_sectors,
	       (unsigned long long)metadata_generation(md),
	       (unsigned long long)le64_to_cpu(metadata_super(md)->tail_seq));
}

static const struct operation {
	const char *name;
	unsigned int nr_numbers;
	bool running;		/* needs metadata that has been started */
	void (*run)(const u64 *numbers);
} operations[] = {
	{ "new", 4, false, do_new },
	{ "open", 0, false, do_open },
	{ "grow", 2, true, do_grow },
	{ "entry", 4, true, do_entry },
	{ "free", 1, true, do_free },
	{ "hint", 2, true, do_hint },
	{ "intent", 3, true, do_intent },
	{ "commit", 0, true, do_commit },
	{ "checkpoint", 0, true, do_checkpoint },
	{ "stop", 0, true, do_stop },
	{ "poke", 4, false, do_poke },
	{ "flip", 2, false, do_flip },
	{ "seal", 1, false, do_seal },
	{ "where", 0, true, do_where },
};

static void operate(char *text)
{
	char *name = strtok(text, ":"), *word;
	u64 numbers[4] = { 0 };
	unsigned int nr = 0, i;

	while ((word = strtok(NULL, ":"))) {
		if (nr == ARRAY_SIZE(numbers))
			die("%s: too many numbers", name);
		numbers[nr++] = strtoull(word, NULL, 0);
	}
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		if (strcmp(operations[i].name, name))
			continue;
		if (operations[i].nr_numbers != nr)
			die("%s wants %u numbers, not %u", name, operations[i].nr_numbers, nr);
		if (operations[i].running && !md)
			die("%s: say new or open first", name);
		operations[i].run(numbers);
		return;
	}
	die("unknown operation '%s'", name);
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 3 || !strcmp(argv[1], "--help")) {
		fputs(help, argc < 2 || strcmp(argv[1], "--help") ? stderr : stdout);
		return argc < 2 || strcmp(argv[1], "--help") ? 64 : 0;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		die("cannot open %s: %s", argv[1], strerror(errno));
	for (i = 2; i < argc; i++)
		operate(argv[i]);
	free(md);
	return close(fd) ? 74 : 0;
}
