// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replay: hands the journal's records to the visitor and finds its end.
 *
 * DOC: why the whole ring is read
 *
 * "The first invalid block is the end" would take a damaged block, or an old
 * superblock in place of a damaged newer one, for a shorter journal, and
 * silently return to an older state (I8).  The rest of the ring tells: what a
 * power cut can leave behind the end began, at the latest, at the end, since a
 * commit is only begun when the one before has completed; and a block is only
 * overwritten after the superblock that frees it is durable.
 */
#include "metadata-internal.h"

static u64 next_sequence(const struct metadata *md)
{
	return super_tail(md) + md->load.scanned;
}

int replay_next(struct metadata *md, struct metadata_io *io)
{
	struct metadata_load *load = &md->load;
	u32 left = md->geometry.journal_blocks - load->scanned;

	load->piece = journal_run(md, next_sequence(md), min(left, METADATA_IO_UNITS_MAX));
	return metadata_transfer(io, METADATA_READ, journal_unit(md, next_sequence(md)),
				 load->piece, md->buffers.large);
}

static int visit_record(struct metadata *md, const struct larder_record *record)
{
	const struct metadata_visitor *visitor = &md->load.visitor;
	u32 index = le32_to_cpu(record->index);
	struct larder_entry entry = { 0 };

	switch (record->type) {
	case LARDER_RECORD_ENTRY:
		entry_from_record(&entry, record);
		return visitor->entry(visitor->context, index, &entry);
	case LARDER_RECORD_INTENT:
		return visitor->intent(visitor->context, index, le64_to_cpu(record->block_flags),
				       le64_to_cpu(record->valid));
	case LARDER_RECORD_HINT:
		if (!visitor->hint)
			return 0;
		return visitor->hint(visitor->context, index, le64_to_cpu(record->block_flags));
	}
	return 0;
}

static int visit_records(struct metadata *md, const struct larder_journal_block *block)
{
	u64 unit = le64_to_cpu(block->header.unit);
	u32 i, nr = le16_to_cpu(block->nr_records);
	const char *what;
	int rc;

	if (!nr || nr > LARDER_RECORDS_PER_BLOCK)
		return load_damage(md, unit, "journal block with an impossible number of records");
	for (i = 0; i < nr; i++) {
		what = record_judge(md, &block->records[i]);
		rc = what ? load_damage(md, unit, what) : visit_record(md, &block->records[i]);
		if (rc)
			return rc;
	}
	return 0;
}

/* What a block behind the end proves; NULL: nothing. */
static const char *lost_before(const struct metadata *md, const struct larder_journal_block *block)
{
	u64 epoch = le64_to_cpu(block->epoch), own = le64_to_cpu(md->buffers.super.epoch);
	u64 sequence = le64_to_cpu(block->sequence);

	if (epoch < own || journal_block_verify(md, block))
		return NULL;
	if (epoch > own)
		return "journal is of a later epoch than the superblock: a superblock was lost";
	if (sequence >= super_tail(md) + md->geometry.journal_blocks)
		return "journal is ahead of the superblock: a superblock was lost";
	if (sequence > md->head_seq && sequence - block->commit_index > md->head_seq)
		return "journal goes on behind a block that is damaged";
	return NULL;
}

int replay_piece(struct metadata *md)
{
	struct metadata_load *load = &md->load;
	const struct larder_journal_block *block = (const void *)md->buffers.large;
	const char *what;
	int rc = 0;
	u32 i;

	for (i = 0; i < load->piece && !rc; i++, block++, load->scanned++) {
		if (!load->ended &&
		    journal_block_follows(md, block, next_sequence(md), md->head_crc)) {
			md->head_seq++;
			md->head_crc = le32_to_cpu(block->header.crc);
			rc = visit_records(md, block);
			continue;
		}
		load->ended = true;
		what = lost_before(md, block);
		if (what)
			rc = load_damage(md, journal_unit(md, next_sequence(md)), what);
	}
	return rc;
}

/*
 * The end is read once more: a block that came with a wrong bit, or from another
 * place, would end the journal too early, and nothing behind it need tell.
 */
int replay_end(struct metadata *md, struct metadata_io *io)
{
	return metadata_transfer(io, METADATA_READ, journal_unit(md, md->head_seq), 1,
				 md->buffers.large);
}

int replay_end_judge(const struct metadata *md)
{
	const struct larder_journal_block *block = (const void *)md->buffers.large;

	return journal_block_follows(md, block, md->head_seq, md->head_crc) ? -EIO : METADATA_DONE;
}
