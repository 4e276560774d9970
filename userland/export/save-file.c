// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading and replacing a file that may have been tampered with.  The directory
 * is opened once: what is judged is what is read, and what is written lies in it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../larder.h"
#include "save-file.h"

struct place {
	const char *path, *name;
	int dir;
};

static int tell(const char *path, const char *why, int code)
{
	complain("%s: %s", path, why);
	return code;
}

static int exit_code(int error)
{
	return error == EACCES || error == EPERM ? EXIT_NO_PERMISSION : EXIT_NO_INPUT;
}

/* Who else can write there could change anything at any time. */
static const char *judge(const struct stat *st)
{
	if (st->st_uid && st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_mode & 0022)
		return "others can write to it";
	return NULL;
}

/* 0, or an exit code after a message; to be closed in either case. */
static int place_open(struct place *place, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) :
		    strdup(".");
	struct stat st;

	place->path = path;
	place->name = slash ? slash + 1 : path;
	place->dir = dir ? open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -1;
	free(dir);
	if (place->dir < 0 || fstat(place->dir, &st))
		return tell(path, strerror(errno), exit_code(errno));
	if (judge(&st))
		return tell(path, "others can write to its directory", EXIT_NOT_OURS);
	return *place->name ? 0 : tell(path, "it is no file", EXIT_NOT_OURS);
}

static void place_close(struct place *place)
{
	if (place->dir >= 0)
		close(place->dir);
}

static int read_all(const char *path, int fd, char *text, size_t size, size_t *length)
{
	ssize_t nr;

	for (*length = 0; *length < size; *length += (size_t)nr) {
		nr = read(fd, text + *length, size - *length);
		if (nr < 0)
			return tell(path, strerror(errno), EXIT_IO);
		if (!nr)
			break;
	}
	return 0;
}

static int read_opened(const char *path, int fd, size_t max, char **text, size_t *length)
{
	struct stat st;
	const char *why;
	int code;

	if (fstat(fd, &st))
		return tell(path, strerror(errno), EXIT_IO);
	why = S_ISREG(st.st_mode) ? judge(&st) : "it is no regular file";
	if (!why && (uint64_t)st.st_size > max)
		why = "it is too long";
	if (why)
		return tell(path, why, EXIT_NOT_OURS);
	/* it may grow meanwhile, but not here */
	*text = calloc(1, (size_t)st.st_size + 1);
	if (!*text)
		return tell(path, strerror(ENOMEM), EXIT_NO_MEMORY);
	code = read_all(path, fd, *text, (size_t)st.st_size, length);
	if (code) {
		free(*text);
		*text = NULL;
	}
	return code;
}

int file_read_whole(const char *path, size_t max, char **text, size_t *length)
{
	struct place place;
	int fd, code;

	*text = NULL;
	*length = 0;
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return 0;
	code = place_open(&place, path);
	if (!code) {
		/* a FIFO would keep us waiting */
		fd = openat(place.dir, place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			code = tell(path, errno == ELOOP ? "it is a link" : strerror(errno),
				    errno == ELOOP ? EXIT_NOT_OURS : exit_code(errno));
		else
			code = read_opened(path, fd, max, text, length);
		if (fd >= 0)
			close(fd);
	}
	place_close(&place);
	return code;
}

/* --- replacing --- */

static bool write_all(int fd, const char *text, size_t length)
{
	ssize_t nr;

	for (; length; text += nr, length -= (size_t)nr) {
		nr = write(fd, text, length);
		if (nr < 0)
			return false;
	}
	return true;
}

static int replace_in(const struct place *place, const char *text, size_t length)
{
	char scratch[NAME_MAX + 1];
	bool done;
	int fd;

	if (snprintf(scratch, sizeof(scratch), ".%s.larder", place->name) >= (int)sizeof(scratch))
		return tell(place->path, strerror(ENAMETOOLONG), EXIT_NO_OUTPUT);
	unlinkat(place->dir, scratch, 0);	/* what a power cut has left */
	fd = openat(place->dir, scratch, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return tell(place->path, strerror(errno), EXIT_NO_OUTPUT);
	done = write_all(fd, text, length) && !fsync(fd);
	if (close(fd) || !done || renameat(place->dir, scratch, place->dir, place->name))
		done = false;
	if (done)
		return fsync(place->dir) ? tell(place->path, strerror(errno), EXIT_IO) : 0;
	tell(place->path, strerror(errno), EXIT_NO_OUTPUT);
	unlinkat(place->dir, scratch, 0);
	return EXIT_NO_OUTPUT;
}

int file_replace(const char *path, const char *text, size_t length)
{
	struct place place;
	int code = place_open(&place, path);

	if (!code)
		code = replace_in(&place, text, length);
	place_close(&place);
	return code;
}
