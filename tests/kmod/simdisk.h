/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * simdisk simulates disks for the test suites: how long they take, what a power cut takes back,
 * what fails. This header is the map of the module: the structures, who locks what, and every
 * function that one file offers the others. The manual is Documentation/testing/simulated-disks.md.
 *
 * The way of a request:
 *
 *   request.c  queue_rq: accepted or refused; the data of a write is copied to private pages ->
 *   timing.c   waits as long as the model says (not at all if fast) ->
 *   request.c  simdisk_finish: judged (power, errors), given its number in the event sequence of
 *              all disks, and applied, as one step under world.lock ->
 *   store.c    newest versions of sectors; the volatile ones are those that a power cut may revert
 *
 * With a backing device the steps that must sleep go through a workqueue (backing.c).
 *
 * Locks, outermost first: world.control (mutex: adding, removing, cutting, reviving), world.lock
 * (spinlock, irqs off: the event sequence and the power state), disk->lock (spinlock, irqs off).
 */
#ifndef SIMDISK_H
#define SIMDISK_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat.h"

#define SIMDISK_PAGE_SHIFT	12
#define SIMDISK_PAGE_SIZE	(1U << SIMDISK_PAGE_SHIFT)
#define SIMDISK_PAGE_SECTORS	(SIMDISK_PAGE_SIZE >> SECTOR_SHIFT)
#define SIMDISK_ALL_SECTORS	0xffU

/* What is remembered of one write for one page; the mask tells which of its sectors. */
struct simdisk_version {
	struct simdisk_version *next;	/* in a cell: the older one; in a command: the next page */
	struct simdisk_cell *cell;
	u8 *data;			/* NULL: zeroes */
	u64 generation;			/* disk->generation when it was applied */
	u8 mask;
	bool survives;			/* in flight at the cut and decided to be applied */
};

/* One page of a disk that was ever written: the durable value and the volatile versions over it. */
struct simdisk_cell {
	u8 *durable;			/* NULL: zeroes; unused with a backing device */
	struct simdisk_version *newest;
	struct list_head dirty;		/* in disk->dirty_cells if there are versions */
	unsigned long index;
	unsigned int pins;		/* by commands in flight */
};

/* The u32 settings of a disk: words of the specification and sysfs attributes alike. */
struct simdisk_knobs {
	u32 read_us;
	u32 write_us;
	u32 flush_us;
	u32 flush_idle_us;
	u32 fua_us;
	u32 discard_us;
	u32 command_us;
	u32 mbps;
	u32 seek_min_us;
	u32 seek_max_us;
	u32 rpm;
	u32 starve_ms;
	u32 fast;
	u32 dead;
	u32 cache_kib;
	u32 versions;
	u32 atomic;
	u32 torn;
	u32 leak;
};

#define SIMDISK_KNOB_COUNT (sizeof(struct simdisk_knobs) / sizeof(u32))

struct simdisk_knob_rule {
	const char *name;
	size_t offset;
	u32 least;
	u32 most;
};

/* What one disk of the module parameter (or of the file "add") is to be. */
struct simdisk_spec {
	char name[DISK_NAME_LEN];
	char *backing;
	u64 size;
	bool rotational;
	bool write_cache;
	bool fua;
	bool discard;
	bool write_zeroes;
	unsigned int logical_block_size;
	unsigned int queue_depth;
	unsigned int queues;
	struct simdisk_knobs knobs;
};

struct simdisk_statistics {
	u64 reads;
	u64 read_sectors;
	u64 writes;
	u64 write_sectors;
	u64 fua_writes;
	u64 flushes;
	u64 idle_flushes;
	u64 discards;
	u64 discard_sectors;
	u64 write_zeroes;
	u64 write_zeroes_sectors;
	u64 seeks;
	u64 sequential;
	u64 errors;
	u64 refused;
	u64 evictions;
	u64 destaged_sectors;
};

