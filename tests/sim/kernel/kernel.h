/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel for one seed: just as much of Linux as dm-target/ uses, in one
 * user-space thread, so that the module's own sources run in the simulator.
 *
 * Everything that runs is a task (a coroutine with a stack of its own): work
 * items, ends of I/O, users.  Tasks change hands only in the functions below:
 * where they wait, and at random at every lock, atomic operation and barrier
 * of the shell (sim_point()), as processors would interleave.  All choices
 * come from one seeded generator, the clock is part of the simulation, and
 * nothing depends on addresses: a seed replays exactly.
 *
 * Names and meanings are the kernel's.  What a caller does wrong (sleeping
 * under a spinlock or at the end of an I/O, unlocking what is not locked,
 * waiting for ever) ends the run as a failure of the seed.
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include <stdarg.h>
#include <stdio.h>

/* also for tools that look at single files */
#ifndef CORE_SIMULATED
#define CORE_SIMULATED
#endif
#include "core/env.h"
#include "list.h"

#define __init
#define __aligned(n) __attribute__((aligned(n)))
#define __exit
#define __percpu
#define __printf(a, b) __attribute__((format(printf, a, b)))
#define noinline __attribute__((noinline))
#define ____cacheline_aligned_in_smp
#define __releases(x)
#define __acquires(x)
#define S64_MAX INT64_MAX
#define NSEC_PER_MSEC 1000000L
#define NSEC_PER_SEC 1000000000L
#define HZ 250

typedef unsigned int gfp_t;
#define GFP_KERNEL	1u	/* may sleep */
#define GFP_NOIO	2u	/* may sleep */
#define GFP_NOWAIT	4u
#define __GFP_NOWARN	8u

/* --- tasks (sched.c) --- */

struct task;
struct wait_queue {
	struct list_head waiters;	/* struct task */
};

typedef struct wait_queue wait_queue_head_t;

/* May hand over to another task. */
void sim_point(void);
/* Complains when the caller may not sleep. */
void sim_might_sleep(const char *where);
/* Sleeps until woken; look at the condition again afterwards. */
void sim_wait(struct wait_queue *queue, const char *where);
void sim_wake(struct wait_queue *queue);
void sim_sleep_ns(u64 ns);
u64 sim_now(void);
u32 sim_cpu(void);
u64 sim_random(void);
/* True once in n, at random. */
bool sim_chance(u32 n);
__attribute__((noreturn)) void sim_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
void sim_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define cond_resched() sim_point()
#define cpu_relax() sim_sleep_ns(1000)
#define jiffies ((unsigned long)(sim_now() / (1000000000ull / HZ)))
#define ktime_get_ns() sim_now()
#define time_before(a, b) ((long)((a) - (b)) < 0)
#define time_after(a, b) time_before(b, a)
#define usleep_range(low, high) \
	sim_sleep_ns(1000ull * ((low) + sim_random() % ((high) - (low) + 1)))
#define msleep(ms) sim_sleep_ns(1000000ull * (ms))

