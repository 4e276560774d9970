// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading of dm-larder: policies first, then the target, which
 * has a second name, so that LVM's cache segment type drives it.
 */
#include <linux/module.h>

#include "larder.h"

static bool lvm_alias = true;
module_param(lvm_alias, bool, 0444);
MODULE_PARM_DESC(lvm_alias, "Be the target \"cache\", too, which LVM drives (default: Y)");

static bool has_alias;

static int __init larder_init(void)
{
	int err = larder_policies_init();

	if (err)
		goto out;
	err = larder_nobody_init();
	if (err)
		goto out;
	err = dm_register_target(&larder_target);
	if (err)
		goto out;
	if (lvm_alias)
		has_alias = !dm_register_target(&larder_cache_target);
	if (lvm_alias && !has_alias)
		DMWARN("the kernel's own dm-cache is loaded and keeps the name \"cache\": LVM drives that one until it is unloaded and this module loaded again");
	return 0;
out:
	larder_nobody_exit();
	larder_policies_exit();
	return err;
}

static void __exit larder_exit(void)
{
	if (has_alias)
		dm_unregister_target(&larder_cache_target);
	dm_unregister_target(&larder_target);
	larder_nobody_exit();
	larder_policies_exit();
}

module_init(larder_init);
module_exit(larder_exit);

MODULE_AUTHOR("The dm-larder developers");
MODULE_DESCRIPTION("device-mapper block cache");
MODULE_LICENSE("GPL");
