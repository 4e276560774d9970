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

make_root() {
	local slow fast status
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
	# What is dirty is written back as soon as there is time.
	read -r -a status < <(dmsetup status --noflush vg-root)
	echo "${status[13]}" >/share/dirty
	[[ ${status[13]} -gt 0 ]] || not_ok 'nothing is dirty in the cache'
	echo 'NOW THE POWER GOES'
	sleep 60
}

modprobe dm-mod
install_everything
case ${1:?see the head of this file} in
aliases) aliases ;;
root) make_root ;;
esac
