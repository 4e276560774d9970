// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commit: flushes the data, then appends records to the journal.
 *
 * A block's CRC covers the one before through prev_crc, so replay stops at the
 * first block of a commit that was torn.  A commit that failed leaves head_seq
 * where it was and is written anew over the same blocks; attempt makes each
 * try different from the last, so what an earlier one left behind never
 * continues a later one.
 */
#include "metadata-internal.h"

enum commit_state {
	COMMIT_FLUSH,
	COMMIT_WRITE,
};

void metadata_commit_begin(struct metadata *md)
{
	md->commit.nr_records = 0;
}

u32 metadata_commit_count(const struct metadata *md)
{
	return md->commit.nr_records;
}

const struct larder_record *metadata_commit_record(const struct metadata *md, u32 i)
{
	if (core_broken(i >= md->commit.nr_records))
		return NULL;
	return &md->buffers.commit[i / LARDER_RECORDS_PER_BLOCK]
			.records[i % LARDER_RECORDS_PER_BLOCK];
}

static u32 room(const struct metadata *md, bool optional)
{
	u32 limit = md->geometry.journal_blocks;
	u64 used = metadata_journal_used(md);
	u32 records;

	if (!md->active)
		return 0;
	/* the last quarter is for what must be written (I8) */
	if (optional)
		limit -= limit / 4;
	if (used >= limit)
		return 0;
	records = min_t(u64, limit - used, COMMIT_BLOCKS_MAX) * LARDER_RECORDS_PER_BLOCK;
	return records > md->commit.nr_records ? records - md->commit.nr_records : 0;
}

u32 metadata_commit_room(const struct metadata *md, bool optional)
{
	return core_unlikely(optional ? 10 : 100) ? 0 : room(md, optional);
}

bool metadata_commit_add(struct metadata *md, const struct larder_record *record)
{
	u32 i = md->commit.nr_records;
	struct larder_journal_block *block;

	if (!room(md, false))
		return false;
	/* what we write is judged as what we read, the high-water mark included (I6) */
	if (core_broken(record_judge(md, record)))
		return false;
	block = &md->buffers.commit[i / LARDER_RECORDS_PER_BLOCK];
	if (i % LARDER_RECORDS_PER_BLOCK == 0)
		memset(block, 0, sizeof(*block));
	block->records[i % LARDER_RECORDS_PER_BLOCK] = *record;
	md->commit.nr_records++;
	return true;
}

static void seal_blocks(struct metadata *md)
{
	u32 i, left = md->commit.nr_records, prev_crc = md->head_crc;

	for (i = 0; i < md->commit.nr_blocks; i++) {
		struct larder_journal_block *block = &md->buffers.commit[i];
		u32 nr = min(left, LARDER_RECORDS_PER_BLOCK);

		left -= nr;
		block->epoch = md->buffers.super.epoch;
		block->sequence = cpu_to_le64(md->head_seq + i);
		block->prev_crc = cpu_to_le32(prev_crc);
		block->nr_records = cpu_to_le16(nr);
		block->commit_index = i;
		block->attempt = md->commit.attempt;
		unit_seal(block, LARDER_MAGIC_JOURNAL, journal_unit(md, md->head_seq + i),
			  md->buffers.super.header.uuid);
		prev_crc = le32_to_cpu(block->header.crc);
	}
}

/* At the end of the ring a commit takes two writes. */
static int write_next(struct metadata *md, struct metadata_io *io)
{
	struct metadata_commit *commit = &md->commit;
	u32 first = commit->nr_written;
	u64 sequence = md->head_seq + first;
	u32 nr = journal_run(md, sequence, commit->nr_blocks - first);

	commit->nr_written += nr;
	return metadata_transfer(io, METADATA_WRITE_FUA, journal_unit(md, sequence), nr,
				 &md->buffers.commit[first]);
}

static int commit_run(struct metadata *md, struct metadata_io *io)
{
	struct metadata_commit *commit = &md->commit;

	if (md->commit_op.state == COMMIT_FLUSH) {
		md->commit_op.state = COMMIT_WRITE;
		if (commit->flush_devices)
			return metadata_flush(io, commit->flush_devices);
	}
	if (commit->nr_written < commit->nr_blocks)
		return write_next(md, io);
	if (commit->nr_blocks) {
		md->head_crc = le32_to_cpu(md->buffers.commit[commit->nr_blocks - 1].header.crc);
		md->head_seq += commit->nr_blocks;
	}
	return METADATA_DONE;
}

struct metadata_op *metadata_commit_run(struct metadata *md, unsigned int flush_devices)
{
	struct metadata_commit *commit = &md->commit;

	if (!md->active)
		return metadata_refuse(md, &md->commit_op, -ESHUTDOWN);
	commit->nr_blocks = DIV_ROUND_UP(commit->nr_records, LARDER_RECORDS_PER_BLOCK);
	commit->nr_written = 0;
	commit->flush_devices = flush_devices;
	commit->attempt++;
	seal_blocks(md);
	return metadata_start(md, &md->commit_op, commit_run);
}
