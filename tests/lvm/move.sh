# SPDX-License-Identifier: GPL-2.0-or-later
# Extents move, names change.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

# move_parts LV FROM TO
move_part() {
	make_cached "$1" --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	thaw_slow
	keep_working
	l pvmove -i 1 "/dev/$2" "/dev/$3"
	end_work
	check "extents left on $2" 0 "$(pvs --noheadings --units s --nosuffix -o used "/dev/$2" | xargs)"
	is_cached || fail "not cached"
	judge "$dev" --expect-exact
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	l lvchange -an vg/data
	l lvchange -ay vg/data
	judge "$dev" --expect-exact
	l lvconvert -y --uncache vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	judge "$dev" --expect-exact
}
test_pvmove_origin() { move_part pool pva pvb; }
test_pvmove_pool() { move_part pool pvc pvd; }
test_pvmove_cachevol() { move_part vol pvc pvd; }

test_rename() {
	local what
	for what in pool vol; do
		clean_up
		rm -f "$work/journal"
		make_cached $what --cachemode writeback
		freeze_slow
		make_dirty 0 2048 1
		thaw_slow
		keep_working
		l lvrename vg/data vg/other
		touch "$work/stop"
		wait "$worker" || echo "the old name is gone"
		check "$what: contents" "1:2048" "$(tags /dev/vg/other 0 2048)"
		l vgrename vg vg2
		check "$what: contents" "1:2048" "$(tags /dev/vg2/other 0 2048)"
		l lvchange -an vg2/other
		l lvchange -ay vg2/other
		check "$what: contents" "1:2048" "$(tags /dev/vg2/other 0 2048)"
		l lvconvert -y --uncache vg2/other
		check "$what: contents" "1:2048" "$(tags /dev/vg2/other 0 2048)"
	done
}

test_rename_pool() {
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	l lvrename vg/fast_cpool vg/quick
	is_cached || fail "not cached"
	check "pool_lv" "[quick]" "$(field pool_lv)"
	l lvchange -an vg/data
	l lvchange -ay vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

test_export_import() {
	make_cached vol --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	l vgchange -an vg
	thaw_slow
	l vgexport vg
	l vgimport vg
	l vgchange -ay vg
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

test_split_vg() {
	make_cached vol --cachemode writeback
	# Each VG needs a disk with LVM's metadata.
	add_disk pvn 8M type=ssd wc=0
	l vgextend -qq vg /dev/pvn
	freeze_slow
	make_dirty 0 2048 1
	l vgchange -an vg
	thaw_slow
	l vgsplit vg vg2 /dev/pva /dev/pvc /dev/pvn
	l vgchange -ay vg2
	check "contents" "1:2048" "$(tags /dev/vg2/data 0 2048)"
}
