// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random lives of a cache's metadata, damaged in random places, and repaired by
 * `larder repair`.  What must hold: nothing comes out that was not true, and
 * what is missing and dirty is told by the exit code.
 *
 * A life is a list of commits, with the state after each.  Where the last
 * blocks of the journal are damaged, nothing can tell that from a power cut
 * before they were written: then the states before are as good an answer.
 *
 * What comes out also goes through dump, restore and dump again, which must be
 * the same.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "../../../dm-target/core/metadata-internal.h"

int larder_main(int argc, char **argv);	/* userland/main.c */

#define COMMITS_MAX	160u
#define SLOTS		500u
#define PAGES		4u
#define BLOCKS		2000u
#define UNITS		96u
#define CHUNK		32u
#define LL(n)		((unsigned long long)(n))

struct slot {
	u64 block;		/* plus one; 0 is free */
	u64 valid;
	u64 dirty;
};

struct state {
	struct slot slots[SLOTS];
	u8 intent[PAGES];
	u64 intent_slots[PAGES];
};

struct life {
	struct state states[COMMITS_MAX + 1];	/* [0]: nothing */
	u64 first[COMMITS_MAX + 1];		/* journal blocks of each commit */
	u64 after[COMMITS_MAX + 1];
	u32 nr;
	u8 mode;
	u64 tail;
};

static struct life life;
static u8 disk[UNITS][LARDER_UNIT_SIZE] __attribute__((aligned(LARDER_UNIT_SIZE)));
static bool damaged[UNITS];
static struct metadata *md;
static struct geometry geometry;
static u64 random_state, round_number, seed;

static u64 random_below(u64 n)
{
	u64 h = random_state += 0x9e3779b97f4a7c15ull;

	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
	return (h ^ (h >> 31)) % n;
}

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "repair-random: seed %llu, round %llu: ", LL(seed), LL(round_number));
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* --- a life --- */

static int perform(const struct metadata_io *io)
{
	if (io->kind == METADATA_READ)
		memcpy(io->buffer, disk[io->unit], (size_t)io->nr_units * LARDER_UNIT_SIZE);
	else if (io->kind != METADATA_FLUSH)
		memcpy(disk[io->unit], io->buffer, (size_t)io->nr_units * LARDER_UNIT_SIZE);
	return 0;
}

/* fail_at: which effect fails, after it was done; 0: none. */
static int run(struct metadata_op *op, unsigned int fail_at)
{
	struct metadata_io io;
	unsigned int nr = 0;
	int rc, result = 0;

	while ((rc = metadata_step(op, result, &io)) == METADATA_IO) {
		result = perform(&io);
		if (++nr == fail_at)
			result = -EIO;
	}
	return rc;
}

static void must(struct metadata_op *op)
{
	int rc = run(op, 0);

	if (rc)
		die("an operation failed: %d", rc);
}

static int ignore_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	return 0;
}

static int ignore_intent(void *context, u64 page, u8 intent, u64 slots)
{
	return 0;
}

static void activate(void)
{
	must(metadata_activate_begin(md, (u64)BLOCKS * CHUNK, life.mode, "s3fifo", NULL));
	while (metadata_formatted_slots(md) < SLOTS)
		must(metadata_extend_begin(md));
}

static void start_again(void)
{
	const struct metadata_visitor visitor = { .entry = ignore_entry, .intent = ignore_intent };

	if (random_below(2))
		must(metadata_stop_begin(md));
	metadata_init(md, UNITS);
	must(metadata_probe_begin(md));
	must(metadata_load_begin(md, &visitor, true));
	activate();
}

static void begin_life(void)
{
	static const u8 uuid[LARDER_UUID_SIZE] = "repair-random-01";
	u64 needed;

	memset(&life, 0, sizeof(life));
	memset(disk, 0, sizeof(disk));
	life.mode = random_below(4) == 0;
	metadata_init(md, UNITS);
	must(metadata_probe_begin(md));
	if (geometry_choose(&geometry, CHUNK, (u64)BLOCKS * CHUNK, (u64)SLOTS * CHUNK, UNITS,
			    &needed))
		die("no geometry: %llu units", LL(needed));
	must(metadata_format_begin(md, &geometry, uuid, NULL));
	activate();
}

/* What one commit changes, by slot; each slot at most once. */
static struct {
	struct larder_record record;
	bool changed;
} changes[SLOTS];

