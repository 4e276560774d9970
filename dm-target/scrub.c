// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scrub: when asked to, reads all that is cached, in the order of the slots,
 * so that damage on the cache device is found while the origin still has the
 * data.  What cannot be read, or not without a protection error, is looked at
 * again piece by piece: a clean piece is written anew from the origin, or its
 * block is dropped when that does not help; a dirty one, which nobody else
 * has, is listed and left alone: its write-back fails, too.
 *
 * A slot is held for reading while a window of it is read, so that it is not
 * given to another block.  The worker is stopped by a suspend and goes on with
 * the resume.
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include "larder.h"

#define WINDOW_PAGES	32
#define WINDOW_SECTORS	((u32)(WINDOW_PAGES << (PAGE_SHIFT - SECTOR_SHIFT)))
#define RATE_DEFAULT	16384u		/* KiB/s */
#define RATE_MAX	(1u << 30)
#define BURST_NS	(NSEC_PER_SEC / 10)	/* what may be made up for */
#define BUSY_FACTOR	4u		/* so much slower while users are at work */
#define LOST_MAX	64		/* so many places are listed */
#define TAKE_TRIES	5		/* to get at a slot that is being written, 20 ms each */

enum scrub_state {
	SCRUB_NONE,
	SCRUB_RUNNING,		/* also while the cache is suspended */
	SCRUB_FINISHED,
	SCRUB_STOPPED,
	NR_SCRUB_STATES,
};

/* Of pieces: grains, or parts of large ones. */
enum scrub_count {
	SCRUB_PI_ERRORS,
	SCRUB_MEDIA_ERRORS,
	SCRUB_OTHER_ERRORS,	/* of the cache device; nothing is done about these */
	SCRUB_HEALED,
	SCRUB_LOST,		/* dirty */
	SCRUB_LEFT,		/* clean, but neither mended nor dropped */
	NR_SCRUB_COUNTS,
};

struct scrub_lost {
	u64 sector;		/* of the origin */
	u32 sectors;
	u32 slot;
	bool pi;		/* else it cannot be read */
};

/* What goes on across suspends and tables. */
struct scrub_progress {
	enum scrub_state state;
	u32 rate;		/* KiB/s */
	u32 slot;		/* where to go on */
	u32 offset;		/* sectors, if it still holds this block */
	u64 block;
	u64 sectors;		/* read so far */
	u64 count[NR_SCRUB_COUNTS];
	u32 nr_lost;
	struct scrub_lost lost[LOST_MAX];
};

struct larder_scrub {
	struct larder_cache *cache;
	struct delayed_work work;
	struct mutex control;	/* who starts and stops the worker */
	spinlock_t lock;	/* guards what follows; slot, offset and block are the worker's */
	struct scrub_progress p;
	u64 due;		/* ns, when to go on; the worker's, as what follows */
	struct larder_tuples *tuples;	/* of the pages, or NULL */
	struct page *pages[WINDOW_PAGES];
};

static bool wanted(const struct larder_cache *c)
{
	return READ_ONCE(c->running) && READ_ONCE(c->scrub->p.state) == SCRUB_RUNNING;
}

static void add(struct larder_scrub *s, enum scrub_count what, u64 by)
{
	spin_lock(&s->lock);
	s->p.count[what] += by;
	spin_unlock(&s->lock);
}

/* --- one piece: within a grain, and within the pages --- */

struct piece {
	u64 block;
	u32 slot;
	u32 offset, sectors;	/* in the block */
};

static u64 in_slot(const struct larder_cache *c, const struct piece *p)
{
	return geometry_slot_start(&c->geometry, p->slot) + p->offset;
}

static u64 in_origin(const struct larder_cache *c, const struct piece *p)
{
	return geometry_block_start(&c->geometry, p->block) + p->offset;
}

static blk_status_t transfer(struct larder_cache *c, struct dm_dev *dev, blk_opf_t opf,
			     const struct piece *p)
{
	u64 sector = dev == c->cache_dev ? in_slot(c, p) : in_origin(c, p);
	struct larder_scrub *s = c->scrub;
	struct larder_transfer t;

	larder_transfer_init(c, &t, s->tuples, in_origin(c, p));
	larder_transfer(c, &t, dev, opf, sector, p->sectors, s->pages, 0);
	return larder_transfer_wait(&t);
}

static const char *what_is_wrong(bool pi)
{
	return pi ? "protection error" : "unreadable sector";
}

