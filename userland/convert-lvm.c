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

#define STAGING_TAG	"dm_larder_convert"
#define STAGING_SUFFIX	"_larder_convert"

#define DEVICE_DIR	LARDER_ROOT "/dev/mapper/"
#define PATH_SIZE	(sizeof(DEVICE_DIR) + sizeof(((struct lv_name *)NULL)->dm))

/* A volume that is worked upon, by itself. */
struct part {
	struct lv_name name;		/* without lv where there is none, or none is needed */
	char path[PATH_SIZE];
	bool touched;			/* activated by us, or by a run before */
};

enum component {
	METADATA,			/* or all of a cachevol */
	DATA,
	ORIGIN,
	NR_COMPONENTS,
};

struct lvm_volume {
	struct part component[NR_COMPONENTS];
	struct part staging;
	bool cachevol;
	bool active, open;
	bool staging_there, staging_foreign;
	u64 sectors, metadata_sectors;
};

static void set_part(const struct convert *c, struct part *part, const char *lv)
{
	lv_name_make(&part->name, c->lv.vg, lv);
	snprintf(part->path, sizeof(part->path), DEVICE_DIR "%s", part->name.dm);
}

/* --- lvm's commands --- */

static int run_lvm(struct program *p)
{
	int code = lvm_do(p);

	/* here, 1 is for metadata that is damaged */
	return code == EXIT_DAMAGED ? EXIT_NO_SERVICE : code;
}

static int change(const struct lv_name *name, const char *how)
{
	struct program p;

	lvm_begin(&p, "lvchange");
	program_word(&p, how);
	program_word(&p, "-y");
	program_word(&p, "-qq");
	program_word(&p, name->full);
	return run_lvm(&p);
}

/* --- what LVM reports --- */

static int take_components(struct convert *c, const struct cached_lv *cached)
{
	struct lvm_volume *v = c->lvm;
	char lv[NAME_MAX_LVM];

	if (cached->cachevol)
		memcpy(lv, cached->pool_name, sizeof(lv));
	else
		row_name(cached->pool, "metadata_lv", lv);
	if (!*lv || (cached->cachevol && !v->metadata_sectors)) {
		complain("LVM does not report the metadata of %s", c->lv.full);
		return EXIT_NO_SERVICE;
	}
	set_part(c, &v->component[METADATA], lv);
	if (c->from)		/* the data is not touched */
		return 0;
	row_name(cached->pool, "data_lv", lv);
	if (!cached->cachevol && *lv)
		set_part(c, &v->component[DATA], lv);
	row_name(cached->lv, "origin", lv);
	if (*lv)
		set_part(c, &v->component[ORIGIN], lv);
	return 0;
}

static bool is_one_of(const char *const *words, unsigned int nr, const char *word, size_t length)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (strlen(words[i]) == length && !memcmp(words[i], word, length))
			return true;
	return false;
}

/*
 * What the kernel's dm-cache would refuse in its table, as LVM passes all on: the
 * options of larder set that take it back.
 */
static void options_for_stock(char *options, size_t size, const char *policy,
			      const char *settings)
{
	static const char *const policies[] = { "", "smq", "mq", "cleaner", "default" };
	static const char *const keys[] = { "migration_threshold", "random_threshold",
		"sequential_threshold", "discard_promote_adjustment", "read_promote_adjustment",
		"write_promote_adjustment" };
	size_t used = 0, length;

	*options = '\0';
	if (!is_one_of(policies, ARRAY_SIZE(policies), policy, strlen(policy)) ||
	    strstr(settings, "policy_"))
		used = (size_t)snprintf(options, size, " --policy default");
	while (*settings && used < size) {
		length = strcspn(settings, "=,");
		if (strncmp(settings, "policy_", 7) &&
		    !is_one_of(keys, ARRAY_SIZE(keys), settings, length))
			used += (size_t)snprintf(options + used, size - used, " --set %.*s=default",
						 (int)length, settings);
		settings += strcspn(settings, ",");
		settings += *settings == ',';
	}
}

static int judge_policy(const struct convert *c, const struct cached_lv *cached)
{
	const char *policy = row_text(cached->lv, "cache_policy");
	const char *settings = row_text(cached->lv, "cache_settings");
	char options[512];

	options_for_stock(options, sizeof(options), policy, settings);
	if (c->from || !*options)
		return 0;
	complain("dm-cache does not know the policy of %s (%.60s) or its settings (%.300s). First: "
		 "larder set %s%s", c->lv.full, policy, settings, c->lv.full, options);
	return EXIT_NOT_OURS;
}

static int look(struct convert *c)
{
	struct lvm_volume *v = c->lvm;
	struct json_object *staging;
	struct cached_lv cached;
	int code = cached_lv_find(&cached, &c->lv);

	if (code)
		return code;
	v->cachevol = cached.cachevol;
	v->sectors = row_number(cached.lv, "lv_size");
	v->metadata_sectors = row_number(cached.lv, "lv_metadata_size");
	v->active = *row_text(cached.lv, "lv_active");
	v->open = *row_text(cached.lv, "lv_device_open");
	staging = find_volume(cached.rows, c->lv.vg, v->staging.name.lv);
	v->staging_there = staging;
	v->staging_foreign = staging && !strstr(row_text(staging, "lv_tags"), STAGING_TAG);
	code = judge_policy(c, &cached);
	if (!code)
		code = take_components(c, &cached);
	cached_lv_free(&cached);
	return code;
}

/* --- preparing --- */

