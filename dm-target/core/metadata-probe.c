// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at the superblocks and says what is on the device.  Writes nothing.
 */
#include "metadata-internal.h"

enum probe_state {
	PROBE_READ,
	PROBE_JUDGE,
};

static const struct larder_superblock *verify_super(const struct metadata *md, u64 number)
{
	const struct larder_superblock *sb = (const void *)md->buffers.large[number];
	const struct larder_superblock *first = (const void *)md->buffers.large[0];
	u64 generation = le64_to_cpu(sb->generation);

	/* only unit 0 says whose device this is */
	if (unit_verify(sb, LARDER_MAGIC_SUPER, number, first->header.uuid))
		return NULL;
	if (!generation || generation >= COUNTER_MAX || (generation & 1) != number)
		return NULL;
	return sb;
}

static enum metadata_found judge_chosen(struct metadata *md)
{
	const struct larder_superblock *sb = &md->buffers.super;

	if (le32_to_cpu(sb->version) != LARDER_FORMAT_VERSION ||
	    (le64_to_cpu(sb->incompat) & ~LARDER_INCOMPAT_SUPPORTED))
		return METADATA_TOO_NEW;
	if (!geometry_from_super(&md->geometry, sb, md->units) ||
	    !super_state_fits(sb, &md->geometry))
		return METADATA_BAD_GEOMETRY;
	return METADATA_OURS;
}

static enum metadata_found judge(struct metadata *md)
{
	const struct larder_unit_header *first = (const void *)md->buffers.large[0];
	const struct larder_superblock *a, *b, *chosen;

	if (unit_is_zero(first))
		return METADATA_BLANK;
	if (first->magic != cpu_to_le64(LARDER_MAGIC_SUPER)) {
		md->foreign = foreign_name(md->buffers.large);
		return METADATA_FOREIGN;
	}
	a = verify_super(md, 0);
	b = verify_super(md, 1);
	if (!a && !b)
		return METADATA_DAMAGED;

	if (a && b)
		chosen = le64_to_cpu(a->generation) > le64_to_cpu(b->generation) ? a : b;
	else
		chosen = a ? a : b;
	md->buffers.super = *chosen;
	/*
	 * The one that does not verify may have been the newer one.  Replay
	 * notices when that matters, but an old claim to be clean is void.
	 */
	if (!a || !b)
		md->buffers.super.flags &= ~cpu_to_le32(LARDER_SUPER_CLEAN);
	md->generation_tried = max(md->generation_tried, metadata_generation(md));
	return judge_chosen(md);
}

static int probe_run(struct metadata *md, struct metadata_io *io)
{
	switch (md->op.state) {
	case PROBE_READ:
		md->op.state = PROBE_JUDGE;
		memset(md->buffers.large, 0, 2 * LARDER_UNIT_SIZE);
		return metadata_transfer(io, METADATA_READ, 0, min_t(u64, md->units, 2),
					 md->buffers.large);
	case PROBE_JUDGE:
		md->found = judge(md);
		return METADATA_DONE;
	}
	return -EINVAL;
}

struct metadata_op *metadata_probe_begin(struct metadata *md)
{
	md->foreign = NULL;
	md->loaded = false;
	md->repaired = false;
	md->active = false;
	md->activated = false;
	memset(&md->buffers.super, 0, sizeof(md->buffers.super));
	memset(&md->geometry, 0, sizeof(md->geometry));
	if (!md->units)
		return metadata_refuse(md, &md->op, -ENOSPC);
	return metadata_start(md, &md->op, probe_run);
}
