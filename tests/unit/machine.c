// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The metadata core on a disk in memory, and its model: see machine.h.
 */
#include "machine.h"

static u32 pages_of(u32 nr_slots)
{
	return DIV_ROUND_UP(nr_slots, LARDER_ENTRIES_PER_PAGE);
}

void small_geometry(struct geometry *g, u32 nr_slots, u32 dw_pages, u32 journal_blocks)
{
	u64 needed;
	u32 units = 3 + LARDER_DOUBLE_PAGES_MAX + journal_blocks + pages_of(nr_slots);

	CHECK_EQUAL(geometry_choose(g, 128, 1ull << 40, (u64)nr_slots * 32, units, &needed), 0);
	CHECK_EQUAL(g->nr_slots, nr_slots);
	g->dw_pages = dw_pages;
	g->journal_blocks = journal_blocks;
	g->journal_start = g->dw_start + 1 + dw_pages;
	g->table_start = g->journal_start + journal_blocks;
}

static void state_init(struct state *state, u32 nr_slots)
{
	state->nr_slots = nr_slots;
	state->slot = calloc(nr_slots, sizeof(*state->slot));
	state->intent = calloc(pages_of(nr_slots), sizeof(*state->intent));
	CHECK(state->slot && state->intent);
}

/* Slots of no intent mean nothing; the test's own use no more than 62 bits of them. */
static u64 intent_of(u64 kind, u64 slots)
{
	return kind ? slots << 2 | kind : 0;
}

static void state_destroy(struct state *state)
{
	free(state->slot);
	free(state->intent);
}

static void state_clear(struct state *state)
{
	memset(state->slot, 0, state->nr_slots * sizeof(*state->slot));
	memset(state->intent, 0, pages_of(state->nr_slots) * sizeof(*state->intent));
}

void state_copy(struct state *to, const struct state *from)
{
	memcpy(to->slot, from->slot, from->nr_slots * sizeof(*to->slot));
	memcpy(to->intent, from->intent, pages_of(from->nr_slots) * sizeof(*to->intent));
}

/* Hints are opinions: whether they survive is not a matter of correctness. */
bool state_equal(const struct state *a, const struct state *b)
{
	u32 i;

	for (i = 0; i < a->nr_slots; i++)
		if (a->slot[i].block_flags != b->slot[i].block_flags ||
		    a->slot[i].valid != b->slot[i].valid || a->slot[i].dirty != b->slot[i].dirty)
			return false;
	return !memcmp(a->intent, b->intent, pages_of(a->nr_slots) * sizeof(*a->intent));
}

void state_apply(struct state *state, const struct larder_record *record)
{
	u32 index = le32_to_cpu(record->index);

	if (record->type == LARDER_RECORD_INTENT) {
		state->intent[index] = intent_of(le64_to_cpu(record->block_flags),
						 le64_to_cpu(record->valid));
	} else if (record->type == LARDER_RECORD_ENTRY) {
		state->slot[index].block_flags = le64_to_cpu(record->block_flags);
		state->slot[index].valid = le64_to_cpu(record->valid);
		state->slot[index].dirty = le64_to_cpu(record->dirty);
	}
}

void machine_init(struct machine *m, const struct geometry *g, u64 seed)
{
	memset(m, 0, sizeof(*m));
	m->geometry = *g;
	m->rng.state = seed;
	disk_init(&m->disk, g->metadata_units);
	m->disk.rng.state = ~seed;
	state_init(&m->loaded, g->nr_slots);
	state_init(&m->completed, g->nr_slots);
	state_init(&m->scratch, g->nr_slots);
	state_init(&m->before, g->nr_slots);
	m->md = metadata_init(aligned_alloc(LARDER_UNIT_SIZE, metadata_bytes()), m->disk.units);
}

void machine_destroy(struct machine *m)
{
	u32 i;

	disk_destroy(&m->disk);
	state_destroy(&m->loaded);
	state_destroy(&m->completed);
	state_destroy(&m->scratch);
	state_destroy(&m->before);
	for (i = 0; i < ATTEMPTS_MAX; i++)
		free(m->attempt[i]);
	free(m->md);
}

int machine_run(struct machine *m, struct metadata_op *op)
{
	struct metadata_io io;
	int rc, result = 0;

	while ((rc = metadata_step(op, result, &io)) == METADATA_IO)
		result = disk_perform(&m->disk, &io);
	return rc;
}

void machine_reboot(struct machine *m)
{
	disk_power_on(&m->disk);
	metadata_init(m->md, m->disk.units);
}

int machine_format(struct machine *m)
{
	const struct metadata_identity who = { 1, 2, 3 };
	u8 uuid[LARDER_UUID_SIZE];
	u32 i;

	for (i = 0; i < sizeof(uuid); i++)
		uuid[i] = rng_next(&m->rng) | 1;
	return machine_run(m, metadata_format_begin(m->md, &m->geometry, uuid, &who));
}

