// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A cache of LVM that is not active, as devices that can be worked upon: its
 * components, which LVM activates one by one.  While one of them is active LVM
 * does not activate the cache, which is the lock that we need against others.
 *
 * The staging is a volume of the same volume group, with a name by which the
 * next run finds it.
 */
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <unistd.h>

#include "convert.h"
#include "convert-run.h"

#define NAME_SIZE	256
#define STAGING_TAG	"dm_larder_convert"
#define STAGING_SUFFIX	"_larder_convert"
#define NR_COMPONENTS	3

/* No volume is named without its group. */
struct lvm_volume {
	char vg[NAME_SIZE], lv[NAME_SIZE], pool[NAME_SIZE];
	/* metadata (or all of a cachevol), data, origin; "" where there is none or none needed */
	char component[NR_COMPONENTS][NAME_SIZE];
	char path[NR_COMPONENTS][2 * NAME_SIZE];
	char staging[NAME_SIZE];
	char staging_path[2 * NAME_SIZE];
	bool cachevol;
	bool active, open;
	bool touched[NR_COMPONENTS];	/* activated by us, or by a run before */
	bool staging_there, staging_foreign;
	u64 sectors, metadata_sectors;
};

/* --- lvm's commands --- */

static int run_lvm(const char *const *arguments, char **output)
{
	static const char *const programs[] = { "/usr/sbin/lvm", "/sbin/lvm", NULL };
	int code = run_first(programs, arguments, output);

	if (code < 0)
		complain("lvm cannot be run");
	else if (code)
		complain("lvm %s failed (exit code %d)", arguments[1], code);
	return code ? EXIT_NO_SERVICE : 0;
}

static const char *full_name(const struct lvm_volume *v, const char *lv)
{
	static char name[2 * NAME_SIZE];

	snprintf(name, sizeof(name), "%s/%s", v->vg, lv);
	return name;
}

static int change(const struct lvm_volume *v, const char *lv, const char *how)
{
	const char *const arguments[] = { "lvm", "lvchange", how, "-y", "-qq", full_name(v, lv),
					  NULL };

	return run_lvm(arguments, NULL);
}

/* Device mapper's name for it, where a hyphen is doubled. */
static void device_path(const struct lvm_volume *v, const char *lv, char *path)
{
	char *to = path + sprintf(path, "/dev/mapper/");
	const char *from;

	for (from = v->vg; *from; from++) {
		*to++ = *from;
		if (*from == '-')
			*to++ = '-';
	}
	*to++ = '-';
	for (from = lv; *from; from++) {
		*to++ = *from;
		if (*from == '-')
			*to++ = '-';
	}
	*to = '\0';
}

/* --- what LVM reports --- */

/* Hidden volumes come in brackets. */
static void take_name(char to[NAME_SIZE], const char *from)
{
	size_t length = strlen(from);

	if (*from == '[' && length > 1 && from[length - 1] == ']') {
		from++;
		length -= 2;
	}
	if (length >= NAME_SIZE)
		length = 0;
	memcpy(to, from, length);
	to[length] = '\0';
}

static const char *column(struct json_object *row, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(row, name, &value) ? json_object_get_string(value) : "";
}

static struct json_object *find_row(struct json_object *rows, const char *lv)
{
	size_t i, nr = json_object_array_length(rows);
	char name[NAME_SIZE];

	for (i = 0; i < nr; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		take_name(name, column(row, "lv_name"));
		if (!strcmp(name, lv))
			return row;
	}
	return NULL;
}

/* kind: what the report is of, "lv", "vg" */
static struct json_object *rows_of(struct json_object *report, const char *kind)
{
	struct json_object *list, *rows;

	if (!json_object_object_get_ex(report, "report", &list) ||
	    !json_object_is_type(list, json_type_array) || !json_object_array_length(list) ||
	    !json_object_object_get_ex(json_object_array_get_idx(list, 0), kind, &rows) ||
	    !json_object_is_type(rows, json_type_array))
		return NULL;
	return rows;
}

static int take_pool(struct convert *c, struct lvm_volume *v, struct json_object *rows)
{
	struct json_object *pool = find_row(rows, v->pool);

	if (!pool) {
		complain("LVM does not report %s/%s", v->vg, v->pool);
		return EXIT_NO_SERVICE;
	}
	v->cachevol = strcmp(column(pool, "segtype"), "cache-pool") != 0;
	if (v->cachevol) {
		take_name(v->component[0], v->pool);
	} else {
		take_name(v->component[0], column(pool, "metadata_lv"));
		take_name(v->component[1], column(pool, "data_lv"));
	}
	/* the other way round the data is not touched */
	if (c->from) {
		v->component[1][0] = '\0';
		v->component[2][0] = '\0';
	}
	if (v->cachevol && !v->metadata_sectors) {
		complain("LVM does not report the size of the metadata of %s", c->volume);
		return EXIT_NO_SERVICE;
	}
	return 0;
}

