// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder create: a volume with a cache, or a cache for a volume that there is.
 * What was made is taken away again if the rest fails.
 */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache-request.h"

#define LL(n) ((unsigned long long)(n))
#define PVS_MAX 64

static const char help[] =
	"usage: larder create VG/LV --cache-pv PV | --cachevol LV [--size SIZE] [OPTION...]\n"
	"\n"
	"Makes a cache for VG/LV: a cache pool on the physical volume PV, or the volume LV as it is.\n"
	"VG/LV may be in use. If there is no VG/LV, it is made with the given size, elsewhere than\n"
	"on PV.\n"
	"\n";

static const char after_options[] =
	"\n"
	"SIZE is in sectors, or has a unit, of 1024 in either case: k, m, g, t.\n"
	"Exit code: 0 done, 1 LVM refused (what was made is gone again), 64 wrong usage, 65 VG/LV\n"
	"has a cache already, 66 no such volume or PV, 69 no LVM, or `cache` is not dm-larder's,\n"
	"77 no permission.\n";

struct create {
	struct cache_request request;
	const char *cache_pv;
	u64 size, cache_size;
	bool lv_is_new;
	char pool[NAME_MAX_LVM];
	struct json_object *volumes, *pvs;
};

#define AT(member) offsetof(struct create, member)
static const struct tool_option options[] = {
	{ "cache-pv", 0, "PV", take_text, AT(cache_pv), "the SSD, a physical volume of VG" },
	{ "cachevol", 0, "LV", take_text, AT(request.cachevol),
	  "a volume on the SSD; what it holds is lost" },
	{ "size", 0, "SIZE", take_volume_size, AT(size), "of VG/LV, which is made then" },
	{ "cache-size", 0, "SIZE", take_volume_size, AT(cache_size),
	  "of the cache on PV; without, all that is free there" },
	{ "mode", 0, "MODE", take_mode, AT(request.mode),
	  "writeback, writethrough or passthrough; without, what lvm.conf says (writethrough)" },
	{ "policy", 0, "NAME", take_policy, AT(request.policy),
	  "what to keep: s3fifo, cleaner, or a module's; without, s3fifo, with a cache volume the "
	  "host's default" },
	{ "set", 0, "KEY=N", take_setting, AT(request.settings),
	  "a setting of the policy; repeatable" },
	{ "chunk-size", 0, "SIZE", take_chunk, AT(request.chunk_sectors),
	  "of the chunks that LVM counts in, in steps of 32k" },
	{ "yes", 'y', NULL, take_flag, AT(request.yes), "do not ask" },
	{ "quiet", 'q', NULL, take_flag, AT(request.quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

/* --- physical volumes --- */

static bool same_device(const char *one, const char *other)
{
	char a[PATH_MAX], b[PATH_MAX];

	return !strcmp(one, other) ||
	       (realpath(one, a) && realpath(other, b) && !strcmp(a, b));
}

/* The PV by LVM's own name for it; it must be of this VG. */
static int find_pv(struct create *c)
{
	const char *vg = c->request.lv.vg;
	size_t i;
	int code;

	if (strncmp(c->cache_pv, "/dev/", 5) || strstr(c->cache_pv, "/../"))
		return wrong_usage("--cache-pv wants a path below /dev, not '%s'", c->cache_pv);
	code = lvm_report(&c->pvs, "pvs", "pv_name,vg_name", NULL);
	if (code)
		return code;
	for (i = 0; i < row_count(c->pvs); i++) {
		struct json_object *row = row_at(c->pvs, i);

		if (!same_device(row_text(row, "pv_name"), c->cache_pv))
			continue;
		if (strcmp(row_text(row, "vg_name"), vg)) {
			complain("%s is not in volume group %s: vgextend %s %s", c->cache_pv, vg,
				 vg, c->cache_pv);
			return EXIT_NO_INPUT;
		}
		c->cache_pv = row_text(row, "pv_name");
		return 0;
	}
	complain("%s is no physical volume: pvcreate %s, then vgextend %s %s", c->cache_pv,
		 c->cache_pv, vg, c->cache_pv);
	return EXIT_NO_INPUT;
}

/* All others of the VG, so that the origin does not get upon the SSD. */
static void add_other_pvs(struct create *c, struct program *p)
{
	unsigned int added = 0;
	size_t i;

	for (i = 0; c->pvs && i < row_count(c->pvs) && added < PVS_MAX; i++) {
		const char *name = row_text(row_at(c->pvs, i), "pv_name");

		if (strcmp(row_text(row_at(c->pvs, i), "vg_name"), c->request.lv.vg) ||
		    !strcmp(name, c->cache_pv) || *name != '/')
			continue;
		program_word(p, name);
		added++;
	}
}

/* --- what is made --- */

static void size_text(char text[32], u64 sectors)
{
	snprintf(text, 32, "%llus", LL(sectors));
}

static int make_lv(struct create *c)
{
	struct program p;
	char size[32];
	int code;

	lvm_begin(&p, "lvcreate");
	program_word(&p, "-y");
	program_word(&p, "-n");
	program_word(&p, c->request.lv.lv);
	program_word(&p, "-L");
	size_text(size, c->size);
	program_word(&p, size);
	program_word(&p, c->request.lv.vg);
	if (c->cache_pv)
		add_other_pvs(c, &p);
	code = lvm_do(&p);
	c->lv_is_new = !code;
	return code;
}

static int name_pool(struct create *c)
{
	const struct lv_name *lv = &c->request.lv;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		snprintf(c->pool, sizeof(c->pool), i ? "%.100s_larder%u" : "%.100s_larder",
			 lv->lv, i);
		if (!find_volume(c->volumes, lv->vg, c->pool))
			return 0;
	}
	complain("no name is left for the cache of %s", lv->full);
	return EXIT_DAMAGED;
}

static int make_pool(struct create *c)
{
	char size[32], chunk[32];
	struct program p;
	int code = name_pool(c);

	if (code)
		return code;
	lvm_begin(&p, "lvcreate");
	program_word(&p, "-y");
	program_word(&p, "--type");
	program_word(&p, "cache-pool");
	program_word(&p, "-n");
	program_word(&p, c->pool);
	program_word(&p, c->cache_size ? "-L" : "-l");
	size_text(size, c->cache_size);
	program_word(&p, c->cache_size ? size : "100%FREE");
	if (c->request.chunk_sectors) {
		size_text(chunk, c->request.chunk_sectors);
		program_word(&p, "--chunksize");
		program_word(&p, chunk);
		c->request.chunk_sectors = 0;
	}
	program_word(&p, c->request.lv.vg);
	program_word(&p, c->cache_pv);
	code = lvm_do(&p);
	if (!code) {
		c->request.cachepool = c->pool;
		c->request.pool_is_new = true;
	}
	return code;
}

static void remove_made(const struct create *c, const char *lv)
{
	struct lv_name name = { .vg = "" };
	struct program p;

	lv_name_make(&name, c->request.lv.vg, lv);
	lvm_begin(&p, "lvremove");
	program_word(&p, "-y");
	program_word(&p, name.full);
	if (lvm_do(&p))
		complain("%s, which was just made, is still there", name.full);
}

/* --- the command --- */

static int look(struct create *c)
{
	const struct lv_name *lv = &c->request.lv;
	struct json_object *row;
	int code = need_our_target();

	if (!code && c->cache_pv)
		code = find_pv(c);
	if (!code)
		code = lvm_volumes(&c->volumes, lv->vg);
	if (code)
		return code;
	row = find_volume(c->volumes, lv->vg, lv->lv);
	if (row && !strcmp(row_text(row, "segtype"), "cache")) {
		complain("%s has a cache already", lv->full);
		return EXIT_NOT_OURS;
	}
	if (!row && !c->size) {
		complain("there is no volume %s: --size makes it", lv->full);
		return EXIT_NO_INPUT;
	}
	if (row && c->size)
		return wrong_usage("%s exists: --size is for one that is made (the cache has "
				   "--cache-size)", lv->full);
	return row ? 0 : make_lv(c);
}

static int create(struct create *c)
{
	int code = look(c);

	if (!code && c->cache_pv)
		code = make_pool(c);
	if (!code)
		code = attach_cache(&c->request);
	if (code && c->request.pool_is_new)
		remove_made(c, c->pool);
	if (code && c->lv_is_new)
		remove_made(c, c->request.lv.lv);
	json_object_put(c->volumes);
	json_object_put(c->pvs);
	return code;
}

static int run_create(int argc, char **argv)
{
	struct create c = { .size = 0 };
	int code = lv_command_parse(&c.request.lv, options, &c, argc, argv);

	if (code)
		return code;
	if (!c.cache_pv == !c.request.cachevol)
		return wrong_usage("expected --cache-pv or --cachevol");
	if (c.request.cachevol && !lvm_name_valid(c.request.cachevol))
		return wrong_usage("'%s' is no name of a volume", c.request.cachevol);
	if (c.cache_size && !c.cache_pv)
		return wrong_usage("--cache-size is for --cache-pv");
	return create(&c);
}

const struct command command_create = {
	.name = "create",
	.summary = "makes a cache for a volume of LVM, or both",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_create,
};
