// SPDX-License-Identifier: GPL-2.0-or-later
#include "devices.h"
#include "kernel/sched.h"

struct devices devices;

static const char *const names[NR_DEVICES] = { "metadata", "cache", "origin" };
static const char *const kinds[NR_KINDS] = { "read", "write", "flush", "discard" };

void devices_init(enum topology topology, const struct device_sizes *sizes, bool fua, u64 seed)
{
	unsigned int flags = topology == NOTHING_VOLATILE ? 0 : SIM_DISK_VOLATILE;
	u32 i;

	memset(&devices, 0, sizeof(devices));
	devices.topology = topology;
	devices.rng.state = seed;
	if (fua)
		flags |= SIM_DISK_FUA;
	sim_domain_init(&devices.ssd);
	for (i = 0; i < NR_DEVICES; i++) {
		struct backing *b = &devices.dev[i];
		bool shared = topology == ONE_SSD && i != DEV_ORIGIN;

		sim_disk_init(&b->disk, sizes->sectors[i], flags, shared ? &devices.ssd : NULL);
		b->bdev = (struct block_device){
			.name = names[i],
			.sectors = sizes->sectors[i],
			.is_volatile = topology != NOTHING_VOLATILE,
			.fua = fua,
			.discard = true,
			.backing = b,
			.bd_disk = &b->bdev.disk,
		};
		INIT_LIST_HEAD(&b->in_flight);
		b->latency_ns = i == DEV_ORIGIN ? 500000 : 20000;
		b->spread_ns = i == DEV_ORIGIN ? 8000000 : 200000;
	}
}

void devices_free(void)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		sim_disk_free(&devices.dev[i].disk);
	sim_domain_free(&devices.ssd);
}

void devices_no_faults(void)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		devices.dev[i].faults = (struct device_faults){ 0 };
	devices.fail_at = 0;
}

void devices_grow(enum device_name name, u64 sectors, struct sim_rng *rng)
{
	struct backing *b = &devices.dev[name];
	u64 at = b->bdev.sectors, junk[8 * SIM_SECTOR / sizeof(u64)], cells[8];
	u32 i;

	sim_disk_resize(&b->disk, sectors);
	b->bdev.sectors = sectors;
	for (i = 0; i < SIM_SECTOR / sizeof(u64); i++)
		junk[i] = sim_rng_next(rng);
	for (i = 1; i < 8; i++)
		memcpy((u8 *)junk + i * SIM_SECTOR, junk, SIM_SECTOR);
	for (; at < sectors; at += b->disk.unit) {
		devices_generate(b, at, junk, cells, b->disk.unit);
		sim_disk_write_cells(&b->disk, at, junk, cells, b->disk.unit, false);
	}
}

struct block_device *sim_find_device(const char *name)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		if (!strcmp(name, names[i]))
			return &devices.dev[i].bdev;
	return NULL;
}

static enum io_kind kind_of(const struct bio *bio)
{
	if (bio->bi_opf & REQ_PREFLUSH)
		return KIND_FLUSH;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return KIND_READ;
	case REQ_OP_WRITE:
		return KIND_WRITE;
	case REQ_OP_DISCARD:
		return KIND_DISCARD;
	}
	sim_fail("a bio of an unknown kind: %x", bio->bi_opf);
}

/* Counts, and ends the run when its time has come. */
static void event(const struct bio *bio, const char *what)
{
	const struct backing *b = bio->bi_bdev->backing;

	devices.nr_events++;
	sched_note(devices.nr_events << 8 | (u64)(b - devices.dev) << 4 | (u64)kind_of(bio));
	sched_note(bio->bi_iter.bi_sector);
	sim_log("%s %s%s %llu+%u %s", b->bdev.name, kinds[kind_of(bio)],
		bio->bi_opf & REQ_FUA ? " fua" : "", (unsigned long long)bio->bi_iter.bi_sector,
		bio_sectors(bio), what);
	if (devices.event)
		devices.event(devices.context);
	if (devices.stop_at && devices.nr_events >= devices.stop_at) {
		devices.stopped = true;
		sched_stop();
	}
}

