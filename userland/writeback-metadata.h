/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records in the metadata what has been written back, as the kernel would.
 */
#ifndef LARDER_WRITEBACK_METADATA_H
#define LARDER_WRITEBACK_METADATA_H

#include "convert-disk.h"
#include "image.h"

/*
 * left: of each slot of the image, the grains that are still dirty.  The origin
 * has been flushed.  0, or an exit code after a message; whatever happens, the
 * metadata stays true.
 */
int writeback_record(const struct disk *metadata, const struct image *image, const u64 *left);

#endif
