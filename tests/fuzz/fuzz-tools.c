// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: `larder check` and `larder dump` on a hostile image, called as
 * functions on a file in memory.
 *
 *	- exit codes are among those that larder(8) names;
 *	- check's and dump's JSON is JSON, dump's XML is well-formed XML, as is the
 *	  comment within it, and all forms have the same slots;
 *	- the file stays as it is;
 *	- what check calls sound, the module opens, and the reverse.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../userland/larder.h"
#include "image-input.h"
#include "loader.h"
#include "xml-check.h"

static struct loader *loader;
static FILE *nowhere;
static char *image_path;
static int image_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	loader = loader_new();
	nowhere = fopen("/dev/null", "w");
	image_fd = memfd_create("image", MFD_CLOEXEC);
	FUZZ_CHECK(nowhere && image_fd >= 0);
	FUZZ_CHECK(asprintf(&image_path, "/proc/self/fd/%d", image_fd) > 0);
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

/* What a command says on stdout, to be freed; its exit code in *code. */
static char *run(const struct command *command, const char *option, const char *value, int *code)
{
	char *argv[5] = { (char *)command->name }, *text = NULL;
	FILE *out = stdout, *err = stderr;
	size_t size;
	int argc = 1;

	if (option)
		argv[argc++] = (char *)option;
	if (value)
		argv[argc++] = (char *)value;
	argv[argc++] = image_path;
	stdout = open_memstream(&text, &size);
	FUZZ_CHECK(stdout);
	stderr = nowhere;
	*code = command->run(argc, argv);
	fclose(stdout);
	stdout = out;
	stderr = err;
	FUZZ_CHECK(*code == EXIT_OK || *code == EXIT_DAMAGED || *code == EXIT_NOT_OURS, "%d",
		   *code);
	return text;
}

/* --- check --- */

static struct json_object *parse_json(const char *text)
{
	enum json_tokener_error error;
	struct json_object *o = json_tokener_parse_verbose(text, &error);

	FUZZ_CHECK(o, "%s in: %.200s", json_tokener_error_desc(error), text);
	return o;
}

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

	text = run(&command_check, "--json", NULL, &code);
	o = parse_json(text);
	FUZZ_CHECK((code == EXIT_DAMAGED) == (json_number(o, "damages") > 0) ||
		   code == EXIT_NOT_OURS);
	json_object_put(o);
	free(text);
}

static void check_text(void)
{
	char *text;
	int code, again;

	text = run(&command_check, NULL, NULL, &code);
	FUZZ_CHECK(*text);
	free(text);
	text = run(&command_check, "--quiet", NULL, &again);
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

	xml = run(&command_dump, "--format", "xml", &code);
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

	json = run(&command_dump, "--format", "json", &code);
	FUZZ_CHECK(code == larder_code && !*json == !*larder);
	if (*json) {
		o = parse_json(json);
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

	larder = run(&command_dump, "--format", "larder", &code);
	if (*larder)
		xml_check(larder);
	compare(larder, code);
	free(larder);
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

	free(run(&command_check, "--activation", NULL, &activation_code));
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
	switch (image.seed % 5) {
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
	}
	return 0;
}
