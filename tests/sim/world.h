/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One seed: a machine with three drives and a cache on them, its users, and
 * what befalls them.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "devices.h"
#include "oracle.h"

struct larder_cache;

/* What a seed may do; each can be switched off, to shrink a failure. */
#define WORLD_FEATURES(X) \
	X(crashes) X(host_crashes) X(errors) X(bad_sectors) X(loss) X(misdirected) X(slow) \
	X(memory) X(preempt) X(unlikely) X(fua) X(flush) X(discard) X(manage) X(reload) \
	X(modes) X(policies) X(resize) X(grow) X(suspend) X(detach) X(clean_stop) \
	X(big_io) X(rare) X(tuples) X(damage) X(carrier)

enum world_feature {
#define X(name) WORLD_##name,
	WORLD_FEATURES(X)
#undef X
	NR_WORLD_FEATURES,
};

struct world_options {
	u64 seed;
	u32 without;		/* mask of features */
	u32 rounds, users, ops;	/* at most; 0: as the seed says */
	bool trace;
	bool carriers;		/* most cache devices keep tuples without knowing what they are */
};

struct world_config {
	enum topology topology;
	bool fua;
	u32 chunk_sectors;
	u32 rounds, users, ops;
	u64 origin_sectors, cache_sectors, metadata_sectors;
	const char *policy;
	bool write_back;
	u32 hot_percent;	/* of the origin that most requests go to */
	u32 preempt_one_in;
	/* what only some seeds have, see pick_rare() */
	bool rare;
	u32 stall_one_in;
	u32 flush_percent;	/* of requests */
	u32 rest_one_in;	/* of the pauses takes a second or so */
	bool host_crashes;	/* most crashes leave the drives their power */
};

/* T10 protection information of the devices, see tuples.c. */
struct world_pi {
	struct device_profile origin, cache;
	bool any;		/* one of them has it */
	bool pass;		/* both have the same */
	bool carrier;		/* the cache device keeps the origin's, whatever they are */
	u32 unit;		/* all requests are multiples of so many sectors */
	const char *word;	/* of the table line */
};

struct world {
	struct world_options options;
	struct world_config config;
	struct sim_rng rng;	/* of what users and admins do */
	struct sim_rng fault_rng, crash_rng, grow_rng;
	struct sim_rng judge_rng;	/* that somebody looks must not change what happens */
	struct world_pi pi;
	bool grows;		/* cache and metadata device become longer */
	struct oracle oracle;
	u64 tick;		/* the oracle's clock */
	struct mapped_device *md;
	bool write_back;	/* by the live table */
	u64 sectors;		/* of the cached device now */
	u64 shrinking_to;	/* 0: it is not being made smaller */
	bool came_up;		/* once at least */
	u64 lately[4];		/* where requests went */
	u32 users_left;
	struct wait_queue users_gone;
	bool stopping;		/* users end */
	bool users_paused;
	u32 ops_running;
	bool round_over;
	bool errors_expected;	/* a fault has been planned since the boot */
	bool gave_up;		/* damage that was planted: nothing more to be learnt */
	u32 round;
	u64 nr_crashes, nr_ops;
	bool host_crashed;	/* the last crash was one of the host alone */
};

extern struct world world;

static inline bool world_may(enum world_feature f)
{
	return !(world.options.without >> f & 1);
}

static inline u64 world_below(u64 limit)
{
	return sim_rng_below(&world.rng, limit);
}

static inline bool world_one_in(u32 n)
{
	return world_below(n) == 0;
}

/* Runs the seed to its end; failures end in sim_fail(). */
void world_run(const struct world_options *options);
const char *world_feature_name(enum world_feature f);
struct larder_cache *world_cache(void);	/* of the live table, or NULL */

/* users.c */
void users_start(u32 nr, u32 ops);
/* Reads every sector and judges it. */
void users_read_all(void);
/* Writes over what nobody has any more. */
void users_replace_lost(void);
/* One write that must succeed, sooner or later: errors have ended. */
void users_write_succeeds(void);
/* Writes to the origin alone, while it has no cache. */
void users_bypass(void);

/* admin.c */
void admin_boot(void);
void admin_round(void *unused);
void admin_detach(void);
void admin_plan_faults(void);

/* judge.c: metadata and dirty sets */
void judge_init(void);
void judge_free(void);
void judge_metadata(void *unused);
void judge_event(void *unused);
void judge_origin_changes(u64 sector, u32 sectors);
void judge_flush_begins(u64 id);
void judge_flush_ended(u64 id);
void judge_all_clean(void);
void judge_visit(void);
void judge_before_crash(void);
void judge_after_boot(void);
void judge_sizes(void);		/* right after a resume */
void judge_forget(void);	/* the cache was made anew, or discarded */

/* tuples.c: which they are, and who gets them */
void tuples_pick(void);
void tuples_begin(void);
void tuples_pick_word(void);
void tuples_boot(void);
void tuples_loaded(void);
void tuples_resumed(void);
void tuples_new_cache(void);
bool tuples_kept(void);		/* the origin's are to stay as they were */
bool tuples_chance(u32 n);	/* once in n, in worlds with protection information */
void tuples_begin_request(struct sim_request *r, u64 id, bool *bad);
void tuples_end_read(const struct sim_request *r);
void tuples_of_write(u64 id, u64 sector, const void *data, u64 *cells, u32 nr);
bool tuples_fit(u64 sector, const void *data, u64 cell);
void tuples_describe(u64 sector, const void *data, u64 cell, char *to, size_t size);
void tuples_check_disk(const struct sim_disk *disk, bool durable, u64 place, u64 sector,
		       const char *where);
bool tuples_may_differ(struct sim_view cache, u64 place, struct sim_view origin, u64 sector);
void tuples_damage(void);
bool tuples_damaged(struct sim_view cache, u64 place);
void tuples_mend(u64 place, u64 cell, void *data, const struct sim_disk *disk);
bool tuples_mend_sector(u64 place, void *buffer);
void tuples_watch(void);
bool tuples_lost(u64 sector, u32 sectors, u64 begin);
bool tuples_next_lost(u64 *sector);

#endif
