// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/pi-io. Who opens it has a session of his own: a write is a command, and returns when the
 * command is done; a read gives the answer to the last command. Sessions run beside each other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "pi-io.h"

#define ANSWER_BYTES	(512u << 10)
#define COMMAND_BYTES	1024u

/* What does not fit is left out, and the last line says so. */
void pi_io_say(struct pi_io_session *session, const char *format, ...)
{
	static const char cut[] = "...\n";
	va_list args;
	size_t room, length;

	mutex_lock(&session->answer);
	if (!session->full) {
		room = ANSWER_BYTES - sizeof(cut) - session->used;
		va_start(args, format);
		length = vsnprintf(session->text + session->used, room, format, args);
		va_end(args);
		session->full = length >= room;
		if (session->full)
			strscpy(session->text + session->used, cut, sizeof(cut));
		else
			session->used += length;
	}
	mutex_unlock(&session->answer);
}

static int session_open(struct inode *inode, struct file *file)
{
	struct pi_io_session *session = kzalloc(sizeof(*session), GFP_KERNEL);

	if (!session)
		return -ENOMEM;
	session->text = vzalloc(ANSWER_BYTES);
	if (!session->text) {
		kfree(session);
		return -ENOMEM;
	}
	mutex_init(&session->command);
	mutex_init(&session->answer);
	file->private_data = session;
	return stream_open(inode, file);
}

static int session_release(struct inode *inode, struct file *file)
{
	struct pi_io_session *session = file->private_data;

	vfree(session->text);
	kfree(session);
	return 0;
}

static ssize_t session_write(struct file *file, const char __user *from, size_t length,
			     loff_t *position)
{
	struct pi_io_session *session = file->private_data;
	char *text;
	int error;

	if (length >= COMMAND_BYTES)
		return -EINVAL;
	text = memdup_user_nul(from, length);
	if (IS_ERR(text))
		return PTR_ERR(text);
	if (mutex_lock_killable(&session->command)) {
		kfree(text);
		return -EINTR;
	}
	session->used = 0;
	session->shown = 0;
	session->full = false;
	session->text[0] = '\0';
	error = pi_io_command(session, strim(text));
	mutex_unlock(&session->command);
	kfree(text);
	return error ? error : length;
}

static ssize_t session_read(struct file *file, char __user *to, size_t length, loff_t *position)
{
	struct pi_io_session *session = file->private_data;
	size_t left;

	if (mutex_lock_killable(&session->command))
		return -EINTR;
	left = strlen(session->text) - session->shown;
	length = min(length, left);
	if (copy_to_user(to, session->text + session->shown, length)) {
		mutex_unlock(&session->command);
		return -EFAULT;
	}
	session->shown += length;
	mutex_unlock(&session->command);
	return length;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = session_open,
	.release = session_release,
	.write = session_write,
	.read = session_read,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "pi-io",
	.mode = 0600,
	.fops = &operations,
};

static int __init pi_io_init(void)
{
	return misc_register(&device);
}

static void __exit pi_io_exit(void)
{
	misc_deregister(&device);
	pi_io_journal_exit();
}

module_init(pi_io_init);
module_exit(pi_io_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Bios with hand-made protection information, for tests");
