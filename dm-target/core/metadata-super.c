// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two superblocks: finding the one that counts, recognising what is not
 * ours, and writing the next.
 *
 * DOC: a superblock write that fails
 *
 * buffers.super is always one that is known to be durable; the journal's tail,
 * the epoch and the formatted pages are read from it and from nowhere else, so
 * a failed write changes nothing in RAM.  The failed one may be durable all
 * the same.  That is harmless: whatever a superblock promises (pages are
 * blank, the table has these records) was made durable before it was written
 * and stays true, and the old state, which RAM goes on with, is the more
 * careful one: it keeps more of the journal and names fewer pages.
 *
 * generation_tried remembers every number that was ever given out, so none is
 * used twice.  The next try takes a higher number of the same parity, thus the
 * same unit: the durable superblock in the other unit is never overwritten
 * before a newer one is known to be durable.
 */
#include "metadata-internal.h"

static const struct foreign_magic {
	u16 offset;
	u8 length;
	u8 bytes[10];
	const char *name;
} foreign_magics[] = {
	/* the device mapper's own */
	{ 32, 8, { 0x03, 0xc4, 0x18, 0x00 }, "dm-cache" },	/* 06142003 */
	{ 32, 8, { 0xba, 0x52, 0x9c, 0x01 }, "dm-thin" },	/* 27022010 */
	{ 32, 8, { 0x7b, 0x07, 0xc1, 0x7e }, "dm-era" },	/* 2126579579 */
	{ 32, 8, { 0x64, 0x7f, 0xf2, 0x8a }, "dm-clone" },	/* 0x8af27f64 */
	{ 0, 4, { 0x21, 0x93, 0x48, 0x23 }, "dm-writecache" },
	{ 0, 4, "SnAp", "dm-snapshot" },
	{ 0, 8, "integrt", "dm-integrity" },
	{ 0, 6, { 'L', 'U', 'K', 'S', 0xba, 0xbe }, "LUKS" },
	{ 0, 8, "LABELONE", "LVM2 physical volume" },
	{ 512, 8, "LABELONE", "LVM2 physical volume" },
	{ 1024, 8, "LABELONE", "LVM2 physical volume" },
	{ 1536, 8, "LABELONE", "LVM2 physical volume" },
	/* others' */
	{ 4096 + 24, 10, { 0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65 }, "bcache" },
	{ 1080, 2, { 0x53, 0xef }, "ext2/ext3/ext4" },
	{ 0, 4, "XFSB", "XFS" },
	{ 4086, 10, "SWAPSPACE2", "swap" },
	{ 0, 4, { 0xfc, 0x4e, 0x2b, 0xa9 }, "Linux RAID" },
	{ 512, 8, "EFI PART", "GPT partition table" },
	{ 510, 2, { 0x55, 0xaa }, "MBR partition table" },
};

/* What the first two units, of which the first is not zero, look like. */
const char *foreign_name(const void *units)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(foreign_magics); i++) {
		const struct foreign_magic *f = &foreign_magics[i];

		if (!memcmp((const u8 *)units + f->offset, f->bytes, f->length))
			return f->name;
	}
	return NULL;
}

/* Judges the numbers that change; the constant ones are geometry_from_super()'s. */
bool super_state_fits(const struct larder_superblock *sb, const struct geometry *g)
{
	u64 tail = le64_to_cpu(sb->tail_seq);

	return le64_to_cpu(sb->formatted_pages) <= g->table_pages &&
	       le64_to_cpu(sb->epoch) < COUNTER_MAX && tail && tail < COUNTER_MAX;
}

/* A copy of the durable superblock, to be changed and then written. */
struct larder_superblock *super_edit(struct metadata *md)
{
	md->buffers.next = md->buffers.super;
	return &md->buffers.next;
}

int super_write(struct metadata *md, struct metadata_io *io)
{
	struct larder_superblock *next = &md->buffers.next;
	u64 generation = md->generation_tried + 1;

	if (((generation ^ metadata_generation(md)) & 1) == 0)
		generation++;
	md->generation_tried = generation;
	next->generation = cpu_to_le64(generation);
	unit_seal(next, LARDER_MAGIC_SUPER, generation & 1, next->header.uuid);
	return metadata_transfer(io, METADATA_WRITE_FUA, generation & 1, 1, next);
}

void super_written(struct metadata *md)
{
	core_assert(le64_to_cpu(md->buffers.next.generation) > metadata_generation(md));
	md->buffers.super = md->buffers.next;
}
