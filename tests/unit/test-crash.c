// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Power cuts: at every write and flush of a short life, at every one of the
 * recovery that follows, and at random over many long lives.  After each, the
 * state must be one that the commits allow (machine.h).
 */
#include "machine.h"

#define SLOTS 700u	/* six pages, the last one short */

static void start(struct machine *m, u64 seed, u32 dw_pages)
{
	struct geometry g;

	small_geometry(&g, SLOTS, dw_pages, JOURNAL_BLOCKS_MIN);
	machine_init(m, &g, seed);
}

/* A boot whose power is cut at the given change; true when it came that far. */
static bool boot_cut_at(struct machine *m, u64 change, enum disk_cut cut)
{
	int rc;

	machine_reboot(m);
	m->disk.cut_at = change;
	m->disk.cut = cut;
	rc = machine_boot(m);
	CHECK(rc == 0 || rc == -ENODEV);
	return rc;
}

/* One short life, the same for each seed: starts with the first format. */
static int short_life(struct machine *m)
{
	int rc = machine_boot(m);

	if (!rc)
		rc = machine_work(m, 12);
	if (!rc)
		rc = machine_checkpoint_mixed(m);
	if (!rc)
		rc = machine_work(m, 3);
	if (!rc)
		rc = machine_run(m, metadata_stop_begin(m->md));
	return rc;
}

/* What must be so after any crash: it starts, and from then on it works. */
static void check_life_after(struct machine *m)
{
	CHECK(!boot_cut_at(m, NEVER, CUT_LOSES_ALL));
	CHECK_EQUAL(machine_work(m, 5), 0);
	CHECK(!boot_cut_at(m, NEVER, CUT_LOSES_ALL));
}

static u64 cut_short_life_at(struct machine *m, u64 seed, u64 event, enum disk_cut cut)
{
	int rc;

	start(m, seed, 2);
	m->disk.cut_at = event;
	m->disk.cut = cut;
	rc = short_life(m);
	CHECK(rc == (event == NEVER ? 0 : -ENODEV));
	return m->disk.nr_changes;
}

static void test_every_change(void)
{
	static struct machine m;
	u64 seed, event, events = 0;
	u32 cut;

	for (seed = 1; seed <= 4; seed++) {
		events = cut_short_life_at(&m, seed, NEVER, 0);
		machine_destroy(&m);
		for (event = 0; event < events; event++) {
			for (cut = 0; cut < NR_CUTS; cut++) {
				cut_short_life_at(&m, seed, event, cut);
				check_life_after(&m);
				machine_destroy(&m);
			}
		}
	}
	printf("# %llu changes in the last life\n", (unsigned long long)events);
}

/* A format that counts is whole: two superblocks, of which none needs to be doubted. */
static void test_format(void)
{
	static struct machine m;
	u32 found[2] = { 0 }, event, cut;

	for (event = 0; event < 4; event++) {
		for (cut = 0; cut < NR_CUTS; cut++) {
			start(&m, 50 + event, 2);
			memset(disk_unit(&m.disk, 1), 0x5a, LARDER_UNIT_SIZE);
			disk_settle(&m.disk);
			CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
			m.disk.cut_at = event;
			m.disk.cut = cut;
			CHECK_EQUAL(machine_format(&m), -ENODEV);
			machine_reboot(&m);
			CHECK_EQUAL(machine_run(&m, metadata_probe_begin(m.md)), 0);
			if (metadata_found(m.md) == METADATA_BLANK) {
				found[0]++;
			} else {
				CHECK_EQUAL(metadata_found(m.md), METADATA_OURS);
				CHECK_EQUAL(le32_to_cpu(metadata_super(m.md)->flags),
					    LARDER_SUPER_CLEAN);
				found[1]++;
			}
			check_life_after(&m);
			machine_destroy(&m);
		}
	}
	CHECK(found[0] && found[1]);
}

/* Which of the legal states it is: what a reader sees is what recovery must make of it. */
static void settle(struct machine *m, u64 event)
{
	machine_reboot(m);
	CHECK_EQUAL(machine_run(m, metadata_probe_begin(m->md)), 0);
	if (metadata_found(m->md) == METADATA_BLANK)
		return;
	CHECK_EQUAL(machine_load(m, false), 0);
	CHECK_EQUAL(m->disk.nr_changes, 0);
	machine_compare(m, "reading after a cut at change", event);
}

/* For each crash: a second one at each change of the recovery, and a third. */
static void test_recovery(void)
{
	static struct machine m;
	struct disk crashed;
	struct state completed;
	u64 event, events, change;
	bool cut;

	events = cut_short_life_at(&m, 9, NEVER, 0);
	machine_destroy(&m);
	for (event = 0; event < events; event += 2) {
		cut_short_life_at(&m, 9, event, CUT_TEARS);
		settle(&m, event);
		disk_init(&crashed, m.disk.units);
		disk_copy(&crashed, &m.disk);
		completed = m.completed;
		completed.slot = malloc(SLOTS * sizeof(*completed.slot));
		completed.intent = malloc(m.geometry.table_pages * sizeof(*completed.intent));
		state_copy(&completed, &m.completed);
		for (change = 0, cut = true; cut; change++) {
			disk_copy(&m.disk, &crashed);
			state_copy(&m.completed, &completed);
			cut = boot_cut_at(&m, change, CUT_TEARS);
			boot_cut_at(&m, change / 2, CUT_TEARS);
			check_life_after(&m);
		}
		free(completed.slot);
		free(completed.intent);
		disk_destroy(&crashed);
		machine_destroy(&m);
	}
}

