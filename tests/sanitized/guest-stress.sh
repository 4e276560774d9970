#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Everything at once: many threads of checked and unchecked I/O while the cache is suspended, resumed,
# reloaded with another mode and policy, asked for its status and given messages, and while another cache
# beside it comes and goes; and the same while allocations of the module and requests to the disks fail.
# In a guest with fault injection; without it, `plain` only. See run-in-uml.
#
# usage: guest-stress.sh plain|faults [OPERATIONS [ROUNDS]]
#
#   OPERATIONS   of checked I/O in each round without faults (default 1500)
#   ROUNDS       with faults (default 3)

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=guest-lib.sh
. "$(dirname "$(realpath "$0")")/guest-lib.sh"

journal=$work/journal
tolerant=()

# --- what goes on at the same time, each until $work/stop appears ---

until_stopped() {
	while [[ ! -e $work/stop ]]; do
		"$@"
	done
}

random_table() {
	local modes=(writeback writethrough) policies=(s3fifo s3fifo cleaner)
	# Both are read by table_line.
	# shellcheck disable=SC2034
	features=${modes[RANDOM % 2]} policy=${policies[RANDOM % 3]}
	table_line
}

# may_fail COMMAND...: must succeed, but while faults are injected.
may_fail() {
	"$@" >/dev/null 2>"$work/refused" || [[ ${#tolerant[@]} -gt 0 ]] || fail "$*: $(<"$work/refused")"
}

change_tables() {
	case $((RANDOM % 4)) in
	0) may_fail dmsetup suspend cache ;;
	1) may_fail dmsetup suspend --noflush cache ;;
	2) may_fail dmsetup load cache --table "$(random_table)" ;;
	3) may_fail dmsetup load cache --table "$(random_table)" && may_fail dmsetup suspend cache ;;
	esac
	may_fail dmsetup resume cache
	sleep 0.1
}

ask() {
	may_fail dmsetup status cache
	may_fail dmsetup message cache 0 stats
	may_fail dmsetup status --noflush cache
	may_fail dmsetup table cache
	may_fail dmsetup message cache 0 migration_threshold $((RANDOM % 4096))
	dmsetup message cache 0 small_percent $((1 + RANDOM % 90)) 2>/dev/null || true
	sleep 0.05
}

# Another table on the same devices, never activated, and another cache.
come_and_go() {
	may_fail dmsetup create shadow --notable
	may_fail dmsetup load shadow --table "$(random_table)"
	may_fail dmsetup remove shadow
	may_fail dmsetup create other --table "$(meta=/dev/mapper/meta2 ssd=/dev/mapper/ssd2 \
		hdd=/dev/mapper/hdd2 random_table)"
	[[ ! -e /dev/mapper/other ]] || "$BIN/io-load" /dev/mapper/other rw=mix n=50 qd=8 >/dev/null || true
	may_fail dmsetup remove other
	dmsetup remove other 2>/dev/null || true
	dmsetup remove shadow 2>/dev/null || true
}

