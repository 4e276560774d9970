# SPDX-License-Identifier: GPL-2.0-or-later
# What the PI suites share inside a guest: disks with protection information, caches on them, the exerciser.
# Sourced by guest-*.sh after `set -euo pipefail`; brings tests/functional/lib.sh with it.
# shellcheck shell=bash

PI_DIR=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=../functional/lib.sh
. "$PI_DIR/../functional/lib.sh"

# --- the suite ---

begin_pi_suite() {
	export TEST_SECONDS=${TEST_SECONDS:-900}
	begin_suite
	load_module pi-io
}

# lib.sh calls clean_up after each test: a load that a failed test has left goes before its devices.
eval "$(declare -f clean_up | sed '1s/clean_up/clean_up_devices/')"
before_clean_up() { :; }
clean_up() {
	[[ ! -s $work/load.pid ]] || kill -9 "$(<"$work/load.pid")" 2>/dev/null || true
	rm -f "$work/load.pid"
	before_clean_up
	wait_until 20 clean_up_devices
}

# --- the exerciser ---

# pi_try COMMAND...: its answer, whatever comes of it; the exit code says what did.
pi_try() {
	local fd code=0
	exec {fd}<>/dev/pi-io
	{ echo "$*" >&"$fd"; } 2>/dev/null || code=1
	cat <&"$fd"
	exec {fd}>&-
	return $code
}

# pi COMMAND...: must succeed; prints its answer.
pi() {
	local answer
	answer=$(pi_try "$@") || fail "pi-io $*: $answer"
	echo "$answer"
}

# pi_uring COMMAND...: the same from user space, where the kernel can; prints its answer.
pi_uring() { "$BIN/pi-uring" "$@" 2>&1; }

# pi_fails WHAT TEXT COMMAND...: must fail, with an answer that contains TEXT.
pi_fails() {
	local what=$1 text=$2 answer
	shift 2
	if answer=$(pi_try "$@"); then fail "$what: succeeded, should fail: $* ($answer)"; fi
	[[ $answer == *"$text"* ]] || fail "$what: expected '$text', found '$answer'"
}

# in_background COMMAND...: as the process $load, with its answer in $work/load
in_background() {
	(pi_try "$@" >"$work/load") &
	load=$!
	echo $load >"$work/load.pid"
}

# tuples DEVICE START N [SEED]: as they are stored there; places are counted from START.
tuples() { pi tuples "dev=$1" "start=$2" "n=$3" ${4:+"seed=$4"}; }

# Where nothing was ever written, tuples of all ones or those that were made for zeroes are the same.
known_tuples() {
	tuples "$@" | awk '$3 == "ffff" && $4 == "ffffffff" ||
		$3 == "0000" && $2 == $5 && ($2 == "0000" || $2 == "ffff") { $0 = $1 " never written" } { print }'
}

# same_tuples WHAT DEVICE START N OTHER-DEVICE OTHER-START: byte for byte. With the same seed the
# reference tags of different places are the same, if they are right below. A carrier has those of the
# origin, whatever the seed.
same_tuples() {
	local one other seed=4711
	[[ $passes != carrier || $2 != "$ssd" ]] || seed=$(($6 / step))
	[[ $passes != carrier || $5 != "$ssd" ]] || seed=$(($3 / step))
	one=$(known_tuples "$2" "$3" "$4" $seed)
	other=$(known_tuples "$5" "$6" "$4" $seed)
	[[ $one == "$other" ]] ||
		fail "$1: tuples differ: $(diff <(echo "$one") <(echo "$other") | head -n 4 | tr '\n' ' ')"
}

# place_of DEVICE SECTOR [VERSION]: where on the device the data of a sector lies (the last one, if it
# lies there more than once); nothing if it does not.
place_of() {
	local at n sector version found=
	while read -r at n sector version; do
		((sector <= $2 && $2 < sector + n)) || continue
		[[ ! ${3:-} || $version == "$3" ]] || continue
		found=$((at + $2 - sector))
	done < <(pi scan "dev=$1" | sed -n 's/^at \(.*\) n \(.*\): sector \(.*\) version \(.*\)/\1 \2 \3 \4/p')
	echo "$found"
}

need_place() {
	local place
	place=$(place_of "$@")
	[[ $place ]] || fail "sector $2 is not on $1"
	echo "$place"
}

# --- the kernel's functions ---

tracing=/sys/kernel/tracing

# count_calls FUNCTION...: from now on; functions that do not exist are an error.
count_calls() {
	mountpoint -q $tracing || mount -t tracefs none $tracing
	echo "$*" >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
}

calls_of() { grep -c ": $1 <-" $tracing/trace || true; }

# --- disks ---

# A world is KIND-TYPE-GUARD-INTERVAL: scsi-1-crc-512 are disks of scsi_debug, nvme-3-crc-4096 name
# spaces of QEMU (see run), ram-1-ip-512 those of our own (tests/kmod/pi-io-disk.c). It has an origin, and
# a cache device that is much smaller. This one keeps tuples without looking at them in three kinds:
# carrier-1-crc-512 has one of our own, opaque-1-crc-512 a name space with metadata and without PI, and
# integrity-1-crc-512 dm-integrity without a checksum on a simulated disk.
MIB=2048
# shellcheck disable=SC2034  # used by the suites
origin_sectors=$((24 * MIB)) ssd_sectors=$((4 * MIB))

