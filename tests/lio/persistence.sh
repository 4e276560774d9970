# SPDX-License-Identifier: GPL-2.0-or-later
# `larder save` and `larder restore`, in one boot; for the way through a power cut see boots.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

# settings: configfs, names and attributes, as far as they are ours to set.
settings() {
	tree
	find "$target" -mindepth 3 -type f \( -name 'emulate_*' -o -name vpd_unit_serial -o -name udev_path \
		-o -name alua_access_state -o -name generate_node_acls -o -name demo_mode_write_protect \
		-o -name authentication -o -name enable -o -name optimal_sectors \) -printf '%p ' -exec cat {} \;
} 2>/dev/null

test_save_and_restore() {
	local before
	make_cached_lv
	export_it --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --lun 3 --alua-group left:active-nonoptimized
	export_it --fabric loopback
	settings >"$work/before"
	l larder save
	check "mode of the file" 600 "$(stat -c %a /etc/larder/exports.json)"
	l larder unexport --all
	is_unexported "all"
	l larder restore --exports
	settings | diff "$work/before" - || fail "something is not as it was"
	# Again: nothing happens.
	before=$(tree)
	l larder restore --exports
	same_tree "configfs" "$before"
	login
	unit=$(serial)
	wait_until 30 luns_are 2 || fail "no disks"
	path_works "$(luns | tail -n 1)"
	logout
	unexport_it
}

test_save_and_restore_nvme() {
	make_cached_lv
	export_it --fabric nvme-tcp --portal 127.0.0.1:4444 --acl "$host_name" --lun 5
	tree >"$work/before"
	l larder save
	unexport_it
	l larder restore --exports
	tree | diff "$work/before" - || fail "something is not as it was"
	unexport_it
}

# A device that is not there is left out, and not forgotten.
test_missing_device() {
	make_cached_lv
	add_disk other 16M type=ssd
	export_it --fabric loopback
	l larder export /dev/other --fabric loopback
	l larder save
	l larder unexport --all
	l lvchange -an vg/data
	l larder restore --exports
	check "storage objects" 1 "$(compgen -G "$target/core/iblock_*/*/udev_path" | wc -l)"
	refused "is not there" larder restore --exports vg/data
	l larder save
	l lvchange -ay vg/data
	l larder restore --exports vg/data
	check "storage objects" 2 "$(compgen -G "$target/core/iblock_*/*/udev_path" | wc -l)"
	l larder unexport --all
	is_unexported "all"
}

# Another device by the name of the one that was exported, and smaller.
test_different_device() {
	make_cache
	linear part "$exported" 0 65536
	l larder export /dev/mapper/part --fabric loopback
	l larder save
	settings >"$work/before"
	l larder restore --exports
	settings | diff "$work/before" - || fail "restore changes what is as it should be"
	l larder unexport /dev/mapper/part
}

# What stands in the file is judged like a command line: it may be damaged.
test_damaged_file() {
	local damage
	make_cache
	export_it --fabric loopback
	l larder save
	unexport_it
	cp /etc/larder/exports.json "$work/saved.json"
	for damage in 's/{/[/' 's#/dev/mapper/cache#/etc/passwd#' 's/naa\.[0-9a-f]*/..\/..\/core/' '1,3d'; do
		sed "$damage" "$work/saved.json" >/etc/larder/exports.json
		cmp -s "$work/saved.json" /etc/larder/exports.json && fail "nothing was damaged by $damage"
		bounded larder restore --exports || true
		is_unexported "file damaged by $damage"
	done
	cp "$work/saved.json" /etc/larder/exports.json
	chmod 666 /etc/larder/exports.json
	refused "others can write it" larder restore --exports
	is_unexported "a file that everybody can write"
	rm /etc/larder/exports.json
	chmod 600 "$work/saved.json"
	ln -s "$work/saved.json" /etc/larder/exports.json
	refused "symbolic link" larder restore --exports
	is_unexported "a file that is a link"
}
