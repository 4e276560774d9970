/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads XML that nobody vouches for: a stream of any length in bounded memory,
 * only elements and attributes that are expected, no DTD, entities, CDATA or
 * processing instructions.
 */
#ifndef LARDER_XML_H
#define LARDER_XML_H

#include <stdbool.h>
#include <stdint.h>

struct xml;

struct xml_element {
	const char *name;
	const char *parent;	/* NULL: at the top */
	void (*begin)(struct xml *x, const char **attributes);
};

enum xml_kind {
	XML_NUMBER,		/* uint64_t, decimal or 0x */
	XML_FLAG,		/* bool, "true" or "false" */
	XML_WORDS,		/* const char *, valid within begin() */
};

struct xml_field {
	const char *name;
	enum xml_kind kind;
	void *to;
	uint64_t max;		/* of a number */
};

/*
 * Reads all of a file, "-" is stdin.  A comment behind the document whose text
 * is an element is read as a document of its own: dumps hide one there from
 * readers that know less.  0, or an exit code after a message.
 */
int xml_read(const char *path, const struct xml_element *elements, unsigned int nr_elements,
	     void *context);

void *xml_context(struct xml *x);
/* All of the fields must be there, and nothing else; false after xml_refuse(). */
bool xml_take(struct xml *x, const char **attributes, const struct xml_field *fields,
	      unsigned int nr_fields);
/* Ends the reading with a message, the line in front.  The first one counts. */
void xml_refuse(struct xml *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
