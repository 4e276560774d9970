#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Protection information through a cache, in a guest: what was written with a tuple comes back with that
# tuple, whatever became of it meanwhile. See run, and Documentation/testing/pi.md.
#
# usage: guest-pi.sh [WORLD...]
#
#   WORLD   KIND-TYPE-GUARD-INTERVAL, as scsi-1-crc-512 or nvme-3-crc-4096; default: all of run's
#   TESTS   in the environment: patterns of WORLD/TEST

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

# --- the exerciser, without a cache ---

test_raw() {
	make_world
	check "profile" "type=$pi_type guard=$pi_guard tuple=8 interval=$interval" "$(profile "$origin")"
	pi read "dev=$origin" n=$((8 * step)) zero
	pi write "dev=$origin" start=$((8 * step)) n=$((4 * step)) app=4660 version=7
	check "application tags" "1234 1235 1236 1237" \
		"$(tuples "$origin" $((8 * step)) $((4 * step)) | cut -d' ' -f3 | xargs)"
	[[ $pi_type == 3 ]] || check "reference tags" "00000008 00000009 0000000a 0000000b" \
		"$(tuples "$origin" $((8 * step)) $((4 * step)) | cut -d' ' -f4 | xargs)"
	check "guards are those of the data" "" \
		"$(tuples "$origin" $((8 * step)) $((4 * step)) | awk '$2 != $5')"
	check "what is there" "ok 0:8 7:4 0:4" "$(pi read "dev=$origin" n=$((16 * step)))"
	pi sweep "dev=$origin" n=$((40 * step))
	pi stress "dev=$origin" journal=raw start=$((8 * MIB)) n=$((2 * MIB)) threads=4 ops=150 plains=20
	pi verify "dev=$origin" journal=raw
	pi forget journal=raw
}

# Each check of the exerciser finds what it is there for.
test_raw_faults() {
	make_world
	pi write "dev=$origin" n=$((8 * step)) version=1
	pi_fails "a bad guard" EILSEQ write "dev=$origin" n=$((8 * step)) bad=guard:3
	pi_fails "bad data" EILSEQ write "dev=$origin" n=$((8 * step)) bad=data:7
	check "nothing was written of these" "ok 1:8" "$(pi read "dev=$origin" n=$((8 * step)))"
	if [[ $pi_type == 1 ]]; then
		pi_fails "a bad reference tag" EILSEQ write "dev=$origin" n=$((8 * step)) bad=ref:1
	else
		pi write "dev=$origin" n=$((8 * step)) bad=ref:1
		pi_fails "a changed reference tag" "ref;" read "dev=$origin" n=$((8 * step))
	fi
	pi write "dev=$origin" n=$((8 * step)) bad=app:2 version=2
	pi_fails "a changed application tag" "wrong sector $((2 * step)): app;" read "dev=$origin" n=$((8 * step))
	pi_fails "another version" "version;" read "dev=$origin" n=$((2 * step)) version=1
	pi write "dev=$origin" n=$((8 * step)) journal=old
	pi write "dev=$origin" n=$((8 * step))
	pi_fails "a lost update" "8 of 8 intervals wrong" verify "dev=$origin" journal=old
	pi verify "dev=$origin" journal=old expect=any settle
	damage "$origin" $((5 * step))
	pi_fails "damage below" EILSEQ read "dev=$origin" n=$((8 * step))
	pi_fails "damage below, without tuples" EILSEQ read "dev=$origin" n=$((8 * step)) plain
	check "which sector it is" "at $((5 * step)) n $step: EILSEQ" \
		"$(pi scan "dev=$origin" n=$((8 * step)) | grep EILSEQ)"
	pi forget journal=old
}

test_raw_linear() {
	make_world
	linear top "$origin" $((24 * step)) $((4 * MIB))
	check "profile" "$(profile "$origin")" "$(profile /dev/mapper/top)"
	pi write dev=/dev/mapper/top start=$((8 * step)) n=$((64 * step))
	same_tuples "dm-linear" /dev/mapper/top $((8 * step)) $((64 * step)) "$origin" $((32 * step))
	pi stress dev=/dev/mapper/top journal=top start=$((2 * MIB)) n=$((2 * MIB)) ops=150
	pi verify dev=/dev/mapper/top journal=top
	damage "$origin" $((32 * step))
	pi_fails "damage below" EILSEQ read dev=/dev/mapper/top start=$((8 * step)) "n=$step"
	pi forget journal=top
}

