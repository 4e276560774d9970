/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Secrets: they come from a file of root's that nobody else may read, go into
 * configfs and the state file, and into no message, list or command line.
 */
#ifndef LARDER_EXPORT_CHAP_H
#define LARDER_EXPORT_CHAP_H

#include <stdbool.h>

#define SECRET_MAX 256		/* with the end; the kernel's limit for userid and password */

struct chap {
	char userid[SECRET_MAX], password[SECRET_MAX];
	char userid_mutual[SECRET_MAX], password_mutual[SECRET_MAX];
	char dhchap_key[SECRET_MAX], dhchap_ctrl_key[SECRET_MAX];	/* nvmet's */
};

/*
 * Lines KEY=VALUE with the names of the members above, # begins a comment line.
 * The file must be a regular one, owned by root (or by who runs this), of mode
 * 0600 or less, and is not followed if it is a link.  0, or an exit code after
 * a message, in which no value is.
 */
int chap_read(struct chap *chap, const char *path, bool nvmet);
bool chap_empty(const struct chap *chap);
/* Could it have come from such a file?  Or is empty. */
bool chap_valid(const struct chap *chap);
/* Overwrites it. */
void chap_forget(struct chap *chap);

#endif
