// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Options as tables: getopt_long() fed from one, and its help text.
 */
#include <assert.h>
#include <getopt.h>
#include <stdio.h>

#include "options.h"
#include "sizes.h"

#define OPTIONS_MAX	32
#define LONG_BASE	256	/* what getopt returns for the first of the table, by its name */
#define HELP_WIDTH	94
#define HELP_COLUMN_MAX	26

int take_flag(const struct tool_option *option, void *member, const char *text)
{
	*(bool *)member = true;
	return 0;
}

int take_text(const struct tool_option *option, void *member, const char *text)
{
	*(const char **)member = text;
	return 0;
}

int take_size(const struct tool_option *option, void *member, const char *text)
{
	return parse_size(text, member) ? 0 :
	       wrong_usage("'%s' is no size, for --%s", text, option->name);
}

int take_nothing(const struct tool_option *option, void *member, const char *text)
{
	return 0;
}

struct getopt_words {
	struct option names[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 2];
};

static void make_words(struct getopt_words *w, const struct tool_option *table)
{
	size_t letters = 0;
	int i;

	memset(w, 0, sizeof(*w));
	w->letters[letters++] = ':';	/* tells a missing value from an unknown option */
	for (i = 0; table[i].name; i++) {
		assert(i < OPTIONS_MAX);
		w->names[i].name = table[i].name;
		w->names[i].has_arg = table[i].value ? required_argument : no_argument;
		w->names[i].val = LONG_BASE + i;
		if (!table[i].letter)
			continue;
		w->letters[letters++] = table[i].letter;
		if (table[i].value)
			w->letters[letters++] = ':';
	}
}

static const struct tool_option *find_option(const struct tool_option *table, int c)
{
	if (c >= LONG_BASE)
		return &table[c - LONG_BASE];
	for (; table->name; table++)
		if (table->letter && table->letter == c)
			return table;
	return NULL;
}

int parse_options(const struct tool_option *table, void *context, int argc, char **argv)
{
	struct getopt_words words;
	int c, code = 0;

	make_words(&words, table);
	optind = 1;
	while (!code && (c = getopt_long(argc, argv, words.letters, words.names, NULL)) != -1) {
		const struct tool_option *option = find_option(table, c);

		if (option)
			code = option->take(option, (char *)context + option->at, optarg);
		else if (c == ':')
			code = wrong_usage("option '%s' needs a value", argv[optind - 1]);
		else if (optopt > 0 && optopt < LONG_BASE)	/* one of several in a word */
			code = wrong_usage("unknown option '-%c'", optopt);
		else
			code = wrong_usage("unknown option '%s'", argv[optind - 1]);
	}
	return code;
}

int one_operand(const char *what, const char **operand, int argc, char **argv)
{
	if (argc - optind != 1)
		return wrong_usage("expected one %s, got %d", what, argc - optind);
	*operand = argv[optind];
	return 0;
}

int no_operand(int argc, char **argv)
{
	return argc > optind ? wrong_usage("unexpected argument '%s'", argv[optind]) : 0;
}

/* --- help --- */

/* "-o, --output FILE"; returns its length */
static int print_names(const struct tool_option *option, char *text, size_t size)
{
	int length = 0;

	if (option->letter)
		length = snprintf(text, size, "-%c, ", option->letter);
	return length + snprintf(text + length, size - (size_t)length, "--%s%s%s", option->name,
				 option->value ? " " : "", option->value ? option->value : "");
}

static void print_wrapped(const char *text, int column, int at)
{
	const char *space = "";
	int length;

	for (; *text; text += length + (text[length] == ' ')) {
		length = (int)strcspn(text, " ");
		if (*space && at + 1 + length > HELP_WIDTH) {
			printf("\n%*s", column, "");
			at = column;
			space = "";
		}
		printf("%s%.*s", space, length, text);
		at += length + (int)strlen(space);
		space = " ";
	}
	putchar('\n');
}

static int find_column(const struct tool_option *table)
{
	char names[96];
	int column = 0;

	for (; table->name; table++) {
		int length = table->help ? print_names(table, names, sizeof(names)) : 0;

		if (length > column && length <= HELP_COLUMN_MAX)
			column = length;
	}
	return column + 4;
}

void print_command_help(const struct command *command)
{
	const struct tool_option *option = command->options;
	int length, column = option ? find_column(option) : 0;
	char names[96];

	fputs(command->help, stdout);
	for (; option && option->name; option++) {
		if (!option->help)
			continue;
		length = print_names(option, names, sizeof(names)) + 2;
		printf("  %s", names);
		if (length + 2 > column) {	/* too long for what stands beside it */
			putchar('\n');
			length = 0;
		}
		printf("%*s", column - length, "");
		print_wrapped(option->help, column, column);
	}
	if (command->after_options)
		fputs(command->after_options, stdout);
}
