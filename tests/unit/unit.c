// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the tests of one program, see unit.h.
 */
#include "unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static jmp_buf after_failure;

void unit_fail(const char *file, int line, const char *expected, const char *format, ...)
{
	va_list args;

	printf("%s:%d: expected %s: ", file, line, expected);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	longjmp(after_failure, 1);
}

static bool wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc == 1;
}

int unit_main(int argc, char **argv, const struct unit_test *tests, unsigned int nr)
{
	volatile unsigned int passed = 0, failed = 0, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < nr; i++) {
		if (!wanted(tests[i].name, argc, argv))
			continue;
		if (setjmp(after_failure)) {
			printf("FAIL %s\n", tests[i].name);
			failed++;
			continue;
		}
		tests[i].run();
		printf("ok %s\n", tests[i].name);
		passed++;
	}
	if (!passed && !failed) {
		fprintf(stderr, "%s: no test of that name\n", argv[0]);
		return 2;
	}
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}

/* splitmix64 */
uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t rng_below(struct rng *rng, uint32_t limit)
{
	return rng_next(rng) % limit;
}
