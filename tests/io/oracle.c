// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rules of oracle.h. No I/O but the calls of the stream; one lock, held for short table walks.
 */
#include "oracle.h"

#include "journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *map_table(uint64_t bytes)
{
	void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return table == MAP_FAILED ? NULL : table;
}

int oracle_create(struct oracle *oracle, uint64_t first_sector, uint64_t sectors)
{
	memset(oracle, 0, sizeof(*oracle));
	pthread_mutex_init(&oracle->lock, NULL);
	pthread_mutex_init(&oracle->stream_lock, NULL);
	oracle->first_sector = first_sector;
	oracle->sectors = sectors;
	oracle->states = map_table(sectors * sizeof(struct sector_state));
	oracle->ends = map_table(TICKS_MAX * sizeof(uint64_t));
	if (!oracle->states || !oracle->ends) {
		perror("oracle tables");
		return -1;
	}
	return 0;
}

void oracle_destroy(struct oracle *oracle)
{
	if (oracle->states)
		munmap(oracle->states, oracle->sectors * sizeof(struct sector_state));
	if (oracle->ends)
		munmap(oracle->ends, TICKS_MAX * sizeof(uint64_t));
	free(oracle->changes);
}

static uint64_t next_tick(struct oracle *oracle)
{
	oracle->tick++;
	if (oracle->tick - oracle->base >= TICKS_MAX) {
		fprintf(stderr, "oracle: more than %llu events in one run; run in smaller pieces\n",
			TICKS_MAX);
		exit(2);
	}
	return oracle->tick;
}

static uint64_t end_of(const struct oracle *oracle, uint64_t version)
{
	uint64_t index = version - oracle->base;
	uint64_t end = index < TICKS_MAX ? oracle->ends[index] >> 2 : 0;

	return end ? end : END_UNKNOWN;
}

static bool ended_ok(const struct oracle *oracle, uint64_t version)
{
	return version <= oracle->base || oracle->ends[version - oracle->base] & 1;
}

static bool was_zeroing(const struct oracle *oracle, uint64_t version)
{
	return oracle->ends[version - oracle->base] & 2;
}

/* ---- what is legal ---- */

struct rule {
	uint64_t settled, settled_at, floor;
	bool base_holds;	/* nothing newer than the settled content is certain */
	bool undefined;		/* a discard may be in effect */
	bool foreign;		/* not even a stamp is to be expected */
	bool zeros;
};

static struct rule make_rule(const struct oracle *oracle, const struct sector_view *view,
			     const struct sector_state *state)
{
	struct rule rule = {
		.settled = view->settled,
		.settled_at = view->settled_at > oracle->base ? view->settled_at : oracle->base,
		.floor = view->floor,
	};

	rule.base_holds = rule.floor <= rule.settled_at;
	rule.undefined = (state->discard_end > rule.settled_at &&
			  state->discard_end >= rule.floor) ||
			 (rule.base_holds && rule.settled == VALUE_ANY);
	rule.zeros = (state->zero_end > rule.settled_at && state->zero_end >= rule.floor) ||
		     (rule.base_holds && rule.settled == VALUE_ZERO);
	rule.foreign = rule.base_holds && rule.settled == VALUE_FOREIGN;
	return rule;
}

static bool rule_allows(const struct oracle *oracle, const struct rule *rule,
			const struct found *found)
{
	bool foreign = rule->foreign || (rule->undefined && oracle->foreign_start);

	switch (found->class) {
	case FOUND_ZERO:
		return rule->zeros || rule->undefined || foreign;
	case FOUND_VALID:
		if (!oracle->ends_lost && found->version > oracle->tick)
			return false;
		if (rule->undefined)
			return true;
		if (found->version > rule->settled_at)
			return end_of(oracle, found->version) >= rule->floor;
		return rule->base_holds && found->version == rule->settled;
	case FOUND_OTHER_RUN:
	case FOUND_GARBAGE:
		return foreign;
	default:
		return false;
	}
}

static const struct sector_view *view_of(const struct sector_state *state, bool exact)
{
	return exact ? &state->live : &state->durable;
}

bool oracle_legal(const struct oracle *oracle, uint64_t sector, const struct found *found,
		  bool exact)
{
	const struct sector_state *state = &oracle->states[sector];
	struct rule rule = make_rule(oracle, view_of(state, exact), state);

	return rule_allows(oracle, &rule, found);
}

bool oracle_undefined(const struct oracle *oracle, uint64_t sector, bool exact)
{
	const struct sector_state *state = &oracle->states[sector];
	struct rule rule = make_rule(oracle, view_of(state, exact), state);

	return rule.undefined || rule.foreign;
}

/* ---- changes ---- */

