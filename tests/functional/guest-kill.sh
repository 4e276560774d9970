#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest's part of tests/functional/kill-vm: a cache on simdisks whose media are the host's files, and
# whose volatile caches are in this guest's memory, so that killing the guest is a power cut.
#
# usage: guest-kill.sh verify|load SEED...
#
#   verify   makes the cache anew and judges it by what the share knows
#   load     random I/O until somebody kills the guest; says "LOAD IS RUNNING" when it is time

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

share=/share
oracle=(--journal "$share/journal" --ack-stream "$share/acknowledged")

set_up() {
	local name words
	for name in meta ssd hdd; do
		words=type=ssd
		[[ $name != hdd ]] || words=type=hdd
		echo "name=$name $words fast=1 leak=20 backing=$(disk_by_serial "backing-$name")" >$SIMDISK/add
		wait_until 10 test -b "/dev/$name" || guest_die "no /dev/$name"
	done
	create
	dmsetup status cache
}

load() {
	local first=(--span 24M)
	[[ ! -e $share/journal ]] || first=(--continue)
	{ sleep 12 && echo "LOAD IS RUNNING, seed $1"; } &
	"$BIN/oracle-io" run $dev "${oracle[@]}" "${first[@]}" --seed "$1" --seconds 300 --threads 4 \
		--sizes 512..128K --unaligned --mix 30,45,8,10,4,3
}

features=${MODE:-writeback}
begin_suite
set_up
case ${1:-} in
verify)
	check "an unclean stop is noticed" true "$(larder_stat recovered)"
	"$BIN/oracle-io" verify $dev "${oracle[@]}" --reread 2
	check "health" ok "$(health)"
	;;&
verify | load)
	[[ ! ${2:-} ]] || load "$2"
	;;
*) guest_die "expected verify or load, see the head of $0" ;;
esac
