#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Scrub, in a guest: damage of what is cached is found by it, healed where the origin has the data, and
# listed where it has not; with and without protection information. See run, and
# Documentation/testing/pi.md.
#
# usage: guest-scrub.sh [WORLD...]
#
#   WORLD   as for guest-pi.sh, or plain: simulated disks without PI; default: one of each kind
#   TESTS   in the environment: patterns of WORLD/TEST

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

# --- the scrub ---

scrub() { dmsetup message cache 0 scrub "$@"; }
scrub_text() { scrub status | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
scrub_stat() {
	[[ $(scrub status) =~ \"$1\":([0-9]+) ]] || fail "the scrub has no number '$1': $(scrub status)"
	echo "${BASH_REMATCH[1]}"
}
scrub_is() { [[ $(scrub_text state) == "$1" ]]; }

# scrub_all: from the first slot to the last, as fast as it goes.
scrub_all() {
	scrub start 1000000
	wait_until 60 scrub_is finished || fail "not finished: $(scrub status)"
	check "next slot" "$(scrub_stat slots)" "$(scrub_stat next_slot)"
}

# found PI-ERRORS MEDIA-ERRORS OTHER-ERRORS HEALED LOST LEFT
found() {
	check "found" "$*" "$(scrub_stat pi_errors) $(scrub_stat media_errors) $(scrub_stat other_errors) $(scrub_stat healed) $(scrub_stat lost) $(scrub_stat left)"
}

# --- with PI ---

# new_cache with sectors 2048..2559 in it, clean, in version 1.
cache_with_clean() {
	make_world
	pi write "dev=$origin" start=2048 n=512 app=500 version=1
	"$@"
	pi read dev=$dev start=2048 n=512
	wait_until 20 filled $((512 / $(larder_stat block_sectors))) || fail "only $(larder_stat slots_used) slots filled"
}

test_nothing() {
	make_world
	new_cache
	check "before the first" none "$(scrub_text state)"
	scrub_all
	check "an empty cache" 0 "$(scrub_stat sectors_read)"
	pi write dev=$dev start=2048 n=512 version=1
	scrub_all
	found 0 0 0 0 0 0
	check "all that is cached" 512 "$(scrub_stat sectors_read)"
	check "in stats, too" "$(scrub status | sed 's/,"lost_blocks":\[\]//')" "$(stats | sed 's/.*"scrub"://;s/}}$/}/')"
}

test_clean() {
	local place
	cache_with_clean new_cache
	place=$(need_place "$ssd" $((2048 + 8 * step)))
	damage "$ssd_disk" "$place"
	[[ $passes == carrier ]] || pi_fails "it is damaged" EILSEQ read "dev=$ssd" start="$place" "n=$step"
	scrub_all
	found 1 0 0 1 0 0
	check "counted" "1 1 0" "$(larder_stat pi_errors) $(larder_stat pi_healed) $(larder_stat pi_lost)"
	check "mended where it is" "$place" "$(place_of "$ssd" $((2048 + 8 * step)) 1)"
	same_tuples "origin and SSD" "$origin" 2048 "$(block)" "$ssd" "$(need_place "$ssd" 2048 1)"
	scrub_all
	found 0 0 0 0 0 0
	check "hits" "ok 1:$((512 / step))" "$(pi read dev=$dev start=2048 n=512)"
	check "no reader has noticed" 1 "$(larder_stat pi_errors)"
}

new_freezable_cache() {
	new_frozen_cache "$@"
	thaw
}

# damaged_dirty START N PLACE: writes what is cached there anew, and damages it before it is written back; sets
# version. Of a freezable cache.
damaged_dirty() {
	for version in 11 12 13 14 15; do
		freeze
		# the write-back of this waits for the frozen origin, and another has to come
		pi write dev=$dev "start=$1" "n=$2" version=10
		sleep 3
		pi write dev=$dev "start=$1" "n=$2" "version=$version"
		damage "$ssd_disk" "$3"
		# it fails from now on
		thaw
		sleep 3
		is_clean || return 0
	done
	fail "it is written back too soon"
}

test_dirty() {
	local place version
	cache_with_clean new_freezable_cache
	place=$(need_place "$ssd" $((2048 + 8 * step)) 1)
	damaged_dirty 2048 $((16 * step)) "$place"
	scrub_all
	found 1 0 0 0 1 0
	# the grain that has it
	check "listed" "[{\"slot\":$((place / $(block))),\"sector\":$(((2048 + 8 * step) / 8 * 8)),\"sectors\":8,\"why\":\"pi\"}]" \
		"$(scrub status | sed 's/.*"lost_blocks"://;s/}$//')"
	check "counted" "0 1" "$(larder_stat pi_healed) $(larder_stat pi_lost)"
	policy=cleaner reload
	sleep 2
	check_that "still dirty" "$(larder_stat slots_dirty) > 0"
	[[ $(pi read "dev=$origin" start=$((2048 + 8 * step)) "n=$step") != *" $version:"* ]] || fail "it was written back"
	check "the new table knows it" 1 "$(scrub_stat lost)"
	pi write dev=$dev start=2048 n=$((16 * step)) version=3
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	scrub_all
	found 0 0 0 0 0 0
}

# Clean and dirty grains in one slot: the block cannot be dropped, what is clean is mended nevertheless.
test_mixed() {
	local place version
	cache_with_clean new_freezable_cache
	place=$(need_place "$ssd" 2048 1)
	damaged_dirty 2048 8 "$place"
	damage "$ssd_disk" $((place + 16))
	scrub_all
	found 2 0 0 1 1 0
	pi_fails "what is lost" EILSEQ read dev=$dev start=2048 "n=$step"
	check "what is healed" $((place + 16)) "$(place_of "$ssd" $((2048 + 16)) 1)"
	pi write dev=$dev start=2048 n=8 version=3
	drain
	check "the origin" "ok 3:$((8 / step)) 1:$((504 / step))" "$(pi read "dev=$origin" start=2048 n=512)"
}

# The origin's copy is bad as well: nothing is lost that was there, and nothing is made up.
test_both_bad() {
	local place
	cache_with_clean new_cache
	place=$(need_place "$ssd" 2048)
	damage "$ssd_disk" "$place"
	damage "$origin" 2048
	scrub_all
	found 1 0 0 0 0 1
	pi_fails "a reader is told" EILSEQ read dev=$dev start=2048 "n=$step"
	check "its neighbour" "ok 1:1" "$(pi read dev=$dev start=$((2048 + 64)) "n=$step")"
}

# What the table says of users' tuples does not matter: the devices have theirs.
test_off() {
	local place
	cache_with_clean new_cache
	place=$(need_place "$ssd" 2048)
	features="writeback pi=off"
	reload
	damage "$ssd_disk" "$place"
	scrub_all
	found 1 0 0 1 0 0
	check "application tags" "$(tuples "$origin" 2048 8 | cut -d' ' -f3)" "$(tuples "$ssd" "$place" 8 | cut -d' ' -f3)"
}

# Users, scrubs, damage and new tables at a time.
test_under_load() {
	local i
	make_world
	new_cache
	pi stress dev=$dev journal=s n=$((2 * MIB)) ops=50
	in_background stress dev=$dev journal=s ops=500 random=3
	for i in 1 2 3 4 5 6; do
		scrub start 1000000
		sleep 0.3
		[[ $i != 4 ]] || scrub stop
		switch_mode "$( ((i % 2)) && echo writethrough || echo writeback)"
	done
	wait "$load" || fail "under load: $(<"$work/load")"
	scrub_all
	found 0 0 0 0 0 0
	pi verify dev=$dev journal=s
}

# --- simulated disks without PI ---

# A cache on them, with sectors 0..1023 in it, written with tag 1.
plain_cache() {
	make_disks 2M 2M 16M
	features=$1
	create
	write_tags $dev 0 1024 1 64
}

# slot_sector TAG SECTOR: where on the cache device the sector is.
slot_sector() {
	local at
	at=$(dd if=/dev/ssd bs=1M iflag=direct status=none | od -An -v -tu8 -w512 |
		awk -v tag="$1" -v sector="$2" '$1 == tag && $2 == sector { print NR - 1; exit }')
	[[ $at ]] || fail "sector $2 with tag $1 is not cached"
	echo "$at"
}
bad_sectors() { echo "add $1 $2 ${3:-r} ${4:-MEDIUM} 0 ${5:-}" >/sys/block/ssd/simdisk/errors; }
good_sectors() { echo clear >/sys/block/ssd/simdisk/errors; }

test_words() {
	local words
	plain_cache writeback
	log_mark
	for words in "" "dance" "start 0" "start 0x10" "start 1k" "start 1073741825" "start 99999999999999999999" \
		"start 1 2" "stop now" "status 1"; do
		# shellcheck disable=SC2086  # words
		fails "scrub $words" scrub $words
	done
	log_has "what was expected" 'expected "scrub start [<KiB/s>]", "scrub stop" or "scrub status"'
	log_has "which rate" 'expected a rate of 1 to 1073741824 KiB/s for "scrub start", found "1k"'
	dmsetup suspend cache
	fails "while suspended" scrub start
	log_has "why not" 'the cache is suspended'
	dmsetup resume cache
	check "nothing has begun" none "$(scrub_text state)"
	scrub start 1
	check "the lowest rate" "1 running" "$(scrub_stat rate) $(scrub_text state)"
	scrub start
	check "as it was" 1 "$(scrub_stat rate)"
	scrub start 1073741824
	check "the highest rate" 1073741824 "$(scrub_stat rate)"
	wait_until 30 scrub_is finished || fail "not finished: $(scrub status)"
	scrub stop
	check "it was finished" finished "$(scrub_text state)"
	scrub start
	check "the default rate" 16384 "$(scrub_stat rate)"
}

# A slow one does not get far in a second, and is as far as it was after a stop by a suspend.
test_suspend() {
	local slot before
	plain_cache writeback
	scrub start 16
	sleep 1
	slot=$(scrub_stat next_slot)
	check_that "begun" "$slot > 0"
	check_that "not at its end" "$slot < 32"
	dmsetup suspend cache
	before=$(disk_stat ssd reads)
	sleep 2
	check "reads while it is suspended" "$before" "$(disk_stat ssd reads)"
	dmsetup resume cache
	check_that "goes on" "$(scrub_stat next_slot) >= $slot"
	check "still running" running "$(scrub_text state)"
	slot=$(scrub_stat next_slot)
	policy=cleaner reload
	check_that "goes on with the new table" "$(scrub_stat next_slot) >= $slot"
	check "still running there" "running 16" "$(scrub_text state) $(scrub_stat rate)"
	scrub start 1000000
	check_that "goes on with the new rate" "$(scrub_stat next_slot) >= $slot"
	wait_until 30 scrub_is finished || fail "not finished: $(scrub status)"
	check_that "all was read" "$(scrub_stat sectors_read) >= 1024"
	scrub start 1
	remove
	create
	check "not over a restart" none "$(scrub_text state)"
	scrub start 1
	scrub stop
	check "stopped" stopped "$(scrub_text state)"
}

are_used() { [[ $(larder_stat slots_used) == "$1" ]]; }

test_medium_clean() {
	local at used
	plain_cache writeback
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	at=$(slot_sector 1 104)
	bad_sectors "$at" 1 r MEDIUM heal
	bad_sectors $((at + 32)) 8 r MEDIUM heal
	scrub_all
	found 0 2 0 2 0 0
	good_sectors
	check "written anew" 1 "$(slot_sector 1 104 | grep -c "^$at$")"
	check "all is there" 1:1024 "$(tags $dev 0 1024)"
	# a place that stays bad is given up
	used=$(larder_stat slots_used)
	bad_sectors "$at" 1 rw
	scrub_all
	found 0 1 0 1 0 0
	wait_until 20 are_used $((used - 1)) || fail "it was not dropped: $(larder_stat slots_used) of $used"
	check "all is there still" 1:1024 "$(tags $dev 0 1024)"
	scrub_all
	found 0 0 0 0 0 0
}

test_medium_dirty() {
	local at
	plain_cache writeback
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	freeze_origin
	write_tags $dev 96 8 2
	at=$(slot_sector 2 96)
	bad_sectors "$at" 1 r MEDIUM heal
	scrub_all
	found 0 1 0 0 1 0
	check "listed" "[{\"slot\":$((at / $(block))),\"sector\":96,\"sectors\":8,\"why\":\"media\"}]" \
		"$(scrub status | sed 's/.*"lost_blocks"://;s/}$//')"
	check "a reader is told" ENODATA "$("$BIN/simdisk-io" try r $dev 96 8)"
	thaw_origin
	sleep 2
	check_that "still dirty" "$(larder_stat slots_dirty) > 0"
	check "the origin" "1:8" "$(tags /dev/hdd 96 8)"
	write_tags $dev 96 8 3
	scrub_all
	found 0 0 0 0 0 0
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	check "mended by a write" "3:8" "$(tags /dev/hdd 96 8)"
}

# A device that is ill: counted, and nothing done about it.
test_other_errors() {
	local used
	plain_cache writeback
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	used=$(larder_stat slots_used)
	bad_sectors "$(slot_sector 1 0)" 8 r EIO
	scrub_all
	found 0 0 1 0 0 0
	check "nothing is dropped" "$used" "$(larder_stat slots_used)"
	bad_sectors 0 0 r TRANSPORT
	scrub_all
	found 0 0 128 0 0 0
	good_sectors
	check "all is there" 1:1024 "$(tags $dev 0 1024)"
}

# The list is bounded.
test_many() {
	make_disks 2M 2M 16M
	features=writeback
	create
	freeze_origin
	write_tags $dev 0 1024 1 64
	bad_sectors 0 0
	scrub_all
	found 0 128 0 0 128 0
	check "listed" 64 "$(scrub status | grep -o '"why"' | wc -l)"
	good_sectors
	thaw_origin
	wait_until 30 is_clean || fail "still $(dirty) dirty"
}

# While it holds slots, writes of pass-through mode wait for it, and chunks that are invalidated are gone.
test_passthrough() {
	local i
	plain_cache writethrough
	tags $dev 0 1024
	wait_until 20 filled 32 || fail "only $(larder_stat slots_used) slots filled"
	features=passthrough
	reload
	for i in 1 2 3 4 5; do
		scrub start 1000000
		write_tags $dev $((i * 128)) 64 2 8
		wait_until 30 scrub_is finished || fail "not finished: $(scrub status)"
		found 0 0 0 0 0 0
	done
	check_that "writes dropped what was cached" "$(larder_stat slots_used) <= 22"
	scrub start 256
	dmsetup message cache 0 invalidate_cblocks 0-64
	check "all is invalidated" 0 "$(larder_stat slots_used)"
	wait_until 30 scrub_is finished || fail "not finished: $(scrub status)"
}

# The command of the tool.
test_tool() {
	local larder=$BIN/larder at
	plain_cache writeback
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	check "without one" none "$("$larder" scrub cache --status --json | sed -n 's/.*"state": *"\(.*\)".*/\1/p')"
	"$larder" scrub cache --rate 1000000 --wait
	check "finished" finished "$(scrub_text state)"
	"$larder" scrub $dev --rate 1
	check "goes on behind it" "running 1" "$(scrub_text state) $(scrub_stat rate)"
	"$larder" scrub cache --stop
	check "stopped" stopped "$(scrub_text state)"
	freeze_origin
	write_tags $dev 96 8 2
	at=$(slot_sector 2 96)
	bad_sectors "$at" 1 r MEDIUM heal
	fails "something is lost" "$larder" scrub cache --rate 1000000 --wait
	grep -q 'sector 96' "$work/output" || fail "it does not say what: $(<"$work/output")"
	thaw_origin
	write_tags $dev 96 8 3
}

with_pi=(nothing clean dirty mixed both_bad off under_load)
without_pi=(words suspend medium_clean medium_dirty other_errors many passthrough tool)

all_worlds=(plain scsi-1-crc-512 nvme-3-crc-512)
# User Mode Linux has no other disks
[[ ${LARDER_SANITIZED:-} != uml ]] || all_worlds=(plain ram-1-crc-512 ram-3-crc-4096 carrier-1-crc-512)

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
begin_pi_suite
for world in "${@:-${all_worlds[@]}}"; do
	# journals know what is on the disks of one world
	unload_modules pi-io
	load_module pi-io
	tests=("${without_pi[@]}")
	[[ $world == plain ]] || { set_world "$world" && tests=("${with_pi[@]}"); }
	for name in "${tests[@]}"; do
		! chosen "$world/$name" || run_test "$world/$name" "test_$name"
	done
done
end_suite
