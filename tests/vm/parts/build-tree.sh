# SPDX-License-Identifier: GPL-2.0-or-later
# The build tree: a Debian trixie chroot with the compilers that build modules for all kernels. The
# kernels' headers are linked into it by install_headers. Sourced by tests/vm/prepare.
# shellcheck shell=bash

make_build_tree() {
	local dir=$1
	debootstrap_tree "$dir/tree" minbase build
	mkdir -p "$dir/tree/work"
	printf '%s\n' tree/work tree/usr/bin/gcc-14 tree/usr/bin/gcc-12 tree/usr/bin/clang \
		tree/usr/bin/sparse >"$dir/contents"
}

# Links the headers of a kernel part into the tree, where their absolute paths expect them.
install_headers() {
	local build=$1 kernel=$2 marker
	marker=$build/tree/work/.headers-${kernel##*/}
	[[ -e $marker ]] && return
	say "linking the headers of $(<"$kernel/release") into the build tree"
	cp -alf "$kernel/headers/usr" "$build/tree/"
	ln -sfn "/usr/src/linux-headers-$(<"$kernel/release")" \
		"$build/tree/usr/src/linux-$(<"$kernel/series")"
	touch "$marker"
}
