/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random numbers of the simulator: a seed decides them all (splitmix64).
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include "core/env.h"

struct sim_rng {
	u64 state;
};

static inline u64 sim_mix(u64 z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline u64 sim_rng_next(struct sim_rng *rng)
{
	return sim_mix(rng->state += 0x9e3779b97f4a7c15ull);
}

/* 0 ... limit - 1; limit must not be 0. */
static inline u64 sim_rng_below(struct sim_rng *rng, u64 limit)
{
	return sim_rng_next(rng) % limit;
}

#endif
