/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks in memory for the simulator, with a volatile write cache that a crash
 * empties in any way a real one might.
 *
 * A drive (struct sim_domain) has the power, the cache and the flushes; its
 * disks (struct sim_disk) are partitions.  A disk that is given no drive is one
 * of its own.  Whatever happens takes effect at once: the caller calls at the
 * time of completion, decides on errors, and keeps within the size of the disk
 * (anything else aborts).
 *
 * Structures may not be moved; a domain must be freed after its disks.
 *
 * Disks with tuples keep a cell of 8 bytes with each unit; what it means is the caller's business.
 * It is given for each sector; those that are not the first of a unit are of no meaning, but kept.
 * Where nothing was ever written, and behind zeros and trims, it is 0.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "random.h"

#define SIM_SECTOR 512u
#define SIM_DOMAIN_DISKS 8u

enum sim_disk_flags {
	SIM_DISK_VOLATILE = 1,	/* has a write cache; without, every write is durable at once */
	SIM_DISK_FUA = 2,	/* honours FUA; without, `fua` is ignored: write, then flush */
	SIM_DISK_TUPLES = 4,	/* keeps cells */
	SIM_DISK_CARRIER = 8,	/* ... whose reference tags are those of other places */
};

/* What a crash does to the pending writes; the seed chooses unless `mood` says so. */
enum sim_mood {
	SIM_MOOD_LOSE_ALL,
	SIM_MOOD_KEEP_ALL,
	SIM_MOOD_EACH_SECTOR,	/* every sector of every write for itself */
	SIM_MOOD_EACH_WRITE,	/* every write as a whole */
	SIM_MOOD_PREFIX,	/* the writes up to some time, the last of them torn */
	SIM_MOOD_ALL_BUT_ONE,
	SIM_MOOD_ONLY_ONE,
	SIM_MOOD_TEAR,		/* every write kept, lost, or torn between sectors */
	SIM_NR_MOODS,
	SIM_MOOD_ANY = SIM_NR_MOODS,
};

struct sim_disk_stats {
	u64 reads, writes, fua_writes, flushes, trims, crashes;
	u64 sectors_read, sectors_written;
	u64 evicted;		/* writes that became durable because the cache was full */
};

struct sim_page;
struct sim_unit;
struct sim_disk;

struct sim_domain {
	struct sim_disk *disks[SIM_DOMAIN_DISKS];
	unsigned int nr_disks;
	u64 cache_sectors;	/* pending at most (default 32768); set by the caller at any time */

	/* pending writes in time order, and their data */
	struct sim_unit *units;
	size_t nr_units, units_room;
	u8 *data;
	size_t nr_data, data_room;
	size_t nr_fixed;	/* of the units: durable already, only here to keep the order */
	size_t nr_flying;	/* of the units: handed in by sim_disk_in_flight() */
	bool zeroed;		/* some units have touched no page */
};

struct sim_disk {
	u64 sectors;
	unsigned int flags;
	u32 unit;		/* sectors (1 or 8) that are written as a whole or not at all */
	struct sim_domain *domain, own_domain;
	unsigned int index;	/* in the domain */
	struct sim_page **durable;	/* per 4 KiB; NULL: zeros */
	struct sim_page **newest;	/* NULL: as durable */
	u32 *dirty;			/* pages of `newest` that are not NULL */
	size_t nr_pages, nr_dirty;
	struct sim_disk_stats stats;
};

void sim_domain_init(struct sim_domain *domain);
void sim_domain_free(struct sim_domain *domain);

/* Zeros.  `domain` NULL: a drive of its own. */
void sim_disk_init(struct sim_disk *disk, u64 sectors, unsigned int flags,
		   struct sim_domain *domain);
void sim_disk_free(struct sim_disk *disk);
/* New sectors are zeros; those cut off are forgotten at once. */
void sim_disk_resize(struct sim_disk *disk, u64 sectors);

