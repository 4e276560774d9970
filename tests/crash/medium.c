// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is on the disks at a place in the log. Durable is what a FLUSH covers that was received
 * after the write had completed, what was written with FUA, and every completed write on a disk
 * without a volatile cache. Everything else is a candidate: of each sector, any content that it had
 * since it was last durable may be what a power cut leaves, and any part of the writes in flight.
 */
#define _GNU_SOURCE
#include "replay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct medium {
	struct log *log;
	bool flushes_count;
	uint64_t position;		/* events up to this number are in */
	uint8_t *durable, *wanted, *shown;
	uint64_t *hardened;		/* of a sector: the event whose data is the durable one */

	/* pages that may differ from what is shown, and those that show volatile data */
	uint64_t *pages, nr_pages, nr_shown;
	uint8_t *listed;
	uint64_t *overlaid, nr_overlaid;

	/* during a cut */
	uint64_t *volatile_events;
	size_t nr_volatile;
	uint16_t *candidates;		/* of a sector: how many so far */
	uint64_t *newest;		/* the last complete one, 0: none */
	uint64_t *chosen;		/* what survives, 0: the durable content */
	uint64_t lost, in_flight;
};

static void *table(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die("%llu bytes: %m", (unsigned long long)bytes);
	return memory;
}

struct medium *medium_create(struct log *log, bool flushes_count)
{
	struct medium *medium = table(sizeof(*medium));
	uint64_t bytes = log->sectors * SECTOR, nr_pages = bytes / PAGE;
	unsigned int i;

	medium->log = log;
	medium->flushes_count = flushes_count;
	medium->durable = table(bytes);
	medium->wanted = table(bytes);
	medium->shown = table(bytes);
	medium->hardened = table(log->sectors * sizeof(uint64_t));
	medium->pages = table(nr_pages * sizeof(uint64_t));
	medium->listed = table(nr_pages);
	medium->overlaid = table(nr_pages * sizeof(uint64_t));
	medium->volatile_events = table((log->nr_events + 1) * sizeof(uint64_t));
	medium->candidates = table(log->sectors * sizeof(uint16_t));
	medium->newest = table(log->sectors * sizeof(uint64_t));
	medium->chosen = table(log->sectors * sizeof(uint64_t));
	for (i = 0; i < log->nr_disks; i++)
		log->disks[i].pending = table((log->nr_events + 1) * sizeof(uint64_t));
	return medium;
}

static const struct event *event_of(const struct medium *medium, uint64_t number)
{
	return &medium->log->events[number - 1];
}

static bool list_page(struct medium *medium, uint64_t page)
{
	if (medium->listed[page])
		return false;
	medium->listed[page] = 1;
	medium->pages[medium->nr_pages++] = page;
	return true;
}

static void put_sector(uint8_t *image, const struct event *event, uint64_t sector)
{
	if (event->data)
		memcpy(image + sector * SECTOR, event->data + (sector - event->sector) * SECTOR,
		       SECTOR);
	else
		memset(image + sector * SECTOR, 0, SECTOR);
}

/* ---- what is durable ---- */

static void harden(struct medium *medium, uint64_t number)
{
	const struct event *event = event_of(medium, number);
	uint64_t sector;

	for (sector = event->sector; sector < event->sector + event->sectors; sector++) {
		if (medium->hardened[sector] > number)
			continue;
		medium->hardened[sector] = number;
		put_sector(medium->durable, event, sector);
		list_page(medium, sector / PAGE_SECTORS);
	}
}

static void flush(struct medium *medium, struct disk *disk, uint64_t received)
{
	size_t i, left = 0;

	for (i = 0; i < disk->nr_pending; i++)
		if (disk->pending[i] <= received)
			harden(medium, disk->pending[i]);
		else
			disk->pending[left++] = disk->pending[i];
	disk->nr_pending = left;
}

static void advance(struct medium *medium, uint64_t number)
{
	while (medium->position < number) {
		const struct event *event = event_of(medium, ++medium->position);
		struct disk *disk = &medium->log->disks[event->disk];

		if (event->kind == EVENT_FLUSH && medium->flushes_count)
			flush(medium, disk, event->received);
		if (event->kind != EVENT_WRITE && event->kind != EVENT_ZERO)
			continue;
		if (disk->cached && !event->fua)
			disk->pending[disk->nr_pending++] = medium->position;
		else
			harden(medium, medium->position);
	}
}

/* ---- what survives of the rest ---- */

/* The finaliser of splitmix64, over both. */
static uint64_t hash(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ull + b;
	int round;

	for (round = 0; round < 2; round++) {
		x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
		x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
		x ^= x >> 31;
		x += b;
	}
	return x ^ (x >> 29);
}

static bool is_candidate(const struct medium *medium, uint64_t number, uint64_t sector)
{
	return number > medium->hardened[sector];
}

