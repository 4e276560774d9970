// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Expat, held on a short leash.
 *
 * Comments do not reach expat, which would keep a whole one in memory; a dump
 * has a comment as large as itself.  They are cut out before: "<!--" can stand
 * nowhere else in a document without CDATA, processing instructions and DTD,
 * all of which are refused.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <expat.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder.h"
#include "progress.h"
#include "xml.h"

#define DEPTH_MAX	3
#define MEMORY_MAX	(8u << 20)	/* of expat: a token, its attributes and so on */
#define PIECE		(256u << 10)

struct document {
	XML_Parser parser;
	const struct xml_element *stack[DEPTH_MAX];
	unsigned int depth;
	unsigned long line_offset;
};

enum comment {
	COMMENT_NONE,
	COMMENT_BEGINS,		/* nothing but blanks so far */
	COMMENT_DROPPED,
	COMMENT_DOCUMENT,
};

struct xml {
	const char *path;
	const struct xml_element *elements;
	unsigned int nr_elements;
	void *context;
	struct document outer;
	struct document inner;
	struct document *current;
	enum comment comment;
	unsigned long lines;	/* before what is being parsed */
	unsigned long hidden;	/* of these, in comments */
	int code;
	char buffer[PIECE];
};

void *xml_context(struct xml *x)
{
	return x->context;
}

static unsigned long current_line(const struct xml *x)
{
	return XML_GetCurrentLineNumber(x->current->parser) + x->current->line_offset;
}

