#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest's part of tests/unit/tools/convert-vm: a cache of LVM on simdisks whose media are the host's
# files, converted by larder convert, with the kernel's dm-cache at one end and dm-larder at the other.
#
# usage: guest-convert.sh STEP...
#
#   make=pool|vol        with dm-cache: a cached volume with dirty data, and its sum in the share
#   from, to             converts it; the other module must then show the same data, and takes new data
#   cut-from, cut-to     begins to, and asks for a power cut some time on the way
#   refused              what must not be done to a dm-cache in use, or by the wrong module

set -euo pipefail
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR source=../../vm/guest-lib.sh
. "$here/../../vm/guest-lib.sh"
repo=$(realpath "$here/../../..")
larder=${LARDER_TOOL:-$repo/build/bin/larder}
share=/share
passed=0 failed=0
export LVM_SUPPRESS_FD_WARNINGS=1

pass() { passed=$((passed + 1)) && echo "ok $1"; }
fail() {
	failed=$((failed + 1))
	echo "not ok $1"
	[[ ! -s /tmp/out ]] || sed 's/^/    /;40q' /tmp/out
	lvs -a -o +lv_tags,devices 2>&1 | sed 's/^/    = /'
	dmesg | tail -n 8 | sed 's/^/    | /'
}

# expect NAME CODE PATTERN COMMAND...: it must end with CODE (x: any but 0), and its output match PATTERN.
expect() {
	local name=$1 want=$2 pattern=$3 code=0
	shift 3
	timeout 300 "$@" >/tmp/out 2>&1 || code=$?
	[[ $want != x || $code == 0 ]] || want=$code
	if [[ $code == "$want" ]] && grep -qE -- "$pattern" /tmp/out; then
		pass "$name"
	else
		fail "$name: exit code $code (expected $want), or no /$pattern/: $*"
	fi
}
l() { timeout 300 "$@" >/tmp/out 2>&1 || { fail "$*: ended with $?" && finish; }; }

finish() {
	echo "$passed passed, $failed failed, 0 skipped"
	[[ $failed -eq 0 ]]
	exit
}

# --- the machine ---

# udev may have activated what is on the disk below. wait_until runs this.
# shellcheck disable=SC2317
add_disk() {
	udevadm settle --timeout=30 || true
	dmsetup remove_all >/dev/null 2>&1 || true
	udevadm settle --timeout=30 || true
	{ echo "$1" >/sys/kernel/simdisk/add; } 2>/dev/null
}

set_up() {
	local name words
	modprobe dm-mod
	mkdir -p /etc/lvm /tmp/tools
	ln -sf "$larder" /tmp/tools/cache_check
	# here, as larder hands nothing of its environment on
	cat >/etc/lvm/lvm.conf <<-END
		devices {
			filter = [ "a|^/dev/(slow|fast)$|", "r|.*|" ]
			types = [ "simdisk", 16 ]
			use_devicesfile = 0
			obtain_device_list_from_udev = 0
			external_device_info_source = "none"
		}
		global {
			event_activation = 0
			use_lvmpolld = 0
			cache_check_executable = "/tmp/tools/cache_check"
		}
		activation { monitoring = 0 }
		backup { backup = 0 archive = 0 }
	END
	load_module simdisk
	for name in slow fast; do
		words=type=ssd
		[[ $name == fast ]] || words=type=hdd
		words+=" fast=1 leak=20 backing=$(disk_by_serial "convert-$name")"
		wait_until 30 add_disk "name=$name $words" || guest_die "no disk for /dev/$name"
		wait_until 10 test -b "/dev/$name" || guest_die "no /dev/$name"
	done
}

use_stock() {
	rmmod dm-larder 2>/dev/null || true
	rm -f /etc/modprobe.d/larder.conf
	modprobe dm-cache && modprobe dm-cache-smq
}

use_ours() {
	rmmod dm-cache-smq dm-cache 2>/dev/null || true
	cp "$repo/lvm-integration/modprobe.conf" /etc/modprobe.d/larder.conf
	load_module dm-larder
}

# --- data ---

data=/dev/mapper/vg-data

write_some() {
	local seek
	for seek in 0 100 200 "$RANDOM" "$RANDOM"; do
		dd if=/dev/urandom of=$data bs=64k count=16 seek=$((seek % 500)) oflag=direct conv=notrunc status=none
	done
}

sum() { md5sum <$data | cut -d' ' -f1; }
note_sum() {
	sum >$share/sum
	sync $share/sum
}

# LVM flushes nothing of what it notes, and nobody has asked for the data: a cut would be right to take it.
stop() {
	l lvchange -an vg/data
	sync /dev/slow /dev/fast
}

