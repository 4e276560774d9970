// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Protection information in a world: which devices have it, which tuple each
 * version of a sector has, and what may be seen of it.
 *
 * A version's id decides whether its write brings tuples, if the device takes
 * any then, and its application tags.  So a tuple is judged by the data it comes
 * with, and these by the oracle.  One other thing is legal, see
 * Documentation/integrity.rst: where nothing was ever written there are all ones
 * or, when it has been moved, what the block layer makes.
 *
 * In some worlds the cache device is a carrier, which does not know what it
 * keeps.  In some of their boots it has a format that the module cannot use.
 * Whether the module may carry afterwards is for it to know: what it then takes
 * for a tuple is judged as ever.
 */
#include "larder.h"

#include "kernel/sched.h"
#include "oracle-internal.h"
#include "world.h"

#define PI_ONE_IN 3		/* seeds */
#define CARRIER_ONE_IN 3	/* of those with the same profile on both devices */
#define DAMAGES_MAX 4
#define DAMAGE_ONE_IN 4		/* looks of the administrator */
#define BAD_ONE_IN 40		/* writes with tuples */
#define UNCHECKED_ONE_IN 4	/* requests with tuples */
#define WITHOUT_MAX 256

static struct {
	struct sim_rng rng;
	bool ref_tag;
	/* versions whose writes brought none, as the device took none: [from, to) */
	struct {
		u64 from, to;
	} without[WITHOUT_MAX];
	u32 nr_without;
	bool was_without;
	/* of a carrier */
	bool usable;		/* in this boot */
	bool sound;		/* all that is cached has its tuple */
	bool must_carry;	/* ... and the module has to know that */
	bool foretold;		/* ... and had to when it made the table */
	bool tags_lost;		/* what was cached may have been written back with made tuples */
	u32 nr_damages;
	struct damage {
		u64 place;		/* on the cache device, of a unit */
		u32 bit;		/* of the unit */
		bool cached;		/* something is, there, now */
		u64 sector;		/* of the origin */
		u64 lost_at;		/* the last time when nobody else had it */
	} damage[DAMAGES_MAX];
} t;

/* --- a world's devices --- */

static void pick_profiles(struct device_profile *origin, struct device_profile *cache)
{
	*origin = (struct device_profile){
		.type = sim_rng_below(&t.rng, 3) ? 1 : 3,
		.interval = sim_rng_below(&t.rng, 3) ? 512 : 4096,
		.tag_size = 2,
	};
	*cache = *origin;
	if (sim_rng_below(&t.rng, 5))
		return;
	switch (sim_rng_below(&t.rng, 5)) {
	case 0:
		origin->interval = 0;
		break;
	case 1:
		cache->interval = 0;
		break;
	case 2:
		cache->type = 4 - cache->type;
		break;
	case 3:
		cache->interval = 512 + 4096 - cache->interval;
		break;
	default:
		cache->tag_size = 0;
		break;
	}
}

void tuples_pick(void)
{
	struct sim_rng carriers = { .state = sim_mix(world.options.seed ^ 0x63617272ull) };
	struct world_pi *pi = &world.pi;

	memset(&t, 0, sizeof(t));
	*pi = (struct world_pi){ .unit = 1, .word = "" };
	/* of its own: without tuples a seed is what it was */
	t.rng.state = sim_mix(world.options.seed ^ 0x7475706c6573ull);
	sim_tuples_end_early = false;
	if (!world_may(WORLD_tuples) ||
	    (sim_rng_below(&t.rng, PI_ONE_IN) && !world.options.carriers))
		return;
	pick_profiles(&pi->origin, &pi->cache);
	pi->any = true;
	pi->pass = !memcmp(&pi->origin, &pi->cache, sizeof(pi->cache));
	pi->carrier = pi->pass && world_may(WORLD_carrier) &&
		      (!sim_rng_below(&carriers, CARRIER_ONE_IN) || world.options.carriers);
	if (pi->carrier) {
		pi->pass = false;
		pi->cache.type = 0;
		pi->cache.tag_size = 0;
		tuples_new_cache();
	}
	pi->unit = max(max(pi->origin.interval, pi->cache.interval) / SIM_SECTOR, 1u);
	t.ref_tag = pi->origin.type == 1;
	sim_tuples_end_early = sim_rng_below(&t.rng, 2);
	tuples_pick_word();
}

