// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disks in memory, see disk.h.
 *
 * Two images: what is durable, and pages on top of it for what is pending.  Besides, every pending
 * write is kept as a unit with its data, in time order; a crash forgets the upper pages and applies
 * the units it chooses to the durable image.
 */
#include "disk-page.h"

#define CACHE_SECTORS 32768u

enum unit_kind {
	UNIT_DATA,
	UNIT_ZERO,
	UNIT_TRIM,		/* zeros where `random` says so */
};

struct sim_unit {
	u64 sector, nr;
	u64 nr_given;		/* before an end was cut off; their cells follow */
	union {
		size_t data;	/* offset in the domain's */
		u64 random;
	};
	u32 disk;
	u8 kind;
	bool fixed;		/* durable already: the fate of older units must not undo it */
};

enum image {
	DURABLE,
	NEWEST,
	NEWEST_IF_DIRTY,
};

static void *grow(void *array, size_t wanted, size_t size, size_t *room)
{
	if (wanted <= *room)
		return array;
	*room = max(wanted, 2 * *room);
	array = realloc(array, *room * size);
	core_assert(array);
	return array;
}

static void *zalloc(size_t nr, size_t size)
{
	void *array = calloc(nr ? nr : 1, size);

	core_assert(array);
	return array;
}

static u64 last_stamp;
static struct sim_page *spare_pages;

void page_free(struct sim_page *page)
{
	page->next_spare = spare_pages;
	spare_pages = page;
}

static struct sim_page *page_new(void)
{
	struct sim_page *page = spare_pages;

	if (page)
		spare_pages = page->next_spare;
	else
		page = malloc(sizeof(*page));
	core_assert(page);
	page->refs = 1;
	page->stamp = ++last_stamp;
	page->same_as = NO_STAMP;
	return page;
}

/* A page that is ours alone; `whole`: all will be overwritten. */
static struct sim_page *page_own(struct sim_page **slot, bool whole)
{
	struct sim_page *old = *slot, *page;

	if (old && old->refs == 1) {
		old->stamp = ++last_stamp;
		old->same_as = NO_STAMP;
		return old;
	}
	page = page_new();
	if (!whole && old) {
		memcpy(page->data, old->data, sizeof(page->data));
		memcpy(page->cells, old->cells, sizeof(page->cells));
	} else if (!whole) {
		memset(page->data, 0, sizeof(page->data));
		memset(page->cells, 0, sizeof(page->cells));
	}
	page_put(old);
	*slot = page;
	return page;
}

static void check_range(const struct sim_disk *disk, u64 sector, u64 nr)
{
	core_assert(sector <= disk->sectors && nr <= disk->sectors - sector);
}

/* Where to write sectors of a page; NULL: nothing to do. */
static struct sim_page *page_for(struct sim_disk *disk, enum image image, u64 page, bool zero,
				 bool whole)
{
	if (image == DURABLE) {
		if (zero && !disk->durable[page])
			return NULL;
		return page_own(&disk->durable[page], whole);
	}
	if (!disk->newest[page]) {
		if (image == NEWEST_IF_DIRTY || (zero && !disk->durable[page]))
			return NULL;
		disk->newest[page] = page_get(disk->durable[page]);
		disk->dirty[disk->nr_dirty++] = page;
	}
	return page_own(&disk->newest[page], whole);
}

/* Data or cells NULL: zeros. */
static void put(struct sim_disk *disk, enum image image, u64 sector, const u8 *data,
		const u64 *cells, u64 nr)
{
	while (nr) {
		u64 first = sector % PAGE_SECTORS, count = min_t(u64, nr, PAGE_SECTORS - first);
		struct sim_page *page = page_for(disk, image, sector / PAGE_SECTORS, !data,
						 count == PAGE_SECTORS);

		if (page && data)
			memcpy((u8 *)page->data + first * SIM_SECTOR, data, count * SIM_SECTOR);
		else if (page)
			memset((u8 *)page->data + first * SIM_SECTOR, 0, count * SIM_SECTOR);
		if (page && cells)
			memcpy(page->cells + first, cells, count * sizeof(u64));
		else if (page)
			memset(page->cells + first, 0, count * sizeof(u64));
		if (data)
			data += count * SIM_SECTOR;
		if (cells)
			cells += count;
		sector += count;
		nr -= count;
	}
}

