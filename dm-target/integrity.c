// SPDX-License-Identifier: GPL-2.0-only
/*
 * T10 protection information: whether tuples pass, which profile the device
 * has, and why not.  There are two answers: whether our own transfers between
 * origin and cache device carry tuples (pi_kept), for which these two must
 * have the same profile, and whether requests may bring some (pi), for which
 * the cached device must have it, too.  Both are given by the constructor,
 * which takes the memory, and again at each resume, since what is below may
 * have changed.  Documentation/integrity.rst says what is promised, and has
 * the rules.
 */
#include "larder.h"

/* NULL when they are the same, else what distinguishes them. */
static const char *compare(const struct larder_profile *a, const struct larder_profile *b)
{
	if (a->guard != b->guard)
		return "the guards of origin and cache device are of different kinds";
	if (a->ref_tag != b->ref_tag)
		return "origin and cache device have different types of protection (1 or 2, and 3)";
	if (a->interval_exp != b->interval_exp)
		return "origin and cache device have different protection intervals";
	if (a->tuple_size != b->tuple_size)
		return "tuples of origin and cache device have different sizes";
	if (a->tuple_offset != b->tuple_offset)
		return "origin and cache device have the tuple at different places";
	if (a->tag_size != b->tag_size)
		return "application tags of origin and cache device have different sizes";
	return NULL;
}

/* NULL when tuples can be carried between the devices: then *common is the profile. */
static const char *why_not_kept(struct larder_cache *c, struct larder_profile *common)
{
	struct larder_profile cached = { };
	bool origin_has = larder_bdev_profile(c->origin_dev->bdev, common);
	bool cache_has = larder_bdev_profile(c->cache_dev->bdev, &cached);

	if (!origin_has && !cache_has)
		return "neither origin nor cache device has protection information";
	if (!origin_has)
		return "the origin has no protection information";
	if (!cache_has)
		return "the cache device has no protection information";
	if (common->guard == GUARD_NONE || cached.guard == GUARD_NONE)
		return "metadata without a guard, which no device checks, are not carried";
	return compare(common, &cached);
}

/* NULL when requests may bring tuples; kept: what why_not_kept() says. */
static const char *why_not(const struct larder_cache *c, const char *kept)
{
	return c->args.pi == PI_OFF ? "the table says so" : kept;
}

static void tell(struct larder_cache *c, const char *device, struct block_device *bdev)
{
	struct larder_profile p;

	if (!larder_bdev_profile(bdev, &p))
		DMERR("%s: %s has no protection information", dm_table_device_name(c->ti->table),
		      device);
	else
		DMERR("%s: %s has %s, %u bytes (tuple at %u, application tag %u) for each %u",
		      dm_table_device_name(c->ti->table), device, p.name, p.tuple_size,
		      p.tuple_offset, p.tag_size, 1u << p.interval_exp);
}

static int refuse(struct larder_cache *c, const char *why)
{
	DMERR("%s: protection information is required, but %s",
	      dm_table_device_name(c->ti->table), why);
	tell(c, "origin", c->origin_dev->bdev);
	tell(c, "cache device", c->cache_dev->bdev);
	return -EINVAL;
}

/* Constructor, with the devices open. */
int larder_pi_construct(struct larder_cache *c, char **error)
{
	const char *kept = why_not_kept(c, &c->profile), *why = why_not(c, kept);
	struct larder_profile before;
	bool had = larder_table_profile(c->ti->table, &before);

	c->pi_reason = why;
	c->pi_possible = !kept;
	/* somebody may be sending tuples of that kind; where profiles are limits, dm core judges */
	if (!why && LARDER_REGISTERS_INTEGRITY && had && compare(&before, &c->profile)) {
		*error = "The device has another kind of protection information already";
		return -EINVAL;
	}
	if (why && c->args.pi == PI_REQUIRE) {
		*error = (char *)why;
		return refuse(c, why);
	}
	if (why && had)
		DMWARN("%s: has %s, and no protection information with this table (%s): whoever uses it must have stopped before the resume",
		       dm_table_device_name(c->ti->table), before.name, why);
	if (!c->pi_possible)
		return 0;
	c->tuples_per_page = PAGE_SIZE / c->profile.tuple_size;
	larder_expect_tuples(c->ti);
	return 0;
}

/* Does a device below make checksums of what is written? */
static bool needs_stable_writes(const struct larder_cache *c)
{
	return bdev_stable_writes(c->origin_dev->bdev) || bdev_stable_writes(c->cache_dev->bdev);
}

void larder_pi_limits(struct larder_cache *c, struct queue_limits *limits)
{
	struct larder_profile now = { };
	const char *why = why_not(c, why_not_kept(c, &now));
	bool pass = c->pi_possible && !why && !compare(&now, &c->profile);

	larder_limit_integrity(limits, pass ? c->origin_dev->bdev : NULL);
	/* follows from the profile, and is not inherited without one */
	if (needs_stable_writes(c))
		larder_limit_stable_writes(limits);
}

/* Gives the device its profile, or takes it away, where that is not done by limits. */
static void register_profile(struct larder_cache *c, bool pass)
{
	struct larder_profile has = { };

	if (pass && larder_table_profile(c->ti->table, &has) && !compare(&has, &c->profile))
		return;
	larder_register_integrity(c->ti->table, pass ? c->origin_dev->bdev : NULL,
				  needs_stable_writes(c));
}

/* Preresume: nothing is under way. */
int larder_pi_resume(struct larder_cache *c)
{
	struct larder_profile now = { }, has = { };
	const char *kept = why_not_kept(c, &now), *why;

	/* the memory is made for what there was then */
	if (!kept && (!c->pi_possible || compare(&now, &c->profile)))
		kept = "the devices had other protection information when the table was loaded";
	why = why_not(c, kept);
	if (LARDER_REGISTERS_INTEGRITY)
		register_profile(c, !why);
	/* whoever sends tuples goes by what the device says */
	if (!why && (!larder_table_profile(c->ti->table, &has) || compare(&has, &now)))
		why = "the device has not got the profile: load the table again";
	c->pi_reason = why;
	c->pi = !why;
	c->pi_kept = !kept;
	return why && c->args.pi == PI_REQUIRE ? refuse(c, why) : 0;
}

/* A request with tuples, which we cannot keep: to lose them in silence would be worse. */
int larder_pi_refuse(struct larder_cache *c)
{
	count(c, COUNT_PI_REFUSED);
	DMERR_LIMIT("%s: request with protection information refused: %s",
		    dm_table_device_name(c->ti->table), c->pi_reason);
	return DM_MAPIO_KILL;
}
