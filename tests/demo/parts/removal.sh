# SPDX-License-Identifier: GPL-2.0-or-later
# The end of the demo's cache: everything dirty goes home by the policy "cleaner", the cache is
# removed, and the HDD alone is compared with what was recorded. Sourced by tests/demo/guest.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154  # plant is an argument of guest.sh, tree_checksums is in tree.sh

remove_cache() {
	local dirty end=$((SECONDS + 180))
	bounded 120 umount /mnt/cached
	bounded 60 dmsetup reload cached --table "$(cache_table cleaner)"
	bounded 60 dmsetup suspend cached
	bounded 60 dmsetup resume cached
	info "policy cleaner: waiting until nothing is dirty"
	while dirty=$(cache_status dirty) && [[ $dirty -gt 0 ]]; do
		[[ $SECONDS -lt $end ]] || failed "expected nothing dirty after 180 s, found $dirty chunks"
		info "dirty: $dirty chunks"
		sleep 2
	done
	good "dirty: 0"
	bounded 120 dmsetup remove --retry cached
	bounded 60 dmsetup remove --retry ssd-metadata
	bounded 60 dmsetup remove --retry ssd-cache
	unload_modules dm-larder
	info "cache removed, module unloaded"
}

check_origin_alone() {
	check_file_system /dev/hdd -fn
	[[ $plant != tree ]] || plant_in_tree /dev/hdd
	bounded 60 mount -o ro,noload /dev/hdd /mnt/cached
	check_tree /mnt/cached "from the HDD alone"
	check_promises /mnt/cached "from the HDD alone" '?immutable=1'
	bounded 60 umount /mnt/cached
}

# plant_in_tree DEVICE: changes one byte of one file there, the way a lost write would.
plant_in_tree() {
	local file
	bounded 60 mount "$1" /mnt/cached
	file=$(awk 'NR == 500 { print $2 }' "$tree_checksums")
	printf '\x55' | dd of="/mnt/cached/tree/$file" bs=1 seek=0 conv=notrunc 2>/dev/null
	bounded 60 umount /mnt/cached
	info "planted: one byte of $file is changed"
}
