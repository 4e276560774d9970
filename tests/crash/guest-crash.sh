#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest's part of tests/crash/crash: loads on a cache whose devices log everything, then power cuts
# at many places in these logs, after each of which the cache is made anew and everything is judged.
#
# usage: guest-crash.sh SEED RANDOM LIMIT CONFIGURATION...
#
#   SEED           of the loads, of the cuts and of what they leave
#   RANDOM         cuts at random events of each configuration
#   LIMIT          cuts at FLUSHes and FUA writes of each, if there are more of these
#   CONFIGURATION  GROUND,LOAD,MODE,CHUNK: see configurations in tests/crash/crash
#
# PLANT=no-flushes in the environment makes the replay take flushes for nothing. KEEP=yes leaves logs,
# ledgers and the arguments for crash-replay in /share.
# TESTS: patterns of names, others are left out.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../functional/lib.sh
. "$(dirname "$(realpath "$0")")/../functional/lib.sh"

ledger=$work/ledger
journal=$work/journal
marks=$work/marks
meta_sectors=2048

# --- the two grounds ---

# Three parts of one device that log-writes logs. One queue, so that flushes complete in their order.
ground_log_writes() {
	total=$((meta_sectors + ssd_sectors + hdd_sectors))
	add_disk all $((total * 512)) queues=1 discard=1
	add_disk log 192M
	dmsetup create logged --table "0 $total log-writes /dev/all /dev/log"
	linear meta /dev/mapper/logged 0 $meta_sectors
	linear ssd /dev/mapper/logged "$meta_sectors" "$ssd_sectors"
	linear hdd /dev/mapper/logged $((meta_sectors + ssd_sectors)) "$hdd_sectors"
	meta=/dev/mapper/meta ssd=/dev/mapper/ssd hdd=/dev/mapper/hdd
	export CRASH_MARKS="log-writes logged"
	log=(--log-writes /dev/log --disk "0:0:$total")
}

end_log_writes() {
	dmsetup remove meta ssd hdd
	dmsetup remove logged
	originals=(/dev/all)
}

# Three disks, with simdisk's log over all of them. KIND: volatile, no-fua, durable, durable-ssd.
ground_simdisk() {
	local ssd_words='' hdd_words='' name number ssd_flag='' hdd_flag='' first=0 flag
	case $1 in
	no-fua) ssd_words=fua=0 ;;
	durable) ssd_words=wc=0 hdd_words=wc=0 ssd_flag=:durable hdd_flag=:durable ;;
	durable-ssd) ssd_words=wc=0 ssd_flag=:durable ;;
	esac
	# Fast, but not at once: requests are to be under way together and to overtake each other.
	local delays="read_us=0 mbps=0" arm="seek_min_us=0 seek_max_us=200 rpm=600000"
	echo "name=meta size=$((meta_sectors * 512)) $delays $ssd_words" >$SIMDISK/add
	echo "name=ssd size=$((ssd_sectors * 512)) $delays $ssd_words" >$SIMDISK/add
	echo "name=hdd size=$((hdd_sectors * 512)) type=hdd discard=1 flush_us=300 $delays $arm $hdd_words" \
		>$SIMDISK/add
	echo 0 >/sys/kernel/debug/simdisk/data
	meta=/dev/meta ssd=/dev/ssd hdd=/dev/hdd
	: >"$marks"
	export CRASH_MARKS="simdisk $marks"
	log=(--simdisk /sys/kernel/debug/simdisk/data --marks "$marks")
	for name in meta ssd hdd; do
		wait_until 10 test -b /dev/$name || fail "no /dev/$name"
		number=$(</sys/block/$name/simdisk/number)
		flag=$ssd_flag
		[[ $name != hdd ]] || flag=$hdd_flag
		log+=(--disk "$number:$first:$(sectors_of /dev/$name)$flag")
		first=$((first + $(sectors_of /dev/$name)))
	done
	total=$first
}

end_simdisk() { originals=(/dev/meta /dev/ssd /dev/hdd); }

# --- the loads: run, and judged on the cache made anew with the ledger so far in $ledger.part ---

load_oracle() {
	CRASH_JOURNAL=$journal "$BIN/crash-oracle" run $dev --journal "$journal" --ack-stream "$ledger" \
		--seed "$1" --ops "${oracle_ops:-160}" --threads 4 --sizes 512..64K --unaligned --mix "$mix"
}
judge_oracle() {
	"$BIN/crash-oracle" verify $dev --journal "$journal.begun" --ack-stream "$ledger.part" \
		--no-adopt --reread 0
}

load_files() {
	case $1 in
	ext4) mkfs.ext4 -q -b 4096 -E nodiscard $dev ;;
	xfs) mkfs.xfs -q -K $dev ;;
	esac
	mount $dev /mnt
	"$BIN/fs-load" run /mnt "$ledger" "$2" "${file_operations:-60}"
	umount /mnt
}
judge_files() {
	mount $dev /mnt || fail "cannot be mounted"
	"$BIN/fs-load" verify /mnt "$ledger.part"
	umount /mnt
	case $1 in
	ext4) e2fsck -fn $dev ;;
	xfs) xfs_repair -n $dev ;;
	esac
}

load_ext4() { load_files ext4 "$1"; }
load_xfs() { load_files xfs "$1"; }
judge_ext4() { judge_files ext4; }
judge_xfs() { judge_files xfs; }

# --- cuts ---