static void lose(struct larder_cache *c, const struct piece *p, bool pi)
{
	struct larder_scrub *s = c->scrub;

	if (pi)
		count(c, COUNT_PI_LOST);
	DMERR_LIMIT("%s: scrub: %s in dirty data, slot %u, %u sectors from %llu of the origin",
		    dm_table_device_name(c->ti->table), what_is_wrong(pi), p->slot, p->sectors,
		    in_origin(c, p));
	spin_lock(&s->lock);
	s->p.count[SCRUB_LOST]++;
	if (s->p.nr_lost < LOST_MAX)
		s->p.lost[s->p.nr_lost++] = (struct scrub_lost){
			.sector = in_origin(c, p),
			.sectors = p->sectors,
			.slot = p->slot,
			.pi = pi,
		};
	spin_unlock(&s->lock);
}

static void healed(struct larder_cache *c, const struct piece *p, bool pi, const char *how)
{
	if (pi)
		count(c, COUNT_PI_HEALED);
	add(c->scrub, SCRUB_HEALED, 1);
	DMWARN_LIMIT("%s: scrub: %s in slot %u, %u sectors from %llu of the origin: %s",
		     dm_table_device_name(c->ti->table), what_is_wrong(pi), p->slot, p->sectors,
		     in_origin(c, p), how);
}

enum taken { TAKEN, TAKEN_DIRTY, TAKEN_GONE, TAKEN_BUSY };

/* Makes the slot FILLING, so that nobody writes to it, if the piece is clean. */
static enum taken take(struct larder_cache *c, const struct piece *p)
{
	u64 grain = geometry_touched(&c->geometry, p->offset, p->sectors);
	struct larder_shard *sh = shard_of(c, p->block);
	enum taken taken = TAKEN_BUSY;
	u32 tries;

	for (tries = 0; taken == TAKEN_BUSY && tries < TAKE_TRIES; tries++) {
		if (tries)
			msleep(20);
		spin_lock_irq(&sh->lock);
		if (!(slot_valid(&c->map, p->slot) & grain))
			taken = TAKEN_GONE;
		else if (slot_dirty(&c->map, p->slot) & grain)
			taken = TAKEN_DIRTY;
		else if (slot_change(&c->map, p->slot, SLOT_VALID, SLOT_FILLING, NO_WRITERS, NULL))
			taken = TAKEN;
		spin_unlock_irq(&sh->lock);
	}
	return taken;
}

/*
 * What is clean is the same on the origin: nothing changes, and neither a
 * record nor an intent is needed.  *have: the origin has given it.
 */
static bool write_anew(struct larder_cache *c, const struct piece *p, bool *have)
{
	blk_status_t status;

	count(c, COUNT_ORIGIN_READS);
	status = transfer(c, c->origin_dev, REQ_OP_READ, p);
	*have = !status;
	if (status) {
		count(c, COUNT_ORIGIN_ERROR);
		return false;
	}
	count_by(c, COUNT_CACHE_SECTORS_WRITTEN, p->sectors);
	status = transfer(c, c->cache_dev, REQ_OP_WRITE, p);
	count(c, COUNT_WRITES_CACHE);
	return !status && !transfer(c, c->cache_dev, REQ_OP_READ, p);
}

/* What is to become of a piece that could not be read twice; true: its block is to be dropped. */
static bool mend(struct larder_cache *c, const struct piece *p, blk_status_t status)
{
	struct larder_shard *sh = shard_of(c, p->block);
	bool pi = status == BLK_STS_PROTECTION, have, ok;
	enum taken taken;

	count(c, pi ? COUNT_PI_ERROR : COUNT_CACHE_ERROR);
	if (!pi && status != BLK_STS_MEDIUM) {
		/* the device may be gone: what it has may be well */
		add(c->scrub, SCRUB_OTHER_ERRORS, 1);
		return false;
	}
	add(c->scrub, pi ? SCRUB_PI_ERRORS : SCRUB_MEDIA_ERRORS, 1);
	taken = take(c, p);
	/* the write that made it dirty may have mended it */
	if (taken == TAKEN_DIRTY && transfer(c, c->cache_dev, REQ_OP_READ, p) == status)
		lose(c, p, pi);
	else if (taken == TAKEN_BUSY)
		add(c->scrub, SCRUB_LEFT, 1);
	if (taken != TAKEN)
		return false;
	ok = write_anew(c, p, &have);
	spin_lock_irq(&sh->lock);
	slot_change(&c->map, p->slot, SLOT_FILLING, SLOT_VALID, 0, NULL);
	spin_unlock_irq(&sh->lock);
	larder_wake(c, p->block);
	if (ok)
		healed(c, p, pi, "written anew from the origin");
	else if (!have)
		add(c->scrub, SCRUB_LEFT, 1);	/* the origin cannot read it either */
	return !ok && have;
}