# As dm-cache and as dm-larder, it must show what was noted, and may be written anew.
judge() {
	l lvchange -ay vg/data
	if [[ $(sum) == "$(<$share/sum)" ]]; then pass "$1: the data is there"; else fail "$1: other data"; fi
	dmsetup status --noflush vg-data
	for _ in 1 2 3 4; do write_some; done
	note_sum
	stop
}

# --- the steps ---

make_cached() {
	local round
	use_stock
	l pvcreate -ff -y -qq /dev/slow /dev/fast
	l vgcreate -qq -s 1M vg /dev/slow /dev/fast
	l lvcreate -y -Wn -qq -n data -L 32M vg /dev/slow
	if [[ $1 == pool ]]; then
		l lvcreate -y -qq --type cache-pool -n fast -L 8M -c 64k --poolmetadatasize 5M --poolmetadataspare n vg /dev/fast
		l lvconvert -y -qq --type cache --cachepool vg/fast --cachemode writeback vg/data
	else
		l lvcreate -y -Wn -qq -n fast -L 16M vg /dev/fast
		l lvconvert -y -qq --type cache --cachevol vg/fast --cachemode writeback -c 64k vg/data
	fi
	[[ $(dmsetup table vg-data) == *" cache "* ]] || guest_die "vg/data is not cached"
	dd if=/dev/urandom of=$data bs=1M count=32 oflag=direct status=none
	for ((round = 0; round < 60; round++)); do
		write_some
		[[ $(dirty) -lt 40 ]] || break
	done
	dmsetup message vg-data 0 migration_threshold 0
	write_some
	echo "$(dirty) chunks are dirty"
	note_sum
	stop
	expect "$1: dirty chunks to convert" 0 '"chunks_dirty": ?[1-9]' "$larder" convert --from-dm-cache -n --json vg/data
}
dirty() { dmsetup status --noflush vg-data | awk '{ print $14 }'; }

convert_from() {
	expect 'from dm-cache' 0 'vg/data: (converted|finished|nothing to do)' "$larder" convert --from-dm-cache vg/data
	[[ $failed == 0 ]] || finish
	expect 'from dm-cache: no staging is left' 0 '^0$' bash -c 'lvs -a vg | grep -c larder_convert || true'
	use_stock
	expect 'a larder is not taken by dm-cache' x '' lvchange -ay vg/data
	use_ours
	judge 'as a larder'
	expect 'from dm-cache: once more' 0 'is a dm-larder cache already' "$larder" convert --from-dm-cache vg/data
}

convert_to() {
	expect 'to dm-cache' 0 'vg/data: (converted|finished|nothing to do)' "$larder" convert --to-dm-cache vg/data
	[[ $failed == 0 ]] || finish
	expect 'to dm-cache: no staging is left' 0 '^0$' bash -c 'lvs -a vg | grep -c larder_convert || true'
	use_ours
	expect 'a dm-cache is not taken by dm-larder' x '' lvchange -ay vg/data
	use_stock
	judge 'as a dm-cache'
}

refused() {
	use_stock
	l lvchange -ay vg/data
	expect 'refused: active' 66 'lvchange -an' "$larder" convert --from-dm-cache vg/data
	exec 8<$data
	expect 'refused: in use' 66 'in use' "$larder" convert --from-dm-cache --yes vg/data
	exec 8<&-
	expect 'refused: no cache' 65 'has no cache: it is linear' bash -c "lvcreate -y -qq -l 1 -n plain vg /dev/slow && $larder convert --from-dm-cache vg/plain"
	l lvremove -f vg/plain
	expect 'refused: no such volume' 66 'there is no volume' "$larder" convert --from-dm-cache vg/nothing
	expect 'active, with consent' 0 'vg/data: converted' "$larder" convert --from-dm-cache --yes vg/data
	use_ours
	judge 'with consent'
	expect 'and back' 0 'vg/data: converted' "$larder" convert --to-dm-cache vg/data
}

# The staging is made, and anything may happen after that.
cut_power() {
	(
		wait_until 120 test -e /dev/mapper/vg-data_larder_convert || true
		sleep "$((RANDOM % 4)).$((RANDOM % 10))"
		dmsetup table
		echo "CUT NOW"
		sleep 20
	) &
	"$larder" convert "$1" vg/data
	wait
}

set_up
for step; do
	echo "# $step"
	case $step in
	make=*) make_cached "${step#*=}" ;;
	from) convert_from ;;
	to) convert_to ;;
	refused) refused ;;
	cut-from) cut_power --from-dm-cache ;;
	cut-to) cut_power --to-dm-cache ;;
	*) guest_die "unknown step $step: see the head of $0" ;;
	esac
done
finish
