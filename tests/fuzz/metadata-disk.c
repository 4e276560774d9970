// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The metadata device in memory and the bases, see metadata-disk.h.
 */
#include "metadata-disk.h"

void disk_init(struct metadata_disk *disk, u64 units)
{
	FUZZ_CHECK(units <= DISK_UNITS_MAX);
	memset(disk, 0, sizeof(*disk));
	disk->units = units;
	disk->unit = fuzz_alloc_aligned(LARDER_UNIT_SIZE, DISK_UNITS_MAX * LARDER_UNIT_SIZE);
	disk->cut_at = U64_MAX;
}

static int write_units(struct metadata_disk *disk, const struct metadata_io *io)
{
	FUZZ_CHECK(!disk->read_only, "a write to unit %llu", (unsigned long long)io->unit);
	if (disk->nr_writes++ >= disk->cut_at)
		return -EIO;
	memcpy(disk->unit[io->unit], io->buffer, (size_t)io->nr_units * LARDER_UNIT_SIZE);
	memset(&disk->touched[io->unit], true, io->nr_units);
	return 0;
}

int disk_perform(struct metadata_disk *disk, const struct metadata_io *io)
{
	if (io->kind == METADATA_FLUSH) {
		FUZZ_CHECK(io->devices && !disk->read_only);
		return 0;
	}
	FUZZ_CHECK(io->devices == DEVICE_METADATA);
	FUZZ_CHECK(io->nr_units && io->nr_units <= METADATA_IO_UNITS_MAX);
	FUZZ_CHECK(io->unit < disk->units && io->nr_units <= disk->units - io->unit,
		   "unit %llu, %u of them", (unsigned long long)io->unit, io->nr_units);
	FUZZ_CHECK((uintptr_t)io->buffer % LARDER_UNIT_SIZE == 0);
	if (io->kind != METADATA_READ)
		return write_units(disk, io);
	memcpy(io->buffer, disk->unit[io->unit], (size_t)io->nr_units * LARDER_UNIT_SIZE);
	return 0;
}

int disk_run(struct metadata_disk *disk, struct metadata_op *op)
{
	struct metadata_io io;
	int rc, result = 0;

	while ((rc = metadata_step(op, result, &io)) == METADATA_IO)
		result = disk_perform(disk, &io);
	return rc;
}

/* --- bases --- */

struct shape {
	u32 chunk_sectors;
	u64 origin_sectors;
	u32 nr_slots;
	u32 dw_pages;
	u32 spare_units;	/* of the device, behind the table */
	u32 commits, records;	/* of its history */
	bool checkpoints;
	bool clean_stop;
	bool torn;		/* the last checkpoint was cut between the copies and the pages */
};

static const struct shape shapes[NR_BASES] = {
	/* blocks of 16 KiB, all that can be there */
	{ 128, 1 << 22, 700, 4, 0, 40, 30, true, false, false },
	/* one page, nothing but a few records in the journal */
	{ 128, 128 * 300 + 9, 100, 1, 3, 3, 5, false, false, false },
	/* masks of 33 grains, a short last block */
	{ 520, 520 * 900 + 13, 130, 2, 0, 20, 20, true, false, false },
	/* stopped in order */
	{ 64, 1 << 20, 252, 2, 1, 30, 60, true, true, false },
	/* torn pages */
	{ 128, 1 << 22, 500, 3, 0, 30, 200, true, false, true },
	/* grains of 32 KiB, chunks of a single block */
	{ 4096, 4096 * 2000 + 1, 300, 3, 9, 10, 100, false, false, false },
};

static void choose_layout(struct geometry *g, const struct shape *s)
{
	u32 pages = DIV_ROUND_UP(s->nr_slots, LARDER_ENTRIES_PER_PAGE), block = s->chunk_sectors;
	u64 needed;

	while (block % 16 == 0 && block / 2 >= BLOCK_SECTORS_WANTED)
		block /= 2;
	FUZZ_CHECK(!geometry_choose(g, s->chunk_sectors, s->origin_sectors,
				    (u64)s->nr_slots * block,
				    3 + LARDER_DOUBLE_PAGES_MAX + JOURNAL_BLOCKS_MIN + pages,
				    &needed));
	FUZZ_CHECK(g->nr_slots == s->nr_slots);
	g->dw_pages = s->dw_pages;
	g->journal_blocks = JOURNAL_BLOCKS_MIN;
	g->journal_start = g->dw_start + 1 + g->dw_pages;
	g->table_start = g->journal_start + g->journal_blocks;
	g->metadata_units = g->table_start + g->table_pages + s->spare_units;
}

struct larder_record base_record(u64 *random, const struct geometry *g, u64 slots)
{
	u32 slot = fuzz_below(random, (u32)slots), every = (u32)div_u64(g->nr_origin_blocks, slots);
	struct larder_record r = { .type = LARDER_RECORD_ENTRY, .index = cpu_to_le32(slot) };
	u64 block, valid;

