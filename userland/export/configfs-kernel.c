// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's configfs.
 *
 * All goes through a descriptor of its root, which is known to be configfs by
 * its magic number.  A name is looked up in its directory, which is opened
 * without following any link on the way.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../program.h"
#include "../larder.h"
#include "configfs.h"

#define CONFIGFS_ROOT LARDER_ROOT "/sys/kernel/config"
#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif

/* A descriptor, or a negative errno. */
static int open_below(struct configfs *c, const char *path, int flags)
{
	const struct open_how how = {
		.flags = (unsigned int)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, c->root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The directory that path is in, and its name there. */
static int open_parent(struct configfs *c, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char parent[CONFIGFS_PATH_MAX];

	*name = slash ? slash + 1 : path;
	if (!slash)
		return open_below(c, ".", O_PATH | O_DIRECTORY);
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	return open_below(c, parent, O_PATH | O_DIRECTORY);
}

static int finish(int fd, int result)
{
	int rc = result < 0 ? -errno : result;

	close(fd);
	return rc;
}

static int kernel_kind(struct configfs *c, const char *path)
{
	const char *name;
	struct stat st;
	int rc, fd = open_parent(c, path, &name);

	if (fd < 0)
		return fd == -ENOENT ? CONFIGFS_NOTHING : fd;
	rc = finish(fd, fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW));
	if (rc)
		return rc == -ENOENT ? CONFIGFS_NOTHING : rc;
	return S_ISDIR(st.st_mode) ? CONFIGFS_DIRECTORY :
	       S_ISLNK(st.st_mode) ? CONFIGFS_LINK : CONFIGFS_ATTRIBUTE;
}

static int kernel_make(struct configfs *c, const char *path)
{
	const char *name;
	int fd = open_parent(c, path, &name);

	return fd < 0 ? fd : finish(fd, mkdirat(fd, name, 0755));
}

static int kernel_remove(struct configfs *c, const char *path)
{
	const char *name;
	int fd = open_parent(c, path, &name);

	return fd < 0 ? fd : finish(fd, unlinkat(fd, name, AT_REMOVEDIR));
}

/* configfs looks the text of a new link up, from here; so it is given our descriptor. */
static int kernel_link(struct configfs *c, const char *to, const char *path)
{
	char text[32];
	const char *name;
	int rc, fd, there = open_below(c, to, O_PATH | O_DIRECTORY);

	if (there < 0)
		return there;
	snprintf(text, sizeof(text), "/proc/self/fd/%d", there);
	fd = open_parent(c, path, &name);
	rc = fd < 0 ? fd : finish(fd, symlinkat(text, fd, name));
	close(there);
	return rc;
}

static int kernel_unlink(struct configfs *c, const char *path)
{
	const char *name;
	int fd = open_parent(c, path, &name);

	return fd < 0 ? fd : finish(fd, unlinkat(fd, name, 0));
}

static int kernel_read(struct configfs *c, const char *path, char *text, size_t size)
{
	int fd = open_below(c, path, O_RDONLY | O_NONBLOCK);
	size_t length = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	while (length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	return finish(fd, n < 0 ? -1 : (int)length);
}

/* One write: each one is a value of its own. */
static int kernel_write(struct configfs *c, const char *path, const char *text)
{
	int fd = open_below(c, path, O_WRONLY | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, text, strlen(text));
	return finish(fd, n < 0 ? -1 : 0);
}

/* "../../../../target/core/iblock_0/x" of a link in a/b/c/d; the kernel has counted right. */
static int kernel_read_link(struct configfs *c, const char *path, char *text, size_t size)
{
	char link[CONFIGFS_PATH_MAX];
	const char *name, *at = link;
	int rc, fd = open_parent(c, path, &name);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, name, link, sizeof(link) - 1);
	rc = finish(fd, n < 0 ? -1 : 0);
	if (rc)
		return rc;
	link[n] = '\0';
	while (!strncmp(at, "../", 3))
		at += 3;
	if (strlen(at) >= size)
		return -EFBIG;
	memcpy(text, at, strlen(at) + 1);
	return 0;
}

static int kernel_list(struct configfs *c, const char *path, struct names *names)
{
	int fd = open_below(c, path, O_RDONLY | O_DIRECTORY);
	const struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir)
		return finish(fd, -1);
	while ((entry = readdir(dir)))
		if ((entry->d_type == DT_DIR || entry->d_type == DT_LNK) &&
		    configfs_name_possible(entry->d_name))
			names_add(names, entry->d_name);
	closedir(dir);
	return 0;
}

static void kernel_close(struct configfs *c)
{
	close(c->root);
}

static const struct configfs_ops kernel_ops = {
	.kind = kernel_kind,
	.make = kernel_make,
	.remove = kernel_remove,
	.link = kernel_link,
	.unlink = kernel_unlink,
	.read = kernel_read,
	.read_link = kernel_read_link,
	.write = kernel_write,
	.list = kernel_list,
	.close = kernel_close,
};

bool configfs_try(struct configfs *c)
{
	struct statfs fs;

	memset(c, 0, sizeof(*c));
	c->root = open(CONFIGFS_ROOT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->root < 0)
		return false;
	if (!fstatfs(c->root, &fs) && (unsigned long)fs.f_type == CONFIGFS_MAGIC) {
		c->ops = &kernel_ops;
		return true;
	}
	close(c->root);
	return false;
}

int configfs_open(struct configfs *c)
{
	static const char *const paths[] = {
		LARDER_ROOT "/usr/sbin/modprobe", LARDER_ROOT "/sbin/modprobe", NULL
	};
	struct program p = { .path = program_find(paths) };

	if (configfs_try(c))
		return 0;
	if (geteuid()) {
		complain("needs root");
		return EXIT_NO_PERMISSION;
	}
	program_word(&p, "modprobe");
	program_word(&p, "configfs");
	if (!program_run(&p) && !p.code)
		mount("configfs", CONFIGFS_ROOT, "configfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		      NULL);
	program_free(&p);
	if (configfs_try(c))
		return 0;
	complain("there is no configfs at %s: modprobe configfs, mount -t configfs none %s",
		 CONFIGFS_ROOT, CONFIGFS_ROOT);
	return EXIT_NO_SERVICE;
}