load() {
	"$BIN/io-load" $dev rw=mix mix=50 pat=zipf bs=16384 qd=24 n=400 off=0 span=24M seed=$RANDOM >/dev/null 2>&1 ||
		[[ ${#tolerant[@]} -gt 0 ]] || fail "io-load"
}

discard() {
	may_fail blkdiscard -f -o $(((RANDOM % 24) << 20)) -l $((1 << 20)) $dev
	sleep 0.1
}

# --- one round ---

set_up() {
	make_disks 4M 28M 128M
	linear meta1 /dev/meta 0 4096
	linear meta2 /dev/meta 4096 4096
	linear ssd1 /dev/ssd 0 28672
	linear ssd2 /dev/ssd 28672 28672
	linear hdd1 /dev/hdd 0 131072
	linear hdd2 /dev/hdd 131072 131072
	# Read by table_line.
	# shellcheck disable=SC2034
	meta=/dev/mapper/meta1 ssd=/dev/mapper/ssd1 hdd=/dev/mapper/hdd1
}

# everything SEED WORD...: all of the above, for as long as the checked I/O takes.
everything() {
	local code=0 pids=() one
	rm -f "$work/stop"
	for one in change_tables ask come_and_go load discard; do
		until_stopped $one &
		pids+=($!)
	done
	"$BIN/oracle-io" run $dev --journal "$journal" --offset $((36 << 20)) --span $((24 << 20)) \
		--seed "$1" --threads 8 --sizes 512..128K --unaligned "${@:2}" "${tolerant[@]}" || code=$?
	: >"$work/stop"
	for one in "${pids[@]}"; do
		wait "$one" || code=$?
	done
	return $code
}

settle() {
	dmsetup resume cache || true
	dmsetup remove cache
	create
}

rounds() {
	local round
	set_up
	create
	everything 1 --ops "$operations" --initial zero
	for round in 2 3; do
		settle
		"$BIN/oracle-io" verify $dev --journal "$journal" --expect-exact
		everything $round --ops "$operations" --continue
	done
	settle
	"$BIN/oracle-io" verify $dev --journal "$journal" --expect-exact
	check "health" ok "$(health)"
	policy=cleaner reload
	wait_until 120 is_clean || fail "still $(dirty) dirty"
	remove
	"$BIN/oracle-io" verify "$hdd" --journal "$journal" --expect-exact
}

test_stress_large_chunks() { chunk=512 && rounds; }
test_stress_small_chunks() { chunk=8 && rounds; }
test_stress_medium_chunks() { chunk=64 && rounds; }

# --- with faults ---

# faults_begin WHAT: memory, requests or both.
faults_begin() {
	local kind
	sensitive_faults
	if [[ $1 != requests ]]; then
		for kind in failslab fail_page_alloc; do
			only_module $kind
			set_fault $kind interval=1 probability=10 times=-1
		done
	fi
	if [[ $1 != memory ]]; then
		faulty_disks 1
		set_fault fail_make_request interval=1 probability=2 times=-1
	fi
}

# What faults have done ends when they do: the cache comes back by itself, or with the next resume.
calm() {
	faulty_disks 0
	dmsetup load cache --table "$(features=writeback policy=s3fifo table_line)"
	dmsetup suspend cache
	dmsetup resume cache
	wait_until 60 healthy || fail "health: $(health)"
	"$BIN/oracle-io" verify $dev --journal "$journal"
}
healthy() { [[ $(health) == ok ]]; }

fault_rounds() {
	local round
	set_up
	create
	"$BIN/oracle-io" run $dev --journal "$journal" --offset $((36 << 20)) --span $((24 << 20)) --seed 9 --ops 100
	tolerant=(--tolerate-errors)
	for ((round = 1; round <= repetitions; round++)); do
		faults_begin "$1"
		# At its end oracle-io reads what failed writes have left, and believes it: no faults then.
		(sleep 25 && faults_off) &
		everything $round --seconds 45 --continue
		wait
		calm
		tolerant=()
		settle
		"$BIN/oracle-io" verify $dev --journal "$journal"
		tolerant=(--tolerate-errors)
	done
	tolerant=()
	everything 7 --ops $((operations / 2)) --continue
	settle
	"$BIN/oracle-io" verify $dev --journal "$journal" --expect-exact
	check "health" ok "$(health)"
}

test_faults_of_memory() { fault_rounds memory; }
test_faults_of_requests() { fault_rounds requests; }
test_faults_of_both() { chunk=8 && fault_rounds both; }

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
plain) tests=(stress_large_chunks stress_medium_chunks stress_small_chunks) ;;
faults) tests=(faults_of_memory faults_of_requests faults_of_both) ;;
*) guest_die "expected plain or faults: see --help" ;;
esac
operations=${2:-1500} repetitions=${3:-3}
TEST_SECONDS=${TEST_SECONDS:-900}
begin_suite
[[ ! -e $FAULTS/failslab ]] || faults_off
run_suite "${tests[@]}"
