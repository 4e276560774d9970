/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shell around the core: one cached device, and what its files offer each
 * other.  Decisions are made in core/; this side takes locks, sends bios and
 * waits.
 *
 *	module.c	load and unload; the target's registration
 *	target.c	constructor and destructor, suspend and resume, limits
 *	table.c		table line: parsing, exact echo
 *	open.c		metadata: probe, format, load, activation, stop
 *	passthrough.c	pass-through mode: writes invalidate
 *	scan.c		what the records say, for the constructor
 *	resize.c	devices that have other sizes than before
 *	handover.c	who owns the metadata; from one table to the next
 *	effects.c	performs the core's reads, writes and flushes
 *	map.c		requests: hits, misses, what happens when they end
 *	wait.c		a read-only table beside a live cache
 *	park.c		requests that wait, and what wakes them
 *	dual.c		write-through: both legs
 *	fill.c		into the cache: fills, copying in for merges
 *	integrity.c	T10 protection information: does it pass, and why not
 *	tuples.c	its tuples, on their way with the data
 *	carrier.c	cache devices that keep tuples without knowing what they are
 *	heal.c		protection errors of the cache device
 *	scrub.c		looks for damage on the cache device
 *	discard.c	discards
 *	destage.c	out of the cache: write-back, its order and pace
 *	commit.c	the metadata worker: group commit, checkpoints
 *	supply.c	free slots: victims and their forgets
 *	policies.c	registry of policies
 *	status.c	status, table and messages
 */
#ifndef LARDER_H
#define LARDER_H

#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "core/metadata.h"
#include "core/request.h"
#include "../policy/policy.h"

#define DM_MSG_PREFIX "larder"

enum larder_mode {
	MODE_WRITE_BACK,
	MODE_WRITE_THROUGH,
	MODE_PASS_THROUGH,	/* all I/O goes to the origin, writes drop what is cached of it */
	NR_MODES,
};

/* What the table line says of protection information; what comes of it is c->pi and c->pi_kept. */
enum larder_pi {
	PI_AUTO,
	PI_REQUIRE,
	PI_OFF,
	NR_PI,
};

#define POLICY_ARGS_MAX 32

struct larder_args {
	enum larder_mode mode;
	u32 chunk_sectors;
	bool discard_passdown;
	enum larder_pi pi;
	bool pi_given;
	bool metadata2;		/* the word was given: only for LVM to see it again */
	char policy_name[32];
	unsigned int nr_policy_args;	/* keys and values */
	struct {
		const char *key;
		u64 value;
	} policy_args[POLICY_ARGS_MAX];
	u64 migration_threshold;
	char *echo;		/* the words behind the three devices, as given */
	char *words;		/* what key points into */
};

enum larder_count {
	COUNT_READ_HIT, COUNT_READ_MISS, COUNT_WRITE_HIT, COUNT_WRITE_MISS,
	COUNT_READ_MIXED,		/* read served by both sides */
	COUNT_WRITE_AROUND,		/* write miss that went to the origin */
	COUNT_MERGE,			/* partly covered grains copied in */
	COUNT_FILL, COUNT_FILL_DROPPED,
	COUNT_PROMOTION, COUNT_DEMOTION,
	COUNT_INVALIDATED,		/* dropped in pass-through mode */
	COUNT_DESTAGE, COUNT_DESTAGE_SPOILED,	/* blocks; and those written meanwhile */
	COUNT_ORIGIN_READS, COUNT_ORIGIN_WRITES,	/* bios sent to the origin */
	COUNT_CACHE_SECTORS_WRITTEN, COUNT_ORIGIN_SECTORS_WRITTEN,
	COUNT_COMMIT, COUNT_COMMIT_RECORDS, COUNT_COMMIT_FAILED,
	COUNT_FLUSH, COUNT_FUA, COUNT_CACHE_FLUSH, COUNT_ORIGIN_FLUSH, COUNT_CHECKPOINT,
	COUNT_INTENT, COUNT_PARKED, COUNT_DISCARD, COUNT_CACHE_ERROR, COUNT_ORIGIN_ERROR,
	COUNT_PI_ERROR,			/* protection errors that the cache device has reported */
	COUNT_PI_HEALED, COUNT_PI_LOST,	/* grains: read from the origin instead; dirty */
	COUNT_PI_REFUSED,		/* requests with tuples that could not be kept */
	/* not shown: what has been written since the beginning, to compare with what was flushed */
	COUNT_WRITES_CACHE, COUNT_WRITES_CACHE_DIRTY, COUNT_WRITES_ORIGIN, COUNT_WRITES_ORIGIN_USER,
	NR_COUNTS,
};

