// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Judges what the metadata core leaves alone when it loads: the superblock
 * that is not used, the double-write area, and the slots as a whole.
 */
#include <stdio.h>

#include "build.h"
#include "image.h"

#define LL(n) ((unsigned long long)(n))

static u8 unit_a[LARDER_UNIT_SIZE] __attribute__((aligned(LARDER_UNIT_SIZE)));
static u8 unit_b[LARDER_UNIT_SIZE] __attribute__((aligned(LARDER_UNIT_SIZE)));

static const char *const super_names[] = { "superblock A", "superblock B" };

static const char *judge_super(const struct larder_superblock *sb, u64 number, const u8 *uuid)
{
	const char *what = unit_verify(sb, LARDER_MAGIC_SUPER, number, uuid);

	if (!what && (le64_to_cpu(sb->generation) & 1) != number)
		what = "has the generation of the other one";
	return what;
}

/* What is fixed when a cache is formatted. */
static bool same_layout(const struct larder_superblock *a, const struct larder_superblock *b)
{
	const size_t start = offsetof(struct larder_superblock, dw_start);
	const size_t end = offsetof(struct larder_superblock, formatted_pages);

	return a->chunk_sectors == b->chunk_sectors && a->block_sectors == b->block_sectors &&
	       a->grain_sectors == b->grain_sectors && a->nr_slots == b->nr_slots &&
	       !memcmp((const u8 *)a + start, (const u8 *)b + start, end - start);
}

void judge_superblocks(struct image *image)
{
	const struct larder_superblock *a = (const void *)unit_a, *b = (const void *)unit_b;
	const struct larder_superblock *used = metadata_super(image->md);
	const char *what[2];
	u64 i;

	if (!image_read_unit(image, 0, unit_a) || !image_read_unit(image, 1, unit_b))
		return;
	what[0] = judge_super(a, 0, a->header.uuid);
	what[1] = judge_super(b, 1, a->header.uuid);
	for (i = 0; i < 2; i++)
		if (what[i])
			image_damage(image, SEVERITY_SPARE, i, "%s: %s; the other one is used, "
				     "the next start of the cache writes it anew",
				     super_names[i], what[i]);
	if (!what[0] && !what[1] && !same_layout(a, b))
		image_damage(image, SEVERITY_SPARE, metadata_generation(image->md) & 1 ? 0 : 1,
			     "the superblocks disagree about the layout; the newer one is used");
	if (le64_to_cpu(used->ro_compat) & ~LARDER_RO_COMPAT_SUPPORTED)
		image_damage(image, SEVERITY_NOTE, 0,
			     "written with features that this version may only read");
}

static void judge_foreign(struct image *image)
{
	const struct larder_unit_header *a = (const void *)unit_a, *b = (const void *)unit_b;

	if (judge_super((const void *)b, 1, b->uuid))
		return;
	if (!memcmp(a->uuid, b->uuid, LARDER_UUID_SIZE))
		image_damage(image, SEVERITY_DAMAGE, 0, "superblock A: wrong magic; superblock B "
			     "of the same cache is intact, but unit 0 decides what a device is");
	else
		image_damage(image, SEVERITY_NOTE, 1, "superblock B of a dm-larder cache is still "
			     "there: unit 0 was overwritten, or the device is used anew");
}

void judge_unusable(struct image *image)
{
	const struct larder_superblock *sb = metadata_super(image->md);
	const struct larder_unit_header *a = (const void *)unit_a;
	const char *what;

	memset(unit_b, 0, sizeof(unit_b));
	if (!image_read_unit(image, 0, unit_a))
		return;
	image_read_unit(image, 1, unit_b);
	switch (image->found) {
	case METADATA_FOREIGN:
		judge_foreign(image);
		break;
	case METADATA_DAMAGED:
		if (build_marked(unit_a)) {
			image_damage(image, SEVERITY_DAMAGE, 0, "a restore or repair onto this "
				     "device has not finished: do it again");
			break;
		}
		if (convert_marked(unit_a)) {
			image_damage(image, SEVERITY_DAMAGE, 0, "a conversion has not finished: run "
				     "the same larder convert again, which makes it whole");
			break;
		}
		what = judge_super((const void *)unit_a, 0, a->uuid);
		image_damage(image, SEVERITY_DAMAGE, 0, "%s: %s", super_names[0],
			     what ? what : "has an impossible generation");
		what = judge_super((const void *)unit_b, 1, a->uuid);
		image_damage(image, SEVERITY_DAMAGE, 1, "%s: %s; none is left to start from",
			     super_names[1], what ? what : "has an impossible generation");
		break;
	case METADATA_BAD_GEOMETRY:
		image_damage(image, SEVERITY_DAMAGE, metadata_generation(image->md) & 1,
			     "superblock: its numbers cannot be true for a device of %llu units of "
			     "4 KiB (it had %llu when it was formatted)",
			     LL(image->device.units), LL(le64_to_cpu(sb->metadata_units)));
		break;
	default:
		break;
	}
}