void tuples_pick_word(void)
{
	static const char *const words[] = { "", "pi=auto", "pi=require", "pi=off" };

	if (!world.pi.any)
		return;
	do {
		world.pi.word = words[sim_rng_below(&t.rng, ARRAY_SIZE(words))];
	} while (!world.pi.pass && !t.must_carry && !strcmp(world.pi.word, "pi=require"));
}

void tuples_begin(void)
{
	if (world.pi.origin.interval)
		devices_set_profile(DEV_ORIGIN, &world.pi.origin);
	if (world.pi.cache.interval)
		devices_set_profile(DEV_CACHE, &world.pi.cache);
}

bool tuples_chance(u32 n)
{
	return world.pi.any && sim_rng_below(&t.rng, n) == 0;
}

bool tuples_kept(void)
{
	return world.pi.pass || world.pi.carrier;
}

/* Before the table is loaded: has the carrier another format this time? */
void tuples_boot(void)
{
	struct blk_integrity *format = &devices.dev[DEV_CACHE].bdev.disk.integrity;

	if (!world.pi.carrier)
		return;
	t.usable = t.nr_damages || sim_rng_below(&t.rng, 4);
	format->metadata_size = t.usable ? SIM_TUPLE : 2 * SIM_TUPLE;
	if (t.usable)
		return;
	sim_log("fate: the format of the cache device is another one");
	t.sound = false;
	t.must_carry = false;
	t.tags_lost = true;
	if (!strcmp(world.pi.word, "pi=require"))
		world.pi.word = "pi=auto";
}

/* Whether they will pass is chosen with the table. */
void tuples_loaded(void)
{
	t.foretold = t.must_carry;
}

/* Nothing is cached, and nothing ever was. */
void tuples_new_cache(void)
{
	t.sound = world.pi.carrier;
	t.must_carry = world.pi.carrier;
}

static void carrier_resumed(void)
{
	struct larder_cache *c = world_cache();

	if (c->carrier && !t.usable)
		sim_fail("tuples are carried in a format that does not fit");
	if (!c->carrier && t.must_carry && !devices.lost_its_way)
		sim_fail("tuples are not carried, and nothing speaks against it");
	if (c->carrier != c->pi_kept || (c->pi && !c->carrier))
		sim_fail("it is not clear whether tuples are kept");
	t.sound = c->carrier;
	t.must_carry = c->carrier;
}

void tuples_resumed(void)
{
	bool passes = sim_dm_integrity(world.md), off = !strcmp(world.pi.word, "pi=off");
	bool should = world.pi.pass && !off;

	if (world.pi.carrier) {
		should = t.foretold && !off;
		carrier_resumed();
		/* carried from this resume on, they pass from the next table on, or already */
		if (t.must_carry && !t.foretold && !off)
			should = passes;
	}
	if (passes != should)
		sim_fail("tuples %s, and should%s", passes ? "pass" : "do not pass",
			 passes ? " not" : "");
}

/* --- versions --- */

/* Which one the sector's data are of; 0: zeros. */
static u64 version_in(const void *data)
{
	const u64 *words = data;

	return words[0] == MAGIC ? words[1] : 0;
}

static bool has_tags(u64 id)
{
	u32 i;

	for (i = 0; i < t.nr_without; i++)
		if (t.without[i].from <= id && id < t.without[i].to)
			return false;
	return sim_mix(id ^ sim_mix(world.options.seed)) % 4;
}

/* A write begins; the device takes no tuples now, or it does. */
static void note_write(u64 id, bool without)
{
	if (without && !t.was_without) {
		if (t.nr_without == WITHOUT_MAX)
			sim_fail("tuples are switched off more often than is thought of");
		t.without[t.nr_without++].from = id;
	}
	if (without)
		t.without[t.nr_without - 1].to = id + 1;
	t.was_without = without;
}

static u16 guard_of(const void *data)
{
	return sim_guard(data, world.pi.unit * SIM_SECTOR);
}

/* As devices_cell(), which knows the device instead. */
static u64 cell_of(struct sim_tuple tuple)
{
	if (sim_tuple_blank(&tuple))
		return 0;
	return ~((u64)tuple.guard << 48 | (u64)tuple.app << 32 | tuple.ref);
}

