#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest's half of cost: disks with PI in memory, one transfer after the other, always of the same
# sectors. Time under instruction counting is the number of instructions; what idles does not count.
#
# usage: guest-cost.sh TRANSFERS

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

transfers=$1
sizes=(8 128)			# sectors: within one slot each
declare -A cost

# measure LABEL DEVICE WORD...: fills in cost[LABEL-SECTORS-tuples|plain]
measure() {
	local label=$1 n how answer
	for n in "${sizes[@]}"; do
		for how in tuples plain; do
			[[ $how == plain || ! ${plain_only:-} ]] || continue
			answer=$(pi cost "dev=$2" start=2048 "n=$n" "ops=$transfers" "${@:3}" "${how/tuples/}")
			cost[$label-$n-$how]=${answer//[^0-9]/}
			echo "$label $n $how: ${cost[$label-$n-$how]}" >&2
		done
	done
}

# of_users LABEL DEVICE: hits, all of them dirty
of_users() {
	pi write "dev=$2" start=2048 n=128 ${plain_only:+plain} >&2
	measure "$1-read" "$2" reads=100
	measure "$1-write" "$2" reads=0
}

trap '[[ ! -s $why ]] || cat "$why" >&2' EXIT
begin_suite
load_module pi-io
set_world ram-1-crc-512
make_world
chunk=128

of_users raw "$ssd"
linear top "$ssd" 0 "$(sectors_of "$ssd")"
of_users linear /dev/mapper/top
dmsetup remove top

new_frozen_cache writeback
of_users pass "$dev"
thaw
remove
blank_metadata
hdd=$origin
dmsetup remove org
new_frozen_cache writeback off
plain_only=yes of_users off "$dev"
thaw
remove
blank_metadata
hdd=$origin
dmsetup remove org

# what a write to both devices costs, beside the two devices
new_cache writethrough
pi write "dev=$dev" start=2048 n=128 version=7 >&2
pi read "dev=$dev" start=2048 n=128 >&2
is_cached() { [[ $(place_of "$ssd" 2048) ]]; }
wait_until 30 is_cached || guest_die "it does not come into the cache"
measure through-write "$dev" reads=0
larder_stat write_hits >&2
remove
measure origin-write "$origin" reads=0

# a carrier, beside the same disk: what is above it makes and compares the checksums
clean_up
set_world carrier-1-crc-512
make_world
of_users bare "$ssd"
new_frozen_cache writeback
of_users carrier "$dev"
thaw

# row NAME CELL HOW BASE...: of both sizes, what is above the devices themselves
row() {
	local n base figure
	printf '%-34s' "$1"
	for n in "${sizes[@]}"; do
		figure=${cost[$2-$n-$3]}
		for base in "${@:4}"; do
			figure=$((figure - cost[$base-$n-$3]))
		done
		printf ' %10d' "$figure"
	done
	echo
}

printf '%-34s %10s %10s\n' "instructions per transfer" "4 KiB" "64 KiB"
for how in tuples plain; do
	for op in read write; do
		row "$op, $how: the device itself" raw-$op $how
		row "$op, $how: dm-linear above it" linear-$op $how raw-$op
		row "$op, $how: hit" pass-$op $how raw-$op
		[[ $how == tuples ]] || row "$op, $how, pi=off: hit" off-$op $how raw-$op
	done
	row "write, $how: to both devices" through-write $how raw-write origin-write
	row "read, $how: hit, carrier" carrier-read $how bare-read
	row "write, $how: hit, carrier" carrier-write $how bare-write
done
