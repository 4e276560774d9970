#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Protection information from a SCSI initiator to the disks, in a guest: a disk of tcm_loop, which is a
# logical unit of LIO on iblock, on a cache over two disks with PI. See run, and Documentation/testing/pi.md.
#
# usage: guest-lio.sh [WORLD...]
#
#   WORLD   as for guest-pi.sh; default: scsi-1-crc-512, scsi-3-crc-512, scsi-1-crc-4096, nvme-1-crc-512
#   TESTS   in the environment: patterns of WORLD/TEST

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

target=/sys/kernel/config/target
unit=$target/core/iblock_0/larder
loop=$target/loopback/naa.6001405000000001
serial=larder-pi

lio_disk() {
	local disk
	for disk in /sys/block/sd*; do
		[[ -e $disk && $(<"$disk/device/vendor") == LIO* ]] && echo "/dev/${disk##*/}" && return
	done
	return 1
}

# The initiator's disk on a block device. export_disk DEVICE
export_disk() {
	modprobe -a target_core_mod target_core_iblock tcm_loop
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	mkdir -p $unit
	echo -n "udev_path=$1" >$unit/control
	echo 1 >$unit/enable
	echo -n $serial >$unit/wwn/vpd_unit_serial
	mkdir -p $loop/tpgt_1/lun/lun_0
	echo naa.6001405000000002 >$loop/tpgt_1/nexus
	ln -s $unit $loop/tpgt_1/lun/lun_0/unit
	local host
	host=$(basename "$(compgen -G '/sys/bus/pseudo/devices/tcm_loop_adapter_*/host*' | head -n 1)")
	wait_until 10 eval 'lio_disk >/dev/null || { echo "- - -" >/sys/class/scsi_host/'"$host"'/scan && false; }' ||
		fail "no disk of LIO"
	lun=$(lio_disk)
	wait_until 10 test -b "$lun" || fail "no $lun"
}

unexport_disk() {
	[[ ! -d $loop ]] || rm -f $loop/tpgt_1/lun/lun_0/unit
	[[ ! -d $loop ]] || echo NULL >$loop/tpgt_1/nexus
	[[ ! -d $loop ]] || rmdir $loop/tpgt_1/lun/lun_0 $loop/tpgt_1 $loop
	[[ ! -d $unit ]] || rmdir $unit
	! lio_disk >/dev/null || wait_until 10 eval '! lio_disk >/dev/null' || fail "the disk of LIO stays"
}

# What a failed test has left goes before the devices below it.
before_clean_up() { unexport_disk || true; }

# The exerciser and LIO, without a cache: what can be expected of a disk alone.
test_lio_alone() {
	make_world
	export_disk "$origin"
	check "type of the logical unit" "$pi_type" "$(<$unit/attrib/pi_prot_type)"
	check "profile of the initiator's disk" "$(profile "$origin")" "$(profile "$lun")"
	pi write dev="$lun" start=512 n=512 app=4660 version=3
	same_tuples "initiator and disk" "$lun" 512 512 "$origin" 512
	pi stress dev="$lun" journal=lio start=$((8 * MIB)) n=$((2 * MIB)) ops=80
	pi verify dev="$lun" journal=lio
	pi verify dev="$origin" journal=lio
	unexport_disk
}

test_lio() {
	make_world
	new_cache
	export_disk $dev
	check "type of the logical unit" "$pi_type" "$(<$unit/attrib/pi_prot_type)"
	check "profile of the initiator's disk" "$(profile "$origin")" "$(profile "$lun")"
	pi write dev="$lun" start=512 n=512 app=4660 version=3
	check "application tag" 1234 "$(tuples "$lun" 512 "$step" | cut -d' ' -f3)"
	same_tuples "initiator and cache" "$lun" 512 512 $dev 512
	same_tuples "initiator and SSD" "$lun" 512 "$(block)" "$ssd" "$(need_place "$ssd" 512 3)"
	pi sweep dev="$lun" start=1600 n=$((24 * step))
	pi stress dev="$lun" journal=lio start=$((8 * MIB)) n=$((6 * MIB)) ops=200
	pi verify dev="$lun" journal=lio
	switch_mode writethrough
	pi stress dev="$lun" journal=lio ops=100
	pi verify dev="$lun" journal=lio
	unexport_disk
	drain
	remove
	pi verify dev="$origin" journal=lio
}

# The initiator sees what is wrong, and what is healed below it not at all.
test_lio_damage() {
	local place
	make_world
	pi write dev="$origin" start=2048 n=512 version=1
	new_cache
	export_disk $dev
	pi_fails "a bad guard" "" write dev="$lun" start=640 n=$((16 * step)) bad=guard:5
	pi read dev="$lun" start=2048 n=512
	wait_until 20 filled $((512 / $(larder_stat block_sectors))) || fail "only $(larder_stat slots_used) slots filled"
	place=$(need_place "$ssd" 2048 1)
	damage "$ssd_disk" "$place"
	check "healed" "ok 1:$((512 / step))" "$(pi read dev="$lun" start=2048 n=512)"
	check_that "counted" "$(larder_stat pi_healed) > 0"
	pi write dev="$origin" start=$((4 * MIB)) n=64
	damage "$origin" $((4 * MIB))
	pi_fails "damage on the origin" "" read dev="$lun" start=$((4 * MIB)) n="$step"
	unexport_disk
}

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
worlds=("$@")
[[ $# -gt 0 ]] || worlds=(scsi-1-crc-512 scsi-3-crc-512 scsi-1-crc-4096 nvme-1-crc-512)
begin_pi_suite
for world in "${worlds[@]}"; do
	set_world "$world"
	for name in lio_alone lio lio_damage; do
		! chosen "$world/$name" || run_test "$world/$name" "test_$name"
	done
done
end_suite
