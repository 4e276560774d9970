// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of simdisk: /sys/kernel/simdisk/ for what concerns all disks, /sys/block/NAME/simdisk/
 * for one. All settings that can change at run time are there and nowhere else.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "simdisk.h"

/* --- one disk --- */

static struct simdisk *disk_of(struct device *device)
{
	return dev_to_disk(device)->private_data;
}

static const struct simdisk_knob_rule *rule_of(const struct device_attribute *attribute)
{
	unsigned int i;

	for (i = 0; i < SIMDISK_KNOB_COUNT; i++)
		if (!strcmp(simdisk_knob_rules[i].name, attribute->attr.name))
			return &simdisk_knob_rules[i];
	return NULL;
}

static ssize_t knob_show(struct device *device, struct device_attribute *attribute, char *page)
{
	void *knobs = &disk_of(device)->knobs;

	return sysfs_emit(page, "%u\n", READ_ONCE(*(u32 *)(knobs + rule_of(attribute)->offset)));
}

static ssize_t knob_store(struct device *device, struct device_attribute *attribute,
			  const char *text, size_t length)
{
	const struct simdisk_knob_rule *rule = rule_of(attribute);
	void *knobs = &disk_of(device)->knobs;
	u64 value;

	if (kstrtou64(text, 0, &value)) {
		pr_err("%s: expected a number\n", rule->name);
		return -EINVAL;
	}
	if (simdisk_check_knob(rule, value))
		return -EINVAL;
	WRITE_ONCE(*(u32 *)(knobs + rule->offset), value);
	return length;
}

static ssize_t errors_show(struct device *device, struct device_attribute *attribute, char *page)
{
	return simdisk_show_errors(disk_of(device), page);
}

/* Runs a command on a copy of the text, which it may take to pieces. */
static ssize_t errors_store(struct device *device, struct device_attribute *attribute,
			    const char *text, size_t length)
{
	char *copy = kstrdup(text, GFP_KERNEL);
	int error;

	if (!copy)
		return -ENOMEM;
	error = simdisk_error_command(disk_of(device), copy);
	kfree(copy);
	return error ? error : length;
}
static DEVICE_ATTR_RW(errors);

#define COUNTER(member) { #member, offsetof(struct simdisk_statistics, member) }

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
	COUNTER(reads),
	COUNTER(read_sectors),
	COUNTER(writes),
	COUNTER(write_sectors),
	COUNTER(fua_writes),
	COUNTER(flushes),
	COUNTER(idle_flushes),
	COUNTER(discards),
	COUNTER(discard_sectors),
	COUNTER(write_zeroes),
	COUNTER(write_zeroes_sectors),
	COUNTER(seeks),
	COUNTER(sequential),
	COUNTER(errors),
	COUNTER(refused),
	COUNTER(evictions),
	COUNTER(destaged_sectors),
};

static ssize_t stats_show(struct device *device, struct device_attribute *attribute, char *page)
{
	struct simdisk *disk = disk_of(device);
	struct simdisk_statistics now;
	ssize_t length = 0;
	unsigned int i;

	spin_lock_irq(&disk->lock);
	now = disk->statistics;
	spin_unlock_irq(&disk->lock);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		length += sysfs_emit_at(page, length, "%s %llu\n", counters[i].name,
					*(u64 *)((void *)&now + counters[i].offset));
	return length;
}

static ssize_t stats_store(struct device *device, struct device_attribute *attribute,
			   const char *text, size_t length)
{
	struct simdisk *disk = disk_of(device);

	if (!sysfs_streq(text, "0")) {
		pr_err("stats: expected 0, which resets them\n");
		return -EINVAL;
	}
	spin_lock_irq(&disk->lock);
	memset(&disk->statistics, 0, sizeof(disk->statistics));
	spin_unlock_irq(&disk->lock);
	return length;
}
static DEVICE_ATTR_RW(stats);

static ssize_t volatile_kib_show(struct device *device, struct device_attribute *attribute,
				 char *page)
{
	return sysfs_emit(page, "%llu\n", READ_ONCE(disk_of(device)->volatile_pages) *
			  (SIMDISK_PAGE_SIZE / 1024));
}
static DEVICE_ATTR_RO(volatile_kib);

static ssize_t accepted_show(struct device *device, struct device_attribute *attribute,
			     char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(disk_of(device)->inflight));
}
static DEVICE_ATTR_RO(accepted);

static ssize_t number_show(struct device *device, struct device_attribute *attribute, char *page)
{
	return sysfs_emit(page, "%u\n", disk_of(device)->number);
}
static DEVICE_ATTR_RO(number);

#define FIXED_ATTRIBUTES 5

/* The fixed ones; simdisk_disk_attributes_init appends one per knob. */
static struct attribute *disk_attributes[FIXED_ATTRIBUTES + SIMDISK_KNOB_COUNT + 1] = {
	&dev_attr_errors.attr,
	&dev_attr_stats.attr,
	&dev_attr_volatile_kib.attr,
	&dev_attr_accepted.attr,
	&dev_attr_number.attr,
};

