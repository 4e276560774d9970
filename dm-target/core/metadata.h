/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata device: superblocks, journal, checkpoints, slot table.
 *
 * DOC: how this is driven
 *
 * Each operation is a state machine that does no I/O.  X_begin() starts it,
 * metadata_step() hands back one effect (a read, write or flush) in *io and
 * returns METADATA_IO; the caller performs it, however long that takes, and
 * calls metadata_step() again with its result (0 or a negative errno) until
 * it returns METADATA_DONE or an error.
 *
 *	result = 0;
 *	while ((rc = metadata_step(&op->step, result, &io)) == METADATA_IO)
 *		result = perform(&io);
 *
 * The module performs effects with bios in its metadata worker, the tools
 * with pread and pwrite, the simulator on faulty disks in memory.  An
 * operation that failed may be dropped or begun anew; nothing is half done
 * that recovery would not finish or ignore (I6).
 *
 * Locking: all operations of one struct metadata belong to one owner at a
 * time (the metadata worker).  A commit may run, from begin to end, between
 * two steps of a checkpoint or an extension; no other two may overlap.
 *
 * Memory: struct metadata and its buffers are handed in, once
 * (metadata_init); nothing is allocated later.
 */
#ifndef CORE_METADATA_H
#define CORE_METADATA_H

#include "geometry.h"

enum metadata_status {
	METADATA_DONE = 0,
	METADATA_IO = 1,	/* errors are negative errnos */
};

enum metadata_io_kind {
	METADATA_READ,
	METADATA_WRITE,		/* into the volatile cache */
	METADATA_WRITE_FUA,	/* durable when it completes */
	METADATA_FLUSH,		/* of every device in .devices, in parallel */
};

#define DEVICE_METADATA	(1u << 0)
#define DEVICE_CACHE	(1u << 1)
#define DEVICE_ORIGIN	(1u << 2)

struct metadata_io {
	enum metadata_io_kind kind;
	unsigned int devices;	/* FLUSH: mask of DEVICE_*; else the metadata device */
	u64 unit;		/* first unit */
	u32 nr_units;		/* 1..METADATA_IO_UNITS_MAX */
	void *buffer;		/* nr_units * 4096 bytes, page aligned, valid until the next step */
};

#define METADATA_IO_UNITS_MAX	256u	/* 1 MiB */
#define COMMIT_BLOCKS_MAX	16u	/* journal blocks in one commit */

/* What is on the device, as metadata_probe() found it. */
enum metadata_found {
	METADATA_BLANK,		/* unit 0 is all zero: may be formatted */
	METADATA_OURS,		/* a superblock that verifies, geometry and features known */
	METADATA_FOREIGN,	/* something else: see foreign */
	METADATA_DAMAGED,	/* our magic, but no superblock verifies */
	METADATA_TOO_NEW,	/* version or incompat bits that we do not know */
	METADATA_BAD_GEOMETRY,	/* verifies, but its numbers cannot be true, or the device shrank */
};

/* Opaque outside core/metadata*.c but for tests. */
struct metadata;
struct metadata_op;	/* a running operation; metadata_step() knows which */

/* Bytes of memory that one struct metadata needs; the block must be page aligned. */
size_t metadata_bytes(void);
struct metadata *metadata_init(void *memory, u64 metadata_units);

/* The operation that begin started last; one at a time but for a commit within another. */
int metadata_step(struct metadata_op *op, int result, struct metadata_io *io);

/*
 * Reads both superblocks and judges them, writing nothing.  Afterwards
 * metadata_found() tells; with METADATA_OURS, superblock() and geometry()
 * are valid.
 */
struct metadata_op *metadata_probe_begin(struct metadata *md);
enum metadata_found metadata_found(const struct metadata *md);
/* Name of a foreign format where it is well known ("dm-cache", "XFS"), else NULL. */
const char *metadata_foreign(const struct metadata *md);
const struct larder_superblock *metadata_super(const struct metadata *md);
const struct geometry *metadata_geometry(const struct metadata *md);
u64 metadata_generation(const struct metadata *md);
/* Is this superblock our last durable one, or one whose write failed since? */
bool metadata_may_have_written(const struct metadata *md, const struct larder_superblock *sb);

struct metadata_identity {
	u64 metadata, cache, origin;	/* 0 = unknown */
};

/* Formats a device that the probe called blank.  uuid: random, not all zero. */
struct metadata_op *metadata_format_begin(struct metadata *md, const struct geometry *g,
					  const u8 uuid[LARDER_UUID_SIZE],
					  const struct metadata_identity *who);