/* With the reference tag of type 1 counted from the interval. */
static struct sim_tuple own_tuple(u64 id, u64 sector, const void *data)
{
	struct sim_tuple tuple = { .guard = guard_of(data) };
	u64 tag = sim_mix(id ^ sim_mix(sector));

	/* the block layer's */
	if (!id || !has_tags(id))
		return tuple;
	tuple.app = (u16)(1 + tag % 0xfffe);
	if (!t.ref_tag)
		tuple.ref = (u32)(tag >> 32);
	return tuple;
}

bool tuples_fit(u64 sector, const void *data, u64 cell)
{
	struct sim_tuple made = { .guard = guard_of(data) };
	u64 id = version_in(data);

	return cell == cell_of(own_tuple(id, sector, data)) || (!id && !cell) ||
	       (t.tags_lost && cell == cell_of(made));
}

/* Of what a disk has for a sector of the origin. */
static u64 read_cell(const struct sim_disk *disk, bool durable, u64 place, u64 sector)
{
	struct sim_tuple tuple;
	u64 cell;

	sim_disk_read_cells(disk, durable, place, &cell, 1);
	if (!cell || !t.ref_tag || !(disk->flags & SIM_DISK_CARRIER))
		return cell;
	tuple = devices_tuple(cell);
	tuple.ref -= (u32)(sector / world.pi.unit);
	return cell_of(tuple);
}

void tuples_describe(u64 sector, const void *data, u64 cell, char *to, size_t size)
{
	struct sim_tuple is = devices_tuple(cell);
	struct sim_tuple own = own_tuple(version_in(data), sector, data);

	snprintf(to, size,
		 "sector %llu, write %llu: tuple %04x %04x %08x, expected %04x %04x %08x",
		 (unsigned long long)sector, (unsigned long long)version_in(data), is.guard, is.app,
		 is.ref, own.guard, own.app, own.ref);
}

/* For a disk, not by way of a device. */
void tuples_of_write(u64 id, u64 sector, const void *data, u64 *cells, u32 nr)
{
	u32 at;

	note_write(id, false);
	memset(cells, 0, nr * sizeof(*cells));
	for (at = 0; at < nr; at += world.pi.unit) {
		const u8 *unit = (const u8 *)data + (size_t)at * SIM_SECTOR;

		cells[at] = cell_of(own_tuple(id, sector + at, unit));
	}
}

/* --- requests --- */

static u64 pick_seed(u64 sector)
{
	switch (sim_rng_below(&t.rng, 3)) {
	case 0:
		return sector;
	case 1:
		return sector / world.pi.unit;
	default:
		return (u32)sim_rng_next(&t.rng);
	}
}

/* The device refuses it: one of its tuples does not fit. */
static void spoil(struct sim_request *r)
{
	u8 *at = r->tuples + sim_rng_below(&t.rng, r->sectors / world.pi.unit) * SIM_TUPLE;
	struct sim_tuple tuple = sim_unpack_tuple(at);

	if (t.ref_tag && sim_rng_below(&t.rng, 2))
		tuple.ref += 0x40000000;
	else
		tuple.guard ^= 1u << sim_rng_below(&t.rng, 16);
	sim_pack_tuple(at, tuple);
}

/* Memory for them, when it is to have some; *bad: with wrong ones.  Id: of a write, else 0. */
void tuples_begin_request(struct sim_request *r, u64 id, bool *bad)
{
	u32 unit = world.pi.unit, nr = r->sectors / unit, i;

	bool passes = sim_dm_integrity(world.md);

	*bad = false;
	if (id)
		note_write(id, !passes);
	if (!passes || !r->data)
		return;
	if (id ? !has_tags(id) : sim_rng_below(&t.rng, 2))
		return;
	while (!r->tuples)
		r->tuples = sim_alloc((size_t)nr * SIM_TUPLE, 16, true, GFP_NOWAIT);
	r->seed = pick_seed(r->sector);
	for (i = 0; id && i < nr; i++) {
		u64 at = (u64)i * unit;
		struct sim_tuple tuple = own_tuple(id, r->sector + at, r->data + at * SIM_SECTOR);

		if (t.ref_tag)
			tuple.ref = (u32)(r->seed + i);
		sim_pack_tuple(r->tuples + i * SIM_TUPLE, tuple);
	}
	*bad = id && sim_rng_below(&t.rng, BAD_ONE_IN) == 0;
	if (*bad)
		spoil(r);
	/* wrong ones may be taken then */
	r->unchecked = !*bad && sim_mix(r->seed) % UNCHECKED_ONE_IN == 0;
}

