// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Starts the metadata through the core, as a cache does, commits the changes to
 * the journal, moves them into the table and marks an orderly stop.  What an
 * unclean stop left open (intents) is settled on the way: a page's entries come
 * first in the journal, then its intent is withdrawn.
 */
#include <stdio.h>

#include "progress.h"
#include "writeback-metadata.h"

struct recording {
	const struct disk *disk;
	const struct image *image;
	const u64 *left;
	struct metadata *md;
	const char *what;	/* failed */
};

static int ignore_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	return 0;
}

static int ignore_intent(void *context, u64 page, u8 intent, u64 slots)
{
	return 0;
}

static int perform(const struct recording *r, const struct metadata_io *io)
{
	u64 at = io->unit * LARDER_UNIT_SECTORS, nr = (u64)io->nr_units * LARDER_UNIT_SECTORS;
	int error;

	switch (io->kind) {
	case METADATA_READ:
		return disk_read(r->disk, at, nr, io->buffer);
	case METADATA_WRITE:
		return disk_write(r->disk, at, nr, io->buffer);
	case METADATA_WRITE_FUA:
		error = disk_write(r->disk, at, nr, io->buffer);
		return error ? error : disk_flush(r->disk);
	case METADATA_FLUSH:
		return disk_flush(r->disk);
	}
	return -EINVAL;
}

static int run(struct recording *r, struct metadata_op *op, const char *what)
{
	struct metadata_io io;
	int rc, result = 0;

	while ((rc = metadata_step(op, result, &io)) == METADATA_IO)
		result = perform(r, &io);
	if (rc && !r->what)
		r->what = what;
	return rc;
}

static int start(struct recording *r)
{
	const struct metadata_visitor visitor = { .entry = ignore_entry, .intent = ignore_intent };
	const struct larder_superblock *sb;
	char policy[33];
	int error;

	metadata_init(r->md, r->disk->sectors / LARDER_UNIT_SECTORS);
	error = run(r, metadata_probe_begin(r->md), "read");
	if (!error && metadata_found(r->md) != METADATA_OURS)
		error = -EUCLEAN;
	if (!error)
		error = run(r, metadata_load_begin(r->md, &visitor, true), "load");
	if (error)
		return error;
	sb = metadata_super(r->md);
	return run(r, metadata_activate_begin(r->md, r->image->geometry.origin_sectors,
					      (u8)(sb->last_mode - 1), policy_text(sb, policy),
					      NULL), "start");
}

static int commit(struct recording *r)
{
	int error;

	if (!metadata_commit_count(r->md))
		return 0;
	error = run(r, metadata_commit_run(r->md, 0), "write");
	metadata_commit_begin(r->md);
	return error;
}

/* Room for one more record, whatever that takes. */
static int make_room(struct recording *r)
{
	int error = 0;

	if (metadata_commit_room(r->md, false))
		return 0;
	error = commit(r);
	while (!error && !metadata_commit_room(r->md, false))
		error = run(r, metadata_checkpoint_begin(r->md), "write");
	return error;
}

static int add(struct recording *r, const struct larder_record *record)
{
	int error = make_room(r);

	if (error)
		return error;
	return metadata_commit_add(r->md, record) ? 0 : -EUCLEAN;
}

static int record_slot(struct recording *r, u64 slot, bool always)
{
	const struct slot_state *before = &r->image->slots[slot];
	struct slot_state now = image_after_activation(r->image, slot);
	struct larder_record record = { .type = LARDER_RECORD_ENTRY };

	if (!slot_used(before))
		return 0;
	if (slot_used(&now))
		now.dirty = r->left[slot];
	if (!always && now.dirty == before->dirty && now.valid == before->valid)
		return 0;
	record.index = cpu_to_le32((u32)slot);
	if (slot_used(&now)) {
		record.block_flags = cpu_to_le64(now.block_flags);
		record.valid = cpu_to_le64(now.valid);
		record.dirty = cpu_to_le64(now.dirty);
	}
	return add(r, &record);
}

static int record_page(struct recording *r, u64 page)
{
	u64 slot = page * LARDER_ENTRIES_PER_PAGE;
	u64 end = min(slot + LARDER_ENTRIES_PER_PAGE, r->image->nr_slots);
	bool intent = r->image->intents[page].kind != LARDER_INTENT_NONE;
	const struct larder_record withdrawn = {
		.type = LARDER_RECORD_INTENT,
		.index = cpu_to_le32((u32)page),
	};
	int error = 0;

	for (; slot < end && !error; slot++)
		error = record_slot(r, slot, intent);
	return error || !intent ? error : add(r, &withdrawn);
}

static int record_all(struct recording *r)
{
	int error = start(r);
	u64 page;

	if (error)
		return error;
	metadata_commit_begin(r->md);
	progress_start("updating the metadata", r->image->nr_pages);
	for (page = 0; page < r->image->nr_pages && !error; page++) {
		error = record_page(r, page);
		progress_at(page);
	}
	if (!error)
		error = commit(r);
	while (!error && metadata_journal_used(r->md))
		error = run(r, metadata_checkpoint_begin(r->md), "write");
	if (!error)
		error = run(r, metadata_stop_begin(r->md), "write");
	progress_end();
	return error;
}

int writeback_record(const struct disk *metadata, const struct image *image, const u64 *left)
{
	struct recording r = { .disk = metadata, .image = image, .left = left };
	int error;

	r.md = aligned_alloc(LARDER_UNIT_SIZE, metadata_bytes());
	if (!r.md) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	error = record_all(&r);
	free(r.md);
	if (!error)
		return 0;
	if (error == -EUCLEAN || error == -EROFS) {
		complain("%s: the metadata cannot be changed: it is damaged, or of a newer "
			 "dm-larder", metadata->path);
		return EXIT_DAMAGED;
	}
	return disk_failed(metadata, r.what ? r.what : "change", error);
}
