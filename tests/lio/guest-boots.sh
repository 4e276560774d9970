#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In a guest of tests/lio/boots, under systemd.
#
# usage: guest-boots.sh make     a cached volume, exported and saved; until the power goes
#        guest-boots.sh after    in the next boot: everything is there again
#        guest-boots.sh howto    the commands of Documentation/howto-iscsi.rst

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lvm-integration/lib.sh
. "$(dirname "$0")/../lvm-integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../vm/guest-lib.sh
. "$(dirname "$0")/../vm/guest-lib.sh"
export LVM_SUPPRESS_FD_WARNINGS=1
initiator=iqn.1993-08.org.debian:01:larder
iqn=iqn.2003-01.org.example:boots
target=/sys/kernel/config/target
portal_group=$target/iscsi/$iqn/tpgt_1
by_path=/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-$iqn-lun-0

# What a link to a storage object is called means nothing to anybody.
tree() {
	find "$target" -mindepth 3 \( -type d -printf '%p\n' -o -type l -printf '%h/LINK\n' \) |
		sed -E '\#/core/alua|/discovery_auth|/iblock_#d' | sort
}
loop_disk() {
	local disk
	for disk in /sys/block/sd*; do
		[[ $(readlink -f "$disk") != */tcm_loop_* ]] || echo "/dev/${disk##*/}"
	done
}
backstore() { compgen -G "$target/core/iblock_*/*/alua" | head -n 1 | xargs -r dirname; }
alua_state() { cat "$(backstore)/alua/left/alua_access_state"; }
exported() { [[ -L $(compgen -G "$portal_group/lun/lun_0/*" | grep -vE '/(alua|statistics)' | head -n 1) ]]; }
gone() { [[ ! -d $portal_group ]]; }

# As from another host: what this one has kept about targets may have gone with the power.
login() {
	mkdir -p /etc/iscsi
	rm -rf /etc/iscsi/{nodes,send_targets} /var/lib/iscsi/{nodes,send_targets}
	echo "InitiatorName=$initiator" >/etc/iscsi/initiatorname.iscsi
	systemctl restart iscsid
	iscsiadm -m discovery -t sendtargets -p 127.0.0.1
	iscsiadm -m node -T $iqn -p 127.0.0.1 --login
	wait_until 30 test -b "$by_path"
}

show_why() {
	systemctl --no-pager status 'larder-export*' 2>&1 | sed 's/^/#   /'
	journalctl --no-pager -b -u 'larder-export*' 2>&1 | tail -n 30 | sed 's/^/#   /'
	{ larder exports; lvs -a; dmsetup table; systemctl --no-pager list-jobs; } 2>&1 | sed 's/^/#   /'
	journalctl --no-pager -b -p notice 2>&1 | grep -vE 'audit|kernel: (ACPI|pci)' | tail -n 30 | sed 's/^/#   /'
}

make_exports() {
	local slow fast
	slow=$(disk_by_serial slow)
	fast=$(disk_by_serial fast)
	pvcreate -q "$slow" "$fast"
	vgcreate -q vg "$slow" "$fast"
	larder create vg/data --size 128M --cache-pv "$fast" --mode writeback --yes
	larder export vg/data --fabric iscsi --wwn $iqn --portal 127.0.0.1 --acl $initiator --alua-group left
	larder export vg/data --fabric loopback
	login
	head -c 8M /dev/urandom >/share/pattern
	dd if=/share/pattern of="$by_path" bs=1M seek=5 oflag=direct conv=notrunc,fsync status=none
	larder save
	# After the save: the kernel keeps these by itself.
	sg_stpg --active "$by_path"
	sg_persist --out --register-ignore --param-sark=0xabc --param-aptpl "$by_path"
	sg_persist --out --reserve --param-rk=0xabc --prout-type=3 "$by_path"
	tree >/share/tree
	cat "$(backstore)/wwn/vpd_unit_serial" >/share/serial
	echo "state $(alua_state)" >/share/alua
	echo 'NOW THE POWER GOES'
	sleep 100
}

comes_back() {
	if wait_until 90 exported; then ok 'boot: the export is there'; else not_ok 'boot: no export' && show_why && return 1; fi
	cp /share/tree expected
	tree >got
	same 'boot: configfs is what it was'
	expect 'boot: the same serial number' 0 '' diff "$(backstore)/wwn/vpd_unit_serial" /share/serial
	expect 'boot: LIO writes its state at once' 0 '^--S' lsattr /etc/rtslib-fb-target/pr
	expect 'boot: state of the port group' 0 'state 1' echo "state $(alua_state)"
	expect 'boot: that is what it was' 0 'state 1' cat /share/alua
	expect 'boot: an initiator logs in' 0 'successful' login
	[[ -b $by_path ]]
}

