// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LVM activates components read-only.  The same table, loaded once more without
 * that flag, makes one writable; LVM notices nothing, and deactivates it as ever.
 */
#include <libdevmapper.h>
#include <string.h>

#include "kernel.h"

#define DEPTH_MAX 8

static int make_all_writable(struct dm_task *task, int depth);

static struct dm_task *query(int type, const char *name, int dev_major, int dev_minor,
			     struct dm_info *info)
{
	struct dm_task *task = dm_task_create(type);

	if (!task)
		return NULL;
	if ((name ? dm_task_set_name(task, name) :
		    dm_task_set_major(task, dev_major) && dm_task_set_minor(task, dev_minor)) &&
	    dm_task_run(task) && dm_task_get_info(task, info) && info->exists)
		return task;
	dm_task_destroy(task);
	return NULL;
}

static int copy_table(struct dm_task *from, struct dm_task *to)
{
	uint64_t start, length;
	char *type, *parameters;
	void *next = NULL;

	do {
		next = dm_get_next_target(from, next, &start, &length, &type, &parameters);
		if (type && !dm_task_add_target(to, start, length, type, parameters))
			return 0;
	} while (next);
	return 1;
}

/*
 * With a cookie: udev knows an event that has none for somebody else's, and takes
 * the names of the device away.  Nobody needs to look at what is on it.
 */
static int resume_it(struct dm_task *task, const char *name)
{
	const uint16_t flags = DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG |
			       DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_DISABLE_OTHER_RULES_FLAG;
	uint32_t cookie = 0;
	int ok;

	if (!dm_task_set_name(task, name) || !dm_task_set_cookie(task, &cookie, flags))
		return 0;
	ok = dm_task_run(task);
	dm_udev_wait(cookie);
	return ok;
}

static int load_writable(const char *name)
{
	struct dm_task *table, *reload, *resume;
	struct dm_info info;
	int ok = 0;

	table = query(DM_DEVICE_TABLE, name, 0, 0, &info);
	reload = dm_task_create(DM_DEVICE_RELOAD);
	resume = dm_task_create(DM_DEVICE_RESUME);
	if (table && reload && resume)
		ok = dm_task_set_name(reload, name) && copy_table(table, reload) &&
		     dm_task_run(reload) && resume_it(resume, name);
	if (table)
		dm_task_destroy(table);
	if (reload)
		dm_task_destroy(reload);
	if (resume)
		dm_task_destroy(resume);
	return ok;
}

/* From below: a writable table needs writable devices. */
static int make_deps_writable(const char *name, int depth)
{
	struct dm_info info, below;
	struct dm_task *task = query(DM_DEVICE_DEPS, name, 0, 0, &info), *dep;
	struct dm_deps *deps;
	uint32_t i;
	int ok = 1;

	if (!task)
		return 0;
	deps = dm_task_get_deps(task);
	for (i = 0; deps && i < deps->count && ok; i++) {
		int dev_major = (int)(deps->device[i] >> 8 & 0xfff);
		int dev_minor = (int)((deps->device[i] & 0xff) | (deps->device[i] >> 12 & 0xfff00));

		if (!dm_is_dm_major((uint32_t)dev_major))
			continue;
		dep = query(DM_DEVICE_INFO, NULL, dev_major, dev_minor, &below);
		ok = dep && (!below.read_only || make_all_writable(dep, depth + 1));
		if (dep)
			dm_task_destroy(dep);
	}
	dm_task_destroy(task);
	return ok;
}

static int make_all_writable(struct dm_task *task, int depth)
{
	const char *name = dm_task_get_name(task);

	return depth < DEPTH_MAX && make_deps_writable(name, depth) && load_writable(name);
}

int make_writable(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct dm_info info;
	struct dm_task *task = query(DM_DEVICE_INFO, slash ? slash + 1 : path, 0, 0, &info);
	int ok = task && (!info.read_only || make_all_writable(task, 0));

	if (task)
		dm_task_destroy(task);
	if (ok)
		return 0;
	complain("cannot make %s writable", path);
	return EXIT_NO_SERVICE;
}
