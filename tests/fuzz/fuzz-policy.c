// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: a policy under calls in any order that the module may make
 * (policy.h), against a model of where each slot is.
 *
 *	- victims are slots that hold a block, none twice, no more than wanted,
 *	  and some while there are any (but of a cleaner);
 *	- the work for them is bounded;
 *	- no slot is lost: in the end each one that holds a block comes out;
 *	- hints carry over to another instance.
 */
#include "../../policy/policy.h"
#include "fuzz.h"

#define SLOTS_MAX 300u
#define BLOCKS_MAX 1024u
#define NOTHING U64_MAX

enum model_state {
	FREE,
	RESIDENT,
	HANDED_OUT,		/* as a victim, to be answered */
};

struct model {
	struct policy policy;
	u32 nr_slots, nr_blocks;
	u64 block[SLOTS_MAX];		/* by slot */
	u32 slot[BLOCKS_MAX];		/* by block */
	enum model_state state[SLOTS_MAX];
	u8 heat[SLOTS_MAX];
	u64 heat_calls;
	u64 now_ms;
};

static const struct policy_ops *const all[] = { &policy_s3fifo, &policy_cleaner };

static u8 heat_get(void *context, u32 slot)
{
	struct model *m = context;

	FUZZ_CHECK(slot < m->nr_slots);
	m->heat_calls++;
	return m->heat[slot];
}

static void heat_set(void *context, u32 slot, u8 heat)
{
	struct model *m = context;

	FUZZ_CHECK(slot < m->nr_slots && heat <= m->policy.ops->heat_max);
	m->heat[slot] = heat;
}

static void model_start(struct model *m, const struct policy_ops *ops, u32 nr_slots, u32 nr_blocks,
			u64 seed)
{
	size_t bytes;
	u32 i;

	memset(m, 0, sizeof(*m));
	m->nr_slots = nr_slots;
	m->nr_blocks = nr_blocks;
	for (i = 0; i < nr_slots; i++)
		m->block[i] = NOTHING;
	for (i = 0; i < nr_blocks; i++)
		m->slot[i] = POLICY_NO_SLOT;
	m->policy.ops = ops;
	m->policy.geometry = (struct policy_geometry){ nr_slots, 32, nr_blocks };
	m->policy.heat = (struct policy_heat){ heat_get, heat_set, m };
	bytes = ops->state_bytes(&m->policy.geometry);
	FUZZ_CHECK(bytes);
	m->policy.state = fuzz_alloc_aligned(64, bytes);
	FUZZ_CHECK(!ops->init(&m->policy, seed));
}

static void model_stop(struct model *m)
{
	if (m->policy.ops->exit)
		m->policy.ops->exit(&m->policy);
	free(m->policy.state);
}

static void model_put(struct model *m, u32 slot, u64 block)
{
	m->block[slot] = block;
	m->slot[block] = slot;
	m->state[slot] = RESIDENT;
}

static void model_remove(struct model *m, u32 slot, enum policy_removed why)
{
	u64 block = m->block[slot];

	m->block[slot] = NOTHING;
	m->slot[block] = POLICY_NO_SLOT;
	m->state[slot] = FREE;
	m->policy.ops->removed(&m->policy, slot, block, why);
}

static u64 model_count(const struct model *m, enum model_state state)
{
	u64 count = 0;
	u32 i;

	for (i = 0; i < m->nr_slots; i++)
		count += m->state[i] == state;
	return count;
}

/* The first slot from there on that is in that state. */
static u32 model_find(const struct model *m, u32 from, enum model_state state)
{
	u32 i;

	for (i = 0; i < m->nr_slots; i++)
		if (m->state[(from + i) % m->nr_slots] == state)
			return (from + i) % m->nr_slots;
	return POLICY_NO_SLOT;
}

/* --- calls --- */

static void ask(struct model *m, u64 block, u8 how)
{
	const struct policy_miss miss = {
		.block = block,
		.grains = 1 + how % 64,
		.write = how & 1,
		.free_slots = model_count(m, FREE),
		.now_ms = m->now_ms,
	};
	u32 slot = m->slot[block];

	if (slot != POLICY_NO_SLOT) {
		if (m->heat[slot] < m->policy.ops->heat_max)
			m->heat[slot]++;
		return;
	}
	if (m->policy.ops->miss(&m->policy, &miss) == POLICY_BYPASS)
		return;
	FUZZ_CHECK(!m->policy.ops->cleaner);
	slot = model_find(m, how, FREE);
	if (slot == POLICY_NO_SLOT)
		return;
	model_put(m, slot, block);
	m->policy.ops->inserted(&m->policy, slot, block, miss.write);
}

static u32 take_victims(struct model *m, u32 want)
{
	u32 slots[POLICY_VICTIMS_MAX], n, i;
	u64 before = m->heat_calls, resident = model_count(m, RESIDENT);

	n = m->policy.ops->victims(&m->policy, slots, want, m->now_ms);
	FUZZ_CHECK(n <= want, "%u of %u", n, want);
	FUZZ_CHECK(m->heat_calls - before <= 4 * want + 64, "work for %u", want);
	FUZZ_CHECK(n || !want || !resident || m->policy.ops->cleaner, "none of %llu",
		   (unsigned long long)resident);
	for (i = 0; i < n; i++) {
		FUZZ_CHECK(slots[i] < m->nr_slots, "slot %u", slots[i]);
		FUZZ_CHECK(m->state[slots[i]] == RESIDENT, "slot %u is %u", slots[i],
			   m->state[slots[i]]);
		m->state[slots[i]] = HANDED_OUT;
	}
	return n;
}

