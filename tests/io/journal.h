/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What oracle-io keeps in files, so that a later process can judge the device.
 *
 * The journal is written as a whole (to a temporary file, then renamed) at the start and at the
 * end of a run and by verify. Its state says what it is good for:
 *   clean    every sector has one legal content; a run may continue from here
 *   running  written before the first I/O; if this is found later, the run was killed, and what it
 *            did is known only from the acknowledgement stream
 *   stopped  the run ended by itself, though the device died or lied or changes failed; the full
 *            oracle is inside
 *
 * The acknowledgement stream is for tests that kill the whole machine (virtual machine) under the
 * program: it lies on storage that survives, such as a 9p share, and the journal beside it. When a
 * FLUSH or a FUA write has completed, all changes that ended so far and the FLUSH are appended
 * before that thread goes on. Whenever the kill comes, what the stream holds is true and
 * sufficient: what it says was durable is durable; a write that it does not mention counts as in
 * flight, hence may or may not be there, and is recognised by its own stamp. Only zeroing and
 * discarding leave no stamp: the stream is told of them before they begin. A record that the kill
 * has torn ends the stream; whoever was appending it had not gone on yet.
 */
#ifndef TESTS_IO_JOURNAL_H
#define TESTS_IO_JOURNAL_H

#include "oracle.h"

enum journal_state {
	JOURNAL_CLEAN = 1,
	JOURNAL_RUNNING,
	JOURNAL_STOPPED,
};

/* All return 0, or -1 after saying why on stderr. */
int journal_save(struct oracle *oracle, const char *path, enum journal_state state);
int journal_load(struct oracle *oracle, const char *path, enum journal_state *state);

int stream_open(struct oracle *oracle, const char *path);
int stream_replay(struct oracle *oracle, const char *path);

/* Called by the oracle; a stream that cannot be written ends the program with exit code 2. */
void stream_intent(struct oracle *oracle, const struct change *change);
void stream_changes(struct oracle *oracle, uint64_t flush_begin);

#endif