static bool block_free(const struct state *before, const struct state *now, u64 block)
{
	u32 i;

	for (i = 0; i < SLOTS; i++)
		if (before->slots[i].block == block + 1 || now->slots[i].block == block + 1)
			return false;
	return true;
}

static void change_slot(const struct state *before, struct state *now, u32 i)
{
	struct slot *slot = &now->slots[i];
	u64 block;

	if (changes[i].changed)
		return;
	if (!slot->block) {
		block = random_below(BLOCKS);
		if (!block_free(before, now, block))
			return;
		slot->block = block + 1;
		slot->valid = 1 + random_below(15);
		slot->dirty = slot->valid & random_below(16);
	} else if (random_below(3) == 0) {
		*slot = (struct slot){ 0 };
	} else {
		slot->valid |= random_below(16);
		slot->dirty = slot->valid & random_below(16);
	}
	changes[i].changed = true;
	changes[i].record = (struct larder_record){
		.index = cpu_to_le32(i),
		.type = LARDER_RECORD_ENTRY,
		.block_flags = cpu_to_le64(slot->block ? (slot->block - 1) | LARDER_ENTRY_USED : 0),
		.valid = cpu_to_le64(slot->valid),
		.dirty = cpu_to_le64(slot->dirty),
	};
}

static void add(const struct larder_record *record)
{
	if (!metadata_commit_add(md, record))
		die("a record was refused");
}

/*
 * As the module does: what is added to an intent comes before the entries of
 * its commit, and what is withdrawn comes after them.
 */
static void add_intent(struct state *now, bool withdraw)
{
	u32 page = (u32)random_below(PAGES);
	u64 slots = random_below(1ull << 63) | random_below(1ull << 63);
	struct larder_record record = {
		.index = cpu_to_le32(page),
		.type = LARDER_RECORD_INTENT,
	};

	slots = withdraw ? now->intent_slots[page] & slots : now->intent_slots[page] | ~slots;
	if (withdraw && random_below(2))
		slots = 0;
	slots &= (1ull << 63) - 1;
	now->intent[page] = slots ? life.mode + 1 : LARDER_INTENT_NONE;
	now->intent_slots[page] = slots;
	record.block_flags = cpu_to_le64(now->intent[page]);
	record.valid = cpu_to_le64(slots);
	add(&record);
}

static void add_changes(void)
{
	u32 i;

	for (i = 0; i < SLOTS; i++)
		if (changes[i].changed)
			add(&changes[i].record);
}

static void commit(void)
{
	const struct state *before = &life.states[life.nr];
	struct state *now = &life.states[life.nr + 1];
	u32 nr = random_below(5) ? 1 + random_below(20) : random_below(SLOTS);

	*now = *before;
	memset(changes, 0, sizeof(changes));
	while (nr--)
		change_slot(before, now, (u32)random_below(SLOTS));
	if (random_below(6) == 0) {
		/* one that fails is tried again, with more in it */
		metadata_commit_begin(md);
		add_changes();
		run(metadata_commit_run(md, DEVICE_CACHE), 1 + (unsigned int)random_below(3));
		change_slot(before, now, (u32)random_below(SLOTS));
	}
	metadata_commit_begin(md);
	if (random_below(4) == 0)
		add_intent(now, false);
	add_changes();
	if (random_below(4) == 0)
		add_intent(now, true);
	if (!metadata_commit_count(md))
		return;
	life.nr++;
	life.first[life.nr] = md->head_seq;
	must(metadata_commit_run(md, DEVICE_CACHE));
	life.after[life.nr] = md->head_seq;
}

static void live(void)
{
	u32 nr = 1 + (u32)random_below(COMMITS_MAX - 1);

	begin_life();
	while (nr--) {
		if (metadata_commit_room(md, false) < 2 * SLOTS || random_below(12) == 0)
			while (metadata_journal_used(md) > random_below(20))
				must(metadata_checkpoint_begin(md));
		if (random_below(40) == 0)
			start_again();
		commit();
	}
	/* a checkpoint that a power cut ended */
	if (random_below(3) == 0)
		run(metadata_checkpoint_begin(md), 1 + (unsigned int)random_below(8));
	if (random_below(5) == 0)
		must(metadata_stop_begin(md));
	life.tail = super_tail(md);
}

/* --- damage --- */

static void harm_unit(u64 unit)
{
	damaged[unit] = true;
	if (random_below(2))
		memset(disk[unit], 0, LARDER_UNIT_SIZE);
	else
		disk[unit][random_below(LARDER_UNIT_SIZE)] ^= 1u << random_below(8);
}

