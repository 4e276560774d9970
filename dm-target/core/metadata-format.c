// SPDX-License-Identifier: GPL-2.0-only
/*
 * Formats a blank device.  Nothing counts before unit 0 is durable, which is
 * written last; what an earlier cache left behind has another uuid.
 */
#include "metadata-internal.h"

enum format_state {
	FORMAT_DOUBLE,
	FORMAT_SECOND,
	FORMAT_FLUSH,
	FORMAT_FIRST,
	FORMAT_DONE,
};

static void build_super(struct larder_superblock *sb, const struct geometry *g, const u8 *uuid,
			const struct metadata_identity *who)
{
	memset(sb, 0, sizeof(*sb));
	memcpy(sb->header.uuid, uuid, LARDER_UUID_SIZE);
	sb->version = cpu_to_le32(LARDER_FORMAT_VERSION);
	sb->flags = cpu_to_le32(LARDER_SUPER_CLEAN);
	sb->compat = cpu_to_le64(LARDER_COMPAT_HINTS);
	geometry_to_super(g, sb);
	sb->tail_seq = cpu_to_le64(1);
	if (who) {
		sb->metadata_identity = cpu_to_le64(who->metadata);
		sb->cache_identity = cpu_to_le64(who->cache);
		sb->origin_identity = cpu_to_le64(who->origin);
	}
}

/* The same superblock, as generation 1 in unit 1 and 2 in unit 0. */
static int write_super(struct metadata *md, struct metadata_io *io, enum metadata_io_kind kind,
		       u64 generation)
{
	struct larder_superblock *sb = &md->buffers.next;

	sb->generation = cpu_to_le64(generation);
	unit_seal(sb, LARDER_MAGIC_SUPER, generation & 1, sb->header.uuid);
	return metadata_transfer(io, kind, generation & 1, 1, sb);
}

static int format_run(struct metadata *md, struct metadata_io *io)
{
	struct larder_double_header *header = &md->buffers.header;

	switch (md->op.state++) {
	case FORMAT_DOUBLE:
		memset(header, 0, sizeof(*header));
		unit_seal(header, LARDER_MAGIC_DOUBLE, md->geometry.dw_start,
			  md->buffers.next.header.uuid);
		return metadata_transfer(io, METADATA_WRITE, md->geometry.dw_start, 1, header);
	case FORMAT_SECOND:
		return write_super(md, io, METADATA_WRITE, 1);
	case FORMAT_FLUSH:
		return metadata_flush(io, DEVICE_METADATA);
	case FORMAT_FIRST:
		return write_super(md, io, METADATA_WRITE_FUA, 2);
	case FORMAT_DONE:
		md->buffers.super = md->buffers.next;
		md->generation_tried = 2;
		md->found = METADATA_OURS;
		md->head_seq = super_tail(md);
		md->head_crc = 0;
		md->load.damaged = false;
		md->loaded = true;
		md->repaired = true;
		return METADATA_DONE;
	}
	return -EINVAL;
}

struct metadata_op *metadata_format_begin(struct metadata *md, const struct geometry *g,
					  const u8 uuid[LARDER_UUID_SIZE],
					  const struct metadata_identity *who)
{
	if (md->found != METADATA_BLANK)
		return metadata_refuse(md, &md->op, -EEXIST);
	build_super(&md->buffers.next, g, uuid, who);
	if (core_broken(!geometry_from_super(&md->geometry, &md->buffers.next, md->units)))
		return metadata_refuse(md, &md->op, -EINVAL);
	return metadata_start(md, &md->op, format_run);
}
