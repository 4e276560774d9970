// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Judges paths and values before a tree gets them, see configfs.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "configfs.h"

bool configfs_name_possible(const char *name)
{
	size_t i;

	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (i = 0; name[i]; i++)
		if (i + 1 >= CONFIGFS_NAME_MAX || (unsigned char)name[i] < ' ' ||
		    name[i] == '/' || name[i] == 0x7f)
			return false;
	return true;
}

bool configfs_name_valid(const char *name)
{
	return configfs_name_possible(name) && !strchr(name, ' ');
}

static bool path_valid(const char *path)
{
	char name[CONFIGFS_NAME_MAX];
	size_t length;

	if (strlen(path) >= CONFIGFS_PATH_MAX)
		return false;
	for (;; path += length + 1) {
		length = strcspn(path, "/");
		if (length >= sizeof(name))
			return false;
		memcpy(name, path, length);
		name[length] = '\0';
		if (!configfs_name_possible(name))
			return false;
		if (!path[length])
			return true;
	}
}

void configfs_path(char path[CONFIGFS_PATH_MAX], const char *format, ...)
{
	char made[CONFIGFS_PATH_MAX];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(made, sizeof(made), format, args);
	va_end(args);
	if (length < 0 || length >= CONFIGFS_PATH_MAX || !path_valid(made))
		*made = '\0';
	memcpy(path, made, strlen(made) + 1);
}

enum configfs_kind configfs_kind(struct configfs *c, const char *path)
{
	int kind = path_valid(path) ? c->ops->kind(c, path) : -EINVAL;

	return kind < 0 ? CONFIGFS_NOTHING : (enum configfs_kind)kind;
}

int configfs_make(struct configfs *c, const char *path)
{
	return path_valid(path) ? c->ops->make(c, path) : -EINVAL;
}

int configfs_remove(struct configfs *c, const char *path)
{
	return path_valid(path) ? c->ops->remove(c, path) : -EINVAL;
}

int configfs_link(struct configfs *c, const char *to, const char *path)
{
	return path_valid(path) && path_valid(to) ? c->ops->link(c, to, path) : -EINVAL;
}

int configfs_unlink(struct configfs *c, const char *path)
{
	return path_valid(path) ? c->ops->unlink(c, path) : -EINVAL;
}

int configfs_read(struct configfs *c, const char *path, char *text, size_t size)
{
	char value[CONFIGFS_VALUE_MAX + 1];
	int i, rc = path_valid(path) ? c->ops->read(c, path, value, sizeof(value)) : -EINVAL;
	size_t length = 0;

	if (rc < 0)
		return rc;
	/* dynamic_sessions has a zero behind each of its lines */
	for (i = 0; i < rc; i++)
		if (value[i])
			value[length++] = value[i];
	value[length] = '\0';
	while (length && value[length - 1] == '\n')
		value[--length] = '\0';
	if (length >= size)
		return -EFBIG;
	memcpy(text, value, length + 1);
	return 0;
}

void configfs_text(struct configfs *c, const char *path, char *text, size_t size)
{
	if (configfs_read(c, path, text, size))
		*text = '\0';
}

int configfs_read_link(struct configfs *c, const char *path, char *text, size_t size)
{
	int rc = path_valid(path) ? c->ops->read_link(c, path, text, size) : -EINVAL;

	return rc < 0 ? rc : path_valid(text) ? 0 : -EXDEV;
}

int configfs_write(struct configfs *c, const char *path, const char *text)
{
	const char *newline = strchr(text, '\n');

	if (!path_valid(path) || !*text || (newline && newline[1]))
		return -EINVAL;
	return strlen(text) < CONFIGFS_VALUE_MAX ? c->ops->write(c, path, text) : -EFBIG;
}

int configfs_list(struct configfs *c, const char *path, struct names *names)
{
	int rc;

	memset(names, 0, sizeof(*names));
	rc = path_valid(path) ? c->ops->list(c, path, names) : -EINVAL;
	if (rc)
		names_free(names);
	names_sort(names);
	return rc == -ENOENT ? 0 : rc;
}

void configfs_close(struct configfs *c)
{
	if (c->ops)
		c->ops->close(c);
	memset(c, 0, sizeof(*c));
}
