/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of configfs that is made wholly or not at all.
 *
 * Every step notes how it is undone.  The first step that fails is told (path,
 * value, reason, what to do), later ones do nothing and return the same code, so
 * that a sequence needs no checks between its steps.  journal_end() then undoes
 * everything in reverse order and tells of each undo that fails.  SIGINT, SIGTERM
 * and SIGHUP are a failure of the next step, from journal_begin() to
 * journal_end().  What SIGKILL or a power cut leaves is known from the state
 * file (state.h: incomplete records), and is removed by the next command.
 */
#ifndef LARDER_EXPORT_JOURNAL_H
#define LARDER_EXPORT_JOURNAL_H

#include "configfs.h"

struct journal_step;

struct journal {
	struct configfs *configfs;
	bool dry_run;		/* steps are printed, nothing is done */
	bool quiet;		/* of what is undone; errors are told all the same */
	int code;		/* an exit code: why it has failed; 0: it has not */
	size_t nr, room;
	struct journal_step *step;
};

void journal_begin(struct journal *j, struct configfs *c, bool dry_run);
/* All return j->code. */
/* A directory that must not exist; one that is made unless it exists. */
int journal_make(struct journal *j, const char *path);
int journal_need(struct journal *j, const char *path);
int journal_link(struct journal *j, const char *to, const char *path);
/* A link that is there. */
int journal_unlink(struct journal *j, const char *path);
/* Of an object that this journal has made: undone with it. */
int journal_write(struct journal *j, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, but the value is in no message. */
int journal_write_secret(struct journal *j, const char *path, const char *value);
/* Of an object that was there: what it was is written back, else (what != NULL) this. */
int journal_change(struct journal *j, const char *path, const char *value, const char *back);
/* Fails with a code of the caller's, who has told why. */
int journal_fail(struct journal *j, int code);
/* Nothing that has been done so far is undone any more: it is complete in itself. */
void journal_keep(struct journal *j);
/* Undoes everything if it has failed; returns the code. */
int journal_end(struct journal *j);
/* Has a signal come? */
bool journal_interrupted(void);

/*
 * Removal has no way back (attributes would be lost) and needs none: it can be
 * repeated.  What is not there is removed already.  0, or an exit code after a
 * message.  dry_run prints.
 */
int remove_directory(struct configfs *c, bool dry_run, const char *path);
int remove_link(struct configfs *c, bool dry_run, const char *path);

#endif
