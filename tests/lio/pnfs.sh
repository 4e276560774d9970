# SPDX-License-Identifier: GPL-2.0-or-later
# pNFS with the SCSI layout: the NFS server has XFS on an exported cache, by a nexus of its own; a client gets
# layouts and writes to the LUN by itself, by iSCSI. The kernel fences by persistent reservations.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

set_up_nfs() {
	mkdir -p /run/rpcbind /srv/pnfs /mnt2 /var/lib/nfs/{v4recovery,rpc_pipefs,nfsdcltrack,sm}
	modprobe -a nfsd blocklayoutdriver nfsv4 || skip "this kernel has no NFS server, or no layouts of blocks"
	grep -q ' nfsd4_scsi_proc_' /proc/kallsyms || skip "this kernel's NFS server has no layout of SCSI disks"
	mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
	mountpoint -q /var/lib/nfs/rpc_pipefs || mount -t rpc_pipefs pipefs /var/lib/nfs/rpc_pipefs
	pidof rpcbind >/dev/null || rpcbind -w
}

serve_nfs() {
	mount "$1" /srv/pnfs
	chmod 777 /srv/pnfs
	echo '/srv/pnfs 127.0.0.1(rw,no_root_squash,insecure,pnfs,no_subtree_check,fsid=1)' >/etc/exports
	l exportfs -ra
	pidof rpc.mountd >/dev/null || rpc.mountd -N 3
	pidof nfsdcld >/dev/null || nfsdcld || true
	l rpc.nfsd -N 3 -V 4.1 -V 4.2 4
}

stop_nfs() {
	timeout 60 umount /mnt2 || umount -l /mnt2
	exportfs -ua
	rpc.nfsd 0
	timeout 60 umount /srv/pnfs || umount -l /srv/pnfs
}

# Without udev, nobody but we makes the link by which the client looks for the LUN.
link_by_id() {
	local naa
	naa=$(sg_vpd -p di "$1" | grep -o '0x6001405[0-9a-f]*' | head -n 1)
	[[ $naa ]] || naa=0x$(sg_vpd -p di -r "$1" | od -An -v -tx1 | tr -d ' \n' | grep -o '6001405[0-9a-f]\{25\}' | head -n 1)
	mkdir -p /dev/disk/by-id
	ln -sfn "$1" "/dev/disk/by-id/wwn-$naa"
}

sectors_written() { awk '{ print $7 }' "/sys/block/${1##*/}/stat"; }

test_pnfs() {
	local server client before
	make_cache 384M
	set_up_nfs
	export_it --fabric loopback
	find_lun
	server=$lun
	mkfs.xfs -q -f "$server"
	export_it --fabric iscsi --portal 127.0.0.1 --acl "$initiator"
	login
	wait_until 30 luns_are 2 || fail "initiators see $(luns | wc -l) disks instead of 2"
	client=$(luns | grep -vx "$server")
	link_by_id "$client"
	serve_nfs "$server"
	timeout 100 mount -t nfs -o vers=4.2,proto=tcp 127.0.0.1:/srv/pnfs /mnt2 || fail "no mount"
	before=$(sectors_written "$client")
	head -c 8M /dev/urandom >"$work/pattern"
	dd if="$work/pattern" of=/mnt2/file bs=1M oflag=direct conv=fsync status=none
	check_that "sectors that the client wrote by itself" "$(sectors_written "$client") - $before >= 16000"
	echo 3 >/proc/sys/vm/drop_caches
	cmp "$work/pattern" /mnt2/file || fail "the client reads something else"
	echo 3 >/proc/sys/vm/drop_caches
	cmp "$work/pattern" /srv/pnfs/file || fail "the server reads something else"
	l sg_persist -r "$client"
	[[ $(<"$work/out") == *'Exclusive Access'* ]] || fail "nobody has reserved the LUN"
	stop_nfs
	logout
	unexport_it
}
