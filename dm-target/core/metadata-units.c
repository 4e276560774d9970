// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 4 KiB units: sealing them, and judging those that were read.  All that
 * comes from a device passes through here before anything else looks at it.
 */
#include "metadata-internal.h"

#define CRC_SEED (~0u)

/* As if the crc field were zero. */
static u32 unit_crc(const void *unit)
{
	const size_t at = offsetof(struct larder_unit_header, crc);
	const size_t after = at + sizeof(__le32);
	const __le32 zero = 0;
	u32 crc;

	crc = crc32c(CRC_SEED, unit, at);
	crc = crc32c(crc, &zero, sizeof(zero));
	return crc32c(crc, (const u8 *)unit + after, LARDER_UNIT_SIZE - after);
}

void unit_seal(void *unit, u64 magic, u64 number, const u8 uuid[LARDER_UUID_SIZE])
{
	struct larder_unit_header *header = unit;

	header->magic = cpu_to_le64(magic);
	header->reserved = 0;
	header->unit = cpu_to_le64(number);
	/* the uuid may be the unit's own */
	memmove(header->uuid, uuid, LARDER_UUID_SIZE);
	header->crc = cpu_to_le32(unit_crc(unit));
}

const char *unit_verify(const void *unit, u64 magic, u64 number, const u8 uuid[LARDER_UUID_SIZE])
{
	const struct larder_unit_header *header = unit;

	if (header->magic != cpu_to_le64(magic))
		return "wrong magic";
	if (header->crc != cpu_to_le32(unit_crc(unit)))
		return "wrong checksum";
	if (header->unit != cpu_to_le64(number))
		return "belongs to another place on the device";
	if (memcmp(header->uuid, uuid, LARDER_UUID_SIZE))
		return "belongs to another cache (uuid)";
	return NULL;
}

bool unit_is_zero(const void *unit)
{
	const u64 *word = unit;
	unsigned int i;

	for (i = 0; i < LARDER_UNIT_SIZE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* Ring position of a journal block. */
u64 journal_unit(const struct metadata *md, u64 sequence)
{
	const struct geometry *g = &md->geometry;

	return g->journal_start + sequence -
	       div_u64(sequence, g->journal_blocks) * g->journal_blocks;
}

/* How many of the nr blocks from sequence on lie one after another on the device. */
u32 journal_run(const struct metadata *md, u64 sequence, u32 nr)
{
	const struct geometry *g = &md->geometry;
	u64 to_end = g->journal_start + g->journal_blocks - journal_unit(md, sequence);

	return min_t(u64, nr, to_end);
}

const char *journal_block_verify(const struct metadata *md,
				 const struct larder_journal_block *block)
{
	return unit_verify(block, LARDER_MAGIC_JOURNAL,
			   journal_unit(md, le64_to_cpu(block->sequence)),
			   md->buffers.super.header.uuid);
}

/* Is this the journal's next block, after one with that checksum? */
bool journal_block_follows(const struct metadata *md, const struct larder_journal_block *block,
			   u64 sequence, u32 prev_crc)
{
	return block->sequence == cpu_to_le64(sequence) &&
	       block->epoch == md->buffers.super.epoch &&
	       block->prev_crc == cpu_to_le32(prev_crc) && !journal_block_verify(md, block);
}

static const char *intent_judge(u64 intent, u64 slots)
{
	if (intent > LARDER_INTENT_WRITE_THROUGH)
		return "unknown intent";
	if (slots >> (LARDER_ENTRIES_PER_PAGE / LARDER_SLOTS_PER_INTENT_BIT))
		return "intent for slots beyond its page";
	return NULL;
}

const char *page_verify(const struct metadata *md, const struct larder_page *page, u64 number)
{
	const char *what = unit_verify(page, LARDER_MAGIC_PAGE, md->geometry.table_start + number,
				       md->buffers.super.header.uuid);

	if (what)
		return what;
	if (le32_to_cpu(page->page) != number)
		return "belongs to another place in the table";
	return intent_judge(page->intent, le64_to_cpu(page->intent_slots));
}

static const char *mapping_judge(const struct geometry *g, u64 flags, u64 valid, u64 dirty)
{
	if (flags & ~(LARDER_BLOCK_MASK | LARDER_ENTRY_KNOWN))
		return "entry with unknown flags";
	if (!(flags & LARDER_ENTRY_USED))
		return flags || valid || dirty ? "free slot that is not empty" : NULL;
	if (valid & ~geometry_all_grains(g))
		return "entry names grains beyond its block";
	if (dirty & ~valid)
		return "entry has dirty grains that are not valid";
	return NULL;
}

const char *entry_judge(const struct geometry *g, u64 slot, const struct larder_entry *entry)
{
	u64 flags = le64_to_cpu(entry->block_flags);

	if (slot >= g->nr_slots && (flags & LARDER_ENTRY_USED))
		return "entry of a slot that does not exist";
	return mapping_judge(g, flags, le64_to_cpu(entry->valid), le64_to_cpu(entry->dirty));
}

/* Table page that a record changes. */
u64 record_page(const struct larder_record *record)
{
	u32 index = le32_to_cpu(record->index);

	return record->type == LARDER_RECORD_INTENT ? index : geometry_table_page(index);
}

const char *record_judge(const struct metadata *md, const struct larder_record *record)
{
	const struct geometry *g = &md->geometry;
	u64 flags = le64_to_cpu(record->block_flags);

	if (record->type < LARDER_RECORD_ENTRY || record->type > LARDER_RECORD_HINT)
		return "record of an unknown type";
	if (record->type != LARDER_RECORD_INTENT && le32_to_cpu(record->index) >= g->nr_slots)
		return "record of a slot that does not exist";
	if (record_page(record) >= super_formatted(md))
		return "record of a table page that was not formatted";
	if (record->type == LARDER_RECORD_INTENT)
		return intent_judge(flags, le64_to_cpu(record->valid));
	if (record->type == LARDER_RECORD_HINT)
		return flags > U32_MAX ? "record of a hint that is too large" : NULL;
	return mapping_judge(g, flags, le64_to_cpu(record->valid), le64_to_cpu(record->dirty));
}

/* The hint stays with its block; a slot that changes hands starts without. */
void entry_from_record(struct larder_entry *entry, const struct larder_record *record)
{
	if (entry->block_flags != record->block_flags)
		entry->hint = 0;
	entry->block_flags = record->block_flags;
	entry->valid = record->valid;
	entry->dirty = record->dirty;
}