data_and_reservations() {
	expect 'boot: what was written is there' 0 '' cmp -n 8388608 /share/pattern \
		<(dd if="$by_path" bs=1M skip=5 count=8 iflag=direct status=none)
	expect 'APTPL: the key' 0 '0xabc' sg_persist -k "$by_path"
	expect 'APTPL: the reservation' 0 'Exclusive Access' sg_persist -r "$by_path"
	expect 'APTPL: the holder writes' 0 '' \
		dd if=/share/pattern of="$by_path" bs=4k count=1 oflag=direct conv=nocreat,notrunc
	expect 'APTPL: others do not' 1 'Invalid exchange' \
		dd if=/share/pattern of="$(loop_disk)" bs=4k count=1 oflag=direct conv=nocreat,notrunc
	expect 'APTPL: clear' 0 '' sg_persist --out --clear --param-rk=0xabc "$by_path"
	expect 'boot: and logs out' 0 'successful' iscsiadm -m node -T $iqn -p 127.0.0.1 --logout
}

# One switch for all of it.
service() {
	systemctl stop larder-exports.service
	if wait_until 60 gone; then ok 'service: stopped, nothing is exported'; else not_ok 'service: still exported' && show_why; fi
	expect 'service: LVM can deactivate the volume' 0 '' vgchange -an vg
	expect 'service: and activate it' 0 '' vgchange -ay vg
	sleep 3
	if gone; then ok 'service: stopped, a new device changes nothing'; else not_ok 'service: exported though stopped'; fi
	systemctl start larder-exports.service
	if wait_until 60 exported; then ok 'service: started, exported'; else not_ok 'service: not exported' && show_why; fi
}

# The volume group comes long after the service.
late_device() {
	systemctl stop larder-exports.service
	vgchange -qq -an vg
	systemctl start larder-exports.service
	if gone; then ok 'late: nothing without the volume'; else not_ok 'late: something is exported'; fi
	vgchange -qq -ay vg
	if wait_until 90 exported; then ok 'late: exported when the volume has come'; else not_ok 'late: not exported' && show_why; fi
}

# targetctl's service clears everything of LIO.
targetctl_service() {
	mkdir -p /etc/rtslib-fb-target/backup
	systemctl restart rtslib-fb-targetctl.service
	if wait_until 90 exported; then ok 'targetctl: exported after its restart'; else not_ok 'targetctl: not exported' && show_why; fi
}

# Somebody else has made a target of the name that one of ours has.
one_that_fails() {
	larder export vg/data --fabric iscsi --wwn $iqn-other --portal 127.0.0.1:3261 --acl $initiator
	larder save
	systemctl stop larder-exports.service
	mkdir -p "$target/iscsi/$iqn-other"
	systemctl start larder-exports.service || true
	if exported; then ok 'one fails: the other is there'; else not_ok 'one fails: the other is not there' && show_why; fi
	expect 'one fails: the service is there' 0 '^active' systemctl is-active larder-exports.service
	systemctl stop larder-exports.service
	if gone; then ok 'one fails: and takes the other away'; else not_ok 'one fails: the other stays' && show_why; fi
	rmdir "$target/iscsi/$iqn-other"
}

after() {
	cd /tmp
	systemctl --no-pager --failed | grep -E 'larder|target' | sed 's/^/#   /' || true
	comes_back || return 0
	data_and_reservations
	service
	late_device
	targetctl_service
	one_that_fails
}

howto() {
	local slow fast
	slow=/dev/disk/by-id/virtio-slow fast=/dev/disk/by-id/virtio-fast
	disk_by_serial slow >/dev/null
	disk_by_serial fast >/dev/null
	/repo/tests/lio/howto-commands --set disk=$slow --set ssd=$fast --set size=300M --set address=127.0.0.1 >/tmp/howto
	# With -v it is seen how far it came.
	if timeout 1200 bash -euvo pipefail /tmp/howto >/tmp/howto.out 2>&1; then
		ok 'howto: every command'
	else
		not_ok "howto: ended with $?" && tail -n 40 /tmp/howto.out | sed 's/^/#   /'
		show_why
		return
	fi
	expect 'howto: detach is refused' 0 '^refused: it is exported' cat /tmp/howto.out
	expect 'howto: unexport is refused' 0 '^refused: a client is logged in' cat /tmp/howto.out
	expect 'howto: the cache is gone' 0 'linear' lvs --noheadings -o segtype store/data
	mkdir -p /mnt/store
	mount /dev/store/data /mnt/store
	expect 'howto: what the client wrote' 0 'kept on' cat /mnt/store/first
	expect 'howto: and after the restart' 0 'after a restart' cat /mnt/store/second
	expect 'howto: nothing is left in configfs' 0 '^$' tree
}

case ${1:-} in
make) make_exports ;;
after) after ;;
howto) howto ;;
*) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" ;;
esac
