# SPDX-License-Identifier: GPL-2.0-or-later
# A kernel that watches the module, built from the source package of Debian's kernel 6.12 with the
# configuration config/KERNEL.config on top of allnoconfig, and config/KERNEL.patch where there is one, and
# the tree that modules are built against.
# Sourced by prepare. A change here builds the kernels anew.
# shellcheck shell=bash

# What is not compiled, but whose Kconfig and Makefiles are read.
LEFT_OUT=(Documentation/{ABI,devicetree,translations,networking,userspace-api} tools/{testing,perf})
LEFT_OUT_SOURCES=(drivers/{gpu,media,staging,infiniband,iio,usb,hwmon,mfd,pinctrl} drivers/net/{ethernet,wireless}
	sound samples fs/{nfs,btrfs}
	arch/{alpha,arc,arm,arm64,csky,hexagon,loongarch,m68k,microblaze,mips,nios2,openrisc,parisc}
	arch/{powerpc,riscv,s390,sh,sparc,xtensa})

# unpack_source KERNEL DIR: the newest source of 6.12 in trixie, as DIR/tree.
unpack_source() {
	local patch=$SANITIZED_DIR/config/$1.patch dir=$2 one exclude=()
	export APT_CONFIG=$dir/apt/apt.conf
	mkdir -p "$dir/apt" "$dir/tree"
	private_apt "$dir/apt" trixie
	(cd "$dir" && apt-get -q -q download linux-source-6.12)
	unset APT_CONFIG
	for one in "${LEFT_OUT[@]}"; do
		exclude+=("--exclude=*/$one/*")
	done
	for one in "${LEFT_OUT_SOURCES[@]}"; do
		exclude+=("--exclude=linux-source-*/$one/*.[chS]")
	done
	dpkg-deb --fsys-tarfile "$dir"/linux-source-6.12_*.deb |
		tar -xO ./usr/src/linux-source-6.12.tar.xz | xz -dc -T0 |
		tar -x -C "$dir/tree" --strip-components=1 --wildcards "${exclude[@]}"
	rm -rf "$dir/apt" "$dir"/*.deb
	# Not as part of a repository that the cache may be in.
	[[ ! -e $patch ]] || GIT_CEILING_DIRECTORIES=$dir git -C "$dir/tree" apply "$patch"
}

# configure KERNEL DIR: fails if a line of the configuration did not take effect.
configure() {
	local kernel=$1 dir=$2 file=$SANITIZED_DIR/config/$1.config lost
	kernel_make "$kernel" "$dir/tree" KCONFIG_ALLCONFIG="$file" allnoconfig
	lost=$(grep -E '^(CONFIG_|# CONFIG_.* is not set)' "$file" | grep -vxFf "$dir/tree/.config" || true)
	[[ ! $lost ]] || die "$file: these lines did not take effect: $lost"
}

# prune DIR: what compiling a module does not read.
prune() {
	find "$1/tree" -path '*/scripts' -prune -o -type f \
		\( -name '*.[coaS]' -o -name '*.cmd' -o -name '*.rst' -o -name '*.dts*' -o -name 'vmlinux*' \
		-o -name '*.json' -o -name linux \) -exec rm -f {} +
}

make_uml() {
	local dir=$1
	unpack_source uml "$dir"
	configure uml "$dir"
	kernel_make uml "$dir/tree" linux modules
	cp "$dir/tree/linux" "$dir/linux"
	strip --strip-debug "$dir/linux"
	# modprobe asks it what is built in.
	kernel_make uml "$dir/tree" INSTALL_MOD_PATH="$dir/installed" modules_install
	mv "$dir/installed/lib/modules" "$dir/modules"
	rm -rf "$dir/installed" "$dir"/modules/*/{build,source}
	prune "$dir"
	printf '%s\n' linux modules tree/Makefile tree/Module.symvers tree/scripts/mod/modpost >"$dir/contents"
}

# Only what is built later, the module, is watched: all watchpoints are then set where they are of use,
# and the rest of the kernel is as fast as ever.
make_kcsan() {
	local dir=$1 release
	unpack_source kcsan "$dir"
	configure kcsan "$dir"
	kernel_make kcsan "$dir/tree" KCSAN_SANITIZE=n bzImage modules
	release=$(<"$dir/tree/include/config/kernel.release")
	cp "$dir/tree/arch/x86/boot/bzImage" "$dir/vmlinuz"
	mkdir -p "$dir/unpacked/usr/lib/modules"
	kernel_make kcsan "$dir/tree" INSTALL_MOD_PATH="$dir/unpacked/usr" modules_install
	rm -rf "$dir/unpacked/usr/lib/modules/$release"/{build,source}
	mkdir -p "$dir/unpacked/usr/lib/modules/$release/kernel"
	prune "$dir"
	take_busybox "$dir"
	# As for Debian's kernels, so that tests/vm/run boots it; everything it needs to do so is built in.
	# Read by make_initramfs.
	# shellcheck disable=SC2034
	BOOT_MODULES=()
	make_module_image "$dir" "$release"
	make_initramfs "$dir" "$release"
	rm -rf "$dir/unpacked" "$dir/busybox"
	echo "$release" >"$dir/release"
	echo 6.12 >"$dir/series"
	printf '%s\n' vmlinuz modules.img initramfs.img release series tree/Makefile tree/Module.symvers \
		tree/scripts/mod/modpost tree/tools/objtool/objtool >"$dir/contents"
}

take_busybox() {
	local dir=$1
	mkdir -p "$dir/apt"
	export APT_CONFIG=$dir/apt/apt.conf
	private_apt "$dir/apt" trixie
	(cd "$dir" && apt-get -q -q download busybox-static)
	unset APT_CONFIG
	dpkg-deb --fsys-tarfile "$dir"/busybox-static_*.deb | tar -x -C "$dir/apt"
	find "$dir/apt" -path '*bin/busybox' -exec cp {} "$dir/busybox" \;
	rm -rf "$dir/apt" "$dir"/*.deb
}
