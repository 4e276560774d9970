// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder detach: takes a cache away, after everything dirty has been written
 * back, and tells meanwhile how long that takes.
 */
#include <json-c/json.h>
#include <stdio.h>

#include "export/guard.h"
#include "flush.h"
#include "lvm.h"
#include "status-line.h"

static const char help[] =
	"usage: larder detach [--remove] [--unexport] [-q] VG/LV\n"
	"\n"
	"Takes the cache of VG/LV away, which may be in use meanwhile. What is dirty is written back\n"
	"first; how much that is, how fast it goes and when it ends is told. ^C stops it: then the\n"
	"cache stays as it was. A volume that is exported to other hosts is refused.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 done, 1 LVM refused, or the cache has failed, 64 wrong usage, 65 VG/LV has no\n"
	"cache, or is exported, 66 no such volume, 69 no LVM, 75 interrupted: the cache is still there,\n"
	"77 no permission.\n";

struct detach {
	bool remove, unexport, quiet;
};

static const struct tool_option options[] = {
	{ "remove", 0, NULL, take_flag, offsetof(struct detach, remove),
	  "remove the cache pool or volume, too; without, it stays as a volume of its own" },
	{ "unexport", 0, NULL, take_flag, offsetof(struct detach, unexport),
	  "take exports of the volume away before, which ends the sessions of initiators" },
	{ "quiet", 'q', NULL, take_flag, offsetof(struct detach, quiet),
	  "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

/* LVM detaches a cache that has failed without writing anything back. */
static int judge_health(const struct lv_name *lv)
{
	struct cache_target target;
	struct status_line line;
	int code = 0;

	if (!cached_lv_running(&target, lv))
		return 0;
	if (!status_line_parse(&line, target.status) && line.failed) {
		complain("the cache of %s has failed: LVM would drop it with all that is dirty in it. "
			 "See larder status %s, larder repair --help", lv->full, lv->full);
		code = EXIT_DAMAGED;
	}
	cache_target_free(&target);
	return code;
}

/* What has become of it is what LVM says afterwards, not how its command ended. */
static int judge_end(const struct lv_name *lv, const struct program *p, const struct detach *d)
{
	struct json_object *rows, *row;
	bool still_cached;
	int code = lvm_volumes(&rows, lv->vg);

	if (code)
		return code;
	row = find_volume(rows, lv->vg, lv->lv);
	still_cached = row && !strcmp(row_text(row, "segtype"), "cache");
	json_object_put(rows);
	if (still_cached && p->interrupted) {
		complain("interrupted: %s keeps its cache as it was", lv->full);
		return EXIT_INTERRUPTED;
	}
	if (still_cached || p->code) {
		program_tell(p);
		complain("LVM did not do it: lvconvert ended with %d", p->code);
		return EXIT_DAMAGED;
	}
	if (!d->quiet)
		printf("%s: has no cache any more\n", lv->full);
	return 0;
}

static int judge_exports(const struct detach *d, const struct lv_name *lv)
{
	char device[sizeof(lv->full) + 8];

	snprintf(device, sizeof(device), "/dev/%s", lv->full);
	return guard_exported(device, d->unexport, d->quiet);
}

static int detach(const struct detach *d, const struct lv_name *lv)
{
	struct flush_show show;
	struct cached_lv cached;
	struct program p;
	int code = cached_lv_find(&cached, lv);

	if (code)
		return code;
	cached_lv_free(&cached);
	code = judge_health(lv);
	if (!code)
		code = judge_exports(d, lv);
	if (code)
		return code;
	lvm_begin(&p, "lvconvert");
	program_word(&p, "-y");
	program_word(&p, d->remove ? "--uncache" : "--splitcache");
	program_word(&p, lv->full);
	flush_show(&show, &p, lv, d->quiet);
	code = program_run(&p);
	flush_show_end(&show);
	if (!code)
		code = judge_end(lv, &p, d);
	program_free(&p);
	return code;
}

static int run_detach(int argc, char **argv)
{
	struct detach d = { .quiet = false };
	struct lv_name lv = { .vg = "" };
	int code = lv_command_parse(&lv, options, &d, argc, argv);

	return code ? code : detach(&d, &lv);
}

const struct command command_detach = {
	.name = "detach",
	.summary = "takes a cache of LVM away, after writing back",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_detach,
};
