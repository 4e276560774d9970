// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Steps that are undone when a later one fails, see journal.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../larder.h"
#include "../program.h"
#include "journal.h"

#define ROOT		"/sys/kernel/config/"
#define SECRET_SHOWN	"(a secret)"

enum undo {
	UNDO_REMOVE,
	UNDO_UNLINK,
	UNDO_LINK,
	UNDO_WRITE,
};

struct journal_step {
	enum undo undo;
	char *path;
	char *back;	/* UNDO_LINK: where to; UNDO_WRITE: what is written, if it is not "" */
};

/* --- signals --- */

static struct sigaction before[NR_END_SIGNALS];
static volatile sig_atomic_t signalled;

static void note_signal(int signal)
{
	signalled = 1;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = note_signal };
	size_t i;

	signalled = 0;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < NR_END_SIGNALS; i++) {
		sigaction(end_signals[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(end_signals[i], &action, NULL);
	}
}

static void release_signals(void)
{
	size_t i;

	for (i = 0; i < NR_END_SIGNALS; i++)
		sigaction(end_signals[i], &before[i], NULL);
}

bool journal_interrupted(void)
{
	return signalled;
}

/* --- what went wrong --- */

static int code_of(int error)
{
	switch (error) {
	case EINTR:
		return EXIT_INTERRUPTED;
	case EACCES:
	case EPERM:
	case EROFS:
		return EXIT_NO_PERMISSION;
	case ENOMEM:
		return EXIT_NO_MEMORY;
	default:
		return EXIT_DAMAGED;
	}
}

static const char *advice(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
	case EROFS:
		return "needs root, and configfs mounted for writing";
	case EBUSY:
		return "it is in use; larder exports shows by whom";
	case EEXIST:
		return "somebody has made it already; larder exports shows it";
	case EINTR:
		return "a signal came";
	case EINVAL:
		return "the kernel does not take it; dmesg may say why";
	case ENODEV:
	case ENXIO:
		return "what it needs is not there; dmesg may say why";
	case ENOENT:
		return "this kernel has no such thing, or its module is not loaded";
	case ENOTEMPTY:
		return "something of others is in it";
	default:
		return "dmesg may say more";
	}
}

static void tell(const char *what, const char *path, const char *value, int error)
{
	if (value)
		complain("cannot %s %s %s" ROOT "%s: %s: %s", what, value,
			 !strcmp(what, "link") ? "from " : "into ", path, strerror(error),
			 advice(error));
	else
		complain("cannot %s " ROOT "%s: %s: %s", what, path, strerror(error),
			 advice(error));
}

static int failed(struct journal *j, const char *what, const char *path, const char *value,
		  int error)
{
	tell(what, path, value, error);
	j->code = code_of(error);
	return j->code;
}

/* Is anything to be done at all? */
static bool may_step(struct journal *j)
{
	if (j->code)
		return false;
	if (!signalled)
		return true;
	complain("interrupted: what was made is taken away again");
	j->code = EXIT_INTERRUPTED;
	return false;
}

/* Before the step is made: without memory for its undo, it is not made at all. */
static bool note_step(struct journal *j, enum undo how, const char *path, const char *back)
{
	struct journal_step *step;

	if (j->nr == j->room) {
		step = reallocarray(j->step, 2 * j->room + 32, sizeof(*j->step));
		if (!step)
			goto no_memory;
		j->step = step;
		j->room = 2 * j->room + 32;
	}
	step = &j->step[j->nr];
	step->undo = how;
	step->path = strdup(path);
	step->back = strdup(back);
	if (step->path && step->back) {
		j->nr++;
		return true;
	}
	free(step->path);
	free(step->back);
no_memory:
	complain("not enough memory");
	j->code = EXIT_NO_MEMORY;
	return false;
}

static void forget_step(struct journal *j)
{
	struct journal_step *step = &j->step[--j->nr];

	free(step->path);
	free(step->back);
}

/* --- steps --- */

void journal_begin(struct journal *j, struct configfs *c, bool dry_run)
{
	memset(j, 0, sizeof(*j));
	j->configfs = c;
	j->dry_run = dry_run;
	catch_signals();
}

static bool noted(const struct journal *j, const char *path)
{
	size_t i;

	for (i = 0; i < j->nr; i++)
		if (!strcmp(j->step[i].path, path))
			return true;
	return false;
}

int journal_make(struct journal *j, const char *path)
{
	int rc;

	if (!may_step(j) || !note_step(j, UNDO_REMOVE, path, ""))
		return j->code;
	if (j->dry_run)
		printf("mkdir " ROOT "%s\n", path);
	rc = j->dry_run ? 0 : configfs_make(j->configfs, path);
	if (!rc)
		return 0;
	forget_step(j);
	return failed(j, "make", path, NULL, -rc);
}

int journal_need(struct journal *j, const char *path)
{
	if (!j->code && (noted(j, path) ||
			 configfs_kind(j->configfs, path) == CONFIGFS_DIRECTORY))
		return 0;
	return journal_make(j, path);
}

