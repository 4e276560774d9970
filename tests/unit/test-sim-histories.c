// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulator's oracle and random histories, from an ideal disk whose
 * operations take effect in random order.  The ideal disk never raises an
 * alarm; a fault that is planted always does.
 */
#include "../sim/disk.h"
#include "../sim/oracle.h"
#include "unit.h"

#define SECTORS 6u
#define WORDS (ORACLE_SECTOR / sizeof(u64))
#define ENTRIES 4096u
#define FLYING 8u
#define MOST 3u			/* sectors of an operation */

static struct oracle o;

enum kind { NOTHING, WRITE, READ, DISCARD, FLUSH };

struct entry {
	u64 id, begin, end;	/* end: NEVER while in flight */
	bool well, fua;
	bool loose;		/* a discard reigns */
};

struct sector {
	struct entry entries[ENTRIES];
	u32 nr, durable;
	u32 sure;		/* this far a crash may not go back, provably */
	u64 discard_end;
	bool discarded;		/* ever: much is legal then, and the tests by hand must do */
	u64 ever[ENTRIES];
	u32 nr_ever;
};

struct flight {
	enum kind kind;
	u64 id, begin, sector;
	u32 nr, done;
	bool fua, fails;
	u64 found[MOST];
};

static struct ideal {
	struct sector sectors[SECTORS];
	struct flight flying[FLYING];
	struct sim_rng rng;
	u64 now, seed;
	u32 failed_sector;	/* of the last write that surely did not happen there */
	u64 failed_id;
} ideal;

#define NEVER U64_MAX

static struct entry *newest(struct sector *s)
{
	return &s->entries[s->nr - 1];
}

static void ideal_start(u64 seed)
{
	u32 i;

	for (i = 0; i < SECTORS; i++) {
		struct sector *s = &ideal.sectors[i];

		s->entries[0] = (struct entry) { .well = true };
		s->nr = 1;
		s->durable = 0;
		s->sure = 0;
		s->discard_end = 0;
		s->discarded = false;
		s->ever[0] = 0;
		s->nr_ever = 1;
	}
	memset(ideal.flying, 0, sizeof(ideal.flying));
	ideal.rng.state = seed;
	ideal.seed = seed;
	ideal.now = 1;
	ideal.failed_id = 0;
	oracle_free(&o);
	oracle_init(&o, SECTORS);
}

static u64 draw(u64 limit) { return sim_rng_below(&ideal.rng, limit); }

static void add_entry(struct sector *s, struct entry entry)
{
	CHECK(s->nr < ENTRIES && s->nr_ever < ENTRIES);
	s->entries[s->nr++] = entry;
	if (s->ever[s->nr_ever - 1] != entry.id)
		s->ever[s->nr_ever++] = entry.id;
}

static bool discarding(u64 sector)
{
	u32 i;

	for (i = 0; i < FLYING; i++) {
		const struct flight *f = &ideal.flying[i];

		if (f->kind == DISCARD && f->sector <= sector && sector < f->sector + f->nr)
			return true;
	}
	return false;
}

static void begin_discard(struct flight *f)
{
	u32 i;

	f->id = oracle_discard_begin(&o, f->sector, f->nr, ideal.now);
	for (i = 0; i < f->nr; i++) {
		struct sector *s = &ideal.sectors[f->sector + i];

		s->discarded = true;
		add_entry(s, (struct entry) { newest(s)->id, f->begin, NEVER, .loose = true });
	}
}

static void begin_one(struct flight *f, u32 chance_flush, u32 chance_discard)
{
	u32 what = draw(100);

	memset(f, 0, sizeof(*f));
	f->nr = draw(MOST) + 1;
	f->sector = draw(SECTORS - f->nr + 1);
	f->begin = ideal.now;
	f->fails = draw(10) == 0;
	f->kind = READ;
	if (what < chance_flush) {
		f->kind = FLUSH;
		f->nr = SECTORS;
		f->sector = 0;
		f->id = oracle_flush_begin(&o, ideal.now);
	} else if (what < chance_flush + chance_discard) {
		f->kind = DISCARD;
		begin_discard(f);
	} else if (what < 65) {
		f->kind = WRITE;
		f->fua = chance_flush && draw(6) == 0;
		f->id = oracle_write_begin(&o, f->sector, f->nr, f->fua, ideal.now);
	} else {
		f->begin = oracle_read_begin(&o, ideal.now);
	}
}

/* The highest entry that ended well before `before`. */
static u32 covered(const struct sector *s, u64 before)
{
	u32 i;

	for (i = s->nr - 1; i > s->durable; i--)
		if (s->entries[i].well && s->entries[i].end < before)
			break;
	return i;
}

