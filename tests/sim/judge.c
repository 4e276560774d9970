// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The second oracle: what is on the metadata device, and what counts as dirty.
 *
 * After every write to the metadata device, both what a reboot would find now
 * and what a power cut might leave (nothing that is pending) must load without
 * damage, with no block in two slots.
 *
 * After a crash the dirty set has bounds (architecture, "what a crash may do"):
 * what was dirty when a completed flush began and is still so must be in it;
 * what is neither dirty, nor in flight, nor under an intent must not.  Both
 * sets are kept up at every event of the devices.
 *
 * Clean means equal: a clean grain that nobody is writing is the same in its
 * slot and on the origin (I3, I7), and for what a power cut would find clean,
 * so is what it would leave of both (I1, I2, I4).
 */
#include "larder.h"

#include "kernel/sched.h"
#include "world.h"

#define FLUSHES_MAX 64
#define CUT_ONE_IN 6		/* writes to the metadata device: how a power cut goes there */
#define READ_ONE_IN 12		/* of these: all that could be read then */
#define COPIES_EVERY 32		/* events: then all copies are compared */

static struct judge {
	u64 nr_blocks;
	u64 used_blocks;	/* those behind are zero, here: */
	u64 *sure;		/* by block: grains that must be dirty */
	u64 *allowed;		/* ... that may be */
	u64 *now;		/* scratch: grains that are */
	bool known;		/* allowed has been filled in since the last forget */
	struct {
		u64 id;		/* 0: free */
		u64 *grains;
	} flush[FLUSHES_MAX];
	void *metadata;
	void *map;
	size_t map_bytes;
	u32 one_in;		/* of the metadata writes is judged */
	struct oracle oracle;	/* scratch: of what a power cut leaves */
	struct sim_disk cut[NR_DEVICES];
	struct sim_domain cut_ssd;
} j;

void judge_init(void)
{
	u32 i;

	/* blocks are 4 KiB at least */
	j.nr_blocks = world.config.origin_sectors / 8 + 2;
	j.sure = calloc(j.nr_blocks, sizeof(u64));
	j.allowed = calloc(j.nr_blocks, sizeof(u64));
	j.now = calloc(j.nr_blocks, sizeof(u64));
	for (i = 0; i < FLUSHES_MAX; i++) {
		j.flush[i].id = 0;
		j.flush[i].grains = calloc(j.nr_blocks, sizeof(u64));
	}
	j.known = true;		/* nothing is dirty */
	/* not from worlds/lazy.c: a load touches so much that zeroing it at once is cheaper */
	if (posix_memalign(&j.metadata, PAGE_SIZE, metadata_bytes()))
		sim_fail("no memory");
	j.map = NULL;
	j.map_bytes = 0;
	j.used_blocks = 0;
	j.one_in = world_one_in(4) ? 1 : 24;
}

void judge_free(void)
{
	u32 i;

	for (i = 0; i < FLUSHES_MAX; i++)
		free(j.flush[i].grains);
	oracle_free(&j.oracle);
	free(j.sure);
	free(j.allowed);
	free(j.now);
	free(j.metadata);
	free(j.map);
}

void judge_forget(void)
{
	u32 i;

	memset(j.sure, 0, j.nr_blocks * sizeof(u64));
	memset(j.allowed, 0, j.nr_blocks * sizeof(u64));
	j.known = true;
	for (i = 0; i < FLUSHES_MAX; i++)
		j.flush[i].id = 0;
}

/* --- clean means equal --- */

/* What may be looked at. */
enum view {
	NOW,
	DURABLE,		/* what a power cut leaves for sure */
	CUT,			/* what one might leave, see cut_power() */
};

static struct sim_view view_of(enum device_name dev, enum view view)
{
	return (struct sim_view){
		.disk = view == CUT ? &j.cut[dev] : &devices.dev[dev].disk,
		.durable = view == DURABLE,
		.cells = world.pi.pass,
	};
}

static void read_sectors(enum device_name dev, enum view view, u64 sector, void *data, u32 nr)
{
	struct sim_disk *disk = view == CUT ? &j.cut[dev] : &devices.dev[dev].disk;

	if (view == DURABLE)
		sim_disk_read_durable(disk, sector, data, nr);
	else
		sim_disk_read(disk, sector, data, nr);
}

