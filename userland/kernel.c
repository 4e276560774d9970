// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Talks to device mapper: finds cache targets, reads their status without
 * forcing a commit, and asks them for their statistics.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libdevmapper.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel.h"

static char last_words[256];	/* of libdevmapper, which would print them itself */

__attribute__((format(printf, 5, 6)))
static void keep_words(int level, const char *file, int line, int dm_errno_or_class,
		       const char *format, ...)
{
	va_list args;

	(void)file;
	(void)line;
	(void)dm_errno_or_class;
	if ((level & 7) > 3)	/* errors only */
		return;
	va_start(args, format);
	vsnprintf(last_words, sizeof(last_words), format, args);
	va_end(args);
}

static bool is_cache(const char *type)
{
	return type && (!strcmp(type, "larder") || !strcmp(type, "cache"));
}

/* Whom to ask. */
struct address {
	char name[128];
	bool by_number;
	unsigned int major, minor;
};

static int no_such_name(const char *name)
{
	complain("%s is not a name that device mapper could have", name);
	return EXIT_NO_INPUT;
}

/* "vg/lv" as LVM names it: hyphens doubled, one between. */
static int lvm_name(struct address *a, const char *name)
{
	size_t length = 0;

	for (; *name; name++) {
		if (length + 3 > sizeof(a->name))
			return no_such_name(name);
		if (*name == '-')
			a->name[length++] = '-';
		a->name[length++] = *name == '/' ? '-' : *name;
	}
	a->name[length] = '\0';
	return 0;
}

static int find_address(struct address *a, const char *name)
{
	const char *slash = strchr(name, '/');
	struct stat st;

	memset(a, 0, sizeof(*a));
	if (!*name)
		return no_such_name("''");
	if (!slash) {
		if (strlen(name) >= sizeof(a->name))
			return no_such_name(name);
		snprintf(a->name, sizeof(a->name), "%s", name);
		return 0;
	}
	if (!stat(name, &st)) {
		if (!S_ISBLK(st.st_mode)) {
			complain("%s is no block device", name);
			return EXIT_NOT_OURS;
		}
		a->by_number = true;
		a->major = major(st.st_rdev);
		a->minor = minor(st.st_rdev);
		return 0;
	}
	if (slash != name && slash[1] && !strchr(slash + 1, '/'))
		return lvm_name(a, name);
	complain("cannot open %s: %s", name, strerror(errno));
	return EXIT_NO_INPUT;
}

static struct dm_task *make_task(int type, const struct address *a)
{
	struct dm_task *task = dm_task_create(type);

	if (!task)
		return NULL;
	if (!a || (a->by_number ? dm_task_set_major_minor(task, (int)a->major, (int)a->minor, 0) :
		   dm_task_set_name(task, a->name)))
		return task;
	dm_task_destroy(task);
	return NULL;
}

/* No answer is an answer: an in-kernel dm-cache knows no "stats". */
static void ask_stats(struct cache_target *target, const struct address *a)
{
	struct dm_task *task = make_task(DM_DEVICE_TARGET_MSG, a);
	const char *answer;

	if (!task)
		return;
	if (dm_task_set_sector(task, 0) && dm_task_set_message(task, "stats") &&
	    dm_task_run(task)) {
		answer = dm_task_get_message_response(task);
		target->stats = answer ? strdup(answer) : NULL;
	}
	dm_task_destroy(task);
}

static struct dm_task *run_task(int type, const char *name)
{
	struct address a = { .by_number = false };
	struct dm_task *task;

	if (name && strlen(name) >= sizeof(a.name))
		return NULL;
	snprintf(a.name, sizeof(a.name), "%s", name ? name : "");
	task = make_task(type, name ? &a : NULL);
	if (task && dm_task_no_flush(task) && dm_task_run(task))
		return task;
	if (task)
		dm_task_destroy(task);
	return NULL;
}