static void harm(void)
{
	u64 nr = random_below(5), unit;

	memset(damaged, 0, sizeof(damaged));
	while (nr--) {
		switch (random_below(4)) {
		case 0:
			unit = random_below(2);
			break;
		case 1:
			unit = geometry.table_start + random_below(geometry.table_pages);
			break;
		case 2:
			unit = geometry.journal_start + random_below(geometry.journal_blocks);
			break;
		default:
			unit = random_below(UNITS);
			break;
		}
		/* the same bit twice would be no damage */
		if (!damaged[unit])
			harm_unit(unit);
	}
}

/* --- judging --- */

static struct state found;

static int find_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	u64 flags = le64_to_cpu(entry->block_flags);

	found.slots[slot] = (struct slot){
		.block = flags & LARDER_ENTRY_USED ? (flags & LARDER_BLOCK_MASK) + 1 : 0,
		.valid = le64_to_cpu(entry->valid),
		.dirty = le64_to_cpu(entry->dirty),
	};
	return 0;
}

static int find_intent(void *context, u64 page, u8 intent, u64 slots)
{
	found.intent[page] = intent;
	found.intent_slots[page] = slots;
	return 0;
}

static struct slot after_activation(const struct state *state, u32 i)
{
	u32 page = i / LARDER_ENTRIES_PER_PAGE, bit = i % LARDER_ENTRIES_PER_PAGE / 2;
	struct slot slot = state->slots[i];

	if (!slot.block || !(state->intent_slots[page] >> bit & 1))
		return slot;
	if (state->intent[page] == LARDER_INTENT_WRITE_BACK)
		slot.dirty = slot.valid;
	else if (state->intent[page] == LARDER_INTENT_WRITE_THROUGH)
		slot.valid = slot.dirty;
	if (!slot.valid)
		slot.block = 0;
	return slot;
}

/* The slot says nothing but what was true in that state. */
static bool true_in(const struct state *state, u32 i)
{
	struct slot is = after_activation(&found, i), was = after_activation(state, i);

	if (!is.block)
		return true;
	return is.block == was.block && !(is.valid & ~was.valid) &&
	       !(was.dirty & is.valid & ~is.dirty);
}

/* All that was dirty in that state is there. */
static bool whole_in(const struct state *state, u32 i)
{
	struct slot is = after_activation(&found, i), was = after_activation(state, i);

	return !was.dirty || (is.block == was.block && !(was.dirty & ~is.dirty));
}

static bool same_in(const struct state *state, u32 i)
{
	struct slot is = after_activation(&found, i), was = after_activation(state, i);

	return is.block == was.block && is.valid == was.valid && is.dirty == was.dirty;
}

static bool commit_intact(u32 number)
{
	u64 sequence;

	for (sequence = life.first[number]; sequence < life.after[number]; sequence++)
		if (!damaged[geometry.journal_start + sequence % geometry.journal_blocks])
			return true;
	return false;
}

/* The oldest state that cannot be told from one in which the power failed. */
static u32 oldest_answer(void)
{
	u32 number = life.nr;

	while (number && life.after[number] > life.tail && !commit_intact(number))
		number--;
	/* of this commit, a part may be all that is left */
	return number ? number - 1 : 0;
}

static void judge(int code)
{
	u32 oldest = oldest_answer(), i, j;
	bool missing = false;

	for (i = 0; i < SLOTS; i++) {
		bool is_true = false, whole = false;

		for (j = oldest; j <= life.nr; j++) {
			is_true |= true_in(&life.states[j], i);
			whole |= whole_in(&life.states[j], i) && true_in(&life.states[j], i);
		}
		if (!is_true)
			die("slot %u: block %lld valid %llx dirty %llx was never true (commits %u to %u; "
			    "at last: block %lld valid %llx dirty %llx)", i,
			    (long long)found.slots[i].block - 1, LL(found.slots[i].valid),
			    LL(found.slots[i].dirty), oldest, life.nr,
			    (long long)life.states[life.nr].slots[i].block - 1,
			    LL(life.states[life.nr].slots[i].valid),
			    LL(life.states[life.nr].slots[i].dirty));
		missing |= !whole;
	}
	if (missing && code == 0)
		die("dirty data is missing, and nothing was said");
}

static void judge_sound(int code)
{
	u32 i;

	if (code)
		die("sound metadata: exit code %d", code);
	for (i = 0; i < SLOTS; i++)
		if (!same_in(&life.states[life.nr], i))
			die("sound metadata: slot %u was changed", i);
}