# Nonsense is refused; nothing else comes of it.
test_raw_nonsense() {
	local words
	make_world
	for words in "" "dance dev=$origin" "read" "read dev=/dev/null" "read dev=/dev/none" "read dev=$origin n=-1" \
		"read dev=$origin n=0" "read dev=$origin start=18446744073709551608 n=8" "read dev=$origin n=8 color=red" \
		"read dev=$origin start=99999999 n=8" "read dev=$origin n=4096" "write dev=$origin n=$step cut=1" \
		"write dev=$origin n=64 cut=0" "write dev=$origin n=64 cut=3,2" "write dev=$origin n=64 cut=1,2,3,4,5,6,7,8,9" \
		"write dev=$origin n=64 bad=guard" "write dev=$origin n=64 bad=guard:64" "write dev=$origin n=64 bad=x:1" \
		"write dev=$origin n=64 dataoff=100" "write dev=$origin n=64 pibreak=512" "write dev=$origin n=64 app=70000" \
		"read dev=$origin n=64 journal=none" "verify dev=$origin" "stress dev=$origin" "forget journal=none" \
		"stress dev=$origin journal=x n=64 threads=99" "sweep dev=$origin n=8192" "tuples dev=$origin n=64 plain" \
		"read dev=$origin n=8 expect=miracles" "write dev=$origin journal=$(printf 'x%.0s' {1..40}) n=64"; do
		pi_fails "nonsense: $words" "" "$words"
	done
	pi_fails "no profile" "no profile" read dev=/dev/meta n=8
	pi write dev=/dev/meta n=8 plain version=3
	check "without tuples" "ok 3:8" "$(pi read dev=/dev/meta n=8 plain)"
	pi_try forget journal=x || true
}

# --- a cache: every way that data takes ---

test_profile() {
	make_world
	new_cache
	check "profile of the cached device" "$(profile "$origin")" "$(profile $dev)"
	check "state" "$passes" "$(pi_state)"
	remove
	new_cache writeback auto
	check "profile with auto" "$(profile "$origin")" "$(profile $dev)"
	remove
	new_cache writeback off
	check "profile with off" "type=none" "$(profile $dev)"
	check "state with off" off "$(pi_state)"
}

test_write_hit() {
	make_world
	new_frozen_cache writeback
	pi write dev=$dev start=1024 n=$((64 * step)) app=100 version=1
	check "application tag" 0064 "$(tuples $dev 1024 "$step" | cut -d' ' -f3)"
	same_tuples "top and SSD" $dev 1024 "$(block)" "$ssd" "$(need_place "$ssd" 1024)"
	# over what is there, across blocks, in pieces, from odd places in memory
	pi write dev=$dev start=$((1024 + 5 * step)) n=$((50 * step)) cut=3,20 pibreak=7 version=2
	pi write dev=$dev start=$((1024 + 9 * step)) n=$((3 * step)) seed=123456 version=3
	check "what is there" "ok 1:5 2:4 3:3 2:43 1:9" "$(pi read dev=$dev start=1024 n=$((64 * step)))"
	check_that "write hits" "$(larder_stat write_hits) > 0"
	check_that "dirty" "$(larder_stat slots_dirty) > 0"
	check "the origin" "ok 0:64" "$(pi read "dev=$origin" start=1024 n=$((64 * step)))"
	thaw
}

test_sweep() {
	make_world
	new_cache
	pi sweep dev=$dev start=$((64 - 8 * step % 64)) n=$((24 * step))
	switch_mode writethrough
	pi sweep dev=$dev start=$((64 - 8 * step % 64)) n=$((24 * step))
}

test_miss_and_fill() {
	local used hits
	make_world
	pi write "dev=$origin" start=2048 n=512 app=500 version=1
	pi write "dev=$origin" start=4096 n=512 version=2
	new_cache writethrough
	check "miss" "ok 1:$((512 / step))" "$(pi read dev=$dev start=2048 n=512)"
	wait_until 20 filled $((512 / $(larder_stat block_sectors))) || fail "only $(larder_stat slots_used) slots filled"
	used=$(larder_stat slots_used)
	hits=$(larder_stat read_hits)
	same_tuples "origin and SSD" "$origin" 2048 "$(block)" "$ssd" "$(need_place "$ssd" 2048 1)"
	check "hit" "ok 1:$((512 / step))" "$(pi read dev=$dev start=2048 n=512 cut=3)"
	check_that "it was one" "$(larder_stat read_hits) > $hits"
	check "nothing more is filled by it" "$used" "$(larder_stat slots_used)"
	same_tuples "top and origin" $dev 2048 512 "$origin" 2048
	# in pieces, and over the end of what is cached
	check "pieces" "ok 2:$((64 / step))" "$(pi read dev=$dev start=4096 n=64 pibreak=3)"
	check "partly cached" "ok 2:$((512 / step))" "$(pi read dev=$dev start=4096 n=512)"
}

