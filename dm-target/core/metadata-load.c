// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: repairs pages that a checkpoint may have torn, then shows the visitor
 * the table, in one sequential read, and the journal (metadata-replay.c).
 */
#include "metadata-internal.h"

enum load_state {
	LOAD_FLUSH,
	LOAD_DOUBLE,
	LOAD_DOUBLE_JUDGE,
	LOAD_REPAIR,
	LOAD_REPAIR_FLUSH,
	LOAD_TABLE,
	LOAD_TABLE_PIECE,
	LOAD_JOURNAL,
	LOAD_JOURNAL_PIECE,
	LOAD_END,
	LOAD_END_JUDGE,
	LOAD_DONE,
};

/* 0 when the visitor wants to go on all the same. */
int load_damage(struct metadata *md, u64 unit, const char *what)
{
	const struct metadata_visitor *visitor = &md->load.visitor;

	md->load.damaged = true;
	if (visitor->damage && visitor->damage(visitor->context, unit, what))
		return 0;
	return -EUCLEAN;
}

/*
 * Forgets the header's images that are not to be believed: those of a batch
 * that was torn (its home pages have not been touched yet) or of pages that
 * the superblock does not know.
 */
static void judge_images(struct metadata *md)
{
	struct larder_double_header *header = &md->buffers.header;
	u32 i, nr = le32_to_cpu(header->nr_images);

	if (unit_verify(header, LARDER_MAGIC_DOUBLE, md->geometry.dw_start,
			md->buffers.super.header.uuid) || nr > md->geometry.dw_pages)
		nr = 0;
	header->nr_images = cpu_to_le32(nr);
	for (i = 0; i < nr; i++) {
		const struct larder_page *image = &md->buffers.images[i];
		u64 page = le64_to_cpu(header->images[i].page);

		if (page >= super_formatted(md) || header->images[i].crc != image->header.crc ||
		    page_verify(md, image, page))
			header->images[i].page = cpu_to_le64(U64_MAX);
	}
}

static const struct larder_page *find_image(const struct metadata *md, u64 page)
{
	const struct larder_double_header *header = &md->buffers.header;
	u32 i, nr = le32_to_cpu(header->nr_images);

	for (i = 0; i < nr; i++)
		if (header->images[i].page == cpu_to_le64(page))
			return &md->buffers.images[i];
	return NULL;
}

/* METADATA_DONE when all images are at home. */
static int repair_next(struct metadata *md, struct metadata_io *io)
{
	struct larder_double_header *header = &md->buffers.header;
	struct metadata_load *load = &md->load;

	while (load->image < le32_to_cpu(header->nr_images)) {
		u32 i = load->image++;
		u64 page = le64_to_cpu(header->images[i].page);

		if (page != U64_MAX)
			return metadata_transfer(io, METADATA_WRITE,
						 md->geometry.table_start + page, 1,
						 &md->buffers.images[i]);
	}
	return METADATA_DONE;
}

static int visit_page(struct metadata *md, const struct larder_page *page, u64 number)
{
	const struct metadata_visitor *visitor = &md->load.visitor;
	u64 slot = number * LARDER_ENTRIES_PER_PAGE;
	const char *what = page_verify(md, page, number);
	unsigned int i;
	int rc;

	if (what)
		return load_damage(md, md->geometry.table_start + number, what);
	if (page->intent != LARDER_INTENT_NONE) {
		rc = visitor->intent(visitor->context, number, page->intent,
				     le64_to_cpu(page->intent_slots));
		if (rc)
			return rc;
	}
	for (i = 0; i < LARDER_ENTRIES_PER_PAGE; i++, slot++) {
		const struct larder_entry *entry = &page->entries[i];

		what = entry_judge(&md->geometry, slot, entry);
		if (what)
			rc = load_damage(md, md->geometry.table_start + number, what);
		else if (entry->block_flags)
			rc = visitor->entry(visitor->context, slot, entry);
		else
			rc = 0;
		if (rc)
			return rc;
	}
	return 0;
}