# set_world NAME
set_world() {
	IFS=- read -r kind pi_type pi_guard interval <<<"$1"
	step=$((interval / 512))
	# what stats call the mode, when tuples pass
	passes=pass
	case $kind in carrier | opaque | integrity) passes=carrier ;; esac
}

scsi_disks() { compgen -G '/sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*:*/block/*'; }

remove_scsi() {
	[[ ! -d /sys/module/scsi_debug ]] || wait_until 20 rmmod scsi_debug 2>/dev/null ||
		fail "scsi_debug cannot be unloaded"
}

have_scsi_disks() { [[ $(scsi_disks | wc -l) -ge 2 && -b /dev/$(basename "$(scsi_disks | tail -n 1)") ]]; }

# cache_partition DISK: not at the beginning, so that places on the cache device and reference tags below
# are not the same (and as QEMU forgives a wrong guard in the first block of a name space).
cache_partition() {
	echo "start=1MiB, size=$((ssd_sectors / MIB))MiB" | sfdisk -q --label dos "$1"
}

# Blank: no tuple was ever written. Two hosts with a memory of their own, as one would share it.
make_scsi() {
	local guard=0
	[[ $pi_guard == crc ]] || guard=1
	remove_scsi
	modprobe sd_mod		# nobody loads it by alias, as udev is gone
	modprobe scsi_debug dev_size_mb=$((origin_sectors / MIB)) dif="$pi_type" dix=1 guard=$guard ato=1 \
		sector_size="$interval" add_host=2 per_host_store=1 delay=0
	wait_until 20 have_scsi_disks || fail "no disks of scsi_debug"
	origin=/dev/$(basename "$(scsi_disks | sed -n 1p)")
	local whole
	whole=/dev/$(basename "$(scsi_disks | sed -n 2p)")
	cache_partition "$whole"
	wait_until 10 test -b "${whole}1" || fail "no ${whole}1"
	ssd=${whole}1
}

have_nvme_disks() { compgen -G "/dev/nvme*n8" >/dev/null; }

# nvme_disk ROLE TYPE INTERVAL: by what run has attached. Type 0: the metadata are nobody's business.
nvme_disk() {
	local ns size role type wanted=$2
	[[ $wanted != 0 ]] || wanted=opaque
	modprobe nvme
	wait_until 20 have_nvme_disks || fail "no NVMe name spaces"
	for ns in /sys/class/nvme/nvme*/nvme*n*; do
		[[ -e $ns/size ]] || continue
		size=$(<"$ns/size") role=origin
		((size >= origin_sectors)) || role=ssd
		[[ $role == "$1" && $(<"$ns/queue/logical_block_size") == "$3" ]] || continue
		type=$(pi profile "dev=/dev/${ns##*/}")
		[[ $type == "type=$wanted "* ]] && echo "/dev/${ns##*/}" && return
	done
	fail "no name space for $1, type $2, $3 bytes"
}

# Zeroes, with the block layer's tuples. QEMU has no tuples for what was never written, and checks them
# nevertheless once its neighbour in the file's block is.
blank() {
	dd if=/dev/zero of="$1" bs=1M oflag=direct status=none count=$(($(sectors_of "$1") / MIB))
}

# make_nvme [TYPE]: of the cache device
make_nvme() {
	origin=$(nvme_disk origin "$pi_type" "$interval")
	local whole
	whole=$(nvme_disk ssd "${1:-$pi_type}" "$interval")
	# Of metadata without PI, QEMU (7.2) takes only the first few when they are more than 512 bytes, and
	# not a multiple of these.
	[[ ${1:-} != 0 ]] || echo $((64 * interval / 1024)) >"/sys/block/${whole##*/}/queue/max_sectors_kb"
	blank "$origin"
	ssd=${whole}p1
	if [[ ! -b $ssd ]]; then
		blank "$whole"
		cache_partition "$whole"
		wait_until 10 test -b "$ssd" || fail "no $ssd"
	fi
	blank "$ssd"
}

# In memory, of our own: for kernels that have neither of the others. The cache device may have another
# format, $ssd_format (TYPE,GUARD,INTERVAL).
make_ram() {
	local format=$pi_type,$pi_guard,$interval
	unload_modules pi-disk
	load_module pi-disk \
		disks="pi-origin,$format,$((origin_sectors / MIB));pi-ssd,${ssd_format:-$format},$((ssd_sectors / MIB))"
	wait_until 10 test -b /dev/pi-ssd || fail "no /dev/pi-ssd"
	origin=/dev/pi-origin ssd=/dev/pi-ssd
}

