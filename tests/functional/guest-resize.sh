#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Devices that become longer or shorter under a cache, in a guest: the cache device and the metadata device
# with a plain suspend and resume, as LVM does it, with a new table beside the live one, and while the cache
# is not active, after an orderly stop or a power cut, and with a cut at each event of it; the origin by a
# new table. What has been added is used, nothing is lost, the tools agree. See run-in-vm.
#
# usage: guest-resize.sh

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

# pieces META SSD: a cache on the first sectors of each.
pieces() {
	make_disks 2M 24M 64M
	linear m /dev/meta 0 "$1"
	linear s /dev/ssd 0 "$2"
	meta=/dev/mapper/m ssd=/dev/mapper/s
}

# stretch NAME DEVICE SECTORS: longer or shorter, whoever uses it.
stretch() {
	dmsetup load "$1" --table "0 $3 linear $2 0"
	dmsetup suspend "$1"
	dmsetup resume "$1"
}

plain_resume() {
	dmsetup suspend cache
	"$@"
	dmsetup resume cache
}

# By tag, in the order of the tags.
sorted_tags() { tags "$@" | tr ' ' '\n' | sort | xargs; }

slots_are() { check "slots, $1" "$2" "$(larder_stat slots)"; }

# More dirty blocks than there were slots, a power cut, the origin alone.
use_what_was_added() {
	write_tags $dev 16384 24576 2 64
	flush $dev
	check "used" 1280 "$(larder_stat slots_used)"
	check "dirty" 1280 "$(larder_stat slots_dirty)"
	power "cut 1"
	remove
	power revive
	create
	check "an unclean stop" true "$(larder_stat recovered)"
	slots_are "after a power cut" 1536
	check "dirty after a power cut" 1280 "$(larder_stat slots_dirty)"
	check "contents" "1:16384 2:24576" "$(sorted_tags $dev 0 40960)"
	thaw_origin
	policy=cleaner reload
	wait_until 120 is_clean || fail "still $(dirty) dirty"
	remove
	check "the origin alone" "1:16384 2:24576" "$(sorted_tags $hdd 0 40960)"
	"$BIN/larder" check $meta
}

test_cache_grows_by_plain_resume() {
	pieces 4096 24576
	create
	freeze_origin
	write_tags $dev 0 16384 1 64
	slots_are "at first" 768
	dmsetup message cache 0 small_percent 33
	plain_resume stretch s /dev/ssd 49152
	slots_are "grown" 1536
	[[ $(dmsetup status cache) == *" s3fifo 2 small_percent 33 "* ]] ||
		fail "the policy lost a setting: $(dmsetup status cache)"
	check "dirty" 512 "$(larder_stat slots_dirty)"
	check "contents" "1:16384" "$(tags $dev 0 16384)"
	use_what_was_added
}

test_cache_grows_beside_live_table() {
	pieces 4096 24576
	create
	freeze_origin
	write_tags $dev 0 16384 1 64
	stretch s /dev/ssd 49152
	dmsetup load cache --table "$(table_line)"
	slots_are "before the new table is live" 768
	dmsetup suspend cache
	dmsetup resume cache
	slots_are "grown" 1536
	use_what_was_added
}

test_cache_grows_while_inactive() {
	pieces 4096 24576
	create
	freeze_origin
	write_tags $dev 0 16384 1 64
	remove
	stretch s /dev/ssd 36864
	create
	slots_are "grown after an orderly stop" 1152
	check "an orderly stop" false "$(larder_stat recovered)"
	check "contents" "1:16384" "$(tags $dev 0 16384)"
	write_tags $dev 64 64 3
	write_tags $dev 64 64 1
	flush $dev
	power "cut 1"
	remove
	power revive
	stretch s /dev/ssd 49152
	create
	slots_are "grown after a power cut" 1536
	use_what_was_added
}

test_metadata_has_no_room() {
	# 7 pages of 126 slots behind 74 units: to the last sector
	pieces 648 24576
	create
	freeze_origin
	write_tags $dev 0 16384 1 64
	slots_are "at first" 768
	log_mark
	plain_resume stretch s /dev/ssd 49152
	slots_are "as far as the table has room" 882
	log_has "how much is needed" "the metadata device must have 696 sectors, it has 648"
	plain_resume stretch m /dev/meta 688
	slots_are "with a page less than needed" 1512
	plain_resume stretch m /dev/meta 696
	slots_are "with what was asked for" 1536
	plain_resume stretch m /dev/meta 4000
	slots_are "with more" 1536
	[[ $(status_field 2) == */500 ]] || fail "size of the metadata device: $(status_field 2)"
	use_what_was_added
}

