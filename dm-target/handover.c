// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns a metadata device, and what a new table takes over from the one
 * before.
 *
 * A suspended cache keeps its state in memory.  A table that is swapped in
 * for it goes on with that state instead of reading it anew, as long as the
 * superblock is one that this state has left there.  It is more than a
 * shortcut: when the old table could not record everything (an I/O error while
 * it was suspended), what is on disk misses writes that have been
 * acknowledged.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "larder.h"

/* All caches that have been open, until they are destroyed; guards active, too. */
static DEFINE_MUTEX(caches_lock);
static LIST_HEAD(caches);

/* LVM names its devices LVM-<VG><LV>[-layer], with 32 characters for each of the two. */
#define LVM_UUID_LENGTH (4 + 32 + 32)

#define LVM_VG_LENGTH (4 + 32)

/* Are these devices LVM's, and is the same at the beginning of their names? */
static bool of_same_lvm(const struct larder_cache *a, const struct larder_cache *b,
			unsigned int length)
{
	char uuid_a[DM_UUID_LEN] = "", uuid_b[DM_UUID_LEN] = "";

	return !dm_copy_name_and_uuid(dm_table_get_md(a->ti->table), NULL, uuid_a) &&
	       !dm_copy_name_and_uuid(dm_table_get_md(b->ti->table), NULL, uuid_b) &&
	       !strncmp(uuid_a, "LVM-", 4) && strnlen(uuid_a, DM_UUID_LEN) >= LVM_UUID_LENGTH &&
	       !strncmp(uuid_a, uuid_b, length);
}

/* The active cache on the same metadata device that is not this one, or NULL; caches_lock held. */
static struct larder_cache *active_other(struct larder_cache *c)
{
	struct larder_cache *other;

	list_for_each_entry(other, &caches, list)
		if (other != c && other->active &&
		    other->metadata_dev->bdev == c->metadata_dev->bdev)
			return other;
	return NULL;
}

/*
 * When the last snapshot of a cached LV goes, LVM moves the cache from the
 * layer "-real" back to the LV itself, and resumes both, the layer first,
 * which has no user any more and is removed then.  It is suspended here, for
 * the short rest of its life.
 */
static int suspend_other_layer(struct larder_cache *c)
{
	struct mapped_device *md = NULL;
	struct larder_cache *other;
	int err = 0;

	mutex_lock(&caches_lock);
	other = active_other(c);
	if (other && of_same_lvm(c, other, LVM_UUID_LENGTH))
		md = dm_table_get_md(other->ti->table);
	if (other)
		err = md ? dm_hold(md) : -EBUSY;
	mutex_unlock(&caches_lock);
	if (err || !md)
		return err;
	dm_internal_suspend_noflush(md);
	dm_put(md);
	return 0;
}

/* One active cache for a metadata device.  -EBUSY when there is another. */
int larder_claim_metadata(struct larder_cache *c)
{
	int err = suspend_other_layer(c);

	if (err)
		return err;
	mutex_lock(&caches_lock);
	if (active_other(c))
		err = -EBUSY;
	if (!err) {
		if (list_empty(&c->list))
			list_add(&c->list, &caches);
		c->active = true;
	}
	mutex_unlock(&caches_lock);
	return err;
}

/* Also for one that owns none. */
void larder_release_metadata(struct larder_cache *c)
{
	struct larder_cache *other;

	mutex_lock(&caches_lock);
	c->active = false;
	list_for_each_entry(other, &caches, list)
		if (other->to_be_woken && other->metadata_dev->bdev == c->metadata_dev->bdev)
			queue_work(other->run_queue, &other->wait_work);
	mutex_unlock(&caches_lock);
}

/* Before its memory goes: nobody takes anything over from it any more. */
void larder_forget_cache(struct larder_cache *c)
{
	mutex_lock(&caches_lock);
	list_del_init(&c->list);
	mutex_unlock(&caches_lock);
}

/* Did this cache leave what has been found on the device?  A write that failed may be there. */
static bool left(const struct larder_cache *c, const struct metadata *found)
{
	return c->loaded && metadata_found(found) == METADATA_OURS &&
	       metadata_may_have_written(c->metadata, metadata_super(found));
}

static bool same_devices(const struct larder_cache *a, const struct larder_cache *b)
{
	return a->metadata_dev->bdev == b->metadata_dev->bdev &&
	       a->cache_dev->bdev == b->cache_dev->bdev &&
	       a->origin_dev->bdev == b->origin_dev->bdev;
}

/*
 * At a resume: does this one wait for another to stop?  Only a read-only table
 * of LVM's does, for another LV of the volume group with the same cache: that
 * is what wait.c is for.  Everywhere else it would be a trap.
 */
