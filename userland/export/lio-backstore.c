// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes and removes a backstore of LIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lio.h"

#define RTSLIB_LOCK	LARDER_ROOT "/run/rtslib_backstore.lock"
#define LOCK_TRIES	300
#define LOCK_TICK_NS	100000000

/* --- attributes --- */

/* What can be wished for; the rest follows from the device, or would not be true. */
static const char *const settable[] = {
	"emulate_3pc", "emulate_caw", "emulate_model_alias", "emulate_rest_reord", "emulate_rsoc",
	"emulate_tas", "emulate_tpu", "emulate_tpws", "emulate_ua_intlck_ctrl", "enforce_pr_isids",
	"force_pr_aptpl", "is_nonrot", "max_unmap_block_desc_count", "max_unmap_lba_count",
	"max_write_same_len", "pi_prot_verify", "queue_depth", "submit_type",
	"unmap_granularity", "unmap_granularity_alignment",
};

static const struct refused {
	const char *name, *why;
} refused[] = {
	{ "unmap_zeroes_data", "a range need not read as zeros after UNMAP" },
	{ "emulate_pr", "without it LIO refuses all reservations, on which initiators that share a "
			"device rely" },
	{ "block_size", "it is that of the device" },
	{ "emulate_write_cache", "it is what the device says" },
	{ "optimal_sectors", "it is what the device says" },
	{ "pi_prot_type", "it is that of the device" },
	{ "alua_support", "without it paths cannot be told apart" },
	{ "pgr_support", "without it reservations are handed to the device, and a cached one "
			 "refuses them" },
};

int lio_judge_attribute(const char *key_value)
{
	size_t i, length = strcspn(key_value, "=");
	char *end;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strlen(refused[i].name) == length &&
		    !strncmp(refused[i].name, key_value, length))
			return wrong_usage("--attribute %s is refused: %s", refused[i].name,
					   refused[i].why);
	for (i = 0; i < sizeof(settable) / sizeof(settable[0]); i++)
		if (strlen(settable[i]) == length && !strncmp(settable[i], key_value, length))
			break;
	if (i == sizeof(settable) / sizeof(settable[0]))
		return wrong_usage("--attribute %.*s: there is no such attribute", (int)length,
				   key_value);
	errno = 0;
	if (key_value[length] != '=' || key_value[length + 1] < '0' ||
	    key_value[length + 1] > '9' ||
	    strtoull(key_value + length + 1, &end, 10) > UINT32_MAX || *end || errno)
		return wrong_usage("--attribute %s: expected %.*s=N", key_value, (int)length,
				   key_value);
	return 0;
}

static void set_attribute(struct journal *j, const char *place, const char *name, uint64_t value)
{
	char path[CONFIGFS_PATH_MAX];

	configfs_path(path, "%s/attrib/%s", place, name);
	journal_write(j, path, "%llu", (unsigned long long)value);
}

static void set_attributes(struct journal *j, const struct backstore *b,
			   const struct backing *backing, const char *place)
{
	size_t i;

	if (backing->discard_bytes && !b->readonly) {
		set_attribute(j, place, "emulate_tpu", 1);
		set_attribute(j, place, "emulate_tpws", 1);
	}
	for (i = 0; i < b->attributes.nr; i++) {
		const char *word = b->attributes.name[i];
		char name[64];

		if (journal_fail(j, lio_judge_attribute(word)))
			return;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
		set_attribute(j, place, name, strtoull(strchr(word, '=') + 1, NULL, 10));
	}
}

/* --- a place --- */

/* rtslib holds it while it looks for a free number. */
static int lock_rtslib(struct journal *j)
{
	const struct timespec tick = { 0, LOCK_TICK_NS };
	int i, fd = open(RTSLIB_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0) {
		complain("cannot open %s: %s", RTSLIB_LOCK, strerror(errno));
		journal_fail(j, EXIT_NO_OUTPUT);
		return -1;
	}
	for (i = 0; i < LOCK_TRIES && !journal_interrupted(); i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		nanosleep(&tick, NULL);
	}
	complain("%s is held by somebody else (targetcli?)", RTSLIB_LOCK);
	journal_fail(j, EXIT_INTERRUPTED);
	close(fd);
	return -1;
}

static bool number_taken(const struct names *hbas, unsigned int number)
{
	const char *underscore;
	size_t i;

	for (i = 0; i < hbas->nr; i++) {
		underscore = strrchr(hbas->name[i], '_');
		if (underscore && strtoul(underscore + 1, NULL, 10) == number)
			return true;
	}
	return false;
}

static void make_place(struct journal *j, const struct backstore *b, char place[CONFIGFS_PATH_MAX])
{
	char hba[CONFIGFS_PATH_MAX];
	unsigned int number = 0;
	struct names hbas;
	int lock = j->dry_run || j->code ? -1 : lock_rtslib(j);

	configfs_list(j->configfs, "target/core", &hbas);
	while (number_taken(&hbas, number))
		number++;
	names_free(&hbas);
	configfs_path(hba, "target/core/iblock_%u", number);
	configfs_path(place, "%s/%s", hba, b->name);
	journal_make(j, hba);
	journal_make(j, place);
	if (lock >= 0)
		close(lock);
}