static bool is_trimmed(const struct sim_disk *disk, u64 random, u64 sector)
{
	sector -= sector % disk->unit;
	switch (random % 4) {
	case 0:
		return true;
	case 1:
		return false;
	case 2:
		return sim_mix(random ^ sector / PAGE_SECTORS) & 1;
	default:
		return sim_mix(random ^ sector) & 1;
	}
}

static void put_trimmed(struct sim_disk *disk, enum image image, u64 sector, u64 nr, u64 random)
{
	u64 i, run = 0;

	for (i = 0; i < nr; i++) {
		if (is_trimmed(disk, random, sector + i)) {
			run++;
			continue;
		}
		put(disk, image, sector + i - run, NULL, NULL, run);
		run = 0;
	}
	put(disk, image, sector + nr - run, NULL, NULL, run);
}

/* Behind its data, in a domain one of whose disks has tuples. */
static const u64 *cells_of(const struct sim_domain *domain, const struct sim_unit *unit)
{
	if (unit->kind != UNIT_DATA || !(domain->disks[unit->disk]->flags & SIM_DISK_TUPLES))
		return NULL;
	return (const u64 *)(domain->data + unit->data + unit->nr_given * SIM_SECTOR);
}

static size_t bytes_of(const struct sim_disk *disk, u64 nr)
{
	return nr * (SIM_SECTOR + (disk->flags & SIM_DISK_TUPLES ? sizeof(u64) : 0));
}

/* Sectors [from, from + nr) of a unit, as far as it has them, reach the durable image. */
static void apply_part(struct sim_domain *domain, const struct sim_unit *unit, u64 from, u64 nr)
{
	struct sim_disk *disk = domain->disks[unit->disk];
	const u64 *cells;

	if (from >= unit->nr)
		return;
	nr = min(nr, unit->nr - from);
	switch (unit->kind) {
	case UNIT_DATA:
		cells = cells_of(domain, unit);
		put(disk, DURABLE, unit->sector + from, domain->data + unit->data +
		    from * SIM_SECTOR, cells ? cells + from : NULL, nr);
		break;
	case UNIT_ZERO:
		put(disk, DURABLE, unit->sector + from, NULL, NULL, nr);
		break;
	case UNIT_TRIM:
		put_trimmed(disk, DURABLE, unit->sector + from, nr, unit->random);
		break;
	}
}

static void apply(struct sim_domain *domain, const struct sim_unit *unit)
{
	apply_part(domain, unit, 0, unit->nr);
}

/* Each sector (or what is written as a whole) for itself, with a chance of n in 8. */
static void apply_sectors(struct sim_domain *domain, const struct sim_unit *unit,
			  struct sim_rng *rng, unsigned int n)
{
	u32 step = domain->disks[unit->disk]->unit;
	u64 i;

	for (i = 0; i < unit->nr; i += step)
		if (sim_rng_below(rng, 8) < n)
			apply_part(domain, unit, i, step);
}

static void drop_newest(struct sim_disk *disk)
{
	size_t i;

	for (i = 0; i < disk->nr_dirty; i++) {
		page_put(disk->newest[disk->dirty[i]]);
		disk->newest[disk->dirty[i]] = NULL;
	}
	disk->nr_dirty = 0;
}

static void settle_newest(struct sim_disk *disk)
{
	size_t i;

	for (i = 0; i < disk->nr_dirty; i++) {
		u32 page = disk->dirty[i];

		page_put(disk->durable[page]);
		disk->durable[page] = disk->newest[page];
		disk->newest[page] = NULL;
	}
	disk->nr_dirty = 0;
}

