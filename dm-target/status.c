// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a cache tells of itself: dm-cache's status line (so that LVM and
 * others can read it), the exact echo of the table, and everything else as
 * one JSON object in answer to the message "stats".
 */
#include <linux/slab.h>

#include "larder.h"

u64 larder_sum(struct larder_cache *c, enum larder_count stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(c->stats, cpu)->count[stat]);
	return sum;
}

/* Slots as chunks, rounded up: 0 only when there are none. */
static u64 chunks(const struct larder_cache *c, s64 slots)
{
	return DIV_ROUND_UP_ULL((u64)max_t(s64, slots, 0) * c->geometry.block_sectors,
				c->geometry.chunk_sectors);
}

/* Where text goes; what does not fit is cut, which dm core notices by the length. */
struct out {
	char *text;
	unsigned int size, used;
};

static __printf(2, 3) void emit(struct out *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (o->used < o->size)
		o->used += vscnprintf(o->text + o->used, o->size - o->used, format, args);
	va_end(args);
}

static void emit_pair(void *context, const char *key, u64 value)
{
	emit(context, " %s %llu", key, value);
}

static void count_pair(void *context, const char *key, u64 value)
{
	*(unsigned int *)context += 2;
}

static const char *mode_name(const struct larder_cache *c)
{
	return larder_mode_names[c->args.mode];
}

/* Without its metadata nothing more is to be had from it; what is dirty may still be saved. */
static bool lost(struct larder_cache *c)
{
	return larder_failed(c) && !atomic64_read(&c->map.nr_dirty);
}

/*
 * "Fail", or
 * <metadata block size> <used>/<total> <chunk sectors> <used>/<total>
 * <read hits> <read misses> <write hits> <write misses> <demotions>
 * <promotions> <dirty> <#features> <feature>* <#core> <core>* <policy>
 * <#policy args> <policy arg>* <ro|rw> <needs_check|->
 *
 * LVM takes a cache that says Fail for one that has nothing to be saved, and
 * drops it; so it is said of a cache without dirty blocks only.
 */
static void emit_info(struct larder_cache *c, struct out *o)
{
	bool passdown = c->args.discard_passdown && !c->no_origin_discards;
	u64 used = 0, total = 0;
	unsigned int pairs = 0;

	if (lost(c)) {
		emit(o, "Fail");
		return;
	}
	metadata_usage(c->metadata, &used, &total);
	emit(o, "%u %llu/%llu %u %llu/%llu", LARDER_UNIT_SECTORS, used, total,
	     c->geometry.chunk_sectors, chunks(c, atomic64_read(&c->map.nr_used)),
	     chunks(c, c->geometry.nr_slots));
	emit(o, " %llu %llu %llu %llu", larder_sum(c, COUNT_READ_HIT),
	     larder_sum(c, COUNT_READ_MISS), larder_sum(c, COUNT_WRITE_HIT),
	     larder_sum(c, COUNT_WRITE_MISS));
	emit(o, " %llu %llu %llu", larder_sum(c, COUNT_DEMOTION),
	     larder_sum(c, COUNT_PROMOTION), chunks(c, atomic64_read(&c->map.nr_dirty)));
	emit(o, " %u%s %s%s", 1 + c->args.metadata2 + !passdown,
	     c->args.metadata2 ? " metadata2" : "", mode_name(c),
	     passdown ? "" : " no_discard_passdown");
	emit(o, " 2 migration_threshold %llu %s", c->args.migration_threshold,
	     c->args.policy_name);
	spin_lock_irq(&c->policy_lock);
	/* none after a resume that failed */
	if (c->policy_memory)
		larder_policy_emit(c, count_pair, &pairs);
	emit(o, " %u", pairs);
	if (c->policy_memory)
		larder_policy_emit(c, emit_pair, o);
	spin_unlock_irq(&c->policy_lock);
	emit(o, larder_failed(c) ? " ro needs_check" : " rw -");
}

