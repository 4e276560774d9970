// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I/O errors: the n-th I/O of a life fails, for each n until none does, with
 * and without having been done all the same.  The operation ends with the
 * error, can be tried again, and a crash at any time leaves a legal state.
 */
#include "machine.h"
#include "metadata-internal.h"

static struct machine m;

static void start(u64 seed)
{
	struct geometry g;

	small_geometry(&g, 700, 2, JOURNAL_BLOCKS_MIN);
	machine_init(&m, &g, seed);
}

/* After an error: whatever was under way is done again, or something else instead. */
static int go_on(bool again)
{
	int rc = 0;

	if (metadata_found(m.md) != METADATA_OURS || !metadata_formatted_slots(m.md))
		return machine_boot(&m);
	/* a stop that failed, or an activation */
	if (machine_checkpoint(&m) == -ESHUTDOWN) {
		rc = machine_activate(&m);
		if (rc == -EINVAL)
			rc = machine_boot(&m);
	}
	if (!rc && m.nr_attempts && again)
		rc = machine_commit_again(&m);
	return rc;
}

static int life(void)
{
	int rc = machine_boot(&m);

	if (!rc)
		rc = machine_work(&m, 20);
	if (!rc)
		rc = machine_checkpoint_mixed(&m);
	if (!rc)
		rc = machine_run(&m, metadata_stop_begin(m.md));
	return rc;
}

static void check_boots(void)
{
	machine_reboot(&m);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(machine_work(&m, 5), 0);
	machine_reboot(&m);
	CHECK_EQUAL(machine_boot(&m), 0);
}

/* Returns false when the life ended before its n-th I/O. */
static bool fail_nth(u64 n, enum disk_fail fail, int afterwards)
{
	int rc;

	start(21);
	m.disk.fail_at = n;
	m.disk.fail = fail;
	rc = life();
	CHECK_EQUAL(rc, m.disk.nr_ios > n ? -EIO : 0);
	if (rc && afterwards) {
		CHECK_EQUAL(go_on(afterwards == 1), 0);
		CHECK_EQUAL(machine_work(&m, 20), 0);
		/* all is well: what is found is exactly what was committed */
		CHECK(!m.nr_attempts || afterwards == 2);
	}
	m.disk.cut = n % NR_CUTS;
	disk_power_cut(&m.disk);
	check_boots();
	machine_destroy(&m);
	return rc;
}

static void fail_each(int afterwards)
{
	u64 n;

	for (n = 0; fail_nth(n, FAIL_DOES_NOTHING, afterwards); n++) {
		fail_nth(n, FAIL_TAKES_EFFECT, afterwards);
		fail_nth(n, FAIL_TEARS, afterwards);
	}
	CHECK(n > 50);
	printf("# failed each of %llu I/Os\n", (unsigned long long)n);
}

static void test_crash_after_error(void)
{
	fail_each(0);
}

static void test_retry(void)
{
	fail_each(1);
}

static void test_other_work_after_error(void)
{
	fail_each(2);
}

/* Many errors, many crashes; nothing but an I/O error may come of it. */
static void test_unreliable_disk(void)
{
	u64 seed, i, errors = 0;
	int rc;

	for (seed = 1; seed <= 10; seed++) {
		start(seed);
		for (i = 0; i < 150; i++) {
			m.disk.fail_at = m.disk.nr_ios + rng_below(&m.rng, 60);
			m.disk.fail = rng_below(&m.rng, NR_FAILS);
			rc = go_on(rng_below(&m.rng, 2));
			if (!rc)
				rc = machine_work(&m, 20);
			CHECK(rc == 0 || rc == -EIO);
			errors += rc != 0;
			if (rng_below(&m.rng, 10))
				continue;
			m.disk.cut = rng_below(&m.rng, NR_CUTS);
			disk_power_cut(&m.disk);
			machine_reboot(&m);
		}
		check_boots();
		machine_destroy(&m);
	}
	printf("# %llu errors\n", (unsigned long long)errors);
	CHECK(errors > 100);
}

#define RECORDS_OF_COMMIT	(3 * LARDER_RECORDS_PER_BLOCK)

