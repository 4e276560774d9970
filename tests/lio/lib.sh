# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of exports share inside a guest: a cache to export, what is in configfs, initiators of all
# fabrics and what they find. Sourced by ./guest.
# shellcheck shell=bash disable=SC2154,SC2034,SC2119,SC2120  # shared with the libraries below, and the themes

LIO_TESTS=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
stock='' udev=${udev:-}
# shellcheck source-path=SCRIPTDIR source=../lvm/lib.sh
. "$LIO_TESTS/../lvm/lib.sh"

TOOL=${LARDER_TOOL:-$REPO/build/bin/larder}
OWN_BIN=${LARDER_LIO_BIN:-$BIN}
target=/sys/kernel/config/target
nvmet=/sys/kernel/config/nvmet
initiator=iqn.1993-08.org.debian:01:larder
address=10.77.0.1

# --- what there is in configfs ---

# skip WHY: what the test is about is not to be had here.
skip() {
	echo "$*" >"$why"
	exit 77
}

# tree: every directory and link that somebody has made there; not what the kernel makes by itself. What a link to
# a storage object is called means nothing to anybody.
tree() {
	local top
	for top in $target $nvmet; do
		[[ ! -d $top ]] || find "$top" -mindepth 2 \( -type d -o -type l \) -printf '%p %l\n'
	done | sed -E 's/ $//; s#/lun_([0-9]+)/[^/ ]+ #/lun_\1/LINK #' | grep -vE "^$target/(core/alua|[a-z_]+/discovery_auth)|^$nvmet/(hosts|ports|subsystems|discovery_nqn)\$" |
		sort
}

# is_unexported WHAT
is_unexported() {
	local left
	left=$(tree)
	[[ ! $left ]] || fail "$1: left in configfs: $(tr '\n' ' ' <<<"$left")"
}

# same_tree WHAT BEFORE
same_tree() {
	[[ $2 == "$(tree)" ]] ||
		fail "$1: is not what it was: $(diff <(echo "$2") <(tree) | grep '^[<>]' | head -n 12 | tr '\n' ' ')"
}

# Whatever state somebody has left, from outside in.
wipe_configfs() {
	local file
	for file in "$target"/{loopback,vhost,usb_gadget}/*/tpgt_*/nexus; do
		[[ ! -e $file ]] || echo NULL >"$file"
	done
	for file in "$target"/*/*/tpgt_*/enable "$nvmet"/subsystems/*/namespaces/*/enable; do
		[[ ! -e $file ]] || echo 0 >"$file"
	done
	for _ in 1 2 3 4; do
		for file in $target $nvmet; do
			[[ ! -d $file ]] || find "$file" -mindepth 2 -type l -delete
			[[ ! -d $file ]] || find "$file" -mindepth 2 -depth -type d -exec rmdir {} +
		done
	done 2>/dev/null
	[[ ! $(tree) ]]
}

# backstore [DEVICE]: the directory of the storage object on DEVICE, or of the only one.
backstore() {
	local dir
	for dir in "$target"/core/iblock_*/*/; do
		[[ -e $dir/udev_path ]] || continue
		[[ ! ${1:-} || $(<"$dir/udev_path") == "$1" ]] && echo "${dir%/}" && return
	done
	fail "there is no storage object ${1:+on $1}"
}
attribute() { cat "$(backstore)/attrib/$1"; }
serial() { sed 's/.*: //' "$(backstore "$@")/wwn/vpd_unit_serial"; }

# portal_group FABRIC: the only one.
portal_group() {
	local found
	found=$(compgen -G "$target/$1/*/tpgt_*") || fail "$1 has no portal group"
	[[ $found != *$'\n'* ]] || fail "$1 has several portal groups: $found"
	echo "$found"
}
wwn_of() { basename "$(dirname "$(portal_group "$1")")"; }

# --- what is exported ---

# make_cache: by hand, /dev/mapper/cache; quicker than an LV.
make_cache() {
	load_module dm-larder
	make_disks 4M 64M "${1:-128M}"
	create
	exported=/dev/mapper/cache
}

# make_cached_lv: by LVM, /dev/vg/data of 64 MiB.
make_cached_lv() {
	make_cached vol --cachemode writeback
	exported=$dev
}

# export_it OPTION...: what make_cache or make_cached_lv has made.
export_it() { l larder export "$exported" "$@"; }
unexport_it() {
	l larder unexport "$exported" "$@"
	is_unexported "after unexport"
}

# --- initiators ---

set_up_iscsid() {
	mkdir -p /run/lock/iscsi /etc/iscsi
	echo "InitiatorName=$initiator" >/etc/iscsi/initiatorname.iscsi
	modprobe -a iscsi_tcp sg
	pidof iscsid >/dev/null || iscsid
}

# login [PORTAL [OPTION...]]: at the only target that the portal offers; options are name=value of the node.
login() {
	local portal=${1:-127.0.0.1:3260} name option
	name=$(wwn_of iscsi)
	bounded iscsiadm -m node -T "$name" -p "$portal" -o new "${transport[@]}" || fail "no record of $name at $portal"
	for option in node.session.timeo.replacement_timeout=5 "${@:2}"; do
		l iscsiadm -m node -T "$name" -p "$portal" -o update -n "${option%%=*}" -v "${option#*=}"
	done
	bounded iscsiadm -m node -T "$name" -p "$portal" --login
}
transport=()
logout() {
	keep_awake
	l iscsiadm -m node -u
}

