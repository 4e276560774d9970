// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The oracle, see oracle.h for the rules.
 */
#include "oracle-internal.h"
#include "random.h"

#include <inttypes.h>
#include <stdarg.h>

static char message[1024];

static void *resize_array(void *array, size_t nr, size_t size)
{
	array = realloc(array, (nr ? nr : 1) * size);
	core_assert(array);
	return array;
}

static void append(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void append(const char *format, ...)
{
	size_t length = strlen(message);
	va_list args;

	va_start(args, format);
	vsnprintf(message + length, sizeof(message) - length, format, args);
	va_end(args);
}

/* --- data --- */

static u64 seal(u64 id, u64 sector)
{
	return sim_mix(MAGIC ^ id ^ sim_mix(sector));
}

void oracle_fill(const struct oracle *o, u64 id, u64 sector, u32 nr, void *buf)
{
	u64 *words = buf;
	unsigned int i;

	(void)o;
	for (; nr; nr--, sector++, words += SECTOR_WORDS) {
		u64 word = seal(id, sector);

		words[0] = MAGIC;
		words[1] = id;
		words[2] = sector;
		for (i = 3; i < SECTOR_WORDS; i++)
			words[i] = word + i * MAGIC;
	}
}

/* Which version a sector holds; false: none. */
static bool parse(const u64 *words, u64 sector, u64 *id)
{
	u64 word, wrong = 0;
	unsigned int i;

	*id = 0;
	if (words[0] != MAGIC) {
		for (i = 0; i < SECTOR_WORDS; i++)
			wrong |= words[i];
		return !wrong;
	}
	*id = words[1];
	word = seal(words[1], words[2]);
	for (i = 3; i < SECTOR_WORDS; i++)
		wrong |= words[i] ^ (word + i * MAGIC);
	return !wrong && words[2] == sector;
}

static void say_broken(const u64 *words, u64 id)
{
	u64 word = seal(words[1], words[2]);
	unsigned int i = words[0] ? 3 : 1;

	if (words[0] && words[0] != MAGIC) {
		append("garbage: word 0 is %#" PRIx64, words[0]);
		return;
	}
	while (i < SECTOR_WORDS && words[i] == (words[0] ? word + i * MAGIC : 0))
		i++;
	if (!words[0])
		append("garbage: zeros up to word %u", i);
	else if (i < SECTOR_WORDS)
		append("a mixture: write %" PRIu64 " up to word %u", id, i);
	else
		append("sector %" PRIu64 "'s data of write %" PRIu64, words[2], id);
}

/* --- operations --- */

static struct oracle_op *op_begin(struct oracle *o, enum op_kind kind, u64 sector, u64 nr, u64 now)
{
	u64 id = o->next_id++;
	struct oracle_op *op = &o->ops[id % NR_OPS];

	core_assert(!o->is_copy);
	memset(op, 0, sizeof(*op));
	op->id = id;
	op->kind = kind;
	op->sector = sector;
	op->nr = nr;
	op->begin = now;
	op->end = NEVER;
	return op;
}

/* NULL: a crash has ended it. */
static struct oracle_op *op_end(struct oracle *o, enum op_kind kind, u64 id, bool ok, u64 now)
{
	struct oracle_op *op = &o->ops[id % NR_OPS];

	if (id < o->crash_id)
		return NULL;
	/* ended twice, or 65536 others have begun since */
	core_assert(op->id == id && op->kind == kind && op->state == OP_FLYING);
	op->state = ok ? OP_WELL : OP_FAILED;
	op->end = now;
	return op;
}

/* --- versions --- */

static struct oracle_version *version_of(const struct oracle *o, u32 index)
{
	return &o->versions[index];
}

#define for_each_version(o, s, v) \
	for (v = (s)->head == NONE ? NULL : version_of(o, (s)->head); v; \
	     v = v->next == NONE ? NULL : version_of(o, v->next))

static u32 add_version(struct oracle *o, struct oracle_sector *s, u64 id, u64 begin, u32 flags)
{
	u32 index = o->free_version;
	struct oracle_version *v;

	if (index != NONE) {
		o->free_version = version_of(o, index)->next;
	} else {
		if (o->nr_versions == o->versions_room) {
			o->versions_room = max(1024u, 2 * o->versions_room);
			o->versions = resize_array(o->versions, o->versions_room,
						   sizeof(*o->versions));
		}
		index = o->nr_versions++;
	}
	v = version_of(o, index);
	v->id = id;
	v->first = id;
	v->begin = begin;
	v->lo = begin;
	v->end = NEVER;
	v->hi = NEVER;
	v->gone = NEVER;
	v->flags = flags;
	v->next = s->head;
	s->head = index;
	s->nr++;
	o->most_versions = max(o->most_versions, s->nr);
	return index;
}

/* Takes out the one that `link` leads to. */
static void remove_version(struct oracle *o, struct oracle_sector *s, u32 *link)
{
	u32 index = *link;
	struct oracle_version *v = version_of(o, index);

	*link = v->next;
	v->next = o->free_version;
	o->free_version = index;
	s->nr--;
}

static struct oracle_sector *touch(struct oracle *o, u64 sector)
{
	struct oracle_sector *s = &o->states[sector];

	if (s->head == NONE) {
		struct oracle_version *v = version_of(o, add_version(o, s, 0, 0, SURE | DURABLE));

		v->end = 0;
		v->hi = 0;
	}
	return s;
}

/* What X means for v. */
static void relate(const struct oracle *o, struct oracle_version *v, const struct oracle_version *x)
{
	bool strict = !(o->failed_may_return && (v->flags & FAILED));

	if ((x->flags & SURE) && v->hi < x->lo)
		v->gone = min(v->gone, x->hi);
	if ((x->flags & DURABLE) && v->hi < (strict ? x->lo : x->begin))
		v->flags |= EXCLUDED;
}

/*
 * X has changed.  What others mean for X has not: hi is only ever lowered to the present, and no lo
 * lies beyond that.
 */
static void relate_all(struct oracle *o, struct oracle_sector *s, struct oracle_version *x)
{
	struct oracle_version *v;

	for_each_version(o, s, v)
		if (v != x)
			relate(o, v, x);
}

static bool is_past(const struct oracle_version *v)
{
	return v->gone != NEVER && (v->flags & EXCLUDED);
}

static void forget_past(struct oracle *o, struct oracle_sector *s, u64 now)
{
	u32 *link = &s->head;

	while (*link != NONE) {
		struct oracle_version *v = version_of(o, *link);

		if (!is_past(v) || (s->nr <= KEPT_VERSIONS && now - v->gone < KEPT_EVENTS) ||
		    v->end == NEVER) {
			link = &v->next;
			continue;
		}
		s->forgot_gone = max(s->forgot_gone, v->gone);
		s->forgot_id = max(s->forgot_id, v->id);
		remove_version(o, s, link);
	}
}

/* Versions without a flush for a long time: two overwritten ones become one. */
static void blur(struct oracle *o, struct oracle_sector *s)
{
	struct oracle_version *v, *into = NULL;
	u32 *link, *last = NULL;

	/* the oldest are last */
	for (link = &s->head; *link != NONE; link = &v->next) {
		v = version_of(o, *link);
		if (v->end == NEVER || v->gone == NEVER || (v->flags & (ANYTHING | DURABLE)))
			continue;
		if (last)
			into = version_of(o, *last);
		last = link;
	}
	if (!into)
		return;
	v = version_of(o, *last);
	into->first = min(into->first, v->first);
	into->id = max(into->id, v->id);
	into->begin = min(into->begin, v->begin);
	into->lo = min(into->lo, v->lo);
	into->hi = max(into->hi, v->hi);
	into->end = max(into->end, v->end);
	into->gone = max(into->gone, v->gone);
	into->flags &= v->flags & EXCLUDED;
	remove_version(o, s, last);
}

static struct oracle_version *find(struct oracle *o, const struct oracle_sector *s, u64 id)
{
	struct oracle_version *v, *found = NULL;

	for_each_version(o, s, v) {
		if (v->flags & ANYTHING ? v->id == id && id : v->id == id && v->first == id)
			return v;
		if (!(v->flags & ANYTHING) && v->first <= id && id <= v->id)
			found = v;
	}
	return found;
}

static void check_range(const struct oracle *o, u64 sector, u64 nr)
{
	core_assert(sector <= o->sectors && nr <= o->sectors - sector);
}

/* --- writes, discards, flushes --- */

u64 oracle_write_begin(struct oracle *o, u64 sector, u32 nr, bool fua, u64 now)
{
	struct oracle_op *op = op_begin(o, OP_WRITE, sector, nr, now);
	u32 i;

	check_range(o, sector, nr);
	op->fua = fua;
	for (i = 0; i < nr; i++) {
		struct oracle_sector *s = touch(o, sector + i);

		forget_past(o, s, now);
		if (s->nr >= MOST_VERSIONS)
			blur(o, s);
		add_version(o, s, op->id, now, 0);
	}
	return op->id;
}

static void note_unflushed(struct oracle *o, u64 sector)
{
	struct oracle_sector *s = &o->states[sector];

	if (s->unflushed)
		return;
	s->unflushed = true;
	if (o->nr_unflushed == o->unflushed_room) {
		o->unflushed_room = max_t(size_t, 1024, 2 * o->unflushed_room);
		o->unflushed = resize_array(o->unflushed, o->unflushed_room,
					    sizeof(*o->unflushed));
	}
	o->unflushed[o->nr_unflushed++] = sector;
}

void oracle_write_end(struct oracle *o, u64 id, bool ok, u64 now)
{
	const struct oracle_op *op = op_end(o, OP_WRITE, id, ok, now);
	u64 i;

	for (i = 0; op && i < op->nr; i++) {
		struct oracle_sector *s = &o->states[op->sector + i];
		struct oracle_version *v = find(o, s, id);

		v->end = now;
		v->hi = min(v->hi, now);
		if (!ok)
			v->flags |= FAILED;
		else if (op->fua)
			v->flags |= SURE | WELL | DURABLE;
		else
			v->flags |= SURE | WELL;
		relate_all(o, s, v);
		if (ok && !op->fua)
			note_unflushed(o, op->sector + i);
	}
}

u64 oracle_discard_begin(struct oracle *o, u64 sector, u64 nr, u64 now)
{
	u64 id = op_begin(o, OP_DISCARD, sector, nr, now)->id, i;

	check_range(o, sector, nr);
	for (i = 0; i < nr; i++) {
		struct oracle_sector *s = touch(o, sector + i);
		u32 *link = &s->head;

		/* whatever overwrites this, overwrites what ended before */
		while (*link != NONE) {
			struct oracle_version *v = version_of(o, *link);

			if (v->end != NEVER && v->hi < now)
				remove_version(o, s, link);
			else
				link = &v->next;
		}
		add_version(o, s, id, now, ANYTHING);
	}
	return id;
}

void oracle_discard_end(struct oracle *o, u64 id, bool ok, u64 now)
{
	const struct oracle_op *op = op_end(o, OP_DISCARD, id, ok, now);
	u64 i;

	for (i = 0; op && i < op->nr; i++) {
		struct oracle_sector *s = &o->states[op->sector + i];
		struct oracle_version *v = find(o, s, id);

		v->end = now;
		v->hi = now;
	}
}

u64 oracle_flush_begin(struct oracle *o, u64 now)
{
	return op_begin(o, OP_FLUSH, 0, 0, now)->id;
}

/* Does the sector still have what a flush would make durable? */
static bool flush_sector(struct oracle *o, struct oracle_sector *s, u64 begin)
{
	struct oracle_version *v;
	bool more = false;

	for_each_version(o, s, v) {
		if ((v->flags & (WELL | DURABLE)) != WELL)
			continue;
		if (v->end < begin) {
			v->flags |= DURABLE;
			relate_all(o, s, v);
		} else {
			more = true;
		}
	}
	return more;
}

void oracle_flush_end(struct oracle *o, u64 id, bool ok, u64 now)
{
	const struct oracle_op *op = op_end(o, OP_FLUSH, id, ok, now);
	size_t i, nr = 0;

	if (!op || !ok)
		return;
	for (i = 0; i < o->nr_unflushed; i++) {
		struct oracle_sector *s = &o->states[o->unflushed[i]];

		s->unflushed = flush_sector(o, s, op->begin);
		if (s->unflushed)
			o->unflushed[nr++] = o->unflushed[i];
	}
	o->nr_unflushed = nr;
}

/* --- reads --- */

u64 oracle_read_begin(struct oracle *o, u64 now)
{
	(void)o;
	return now;
}

static void say_version(const struct oracle_version *v)
{
	const char *how = v->flags & WELL ? "ok" : v->flags & FAILED ? "failed" :
		v->flags & LEFT ? "left by a crash" : v->end == NEVER ? "in flight" : "";

	if (v->flags & ANYTHING)
		append("anything (discard %" PRIu64, v->id);
	else if (v->first != v->id)
		append("writes %" PRIu64 " to %" PRIu64 " (", v->first, v->id);
	else if (v->id)
		append("write %" PRIu64 " (", v->id);
	else
		append("zeros (");
	append("%s [%" PRIu64 ", ", how, v->begin);
	if (v->end == NEVER)
		append("...]");
	else
		append("%" PRIu64 "]", v->end);
	if (v->lo != v->begin)
		append(", after what had ended before %" PRIu64, v->lo);
	if (v->gone != NEVER)
		append(", overwritten by %" PRIu64, v->gone);
	append("%s%s)", v->flags & DURABLE ? ", durable" : "",
	       v->flags & EXCLUDED ? ", no crash brings it back" : "");
}

/* Was that ever written there, as far as is remembered? */
static bool was_written(const struct oracle *o, u64 sector, u64 id)
{
	const struct oracle_op *op = &o->ops[id % NR_OPS];

	if (!id || op->id != id)
		return id < o->next_id;
	return op->kind == OP_WRITE && op->sector <= sector && sector < op->sector + op->nr;
}

static void say_wrong(const struct oracle *o, u64 sector, u64 id,
		      const struct oracle_version *found, u64 begin)
{
	const struct oracle_op *op = &o->ops[id % NR_OPS];
	const struct oracle_version *v;
	const char *comma = "";

	if (found)
		say_version(found);
	else if (!id)
		append("zeros, which had been overwritten");
	else if (!was_written(o, sector, id))
		append("write %" PRIu64 ", which never was here", id);
	else if (op->id == id)
		append("write %" PRIu64 " [%" PRIu64 ", %" PRIu64 "], long overwritten or undone",
		       id, op->begin, op->end);
	else
		append("write %" PRIu64 ", long overwritten or undone", id);
	append("; allowed: ");
	for_each_version(o, &o->states[sector], v) {
		if (v->gone < begin)
			continue;
		append("%s", comma);
		comma = ", ";
		say_version(v);
	}
}

/* A read [begin, now] has found v, and that is all there was to find. */
static void learn(struct oracle *o, struct oracle_sector *s, struct oracle_version *v, u64 id,
		  u64 begin, u64 now)
{
	if (s->nr == 1 && v->end != NEVER && (v->flags & (SURE | LEFT)) == SURE)
		return;
	if (v->gone == NEVER) {
		v->id = id;
		v->first = id;
	} else if (v->first != v->id) {
		return;
	}
	v->lo = max(v->lo, begin);
	v->hi = min(v->hi, now);
	v->flags |= SURE;
	if (v->flags & LEFT)
		v->flags |= DURABLE;
	v->flags &= ~LEFT;
	relate_all(o, s, v);
}

/* Is what was found one of those that are allowed?  Then the oracle learns from it. */
static bool judge_sector(struct oracle *o, u64 sector, u64 id, u64 begin, u64 now,
			 struct oracle_version **exact)
{
	struct oracle_sector *s = &o->states[sector];
	struct oracle_version *v;
	bool anything = false;

	*exact = NULL;
	if (s->head == NONE)
		return !id;
	for_each_version(o, s, v)
		anything |= (v->flags & ANYTHING) && v->gone >= begin;
	*exact = find(o, s, id);
	if (anything && was_written(o, sector, id))
		return true;
	v = *exact;
	if (v && v->gone >= begin && !(v->flags & ANYTHING)) {
		learn(o, s, v, id, begin, now);
		return true;
	}
	return !v && begin <= s->forgot_gone && id <= s->forgot_id && was_written(o, sector, id);
}

static const char *read_sector(struct oracle *o, u64 sector, const u64 *words, u64 *id, u64 begin,
			       u64 now)
{
	struct oracle_version *exact;
	bool intact = parse(words, sector, id);

	if (intact && judge_sector(o, sector, *id, begin, now, &exact))
		return NULL;
	message[0] = 0;
	append("sector %" PRIu64 ", read [%" PRIu64 ", %" PRIu64 "], found ", sector, begin, now);
	if (intact)
		say_wrong(o, sector, *id, exact, begin);
	else
		say_broken(words, *id);
	return message;
}

const char *oracle_read_end(struct oracle *o, u64 sector, u32 nr, const void *data, u64 begin,
			    u64 now)
{
	const u64 *words = data;
	struct oracle_op unnoted, *op = &unnoted;
	u64 found;
	u32 i;

	check_range(o, sector, nr);
	if (begin < o->crashed_at)
		return NULL;
	if (!o->is_copy)
		op = op_begin(o, OP_READ, sector, nr, begin);
	op->end = now;
	op->state = OP_WELL;
	o->nr_reads++;
	o->nr_sectors_read += nr;
	for (i = 0; i < nr; i++) {
		const char *wrong = read_sector(o, sector + i, words + i * SECTOR_WORDS, &found,
						begin, now);

		if (!i || wrong)
			op->found = found;
		if (wrong)
			return wrong;
	}
	return NULL;
}

const char *oracle_check_all(struct oracle *o, int (*read_sector)(void *ctx, u64 sector, void *buf),
			     void *ctx, u64 now)
{
	u64 buf[SECTOR_WORDS], sector;
	const char *wrong;
	int error;

	for (sector = 0; sector < o->sectors; sector++) {
		error = read_sector(ctx, sector, buf);
		if (error) {
			message[0] = 0;
			append("sector %" PRIu64 " cannot be read: error %d", sector, error);
			return message;
		}
		wrong = oracle_read_end(o, sector, 1, buf, now, now);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* --- crashes --- */

static void crash_sector(struct oracle *o, struct oracle_sector *s, u64 now)
{
	struct oracle_version *v;
	u32 *link = &s->head;

	while (*link != NONE) {
		v = version_of(o, *link);
		if (v->flags & EXCLUDED)
			remove_version(o, s, link);
		else
			link = &v->next;
	}
	for_each_version(o, s, v) {
		if (v->flags & ANYTHING)
			v->flags = ANYTHING;
		else
			v->flags = s->nr == 1 && v->first == v->id ? SURE | DURABLE : LEFT;
		v->lo = now;
		v->hi = now;
		v->end = min(v->end, now);
		v->gone = NEVER;
	}
	s->unflushed = false;
	s->forgot_gone = 0;
	s->forgot_id = 0;
}

/* The operations end, too. */
static void note_crash(struct oracle *o, u64 now)
{
	struct oracle_op *op = op_begin(o, OP_CRASH, 0, 0, now);
	u64 i;

	op->end = now;
	op->state = OP_WELL;
	for (i = 0; i < min_t(u64, o->next_id, NR_OPS); i++)
		if (o->ops[i].kind != OP_NONE && o->ops[i].state == OP_FLYING)
			o->ops[i].state = OP_VOID;
}

void oracle_crash(struct oracle *o, u64 now)
{
	u64 i;

	for (i = 0; i < o->sectors; i++)
		if (o->states[i].head != NONE)
			crash_sector(o, &o->states[i], now);
	o->nr_unflushed = 0;
	o->crash_id = o->next_id;
	o->crashed_at = now;
	o->nr_crashes++;
	if (!o->is_copy)
		note_crash(o, now);
}

/* --- the whole --- */

void oracle_resize(struct oracle *o, u64 sectors, u64 now)
{
	size_t i, nr = 0;
	u64 sector;

	(void)now;
	for (sector = sectors; sector < o->sectors; sector++) {
		struct oracle_sector *s = &o->states[sector];

		while (s->head != NONE) {
			core_assert(version_of(o, s->head)->end != NEVER);
			remove_version(o, s, &s->head);
		}
	}
	o->states = resize_array(o->states, sectors, sizeof(*o->states));
	for (sector = o->sectors; sector < sectors; sector++)
		o->states[sector] = (struct oracle_sector) { .head = NONE };
	for (i = 0; i < o->nr_unflushed; i++)
		if (o->unflushed[i] < sectors)
			o->unflushed[nr++] = o->unflushed[i];
	o->nr_unflushed = nr;
	o->sectors = sectors;
}

void oracle_init(struct oracle *o, u64 sectors)
{
	memset(o, 0, sizeof(*o));
	o->next_id = 1;
	o->free_version = NONE;
	o->ops = calloc(NR_OPS, sizeof(*o->ops));
	core_assert(o->ops);
	oracle_resize(o, sectors, 0);
}

void oracle_free(struct oracle *o)
{
	free(o->states);
	free(o->versions);
	free(o->unflushed);
	if (!o->is_copy)
		free(o->ops);
	memset(o, 0, sizeof(*o));
}

static void *copy_array(void *to, const void *from, size_t nr, size_t size)
{
	to = resize_array(to, nr, size);
	if (nr)
		memcpy(to, from, nr * size);
	return to;
}

void oracle_copy(struct oracle *to, const struct oracle *from)
{
	struct oracle old = *to;

	*to = *from;
	to->versions_room = from->nr_versions;
	to->unflushed_room = from->nr_unflushed;
	to->is_copy = true;
	to->states = copy_array(old.states, from->states, from->sectors, sizeof(*to->states));
	to->versions = copy_array(old.versions, from->versions, from->nr_versions,
				  sizeof(*to->versions));
	to->unflushed = copy_array(old.unflushed, from->unflushed, from->nr_unflushed,
				   sizeof(*to->unflushed));
}

static void describe_op(const struct oracle_op *op, FILE *out)
{
	static const char * const kinds[] = { "", "write", "discard", "flush", "read", "crash" };
	static const char * const states[] = { "in flight", "ok", "failed", "ended by a crash" };

	fprintf(out, "  %10" PRIu64 " ", op->begin);
	if (op->end == NEVER)
		fprintf(out, "%10s", "...");
	else
		fprintf(out, "%10" PRIu64, op->end);
	fprintf(out, "  %s", kinds[op->kind]);
	if (op->kind == OP_WRITE || op->kind == OP_DISCARD)
		fprintf(out, " %" PRIu64, op->id);
	if (op->nr)
		fprintf(out, " sectors %" PRIu64 "+%" PRIu64, op->sector, op->nr);
	if (op->kind == OP_READ)
		fprintf(out, ", found write %" PRIu64, op->found);
	else if (op->kind != OP_CRASH)
		fprintf(out, "%s, %s", op->fua ? " FUA" : "", states[op->state]);
	fprintf(out, "\n");
}

void oracle_describe(const struct oracle *o, u64 sector, FILE *out)
{
	u64 id = o->next_id > NR_OPS ? o->next_id - NR_OPS : 1;
	const struct oracle_version *v;
	static char kept[sizeof(message)];

	memcpy(kept, message, sizeof(message)); /* the reason why we are asked, probably */
	fprintf(out, "sector %" PRIu64 " may hold:\n", sector);
	if (sector >= o->sectors || o->states[sector].head == NONE) {
		fprintf(out, "  zeros: it was never written\n");
	} else {
		for_each_version(o, &o->states[sector], v) {
			message[0] = 0;
			say_version(v);
			fprintf(out, "  %s\n", message);
		}
	}
	fprintf(out, "operations on it (a read names what its first sector held):\n");
	for (; id < o->next_id; id++) {
		const struct oracle_op *op = &o->ops[id % NR_OPS];

		if (!op->nr || (op->sector <= sector && sector < op->sector + op->nr))
			describe_op(op, out);
	}
	memcpy(message, kept, sizeof(message));
}
