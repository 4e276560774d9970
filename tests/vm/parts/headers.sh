# SPDX-License-Identifier: GPL-2.0-or-later
# Links the headers of a kernel part into the build tree, where their absolute paths expect them.
# Both parts are kept apart so that either can be rebuilt alone. Sourced by tests/vm/prepare.
# shellcheck shell=bash

# The file that says that these very headers are linked; a rebuilt part may hold a newer release.
headers_marker() {
	printf '%s/tree/work/.headers-%s-%s' "$1" "${2##*/}" "$(<"$2/release")"
}

install_headers() {
	local build=$1 kernel=$2 release marker
	marker=$(headers_marker "$build" "$kernel")
	[[ -e $marker ]] && return
	release=$(<"$kernel/release")
	say "linking the headers of $release into the build tree"
	cp -alf "$kernel/headers/usr" "$build/tree/"
	ln -sfn "/usr/src/linux-headers-$release" "$build/tree/usr/src/linux-$(<"$kernel/series")"
	touch "$marker"
}
