// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulator's disks against a model that lists the versions of every
 * sector, and what a crash may and must be able to leave of them.
 */
#include "../sim/disk.h"
#include "unit.h"

#define SECTORS 100u
#define VALUES 64u	/* pending versions of a sector that the model can list */

/* A sector that is full of one number. */
static void fill(u32 *data, u32 value, u32 nr)
{
	u32 i;

	for (i = 0; i < nr * SIM_SECTOR / sizeof(u32); i++)
		data[i] = value;
}

static u32 value_of(const u32 *sector)
{
	u32 i;

	for (i = 1; i < SIM_SECTOR / sizeof(u32); i++)
		CHECK_EQUAL(sector[i], sector[0]);
	return sector[0];
}

static u32 get(struct sim_disk *disk, u64 sector)
{
	u32 data[SIM_SECTOR / sizeof(u32)];

	sim_disk_read(disk, sector, data, 1);
	return value_of(data);
}

static u32 get_durable(const struct sim_disk *disk, u64 sector)
{
	u32 data[SIM_SECTOR / sizeof(u32)];

	sim_disk_read_durable(disk, sector, data, 1);
	return value_of(data);
}

static void set(struct sim_disk *disk, u64 sector, u32 nr, u32 value, bool fua)
{
	static u32 data[64 * SIM_SECTOR / sizeof(u32)];

	fill(data, value, nr);
	sim_disk_write(disk, sector, data, nr, fua);
}

/* versions[0] is durable, the last is what reads find */
struct model {
	u32 versions[SECTORS][VALUES];
	u32 nr[SECTORS];
	u32 sectors;
};

static void model_set(struct model *m, u64 sector, u32 nr, u32 value, bool durable)
{
	for (; nr; nr--, sector++) {
		if (durable)
			m->nr[sector] = 0;
		CHECK(m->nr[sector] < VALUES);
		m->versions[sector][m->nr[sector]++] = value;
	}
}

static void model_flush(struct model *m)
{
	u32 i;

	for (i = 0; i < SECTORS; i++) {
		m->versions[i][0] = m->versions[i][m->nr[i] - 1];
		m->nr[i] = 1;
	}
}

static bool model_has(const struct model *m, u32 sector, u32 value)
{
	u32 i;

	for (i = 0; i < m->nr[sector]; i++)
		if (m->versions[sector][i] == value)
			return true;
	return false;
}

static void compare(struct model *m, struct sim_disk *disk, u64 seed)
{
	u32 i;

	for (i = 0; i < m->sectors; i++)
		CHECK_SAY(get(disk, i) == m->versions[i][m->nr[i] - 1],
			  "seed %llu, sector %u: %u, expected %u", (unsigned long long)seed, i,
			  get(disk, i), m->versions[i][m->nr[i] - 1]);
}

/* What is there now must be one of the versions; it becomes the only one. */
static void settle(struct model *m, struct sim_disk *disk, enum sim_mood mood, u64 seed)
{
	u32 i;

	CHECK_EQUAL(sim_disk_pending(disk), 0);
	for (i = 0; i < m->sectors; i++) {
		u32 value = get(disk, i);

		CHECK_SAY(model_has(m, i, value), "seed %llu, mood %u, sector %u: %u",
			  (unsigned long long)seed, mood, i, value);
		CHECK_EQUAL(get_durable(disk, i), value);
		if (mood == SIM_MOOD_KEEP_ALL)
			CHECK_EQUAL(value, m->versions[i][m->nr[i] - 1]);
		if (mood == SIM_MOOD_LOSE_ALL && !disk->stats.evicted)
			CHECK_EQUAL(value, m->versions[i][0]);
		m->versions[i][0] = value;
		m->nr[i] = 1;
	}
}

static void model_trim(struct model *m, struct sim_disk *disk, struct sim_rng *rng)
{
	u32 sector = sim_rng_below(rng, m->sectors), i;
	u32 nr = sim_rng_below(rng, m->sectors - sector) + 1;
	bool flushed = disk->flags & SIM_DISK_VOLATILE ? false : true;

	sim_disk_trim(disk, sector, nr, sim_rng_next(rng));
	for (i = sector; i < sector + nr; i++)
		if (!get(disk, i))
			model_set(m, i, 1, 0, flushed);
}