struct simdisk {
	struct list_head list;		/* in world.disks, under world.control */
	unsigned int number;
	struct simdisk_spec spec;
	struct simdisk_knobs knobs;	/* READ_ONCE: may change at any time */
	struct gendisk *gendisk;
	struct blk_mq_tag_set tags;
	struct simdisk_backing backing;
	struct workqueue_struct *readers;	/* backing only: reads, in parallel */
	struct workqueue_struct *destager;	/* backing only: all that writes to it, in order */
	struct work_struct evict_work;
	struct work_struct leak_work;

	spinlock_t lock;		/* everything below */
	struct xarray cells;
	struct list_head dirty_cells;	/* least recently dirtied first */
	u64 generation;			/* applied writes so far */
	u64 flush_barrier;		/* generation when the last FLUSH was received */
	u64 destages;			/* backing only: counts versions that were dropped */
	u64 volatile_pages;		/* pages of data held by versions */
	bool unflushed;			/* volatile writes since the last FLUSH was received */
	unsigned int inflight;		/* accepted requests */
	struct simdisk_statistics statistics;
	struct list_head errors;

	/* The timing model. */
	u64 bus_free_at;		/* ns */
	u64 head;			/* byte that follows the last transfer */
	struct list_head waiting;	/* HDD: commands that the arm has not got to */
	struct simdisk_command *active;	/* HDD: the one that it has */
	struct hrtimer arm;
};

struct simdisk_command {
	struct list_head list;		/* in disk->waiting */
	struct hrtimer timer;		/* SSD */
	struct work_struct work;	/* backing */
	u64 queued_at;			/* ns */
	u64 received;			/* number of the last event before it was accepted */
	u64 barrier;			/* FLUSH: makes durable what has at most this generation */
	struct simdisk_version *versions;	/* write-like: prepared, ascending */
	blk_status_t status;		/* backing: how the sleeping part went */
};

enum simdisk_power {
	SIMDISK_ON,
	SIMDISK_CUTTING,		/* nothing is applied any more; survivors not chosen yet */
	SIMDISK_OFF,
};

enum simdisk_trigger {
	SIMDISK_NOT_ARMED,
	SIMDISK_AFTER_EVENT,		/* cut when event number world.trigger_count is complete */
	SIMDISK_BEFORE_FLUSH,		/* cut in place of the trigger_count-th .. from now on */
	SIMDISK_BEFORE_FUA,
	SIMDISK_BEFORE_WRITE,
	SIMDISK_BEFORE_DISCARD,
};

struct simdisk_world {
	struct mutex control;		/* adding, removing, choosing survivors; guards disks */
	struct list_head disks;
	unsigned int next_number;
	struct kobject *kobject;

	spinlock_t lock;		/* everything below */
	u64 sequence;			/* number of the last event */
	enum simdisk_power power;
	enum simdisk_trigger trigger;
	u64 trigger_count;
	u64 seed;
	int keep_percent;		/* -1: any version is as likely as any other */
	bool moods;
	u64 cuts;
	u64 reverted_sectors;		/* by the last cut */
	u64 kept_sectors;
	u64 torn_sectors;
	u64 applied_in_flight;
	wait_queue_head_t drained;
	struct work_struct settle_work;
};

extern struct simdisk_world world;

static inline bool simdisk_has_backing(const struct simdisk *disk)
{
	return disk->spec.backing;
}

static inline bool simdisk_is_write_like(const struct request *request)
{
	return req_op(request) != REQ_OP_READ && req_op(request) != REQ_OP_FLUSH;
}

/* main.c */
struct simdisk *simdisk_find(const char *name);
int simdisk_add_specs(char *text);

/* spec.c: parses one disk's words; *text moves on to the next disk. Says what is wrong. */
extern const struct simdisk_knob_rule simdisk_knob_rules[SIMDISK_KNOB_COUNT];
int simdisk_parse_spec(char *text, struct simdisk_spec *spec);
int simdisk_check_knob(const struct simdisk_knob_rule *rule, u64 value);

/* disk.c */
struct simdisk *simdisk_create(struct simdisk_spec *spec);
void simdisk_destroy(struct simdisk *disk);

