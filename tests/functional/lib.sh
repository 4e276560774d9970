# SPDX-License-Identifier: GPL-2.0-or-later
# What the functional suites share inside a guest: the list of tests with its watchdog, simulated disks,
# caches on them, and the figures that both report. Sourced by guest-*.sh after `set -euo pipefail`.
# shellcheck shell=bash

FUNCTIONAL_DIR=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=../vm/guest-lib.sh
. "$FUNCTIONAL_DIR/../vm/guest-lib.sh"

BIN=$(realpath "$FUNCTIONAL_DIR/../../build/bin")
SIMDISK=/sys/kernel/simdisk
work=/tmp/functional
why=$work/why
# Without udev nothing opens a device behind a test's back, and counters stay exact.
export DM_DISABLE_UDEV=1

# --- the list of tests ---

# fail WHY...: ends the running test.
fail() {
	echo "$*" >"$why"
	exit 1
}

# check WHAT EXPECTED FOUND
check() { [[ $2 == "$3" ]] || fail "$1: expected '$2', found '$3'"; }

# check_that WHAT ARITHMETIC: a condition of bash's (( ))
check_that() { (($2)) || fail "$1: not true: $2"; }

# fails WHAT COMMAND...: the command must not succeed.
fails() {
	local what=$1
	shift
	if "$@" >"$work/output" 2>&1; then fail "$what: succeeded, should fail: $*"; fi
}

# Says which command of a test failed, when the test itself did not.
on_error() {
	[[ -s $why ]] || echo "line $2: failed with exit code $1: $3" >"$why"
}

# A test that hangs cannot be ended from inside: its tasks are shown, and the guest is switched off.
watchdog() {
	sleep "$1" || exit 0
	echo "not ok $2: hangs: not over after $1 s; tasks that wait are on the console"
	echo "$((passed)) passed, $((failed + 1)) failed, 0 skipped"
	echo w >/proc/sysrq-trigger
	sleep 5
	echo o >/proc/sysrq-trigger
}

# run_test NAME COMMAND...: one test in a subshell; prints its line.
run_test() {
	local name=$1 code=0 guard begun=$SECONDS
	shift
	: >"$why"
	echo "functional: $name" >/dev/kmsg
	watchdog "${TEST_SECONDS:-300}" "$name" 2>/dev/null &
	guard=$!
	set +e
	(
		set -eE
		trap 'on_error $? $LINENO "$BASH_COMMAND"' ERR
		"$@"
	) >"$work/test.log" 2>&1
	code=$?
	set -e
	clean_up >>"$work/test.log" 2>&1 || { code=1 && echo "cannot clean up after it" >>"$why"; }
	pkill -P "$guard" || true
	wait "$guard" 2>/dev/null || true
	if [[ $code == 0 ]]; then
		passed=$((passed + 1))
		echo "ok $name ($((SECONDS - begun)) s)"
	else
		failed=$((failed + 1))
		echo "not ok $name: $(tr '\n' ' ' <"$why")"
		tail -n 15 "$work/test.log" | sed 's/^/    /'
		dmesg | sed -n "/functional: ${name//\//.}\$/,\$p" | tail -n 30 | sed 's/^/    | /'
	fi
}

# chosen NAME: does it match one of the patterns in $TESTS?
chosen() {
	local pattern patterns
	read -r -a patterns <<<"${TESTS:-*}"
	for pattern in "${patterns[@]}"; do
		# The right-hand side is meant as a pattern.
		# shellcheck disable=SC2053
		[[ $1 == $pattern ]] && return 0
	done
	return 1
}

# run_suite TEST...: the functions test_TEST that are chosen. Prints the sum.
run_suite() {
	local name
	for name; do
		! chosen "$name" || run_test "$name" "test_$name"
	done
	end_suite
}

end_suite() {
	echo "$passed passed, $failed failed, 0 skipped"
	[[ $failed -eq 0 ]]
}

begin_suite() {
	passed=0 failed=0
	mkdir -p "$work"
	! pidof systemd-udevd >/dev/null || udevadm control --exit 2>/dev/null || true
	wait_until 10 eval '! pidof systemd-udevd >/dev/null' || guest_die "udevd does not end"
	load_modules simdisk dm-larder
	modprobe -a dm-mod
	clean_up
}

