// SPDX-License-Identifier: GPL-2.0-only
/*
 * pi-disk: small disks in memory that keep and check protection information as real ones do, for
 * kernels without scsi_debug and NVMe (User Mode Linux with its sanitizers).
 *
 *	insmod pi-disk.ko disks="NAME,TYPE,GUARD,INTERVAL,MIB;..."
 *	echo NAME SECTOR >/sys/module/pi_disk/parameters/damage		flips a bit of the data
 *
 * TYPE is 1, 3, or 0: kept, but not looked at.  GUARD is crc or ip.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-integrity.h>
#include <linux/blk-mq.h>
#include <linux/crc-t10dif.h>
#include <linux/module.h>
#include <linux/t10-pi.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <net/checksum.h>

#define MAX_SECTORS	2048u
#define TUPLE_BYTES	((unsigned int)sizeof(struct t10_pi_tuple))

struct pi_disk {
	struct list_head list;
	char name[DISK_NAME_LEN];
	unsigned int type;
	unsigned int shift;		/* of an interval */
	bool ip;
	struct gendisk *gendisk;
	struct blk_mq_tag_set tags;
	spinlock_t lock;		/* guards all that follows */
	size_t bytes;
	u8 *data;
	struct t10_pi_tuple *tuples;
	u8 *stage;			/* of one request, while it is checked */
	struct t10_pi_tuple *stage_tuples;
};

static LIST_HEAD(all_disks);

/* --- requests --- */

static u16 guard_of(const struct pi_disk *disk, const u8 *data)
{
	if (disk->ip)
		return be16_to_cpu((__force __be16)ip_compute_csum(data, 1 << disk->shift));
	return crc_t10dif(data, 1 << disk->shift);
}

static bool is_right(const struct pi_disk *disk, const u8 *data, const struct t10_pi_tuple *tuple,
		     u64 place, bool stored)
{
	if (!disk->type)
		return true;
	/* all ones switch the checks off, but nobody may write them in a checked write */
	if (stored && tuple->app_tag == T10_PI_APP_ESCAPE &&
	    (disk->type == 1 || tuple->ref_tag == T10_PI_REF_ESCAPE))
		return true;
	if (be16_to_cpu(tuple->guard_tag) != guard_of(disk, data))
		return false;
	return disk->type == 3 || be32_to_cpu(tuple->ref_tag) == lower_32_bits(place);
}

static void copy_data(struct pi_disk *disk, struct request *request)
{
	bool write = req_op(request) == REQ_OP_WRITE;
	struct req_iterator iterator;
	struct bio_vec vec;
	u8 *at = disk->stage;

	rq_for_each_segment(vec, request, iterator) {
		if (write)
			memcpy_from_bvec(at, &vec);
		else
			memcpy_to_bvec(&vec, at);
		at += vec.bv_len;
	}
}

/* False if the request has none. */
static bool copy_tuples(struct pi_disk *disk, struct request *request)
{
	bool write = req_op(request) == REQ_OP_WRITE;
	u8 *at = (u8 *)disk->stage_tuples;
	struct bvec_iter iterator;
	struct bio_vec vec;
	struct bio *bio;

	__rq_for_each_bio(bio, request) {
		struct bio_integrity_payload *payload = bio_integrity(bio);

		if (!payload)
			return false;
		bip_for_each_vec(vec, payload, iterator) {
			if (write)
				memcpy_from_bvec(at, &vec);
			else
				memcpy_to_bvec(&vec, at);
			at += vec.bv_len;
		}
	}
	return true;
}

static blk_status_t check_stage(const struct pi_disk *disk, u64 first, unsigned int count,
				bool stored)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!is_right(disk, disk->stage + ((size_t)i << disk->shift),
			      disk->stage_tuples + i, first + i, stored))
			return BLK_STS_PROTECTION;
	return BLK_STS_OK;
}

