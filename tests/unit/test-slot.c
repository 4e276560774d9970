// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Steps on a single slot: holds, state changes, masks and their counts,
 * destage and what spoils it, and the records of it all.
 */
#include "maps.h"
#include "unit.h"

#define NARROW	128u	/* 16 grains, masks within the slot */
#define WIDE	512u	/* 64 grains */

static const u32 block_sizes[] = { NARROW, WIDE };

static const enum slot_state states[] = {
	SLOT_VALID, SLOT_FILLING, SLOT_DESTAGING, SLOT_FORGETTING,
};

static void make(struct fixture *f, u32 block_sectors)
{
	fixture_init(f, block_sectors, (u64)block_sectors * 4096, 256);
}

static u64 block_of(const struct fixture *f, u32 slot)
{
	return slot_block(&f->map.slots[slot]);
}

static bool hold_read(struct fixture *f, u32 slot)
{
	return slot_hold_read(&f->map, slot, block_of(f, slot));
}

static bool hold_write(struct fixture *f, u32 slot, bool sole)
{
	return slot_hold_write(&f->map, slot, block_of(f, slot), sole);
}

/* Without the state's own way there. */
static void force_state(struct fixture *f, u32 slot, enum slot_state state)
{
	u64 word = slot_word(&f->map, slot) & ~WORD_STATE_MASK;

	atomic64_set(&f->map.slots[slot].word, (s64)(word | state));
}

static void check_masks(const struct fixture *f, u32 slot, u64 valid, u64 dirty)
{
	CHECK_EQUAL(slot_valid(&f->map, slot), valid);
	CHECK_EQUAL(slot_dirty(&f->map, slot), dirty);
}

/* --- holds --- */

static void test_holds(void)
{
	unsigned int i;
	struct fixture f;

	make(&f, NARROW);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		u32 slot = fixture_slot(&f, states[i], 1, 0), version = version_of(&f.map, slot);
		bool reads = states[i] != SLOT_FORGETTING;
		bool writes = states[i] == SLOT_VALID || states[i] == SLOT_DESTAGING;

		CHECK(!slot_hold_read(&f.map, slot, block_of(&f, slot) + 1));
		CHECK(!slot_hold_read(&f.map, slot, block_of(&f, slot) + (1ull << 32)));
		CHECK(!slot_hold_write(&f.map, slot, block_of(&f, slot) + 1, false));
		CHECK(!holds_of(&f.map, slot));
		CHECK_EQUAL(hold_read(&f, slot), reads);
		CHECK_EQUAL(hold_read(&f, slot), reads);
		CHECK_EQUAL(holds_of(&f.map, slot), reads ? 2 * WORD_READER : 0);
		/* who reads changes nothing */
		CHECK_EQUAL(version_of(&f.map, slot), version);
		CHECK_EQUAL(hold_write(&f, slot, true), writes);
		CHECK_EQUAL(version_of(&f.map, slot), version + writes);
		CHECK(!hold_write(&f, slot, true));
		CHECK_EQUAL(hold_write(&f, slot, false), writes);
		CHECK_EQUAL(version_of(&f.map, slot), version + 2 * writes);
		if (writes) {
			slot_release_write(&f.map, slot);
			CHECK(!hold_write(&f, slot, true));
			slot_release_write(&f.map, slot);
			CHECK(hold_write(&f, slot, true));
			slot_release_write(&f.map, slot);
		}
		if (reads) {
			slot_release_read(&f.map, slot);
			slot_release_read(&f.map, slot);
		}
		CHECK(!holds_of(&f.map, slot));
		CHECK_EQUAL(state_of(&f.map, slot), states[i]);
	}
	CHECK_EQUAL(state_of(&f.map, 200), SLOT_FREE);
	CHECK(!slot_hold_read(&f.map, 200, 0));
	CHECK(!slot_hold_write(&f.map, 200, 0, false));
	fixture_free(&f);
}

