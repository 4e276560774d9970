/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells a person at a terminal how far long work has got; silent elsewhere.
 */
#ifndef LARDER_PROGRESS_H
#define LARDER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

void progress_quiet(void);
/* total = 0: not known, nothing is shown */
void progress_start(const char *what, uint64_t total);
void progress_at(uint64_t done);
/* Takes the line away. */
void progress_end(void);

#endif