# Whatever the recovery writes goes to a snapshot, and away with it.
take_copy() {
	local m=$meta_sectors s=$ssd_sectors h=$hdd_sectors
	dmsetup create --concise "copy,,,rw,0 $total snapshot /dev/base /dev/overlay N 8;\
cmeta,,,rw,0 $m linear /dev/mapper/copy 0;cssd,,,rw,0 $s linear /dev/mapper/copy $m;\
chdd,,,rw,0 $h linear /dev/mapper/copy $((m + s))"
	meta=/dev/mapper/cmeta ssd=/dev/mapper/cssd hdd=/dev/mapper/chdd
}

ask() {
	echo "$*" >&"${REPLAY[1]}"
	read -r -t 120 -u "${REPLAY[0]}" answer || fail "crash-replay: no answer to '$*'"
}

# one_cut NUMBER MANNER SEED LOAD
one_cut() {
	local known lost_here flight kind what
	ask "cut $1 $2 $3"
	read -r known lost_here flight kind <<<"$answer"
	what="cut behind event $1 ($kind), surviving: $2, seed $3, $lost_here sectors lost, $flight in flight"
	echo "--- $what, ledger $known, after $SECONDS s"
	head -c "$known" "$ledger" >"$ledger.part"
	lost=$((lost + lost_here)) in_flight=$((in_flight + flight))
	take_copy
	"$BIN/larder" check $meta >"$work/judged" 2>&1 ||
		fail "$what: larder check: $(tail -n 3 "$work/judged")"
	create >"$work/judged" 2>&1 || fail "$what: the cache cannot be made anew: $(dmesg | tail -n 2)"
	[[ $(stats) == *'"health":"ok"'* ]] || fail "$what: health: $(stats)"
	"judge_$4" >"$work/judged" 2>&1 || fail "$what: $4: $(head -n 4 "$work/judged")"
	dmsetup remove cache chdd cssd cmeta copy
}

manners=(nothing writes sectors nothing disks everything)

# all_cuts SEED LOAD: at every FLUSH and FUA write, or as many as are wanted, and at random events.
all_cuts() {
	local plan number seed=$1
	ask "plan $seed $nr_random $limit"
	read -r -a plan <<<"$answer"
	lost=0 in_flight=0 cuts=0
	for number in "${plan[@]}"; do
		one_cut "$number" "${manners[(cuts + seed) % ${#manners[@]}]}" $((seed * 100000 + cuts)) "$2"
		cuts=$((cuts + 1))
	done
}

# With everything done and kept the image must be what the disks hold: else the log is not complete.
compare_with_originals() {
	ask end
	ask "cut $answer everything 0"
	cmp <(cat "${originals[@]}") <(head -c $((total * 512)) /dev/base) ||
		fail "the whole log does not lead to what the disks hold"
}

keep() {
	local name="$*"
	local directory=/share/${name//[ :,]/-}
	[[ ${KEEP:-} ]] || return 0
	mkdir -p "$directory"
	cp --sparse=always "${log[1]}" "$directory/log"
	cp "$ledger" "$journal.begun" "$marks" "$directory/" 2>/dev/null || true
	echo "${log[*]}" >"$directory/arguments"
}

# configuration SEED GROUND LOAD MODE CHUNK
configuration() {
	local seed=$1 ground=${2%%:*} load=$3 length fd
	features=$4 chunk=$5 mix=40,40,6,6,5,3
	# As small as the load allows: each cut reads all of the origin, or checks a file system on it.
	case $load in
	oracle) ssd_sectors=$((2 << 11)) hdd_sectors=$((8 << 11)) ;;
	ext4) ssd_sectors=$((4 << 11)) hdd_sectors=$((24 << 11)) ;;
	xfs) ssd_sectors=$((8 << 11)) hdd_sectors=$((304 << 11)) ;;
	esac
	# See crash-replay: log-writes does not say what came first, a FUA write or another to its place.
	[[ $ground != log_writes ]] || mix=40,40,12,0,5,3
	"ground_$ground" "${2#*:}"
	length=$hdd_sectors
	create
	"load_$load" "$seed"
	echo "--- load over after $SECONDS s"
	if [[ $features == writeback ]]; then
		policy=cleaner reload
		wait_until 60 is_clean || fail "$(dirty) blocks stay dirty"
	fi
	echo "--- loaded after $SECONDS s"
	remove
	"end_$ground"
	keep "$@"
	add_disk base $((total * 512))
	add_disk overlay 64M
	coproc REPLAY { exec "$BIN/crash-replay" "${log[@]}" ${PLANT:+--plant "$PLANT"} /dev/base; }
	fd=${REPLAY[1]}
	all_cuts "$seed" "$load"
	[[ $2 == simdisk:durable ]] || check_that "cuts lose something" "$lost > 0"
	compare_with_originals
	echo "$cuts cuts, $lost sectors lost, $in_flight writes in flight" >"$work/result"
	exec {fd}>&-
	wait "$REPLAY_PID"
}

[[ $# -ge 4 && $1 != --help ]] || { sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0"; exit 2; }
first_seed=$1 nr_random=$2 limit=$3
shift 3
load_module simdisk log_data_kib=$((128 << 10))
modprobe -a dm-log-writes dm-snapshot
begin_suite
for words; do
	name="$words,$first_seed"
	: >"$work/result"
	# shellcheck disable=SC2086
	! chosen "$name" || TEST_SECONDS=1500 run_test "$name" configuration "$first_seed" ${words//,/ }
	[[ ! -s $work/result ]] || echo "    $(<"$work/result")"
done
end_suite
