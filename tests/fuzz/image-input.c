// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes a device of an input, see image-input.h.
 */
#include "image-input.h"

struct making {
	const struct base *base;
	struct metadata_disk *disk;
	bool seal[DISK_UNITS_MAX];
	bool journal, images;		/* something there has changed */
};

/* The working copies, of which only what was touched is restored. */
static struct metadata_disk *working_copy(u32 number, const struct base *base)
{
	static struct metadata_disk copies[NR_BASES];
	struct metadata_disk *disk = &copies[number];
	u32 i;

	if (!disk->unit) {
		disk_init(disk, base->disk.units);
		memset(disk->touched, true, sizeof(disk->touched));
	}
	for (i = 0; i < DISK_UNITS_MAX; i++) {
		if (!disk->touched[i])
			continue;
		memcpy(disk->unit[i], base->disk.unit[i], LARDER_UNIT_SIZE);
		disk->touched[i] = false;
	}
	disk->units = base->disk.units;
	disk->read_only = false;
	disk->nr_writes = 0;
	disk->cut_at = U64_MAX;
	return disk;
}

static u64 unit_of(const struct base *base, enum image_area area, u32 index)
{
	const struct geometry *g = &base->geometry;

	switch (area) {
	case AREA_SUPER:
		return (base->generation + index) & 1;
	case AREA_DOUBLE:
		return g->dw_start + index % (1 + g->dw_pages);
	case AREA_JOURNAL:
		return g->journal_start + (base->tail_seq + index) % g->journal_blocks;
	case AREA_TABLE:
		return g->table_start + index % g->table_pages;
	default:
		return index % base->disk.units;
	}
}

static void touch(struct making *m, u64 unit, bool broken)
{
	const struct geometry *g = &m->base->geometry;

	m->disk->touched[unit] = true;
	m->seal[unit] = !broken;
	m->journal |= unit >= g->journal_start && unit < g->journal_start + g->journal_blocks;
	m->images |= unit >= g->dw_start && unit <= g->dw_start + g->dw_pages;
}

static void write_bytes(struct making *m, u64 unit, u32 offset, const u8 *bytes, size_t length)
{
	memcpy(m->disk->unit[unit] + offset, bytes,
	       min(length, (size_t)(LARDER_UNIT_SIZE - offset)));
}

static void make_change(struct making *m, struct input *in)
{
	u8 what = input_byte(in), index = input_byte(in);
	u32 offset = (u32)input_number(in, 2) % LARDER_UNIT_SIZE;
	size_t length;
	const u8 *bytes = input_bytes(in, input_byte(in) % (CHANGE_BYTES_MAX + 1), &length);
	enum image_area area = (enum image_area)((what & ~AREA_BROKEN) % NR_AREAS);
	bool broken = what & AREA_BROKEN;
	u64 unit = unit_of(m->base, area, index), from;

	if (area == AREA_SIZE) {
		if (index & 1)
			m->disk->units -= min_t(u64, m->disk->units, index / 2);
		else
			m->disk->units = min_t(u64, m->disk->units + index / 2, DISK_UNITS_MAX);
		return;
	}
	touch(m, unit, broken);
	if (area == AREA_COPY) {
		from = length ? bytes[0] % m->base->disk.units : 0;
		memmove(m->disk->unit[unit], m->disk->unit[from], LARDER_UNIT_SIZE);
		return;
	}
	write_bytes(m, unit, offset, bytes, length);
	if (area == AREA_SUPER && index & 2) {
		touch(m, unit ^ 1, broken);
		write_bytes(m, unit ^ 1, offset, bytes, length);
	}
}

/* --- putting right what must be right to be looked at --- */

static void complete_uuid(struct larder_unit_header *header, const struct base *base)
{
	static const u8 none[LARDER_UUID_SIZE];

	if (!memcmp(header->uuid, none, sizeof(none)))
		memcpy(header->uuid, base->uuid, LARDER_UUID_SIZE);
}

static void seal(struct making *m, u64 unit, u64 magic, u64 number)
{
	struct larder_unit_header *header = (void *)m->disk->unit[unit];

	complete_uuid(header, m->base);
	unit_seal(header, magic, number, header->uuid);
}

