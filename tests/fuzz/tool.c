// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See tool.h.
 */
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

#define ARGUMENTS_MAX 24

char *tool_run(const struct command *command, int *code, const char *const *arguments)
{
	static FILE *nowhere;
	char *argv[ARGUMENTS_MAX + 2] = { (char *)(uintptr_t)command->name }, *text = NULL;
	FILE *out = stdout, *err = stderr;
	size_t size;
	int argc = 1;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	FUZZ_CHECK(nowhere);
	for (; arguments[argc - 1]; argc++) {
		FUZZ_CHECK(argc <= ARGUMENTS_MAX);
		argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
	}
	stdout = open_memstream(&text, &size);
	FUZZ_CHECK(stdout);
	stderr = nowhere;
	*code = command->run(argc, argv);
	fclose(stdout);
	stdout = out;
	stderr = err;
	FUZZ_CHECK(*code == EXIT_OK || *code == EXIT_DAMAGED ||
		   (*code >= EXIT_WRONG_USAGE && *code <= EXIT_NO_PERMISSION), "%d", *code);
	return text;
}

/* --- files --- */

static struct tool_file *files[4];

static void remove_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files) && files[i]; i++)
		tool_file_remove(files[i]);
}

void tool_file_init(struct tool_file *f, const char *name)
{
	const char *directory = getenv("TMPDIR");
	unsigned int i = 0;

	snprintf(f->path, sizeof(f->path), "%s/fuzz-%s-%d", directory ? directory : "/tmp", name,
		 getpid());
	if (!files[0])
		atexit(remove_all);
	while (files[i])
		i++;
	FUZZ_CHECK(i < ARRAY_SIZE(files));
	files[i] = f;
}

void tool_file_remove(const struct tool_file *f)
{
	unlink(f->path);
}

void tool_file_write(const struct tool_file *f, const void *data, size_t size)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "%s", f->path);
	close(fd);
}

void tool_file_garbage(const struct tool_file *f, u64 units)
{
	size_t bytes = units * LARDER_UNIT_SIZE;
	void *garbage = fuzz_alloc(bytes, 1);

	memset(garbage, 0xa5, bytes);
	tool_file_write(f, garbage, bytes);
	free(garbage);
}

bool tool_file_read(const struct tool_file *f, struct metadata_disk *disk)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return false;
	FUZZ_CHECK(!fstat(fd, &st));
	disk->units = (u64)st.st_size / LARDER_UNIT_SIZE;
	disk->nr_writes = 0;
	if (disk->units <= DISK_UNITS_MAX)
		FUZZ_CHECK(read(fd, disk->unit, (size_t)st.st_size) == st.st_size);
	close(fd);
	return disk->units <= DISK_UNITS_MAX;
}

struct json_object *tool_parse_json(const char *text)
{
	enum json_tokener_error error;
	struct json_object *o = json_tokener_parse_verbose(text, &error);

	FUZZ_CHECK(o, "%s in: %.200s", json_tokener_error_desc(error), text);
	return o;
}
