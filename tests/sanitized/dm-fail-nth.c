// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dm-fail-nth: one step of device mapper after the other (or a request, or loading a module), in
 * each of which the kernel makes the N-th thing fail that can fail: allocation of memory, or I/O
 * sent by this very thread. It speaks to the kernel directly, so that only the one system call is
 * counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char usage[] =
"dm-fail-nth: reads steps from stdin, one a line, with \"|\" between the words, and answers each.\n"
"  N|create|NAME           N|load|NAME|TABLE        N|clear|NAME      N|remove|NAME\n"
"  N|suspend|NAME          N|suspend-noflush|NAME   N|resume|NAME     N|message|NAME|TEXT\n"
"  N|status|NAME           N|status-noflush|NAME    N|table|NAME      N|insmod|FILE\n"
"  N|write|DEVICE|SECTOR|TAG   128 sectors, as simdisk-io fills them\n"
"  N|read|DEVICE|SECTOR    N|flush|DEVICE           N|discard|DEVICE|SECTOR\n"
"  0|check|DEVICE|SECTOR|TAG   reads 128 sectors; ENODATA if they do not hold the tag\n"
"N: which of the things that can fail does, from 1 on; 0: none. TABLE: one line, as for dmsetup;\n"
"no file in /dev/mapper is made.\n"
"An answer: -1 if the fault happened, else how many things could have failed; what the call\n"
"returned (\"ok\" or the name of the error); the text that it gave.\n"
"Exit code: 0, or 2 for wrong use.\n";

#define BUFFER_SIZE	8192u

static const struct operation {
	const char *name;
	unsigned long request;
	uint32_t flags;
} operations[] = {
	{ "create", DM_DEV_CREATE, 0 },
	{ "load", DM_TABLE_LOAD, 0 },
	{ "suspend", DM_DEV_SUSPEND, DM_SUSPEND_FLAG },
	{ "suspend-noflush", DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG },
	{ "resume", DM_DEV_SUSPEND, 0 },
	{ "clear", DM_TABLE_CLEAR, 0 },
	{ "message", DM_TARGET_MSG, 0 },
	{ "status", DM_TABLE_STATUS, 0 },
	{ "status-noflush", DM_TABLE_STATUS, DM_NOFLUSH_FLAG },
	{ "table", DM_TABLE_STATUS, DM_STATUS_TABLE_FLAG },
	{ "remove", DM_DEV_REMOVE, 0 },
};