# Power management of the SCSI targets of initiators off, as the kernel warns about itself when one goes while its
# idling is being noted: "workqueue: WQ_MEM_RECLAIM iscsi_ctrl_1 .. is flushing !WQ_MEM_RECLAIM pm".
keep_awake() {
	local file
	for file in /sys/bus/scsi/devices/target*/power/control; do
		[[ ! -e $file ]] || echo on >"$file"
	done
}

# The text of a page that the kernel has read from a disk.
page_of() { tail -c +5 "/sys/block/$1/device/vpd_pg$2" 2>/dev/null | tr -d '\0 '; }

# luns [SERIAL]: the disks behind which the storage object with that serial number is.
luns() {
	local disk want=${1:-${unit:-$(serial)}}
	for disk in /sys/block/sd*; do
		[[ -e $disk && $(page_of "${disk##*/}" 80) == "$want" && -b /dev/${disk##*/} ]] && echo "/dev/${disk##*/}"
	done
	true
}
luns_are() { [[ $(luns | wc -l) == "$1" ]]; }

# find_lun: the one disk is $lun. Some initiators look for disks only when told to.
find_lun() {
	local host
	unit=$(serial)
	if ! wait_until 10 luns_are 1; then
		for host in /sys/class/scsi_host/*/scan; do
			echo "- - -" >"$host"
		done
		wait_until 30 luns_are 1 || fail "initiators see $(luns | wc -l) disks instead of 1: $(lsblk -Sno NAME,VENDOR,SERIAL)"
	fi
	lun=$(luns)
}
unit=
lun_gone() { wait_until 30 luns_are 0 || fail "the initiator's disk stays: $(luns)"; }

find_nvme() {
	wait_until 30 compgen -G '/dev/nvme*n*' >/dev/null || fail "no NVMe disk"
	lun=$(compgen -G '/dev/nvme*n*' | head -n 1)
}

# The fabric that RDMA and FCoE run on: a cable between two ports of this machine.
make_cable() {
	ip link add v0 address 02:11:22:33:44:01 type veth peer name v1 address 02:11:22:33:44:02
	ip addr add "$address/24" dev v0
	ip link set v0 up
	ip link set v1 up
}
make_rdma() {
	make_cable
	modprobe rdma_rxe
	rdma link add rxe0 type rxe netdev v0
	wait_until 20 test -e /sys/class/infiniband/rxe0/ports/1/gids/1 || fail "no RDMA device"
	# The GID of the IPv4 address comes a little later than the device.
	wait_until 20 grep -q ffff /sys/class/infiniband/rxe0/ports/1/gids/1 || fail "no GID of $address"
}

# --- what an initiator writes is what the cache holds ---

# path_works DISK [DEVICE]: random data through the initiator's disk; read back there, and from the device.
path_works() {
	local sum below=${2:-$exported}
	head -c 4M /dev/urandom >"$work/pattern"
	sum=$(sha256sum <"$work/pattern")
	dd if="$work/pattern" of="$1" bs=512k seek=6 oflag=direct conv=notrunc,fsync status=none || fail "write to $1"
	check "read back by the initiator" "$sum" "$(dd if="$1" bs=512k skip=6 count=8 iflag=direct status=none | sha256sum)"
	check "read from $below" "$sum" "$(dd if="$below" bs=512k skip=6 count=8 iflag=direct status=none | sha256sum)"
	rm -f "$work/journal"
	work_on "$1" 7 --initial any
	judge "$1" --expect-exact
	judge "$below" --expect-exact
}

# --- between tests ---

drop_initiators() {
	local file
	keep_awake
	timeout 60 iscsiadm -m node -u || true
	rm -rf /etc/iscsi/{nodes,send_targets} /var/lib/iscsi/{nodes,send_targets}
	timeout 60 nvme disconnect-all || true
	for file in /sys/class/srp_remote_ports/port-*/delete; do
		[[ ! -e $file ]] || echo 1 >"$file"
	done
	for file in v0 v1; do
		[[ ! -e /sys/bus/fcoe/ctlr_destroy ]] || echo -n $file >/sys/bus/fcoe/ctlr_destroy || true
	done
} >/dev/null 2>&1

# What lvm/lib.sh has for this takes the devices away; exports are in the way.
eval "$(declare -f clean_up | sed '1s/clean_up/clean_up_devices/')"
clean_up() {
	local name
	! mountpoint -q /srv/pnfs || stop_nfs
	umount -q /mnt 2>/dev/null || true
	for name in /sys/block/dm-*/dm/name; do
		[[ ! -e $name || $(<"${name%name}suspended") == 0 ]] || dmsetup resume "$(<"$name")" || true
	done
	drop_initiators
	wipe_configfs || { echo "left in configfs: $(tree)" && return 1; }
	rdma link delete rxe0 2>/dev/null || true
	ip link delete v0 2>/dev/null || true
	rm -rf /etc/larder /run/larder /etc/rtslib-fb-target/{pr,alua,saveconfig.json}
	clean_up_devices
}

begin_lio_suite() {
	mkdir -p "$work/bin"
	ln -sfn "$TOOL" "$work/bin/larder"
	PATH=$work/bin:$PATH
	begin_suite
	# `larder detach` runs LVM in an environment of its own, where LVM_SYSTEM_DIR is not. With the system's settings
	# it would wait for ever for udevd, which does not run here.
	cp "$work/etc/lvm.conf" /etc/lvm/lvm.conf
	modprobe -a configfs sg sd_mod
	set_up_iscsid
}
