// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The part of device-mapper's core that a target sees: tables, splitting of
 * bios, flushes, suspend and resume in the kernel's order.
 */
#include "sched.h"

#define WORDS_MAX 128

struct mapped_device {
	struct dm_table *live, *inactive;
	struct mutex lock;		/* suspend, resume, remove */
	bool suspended, blocked;
	u32 in_flight;
	struct wait_queue idle;
	struct list_head deferred;	/* struct dm_io */
	u32 discard_max, discard_granularity;
	struct block_device bdev;
};

struct table {
	struct dm_table base;
	struct dm_target target;
	u32 readers;			/* status and messages under way */
	struct wait_queue idle;
};

struct dm_io {
	struct mapped_device *md;
	struct sim_request *request;
	struct list_head list;
	u32 legs;			/* clones under way, and one while they are made */
	blk_status_t status;
	bool flushed;
	u32 accepted;			/* sectors of the clone that is being mapped */
	struct bio *mapping;
	u32 nr_vecs;
	struct bio_vec vec[];
};

/* Right before its bio; the target's data is before that. */
struct clone {
	struct dm_io *io;
	struct dm_target *ti;
	void *memory;
};

static struct target_type *registered;

int dm_register_target(struct target_type *type)
{
	/* a second one is the same by another name */
	if (!registered)
		registered = type;
	return 0;
}

void dm_unregister_target(struct target_type *type)
{
	if (registered == type)
		registered = NULL;
}

int dm_get_device(struct dm_target *ti, const char *path, blk_mode_t mode, struct dm_dev **dev)
{
	struct block_device *bdev = sim_find_device(path);

	(void)ti;
	(void)mode;
	if (!bdev)
		return -ENODEV;
	*dev = kzalloc(sizeof(**dev), GFP_KERNEL);
	if (!*dev)
		return -ENOMEM;
	(*dev)->bdev = bdev;
	snprintf((*dev)->name, sizeof((*dev)->name), "%s", path);
	return 0;
}

void dm_put_device(struct dm_target *ti, struct dm_dev *dev)
{
	(void)ti;
	kfree(dev);
}

/* --- requests --- */

static struct clone *clone_of(struct bio *bio)
{
	return (struct clone *)bio - 1;
}

void *dm_per_bio_data(struct bio *bio, size_t size)
{
	return (char *)clone_of(bio) - ALIGN(size, 16);
}

struct bio *dm_bio_from_per_bio_data(void *data, size_t size)
{
	return (struct bio *)((char *)data + ALIGN(size, 16) + sizeof(struct clone));
}

void dm_accept_partial_bio(struct bio *bio, unsigned int sectors)
{
	struct dm_io *io = clone_of(bio)->io;

	if (io->mapping != bio)
		sim_fail("a bio is cut after it has left map()");
	if (!sectors || sectors > bio_sectors(bio))
		sim_fail("a bio of %u sectors is cut to %u", bio_sectors(bio), sectors);
	if (bio->bi_opf & REQ_PREFLUSH)
		sim_fail("a flush is cut");
	io->accepted = sectors;
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
}

static void send_data(void *arg);

static void io_put(struct dm_io *io)
{
	struct mapped_device *md = io->md;
	struct sim_request *request = io->request;

	if (--io->legs)
		return;
	if ((request->opf & REQ_PREFLUSH) && !io->flushed && request->sectors) {
		/* as dm does it: the data follows, whatever became of the flush */
		io->flushed = true;
		io->status = BLK_STS_OK;
		sched_spawn("dm-requeue", send_data, io, false);
		return;
	}
	request->status = io->status;
	kfree(io);
	if (!--md->in_flight)
		sim_wake(&md->idle);
	request->done(request);
}

static void clone_free(struct bio *bio)
{
	if (bio_integrity(bio))
		bio_integrity_free(bio);
	kfree(clone_of(bio)->memory);
}

static void clone_end(struct bio *bio)
{
	struct clone *c = clone_of(bio);
	struct dm_io *io = c->io;
	blk_status_t error = bio->bi_status;

	switch (c->ti->type->end_io(c->ti, bio, &error)) {
	case DM_ENDIO_DONE:
		break;
	case DM_ENDIO_INCOMPLETE:
		return;
	default:
		sim_fail("unexpected answer of end_io()");
	}
	if (error)
		io->status = error;
	clone_free(bio);
	io_put(io);
}

