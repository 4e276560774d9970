// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder doctor: the host.  Modules, names, LVM and its settings, initramfs.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"

#define INSTALL		"make install in the sources, or install the package again"

#ifndef LARDER_VERSION
#define LARDER_VERSION "0.0.0"
#endif

/* What a program prints, NULL when it does not run or fails; to be freed. */
static char *ask(const char *path, const char *const *words)
{
	struct program p = { .path = path };
	char *answer = NULL;

	if (access(path, X_OK))
		return NULL;
	for (; *words; words++)
		program_word(&p, *words);
	if (!program_run(&p) && !p.code) {
		answer = p.out;
		p.out = NULL;
	}
	program_free(&p);
	return answer;
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* --- the module --- */

static void judge_targets(struct doctor *d)
{
	uint32_t ours[3], cache[3];

	if (kernel_target_version("larder", ours))
		all_well(d, "module", "dm-larder is loaded, target version %u.%u.%u", ours[0],
			 ours[1], ours[2]);
	else
		all_well(d, "module", "dm-larder is not loaded: LVM loads it when it is needed");
	if (!kernel_target_version("cache", cache))
		return;
	if (cache[1] >= 100)
		all_well(d, "target", "\"cache\" is dm-larder's, version %u.%u.%u", cache[0],
			 cache[1], cache[2]);
	else
		finding(d, "target", FINDING_ERROR,
			"LVM drives this target: its caches are dm-cache's, and those with metadata of "
			"dm-larder do not start",
			"deactivate what uses it (dmsetup ls --target cache), modprobe -r dm-cache-smq "
			"dm-cache dm-larder, modprobe dm-larder",
			"\"cache\" is the kernel's own dm-cache, version %u.%u.%u", cache[0],
			cache[1], cache[2]);
}

void doctor_module(struct doctor *d)
{
	static const char *const stock[] = { "dm_cache", "dm_cache_smq", "dm_cache_mq" };
	char path[PATH_MAX];
	unsigned int i;

	judge_targets(d);
	for (i = 0; i < ARRAY_SIZE(stock); i++) {
		snprintf(path, sizeof(path), LARDER_ROOT "/sys/module/%s", stock[i]);
		if (exists(path))
			finding(d, "stock-modules", FINDING_WARNING,
				"whichever is loaded first is the target \"cache\"; loaded before the "
				"aliases were installed, or by an initramfs without them",
				"modprobe -r dm-cache-smq dm-cache; if it comes back after a restart, "
				"update-initramfs -u", "the module %s is loaded", stock[i]);
	}
}

/* --- aliases --- */

static void judge_alias(struct doctor *d, const char *name)
{
	const char *const words[] = { "modprobe", "--show-depends", name, NULL };
	char *answer = ask(LARDER_ROOT "/usr/sbin/modprobe", words);

	if (answer && strstr(answer, "/dm-larder.ko"))
		all_well(d, "alias", "modprobe %s loads dm-larder", name);
	else
		finding(d, "alias", FINDING_ERROR,
			"LVM and the kernel load the target \"cache\" by this name; at the next start it "
			"will not be dm-larder",
			"put the aliases (dm-larder.conf) into /etc/modprobe.d: " INSTALL
			"; for a new kernel, build the module first (dkms autoinstall)",
			"modprobe %s %s", name, answer ? "loads something else" : "finds no module");
	free(answer);
}

void doctor_aliases(struct doctor *d)
{
	static const char *const names[] = {
		"dm-cache", "dm-cache-smq", "dm-cache-mq", "dm-cache-cleaner", "dm-cache-default",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		judge_alias(d, names[i]);
}

/* --- LVM --- */

static void judge_versions(struct doctor *d)
{
	const char *const words[] = { "lvm", "version", NULL };
	char *answer = ask(LARDER_ROOT "/usr/sbin/lvm", words), *at;
	unsigned int major = 0, minor = 0, patch = 0;
	struct utsname kernel;

	uname(&kernel);
	at = answer ? strstr(answer, "LVM version:") : NULL;
	if (!at || sscanf(at, "LVM version: %u.%u.%u", &major, &minor, &patch) != 3)
		finding(d, "versions", FINDING_WARNING, "without LVM there are only caches of dmsetup",
			"apt-get install lvm2", "there is no LVM; tool " LARDER_VERSION ", kernel %.60s",
			kernel.release);
	else if (major * 1000000 + minor * 1000 + patch < 2003016)
		finding(d, "versions", FINDING_WARNING,
			"dm-larder is tested with LVM 2.03.16 and 2.03.31", "upgrade lvm2",
			"LVM %u.%02u.%02u is old; tool " LARDER_VERSION ", kernel %.60s", major,
			minor, patch, kernel.release);
	else
		all_well(d, "versions", "tool " LARDER_VERSION ", LVM %u.%02u.%02u, kernel %.60s",
			 major, minor, patch, kernel.release);
	free(answer);
}

/* key="value" in what lvmconfig prints */
static bool config_value(const char *answer, const char *key, char *value, size_t size)
{
	const char *at = strstr(answer, key), *end;

	if (!at || strncmp(at + strlen(key), "=\"", 2))
		return false;
	at += strlen(key) + 2;
	end = strchr(at, '"');
	if (!end || (size_t)(end - at) >= size)
		return false;
	memcpy(value, at, (size_t)(end - at));
	value[end - at] = '\0';
	return true;
}

/* Does this path end at the larder tool?  It is not run to find out. */
static bool is_larder(const char *path)
{
	char real[PATH_MAX], full[PATH_MAX];
	const char *slash;

	snprintf(full, sizeof(full), LARDER_ROOT "%s", path);
	if (!realpath(full, real))
		return false;
	slash = strrchr(real, '/');
	return slash && !strcmp(slash + 1, "larder");
}

static void judge_executable(struct doctor *d, const char *answer, const char *key,
			     const char *consequence)
{
	char path[PATH_MAX - 64];

	if (!config_value(answer, key, path, sizeof(path)))
		not_known(d, "lvm.conf", NULL, "LVM does not say global/%s", key);
	else if (is_larder(path))
		all_well(d, "lvm.conf", "global/%s is larder (%.200s)", key, path);
	else
		finding(d, "lvm.conf", FINDING_ERROR, consequence,
			"lvm-setup enable (in libexec/dm-larder), or name larder's link in "
			"/etc/lvm/lvm.conf", "global/%s is \"%.200s\", which is not larder",
			key, path);
}

void doctor_lvm(struct doctor *d)
{
	static const char *const words[] = {
		"lvm", "lvmconfig", "--typeconfig", "full", "global/cache_check_executable",
		"global/cache_repair_executable", "global/cache_disabled_features", NULL
	};
	char *answer, disabled[256];

	judge_versions(d);
	answer = ask(LARDER_ROOT "/usr/sbin/lvm", words);
	if (!answer) {
		not_known(d, "lvm.conf", NULL, "lvm lvmconfig does not answer");
		return;
	}
	judge_executable(d, answer, "cache_check_executable",
			 "LVM runs it before each activation of a cache; the tool for dm-cache finds "
			 "dm-larder's metadata broken, and LVM refuses the activation");
	judge_executable(d, answer, "cache_repair_executable",
			 "lvconvert --repair cannot repair a dm-larder cache");
	if (config_value(answer, "cache_disabled_features", disabled, sizeof(disabled)))
		finding(d, "lvm.conf", FINDING_WARNING,
			"LVM refuses caches with a policy or metadata format that is disabled",
			"take it out of /etc/lvm/lvm.conf",
			"global/cache_disabled_features names \"%.200s\"", disabled);
	free(answer);
}

/* --- initramfs --- */

void doctor_initramfs(struct doctor *d)
{
	static const char *const listers[] = {
		LARDER_ROOT "/usr/bin/lsinitramfs", LARDER_ROOT "/usr/bin/lsinitrd",
	};
	enum finding_level level = d->root_on_cache ? FINDING_ERROR : FINDING_WARNING;
	char image[PATH_MAX], *answer = NULL;
	struct utsname kernel;
	unsigned int i;

	uname(&kernel);
	snprintf(image, sizeof(image), LARDER_ROOT "/boot/initrd.img-%s", kernel.release);
	if (!exists(image))
		snprintf(image, sizeof(image), LARDER_ROOT "/boot/initramfs-%s.img",
			 kernel.release);
	for (i = 0; i < ARRAY_SIZE(listers) && !answer; i++) {
		const char *const words[] = { strrchr(listers[i], '/') + 1, image, NULL };

		answer = exists(image) ? ask(listers[i], words) : NULL;
	}
	if (!answer)
		not_known(d, "initramfs",
			  d->root_on_cache ? "the root file system is on a cache" : NULL,
			  "the initramfs of %.60s is not there, or cannot be listed",
			  kernel.release);
	else if (strstr(answer, "/dm-larder.ko"))
		all_well(d, "initramfs", "has dm-larder (%.60s)", kernel.release);
	else if (d->root_on_cache || strstr(answer, "/dm-cache.ko"))
		finding(d, "initramfs", level,
			d->root_on_cache ? "the root file system is on a cache: it does not boot" :
			"it has dm-cache, which becomes the target \"cache\" if LVM starts a cache there",
			"update-initramfs -u (or dracut --force)", "does not have dm-larder (%.60s)",
			kernel.release);
	else
		all_well(d, "initramfs", "has no caches, and needs none (%.60s)", kernel.release);
	free(answer);
}