static void model_crash(struct model *m, struct sim_disk *disk, struct sim_rng *rng, u32 *value,
			u64 seed)
{
	u32 flying = sim_rng_below(rng, 4), data[4 * SIM_SECTOR / sizeof(u32)];
	bool host = sim_rng_below(rng, 4) == 0;
	u32 i;

	while (flying--) {
		u32 nr = sim_rng_below(rng, 4) + 1;
		u32 sector = sim_rng_below(rng, m->sectors - nr + 1);

		fill(data, ++*value, nr);
		sim_disk_in_flight(disk, sector, data, nr);
		model_set(m, sector, nr, *value, false);
	}
	if (!host) {
		settle(m, disk, sim_disk_crash(disk, rng, SIM_MOOD_ANY), seed);
		return;
	}
	sim_disk_host_crash(disk, rng);
	for (i = 0; i < m->sectors; i++) {
		/* newest last, as ever; those that did not happen do no harm */
		CHECK(model_has(m, i, get(disk, i)));
		model_set(m, i, 1, get(disk, i), !(disk->flags & SIM_DISK_VOLATILE));
	}
}

static void model_resize(struct model *m, struct sim_disk *disk, struct sim_rng *rng)
{
	u32 sectors = SECTORS - sim_rng_below(rng, 30), i;

	sim_disk_resize(disk, sectors);
	for (i = sectors; i < SECTORS; i++) {
		m->versions[i][0] = 0;
		m->nr[i] = 1;
	}
	m->sectors = sectors;
}

static void one_step(struct model *m, struct sim_disk *disk, struct sim_rng *rng, u32 *value,
		     u64 seed)
{
	bool is_volatile = disk->flags & SIM_DISK_VOLATILE, fua = sim_rng_below(rng, 4) == 0;
	u32 nr = sim_rng_below(rng, 20) + 1, sector = sim_rng_below(rng, m->sectors - nr + 1);
	u32 i, data[20 * SIM_SECTOR / sizeof(u32)];

	switch (sim_rng_below(rng, 16)) {
	default:
		set(disk, sector, nr, ++*value, fua);
		model_set(m, sector, nr, *value,
			  !is_volatile || (fua && disk->flags & SIM_DISK_FUA));
		break;
	case 0:
		sim_disk_flush(disk);
		CHECK_EQUAL(sim_disk_pending(disk), 0);
		model_flush(m);
		break;
	case 1:
		model_crash(m, disk, rng, value, seed);
		break;
	case 2:
		model_trim(m, disk, rng);
		break;
	case 3:
		sim_disk_zero(disk, sector, nr, fua);
		model_set(m, sector, nr, 0, !is_volatile || (fua && disk->flags & SIM_DISK_FUA));
		break;
	case 4:
		fill(data, ++*value, nr);
		sim_disk_write_torn(disk, sector, data, nr, rng);
		for (i = sector; i < sector + nr; i++)
			if (get(disk, i) == *value)
				model_set(m, i, 1, *value, !is_volatile);
		break;
	case 5:
		if (sim_rng_below(rng, 4) == 0)
			model_resize(m, disk, rng);
		break;
	}
}

static void random_operations(void)
{
	static struct model m;
	struct sim_disk disk;
	u64 seed;

	for (seed = 0; seed < 4000; seed++) {
		struct sim_rng rng = { seed };
		u32 value = 0, steps = 45, i;

		memset(&m, 0, sizeof(m));
		m.sectors = SECTORS;
		for (i = 0; i < SECTORS; i++)
			m.nr[i] = 1;
		sim_disk_init(&disk, SECTORS, seed % 4, NULL);
		if (sim_rng_below(&rng, 4) == 0)
			disk.domain->cache_sectors = sim_rng_below(&rng, 50);
		while (steps--) {
			one_step(&m, &disk, &rng, &value, seed);
			compare(&m, &disk, seed);
		}
		sim_disk_free(&disk);
	}
}

/* All subsets of some overlapping writes, with FUA among them, against writing just those. */
static void subsets(void)
{
	u64 seed, mask;

	for (seed = 0; seed < 200; seed++) {
		u32 sectors[10], nrs[10], values[SECTORS], i, n = 0, pending = 0;
		struct sim_disk disk, copy;
		struct sim_rng rng = { seed };
		bool fua[10];

		sim_disk_init(&disk, SECTORS, SIM_DISK_VOLATILE | SIM_DISK_FUA, NULL);
		set(&disk, 0, 10, 1000, false);
		sim_disk_flush(&disk);
		for (n = 0; n < 7; n++) {
			nrs[n] = sim_rng_below(&rng, 8) + 1;
			sectors[n] = sim_rng_below(&rng, 20);
			fua[n] = sim_rng_below(&rng, 3) == 0;
			/* what touches nothing pending needs no unit */
			set(&disk, sectors[n], nrs[n], n + 1, fua[n]);
			pending += !fua[n];
		}
		CHECK_EQUAL(sim_disk_pending(&disk), pending);
		for (mask = 0; mask < 1ull << pending; mask++) {
			u32 bit = 0;

			for (i = 0; i < SECTORS; i++)
				values[i] = i < 10 ? 1000 : 0;
			for (n = 0; n < 7; n++)
				if (fua[n] || mask >> bit++ & 1)
					for (i = 0; i < nrs[n]; i++)
						values[sectors[n] + i] = n + 1;
			sim_disk_clone(&copy, &disk);
			sim_disk_crash_subset(&copy, mask);
			for (i = 0; i < SECTORS; i++)
				CHECK_EQUAL(get(&copy, i), values[i]);
			CHECK_EQUAL(sim_disk_pending(&copy), 0);
			sim_disk_free(&copy);
		}
		CHECK_EQUAL(sim_disk_pending(&disk), pending);
		sim_disk_free(&disk);
	}
}

