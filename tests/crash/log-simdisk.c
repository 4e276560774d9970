// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log of simdisk (tests/kmod/log-format.h) and the marks beside it: lines of an event's number
 * and the length of the ledger.
 */
#include "../kmod/log-format.h"
#include "replay.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

static void convert(struct log *log, const struct simdisk_log_record *record)
{
	struct disk *disk = find_disk(log, le32toh(record->disk));
	uint64_t received = le64toh(record->received);
	struct event *event = add_event(log);

	event->disk = (uint8_t)(disk - log->disks);
	event->sector = disk->first + le64toh(record->sector);
	event->sectors = le32toh(record->sectors);
	event->fua = record->fua;
	event->received = received < log->first_number ? 0 : received - log->first_number + 1;
	switch (record->operation) {
	case 'w':
		event->kind = EVENT_WRITE;
		event->data = (const uint8_t *)(record + 1);
		break;
	case 'f':
		event->kind = EVENT_FLUSH;
		break;
	case 'd':
	case 'z':
		event->kind = EVENT_ZERO;
		break;
	default:
		die("event %llu: unknown operation '%c'",
		    (unsigned long long)le64toh(record->sequence), record->operation);
	}
	if (event->sector + event->sectors > disk->first + disk->sectors)
		die("event %llu: goes beyond its disk",
		    (unsigned long long)le64toh(record->sequence));
}

/* A mark made when event number n was the last one counts from there on. */
static void read_marks(struct log *log, const char *path)
{
	unsigned long long number, length;
	FILE *file = fopen(path, "re");
	uint64_t i;

	if (!file)
		die("%s: %m", path);
	while (fscanf(file, "%llu %llu", &number, &length) == 2) {
		if (number < log->first_number)
			die("%s: a mark at event %llu, but the log begins with %llu", path, number,
			    (unsigned long long)log->first_number);
		i = number - log->first_number;
		if (i >= log->nr_events)
			die("%s: a mark at event %llu, which is not in the log", path, number);
		log->events[i].mark = length;
	}
	fclose(file);
}

void read_simdisk(struct log *log, const char *path, const char *marks)
{
	uint64_t length = 0, at = 0;
	uint8_t *file = map_input(path, &length);

	while (at < length) {
		const struct simdisk_log_record *record = (const void *)(file + at);
		uint64_t number = log->first_number + log->nr_events;

		if (at + sizeof(*record) > length || le32toh(record->magic) != SIMDISK_LOG_MAGIC)
			die("%s: no record at byte %llu", path, (unsigned long long)at);
		if (!log->nr_events)
			log->first_number = le64toh(record->sequence);
		else if (le64toh(record->sequence) != number)
			die("%s: event %llu is missing", path, (unsigned long long)number);
		convert(log, record);
		at += sizeof(*record);
		if (record->operation == 'w')
			at += (uint64_t)le32toh(record->sectors) * SECTOR;
	}
	read_marks(log, marks);
}