void larder_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		   unsigned int maxlen)
{
	struct larder_cache *c = ti->private;
	struct out o = { result, maxlen, 0 };

	if (maxlen)
		result[0] = '\0';
	switch (type) {
	case STATUSTYPE_INFO:
		/* as dm-cache does: a status with flush notices metadata that cannot be written */
		if (!(flags & DM_STATUS_NOFLUSH_FLAG) && c->loaded && READ_ONCE(c->running))
			larder_commit_probe(c);
		emit_info(c, &o);
		break;
	case STATUSTYPE_TABLE:
		emit(&o, "%s %s %s %s", c->metadata_dev->name, c->cache_dev->name,
		     c->origin_dev->name, c->args.echo);
		break;
	case STATUSTYPE_IMA:
		emit(&o, "target_name=%s,target_version=%u.%u.%u,metadata_mode=%s;",
		     ti->type->name, ti->type->version[0], ti->type->version[1],
		     ti->type->version[2], mode_name(c));
		break;
	}
}

static const char *const stat_names[] = {
	[COUNT_READ_HIT] = "read_hits",
	[COUNT_READ_MISS] = "read_misses",
	[COUNT_WRITE_HIT] = "write_hits",
	[COUNT_WRITE_MISS] = "write_misses",
	[COUNT_READ_MIXED] = "reads_served_by_both",
	[COUNT_WRITE_AROUND] = "writes_around",
	[COUNT_MERGE] = "merges",
	[COUNT_FILL] = "fills",
	[COUNT_FILL_DROPPED] = "fills_dropped",
	[COUNT_PROMOTION] = "promotions",
	[COUNT_DEMOTION] = "demotions",
	[COUNT_INVALIDATED] = "invalidated",
	[COUNT_DESTAGE] = "destaged_blocks",
	[COUNT_DESTAGE_SPOILED] = "destaged_but_rewritten",
	[COUNT_ORIGIN_READS] = "origin_reads",
	[COUNT_ORIGIN_WRITES] = "origin_writes",
	[COUNT_CACHE_SECTORS_WRITTEN] = "cache_sectors_written",
	[COUNT_ORIGIN_SECTORS_WRITTEN] = "origin_sectors_written",
	[COUNT_COMMIT] = "commits",
	[COUNT_COMMIT_RECORDS] = "commit_records",
	[COUNT_COMMIT_FAILED] = "commits_failed",
	[COUNT_FLUSH] = "flushes",
	[COUNT_FUA] = "fua_writes",
	[COUNT_CACHE_FLUSH] = "cache_flushes",
	[COUNT_ORIGIN_FLUSH] = "origin_flushes",
	[COUNT_CHECKPOINT] = "checkpoints",
	[COUNT_INTENT] = "intents",
	[COUNT_PARKED] = "parked",
	[COUNT_DISCARD] = "discards",
	[COUNT_CACHE_ERROR] = "cache_errors",
	[COUNT_ORIGIN_ERROR] = "origin_errors",
	[COUNT_PI_ERROR] = "pi_errors",
	[COUNT_PI_HEALED] = "pi_healed",
	[COUNT_PI_LOST] = "pi_lost",
	[COUNT_PI_REFUSED] = "pi_refused",
};

static void emit_json_pair(void *context, const char *key, u64 value)
{
	struct out *o = context;

	/* with no room there is nothing before it */
	emit(o, "%s\"%s\":%llu", o->used && o->text[o->used - 1] == '{' ? "" : ",", key, value);
}

/* Which tuples pass, or why none do. */
static void emit_integrity(struct larder_cache *c, struct out *o)
{
	const struct larder_profile *p = &c->profile;
	const char *passes = c->carrier ? "carrier" : "pass";

	emit(o, ",\"pi\":\"%s\",\"pi_wanted\":\"%s\",\"pi_kept\":%s,\"pi_carried\":%s",
	     c->pi ? passes : c->args.pi == PI_OFF ? "off" : "none", larder_pi_names[c->args.pi],
	     c->pi_kept ? "true" : "false", c->carrier ? "true" : "false");
	if (c->pi)
		emit(o, ",\"pi_profile\":\"%s\",\"pi_interval\":%u,\"pi_tuple\":%u", p->name,
		     1u << p->interval_exp, p->tuple_size);
	else
		emit(o, ",\"pi_reason\":\"%s\"", c->pi_reason ?: "");
}

