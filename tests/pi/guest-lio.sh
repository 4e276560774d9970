#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Protection information from an initiator to the disks, in a guest: a SCSI disk of tcm_loop, which is a
# logical unit of LIO on iblock, on a cache over two disks with PI; and what nvmet makes of such a cache, which
# hands PI on with hardware only that no guest has. See run, and Documentation/testing/pi.md.
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
	modprobe -a sd_mod target_core_mod target_core_iblock tcm_loop
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	mkdir -p $unit
	echo -n "udev_path=$1" >$unit/control
	echo 1 >$unit/enable
	echo -n $serial >$unit/wwn/vpd_unit_serial
	mkdir -p $loop/tpgt_1/lun/lun_0
	echo naa.6001405000000002 >$loop/tpgt_1/nexus
	ln -s $unit $loop/tpgt_1/lun/lun_0/unit
	wait_until 10 eval 'lio_disk >/dev/null' || fail "no disk of LIO"
	lun=$(lio_disk)
	wait_until 10 test -b "$lun" || fail "no $lun"
	# An NVMe controller takes the tuples of a command in one piece. Initiators are not told, and iblock
	# fails what comes in several.
	pieces=()
	[[ $kind != nvme ]] || { pieces=(piece) && echo 2 >"/sys/block/${lun##*/}/queue/nomerges"; }
}

unexport_disk() {
	[[ ! -d $loop ]] || rm -f $loop/tpgt_1/lun/lun_0/unit
	[[ ! -d $loop ]] || echo NULL >$loop/tpgt_1/nexus
	[[ ! -d $loop ]] || rmdir $loop/tpgt_1/lun/lun_0 $loop/tpgt_1 $loop
	[[ ! -d $unit ]] || rmdir $unit
	! lio_disk >/dev/null || wait_until 10 eval '! lio_disk >/dev/null' || fail "the disk of LIO stays"
}

# What a failed test has left goes before the devices below it.
before_clean_up() {
	unexport_disk || true
	unexport_name_space || true
}

# The exerciser and LIO, without a cache: what can be expected of a disk alone.
test_lio_alone() {
	make_world
	export_disk "$origin"
	check "type of the logical unit" "$pi_type" "$(<$unit/attrib/pi_prot_type)"
	check "profile of the initiator's disk" "$(profile "$origin")" "$(profile "$lun")"
	pi write dev="$lun" start=512 n=512 app=4660 version=3
	same_tuples "initiator and disk" "$lun" 512 512 "$origin" 512
	pi stress dev="$lun" journal=alone start=$((8 * MIB)) n=$((2 * MIB)) ops=80 "${pieces[@]}"
	pi verify dev="$lun" journal=alone
	pi verify dev="$origin" journal=alone
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
	pi sweep dev="$lun" start=1600 n=$((24 * step)) "${pieces[@]}"
	pi stress dev="$lun" journal=lio start=$((8 * MIB)) n=$((6 * MIB)) ops=200 "${pieces[@]}"
	pi verify dev="$lun" journal=lio
	switch_mode writethrough
	pi stress dev="$lun" journal=lio ops=100 "${pieces[@]}"
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
	damage "$ssd" "$place"
	check "healed" "ok 1:$((512 / step))" "$(pi read dev="$lun" start=2048 n=512)"
	check_that "counted" "$(larder_stat pi_healed) > 0"
	pi write dev="$origin" start=$((4 * MIB)) n=64
	damage "$origin" $((4 * MIB))
	pi_fails "damage on the origin" "" read dev="$lun" start=$((4 * MIB)) n="$step"
	unexport_disk
}

# --- nvmet ---

nvmet=/sys/kernel/config/nvmet
nqn=nqn.2014-08.org.nvmexpress:larder-pi
host_id=00000000-0000-4000-8000-000000000001