int journal_link(struct journal *j, const char *to, const char *path)
{
	int rc;

	if (!may_step(j) || !note_step(j, UNDO_UNLINK, path, ""))
		return j->code;
	if (j->dry_run)
		printf("ln -s " ROOT "%s " ROOT "%s\n", to, path);
	rc = j->dry_run ? 0 : configfs_link(j->configfs, to, path);
	if (!rc)
		return 0;
	forget_step(j);
	return failed(j, "link", path, to, -rc);
}

int journal_unlink(struct journal *j, const char *path)
{
	char to[CONFIGFS_PATH_MAX];
	int rc;

	if (!may_step(j))
		return j->code;
	rc = configfs_read_link(j->configfs, path, to, sizeof(to));
	if (rc)
		return failed(j, "read the link", path, NULL, -rc);
	if (!note_step(j, UNDO_LINK, path, to))
		return j->code;
	if (j->dry_run)
		printf("rm " ROOT "%s\n", path);
	rc = j->dry_run ? 0 : configfs_unlink(j->configfs, path);
	if (!rc)
		return 0;
	forget_step(j);
	return failed(j, "remove", path, NULL, -rc);
}

static int write_value(struct journal *j, const char *path, const char *value, const char *shown)
{
	int rc;

	if (!may_step(j))
		return j->code;
	if (j->dry_run)
		printf("echo '%s' >" ROOT "%s\n", shown, path);
	rc = j->dry_run ? 0 : configfs_write(j->configfs, path, value);
	return rc ? failed(j, "write", path, shown, -rc) : 0;
}

int journal_write(struct journal *j, const char *path, const char *format, ...)
{
	char value[CONFIGFS_VALUE_MAX];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (!j->code && (length < 0 || length >= (int)sizeof(value)))
		return failed(j, "write", path, "a value as long as that", EFBIG);
	return write_value(j, path, value, value);
}

int journal_write_secret(struct journal *j, const char *path, const char *value)
{
	return write_value(j, path, value, SECRET_SHOWN);
}

int journal_change(struct journal *j, const char *path, const char *value, const char *back)
{
	char was[CONFIGFS_VALUE_MAX];
	int rc;

	if (!may_step(j))
		return j->code;
	if (!back && !j->dry_run) {
		rc = configfs_read(j->configfs, path, was, sizeof(was));
		if (rc)
			return failed(j, "read", path, NULL, -rc);
		if (!strcmp(was, value))
			return 0;
		back = was;
	}
	if (note_step(j, UNDO_WRITE, path, back ? back : "") && write_value(j, path, value, value))
		forget_step(j);
	return j->code;
}

int journal_fail(struct journal *j, int code)
{
	if (!j->code)
		j->code = code;
	return j->code;
}

/* --- the end --- */

static void undo(struct journal *j, const struct journal_step *step)
{
	int rc = 0;

	switch (step->undo) {
	case UNDO_REMOVE:
		rc = configfs_remove(j->configfs, step->path);
		break;
	case UNDO_UNLINK:
		rc = configfs_unlink(j->configfs, step->path);
		break;
	case UNDO_LINK:
		rc = configfs_link(j->configfs, step->back, step->path);
		break;
	case UNDO_WRITE:
		/* an attribute that was empty takes no empty value */
		rc = *step->back ? configfs_write(j->configfs, step->path, step->back) : 0;
		break;
	}
	if (rc && rc != -ENOENT)
		tell(step->undo == UNDO_WRITE ? "write back" :
		     step->undo == UNDO_LINK ? "make again" : "take away again", step->path, NULL,
		     -rc);
}

static void forget(struct journal *j, bool undo_them)
{
	for (; j->nr; forget_step(j))
		if (undo_them)
			undo(j, &j->step[j->nr - 1]);
}

void journal_keep(struct journal *j)
{
	if (!j->code)
		forget(j, false);
}

int journal_end(struct journal *j)
{
	forget(j, j->code && !j->dry_run);
	free(j->step);
	j->step = NULL;
	j->room = 0;
	release_signals();
	return j->code;
}

/* --- removal --- */

static int removed(const char *path, int rc)
{
	if (!rc || rc == -ENOENT)
		return 0;
	tell("remove", path, NULL, -rc);
	return code_of(-rc);
}

int remove_directory(struct configfs *c, bool dry_run, const char *path)
{
	if (dry_run) {
		if (configfs_kind(c, path) != CONFIGFS_NOTHING)
			printf("rmdir " ROOT "%s\n", path);
		return 0;
	}
	return removed(path, configfs_remove(c, path));
}

int remove_link(struct configfs *c, bool dry_run, const char *path)
{
	if (dry_run) {
		if (configfs_kind(c, path) != CONFIGFS_NOTHING)
			printf("rm " ROOT "%s\n", path);
		return 0;
	}
	return removed(path, configfs_unlink(c, path));
}
