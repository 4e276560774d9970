/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * configfs, in which LIO and nvmet are built: directories, links and attributes.
 *
 * Every path is relative to the root of configfs ("target/core/iblock_0") and
 * made of names that have been judged: none is empty, "." or "..", has a slash
 * or a control character, or is too long.  The kernel's tree is reached through
 * one descriptor of its root; nothing in it is ever followed (openat2() with
 * RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS), so that no link
 * and no mount that somebody plants leads anywhere else.
 *
 * The tree is behind a table of functions: tests have a tree of their own, with
 * the kernel's rules.  All functions here answer 0 (or what they say) or a
 * negative errno, and say nothing; journal.h puts errors into words.
 */
#ifndef LARDER_EXPORT_CONFIGFS_H
#define LARDER_EXPORT_CONFIGFS_H

#include <stdbool.h>
#include <stddef.h>

#include "names.h"

#define CONFIGFS_PATH_MAX	1024
#define CONFIGFS_NAME_MAX	224	/* with its end: an iSCSI name has at most 223 */
#define CONFIGFS_VALUE_MAX	4096	/* with its end: the kernel has one page for it */

enum configfs_kind {
	CONFIGFS_NOTHING,
	CONFIGFS_DIRECTORY,
	CONFIGFS_ATTRIBUTE,
	CONFIGFS_LINK,
};

struct configfs {
	const struct configfs_ops *ops;
	int root;		/* the kernel's: a descriptor */
	void *tree;		/* a test's */
};

/* What a tree can do; paths have been judged. */
struct configfs_ops {
	int (*kind)(struct configfs *c, const char *path);
	int (*make)(struct configfs *c, const char *path);
	int (*remove)(struct configfs *c, const char *path);
	int (*link)(struct configfs *c, const char *to, const char *path);
	int (*unlink)(struct configfs *c, const char *path);
	/* the length */
	int (*read)(struct configfs *c, const char *path, char *text, size_t size);
	int (*read_link)(struct configfs *c, const char *path, char *text, size_t size);
	int (*write)(struct configfs *c, const char *path, const char *text);
	int (*list)(struct configfs *c, const char *path, struct names *names);
	void (*close)(struct configfs *c);
};

/*
 * Opens the kernel's tree, at /sys/kernel/config, and mounts it there unless it
 * is.  0, or an exit code after a message.
 */
int configfs_open(struct configfs *c);
/* The same if it is there, without a word. */
bool configfs_try(struct configfs *c);
void configfs_close(struct configfs *c);

/* May a directory be called so, one of others? */
bool configfs_name_possible(const char *name);
/* May one of ours?  The same without blanks. */
bool configfs_name_valid(const char *name);
/*
 * Puts a path together; each %s of format must be one possible name or an own
 * path.  A path that is too long or has a bad name becomes "", which every
 * function refuses with EINVAL.
 */
void configfs_path(char path[CONFIGFS_PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

enum configfs_kind configfs_kind(struct configfs *c, const char *path);	/* errors: NOTHING */
int configfs_make(struct configfs *c, const char *path);
int configfs_remove(struct configfs *c, const char *path);
/* path becomes a link to the directory to. */
int configfs_link(struct configfs *c, const char *to, const char *path);
int configfs_unlink(struct configfs *c, const char *path);
/* Without zeros, and newlines at its end; -EFBIG when longer than CONFIGFS_VALUE_MAX or size. */
int configfs_read(struct configfs *c, const char *path, char *text, size_t size);
/* The same, but "" for whatever cannot be read. */
void configfs_text(struct configfs *c, const char *path, char *text, size_t size);
/* What a link leads to, as a path like ours. */
int configfs_read_link(struct configfs *c, const char *path, char *text, size_t size);
/* One write() of all of it; a value may have no newline but at its end. */
int configfs_write(struct configfs *c, const char *path, const char *text);
/* Directories and links in a directory, not attributes, sorted; none where there is no such. */
int configfs_list(struct configfs *c, const char *path, struct names *names);

#endif
