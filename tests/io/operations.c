// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Choice of operations; see operations.h. Sizes are spread evenly over powers of two, and the hot
 * windows are small, so that threads overwrite and read the same sectors all the time.
 */
#include "operations.h"

#include "sector-format.h"

#include <stdio.h>
#include <string.h>

#define HOT_WINDOW_SECTORS	512u	/* 256 KiB */

const char *const operation_names[OPERATION_KINDS] = {
	[OPERATION_READ] = "read",
	[OPERATION_WRITE] = "write",
	[OPERATION_FLUSH] = "flush",
	[OPERATION_FUA] = "fua",
	[OPERATION_DISCARD] = "discard",
	[OPERATION_ZERO] = "zeroes",
};

static uint64_t next_random(struct generator *generator)
{
	generator->random += 0x9e3779b97f4a7c15ull;
	return mix64(generator->random);
}

static uint64_t below(struct generator *generator, uint64_t limit)
{
	return next_random(generator) % limit;
}

int generator_init(struct generator *generator, const struct operation_options *options,
		   unsigned int thread)
{
	unsigned int i;

	memset(generator, 0, sizeof(*generator));
	generator->options = options;
	generator->unit = options->block_sectors;
	if (!options->unaligned && options->max_sectors >= 8 && generator->unit < 8)
		generator->unit = 8;
	generator->sectors = options->sectors - options->sectors % generator->unit;
	for (i = 0; i < OPERATION_KINDS; i++)
		generator->mix_total += options->mix[i];
	if (!generator->mix_total || options->max_sectors < generator->unit ||
	    options->max_sectors > MAX_IO_SECTORS || !options->min_sectors ||
	    options->min_sectors > options->max_sectors ||
	    generator->sectors < options->max_sectors) {
		fprintf(stderr, "nothing to do: sizes %u..%u sectors (at most %u) in units of %u "
			"on a span of %llu sectors, sum of weights %u\n", options->min_sectors,
			options->max_sectors, MAX_IO_SECTORS, generator->unit,
			(unsigned long long)generator->sectors, generator->mix_total);
		return -1;
	}
	/* The windows are the same for all threads, so that they meet there. */
	generator->random = mix64(options->seed);
	generator->hot_sectors = HOT_WINDOW_SECTORS < generator->sectors ? HOT_WINDOW_SECTORS :
				 generator->sectors;
	for (i = 0; i < HOT_WINDOWS; i++)
		generator->hot_start[i] = below(generator, generator->sectors -
						generator->hot_sectors + 1);
	generator->random = mix64(options->seed + 0x517cc1b727220a95ull * (thread + 1));
	return 0;
}

static enum operation_kind choose_kind(struct generator *generator)
{
	uint64_t ticket = below(generator, generator->mix_total);
	unsigned int kind = 0;

	while (ticket >= generator->options->mix[kind])
		ticket -= generator->options->mix[kind++];
	return kind;
}

static uint32_t choose_count(struct generator *generator)
{
	const struct operation_options *options = generator->options;
	uint32_t low = options->min_sectors, high = options->max_sectors, powers = 1, count;

	while (low << powers <= high)
		powers++;
	low <<= below(generator, powers);
	count = low + (uint32_t)below(generator, low);
	if (count > high)
		count = high;
	count += generator->unit - 1;
	count -= count % generator->unit;
	return count > high ? high - high % generator->unit : count;
}

static uint64_t choose_sector(struct generator *generator, uint32_t count)
{
	uint64_t sector;

	if (below(generator, 100) < generator->options->hot_percent)
		sector = generator->hot_start[below(generator, HOT_WINDOWS)] +
			 below(generator, generator->hot_sectors);
	else
		sector = below(generator, generator->sectors);
	if (sector + count > generator->sectors)
		sector = generator->sectors - count;
	return sector - sector % generator->unit;
}

static bool continue_run(struct generator *generator, struct operation *operation)
{
	uint64_t next = generator->last.sector + generator->last.count;

	if (!generator->run_left)
		return false;
	generator->run_left--;
	*operation = generator->last;
	operation->sector = next + operation->count <= generator->sectors ? next : 0;
	return true;
}

struct operation generator_next(struct generator *generator)
{
	struct operation operation = { 0 };

	if (!continue_run(generator, &operation)) {
		operation.kind = choose_kind(generator);
		if (operation.kind == OPERATION_FLUSH)
			return operation;
		operation.count = choose_count(generator);
		operation.sector = choose_sector(generator, operation.count);
		if (generator->options->sequential_runs && below(generator, 16) == 0)
			generator->run_left = 4 + (uint32_t)below(generator, 60);
	}
	generator->last = operation;
	return operation;
}