static void answer(struct model *m, u8 which, u8 fate)
{
	u32 slot = model_find(m, which, HANDED_OUT);

	if (slot == POLICY_NO_SLOT)
		return;
	if (fate % 4 < 2) {
		m->state[slot] = RESIDENT;
		m->policy.ops->victim_refused(&m->policy, slot);
	} else {
		model_remove(m, slot, fate % 4 == 2 ? POLICY_REMOVED_EVICTED :
			     POLICY_REMOVED_DROPPED);
	}
}

/* Calls of two CPUs that overtook each other, see tests/unit/test-policy.c. */
static void call_too_late(struct model *m, u8 which)
{
	u32 slot = which % m->nr_slots;

	if (m->state[slot] == FREE)
		m->policy.ops->removed(&m->policy, slot, 0, (enum policy_removed)(which & 1));
	if (m->state[slot] != HANDED_OUT)
		m->policy.ops->victim_refused(&m->policy, slot);
}

static void set_something(struct model *m, u8 which, u64 value)
{
	static const char *const keys[] = { "small_percent", "ghost_percent", "", "no_such_key" };
	int err = m->policy.ops->set(&m->policy, keys[which % ARRAY_SIZE(keys)], value);

	FUZZ_CHECK(!err || err == -EINVAL || err == -ENOENT);
}

static void see_pair(void *context, const char *key, u64 value)
{
	FUZZ_CHECK(key && *key && !strchr(key, ' '));
}

static void emit_all(struct model *m)
{
	m->policy.ops->emit_args(&m->policy, see_pair, NULL);
	if (m->policy.ops->emit_stats)
		m->policy.ops->emit_stats(&m->policy, see_pair, NULL);
}

/* As an activation after a stop: another instance learns all that is there. */
static void check_hints(struct model *m, u64 seed)
{
	static struct model after;
	u32 slot, hint;

	model_start(&after, m->policy.ops, m->nr_slots, m->nr_blocks, seed);
	for (slot = 0; slot < m->nr_slots; slot++) {
		if (m->state[slot] == FREE)
			continue;
		hint = m->policy.ops->get_hint(&m->policy, slot);
		model_put(&after, slot, m->block[slot]);
		after.policy.ops->load(&after.policy, slot, m->block[slot], hint, true);
	}
	after.policy.ops->load_end(&after.policy);
	for (slot = 0; slot < m->nr_slots; slot++)
		if (m->state[slot] != FREE)
			FUZZ_CHECK(after.policy.ops->get_hint(&after.policy, slot) ==
				   m->policy.ops->get_hint(&m->policy, slot), "slot %u", slot);
	model_stop(&after);
}

static void load_some(struct model *m, struct input *in)
{
	u32 nr = input_byte(in) % m->nr_slots, slot;
	u8 how = input_byte(in);

	for (slot = 0; slot < nr && slot < m->nr_blocks; slot++) {
		model_put(m, slot, slot);
		m->policy.ops->load(&m->policy, slot, slot, how * (slot + 1), how & 1);
	}
	m->policy.ops->load_end(&m->policy);
}

static void step(struct model *m, struct input *in)
{
	u8 what = input_byte(in), a = input_byte(in), b = input_byte(in);
	u32 slot;

	m->now_ms += b;
	switch (what % 16) {
	case 0: case 1:
		take_victims(m, a % (POLICY_VICTIMS_MAX + 1));
		break;
	case 2: case 3: case 4:
		answer(m, a, b);
		break;
	case 5:
		slot = model_find(m, a, RESIDENT);
		if (slot != POLICY_NO_SLOT)
			model_remove(m, slot, POLICY_REMOVED_DROPPED);
		break;
	case 6:
		set_something(m, a, b);
		break;
	case 7:
		call_too_late(m, a);
		break;
	case 8:
		if (m->policy.ops->tick)
			m->policy.ops->tick(&m->policy, m->now_ms);
		emit_all(m);
		break;
	case 9:
		check_hints(m, a);
		break;
	default:
		ask(m, (a | (b & 3) << 8) % m->nr_blocks, b >> 2);
	}
}

/* Takes everything out. */
static void drain(struct model *m)
{
	while (model_count(m, HANDED_OUT))
		answer(m, 0, 0);
	if (m->policy.ops->cleaner)
		return;
	while (take_victims(m, POLICY_VICTIMS_MAX))
		;
	FUZZ_CHECK(!model_count(m, RESIDENT), "%llu slots never came",
		   (unsigned long long)model_count(m, RESIDENT));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct model m;
	struct input in = { data, size };
	const struct policy_ops *ops = all[input_byte(&in) % 8 == 7];
	u32 nr_slots = 1 + (u32)input_number(&in, 2) % SLOTS_MAX;

	model_start(&m, ops, nr_slots, min(2 * nr_slots + 3, BLOCKS_MAX), input_byte(&in));
	load_some(&m, &in);
	while (in.left)
		step(&m, &in);
	drain(&m);
	model_stop(&m);
	return 0;
}
