// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words that describe a disk: name=ssd type=ssd size=256M ... Everything that is not understood
 * is refused with a message that says what was expected.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/string.h>

#include "simdisk.h"

#define KNOB(member, low, high) \
	{ #member, offsetof(struct simdisk_knobs, member), low, high }

/* One for each member of struct simdisk_knobs. */
const struct simdisk_knob_rule simdisk_knob_rules[SIMDISK_KNOB_COUNT] = {
	KNOB(read_us, 0, 60000000),
	KNOB(write_us, 0, 60000000),
	KNOB(flush_us, 0, 60000000),
	KNOB(flush_idle_us, 0, 60000000),
	KNOB(fua_us, 0, 60000000),
	KNOB(discard_us, 0, 60000000),
	KNOB(command_us, 0, 60000000),
	KNOB(mbps, 0, 1000000),
	KNOB(seek_min_us, 0, 60000000),
	KNOB(seek_max_us, 0, 60000000),
	KNOB(rpm, 1, 1000000),
	KNOB(starve_ms, 1, 60000),
	KNOB(fast, 0, 1),
	KNOB(dead, 0, 1),
	KNOB(cache_kib, 64, 1U << 30),
	KNOB(versions, 1, 1000),
	KNOB(atomic, 512, 4096),
	KNOB(torn, 0, 100),
	KNOB(leak, 0, 100),
};

static const struct simdisk_knobs ssd_defaults = {
	.read_us = 80, .write_us = 20, .flush_us = 200, .flush_idle_us = 50, .discard_us = 50,
	.mbps = 1000, .rpm = 7200, .starve_ms = 500,
	.cache_kib = 64 << 10, .versions = 4, .atomic = 512,
};

static const struct simdisk_knobs hdd_defaults = {
	.flush_us = 4000, .flush_idle_us = 50, .discard_us = 50, .command_us = 20,
	.mbps = 200, .seek_min_us = 500, .seek_max_us = 14000, .rpm = 7200, .starve_ms = 500,
	.cache_kib = 64 << 10, .versions = 4, .atomic = 512,
};

int simdisk_check_knob(const struct simdisk_knob_rule *rule, u64 value)
{
	if (value < rule->least || value > rule->most) {
		pr_err("%s=%llu is out of range: expected %u to %u\n", rule->name, value,
		       rule->least, rule->most);
		return -EINVAL;
	}
	if (!strcmp(rule->name, "atomic") && value != 512 && value != 4096) {
		pr_err("atomic=%llu: expected 512 or 4096\n", value);
		return -EINVAL;
	}
	return 0;
}

/* The words that are no knobs and hold a number; bool ones have the limit 1. */
struct word_rule {
	const char *name;
	size_t offset;
	size_t size;
	u64 least;
	u64 most;
};

#define WORD(word, member, low, high) \
	{ word, offsetof(struct simdisk_spec, member), sizeof_field(struct simdisk_spec, member), \
	  low, high }

static const struct word_rule word_rules[] = {
	WORD("size", size, 1 << 20, 1ULL << 44),
	WORD("wc", write_cache, 0, 1),
	WORD("fua", fua, 0, 1),
	WORD("discard", discard, 0, 1),
	WORD("write_zeroes", write_zeroes, 0, 1),
	WORD("lbs", logical_block_size, 512, 4096),
	WORD("qd", queue_depth, 1, 1024),
	WORD("queues", queues, 1, 64),
};

static int set_number(struct simdisk_spec *spec, const char *key, const char *text)
{
	char *end;
	u64 value = memparse(text, &end);
	unsigned int i;

	if (end == text || *end) {
		pr_err("%s=%s: expected a number (K, M, G, T may follow)\n", key, text);
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(word_rules); i++) {
		const struct word_rule *rule = &word_rules[i];
		void *field = (void *)spec + rule->offset;

		if (strcmp(rule->name, key))
			continue;
		if (value < rule->least || value > rule->most) {
			pr_err("%s=%s is out of range: expected %llu to %llu\n", key, text,
			       rule->least, rule->most);
			return -EINVAL;
		}
		if (rule->size == sizeof(u64))
			*(u64 *)field = value;
		else if (rule->size == sizeof(unsigned int))
			*(unsigned int *)field = value;
		else
			*(bool *)field = value;
		return 0;
	}
	for (i = 0; i < SIMDISK_KNOB_COUNT; i++) {
		const struct simdisk_knob_rule *rule = &simdisk_knob_rules[i];

		if (strcmp(rule->name, key))
			continue;
		if (simdisk_check_knob(rule, value))
			return -EINVAL;
		*(u32 *)((void *)&spec->knobs + rule->offset) = value;
		return 0;
	}
	pr_err("unknown word '%s=': the words are in Documentation/testing/simulated-disks.md\n",
	       key);
	return -EINVAL;
}

static int set_word(struct simdisk_spec *spec, char *word)
{
	char *value = strchr(word, '=');

	if (!value) {
		pr_err("'%s': expected word=value\n", word);
		return -EINVAL;
	}
	*value++ = '\0';
	if (!strcmp(word, "type"))
		return 0;	/* done first, as it sets the defaults */
	if (!strcmp(word, "name")) {
		if (!*value || strchr(value, '/') ||
		    strscpy(spec->name, value, sizeof(spec->name)) < 0) {
			pr_err("name=%s: expected 1 to %zu characters without '/'\n", value,
			       sizeof(spec->name) - 1);
			return -EINVAL;
		}
		return 0;
	}
	if (!strcmp(word, "backing")) {
		kfree(spec->backing);
		spec->backing = kstrdup(value, GFP_KERNEL);
		return spec->backing ? 0 : -ENOMEM;
	}
	return set_number(spec, word, value);
}

static int set_defaults(struct simdisk_spec *spec, const char *text)
{
	const char *type = strstr(text, "type=");

	if (type && !strncmp(type + 5, "hdd", 3) && (!type[8] || strchr(", \t\n", type[8]))) {
		spec->rotational = true;
	} else if (type && (strncmp(type + 5, "ssd", 3) ||
			    (type[8] && !strchr(", \t\n", type[8])))) {
		pr_err("'%.8s': expected type=ssd or type=hdd\n", type);
		return -EINVAL;
	}
	spec->write_cache = true;
	spec->fua = !spec->rotational;
	spec->discard = !spec->rotational;
	spec->write_zeroes = true;
	spec->logical_block_size = 512;
	spec->queue_depth = spec->rotational ? 32 : 64;
	spec->queues = spec->rotational ? 1 : 2;
	spec->knobs = spec->rotational ? hdd_defaults : ssd_defaults;
	return 0;
}

static int check_spec(const struct simdisk_spec *spec)
{
	if (!spec->name[0]) {
		pr_err("a disk without a name: expected name=...\n");
		return -EINVAL;
	}
	if (!spec->size && !spec->backing) {
		pr_err("%s has no size: expected size=256M or the like, or backing=\n", spec->name);
		return -EINVAL;
	}
	if (spec->size % SIMDISK_PAGE_SIZE) {
		pr_err("%s: size=%llu is no multiple of 4096\n", spec->name, spec->size);
		return -EINVAL;
	}
	if (spec->logical_block_size != 512 && spec->logical_block_size != 4096) {
		pr_err("%s: lbs=%u: expected 512 or 4096\n", spec->name, spec->logical_block_size);
		return -EINVAL;
	}
	return 0;
}

/* On success the caller owns spec->backing. */
int simdisk_parse_spec(char *text, struct simdisk_spec *spec)
{
	char *word;
	int error;

	memset(spec, 0, sizeof(*spec));
	error = set_defaults(spec, text);
	while (!error && (word = strsep(&text, ", \t\n")) != NULL)
		if (*word)
			error = set_word(spec, word);
	if (!error)
		error = check_spec(spec);
	if (!error && spec->logical_block_size == 4096)
		spec->knobs.atomic = 4096;
	if (error)
		kfree(spec->backing);
	return error;
}
