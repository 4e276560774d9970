// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Puts together what LVM reports and what device mapper has.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "caches.h"

struct visitor {
	void (*visit)(void *context, const struct cache *cache);
	void *context;
};

const char *cache_health(const struct cache *cache)
{
	if (!cache->active)
		return "not active";
	if (cache->line.failed)
		return "failed";
	if (cache->line.needs_check)
		return "needs a check";
	return cache->line.read_only ? "read-only" : "ok";
}

/* What its target says. */
static void take_target(struct cache *cache)
{
	struct json_object *stats, *value;

	cache->active = true;
	/* a line that cannot be understood is no health */
	if (status_line_parse(&cache->line, cache->target.status))
		cache->line.failed = true;
	snprintf(cache->runs_policy, sizeof(cache->runs_policy), "%s", cache->line.policy);
	stats = cache->target.stats ? json_tokener_parse(cache->target.stats) : NULL;
	if (stats && json_object_object_get_ex(stats, "policy", &value) &&
	    json_object_is_type(value, json_type_string))
		snprintf(cache->runs_policy, sizeof(cache->runs_policy), "%s",
			 json_object_get_string(value));
	if (stats && json_object_object_get_ex(stats, "block_sectors", &value))
		cache->block_sectors = json_object_get_uint64(value);
	json_object_put(stats);
}

static void visit_lv(struct json_object *rows, struct json_object *row, const struct visitor *v)
{
	struct cache cache = { .active = false };
	char vg[NAME_MAX_LVM], lv[NAME_MAX_LVM], pool[NAME_MAX_LVM];
	struct json_object *pool_row;
	struct lv_name name = { .vg = "" };

	row_name(row, "vg_name", vg);
	row_name(row, "lv_name", lv);
	row_name(row, "pool_lv", pool);
	if (!*vg || !*lv)
		return;
	lv_name_make(&name, vg, lv);
	memcpy(cache.name, name.full, sizeof(cache.name));
	snprintf(cache.pool, sizeof(cache.pool), "%s/%s", vg, pool);
	pool_row = find_volume(rows, vg, pool);
	cache.kind = strcmp(row_text(pool_row, "segtype"), "cache-pool") ? "cachevol" :
									   "cachepool";
	snprintf(cache.mode, sizeof(cache.mode), "%s", row_text(row, "cache_mode"));
	snprintf(cache.policy, sizeof(cache.policy), "%s", row_text(row, "cache_policy"));
	snprintf(cache.settings, sizeof(cache.settings), "%s", row_text(row, "cache_settings"));
	cache.sectors = row_number(row, "lv_size");
	if (cached_lv_running(&cache.target, &name))
		take_target(&cache);
	v->visit(v->context, &cache);
	cache_target_free(&cache.target);
}

static int visit_lvm(const struct visitor *v)
{
	char seen[2 * NAME_MAX_LVM] = "", now[2 * NAME_MAX_LVM];
	struct json_object *rows;
	int code = lvm_volumes(&rows, NULL);
	size_t i;

	if (code)
		return code;
	for (i = 0; i < row_count(rows); i++) {
		struct json_object *row = row_at(rows, i);

		if (strcmp(row_text(row, "segtype"), "cache"))
			continue;
		/* a row for each segment */
		snprintf(now, sizeof(now), "%.127s/%.127s", row_text(row, "vg_name"),
			 row_text(row, "lv_name"));
		if (strcmp(now, seen))
			visit_lv(rows, row, v);
		memcpy(seen, now, sizeof(seen));
	}
	json_object_put(rows);
	return 0;
}

static void visit_target(void *context, const struct cache_target *target)
{
	const struct visitor *v = context;
	struct cache cache = { .kind = "dmsetup", .target = *target };

	/* of LVM's, it has told us itself */
	if (!strncmp(target->uuid, "LVM-", 4))
		return;
	snprintf(cache.name, sizeof(cache.name), "%s", target->name);
	take_target(&cache);
	memcpy(cache.mode, cache.line.mode, sizeof(cache.mode) - 1);
	memcpy(cache.policy, cache.line.policy, sizeof(cache.policy));
	memcpy(cache.settings, cache.line.settings, sizeof(cache.settings));
	cache.sectors = target->sectors;
	v->visit(v->context, &cache);
}

int caches_visit(void (*visit)(void *context, const struct cache *cache), void *context)
{
	struct visitor v = { visit, context };
	struct program lvm;
	int code = device_mapper_ready();

	lvm_begin(&lvm, "lvs");
	if (!code && !access(lvm.path, F_OK))
		code = visit_lvm(&v);
	return code ? code : cache_targets_visit(visit_target, &v);
}