/* What the kernel's dm-cache would refuse in its table; LVM passes all on. */
static bool known_to_stock(const char *policy, const char *settings)
{
	static const char *const policies[] = { "", "smq", "mq", "cleaner", "default" };
	static const char *const keys[] = { "migration_threshold=", "random_threshold=",
		"sequential_threshold=", "discard_promote_adjustment=", "read_promote_adjustment=",
		"write_promote_adjustment=" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(policies) && strcmp(policy, policies[i]); i++)
		;
	if (i == ARRAY_SIZE(policies))
		return false;
	while (*settings) {
		for (i = 0; i < ARRAY_SIZE(keys); i++)
			if (!strncmp(settings, keys[i], strlen(keys[i])))
				break;
		if (i == ARRAY_SIZE(keys))
			return false;
		settings += strcspn(settings, ",");
		settings += *settings == ',';
	}
	return true;
}

static int judge_policy(const struct convert *c, struct json_object *row)
{
	if (c->from || known_to_stock(column(row, "cache_policy"), column(row, "cache_settings")))
		return 0;
	complain("dm-cache does not know the policy of %s (%s) or its settings (%s): lvchange "
		 "--cachepolicy smq --cachesettings default %s first", c->volume,
		 column(row, "cache_policy"), column(row, "cache_settings"), c->volume);
	return EXIT_NOT_OURS;
}

static int take_rows(struct convert *c, struct lvm_volume *v, struct json_object *rows)
{
	struct json_object *row = find_row(rows, v->lv), *staging;
	int code;

	if (!row) {
		complain("there is no volume %s", c->volume);
		return EXIT_NO_INPUT;
	}
	if (strcmp(column(row, "segtype"), "cache")) {
		complain("%s is no cache, but %s", c->volume, column(row, "segtype"));
		return EXIT_NOT_OURS;
	}
	take_name(v->pool, column(row, "pool_lv"));
	take_name(v->component[2], column(row, "origin"));
	v->sectors = strtoull(column(row, "lv_size"), NULL, 10);
	v->metadata_sectors = strtoull(column(row, "lv_metadata_size"), NULL, 10);
	v->active = *column(row, "lv_active");
	v->open = *column(row, "lv_device_open");
	staging = find_row(rows, v->staging);
	v->staging_there = staging;
	v->staging_foreign = staging && !strstr(column(staging, "lv_tags"), STAGING_TAG);
	code = judge_policy(c, row);
	return code ? code : take_pool(c, v, rows);
}

static int report(struct convert *c, struct lvm_volume *v)
{
	const char *const arguments[] = { "lvm", "lvs", "--reportformat", "json", "-a", "--units",
		"s", "--nosuffix", "-o",
		"lv_name,segtype,pool_lv,origin,data_lv,metadata_lv,lv_size,"
		"lv_metadata_size,lv_active,lv_device_open,lv_tags,cache_policy,cache_settings",
		v->vg, NULL };
	struct json_object *whole, *rows;
	char *text;
	int code = run_lvm(arguments, &text);

	if (code) {
		free(text);
		return code;
	}
	whole = json_tokener_parse(text);
	rows = whole ? rows_of(whole, "lv") : NULL;
	if (rows) {
		code = take_rows(c, v, rows);
	} else {
		complain("the report of lvm is not understood");
		code = EXIT_NO_SERVICE;
	}
	json_object_put(whole);
	free(text);
	return code;
}

/* --- preparing --- */

static int split_name(struct convert *c, struct lvm_volume *v)
{
	const char *slash = strchr(c->volume, '/');
	size_t vg = slash ? (size_t)(slash - c->volume) : 0;

	if (!vg || !slash[1] || strchr(slash + 1, '/') || vg >= NAME_SIZE || *c->volume == '-' ||
	    strlen(slash + 1) > 200)
		return wrong_usage("expected VG/LV, not '%s'", c->volume);
	memcpy(v->vg, c->volume, vg);
	snprintf(v->lv, sizeof(v->lv), "%s", slash + 1);
	snprintf(v->staging, sizeof(v->staging), "%.200s%s", v->lv, STAGING_SUFFIX);
	device_path(v, v->staging, v->staging_path);
	return 0;
}

