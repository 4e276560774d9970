// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See module-kernel.h.  Nothing sleeps here, and nothing runs beside.
 */
#include "module-kernel.h"

static u64 in_use;
static u32 fail_countdown;

void kernel_fail_allocation(u32 n)
{
	fail_countdown = n;
}

u64 kernel_memory_in_use(void)
{
	return in_use;
}

void *sim_alloc(size_t bytes, size_t align, bool zeroed, gfp_t gfp)
{
	void *p;

	if (fail_countdown && !--fail_countdown)
		return NULL;
	p = fuzz_alloc_aligned(max_t(size_t, align, sizeof(void *)), bytes);
	if (!zeroed)
		memset(p, 0xa5, bytes);
	in_use++;
	return p;
}

void sim_free(const void *memory)
{
	if (!memory)
		return;
	FUZZ_CHECK(in_use--);
	free((void *)(uintptr_t)memory);
}

/* --- locks: taken and given back in turn, or the check fails --- */

static void take(struct task **owner)
{
	FUZZ_CHECK(!*owner);
	*owner = (struct task *)owner;
}

static void give_back(struct task **owner)
{
	FUZZ_CHECK(*owner);
	*owner = NULL;
}

void sim_spin_init(spinlock_t *lock)
{
	lock->owner = NULL;
}

void sim_spin_lock(spinlock_t *lock)
{
	take(&lock->owner);
}

void sim_spin_unlock(spinlock_t *lock)
{
	give_back(&lock->owner);
}

void mutex_lock(struct mutex *m)
{
	take(&m->owner);
}

void mutex_unlock(struct mutex *m)
{
	give_back(&m->owner);
}

/* --- the rest --- */

void sim_log(const char *format, ...)
{
	char line[256];
	va_list args;

	/* what is said must exist */
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
}

u64 sim_now(void)
{
	return 0;
}

u64 sim_random(void)
{
	return 4;
}

struct target_type larder_target = {
	.name = "larder",
	.version = { 1, 0, 0 },
};

int larder_commit_probe(struct larder_cache *c)
{
	return 0;
}

unsigned int larder_scrub_text(struct larder_cache *c, char *text, unsigned int size, bool list)
{
	return scnprintf(text, size, "{}");
}

int larder_scrub_message(struct larder_cache *c, unsigned int argc, char **argv, char *result,
			 unsigned int maxlen)
{
	return 0;
}

int larder_invalidate(struct larder_cache *c, unsigned int argc, char **argv)
{
	return 0;
}
