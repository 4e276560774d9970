// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cleaner: admits nothing and gives up nothing, while the core writes
 * everything dirty back (policy_ops.cleaner).  LVM loads a table with it and
 * waits for "0 dirty" before it takes a cache apart.
 */
#include "policy.h"

/* It keeps no state, but 0 would mean refusal. */
static size_t cleaner_state_bytes(const struct policy_geometry *geometry)
{
	return 1;
}

static int cleaner_init(struct policy *p, u64 seed)
{
	return 0;
}

static enum policy_admit cleaner_miss(struct policy *p, const struct policy_miss *miss)
{
	return POLICY_BYPASS;
}

static void cleaner_inserted(struct policy *p, u32 slot, u64 block, bool write)
{
}

static void cleaner_load(struct policy *p, u32 slot, u64 block, u32 hint, bool has_hint)
{
}

static void cleaner_load_end(struct policy *p)
{
}

static void cleaner_removed(struct policy *p, u32 slot, u64 block, enum policy_removed why)
{
}

static u32 cleaner_victims(struct policy *p, u32 *slots, u32 want, u64 now_ms)
{
	return 0;
}

static void cleaner_victim_refused(struct policy *p, u32 slot)
{
}

static u32 cleaner_get_hint(struct policy *p, u32 slot)
{
	return 0;
}

static int cleaner_set(struct policy *p, const char *key, u64 value)
{
	return -ENOENT;
}

static void cleaner_emit_args(struct policy *p, policy_emit_fn emit, void *context)
{
}

const struct policy_ops policy_cleaner = {
	.name = "cleaner",
	.description = "writes everything back and admits nothing",
	.version = { 1, 0, 0 },
	.cleaner = true,
	.state_bytes = cleaner_state_bytes,
	.init = cleaner_init,
	.miss = cleaner_miss,
	.inserted = cleaner_inserted,
	.load = cleaner_load,
	.load_end = cleaner_load_end,
	.removed = cleaner_removed,
	.victims = cleaner_victims,
	.victim_refused = cleaner_victim_refused,
	.get_hint = cleaner_get_hint,
	.set = cleaner_set,
	.emit_args = cleaner_emit_args,
};
