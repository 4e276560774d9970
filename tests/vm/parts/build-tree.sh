# SPDX-License-Identifier: GPL-2.0-or-later
# The build tree: a Debian trixie chroot with the compilers that build modules for all kernels. The
# kernels' headers are linked into it (tests/vm/parts/headers.sh). Sourced by tests/vm/prepare.
# shellcheck shell=bash

make_build_tree() {
	local dir=$1
	debootstrap_tree "$dir/tree" minbase build
	mkdir -p "$dir/tree/work"
	printf '%s\n' tree/work tree/usr/bin/gcc-14 tree/usr/bin/gcc-12 tree/usr/bin/clang \
		tree/usr/bin/sparse >"$dir/contents"
}
