/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place where kernel versions differ.  The rest reads as for 7.2.
 */
#ifndef LARDER_COMPAT_H
#define LARDER_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/fs.h>
typedef fmode_t blk_mode_t;
#define BLK_OPEN_WRITE FMODE_WRITE
#endif

#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>

/* From drivers/md/dm.h, which is not among the installed headers. */
#ifndef DM_STATUS_NOFLUSH_FLAG
#define DM_STATUS_NOFLUSH_FLAG (1U << 0)
#endif

/* The same; exported by all kernels. */
struct mapped_device;
void dm_internal_suspend_noflush(struct mapped_device *md);

/*
 * What a device keeps beside each interval of data (T10 PI).  Without support
 * in the kernel, no device has any and no bio brings any.
 */
enum larder_guard {
	GUARD_NONE,		/* the device does not know what it keeps there */
	GUARD_IP,
	GUARD_CRC,
	GUARD_CRC64,
};

struct larder_profile {
	const char *name;	/* of the guard and the type */
	enum larder_guard guard;
	bool ref_tag;
	u8 tuple_size;		/* with all that is kept beside the interval */
	u8 tuple_offset;	/* of guard and tags within it */
	u8 interval_exp;
	u8 tag_size;
};

#ifdef CONFIG_BLK_DEV_INTEGRITY

static inline bool larder_disk_profile(struct gendisk *disk, struct larder_profile *p)
{
	const struct blk_integrity *bi = blk_get_integrity(disk);

	if (!bi)
		return false;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
	p->name = bi->profile->name;
	p->guard = strstr(p->name, "CRC64") ? GUARD_CRC64 : strstr(p->name, "CRC") ? GUARD_CRC :
		   strstr(p->name, "IP") ? GUARD_IP : GUARD_NONE;
	p->ref_tag = strstr(p->name, "TYPE1");
	p->tuple_size = bi->tuple_size;
	p->tuple_offset = 0;
#else
	p->name = blk_integrity_profile_name((struct blk_integrity *)bi);
	p->guard = bi->csum_type == BLK_INTEGRITY_CSUM_CRC64 ? GUARD_CRC64 :
		   bi->csum_type == BLK_INTEGRITY_CSUM_CRC ? GUARD_CRC :
		   bi->csum_type == BLK_INTEGRITY_CSUM_IP ? GUARD_IP : GUARD_NONE;
	p->ref_tag = bi->flags & BLK_INTEGRITY_REF_TAG;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	p->tuple_size = bi->tuple_size;
#else
	p->tuple_size = bi->metadata_size;
#endif
	p->tuple_offset = bi->pi_offset;
#endif
	p->interval_exp = bi->interval_exp;
	p->tag_size = bi->tag_size;
	return true;
}

static inline bool larder_bdev_profile(struct block_device *bdev, struct larder_profile *p)
{
	return larder_disk_profile(bdev->bd_disk, p);
}

/* Of the device that the table is, or is going to be, in. */
static inline bool larder_table_profile(struct dm_table *t, struct larder_profile *p)
{
	return larder_disk_profile(dm_disk(dm_table_get_md(t)), p);
}

/* Since 6.11 a profile is one of the limits; like: the device whose profile it is, or NULL. */
static inline void larder_limit_integrity(struct queue_limits *limits, struct block_device *like)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	memset(&limits->integrity, 0, sizeof(limits->integrity));
	if (!like)
		return;
	limits->integrity = *bdev_get_integrity(like);
	limits->integrity.flags &= BLK_INTEGRITY_DEVICE_CAPABLE | BLK_INTEGRITY_REF_TAG;
#endif
}

/* Pages must not change while they are written: tuples are made from them below. */
static inline void larder_limit_stable_writes(struct queue_limits *limits)
{
#ifdef BLK_FEAT_STABLE_WRITES
	limits->features |= BLK_FEAT_STABLE_WRITES;
#endif
}