/* As many as fit the word; one more is refused and harms nobody. */
static void test_hold_limits(void)
{
	const u32 readers = WORD_READERS_MASK / WORD_READER;
	const u32 writers = WORD_WRITERS_MASK / WORD_WRITER;
	struct fixture f;
	u32 slot, i;

	make(&f, NARROW);
	slot = fixture_slot(&f, SLOT_VALID, 1, 1);
	for (i = 0; i < readers; i++)
		CHECK(hold_read(&f, slot));
	CHECK(!hold_read(&f, slot));
	for (i = 0; i < writers; i++)
		CHECK(hold_write(&f, slot, false));
	CHECK(!hold_write(&f, slot, false));
	CHECK_EQUAL(holds_of(&f.map, slot), WORD_READERS_MASK | WORD_WRITERS_MASK);
	CHECK_EQUAL(state_of(&f.map, slot), SLOT_VALID);
	slot_release_read(&f.map, slot);
	CHECK(hold_read(&f, slot));
	for (i = 0; i < readers; i++)
		slot_release_read(&f.map, slot);
	for (i = 0; i < writers; i++)
		slot_release_write(&f.map, slot);
	CHECK(!holds_of(&f.map, slot));

	/* the version may run over without touching the rest */
	atomic64_set(&f.map.slots[slot].word, (s64)(0xffffffffull << 32 | SLOT_VALID));
	CHECK(hold_write(&f, slot, false));
	CHECK_EQUAL(slot_word(&f.map, slot), SLOT_VALID | WORD_WRITER);
	slot_release_write(&f.map, slot);
	atomic64_set(&f.map.slots[slot].word, (s64)(0xffffffffull << 32 | SLOT_VALID));
	CHECK(slot_change(&f.map, slot, SLOT_VALID, SLOT_FILLING, 0, NULL));
	CHECK_EQUAL(slot_word(&f.map, slot), SLOT_FILLING);
	fixture_free(&f);
}

/* --- state changes --- */

static void check_change(struct fixture *f, u32 slot, enum slot_state is, enum slot_state from,
			 enum slot_state to, unsigned int flags, unsigned int holds)
{
	bool wanted = is == from && !(holds & flags);
	u64 block = block_of(f, slot), before;
	u32 version = 0, generation;

	force_state(f, slot, SLOT_VALID);
	if (holds & NO_READERS)
		CHECK(hold_read(f, slot));
	if (holds & NO_WRITERS)
		CHECK(hold_write(f, slot, false));
	force_state(f, slot, is);
	before = slot_word(&f->map, slot);
	generation = shard_generation(&f->map, block);
	hbitmap_clear(&f->map.changed, slot);

	CHECK_SAY(slot_change(&f->map, slot, from, to, flags, &version) == wanted,
		  "from %u to %u, is %u, flags %u, holds %u", from, to, is, flags, holds);
	if (wanted) {
		CHECK_EQUAL(slot_word(&f->map, slot),
			    (before & ~WORD_STATE_MASK) + WORD_VERSION + to);
		CHECK_EQUAL(version, version_of(&f->map, slot));
	} else {
		CHECK_EQUAL(slot_word(&f->map, slot), before);
		CHECK_EQUAL(version, 0);
	}
	/* going to be forgotten: to be recorded, and no older fill may come */
	CHECK_EQUAL(hbitmap_test(&f->map.changed, slot), wanted && to == SLOT_FORGETTING);
	CHECK_EQUAL(shard_unmoved(&f->map, block, generation), !(wanted && to == SLOT_FORGETTING));

	if (holds & NO_READERS)
		slot_release_read(&f->map, slot);
	if (holds & NO_WRITERS)
		slot_release_write(&f->map, slot);
}

static void test_changes(void)
{
	unsigned int is, from, to, n;
	struct fixture f;
	u32 slot;

	make(&f, NARROW);
	slot = fixture_slot(&f, SLOT_VALID, 1, 0);
	for (is = 0; is < ARRAY_SIZE(states); is++)
		for (from = 0; from < ARRAY_SIZE(states); from++)
			for (to = 0; to < ARRAY_SIZE(states); to++)
				/* all flags with all holds */
				for (n = 0; n < 16; n++)
					if (states[to] != SLOT_FORGETTING || n & NO_WRITERS)
						check_change(&f, slot, states[is], states[from],
							     states[to], n % 4, n / 4);
	fixture_free(&f);
}

