// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dumps as JSON: the same as <larder> in dump-xml.c.  The frame is made by
 * json-c; intents and slots, of which there may be hundreds of millions, are
 * written one by one instead of building the whole in memory.
 */
#include <json-c/json.h>

#include "dump.h"
#include "output.h"

#define LL(n) ((unsigned long long)(n))

void add_identity(struct json_object *o, const struct image *image)
{
	const struct larder_superblock *sb = metadata_super(image->md);
	char uuid[37], policy[33];

	add_string(o, "uuid", uuid_text(sb->header.uuid, uuid));
	add_number(o, "version", le32_to_cpu(sb->version));
	add_number(o, "generation", metadata_generation(image->md));
	add_number(o, "epoch", le64_to_cpu(sb->epoch));
	add_bool(o, "clean_stop", le32_to_cpu(sb->flags) & LARDER_SUPER_CLEAN);
	add_string(o, "last_mode", mode_name(sb->last_mode));
	add_string(o, "last_policy", policy_text(sb, policy));
}

void add_sizes(struct json_object *o, const struct image *image)
{
	const struct geometry *g = &image->geometry;

	add_number(o, "chunk_sectors", g->chunk_sectors);
	add_number(o, "block_sectors", g->block_sectors);
	add_number(o, "grain_sectors", g->grain_sectors);
	add_number(o, "origin_sectors", g->origin_sectors);
	add_number(o, "journal_blocks", g->journal_blocks);
}

static void add_super(struct json_object *o, const struct image *image)
{
	const struct larder_superblock *sb = metadata_super(image->md);

	add_identity(o, image);
	add_bool(o, "complete", dump_complete(image));
	add_number(o, "compat", le64_to_cpu(sb->compat));
	add_number(o, "ro_compat", le64_to_cpu(sb->ro_compat));
	add_number(o, "incompat", le64_to_cpu(sb->incompat));
	add_number(o, "metadata_identity", le64_to_cpu(sb->metadata_identity));
	add_number(o, "cache_identity", le64_to_cpu(sb->cache_identity));
	add_number(o, "origin_identity", le64_to_cpu(sb->origin_identity));
}

static void add_geometry(struct json_object *o, const struct image *image)
{
	const struct geometry *g = &image->geometry;

	add_sizes(o, image);
	add_number(o, "nr_slots", g->nr_slots);
	add_number(o, "cache_sectors", g->cache_sectors);
	add_number(o, "metadata_units", g->metadata_units);
	add_number(o, "dw_start", g->dw_start);
	add_number(o, "dw_pages", g->dw_pages);
	add_number(o, "journal_start", g->journal_start);
	add_number(o, "table_start", g->table_start);
	add_number(o, "table_pages", g->table_pages);
	add_number(o, "formatted_pages", image->nr_pages);
}

static void write_intents(const struct image *image, FILE *out)
{
	static const char *const kinds[] = { "none", "writeback", "writethrough" };
	const char *separator = "";
	u64 i;

	for (i = 0; i < image->nr_pages; i++) {
		const struct page_intent *intent = &image->intents[i];

		if (intent->kind == LARDER_INTENT_NONE)
			continue;
		fprintf(out, "%s\n{\"page\":%llu,\"kind\":\"%s\",\"slots\":\"0x%llx\"}", separator,
			LL(i), kinds[intent->kind], LL(intent->slots));
		separator = ",";
	}
}

static void write_slots(const struct image *image, FILE *out)
{
	const char *separator = "";
	u64 i;

	for (i = 0; i < image->nr_slots; i++) {
		const struct slot_state *slot = &image->slots[i];

		if (!slot_used(slot))
			continue;
		/* masks have 64 bits, which many readers of JSON lose in a number */
		fprintf(out, "%s\n{\"slot\":%llu,\"block\":%llu,\"valid\":\"0x%llx\","
			"\"dirty\":\"0x%llx\",\"hint\":%u}", separator, LL(i),
			LL(slot_state_block(slot)), LL(slot->valid), LL(slot->dirty), slot->hint);
		separator = ",";
	}
}

void dump_json(const struct image *image, FILE *out)
{
	struct json_object *super = json_object_new_object();
	struct json_object *geometry = json_object_new_object();

	add_super(super, image);
	add_geometry(geometry, image);
	fprintf(out, "{\"super\":%s,\n",
		json_object_to_json_string_ext(super, JSON_C_TO_STRING_PLAIN));
	fprintf(out, "\"geometry\":%s,\n\"intents\":[",
		json_object_to_json_string_ext(geometry, JSON_C_TO_STRING_PLAIN));
	write_intents(image, out);
	fputs("],\n\"slots\":[", out);
	write_slots(image, out);
	fputs("]}\n", out);
	json_object_put(super);
	json_object_put(geometry);
}
