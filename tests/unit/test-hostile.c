// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Metadata that is not what we wrote: foreign formats, newer ones, blanked and
 * shrunk devices, lost units, every single bit flipped, and made-up contents
 * whose checksums are right.
 */
#include "machine.h"
#include "metadata-internal.h"

static struct machine m;

static void start(u64 seed)
{
	struct geometry g;

	small_geometry(&g, 700, 4, JOURNAL_BLOCKS_MIN);
	machine_init(&m, &g, seed);
}

static enum metadata_found probe(void)
{
	metadata_init(m.md, m.disk.units);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	return metadata_found(m.md);
}

static int ignore_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	return 0;
}

static int ignore_intent(void *context, u64 page, u8 intent, u64 slots)
{
	return 0;
}

static void test_foreign(void)
{
	static const struct {
		u16 at;
		u8 length;
		const char *bytes, *name;
	} formats[] = {
		/* as od shows them on devices of these kinds */
		{ 32, 4, "\x03\xc4\x18\x00", "dm-cache" },
		{ 32, 4, "\xba\x52\x9c\x01", "dm-thin" },
		{ 32, 4, "\x7b\x07\xc1\x7e", "dm-era" },
		{ 0, 4, "\x21\x93\x48\x23", "dm-writecache" },
		{ 512, 8, "LABELONE", "LVM2 physical volume" },
		{ 0, 8, "LABELONE", "LVM2 physical volume" },
		{ 1080, 2, "\x53\xef", "ext2/ext3/ext4" },
		{ 0, 4, "XFSB", "XFS" },
		{ 0, 6, "LUKS\xba\xbe", "LUKS" },
		{ 4086, 10, "SWAPSPACE2", "swap" },
		{ 510, 2, "\x55\xaa", "MBR partition table" },
		{ 4095, 1, "x", NULL },
		{ 0, 1, "x", NULL },
	};
	const char *name;
	u32 i;

	CHECK_EQUAL(06142003, 0x18c403);
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		start(1);
		memcpy((u8 *)disk_unit(&m.disk, 0) + formats[i].at, formats[i].bytes,
		       formats[i].length);
		CHECK_EQUAL(probe(), METADATA_FOREIGN);
		name = metadata_foreign(m.md);
		CHECK_SAY(name == formats[i].name || (name && !strcmp(name, formats[i].name)),
			  "format %u: found %s", i, name ? name : "nothing");
		CHECK_EQUAL(machine_format(&m), -EEXIST);
		CHECK_EQUAL(machine_load(&m, true), -EINVAL);
		CHECK_EQUAL(machine_activate(&m), -EINVAL);
		machine_destroy(&m);
	}
}

/* The last block of the journal comes with a wrong bit, once: it must not be taken for torn. */
static int load_with_wrong_bit(u64 unit)
{
	struct metadata_visitor visitor = { .entry = ignore_entry, .intent = ignore_intent };
	struct metadata_op *op = metadata_load_begin(m.md, &visitor, true);
	struct metadata_io io;
	int rc, result = 0;
	bool done = false;

	while ((rc = metadata_step(op, result, &io)) == METADATA_IO) {
		result = disk_perform(&m.disk, &io);
		if (io.kind != METADATA_READ || done || unit < io.unit ||
		    unit >= io.unit + io.nr_units)
			continue;
		((u8 *)io.buffer)[(unit - io.unit) * LARDER_UNIT_SIZE + 1000] ^= 4;
		done = true;
	}
	CHECK(done);
	return rc;
}

static void test_wrong_bit_once(void)
{
	u64 last;

	start(5);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(machine_commit(&m, 10), 0);
	last = journal_unit(m.md, m.md->head_seq - 1);
	disk_settle(&m.disk);
	machine_reboot(&m);
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHECK_EQUAL(load_with_wrong_bit(last), -EIO);
	CHECK_EQUAL(machine_load(&m, true), 0);
	CHECK(state_equal(&m.loaded, &m.completed));
	machine_destroy(&m);
}

/* Both superblocks changed, and sealed again. */
static void change_super(size_t at, size_t length, u64 value)
{
	u32 number;

	for (number = 0; number < 2; number++) {
		struct larder_superblock *sb = disk_unit(&m.disk, number);

		memcpy((u8 *)sb + at, &value, length);
		unit_seal(sb, LARDER_MAGIC_SUPER, number, sb->header.uuid);
	}
}

#define CHANGE_SUPER(field, value) \
	change_super(offsetof(struct larder_superblock, field), \
		     sizeof(((struct larder_superblock *)0)->field), value)

static void lived_in(u64 seed)
{
	start(seed);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(machine_work(&m, 60), 0);
	CHECK_EQUAL(machine_commit(&m, 200), 0);
}