static void test_insert(void)
{
	struct fixture f;
	u64 word;
	u32 slot;

	make(&f, NARROW);
	f.map.write_epoch = 77;
	slot = slotmap_take_free(&f.map);
	f.map.slots[slot].heat = 3;
	slot_insert(&f.map, slot, 1234, SLOT_VALID, 1);
	word = slot_word(&f.map, slot);
	CHECK_EQUAL(word, WORD_VERSION | WORD_WRITER | SLOT_VALID);
	CHECK_EQUAL(f.map.slots[slot].heat, 0);
	CHECK_EQUAL(f.map.slots[slot].write_epoch, 77);
	CHECK_EQUAL(slotmap_find(&f.map, 1234), slot);
	slot_release_write(&f.map, slot);
	CHECK(slot_change(&f.map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS, NULL));
	slot_unmap(&f.map, slot);
	/* for another block: the version goes on */
	slot_insert(&f.map, slot, 4000, SLOT_FILLING, 0);
	CHECK_EQUAL(slot_word(&f.map, slot), 4 * WORD_VERSION | SLOT_FILLING);
	CHECK(!slot_hold_read(&f.map, slot, 1234));
	CHECK(slot_hold_read(&f.map, slot, 4000));
	fixture_free(&f);
}

static void test_touch(void)
{
	struct fixture f;
	u32 slot, i;

	make(&f, NARROW);
	slot = fixture_slot(&f, SLOT_VALID, 1, 1);
	for (i = 1; i < 6; i++) {
		slot_touch(&f.map, slot);
		CHECK_EQUAL(f.map.slots[slot].heat, min_t(u32, i, f.map.heat_max));
	}
	/* lately is this epoch and the one before, also when the counter runs over */
	for (i = 0; i < 600; i++) {
		slot_touch_write(&f.map, slot);
		CHECK(slot_written_lately(&f.map, slot));
		f.map.write_epoch++;
		CHECK(slot_written_lately(&f.map, slot));
		f.map.write_epoch++;
		CHECK(!slot_written_lately(&f.map, slot));
	}
	fixture_free(&f);
}

/* --- masks --- */

/* What the slots should be; every slot VALID, its group's intent live. */
struct model {
	u64 valid, dirty;
	bool changed, lazy;
};

static void model_step(struct fixture *f, struct model *m, u32 slot, struct rng *rng)
{
	struct slotmap *map = &f->map;
	u64 grains = rng_next(rng) & rng_next(rng) & geometry_all_grains(&f->g), block;
	u32 generation;

	if (rng_below(rng, 10) == 0)
		grains = geometry_all_grains(&f->g);
	switch (rng_below(rng, 4)) {
	case 0:
	case 1:
		slot_written(map, slot, grains);
		m->changed |= (grains & ~m->dirty) != 0;
		m->valid |= grains;
		m->dirty |= grains;
		break;
	case 2:
		slot_filled(map, slot, grains, true);
		m->lazy |= (grains & ~m->valid) != 0;
		m->valid |= grains;
		break;
	case 3:
		block = block_of(f, slot);
		generation = shard_generation(map, block);
		slot_drop(map, slot, grains);
		CHECK(!shard_unmoved(map, block, generation));
		m->valid &= ~grains | m->dirty;
		m->changed = true;
		break;
	}
}

/* Written back at once, and durably. */
static void model_clean(struct fixture *f, struct model *m, u32 slot)
{
	u32 version;
	u64 grains;

	if (!m->dirty) {
		CHECK(!slot_destage_begin(&f->map, slot, &grains, &version));
		return;
	}
	CHECK(slot_destage_begin(&f->map, slot, &grains, &version));
	CHECK_EQUAL(grains, m->dirty);
	CHECK(slot_clean_begin(&f->map, slot, grains, version));
	slot_clean_end(&f->map, slot, grains, true);
	m->dirty = 0;
	m->changed = true;
}

