// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests medium.c, the rules of what a power cut may leave, on logs of a few events: an error there
 * would make the crash tests blind, or cry wolf.
 */
#define _GNU_SOURCE
#include "replay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 200

static struct log disks;
static struct medium *medium;
static uint8_t image[64 * PAGE];
static unsigned int passed, failed;

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	exit(2);
}

/* Two disks of 128 sectors: 0 has a volatile cache, 1 has none. */
static void new_log(void)
{
	disks = (struct log){ .nr_disks = 2, .sectors = 256 };
	disks.disks[0] = (struct disk){ .sectors = 128, .cached = true };
	disks.disks[1] = (struct disk){ .number = 1, .first = 128, .sectors = 128 };
	disks.events = calloc(32, sizeof(*disks.events));
}

static struct event *event(enum event_kind kind, uint64_t sector, uint32_t sectors)
{
	struct event *new = &disks.events[disks.nr_events];

	*new = (struct event){
		.kind = kind, .sector = sector, .sectors = sectors, .disk = sector >= 128,
		.received = disks.nr_events++,
	};
	return new;
}

static struct event *write_event(uint64_t sector, uint32_t sectors, uint8_t value)
{
	struct event *new = event(EVENT_WRITE, sector, sectors);
	uint8_t *data = malloc(sectors * SECTOR);

	memset(data, value, sectors * SECTOR);
	new->data = data;
	return new;
}

static void begin(void)
{
	memset(image, 0, sizeof(image));
	medium = medium_create(&disks, true);
}

static void cut(uint64_t number, enum manner manner, uint64_t seed)
{
	const uint8_t *page;
	uint64_t index;

	medium_cut(medium, number, manner, seed);
	while ((page = medium_next_page(medium, &index)) != NULL)
		memcpy(image + index * PAGE, page, PAGE);
}

static void expect(const char *what, uint64_t sector, uint8_t value)
{
	if (image[sector * SECTOR] == value) {
		passed++;
		return;
	}
	failed++;
	printf("not ok %s: sector %u: expected %u, found %u\n", what, (unsigned int)sector, value,
	       image[sector * SECTOR]);
}

/* Over many seeds each of the values, given as bits, must be left, and no other. */
static void expect_values(const char *what, uint64_t number, enum manner manner, uint64_t sector,
			  uint32_t values)
{
	uint32_t found = 0;
	uint64_t seed;

	for (seed = 0; seed < SEEDS; seed++) {
		cut(number, manner, seed);
		found |= 1u << image[sector * SECTOR];
	}
	passed += found == values;
	failed += found != values;
	if (found != values)
		printf("not ok %s: expected the values 0x%x, found 0x%x\n", what, values, found);
}

static void test_flush(void)
{
	new_log();
	write_event(0, 8, 1);
	write_event(8, 8, 2);
	event(EVENT_FLUSH, 0, 0)->received = 1;
	event(EVENT_FLUSH, 0, 0);
	begin();
	cut(2, EVERYTHING, 0);
	expect("everything survives", 0, 1);
	expect("everything survives", 8, 2);
	cut(2, NOTHING, 0);
	expect("nothing survives after everything", 0, 0);
	cut(3, NOTHING, 0);
	expect("complete before the flush was received", 0, 1);
	expect("complete while it was under way", 8, 0);
	cut(4, NOTHING, 0);
	expect("the next flush", 8, 2);
}

static void test_fua(void)
{
	new_log();
	write_event(0, 16, 1);
	write_event(4, 4, 2)->fua = true;
	event(EVENT_FLUSH, 0, 0);
	write_event(0, 16, 3);
	event(EVENT_ZERO, 0, 8);
	event(EVENT_FLUSH, 0, 0)->received = 4;
	begin();
	cut(2, NOTHING, 0);
	expect("FUA: its own sectors", 4, 2);
	expect("FUA: no others", 0, 0);
	expect("FUA: no others", 8, 0);
	cut(2, EVERYTHING, 0);
	expect("FUA forgets what was before", 4, 2);
	expect_values("nor does it come back", 2, SOME_SECTORS, 4, 1 << 2);
	cut(3, NOTHING, 0);
	expect("a flush brings nothing older back", 4, 2);
	expect("a flush", 0, 1);
	cut(5, EVERYTHING, 0);
	expect("zeroed", 0, 0);
	expect("not zeroed", 8, 3);
	cut(6, NOTHING, 0);
	expect("zeroed after the flush was received", 0, 3);
}

static void test_versions(void)
{
	new_log();
	write_event(0, 8, 1);
	event(EVENT_FLUSH, 0, 0);
	write_event(0, 8, 2);
	write_event(0, 8, 3);
	write_event(16, 8, 1);
	write_event(0, 8, 4)->received = 5;
	begin();
	expect_values("any content since it was durable", 4, SOME_SECTORS, 0,
		      1 << 1 | 1 << 2 | 1 << 3);
	expect_values("any write or not", 4, SOME_WRITES, 0, 1 << 1 | 1 << 2 | 1 << 3);
	expect_values("without choice, the newest", 4, EVERYTHING, 0, 1 << 3);
	expect_values("what was in flight, too", 5, SOME_WRITES, 0,
		      1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
	expect_values("by disk", 5, BY_DISK, 0, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
	expect_values("what was in flight is not complete", 5, EVERYTHING, 0, 1 << 3);
	expect_values("when it is complete", 6, EVERYTHING, 0, 1 << 4);
}

static void test_durable_disk(void)
{
	new_log();
	write_event(128, 8, 1);
	write_event(0, 8, 5);
	write_event(128, 8, 2)->received = 1;
	begin();
	expect_values("without a cache, complete is durable", 1, NOTHING, 128, 1 << 1);
	expect_values("what is in flight may be there", 2, SOME_SECTORS, 128, 1 << 1 | 1 << 2);
	expect_values("then it is complete", 3, SOME_SECTORS, 128, 1 << 2);
	cut(3, NOTHING, 0);
	if (medium_lost(medium) == 8 && !medium_in_flight(medium))
		passed++;
	else
		failed++;
	expect("lost", 0, 0);
}

int main(void)
{
	test_flush();
	test_fua();
	test_versions();
	test_durable_disk();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