/* Users poll, and dm for them: its clones, and nothing else that comes of these. */
bool sim_dm_polls(const struct bio *bio)
{
	return bio->bi_end_io == clone_end;
}

/* Its part of the request's tuples. */
static void clone_tuples(struct bio *bio, struct sim_request *r, u32 done)
{
	const struct blk_integrity *bi = bdev_get_integrity(bio->bi_bdev);
	u32 unit = sim_interval_sectors(bi);
	struct bio_integrity_payload *bip;

	/* from a reserve in the kernel, or tried until there is memory */
	do {
		bip = bio_integrity_alloc(bio, GFP_NOWAIT, 1);
	} while (IS_ERR_OR_NULL(bip));
	bip->bip_vcnt = 1;
	bvec_set_page(bip->bip_vec, virt_to_page(r->tuples), r->sectors / unit * SIM_TUPLE,
		      (u32)offset_in_page(r->tuples));
	bip->bip_iter.bi_size = bip->bip_vec->bv_len;
	bip_set_seed(bip, r->seed);
	bip->bip_flags = r->unchecked ? 0 : BIP_CHECK_GUARD |
			 (bi->flags & BLK_INTEGRITY_REF_TAG ? BIP_CHECK_REFTAG : 0);
	bio_integrity_advance(bio, done << SECTOR_SHIFT);
	bio_integrity_trim(bio);
}

static struct bio *clone_new(struct dm_io *io, struct dm_target *ti, u32 done, u32 sectors)
{
	size_t front = ALIGN(ti->per_io_data_size, 16);
	/* from a mempool in the kernel */
	u8 *memory = NULL;
	struct clone *c;
	struct bio *bio;

	while (!memory)
		memory = sim_alloc(front + sizeof(*c) + sizeof(*bio), 16, true, GFP_NOWAIT);
	memset(memory, 0x5a, front);
	c = (struct clone *)(memory + front);
	c->io = io;
	c->ti = ti;
	c->memory = memory;
	bio = (struct bio *)(c + 1);
	bio->bi_opf = io->request->opf & ~REQ_PREFLUSH;
	bio->bi_bdev = &io->md->bdev;
	bio->bi_end_io = clone_end;
	if (bio_op(bio) != REQ_OP_DISCARD)
		bio->bi_opf |= REQ_POLLED;
	bio->bi_io_vec = io->vec;
	bio->bi_iter.bi_sector = io->request->sector;
	if (bio_op(bio) == REQ_OP_DISCARD) {
		bio->bi_iter.bi_sector += done;
	} else if (done + sectors) {
		bio->bi_vcnt = (unsigned short)io->nr_vecs;
		bio->bi_iter.bi_size = (done + sectors) << SECTOR_SHIFT;
		sim_bio_advance(bio, &bio->bi_iter, done << SECTOR_SHIFT);
	}
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	if (sectors && done + sectors == io->request->sectors)
		bio->bi_iter.bi_size -= io->request->cut;
	if (io->request->tuples && sectors)
		clone_tuples(bio, io->request, done);
	return bio;
}

static void map_clone(struct dm_io *io, struct dm_target *ti, struct bio *bio)
{
	io->accepted = (u32)DIV_ROUND_UP(bio->bi_iter.bi_size, 1u << SECTOR_SHIFT);
	io->mapping = bio;
	io->legs++;
	switch (ti->type->map(ti, bio)) {
	case DM_MAPIO_SUBMITTED:
		break;
	case DM_MAPIO_REMAPPED:
		io->mapping = NULL;
		submit_bio_noacct(bio);
		break;
	case DM_MAPIO_KILL:
		bio->bi_status = BLK_STS_IOERR;
		io->status = BLK_STS_IOERR;
		clone_free(bio);
		io_put(io);
		break;
	default:
		sim_fail("unexpected answer of map()");
	}
	io->mapping = NULL;
}

/* How much of a discard goes down at once, as the block layer splits it. */
static u32 discard_piece(const struct mapped_device *md, u64 sector, u32 left)
{
	u32 piece = md->discard_max, over;

	if (left <= piece)
		return left;
	over = (sector + piece) % md->discard_granularity;
	return piece > over ? piece - over : piece;
}

