// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder status: what a running cache does, as a table or as JSON.
 */
#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>

#include "kernel.h"
#include "options.h"
#include "output.h"
#include "status-line.h"

#define LL(n) ((unsigned long long)(n))

static const char help[] =
	"usage: larder status [--json] NAME\n"
	"\n"
	"Shows what an active cache does. NAME is what `dmsetup ls` shows, VG/LV, or the path of a\n"
	"block device. Needs root. Does not make the cache commit.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 the cache is well, 1 it has failed (or is read-only, or needs a check),\n"
	"64 wrong usage, 65 no cache, 66 no such device, 69 no device mapper, 77 no permission.\n";

struct status {
	struct cache_target target;
	struct status_line line;
	struct json_object *stats;	/* NULL when the target has none */
	bool json;
};

static const struct tool_option options[] = {
	{ "json", 0, NULL, take_flag, offsetof(struct status, json), "print one JSON object" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static const char *health(const struct status *s)
{
	struct json_object *value;

	if (s->line.failed)
		return "failed";
	if (s->line.needs_check)
		return "needs a check";
	if (s->stats && json_object_object_get_ex(s->stats, "health", &value) &&
	    json_object_is_type(value, json_type_string) &&
	    strcmp(json_object_get_string(value), "ok"))
		return json_object_get_string(value);
	return s->line.read_only ? "read-only" : "ok";
}

/* --- text --- */

static double percent(u64 part, u64 whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_text_value(const char *text)
{
	for (; *text; text++)
		putchar(isprint((unsigned char)*text) ? *text : '?');
}

static void print_hits(const char *name, u64 hits, u64 misses)
{
	printf("%-14s %llu hits, %llu misses", name, LL(hits), LL(misses));
	if (hits + misses)
		printf(" (%.1f %% hits)", percent(hits, hits + misses));
	putchar('\n');
}

static void print_group(const struct json_object *stats, const char *key, const char *title)
{
	struct json_object *group;

	if (!json_object_object_get_ex(stats, key, &group) ||
	    !json_object_is_type(group, json_type_object) || !json_object_object_length(group))
		return;
	printf("%s\n", title);
	json_object_object_foreach(group, name, value) {
		fputs("  ", stdout);
		print_text_value(name);
		printf("%*s ", (int)(strlen(name) < 24 ? 24 - strlen(name) : 0), "");
		print_text_value(json_object_get_string(value));
		putchar('\n');
	}
}

static void print_facts(const struct json_object *stats)
{
	static const char *const keys[] = {
		"version", "pi", "pi_profile", "pi_reason", "recovered", "block_sectors",
		"grain_sectors", "slots", "slots_used", "slots_free", "slots_dirty",
		"journal_used", "journal_blocks",
	};
	struct json_object *value;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!json_object_object_get_ex(stats, keys[i], &value))
			continue;
		printf("%-14s ", keys[i]);
		print_text_value(json_object_get_string(value));
		putchar('\n');
	}
}

static void print_text(const struct status *s)
{
	const struct status_line *l = &s->line;

	printf("%-14s %s (target %s%s)\n", "device", s->target.name, s->target.type,
	       s->target.suspended ? ", suspended" : "");
	printf("%-14s %.1f GiB\n", "size", (double)s->target.sectors / (1 << 21));
	printf("%-14s %s\n", "health", health(s));
	if (l->failed)
		return;
	printf("%-14s %s\n", "mode", l->mode[0] ? l->mode : "unknown");
	printf("%-14s %s%s%s%s\n", "policy", l->policy, l->settings[0] ? " (" : "", l->settings,
	       l->settings[0] ? ")" : "");
	printf("%-14s %llu of %llu chunks of %llu KiB (%.1f %%)\n", "cache use", LL(l->used),
	       LL(l->total), LL(l->chunk_sectors / 2), percent(l->used, l->total));
	printf("%-14s %llu chunks (%.1f %% of what is used)\n", "dirty", LL(l->dirty),
	       percent(l->dirty, l->used));
	printf("%-14s %llu of %llu blocks (%.1f %%)\n", "metadata", LL(l->metadata_used),
	       LL(l->metadata_total), percent(l->metadata_used, l->metadata_total));
	print_hits("reads", l->read_hits, l->read_misses);
	print_hits("writes", l->write_hits, l->write_misses);
	printf("%-14s %llu promotions, %llu demotions\n", "turnover", LL(l->promotions),
	       LL(l->demotions));
	if (!s->stats) {
		printf("%-14s none: the target does not answer \"stats\" (the kernel's own "
		       "dm-cache, or not loaded yet)\n", "statistics");
		return;
	}
	print_facts(s->stats);
	print_group(s->stats, "counts", "counts since the table was loaded:");
	print_group(s->stats, "policy_stats", "of the policy:");
	print_group(s->stats, "scrub", "of the last scrub:");
}

/* --- JSON --- */

static void add_line(struct json_object *o, const struct status_line *l)
{
	add_string(o, "mode", l->mode);
	add_string(o, "policy", l->policy);
	add_string(o, "settings", l->settings);
	add_bool(o, "read_only", l->read_only);
	add_bool(o, "needs_check", l->needs_check);
	add_number(o, "metadata_block_sectors", l->metadata_block_sectors);
	add_number(o, "metadata_blocks_used", l->metadata_used);
	add_number(o, "metadata_blocks", l->metadata_total);
	add_number(o, "chunk_sectors", l->chunk_sectors);
	add_number(o, "chunks_used", l->used);
	add_number(o, "chunks", l->total);
	add_number(o, "chunks_dirty", l->dirty);
	add_number(o, "read_hits", l->read_hits);
	add_number(o, "read_misses", l->read_misses);
	add_number(o, "write_hits", l->write_hits);
	add_number(o, "write_misses", l->write_misses);
	add_number(o, "demotions", l->demotions);
	add_number(o, "promotions", l->promotions);
}

static void print_json(const struct status *s)
{
	struct json_object *o = json_object_new_object();

	add_string(o, "device", s->target.name);
	add_string(o, "target", s->target.type);
	add_number(o, "sectors", s->target.sectors);
	add_bool(o, "suspended", s->target.suspended);
	add_string(o, "health", health(s));
	if (!s->line.failed)
		add_line(o, &s->line);
	json_object_object_add(o, "stats", json_object_get(s->stats));
	print_object(o);
}

/* --- the command --- */

static struct json_object *parse_stats(const char *text)
{
	struct json_object *o = text ? json_tokener_parse(text) : NULL;

	if (o && !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	if (text && !o)
		complain("the kernel's answer to \"stats\" is no JSON object: %.60s", text);
	return o;
}

static int show(struct status *s)
{
	const char *wrong = status_line_parse(&s->line, s->target.status);
	int code;

	if (wrong) {
		complain("cannot understand the status of %s: %s: \"%s\"", s->target.name, wrong,
			 s->target.status);
		return EXIT_IO;
	}
	s->stats = parse_stats(s->target.stats);
	if (s->json)
		print_json(s);
	else
		print_text(s);
	code = strcmp(health(s), "ok") ? EXIT_DAMAGED : EXIT_OK;
	json_object_put(s->stats);
	return code;
}

static int run_status(int argc, char **argv)
{
	struct status status = { .stats = NULL };
	const char *name;
	int code = parse_options(options, &status, argc, argv);

	if (!code)
		code = one_operand("name", &name, argc, argv);
	if (!code)
		code = cache_target_read(&status.target, name);
	if (!code)
		code = show(&status);
	cache_target_free(&status.target);
	return code;
}

const struct command command_status = {
	.name = "status",
	.summary = "what an active cache does",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_status,
};
