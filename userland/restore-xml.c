// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The elements of the two dialects of XML that restore reads: dm-cache's
 * <superblock> and our <larder>, as dump-xml.c writes them.
 */
#include <ctype.h>
#include <stdio.h>

/* entry_judge(): the judge of what comes from a device judges this as well */
#include "../dm-target/core/metadata-internal.h"
#include "restore.h"
#include "xml.h"

#define LL(n) ((unsigned long long)(n))
#define NUMBER(name, to, max) { name, XML_NUMBER, to, max }
#define FLAG(name, to) { name, XML_FLAG, to, 0 }
#define WORDS(name, to) { name, XML_WORDS, to, 0 }

static void out_of_memory(struct xml *x)
{
	xml_refuse(x, "not enough memory for what it describes");
}

/* --- dm-cache --- */

static void begin_superblock(struct xml *x, const char **attributes)
{
	struct restore *r = xml_context(x);
	struct stock *stock = &r->stock;
	const char *uuid, *policy;
	u64 hint_width;
	const struct xml_field fields[] = {
		WORDS("uuid", &uuid),
		NUMBER("block_size", &stock->chunk_sectors, CHUNK_SECTORS_MAX),
		NUMBER("nr_cache_blocks", &stock->nr_chunks, SLOTS_MAX),
		WORDS("policy", &policy),
		NUMBER("hint_width", &hint_width, U32_MAX),
	};

	if (stock->seen) {
		xml_refuse(x, "a second <superblock>");
		return;
	}
	if (!xml_take(x, attributes, fields, ARRAY_SIZE(fields)))
		return;
	if (stock->chunk_sectors < CHUNK_SECTORS_MIN ||
	    stock->chunk_sectors % LARDER_UNIT_SECTORS || !stock->nr_chunks) {
		xml_refuse(x, "a cache of %llu blocks of %llu sectors cannot be: a block has 8 to "
			   "2097152, in steps of 8", LL(stock->nr_chunks),
			   LL(stock->chunk_sectors));
		return;
	}
	if (*uuid) {
		xml_refuse(x, "it has a uuid, which dm-cache never wrote: where it should go is "
			   "unknown");
		return;
	}
	if (strlen(policy) >= sizeof(stock->policy)) {
		xml_refuse(x, "the name of the policy has more than 32 characters");
		return;
	}
	if (hint_width > HINT_BYTES && !r->without_hints) {
		xml_refuse(x, "its policy's hints have %llu bytes, here they have 4: see "
			   "--without-hints", LL(hint_width));
		return;
	}
	snprintf(stock->policy, sizeof(stock->policy), "%s", policy);
	stock->seen = true;
	stock->chunks = reserve(stock->nr_chunks, sizeof(*stock->chunks));
	if (!stock->chunks)
		out_of_memory(x);
}

static void begin_group(struct xml *x, const char **attributes)
{
	xml_take(x, attributes, NULL, 0);
}

