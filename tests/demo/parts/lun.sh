# SPDX-License-Identifier: GPL-2.0-or-later
# The last act of the demo: the HDD gets a cache again, which `larder export` gives away over iSCSI;
# an initiator, in the same machine for want of another, uses it as its disk. Sourced by
# tests/demo/guest.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154  # plant is an argument of guest.sh, fsynced is in power-cut.sh

larder=/repo/build/bin/larder
initiator=iqn.1993-08.org.debian:01:demo
target=iqn.2003-01.org.dm-larder:demo
lun=/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-$target-lun-0
written=/tmp/written.b2sums

export_cache() {
	make_ssd_parts
	# A new cache: nobody has kept the old one's blocks up to date since it was removed.
	bounded 30 dd if=/dev/zero of=/dev/mapper/ssd-metadata bs=4k count=1 status=none
	load_modules dm-larder
	create_cache
	[[ $plant != lun ]] || plant_in_tree /dev/mapper/cached
	run_shown "$larder" export /dev/mapper/cached --fabric iscsi --wwn $target --portal 127.0.0.1 \
		--acl $initiator
}

# run_shown COMMAND...: with what it says.
run_shown() {
	local output line
	info "${1##*/} ${*:2}"
	output=$(timeout 60 "$@" 2>&1) || failed "'$*' ended with exit code $?: $output"
	while IFS= read -r line; do
		info "  $line"
	done <<<"$output"
}

log_in() {
	mkdir -p /run/lock/iscsi /etc/iscsi
	echo "InitiatorName=$initiator" >/etc/iscsi/initiatorname.iscsi
	bounded 30 modprobe iscsi_tcp
	pidof iscsid >/dev/null || bounded 30 iscsid
	run_shown iscsiadm -m discovery -t sendtargets -p 127.0.0.1
	run_shown iscsiadm -m node -T $target -p 127.0.0.1 --login
	wait_until 60 test -b $lun || failed "no $lun 60 s after the login"
	info "the initiator has a new disk:" \
		"$(lsblk -dno NAME,TRAN,VENDOR,MODEL,SIZE "$(readlink -f $lun)" | xargs)"
}

# lun_statistic NAME: what LIO has counted for the LUN.
lun_statistic() { cat /sys/kernel/config/target/core/iblock_*/*/statistics/scsi_lu/"$1"; }

# Everything that was kept on the HDD, and something new.
use_lun() {
	local size number name sum reads reads_again
	bounded 120 mount $lun /mnt/cached
	reads=$(counter hdd reads)
	check_tree /mnt/cached "by the initiator"
	reads_again=$(counter hdd reads)
	check_tree /mnt/cached "by the initiator, once more"
	info "reads of the HDD for that: $((reads_again - reads)), and" \
		"$(($(counter hdd reads) - reads_again)) for the second time"
	check_promises /mnt/cached "by the initiator"
	mkdir /mnt/cached/initiator
	for number in 1 2 3 4 5 6 7 8; do
		name=initiator/$number
		head -c 2M /dev/urandom >/tmp/file
		sum=$(b2sum </tmp/file)
		bounded 60 dd if=/tmp/file "of=/mnt/cached/$name" bs=64k conv=fsync status=none
		echo "${sum%% *}  $name" >>$written
	done
	size=$(du -sm --apparent-size /mnt/cached/tree | cut -f1)
	bounded 120 umount /mnt/cached
	info "the initiator has read $(lun_statistic read_mbytes) MiB and written" \
		"$(lun_statistic write_mbytes) MiB"
	# Else it was not the LUN that was read.
	[[ $(lun_statistic read_mbytes) -ge $size ]] ||
		failed "expected at least $size MiB to be read from the LUN," \
			"found $(lun_statistic read_mbytes)"
}

unexport_cache() {
	run_shown iscsiadm -m node -T $target -p 127.0.0.1 --logout
	run_shown "$larder" unexport /dev/mapper/cached
	[[ ! -e /sys/kernel/config/target/iscsi/$target ]] ||
		failed "the target is still in configfs after larder unexport"
}

# Where the initiator is not, and the cache is.
check_what_initiator_wrote() {
	local wrong
	if [[ $plant == written ]]; then
		echo "$(b2sum </dev/null | cut -d' ' -f1)  initiator/8" >>$written
		info "planted: another checksum for the last file that the initiator wrote"
	fi
	bounded 120 mount -o ro /dev/mapper/cached /mnt/cached
	wrong=$(cd /mnt/cached && b2sum --quiet -c $written 2>&1) ||
		failed "what the initiator wrote is not on the cache: $(head -n 5 <<<"$wrong")"
	good "all $(lines_of $written) files of the initiator intact, read through the cache"
	bounded 120 umount /mnt/cached
	check_file_system /dev/mapper/cached -fn
	bounded 120 dmsetup remove --retry cached
}
