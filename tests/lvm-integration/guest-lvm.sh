#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In a guest of the machine room, with what is installed in /share/installed.tar: what LVM asks for leads to
# our module, and the root file system on the disk "image" gets onto a cached LV.
#
# usage: guest-lvm.sh aliases | root

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../vm/guest-lib.sh
. "$(dirname "$0")/../vm/guest-lib.sh"

# The guest's modules are an image for reading: ours come in a layer above it.
install_everything() {
	modprobe overlay
	mkdir -p /tmp/layer /tmp/work
	mount -t tmpfs layer /tmp/layer
	mkdir /tmp/layer/{upper,work}
	mount -t overlay -o lowerdir=/usr/lib/modules,upperdir=/tmp/layer/upper,workdir=/tmp/layer/work \
		overlay /usr/lib/modules
	tar -C / -xf /share/installed.tar
	LARDER_NO_INITRAMFS=1 /usr/local/libexec/dm-larder/lvm-setup enable
}

# Before anything is installed: a cache of dm-cache is in use, and would not start any more.
refusal() {
	local setup=/repo/lvm-integration/lvm-setup
	modprobe brd rd_nr=3 rd_size=16384
	expect 'install: allowed' 0 '' "$setup" check-install
	dmsetup create stock --table '0 32768 cache /dev/ram0 /dev/ram1 /dev/ram2 128 1 writethrough smq 0'
	expect 'install: refused beside dm-cache' 1 'in use by dm-cache: stock' "$setup" check-install
	expect 'install: FORCE' 0 'FORCE: in use by dm-cache' env FORCE=1 "$setup" check-install
	expect 'uninstall: dm-cache is not what matters' 0 '' "$setup" check-uninstall
	dmsetup remove stock
	expect 'install: allowed again' 0 '' "$setup" check-install
	lacks 'install: the idle module goes' '^dm_cache' lsmod
}

# A cache that the root file system has nothing to do with.
use() {
	local setup=/usr/local/libexec/dm-larder/lvm-setup
	dd if=/dev/zero of=/dev/ram0 bs=4k count=1 status=none oflag=direct
	dmsetup create ours --table '0 32768 cache /dev/ram0 /dev/ram1 /dev/ram2 128 1 writethrough smq 0'
	expect 'install: allowed beside our own' 0 '' "$setup" check-install
	expect 'uninstall: refused while in use' 1 'in use: ours' "$setup" check-uninstall
	dmsetup remove ours
	expect 'uninstall: allowed' 0 '' "$setup" check-uninstall
}

aliases() {
	local name
	for name in dm-cache dm-cache-smq dm-cache-mq dm-cache-cleaner dm-cache-default; do
		expect "alias $name on $(uname -r)" 0 'dm-larder\.ko' modprobe --show-depends "$name"
		expect "modprobe $name on $(uname -r)" 0 '' modprobe "$name"
		if module_loaded dm_larder && ! module_loaded dm_cache; then
			ok "modprobe $name loads dm-larder"
		else
			not_ok "modprobe $name loads dm-larder: loaded are $(cd /sys/module && echo dm_*)"
		fi
		rmmod dm_larder || not_ok 'rmmod dm_larder'
	done
}

is_dirty() {
	local status
	read -r -a status < <(dmsetup status --noflush vg-root)
	echo "${status[13]}" >/share/dirty
	[[ ${status[13]} -gt 0 ]]
}

make_root() {
	local slow fast
	slow=$(disk_by_serial slow) fast=$(disk_by_serial fast)
	vgcreate -q vg "$slow" "$fast"
	lvcreate -q -an -n root -l 100%PVS vg "$slow"
	lvcreate -q -an -n pool -L 160M vg "$fast"
	expect 'LVM makes a cache by profile' 0 'vg/root is now cached' \
		lvconvert -y --type cache --cachepool vg/pool --metadataprofile larder-writeback vg/root
	lvs -a -o name,segtype,cache_mode,cache_policy,cache_settings,chunk_size,lv_profile vg || true
	vgchange -q -ay vg
	expect 'the policy and settings of the profile' 0 \
		'writeback\|s3fifo\|.*ghost_percent=100.*\|64.00k\|larder-writeback' \
		lvs --noheadings --separator '|' -o cache_mode,cache_policy,cache_settings,chunk_size,lv_profile vg/root
	expect 'the table has them' 0 'writeback s3fifo 4 .*small_percent 10' dmsetup table vg-root
	expect 'it is ours' 0 '^cache +v[0-9]+\.1[0-9][0-9]\.' dmsetup targets
	# A hole in the image is zeros on a disk that was never written.
	dd if="$(disk_by_serial image)" of=/dev/vg/root bs=1M conv=sparse,notrunc,fsync status=none
	# What is dirty is written back as soon as there is time, so the same is written again and again.
	while :; do
		dd if="$(disk_by_serial image)" of=/dev/vg/root bs=64k conv=notrunc oflag=direct status=none
	done &
	wait_until 60 is_dirty || not_ok 'nothing is dirty in the cache'
	echo 'NOW THE POWER GOES'
	sleep 60
}

modprobe dm-mod
case ${1:?see the head of this file} in
aliases)
	refusal
	install_everything
	aliases
	use
	;;
root)
	install_everything
	make_root
	;;
esac
