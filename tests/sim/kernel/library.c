// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Odds and ends of the kernel's library.
 */
#include "kernel.h"

u64 get_random_u64(void)
{
	return sim_random();
}

void get_random_bytes(void *bytes, size_t n)
{
	u8 *to = bytes;

	while (n--)
		*to++ = (u8)sim_random();
}

int kstrtou64(const char *text, unsigned int base, u64 *value)
{
	u64 v = 0;

	if (*text == '+')
		text++;
	if (!*text)
		return -EINVAL;
	for (; *text && *text != '\n'; text++) {
		u32 digit = (u32)(*text - '0');

		if (digit >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)digit, &v))
			return -ERANGE;
	}
	if (*text && text[1])
		return -EINVAL;
	*value = v;
	return 0;
}

ssize_t strscpy(char *to, const char *from, size_t size)
{
	size_t n = strlen(from);

	if (!size)
		return -E2BIG;
	memcpy(to, from, min(n, size - 1));
	to[min(n, size - 1)] = '\0';
	return n < size ? (ssize_t)n : -E2BIG;
}

void *memchr_inv(const void *from, int byte, size_t n)
{
	const u8 *at = from;

	for (; n--; at++)
		if (*at != (u8)byte)
			return (void *)at;
	return NULL;
}

char *strim(char *text)
{
	size_t n = strlen(text);

	while (n && strchr(" \t\n", text[n - 1]))
		text[--n] = '\0';
	return text + strspn(text, " \t\n");
}

int vscnprintf(char *to, size_t size, const char *format, va_list args)
{
	int n;

	if (!size)
		return 0;
	n = vsnprintf(to, size, format, args);
	return n < (int)size ? n : (int)size - 1;
}

int scnprintf(char *to, size_t size, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vscnprintf(to, size, format, args);
	va_end(args);
	return n;
}

void bitmap_zero(unsigned long *map, unsigned int bits)
{
	memset(map, 0, DIV_ROUND_UP(bits, 64) * sizeof(long));
}

void bitmap_set(unsigned long *map, unsigned int from, unsigned int n)
{
	for (; n--; from++)
		map[from / 64] |= 1ul << (from % 64);
}

unsigned int sim_next_bit(const unsigned long *map, unsigned int bits, unsigned int from, bool set)
{
	while (from < bits) {
		unsigned long word = (set ? map[from / 64] : ~map[from / 64]) >> (from % 64);

		if (word)
			return min(bits, from + (unsigned int)__builtin_ctzl(word));
		from = (from / 64 + 1) * 64;
	}
	return bits;
}
