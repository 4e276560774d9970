// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Salvage, third part: the journal, which may have holes.
 *
 * DOC: what a hole means
 *
 * A journal block that is lost may have changed any slot.  A slot is certain
 * all the same when a later record names it, as records are absolute, or when
 * its table page is younger than the hole.  Anything else may be out of date:
 * its slot may hold another block by now, and its block may have been written
 * on the origin (I2).  Such entries must not come back.
 *
 * That a block is lost, and was not just the end of the journal, is proved by a
 * block of a commit that began behind it (see core/metadata-replay.c).
 *
 * DOC: where the journal begins
 *
 * When the newest superblock is lost, its tail is unknown.  But a block is only
 * overwritten when it is in the table, so nothing older than one ring matters;
 * and a page is at most one segment ahead of the tail.  Blocks before the tail
 * are read, too: for pages that are lost.
 */
#include "../dm-target/core/metadata-internal.h"
#include "salvage.h"

#define LL(n) ((unsigned long long)(n))

static const struct larder_journal_block *ring_block(const struct salvage *s, u32 place)
{
	return (const void *)(s->ring + (size_t)place * LARDER_UNIT_SIZE);
}

static u32 place_of(const struct salvage *s, u64 sequence)
{
	return (u32)(sequence % s->md->geometry.journal_blocks);
}

/* The block with that number, of the epoch that counts; NULL when it is not there. */
static const struct larder_journal_block *block_at(const struct salvage *s, u64 sequence)
{
	u32 place = place_of(s, sequence);
	const struct larder_journal_block *block = ring_block(s, place);

	if (!s->ring_valid[place] || le64_to_cpu(block->sequence) != sequence ||
	    le64_to_cpu(block->epoch) != s->epoch)
		return NULL;
	return block;
}

static void judge_place(struct salvage *s, u32 place)
{
	const struct larder_journal_block *block = ring_block(s, place);
	u64 sequence = le64_to_cpu(block->sequence), epoch = le64_to_cpu(block->epoch);

	if (!sequence || sequence >= COUNTER_MAX || epoch >= COUNTER_MAX ||
	    place_of(s, sequence) != place || block->commit_index >= COMMIT_BLOCKS_MAX ||
	    block->commit_index >= sequence || journal_block_verify(s->md, block))
		return;
	s->ring_valid[place] = true;
	s->epoch = max(s->epoch, epoch);
}

/* Is the first block that is there the first of its epoch? */
static bool epoch_begins(const struct salvage *s, u64 sequence)
{
	const struct larder_journal_block *block = block_at(s, sequence), *before;
	u32 place = place_of(s, sequence - 1);

	if (sequence == 1)
		return true;
	if (s->super_known && super_tail(s->md) == sequence &&
	    s->md->buffers.super.tail_crc == block->prev_crc)
		return true;
	before = ring_block(s, place);
	return s->ring_valid[place] && le64_to_cpu(before->sequence) == sequence - 1 &&
	       before->header.crc == block->prev_crc;
}

static void note_hole(struct salvage *s, u64 sequence)
{
	s->hole = max(s->hole, sequence);
	/* before the floor, it matters to pages that are lost only */
	if (sequence < s->floor)
		return;
	s->losses.journal_blocks++;
	image_damage(&s->image, SEVERITY_DAMAGE, journal_unit(s->md, sequence),
		     "journal block %llu is lost, with up to 126 changes", LL(sequence));
}

static void find_window(struct salvage *s)
{
	u64 ring = s->md->geometry.journal_blocks, newest = 0, oldest = U64_MAX, bound = 1;
	bool wrapped;
	u32 place;

	for (place = 0; place < ring; place++) {
		u64 sequence = le64_to_cpu(ring_block(s, place)->sequence);

		if (!s->ring_valid[place] || le64_to_cpu(ring_block(s, place)->epoch) != s->epoch)
			continue;
		newest = max(newest, sequence);
		oldest = min(oldest, sequence);
	}
	wrapped = newest >= ring;
	if (wrapped)
		bound = newest - ring + 1;
	s->start = wrapped ? max(oldest, bound) : oldest;
	if (!s->both_supers && s->generation_max > SEGMENT_BLOCKS)
		bound = max(bound, s->generation_max - SEGMENT_BLOCKS);
	if (s->super_known && s->epoch == le64_to_cpu(s->md->buffers.super.epoch)) {
		/* a ring further, the tail has moved on since */
		s->floor = max(super_tail(s->md), bound);
		s->start = min(s->start, s->floor);
		/* made up: no block can be so far behind the tail */
		if (s->floor > ring)
			s->start = max(s->start, s->floor - ring);
	} else if (!newest) {
		s->floor = max(bound, s->generation_max);
		s->start = s->floor;
	} else if (oldest > bound && epoch_begins(s, oldest)) {
		s->floor = oldest;
	} else {
		s->floor = bound;
		if (oldest > bound)
			note_hole(s, oldest - 1);
	}
}