static void send_data(void *arg)
{
	struct dm_io *io = arg;
	struct dm_target *ti = sim_dm_target(io->md);
	struct sim_request *r = io->request;
	u32 done = 0, piece;

	io->legs = 1;
	while (done < r->sectors) {
		piece = r->sectors - done;
		if ((r->opf & REQ_OP_MASK) == REQ_OP_DISCARD)
			piece = discard_piece(io->md, r->sector + done, piece);
		map_clone(io, ti, clone_new(io, ti, done, piece));
		if (!io->accepted)
			sim_fail("map() takes nothing of a bio");
		done += io->accepted;
	}
	io_put(io);
}

static void send_flush(struct dm_io *io)
{
	struct dm_target *ti = sim_dm_target(io->md);
	struct bio *bio = clone_new(io, ti, 0, 0);

	bio->bi_opf = REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC;
	bio->bi_iter.bi_sector = 0;
	io->legs = 1;
	map_clone(io, ti, bio);
	io_put(io);
}

static void start_io(struct mapped_device *md, struct dm_io *io)
{
	md->in_flight++;
	if (io->request->opf & REQ_PREFLUSH)
		send_flush(io);
	else
		send_data(io);
}

void sim_dm_submit(struct mapped_device *md, struct sim_request *r)
{
	u32 bytes = r->data ? r->sectors << SECTOR_SHIFT : 0, at, n;
	struct dm_io *io;

	while (!(io = sim_alloc(sizeof(*io) + (bytes / PAGE_SIZE + 2) * sizeof(struct bio_vec), 16,
				true, GFP_NOWAIT)))
		;
	io->md = md;
	io->request = r;
	for (at = 0; at < bytes; at += n) {
		n = min(bytes - at, PAGE_SIZE - (u32)offset_in_page(r->data + at));
		io->vec[io->nr_vecs++] = (struct bio_vec){
			vmalloc_to_page(r->data + at), n, (u32)offset_in_page(r->data + at),
		};
	}
	if (md->blocked)
		list_add_tail(&io->list, &md->deferred);
	else
		start_io(md, io);
}

/* --- tables --- */

static struct table *table_of(struct dm_target *ti)
{
	return container_of(ti, struct table, target);
}

struct dm_target *sim_dm_target(struct mapped_device *md)
{
	return md->live ? md->live->ti : NULL;
}

static void table_destroy(struct dm_table *table)
{
	struct table *t;

	if (!table)
		return;
	t = table_of(table->ti);
	while (t->readers)
		sim_wait(&t->idle, "who looks at a table");
	table->ti->type->dtr(table->ti);
	kfree(t);
}

int sim_dm_load(struct mapped_device *md, u64 sectors, const char *line, const char **error)
{
	char *words[WORDS_MAX], *copy, *at;
	struct queue_limits limits = { 0 };
	unsigned int argc = 0;
	struct table *t;
	int err;

	*error = NULL;
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	copy = t ? kmalloc(strlen(line) + 1, GFP_KERNEL) : NULL;
	if (!copy) {
		kfree(t);
		return -ENOMEM;
	}
	memcpy(copy, line, strlen(line) + 1);
	for (at = strtok(copy, " "); at && argc < WORDS_MAX; at = strtok(NULL, " "))
		words[argc++] = at;
	INIT_LIST_HEAD(&t->idle.waiters);
	t->base.md = md;
	t->base.ti = &t->target;
	t->target.table = &t->base;
	t->target.type = registered;
	t->target.len = sectors;
	err = registered->ctr(&t->target, argc, words);
	kfree(copy);
	if (err) {
		*error = t->target.error;
		kfree(t);
		return err;
	}
	registered->io_hints(&t->target, &limits);
	md->discard_max = limits.max_hw_discard_sectors;
	md->discard_granularity = max(1u, limits.discard_granularity >> SECTOR_SHIFT);
	table_destroy(md->inactive);
	md->inactive = &t->base;
	return 0;
}

struct gendisk *dm_disk(struct mapped_device *md)
{
	return &md->bdev.disk;
}

const struct blk_integrity *sim_dm_integrity(struct mapped_device *md)
{
	return blk_get_integrity(dm_disk(md));
}

/* What counts as limits of the device does so when the table is swapped in. */
static void set_limits(struct mapped_device *md)
{
	struct dm_target *ti = sim_dm_target(md);
	struct queue_limits limits = { 0 };

	ti->type->io_hints(ti, &limits);
	md->bdev.disk.integrity = limits.integrity;
	if (limits.integrity.metadata_size && !ti->mempool_needs_integrity)
		sim_fail("a table with tuples, and no memory for dm's");
}

void sim_dm_clear(struct mapped_device *md)
{
	struct dm_table *table = md->inactive;

	md->inactive = NULL;
	table_destroy(table);
}