	switch (fuzz_below(random, 8)) {
	case 0:
		r.type = LARDER_RECORD_INTENT;
		r.index = cpu_to_le32((u32)geometry_table_page(slot));
		r.block_flags = cpu_to_le64(fuzz_below(random, LARDER_INTENT_WRITE_THROUGH + 1));
		r.valid = cpu_to_le64(fuzz_random(random) >> 1);
		break;
	case 1:
		r.type = LARDER_RECORD_HINT;
		r.block_flags = cpu_to_le64((u32)fuzz_random(random));
		break;
	case 2:		/* a forget */
		break;
	default:
		/* each slot has blocks of its own; where there are few, one or none */
		if (slot >= g->nr_origin_blocks)
			break;
		block = every ? (u64)slot * every + fuzz_below(random, every) : slot;
		valid = fuzz_random(random) & geometry_block_grains(g, block);
		r.block_flags = cpu_to_le64(block | LARDER_ENTRY_USED);
		r.valid = cpu_to_le64(valid);
		r.dirty = cpu_to_le64(valid & fuzz_random(random));
	}
	return r;
}

static void commit(struct metadata_disk *disk, struct metadata *md, u64 *random, u32 nr)
{
	struct larder_record r;

	metadata_commit_begin(md);
	for (; nr && metadata_commit_room(md, false); nr--) {
		r = base_record(random, metadata_geometry(md), metadata_formatted_slots(md));
		FUZZ_CHECK(metadata_commit_add(md, &r));
	}
	FUZZ_CHECK(!disk_run(disk, metadata_commit_run(md, 0)));
}

static void live(struct metadata_disk *disk, struct metadata *md, const struct shape *s,
		 u64 *random)
{
	u32 i;

	for (i = 0; i < s->commits; i++) {
		commit(disk, md, random, 1 + fuzz_below(random, s->records));
		if (metadata_checkpoint_wanted(md) || (s->checkpoints && i % 8 == 7))
			FUZZ_CHECK(!disk_run(disk, metadata_checkpoint_begin(md)));
	}
	if (s->clean_stop)
		FUZZ_CHECK(!disk_run(disk, metadata_stop_begin(md)));
	if (!s->torn)
		return;
	/* the copies are there, the pages are not */
	commit(disk, md, random, 300);
	disk->cut_at = disk->nr_writes + 1;
	FUZZ_CHECK(disk_run(disk, metadata_checkpoint_begin(md)) == -EIO);
	disk->cut_at = U64_MAX;
}

static void note_state(struct base *base, struct metadata *md)
{
	const struct larder_journal_block *last;
	const struct larder_superblock *sb;

	metadata_init(md, base->disk.units);
	FUZZ_CHECK(!disk_run(&base->disk, metadata_probe_begin(md)));
	FUZZ_CHECK(metadata_found(md) == METADATA_OURS);
	sb = metadata_super(md);
	base->epoch = le64_to_cpu(sb->epoch);
	base->generation = le64_to_cpu(sb->generation);
	base->tail_seq = le64_to_cpu(sb->tail_seq);
	base->tail_crc = le32_to_cpu(sb->tail_crc);
	base->formatted_pages = le64_to_cpu(sb->formatted_pages);
	base->last_commit = base->head_seq;
	if (base->head_seq == base->tail_seq)
		return;
	last = (void *)base->disk.unit[journal_unit(md, base->head_seq - 1)];
	base->last_commit = base->head_seq - 1 - last->commit_index;
}

static void make_base(struct base *base, u32 number)
{
	static const struct metadata_identity who = { 1, 2, 3 };
	const struct shape *s = &shapes[number];
	struct metadata *md = fuzz_alloc_aligned(LARDER_UNIT_SIZE, metadata_bytes());
	struct metadata_visitor nobody = { NULL };
	u64 random = number;
	u32 i;

	choose_layout(&base->geometry, s);
	disk_init(&base->disk, base->geometry.metadata_units);
	for (i = 0; i < sizeof(base->uuid); i++)
		base->uuid[i] = (u8)(17 * number + i + 1);
	metadata_init(md, base->disk.units);
	FUZZ_CHECK(!disk_run(&base->disk, metadata_probe_begin(md)));
	FUZZ_CHECK(!disk_run(&base->disk, metadata_format_begin(md, &base->geometry, base->uuid,
								&who)));
	FUZZ_CHECK(!disk_run(&base->disk, metadata_load_begin(md, &nobody, true)));
	FUZZ_CHECK(!disk_run(&base->disk, metadata_activate_begin(md, s->origin_sectors, 0,
								  "s3fifo", NULL)));
	FUZZ_CHECK(!disk_run(&base->disk, metadata_extend_begin(md)));
	live(&base->disk, md, s, &random);
	base->head_seq = md->head_seq;
	note_state(base, md);
	memset(base->disk.touched, 0, sizeof(base->disk.touched));
	free(md);
}

const struct base *base_get(u32 number)
{
	static struct base bases[NR_BASES];
	struct base *base = &bases[number % NR_BASES];

	if (!base->disk.units)
		make_base(base, number % NR_BASES);
	return base;
}