/* Copies of the disks lose their power. */
static void cut_power(void)
{
	struct sim_disk *ssd[] = { &j.cut[DEV_METADATA], &j.cut[DEV_CACHE] };
	struct sim_rng rng = { .state = sim_mix(devices.nr_events) };
	bool shared = devices.topology == ONE_SSD;
	u32 i;

	if (shared)
		sim_domain_clone(&j.cut_ssd, ssd, &devices.ssd);
	for (i = 0; i < NR_DEVICES; i++) {
		if (!shared || i == DEV_ORIGIN)
			sim_disk_clone(&j.cut[i], &devices.dev[i].disk);
		devices_hand_in(&devices.dev[i], &j.cut[i]);
	}
	for (i = 0; i < NR_DEVICES; i++)
		if (!shared || i != DEV_CACHE)
			sim_disk_crash(&j.cut[i], &rng, SIM_MOOD_ANY);
}

static void end_cut(void)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		sim_disk_free(&j.cut[i]);
	if (devices.topology == ONE_SSD)
		sim_domain_free(&j.cut_ssd);
}

/* But for tuples that may differ.  *equal: up to where. */
static bool are_equal(struct sim_view ssd, u64 place, struct sim_view origin, u64 sector, u32 n,
		      u64 *equal)
{
	u32 done = 0;

	while (done < n) {
		done += sim_disk_equal(ssd, place + done, origin, sector + done, n - done);
		if (done == n)
			break;
		*equal = done;
		if (!tuples_may_differ(ssd, place + done, origin, sector + done))
			return false;
		done += world.pi.unit;
	}
	return true;
}

static void compare_grains(const struct slotmap *map, u32 slot, u64 grains, enum view view)
{
	struct sim_view ssd = view_of(DEV_CACHE, view), origin = view_of(DEV_ORIGIN, view);
	u64 block = slot_block(&map->slots[slot]), start = geometry_block_start(map->g, block);
	u64 slot_start = geometry_slot_start(map->g, slot), equal;
	u32 length = geometry_block_length(map->g, block), at, n;

	/* an origin that has just shrunk: the metadata do not know that yet */
	length = start < world.sectors ? (u32)min((u64)length, world.sectors - start) : 0;
	for (at = 0; at < length; at += n) {
		n = min(1u << map->g->grain_shift, length - at);
		if (!(grains >> (at >> map->g->grain_shift) & 1))
			continue;
		if (are_equal(ssd, slot_start + at, origin, start + at, n, &equal))
			continue;
		sim_fail("clean, but not equal%s: sector %llu of the origin and slot %u%s",
			 view == NOW ? "" : " after a power cut",
			 (unsigned long long)(start + at + equal), slot,
			 world.pi.pass ? " (data or tuple)" : "");
	}
}

static void compare_copies(const struct slotmap *map, enum view view)
{
	u32 slot;

	for (slot = 0; slot < map->nr_slots; slot++) {
		u64 word = slot_word(map, slot), grains = slot_valid(map, slot) &
							  ~slot_dirty(map, slot);
		u64 block = slot_block(&map->slots[slot]);

		/* FORGETTING: the record may still be there (I2) */
		if ((word_state(word) == SLOT_VALID || word_state(word) == SLOT_FORGETTING) &&
		    !(word & WORD_WRITERS_MASK) && grains &&
		    !map->shards[slotmap_shard(map, block)].origin_writers)
			compare_grains(map, slot, grains, view);
	}
}

/* --- the dirty set --- */

static struct larder_cache *loaded_cache(void)
{
	struct larder_cache *c = world_cache();

	return c && c->loaded && c->map.slots ? c : NULL;
}

static bool has_block(const struct slotmap *map, u32 slot)
{
	return word_state(slot_word(map, slot)) != SLOT_FREE;
}

static void dirty_now(struct larder_cache *c)
{
	u32 slot;

	memset(j.now, 0, j.used_blocks * sizeof(u64));
	for (slot = 0; slot < c->map.nr_slots; slot++) {
		u64 block = slot_block(&c->map.slots[slot]);

		if (!has_block(&c->map, slot))
			continue;
		j.used_blocks = max(j.used_blocks, block + 1);
		j.now[block] |= slot_dirty(&c->map, slot);
	}
}

static bool in_list(const u64 *groups, u32 nr, u64 group)
{
	while (nr--)
		if (groups[nr] == group)
			return true;
	return false;
}

/* without giving way to others, as hbitmap_test() does here */
static bool has_bit(const struct hbitmap *hb, u64 bit)
{
	return test_bit(bit, hb->level[0]);
}

static u64 may_be_dirty(struct larder_cache *c, u32 slot)
{
	const struct larder_committer *k = &c->committer;
	u64 word = slot_word(&c->map, slot), group = slot_intent_group(slot);

	if (word_state(word) != SLOT_VALID || (word & WORD_WRITERS_MASK) ||
	    has_bit(&c->map.intent_live, group) ||
	    has_bit(&c->map.intent_wanted, group) ||
	    in_list(k->setting, k->nr_setting, group) ||
	    in_list(k->clearing, k->nr_clearing, group))
		return ~0ull;
	return slot_dirty(&c->map, slot);
}

