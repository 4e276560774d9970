// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Judges what is asked of a cache before LVM hears of it: LVM takes nearly any
 * policy and setting of a volume that is not active, and only the next
 * activation fails.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cache-request.h"

#define POLICY_KEY "policy_"

int take_mode(const struct tool_option *option, void *member, const char *text)
{
	if (strcmp(text, "writeback") && strcmp(text, "writethrough") &&
	    strcmp(text, "passthrough"))
		return wrong_usage("unknown mode '%s': writeback, writethrough or passthrough",
				   text);
	return take_text(option, member, text);
}

static bool is_word(const char *text, size_t max)
{
	size_t i;

	for (i = 0; text[i]; i++)
		if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) &&
		    text[i] != '_')
			return false;
	return i && i <= max && !isdigit((unsigned char)*text);
}

static bool file_mentions(const char *path, const char *what)
{
	FILE *file = fopen(path, "re");
	char line[4096];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, what);
	if (file)
		fclose(file);
	return found;
}

/* Built in, loaded, or to be loaded. */
static bool policy_exists(const char *policy)
{
	static const char *const known[] = { "s3fifo", "cleaner", "default", "smq", "mq" };
	char path[256], name[64];
	struct utsname kernel;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(policy, known[i]))
			return true;
	snprintf(path, sizeof(path), LARDER_ROOT "/sys/module/dm_larder_policy_%s", policy);
	if (!access(path, F_OK))
		return true;
	uname(&kernel);
	snprintf(path, sizeof(path), LARDER_ROOT "/lib/modules/%s/modules.dep", kernel.release);
	snprintf(name, sizeof(name), "/dm-larder-policy-%s.ko", policy);
	return file_mentions(path, name);
}

int take_policy(const struct tool_option *option, void *member, const char *text)
{
	if (!is_word(text, 24))
		return wrong_usage("'%s' is no name of a policy", text);
	if (!policy_exists(text))
		return wrong_usage("there is no policy '%s' here: neither built in nor as module "
				   "dm-larder-policy-%s", text, text);
	return take_text(option, member, text);
}

int settings_add(struct settings *settings, const char *key, const char *value)
{
	if (settings->nr == SETTINGS_MAX)
		return wrong_usage("more than %d settings", SETTINGS_MAX);
	snprintf(settings->text[settings->nr++], sizeof(settings->text[0]), "%s=%s", key, value);
	return 0;
}

int settings_add_policy(struct settings *settings, const char *policy)
{
	char key[32];	/* take_policy() takes no longer name */

	snprintf(key, sizeof(key), POLICY_KEY "%s", policy);
	return settings_add(settings, key, "1");
}

static bool is_number(const char *text)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	strtoull(text, &end, 10);
	return !errno && !*end;
}

int take_setting(const struct tool_option *option, void *member, const char *text)
{
	const char *equals = strchr(text, '=');
	char key[33];

	if (!equals || equals - text >= (int)sizeof(key))
		return wrong_usage("expected KEY=NUMBER or KEY=default, not '%s'", text);
	memcpy(key, text, (size_t)(equals - text));
	key[equals - text] = '\0';
	/* LVM looks for " ro" in the status line, and takes it for read-only */
	if (!is_word(key, sizeof(key) - 1) || !strncmp(key, "ro", 2))
		return wrong_usage("'%s' is no name of a setting", key);
	if (!strncmp(key, POLICY_KEY, strlen(POLICY_KEY)))
		return wrong_usage("the policy is for --policy");
	if (!is_number(equals + 1) && strcmp(equals + 1, "default"))
		return wrong_usage("'%s' is neither a number nor 'default', for %s", equals + 1,
				   key);
	return settings_add(member, key, equals + 1);
}

/* A letter of either case is a multiple of 1024, as lvcreate and lvextend have it. */
int take_volume_size(const struct tool_option *option, void *member, const char *text)
{
	char low[32];
	size_t i, length = strlen(text);

	if (length >= sizeof(low))
		return take_size(option, member, text);
	for (i = 0; i <= length; i++)
		low[i] = (char)tolower((unsigned char)text[i]);
	return take_size(option, member, low);
}

int take_chunk(const struct tool_option *option, void *member, const char *text)
{
	u64 *sectors = member;
	int code = take_volume_size(option, member, text);

	if (!code && (*sectors % 64 || *sectors > 2097152))
		code = wrong_usage("LVM's chunks are multiples of 32 KiB, up to 1 GiB");
	return code;
}

int judge_settings(const struct settings *settings, const char *policy)
{
	unsigned int i;

	if (strcmp(policy, "mq") && strcmp(policy, "smq"))
		return 0;
	for (i = 0; i < settings->nr; i++) {
		if (!strncmp(settings->text[i], "migration_threshold=", 20))
			continue;
		complain("LVM hands on no such setting with policy %s: add --policy s3fifo",
			 policy);
		return EXIT_WRONG_USAGE;
	}
	return 0;
}

void request_words(struct program *p, const char *policy, const struct settings *settings)
{
	unsigned int i;

	if (policy) {
		program_word(p, "--cachepolicy");
		program_word(p, policy);
	}
	for (i = 0; i < settings->nr; i++) {
		program_word(p, "--cachesettings");
		program_word(p, settings->text[i]);
	}
}
