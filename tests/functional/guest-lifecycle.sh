#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The life of a cache, in a guest: table and status lines, suspend, reload, removal, unclean stops, what
# each kind of request costs, discards, the journal's wrap, file systems. See run-in-vm.
#
# usage: guest-lifecycle.sh [short]
#
#   short   leaves out the tests of file systems

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

default_disks() { make_disks 2M 12M 96M; }

# --- lines ---

test_status_line() {
	local line number='[0-9]+'
	default_disks
	freeze_origin
	create
	line=$(dmsetup status cache)
	[[ $line =~ ^0\ 196608\ larder\ 8\ $number/512\ 64\ 0/384(\ 0){7}\ 1\ writeback\ 2\ migration_threshold\ 2048\ s3fifo\ $number(.*)\ rw\ -$ ]] ||
		fail "status line: $line"
	check "words of the policy's settings" "${BASH_REMATCH[2]}" "${BASH_REMATCH[2]#"${BASH_REMATCH[2]%% *}"}"
	write_tags $dev 0 256 1
	"$BIN/simdisk-io" tags $dev 1024 64 >/dev/null
	tags $dev 0 8 >/dev/null
	check_that "read hits" "$(status_field 5) == 1"
	check_that "read misses" "$(status_field 6) == 1"
	check_that "write hits and misses" "$(status_field 7) + $(status_field 8) >= 32"
	check_that "dirty chunks" "$(dirty) == 4"
	check_that "JSON version" "$(stats | grep -c '^{"version":"1\.')"
	thaw_origin
	features="metadata2 writethrough no_discard_passdown" policy=cleaner
	reload
	line=$(dmsetup status cache)
	[[ $line == *" 3 metadata2 writethrough no_discard_passdown 2 migration_threshold 2048 cleaner 0 rw -" ]] ||
		fail "status line: $line"
}

test_table_echo() {
	local words prefix
	default_disks
	prefix="0 196608 larder $(lsblk -ndo MAJ:MIN $meta $ssd $hdd | tr -d ' ' | tr '\n' ' ')"
	for words in "64 1 writeback s3fifo 0" "64 0 default 0" "128 2 metadata2 writethrough smq 2 migration_threshold 7" \
		"64 3 no_discard_passdown metadata2 writethrough default 4 small_percent 020 migration_threshold 0" \
		"2048 1 writethrough cleaner 0" "72 0 mq 0"; do
		dmsetup create cache --table "0 196608 larder $meta $ssd $hdd $words"
		check "echo of the table" "$prefix$words" "$(dmsetup table cache)"
		dmsetup suspend cache
		check "echo of the table, suspended" "$prefix$words" "$(dmsetup table cache)"
		remove
		dd if=/dev/zero of=$meta bs=4096 count=1 oflag=direct status=none
	done
}

# --- suspend, reload, removal ---

test_suspend_resume() {
	default_disks
	create
	write_tags $dev 0 2048 3
	dmsetup suspend cache
	dmsetup resume cache
	check "contents" "3:2048" "$(tags $dev 0 2048)"
	write_tags $dev 8 16 4
	dmsetup suspend --noflush cache
	dmsetup resume cache
	check "contents" "3:2032 4:16" "$(tags $dev 0 2048)"
	check "never marked as unclean" false "$(larder_stat recovered)"
}

test_reload() {
	local used
	default_disks
	create
	freeze_origin
	write_tags $dev 0 1024 1
	flush $dev
	check_that "dirty" "$(dirty) == 16"
	reload
	check "the same table: dirty" 16 "$(dirty)"
	check "the same table: contents" "1:1024" "$(tags $dev 0 1024)"
	thaw_origin
	features=writethrough
	reload
	wait_until 30 is_clean || fail "write-through: still $(dirty) dirty"
	check "write-through: contents" "1:1024" "$(tags $dev 0 1024)"
	check "write-through: the origin" "1:1024" "$(tags $hdd 0 1024)"
	write_tags $dev 0 64 2
	check "write-through: a new write" "2:64" "$(tags $hdd 0 64)"
	used=$(status_field 4)
	features=writeback policy_args="small_percent 30"
	reload
	check "write-back again: all is still cached" "$used" "$(status_field 4)"
	freeze_origin
	write_tags $dev 0 64 3
	check "write-back again: the origin is behind" "2:64" "$(tags $hdd 0 64)"
	check "write-back again: contents" "3:64 1:960" "$(tags $dev 0 1024 | tr ' ' '\n' | sort -r | xargs)"
}