/* A block that could not be mended, not held any more: its next reader goes to the origin. */
static void drop(struct larder_cache *c, const struct piece *p, u32 nr, bool pi)
{
	struct larder_forget_batch *batch = kzalloc(sizeof(*batch), GFP_NOIO);

	if (!batch || !larder_evict(c, p->slot)) {
		kfree(batch);
		add(c->scrub, SCRUB_LEFT, nr);
		return;
	}
	batch->why = POLICY_REMOVED_DROPPED;
	batch->slots[batch->nr++] = p->slot;
	healed(c, p, pi, "dropped");
	add(c->scrub, SCRUB_HEALED, nr - 1);
	atomic_inc(&c->forgets_pending);
	larder_commit_forget(c, batch);
}

/* --- a window of a slot --- */

struct window {
	u64 block;
	u64 valid;
	u32 slot;
	u32 start, end;		/* sectors of the block */
};

/*
 * The next one from the cursor on, with the slot held.  Skipped is what is just
 * being forgotten, or has all the readers it can have.
 */
static bool window_begin(struct larder_cache *c, struct scrub_progress *p, struct window *w)
{
	for (; p->slot < c->map.nr_slots && wanted(c); p->slot++, p->offset = 0) {
		w->slot = p->slot;
		if (word_state(slot_word(&c->map, w->slot)) == SLOT_FREE)
			continue;
		w->block = slot_block(&c->map.slots[w->slot]);
		if (!slot_hold_read(&c->map, w->slot, w->block))
			continue;
		w->start = w->block == p->block ? p->offset : 0;
		w->end = min(w->start + WINDOW_SECTORS,
			     geometry_block_length(&c->geometry, w->block));
		w->valid = slot_valid(&c->map, w->slot);
		return true;
	}
	return false;
}

static void window_end(struct larder_cache *c, struct scrub_progress *p, const struct window *w)
{
	struct larder_shard *sh = shard_of(c, w->block);

	/* under the lock: who has been refused for the hold, and parks, is seen below */
	spin_lock_irq(&sh->lock);
	slot_release_read(&c->map, w->slot);
	spin_unlock_irq(&sh->lock);
	larder_wake(c, w->block);
	p->block = w->block;
	p->offset = w->end;
	if (w->end == geometry_block_length(&c->geometry, w->block)) {
		p->slot++;
		p->offset = 0;
	}
}

/* The next valid run of grains, or a single one, as far as it lies in the window. */
static bool window_run(struct larder_cache *c, const struct window *w, bool single, u32 *next,
		       struct piece *piece)
{
	u32 offset, sectors, end;

	while (request_grain_run(&c->geometry, w->block, w->valid, *next, &offset, &sectors,
				 next)) {
		if (single && sectors > c->geometry.grain_sectors) {
			sectors = c->geometry.grain_sectors;
			*next = (offset >> c->geometry.grain_shift) + 1;
		}
		end = min(offset + sectors, w->end);
		offset = max(offset, w->start);
		if (offset >= end)
			continue;
		*piece = (struct piece){ w->block, w->slot, offset, end - offset };
		return true;
	}
	return false;
}

/* All of it at once; in *sectors how much that was. */
static blk_status_t window_read(struct larder_cache *c, const struct window *w, u32 *sectors)
{
	u32 next = w->start >> c->geometry.grain_shift;
	struct larder_scrub *s = c->scrub;
	struct larder_transfer t;
	struct piece p;

	*sectors = 0;
	larder_transfer_init(c, &t, s->tuples,
			     geometry_block_start(&c->geometry, w->block) + w->start);
	while (window_run(c, w, false, &next, &p)) {
		larder_transfer(c, &t, c->cache_dev, REQ_OP_READ, in_slot(c, &p), p.sectors,
				s->pages, (p.offset - w->start) << SECTOR_SHIFT);
		*sectors += p.sectors;
	}
	return larder_transfer_wait(&t);
}

/* Reads it again, in pieces, and mends them; *bad: one of those for which it is to be dropped. */
static u32 window_mend(struct larder_cache *c, const struct window *w, struct piece *bad, bool *pi)
{
	u32 next = w->start >> c->geometry.grain_shift, nr_bad = 0;
	blk_status_t status;
	struct piece p;

	while (window_run(c, w, true, &next, &p)) {
		status = transfer(c, c->cache_dev, REQ_OP_READ, &p);
		if (!status || !mend(c, &p, status))
			continue;
		*bad = p;
		*pi = status == BLK_STS_PROTECTION;
		nr_bad++;
	}
	return nr_bad;
}

