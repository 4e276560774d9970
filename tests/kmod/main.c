// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading of simdisk, and the list of its disks: those of the module parameter and
 * those added while it is loaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "simdisk.h"

static char *disks = "";
module_param(disks, charp, 0444);
MODULE_PARM_DESC(disks, "disks to create: 'name=ssd,type=ssd,size=256M;name=hdd,type=hdd,size=2G'");

struct simdisk_world world = {
	.control = __MUTEX_INITIALIZER(world.control),
	.disks = LIST_HEAD_INIT(world.disks),
	.lock = __SPIN_LOCK_UNLOCKED(world.lock),
	.keep_percent = -1,
	.drained = __WAIT_QUEUE_HEAD_INITIALIZER(world.drained),
	.settle_work = __WORK_INITIALIZER(world.settle_work, simdisk_settle),
};

/* Called with world.control held. */
struct simdisk *simdisk_find(const char *name)
{
	struct simdisk *disk;

	list_for_each_entry(disk, &world.disks, list)
		if (!strcmp(disk->spec.name, name))
			return disk;
	return NULL;
}

static int add_one(char *text)
{
	struct simdisk_spec spec;
	struct simdisk *disk;
	int error;

	error = simdisk_parse_spec(text, &spec);
	if (error)
		return error;
	if (simdisk_find(spec.name)) {
		pr_err("there is already a disk '%s': give every disk a name of its own\n",
		       spec.name);
		kfree(spec.backing);
		return -EEXIST;
	}
	disk = simdisk_create(&spec);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	list_add_tail(&disk->list, &world.disks);
	return 0;
}

/* Creates the disks of a list that is separated by ';'. Those before the first bad one stay. */
int simdisk_add_specs(char *text)
{
	char *one;
	int error = 0;

	mutex_lock(&world.control);
	while (!error && (one = strsep(&text, ";")) != NULL) {
		one = strim(one);
		if (*one)
			error = add_one(one);
	}
	mutex_unlock(&world.control);
	return error;
}

static void remove_all(void)
{
	struct simdisk *disk, *next;

	mutex_lock(&world.control);
	list_for_each_entry_safe(disk, next, &world.disks, list) {
		list_del(&disk->list);
		simdisk_destroy(disk);
	}
	mutex_unlock(&world.control);
}

static int __init simdisk_module_init(void)
{
	char *text;
	int error;

	simdisk_disk_attributes_init();
	error = simdisk_store_init();
	if (error)
		return error;
	error = simdisk_log_init();
	if (error)
		goto no_log;
	error = -ENOMEM;
	text = kstrdup(disks, GFP_KERNEL);
	if (!text)
		goto no_text;
	error = simdisk_add_specs(text);
	kfree(text);
	if (error)
		goto no_disks;
	error = simdisk_world_attributes_init();
	if (error)
		goto no_disks;
	return 0;

no_disks:
	remove_all();
no_text:
	simdisk_log_exit();
no_log:
	simdisk_store_exit();
	return error;
}

static void __exit simdisk_module_exit(void)
{
	simdisk_world_attributes_exit();
	flush_work(&world.settle_work);
	remove_all();
	/* A cut that was armed may still have been triggered by the last requests. */
	flush_work(&world.settle_work);
	simdisk_log_exit();
	simdisk_store_exit();
}

module_init(simdisk_module_init);
module_exit(simdisk_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Simulated disks for tests: timing, volatile caches, power cuts, errors");
