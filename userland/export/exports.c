// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder exports: all that LIO and nvmet export, ours and others'.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "../options.h"
#include "../output.h"
#include "exporting.h"

static const char help[] =
	"usage: larder exports [--json]\n"
	"\n"
	"Lists all LUNs and namespaces that this host exports, and which of them larder has made.\n"
	"SESSIONS is what the fabric tells; only iSCSI does.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0, or 64 wrong usage, 65 a file is not what it should be, 77 no permission.\n";

struct exports {
	struct exporting e;
	bool json;
	unsigned int nr;
	struct json_object *array;
};

static const struct tool_option options[] = {
	{ "json", 0, NULL, take_flag, offsetof(struct exports, json), "print one JSON object" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

/* Its record, if larder has made it: the target is ours, and the serial number. */
static const struct lun *find_own(const struct state *s, const struct seen_lun *seen)
{
	const struct backstore *b;
	char number[16];
	size_t i;

	for (i = 0; i < s->luns; i++) {
		const struct lun *l = &s->lun[i];

		snprintf(number, sizeof(number), "%u", l->lun);
		b = state_backstore(s, l->backstore);
		if (!strcmp(l->wwn, seen->wwn) && !strcmp(number, seen->lun) && b &&
		    !strcmp(b->serial, seen->serial) &&
		    !strcmp(fabric_is_nvmet(l->fabric) ? "nvmet" : l->fabric->tree, seen->tree))
			return l;
	}
	return NULL;
}

static uint64_t size_of(const struct seen_lun *l)
{
	struct backing b;

	return backing_peek(l->number, &b) ? b.bytes : 0;
}

static void add_one(void *context, const struct seen_lun *l)
{
	struct exports *x = context;
	struct json_object *o = json_object_new_object();
	char naa[37];

	lio_naa(l->serial, naa);
	add_string(o, "device", l->device);
	add_string(o, "fabric", l->fabric ? l->fabric->name : l->tree);
	add_string(o, "wwn", l->wwn);
	add_string(o, "tpg", l->tpg);
	add_string(o, "lun", l->lun);
	add_string(o, "backstore", l->backstore);
	add_string(o, "serial", l->serial);
	if (*l->backstore && *l->serial)
		add_string(o, "naa", naa);
	add_number(o, "bytes", size_of(l));
	add_bool(o, "enabled", l->enabled);
	add_number(o, "sessions", l->sessions);
	add_bool(o, "ours", find_own(&x->e.state, l));
	json_object_array_add(x->array, o);
}

static void print_one(void *context, const struct seen_lun *l)
{
	struct exports *x = context;

	if (!x->nr++)
		printf("%-24s %-9s %-44s %4s %9s %8s %s\n", "DEVICE", "FABRIC", "TARGET", "LUN",
		       "SIZE/GiB", "SESSIONS", "MADE BY");
	printf("%-24s %-9s %-44s %4s %9.1f %8u %s%s\n", *l->device ? l->device : "-",
	       l->fabric ? l->fabric->name : l->tree, l->wwn, l->lun,
	       (double)size_of(l) / (1 << 30), l->sessions,
	       find_own(&x->e.state, l) ? "larder" : "others", l->enabled ? "" : ", disabled");
}

static int run_exports(int argc, char **argv)
{
	struct exports x = { .json = false };
	struct json_object *o;
	int code = parse_options(options, &x, argc, argv);

	if (!code)
		code = no_operand(argc, argv);
	if (!code)
		code = exporting_look(&x.e);
	if (code)
		return code;
	x.array = json_object_new_array();
	if (x.e.configfs.ops) {
		lio_luns_visit(&x.e.configfs, x.json ? add_one : print_one, &x);
		nvmet_luns_visit(&x.e.configfs, x.json ? add_one : print_one, &x);
	}
	exporting_end(&x.e);
	if (x.json) {
		o = json_object_new_object();
		json_object_object_add(o, "exports", x.array);
		print_object(o);
	} else {
		json_object_put(x.array);
	}
	return 0;
}

const struct command command_exports = {
	.name = "exports",
	.summary = "all that this host exports",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_exports,
};