/* METADATA_DONE when the whole table has been read. */
static int table_next(struct metadata *md, struct metadata_io *io)
{
	struct metadata_load *load = &md->load;

	load->piece = min_t(u64, super_formatted(md) - load->page, METADATA_IO_UNITS_MAX);
	if (!load->piece)
		return METADATA_DONE;
	return metadata_transfer(io, METADATA_READ, md->geometry.table_start + load->page,
				 load->piece, md->buffers.large);
}

static int table_piece(struct metadata *md)
{
	struct metadata_load *load = &md->load;
	u32 i;
	int rc;

	for (i = 0; i < load->piece; i++, load->page++) {
		const struct larder_page *page = find_image(md, load->page);

		if (!page)
			page = (const void *)md->buffers.large[i];
		rc = visit_page(md, page, load->page);
		if (rc)
			return rc;
	}
	return 0;
}

static int load_done(struct metadata *md)
{
	md->loaded = !md->load.damaged;
	md->repaired = md->loaded && md->load.write;
	return METADATA_DONE;
}

/*
 * One state; METADATA_DONE: no I/O is needed, go on with the next.
 * Reading the table with the images in place of their homes makes the repair
 * the same for those who must not write.
 */
static int load_state(struct metadata *md, struct metadata_io *io)
{
	const struct geometry *g = &md->geometry;
	int rc = METADATA_DONE;

	switch (md->op.state++) {
	case LOAD_FLUSH:
		if (md->load.write)
			rc = metadata_flush(io, DEVICE_METADATA | DEVICE_CACHE | DEVICE_ORIGIN);
		break;
	case LOAD_DOUBLE:
		return metadata_transfer(io, METADATA_READ, g->dw_start, 1 + g->dw_pages,
					 &md->buffers.header);
	case LOAD_DOUBLE_JUDGE:
		judge_images(md);
		if (!md->load.write)
			md->op.state = LOAD_TABLE;
		break;
	case LOAD_REPAIR:
		rc = repair_next(md, io);
		if (rc == METADATA_IO)
			md->op.state = LOAD_REPAIR;
		break;
	case LOAD_REPAIR_FLUSH:
		return metadata_flush(io, DEVICE_METADATA);
	case LOAD_TABLE:
		rc = table_next(md, io);
		if (rc == METADATA_DONE)
			md->op.state = LOAD_JOURNAL;
		break;
	case LOAD_TABLE_PIECE:
		md->op.state = LOAD_TABLE;
		rc = table_piece(md);
		break;
	case LOAD_JOURNAL:
		return replay_next(md, io);
	case LOAD_JOURNAL_PIECE:
		md->op.state = LOAD_JOURNAL;
		rc = replay_piece(md);
		break;
	case LOAD_END:
		return replay_end(md, io);
	case LOAD_END_JUDGE:
		rc = replay_end_judge(md);
		break;
	default:
		return -EINVAL;
	}
	return rc;
}

static int load_run(struct metadata *md, struct metadata_io *io)
{
	int rc;

	do {
		if (md->op.state == LOAD_JOURNAL &&
		    md->load.scanned == md->geometry.journal_blocks)
			md->op.state = md->load.ended ? LOAD_END : LOAD_DONE;
		if (md->op.state == LOAD_DONE)
			return load_done(md);
		rc = load_state(md, io);
	} while (rc == METADATA_DONE);
	return rc;
}

struct metadata_op *metadata_load_begin(struct metadata *md, const struct metadata_visitor *visitor,
					bool write)
{
	struct metadata_load *load = &md->load;

	md->loaded = false;
	md->repaired = false;
	md->active = false;
	md->activated = false;
	md->checkpoint.homeless = false;
	if (md->found != METADATA_OURS)
		return metadata_refuse(md, &md->op, -EINVAL);
	if (write && super_read_only(md))
		return metadata_refuse(md, &md->op, -EROFS);
	memset(load, 0, sizeof(*load));
	load->visitor = *visitor;
	load->write = write;
	md->head_seq = super_tail(md);
	md->head_crc = le32_to_cpu(md->buffers.super.tail_crc);
	return metadata_start(md, &md->op, load_run);
}
