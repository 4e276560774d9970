// SPDX-License-Identifier: GPL-2.0-only
/*
 * What needs a superblock write of its own: activation (a new epoch), the
 * extension of the formatted table, a resize, the mark for tuples and the orderly stop.  And a
 * rewrite of both superblocks, only to see whether the device still takes it.
 */
#include "metadata-internal.h"

enum activate_state {
	ACTIVATE_CHECKPOINT,
	ACTIVATE_DONE,
};

enum extend_state {
	EXTEND_PAGES_WRITE,
	EXTEND_FLUSH,
	EXTEND_SUPER,
	EXTEND_DONE,
};

enum resize_state {
	RESIZE_SUPER,
	RESIZE_DONE,
};

enum stop_state {
	STOP_SUPER,
	STOP_DONE,
};

/*
 * The new epoch voids all that may lie behind the end of the journal: no block
 * of it can be taken for one that is appended from now on (I6).
 */
static int write_epoch(struct metadata *md, struct metadata_io *io)
{
	const struct metadata_activation *a = &md->activation;
	struct larder_superblock *next = super_edit(md);

	next->epoch = cpu_to_le64(le64_to_cpu(next->epoch) + 1);
	next->tail_seq = cpu_to_le64(md->head_seq);
	next->tail_crc = cpu_to_le32(md->head_crc);
	next->flags &= ~cpu_to_le32(LARDER_SUPER_CLEAN);
	next->origin_sectors = cpu_to_le64(a->origin_sectors);
	next->last_mode = a->mode + 1;
	memcpy(next->last_policy, a->policy, sizeof(next->last_policy));
	next->metadata_identity = cpu_to_le64(a->who.metadata);
	next->cache_identity = cpu_to_le64(a->who.cache);
	next->origin_identity = cpu_to_le64(a->who.origin);
	return super_write(md, io);
}

static int activate_run(struct metadata *md, struct metadata_io *io)
{
	int rc;

	switch (md->op.state) {
	case ACTIVATE_CHECKPOINT:
		while (metadata_journal_used(md)) {
			rc = checkpoint_run(md, io);
			if (rc != METADATA_DONE)
				return rc;
			checkpoint_start(md);
		}
		md->op.state = ACTIVATE_DONE;
		return write_epoch(md, io);
	case ACTIVATE_DONE:
		super_written(md);
		geometry_set_origin(&md->geometry, md->activation.origin_sectors);
		md->commit.nr_records = 0;
		md->active = true;
		md->activated = true;
		return METADATA_DONE;
	}
	return -EINVAL;
}

static int activation_error(const struct metadata *md, u64 origin_sectors)
{
	u32 block = md->geometry.block_sectors;

	if (md->found != METADATA_OURS)
		return -EINVAL;
	if (md->load.damaged)
		return -EUCLEAN;
	if (!md->repaired)
		return -EINVAL;
	if (!origin_sectors || div_u64(origin_sectors - 1, block) >= LARDER_BLOCK_MASK)
		return -EFBIG;
	return 0;
}

struct metadata_op *metadata_activate_begin(struct metadata *md, u64 origin_sectors, u8 mode,
					    const char *policy, const struct metadata_identity *who)
{
	struct metadata_activation *a = &md->activation;
	int error = activation_error(md, origin_sectors);
	unsigned int i;

	md->active = false;
	if (error)
		return metadata_refuse(md, &md->op, error);
	memset(a, 0, sizeof(*a));
	a->origin_sectors = origin_sectors;
	a->mode = mode;
	for (i = 0; policy && policy[i] && i < sizeof(a->policy) - 1; i++)
		a->policy[i] = policy[i];
	a->who.metadata = le64_to_cpu(md->buffers.super.metadata_identity);
	a->who.cache = le64_to_cpu(md->buffers.super.cache_identity);
	a->who.origin = le64_to_cpu(md->buffers.super.origin_identity);
	if (who)
		a->who = *who;
	checkpoint_start(md);
	return metadata_start(md, &md->op, activate_run);
}

static int rewrite_run(struct metadata *md, struct metadata_io *io)
{
	if (md->op.state)
		super_written(md);
	if (md->op.state++ == 2)
		return METADATA_DONE;
	super_edit(md);
	return super_write(md, io);
}

struct metadata_op *metadata_rewrite_begin(struct metadata *md)
{
	if (!md->active)
		return metadata_refuse(md, &md->op, -ESHUTDOWN);
	return metadata_start(md, &md->op, rewrite_run);
}