/* --- the whole --- */

struct clash {
	const struct backstore *b;
	bool found;
};

static bool clashes(void *context, const struct lio_backstore *other)
{
	struct clash *c = context;

	if (!strcmp(other->plugin, "iblock") && !strcmp(other->name, c->b->name))
		complain("%s: there is a storage object of this name already, for %s", c->b->name,
			 *other->device ? other->device : "no device");
	else if (*other->serial && lio_same_naa(other->serial, c->b->serial))
		complain("%s has the serial number %s, which makes the same NAA name: initiators "
			 "would take both for one device", other->path, other->serial);
	else
		return false;
	c->found = true;
	return true;
}

/* A link in /dev may have become another's since we looked at it. */
static void judge_opened(struct journal *j, const struct backing *backing, const char *place)
{
	dev_t number = j->code || j->dry_run ? 0 : lio_number_at(j->configfs, place);

	if (!number || number == backing->number)
		return;
	complain("%s has become another device meanwhile: try again", backing->device);
	journal_fail(j, EXIT_NOT_OURS);
}

int lio_make_backstore(struct journal *j, const struct backstore *b, const struct backing *backing,
		       before_luns_fn before_luns, char place[CONFIGFS_PATH_MAX])
{
	struct lio_backstore found;
	struct clash clash = { b, false };
	char path[CONFIGFS_PATH_MAX];

	if (lio_find_backstore(j->configfs, b, &found) && found.enabled) {
		memcpy(place, found.path, strlen(found.path) + 1);
		return j->code;
	}
	if (lio_backstores_visit(j->configfs, clashes, &clash))
		return journal_fail(j, EXIT_NOT_OURS);
	lio_set_dbroot(j);
	make_place(j, b, place);
	configfs_path(path, "%s/udev_path", place);
	journal_write(j, path, "%s", b->device);
	configfs_path(path, "%s/control", place);
	journal_write(j, path, "udev_path=%s", b->device);
	journal_write(j, path, "readonly=%d", b->readonly);
	configfs_path(path, "%s/enable", place);
	journal_write(j, path, "1");
	judge_opened(j, backing, place);
	configfs_path(path, "%s/wwn/vpd_unit_serial", place);
	journal_write(j, path, "%s", b->serial);
	if (!j->code)
		set_attributes(j, b, backing, place);
	if (!j->code && !j->dry_run && before_luns)
		before_luns(j, b, place);
	return j->code;
}

/* All groups of ports but the one that the backstore began with. */
static int remove_groups(struct configfs *c, bool dry_run, const char *place)
{
	char path[CONFIGFS_PATH_MAX];
	struct names groups;
	int code = 0;
	size_t i;

	configfs_path(path, "%s/alua", place);
	configfs_list(c, path, &groups);
	for (i = 0; i < groups.nr && !code; i++) {
		configfs_path(path, "%s/alua/%s", place, groups.name[i]);
		if (strcmp(groups.name[i], "default_tg_pt_gp"))
			code = remove_directory(c, dry_run, path);
	}
	names_free(&groups);
	return code;
}

/* Several may be in one, if somebody else has put them there. */
static int remove_hba(struct configfs *c, bool dry_run, const char *hba)
{
	struct names names;
	int code = 0;

	configfs_list(c, hba, &names);
	if (dry_run || !names.nr)
		code = remove_directory(c, dry_run, hba);
	names_free(&names);
	return code;
}

/* Whoever was killed, or could not remove it, has left one without anything in it. */
static int remove_empty(struct configfs *c)
{
	char path[CONFIGFS_PATH_MAX];
	struct journal j = { .code = 0 };
	int lock = lock_rtslib(&j), code = j.code;
	struct names hbas;
	size_t i;

	configfs_list(c, "target/core", &hbas);
	for (i = 0; i < hbas.nr && !code; i++) {
		configfs_path(path, "target/core/%s", hbas.name[i]);
		if (!strncmp(hbas.name[i], "iblock_", 7))
			code = remove_hba(c, false, path);
	}
	names_free(&hbas);
	if (lock >= 0)
		close(lock);
	return code;
}

int lio_remove_backstore(struct configfs *c, bool dry_run, const struct backstore *b)
{
	struct lio_backstore found;
	char hba[CONFIGFS_PATH_MAX];
	int code = 0;

	if (lio_find_backstore(c, b, &found)) {
		code = remove_groups(c, dry_run, found.path);
		if (!code)
			code = remove_directory(c, dry_run, found.path);
		configfs_path(hba, "%.*s", (int)(strrchr(found.path, '/') - found.path),
			      found.path);
		return code ? code : remove_hba(c, dry_run, hba);
	}
	if (!dry_run && configfs_kind(c, "target/core") == CONFIGFS_DIRECTORY)
		code = remove_empty(c);
	return code;
}
