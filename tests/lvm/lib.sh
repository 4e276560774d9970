# SPDX-License-Identifier: GPL-2.0-or-later
# What the LVM tests share inside a guest: lvm2 with a configuration of its own, a volume group on simulated
# disks, caches in it, and how one test cannot spoil the next. Sourced by ./guest.
# shellcheck shell=bash

LVM_TESTS=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=../functional/lib.sh
. "$LVM_TESTS/../functional/lib.sh"

work=/tmp/lvm
why=$work/why
REPO=$(realpath "$LVM_TESTS/../..")
export LVM_SYSTEM_DIR=$work/etc LVM_SUPPRESS_FD_WARNINGS=1
[[ ! ${udev:-} ]] || unset DM_DISABLE_UDEV

# --- the list of tests ---

# only_ours WHY: the rest of the test is about what the kernel's own dm-cache does not promise.
only_ours() {
	[[ $stock ]] || return 0
	echo "$*" >"$why"
	exit 77
}

# note WHAT...: stands behind the line of a test that has passed.
note() { echo ": $*" >>"$work/notes"; }

# in_group SECONDS COMMAND...: runs it in a process group of its own, which ends with it, or at the bound.
in_group() {
	local limit=$1 job guard code=0
	shift
	set -m
	"$@" </dev/null &
	job=$!
	{ sleep "$limit" && echo "hangs: not over after $limit s" >>"$why" && kill -KILL -- "-$job"; } 2>/dev/null &
	guard=$!
	set +m
	wait "$job" 2>/dev/null || code=$?
	kill -KILL -- "-$guard" "-$job" 2>/dev/null || true
	wait "$guard" 2>/dev/null || true
	return $code
}

in_shell() {
	set -eE
	trap 'on_error $? $LINENO "$BASH_COMMAND"' ERR
	"$@"
}

# What stands in the way of the next test makes all further results worthless: the suite ends there.
run_test() {
	local name=$1 code=0 begun=$SECONDS
	shift
	rm -rf "$work"/{journal*,stop,tools.log,saved*}
	: >"$why"
	: >"$work/notes"
	echo "lvm: $name" >/dev/kmsg
	in_group "${TEST_SECONDS:-600}" in_shell "$@" >"$work/test.log" 2>&1 || code=$?
	if [[ $code != 0 && $code != 77 ]]; then
		{ echo "--- devices" && timeout 20 dmsetup table && timeout 20 dmsetup status --noflush; } >>"$work/test.log" 2>&1 || true
	fi
	report "$name" "$code" $((SECONDS - begun))
	in_group 120 clean_up >"$work/clean.log" 2>&1 || {
		echo "not ok $name: cannot clean up behind it: $(tail -n 3 "$work/clean.log" | xargs -0)"
		dmesg | tail -n 30 | sed 's/^/    | /'
		failed=$((failed + 1))
		end_suite
		exit 1
	}
}

# report NAME CODE SECONDS
report() {
	case $2 in
	0)
		passed=$((passed + 1))
		echo "ok $1 ($3 s)$(tr '\n' ' ' <"$work/notes")"
		;;
	77)
		skipped=$((skipped + 1))
		echo "skipped $1: $(<"$why") ($3 s)"
		;;
	*)
		failed=$((failed + 1))
		echo "not ok $1: $(tr '\n' ' ' <"$why")"
		tail -n "${LOG_LINES:-40}" "$work/test.log" | sed 's/^/    /'
		dmesg | sed -n "/lvm: $1\$/,\$p" | tail -n 20 | sed 's/^/    | /'
		;;
	esac
}

end_suite() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[[ $failed -eq 0 ]]
}

begin_suite() {
	passed=0 failed=0 skipped=0
	mkdir -p "$work"/{bin,etc,tools}
	# An emulator that translates instructions translates those of a program once, if it stays in its place;
	# and LVM looks at each device node: half of the time goes away.
	echo 0 >/proc/sys/kernel/randomize_va_space
	rm -f /dev/tty[0-9]* /dev/vcs*
	set_up_udev
	load_module simdisk
	set_up_tools
	[[ $stock ]] || set_up_aliases
	write_lvm_conf
	clean_up
}

# Takes everything away from below LVM: that works whatever state a test has left.
clean_up() {
	local name
	umount -q /mnt 2>/dev/null || umount -l /mnt 2>/dev/null || true
	[[ ! -e $SIMDISK/power ]] || power revive
	for name in /sys/block/*/simdisk; do
		[[ ! -e $name/errors ]] || { echo clear >"$name/errors" && echo 0 >"$name/dead"; }
	done
	drop_devices || { dmsetup ls --tree && return 1; }
	for name in /sys/block/*/simdisk; do
		[[ ! -e $name ]] || basename "$(dirname "$name")" >$SIMDISK/remove
	done
	rm -rf /dev/vg /dev/vg2 "$work/etc/"{archive,backup}
}

