// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder list: all caches of the host, in a line each or as JSON.
 */
#include <json-c/json.h>
#include <stdio.h>

#include "caches.h"
#include "options.h"
#include "output.h"

static const char help[] =
	"usage: larder list [--json]\n"
	"\n"
	"Lists all caches: those of LVM, active or not, and those that were made with dmsetup.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0, or 64 wrong usage, 66 LVM does not report, 69 no device mapper, 77 no\n"
	"permission.\n";

struct list {
	bool json;
	unsigned int nr;
	struct json_object *array;
};

static const struct tool_option options[] = {
	{ "json", 0, NULL, take_flag, offsetof(struct list, json), "print one JSON object" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static void add_one(void *context, const struct cache *cache)
{
	struct json_object *o = json_object_new_object();
	const struct status_line *l = &cache->line;
	struct list *list = context;

	add_string(o, "name", cache->name);
	add_string(o, "kind", cache->kind);
	add_string(o, "cached_by", cache->pool);
	add_string(o, "mode", cache->mode);
	add_string(o, "policy", cache->policy);
	add_string(o, "settings", cache->settings);
	add_number(o, "sectors", cache->sectors);
	add_string(o, "health", cache_health(cache));
	add_bool(o, "active", cache->active);
	if (cache->active) {
		add_string(o, "device", cache->target.name);
		add_string(o, "target", cache->target.type);
		add_string(o, "runs_policy", cache->runs_policy);
		add_number(o, "chunk_sectors", l->chunk_sectors);
		add_number(o, "chunks", l->total);
		add_number(o, "chunks_used", l->used);
		add_number(o, "chunks_dirty", l->dirty);
	}
	json_object_array_add(list->array, o);
}

static void print_one(void *context, const struct cache *cache)
{
	const struct status_line *l = &cache->line;
	struct list *list = context;

	if (!list->nr++)
		printf("%-24s %-9s %-12s %-10s %9s %6s %10s  %s\n", "CACHE", "KIND", "MODE",
		       "POLICY", "SIZE/GiB", "USED%", "DIRTY/MiB", "HEALTH");
	printf("%-24s %-9s %-12s %-10s %9.1f", cache->name, cache->kind, cache->mode,
	       cache->active ? cache->runs_policy : cache->policy,
	       (double)cache->sectors / (1 << 21));
	if (cache->active && !l->failed)
		printf(" %6.1f %10.1f", l->total ? 100.0 * (double)l->used / (double)l->total : 0,
		       (double)l->dirty * (double)l->chunk_sectors / 2048);
	else
		printf(" %6s %10s", "-", "-");
	printf("  %s\n", cache_health(cache));
}

static int run_list(int argc, char **argv)
{
	struct list list = { .json = false };
	struct json_object *o;
	int code = parse_options(options, &list, argc, argv);

	if (!code)
		code = no_operand(argc, argv);
	if (code)
		return code;
	list.array = json_object_new_array();
	code = caches_visit(list.json ? add_one : print_one, &list);
	if (list.json && !code) {
		o = json_object_new_object();
		json_object_object_add(o, "caches", list.array);
		print_object(o);
	} else {
		json_object_put(list.array);
	}
	return code;
}

const struct command command_list = {
	.name = "list",
	.summary = "all caches of this host",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_list,
};
