// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder scrub: has an active cache read all that it holds, and tells what came
 * of it.  The work is the kernel's, and goes on without us.
 */
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "../dm-target/core/env.h"
#include "kernel.h"
#include "options.h"
#include "output.h"
#include "program.h"
#include "progress.h"

#define LL(n) ((unsigned long long)(n))
#define RATE_MAX (1ull << 30)
#define LOOK_NS 500000000	/* pause between two looks */

static const char help[] =
	"usage: larder scrub [--rate N] [--wait] [--json] [-q] NAME\n"
	"       larder scrub --status [--wait] [--json] NAME\n"
	"       larder scrub --stop [--json] [-q] NAME\n"
	"\n"
	"Has an active cache read all that it holds, in the background, so that damage on the cache\n"
	"device is found: unreadable sectors, and with protection information, wrong data. What is\n"
	"clean is healed from the origin, what is dirty is listed. NAME is what `dmsetup ls` shows,\n"
	"VG/LV, or the path of a block device. If a scrub is running already, it goes on.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 nothing wrong was found (so far), or all of it is healed, 1 dirty data is lost,\n"
	"64 wrong usage, 65 no cache of dm-larder, 66 no such device, or it is suspended, 69 no device\n"
	"mapper, 74 clean data could not be healed, 75 interrupted, or stopped before the end, 77 no\n"
	"permission. Interrupting --wait does not stop the scrub.\n";

struct scrub {
	struct cache_target target;
	struct json_object *state;	/* the kernel's last answer */
	u64 rate;			/* KiB/s; 0: the kernel's choice */
	bool wait, status, stop, json, quiet;
};

static int take_rate(const struct tool_option *option, void *member, const char *text)
{
	u64 *rate = member;
	char *end;

	errno = 0;
	*rate = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *rate && *rate <= RATE_MAX)
		return 0;
	return wrong_usage("expected 1 to %llu KiB/s for --%s, not '%s'", RATE_MAX, option->name,
			   text);
}

