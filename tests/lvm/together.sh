# SPDX-License-Identifier: GPL-2.0-or-later
# Several commands at once.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

test_two_commands() {
	local one two
	make_cached pool --cachemode writeback
	keep_working
	lvchange -y --cachemode writethrough vg/data >"$work/one" 2>&1 &
	one=$!
	lvchange --cachesettings migration_threshold=5000 vg/data >"$work/two" 2>&1 &
	two=$!
	wait $one || fail "the first: $(<"$work/one")"
	wait $two || fail "the second: $(<"$work/two")"
	check_table "128 2 metadata2 writethrough smq 2 migration_threshold 5000"
	lvchange -y --cachemode writeback vg/data >"$work/one" 2>&1 &
	one=$!
	lvextend -L +8M vg/data /dev/pva >"$work/two" 2>&1 &
	two=$!
	wait $one || fail "the first: $(<"$work/one")"
	wait $two || fail "the second: $(<"$work/two")"
	check "sectors" $((72 * 2048)) "$(sectors_of "$dev")"
	check "mode" writeback "$(field cache_mode)"
	end_work
	judge "$dev" --expect-exact
}

# One of them wins, the other says that there is nothing left to do.
test_two_uncache() {
	local one two ok=0
	make_cached vol --cachemode writeback
	freeze_slow
	make_dirty 0 4096 1
	thaw_slow
	lvconvert -y --uncache vg/data >"$work/one" 2>&1 &
	one=$!
	lvconvert -y --uncache vg/data >"$work/two" 2>&1 &
	two=$!
	! wait $one || ok=$((ok + 1))
	! wait $two || ok=$((ok + 1))
	cat "$work/one" "$work/two"
	check "commands that succeeded" 1 "$ok"
	check_uncached
	check "contents" "1:4096" "$(tags "$dev" 0 4096)"
}

test_reports_meanwhile() {
	local reporter
	make_cached pool --cachemode writeback
	(
		until [[ -e $work/stop ]]; do
			dmsetup status >/dev/null && dmsetup table >/dev/null && lvs -a -o +cache_dirty_blocks,kernel_cache_settings vg
		done
	) >"$work/reports" 2>&1 &
	reporter=$!
	work_on "$dev" 95
	l lvchange -y --cachemode writethrough vg/data
	l lvchange --cachepolicy mq vg/data
	l lvchange -y --cachemode writeback vg/data
	l lvconvert -y --splitcache vg/data
	attach pool --cachemode writeback
	l lvconvert -y --uncache vg/data
	touch "$work/stop"
	wait $reporter || true
	! grep -E 'Failed to parse|does not match' "$work/reports" || fail "a report was not understood"
	judge "$dev" --expect-exact
}

# Two caches in one VG, worked on at the same time.
test_two_caches() {
	local worker_of_other
	make_cached pool --cachemode writeback
	make_lv other 64M pvb
	l lvcreate -qq -y -Wn -n fast2 -L 16M vg /dev/pvd
	l lvconvert -y --type cache --cachevol vg/fast2 --cachemode writeback vg/other
	"$BIN/oracle-io" run /dev/vg/other --journal "$work/journal-other" --offset 16M --span 16M --ops 60 \
		--threads 2 --sizes 512..128K --seed 96 &
	worker_of_other=$!
	work_on "$dev" 97
	wait $worker_of_other || fail "the other cache"
	l vgchange -an vg
	l vgchange -ay vg
	judge "$dev" --expect-exact
	"$BIN/oracle-io" verify /dev/vg/other --journal "$work/journal-other" --expect-exact
	l lvconvert -y --uncache vg/other
	l lvconvert -y --uncache vg/data
	judge "$dev" --expect-exact
}