/* An operation takes effect on its next sector. */
static void take_effect(struct flight *f)
{
	u32 i = f->done++, low;
	struct sector *s = &ideal.sectors[f->sector + i];
	bool loose = newest(s)->loose;

	switch (f->kind) {
	case WRITE:
		if (f->fails && draw(2)) {
			ideal.failed_id = f->id;
			ideal.failed_sector = f->sector + i;
			return;
		}
		if (!discarding(f->sector + i) && f->begin > s->discard_end)
			loose = false;
		add_entry(s, (struct entry) { f->id, f->begin, NEVER, .loose = loose });
		return;
	case READ:
		f->found[i] = newest(s)->id;
		if (loose)
			f->found[i] = draw(3) ? s->ever[draw(s->nr_ever)] : 0;
		return;
	case FLUSH:
		low = covered(s, f->begin);
		s->durable = max_t(u32, s->durable, low + draw(s->nr - low));
		return;
	case DISCARD:
	case NOTHING:
		return;
	}
}

static void mark_ended(struct flight *f)
{
	u32 i, k;

	for (i = 0; i < f->nr; i++) {
		struct sector *s = &ideal.sectors[f->sector + i];

		for (k = s->nr; k--;) {
			struct entry *e = &s->entries[k];

			if (e->id != f->id || e->begin != f->begin)
				continue;
			e->end = ideal.now;
			e->well = !f->fails;
			e->fua = f->fua;
			if (e->well && f->fua) {
				s->durable = max(s->durable, k);
				s->sure = max(s->sure, k);
			}
			break;
		}
	}
}

static void make_data(const struct flight *f, u64 *data)
{
	u32 i;

	for (i = 0; i < f->nr; i++) {
		if (f->found[i])
			oracle_fill(&o, f->found[i], f->sector + i, 1, data + i * WORDS);
		else
			memset(data + i * WORDS, 0, ORACLE_SECTOR);
	}
}

static const char *end_read(const struct flight *f)
{
	u64 data[MOST * WORDS];

	make_data(f, data);
	return oracle_read_end(&o, f->sector, f->nr, data, f->begin, ideal.now);
}

static void no_alarm(const char *wrong)
{
	if (wrong)
		oracle_describe(&o, strtoul(wrong + strlen("sector "), NULL, 10), stdout);
	CHECK_SAY(!wrong, "seed %llu: %s", (unsigned long long)ideal.seed, wrong);
}

static void end_one(struct flight *f)
{
	u32 i, k;

	while (f->done < f->nr)
		take_effect(f);
	switch (f->kind) {
	case WRITE:
		mark_ended(f);
		oracle_write_end(&o, f->id, !f->fails, ideal.now);
		break;
	case READ:
		no_alarm(end_read(f));
		break;
	case DISCARD:
		for (i = 0; i < f->nr; i++)
			ideal.sectors[f->sector + i].discard_end = ideal.now;
		oracle_discard_end(&o, f->id, !f->fails, ideal.now);
		break;
	case FLUSH:
		for (i = 0; i < SECTORS && !f->fails; i++) {
			struct sector *s = &ideal.sectors[i];

			k = covered(s, f->begin);
			if (s->entries[k].well && s->entries[k].end < f->begin)
				s->sure = max(s->sure, k);
		}
		oracle_flush_end(&o, f->id, !f->fails, ideal.now);
		break;
	case NOTHING:
		break;
	}
	f->kind = NOTHING;
}

static void become(struct sector *s, u32 entry)
{
	s->entries[0] = s->entries[entry];
	s->entries[0].end = min(s->entries[0].end, ideal.now);
	s->nr = 1;
	s->durable = 0;
	s->sure = 0;
	if (s->entries[0].loose)
		s->discard_end = ideal.now;
}

/* Leaves the choice to the caller. */
static void end_all_by_crash(void)
{
	u32 i;

	for (i = 0; i < FLYING; i++) {
		struct flight *f = &ideal.flying[i];

		f->fails = true;
		while (f->kind == WRITE && f->done < f->nr)
			take_effect(f);
		f->kind = NOTHING;
	}
	oracle_crash(&o, ideal.now);
	ideal.failed_id = 0;
}

static void crash(void)
{
	u32 i, mood = draw(3);

	end_all_by_crash();
	for (i = 0; i < SECTORS; i++) {
		struct sector *s = &ideal.sectors[i];

		become(s, mood == 0 ? s->durable : mood == 1 ? s->nr - 1 :
		       s->durable + draw(s->nr - s->durable));
	}
}

struct profile {
	u32 flushes, discards;	/* of 100 operations */
	u32 crashes;		/* of 1000 steps */
	u32 steps, flying;
};

