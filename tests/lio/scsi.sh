# SPDX-License-Identifier: GPL-2.0-or-later
# What SCSI offers beyond reading and writing, through an export: reservations, asymmetric access, and the
# commands that hypervisors use.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

# two_paths: the same LUN by loopback ($first) and by iSCSI ($second), two nexuses.
two_paths() {
	make_cache
	export_it --fabric loopback
	find_lun
	first=$lun
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator
	login
	wait_until 30 luns_are 2 || fail "initiators see $(luns | wc -l) disks instead of 2"
	second=$(luns | grep -vx "$first")
}

pr_out() { l sg_persist --out "${@:2}" "$1"; }
can_write() { dd if=/dev/zero of="$1" bs=4k count=1 oflag=direct status=none; }

test_reservations() {
	two_paths
	pr_out "$first" --register --param-sark=0xa1
	pr_out "$second" --register --param-sark=0xa2
	l sg_persist -k "$first"
	[[ $(<"$work/out") == *0xa1* && $(<"$work/out") == *0xa2* ]] || fail "keys are missing"
	pr_out "$first" --reserve --param-rk=0xa1 --prout-type=1
	can_write "$first" || fail "the holder cannot write"
	fails "a write past another's reservation" can_write "$second"
	dd if="$second" of=/dev/null bs=4k count=1 iflag=direct status=none || fail "write exclusive keeps readers out"
	refused "" sg_persist --out --reserve --param-rk=0xa2 --prout-type=1 "$second"
	pr_out "$second" --preempt --param-rk=0xa2 --param-sark=0xa1 --prout-type=3
	can_write "$second" || fail "who preempted cannot write"
	fails "a write by who was preempted" can_write "$first"
	pr_out "$second" --release --param-rk=0xa2 --prout-type=3
	can_write "$first" || fail "released, but not for all"
	pr_out "$second" --clear --param-rk=0xa2
	l sg_persist -k "$first"
	grep -qi ' no registered reservation keys' "$work/out" || fail "keys are left: $(tail -n 2 "$work/out")"
	path_works "$first" "$second"
}

# Registrants only, both registered: who is not, is kept out.
test_reservations_for_all_registrants() {
	two_paths
	pr_out "$first" --register --param-sark=0xa1
	pr_out "$first" --reserve --param-rk=0xa1 --prout-type=6
	fails "a read by who is not registered" dd if="$second" of=/dev/null bs=4k count=1 iflag=direct
	pr_out "$second" --register --param-sark=0xa2
	can_write "$second" || fail "a registrant cannot write"
	pr_out "$first" --release --param-rk=0xa1 --prout-type=6
}

test_compare_and_write() {
	make_cache
	export_it --fabric loopback
	find_lun
	head -c 512 /dev/urandom >"$work/old"
	head -c 512 /dev/urandom >"$work/new"
	dd if="$work/old" of="$lun" bs=512 seek=800 oflag=direct conv=notrunc status=none
	cat "$work/old" "$work/new" >"$work/both"
	l sg_compare_and_write --in="$work/both" --lba=800 --num=1 "$lun"
	dd if="$exported" bs=512 skip=800 count=1 iflag=direct status=none | cmp - "$work/new" || fail "not written"
	refused "" sg_compare_and_write --in="$work/both" --lba=800 --num=1 "$lun"
	dd if="$exported" bs=512 skip=800 count=1 iflag=direct status=none | cmp - "$work/new" || fail "a miscompare wrote"
}

# An initiator that wants less than its READ asks for: LIO makes a bio of so many bytes, and nobody below the cache
# would see it before the cache has.
test_part_of_a_sector() {
	local bytes
	make_cache
	export_it --fabric loopback
	find_lun
	head -c 4096 /dev/urandom >"$work/old"
	dd if="$work/old" of="$lun" bs=4096 seek=100 oflag=direct conv=notrunc status=none
	for bytes in 200 511 712 1023; do
		# a disk may refuse it; if not, that is what it has
		rm -f "$work/got"
		if sg_raw -o "$work/got" -r "$bytes" "$lun" 28 00 00 00 03 20 00 00 02 00 2>/dev/null && [[ -s $work/got ]]; then
			cmp -n "$bytes" "$work/got" "$work/old" || fail "$bytes bytes are something else"
		fi
		sg_raw -o "$work/got" -r "$bytes" "$lun" 28 00 00 00 40 00 00 00 02 00 2>/dev/null || true
		# over the end of a grain
		sg_raw -o "$work/got" -r "$bytes" "$lun" 28 00 00 00 03 27 00 00 02 00 2>/dev/null || true
	done
	l sg_raw -r 512 "$lun" 28 00 00 00 03 20 00 00 01 00
	dd if="$exported" bs=4096 skip=100 count=1 iflag=direct status=none | cmp - "$work/old" || fail "changed"
}