static void seal_unit(struct making *m, u64 unit)
{
	const struct geometry *g = &m->base->geometry;
	const struct larder_double_header *header = (void *)m->disk->unit[g->dw_start];

	if (unit < 2)
		seal(m, unit, LARDER_MAGIC_SUPER, unit);
	else if (unit == g->dw_start)
		seal(m, unit, LARDER_MAGIC_DOUBLE, unit);
	else if (unit > g->dw_start && unit <= g->dw_start + g->dw_pages)
		seal(m, unit, LARDER_MAGIC_PAGE, g->table_start +
		     le64_to_cpu(header->images[unit - g->dw_start - 1].page));
	else if (unit >= g->journal_start && unit < g->journal_start + g->journal_blocks)
		seal(m, unit, LARDER_MAGIC_JOURNAL, unit);
	else if (unit >= g->table_start && unit < g->table_start + g->table_pages)
		seal(m, unit, LARDER_MAGIC_PAGE, unit);
}

static void complete_block(struct larder_journal_block *block, const struct base *base,
			   u64 sequence)
{
	if (!block->epoch)
		block->epoch = cpu_to_le64(base->epoch);
	if (!block->sequence)
		block->sequence = cpu_to_le64(sequence);
	if (!block->nr_records)
		block->nr_records = cpu_to_le16(1);
}

/* From the tail to the first block that is not the next one. */
static void chain_journal(struct making *m)
{
	const struct base *base = m->base;
	u32 i, crc = base->tail_crc;

	for (i = 0; i < base->geometry.journal_blocks; i++) {
		u64 unit = unit_of(base, AREA_JOURNAL, i), sequence = base->tail_seq + i;
		struct larder_journal_block *block = (void *)m->disk->unit[unit];

		if (m->seal[unit]) {
			complete_block(block, base, sequence);
			seal_unit(m, unit);
		}
		if (block->sequence != cpu_to_le64(sequence))
			return;
		if (block->prev_crc != cpu_to_le32(crc)) {
			block->prev_crc = cpu_to_le32(crc);
			m->disk->touched[unit] = true;
			seal_unit(m, unit);
		}
		crc = le32_to_cpu(block->header.crc);
	}
}

static void name_images(struct making *m)
{
	const struct geometry *g = &m->base->geometry;
	struct larder_double_header *header = (void *)m->disk->unit[g->dw_start];
	u32 i;

	for (i = 0; i < g->dw_pages; i++) {
		const struct larder_page *image = (void *)m->disk->unit[g->dw_start + 1 + i];

		header->images[i].crc = image->header.crc;
	}
	m->disk->touched[g->dw_start] = true;
	seal_unit(m, g->dw_start);
}

/* A single bit of the checksum, when all that was changed comes out as it was. */
static void damage(struct making *m)
{
	struct larder_unit_header *header;
	u64 unit;

	for (unit = 0; unit < m->base->disk.units; unit++) {
		if (!m->disk->touched[unit])
			continue;
		header = (void *)m->disk->unit[unit];
		if (!unit_verify(header, le64_to_cpu(header->magic), unit, header->uuid))
			header->crc ^= cpu_to_le32(1);
	}
}

void image_read(struct image_input *image, const u8 *data, size_t size)
{
	struct input in = { data, size };
	u32 number = input_byte(&in) % NR_BASES;
	struct making m = { .base = base_get(number) };
	u64 unit;

	m.disk = working_copy(number, m.base);
	image->base = m.base;
	image->disk = m.disk;
	image->flags = input_byte(&in);
	image->seed = (u16)input_number(&in, 2);
	while (in.left)
		make_change(&m, &in);
	if (image->flags & IMAGE_DAMAGE)
		damage(&m);
	if (image->flags & (IMAGE_RAW | IMAGE_DAMAGE))
		return;
	for (unit = 0; unit < m.base->disk.units; unit++)
		if (m.seal[unit])
			seal_unit(&m, unit);
	if (image->flags & IMAGE_UNCHAINED)
		return;
	if (m.journal)
		chain_journal(&m);
	if (m.images)
		name_images(&m);
}
