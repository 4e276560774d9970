/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef XML_CHECK_H
#define XML_CHECK_H

/* A failed check, unless the text is one well-formed XML document. */
void xml_check(const char *text);

#endif
