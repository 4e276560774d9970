# SPDX-License-Identifier: GPL-2.0-or-later
# Modes, policies and settings, changed while the LV is in use.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

test_modes() {
	local mode seed=10
	make_cached pool --cachemode writeback
	for mode in writethrough passthrough writeback passthrough writethrough writeback; do
		l lvchange -y --cachemode $mode vg/data
		check_table "128 2 metadata2 $mode smq 0"
		check "cache_mode" $mode "$(field cache_mode)"
		[[ $(dmsetup status "$cached") == *" $mode "* ]] || fail "status: $(dmsetup status "$cached")"
		seed=$((seed + 1))
		OPS=30 work_on "$dev" $seed
		[[ $mode == writeback ]] && continue
		check "$mode: dirty" 0 "$(dirty)"
		judge "$(sub origin)" --expect-exact
	done
	judge "$dev" --expect-exact
}

test_created_in_mode() {
	local mode
	make_vg
	make_lv data 64M pva
	for mode in writeback writethrough passthrough; do
		make_fast pool 12M
		attach pool --cachemode $mode
		check "table" "$mode" "$(table_words | cut -d' ' -f4)"
		OPS=30 work_on "$dev" 20
		l lvconvert -y --uncache vg/data
	done
}

# What was cached is not believed after writes around it.
test_passthrough() {
	local reads used
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	l lvchange -y --cachemode passthrough vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	used=$(status used)
	reads=$(sectors_read "$(sub origin)")
	check "contents" "1:1024" "$(tags "$dev" 0 1024)"
	check "sectors read from the origin" $((reads + 1024)) "$(sectors_read "$(sub origin)")"
	check "nothing was promoted" "$used" "$(status used)"
	write_tags "$dev" 0 512 2
	check "the origin" "2:512" "$(tags "$(sub origin)" 0 512)"
	check "dirty" 0 "$(dirty)"
	l lvchange -y --cachemode writeback vg/data
	check "contents, writeback" "2:512" "$(tags "$dev" 0 512)"
	check "contents, writeback" "1:1536" "$(tags "$dev" 512 1536)"
}

# A cache that holds dirty data cannot stand aside: LVM writes it back first.
test_passthrough_from_dirty() {
	make_cached vol --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	check_that "dirty" "$(dirty) > 0"
	thaw_slow
	l lvchange -y --cachemode passthrough vg/data
	check "dirty" 0 "$(dirty)"
	check "the origin" "1:2048" "$(tags "$(sub origin)" 0 2048)"
	check "policy" mq "$(field kernel_cache_policy)"
}

test_policies() {
	local name
	make_cached pool --cachemode writeback
	for name in mq smq cleaner s3fifo smq; do
		[[ ! $stock || $name != s3fifo ]] || continue
		l lvchange --cachepolicy $name vg/data
		check "cache_policy" $name "$(field cache_policy)"
		check "kernel_cache_policy" $name "$(field kernel_cache_policy)"
		[[ $(table_words) == *" $name 0" ]] || fail "table: $(table_words)"
		OPS=30 work_on "$dev" 30
	done
	judge "$dev" --expect-exact
	refused "" lvchange --cachepolicy nosuchpolicy vg/data
	check "cache_policy" smq "$(field cache_policy)"
	check "kernel_cache_policy" smq "$(field kernel_cache_policy)"
	OPS=30 work_on "$dev" 31
	judge "$dev" --expect-exact
}

test_created_with_policy() {
	local name mode
	make_vg
	make_lv data 64M pva
	for name in mq cleaner default s3fifo; do
		[[ ! $stock || $name != s3fifo ]] || continue
		make_fast pool 12M
		mode=writeback
		[[ $name != cleaner ]] || mode=writethrough
		attach pool --cachepolicy $name --cachemode $mode
		[[ $(table_words) == *" $name 0" ]] || fail "table: $(table_words)"
		check "dirty after a policy" 0 "$(dirty)"
		make_dirty 0 1024 4
		check "contents" "4:1024" "$(tags "$dev" 0 1024)"
		l lvconvert -y --uncache vg/data
		check "contents, uncached" "4:1024" "$(tags "$dev" 0 1024)"
	done
	make_fast pool 12M
	refused "" lvconvert -y --type cache --cachepool vg/fast --cachepolicy nosuchpolicy vg/data
	check "type" linear "$(field segtype)"
	check "contents" "4:1024" "$(tags "$dev" 0 1024)"
}

test_settings() {
	make_cached pool --cachemode writeback
	l lvchange --cachesettings migration_threshold=4096 vg/data
	check_table "128 2 metadata2 writeback smq 2 migration_threshold 4096"
	check "cache_settings" migration_threshold=4096 "$(field cache_settings)"
	[[ $(field kernel_cache_settings) == *migration_threshold=4096* ]] || fail "$(field kernel_cache_settings)"
	l lvchange --refresh vg/data
	check "cache_settings" migration_threshold=4096 "$(field cache_settings)"
	l lvchange --cachesettings migration_threshold=default vg/data
	check_table "128 2 metadata2 writeback smq 0"
	# What LVM knows that smq has not, it leaves out.
	l lvchange --cachesettings sequential_threshold=9 vg/data
	check_table "128 2 metadata2 writeback smq 0"
	OPS=30 work_on "$dev" 40
	judge "$dev" --expect-exact
}

# With a cachevol, settings reach the policy as they are.
test_settings_of_cachevol() {
	make_cached vol --cachemode writeback
	l lvchange --cachesettings migration_threshold=6000 vg/data
	check_table "128 2 metadata2 writeback mq 2 migration_threshold 6000"
	only_ours "settings of s3fifo"
	l lvchange --cachesettings "small_percent=30" vg/data
	check_table "128 2 metadata2 writeback mq 4 migration_threshold 6000 small_percent 30"
	[[ $(field kernel_cache_settings) == *small_percent=30* ]] || fail "$(field kernel_cache_settings)"
	refused "" lvchange --cachesettings "nosuchsetting=1" vg/data
	check_table "128 2 metadata2 writeback mq 4 migration_threshold 6000 small_percent 30"
	refused "" lvchange --cachesettings "small_percent=1000" vg/data
	check_table "128 2 metadata2 writeback mq 4 migration_threshold 6000 small_percent 30"
	OPS=30 work_on "$dev" 41
	judge "$dev" --expect-exact
	l lvchange -an vg/data
	l lvchange -ay vg/data
	check_table "128 2 metadata2 writeback mq 4 migration_threshold 6000 small_percent 30"
}

# Write-through is a promise that only a new table can take back.
test_mode_by_message() {
	local words
	make_cached pool --cachemode writethrough
	for words in "mode writeback" "cache_mode writeback" "writeback 1" "writeback" "set mode writeback" \
		"features writeback" "policy smq"; do
		# Words are meant to be split.
		# shellcheck disable=SC2086
		fails "message '$words'" dmsetup message "$cached" 0 $words
		[[ $(dmsetup status "$cached") == *" writethrough "* ]] || fail "'$words' made it $(dmsetup status "$cached")"
	done
	write_tags "$dev" 0 64 3
	check "the origin" "3:64" "$(tags "$(sub origin)" 0 64)"
	dmsetup message "$cached" 0 migration_threshold 4000 || fail "a message that is fine"
	[[ $(dmsetup status "$cached") == *" migration_threshold 4000 "* ]] || fail "$(dmsetup status "$cached")"
}