static int die(const char *what)
{
	fprintf(stderr, "dm-fail-nth: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* The table line "START LENGTH TARGET WORDS...", as the kernel wants it. */
static int put_table(struct dm_ioctl *io, const char *line)
{
	struct dm_target_spec *spec = (void *)((char *)io + io->data_start);
	unsigned long long start, length;
	int words = 0;

	if (sscanf(line, "%llu %llu %15s %n", &start, &length, spec->target_type, &words) != 3 ||
	    !words || strlen(line + words) >= BUFFER_SIZE / 2)
		return -1;
	spec->sector_start = start;
	spec->length = length;
	memcpy(spec + 1, line + words, strlen(line + words) + 1);
	spec->next = sizeof(*spec) + ((strlen(line + words) + 8) & ~7ul);
	io->target_count = 1;
	return 0;
}

static struct dm_ioctl *make_request(const struct operation *operation, char **words)
{
	struct dm_ioctl *io = calloc(1, BUFFER_SIZE);

	if (!io)
		die("calloc");
	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = BUFFER_SIZE;
	io->data_start = sizeof(*io);
	io->flags = operation->flags;
	snprintf(io->name, sizeof(io->name), "%s", words[0]);
	if (operation->request == DM_TABLE_LOAD) {
		if (!words[1] || put_table(io, words[1]))
			goto bad;
	} else if (operation->request == DM_TARGET_MSG) {
		struct dm_target_msg *message = (void *)((char *)io + io->data_start);

		if (!words[1])
			goto bad;
		snprintf(message->message, BUFFER_SIZE / 2, "%s", words[1]);
	}
	return io;
bad:
	free(io);
	return NULL;
}

static int fault_file;

static void arm(const char *number)
{
	if (pwrite(fault_file, number, strlen(number), 0) < 0)
		die("/proc/thread-self/fail-nth");
}

/* How far the fault was away, 0 if it happened.  Disarms it. */
static long distance(void)
{
	char left[16] = "";

	if (pread(fault_file, left, sizeof(left) - 1, 0) <= 0)
		die("/proc/thread-self/fail-nth");
	arm("0");
	return atol(left);
}

/* What simdisk-io finds in a sector. */
struct mark {
	uint64_t tag;
	uint64_t sector;
};

#define IO_BYTES	65536u

static struct mark *io_buffer(uint64_t sector, uint64_t tag)
{
	struct mark *marks = aligned_alloc(4096, IO_BYTES);
	size_t i;

	if (!marks)
		die("aligned_alloc");
	for (i = 0; i < IO_BYTES / sizeof(*marks); i++)
		marks[i] = (struct mark){ tag, sector + i * sizeof(*marks) / 512 };
	return marks;
}

static long device_call(char letter, int file, uint64_t sector, struct mark *marks)
{
	uint64_t range[2] = { sector * 512, IO_BYTES };

	switch (letter) {
	case 'w':
		return pwrite(file, marks, IO_BYTES, range[0]);
	case 'r':
		return pread(file, marks, IO_BYTES, range[0]);
	case 'd':
		return ioctl(file, BLKDISCARD, range);
	default:
		return fdatasync(file);
	}
}

struct step {
	const struct operation *operation;
	struct dm_ioctl *io;
	const char *name;
	int file;
	uint64_t sector, tag;
	struct mark *marks;
};

static int prepare(struct step *step, char **words)
{
	size_t i, nr_operations = sizeof(operations) / sizeof(operations[0]);

	step->name = words[1];
	for (i = 0; i < nr_operations; i++)
		if (!strcmp(step->name, operations[i].name))
			step->operation = &operations[i];
	if (step->operation) {
		step->io = make_request(step->operation, words + 2);
		step->file = open("/dev/mapper/control", O_RDWR);
		return step->io ? 0 : -1;
	}
	if (!strcmp(step->name, "insmod")) {
		step->file = open(words[2], O_RDONLY);
		return 0;
	}
	if (!strchr("wrfdc", step->name[0]))
		return -1;
	step->file = open(words[2], O_RDWR | O_DIRECT);
	step->sector = words[3] ? strtoull(words[3], NULL, 0) : 0;
	step->tag = words[3] && words[4] ? strtoull(words[4], NULL, 0) : 0;
	step->marks = io_buffer(step->sector, step->tag);
	return 0;
}

static long check_tags(const struct step *step)
{
	struct mark *wanted = io_buffer(step->sector, step->tag);
	long result = device_call('r', step->file, step->sector, step->marks);

	if (result >= 0 && memcmp(wanted, step->marks, IO_BYTES)) {
		errno = ENODATA;
		result = -1;
	}
	free(wanted);
	return result;
}

static long call(const struct step *step)
{
	if (step->operation)
		return ioctl(step->file, step->operation->request, step->io);
	if (step->name[0] == 'c')
		return check_tags(step);
	if (step->marks)
		return device_call(step->name[0], step->file, step->sector, step->marks);
	return syscall(SYS_finit_module, step->file, "", 0);
}

/* The text that status and messages answer with. */
static const char *text_of(const struct step *step, long result)
{
	const struct dm_ioctl *io = step->io;

	if (result < 0 || !io)
		return "";
	if (step->operation->request == DM_TARGET_MSG)
		return io->flags & DM_DATA_OUT_FLAG ? (char *)io + io->data_start : "";
	if (step->operation->request == DM_TABLE_STATUS && io->target_count)
		return (char *)io + io->data_start + sizeof(struct dm_target_spec);
	return "";
}

static int do_step(char *line)
{
	struct step step = { .file = -1 };
	char *words[6] = { NULL };
	long result, number, left;
	unsigned int i;
	int error;

	for (i = 0; i < 5 && (words[i] = strtok(i ? NULL : line, "|\n")); i++)
		;
	if (i < 3 || prepare(&step, words)) {
		fputs(usage, stderr);
		return -1;
	}
	if (step.file < 0) {
		printf("0 %s\n", strerrorname_np(errno));
	} else {
		arm(words[0]);
		result = call(&step);
		error = errno;
		number = atol(words[0]);
		left = distance();
		printf("%ld %s %s\n", left || !number ? number - left : -1,
		       result < 0 ? strerrorname_np(error) : "ok", text_of(&step, result));
		close(step.file);
	}
	fflush(stdout);
	free(step.io);
	free(step.marks);
	return 0;
}

int main(int argc, char **argv)
{
	char line[BUFFER_SIZE / 2];

	(void)argv;
	fault_file = open("/proc/thread-self/fail-nth", O_RDWR);
	if (argc > 1 || fault_file < 0) {
		fputs(usage, stderr);
		return 2;
	}
	while (fgets(line, sizeof(line), stdin))
		if (do_step(line))
			return 2;
	return 0;
}