struct mapped_device *sim_dm_create(void)
{
	struct mapped_device *md;

	while (!(md = kzalloc(sizeof(*md), GFP_NOWAIT)))
		;
	mutex_init(&md->lock);
	INIT_LIST_HEAD(&md->idle.waiters);
	INIT_LIST_HEAD(&md->deferred);
	md->suspended = true;
	md->blocked = true;
	md->bdev.name = "the cached device";
	md->bdev.bd_disk = &md->bdev.disk;
	return md;
}

/* With the lock.  interrupted: by a signal while it waits for I/O. */
static int suspend_live(struct mapped_device *md, bool interrupted)
{
	struct dm_target *ti = sim_dm_target(md);

	if (ti->type->presuspend)
		ti->type->presuspend(ti);
	md->blocked = true;
	if (interrupted && md->in_flight) {
		struct dm_io *io, *next;
		LIST_HEAD(deferred);

		md->blocked = false;
		ti->type->presuspend_undo(ti);
		list_splice_init(&md->deferred, &deferred);
		list_for_each_entry_safe(io, next, &deferred, list) {
			list_del(&io->list);
			start_io(md, io);
		}
		return -EINTR;
	}
	while (md->in_flight)
		sim_wait(&md->idle, "all I/O before a suspend");
	md->suspended = true;
	ti->type->postsuspend(ti);
	return 0;
}

int sim_dm_suspend(struct mapped_device *md, bool interrupted)
{
	int err = 0;

	mutex_lock(&md->lock);
	if (!md->suspended)
		err = suspend_live(md, interrupted);
	mutex_unlock(&md->lock);
	return err;
}

int sim_dm_resume(struct mapped_device *md)
{
	struct dm_table *old = NULL;
	struct dm_target *ti;
	struct dm_io *io, *next;
	LIST_HEAD(deferred);
	int err = 0;

	mutex_lock(&md->lock);
	if (md->inactive) {
		if (!md->suspended)
			suspend_live(md, false);
		old = md->live;
		md->live = md->inactive;
		md->inactive = NULL;
		set_limits(md);
	}
	if (!md->live) {
		err = -EINVAL;
	} else if (md->suspended) {
		ti = md->live->ti;
		err = ti->type->preresume(ti);
		if (!err) {
			ti->type->resume(ti);
			md->suspended = false;
			md->blocked = false;
			list_splice_init(&md->deferred, &deferred);
		}
	}
	list_for_each_entry_safe(io, next, &deferred, list) {
		list_del(&io->list);
		start_io(md, io);
	}
	table_destroy(old);
	mutex_unlock(&md->lock);
	return err;
}

void sim_dm_remove(struct mapped_device *md)
{
	struct dm_table *live;
	struct dm_io *io, *next;

	mutex_lock(&md->lock);
	if (md->live && !md->suspended)
		suspend_live(md, false);
	/* nobody has it open: what was never started, fails */
	list_for_each_entry_safe(io, next, &md->deferred, list) {
		list_del(&io->list);
		io->status = BLK_STS_IOERR;
		io->flushed = true;
		io->legs = 1;
		md->in_flight++;
		io_put(io);
	}
	live = md->live;
	md->live = NULL;
	table_destroy(live);
	sim_dm_clear(md);
	mutex_unlock(&md->lock);
	kfree(md);
}

int sim_dm_message(struct mapped_device *md, const char *text, char *result, unsigned int size)
{
	struct dm_target *ti = sim_dm_target(md);
	unsigned int argc = 0;
	char copy[256], *words[16], *at;
	int r;

	if (!ti)
		return -ENXIO;
	table_of(ti)->readers++;
	snprintf(copy, sizeof(copy), "%s", text);
	for (at = strtok(copy, " "); at && argc < 16; at = strtok(NULL, " "))
		words[argc++] = at;
	r = ti->type->message(ti, argc, words, result, size);
	if (!--table_of(ti)->readers)
		sim_wake(&table_of(ti)->idle);
	return r;
}

void sim_dm_status(struct mapped_device *md, status_type_t type, unsigned int flags, char *result,
		   unsigned int size)
{
	struct dm_target *ti = sim_dm_target(md);

	result[0] = '\0';
	if (!ti)
		return;
	table_of(ti)->readers++;
	ti->type->status(ti, type, flags, result, size);
	if (!--table_of(ti)->readers)
		sim_wake(&table_of(ti)->idle);
}
