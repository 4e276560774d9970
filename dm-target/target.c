// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device-mapper target: what dm core calls, in the order of a table's
 * life.  The constructor accepts or refuses everything and writes nothing;
 * preresume opens the metadata, postsuspend is the last I/O, the destructor
 * does none.
 */
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "larder.h"

#define BIOS_RESERVED 256

static void tick_worker(struct work_struct *work)
{
	struct larder_cache *c = container_of(to_delayed_work(work), struct larder_cache,
					      tick_work);

	if (!READ_ONCE(c->running))
		return;
	if (c->policy_ops->tick) {
		spin_lock_irq(&c->policy_lock);
		c->policy_ops->tick(&c->policy, ktime_get_ns() / NSEC_PER_MSEC);
		spin_unlock_irq(&c->policy_lock);
	}
	WRITE_ONCE(c->map.write_epoch, c->map.write_epoch + 1);
	/* records fills, withdraws idle intents, and tries again after a failure */
	larder_commit_soon(c, true);
	queue_work(c->run_queue, &c->supply_work);
	queue_delayed_work(c->run_queue, &c->tick_work, HZ);
}

static int open_devices(struct larder_cache *c, char **argv, char **error)
{
	blk_mode_t mode = dm_table_get_mode(c->ti->table);
	struct block_device *m, *d, *o;

	if (dm_get_device(c->ti, argv[0], mode, &c->metadata_dev)) {
		*error = "Cannot open the metadata device";
		return -ENODEV;
	}
	if (dm_get_device(c->ti, argv[1], mode, &c->cache_dev)) {
		*error = "Cannot open the cache device";
		return -ENODEV;
	}
	if (dm_get_device(c->ti, argv[2], mode, &c->origin_dev)) {
		*error = "Cannot open the origin device";
		return -ENODEV;
	}
	m = c->metadata_dev->bdev;
	d = c->cache_dev->bdev;
	o = c->origin_dev->bdev;
	if (m == d || m == o || d == o) {
		*error = "Metadata, cache and origin must be three different devices";
		return -EINVAL;
	}
	if (bdev_nr_sectors(o) < c->ti->len) {
		*error = "Origin device is smaller than the table line's length";
		return -EINVAL;
	}
	c->no_origin_discards = !bdev_max_discard_sectors(o);
	c->block_mask = max(bdev_logical_block_size(d), bdev_logical_block_size(o)) - 1;
	if (bdev_logical_block_size(m) > LARDER_UNIT_SIZE ||
	    bdev_logical_block_size(d) > LARDER_UNIT_SIZE ||
	    bdev_logical_block_size(o) > LARDER_UNIT_SIZE) {
		*error = "Logical blocks larger than 4 KiB are not supported";
		return -EINVAL;
	}
	return 0;
}

