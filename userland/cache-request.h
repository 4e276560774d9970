/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What create, attach and set are asked for: the properties of a cache.
 */
#ifndef LARDER_CACHE_REQUEST_H
#define LARDER_CACHE_REQUEST_H

#include "lvm.h"

#define SETTINGS_MAX 32

struct settings {
	unsigned int nr;
	char text[SETTINGS_MAX][64];	/* KEY=NUMBER, or KEY=default */
};

struct cache_request {
	struct lv_name lv;
	const char *cachepool;		/* one of these two, without the VG */
	const char *cachevol;
	const char *mode, *policy;
	struct settings settings;
	u64 chunk_sectors;
	bool yes, quiet;
	bool pool_is_new;		/* made by us: nothing to be lost in it */
};

/* For tables of options; what they take is judged. */
int take_mode(const struct tool_option *option, void *member, const char *text);
int take_policy(const struct tool_option *option, void *member, const char *text);
int take_setting(const struct tool_option *option, void *member, const char *text);
int take_volume_size(const struct tool_option *option, void *member, const char *text);
int take_chunk(const struct tool_option *option, void *member, const char *text);

int settings_add(struct settings *settings, const char *key, const char *value);
/* LVM hands no policy on to a cache volume, but its settings: "policy_NAME" is one. */
int settings_add_policy(struct settings *settings, const char *policy);
/* The words for lvconvert and lvchange; policy: NULL, none of LVM's business. */
void request_words(struct program *p, const char *policy, const struct settings *settings);
/* LVM drops what it does not know behind its own policies.  0, or after a message. */
int judge_settings(const struct settings *settings, const char *policy);

/* Attaches the pool or volume.  0, or an exit code after a message. */
int attach_cache(struct cache_request *r);

#endif
