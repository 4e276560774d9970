# SPDX-License-Identifier: GPL-2.0-or-later
# Stops and power cuts: what is dirty stays, what is warm stays, nothing else becomes dirty; and the tools
# that LVM runs in between.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

test_clean_stop() {
	local reads
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	l lvchange -an vg/data
	check "a check at the stop" 1 "$(grep -c '^cache_check .*vg-fast_cpool_cmeta = 0' "$work/tools.log")"
	rm "$work/tools.log"
	l lvchange -ay vg/data
	check "a check at the start" 1 "$(grep -c '^cache_check .*vg-fast_cpool_cmeta = 0' "$work/tools.log")"
	check "dirty" 16 "$(dirty)"
	reads=$(sectors_read "$(sub origin)")
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	check "sectors read from the origin" "$reads" "$(sectors_read "$(sub origin)")"
	thaw_slow
	l lvconvert -y --uncache vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
}

test_vgchange() {
	local before
	make_cached vol --cachemode writeback
	work_on "$dev" 80
	freeze_slow
	make_dirty 0 2048 1
	before=$(dirty)
	l vgchange -an vg
	! compgen -G '/sys/block/dm-*' || fail "devices are left"
	l vgchange -ay vg
	check_that "dirty" "$before >= 16"
	check "dirty" "$before" "$(dirty)"
	check "a check of the cachevol" 2 "$(grep -c '^cache_check .*vg-fast_cvol-cmeta = 0' "$work/tools.log")"
	thaw_slow
	judge "$dev" --expect-exact
}

test_refresh() {
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 2048 1
	l lvchange --refresh vg/data
	l vgchange --refresh vg
	check "dirty" 16 "$(dirty)"
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	thaw_slow
}

# cut_under_work MODE SEED
cut_under_work() {
	local code=0
	power "cut $2 after ${3:-400} moods"
	(
		seed=$2
		while :; do
			seed=$((seed + 1))
			work_on "$dev" $seed
		done
	) >"$work/load.log" 2>&1 || code=$?
	[[ $code != 0 ]] || fail "the power did not go"
	wait_until 30 power_is_off || fail "the power did not go: $(tail -n 3 "$work/load.log")"
	drop_devices || fail "devices stay when the power is gone"
	rm -rf /dev/vg
	power revive
	l vgchange -ay vg
	"$BIN/oracle-io" verify "$dev" --journal "$work/journal" --reread 2 || fail "after the cut: contents are wrong"
}

test_power_cut() {
	local what
	for what in pool vol; do
		clean_up
		rm -f "$work/journal"
		make_cached $what --cachemode writeback
		work_on "$dev" 1
		cut_under_work writeback 101
		cut_under_work writeback 202 700
		l lvconvert -y --uncache vg/data
		judge "$dev"
	done
}

test_power_cut_writethrough() {
	make_cached pool --cachemode writethrough
	work_on "$dev" 1
	cut_under_work writethrough 303
	cut_under_work writethrough 404 700
	check "dirty" 0 "$(dirty)"
	judge "$(sub origin)"
}

# Dirty is what was dirty.
test_dirty_after_power_cut() {
	make_cached pool --cachemode writeback
	make_dirty 0 4096 1
	l lvchange -y --cachemode writethrough vg/data
	l lvchange -y --cachemode writeback vg/data
	freeze_slow
	make_dirty 8192 1024 2
	check "dirty" 8 "$(dirty)"
	power_cut 7
	freeze_slow
	l lvchange -ay vg/data
	check "contents" "1:4096" "$(tags "$dev" 0 4096)"
	check "contents" "2:1024" "$(tags "$dev" 8192 1024)"
	only_ours "dirty counts after a power cut"
	check "dirty after the cut" 8 "$(dirty)"
	thaw_slow
}

# Nothing was dirty: no rounds of the flush, not one write to the slow disk.
test_uncache_after_power_cut() {
	only_ours "dirty counts after a power cut"
	make_cached pool --cachemode writeback
	make_dirty 0 8192 1
	l lvchange -y --cachemode writethrough vg/data
	l lvchange -y --cachemode writeback vg/data
	tags "$dev" 0 8192
	power_cut 8
	l lvchange -ay vg/data
	check "dirty after the cut" 0 "$(dirty)"
	reset_stats pva
	l lvconvert -y --uncache vg/data
	check "rounds of the flush" 0 "$(grep -c 'Flushing [1-9]' "$work/out" || true)"
	check "sectors written to the slow disk" 0 "$(disk_stat pva write_sectors)"
	check "contents" "1:8192" "$(tags "$dev" 0 8192)"
}

# The power goes while LVM itself is at work; whatever state that leaves, the data is there.
test_power_cut_during_command() {
	local n
	only_ours "power cuts in the middle of a flush"
	for n in 10 60 150; do
		clean_up
		make_cached pool --cachemode writeback
		freeze_slow
		make_dirty 0 4096 1
		thaw_slow
		power "cut $n after $n"
		bounded lvconvert -y --uncache vg/data || true
		[[ $(<"$SIMDISK/power") == off ]] || power "cut $n"
		drop_devices || fail "devices stay when the power is gone"
		rm -rf /dev/vg
		power revive
		l vgchange -ay vg
		check "cut after $n: contents" "1:4096" "$(tags "$dev" 0 4096)"
		[[ $(field segtype) == linear ]] || l lvconvert -y --uncache vg/data
		check "cut after $n: contents, uncached" "1:4096" "$(tags "$dev" 0 4096)"
	done
}
