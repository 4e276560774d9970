#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Puts what a root file system on a cached LV needs into an initramfs made by dracut: the module, its
# names, what LVM runs as cache_check, and the profiles. Read by dracut, which sets the variables.
# shellcheck disable=SC2154

# Wherever dracut's own module for LVM goes.
check() {
	require_binaries lvm || return 1
	modinfo -k "$kernel" dm-larder >/dev/null 2>&1 || {
		dwarn "dm-larder: kernel $kernel has no module dm-larder: no caches in this initramfs"
		return 1
	}
	# shellcheck disable=SC2154
	[[ $hostonly ]] || [[ $mount_needs ]] && {
		local type
		for type in "${host_fs_types[@]}"; do
			[[ $type == LVM*_member ]] && return 0
		done
		return 255
	}
	return 0
}

depends() {
	echo lvm
}

installkernel() {
	hostonly='' instmods dm-larder
}

install() {
	inst_simple "@MODPROBEDIR@/dm-larder.conf"
	inst_multiple -o @BINDIR@/larder @LIBEXECDIR@/cache_check @LIBEXECDIR@/cache_repair \
		/usr/sbin/cache_check /usr/sbin/cache_repair /usr/sbin/pdata_tools
	inst_multiple -o /etc/lvm/profile/larder-*.profile
}
