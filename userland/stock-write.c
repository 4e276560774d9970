// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes metadata of dm-cache, by dm-cache's own tool, in a file of the size that
 * the device has: it manages its space by that.  What the tool has made is read
 * again and compared; versions of it have lost dirty bits.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert.h"
#include "dump.h"

#define LL(n) ((unsigned long long)(n))
#define PIECE_UNITS 256u

struct scratch {
	char *directory;
	char *xml;
	char *metadata;
};

static int refuse(const char *what, int error)
{
	complain("cannot make %s: %s", what, strerror(error));
	return EXIT_NO_OUTPUT;
}

static char *join(const char *directory, const char *name)
{
	size_t size = strlen(directory) + strlen(name) + 2;
	char *path = malloc(size);

	if (path)
		snprintf(path, size, "%s/%s", directory, name);
	return path;
}

static int make_scratch(struct scratch *s)
{
	const char *tmp = getenv("TMPDIR");

	s->directory = join(tmp && *tmp ? tmp : "/var/tmp", "larder-convert.XXXXXX");
	if (!s->directory || !mkdtemp(s->directory))
		return refuse("a temporary directory", errno);
	s->xml = join(s->directory, "xml");
	s->metadata = join(s->directory, "metadata");
	return s->xml && s->metadata ? 0 : refuse("a temporary directory", ENOMEM);
}

static void drop_scratch(struct scratch *s)
{
	if (s->xml)
		unlink(s->xml);
	if (s->metadata)
		unlink(s->metadata);
	if (s->directory)
		rmdir(s->directory);
	free(s->xml);
	free(s->metadata);
	free(s->directory);
}

static void write_elements(const struct convert *c, const struct kept_chunk *kept, u64 nr,
			   FILE *out)
{
	const struct geometry *g = &c->image.geometry;
	u64 i;

	fprintf(out, "<superblock uuid=\"\" block_size=\"%u\" nr_cache_blocks=\"%llu\" "
		"policy=\"smq\" hint_width=\"4\">\n  <mappings>\n", g->chunk_sectors,
		LL(div_u64(g->nr_slots, g->chunk_sectors / g->block_sectors)));
	for (i = 0; i < nr; i++)
		fprintf(out, "    <mapping cache_block=\"%llu\" origin_block=\"%llu\" "
			"dirty=\"%s\"/>\n", LL(kept[i].cache), LL(kept[i].origin),
			kept[i].dirty ? "true" : "false");
	fputs("  </mappings>\n  <hints>\n", out);
	for (i = 0; i < nr; i++) {
		fprintf(out, "    <hint cache_block=\"%llu\" data=\"", LL(kept[i].cache));
		dump_base64(out, kept[i].hint);
		fputs("\"/>\n", out);
	}
	fputs("  </hints>\n</superblock>\n", out);
}

static int write_xml(const struct convert *c, const struct scratch *s,
		     const struct kept_chunk *kept, u64 nr)
{
	FILE *out = fopen(s->xml, "wxe");
	bool failed;

	if (!out)
		return refuse(s->xml, errno);
	write_elements(c, kept, nr, out);
	failed = ferror(out);
	return fclose(out) || failed ? refuse(s->xml, errno) : 0;
}

/* As large as the device; the tool wants it to exist. */
static int make_metadata(const struct convert *c, const struct scratch *s)
{
	FILE *file = fopen(s->metadata, "we");
	int code = 0;

	if (!file)
		return refuse(s->metadata, errno);
	if (ftruncate(fileno(file), (off_t)(c->metadata.sectors * 512)))
		code = refuse(s->metadata, errno);
	fclose(file);
	return code;
}

static int run_tool(const struct convert *c, const struct scratch *s, const char *version)
{
	/* a diversion (see lvm-setup) leaves the first of these */
	static const char *const usual[] = {
		LARDER_ROOT "/usr/sbin/cache_restore.dm-cache",
		LARDER_ROOT "/usr/sbin/cache_restore", LARDER_ROOT "/sbin/cache_restore", NULL
	};
	const char *const words[] = { "cache_restore", "-q", "--metadata-version", version,
				      "-i", s->xml, "-o", s->metadata };
	struct program p = { .path = c->restore_program };
	unsigned int i;
	int code;

	if (!p.path)
		p.path = program_find(usual);
	if (access(p.path, X_OK)) {
		complain("there is no cache_restore: install thin-provisioning-tools, or name it "
			 "with --cache-restore");
		return EXIT_NO_OUTPUT;
	}
	for (i = 0; i < ARRAY_SIZE(words); i++)
		program_word(&p, words[i]);
	code = program_run(&p);
	if (!code && p.code) {
		program_tell(&p);
		complain("cache_restore failed (exit code %d); if the metadata device is too "
			 "small, dm-cache cannot have this cache", p.code);
	}
	if (p.code)
		code = EXIT_NO_OUTPUT;
	program_free(&p);
	return code;
}