# Takes away every device of a test, dead ones too.
clean_up() {
	local name
	umount -q /mnt 2>/dev/null || true
	[[ ! -e $SIMDISK/power ]] || power revive
	for name in /sys/block/*/simdisk/errors; do
		[[ ! -e $name ]] || echo clear >"$name"
	done
	# A suspended device is resumed, as removing one may wait for ever; caches go before what they use.
	for _ in 1 2 3 4; do
		compgen -G '/sys/block/dm-*/dm/name' >/dev/null || break
		for name in /sys/block/dm-*/dm/name; do
			[[ $(<"${name%name}suspended") == 0 ]] || dmsetup resume "$(<"$name")" || true
		done
		dmsetup remove_all >/dev/null 2>&1 || true
	done
	! compgen -G '/sys/block/dm-*' || { dmsetup ls --tree && return 1; }
	for name in /sys/block/*/simdisk; do
		[[ ! -e $name ]] || basename "$(dirname "$name")" >$SIMDISK/remove
	done
}

# --- simulated disks ---

power() { echo "$*" >$SIMDISK/power; }
power_is_off() { [[ $(<$SIMDISK/power) == off ]]; }

# add_disk NAME SIZE WORD...
add_disk() {
	echo "name=$1 size=$2 fast=1 ${*:3}" >$SIMDISK/add
	wait_until 10 test -b "/dev/$1" || fail "no /dev/$1"
}

# make_disks META SSD HDD [SSD-WORDS [HDD-WORDS]]: /dev/meta, /dev/ssd and /dev/hdd of these sizes.
make_disks() {
	add_disk meta "$1" type=ssd "${4:-}"
	add_disk ssd "$2" type=ssd "${4:-}"
	add_disk hdd "$3" type=hdd discard=1 "${5:-}"
	meta=/dev/meta ssd=/dev/ssd hdd=/dev/hdd
}

# disk_stat DISK COUNTER
disk_stat() {
	local key value
	while read -r key value; do
		[[ $key != "$2" ]] || echo "$value"
	done <"/sys/block/$1/simdisk/stats"
}
reset_stats() {
	local disk
	for disk; do echo 0 >"/sys/block/$disk/simdisk/stats"; done
}

# Everything that changed a disk or made it flush, of several disks.
changes_of() {
	local disk files=()
	for disk; do
		files+=("/sys/block/$disk/simdisk/stats")
	done
	grep -E '^(writes|fua_writes|write_zeroes|discards|flushes|idle_flushes) ' "${files[@]}"
}

# While its writes fail, nothing is destaged: what is dirty stays dirty.
freeze_origin() { echo "add 0 0 w EIO" >/sys/block/hdd/simdisk/errors; }
thaw_origin() { echo clear >/sys/block/hdd/simdisk/errors; }

# linear NAME DEVICE START SECTORS: a piece of a device as /dev/mapper/NAME
linear() {
	dmsetup create "$1" --table "0 $4 linear $2 $3"
}

sectors_of() { blockdev --getsz "$1"; }

# --- caches ---

# What table_line is made of; `length` is the table's, instead of the origin's.
chunk=64 features=writeback policy=s3fifo policy_args='' length=''
meta=/dev/meta ssd=/dev/ssd hdd=/dev/hdd
# shellcheck disable=SC2034  # used by the suites
dev=/dev/mapper/cache

table_line() {
	# Words are counted by splitting.
	# shellcheck disable=SC2206
	local f=($features) p=($policy_args)
	f=("${#f[@]}" "${f[@]}") p=("${#p[@]}" "${p[@]}")
	echo "0 ${length:-$(sectors_of "$hdd")} larder $meta $ssd $hdd $chunk ${f[*]} $policy ${p[*]}"
}

create() { dmsetup create cache --table "$(table_line)"; }
remove() { dmsetup remove cache; }
reload() {
	dmsetup load cache --table "$(table_line)"
	dmsetup suspend cache
	dmsetup resume cache
}

# Field number of the status line, counted from the first after the target's name.
status_field() {
	local fields
	read -r -a fields < <(dmsetup status --noflush cache)
	echo "${fields[$1 + 2]}"
}
dirty() { status_field 11; }
is_clean() { [[ $(dirty) == 0 ]]; }

stats() { dmsetup message cache 0 stats; }
# larder_stat KEY: a number of the answer to the message "stats".
larder_stat() {
	[[ $(stats) =~ \"$1\":([0-9]+|true|false) ]] || fail "stats has no number '$1'"
	echo "${BASH_REMATCH[1]}"
}
health() { stats | sed 's/.*"health":"\([^"]*\)".*/\1/'; }

# --- I/O ---

write_tags() { "$BIN/simdisk-io" write "$@"; }
tags() { "$BIN/simdisk-io" tags "$@" | sed 's/ $//'; }
flush() { check "FLUSH of $1" OK "$("$BIN/simdisk-io" try f "$1" 0 0)"; }
# Whole device, direct.
sum_of() { dd if="$1" bs=1M iflag=direct status=none | sha256sum | cut -d' ' -f1; }

# --- the kernel's log ---

log_mark() { log_from="functional mark $RANDOM$RANDOM" && echo "$log_from" >/dev/kmsg; }
log_since() { dmesg | sed -n "/$log_from/,\$p"; }
# log_has WHAT TEXT
log_has() {
	[[ $(log_since) == *"$2"* ]] || fail "$1: the log has no '$2': $(log_since | tail -n 5)"
}
