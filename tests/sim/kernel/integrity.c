// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tuples of bios, see integrity.h.
 */
#include "kernel.h"

bool sim_tuples_end_early;

u16 sim_guard(const void *data, u32 bytes)
{
	const u64 *words = data;
	u64 all = 0;
	u32 i;

	for (i = 0; i < bytes / sizeof(u64); i++)
		all ^= words[i];
	all ^= all >> 32;
	return (u16)(all ^ all >> 16);
}

void sim_pack_tuple(u8 *to, struct sim_tuple t)
{
	u16 guard = __builtin_bswap16(t.guard), app = __builtin_bswap16(t.app);
	u32 ref = __builtin_bswap32(t.ref);

	memcpy(to, &guard, 2);
	memcpy(to + 2, &app, 2);
	memcpy(to + 4, &ref, 4);
}

struct sim_tuple sim_unpack_tuple(const u8 *from)
{
	struct sim_tuple t;

	memcpy(&t.guard, from, 2);
	memcpy(&t.app, from + 2, 2);
	memcpy(&t.ref, from + 4, 4);
	t.guard = __builtin_bswap16(t.guard);
	t.app = __builtin_bswap16(t.app);
	t.ref = __builtin_bswap32(t.ref);
	return t;
}

static u8 *tuple_at(const struct bio_integrity_payload *bip, u32 n)
{
	struct bvec_iter iter = bip->bip_iter;
	struct bio_vec bv;

	if ((n + 1) * SIM_TUPLE > iter.bi_size)
		sim_fail("a bio has fewer tuples than intervals");
	bvec_iter_advance(bip->bip_vec, &iter, n * SIM_TUPLE);
	bv = bvec_iter_bvec(bip->bip_vec, iter);
	if (bv.bv_len < SIM_TUPLE)
		sim_fail("a tuple lies across the end of a page or a vector");
	return bv.bv_page->bytes + bv.bv_offset;
}

struct sim_tuple sim_get_tuple(const struct bio_integrity_payload *bip, u32 n)
{
	return sim_unpack_tuple(tuple_at(bip, n));
}

void sim_put_tuple(const struct bio_integrity_payload *bip, u32 n, struct sim_tuple t)
{
	sim_pack_tuple(tuple_at(bip, n), t);
}

const char *blk_integrity_profile_name(struct blk_integrity *bi)
{
	bool ref = bi->flags & BLK_INTEGRITY_REF_TAG;

	switch (bi->csum_type) {
	case BLK_INTEGRITY_CSUM_IP:
		return ref ? "T10-DIF-TYPE1-IP" : "T10-DIF-TYPE3-IP";
	case BLK_INTEGRITY_CSUM_CRC:
		return ref ? "T10-DIF-TYPE1-CRC" : "T10-DIF-TYPE3-CRC";
	case BLK_INTEGRITY_CSUM_CRC64:
		return ref ? "EXT-DIF-TYPE1-CRC64" : "EXT-DIF-TYPE3-CRC64";
	default:
		return "nop";
	}
}

static struct bio_integrity_payload *attach(struct bio *bio, void *memory)
{
	struct bio_integrity_payload *bip = memory;

	if (bio_integrity(bio))
		sim_fail("a bio gets tuples, and has some already");
	bip->bip_vec = bip->bip_inline_vecs;
	bio->bi_integrity = bip;
	bio->bi_opf |= REQ_INTEGRITY;
	return bip;
}

struct bio_integrity_payload *bio_integrity_alloc(struct bio *bio, gfp_t gfp, unsigned int nr)
{
	struct bio_integrity_payload *bip = kzalloc(struct_size(bip, bip_inline_vecs, nr), gfp);

	if (!bip)
		return ERR_PTR(-ENOMEM);
	bip->bip_max_vcnt = (unsigned short)nr;
	return attach(bio, bip);
}

void bio_integrity_free(struct bio *bio)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);

	if (bip->bip_flags & BIP_BLOCK_INTEGRITY)
		kfree(bip->bip_vec->bv_page->bytes + bip->bip_vec->bv_offset);
	kfree(bip);
	bio->bi_integrity = NULL;
	bio->bi_opf &= ~REQ_INTEGRITY;
}

int bio_integrity_clone(struct bio *bio, struct bio *from, gfp_t gfp)
{
	const struct bio_integrity_payload *other = bio_integrity(from);
	struct bio_integrity_payload *bip = kzalloc(sizeof(*bip), gfp);

	/* it came with the flags */
	bio->bi_opf &= ~REQ_INTEGRITY;
	if (!bip)
		return -ENOMEM;
	attach(bio, bip);
	bip->bip_vec = other->bip_vec;
	bip->bip_vcnt = other->bip_vcnt;
	bip->bip_iter = other->bip_iter;
	bip->bip_flags = other->bip_flags & BIP_CLONE_FLAGS;
	bip->app_tag = other->app_tag;
	return 0;
}