/* request.c */
extern const struct blk_mq_ops simdisk_mq_ops;
void simdisk_finish(struct simdisk_command *command);
void simdisk_finish_sleeping(struct simdisk_command *command);

/* timing.c */
void simdisk_timing_init(struct simdisk *disk);
void simdisk_timing_init_command(struct simdisk_command *command);
void simdisk_timing_start(struct simdisk *disk, struct simdisk_command *command);
void simdisk_timing_hurry(struct simdisk *disk);

/*
 * store.c: called with disk->lock held unless told otherwise.
 *
 * prepare allocates all that applying will need and pins the cells (takes the lock itself); false:
 * no memory.
 * apply links the prepared versions, newest, under a new generation; if durable, older values of
 * their sectors are forgotten and (RAM media) the new ones are the durable ones.
 * discard_prepared gives them back unapplied.
 */
int simdisk_store_init(void);
void simdisk_store_exit(void);
bool simdisk_prepare(struct simdisk *disk, struct simdisk_command *command);
void simdisk_apply(struct simdisk *disk, struct simdisk_command *command, bool durable);
void simdisk_discard_prepared(struct simdisk *disk, struct simdisk_command *command);
void simdisk_read(struct simdisk *disk, struct request *request);
bool simdisk_read_sector_overlay(struct simdisk *disk, sector_t sector, u8 *to);
void simdisk_make_durable(struct simdisk *disk, u64 barrier);
void simdisk_fold_cell(struct simdisk *disk, struct simdisk_cell *cell, u64 barrier);
void simdisk_put_cell(struct simdisk *disk, struct simdisk_cell *cell);
void simdisk_evict(struct simdisk *disk);
void simdisk_forget_all(struct simdisk *disk);
static inline u64 simdisk_cache_pages(const struct simdisk *disk)
{
	return READ_ONCE(disk->knobs.cache_kib) / (SIMDISK_PAGE_SIZE / 1024);
}

/* power.c: with world.lock held, except for the commands of sysfs and settle. */
u64 simdisk_hash(u64 a, u64 b);
bool simdisk_trigger_before(const struct request *request);
void simdisk_trigger_after(void);
void simdisk_cut(void);
bool simdisk_in_flight_survives(struct simdisk *disk, struct simdisk_command *command);
int simdisk_power_command(char *text);
void simdisk_settle(struct work_struct *work);

/* errors.c: disk->lock held for match, not for the rest. */
blk_status_t simdisk_match_error(struct simdisk *disk, const struct request *request);
int simdisk_error_command(struct simdisk *disk, char *text);
ssize_t simdisk_show_errors(struct simdisk *disk, char *page);
void simdisk_free_errors(struct simdisk *disk);

/* backing.c: nothing held, may sleep (init and exit, and all that runs in the workqueues). */
int simdisk_backing_init(struct simdisk *disk);
void simdisk_backing_exit(struct simdisk *disk);
void simdisk_backing_read(struct simdisk *disk, struct simdisk_command *command);
void simdisk_backing_finish(struct simdisk *disk, struct simdisk_command *command);
int simdisk_backing_write_sectors(struct simdisk *disk, unsigned long index, u8 mask,
				  const u8 *data);
int simdisk_backing_read_page(struct simdisk *disk, unsigned long index, u8 *data);
int simdisk_backing_flush(struct simdisk *disk);
void simdisk_backing_leak(struct simdisk *disk);

/* eventlog.c: record under world.lock; with data before the event is numbered and applied. */
int simdisk_log_init(void);
void simdisk_log_exit(void);
void simdisk_log(const struct simdisk *disk, const struct request *request);
void simdisk_log_data(const struct simdisk *disk, const struct simdisk_command *command);

/* attributes.c */
extern const struct attribute_group *simdisk_disk_groups[];
void simdisk_disk_attributes_init(void);
int simdisk_world_attributes_init(void);
void simdisk_world_attributes_exit(void);

#endif