static int make_queues(struct larder_cache *c)
{
	const char *name = dm_table_device_name(c->ti->table);

	c->commit_queue = alloc_ordered_workqueue("larder-commit/%s", WQ_MEM_RECLAIM, name);
	c->run_queue = alloc_workqueue("larder-run/%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, name);
	c->copy_queue = alloc_workqueue("larder-copy/%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 32, name);
	c->discard_queue = alloc_workqueue("larder-discard/%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 4,
					   name);
	if (!c->commit_queue || !c->run_queue || !c->copy_queue || !c->discard_queue)
		return -ENOMEM;
	INIT_WORK(&c->rerun_work, larder_rerun_worker);
	INIT_WORK(&c->supply_work, larder_supply_worker);
	INIT_DELAYED_WORK(&c->tick_work, tick_worker);
	larder_heal_init(c);
	larder_wait_init(c);
	return 0;
}

static void destroy_queue(struct workqueue_struct *queue)
{
	if (queue)
		destroy_workqueue(queue);
}

/* Takes down whatever the constructor has made so far. */
static void destroy(struct larder_cache *c)
{
	destroy_queue(c->discard_queue);
	destroy_queue(c->copy_queue);
	destroy_queue(c->run_queue);
	destroy_queue(c->commit_queue);
	larder_destage_exit(c);
	larder_scrub_exit(c);
	larder_fill_exit(c);
	bioset_exit(&c->bios);
	larder_policy_close(c);
	larder_forget_cache(c);
	larder_commit_exit(c);
	larder_unload(c);
	vfree(c->metadata_memory);
	if (c->metadata_dev)
		dm_put_device(c->ti, c->metadata_dev);
	if (c->cache_dev)
		dm_put_device(c->ti, c->cache_dev);
	if (c->origin_dev)
		dm_put_device(c->ti, c->origin_dev);
	larder_free_args(&c->args);
	free_percpu(c->stats);
	kfree(c);
}

static int make_resources(struct larder_cache *c, char **error)
{
	int err;

	*error = "Out of memory";
	c->stats = alloc_percpu(struct larder_stats);
	if (!c->stats)
		return -ENOMEM;
	err = bioset_init(&c->bios, BIOS_RESERVED, 0, BIOSET_NEED_BVECS | BIOSET_NEED_RESCUER);
	if (!err && c->pi_possible)
		err = larder_reserve_tuples(&c->bios, BIOS_RESERVED);
	if (!err)
		err = larder_fill_init(c);
	if (!err)
		err = larder_destage_init(c);
	if (!err)
		err = larder_scrub_init(c);
	if (!err)
		err = make_queues(c);
	return err;
}

static int construct(struct larder_cache *c, unsigned int argc, char **argv, char **error)
{
	int err;

	if (argc < 7) {
		*error = "Expected at least 7 arguments (the log says which)";
		DMERR("expected <metadata> <cache> <origin> <chunk sectors> <#features> [<feature>...] <policy> <#policy args> [<key> <value>...], found %u words",
		      argc);
		return -EINVAL;
	}
	if (c->ti->begin) {
		*error = "The target must begin at sector 0, alone in its table";
		return -EINVAL;
	}
	err = larder_parse_args(&c->args, argc - 3, argv + 3, error);
	if (!err)
		err = open_devices(c, argv, error);
	if (!err)
		err = larder_pi_construct(c, error);
	if (!err)
		err = make_resources(c, error);
	if (err)
		return err;
	err = larder_policy_open(c);
	if (err) {
		*error = "Unknown policy";
		DMERR("no policy \"%s\", and no module dm-larder-policy-%s", c->args.policy_name,
		      c->args.policy_name);
		return -EINVAL;
	}
	err = larder_probe(c, error) ?: larder_pi_expect(c, error);
	if (err)
		return err;
	if (c->args.mode == MODE_PASS_THROUGH) {
		err = larder_check_all_clean(c, error);
		if (err)
			return err;
	}
	err = larder_policy_attach(c);
	if (err)
		*error = err == -ENOENT ? "Unknown policy argument" :
			 err == -EINVAL ? "Value of a policy argument is out of range" :
			 err == -E2BIG ? "Too many blocks for this policy" : "Out of memory";
	return err == -ENOENT ? -EINVAL : err;
}

static int larder_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct larder_cache *c = kzalloc(sizeof(*c), GFP_KERNEL);
	char *error = "Out of memory";
	int err;

	if (!c) {
		ti->error = error;
		return -ENOMEM;
	}
	c->ti = ti;
	spin_lock_init(&c->free_lock);
	spin_lock_init(&c->policy_lock);
	spin_lock_init(&c->rerun_lock);
	INIT_LIST_HEAD(&c->rerun);
	INIT_LIST_HEAD(&c->list);
	larder_commit_init(c);
	err = construct(c, argc, argv, &error);
	if (err) {
		ti->error = error;
		destroy(c);
		return err;
	}
	ti->private = c;
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->per_io_data_size = sizeof(struct larder_io);
	return 0;
}

static void larder_dtr(struct dm_target *ti)
{
	destroy(ti->private);
}

/* May be called twice. */
void larder_start(struct larder_cache *c)
{
	c->last_io = jiffies;
	WRITE_ONCE(c->running, true);
	queue_delayed_work(c->run_queue, &c->tick_work, HZ);
	queue_work(c->run_queue, &c->supply_work);
	larder_destage_start(c);
	larder_scrub_renew(c);
}

static int larder_preresume(struct dm_target *ti)
{
	struct larder_cache *c = ti->private;
	unsigned int noio;
	int err;

	WRITE_ONCE(c->anonymous, true);
	noio = memalloc_noio_save();	/* the device above is suspended */
	err = larder_pi_resume(c);
	if (err)
		larder_keep_state(c);
	else if (!larder_begin_wait(c))
		err = larder_open(c);
	memalloc_noio_restore(noio);
	return err;
}

static void larder_resume(struct dm_target *ti)
{
	struct larder_cache *c = ti->private;

	if (!larder_waits(c))
		larder_start(c);
}

/* Stops what nobody waits for; commits, forgets and merges of waiting bios go on. */
static void larder_presuspend(struct dm_target *ti)
{
	struct larder_cache *c = ti->private;

	larder_wait_stop(c);
	if (larder_waits(c))
		return;
	WRITE_ONCE(c->running, false);
	cancel_delayed_work_sync(&c->tick_work);
	larder_destage_stop(c);
	larder_scrub_renew(c);
}

static void larder_presuspend_undo(struct dm_target *ti)
{
	struct larder_cache *c = ti->private;

	/* one that waited has failed its readers, and takes over at its next resume */
	if (!larder_waits(c))
		larder_start(c);
}

static void larder_postsuspend(struct dm_target *ti)
{
	struct larder_cache *c = ti->private;

	if (larder_waits(c))
		return;
	/* no bio of a user is left; what they set going ends now */
	flush_workqueue(c->copy_queue);
	flush_workqueue(c->run_queue);
	flush_workqueue(c->commit_queue);
	larder_close(c);
}

/*
 * What a live table shows instead of its devices: a disk that was never added,
 * without reservations and without a name.  For dm core hands reservations and
 * (newer kernels) questions for the unique id on to the devices that the only
 * target of a live table shows, and the first answer counts: a reservation
 * would hold for the cache device alone, and the cache be taken for its SSD.
 * To show nothing would be worse: dm core then says that it has reserved.
 */
static const struct block_device_operations nobody_ops = { .owner = THIS_MODULE };
static struct gendisk *nobody_disk;
static struct dm_dev nobody;

int larder_nobody_init(void)
{
	nobody_disk = larder_alloc_disk();
	if (!nobody_disk)
		return -ENOMEM;
	nobody_disk->fops = &nobody_ops;
	nobody.bdev = nobody_disk->part0;
	return 0;
}

void larder_nobody_exit(void)
{
	put_disk(nobody_disk);
	nobody_disk = NULL;
}

/*
 * Everything that needs the devices themselves (type, limits, features) asks a
 * table before it is the live one, and a table is bound but once.
 */
static int larder_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct larder_cache *c = ti->private;
	sector_t used = c->geometry.nr_slots * c->geometry.block_sectors;
	int r;

	if (READ_ONCE(c->anonymous))
		return fn(ti, &nobody, 0, ti->len, data);
	r = fn(ti, c->cache_dev, 0, used, data);
	return r ?: fn(ti, c->origin_dev, 0, ti->len, data);
}

