// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reservations and states of port groups, see restore-state.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../larder.h"
#include "restore-state.h"
#include "save-file.h"

#define APTPL_MAX	(4u << 20)	/* bytes: thousands of registrations */
#define ALUA_TEXT_MAX	4096
#define PLACE_MAX	(CONFIGFS_VALUE_MAX + CONFIGFS_PATH_MAX)

/* A file below dbroot; "" when there is no dbroot, or the serial number is none of ours. */
static void find_place(struct configfs *c, char place[PLACE_MAX], const char *what,
		       const char *serial, const char *name)
{
	char root[CONFIGFS_VALUE_MAX];

	*place = '\0';
	lio_dbroot(c, root, sizeof(root));
	if (*root == '/' && uuid_valid(serial) && (!*name || configfs_name_valid(name)))
		snprintf(place, PLACE_MAX, "%s/%s%s%s%s", root, what, serial,
			 *name ? "/" : "", name);
}

struct feeding {
	struct journal *j;
	char path[CONFIGFS_PATH_MAX];
};

static int feed(void *context, const char *registration)
{
	struct feeding *f = context;

	return journal_write(f->j, f->path, "%s", registration);
}

/* The kernel writes the zero at the end of its text, too. */
static bool is_text(const char *text, size_t length)
{
	size_t letters = strlen(text);

	return letters == length || letters + 1 == length;
}

int restore_reservations(struct journal *j, const struct backstore *b, const char *path)
{
	struct feeding f = { .j = j };
	char place[PLACE_MAX], *text;
	const char *why;
	size_t length;
	int code;

	if (j->code || j->dry_run)
		return j->code;
	find_place(j->configfs, place, "alua/tpgs_", b->serial, "");
	if (*place && mkdir(place, 0700) && errno != EEXIST && errno != ENOENT)
		complain("%s: %s; states of port groups will not be kept", place, strerror(errno));
	find_place(j->configfs, place, "pr/aptpl_", b->serial, "");
	if (!*place)
		return 0;
	code = file_read_whole(place, APTPL_MAX, &text, &length);
	if (code)
		return journal_fail(j, code);
	if (!text)
		return 0;
	configfs_path(f.path, "%s/%s", path, "pr/res_aptpl_metadata");
	why = "it has zeros in it";
	code = is_text(text, length) ? aptpl_parse(text, feed, &f, &why) : -1;
	if (code < 0) {
		complain("%s: %s; %s is not exported without its reservations. Who wants it so "
			 "moves the file away", place, why, b->device);
		journal_fail(j, EXIT_NOT_OURS);
	}
	free(text);
	return j->code;
}

static void set(struct configfs *c, const char *group, const char *name, unsigned int value)
{
	char path[CONFIGFS_PATH_MAX], is[32], wanted[16];
	int error;

	configfs_path(path, "%s/%s", group, name);
	configfs_text(c, path, is, sizeof(is));
	snprintf(wanted, sizeof(wanted), "%u", value);
	if (!strcmp(is, wanted))
		return;
	error = configfs_write(c, path, wanted);
	if (error)
		complain("%s cannot be %u again: %s", path, value, strerror(-error));
}

void restore_group(struct configfs *c, const struct backstore *b, const struct lun *l,
		   const char *path)
{
	char group[CONFIGFS_PATH_MAX], place[PLACE_MAX], *text = NULL;
	unsigned int state, status;
	size_t length;

	if (!*l->alua_group)
		return;
	configfs_path(group, "%s/alua/%s", path, l->alua_group);
	find_place(c, place, "alua/tpgs_", b->serial, l->alua_group);
	if (!*place || file_read_whole(place, ALUA_TEXT_MAX, &text, &length))
		return;
	/* 0 to 3; the others are for a moment, or are no state of a whole group */
	if (text && alua_parse(text, &state, &status) && state <= 3) {
		set(c, group, "alua_access_state", state);
		if (status <= 2)
			set(c, group, "alua_access_status", status);
	} else if (text) {
		complain("%s is not what the kernel writes: the state of %s is not restored",
			 place, l->alua_group);
	}
	free(text);
}
