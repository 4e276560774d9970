// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Takes the status line apart:
 * <metadata block size> <used>/<total> <chunk> <used>/<total> <read hits>
 * <read misses> <write hits> <write misses> <demotions> <promotions> <dirty>
 * <#features> <feature>* <#core args> <core arg>* <policy> <#policy args>
 * <policy arg>* <ro|rw> <needs_check|->
 */
#include <ctype.h>
#include <stdio.h>

#include "status-line.h"

struct words {
	const char *at;
	char word[STATUS_WORD_MAX];
};

/* The next word, cut when it is too long; false at the end. */
static bool next_word(struct words *w)
{
	size_t length = 0;

	while (*w->at == ' ')
		w->at++;
	for (; *w->at && *w->at != ' '; w->at++)
		if (length < sizeof(w->word) - 1)
			w->word[length++] = isprint((unsigned char)*w->at) ? *w->at : '?';
	w->word[length] = '\0';
	return length;
}

static bool parse_number(const char *text, char end, u64 *value, const char **rest)
{
	char *after;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &after, 10);
	*rest = after + 1;
	return !errno && *after == end;
}

static bool next_number(struct words *w, u64 *value)
{
	const char *rest;

	return next_word(w) && parse_number(w->word, '\0', value, &rest);
}

static bool next_ratio(struct words *w, u64 *part, u64 *whole)
{
	const char *rest;

	return next_word(w) && parse_number(w->word, '/', part, &rest) &&
	       parse_number(rest, '\0', whole, &rest);
}

static bool parse_numbers(struct status_line *s, struct words *w)
{
	return next_number(w, &s->metadata_block_sectors) &&
	       next_ratio(w, &s->metadata_used, &s->metadata_total) &&
	       next_number(w, &s->chunk_sectors) && next_ratio(w, &s->used, &s->total) &&
	       next_number(w, &s->read_hits) && next_number(w, &s->read_misses) &&
	       next_number(w, &s->write_hits) && next_number(w, &s->write_misses) &&
	       next_number(w, &s->demotions) && next_number(w, &s->promotions) &&
	       next_number(w, &s->dirty);
}

static bool parse_features(struct status_line *s, struct words *w)
{
	u64 nr;

	if (!next_number(w, &nr))
		return false;
	while (nr--) {
		if (!next_word(w))
			return false;
		if (!strcmp(w->word, "writeback") || !strcmp(w->word, "writethrough") ||
		    !strcmp(w->word, "passthrough"))
			memcpy(s->mode, w->word, sizeof(s->mode));
	}
	return true;
}

/* "<nr words> key value key value ..." */
static bool parse_settings(struct status_line *s, struct words *w)
{
	size_t length;
	u64 nr;

	if (!next_number(w, &nr) || nr % 2)
		return false;
	for (; nr; nr--) {
		if (!next_word(w))
			return false;
		length = strlen(s->settings);
		snprintf(s->settings + length, sizeof(s->settings) - length, "%s%s",
			 nr % 2 ? "=" : length ? " " : "", w->word);
	}
	return true;
}

const char *status_line_parse(struct status_line *s, const char *line)
{
	struct words w = { .at = line };

	memset(s, 0, sizeof(*s));
	if (!strncmp(line, "Fail", 4) || !strncmp(line, "Error", 5)) {
		s->failed = true;
		return NULL;
	}
	if (!parse_numbers(s, &w))
		return "one of its 14 leading numbers is missing";
	if (!parse_features(s, &w))
		return "its list of features is cut";
	if (!parse_settings(s, &w))
		return "its list of settings is cut";
	if (!next_word(&w))
		return "the policy is missing";
	memcpy(s->policy, w.word, sizeof(s->policy));
	if (!parse_settings(s, &w))
		return "the policy's list of settings is cut";
	if (!next_word(&w))
		return "ro or rw is missing at its end";
	s->read_only = !strcmp(w.word, "ro");
	s->needs_check = next_word(&w) && !strcmp(w.word, "needs_check");
	return NULL;
}
