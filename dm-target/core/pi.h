/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tuples of T10 protection information, 8 bytes each, on cache devices that
 * keep them without knowing what they are: what the lowest queue and the
 * device do elsewhere.  Checksums are the caller's business.
 *
 * A tuple is stored in one form: with reference tags (types 1 and 2), the tag
 * is the number of the interval on the origin if it was right when it came;
 * anything else stays as it is.
 */
#ifndef CORE_PI_H
#define CORE_PI_H

#include "env.h"

#define PI_TUPLE 8u	/* guard, application tag, reference tag: big endian */

/* Reference tags that are right counted from one seed are right from the other one now. */
void pi_translate(u8 *tuples, u32 nr, u32 from, u32 to);

/* What the block layer would make; ref: or 0 where there are no reference tags. */
void pi_make(u8 *tuple, u16 guard, u32 ref);

/*
 * Nobody checks it: never written, or written to be so.  The application tag
 * is all ones, and without reference tags what stands in their place, too.
 */
bool pi_escapes(const u8 *tuple, bool ref_tag);

/* As a device checks it. */
bool pi_fits(const u8 *tuple, u16 guard, bool ref_tag, u32 ref);

#endif
