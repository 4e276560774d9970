// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that is forgotten in a crash, and allocations that fail on demand.
 */
#include <stdalign.h>

#include "memory.h"

#define MAGIC 0x6d656d6f72792121ull
#define POISON 0xa5

/* Right before what has been handed out. */
struct block {
	struct list_head list;
	void *memory;		/* as malloc() gave it */
	size_t bytes;
	u64 magic;
};

static LIST_HEAD(blocks);
static u64 in_use, fail_countdown;
static u32 nowait_one_in;
static bool has_failed;

void memory_fail_at(u64 n)
{
	fail_countdown = n;
	has_failed = false;
}

bool memory_has_failed(void)
{
	return has_failed;
}

void memory_fail_nowait(u32 one_in)
{
	nowait_one_in = one_in;
}

u64 memory_in_use(void)
{
	return in_use;
}

static bool fails(gfp_t gfp)
{
	if (fail_countdown && !--fail_countdown) {
		has_failed = true;
		return true;
	}
	return (gfp & GFP_NOWAIT) && sim_chance(nowait_one_in);
}

static void *allocate(size_t bytes, size_t align, bool zeroed)
{
	size_t front = max_t(size_t, align, sizeof(struct block));
	struct block *b;
	void *memory;
	u8 *result;

	memory = align > 16 ? aligned_alloc(align, ALIGN(front + bytes, align)) :
			      malloc(front + bytes);
	if (!memory) {
		perror("sim");
		exit(2);
	}
	result = (u8 *)memory + front;
	b = (struct block *)result - 1;
	b->memory = memory;
	b->bytes = bytes;
	b->magic = MAGIC;
	list_add_tail(&b->list, &blocks);
	in_use += bytes;
	if (zeroed)
		memset(result, 0, bytes);
	else
		memset(result, POISON, min_t(size_t, bytes, 256));
	return result;
}

void *sim_alloc(size_t bytes, size_t align, bool zeroed, gfp_t gfp)
{
	if (!(gfp & GFP_NOWAIT))
		sim_might_sleep("allocation");
	if (fails(gfp))
		return NULL;
	return allocate(bytes, align, zeroed);
}

void sim_free(const void *memory)
{
	struct block *b;

	if (!memory)
		return;
	b = (struct block *)(uintptr_t)memory - 1;
	if (b->magic != MAGIC)
		sim_fail("freed what was not allocated, or twice");
	b->magic = 0;
	in_use -= b->bytes;
	list_del(&b->list);
	free(b->memory);
}

void memory_forget(void)
{
	struct block *b, *next;

	list_for_each_entry_safe(b, next, &blocks, list)
		free(b->memory);
	INIT_LIST_HEAD(&blocks);
	in_use = 0;
	fail_countdown = 0;
	nowait_one_in = 0;
}

/* --- mempools: a reserve that may be waited for --- */

int mempool_init(mempool_t *pool, int min, void *(*alloc)(gfp_t, void *),
		 void (*free_fn)(void *, void *), void *data)
{
	*pool = (mempool_t){ .min = min, .alloc = alloc, .free = free_fn, .data = data };
	INIT_LIST_HEAD(&pool->waiters.waiters);
	pool->element = sim_alloc(min * sizeof(void *), 16, true, GFP_KERNEL);
	if (!pool->element)
		return -ENOMEM;
	while (pool->nr < min) {
		void *element = alloc(GFP_KERNEL, data);

		if (!element) {
			mempool_exit(pool);
			return -ENOMEM;
		}
		pool->element[pool->nr++] = element;
	}
	return 0;
}

void mempool_exit(mempool_t *pool)
{
	while (pool->nr)
		pool->free(pool->element[--pool->nr], pool->data);
	sim_free(pool->element);
	pool->element = NULL;
}

void *mempool_alloc(mempool_t *pool, gfp_t gfp)
{
	void *element;

	if (!(gfp & GFP_NOWAIT))
		sim_might_sleep("mempool");
	/* first without waiting, as the kernel does: that fails now and then */
	element = pool->alloc(GFP_NOWAIT, pool->data);
	while (!element) {
		if (pool->nr)
			return pool->element[--pool->nr];
		if (gfp & GFP_NOWAIT)
			return NULL;
		sim_wait(&pool->waiters, "a mempool");
	}
	return element;
}

void mempool_free(void *element, mempool_t *pool)
{
	if (pool->nr < pool->min) {
		pool->element[pool->nr++] = element;
		sim_wake(&pool->waiters);
	} else {
		pool->free(element, pool->data);
	}
}