void judge_event(void *unused)
{
	struct larder_cache *c = loaded_cache();
	u64 block;
	u32 slot, i;

	(void)unused;
	if (!c)
		return;
	tuples_watch();
	dirty_now(c);
	for (block = 0; block < j.used_blocks; block++)
		j.sure[block] &= j.now[block];
	for (i = 0; i < FLUSHES_MAX; i++)
		for (block = 0; j.flush[i].id && block < j.used_blocks; block++)
			j.flush[i].grains[block] &= j.now[block];
	memset(j.allowed, 0, j.used_blocks * sizeof(u64));
	for (slot = 0; slot < c->map.nr_slots; slot++)
		if (has_block(&c->map, slot))
			j.allowed[slot_block(&c->map.slots[slot])] |= may_be_dirty(c, slot);
	if (devices.nr_events % COPIES_EVERY == 0 && !devices.lost_its_way)
		compare_copies(&c->map, NOW);
}

/* Not while a durable record may name the block, and nobody holds its slot (I2). */
void judge_origin_changes(u64 sector, u32 sectors)
{
	struct larder_cache *c = loaded_cache();
	u64 block, end = sector + sectors;

	for (block = c ? geometry_block_of(&c->geometry, sector) : 0;
	     c && geometry_block_start(&c->geometry, block) < end; block++) {
		u32 slot = slotmap_find(&c->map, block);

		if (slot != SLOT_NONE && word_state(slot_word(&c->map, slot)) == SLOT_FORGETTING)
			sim_fail("the origin is written while block %llu is still in the metadata",
				 (unsigned long long)block);
	}
}

void judge_flush_begins(u64 id)
{
	struct larder_cache *c = loaded_cache();
	u32 i;

	for (i = 0; c && i < FLUSHES_MAX; i++) {
		if (j.flush[i].id)
			continue;
		dirty_now(c);
		j.flush[i].id = id;
		memcpy(j.flush[i].grains, j.now, j.used_blocks * sizeof(u64));
		return;
	}
}

void judge_flush_ended(u64 id)
{
	u64 block;
	u32 i;

	for (i = 0; i < FLUSHES_MAX; i++) {
		if (j.flush[i].id != id)
			continue;
		for (block = 0; block < j.used_blocks; block++)
			j.sure[block] |= j.flush[i].grains[block];
		j.flush[i].id = 0;
	}
}

void judge_before_crash(void)
{
	u32 i;

	judge_event(NULL);
	for (i = 0; i < FLUSHES_MAX; i++)
		j.flush[i].id = 0;
}

struct reader {
	const struct slotmap *map;
	enum view view;
};

static void read_copy(enum view view, enum device_name dev, u64 place, u64 sector, void *buffer)
{
	struct sim_view v = view_of(dev, view);

	read_sectors(dev, view, place, buffer, 1);
	if (dev == DEV_CACHE && tuples_damaged(v, place))
		tuples_mend_sector(place, buffer);
	tuples_check_disk(v.disk, v.durable, place, sector,
			  view == CUT ? "after a power cut" : "after a crash");
}

/* What a read would find, without one, which would change what is in the cache. */
static int read_through(void *context, u64 sector, void *buffer)
{
	const struct reader *r = context;
	const struct slotmap *map = r->map;
	u64 block = geometry_block_of(map->g, sector);
	u32 slot = slotmap_find(map, block), offset = sector - geometry_block_start(map->g, block);

	if (slot != SLOT_NONE && word_state(slot_word(map, slot)) != SLOT_FORGETTING &&
	    (slot_valid(map, slot) >> (offset >> map->g->grain_shift) & 1))
		read_copy(r->view, DEV_CACHE, geometry_slot_start(map->g, slot) + offset, sector,
			  buffer);
	else
		read_copy(r->view, DEV_ORIGIN, sector, sector, buffer);
	return 0;
}

void judge_sizes(void)
{
	struct larder_cache *c = loaded_cache();
	const struct geometry *g = c ? &c->geometry : NULL;
	u64 units = devices.dev[DEV_METADATA].bdev.sectors / LARDER_UNIT_SECTORS, slots;

	/* for want of memory it may have stayed as it was */
	if (!c || world.errors_expected)
		return;
	slots = min(devices.dev[DEV_CACHE].bdev.sectors / g->block_sectors,
		    (units - g->table_start) * LARDER_ENTRIES_PER_PAGE);
	if (g->nr_slots != slots || c->map.nr_slots != slots)
		sim_fail("the cache has %llu slots, there is room for %llu",
			 (unsigned long long)g->nr_slots, (unsigned long long)slots);
	if (memcmp(g, metadata_geometry(c->metadata), sizeof(*g)))
		sim_fail("the metadata know other sizes than the cache");
}