/* The only target of a device; *text: its status or table, to be freed. */
static bool read_only_target(int type, const char *name, struct cache_target *target, char **text)
{
	struct dm_task *task = run_task(type, name);
	char *target_type = NULL, *params = NULL;
	struct dm_info info;
	uint64_t start;
	bool found;

	if (!task)
		return false;
	found = dm_task_get_info(task, &info) && info.exists &&
		!dm_get_next_target(task, NULL, &start, &target->sectors, &target_type, &params) &&
		is_cache(target_type);
	if (found) {
		snprintf(target->name, sizeof(target->name), "%s", name);
		snprintf(target->type, sizeof(target->type), "%s", target_type);
		snprintf(target->uuid, sizeof(target->uuid), "%s",
			 dm_task_get_uuid(task) ? dm_task_get_uuid(task) : "");
		target->major = info.major;
		target->minor = info.minor;
		target->suspended = info.suspended;
		*text = strdup(params ? params : "");
		found = *text;
	}
	dm_task_destroy(task);
	return found;
}

bool cache_target_peek(struct cache_target *target, const char *name)
{
	memset(target, 0, sizeof(*target));
	dm_log_with_errno_init(keep_words);
	if (read_only_target(DM_DEVICE_STATUS, name, target, &target->status) &&
	    read_only_target(DM_DEVICE_TABLE, name, target, &target->table)) {
		struct address a = { .by_number = false };

		snprintf(a.name, sizeof(a.name), "%s", name);
		ask_stats(target, &a);
		return true;
	}
	cache_target_free(target);
	memset(target, 0, sizeof(*target));
	return false;
}

int cache_targets_visit(void (*visit)(void *context, const struct cache_target *target),
			void *context)
{
	struct dm_task *task = run_task(DM_DEVICE_LIST, NULL);
	struct dm_names *names;
	unsigned int next = 0;

	if (!task) {
		complain("device mapper does not list its devices: %s", last_words);
		return EXIT_NO_SERVICE;
	}
	names = dm_task_get_names(task);
	if (names && !names->dev)
		names = NULL;
	for (; names; names = next ? (void *)((char *)names + next) : NULL) {
		struct cache_target target;

		next = names->next;
		if (!cache_target_peek(&target, names->name))
			continue;
		visit(context, &target);
		cache_target_free(&target);
	}
	dm_task_destroy(task);
	return 0;
}

bool kernel_target_version(const char *name, uint32_t version[3])
{
	struct dm_task *task = run_task(DM_DEVICE_LIST_VERSIONS, NULL);
	struct dm_versions *at;
	unsigned int next = 1;
	bool found = false;

	for (at = task ? dm_task_get_versions(task) : NULL; at && next && !found;
	     at = (void *)((char *)at + next)) {
		next = at->next;
		found = !strcmp(at->name, name);
		if (found)
			memcpy(version, at->version, sizeof(at->version));
	}
	if (task)
		dm_task_destroy(task);
	return found;
}

static void print_name(void *context, const struct cache_target *target)
{
	unsigned int *found = context;

	fprintf(stderr, "%s %s\n", (*found)++ ? "" : "Caches that there are:\n", target->name);
}

/* Names on stderr all devices that a cache target is in. */
static void list_caches(void)
{
	unsigned int found = 0;

	cache_targets_visit(print_name, &found);
	if (!found)
		fprintf(stderr, "There is no active cache.\n");
}

/* Can device mapper be asked at all? */
static int ask_version(void)
{
	char version[32];

	if (geteuid()) {
		complain("needs root: only root may talk to device mapper");
		return EXIT_NO_PERMISSION;
	}
	if (dm_driver_version(version, sizeof(version)))
		return 0;
	complain("device mapper does not answer: %s; is the module dm-mod loaded?",
		 last_words[0] ? last_words : "no /dev/mapper/control");
	return EXIT_NO_SERVICE;
}

