/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the oracle keeps, see oracle.h for what it means.
 */
#ifndef SIM_ORACLE_INTERNAL_H
#define SIM_ORACLE_INTERNAL_H

#include "oracle.h"

#define NEVER U64_MAX
#define NONE U32_MAX
#define MAGIC 0x7261646c6f726163ull
#define SECTOR_WORDS (ORACLE_SECTOR / sizeof(u64))
#define NR_OPS 65536u
/* Overwritten versions that may go, go when so many are there or so many events have passed. */
#define KEPT_VERSIONS 16u
#define KEPT_EVENTS 1024u
/* Beyond, old versions are no longer told apart. */
#define MOST_VERSIONS 64u

enum version_flags {
	SURE = 1,		/* it has happened */
	WELL = 2,		/* ended without error, a flush makes it durable */
	DURABLE = 4,		/* it, or one after it, is on the medium for good */
	EXCLUDED = 8,		/* no crash brings it back */
	ANYTHING = 16,		/* a discard */
	FAILED = 32,
	LEFT = 64,		/* a crash left it or another */
};

struct oracle_version {
	u64 id, first;		/* usually the same; else versions in between, not told apart */
	u64 begin, end;
	u64 lo, hi;
	u64 gone;		/* reads that began later do not find it */
	u32 next;
	u32 flags;
};

struct oracle_sector {
	u32 head;		/* NONE: never touched */
	u32 nr;
	bool unflushed;		/* is in the list */
	/* versions that no read may find are not kept for ever: these are given the benefit */
	u64 forgot_gone, forgot_id;
};

enum op_kind { OP_NONE, OP_WRITE, OP_DISCARD, OP_FLUSH, OP_READ, OP_CRASH };
enum op_state { OP_FLYING, OP_WELL, OP_FAILED, OP_VOID };

struct oracle_op {
	u64 id, sector, nr, begin, end, found;
	u8 kind, state;
	bool fua;
};

#endif