static void push_change(struct oracle *oracle, const struct change *change)
{
	size_t done = oracle->durable_count;

	if (oracle->streaming && oracle->streamed_count < done)
		done = oracle->streamed_count;
	if (oracle->change_count == oracle->change_room && done > oracle->change_room / 2) {
		oracle->change_count -= done;
		oracle->durable_count -= done;
		oracle->streamed_count -= oracle->streaming ? done : 0;
		memmove(oracle->changes, oracle->changes + done,
			oracle->change_count * sizeof(struct change));
	} else if (oracle->change_count == oracle->change_room) {
		oracle->change_room = oracle->change_room ? 2 * oracle->change_room : 1024;
		oracle->changes = realloc(oracle->changes,
					  oracle->change_room * sizeof(struct change));
		if (!oracle->changes) {
			perror("oracle: list of changes");
			exit(2);
		}
	}
	oracle->changes[oracle->change_count++] = *change;
}

static void raise(uint64_t *value, uint64_t to)
{
	if (*value < to)
		*value = to;
}

static void apply_to_sector(struct sector_state *state, const struct change *change)
{
	if (state->last_end > change->begin || !change->ok)
		state->ambiguous = 1;
	state->last_end = change->end;
	if (change->kind == CHANGE_ZERO)
		state->zero_end = change->end;
	if (change->kind == CHANGE_DISCARD)
		state->discard_end = change->end;
	else if (change->ok)
		raise(&state->live.floor, change->begin);
	if (change->ok && change->fua)
		raise(&state->durable.floor, change->begin);
}

void oracle_apply(struct oracle *oracle, const struct change *change)
{
	uint32_t i;

	assert(change->sector + change->count <= oracle->sectors);
	raise(&oracle->tick, change->end);
	if (change->kind == CHANGE_SETTLE) {
		struct sector_state *state = &oracle->states[change->sector];

		state->live.settled = change->value;
		state->live.settled_at = change->begin;
		state->ambiguous = 0;
	} else {
		oracle->ends[change->begin - oracle->base] =
			change->end << 2 | (change->kind == CHANGE_ZERO) << 1 | change->ok;
		oracle->failed_changes += !change->ok;
		for (i = 0; i < change->count; i++)
			apply_to_sector(&oracle->states[change->sector + i], change);
	}
	push_change(oracle, change);
}

static void make_durable(struct oracle *oracle, const struct change *change)
{
	struct sector_state *state = &oracle->states[change->sector];
	uint32_t i;

	if (change->kind == CHANGE_SETTLE) {
		/* What a failed change left behind was never promised to be durable. */
		bool promised = change->value == VALUE_ZERO ? !oracle->failed_changes :
							      ended_ok(oracle, change->value);

		if (promised && change->begin > state->durable.settled_at) {
			state->durable.settled = change->value;
			state->durable.settled_at = change->begin;
		}
	} else if (change->ok && change->kind != CHANGE_DISCARD) {
		for (i = 0; i < change->count; i++)
			raise(&state[i].durable.floor, change->begin);
	}
}

void oracle_apply_flush(struct oracle *oracle, uint64_t begin)
{
	while (oracle->durable_count < oracle->change_count &&
	       oracle->changes[oracle->durable_count].end < begin)
		make_durable(oracle, &oracle->changes[oracle->durable_count++]);
}

uint64_t oracle_begin(struct oracle *oracle, unsigned int slot, enum change_kind kind,
		      uint64_t sector, uint32_t count, bool fua)
{
	struct change *change = &oracle->in_flight[slot];
	uint64_t version;

	assert(slot < ORACLE_THREADS && change->kind == CHANGE_NONE);
	pthread_mutex_lock(&oracle->lock);
	version = next_tick(oracle);
	*change = (struct change) {
		.begin = version, .sector = sector, .count = count, .kind = kind, .fua = fua,
	};
	pthread_mutex_unlock(&oracle->lock);
	if (oracle->streaming && kind != CHANGE_WRITE)
		stream_intent(oracle, change);
	return version;
}

void oracle_end(struct oracle *oracle, unsigned int slot, bool ok)
{
	struct change *change = &oracle->in_flight[slot];
	bool stream;

	pthread_mutex_lock(&oracle->lock);
	change->end = next_tick(oracle);
	change->ok = ok;
	oracle_apply(oracle, change);
	stream = oracle->streaming && ok && change->fua;
	change->kind = CHANGE_NONE;
	pthread_mutex_unlock(&oracle->lock);
	if (stream)
		stream_changes(oracle, 0);
}

uint64_t oracle_flush_begin(struct oracle *oracle)
{
	uint64_t begin;

	pthread_mutex_lock(&oracle->lock);
	begin = next_tick(oracle);
	pthread_mutex_unlock(&oracle->lock);
	return begin;
}

void oracle_flush_end(struct oracle *oracle, uint64_t begin)
{
	pthread_mutex_lock(&oracle->lock);
	oracle_apply_flush(oracle, begin);
	pthread_mutex_unlock(&oracle->lock);
	if (oracle->streaming)
		stream_changes(oracle, begin);
}

/* ---- reads ---- */

uint64_t oracle_read_begin(struct oracle *oracle, uint64_t sector, uint32_t count,
			   struct sector_view *views)
{
	uint64_t begin;
	uint32_t i;

	pthread_mutex_lock(&oracle->lock);
	begin = next_tick(oracle);
	for (i = 0; i < count; i++)
		views[i] = oracle->states[sector + i].live;
	pthread_mutex_unlock(&oracle->lock);
	return begin;
}