static bool one_in(u32 n)
{
	return n && sim_rng_below(&devices.rng, n) == 0;
}

static bool fails(struct backing *b, const struct bio *bio, enum io_kind kind)
{
	u64 start = bio->bi_iter.bi_sector, end = start + bio_sectors(bio);

	devices.nr_faultable++;
	if (devices.fail_at && !--devices.fail_at) {
		devices.has_failed = true;
		return true;
	}
	if (b->faults.dead || one_in(b->faults.error_one_in[kind]))
		return true;
	if (start >= b->faults.bad_end || end <= b->faults.bad_start)
		return false;
	if (kind == KIND_READ)
		return true;
	if (kind == KIND_WRITE && start <= b->faults.bad_start && end >= b->faults.bad_end)
		b->faults.bad_end = 0;
	return false;
}

static u64 place(struct backing *b, const struct bio *bio)
{
	u64 sector = bio->bi_iter.bi_sector, room = b->bdev.sectors - bio_sectors(bio);

	if (!one_in(b->faults.misdirected_one_in) || room < 8)
		return sector;
	if (bio_op(bio) == REQ_OP_WRITE)
		devices.lost_its_way = true;
	sector = sim_rng_below(&devices.rng, room / 8) * 8;
	sim_log("%s misdirected to %llu", b->bdev.name, (unsigned long long)sector);
	return sector;
}

static void do_write(struct backing *b, struct bio *bio, bool error)
{
	u32 bytes = bio->bi_iter.bi_size, sectors = bio_sectors(bio);
	bool fua = bio->bi_opf & REQ_FUA, refused;
	u64 at = place(b, bio), *cells;
	u8 *data = malloc(bytes);

	sim_bio_copy(bio, 0, data, bytes, false);
	cells = devices_pi_written(bio, data, &refused);
	if (refused) {
		/* it has looked before it wrote */
		bio->bi_status = error ? bio->bi_status : BLK_STS_PROTECTION;
	} else if (error) {
		sim_disk_write_torn_cells(&b->disk, at, data, cells, sectors, &devices.rng);
	} else {
		sim_disk_write_cells(&b->disk, at, data, cells, sectors, fua && b->bdev.fua);
		if (fua && !b->bdev.fua)
			sim_disk_flush(&b->disk);
	}
	free(cells);
	free(data);
	if (b == &devices.dev[DEV_METADATA] && devices.metadata_written)
		devices.metadata_written(devices.context);
}

static void do_read(struct backing *b, struct bio *bio)
{
	u32 bytes = bio->bi_iter.bi_size;
	u8 *data = malloc(bytes);

	sim_disk_read(&b->disk, place(b, bio), data, bio_sectors(bio));
	if (one_in(b->faults.rot_one_in)) {
		u64 bit = sim_rng_below(&devices.rng, bytes * 8ull);

		sim_log("%s brings a wrong bit %llu", b->bdev.name, (unsigned long long)bit);
		data[bit / 8] ^= 1u << bit % 8;
	}
	if (one_in(b->faults.blank_one_in))
		memset(data, 0, bytes);
	if (!devices_pi_read(bio, data))
		bio->bi_status = BLK_STS_PROTECTION;
	sim_bio_copy(bio, 0, data, bytes, true);
	free(data);
}

