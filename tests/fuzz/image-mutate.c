// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mutations of image inputs: whole changes come, go and move, and new ones
 * write a field of the format with a number that is likely to matter.
 */
#include "image-input.h"

#define CHANGES_MAX 48u

struct change {
	u8 what, index;
	u16 offset;
	u8 length;
	u8 bytes[CHANGE_BYTES_MAX];
};

struct draft {
	u8 head[IMAGE_HEAD];
	u32 nr;
	struct change change[CHANGES_MAX];
};

static void read_draft(struct draft *d, const u8 *data, size_t size)
{
	struct input in = { data, size };
	size_t taken;
	u32 i;

	for (i = 0; i < IMAGE_HEAD; i++)
		d->head[i] = input_byte(&in);
	for (d->nr = 0; in.left && d->nr < CHANGES_MAX; d->nr++) {
		struct change *c = &d->change[d->nr];
		const u8 *bytes;

		c->what = input_byte(&in);
		c->index = input_byte(&in);
		c->offset = (u16)input_number(&in, 2);
		bytes = input_bytes(&in, input_byte(&in) % (CHANGE_BYTES_MAX + 1), &taken);
		memcpy(c->bytes, bytes, taken);
		c->length = (u8)taken;
	}
}

static size_t write_draft(const struct draft *d, u8 *data, size_t max_size)
{
	size_t size = IMAGE_HEAD;
	u32 i;

	if (max_size < IMAGE_HEAD)
		return 0;
	memcpy(data, d->head, IMAGE_HEAD);
	for (i = 0; i < d->nr; i++) {
		const struct change *c = &d->change[i];

		if (size + CHANGE_HEAD + c->length > max_size)
			break;
		data[size] = c->what;
		data[size + 1] = c->index;
		data[size + 2] = (u8)c->offset;
		data[size + 3] = (u8)(c->offset >> 8);
		data[size + 4] = c->length;
		memcpy(data + size + CHANGE_HEAD, c->bytes, c->length);
		size += CHANGE_HEAD + c->length;
	}
	return size;
}

/* --- fields --- */

struct field {
	u8 area;
	u16 offset;
	u8 size;
	u8 times;	/* in an array, ... */
	u8 stride;	/* ... with elements of this size */
};

#define SUPER(name) \
	{ AREA_SUPER, offsetof(struct larder_superblock, name), \
	  sizeof(((struct larder_superblock *)0)->name), 1, 0 }
#define BLOCK(name) \
	{ AREA_JOURNAL, offsetof(struct larder_journal_block, name), \
	  sizeof(((struct larder_journal_block *)0)->name), 1, 0 }
#define RECORD(name) \
	{ AREA_JOURNAL, offsetof(struct larder_journal_block, records[0].name), \
	  sizeof(((struct larder_record *)0)->name), LARDER_RECORDS_PER_BLOCK, 32 }
#define PAGE(name) \
	{ AREA_TABLE, offsetof(struct larder_page, name), \
	  sizeof(((struct larder_page *)0)->name), 1, 0 }
#define ENTRY(name) \
	{ AREA_TABLE, offsetof(struct larder_page, entries[0].name), \
	  sizeof(((struct larder_entry *)0)->name), LARDER_ENTRIES_PER_PAGE, 32 }
#define IMAGES(name) \
	{ AREA_DOUBLE, offsetof(struct larder_double_header, images[0].name), \
	  sizeof(((struct larder_double_image *)0)->name), 4, 16 }