struct larder_stats {
	u64 count[NR_COUNTS];
};

enum larder_io_kind {
	IO_PASS,		/* nothing to do at its end */
	IO_READ_HIT,		/* has a read hold */
	IO_READ_MISS,		/* may be filled from */
	IO_WRITE_HIT,		/* has a write hold; grains become valid and dirty */
	IO_ORIGIN_WRITE,	/* counted in its shard */
};

/* Of a table that was resumed beside a live cache. */
enum larder_wait {
	WAIT_OVER,		/* or never begun */
	WAIT_FOR_OTHER,
	WAIT_FAILED,		/* could not take over, or was suspended before */
};

/* Per-bio data. */
struct larder_io {
	struct larder_cache *cache;
	struct list_head list;		/* parked, or waiting for a commit */
	u64 block;			/* first block */
	u64 grains;			/* for slot_written() */
	u32 slot;
	u32 generation;			/* of the shard, when a read was sent to the origin */
	union {
		struct bvec_iter iter;	/* of such a read */
		void *tuples[2];	/* of the legs of a write to both devices */
	};
	enum larder_io_kind kind;
	u8 nr_slots;			/* of a hit: neighbours, from slot on */
	bool fua;			/* wait for a commit at the end */
	bool flush;			/* an empty flush, for the committer */
	bool write_origin_durable;	/* was sent with FUA */
	atomic_t legs;			/* of a write to both devices, still under way */
	blk_status_t status;		/* of its leg to the origin */
	blk_status_t cache_status;	/* and to the slot */
};

struct larder_shard {
	spinlock_t lock;		/* the core's "shard lock" */
	u32 nr_parked;
	struct list_head parked;	/* struct larder_io: writes that wait for a slot */
} ____cacheline_aligned_in_smp;

struct destage_entry {
	u64 block;
	u64 grains;
	u32 slot;
	u32 version;
	bool failed;
};

#define COMMIT_GROUPS_MAX 256	/* intents set or withdrawn in one round */

/* The metadata worker, see commit.c. */
struct larder_committer {
	struct work_struct work;
	spinlock_t lock;		/* guards the following */
	struct list_head waiters;	/* struct larder_io: flushes, FUA writes */
	struct list_head intent_waiters; /* struct larder_io: writes, to be run again */
	struct list_head forgets;	/* struct larder_forget_batch */
	struct destage_batch *destaged;	/* destaged blocks that wait to be recorded clean */
	bool wanted;
	bool lazy_wanted;		/* record fills too */
	bool withdraw_all;		/* all intents, at a stop */
	bool probe;			/* write both superblocks, to see whether that works */
	bool failed;			/* the last commit; writes are refused (I5) */
	bool super_failed;		/* under round: it was the superblocks, try these again */
	u64 rounds_begun, rounds_done;
	wait_queue_head_t done;
	struct mutex round;		/* one round at a time: worker, suspend */
	/* used only within a round */
	u64 cache_flushed, cache_dirty_flushed, origin_flushed, origin_user_flushed;
	bool origin_ever_flushed;
	u64 setting[COMMIT_GROUPS_MAX];
	u64 clearing[COMMIT_GROUPS_MAX];
	u32 nr_setting, nr_clearing;
	bool stopped;			/* under round: the worker rests */
};

struct larder_forget_batch {
	struct list_head list;
	u32 nr;
	u32 slots[POLICY_VICTIMS_MAX];
	enum policy_removed why;
	struct completion *done;	/* optional: completed after the round that tried it */
	int *error;			/* with done: of that round */
};

struct larder_policy_module {
	const struct policy_ops *ops;
	struct module *owner;
	struct list_head list;
};