static void begin_mapping(struct xml *x, const char **attributes)
{
	struct stock *stock = &((struct restore *)xml_context(x))->stock;
	struct stock_chunk *chunk;
	u64 cache, origin;
	bool dirty;
	const struct xml_field fields[] = {
		NUMBER("cache_block", &cache, stock->nr_chunks - 1),
		NUMBER("origin_block", &origin, LARDER_BLOCK_MASK - 1),
		FLAG("dirty", &dirty),
	};

	if (!xml_take(x, attributes, fields, ARRAY_SIZE(fields)))
		return;
	chunk = &stock->chunks[cache];
	if (chunk->mapped) {
		xml_refuse(x, "a second mapping of cache block %llu", LL(cache));
		return;
	}
	*chunk = (struct stock_chunk){ .origin = origin, .mapped = true, .dirty = dirty };
	stock->origin_chunks = max(stock->origin_chunks, origin + 1);
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Up to four bytes, little endian; false when it is something else. */
static bool decode_hint(const char *text, u32 *hint)
{
	size_t length = strlen(text), i;
	u64 bits = 0;
	u32 nr = 0;

	*hint = 0;
	if (length % 4 || length > 8)
		return false;
	while (length && text[length - 1] == '=')
		length--;
	for (i = 0; i < length; i++) {
		int digit = base64_digit(text[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (u64)digit;
		if (i % 4 == 0)
			continue;
		if (nr == HINT_BYTES)
			return false;
		*hint |= (u32)(u8)(bits >> (6 - 2 * (i % 4))) << 8 * nr++;
	}
	return i % 4 != 1;
}

static void begin_hint(struct xml *x, const char **attributes)
{
	struct restore *r = xml_context(x);
	struct stock *stock = &r->stock;
	const char *data;
	u64 cache;
	u32 hint;
	const struct xml_field fields[] = {
		NUMBER("cache_block", &cache, stock->nr_chunks - 1),
		WORDS("data", &data),
	};

	if (!xml_take(x, attributes, fields, ARRAY_SIZE(fields)) || r->without_hints)
		return;
	if (!decode_hint(data, &hint)) {
		xml_refuse(x, "a hint that is not at most 4 bytes in base64: see --without-hints");
		return;
	}
	if (stock->chunks[cache].mapped)
		stock->chunks[cache].hint = hint;
	else
		stock->lost_hints++;
}

/* --- ours --- */

static bool parse_uuid(const char *text, u8 uuid[LARDER_UUID_SIZE])
{
	unsigned int i, nr = 0;

	for (i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (!isxdigit((unsigned char)text[i]))
			return false;
		uuid[nr / 2] = (u8)(uuid[nr / 2] << 4 | (isdigit((unsigned char)text[i]) ?
				    text[i] - '0' : (text[i] | 0x20) - 'a' + 10));
		nr++;
	}
	return !text[i];
}

static bool parse_mode(const char *text, u8 *mode)
{
	for (*mode = 0; *mode < 3; ++*mode)
		if (!strcmp(mode_name(*mode), text))
			return true;
	return false;
}

/* The numbers and words of <larder> that go into the superblock. */
struct head {
	u64 version, generation, epoch, compat, ro_compat, incompat;
	u64 metadata_identity, cache_identity, origin_identity;
	const char *uuid, *mode, *policy;
	bool complete, clean;
};

static bool take_head(struct xml *x, const char **attributes, struct head *h)
{
	const struct xml_field fields[] = {
		NUMBER("version", &h->version, U32_MAX),
		WORDS("uuid", &h->uuid),
		FLAG("complete", &h->complete),
		FLAG("clean_stop", &h->clean),
		NUMBER("generation", &h->generation, COUNTER_MAX - 1),
		NUMBER("epoch", &h->epoch, COUNTER_MAX - 1),
		WORDS("last_mode", &h->mode),
		WORDS("last_policy", &h->policy),
		NUMBER("compat", &h->compat, U64_MAX),
		NUMBER("ro_compat", &h->ro_compat, U64_MAX),
		NUMBER("incompat", &h->incompat, U64_MAX),
		NUMBER("metadata_identity", &h->metadata_identity, U64_MAX),
		NUMBER("cache_identity", &h->cache_identity, U64_MAX),
		NUMBER("origin_identity", &h->origin_identity, U64_MAX),
	};

	return xml_take(x, attributes, fields, ARRAY_SIZE(fields));
}

static const char *judge_head(const struct head *h)
{
	if (h->version != LARDER_FORMAT_VERSION ||
	    (h->incompat & ~LARDER_INCOMPAT_SUPPORTED) ||
	    (h->ro_compat & ~LARDER_RO_COMPAT_SUPPORTED))
		return "it is of a newer dm-larder, with features that this version cannot write";
	if (h->compat & ~LARDER_COMPAT_SUPPORTED)
		return "it has compatible features that this version cannot write";
	if (strlen(h->policy) > 32)
		return "the name of the policy has more than 32 characters";
	return NULL;
}

static void begin_larder(struct xml *x, const char **attributes)
{
	struct restore *r = xml_context(x);
	struct larder_superblock *sb = &r->build.super;
	struct head h;
	const char *what;

	if (r->larder) {
		xml_refuse(x, "a second <larder>");
		return;
	}
	r->larder = true;
	if (!take_head(x, attributes, &h))
		return;
	what = judge_head(&h);
	if (!what && !parse_uuid(h.uuid, sb->header.uuid))
		what = "the uuid is none";
	if (!what && !parse_mode(h.mode, &sb->last_mode))
		what = "an unknown mode";
	if (what) {
		xml_refuse(x, "%s", what);
		return;
	}
	r->complete = h.complete;
	/* who has written to the cache device since, and how, it does not know */
	r->unmarked = h.ro_compat & LARDER_RO_COMPAT_TUPLES;
	sb->version = cpu_to_le32(LARDER_FORMAT_VERSION);
	sb->flags = cpu_to_le32(h.clean && !r->unclean ? LARDER_SUPER_CLEAN : 0);
	sb->compat = cpu_to_le64(h.compat);
	sb->generation = cpu_to_le64(h.generation);
	sb->epoch = cpu_to_le64(h.epoch);
	sb->tail_seq = cpu_to_le64(1);
	memcpy(sb->last_policy, h.policy, strlen(h.policy));
	sb->metadata_identity = cpu_to_le64(h.metadata_identity);
	sb->cache_identity = cpu_to_le64(h.cache_identity);
	sb->origin_identity = cpu_to_le64(h.origin_identity);
}

static void begin_geometry(struct xml *x, const char **attributes)
{
	struct larder_superblock *sb = &((struct restore *)xml_context(x))->build.super;
	u64 chunk, block, grain, nr_slots, origin, cache, units;
	const struct xml_field fields[] = {
		NUMBER("chunk_sectors", &chunk, CHUNK_SECTORS_MAX),
		NUMBER("block_sectors", &block, CHUNK_SECTORS_MAX),
		NUMBER("grain_sectors", &grain, CHUNK_SECTORS_MAX),
		NUMBER("nr_slots", &nr_slots, SLOTS_MAX),
		NUMBER("origin_sectors", &origin, U64_MAX),
		NUMBER("cache_sectors", &cache, U64_MAX),
		NUMBER("metadata_units", &units, U64_MAX >> 13),
	};

	if (sb->chunk_sectors) {
		xml_refuse(x, "a second <geometry>");
		return;
	}
	if (!xml_take(x, attributes, fields, ARRAY_SIZE(fields)))
		return;
	sb->chunk_sectors = cpu_to_le32((u32)chunk);
	sb->block_sectors = cpu_to_le32((u32)block);
	sb->grain_sectors = cpu_to_le32((u32)grain);
	sb->nr_slots = cpu_to_le64(nr_slots);
	sb->origin_sectors = cpu_to_le64(origin);
	sb->cache_sectors = cpu_to_le64(cache);
	sb->metadata_units = cpu_to_le64(units);
}

static void prepare_image(struct xml *x, struct restore *r, u64 formatted)
{
	const struct larder_superblock *sb = &r->build.super;
	struct image *image = &r->image;
	u64 units = le64_to_cpu(sb->metadata_units);

	if (!geometry_from_super(&image->geometry, sb, units) ||
	    formatted > image->geometry.table_pages) {
		xml_refuse(x, "geometry and layout are impossible");
		return;
	}
	if (r->target.units)
		units = r->target.units;
	if (!build_fit(&image->geometry, units)) {
		xml_refuse(x, "the output has %llu units of 4 KiB, this cache needs %llu",
			   LL(units), LL(build_units_needed(&image->geometry)));
		return;
	}
	image->nr_pages = formatted;
	image->nr_slots = min(formatted * LARDER_ENTRIES_PER_PAGE, image->geometry.nr_slots);
	if (image_reserve(image))
		out_of_memory(x);
	else
		r->layout = true;
}

static void begin_layout(struct xml *x, const char **attributes)
{
	struct restore *r = xml_context(x);
	struct larder_superblock *sb = &r->build.super;
	u64 dw_start, dw_pages, journal_start, journal_blocks, table_start, table_pages, formatted;
	const struct xml_field fields[] = {
		NUMBER("dw_start", &dw_start, U64_MAX),
		NUMBER("dw_pages", &dw_pages, LARDER_DOUBLE_PAGES_MAX),
		NUMBER("journal_start", &journal_start, U64_MAX),
		NUMBER("journal_blocks", &journal_blocks, JOURNAL_BLOCKS_MAX),
		NUMBER("table_start", &table_start, U64_MAX),
		NUMBER("table_pages", &table_pages, U32_MAX),
		NUMBER("formatted_pages", &formatted, U32_MAX),
	};

	if (!sb->chunk_sectors || r->layout) {
		xml_refuse(x, "<layout> does not follow <geometry>");
		return;
	}
	if (!xml_take(x, attributes, fields, ARRAY_SIZE(fields)))
		return;
	sb->dw_start = cpu_to_le64(dw_start);
	sb->dw_pages = cpu_to_le32((u32)dw_pages);
	sb->journal_start = cpu_to_le64(journal_start);
	sb->journal_blocks = cpu_to_le32((u32)journal_blocks);
	sb->table_start = cpu_to_le64(table_start);
	sb->table_pages = cpu_to_le64(table_pages);
	prepare_image(x, r, formatted);
}

static bool layout_known(struct xml *x, const struct restore *r)
{
	if (!r->layout || !r->image.nr_pages) {
		xml_refuse(x, "nothing can be here without <geometry> and <layout> before it, "
			   "and a table page that is formatted");
		return false;
	}
	return true;
}

static void begin_intent(struct xml *x, const char **attributes)
{
	struct restore *r = xml_context(x);
	struct page_intent *intent;
	const char *kind;
	u64 page, slots;
	const struct xml_field fields[] = {
		NUMBER("page", &page, r->image.nr_pages - 1),
		WORDS("kind", &kind),
		NUMBER("slots", &slots,
		       (1ull << LARDER_ENTRIES_PER_PAGE / LARDER_SLOTS_PER_INTENT_BIT) - 1),
	};

	if (!layout_known(x, r) || !xml_take(x, attributes, fields, ARRAY_SIZE(fields)))
		return;
	intent = &r->image.intents[page];
	if (intent->kind != LARDER_INTENT_NONE) {
		xml_refuse(x, "a second intent of page %llu", LL(page));
		return;
	}
	intent->slots = slots;
	if (!strcmp(kind, "writeback"))
		intent->kind = LARDER_INTENT_WRITE_BACK;
	else if (!strcmp(kind, "writethrough"))
		intent->kind = LARDER_INTENT_WRITE_THROUGH;
	else
		xml_refuse(x, "an intent of an unknown kind");
}

static void begin_slot(struct xml *x, const char **attributes)
{
	struct restore *r = xml_context(x);
	u64 number, block, valid, dirty, hint;
	const struct xml_field fields[] = {
		NUMBER("number", &number, r->image.nr_slots - 1),
		NUMBER("block", &block, LARDER_BLOCK_MASK - 1),
		NUMBER("valid", &valid, U64_MAX),
		NUMBER("dirty", &dirty, U64_MAX),
		NUMBER("hint", &hint, U32_MAX),
	};
	struct larder_entry entry = { 0 };
	const char *what;

	if (!layout_known(x, r) || !xml_take(x, attributes, fields, ARRAY_SIZE(fields)))
		return;
	entry.block_flags = cpu_to_le64(block | LARDER_ENTRY_USED);
	entry.valid = cpu_to_le64(valid);
	entry.dirty = cpu_to_le64(dirty);
	what = entry_judge(&r->image.geometry, number, &entry);
	if (what) {
		xml_refuse(x, "slot %llu: %s", LL(number), what);
		return;
	}
	if (slot_used(&r->image.slots[number])) {
		xml_refuse(x, "slot %llu comes twice", LL(number));
		return;
	}
	r->image.slots[number] = (struct slot_state){
		.block_flags = block | LARDER_ENTRY_USED,
		.valid = valid,
		.dirty = dirty,
		.hint = r->without_hints ? 0 : (u32)hint,
	};
}

int restore_parse(struct restore *r)
{
	static const struct xml_element elements[] = {
		{ "superblock", NULL, begin_superblock },
		{ "mappings", "superblock", begin_group },
		{ "mapping", "mappings", begin_mapping },
		{ "hints", "superblock", begin_group },
		{ "hint", "hints", begin_hint },
		{ "larder", NULL, begin_larder },
		{ "geometry", "larder", begin_geometry },
		{ "layout", "larder", begin_layout },
		{ "intent", "larder", begin_intent },
		{ "slot", "larder", begin_slot },
	};

	return xml_read(r->input, elements, ARRAY_SIZE(elements), r);
}
