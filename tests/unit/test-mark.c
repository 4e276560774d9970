// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mark in the superblock that says: all that is cached has its tuples.  It
 * comes and goes as a whole, survives everything else, and once it has been
 * taken back nothing brings it back: no power cut, no failed write, and no
 * damage to a superblock.
 */
#include "machine.h"

static struct machine m;

static void start(u64 seed)
{
	struct geometry g;

	small_geometry(&g, 300, 2, JOURNAL_BLOCKS_MIN);
	machine_init(&m, &g, seed);
}

static int mark(bool marked)
{
	return machine_run(&m, metadata_mark_tuples_begin(m.md, marked));
}

/* As the next start finds it. */
static bool found(void)
{
	machine_reboot(&m);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(metadata_found(m.md), METADATA_OURS);
	return metadata_tuples_marked(m.md);
}

static bool found_without(u32 unit)
{
	u8 *bytes = disk_unit(&m.disk, unit);
	bool marked;

	bytes[100] ^= 1;
	marked = found();
	bytes[100] ^= 1;
	return marked;
}

/* None of the two superblocks says so. */
static void check_gone(void)
{
	CHECK(!found());
	CHECK(!found_without(0));
	CHECK(!found_without(1));
}

static void test_comes_and_goes(void)
{
	start(1);
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(machine_format(&m), 0);
	/* only who is active may */
	CHECK_EQUAL(mark(true), -ESHUTDOWN);
	CHECK(!metadata_tuples_marked(m.md));
	check_gone();
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(mark(true), 0);
	CHECK(metadata_tuples_marked(m.md));
	CHECK(found() && found_without(0) && found_without(1));
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK(metadata_tuples_marked(m.md));
	CHECK_EQUAL(mark(false), 0);
	CHECK(!metadata_tuples_marked(m.md));
	check_gone();
	CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
	CHECK_EQUAL(mark(false), -ESHUTDOWN);
	machine_destroy(&m);
}

/* Each other write of a superblock leaves it as it is. */
static void test_stays(void)
{
	struct geometry g;
	u32 marked;

	for (marked = 0; marked < 2; marked++) {
		start(2);
		CHECK_EQUAL(machine_boot(&m), 0);
		CHECK_EQUAL(mark(marked), 0);
		CHECK_EQUAL(machine_work(&m, 200), 0);
		CHECK_EQUAL(machine_checkpoint(&m), 0);
		CHECK_EQUAL(machine_run(&m, metadata_rewrite_begin(m.md)), 0);
		g = *metadata_geometry(m.md);
		geometry_set_origin(&g, 4711);
		CHECK_EQUAL(machine_run(&m, metadata_resize_begin(m.md, &g)), 0);
		CHECK_EQUAL(machine_run(&m, metadata_stop_begin(m.md)), 0);
		CHECK_EQUAL(found(), marked);
		CHECK_EQUAL(machine_boot(&m), 0);
		CHECK_EQUAL(metadata_tuples_marked(m.md), marked);
		CHECK_EQUAL(machine_work(&m, 50), 0);
		CHECK_EQUAL(found(), marked);
		machine_destroy(&m);
	}
}

/* A module that does not know the mark sees a feature that it does not know, and may not write. */
static void test_feature(void)
{
	start(3);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(mark(true), 0);
	CHECK_EQUAL(le64_to_cpu(metadata_super(m.md)->ro_compat), LARDER_RO_COMPAT_TUPLES);
	CHECK_EQUAL(le64_to_cpu(metadata_super(m.md)->incompat), 0);
	CHECK_EQUAL(mark(false), 0);
	CHECK_EQUAL(le64_to_cpu(metadata_super(m.md)->ro_compat), 0);
	machine_destroy(&m);
}

/* Set, or taken back, when the power goes at the given change, by cut. */
static u64 cut_at(bool marked, u64 change, enum disk_cut cut)
{
	u64 changes;

	start(4);
	CHECK_EQUAL(machine_boot(&m), 0);
	if (!marked)
		CHECK_EQUAL(mark(true), 0);
	changes = m.disk.nr_changes;
	m.disk.cut = cut;
	m.disk.cut_at = change == NEVER ? NEVER : changes + change;
	CHECK_EQUAL(mark(marked), change == NEVER ? 0 : -ENODEV);
	return m.disk.nr_changes - changes;
}

static void test_power_cuts(void)
{
	u64 changes, change;
	u32 cut, marked;

	for (marked = 0; marked < 2; marked++) {
		for (change = 0, changes = 1; change < changes; change++) {
			for (cut = 0; cut < NR_CUTS; cut++) {
				changes = cut_at(marked, NEVER, 0);
				CHECK_EQUAL(found(), marked);
				if (!marked)
					check_gone();
				machine_destroy(&m);
				cut_at(marked, change, cut);
				/* either is true; the next one decides for good */
				found();
				CHECK_EQUAL(machine_boot(&m), 0);
				CHECK_EQUAL(mark(false), 0);
				CHECK_EQUAL(machine_work(&m, 20), 0);
				check_gone();
				machine_destroy(&m);
			}
		}
		CHECK_EQUAL(changes, 2);
	}
}

/*
 * A write fails, but is durable perhaps, and the state in memory goes on: what
 * it does next holds whatever there is on the device.
 */
static void test_failed_writes(void)
{
	u32 fail, at, marked;

	for (fail = 0; fail < NR_FAILS; fail++) {
		for (at = 0; at < 2; at++) {
			for (marked = 0; marked < 2; marked++) {
				start(5);
				CHECK_EQUAL(machine_boot(&m), 0);
				CHECK_EQUAL(mark(!marked), 0);
				m.disk.fail = fail;
				m.disk.fail_at = m.disk.nr_ios + at;
				CHECK_EQUAL(mark(marked), -EIO);
				m.disk.fail_at = NEVER;
				CHECK_EQUAL(mark(false), 0);
				CHECK(!metadata_tuples_marked(m.md));
				CHECK_EQUAL(machine_work(&m, 20), 0);
				check_gone();
				machine_destroy(&m);
			}
		}
	}
}

static const struct unit_test tests[] = {
	{ "comes and goes", test_comes_and_goes },
	{ "stays through everything else", test_stays },
	{ "a feature that others may read", test_feature },
	{ "power cuts", test_power_cuts },
	{ "failed writes", test_failed_writes },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