static void check_models(struct fixture *f, const struct model *models, u32 nr)
{
	u32 slot, nr_dirty = 0;

	for (slot = 0; slot < nr; slot++) {
		const struct model *m = &models[slot];

		check_masks(f, slot, m->valid, m->dirty);
		CHECK_EQUAL(hbitmap_test(&f->map.changed, slot), m->changed);
		CHECK_EQUAL(hbitmap_test(&f->map.lazy, slot), m->lazy);
		CHECK(!m->dirty || hbitmap_test(&f->map.dirty_regions,
						slotmap_region(&f->map, block_of(f, slot))));
		nr_dirty += m->dirty != 0;
	}
	CHECK_EQUAL(atomic64_read(&f->map.nr_dirty), nr_dirty);
	CHECK_EQUAL(atomic64_read(&f->map.nr_used), nr);
}

static void test_masks(void)
{
	struct rng rng = { 9 };
	unsigned int i, step;
	struct fixture f;
	u32 slot;

	for (i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		struct model models[20] = { };

		make(&f, block_sizes[i]);
		for (slot = 0; slot < 20; slot++) {
			CHECK_EQUAL(fixture_slot(&f, SLOT_VALID, 0, 0), slot);
			hbitmap_set(&f.map.intent_live, slot_intent_group(slot));
		}
		for (step = 0; step < 5000; step++) {
			slot = rng_below(&rng, 20);
			if (rng_below(&rng, 8) == 0)
				model_clean(&f, &models[slot], slot);
			else
				model_step(&f, &models[slot], slot, &rng);
			check_models(&f, models, 20);
		}
		fixture_free(&f);
	}
}

/* A discard drops dirty data too, but only when it is going to be forgotten. */
static void test_discard(void)
{
	unsigned int i;
	struct fixture f;
	u32 slot, other;

	for (i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		make(&f, block_sizes[i]);
		slot = fixture_slot(&f, SLOT_VALID, 0xf0ff, 0x00f0);
		other = fixture_slot(&f, SLOT_VALID, 0xff, 0);
		CHECK_EQUAL(atomic64_read(&f.map.nr_dirty), 1);
		CHECK(slot_change(&f.map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS, NULL));
		CHECK(slot_change(&f.map, other, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS, NULL));
		slot_discard(&f.map, slot);
		slot_discard(&f.map, other);
		check_masks(&f, slot, 0, 0);
		CHECK_EQUAL(atomic64_read(&f.map.nr_dirty), 0);
		CHECK_EQUAL(atomic64_read(&f.map.nr_used), 2);
		slot_unmap(&f.map, slot);
		slot_unmap(&f.map, other);
		CHECK_EQUAL(atomic64_read(&f.map.nr_used), 0);
		fixture_free(&f);
	}
}

/* --- destage --- */

#define DIRTY	0x0f0full
#define VALID	0xff0full

static u32 destage_slot(struct fixture *f, u64 *grains, u32 *version)
{
	u32 slot = fixture_slot(f, SLOT_VALID, VALID, DIRTY);

	CHECK(slot_destage_begin(&f->map, slot, grains, version));
	CHECK_EQUAL(*grains, DIRTY);
	CHECK_EQUAL(*version, version_of(&f->map, slot));
	CHECK_EQUAL(state_of(&f->map, slot), SLOT_DESTAGING);
	return slot;
}

static void check_after(struct fixture *f, u32 slot, u64 valid, u64 dirty)
{
	check_masks(f, slot, valid, dirty);
	CHECK_EQUAL(atomic64_read(&f->map.nr_dirty), dirty != 0);
	CHECK_EQUAL(state_of(&f->map, slot), SLOT_VALID);
	CHECK(!dirty || hbitmap_test(&f->map.dirty_regions,
				     slotmap_region(&f->map, block_of(f, slot))));
}

static void test_destage_refused(void)
{
	struct fixture f;
	u32 version, slot;
	unsigned int i;
	u64 grains;

	make(&f, NARROW);
	slot = fixture_slot(&f, SLOT_VALID, VALID, DIRTY);
	CHECK(hold_write(&f, slot, false));
	CHECK(!slot_destage_begin(&f.map, slot, &grains, &version));
	slot_release_write(&f.map, slot);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		force_state(&f, slot, states[i]);
		CHECK_EQUAL(slot_destage_begin(&f.map, slot, &grains, &version),
			    states[i] == SLOT_VALID);
	}
	slot = fixture_slot(&f, SLOT_VALID, VALID, 0);
	CHECK(!slot_destage_begin(&f.map, slot, &grains, &version));
	/* a reader does not mind */
	slot = fixture_slot(&f, SLOT_VALID, VALID, DIRTY);
	CHECK(hold_read(&f, slot));
	CHECK(slot_destage_begin(&f.map, slot, &grains, &version));
	CHECK(slot_clean_begin(&f.map, slot, grains, version));
	fixture_free(&f);
}

