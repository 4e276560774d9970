// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: `larder restore` on XML that nobody vouches for.  An input is a
 * byte of options, and the XML.
 *
 *	- what it writes is sound: check finds nothing, the module opens it;
 *	- it dumps as XML that restores in turn, and then dumps the same;
 *	- XML that is refused leaves the output as it was.
 */
#include <stdio.h>

#include "loader.h"
#include "tool.h"

#define UNITS 100u

static struct loader *loader;
static struct metadata_disk disk;
static struct tool_file input, output;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	loader = loader_new();
	disk_init(&disk, DISK_UNITS_MAX);
	tool_file_init(&input, "input");
	tool_file_init(&output, "output");
	return 0;
}

static int run_restore(u8 options)
{
	static const char *const switches[] = {
		"--omit-clean-shutdown", "--without-hints", "--incomplete", "--force", "--json",
		"--quiet",
	};
	const char *arguments[20] = { "-i", input.path, "-o", output.path };
	u32 nr = 4, i;
	int code;

	for (i = 0; i < ARRAY_SIZE(switches); i++)
		if (options >> i & 1)
			arguments[nr++] = switches[i];
	if (options >> 6 == 1) {
		arguments[nr++] = "--origin-size";
		arguments[nr++] = "1000001";
	}
	free(tool_run(&command_restore, &code, arguments));
	return code;
}

static char *dump(void)
{
	int code;
	char *larder = TOOL_RUN(&command_dump, &code, "--format", "larder", output.path);

	FUZZ_CHECK(code == EXIT_OK);
	return larder;
}

static void check_untouched(void)
{
	u64 unit;
	u32 i;

	FUZZ_CHECK(tool_file_read(&output, &disk) && disk.units == UNITS);
	for (unit = 0; unit < UNITS; unit++)
		for (i = 0; i < LARDER_UNIT_SIZE; i += 64)
			FUZZ_CHECK(disk.unit[unit][i] == 0xa5);
}

static void check_sound(void)
{
	int code;

	free(TOOL_RUN(&command_check, &code, "--quiet", output.path));
	FUZZ_CHECK(code == EXIT_OK, "check: %d", code);
	FUZZ_CHECK(tool_file_read(&output, &disk));
	FUZZ_CHECK(loader_probe(loader, &disk) == METADATA_OURS);
	if (counters_run_out(loader->md) || loader->geometry.nr_origin_blocks > 1u << 22)
		return;
	code = loader_open(loader, &disk, 0);
	loader_close(loader);
	FUZZ_CHECK(!code, "module: %d", code);
}

static void check_again(void)
{
	char *first = dump(), *second;

	tool_file_write(&input, first, strlen(first));
	tool_file_garbage(&output, UNITS);
	FUZZ_CHECK(run_restore(0) == EXIT_OK);
	second = dump();
	FUZZ_CHECK(!strcmp(first, second));
	free(first);
	free(second);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	int code;

	if (!size)
		return 0;
	tool_file_write(&input, data + 1, size - 1);
	/* an output that does not exist would be made as large as the XML says */
	tool_file_garbage(&output, UNITS);
	code = run_restore(data[0]);
	if (code != EXIT_OK) {
		check_untouched();
		return 0;
	}
	check_sound();
	check_again();
	return 0;
}
