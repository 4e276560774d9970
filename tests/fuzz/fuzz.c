// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See fuzz.h.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fuzz.h"

/* Past stdio: targets put other streams in the place of stdout and stderr. */
void fuzz_fail(const char *file, int line, const char *expected, const char *format, ...)
{
	va_list args;

	dprintf(2, "%s:%d: expected %s ", file, line, expected);
	va_start(args, format);
	vdprintf(2, format, args);
	va_end(args);
	dprintf(2, "\n");
	abort();
}

void *fuzz_alloc(size_t nr, size_t size)
{
	void *p = calloc(nr ? nr : 1, size ? size : 1);

	FUZZ_CHECK(p);
	return p;
}

void *fuzz_alloc_aligned(size_t align, size_t size)
{
	void *p = NULL;

	FUZZ_CHECK(!posix_memalign(&p, align, size ? size : 1));
	memset(p, 0, size);
	return p;
}

u64 input_number(struct input *in, unsigned int bytes)
{
	u64 value = 0;
	unsigned int i;

	for (i = 0; i < bytes && in->left; i++, in->left--)
		value |= (u64)*in->at++ << 8 * i;
	return value;
}

const u8 *input_bytes(struct input *in, size_t wanted, size_t *taken)
{
	const u8 *at = in->at;

	*taken = min(wanted, in->left);
	in->at += *taken;
	in->left -= *taken;
	return at;
}

/* splitmix64 */
u64 fuzz_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
