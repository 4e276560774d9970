// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-c judges the text and says what is in it; where each element begins and
 * ends is found here, so that those of others need not be written anew: who
 * knows what their tools put into them, and how.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saveconfig-splice.h"

#define INDENT	4	/* of an element, in what targetctl writes */

/* The two lists, and by what their elements are known. */
static const struct list_kind {
	const char *name;
	const char *key[2];
} kinds[] = {
	{ "storage_objects", { "plugin", "name" } },
	{ "targets", { "fabric", "wwn" } },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define MARK	"larder"
#define NR_PLACES (NR_KINDS + 1)

struct splice {
	FILE *out;
	const char *text;
	struct json_object *whole, *ours, *gone;
	/* in the order of the text; those that it lacks come last, with at = NULL */
	struct place {
		const char *at;
		const struct list_kind *kind;	/* NULL: the mark */
	} place[NR_PLACES];
};

/* --- the text: valid JSON, so that nothing has to be checked again --- */

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

static const char *skip_value(const char *at)
{
	unsigned int depth = 0;

	do {
		if (*at == '"') {
			at = skip_string(at);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		else if (!depth)	/* a number or a word */
			return at + strcspn(at, ",]} \t\r\n");
		at++;
	} while (*at && depth);
	return at;
}

/* The value of a member of the object at *at; *nr: how often there is one of this name. */
static const char *find_member(const char *at, const char *name, unsigned int *nr)
{
	const char *value = NULL, *key;
	size_t length = strlen(name);

	*nr = 0;
	at = skip_space(at) + 1;
	for (at = skip_space(at); *at == '"'; at = skip_space(at)) {
		key = at + 1;
		at = skip_space(skip_string(at)) + 1;
		at = skip_space(at);
		if (!strncmp(key, name, length) && key[length] == '"') {
			value = at;
			(*nr)++;
		}
		at = skip_space(skip_value(at));
		if (*at == ',')
			at++;
	}
	return value;
}

/* --- who is who --- */

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static bool same(const struct list_kind *kind, struct json_object *a, struct json_object *b)
{
	const char *one, *other;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		one = text_of(a, kind->key[i]);
		other = text_of(b, kind->key[i]);
		if (!one || !other || strcmp(one, other))
			return false;
	}
	return true;
}

static struct json_object *list_of(struct json_object *whole, const char *name)
{
	struct json_object *list;

	if (!json_object_is_type(whole, json_type_object) ||
	    !json_object_object_get_ex(whole, name, &list) ||
	    !json_object_is_type(list, json_type_array))
		return NULL;
	return list;
}

static struct json_object *find(const struct list_kind *kind, struct json_object *whole,
				struct json_object *element)
{
	struct json_object *list = list_of(whole, kind->name);
	size_t i, nr = list ? json_object_array_length(list) : 0;

	for (i = 0; i < nr; i++)
		if (same(kind, json_object_array_get_idx(list, i), element))
			return json_object_array_get_idx(list, i);
	return NULL;
}

/* --- writing --- */

static void put(FILE *out, const char *from, const char *to)
{
	fwrite(from, 1, (size_t)(to - from), out);
}

/* As targetctl would have it there.  No string of JSON has the end of a line in it. */
static void put_element(FILE *out, struct json_object *element, int indent)
{
	const char *at = json_object_to_json_string_ext(element, JSON_C_TO_STRING_PRETTY |
							JSON_C_TO_STRING_SPACED |
							JSON_C_TO_STRING_NOSLASHESCAPE);

	for (; *at; at++) {
		fputc(*at, out);
		if (*at == '\n')
			fprintf(out, "%*s", indent, "");
	}
}

/* The elements of ours that the text does not have. */
static void put_new(struct splice *s, const struct list_kind *kind, bool first)
{
	struct json_object *mine = list_of(s->ours, kind->name), *element;
	size_t i, nr = mine ? json_object_array_length(mine) : 0;

	for (i = 0; i < nr; i++) {
		element = json_object_array_get_idx(mine, i);
		if (find(kind, s->whole, element))
			continue;
		fprintf(s->out, "%s\n%*s", first ? "" : ",", INDENT, "");
		put_element(s->out, element, INDENT);
		first = false;
	}
}

/* at: its "[".  Returns what comes behind its "]". */
static const char *put_list(struct splice *s, const struct list_kind *kind, const char *at)
{
	struct json_object *list = list_of(s->whole, kind->name), *element, *mine;
	size_t i, nr = json_object_array_length(list);
	const char *gap = at + 1, *end, *start;
	bool first = true;

	fputc('[', s->out);
	for (i = 0; i < nr; i++, gap = end) {
		element = json_object_array_get_idx(list, i);
		mine = find(kind, s->ours, element);
		start = skip_space(gap);
		start = i ? skip_space(start + 1) : start;	/* the comma */
		end = skip_value(start);
		if (!mine && find(kind, s->gone, element))
			continue;
		if (first && i)		/* those before are gone, and so is the need of a comma */
			gap = strchr(gap, ',') + 1;
		put(s->out, gap, start);
		if (mine)
			put_element(s->out, mine, INDENT);
		else
			put(s->out, start, end);
		first = false;
	}
	put_new(s, kind, first);
	end = skip_space(gap);
	if (end == gap && !nr)
		fputs("\n  ", s->out);
	else
		put(s->out, gap, end);
	fputc(']', s->out);
	return end + 1;
}

/* What is ours, by name. */
static struct json_object *make_mark(struct json_object *ours)
{
	struct json_object *mark = json_object_new_object(), *names, *list, *name, *element;
	const char *text;
	unsigned int i, k;
	size_t at;

	for (i = 0; i < NR_KINDS; i++) {
		list = list_of(ours, kinds[i].name);
		names = json_object_new_array();
		for (at = 0; list && at < json_object_array_length(list); at++) {
			name = json_object_new_object();
			element = json_object_array_get_idx(list, at);
			for (k = 0; k < 2; k++) {
				text = text_of(element, kinds[i].key[k]);
				json_object_object_add(name, kinds[i].key[k],
						       json_object_new_string(text));
			}
			json_object_array_add(names, name);
		}
		json_object_object_add(mark, kinds[i].name, names);
	}
	return mark;
}

static void put_mark(struct splice *s)
{
	struct json_object *mark = make_mark(s->ours);

	put_element(s->out, mark, INDENT / 2);
	json_object_put(mark);
}

/* A member that the text lacks, before the "}" of the whole. */
static void put_lacking(struct splice *s, const struct list_kind *kind, bool first)
{
	fprintf(s->out, "%s\n  \"%s\": ", first ? "" : ",", kind ? kind->name : MARK);
	if (!kind) {
		put_mark(s);
		return;
	}
	fputc('[', s->out);
	put_new(s, kind, true);
	fputs("\n  ]", s->out);
}

static int by_place(const void *a, const void *b)
{
	const struct place *one = a, *other = b;

	if (!one->at != !other->at)
		return one->at ? -1 : 1;
	return one->at < other->at ? -1 : one->at > other->at;
}

static void put_all(struct splice *s)
{
	bool empty = !json_object_object_length(s->whole), lacking;
	const char *at = s->text, *end;
	unsigned int i, nr;

	for (i = 0; i < NR_PLACES; i++) {
		s->place[i].kind = i < NR_KINDS ? &kinds[i] : NULL;
		s->place[i].at = find_member(s->text, i < NR_KINDS ? kinds[i].name : MARK, &nr);
	}
	qsort(s->place, NR_PLACES, sizeof(s->place[0]), by_place);
	for (i = 0; i < NR_PLACES && s->place[i].at; i++) {
		put(s->out, at, s->place[i].at);
		at = s->place[i].at;
		if (s->place[i].kind) {
			at = put_list(s, s->place[i].kind, at);
		} else {
			put_mark(s);
			at = skip_value(at);
		}
	}
	end = strrchr(at, '}');
	lacking = i < NR_PLACES;
	while (lacking && end > at && strchr(" \t\r\n", end[-1]))
		end--;
	put(s->out, at, end);
	for (; i < NR_PLACES; i++, empty = false)
		put_lacking(s, s->place[i].kind, empty);
	if (lacking && *end == '}')
		fputc('\n', s->out);
	fputs(end, s->out);
}

/* --- judging --- */

static struct json_object *parse(const char *text, size_t length, const char **why)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *whole;

	if (!tokener) {
		*why = "not enough memory";
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* with the zero at its end, so that it ends there */
	whole = json_tokener_parse_ex(tokener, text, (int)length + 1);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    !json_object_is_type(whole, json_type_object)) {
		*why = "it is no object of JSON";
		json_object_put(whole);
		whole = NULL;
	}
	json_tokener_free(tokener);
	return whole;
}

