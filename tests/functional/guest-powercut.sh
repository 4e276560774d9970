#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Power cuts by simdisk, in a guest: during load, FLUSH and FUA, destage, checkpoints, a suspend, and
# during the recovery from the cut before. After each the cache is made anew and every sector is
# judged by oracle-io, twice; `larder check` looks at the metadata before. Format, recovery and stop are
# also cut after each single event. See run-in-vm.
#
# usage: guest-powercut.sh [SEED [ROUNDS]]
#
#   SEED     of everything that is random (default 1)
#   ROUNDS   how often each configuration goes through all kinds of cuts (default 1)

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

journal=$work/journal

# --- a configuration: NAME MODE CHUNK and where its devices are ---

# set_up TOPOLOGY: volatile, no-fua, non-volatile, whole-pages (which go back as a whole), one-ssd, small-journal.
set_up() {
	local words=''
	case $1 in
	no-fua) words=fua=0 ;;
	non-volatile) words=wc=0 ;;
	whole-pages) words=atomic=4096 ;;
	esac
	make_disks 2M 14M 64M "$words" "$([[ $1 != non-volatile ]] || echo wc=0)"
	case $1 in
	one-ssd)
		linear first /dev/ssd 0 4096
		linear rest /dev/ssd 4096 $(($(sectors_of /dev/ssd) - 4096))
		meta=/dev/mapper/first ssd=/dev/mapper/rest
		;;
	small-journal)
		linear first /dev/meta 0 $((130 * 8))
		meta=/dev/mapper/first
		;;
	esac
}

oracle_run() {
	local code=0
	"$BIN/oracle-io" run $dev --journal "$journal" --seed $RANDOM --threads 4 --sizes 512..256K \
		--unaligned "$@" || code=$?
	# Dead because of the cut, or over before it.
	[[ $code == 0 || $code == 75 ]] || fail "oracle-io run: exit code $code"
}

first_run() {
	oracle_run --span $((20 << 20)) --offset $((44 << 20)) --ops 100
}

# The cut that was armed, or one at once.
cut_now() {
	power_is_off || power "cut $RANDOM moods"
	wait_until 30 power_is_off || fail "the power does not go off"
}

# After a cut: another cut while it recovers, RECOVERIES times, then for good. Everything is judged.
recover() {
	local recoveries=$1 unclean=false
	cut_now
	dmsetup remove cache
	while ((recoveries-- > 0)); do
		power revive
		power "cut $RANDOM after $((1 + RANDOM % 25)) moods"
		! create || dmsetup remove cache
		cut_now
	done
	power revive
	"$BIN/larder" check $meta >"$work/check" || fail "larder check finds damage after the cut: $(cat "$work/check")"
	# A recovery may have been over, and its cache removed in order, before it could be cut.
	grep -q "stopped in order: yes" "$work/check" || unclean=true
	create
	check "an unclean stop is noticed" $unclean "$(larder_stat recovered)"
	check "health" ok "$(health)"
	check_that "no more dirty than used" "$(larder_stat slots_dirty) <= $(larder_stat slots_used)"
	[[ $features != writethrough ]] || check "dirty in write-through" 0 "$(dirty)"
	"$BIN/oracle-io" verify $dev --journal "$journal" --reread 1
}

# --- kinds of cuts; each leaves the power off, or about to be ---

cut_in_load() {
	power "cut $RANDOM after $((100 + RANDOM % 1500)) moods"
	oracle_run --continue --ops 600
}

cut_before_flush() {
	power "cut $RANDOM before flush $((1 + RANDOM % 25)) moods"
	oracle_run --continue --ops 600 --mix 20,50,15,15,0,0
}

cut_before_fua() {
	power "cut $RANDOM before fua $((1 + RANDOM % 25)) moods"
	oracle_run --continue --ops 600 --mix 20,50,15,15,0,0
}

cut_at_discard() {
	power "cut $RANDOM before discard $((1 + RANDOM % 6)) moods"
	oracle_run --continue --ops 500 --mix 20,40,8,4,25,3
}

cut_in_destage() {
	oracle_run --continue --ops 80 --mix 0,90,5,5,0,0
	power "cut $RANDOM after $((1 + RANDOM % 60)) moods"
	policy=cleaner
	reload || true
	policy=s3fifo
	wait_until 5 power_is_off || true
}

cut_in_checkpoint() {
	power "cut $RANDOM after $((800 + RANDOM % 1200)) moods"
	oracle_run --continue --ops 1500 --hot 0 --sizes 4K..8K --mix 5,55,25,15,0,0
}

cut_in_suspend() {
	oracle_run --continue --ops 80
	power "cut $RANDOM after $((1 + RANDOM % 12)) moods"
	dmsetup suspend cache || true
	wait_until 1 power_is_off || true
	cut_now
	dmsetup resume cache || true
}

cut_while_idle() {
	oracle_run --continue --ops 60
	sleep 1
	cut_now
}

kinds=(in_load before_flush before_fua at_discard in_destage in_checkpoint in_suspend while_idle)