static void test_versions(void)
{
	lived_in(1);
	CHANGE_SUPER(compat, ~0ull);
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHANGE_SUPER(ro_compat, 1);
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHECK_EQUAL(machine_load(&m, true), -EROFS);
	CHECK_EQUAL(machine_load(&m, false), 0);
	CHECK(state_equal(&m.loaded, &m.completed));
	CHECK_EQUAL(machine_activate(&m), -EINVAL);
	CHANGE_SUPER(incompat, LARDER_INCOMPAT_PINS);
	CHECK_EQUAL(probe(), METADATA_TOO_NEW);
	CHANGE_SUPER(incompat, 0);
	CHANGE_SUPER(version, 2);
	CHECK_EQUAL(probe(), METADATA_TOO_NEW);
	CHANGE_SUPER(version, 1);
	CHECK_EQUAL(probe(), METADATA_OURS);
	/* the device has shrunk */
	m.disk.units--;
	CHECK_EQUAL(probe(), METADATA_OURS);
	m.disk.units = metadata_geometry(m.md)->table_start + 1;
	CHECK_EQUAL(probe(), METADATA_BAD_GEOMETRY);
	CHECK_EQUAL(machine_load(&m, false), -EINVAL);
	m.disk.units = 1;
	CHECK_EQUAL(probe(), METADATA_BAD_GEOMETRY);
	metadata_init(m.md, 0);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), -ENOSPC);
	machine_destroy(&m);
}

static void test_blanked(void)
{
	u32 i;

	lived_in(2);
	for (i = 0; i < 3; i++) {
		memset(disk_unit(&m.disk, 0), 0, LARDER_UNIT_SIZE);
		CHECK_EQUAL(probe(), METADATA_BLANK);
		memset(m.completed.slot, 0, m.completed.nr_slots * sizeof(*m.completed.slot));
		memset(m.completed.intent, 0, m.geometry.table_pages * sizeof(u64));
		/* formats, and finds nothing of its former lives */
		CHECK_EQUAL(machine_boot(&m), 0);
		machine_reboot(&m);
		CHECK_EQUAL(machine_boot(&m), 0);
		CHECK_EQUAL(machine_work(&m, 40), 0);
	}
	machine_destroy(&m);
}

static void test_damaged_page(void)
{
	u64 table;

	lived_in(3);
	CHECK_EQUAL(machine_checkpoint(&m), 0);
	CHECK_EQUAL(machine_checkpoint(&m), 0);
	table = m.geometry.table_start;
	/* no image can help */
	memset(disk_unit(&m.disk, m.geometry.dw_start), 0, LARDER_UNIT_SIZE);
	((u8 *)disk_unit(&m.disk, table + 2))[100] ^= 1;
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHECK_EQUAL(machine_load(&m, true), -EUCLEAN);
	CHECK_EQUAL(m.damage, 1);
	CHECK(!strcmp(m.what, "wrong checksum"));
	CHECK_EQUAL(machine_activate(&m), -EUCLEAN);
	/* a page in the place of another */
	memcpy(disk_unit(&m.disk, table + 3), disk_unit(&m.disk, table + 4), LARDER_UNIT_SIZE);
	m.go_on = true;
	CHECK_EQUAL(machine_load(&m, true), 0);
	CHECK_EQUAL(m.damage, 2);
	CHECK_EQUAL(machine_activate(&m), -EUCLEAN);
	machine_destroy(&m);
}

/* Entries that verify, and still cannot be. */
static void test_impossible_entries(void)
{
	const u64 used = LARDER_ENTRY_USED;
	const struct {
		u32 slot;
		u64 flags, valid, dirty;
		const char *what;
	} entries[] = {
		{ 3, used | 5, 15, 7, NULL },
		{ 3, used | LARDER_BLOCK_MASK, 0, 0, NULL },
		{ 3, used | LARDER_ENTRY_PINNED, 1, 1, "unknown flags" },
		{ 3, 5, 0, 0, "not empty" },
		{ 3, 0, 1, 0, "not empty" },
		{ 3, used, 16, 0, "beyond its block" },
		{ 3, used, 1, 2, "not valid" },
		{ 70, used, 1, 1, "does not exist" },
	};
	struct larder_page *page;
	u64 unit;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		start(1);
		CHECK_EQUAL(machine_boot(&m), 0);
		/* slot 700 would be number 70 of the last page */
		unit = m.geometry.table_start + m.geometry.table_pages - 1;
		page = disk_unit(&m.disk, unit);
		page->entries[entries[i].slot].block_flags = cpu_to_le64(entries[i].flags);
		page->entries[entries[i].slot].valid = cpu_to_le64(entries[i].valid);
		page->entries[entries[i].slot].dirty = cpu_to_le64(entries[i].dirty);
		unit_seal(page, LARDER_MAGIC_PAGE, unit, page->header.uuid);
		CHECK_EQUAL(probe(), METADATA_OURS);
		CHECK_EQUAL(machine_load(&m, true), entries[i].what ? -EUCLEAN : 0);
		CHECK_SAY(!entries[i].what || strstr(m.what, entries[i].what), "found %s", m.what);
		machine_destroy(&m);
	}
}

