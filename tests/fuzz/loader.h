/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads metadata as the module does when it opens a cache (dm-target/open.c),
 * and holds the core to what metadata.h promises about all that it shows.
 */
#ifndef LOADER_H
#define LOADER_H

#include "../../dm-target/core/slotmap.h"
#include "metadata-disk.h"

#define LOADER_SLOTS_MAX (DISK_UNITS_MAX * LARDER_ENTRIES_PER_PAGE)

struct shown_slot {
	u64 block_flags, valid, dirty;
};

struct shown_intent {
	u64 slots;
	u64 kind;
};

struct shown {
	struct shown_slot slot[LOADER_SLOTS_MAX];
	struct shown_intent intent[DISK_UNITS_MAX];
};

struct loader {
	struct metadata *md;
	struct metadata_disk *disk;
	struct geometry geometry;	/* the map's, as the module has it */
	struct slotmap map;
	void *map_memory;
	struct shown shown;		/* what is there after the journal */
	u64 damages;
	bool go_on;			/* after damage */
	bool into_map;
	bool beyond;			/* some block lies beyond the origin, if only for a while */
};

struct loader *loader_new(void);

/* A fresh core looks at the superblocks. */
enum metadata_found loader_probe(struct loader *l, struct metadata_disk *disk);
/* Reads all; 0 or a negative errno.  With write = false the device stays as it is. */
int loader_load(struct loader *l, bool write, bool go_on);
/*
 * As the module: probe, load into a slot map, activate.  origin_sectors: of the
 * origin device; 0: as the superblock has it.  0 or a negative errno.
 */
int loader_open(struct loader *l, struct metadata_disk *disk, u64 origin_sectors);
void loader_close(struct loader *l);

void shown_check_equal(const struct shown *found, const struct shown *expected, const char *when);
/* What the record makes of it. */
void shown_apply(struct shown *shown, const struct larder_record *record);

/* Superblock counters so high that the next ones are refused: nobody ever gets there. */
bool counters_run_out(const struct metadata *md);

#endif
