# SPDX-License-Identifier: GPL-2.0-or-later
# The disks of the demo and the cache on them. The SSD is one disk with two linear parts, metadata
# and cache, as LVM would lay it out. "plain" is the HDD's twin, for the comparison without a cache.
# Sourced by tests/demo/guest.sh.
# shellcheck shell=bash

chunk_sectors=128
metadata_mib=8
ssd_mib=168
policy=s3fifo

# set_speed real|fast: the disks' timing models on or off (fast is for what only prepares).
set_speed() {
	local disk fast=0
	[[ $1 == real ]] || fast=1
	for disk in hdd plain ssd; do
		echo $fast >"/sys/block/$disk/simdisk/fast"
	done
}

# part_of_ssd NAME FIRST_MIB MIB
part_of_ssd() {
	bounded 30 dmsetup create "$1" --table "0 $(($3 * 2048)) linear /dev/ssd $(($2 * 2048))"
}

make_ssd_parts() {
	part_of_ssd ssd-metadata 0 $metadata_mib
	part_of_ssd ssd-cache $metadata_mib $((ssd_mib - metadata_mib))
}

make_disks() {
	local hdd="type=hdd,size=2G,rpm=7200,fast=1"
	local ssd="type=ssd,size=${ssd_mib}M,fast=1"
	load_module simdisk "disks=name=hdd,$hdd;name=plain,$hdd;name=ssd,$ssd"
	load_modules dm-larder
	make_ssd_parts
	info "hdd:  2048 MiB, 7200 rpm, write cache on (plain: its twin, which gets no cache)"
	info "ssd:  $ssd_mib MiB, write cache on: $metadata_mib MiB for metadata," \
		"$((ssd_mib - metadata_mib)) MiB to cache in"
}

cache_table() {
	echo "0 $(blockdev --getsz /dev/hdd) larder" \
		"/dev/mapper/ssd-metadata /dev/mapper/ssd-cache /dev/hdd" \
		"$chunk_sectors 1 writeback $1 0"
}

# Sets cache_creation_seconds: how long the kernel took, without what udev does afterwards.
create_cache() {
	local table begin
	table=$(cache_table "$policy")
	info "dmsetup create cached --table \"$table\""
	begin=$(now_ns)
	bounded 60 dmsetup create cached --noudevsync --table "$table"
	# shellcheck disable=SC2034  # read by recover_after_power_cut
	cache_creation_seconds=$(seconds_since "$begin")
	bounded 30 udevadm settle
	wait_until 30 test -b /dev/mapper/cached ||
		failed "no /dev/mapper/cached 30 s after its creation"
}

make_cached_file_system() {
	create_cache
	bounded 120 mkfs.ext4 -q /dev/mapper/cached
	bounded 120 mkfs.ext4 -q /dev/plain
	mkdir -p /mnt/cached /mnt/plain
	bounded 60 mount /dev/mapper/cached /mnt/cached
	bounded 60 mount /dev/plain /mnt/plain
	info "mkfs.ext4 and mount: done"
}