test_remove_and_create() {
	default_disks
	create
	write_tags $dev 0 1024 1
	policy=cleaner reload
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	reload
	freeze_origin
	write_tags $dev 512 1024 2
	check_that "dirty" "$(larder_stat slots_dirty) == 32"
	remove
	create
	check "an orderly stop" false "$(larder_stat recovered)"
	check "dirty" 32 "$(larder_stat slots_dirty)"
	check "used" 48 "$(larder_stat slots_used)"
	reset_stats hdd
	check "contents" "1:512 2:1024" "$(tags $dev 0 1536)"
	check "reads of the origin for what is warm" 0 "$(disk_stat hdd reads)"
	thaw_origin
	dmsetup suspend cache
	dmsetup resume cache
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	remove
	check "the origin alone" "1:512 2:1024" "$(tags $hdd 0 1536)"
}

cut_and_recreate() {
	power "cut ${1:-1}"
	dmsetup remove cache
	power revive
	create
	check "an unclean stop" true "$(larder_stat recovered)"
}

test_unclean_stop() {
	default_disks
	create
	write_tags $dev 0 1024 1
	policy=cleaner reload
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	reload
	freeze_origin
	write_tags $dev 1024 512 2
	flush $dev
	cut_and_recreate
	check "dirty: what was, and nothing else" 16 "$(larder_stat slots_dirty)"
	check "used" 48 "$(larder_stat slots_used)"
	reset_stats hdd
	check "contents" "1:1024 2:512" "$(tags $dev 0 1536)"
	check "reads of the origin for what is warm" 0 "$(disk_stat hdd reads)"
	# An overwrite of a clean block leaves an intent for its neighbours in the table at most.
	write_tags $dev 0 8 3
	flush $dev
	cut_and_recreate 2
	check_that "dirty" "$(larder_stat slots_dirty) >= 17 && $(larder_stat slots_dirty) <= 24"
	check "contents" "3:8" "$(tags $dev 0 8)"
	check "contents" "1:1016 2:512" "$(tags $dev 8 1528)"
}

test_cleaner() {
	local before
	default_disks
	create
	"$BIN/oracle-io" run $dev --journal "$work/j" --ops 150 --mix 10,80,4,3,0,3 --threads 2 --seed 5
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	before=$(sum_of $dev)
	remove
	check "the origin alone has all" "$before" "$(sum_of $hdd)"
	"$BIN/oracle-io" verify $hdd --journal "$work/j" --expect-exact
}

test_write_through() {
	default_disks
	features=writethrough
	create
	tags $dev 0 2048 >/dev/null
	"$BIN/oracle-io" run $dev --journal "$work/j" --ops 150 --mix 40,50,4,3,0,3 --threads 2 --seed 6
	check "dirty" 0 "$(dirty)"
	flush $dev
	check "the origin is equal" "$(sum_of $dev)" "$(sum_of $hdd)"
	check_that "something is cached" "$(larder_stat slots_used) > 0"
	"$BIN/oracle-io" verify $hdd --journal "$work/j" --expect-exact
}

test_pass_through() {
	default_disks
	create
	freeze_origin
	write_tags $dev 0 1024 1
	flush $dev
	remove
	log_mark
	! features=passthrough create 2>/dev/null || fail "pass-through mode with dirty blocks"
	log_has "refusal" "No passthrough mode with dirty blocks"
	thaw_origin
	policy=cleaner create
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	remove
	# what the journal has replaced does not count
	features=passthrough
	create
	check "slots still in use" 32 "$(larder_stat slots_used)"
	reset_stats ssd
	check "contents" "1:1024" "$(tags $dev 0 1024)"
	check "reads of the cache device" 0 "$(disk_stat ssd reads)"
	write_tags $dev 0 8 2
	check "on the origin" "1:1016 2:8" "$(tags $hdd 0 1024)"
	check "slots in use without the block that was written" 31 "$(larder_stat slots_used)"
	dmsetup message cache 0 invalidate_cblocks 0-4 5
	check "slots in use without the chunks that were named" 22 "$(larder_stat slots_used)"
	remove
	features=writeback
	create
	check "contents" "1:1016 2:8" "$(tags $dev 0 1024)"
}