static void judge_cut(bool reads);

void judge_after_boot(void)
{
	struct larder_cache *c = loaded_cache();
	struct reader reader = { .view = NOW };
	const char *wrong;
	u64 block;

	if (!c || devices.lost_its_way)
		return;
	reader.map = &c->map;
	judge_sizes();
	compare_copies(&c->map, NOW);
	/* not when a resize has been cut short: the oracle knows the longer device already */
	wrong = world.oracle.sectors != world.sectors ? NULL :
		oracle_check_all(&world.oracle, read_through, &reader, ++world.tick);
	if (wrong)
		sim_fail("after the crash: %s", wrong);
	dirty_now(c);
	for (block = 0; block < j.used_blocks; block++) {
		if (j.now[block] & ~j.allowed[block])
			sim_fail("after the crash, grains %llx of block %llu are dirty; %llx might be",
				 (unsigned long long)j.now[block], (unsigned long long)block,
				 (unsigned long long)j.allowed[block]);
		if (j.sure[block] & ~j.now[block])
			sim_fail("after the crash, grains %llx of block %llu are dirty; %llx must be",
				 (unsigned long long)j.now[block], (unsigned long long)block,
				 (unsigned long long)j.sure[block]);
	}
	judge_event(NULL);
	/* what the drives still held has been seen now: no power cut may take it back (I3, I6) */
	if (world.host_crashed)
		judge_cut(true);
}

void judge_all_clean(void)
{
	struct larder_cache *c = loaded_cache();
	u64 block;

	if (!c)
		return;
	dirty_now(c);
	for (block = 0; block < j.used_blocks; block++)
		if (j.now[block])
			sim_fail("said to be clean, but block %llu is dirty",
				 (unsigned long long)block);
}

/* --- what is on the metadata device --- */

struct reading {
	struct slotmap map;
	struct {
		u64 slots;
		u8 intent;
	} *intents;		/* by page */
	bool writes;		/* is allowed to */
	enum view view;
	char what[80];
	u64 unit;
};

static int read_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	struct reading *r = context;

	return slotmap_load_entry(&r->map, slot, entry);
}

static int read_intent(void *context, u64 page, u8 intent, u64 slots)
{
	struct reading *r = context;

	/* the last one of a page counts, and after all entries */
	r->intents[page].slots = slots;
	r->intents[page].intent = intent;
	return 0;
}

static bool read_damage(void *context, u64 unit, const char *what)
{
	struct reading *r = context;

	r->unit = unit;
	snprintf(r->what, sizeof(r->what), "%s", what);
	return false;
}

static void perform_write(struct sim_disk *disk, const struct metadata_io *io)
{
	u32 i;

	if (io->kind != METADATA_FLUSH)
		sim_disk_write(disk, io->unit * LARDER_UNIT_SECTORS, io->buffer,
			       io->nr_units * LARDER_UNIT_SECTORS, false);
	for (i = 0; i < NR_DEVICES; i++)
		sim_disk_flush(&devices.dev[i].disk);
}

static int run_operation(struct reading *r, struct metadata_op *op)
{
	struct sim_disk *disk = &devices.dev[DEV_METADATA].disk;
	struct metadata_io io;
	int rc = 0;

	while ((rc = metadata_step(op, rc, &io)) == METADATA_IO) {
		u64 sector = io.unit * LARDER_UNIT_SECTORS;
		u32 sectors = io.nr_units * LARDER_UNIT_SECTORS;

		if (io.kind != METADATA_READ && !r->writes)
			sim_fail("a load that only looks writes");
		if (io.kind != METADATA_READ)
			perform_write(disk, &io);
		else
			read_sectors(DEV_METADATA, r->view, sector, io.buffer, sectors);
		rc = 0;
	}
	return rc;
}

static void take_map(struct reading *r, const struct geometry *g)
{
	size_t bytes = slotmap_bytes(g);

	if (bytes > j.map_bytes) {
		free(j.map);
		j.map_bytes = ALIGN(bytes, PAGE_SIZE);
		j.map = aligned_alloc(PAGE_SIZE, j.map_bytes);
	}
	memset(j.map, 0, bytes);
	slotmap_init(&r->map, g, j.map);
	r->intents = calloc(r->map.nr_pages, sizeof(*r->intents));
}

