#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For every step of a cache's life, the first thing that can fail does, then the second, and so on until
# the step is over without a fault: each allocation and each request to a disk. Whatever the step then
# answers, nothing may be left over from it, the data must be right, and the same step must succeed
# when tried again. In a guest with fault injection, see run-in-uml.
#
# usage: guest-fail-nth.sh [FAULTS]
#
#   FAULTS   at most so many for each step, 0 for all (default 60). Of more than that, which are pages of
#            large tables and reserves for the most part, two thirds are from the beginning and the end,
#            the rest is spread over what is between them.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=guest-lib.sh
. "$(dirname "$(realpath "$0")")/guest-lib.sh"

# --- steps: one program does them all, as starting one is what takes longest ---

begin_steps() {
	coproc "$BIN/dm-fail-nth"
	exec 5<&"${COPROC[0]}" 6>&"${COPROC[1]}"
}

# step N WORD...: sets happened, answer and text.
step() {
	local IFS='|'
	echo "$*" >&6
	IFS=' '
	read -r happened answer text <&5 || fail "dm-fail-nth died at '$*'"
}

# sure WORD...: a step that must succeed.
sure() {
	step 0 "$@"
	[[ $answer == ok ]] || fail "'$*' without a fault: $answer"
}

# --- the cache, the only device of device mapper ---

small_disks() {
	make_disks 1M 1M 2M
	dev=/dev/dm-0
	table=$(table_line)
	begin_steps
}

make_cache() {
	sure create cache
	sure load cache "$table"
}
cache_up() {
	make_cache
	sure resume cache
}
cache_down() {
	faulty_disks 0
	sure remove cache
	check_not_held "after the removal"
}
blank() {
	local sector
	for sector in 0 128; do
		sure discard /dev/meta $sector
	done
}

# Eight pieces of 128 sectors, dirty: 1 in the first four, 2 in the others.
pieces=(0 128 256 384 512 640 768 896)
dirty_cache() {
	local sector
	cache_up
	freeze_origin
	for sector in "${pieces[@]}"; do
		sure write $dev "$sector" $((1 + sector / 512))
	done
	sure flush $dev
}
check_data() {
	local sector
	for sector in "${pieces[@]}"; do
		step 0 check $dev "$sector" $((1 + sector / 512))
		[[ $answer == ok ]] || fail "contents of sectors $sector to $((sector + 127)): $answer ($1)"
	done
}

# --- the loop ---

# choose TOTAL: which of so many faults are to happen, into `chosen`.
choose() {
	local total=$1 n third=$((most / 3))
	chosen=()
	for ((n = 1; n <= total; n++)); do
		if [[ $most == 0 || $total -le $most || $n -le $third || $n -gt $((total - third)) ||
			$((n % ((total - 2 * third) / third + 1))) == 0 ]]; then
			chosen+=("$n")
		fi
	done
}

# each_fault NAME WORD...: calls before_NAME, then the step with one of its faults, then after_NAME with
# what the step answered ("ok" or an error); first without a fault, then for each of those that are chosen.
each_fault() {
	local name=$1 n failures=0 happened='' answer='' text='' total chosen one_answer
	shift
	"before_$name"
	faulty_disks 1
	step 1000000 "$@"
	faulty_disks 0
	total=$happened
	check "without a fault" ok "$answer"
	check_that "things that can fail" "$total > 0"
	"after_$name" ok
	choose "$total"
	for n in "${chosen[@]}"; do
		"before_$name"
		faulty_disks 1
		step "$n" "$@"
		faulty_disks 0
		one_answer=$answer
		echo "$name, fault $n: $happened $answer"
		[[ $answer == ok ]] || failures=$((failures + 1))
		"after_$name" "$one_answer"
	done
	[[ ! -e /sys/block/dm-0 ]] || cache_down
	echo "$*: $total things can fail, ${#chosen[@]} did, $failures of them failed it" |
		tee -a "$work/faults"
}

# --- loading a table ---

before_load() { sure create cache; }
after_load() {
	if [[ $1 != ok ]]; then
		check_not_held "after load answered $1"
		sure load cache "$table"
	fi
	sure resume cache
	cache_down
}
test_load_on_blank() {
	small_disks
	each_fault load load cache "$table"
}
test_load_of_existing() {
	small_disks
	dirty_cache
	cache_down
	each_fault load load cache "$table"
	cache_up
	check_data "at the end"
}

before_create() { :; }
after_create() {
	[[ $1 == ok ]] || sure create cache
	sure remove cache
}
test_create() {
	small_disks
	each_fault create create cache
}

before_clear() { make_cache; }
after_clear() {
	[[ $1 == ok ]] || sure clear cache
	check_not_held "after clear"
	sure remove cache
}
test_clear() {
	small_disks
	each_fault clear clear cache
}

# --- resuming: formats, loads, recovers, or finds what it left ---

# Whatever state a failed resume left, nobody may be hurt by asking.
poke() {
	step 0 message cache stats
	step 0 status cache
	step 0 status-noflush cache
	step 0 table cache
	step 0 message cache "small_percent 11"
	step 0 message cache "migration_threshold 4096"
}