# --- what requests cost ---

test_flush_cost() {
	default_disks
	create
	freeze_origin
	write_tags $dev 0 64 1
	flush $dev
	reset_stats meta ssd hdd
	local commits
	commits=$(larder_stat commits)
	flush $dev
	check "nothing new: commits" "$commits" "$(larder_stat commits)"
	check "nothing new: writes to the metadata" 0 $(($(disk_stat meta writes)))
	check "nothing new: flushes of the origin" 0 $(($(disk_stat hdd flushes) + $(disk_stat hdd idle_flushes)))
	# In place, into a dirty grain: data, but no record.
	write_tags $dev 0 8 2
	flush $dev
	check "overwrite: commits" "$commits" "$(larder_stat commits)"
	check "overwrite: flushes of the cache device" 1 $(($(disk_stat ssd flushes) + $(disk_stat ssd idle_flushes)))
	check "overwrite: flushes of the origin" 0 $(($(disk_stat hdd flushes) + $(disk_stat hdd idle_flushes)))
	# A new block: one commit, one journal write.
	write_tags $dev 1024 8 3
	flush $dev
	check "new block: writes to the metadata" 1 "$(disk_stat meta writes)"
	check "new block: flushes of the origin" 0 $(($(disk_stat hdd flushes) + $(disk_stat hdd idle_flushes)))
	check "contents" "2:8 1:56" "$(tags $dev 0 64 | tr ' ' '\n' | sort -r | xargs)"
	# Around the cache: now the origin is due.
	thaw_origin
	policy=cleaner reload
	wait_until 30 is_clean || fail "still $(dirty) dirty"
	write_tags $dev 8192 8 4
	reset_stats hdd
	flush $dev
	check_that "around the cache: flushes of the origin" "$(disk_stat hdd flushes) >= 1"
}

test_fua() {
	default_disks
	create
	freeze_origin
	"$BIN/io-load" $dev rw=write pat=seq bs=4096 n=64 qd=1 fua=1 span=1M >"$work/load"
	check_that "FUA writes seen" "$(larder_stat fua_writes) >= 64"
	check "flushes seen" 0 "$(larder_stat flushes)"
	cut_and_recreate 3
	check "dirty slots" 16 "$(larder_stat slots_dirty)"
	"$BIN/io-load" $dev rw=read pat=seq bs=4096 n=64 qd=1 verify=2 span=256K >"$work/load" ||
		fail "a FUA write is lost: $(cat "$work/load")"
}

test_write_miss() {
	default_disks
	write_tags $hdd 0 4096 9
	create
	freeze_origin
	reset_stats hdd
	write_tags $dev 0 8 1
	write_tags $dev 40 16 1
	check "whole grains: reads of the origin" 0 "$(disk_stat hdd reads)"
	write_tags $dev 1025 2 2 2
	check "partly covered grain: merges" 1 "$(larder_stat merges)"
	check_that "partly covered grain: reads of the origin" "$(disk_stat hdd reads) == 1"
	check_that "and no more of it than the grain" "$(disk_stat hdd read_sectors) == 8"
	check "contents" "9 2 2 9 9 9 9 9" "$("$BIN/simdisk-io" map $dev 1024 8 | xargs)"
	check "contents" "1:8 9:32" "$(tags $dev 0 40)"
	write_tags $dev 1029 1 3 1
	check "partly, grain is there: reads of the origin" 1 "$(larder_stat merges)"
	check "contents" "9 2 2 9 9 3 9 9" "$("$BIN/simdisk-io" map $dev 1024 8 | xargs)"
}

used_slots_are() { [[ $(larder_stat slots_used) == "$1" ]]; }