static const struct field fields[] = {
	SUPER(header.uuid), SUPER(generation), SUPER(version), SUPER(flags), SUPER(compat),
	SUPER(ro_compat), SUPER(incompat), SUPER(chunk_sectors), SUPER(block_sectors),
	SUPER(grain_sectors), SUPER(nr_slots), SUPER(origin_sectors), SUPER(cache_sectors),
	SUPER(metadata_units), SUPER(dw_start), SUPER(dw_pages), SUPER(journal_blocks),
	SUPER(journal_start), SUPER(table_start), SUPER(table_pages), SUPER(formatted_pages),
	SUPER(epoch), SUPER(tail_seq), SUPER(tail_crc), SUPER(last_mode), SUPER(last_policy),
	BLOCK(epoch), BLOCK(sequence), BLOCK(prev_crc), BLOCK(nr_records), BLOCK(commit_index),
	RECORD(index), RECORD(type), RECORD(block_flags), RECORD(valid), RECORD(dirty),
	PAGE(generation), PAGE(page), PAGE(intent), PAGE(intent_slots),
	ENTRY(block_flags), ENTRY(valid), ENTRY(dirty), ENTRY(hint), ENTRY(spare),
	{ AREA_DOUBLE, offsetof(struct larder_double_header, nr_images), 4, 1, 0 },
	IMAGES(page), IMAGES(crc),
	{ AREA_COPY, 0, 1, 1, 0 },
	{ AREA_SIZE, 0, 1, 1, 0 },
};

/* What the field holds in the base, if it is one of at most 8 bytes. */
static u64 value_now(const struct base *base, const struct change *c)
{
	const struct geometry *g = &base->geometry;
	u32 offset = c->offset % LARDER_UNIT_SIZE;
	u64 unit = 0, value = 0;

	switch (c->what & ~AREA_BROKEN) {
	case AREA_SUPER:
		unit = base->generation & 1;
		break;
	case AREA_DOUBLE:
		unit = g->dw_start;
		break;
	case AREA_JOURNAL:
		unit = g->journal_start + (base->tail_seq + c->index) % g->journal_blocks;
		break;
	case AREA_TABLE:
		unit = g->table_start + c->index % g->table_pages;
		break;
	}
	memcpy(&value, base->disk.unit[unit] + offset,
	       min(min_t(u32, c->length, sizeof(value)), LARDER_UNIT_SIZE - offset));
	return value;
}

static u64 number_of_base(const struct base *base, u64 *random)
{
	const struct geometry *g = &base->geometry;
	const u64 numbers[] = {
		g->nr_slots, g->table_pages, g->table_start, g->journal_start, g->journal_blocks,
		g->dw_start, g->dw_pages, g->metadata_units, g->origin_sectors,
		g->nr_origin_blocks, g->cache_sectors, g->chunk_sectors, g->block_sectors,
		base->epoch, base->generation, base->tail_seq, base->head_seq,
		base->formatted_pages, LARDER_ENTRY_USED, LARDER_RECORDS_PER_BLOCK,
		LARDER_ENTRIES_PER_PAGE, COUNTER_MAX, geometry_all_grains(g), U32_MAX,
	};

	return numbers[fuzz_below(random, ARRAY_SIZE(numbers))] + fuzz_below(random, 3) - 1;
}

static u64 likely_number(const struct base *base, const struct change *c, u64 *random)
{
	u64 number;

	switch (fuzz_below(random, 8)) {
	case 0:
		return value_now(base, c) + fuzz_below(random, 5) - 2;
	case 1:
		number = 8 * min_t(u32, c->length, 8);
		return value_now(base, c) ^ 1ull << fuzz_below(random, (u32)number);
	case 2:
	case 3:
		return number_of_base(base, random);
	case 4:		/* an entry's block */
		number = fuzz_below(random, (u32)base->geometry.nr_origin_blocks);
		return number | LARDER_ENTRY_USED;
	case 5:
		return U64_MAX >> fuzz_below(random, 64);
	case 6:
		return fuzz_below(random, 256);
	default:
		return 1ull << fuzz_below(random, 64);
	}
}

static void set_value(struct change *c, const struct base *base, u64 *random)
{
	u64 value;
	u32 i;

	for (i = 0; i < c->length; i += sizeof(value)) {
		value = likely_number(base, c, random);
		memcpy(c->bytes + i, &value, min_t(u32, sizeof(value), c->length - i));
	}
}

