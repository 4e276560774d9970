# SPDX-License-Identifier: GPL-2.0-or-later
# LVs grow and shrink under a cache.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

test_extend() {
	local what
	for what in pool vol; do
		clean_up
		rm -f "$work/journal"
		make_cached $what --cachemode writeback
		freeze_slow
		make_dirty 0 2048 1
		thaw_slow
		keep_working
		l lvextend -L +32M vg/data /dev/pva
		end_work
		check "$what: sectors" $((96 * 2048)) "$(sectors_of "$dev")"
		check "$what: sectors of the origin" $((96 * 2048)) "$(sectors_of "$(sub origin)")"
		is_cached || fail "not cached"
		make_dirty $((90 * 2048)) 2048 2
		judge "$dev" --expect-exact
		check "$what: contents" "1:2048" "$(tags "$dev" 0 2048)"
		l lvchange -an vg/data
		l lvchange -ay vg/data
		judge "$dev" --expect-exact
		check "$what: contents of what is new" "2:2048" "$(tags "$dev" $((90 * 2048)) 2048)"
		l lvconvert -y --uncache vg/data
		judge "$dev" --expect-exact
		check "$what: contents of what is new" "2:2048" "$(tags "$dev" $((90 * 2048)) 2048)"
		check "$what: contents" "1:2048" "$(tags "$dev" 0 2048)"
	done
}

test_extend_with_file_system() {
	make_cached pool --cachemode writeback
	mkfs.ext4 -q "$dev"
	mount "$dev" /mnt
	head -c 8000000 /dev/urandom >/mnt/file
	sha256sum /mnt/file >"$work/saved-sum"
	l lvextend -L +32M vg/data /dev/pvb
	resize2fs "$dev"
	head -c 60000000 /dev/zero >/mnt/large
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum --quiet -c "$work/saved-sum" || fail "the file is not what it was"
	umount /mnt
	e2fsck -fn "$dev" || fail "e2fsck found something"
}

test_extend_inactive() {
	make_cached vol --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	l lvchange -an vg/data
	thaw_slow
	l lvextend -L +32M vg/data /dev/pva
	l lvchange -ay vg/data
	check "sectors" $((96 * 2048)) "$(sectors_of "$dev")"
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	make_dirty $((90 * 2048)) 2048 2
	l lvconvert -y --uncache vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	check "contents of what is new" "2:2048" "$(tags "$dev" $((90 * 2048)) 2048)"
}

# grow_pool WHAT LV: the data or the metadata of an attached pool.
grow_pool() {
	local before
	before=$(sectors_of "$(sub "$1")")
	freeze_slow
	make_dirty 0 2048 1
	thaw_slow
	if ! bounded lvextend -L +8M "vg/$2" /dev/pvc; then
		note "LVM says $(tail -n 1 "$work/out")"
		grep -q 'device-mapper\|[Ff]ailed to suspend\|ioctl' "$work/out" && fail "it was not LVM that refused"
		return 0
	fi
	check_that "$1: sectors" "$(sectors_of "$(sub "$1")") > $before"
	is_cached || fail "not cached"
	work_on "$dev" 70
	judge "$dev" --expect-exact
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	l lvchange -an vg/data
	l lvchange -ay vg/data
	judge "$dev" --expect-exact
	l lvconvert -y --uncache vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	judge "$dev" --expect-exact
}

test_extend_pool_data() {
	local total
	make_cached pool --cachemode writeback
	total=$(status used)
	grow_pool fast fast_cpool_cdata
	check "at first" 384 "${total#*/}"
}

test_extend_pool_metadata() {
	make_cached pool --cachemode writeback
	grow_pool meta fast_cpool_cmeta
}

test_reduce() {
	make_cached pool --cachemode writeback
	make_dirty $((60 * 2048)) 2048 2
	work_on "$dev" 71
	l lvchange -y --cachemode writethrough vg/data
	l lvchange -y --cachemode writeback vg/data
	freeze_slow
	make_dirty 0 2048 1
	thaw_slow
	l lvreduce -y -f -L 48M vg/data
	check "sectors" $((48 * 2048)) "$(sectors_of "$dev")"
	is_cached || fail "not cached"
	judge "$dev" --expect-exact
	l lvchange -an vg/data
	l lvchange -ay vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	# What comes back is not what was cached of it.
	l lvextend -L 64M vg/data /dev/pva
	write_tags "$(sub origin)" $((62 * 2048)) 2048 3
	check "contents of what came back" "3:2048" "$(tags "$dev" $((62 * 2048)) 2048)"
	l lvconvert -y --uncache vg/data
	judge "$dev" --expect-exact
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

# What only the SSD has must go somewhere: not while it is dirty behind the new end.
test_reduce_dirty() {
	only_ours "dirty data behind the end"
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	make_dirty $((60 * 2048)) 2048 2
	refused "" lvreduce -y -f -L 48M vg/data
	check "sectors" $((64 * 2048)) "$(sectors_of "$dev")"
	check "size" $((64 * 2048)) "$(field lv_size)"
	check "suspended" Active "$(dmsetup info -c --noheadings -o suspended "$cached")"
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	check "contents behind the end" "2:2048" "$(tags "$dev" $((60 * 2048)) 2048)"
	thaw_slow
	l lvconvert -y --uncache vg/data
	check "contents behind the end" "2:2048" "$(tags "$dev" $((60 * 2048)) 2048)"
}
