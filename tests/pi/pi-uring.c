// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Protection information from user space: io_uring's PI attribute, which 7.2 has for O_DIRECT on
 * block devices. Raw system calls and declarations of our own, since no library is new enough
 * everywhere.
 *
 * usage: pi-uring caps DEVICE
 *        pi-uring read|write DEVICE START N FILE [PIECE]
 *
 *   caps     what the kernel tells of the device's metadata (FS_IOC_GETLBMD_CAP)
 *   read     data and tuples of N sectors of 512 bytes from START on, into FILE and FILE.pi
 *   write    from these files
 *   PIECE    sectors of one request (default 64); all requests are on their way at the same time
 *
 * Prints "ok", or "error NAME: ..." for the first request that failed. Exit code: 0 ok,
 * 1 otherwise, 2 wrong use.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES		256u
#define SECTOR		512u

/* --- what 7.2 declares --- */

struct metadata_cap {
	uint32_t flags;
	uint16_t interval;
	uint8_t size, opaque_size, opaque_offset;
	uint8_t pi_size, pi_offset, guard_type, app_size, ref_size, storage_size;
	uint8_t pad;
};

#define CAP_INTEGRITY	1u
#define CAP_REF_TAG	2u
#define GET_CAP		_IOWR(0x15, 2, struct metadata_cap)

struct pi_attribute {
	uint16_t flags;
	uint16_t app_tag;
	uint32_t len;
	uint64_t addr;
	uint64_t seed;
	uint64_t reserved;
};

#define CHECK_GUARD	1u
#define CHECK_REF_TAG	2u
#define ATTRIBUTE_PI	1u

struct submission {
	uint8_t opcode, flags;
	uint16_t priority;
	int32_t fd;
	uint64_t offset;
	uint64_t addr;
	uint32_t len;
	uint32_t rw_flags;
	uint64_t user_data;
	uint16_t buffer, personality;
	uint32_t file_index;
	uint64_t attributes;
	uint64_t attribute_mask;
};

#define OP_READ		22u
#define OP_WRITE	23u

struct completion {
	uint64_t user_data;
	int32_t result;
	uint32_t flags;
};

struct ring_offsets {
	uint32_t head, tail, mask, entries, overflow;
	uint32_t completions;	/* of the second ring */
	uint32_t array;		/* of the first ring */
	uint32_t reserved;
	uint64_t user;
};

struct ring_parameters {
	uint32_t sq_entries, cq_entries, flags, cpu, idle, features, wq_fd, reserved[3];
	struct ring_offsets sq, cq;
};

_Static_assert(sizeof(struct metadata_cap) == 16, "size of the kernel's");
_Static_assert(sizeof(struct pi_attribute) == 32, "size of the kernel's");
_Static_assert(sizeof(struct submission) == 64, "size of the kernel's");
_Static_assert(sizeof(struct ring_parameters) == 120, "size of the kernel's");

#define OFFSET_RINGS	0
#define OFFSET_ENTRIES	0x10000000
#define WAIT_FOR_EVENTS	1u

/* --- the ring --- */

struct ring {
	int fd;
	uint8_t *rings;
	struct submission *entries;
	struct ring_parameters parameters;
};

static void open_ring(struct ring *ring)
{
	struct ring_parameters *p = &ring->parameters;
	size_t sq, cq;

	ring->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, p);
	if (ring->fd < 0)
		err(2, "io_uring_setup");
	/* both rings are in one mapping; the array of indices is the last thing of the first one */
	sq = p->sq.array + p->sq_entries * sizeof(uint32_t);
	cq = p->cq.completions + p->cq_entries * sizeof(struct completion);
	ring->rings = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, ring->fd, OFFSET_RINGS);
	ring->entries = mmap(NULL, p->sq_entries * sizeof(struct submission),
			     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
			     OFFSET_ENTRIES);
	if (ring->rings == MAP_FAILED || ring->entries == MAP_FAILED)
		err(2, "mmap of the ring");
}

static uint32_t *word(struct ring *ring, uint32_t offset)
{
	return (uint32_t *)(ring->rings + offset);
}

static void queue(struct ring *ring, const struct submission *submission)
{
	const struct ring_offsets *sq = &ring->parameters.sq;
	uint32_t tail = *word(ring, sq->tail), index = tail & *word(ring, sq->mask);

	ring->entries[index] = *submission;
	word(ring, sq->array)[index] = index;
	__atomic_store_n(word(ring, sq->tail), tail + 1, __ATOMIC_RELEASE);
}

static struct completion next_completion(struct ring *ring)
{
	const struct ring_offsets *cq = &ring->parameters.cq;
	uint32_t head = *word(ring, cq->head);
	struct completion completion;

	while (head == __atomic_load_n(word(ring, cq->tail), __ATOMIC_ACQUIRE))
		if (syscall(SYS_io_uring_enter, ring->fd, 0, 1, WAIT_FOR_EVENTS, NULL, 0) < 0 &&
		    errno != EINTR)
			err(2, "io_uring_enter");
	completion = ((struct completion *)(ring->rings + cq->completions))[head &
									    *word(ring, cq->mask)];
	__atomic_store_n(word(ring, cq->head), head + 1, __ATOMIC_RELEASE);
	return completion;
}

/* --- transfers --- */

struct transfer {
	int fd;
	int write;
	struct metadata_cap cap;
	uint64_t start, sectors, piece;
	uint8_t *data, *tuples;
	size_t data_bytes, tuple_bytes;
	struct pi_attribute attributes[ENTRIES];
};

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || end == text)
		errx(2, "not a number: %s", text);
	return value;
}

