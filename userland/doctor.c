// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder doctor: is all in place that makes LVM use dm-larder, and will it be
 * after the next start?  Changes nothing.
 */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>

#include "doctor.h"
#include "options.h"
#include "output.h"

static const char help[] =
	"usage: larder doctor [--json]\n"
	"\n"
	"Looks at the whole installation: the module, whose the target `cache` is, the names by which\n"
	"LVM asks for it, LVM's settings, the initramfs, versions, and each cache: health, chunks,\n"
	"alignment, policy. For what is not as it should be: what, why it matters, what to do.\n"
	"Changes nothing.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 all is well, 1 something was found, 64 wrong usage, 69 no device mapper,\n"
	"77 no permission.\n";

static const char *const level_names[] = { "ok", "unknown", "warning", "error" };

static const struct tool_option options[] = {
	{ "json", 0, NULL, take_flag, offsetof(struct doctor, json), "print one JSON object" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static void note(struct doctor *d, const char *check, enum finding_level level, const char *why,
		 const char *cure, const char *what, va_list args)
{
	struct json_object *o;
	char text[512];

	vsnprintf(text, sizeof(text), what, args);
	d->count[level]++;
	if (d->json) {
		o = json_object_new_object();
		add_string(o, "check", check);
		add_string(o, "result", level_names[level]);
		add_string(o, "what", text);
		if (why)
			add_string(o, "why", why);
		if (cure)
			add_string(o, "do", cure);
		json_object_array_add(d->array, o);
		return;
	}
	printf("%-8s %s: %s\n", level_names[level], check, text);
	if (why)
		printf("         why: %s\n", why);
	if (cure)
		printf("         do:  %s\n", cure);
}

void finding(struct doctor *d, const char *check, enum finding_level level, const char *why,
	     const char *cure, const char *what, ...)
{
	va_list args;

	va_start(args, what);
	note(d, check, level, why, cure, what, args);
	va_end(args);
}

void all_well(struct doctor *d, const char *check, const char *what, ...)
{
	va_list args;

	va_start(args, what);
	note(d, check, FINDING_OK, NULL, NULL, what, args);
	va_end(args);
}

void not_known(struct doctor *d, const char *check, const char *why, const char *what, ...)
{
	va_list args;

	va_start(args, what);
	note(d, check, FINDING_UNKNOWN, why, NULL, what, args);
	va_end(args);
}

static void print_result(struct doctor *d, bool well)
{
	struct json_object *o;

	if (!d->json) {
		printf("%u checks: %u errors, %u warnings, %u not known\n",
		       d->count[FINDING_OK] + d->count[FINDING_UNKNOWN] +
		       d->count[FINDING_WARNING] + d->count[FINDING_ERROR],
		       d->count[FINDING_ERROR], d->count[FINDING_WARNING],
		       d->count[FINDING_UNKNOWN]);
		return;
	}
	o = json_object_new_object();
	add_string(o, "result", well ? "ok" : "findings");
	add_number(o, "errors", d->count[FINDING_ERROR]);
	add_number(o, "warnings", d->count[FINDING_WARNING]);
	json_object_object_add(o, "checks", d->array);
	print_object(o);
}

static int run_doctor(int argc, char **argv)
{
	struct doctor d = { .json = false };
	bool well;
	int code = parse_options(options, &d, argc, argv);

	if (!code)
		code = no_operand(argc, argv);
	if (!code)
		code = device_mapper_ready();
	if (code)
		return code;
	if (d.json)
		d.array = json_object_new_array();
	doctor_module(&d);
	doctor_aliases(&d);
	doctor_lvm(&d);
	doctor_caches(&d);
	doctor_initramfs(&d);
	well = !d.count[FINDING_WARNING] && !d.count[FINDING_ERROR];
	print_result(&d, well);
	return well ? EXIT_OK : EXIT_DAMAGED;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "is all in place that makes LVM use dm-larder",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_doctor,
};
