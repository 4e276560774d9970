// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The power goes at a point: with every set of the pending writes surviving,
 * or a sample of the sets where they are many.  The cache must come back with
 * allowed data, with nothing taken for clean that differs from the origin, and
 * with the same data once more (I3, I6), also in the other mode;
 * and with allowed data when it is cut while it comes back.
 */
#include "larder.h"

#include "worlds.h"

struct recovery {
	const char *table;
	u16 found[KNOWN_SECTORS_MAX];
	u8 *memory;
};

static struct recovery rec;

static void compare_block(const struct slotmap *map, u32 slot, u64 grains)
{
	u64 block = slot_block(&map->slots[slot]);
	u64 cached = geometry_slot_start(map->g, slot), start = geometry_block_start(map->g, block);
	u8 a[SIM_SECTOR], b[SIM_SECTOR];
	u32 i;

	for (i = 0; i < geometry_block_length(map->g, block); i++) {
		if (!(grains >> (i >> map->g->grain_shift) & 1))
			continue;
		sim_disk_read(&devices.dev[DEV_CACHE].disk, cached + i, a, 1);
		sim_disk_read(&devices.dev[DEV_ORIGIN].disk, start + i, b, 1);
		if (memcmp(a, b, SIM_SECTOR))
			sim_fail("after a crash, sector %llu counts as clean, but the origin has versions %x, the slot %x",
				 (unsigned long long)start + i,
				 known_versions(b, (u32)start + i),
				 known_versions(a, (u32)start + i));
	}
}

/* What is clean may be dropped at any time: then the origin's copy is the answer (I3). */
static void compare_copies(void)
{
	const struct slotmap *map = &machine_cache()->map;
	u32 slot;

	for (slot = 0; slot < map->nr_slots; slot++) {
		u64 word = slot_word(map, slot);

		if (word_state(word) == SLOT_VALID && !(word & WORD_WRITERS_MASK))
			compare_block(map, slot, slot_valid(map, slot) & ~slot_dirty(map, slot));
	}
}

static void recover_task(void *unused)
{
	blk_status_t status;
	u32 block, i, at;

	(void)unused;
	machine_boot(rec.table);
	compare_copies();
	for (block = 0; block < BLOCKS; block++) {
		at = block * worlds.chunk_sectors;
		status = machine_io(REQ_OP_READ, at, worlds.chunk_sectors, rec.memory);
		if (status)
			sim_fail("after the crash: a read of block %u failed with %u", block,
				 status);
		for (i = 0; i < worlds.chunk_sectors; i++)
			rec.found[at + i] = known_versions(rec.memory + i * SIM_SECTOR, at + i);
	}
}

static void recover(bool write_back)
{
	if (!rec.memory)
		rec.memory = aligned_alloc(PAGE_SIZE, KNOWN_SECTORS_MAX * SIM_SECTOR);
	rec.table = run_table(write_back);
	machine_run(recover_task, NULL);
	TALLY(recoveries, 1);
}

static void judge(const u16 *allowed, const char *when)
{
	u32 i;

	for (i = 0; i < machine.sectors; i++)
		if (!(rec.found[i] & allowed[i]))
			sim_fail("%s, sector %u has versions %x; allowed are %x", when, i,
				 rec.found[i], allowed[i]);
}

static bool is_new(u64 key)
{
	const u64 mask = (1u << 24) - 1;
	u64 at = sim_mix(key) & mask;

	key |= !key;
	for (;; at = (at + 1) & mask) {
		u64 found = __atomic_load_n(&worlds.seen[at], __ATOMIC_RELAXED);

		if (!found && __atomic_compare_exchange_n(&worlds.seen[at], &found, key, false,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			if (__atomic_add_fetch(&worlds.tally->seen, 1, __ATOMIC_RELAXED) >
			    mask / 4 * 3)
				sim_fail("the set of states is full");
			return true;
		}
		if (found == key)
			return false;
	}
}

/* The disks as the crash leaves them. */
static void cut(const struct point *p, const struct survivors *s)
{
	struct sim_rng rng = { .state = s->mask };

	snapshot_put(&p->disks);
	if (s->torn)
		machine_crash(&rng, s->mask & 1 ? SIM_MOOD_TEAR : SIM_MOOD_EACH_SECTOR);
	else
		machine_crash_subset(s->mask);
	machine_off();
}

static u64 hash_of(const struct point *p)
{
	u64 hash = sim_mix(known_hash(&p->known) ^ (u64)worlds.setup.topology << 1 ^
			   worlds.setup.write_back);
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		hash = sim_mix(hash + sim_disk_hash(&devices.dev[i].disk));
	return hash;
}

/* Cut again while it comes back. */
static void check_nested(const struct point *p, const struct survivors *s, u64 hash, u64 events)
{
	struct sim_rng rng = { .state = hash };

	cut(p, s);
	devices.stop_at = 1 + sim_rng_below(&rng, events);
	recover(worlds.setup.write_back);
	machine_crash(&rng, SIM_MOOD_ANY);
	machine_off();
	recover(worlds.setup.write_back);
	judge(p->known.may, "after a crash during the recovery");
}

void crash_check(u32 number, const struct survivors *s)
{
	const struct point *p = &worlds.point[number];
	u16 found[KNOWN_SECTORS_MAX];
	struct sim_rng rng;
	u64 events, hash;

	worlds.has_survivors = true;
	worlds.survivors = *s;
	cut(p, s);
	hash = hash_of(p);
	TALLY(states, 1);
	if (worlds.seen && !is_new(hash))
		return;
	TALLY(distinct, 1);
	recover(worlds.setup.write_back);
	judge(p->known.may, "after the crash");
	events = devices.nr_events;
	memcpy(found, rec.found, sizeof(found));

	rng.state = hash;
	machine_crash(&rng, SIM_MOOD_ANY);
	machine_off();
	recover(worlds.setup.write_back ^ (hash & 1));
	judge(found, "after one more crash");
	if (worlds.nested && hash % worlds.nested == 0)
		check_nested(p, s, hash, events);
}

static void check_point(u32 number)
{
	struct survivors s = { 0 };
	struct sim_rng rng = { .state = number };
	u64 pending, i;

	worlds.has_point = true;
	worlds.point_number = number;
	worlds.has_survivors = false;
	snapshot_put(&worlds.point[number].disks);
	pending = machine_pending();
	if (pending <= worlds.subset_bits) {
		for (s.mask = 0; s.mask >> pending == 0; s.mask++)
			crash_check(number, &s);
	} else {
		TALLY(sampled, 1);
		for (i = 0; i < worlds.samples; i++) {
			s.mask = i ? ~0ull : 0;
			if (i > 1)
				s.mask = sim_rng_next(&rng) &
					 (i & 1 ? sim_rng_next(&rng) : ~0ull);
			crash_check(number, &s);
		}
	}
	s.torn = true;
	for (i = 0; pending && i < worlds.torn; i++) {
		s.mask = sim_rng_next(&rng);
		crash_check(number, &s);
	}
	worlds.has_point = false;
}

void crash_check_all(void)
{
	u32 i;

	for (i = 0; i < worlds.nr_points; i++)
		check_point(i);
	worlds.has_survivors = false;
}
