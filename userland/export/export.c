// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * larder export: a device becomes a logical unit or namespace of other hosts.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "../options.h"
#include "../output.h"
#include "request.h"
#include "restore-state.h"

static const char help[] =
	"usage: larder export VG/LV | DEVICE --fabric FABRIC [OPTION...]\n"
	"\n"
	"Gives a device to other hosts, to a virtual machine or to this host, by the kernel's targets\n"
	"for SCSI (LIO) and NVMe. Either all of it is made, or nothing. FABRIC is one of iscsi, iser,\n"
	"loopback, vhost, srp, fcoe, usb, fc, sbp, nvme-tcp, nvme-rdma.\n"
	"\n";

static const char after_options[] =
	"\n"
	"larder save writes down what is exported, so that it is again after a restart of the system.\n"
	"Exit code: 0 done, 1 the kernel refused (what was made is gone again), 64 wrong usage, 65 the\n"
	"device is in use or exported already, or a file is not what it should be, 66 no such device,\n"
	"69 the kernel lacks the fabric, 75 interrupted, 77 no permission.\n"
	"More in larder-export(8).\n";

static int take_name(const struct tool_option *option, void *member, const char *text)
{
	names_add(member, text);
	return 0;
}

#define AT(member) offsetof(struct export_request, member)
static const struct tool_option options[] = {
	{ "fabric", 0, "FABRIC", take_text, AT(fabric_name), "what carries it" },
	{ "wwn", 0, "NAME", take_text, AT(wwn),
	  "of the target: IQN, NQN or WWN; without, one is made, or the only port is taken" },
	{ "portal", 0, "ADDR[:PORT]", take_name, AT(portals),
	  "where initiators connect to; repeatable; without, all of IPv4" },
	{ "acl", 0, "NAME", take_name, AT(acls), "an initiator that may use it; repeatable" },
	{ "any-initiator", 0, NULL, take_flag, AT(any_initiator),
	  "every initiator may use it that can reach it" },
	{ "chap-file", 0, "FILE", take_text, AT(chap_file),
	  "lines with userid, password, mutual_userid, mutual_password (NVMe: dhchap_key, "
	  "dhchap_ctrl_key) and the value, which nobody but root can read" },
	{ "lun", 0, "N", take_text, AT(lun),
	  "its number in the target; without, the first that is free" },
	{ "alua-group", 0, "NAME[:STATE]", take_text, AT(alua),
	  "of target ports; active-optimized, active-nonoptimized, standby, unavailable" },
	{ "attribute", 0, "KEY=N", take_name, AT(attributes),
	  "one of LIO's for the device, other than it follows from it; repeatable" },
	{ "serial", 0, "UUID", take_text, AT(serial),
	  "what initiators know it by, if that must be the same as elsewhere; without, a new one" },
	{ "readonly", 0, NULL, take_flag, AT(readonly), "initiators cannot write" },
	{ "dry-run", 0, NULL, take_flag, AT(dry_run), "print what would be done, do nothing" },
	{ "json", 0, NULL, take_flag, AT(json), "print one JSON object" },
	{ "quiet", 'q', NULL, take_flag, AT(quiet), "print nothing but errors" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static struct json_object *list_of(const struct names *names)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < names->nr; i++)
		json_object_array_add(list, json_object_new_string(names->name[i]));
	return list;
}

static void print_json(const struct backstore *b, const struct target *t, const struct lun *l)
{
	struct json_object *o = json_object_new_object();
	char naa[37];

	lio_naa(b->serial, naa);
	add_string(o, "device", b->device);
	add_string(o, "fabric", t->fabric->name);
	add_string(o, "wwn", t->wwn);
	add_number(o, "lun", l->lun);
	add_string(o, "serial", b->serial);
	if (!b->nvmet) {
		add_string(o, "naa", naa);
		add_string(o, "backstore", b->name);
		add_string(o, "alua_group", *l->alua_group ? l->alua_group : "default_tg_pt_gp");
	}
	if (*t->nexus)
		add_string(o, "nexus", t->nexus);
	json_object_object_add(o, "portals", list_of(&t->portals));
	json_object_object_add(o, "acls", list_of(&t->acls));
	add_bool(o, "any_initiator", t->any_initiator);
	add_bool(o, "authentication", !chap_empty(&t->chap));
	add_bool(o, "readonly", b->readonly);
	print_object(o);
}

/* What nobody hears of is not exported either. */
static int announce(struct exporting *e, const struct backstore *b, const struct target *t,
		    const struct lun *l)
{
	const struct export_request *r = e->context;
	size_t i;

	if (r->json) {
		print_json(b, t, l);
	} else if (!r->quiet) {
		printf("%s: %s by %s %s, %s %u", b->device,
		       r->dry_run ? "would be exported" : "exported", t->fabric->name, t->wwn,
		       b->nvmet ? "namespace" : "LUN", l->lun);
		for (i = 0; i < t->portals.nr; i++)
			printf("%s%s", i ? ", " : ", at ", t->portals.name[i]);
		putchar('\n');
	}
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	complain("cannot write to stdout: %s", strerror(errno));
	return EXIT_IO;
}

static int run_export(int argc, char **argv)
{
	struct export_request r = { .what = NULL };
	int code = parse_options(options, &r, argc, argv);

	if (!code)
		code = one_operand("VG/LV or device", &r.what, argc, argv);
	if (!code)
		code = request_judge(&r);
	/* with a serial number of one's own, there may be reservations of an earlier time */
	if (!code)
		code = request_export(&r, restore_reservations, announce);
	names_free(&r.portals);
	names_free(&r.acls);
	names_free(&r.attributes);
	return code;
}

const struct command command_export = {
	.name = "export",
	.summary = "gives a device to other hosts, by iSCSI, NVMe and others",
	.help = help,
	.options = options,
	.after_options = after_options,
	.run = run_export,
};