/* Returns the sectors that were read; false when there is nothing more to do. */
static bool window_scrub(struct larder_cache *c, u32 *sectors)
{
	struct scrub_progress *p = &c->scrub->p;
	struct piece bad;
	struct window w;
	u32 nr_bad = 0;
	bool pi = false;

	if (!window_begin(c, p, &w))
		return false;
	if (window_read(c, &w, sectors))
		nr_bad = window_mend(c, &w, &bad, &pi);
	window_end(c, p, &w);
	if (nr_bad)
		drop(c, &bad, nr_bad, pi);
	spin_lock(&c->scrub->lock);
	p->sectors += *sectors;
	spin_unlock(&c->scrub->lock);
	return true;
}

/* --- the worker --- */

/* How long sectors take at the rate that is wanted. */
static u64 duration(struct larder_cache *c, u32 sectors)
{
	u64 ns = div64_u64((u64)sectors * (NSEC_PER_SEC / 2), READ_ONCE(c->scrub->p.rate));

	return time_before(jiffies, READ_ONCE(c->last_io) + HZ / 10) ? ns * BUSY_FACTOR : ns;
}

static void finish(struct larder_cache *c)
{
	struct larder_scrub *s = c->scrub;
	bool all;

	spin_lock(&s->lock);
	all = s->p.state == SCRUB_RUNNING && s->p.slot >= c->map.nr_slots;
	if (all)
		s->p.state = SCRUB_FINISHED;
	spin_unlock(&s->lock);
	if (all)
		DMINFO("%s: scrub finished: %llu sectors read, %llu pieces healed, %llu lost",
		       dm_table_device_name(c->ti->table), s->p.sectors,
		       s->p.count[SCRUB_HEALED], s->p.count[SCRUB_LOST]);
}

static void scrub_worker(struct work_struct *work)
{
	struct larder_scrub *s = container_of(to_delayed_work(work), struct larder_scrub, work);
	struct larder_cache *c = s->cache;
	u64 now = ktime_get_ns();
	u32 sectors;

	if (s->due + BURST_NS < now)
		s->due = now - BURST_NS;
	while (s->due <= now) {
		if (!window_scrub(c, &sectors)) {
			finish(c);
			return;
		}
		s->due += duration(c, sectors);
		cond_resched();
		now = ktime_get_ns();
	}
	if (wanted(c))
		queue_delayed_work(c->copy_queue, &s->work,
				   1 + div64_u64((s->due - now) * HZ, NSEC_PER_SEC));
}

/* --- starting and stopping --- */

/* Afterwards it holds nothing and reads nothing, until larder_scrub_go_on(). */
void larder_scrub_pause(struct larder_cache *c)
{
	mutex_lock(&c->scrub->control);
	cancel_delayed_work_sync(&c->scrub->work);
}

void larder_scrub_go_on(struct larder_cache *c)
{
	if (wanted(c))
		queue_delayed_work(c->copy_queue, &c->scrub->work, 0);
	mutex_unlock(&c->scrub->control);
}

/* Stops or starts it, as the cache has been suspended or resumed. */
void larder_scrub_renew(struct larder_cache *c)
{
	larder_scrub_pause(c);
	larder_scrub_go_on(c);
}

/* With an old table's state goes what had been scrubbed of it; both are suspended. */
void larder_scrub_take_over(struct larder_cache *c, struct larder_cache *from)
{
	spin_lock(&c->scrub->lock);
	c->scrub->p = from->scrub->p;
	spin_unlock(&c->scrub->lock);
}

static int start(struct larder_cache *c, const char *word)
{
	struct larder_scrub *s = c->scrub;
	u64 rate = RATE_DEFAULT;
	int err = 0;

	if (word && (kstrtou64(word, 10, &rate) || !rate || rate > RATE_MAX)) {
		DMERR("message: expected a rate of 1 to %u KiB/s for \"scrub start\", found \"%s\"",
		      RATE_MAX, word);
		return -EINVAL;
	}
	larder_scrub_pause(c);
	spin_lock(&s->lock);
	if (!c->loaded || !READ_ONCE(c->running)) {
		err = -EAGAIN;
	} else if (s->p.state != SCRUB_RUNNING) {
		memset(&s->p, 0, sizeof(s->p));
		s->p.state = SCRUB_RUNNING;
		s->p.rate = rate;
	} else if (word) {
		s->p.rate = rate;
	}
	s->due = 0;
	spin_unlock(&s->lock);
	larder_scrub_go_on(c);
	if (err)
		DMERR("message: the cache is suspended: resume it before \"scrub start\"");
	return err;
}

