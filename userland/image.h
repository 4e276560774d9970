/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that a metadata device says, in memory: what is on it, the state of
 * every slot after the journal, and every damage on the way.
 */
#ifndef LARDER_IMAGE_H
#define LARDER_IMAGE_H

#include "device.h"

#define DAMAGES_KEPT 1000u	/* what is beyond is only counted */

enum severity {
	SEVERITY_NOTE,		/* worth knowing, and as it should be after a power cut */
	SEVERITY_SPARE,		/* damage to something that is there twice: no activation suffers */
	SEVERITY_DAMAGE,
};

struct damage {
	u64 unit;
	enum severity severity;
	bool unreadable;
	char what[200];
};

struct slot_state {
	u64 block_flags;	/* as in struct larder_entry */
	u64 valid;
	u64 dirty;
	u32 hint;
};

struct page_intent {
	u64 slots;		/* as intent_slots in struct larder_page */
	u8 kind;		/* LARDER_INTENT_* */
};

struct image_totals {
	u64 slots_used;
	u64 slots_dirty;
	u64 grains_valid;
	u64 grains_dirty;
	u64 dirty_sectors;
	u64 intent_pages;
	u64 grains_made_dirty;	/* clean, but dirty after the next activation (write-back intent) */
	u64 grains_dropped;	/* clean, but dropped by it (write-through intent) */
};

struct image {
	struct device device;
	struct metadata *md;
	enum metadata_found found;
	const char *foreign;		/* see metadata_foreign() */
	struct geometry geometry;	/* METADATA_OURS only */
	u64 nr_slots;			/* of the formatted pages */
	u64 nr_pages;
	struct slot_state *slots;
	struct page_intent *intents;
	struct image_totals totals;
	struct damage damages[DAMAGES_KEPT];
	u64 nr_damages[SEVERITY_DAMAGE + 1];
	u32 nr_kept;
};

/* Opens and looks at the superblocks.  0, or an exit code after a message. */
int image_open(struct image *image, const char *path);
/* METADATA_OURS: reads and judges everything.  0, or an exit code after a message. */
int image_load(struct image *image);
void image_close(struct image *image);
/* Room for nr_slots and nr_pages.  0, or EXIT_NO_MEMORY after a message. */
int image_reserve(struct image *image);

/* Zeroed memory that costs nothing before it is touched; NULL when there is none. */
void *reserve(u64 nr, size_t size);
void release(void *p, u64 nr, size_t size);

/* In words, what is there instead of a cache of ours; NULL when it is one. */
const char *image_not_ours(const struct image *image);
/* EXIT_OK, EXIT_DAMAGED or EXIT_NOT_OURS, from what was found and all damages. */
int image_verdict(const struct image *image);

static inline bool slot_used(const struct slot_state *slot)
{
	return slot->block_flags & LARDER_ENTRY_USED;
}

static inline u64 slot_state_block(const struct slot_state *slot)
{
	return slot->block_flags & LARDER_BLOCK_MASK;
}

/* The slot's state as the next activation will see it, with the intents worked in. */
struct slot_state image_after_activation(const struct image *image, u64 slot);

const char *mode_name(u8 last_mode);
/* As printable text; returns what it was given for room. */
char *policy_text(const struct larder_superblock *sb, char text[33]);
char *uuid_text(const u8 uuid[LARDER_UUID_SIZE], char text[37]);

/* image-judge.c: what the metadata core does not judge. */
void image_damage(struct image *image, enum severity severity, u64 unit, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void judge_superblocks(struct image *image);	/* METADATA_OURS */
void judge_unusable(struct image *image);	/* anything else */
void judge_double_write(struct image *image);
int judge_slots(struct image *image);

/* Reads one unit into a page aligned buffer, zeros if that fails; false beyond the end. */
bool image_read_unit(struct image *image, u64 unit, void *buffer);

#endif
