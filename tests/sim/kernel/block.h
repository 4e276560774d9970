/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bios, block devices and the part of device-mapper's core that a target sees.
 */
#ifndef SIM_BLOCK_H
#define SIM_BLOCK_H

typedef u8 blk_status_t;
typedef u32 blk_opf_t;
typedef u64 sector_t;
typedef unsigned int blk_mode_t;
typedef unsigned int fmode_t;

#define SECTOR_SHIFT 9

#define BLK_STS_OK		0
#define BLK_STS_NOSPC		3
#define BLK_STS_MEDIUM		7
#define BLK_STS_PROTECTION	8
#define BLK_STS_RESOURCE	9
#define BLK_STS_IOERR		10
#define BLK_STS_DM_REQUEUE	11
#define BLK_STS_AGAIN		12

#define REQ_OP_READ	0u
#define REQ_OP_WRITE	1u
#define REQ_OP_DISCARD	3u
#define REQ_OP_MASK	0xffu
#define REQ_SYNC	(1u << 11)
#define REQ_META	(1u << 12)
#define REQ_PRIO	(1u << 13)
#define REQ_INTEGRITY	(1u << 16)
#define REQ_FUA		(1u << 17)
#define REQ_PREFLUSH	(1u << 18)
#define REQ_POLLED	(1u << 24)

struct bvec_iter {
	sector_t bi_sector;
	unsigned int bi_size;
	unsigned int bi_idx;
	unsigned int bi_bvec_done;
};

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

#include "integrity.h"

struct sim_disk;
struct block_device {
	const char *name;
	struct gendisk *bd_disk, disk;
	u64 sectors;
	bool is_volatile;
	bool fua;
	bool discard;
	struct backing *backing;	/* the simulator's (disks.c) */
};

struct bio_set {
	bool ready;
};

struct bio;
typedef void bio_end_io_t(struct bio *bio);

struct bio {
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	blk_status_t bi_status;
	struct bvec_iter bi_iter;
	bio_end_io_t *bi_end_io;
	void *bi_private;
	struct bio_integrity_payload *bi_integrity;	/* with REQ_INTEGRITY */
	unsigned short bi_vcnt, bi_max_vecs;
	struct bio_vec *bi_io_vec;
	struct list_head link;		/* while the disk has it */
	struct bio_vec own[];
};

#define BIO_MAX_VECS 256u
#define BIOSET_NEED_BVECS 1
#define BIOSET_NEED_RESCUER 2

int bioset_init(struct bio_set *set, unsigned int pool, unsigned int front, int flags);
void bioset_exit(struct bio_set *set);
struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned int vecs, blk_opf_t opf, gfp_t gfp,
			     struct bio_set *set);
struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *from, gfp_t gfp,
			    struct bio_set *set);
void bio_put(struct bio *bio);
void bio_endio(struct bio *bio);
void __bio_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int offset);
void submit_bio_noacct(struct bio *bio);
int submit_bio_wait(struct bio *bio);
int blk_status_to_errno(blk_status_t status);
blk_status_t errno_to_blk_status(int error);

/* To or from the bio's memory: its bytes from at on. */
void sim_bio_copy(struct bio *bio, unsigned int at, void *buffer, unsigned int bytes, bool to_bio);

#define bio_op(b) ((b)->bi_opf & REQ_OP_MASK)
#define bio_sectors(b) ((b)->bi_iter.bi_size >> SECTOR_SHIFT)
#define bio_set_dev(b, d) ((b)->bi_bdev = (d))
#define bio_integrity(b) ((b)->bi_opf & REQ_INTEGRITY ? (b)->bi_integrity : NULL)
#define bdev_get_integrity(b) blk_get_integrity((b)->bd_disk)
#define bio_max_segs(n) min_t(unsigned int, n, BIO_MAX_VECS)
#define bdev_nr_sectors(b) ((b)->sectors)
#define bdev_logical_block_size(b) \
	(bdev_get_integrity(b) ? 1u << bdev_get_integrity(b)->interval_exp : 512u)
