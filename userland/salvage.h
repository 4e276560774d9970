/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gets out of damaged metadata what can be relied upon, and says what cannot.
 */
#ifndef LARDER_SALVAGE_H
#define LARDER_SALVAGE_H

#include "build.h"

/* Stands in for superblocks that are gone; sectors, 0 = not given. */
struct salvage_options {
	bool wiped;		/* unit 0 was wiped or overwritten: superblock B counts */
	bool keep_uncertain;
	u64 chunk_sectors;
	u64 cache_sectors;
	u64 first_cache_sectors;	/* when the cache was made; 0: as now */
	u64 origin_sectors;
	u64 metadata_sectors;	/* when the cache was made; 0: as now */
};

struct salvage_losses {
	u64 units_unreadable;
	u64 superblocks;
	u64 pages;			/* of the table, without a copy */
	u64 slots_unknown;		/* in them, and not in the journal either */
	u64 journal_blocks;
	u64 slots_uncertain;		/* may have changed in those */
	u64 slots_uncertain_dirty;
	u64 slots_impossible;		/* what their entries say cannot be */
	u64 slots_doubled;		/* two slots with one block */
	u64 slots_doubled_dirty;
	u64 slots_beyond;		/* of the origin's end */
	u64 slots_beyond_dirty;
	u64 pages_intent_unknown;	/* clean grains count as dirty, or are dropped */
	bool clean_dropped;		/* ... are dropped, and some may have been dirty */
};

struct page_state {
	u64 generation;		/* first journal sequence that is not in it */
	u64 intent_sequence;	/* of the record with its intent; 0: none */
	bool intact;
};

struct salvage {
	struct salvage_options options;
	struct device device;
	struct metadata *md;		/* lends its judges */
	struct image image;		/* the result */
	struct larder_superblock super;
	struct salvage_losses losses;
	bool both_supers;
	bool super_known;
	struct page_state *pages;	/* all of the table's */
	u64 nr_pages;
	u64 *recorded;			/* by slot: sequence of its last record in the journal */
	u64 nr_recorded;
	/* the journal */
	u8 *ring;
	u64 ring_bytes;
	bool *ring_valid;
	bool *ring_unreadable;
	u64 epoch;
	u64 start;			/* where reading begins */
	u64 floor;			/* blocks before are in all pages that are intact */
	bool chain_known;
	u32 chain_crc;
	u64 hole;			/* the last block that is lost; 0: none */
	u64 next_sequence;		/* after the last one */
	u64 pages_named;		/* by records: they have been formatted */
	u64 generation_max;		/* of intact pages */
};

/* 0, or an exit code after a message. */
int salvage_open(struct salvage *s, const char *path);
int salvage_run(struct salvage *s);
void salvage_close(struct salvage *s);

/* What is missing from the result may have been dirty. */
bool salvage_may_lack_dirty(const struct salvage *s);

/* salvage-super.c */
int salvage_super(struct salvage *s, const char *path);
/* salvage-journal.c */
int salvage_read_journal(struct salvage *s);
void salvage_replay(struct salvage *s);
/* salvage-slots.c */
int salvage_judge_slots(struct salvage *s);

/* Units beyond the end of the device are zeros, too. */
void salvage_read(struct salvage *s, u64 unit, u32 nr_units, void *buffer);

static inline void salvage_tell(struct salvage *s, u64 unit, const char *what)
{
	image_damage(&s->image, SEVERITY_DAMAGE, unit, "%s", what);
}

#endif
