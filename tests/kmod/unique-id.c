// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks a block device for its unique id, as a pNFS server does and user space
 * cannot: the parameter "fd" is an open file descriptor of the device, and the
 * parameter "answer" is then its NAA in hex, "none" (the driver has no such
 * call, or no id) or an error's number.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>

static char answer[64] = "nothing was asked";
module_param_string(answer, answer, sizeof(answer), 0444);
MODULE_PARM_DESC(answer, "Of the device that was asked last");

static void ask(struct gendisk *disk)
{
	u8 id[16];
	int got = 0;

	if (disk->fops->get_unique_id)
		got = disk->fops->get_unique_id(disk, id, BLK_UID_NAA);
	if (got > 0)
		snprintf(answer, sizeof(answer), "%*phN", min_t(int, got, sizeof(id)), id);
	else if (got < 0)
		snprintf(answer, sizeof(answer), "%d", got);
	else
		strscpy(answer, "none", sizeof(answer));
}

/* Under the lock of this module's parameters. */
static int set_fd(const char *value, const struct kernel_param *param)
{
	unsigned int fd;
	struct inode *inode;
	struct file *file;
	int error = kstrtouint(value, 10, &fd);

	if (error)
		return error;
	file = fget(fd);
	if (!file)
		return -EBADF;
	inode = file->f_mapping->host;
	if (S_ISBLK(inode->i_mode))
		ask(I_BDEV(inode)->bd_disk);
	else
		error = -ENOTBLK;
	fput(file);
	return error;
}

static const struct kernel_param_ops fd_ops = {
	.set = set_fd,
};

module_param_cb(fd, &fd_ops, NULL, 0200);
MODULE_PARM_DESC(fd, "Open file descriptor of a block device: asks it");

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("For tests: asks a block device for its unique id");
