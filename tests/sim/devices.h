/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The three devices below the cache: timing, faults, and the power switch,
 * around the stores of disk.h.
 */
#ifndef SIM_DEVICES_H
#define SIM_DEVICES_H

#include "disk.h"
#include "kernel/kernel.h"

enum device_name {
	DEV_METADATA,
	DEV_CACHE,
	DEV_ORIGIN,
	NR_DEVICES,
};

enum io_kind {
	KIND_READ,
	KIND_WRITE,
	KIND_FLUSH,
	KIND_DISCARD,
	NR_KINDS,
};

/* What a device keeps beside its data; interval 0: nothing. */
struct device_profile {
	u8 type;			/* 1, or 3: any reference tag; 0: nobody looks at it */
	u32 interval;			/* bytes: 512 or 4096 */
	u8 tag_size;
};

enum topology {
	THREE_DRIVES,		/* three volatile caches */
	ONE_SSD,		/* cache and metadata share a drive and its cache */
	NOTHING_VOLATILE,
	NR_TOPOLOGIES,
};

/* What a failed write has left behind. */
struct device_faults {
	u32 error_one_in[NR_KINDS];	/* 0: never */
	u32 slow_one_in;		/* a latency spike */
	u64 slow_ns;			/* ... of up to so much, beside the usual one */
	u32 misdirected_one_in;		/* reads and writes that hit another place */
	u32 rot_one_in;			/* reads that bring a wrong bit, once */
	u32 blank_one_in;		/* reads that hit a place where nothing was ever written */
	u64 bad_start, bad_end;		/* sectors that cannot be read until they are written */
	bool dead;
};

struct backing {
	struct block_device bdev;
	struct sim_disk disk;
	struct device_faults faults;
	struct list_head in_flight;	/* struct bio */
	u64 latency_ns, spread_ns;
	u64 nr_ios, nr_errors, nr_flushes;	/* flushes: that succeeded */
};

struct devices {
	struct backing dev[NR_DEVICES];
	struct sim_domain ssd;		/* in ONE_SSD */
	enum topology topology;
	struct sim_rng rng;		/* faults */
	u64 nr_events;			/* I/O begun or ended */
	u64 stop_at;			/* at this event the run ends (a crash); 0: never */
	bool stopped;			/* that has happened */
	u64 nr_faultable, fail_at;	/* the n-th I/O on any device fails; 0: none */
	bool has_failed;
	bool lost_its_way;		/* a misdirected write has happened: damage is legitimate */
	/* called after every write to the metadata device that took effect */
	void (*metadata_written)(void *context);
	void (*event)(void *context);
	/* before a write or discard is sent to the origin */
	void (*origin_changes)(u64 sector, u32 sectors);
	void *context;
};

extern struct devices devices;

struct device_sizes {
	u64 sectors[NR_DEVICES];
};

void devices_init(enum topology topology, const struct device_sizes *sizes, bool fua, u64 seed);
void devices_free(void);
/* The power goes: I/O in flight is torn, what is volatile is lost in part. */
void devices_crash(struct sim_rng *rng);
/* The host dies, the drives keep their power. */
void devices_host_crash(struct sim_rng *rng);
/* The writes in flight, to this disk or a copy of it, before it crashes. */
void devices_hand_in(const struct backing *b, struct sim_disk *disk);
void devices_no_faults(void);
/* Before it is used. */
void devices_set_profile(enum device_name name, const struct device_profile *profile);
/* An administrator makes one longer: what comes behind the old end is there already. */
void devices_grow(enum device_name name, u64 sectors, struct sim_rng *rng);

/* --- devices-pi.c: T10 protection information, as the block layer and a drive treat it --- */

/* Cells for sectors from `sector` on, with tuples as the block layer makes them. */
void devices_generate(const struct backing *b, u64 sector, const void *data, u64 *cells, u32 nr);
/* A tuple as the cell of disk.h: the same wherever it lies, and 0 when all ones. */
u64 devices_cell(const struct backing *b, u64 sector, struct sim_tuple t);
/* And back; with type 1 the reference tag is counted from the interval. */
struct sim_tuple devices_tuple(u64 cell);
/* A bio begins: the lowest queue puts the device's reference tags into it. */
void devices_pi_begin(struct bio *bio);
/* Cells of a write; NULL when the device keeps none, *refused when it does not take them. */
u64 *devices_pi_written(const struct bio *bio, const void *data, bool *refused);
/* The tuples of a read go to the bio; false when the data do not fit them. */
bool devices_pi_read(struct bio *bio, const void *data);

#endif