static bool consent(const struct convert *c)
{
	char answer[16];

	if (c->assume_yes)
		return true;
	if (!isatty(STDIN_FILENO))
		return false;
	fprintf(stderr, "%s is active: stop it? [y/n] ", c->volume);
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

static int stop(const struct convert *c, const struct lvm_volume *v)
{
	if (!v->active)
		return 0;
	if (v->open) {
		complain("%s is in use: unmount it, or close what stands upon it, first",
			 c->volume);
		return EXIT_NO_INPUT;
	}
	if (c->dry_run || !consent(c)) {
		complain("%s is active: lvchange -an %s first%s", c->volume, c->volume,
			 c->dry_run ? "" : ", or give --yes");
		return EXIT_NO_INPUT;
	}
	return change(v, v->lv, "-an");
}

static int activate(const struct convert *c, struct lvm_volume *v)
{
	unsigned int i;
	int code = 0;

	for (i = 0; i < NR_COMPONENTS && !code; i++) {
		if (!*v->component[i])
			continue;
		device_path(v, v->component[i], v->path[i]);
		/* also after a run that was killed, which has left it active */
		v->touched[i] = true;
		code = change(v, v->component[i], "-ay");
		if (!code && !c->dry_run)
			code = make_writable(v->path[i]);
	}
	return code;
}

static int flush_device(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;

	if (fd < 0 || fsync(fd)) {
		complain("cannot flush %s: %s", path, strerror(errno));
		code = EXIT_IO;
	}
	if (fd >= 0)
		close(fd);
	return code;
}

/* LVM does not: after a power cut it might know nothing of the volume it has made. */
static int flush_pvs(const struct lvm_volume *v)
{
	const char *const arguments[] = { "lvm", "vgs", "--reportformat", "json", "-o", "pv_name",
					  v->vg, NULL };
	struct json_object *whole, *rows;
	char *text;
	int code = run_lvm(arguments, &text);
	size_t i;

	whole = code ? NULL : json_tokener_parse(text);
	rows = whole ? rows_of(whole, "vg") : NULL;
	if (!code && !rows) {
		complain("the report of lvm is not understood");
		code = EXIT_NO_SERVICE;
	}
	for (i = 0; !code && i < json_object_array_length(rows); i++)
		code = flush_device(column(json_object_array_get_idx(rows, i), "pv_name"));
	json_object_put(whole);
	free(text);
	return code;
}

static int make_staging(const struct convert *c, struct lvm_volume *v)
{
	char size[32];
	const char *const arguments[] = { "lvm", "lvcreate", "-y", "-qq", "-Zy", "-Wy", "-n",
					  v->staging, "-L", size, "--addtag", STAGING_TAG, v->vg,
					  NULL };
	u64 sectors = v->metadata_sectors;
	struct disk metadata;
	int code;

	if (v->staging_foreign) {
		complain("%s/%s is none of ours: rename it, or give --staging", v->vg, v->staging);
		return EXIT_NO_OUTPUT;
	}
	if (v->staging_there)
		return change(v, v->staging, "-ay");
	if (!v->cachevol) {
		code = disk_open(&metadata, v->path[0], false);
		if (code)
			return code;
		sectors = metadata.sectors;
		disk_close(&metadata);
	}
	snprintf(size, sizeof(size), "%llus",
		 (unsigned long long)(sectors + LARDER_UNIT_SECTORS));
	code = run_lvm(arguments, NULL);
	if (!code) {
		v->staging_there = true;
		return flush_pvs(v);
	}
	complain("the new metadata needs %llu MiB in volume group %s, or a file elsewhere: see "
		 "--staging", (unsigned long long)(sectors >> 11) + 1, v->vg);
	return EXIT_NO_OUTPUT;
}

int lvm_prepare(struct convert *c)
{
	struct lvm_volume *v = calloc(1, sizeof(*v));
	int code;

	c->lvm = v;
	if (!v) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	code = split_name(c, v);
	if (!code)
		code = report(c, v);
	if (!code)
		code = stop(c, v);
	if (!code)
		code = activate(c, v);
	if (!code && !c->staging_path && !c->dry_run) {
		code = make_staging(c, v);
		c->staging_path = v->staging_path;
	}
	c->metadata_path = v->path[0];
	c->cache_path = *v->component[1] ? v->path[1] : NULL;
	c->origin_path = *v->component[2] ? v->path[2] : NULL;
	c->origin_sectors = v->sectors;
	c->metadata_sectors = v->cachevol ? v->metadata_sectors : 0;
	return code;
}

/* --- afterwards --- */

static int remove_staging(const struct lvm_volume *v)
{
	const char *const arguments[] = { "lvm", "lvremove", "-f", "-y", "-qq",
					  full_name(v, v->staging), NULL };

	return run_lvm(arguments, NULL);
}

/* udev looks at each device that was written; on a busy host LVM is not patient enough. */
static void let_udev_look(void)
{
	static const char *const programs[] = { "/usr/bin/udevadm", "/bin/udevadm", NULL };
	static const char *const arguments[] = { "udevadm", "settle", "--timeout=60", NULL };

	run_first(programs, arguments, NULL);
}

int lvm_finish(struct convert *c, bool done)
{
	struct lvm_volume *v = c->lvm;
	unsigned int i;
	int code = 0, one;

	if (!v)
		return 0;
	if (v->touched[0])
		let_udev_look();
	for (i = 0; i < NR_COMPONENTS; i++) {
		if (!v->touched[i])
			continue;
		one = change(v, v->component[i], "-an");
		code = code ? code : one;
	}
	/* before the mark it is waste, and behind the end */
	if (c->staging_path == v->staging_path && v->staging_there && !v->staging_foreign &&
	    (done || !c->decided)) {
		one = remove_staging(v);
		code = code ? code : one;
	}
	if (done && v->active && !c->quiet && !c->json)
		printf("activate it again with lvchange -ay %s\n", c->volume);
	free(v);
	c->lvm = NULL;
	return code;
}