int salvage_read_journal(struct salvage *s)
{
	const struct geometry *g = &s->md->geometry;
	u32 place;

	s->epoch = le64_to_cpu(s->md->buffers.super.epoch);
	for (place = 0; place < g->journal_blocks; place++) {
		u64 unreadable = s->losses.units_unreadable;

		salvage_read(s, g->journal_start + place, 1,
			     s->ring + (size_t)place * LARDER_UNIT_SIZE);
		s->ring_unreadable[place] = s->losses.units_unreadable != unreadable;
		judge_place(s, place);
	}
	find_window(s);
	return 0;
}

/* --- records --- */

static void apply(struct salvage *s, const struct larder_record *record, u64 sequence)
{
	u32 index = le32_to_cpu(record->index);
	u64 number = record_page(record);
	struct page_state *page = &s->pages[number];
	struct slot_state *state;
	u64 flags = le64_to_cpu(record->block_flags);

	if (page->intact && sequence < page->generation)
		return;
	s->pages_named = max(s->pages_named, number + 1);
	switch (record->type) {
	case LARDER_RECORD_ENTRY:
		state = &s->image.slots[index];
		if (state->block_flags != flags)
			state->hint = 0;
		state->block_flags = flags;
		state->valid = le64_to_cpu(record->valid);
		state->dirty = le64_to_cpu(record->dirty);
		s->recorded[index] = sequence;
		break;
	case LARDER_RECORD_INTENT:
		s->image.intents[number].kind = (u8)flags;
		s->image.intents[number].slots = le64_to_cpu(record->valid);
		page->intent_sequence = sequence;
		break;
	case LARDER_RECORD_HINT:
		if (slot_used(&s->image.slots[index]))
			s->image.slots[index].hint = (u32)flags;
		break;
	}
}

static void accept(struct salvage *s, const struct larder_journal_block *block)
{
	u64 sequence = le64_to_cpu(block->sequence);
	u32 i, nr = le16_to_cpu(block->nr_records);

	if (!nr || nr > LARDER_RECORDS_PER_BLOCK) {
		note_hole(s, sequence);
		return;
	}
	for (i = 0; i < nr; i++) {
		if (record_judge(s->md, &block->records[i]))
			note_hole(s, sequence);	/* whatever it was meant to change */
		else
			apply(s, &block->records[i], sequence);
	}
}

/*
 * Where the last commit begins that proves block "sequence" to be lost; 0:
 * nothing does.
 */
static u64 proof(const struct salvage *s, u64 sequence)
{
	u64 begin, last = 0;
	u32 i;

	for (i = 1; i < s->md->geometry.journal_blocks; i++) {
		const struct larder_journal_block *block = block_at(s, sequence + i);

		if (!block)
			continue;
		begin = sequence + i - block->commit_index;
		if (begin > sequence)
			last = max(last, begin);
	}
	return last;
}

/* Blocks that are there between a hole and the commit that proves it are as good as any. */
static void cross_hole(struct salvage *s, u64 from, u64 to)
{
	for (; from < to; from++) {
		const struct larder_journal_block *block = block_at(s, from);

		if (block)
			accept(s, block);
		else
			note_hole(s, from);
	}
}

void salvage_replay(struct salvage *s)
{
	u64 sequence = s->start, last;
	bool chained = s->super_known && s->start == super_tail(s->md);
	__le32 crc = s->md->buffers.super.tail_crc;

	for (;;) {
		const struct larder_journal_block *block = block_at(s, sequence);

		if (block && (!chained || block->prev_crc == crc)) {
			accept(s, block);
			crc = block->header.crc;
			chained = true;
			sequence++;
			continue;
		}
		last = proof(s, sequence);
		/* what is in the table ended there, whatever is left of it here */
		if (!last && sequence < s->floor)
			last = s->floor;
		if (!last)
			break;
		cross_hole(s, sequence, last);
		sequence = last;
		chained = s->super_known && sequence == super_tail(s->md);
		crc = s->md->buffers.super.tail_crc;
	}
	/* a power cut leaves blocks that are torn, but none that cannot be read */
	if (s->ring_unreadable[place_of(s, sequence)])
		note_hole(s, sequence++);
	/* pages have what is in the journal no longer */
	if (s->generation_max > sequence) {
		note_hole(s, s->generation_max - 1);
		sequence = s->generation_max;
	}
	s->next_sequence = max(sequence, super_tail(s->md));
}