static void drop_units(struct sim_domain *domain)
{
	domain->nr_units = 0;
	domain->nr_data = 0;
	domain->nr_fixed = 0;
	domain->nr_flying = 0;
	domain->zeroed = false;
}

/* The cache is full: the older half of it gets to the medium. */
static void evict(struct sim_domain *domain)
{
	size_t i, nr = domain->nr_units / 2 + 1, data = domain->nr_data;

	for (i = 0; i < domain->nr_units; i++) {
		struct sim_unit *unit = &domain->units[i];

		if (i < nr) {
			apply(domain, unit);
			if (unit->nr)
				domain->disks[unit->disk]->stats.evicted += !unit->fixed;
			domain->nr_fixed -= unit->fixed;
		} else if (unit->kind == UNIT_DATA) {
			data = min(data, unit->data);
		}
	}
	domain->nr_units -= nr;
	domain->nr_data -= data;
	memmove(domain->units, domain->units + nr, domain->nr_units * sizeof(*domain->units));
	if (domain->nr_data)
		memmove(domain->data, domain->data + data, domain->nr_data);
	for (i = 0; i < domain->nr_units; i++) {
		if (domain->units[i].kind == UNIT_DATA)
			domain->units[i].data -= data;
		if (domain->units[i].fixed)
			apply(domain, &domain->units[i]);
	}
}

/* Cells of a disk with tuples may be NULL: zeros. */
static void add_data(struct sim_disk *disk, struct sim_unit *unit, const void *data,
		     const u64 *cells)
{
	struct sim_domain *domain = disk->domain;
	size_t bytes = unit->nr * SIM_SECTOR, with = bytes_of(disk, unit->nr);

	domain->data = grow(domain->data, domain->nr_data + with, 1, &domain->data_room);
	unit->data = domain->nr_data;
	memcpy(domain->data + unit->data, data, bytes);
	if (cells && with > bytes)
		memcpy(domain->data + unit->data + bytes, cells, with - bytes);
	else
		memset(domain->data + unit->data + bytes, 0, with - bytes);
	domain->nr_data += with;
}

static struct sim_unit *add_unit(struct sim_disk *disk, enum unit_kind kind, u64 sector,
				 const void *data, const u64 *cells, u64 nr)
{
	struct sim_domain *domain = disk->domain;
	struct sim_unit *unit;

	if (domain->nr_units && !domain->nr_flying &&
	    (domain->nr_units >= max_t(u64, domain->cache_sectors, 2) ||
	     domain->nr_data / SIM_SECTOR + (kind == UNIT_DATA ? nr : 0) > domain->cache_sectors))
		evict(domain);
	domain->units = grow(domain->units, domain->nr_units + 1, sizeof(*unit),
			     &domain->units_room);
	unit = &domain->units[domain->nr_units++];
	memset(unit, 0, sizeof(*unit));
	unit->disk = disk->index;
	unit->kind = kind;
	unit->sector = sector;
	unit->nr = nr;
	unit->nr_given = nr;
	if (kind == UNIT_DATA && nr)
		add_data(disk, unit, data, cells);
	else
		domain->zeroed = true;
	return unit;
}

static bool any_dirty(const struct sim_disk *disk, u64 sector, u64 nr)
{
	u64 page;

	if (!disk->domain->nr_units)
		return false;
	for (page = sector / PAGE_SECTORS; page * PAGE_SECTORS < sector + nr; page++)
		if (disk->newest[page])
			return true;
	return disk->domain->zeroed;
}