static void step(const struct profile *p)
{
	struct flight *f = &ideal.flying[draw(p->flying)];

	ideal.now += draw(4) != 0;	/* at the same time now and then */
	if (draw(1000) < p->crashes) {
		ideal.now++;
		crash();
		ideal.now++;
	} else if (f->kind == NOTHING) {
		begin_one(f, p->flushes, p->discards);
	} else if (f->done < f->nr && draw(2)) {
		take_effect(f);
	} else if (draw(2)) {
		end_one(f);
	}
}

static void run_ideal(u64 seed, const struct profile *p)
{
	u32 i;

	ideal_start(seed);
	for (i = 0; i < p->steps; i++)
		step(p);
}

static const struct profile profiles[] = {
	{ 10, 0, 10, 300, FLYING },
	{ 10, 5, 10, 300, FLYING },
	{ 10, 2, 30, 300, 3 },
	{ 3, 0, 3, 300, 1 },
	{ 0, 0, 1, 3000, 4 },		/* no flush: old versions get blurred */
	{ 10, 0, 0, 3000, FLYING },	/* no crash: they get forgotten */
};

static void ideal_disk(void)
{
	u64 seed;

	for (seed = 0; seed < 3000; seed++)
		run_ideal(seed, &profiles[seed % ARRAY_SIZE(profiles)]);
	CHECK(o.nr_reads);
}

/* --- planted faults --- */

static const char *read_now(u64 sector, u64 id)
{
	struct flight f = { READ, .sector = sector, .nr = 1, .found = { id } };

	f.begin = ++ideal.now;
	ideal.now++;
	return end_read(&f);
}

/* Something that surely ended before the newest was read: it cannot come back. */
static bool plant_going_back(u64 sector)
{
	struct sector *s = &ideal.sectors[sector];
	u64 id = newest(s)->id, old;
	u32 i = draw(s->nr);

	if (s->discarded)
		return false;
	old = s->entries[i].id;
	if (s->entries[i].end >= ideal.now || old == id)
		return false;
	no_alarm(read_now(sector, id));
	CHECK(read_now(sector, old));
	return true;
}

static bool plant_late_failure(u64 sector)
{
	struct sector *s = &ideal.sectors[ideal.failed_sector];
	u32 i;

	if (!ideal.failed_id || s->discarded)
		return false;
	for (i = 0; i < FLYING; i++)
		if (ideal.flying[i].kind == WRITE && ideal.flying[i].id == ideal.failed_id)
			return false;
	no_alarm(read_now(ideal.failed_sector, newest(s)->id));
	CHECK(read_now(ideal.failed_sector, ideal.failed_id));
	return true;
}

/* Overwritten before the read began, and nobody had to see it. */
static bool plant_stale(u64 sector)
{
	const struct sector *s = &ideal.sectors[sector];
	u32 i, k;

	if (s->nr < 3)
		return false;
	i = draw(s->nr - 1);
	if (s->discarded)
		return false;
	for (k = i + 1; k < s->nr; k++) {
		if (!s->entries[k].well || s->entries[i].end >= s->entries[k].begin)
			continue;
		ideal.now++;
		CHECK(read_now(sector, s->entries[i].id));
		return true;
	}
	return false;
}

static bool plant_lost_flush(u64 sector)
{
	struct sector *s = &ideal.sectors[sector];
	u32 i;

	if (!s->sure)
		return false;
	i = draw(s->sure);
	if (s->discarded)
		return false;
	if (s->entries[i].end >= s->entries[s->sure].begin || !s->entries[s->sure].well)
		return false;
	ideal.now++;
	end_all_by_crash();
	CHECK(read_now(sector, s->entries[i].id));
	return true;
}

static bool plant_unpinned(u64 sector)
{
	struct sector *s = &ideal.sectors[sector];
	u32 was, other;

	if (s->nr < 2 || s->discarded)
		return false;
	ideal.now++;
	end_all_by_crash();
	was = s->durable + draw(s->nr - s->durable);
	other = draw(s->nr);
	if (s->entries[other].id == s->entries[was].id)
		other = was ? was - 1 : was + 1;
	if (other >= s->nr)
		other = 0;
	no_alarm(read_now(sector, s->entries[was].id));
	if (draw(2))
		oracle_crash(&o, ++ideal.now);
	CHECK(read_now(sector, s->entries[other].id));
	return true;
}

/* These are faults whatever happened before. */
static bool plant_garbage(u64 sector)
{
	u64 data[WORDS], id = newest(&ideal.sectors[sector])->id;

	if (!id)
		return false;
	switch (draw(3)) {
	case 0:
		oracle_fill(&o, id, (sector + 1) % SECTORS, 1, data);
		break;
	case 1:
		oracle_fill(&o, o.next_id + draw(10) + 1, sector, 1, data);
		break;
	default:
		oracle_fill(&o, id, sector, 1, data);
		data[draw(WORDS)] ^= 1ull << draw(64);
		break;
	}
	ideal.now++;
	CHECK(oracle_read_end(&o, sector, 1, data, ideal.now, ideal.now));
	return true;
}

