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
 *
 * A cache device that does not know what it keeps (carrier.c) does as well as
 * one with the same profile, but only as long as the metadata say that nothing
 * was ever written to it without tuples.
 */
#include "larder.h"
#include "core/pi.h"

static const char unmarked[] =
	"some of what is cached was written without tuples: write it back and empty the cache";
static const char other_profile[] = "the device has not got the profile: load the table again";

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

/* NULL when the cache device, which does not know what it keeps, can keep these tuples. */
static const char *why_not_carried(const struct larder_profile *p,
				   const struct larder_profile *carrier)
{
	if (p->guard != GUARD_CRC || p->tuple_size != PI_TUPLE || p->tuple_offset)
		return "tuples other than 8 bytes with a CRC need a cache device that checks them";
	if (carrier->tuple_size != PI_TUPLE)
		return "the cache device keeps metadata without a guard, and not of 8 bytes";
	if (carrier->interval_exp != p->interval_exp)
		return "origin and cache device have different protection intervals";
	if (!LARDER_HAS_CRC)
		return "without the kernel's CRC the cache device has to check tuples";
	return NULL;
}

/* What the two devices have in common. */
struct match {
	const char *why_not;		/* NULL: tuples can be carried between them, and then: */
	bool carrier;			/* the cache device does not know what it keeps */
	struct larder_profile tuples, cached;
};

static void find_match(struct larder_cache *c, struct match *m)
{
	bool origin_has = larder_bdev_profile(c->origin_dev->bdev, &m->tuples);
	bool cache_has = larder_bdev_profile(c->cache_dev->bdev, &m->cached);

	m->carrier = false;
	if (!origin_has && !cache_has)
		m->why_not = "neither origin nor cache device has protection information";
	else if (!origin_has)
		m->why_not = "the origin has no protection information";
	else if (!cache_has)
		m->why_not = "the cache device has no protection information";
	else if (m->tuples.guard == GUARD_NONE)
		m->why_not = "metadata without a guard, which no device checks, are not carried";
	else if (m->cached.guard != GUARD_NONE)
		m->why_not = compare(&m->tuples, &m->cached);
	else
		m->why_not = why_not_carried(&m->tuples, &m->cached);
	m->carrier = !m->why_not && m->cached.guard == GUARD_NONE;
}

/* Are there memory and limits for it? */
static bool as_constructed(const struct larder_cache *c, const struct match *m)
{
	return c->pi_possible && m->carrier == c->carrier_possible &&
	       !compare(&m->tuples, &c->profile);
}

/* NULL when requests may bring tuples; kept: what find_match() says. */
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
	struct larder_profile before;
	bool had = larder_table_profile(c->ti->table, &before);
	struct match m = { };
	const char *why;

	find_match(c, &m);
	why = why_not(c, m.why_not);
	c->profile = m.tuples;
	c->cache_profile = m.cached;
	c->pi_reason = why;
	c->pi_possible = !m.why_not;
	c->carrier_possible = m.carrier;
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

/* Will nothing be cached at the resume?  What a live cache does until then is not known. */
static int foretell_empty(struct larder_cache *c, bool *empty, char **error)
{
	struct larder_scan scan;
	int err;

	*empty = metadata_found(c->metadata) == METADATA_BLANK;
	if (*empty || larder_has_twin(c))
		return 0;
	err = larder_scan(c, &scan, error);
	if (err)
		return err;
	*empty = find_first_bit(scan.used, scan.nr_slots) >= scan.nr_slots;
	larder_scan_free(&scan);
	return 0;
}

/* Constructor, with the metadata looked at: the profile is chosen before the resume. */
int larder_pi_expect(struct larder_cache *c, char **error)
{
	bool ours = metadata_found(c->metadata) == METADATA_OURS;
	int err = 0;

	if (!c->carrier_possible)
		return 0;
	c->mark_expected = ours && metadata_tuples_marked(c->metadata);
	if (!c->mark_expected)
		err = foretell_empty(c, &c->mark_expected, error);
	if (err || c->mark_expected || c->args.pi != PI_REQUIRE)
		return err;
	*error = (char *)unmarked;
	return refuse(c, unmarked);
}

/* Does a device below make checksums of what is written? */
static bool needs_stable_writes(const struct larder_cache *c)
{
	return bdev_stable_writes(c->origin_dev->bdev) || bdev_stable_writes(c->cache_dev->bdev);
}

void larder_pi_limits(struct larder_cache *c, struct queue_limits *limits)
{
	struct match m = { };
	bool pass;

	find_match(c, &m);
	pass = !why_not(c, m.why_not) && as_constructed(c, &m) &&
	       (!m.carrier || c->mark_expected);
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
	struct larder_profile has = { };
	struct match m = { };
	const char *why;

	find_match(c, &m);
	if (!m.why_not && !as_constructed(c, &m))
		m.why_not = "the devices had another profile when the table was loaded";
	why = why_not(c, m.why_not);
	if (!why && m.carrier && !c->mark_expected)
		why = unmarked;
	if (LARDER_REGISTERS_INTEGRITY)
		register_profile(c, !why);
	/* whoever sends tuples goes by what the device says */
	if (!why && (!larder_table_profile(c->ti->table, &has) || compare(&has, &m.tuples)))
		why = other_profile;
	c->pi_reason = why;
	c->pi = !why;
	c->carrier_wanted = !m.why_not && m.carrier;
	/* with a carrier, that is still to be seen: larder_pi_settle() */
	c->carrier = false;
	c->pi_kept = !m.why_not && !m.carrier;
	return why && c->args.pi == PI_REQUIRE ? refuse(c, why) : 0;
}

static int mark(struct larder_cache *c, bool marked)
{
	int err = larder_run_operation(c, metadata_mark_tuples_begin(c->metadata, marked));

	if (err)
		DMERR("%s: cannot record whether what is cached has its tuples (%d)",
		      dm_table_device_name(c->ti->table), err);
	return err;
}

/*
 * The metadata are there and active, nothing has been written to the cache
 * device.  Who cannot write tuples says so first, in the superblocks, and who
 * wants to rely on them must find that nobody ever said so.
 */
int larder_pi_settle(struct larder_cache *c)
{
	bool marked = metadata_tuples_marked(c->metadata);
	int err = 0;

	if (!c->carrier_wanted)
		return marked ? mark(c, false) : 0;
	if (!marked && !atomic64_read(&c->map.nr_used)) {
		err = mark(c, true);
		marked = true;
	}
	if (err)
		return err;
	c->carrier = marked;
	c->pi_kept = marked;
	if (marked) {
		/* better than was expected, but the device is as it is */
		if (c->pi_reason == unmarked)
			c->pi_reason = other_profile;
		return 0;
	}
	c->pi = false;
	c->pi_reason = why_not(c, unmarked);
	return c->args.pi == PI_REQUIRE ? refuse(c, unmarked) : 0;
}

/* A request with tuples, which we cannot keep: to lose them in silence would be worse. */
int larder_pi_refuse(struct larder_cache *c)
{
	count(c, COUNT_PI_REFUSED);
	DMERR_LIMIT("%s: request with protection information refused: %s",
		    dm_table_device_name(c->ti->table), c->pi_reason);
	return DM_MAPIO_KILL;
}