static int stop(const struct convert *c)
{
	const char *name = c->lv.full;

	if (!c->lvm->active)
		return 0;
	if (c->lvm->open) {
		complain("%s is in use: unmount it, or close what stands upon it, first", name);
		return EXIT_NO_INPUT;
	}
	if (c->dry_run) {
		complain("%s is active: lvchange -an %s first", name, name);
		return EXIT_NO_INPUT;
	}
	if (!confirmed(c->assume_yes, "%s is active: stop it, as lvchange -an %s does?", name,
		       name))
		return EXIT_NO_INPUT;
	return change(&c->lv, "-an");
}

static int activate(const struct convert *c)
{
	struct part *part = c->lvm->component;
	unsigned int i;
	int code = 0;

	for (i = 0; i < NR_COMPONENTS && !code; i++, part++) {
		if (!*part->name.lv)
			continue;
		/* also after a run that was killed, which has left it active */
		part->touched = true;
		code = change(&part->name, "-ay");
		if (!code && !c->dry_run)
			code = make_writable(part->path);
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
static int flush_pvs(const struct convert *c)
{
	struct json_object *rows;
	int code = lvm_report(&rows, "vgs", "pv_name", c->lv.vg);
	size_t i;

	for (i = 0; !code && i < row_count(rows); i++)
		code = flush_device(row_text(row_at(rows, i), "pv_name"));
	json_object_put(rows);
	return code;
}

static int create_staging(const struct convert *c, u64 sectors)
{
	struct program p;
	char size[32];

	snprintf(size, sizeof(size), "%llus", (unsigned long long)sectors);
	lvm_begin(&p, "lvcreate");
	program_word(&p, "-y");
	program_word(&p, "-qq");
	program_word(&p, "-Zy");
	program_word(&p, "-Wy");
	program_word(&p, "-n");
	program_word(&p, c->lvm->staging.name.lv);
	program_word(&p, "-L");
	program_word(&p, size);
	program_word(&p, "--addtag");
	program_word(&p, STAGING_TAG);
	program_word(&p, c->lv.vg);
	return run_lvm(&p);
}

static int make_staging(const struct convert *c)
{
	struct lvm_volume *v = c->lvm;
	u64 sectors = v->metadata_sectors;
	struct disk metadata;
	int code;

	if (v->staging_foreign) {
		complain("%s is none of ours: rename it, or give --staging", v->staging.name.full);
		return EXIT_NO_OUTPUT;
	}
	if (v->staging_there)
		return change(&v->staging.name, "-ay");
	if (!v->cachevol) {
		code = disk_open(&metadata, v->component[METADATA].path, false);
		if (code)
			return code;
		sectors = metadata.sectors;
		disk_close(&metadata);
	}
	code = create_staging(c, sectors + LARDER_UNIT_SECTORS);
	if (!code) {
		v->staging_there = true;
		return flush_pvs(c);
	}
	complain("the new metadata needs %llu MiB in volume group %s, or a file elsewhere: see "
		 "--staging", (unsigned long long)(sectors >> 11) + 1, c->lv.vg);
	return EXIT_NO_OUTPUT;
}

static const char *path_of(const struct part *part)
{
	return *part->path ? part->path : NULL;
}

static void name_staging(struct convert *c)
{
	char lv[NAME_MAX_LVM];

	snprintf(lv, sizeof(lv), "%.*s%s", (int)(sizeof(lv) - sizeof(STAGING_SUFFIX)), c->lv.lv,
		 STAGING_SUFFIX);
	set_part(c, &c->lvm->staging, lv);
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
	name_staging(c);
	code = look(c);
	if (!code)
		code = stop(c);
	if (!code)
		code = activate(c);
	if (!code && !c->staging_path && !c->dry_run) {
		code = make_staging(c);
		c->staging_path = v->staging.path;
	}
	c->metadata_path = path_of(&v->component[METADATA]);
	c->cache_path = path_of(&v->component[DATA]);
	c->origin_path = path_of(&v->component[ORIGIN]);
	c->origin_sectors = v->sectors;
	c->metadata_sectors = v->cachevol ? v->metadata_sectors : 0;
	return code;
}

/* --- afterwards --- */

static int remove_staging(const struct lvm_volume *v)
{
	struct program p;

	lvm_begin(&p, "lvremove");
	program_word(&p, "-f");
	program_word(&p, "-y");
	program_word(&p, "-qq");
	program_word(&p, v->staging.name.full);
	return run_lvm(&p);
}

/* udev looks at each device that was written; on a busy host LVM is not patient enough. */
static void let_udev_look(void)
{
	static const char *const paths[] = {
		LARDER_ROOT "/usr/bin/udevadm", LARDER_ROOT "/bin/udevadm", NULL
	};
	struct program p = { .path = program_find(paths) };

	if (access(p.path, X_OK))
		return;
	program_word(&p, "udevadm");
	program_word(&p, "settle");
	program_word(&p, "--timeout=60");
	program_run(&p);
	program_free(&p);
}

int lvm_finish(struct convert *c, bool done)
{
	struct lvm_volume *v = c->lvm;
	unsigned int i;
	int code = 0, one;

	if (!v)
		return 0;
	if (v->component[METADATA].touched)
		let_udev_look();
	for (i = 0; i < NR_COMPONENTS; i++) {
		if (!v->component[i].touched)
			continue;
		one = change(&v->component[i].name, "-an");
		code = code ? code : one;
	}
	/* before the mark it is waste, and behind the end */
	if (c->staging_path == v->staging.path && v->staging_there && !v->staging_foreign &&
	    (done || !c->decided)) {
		one = remove_staging(v);
		code = code ? code : one;
	}
	if (done && v->active && !c->quiet && !c->json)
		printf("activate it again with lvchange -ay %s\n", c->lv.full);
	free(v);
	c->lvm = NULL;
	return code;
}
