/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of exports share: a host without a kernel.  Devices are
 * /dev/vg/data, /dev/vg/other and so on; configfs is fake-configfs.h; files are
 * below LARDER_ROOT.
 */
#ifndef EXPORT_FIXTURE_H
#define EXPORT_FIXTURE_H

#include "../../../userland/export/request.h"

#define INITIATOR	"iqn.1993-08.org.debian:01:client"
#define HOST		"nqn.2014-08.org.example:host"
#define SECRET		"Long-Enough-Secret1"
#define CHAP_FILE	LARDER_ROOT "/etc/chap"

/* An empty host, and its end. */
void host_begin(void);
void host_end(void);
/* As after a restart: nothing in configfs, nothing in /run. */
void host_restart(void);

/* larder export and so on; the exit code.  Words end with NULL. */
int do_export(const char *const *words);
int do_unexport(const char *device);
/* Nothing but looking, and removing what is incomplete. */
int do_begin(void);
/* The state file's numbers. */
size_t recorded_luns(void);
/* All that was complained of since host_begin(), or forget_words(). */
const char *words_said(void);
void forget_words(void);

void write_file(const char *path, const char *text, unsigned int mode);
/* Devices that cannot be had: mounted. */
extern const char *mounted, *missing;
/* All names of devices lead to others now. */
extern bool swapped;
/* Has any device a command under way that does not end?  NULL: none has. */
extern bool (*devices_busy)(void);

#endif
