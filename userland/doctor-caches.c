// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder doctor: each cache.  Health, policy, sizes, and the devices below.
 */
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "caches.h"
#include "doctor.h"

/* The line of a short file, without its end; "" when there is none. */
static void read_line(const char *path, char value[64])
{
	FILE *file = fopen(path, "re");

	value[0] = '\0';
	if (!file)
		return;
	if (!fgets(value, 64, file))
		value[0] = '\0';
	value[strcspn(value, "\n")] = '\0';
	fclose(file);
}

static void read_attribute(const char *device, const char *attribute, char value[64])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), LARDER_ROOT "/sys/dev/block/%s/%s", device, attribute);
	read_line(path, value);
}

static void read_class_dev(const char *name, char value[64])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), LARDER_ROOT "/sys/class/block/%s/dev", name);
	read_line(path, value);
}

/* --- devices --- */

static void judge_alignment(struct doctor *d, const struct cache *c, const char *what,
			    const char *device)
{
	char value[64];

	read_attribute(device, "alignment_offset", value);
	if (*value && strcmp(value, "0"))
		finding(d, "alignment", FINDING_WARNING,
			"each write to it makes the drive read and write two of its blocks",
			"make the partition, or the PV with pvcreate --dataalignment, begin on a multiple "
			"of 1 MiB", "%s: %s (%s) is off by %s bytes", c->name, what, device, value);
}

static void judge_integrity(struct doctor *d, const struct cache *c, const char *origin,
			    const char *cache)
{
	char below[64], above[64];

	read_attribute(origin, "integrity/format", below);
	read_attribute(cache, "integrity/format", above);
	if (*below && strcmp(below, "none") && strcmp(below, above))
		finding(d, "integrity", FINDING_WARNING,
			"a cache passes protection information on only if both sides have the same",
			"format the SSD with the same protection information, or do without",
			"%s: the origin has protection information (%s), its cache %s", c->name,
			below, *above ? above : "none");
}

/* The words of its table: metadata, cache, origin. */
static void judge_devices(struct doctor *d, const struct cache *c)
{
	char device[3][32];

	if (sscanf(c->target.table, "%31[0-9:] %31[0-9:] %31[0-9:] ", device[0], device[1],
		   device[2]) != 3)
		return;
	judge_alignment(d, c, "metadata", device[0]);
	judge_alignment(d, c, "cache device", device[1]);
	judge_alignment(d, c, "origin", device[2]);
	judge_integrity(d, c, device[2], device[1]);
}

/* --- the cache --- */

static void judge_health(struct doctor *d, const struct cache *c)
{
	if (c->line.failed || c->line.needs_check || c->line.read_only)
		finding(d, "health", FINDING_ERROR,
			"it takes nothing in any more; what is dirty is safe only as long as the SSD is",
			"larder status says more; with LVM: deactivate it, lvconvert --repair VG/LV; "
			"see larder repair --help", "%s: %s", c->name, cache_health(c));
	else
		all_well(d, "health", "%s: %s", c->name, cache_health(c));
}

static void judge_owner(struct doctor *d, const struct cache *c)
{
	if (!c->target.stats)
		finding(d, "target", FINDING_ERROR,
			"it is not dm-larder that runs it", "larder convert --from-dm-cache VG/LV",
			"%s is run by the kernel's own dm-cache", c->name);
}

static void judge_blocks(struct doctor *d, const struct cache *c)
{
	if (c->block_sectors > 1024)
		finding(d, "blocks", FINDING_WARNING,
			"what is taken in and given up is as large as a block; large ones crowd out "
			"others",
			"more metadata makes smaller blocks (larder metadata-size says how much): attach "
			"a cache with --poolmetadatasize of lvcreate, or with smaller chunks",
			"%s: blocks of %llu KiB, chunks of %llu KiB", c->name,
			(unsigned long long)c->block_sectors / 2,
			(unsigned long long)c->line.chunk_sectors / 2);
}

