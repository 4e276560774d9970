/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conversion of a cache from and to dm-cache, in place.
 *
 * DOC: how it survives a power cut
 *
 * The new metadata is made as a whole on another device or file, the staging.
 * When all of it is durable there, one sector decides: the mark in unit 0 of
 * the metadata device.  Before it the old metadata is complete and counts;
 * behind it the device is neither's (no target starts it), the staging is the
 * truth, and copying it into place can be done any number of times.  Unit 0 of
 * the new metadata, in the place of the mark, ends it.
 *
 *	unit 0		what counts
 *	old		the old metadata: the conversion begins anew
 *	mark		the staging that the mark names: copied again
 *	new		the new metadata: the staging is waste
 *
 * Data is only ever copied to where neither format believes anything (grains
 * that are not valid) or where the same is already to be seen (dirty grains, to
 * the origin).
 */
#ifndef LARDER_CONVERT_H
#define LARDER_CONVERT_H

#include "convert-disk.h"
#include "lvm.h"
#include "restore.h"
#include "stock-read.h"
#include "writeback.h"

enum convert_direction {
	CONVERT_NONE,
	CONVERT_FROM_STOCK,
	CONVERT_TO_STOCK,
};

struct lvm_volume;

struct convert {
	/* the command line */
	bool from, to;
	const char *metadata_path, *cache_path, *origin_path, *staging_path;
	u64 origin_sectors;
	const char *volume;		/* VG/LV, which lv is then */
	struct lv_name lv;
	const char *restore_program;	/* cache_restore */
	const char *metadata_version;
	bool assume_yes, dry_run, force, quiet, json;
	char *staging_absolute;		/* the same, allocated */

	enum convert_direction direction;
	u64 metadata_sectors;		/* != 0: of a cachevol, the cache's data follows */
	struct lvm_volume *lvm;

	struct disk metadata, cache, origin;
	struct disk staging;
	bool staging_made;		/* by us, in this run */
	u8 uuid[LARDER_UUID_SIZE];	/* of this conversion */
	bool decided;			/* the mark may be there */
	u64 image_units;		/* of the new metadata, from unit 0 */

	struct stock stock;
	struct stock_info info;
	struct restore restore;
	struct image image;

	/* for the report */
	bool resumed, already;
	u64 chunks_kept, chunks_dirty, chunks_completed, chunks_left;
	u64 sectors_written_back, sectors_completed;
};

/* convert-staging.c; each returns 0, or an exit code after a message. */
enum mark_found { MARK_NONE, MARK_OTHER, MARK_OURS };

/* Opens the staging if there is one; makes it, if units is not 0, with room for that many. */
int staging_open(struct convert *c, u64 units);
/* Is the metadata in between, and is that our staging's? */
int staging_judge(struct convert *c, const void *unit0, enum mark_found *found);
int staging_begin(struct convert *c);
struct target staging_target(struct convert *c);
int staging_seal(struct convert *c);
int staging_apply(struct convert *c);
int staging_end(struct convert *c);

/* convert-from.c, convert-to.c: up to a sealed staging */
int convert_from_stock(struct convert *c);
int convert_to_stock(struct convert *c);
/* stock-write.c: XML through cache_restore, judged, into the staging */
struct kept_chunk;
int stock_write(struct convert *c, const struct kept_chunk *kept, u64 nr_kept);

struct kept_chunk {
	u64 cache, origin;
	u32 hint;
	bool dirty;
};

/* convert-lvm.c: volume to paths, with its components active and writable */
int lvm_prepare(struct convert *c);
/* After lvm_prepare(), whatever happened; done: the staging is waste. */
int lvm_finish(struct convert *c, bool done);

/* A signal asked for an end; only before the mark. */
bool convert_interrupted(void);
int tell_interrupted(void);

#endif
