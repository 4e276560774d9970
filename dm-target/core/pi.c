// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tuples on cache devices that do not know what they keep, see pi.h.
 */
#include "pi.h"

static u16 get_16(const u8 *at)
{
	return (u16)(at[0] << 8 | at[1]);
}

static u32 get_32(const u8 *at)
{
	return (u32)get_16(at) << 16 | get_16(at + 2);
}

static void put_16(u8 *at, u16 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

static void put_32(u8 *at, u32 value)
{
	put_16(at, (u16)(value >> 16));
	put_16(at + 2, (u16)value);
}

void pi_translate(u8 *tuples, u32 nr, u32 from, u32 to)
{
	u32 i;

	for (i = 0; i < nr; i++, tuples += PI_TUPLE)
		if (get_32(tuples + 4) == from + i)
			put_32(tuples + 4, to + i);
}

void pi_make(u8 *tuple, u16 guard, u32 ref)
{
	put_16(tuple, guard);
	put_16(tuple + 2, 0);
	put_32(tuple + 4, ref);
}

bool pi_escapes(const u8 *tuple, bool ref_tag)
{
	return get_16(tuple + 2) == U16_MAX && (ref_tag || get_32(tuple + 4) == U32_MAX);
}

bool pi_fits(const u8 *tuple, u16 guard, bool ref_tag, u32 ref)
{
	return get_16(tuple) == guard && (!ref_tag || get_32(tuple + 4) == ref);
}
