/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What convert has done by others: programs, and the kernel. */
#ifndef LARDER_CONVERT_RUN_H
#define LARDER_CONVERT_RUN_H

/*
 * Runs the first of the programs (whole paths, NULL at the end) that there is.
 * Its exit code, or -1; *output, if wanted, is what it printed, to be freed.
 */
int run_first(const char *const *programs, const char *const *arguments, char **output);

/* A component of LVM, by its path below /dev/mapper.  0, or an exit code after a message. */
int make_writable(const char *path);

#endif
