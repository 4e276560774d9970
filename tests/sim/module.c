// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module's objects are linked with their .data and .bss under these names
 * (see the Makefile), so that a reboot can put them back.
 */
#include <stdlib.h>

#include "module.h"

extern char __start_module_data[], __stop_module_data[];
/* not every compiler leaves anything there */
extern char __start_module_bss[] __attribute__((weak));
extern char __stop_module_bss[] __attribute__((weak));

/* By hand: the red zones of the address sanitizer are among it. */
__attribute__((no_sanitize_address, optimize("no-tree-loop-distribute-patterns")))
static void copy(volatile char *to, const volatile char *from, size_t n)
{
	while (n--)
		*to++ = from ? *from++ : 0;
}

void module_reset(void)
{
	size_t n = (size_t)(__stop_module_data - __start_module_data);
	static char *saved;

	if (!saved) {
		saved = malloc(n);
		copy(saved, __start_module_data, n);
	}
	copy(__start_module_data, saved, n);
	copy(__start_module_bss, NULL, (size_t)(__stop_module_bss - __start_module_bss));
}