static int visit_entry(void *context, u32 slot, const struct larder_entry *entry)
{
	struct machine *m = context;
	u64 flags = le64_to_cpu(entry->block_flags);

	/* promises of metadata.h, whatever the device holds */
	CHECK(slot < metadata_geometry(m->md)->nr_slots);
	CHECK((flags & ~(LARDER_BLOCK_MASK | LARDER_ENTRY_KNOWN)) == 0);
	CHECK((le64_to_cpu(entry->valid) & ~geometry_all_grains(metadata_geometry(m->md))) == 0);
	CHECK((le64_to_cpu(entry->dirty) & ~le64_to_cpu(entry->valid)) == 0);
	CHECK((flags & LARDER_ENTRY_USED) || (!flags && !entry->valid));
	/* made-up metadata may have more slots than we formatted */
	if (slot >= m->loaded.nr_slots)
		return 0;
	m->loaded.slot[slot] = (struct slot_state){ flags, le64_to_cpu(entry->valid),
						    le64_to_cpu(entry->dirty),
						    le32_to_cpu(entry->hint) };
	return 0;
}

static int visit_intent(void *context, u64 page, u8 intent, u64 slots)
{
	struct machine *m = context;

	CHECK(page < metadata_geometry(m->md)->table_pages);
	CHECK(intent <= LARDER_INTENT_WRITE_THROUGH);
	CHECK(!(slots >> (LARDER_ENTRIES_PER_PAGE / LARDER_SLOTS_PER_INTENT_BIT)));
	if (page >= pages_of(m->loaded.nr_slots))
		return 0;
	m->loaded.intent[page] = intent_of(intent, slots);
	return 0;
}

static int visit_hint(void *context, u32 slot, u32 hint)
{
	struct machine *m = context;

	CHECK(slot < metadata_geometry(m->md)->nr_slots);
	if (slot < m->loaded.nr_slots)
		m->loaded.slot[slot].hint = hint;
	return 0;
}

static bool visit_damage(void *context, u64 unit, const char *what)
{
	struct machine *m = context;

	CHECK(unit < m->disk.units && what);
	m->damage++;
	snprintf(m->what, sizeof(m->what), "%s", what);
	return m->go_on;
}

int machine_load(struct machine *m, bool write)
{
	const struct metadata_visitor visitor = {
		.entry = visit_entry,
		.intent = visit_intent,
		.hint = visit_hint,
		.damage = visit_damage,
		.context = m,
	};

	state_clear(&m->loaded);
	m->damage = 0;
	return machine_run(m, metadata_load_begin(m->md, &visitor, write));
}

int machine_activate(struct machine *m)
{
	return machine_run(m, metadata_activate_begin(m->md, m->geometry.origin_sectors, 1, "test",
						      NULL));
}

int machine_checkpoint(struct machine *m)
{
	return machine_run(m, metadata_checkpoint_begin(m->md));
}

int machine_extend(struct machine *m)
{
	return machine_run(m, metadata_extend_begin(m->md));
}

static int extend_all(struct machine *m)
{
	int rc = 0;

	while (!rc && metadata_formatted_slots(m->md) < metadata_geometry(m->md)->nr_slots)
		rc = machine_extend(m);
	return rc;
}

bool machine_is_legal(struct machine *m)
{
	u32 a, i;

	if (state_equal(&m->loaded, &m->completed))
		return true;
	for (a = 0; a < m->nr_attempts; a++) {
		const struct attempt *attempt = m->attempt[a];

		state_copy(&m->scratch, &m->completed);
		for (i = 0; i < attempt->nr; i++) {
			state_apply(&m->scratch, &attempt->record[i]);
			if ((i + 1) % LARDER_RECORDS_PER_BLOCK && i + 1 < attempt->nr)
				continue;
			if (state_equal(&m->loaded, &m->scratch))
				return true;
		}
	}
	return false;
}

void machine_compare(struct machine *m, const char *when, u64 where)
{
	CHECK_SAY(machine_is_legal(m), "%s %llu: the state is not one that a crash may leave", when,
		  (unsigned long long)where);
	state_copy(&m->completed, &m->loaded);
	m->nr_attempts = 0;
}

int machine_boot(struct machine *m)
{
	u64 changes = m->disk.nr_changes;
	int rc = machine_run(m, metadata_probe_begin(m->md));

	if (!rc && metadata_found(m->md) == METADATA_BLANK)
		rc = machine_format(m);
	if (!rc) {
		CHECK_EQUAL(metadata_found(m->md), METADATA_OURS);
		rc = machine_load(m, true);
		CHECK_SAY(!m->damage, "%s", m->what);
	}
	if (rc)
		return rc;
	/* from here on it must stay as it was found */
	machine_compare(m, "boot that began at change", changes);
	rc = machine_activate(m);
	return rc ? rc : extend_all(m);
}

int machine_grow(struct machine *m, u32 nr_slots)
{
	struct geometry g = *metadata_geometry(m->md);
	u64 needed;
	int rc;

	geometry_grow(&g, (u64)nr_slots * g.block_sectors, m->disk.units, &needed);
	CHECK_EQUAL(g.nr_slots, nr_slots);
	rc = machine_run(m, metadata_resize_begin(m->md, &g));
	return rc ? rc : extend_all(m);
}