#define init_waitqueue_head(q) INIT_LIST_HEAD(&(q)->waiters)
#define wake_up_all(q) sim_wake(q)
#define wait_event(q, condition) \
	do { \
		sim_might_sleep("wait_event"); \
		while (!(condition)) \
			sim_wait(&(q), #condition); \
	} while (0)

/* --- locks --- */

typedef struct {
	struct task *owner;
	struct wait_queue waiters;
} spinlock_t;

void sim_spin_init(spinlock_t *lock);
void sim_spin_lock(spinlock_t *lock);
void sim_spin_unlock(spinlock_t *lock);

#define spin_lock_init(l) sim_spin_init(l)
#define spin_lock(l) sim_spin_lock(l)
#define spin_unlock(l) sim_spin_unlock(l)
#define spin_lock_irq(l) sim_spin_lock(l)
#define spin_unlock_irq(l) sim_spin_unlock(l)
#define spin_lock_irqsave(l, f) ((void)((f) = 0), sim_spin_lock(l))
#define spin_unlock_irqrestore(l, f) ((void)(f), sim_spin_unlock(l))

struct mutex {
	struct task *owner;
	struct wait_queue waiters;
};

#define DEFINE_MUTEX(m) struct mutex m = { NULL, { LIST_HEAD_INIT((m).waiters.waiters) } }
void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

struct completion {
	bool done;
	struct wait_queue waiters;
};

void init_completion(struct completion *c);
#define reinit_completion(c) ((c)->done = false)
#define DECLARE_COMPLETION_ONSTACK(c) struct completion c; init_completion(&(c))
void complete(struct completion *c);
void wait_for_completion(struct completion *c);
#define wait_for_completion_io(c) wait_for_completion(c)

typedef struct { int counter; } atomic_t;

int sim_atomic_add(int by, atomic_t *v);	/* the new value */
#define atomic_read(v) READ_ONCE((v)->counter)
#define atomic_set(v, i) WRITE_ONCE((v)->counter, i)
#define atomic_inc(v) ((void)sim_atomic_add(1, v))
#define atomic_dec(v) ((void)sim_atomic_add(-1, v))
#define atomic_add(i, v) ((void)sim_atomic_add((int)(i), v))
#define atomic_sub(i, v) ((void)sim_atomic_add(-(int)(i), v))
#define atomic_add_return(i, v) sim_atomic_add((int)(i), v)
#define atomic_dec_and_test(v) (sim_atomic_add(-1, v) == 0)

/* --- work (work.c) --- */

struct workqueue_struct;
struct work_struct {
	void (*func)(struct work_struct *work);
	struct list_head list;
	u64 id;
	u64 queued;		/* when, in the order of all that was queued */
	bool pending;		/* on a queue, or a timer will put it there */
	bool cancelling;
};

struct delayed_work {
	struct work_struct work;
	struct workqueue_struct *queue;
	u64 timer;		/* identity of the timer that will queue it; 0 when none */
};

#define WQ_MEM_RECLAIM 1u
#define WQ_UNBOUND 2u
#define INIT_WORK(w, f) \
	do { \
		*(w) = (struct work_struct){ .func = (f), .id = sim_work_id() }; \
		INIT_LIST_HEAD(&(w)->list); \
	} while (0)
#define INIT_DELAYED_WORK(d, f) \
	do { \
		INIT_WORK(&(d)->work, f); \
		(d)->queue = NULL; \
		(d)->timer = 0; \
	} while (0)
#define to_delayed_work(w) container_of(w, struct delayed_work, work)

u64 sim_work_id(void);
struct workqueue_struct *sim_alloc_queue(const char *name, bool ordered);
#define alloc_ordered_workqueue(fmt, flags, name) ((void)(name), sim_alloc_queue(fmt, true))
#define alloc_workqueue(fmt, flags, max, name) ((void)(name), sim_alloc_queue(fmt, false))
void destroy_workqueue(struct workqueue_struct *queue);
bool queue_work(struct workqueue_struct *queue, struct work_struct *work);
bool queue_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
			unsigned long delay);
bool mod_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
		      unsigned long delay);
bool cancel_delayed_work_sync(struct delayed_work *work);
void flush_workqueue(struct workqueue_struct *queue);

/* --- memory (memory.c): all of it is gone after a crash --- */

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
struct page {
	u8 bytes[PAGE_SIZE];
};

void *sim_alloc(size_t bytes, size_t align, bool zeroed, gfp_t gfp);
void sim_free(const void *memory);

#define kmalloc(n, gfp) sim_alloc(n, 16, false, gfp)
#define kzalloc(n, gfp) sim_alloc(n, 16, true, gfp)
#define kcalloc(n, size, gfp) kzalloc((size_t)(n) * (size), gfp)
#define kvzalloc(n, gfp) sim_alloc(n, PAGE_SIZE, true, gfp)
#define kvcalloc(n, size, gfp) sim_alloc((size_t)(n) * (size), PAGE_SIZE, true, gfp)
#define vzalloc(n) sim_alloc(n, PAGE_SIZE, true, GFP_KERNEL)
#define kfree(p) sim_free(p)
#define vfree(p) sim_free(p)
#define kvfree(p) sim_free(p)
#define alloc_page(gfp) ((struct page *)sim_alloc(PAGE_SIZE, PAGE_SIZE, false, gfp))
#define __free_page(p) sim_free(p)
#define page_address(p) ((void *)(p)->bytes)
#define virt_to_page(p) vmalloc_to_page(p)
#define struct_size(p, member, n) (sizeof(*(p)) + (n) * sizeof((p)->member[0]))
#define array_size(a, b) ((size_t)(a) * (b))
#define offset_in_page(p) ((unsigned long)(p) & (PAGE_SIZE - 1))
#define vmalloc_to_page(p) ((struct page *)((unsigned long)(p) & ~((unsigned long)PAGE_SIZE - 1)))
#define flush_kernel_vmap_range(p, n) ((void)(p), (void)(n))
#define invalidate_kernel_vmap_range(p, n) ((void)(p), (void)(n))
#define memalloc_noio_save() 0u
#define memalloc_noio_restore(f) ((void)(f))

