// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Marks, see mark.h.
 */
#define _GNU_SOURCE
#include "mark.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int control = -1;	/* number of the last event, or device-mapper */
static int file = -1;
static char device[DM_NAME_LEN];

static _Noreturn void die(const char *what)
{
	perror(what);
	_exit(2);
}

static void set_up(void)
{
	const char *where = getenv("CRASH_MARKS");

	if (where && !strncmp(where, "simdisk ", 8)) {
		control = open("/sys/kernel/simdisk/events", O_RDONLY | O_CLOEXEC);
		file = open(where + 8, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (file < 0)
			die(where + 8);
	} else if (where && !strncmp(where, "log-writes ", 11)) {
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
		snprintf(device, sizeof(device), "%s", where + 11);
	}
	if (control < 0)
		die("CRASH_MARKS");
}

static void mark_number(uint64_t length)
{
	char text[64];
	ssize_t got = pread(control, text, 24, 0);
	int bytes;

	if (got <= 0)
		die("/sys/kernel/simdisk/events");
	bytes = snprintf(text, sizeof(text), "%llu %llu\n", strtoull(text, NULL, 10),
			 (unsigned long long)length);
	if (dprintf(file, "%s", text) != bytes)
		die("marks");
}

static void mark_log(uint64_t length)
{
	struct {
		struct dm_ioctl header;
		struct dm_target_msg target;
		char text[64];
	} message = {
		.header = {
			.version = { DM_VERSION_MAJOR, 0, 0 },
			.data_size = sizeof(message),
			.data_start = sizeof(message.header),
		},
	};

	snprintf(message.header.name, sizeof(message.header.name), "%s", device);
	snprintf(message.text, sizeof(message.text), "mark %llu", (unsigned long long)length);
	if (ioctl(control, DM_TARGET_MSG, &message))
		die(device);
}

void mark(uint64_t ledger_length)
{
	if (control < 0)
		set_up();
	if (device[0])
		mark_log(ledger_length);
	else
		mark_number(ledger_length);
}