struct larder_record machine_record(struct machine *m)
{
	const struct geometry *g = metadata_geometry(m->md);
	struct larder_record r = { .type = LARDER_RECORD_ENTRY };
	u32 slots = metadata_formatted_slots(m->md);
	u64 valid = rng_next(&m->rng) & geometry_all_grains(g);

	r.index = cpu_to_le32(rng_below(&m->rng, slots));
	switch (rng_below(&m->rng, 8)) {
	case 0:
		r.type = LARDER_RECORD_INTENT;
		r.index = cpu_to_le32(rng_below(&m->rng, pages_of(slots)));
		r.block_flags = cpu_to_le64(rng_below(&m->rng, LARDER_INTENT_WRITE_THROUGH + 1));
		r.valid = cpu_to_le64(rng_next(&m->rng) >> 2);
		break;
	case 1:
		r.type = LARDER_RECORD_HINT;
		r.block_flags = cpu_to_le64((u32)rng_next(&m->rng));
		break;
	case 2:
	case 3:		/* a forget */
		break;
	default:
		r.block_flags = cpu_to_le64((rng_next(&m->rng) & LARDER_BLOCK_MASK) |
					    LARDER_ENTRY_USED);
		r.valid = cpu_to_le64(valid);
		r.dirty = cpu_to_le64(valid & rng_next(&m->rng));
	}
	return r;
}

static struct attempt *new_attempt(struct machine *m)
{
	CHECK(m->nr_attempts < ATTEMPTS_MAX);
	if (!m->attempt[m->nr_attempts])
		m->attempt[m->nr_attempts] = malloc(sizeof(struct attempt));
	CHECK(m->attempt[m->nr_attempts]);
	m->attempt[m->nr_attempts]->nr = 0;
	return m->attempt[m->nr_attempts++];
}

static int run_attempt(struct machine *m, const struct attempt *attempt)
{
	int rc = machine_run(m, metadata_commit_run(m->md, rng_below(&m->rng, 8)));
	u32 i;

	if (rc)
		return rc;
	state_copy(&m->before, &m->completed);
	for (i = 0; i < attempt->nr; i++)
		state_apply(&m->completed, &attempt->record[i]);
	swap(m->attempt[0], m->attempt[m->nr_attempts - 1]);
	m->nr_attempts = 0;
	m->nr_commits++;
	return 0;
}

int machine_commit(struct machine *m, u32 nr)
{
	struct attempt *attempt = new_attempt(m);

	metadata_commit_begin(m->md);
	for (; nr && metadata_commit_room(m->md, false); nr--) {
		attempt->record[attempt->nr] = machine_record(m);
		CHECK(metadata_commit_add(m->md, &attempt->record[attempt->nr]));
		attempt->nr++;
	}
	CHECK_EQUAL(metadata_commit_count(m->md), attempt->nr);
	return run_attempt(m, attempt);
}

int machine_commit_again(struct machine *m)
{
	const struct attempt *last = m->attempt[m->nr_attempts - 1];
	struct attempt *attempt = new_attempt(m);

	metadata_commit_begin(m->md);
	while (attempt->nr < last->nr && metadata_commit_room(m->md, false)) {
		attempt->record[attempt->nr] = last->record[attempt->nr];
		CHECK(metadata_commit_add(m->md, &attempt->record[attempt->nr]));
		attempt->nr++;
	}
	CHECK_EQUAL(attempt->nr, last->nr);
	return run_attempt(m, attempt);
}

void machine_doubt_last(struct machine *m)
{
	state_copy(&m->completed, &m->before);
	m->nr_attempts = 1;
}

static u32 commit_size(struct machine *m)
{
	switch (rng_below(&m->rng, 8)) {
	case 0:
		return 100 + rng_below(&m->rng, 400);
	case 1:
		return LARDER_RECORDS_PER_BLOCK * rng_below(&m->rng, 4);
	default:
		return rng_below(&m->rng, 4);
	}
}

int machine_checkpoint_mixed(struct machine *m)
{
	struct metadata_op *op = metadata_checkpoint_begin(m->md);
	struct metadata_io io;
	int rc, result = 0;

	while ((rc = metadata_step(op, result, &io)) == METADATA_IO) {
		result = disk_perform(&m->disk, &io);
		if (!result && !rng_below(&m->rng, 3))
			result = machine_commit(m, commit_size(m));
	}
	return rc;
}

static int stop_and_start(struct machine *m)
{
	int rc = machine_run(m, metadata_stop_begin(m->md));

	return rc ? rc : machine_activate(m);
}

int machine_work(struct machine *m, u32 operations)
{
	int rc = 0;

	while (operations-- && !rc) {
		if (!metadata_commit_room(m->md, false))
			rc = machine_checkpoint(m);
		else if (!rng_below(&m->rng, 40))
			rc = stop_and_start(m);
		else if (!rng_below(&m->rng, metadata_checkpoint_wanted(m->md) ? 3 : 20))
			rc = machine_checkpoint_mixed(m);
		else
			rc = machine_commit(m, commit_size(m));
	}
	return rc;
}
