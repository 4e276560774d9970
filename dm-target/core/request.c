// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decisions on requests from grain masks, see request.h.
 */
#include "request.h"

u32 request_read_run(const struct geometry *g, const struct extent *e, u64 valid, bool *cached)
{
	u32 grain = e->offset >> g->grain_shift;
	u32 last = (e->offset + e->sectors - 1) >> g->grain_shift;
	bool first = valid >> grain & 1;

	*cached = first;
	while (grain <= last && (valid >> grain & 1) == first)
		grain++;
	return min((grain << g->grain_shift) - e->offset, e->sectors);
}

bool request_grain_run(const struct geometry *g, u64 block, u64 mask, u32 from, u32 *offset,
		       u32 *sectors, u32 *next)
{
	u32 grain = from, end, length = geometry_block_length(g, block);

	while (grain < g->grains_per_block && !(mask >> grain & 1))
		grain++;
	if (grain >= g->grains_per_block || grain << g->grain_shift >= length)
		return false;
	for (end = grain; end < g->grains_per_block && (mask >> end & 1); end++)
		;
	*offset = grain << g->grain_shift;
	*sectors = min(end << g->grain_shift, length) - *offset;
	*next = end;
	return true;
}
