// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata's life: probe (constructor, writes nothing), open (preresume:
 * format or recovery) and close (postsuspend: the last I/O).
 */
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "larder.h"

static const char *name_of(struct larder_cache *c)
{
	return dm_table_device_name(c->ti->table);
}

static int choose_geometry(struct larder_cache *c, u64 units, char **error)
{
	u64 cache_sectors = bdev_nr_sectors(c->cache_dev->bdev), needed = 0;

	switch (geometry_choose(&c->geometry, c->args.chunk_sectors, c->ti->len, cache_sectors,
				units, &needed)) {
	case GEOMETRY_OK:
		return 0;
	case GEOMETRY_CHUNK_RANGE:
		*error = "Chunk size must be a multiple of 8 sectors, from 8 to 2097152";
		return -EINVAL;
	case GEOMETRY_ORIGIN_SMALL:
		*error = "Origin is empty";
		return -EINVAL;
	case GEOMETRY_CACHE_SMALL:
		*error = "Cache device is smaller than one chunk";
		DMERR("%s: cache device has %llu sectors, one chunk needs %u", name_of(c),
		      cache_sectors, c->args.chunk_sectors);
		return -ENOSPC;
	case GEOMETRY_METADATA_SMALL:
		*error = "Metadata device is too small (the log says how much is needed)";
		DMERR("%s: metadata device has %llu KiB, at least %llu KiB are needed for a cache of %llu sectors in chunks of %u",
		      name_of(c), units * 4, needed * 4, cache_sectors, c->args.chunk_sectors);
		return -ENOSPC;
	case GEOMETRY_TOO_MANY_BLOCKS:
		break;
	}
	*error = "Too many blocks: use larger chunks";
	return -EINVAL;
}

static int check_ours(struct larder_cache *c, char **error)
{
	struct geometry *g = &c->geometry;

	*g = *metadata_geometry(c->metadata);
	if (g->chunk_sectors != c->args.chunk_sectors) {
		*error = "Chunk size differs from the one this cache was made with";
		DMERR("%s: the cache was made with chunks of %u sectors, the table says %u",
		      name_of(c), g->chunk_sectors, c->args.chunk_sectors);
		return -EINVAL;
	}
	return larder_check_cache_size(c, error);
}

/* Looks at the metadata device, writing nothing: the geometry is what it says, or a new one. */
static int probe(struct larder_cache *c, char **error)
{
	u64 units = bdev_nr_sectors(c->metadata_dev->bdev) / LARDER_UNIT_SECTORS;
	const char *foreign;
	int err;

	if (!c->metadata_memory) {
		c->metadata_memory = vzalloc(metadata_bytes());
		if (!c->metadata_memory) {
			*error = "Out of memory";
			return -ENOMEM;
		}
	}
	c->metadata = metadata_init(c->metadata_memory, units);
	err = larder_run_operation(c, metadata_probe_begin(c->metadata));
	if (err) {
		*error = "Cannot read the metadata device";
		return err;
	}
	switch (metadata_found(c->metadata)) {
	case METADATA_BLANK:
		return choose_geometry(c, units, error);
	case METADATA_OURS:
		return check_ours(c, error);
	case METADATA_FOREIGN:
		foreign = metadata_foreign(c->metadata);
		*error = "Metadata device holds something else (the log says what)";
		DMERR("%s: metadata device holds %s, not a dm-larder cache: to use it anyway, zero its first 4 KiB",
		      name_of(c), foreign ?: "unknown data");
		return -EINVAL;
	case METADATA_DAMAGED:
		*error = "Metadata device has a damaged superblock";
		DMERR("%s: neither superblock verifies: see larder(8), check", name_of(c));
		return -EUCLEAN;
	case METADATA_TOO_NEW:
		*error = "Metadata has features of a newer dm-larder, unknown to this one";
		DMERR("%s: version %u, incompatible features 0x%llx", name_of(c),
		      le32_to_cpu(metadata_super(c->metadata)->version),
		      le64_to_cpu(metadata_super(c->metadata)->incompat));
		return -EINVAL;
	case METADATA_BAD_GEOMETRY:
		break;
	}
	*error = "Superblock does not fit the metadata device (has it shrunk?)";
	return -EUCLEAN;
}

/*
 * Constructor: looks at the metadata device and decides the geometry.  A cache
 * that is live on the same devices may be writing at the same time: nothing
 * found here is relied upon, larder_open() looks again.
 */
int larder_probe(struct larder_cache *c, char **error)
{
	int err = probe(c, error);

	if (err || metadata_found(c->metadata) == METADATA_BLANK)
		return err;
	c->found = true;
	return larder_expect_sizes(c, error);
}

int larder_map_alloc(struct larder_cache *c, const struct geometry *g, struct larder_map *m)
{
	size_t bytes = slotmap_bytes(g);
	u32 i;

	m->shards = NULL;
	m->memory = vzalloc(bytes);
	if (!m->memory) {
		DMERR("%s: no memory for the slot map (%zu KiB)", name_of(c), bytes >> 10);
		return -ENOMEM;
	}
	slotmap_init(&m->map, g, m->memory);
	m->shards = kvcalloc(m->map.nr_shards, sizeof(*m->shards), GFP_KERNEL);
	if (!m->shards) {
		vfree(m->memory);
		return -ENOMEM;
	}
	for (i = 0; i < m->map.nr_shards; i++) {
		spin_lock_init(&m->shards[i].lock);
		INIT_LIST_HEAD(&m->shards[i].parked);
	}
	m->map.heat_max = c->policy_ops->heat_max;
	return 0;
}