void tuples_end_read(const struct sim_request *r)
{
	u32 unit = world.pi.unit, nr = r->tuples ? r->sectors / unit : 0, i;
	char text[200];

	for (i = 0; i < nr; i++) {
		struct sim_tuple tuple = sim_unpack_tuple(r->tuples + i * SIM_TUPLE);
		const u8 *data = r->data + (size_t)i * unit * SIM_SECTOR;
		u64 cell, sector = r->sector + (u64)i * unit;

		if (t.ref_tag && !sim_tuple_blank(&tuple))
			tuple.ref -= (u32)(r->seed + i);
		cell = cell_of(tuple);
		if (tuples_fit(sector, data, cell))
			continue;
		tuples_describe(sector, data, cell, text, sizeof(text));
		sim_fail("read of %llu+%u: %s", (unsigned long long)r->sector, r->sectors, text);
	}
}

/* --- what is on disks --- */

/* A sector has been read from a disk: is its tuple right?  Of larger units, the first one looks. */
void tuples_check_disk(const struct sim_disk *disk, bool durable, u64 place, u64 sector,
		       const char *where)
{
	u8 data[8 * SIM_SECTOR];
	char text[200];
	u64 cell;

	if (!tuples_kept() || sector % world.pi.unit ||
	    ((disk->flags & SIM_DISK_CARRIER) && !t.sound))
		return;
	if (durable)
		sim_disk_read_durable(disk, place, data, world.pi.unit);
	else
		sim_disk_read((struct sim_disk *)disk, place, data, world.pi.unit);
	cell = read_cell(disk, durable, place, sector);
	tuples_mend(place, cell, data, disk);
	if (tuples_fit(sector, data, cell))
		return;
	tuples_describe(sector, data, cell, text, sizeof(text));
	sim_fail("%s: %s", where, text);
}

/* Copies that are not equal: may they be?  A unit of the cache device and one of the origin. */
bool tuples_may_differ(struct sim_view cache, u64 place, struct sim_view origin, u64 sector)
{
	u8 data[2][8 * SIM_SECTOR];
	u32 bytes = world.pi.unit * SIM_SECTOR;
	u64 cell[2];

	if (!tuples_kept() || (world.pi.carrier && !t.sound))
		return false;
	cell[0] = read_cell(cache.disk, cache.durable, place, sector);
	cell[1] = read_cell(origin.disk, origin.durable, sector, sector);
	if (cache.durable)
		sim_disk_read_durable(cache.disk, place, data[0], world.pi.unit);
	else
		sim_disk_read((struct sim_disk *)cache.disk, place, data[0], world.pi.unit);
	if (origin.durable)
		sim_disk_read_durable(origin.disk, sector, data[1], world.pi.unit);
	else
		sim_disk_read((struct sim_disk *)origin.disk, sector, data[1], world.pi.unit);
	tuples_mend(place, cell[0], data[0], cache.disk);
	return !memcmp(data[0], data[1], bytes) && tuples_fit(sector, data[0], cell[0]) &&
	       tuples_fit(sector, data[1], cell[1]);
}

/* --- damage on the cache device --- */

static struct damage *damage_at(u64 place)
{
	u32 i;

	for (i = 0; i < t.nr_damages; i++)
		if (t.damage[i].place == place)
			return &t.damage[i];
	return NULL;
}

/* What has been read from a unit of the cache device, as it was before a bit of it flipped. */
void tuples_mend(u64 place, u64 cell, void *data, const struct sim_disk *disk)
{
	const struct damage *d = disk == &devices.dev[DEV_ORIGIN].disk ? NULL : damage_at(place);

	if (d && cell && devices_tuple(cell).guard != guard_of(data))
		((u8 *)data)[d->bit / 8] ^= 1u << d->bit % 8;
}

bool tuples_mend_sector(u64 place, void *buffer)
{
	u64 start = place - place % world.pi.unit, at = (place - start) * SIM_SECTOR;
	const struct damage *d = damage_at(start);

	if (!d || d->bit / 8 < at || d->bit / 8 >= at + SIM_SECTOR)
		return false;
	((u8 *)buffer)[d->bit / 8 - at] ^= 1u << d->bit % 8;
	return true;
}

