# SPDX-License-Identifier: GPL-2.0-or-later
# Disks are missing or fail, metadata is damaged.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

# pull DISK: with everything of the VG switched off.
pull() {
	l vgchange -an vg
	echo "$1" >"$SIMDISK/remove"
}

# The SSD does not answer. In writeback LVM must not bring up the origin alone as if nothing were; it cannot let
# the cache go either, even by force. When the disk is back, so is the data.
test_missing_fast() {
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	l vgchange -an vg
	thaw_slow
	echo 1 >/sys/block/pvc/simdisk/dead
	refused "" vgchange -ay vg
	refused "" lvchange -ay --activationmode partial vg/data
	l lvs -a -o name,attr,health_status vg
	[[ $(field lv_attr) == *p* ]] || fail "lv_attr: $(field lv_attr)"
	refused "" lvconvert -y --uncache vg/data
	check "type" cache "$(field segtype)"
	echo 0 >/sys/block/pvc/simdisk/dead
	bounded vgextend -qq --restoremissing vg /dev/pvc || true
	l lvchange -ay vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

test_missing_fast_writethrough() {
	make_cached vol --cachemode writethrough
	write_tags "$dev" 0 2048 1
	tags "$dev" 0 2048
	pull pvc
	refused "" vgchange -ay vg
	bounded lvconvert -y --uncache vg/data || l lvconvert -y --uncache --force vg/data
	l lvchange -ay vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

test_missing_slow() {
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	pull pva
	refused "" vgchange -ay vg
	[[ $(field lv_attr) == *p* ]] || fail "lv_attr: $(field lv_attr)"
	l vgreduce --removemissing --force vg
	check "LVs that are left" "" "$(lvs --noheadings -o name vg/data 2>/dev/null | xargs)"
}

# meta_sector: where the metadata of the inactive pool lies on the fast disk.
meta_sector() {
	local pe
	pe=$(lvs -a --noheadings -o seg_pe_ranges vg/fast_cpool_cmeta | xargs)
	pe=${pe#*:}
	echo $((2048 + ${pe%-*} * 2048))
}

test_check_fails() {
	local at
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	l lvchange -an vg/data
	at=$(meta_sector)
	dd if=/dev/pvc of="$work/saved" bs=512 skip="$at" count=16 iflag=direct status=none
	head -c 8192 /dev/urandom | dd of=/dev/pvc bs=512 seek="$at" oflag=direct iflag=fullblock status=none
	refused "Manual repair required" lvchange -ay vg/data
	grep -q '^cache_check .*-q.* = [1-9]' "$work/tools.log" || fail "no check: $(<"$work/tools.log")"
	check "active" "" "$(field active)"
	dd if="$work/saved" of=/dev/pvc bs=512 seek="$at" oflag=direct status=none
	l lvchange -ay vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

test_repair() {
	local at
	make_vg
	make_lv data 64M pva
	l lvcreate -y --type cache-pool --poolmetadataspare y -n fast -L 24M vg /dev/pvc
	attach pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	l lvchange -an vg/data
	at=$(meta_sector)
	only_ours "repair of a superblock"
	# The second half of the first of two superblocks.
	head -c 2048 /dev/urandom | dd of=/dev/pvc bs=512 seek=$((at + 4)) oflag=direct iflag=fullblock status=none
	l lvconvert -y --repair vg/data
	grep -q '^cache_repair -i .* -o .* = 0' "$work/tools.log" || fail "no repair: $(<"$work/tools.log")"
	l lvs -a vg
	thaw_slow
	l lvchange -ay vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	l lvconvert -y --uncache vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

# The metadata cannot be written any more, which LVM's own tests do this way: an error target below the
# superblock. With nothing dirty the cache has failed, and LVM may drop it.
test_failed_metadata() {
	local meta
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	l lvchange -y --cachemode writethrough vg/data
	l lvchange -y --cachemode writeback vg/data
	check "dirty" 0 "$(dirty)"
	meta=$(basename "$(sub meta)")
	break_meta "$meta" "$(dmsetup table "$meta")"
	dmsetup status "$cached"
	[[ $(dmsetup status "$cached") == *Fail* ]] || fail "status: $(dmsetup status "$cached")"
	check "lv_health_status" failed "$(field lv_health_status)"
	check "lv_attr" F "$(field lv_attr | cut -c9)"
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	l lvconvert -y --uncache vg/data
	check "contents, uncached" "1:2048" "$(tags "$dev" 0 2048)"
}

# With something dirty it has not: LVM would drop what nobody else has.
test_failed_metadata_dirty() {
	local meta
	only_ours "dirty data behind failed metadata"
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	meta=$(basename "$(sub meta)")
	break_meta "$meta" "$(dmsetup table "$meta")"
	dmsetup status "$cached"
	[[ $(dmsetup status "$cached") == *" ro needs_check" ]] || fail "status: $(dmsetup status "$cached")"
	check "lv_check_needed" "check needed" "$(field lv_check_needed)"
	check "lv_attr" c "$(field lv_attr | cut -c5)"
	check "dirty" 16 "$(field cache_dirty_blocks)"
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	thaw_slow
}

# break_meta NAME TABLE: its first 8 KiB become errors.
break_meta() {
	local start length type where from
	read -r start length type where from <<<"$2"
	check "type of $1" linear "$type"
	dmsetup load "$1" <<-END
		$start 16 error
		16 $((length - 16)) linear $where $((from + 16))
	END
	dmsetup suspend --noflush --nolockfs "$1"
	dmsetup resume "$1"
}

has_not_failed() { [[ $(dmsetup status "$cached") != *Fail* ]]; }

# Errors that go away again: dirty data is not given up.
test_metadata_errors_pass() {
	local meta table
	only_ours "that it goes on after errors"
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	meta=$(basename "$(sub meta)")
	table=$(dmsetup table "$meta")
	break_meta "$meta" "$table"
	make_dirty 4096 128 2 || echo "cannot be written"
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	dmsetup load "$meta" --table "$table"
	dmsetup suspend --noflush --nolockfs "$meta"
	dmsetup resume "$meta"
	thaw_slow
	wait_until 60 has_not_failed || fail "status: $(dmsetup status "$cached")"
	make_dirty 4096 128 3
	l lvconvert -y --uncache vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	check "contents" "3:128" "$(tags "$dev" 4096 128)"
}
