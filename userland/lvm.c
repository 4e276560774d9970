// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LVM's commands and JSON reports.
 *
 * Not liblvm2cmd: it is the same program as a library, and answers with the
 * same text; but it would share our address space, signals and terminal for the
 * length of a flush, and is not on every machine with LVM.
 */
#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lvm.h"

#define VOLUME_FIELDS "vg_name,lv_name,segtype,pool_lv,origin,data_lv,metadata_lv,lv_size," \
	"chunk_size,cache_mode,cache_policy,cache_settings,lv_active,lv_device_open,lv_role," \
	"lv_health_status,lv_metadata_size,lv_tags,devices"

#define OUR_MINOR 100	/* the version of our target "cache" begins there */

/* --- names --- */

bool lvm_name_valid(const char *text)
{
	size_t i;

	if (*text == '-' || !strcmp(text, ".") || !strcmp(text, "..") || !*text)
		return false;
	for (i = 0; text[i]; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("+_.-", text[i]))
			return false;
	return i < NAME_MAX_LVM;
}

static char *double_hyphens(char *to, const char *from)
{
	for (; *from; from++) {
		if (*from == '-')
			*to++ = '-';
		*to++ = *from;
	}
	return to;
}

void lv_name_make(struct lv_name *name, const char *vg, const char *lv)
{
	char *to;

	memset(name, 0, sizeof(*name));
	snprintf(name->vg, sizeof(name->vg), "%s", vg);
	snprintf(name->lv, sizeof(name->lv), "%s", lv);
	snprintf(name->full, sizeof(name->full), "%s/%s", name->vg, name->lv);
	to = double_hyphens(name->dm, name->vg);
	*to++ = '-';
	*double_hyphens(to, name->lv) = '\0';
}

int lv_name_parse(struct lv_name *name, const char *text)
{
	char vg[NAME_MAX_LVM];
	const char *at = strncmp(text, "/dev/", 5) ? text : text + 5;
	const char *slash = strchr(at, '/');
	size_t length = slash ? (size_t)(slash - at) : 0;

	if (!length || length >= sizeof(vg))
		return wrong_usage("expected VG/LV, not '%s'", text);
	memcpy(vg, at, length);
	vg[length] = '\0';
	if (!lvm_name_valid(vg) || !lvm_name_valid(slash + 1))
		return wrong_usage("'%s' is no VG/LV that LVM could have", text);
	lv_name_make(name, vg, slash + 1);
	return 0;
}

int lv_command_parse(struct lv_name *name, const struct tool_option *options, void *context,
		     int argc, char **argv)
{
	const char *text = NULL;
	int code = parse_options(options, context, argc, argv);

	if (!code)
		code = one_operand("VG/LV", &text, argc, argv);
	return code ? code : lv_name_parse(name, text);
}

/* --- commands --- */

void lvm_begin(struct program *p, const char *command)
{
	static const char *const paths[] = {
		LARDER_ROOT "/usr/sbin/lvm", LARDER_ROOT "/sbin/lvm", NULL
	};

	memset(p, 0, sizeof(*p));
	p->path = program_find(paths);
	program_word(p, "lvm");
	program_word(p, command);
}

int lvm_do(struct program *p)
{
	int code = program_run(p);

	if (!code) {
		program_tell(p);
		if (p->code) {
			complain("LVM did not do it: %s ended with %d", p->word[1], p->code);
			code = EXIT_DAMAGED;
		}
	}
	program_free(p);
	return code;
}