/* The journal's index: mostly one of its blocks, or the first behind its end. */
static u8 likely_index(const struct base *base, u8 area, u64 *random)
{
	u64 used = base->head_seq - base->tail_seq;

	switch (area) {
	case AREA_SUPER:
		return (u8)fuzz_below(random, 3);
	case AREA_DOUBLE:
		return 0;
	case AREA_JOURNAL:
		return (u8)(fuzz_below(random, 8) ? fuzz_below(random, (u32)used + 1) :
			    used + fuzz_below(random, 3));
	default:
		return (u8)fuzz_random(random);
	}
}

static void make_field_change(struct change *c, const struct base *base, u64 *random)
{
	const struct field *f = &fields[fuzz_below(random, ARRAY_SIZE(fields))];

	c->what = f->area;
	c->index = likely_index(base, f->area, random);
	/* arrays: mostly the first few */
	c->offset = (u16)(f->offset + f->stride *
			  fuzz_below(random, fuzz_below(random, 2) ? f->times :
				     min_t(u32, f->times, 4)));
	c->length = f->size;
	set_value(c, base, random);
	if (!fuzz_below(random, 40))
		c->what |= AREA_BROKEN;
}

/* A whole record or entry of sense. */
static void make_record_change(struct change *c, const struct base *base, u64 *random)
{
	struct larder_record r = base_record(random, &base->geometry, base->geometry.nr_slots);
	const struct larder_entry e = {
		.block_flags = r.block_flags, .valid = r.valid, .dirty = r.dirty,
	};
	u32 number = fuzz_below(random, LARDER_RECORDS_PER_BLOCK);

	c->length = sizeof(r);
	if (fuzz_below(random, 2)) {
		c->what = AREA_JOURNAL;
		c->index = likely_index(base, AREA_JOURNAL, random);
		c->offset = (u16)(offsetof(struct larder_journal_block, records) +
				  number % (1 + fuzz_below(random, 8)) * sizeof(r));
		memcpy(c->bytes, &r, sizeof(r));
	} else {
		c->what = AREA_TABLE;
		c->index = (u8)geometry_table_page(le32_to_cpu(r.index));
		c->offset = (u16)(offsetof(struct larder_page, entries) + number * sizeof(e));
		memcpy(c->bytes, &e, sizeof(e));
	}
}

static void mutate_once(struct draft *d, u64 *random)
{
	const struct base *base = base_get(d->head[0]);
	u32 which = d->nr ? fuzz_below(random, d->nr) : 0;

	switch (d->nr ? fuzz_below(random, 12) : 11 - fuzz_below(random, 6)) {
	case 0:		/* one less */
		d->change[which] = d->change[--d->nr];
		break;
	case 1:
		set_value(&d->change[which], base, random);
		break;
	case 2:
		d->change[which].index += (u8)(fuzz_below(random, 5) - 2);
		break;
	case 3:
		d->change[which].offset += (u16)(fuzz_below(random, 3) * 32 - 32);
		break;
	case 4:		/* again, next door */
		if (d->nr < CHANGES_MAX) {
			d->change[d->nr] = d->change[which];
			d->change[d->nr++].index++;
		}
		break;
	case 5:
		d->head[2 + fuzz_below(random, 2)] = (u8)fuzz_random(random);
		break;
	case 6:
		if (fuzz_below(random, 4))
			d->head[1] ^= 4u << fuzz_below(random, 2);
		else
			d->head[1] ^= 1u << fuzz_below(random, 5);
		d->head[0] = fuzz_below(random, 4) ? d->head[0] : (u8)fuzz_below(random, NR_BASES);
		break;
	case 7:
	case 8:
		if (d->nr < CHANGES_MAX)
			make_record_change(&d->change[d->nr++], base, random);
		break;
	default:
		if (d->nr < CHANGES_MAX)
			make_field_change(&d->change[d->nr++], base, random);
	}
}

size_t image_mutate(u8 *data, size_t size, size_t max_size, unsigned int seed)
{
	static struct draft d;
	u64 random = seed;
	u32 i;

	if (!fuzz_below(&random, 6))
		return LLVMFuzzerMutate(data, size, max_size);
	read_draft(&d, data, size);
	for (i = 0; i <= fuzz_below(&random, 3); i++)
		mutate_once(&d, &random);
	return write_draft(&d, data, max_size);
}
