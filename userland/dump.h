/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The forms of a dump.  Writers only write; errors stay in the stream.
 */
#ifndef LARDER_DUMP_H
#define LARDER_DUMP_H

#include <stdio.h>

#include "image.h"

void dump_xml(const struct image *image, FILE *out);	/* as cache_dump, with ours in a comment */
void dump_larder(const struct image *image, FILE *out);	/* ours alone */
void dump_json(const struct image *image, FILE *out);

/* What is said of a cache wherever JSON is made: the superblock's fields, and the geometry's. */
struct json_object;
void add_identity(struct json_object *o, const struct image *image);
void add_sizes(struct json_object *o, const struct image *image);

/* A hint as dm-cache's XML has it. */
void dump_base64(FILE *out, u32 hint);

struct chunk {
	u64 origin;		/* chunk of the origin */
	bool dirty;
	u32 hint;
};

/* Is this chunk of the cache device one chunk of the origin, all of it valid and in order? */
bool whole_chunk(const struct image *image, u64 number, struct chunk *chunk);

/* The dump has all that was on the device. */
static inline bool dump_complete(const struct image *image)
{
	return !image->nr_damages[SEVERITY_DAMAGE];
}

#endif
