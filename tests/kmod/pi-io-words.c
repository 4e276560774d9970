// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words of a command: a verb, then KEY=VALUE and flags in any order.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/string.h>

#include "pi-io.h"

#define WORD(member) { #member, offsetof(struct pi_io_words, member) }

struct word {
	const char *name;
	size_t offset;
};

static const struct word texts[] = { WORD(dev), WORD(journal), WORD(expect) };

static const struct word numbers[] = {
	WORD(start), WORD(n), WORD(seed), WORD(version), WORD(app), WORD(dataoff), WORD(pibreak),
	WORD(threads), WORD(ops), WORD(random), WORD(most), WORD(reads), WORD(plains),
	WORD(flushes), WORD(errors),
};

static const struct word flags[] = {
	WORD(plain), WORD(nocheck), WORD(fua), WORD(zero), WORD(settle), WORD(piece),
};

static void *find(struct pi_io_words *words, const struct word *table, size_t count,
		  const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(table[i].name, name))
			return (void *)words + table[i].offset;
	return NULL;
}

/* K,K...: ascending */
static int parse_cuts(struct pi_io_words *words, char *list)
{
	char *one;
	u64 cut;

	while ((one = strsep(&list, ",")) != NULL) {
		if (words->nr_cuts == PI_IO_MAX_CUTS || kstrtou64(one, 0, &cut) || !cut)
			return -EINVAL;
		if (words->nr_cuts && cut <= words->cuts[words->nr_cuts - 1])
			return -EINVAL;
		words->cuts[words->nr_cuts++] = cut;
	}
	return 0;
}

/* WHAT:K,WHAT:K... */
static int parse_bad(struct pi_io_words *words, char *list)
{
	static const char *const names[] = { "data", "guard", "app", "ref" };
	char *one, *what;
	int kind;

	while ((one = strsep(&list, ",")) != NULL) {
		what = strsep(&one, ":");
		kind = match_string(names, ARRAY_SIZE(names), what);
		if (kind < 0 || !one || words->nr_bad == PI_IO_MAX_BAD ||
		    kstrtou64(one, 0, &words->bad[words->nr_bad].interval))
			return -EINVAL;
		words->bad[words->nr_bad++].what = BIT(kind);
	}
	return 0;
}

static int parse_pair(struct pi_io_words *words, const char *key, char *value)
{
	void *member = find(words, texts, ARRAY_SIZE(texts), key);

	if (member) {
		*(const char **)member = value;
		return *value ? 0 : -EINVAL;
	}
	member = find(words, numbers, ARRAY_SIZE(numbers), key);
	if (member)
		return kstrtou64(value, 0, member) || *(u64 *)member == PI_IO_NOT_GIVEN ?
			-EINVAL : 0;
	if (!strcmp(key, "cut"))
		return parse_cuts(words, value);
	if (!strcmp(key, "bad"))
		return parse_bad(words, value);
	return -EINVAL;
}

static int parse_flag(struct pi_io_words *words, const char *name)
{
	bool *member = find(words, flags, ARRAY_SIZE(flags), name);

	if (!member)
		return -EINVAL;
	*member = true;
	return 0;
}

int pi_io_parse(struct pi_io_session *session, struct pi_io_words *words, char *text)
{
	size_t i;
	char *word, *key;
	int error;

	memset(words, 0, sizeof(*words));
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		*(u64 *)((void *)words + numbers[i].offset) = PI_IO_NOT_GIVEN;
	words->verb = strsep(&text, " ");
	while ((word = strsep(&text, " ")) != NULL) {
		if (!*word)
			continue;
		key = strsep(&word, "=");
		error = word ? parse_pair(words, key, word) : parse_flag(words, key);
		if (error) {
			pi_io_say(session, "error: cannot understand '%s%s...'\n", key,
				  word ? "=" : "");
			return error;
		}
	}
	return 0;
}