# The first reader has no tuples, or nobody may have any: those of the origin come into the cache.
test_fill_without() {
	local next
	make_world
	pi write "dev=$origin" start=2048 n=512 app=500 version=1
	for next in require off; do
		new_cache writethrough $next
		pi read dev=$dev start=2048 n=512 plain
		wait_until 20 filled $((512 / $(block))) || fail "only $(larder_stat slots_used) slots filled"
		same_tuples "origin and SSD, pi=$next" "$origin" 2048 "$(block)" "$ssd" "$(need_place "$ssd" 2048 1)"
		pi_feature require
		reload
		check "a hit with tuples, pi=$next" "ok 1:$((512 / step))" "$(pi read dev=$dev start=2048 n=512)"
		same_tuples "top and origin, pi=$next" $dev 2048 512 "$origin" 2048
		remove
		blank_metadata
	done
}

# Small writes and reads: what is only partly in the cache is merged with what is on the origin.
test_merge() {
	local n
	make_world
	pi write "dev=$origin" n=2048 version=1
	new_cache
	for n in 1 2 3 5 6; do
		pi write dev=$dev start=$((n * 136 / step * step)) "n=$step" version=$((n + 1))
		check "written" "ok $((n + 1)):1" "$(pi read dev=$dev start=$((n * 136 / step * step)) "n=$step")"
	done
	pi read dev=$dev n=1024
	pi read dev=$dev start=1024 n=1024
	drain
	remove
	pi read "dev=$origin" n=1024
	check "on the origin" "ok 4:1" "$(pi read "dev=$origin" start=$((3 * 136 / step * step)) "n=$step")"
}

# Nothing was ever written: the tuples are all ones, which a device does not take in a checked write.
test_never_written() {
	make_world
	new_cache
	check "miss" "ok 0:$((1024 / step))" "$(pi read dev=$dev n=1024)"
	check "hit" "ok 0:$((1024 / step))" "$(pi read dev=$dev n=1024)"
	pi write dev=$dev start=$((8 * 3)) "n=$step" version=5
	check "merge" "ok 0:$((24 / step)) 5:1 0:$(((64 - 24) / step - 1))" "$(pi read dev=$dev n=64)"
	drain
	check "clean" "ok 0:$((24 / step)) 5:1 0:$(((64 - 24) / step - 1))" "$(pi read dev=$dev n=64)"
	remove
	check "on the origin" "ok 0:$((24 / step)) 5:1 0:$(((64 - 24) / step - 1))" "$(pi read "dev=$origin" n=64)"
}

test_eviction() {
	make_world
	new_cache
	pi stress dev=$dev journal=e n=$((16 * MIB)) ops=400 most=512 reads=30 flushes=1
	pi verify dev=$dev journal=e
	check_that "evictions" "$(larder_stat demotions) > 0"
	pi verify dev=$dev journal=e
	drain
	remove
	pi verify "dev=$origin" journal=e
}

test_destage() {
	make_world
	new_cache
	pi stress dev=$dev journal=d n=$((2 * MIB)) ops=200 plains=20 reads=20
	drain
	pi verify dev=$dev journal=d
	same_tuples "top and origin" $dev 0 1024 "$origin" 0
	remove
	pi verify "dev=$origin" journal=d
}

is_on_ssd() { [[ $(place_of "$ssd" "$@") ]]; }

test_write_through() {
	make_world
	new_cache writethrough
	pi stress dev=$dev journal=t n=$((2 * MIB)) ops=200 plains=20
	pi verify dev=$dev journal=t
	pi verify "dev=$origin" journal=t
	pi write dev=$dev start=512 n=512 version=900000 app=77
	pi read dev=$dev start=512 n=512
	wait_until 20 is_on_ssd 512 900000 || fail "it does not come into the cache"
	pi write dev=$dev start=512 n=64 version=900001 app=78
	same_tuples "top and origin" $dev 512 512 "$origin" 512
	same_tuples "SSD and origin" "$ssd" "$(need_place "$ssd" 512 900001)" "$(block)" "$origin" 512
}

# --- changes of the table ---

test_modes() {
	local next
	make_world
	new_cache
	for next in writethrough writeback passthrough writethrough; do
		pi stress dev=$dev journal=m n=$((2 * MIB)) ops=80
		[[ $next != passthrough ]] || policy_args='' drain
		switch_mode $next
		pi verify dev=$dev journal=m
		check "state in $next" "$passes" "$(pi_state)"
	done
	pi stress dev=$dev journal=m ops=80
	remove
	pi verify "dev=$origin" journal=m
}

