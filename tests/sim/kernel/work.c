// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Workqueues.  As the kernel promises: a work item never runs twice at once,
 * an item queued meanwhile is run again, and an ordered queue runs one item
 * at a time, in order.  Everything else may happen in any order.
 */
#include "sched.h"
#include "work.h"

struct workqueue_struct {
	const char *name;
	bool ordered;
	u32 nr_tasks;			/* that will look at it, or are at work */
	u32 nr_coming;			/* of those, not yet there */
	struct list_head pending;	/* struct work_struct */
	struct list_head running;	/* struct running */
	struct wait_queue changed;
};

/* On its task's stack: an item may free itself while it runs. */
struct running {
	struct list_head list;
	struct workqueue_struct *queue;
	u64 id, queued;
};

static u64 last_id, last_queued;

void work_forget(void)
{
	last_id = 0;
	last_queued = 0;
}

u64 sim_work_id(void)
{
	return ++last_id;
}

static bool is_running(const struct workqueue_struct *q, u64 id)
{
	const struct running *r;

	list_for_each_entry(r, &q->running, list)
		if (r->id == id)
			return true;
	return false;
}

/* The first item that may run now. */
static struct work_struct *next_work(struct workqueue_struct *q)
{
	struct work_struct *w;

	if (q->ordered && !list_empty(&q->running))
		return NULL;
	list_for_each_entry(w, &q->pending, list)
		if (!is_running(q, w->id))
			return w;
	return NULL;
}

static void run_next(void *arg);

static void send_worker(struct workqueue_struct *q)
{
	q->nr_tasks++;
	q->nr_coming++;
	sched_spawn(q->name, run_next, q, false);
}

static void worker_leaves(struct workqueue_struct *q)
{
	q->nr_tasks--;
	sim_wake(&q->changed);
}

static void run_next(void *arg)
{
	struct running r = { .queue = arg };
	struct work_struct *w = next_work(r.queue);

	r.queue->nr_coming--;
	if (!w) {
		worker_leaves(r.queue);
		return;
	}
	r.id = w->id;
	r.queued = w->queued;
	list_del_init(&w->list);
	w->pending = false;
	list_add_tail(&r.list, &r.queue->running);
	w->func(w);
	list_del(&r.list);
	/* what waited for this one to end */
	if (!list_empty(&r.queue->pending) && !r.queue->nr_coming)
		send_worker(r.queue);
	worker_leaves(r.queue);
}

static void enqueue(struct workqueue_struct *q, struct work_struct *w)
{
	w->queued = ++last_queued;
	list_add_tail(&w->list, &q->pending);
	send_worker(q);
}

bool queue_work(struct workqueue_struct *q, struct work_struct *w)
{
	sim_point();
	if (w->pending || w->cancelling)
		return false;
	w->pending = true;
	enqueue(q, w);
	return true;
}

static void delay_over(void *arg)
{
	struct delayed_work *d = arg;

	d->timer = 0;
	enqueue(d->queue, &d->work);
}

bool queue_delayed_work(struct workqueue_struct *q, struct delayed_work *d, unsigned long delay)
{
	if (!delay)
		return queue_work(q, &d->work);
	sim_point();
	if (d->work.pending || d->work.cancelling)
		return false;
	d->work.pending = true;
	d->queue = q;
	d->timer = sched_at(sim_now() + delay * (1000000000ull / HZ), "timer", delay_over, d, true);
	return true;
}

/* True when it was waiting. */
static bool take_back(struct delayed_work *d)
{
	if (!d->work.pending)
		return false;
	if (d->timer) {
		if (!sched_cancel(d->timer))
			return false;	/* just about to queue it */
		d->timer = 0;
	} else {
		list_del_init(&d->work.list);
	}
	d->work.pending = false;
	return true;
}

bool mod_delayed_work(struct workqueue_struct *q, struct delayed_work *d, unsigned long delay)
{
	bool was = take_back(d);

	queue_delayed_work(q, d, delay);
	return was;
}

bool cancel_delayed_work_sync(struct delayed_work *d)
{
	bool was;

	sim_might_sleep("cancel_delayed_work_sync");
	d->work.cancelling = true;
	was = take_back(d);
	while (d->work.pending) {
		sim_sleep_ns(1000);
		was |= take_back(d);
	}
	while (d->queue && is_running(d->queue, d->work.id))
		sim_wait(&d->queue->changed, "the end of a work item");
	d->work.cancelling = false;
	return was;
}

static bool older_left(const struct workqueue_struct *q, u64 limit)
{
	const struct work_struct *w;
	const struct running *r;

	list_for_each_entry(w, &q->pending, list)
		if (w->queued <= limit)
			return true;
	list_for_each_entry(r, &q->running, list)
		if (r->queued <= limit)
			return true;
	return false;
}

void flush_workqueue(struct workqueue_struct *q)
{
	u64 limit = last_queued;

	sim_might_sleep("flush_workqueue");
	while (older_left(q, limit))
		sim_wait(&q->changed, "work items");
}

struct workqueue_struct *sim_alloc_queue(const char *name, bool ordered)
{
	struct workqueue_struct *q = kzalloc(sizeof(*q), GFP_KERNEL);

	if (!q)
		return NULL;
	q->name = name;
	q->ordered = ordered;
	INIT_LIST_HEAD(&q->pending);
	INIT_LIST_HEAD(&q->running);
	INIT_LIST_HEAD(&q->changed.waiters);
	return q;
}

void destroy_workqueue(struct workqueue_struct *q)
{
	while (q->nr_tasks)
		sim_wait(&q->changed, "the last work items");
	if (!list_empty(&q->pending))
		sim_fail("a queue is destroyed with work on it");
	sim_free(q);
}
