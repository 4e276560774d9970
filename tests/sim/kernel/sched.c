// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks, timers and the clock.  The main loop picks one of the tasks that can
 * run, at random, and runs it to its next point.
 */
#include "context.h"
#include "memory.h"
#include "sched.h"
#include "work.h"

#define STEP_NS_MAX 2000u	/* what runs between two points takes up to that long */

struct task {
	struct context context;
	struct list_head link;		/* on a wait queue, or among the idle */
	struct list_head all;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	const char *waits;		/* for what, or NULL */
	u64 id;
	u32 locks;			/* spinlocks held */
	u32 cpu;
	u32 place;			/* in runnable[] */
	bool atomic;
};

struct timer {
	u64 when, id;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	bool atomic;
};

static struct sched {
	struct sched_options options;
	u64 random;
	u64 now, steps, hash, last_id;
	struct task **runnable;
	u32 nr_runnable, max_runnable;
	struct timer *timer;		/* a heap */
	u32 nr_timers, max_timers;
	struct list_head idle;		/* tasks without work, with their stacks */
	struct list_head tasks;		/* all that have work */
	struct task *current;
	struct context main;
	bool stop;
	bool undivided;
} s = {
	.idle = LIST_HEAD_INIT(s.idle),
	.tasks = LIST_HEAD_INIT(s.tasks),
};

