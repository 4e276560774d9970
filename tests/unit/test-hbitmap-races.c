// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hierarchical bitmap under threads, built with the thread sanitizer:
 * several set bits while one scans, takes them, and with that takes summaries
 * down that the others are just putting up.
 */
#include "hbitmap.h"
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#define BITS		(64ul * 64 * 64 + 100)
#define SETTERS		3u
#define SETTER_STEPS	20000u

static struct hbitmap bitmap;
static u64 nr_scans, nr_taken, nr_setters, nr_lost;

/* Sets bits in words of its own, one after the other has been taken; summaries are shared. */
static void *setter_thread(void *arg)
{
	u32 number = (u32)(uintptr_t)arg, step;
	struct rng rng = { number };

	for (step = 0; step < SETTER_STEPS; step++) {
		unsigned long bit = rng_below(&rng, 4) * 65536 + number * 64 + rng_below(&rng, 64);
		u64 begun, scans;

		hbitmap_set(&bitmap, bit);
		begun = smp_load_acquire(&nr_scans);
		do {
			scans = smp_load_acquire(&nr_scans);
			if (hbitmap_test(&bitmap, bit) && scans >= begun + 2) {
				/* a whole scan has not seen it */
				__atomic_fetch_add(&nr_lost, 1, __ATOMIC_RELAXED);
				break;
			}
			sched_yield();
		} while (hbitmap_test(&bitmap, bit));
	}
	__atomic_fetch_sub(&nr_setters, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void take_bits(void)
{
	unsigned long bit = 0;

	while ((bit = hbitmap_next(&bitmap, bit)) != HBITMAP_NONE)
		nr_taken += hbitmap_clear(&bitmap, bit++);
	smp_store_release(&nr_scans, nr_scans + 1);
}

/* What is set while a scan takes summaries down is not lost. */
static void test_bitmap(void)
{
	pthread_t threads[SETTERS];
	uintptr_t i;
	void *memory;

	memory = calloc(1, hbitmap_bytes(BITS));
	hbitmap_init(&bitmap, BITS, memory);
	nr_setters = SETTERS;
	for (i = 0; i < SETTERS; i++)
		CHECK_EQUAL(pthread_create(&threads[i], NULL, setter_thread, (void *)(i + 1)), 0);
	while (READ_ONCE(nr_setters))
		take_bits();
	for (i = 0; i < SETTERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQUAL(nr_lost, 0);
	CHECK_EQUAL(nr_taken, SETTERS * SETTER_STEPS);
	free(memory);
}

static const struct unit_test tests[] = {
	{ "set while scanning", test_bitmap },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
