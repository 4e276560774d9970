/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pi-io submits bios with protection information (T10 PI) of its own making, and judges what comes
 * back: user space has no way to do that on 6.1 and 6.12. This header is the map of the module. The
 * manual is Documentation/testing/pi.md.
 *
 *	pi-io-main.c		/dev/pi-io: one command per write, its answer by read
 *	pi-io-words.c		the words of a command
 *	pi-io-command.c		what each command does
 *	pi-io-check.c		is what was read what it should be?
 *	pi-io-stress.c		many transfers at random, by several threads
 *	pi-io-journal.c		what each interval must hold
 *	pi-io-pattern.c		data that names its place and its write, and the tuples for it
 *	pi-io-bio.c		a transfer: one range, as one or several bios
 *	pi-io-device.c		a block device and the format of its PI, on each kernel
 *
 * An "interval" is what one tuple protects: 512 or 4096 bytes. Places are in sectors of 512 bytes
 * everywhere, counts are in sectors in commands and in intervals inside.
 */
#ifndef PI_IO_H
#define PI_IO_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/t10-pi.h>
#include <linux/types.h>
#include <linux/wait.h>

/* --- device --- */

enum pi_io_type {
	PI_IO_NONE,		/* no metadata */
	PI_IO_OPAQUE,		/* metadata that the device does not look at */
	PI_IO_TYPE1,
	PI_IO_TYPE3,
};

struct pi_io_format {
	enum pi_io_type type;
	bool ip;		/* guard: IP checksum instead of the CRC */
	unsigned int shift;	/* an interval has 1 << shift bytes */
	unsigned int tuple;	/* bytes */
	unsigned int segments;	/* pieces that the PI of a request may have */
};

struct pi_io_device {
	struct block_device *bdev;
	struct file *file;	/* newer kernels only */
	struct pi_io_format format;
	u64 sectors;
};

int pi_io_open(struct pi_io_device *device, const char *path);
void pi_io_close(struct pi_io_device *device);
const char *pi_io_type_name(enum pi_io_type type);
/* What the kernel is to check of a bio with this PI: flags of its payload. */
unsigned short pi_io_check_flags(const struct pi_io_format *format, bool nocheck);

static inline unsigned int pi_io_interval_sectors(const struct pi_io_format *format)
{
	return 1u << (format->shift - SECTOR_SHIFT);
}

/* --- transfer --- */

#define PI_IO_MAX_SECTORS	2048u	/* of one transfer */
#define PI_IO_MAX_CUTS		8u

struct pi_io_transfer {
	const struct pi_io_device *device;
	u64 start;
	unsigned int intervals;
	u64 seed;		/* of the first interval */
	bool write;
	bool plain;		/* without PI: the block layer makes and checks its own */
	bool nocheck;
	bool fua;
	unsigned int nr_cuts;	/* where a new bio begins, in intervals, ascending */
	unsigned int cuts[PI_IO_MAX_CUTS];
	unsigned int data_offset;	/* of the data in its first page */
	unsigned int break_after;	/* tuples in the first page of the PI, 0: as many as fit */
	void *data_memory;	/* vmalloc */
	void *tuple_memory;
	u8 *data;
	struct t10_pi_tuple *tuples;
};

/* Allocates the memory of a transfer that is filled in but for it. */
int pi_io_prepare(struct pi_io_transfer *transfer);
void pi_io_release(struct pi_io_transfer *transfer);
/* All its bios at once; the first error of them. */
int pi_io_submit(struct pi_io_transfer *transfer);
int pi_io_flush(struct pi_io_device *device);

/* --- pattern --- */

enum pi_io_wrong {
	PI_IO_WRONG_DATA = BIT(0),
	PI_IO_WRONG_GUARD = BIT(1),
	PI_IO_WRONG_APP = BIT(2),
	PI_IO_WRONG_REF = BIT(3),
};

/* What was found in an interval. */
struct pi_io_found {
	u32 version;		/* 0: nothing was ever written there */
	u64 sector;		/* whose data it is */
	unsigned int wrong;	/* enum pi_io_wrong */
	u16 guard;		/* of the data */
	u16 app;		/* as the data says */
	u32 ref;
};

#define PI_IO_OWN_APP	0x10000u	/* app: one that follows from sector and version */

/* Data and tuples of all intervals. */
void pi_io_fill(struct pi_io_transfer *transfer, u32 version, u32 app);
/* Makes a tuple (or its data) wrong in one bit. */
void pi_io_spoil(struct pi_io_transfer *transfer, unsigned int interval, enum pi_io_wrong what);
/* at: the sector whose data is expected, U64_MAX: any. */
struct pi_io_found pi_io_judge(const struct pi_io_transfer *transfer, unsigned int interval,
			       u64 at);