/* splitmix64 */
u64 sim_random(void)
{
	u64 z = (s.random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

bool sim_chance(u32 n)
{
	return n && sim_random() % n == 0;
}

u64 sim_now(void)
{
	return s.now;
}

u32 sim_cpu(void)
{
	return s.current ? s.current->cpu : 0;
}

u64 sched_steps(void)
{
	return s.steps;
}

u64 sched_hash(void)
{
	return s.hash;
}

void sched_note(u64 value)
{
	s.hash = (s.hash ^ value) * 0x100000001b3ull;
	s.hash ^= s.hash >> 29;
}

void sim_log(const char *format, ...)
{
	va_list args;

	if (!s.options.trace)
		return;
	printf("%12llu %-16s ", (unsigned long long)s.now / 1000,
	       s.current ? s.current->name : "-");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void sched_print_tasks(FILE *to)
{
	struct task *t;

	list_for_each_entry(t, &s.tasks, all)
		fprintf(to, "  task %llu %s: %s\n", (unsigned long long)t->id, t->name,
			t->waits ? t->waits : t == s.current ? "running" : "can run");
}

static void add_runnable(struct task *t)
{
	if (s.nr_runnable == s.max_runnable) {
		s.max_runnable = s.max_runnable ? 2 * s.max_runnable : 64;
		s.runnable = realloc(s.runnable, s.max_runnable * sizeof(*s.runnable));
	}
	t->place = s.nr_runnable;
	s.runnable[s.nr_runnable++] = t;
}

static void remove_runnable(struct task *t)
{
	struct task *last = s.runnable[--s.nr_runnable];

	s.runnable[t->place] = last;
	last->place = t->place;
}

static void to_main(struct task *t)
{
	context_switch(&t->context, &s.main);
}

static void task_main(void)
{
	struct task *t = s.current;

	t->fn(t->arg);
	if (t->locks)
		sim_fail("%s ended with %u spinlocks held", t->name, t->locks);
	list_del(&t->all);
	remove_runnable(t);
	list_add(&t->link, &s.idle);
	to_main(t);
}

void sched_spawn(const char *name, void (*fn)(void *), void *arg, bool atomic)
{
	struct task *t;

	if (list_empty(&s.idle)) {
		t = calloc(1, sizeof(*t));
	} else {
		t = list_first_entry(&s.idle, struct task, link);
		list_del(&t->link);
	}
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	t->waits = NULL;
	t->locks = 0;
	t->atomic = atomic;
	t->id = ++s.last_id;
	t->cpu = sim_random() % SIM_CPUS;
	context_make(&t->context, task_main);
	list_add_tail(&t->all, &s.tasks);
	add_runnable(t);
}

void sim_point(void)
{
	struct task *t = s.current;
	u64 ns;

	if (!t || s.undivided || !s.options.preempt_one_in || !sim_chance(s.options.preempt_one_in))
		return;
	t->cpu = t->locks ? t->cpu : sim_random() % SIM_CPUS;
	if (sim_chance(s.options.stall_one_in)) {
		/* not in one expression: compilers differ in the order */
		ns = sim_random();
		sim_sleep_ns(ns % (1u << (12 + sim_random() % 13)));
	} else {
		to_main(t);
	}
}

void sched_undivided(bool on)
{
	s.undivided = on;
}

void core_point(void)
{
	sim_point();
}

bool core_unlikely(u32 one_in)
{
	return s.options.unlikely && s.current && sim_chance(one_in);
}

void sim_might_sleep(const char *where)
{
	struct task *t = s.current;

	if (!t)
		sim_fail("sleeping outside of a task: %s", where);
	if (t->locks)
		sim_fail("sleeping with a spinlock held: %s", where);
	if (t->atomic)
		sim_fail("sleeping at the end of an I/O: %s", where);
}

void sim_wait(struct wait_queue *queue, const char *where)
{
	struct task *t = s.current;

	if (!t)
		sim_fail("waiting outside of a task: %s", where);
	t->waits = where;
	remove_runnable(t);
	list_add_tail(&t->link, &queue->waiters);
	to_main(t);
}

void sim_wake(struct wait_queue *queue)
{
	struct task *t, *next;

	if (!queue->waiters.next)
		return;
	list_for_each_entry_safe(t, next, &queue->waiters, link) {
		list_del(&t->link);
		t->waits = NULL;
		add_runnable(t);
	}
}

/* --- timers --- */

static bool earlier(const struct timer *a, const struct timer *b)
{
	return a->when != b->when ? a->when < b->when : a->id < b->id;
}

static void sift_up(u32 i)
{
	while (i && earlier(&s.timer[i], &s.timer[(i - 1) / 2])) {
		swap(s.timer[i], s.timer[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static void sift_down(u32 i)
{
	for (;;) {
		u32 least = i, child = 2 * i + 1;

		if (child < s.nr_timers && earlier(&s.timer[child], &s.timer[least]))
			least = child;
		if (child + 1 < s.nr_timers && earlier(&s.timer[child + 1], &s.timer[least]))
			least = child + 1;
		if (least == i)
			return;
		swap(s.timer[i], s.timer[least]);
		i = least;
	}
}

static struct timer remove_timer(u32 i)
{
	struct timer t = s.timer[i];

	s.timer[i] = s.timer[--s.nr_timers];
	if (i < s.nr_timers) {
		sift_up(i);
		sift_down(i);
	}
	return t;
}

u64 sched_at(u64 when, const char *name, void (*fn)(void *), void *arg, bool atomic)
{
	if (s.nr_timers == s.max_timers) {
		s.max_timers = s.max_timers ? 2 * s.max_timers : 64;
		s.timer = realloc(s.timer, s.max_timers * sizeof(*s.timer));
	}
	s.timer[s.nr_timers] = (struct timer){
		.when = when,
		.id = ++s.last_id,
		.name = name,
		.fn = fn,
		.arg = arg,
		.atomic = atomic,
	};
	sift_up(s.nr_timers++);
	return s.last_id;
}

bool sched_cancel(u64 timer)
{
	u32 i;

	for (i = 0; i < s.nr_timers; i++) {
		if (s.timer[i].id == timer) {
			remove_timer(i);
			return true;
		}
	}
	return false;
}

static void wake_sleeper(void *arg)
{
	sim_wake(arg);
}

void sim_sleep_ns(u64 ns)
{
	struct wait_queue queue;

	INIT_LIST_HEAD(&queue.waiters);
	sched_at(s.now + ns, "wake", wake_sleeper, &queue, true);
	sim_wait(&queue, "a time");
}

/* --- the main loop --- */

static void run_one(void)
{
	struct task *t = s.runnable[s.nr_runnable == 1 ? 0 : sim_random() % s.nr_runnable];

	s.steps++;
	sched_note(t->id);
	s.now += sim_random() % STEP_NS_MAX;
	s.current = t;
	context_switch(&s.main, &t->context);
	s.current = NULL;
}

bool sched_run(bool (*stop)(void *), void *context)
{
	for (;;) {
		if (s.stop || (stop && stop(context))) {
			s.stop = false;
			return true;
		}
		while (s.nr_timers && s.timer[0].when <= s.now) {
			struct timer t = remove_timer(0);

			sched_spawn(t.name, t.fn, t.arg, t.atomic);
		}
		if (!s.nr_runnable) {
			if (!s.nr_timers)
				return false;
			s.now = s.timer[0].when;
			continue;
		}
		if (s.steps > s.options.max_steps)
			sim_fail("no end after %llu steps: livelock?",
				 (unsigned long long)s.steps);
		run_one();
	}
}

void sched_stop(void)
{
	s.stop = true;
	if (s.current)
		to_main(s.current);
}

void sched_crash(void)
{
	struct task *t, *next;

	list_for_each_entry_safe(t, next, &s.tasks, all) {
		list_del(&t->all);
		list_add(&t->link, &s.idle);
	}
	s.nr_runnable = 0;
	s.nr_timers = 0;
	s.current = NULL;
	s.stop = false;
	work_forget();
	memory_forget();
}

void sched_init(const struct sched_options *options)
{
	sched_crash();
	s.options = *options;
	s.random = options->seed;
	s.now = 0;
	s.steps = 0;
	s.last_id = 0;
	s.hash = 0xcbf29ce484222325ull;
}

/* --- locks --- */

void sim_spin_init(spinlock_t *lock)
{
	lock->owner = NULL;
	INIT_LIST_HEAD(&lock->waiters.waiters);
}

void sim_spin_lock(spinlock_t *lock)
{
	sim_point();
	if (s.current && lock->owner == s.current)
		sim_fail("a spinlock is taken twice");
	while (lock->owner)
		sim_wait(&lock->waiters, "a spinlock");
	lock->owner = s.current;
	if (s.current)
		s.current->locks++;
}

void sim_spin_unlock(spinlock_t *lock)
{
	if (lock->owner != s.current)
		sim_fail("a spinlock is released by who does not hold it");
	lock->owner = NULL;
	if (s.current)
		s.current->locks--;
	sim_wake(&lock->waiters);
	sim_point();
}

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
	INIT_LIST_HEAD(&m->waiters.waiters);
}

void mutex_lock(struct mutex *m)
{
	sim_might_sleep("mutex");
	sim_point();
	if (m->owner == s.current)
		sim_fail("a mutex is taken twice");
	while (m->owner)
		sim_wait(&m->waiters, "a mutex");
	m->owner = s.current;
}

void mutex_unlock(struct mutex *m)
{
	if (m->owner != s.current)
		sim_fail("a mutex is released by who does not hold it");
	m->owner = NULL;
	sim_wake(&m->waiters);
	sim_point();
}

void init_completion(struct completion *c)
{
	c->done = false;
	INIT_LIST_HEAD(&c->waiters.waiters);
}

void complete(struct completion *c)
{
	c->done = true;
	sim_wake(&c->waiters);
}

void wait_for_completion(struct completion *c)
{
	sim_might_sleep("completion");
	while (!c->done)
		sim_wait(&c->waiters, "a completion");
}

int sim_atomic_add(int by, atomic_t *v)
{
	sim_point();
	v->counter += by;
	return v->counter;
}
