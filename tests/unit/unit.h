/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small harness of the unit tests: a program is a table of tests, each of
 * which runs to its end or to its first failed CHECK.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdint.h>
#include <stdio.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

/*
 * Runs all tests, or those whose names are given; prints "ok NAME" or "FAIL
 * NAME" for each and "N passed, N failed, 0 skipped" at last.
 */
int unit_main(int argc, char **argv, const struct unit_test *tests, unsigned int nr);

void unit_fail(const char *file, int line, const char *expected, const char *format, ...)
	__attribute__((noreturn, format(printf, 4, 5)));

#define CHECK(cond) \
	do { \
		if (!(cond)) \
			unit_fail(__FILE__, __LINE__, #cond, " "); \
	} while (0)

#define CHECK_EQUAL(found, wanted) \
	do { \
		long long _found = (long long)(found), _wanted = (long long)(wanted); \
		if (_found != _wanted) \
			unit_fail(__FILE__, __LINE__, #found " == " #wanted, \
				  "found %lld, expected %lld", _found, _wanted); \
	} while (0)

/* With words of one's own: the seed, the event, the place. */
#define CHECK_SAY(cond, ...) \
	do { \
		if (!(cond)) \
			unit_fail(__FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)

/* Random numbers that are the same in every run. */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *rng);
uint32_t rng_below(struct rng *rng, uint32_t limit);

#endif
