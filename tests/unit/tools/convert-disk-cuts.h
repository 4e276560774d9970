/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that lose power: pwrite(), fsync() and unlink() of what this is linked
 * with (--wrap) are counted, and at the one that was asked for the process ends
 * as if by a power cut. What was written and not flushed is then there, or not,
 * each sector by itself.
 */
#ifndef TESTS_CONVERT_DISK_CUTS_H
#define TESTS_CONVERT_DISK_CUTS_H

#include <stdbool.h>
#include <stdint.h>

#define CUT_EXIT 199	/* of a process that was cut */

/* The event that is cut, from 1; 0: none. */
void cuts_arm(unsigned int event, uint64_t seed);

#endif
