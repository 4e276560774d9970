// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Metadata without accidents: format, load, commits, checkpoints, the ring of
 * the journal, activation, extension and stop, and what is refused.
 */
#include "machine.h"
#include "metadata-internal.h"

static struct machine m;

static void start(u32 nr_slots, u32 dw_pages)
{
	struct geometry g;

	small_geometry(&g, nr_slots, dw_pages, JOURNAL_BLOCKS_MIN);
	machine_init(&m, &g, 1);
}

/* The state of the model is what a reader finds, and what the next boot finds. */
static void check_reloads(void)
{
	machine_reboot(&m);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(metadata_found(m.md), METADATA_OURS);
	CHECK_EQUAL(machine_load(&m, false), 0);
	CHECK(state_equal(&m.loaded, &m.completed));
	CHECK_EQUAL(m.disk.nr_changes, 0);
	machine_reboot(&m);
	CHECK_EQUAL(machine_boot(&m), 0);
}

static void test_crc32c(void)
{
	/* the check value of RFC 3720 */
	CHECK_EQUAL(~crc32c(~0u, "123456789", 9), 0xe3069283u);
	CHECK_EQUAL(crc32c(crc32c(~0u, "1234", 4), "56789", 5), crc32c(~0u, "123456789", 9));
}

static void test_format_and_load(void)
{
	start(1000, 3);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(metadata_found(m.md), METADATA_BLANK);
	CHECK_EQUAL(machine_format(&m), 0);
	CHECK_EQUAL(metadata_formatted_slots(m.md), 0);
	CHECK_EQUAL(le32_to_cpu(metadata_super(m.md)->flags), LARDER_SUPER_CLEAN);
	machine_reboot(&m);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(metadata_found(m.md), METADATA_OURS);
	CHECK_EQUAL(metadata_geometry(m.md)->nr_slots, 1000);
	CHECK_EQUAL(metadata_generation(m.md), 2);
	/* a second format is refused */
	CHECK_EQUAL(machine_format(&m), -EEXIST);
	check_reloads();
	machine_destroy(&m);
}

static void test_roundtrip(void)
{
	u32 i;

	start(1000, 3);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(metadata_formatted_slots(m.md), 1000);
	for (i = 0; i < 30; i++) {
		CHECK_EQUAL(machine_commit(&m, i), 0);
		check_reloads();
	}
	CHECK_EQUAL(machine_commit(&m, 1500), 0);
	check_reloads();
	machine_destroy(&m);
}

/* Recovery flushes all three devices, and only then reads (I6). */
static void test_load_flushes_first(void)
{
	static const struct metadata_visitor visitor;
	struct metadata_io io;

	start(300, 3);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(metadata_step(metadata_load_begin(m.md, &visitor, true), 0, &io), METADATA_IO);
	CHECK_EQUAL(io.kind, METADATA_FLUSH);
	CHECK_EQUAL(io.devices, DEVICE_METADATA | DEVICE_CACHE | DEVICE_ORIGIN);
	machine_destroy(&m);
}

/* Many times around the ring, the model at every step of the way. */
static void test_ring(void)
{
	u64 sequence;
	u32 i;

	start(1000, 3);
	CHECK_EQUAL(machine_boot(&m), 0);
	for (i = 0; i < 60; i++) {
		CHECK_EQUAL(machine_work(&m, 60), 0);
		sequence = le64_to_cpu(metadata_super(m.md)->tail_seq);
		check_reloads();
		CHECK(le64_to_cpu(metadata_super(m.md)->tail_seq) >= sequence);
		CHECK_EQUAL(metadata_journal_used(m.md), 0);
	}
	CHECK(sequence > 10 * JOURNAL_BLOCKS_MIN);
	machine_destroy(&m);
}

