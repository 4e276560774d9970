/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LVM, as the commands use it: its own program does everything, and its JSON
 * reports say what there is.
 */
#ifndef LARDER_LVM_H
#define LARDER_LVM_H

#include "../dm-target/core/env.h"
#include "kernel.h"
#include "larder.h"
#include "options.h"
#include "program.h"

#define NAME_MAX_LVM	128	/* with the end */

struct lv_name {
	char vg[NAME_MAX_LVM];
	char lv[NAME_MAX_LVM];
	char full[2 * NAME_MAX_LVM];
	char dm[4 * NAME_MAX_LVM];	/* what device mapper calls it */
};

/* VG/LV or /dev/VG/LV.  0, or EXIT_WRONG_USAGE after a message. */
int lv_name_parse(struct lv_name *name, const char *text);
/* The command line of a command whose one operand is VG/LV.  The same. */
int lv_command_parse(struct lv_name *name, const struct tool_option *options, void *context,
		     int argc, char **argv);
void lv_name_make(struct lv_name *name, const char *vg, const char *lv);
/* May LVM call a VG or LV so? */
bool lvm_name_valid(const char *text);

/* "lvm COMMAND": begins a command line; words follow. */
void lvm_begin(struct program *p, const char *command);
/* Runs and frees it; 0, or an exit code after LVM's messages. */
int lvm_do(struct program *p);

/*
 * A report: objects with strings.  command: "lvs", "pvs"; what: a VG, or NULL
 * for all.  0, or an exit code after a message; to be freed by json_object_put().
 */
struct json_object;
int lvm_report(struct json_object **rows, const char *command, const char *fields,
	       const char *what);
size_t row_count(struct json_object *rows);
struct json_object *row_at(struct json_object *rows, size_t i);
/* "" for what is missing or no string; hidden volumes lose their brackets. */
const char *row_text(struct json_object *row, const char *key);
void row_name(struct json_object *row, const char *key, char name[NAME_MAX_LVM]);
u64 row_number(struct json_object *row, const char *key);
/* All volumes of the group that the commands need to know. */
int lvm_volumes(struct json_object **rows, const char *vg);
struct json_object *find_volume(struct json_object *rows, const char *vg, const char *lv);

/* What there is of one volume with a cache. */
struct cached_lv {
	struct json_object *rows;
	struct json_object *lv, *pool;
	char pool_name[NAME_MAX_LVM];
	bool cachevol;
};

/* 0, or an exit code after a message: no such volume, or one without a cache. */
int cached_lv_find(struct cached_lv *c, const struct lv_name *name);
void cached_lv_free(struct cached_lv *c);
/* The running cache of a volume, under a snapshot or not; false when there is none. */
bool cached_lv_running(struct cache_target *target, const struct lv_name *name);

/* Is the target "cache" ours?  Loads the module when it is nobody's.  0, or after a message. */
int need_our_target(void);

#endif