static inline void memcpy_page(struct page *to, size_t to_at, struct page *from, size_t from_at,
			       size_t n)
{
	memcpy(to->bytes + to_at, from->bytes + from_at, n);
}

typedef struct {
	int min, nr;
	void **element;
	void *(*alloc)(gfp_t gfp, void *data);
	void (*free)(void *element, void *data);
	void *data;
	struct wait_queue waiters;
} mempool_t;

int mempool_init(mempool_t *pool, int min, void *(*alloc)(gfp_t, void *),
		 void (*free)(void *, void *), void *data);
void mempool_exit(mempool_t *pool);
void *mempool_alloc(mempool_t *pool, gfp_t gfp);
void mempool_free(void *element, mempool_t *pool);

#define SIM_CPUS 2
#define alloc_percpu(type) ((type *)sim_alloc(SIM_CPUS * sizeof(type), 64, true, GFP_KERNEL))
#define free_percpu(p) sim_free(p)
#define per_cpu_ptr(p, cpu) ((p) + (cpu))
#define this_cpu_inc(x) this_cpu_add(x, 1)
/* x is p->member with p from alloc_percpu() */
#define this_cpu_add(x, n) \
	do { \
		sim_point(); \
		*(__typeof__(x) *)((char *)&(x) + sim_cpu() * SIM_STATS_BYTES) += (n); \
	} while (0)
#define SIM_STATS_BYTES sizeof(struct larder_stats)
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < SIM_CPUS; (cpu)++)

/* --- odds and ends (library.c) --- */

#define ERR_PTR(error) ((void *)(long)(error))
#define IS_ERR_OR_NULL(p) (!(p) || (unsigned long)(p) >= (unsigned long)-4095)

struct module;
#define THIS_MODULE ((struct module *)NULL)
#define EXPORT_SYMBOL_GPL(x)
#define MODULE_AUTHOR(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_LICENSE(x)
#define module_param(...)
#define module_param_string(...)
#define MODULE_PARM_DESC(...)
#define kernel_param_lock(module)
#define kernel_param_unlock(module)
#define module_init(f) int sim_module_init(void) { return f(); }
#define module_exit(f) void sim_module_exit(void) { f(); }
int sim_module_init(void);
void sim_module_exit(void);
static inline bool try_module_get(struct module *m) { return !m; }
static inline void module_put(struct module *m) { (void)m; }
static inline int request_module(const char *format, ...) { (void)format; return -ENOENT; }

u64 get_random_u64(void);
void get_random_bytes(void *bytes, size_t n);
int kstrtou64(const char *text, unsigned int base, u64 *value);
ssize_t strscpy(char *to, const char *from, size_t size);
char *strim(char *text);
/* The first byte that is another one, or NULL. */
void *memchr_inv(const void *from, int byte, size_t n);
#define sizeof_field(type, field) sizeof(((type *)0)->field)
int vscnprintf(char *to, size_t size, const char *format, va_list args);
int scnprintf(char *to, size_t size, const char *format, ...) __printf(3, 4);
#define clamp_t(t, v, low, high) min_t(t, max_t(t, v, low), high)

#define DECLARE_BITMAP(name, bits) unsigned long name[DIV_ROUND_UP(bits, 64)]
void bitmap_zero(unsigned long *map, unsigned int bits);
void bitmap_set(unsigned long *map, unsigned int from, unsigned int n);
unsigned int sim_next_bit(const unsigned long *map, unsigned int bits, unsigned int from, bool set);
#define BITS_TO_LONGS(bits) DIV_ROUND_UP((size_t)(bits), 64)
#define find_first_bit(map, bits) sim_next_bit(map, bits, 0, true)
#define for_each_set_bit(bit, map, bits) \
	for ((bit) = sim_next_bit(map, bits, 0, true); (bit) < (bits); \
	     (bit) = sim_next_bit(map, bits, (bit) + 1, true))
#define for_each_set_bitrange(from, end, map, bits) \
	for ((from) = sim_next_bit(map, bits, 0, true), \
	     (end) = sim_next_bit(map, bits, from, false); \
	     (from) < (bits); \
	     (from) = sim_next_bit(map, bits, end, true), \
	     (end) = sim_next_bit(map, bits, from, false))

#define LINUX_VERSION_CODE KERNEL_VERSION(7, 2, 0)
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))

#include "block.h"

#endif