static void test_both_superblocks_damaged(void)
{
	lived_in(4);
	((u8 *)disk_unit(&m.disk, 0))[200] ^= 1;
	CHECK_EQUAL(probe(), METADATA_OURS);
	((u8 *)disk_unit(&m.disk, 1))[200] ^= 1;
	CHECK_EQUAL(probe(), METADATA_DAMAGED);
	CHECK_EQUAL(machine_format(&m), -EEXIST);
	machine_destroy(&m);
}

/* The clean flag of an older superblock says nothing about now. */
static void test_stale_clean_flag(void)
{
	start(5);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(machine_run(&m, metadata_stop_begin(m.md)), 0);
	CHECK_EQUAL(machine_activate(&m), 0);
	((u8 *)disk_unit(&m.disk, metadata_generation(m.md) & 1))[300] ^= 1;
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHECK_EQUAL(le32_to_cpu(metadata_super(m.md)->flags), 0);
	machine_destroy(&m);
}

/* A completed block in the middle of the journal, or a superblock, is gone: not just older. */
static void test_lost_units(void)
{
	u64 tail;
	u32 i;

	start(6);
	CHECK_EQUAL(machine_boot(&m), 0);
	for (i = 0; i < 10; i++)
		CHECK_EQUAL(machine_commit(&m, i % 4 ? 5 : 300), 0);
	tail = le64_to_cpu(metadata_super(m.md)->tail_seq);
	memset(disk_unit(&m.disk, m.geometry.journal_start + (tail + 4) % JOURNAL_BLOCKS_MIN), 7,
	       LARDER_UNIT_SIZE);
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHECK_EQUAL(machine_load(&m, true), -EUCLEAN);
	CHECK(strstr(m.what, "behind a block that is damaged"));
	machine_destroy(&m);

	/* blocks were overwritten that the older superblock still needs */
	start(7);
	CHECK_EQUAL(machine_boot(&m), 0);
	while (metadata_commit_room(m.md, false))
		CHECK_EQUAL(machine_commit(&m, 3), 0);
	CHECK_EQUAL(machine_checkpoint(&m), 0);
	CHECK_EQUAL(machine_commit(&m, 3), 0);
	((u8 *)disk_unit(&m.disk, metadata_generation(m.md) & 1))[300] ^= 1;
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHECK_EQUAL(machine_load(&m, true), -EUCLEAN);
	CHECK(strstr(m.what, "a superblock was lost"));
	machine_destroy(&m);

	/* and an epoch that the older one does not know */
	start(8);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(machine_commit(&m, 3), 0);
	CHECK_EQUAL(machine_activate(&m), 0);
	CHECK_EQUAL(machine_commit(&m, 3), 0);
	((u8 *)disk_unit(&m.disk, metadata_generation(m.md) & 1))[300] ^= 1;
	CHECK_EQUAL(probe(), METADATA_OURS);
	CHECK_EQUAL(machine_load(&m, true), -EUCLEAN);
	CHECK(strstr(m.what, "of a later epoch"));
	machine_destroy(&m);
}

/*
 * Each bit of a unit: refused, or loaded with what may be there when the last
 * commit is taken for torn.  Only reads, so the disk stays as it is.
 */
static void flip_bits(u64 unit, u32 from, u32 to, u32 *refused)
{
	u8 *data = disk_unit(&m.disk, unit);
	u32 bit;

	for (bit = from * 8; bit < to * 8; bit++) {
		data[bit / 8] ^= 1 << bit % 8;
		if (probe() != METADATA_OURS || machine_load(&m, false)) {
			++*refused;
		} else {
			CHECK_SAY(machine_is_legal(&m), "unit %llu, bit %u",
				  (unsigned long long)unit, bit);
		}
		data[bit / 8] ^= 1 << bit % 8;
	}
}

