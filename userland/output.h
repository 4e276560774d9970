/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is said to programs: output files that never destroy or follow anything by
 * accident, and JSON.
 */
#ifndef LARDER_OUTPUT_H
#define LARDER_OUTPUT_H

#include <stdio.h>

#include "larder.h"

struct output {
	FILE *file;
	const char *path;	/* NULL: stdout */
	char *scratch;		/* what it is called until it is complete */
	bool force;
};

/* force: an existing regular file may be replaced.  0, or an exit code after a message. */
int output_open(struct output *out, const char *path, bool force);
/* Makes the file durable and gives it its name, or with ok = false takes it away. */
int output_close(struct output *out, bool ok);

/* Members of a JSON object. */
struct json_object;
void add_number(struct json_object *o, const char *key, uint64_t value);
void add_string(struct json_object *o, const char *key, const char *value);
void add_bool(struct json_object *o, const char *key, bool value);
/* To stdout, and frees it. */
void print_object(struct json_object *o);

#endif