struct larder_cache {
	struct dm_target *ti;
	struct dm_dev *metadata_dev;
	struct dm_dev *cache_dev;
	struct dm_dev *origin_dev;
	bool no_origin_discards;		/* the origin cannot: they end at the cache */
	u32 block_mask;			/* bytes of the larger logical block of the two, less one */
	struct larder_args args;

	/* these three change only while suspended */
	bool pi;			/* the device has the profile, requests may bring tuples */
	bool pi_kept;			/* own transfers carry them, also where pi is not set */
	bool carrier;			/* with pi_kept: the cache device does not look at them */
	bool pi_possible;		/* at the constructor: there is memory for them */
	bool carrier_possible;		/* ... and the cache device was such a one */
	bool mark_expected;		/* ... and the metadata will allow it */
	bool carrier_wanted;		/* at the resume: the devices allow it */
	const char *pi_reason;		/* why pi is not set, or NULL */
	struct larder_profile profile;	/* with pi_possible: of the origin, and of what is kept */
	struct larder_profile cache_profile;	/* of the cache device */
	u32 tuples_per_page;

	struct geometry geometry;
	struct slotmap map;
	void *map_memory;
	struct larder_shard *shards;
	spinlock_t free_lock;		/* the core's "free lock" */
	struct metadata *metadata;
	void *metadata_memory;
	bool loaded;			/* map and metadata are as the device is, or ahead of it */
	bool stale;			/* the map is there, but the device has moved on */
	bool active;			/* owns the metadata device; see handover.c */
	bool to_be_woken;		/* when somebody else no longer does */
	struct list_head list;		/* there */
	enum larder_wait wait;		/* changes with rerun_lock held, or while suspended */
	struct list_head waiting;	/* struct larder_io: reads, while it is WAIT_FOR_OTHER */
	struct work_struct wait_work;
	bool running;			/* between resume and presuspend */
	bool anonymous;			/* from the first resume on: iterate_devices shows nobody */
	bool was_clean;			/* found an orderly stop at load */
	bool found;			/* the constructor found a cache */

	struct policy policy;
	const struct policy_ops *policy_ops;
	struct module *policy_owner;
	void *policy_memory;
	spinlock_t policy_lock;		/* around every call into the policy */

	struct larder_committer committer;
	struct workqueue_struct *commit_queue;	/* ordered: the metadata worker */
	struct workqueue_struct *run_queue;	/* parked requests, supply */
	struct workqueue_struct *copy_queue;	/* fills, merges, destage */
	struct workqueue_struct *discard_queue;	/* discards: they wait for the others */

	spinlock_t rerun_lock;		/* guards rerun, unhealed and waiting */
	struct list_head rerun;		/* struct larder_io that may go on */
	struct list_head unhealed;	/* struct larder_io: reads with a protection error */
	struct work_struct heal_work;
	struct work_struct rerun_work;
	struct work_struct supply_work;
	atomic_t forgets_pending;	/* slots in FORGETTING */
	struct delayed_work destage_work;
	struct destage *destage;
	struct larder_scrub *scrub;
	struct delayed_work tick_work;
	unsigned long last_io;		/* jiffies, for idleness */

	atomic_t fill_pages;
	struct bio_set bios;		/* clones and copies */
	mempool_t copy_ops;
	bool starving;			/* no free slots: destage in earnest */

	struct larder_stats __percpu *stats;
};

static inline void count(struct larder_cache *c, enum larder_count stat)
{
	this_cpu_inc(c->stats->count[stat]);
}

static inline void count_by(struct larder_cache *c, enum larder_count stat, u64 by)
{
	this_cpu_add(c->stats->count[stat], by);
}

u64 larder_sum(struct larder_cache *c, enum larder_count stat);

static inline struct larder_shard *shard_of(struct larder_cache *c, u64 block)
{
	return &c->shards[slotmap_shard(&c->map, block)];
}

static inline struct bio *io_bio(struct larder_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(struct larder_io));
}

static inline struct larder_io *bio_io(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct larder_io));
}

/* After dm_accept_partial_bio(), which does not do it. */
static inline void larder_accept(struct bio *bio, u32 sectors)
{
	dm_accept_partial_bio(bio, sectors);
	larder_trim_tuples(bio);
}

