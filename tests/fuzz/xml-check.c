// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Well-formedness, by expat.
 */
#include <expat.h>

#include "fuzz.h"
#include "xml-check.h"

void xml_check(const char *text)
{
	XML_Parser parser = XML_ParserCreate("UTF-8");

	FUZZ_CHECK(parser);
	FUZZ_CHECK(XML_Parse(parser, text, (int)strlen(text), 1) == XML_STATUS_OK,
		   "%s in line %lu", XML_ErrorString(XML_GetErrorCode(parser)),
		   XML_GetCurrentLineNumber(parser));
	XML_ParserFree(parser);
}