# cuts SEED MODE CHUNK TOPOLOGY FIRST: five cuts, the kinds in turn from FIRST on.
cuts() {
	local i kind
	RANDOM=$1 features=$2 chunk=$3
	set_up "$4"
	create
	first_run
	for ((i = 0; i < 5; i++)); do
		kind=${kinds[($5 + i) % ${#kinds[@]}]}
		echo "--- cut $i: $kind"
		"cut_$kind"
		recover $((i % 3))
	done
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	remove
	"$BIN/oracle-io" verify $hdd --journal "$journal" --expect-exact
}

# --- what must be dirty, and what must be warm ---

# With frozen destage, the dirty blocks are known: those of before, those written since, and those whose
# group of slots was under an intent.
bounds() {
	local before intents after
	RANDOM=$1 features=writeback chunk=$2
	make_disks 2M 14M 64M
	create
	# Clean: 4 MiB; then dirty: 2 MiB.
	write_tags $dev 0 8192 1 64
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	policy=s3fifo reload
	freeze_origin
	write_tags $dev 16384 4096 2 64
	flush $dev
	before=$(larder_stat slots_dirty)
	check "dirty sectors" 4096 $((before * $(larder_stat block_sectors)))
	# Single sectors into clean blocks until the power goes.
	power "cut $RANDOM after $((5 + RANDOM % 40)) moods"
	intents=$(larder_stat intents)
	! write_tags $dev 0 1024 3 8 || cut_now
	wait_until 30 power_is_off || fail "the power does not go off"
	intents=$(($(larder_stat intents) - intents))
	dmsetup remove cache
	power revive
	create
	after=$(larder_stat slots_dirty)
	check_that "dirty: at least what was flushed" "$after >= $before"
	check_that "dirty: no more than that and groups under $intents intents" \
		"$after <= $before + 8 * $intents"
	check_that "warm: all that was clean" "$(larder_stat slots_used) * $(larder_stat block_sectors) >= 12288"
	reset_stats hdd
	check "contents of what was flushed" "2:4096" "$(tags $dev 16384 4096)"
	check "contents of what was clean" "1:7168" "$(tags $dev 1024 7168)"
	check "reads of the origin for them" 0 "$(disk_stat hdd reads)"
	tags $dev 0 1024
}

# --- every event of an operation, one after the other ---

save_disks() {
	local disk
	for disk in meta ssd hdd; do
		dd if=/dev/$disk of="$work/$disk.image" bs=1M iflag=direct status=none
	done
}

restore_disks() {
	local disk
	for disk in meta ssd hdd; do
		dd if="$work/$disk.image" of=/dev/$disk bs=1M oflag=direct conv=fsync status=none
	done
}

# A cache of clean (1) and dirty blocks (2) and blocks under an intent (3), stopped by a cut.
crashed_cache() {
	create
	write_tags $dev 0 1024 1 64
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	policy=s3fifo reload
	freeze_origin
	write_tags $dev 1024 512 2 64
	write_tags $dev 256 8 3
	flush $dev
	power "cut 1 keep=100"
	remove
	thaw_origin
	power revive
}

check_crashed_cache() {
	check "contents" "1:256 3:8 1:760 2:512" \
		"$(tags $dev 0 256) $(tags $dev 256 8) $(tags $dev 264 760) $(tags $dev 1024 512)"
	check_that "what is dirty" "$(larder_stat slots_dirty) >= 17"
	check "all is warm" 48 "$(larder_stat slots_used)"
}

# each_event OPERATION CHECK: cuts after the first, second .. event of the operation until it is over before
# the cut; after each the cache must come back and pass the check. The disks begin as they were saved.
each_event() {
	local number
	for ((number = 1; number < 200; number++)); do
		restore_disks
		echo "--- $1 cut after event $number"
		freeze_origin
		"before_$1"
		power "cut $number after $number moods"
		"$1" || true
		power_is_off || [[ $(<$SIMDISK/power) == "cutting" ]] || break
		cut_now
		[[ ! -e $dev ]] || remove
		thaw_origin
		power revive
		"$BIN/larder" check --activation $meta >"$work/check" || [[ $? == 65 ]] ||
			fail "larder check finds damage after event $number: $(cat "$work/check")"
		freeze_origin
		create
		"$2"
		power disarm
		remove
		thaw_origin
	done
	power disarm
	[[ ! -e $dev ]] || remove
	thaw_origin
	((number > 1 && number < 200)) || fail "the operation has $number events"
	echo "$1: $number events"
}

before_create() { :; }
before_remove() { create; }

check_new_cache() {
	check "contents" "0:1536" "$(tags $dev 0 1536)"
	write_tags $dev 0 64 4
	flush $dev
	check "contents" "4:64" "$(tags $dev 0 64)"
}

test_each_event_of_format() {
	make_disks 1M 1M 2M
	save_disks
	each_event create check_new_cache
}

test_each_event_of_recovery() {
	make_disks 1M 1M 2M
	crashed_cache
	save_disks
	each_event create check_crashed_cache
}

test_each_event_of_stop() {
	make_disks 1M 1M 2M
	crashed_cache
	save_disks
	each_event remove check_crashed_cache
}

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
seed=${1:-1} rounds=${2:-1}
configurations=("writeback 64 volatile" "writethrough 64 volatile" "writeback 8 small-journal"
	"writeback 192 no-fua" "writethrough 512 one-ssd" "writeback 512 one-ssd" "writeback 2048 non-volatile"
	"writethrough 8 whole-pages")
begin_suite
number=0
for ((round = 0; round < rounds; round++)); do
	for configuration in "${configurations[@]}"; do
		number=$((number + 1))
		name="powercut ${configuration// /,} from ${kinds[number % ${#kinds[@]}]}"
		# shellcheck disable=SC2086
		! chosen "$name" || run_test "$name" cuts $((seed * 1000 + number)) $configuration $((number + round))
	done
	for chunk in 8 64 512; do
		number=$((number + 1))
		name="bounds of dirty, chunk $chunk"
		! chosen "$name" || run_test "$name" bounds $((seed * 1000 + number)) $chunk
	done
done
run_suite each_event_of_format each_event_of_recovery each_event_of_stop
