// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dumps as XML.
 *
 * The tools for dm-cache know chunks that are valid as a whole, and refuse
 * elements they do not know (1.x refuses processing instructions, too), but
 * all of them skip comments.  So what they can express is written as they do,
 * and all there is follows as an element within a comment.
 *
 * Written without an XML library: all that is written are fixed names and
 * attributes which are numbers or have passed policy_text() and escape().
 */
#include "dump.h"

#define LL(n) ((unsigned long long)(n))

/* Within a comment even "--" must not appear. */
static void escape(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("<>&\"'", *text) || (text[0] == '-' && text[1] == '-'))
			fprintf(out, "&#%u;", (unsigned int)*text);
		else
			fputc(*text, out);
	}
}

/* --- as cache_dump --- */

/* dm-cache never caches an origin's last chunk that is short, and would not write it back. */
static bool reaches_beyond(const struct geometry *g, u64 origin_chunk)
{
	return (origin_chunk + 1) * g->chunk_sectors > g->origin_sectors;
}

bool whole_chunk(const struct image *image, u64 number, struct chunk *chunk)
{
	const struct geometry *g = &image->geometry;
	u64 ratio = g->chunk_sectors / g->block_sectors, i, block;

	memset(chunk, 0, sizeof(*chunk));
	for (i = 0; i < ratio; i++) {
		struct slot_state state;

		if (number * ratio + i >= image->nr_slots)
			return false;
		state = image_after_activation(image, number * ratio + i);
		block = slot_state_block(&state);
		if (!slot_used(&state) || block >= g->nr_origin_blocks)
			return false;
		if (!i) {
			chunk->origin = block / ratio;
			if (block % ratio || reaches_beyond(g, chunk->origin))
				return false;
		}
		if (block != chunk->origin * ratio + i ||
		    state.valid != geometry_block_grains(g, block))
			return false;
		chunk->dirty |= state.dirty != 0;
		chunk->hint = max(chunk->hint, state.hint);
	}
	return true;
}

void dump_base64(FILE *out, u32 hint)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const u8 b[6] = { hint, hint >> 8, hint >> 16, hint >> 24, 0, 0 };
	unsigned int i;

	for (i = 0; i < 6; i += 3) {
		fputc(digits[b[i] >> 2], out);
		fputc(digits[(b[i] & 3) << 4 | b[i + 1] >> 4], out);
		fputc(i ? '=' : digits[(b[i + 1] & 15) << 2 | b[i + 2] >> 6], out);
		fputc(i ? '=' : digits[b[i + 2] & 63], out);
	}
}

static void write_mappings(const struct image *image, FILE *out, u64 nr_chunks)
{
	struct chunk chunk;
	u64 i;

	fputs("  <mappings>\n", out);
	for (i = 0; i < nr_chunks; i++)
		if (whole_chunk(image, i, &chunk))
			fprintf(out, "    <mapping cache_block=\"%llu\" origin_block=\"%llu\" "
				"dirty=\"%s\"/>\n", LL(i), LL(chunk.origin),
				chunk.dirty ? "true" : "false");
	fputs("  </mappings>\n  <hints>\n", out);
	for (i = 0; i < nr_chunks; i++) {
		if (!whole_chunk(image, i, &chunk))
			continue;
		fprintf(out, "    <hint cache_block=\"%llu\" data=\"", LL(i));
		dump_base64(out, chunk.hint);
		fputs("\"/>\n", out);
	}
	fputs("  </hints>\n", out);
}

/* --- ours --- */

static void write_head(const struct image *image, FILE *out)
{
	const struct larder_superblock *sb = metadata_super(image->md);
	const struct geometry *g = &image->geometry;
	char uuid[37], policy[33];

	fprintf(out, "<larder version=\"%u\" uuid=\"", le32_to_cpu(sb->version));
	escape(out, uuid_text(sb->header.uuid, uuid));
	fprintf(out, "\" complete=\"%s\" clean_stop=\"%s\" generation=\"%llu\" epoch=\"%llu\"\n",
		dump_complete(image) ? "true" : "false",
		le32_to_cpu(sb->flags) & LARDER_SUPER_CLEAN ? "true" : "false",
		LL(metadata_generation(image->md)), LL(le64_to_cpu(sb->epoch)));
	fprintf(out, "        last_mode=\"%s\" last_policy=\"", mode_name(sb->last_mode));
	escape(out, policy_text(sb, policy));
	fprintf(out, "\" compat=\"0x%llx\" ro_compat=\"0x%llx\" incompat=\"0x%llx\"\n",
		LL(le64_to_cpu(sb->compat)), LL(le64_to_cpu(sb->ro_compat)),
		LL(le64_to_cpu(sb->incompat)));
	fprintf(out, "        metadata_identity=\"0x%llx\" cache_identity=\"0x%llx\" "
		"origin_identity=\"0x%llx\">\n", LL(le64_to_cpu(sb->metadata_identity)),
		LL(le64_to_cpu(sb->cache_identity)), LL(le64_to_cpu(sb->origin_identity)));
	fprintf(out, "  <geometry chunk_sectors=\"%u\" block_sectors=\"%u\" grain_sectors=\"%u\" "
		"nr_slots=\"%llu\" origin_sectors=\"%llu\" cache_sectors=\"%llu\" "
		"metadata_units=\"%llu\"/>\n", g->chunk_sectors, g->block_sectors,
		g->grain_sectors, LL(g->nr_slots), LL(g->origin_sectors), LL(g->cache_sectors),
		LL(g->metadata_units));
	fprintf(out, "  <layout dw_start=\"%llu\" dw_pages=\"%u\" journal_start=\"%llu\" "
		"journal_blocks=\"%u\" table_start=\"%llu\" table_pages=\"%llu\" "
		"formatted_pages=\"%llu\"/>\n", LL(g->dw_start), g->dw_pages, LL(g->journal_start),
		g->journal_blocks, LL(g->table_start), LL(g->table_pages), LL(image->nr_pages));
}

void dump_larder(const struct image *image, FILE *out)
{
	static const char *const kinds[] = { "none", "writeback", "writethrough" };
	u64 i;

	write_head(image, out);
	for (i = 0; i < image->nr_pages; i++) {
		const struct page_intent *intent = &image->intents[i];

		if (intent->kind != LARDER_INTENT_NONE)
			fprintf(out, "  <intent page=\"%llu\" kind=\"%s\" slots=\"0x%llx\"/>\n",
				LL(i), kinds[intent->kind], LL(intent->slots));
	}
	for (i = 0; i < image->nr_slots; i++) {
		const struct slot_state *slot = &image->slots[i];

		if (slot_used(slot))
			fprintf(out, "  <slot number=\"%llu\" block=\"%llu\" valid=\"0x%llx\" "
				"dirty=\"0x%llx\" hint=\"%u\"/>\n", LL(i),
				LL(slot_state_block(slot)), LL(slot->valid), LL(slot->dirty),
				slot->hint);
	}
	fputs("</larder>\n", out);
}

void dump_xml(const struct image *image, FILE *out)
{
	const struct geometry *g = &image->geometry;
	u64 nr_chunks = div_u64(g->nr_slots, g->chunk_sectors / g->block_sectors);

	fprintf(out, "<superblock uuid=\"\" block_size=\"%u\" nr_cache_blocks=\"%llu\" "
		"policy=\"smq\" hint_width=\"4\">\n", g->chunk_sectors, LL(nr_chunks));
	write_mappings(image, out, nr_chunks);
	fputs("</superblock>\n<!--\n", out);
	dump_larder(image, out);
	fputs("-->\n", out);
}