static void larder_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct larder_cache *c = ti->private;
	u64 bytes = (u64)c->geometry.block_sectors << SECTOR_SHIFT;
	u32 region = max_t(u32, c->geometry.block_sectors, 2048);

	if (limits->io_opt < bytes || limits->io_opt % bytes) {
		limits->io_min = min_t(u64, bytes, (u64)c->geometry.grain_sectors << SECTOR_SHIFT);
		limits->io_opt = bytes;
	}
	limits->discard_granularity = bytes;
	larder_limit_discards(limits, region);
	larder_pi_limits(c, limits);
}

#define LARDER_TARGET(target_name, ...)			\
{							\
	.name = target_name,				\
	.version = { __VA_ARGS__ },			\
	.features = DM_TARGET_SINGLETON | DM_TARGET_INTEGRITY, \
	.module = THIS_MODULE,				\
	.ctr = larder_ctr,				\
	.dtr = larder_dtr,				\
	.map = larder_map,				\
	.end_io = larder_end_io,			\
	.presuspend = larder_presuspend,		\
	.presuspend_undo = larder_presuspend_undo,	\
	.postsuspend = larder_postsuspend,		\
	.preresume = larder_preresume,			\
	.resume = larder_resume,			\
	.status = larder_status,			\
	.message = larder_message,			\
	.iterate_devices = larder_iterate_devices,	\
	.io_hints = larder_io_hints,			\
}

struct target_type larder_target = LARDER_TARGET("larder", 1, 0, 0);

/*
 * The same by the name that LVM knows.  It wants at least 2.0 for what it uses
 * (metadata2, smq); 100 tells people and tools that it is not the kernel's own.
 */
struct target_type larder_cache_target = LARDER_TARGET("cache", 2, 100, 0);
