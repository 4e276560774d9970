// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log of the kernel's device-mapper target log-writes, as drivers/md/dm-log-writes.c has it: a
 * superblock, then an entry of one sector for each bio, followed by its data. All little endian. A
 * sector is the logical block of the logged device.
 */
#include "replay.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_WRITES_MAGIC	0x6a736677736872ull
#define LOG_WRITES_VERSION	1
#define FLAG_FLUSH	(1u << 0)
#define FLAG_FUA	(1u << 1)
#define FLAG_DISCARD	(1u << 2)
#define FLAG_MARK	(1u << 3)

struct log_writes_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sector_size;
} __attribute__((packed));

struct log_writes_entry {
	uint64_t sector;
	uint64_t sectors;
	uint64_t flags;
	uint64_t data_bytes;
};

static void convert(struct log *log, const struct log_writes_entry *entry, const uint8_t *data,
		    uint32_t unit)
{
	uint64_t flags = le64toh(entry->flags);
	struct event *event = add_event(log);
	uint64_t bytes = le64toh(entry->data_bytes);
	char text[32] = "";

	event->sector = le64toh(entry->sector) * unit;
	event->sectors = (uint32_t)le64toh(entry->sectors) * unit;
	/* A FLUSH covers all before it; a write may be in flight when the one before is over. */
	event->received = log->nr_events - 1;
	event->fua = flags & FLAG_FUA;
	if (flags & FLAG_MARK) {
		memcpy(text, data, bytes < sizeof(text) ? bytes : sizeof(text) - 1);
		event->kind = EVENT_MARK;
		event->mark = strtoull(text, NULL, 10);	/* 0: the target's own */
	} else if (flags & FLAG_DISCARD) {
		event->kind = EVENT_ZERO;
	} else if (event->sectors) {
		event->kind = EVENT_WRITE;
		event->data = data;
		if (flags & FLAG_FLUSH)
			die("entry %llu: a flush with data: device-mapper splits those",
			    (unsigned long long)log->nr_events);
	} else {
		event->kind = EVENT_FLUSH;
	}
}

/*
 * A FUA write is logged when it completes, other writes with the FLUSH that covers them: which of
 * two came first if both are to one sector is not in the log.
 */
static void refuse_ambiguous(const struct log *log)
{
	uint64_t i, j;

	for (i = 0; i < log->nr_events; i++) {
		const struct event *fua = &log->events[i], *other;

		if (fua->kind != EVENT_WRITE || !fua->fua)
			continue;
		for (j = i + 1; j < log->nr_events; j++) {
			other = &log->events[j];
			if (other->kind == EVENT_FLUSH)
				break;
			if (!other->fua && other->kind != EVENT_MARK &&
			    other->sector < fua->sector + fua->sectors &&
			    fua->sector < other->sector + other->sectors)
				die("entry %llu is FUA and entry %llu overlaps it: their order is unknown",
				    (unsigned long long)i + 1, (unsigned long long)j + 1);
		}
	}
}

void read_log_writes(struct log *log, const char *path)
{
	uint64_t length = 0, at, i, data_bytes;
	uint8_t *file = map_input(path, &length);
	const struct log_writes_super *super = (const void *)file;
	uint32_t size;

	if (length < SECTOR || le64toh(super->magic) != LOG_WRITES_MAGIC ||
	    le64toh(super->version) != LOG_WRITES_VERSION)
		die("%s: no log of log-writes", path);
	size = le32toh(super->sector_size);
	if (size % SECTOR || !size)
		die("%s: sectors of %u bytes", path, size);
	at = size;
	for (i = 0; i < le64toh(super->nr_entries); i++) {
		const struct log_writes_entry *entry = (const void *)(file + at);
		bool is_mark, without_data;

		if (at + size > length)
			die("%s: ends within its entries", path);
		/* A mark is within the sector of its entry. */
		is_mark = le64toh(entry->flags) & FLAG_MARK;
		without_data = is_mark || le64toh(entry->flags) & FLAG_DISCARD;
		data_bytes = without_data ? 0 : le64toh(entry->sectors) * size;
		if (at + size + data_bytes > length)
			die("%s: ends within its entries", path);
		convert(log, entry, is_mark ? (const void *)(entry + 1) : file + at + size,
			size / SECTOR);
		at += size + data_bytes;
	}
	if (!log->nr_events || log->events[log->nr_events - 1].kind != EVENT_MARK)
		die("%s: does not end in the mark of the target's end: was it too small?", path);
	refuse_ambiguous(log);
}
