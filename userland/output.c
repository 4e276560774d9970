// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Output is written to a new file beside the wanted one, which gets its name
 * when it is complete: by link(), which never replaces, or with force by
 * rename().  Neither follows a symbolic link in the place of the file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

static int refuse(const struct output *out, const char *why)
{
	complain("cannot write %s: %s", out->path ? out->path : "to stdout", why);
	return EXIT_NO_OUTPUT;
}

static int look_at_place(const struct output *out)
{
	struct stat st;

	if (lstat(out->path, &st))
		return errno == ENOENT ? 0 : refuse(out, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(out, "it exists and is no regular file");
	return out->force ? 0 : refuse(out, "it exists; --force replaces it");
}

static void forget_scratch(struct output *out)
{
	free(out->scratch);
	out->scratch = NULL;
}

int output_open(struct output *out, const char *path, bool force)
{
	mode_t mask;
	int code, fd;

	memset(out, 0, sizeof(*out));
	out->path = path;
	out->force = force;
	if (!path) {
		out->file = stdout;
		return 0;
	}
	code = look_at_place(out);
	if (code)
		return code;
	if (asprintf(&out->scratch, "%s.XXXXXX", path) < 0) {
		out->scratch = NULL;
		return refuse(out, strerror(ENOMEM));
	}
	fd = mkostemp(out->scratch, O_CLOEXEC);
	if (fd >= 0) {
		mask = umask(0);
		umask(mask);
		out->file = fchmod(fd, 0666 & ~mask) ? NULL : fdopen(fd, "w");
		if (out->file)
			return 0;
		code = refuse(out, strerror(errno));
		close(fd);
		unlink(out->scratch);
	} else {
		code = refuse(out, strerror(errno));
	}
	forget_scratch(out);
	return code;
}

static int give_name(struct output *out)
{
	if (out->force)
		return rename(out->scratch, out->path);
	if (link(out->scratch, out->path))
		return -1;
	return unlink(out->scratch);
}

int output_close(struct output *out, bool ok)
{
	bool written = !ferror(out->file) && !fflush(out->file);
	int code = 0;

	if (!out->path)
		return written ? 0 : refuse(out, strerror(errno));
	if (written && ok && fsync(fileno(out->file)))
		written = false;
	if (!written)
		code = refuse(out, strerror(errno));
	if (fclose(out->file) && !code)
		code = refuse(out, strerror(errno));
	if (!code && ok && give_name(out))
		code = refuse(out, strerror(errno));
	if (code || !ok)
		unlink(out->scratch);
	forget_scratch(out);
	return code ? EXIT_IO : 0;
}

/* --- JSON --- */

void add_number(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

void add_string(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

void add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

void print_object(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
