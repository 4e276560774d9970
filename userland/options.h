/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of a command as a table, which is both what getopt is told and
 * what --help prints.
 */
#ifndef LARDER_OPTIONS_H
#define LARDER_OPTIONS_H

#include <stddef.h>

#include "larder.h"

struct tool_option {
	const char *name;	/* without the hyphens; NULL ends the table */
	char letter;		/* 0: it has none */
	const char *value;	/* what the help calls its value; NULL: takes none */
	/* member: at this place of what parse_options() was given; returns as that does */
	int (*take)(const struct tool_option *option, void *member, const char *text);
	size_t at;
	const char *help;	/* wrapped when it is printed; NULL: is not shown */
};

/* Puts them where they belong: true to a bool, to a const char *, sectors to a u64. */
int take_flag(const struct tool_option *option, void *member, const char *text);
int take_text(const struct tool_option *option, void *member, const char *text);
int take_size(const struct tool_option *option, void *member, const char *text);
int take_nothing(const struct tool_option *option, void *member, const char *text);

/* 0, or EXIT_WRONG_USAGE after a message.  What is left begins at argv[optind]. */
int parse_options(const struct tool_option *table, void *context, int argc, char **argv);
/* What is left must be one word, or none; after parse_options(). */
int one_operand(const char *what, const char **operand, int argc, char **argv);
int no_operand(int argc, char **argv);

void print_command_help(const struct command *command);

#endif
