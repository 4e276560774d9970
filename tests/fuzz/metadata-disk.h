/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A metadata device in memory that knows which of its units were written, and
 * the sound metadata that fuzz inputs start from.
 */
#ifndef METADATA_DISK_H
#define METADATA_DISK_H

#include "../../dm-target/core/metadata-internal.h"
#include "fuzz.h"

#define DISK_UNITS_MAX 112u

struct metadata_disk {
	u64 units;
	u8 (*unit)[LARDER_UNIT_SIZE];	/* room for DISK_UNITS_MAX */
	bool touched[DISK_UNITS_MAX];	/* written, or changed by an input */
	bool read_only;			/* a write is a failed check */
	u64 nr_writes;
	u64 cut_at;			/* this write and all after it are lost with -EIO */
};

void disk_init(struct metadata_disk *disk, u64 units);
/* 0 or a negative errno; checks that what is asked for lies within the device. */
int disk_perform(struct metadata_disk *disk, const struct metadata_io *io);
/* Performs an operation to its end. */
int disk_run(struct metadata_disk *disk, struct metadata_op *op);

/* Sound metadata of different shapes and histories, made once, the same in every run. */
#define NR_BASES 6u

struct base {
	struct metadata_disk disk;
	struct geometry geometry;
	u8 uuid[LARDER_UUID_SIZE];
	u64 epoch;
	u64 generation;		/* of the superblock that counts */
	u64 tail_seq;
	u32 tail_crc;
	u64 head_seq;
	u64 last_commit;	/* its first block; head_seq when the journal is empty */
	u64 formatted_pages;
};

const struct base *base_get(u32 number);

/* A record that a cache of this kind could commit: no block is in two slots by it. */
struct larder_record base_record(u64 *random, const struct geometry *g, u64 slots);

#endif