static void test_destage(void)
{
	struct fixture f;
	unsigned int i;
	u32 slot, version;
	u64 grains;

	for (i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		make(&f, block_sizes[i]);
		slot = destage_slot(&f, &grains, &version);
		CHECK(slot_clean_begin(&f.map, slot, grains, version));
		/* clean for who writes now, but it still counts */
		check_masks(&f, slot, VALID, 0);
		CHECK_EQUAL(atomic64_read(&f.map.nr_dirty), 1);
		CHECK_EQUAL(state_of(&f.map, slot), SLOT_DESTAGING);
		CHECK(hbitmap_test(&f.map.changed, slot));
		slot_clean_end(&f.map, slot, grains, true);
		check_after(&f, slot, VALID, 0);
		CHECK(hbitmap_test(&f.map.changed, slot));
		fixture_free(&f);
	}
}

/* Any write hold since the destage began spoils it, whether it has ended or not. */
static void test_destage_spoiled(void)
{
	struct fixture f;
	unsigned int how;
	u32 slot, version;
	u64 grains, written;

	for (how = 0; how < 4; how++) {
		make(&f, how & 1 ? NARROW : WIDE);
		slot = destage_slot(&f, &grains, &version);
		CHECK(hold_write(&f, slot, false));
		written = how & 1 ? 0x3ull << 4 : 1;
		hbitmap_set(&f.map.intent_live, slot_intent_group(slot));
		slot_written(&f.map, slot, written);
		if (how & 2)
			slot_release_write(&f.map, slot);
		CHECK(!slot_clean_begin(&f.map, slot, grains, version));
		check_after(&f, slot, VALID | written, DIRTY | written);
		/* what was recorded of it still holds */
		CHECK_EQUAL(hbitmap_test(&f.map.changed, slot), (written & ~DIRTY) != 0);
		if (!(how & 2))
			slot_release_write(&f.map, slot);
		/* and the next attempt takes all of it */
		CHECK(slot_destage_begin(&f.map, slot, &grains, &version));
		CHECK_EQUAL(grains, DIRTY | written);
		CHECK(slot_clean_begin(&f.map, slot, grains, version));
		slot_clean_end(&f.map, slot, grains, true);
		check_after(&f, slot, VALID | written, 0);
		fixture_free(&f);
	}
}

static void test_destage_commit_fails(void)
{
	struct fixture f;
	unsigned int i;
	u32 slot, version;
	u64 grains;

	for (i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		make(&f, block_sizes[i]);
		slot = destage_slot(&f, &grains, &version);
		hbitmap_clear(&f.map.dirty_regions, slotmap_region(&f.map, block_of(&f, slot)));
		CHECK(slot_clean_begin(&f.map, slot, grains, version));
		hbitmap_clear(&f.map.changed, slot);
		slot_clean_end(&f.map, slot, grains, false);
		check_after(&f, slot, VALID, DIRTY);
		CHECK(hbitmap_test(&f.map.changed, slot));
		fixture_free(&f);
	}
}