static void test_journal_full(void)
{
	u64 used, total;
	u32 i;

	start(1000, 64);
	CHECK_EQUAL(machine_boot(&m), 0);
	for (i = 0; metadata_commit_room(m.md, true); i++) {
		CHECK_EQUAL(metadata_journal_used(m.md), i);
		CHECK_EQUAL(metadata_checkpoint_wanted(m.md), i >= JOURNAL_BLOCKS_MIN / 2);
		CHECK_EQUAL(machine_commit(&m, 1), 0);
	}
	/* optional records stop at three quarters, the others do not */
	CHECK_EQUAL(i, JOURNAL_BLOCKS_MIN * 3 / 4);
	for (; metadata_commit_room(m.md, false); i++)
		CHECK_EQUAL(machine_commit(&m, 1), 0);
	CHECK_EQUAL(i, JOURNAL_BLOCKS_MIN);
	metadata_commit_begin(m.md);
	CHECK(!metadata_commit_add(m.md, &(struct larder_record){ .type = LARDER_RECORD_ENTRY }));
	/* a commit that only flushes still works */
	CHECK_EQUAL(machine_commit(&m, 1), 0);
	metadata_usage(m.md, &used, &total);
	CHECK(used <= total);
	CHECK_EQUAL(total, m.geometry.metadata_units);

	CHECK_EQUAL(machine_checkpoint(&m), 0);
	CHECK_EQUAL(metadata_journal_used(m.md), JOURNAL_BLOCKS_MIN - SEGMENT_BLOCKS);
	CHECK_EQUAL(machine_checkpoint(&m), 0);
	CHECK_EQUAL(metadata_journal_used(m.md), 0);
	CHECK_EQUAL(machine_checkpoint(&m), 0);
	CHECK_EQUAL(metadata_commit_room(m.md, false), COMMIT_RECORDS_MAX);
	check_reloads();
	machine_destroy(&m);
}

static void test_commit_costs(void)
{
	struct metadata_op *op;
	struct metadata_io io;

	start(300, 3);
	CHECK_EQUAL(machine_boot(&m), 0);
	metadata_commit_begin(m.md);
	CHECK_EQUAL(metadata_step(metadata_commit_run(m.md, 0), 0, &io), METADATA_DONE);

	/* one flush of what was asked for, then one FUA write */
	metadata_commit_begin(m.md);
	CHECK(metadata_commit_add(m.md, &(struct larder_record){ .type = LARDER_RECORD_ENTRY }));
	CHECK_EQUAL(metadata_commit_record(m.md, 0)->type, LARDER_RECORD_ENTRY);
	op = metadata_commit_run(m.md, DEVICE_CACHE | DEVICE_ORIGIN);
	CHECK_EQUAL(metadata_step(op, 0, &io), METADATA_IO);
	CHECK_EQUAL(io.kind, METADATA_FLUSH);
	CHECK_EQUAL(io.devices, DEVICE_CACHE | DEVICE_ORIGIN);
	CHECK_EQUAL(metadata_step(op, 0, &io), METADATA_IO);
	CHECK_EQUAL(io.kind, METADATA_WRITE_FUA);
	CHECK_EQUAL(io.nr_units, 1);
	CHECK_EQUAL(metadata_step(op, 0, &io), METADATA_DONE);
	machine_destroy(&m);
}

static void commit_one(u32 slot, u8 type, u64 flags)
{
	const struct larder_record record = { .index = cpu_to_le32(slot), .type = type,
					      .block_flags = cpu_to_le64(flags) };

	metadata_commit_begin(m.md);
	CHECK(metadata_commit_add(m.md, &record));
	CHECK_EQUAL(machine_run(&m, metadata_commit_run(m.md, 0)), 0);
}

/* A hint stays with its block through journal and table, and goes with it. */
static void test_hints(void)
{
	const u64 block = LARDER_ENTRY_USED | 77;

	start(300, 3);
	CHECK_EQUAL(machine_boot(&m), 0);
	commit_one(200, LARDER_RECORD_ENTRY, block);
	commit_one(200, LARDER_RECORD_HINT, 4711);
	machine_reboot(&m);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(machine_load(&m, true), 0);
	CHECK_EQUAL(m.loaded.slot[200].hint, 4711);
	CHECK_EQUAL(machine_activate(&m), 0);
	commit_one(200, LARDER_RECORD_ENTRY, block);
	CHECK_EQUAL(machine_checkpoint(&m), 0);
	CHECK_EQUAL(machine_load(&m, true), 0);
	CHECK_EQUAL(m.loaded.slot[200].hint, 4711);
	CHECK_EQUAL(machine_activate(&m), 0);
	commit_one(200, LARDER_RECORD_ENTRY, 0);
	commit_one(200, LARDER_RECORD_HINT, 4711);
	commit_one(200, LARDER_RECORD_ENTRY, block + 1);
	CHECK_EQUAL(machine_checkpoint(&m), 0);
	CHECK_EQUAL(machine_load(&m, true), 0);
	CHECK_EQUAL(m.loaded.slot[200].block_flags, block + 1);
	CHECK_EQUAL(m.loaded.slot[200].hint, 0);
	machine_destroy(&m);
}