/* In place of the one that the cache has, if any. */
void larder_map_install(struct larder_cache *c, const struct larder_map *m)
{
	void *memory = c->map_memory, *shards = c->shards;

	c->map = m->map;
	c->map.g = &c->geometry;
	c->map_memory = m->memory;
	c->shards = m->shards;
	kvfree(shards);
	vfree(memory);
}

void larder_map_free(const struct larder_map *m)
{
	kvfree(m->shards);
	vfree(m->memory);
}

void larder_unload(struct larder_cache *c)
{
	kvfree(c->shards);
	c->shards = NULL;
	vfree(c->map_memory);
	c->map_memory = NULL;
	c->loaded = false;
}

struct loading {
	struct larder_cache *c;
	struct page_intent {
		u64 slots;
		u8 intent;
	} *intents;
};

static int load_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	struct loading *l = context;

	return slotmap_load_entry(&l->c->map, slot, entry);
}

static int load_intent(void *context, u64 page, u8 intent, u64 slots)
{
	struct loading *l = context;

	l->intents[page] = (struct page_intent){ .slots = slots, .intent = intent };
	return 0;
}

static bool load_damage(void *context, u64 unit, const char *what)
{
	struct loading *l = context;

	DMERR("%s: metadata unit %llu: %s", name_of(l->c), unit, what);
	return false;
}

static int load(struct larder_cache *c)
{
	struct loading l = { .c = c };
	struct metadata_visitor visitor = {
		.entry = load_entry,
		.intent = load_intent,
		.damage = load_damage,
		.context = &l,
	};
	u64 page;
	int err;

	l.intents = vzalloc(array_size(c->map.nr_pages, sizeof(*l.intents)));
	if (!l.intents)
		return -ENOMEM;
	err = larder_run_operation(c, metadata_load_begin(c->metadata, &visitor, true));
	for (page = 0; !err && page < c->map.nr_pages; page++)
		slotmap_load_intent(&c->map, page, l.intents[page].intent,
				    l.intents[page].slots);
	vfree(l.intents);
	return err;
}

static int format(struct larder_cache *c)
{
	const struct metadata_identity who = { };
	u8 uuid[LARDER_UUID_SIZE];

	get_random_bytes(uuid, sizeof(uuid));
	uuid[0] |= 1;	/* not all zero */
	DMINFO("%s: new cache: %llu blocks of %u KiB", name_of(c), c->geometry.nr_slots,
	       c->geometry.block_sectors / 2);
	return larder_run_operation(c, metadata_format_begin(c->metadata, &c->geometry, uuid,
							     &who));
}

/* With the sizes that the metadata know: new ones come when all records fit them. */
static int activate(struct larder_cache *c)
{
	const struct metadata_identity who = { };

	return larder_run_operation(c, metadata_activate_begin(c->metadata,
							       c->geometry.origin_sectors,
							       c->args.mode, c->args.policy_name,
							       &who));
}

static void tell_policy(struct larder_cache *c)
{
	u32 slot;

	for (slot = 0; slot < c->map.nr_slots; slot++)
		if (word_state(slot_word(&c->map, slot)) != SLOT_FREE)
			c->policy_ops->load(&c->policy, slot, slot_block(&c->map.slots[slot]), 0,
					    false);
	c->policy_ops->load_end(&c->policy);
}

/* May this table go on with what is cached?  Before anything is written. */
static int check_content(struct larder_cache *c)
{
	s64 dirty = atomic64_read(&c->map.nr_dirty);

	if (c->args.mode == MODE_PASS_THROUGH && dirty) {
		DMERR("%s: %lld blocks are dirty: no pass-through mode before they are written back (policy cleaner)",
		      name_of(c), dirty);
		return -EINVAL;
	}
	return larder_check_end(c);
}

static int load_all(struct larder_cache *c, bool blank)
{
	struct larder_map m;
	u64 block = 0;
	int err;

	larder_unload(c);
	err = larder_map_alloc(c, &c->geometry, &m);
	if (err)
		return err;
	larder_map_install(c, &m);
	err = blank ? format(c) : load(c);
	if (err)
		return err;
	err = slotmap_load_end(&c->map, metadata_formatted_slots(c->metadata), &block);
	if (err) {
		DMERR("%s: metadata names block %llu twice, or in a slot that cannot be",
		      name_of(c), block);
		return err;
	}
	err = check_content(c);
	if (!err)
		err = activate(c);
	if (!err && metadata_formatted_slots(c->metadata) == 0)
		err = larder_run_operation(c, metadata_extend_begin(c->metadata));
	if (err)
		return err;
	slotmap_set_usable(&c->map, metadata_formatted_slots(c->metadata));
	c->loaded = true;
	c->stale = false;
	return 0;
}

