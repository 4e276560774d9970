/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an XML dump says, on its way to a metadata device.
 */
#ifndef LARDER_RESTORE_H
#define LARDER_RESTORE_H

#include "build.h"

#define HINT_BYTES 4u

/* A chunk of the cache device, as dm-cache's XML has it. */
struct stock_chunk {
	u64 origin;
	u32 hint;
	bool mapped;
	bool dirty;
};

struct stock {
	bool seen;
	u64 chunk_sectors;
	u64 nr_chunks;
	u64 origin_chunks;	/* the highest that is mapped, plus one */
	u64 lost_hints;		/* of chunks that are not mapped */
	char policy[33];
	struct stock_chunk *chunks;
};

struct restore {
	const char *input;
	const char *output;
	u64 origin_sectors;	/* 0: not given */
	bool unclean;		/* --omit-clean-shutdown */
	bool without_hints;
	bool incomplete;	/* is good enough */
	bool force;
	bool quiet;
	bool json;
	bool exports;		/* is not about metadata at all: see export/restore-exports.h */
	const char *exported;	/* which one, NULL: all */

	struct target target;
	struct stock stock;
	bool larder;		/* has our own element */
	bool layout;		/* ... and geometry and layout are known */
	bool complete;
	bool origin_guessed;
	bool unmarked;		/* had the mark that everything has its tuple, see core/format.h */
	struct build build;
	struct image image;
};

/* 0, or an exit code after a message; nothing is written. */
int restore_parse(struct restore *r);
/*
 * restore.c: what r->stock says, as image and build for a device of
 * r->target.units; input and output are only names then.
 */
int restore_convert(struct restore *r);
/* Blocks in two slots, or beyond the origin. */
int restore_judge(struct restore *r);

#endif
