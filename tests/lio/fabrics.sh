# SPDX-License-Identifier: GPL-2.0-or-later
# Each fabric that works without hardware, from `larder export` to an initiator that reads what it has
# written: and so does who reads the cache below. Afterwards configfs is what it was.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

test_loopback() {
	make_cached_lv
	export_it --fabric loopback
	find_lun
	path_works "$lun"
	unexport_it
	lun_gone
	check "contents, no longer exported" "$(sha256sum <"$work/pattern")" \
		"$(dd if="$dev" bs=512k skip=6 count=8 iflag=direct status=none | sha256sum)"
}

test_iscsi() {
	make_cached_lv
	export_it --fabric iscsi --portal 127.0.0.1 --acl "$initiator"
	login
	find_lun
	path_works "$lun"
	logout
	unexport_it
	# All that it has taken is given back: LVM can do what it likes.
	l lvconvert -y --uncache vg/data
	judge "$dev" --expect-exact
}

test_iscsi_by_hand() {
	make_cache
	export_it --fabric iscsi --portal 127.0.0.1:3277 --any-initiator
	login 127.0.0.1:3277
	find_lun
	path_works "$lun"
	logout
	unexport_it
}

test_iser() {
	make_cached_lv
	make_rdma
	modprobe ib_iser
	export_it --fabric iser --portal "$address" --acl "$initiator"
	transport=(-I iser)
	login "$address:3260"
	find_lun
	check "transport" iser "$(iscsiadm -m session | sed 's/:.*//')"
	path_works "$lun"
	logout
	unexport_it
}

test_vhost() {
	local wwn sum
	make_cached_lv
	export_it --fabric vhost
	wwn=$(wwn_of vhost)
	[[ $("$OWN_BIN/vhost-client" "$wwn" 1 inquiry) == LIO-ORG* ]] || fail "INQUIRY"
	head -c 4M /dev/urandom >"$work/pattern"
	sum=$(sha256sum <"$work/pattern")
	"$OWN_BIN/vhost-client" "$wwn" 1 write 6144 8192 <"$work/pattern" || fail "WRITE"
	check "read back" "$sum" "$("$OWN_BIN/vhost-client" "$wwn" 1 read 6144 8192 | sha256sum)"
	check "read from $dev" "$sum" "$(dd if="$dev" bs=512k skip=6 count=8 iflag=direct status=none | sha256sum)"
	fails "a read behind the end" "$OWN_BIN/vhost-client" "$wwn" 1 read "$(sectors_of "$dev")" 8
	unexport_it
}

# Over the connection manager of RDMA, an initiator goes by its address, and must be named. Its port is the
# administrator's to choose, once for the host.
test_srp() {
	local guid host
	make_cached_lv
	make_rdma
	modprobe -a ib_srpt ib_srp
	mkdir -p "$target/srpt"
	echo 5555 >"$target/srpt/discovery_auth/rdma_cm_port"
	export_it --fabric srp --wwn "$(</sys/class/infiniband/rxe0/node_guid)" --acl "$address"
	guid=$(</sys/module/ib_srpt/parameters/srpt_service_guid)
	host=/sys/class/infiniband_srp/srp-rxe0-1
	echo "id_ext=${guid#0x},ioc_guid=${guid#0x},dest=$address:5555" >$host/add_target || fail "no login"
	find_lun
	path_works "$lun"
	for host in /sys/class/srp_remote_ports/port-*/delete; do
		echo 1 >"$host"
	done
	lun_gone
	unexport_it
}

# fcoe_name PORT: the WWN of the FCoE controller on it, with colons.
fcoe_name() {
	local host
	for host in /sys/class/fc_host/host*; do
		[[ $(<"$host/symbolic_name") == *" over $1" ]] || continue
		sed 's/^0x//; s/../&:/g; s/:$//' "$host/port_name"
		return
	done
	fail "no FCoE on $1"
}