u16 pi_io_guard(const struct pi_io_format *format, const void *data);
u64 pi_io_mix(u64 x);

/* --- journal --- */

struct pi_io_journal {
	struct list_head list;
	char name[32];
	u64 start;
	unsigned int shift;
	unsigned int intervals;
	u32 *flushed;		/* version that a flush covers */
	u32 *acked;		/* version whose write was the last to succeed */
	u32 *newest;		/* version of the last write that was sent */
	spinlock_t lock;	/* guards busy */
	struct list_head busy;	/* struct pi_io_claim */
	wait_queue_head_t released;
	unsigned int users;	/* under the lock of all journals */
};

/* A range that is being written or read; writers are alone in theirs. */
struct pi_io_claim {
	struct list_head list;
	unsigned int first;
	unsigned int count;
	bool write;
};

/* Which versions may be found. */
enum pi_io_expect {
	PI_IO_EXPECT_ACKED,	/* the acknowledged one, or a later one that failed */
	PI_IO_EXPECT_FLUSHED,	/* after a crash: the flushed one or a later one */
	PI_IO_EXPECT_ANY,	/* to begin with, on a device that is not blank */
};

/* Finds it, or makes one for the range if there is none and a range is given. */
struct pi_io_journal *pi_io_journal_get(const char *name, u64 start, unsigned int intervals,
					unsigned int shift);
void pi_io_journal_put(struct pi_io_journal *journal);
int pi_io_journal_forget(const char *name);
void pi_io_journal_exit(void);
u32 pi_io_next_version(void);
void pi_io_claim(struct pi_io_journal *journal, struct pi_io_claim *claim);
void pi_io_unclaim(struct pi_io_journal *journal, struct pi_io_claim *claim);
bool pi_io_journal_allows(const struct pi_io_journal *journal, unsigned int interval,
			  enum pi_io_expect expect, u32 version);

/* --- commands --- */

#define PI_IO_MAX_BAD	4u

/* The words of a command. */
struct pi_io_words {
	const char *verb;
	const char *dev;
	const char *journal;
	const char *expect;
	u64 start, n, seed, version, app, dataoff, pibreak;
	u64 threads, ops, random, most, reads, plains, flushes, errors;
	bool plain, nocheck, fua, zero, settle, piece;
	unsigned int nr_cuts;
	u64 cuts[PI_IO_MAX_CUTS];
	unsigned int nr_bad;
	struct {
		enum pi_io_wrong what;
		u64 interval;
	} bad[PI_IO_MAX_BAD];
};

/* Of numbers that were not given. */
#define PI_IO_NOT_GIVEN U64_MAX

/* One opener of /dev/pi-io: a command at a time, and the answer to the last one. */
struct pi_io_session {
	struct mutex command;	/* one at a time */
	struct mutex answer;	/* guards the rest, from threads of a command */
	char *text;
	size_t used;
	size_t shown;
	bool full;
};

__printf(2, 3) void pi_io_say(struct pi_io_session *session, const char *format, ...);

/* pi-io-words.c: says what is wrong. */
int pi_io_parse(struct pi_io_session *session, struct pi_io_words *words, char *text);

/* pi-io-command.c */
int pi_io_command(struct pi_io_session *session, char *text);

/*
 * pi-io-check.c: 0, or EUCLEAN and a few lines on what is not as expected; version: of all
 * intervals, or PI_IO_NOT_GIVEN. With settle, what was found is what is expected from then on.
 */
struct pi_io_expectation {
	struct pi_io_journal *journal;
	enum pi_io_expect expect;
	bool settle;
	u64 version;
};

int pi_io_check(struct pi_io_session *session, const struct pi_io_transfer *transfer,
		const struct pi_io_expectation *expectation);
void pi_io_say_error(struct pi_io_session *session, const struct pi_io_transfer *transfer,
		     int error);
void pi_io_say_versions(struct pi_io_session *session, const struct pi_io_transfer *transfer);
const char *pi_io_error_name(int error);

/* Both claim their range in the journal, which a read need not have. */
int pi_io_write(struct pi_io_transfer *transfer, struct pi_io_journal *journal, u32 app,
		u32 *version);
int pi_io_read(struct pi_io_session *session, struct pi_io_transfer *transfer,
	       const struct pi_io_expectation *expectation);
int pi_io_flush_journal(struct pi_io_device *device, struct pi_io_journal *journal);

/* pi-io-stress.c */
int pi_io_stress(struct pi_io_session *session, struct pi_io_device *device,
		 struct pi_io_journal *journal, const struct pi_io_words *words);

#endif
