/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands of the larder tool share: exit codes, messages, and the
 * table of commands.
 */
#ifndef LARDER_TOOL_H
#define LARDER_TOOL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * As in sysexits.h, but for 1.  2 is never used: LVM takes an exit code of 2
 * of its check program for "not installed", and goes on.
 */
enum exit_code {
	EXIT_OK = 0,
	EXIT_DAMAGED = 1,	/* damage was found, the cache has failed */
	EXIT_WRONG_USAGE = 64,
	EXIT_NOT_OURS = 65,	/* blank, another format, not a larder device */
	EXIT_NO_INPUT = 66,	/* cannot be opened or does not exist */
	EXIT_NO_SERVICE = 69,	/* the kernel has no device mapper */
	EXIT_NO_MEMORY = 71,
	EXIT_NO_OUTPUT = 73,	/* the output file cannot be made */
	EXIT_IO = 74,		/* reading or writing failed */
	EXIT_INTERRUPTED = 75,	/* all is as it was, it can be tried again */
	EXIT_NO_PERMISSION = 77,
};

struct tool_option;

struct command {
	const char *name;
	const char *summary;
	const char *help;			/* up to the list of options */
	const struct tool_option *options;	/* see options.h; NULL: help has them all */
	const char *after_options;		/* the rest of the help; may be NULL */
	int (*run)(int argc, char **argv);
};

extern const struct command command_attach;
extern const struct command command_check;
extern const struct command command_convert;
extern const struct command command_create;
extern const struct command command_detach;
extern const struct command command_doctor;
extern const struct command command_dump;
extern const struct command command_export;
extern const struct command command_exports;
extern const struct command command_list;
extern const struct command command_metadata_size;
extern const struct command command_repair;
extern const struct command command_restore;
extern const struct command command_save;
extern const struct command command_scrub;
extern const struct command command_set;
extern const struct command command_status;
extern const struct command command_unexport;
extern const struct command command_writeback;

/* Called as cache_check and so on, by what expects the tools of dm-cache. */
bool called_by_old_name(void);

/* "larder COMMAND: message" to stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and "see larder COMMAND --help"; returns EXIT_WRONG_USAGE. */
int wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Asks at the terminal, unless the answer is yes already; false: no, or nobody can be asked. */
bool confirmed(bool yes, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
