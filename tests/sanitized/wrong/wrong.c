// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wrong: does one wrong thing when it is loaded, named by its parameter "what". The selftest
 * loads it to prove that a kernel of this folder notices.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what = "nothing";
module_param(what, charp, 0444);
static int number = 40;
module_param(number, int, 0444);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static unsigned long *lost;
static unsigned int shared;

static void use_after_free(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	kfree(p);
	pr_info("wrong: %d\n", READ_ONCE(p[8]));
}

/* Both orders, one after the other: only lockdep sees that. */
static void lock_in_both_orders(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void sleep_under_spinlock(void)
{
	spin_lock(&spin);
	msleep(20);
	spin_unlock(&spin);
}

static int count_without_lock(void *unused)
{
	while (!kthread_should_stop()) {
		shared++;
		cond_resched();
	}
	return 0;
}

static void race(void)
{
	struct task_struct *a = kthread_run(count_without_lock, NULL, "wrong-a");
	struct task_struct *b = kthread_run(count_without_lock, NULL, "wrong-b");

	msleep(5000);
	if (!IS_ERR(a))
		kthread_stop(a);
	if (!IS_ERR(b))
		kthread_stop(b);
}

static int __init wrong_init(void)
{
	unsigned int i;

	if (!strcmp(what, "free"))
		use_after_free();
	else if (!strcmp(what, "shift"))
		pr_info("wrong: %d\n", 1 << number);
	else if (!strcmp(what, "order"))
		lock_in_both_orders();
	else if (!strcmp(what, "sleep"))
		sleep_under_spinlock();
	else if (!strcmp(what, "race"))
		race();
	/* several, as a stray copy of one pointer may hide it from kmemleak */
	for (i = 0; !strcmp(what, "leak") && i < 8; i++)
		lost = kzalloc(1000, GFP_KERNEL);
	lost = NULL;
	return 0;
}

static void __exit wrong_exit(void)
{
}

module_init(wrong_init);
module_exit(wrong_exit);
MODULE_DESCRIPTION("Does what must be noticed");
MODULE_LICENSE("GPL");
