# SPDX-License-Identifier: GPL-2.0-or-later
# Helpers for scripts that run inside a guest of tests/vm/run: which kernel this is, loading the modules
# under test, waiting. Sourced: . /repo/tests/vm/guest-lib.sh
# shellcheck shell=bash

guest_die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# 6.1, 6.12 or 7.2: the name of this kernel's directory below build/.
kernel_series() { uname -r | cut -d. -f1,2; }

# Where the modules under test are; LARDER_MODULES names another directory.
module_dir() { echo "${LARDER_MODULES:-/repo/build/$(kernel_series)}"; }

# Is the module loaded (or built in)? Dashes and underscores are the same to the kernel.
module_loaded() { [[ -d /sys/module/${1//-/_} ]]; }

# load_module NAME [PARAMETER=VALUE...]: inserts one of our modules after what it depends on, be it ours
# or Debian's. A module that is loaded already stays as it is.
load_module() {
	local name=$1 file dependency
	shift
	module_loaded "$name" && return
	file=$(module_dir)/$name.ko
	[[ -e $file ]] || guest_die "no $file: build it with tests/vm/build-modules $(kernel_series)"
	for dependency in $(modinfo -F depends "$file" | tr , ' '); do
		if [[ -e $(module_dir)/$dependency.ko ]]; then
			load_module "$dependency"
		elif [[ -e $(module_dir)/${dependency//_/-}.ko ]]; then
			load_module "${dependency//_/-}"
		else
			modprobe "$dependency" || guest_die "$name needs $dependency: modprobe failed"
		fi
	done
	insmod "$file" "$@" || guest_die "insmod $file $*: failed, see dmesg"
}

# load_modules [NAME...]: these of our modules; without names simdisk, dm-larder and every policy.
load_modules() {
	local name file
	if [[ $# -eq 0 ]]; then
		set -- simdisk dm-larder
		for file in "$(module_dir)"/dm-larder-policy-*.ko; do
			[[ -e $file ]] || continue
			file=${file##*/}
			set -- "$@" "${file%.ko}"
		done
	fi
	for name; do
		load_module "$name"
	done
}

# unload_modules NAME...: in the order given; fails when one is still in use.
unload_modules() {
	local name
	for name; do
		! module_loaded "$name" || rmmod "$name" || guest_die "rmmod $name: failed"
	done
}

# wait_until SECONDS COMMAND...: repeats the command until it succeeds; fails after that many seconds.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep 0.1
	done
}

# disk_by_serial SERIAL: the block device that the host attached with --disk ...,serial=SERIAL.
disk_by_serial() {
	wait_until 10 test -e "/dev/disk/by-id/virtio-$1" || guest_die "no disk with serial $1"
	readlink -f "/dev/disk/by-id/virtio-$1"
}
