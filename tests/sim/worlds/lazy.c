// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory for many thousand boots a second: a boot takes and zeroes megabytes
 * of which it uses little.  The linker puts these functions before libc's (see
 * the Makefile).  Pages come from a list; large blocks are zeroed by giving
 * them back to the kernel.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA (256ul << 20)
#define SMALL 8192ul		/* a page, and what memory.c keeps before it */
#define SMALL_AREA (16ul << 20)
#define LARGE (4ul << 20)
#define LARGE_MIN (128ul << 10)
#define PAGE 4096ul

void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *memory);
void *__real_memset(void *to, int byte, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *memory);
void *__wrap_memset(void *to, int byte, size_t n);

struct spare {
	struct spare *next;
};

static struct {
	char *arena, *small, *large;	/* the latter: not used yet, from there on */
	struct spare *small_spare;
	void *large_spare[ARENA / LARGE];
	size_t nr_large;
} lazy;

static bool in_arena(const void *p)
{
	return lazy.arena && (uintptr_t)p - (uintptr_t)lazy.arena < ARENA;
}

static void make_arena(void)
{
	lazy.arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (lazy.arena == MAP_FAILED) {
		perror("worlds: no memory");
		exit(2);
	}
	/* small pages: a large one would have to be zeroed whole */
	madvise(lazy.arena, ARENA, MADV_NOHUGEPAGE);
	lazy.small = lazy.arena;
	lazy.large = lazy.arena + SMALL_AREA;
}

static void *get_small(void)
{
	struct spare *s = lazy.small_spare;

	if (s) {
		lazy.small_spare = s->next;
		return s;
	}
	if (lazy.small + SMALL > lazy.arena + SMALL_AREA)
		return NULL;
	lazy.small += SMALL;
	return lazy.small - SMALL;
}

static void *get_large(void)
{
	if (lazy.nr_large)
		return lazy.large_spare[--lazy.nr_large];
	if (lazy.large + LARGE > lazy.arena + ARENA)
		return NULL;
	lazy.large += LARGE;
	return lazy.large - LARGE;
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	void *memory = NULL;

	if (!lazy.arena)
		make_arena();
	if (align == PAGE && bytes == SMALL)
		memory = get_small();
	else if (align == PAGE && bytes >= LARGE_MIN && bytes <= LARGE)
		memory = get_large();
	return memory ? memory : __real_aligned_alloc(align, bytes);
}

void __wrap_free(void *memory)
{
	if (!in_arena(memory)) {
		__real_free(memory);
	} else if ((char *)memory < lazy.arena + SMALL_AREA) {
		struct spare *s = memory;

		s->next = lazy.small_spare;
		lazy.small_spare = s;
	} else {
		lazy.large_spare[lazy.nr_large++] = memory;
	}
}

void *__wrap_memset(void *to, int byte, size_t n)
{
	if (n >= LARGE_MIN && !byte && in_arena(to) && !((uintptr_t)to % PAGE)) {
		size_t whole = n & ~(PAGE - 1);

		if (!madvise(to, whole, MADV_DONTNEED)) {
			__real_memset((char *)to + whole, 0, n - whole);
			return to;
		}
	}
	return __real_memset(to, byte, n);
}