/* --- the tool --- */

static int tool(const char *const *words)
{
	const char *copy[24];
	int n = 0;

	while (words[n]) {
		copy[n] = words[n];
		n++;
	}
	copy[n] = NULL;
	return larder_main(n, (char **)copy);
}

static void write_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, disk, sizeof(disk)) != sizeof(disk))
		die("cannot write %s", path);
	close(fd);
}

static void load_file(const char *path)
{
	const struct metadata_visitor visitor = { .entry = find_entry, .intent = find_intent };
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, disk, sizeof(disk)) != sizeof(disk))
		die("nothing was written");
	close(fd);
	memset(&found, 0, sizeof(found));
	metadata_init(md, UNITS);
	must(metadata_probe_begin(md));
	if (metadata_found(md) != METADATA_OURS)
		die("what was written is no cache: %d", metadata_found(md));
	must(metadata_load_begin(md, &visitor, true));
}

static int repair(bool sizes)
{
	static const char *const plain[] = { "larder", "repair", "-q", "--wiped", "-i", "damaged.bin",
		"-o", "repaired.bin", NULL };
	static const char *const sized[] = { "larder", "repair", "-q", "--wiped", "-i", "damaged.bin",
		"-o", "repaired.bin", "--chunk-size", "32", "--cache-size", "16000",
		"--origin-size", "64000", NULL };

	static_assert(CHUNK == 32 && SLOTS * CHUNK == 16000 && BLOCKS * CHUNK == 64000, "sizes");
	unlink("repaired.bin");
	return tool(sizes ? sized : plain);
}

static bool same_files(const char *a, const char *b)
{
	FILE *x = fopen(a, "r"), *y = fopen(b, "r");
	int c;

	if (!x || !y)
		die("no dump was written");
	do {
		c = getc(x);
	} while (c == getc(y) && c != EOF);
	fclose(x);
	fclose(y);
	return c == EOF;
}

static void dump(const char *from, const char *to, const char *format)
{
	const char *const words[] = { "larder", "dump", "--force", "--format", format, "-o", to,
		from, NULL };

	if (tool(words))
		die("dump failed");
}

static void go_round(void)
{
	static const char *const restore[] = { "larder", "restore", "-q", "-i", "before.xml", "-o",
		"restored.bin", NULL };
	const char *format = random_below(2) ? "xml" : "larder";

	dump("repaired.bin", "before.xml", format);
	if (random_below(2))
		unlink("restored.bin");
	if (tool(restore))
		die("restore failed");
	dump("restored.bin", "after.xml", format);
	if (!same_files("before.xml", "after.xml"))
		die("dump, restore and dump again are not the same");
}

static void one_round(u64 *losses)
{
	static const char *const check[] = { "larder", "check", "-q", "repaired.bin", NULL };
	bool sound = true, none = false;
	u32 i;
	int code;

	live();
	harm();
	for (i = 0; i < UNITS; i++)
		sound &= !damaged[i];
	write_file("damaged.bin");
	code = repair(false);
	if (damaged[0] && damaged[1]) {
		if (code != 1 || !access("repaired.bin", F_OK))
			die("without superblocks: exit code %d, or something was written", code);
		code = repair(true);
		/* the uuid may be lost, too */
		none = code == 1 && access("repaired.bin", F_OK);
	}
	if (code != 0 && code != 1)
		die("exit code %d", code);
	if (none)
		return;
	load_file("repaired.bin");
	if (sound)
		judge_sound(code);
	judge(code);
	*losses += code;
	code = tool(check);
	if (code)
		die("what was written does not pass the check: %d", code);
	if (random_below(4) == 0)
		go_round();
}

int main(int argc, char **argv)
{
	u64 rounds, losses = 0;

	if (argc != 3) {
		fputs("usage: repair-random SEED ROUNDS\n", stderr);
		return 64;
	}
	seed = strtoull(argv[1], NULL, 0);
	rounds = strtoull(argv[2], NULL, 0);
	md = aligned_alloc(LARDER_UNIT_SIZE, metadata_bytes());
	if (!md)
		return 71;
	/* of another size, it would make another dump */
	unlink("restored.bin");
	for (round_number = 0; round_number < rounds; round_number++) {
		random_state = seed + round_number * 0x10001;
		one_round(&losses);
	}
	printf("%llu rounds, %llu of them with a loss that was told\n", LL(rounds), LL(losses));
	free(md);
	return 0;
}
