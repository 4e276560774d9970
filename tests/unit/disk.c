// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disk in memory, see disk.h.
 */
#include "disk.h"

#define SECTORS_PER_UNIT (LARDER_UNIT_SIZE / DISK_SECTOR)

void disk_init(struct disk *disk, u64 units)
{
	memset(disk, 0, sizeof(*disk));
	disk->units = units;
	disk->now = calloc(units, LARDER_UNIT_SIZE);
	disk->durable = calloc(units, LARDER_UNIT_SIZE);
	disk->unflushed = calloc(units, SECTORS_PER_UNIT);
	CHECK(disk->now && disk->durable && disk->unflushed);
	disk_power_on(disk);
}

void disk_destroy(struct disk *disk)
{
	free(disk->now);
	free(disk->durable);
	free(disk->unflushed);
}

void disk_copy(struct disk *to, const struct disk *from)
{
	u8 *now = to->now, *durable = to->durable, *unflushed = to->unflushed;

	CHECK(to->units == from->units);
	memcpy(now, from->now, from->units * LARDER_UNIT_SIZE);
	memcpy(durable, from->durable, from->units * LARDER_UNIT_SIZE);
	memcpy(unflushed, from->unflushed, from->units * SECTORS_PER_UNIT);
	*to = *from;
	to->now = now;
	to->durable = durable;
	to->unflushed = unflushed;
}

/* The durable side takes over what reads see, or the other way round. */
static void settle_sector(struct disk *disk, u64 sector, bool keep)
{
	u8 *now = disk->now + sector * DISK_SECTOR, *durable = disk->durable + sector * DISK_SECTOR;

	if (!disk->unflushed[sector])
		return;
	memcpy(keep ? durable : now, keep ? now : durable, DISK_SECTOR);
	disk->unflushed[sector] = 0;
}

void disk_power_cut(struct disk *disk)
{
	u64 sector;

	disk->off = true;
	if (disk->cut == CUT_HOST_ONLY)
		return;
	for (sector = 0; sector < disk->units * SECTORS_PER_UNIT; sector++)
		settle_sector(disk, sector, disk->cut == CUT_KEEPS_ALL ||
			      (disk->cut == CUT_TEARS && rng_below(&disk->rng, 2)));
}

void disk_power_on(struct disk *disk)
{
	disk->off = false;
	disk->cut_at = NEVER;
	disk->fail_at = NEVER;
	disk->nr_changes = 0;
	disk->nr_ios = 0;
}

void disk_settle(struct disk *disk)
{
	u64 sector;

	for (sector = 0; sector < disk->units * SECTORS_PER_UNIT; sector++)
		settle_sector(disk, sector, true);
}

void *disk_unit(struct disk *disk, u64 unit)
{
	disk_settle(disk);
	CHECK(unit < disk->units);
	memset(disk->unflushed + unit * SECTORS_PER_UNIT, 1, SECTORS_PER_UNIT);
	return disk->now + unit * LARDER_UNIT_SIZE;
}

static void write_units(struct disk *disk, const struct metadata_io *io)
{
	memcpy(disk->now + io->unit * LARDER_UNIT_SIZE, io->buffer,
	       (size_t)io->nr_units * LARDER_UNIT_SIZE);
	memset(disk->unflushed + io->unit * SECTORS_PER_UNIT, 1,
	       (size_t)io->nr_units * SECTORS_PER_UNIT);
}

static void tear_units(struct disk *disk, const struct metadata_io *io)
{
	u64 start = io->unit * SECTORS_PER_UNIT, i, nr = (u64)io->nr_units * SECTORS_PER_UNIT;

	for (i = 0; i < nr; i++) {
		if (rng_below(&disk->rng, 2))
			continue;
		memcpy(disk->now + (start + i) * DISK_SECTOR,
		       (const u8 *)io->buffer + i * DISK_SECTOR, DISK_SECTOR);
		disk->unflushed[start + i] = 1;
	}
}

static void make_durable(struct disk *disk, const struct metadata_io *io)
{
	u64 sector, end = (io->unit + io->nr_units) * SECTORS_PER_UNIT;

	for (sector = io->unit * SECTORS_PER_UNIT; sector < end; sector++)
		settle_sector(disk, sector, true);
}

static bool is_write(const struct metadata_io *io)
{
	return io->kind == METADATA_WRITE || io->kind == METADATA_WRITE_FUA;
}

/* What the cores may ask for at all. */
static void check_request(const struct disk *disk, const struct metadata_io *io)
{
	if (io->kind == METADATA_FLUSH) {
		CHECK(io->devices);
		return;
	}
	CHECK_EQUAL(io->devices, DEVICE_METADATA);
	CHECK(io->nr_units && io->nr_units <= METADATA_IO_UNITS_MAX);
	CHECK(io->unit < disk->units && io->nr_units <= disk->units - io->unit);
	CHECK((uintptr_t)io->buffer % LARDER_UNIT_SIZE == 0);
}

int disk_perform(struct disk *disk, const struct metadata_io *io)
{
	bool fail = disk->nr_ios++ == disk->fail_at;

	check_request(disk, io);
	if (disk->off)
		return -ENODEV;
	if (io->kind == METADATA_READ) {
		if (fail)
			return -EIO;
		memcpy(io->buffer, disk->now + io->unit * LARDER_UNIT_SIZE,
		       (size_t)io->nr_units * LARDER_UNIT_SIZE);
		return 0;
	}
	if (is_write(io) && (!fail || disk->fail == FAIL_TAKES_EFFECT))
		write_units(disk, io);
	else if (is_write(io) && disk->fail == FAIL_TEARS)
		tear_units(disk, io);
	if (disk->nr_changes++ == disk->cut_at) {
		disk_power_cut(disk);
		return -ENODEV;
	}
	if (fail)
		return -EIO;
	if (io->kind == METADATA_WRITE_FUA)
		make_durable(disk, io);
	if (io->kind == METADATA_FLUSH && (io->devices & DEVICE_METADATA))
		disk_settle(disk);
	return 0;
}
