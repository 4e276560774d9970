/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configfs in memory, with the rules of the kernel's LIO and nvmet that the
 * order of steps depends on, and which can fail at any change.
 */
#ifndef FAKE_CONFIGFS_H
#define FAKE_CONFIGFS_H

#include <stdbool.h>
#include <stddef.h>

#include "../../../userland/export/configfs.h"

/* target/ and nvmet/ as they are after their modules have been loaded. */
void fake_begin(void);
void fake_end(void);
/* What configfs_open() gives. */
struct configfs fake_configfs(void);

/* The n-th change from now on fails with EIO, and only that; 0: none does. */
void fake_fail_at(unsigned int n);
/* before the n-th change, this is called */
void fake_call_at(unsigned int n, void (*call)(void));
/* Changes since fake_fail_at() or fake_call_at(). */
unsigned int fake_changes(void);
/*
 * All that somebody has made, and all values but those of the kernel's own, a
 * line each; to be freed.
 */
char *fake_text(void);
bool fake_has(const char *path);
/* As somebody else's program would: makes what is missing on the way; false: it cannot be. */
bool fake_mkdir(const char *path);
/* It, and all that is below it. */
bool fake_rmtree(const char *path);
bool fake_write(const char *path, const char *value);
bool fake_symlink(const char *to, const char *path);
/* "" when it is not there */
const char *fake_value(const char *path);

/* Of the test: which device is it?  0: there is none. */
unsigned int fake_device_number(const char *device);

#endif