bool larder_begin_wait(struct larder_cache *c)
{
	struct larder_cache *other;

	mutex_lock(&caches_lock);
	other = active_other(c);
	c->to_be_woken = other && same_devices(c, other) &&
			 !(dm_table_get_mode(c->ti->table) & BLK_OPEN_WRITE) &&
			 of_same_lvm(c, other, LVM_VG_LENGTH) &&
			 !of_same_lvm(c, other, LVM_UUID_LENGTH);
	if (c->to_be_woken && list_empty(&c->list))
		list_add(&c->list, &caches);
	spin_lock_irq(&c->rerun_lock);
	c->wait = c->to_be_woken ? WAIT_FOR_OTHER : WAIT_OVER;
	spin_unlock_irq(&c->rerun_lock);
	mutex_unlock(&caches_lock);
	return c->to_be_woken;
}

/* From the return on nobody wakes it; was it waiting? */
bool larder_end_wait(struct larder_cache *c)
{
	bool was;

	mutex_lock(&caches_lock);
	was = c->to_be_woken;
	c->to_be_woken = false;
	mutex_unlock(&caches_lock);
	return was;
}

static void take_over(struct larder_cache *c, struct larder_cache *from)
{
	/* it has seen nothing of this map yet */
	larder_policy_detach(c);
	larder_unload(c);
	/* sizes may have changed: larder_resize() comes later */
	c->geometry = from->geometry;
	c->map = from->map;
	c->map.g = &c->geometry;
	c->map.heat_max = c->policy_ops->heat_max;
	c->map_memory = from->map_memory;
	c->shards = from->shards;
	from->map_memory = NULL;
	from->shards = NULL;
	from->loaded = false;
	/* swapped: the other's status still looks at one */
	swap(c->metadata, from->metadata);
	swap(c->metadata_memory, from->metadata_memory);
	list_splice_init(&from->committer.forgets, &c->committer.forgets);
	atomic_set(&c->forgets_pending, atomic_read(&from->forgets_pending));
	c->committer.failed = from->committer.failed;
	c->was_clean = from->was_clean;
	larder_scrub_take_over(c, from);
	c->loaded = true;
}

/* found: what is on the device, or NULL when that cannot be told now */
static void look_for_state(struct larder_cache *c, const struct metadata *found)
{
	struct larder_cache *other;

	mutex_lock(&caches_lock);
	list_for_each_entry(other, &caches, list) {
		if (other == c || other->active || !same_devices(c, other) ||
		    !(found ? left(other, found) : other->loaded) ||
		    !geometry_same_shape(&c->geometry, &other->geometry))
			continue;
		take_over(c, other);
		break;
	}
	mutex_unlock(&caches_lock);
}

/*
 * For a resume that fails before it is known what is on the device: the former
 * table goes now; what it has is kept, and judged by the next resume.
 */
void larder_keep_state(struct larder_cache *c)
{
	if (!c->loaded)
		look_for_state(c, NULL);
}

/*
 * Is there a state in memory, our own or a former table's, that fits what is
 * on the device?  Then c->loaded.  An error when the device cannot be read, or
 * for want of memory: not to be taken for "no".
 */
int larder_find_state(struct larder_cache *c)
{
	u64 units = bdev_nr_sectors(c->metadata_dev->bdev) / LARDER_UNIT_SECTORS;
	void *memory = vzalloc(metadata_bytes());
	struct metadata *found = NULL;
	int err = -ENOMEM;

	if (memory) {
		found = metadata_init(memory, units);
		err = larder_run_operation(c, metadata_probe_begin(found));
	}
	if (err)
		larder_keep_state(c);
	if (!err && !left(c, found)) {
		c->stale |= c->loaded;
		c->loaded = false;
		look_for_state(c, found);
	}
	vfree(memory);
	return err;
}

/* Is another table's cache on the same metadata device in memory? */
bool larder_has_twin(struct larder_cache *c)
{
	struct larder_cache *other;
	bool twin = false;

	mutex_lock(&caches_lock);
	list_for_each_entry(other, &caches, list)
		twin |= other != c && other->loaded &&
			other->metadata_dev->bdev == c->metadata_dev->bdev;
	mutex_unlock(&caches_lock);
	return twin;
}

/* Dirty slots of a suspended cache on the same metadata device, this one included. */
u64 larder_dirty_elsewhere(struct larder_cache *c)
{
	struct larder_cache *other;
	u64 dirty = 0;

	mutex_lock(&caches_lock);
	list_for_each_entry(other, &caches, list)
		if (other->metadata_dev->bdev == c->metadata_dev->bdev && other->map_memory &&
		    (other->loaded || other->stale))
			dirty = max_t(u64, dirty, atomic64_read(&other->map.nr_dirty));
	mutex_unlock(&caches_lock);
	return dirty;
}