# By the generic node: for a block device, sg_xcopy wants links that udev makes.
test_extended_copy() {
	local generic
	make_cache
	export_it --fabric loopback
	find_lun
	write_tags "$lun" 0 4096 5 128
	generic=/dev/$(ls "/sys/block/${lun##*/}/device/scsi_generic")
	l sg_xcopy if="$generic" of="$generic" bs=512 skip=0 seek=8192 count=2048
	# Whole sectors, each with the number of the place it was written to.
	dd if="$exported" bs=1M skip=4 count=1 iflag=direct status=none |
		cmp - <(dd if="$exported" bs=1M count=1 iflag=direct status=none) || fail "not what was copied"
	check "the original" "5:4096" "$(tags "$exported" 0 4096)"
	check "behind it" "0:64" "$(tags "$exported" 10240 64)"
}

test_unmap() {
	make_cache
	export_it --fabric loopback
	find_lun
	[[ $(attribute emulate_tpu) == 1 ]] || skip "this cache takes no discards"
	write_tags "$lun" 0 8192 6 128
	l sg_unmap --lba=1024 --num=2048 "$lun"
	check "before what was unmapped" "6:1024" "$(tags "$exported" 0 1024)"
	check "behind it" "6:1024" "$(tags "$exported" 3072 1024)"
	l blkdiscard -f -o 2097152 -l 1048576 "$lun"
	check "behind it" "6:1024" "$(tags "$exported" 6144 1024)"
	l sg_write_same --16 --unmap --lba=4096 --num=128 "$lun"
	# What was unmapped takes new data.
	write_tags "$lun" 1024 2048 7 128
	check "written again" "7:2048" "$(tags "$exported" 1024 2048)"
}

test_write_same() {
	make_cache
	export_it --fabric loopback
	find_lun
	write_tags "$lun" 0 4096 5 128
	head -c 512 /dev/urandom >"$work/one"
	l sg_write_same --16 --in="$work/one" --xferlen=512 --lba=100 --num=300 "$lun"
	for sector in 100 250 399; do
		dd if="$exported" bs=512 skip=$sector count=1 iflag=direct status=none | cmp - "$work/one" || fail "sector $sector"
	done
	check "before it" "5:100" "$(tags "$exported" 0 100)"
	check "behind it" "5:100" "$(tags "$exported" 400 100)"
	l sg_write_same --10 --lba=1000 --num=256 --xferlen=512 --in=/dev/zero "$lun"
	dd if="$exported" bs=512 skip=1000 count=256 iflag=direct status=none | cmp -n 131072 - /dev/zero || fail "not zero"
}

# alua_state DISK: of the group that its LUN is in.
alua_state() {
	local group
	group=$(sg_vpd -p di "$1" | sed -nE 's/.*Target port group: 0x([0-9a-f]+).*/\1/p' | head -n 1)
	sg_rtpg -d "$1" | awk -v group="0x$group" '/target port group id/ { here = $NF == group || $6 == group }
		here && /asymmetric access state/ { sub(/.*: /, ""); sub(/ *\(.*/, ""); print; exit }'
}

test_alua() {
	make_cache
	export_it --fabric loopback --alua-group left:standby
	find_lun || true
	[[ -d $(backstore)/alua/left ]] || fail "no group 'left'"
	check "state" 2 "$(<"$(backstore)/alua/left/alua_access_state")"
	fails "a read in standby" dd if="$lun" of=/dev/null bs=4k count=1 iflag=direct
	l sg_rtpg -d "$lun"
	grep -q 'standby' "$work/out" || fail "REPORT TARGET PORT GROUPS says nothing of standby"
	l sg_stpg --optimized "$lun"
	check "state" 0 "$(<"$(backstore)/alua/left/alua_access_state")"
	path_works "$lun"
	unexport_it
}

# One path is optimized, the other is not; both work.
test_alua_two_groups() {
	make_cache
	export_it --fabric loopback --alua-group left
	find_lun
	first=$lun
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator --alua-group right:active-nonoptimized
	login
	wait_until 30 luns_are 2 || fail "initiators see $(luns | wc -l) disks instead of 2"
	second=$(luns | grep -vx "$first")
	l sg_rtpg -d "$second"
	[[ $(grep -c 'target port group id' "$work/out") -ge 2 ]] || fail "fewer than two groups"
	grep -q 'active/non optimized' "$work/out" || fail "no group is active/non optimized"
	path_works "$first" "$second"
	path_works "$second" "$first"
	logout
	unexport_it
}
