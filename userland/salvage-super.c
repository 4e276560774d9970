// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Salvage, first part: whose metadata is it, and where is what?
 *
 * Unit 0 decides what a device is (see core/format.h), so a device whose unit 0
 * is zero or somebody else's is only believed to hold a cache when the user
 * says so.
 */
#include <stdio.h>

#include "../dm-target/core/metadata-internal.h"
#include "salvage.h"

#define LL(n) ((unsigned long long)(n))

/* At least this part of a device must be left: what is missing takes time, too. */
#define CUT_TO_MAX 16u

static struct larder_superblock supers[2] __attribute__((aligned(LARDER_UNIT_SIZE)));

static bool super_intact(u64 number)
{
	const struct larder_superblock *sb = &supers[number];
	u64 generation = le64_to_cpu(sb->generation);

	return !unit_verify(sb, LARDER_MAGIC_SUPER, number, sb->header.uuid) && generation &&
	       generation < COUNTER_MAX && (generation & 1) == number;
}

static bool same_uuid(const u8 *a, const u8 *b)
{
	return !memcmp(a, b, LARDER_UUID_SIZE);
}

/* Unit 0 is not a superblock at all. */
static int judge_first_unit(const struct salvage *s, const char *path, bool second_intact)
{
	const char *foreign;

	if (s->options.wiped)
		return 0;
	if (second_intact && !unit_is_zero(&supers[0]) &&
	    same_uuid(supers[0].header.uuid, supers[1].header.uuid))
		return 0;	/* no more than its magic is damaged */
	foreign = foreign_name(supers);
	if (unit_is_zero(&supers[0]))
		complain("%s: unit 0 is all zero: it is blank, or was wiped for a new cache", path);
	else
		complain("%s: unit 0 holds %s, not a dm-larder cache", path,
			 foreign ? foreign : "unknown data");
	if (second_intact)
		complain("superblock B of a cache is still there: --wiped believes it. Do that only "
			 "if no cache has used the slots since");
	return EXIT_NOT_OURS;
}

static int judge_features(const struct larder_superblock *sb, const char *path)
{
	if (le32_to_cpu(sb->version) == LARDER_FORMAT_VERSION &&
	    !(le64_to_cpu(sb->incompat) & ~LARDER_INCOMPAT_SUPPORTED) &&
	    !(le64_to_cpu(sb->ro_compat) & ~LARDER_RO_COMPAT_SUPPORTED))
		return 0;
	complain("%s: a newer dm-larder, with features that this version cannot write", path);
	return EXIT_NOT_OURS;
}

static int take_super(struct salvage *s, const char *path, const struct larder_superblock *sb)
{
	u64 units = min(le64_to_cpu(sb->metadata_units), s->device.units * CUT_TO_MAX);
	int code = judge_features(sb, path);

	if (code)
		return code;
	/* parts beyond the end of a device that was cut are lost, the others are not */
	units = max(units, s->device.units);
	if (!geometry_from_super(&s->md->geometry, sb, units) ||
	    !super_state_fits(sb, &s->md->geometry)) {
		complain("%s: the superblock verifies, but its numbers cannot be true", path);
		return EXIT_DAMAGED;
	}
	s->md->buffers.super = *sb;
	/* another cache may have been there meanwhile: its data have other tuples, or none */
	if (s->options.wiped)
		s->md->buffers.super.ro_compat &= ~cpu_to_le64(LARDER_RO_COMPAT_TUPLES);
	s->super_known = true;
	return 0;
}

/* --- without superblocks --- */

/* The double-write header is written whenever a device is formatted. */
static bool find_uuid(struct salvage *s, u8 *uuid)
{
	static struct larder_double_header header __attribute__((aligned(LARDER_UNIT_SIZE)));
	u64 unit = s->md->geometry.dw_start;

	salvage_read(s, unit, 1, &header);
	memcpy(uuid, header.header.uuid, LARDER_UUID_SIZE);
	if (!unit_verify(&header, LARDER_MAGIC_DOUBLE, unit, uuid))
		return true;
	memcpy(uuid, supers[0].header.uuid, LARDER_UUID_SIZE);
	return same_uuid(supers[0].header.uuid, supers[1].header.uuid) &&
	       supers[0].header.magic == cpu_to_le64(LARDER_MAGIC_SUPER) &&
	       supers[1].header.magic == cpu_to_le64(LARDER_MAGIC_SUPER);
}

/* Is a page where the geometry has it?  Without any, nothing speaks for the sizes. */
static bool table_is_there(struct salvage *s, const u8 *uuid)
{
	static struct larder_page page __attribute__((aligned(LARDER_UNIT_SIZE)));
	const struct geometry *g = &s->md->geometry;
	u64 number;

	for (number = 0; number < g->table_pages; number++) {
		salvage_read(s, g->table_start + number, 1, &page);
		if (!unit_verify(&page, LARDER_MAGIC_PAGE, g->table_start + number, uuid))
			return le32_to_cpu(page.page) == number;
	}
	return false;
}

/*
 * Are the journal's blocks where the geometry has them?  The table can be in
 * the right place with the wrong sizes.  A few others may be from an older life.
 */
static bool journal_is_there(struct salvage *s, const u8 *uuid)
{
	static struct larder_journal_block block __attribute__((aligned(LARDER_UNIT_SIZE)));
	const struct geometry *g = &s->md->geometry;
	u64 unit, fit = 0, others = 0;

	for (unit = g->dw_start; unit < g->table_start; unit++) {
		salvage_read(s, unit, 1, &block);
		if (unit_verify(&block, LARDER_MAGIC_JOURNAL, unit, uuid))
			continue;
		if (journal_unit(s->md, le64_to_cpu(block.sequence)) == unit)
			fit++;
		else
			others++;
	}
	return fit >= others;
}