# A table that was not swapped in was destroyed by device mapper.
resume_again() {
	[[ $1 != ok ]] || return 0
	poke
	step 0 resume cache
	if [[ $answer == ok ]]; then
		step 0 status cache
		[[ ! $text ]] || return 0
	fi
	sure load cache "$table"
	sure resume cache
}

before_format() {
	blank
	make_cache
}
after_format() {
	resume_again "$1"
	sure write $dev 0 3
	sure check $dev 0 3
	cache_down
}
test_resume_on_blank() {
	small_disks
	each_fault format resume cache
}

before_existing() { make_cache; }
after_existing() {
	resume_again "$1"
	check_data "resume answered $1"
	sure message cache stats
	[[ $text == *'"slots_dirty":32,'* ]] || fail "not 32 dirty after resume answered $1: $text"
	cache_down
}
test_resume_of_existing() {
	small_disks
	dirty_cache
	cache_down
	each_fault existing resume cache
}

# A cut leaves the same metadata each time: the changed part of it is put back.
before_recovery() {
	dd if="$work/meta.image" of=/dev/meta bs=256K oflag=direct conv=fsync status=none
	make_cache
}
after_recovery() {
	resume_again "$1"
	check_data "resume answered $1"
	cache_down
}
test_resume_of_unclean() {
	small_disks
	dirty_cache
	power "cut 1 keep=100"
	sure remove cache
	power revive
	dd if=/dev/meta of="$work/meta.image" bs=256K iflag=direct status=none
	freeze_origin
	each_fault recovery resume cache
}

before_same() { sure suspend cache; }
after_same() {
	resume_again "$1"
	check_data "resume answered $1"
}
test_resume_of_same() {
	small_disks
	dirty_cache
	each_fault same resume cache
}

# --- a reload: the old table is suspended, the new one resumed ---

before_reload() {
	toggle=$((1 - toggle))
	table=${tables[toggle]}
	sure load cache "$table"
}
after_reload() {
	resume_again "$1"
	check_data "resume answered $1"
}
test_reload() {
	local toggle=0 tables
	small_disks
	# shellcheck disable=SC2034  # read by table_line
	tables=("$table" "$(features=writethrough table_line)")
	dirty_cache
	each_fault reload resume cache
}

# --- suspending, removing ---

before_suspend() { sure write $dev 896 2; }
after_suspend() {
	sure resume cache
	check_data "suspend answered $1"
}
test_suspend() {
	small_disks
	dirty_cache
	each_fault suspend suspend cache
	dirty_cache
	each_fault suspend suspend-noflush cache
}

before_remove() { sure write $dev 896 2; }
after_remove() {
	if [[ ! -e /sys/block/dm-0 ]]; then
		check_not_held "after remove answered $1"
		cache_up
	else
		[[ $1 != ok ]] || fail "removed, and still there"
		# It may have been left suspended.
		sure resume cache
	fi
	check_data "remove answered $1"
}
test_remove() {
	small_disks
	dirty_cache
	each_fault remove remove cache
}

# --- asking ---

before_ask() { :; }
after_ask() { :; }
test_ask() {
	small_disks
	dirty_cache
	cache_down
	for words in "message cache stats" "status cache" "status-noflush cache" "table cache"; do
		cache_up
		# Word splitting is wanted.
		# shellcheck disable=SC2086
		each_fault ask $words
	done
	for words in "small_percent 12" "migration_threshold 4096"; do
		cache_up
		each_fault ask message cache "$words"
	done
	cache_up
	check_data "at the end"
}

# --- requests: what the thread that sends them allocates ---

before_request() { :; }
after_request() {
	[[ $1 == ok || $1 == EIO || $1 == ENOMEM ]] || fail "answered $1"
}
# requests TABLE: on a new cache each; a write is found when it is done again.
requests() {
	local request words table=$1
	for request in "write $dev 0 7" "write $dev 1003 8" "read $dev 0" "read $dev 1003" "read $dev 2048" \
		"flush $dev" "discard $dev 0"; do
		blank
		cache_up
		sure write $dev 0 5
		sure write $dev 1024 5
		read -r -a words <<<"$request"
		each_fault request "${words[@]}"
		[[ ${words[0]} == write ]] || continue
		cache_up
		sure "${words[@]}"
		sure check "${words[@]:1}"
		cache_down
	done
}
test_requests() {
	small_disks
	requests "$table"
	requests "$(features=writethrough table_line)"
}

# --- the module itself ---

before_insmod() { rmmod dm-larder; }
after_insmod() { [[ $1 == ok ]] || load_module dm-larder; }
test_insmod() {
	small_disks
	each_fault insmod insmod "$(module_dir)/dm-larder.ko"
}

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
most=${1:-60}
TEST_SECONDS=${TEST_SECONDS:-1500}
begin_suite
sensitive_faults
faults_off
for name in create load_on_blank load_of_existing clear resume_on_blank resume_of_existing \
	resume_of_unclean resume_of_same reload suspend remove ask requests insmod; do
	! chosen "$name" || run_test "$name" "test_$name"
done
[[ ! -e $work/faults ]] || cat "$work/faults"
end_suite