test_reload_under_load() {
	local i
	make_world
	new_cache
	pi stress dev=$dev journal=r n=$((4 * MIB)) ops=50
	in_background stress dev=$dev journal=r ops=600 random=2
	for i in 1 2 3 4 5 6; do
		sleep 0.5
		switch_mode "$( ((i % 2)) && echo writethrough || echo writeback)"
	done
	wait "$load" || fail "under load: $(<"$work/load")"
	pi verify dev=$dev journal=r
}

# Nobody sends tuples while it is off; those that are there already stay what they are.
test_off_and_on() {
	make_world
	new_frozen_cache
	thaw
	pi stress dev=$dev journal=o n=$((2 * MIB)) ops=80
	freeze
	pi write dev=$dev start=1024 n=2048 journal=o
	check_that "dirty" "$(larder_stat slots_dirty) > 30"
	thaw
	features="writeback pi=off"
	reload
	check "state" off "$(pi_state)"
	check "own transfers" true "$(larder_stat pi_kept)"
	check "profile" "type=none" "$(profile $dev)"
	check "stable pages, as tuples are made below" 1 \
		"$(<"/sys/dev/block/$(dmsetup info -c --noheadings --separator : -o major,minor $dev)/queue/stable_writes")"
	pi verify dev=$dev journal=o plain
	pi write dev=$dev start=512 n=256 plain journal=o
	drain
	pi verify "dev=$origin" journal=o
	features="writeback pi=require" policy=s3fifo
	reload
	check "state again" "$passes" "$(pi_state)"
	pi verify dev=$dev journal=o
	pi stress dev=$dev journal=o ops=80 plains=20
	drain
	remove
	pi verify "dev=$origin" journal=o
}

test_stop_and_start() {
	make_world
	new_cache
	pi stress dev=$dev journal=s n=$((2 * MIB)) ops=100 reads=0
	remove
	create
	check "an orderly stop" false "$(larder_stat recovered)"
	pi verify dev=$dev journal=s
	drain
	pi verify dev=$dev journal=s
	remove
	pi verify "dev=$origin" journal=s
}

# The metadata device loses what was not flushed; the disks with PI do not.
test_unclean_stop() {
	local round
	make_world
	new_cache
	pi stress dev=$dev journal=u n=$((2 * MIB)) ops=100
	for round in 1 2 3; do
		pi flush dev=$dev journal=u
		pi stress dev=$dev journal=u ops=60 flushes=0 reads=20 random=$round
		power "cut $round"
		dmsetup remove cache
		power_up
		create
		check "an unclean stop" true "$(larder_stat recovered)"
		pi verify dev=$dev journal=u expect=flushed settle
		pi verify dev=$dev journal=u
	done
	drain
	remove
	pi verify "dev=$origin" journal=u
}

test_cut_under_load() {
	make_world
	new_cache
	pi stress dev=$dev journal=c n=$((2 * MIB)) ops=50
	in_background stress dev=$dev journal=c ops=1000000 errors=1000000 flushes=5
	sleep 2
	power "cut 9"
	kill -9 "$load" || fail "the load ended before: $(<"$work/load")"
	wait "$load" || true
	dmsetup remove cache
	power_up
	create
	pi verify dev=$dev journal=c expect=flushed settle
	pi verify dev=$dev journal=c
}

# --- what goes wrong ---

test_bad_tuples() {
	local next
	make_world
	new_cache
	for next in writeback writethrough; do
		switch_mode $next
		pi write dev=$dev start=640 n=$((16 * step)) version=1
		pi_fails "a bad guard, $next" EILSEQ write dev=$dev start=640 n=$((16 * step)) bad=guard:5
		pi_fails "bad data, $next" EILSEQ write dev=$dev start=640 n=$((16 * step)) bad=data:0
		[[ $pi_type == 3 ]] ||
			pi_fails "a bad reference tag, $next" EILSEQ write dev=$dev start=640 n=$((16 * step)) bad=ref:15
		pi write dev=$dev start=640 n=$((16 * step)) version=2
		check "a good one after them, $next" "ok 2:16" "$(pi read dev=$dev start=640 n=$((16 * step)))"
	done
	pi_fails "where nothing is cached" EILSEQ write dev=$dev start=40960 n=$((16 * step)) bad=guard:5
}