#define bdev_max_discard_sectors(b) ((b)->discard ? 8192u : 0u)
#define bdev_stable_writes(b) ((void)(b), false)

static inline void bio_io_error(struct bio *bio)
{
	bio->bi_status = BLK_STS_IOERR;
	bio_endio(bio);
}

/* The piece of the current vector, without crossing into the next. */
static inline struct bio_vec sim_bio_vec(const struct bio *bio, const struct bvec_iter *iter)
{
	struct bio_vec bv = bio->bi_io_vec[iter->bi_idx];

	bv.bv_offset += iter->bi_bvec_done;
	bv.bv_len = min(bv.bv_len - iter->bi_bvec_done, iter->bi_size);
	return bv;
}

#define bio_iter_iovec(bio, iter) sim_bio_vec(bio, &(iter))
#define bio_advance_iter(bio, iter, bytes) sim_bio_advance(bio, iter, bytes)
void sim_bio_advance(const struct bio *bio, struct bvec_iter *iter, unsigned int bytes);
void bio_trim(struct bio *bio, sector_t offset, sector_t sectors);

#define __bio_for_each_segment(bv, bio, iter, start) \
	for (iter = (start); iter.bi_size && ((bv = sim_bio_vec(bio, &iter)), 1); \
	     sim_bio_advance(bio, &iter, bv.bv_len))

/* --- device-mapper (dm.c) --- */

enum {
	DM_MAPIO_SUBMITTED,
	DM_MAPIO_REMAPPED,
	DM_MAPIO_REQUEUE,
	DM_MAPIO_DELAY_REQUEUE,
	DM_MAPIO_KILL,
};

enum {
	DM_ENDIO_DONE,
	DM_ENDIO_INCOMPLETE,
	DM_ENDIO_REQUEUE,
	DM_ENDIO_DELAY_REQUEUE,
};

typedef enum { STATUSTYPE_INFO, STATUSTYPE_TABLE, STATUSTYPE_IMA } status_type_t;

#define DM_STATUS_NOFLUSH_FLAG (1u << 0)
#define DM_TARGET_SINGLETON 1u
#define DM_TARGET_INTEGRITY 2u

struct mapped_device;
struct dm_table {
	struct mapped_device *md;
	struct dm_target *ti;
};

struct dm_target {
	struct dm_table *table;
	struct target_type *type;
	sector_t begin, len;
	unsigned int num_flush_bios, num_discard_bios, per_io_data_size;
	bool flush_supported, discards_supported, mempool_needs_integrity;
	void *private;
	char *error;
};

/* A disk that is never added. */
struct block_device_operations {
	struct module *owner;
};

#define NUMA_NO_NODE (-1)
#define IS_ERR(p) (!(p))	/* of what returns an error pointer in the kernel */
static inline struct gendisk *blk_alloc_disk(const void *limits, int node)
{
	return kzalloc(sizeof(struct gendisk), GFP_KERNEL);
}

#define put_disk(disk) kfree(disk)

struct dm_dev {
	struct block_device *bdev;
	char name[16];
};

struct queue_limits {
	unsigned int io_min, io_opt, discard_granularity, max_hw_discard_sectors;
	struct blk_integrity integrity;
};

typedef int (*iterate_devices_callout_fn)(struct dm_target *ti, struct dm_dev *dev, sector_t start,
					  sector_t len, void *data);

struct target_type {
	const char *name;
	unsigned int version[3];
	unsigned int features;
	struct module *module;
	int (*ctr)(struct dm_target *ti, unsigned int argc, char **argv);
	void (*dtr)(struct dm_target *ti);
	int (*map)(struct dm_target *ti, struct bio *bio);
	int (*end_io)(struct dm_target *ti, struct bio *bio, blk_status_t *error);
	void (*presuspend)(struct dm_target *ti);
	void (*presuspend_undo)(struct dm_target *ti);
	void (*postsuspend)(struct dm_target *ti);
	int (*preresume)(struct dm_target *ti);
	void (*resume)(struct dm_target *ti);
	void (*status)(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		       unsigned int maxlen);
	int (*message)(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		       unsigned int maxlen);
	int (*iterate_devices)(struct dm_target *ti, iterate_devices_callout_fn fn, void *data);
	void (*io_hints)(struct dm_target *ti, struct queue_limits *limits);
};