/* table.c */
extern const char *const larder_mode_names[NR_MODES];
extern const char *const larder_pi_names[NR_PI];
int larder_parse_args(struct larder_args *args, unsigned int argc, char **argv, char **error);
void larder_free_args(struct larder_args *args);

/* open.c: called while nothing else runs; what they refuse is in the log, and in *error */
int larder_probe(struct larder_cache *c, char **error);
int larder_open(struct larder_cache *c);
void larder_close(struct larder_cache *c);
void larder_unload(struct larder_cache *c);

/* A slot map and all that belongs to it, not yet a cache's. */
struct larder_map {
	struct slotmap map;
	struct larder_shard *shards;
	void *memory;
};

int larder_map_alloc(struct larder_cache *c, const struct geometry *g, struct larder_map *m);
void larder_map_install(struct larder_cache *c, const struct larder_map *m);
void larder_map_free(const struct larder_map *m);

/* scan.c: what the last record says of each slot, by slot */
struct larder_scan {
	u64 nr_blocks;		/* of the origin now */
	u64 end;		/* of the furthest block that was ever named beyond that, or 0 */
	u32 nr_slots;		/* of the cache */
	unsigned long *beyond;	/* it holds what is beyond the end of the origin */
	unsigned long *dirty;	/* what it holds is dirty */
	unsigned long *intent;	/* it may have become dirty since */
	unsigned long *used;	/* it holds anything */
};

/* Process context; *error as the constructor's.  To be freed when it succeeds. */
int larder_scan(struct larder_cache *c, struct larder_scan *scan, char **error);
void larder_scan_free(struct larder_scan *scan);

/* resize.c */
int larder_check_cache_size(struct larder_cache *c, char **error);
int larder_expect_sizes(struct larder_cache *c, char **error);
int larder_check_end(struct larder_cache *c);
int larder_settle_end(struct larder_cache *c);
int larder_resize(struct larder_cache *c, bool anew);

/* handover.c */
int larder_claim_metadata(struct larder_cache *c);
bool larder_begin_wait(struct larder_cache *c);
bool larder_end_wait(struct larder_cache *c);
void larder_release_metadata(struct larder_cache *c);
void larder_forget_cache(struct larder_cache *c);
void larder_keep_state(struct larder_cache *c);
int larder_find_state(struct larder_cache *c);
bool larder_has_twin(struct larder_cache *c);
u64 larder_dirty_elsewhere(struct larder_cache *c);

/* effects.c: process context */
int larder_perform(struct larder_cache *c, const struct metadata_io *io);
int larder_run_operation(struct larder_cache *c, struct metadata_op *op);
int larder_flush_devices(struct larder_cache *c, unsigned int devices);

/* A piece of I/O between one of the devices and whole pages, and many of them at once. */
struct larder_transfer {
	atomic_t pending;
	blk_status_t status;
	struct completion done;
	struct larder_cache *cache;
	struct larder_tuples *tuples;	/* of the pages, or NULL */
	struct page **pages;		/* of a read that carrier.c has to look at */
};

/* sector: of the origin, that the pages begin with. */
void larder_transfer_init(struct larder_cache *c, struct larder_transfer *t,
			  struct larder_tuples *tuples, u64 sector);
void larder_transfer(struct larder_cache *c, struct larder_transfer *t, struct dm_dev *dev,
		     blk_opf_t opf, u64 sector, u32 sectors, struct page **pages, u32 offset);
blk_status_t larder_transfer_wait(struct larder_transfer *t);

/* integrity.c */
int larder_pi_construct(struct larder_cache *c, char **error);
void larder_pi_limits(struct larder_cache *c, struct queue_limits *limits);
int larder_pi_expect(struct larder_cache *c, char **error);
int larder_pi_resume(struct larder_cache *c);
int larder_pi_settle(struct larder_cache *c);
int larder_pi_refuse(struct larder_cache *c);

/* tuples.c; what belongs to pages of data, from their first interval on */
struct larder_tuples {
	u64 seed;		/* of the first */
	unsigned long *unchecked;	/* of a carrier: intervals that are being read */
	u32 nr;
	u32 nr_pages;
	struct page *pages[];
};