test_fill() {
	default_disks
	write_tags $hdd 0 4096 9 256
	create
	reset_stats hdd
	check "contents" "9:1024" "$(tags $dev 0 1024)"
	# A fill is never owed, but nothing competes with these: they end soon.
	wait_until 10 used_slots_are 32 || fail "only $(larder_stat slots_used) filled"
	check "sectors read from the origin" 1024 "$(disk_stat hdd read_sectors)"
	check "contents" "9:1024" "$(tags $dev 0 1024)"
	check "sectors read from the origin, twice read" 1024 "$(disk_stat hdd read_sectors)"
	check "dirty" 0 "$(dirty)"
	check "writes to the origin" 0 "$(disk_stat hdd writes)"
}

# --- what somebody did behind our back ---

test_tampered_while_suspended() {
	local generation unit
	default_disks
	create
	freeze_origin
	write_tags $dev 0 64 1
	dmsetup suspend cache
	unit=1
	(($("$BIN/metadata-edit" get $meta 0 generation) > $("$BIN/metadata-edit" get $meta 1 generation))) && unit=0
	generation=$("$BIN/metadata-edit" get $meta $unit generation)
	"$BIN/metadata-edit" set $meta $unit generation=$((generation + 2))
	dmsetup resume cache
	check "read again: contents" "1:64" "$(tags $dev 0 64)"
	check "read again: dirty" 2 "$(larder_stat slots_dirty)"
	dmsetup suspend cache
	head -c 8192 /dev/urandom | dd of=$meta bs=4096 oflag=direct status=none iflag=fullblock
	log_mark
	fails "resume on foreign metadata" dmsetup resume cache
	log_has "resume on foreign metadata" "larder: 253:"
}

# I8: what only the SSD has is not forgotten because the metadata is gone.
test_wiped_while_suspended() {
	default_disks
	create
	freeze_origin
	write_tags $dev 0 64 1
	dmsetup suspend cache
	dd if=/dev/zero of=$meta bs=4096 count=1 oflag=direct status=none
	log_mark
	fails "resume over wiped metadata" dmsetup resume cache
	log_has "resume over wiped metadata" "the metadata was wiped under a suspended cache with dirty blocks"
}

# The same before it is active: a blank device is a new cache only to who loads a table on it.
test_wiped_before_resume() {
	default_disks
	create
	freeze_origin
	write_tags $dev 0 64 1
	remove
	dd if=$meta of="$work/super" bs=4096 count=2 iflag=direct status=none
	dmsetup create cache --notable
	dmsetup load cache --table "$(table_line)"
	dd if=/dev/zero of=$meta bs=4096 count=2 oflag=direct status=none
	log_mark
	fails "resume over wiped metadata" dmsetup resume cache
	log_has "resume over wiped metadata" "gone from the metadata device"
	dd if="$work/super" of=$meta bs=4096 oflag=direct status=none
	dmsetup resume cache
	check "put back: contents" "1:64" "$(tags $dev 0 64)"
	dmsetup suspend cache
	remove
	dd if=/dev/zero of=$meta bs=4096 count=2 oflag=direct status=none
	thaw_origin
	create
	check "a table loaded on a blank device: a new cache" 0 "$(larder_stat slots_used)"
}

test_active_twice() {
	default_disks
	create
	log_mark
	fails "a second active cache" dmsetup create second --table "$(table_line)"
	log_has "a second active cache" "another active cache uses the same metadata device"
	dmsetup remove second 2>/dev/null || true
	write_tags $dev 0 64 1
	check "the first goes on" "1:64" "$(tags $dev 0 64)"
}

test_other_instance_meanwhile() {
	default_disks
	create
	freeze_origin
	write_tags $dev 0 64 1
	dmsetup suspend cache
	dmsetup create second --table "$(table_line)"
	check "the second one's view" "1:64" "$(tags /dev/mapper/second 0 64)"
	write_tags /dev/mapper/second 32 64 2
	dmsetup remove second
	dmsetup resume cache
	check "the first one's view" "1:32 2:64" "$(tags $dev 0 96)"
}