/* Data or zeros (data NULL). */
static void write_sectors(struct sim_disk *disk, u64 sector, const void *data, const u64 *cells,
			  u64 nr, bool fua)
{
	enum unit_kind kind = data ? UNIT_DATA : UNIT_ZERO;

	core_assert(!disk->domain->nr_flying && !(sector % disk->unit) && !(nr % disk->unit));
	check_range(disk, sector, nr);
	disk->stats.sectors_written += nr;
	if (!nr)
		return;
	if (!(disk->flags & SIM_DISK_FUA))
		fua = false;
	if (!(disk->flags & SIM_DISK_VOLATILE)) {
		put(disk, DURABLE, sector, data, cells, nr);
	} else if (!fua) {
		add_unit(disk, kind, sector, data, cells, nr);
		put(disk, NEWEST, sector, data, cells, nr);
	} else if (any_dirty(disk, sector, nr)) {
		add_unit(disk, kind, sector, data, cells, nr)->fixed = true;
		disk->domain->nr_fixed++;
		put(disk, DURABLE, sector, data, cells, nr);
		/* all of its pages are dirty now: a later one must not be undone by this */
		put(disk, NEWEST, sector, data, cells, nr);
	} else {
		put(disk, DURABLE, sector, data, cells, nr);
	}
}

void sim_disk_write_cells(struct sim_disk *disk, u64 sector, const void *data, const u64 *cells,
			  u32 nr, bool fua)
{
	core_assert(data);
	disk->stats.writes++;
	disk->stats.fua_writes += fua;
	write_sectors(disk, sector, data, cells, nr, fua);
}

void sim_disk_write(struct sim_disk *disk, u64 sector, const void *data, u32 nr, bool fua)
{
	sim_disk_write_cells(disk, sector, data, NULL, nr, fua);
}

void sim_disk_zero(struct sim_disk *disk, u64 sector, u64 nr, bool fua)
{
	disk->stats.writes++;
	disk->stats.fua_writes += fua;
	write_sectors(disk, sector, NULL, NULL, nr, fua);
}

void sim_disk_trim(struct sim_disk *disk, u64 sector, u64 nr, u64 random)
{
	core_assert(!disk->domain->nr_flying);
	check_range(disk, sector, nr);
	disk->stats.trims++;
	if (!nr)
		return;
	if (disk->flags & SIM_DISK_VOLATILE) {
		add_unit(disk, UNIT_TRIM, sector, NULL, NULL, nr)->random = random;
		put_trimmed(disk, NEWEST, sector, nr, random);
	} else {
		put_trimmed(disk, DURABLE, sector, nr, random);
	}
}

u32 sim_disk_write_torn_cells(struct sim_disk *disk, u64 sector, const void *data,
			      const u64 *cells, u32 nr, struct sim_rng *rng)
{
	u32 i, run = 0, kept = 0, mood = sim_rng_below(rng, 4), cut = sim_rng_below(rng, nr + 1ull);
	u32 step = disk->unit;

	disk->stats.writes++;
	for (i = 0; i <= nr; i += step) {
		bool keep = mood == 0 ? i < cut : mood == 1 ? i >= cut : sim_rng_next(rng) & 1;

		if (i < nr && keep) {
			run += step;
			kept += step;
			continue;
		}
		if (run)
			write_sectors(disk, sector + i - run, data ? (const u8 *)data +
				      (size_t)(i - run) * SIM_SECTOR : NULL,
				      cells ? cells + i - run : NULL, run, false);
		run = 0;
	}
	return kept;
}

bool sim_disk_flip(struct sim_disk *disk, u64 sector, u32 bit)
{
	u64 page = sector / PAGE_SECTORS, at = sector % PAGE_SECTORS * SIM_SECTOR + bit / 8;

	if (disk->newest[page] || !disk->durable[page])
		return false;
	((u8 *)page_own(&disk->durable[page], false)->data)[at] ^= 1u << bit % 8;
	return true;
}

void sim_disk_flush(struct sim_disk *disk)
{
	struct sim_domain *domain = disk->domain;
	unsigned int i;

	core_assert(!domain->nr_flying);
	disk->stats.flushes++;
	for (i = 0; i < domain->nr_disks; i++)
		if (domain->disks[i])
			settle_newest(domain->disks[i]);
	drop_units(domain);
}