static bool is_whole(const char *text, size_t length)
{
	const char *why;
	struct json_object *whole = length > SAVECONFIG_MAX ? NULL : parse(text, length, &why);
	bool good = whole;

	json_object_put(whole);
	return good;
}

/* json-c takes the last of two members of one name; which one would others take? */
static const char *judge(const char *text, struct json_object *whole)
{
	struct json_object *list;
	unsigned int i, nr;

	for (i = 0; i < NR_PLACES; i++) {
		const char *name = i < NR_KINDS ? kinds[i].name : MARK;
		bool there = json_object_object_get_ex(whole, name, &list);

		find_member(text, name, &nr);
		if (nr > 1)
			return "it has one of its lists twice";
		if (there == !nr)
			return "the name of one of its lists is spelled with escapes";
		if (there && i < NR_KINDS && !json_object_is_type(list, json_type_array))
			return "\"storage_objects\" or \"targets\" is no list";
	}
	return NULL;
}

char *saveconfig_splice(const char *text, size_t length, struct json_object *ours,
			const char **why)
{
	struct splice s = { .text = text, .ours = ours };
	char *result = NULL;
	size_t size;
	bool failed;

	*why = NULL;
	if (length > SAVECONFIG_MAX || strlen(text) != length) {
		*why = "it is too long, or has zeros in it";
		return NULL;
	}
	s.whole = parse(text, length, why);
	if (s.whole)
		*why = judge(text, s.whole);
	if (s.whole && !*why)
		s.out = open_memstream(&result, &size);
	if (s.out) {
		json_object_object_get_ex(s.whole, MARK, &s.gone);
		put_all(&s);
		failed = ferror(s.out);
		if (fclose(s.out) || failed) {
			free(result);
			result = NULL;
		}
	}
	/* what is not ours must not be lost with it */
	if (result && !is_whole(result, size)) {
		free(result);
		result = NULL;
		*why = "it would be too long, or one of our names is no UTF-8";
	}
	if (!result && !*why)
		*why = "not enough memory";
	json_object_put(s.whole);
	return result;
}
