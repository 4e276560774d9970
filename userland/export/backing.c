// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looks at a block device: its stable name, its queue, and who uses it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../lvm.h"
#include "backing.h"

/* --- names --- */

bool backing_name_valid(const char *device)
{
	size_t i;

	if (strncmp(device, "/dev/", 5) || !device[5] || strstr(device, "/../") ||
	    strlen(device) >= DEVICE_MAX || !strncmp(device, "/dev/shm/", 9) ||
	    !strncmp(device, "/dev/mqueue/", 12))
		return false;
	/* a comma ends a parameter of LIO's */
	for (i = 0; device[i]; i++)
		if (!isgraph((unsigned char)device[i]) || strchr("\"'\\,`$", device[i]))
			return false;
	return device[i - 1] != '/' && strcmp(device + i - 3, "/..");
}

/* All of it below /dev, which only root can write; a link there may lead elsewhere there. */
static bool number_of(const char *device, dev_t *number)
{
	char real[PATH_MAX];
	struct stat st;

	if (!backing_name_valid(device) || !realpath(device, real) || !backing_name_valid(real) ||
	    stat(real, &st) || !S_ISBLK(st.st_mode))
		return false;
	*number = st.st_rdev;
	return true;
}

bool backing_number(const char *device, dev_t *number)
{
	return number_of(device, number);
}

/* --- what sysfs says --- */

static bool read_sysfs(dev_t number, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(number), minor(number), file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* Of a partition, the queue is its disk's. */
static uint64_t read_queue(dev_t number, const char *file)
{
	char text[64], path[128];

	snprintf(path, sizeof(path), "queue/%s", file);
	if (!read_sysfs(number, path, text, sizeof(text))) {
		snprintf(path, sizeof(path), "../queue/%s", file);
		if (!read_sysfs(number, path, text, sizeof(text)))
			return 0;
	}
	return strtoull(text, NULL, 10);
}

static void take_limits(struct backing *b)
{
	char text[64];

	if (read_sysfs(b->number, "size", text, sizeof(text)))
		b->bytes = strtoull(text, NULL, 10) * 512;
	b->read_only = read_sysfs(b->number, "ro", text, sizeof(text)) && *text == '1';
	b->discard_bytes = read_queue(b->number, "discard_max_bytes");
}

bool backing_peek(dev_t number, struct backing *b)
{
	memset(b, 0, sizeof(*b));
	b->number = number;
	if (number)
		take_limits(b);
	return b->bytes;
}

/* Field by field, see Documentation/admin-guide/iostats.rst of the kernel; flushes since 5.5. */
bool backing_load(dev_t number, struct backing_load *load)
{
	unsigned long long reads, writes, now, discards = 0, flushes = 0;
	char text[512];

	memset(load, 0, sizeof(*load));
	if (!read_sysfs(number, "stat", text, sizeof(text)) ||
	    sscanf(text, "%llu %*u %*u %*u %llu %*u %*u %*u %llu %*u %*u %llu %*u %*u %*u %llu",
		   &reads, &writes, &now, &discards, &flushes) < 3)
		return false;
	load->under_way = now;
	load->completed = reads + writes + discards + flushes;
	load->suspended = read_sysfs(number, "dm/suspended", text, sizeof(text)) && *text == '1';
	return true;
}

/* A link to this device in a directory of stable names. */
static bool find_link(const char *directory, dev_t number, char device[DEVICE_MAX])
{
	char path[DEVICE_MAX + NAME_MAX];
	const struct dirent *entry;
	bool found = false;
	dev_t other;
	DIR *dir = opendir(directory);

	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		found = strlen(path) < DEVICE_MAX && number_of(path, &other) && other == number;
	}
	if (found)
		memcpy(device, path, strlen(path) + 1);
	if (dir)
		closedir(dir);
	return found;
}

