// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading of dm-larder: policies first, then the target.
 */
#include <linux/module.h>

#include "larder.h"

static int __init larder_init(void)
{
	int err = larder_policies_init();

	if (err)
		goto out;
	err = dm_register_target(&larder_target);
	if (err)
		goto out;
	return 0;
out:
	larder_policies_exit();
	return err;
}

static void __exit larder_exit(void)
{
	dm_unregister_target(&larder_target);
	larder_policies_exit();
}

module_init(larder_init);
module_exit(larder_exit);

MODULE_AUTHOR("The dm-larder developers");
MODULE_DESCRIPTION("device-mapper block cache");
MODULE_LICENSE("GPL");
