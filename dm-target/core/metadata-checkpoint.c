// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint: moves the oldest part of the journal into the slot table.
 *
 * It reads the segment back from the device and applies it just as recovery
 * would; nothing is taken from the live slots.  Pages go through the
 * double-write area in batches, and only after the last batch is at home and
 * flushed does one superblock write move the tail.  A crash anywhere leaves a
 * journal that still has the whole segment; applying it again changes nothing.
 *
 * When a write to the home pages fails, they may be torn, and the double-write
 * area has the only good copy: the next checkpoint first brings that home,
 * before it reads a page or writes another batch over the copy.
 */
#include "metadata-internal.h"

enum checkpoint_state {
	CHECKPOINT_HOME_AGAIN,
	CHECKPOINT_FLUSH_HOME_AGAIN,
	CHECKPOINT_READ,
	CHECKPOINT_SORT,
	CHECKPOINT_BATCH,
	CHECKPOINT_PAGES,
	CHECKPOINT_APPLY,
	CHECKPOINT_FLUSH_DOUBLE,
	CHECKPOINT_HOME,
	CHECKPOINT_FLUSH_HOME,
	CHECKPOINT_SUPER,
	CHECKPOINT_DONE,
};

#define PLACE_BITS	16
#define PLACE_MASK	((1ull << PLACE_BITS) - 1)

static_assert(SEGMENT_RECORDS <= PLACE_MASK, "a record's place fits its key");

static const struct larder_record *record_of(const struct metadata *md, u64 key)
{
	u32 place = key & PLACE_MASK;

	return &md->buffers.segment[place / LARDER_RECORDS_PER_BLOCK]
			.records[place % LARDER_RECORDS_PER_BLOCK];
}

static int compare_keys(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return left < right ? -1 : left > right;
}

/* Orders the segment's records by page, and by age within a page. */
static int sort_segment(struct metadata *md)
{
	struct metadata_checkpoint *cp = &md->checkpoint;
	u32 i, j, crc = le32_to_cpu(md->buffers.super.tail_crc);

	cp->nr_keys = 0;
	for (i = 0; i < cp->nr_blocks; i++) {
		const struct larder_journal_block *block = &md->buffers.segment[i];
		u32 nr = le16_to_cpu(block->nr_records);

		/* it was valid when it was loaded or written */
		if (!journal_block_follows(md, block, super_tail(md) + i, crc) ||
		    nr > LARDER_RECORDS_PER_BLOCK)
			return -EUCLEAN;
		crc = le32_to_cpu(block->header.crc);
		for (j = 0; j < nr; j++) {
			if (record_judge(md, &block->records[j]))
				return -EUCLEAN;
			cp->key[cp->nr_keys++] =
				record_page(&block->records[j]) << PLACE_BITS |
				(i * LARDER_RECORDS_PER_BLOCK + j);
		}
	}
	sort(cp->key, cp->nr_keys, sizeof(cp->key[0]), compare_keys, NULL);
	cp->end_key = 0;
	return 0;
}

/* The next records that fall into at most dw_pages pages; false when none are left. */
static bool next_batch(struct metadata *md)
{
	struct metadata_checkpoint *cp = &md->checkpoint;

	cp->first_key = cp->end_key;
	cp->nr_pages = 0;
	cp->done_pages = 0;
	for (; cp->end_key < cp->nr_keys; cp->end_key++) {
		u64 page = cp->key[cp->end_key] >> PLACE_BITS;

		if (cp->nr_pages && cp->page[cp->nr_pages - 1] == page)
			continue;
		if (cp->nr_pages == md->geometry.dw_pages)
			break;
		cp->page[cp->nr_pages++] = page;
	}
	return cp->nr_pages;
}

/* Reads or writes the next pages that are neighbours; METADATA_DONE when none are left. */
static int transfer_pages(struct metadata *md, struct metadata_io *io, enum metadata_io_kind kind)
{
	struct metadata_checkpoint *cp = &md->checkpoint;
	u32 first = cp->done_pages, i = first;

	if (first == cp->nr_pages)
		return METADATA_DONE;
	do {
		i++;
	} while (i < cp->nr_pages && cp->page[i] == cp->page[i - 1] + 1);
	cp->done_pages = i;
	return metadata_transfer(io, kind, md->geometry.table_start + cp->page[first], i - first,
				 &md->buffers.images[first]);
}

static void apply_record(struct larder_page *page, const struct larder_record *record)
{
	struct larder_entry *entry =
		&page->entries[le32_to_cpu(record->index) % LARDER_ENTRIES_PER_PAGE];

	switch (record->type) {
	case LARDER_RECORD_ENTRY:
		entry_from_record(entry, record);
		break;
	case LARDER_RECORD_INTENT:
		page->intent = le64_to_cpu(record->block_flags);
		page->intent_slots = record->valid;
		break;
	case LARDER_RECORD_HINT:
		/* a free slot is all zero */
		if (entry->block_flags)
			entry->hint = cpu_to_le32(le64_to_cpu(record->block_flags));
		break;
	}
}

static int apply_batch(struct metadata *md)
{
	struct metadata_checkpoint *cp = &md->checkpoint;
	u32 i, key = cp->first_key;

	for (i = 0; i < cp->nr_pages; i++) {
		struct larder_page *page = &md->buffers.images[i];

		if (page_verify(md, page, cp->page[i]))
			return -EUCLEAN;
		for (; key < cp->end_key && cp->key[key] >> PLACE_BITS == cp->page[i]; key++)
			apply_record(page, record_of(md, cp->key[key]));
		page->generation = cpu_to_le64(super_tail(md) + cp->nr_blocks);
		unit_seal(page, LARDER_MAGIC_PAGE, md->geometry.table_start + cp->page[i],
			  md->buffers.super.header.uuid);
	}
	return 0;
}

