/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crash-replay: from a log of everything that some disks were asked to do to what a power cut at a
 * place in that log may leave on them.
 *
 *	log-writes.c	reads the log of the kernel's target log-writes
 *	log-simdisk.c	reads the log of simdisk, which has several disks in one order
 *	medium.c	what is durable and what is volatile at a place in the log
 *	replay.c	the program: plans cuts, puts what they leave onto a device
 *
 * Events are numbered from 1 on in the order of their completion (simdisk), or as log-writes orders
 * them: a write that is neither flushed nor FUA comes right before the FLUSH that covers it.
 */
#ifndef TESTS_CRASH_REPLAY_H
#define TESTS_CRASH_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR		512u
#define PAGE		4096u
#define PAGE_SECTORS	(PAGE / SECTOR)
#define MAX_DISKS	8u

enum event_kind { EVENT_WRITE, EVENT_ZERO, EVENT_FLUSH, EVENT_MARK };

struct event {
	uint64_t received;	/* events up to this number were complete when it began */
	uint64_t sector;	/* in the image, which holds all disks one behind the other */
	uint64_t mark;		/* length of the ledger */
	const uint8_t *data;	/* of a write */
	uint32_t sectors;
	uint8_t kind;
	uint8_t disk;
	bool fua;
};

struct disk {
	uint64_t number;	/* in the log */
	uint64_t first, sectors;	/* of the image */
	bool cached;		/* has a volatile cache: completed writes are not durable */
	uint64_t *pending;	/* events that are complete and not durable, ascending */
	size_t nr_pending;
};

struct log {
	struct event *events;	/* number n is events[n - 1] */
	uint64_t nr_events;
	uint64_t first_number;	/* the log's own number of event 1, for simdisk */
	uint64_t first_cut;	/* the first place where the ledger says something */
	struct disk disks[MAX_DISKS];
	unsigned int nr_disks;
	uint64_t sectors;	/* of the image */
};

/* What survives of volatile data. */
enum manner {
	NOTHING,		/* none of it */
	EVERYTHING,		/* all of it */
	SOME_WRITES,		/* each write, or not; those in flight too */
	SOME_SECTORS,		/* each sector has one of its contents since it was durable */
	BY_DISK,		/* each disk has one of the manners above */
	MANNERS
};

struct medium;

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A whole file or device in memory. */
uint8_t *map_input(const char *path, uint64_t *length);
struct event *add_event(struct log *log);
struct disk *find_disk(struct log *log, uint64_t number);

void read_log_writes(struct log *log, const char *path);
void read_simdisk(struct log *log, const char *path, const char *marks);

struct medium *medium_create(struct log *log, bool flushes_count);
/* Makes the image what a cut behind event `number` leaves; numbers must not fall. */
void medium_cut(struct medium *medium, uint64_t number, enum manner manner, uint64_t seed);
/* One after the other, the pages that differ from the last cut's image; NULL: that was all. */
const uint8_t *medium_next_page(struct medium *medium, uint64_t *index);
/* Sectors that the last cut left older than they were, and writes that were in flight then. */
uint64_t medium_lost(const struct medium *medium);
uint64_t medium_in_flight(const struct medium *medium);

#endif