test_damage_clean() {
	local place
	make_world
	pi write "dev=$origin" start=2048 n=512 version=1
	new_cache
	pi read dev=$dev start=2048 n=512
	wait_until 20 filled $((512 / $(larder_stat block_sectors))) || fail "only $(larder_stat slots_used) slots filled"
	place=$(need_place "$ssd" $((2048 + 8 * step)))
	damage "$ssd" "$place"
	[[ $passes == carrier ]] || pi_fails "it is damaged" EILSEQ read "dev=$ssd" start="$place" "n=$step"
	check "healed" "ok 1:$((512 / step))" "$(pi read dev=$dev start=2048 n=512)"
	check_that "counted" "$(larder_stat pi_healed) > 0"
	check_that "counted as an error" "$(larder_stat pi_errors) > 0"
	check "nothing lost" 0 "$(larder_stat pi_lost)"
	pi read dev=$dev start=2048 n=512
	check "again" "ok 1:$((512 / step))" "$(pi read dev=$dev start=2048 n=512)"
	check_that "it came from the cache" "$(larder_stat read_hits) > 0"
}

test_damage_dirty() {
	local place
	make_world
	new_frozen_cache writeback
	pi write dev=$dev start=2048 n=512 version=1
	place=$(need_place "$ssd" $((2048 + 8 * step)) 1)
	damage "$ssd" "$place"
	pi_fails "what nobody else has" EILSEQ read dev=$dev start=$((2048 + 8 * step)) "n=$step"
	check_that "counted" "$(larder_stat pi_lost) > 0"
	check "its neighbour" "ok 1:1" "$(pi read dev=$dev start=$((2048 + 16 * step)) "n=$step")"
	check_that "still dirty" "$(larder_stat slots_dirty) > 0"
	pi write dev=$dev start=$((2048 + 8 * step)) n=$((8 * step)) version=2
	check "mended by a write" "ok 1:8 2:8 1:$((512 / step - 16))" "$(pi read dev=$dev start=2048 n=512)"
	thaw
	drain
	remove
	check "on the origin" "ok 1:8 2:8 1:$((512 / step - 16))" "$(pi read "dev=$origin" start=2048 n=512)"
}

# What is dirty and damaged is not written over the origin.
test_damage_dirty_destage() {
	local place
	make_world
	pi write "dev=$origin" start=2048 n=64 version=1
	new_frozen_cache writeback
	# a write-back that begins early waits for the frozen origin with the first, and has to come again
	pi write dev=$dev start=2048 n=64 version=4
	sleep 3
	pi write dev=$dev start=2048 n=64 version=2
	place=$(need_place "$ssd" 2048 2)
	damage "$ssd" "$place"
	thaw
	policy=cleaner reload
	sleep 3
	check_that "still dirty" "$(larder_stat slots_dirty) > 0"
	pi_fails "reported" EILSEQ read dev=$dev start=2048 "n=$step"
	[[ $(pi read "dev=$origin" start=2048 "n=$step") == "ok "[14]:1 ]] || fail "it is on the origin"
	pi write dev=$dev start=2048 n=64 version=3
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	check "the origin after a new write" "ok 3:$((64 / step))" "$(pi read "dev=$origin" start=2048 n=64)"
}

one_dirty() { [[ $(larder_stat slots_dirty) == 1 ]]; }

# One damaged block does not keep from the origin what is dirty around it.
test_damage_dirty_neighbours() {
	local place whole before
	make_world
	new_frozen_cache writeback
	pi write dev=$dev start=2048 n=512 version=1
	# a write-back may begin, and wait for the origin with what it has read: that is not what is damaged
	sleep 3
	pi write dev=$dev start=2048 n=512 version=2
	place=$(need_place "$ssd" $((2048 + 256)) 2)
	damage "$ssd" "$place"
	thaw
	policy=cleaner reload
	wait_until 60 one_dirty || fail "$(larder_stat slots_dirty) dirty"
	whole=$(block) before=$((256 / $(block) * $(block)))
	check "before it" "ok 2:$((before / step))" "$(pi read "dev=$origin" start=2048 n=$before)"
	check "behind it" "ok 2:$(((512 - before - whole) / step))" \
		"$(pi read "dev=$origin" start=$((2048 + before + whole)) n=$((512 - before - whole)))"
	[[ $(pi read "dev=$origin" start=$((2048 + before)) "n=$whole") != *" 2:"* ]] || fail "the damaged block is on the origin"
	pi write dev=$dev start=$((2048 + before)) "n=$whole" version=2
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	check "mended by a write" "ok 2:$((512 / step))" "$(pi read "dev=$origin" start=2048 n=512)"
}