/* Between the two ends of the commit somebody writes (with an intent), or drops. */
static void test_destage_meanwhile(void)
{
	struct fixture f;
	unsigned int durable, what;
	u32 slot, version;
	u64 grains;

	for (durable = 0; durable < 2; durable++) {
		for (what = 0; what < 3; what++) {
			u64 valid = VALID, dirty = durable ? 0 : DIRTY;

			make(&f, durable == what % 2 ? NARROW : WIDE);
			slot = destage_slot(&f, &grains, &version);
			CHECK(slot_clean_begin(&f.map, slot, grains, version));
			if (what == 0) {
				hbitmap_set(&f.map.intent_live, slot_intent_group(slot));
				CHECK(hold_write(&f, slot, false));
				slot_written(&f.map, slot, 0x11);
				slot_release_write(&f.map, slot);
				valid |= 0x11;
				dirty |= 0x11;
			} else if (what == 1) {
				/* the origin is right from now on, even if it is newer */
				slot_drop(&f.map, slot, 0x3);
				valid &= ~0x3ull;
				dirty &= ~0x3ull;
			} else {
				slot_drop(&f.map, slot, VALID);
				valid = 0;
				dirty = 0;
			}
			slot_clean_end(&f.map, slot, grains, durable);
			check_after(&f, slot, valid, dirty);
			CHECK(hbitmap_test(&f.map.changed, slot));
			fixture_free(&f);
		}
	}
}

/* --- records --- */

static void check_record(const struct larder_record *record, u32 slot, u64 block_flags, u64 valid,
			 u64 dirty)
{
	static const u8 zero[3];

	CHECK_EQUAL(record->type, LARDER_RECORD_ENTRY);
	CHECK_EQUAL(le32_to_cpu(record->index), slot);
	CHECK_EQUAL(le64_to_cpu(record->block_flags), block_flags);
	CHECK_EQUAL(le64_to_cpu(record->valid), valid);
	CHECK_EQUAL(le64_to_cpu(record->dirty), dirty);
	CHECK(!memcmp(record->reserved, zero, sizeof(zero)));
}

static void test_record_states(void)
{
	struct larder_record record;
	unsigned int i, j;
	struct fixture f;
	u32 slot;

	for (j = 0; j < ARRAY_SIZE(block_sizes); j++) {
		make(&f, block_sizes[j]);
		for (i = 0; i < ARRAY_SIZE(states); i++) {
			bool forgotten = states[i] == SLOT_FORGETTING;
			u64 dirty = forgotten ? 0 : DIRTY;

			slot = fixture_slot(&f, states[i], VALID, dirty);
			hbitmap_set(&f.map.changed, slot);
			hbitmap_set(&f.map.lazy, slot);
			memset(&record, 0xff, sizeof(record));
			slot_record(&f.map, slot, false, &record);
			check_record(&record, slot,
				     forgotten ? 0 : block_of(&f, slot) | LARDER_ENTRY_USED,
				     forgotten ? 0 : VALID, dirty);
			CHECK(!hbitmap_test(&f.map.changed, slot));
			CHECK(forgotten || !hbitmap_test(&f.map.lazy, slot));
			slot_record_failed(&f.map, slot);
			CHECK(hbitmap_test(&f.map.changed, slot));
		}
		/* nothing left in it: free, as far as the disk knows */
		slot = fixture_slot(&f, SLOT_VALID, 0, 0);
		slot_record(&f.map, slot, true, &record);
		check_record(&record, slot, 0, 0, 0);
		fixture_free(&f);
	}
}

