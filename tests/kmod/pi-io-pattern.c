// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data that knows what it is. Each sector of 512 bytes names its place, the write it comes from
 * and the tags that were sent with it; the rest follows from these. So any change of a bit, any
 * misplaced or old sector and any tuple that belongs to other data is told by looking at one
 * interval alone.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/crc-t10dif.h>
#include <linux/string.h>
#include <net/checksum.h>

#include "pi-io.h"

#define MAGIC		0x6f692d6970726c64ull
#define PAYLOAD_WORDS	58

struct stamp {
	u64 magic;
	u64 version;
	u64 sector;
	u64 app;
	u64 ref;
	u64 check;		/* of all above */
	u64 payload[PAYLOAD_WORDS];
};

static_assert(sizeof(struct stamp) == SECTOR_SIZE);

/* Finaliser of splitmix64: every bit of the result depends on every bit of x. */
u64 pi_io_mix(u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static u64 check_of(const struct stamp *stamp)
{
	u64 x = pi_io_mix(stamp->magic ^ stamp->version);

	x = pi_io_mix(x + stamp->sector);
	x = pi_io_mix(x + stamp->app);
	return pi_io_mix(x + stamp->ref);
}

static bool is_zero(const void *data, size_t bytes)
{
	return !memchr_inv(data, 0, bytes);
}

static bool is_whole(const struct stamp *stamp)
{
	unsigned int i;

	if (stamp->magic != MAGIC || stamp->check != check_of(stamp))
		return false;
	for (i = 0; i < PAYLOAD_WORDS; i++)
		if (stamp->payload[i] != pi_io_mix(stamp->check + i))
			return false;
	return true;
}

u16 pi_io_guard(const struct pi_io_format *format, const void *data)
{
	if (format->ip)
		return be16_to_cpu((__force __be16)ip_compute_csum(data, 1 << format->shift));
	return crc_t10dif(data, 1 << format->shift);
}

static u8 *data_of(const struct pi_io_transfer *transfer, unsigned int interval)
{
	return transfer->data + ((size_t)interval << transfer->device->format.shift);
}

/* The reference tag of an interval, as the submitter sees it. */
static u32 canonical_ref(const struct pi_io_transfer *transfer, unsigned int interval)
{
	return lower_32_bits(transfer->seed + interval);
}

/*
 * Type 3 has no rule for the reference tag: it is the application's, too. A write without PI of its
 * own has zeroes here, and gets a zero application tag in any type.
 */
static void choose_tags(const struct pi_io_transfer *transfer, unsigned int interval,
			struct stamp *stamp, u32 app)
{
	u64 random = pi_io_mix(stamp->sector * 31 + stamp->version);

	stamp->ref = 0;
	stamp->app = 0;
	if (transfer->plain)
		return;
	/* 0xffff would switch off the checks of this interval */
	stamp->app = app == PI_IO_OWN_APP ? (random & 0xffffffff) % 0xffff :
					    (app + interval) % 0xffff;
	if (transfer->device->format.type == PI_IO_TYPE3)
		stamp->ref = random >> 32;
}

void pi_io_fill(struct pi_io_transfer *transfer, u32 version, u32 app)
{
	const struct pi_io_format *format = &transfer->device->format;
	unsigned int sectors = pi_io_interval_sectors(format), i, s, w;
	struct stamp first, *stamp;
	struct t10_pi_tuple *tuple;

	for (i = 0; i < transfer->intervals; i++) {
		first.version = version;
		first.sector = transfer->start + i * sectors;
		choose_tags(transfer, i, &first, app);
		for (s = 0; s < sectors; s++) {
			stamp = (struct stamp *)data_of(transfer, i) + s;
			stamp->magic = MAGIC;
			stamp->version = version;
			stamp->sector = first.sector + s;
			stamp->app = first.app;
			stamp->ref = first.ref;
			stamp->check = check_of(stamp);
			for (w = 0; w < PAYLOAD_WORDS; w++)
				stamp->payload[w] = pi_io_mix(stamp->check + w);
		}
		tuple = transfer->tuples + i;
		tuple->guard_tag = cpu_to_be16(pi_io_guard(format, data_of(transfer, i)));
		tuple->app_tag = cpu_to_be16(first.app);
		tuple->ref_tag = cpu_to_be32(format->type == PI_IO_TYPE3 ? (u32)first.ref :
					     canonical_ref(transfer, i));
	}
}

void pi_io_spoil(struct pi_io_transfer *transfer, unsigned int interval, enum pi_io_wrong what)
{
	struct t10_pi_tuple *tuple = transfer->tuples + interval;

	switch (what) {
	case PI_IO_WRONG_DATA:
		data_of(transfer, interval)[100] ^= 1;
		break;
	case PI_IO_WRONG_GUARD:
		tuple->guard_tag ^= cpu_to_be16(1);
		break;
	case PI_IO_WRONG_APP:
		tuple->app_tag ^= cpu_to_be16(1);
		break;
	case PI_IO_WRONG_REF:
		tuple->ref_tag ^= cpu_to_be32(0x100);
		break;
	}
}

static bool is_escape(const struct pi_io_format *format, const struct t10_pi_tuple *tuple)
{
	return tuple->app_tag == T10_PI_APP_ESCAPE &&
	       (format->type != PI_IO_TYPE3 || tuple->ref_tag == T10_PI_REF_ESCAPE);
}

/* What the sectors of an interval say: false if they are not of one write, or not whole. */
static bool read_stamps(const void *data, unsigned int sectors, u64 at, struct pi_io_found *found)
{
	const struct stamp *stamp = data;
	unsigned int s;

	for (s = 0; s < sectors; s++)
		if (!is_whole(stamp + s) || stamp[s].version != stamp->version ||
		    stamp[s].sector != stamp->sector + s || stamp[s].app != stamp->app)
			return false;
	found->version = stamp->version;
	found->sector = stamp->sector;
	found->app = stamp->app;
	found->ref = stamp->ref;
	return at == U64_MAX || at == stamp->sector;
}

/*
 * With type 3 nobody has a rule for it: not for zeroes, nor for a write without PI, where the block
 * layer writes 0 before 7.2 and the place since (blk_set_pi()).
 */
static bool ref_fits(const struct pi_io_format *format, const struct t10_pi_tuple *tuple,
		     const struct pi_io_found *found, bool blank)
{
	if (be32_to_cpu(tuple->ref_tag) == found->ref)
		return true;
	return format->type == PI_IO_TYPE3 && (blank || (!found->ref && !found->app));
}

struct pi_io_found pi_io_judge(const struct pi_io_transfer *transfer, unsigned int interval, u64 at)
{
	const struct pi_io_format *format = &transfer->device->format;
	const struct t10_pi_tuple *tuple = transfer->tuples + interval;
	const u8 *data = data_of(transfer, interval);
	struct pi_io_found found = { .sector = U64_MAX };
	bool blank = is_zero(data, 1 << format->shift);

	if (!blank && !read_stamps(data, pi_io_interval_sectors(format), at, &found))
		found.wrong |= PI_IO_WRONG_DATA;
	found.guard = pi_io_guard(format, data);
	if (format->type != PI_IO_TYPE3)
		found.ref = canonical_ref(transfer, interval);
	if (transfer->plain)
		return found;
	/* never written: no tuple at all, or one that was made for zeroes */
	if (blank && is_escape(format, tuple))
		return found;
	if (be16_to_cpu(tuple->guard_tag) != found.guard)
		found.wrong |= PI_IO_WRONG_GUARD;
	if (be16_to_cpu(tuple->app_tag) != found.app)
		found.wrong |= PI_IO_WRONG_APP;
	if (!ref_fits(format, tuple, &found, blank))
		found.wrong |= PI_IO_WRONG_REF;
	return found;
}
