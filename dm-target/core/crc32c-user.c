// SPDX-License-Identifier: GPL-2.0-only
/*
 * CRC32C for user space, as the kernel's crc32c(): seeded by the caller and
 * not inverted at the end.  With the processor's instruction where it has one.
 */
#include "env.h"

#define CRC32C_POLYNOMIAL 0x82f63b78u	/* bits reversed */

static u32 crc32c_table[256];

__attribute__((constructor)) static void crc32c_build_table(void)
{
	u32 i, bit, crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ CRC32C_POLYNOMIAL : crc >> 1;
		crc32c_table[i] = crc;
	}
}

static u32 crc32c_by_table(u32 crc, const u8 *data, size_t len)
{
	while (len--)
		crc = crc32c_table[(crc ^ *data++) & 0xff] ^ crc >> 8;
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2")))
static u32 crc32c_by_instruction(u32 crc, const u8 *data, size_t len)
{
	u64 word, wide = crc;

	for (; len >= sizeof(word); data += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (u32)wide;
	while (len--)
		crc = __builtin_ia32_crc32qi(crc, *data++);
	return crc;
}
#endif

u32 crc32c(u32 crc, const void *data, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_by_instruction(crc, data, len);
#endif
	return crc32c_by_table(crc, data, len);
}
