// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder set: changes mode, policy and settings of a cache, in LVM's metadata,
 * so that they last; a cache that is active goes on with them at once.
 */
#include <json-c/json.h>
#include <stdio.h>

#include "cache-request.h"
#include "flush.h"

static const char help[] =
	"usage: larder set VG/LV [--mode MODE] [--policy NAME] [--set KEY=N]...\n"
	"\n"
	"Changes a cache of LVM, active or not. The changes last: LVM keeps them. For a cache volume,\n"
	"of which LVM hands the policy to nobody, it is chosen by a setting, policy_NAME=1.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 done, 1 LVM refused, or the cache does not do what was asked, 64 wrong usage,\n"
	"65 VG/LV has no cache, 66 no such volume, 69 no LVM, or `cache` is not dm-larder's,\n"
	"75 interrupted, 77 no permission.\n";

#define AT(member) offsetof(struct cache_request, member)
static const struct tool_option options[] = {
	{ "mode", 0, "MODE", take_mode, AT(mode),
	  "writeback, writethrough or passthrough; what is dirty is written back first" },
	{ "policy", 0, "NAME", take_policy, AT(policy),
	  "s3fifo, cleaner, or a module's; \"default\": the host's" },
	{ "set", 0, "KEY=N", take_setting, AT(settings),
	  "a setting of the policy; \"default\" as the number takes it back; repeatable" },
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static bool means_default(const char *policy)
{
	return !*policy || !strcmp(policy, "default") || !strcmp(policy, "mq") ||
	       !strcmp(policy, "smq");
}

static bool is_set(const struct settings *settings, const char *key)
{
	size_t length = strlen(key);
	unsigned int i;

	for (i = 0; i < settings->nr; i++)
		if (!strncmp(settings->text[i], key, length) && settings->text[i][length] == '=')
			return true;
	return false;
}

/*
 * Takes back what belongs to a policy that goes: with a cache volume the setting
 * that chose it, and if all is set, its own settings, unless they are given anew.
 */
static int take_back(struct settings *settings, const char *cache_settings, bool all)
{
	char copy[1024], *at = copy, *word;
	int code = 0;

	snprintf(copy, sizeof(copy), "%s", cache_settings);
	while (!code && (word = strsep(&at, ", "))) {
		char *equals = strchr(word, '=');

		if (!equals || equals - word > 40)
			continue;
		*equals = '\0';
		if (is_set(settings, word) || !strcmp(word, "migration_threshold"))
			continue;
		if (all || !strncmp(word, "policy_", 7))
			code = settings_add(settings, word, "default");
	}
	return code;
}

static bool has_setting(const char *cache_settings, const char *key)
{
	const char *at = strstr(cache_settings, key);

	return at && at[strlen(key)] == '=';
}

/*
 * LVM 2.03.31 dies when its last setting is taken back: leave one that says what
 * is so without it.
 */
static int keep_one(struct settings *settings, const char *cache_settings)
{
	bool takes_back = false, sets = false;
	unsigned int i;

	for (i = 0; i < settings->nr; i++) {
		if (!strcmp(settings->text[i], "migration_threshold=default"))
			snprintf(settings->text[i], sizeof(settings->text[i]),
				 "migration_threshold=2048");
		if (!strcmp(strchr(settings->text[i], '=') + 1, "default"))
			takes_back = true;
		else
			sets = true;
	}
	if (!takes_back || sets || has_setting(cache_settings, "migration_threshold"))
		return 0;
	return settings_add(settings, "migration_threshold", "2048");
}

/* The policy that a cache volume has by a setting; "" when it has the host's. */
static void policy_by_setting(const char *cache_settings, char policy[64])
{
	const char *at = strstr(cache_settings, "policy_");

	snprintf(policy, 64, "%.*s", at ? (int)strcspn(at + 7, "=") : 0, at ? at + 7 : "");
}

/* With a cache volume the policy is one of the settings. */
static int work_out(struct cache_request *r, const struct cached_lv *cached)
{
	const char *settings = row_text(cached->lv, "cache_settings");
	char before[64];
	int code = 0;

	if (cached->cachevol)
		policy_by_setting(settings, before);
	else
		snprintf(before, sizeof(before), "%s", row_text(cached->lv, "cache_policy"));
	if (!cached->cachevol)
		code = judge_settings(&r->settings, r->policy ? r->policy : before);
	if (code || !r->policy)
		return code;
	if (cached->cachevol && !means_default(r->policy))
		code = settings_add_policy(&r->settings, r->policy);
	if (!code)
		code = take_back(&r->settings, settings,
				 !means_default(before) && strcmp(before, r->policy) != 0);
	return code;
}

static int change_policy(const struct cache_request *r, const char *lvm_policy)
{
	struct program p;

	if (!lvm_policy && !r->settings.nr)
		return 0;
	lvm_begin(&p, "lvchange");
	program_word(&p, "-y");
	request_words(&p, lvm_policy, &r->settings);
	program_word(&p, r->lv.full);
	return lvm_do(&p);
}

static int change_mode(const struct cache_request *r)
{
	struct flush_show show;
	struct program p;
	int code;

	if (!r->mode)
		return 0;
	lvm_begin(&p, "lvchange");
	program_word(&p, "-y");
	program_word(&p, "--cachemode");
	program_word(&p, r->mode);
	program_word(&p, r->lv.full);
	flush_show(&show, &p, &r->lv, r->quiet);
	code = program_run(&p);
	flush_show_end(&show);
	if (!code && p.code) {
		program_tell(&p);
		complain(p.interrupted ? "interrupted: the mode stays what it was" :
			 "LVM did not change the mode");
		code = p.interrupted ? EXIT_INTERRUPTED : EXIT_DAMAGED;
	}
	program_free(&p);
	return code;
}

/* What the kernel really runs, by its own statistics: LVM calls every policy of a volume "mq". */
static int verify(const struct cache_request *r)
{
	struct json_object *stats, *value;
	struct cache_target target;
	const char *runs = "";
	int code = 0;

	if (!cached_lv_running(&target, &r->lv)) {
		if (!r->quiet)
			printf("%s: takes effect when it is activated\n", r->lv.full);
		return 0;
	}
	stats = target.stats ? json_tokener_parse(target.stats) : NULL;
	if (stats && json_object_object_get_ex(stats, "policy", &value))
		runs = json_object_get_string(value);
	if (r->policy && !means_default(r->policy) && strcmp(r->policy, runs)) {
		complain("%s still runs with policy '%.40s'", r->lv.full, runs);
		code = EXIT_DAMAGED;
	} else if (!r->quiet) {
		printf("%s: runs with policy %.40s\n", r->lv.full, runs);
	}
	json_object_put(stats);
	cache_target_free(&target);
	return code;
}

static int set(struct cache_request *r)
{
	struct cached_lv cached;
	const char *lvm_policy;
	int code = need_our_target();

	if (!code)
		code = cached_lv_find(&cached, &r->lv);
	if (code)
		return code;
	code = work_out(r, &cached);
	if (!code)
		code = keep_one(&r->settings, row_text(cached.lv, "cache_settings"));
	lvm_policy = r->policy;
	/* of a cache volume LVM's word means nothing, and shall not say something else */
	if (cached.cachevol)
		lvm_policy = r->policy && !means_default(row_text(cached.lv, "cache_policy")) ?
			     "mq" : NULL;
	cached_lv_free(&cached);
	if (!code)
		code = change_policy(r, lvm_policy);
	if (!code)
		code = change_mode(r);
	return code ? code : verify(r);
}

static int run_set(int argc, char **argv)
{
	struct cache_request r = { .mode = NULL };
	int code = lv_command_parse(&r.lv, options, &r, argc, argv);

	if (code)
		return code;
	if (!r.mode && !r.policy && !r.settings.nr)
		return wrong_usage("expected --mode, --policy or --set");
	return set(&r);
}

const struct command command_set = {
	.name = "set",
	.summary = "changes mode, policy or settings of a cache of LVM",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_set,
};