# Every device of device-mapper, suspended ones too; caches go before what they use.
drop_devices() {
	local name
	for _ in 1 2 3 4 5 6; do
		compgen -G '/sys/block/dm-*/dm/name' >/dev/null || return 0
		for name in /sys/block/dm-*/dm/name; do
			[[ $(<"${name%name}suspended") == 0 ]] || dmsetup resume "$(<"$name")" || true
		done
		dmsetup remove_all >/dev/null 2>&1 || true
	done
	! compgen -G '/sys/block/dm-*' >/dev/null
}

# --- lvm2 and what it needs ---

set_up_udev() {
	[[ ! $udev ]] || { pidof systemd-udevd >/dev/null || guest_die "no udevd runs"; return 0; }
	! pidof systemd-udevd >/dev/null || udevadm control --exit 2>/dev/null || true
	wait_until 10 eval '! pidof systemd-udevd >/dev/null' || guest_die "udevd does not end"
}

# The tools as LVM calls them; tools.log has a line for each call.
set_up_tools() {
	local name
	for name in cache_check cache_repair; do
		if [[ $stock ]]; then
			ln -sfn /usr/sbin/$name "$work/tools/$name"
		else
			ln -sfn "${LARDER_TOOL:-$REPO/build/bin/larder}" "$work/tools/$name"
		fi
		cat >"$work/bin/$name" <<-END
			#!/bin/bash
			code=0
			$work/tools/$name "\$@" || code=\$?
			echo "$name \$* = \$code" >>$work/tools.log
			exit \$code
		END
		chmod +x "$work/bin/$name"
	done
}

# As make install would have it, but for the place of the module.
set_up_aliases() {
	cp "$REPO/lvm-integration/modprobe.conf" /etc/modprobe.d/larder.conf
	cat >/etc/modprobe.d/larder-test.conf <<-END
		install dm-larder LARDER_MODULES=${LARDER_MODULES:-} bash -c '. $REPO/tests/vm/guest-lib.sh && load_module dm-larder'
	END
}

write_lvm_conf() {
	local with_udev=0
	[[ ! $udev ]] || with_udev=1
	cat >"$work/etc/lvm.conf" <<-END
		devices {
			filter = [ "a|^/dev/pv[a-z]$|", "r|.*|" ]
			use_devicesfile = 0
			obtain_device_list_from_udev = 0
			external_device_info_source = "none"
			md_component_detection = 0
			multipath_component_detection = 0
		}
		global {
			event_activation = 0
			use_lvmpolld = 0
			cache_check_executable = "$work/bin/cache_check"
			cache_repair_executable = "$work/bin/cache_repair"
		}
		activation {
			checks = 1
			monitoring = 0
			udev_sync = $with_udev
			udev_rules = $with_udev
		}
		backup {
			backup = 0
			archive = 0
		}
	END
}

# bounded COMMAND...: its output goes to $work/out and into the log of the test.
bounded() {
	local code=0
	echo "# $*"
	timeout -k 5 "${LVM_SECONDS:-200}" "$@" >"$work/out" 2>&1 || code=$?
	cat "$work/out"
	return $code
}

# l COMMAND...: must succeed.
l() { bounded "$@" || fail "'$*' ended with $?: $(tail -n 2 "$work/out")"; }

# refused TEXT COMMAND...: must fail of itself, and say TEXT.
refused() {
	local text=$1 code=0
	shift
	bounded "$@" || code=$?
	[[ $code != 0 ]] || fail "'$*' succeeded"
	[[ $code -lt 100 ]] || fail "'$*' had to be killed"
	[[ $(<"$work/out") == *"$text"* ]] || fail "'$*' did not say '$text': $(tail -n 2 "$work/out")"
}

# --- a volume group, an LV, a cache ---

dev=/dev/vg/data
cached=vg-data

# pva and pvb are slow, pvc and pvd are fast. The metadata of LVM is on a disk of its own: so what the others write
# is all the cache's; and one without a volatile cache, because LVM writes without flushing.
make_vg() { make_vg_of 256M 128M; }
make_vg_of() {
	add_disk pva "$1" type=hdd discard=1
	add_disk pvb "$1" type=hdd discard=1
	add_disk pvc "$2" type=ssd
	add_disk pvd "$2" type=ssd
	add_disk pvm 8M type=ssd wc=0
	l pvcreate -qq --metadatacopies 0 /dev/pva /dev/pvb /dev/pvc /dev/pvd
	l vgcreate -qq -s 1M vg /dev/pva /dev/pvb /dev/pvc /dev/pvd /dev/pvm
}

# make_lv NAME SIZE PV
make_lv() { l lvcreate -qq -y -Wn -n "$1" -L "$2" vg "/dev/$3"; }

# make_fast pool|vol [SIZE [OPTION...]]: what becomes the cache, vg/fast on the first fast disk.
make_fast() {
	if [[ $1 == pool ]]; then
		l lvcreate -y --type cache-pool --poolmetadataspare n -n fast -L "${2:-24M}" "${@:3}" vg /dev/pvc
	else
		make_lv fast "${2:-24M}" pvc
	fi
}