/* Every mood by its definition, on writes A and B of four sectors each, and on one sector. */
static void moods(void)
{
	bool seen[SIM_NR_MOODS][256] = { 0 }, version[4] = { 0 }, chosen[SIM_NR_MOODS] = { 0 };
	struct sim_disk disk, copy;
	enum sim_mood mood;
	u32 i, outcome, torn = 0;
	u64 seed;

	sim_disk_init(&disk, SECTORS, SIM_DISK_VOLATILE, NULL);
	set(&disk, 3, 4, 1, false);
	set(&disk, 20, 4, 2, false);
	for (i = 1; i <= 3; i++)
		set(&disk, 50, 1, i, false);
	for (seed = 0; seed < 4000; seed++) {
		struct sim_rng rng = { seed };

		sim_disk_clone(&copy, &disk);
		mood = sim_disk_crash(&copy, &rng, seed & 1 ? seed / 2 % SIM_NR_MOODS :
				      SIM_MOOD_ANY);
		chosen[mood] = true;
		for (i = 0, outcome = 0; i < 4; i++)
			outcome |= !!get(&copy, 3 + i) << i | !!get(&copy, 20 + i) << (4 + i);
		seen[mood][outcome] = true;
		if (mood == SIM_MOOD_EACH_SECTOR)
			version[get(&copy, 50)] = true;
		sim_disk_free(&copy);
	}
	for (mood = 0; mood < SIM_NR_MOODS; mood++)
		CHECK(chosen[mood]);
	for (i = 0; i < 256; i++) {
		bool whole = (i % 16 == 0 || i % 16 == 15) && (i / 16 == 0 || i / 16 == 15);

		CHECK_EQUAL(seen[SIM_MOOD_LOSE_ALL][i], i == 0);
		CHECK_EQUAL(seen[SIM_MOOD_KEEP_ALL][i], i == 255);
		CHECK_EQUAL(seen[SIM_MOOD_EACH_WRITE][i], whole);
		CHECK_EQUAL(seen[SIM_MOOD_ALL_BUT_ONE][i], whole && i);
		CHECK_EQUAL(seen[SIM_MOOD_ONLY_ONE][i], whole && i != 255);
		CHECK(!seen[SIM_MOOD_PREFIX][i] || i % 16 == 15 || i / 16 == 0);
	}
	for (i = 0; i < 4; i++)
		CHECK(version[i]);
	CHECK(seen[SIM_MOOD_PREFIX][15] && seen[SIM_MOOD_PREFIX][255]);
	for (i = 0, outcome = 0; i < 256; i++) {
		torn |= seen[SIM_MOOD_PREFIX][i] && i % 16 && i % 16 < 15;
		torn |= (seen[SIM_MOOD_TEAR][i] && i % 16 && i % 16 < 15 && i / 16 && i < 240) << 1;
		outcome += seen[SIM_MOOD_EACH_SECTOR][i];
	}
	CHECK_EQUAL(torn, 3);
	CHECK(outcome > 50);
	sim_disk_free(&disk);
}