/* Before, it is registered, which neither sleeps nor allocates; while the device is suspended. */
static inline void larder_register_integrity(struct dm_table *t, struct block_device *like,
					     bool stable_writes)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
	struct gendisk *disk = dm_disk(dm_table_get_md(t));
	struct blk_integrity copy;

	if (like) {
		copy = *bdev_get_integrity(like);
		blk_integrity_register(disk, &copy);
	} else if (blk_get_integrity(disk)) {
		blk_integrity_unregister(disk);
		/* that took it away; the devices below may still need it */
		if (stable_writes)
			blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, disk->queue);
	}
#endif
}

/* Does registering come later than dm core's look at the table, so that a conflict is ours? */
#define LARDER_REGISTERS_INTEGRITY (LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0))

/* Memory for the tuples' descriptions of our clones, where there are reserves for it. */
static inline int larder_reserve_tuples(struct bio_set *set, int nr)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	return bioset_integrity_create(set, nr);
#else
	return 0;
#endif
}

/* And of dm core's. */
static inline void larder_expect_tuples(struct dm_target *ti)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	ti->mempool_needs_integrity = true;
#endif
}

static inline bool larder_has_tuples(struct bio *bio)
{
	return bio_integrity(bio);
}

/*
 * Lets the block layer add tuples to a read that has none, to be checked at its
 * end (unless it is told not to check).  False: out of memory, the bio has ended.
 */
static inline bool larder_prepare_tuples(struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	unsigned int action = bio_integrity_action(bio);

	if (action)
		bio_integrity_prep(bio, action);
	return true;
#else
	return bio_integrity_prep(bio);
#endif
}

static inline void larder_trim_tuples(struct bio *bio)
{
	if (bio_integrity(bio))
		bio_integrity_trim(bio);
}

static inline unsigned int larder_tuple_bytes(struct bio *bio)
{
	return bio_integrity(bio)->bip_iter.bi_size;
}

static inline u64 larder_tuple_seed(struct bio *bio)
{
	return bip_get_seed(bio_integrity(bio));
}

/* Bytes of the bio's tuples from at on. */
static inline void larder_read_tuples(struct bio *bio, unsigned int at, void *to,
				      unsigned int bytes)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);
	struct bvec_iter iter = bip->bip_iter;
	struct bio_vec bv;

	bvec_iter_advance(bip->bip_vec, &iter, at);
	while (bytes && iter.bi_size) {
		bv = bvec_iter_bvec(bip->bip_vec, iter);
		bv.bv_len = min(bv.bv_len, bytes);
		memcpy_from_bvec(to, &bv);
		bvec_iter_advance(bip->bip_vec, &iter, bv.bv_len);
		to += bv.bv_len;
		bytes -= bv.bv_len;
	}
}

/* Overwrites the bio's tuples, from the first one on. */
static inline void larder_write_tuples(struct bio *bio, const void *from, unsigned int bytes)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);
	struct bvec_iter iter = bip->bip_iter;
	struct bio_vec bv;

	while (bytes && iter.bi_size) {
		bv = bvec_iter_bvec(bip->bip_vec, iter);
		bv.bv_len = min(bv.bv_len, bytes);
		memcpy_to_bvec(&bv, from);
		bvec_iter_advance(bip->bip_vec, &iter, bv.bv_len);
		from += bv.bv_len;
		bytes -= bv.bv_len;
	}
}

/* Which checks are asked of the devices. */
static inline unsigned short larder_tuple_flags(const struct larder_profile *p)
{
	unsigned short flags = p->guard == GUARD_IP ? BIP_IP_CHECKSUM : 0;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	if (p->guard != GUARD_NONE)
		flags |= BIP_CHECK_GUARD | (p->ref_tag ? BIP_CHECK_REFTAG : 0);
#endif
	return flags;
}

/*
 * Since 6.14 tuples are not checked by anybody unless that is asked for, and
 * some submitters do not (LIO's iblock of 7.2).  Before, whoever wants no checks
 * says so.
 */
static inline void larder_ask_for_checks(struct bio *bio, const struct larder_profile *p)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	if (bio_integrity(bio))
		bio_integrity(bio)->bip_flags |= larder_tuple_flags(p);
#endif
}

/*
 * Gives the bio tuples in memory that is physically contiguous and stays ours.
 * Checks: those of another bio, or as the profile says.
 */
