// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder: looks after dm-larder caches from user space.  This file picks the
 * command; each command is a file of its own.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "larder.h"

static const struct command *const commands[] = {
	&command_check,
	&command_dump,
	&command_status,
};

#ifndef LARDER_VERSION		/* the Makefile knows it */
#define LARDER_VERSION "0.0.0"
#endif

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *running;

static void print_help(FILE *out)
{
	unsigned int i;

	fputs("usage: larder COMMAND [ARGUMENTS]\n"
	      "       larder COMMAND --help\n"
	      "       larder --help | --version\n"
	      "\n"
	      "Looks after dm-larder caches.\n"
	      "\n", out);
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "Exit code: 0 all is well, 1 damage found or cache failed, 64 wrong usage,\n"
	      "65 not a dm-larder cache, 66 cannot be opened, 69 no device mapper, 71 no memory,\n"
	      "73 output file cannot be made, 74 I/O error, 77 no permission.\n"
	      "More in larder(8).\n", out);
}

static void complain_about(const char *format, va_list args)
{
	fprintf(stderr, "larder%s%s: ", running ? " " : "", running ? running->name : "");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_about(format, args);
	va_end(args);
}

int wrong_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_about(format, args);
	va_end(args);
	fprintf(stderr, "See larder %s--help.\n", running ? running->name : "");
	return EXIT_WRONG_USAGE;
}

/* What stdout did not take must not look like success. */
static int finish(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	complain("cannot write to stdout: %s", strerror(errno));
	return EXIT_IO;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	int i;

	running = command;
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (strcmp(argv[i], "--help") && strcmp(argv[i], "-h"))
			continue;
		fputs(command->help, stdout);
		return EXIT_OK;
	}
	opterr = 0;
	return command->run(argc, argv);
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc < 2) {
		print_help(stderr);
		return EXIT_WRONG_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return finish(EXIT_OK);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("larder " LARDER_VERSION);
		return finish(EXIT_OK);
	}
	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i]->name))
			return finish(run_command(commands[i], argc - 1, argv + 1));
	return wrong_usage("unknown command '%s'", argv[1]);
}