test_damage_origin() {
	make_world
	pi write "dev=$origin" start=2048 n=512 version=1
	new_cache
	damage "$origin" $((2048 + 128))
	pi_fails "a miss" EILSEQ read dev=$dev start=2048 n=512
	check "what is beside it" "ok 1:$((128 / step))" "$(pi read dev=$dev start=2048 n=128)"
	pi_fails "without tuples" EILSEQ read dev=$dev start=$((2048 + 128)) "n=$step" plain
	pi write dev=$dev start=$((2048 + 128)) n=64 version=2
	check "mended by a write" "ok 1:$((128 / step)) 2:$((64 / step)) 1:$((320 / step))" \
		"$(pi read dev=$dev start=2048 n=512)"
	drain
	check "on the origin" "ok 2:$((64 / step))" "$(pi read "dev=$origin" start=$((2048 + 128)) n=64)"
}

# --- other devices above ---

# dm-linear on the cache, with an offset of its own
test_linear_above() {
	make_world
	new_cache
	linear top $dev $((24 * step)) $((4 * MIB))
	check "profile" "$(profile "$origin")" "$(profile /dev/mapper/top)"
	pi stress dev=/dev/mapper/top journal=l n=$((2 * MIB)) ops=150
	pi verify dev=/dev/mapper/top journal=l
	drain
	pi verify dev=/dev/mapper/top journal=l
	same_tuples "top and origin" /dev/mapper/top 0 512 "$origin" $((24 * step))
}

# A file system knows nothing of PI: the block layer makes tuples above the devices.
test_file_system() {
	make_world
	new_cache
	mkfs.ext4 -q -b 4096 $dev
	mount $dev /mnt
	head -c 3000000 /dev/urandom >/mnt/file
	sync
	sum=$(sha256sum </mnt/file)
	echo 3 >/proc/sys/vm/drop_caches
	check "contents" "$sum" "$(sha256sum </mnt/file)"
	umount /mnt
	e2fsck -fn $dev
	drain
	remove
	e2fsck -fn "$origin"
}

# XFS, which makes and checks tuples itself from 7.2 on. Damage below is healed where it can be, else told.
test_xfs() {
	local sum place
	origin_sectors=$((64 * MIB))
	make_world
	new_cache
	mkfs.xfs -q --unsupported $dev
	[[ $(kernel_series) != 7.2 ]] || count_calls fs_bio_integrity_generate fs_bio_integrity_verify
	mount $dev /mnt
	seq -f 'line %07.0f of a file' 1 100000 >/mnt/file
	sum=$(sha256sum </mnt/file)
	umount /mnt
	drain
	policy=s3fifo reload
	mount -o ro,norecovery $dev /mnt
	check "contents" "$sum" "$(sha256sum </mnt/file)"
	echo 3 >/proc/sys/vm/drop_caches
	# everything is clean: damage one in ten blocks of the file
	LC_ALL=C grep -abo ' of a file' "$ssd" | awk -F: '{ at = int($1 / 512) } at - last > 300 { print last = at }' \
		>"$work/places"
	check_that "there is some of it on the SSD" "$(wc -l <"$work/places") > 4"
	while read -r place; do
		damage "$ssd" "$place"
	done <"$work/places"
	check "contents, healed" "$sum" "$(sha256sum </mnt/file)"
	check_that "counted" "$(larder_stat pi_healed) > 0"
	check "nothing lost" 0 "$(larder_stat pi_lost)"
	umount /mnt
	if [[ $(kernel_series) == 7.2 ]]; then
		check_that "XFS made tuples" "$(calls_of fs_bio_integrity_generate) > 0"
		check_that "XFS checked tuples" "$(calls_of fs_bio_integrity_verify) > 0"
	fi
	remove
	blank_metadata
	create
	place=$(LC_ALL=C grep -abo -m 1 'line 0050000 of a file' "$origin" | head -n 1)
	damage "$origin" $((${place%%:*} / 512))
	mount -o ro,norecovery $dev /mnt
	fails "damage on the origin" cat /mnt/file
	umount /mnt
}