/* A commit of three blocks fails although all of them have been written. */
static void fail_commit(struct larder_record record[RECORDS_OF_COMMIT])
{
	u32 i;

	metadata_commit_begin(m.md);
	for (i = 0; i < RECORDS_OF_COMMIT; i++) {
		record[i] = machine_record(&m);
		CHECK(metadata_commit_add(m.md, &record[i]));
	}
	m.disk.fail_at = m.disk.nr_ios;
	m.disk.fail = FAIL_TAKES_EFFECT;
	CHECK_EQUAL(machine_run(&m, metadata_commit_run(m.md, 0)), -EIO);
}

/* The same first block once more, and no others. */
static void commit_first_block(const struct larder_record *record)
{
	u32 i;

	metadata_commit_begin(m.md);
	for (i = 0; i < LARDER_RECORDS_PER_BLOCK; i++) {
		CHECK(metadata_commit_add(m.md, &record[i]));
		state_apply(&m.completed, &record[i]);
	}
	CHECK_EQUAL(machine_run(&m, metadata_commit_run(m.md, 0)), 0);
}

/*
 * A commit of three blocks fails although all are durable, and is replaced by
 * one with the same first block and no more: the others must not come back.
 */
static void test_leftover_of_failed_commit(void)
{
	struct larder_record record[RECORDS_OF_COMMIT];

	start(1);
	CHECK_EQUAL(machine_boot(&m), 0);
	fail_commit(record);
	disk_settle(&m.disk);

	commit_first_block(record);
	m.nr_attempts = 0;
	check_boots();
	machine_destroy(&m);
}

/*
 * A power cut takes the first block of a commit and leaves the others; the next boot writes the
 * same first block, for itself: neither its number nor its checksum tells that the others are not
 * its own.
 */
static void test_rest_of_torn_commit(void)
{
	struct larder_record record[RECORDS_OF_COMMIT];
	u64 first;

	start(1);
	CHECK_EQUAL(machine_boot(&m), 0);
	first = journal_unit(m.md, m.md->head_seq);
	fail_commit(record);
	memset(disk_unit(&m.disk, first), 0, LARDER_UNIT_SIZE);
	m.nr_attempts = 0;

	machine_reboot(&m);
	CHECK_EQUAL(machine_boot(&m), 0);
	commit_first_block(record);
	check_boots();
	machine_destroy(&m);
}

/* While superblock writes fail, the last durable one is never written over. */
static void test_failing_superblocks(void)
{
	u64 generation;
	u8 durable[LARDER_UNIT_SIZE];
	u32 i, number;

	start(3);
	CHECK_EQUAL(machine_boot(&m), 0);
	CHECK_EQUAL(machine_commit(&m, 10), 0);
	generation = metadata_generation(m.md);
	number = generation & 1;
	memcpy(durable, disk_unit(&m.disk, number), LARDER_UNIT_SIZE);
	disk_settle(&m.disk);
	for (i = 0; i < 5; i++) {
		m.disk.fail_at = m.disk.nr_ios;
		m.disk.fail = i % NR_FAILS;
		CHECK_EQUAL(machine_run(&m, metadata_stop_begin(m.md)), -EIO);
		CHECK_EQUAL(metadata_generation(m.md), generation);
		CHECK(!memcmp(durable, disk_unit(&m.disk, number), LARDER_UNIT_SIZE));
		disk_settle(&m.disk);
	}
	CHECK_EQUAL(machine_run(&m, metadata_stop_begin(m.md)), 0);
	CHECK(metadata_generation(m.md) > generation + 5);
	CHECK_EQUAL(metadata_generation(m.md) & 1, !number);
	check_boots();
	machine_destroy(&m);
}

static const struct unit_test tests[] = {
	{ "crash after the n-th I/O failed", test_crash_after_error },
	{ "retry after the n-th I/O failed", test_retry },
	{ "other work after the n-th I/O failed", test_other_work_after_error },
	{ "unreliable disk", test_unreliable_disk },
	{ "leftover of a failed commit", test_leftover_of_failed_commit },
	{ "rest of a torn commit", test_rest_of_torn_commit },
	{ "failing superblock writes", test_failing_superblocks },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