void xml_refuse(struct xml *x, const char *format, ...)
{
	char why[300], *c;
	va_list args;

	if (x->code)
		return;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	for (c = why; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	x->code = EXIT_DAMAGED;
	complain("%s, line %lu: %s", x->path, current_line(x), why);
	XML_StopParser(x->current->parser, XML_FALSE);
}

/* --- memory --- */

static size_t memory_used;

union block {
	size_t size;
	max_align_t align;
};

static void *limited_realloc(void *old, size_t size)
{
	union block *block, *before = old ? (union block *)old - 1 : NULL;
	size_t used = memory_used - (before ? before->size : 0);

	if (size > MEMORY_MAX || used + size > MEMORY_MAX)
		return NULL;
	block = realloc(before, sizeof(*block) + size);
	if (!block)
		return NULL;	/* and expat still has the old one */
	memory_used = used + size;
	block->size = size;
	return block + 1;
}

static void *limited_malloc(size_t size)
{
	return limited_realloc(NULL, size);
}

static void limited_free(void *p)
{
	union block *block = p ? (union block *)p - 1 : NULL;

	if (!block)
		return;
	memory_used -= block->size;
	free(block);
}

/* --- what expat tells --- */

static void begin_element(void *context, const char *name, const char **attributes)
{
	struct xml *x = context;
	struct document *d = x->current;
	const char *parent = d->depth ? d->stack[d->depth - 1]->name : NULL;
	unsigned int i;

	if (x->code)
		return;
	for (i = 0; i < x->nr_elements && d->depth < DEPTH_MAX; i++) {
		const struct xml_element *e = &x->elements[i];

		if (strcmp(e->name, name) || !parent != !e->parent ||
		    (parent && strcmp(parent, e->parent)))
			continue;
		d->stack[d->depth++] = e;
		e->begin(x, attributes);
		return;
	}
	if (parent)
		xml_refuse(x, "unexpected element <%.60s> in <%s>", name, parent);
	else
		xml_refuse(x, "unexpected element <%.60s>", name);
}

static void end_element(void *context, const char *name)
{
	struct xml *x = context;

	if (x->current->depth)
		x->current->depth--;
}

static void see_text(void *context, const char *text, int length)
{
	struct xml *x = context;
	int i;

	for (i = 0; i < length; i++) {
		if (!strchr(" \t\r\n", text[i]) || !text[i]) {
			xml_refuse(x, "text outside of attributes");
			return;
		}
	}
}

static void see_instruction(void *context, const char *target, const char *data)
{
	xml_refuse(context, "a processing instruction");
}

static void see_doctype(void *context, const char *name, const char *system, const char *public,
			int has_internal)
{
	xml_refuse(context, "a document type");
}

static void see_cdata(void *context)
{
	xml_refuse(context, "a CDATA section");
}

static int begin_document(struct xml *x, struct document *d)
{
	static const XML_Memory_Handling_Suite limited = {
		.malloc_fcn = limited_malloc,
		.realloc_fcn = limited_realloc,
		.free_fcn = limited_free,
	};

	d->parser = XML_ParserCreate_MM("UTF-8", &limited, NULL);
	if (!d->parser) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	XML_SetUserData(d->parser, x);
	XML_SetElementHandler(d->parser, begin_element, end_element);
	XML_SetCharacterDataHandler(d->parser, see_text);
	XML_SetProcessingInstructionHandler(d->parser, see_instruction);
	XML_SetStartDoctypeDeclHandler(d->parser, see_doctype);
	XML_SetCdataSectionHandler(d->parser, see_cdata, NULL);
	return 0;
}

static void parse(struct xml *x, struct document *d, const char *text, size_t length, bool last)
{
	enum XML_Error error;

	if (x->code)
		return;
	x->current = d;
	if (XML_Parse(d->parser, text, (int)length, last) == XML_STATUS_OK || x->code)
		return;
	error = XML_GetErrorCode(d->parser);
	if (error == XML_ERROR_NO_MEMORY)
		xml_refuse(x, "a name, an attribute or a tag is too long");
	else
		xml_refuse(x, "no XML: %s", XML_ErrorString(error));
}

/* --- comments --- */

static unsigned long count_lines(const char *text, size_t length)
{
	const char *end = text + length;
	unsigned long lines = 0;

	while ((text = memchr(text, '\n', (size_t)(end - text)))) {
		lines++;
		text++;
	}
	return lines;
}

/* An element here is a document, unless there was one before. */
static void judge_comment(struct xml *x, char first)
{
	if (first != '<' || x->outer.depth) {
		x->comment = COMMENT_DROPPED;
		return;
	}
	x->current = &x->outer;
	if (x->inner.parser) {
		xml_refuse(x, "a second element within a comment");
		return;
	}
	x->comment = COMMENT_DOCUMENT;
	x->code = begin_document(x, &x->inner);
	x->inner.line_offset = x->lines;
}

static void see_comment(struct xml *x, const char *text, size_t length)
{
	size_t blank = 0;

	if (x->comment == COMMENT_BEGINS) {
		while (blank < length && strchr(" \t\r\n", text[blank]) && text[blank])
			blank++;
		x->lines += count_lines(text, blank);
		x->hidden += count_lines(text, blank);
		text += blank;
		length -= blank;
		if (!length)
			return;
		judge_comment(x, *text);
	}
	if (x->comment == COMMENT_DOCUMENT)
		parse(x, &x->inner, text, length, false);
	x->lines += count_lines(text, length);
	x->hidden += count_lines(text, length);
}

static void end_comment(struct xml *x)
{
	if (x->comment == COMMENT_DOCUMENT)
		parse(x, &x->inner, "", 0, true);
	x->comment = COMMENT_NONE;
}

static void see_outer(struct xml *x, const char *text, size_t length)
{
	x->outer.line_offset = x->hidden;
	parse(x, &x->outer, text, length, false);
	x->lines += count_lines(text, length);
}

/* How much of the text has been dealt with; the rest may be a part of a mark. */
static size_t split(struct xml *x, const char *text, size_t length, bool last)
{
	const char *mark = x->comment ? "-->" : "<!--";
	size_t mark_length = strlen(mark), keep = last ? 0 : mark_length - 1;
	const char *hit = memmem(text, length, mark, mark_length);
	size_t here = hit ? (size_t)(hit - text) : length > keep ? length - keep : 0;

	if (x->comment)
		see_comment(x, text, here);
	else
		see_outer(x, text, here);
	if (!hit)
		return here;
	if (x->comment)
		end_comment(x);
	else
		x->comment = COMMENT_BEGINS;
	return here + mark_length;
}

/* --- the file --- */

static void read_all(struct xml *x, int fd)
{
	size_t filled = 0, done, n;
	uint64_t total = 0;
	ssize_t got = 1;

	while (!x->code && got) {
		got = read(fd, x->buffer + filled, PIECE - filled);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			complain("cannot read %s: %s", x->path, strerror(errno));
			x->code = EXIT_IO;
			return;
		}
		filled += (size_t)got;
		total += (uint64_t)got;
		done = 0;
		do {
			n = split(x, x->buffer + done, filled - done, !got);
			done += n;
		} while (!x->code && n && done < filled);
		filled -= done;
		memmove(x->buffer, x->buffer + done, filled);
		progress_at(total);
	}
	if (!x->code && x->comment) {
		x->current = &x->outer;
		xml_refuse(x, "the file ends within a comment");
	}
	parse(x, &x->outer, "", 0, true);
}

