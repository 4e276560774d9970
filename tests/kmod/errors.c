// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors on demand: rules that make requests of a direction fail that touch a range of sectors.
 * While a disk has rules its queue merges nothing, so no request fails for its neighbour's sake.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "simdisk.h"

#define ON_READ		BIT(0)
#define ON_WRITE	BIT(1)
#define ON_FLUSH	BIT(2)
#define ON_DISCARD	BIT(3)

struct error_rule {
	struct list_head list;
	sector_t start;
	sector_t sectors;	/* 0: to the end of the disk */
	unsigned int directions;
	unsigned int status;	/* index into statuses */
	u64 skip;		/* requests that still go through */
	u64 count;		/* failures left; 0: for ever */
	u64 hits;
	bool heal;		/* gone when a write has covered it */
};

static const struct {
	const char *name;
	blk_status_t status;
} statuses[] = {
	{ "EIO", BLK_STS_IOERR },
	{ "MEDIUM", BLK_STS_MEDIUM },
	{ "PROTECTION", BLK_STS_PROTECTION },
	{ "TARGET", BLK_STS_TARGET },
	{ "TRANSPORT", BLK_STS_TRANSPORT },
	{ "TIMEOUT", BLK_STS_TIMEOUT },
	{ "NOSPC", BLK_STS_NOSPC },
	{ "NOTSUPP", BLK_STS_NOTSUPP },
};

static unsigned int direction_of(const struct request *request)
{
	switch (req_op(request)) {
	case REQ_OP_READ:
		return ON_READ;
	case REQ_OP_FLUSH:
		return ON_FLUSH;
	case REQ_OP_DISCARD:
		return ON_DISCARD;
	default:
		return ON_WRITE;
	}
}

static bool overlaps(const struct error_rule *rule, const struct request *request)
{
	sector_t first = blk_rq_pos(request), end = first + blk_rq_sectors(request);

	if (req_op(request) == REQ_OP_FLUSH)
		return true;
	return end > rule->start && (!rule->sectors || first < rule->start + rule->sectors);
}

static bool heals(const struct error_rule *rule, const struct request *request)
{
	sector_t first = blk_rq_pos(request), end = first + blk_rq_sectors(request);

	return rule->heal && rule->sectors && direction_of(request) == ON_WRITE &&
	       first <= rule->start && end >= rule->start + rule->sectors;
}

static void update_merging(struct simdisk *disk)
{
	if (list_empty(&disk->errors))
		blk_queue_flag_clear(QUEUE_FLAG_NOMERGES, disk->gendisk->queue);
	else
		blk_queue_flag_set(QUEUE_FLAG_NOMERGES, disk->gendisk->queue);
}

static void delete_rule(struct error_rule *rule)
{
	list_del(&rule->list);
	kfree(rule);
}

/* The first rule that matches decides; it counts. disk->lock held. */
blk_status_t simdisk_match_error(struct simdisk *disk, const struct request *request)
{
	struct error_rule *rule, *next;
	blk_status_t status;

	list_for_each_entry_safe(rule, next, &disk->errors, list) {
		if ((rule->directions & direction_of(request)) && overlaps(rule, request)) {
			if (rule->skip) {
				rule->skip--;
				continue;
			}
			rule->hits++;
			status = statuses[rule->status].status;
			if (rule->count && !--rule->count)
				delete_rule(rule);
			return status;
		}
	}
	list_for_each_entry_safe(rule, next, &disk->errors, list)
		if (heals(rule, request))
			delete_rule(rule);
	return BLK_STS_OK;
}

static int parse_directions(const char *word, unsigned int *directions)
{
	*directions = 0;
	for (; *word; word++) {
		switch (*word) {
		case 'r':
			*directions |= ON_READ;
			break;
		case 'w':
			*directions |= ON_WRITE;
			break;
		case 'f':
			*directions |= ON_FLUSH;
			break;
		case 'd':
			*directions |= ON_DISCARD;
			break;
		default:
			return -EINVAL;
		}
	}
	return *directions ? 0 : -EINVAL;
}

static int parse_status(const char *word, unsigned int *status)
{
	for (*status = 0; *status < ARRAY_SIZE(statuses); (*status)++)
		if (!strcmp(statuses[*status].name, word))
			return 0;
	return -EINVAL;
}

static int parse_options(struct error_rule *rule, char *text)
{
	char *word;

	while ((word = strsep(&text, " \t\n")) != NULL) {
		if (!*word)
			continue;
		if (!strcmp(word, "heal")) {
			rule->heal = true;
		} else if (!strncmp(word, "skip=", 5)) {
			if (kstrtou64(word + 5, 0, &rule->skip))
				return -EINVAL;
		} else if (kstrtou64(word, 0, &rule->count)) {
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_rule(struct error_rule *rule, char *text)
{
	char *words[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		words[i] = strsep(&text, " \t\n");
		if (!words[i])
			return -EINVAL;
	}
	if (kstrtou64(words[0], 0, &rule->start) || kstrtou64(words[1], 0, &rule->sectors) ||
	    parse_directions(words[2], &rule->directions) ||
	    parse_status(words[3], &rule->status))
		return -EINVAL;
	return text ? parse_options(rule, text) : 0;
}

static int add_rule(struct simdisk *disk, char *text)
{
	struct error_rule *rule = kzalloc(sizeof(*rule), GFP_KERNEL);

	if (!rule)
		return -ENOMEM;
	if (!text || parse_rule(rule, text)) {
		pr_err("expected: add START NSECTORS r|w|f|d.. EIO|MEDIUM|PROTECTION|TARGET|TRANSPORT|TIMEOUT|NOSPC|NOTSUPP [COUNT] [skip=N] [heal]\n");
		kfree(rule);
		return -EINVAL;
	}
	spin_lock_irq(&disk->lock);
	list_add_tail(&rule->list, &disk->errors);
	update_merging(disk);
	spin_unlock_irq(&disk->lock);
	return 0;
}

void simdisk_free_errors(struct simdisk *disk)
{
	struct error_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &disk->errors, list)
		delete_rule(rule);
}

int simdisk_error_command(struct simdisk *disk, char *text)
{
	char *word;

	text = strim(text);
	word = strsep(&text, " \t\n");
	if (!strcmp(word, "add"))
		return add_rule(disk, text);
	if (!strcmp(word, "clear")) {
		spin_lock_irq(&disk->lock);
		simdisk_free_errors(disk);
		update_merging(disk);
		spin_unlock_irq(&disk->lock);
		return 0;
	}
	pr_err("'%s': expected add ... or clear\n", word);
	return -EINVAL;
}

ssize_t simdisk_show_errors(struct simdisk *disk, char *page)
{
	struct error_rule *rule;
	ssize_t length = 0;

	spin_lock_irq(&disk->lock);
	list_for_each_entry(rule, &disk->errors, list)
		length += sysfs_emit_at(page, length,
					"%llu %llu %s%s%s%s %s %llu skip=%llu hits=%llu%s\n",
					(u64)rule->start, (u64)rule->sectors,
					rule->directions & ON_READ ? "r" : "",
					rule->directions & ON_WRITE ? "w" : "",
					rule->directions & ON_FLUSH ? "f" : "",
					rule->directions & ON_DISCARD ? "d" : "",
					statuses[rule->status].name, rule->count, rule->skip,
					rule->hits, rule->heal ? " heal" : "");
	spin_unlock_irq(&disk->lock);
	return length;
}