/*
 * Loads after a probe: repairs torn table pages from the double-write area in
 * memory or (write = true) at home, hands every used entry and intent to the
 * visitor in table order, then the journal's records in their order (the
 * caller keeps the last for each slot; an entry from there that is not USED is
 * a forget, and one that names another block than before has no hint: its hint
 * field is 0 and means nothing).  Untrusted input: slots and pages
 * beyond the geometry, blocks beyond 2^40 or masks wider than the block never
 * reach the visitor: they are damage.  Begins with a flush of all three
 * devices when write is true (I6); tools that only look pass false.
 *
 * Fails with -EROFS when write is true and the device has ro_compat features
 * that we do not know; with -EUCLEAN on damage after telling the visitor
 * (damage may be NULL); a visitor that returns true from damage() wants to go
 * on (check, dump): the load is done then, but an activation will be refused.
 */
struct metadata_visitor {
	int (*entry)(void *context, u32 slot, const struct larder_entry *entry);
	int (*intent)(void *context, u64 page, u8 intent, u64 slots);	/* slots: as intent_slots */
	int (*hint)(void *context, u32 slot, u32 hint);	/* from the journal; may be NULL */
	bool (*damage)(void *context, u64 unit, const char *what);
	void *context;
};

struct metadata_op *metadata_load_begin(struct metadata *md, const struct metadata_visitor *visitor,
					bool write);

/*
 * After load (or format): applies the journal to the table and starts a new
 * epoch, durable when done.  From then on commits may run.  origin_sectors,
 * mode (enum cache_mode) and policy are recorded in the superblock, who too
 * unless it is NULL.  Needs a load with write = true.  Refused with -EUCLEAN
 * after damage, with -EFBIG when the origin is empty or has too many blocks.
 */
struct metadata_op *metadata_activate_begin(struct metadata *md, u64 origin_sectors, u8 mode,
					    const char *policy,
					    const struct metadata_identity *who);

/*
 * Marks an orderly stop (LARDER_SUPER_CLEAN).  All that should be kept has been
 * committed before.  From begin on, even when it fails, commits, checkpoints
 * and extensions end with -ESHUTDOWN; another activation, without a load, or
 * another stop is possible.
 */
struct metadata_op *metadata_stop_begin(struct metadata *md);

/*
 * Commit: metadata_commit_begin(), metadata_commit_add() for each record, then
 * metadata_commit_run() with the devices whose data must be durable before
 * (I1, I4), then step.  With no record and flush_devices == 0 there is
 * nothing to do.  When it fails, none of its records may be taken for durable
 * nor for absent, and the caller adds them again to the next commit: that one
 * overwrites the same journal blocks.
 *
 * Records that may be dropped (fills, hints) are refused while the journal is
 * three quarters full.  metadata_commit_room() tells how many records fit now:
 * 0 asks for a checkpoint first, which never depends on a commit.
 */
void metadata_commit_begin(struct metadata *md);
u32 metadata_commit_room(const struct metadata *md, bool optional);
bool metadata_commit_add(struct metadata *md, const struct larder_record *record);
struct metadata_op *metadata_commit_run(struct metadata *md, unsigned int flush_devices);
u32 metadata_commit_count(const struct metadata *md);
const struct larder_record *metadata_commit_record(const struct metadata *md, u32 i);

/*
 * Checkpoint: moves the oldest part of the journal into the table.  Wanted when
 * the journal is half full, or a checkpoint is under way.
 */
bool metadata_checkpoint_wanted(const struct metadata *md);
struct metadata_op *metadata_checkpoint_begin(struct metadata *md);

/*
 * Slots may be named by a record only below this (I6: the high-water mark);
 * extend formats up to 256 further pages.
 */
u64 metadata_formatted_slots(const struct metadata *md);
struct metadata_op *metadata_extend_begin(struct metadata *md);

/* Both superblocks again, as they are: fails when the device does not take them any more. */
struct metadata_op *metadata_rewrite_begin(struct metadata *md);

/*
 * Records new sizes: more slots, another origin, a metadata device of another
 * size; all else of the geometry must be as it is (geometry_grow()).  All
 * records must fit both the old and the new size of the origin already.
 * -EFBIG: too large.
 */
struct metadata_op *metadata_resize_begin(struct metadata *md, const struct geometry *g);

/*
 * Sets or takes back LARDER_RO_COMPAT_TUPLES, in both superblocks; durable when
 * done.  Fails: perhaps in one of them, so neither what the mark promises nor
 * what it forbids may be broken before it has succeeded.
 */
struct metadata_op *metadata_mark_tuples_begin(struct metadata *md, bool marked);
bool metadata_tuples_marked(const struct metadata *md);

/* For status: units in use of the whole device (table, journal, fixed parts), and its size. */
void metadata_usage(const struct metadata *md, u64 *used_units, u64 *total_units);
u64 metadata_journal_used(const struct metadata *md);

/* Shared with the tools and tests (metadata-units.c). */
void unit_seal(void *unit, u64 magic, u64 number, const u8 uuid[LARDER_UUID_SIZE]);
/* NULL when the unit verifies, else what is wrong with it. */
const char *unit_verify(const void *unit, u64 magic, u64 number, const u8 uuid[LARDER_UUID_SIZE]);

#endif