static int missing_supers(const char *path)
{
	complain("%s: neither superblock is left. The rest can be salvaged when the sizes are "
		 "known: --chunk-size, --cache-size and --origin-size, as in the table line of the cache "
		 "and of its devices", path);
	return EXIT_DAMAGED;
}

/* As it was made, and then grown: see "Resizing" in core/format.h. */
static bool take_sizes(struct salvage *s)
{
	const struct salvage_options *o = &s->options;
	u64 units = o->metadata_sectors ? o->metadata_sectors / LARDER_UNIT_SECTORS :
					  s->device.units;
	u64 first = o->first_cache_sectors ? o->first_cache_sectors : o->cache_sectors;
	u64 needed;

	if (o->chunk_sectors > CHUNK_SECTORS_MAX || first > o->cache_sectors ||
	    geometry_choose(&s->md->geometry, (u32)o->chunk_sectors, o->origin_sectors, first,
			    units, &needed))
		return false;
	geometry_grow(&s->md->geometry, o->cache_sectors, max(units, s->device.units), &needed);
	return true;
}

/* Sizes that leave out a part of the table would lose what that holds without a word. */
static bool table_goes_on(struct salvage *s, const u8 *uuid)
{
	static struct larder_page page __attribute__((aligned(LARDER_UNIT_SIZE)));
	const struct geometry *g = &s->md->geometry;
	u64 unit;

	for (unit = g->table_start + g->table_pages; unit < s->device.units; unit++) {
		salvage_read(s, unit, 1, &page);
		if (!unit_verify(&page, LARDER_MAGIC_PAGE, unit, uuid) &&
		    le32_to_cpu(page.page) == unit - g->table_start)
			return true;
	}
	return false;
}

static int make_super(struct salvage *s, const char *path)
{
	const struct salvage_options *o = &s->options;
	struct larder_superblock *sb = &s->md->buffers.super;

	if (!o->chunk_sectors || !o->cache_sectors || !o->origin_sectors)
		return missing_supers(path);
	if (!take_sizes(s)) {
		complain("%s: no cache of these sizes can have had its metadata here", path);
		return EXIT_DAMAGED;
	}
	if (!find_uuid(s, sb->header.uuid) || !table_is_there(s, sb->header.uuid) ||
	    !journal_is_there(s, sb->header.uuid)) {
		complain("%s: table and journal are not where these sizes would have them: they "
			 "are not the right ones (or a device has another size than when the cache "
			 "was made: --metadata-size, --first-cache-size)", path);
		return EXIT_DAMAGED;
	}
	if (table_goes_on(s, sb->header.uuid)) {
		complain("%s: the table goes on behind the slots of these sizes: the cache has "
			 "grown. Give --cache-size as it was last, and --first-cache-size as it was "
			 "when the cache was made", path);
		return EXIT_DAMAGED;
	}
	sb->version = cpu_to_le32(LARDER_FORMAT_VERSION);
	sb->compat = cpu_to_le64(LARDER_COMPAT_HINTS);
	sb->generation = cpu_to_le64(2);
	sb->tail_seq = cpu_to_le64(1);
	return 0;
}

static int choose(struct salvage *s, const char *path)
{
	bool intact[2] = { super_intact(0), super_intact(1) };
	int code, which;

	if (supers[0].header.magic != cpu_to_le64(LARDER_MAGIC_SUPER)) {
		code = judge_first_unit(s, path, intact[1]);
		if (code)
			return code;
	}
	/* a first format that was cut off leaves an old one in unit 0 and a new one in unit 1 */
	if (intact[0] && intact[1] && !same_uuid(supers[0].header.uuid, supers[1].header.uuid))
		intact[1] = false;
	s->both_supers = intact[0] && intact[1];
	s->losses.superblocks = 2u - intact[0] - intact[1];
	if (!intact[0])
		salvage_tell(s, 0, "superblock A is lost");
	if (!intact[1])
		salvage_tell(s, 1, "superblock B is lost");
	if (convert_marked(&supers[0]) && !s->options.wiped) {
		complain("%s: a conversion has not finished: run the same larder convert again, "
			 "which makes it whole", path);
		return EXIT_DAMAGED;
	}
	if (build_marked(&supers[0]) && !intact[1]) {
		complain("%s: a restore or repair onto it has not finished, there is nothing",
			 path);
		return EXIT_DAMAGED;
	}
	if (!intact[0] && !intact[1])
		return make_super(s, path);
	which = intact[1] && (!intact[0] || le64_to_cpu(supers[1].generation) >
					    le64_to_cpu(supers[0].generation));
	return take_super(s, path, &supers[which]);
}

int salvage_super(struct salvage *s, const char *path)
{
	int code;

	salvage_read(s, 0, 1, &supers[0]);
	salvage_read(s, 1, 1, &supers[1]);
	code = choose(s, path);
	if (code)
		return code;
	s->super = s->md->buffers.super;
	/* how far the table was formatted is only known from the newest superblock */
	if (!s->both_supers)
		s->md->buffers.super.formatted_pages = cpu_to_le64(s->md->geometry.table_pages);
	s->image.geometry = s->md->geometry;
	s->image.nr_pages = super_formatted(s->md);
	s->image.nr_slots = metadata_formatted_slots(s->md);
	return 0;
}
