/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A metadata core on a disk in memory, and a model of what it must remember.
 *
 * The model knows the state after all completed commits, and each attempt
 * that was made since: what a load finds must be the former, or the former
 * and a part of one attempt (whole journal blocks, from the first on).
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "disk.h"

#define ATTEMPTS_MAX 256u

struct slot_state {
	u64 block_flags, valid, dirty;
	u32 hint;
};

struct state {
	u32 nr_slots;
	struct slot_state *slot;
	u64 *intent;		/* by page: kind in the low bits, slots above; 0 when none */
};

struct attempt {
	u32 nr;
	struct larder_record record[COMMIT_BLOCKS_MAX * LARDER_RECORDS_PER_BLOCK];
};

struct machine {
	struct disk disk;
	struct geometry geometry;	/* to format with */
	struct metadata *md;
	struct rng rng;

	struct state loaded;		/* by the last load */
	u64 damage;			/* places that it complained about */
	bool go_on;			/* when it did */
	char what[80];			/* the last one */

	struct state completed;
	struct state before;		/* completed, without the last commit */
	struct state scratch;
	u32 nr_attempts;
	struct attempt *attempt[ATTEMPTS_MAX];
	u64 nr_commits;
};

/* A layout as small as tests like it: dw_pages and journal_blocks as given. */
void small_geometry(struct geometry *g, u32 nr_slots, u32 dw_pages, u32 journal_blocks);

void machine_init(struct machine *m, const struct geometry *g, u64 seed);
void machine_destroy(struct machine *m);

/* Steps an operation to its end; 0 or a negative errno. */
int machine_run(struct machine *m, struct metadata_op *op);

/* A fresh core, as after a reboot. */
void machine_reboot(struct machine *m);
int machine_format(struct machine *m);
int machine_load(struct machine *m, bool write);
int machine_activate(struct machine *m);
int machine_checkpoint(struct machine *m);
int machine_extend(struct machine *m);
/* To so many slots, all of them formatted. */
int machine_grow(struct machine *m, u32 nr_slots);
/* Probe, format when blank, load, compare, activate, and format the whole table. */
int machine_boot(struct machine *m);

struct larder_record machine_record(struct machine *m);
/* Commits nr random records (or as many as fit); with them also in the model. */
int machine_commit(struct machine *m, u32 nr);
/* The same records as the attempt before that failed, as far as they fit. */
int machine_commit_again(struct machine *m);
/* A checkpoint with commits between its steps. */
int machine_checkpoint_mixed(struct machine *m);
/* Commits, checkpoints and stops, at random; ends early with the first error. */
int machine_work(struct machine *m, u32 operations);

/* Fails the test unless what was loaded is legal; then it is the model's state. */
void machine_compare(struct machine *m, const char *when, u64 where);

bool machine_is_legal(struct machine *m);
/* The last commit that completed counts as an attempt again: its blocks may get lost. */
void machine_doubt_last(struct machine *m);

void state_apply(struct state *state, const struct larder_record *record);
bool state_equal(const struct state *a, const struct state *b);
void state_copy(struct state *to, const struct state *from);

#endif
