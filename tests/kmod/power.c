// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power cuts. The cut itself is one assignment under world.lock, the lock under which every event
 * is numbered and applied: no disk goes beyond it. What survives is chosen afterwards, in a process
 * (settle), when the requests that were in flight have failed; nothing can change in between.
 *
 * Every choice is a hash of the seed and of what it is about, so it does not depend on the order in
 * which choices are made: the same events and the same seed give the same media.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/string.h>

#include "simdisk.h"

/* --- choices --- */

/* Two rounds of the finaliser of splitmix64. */
u64 simdisk_hash(u64 a, u64 b)
{
	u64 hash = a + 0x9e3779b97f4a7c15ULL;
	int round;

	for (round = 0; round < 2; round++) {
		hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
		hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
		hash ^= hash >> 31;
		hash += b;
	}
	return (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL >> 8;
}

enum purpose {
	CHOOSE_MOOD = 1,
	CHOOSE_REQUEST,
	CHOOSE_REQUEST_UNIT,
	CHOOSE_POINT,
	CHOOSE_TORN,
	CHOOSE_TORN_AT,
	CHOOSE_SECOND_POINT,
};

static u32 choose(const struct simdisk *disk, enum purpose purpose, u64 what, u32 choices)
{
	u64 hash = simdisk_hash(world.seed, disk->number * 16ULL + purpose);

	return simdisk_hash(hash, what) % choices;
}

/* How likely it is that a disk keeps the newest value, in percent; -1: no preference. */
static int keep_percent(const struct simdisk *disk)
{
	if (world.moods) {
		u32 mood = choose(disk, CHOOSE_MOOD, 0, 4);

		if (mood == 0)
			return 0;
		if (mood == 1)
			return 100;
	}
	return world.keep_percent;
}

/* --- the cut (world.lock held) --- */

void simdisk_cut(void)
{
	if (world.power != SIMDISK_ON)
		return;
	WRITE_ONCE(world.power, SIMDISK_CUTTING);
	world.trigger = SIMDISK_NOT_ARMED;
	world.cuts++;
	schedule_work(&world.settle_work);
}

static bool is_awaited(const struct request *request)
{
	switch (world.trigger) {
	case SIMDISK_BEFORE_FLUSH:
		return req_op(request) == REQ_OP_FLUSH;
	case SIMDISK_BEFORE_FUA:
		return simdisk_is_write_like(request) && (request->cmd_flags & REQ_FUA);
	case SIMDISK_BEFORE_WRITE:
		return req_op(request) == REQ_OP_WRITE;
	case SIMDISK_BEFORE_DISCARD:
		return req_op(request) == REQ_OP_DISCARD;
	default:
		return false;
	}
}

/* Cuts instead of this request if it is the one that was waited for. */
bool simdisk_trigger_before(const struct request *request)
{
	if (!is_awaited(request) || --world.trigger_count)
		return false;
	simdisk_cut();
	return true;
}

/* Cuts after the event that was just numbered if it is the one. */
void simdisk_trigger_after(void)
{
	if (world.trigger == SIMDISK_AFTER_EVENT && world.sequence >= world.trigger_count)
		simdisk_cut();
}

/*
 * What a write that was under way at the cut still does: nothing, all of it, or some units of it,
 * which are left in the masks of its versions. disk->lock held.
 */
bool simdisk_in_flight_survives(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	int keep = keep_percent(disk);
	u8 unit_mask = READ_ONCE(disk->knobs.atomic) == 512 ? 1 : SIMDISK_ALL_SECTORS;
	struct simdisk_version *version;
	u32 manner;

	if (!command->versions || keep == 0)
		return false;
	manner = choose(disk, CHOOSE_REQUEST, blk_rq_pos(request), 3);
	if (keep < 0 && manner == 0)
		return false;
	world.applied_in_flight++;
	for (version = command->versions; version; version = version->next) {
		unsigned int first = 0;

		version->survives = true;
		if (keep == 100 || (keep < 0 && manner == 1))
			continue;
		for (; first < SIMDISK_PAGE_SECTORS; first += hweight8(unit_mask)) {
			u64 sector = version->cell->index * SIMDISK_PAGE_SECTORS + first;
			u32 draw = choose(disk, CHOOSE_REQUEST_UNIT, sector, 100);

			if (draw >= (keep < 0 ? 50 : keep))
				version->mask &= ~(unit_mask << first);
		}
	}
	return true;
}

/* --- choosing the survivors: a process, world.control held, nothing in flight --- */

/* The units of one page: its values at the cut, and what becomes of them. */
struct settle {
	u8 durable[SIMDISK_PAGE_SIZE];
	u8 result[SIMDISK_PAGE_SIZE];
	u64 reverted;
	u64 kept;
	u64 torn;
};

/*
 * The moments in the history of a unit that it may go back to: 0 is the newest, one more for each
 * older version that holds some of it, the last is the durable value. A write in flight that was
 * decided to survive bounds how far back it may go.
 */
static u32 oldest_moment(const struct simdisk_cell *cell, u8 unit)
{
	const struct simdisk_version *version;
	u32 moment = 0;

	for (version = cell->newest; version; version = version->next) {
		if (!(version->mask & unit))
			continue;
		if (version->survives)
			break;
		moment++;
	}
	return moment;
}

static const u8 *value_at(const struct simdisk_cell *cell, u8 unit, unsigned int sector,
			  u32 moment, const u8 *durable)
{
	const struct simdisk_version *version;
	static const u8 zeroes[SECTOR_SIZE];
	u32 passed = 0;

	for (version = cell->newest; version; version = version->next) {
		if (!(version->mask & unit))
			continue;
		if (passed++ >= moment && (version->mask & (1U << sector)))
			return version->data ? version->data + sector * SECTOR_SIZE : zeroes;
	}
	return durable + sector * SECTOR_SIZE;
}

static u32 choose_moment(const struct simdisk *disk, enum purpose purpose, u64 first_sector,
			 u32 oldest)
{
	int keep = keep_percent(disk);

	if (keep < 0)
		return choose(disk, purpose, first_sector, oldest + 1);
	return choose(disk, purpose, first_sector, 100) < (u32)keep ? 0 : oldest;
}

static void settle_unit(struct simdisk *disk, struct simdisk_cell *cell, struct settle *settle,
			u8 unit)
{
	unsigned int first = __ffs(unit), sectors = hweight8(unit), i;
	u64 sector = (u64)cell->index * SIMDISK_PAGE_SECTORS + first;
	u32 oldest = oldest_moment(cell, unit);
	u32 moment = choose_moment(disk, CHOOSE_POINT, sector, oldest);
	u32 second = moment, split = 0;

	if (choose(disk, CHOOSE_TORN, sector, 100) < READ_ONCE(disk->knobs.torn)) {
		second = choose_moment(disk, CHOOSE_SECOND_POINT, sector, oldest);
		split = 1 + choose(disk, CHOOSE_TORN_AT, sector, 7);
	}
	split *= sectors * SECTOR_SIZE / 8;
	for (i = 0; i < sectors; i++) {
		u8 *to = settle->result + (first + i) * SECTOR_SIZE;
		u32 begin = clamp_t(int, (int)split - (int)(i * SECTOR_SIZE), 0, SECTOR_SIZE);

		memcpy(to, value_at(cell, unit, first + i, moment, settle->durable), SECTOR_SIZE);
		memcpy(to, value_at(cell, unit, first + i, second, settle->durable), begin);
		if (value_at(cell, unit, first + i, 0, settle->durable) ==
		    settle->durable + (first + i) * SECTOR_SIZE)
			continue;	/* was not volatile */
		if (moment == 0 && second == 0)
			settle->kept++;
		else
			settle->reverted++;
	}
	settle->torn += moment != second;
}

static u8 volatile_sectors(const struct simdisk_cell *cell)
{
	const struct simdisk_version *version;
	u8 mask = 0;

	for (version = cell->newest; version; version = version->next)
		mask |= version->mask;
	return mask;
}

/* Gives the page the value that it has after the cut, and forgets its versions. */
static void install_result(struct simdisk *disk, struct simdisk_cell *cell, const u8 *result,
			   u8 mask)
{
	unsigned long page = 0;

	if (simdisk_has_backing(disk)) {
		if (simdisk_backing_write_sectors(disk, cell->index, mask, result))
			pr_err("%s: cannot write the survivors of the cut to %s\n", disk->spec.name,
			       disk->spec.backing);
	} else if (!cell->durable) {
		page = __get_free_page(GFP_KERNEL | __GFP_NOFAIL);
	}
	spin_lock_irq(&disk->lock);
	cell->pins++;
	if (!simdisk_has_backing(disk)) {
		struct simdisk_version *version;

		/* Folding must not bring back what was reverted. */
		for (version = cell->newest; version; version = version->next)
			version->mask = 0;
		if (!cell->durable)
			cell->durable = (u8 *)page;
		memcpy(cell->durable, result, SIMDISK_PAGE_SIZE);
	}
	simdisk_fold_cell(disk, cell, U64_MAX);
	cell->pins--;
	simdisk_put_cell(disk, cell);
	spin_unlock_irq(&disk->lock);
}

static void settle_cell(struct simdisk *disk, struct simdisk_cell *cell, struct settle *settle)
{
	u8 mask = volatile_sectors(cell);
	unsigned int sector;

	if (simdisk_has_backing(disk)) {
		if (simdisk_backing_read_page(disk, cell->index, settle->durable))
			pr_err("%s: cannot read %s\n", disk->spec.name, disk->spec.backing);
	} else if (cell->durable) {
		memcpy(settle->durable, cell->durable, SIMDISK_PAGE_SIZE);
	} else {
		memset(settle->durable, 0, SIMDISK_PAGE_SIZE);
	}
	memcpy(settle->result, settle->durable, SIMDISK_PAGE_SIZE);
	if (READ_ONCE(disk->knobs.atomic) == SIMDISK_PAGE_SIZE) {
		settle_unit(disk, cell, settle, SIMDISK_ALL_SECTORS);
	} else {
		for (sector = 0; sector < SIMDISK_PAGE_SECTORS; sector++)
			if (mask & (1U << sector))
				settle_unit(disk, cell, settle, 1U << sector);
	}
	install_result(disk, cell, settle->result, mask);
}

static bool is_idle(struct simdisk *disk)
{
	bool idle;

	spin_lock_irq(&disk->lock);
	idle = !disk->inflight;
	spin_unlock_irq(&disk->lock);
	return idle;
}

static void settle_disk(struct simdisk *disk, struct settle *settle)
{
	simdisk_timing_hurry(disk);
	wait_event(world.drained, is_idle(disk));
	if (simdisk_has_backing(disk))
		flush_workqueue(disk->destager);
	while (!list_empty(&disk->dirty_cells))
		settle_cell(disk, list_first_entry(&disk->dirty_cells, struct simdisk_cell, dirty),
			    settle);
	if (simdisk_has_backing(disk) && simdisk_backing_flush(disk))
		pr_err("%s: cannot flush %s\n", disk->spec.name, disk->spec.backing);
	spin_lock_irq(&disk->lock);
	disk->unflushed = false;
	disk->flush_barrier = disk->generation;
	spin_unlock_irq(&disk->lock);
}

/* The survivors are chosen per disk, but only after all of them have come to rest. */
void simdisk_settle(struct work_struct *work)
{
	static struct settle settle;	/* larger than what may be allocated with __GFP_NOFAIL */
	struct simdisk *disk;

	mutex_lock(&world.control);
	if (READ_ONCE(world.power) != SIMDISK_CUTTING)
		goto out;
	memset(&settle, 0, sizeof(settle));
	list_for_each_entry(disk, &world.disks, list)
		settle_disk(disk, &settle);
	spin_lock_irq(&world.lock);
	world.reverted_sectors = settle.reverted;
	world.kept_sectors = settle.kept;
	world.torn_sectors = settle.torn;
	WRITE_ONCE(world.power, SIMDISK_OFF);
	spin_unlock_irq(&world.lock);
out:
	mutex_unlock(&world.control);
}

/* --- the control file --- */

struct cut_order {
	u64 seed;
	enum simdisk_trigger trigger;
	u64 count;
	bool absolute;
	int keep;
	bool moods;
};

static bool take_number(char **text, u64 *value)
{
	char *word = strsep(text, " \t\n");

	return word && !kstrtou64(word, 0, value);
}

static int set_trigger_before(struct cut_order *order, char **text)
{
	static const struct { const char *word; enum simdisk_trigger trigger; } kinds[] = {
		{ "flush", SIMDISK_BEFORE_FLUSH }, { "fua", SIMDISK_BEFORE_FUA },
		{ "write", SIMDISK_BEFORE_WRITE }, { "discard", SIMDISK_BEFORE_DISCARD },
	};
	char *word = strsep(text, " \t\n");
	unsigned int i;

	for (i = 0; word && i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(word, kinds[i].word))
			continue;
		order->trigger = kinds[i].trigger;
		order->count = 1;
		if (*text && **text >= '0' && **text <= '9' && !take_number(text, &order->count))
			return -EINVAL;
		return order->count ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int parse_cut(char *text, struct cut_order *order)
{
	char *word;
	u64 percent;

	*order = (struct cut_order){ .keep = -1 };
	if (!take_number(&text, &order->seed))
		return -EINVAL;
	while ((word = strsep(&text, " \t\n")) != NULL) {
		if (!*word) {
			continue;
		} else if (!strcmp(word, "after") || !strcmp(word, "at")) {
			order->trigger = SIMDISK_AFTER_EVENT;
			order->absolute = word[1] == 't';
			if (!take_number(&text, &order->count) || !order->count)
				return -EINVAL;
		} else if (!strcmp(word, "before")) {
			if (set_trigger_before(order, &text))
				return -EINVAL;
		} else if (!strcmp(word, "moods")) {
			order->moods = true;
		} else if (!strncmp(word, "keep=", 5)) {
			if (kstrtou64(word + 5, 10, &percent) || percent > 100)
				return -EINVAL;
			order->keep = percent;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static int arm_or_cut(const struct cut_order *order)
{
	int error = 0;

	spin_lock_irq(&world.lock);
	if (world.power != SIMDISK_ON) {
		error = -EBUSY;
	} else if (order->absolute && order->count <= world.sequence) {
		error = -ERANGE;
	} else {
		world.seed = order->seed;
		world.keep_percent = order->keep;
		world.moods = order->moods;
		world.applied_in_flight = 0;
		world.trigger = order->trigger;
		world.trigger_count = order->count;
		if (order->trigger == SIMDISK_AFTER_EVENT && !order->absolute)
			world.trigger_count += world.sequence;
		if (order->trigger == SIMDISK_NOT_ARMED)
			simdisk_cut();
	}
	spin_unlock_irq(&world.lock);
	if (error == -EBUSY)
		pr_err("the power is off already: revive first\n");
	else if (error)
		pr_err("event %llu is already over\n", order->count);
	else if (order->trigger == SIMDISK_NOT_ARMED)
		flush_work(&world.settle_work);
	return error;
}

int simdisk_power_command(char *text)
{
	struct cut_order order;
	char *word;

	text = strim(text);
	word = strsep(&text, " \t\n");
	if (!strcmp(word, "cut")) {
		if (!text || parse_cut(text, &order)) {
			pr_err("expected: cut SEED [after N | at SEQUENCE | before flush|fua|write|discard [N]] "
			       "[keep=PERCENT] [moods]\n");
			return -EINVAL;
		}
		return arm_or_cut(&order);
	}
	if (text || (strcmp(word, "revive") && strcmp(word, "disarm"))) {
		pr_err("'%s': expected cut ..., disarm or revive\n", word);
		return -EINVAL;
	}
	if (!strcmp(word, "revive"))
		flush_work(&world.settle_work);
	spin_lock_irq(&world.lock);
	world.trigger = SIMDISK_NOT_ARMED;
	if (!strcmp(word, "revive"))
		WRITE_ONCE(world.power, SIMDISK_ON);
	spin_unlock_irq(&world.lock);
	return 0;
}
