/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hands the metadata of dm-cache to the tools of dm-cache. */
#ifndef LARDER_DISPATCH_H
#define LARDER_DISPATCH_H

/*
 * Called as NAME (cache_check ..): when the device that the arguments name
 * holds metadata of dm-cache, becomes the tool of that name and does not come
 * back.  -1 when it is for us to do, or an exit code after a message.
 */
int dispatch_to_stock(const char *name, int argc, char **argv);

#endif
