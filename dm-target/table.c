// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words of the table line behind the three devices:
 *
 *	<chunk sectors> <#features> <feature>* <policy> <#policy args> <key value>*
 *
 *	chunk sectors	8..2097152, a multiple of 8
 *	features	writeback | writethrough | passthrough (default: writeback)
 *			no_discard_passdown	discards end at the cache
 *			metadata2		accepted and shown again, means nothing
 *			pi=auto | pi=require | pi=off	T10 protection information passes
 *						when it can (default), must, must not
 *	policy		s3fifo, cleaner, or a module dm-larder-policy-NAME;
 *			"default", "smq" and "mq" stand for the host's default
 *	policy args	the policy's own keys, and migration_threshold (accepted
 *			as dm-cache has it; the pace of write-back sees to itself);
 *			behind a policy that stands for the default, policy_NAME 1
 *			says which: LVM hands on no more for cache volumes; pi_auto,
 *			pi_require and pi_off 1 are for the same reason
 *
 * Everything is kept verbatim: STATUSTYPE_TABLE must echo it byte for byte.
 */
#include <linux/slab.h>

#include "larder.h"

const char *const larder_mode_names[NR_MODES] = {
	[MODE_WRITE_BACK] = "writeback",
	[MODE_WRITE_THROUGH] = "writethrough",
	[MODE_PASS_THROUGH] = "passthrough",
};

const char *const larder_pi_names[NR_PI] = {
	[PI_AUTO] = "auto",
	[PI_REQUIRE] = "require",
	[PI_OFF] = "off",
};

struct words {
	unsigned int argc;
	char **argv;
};

static const char *next_word(struct words *w)
{
	if (!w->argc)
		return NULL;
	w->argc--;
	return *w->argv++;
}

static int next_number(struct words *w, u64 max, u64 *value)
{
	const char *word = next_word(w);

	if (!word || kstrtou64(word, 10, value) || *value > max)
		return -EINVAL;
	return 0;
}

static int parse_pi(struct larder_args *args, const char *word, char **error)
{
	enum larder_pi pi = 0;

	while (pi < NR_PI && strcmp(larder_pi_names[pi], word))
		pi++;
	if (pi == NR_PI) {
		*error = "Expected pi=auto, pi=require or pi=off";
		return -EINVAL;
	}
	if (args->pi_given && args->pi != pi) {
		*error = "Protection information is wanted in two ways";
		return -EINVAL;
	}
	args->pi_given = true;
	args->pi = pi;
	return 0;
}

static int parse_feature(struct larder_args *args, const char *word, bool *mode_given, char **error)
{
	enum larder_mode mode = 0;

	if (!strncmp(word, "pi=", 3))
		return parse_pi(args, word + 3, error);
	while (mode < NR_MODES && strcmp(larder_mode_names[mode], word))
		mode++;
	if (mode < NR_MODES) {
		if (*mode_given) {
			*error = "More than one mode";
			return -EINVAL;
		}
		*mode_given = true;
		args->mode = mode;
	} else if (!strcmp(word, "no_discard_passdown")) {
		args->discard_passdown = false;
	} else if (!strcmp(word, "metadata2")) {
		args->metadata2 = true;
	} else {
		*error = "Unknown feature";
		DMERR("unknown feature \"%s\": expected writeback, writethrough, passthrough, no_discard_passdown, metadata2 or pi=auto|require|off",
		      word);
		return -EINVAL;
	}
	return 0;
}

static int parse_features(struct larder_args *args, struct words *w, char **error)
{
	bool mode_given = false;
	const char *word;
	u64 n;
	int err = 0;

	if (next_number(w, 16, &n)) {
		*error = "Number of features: expected 0 to 16";
		return -EINVAL;
	}
	while (n-- && !err) {
		word = next_word(w);
		if (!word) {
			*error = "Fewer features than announced";
			return -EINVAL;
		}
		err = parse_feature(args, word, &mode_given, error);
	}
	return err;
}

/* pi_auto, pi_require, pi_off */
static bool is_pi_key(const char *key)
{
	enum larder_pi pi;

	if (strncmp(key, "pi_", 3))
		return false;
	for (pi = 0; pi < NR_PI; pi++)
		if (!strcmp(larder_pi_names[pi], key + 3))
			return true;
	return false;
}

static int parse_policy(struct larder_args *args, struct words *w, char **error)
{
	const char *word = next_word(w);
	u64 n, value;

	if (!word || strlen(word) >= sizeof(args->policy_name)) {
		*error = "Policy name is missing or too long";
		return -EINVAL;
	}
	strscpy(args->policy_name, word, sizeof(args->policy_name));
	if (next_number(w, 2 * POLICY_ARGS_MAX, &n) || n % 2) {
		*error = "Number of policy arguments: expected an even number up to 64";
		return -EINVAL;
	}
	if (n != w->argc) {
		*error = n > w->argc ? "Fewer policy arguments than announced" :
				       "More arguments than announced";
		return -EINVAL;
	}
	for (; n; n -= 2) {
		word = next_word(w);
		if (next_number(w, U64_MAX, &value)) {
			*error = "Value of a policy argument is no number";
			DMERR("policy argument \"%s\": its value must be a decimal number", word);
			return -EINVAL;
		}
		if (!strcmp(word, "migration_threshold")) {
			args->migration_threshold = value;
			continue;
		}
		if (is_pi_key(word)) {
			if (value && parse_pi(args, word + 3, error))
				return -EINVAL;
			continue;
		}
		args->policy_args[args->nr_policy_args].key = word;
		args->policy_args[args->nr_policy_args++].value = value;
	}
	return 0;
}

/* Keeps the words: echo as one line, argv as separate strings that live as long as args. */
static int keep(struct larder_args *args, struct words *w)
{
	size_t bytes = 1;
	unsigned int i;
	char *at, *word;

	for (i = 0; i < w->argc; i++)
		bytes += strlen(w->argv[i]) + 1;
	args->echo = kzalloc(bytes, GFP_KERNEL);
	args->words = kzalloc(bytes, GFP_KERNEL);
	if (!args->echo || !args->words)
		return -ENOMEM;
	at = args->echo;
	word = args->words;
	for (i = 0; i < w->argc; i++) {
		size_t length = strlen(w->argv[i]) + 1;

		at += sprintf(at, "%s%s", i ? " " : "", w->argv[i]);
		memcpy(word, w->argv[i], length);
		w->argv[i] = word;
		word += length;
	}
	return 0;
}

/* argv: behind the devices.  On error *error says what is wrong; larder_free_args() in any case. */
int larder_parse_args(struct larder_args *args, unsigned int argc, char **argv, char **error)
{
	struct words w = { argc, argv };
	u64 chunk;
	int err;

	args->mode = MODE_WRITE_BACK;
	args->discard_passdown = true;
	args->migration_threshold = 2048;
	err = keep(args, &w);
	if (err) {
		*error = "Out of memory";
		return err;
	}
	if (next_number(&w, CHUNK_SECTORS_MAX, &chunk) || chunk < CHUNK_SECTORS_MIN || chunk % 8) {
		*error = "Chunk size must be a multiple of 8 sectors, from 8 to 2097152";
		return -EINVAL;
	}
	args->chunk_sectors = chunk;
	err = parse_features(args, &w, error);
	return err ?: parse_policy(args, &w, error);
}

void larder_free_args(struct larder_args *args)
{
	kfree(args->echo);
	kfree(args->words);
}
