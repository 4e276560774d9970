// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event logs: the last events of all disks in their one order, as text lines in debugfs
 * (simdisk/log), and all events with the data that was written (simdisk/data), in the format of
 * log-format.h. Writing anything to a file empties it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/vmalloc.h>

#include "log-format.h"
#include "simdisk.h"

static unsigned int log_entries;
module_param(log_entries, uint, 0444);
MODULE_PARM_DESC(log_entries, "events that the log holds (default 0: no log)");

struct log_entry {
	u64 sequence;		/* 0: empty */
	u64 sector;
	u32 sectors;
	u32 disk;
	enum req_op operation;
	bool fua;
};

static unsigned int log_data_kib;
module_param(log_data_kib, uint, 0444);
MODULE_PARM_DESC(log_data_kib, "size of the log with data (default 0: no such log)");

static struct log_entry *entries;
static u64 log_start = 1;	/* the first sequence number since it was last emptied */
static struct dentry *directory;

/* The log with data: records one behind the other, under world.lock. */
static u8 *data_log;
static size_t data_size;
static size_t data_used;
static bool data_lost;		/* it was full: what is in it is not all */

void simdisk_log(const struct simdisk *disk, const struct request *request)
{
	struct log_entry *entry;

	if (!entries)
		return;
	entry = &entries[world.sequence % log_entries];
	*entry = (struct log_entry){
		.sequence = world.sequence,
		.sector = req_op(request) == REQ_OP_FLUSH ? 0 : blk_rq_pos(request),
		.sectors = blk_rq_sectors(request),
		.disk = disk->number,
		.operation = req_op(request),
		.fua = !!(request->cmd_flags & REQ_FUA),
	};
}

/* A position is a sequence number; what the ring has lost is passed over. */
static void *log_seek(loff_t *position)
{
	u64 last, first;

	spin_lock_irq(&world.lock);
	last = world.sequence;
	first = log_start;
	spin_unlock_irq(&world.lock);
	if (last >= log_entries)
		first = max(first, last - log_entries + 1);
	*position = max_t(u64, *position, first);
	return *position <= last ? position : NULL;
}

static void *log_start_reading(struct seq_file *file, loff_t *position)
{
	return entries ? log_seek(position) : NULL;
}

static void *log_next(struct seq_file *file, void *item, loff_t *position)
{
	++*position;
	return log_seek(position);
}

static void log_stop(struct seq_file *file, void *item)
{
}

static const char *operation_name(enum req_op operation)
{
	switch (operation) {
	case REQ_OP_WRITE:
		return "write";
	case REQ_OP_FLUSH:
		return "flush";
	case REQ_OP_DISCARD:
		return "discard";
	default:
		return "zeroes";
	}
}

static int log_show(struct seq_file *file, void *item)
{
	u64 sequence = *(loff_t *)item;
	struct log_entry entry;

	spin_lock_irq(&world.lock);
	entry = entries[sequence % log_entries];
	spin_unlock_irq(&world.lock);
	if (entry.sequence == sequence)
		seq_printf(file, "%llu %u %s %llu %u %s\n", sequence, entry.disk,
			   operation_name(entry.operation), entry.sector, entry.sectors,
			   entry.fua ? "fua" : "-");
	return 0;
}

static const struct seq_operations log_operations = {
	.start = log_start_reading,
	.next = log_next,
	.stop = log_stop,
	.show = log_show,
};

static int log_open(struct inode *inode, struct file *file)
{
	return seq_open(file, &log_operations);
}

static ssize_t log_empty(struct file *file, const char __user *text, size_t length,
			 loff_t *position)
{
	spin_lock_irq(&world.lock);
	log_start = world.sequence + 1;
	spin_unlock_irq(&world.lock);
	return length;
}

static const struct file_operations log_file = {
	.owner = THIS_MODULE,
	.open = log_open,
	.read = seq_read,
	.write = log_empty,
	.llseek = seq_lseek,
	.release = seq_release,
};

/* --- the log with data --- */

static void append_versions(const struct simdisk_version *version)
{
	for (; version; version = version->next) {
		unsigned int first = __ffs(version->mask), sectors = hweight8(version->mask);

		memcpy(data_log + data_used, version->data + first * SECTOR_SIZE,
		       sectors * SECTOR_SIZE);
		data_used += sectors * SECTOR_SIZE;
	}
}

/* The event that comes next; its versions are still as they were prepared. */
void simdisk_log_data(const struct simdisk *disk, const struct simdisk_command *command)
{
	const struct request *request = blk_mq_rq_from_pdu((void *)command);
	bool flush = req_op(request) == REQ_OP_FLUSH;
	struct simdisk_log_record record = {
		.magic = cpu_to_le32(SIMDISK_LOG_MAGIC),
		.disk = cpu_to_le32(disk->number),
		.sequence = cpu_to_le64(world.sequence + 1),
		.received = cpu_to_le64(command->received),
		.sector = cpu_to_le64(flush ? 0 : blk_rq_pos(request)),
		.sectors = cpu_to_le32(blk_rq_sectors(request)),
		.operation = operation_name(req_op(request))[0],
		.fua = !!(request->cmd_flags & REQ_FUA),
	};
	bool with_data = req_op(request) == REQ_OP_WRITE;
	size_t bytes = sizeof(record) + (with_data ? blk_rq_bytes(request) : 0);

	if (!data_log)
		return;
	if (data_lost || bytes > data_size - data_used) {
		data_lost = true;
		return;
	}
	memcpy(data_log + data_used, &record, sizeof(record));
	data_used += sizeof(record);
	if (with_data)
		append_versions(command->versions);
}

static ssize_t data_read(struct file *file, char __user *to, size_t length, loff_t *position)
{
	size_t used;
	bool lost;

	spin_lock_irq(&world.lock);
	used = data_used;
	lost = data_lost;
	spin_unlock_irq(&world.lock);
	if (lost)
		return -EOVERFLOW;
	return simple_read_from_buffer(to, length, position, data_log, used);
}

static ssize_t data_empty(struct file *file, const char __user *text, size_t length,
			  loff_t *position)
{
	spin_lock_irq(&world.lock);
	data_used = 0;
	data_lost = false;
	spin_unlock_irq(&world.lock);
	return length;
}

static const struct file_operations data_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = data_read,
	.write = data_empty,
	.llseek = default_llseek,
};

/* --- both --- */

int simdisk_log_init(void)
{
	if (log_data_kib > 1U << 21) {
		pr_err("log_data_kib=%u: expected at most %u\n", log_data_kib, 1U << 21);
		return -EINVAL;
	}
	if (log_entries > 1U << 24) {
		pr_err("log_entries=%u: expected at most %u\n", log_entries, 1U << 24);
		return -EINVAL;
	}
	if (log_entries) {
		entries = vzalloc(array_size(log_entries, sizeof(*entries)));
		if (!entries)
			return -ENOMEM;
	}
	data_size = (size_t)log_data_kib * 1024;
	if (data_size) {
		data_log = vzalloc(data_size);
		if (!data_log) {
			vfree(entries);
			return -ENOMEM;
		}
	}
	directory = debugfs_create_dir("simdisk", NULL);
	debugfs_create_file("log", 0600, directory, NULL, &log_file);
	debugfs_create_file("data", 0600, directory, NULL, &data_file);
	return 0;
}

void simdisk_log_exit(void)
{
	debugfs_remove(directory);
	vfree(data_log);
	vfree(entries);
}
