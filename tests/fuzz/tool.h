/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the larder tool, called as functions on files in memory.
 */
#ifndef FUZZ_TOOL_H
#define FUZZ_TOOL_H

#include "../../userland/larder.h"
#include "metadata-disk.h"

/*
 * Runs a command with these arguments (NULL at the end) and returns what it
 * says on stdout, to be freed.  Its exit code must be among larder(8)'s.
 */
char *tool_run(const struct command *command, int *code, const char *const *arguments);
#define TOOL_RUN(command, code, ...) \
	tool_run(command, code, (const char *const[]){ __VA_ARGS__, NULL })

/* Files for one process, in $TMPDIR; it is taken away at the end. */
struct tool_file {
	char path[200];
};

void tool_file_init(struct tool_file *f, const char *name);
void tool_file_write(const struct tool_file *f, const void *data, size_t size);
/* So many units of what means nothing. */
void tool_file_garbage(const struct tool_file *f, u64 units);
/* Into a device in memory; false when there is no such file, or it is too large. */
bool tool_file_read(const struct tool_file *f, struct metadata_disk *disk);
void tool_file_remove(const struct tool_file *f);

struct json_object;
struct json_object *tool_parse_json(const char *text);

#endif
