#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs what LVM needs, tries it, and removes it again, in a Debian that the host has prepared: run
# makes it a chroot, with this source tree at /repo and make in /usr/local/bin.
#
# usage: in-chroot.sh snapshot|install|initramfs|uninstall KERNEL-RELEASE

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
export LVM_SUPPRESS_FD_WARNINGS=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
release=$2
mkdir -p /tmp/work
cd /tmp/work

# Everything that make install could touch, and what it was. A rebuilt initramfs is another file.
snapshot() {
	find /etc /usr /boot -xdev \( -path "/usr/lib/modules/$release/modules.*" -o -path '/boot/initrd*' \
		-o -path /etc/ld.so.cache -o -path /usr/local/bin/make \) -prune -o \
		\( -type f -o -type l \) -printf '%p %s %m %l\n' | sort
}

# These know what they are to do by the name that they are called by.
stock_tool() { (exec -a "$1" "/usr/sbin/$1.dm-cache" "${@:2}"); }

installation() {
	# Not by make install: there is no compiler here. The host has put tools and module in place.
	expect 'install-lvm' 0 '' make -C /repo/lvm-integration install KERNELRELEASE="$release"
	expect 'install-lvm again' 0 '' make -C /repo/lvm-integration install KERNELRELEASE="$release"
	expect 'cache_check is dm-larder' 0 'dm-larder' /usr/sbin/cache_check -V
	expect 'dm-cache keeps its own' 0 '^[0-9c]' stock_tool cache_check -V
	expect 'the package keeps its file' 0 '^diversion|thin-provisioning-tools' dpkg -S /usr/sbin/cache_check
}

# Only what "modprobe dm-cache" and so on would load counts, not what else the module needs.
aliases() {
	local name
	for name in dm-cache dm-cache-smq dm-cache-mq dm-cache-cleaner dm-cache-default dm_cache_smq; do
		expect "alias $name" 0 'dm-larder\.ko' modprobe -S "$release" --show-depends "$name"
		lacks "alias $name leaves dm-cache out" '/dm-cache[^/]*\.ko' \
			modprobe -S "$release" --show-depends "$name"
	done
}

configuration() {
	local profile
	for profile in /etc/lvm/profile/larder-*.profile; do
		profile=$(basename "$profile" .profile)
		expect "profile $profile is valid" 0 'configuration valid' \
			lvmconfig --validate --metadataprofile "$profile"
		expect "profile $profile has a policy" 0 'cache_policy="s3fifo"' \
			lvmconfig --metadataprofile "$profile" allocation/cache_policy
		expect "profile $profile has settings" 0 'small_percent=[0-9]' \
			lvmconfig --metadataprofile "$profile" allocation/cache_settings/s3fifo
	done
	[[ $profile == larder-* ]] || not_ok 'profiles: there are none'
	cp /etc/lvm/lvmlocal.conf expected
	/usr/local/libexec/dm-larder/lvm-setup defaults on
	/usr/local/libexec/dm-larder/lvm-setup defaults on
	expect 'defaults on: LVM follows' 0 'cache_pool_max_chunks=4194304' \
		lvmconfig allocation/cache_pool_max_chunks
	expect 'defaults on: valid' 0 'configuration valid' lvmconfig --validate
	/usr/local/libexec/dm-larder/lvm-setup defaults off
	cp /etc/lvm/lvmlocal.conf got
	same 'defaults off: the file is what it was'
}

# both NAME ARGUMENTS...: what LVM runs, and the stock tool by itself, must say and do the same.
both() {
	local name=$1 tool=$2 code=0
	shift 2
	stock_tool "$tool" "$@" >expected 2>&1 || code=$?
	echo "exit code $code" >>expected
	code=0
	"/usr/sbin/$tool" "$@" >got 2>&1 || code=$?
	echo "exit code $code" >>got
	same "$name"
}

make_metadata() {
	cat >cache.xml <<-'XML'
	<superblock uuid="" block_size="128" nr_cache_blocks="16" policy="smq" hint_width="4">
	<mappings><mapping cache_block="0" origin_block="3" dirty="true"/></mappings>
	<hints><hint cache_block="0" data="AAAAAA=="/></hints></superblock>
	XML
	truncate -s 4M stock damaged ours output
	cache_restore -i cache.xml -o stock
	cp stock damaged
	# Half of the superblock; the magic stays.
	dd if=/dev/urandom of=damaged bs=1k seek=1 count=1 conv=notrunc status=none
	/usr/local/libexec/dm-larder/cache_restore -i cache.xml -o ours
}