static void plant(bool (*fault)(u64 sector), bool forget)
{
	u32 planted = 0, tries;
	u64 seed;

	for (seed = 0; seed < 2000; seed++) {
		struct profile p = profiles[seed % 4];

		p.steps = 20 + seed % 100;
		if (forget)
			p = profiles[5];
		run_ideal(seed, &p);
		for (tries = 0; tries < 20 && !fault(tries % SECTORS); tries++)
			step(&p);
		planted += tries < 20;
		if (forget && seed > 50)
			break;
	}
	CHECK_SAY(planted > (forget ? 20 : 300), "planted only %u", planted);
}

static void planted_going_back(void) { plant(plant_going_back, false); }
static void planted_late_failure(void) { plant(plant_late_failure, false); }
static void planted_stale(void) { plant(plant_stale, false); }
static void planted_stale_later(void) { plant(plant_stale, true); }
static void planted_lost_flush(void) { plant(plant_lost_flush, false); }
static void planted_unpinned(void) { plant(plant_unpinned, false); }
static void planted_garbage(void) { plant(plant_garbage, false); }

/* --- the simulator's disk, which must be as good as ideal --- */

/* True: an alarm. */
static bool simulated_disk_run(u64 seed, bool lie)
{
	u64 data[4 * WORDS], now = 1, id;
	struct sim_rng rng = { seed };
	struct sim_disk disk;
	const char *wrong = NULL;
	u32 steps;

	oracle_free(&o);
	oracle_init(&o, 32);
	sim_disk_init(&disk, 32, SIM_DISK_VOLATILE | SIM_DISK_FUA, NULL);
	for (steps = 0; steps < 400 && !wrong; steps++, now += 2) {
		u32 what = sim_rng_below(&rng, 100), nr = sim_rng_below(&rng, 4) + 1;
		u64 sector = sim_rng_below(&rng, 32 - nr + 1);

		if (what < 45) {
			id = oracle_write_begin(&o, sector, nr, what < 5, now);
			oracle_fill(&o, id, sector, nr, data);
			sim_disk_write(&disk, sector, data, nr, what < 5 && !lie);
			oracle_write_end(&o, id, true, now + 1);
		} else if (what < 90) {
			sim_disk_read(&disk, sector, data, nr);
			wrong = oracle_read_end(&o, sector, nr, data, now, now + 1);
		} else if (what < 93) {
			id = oracle_flush_begin(&o, now);
			sim_disk_flush(&disk);
			oracle_flush_end(&o, id, true, now + 1);
		} else if (what < 95) {
			id = oracle_discard_begin(&o, sector, nr, now);
			sim_disk_trim(&disk, sector, nr, sim_rng_next(&rng));
			oracle_discard_end(&o, id, true, now + 1);
		} else if (what < 97) {
			id = oracle_write_begin(&o, sector, nr, false, now);
			oracle_fill(&o, id, sector, nr, data);
			sim_disk_in_flight(&disk, sector, data, nr);
			oracle_crash(&o, now + 1);
			sim_disk_crash(&disk, &rng, SIM_MOOD_ANY);
		} else {
			id = oracle_write_begin(&o, sector, nr, false, now);
			oracle_fill(&o, id, sector, nr, data);
			sim_disk_write_torn(&disk, sector, data, nr, &rng);
			oracle_write_end(&o, id, false, now + 1);
		}
	}
	sim_disk_free(&disk);
	CHECK_SAY(lie || !wrong, "seed %llu: %s", (unsigned long long)seed, wrong);
	return wrong;
}

static void simulated_disk(void)
{
	u64 seed;

	for (seed = 0; seed < 1000; seed++)
		simulated_disk_run(seed, false);
}

/* A drive that takes FUA lightly is found out, perhaps not in every run. */
static void lying_disk(void)
{
	u32 found = 0;
	u64 seed;

	for (seed = 0; seed < 1000; seed++)
		found += simulated_disk_run(seed, true);
	CHECK(found > 100);
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		{ "ideal-disk", ideal_disk },
		{ "planted-going-back", planted_going_back },
		{ "planted-late-failure", planted_late_failure },
		{ "planted-stale", planted_stale },
		{ "planted-stale-later", planted_stale_later },
		{ "planted-lost-flush", planted_lost_flush },
		{ "planted-unpinned", planted_unpinned },
		{ "planted-garbage", planted_garbage },
		{ "simulated-disk", simulated_disk },
		{ "lying-disk", lying_disk },
	};

	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