# The cache device is dm-integrity, with its journal, on a disk that can lose power, /dev/below. It may have
# another format, $ssd_format (TAG-SIZE BLOCK-SIZE [CHECKSUM]).
make_integrity() {
	local tag block sum options=1 table mark
	read -r tag block sum <<<"${ssd_format:-8 $interval}"
	make_scsi
	modprobe dm-integrity
	add_disk below 12M type=ssd
	[[ ! $sum ]] || options="2 internal_hash:$sum"
	table="integrity /dev/below 0 $tag J $options block_size:$block"
	# a blank disk is formatted by whoever asks for one block; then it names its length
	dmsetup create tuples --table "0 $((block / 512)) $table"
	dmsetup remove tuples
	integrity_table="0 $(od -A n -t u8 -j 16 -N 8 /dev/below | tr -d ' ') $table"
	dmsetup create tuples --table "$integrity_table"
	ssd=/dev/mapper/tuples
	# Where its first sector lies, as all sectors are in one piece on so small a disk. What is in the
	# journal, too, comes before.
	mark="here $RANDOM$RANDOM$RANDOM"
	printf "%-${block}s" "$mark" | dd of=$ssd bs="$block" oflag=direct status=none
	write_back_integrity
	mark=$(LC_ALL=C grep -abo "$mark" /dev/below | tail -n 1)
	integrity_at=$((${mark%%:*} / 512))
}

# From the journal to its place.
write_back_integrity() {
	dmsetup suspend --nolockfs tuples
	dmsetup resume tuples
}

# The power is off and the cache is gone: on again, with all that is between the cache and its disks anew.
power_up() {
	[[ $kind != integrity ]] || dmsetup remove tuples
	power revive
	[[ $kind != integrity ]] || dmsetup create tuples --table "$integrity_table"
}

# The disks of the world, and a metadata device that can lose power and has no PI.
make_world() {
	case $kind in
	scsi) make_scsi ;;
	nvme) make_nvme ;;
	ram) make_ram ;;
	carrier) ssd_format=${ssd_format:-0,$pi_guard,$interval} make_ram ;;
	opaque) make_nvme 0 ;;
	integrity) make_integrity ;;
	*) fail "no such world: $kind" ;;
	esac
	add_disk meta 2M type=ssd
	# shellcheck disable=SC2034  # used by the suites
	meta=/dev/meta hdd=$origin ssd_disk=$ssd
}

# What the next read of this sector finds is another sector's data under the old tuple: written below
# everything, without a check. damage DEVICE SECTOR
damage() {
	local disk=$1 lba=$(($2 / step)) sys=/sys/class/block/${1##*/}
	if [[ -e $sys/partition ]]; then
		lba=$(($(<"$sys/start") / step + lba))
		disk=/dev/$(basename "$(dirname "$(realpath "$sys")")")
	fi
	head -c "$interval" /dev/urandom >"$work/noise"
	case $disk in
	/dev/sd*)
		# WRITE(10) with WRPROTECT=0: the tuple stays
		# shellcheck disable=SC2046  # bytes
		sg_raw -s "$interval" -i "$work/noise" "$disk" 2a 00 \
			$(printf '%08x' $lba | sed 's/../& /g') 00 00 01 00
		;;
	/dev/pi-*) echo "${disk#/dev/} $2" >/sys/module/pi_disk/parameters/damage ;;
	/dev/mapper/tuples)
		# on the disk below: the tuple, which lies elsewhere, stays
		write_back_integrity
		dd if="$work/noise" of=/dev/below bs=512 seek=$((integrity_at + $2)) oflag=direct status=none
		;;
	/dev/nvme*)
		# Of our own making: no checks, a tuple that fits nothing. --force: while it is in use
		printf '\0\0\0\0\0\0\0\0' >"$work/tuple"
		nvme write "$disk" --start-block=$lba --block-count=0 --data-size="$interval" \
			--data="$work/noise" --metadata="$work/tuple" --metadata-size=8 \
			--prinfo=0 --force
		;;
	esac
}

# --- caches ---

# shellcheck disable=SC2034  # used by table_line
pi_feature() { features="$mode pi=$1"; }

# new_cache [MODE [PI]]
new_cache() {
	mode=${1:-writeback}
	pi_feature "${2:-require}"
	create
}

# switch_mode MODE: by a reload, with the same answer to PI
switch_mode() {
	features="$1 ${features#* }"
	reload
}

pi_state() { stats | sed -n 's/.*"pi":"\([^"]*\)".*/\1/p'; }
profile() { pi profile "dev=$1" | sed 's/ segments=.*//'; }

drain() {
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
}

# Between these nothing reaches the origin, reads neither.
freeze() { dmsetup suspend --noflush --nolockfs org; }
thaw() { dmsetup resume org; }

# The next cache is a new one.
blank_metadata() { head -c 8192 /dev/zero | dd of="$meta" bs=4096 oflag=direct status=none; }

# A cache over an origin that can be frozen.
new_frozen_cache() {
	linear org "$origin" 0 "$(sectors_of "$origin")"
	hdd=/dev/mapper/org
	new_cache "$@"
	freeze
}

# Sectors of a block: what lies together on the cache device.
block() { larder_stat block_sectors; }

# filled N: are at least so many slots in use?
filled() { [[ $(larder_stat slots_used) -ge $1 ]]; }
