# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the machine room's host-side scripts (prepare, build-modules, run, selftest): where things
# are cached, how a part's key is computed, locks and messages. Sourced, never run.
# shellcheck shell=bash

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # used by the scripts that source this
REPO_DIR=$(cd "$VM_DIR/../.." && pwd)
CACHE_DIR=${DM_LARDER_CACHE:-$HOME/.cache/dm-larder}/vm
ALL_SERIES=(6.1 6.12 7.2)
PROGRAM=${0##*/}

say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }
die() { say "$*"; exit "${DIE_CODE:-1}"; }

# Prints the head comment of the running script, which is its --help text.
print_help() { sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0"; }

is_series() {
	local series
	for series in "${ALL_SERIES[@]}"; do
		[[ $series == "$1" ]] && return 0
	done
	return 1
}

# Package names of a list file, without comments.
packages_of() { sed 's/#.*//; /^[[:space:]]*$/d' "$VM_DIR/parts/$1.packages"; }

# A part is keyed by what it is built from: its recipe and the files the recipe reads.
key_of() { (cd "$VM_DIR/parts" && cat "$@") | sha256sum | cut -c1-12; }

build_tree_path() {
	printf '%s/build-tree-%s' "$CACHE_DIR" "$(key_of apt.sh build-tree.sh build.packages)"
}
root_image_path() {
	printf '%s/root-%s' "$CACHE_DIR" "$(key_of apt.sh root-image.sh guest.packages)"
}
kernel_path() {
	printf '%s/kernel-%s-%s' "$CACHE_DIR" "$1" "$(key_of apt.sh kernel.sh initramfs-init)"
}

# Is a part there, whole? A part is renamed into place when finished; the files it promises are named
# in its "contents" file, so that one that somebody deleted is noticed too.
part_complete() {
	local file
	[[ -s $1/contents ]] || return 1
	while read -r file; do
		[[ -e $1/$file ]] || return 1
	done <"$1/contents"
}

# Re-runs the calling script as root, keeping the cache directory of the calling user.
need_root() {
	[[ $EUID -eq 0 ]] && return
	command -v sudo >/dev/null ||
		die "needs root (chroot, package installation) and found no sudo: run it as root"
	exec sudo DM_LARDER_CACHE="${CACHE_DIR%/vm}" SUDO_CALLER="$(id -u):$(id -g)" \
		CI="${CI:-}" "$0" "$@"
}

# Parts are used under a shared lock and removed under an exclusive one (see prepare).
hold_parts() {
	mkdir -p "$CACHE_DIR"
	[[ -e $CACHE_DIR/in-use.lock ]] || : >"$CACHE_DIR/in-use.lock"
	exec 8<"$CACHE_DIR/in-use.lock"
	flock -s 8
}