/*
 * Contents and pending writes of another; pages are shared until written.  The
 * new structures must not be initialised.  A disk of a shared drive is cloned
 * with all others: disks[i] becomes the i-th that was initialised in `from`.
 */
void sim_disk_clone(struct sim_disk *to, const struct sim_disk *from);
void sim_domain_clone(struct sim_domain *to, struct sim_disk *const *disks,
		      const struct sim_domain *from);

void sim_disk_write(struct sim_disk *disk, u64 sector, const void *data, u32 nr, bool fua);
void sim_disk_write_cells(struct sim_disk *disk, u64 sector, const void *data, const u64 *cells,
			  u32 nr, bool fua);
/*
 * A bit of a sector changes by itself, the cell does not; false: it does not, as the sector's page
 * is all zeros, or in the write cache.
 */
bool sim_disk_flip(struct sim_disk *disk, u64 sector, u32 bit);
/* Everything pending in the whole domain becomes durable. */
void sim_disk_flush(struct sim_disk *disk);
/* `random` decides which sectors become zeros, which keep what they have; it is a pending write. */
void sim_disk_trim(struct sim_disk *disk, u64 sector, u64 nr, u64 random);
/* Zeros for certain, as a write of zeros, but cheap. */
void sim_disk_zero(struct sim_disk *disk, u64 sector, u64 nr, bool fua);
/* A failed write: some of its sectors were written, perhaps none or all.  Returns how many. */
u32 sim_disk_write_torn_cells(struct sim_disk *disk, u64 sector, const void *data,
			      const u64 *cells, u32 nr, struct sim_rng *rng);
static inline u32 sim_disk_write_torn(struct sim_disk *disk, u64 sector, const void *data, u32 nr,
				      struct sim_rng *rng)
{
	return sim_disk_write_torn_cells(disk, sector, data, NULL, nr, rng);
}

/*
 * Crashes are of the whole domain.  First the writes in flight are handed in (`data` NULL: zeros);
 * they count as the last pending ones, and nothing but a crash may follow.  Afterwards nothing is
 * pending.  Returns the mood that it was.
 */
void sim_disk_in_flight_cells(struct sim_disk *disk, u64 sector, const void *data,
			      const u64 *cells, u32 nr);
static inline void sim_disk_in_flight(struct sim_disk *disk, u64 sector, const void *data, u32 nr)
{
	sim_disk_in_flight_cells(disk, sector, data, NULL, nr);
}

enum sim_mood sim_disk_crash(struct sim_disk *disk, struct sim_rng *rng, enum sim_mood mood);
/*
 * The host dies, the drive keeps its power: writes in flight happened, or did not, or in part;
 * everything can be read, and what is pending stays pending, to be lost by a later crash.
 */
void sim_disk_host_crash(struct sim_disk *disk, struct sim_rng *rng);

/* Exhaustive tests: exactly the pending writes of the mask (bit i: the i-th in time) survive. */
u64 sim_disk_pending(const struct sim_disk *disk);
void sim_disk_crash_subset(struct sim_disk *disk, u64 mask);

/* --- disk-look.c --- */

void sim_disk_read(struct sim_disk *disk, u64 sector, void *data, u32 nr);
/* What is durable, as if the power went now and nothing pending survived. */
void sim_disk_read_durable(const struct sim_disk *disk, u64 sector, void *data, u32 nr);
void sim_disk_read_cells(const struct sim_disk *disk, bool durable, u64 sector, u64 *cells, u32 nr);
/* Of the data that are durable. */
u64 sim_disk_hash(const struct sim_disk *disk);

/* A disk, and which of its contents: the newest, or what is durable. */
struct sim_view {
	const struct sim_disk *disk;
	bool durable;
	bool cells;		/* in both views: these count, too */
};

/*
 * How many sectors of the two are equal before the first piece (of a page, which is eight sectors,
 * on both) that is not.  Of pages that did not change since they were last compared, this is known.
 */
u64 sim_disk_equal(struct sim_view a, u64 sector_a, struct sim_view b, u64 sector_b, u64 nr);

#endif