static void *allocate(size_t bytes)
{
	void *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	if (!memory)
		err(2, "%zu bytes", bytes);
	return memory;
}

static int open_device(const char *path, int mode, struct metadata_cap *cap)
{
	int fd = open(path, mode | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		err(2, "%s", path);
	memset(cap, 0, sizeof(*cap));
	if (ioctl(fd, GET_CAP, cap))
		err(2, "%s: FS_IOC_GETLBMD_CAP", path);
	return fd;
}

static void move_file(const char *name, const char *suffix, void *memory, size_t bytes, int out)
{
	char path[4096];
	size_t done;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", name, suffix);
	file = fopen(path, out ? "w" : "r");
	if (!file)
		err(2, "%s", path);
	if (out)
		done = fwrite(memory, 1, bytes, file);
	else
		done = fread(memory, 1, bytes, file);
	if (fclose(file) || done != bytes)
		errx(2, "%s: not %zu bytes", path, bytes);
}

/* The piece whose first sector is at so many from the start. */
static void queue_piece(struct ring *ring, struct transfer *t, uint64_t at, unsigned int which)
{
	uint64_t sectors = t->sectors - at < t->piece ? t->sectors - at : t->piece;
	unsigned int step = t->cap.interval / SECTOR;
	struct submission submission = {
		.opcode = t->write ? OP_WRITE : OP_READ,
		.fd = t->fd,
		.offset = (t->start + at) * SECTOR,
		.addr = (uintptr_t)(t->data + at * SECTOR),
		.len = (uint32_t)(sectors * SECTOR),
		.user_data = at,
		.attributes = (uintptr_t)&t->attributes[which],
		.attribute_mask = ATTRIBUTE_PI,
	};

	t->attributes[which] = (struct pi_attribute) {
		.flags = CHECK_GUARD | (t->cap.flags & CAP_REF_TAG ? CHECK_REF_TAG : 0),
		.len = (uint32_t)(sectors / step * t->cap.size),
		.addr = (uintptr_t)(t->tuples + at / step * t->cap.size),
		.seed = (t->start + at) / step,
	};
	queue(ring, &submission);
}

/* 0 or the error of the first piece that failed */
static int run(struct ring *ring, struct transfer *t)
{
	unsigned int pieces = 0, i;
	struct completion done;
	int error = 0;
	uint64_t at, expected;

	for (at = 0; at < t->sectors; at += t->piece)
		queue_piece(ring, t, at, pieces++);
	if (syscall(SYS_io_uring_enter, ring->fd, pieces, 0, 0, NULL, 0) != (long)pieces)
		err(2, "io_uring_enter");
	for (i = 0; i < pieces; i++) {
		done = next_completion(ring);
		expected = t->sectors - done.user_data;
		expected = (expected < t->piece ? expected : t->piece) * SECTOR;
		if (done.result >= 0 && (uint64_t)done.result == expected)
			continue;
		error = done.result < 0 ? -done.result : EIO;
		printf("error %s: %s of %llu\n", strerrorname_np(error),
		       t->write ? "write" : "read",
		       (unsigned long long)(t->start + done.user_data));
	}
	return error;
}

static int transfer(char **argv, int argc)
{
	struct transfer t = { .write = !strcmp(argv[1], "write") };
	struct ring ring = { 0 };
	const char *file = argv[5];
	int error;

	t.start = number(argv[3]);
	t.sectors = number(argv[4]);
	t.piece = argc > 6 ? number(argv[6]) : 64;
	t.fd = open_device(argv[2], t.write ? O_RDWR : O_RDONLY, &t.cap);
	if (!(t.cap.flags & CAP_INTEGRITY) || t.cap.interval < SECTOR)
		errx(2, "%s: no protection information", argv[2]);
	if (!t.sectors || !t.piece || (t.start | t.sectors | t.piece) % (t.cap.interval / SECTOR) ||
	    (t.sectors - 1) / t.piece >= ENTRIES || t.piece > 2048)
		errx(2, "a number is out of range, or not a multiple of the interval");
	t.data_bytes = t.sectors * SECTOR;
	t.tuple_bytes = t.sectors * SECTOR / t.cap.interval * t.cap.size;
	t.data = allocate(t.data_bytes);
	t.tuples = allocate(t.tuple_bytes);
	if (t.write) {
		move_file(file, "", t.data, t.data_bytes, 0);
		move_file(file, ".pi", t.tuples, t.tuple_bytes, 0);
	}
	open_ring(&ring);
	error = run(&ring, &t);
	if (error)
		return 1;
	if (!t.write) {
		move_file(file, "", t.data, t.data_bytes, 1);
		move_file(file, ".pi", t.tuples, t.tuple_bytes, 1);
	}
	puts("ok");
	return 0;
}

int main(int argc, char **argv)
{
	struct metadata_cap cap;

	if (argc == 3 && !strcmp(argv[1], "caps")) {
		open_device(argv[2], O_RDONLY, &cap);
		printf("flags=%u interval=%u metadata=%u pi=%u at=%u guard=%u app=%u ref=%u\n",
		       cap.flags, cap.interval, cap.size, cap.pi_size, cap.pi_offset,
		       cap.guard_type, cap.app_size, cap.ref_size);
		return 0;
	}
	if (argc < 6 || argc > 7 || (strcmp(argv[1], "read") && strcmp(argv[1], "write"))) {
		fputs("usage: pi-uring caps DEVICE | read|write DEVICE START N FILE [PIECE]\n",
		      stderr);
		return 2;
	}
	return transfer(argv, argc);
}
