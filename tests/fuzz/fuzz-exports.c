// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the files that exports are kept in.  They are root's, but they may
 * be damaged, or have been written by another program.  The first byte of an input
 * says which one it is:
 *
 *	0	exports.json: what is taken is written again as it is read again
 *	1	targetctl's saveconfig.json: our objects come in once, and are the only
 *		change; without them again, they are gone
 *	2	LIO's reservations: what goes to the kernel has no end of line in it
 *	3	LIO's state of a port group
 */
#include <json-c/json.h>
#include <stdio.h>

#include "../../userland/export/restore-state.h"
#include "../../userland/export/saveconfig-splice.h"
#include "../../userland/export/state.h"
#include "tool.h"

static struct tool_file input, again;
static struct json_object *ours, *nothing;
static FILE *nowhere;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	nowhere = fopen("/dev/null", "w");
	tool_file_init(&input, "exports");
	tool_file_init(&again, "exports-again");
	ours = json_tokener_parse("{\"storage_objects\":[{\"plugin\":\"block\","
				  "\"name\":\"vg-lv\"}],\"targets\":[{\"fabric\":\"iscsi\","
				  "\"wwn\":\"iqn.2003-01.x:y\"}]}");
	nothing = json_tokener_parse("{\"storage_objects\":[],\"targets\":[]}");
	FUZZ_CHECK(nowhere && ours && nothing);
	return 0;
}

/* To be freed. */
static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = fuzz_alloc(1, 1u << 20);

	FUZZ_CHECK(file);
	text[fread(text, 1, (1u << 20) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static void try_state(const char *text, size_t size)
{
	struct state s;
	char *first, *second;
	int code;

	tool_file_write(&input, text, size);
	code = state_load(&s, input.path);
	FUZZ_CHECK(!code || code >= EXIT_WRONG_USAGE, "%d", code);
	if (code)
		return;
	FUZZ_CHECK(!state_save(&s, again.path));
	state_free(&s);
	first = slurp(again.path);
	FUZZ_CHECK(!state_load(&s, again.path));
	FUZZ_CHECK(!state_save(&s, again.path));
	state_free(&s);
	second = slurp(again.path);
	FUZZ_CHECK(!strcmp(first, second));
	free(first);
	free(second);
}

static char *splice(const char *text, struct json_object *what)
{
	const char *why;
	char *result = saveconfig_splice(text, strlen(text), what, &why);

	FUZZ_CHECK(result, "%s", why);
	json_object_put(tool_parse_json(result));
	return result;
}

static void try_saveconfig(const char *text, size_t size)
{
	const char *why;
	char *with = saveconfig_splice(text, size, ours, &why), *twice, *without;

	FUZZ_CHECK(with || (why && *why));
	if (!with)
		return;
	json_object_put(tool_parse_json(with));
	FUZZ_CHECK(strstr(with, "vg-lv") && strstr(with, "iqn.2003-01.x:y"));
	twice = splice(with, ours);
	FUZZ_CHECK(!strcmp(with, twice));
	without = splice(with, nothing);
	free(twice);
	twice = splice(without, nothing);
	FUZZ_CHECK(!strcmp(without, twice));
	free(twice);
	free(without);
	free(with);
}

static int take(void *context, const char *registration)
{
	FUZZ_CHECK(*registration && !strchr(registration, '\n'));
	FUZZ_CHECK(strlen(registration) < CONFIGFS_VALUE_MAX);
	return 0;
}

static void try_texts(u8 which, const char *text)
{
	unsigned int state = 0, status = 0;
	const char *why = NULL;
	int code;

	if (which == 2) {
		code = aptpl_parse(text, take, NULL, &why);
		FUZZ_CHECK(!code == !why);
	} else if (alua_parse(text, &state, &status)) {
		FUZZ_CHECK(state <= 0xff && status <= 0xff);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	FILE *err = stderr;
	char *text;
	u8 which;

	if (!size)
		return 0;
	which = data[0] & 3;
	text = fuzz_alloc(size, 1);
	memcpy(text, data + 1, size - 1);
	stderr = nowhere;
	if (!which)
		try_state(text, size - 1);
	else if (which == 1)
		try_saveconfig(text, size - 1);
	else
		try_texts(which, text);
	stderr = err;
	free(text);
	return 0;
}
