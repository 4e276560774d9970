// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A host for the tests of exports, see export-fixture.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "export-fixture.h"
#include "fake-configfs.h"

const char *mounted, *missing;
bool swapped, (*devices_busy)(void);

static char said[20000];

/* --- in the place of larder's main.c --- */

static void say(const char *format, va_list args)
{
	size_t length = strlen(said);

	if (length + 1 < sizeof(said))
		vsnprintf(said + length, sizeof(said) - length - 1, format, args);
	length = strlen(said);
	said[length] = '\n';
	said[length + 1] = '\0';
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

int wrong_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return EXIT_WRONG_USAGE;
}

/* Of the options of exports, none is a size. */
bool parse_size(const char *text, unsigned long long *sectors)
{
	return false;
}

const char *words_said(void)
{
	return said;
}

void forget_words(void)
{
	*said = '\0';
}

/* --- in the place of the kernel --- */

bool configfs_try(struct configfs *c)
{
	*c = fake_configfs();
	return true;
}

int configfs_open(struct configfs *c)
{
	configfs_try(c);
	return 0;
}

static const char *const devices[] = {
	"/dev/vg/data", "/dev/vg/other", "/dev/mapper/vg-third", "/dev/vg/fourth",
	"/dev/mapper/vg-data",
};

unsigned int fake_device_number(const char *device)
{
	size_t i;

	for (i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		if (!strcmp(devices[i], device) && (!missing || strcmp(missing, device)))
			return i + 1 + (swapped ? 100 : 0);
	return 0;
}

bool backing_name_valid(const char *device)
{
	return !strncmp(device, "/dev/", 5);
}

bool backing_number(const char *device, dev_t *number)
{
	*number = makedev(254, fake_device_number(device));
	return minor(*number);
}

bool backing_peek(dev_t number, struct backing *b)
{
	memset(b, 0, sizeof(*b));
	b->number = number;
	b->bytes = 1 << 30;
	b->discard_bytes = 1 << 20;
	return true;
}

bool backing_load(dev_t number, struct backing_load *load)
{
	memset(load, 0, sizeof(*load));
	load->completed = 1000;
	load->under_way = devices_busy && devices_busy();
	return true;
}

int backing_find(struct backing *b, const char *text)
{
	char device[DEVICE_MAX];
	dev_t number;

	snprintf(device, sizeof(device), "%s%s", *text == '/' ? "" : "/dev/", text);
	if (!backing_number(device, &number))
		return EXIT_NO_INPUT;
	backing_peek(number, b);
	memcpy(b->device, device, sizeof(b->device));
	return 0;
}

int backing_judge(const struct backing *b)
{
	return mounted && !strcmp(mounted, b->device) ? EXIT_NOT_OURS : 0;
}

/* --- the host --- */

static void make_directories(const char *path)
{
	char part[512];
	size_t length = 0;

	while (path[length]) {
		length += 1 + strcspn(path + length + 1, "/");
		snprintf(part, sizeof(part), "%.*s", (int)length, path);
		mkdir(part, 0755);
	}
}

void write_file(const char *path, const char *text, unsigned int mode)
{
	FILE *file;

	unlink(path);
	file = fopen(path, "w");
	if (!file)
		return;
	fputs(text, file);
	fchmod(fileno(file), mode);
	fclose(file);
}

void host_begin(void)
{
	char path[512];
	const struct fabric *f;
	size_t i, k;

	make_directories(LARDER_ROOT "/etc/rtslib-fb-target");
	make_directories(LARDER_ROOT "/run");
	make_directories(LARDER_ROOT "/sys/module/target_core_mod");
	make_directories(LARDER_ROOT "/sys/module/target_core_iblock");
	for (i = 0; (f = fabric_at(i)); i++)
		for (k = 0; k < 3 && f->modules[k]; k++) {
			snprintf(path, sizeof(path), LARDER_ROOT "/sys/module/%s", f->modules[k]);
			make_directories(path);
		}
	unlink(STATE_RUNNING);
	mounted = NULL;
	missing = NULL;
	swapped = false;
	devices_busy = NULL;
	forget_words();
	fake_begin();
	write_file(CHAP_FILE, "userid user\npassword " SECRET "\nmutual_userid server\n"
			      "mutual_password Another-Secret-2\n", 0600);
}

void host_end(void)
{
	fake_end();
	unlink(STATE_RUNNING);
}

void host_restart(void)
{
	fake_end();
	unlink(STATE_RUNNING);
	fake_begin();
}

/* --- commands --- */

static void take_word(struct export_request *r, const char *name, const char *value)
{
	if (!strcmp(name, "fabric"))
		r->fabric_name = value;
	else if (!strcmp(name, "wwn"))
		r->wwn = value;
	else if (!strcmp(name, "chap"))
		r->chap_file = value;
	else if (!strcmp(name, "lun"))
		r->lun = value;
	else if (!strcmp(name, "serial"))
		r->serial = value;
	else if (!strcmp(name, "alua"))
		r->alua = value;
	else if (!strcmp(name, "portal"))
		names_add(&r->portals, value);
	else if (!strcmp(name, "acl"))
		names_add(&r->acls, value);
	else if (!strcmp(name, "attribute"))
		names_add(&r->attributes, value);
	else if (!strcmp(name, "any"))
		r->any_initiator = true;
	else if (!strcmp(name, "json"))
		r->json = true;
	else if (!strcmp(name, "dry"))
		r->dry_run = true;
	else if (!strcmp(name, "readonly"))
		r->readonly = true;
	else
		r->what = name;
}

int do_export(const char *const *words)
{
	struct export_request r = { .what = NULL };
	char name[32];
	int code;

	for (; *words; words++) {
		const char *equals = **words == '/' ? NULL : strchr(*words, '=');

		snprintf(name, sizeof(name), "%.*s",
			 (int)(equals ? (size_t)(equals - *words) : strlen(*words)), *words);
		take_word(&r, equals || **words != '/' ? name : *words, equals ? equals + 1 : "");
	}
	code = request_judge(&r);
	if (!code)
		code = request_export(&r, NULL, NULL);
	names_free(&r.portals);
	names_free(&r.acls);
	names_free(&r.attributes);
	return code;
}

int do_unexport(const char *device)
{
	const struct backstore *b;
	struct exporting e;
	int code = exporting_begin(&e, false);
	size_t i;

	if (code)
		return code;
	for (i = e.state.luns; i-- > 0 && !code;) {
		b = state_backstore(&e.state, e.state.lun[i].backstore);
		if (!device || !strcmp(b->device, device))
			code = export_remove(&e, &e.state.lun[i]);
	}
	exporting_end(&e);
	return code;
}

int do_begin(void)
{
	struct exporting e;
	int code = exporting_begin(&e, false);

	if (!code)
		exporting_end(&e);
	return code;
}

size_t recorded_luns(void)
{
	struct state s;
	size_t nr;

	if (state_load(&s, STATE_RUNNING))
		return 9999;
	nr = s.luns + s.targets + s.backstores ? s.luns : 0;
	if (!s.luns)
		nr = s.targets + s.backstores;	/* nothing without a LUN */
	state_free(&s);
	return nr;
}