struct larder_tuples *larder_tuples_alloc(struct larder_cache *c, u32 pages, gfp_t gfp);
void larder_tuples_free(struct larder_tuples *t);
bool larder_tuples_copy(struct larder_cache *c, struct larder_tuples *t, struct bio *bio,
			u64 sector);
u64 larder_tuples_run(struct larder_cache *c, const struct larder_tuples *t, bool judged,
		      u64 at, u64 bytes, bool *with);
int larder_tuples_attach(struct larder_cache *c, const struct larder_tuples *t, struct bio *bio,
			 u64 at, const struct larder_profile *p);
struct bio *larder_pi_clone(struct larder_cache *c, struct bio *bio, struct dm_dev *dev,
			    void **copy);
int larder_pi_read(struct larder_cache *c, struct bio *bio, struct dm_dev *dev, u64 sector);
int larder_pi_miss(struct larder_cache *c, struct bio *bio, struct larder_io *io);

/* carrier.c */
struct bio *larder_carrier_clone(struct larder_cache *c, struct bio *bio, void **carried,
				 blk_status_t *status);
int larder_carrier_write(struct larder_cache *c, struct bio *bio, u64 in_slot);
int larder_carrier_read(struct larder_cache *c, struct bio *bio, u64 in_slot);
blk_status_t larder_carrier_read_now(struct larder_cache *c, struct bio *part, u64 in_slot);
void larder_carrier_seed(const struct larder_cache *c, struct larder_tuples *t, u64 sector);
void larder_carrier_adopt(const struct larder_cache *c, struct larder_tuples *t, u32 nr, u64 seed,
			  u64 sector);
void larder_carrier_make(const struct larder_cache *c, struct larder_tuples *t, struct page **pages,
			 u32 nr, u64 sector);
blk_status_t larder_carrier_begin(struct larder_cache *c, struct larder_transfer *t, blk_opf_t opf,
				  struct page **pages, u64 at, u64 end);
blk_status_t larder_carrier_end(struct larder_transfer *t);

/* heal.c */
void larder_heal(struct larder_cache *c, struct larder_io *io);
void larder_heal_init(struct larder_cache *c);

/* scrub.c; nothing of it is at work between pause and go_on, which must follow */
int larder_scrub_init(struct larder_cache *c);
void larder_scrub_exit(struct larder_cache *c);
void larder_scrub_pause(struct larder_cache *c);
void larder_scrub_go_on(struct larder_cache *c);
void larder_scrub_renew(struct larder_cache *c);
void larder_scrub_take_over(struct larder_cache *c, struct larder_cache *from);
unsigned int larder_scrub_text(struct larder_cache *c, char *text, unsigned int size, bool list);
int larder_scrub_message(struct larder_cache *c, unsigned int argc, char **argv, char *result,
			 unsigned int maxlen);

/* map.c */
int larder_map(struct dm_target *ti, struct bio *bio);
int larder_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error);
void larder_remap(struct bio *bio, struct dm_dev *dev, u64 sector);
/* Releases the shard's lock; first: the bio comes straight from map(). */
int larder_write_around(struct larder_cache *c, struct bio *bio, struct larder_io *io,
			const struct extent *e, bool first, struct larder_shard *sh,
			unsigned long flags)
	__releases(&sh->lock);
/* Runs a write again that has been accepted before; process context. */
void larder_mapped(struct bio *bio, int result);
void larder_write_again(struct larder_cache *c, struct bio *bio);
void larder_origin_written(struct larder_cache *c, u64 block, bool durable);

/* wait.c; while larder_waits(), the cache has not been opened */
static inline bool larder_waits(struct larder_cache *c)
{
	return smp_load_acquire(&c->wait) != WAIT_OVER;
}

int larder_wait(struct larder_cache *c, struct bio *bio);
void larder_wait_init(struct larder_cache *c);
void larder_wait_stop(struct larder_cache *c);

/* park.c */
void larder_park(struct larder_cache *c, struct larder_shard *sh, struct larder_io *io);
void larder_wake(struct larder_cache *c, u64 block);
void larder_run_again(struct larder_cache *c, struct list_head *ios);
void larder_rerun_worker(struct work_struct *work);