# As lvm2 2.03.16 makes an external origin of a cached LV: the new device first, the old one's end after.
test_read_only_beside_live() {
	local vg=LVM-AbcdefghijklmnopqrstuvwxyzAbcdef beside reader
	beside="dmsetup create beside --readonly --uuid ${vg}22222222222222222222222222222222-real"
	default_disks
	create
	dmsetup rename cache --setuuid "${vg}11111111111111111111111111111111"
	freeze_origin
	write_tags $dev 0 64 1
	fails "one that can write" dmsetup create beside --uuid "${vg}22222222222222222222222222222222-real" \
		--table "$(table_line)"
	dmsetup remove beside 2>/dev/null || true
	fails "another volume group's" dmsetup create beside --readonly --table "$(table_line)" \
		--uuid "LVM-zbcdefghijklmnopqrstuvwxyzAbcdef22222222222222222222222222222222-real"
	dmsetup remove beside 2>/dev/null || true

	# one that gives up: its reader is told, the live cache notices nothing
	$beside --table "$(table_line)"
	tags /dev/mapper/beside 0 64 >"$work/given-up" 2>&1 &
	reader=$!
	sleep 1
	check_that "the reader waits" "$(kill -0 $reader 2>/dev/null && echo 1 || echo 0)"
	dmsetup suspend beside
	if wait $reader; then fail "a reader of a device that never took over: $(cat "$work/given-up")"; fi
	dmsetup resume beside
	dmsetup remove beside
	write_tags $dev 64 64 2

	$beside --table "$(table_line)"
	tags /dev/mapper/beside 0 192 >"$work/seen" 2>&1 &
	reader=$!
	sleep 1
	write_tags $dev 128 64 3
	check "a live cache beside one that waits" "1:64 2:64 3:64" "$(tags $dev 0 192)"
	dmsetup load cache --table "0 $(sectors_of "$hdd") zero"
	dmsetup suspend cache
	wait $reader || fail "the reader that waited: $(cat "$work/seen")"
	check "what it saw" "1:64 2:64 3:64" "$(cat "$work/seen")"
	dmsetup resume cache
	check "the new one, alone" "1:64 2:64 3:64" "$(tags /dev/mapper/beside 0 192)"
	dmsetup remove cache
	dmsetup remove beside
	create
	check "all of it, in the end" "1:64 2:64 3:64" "$(tags $dev 0 192)"
}

test_module_in_use() {
	default_disks
	create
	fails "rmmod while a cache exists" rmmod dm-larder
	remove
	rmmod dm-larder
	load_module dm-larder
	create
	check "contents after unloading" "0:64" "$(tags $dev 0 64)"
}

test_two_caches() {
	local name i=0
	default_disks
	for name in one two; do
		linear "meta-$name" /dev/meta $((i * 2048)) 2048
		linear "ssd-$name" /dev/ssd $((i * 12288)) 12288
		linear "hdd-$name" /dev/hdd $((i * 98304)) 98304
		meta=/dev/mapper/meta-$name ssd=/dev/mapper/ssd-$name hdd=/dev/mapper/hdd-$name
		dmsetup create $name --table "$(table_line)"
		i=$((i + 1))
	done
	"$BIN/oracle-io" run /dev/mapper/one --journal "$work/one" --ops 150 --threads 2 --seed 1 &
	"$BIN/oracle-io" run /dev/mapper/two --journal "$work/two" --ops 150 --threads 2 --seed 2
	wait $!
	dmsetup remove one
	dmsetup remove two
	for name in two one; do
		meta=/dev/mapper/meta-$name ssd=/dev/mapper/ssd-$name hdd=/dev/mapper/hdd-$name
		dmsetup create $name --table "$(table_line)"
		"$BIN/oracle-io" verify /dev/mapper/$name --journal "$work/$name" --expect-exact
	done
}

# --- discards ---