bool tuples_damaged(struct sim_view cache, u64 place)
{
	u64 start = place - place % world.pi.unit, cell;
	u8 data[8 * SIM_SECTOR];

	if (!damage_at(start))
		return false;
	sim_disk_read_cells(cache.disk, cache.durable, start, &cell, 1);
	if (cache.durable)
		sim_disk_read_durable(cache.disk, start, data, world.pi.unit);
	else
		sim_disk_read((struct sim_disk *)cache.disk, start, data, world.pi.unit);
	return cell && devices_tuple(cell).guard != guard_of(data);
}

/* Keeps account of who may get an error: where the cache has the only copy. */
void tuples_watch(void)
{
	struct sim_view cache = { .disk = &devices.dev[DEV_CACHE].disk };
	struct larder_cache *c = t.nr_damages ? world_cache() : NULL;
	u32 i;

	if (!c || !c->loaded || !c->map.slots)
		return;
	for (i = 0; i < t.nr_damages; i++) {
		struct damage *d = &t.damage[i];
		u32 slot = (u32)(d->place / c->geometry.block_sectors), offset;
		u64 grain;

		d->cached = false;
		if (slot >= c->map.nr_slots || word_state(slot_word(&c->map, slot)) == SLOT_FREE ||
		    !tuples_damaged(cache, d->place))
			continue;
		offset = d->place % c->geometry.block_sectors;
		grain = 1ull << (offset >> c->geometry.grain_shift);
		if (!(slot_valid(&c->map, slot) & grain))
			continue;
		d->cached = true;
		d->sector = geometry_block_start(&c->geometry, slot_block(&c->map.slots[slot])) +
			    offset;
		if (slot_dirty(&c->map, slot) & grain)
			d->lost_at = world.tick;
	}
}

/* Somebody got a protection error for this: rightly? */
bool tuples_lost(u64 sector, u32 sectors, u64 begin)
{
	u32 i;

	tuples_watch();
	for (i = 0; i < t.nr_damages; i++)
		if (t.damage[i].sector < sector + sectors &&
		    sector < t.damage[i].sector + world.pi.unit && begin <= t.damage[i].lost_at)
			return true;
	return false;
}

/* A bit of something that is cached flips. */
void tuples_damage(void)
{
	struct sim_disk *disk = &devices.dev[DEV_CACHE].disk;
	struct larder_cache *c = world_cache();
	struct damage *d = &t.damage[t.nr_damages];
	u32 unit = world.pi.unit, bit, slot, offset;
	u64 place, cell;

	if (!tuples_kept() || !tuples_chance(DAMAGE_ONE_IN) || t.nr_damages == DAMAGES_MAX ||
	    !world_may(WORLD_damage) || !sim_dm_integrity(world.md) || !c->loaded || !c->pi_kept)
		return;
	slot = (u32)sim_rng_below(&t.rng, c->map.nr_slots);
	offset = (u32)sim_rng_below(&t.rng, c->geometry.block_sectors);
	offset -= offset % unit;
	bit = (u32)sim_rng_below(&t.rng, unit * SIM_SECTOR * 8);
	place = geometry_slot_start(&c->geometry, slot) + offset;
	if (word_state(slot_word(&c->map, slot)) != SLOT_VALID || damage_at(place) ||
	    !(slot_valid(&c->map, slot) >> (offset >> c->geometry.grain_shift) & 1))
		return;
	sim_disk_read_cells(disk, false, place, &cell, 1);
	if (!cell || !sim_disk_flip(disk, place + bit / 8 / SIM_SECTOR, bit % (SIM_SECTOR * 8)))
		return;
	sim_log("fate: bit %u of cache sector %llu flips", bit, (unsigned long long)place);
	*d = (struct damage){ .place = place, .bit = bit };
	t.nr_damages++;
	tuples_watch();
}

/* Where the only copy is damaged, or may be soon; false: nowhere. */
bool tuples_next_lost(u64 *sector)
{
	u32 i;

	tuples_watch();
	for (i = 0; i < t.nr_damages; i++) {
		if (!t.damage[i].cached || t.damage[i].sector >= world.sectors)
			continue;
		*sector = t.damage[i].sector;
		return true;
	}
	return false;
}