/* A flush may reach back to its end or only to its beginning, a write is late: at its end. */
static void finish_io(void *arg)
{
	struct bio *bio = arg;
	struct backing *b = bio->bi_bdev->backing;
	enum io_kind kind = kind_of(bio);
	bool error = fails(b, bio, kind);

	list_del(&bio->link);
	b->nr_ios++;
	b->nr_errors += error;
	bio->bi_status = !error ? BLK_STS_OK :
			 kind == KIND_READ && b->faults.bad_end ? BLK_STS_MEDIUM : BLK_STS_IOERR;
	switch (kind) {
	case KIND_READ:
		if (!error)
			do_read(b, bio);
		break;
	case KIND_WRITE:
		do_write(b, bio, error);
		break;
	case KIND_FLUSH:
		if (!error && bio->bi_vcnt)
			sim_disk_flush(&b->disk);
		b->nr_flushes += !error;
		break;
	case KIND_DISCARD:
		if (!error)
			sim_disk_trim(&b->disk, bio->bi_iter.bi_sector, bio_sectors(bio),
				      sim_rng_next(&devices.rng));
		break;
	default:
		break;
	}
	event(bio, bio->bi_status == BLK_STS_PROTECTION ? "is refused: tuples and data do not fit" :
	      error ? "failed" : "ended");
	bio_endio(bio);
}

void sim_disk_submit(struct bio *bio)
{
	struct backing *b = bio->bi_bdev->backing;
	u64 latency = b->latency_ns + sim_random() % b->spread_ns;

	if (bio->bi_iter.bi_sector + bio_sectors(bio) > b->bdev.sectors)
		sim_fail("I/O beyond the end of %s: %llu+%u", b->bdev.name,
			 (unsigned long long)bio->bi_iter.bi_sector, bio_sectors(bio));
	if (!(bio->bi_opf & REQ_PREFLUSH) && !bio_sectors(bio))
		sim_fail("I/O of no sectors on %s", b->bdev.name);
	if (b == &devices.dev[DEV_ORIGIN] && bio_sectors(bio) && bio_op(bio) != REQ_OP_READ &&
	    devices.origin_changes)
		devices.origin_changes(bio->bi_iter.bi_sector, bio_sectors(bio));
	if (one_in(b->faults.slow_one_in)) {
		latency *= 100;
		if (b->faults.slow_ns)
			latency += sim_random() % b->faults.slow_ns;
	}
	devices_pi_begin(bio);
	list_add_tail(&bio->link, &b->in_flight);
	event(bio, "begins");
	if (kind_of(bio) == KIND_FLUSH) {
		/*
		 * bi_vcnt of a flush is ours: does it take effect at its end?  It does if the drive
		 * is dead now: it may be back by then, and the flush succeed.
		 */
		bio->bi_vcnt = (sim_random() & 1) | b->faults.dead;
		if (!bio->bi_vcnt)
			sim_disk_flush(&b->disk);
	}
	sched_at(sim_now() + latency, "endio", finish_io, bio, true);
}

void devices_hand_in(const struct backing *b, struct sim_disk *disk)
{
	struct bio *bio;

	list_for_each_entry(bio, &b->in_flight, link) {
		u32 bytes = bio->bi_iter.bi_size;
		bool refused;
		u64 *cells;
		u8 *data;

		if (kind_of(bio) != KIND_WRITE || b->faults.dead)
			continue;
		data = malloc(bytes);
		sim_bio_copy(bio, 0, data, bytes, false);
		cells = devices_pi_written(bio, data, &refused);
		if (!refused)
			sim_disk_in_flight_cells(disk, bio->bi_iter.bi_sector, data, cells,
						 bytes / SIM_SECTOR);
		free(cells);
		free(data);
	}
}

static void crash(struct sim_rng *rng, bool host_only)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++) {
		devices_hand_in(&devices.dev[i], &devices.dev[i].disk);
		INIT_LIST_HEAD(&devices.dev[i].in_flight);
	}
	for (i = 0; i < NR_DEVICES; i++) {
		/* a drive is switched off once */
		if (i == DEV_CACHE && devices.topology == ONE_SSD)
			continue;
		if (host_only)
			sim_disk_host_crash(&devices.dev[i].disk, rng);
		else
			sim_disk_crash(&devices.dev[i].disk, rng, SIM_MOOD_ANY);
	}
	devices.stop_at = 0;
	devices.stopped = false;
	devices_no_faults();
}

void devices_crash(struct sim_rng *rng)
{
	crash(rng, false);
}

void devices_host_crash(struct sim_rng *rng)
{
	crash(rng, true);
}