/* Partitions share flush and crash; another drive does not. */
static void domains(void)
{
	struct sim_disk a, b, c, copies[2], *pointers[] = { &copies[0], &copies[1] };
	struct sim_domain domain, copy;
	struct sim_rng rng = { 1 };

	sim_domain_init(&domain);
	sim_disk_init(&a, SECTORS, SIM_DISK_VOLATILE, &domain);
	sim_disk_init(&b, SECTORS, SIM_DISK_VOLATILE, &domain);
	sim_disk_init(&c, SECTORS, SIM_DISK_VOLATILE, NULL);
	set(&a, 1, 1, 1, false);
	set(&b, 1, 1, 2, false);
	set(&c, 1, 1, 3, false);
	CHECK_EQUAL(sim_disk_pending(&a), 2);
	sim_disk_flush(&a);
	CHECK_EQUAL(get_durable(&a, 1), 1);
	CHECK_EQUAL(get_durable(&b, 1), 2);
	CHECK_EQUAL(get_durable(&c, 1), 0);
	set(&a, 1, 1, 4, false);
	set(&b, 1, 1, 5, false);
	sim_domain_clone(&copy, pointers, &domain);
	sim_disk_crash_subset(&b, 2);
	CHECK_EQUAL(get(&a, 1), 1);
	CHECK_EQUAL(get(&b, 1), 5);
	CHECK_EQUAL(get(&c, 1), 3);
	CHECK_EQUAL(get(&copies[0], 1), 4);
	sim_disk_crash(&copies[1], &rng, SIM_MOOD_LOSE_ALL);
	CHECK_EQUAL(get(&copies[0], 1), 1);
	CHECK_EQUAL(get(&copies[1], 1), 2);
	sim_disk_free(&a);
	set(&b, 1, 1, 6, false);
	sim_disk_flush(&b);
	CHECK_EQUAL(get_durable(&b, 1), 6);
	sim_disk_free(&b);
	sim_disk_free(&c);
	sim_disk_free(&copies[0]);
	sim_disk_free(&copies[1]);
	sim_domain_free(&domain);
	sim_domain_free(&copy);
}

static void clones_and_hashes(void)
{
	struct sim_disk disk, copy;
	u64 empty, one;

	sim_disk_init(&disk, SECTORS, SIM_DISK_VOLATILE | SIM_DISK_FUA, NULL);
	empty = sim_disk_hash(&disk);
	set(&disk, 5, 9, 7, false);
	CHECK_EQUAL(sim_disk_hash(&disk), empty);
	sim_disk_clone(&copy, &disk);
	sim_disk_flush(&disk);
	one = sim_disk_hash(&disk);
	CHECK(one != empty);
	CHECK_EQUAL(sim_disk_hash(&copy), empty);
	set(&disk, 5, 9, 8, true);
	CHECK_EQUAL(get(&copy, 5), 7);
	CHECK(sim_disk_hash(&disk) != one);
	sim_disk_flush(&copy);
	CHECK_EQUAL(sim_disk_hash(&copy), one);
	/* the same in another page is something else, zeros are as never written */
	set(&disk, 5, 9, 0, true);
	CHECK_EQUAL(sim_disk_hash(&disk), empty);
	set(&disk, 13, 9, 7, true);
	CHECK(sim_disk_hash(&disk) != one);
	sim_disk_free(&copy);
	CHECK_EQUAL(get(&disk, 13), 7);
	sim_disk_free(&disk);
}

/* A full cache writes back by itself, oldest first, and stays small. */
static void full_cache(void)
{
	struct sim_disk disk;
	struct sim_rng rng = { 1 };
	u32 i;

	sim_disk_init(&disk, 4096, SIM_DISK_VOLATILE | SIM_DISK_FUA, NULL);
	disk.domain->cache_sectors = 64;
	for (i = 0; i < 100000; i++) {
		set(&disk, i * 8 % 4096, 8, i + 1, i % 100 == 99);
		CHECK(disk.domain->nr_data <= 64 * SIM_SECTOR);
	}
	CHECK(disk.stats.evicted > 98000);
	sim_disk_crash(&disk, &rng, SIM_MOOD_LOSE_ALL);
	for (i = 100000 - 512; i < 100000 - 8; i++)
		CHECK_EQUAL(get(&disk, i * 8 % 4096), i + 1);
	CHECK(get(&disk, 99998 * 8 % 4096) < 99999);
	CHECK_EQUAL(get(&disk, 99999 * 8 % 4096), 100000);
	sim_disk_free(&disk);
}

/* Without FUA support the flag means nothing; without a cache nothing is ever pending. */
static void flags(void)
{
	struct sim_disk disk;

	sim_disk_init(&disk, SECTORS, SIM_DISK_VOLATILE, NULL);
	set(&disk, 1, 1, 1, true);
	CHECK_EQUAL(get_durable(&disk, 1), 0);
	CHECK_EQUAL(sim_disk_pending(&disk), 1);
	sim_disk_free(&disk);
	sim_disk_init(&disk, SECTORS, 0, NULL);
	set(&disk, 1, 1, 1, false);
	CHECK_EQUAL(get_durable(&disk, 1), 1);
	CHECK_EQUAL(sim_disk_pending(&disk), 0);
	CHECK_EQUAL(disk.stats.writes, 1);
	CHECK_EQUAL(disk.stats.sectors_written, 1);
	sim_disk_free(&disk);
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		{ "random-operations", random_operations },
		{ "subsets", subsets },
		{ "moods", moods },
		{ "domains", domains },
		{ "clones-and-hashes", clones_and_hashes },
		{ "full-cache", full_cache },
		{ "flags", flags },
	};

	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