static const struct blk_integrity *profile_of(const struct bio *bio)
{
	const struct blk_integrity *bi = bdev_get_integrity(bio->bi_bdev);

	/* the kernel follows a NULL pointer here */
	if (!bi)
		sim_fail("tuples of a bio for %s, which has no protection information",
			 bio->bi_bdev->name);
	return bi;
}

void bio_integrity_advance(struct bio *bio, unsigned int bytes)
{
	u32 n = (bytes >> SECTOR_SHIFT) / sim_interval_sectors(profile_of(bio));
	struct bio_integrity_payload *bip = bio_integrity(bio);

	bip->bip_iter.bi_sector += n;
	bvec_iter_advance(bip->bip_vec, &bip->bip_iter, n * SIM_TUPLE);
}

void bio_integrity_trim(struct bio *bio)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);

	if (!bip)
		sim_fail("a bio without tuples has some of them cut off");
	bip->bip_iter.bi_size =
		bio_sectors(bio) / sim_interval_sectors(profile_of(bio)) * SIM_TUPLE;
}

unsigned int bio_integrity_action(struct bio *bio)
{
	const struct blk_integrity *bi = bdev_get_integrity(bio->bi_bdev);

	if (!bi || bio_integrity(bio) || !bio_sectors(bio))
		return 0;
	return bi->csum_type == BLK_INTEGRITY_CSUM_NONE ? 0 : BI_ACT_BUFFER | BI_ACT_CHECK;
}

/* Of a read: tuples to be checked at its end.  From reserves: it never fails. */
void bio_integrity_prep(struct bio *bio, unsigned int action)
{
	const struct blk_integrity *bi = profile_of(bio);
	u32 bytes = bio_sectors(bio) / sim_interval_sectors(bi) * SIM_TUPLE;
	struct bio_integrity_payload *bip;
	u8 *buffer;

	if (bio_op(bio) != REQ_OP_READ || action != (BI_ACT_BUFFER | BI_ACT_CHECK))
		sim_fail("prepares tuples in a way that is not known here");
	while (!(bip = sim_alloc(struct_size(bip, bip_inline_vecs, 1), 16, true, GFP_NOWAIT)))
		;
	while (!(buffer = sim_alloc(bytes, 16, true, GFP_NOWAIT)))
		;
	attach(bio, bip);
	bip->bip_max_vcnt = 1;
	bip->bip_vcnt = 1;
	bvec_set_page(bip->bip_vec, virt_to_page(buffer), bytes, (u32)offset_in_page(buffer));
	bip->bip_iter.bi_size = bytes;
	bip->bip_iter.bi_sector = bio->bi_iter.bi_sector;
	bip->bio_iter = bio->bi_iter;
	bip->bip_flags = BIP_BLOCK_INTEGRITY | BIP_CHECK_GUARD |
			 (bi->flags & BLK_INTEGRITY_REF_TAG ? BIP_CHECK_REFTAG : 0);
}

/* Of a read that was prepared by bio_integrity_prep(). */
static bool is_intact(struct bio *bio)
{
	const struct blk_integrity *bi = profile_of(bio);
	const struct bio_integrity_payload *bip = bio_integrity(bio);
	u32 bytes = 1u << bi->interval_exp, i, nr = bip->bip_iter.bi_size / SIM_TUPLE;
	bool ref_tag = bi->flags & BLK_INTEGRITY_REF_TAG, ok = true;
	u8 *data = malloc(bytes);

	for (i = 0; i < nr && ok; i++) {
		struct sim_tuple t = sim_get_tuple(bip, i);

		if (sim_tuple_escapes(&t, ref_tag))
			continue;
		sim_bio_copy(bio, i * bytes, data, bytes, false);
		ok = t.guard == sim_guard(data, bytes) &&
		     (!ref_tag || t.ref == (u32)(bip_get_seed(bip) + i));
	}
	free(data);
	return ok;
}

void sim_integrity_end(struct bio *bio)
{
	const struct bio_integrity_payload *bip = bio_integrity(bio);

	if (!bip || (!(bip->bip_flags & BIP_BLOCK_INTEGRITY) && !sim_tuples_end_early))
		return;
	if ((bip->bip_flags & BIP_BLOCK_INTEGRITY) && !bio->bi_status && !is_intact(bio))
		bio->bi_status = BLK_STS_PROTECTION;
	bio_integrity_free(bio);
}