/* Those that are complete, disk by disk, then those in flight: for each sector in its order. */
static void list_volatile(struct medium *medium, uint64_t number)
{
	const struct log *log = medium->log;
	unsigned int i;
	uint64_t later;

	medium->nr_volatile = 0;
	medium->in_flight = 0;
	for (i = 0; i < log->nr_disks; i++) {
		memcpy(medium->volatile_events + medium->nr_volatile, log->disks[i].pending,
		       log->disks[i].nr_pending * sizeof(uint64_t));
		medium->nr_volatile += log->disks[i].nr_pending;
	}
	for (later = number + 1; later <= log->nr_events; later++) {
		const struct event *event = event_of(medium, later);

		if (event->received > number ||
		    (event->kind != EVENT_WRITE && event->kind != EVENT_ZERO))
			continue;
		medium->volatile_events[medium->nr_volatile++] = later;
		medium->in_flight++;
	}
}

static enum manner manner_of(enum manner manner, uint64_t seed, unsigned int disk)
{
	return manner == BY_DISK ? hash(seed, disk) % BY_DISK : manner;
}

/* Is this candidate, the count-th of the sector, what is left rather than an older one? */
static bool takes_over(enum manner manner, uint64_t seed, uint64_t number, uint64_t sector,
		       uint16_t count, bool complete)
{
	switch (manner) {
	case EVERYTHING:
		return complete;
	case SOME_WRITES:
		return hash(seed, number) & 1;
	case SOME_SECTORS:
		/* in the end each of them, and the durable one, has been as likely */
		return !(hash(hash(seed, number), sector) % (count + 1u));
	default:
		return false;
	}
}

static void choose(struct medium *medium, uint64_t cut, enum manner manner, uint64_t seed)
{
	size_t i;
	uint64_t sector;

	for (i = 0; i < medium->nr_volatile; i++) {
		uint64_t number = medium->volatile_events[i];
		const struct event *event = event_of(medium, number);
		enum manner own = manner_of(manner, seed, event->disk);

		for (sector = event->sector; sector < event->sector + event->sectors; sector++) {
			if (!is_candidate(medium, number, sector))
				continue;
			medium->candidates[sector]++;
			if (number <= cut)
				medium->newest[sector] = number;
			if (takes_over(own, seed, number, sector, medium->candidates[sector],
				       number <= cut))
				medium->chosen[sector] = number;
		}
	}
}

static void show(struct medium *medium, const struct event *event, uint64_t sector)
{
	uint64_t page = sector / PAGE_SECTORS;

	if (list_page(medium, page))
		memcpy(medium->wanted + page * PAGE, medium->durable + page * PAGE, PAGE);
	if (medium->listed[page] == 1) {
		medium->listed[page] = 2;
		medium->overlaid[medium->nr_overlaid++] = page;
	}
	put_sector(medium->wanted, event, sector);
}

/* Puts the chosen contents into the wanted image, and clears the tables of the choice. */
static void overlay(struct medium *medium)
{
	size_t i;
	uint64_t sector;

	medium->lost = 0;
	for (i = 0; i < medium->nr_volatile; i++) {
		uint64_t number = medium->volatile_events[i];
		const struct event *event = event_of(medium, number);

		for (sector = event->sector; sector < event->sector + event->sectors; sector++)
			if (medium->chosen[sector] == number)
				show(medium, event, sector);
	}
	for (i = 0; i < medium->nr_volatile; i++) {
		const struct event *event = event_of(medium, medium->volatile_events[i]);

		for (sector = event->sector; sector < event->sector + event->sectors; sector++) {
			medium->lost += medium->chosen[sector] < medium->newest[sector];
			medium->candidates[sector] = 0;
			medium->newest[sector] = 0;
			medium->chosen[sector] = 0;
		}
	}
}

void medium_cut(struct medium *medium, uint64_t number, enum manner manner, uint64_t seed)
{
	uint64_t i;

	for (i = 0; i < medium->nr_pages; i++)
		medium->listed[medium->pages[i]] = 0;
	medium->nr_pages = 0;
	medium->nr_shown = 0;
	for (i = 0; i < medium->nr_overlaid; i++)
		list_page(medium, medium->overlaid[i]);
	medium->nr_overlaid = 0;
	advance(medium, number);
	for (i = 0; i < medium->nr_pages; i++)
		memcpy(medium->wanted + medium->pages[i] * PAGE,
		       medium->durable + medium->pages[i] * PAGE, PAGE);
	list_volatile(medium, number);
	choose(medium, number, manner, seed);
	overlay(medium);
}

uint64_t medium_lost(const struct medium *medium)
{
	return medium->lost;
}

uint64_t medium_in_flight(const struct medium *medium)
{
	return medium->in_flight;
}

const uint8_t *medium_next_page(struct medium *medium, uint64_t *index)
{
	while (medium->nr_shown < medium->nr_pages) {
		uint64_t page = medium->pages[medium->nr_shown++];

		if (!memcmp(medium->shown + page * PAGE, medium->wanted + page * PAGE, PAGE))
			continue;
		memcpy(medium->shown + page * PAGE, medium->wanted + page * PAGE, PAGE);
		*index = page;
		return medium->wanted + page * PAGE;
	}
	return NULL;
}