void sim_disk_in_flight_cells(struct sim_disk *disk, u64 sector, const void *data,
			      const u64 *cells, u32 nr)
{
	check_range(disk, sector, nr);
	disk->domain->nr_flying++;
	add_unit(disk, data ? UNIT_DATA : UNIT_ZERO, sector, data, cells, nr);
}

/* What the moods need besides. */
struct crash {
	enum sim_mood mood;
	unsigned int chance;	/* of 8 */
	u64 chosen;		/* among the pending */
	struct sim_rng *rng;
};

static void tear(struct sim_domain *domain, const struct sim_unit *unit, struct sim_rng *rng)
{
	u64 cut = sim_rng_below(rng, unit->nr + 1);

	cut -= cut % domain->disks[unit->disk]->unit;
	switch (sim_rng_below(rng, 3)) {
	case 0:
		apply_part(domain, unit, 0, cut);
		break;
	case 1:
		apply_part(domain, unit, cut, unit->nr);
		break;
	default:
		apply_sectors(domain, unit, rng, 4);
		break;
	}
}

static void crash_unit(struct sim_domain *domain, const struct sim_unit *unit, u64 i,
		       const struct crash *crash)
{
	switch (crash->mood) {
	case SIM_MOOD_LOSE_ALL:
		return;
	case SIM_MOOD_EACH_SECTOR:
		apply_sectors(domain, unit, crash->rng, crash->chance);
		return;
	case SIM_MOOD_EACH_WRITE:
		if (sim_rng_below(crash->rng, 8) >= crash->chance)
			return;
		break;
	case SIM_MOOD_PREFIX:
		if (i == crash->chosen)
			tear(domain, unit, crash->rng);
		if (i >= crash->chosen)
			return;
		break;
	case SIM_MOOD_ALL_BUT_ONE:
		if (i == crash->chosen)
			return;
		break;
	case SIM_MOOD_ONLY_ONE:
		if (i != crash->chosen)
			return;
		break;
	case SIM_MOOD_TEAR:
		if (sim_rng_below(crash->rng, 3) == 0)
			return;
		if (sim_rng_below(crash->rng, 2)) {
			tear(domain, unit, crash->rng);
			return;
		}
		break;
	case SIM_MOOD_KEEP_ALL:
	case SIM_NR_MOODS:
		break;
	}
	apply(domain, unit);
}

static void after_crash(struct sim_disk *disk)
{
	struct sim_domain *domain = disk->domain;
	unsigned int i;

	disk->stats.crashes++;
	for (i = 0; i < domain->nr_disks; i++)
		if (domain->disks[i])
			drop_newest(domain->disks[i]);
	drop_units(domain);
}

enum sim_mood sim_disk_crash(struct sim_disk *disk, struct sim_rng *rng, enum sim_mood mood)
{
	static const unsigned int chances[] = { 1, 4, 7 };
	struct sim_domain *domain = disk->domain;
	struct crash crash = { .rng = rng };
	u64 pending = 0;
	size_t i;

	crash.mood = mood < SIM_NR_MOODS ? mood : sim_rng_below(rng, SIM_NR_MOODS);
	crash.chance = chances[sim_rng_below(rng, ARRAY_SIZE(chances))];
	crash.chosen = sim_rng_below(rng, sim_disk_pending(disk) + (crash.mood == SIM_MOOD_PREFIX)
				     + !sim_disk_pending(disk));
	for (i = 0; i < domain->nr_units; i++) {
		if (domain->units[i].fixed)
			apply(domain, &domain->units[i]);
		else
			crash_unit(domain, &domain->units[i], pending++, &crash);
	}
	after_crash(disk);
	return crash.mood;
}

u64 sim_disk_pending(const struct sim_disk *disk)
{
	return disk->domain->nr_units - disk->domain->nr_fixed;
}

