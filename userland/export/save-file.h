/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of others in a directory of root's: read whole, and replaced whole.
 */
#ifndef LARDER_EXPORT_SAVE_FILE_H
#define LARDER_EXPORT_SAVE_FILE_H

#include <stddef.h>

/*
 * Of at most max bytes, with a zero behind them; *text is to be freed, and is
 * NULL when there is no such file.  It must be a regular file and no link, of
 * root's or of who runs this, and nobody else may write to it.  0, or an exit
 * code after a message.
 */
int file_read_whole(const char *path, size_t max, char **text, size_t *length);
/*
 * A new file of mode 0600 takes its place, durably; before that, nothing of it
 * can be seen.  The same.
 */
int file_replace(const char *path, const char *text, size_t length);

#endif
