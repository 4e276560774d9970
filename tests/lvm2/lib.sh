# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by tests/lvm2/prepare and tests/lvm2/run: where a built lvm2 is kept. Sourced, never run.
# shellcheck shell=bash

LVM2_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../vm/lib.sh
. "$LVM2_DIR/../vm/lib.sh"
# shellcheck disable=SC2034  # used by the scripts that source this
LVM2_CACHE=${CACHE_DIR%/vm}/lvm2
# shellcheck disable=SC2034
ALL_RELEASES=(trixie bookworm)

is_release() { [[ $1 == trixie || $1 == bookworm ]]; }

# The chroot is kept by what is in it, a build also by the recipe: which changes the tests get, too.
lvm2_key() {
	(cd "$LVM2_DIR" && cat "$@" ../vm/parts/apt.sh) | sha256sum | cut -c1-12
}
lvm2_chroot_path() { printf '%s/chroot-%s' "$LVM2_CACHE" "$(lvm2_key build.packages)"; }
lvm2_path() { printf '%s/%s-%s' "$LVM2_CACHE" "$1" "$(lvm2_key build.packages build.sh)"; }
