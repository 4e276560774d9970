# SPDX-License-Identifier: GPL-2.0-or-later
# What the suites of tests/sanitized share in a guest, on top of tests/functional/lib.sh: the kernel's
# fault injection. Sourced by guest-*.sh after `set -euo pipefail`.
# shellcheck shell=bash

SANITIZED_DIR=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=../functional/lib.sh
. "$SANITIZED_DIR/../functional/lib.sh"

FAULTS=/sys/kernel/debug
NO_END=18446744073709551615	# together with a start of 0: no filter

# set_fault KIND KEY=VALUE...: of failslab, fail_page_alloc, fail_make_request.
set_fault() {
	local kind=$1 pair
	shift
	for pair; do
		echo "${pair#*=}" >"$FAULTS/$kind/${pair%%=*}"
	done
}

# Any allocation may be failed, and what is failed is not printed.
sensitive_faults() {
	set_fault failslab verbose=0 ignore-gfp-wait=N
	set_fault fail_page_alloc verbose=0 ignore-gfp-wait=N ignore-gfp-highmem=N min-order=0
	set_fault fail_make_request verbose=0
}

faults_off() {
	local kind
	for kind in failslab fail_page_alloc fail_make_request; do
		set_fault $kind probability=0 times=0 require-start=0 require-end=$NO_END
	done
}

# faulty_disks 0|1: do requests to the simulated disks count among what can fail?
faulty_disks() {
	local disk
	for disk in meta ssd hdd; do
		echo "$1" >/sys/block/$disk/make-it-fail
	done
}

# only_module KIND: fail only what the module asks for, however far up the stack.
only_module() {
	local text
	mapfile -t text < <(awk '$4 == "[dm_larder]" && tolower($2) == "t" { print $1 }' /proc/kallsyms | sort)
	set_fault "$1" stacktrace-depth=32 "require-start=$((16#${text[0]}))" \
		"require-end=$((16#${text[-1]} + 4096))"
}

# Do all disks have no holder, so that nothing is left over from what failed?
check_not_held() {
	local holder
	for holder in /sys/block/{meta,ssd,hdd}/holders/*; do
		[[ ! -e $holder ]] || fail "$1: still there: $holder"
	done
}
