/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs of others, and what they print.
 */
#ifndef LARDER_PROGRAM_H
#define LARDER_PROGRAM_H

#include <signal.h>
#include <stdbool.h>

/* Where all files and programs are looked for; tests are built with a directory of theirs. */
#ifndef LARDER_ROOT
#define LARDER_ROOT ""
#endif

#define WORDS_MAX	128

struct program {
	const char *path;		/* absolute */
	const char *word[WORDS_MAX + 1];	/* its arguments, the first one is its name */
	unsigned int nr;
	void (*tick)(void *context);	/* called about twice a second while it runs; may be NULL */
	void *context;
	/* the answer */
	int code;			/* exit code, or 128 and the signal */
	bool interrupted;		/* a signal came for us, and was handed on as SIGINT */
	char *out, *err;
};

/* The first of these that there is; else the first, which cannot be run then. */
const char *program_find(const char *const *paths);
void program_word(struct program *p, const char *word);
/*
 * Runs it to its end: no shell, nothing of our environment, stdin empty.  ^C is
 * for the program, which undoes what it has begun; but who catches or ignores a
 * signal himself has it for himself.  0, or an exit code after a message when it
 * could not be run.
 */
int program_run(struct program *p);
void program_free(struct program *p);
/* Its messages as ours, printable. */
void program_tell(const struct program *p);

/* What ends a program that does not care: SIGINT, SIGTERM, SIGHUP. */
#define NR_END_SIGNALS	3
extern const int end_signals[NR_END_SIGNALS];
/* Those of them that end us, too: who catches or ignores a signal has it for himself. */
void watched_signals(sigset_t *set);

#endif