static inline int larder_attach_tuples(struct bio *bio, void *memory, unsigned int bytes, u64 seed,
				       const struct larder_profile *p, struct bio *other)
{
	struct bio_integrity_payload *bip = bio_integrity_alloc(bio, GFP_NOIO, 1);

	if (IS_ERR_OR_NULL(bip))
		return -ENOMEM;
	bvec_set_page(&bip->bip_vec[0], virt_to_page(memory), bytes, offset_in_page(memory));
	bip->bip_vcnt = 1;
	bip->bip_iter.bi_size = bytes;
	bip_set_seed(bip, seed);
	bip->bip_flags |= larder_tuple_flags(p);
	if (!other)
		return 0;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	bip->bip_flags = bio_integrity(other)->bip_flags &
			 (BIP_DISK_NOCHECK | BIP_IP_CHECKSUM | BIP_CHECK_FLAGS);
	bip->app_tag = bio_integrity(other)->app_tag;
#else
	bip->bip_flags = bio_integrity(other)->bip_flags &
			 (BIP_CTRL_NOCHECK | BIP_DISK_NOCHECK | BIP_IP_CHECKSUM);
#endif
	return 0;
}

#else /* CONFIG_BLK_DEV_INTEGRITY */

#define LARDER_REGISTERS_INTEGRITY 0

static inline void larder_write_tuples(struct bio *bio, const void *from, unsigned int bytes)
{
}

static inline void larder_ask_for_checks(struct bio *bio, const struct larder_profile *p)
{
}

static inline bool larder_bdev_profile(struct block_device *bdev, struct larder_profile *p)
{
	return false;
}

static inline bool larder_table_profile(struct dm_table *t, struct larder_profile *p)
{
	return false;
}

static inline void larder_limit_integrity(struct queue_limits *limits, struct block_device *like)
{
}

static inline void larder_limit_stable_writes(struct queue_limits *limits)
{
}

static inline void larder_register_integrity(struct dm_table *t, struct block_device *like,
					     bool stable_writes)
{
}

static inline int larder_reserve_tuples(struct bio_set *set, int nr)
{
	return 0;
}

static inline void larder_expect_tuples(struct dm_target *ti)
{
}

static inline bool larder_has_tuples(struct bio *bio)
{
	return false;
}

static inline bool larder_prepare_tuples(struct bio *bio)
{
	return true;
}

static inline void larder_trim_tuples(struct bio *bio)
{
}

static inline unsigned int larder_tuple_bytes(struct bio *bio)
{
	return 0;
}

static inline u64 larder_tuple_seed(struct bio *bio)
{
	return 0;
}

static inline void larder_read_tuples(struct bio *bio, unsigned int at, void *to,
				      unsigned int bytes)
{
}

static inline int larder_attach_tuples(struct bio *bio, void *memory, unsigned int bytes, u64 seed,
				       const struct larder_profile *p, struct bio *other)
{
	return -EINVAL;
}

#endif /* CONFIG_BLK_DEV_INTEGRITY */

/* The checksum of type CRC, for who has to compare it himself. */
#if defined(CONFIG_BLK_DEV_INTEGRITY) && IS_ENABLED(CONFIG_CRC_T10DIF)
#define LARDER_HAS_CRC 1
#include <linux/crc-t10dif.h>
static inline u16 larder_guard(u16 guard, const void *data, unsigned int bytes)
{
	return crc_t10dif_update(guard, data, bytes);
}
#else
#define LARDER_HAS_CRC 0
static inline u16 larder_guard(u16 guard, const void *data, unsigned int bytes)
{
	return 0;
}
#endif

/* A disk without a driver, not to be added; NULL: no memory. */
static inline struct gendisk *larder_alloc_disk(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	struct gendisk *disk = blk_alloc_disk(NULL, NUMA_NO_NODE);

	return IS_ERR(disk) ? NULL : disk;
#else
	return blk_alloc_disk(NUMA_NO_NODE);
#endif
}

/* Largest discard that the target takes in one piece. */
static inline void larder_limit_discards(struct queue_limits *limits, unsigned int sectors)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	limits->max_hw_discard_sectors = sectors;
#else
	limits->max_discard_sectors = sectors;
#endif
}

#endif
