// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: `larder check` and `larder dump` on a hostile image, called as
 * functions on a file in memory.
 *
 *	- exit codes are among those that larder(8) names;
 *	- check's and dump's JSON is JSON, dump's XML is well-formed XML, as is the
 *	  comment within it, and all forms have the same slots;
 *	- what was dumped whole can be restored, and then dumps the same;
 *	- what check calls sound, the module opens, and the reverse.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image-input.h"
#include "loader.h"
#include "tool.h"
#include "xml-check.h"

static struct loader *loader;
static char *image_path;
static int image_fd;
static struct tool_file dumped, restored;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	loader = loader_new();
	image_fd = memfd_create("image", MFD_CLOEXEC);
	FUZZ_CHECK(image_fd >= 0);
	FUZZ_CHECK(asprintf(&image_path, "/proc/self/fd/%d", image_fd) > 0);
	tool_file_init(&dumped, "dumped");
	tool_file_init(&restored, "restored");
	return 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned int seed)
{
	return image_mutate(data, size, max_size, seed);
}

static void write_image(const struct metadata_disk *disk)
{
	size_t bytes = disk->units * LARDER_UNIT_SIZE;

	FUZZ_CHECK(!ftruncate(image_fd, (off_t)bytes));
	FUZZ_CHECK(pwrite(image_fd, disk->unit, bytes, 0) == (ssize_t)bytes);
}

/* --- check --- */

static int64_t json_number(struct json_object *o, const char *key)
{
	struct json_object *value;

	FUZZ_CHECK(json_object_object_get_ex(o, key, &value), "%s", key);
	return json_object_get_int64(value);
}

static void check_json(void)
{
	struct json_object *o;
	char *text;
	int code;

	text = TOOL_RUN(&command_check, &code, "--json", image_path);
	o = tool_parse_json(text);
	FUZZ_CHECK((code == EXIT_DAMAGED) == (json_number(o, "damages") > 0) ||
		   code == EXIT_NOT_OURS);
	json_object_put(o);
	free(text);
}

static void check_text(void)
{
	char *text;
	int code, again;

	text = TOOL_RUN(&command_check, &code, image_path);
	FUZZ_CHECK(*text);
	free(text);
	text = TOOL_RUN(&command_check, &again, "--quiet", image_path);
	FUZZ_CHECK(again == code && !*text);
	free(text);
}

/* --- dump --- */

static u64 count_of(const char *text, const char *what)
{
	u64 count = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		count++;
	return count;
}

/* The element behind the one for dm-cache, in a comment. */
static void check_comment(char *xml, const char *larder)
{
	char *start = strstr(xml, "<!--\n"), *end = start ? strstr(start, "-->") : NULL;

	FUZZ_CHECK(start && end && !strstr(end + 3, "<!--"));
	*end = '\0';
	FUZZ_CHECK(!strcmp(start + 5, larder));
}

static void dump_xml(const char *larder, int larder_code)
{
	char *xml;
	int code;

	xml = TOOL_RUN(&command_dump, &code, "--format", "xml", image_path);
	FUZZ_CHECK(code == larder_code && !*xml == !*larder);
	if (*xml) {
		xml_check(xml);
		check_comment(xml, larder);
	}
	free(xml);
}

static void dump_json(const char *larder, int larder_code)
{
	struct json_object *o, *slots;
	char *json;
	int code;

	json = TOOL_RUN(&command_dump, &code, "--format", "json", image_path);
	FUZZ_CHECK(code == larder_code && !*json == !*larder);
	if (*json) {
		o = tool_parse_json(json);
		FUZZ_CHECK(json_object_object_get_ex(o, "slots", &slots));
		FUZZ_CHECK(json_object_array_length(slots) == count_of(larder, "<slot "));
		json_object_put(o);
	}
	free(json);
}

static void dump(void (*compare)(const char *larder, int larder_code))
{
	char *larder;
	int code;

	larder = TOOL_RUN(&command_dump, &code, "--format", "larder", image_path);
	if (*larder)
		xml_check(larder);
	compare(larder, code);
	free(larder);
}

/* Everything behind the geometry and the layout, which may be others. */
static const char *contents(const char *larder)
{
	const char *layout = strstr(larder, "<layout ");

	FUZZ_CHECK(layout);
	return strchr(layout, '\n');
}

/* What is complete and together can be restored, and is the same again. */
static void restore(const char *larder, int larder_code)
{
	char *again;
	int code;

	if (larder_code != EXIT_OK)
		return;
	tool_file_write(&dumped, larder, strlen(larder));
	tool_file_garbage(&restored, DISK_UNITS_MAX);
	free(TOOL_RUN(&command_restore, &code, "-i", dumped.path, "-o", restored.path));
	if (code == EXIT_OK) {
		again = TOOL_RUN(&command_dump, &code, "--format", "larder", restored.path);
		FUZZ_CHECK(code == EXIT_OK);
		FUZZ_CHECK(!strcmp(contents(again), contents(larder)));
		free(again);
	}
}

/* --- and the module --- */

/*
 * The module sees the origin's true size, check the one in the superblock; so
 * the latter is taken for both.  A record for a block beyond the origin that a
 * later one replaced is no damage, and refused by the module: only an origin
 * that has shrunk can come to that.
 */
static void compare_with_module(struct metadata_disk *disk)
{
	int err, activation_code;

	free(TOOL_RUN(&command_check, &activation_code, "--activation", image_path));
	if (loader_probe(loader, disk) != METADATA_OURS) {
		FUZZ_CHECK(activation_code != EXIT_OK);
		return;
	}
	if (counters_run_out(loader->md) || super_read_only(loader->md) ||
	    loader->geometry.nr_origin_blocks > 1u << 22)
		return;
	err = loader_open(loader, disk, 0);
	loader_close(loader);
	if (activation_code == EXIT_OK)
		FUZZ_CHECK(!err || loader->beyond, "sound, but the module says %d", err);
	else
		FUZZ_CHECK(err, "damaged, but the module takes it");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct image_input image;

	image_read(&image, data, size);
	/* too small for anything: refused before it is looked at */
	if (!image.disk->units)
		return 0;
	write_image(image.disk);
	/* one after the other would be right, and slow */
	switch (image.seed % 6) {
	case 0:
		compare_with_module(image.disk);
		break;
	case 1:
		check_json();
		break;
	case 2:
		check_text();
		break;
	case 3:
		dump(dump_xml);
		break;
	case 4:
		dump(dump_json);
		break;
	case 5:
		dump(restore);
		break;
	}
	return 0;
}