/* All numbers are counts since the table was loaded, but for the sizes. */
static void emit_json(struct larder_cache *c, struct out *o)
{
	const struct geometry *g = &c->geometry;
	unsigned int i;

	emit(o, "{\"version\":\"%u.%u.%u\",\"mode\":\"%s\",\"policy\":\"%s\",\"health\":\"%s\"",
	     larder_target.version[0], larder_target.version[1], larder_target.version[2],
	     mode_name(c), c->policy_ops->name, larder_failed(c) ? "commit failed" : "ok");
	emit(o, ",\"recovered\":%s", c->was_clean ? "false" : "true");
	emit_integrity(c, o);
	emit(o, ",\"chunk_sectors\":%u,\"block_sectors\":%u,\"grain_sectors\":%u",
	     g->chunk_sectors, g->block_sectors, g->grain_sectors);
	emit(o, ",\"slots\":%llu,\"slots_used\":%lld,\"slots_free\":%lld,\"slots_dirty\":%lld",
	     g->nr_slots, atomic64_read(&c->map.nr_used), atomic64_read(&c->map.nr_free),
	     atomic64_read(&c->map.nr_dirty));
	emit(o, ",\"origin_sectors\":%llu,\"journal_blocks\":%u,\"journal_used\":%llu",
	     g->origin_sectors, g->journal_blocks, metadata_journal_used(c->metadata));
	emit(o, ",\"counts\":{");
	for (i = 0; i < ARRAY_SIZE(stat_names); i++)
		emit_json_pair(o, stat_names[i], larder_sum(c, i));
	emit(o, "},\"policy_stats\":{");
	spin_lock_irq(&c->policy_lock);
	if (c->policy_memory && c->policy_ops->emit_stats)
		c->policy_ops->emit_stats(&c->policy, emit_json_pair, o);
	spin_unlock_irq(&c->policy_lock);
	emit(o, "},\"scrub\":");
	o->used += larder_scrub_text(c, o->text + o->used, o->size - o->used, false);
	emit(o, "}");
}

static int set_value(struct larder_cache *c, const char *key, const char *text)
{
	u64 value;
	int err;

	if (kstrtou64(text, 10, &value)) {
		DMERR("message: value of \"%s\" must be a decimal number, found \"%s\"", key, text);
		return -EINVAL;
	}
	if (!strcmp(key, "migration_threshold")) {
		c->args.migration_threshold = value;
		return 0;
	}
	spin_lock_irq(&c->policy_lock);
	err = c->policy_memory ? larder_policy_set(c, key, value) : -EAGAIN;
	spin_unlock_irq(&c->policy_lock);
	if (err == -ENOENT)
		DMERR("message: policy %s has no setting \"%s\"", c->policy_ops->name, key);
	else if (err && err != -EAGAIN)
		DMERR("message: %llu is out of range for \"%s\"", value, key);
	return err && err != -EAGAIN ? -EINVAL : err;
}

/*
 * LVM drops the layer of an inactive cache that it believes to be write-through
 * or pass-through without asking; so only a table sets the mode.
 */
static int same_mode(struct larder_cache *c, const char *mode)
{
	if (!strcmp(mode, mode_name(c)))
		return 0;
	DMERR("message: the mode is %s: another one needs a new table (LVM: lvchange --cachemode)",
	      mode_name(c));
	return -EPERM;
}

/*
 *	stats		everything as JSON, without a commit
 *	scrub ...	see scrub.c
 *	<key> <value>	a setting of the policy, or migration_threshold
 *	mode <mode>	refused, unless it is the table's
 *	invalidate_cblocks <chunk>[-<end>]...
 *			drops these chunks of the cache device; pass-through only
 */
int larder_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		   unsigned int maxlen)
{
	struct larder_cache *c = ti->private;
	struct out o = { result, maxlen, 0 };

	if (argc == 1 && !strcmp(argv[0], "stats")) {
		if (!c->loaded)
			return -EAGAIN;
		emit_json(c, &o);
		return 1;
	}
	if (argc && !strcmp(argv[0], "scrub"))
		return larder_scrub_message(c, argc - 1, argv + 1, result, maxlen);
	if (argc && !strcmp(argv[0], "invalidate_cblocks"))
		return larder_invalidate(c, argc - 1, argv + 1);
	if (argc == 2 && !strcmp(argv[0], "mode"))
		return same_mode(c, argv[1]);
	if (argc == 2)
		return set_value(c, argv[0], argv[1]);
	DMERR("message: expected \"stats\", \"scrub ...\", \"<key> <value>\" or \"invalidate_cblocks <range>...\"");
	return -EINVAL;
}
