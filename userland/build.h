/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes a whole metadata device from what an image says: for restore and
 * repair.
 */
#ifndef LARDER_BUILD_H
#define LARDER_BUILD_H

#include "image.h"
#include "target.h"

/*
 * Stands in unit 0 until the device is complete: our magic, so that nobody
 * formats it, but no checksum, so that nobody starts it.
 */
#define BUILD_MARK "dm-larder: restore or repair has not finished"

/*
 * A cache without journal: image has geometry, nr_pages, slots and intents;
 * super all fields of a superblock that the geometry does not have.
 */
struct build {
	const struct image *image;
	struct larder_superblock super;
};

/*
 * The least number of units that the geometry needs, and its layout for a
 * device of that many: as it is where it fits, else with a shorter journal.
 */
u64 build_units_needed(const struct geometry *g);
bool build_fit(struct geometry *g, u64 units);

/*
 * Replaces all that is there.  Until the end, the device is what it was before
 * or carries the mark, whatever happens.  0, or an exit code after a message.
 */
int build_write(struct build *b, struct target *t);

/* Is this unit 0 of a device that was not completed? */
bool build_marked(const void *unit);

/* The same, in unit 0 of a device that `larder convert` works on: see convert.h. */
#define CONVERT_MARK "dm-larder: a conversion has not finished"
bool convert_marked(const void *unit);

#endif