test_discard() {
	default_disks
	create
	freeze_origin
	write_tags $dev 0 1024 1
	flush $dev
	check "dirty" 32 "$(larder_stat slots_dirty)"
	thaw_origin
	reset_stats hdd
	blkdiscard -f -o 0 -l $((512 * 512)) $dev
	check "used after a discard of half of it" 16 "$(larder_stat slots_used)"
	check_that "passed down" "$(disk_stat hdd discard_sectors) == 512"
	check "contents of the rest" "1:512" "$(tags $dev 512 512)"
	features="writeback no_discard_passdown"
	reload
	freeze_origin
	reset_stats hdd
	blkdiscard -f -o $((512 * 512)) -l $((256 * 512)) $dev
	check "used" 8 "$(larder_stat slots_used)"
	check "not passed down" 0 "$(disk_stat hdd discards)"
	# Less than a block is left alone.
	blkdiscard -f -o $((768 * 512)) -l $((8 * 512)) $dev || true
	check "contents of the rest" "1:256" "$(tags $dev 768 256)"
	cut_and_recreate 4
	check "used after a power cut" 8 "$(larder_stat slots_used)"
	check "contents of the rest" "1:256" "$(tags $dev 768 256)"
}

# --- the journal, and small caches ---

test_journal_wrap() {
	local round
	make_disks 1M 12M 96M
	linear small /dev/meta 0 $((81 * 8))
	meta=/dev/mapper/small
	create
	freeze_origin
	check "journal blocks" 64 "$(larder_stat journal_blocks)"
	"$BIN/oracle-io" run $dev --journal "$work/j" --ops 1 --span 8M --seed 1
	for round in 1 2 3; do
		"$BIN/oracle-io" run $dev --journal "$work/j" --continue --ops 400 --threads 1 --hot 0 \
			--sizes 4K..4K --mix 0,50,40,10,0,0 --seed "$round"
		# Later rounds may find all dirty (I3: clean grains under an intent), with nothing to record.
		if [[ $round == 1 ]]; then
			check_that "checkpoints" "$(larder_stat checkpoints) >= 2"
			check_that "commits" "$(larder_stat commits) >= 100"
		fi
		cut_and_recreate "$round"
		"$BIN/oracle-io" verify $dev --journal "$work/j"
	done
}

test_tiny_caches() {
	local slots
	make_disks 1M 12M 96M
	chunk=8
	for slots in 1 2 3 7; do
		linear tiny /dev/ssd 0 $((slots * chunk))
		ssd=/dev/mapper/tiny
		create
		check "slots" $slots "$(larder_stat slots)"
		"$BIN/oracle-io" run $dev --journal "$work/j" --ops 400 --threads 2 --span 1M --sizes 512..16K --seed $slots
		remove
		create
		"$BIN/oracle-io" verify $dev --journal "$work/j" --expect-exact
		policy=cleaner reload
		wait_until 30 is_clean || fail "$slots slots: still $(dirty) dirty"
		remove
		"$BIN/oracle-io" verify $hdd --journal "$work/j" --expect-exact
		dmsetup remove tiny
		dd if=/dev/zero of=$meta bs=4096 count=1 oflag=direct status=none
		dd if=/dev/zero of=$hdd bs=1M count=1 oflag=direct status=none
	done
}

# --- file systems ---

file_system() {
	make_disks 2M 24M 384M
	create
	"$@"
	mount $dev /mnt
	mkdir /mnt/copy
	cp -a /usr/sbin/. /mnt/copy/
	sync -f /mnt
	rm -r /mnt/copy/[a-f]*
	cp -a /etc /mnt/copy/etc
	fstrim /mnt
	umount /mnt
	remove
	create
	mount $dev /mnt
	diff -r --no-dereference /etc /mnt/copy/etc
	(cd /usr/sbin && find . -type f ! -name '[a-f]*' -exec cmp {} /mnt/copy/{} \;)
	umount /mnt
}

test_ext4() {
	file_system mkfs.ext4 -q -F $dev
	e2fsck -fn $dev
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	remove
	e2fsck -fn $hdd
}

test_xfs() {
	file_system mkfs.xfs -q -f $dev
	xfs_repair -n $dev
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	remove
	xfs_repair -n $hdd
}

tests=(status_line table_echo suspend_resume reload remove_and_create unclean_stop cleaner write_through pass_through
	flush_cost fua write_miss fill tampered_while_suspended wiped_while_suspended wiped_before_resume
	active_twice read_only_beside_live other_instance_meanwhile module_in_use two_caches discard journal_wrap tiny_caches)
case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
short) ;;
*) tests+=(ext4 xfs) ;;
esac
begin_suite
run_suite "${tests[@]}"