#define AT(member) offsetof(struct scrub, member)
static const struct tool_option options[] = {
	{ "rate", 0, "N", take_rate, AT(rate),
	  "read at most N KiB/s, and a quarter of it while users are at work (default: 16384); "
	  "changes that of a scrub that is running" },
	{ "wait", 0, NULL, take_flag, AT(wait), "until it is over, with progress on a terminal" },
	{ "status", 0, NULL, take_flag, AT(status), "only tell how far it is, and what it found" },
	{ "stop", 0, NULL, take_flag, AT(stop), "end it where it is" },
	{ "json", 0, NULL, take_flag, AT(json), "print one JSON object" },
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

/* --- what the kernel says --- */

static const char *text_of(const struct json_object *o, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

static u64 number_of(const struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_uint64(value) : 0;
}

/* An older dm-larder, or the kernel's dm-cache, has no scrub. */
static int need_scrub(const struct scrub *s)
{
	struct json_object *stats = s->target.stats ? json_tokener_parse(s->target.stats) : NULL;
	bool has = stats && json_object_object_get_ex(stats, "scrub", NULL);

	json_object_put(stats);
	if (has)
		return 0;
	complain("the target of %s knows no scrub: it is the kernel's own dm-cache, an older "
		 "dm-larder, or was never active", s->target.name);
	return EXIT_NOT_OURS;
}

static int look(struct scrub *s)
{
	char *answer = NULL;
	int code = cache_target_message(&s->target, "scrub status", &answer);

	if (code)
		return code;
	json_object_put(s->state);
	s->state = answer ? json_tokener_parse(answer) : NULL;
	if (!json_object_is_type(s->state, json_type_object) || !*text_of(s->state, "state")) {
		complain("the kernel's answer to \"scrub status\" is none: %.60s",
			 answer ? answer : "");
		code = EXIT_IO;
	}
	free(answer);
	return code;
}

static bool is_state(const struct scrub *s, const char *state)
{
	return !strcmp(text_of(s->state, "state"), state);
}

/* --- what we say --- */

static void print_lost(const struct scrub *s)
{
	struct json_object *list, *lost;
	size_t i, nr = 0;

	if (json_object_object_get_ex(s->state, "lost_blocks", &list) &&
	    json_object_is_type(list, json_type_array))
		nr = json_object_array_length(list);
	for (i = 0; i < nr; i++) {
		lost = json_object_array_get_idx(list, i);
		printf("lost: %llu sectors from sector %llu of the origin (slot %llu): %s\n",
		       LL(number_of(lost, "sectors")), LL(number_of(lost, "sector")),
		       LL(number_of(lost, "slot")),
		       strcmp(text_of(lost, "why"), "pi") ? "unreadable" : "protection error");
	}
	if (number_of(s->state, "lost") > nr)
		printf("lost: %llu more, which are in the kernel's log\n",
		       LL(number_of(s->state, "lost") - nr));
}

static void print_text(const struct scrub *s)
{
	const struct json_object *o = s->state;

	if (is_state(s, "none")) {
		printf("%s: no scrub since its state was read\n", s->target.name);
		return;
	}
	printf("%s: scrub %s: %llu of %llu slots, %.1f MiB read", s->target.name,
	       text_of(o, "state"), LL(number_of(o, "next_slot")), LL(number_of(o, "slots")),
	       (double)number_of(o, "sectors_read") / 2048);
	if (is_state(s, "running"))
		printf(", at most %llu KiB/s%s", LL(number_of(o, "rate")),
		       s->target.suspended ? "; suspended" : "");
	printf("\nfound: %llu protection errors, %llu unreadable, %llu other errors; %llu healed, "
	       "%llu not, %llu lost\n", LL(number_of(o, "pi_errors")),
	       LL(number_of(o, "media_errors")), LL(number_of(o, "other_errors")),
	       LL(number_of(o, "healed")), LL(number_of(o, "left")), LL(number_of(o, "lost")));
	print_lost(s);
}

/* Returns the exit code. */
static int report(struct scrub *s)
{
	u64 lost = number_of(s->state, "lost");
	u64 left = number_of(s->state, "left") + number_of(s->state, "other_errors");

	if (s->json) {
		json_object_object_add(s->state, "device", json_object_new_string(s->target.name));
		print_object(json_object_get(s->state));
	} else if (!s->quiet) {
		print_text(s);
	}
	if (lost)
		complain("%s: %llu pieces of dirty data are damaged, and there is no other copy: "
			 "what is written there anew mends them", s->target.name, LL(lost));
	if (left)
		complain("%s: %llu pieces could not be read or healed: see the kernel's log",
			 s->target.name, LL(left));
	return lost ? EXIT_DAMAGED : left ? EXIT_IO : EXIT_OK;
}

/* --- the command --- */

/* For its end; a signal is an answer, too. */
static int wait_for_end(struct scrub *s)
{
	const struct timespec pause = { 0, LOOK_NS };
	sigset_t watched;
	int code = look(s);

	watched_signals(&watched);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	progress_start("scrub", number_of(s->state, "slots"));
	while (!code && is_state(s, "running")) {
		progress_at(number_of(s->state, "next_slot"));
		if (sigtimedwait(&watched, NULL, &pause) > 0) {
			complain("interrupted: the scrub goes on; larder scrub --stop %s stops it",
				 s->target.name);
			return EXIT_INTERRUPTED;
		}
		code = look(s);
	}
	progress_end();
	return code;
}

static int scrub(struct scrub *s)
{
	char message[40] = "scrub start";
	int code = need_scrub(s);

	if (code)
		return code;
	if (s->rate)
		snprintf(message, sizeof(message), "scrub start %llu", LL(s->rate));
	if (!s->status)
		code = cache_target_message(&s->target, s->stop ? "scrub stop" : message, NULL);
	if (!code)
		code = s->wait ? wait_for_end(s) : look(s);
	if (!code)
		code = report(s);
	if (!code && s->wait && is_state(s, "stopped")) {
		complain("%s: it was stopped before its end", s->target.name);
		code = EXIT_INTERRUPTED;
	}
	json_object_put(s->state);
	return code;
}

static int run_scrub(int argc, char **argv)
{
	struct scrub s = { .state = NULL };
	const char *name;
	int code = parse_options(options, &s, argc, argv);

	if (!code)
		code = one_operand("name", &name, argc, argv);
	if (code)
		return code;
	if (s.stop && (s.status || s.wait || s.rate))
		return wrong_usage("--stop goes with none of --status, --wait and --rate");
	if (s.status && s.rate)
		return wrong_usage("--status does not go with --rate");
	if (s.quiet)
		progress_quiet();
	code = cache_target_read(&s.target, name);
	if (!code)
		code = scrub(&s);
	cache_target_free(&s.target);
	return code;
}

const struct command command_scrub = {
	.name = "scrub",
	.summary = "has an active cache look for damage on its cache device",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_scrub,
};