static int write_double(struct metadata *md, struct metadata_io *io)
{
	struct larder_double_header *header = &md->buffers.header;
	struct metadata_checkpoint *cp = &md->checkpoint;
	u32 i;

	memset(header, 0, sizeof(*header));
	header->generation = cpu_to_le64(++md->nr_batches);
	header->nr_images = cpu_to_le32(cp->nr_pages);
	for (i = 0; i < cp->nr_pages; i++) {
		header->images[i].page = cpu_to_le64(cp->page[i]);
		header->images[i].crc = md->buffers.images[i].header.crc;
	}
	unit_seal(header, LARDER_MAGIC_DOUBLE, md->geometry.dw_start,
		  md->buffers.super.header.uuid);
	return metadata_transfer(io, METADATA_WRITE, md->geometry.dw_start, 1 + cp->nr_pages,
				 header);
}

static int write_tail(struct metadata *md, struct metadata_io *io)
{
	struct metadata_checkpoint *cp = &md->checkpoint;
	struct larder_superblock *next = super_edit(md);

	next->tail_seq = cpu_to_le64(super_tail(md) + cp->nr_blocks);
	next->tail_crc = md->buffers.segment[cp->nr_blocks - 1].header.crc;
	return super_write(md, io);
}

static int read_segment(struct metadata *md, struct metadata_io *io)
{
	struct metadata_checkpoint *cp = &md->checkpoint;
	u32 first = cp->nr_read;
	u64 sequence = super_tail(md) + first;
	u32 nr = journal_run(md, sequence, cp->nr_blocks - first);

	if (!nr)
		return METADATA_DONE;
	cp->nr_read += nr;
	return metadata_transfer(io, METADATA_READ, journal_unit(md, sequence), nr,
				 &md->buffers.segment[first]);
}

void checkpoint_start(struct metadata *md)
{
	struct metadata_checkpoint *cp = &md->checkpoint;

	cp->nr_blocks = min_t(u64, metadata_journal_used(md), SEGMENT_BLOCKS);
	cp->nr_read = 0;
	cp->done_pages = 0;
	if (cp->homeless)
		cp->state = CHECKPOINT_HOME_AGAIN;
	else
		cp->state = cp->nr_blocks ? CHECKPOINT_READ : CHECKPOINT_DONE + 1;
}

/* One state; METADATA_DONE: no I/O is needed, go on with the next. */
static int checkpoint_state(struct metadata *md, struct metadata_io *io)
{
	struct metadata_checkpoint *cp = &md->checkpoint;
	int rc = METADATA_DONE;

	switch (cp->state++) {
	case CHECKPOINT_HOME_AGAIN:
		/* page[] and the images are still those of the batch that failed */
		rc = transfer_pages(md, io, METADATA_WRITE);
		if (rc == METADATA_IO)
			cp->state = CHECKPOINT_HOME_AGAIN;
		break;
	case CHECKPOINT_FLUSH_HOME_AGAIN:
		if (!cp->nr_blocks)
			cp->state = CHECKPOINT_DONE + 1;
		return metadata_flush(io, DEVICE_METADATA);
	case CHECKPOINT_READ:
		cp->homeless = false;
		rc = read_segment(md, io);
		if (rc == METADATA_IO)
			cp->state = CHECKPOINT_READ;
		break;
	case CHECKPOINT_SORT:
		rc = sort_segment(md);
		break;
	case CHECKPOINT_BATCH:
		cp->homeless = false;
		if (!next_batch(md))
			cp->state = CHECKPOINT_SUPER;
		break;
	case CHECKPOINT_PAGES:
		rc = transfer_pages(md, io, METADATA_READ);
		if (rc == METADATA_IO)
			cp->state = CHECKPOINT_PAGES;
		break;
	case CHECKPOINT_APPLY:
		rc = apply_batch(md);
		cp->done_pages = 0;
		if (!rc)
			rc = write_double(md, io);
		break;
	case CHECKPOINT_FLUSH_DOUBLE:
		return metadata_flush(io, DEVICE_METADATA);
	case CHECKPOINT_HOME:
		cp->homeless = true;
		rc = transfer_pages(md, io, METADATA_WRITE);
		if (rc == METADATA_IO)
			cp->state = CHECKPOINT_HOME;
		break;
	case CHECKPOINT_FLUSH_HOME:
		cp->state = CHECKPOINT_BATCH;
		return metadata_flush(io, DEVICE_METADATA);
	case CHECKPOINT_SUPER:
		return write_tail(md, io);
	case CHECKPOINT_DONE:
		super_written(md);
		break;
	}
	return rc;
}

int checkpoint_run(struct metadata *md, struct metadata_io *io)
{
	int rc = METADATA_DONE;

	while (rc == METADATA_DONE && md->checkpoint.state <= CHECKPOINT_DONE)
		rc = checkpoint_state(md, io);
	return rc;
}

bool metadata_checkpoint_wanted(const struct metadata *md)
{
	return md->active && (md->op.run == checkpoint_run || core_unlikely(30) ||
			      metadata_journal_used(md) >= md->geometry.journal_blocks / 2);
}

struct metadata_op *metadata_checkpoint_begin(struct metadata *md)
{
	if (!md->active)
		return metadata_refuse(md, &md->op, -ESHUTDOWN);
	checkpoint_start(md);
	return metadata_start(md, &md->op, checkpoint_run);
}