/* I4: what was filled from an origin that may lose it is not recorded until that is flushed. */
static void test_record_unsynced(void)
{
	struct larder_record record;
	struct fixture f;
	u64 used;
	u32 slot;

	make(&f, NARROW);
	slot = fixture_slot(&f, SLOT_VALID, 0, 0x1);
	used = block_of(&f, slot) | LARDER_ENTRY_USED;
	slot_filled(&f.map, slot, 0xf0, false);
	CHECK(hbitmap_test(&f.map.lazy, slot) && !hbitmap_test(&f.map.changed, slot));
	slot_record(&f.map, slot, false, &record);
	check_record(&record, slot, used, 0x1, 0x1);
	CHECK(hbitmap_test(&f.map.lazy, slot) && !hbitmap_test(&f.map.changed, slot));
	/* one that is synced does not vouch for the other */
	slot_filled(&f.map, slot, 0xf00, true);
	slot_record(&f.map, slot, false, &record);
	check_record(&record, slot, used, 0x1, 0x1);
	slot_record(&f.map, slot, true, &record);
	check_record(&record, slot, used, 0xff1, 0x1);
	CHECK(!hbitmap_test(&f.map.lazy, slot) && !hbitmap_test(&f.map.changed, slot));
	/* from now on without a flush */
	slot_record(&f.map, slot, false, &record);
	check_record(&record, slot, used, 0xff1, 0x1);
	/* the flush of a commit that failed may have failed */
	slot_record_failed(&f.map, slot);
	CHECK(hbitmap_test(&f.map.changed, slot));
	slot_record(&f.map, slot, false, &record);
	check_record(&record, slot, used, 0x1, 0x1);
	CHECK(hbitmap_test(&f.map.lazy, slot));
	slot_record(&f.map, slot, true, &record);
	check_record(&record, slot, used, 0xff1, 0x1);

	/* clean only: free on disk, until flushed */
	slot = fixture_slot(&f, SLOT_VALID, 0, 0);
	slot_filled(&f.map, slot, 0xff, false);
	slot_record(&f.map, slot, false, &record);
	check_record(&record, slot, 0, 0, 0);
	slot_record(&f.map, slot, true, &record);
	check_record(&record, slot, block_of(&f, slot) | LARDER_ENTRY_USED, 0xff, 0);

	/* the mark goes with the block */
	slot = fixture_slot(&f, SLOT_VALID, 0, 0);
	slot_filled(&f.map, slot, 0xff, false);
	CHECK(slot_change(&f.map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS, NULL));
	slot_unmap(&f.map, slot);
	slot_insert(&f.map, slot, 4000, SLOT_VALID, 0);
	slot_filled(&f.map, slot, 0xf, true);
	slot_record(&f.map, slot, false, &record);
	check_record(&record, slot, 4000 | LARDER_ENTRY_USED, 0xf, 0);
	fixture_free(&f);
}

/* What is recorded of all slots, loaded anew, is the same map. */
static void test_record_round_trip(void)
{
	struct larder_record record;
	struct rng rng = { 10 };
	struct fixture f, again;
	unsigned int i;
	u64 block;
	u32 slot;

	for (i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		make(&f, block_sizes[i]);
		fixture_blank(&again, block_sizes[i], f.g.origin_sectors, 256);
		f.next_block = 17;
		for (slot = 0; slot < 200; slot++) {
			u64 valid = (rng_next(&rng) | 1) & geometry_all_grains(&f.g);

			fixture_slot(&f, SLOT_VALID, valid, rng_next(&rng) & valid);
		}
		for (slot = 0; slot < 200; slot++) {
			struct larder_entry entry = { };

			slot_record(&f.map, slot, true, &record);
			entry.block_flags = record.block_flags;
			entry.valid = record.valid;
			entry.dirty = record.dirty;
			CHECK_EQUAL(slotmap_load_entry(&again.map, slot, &entry), 0);
		}
		CHECK_EQUAL(slotmap_load_end(&again.map, 256, &block), 0);
		for (slot = 0; slot < 256; slot++) {
			check_masks(&again, slot, slot_valid(&f.map, slot),
				    slot_dirty(&f.map, slot));
			CHECK_EQUAL(state_of(&again.map, slot), state_of(&f.map, slot));
			if (slot < 200)
				CHECK_EQUAL(slotmap_find(&again.map, block_of(&f, slot)), slot);
		}
		CHECK_EQUAL(atomic64_read(&again.map.nr_dirty), atomic64_read(&f.map.nr_dirty));
		CHECK_EQUAL(atomic64_read(&again.map.nr_used), atomic64_read(&f.map.nr_used));
		fixture_free(&f);
		fixture_free(&again);
	}
}

static const struct unit_test tests[] = {
	{ "holds", test_holds },
	{ "hold limits", test_hold_limits },
	{ "changes", test_changes },
	{ "insert", test_insert },
	{ "touch", test_touch },
	{ "masks", test_masks },
	{ "discard", test_discard },
	{ "destage refused", test_destage_refused },
	{ "destage", test_destage },
	{ "destage spoiled", test_destage_spoiled },
	{ "destage and failed commit", test_destage_commit_fails },
	{ "destage and others meanwhile", test_destage_meanwhile },
	{ "records by state", test_record_states },
	{ "records of unsynced fills", test_record_unsynced },
	{ "records loaded", test_record_round_trip },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
