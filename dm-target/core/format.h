/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * On-disk format of the metadata device.  This header is the specification.
 *
 * Everything is little endian and lives in 4 KiB units, numbered from the
 * start of the device.  Every unit that we write begins with the same 64 byte
 * header: magic, CRC32C, its own unit number, the cache's uuid and a
 * generation whose meaning depends on the kind.  A unit whose header does not
 * fit is never believed.
 *
 *	unit 0		superblock A
 *	unit 1		superblock B
 *	dw_start	double-write area: 1 header + dw_pages page images
 *	journal_start	journal: a ring of journal_blocks units
 *	table_start	slot table: table_pages pages of 126 entries
 *
 * Superblocks.  Written in turn, always with FUA, the generation counting up:
 * even generations to unit 0, odd ones to unit 1; the valid one with the
 * higher generation and with the uuid of unit 0 counts.  All fields lie in
 * the first 512 bytes and the rest is zero, so that a torn write leaves the
 * old or the new one.  A device is blank when unit 0 is all zero, whatever
 * follows (LVM wipes only the first 4 KiB).  A first format writes unit 1
 * (generation 1), flushes, then unit 0 (generation 2).
 *
 * Journal.  Block number n (from 1) lives at journal_start + n %
 * journal_blocks.  A block is valid when uuid, CRC, unit and sequence number
 * fit, its epoch is that of the superblock, and prev_crc is the CRC of block
 * n - 1 (for n == tail_seq: the superblock's tail_crc).  The journal ends
 * before the first block that is not valid.  Each activation ends the journal
 * of the one before: it is applied to the table, then one superblock write
 * starts the next epoch with an empty journal.  Records are absolute (the last
 * one for a slot or page wins), so applying them twice changes nothing.
 *
 * Beyond the journal's end there can be blocks of the one commit that was being
 * written, but nothing newer.  A block of a commit that began after the end
 * (sequence - commit_index), of a later epoch, or one that is a whole ring
 * ahead of tail_seq proves that a completed block or superblock has been lost:
 * that is damage, and not just an older state.
 *
 * Double-write area.  Table pages reach their home only through it: header
 * and images are written and flushed, then the pages at home, then a flush.
 * The header carries every image's CRC, so what is torn is recognised and
 * ignored; an image that fits is always copied home again by recovery, which
 * is harmless as no page is written at home in any other way after it has been
 * formatted (superblock field formatted_pages), and a batch overwrites the one
 * before only when that is durable at home.
 *
 * Slot table.  Pages from formatted_pages on were never written; all their
 * slots are free.  Below it a page that does not verify is damage.
 *
 * Resizing.  The table grows behind its end, as far as the device goes; nothing
 * else moves, so that one superblock write with more nr_slots and table_pages
 * is all: what was the table's short last page has all its entries zero behind
 * the old end, and pages behind it are beyond formatted_pages.  origin_sectors
 * changes by the same write, and only when no record names grains beyond the
 * smaller size: a grain that is valid then is valid as a whole.
 *
 * A page's intent says what a crash makes of the clean grains of some of its
 * slots (invariant I3): under LARDER_INTENT_WRITE_BACK they count as dirty,
 * under LARDER_INTENT_WRITE_THROUGH they are dropped, as the origin is right.
 * Which slots: bit n of the mask stands for slots 2n and 2n + 1 of the page.
 *
 * Tuples.  A cache device that keeps something beside each sector, but does not
 * know what it is, can carry protection information.  LARDER_RO_COMPAT_TUPLES
 * says that all that records name has been written with its tuple.  It is set
 * only while nothing is cached; before anything is written without, it is gone
 * from both superblocks, so that no damage to one of them brings it back.
 */
#ifndef CORE_FORMAT_H
#define CORE_FORMAT_H

#include "env.h"

#define LARDER_UNIT_SIZE	4096u
#define LARDER_UNIT_SECTORS	8u
#define LARDER_UUID_SIZE	16
#define LARDER_FORMAT_VERSION	1

/* Magics are readable in a hex dump; each is a little-endian u64. */
#define LARDER_MAGIC_SUPER	0x726564726c2d6d64ull	/* "dm-lrder" */
#define LARDER_MAGIC_JOURNAL	0x6c6e726a2d6d7264ull	/* "drm-jrnl" */
#define LARDER_MAGIC_PAGE	0x656761702d6d7264ull	/* "drm-page" */
#define LARDER_MAGIC_DOUBLE	0x6c62756f642d7264ull	/* "dr-doubl" */

/* First 40 bytes of every unit; the rest of the 64 differs by kind. */
struct larder_unit_header {
	__le64 magic;
	__le32 crc;		/* CRC32C of the 4096 bytes with this field zero, seed ~0 */
	__le32 reserved;	/* zero */
	__le64 unit;		/* own number: catches misdirected writes */
	u8 uuid[LARDER_UUID_SIZE];
};

/*
 * Features.  An unknown bit in incompat refuses the device, in ro_compat
 * refuses to write it, in compat means nothing.  The reserved bits are fixed
 * now so that they need no new format later.
 */
#define LARDER_COMPAT_HINTS		(1ull << 0)	/* entries carry policy hints */
#define LARDER_COMPAT_POLICY_BLOB	(1ull << 1)	/* reserved: saved policy state */
#define LARDER_RO_COMPAT_QUARANTINE	(1ull << 0)	/* reserved: list of unreadable ranges */
#define LARDER_RO_COMPAT_TUPLES		(1ull << 1)	/* see above: the cache device has them */
#define LARDER_INCOMPAT_PINS		(1ull << 0)	/* reserved: pinned entries */
#define LARDER_INCOMPAT_PI_AREA		(1ull << 1)	/* reserved: PI side area */
#define LARDER_INCOMPAT_ZERO_GRAINS	(1ull << 2)	/* reserved: dirty without valid */
#define LARDER_INCOMPAT_SUPPORTED	0ull
#define LARDER_RO_COMPAT_SUPPORTED	LARDER_RO_COMPAT_TUPLES
#define LARDER_COMPAT_SUPPORTED		LARDER_COMPAT_HINTS

#define LARDER_SUPER_CLEAN		(1u << 0)	/* stopped in order: no intents */
#define LARDER_SUPER_NEEDS_CHECK	(1u << 1)	/* reserved: set when metadata failed */

struct larder_superblock {
	struct larder_unit_header header;
	__le64 generation;		/* counts superblock writes */
	u8 reserved0[16];
	/* 64 */
	__le32 version;			/* LARDER_FORMAT_VERSION */
	__le32 flags;			/* LARDER_SUPER_* */
	__le64 compat;
	__le64 ro_compat;
	__le64 incompat;
	/* 96: geometry, fixed at format; a resize changes the four sizes and table_pages */
	__le32 chunk_sectors;		/* as in the table line: 8..2097152, times of 8 */
	__le32 block_sectors;		/* unit of mapping: chunk_sectors / 2^n, a multiple of 8 */
	__le32 grain_sectors;		/* unit of validity: power of two, 8.. */
	__le32 reserved1;
	__le64 nr_slots;		/* 1..2^32 - 2 */
	__le64 origin_sectors;		/* when last activated */
	__le64 cache_sectors;		/* when nr_slots was last set */
	__le64 metadata_units;		/* when formatted or last resized */
	/* 144: layout in units */
	__le64 dw_start;
	__le32 dw_pages;		/* images, the header not counted */
	__le32 journal_blocks;
	__le64 journal_start;
	__le64 table_start;
	__le64 table_pages;
	/* 184: state */
	__le64 formatted_pages;		/* table pages below are on disk */
	__le64 epoch;			/* of the journal; counts activations */
	__le64 tail_seq;		/* first journal block that is not in the table yet */
	__le32 tail_crc;		/* CRC field of block tail_seq - 1; 0 when there is none */
	u8 last_mode;			/* informational: enum cache_mode when activated, + 1 */
	u8 reserved2[3];
	/* 216: who the lower devices were: 64-bit hashes, 0 = unknown */
	__le64 metadata_identity;
	__le64 cache_identity;
	__le64 origin_identity;
	char last_policy[32];		/* informational, zero padded */
	u8 reserved3[240];		/* zero, to 512 */
	u8 zero[LARDER_UNIT_SIZE - 512];
};

#define LARDER_BLOCK_BITS	40
#define LARDER_BLOCK_MASK	((1ull << LARDER_BLOCK_BITS) - 1)

/* Entry flags: the upper 24 bits of block_flags. */
#define LARDER_ENTRY_USED	(1ull << 40)	/* the slot holds a block */
#define LARDER_ENTRY_PINNED	(1ull << 41)	/* reserved with LARDER_INCOMPAT_PINS */
#define LARDER_ENTRY_KNOWN	LARDER_ENTRY_USED

/* One slot.  All zero = free. */
struct larder_entry {
	__le64 block_flags;	/* origin block in the low 40 bits, LARDER_ENTRY_* above */
	__le64 valid;		/* bit g: grain g of the slot holds the block's data */
	__le64 dirty;		/* bit g: and the origin does not; a subset of valid */
	__le32 hint;		/* the policy's, opaque */
	__le32 spare;		/* zero */
};

#define LARDER_ENTRIES_PER_PAGE	126u

#define LARDER_INTENT_NONE		0
#define LARDER_INTENT_WRITE_BACK	1
#define LARDER_INTENT_WRITE_THROUGH	2
#define LARDER_SLOTS_PER_INTENT_BIT	2u

struct larder_page {
	struct larder_unit_header header;
	__le64 generation;	/* first journal sequence not in this page */
	__le32 page;		/* own number in the table */
	u8 intent;		/* LARDER_INTENT_* */
	u8 reserved[3];
	__le64 intent_slots;	/* bit n: it holds for slots 2n and 2n + 1 of this page */
	struct larder_entry entries[LARDER_ENTRIES_PER_PAGE];
};

enum larder_record_type {
	/* index = slot: its entry from now on; the hint stays with the same block */
	LARDER_RECORD_ENTRY = 1,
	/* index = page: block_flags = its intent, valid = intent_slots from now on */
	LARDER_RECORD_INTENT = 2,
	LARDER_RECORD_HINT = 3,		/* index = slot: block_flags = its hint from now on */
};

struct larder_record {
	__le32 index;
	u8 type;		/* enum larder_record_type; others refuse the device */
	u8 reserved[3];
	__le64 block_flags;
	__le64 valid;
	__le64 dirty;
};

#define LARDER_RECORDS_PER_BLOCK 126u

struct larder_journal_block {
	struct larder_unit_header header;
	__le64 epoch;
	__le64 sequence;
	__le32 prev_crc;	/* crc field of block sequence - 1 */
	__le16 nr_records;	/* 1..126; the rest of the unit is zero */
	u8 commit_index;	/* its place within its commit, from 0 */
	u8 attempt;		/* differs when a failed commit is written anew */
	struct larder_record records[LARDER_RECORDS_PER_BLOCK];
};

#define LARDER_DOUBLE_PAGES_MAX 64u

struct larder_double_image {
	__le64 page;		/* table page; the image follows the header in this order */
	__le32 crc;		/* its crc field */
	__le32 reserved;
};

struct larder_double_header {
	struct larder_unit_header header;
	__le64 generation;	/* counts batches within an epoch, informational */
	__le32 nr_images;	/* 0..dw_pages */
	u8 reserved[12];
	struct larder_double_image images[LARDER_DOUBLE_PAGES_MAX];
	u8 zero[LARDER_UNIT_SIZE - 64 - 16 * LARDER_DOUBLE_PAGES_MAX];
};

static_assert(sizeof(struct larder_unit_header) == 40, "unit header");
static_assert(sizeof(struct larder_superblock) == LARDER_UNIT_SIZE, "superblock");
static_assert(offsetof(struct larder_superblock, version) == 64, "superblock head");
static_assert(offsetof(struct larder_superblock, dw_start) == 144, "superblock layout");
static_assert(offsetof(struct larder_superblock, formatted_pages) == 184, "superblock state");
static_assert(offsetof(struct larder_superblock, zero) == 512, "superblock in one sector");
static_assert(sizeof(struct larder_entry) == 32, "entry");
static_assert(sizeof(struct larder_page) == LARDER_UNIT_SIZE, "table page");
static_assert(offsetof(struct larder_page, entries) == 64, "table page head");
static_assert(sizeof(struct larder_record) == 32, "record");
static_assert(sizeof(struct larder_journal_block) == LARDER_UNIT_SIZE, "journal block");
static_assert(offsetof(struct larder_journal_block, records) == 64, "journal block head");
static_assert(sizeof(struct larder_double_header) == LARDER_UNIT_SIZE, "double-write header");

#endif