static struct device_attribute knob_attributes[SIMDISK_KNOB_COUNT];

static const struct attribute_group disk_group = {
	.name = "simdisk",
	.attrs = disk_attributes,
};

void simdisk_disk_attributes_init(void)
{
	unsigned int i;

	for (i = 0; i < SIMDISK_KNOB_COUNT; i++) {
		struct device_attribute *attribute = &knob_attributes[i];

		sysfs_attr_init(&attribute->attr);
		attribute->attr.name = simdisk_knob_rules[i].name;
		attribute->attr.mode = 0644;
		attribute->show = knob_show;
		attribute->store = knob_store;
		disk_attributes[FIXED_ATTRIBUTES + i] = &attribute->attr;
	}
}

const struct attribute_group *simdisk_disk_groups[] = { &disk_group, NULL };

/* --- all disks --- */

static ssize_t power_show(struct kobject *kobject, struct kobj_attribute *attribute, char *page)
{
	static const char *const before[] = {
		[SIMDISK_BEFORE_FLUSH] = "flush", [SIMDISK_BEFORE_FUA] = "fua",
		[SIMDISK_BEFORE_WRITE] = "write", [SIMDISK_BEFORE_DISCARD] = "discard",
	};
	enum simdisk_trigger trigger;
	u64 count;

	if (READ_ONCE(world.power) != SIMDISK_ON)
		return sysfs_emit(page, "%s\n",
				  READ_ONCE(world.power) == SIMDISK_OFF ? "off" : "cutting");
	spin_lock_irq(&world.lock);
	trigger = world.trigger;
	count = world.trigger_count;
	spin_unlock_irq(&world.lock);
	if (trigger == SIMDISK_NOT_ARMED)
		return sysfs_emit(page, "on\n");
	if (trigger == SIMDISK_AFTER_EVENT)
		return sysfs_emit(page, "on, cut at event %llu\n", count);
	return sysfs_emit(page, "on, cut before %s number %llu from now\n", before[trigger], count);
}

static ssize_t text_command(int (*command)(char *text), const char *text, size_t length)
{
	char *copy = kstrdup(text, GFP_KERNEL);
	int error;

	if (!copy)
		return -ENOMEM;
	error = command(copy);
	kfree(copy);
	return error ? error : length;
}

static ssize_t power_store(struct kobject *kobject, struct kobj_attribute *attribute,
			   const char *text, size_t length)
{
	return text_command(simdisk_power_command, text, length);
}

static ssize_t add_store(struct kobject *kobject, struct kobj_attribute *attribute,
			 const char *text, size_t length)
{
	return text_command(simdisk_add_specs, text, length);
}

static int remove_command(char *text)
{
	struct simdisk *disk;

	mutex_lock(&world.control);
	disk = simdisk_find(strim(text));
	if (disk) {
		list_del(&disk->list);
		simdisk_destroy(disk);
	}
	mutex_unlock(&world.control);
	if (!disk)
		pr_err("remove: there is no disk '%s'\n", strim(text));
	return disk ? 0 : -ENOENT;
}

static ssize_t remove_store(struct kobject *kobject, struct kobj_attribute *attribute,
			    const char *text, size_t length)
{
	return text_command(remove_command, text, length);
}

#define WORLD_COUNTER(name, member)						\
static ssize_t name##_show(struct kobject *kobject,				\
			   struct kobj_attribute *attribute, char *page)	\
{										\
	return sysfs_emit(page, "%llu\n", READ_ONCE(world.member));		\
}										\
static struct kobj_attribute name##_attribute = __ATTR_RO(name)

WORLD_COUNTER(events, sequence);
WORLD_COUNTER(cuts, cuts);
WORLD_COUNTER(reverted, reverted_sectors);
WORLD_COUNTER(kept, kept_sectors);
WORLD_COUNTER(torn, torn_sectors);
WORLD_COUNTER(in_flight_applied, applied_in_flight);

static struct kobj_attribute power_attribute = __ATTR_RW(power);
static struct kobj_attribute add_attribute = __ATTR_WO(add);
static struct kobj_attribute remove_attribute = __ATTR_WO(remove);

static const struct attribute *const world_attributes[] = {
	&power_attribute.attr,
	&add_attribute.attr,
	&remove_attribute.attr,
	&events_attribute.attr,
	&cuts_attribute.attr,
	&reverted_attribute.attr,
	&kept_attribute.attr,
	&torn_attribute.attr,
	&in_flight_applied_attribute.attr,
	NULL,
};

int simdisk_world_attributes_init(void)
{
	int error;

	world.kobject = kobject_create_and_add("simdisk", kernel_kobj);
	if (!world.kobject)
		return -ENOMEM;
	error = sysfs_create_files(world.kobject, world_attributes);
	if (error)
		kobject_put(world.kobject);
	return error;
}

void simdisk_world_attributes_exit(void)
{
	sysfs_remove_files(world.kobject, world_attributes);
	kobject_put(world.kobject);
}