static void test_extend(void)
{
	const u32 step = EXTEND_PAGES * LARDER_ENTRIES_PER_PAGE;
	u32 slots = 2 * step + 1000, i;

	start(slots, 64);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(machine_format(&m), 0);
	CHECK_EQUAL(machine_activate(&m), 0);
	CHECK_EQUAL(metadata_formatted_slots(m.md), 0);
	for (i = 1; i <= 4; i++) {
		CHECK_EQUAL(machine_extend(&m), 0);
		CHECK_EQUAL(metadata_formatted_slots(m.md), min(i * step, slots));
		CHECK_EQUAL(machine_commit(&m, 700), 0);
		CHECK_EQUAL(machine_checkpoint_mixed(&m), 0);
	}
	check_reloads();
	machine_destroy(&m);
}

/* Until the flag is set in an orderly stop, and again after the next start, it is unclean. */
static void test_stop(void)
{
	start(300, 3);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(le32_to_cpu(metadata_super(m.md)->flags), 0);
	CHECK_EQUAL(machine_commit(&m, 10), 0);
	CHECK_EQUAL(machine_run(&m, metadata_stop_begin(m.md)), 0);
	CHECK_EQUAL(metadata_commit_room(m.md, false), 0);
	CHECK_EQUAL(machine_run(&m, metadata_commit_run(m.md, 0)), -ESHUTDOWN);
	CHECK_EQUAL(machine_checkpoint(&m), -ESHUTDOWN);
	CHECK_EQUAL(machine_extend(&m), -ESHUTDOWN);

	machine_reboot(&m);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(le32_to_cpu(metadata_super(m.md)->flags), LARDER_SUPER_CLEAN);
	CHECK_EQUAL(machine_load(&m, true), 0);
	CHECK(state_equal(&m.loaded, &m.completed));
	/* who has not been active has nothing to stop */
	CHECK_EQUAL(machine_run(&m, metadata_stop_begin(m.md)), -EINVAL);
	CHECK_EQUAL(machine_activate(&m), 0);
	CHECK_EQUAL(le32_to_cpu(metadata_super(m.md)->flags), 0);
	CHECK_EQUAL(machine_run(&m, metadata_stop_begin(m.md)), 0);
	CHECK_EQUAL(machine_activate(&m), 0);
	CHECK_EQUAL(machine_commit(&m, 10), 0);
	check_reloads();
	machine_destroy(&m);
}

static void test_activation_records(void)
{
	const struct metadata_identity who = { 7, 8, 9 };
	const struct larder_superblock *sb;

	start(300, 3);
	sb = metadata_super(m.md);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(le64_to_cpu(sb->cache_identity), 2);
	CHECK_EQUAL(machine_run(&m, metadata_activate_begin(m.md, 12345, 2,
							    "a-name-that-is-longer-than-its-field",
							    &who)), 0);
	CHECK_EQUAL(metadata_geometry(m.md)->origin_sectors, 12345);
	CHECK_EQUAL(metadata_geometry(m.md)->nr_origin_blocks, 12345 / 32 + 1);
	CHECK_EQUAL(le64_to_cpu(sb->cache_identity), 8);
	CHECK_EQUAL(sb->last_mode, 3);
	CHECK_EQUAL(sb->last_policy[31], 0);
	CHECK_EQUAL(strlen(sb->last_policy), 31);
	CHECK_EQUAL(machine_run(&m, metadata_activate_begin(m.md, U64_MAX, 2, "x", NULL)), -EFBIG);
	CHECK_EQUAL(machine_run(&m, metadata_activate_begin(m.md, 0, 2, "x", NULL)), -EFBIG);
	/* a load that changed nothing is no ground to write on */
	CHECK_EQUAL(machine_load(&m, false), 0);
	CHECK_EQUAL(machine_activate(&m), -EINVAL);
	machine_destroy(&m);
}