/* What users would find after a power cut, as after a crash that happens. */
static void judge_reads(const struct slotmap *map)
{
	struct reader reader = { .map = map, .view = CUT };
	const char *wrong;

	/* nor while the end goes: what the records say of it may be gone already */
	if (map->g->origin_sectors != world.sectors || world.oracle.sectors != world.sectors ||
	    world.shrinking_to)
		return;
	oracle_copy(&j.oracle, &world.oracle);
	oracle_crash(&j.oracle, world.tick + 1);
	wrong = oracle_check_all(&j.oracle, read_through, &reader, world.tick + 2);
	if (wrong)
		sim_fail("after a power cut: %s", wrong);
}

/* false: it is blank. */
static bool read_view(struct reading *r, struct geometry *g)
{
	struct metadata_visitor visitor = {
		.entry = read_entry,
		.intent = read_intent,
		.damage = read_damage,
		.context = r,
	};
	const char *view = r->view == NOW ? "now" : "after a power cut";
	struct metadata *md;
	u64 block, page;
	int rc;

	md = metadata_init(j.metadata,
			   devices.dev[DEV_METADATA].bdev.sectors / LARDER_UNIT_SECTORS);
	rc = run_operation(r, metadata_probe_begin(md));
	if (rc)
		sim_fail("metadata %s: probe failed with %d", view, rc);
	if (metadata_found(md) == METADATA_BLANK)
		return false;
	if (metadata_found(md) != METADATA_OURS)
		sim_fail("metadata %s: not ours any more (%d)", view, metadata_found(md));
	*g = *metadata_geometry(md);
	take_map(r, g);
	rc = run_operation(r, metadata_load_begin(md, &visitor, false));
	if (rc)
		sim_fail("metadata %s: load failed with %d, unit %llu: %s", view, rc,
			 (unsigned long long)r->unit, r->what);
	for (page = 0; page < r->map.nr_pages; page++)
		slotmap_load_intent(&r->map, page, r->intents[page].intent, r->intents[page].slots);
	free(r->intents);
	rc = slotmap_load_end(&r->map, metadata_formatted_slots(md), &block);
	if (rc)
		sim_fail("metadata %s: block %llu is in two slots, or where it cannot be", view,
			 (unsigned long long)block);
	return true;
}

/* The core's own code runs here: nobody comes in between, as in the module. */
static void judge_view(enum view which, bool reads)
{
	struct reading r = { .view = which };
	struct geometry g;

	sched_undivided(true);
	if (read_view(&r, &g)) {
		compare_copies(&r.map, which);
		if (reads)
			judge_reads(&r.map);
	}
	sched_undivided(false);
}

static void judge_cut(bool reads)
{
	cut_power();
	judge_view(CUT, reads || sim_rng_below(&world.judge_rng, READ_ONE_IN) == 0);
	end_cut();
}

static int ignore_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	return 0;
}

static int ignore_intent(void *context, u64 page, u8 intent, u64 slots)
{
	return 0;
}

/*
 * Somebody else has the cache for a moment, changes nothing and stops in order:
 * what a suspended one remembers is no longer good.  Not after a stop that could
 * not be recorded, as then it is all there is.
 */
void judge_visit(void)
{
	struct metadata_visitor visitor = { .entry = ignore_entry, .intent = ignore_intent };
	struct reading r = { .writes = true };
	struct metadata *md;

	md = metadata_init(j.metadata,
			   devices.dev[DEV_METADATA].bdev.sectors / LARDER_UNIT_SECTORS);
	if (devices.lost_its_way || run_operation(&r, metadata_probe_begin(md)) ||
	    metadata_found(md) != METADATA_OURS ||
	    !(le32_to_cpu(metadata_super(md)->flags) & LARDER_SUPER_CLEAN))
		return;
	if (run_operation(&r, metadata_load_begin(md, &visitor, true)) ||
	    run_operation(&r, metadata_activate_begin(md, metadata_geometry(md)->origin_sectors, 0,
						      "visitor", NULL)) ||
	    run_operation(&r, metadata_stop_begin(md)))
		sim_fail("metadata of an orderly stop cannot be activated");
}

void judge_metadata(void *unused)
{
	(void)unused;
	if (devices.lost_its_way)
		return;
	if (sim_chance(j.one_in)) {
		judge_view(NOW, false);
		judge_view(DURABLE, false);
	}
	/* a recovery writes little, and seldom is a crash in the midst of it */
	if (sim_chance(CUT_ONE_IN) || !loaded_cache())
		judge_cut(false);
}