/* A new cache is the end of what was there; a read may have gone to the wrong place: look twice. */
static int probe_anew(struct larder_cache *c, char **error)
{
	int err = probe(c, error);

	if (!err && metadata_found(c->metadata) == METADATA_BLANK)
		err = probe(c, error);
	return err;
}

static int load_anew(struct larder_cache *c)
{
	struct geometry before = c->geometry;
	char *error = NULL;
	bool blank;
	int err;

	err = probe_anew(c, &error);
	if (err) {
		DMERR("%s: %s", name_of(c), error);
		return err;
	}
	/* the queue's limits were made for the old one */
	if (!geometry_same_shape(&before, &c->geometry)) {
		DMERR("%s: the metadata has changed since the table was loaded: load it again",
		      name_of(c));
		return -ESTALE;
	}
	blank = metadata_found(c->metadata) == METADATA_BLANK;
	if (blank && larder_dirty_elsewhere(c)) {
		/* I8: a new cache here would forget data that only the SSD has */
		DMERR("%s: the metadata was wiped under a suspended cache with dirty blocks: put it back, or remove this table",
		      name_of(c));
		return -EUCLEAN;
	}
	if (blank && c->found) {
		DMERR("%s: the cache that was there when the table was loaded is gone from the metadata device: put it back, or load the table again for a new one",
		      name_of(c));
		return -EUCLEAN;
	}
	c->was_clean = blank || (le32_to_cpu(metadata_super(c->metadata)->flags) &
				 LARDER_SUPER_CLEAN);
	larder_policy_detach(c);
	return load_all(c, blank);
}

static int bring_up(struct larder_cache *c, bool *anew)
{
	int err = larder_find_state(c);
	char *error;

	*anew = !c->loaded;
	if (err)
		return err;
	if (*anew)
		return load_anew(c);
	if (larder_check_cache_size(c, &error)) {
		DMERR("%s: %s", name_of(c), error);
		return -EINVAL;
	}
	err = check_content(c);
	return err ?: activate(c);
}

/* After a plain resume the policy knows it all, with what messages have set. */
static int bring_up_policy(struct larder_cache *c)
{
	int err;

	if (c->policy_memory && c->policy.geometry.nr_slots == c->geometry.nr_slots &&
	    c->policy.geometry.nr_origin_blocks == c->geometry.nr_origin_blocks)
		return 0;
	err = c->policy_memory ? larder_policy_renew(c) : larder_policy_attach(c);
	if (!err)
		tell_policy(c);
	return err;
}

/* The devices may have other sizes than the metadata know of, see resize.c. */
static int adapt(struct larder_cache *c, bool anew)
{
	int err = larder_settle_end(c);

	/* what a crash left open is recorded before the first request (I3) */
	return err ?: larder_commit_now(c, true) ?: larder_resize(c, anew);
}

/* Brings the cache into a state in which requests may run. */
int larder_open(struct larder_cache *c)
{
	int err = larder_claim_metadata(c);
	bool anew;

	if (err) {
		DMERR("%s: another active cache uses the same metadata device: suspend or remove it first",
		      name_of(c));
		return err;
	}
	/* nobody but us works on the metadata; after a failure they may be somebody else's */
	larder_commit_stop(c, true);
	err = bring_up(c, &anew);
	if (err) {
		larder_release_metadata(c);
		DMERR("%s: cannot bring up the metadata (%d)%s", name_of(c), err,
		      err == -EUCLEAN ? ": it is damaged, see larder(8), check" : "");
		return err;
	}
	/* nothing of what was written before counts as flushed (I4) */
	c->committer.origin_ever_flushed = false;
	c->committer.cache_flushed = ~0ull;
	c->committer.cache_dirty_flushed = ~0ull;
	err = larder_pi_settle(c) ?: adapt(c, anew) ?: bring_up_policy(c);
	if (err) {
		DMERR("%s: cannot go on with the metadata (%d)", name_of(c), err);
		larder_release_metadata(c);
		return err;
	}
	/* all intents of before are withdrawn; new ones mean what this mode makes of them */
	c->map.intent_kind = c->args.mode == MODE_WRITE_BACK ? LARDER_INTENT_WRITE_BACK :
							       LARDER_INTENT_WRITE_THROUGH;
	larder_commit_stop(c, false);
	if (anew && !c->was_clean)
		DMINFO("%s: recovered after an unclean stop: %lld blocks cached, %lld of them dirty",
		       name_of(c), atomic64_read(&c->map.nr_used),
		       atomic64_read(&c->map.nr_dirty));
	return 0;
}

/* Makes everything durable and marks the stop as orderly: the last I/O of this table. */
void larder_close(struct larder_cache *c)
{
	int err;

	if (!c->loaded)
		return;
	larder_commit_stop(c, true);
	err = larder_commit_now(c, true);
	if (!err)
		err = larder_run_operation(c, metadata_stop_begin(c->metadata));
	if (err)
		DMERR("%s: cannot record an orderly stop (%d): the next start recovers", name_of(c),
		      err);
	larder_release_metadata(c);
}