/* The changes in flight that touch a range, so that most sectors need no search. */
static unsigned int overlapping(const struct oracle *oracle, uint64_t sector, uint32_t count,
				const struct change **list)
{
	unsigned int slot, found = 0;

	for (slot = 0; slot < ORACLE_THREADS; slot++) {
		const struct change *change = &oracle->in_flight[slot];

		if (change->kind != CHANGE_NONE && change->sector < sector + count &&
		    sector < change->sector + change->count)
			list[found++] = change;
	}
	return found;
}

static bool add_in_flight(struct rule *rule, const struct change **list, unsigned int count,
			  uint64_t sector)
{
	bool any = false;

	while (count--) {
		const struct change *change = list[count];

		if (sector < change->sector || sector >= change->sector + change->count)
			continue;
		any = true;
		rule->zeros |= change->kind == CHANGE_ZERO;
		rule->undefined |= change->kind == CHANGE_DISCARD;
	}
	return any;
}

static void settle(struct oracle *oracle, uint64_t sector, uint64_t begin,
		   const struct found *found)
{
	struct change change = {
		.begin = begin,
		.end = next_tick(oracle),
		.value = found->class == FOUND_ZERO ? VALUE_ZERO : found->version,
		.sector = sector,
		.count = 1,
		.kind = CHANGE_SETTLE,
		.ok = 1,
	};

	oracle_apply(oracle, &change);
}

uint32_t oracle_read_check(struct oracle *oracle, uint64_t begin, uint64_t sector, uint32_t count,
			   const struct sector_view *views, const struct found *found,
			   bool *wrong)
{
	const struct change *list[ORACLE_THREADS];
	uint32_t i, wrong_count = 0;
	unsigned int listed;

	pthread_mutex_lock(&oracle->lock);
	listed = overlapping(oracle, sector, count, list);
	for (i = 0; i < count; i++) {
		struct sector_state *state = &oracle->states[sector + i];
		struct rule rule = make_rule(oracle, &views[i], state);
		bool busy = add_in_flight(&rule, list, listed, sector + i);

		wrong[i] = !rule_allows(oracle, &rule, &found[i]);
		if (wrong[i] && oracle->allow_tearing && (busy || state->last_end > begin))
			wrong[i] = found[i].class != FOUND_TORN && found[i].class != FOUND_GARBAGE;
		wrong_count += wrong[i];
		if (state->ambiguous && !wrong[i] && !busy && state->last_end < begin &&
		    !rule.undefined && !rule.foreign)
			settle(oracle, sector + i, begin, &found[i]);
	}
	pthread_mutex_unlock(&oracle->lock);
	return wrong_count;
}

/* ---- between runs ---- */

uint64_t oracle_final_value(const struct oracle *oracle, uint64_t sector)
{
	const struct sector_state *state = &oracle->states[sector];
	struct rule rule = make_rule(oracle, &state->live, state);

	if (rule.undefined)
		return VALUE_ANY;
	if (rule.base_holds)
		return rule.settled;
	return was_zeroing(oracle, rule.floor) ? VALUE_ZERO : rule.floor;
}

void oracle_adopt(struct oracle *oracle, uint64_t sector, const struct found *found, bool exact)
{
	struct sector_state *state = &oracle->states[sector];
	struct rule rule = make_rule(oracle, view_of(state, exact), state);
	struct sector_view *view = &state->live;
	bool after_discard = found->class == FOUND_VALID && found->version > rule.settled_at &&
			     found->version > state->discard_end;

	if (rule.undefined && !after_discard)
		view->settled = VALUE_ANY;
	else if (rule.foreign && found->class != FOUND_VALID)
		view->settled = VALUE_FOREIGN;
	else
		view->settled = found->class == FOUND_ZERO ? VALUE_ZERO : found->version;
	view->settled_at = 0;
	view->floor = 0;
	state->zero_end = 0;
	state->discard_end = 0;
	state->ambiguous = 0;
}

static void describe_view(const struct oracle *oracle, const struct sector_state *state,
			  const struct sector_view *view, const char *name, FILE *out)
{
	struct rule rule = make_rule(oracle, view, state);

	fprintf(out, " %s={", name);
	if (rule.base_holds && rule.settled == VALUE_FOREIGN)
		fputs("anything or", out);
	else if (rule.base_holds && rule.settled != VALUE_ZERO && rule.settled != VALUE_ANY)
		fprintf(out, "version 0x%llx or", (unsigned long long)rule.settled);
	fprintf(out, " newer than 0x%llx", (unsigned long long)rule.settled_at);
	if (rule.floor > rule.settled_at)
		fprintf(out, " and not over before 0x%llx", (unsigned long long)rule.floor);
	fprintf(out, "%s%s}", rule.zeros ? " or zeros" : "",
		rule.undefined ? " or any earlier content (discarded)" : "");
}

void oracle_describe(const struct oracle *oracle, uint64_t sector, FILE *out)
{
	const struct sector_state *state = &oracle->states[sector];

	describe_view(oracle, state, &state->live, "live", out);
	describe_view(oracle, state, &state->durable, "after-crash", out);
}
