// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From dm-cache: its metadata as ours, into the staging.  The data stays where
 * it is, as a slot lies where the same part of its chunk lay.
 */
#include <stdio.h>

#include "convert.h"

#define LL(n) ((unsigned long long)(n))

static int judge_sizes(const struct convert *c)
{
	u64 needed = c->stock.nr_chunks * c->stock.chunk_sectors;

	if (c->cache.fd < 0 || c->cache.sectors >= needed)
		return 0;
	complain("%s has %llu sectors, but the dm-cache has %llu", c->cache.path,
		 LL(c->cache.sectors), LL(needed));
	return EXIT_NOT_OURS;
}

static int make_image(struct convert *c)
{
	struct restore *r = &c->restore;
	int code;

	r->input = c->metadata_path;
	r->output = c->metadata_path;
	r->origin_sectors = c->origin_sectors;
	r->target.fd = -1;
	r->target.units = c->metadata.sectors / LARDER_UNIT_SECTORS;
	r->image.device.fd = -1;
	r->stock = c->stock;		/* the chunks stay ours */
	code = restore_convert(r);
	if (!code)
		code = restore_judge(r);
	r->build.image = &r->image;
	return code;
}

static int stage(struct convert *c)
{
	const struct geometry *g = &c->restore.image.geometry;
	struct target target;
	int code;

	c->image_units = g->table_start + g->table_pages;
	code = staging_open(c, c->image_units);
	if (!code)
		code = staging_begin(c);
	if (code)
		return code;
	target = staging_target(c);
	code = build_write(&c->restore.build, &target);
	if (!code && convert_interrupted())
		return tell_interrupted();
	return code ? code : staging_seal(c);
}

int convert_from_stock(struct convert *c)
{
	int code = stock_read(&c->metadata, &c->stock, &c->info);

	if (!code)
		code = judge_sizes(c);
	if (!code)
		code = make_image(c);
	c->chunks_kept = c->info.nr_mapped;
	c->chunks_dirty = c->info.nr_dirty;
	if (code || c->dry_run)
		return code;
	return stage(c);
}