/* /dev/dm-3, /dev/sdb and /dev/block/253:3 are others after the next start. */
static bool is_stable(const char *device)
{
	return strchr(device + 5, '/') && strncmp(device, "/dev/block/", 11) &&
	       strncmp(device, "/dev/disk/by-diskseq/", 21) && !strstr(device, "/./") &&
	       !strstr(device, "//");
}

static void make_stable(struct backing *b)
{
	char name[128];

	if (is_stable(b->device))
		return;
	if (read_sysfs(b->number, "dm/name", name, sizeof(name)))
		snprintf(b->device, sizeof(b->device), "/dev/mapper/%s", name);
	else
		find_link("/dev/disk/by-id", b->number, b->device);
}

int backing_find(struct backing *b, const char *text)
{
	struct lv_name lv = { .vg = "" };
	int code;

	memset(b, 0, sizeof(*b));
	if (*text == '/') {
		if (!backing_name_valid(text)) {
			complain("%s is no name of a device: expected VG/LV, or a path below /dev",
				 text);
			return EXIT_NO_INPUT;
		}
		snprintf(b->device, sizeof(b->device), "%s", text);
	} else {
		code = lv_name_parse(&lv, text);
		if (code)
			return code;
		snprintf(b->device, sizeof(b->device), "/dev/%.120s/%.120s", lv.vg, lv.lv);
		if (!number_of(b->device, &b->number) && strlen(lv.dm) < DEVICE_MAX - 13)
			snprintf(b->device, sizeof(b->device), "/dev/mapper/%.240s", lv.dm);
	}
	if (!number_of(b->device, &b->number)) {
		complain("there is no block device %s%s%s", b->device,
			 *lv.vg ? ": is it active? lvchange -ay " : "", lv.full);
		return EXIT_NO_INPUT;
	}
	make_stable(b);
	take_limits(b);
	if (backing_name_valid(b->device))
		return 0;
	complain("%s is a name that LIO cannot take", b->device);
	return EXIT_NOT_OURS;
}

/* --- who uses it --- */

static bool is_mounted(dev_t number, char place[256])
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (file && !found && getline(&line, &size, file) > 0) {
		unsigned int a, b;

		found = sscanf(line, "%*u %*u %u:%u %*s %255s", &a, &b, place) == 3 &&
			makedev(a, b) == number;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static bool is_swap(dev_t number)
{
	FILE *file = fopen("/proc/swaps", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (file && !found && getline(&line, &size, file) > 0) {
		struct stat st;

		line[strcspn(line, " \t\n")] = '\0';
		found = *line == '/' && !stat(line, &st) && S_ISBLK(st.st_mode) &&
			st.st_rdev == number;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* The first device upon it. */
static bool find_holder(dev_t number, char holder[160])
{
	const struct dirent *entry;
	char path[PATH_MAX];
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(number), minor(number));
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		found = true;
		snprintf(path, sizeof(path), "holders/%.60s/dm/name", entry->d_name);
		if (!read_sysfs(number, path, holder, 160))
			snprintf(holder, 160, "%.60s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

int backing_judge(const struct backing *b)
{
	char who[256];
	int fd;

	if (is_mounted(b->number, who)) {
		complain("%s is in use: mounted on %s", b->device, who);
		return EXIT_NOT_OURS;
	}
	if (is_swap(b->number)) {
		complain("%s is in use: for swapping", b->device);
		return EXIT_NOT_OURS;
	}
	if (find_holder(b->number, who)) {
		complain("%s is in use: %s stands upon it, which initiators would write past; export that",
			 b->device, who);
		return EXIT_NOT_OURS;
	}
	fd = open(b->device, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EBUSY)
		complain("%s is in use: something has claimed it (a file system, md, another target)",
			 b->device);
	else
		complain("cannot open %s: %s", b->device, strerror(errno));
	return errno == EACCES || errno == EPERM ? EXIT_NO_PERMISSION : EXIT_NOT_OURS;
}
