/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the metadata*.c files share: the one struct with all state and buffers,
 * and the helpers between them.  Nobody else includes this but tests, and the
 * tools that restore and repair, for the judges of single units.
 */
#ifndef CORE_METADATA_INTERNAL_H
#define CORE_METADATA_INTERNAL_H

#include "metadata.h"

#define SEGMENT_BLOCKS	32u	/* journal blocks that one checkpoint moves */
#define SEGMENT_RECORDS	(SEGMENT_BLOCKS * LARDER_RECORDS_PER_BLOCK)
#define EXTEND_PAGES	METADATA_IO_UNITS_MAX
#define COMMIT_RECORDS_MAX (COMMIT_BLOCKS_MAX * LARDER_RECORDS_PER_BLOCK)

/* Counters that only ever go up by one start far below the end of u64. */
#define COUNTER_MAX	(1ull << 62)

/*
 * A running operation.  run() is called for the first time and whenever an
 * effect has succeeded; it hands back the next effect (METADATA_IO), or ends.
 * An effect that failed ends the operation at once, run() never sees it.
 */
struct metadata_op {
	struct metadata *md;
	int (*run)(struct metadata *md, struct metadata_io *io);
	int state;		/* the operation's own enum */
};

/* Page aligned, as each member is a multiple of 4 KiB. */
struct metadata_buffers {
	u8 large[METADATA_IO_UNITS_MAX][LARDER_UNIT_SIZE];	/* probe, load, extension */
	struct larder_superblock super;		/* durable, or just read */
	struct larder_superblock next;		/* being written */
	struct larder_journal_block commit[COMMIT_BLOCKS_MAX];
	struct larder_journal_block segment[SEGMENT_BLOCKS];
	struct larder_double_header header;	/* the images must follow it */
	struct larder_page images[LARDER_DOUBLE_PAGES_MAX];
};

struct metadata_load {
	struct metadata_visitor visitor;
	bool write;
	bool damaged;		/* and the visitor wanted to go on */
	bool ended;		/* the end of the journal has been found */
	u32 image;		/* next image to be copied home */
	u32 piece;		/* units in the buffer */
	u64 page;		/* next table page */
	u32 scanned;		/* journal blocks looked at, from the tail */
};

struct metadata_checkpoint {
	int state;
	bool homeless;		/* the last batch is perhaps only in the double-write area */
	u32 nr_blocks;		/* of the segment */
	u32 nr_read;
	u32 nr_keys;
	u32 first_key;		/* of this batch */
	u32 end_key;
	u32 nr_pages;
	u32 done_pages;		/* read, or written home */
	u64 page[LARDER_DOUBLE_PAGES_MAX];
	u64 key[SEGMENT_RECORDS];	/* page << 16 | place in the segment */
};

struct metadata_commit {
	u32 nr_records;
	u32 nr_blocks;
	u32 nr_written;
	unsigned int flush_devices;
	u8 attempt;
};

struct metadata_activation {
	u64 origin_sectors;
	u8 mode;
	char policy[32];
	struct metadata_identity who;
};

struct metadata {
	struct metadata_buffers buffers;	/* first: page aligned */

	struct metadata_op op;		/* all but commits */
	struct metadata_op commit_op;
	u64 units;			/* size of the device */

	enum metadata_found found;
	const char *foreign;
	struct geometry geometry;
	u64 generation_tried;		/* highest ever written or found */

	bool loaded;			/* the journal's ends are known */
	bool repaired;			/* torn pages have been put right on the device */
	bool active;			/* this epoch is ours: commits may run */
	bool activated;			/* has been active since the load */
	u64 head_seq;			/* next journal block to be written */
	u32 head_crc;			/* of the block before */
	u64 nr_batches;

	struct metadata_load load;
	struct metadata_checkpoint checkpoint;
	struct metadata_commit commit;
	struct metadata_activation activation;
	struct geometry resized;	/* being written */
	bool marking_tuples;		/* as the mark is to be */
};

static_assert(sizeof(struct metadata_buffers) % LARDER_UNIT_SIZE == 0, "page aligned buffers");
static_assert(offsetof(struct metadata_buffers, images) ==
	      offsetof(struct metadata_buffers, header) + LARDER_UNIT_SIZE, "one write");

static inline int metadata_transfer(struct metadata_io *io, enum metadata_io_kind kind, u64 unit,
				    u32 nr_units, void *buffer)
{
	io->kind = kind;
	io->devices = DEVICE_METADATA;
	io->unit = unit;
	io->nr_units = nr_units;
	io->buffer = buffer;
	return METADATA_IO;
}

static inline int metadata_flush(struct metadata_io *io, unsigned int devices)
{
	io->kind = METADATA_FLUSH;
	io->devices = devices;
	io->unit = 0;
	io->nr_units = 0;
	io->buffer = NULL;
	return METADATA_IO;
}

/* metadata.c */
struct metadata_op *metadata_start(struct metadata *md, struct metadata_op *op,
				   int (*run)(struct metadata *md, struct metadata_io *io));
struct metadata_op *metadata_refuse(struct metadata *md, struct metadata_op *op, int error);

/* metadata-units.c */
bool unit_is_zero(const void *unit);
const char *journal_block_verify(const struct metadata *md,
				 const struct larder_journal_block *block);
bool journal_block_follows(const struct metadata *md, const struct larder_journal_block *block,
			   u64 sequence, u32 prev_crc);
const char *page_verify(const struct metadata *md, const struct larder_page *page, u64 number);
const char *entry_judge(const struct geometry *g, u64 slot, const struct larder_entry *entry);
const char *record_judge(const struct metadata *md, const struct larder_record *record);
void entry_from_record(struct larder_entry *entry, const struct larder_record *record);
u64 record_page(const struct larder_record *record);
u64 journal_unit(const struct metadata *md, u64 sequence);
u32 journal_run(const struct metadata *md, u64 sequence, u32 nr);

/* metadata-super.c */
const char *foreign_name(const void *units);
bool super_state_fits(const struct larder_superblock *sb, const struct geometry *g);
struct larder_superblock *super_edit(struct metadata *md);
int super_write(struct metadata *md, struct metadata_io *io);
void super_written(struct metadata *md);

static inline u64 super_tail(const struct metadata *md)
{
	return le64_to_cpu(md->buffers.super.tail_seq);
}

static inline u64 super_formatted(const struct metadata *md)
{
	return le64_to_cpu(md->buffers.super.formatted_pages);
}

static inline bool super_read_only(const struct metadata *md)
{
	return le64_to_cpu(md->buffers.super.ro_compat) & ~LARDER_RO_COMPAT_SUPPORTED;
}

/* metadata-replay.c */
int replay_next(struct metadata *md, struct metadata_io *io);
int replay_piece(struct metadata *md);
int replay_end(struct metadata *md, struct metadata_io *io);
int replay_end_judge(const struct metadata *md);
int load_damage(struct metadata *md, u64 unit, const char *what);

/* metadata-checkpoint.c: moves one segment; also a part of the activation */
void checkpoint_start(struct metadata *md);
int checkpoint_run(struct metadata *md, struct metadata_io *io);

#endif
