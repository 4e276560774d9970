# SPDX-License-Identifier: GPL-2.0-or-later
# Caches among other kinds of LVs: below thin pools, over RAID, below snapshots.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

test_thin_pool_data() {
	local what
	for what in pool vol; do
		clean_up
		make_vg
		l lvcreate -y --type thin-pool --poolmetadataspare n -Zn -n thin -L 64M vg /dev/pva
		make_fast $what
		l lvconvert -y --type cache --cache$what vg/fast --cachemode writeback vg/thin
		cached=vg-thin_tdata
		is_cached || fail "$what: table: $(dmsetup table "$cached")"
		l lvcreate -y --type thin -n one -V 64M --thinpool vg/thin
		dev=/dev/vg/one
		work_on "$dev" 50
		l lvcreate -y -s -n two vg/one
		l lvchange -ay -K vg/two
		OPS=30 work_on "$dev" 51
		judge "$dev" --expect-exact
		l vgchange -an vg
		l vgchange -ay vg
		judge "$dev" --expect-exact
		if [[ $what == pool ]]; then
			l lvconvert -y --splitcache vg/thin
		else
			l lvconvert -y --uncache vg/thin
		fi
		! is_cached || fail "$what: still cached"
		judge "$dev" --expect-exact
		rm -f "$work/journal"
		cached=vg-data dev=/dev/vg/data
	done
}

# A thin pool suspends what is below it without flushing.
test_thin_pool_while_working() {
	make_vg
	l lvcreate -y --type thin-pool --poolmetadataspare n -Zn -n thin -L 64M vg /dev/pva
	make_fast pool
	l lvconvert -y --type cache --cachepool vg/fast --cachemode writeback vg/thin
	l lvcreate -y --type thin -n one -V 64M --thinpool vg/thin
	cached=vg-thin_tdata dev=/dev/vg/one
	keep_working
	sleep 1
	l lvchange -y --cachemode writethrough vg/thin_tdata
	l lvchange -y --cachemode writeback vg/thin_tdata
	l lvcreate -y -s -n two vg/one
	l lvextend -L +16M vg/thin
	l lvconvert -y --splitcache vg/thin
	end_work
	judge "$dev" --expect-exact
}

test_raid1_origin() {
	make_vg
	l lvcreate -y --type raid1 -m1 --nosync -n data -L 64M vg /dev/pva /dev/pvb
	make_fast pool
	attach pool --cachemode writeback
	work_on "$dev" 60
	make_dirty 0 2048 1
	# One leg dies; the other goes on.
	echo 1 >/sys/block/pvb/simdisk/dead
	OPS=30 work_on "$dev" 61
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	# LVM flushes no cache of which something is missing.
	echo 0 >/sys/block/pvb/simdisk/dead
	l lvchange -y --refresh vg/data
	l lvconvert -y --uncache vg/data
	check "contents, uncached" "1:2048" "$(tags "$dev" 0 2048)"
	judge "$dev" --expect-exact
	check "type" raid1 "$(field segtype)"
}

test_raid1_pool() {
	make_vg
	make_lv data 64M pva
	l lvcreate -y --type raid1 -m1 --nosync -n fast -L 24M vg /dev/pvc /dev/pvd
	l lvcreate -y --type raid1 -m1 --nosync -n meta -L 5M vg /dev/pvc /dev/pvd
	l lvconvert -y --type cache-pool --poolmetadataspare n --poolmetadata vg/meta vg/fast
	attach pool --cachemode writeback
	work_on "$dev" 62
	freeze_slow
	make_dirty 0 2048 1
	echo 1 >/sys/block/pvc/simdisk/dead
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	thaw_slow
	echo 0 >/sys/block/pvc/simdisk/dead
	l lvchange -y --refresh vg/data
	l lvconvert -y --uncache vg/data
	check "contents, uncached" "1:2048" "$(tags "$dev" 0 2048)"
	judge "$dev" --expect-exact
}

test_snapshot() {
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	keep_working
	l lvcreate -y -s -n snap -L 32M vg/data /dev/pvb
	cached=vg-data-real
	is_cached || fail "table: $(dmsetup table "$cached")"
	end_work
	write_tags "$dev" 0 1024 2
	check "the origin of the snapshot" "1:1024 2:1024" "$(tags "$dev" 0 2048 | tr ' ' '\n' | sort | xargs)"
	check "the snapshot" "1:2048" "$(tags /dev/vg/snap 0 2048)"
	l vgchange -an vg
	l vgchange -ay vg
	check "the snapshot, activated again" "1:2048" "$(tags /dev/vg/snap 0 2048)"
	judge "$dev" --expect-exact
	l lvremove -y vg/snap
	cached=vg-data
	is_cached || fail "table: $(dmsetup table "$cached")"
	judge "$dev" --expect-exact
	check "contents" "1:1024 2:1024" "$(tags "$dev" 0 2048 | tr ' ' '\n' | sort | xargs)"
}

test_snapshot_merge() {
	make_cached vol --cachemode writeback
	make_dirty 0 2048 1
	l lvcreate -y -s -n snap -L 16M vg/data /dev/pvb
	write_tags "$dev" 0 1024 2
	l lvchange -an vg/data
	l lvconvert -y --merge vg/snap
	l lvchange -ay vg/data
	wait_until 120 eval '! lvs vg/snap >/dev/null 2>&1 || { lvs -a vg; lvchange --poll y vg/data; false; }' ||
		echo "the merge goes on"
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}