void sim_disk_crash_subset(struct sim_disk *disk, u64 mask)
{
	struct sim_domain *domain = disk->domain;
	u64 pending = 0;
	size_t i;

	core_assert(sim_disk_pending(disk) <= 64);
	for (i = 0; i < domain->nr_units; i++)
		if (domain->units[i].fixed || mask >> pending++ & 1)
			apply(domain, &domain->units[i]);
	after_crash(disk);
}

void sim_disk_host_crash(struct sim_disk *disk, struct sim_rng *rng)
{
	struct sim_domain *domain = disk->domain;
	size_t i, nr = domain->nr_flying, first = domain->nr_units - nr;
	struct sim_unit *units = zalloc(nr, sizeof(*units));
	u8 *data = zalloc(domain->nr_data, 1);

	disk->stats.crashes++;
	if (nr)
		memcpy(units, domain->units + first, nr * sizeof(*units));
	if (domain->nr_data)
		memcpy(data, domain->data, domain->nr_data);
	domain->nr_units = first;
	domain->nr_flying = 0;
	for (i = 0; i < nr; i++) {
		struct sim_disk *on = domain->disks[units[i].disk];
		const u8 *bytes = units[i].kind == UNIT_DATA ? data + units[i].data : NULL;
		const u64 *cells = bytes && (on->flags & SIM_DISK_TUPLES) ?
				   (const u64 *)(bytes + units[i].nr * SIM_SECTOR) : NULL;

		if (bytes)	/* none but those in flight lie behind it */
			domain->nr_data = min(domain->nr_data, units[i].data);
		switch (sim_rng_below(rng, 3)) {
		case 0:
			break;
		case 1:
			write_sectors(on, units[i].sector, bytes, cells, units[i].nr, false);
			break;
		default:
			sim_disk_write_torn_cells(on, units[i].sector, bytes, cells, units[i].nr,
						  rng);
			break;
		}
	}
	free(units);
	free(data);
}

void sim_domain_init(struct sim_domain *domain)
{
	memset(domain, 0, sizeof(*domain));
	domain->cache_sectors = CACHE_SECTORS;
}

void sim_domain_free(struct sim_domain *domain)
{
	free(domain->units);
	free(domain->data);
	memset(domain, 0, sizeof(*domain));
}

static void join(struct sim_disk *disk, struct sim_domain *domain)
{
	if (!domain) {
		domain = &disk->own_domain;
		sim_domain_init(domain);
	}
	core_assert(domain->nr_disks < SIM_DOMAIN_DISKS);
	disk->domain = domain;
	disk->index = domain->nr_disks++;
	domain->disks[disk->index] = disk;
}

void sim_disk_init(struct sim_disk *disk, u64 sectors, unsigned int flags,
		   struct sim_domain *domain)
{
	memset(disk, 0, sizeof(*disk));
	disk->sectors = sectors;
	disk->flags = flags;
	disk->unit = 1;
	disk->nr_pages = DIV_ROUND_UP(sectors, PAGE_SECTORS);
	disk->durable = zalloc(disk->nr_pages, sizeof(*disk->durable));
	disk->newest = zalloc(disk->nr_pages, sizeof(*disk->newest));
	disk->dirty = zalloc(disk->nr_pages, sizeof(*disk->dirty));
	join(disk, domain);
}

/* Units of sectors from `sectors` on are cut off. */
static void cut_units(struct sim_disk *disk, u64 sectors)
{
	size_t i;

	for (i = 0; i < disk->domain->nr_units; i++) {
		struct sim_unit *unit = &disk->domain->units[i];

		if (unit->disk != disk->index)
			continue;
		unit->nr = unit->sector < sectors ? min(unit->nr, sectors - unit->sector) : 0;
	}
}

static void free_pages(struct sim_page **pages, size_t from, size_t to)
{
	for (; from < to; from++) {
		page_put(pages[from]);
		pages[from] = NULL;
	}
}

