// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Persistent reservations by the block layer's own ioctls, which are the way to
 * a device's reservations that file servers and SCSI targets take in the kernel.
 * Statically linked, as it runs in guests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/pr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static const char usage[] =
	"usage: reserve OPERATION DEVICE\n"
	"  register, register-ignore, reserve, release, preempt, preempt-abort, clear, read-keys,\n"
	"  read-reservation      with the key 0x1a2b, exclusive access for registrants only\n"
	"Prints OK, the name of the error, or 'status N' of the device.\n"
	"Exit code: 0 OK, 1 not, 2 usage.\n";

#define KEY 0x1a2bull

/* Newer than the headers that this may be compiled with. */
struct keys {
	__u32 generation, count;
	__u64 pointer;
};

struct held {
	__u64 key;
	__u32 generation, type;
};

#define READ_KEYS	 _IOWR('p', 206, struct keys)
#define READ_RESERVATION _IOR('p', 207, struct held)

static int operate(int fd, const char *name)
{
	struct pr_registration registration = { .new_key = KEY };
	struct pr_reservation reservation = { .key = KEY, .type = PR_EXCLUSIVE_ACCESS_REG_ONLY };
	struct pr_preempt preempt = { .old_key = KEY, .new_key = KEY, .type = reservation.type };
	struct pr_clear clear = { .key = KEY };
	__u64 found[16];
	struct keys keys = { .pointer = (unsigned long)found, .count = 16 };
	struct held held = { 0 };

	if (!strcmp(name, "register"))
		return ioctl(fd, IOC_PR_REGISTER, &registration);
	if (!strcmp(name, "register-ignore")) {
		registration.flags = PR_FL_IGNORE_KEY;
		return ioctl(fd, IOC_PR_REGISTER, &registration);
	}
	if (!strcmp(name, "reserve"))
		return ioctl(fd, IOC_PR_RESERVE, &reservation);
	if (!strcmp(name, "release"))
		return ioctl(fd, IOC_PR_RELEASE, &reservation);
	if (!strcmp(name, "preempt"))
		return ioctl(fd, IOC_PR_PREEMPT, &preempt);
	if (!strcmp(name, "preempt-abort"))
		return ioctl(fd, IOC_PR_PREEMPT_ABORT, &preempt);
	if (!strcmp(name, "clear"))
		return ioctl(fd, IOC_PR_CLEAR, &clear);
	if (!strcmp(name, "read-keys"))
		return ioctl(fd, READ_KEYS, &keys);
	if (!strcmp(name, "read-reservation"))
		return ioctl(fd, READ_RESERVATION, &held);
	fputs(usage, stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	int fd, result;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 3) {
		fputs(usage, stderr);
		return 2;
	}
	fd = open(argv[2], O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "reserve: %s: %s\n", argv[2], strerror(errno));
		return 2;
	}
	result = operate(fd, argv[1]);
	if (result < 0)
		puts(strerrorname_np(errno));
	else if (result > 0)
		printf("status %d\n", result);
	else
		puts("OK");
	return result != 0;
}