int dm_register_target(struct target_type *type);
void dm_unregister_target(struct target_type *type);
int dm_get_device(struct dm_target *ti, const char *path, blk_mode_t mode, struct dm_dev **dev);
void dm_put_device(struct dm_target *ti, struct dm_dev *dev);
void dm_accept_partial_bio(struct bio *bio, unsigned int sectors);
void *dm_per_bio_data(struct bio *bio, size_t size);
struct bio *dm_bio_from_per_bio_data(void *data, size_t size);
#define BLK_OPEN_WRITE 2u
#define dm_table_get_mode(t) ((void)(t), 3u)
#define dm_noflush_suspending(ti) ((void)(ti), false)
#define dm_table_device_name(t) ((void)(t), "253:0")
#define dm_table_event(t) ((void)(t))

/* No device here belongs to LVM, and so none is ever suspended by the target itself. */
#define DM_UUID_LEN 129
static inline struct mapped_device *dm_table_get_md(struct dm_table *t) { return t->md; }
struct gendisk *dm_disk(struct mapped_device *md);
static inline int dm_copy_name_and_uuid(struct mapped_device *md, char *name, char *uuid)
{
	return -ENXIO;
}

static inline int dm_hold(struct mapped_device *md) { return -EBUSY; }
static inline void dm_put(struct mapped_device *md) { }
static inline void dm_internal_suspend_noflush(struct mapped_device *md) { }

#define DMERR(f, ...) sim_log("error: " f, ##__VA_ARGS__)
#define DMWARN(f, ...) sim_log("warning: " f, ##__VA_ARGS__)
#define DMINFO(f, ...) sim_log("info: " f, ##__VA_ARGS__)
#define DMERR_LIMIT DMERR
#define DMWARN_LIMIT DMWARN

/* What a user of device-mapper does; all may sleep. */
struct mapped_device *sim_dm_create(void);
/* Builds a table into the inactive slot.  0 or a negative errno, then *error says why. */
int sim_dm_load(struct mapped_device *md, u64 sectors, const char *line, const char **error);
void sim_dm_clear(struct mapped_device *md);	/* drops the inactive table */
/* interrupted: by a signal while it waits for I/O, -EINTR then. */
int sim_dm_suspend(struct mapped_device *md, bool interrupted);
/* With an inactive table: swaps it in. */
int sim_dm_resume(struct mapped_device *md);
void sim_dm_remove(struct mapped_device *md);
int sim_dm_message(struct mapped_device *md, const char *text, char *result, unsigned int size);
void sim_dm_status(struct mapped_device *md, status_type_t type, unsigned int flags, char *result,
		   unsigned int size);
struct dm_target *sim_dm_target(struct mapped_device *md);	/* of the live table, or NULL */
/* The profile that the device has, or NULL. */
const struct blk_integrity *sim_dm_integrity(struct mapped_device *md);

/* One request of a user; done is called, in the end, from an end of I/O. */
struct sim_request {
	blk_opf_t opf;
	u64 sector;
	u32 sectors;
	u32 cut;		/* bytes that the last sector lacks */
	u8 *data;
	u8 *tuples;		/* one for each interval, or NULL */
	u64 seed;		/* of the first */
	bool unchecked;		/* asks no device to check them, as LIO's iblock of 7.2 */
	blk_status_t status;
	void (*done)(struct sim_request *request);
	void *context;
};

void sim_dm_submit(struct mapped_device *md, struct sim_request *request);

bool sim_dm_polls(const struct bio *bio);

/* --- below (disks.c): starts the I/O; bio_endio() follows, from a task of its own --- */

struct block_device *sim_find_device(const char *name);
void sim_disk_submit(struct bio *bio);

#endif
