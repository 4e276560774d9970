// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads what a fabric needs, and finds out where the kernel keeps its state.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../program.h"
#include "lio.h"

#define DBROOT "target/dbroot"

static int load_module(const char *name, bool dry_run)
{
	static const char *const paths[] = {
		LARDER_ROOT "/usr/sbin/modprobe", LARDER_ROOT "/sbin/modprobe", NULL
	};
	struct program p = { .path = program_find(paths) };
	char loaded[256];
	int code;

	snprintf(loaded, sizeof(loaded), LARDER_ROOT "/sys/module/%s", name);
	if (!access(loaded, F_OK))
		return 0;
	if (dry_run) {
		printf("modprobe %s\n", name);
		return 0;
	}
	program_word(&p, "modprobe");
	program_word(&p, name);
	code = program_run(&p);
	if (!code && p.code) {
		program_tell(&p);
		complain("the module %s cannot be loaded: this kernel may not have it", name);
		code = EXIT_NO_SERVICE;
	}
	program_free(&p);
	return code;
}

int fabric_load_modules(const struct fabric *f, bool dry_run)
{
	int code = 0;
	size_t i;

	if (!fabric_is_nvmet(f))
		code = load_module("target_core_mod", dry_run);
	if (!code && !fabric_is_nvmet(f))
		code = load_module("target_core_iblock", dry_run);
	for (i = 0; !code && i < sizeof(f->modules) / sizeof(f->modules[0]) && f->modules[i]; i++)
		code = load_module(f->modules[i], dry_run);
	return code;
}

void lio_dbroot(struct configfs *c, char *path, size_t size)
{
	configfs_text(c, DBROOT, path, size);
	if (!*path)
		snprintf(path, size, "/var/target");
}

static bool any(void *context, const struct lio_backstore *b)
{
	return true;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISDIR(st.st_mode);
}

/*
 * LIO answers before what it writes there is on the disk.  With this flag, which
 * all that is made below inherits, its writes wait; ext4 and XFS have it.
 */
static void make_synchronous(const char *directory)
{
	int flags, fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!ioctl(fd, FS_IOC_GETFLAGS, &flags) && !(flags & FS_SYNC_FL)) {
		flags |= FS_SYNC_FL;
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	close(fd);
}

static void make_directories(const char *root)
{
	static const char *const below[] = { "pr", "alua" };
	char path[512];
	size_t i;

	mkdir(root, 0755);
	for (i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		snprintf(path, sizeof(path), "%.400s/%s", root, below[i]);
		mkdir(path, 0755);
		make_synchronous(path);
	}
}

/*
 * rtslib's place, where rtslib is or has been: what two programs keep in two
 * places is lost in one.  It can only be set while there is no backstore.
 */
int lio_set_dbroot(struct journal *j)
{
	static const char *const places[] = {
		LARDER_ROOT "/etc/rtslib-fb-target", LARDER_ROOT "/etc/target"
	};
	char now[256];
	size_t i;

	if (j->code || j->dry_run)
		return j->code;
	lio_dbroot(j->configfs, now, sizeof(now));
	if (!lio_backstores_visit(j->configfs, any, NULL)) {
		if (!is_directory(places[0]) && !is_directory(places[1]))
			mkdir(places[0], 0755);
		for (i = 0; i < 2; i++)
			if (is_directory(places[i]))
				break;
		if (i < 2 && strcmp(now, places[i]) &&
		    !configfs_write(j->configfs, DBROOT, places[i]))
			snprintf(now, sizeof(now), "%s", places[i]);
	}
	make_directories(now);
	return j->code;
}
