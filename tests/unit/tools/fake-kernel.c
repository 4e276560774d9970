// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel for tests of the larder tool: in LARDER_ROOT/dm, the file "versions"
 * has a line "TARGET x.y.z" for each target, and every other file is a device:
 * type, uuid, sectors, status, table, stats and MAJOR:MINOR, a line each.  What
 * is made writable is a line in LARDER_ROOT/calls, and so is each message; the
 * answers are lines of LARDER_ROOT/answers/messages, the last one again and again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../userland/lvm.h"

#ifndef LARDER_ROOT		/* the tests' build has one; this is for analyzers */
#define LARDER_ROOT "."
#endif
#define DM LARDER_ROOT "/dm"

int device_mapper_ready(void)
{
	return 0;
}

int make_writable(const char *path)
{
	FILE *file = fopen(LARDER_ROOT "/calls", "a");

	if (!file)
		return EXIT_IO;
	fprintf(file, "writable [%s]\n", path + strlen(LARDER_ROOT));
	fclose(file);
	return 0;
}

void cache_target_free(struct cache_target *target)
{
	free(target->status);
	free(target->table);
	free(target->stats);
}

/* The next line, to be freed; never NULL. */
static char *next_line(FILE *file)
{
	char *line = NULL;
	size_t size = 0;

	if (getline(&line, &size, file) < 0) {
		free(line);
		return strdup("");
	}
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static void take_line(FILE *file, char *to, size_t size)
{
	char *line = next_line(file);

	snprintf(to, size, "%s", line);
	free(line);
}

bool cache_target_peek(struct cache_target *target, const char *name)
{
	char path[600], number[32];
	FILE *file;

	memset(target, 0, sizeof(*target));
	snprintf(path, sizeof(path), DM "/%s", name);
	file = strchr(name, '/') ? NULL : fopen(path, "r");
	if (!file)
		return false;
	snprintf(target->name, sizeof(target->name), "%s", name);
	take_line(file, target->type, sizeof(target->type));
	take_line(file, target->uuid, sizeof(target->uuid));
	take_line(file, number, sizeof(number));
	target->sectors = strtoull(number, NULL, 10);
	target->status = next_line(file);
	target->table = next_line(file);
	target->stats = next_line(file);
	take_line(file, number, sizeof(number));
	if (sscanf(number, "%u:%u", &target->major, &target->minor) != 2)
		fprintf(stderr, "fake-kernel: no device number in %s\n", name);
	if (!*target->stats) {
		free(target->stats);
		target->stats = NULL;
	}
	fclose(file);
	return true;
}

int cache_target_read(struct cache_target *target, const char *name)
{
	return cache_target_peek(target, name) ? 0 : EXIT_NO_INPUT;
}

int cache_target_message(const struct cache_target *target, const char *message, char **answer)
{
	FILE *calls = fopen(LARDER_ROOT "/calls", "a");
	FILE *answers = fopen(LARDER_ROOT "/answers/messages", "r");
	static long next;

	if (calls) {
		fprintf(calls, "message [%s] [%s]\n", target->name, message);
		fclose(calls);
	}
	if (answer)
		*answer = NULL;
	if (!answers)
		return EXIT_IO;
	if (answer) {
		fseek(answers, next, SEEK_SET);
		*answer = next_line(answers);
		if (getc(answers) != EOF)
			next = ftell(answers) - 1;
	}
	fclose(answers);
	return 0;
}

int cache_targets_visit(void (*visit)(void *context, const struct cache_target *target),
			void *context)
{
	DIR *dir = opendir(DM);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct cache_target target;

		if (*entry->d_name == '.' || !strcmp(entry->d_name, "versions") ||
		    !cache_target_peek(&target, entry->d_name))
			continue;
		visit(context, &target);
		cache_target_free(&target);
	}
	if (dir)
		closedir(dir);
	return 0;
}

bool kernel_target_version(const char *name, uint32_t version[3])
{
	FILE *file = fopen(DM "/versions", "r");
	char line[100], target[64];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63s %u.%u.%u", target, &version[0], &version[1],
			       &version[2]) == 4 && !strcmp(target, name);
	if (file)
		fclose(file);
	return found;
}
