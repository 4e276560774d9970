/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Marks tie what a load knows to the log of the devices below it. A load keeps a ledger to which
 * it only appends: what it is about to do, and what has been promised to it. With each entry goes a
 * mark: the length of the ledger with that entry, at a place in the log. A replay that has come to
 * some place in the log then knows how much of the ledger counts there.
 *
 * To be called before the entry is written: what a promise needed is in the log before its mark,
 * and what was announced comes behind it.
 *
 * CRASH_MARKS in the environment says where marks go: "simdisk FILE" (lines of the number of the
 * last event and the length, for simdisk's log) or "log-writes NAME" (into that device's log).
 */
#ifndef TESTS_CRASH_MARK_H
#define TESTS_CRASH_MARK_H

#include <stdint.h>

/* Ends the program if it cannot be done: going on would make promises that nobody can judge. */
void mark(uint64_t ledger_length);

#endif