# attach pool|vol [OPTION...]: vg/fast caches vg/data.
attach() { l lvconvert -y --type cache "--cache$1" vg/fast "${@:2}" vg/data; }

# make_cached pool|vol [OPTION of the conversion...]: all of it, with the usual sizes.
make_cached() {
	make_vg
	make_lv data 64M pva
	make_fast "$1"
	attach "$@"
}

# sub NAME: what the parts of the cache vg/fast are called.
sub() {
	case $1 in
	meta) compgen -G '/dev/mapper/vg-*-cmeta' || compgen -G '/dev/mapper/vg-*_cmeta' ;;
	fast) compgen -G '/dev/mapper/vg-*-cdata' || compgen -G '/dev/mapper/vg-*_cdata' ;;
	origin) echo "/dev/mapper/${cached}_corig" ;;
	esac
}

numbers_of() { dmsetup info -c --noheadings --separator : -o major,minor "$1"; }
is_cached() { [[ $(dmsetup table $cached) == *" cache "* ]]; }
table_words() { dmsetup table $cached | cut -d' ' -f7-; }

# check_table WORDS: the whole line, from the chunk size on as given.
check_table() {
	check "table" "0 $(sectors_of /dev/mapper/$cached) cache $(numbers_of "$(sub meta)") $(numbers_of "$(sub fast)") $(
	)$(numbers_of "$(sub origin)") $1" "$(dmsetup table $cached)"
}

# field NAME[,NAME...] [LV]: columns of lvs; hidden LVs in brackets too.
field() {
	lvs -a --noheadings --separator ' ' --units s --nosuffix -o "$1" "vg/${2:-data}" | xargs
}

declare -A status_word=([meta_block]=3 [meta]=4 [chunk]=5 [used]=6 [read_hits]=7 [read_misses]=8 [write_hits]=9
	[write_misses]=10 [demotions]=11 [promotions]=12 [dirty]=13)
# status WORD
status() {
	local words
	read -r -a words < <(dmsetup status --noflush $cached)
	echo "${words[${status_word[$1]}]:-}"
}
dirty() { status dirty; }
is_clean() { [[ $(dirty) == 0 ]]; }
stats() { dmsetup message $cached 0 stats; }

# is_plain: nothing of the cache is left above the LV's extents.
check_uncached() {
	check "type of the LV" linear "$(field segtype)"
	[[ $(dmsetup table vg-data) == *" linear "* ]] || fail "table: $(dmsetup table vg-data)"
	! compgen -G '/dev/mapper/vg-*_c*' || fail "devices of the cache are left"
}

# --- data ---

# The oracle has 16 MiB to 32 MiB of the LV, tags live below.
# work_on DEVICE SEED [OPTION...]: random I/O, judged; goes on from what is known already.
work_on() {
	local from=(--offset 16M --span 16M)
	[[ ! -e $work/journal ]] || from=(--continue)
	"$BIN/oracle-io" run "$1" --journal "$work/journal" "${from[@]}" --seed "$2" --ops "${OPS:-60}" --threads 2 \
		--sizes 512..128K "${@:3}" || fail "the oracle found something, seed $2"
}

# judge DEVICE [OPTION...]: every sector that was worked on.
judge() {
	"$BIN/oracle-io" verify "$1" --journal "$work/journal" --no-adopt "${@:2}" || fail "contents of $1 are wrong"
}

# keep_working: work_on, again and again, in the background; end_work judges.
keep_working() {
	rm -f "$work/stop"
	(
		seed=100
		until [[ -e $work/stop ]]; do
			seed=$((seed + 1))
			work_on "$dev" $seed
			sleep 0.2
		done
	) &
	worker=$!
}
end_work() {
	touch "$work/stop"
	wait "$worker" || fail "the work in the background failed"
}

# make_dirty START SECTORS TAG: blocks of the cached LV, whole ones of up to 64 KiB. dm-cache takes at once
# only what was discarded before.
make_dirty() {
	[[ ! $stock ]] || blkdiscard -f -o $(($1 * 512)) -l $(($2 * 512)) "$dev"
	write_tags "$dev" "$1" "$2" "$3" 128
	flush "$dev"
}

# What LVM itself writes is outside of the extents.
freeze_slow() {
	echo "add 2048 0 w EIO" >/sys/block/pva/simdisk/errors
	echo "add 2048 0 w EIO" >/sys/block/pvb/simdisk/errors
}
thaw_slow() {
	echo clear >/sys/block/pva/simdisk/errors
	echo clear >/sys/block/pvb/simdisk/errors
}

# power_cut SEED [WORDS]: at once. Everything of device-mapper goes while the disks are dead, as in a boot.
power_cut() {
	power "cut $*"
	drop_devices || fail "devices stay when the power is gone"
	rm -rf /dev/vg
	power revive
}

# Sectors that a device of device-mapper was asked to read or write.
sectors_read() {
	local numbers
	numbers=$(numbers_of "$1")
	awk '{ print $3 }' "/sys/dev/block/$numbers/stat"
}