test_cache_shrinks() {
	pieces 4096 49152
	create
	freeze_origin
	write_tags $dev 0 16384 1 64
	dmsetup suspend cache
	stretch s /dev/ssd 49120
	log_mark
	fails "resume on a shorter cache device" dmsetup resume cache
	log_has "resume on a shorter cache device" "cache device has 49120 sectors, the cache uses 49152"
	fails "table on a shorter cache device" dmsetup load cache --table "$(table_line)"
	stretch s /dev/ssd 49152
	dmsetup resume cache
	check "contents" "1:16384" "$(tags $dev 0 16384)"
}

test_origin_grows() {
	pieces 4096 24576
	write_tags $hdd 0 65536 9 256
	length=9003
	create
	tags $dev 8192 811 >/dev/null
	write_tags $dev 8960 43 1 43
	length=9100 reload
	check "what comes behind the old end" "1:43 9:97" "$(sorted_tags $dev 8960 140)"
	write_tags $dev 9000 100 2
	length=65536 reload
	check "contents" "1:40 2:100 9:65396" "$(sorted_tags $dev 0 65536)"
	flush $dev
	power "cut 1"
	remove
	power revive
	length=65536 create
	check "contents after a power cut" "1:40 2:100 9:65396" "$(sorted_tags $dev 0 65536)"
}

test_tools() {
	local image=$work/image
	pieces 648 24576
	create
	freeze_origin
	write_tags $dev 0 16384 1 64
	plain_resume eval 'stretch s /dev/ssd 49152; stretch m /dev/meta 4096'
	write_tags $dev 16384 24576 2 64
	remove
	"$BIN/larder" check $meta
	"$BIN/larder" dump $meta >"$image.xml"
	truncate -s 2M "$image"
	"$BIN/larder" restore -i "$image.xml" -o "$image"
	"$BIN/larder" dump "$image" | diff "$image.xml" - || fail "a restore has changed something"
	rm "$image"
	truncate -s 2M "$image"
	"$BIN/larder" repair -i $meta -o "$image"
	diff <(grep '<slot ' "$image.xml") <("$BIN/larder" dump "$image" | grep '<slot ') ||
		fail "a repair has changed something"
	dd if="$image" of=$meta bs=1M oflag=direct conv=fsync status=none
	create
	slots_are "of repaired metadata" 1536
	check "contents" "1:16384 2:24576" "$(sorted_tags $dev 0 40960)"
}

# --- a power cut after each event ---

grow_both() {
	dmsetup suspend cache
	stretch s /dev/ssd 8192
	stretch m /dev/meta 1200
	dmsetup resume cache
}

check_after_cut() {
	power_is_off || power "cut 7 moods"
	wait_until 30 power_is_off || fail "the power does not go off"
	remove
	thaw_origin
	power revive
	stretch s /dev/ssd 8192
	stretch m /dev/meta 1200
	"$BIN/larder" check --activation $meta >"$work/check" ||
		fail "larder check finds damage: $(cat "$work/check")"
	freeze_origin
	create
	slots_are "after a cut" 256
	check "contents" "1:1024" "$(tags $dev 0 1024)"
	check_that "dirty" "$(larder_stat slots_dirty) == 32"
	write_tags $dev 1024 1024 2 64
	flush $dev
	check "used" 64 "$(larder_stat slots_used)"
	remove
	create
	check "contents" "1:1024 2:1024" "$(sorted_tags $dev 0 2048)"
	remove
	thaw_origin
}

test_each_event_of_growth() {
	local number
	pieces 600 1024
	for ((number = 1; number < 100; number++)); do
		echo "--- cut after event $number"
		dd if=/dev/zero of=$meta bs=4096 count=1 oflag=direct status=none
		freeze_origin
		create
		slots_are "at first" 32
		write_tags $dev 0 1024 1 64
		flush $dev
		power "cut $number after $number moods"
		grow_both || true
		power_is_off || [[ $(<$SIMDISK/power) == "cutting" ]] || break
		check_after_cut
		stretch s /dev/ssd 1024
		stretch m /dev/meta 600
	done
	power disarm
	remove
	echo "$number events"
	((number > 5 && number < 100)) || fail "it has $number events"
}

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac

begin_suite
run_suite cache_grows_by_plain_resume cache_grows_beside_live_table cache_grows_while_inactive \
	metadata_has_no_room cache_shrinks origin_grows tools each_event_of_growth
