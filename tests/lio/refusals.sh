# SPDX-License-Identifier: GPL-2.0-or-later
# What must not be exported is refused with a reason, and nothing is made; what is exported is not taken
# away from below.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

# no_export TEXT ARGUMENT...
no_export() {
	refused "$1" larder export "${@:2}"
	is_unexported "larder export ${*:2}"
}

test_refuses_mounted() {
	make_cache
	mkfs.ext4 -q "$exported"
	mount "$exported" /mnt
	no_export "mounted on /mnt" "$exported" --fabric loopback
	umount /mnt
	export_it --fabric loopback
	unexport_it
}

test_refuses_parts_of_a_cache() {
	local part
	make_cached_lv
	for part in "$(sub origin)" "$(sub fast)" "$(sub meta)" vg/data_corig; do
		no_export "stands upon it" "$part" --fabric loopback
	done
	clean_up
	make_cache
	for part in $meta $ssd $hdd; do
		no_export "stands upon it" "$part" --fabric loopback
	done
}

test_refuses_nonsense() {
	make_cache
	no_export "there is no block device" /dev/nothing --fabric loopback
	no_export "is no name of a device" /etc/passwd --fabric loopback
	no_export "there is no block device" /dev/null --fabric loopback
	no_export "there is no block device" vg/nothing --fabric loopback
	no_export "--fabric is missing" "$exported"
	no_export "there is no fabric 'pigeon'" "$exported" --fabric pigeon
	no_export "--lun '70000'" "$exported" --fabric loopback --lun 70000
	no_export "--lun '-1'" "$exported" --fabric loopback --lun -1
	no_export "--wwn '../../core'" "$exported" --fabric loopback --wwn ../../core
	no_export "expected" "$exported" --fabric loopback --wwn $'naa.5\n001405'
	no_export "expected" "$exported" --fabric iscsi --any-initiator --wwn 'iqn.2003-01.org:a b'
	no_export "--portal" "$exported" --fabric iscsi --any-initiator --portal 'localhost; true'
	no_export "--portal" "$exported" --fabric iscsi --any-initiator --portal 127.0.0.1:99999
	no_export "--acl '../x'" "$exported" --fabric iscsi --portal 127.0.0.1 --acl ../x
	no_export "cannot open /nowhere" "$exported" --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --chap-file /nowhere
	no_export "--alua-group '../x'" "$exported" --fabric loopback --alua-group ../x
}

# A file of the same name as the device, in the working directory, is not meant.
test_refuses_planted_links() {
	make_cache
	ln -sfn /dev/mapper/cache /tmp/planted
	chown -h 65534:65534 /tmp/planted
	no_export "is no name of a device" /tmp/planted --fabric loopback
	rm /tmp/planted
}

test_refuses_twice() {
	local before
	make_cache
	export_it --fabric loopback
	before=$(tree)
	refused "exported by loopback already" larder export "$exported" --fabric loopback
	same_tree "configfs" "$before"
	unexport_it
	refused "does not export" larder unexport "$exported"
}

# A serial number, or a NAA, that another storage object has already.
test_refuses_clashing_naa() {
	make_cache
	linear part1 "$exported" 0 65536
	linear part2 "$exported" 65536 65536
	l larder export /dev/mapper/part1 --fabric loopback
	# As if somebody had made it by hand.
	modprobe target_core_iblock
	l larder save
	mkdir -p "$target/core/iblock_77/thief"
	echo -n udev_path=/dev/mapper/part2 >"$target/core/iblock_77/thief/control"
	echo 1 >"$target/core/iblock_77/thief/enable"
	unit=$(serial /dev/mapper/part1)
	l larder unexport /dev/mapper/part1
	echo -n "$unit" >"$target/core/iblock_77/thief/wwn/vpd_unit_serial"
	refused "makes the same NAA name" larder restore --exports
	check "storage objects" 1 "$(compgen -G "$target/core/iblock_*/*/udev_path" | wc -l)"
	rmdir "$target/core/iblock_77/thief" "$target/core/iblock_77"
	l larder restore --exports
	check "serial number" "$unit" "$(serial)"
	l larder unexport /dev/mapper/part1
}

test_refuses_detach() {
	make_cached_lv
	export_it --fabric loopback
	refused "is exported: loopback" larder detach vg/data
	check "still cached" cache "$(field segtype)"
	find_lun
	path_works "$lun"
	unexport_it
	l larder detach vg/data
	check_uncached
	judge "$dev" --expect-exact
}

# Somebody else's objects are neither ours to list as such nor to take away.
test_leaves_others_alone() {
	local before
	make_cache
	linear other /dev/mapper/cache 65536 65536
	linear mine /dev/mapper/cache 0 65536
	modprobe -a target_core_mod target_core_iblock tcm_loop
	mkdir -p "$target/core/iblock_9/foreign"
	echo -n udev_path=/dev/mapper/other >"$target/core/iblock_9/foreign/control"
	echo 1 >"$target/core/iblock_9/foreign/enable"
	mkdir -p "$target/loopback/naa.5001405000000009/tpgt_1/lun/lun_0"
	ln -s "$target/core/iblock_9/foreign" "$target/loopback/naa.5001405000000009/tpgt_1/lun/lun_0/foreign"
	before=$(tree)
	exported=/dev/mapper/mine
	export_it --fabric loopback
	l larder save
	l larder unexport --all
	same_tree "configfs" "$before"
	l larder restore --exports
	l larder unexport $exported
	same_tree "configfs" "$before"
}
