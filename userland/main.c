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
#include <unistd.h>

#include "dispatch.h"
#include "options.h"
#include "progress.h"

static const struct command *const commands[] = {
	&command_attach,
	&command_check,
	&command_convert,
	&command_create,
	&command_detach,
	&command_doctor,
	&command_dump,
	&command_export,
	&command_exports,
	&command_list,
	&command_metadata_size,
	&command_repair,
	&command_restore,
	&command_save,
	&command_scrub,
	&command_set,
	&command_status,
	&command_unexport,
	&command_writeback,
};

/* What LVM and people call the tools of dm-cache; make install makes links. */
static const struct old_name {
	const char *name;
	const struct command *command;
} old_names[] = {
	{ "cache_check", &command_check },
	{ "cache_dump", &command_dump },
	{ "cache_metadata_size", &command_metadata_size },
	{ "cache_repair", &command_repair },
	{ "cache_restore", &command_restore },
	{ "cache_writeback", &command_writeback },
};

/*
 * By its old name, a tool has the version of the tools whose command line it
 * follows: LVM believes nothing of a cache_check before 0.7.0.
 */
#define OLD_VERSION "1.1.0"

#ifndef LARDER_VERSION		/* the Makefile knows it */
#define LARDER_VERSION "0.0.0"
#endif

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *running;
static const struct old_name *old_name;

bool called_by_old_name(void)
{
	return old_name;
}

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
		fprintf(out, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "Exit code: 0 all is well, 1 damage found or cache failed, 64 wrong usage,\n"
	      "65 not a dm-larder cache, 66 cannot be opened, 69 no device mapper or LVM, 71 no memory,\n"
	      "73 output file cannot be made, 74 I/O error, 75 interrupted, 77 no permission.\n"
	      "More in larder(8).\n", out);
}

static void complain_about(const char *format, va_list args)
{
	progress_end();
	if (old_name)
		fprintf(stderr, "%s: ", old_name->name);
	else
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
	fprintf(stderr, "See larder %s%s--help.\n", running ? running->name : "",
		running ? " " : "");
	return EXIT_WRONG_USAGE;
}

bool confirmed(bool yes, const char *format, ...)
{
	char answer[16];
	va_list args;

	if (yes)
		return true;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (!isatty(STDIN_FILENO)) {
		fputc('\n', stderr);
		complain("nobody can be asked: give --yes");
		return false;
	}
	fputs(" [y/n] ", stderr);
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
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
		print_command_help(command);
		return EXIT_OK;
	}
	opterr = 0;
	return command->run(argc, argv);
}

static const struct old_name *find_old_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;
	unsigned int i;

	for (i = 0; name && i < sizeof(old_names) / sizeof(old_names[0]); i++)
		if (!strcmp(name, old_names[i].name))
			return &old_names[i];
	return NULL;
}

/*
 * lvm2 2.03.16 hands on an empty word where its cache_repair_options are empty,
 * which the tools it knew took for nothing.
 */
static int drop_empty_words(int argc, char **argv)
{
	int i, kept = 1;

	for (i = 1; i < argc; i++)
		if (*argv[i])
			argv[kept++] = argv[i];
	argv[kept] = NULL;
	return kept;
}

static int run_by_old_name(int argc, char **argv)
{
	int i, code;

	argc = drop_empty_words(argc, argv);
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (strcmp(argv[i], "--version") && strcmp(argv[i], "-V"))
			continue;
		puts(OLD_VERSION " (dm-larder " LARDER_VERSION ")");
		return EXIT_OK;
	}
	code = dispatch_to_stock(old_name->name, argc, argv);
	return code >= 0 ? code : run_command(old_name->command, argc, argv);
}

int main(int argc, char **argv)
{
	unsigned int i;

	old_name = find_old_name(argc ? argv[0] : NULL);
	if (old_name)
		return finish(run_by_old_name(argc, argv));
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
