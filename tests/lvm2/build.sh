# SPDX-License-Identifier: GPL-2.0-or-later
# How lvm2 is built with its tests, from a release's source package in a trixie chroot. Sourced by
# tests/lvm2/prepare.
# shellcheck shell=bash

# apt.sh takes its lists of packages from here.
packages_of() { sed 's/#.*//; /^[[:space:]]*$/d' "$LVM2_DIR/$1.packages"; }

make_chroot() {
	debootstrap_tree "$1/tree" minbase build
	rm -rf "$1/tree/var/lib/apt/lists" "$1/tree/var/cache/apt"
	echo tree/usr/bin/gcc >"$1/contents"
}

# fetch_source DIR RELEASE: the newest lvm2 of the release, unpacked with Debian's patches to DIR/source.
fetch_source() {
	local dir=$1 release=$2 dsc
	private_apt "$dir/apt" "$release"
	sed -i 's/^deb /deb-src /' "$dir/apt/sources.list"
	(
		export APT_CONFIG=$dir/apt/apt.conf
		apt-get -q -q update
		mkdir -p "$dir/package"
		cd "$dir/package" || exit
		apt-get -q -q source --download-only lvm2
	)
	dsc=$(find "$dir/package" -name 'lvm2_*.dsc')
	sed -n 's/^Version: //p' "$dsc" >"$dir/version"
	# By hand: dpkg-source needs dpkg-dev, which a host may lack.
	mkdir -p "$dir/source"
	tar -xf "$dir"/package/lvm2_*.orig.tar.* -C "$dir/source" --strip-components=1
	tar -xf "$dir"/package/lvm2_*.debian.tar.* -C "$dir/source"
	grep -v '^#' "$dir/source/debian/patches/series" 2>/dev/null | while read -r patch _; do
		[[ ! $patch ]] || patch -d "$dir/source" -p1 -s -i "debian/patches/$patch"
	done
	cp -r "$dir/source/test/shell" "$dir/shell"
}

# "6.[0123]*" was to mean 6.0 to 6.3; a test that has another way of saying so by now is not touched.
lift_skips() {
	local file
	{ grep -lF '6.[0123]*|5.19*)' "$1"/test/shell/*.sh || true; } | while read -r file; do
		sed -i 's/6\.\[0123\]\*|5\.19\*)/6.[0123].*|5.19*)/' "$file"
		! grep -qF '6.[0123]*|' "$file" || die "the skip in $file could not be lifted"
		say "lifted the skip in ${file##*/}"
	done
}

# Debian's options, without the daemons and libraries for clusters, which no test here uses. As there, the
# tools of dm-cache are not named: named and absent, they would be taken for ones too old for LVM's options.
# Without modprobe, which the chroot lacks, LVM would not find policies that are no modules by their names.
configure_options=(--prefix=/usr --with-cache=internal --with-thin=internal --with-thin-check=/usr/sbin/thin_check
	--with-thin-dump=/usr/sbin/thin_dump --with-thin-repair=/usr/sbin/thin_repair
	--with-default-pid-dir=/run --with-default-run-dir=/run/lvm --with-default-locking-dir=/run/lock/lvm
	--enable-blkid_wiping --enable-cmdlib --enable-dmeventd --enable-editline --disable-readline
	--enable-lvmpolld --enable-udev_sync --enable-udev_rules --disable-selinux
	--disable-systemd-journal --disable-app-machineid MODPROBE_CMD=/sbin/modprobe)

# build_in_chroot DIR: the tree is /lvm2 there as it will be in the guest, whose paths it keeps. Both
# mounts end with the name space.
build_in_chroot() {
	mkdir -p "$(lvm2_chroot_path)/tree/lvm2"
	# What the inner shells expand.
	# shellcheck disable=SC2016
	unshare --mount bash -c 'set -e
		mount -t proc proc "$1/proc"
		mount --bind "$2/source" "$1/lvm2"
		tree=$1
		shift 2
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
			chroot "$tree" /bin/bash -ec "cd /lvm2
			./configure \"\$@\"
			make -j \$(nproc)
			make -C test .tests-stamp" build "$@"' unshare \
		"$(lvm2_chroot_path)/tree" "$1" "${configure_options[@]}"
}

make_lvm2() {
	local dir=$1 release=$2 size
	fetch_source "$dir" "$release"
	lift_skips "$dir/source"
	build_in_chroot "$dir"
	find "$dir/source" \( -name '*.o' -o -name '*.a' -o -name '*.d' \) -delete
	size=$(($(du -sm --apparent-size "$dir/source" | cut -f1) * 3 / 2 + 64))
	mke2fs -q -t ext4 -O ^has_journal -m 0 -L lvm2 -d "$dir/source" "$dir/lvm2.img" "${size}M"
	rm -rf "$dir/source" "$dir/apt" "$dir/package"
	printf '%s\n' lvm2.img version shell >"$dir/contents"
}