/* --- reports --- */

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *value;

	if (!o || !json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

/* {"report": [{"lv": [ROW, ...]}]} */
static struct json_object *take_rows(const char *text, const char *command)
{
	struct json_object *whole = json_tokener_parse(text), *list, *rows = NULL;
	char kind[3] = { command[0], command[1], '\0' };

	list = member(whole, "report", json_type_array);
	if (list && json_object_array_length(list))
		rows = member(json_object_array_get_idx(list, 0), kind, json_type_array);
	rows = json_object_get(rows);
	json_object_put(whole);
	return rows;
}

int lvm_report(struct json_object **rows, const char *command, const char *fields,
	       const char *what)
{
	struct program p;
	int code;

	*rows = NULL;
	lvm_begin(&p, command);
	program_word(&p, "--reportformat");
	program_word(&p, "json");
	program_word(&p, "--units");
	program_word(&p, "s");
	program_word(&p, "--nosuffix");
	if (!strcmp(command, "lvs"))
		program_word(&p, "-a");
	program_word(&p, "-o");
	program_word(&p, fields);
	if (what)
		program_word(&p, what);
	code = program_run(&p);
	if (!code && p.code) {
		program_tell(&p);
		code = EXIT_NO_INPUT;
	} else if (!code) {
		*rows = take_rows(p.out, command);
		if (!*rows) {
			complain("what lvm %s reports cannot be understood", command);
			code = EXIT_NO_SERVICE;
		}
	}
	program_free(&p);
	return code;
}

size_t row_count(struct json_object *rows)
{
	return json_object_array_length(rows);
}

struct json_object *row_at(struct json_object *rows, size_t i)
{
	return json_object_array_get_idx(rows, i);
}

const char *row_text(struct json_object *row, const char *key)
{
	struct json_object *value = member(row, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

void row_name(struct json_object *row, const char *key, char name[NAME_MAX_LVM])
{
	const char *text = row_text(row, key);
	size_t length = strlen(text);

	if (*text == '[' && length > 1 && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length >= NAME_MAX_LVM)
		length = 0;
	memcpy(name, text, length);
	name[length] = '\0';
	/* what LVM could not have said is not handed on to it */
	if (!lvm_name_valid(name))
		*name = '\0';
}

u64 row_number(struct json_object *row, const char *key)
{
	return strtoull(row_text(row, key), NULL, 10);
}

int lvm_volumes(struct json_object **rows, const char *vg)
{
	return lvm_report(rows, "lvs", VOLUME_FIELDS, vg);
}

struct json_object *find_volume(struct json_object *rows, const char *vg, const char *lv)
{
	char name[NAME_MAX_LVM];
	size_t i;

	for (i = 0; i < row_count(rows); i++) {
		struct json_object *row = row_at(rows, i);

		row_name(row, "lv_name", name);
		if (lv && *lv && !strcmp(name, lv) && !strcmp(row_text(row, "vg_name"), vg))
			return row;
	}
	return NULL;
}

/* --- volumes with a cache --- */

void cached_lv_free(struct cached_lv *c)
{
	json_object_put(c->rows);
	memset(c, 0, sizeof(*c));
}

int cached_lv_find(struct cached_lv *c, const struct lv_name *name)
{
	int code;

	memset(c, 0, sizeof(*c));
	code = device_mapper_ready();
	if (!code)
		code = lvm_volumes(&c->rows, name->vg);
	if (code)
		return code;
	c->lv = find_volume(c->rows, name->vg, name->lv);
	if (!c->lv) {
		complain("there is no volume %s", name->full);
		code = EXIT_NO_INPUT;
	} else if (strcmp(row_text(c->lv, "segtype"), "cache")) {
		complain("%s has no cache: it is %.40s", name->full, row_text(c->lv, "segtype"));
		code = EXIT_NOT_OURS;
	} else {
		row_name(c->lv, "pool_lv", c->pool_name);
		c->pool = find_volume(c->rows, name->vg, c->pool_name);
		if (c->pool) {
			c->cachevol = strcmp(row_text(c->pool, "segtype"), "cache-pool") != 0;
			return 0;
		}
		complain("LVM does not report the cache of %s", name->full);
		code = EXIT_NO_SERVICE;
	}
	cached_lv_free(c);
	return code;
}

bool cached_lv_running(struct cache_target *target, const struct lv_name *name)
{
	char real[sizeof(name->dm) + 8];

	snprintf(real, sizeof(real), "%s-real", name->dm);
	return cache_target_peek(target, name->dm) || cache_target_peek(target, real);
}

int need_our_target(void)
{
	struct program p = { .path = LARDER_ROOT "/usr/sbin/modprobe" };
	uint32_t version[3];
	int code = device_mapper_ready();

	if (code)
		return code;
	if (!kernel_target_version("cache", version)) {
		program_word(&p, "modprobe");
		program_word(&p, "dm-larder");
		code = program_run(&p);
		if (!code)
			program_tell(&p);
		program_free(&p);
		if (code)
			return code;
	}
	if (kernel_target_version("cache", version) && version[1] >= OUR_MINOR)
		return 0;
	complain("the target \"cache\", which LVM drives, is not dm-larder's: see larder doctor");
	return EXIT_NO_SERVICE;
}
