// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder save: what is exported now is written down for larder restore, with what
 * targetcli has changed in our targets; and targetctl's file learns of what is
 * ours.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "exporting.h"
#include "save-file.h"
#include "saveconfig-splice.h"
#include "saveconfig.h"

static const char help[] =
	"usage: larder save [--targetcli FILE] [-q]\n"
	"\n"
	"Writes down what `larder export` has made, so that `larder restore` makes it again, as it\n"
	"does when the system starts. An export that was written down earlier, and whose device is\n"
	"missing now, stays so; one whose device is there, and not exported, does not.\n"
	"\n";

static const char after_options[] =
	"\n"
	"Exit code: 0 done, 64 wrong usage, 65 a file is not what it should be, 66 FILE cannot be\n"
	"opened, 73 it cannot be written, 77 no permission.\n";

struct save {
	const char *targetcli;
	bool quiet;
};

static const struct tool_option options[] = {
	{ "targetcli", 0, "FILE", take_text, offsetof(struct save, targetcli),
	  "put our objects into a file of targetctl (saveconfig.json), too; all else in it stays "
	  "as it is" },
	{ "quiet", 'q', NULL, take_flag, offsetof(struct save, quiet),
	  "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

/* --- what others have changed --- */

static void tell(const struct save *s, const struct target *t, const char *what, const char *name,
		 const char *how)
{
	if (!s->quiet)
		printf("%s %s: %s %s %s\n", t->fabric->name, t->wwn, what, name, how);
}

/* One of others, that no command of ours would take, could not be read again. */
static bool is_possible(const struct target *t, const char *below, const char *name)
{
	char portal[PORTAL_MAX], wwn[WWN_MAX];
	const char *why;

	if (configfs_name_valid(name) &&
	    (strcmp(below, "np") ? wwn_parse(t->fabric->initiator, name, wwn, &why) :
				   portal_parse(name, 0, portal)))
		return true;
	complain("%s %s: %s is no name that larder knows: it is not written down", t->fabric->name,
		 t->wwn, name);
	return false;
}

/* have becomes what the directory has.  True: that is something else. */
static bool follow(const struct save *s, struct exporting *e, const struct target *t,
		   const char *below, struct names *have)
{
	const char *what = strcmp(below, "np") ? "initiator" : "portal";
	struct names is = { .nr = 0 };
	char path[CONFIGFS_PATH_MAX];
	bool changed = false;
	size_t i;

	configfs_path(path, "target/%s/%s/%s/%s", t->fabric->tree, t->wwn, TPG, below);
	if (configfs_kind(&e->configfs, path) != CONFIGFS_DIRECTORY ||
	    configfs_list(&e->configfs, path, &is))
		return false;
	for (i = is.nr; i-- > 0;)
		if (!is_possible(t, below, is.name[i]))
			names_remove(&is, is.name[i]);
	for (i = 0; i < is.nr; i++) {
		if (names_have(have, is.name[i]))
			continue;
		tell(s, t, what, is.name[i], "is new");
		changed = true;
	}
	for (i = 0; i < have->nr; i++) {
		if (names_have(&is, have->name[i]))
			continue;
		tell(s, t, what, have->name[i], "is gone");
		changed = true;
	}
	if (changed) {
		names_free(have);
		names_copy(have, &is);
	}
	names_free(&is);
	return changed;
}

static bool follow_all(const struct save *s, struct exporting *e)
{
	bool changed = false;
	size_t i;

	for (i = 0; i < e->state.targets; i++) {
		struct target *t = &e->state.target[i];

		if (fabric_is_nvmet(t->fabric) || !lio_target_exists(&e->configfs, t))
			continue;
		/* a portal that is only a port is in no directory */
		if (!t->fabric->port_only)
			changed |= follow(s, e, t, "np", &t->portals);
		changed |= follow(s, e, t, "acls", &t->acls);
	}
	return changed;
}

/* --- what is written down --- */

static void add_all(struct state *to, const struct state *from)
{
	size_t i;

	for (i = 0; i < from->backstores; i++)
		state_add_backstore(to, &from->backstore[i]);
	for (i = 0; i < from->targets; i++)
		state_add_target(to, &from->target[i]);
	for (i = 0; i < from->luns; i++)
		state_add_lun(to, &from->lun[i]);
}

/* One that is written down and not exported: does it only wait for its device? */
static void keep_waiting(const struct save *s, struct state *to, const struct state *saved,
			 const struct lun *l)
{
	const struct backstore *b = state_backstore(saved, l->backstore), *other;
	const struct target *t = state_target(saved, l->fabric, l->wwn);
	const struct lun *taken;
	dev_t number;

	if (!b || !t)
		return;
	taken = state_lun(to, l->fabric, l->wwn, l->lun);
	other = state_backstore(to, taken ? taken->backstore : b->name);
	if (taken) {
		if (!other || strcmp(other->serial, b->serial))
			complain("%s: %s %s LUN %u is another device's now, taken out", b->device,
				 l->fabric->name, l->wwn, l->lun);
		return;
	}
	if (backing_number(b->device, &number) ||
	    (other && (strcmp(other->serial, b->serial) || other->nvmet != b->nvmet))) {
		if (!s->quiet)
			printf("%s: not exported any more by %s %s, taken out\n", b->device,
			       l->fabric->name, l->wwn);
		return;
	}
	if (!other)
		state_add_backstore(to, b);
	if (!state_target(to, l->fabric, l->wwn))
		state_add_target(to, t);
	state_add_lun(to, l);
	if (!s->quiet)
		printf("%s: not there now, kept\n", b->device);
}

static int write_down(const struct save *s, const struct exporting *e)
{
	struct state saved, to = { .luns = 0 };
	size_t i;
	int code = state_load(&saved, STATE_SAVED);

	if (code)
		return code;
	add_all(&to, &e->state);
	for (i = 0; i < saved.luns; i++)
		keep_waiting(s, &to, &saved, &saved.lun[i]);
	code = state_save(&to, STATE_SAVED);
	if (!code && !s->quiet)
		printf("%zu LUNs and namespaces are written down\n", to.luns);
	state_free(&to);
	state_free(&saved);
	return code;
}

/* --- targetctl's file --- */

static int save_targetcli(const struct save *s, struct exporting *e)
{
	static const char empty[] =
		"{\n  \"fabric_modules\": [],\n  \"storage_objects\": [],\n  \"targets\": []\n}\n";
	struct json_object *ours;
	char *text, *made = NULL;
	const char *why;
	size_t length;
	int code = file_read_whole(s->targetcli, SAVECONFIG_MAX, &text, &length);

	if (code)
		return code;
	ours = saveconfig_ours(&e->configfs, &e->state, s->quiet);
	made = saveconfig_splice(text ? text : empty, text ? length : strlen(empty), ours, &why);
	json_object_put(ours);
	if (!made) {
		complain("%s: %s", s->targetcli, why);
		code = EXIT_NOT_OURS;
	} else if (!text || strcmp(text, made)) {
		code = file_replace(s->targetcli, made, strlen(made));
	}
	/* there may be secrets in them */
	if (text)
		explicit_bzero(text, length);
	if (made)
		explicit_bzero(made, strlen(made));
	free(text);
	free(made);
	return code;
}

static int save(const struct save *s)
{
	struct exporting e = { .lock = -1 };
	int code = exporting_begin(&e, false);

	if (code)
		return code;
	if (follow_all(s, &e))
		code = state_save(&e.state, STATE_RUNNING);
	if (!code)
		code = write_down(s, &e);
	if (!code && s->targetcli)
		code = save_targetcli(s, &e);
	exporting_end(&e);
	return code;
}

static int run_save(int argc, char **argv)
{
	struct save s = { .quiet = false };
	int code = parse_options(options, &s, argc, argv);

	if (!code)
		code = no_operand(argc, argv);
	return code ? code : save(&s);
}

const struct command command_save = {
	.name = "save",
	.summary = "writes down what is exported, for restore",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_save,
};