# From user space: io_uring's PI attribute, which 7.2 has.
test_uring() {
	local n=$((64 * step)) image=$work/image next
	make_world
	new_cache
	check "what is told of the metadata" "$(pi_uring caps "$origin")" "$(pi_uring caps $dev)"
	for next in writeback writethrough; do
		switch_mode $next
		pi write dev=$dev start=2048 "n=$n" app=100 version=1
		check "read, $next" ok "$(pi_uring read $dev 2048 "$n" "$image")"
		pi write dev=$dev start=2048 "n=$n" version=2
		check "write, $next" ok "$(pi_uring write $dev 2048 "$n" "$image" $((3 * step)))"
		check "what is there, $next" "ok 1:64" "$(pi read dev=$dev start=2048 "n=$n")"
		cp "$image" "$work/bad"
		cp "$image.pi" "$work/bad.pi"
		printf 'wrong' | dd of="$work/bad" bs="$interval" seek=5 conv=notrunc status=none
		check "data that does not fit, $next" "error EILSEQ: write of 2048" \
			"$(pi_uring write $dev 2048 "$n" "$work/bad" "$n")"
		check "nothing of it is there, $next" "ok 1:64" "$(pi read dev=$dev start=2048 "n=$n")"
	done
	drain
	remove
	blank_metadata
	new_cache
	check "miss" ok "$(pi_uring read $dev 2048 "$n" "$work/again")"
	cmp "$image" "$work/again"
	cmp "$image.pi" "$work/again.pi"
	wait_until 20 filled $((n / $(block))) || fail "only $(larder_stat slots_used) slots filled"
	same_tuples "origin and SSD" "$origin" 2048 "$(block)" "$ssd" "$(need_place "$ssd" 2048 1)"
	check "hit" ok "$(pi_uring read $dev 2048 "$n" "$work/again" "$step")"
	cmp "$image.pi" "$work/again.pi"
	check_that "it was one" "$(larder_stat read_hits) > 0"
}

# --- two devices that do not fit ---

# mismatch WHAT: with the cache device that "$ssd" names
mismatch() {
	mode=writeback
	log_mark
	pi_feature require
	fails "$1: require" create
	log_has "$1: require" "protection information is required"
	pi_feature auto
	create
	check "$1: state" none "$(pi_state)"
	check "$1: own transfers" false "$(larder_stat pi_kept)"
	[[ $(stats) == *'"pi_reason":"'?* ]] || fail "$1: no reason: $(stats)"
	check "$1: profile" "type=none" "$(profile $dev)"
	pi_fails "$1: tuples" "no profile" write dev=$dev n=64
	pi write dev=$dev n=2048 plain version=1
	pi write dev=$dev start=24 n=240 plain version=2
	pi read dev=$dev n=2048 plain
	drain
	check "$1: on the origin, with tuples of the block layer" "ok 1:$((24 / step)) 2:$((240 / step)) 1:$(((2048 - 264) / step))" \
		"$(pi read "dev=$origin" n=2048)"
	remove
	blank_metadata
}

test_mismatch() {
	local other
	for other in 1,crc,4096 3,crc,512 1,ip,512 0,crc,4096; do
		[[ $kind == ram ]] || break
		ssd_format=$other make_world
		mismatch "an SSD of $other"
		clean_up
	done
	# dm-integrity with other tags, other blocks, or a checksum of its own
	for other in "4 512" "16 512" "8 4096" "4 512 crc32c"; do
		[[ $kind == integrity ]] || break
		ssd_format=$other make_world
		mismatch "dm-integrity of $other"
		clean_up
	done
	if [[ $kind == integrity ]]; then
		pi_guard=ip make_world
		mismatch "a guard that is not a CRC"
		clean_up
	fi
	make_world
	add_disk plain 4M type=ssd
	ssd=/dev/plain
	mismatch "an SSD without PI"
	if [[ $kind == scsi && $interval == 512 ]]; then
		for other in 1-4096 3-512; do
			[[ $other != "$pi_type-$interval" ]] || continue
			ssd=$(nvme_disk ssd "${other%-*}" "${other#*-}")
			mismatch "an SSD of $other"
		done
	fi
}

# --- a cache device that does not look at tuples ---

edit() { "$BIN/metadata-edit" "$@"; }
marked() { echo "$(edit get "$meta" 0 ro_compat) $(edit get "$meta" 1 ro_compat)"; }

# What a module before these features, or a table over other devices, leaves behind: data without a mark.
unmark() {
	local unit
	for unit in 0 1; do
		edit set "$meta" $unit ro_compat=0
	done
}

# The mark comes with the first table, and stays over stops and modes.
test_mark() {
	make_world
	new_cache
	check "marked" "2 2" "$(marked)"
	pi stress dev=$dev journal=k n=$((2 * MIB)) ops=80 plains=30
	remove
	check "marked after a stop" "2 2" "$(marked)"
	new_cache writethrough off
	check "state" off "$(pi_state)"
	check "they are carried" true "$(larder_stat pi_carried)"
	pi write dev=$dev start=512 n=256 plain journal=k
	pi_feature require
	reload
	check "state again" carrier "$(pi_state)"
	pi verify dev=$dev journal=k
	power "cut 5"
	dmsetup remove cache
	power_up
	create
	check "after a power cut" carrier "$(pi_state)"
	pi verify dev=$dev journal=k
	drain
	remove
	pi verify "dev=$origin" journal=k
}