dispatcher() {
	local tool
	make_metadata
	both 'dispatcher: sound' cache_check stock
	both 'dispatcher: as LVM calls it' cache_check -q --clear-needs-check-flag stock
	both 'dispatcher: damaged' cache_check damaged
	both 'dispatcher: damaged, quiet' cache_check -q --clear-needs-check-flag damaged
	both 'dispatcher: an option that is none' cache_check --hokuspokus stock
	both 'dispatcher: dump' cache_dump stock
	both 'dispatcher: dump into a file' cache_dump -o output stock
	both 'dispatcher: repair' cache_repair -i stock -o output
	both 'dispatcher: repair, long options' cache_repair --output=output --input=stock
	expect 'dispatcher: ours is sound' 0 'generation' cache_check ours
	expect 'dispatcher: ours, as LVM calls it' 0 '^$' cache_check -q --clear-needs-check-flag ours
	expect 'dispatcher: ours is dumped' 0 'origin_block="3"' cache_dump ours
	rm -f output && truncate -s 4M output
	expect 'dispatcher: ours is repaired' 0 '' cache_repair -i ours -o output
	expect 'dispatcher: it is ours again' 0 'dm-lrder' head -c 8 output
	expect 'dispatcher: neither' 65 'not a dm-larder cache' cache_check /repo/README.md
	expect 'dispatcher: no such device' 66 'cannot open' cache_check /nowhere

	mkdir -p evil
	for tool in pdata_tools cache_check cache_check.dm-cache; do
		printf '#!/bin/sh\ntouch /tmp/work/was-here\n' >evil/$tool
		chmod 755 evil/$tool
	done
	(cd evil && PATH=/tmp/work/evil:. /usr/sbin/cache_check -q ../stock)
	if [[ -e was-here ]]; then not_ok 'dispatcher: PATH'; else ok 'dispatcher: PATH'; fi

	mv /usr/sbin/cache_check.dm-cache /usr/sbin/kept
	ln -s /usr/local/bin/larder /usr/sbin/cache_check.dm-cache
	expect 'dispatcher: itself is not the stock tool' 0 '' timeout 20 cache_check stock
	rm /usr/sbin/cache_check.dm-cache
	printf '#!/bin/sh\nexec /usr/sbin/cache_check "$@"\n' >/usr/sbin/cache_check.dm-cache
	chmod 755 /usr/sbin/cache_check.dm-cache
	expect 'dispatcher: round in circles' 69 'leads back here' timeout 20 cache_check stock
	rm /usr/sbin/cache_check.dm-cache
	mv /usr/sbin/pdata_tools /usr/sbin/kept-too
	expect 'dispatcher: no stock tools' 2 'not checked' cache_check stock
	mv /usr/sbin/kept-too /usr/sbin/pdata_tools
	mv /usr/sbin/kept /usr/sbin/cache_check.dm-cache
}

# has NAME PATTERN: a line of "contents" must match.
has() { expect "$1" 0 "$2" cat contents; }

initramfs() {
	update-initramfs -c -k "$release" >log 2>&1 || { not_ok 'initramfs-tools'; sed 's/^/#   /' log; }
	lsinitramfs -l "/boot/initrd.img-$release" >contents
	has 'initramfs: the module' '/dm-larder\.ko'
	lacks 'initramfs: not the other one' '/dm-cache(-smq)?\.ko' cat contents
	has 'initramfs: the aliases' 'etc/modprobe\.d/dm-larder\.conf'
	has 'initramfs: what LVM runs' 'usr/sbin/cache_check -> /usr/local/bin/larder'
	has 'initramfs: the tool itself' '^-rwx.* usr/local/bin/larder'
	has 'initramfs: the tools of dm-cache' 'usr/sbin/pdata_tools'
	has 'initramfs: the profiles' 'etc/lvm/profile/larder-writeback.profile'
	dracut --force --no-compress --no-hostonly --lvmconf --omit 'systemd systemd-initrd dracut-systemd plymouth' \
		--kver "$release" /boot/initrd.dracut >log 2>&1 || { not_ok 'dracut'; tail log | sed 's/^/#   /'; }
	lsinitrd /boot/initrd.dracut >contents 2>&1
	has 'dracut: the module' '/dm-larder\.ko'
	has 'dracut: the aliases' 'etc/modprobe\.d/dm-larder\.conf'
	has 'dracut: what LVM runs' 'usr/sbin/cache_check -> '
	has 'dracut: the tool itself' 'rwx.* usr/local/bin/larder'
	has 'dracut: the tools of dm-cache' 'usr/sbin/pdata_tools'
	has 'dracut: the profiles' 'etc/lvm/profile/larder-writeback.profile'
}

uninstallation() {
	expect 'uninstall' 0 '' make -C /repo uninstall KERNELRELEASE="$release"
	cp /root/before expected
	snapshot >got
	same 'uninstall: everything is what it was'
	expect 'uninstall: cache_check is dm-cache'\''s' 0 '^[0-9]' /usr/sbin/cache_check -V
	lacks 'uninstall: no aliases' 'dm-larder' modprobe -S "$release" --show-depends dm-cache
	lsinitramfs "/boot/initrd.img-$release" >contents
	lacks 'uninstall: gone from the initramfs' 'larder' cat contents
	has 'uninstall: dm-cache is back in the initramfs' '/dm-cache\.ko'
	expect 'uninstall again' 0 '' env LARDER_NO_INITRAMFS=1 make -C /repo uninstall KERNELRELEASE="$release"
}

case $1 in
snapshot) snapshot >/root/before ;;
install)
	installation
	aliases
	configuration
	dispatcher
	;;
initramfs) initramfs ;;
uninstall) uninstallation ;;
esac