static void stop(struct larder_cache *c)
{
	struct larder_scrub *s = c->scrub;

	larder_scrub_pause(c);
	spin_lock(&s->lock);
	if (s->p.state == SCRUB_RUNNING)
		s->p.state = SCRUB_STOPPED;
	spin_unlock(&s->lock);
	larder_scrub_go_on(c);
}

/* --- what it tells --- */

static const char *const state_names[NR_SCRUB_STATES] = {
	[SCRUB_NONE] = "none",
	[SCRUB_RUNNING] = "running",
	[SCRUB_FINISHED] = "finished",
	[SCRUB_STOPPED] = "stopped",
};

static const char *const scrub_count_names[NR_SCRUB_COUNTS] = {
	[SCRUB_PI_ERRORS] = "pi_errors",
	[SCRUB_MEDIA_ERRORS] = "media_errors",
	[SCRUB_OTHER_ERRORS] = "other_errors",
	[SCRUB_HEALED] = "healed",
	[SCRUB_LOST] = "lost",
	[SCRUB_LEFT] = "left",
};

/* One JSON object, with the list of what was lost or without; returns its length, cut at size. */
unsigned int larder_scrub_text(struct larder_cache *c, char *text, unsigned int size, bool list)
{
	struct larder_scrub *s = c->scrub;
	const struct scrub_progress *p = &s->p;
	unsigned int n, i;

	spin_lock(&s->lock);
	n = scnprintf(text, size, "{\"state\":\"%s\",\"rate\":%u,\"slots\":%llu,\"next_slot\":%u",
		      state_names[p->state], p->rate, c->geometry.nr_slots, READ_ONCE(p->slot));
	n += scnprintf(text + n, size - n, ",\"sectors_read\":%llu", p->sectors);
	for (i = 0; i < NR_SCRUB_COUNTS; i++)
		n += scnprintf(text + n, size - n, ",\"%s\":%llu", scrub_count_names[i],
			       p->count[i]);
	for (i = 0; list && i < p->nr_lost; i++)
		n += scnprintf(text + n, size - n,
			       "%s{\"slot\":%u,\"sector\":%llu,\"sectors\":%u,\"why\":\"%s\"}",
			       i ? "," : ",\"lost_blocks\":[", p->lost[i].slot, p->lost[i].sector,
			       p->lost[i].sectors, p->lost[i].pi ? "pi" : "media");
	if (list)
		n += scnprintf(text + n, size - n, "%s", i ? "]" : ",\"lost_blocks\":[]");
	n += scnprintf(text + n, size - n, "}");
	spin_unlock(&s->lock);
	return n;
}

/*
 *	start [<KiB/s>]	begins with the first slot; while it runs, sets the rate
 *	stop
 *	status		as JSON
 */
int larder_scrub_message(struct larder_cache *c, unsigned int argc, char **argv, char *result,
			 unsigned int maxlen)
{
	if ((argc == 1 || argc == 2) && !strcmp(argv[0], "start"))
		return start(c, argc == 2 ? argv[1] : NULL);
	if (argc == 1 && !strcmp(argv[0], "stop")) {
		stop(c);
		return 0;
	}
	if (argc == 1 && !strcmp(argv[0], "status")) {
		larder_scrub_text(c, result, maxlen, true);
		return 1;
	}
	DMERR("message: expected \"scrub start [<KiB/s>]\", \"scrub stop\" or \"scrub status\"");
	return -EINVAL;
}

/* --- its life --- */

int larder_scrub_init(struct larder_cache *c)
{
	struct larder_scrub *s = kzalloc(sizeof(*s), GFP_KERNEL);
	u32 i;

	if (!s)
		return -ENOMEM;
	c->scrub = s;
	s->cache = c;
	INIT_DELAYED_WORK(&s->work, scrub_worker);
	mutex_init(&s->control);
	spin_lock_init(&s->lock);
	for (i = 0; i < WINDOW_PAGES; i++) {
		s->pages[i] = alloc_page(GFP_KERNEL);
		if (!s->pages[i])
			return -ENOMEM;
	}
	if (c->pi_possible)
		s->tuples = larder_tuples_alloc(c, WINDOW_PAGES, GFP_KERNEL);
	return c->pi_possible && !s->tuples ? -ENOMEM : 0;
}

/* Also after a failed init. */
void larder_scrub_exit(struct larder_cache *c)
{
	struct larder_scrub *s = c->scrub;
	u32 i;

	if (!s)
		return;
	for (i = 0; i < WINDOW_PAGES && s->pages[i]; i++)
		__free_page(s->pages[i]);
	larder_tuples_free(s->tuples);
	kfree(s);
	c->scrub = NULL;
}