/* The host dies first, and what its disk still had in the cache is lost during the recovery. */
static void test_host_then_power(void)
{
	static struct machine m;
	u64 event, events, change;
	bool cut;

	events = cut_short_life_at(&m, 9, NEVER, 0);
	machine_destroy(&m);
	for (event = 0; event < events; event++) {
		for (change = 0, cut = true; cut; change++) {
			cut_short_life_at(&m, 9, event, CUT_HOST_ONLY);
			cut = boot_cut_at(&m, change, CUT_TEARS);
			check_life_after(&m);
			machine_destroy(&m);
		}
	}
}

static void test_many_lives(void)
{
	static struct machine m;
	u32 seed, life;
	u64 commits = 0;
	int rc;

	for (seed = 100; seed < 112; seed++) {
		start(&m, seed, seed % 5 + 1);
		for (life = 0; life < 40; life++) {
			machine_reboot(&m);
			m.disk.cut = rng_below(&m.rng, NR_CUTS);
			m.disk.cut_at = rng_below(&m.rng, life % 4 ? 300 : 30);
			rc = machine_boot(&m);
			if (!rc)
				rc = machine_work(&m, 100);
			CHECK(rc == 0 || rc == -ENODEV);
			if (!m.disk.off)
				disk_power_cut(&m.disk);
		}
		commits += m.nr_commits;
		machine_destroy(&m);
	}
	printf("# %llu commits\n", (unsigned long long)commits);
	CHECK(commits > 1000);
}

/* Grows twice: within its last page, and by two pages. */
static int growing_life(struct machine *m)
{
	int rc = machine_boot(m);

	if (!rc)
		rc = machine_work(m, 6);
	if (!rc)
		rc = machine_grow(m, 500);
	if (!rc)
		rc = machine_work(m, 6);
	if (!rc)
		rc = machine_grow(m, SLOTS);
	if (!rc)
		rc = machine_checkpoint_mixed(m);
	if (!rc)
		rc = machine_run(m, metadata_stop_begin(m->md));
	return rc;
}

static u64 cut_growing_life_at(struct machine *m, u64 seed, u64 event, enum disk_cut cut)
{
	struct geometry g;
	int rc;

	start(m, seed, 2);
	small_geometry(&g, 400, 2, JOURNAL_BLOCKS_MIN);
	m->geometry = g;
	m->disk.cut_at = event;
	m->disk.cut = cut;
	rc = growing_life(m);
	CHECK(rc == (event == NEVER ? 0 : -ENODEV));
	return m->disk.nr_changes;
}

static void test_growing(void)
{
	static struct machine m;
	u64 seed, event, events, sizes = 0;
	u32 cut;

	for (seed = 1; seed <= 3; seed++) {
		events = cut_growing_life_at(&m, seed, NEVER, 0);
		machine_destroy(&m);
		for (event = 0; event < events; event++) {
			for (cut = 0; cut < NR_CUTS; cut++) {
				cut_growing_life_at(&m, seed, event, cut);
				check_life_after(&m);
				sizes |= 1ull << (metadata_geometry(m.md)->nr_slots / 100);
				/* it can still grow to its end */
				CHECK_EQUAL(machine_grow(&m, SLOTS), 0);
				check_life_after(&m);
				CHECK_EQUAL(metadata_geometry(m.md)->nr_slots, SLOTS);
				machine_destroy(&m);
			}
		}
	}
	CHECK_EQUAL(sizes, 1 << 4 | 1 << 5 | 1 << 7);
}

/* The superblock torn in the middle of its 4 KiB, at each sector. */
static void test_torn_superblock(void)
{
	static struct machine m;
	u8 before[2][LARDER_UNIT_SIZE];
	u32 sectors, number;
	u8 *unit;

	for (sectors = 0; sectors <= LARDER_UNIT_SIZE / DISK_SECTOR; sectors++) {
		start(&m, 4, 2);
		CHECK_EQUAL(machine_boot(&m), 0);
		CHECK_EQUAL(machine_commit(&m, 100), 0);
		memcpy(before[0], disk_unit(&m.disk, 0), LARDER_UNIT_SIZE);
		memcpy(before[1], disk_unit(&m.disk, 1), LARDER_UNIT_SIZE);
		CHECK_EQUAL(machine_checkpoint(&m), 0);
		number = metadata_generation(m.md) & 1;
		unit = disk_unit(&m.disk, number);
		memcpy(unit + sectors * DISK_SECTOR, before[number] + sectors * DISK_SECTOR,
		       LARDER_UNIT_SIZE - sectors * DISK_SECTOR);
		disk_settle(&m.disk);
		check_life_after(&m);
		machine_destroy(&m);
	}
}

static const struct unit_test tests[] = {
	{ "cut while formatting", test_format },
	{ "cut at every change", test_every_change },
	{ "cut at every change of the recovery", test_recovery },
	{ "host dies, then the power goes", test_host_then_power },
	{ "many lives", test_many_lives },
	{ "cut while it grows", test_growing },
	{ "torn superblock", test_torn_superblock },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