test_fcoe() {
	local port controller
	make_cached_lv
	make_cable
	modprobe -a fcoe libfcoe libfc tcm_fc 8021q
	for port in v0 v1; do
		echo -n $port >/sys/bus/fcoe/ctlr_create
	done
	# In capitals, and before it is enabled.
	for controller in /sys/bus/fcoe/devices/ctlr_*; do
		echo -n VN2VN >"$controller/mode"
	done
	export_it --fabric fcoe --wwn "$(fcoe_name v1)" --acl "$(fcoe_name v0)"
	for controller in /sys/bus/fcoe/devices/ctlr_*; do
		echo 1 >"$controller/enabled"
	done
	wait_until 60 compgen -G '/sys/class/fc_remote_ports/rport-*' || fail "the ports do not find each other"
	find_lun
	path_works "$lun"
	for port in v0 v1; do
		echo -n $port >/sys/bus/fcoe/ctlr_destroy
	done
	unexport_it
}

# nvme_path TRANSPORT ADDRESS OPTION...
nvme_path() {
	local name
	make_cached_lv
	export_it --fabric "nvme-$1" --portal "$2" "${@:3}"
	modprobe "nvme-$1"
	name=$(basename "$(compgen -G "$nvmet/subsystems/*" | grep -v discovery)")
	l nvme connect -t "$1" -a "$2" -s 4420 -n "$name" --hostnqn "$host_name"
	find_nvme
	path_works "$lun"
	l nvme disconnect -n "$name"
	unexport_it
}
host_name=nqn.2014-08.org.nvmexpress:uuid:6c617264-6572-4000-8000-000000000001

test_nvme_tcp() {
	nvme_path tcp 127.0.0.1 --acl "$host_name"
}

test_nvme_rdma() {
	make_rdma
	nvme_path rdma "$address" --any-initiator
}

# The kernel asks no disk on USB for its serial number, by which find_lun would know it.
usb_disk() {
	local disk
	for disk in /sys/block/sd*; do
		[[ $(readlink -f "$disk") == */usb[0-9]*/* && -b /dev/${disk##*/} ]] && echo "/dev/${disk##*/}" && return
	done
	false
}
no_usb_disk() { ! usb_disk >/dev/null; }

# Debian builds its kernels without usb_f_tcm: tests/lio/usb-module. What 6.12 has of it frees commands twice when
# the disk comes without UAS, as here, and hands wrong data out.
test_usb() {
	local gadget=/sys/kernel/config/usb_gadget/g1
	[[ $(uname -r) != 6.* ]] || skip "usb_f_tcm of this kernel uses commands that it has freed"
	[[ ${LARDER_USB_MODULE:-} || $(modprobe -n usb_f_tcm 2>&1) == '' ]] || skip "this kernel has no usb_f_tcm: see --usb"
	make_cached_lv
	modprobe -a libcomposite uas usb-storage target_core_mod
	modprobe dummy_hcd is_super_speed=1
	[[ ! ${LARDER_USB_MODULE:-} ]] || insmod "$REPO/$LARDER_USB_MODULE"
	mkdir -p $gadget/strings/0x409 $gadget/configs/c.1 $gadget/functions/tcm.0
	echo 0x1d6b >$gadget/idVendor
	echo 0x0104 >$gadget/idProduct
	export_it --fabric usb
	ln -s $gadget/functions/tcm.0 $gadget/configs/c.1/
	echo dummy_udc.0 >$gadget/UDC
	wait_until 60 usb_disk >/dev/null || fail "no disk"
	lun=$(usb_disk)
	check "serial number" "$(serial)" "$(sg_vpd -p sn "$lun" | sed -n 's/.*serial number: *//p' | xargs)"
	path_works "$lun"
	echo >$gadget/UDC
	wait_until 30 no_usb_disk || fail "the disk stays"
	rm $gadget/configs/c.1/tcm.0
	unexport_it
	rmdir $gadget/configs/c.1 $gadget/functions/tcm.0 $gadget/strings/0x409 $gadget
}

# Two fabrics to one storage object: what one initiator writes, the other reads. unexport takes both away.
test_two_fabrics() {
	local first
	make_cache
	export_it --fabric loopback
	find_lun
	first=$lun
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator
	check "storage objects" 1 "$(compgen -G "$target/core/iblock_*/*/udev_path" | wc -l)"
	login
	wait_until 30 luns_are 2 || fail "initiators see $(luns | wc -l) disks instead of 2"
	lun=$(luns | grep -vx "$first")
	path_works "$first" "$lun"
	logout
	path_works "$first"
	unexport_it
}
