// SPDX-License-Identifier: GPL-2.0-only
/*
 * The frame of the metadata state machines: memory, stepping, and what others
 * may ask.  The operations themselves are in the metadata-*.c beside.
 */
#include "metadata-internal.h"

size_t metadata_bytes(void)
{
	return ALIGN(sizeof(struct metadata), LARDER_UNIT_SIZE);
}

struct metadata *metadata_init(void *memory, u64 metadata_units)
{
	struct metadata *md = memory;

	memset(md, 0, sizeof(*md));
	md->units = metadata_units;
	md->op.md = md;
	md->commit_op.md = md;
	return md;
}

struct metadata_op *metadata_start(struct metadata *md, struct metadata_op *op,
				   int (*run)(struct metadata *md, struct metadata_io *io))
{
	op->run = run;
	op->state = 0;
	return op;
}

static int refused(struct metadata *md, struct metadata_io *io)
{
	return md->op.state;
}

static int commit_refused(struct metadata *md, struct metadata_io *io)
{
	return md->commit_op.state;
}

/* An operation whose only step is this error. */
struct metadata_op *metadata_refuse(struct metadata *md, struct metadata_op *op, int error)
{
	op->run = op == &md->commit_op ? commit_refused : refused;
	op->state = error;
	return op;
}

int metadata_step(struct metadata_op *op, int result, struct metadata_io *io)
{
	int rc;

	if (core_broken(!op->run))
		return -EINVAL;
	if (result)
		rc = result < 0 ? result : -EIO;
	else
		rc = op->run(op->md, io);
	if (rc != METADATA_IO)
		op->run = NULL;
	return rc;
}

enum metadata_found metadata_found(const struct metadata *md)
{
	return md->found;
}

const char *metadata_foreign(const struct metadata *md)
{
	return md->foreign;
}

const struct larder_superblock *metadata_super(const struct metadata *md)
{
	return &md->buffers.super;
}

const struct geometry *metadata_geometry(const struct metadata *md)
{
	return &md->geometry;
}

bool metadata_tuples_marked(const struct metadata *md)
{
	return le64_to_cpu(md->buffers.super.ro_compat) & LARDER_RO_COMPAT_TUPLES;
}

u64 metadata_generation(const struct metadata *md)
{
	return le64_to_cpu(md->buffers.super.generation);
}

bool metadata_may_have_written(const struct metadata *md, const struct larder_superblock *sb)
{
	u64 generation = le64_to_cpu(sb->generation);

	return !memcmp(sb->header.uuid, md->buffers.super.header.uuid, LARDER_UUID_SIZE) &&
	       generation >= metadata_generation(md) && generation <= md->generation_tried;
}

u64 metadata_formatted_slots(const struct metadata *md)
{
	return min_t(u64, super_formatted(md) * LARDER_ENTRIES_PER_PAGE, md->geometry.nr_slots);
}

u64 metadata_journal_used(const struct metadata *md)
{
	return md->loaded ? md->head_seq - super_tail(md) : 0;
}

void metadata_usage(const struct metadata *md, u64 *used_units, u64 *total_units)
{
	/* two superblocks and the double-write header beside what varies */
	*used_units = 2 + 1 + md->geometry.dw_pages + metadata_journal_used(md) +
		      super_formatted(md);
	*total_units = md->units;
}
