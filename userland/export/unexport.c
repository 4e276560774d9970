// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder unexport: takes away what larder export has made, and nothing else.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "exporting.h"

#define TIMEOUT_MAX 3600u

static const char help[] =
	"usage: larder unexport [--fabric FABRIC] [--lun N] [--drain [--timeout N]]\n"
	"                       VG/LV | DEVICE | TARGET\n"
	"       larder unexport --all [--drain [--timeout N]]\n"
	"\n"
	"Takes exports away: of a device, or of a target by its name. As long as initiators are logged\n"
	"in, where the fabric tells (iSCSI, iSER), that is refused, unless --drain is given. What others\n"
	"have made stays as it is: larder exports shows it.\n"
	"\n";

static const char after_options[] =
	"\n"
	"It can be repeated: what is gone already is no error, as long as larder has made it.\n"
	"Exit code: 0 done, 1 the kernel refused, 64 wrong usage, 65 initiators are logged in, 66 larder\n"
	"does not export that, 75 commands are under way and do not end: nothing is taken away, 77 no\n"
	"permission.\n";

struct unexport {
	const char *what, *fabric, *lun;
	bool all, drain, dry_run, quiet;
	const char *timeout;
	unsigned int seconds;
};

#define AT(member) offsetof(struct unexport, member)
static const struct tool_option options[] = {
	{ "all", 0, NULL, take_flag, AT(all), "everything that larder has exported" },
	{ "fabric", 0, "FABRIC", take_text, AT(fabric), "only on this one" },
	{ "lun", 0, "N", take_text, AT(lun), "only with this number" },
	{ "drain", 0, NULL, take_flag, AT(drain),
	  "although initiators are logged in: turn new commands away, wait for those under way, "
	  "then end the sessions" },
	{ "timeout", 0, "N", take_text, AT(timeout),
	  "wait N seconds at most (default: 30); after that all is as it was" },
	{ "dry-run", 0, NULL, take_flag, AT(dry_run), "print what would be done, do nothing" },
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

/* The device may be gone by now; then its name is enough. */
static bool is_device(const struct unexport *u, const struct backstore *b)
{
	char device[DEVICE_MAX];
	dev_t number, wanted;

	snprintf(device, sizeof(device), "%s%.240s", *u->what == '/' ? "" : "/dev/", u->what);
	return !strcmp(b->device, device) || !strcmp(b->name, u->what) ||
	       (backing_number(device, &wanted) && backing_number(b->device, &number) &&
		number == wanted);
}

/* As it is, or as export would take it. */
static bool is_target(const struct unexport *u, const struct lun *l)
{
	char wwn[WWN_MAX];
	const char *why;

	return !strcmp(l->wwn, u->what) ||
	       (wwn_parse(l->fabric->target, u->what, wwn, &why) && !strcmp(l->wwn, wwn));
}

static bool is_meant(const struct unexport *u, const struct exporting *e, const struct lun *l)
{
	const struct backstore *b = state_backstore(&e->state, l->backstore);

	if (u->fabric && strcmp(u->fabric, l->fabric->name))
		return false;
	if (u->lun && strtoul(u->lun, NULL, 10) != l->lun)
		return false;
	return u->all || is_target(u, l) || (b && is_device(u, b));
}

static void look_for_others(void *context, const struct seen_lun *l)
{
	const char *what = context;

	if (!strcmp(l->wwn, what) || (*l->device && (!strcmp(l->device, what) ||
						     (!strncmp(l->device, "/dev/", 5) &&
						      !strcmp(l->device + 5, what)))))
		complain("%s LUN %s exports %s, and is not larder's: targetcli, or nvmetcli, can take it away",
			 l->wwn, l->lun, l->device);
}

static int unexport(const struct unexport *u, struct exporting *e)
{
	const struct removal how = { .drain = u->drain, .quiet = u->quiet, .seconds = u->seconds };
	struct state these = { .luns = 0 };
	int code;
	size_t i;

	for (i = 0; i < e->state.luns; i++)
		if (is_meant(u, e, &e->state.lun[i]))
			state_add_lun(&these, &e->state.lun[i]);
	if (these.luns || u->all) {
		code = export_remove_all(e, &these, &how);
		state_free(&these);
		return code;
	}
	complain("larder does not export %s%s%s", u->what, u->fabric ? " by " : "",
		 u->fabric ? u->fabric : "");
	lio_luns_visit(&e->configfs, look_for_others, (void *)u->what);
	nvmet_luns_visit(&e->configfs, look_for_others, (void *)u->what);
	return EXIT_NO_INPUT;
}

static int judge(struct unexport *u)
{
	char *end;

	u->seconds = DRAIN_SECONDS;
	if (u->timeout) {
		u->seconds = (unsigned int)strtoul(u->timeout, &end, 10);
		if (!u->drain)
			return wrong_usage("--timeout is for --drain");
		if (!isdigit((unsigned char)*u->timeout) || *end || strlen(u->timeout) > 4 ||
		    u->seconds > TIMEOUT_MAX)
			return wrong_usage("--timeout '%s': expected 0 to %u seconds", u->timeout,
					   TIMEOUT_MAX);
	}
	if (u->all && (u->what || u->fabric || u->lun))
		return wrong_usage("--all is all: nothing else can be named");
	if (!u->all && !u->what)
		return wrong_usage("expected VG/LV, a device, the name of a target, or --all");
	if (u->fabric && !fabric_find(u->fabric))
		return wrong_usage("there is no fabric '%s'", u->fabric);
	if (u->lun && (!*u->lun || strspn(u->lun, "0123456789") != strlen(u->lun)))
		return wrong_usage("--lun '%s': expected a number", u->lun);
	return 0;
}

static int run_unexport(int argc, char **argv)
{
	struct unexport u = { .what = NULL };
	struct exporting e = { .lock = -1 };
	int code = parse_options(options, &u, argc, argv);

	if (!code && !(u.all && optind == argc))
		code = one_operand("VG/LV, device or target", &u.what, argc, argv);
	if (!code)
		code = judge(&u);
	if (!code)
		code = exporting_begin(&e, u.dry_run);
	if (code)
		return code;
	code = unexport(&u, &e);
	exporting_end(&e);
	return code;
}

const struct command command_unexport = {
	.name = "unexport",
	.summary = "takes exports away that larder has made",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_unexport,
};