static int open_input(const char *path, int *fd, struct stat *st)
{
	int error;

	*fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	if (*fd >= 0 && !fstat(*fd, st) && !S_ISDIR(st->st_mode))
		return 0;
	error = *fd < 0 ? errno : EISDIR;
	complain("cannot open %s: %s", path, strerror(error));
	if (*fd >= 0)
		close(*fd);
	return error == EACCES || error == EPERM ? EXIT_NO_PERMISSION : EXIT_NO_INPUT;
}

int xml_read(const char *path, const struct xml_element *elements, unsigned int nr_elements,
	     void *context)
{
	struct xml *x = calloc(1, sizeof(*x));
	struct stat st;
	int fd, code;

	if (!x) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	code = open_input(path, &fd, &st);
	if (code) {
		free(x);
		return code;
	}
	x->path = path;
	x->elements = elements;
	x->nr_elements = nr_elements;
	x->context = context;
	x->code = begin_document(x, &x->outer);
	progress_start("reading", S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	if (!x->code)
		read_all(x, fd);
	progress_end();
	code = x->code;
	XML_ParserFree(x->outer.parser);
	XML_ParserFree(x->inner.parser);
	close(fd);
	free(x);
	return code;
}

/* --- attributes --- */

static bool take_number(const char *text, uint64_t max, uint64_t *to)
{
	char *end;

	if (!isdigit((unsigned char)*text))	/* strtoull takes signs and blanks */
		return false;
	errno = 0;
	*to = strtoull(text, &end, !strncmp(text, "0x", 2) ? 16 : 10);
	return !errno && !*end && *to <= max;
}

static bool take_value(struct xml *x, const struct xml_field *f, const char *text)
{
	switch (f->kind) {
	case XML_NUMBER:
		if (take_number(text, f->max, f->to))
			return true;
		xml_refuse(x, "%s=\"%.60s\" is no number from 0 to %llu", f->name, text,
			   (unsigned long long)f->max);
		return false;
	case XML_FLAG:
		*(bool *)f->to = !strcmp(text, "true");
		if (*(bool *)f->to || !strcmp(text, "false"))
			return true;
		xml_refuse(x, "%s=\"%.60s\" is neither true nor false", f->name, text);
		return false;
	case XML_WORDS:
		*(const char **)f->to = text;
		return true;
	}
	return false;
}

bool xml_take(struct xml *x, const char **attributes, const struct xml_field *fields,
	      unsigned int nr_fields)
{
	unsigned int i, nr = 0;

	for (; *attributes; attributes += 2, nr++) {
		for (i = 0; i < nr_fields && strcmp(fields[i].name, attributes[0]); i++)
			;
		if (i == nr_fields) {
			xml_refuse(x, "unexpected attribute %.60s", attributes[0]);
			return false;
		}
		if (!take_value(x, &fields[i], attributes[1]))
			return false;
	}
	/* expat does not let the same attribute come twice */
	if (nr == nr_fields)
		return true;
	xml_refuse(x, "an attribute is missing, there are %u of %u", nr, nr_fields);
	return false;
}