/* LVM hands the policy of a cache volume to nobody: see larder set. */
static void judge_policy(struct doctor *d, const struct cache *c)
{
	if (strcmp(c->kind, "cachevol") || !*c->policy || !strcmp(c->policy, "mq") ||
	    !strcmp(c->policy, "smq") || !strcmp(c->policy, "default") ||
	    !strcmp(c->policy, c->runs_policy) || !strcmp(c->runs_policy, "cleaner"))
		return;
	finding(d, "policy", FINDING_WARNING,
		"LVM does not hand the policy of a cache volume on",
		"larder set VG/LV --policy NAME", "%s: LVM says %.60s, but %.60s runs", c->name,
		c->policy, c->runs_policy);
}

/* Does a device ("MAJOR:MINOR") stand on this one, through any number of others? */
static bool stands_on(const char *device, const char *wanted, unsigned int depth)
{
	char pattern[128], number[64];
	bool found = !strcmp(device, wanted);
	glob_t below;
	size_t i;

	snprintf(pattern, sizeof(pattern), LARDER_ROOT "/sys/dev/block/%s/slaves/*", device);
	if (found || depth > 16 || glob(pattern, GLOB_NOSORT, NULL, &below))
		return found;
	for (i = 0; i < below.gl_pathc && !found; i++) {
		const char *name = strrchr(below.gl_pathv[i], '/') + 1;

		read_class_dev(name, number);
		found = *number && stands_on(number, wanted, depth + 1);
	}
	globfree(&below);
	return found;
}

/* The number of its device, and what it was mounted from. */
static bool find_root(char number[64], char source[256])
{
	FILE *file = fopen(LARDER_ROOT "/proc/self/mountinfo", "re");
	char line[4096], at[8], *behind;
	bool found = false;

	while (file && fgets(line, sizeof(line), file)) {
		behind = strstr(line, " - ");
		if (!behind || sscanf(line, "%*u %*u %*s %*s %7s", at) != 1 || strcmp(at, "/"))
			continue;
		/* the last one covers those before */
		found = sscanf(line, "%*u %*u %63s", number) == 1 &&
			sscanf(behind, " - %*s %255s", source) == 1;
	}
	if (file)
		fclose(file);
	return found;
}

/* Of all devices of a btrfs with this one, by its name below /sys/class/block. */
static bool btrfs_stands_on(const char *name, const char *cache)
{
	char path[PATH_MAX], number[64];
	glob_t found, devices;
	bool stands = false;
	size_t i;

	snprintf(path, sizeof(path), LARDER_ROOT "/sys/fs/btrfs/*/devices/%s", name);
	if (glob(path, GLOB_NOSORT, NULL, &found))
		return false;
	snprintf(path, sizeof(path), "%.*s*", (int)(strlen(found.gl_pathv[0]) - strlen(name)),
		 found.gl_pathv[0]);
	globfree(&found);
	if (glob(path, GLOB_NOSORT, NULL, &devices))
		return false;
	for (i = 0; i < devices.gl_pathc && !stands; i++) {
		read_class_dev(strrchr(devices.gl_pathv[i], '/') + 1, number);
		stands = *number && stands_on(number, cache, 0);
	}
	globfree(&devices);
	return stands;
}

/* btrfs has no device of its own, so its number belongs to nothing. */
static bool root_stands_on(const struct cache_target *target)
{
	char number[64], source[256], path[PATH_MAX], real[PATH_MAX], cache[32];

	if (!find_root(number, source))
		return false;
	snprintf(cache, sizeof(cache), "%u:%u", target->major, target->minor);
	if (strncmp(number, "0:", 2))
		return stands_on(number, cache, 0);
	snprintf(path, sizeof(path), LARDER_ROOT "%s", source);
	return *source == '/' && realpath(path, real) &&
	       btrfs_stands_on(strrchr(real, '/') + 1, cache);
}

static void see(void *context, const struct cache *c)
{
	struct doctor *d = context;

	judge_health(d, c);
	if (!c->active)
		return;
	d->root_on_cache = d->root_on_cache || root_stands_on(&c->target);
	judge_owner(d, c);
	judge_devices(d, c);
	judge_blocks(d, c);
	judge_policy(d, c);
}

void doctor_caches(struct doctor *d)
{
	if (caches_visit(see, d))
		finding(d, "caches", FINDING_ERROR, "caches may be there that were not looked at",
			"see the message above", "the caches of this host cannot be listed");
}