/* Formatted with room behind a table of so many slots; the model has room for more. */
static void start_small(u32 nr_slots, u32 later)
{
	start(later, 3);
	small_geometry(&m.geometry, nr_slots, 3, JOURNAL_BLOCKS_MIN);
	CHECK(m.geometry.metadata_units < m.disk.units);
}

static void test_resize(void)
{
	struct geometry g;

	/* a page and a bit, to the end of that page, into a third and a fourth one */
	start_small(130, 500);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(metadata_formatted_slots(m.md), 130);
	CHECK_EQUAL(machine_commit(&m, 200), 0);
	CHECK_EQUAL(machine_grow(&m, 252), 0);
	CHECK_EQUAL(metadata_formatted_slots(m.md), 252);
	CHECK_EQUAL(le64_to_cpu(metadata_super(m.md)->table_pages), 2);
	CHECK_EQUAL(machine_commit(&m, 400), 0);
	check_reloads();
	CHECK_EQUAL(metadata_geometry(m.md)->nr_slots, 252);
	CHECK_EQUAL(machine_grow(&m, 500), 0);
	CHECK_EQUAL(le64_to_cpu(metadata_super(m.md)->table_pages), 4);
	CHECK_EQUAL(le64_to_cpu(metadata_super(m.md)->cache_sectors), 500 * 32);
	CHECK_EQUAL(le64_to_cpu(metadata_super(m.md)->metadata_units), m.disk.units);
	CHECK_EQUAL(machine_work(&m, 60), 0);
	check_reloads();
	CHECK_EQUAL(metadata_geometry(m.md)->nr_slots, 500);

	/* the origin, by the same write */
	g = *metadata_geometry(m.md);
	geometry_set_origin(&g, 4711);
	CHECK_EQUAL(machine_run(&m, metadata_resize_begin(m.md, &g)), 0);
	CHECK_EQUAL(metadata_geometry(m.md)->nr_origin_blocks, 4711 / 32 + 1);
	machine_reboot(&m);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(metadata_geometry(m.md)->origin_sectors, 4711);
	/* only who is active may */
	CHECK_EQUAL(machine_run(&m, metadata_resize_begin(m.md, &g)), -ESHUTDOWN);
	CHECK_EQUAL(machine_boot(&m), 0);

	geometry_set_origin(&g, U64_MAX);
	CHECK_EQUAL(machine_run(&m, metadata_resize_begin(m.md, &g)), -EFBIG);
	g = *metadata_geometry(m.md);
	g.nr_slots = U32_MAX;
	CHECK_EQUAL(machine_run(&m, metadata_resize_begin(m.md, &g)), -EFBIG);
	CHECK_EQUAL(machine_work(&m, 20), 0);
	check_reloads();
	machine_destroy(&m);
}

/* A resize that failed: the device may know it or not, and nothing depends on which. */
static void test_resize_fails(void)
{
	u32 fail;

	for (fail = 0; fail < NR_FAILS; fail++) {
		start_small(130, 500);
		CHECK_EQUAL(machine_boot(&m), 0);
		CHECK_EQUAL(machine_commit(&m, 200), 0);
		m.disk.fail = fail;
		m.disk.fail_at = m.disk.nr_ios;
		CHECK_EQUAL(machine_grow(&m, 500), -EIO);
		CHECK_EQUAL(metadata_geometry(m.md)->nr_slots, 130);
		m.disk.fail_at = NEVER;
		CHECK_EQUAL(machine_work(&m, 30), 0);
		check_reloads();
		CHECK_EQUAL(machine_grow(&m, 500), 0);
		CHECK_EQUAL(machine_work(&m, 30), 0);
		check_reloads();
		CHECK_EQUAL(metadata_geometry(m.md)->nr_slots, 500);
		machine_destroy(&m);
	}
}

static const struct unit_test tests[] = {
	{ "crc32c", test_crc32c },
	{ "format and load", test_format_and_load },
	{ "roundtrip", test_roundtrip },
	{ "load flushes first", test_load_flushes_first },
	{ "ring", test_ring },
	{ "journal full", test_journal_full },
	{ "what a commit costs", test_commit_costs },
	{ "hints", test_hints },
	{ "extend", test_extend },
	{ "stop", test_stop },
	{ "what an activation records", test_activation_records },
	{ "resize", test_resize },
	{ "a resize that fails", test_resize_fails },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