# export_name_space DEVICE TRANSPORT ADDRESS: with PI, but for the port's being opened
export_name_space() {
	modprobe -a nvmet "nvmet-$2" "nvme-$2"
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	mkdir -p $nvmet/subsystems/$nqn/namespaces/1 $nvmet/ports/1
	echo 1 >$nvmet/subsystems/$nqn/attr_allow_any_host
	echo 1 >$nvmet/subsystems/$nqn/attr_pi_enable
	echo -n "$1" >$nvmet/subsystems/$nqn/namespaces/1/device_path
	echo 1 >$nvmet/subsystems/$nqn/namespaces/1/enable
	echo "$2" >$nvmet/ports/1/addr_trtype
	echo ipv4 >$nvmet/ports/1/addr_adrfam
	echo "$3" >$nvmet/ports/1/addr_traddr
	echo 4420 >$nvmet/ports/1/addr_trsvcid
	echo 1 >$nvmet/ports/1/param_pi_enable
}

open_port() { ln -s $nvmet/subsystems/$nqn $nvmet/ports/1/subsystems/$nqn; }

fabrics_disk() {
	local disk
	for disk in /sys/class/nvme/nvme*/nvme*n1; do
		[[ -e $disk/size && $(<"$disk/../subsysnqn") == "$nqn" ]] && echo "/dev/${disk##*/}" && return
	done
	return 1
}

# connect TRANSPORT ADDRESS: the initiator's disk is $lun
connect() {
	timeout 60 nvme connect -t "$1" -a "$2" -s 4420 -n $nqn --hostid=$host_id \
		--hostnqn=nqn.2014-08.org.nvmexpress:uuid:$host_id
	wait_until 10 eval 'fabrics_disk >/dev/null' || fail "no disk of nvmet"
	lun=$(fabrics_disk)
	wait_until 10 test -b "$lun" || fail "no $lun"
}

unexport_name_space() {
	[[ -d $nvmet/ports/1 ]] || return 0
	! fabrics_disk >/dev/null || timeout 60 nvme disconnect -n $nqn
	rm -f $nvmet/ports/1/subsystems/$nqn
	rmdir $nvmet/ports/1
	echo 0 >$nvmet/subsystems/$nqn/namespaces/1/enable
	rmdir $nvmet/subsystems/$nqn/namespaces/1 $nvmet/subsystems/$nqn
}

# Users without tuples: those on the disks are made below the cache.
use_without_tuples() {
	check "profile of the initiator's disk" "type=none" "$(profile "$lun")"
	pi write dev="$lun" start=2048 n=512 plain version=1
	check "what is there" "ok 1:$((512 / step))" "$(pi read dev="$lun" start=2048 n=512 plain)"
	unexport_name_space
	drain
	check "on the origin" "ok 1:$((512 / step))" "$(pi read dev="$origin" start=2048 n=512)"
}

# TCP has no metadata.
test_nvmet_tcp() {
	ip link set lo up
	make_world
	new_cache
	export_name_space $dev tcp 127.0.0.1
	log_mark
	fails "a port of TCP with PI" open_port
	log_has "a port of TCP with PI" "T10-PI is not supported by transport type"
	echo 0 >$nvmet/ports/1/param_pi_enable
	open_port
	connect tcp 127.0.0.1
	use_without_tuples
}

# RDMA has, with adapters that check and move tuples; the one in software does not.
test_nvmet_rdma() {
	modprobe -a rdma_rxe dummy
	[[ -e /sys/class/net/larder0 ]] || ip link add larder0 type dummy
	ip address replace 10.77.0.1/24 dev larder0
	ip link set larder0 up
	rdma link show | grep -q larder_rxe || rdma link add larder_rxe type rxe netdev larder0
	make_world
	new_cache
	export_name_space $dev rdma 10.77.0.1
	log_mark
	wait_until 20 open_port || fail "the port cannot be opened"
	connect rdma 10.77.0.1
	log_has "RDMA in software" "T10-PI is not supported by device"
	use_without_tuples
}

tests_of() {
	echo lio_alone lio lio_damage
	[[ $1 != scsi-1-crc-512 ]] || echo nvmet_tcp nvmet_rdma
}

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
worlds=("$@")
[[ $# -gt 0 ]] || worlds=(scsi-1-crc-512 scsi-3-crc-512 scsi-1-crc-4096 nvme-1-crc-512)
begin_pi_suite
for world in "${worlds[@]}"; do
	set_world "$world"
	# journals know what is on the disks of one world
	unload_modules pi-io
	load_module pi-io
	for name in $(tests_of "$world"); do
		! chosen "$world/$name" || run_test "$world/$name" "test_$name"
	done
done
end_suite