/*
 * A power cut can leave a torn batch here, which is ignored and may stay for
 * long: nothing in this area is damage by itself.  A table page that would
 * have needed its image from here is reported as such.
 */
void judge_double_write(struct image *image)
{
	const struct geometry *g = &image->geometry;
	const u8 *uuid = metadata_super(image->md)->header.uuid;
	struct larder_double_header *header = (void *)unit_a;
	const struct larder_unit_header *copy = (const void *)unit_b;
	const char *what;
	u32 i, nr, torn = 0;

	if (!image_read_unit(image, g->dw_start, header))
		return;
	nr = le32_to_cpu(header->nr_images);
	what = unit_verify(header, LARDER_MAGIC_DOUBLE, g->dw_start, uuid);
	if (!what && nr > g->dw_pages)
		what = "claims more pages than it has room for";
	if (what) {
		image_damage(image, SEVERITY_NOTE, g->dw_start,
			     "double-write header: %s; the area is ignored", what);
		return;
	}
	for (i = 0; i < nr; i++) {
		u64 page = le64_to_cpu(header->images[i].page);

		if (page >= g->table_pages ||
		    !image_read_unit(image, g->dw_start + 1 + i, unit_b) ||
		    copy->crc != header->images[i].crc ||
		    unit_verify(copy, LARDER_MAGIC_PAGE, g->table_start + page, uuid))
			torn++;
	}
	if (torn)
		image_damage(image, SEVERITY_NOTE, g->dw_start, "double-write area: %u of %u pages "
			     "are torn and ignored, as after a power cut", torn, nr);
}

/* --- slots --- */

static u64 sectors_of(const struct geometry *g, u64 block, u64 grains)
{
	u32 length = geometry_block_length(g, block), last = (length - 1) >> g->grain_shift;
	u64 sectors = (u64)hweight64(grains) << g->grain_shift;

	if (grains >> last & 1)
		sectors -= ((u64)(last + 1) << g->grain_shift) - length;
	return sectors;
}

static void judge_slot(struct image *image, u64 slot)
{
	const struct geometry *g = &image->geometry;
	const struct slot_state *state = &image->slots[slot];
	struct image_totals *totals = &image->totals;
	u64 unit = g->table_start + geometry_table_page((u32)slot);
	u64 block = slot_state_block(state);
	struct slot_state after;

	totals->slots_used++;
	totals->slots_dirty += state->dirty != 0;
	totals->grains_valid += hweight64(state->valid);
	totals->grains_dirty += hweight64(state->dirty);
	if (block >= g->nr_origin_blocks) {
		image_damage(image, SEVERITY_DAMAGE, unit, "slot %llu: holds block %llu, but the "
			     "origin ends with block %llu", LL(slot), LL(block),
			     LL(g->nr_origin_blocks - 1));
		return;
	}
	if (state->valid & ~geometry_block_grains(g, block)) {
		image_damage(image, SEVERITY_DAMAGE, unit, "slot %llu: holds grains of block %llu "
			     "beyond the end of the origin", LL(slot), LL(block));
		return;
	}
	totals->dirty_sectors += sectors_of(g, block, state->dirty);
	after = image_after_activation(image, slot);
	totals->grains_made_dirty += hweight64(after.dirty & ~state->dirty);
	totals->grains_dropped += hweight64(state->valid & ~after.valid);
}

struct holding {
	u64 block;
	u64 slot;
};

static int by_block(const void *a, const void *b)
{
	const struct holding *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int judge_duplicates(struct image *image)
{
	struct holding *all = calloc(image->totals.slots_used + 1, sizeof(*all));
	u64 slot, nr = 0, i;

	if (!all) {
		complain("not enough memory for %llu slots", LL(image->totals.slots_used));
		return EXIT_NO_MEMORY;
	}
	for (slot = 0; slot < image->nr_slots; slot++)
		if (slot_used(&image->slots[slot]))
			all[nr++] = (struct holding){ slot_state_block(&image->slots[slot]), slot };
	qsort(all, nr, sizeof(*all), by_block);
	for (i = 1; i < nr; i++)
		if (all[i].block == all[i - 1].block)
			image_damage(image, SEVERITY_DAMAGE, image->geometry.table_start +
				     geometry_table_page((u32)all[i].slot),
				     "slots %llu and %llu both hold block %llu: which one is right "
				     "is unknown", LL(all[i - 1].slot), LL(all[i].slot),
				     LL(all[i].block));
	free(all);
	return 0;
}

int judge_slots(struct image *image)
{
	u64 slot, page;

	for (slot = 0; slot < image->nr_slots; slot++)
		if (slot_used(&image->slots[slot]))
			judge_slot(image, slot);
	for (page = 0; page < image->nr_pages; page++)
		image->totals.intent_pages += image->intents[page].kind != LARDER_INTENT_NONE;
	return judge_duplicates(image);
}
