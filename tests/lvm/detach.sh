# SPDX-License-Identifier: GPL-2.0-or-later
# Caches go away again: with dirty data and without, interrupted, refused, by force.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

# How often LVM asked for the dirty count, and found some.
flush_loops() { grep -c 'Flushing [1-9]' "$work/out" || true; }

test_uncache_dirty() {
	local what
	for what in pool vol; do
		clean_up
		make_cached $what --cachemode writeback
		freeze_slow
		make_dirty 0 8192 1
		check "$what: dirty" 64 "$(dirty)"
		lvconvert -y --uncache vg/data >"$work/out" 2>&1 &
		wait_until 60 is_cleaned || fail "$what: no cleaner: $(table_words)"
		thaw_slow
		wait $! || fail "$what: $(<"$work/out")"
		cat "$work/out"
		check_that "$what: there was something to do" "$(flush_loops) > 0"
		check_uncached
		check "$what: contents" "1:8192" "$(tags "$dev" 0 8192)"
		fails "$what: vg/fast is gone" lvs vg/fast
	done
}

# Nothing dirty, nothing to do: no loop, not one write to the slow disk.
test_uncache_clean() {
	local what
	for what in pool vol; do
		clean_up
		make_cached $what --cachemode writeback
		make_dirty 0 8192 1
		l lvchange -y --cachemode writethrough vg/data
		l lvchange -y --cachemode writeback vg/data
		check "$what: dirty" 0 "$(dirty)"
		reset_stats pva
		l lvconvert -y --uncache vg/data
		check "$what: rounds of the flush" 0 "$(flush_loops)"
		check "$what: sectors written to the slow disk" 0 "$(disk_stat pva write_sectors)"
		check "$what: contents" "1:8192" "$(tags "$dev" 0 8192)"
	done
}

test_splitcache() {
	local what
	for what in pool vol; do
		clean_up
		make_cached $what --cachemode writeback
		freeze_slow
		make_dirty 0 4096 1
		thaw_slow
		l lvconvert -y --splitcache vg/data
		check_uncached
		check "$what: contents" "1:4096" "$(tags "$dev" 0 4096)"
		l lvs vg/fast
		l lvremove -y vg/fast
	done
}

# LVM brings it up for the flush, and down again.
test_uncache_inactive() {
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 4096 1
	l lvchange -an vg/data
	thaw_slow
	l lvconvert -y --uncache vg/data
	check "active" "" "$(field active)"
	l lvchange -ay vg/data
	check_uncached
	check "contents" "1:4096" "$(tags "$dev" 0 4096)"
}

# In these modes LVM just drops the cache of an inactive LV, also behind a power cut.
test_uncache_inactive_writethrough() {
	local mode
	for mode in writethrough passthrough; do
		clean_up
		make_cached vol --cachemode $mode
		write_tags "$dev" 0 4096 1
		tags "$dev" 0 4096
		write_tags "$dev" 1024 1024 2
		flush "$dev"
		power_cut 5 keep=0
		l lvconvert -y --uncache vg/data
		l lvchange -ay vg/data
		check_uncached
		check "$mode: contents" "1:3072 2:1024" "$(tags "$dev" 0 4096 | tr ' ' '\n' | sort | xargs)"
	done
}

is_cleaned() { [[ $(table_words) == *" cleaner "* ]]; }

# With the origin refusing writes, a flush goes on for ever: until ^C.
test_interrupted() {
	local what before pid policy=
	for what in pool vol; do
		clean_up
		make_cached $what --cachemode writeback
		before=$(dmsetup table "$cached") policy=$(field cache_policy)
		freeze_slow
		make_dirty 0 2048 1
		env --default-signal=INT lvconvert -y --uncache vg/data >"$work/out" 2>&1 &
		pid=$!
		wait_until 60 grep -q Flushing "$work/out" || fail "$what: no flush: $(<"$work/out")"
		wait_until 60 is_cleaned || fail "$what: no cleaner: $(table_words)"
		kill -INT $pid
		! wait $pid || fail "$what: lvconvert succeeded"
		cat "$work/out"
		check "$what: table" "$before" "$(dmsetup table "$cached")"
		check "$what: suspended" Active "$(dmsetup info -c --noheadings -o suspended "$cached")"
		check "$what: dirty" 16 "$(dirty)"
		check "$what: contents" "1:2048" "$(tags "$dev" 0 2048)"
		check "$what: cache_policy" "$policy" "$(field cache_policy)"
		make_dirty 4096 512 2
		thaw_slow
		l lvconvert -y --uncache vg/data
		check "$what: contents" "1:2048" "$(tags "$dev" 0 2048)"
		check "$what: contents" "2:512" "$(tags "$dev" 4096 512)"
	done
}

# Killed in the middle of the flush: the cleaner stays, the LV works, the next command ends what it began.
test_killed() {
	local pid
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	lvconvert -y --uncache vg/data >"$work/out" 2>&1 &
	pid=$!
	wait_until 60 is_cleaned || fail "no cleaner: $(table_words)"
	kill -KILL $pid
	wait $pid || true
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	check "segtype" cache "$(field segtype)"
	thaw_slow
	l lvconvert -y --uncache vg/data
	check_uncached
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

test_remove_dirty() {
	local what
	for what in pool vol; do
		clean_up
		make_cached $what --cachemode writeback
		freeze_slow
		make_dirty 0 2048 1
		l lvremove -y vg/data
		check "LVs that are left" 0 "$(lvs -a --noheadings vg | wc -l)"
		thaw_slow
		make_lv data 64M pva
	done
}

# To remove the pool is to uncache.
test_remove_pool() {
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	thaw_slow
	l lvremove -y vg/fast_cpool
	check_uncached
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

# While it is mounted, with dirty pages of the file system on their way.
test_uncache_mounted() {
	make_cached vol --cachemode writeback
	mkfs.ext4 -q "$dev"
	mount "$dev" /mnt
	head -c 8000000 /dev/urandom >/mnt/file
	sha256sum /mnt/file >"$work/saved-sum"
	l lvconvert -y --uncache vg/data
	check_uncached
	umount /mnt
	e2fsck -fn "$dev" || fail "e2fsck found something"
	mount "$dev" /mnt
	sha256sum --quiet -c "$work/saved-sum" || fail "the file is not what it was"
	umount /mnt
}