static int mark_run(struct metadata *md, struct metadata_io *io)
{
	struct larder_superblock *next;

	if (md->op.state)
		super_written(md);
	if (md->op.state++ == 2)
		return METADATA_DONE;
	next = super_edit(md);
	if (md->marking_tuples)
		next->ro_compat |= cpu_to_le64(LARDER_RO_COMPAT_TUPLES);
	else
		next->ro_compat &= ~cpu_to_le64(LARDER_RO_COMPAT_TUPLES);
	return super_write(md, io);
}

struct metadata_op *metadata_mark_tuples_begin(struct metadata *md, bool marked)
{
	if (!md->active)
		return metadata_refuse(md, &md->op, -ESHUTDOWN);
	md->marking_tuples = marked;
	return metadata_start(md, &md->op, mark_run);
}

static u32 extension_pages(const struct metadata *md)
{
	return min_t(u64, md->geometry.table_pages - super_formatted(md), EXTEND_PAGES);
}

/*
 * Blank pages are the same bytes at each try: should an earlier extension have
 * become durable although it failed, this one changes nothing.
 */
static int write_blank_pages(struct metadata *md, struct metadata_io *io)
{
	u64 first = super_formatted(md);
	u32 i, nr = extension_pages(md);

	for (i = 0; i < nr; i++) {
		struct larder_page *page = (void *)md->buffers.large[i];

		memset(page, 0, sizeof(*page));
		page->page = cpu_to_le32(first + i);
		unit_seal(page, LARDER_MAGIC_PAGE, md->geometry.table_start + first + i,
			  md->buffers.super.header.uuid);
	}
	return metadata_transfer(io, METADATA_WRITE, md->geometry.table_start + first, nr,
				 md->buffers.large);
}

static int extend_run(struct metadata *md, struct metadata_io *io)
{
	struct larder_superblock *next;

	if (md->op.state == EXTEND_PAGES_WRITE && !extension_pages(md))
		return METADATA_DONE;
	switch (md->op.state++) {
	case EXTEND_PAGES_WRITE:
		return write_blank_pages(md, io);
	case EXTEND_FLUSH:
		return metadata_flush(io, DEVICE_METADATA);
	case EXTEND_SUPER:
		next = super_edit(md);
		next->formatted_pages = cpu_to_le64(super_formatted(md) + extension_pages(md));
		return super_write(md, io);
	case EXTEND_DONE:
		super_written(md);
		return METADATA_DONE;
	}
	return -EINVAL;
}

struct metadata_op *metadata_extend_begin(struct metadata *md)
{
	if (!md->active)
		return metadata_refuse(md, &md->op, -ESHUTDOWN);
	return metadata_start(md, &md->op, extend_run);
}

static int resize_run(struct metadata *md, struct metadata_io *io)
{
	switch (md->op.state++) {
	case RESIZE_SUPER:
		return super_write(md, io);
	case RESIZE_DONE:
		super_written(md);
		md->geometry = md->resized;
		md->units = md->resized.metadata_units;
		return METADATA_DONE;
	}
	return -EINVAL;
}

/*
 * Should the write fail and yet be durable, no harm is done: the slots that
 * only the device knows are free, and the next superblock takes them back.
 */
struct metadata_op *metadata_resize_begin(struct metadata *md, const struct geometry *g)
{
	struct larder_superblock *next;

	if (!md->active)
		return metadata_refuse(md, &md->op, -ESHUTDOWN);
	if (core_broken(g->nr_slots < md->geometry.nr_slots))
		return metadata_refuse(md, &md->op, -EINVAL);
	next = super_edit(md);
	next->nr_slots = cpu_to_le64(g->nr_slots);
	next->origin_sectors = cpu_to_le64(g->origin_sectors);
	next->cache_sectors = cpu_to_le64(g->cache_sectors);
	next->metadata_units = cpu_to_le64(g->metadata_units);
	next->table_pages = cpu_to_le64(g->table_pages);
	if (!geometry_from_super(&md->resized, next, g->metadata_units))
		return metadata_refuse(md, &md->op, -EFBIG);
	return metadata_start(md, &md->op, resize_run);
}

static int stop_run(struct metadata *md, struct metadata_io *io)
{
	struct larder_superblock *next;

	switch (md->op.state++) {
	case STOP_SUPER:
		next = super_edit(md);
		next->flags |= cpu_to_le32(LARDER_SUPER_CLEAN);
		return super_write(md, io);
	case STOP_DONE:
		super_written(md);
		return METADATA_DONE;
	}
	return -EINVAL;
}

/*
 * Commits end here, whether the write succeeds or not: after it was tried, the
 * device may say that all is in order.  Without an activation before there is
 * nobody who could have put in order what a crash left behind.
 */
struct metadata_op *metadata_stop_begin(struct metadata *md)
{
	md->active = false;
	if (!md->activated)
		return metadata_refuse(md, &md->op, -EINVAL);
	return metadata_start(md, &md->op, stop_run);
}
