# SPDX-License-Identifier: GPL-2.0-or-later
# What runs of these tests need built. Sourced at the top of the tree.
# shellcheck shell=bash

# lio_build KERNEL. Builders of several runs at a time take turns.
lio_build() {
	[[ ! ${LARDER_NO_BUILD:-} ]] || return 0
	mkdir -p build/bin
	exec 9>build/bin/.lock
	flock 9
	tests/vm/build-modules "$1" "build/$1" . >&2 && make -s -C tests/io >&2 && make -s -C tests/functional >&2 &&
		make -s -C tests/lio >&2 && make -s -C userland >&2 || return 1
	exec 9>&-
}
