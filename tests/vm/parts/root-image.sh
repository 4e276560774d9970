# SPDX-License-Identifier: GPL-2.0-or-later
# The guests' root file system: a small Debian trixie in an ext4 image. It holds neither kernel modules
# (each kernel brings an image of its own) nor the init script (it comes from the repository with every
# boot), so both change without a rebuild. Sourced by tests/vm/prepare.
# shellcheck shell=bash

make_root_image() {
	local dir=$1 size
	debootstrap_tree "$dir/tree" minbase guest
	mkdir -p "$dir/tree"/{repo,share,control,usr/lib/modules}
	rm -rf "$dir/tree/var/lib/apt/lists" "$dir/tree/var/cache/apt" "$dir/tree/etc/resolv.conf"
	echo larder >"$dir/tree/etc/hostname"
	echo '127.0.0.1 localhost larder' >"$dir/tree/etc/hosts"
	ln -sfn /proc/self/mounts "$dir/tree/etc/mtab"
	size=$(($(du -sm --apparent-size "$dir/tree" | cut -f1) * 5 / 4 + 1024))
	# No journal: every boot starts from this image with a copy-on-write overlay.
	mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -m 0 -L larder-root \
		-d "$dir/tree" "$dir/root.img" "${size}M"
	rm -rf "$dir/tree"
	echo root.img >"$dir/contents"
}
