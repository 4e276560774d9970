// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices with T10 protection information: what the lowest queue and the drive
 * do with tuples.  See Documentation/integrity.rst for what was measured.
 */
#include "devices.h"
#include "kernel/sched.h"

static const struct blk_integrity *profile(const struct backing *b)
{
	return b->bdev.disk.integrity.metadata_size ? &b->bdev.disk.integrity : NULL;
}

/* It does not know what it keeps. */
static bool is_carrier(const struct backing *b)
{
	return b->bdev.disk.integrity.csum_type == BLK_INTEGRITY_CSUM_NONE;
}

static bool has_ref_tag(const struct backing *b)
{
	return b->bdev.disk.integrity.flags & BLK_INTEGRITY_REF_TAG;
}

void devices_set_profile(enum device_name name, const struct device_profile *p)
{
	struct backing *b = &devices.dev[name];

	b->disk.flags |= SIM_DISK_TUPLES | (p->type ? 0 : SIM_DISK_CARRIER);
	b->disk.unit = p->interval / SIM_SECTOR;
	b->bdev.disk.integrity = (struct blk_integrity){
		.flags = BLK_INTEGRITY_DEVICE_CAPABLE |
			 (p->type == 1 ? BLK_INTEGRITY_REF_TAG : 0),
		.csum_type = p->type ? BLK_INTEGRITY_CSUM_CRC : BLK_INTEGRITY_CSUM_NONE,
		.metadata_size = SIM_TUPLE,
		.pi_tuple_size = p->type ? SIM_TUPLE : 0,
		.interval_exp = (unsigned char)ilog2(p->interval),
		.tag_size = p->tag_size,
	};
}

static u32 interval_of(const struct backing *b, u64 sector)
{
	return (u32)(sector / b->disk.unit);
}

u64 devices_cell(const struct backing *b, u64 sector, struct sim_tuple t)
{
	if (sim_tuple_blank(&t))
		return 0;
	if (has_ref_tag(b))
		t.ref -= interval_of(b, sector);
	return ~((u64)t.guard << 48 | (u64)t.app << 32 | t.ref);
}

struct sim_tuple devices_tuple(u64 cell)
{
	return (struct sim_tuple){ (u16)(~cell >> 48), (u16)(~cell >> 32), (u32)~cell };
}

/* The tuple that a checked read of a sector of the device gets. */
static struct sim_tuple tuple_at(const struct backing *b, u64 sector, u64 cell)
{
	struct sim_tuple t = devices_tuple(cell);

	if (cell && has_ref_tag(b))
		t.ref += interval_of(b, sector);
	return t;
}

void devices_generate(const struct backing *b, u64 sector, const void *data, u64 *cells, u32 nr)
{
	u32 step = b->disk.unit, at;

	for (at = 0; at < nr; at++) {
		struct sim_tuple t = { .ref = has_ref_tag(b) ? interval_of(b, sector + at) : 0 };

		cells[at] = 0;
		if (at % step)
			continue;
		if (!is_carrier(b))
			t.guard = sim_guard((const u8 *)data + (size_t)at * SIM_SECTOR,
					    step * SIM_SECTOR);
		cells[at] = devices_cell(b, sector + at, t);
	}
}

void devices_pi_begin(struct bio *bio)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);
	struct backing *b = bio->bi_bdev->backing;
	u64 sector = bio->bi_iter.bi_sector;
	u32 i, nr = bio_sectors(bio) / b->disk.unit;

	if (sector % b->disk.unit || bio_sectors(bio) % b->disk.unit)
		sim_fail("a bio for %s is not of whole blocks: %llu+%u", b->bdev.name,
			 (unsigned long long)sector, bio_sectors(bio));
	if (!bip)
		return;
	if (!profile(b))
		sim_fail("a bio with tuples is sent to %s, which keeps none", b->bdev.name);
	if (bip->bip_iter.bi_size != nr * SIM_TUPLE)
		sim_fail("a bio for %s has %u tuples for %u intervals", b->bdev.name,
			 bip->bip_iter.bi_size / SIM_TUPLE, nr);
	if (bio_op(bio) != REQ_OP_WRITE || !has_ref_tag(b) ||
	    (bip->bip_flags & BIP_MAPPED_INTEGRITY))
		return;
	/* in place: the submitter's memory changes */
	for (i = 0; i < nr; i++) {
		struct sim_tuple t = sim_get_tuple(bip, i);

		if (t.ref == (u32)(bip_get_seed(bip) + i)) {
			t.ref = interval_of(b, sector) + i;
			sim_put_tuple(bip, i, t);
		}
	}
	bip->bip_flags |= BIP_MAPPED_INTEGRITY;
}

/* Of an interval. */
static bool fits(const struct backing *b, const struct bio_integrity_payload *bip, u64 sector,
		 const u8 *data, struct sim_tuple t)
{
	u32 flags = bip ? bip->bip_flags : BIP_CHECK_GUARD | BIP_CHECK_REFTAG;

	if (is_carrier(b)) {
		if (bip && (flags & BIP_CHECK_FLAGS))
			sim_fail("%s is asked to check, and cannot", b->bdev.name);
		return true;
	}
	if ((flags & BIP_CHECK_GUARD) && t.guard != sim_guard(data, b->disk.unit * SIM_SECTOR))
		return false;
	return !(flags & BIP_CHECK_REFTAG) || !has_ref_tag(b) || t.ref == interval_of(b, sector);
}

u64 *devices_pi_written(const struct bio *bio, const void *data, bool *refused)
{
	const struct bio_integrity_payload *bip = bio_integrity(bio);
	const struct backing *b = bio->bi_bdev->backing;
	u32 nr = bio_sectors(bio), step = b->disk.unit, at;
	u64 sector = bio->bi_iter.bi_sector, *cells;

	*refused = false;
	if (!profile(b))
		return NULL;
	cells = calloc(nr, sizeof(*cells));
	if (!bip) {
		devices_generate(b, sector, data, cells, nr);
		return cells;
	}
	for (at = 0; at < nr; at += step) {
		struct sim_tuple t = sim_get_tuple(bip, at / step);

		*refused |= !fits(b, bip, sector + at, (const u8 *)data + (size_t)at * SIM_SECTOR,
				  t);
		cells[at] = devices_cell(b, sector + at, t);
	}
	return cells;
}

bool devices_pi_read(struct bio *bio, const void *data)
{
	const struct bio_integrity_payload *bip = bio_integrity(bio);
	const struct backing *b = bio->bi_bdev->backing;
	u32 nr = bio_sectors(bio), step = b->disk.unit, at;
	u64 sector = bio->bi_iter.bi_sector, *cells;
	bool ok = true;

	if (!profile(b))
		return true;
	cells = malloc(nr * sizeof(*cells));
	sim_disk_read_cells(&b->disk, false, sector, cells, nr);
	for (at = 0; at < nr; at += step) {
		struct sim_tuple t = tuple_at(b, sector + at, cells[at]);

		ok &= sim_tuple_escapes(&t, has_ref_tag(b)) ||
		      fits(b, bip, sector + at, (const u8 *)data + (size_t)at * SIM_SECTOR, t);
		if (!bip)
			continue;
		if (has_ref_tag(b) && t.ref == interval_of(b, sector + at))
			t.ref = (u32)(bip_get_seed(bip) + at / step);
		sim_put_tuple(bip, at / step, t);
	}
	free(cells);
	return ok;
}