# Without it, nothing is carried before the cache has been emptied.
test_unmarked() {
	make_world
	new_cache
	pi write dev=$dev start=1024 n=512 version=1
	remove
	unmark
	log_mark
	fails "require" create
	log_has "require" "written without tuples"
	pi_feature auto
	create
	check "state" none "$(pi_state)"
	check "own transfers" false "$(larder_stat pi_kept)"
	[[ $(stats) == *'"pi_reason":"some of what is cached was written without tuples'* ]] || fail "reason: $(stats)"
	pi write dev=$dev start=1536 n=512 plain version=2
	drain
	features="passthrough pi=auto" policy=s3fifo
	reload
	dmsetup message cache 0 invalidate_cblocks 0-$(($(larder_stat slots) * $(larder_stat block_sectors) / $(larder_stat chunk_sectors)))
	check "empty" 0 "$(larder_stat slots_used)"
	features="writeback pi=auto"
	reload
	check "own transfers again" true "$(larder_stat pi_kept)"
	check "marked again" "2 2" "$(marked)"
	reload
	check "state again" carrier "$(pi_state)"
	# written back without its tuples
	check "what is there" "ok 1:$((512 / step))" "$(pi read dev=$dev start=1024 n=512 plain)"
	check "what came without" "ok 2:$((512 / step))" "$(pi read dev=$dev start=1536 n=512)"
}

# Two transports, one profile.
test_scsi_and_nvme() {
	make_world
	ssd=$(nvme_disk ssd "$pi_type" "$interval")
	blank "$ssd"
	new_cache
	check "state" pass "$(pi_state)"
	pi stress dev=$dev journal=x n=$((2 * MIB)) ops=150
	pi verify dev=$dev journal=x
	drain
	remove
	pi verify "dev=$origin" journal=x
}

every=(raw raw_faults raw_linear profile write_hit sweep miss_and_fill fill_without merge never_written eviction
	destage write_through modes reload_under_load off_and_on stop_and_start unclean_stop
	cut_under_load bad_tuples damage_clean damage_dirty damage_dirty_destage
	damage_dirty_neighbours damage_origin linear_above)
few=(raw raw_faults write_hit sweep miss_and_fill never_written eviction destage write_through modes unclean_stop
	damage_clean damage_dirty damage_origin)
# with carriers of others' making
carried=(profile write_hit sweep miss_and_fill fill_without never_written eviction destage write_through modes
	off_and_on unclean_stop cut_under_load bad_tuples damage_clean damage_dirty damage_dirty_destage mark
	unmarked)
once=(raw_nonsense file_system mismatch)

tests_of() {
	case $1 in
	scsi-1-crc-512) echo "${every[*]} ${once[*]} scsi_and_nvme xfs" ;;
	ram-1-crc-512) echo "${every[*]} ${once[*]}" ;;
	nvme-1-crc-512 | ram-3-crc-512) echo "${every[*]}" ;;
	carrier-*) echo "${every[*]} mark unmarked file_system" | sed 's/raw[_a-z]* //g' ;;
	opaque-*) echo "${carried[*]}" ;;
	integrity-*) echo "${carried[*]} mismatch" ;;
	*) echo "${few[*]}" ;;
	esac
	# what only this kernel has
	[[ $(kernel_series) != 7.2 || $1 == ram-* || $1 == opaque-* || $1 == integrity-* ]] || echo uring
}

all_worlds=(scsi-1-crc-512 scsi-3-crc-512 scsi-1-crc-4096 scsi-1-ip-512 scsi-3-ip-4096
	nvme-1-crc-512 nvme-3-crc-512 nvme-1-crc-4096 carrier-1-crc-512 opaque-1-crc-512 integrity-1-crc-512)
# User Mode Linux has no other disks
[[ ${LARDER_SANITIZED:-} != uml ]] ||
	all_worlds=(ram-1-crc-512 ram-3-crc-512 ram-1-crc-4096 ram-1-ip-512 ram-3-ip-4096
		carrier-1-crc-512 carrier-3-crc-4096)

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
begin_pi_suite
for world in "${@:-${all_worlds[@]}}"; do
	set_world "$world"
	# journals know what is on the disks of one world
	unload_modules pi-io
	load_module pi-io
	for name in $(tests_of "$world"); do
		! chosen "$world/$name" || run_test "$world/$name" "test_$name"
	done
done
end_suite
