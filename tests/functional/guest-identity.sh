#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Who a cached device says it is, in a guest: it has no persistent reservations and no unique id, where
# device-mapper would hand on those of its SSD; neither by ioctl nor through LIO, at no time of its life; and
# its limits are those of both devices all the same. The disks are LIO's, over tcm_loop. See run-in-vm.
#
# usage: guest-identity.sh                   the tests
#        guest-identity.sh limits [WORLD...]  prints the limits of the tests' caches, to compare two modules

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

target=/sys/kernel/config/target
series=$(kernel_series)

# --- disks with reservations and names ---

# The name in VPD page 0x83 is made of its first digits.
serial_of() { echo "$1a2b3c4d-0000-4000-8000-000000000000"; }

# The initiator's disk with the serial of this number.
disk_of() {
	local page
	for page in /sys/block/sd*/device/vpd_pg80; do
		if [[ -e $page ]] && grep -qaF "$(serial_of "$1")" "$page"; then
			page=${page#/sys/block/}
			echo "/dev/${page%%/*}"
			return
		fi
	done
	return 1
}

# export_unit NUMBER UNIT: through a target and an initiator of its own.
export_unit() {
	local tpg=$target/loopback/naa.600140500000000$1/tpgt_1
	echo -n "$(serial_of "$1")" >"$2/wwn/vpd_unit_serial"
	mkdir -p "$tpg/lun/lun_0"
	echo "naa.60014050000000a$1" >"$tpg/nexus"
	ln -s "$2" "$tpg/lun/lun_0/unit"
	# a target that was there before its unit has been scanned in vain
	wait_until 20 eval 'disk_of '"$1"' >/dev/null || scan_again' || fail "no disk of unit $1"
	wait_until 10 test -b "$(disk_of "$1")" || fail "no node of unit $1"
}

scan_again() {
	local scan
	for scan in /sys/class/scsi_host/host*/scan; do
		echo "- - -" >"$scan"
	done
	return 1
}

# unexport NUMBER: both the unit and what exports it, as far as they are there.
unexport() {
	local loop=$target/loopback/naa.600140500000000$1 unit
	if [[ -d $loop ]]; then
		rm -f "$loop/tpgt_1/lun/lun_0/unit"
		echo NULL >"$loop/tpgt_1/nexus"
		rmdir "$loop/tpgt_1/lun/lun_0" "$loop/tpgt_1" "$loop"
	fi
	for unit in "$target"/core/*/{ram,unit}"$1"; do
		[[ ! -d $unit ]] || rmdir "$unit"
	done
	wait_until 20 eval '! disk_of '"$1" || fail "the disk of unit $1 stays"
}

# ram_disk NUMBER SIZE-IN-MIB
ram_disk() {
	local unit=$target/core/rd_mcp_0/ram$1
	mkdir -p "$unit"
	echo -n "rd_pages=$(($2 * 256))" >"$unit/control"
	echo 1 >"$unit/enable"
	export_unit "$1" "$unit"
}

# logical_unit NUMBER DEVICE PGR-SUPPORT: a device as LIO exports it, with reservations of its own (1) or
# those of the device (0).
logical_unit() {
	local unit=$target/core/iblock_0/unit$1
	mkdir -p "$unit"
	echo -n "udev_path=$2" >"$unit/control"
	echo 1 >"$unit/enable"
	[[ $(<"$unit/attrib/pgr_support") == "$3" ]] || echo "$3" >"$unit/attrib/pgr_support"
	export_unit "$1" "$unit"
}

scsi_disks() {
	add_disk meta 2M type=ssd
	ram_disk 1 12
	ram_disk 2 96
	meta=/dev/meta ssd=$(disk_of 1) hdd=$(disk_of 2)
}

# What the tests of lib.sh leave; what is exported goes before the caches, the disks after them.
eval "clean_up_caches() $(declare -f clean_up | tail -n +2)"
clean_up() {
	unexport 3
	clean_up_caches
	unexport 1
	unexport 2
	! module_loaded scsi_debug || wait_until 20 rmmod scsi_debug 2>/dev/null
}

# --- reservations ---

reserve() { "$BIN/reserve" "$@" || [[ $? == 1 ]]; }

# Registrations, and the number of those that ever were, of both disks.
reservations() {
	local disk
	for disk in "$ssd" "$hdd"; do
		sg_persist --in --no-inquiry --read-keys "$disk" || fail "$disk does not tell its keys"
	done
}

# The ioctls that read are newer than some kernels.
expected() {
	case $1 in
	clear) echo ENOTTY ;;
	read-*) [[ $series == 7.* ]] && echo EOPNOTSUPP || echo ENOTTY ;;
	*) echo EOPNOTSUPP ;;
	esac
}

# has_no_reservations WHEN DEVICE
has_no_reservations() {
	local operation before
	before=$(reservations)
	for operation in register register-ignore reserve preempt preempt-abort release clear read-keys \
		read-reservation; do
		check "$1: $operation of $2" "$(expected $operation)" "$(reserve $operation "$2")"
	done
	check "$1: the disks" "$before" "$(reservations)"
}

test_reservations() {
	local before
	scsi_disks
	linear plain "$ssd" 0 "$(sectors_of "$ssd")"
	check "a disk behind dm-linear: register" OK "$(reserve register /dev/mapper/plain)"
	check "a disk behind dm-linear: reserve" OK "$(reserve reserve /dev/mapper/plain)"
	[[ $series == 6.* ]] || check "a disk behind dm-linear: keys" OK "$(reserve read-keys /dev/mapper/plain)"
	[[ $(reservations) == *0x1a2b* ]] || fail "the key of a registration is not shown: $(reservations)"
	check "the disk: clear" OK "$(reserve clear "$ssd")"
	dmsetup remove plain

	create
	write_tags $dev 0 2048 1
	has_no_reservations "after create" $dev
	linear above $dev 0 "$(sectors_of $dev)"
	check "dm-linear above it: register" EOPNOTSUPP "$(reserve register /dev/mapper/above)"
	check "dm-linear above it: reserve" EOPNOTSUPP "$(reserve reserve /dev/mapper/above)"
	dmsetup remove above
	before=$(reservations)
	dmsetup suspend cache
	check "suspended: register" EAGAIN "$(reserve register $dev)"
	check "suspended: reserve" EAGAIN "$(reserve reserve $dev)"
	check "suspended: the disks" "$before" "$(reservations)"
	dmsetup resume cache
	has_no_reservations "after a resume" $dev
	features=writethrough reload
	has_no_reservations "after a reload" $dev
	check "contents" "1:2048" "$(tags $dev 0 2048)"
}

# LIO hands reservations on when told; 6.1 cannot.
lio_hands_on() {
	local lun
	# what it would do: a unit over one disk
	logical_unit 3 "$ssd" 0
	sg_persist --out --no-inquiry --register --param-sark=0x1a2b "$(disk_of 3)"
	[[ $(reservations) == *0x1a2b* ]] || fail "a registration does not come through: $(reservations)"
	unexport 3
	check "the disk: clear" OK "$(reserve clear "$ssd")"
	reservations >"$work/before"

	create
	logical_unit 3 $dev 0
	lun=$(disk_of 3)
	fails "read keys" sg_persist --in --no-inquiry --read-keys "$lun"
	fails "read reservation" sg_persist --in --no-inquiry --read-reservation "$lun"
	fails "register" sg_persist --out --no-inquiry --register --param-sark=0x1a2b "$lun"
	fails "reserve" sg_persist --out --no-inquiry --reserve --param-rk=0x1a2b --prout-type=6 "$lun"
	fails "preempt" sg_persist --out --no-inquiry --preempt --param-rk=0x1a2b --param-sark=0x1a2b \
		--prout-type=6 "$lun"
	fails "clear" sg_persist --out --no-inquiry --clear --param-rk=0x1a2b "$lun"
	unexport 3
	check "the disks" "$(<"$work/before")" "$(reservations)"
	remove
}

test_reservations_through_lio() {
	local lun
	scsi_disks
	[[ $series == 6.1 ]] || lio_hands_on
	reservations >"$work/before"
	create
	logical_unit 3 $dev 1
	lun=$(disk_of 3)
	sg_persist --out --no-inquiry --register --param-sark=0x1a2b "$lun"
	sg_persist --out --no-inquiry --reserve --param-rk=0x1a2b --prout-type=6 "$lun"
	[[ $(sg_persist --in --no-inquiry --read-keys "$lun") == *0x1a2b* ]] || fail "LIO holds no reservation"
	unexport 3
	check "the disks" "$(<"$work/before")" "$(reservations)"
}

# --- the unique id ---

id_of() {
	local fd
	exec {fd}<"$1"
	echo "$fd" >/sys/module/unique_id/parameters/fd
	exec {fd}<&-
	cat /sys/module/unique_id/parameters/answer
}

test_unique_id() {
	local id second
	load_module unique-id
	scsi_disks
	id=$(id_of "$ssd")
	[[ $id == 6001405* ]] || fail "the id of the SSD: $id"
	linear plain "$ssd" 0 "$(sectors_of "$ssd")"
	[[ $series == 6.* ]] || check "of a disk behind dm-linear" "$id" "$(id_of /dev/mapper/plain)"
	dmsetup remove plain

	create
	check "after create" none "$(id_of $dev)"
	linear above $dev 0 "$(sectors_of $dev)"
	check "dm-linear above it" none "$(id_of /dev/mapper/above)"
	dmsetup remove above
	dmsetup suspend cache
	check "suspended" none "$(id_of $dev)"
	dmsetup load cache --table "$(table_line)"
	check "suspended, with a table loaded" none "$(id_of $dev)"
	dmsetup resume cache
	check "after a reload" none "$(id_of $dev)"
	dmsetup suspend cache
	dmsetup resume cache
	check "after a resume" none "$(id_of $dev)"

	# a table that is in its place, but could not be resumed: another cache has the metadata
	dmsetup create second --notable
	dmsetup load second --table "$(table_line)"
	fails "a second cache" dmsetup resume second
	[[ $(dmsetup table second) == *larder* ]] || fail "the second cache has no table"
	second=/dev/$(dmsetup info -c --noheadings -o blkdevname second)
	check "after a failed resume" none "$(id_of "$second")"
	check "after a failed resume: reserve" EAGAIN "$(reserve reserve "$second")"
	dmsetup remove second
}

# --- limits ---

worlds=(simulated without_write_cache ssd_4096 origin_4096 without_discard mixed)
world_simulated() { make_disks 2M 12M 96M; }
world_without_write_cache() { make_disks 2M 12M 96M wc=0 wc=0; }
world_ssd_4096() { make_disks 2M 12M 96M lbs=4096; }
world_origin_4096() { make_disks 2M 12M 96M '' lbs=4096; }
world_without_discard() { make_disks 2M 12M 96M '' discard=0; }
# LIO's write caches, none of them volatile, and a disk with physical blocks of 4 KiB
world_mixed() {
	modprobe scsi_debug dev_size_mb=96 physblk_exp=3 lbpu=1 unmap_granularity=64 opt_blks=512
	scsi_disks
	wait_until 20 compgen -G '/sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*:*/block/*' >/dev/null
	hdd=/dev/$(basename /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*:*/block/*)
	wait_until 10 test -b "$hdd"
}

disk_directory() { echo "/sys/dev/block/$(stat -Lc %Hr:%Lr "$1")"; }

# limit DEVICE NAME
limit() { cat "$(disk_directory "$1")/queue/$2"; }

# queue DEVICE: everything that the kernel shows of its request queue, but what the driver has no part in.
queue() {
	cd "$(disk_directory "$1")"
	grep -s -d skip . queue/* alignment_offset discard_alignment ro size |
		grep -vE '^queue/(scheduler|wbt_lat_usec|io_timeout|iostats.*|read_ahead_kb):' || true
	cd "$OLDPWD"
}

# is_larger|is_smaller LIMIT: the cache has the larger or smaller one of its devices'.
is_larger() {
	check "$1, of the two" "$(printf '%s\n' "$(limit "$ssd" "$1")" "$(limit "$hdd" "$1")" | sort -n | tail -n 1)" \
		"$(limit $dev "$1")"
}
is_smaller() {
	check "$1, of the two" "$(printf '%s\n' "$(limit "$ssd" "$1")" "$(limit "$hdd" "$1")" | sort -n | head -n 1)" \
		"$(limit $dev "$1")"
}

limits_follow_devices() {
	local name
	for name in logical_block_size physical_block_size rotational stable_writes; do
		is_larger $name
	done
	for name in max_hw_sectors_kb max_segments; do
		is_smaller $name
	done
	# whatever the devices have: what is on the SSD must be recorded
	check "write_cache" 'write back' "$(limit $dev write_cache)"
	check "dax" 0 "$(limit $dev dax)"
	check "zoned" none "$(limit $dev zoned)"
	check_that "discards" "$(limit $dev discard_max_hw_bytes) > 0"
}

# These limits of one set of devices, and that they stay.
limits_of() {
	local first
	"world_$1"
	create
	limits_follow_devices
	first=$(queue $dev)
	write_tags $dev 0 1024 1
	dmsetup suspend cache
	check "limits, suspended" "$first" "$(queue $dev)"
	dmsetup resume cache
	check "limits after a resume" "$first" "$(queue $dev)"
	features=writethrough reload
	check "limits after a new table" "$first" "$(queue $dev)"
	reload
	check "limits after the first table anew" "$first" "$(queue $dev)"
	linear above $dev 0 "$(sectors_of $dev)"
	dmsetup remove above
	dmsetup suspend --noflush cache
	dmsetup resume cache
	check "limits at the end" "$first" "$(queue $dev)"
	remove
	create
	check "limits of a cache anew" "$first" "$(queue $dev)"
	check "contents" "1:1024" "$(tags $dev 0 1024)"
}

for world in "${worlds[@]}"; do
	eval "test_limits_$world() { limits_of $world; }"
done

# For the eye, or diff.
show_limits() {
	local world
	for world; do
		echo "--- $world"
		"world_$world"
		create
		queue $dev
		reload
		queue $dev | sed 's/^/reloaded: /'
		clean_up
	done
}

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac

# udev, which would load what a disk needs, does not run
modprobe -a sd_mod target_core_mod target_core_iblock tcm_loop
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
# where LIO keeps reservations that shall survive, which the block layer asks for
mkdir -p "$(<$target/dbroot)/pr"
begin_suite
if [[ ${1:-} == limits ]]; then
	[[ $# == 1 ]] || worlds=("${@:2}")
	show_limits "${worlds[@]}"
	exit
fi
run_suite reservations reservations_through_lio unique_id "${worlds[@]/#/limits_}"
