/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * T10 protection information as the block layer has it: profiles of devices,
 * and the tuples that bios bring or get.  Names and meanings are those of 7.2;
 * sim_tuples_end_early is how 6.1 does it.
 */
#ifndef SIM_INTEGRITY_H
#define SIM_INTEGRITY_H

/* Block.h includes this: its bvec_iter and bio_vec are known. */
struct bio;

#define CONFIG_BLK_DEV_INTEGRITY 1

enum blk_integrity_checksum {
	BLK_INTEGRITY_CSUM_NONE,
	BLK_INTEGRITY_CSUM_IP,
	BLK_INTEGRITY_CSUM_CRC,
	BLK_INTEGRITY_CSUM_CRC64,
};

#define BLK_INTEGRITY_NOVERIFY		(1u << 0)
#define BLK_INTEGRITY_NOGENERATE	(1u << 1)
#define BLK_INTEGRITY_DEVICE_CAPABLE	(1u << 2)
#define BLK_INTEGRITY_REF_TAG		(1u << 3)

struct blk_integrity {
	unsigned char flags;
	enum blk_integrity_checksum csum_type;
	unsigned char metadata_size, pi_offset, interval_exp, tag_size, pi_tuple_size;
};

struct gendisk {
	const struct block_device_operations *fops;
	struct block_device *part0;
	struct blk_integrity integrity;	/* metadata_size 0: none */
};

#define BIP_BLOCK_INTEGRITY	(1u << 0)	/* of the block layer, not of the submitter */
#define BIP_MAPPED_INTEGRITY	(1u << 1)	/* reference tags are the device's now */
#define BIP_DISK_NOCHECK	(1u << 2)
#define BIP_IP_CHECKSUM		(1u << 3)
#define BIP_CHECK_GUARD		(1u << 6)
#define BIP_CHECK_REFTAG	(1u << 7)
#define BIP_CHECK_APPTAG	(1u << 8)
#define BIP_CHECK_FLAGS		(BIP_CHECK_GUARD | BIP_CHECK_REFTAG | BIP_CHECK_APPTAG)
#define BIP_CLONE_FLAGS		(BIP_MAPPED_INTEGRITY | BIP_IP_CHECKSUM | BIP_CHECK_FLAGS)

struct bio_integrity_payload {
	struct bvec_iter bip_iter;	/* bi_sector is the seed */
	struct bvec_iter bio_iter;	/* of the data, when it was prepared */
	unsigned short bip_vcnt, bip_max_vcnt, bip_flags;
	u16 app_tag;
	struct bio_vec *bip_vec;
	struct bio_vec bip_inline_vecs[];
};

static inline struct blk_integrity *blk_get_integrity(struct gendisk *disk)
{
	return disk->integrity.metadata_size ? &disk->integrity : NULL;
}

static inline u32 sim_interval_sectors(const struct blk_integrity *bi)
{
	return 1u << (bi->interval_exp - SECTOR_SHIFT);
}

#define bip_get_seed(bip) ((bip)->bip_iter.bi_sector)
#define bip_set_seed(bip, seed) ((bip)->bip_iter.bi_sector = (seed))

const char *blk_integrity_profile_name(struct blk_integrity *bi);
struct bio_integrity_payload *bio_integrity_alloc(struct bio *bio, gfp_t gfp, unsigned int nr);
void bio_integrity_free(struct bio *bio);
int bio_integrity_clone(struct bio *bio, struct bio *from, gfp_t gfp);
void bio_integrity_advance(struct bio *bio, unsigned int bytes);
void bio_integrity_trim(struct bio *bio);
#define BI_ACT_BUFFER	1u
#define BI_ACT_CHECK	2u
unsigned int bio_integrity_action(struct bio *bio);
void bio_integrity_prep(struct bio *bio, unsigned int action);

/* --- the simulator's own --- */

/* As on 6.1: a bio has lost its tuples when its end is called. */
extern bool sim_tuples_end_early;
/* The first part of bio_endio(). */
void sim_integrity_end(struct bio *bio);

#define SIM_TUPLE 8u

struct sim_tuple {
	u16 guard, app;
	u32 ref;
};

/* Never written: nobody checks it. */
static inline bool sim_tuple_blank(const struct sim_tuple *t)
{
	return t->guard == 0xffff && t->app == 0xffff && t->ref == ~0u;
}

/* Checks are off. */
static inline bool sim_tuple_escapes(const struct sim_tuple *t, bool ref_tag)
{
	return t->app == 0xffff && (ref_tag || t->ref == ~0u);
}

/* A checksum of its own: each single bit counts, and that is enough here. */
u16 sim_guard(const void *data, u32 bytes);
/* The n-th tuple of the bio, as it is in memory. */
struct sim_tuple sim_get_tuple(const struct bio_integrity_payload *bip, u32 n);
void sim_put_tuple(const struct bio_integrity_payload *bip, u32 n, struct sim_tuple t);
void sim_pack_tuple(u8 *to, struct sim_tuple t);
struct sim_tuple sim_unpack_tuple(const u8 *from);

static inline void bvec_iter_advance(const struct bio_vec *vec, struct bvec_iter *iter,
				     unsigned int bytes)
{
	iter->bi_size -= bytes;
	iter->bi_bvec_done += bytes;
	while (iter->bi_size && iter->bi_bvec_done >= vec[iter->bi_idx].bv_len) {
		iter->bi_bvec_done -= vec[iter->bi_idx].bv_len;
		iter->bi_idx++;
	}
}

/* What is in one page of the vector at hand. */
static inline struct bio_vec bvec_iter_bvec(const struct bio_vec *vec, struct bvec_iter iter)
{
	const struct bio_vec *at = &vec[iter.bi_idx];
	unsigned int offset = at->bv_offset + iter.bi_bvec_done;
	unsigned int left = min(at->bv_len - iter.bi_bvec_done, iter.bi_size);
	unsigned int room = PAGE_SIZE - offset % PAGE_SIZE;
	struct bio_vec bv;

	bv.bv_page = at->bv_page + offset / PAGE_SIZE;
	bv.bv_len = min(left, room);
	bv.bv_offset = offset % PAGE_SIZE;
	return bv;
}

static inline void memcpy_from_bvec(void *to, const struct bio_vec *bv)
{
	memcpy(to, bv->bv_page->bytes + bv->bv_offset, bv->bv_len);
}

static inline void memcpy_to_bvec(struct bio_vec *bv, const void *from)
{
	memcpy(bv->bv_page->bytes + bv->bv_offset, from, bv->bv_len);
}

#define bvec_kmap_local(bv) ((void *)((bv)->bv_page->bytes + (bv)->bv_offset))
#define kunmap_local(p) ((void)(p))

/* In pieces of whole words it is the same as at once. */
#define CONFIG_CRC_T10DIF 1
#define IS_ENABLED(CONFIG_option) (CONFIG_option)
static inline u16 crc_t10dif_update(u16 guard, const void *data, size_t bytes)
{
	return guard ^ sim_guard(data, (u32)bytes);
}

static inline void bvec_set_page(struct bio_vec *bv, struct page *page, unsigned int bytes,
				 unsigned int offset)
{
	*bv = (struct bio_vec){ page, bytes, offset };
}

#endif