static int take_status(struct cache_target *target, struct dm_task *task, const char *name)
{
	char *type = NULL, *params = NULL;
	struct dm_info info;
	uint64_t start, length;
	void *next;

	if (!dm_task_get_info(task, &info) || !info.exists) {
		complain("there is no device %s", name);
		list_caches();
		return EXIT_NO_INPUT;
	}
	next = dm_get_next_target(task, NULL, &start, &length, &type, &params);
	if (next || !is_cache(type)) {
		complain("%s is no cache: it is made of %s%s", name,
			 type ? type : "nothing (no table is loaded)", next ? " and more" : "");
		list_caches();
		return EXIT_NOT_OURS;
	}
	snprintf(target->name, sizeof(target->name), "%s", dm_task_get_name(task));
	snprintf(target->type, sizeof(target->type), "%s", type);
	target->sectors = length;
	target->suspended = info.suspended;
	target->status = strdup(params ? params : "");
	return target->status ? 0 : EXIT_NO_MEMORY;
}

int device_mapper_ready(void)
{
	dm_log_with_errno_init(keep_words);
	return ask_version();
}

/* With a snapshot of it, the volume itself is one layer deeper. */
static void look_below(struct address *a)
{
	char real[sizeof(a->name) + 8];
	struct cache_target target;

	snprintf(real, sizeof(real), "%s-real", a->name);
	if (a->by_number || strlen(real) >= sizeof(a->name))
		return;
	if (!cache_target_peek(&target, a->name) && cache_target_peek(&target, real))
		memcpy(a->name, real, strlen(real) + 1);
	cache_target_free(&target);
}

int cache_target_read(struct cache_target *target, const char *name)
{
	struct dm_task *task;
	struct address a;
	int code;

	memset(target, 0, sizeof(*target));
	dm_log_with_errno_init(keep_words);
	code = find_address(&a, name);
	if (!code)
		code = ask_version();
	if (code)
		return code;
	if (strchr(name, '/'))
		look_below(&a);
	if (a.by_number && !dm_is_dm_major(a.major)) {
		complain("%s is no device of device mapper", name);
		list_caches();
		return EXIT_NOT_OURS;
	}
	task = make_task(DM_DEVICE_STATUS, &a);
	if (!task)
		return no_such_name(name);
	/* a status with flush would force a commit */
	if (!dm_task_no_flush(task) || (!dm_task_run(task) && dm_task_get_errno(task) != ENXIO)) {
		complain("cannot ask for the status of %s: %s", name,
			 last_words[0] ? last_words : strerror(dm_task_get_errno(task)));
		code = EXIT_NO_INPUT;
	} else {
		code = take_status(target, task, name);
	}
	dm_task_destroy(task);
	if (!code)
		ask_stats(target, &a);
	return code;
}

static int message_failed(const struct cache_target *target, const char *message, int error)
{
	if (error == EAGAIN) {
		complain("%s is suspended: it takes no \"%s\" now", target->name, message);
		return EXIT_NO_INPUT;
	}
	complain("%s does not take \"%s\": %s; the kernel's log may say more", target->name,
		 message, error ? strerror(error) : last_words);
	return error == ENXIO ? EXIT_NO_INPUT : EXIT_IO;
}

int cache_target_message(const struct cache_target *target, const char *message, char **answer)
{
	struct address a = { .by_number = false };
	struct dm_task *task;
	const char *text;
	int code = 0;

	if (answer)
		*answer = NULL;
	snprintf(a.name, sizeof(a.name), "%s", target->name);
	task = make_task(DM_DEVICE_TARGET_MSG, &a);
	if (!task)
		return message_failed(target, message, ENOMEM);
	if (!dm_task_set_sector(task, 0) || !dm_task_set_message(task, message) ||
	    !dm_task_run(task))
		code = message_failed(target, message, dm_task_get_errno(task));
	text = !code && answer ? dm_task_get_message_response(task) : NULL;
	if (text)
		*answer = strdup(text);
	dm_task_destroy(task);
	return code;
}

void cache_target_free(struct cache_target *target)
{
	free(target->status);
	free(target->table);
	free(target->stats);
}