/* passthrough.c */
int larder_pass_read(struct larder_cache *c, struct bio *bio, struct larder_io *io);
int larder_pass_write(struct larder_cache *c, struct bio *bio, struct larder_io *io, bool first);
int larder_check_all_clean(struct larder_cache *c, char **error);
/* argv: ranges of chunks of the cache device, "N" or "N-M" without M */
int larder_invalidate(struct larder_cache *c, unsigned int argc, char **argv);

/* dual.c */
void larder_write_both(struct larder_cache *c, struct bio *bio, const struct extent *e, u32 slot);

/* fill.c */
void larder_fill(struct larder_cache *c, struct bio *bio, struct larder_io *io);
/* Copies grains of a FILLING slot in from the origin, marks them dirty, and runs the bio again. */
void larder_copy_in(struct larder_cache *c, struct bio *bio, u64 block, u32 slot, u64 grains);
int larder_fill_init(struct larder_cache *c);
void larder_fill_exit(struct larder_cache *c);

/* discard.c */
int larder_map_discard(struct larder_cache *c, struct bio *bio);

/* destage.c */
int larder_destage_init(struct larder_cache *c);
void larder_destage_exit(struct larder_cache *c);
void larder_destage_start(struct larder_cache *c);
void larder_destage_kick(struct larder_cache *c);
void larder_destage_stop(struct larder_cache *c);
struct destage_batch {
	u32 nr;
	bool done;
	struct destage_entry entries[];
};

/* commit.c */
void larder_commit_init(struct larder_cache *c);
void larder_commit_exit(struct larder_cache *c);
/* The bio ends when everything acknowledged before is durable. */
void larder_commit_bio(struct larder_cache *c, struct larder_io *io);
/* The write is run again when the intent of its slot's page is durable. */
void larder_commit_intent(struct larder_cache *c, struct larder_io *io, u32 slot);
void larder_commit_forget(struct larder_cache *c, struct larder_forget_batch *batch);
/* Waits until the batch is recorded. */
void larder_commit_destaged(struct larder_cache *c, struct destage_batch *batch);
void larder_commit_soon(struct larder_cache *c, bool lazy);
/* The same, and writes the superblocks, to notice a metadata device that takes no writes. */
int larder_commit_probe(struct larder_cache *c);
/* One whole round now; stop: with everything that can be recorded and all intents withdrawn. */
int larder_commit_now(struct larder_cache *c, bool stop);
void larder_commit_stop(struct larder_cache *c, bool stop);

static inline bool larder_failed(struct larder_cache *c)
{
	return READ_ONCE(c->committer.failed);
}

/* supply.c */
u32 larder_take_slot(struct larder_cache *c);
void larder_return_slot(struct larder_cache *c, u32 slot);
void larder_supply_worker(struct work_struct *work);
void larder_forgotten(struct larder_cache *c, struct larder_forget_batch *batch);
/* Makes a clean, unused slot FORGETTING; false when it is something else. */
bool larder_evict(struct larder_cache *c, u32 slot);

/* policies.c */
int larder_policy_register(const struct policy_ops *ops, struct module *owner);
void larder_policy_unregister(const struct policy_ops *ops);
int larder_policy_open(struct larder_cache *c);
void larder_policy_close(struct larder_cache *c);
int larder_policy_attach(struct larder_cache *c);	/* geometry is known */
void larder_policy_detach(struct larder_cache *c);
int larder_policy_set(struct larder_cache *c, const char *key, u64 value);
void larder_policy_emit(struct larder_cache *c, policy_emit_fn emit, void *context);
/* For other sizes: anew, with the settings that it has now. */
int larder_policy_renew(struct larder_cache *c);
enum policy_admit larder_policy_miss(struct larder_cache *c, const struct extent *e, bool write);
void larder_policy_inserted(struct larder_cache *c, u32 slot, u64 block, bool write);
void larder_policy_removed(struct larder_cache *c, u32 slot, u64 block, enum policy_removed why);
int larder_policies_init(void);
void larder_policies_exit(void);

/* status.c */
void larder_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		   unsigned int maxlen);
int larder_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		   unsigned int maxlen);

/* target.c */
void larder_start(struct larder_cache *c);
extern struct target_type larder_target, larder_cache_target;
int larder_nobody_init(void);
void larder_nobody_exit(void);

#endif