static void test_bit_flips(void)
{
	u64 tail, used, head;
	u32 refused = 0;
	const struct geometry *g = &m.geometry;

	lived_in(9);
	tail = le64_to_cpu(metadata_super(m.md)->tail_seq);
	used = metadata_journal_used(m.md);
	head = tail + used;
	CHECK(used > 2);
	machine_doubt_last(&m);

	flip_bits(0, 0, 520, &refused);
	flip_bits(1, 0, 520, &refused);
	flip_bits(0, LARDER_UNIT_SIZE - 8, LARDER_UNIT_SIZE, &refused);
	/* in a block in the middle of the journal every bit matters */
	refused = 0;
	flip_bits(g->journal_start + tail % JOURNAL_BLOCKS_MIN, 0, LARDER_UNIT_SIZE, &refused);
	CHECK_EQUAL(refused, LARDER_UNIT_SIZE * 8);
	flip_bits(g->journal_start + (head - 1) % JOURNAL_BLOCKS_MIN, 0, 1024, &refused);
	flip_bits(g->journal_start + head % JOURNAL_BLOCKS_MIN, 0, 128, &refused);
	/* images stand in for pages; without them every bit matters */
	refused = 0;
	flip_bits(g->dw_start, 0, 256, &refused);
	CHECK_EQUAL(refused, 0);
	memset(disk_unit(&m.disk, g->dw_start), 0, LARDER_UNIT_SIZE);
	flip_bits(g->table_start + 1, 0, LARDER_UNIT_SIZE, &refused);
	CHECK_EQUAL(refused, LARDER_UNIT_SIZE * 8);
	machine_destroy(&m);
}

static void seal_again(u64 unit)
{
	struct larder_unit_header *header = disk_unit(&m.disk, unit);

	unit_seal(header, le64_to_cpu(header->magic), unit, header->uuid);
}

static u64 strange_number(struct rng *rng)
{
	switch (rng_below(rng, 5)) {
	case 0:
		return U64_MAX >> rng_below(rng, 64);
	case 1:
		return 1ull << rng_below(rng, 64);
	case 2:
		return rng_below(rng, 4);
	case 3:
		return rng_below(rng, 800);
	default:
		return rng_next(rng);
	}
}

static void make_up(struct rng *rng)
{
	const struct geometry *g = &m.geometry;
	u64 where[] = { 0, 1, g->dw_start, g->dw_start + 1, g->table_start,
			g->table_start + g->table_pages - 1,
			g->journal_start + rng_below(rng, g->journal_blocks),
			g->journal_start + rng_below(rng, g->journal_blocks) };
	u32 i, nr = 1 + rng_below(rng, 4);

	for (i = 0; i < nr; i++) {
		u64 unit = where[rng_below(rng, ARRAY_SIZE(where))], number;
		u32 size = 1u << rng_below(rng, 4);
		u32 at = 40 + rng_below(rng, unit < 2 ? 240 : LARDER_UNIT_SIZE - 48);
		u32 times = 1 + rng_below(rng, 3);

		/* the head of journal blocks and pages holds the more interesting fields */
		if (unit >= 2 && rng_below(rng, 2))
			at = 40 + rng_below(rng, 64);
		for (; times; times--, at = at < 2048 ? at + 32 : at) {
			number = strange_number(rng);
			memcpy((u8 *)disk_unit(&m.disk, unit) + (at & ~(size - 1)), &number, size);
		}
		seal_again(unit);
	}
}

static void test_made_up(void)
{
	struct disk good;
	struct rng rng = { 77 };
	u32 i, loaded = 0, active = 0;

	lived_in(10);
	disk_init(&good, m.disk.units);
	disk_copy(&good, &m.disk);
	for (i = 0; i < 20000; i++) {
		disk_copy(&m.disk, &good);
		make_up(&rng);
		machine_reboot(&m);
		if (probe() != METADATA_OURS)
			continue;
		m.go_on = rng_below(&rng, 2);
		if (machine_load(&m, rng_below(&rng, 4)))
			continue;
		loaded++;
		if (machine_activate(&m))
			continue;
		active++;
		machine_checkpoint(&m);
		if (metadata_formatted_slots(m.md) && metadata_commit_room(m.md, false)) {
			machine_commit(&m, 30);
			machine_checkpoint(&m);
		}
		m.nr_attempts = 0;
	}
	disk_destroy(&good);
	machine_destroy(&m);
	printf("# %u of %u loaded, %u active\n", loaded, i, active);
	CHECK(loaded > 100);
	CHECK(active > 100);
	CHECK(active < i);
}

static const struct unit_test tests[] = {
	{ "foreign", test_foreign },
	{ "versions and sizes", test_versions },
	{ "blanked", test_blanked },
	{ "damaged page", test_damaged_page },
	{ "impossible entries", test_impossible_entries },
	{ "both superblocks damaged", test_both_superblocks_damaged },
	{ "stale clean flag", test_stale_clean_flag },
	{ "lost units", test_lost_units },
	{ "bit flips", test_bit_flips },
	{ "wrong bit once", test_wrong_bit_once },
	{ "made up", test_made_up },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