void sim_disk_free(struct sim_disk *disk)
{
	cut_units(disk, 0);
	disk->domain->disks[disk->index] = NULL;
	if (disk->domain == &disk->own_domain)
		sim_domain_free(&disk->own_domain);
	free_pages(disk->durable, 0, disk->nr_pages);
	free_pages(disk->newest, 0, disk->nr_pages);
	free(disk->durable);
	free(disk->newest);
	free(disk->dirty);
	memset(disk, 0, sizeof(*disk));
}

static void resize_pages(struct sim_page ***pages, size_t old, size_t new)
{
	if (new < old)
		free_pages(*pages, new, old);
	*pages = realloc(*pages, (new ? new : 1) * sizeof(**pages));
	core_assert(*pages);
	if (new > old)
		memset(*pages + old, 0, (new - old) * sizeof(**pages));
}

void sim_disk_resize(struct sim_disk *disk, u64 sectors)
{
	size_t i, nr = 0, new = DIV_ROUND_UP(sectors, PAGE_SECTORS);

	if (sectors < disk->sectors) {
		u64 tail = min(disk->sectors, new * PAGE_SECTORS) - sectors;

		cut_units(disk, sectors);
		put(disk, DURABLE, sectors, NULL, NULL, tail);
		put(disk, NEWEST_IF_DIRTY, sectors, NULL, NULL, tail);
	}
	for (i = 0; i < disk->nr_dirty; i++)
		if (disk->dirty[i] < new)
			disk->dirty[nr++] = disk->dirty[i];
	disk->nr_dirty = nr;
	disk->dirty = realloc(disk->dirty, (new ? new : 1) * sizeof(*disk->dirty));
	core_assert(disk->dirty);
	resize_pages(&disk->durable, disk->nr_pages, new);
	resize_pages(&disk->newest, disk->nr_pages, new);
	disk->nr_pages = new;
	disk->sectors = sectors;
}

static void copy_disk(struct sim_disk *to, const struct sim_disk *from, struct sim_domain *domain)
{
	size_t i;

	sim_disk_init(to, from->sectors, from->flags, domain);
	to->unit = from->unit;
	for (i = 0; i < from->nr_pages; i++)
		to->durable[i] = page_get(from->durable[i]);
	for (i = 0; i < from->nr_dirty; i++) {
		to->dirty[i] = from->dirty[i];
		to->newest[to->dirty[i]] = page_get(from->newest[to->dirty[i]]);
	}
	to->nr_dirty = from->nr_dirty;
	to->stats = from->stats;
}

static void copy_units(struct sim_domain *to, const struct sim_domain *from)
{
	to->cache_sectors = from->cache_sectors;
	to->units = grow(NULL, from->nr_units, sizeof(*to->units), &to->units_room);
	to->data = grow(NULL, from->nr_data, 1, &to->data_room);
	if (from->nr_units)
		memcpy(to->units, from->units, from->nr_units * sizeof(*to->units));
	if (from->nr_data)
		memcpy(to->data, from->data, from->nr_data);
	to->nr_units = from->nr_units;
	to->nr_data = from->nr_data;
	to->nr_fixed = from->nr_fixed;
	to->nr_flying = from->nr_flying;
	to->zeroed = from->zeroed;
}

void sim_disk_clone(struct sim_disk *to, const struct sim_disk *from)
{
	core_assert(from->domain == &from->own_domain);
	copy_disk(to, from, NULL);
	copy_units(to->domain, from->domain);
}

void sim_domain_clone(struct sim_domain *to, struct sim_disk *const *disks,
		      const struct sim_domain *from)
{
	unsigned int i;

	sim_domain_init(to);
	for (i = 0; i < from->nr_disks; i++) {
		core_assert(from->disks[i]);
		copy_disk(disks[i], from->disks[i], to);
	}
	copy_units(to, from);
}