static blk_status_t perform(struct pi_disk *disk, struct request *request)
{
	u64 first = blk_rq_pos(request) >> (disk->shift - SECTOR_SHIFT);
	unsigned int count = blk_rq_bytes(request) >> disk->shift;
	u8 *data = disk->data + (first << disk->shift);
	size_t bytes = blk_rq_bytes(request);
	blk_status_t status;

	switch (req_op(request)) {
	case REQ_OP_WRITE:
		copy_data(disk, request);
		if (!copy_tuples(disk, request))
			return BLK_STS_PROTECTION;
		status = check_stage(disk, first, count, false);
		if (status)
			return status;
		memcpy(data, disk->stage, bytes);
		memcpy(disk->tuples + first, disk->stage_tuples, count * TUPLE_BYTES);
		return BLK_STS_OK;
	case REQ_OP_READ:
		memcpy(disk->stage, data, bytes);
		memcpy(disk->stage_tuples, disk->tuples + first, count * TUPLE_BYTES);
		status = check_stage(disk, first, count, true);
		if (status)
			return status;
		copy_data(disk, request);
		copy_tuples(disk, request);
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

static blk_status_t queue_request(struct blk_mq_hw_ctx *context,
				  const struct blk_mq_queue_data *queued)
{
	struct pi_disk *disk = queued->rq->q->queuedata;
	blk_status_t status;

	blk_mq_start_request(queued->rq);
	spin_lock(&disk->lock);
	status = perform(disk, queued->rq);
	spin_unlock(&disk->lock);
	blk_mq_end_request(queued->rq, status);
	return BLK_STS_OK;
}

static const struct blk_mq_ops mq_operations = { .queue_rq = queue_request };
static const struct block_device_operations disk_operations = { .owner = THIS_MODULE };

/* --- disks --- */

static unsigned char tag_bytes(const struct pi_disk *disk)
{
	return disk->type == 1 ? 2 : disk->type == 3 ? 6 : 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
static struct gendisk *make_gendisk(struct pi_disk *disk)
{
	struct gendisk *gendisk = blk_mq_alloc_disk(&disk->tags, disk);

	if (IS_ERR(gendisk))
		return gendisk;
	blk_queue_logical_block_size(gendisk->queue, 1 << disk->shift);
	blk_queue_max_hw_sectors(gendisk->queue, MAX_SECTORS);
	blk_queue_max_integrity_segments(gendisk->queue, 128);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, gendisk->queue);
	return gendisk;
}

static void register_profile(struct pi_disk *disk)
{
	struct blk_integrity profile = {
		.flags = BLK_INTEGRITY_DEVICE_CAPABLE,
		.tuple_size = TUPLE_BYTES,
		.interval_exp = disk->shift,
		.tag_size = tag_bytes(disk),
	};

	if (disk->type == 1)
		profile.profile = disk->ip ? &t10_pi_type1_ip : &t10_pi_type1_crc;
	else if (disk->type == 3)
		profile.profile = disk->ip ? &t10_pi_type3_ip : &t10_pi_type3_crc;
	blk_integrity_register(disk->gendisk, &profile);
}
#else
static struct gendisk *make_gendisk(struct pi_disk *disk)
{
	struct queue_limits limits = {
		.logical_block_size = 1 << disk->shift,
		.max_hw_sectors = MAX_SECTORS,
		.max_integrity_segments = 128,
		.integrity = {
			.flags = BLK_INTEGRITY_DEVICE_CAPABLE,
			.interval_exp = disk->shift,
			.tag_size = tag_bytes(disk),
		},
	};

	if (disk->type == 1)
		limits.integrity.flags |= BLK_INTEGRITY_REF_TAG;
	if (disk->type)
		limits.integrity.csum_type = disk->ip ? BLK_INTEGRITY_CSUM_IP :
							BLK_INTEGRITY_CSUM_CRC;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	limits.integrity.tuple_size = TUPLE_BYTES;
#else
	limits.integrity.metadata_size = TUPLE_BYTES;
	limits.integrity.pi_tuple_size = disk->type ? TUPLE_BYTES : 0;
#endif
	return blk_mq_alloc_disk(&disk->tags, &limits, disk);
}

static void register_profile(struct pi_disk *disk)
{
}
#endif

static void destroy(struct pi_disk *disk)
{
	if (disk->gendisk) {
		del_gendisk(disk->gendisk);
		put_disk(disk->gendisk);
	}
	if (disk->tags.ops)
		blk_mq_free_tag_set(&disk->tags);
	vfree(disk->data);
	vfree(disk->tuples);
	vfree(disk->stage);
	vfree(disk->stage_tuples);
	kfree(disk);
}

static int allocate(struct pi_disk *disk)
{
	size_t intervals = disk->bytes >> disk->shift;

	disk->data = vzalloc(disk->bytes);
	disk->tuples = vmalloc(intervals * TUPLE_BYTES);
	disk->stage = vmalloc(MAX_SECTORS << SECTOR_SHIFT);
	disk->stage_tuples = vmalloc(MAX_SECTORS * TUPLE_BYTES);
	if (!disk->data || !disk->tuples || !disk->stage || !disk->stage_tuples)
		return -ENOMEM;
	memset(disk->tuples, 0xff, intervals * TUPLE_BYTES);
	return 0;
}

static int start(struct pi_disk *disk)
{
	struct gendisk *gendisk;
	int error = allocate(disk);

	if (error)
		return error;
	disk->tags.nr_hw_queues = 1;
	disk->tags.queue_depth = 32;
	disk->tags.numa_node = NUMA_NO_NODE;
	disk->tags.ops = &mq_operations;
	error = blk_mq_alloc_tag_set(&disk->tags);
	if (error) {
		disk->tags.ops = NULL;
		return error;
	}
	gendisk = make_gendisk(disk);
	if (IS_ERR(gendisk))
		return PTR_ERR(gendisk);
	gendisk->fops = &disk_operations;
	gendisk->private_data = disk;
	strscpy(gendisk->disk_name, disk->name, DISK_NAME_LEN);
	set_capacity(gendisk, disk->bytes >> SECTOR_SHIFT);
	disk->gendisk = gendisk;
	register_profile(disk);
	error = device_add_disk(NULL, gendisk, NULL);
	if (error) {
		put_disk(gendisk);
		disk->gendisk = NULL;
	}
	return error;
}

static int add(const char *text)
{
	unsigned int type, interval, mib;
	struct pi_disk *disk;
	char guard[4], name[DISK_NAME_LEN];
	int error;

	if (sscanf(text, "%31[^,],%u,%3[^,],%u,%u", name, &type, guard, &interval, &mib) != 5 ||
	    (type != 0 && type != 1 && type != 3) || (interval != 512 && interval != 4096) ||
	    !mib || mib > 1024 || (strcmp(guard, "crc") && strcmp(guard, "ip"))) {
		pr_err("expected NAME,TYPE,GUARD,INTERVAL,MIB, found '%s'\n", text);
		return -EINVAL;
	}
	disk = kzalloc(sizeof(*disk), GFP_KERNEL);
	if (!disk)
		return -ENOMEM;
	strscpy(disk->name, name, sizeof(disk->name));
	disk->type = type;
	disk->ip = !strcmp(guard, "ip");
	disk->shift = ilog2(interval);
	disk->bytes = (size_t)mib << 20;
	spin_lock_init(&disk->lock);
	error = start(disk);
	if (error)
		destroy(disk);
	else
		list_add(&disk->list, &all_disks);
	return error;
}

static void remove_all(void)
{
	struct pi_disk *disk, *next;

	list_for_each_entry_safe(disk, next, &all_disks, list)
		destroy(disk);
}

static char *disks = "";
module_param(disks, charp, 0444);
MODULE_PARM_DESC(disks, "disks to create: 'NAME,TYPE,GUARD,INTERVAL,MIB;...'");

/* The list does not change between init and exit. */
static int damage(const char *text, const struct kernel_param *parameter)
{
	unsigned long long sector;
	char name[DISK_NAME_LEN];
	struct pi_disk *disk;

	if (sscanf(text, "%31s %llu", name, &sector) != 2)
		return -EINVAL;
	list_for_each_entry(disk, &all_disks, list) {
		if (strcmp(disk->name, name) || sector >= disk->bytes >> SECTOR_SHIFT)
			continue;
		spin_lock(&disk->lock);
		disk->data[(sector << SECTOR_SHIFT) + 100] ^= 1;
		spin_unlock(&disk->lock);
		return 0;
	}
	return -ENOENT;
}

static const struct kernel_param_ops damage_operations = { .set = damage };
module_param_cb(damage, &damage_operations, NULL, 0200);
MODULE_PARM_DESC(damage, "'NAME SECTOR': flips a bit of the data there");

static int __init pi_disk_init(void)
{
	char *text = kstrdup(disks, GFP_KERNEL), *rest = text, *one;
	int error = text ? 0 : -ENOMEM;

	while (!error && (one = strsep(&rest, ";")) != NULL)
		error = add(one);
	kfree(text);
	if (error)
		remove_all();
	return error;
}

static void __exit pi_disk_exit(void)
{
	remove_all();
}

module_init(pi_disk_init);
module_exit(pi_disk_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Disks in memory with protection information, for tests");