/* Did it write what we meant?  More dirt than there was would do. */
static const char *compare(const struct convert *c, const struct stock *stock,
			   const struct stock_info *info, const struct kept_chunk *kept, u64 nr)
{
	const struct geometry *g = &c->image.geometry;
	u64 i;

	if (stock->chunk_sectors != g->chunk_sectors || info->nr_mapped != nr ||
	    stock->nr_chunks != div_u64(g->nr_slots, g->chunk_sectors / g->block_sectors))
		return "sizes or number of mappings";
	for (i = 0; i < nr; i++) {
		const struct stock_chunk *chunk = &stock->chunks[kept[i].cache];

		if (!chunk->mapped || chunk->origin != kept[i].origin)
			return "mappings";
		if (kept[i].dirty && !chunk->dirty)
			return "dirty bits";
	}
	return NULL;
}

static int judge_made(const struct convert *c, const struct disk *made,
		      const struct kept_chunk *kept, u64 nr)
{
	struct stock_info info;
	struct stock stock;
	const char *what;
	int code = stock_read(made, &stock, &info);

	if (code)
		return code;
	what = compare(c, &stock, &info, kept, nr);
	stock_release(&stock);
	if (!what)
		return 0;
	complain("what cache_restore made is wrong (%s): try --metadata-version 1, or a newer "
		 "version of thin-provisioning-tools", what);
	return EXIT_NO_OUTPUT;
}

static int copy_image(struct convert *c, const struct disk *made)
{
	static u8 buffer[PIECE_UNITS * LARDER_UNIT_SIZE] __attribute__((aligned(DISK_ALIGN)));
	u64 unit, sector, nr;
	int error;

	for (unit = 0; unit < c->image_units; unit += PIECE_UNITS) {
		sector = unit * LARDER_UNIT_SECTORS;
		nr = min_t(u64, c->image_units - unit, PIECE_UNITS) * LARDER_UNIT_SECTORS;
		error = disk_read(made, sector, nr, buffer);
		if (error)
			return disk_failed(made, "read", error);
		error = disk_write(&c->staging, sector + LARDER_UNIT_SECTORS, nr, buffer);
		if (error)
			return disk_failed(&c->staging, "write", error);
		if (convert_interrupted())
			return tell_interrupted();
	}
	return 0;
}

/* Unit 0 takes the place of the mark: one sector must decide, as there. */
static int judge_super(const struct disk *made)
{
	static u8 unit[LARDER_UNIT_SIZE] __attribute__((aligned(DISK_ALIGN)));
	int error = disk_read(made, 0, LARDER_UNIT_SECTORS, unit);
	u32 i;

	if (error)
		return disk_failed(made, "read", error);
	for (i = 512; i < LARDER_UNIT_SIZE; i++)
		if (unit[i]) {
			complain("cache_restore made a superblock that is longer than known");
			return EXIT_NO_OUTPUT;
		}
	return 0;
}

static int stage(struct convert *c, const struct scratch *s, const struct kept_chunk *kept, u64 nr)
{
	struct disk made;
	int code = disk_open(&made, s->metadata, false);

	if (code)
		return code;
	code = judge_made(c, &made, kept, nr);
	if (!code)
		code = judge_super(&made);
	c->image_units = c->metadata.sectors / LARDER_UNIT_SECTORS;
	if (!code)
		code = staging_begin(c);
	if (!code)
		code = copy_image(c, &made);
	disk_close(&made);
	return code ? code : staging_seal(c);
}

int stock_write(struct convert *c, const struct kept_chunk *kept, u64 nr_kept)
{
	struct scratch s = { 0 };
	int code = make_scratch(&s);

	if (!code)
		code = write_xml(c, &s, kept, nr_kept);
	if (!code)
		code = make_metadata(c, &s);
	if (!code)
		code = run_tool(c, &s, c->metadata_version ? c->metadata_version : "2");
	if (!code)
		code = stage(c, &s, kept, nr_kept);
	drop_scratch(&s);
	return code;
}
