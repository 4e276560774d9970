# SPDX-License-Identifier: GPL-2.0-or-later
# One of Debian's kernels: vmlinuz, an image with its modules, its headers, and an initramfs that does no
# more than find the root image. The newest kernel of the series in its release is taken by asking apt.
# Sourced by tests/vm/prepare.
# shellcheck shell=bash

# Modules of hardware that no guest has; what is left are storage, file systems, network and fabrics.
PRUNED_MODULES=(sound drivers/{gpu,media,staging,iio,hid,input,video,hwmon,bluetooth,isdn,comedi,mtd,mmc}
	drivers/{platform,power,leds,rtc,thunderbolt,soundwire,gnss,w1,spi,i2c,gpio,pinctrl,regulator,mfd}
	drivers/{accel,edac,extcon,fpga,firewire,greybus,iommu,mei,memstick,parport,pcmcia,usb/serial}
	drivers/net/{ethernet,wireless,can,usb,wan,hamradio,arcnet,fddi,dsa,phy,ipa,wwan,ieee802154}
	drivers/infiniband/hw net/{bluetooth,mac80211,wireless,nfc,can,ieee802154,mac802154,sctp,tipc}
	drivers/scsi/{lpfc,qla2xxx,qla4xxx,bfa,be2iscsi,bnx2i,bnx2fc,mpt3sas,megaraid,aacraid,aic7xxx}
	drivers/scsi/{aic94xx,csiostor,cxgbi,elx,hisi_sas,isci,mpi3mr,mvsas,pm8001,qedf,qedi,smartpqi})
BOOT_MODULES=(virtio_pci virtio_blk ext4 9pnet_virtio 9p virtio_console)

releases_of_series() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	7.2) echo trixie trixie-backports ;;
	esac
}

# newest_kernel SERIES: the release name, such as 6.12.0-amd64, that has headers and an image.
newest_kernel() {
	local release
	for release in $(apt-cache pkgnames "linux-headers-$1" | sed 's/^linux-headers-//' |
		grep -E "^${1//./\\.}\\.[0-9][0-9a-z.+~-]*-amd64\$" | grep -vE -- '-(rt|cloud)-' | sort -rV); do
		if [[ $(candidate "linux-headers-$release") && $(image_package "$release") ]]; then
			echo "$release"
			return
		fi
	done
	die "found no kernel $1 in $(releases_of_series "$1"): is the Debian mirror complete?"
}

candidate() { apt-cache madison "$1" 2>/dev/null | head -n 1; }

image_package() {
	local name
	for name in "linux-image-$1" "linux-image-$1-unsigned"; do
		[[ $(candidate "$name") ]] && echo "$name" && return
	done
}

# The image, the headers, and what the two need of the kernel's own packages.
kernel_packages() {
	local image
	image=$(image_package "$1")
	echo "$image"
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
		--no-replaces --no-enhances "$image" "linux-headers-$1" |
		grep -E '^linux-(kbuild|headers|modules|binary|base)-[0-9]' | sort -u
}

make_kernel() {
	local dir=$1 series=$2 release packages
	export APT_CONFIG=$dir/apt/apt.conf
	mkdir -p "$dir/apt" "$dir/debs" "$dir/unpacked" "$dir/headers/usr/lib"
	# Unquoted: a list of releases.
	# shellcheck disable=SC2046
	private_apt "$dir/apt" $(releases_of_series "$series")
	release=$(newest_kernel "$series")
	say "kernel $series is $release"
	mapfile -t packages < <(kernel_packages "$release")
	(cd "$dir/debs" && apt-get -q -q download busybox-static "${packages[@]}")
	unpack_kernel "$dir" "$release"
	unset APT_CONFIG
	echo "$release" >"$dir/release"
	echo "$series" >"$dir/series"
	make_module_image "$dir" "$release"
	make_initramfs "$dir" "$release"
	rm -rf "$dir/apt" "$dir/debs" "$dir/unpacked" "$dir/busybox"
	printf '%s\n' vmlinuz modules.img initramfs.img release series headers/usr/src >"$dir/contents"
}

# Unpacked aside: older packages carry /lib as a directory, which is a symlink in a merged-usr tree.
unpack_kernel() {
	local dir=$1 release=$2 deb from=$1/unpacked
	for deb in "$dir"/debs/*.deb; do
		dpkg -x "$deb" "$from"
	done
	# In /boot up to 6.12, beside the modules in 7.2.
	find "$from" \( -name "vmlinuz-$release" -o -path "*/$release/vmlinuz" \) \
		-exec mv {} "$dir/vmlinuz" \;
	find "$from" -path '*bin/busybox' -exec cp {} "$dir/busybox" \;
	mkdir -p "$from/lib/modules" "$from/usr/lib/modules/$release"
	if [[ -d $from/lib/modules/$release ]]; then
		cp -al "$from/lib/modules/$release/." "$from/usr/lib/modules/$release/"
	fi
	rm -rf "$from/usr/lib/modules/$release"/{build,source}
	mv "$from/usr/src" "$dir/headers/usr/src"
	mv "$from"/usr/lib/linux-kbuild* "$dir/headers/usr/lib/"
}

make_module_image() {
	local dir=$1 release=$2 tree=$1/unpacked/usr/lib/modules size
	(cd "$tree/$release/kernel" && rm -rf "${PRUNED_MODULES[@]}")
	find "$tree" -name '*.ko.xz' -print0 | xargs -0 -r -n 64 -P "$(nproc)" xz -d
	# depmod looks below lib/modules.
	mkdir -p "$dir/unpacked/flat/lib"
	mv "$tree" "$dir/unpacked/flat/lib/modules"
	tree=$dir/unpacked/flat/lib/modules
	depmod -b "$dir/unpacked/flat" "$release"
	size=$(($(du -sm "$tree" | cut -f1) * 5 / 4 + 32))
	mke2fs -q -t ext4 -O ^has_journal -m 0 -L larder-modules -d "$tree" "$dir/modules.img" "${size}M"
}

make_initramfs() {
	local dir=$1 release=$2 tree=$1/unpacked/initramfs path module
	mkdir -p "$tree"/{bin,dev,proc,sys,root,modules}
	cp "$dir/busybox" "$tree/bin/busybox"
	cp "$VM_DIR/parts/initramfs-init" "$tree/init"
	chmod 755 "$tree/init"
	for module in "${BOOT_MODULES[@]}"; do
		modprobe -d "$dir/unpacked/flat" -S "$release" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
		cp "$path" "$tree/modules/"
		echo "${path##*/}"
	done >"$tree/modules/order"
	(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0 >"$dir/initramfs.img")
}
