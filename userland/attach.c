// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder attach: puts a cache that LVM has in front of a volume.
 */
#include <json-c/json.h>
#include <stdio.h>

#include "cache-request.h"

static const char help[] =
	"usage: larder attach VG/LV --cachepool LV | --cachevol LV [OPTION...]\n"
	"\n"
	"Puts a cache pool or a cache volume of the same volume group in front of VG/LV, which may\n"
	"be in use. What the cache held before is lost.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 done, 1 LVM refused, 64 wrong usage, 65 VG/LV has a cache already, or the\n"
	"other is no cache, 66 no such volume, 69 no LVM, or `cache` is not dm-larder's,\n"
	"77 no permission.\n";

#define AT(member) offsetof(struct cache_request, member)
static const struct tool_option options[] = {
	{ "cachepool", 0, "LV", take_text, AT(cachepool), "a cache pool, as lvcreate makes it" },
	{ "cachevol", 0, "LV", take_text, AT(cachevol), "any volume on the SSD" },
	{ "mode", 0, "MODE", take_mode, AT(mode),
	  "writeback, writethrough or passthrough; without, what lvm.conf says (writethrough)" },
	{ "policy", 0, "NAME", take_policy, AT(policy),
	  "what to keep: s3fifo, cleaner, or a module's; without, s3fifo, with a cache volume the "
	  "host's default" },
	{ "set", 0, "KEY=N", take_setting, AT(settings), "a setting of the policy; repeatable" },
	{ "chunk-size", 0, "SIZE", take_chunk, AT(chunk_sectors),
	  "of the chunks that LVM counts in, in steps of 32k" },
	{ "yes", 'y', NULL, take_flag, AT(yes), "do not ask whether what the cache holds may go" },
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

/* May this be the cache? */
static int judge_cache(const struct cache_request *r, struct json_object *rows)
{
	const char *name = r->cachepool ? r->cachepool : r->cachevol;
	struct json_object *row = find_volume(rows, r->lv.vg, name);
	const char *type;
	bool pool;

	if (!row) {
		complain("there is no volume %s/%s", r->lv.vg, name);
		return EXIT_NO_INPUT;
	}
	type = row_text(row, "segtype");
	pool = !strcmp(type, "cache-pool");
	if (pool == !r->cachepool || !strcmp(type, "cache")) {
		complain("%s/%s is no cache %s: it is %.40s", r->lv.vg, name,
			 r->cachepool ? "pool" : "volume", type);
		return EXIT_NOT_OURS;
	}
	if (*row_text(row, "lv_name") == '[') {
		complain("%s/%s is a part of another volume", r->lv.vg, name);
		return EXIT_NOT_OURS;
	}
	if (!strcmp(row_text(row, "lv_device_open"), "open")) {
		complain("%s/%s is in use", r->lv.vg, name);
		return EXIT_NOT_OURS;
	}
	return 0;
}

static int judge(const struct cache_request *r)
{
	struct json_object *rows = NULL, *row;
	int code = lvm_volumes(&rows, r->lv.vg);

	if (code)
		return code;
	row = find_volume(rows, r->lv.vg, r->lv.lv);
	if (!row) {
		complain("there is no volume %s", r->lv.full);
		code = EXIT_NO_INPUT;
	} else if (!strcmp(row_text(row, "segtype"), "cache")) {
		complain("%s has a cache already", r->lv.full);
		code = EXIT_NOT_OURS;
	} else {
		code = judge_cache(r, rows);
	}
	json_object_put(rows);
	return code;
}

/* A pool has a policy of its own; of a cache volume only the settings arrive in the kernel. */
static int choose_policy(struct cache_request *r)
{
	if (r->cachepool && !r->policy)
		r->policy = "s3fifo";
	if (r->cachepool)
		return judge_settings(&r->settings, r->policy);
	return r->policy ? settings_add_policy(&r->settings, r->policy) : 0;
}

static int convert(const struct cache_request *r)
{
	struct program p;
	char chunk[32];

	lvm_begin(&p, "lvconvert");
	program_word(&p, "-y");
	program_word(&p, "--type");
	program_word(&p, "cache");
	program_word(&p, r->cachepool ? "--cachepool" : "--cachevol");
	program_word(&p, r->cachepool ? r->cachepool : r->cachevol);
	if (r->mode) {
		program_word(&p, "--cachemode");
		program_word(&p, r->mode);
	}
	if (r->chunk_sectors) {
		snprintf(chunk, sizeof(chunk), "%llus", (unsigned long long)r->chunk_sectors);
		program_word(&p, "--chunksize");
		program_word(&p, chunk);
	}
	request_words(&p, r->cachepool ? r->policy : NULL, &r->settings);
	program_word(&p, r->lv.full);
	return lvm_do(&p);
}

int attach_cache(struct cache_request *r)
{
	const char *name = r->cachepool ? r->cachepool : r->cachevol;
	int code = choose_policy(r);

	if (!code)
		code = need_our_target();
	if (!code)
		code = judge(r);
	if (code)
		return code;
	if (!confirmed(r->yes || r->pool_is_new, "All that %s/%s holds is lost. Go on?", r->lv.vg,
		       name))
		return EXIT_DAMAGED;
	code = convert(r);
	if (!code && !r->quiet)
		printf("%s: cached by %s/%s\n", r->lv.full, r->lv.vg, name);
	return code;
}

static int run_attach(int argc, char **argv)
{
	struct cache_request r = { .mode = NULL };
	const char *name;
	int code = lv_command_parse(&r.lv, options, &r, argc, argv);

	if (code)
		return code;
	if (!r.cachepool == !r.cachevol)
		return wrong_usage("expected --cachepool or --cachevol");
	name = r.cachepool ? r.cachepool : r.cachevol;
	if (!lvm_name_valid(name))
		return wrong_usage("'%s' is no name of a volume (its VG is that of %s)", name,
				   r.lv.full);
	return attach_cache(&r);
}

const struct command command_attach = {
	.name = "attach",
	.summary = "puts a cache in front of a volume of LVM",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_attach,
};
