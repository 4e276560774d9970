# SPDX-License-Identifier: GPL-2.0-or-later
# What happens to an initiator at work when something happens below the export.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

# serve: the cached LV by iSCSI, $lun is the initiator's disk.
serve() {
	make_cached_lv
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator
	login
	find_lun
}
sessions() { iscsiadm -m session 2>/dev/null | wc -l; }
is_running() { [[ $(cat "/sys/block/${lun##*/}/device/state") == running ]]; }
is_over() { ! kill -0 "$1" 2>/dev/null; }

# A session whose initiator gives up after five seconds outlives a longer pause.
test_suspend() {
	local worker code=0
	serve
	work_on "$lun" 1
	dmsetup suspend "$cached"
	work_on "$lun" 2 &
	worker=$!
	sleep 8
	! is_over $worker || fail "I/O ends while the device is suspended"
	dmsetup resume "$cached"
	wait $worker || code=$?
	check "I/O after the pause" 0 $code
	check "sessions" 1 "$(sessions)"
	judge "$lun" --expect-exact
	path_works "$lun"
}

# LVM suspends, loads other tables and resumes: initiators notice nothing.
test_changes_of_the_cache() {
	local i
	serve
	dev=$lun keep_working
	for i in writethrough passthrough writeback; do
		l lvchange -y --cachemode $i vg/data
	done
	l lvchange --cachepolicy s3fifo --cachesettings small_percent=20 vg/data || true
	l lvconvert -y --splitcache vg/data
	attach vol --cachemode writeback
	sleep 2
	dev=$lun end_work
	judge "$lun" --expect-exact
	judge "$dev" --expect-exact
	check "sessions" 1 "$(sessions)"
}

test_grows() {
	local before
	serve
	before=$(sectors_of "$lun")
	dev=$lun keep_working
	l lvextend -L +32M vg/data
	check "size of the LV" $((before + 65536)) "$(sectors_of "$dev")"
	check "READ CAPACITY" $((before + 65536)) "$(sg_readcap --16 "$lun" | sed -nE 's/.*Number of logical blocks=([0-9]+).*/\1/p')"
	l iscsiadm -m session --rescan
	wait_until 20 eval "[[ \$(sectors_of $lun) == $((before + 65536)) ]]" || fail "the initiator does not see it"
	dev=$lun end_work
	judge "$lun" --expect-exact
	write_tags "$lun" "$before" 2048 9 128
	check "behind the old end" "9:2048" "$(tags "$dev" "$before" 2048)"
}

test_grows_nvme() {
	local before
	make_cached_lv
	export_it --fabric nvme-tcp --portal 127.0.0.1 --any-initiator
	l larder save
	modprobe nvme-tcp
	l nvme connect -t tcp -a 127.0.0.1 -s 4420 -n "$(basename "$(compgen -G "$nvmet/subsystems/*")")"
	find_nvme
	before=$(sectors_of "$lun")
	l lvextend -L +32M vg/data
	l larder restore --exports vg/data
	wait_until 30 eval "[[ \$(sectors_of $lun) == $((before + 65536)) ]]" || fail "the host is not told: $(sectors_of "$lun")"
	write_tags "$lun" "$before" 2048 9 128
	check "behind the old end" "9:2048" "$(tags "$dev" "$before" 2048)"
}

# The slow disk refuses to read what is not cached: an error at once, and nothing else is lost.
test_origin_errors() {
	serve
	write_tags "$lun" 0 2048 4 128
	flush "$lun"
	echo "add 2048 0 r EIO" >/sys/block/pva/simdisk/errors
	fails "a read of what cannot be read" dd if="$lun" of=/dev/null bs=4k count=1 skip=12000 iflag=direct
	check "sessions" 1 "$(sessions)"
	is_running || fail "the initiator has taken the disk off line"
	echo clear >/sys/block/pva/simdisk/errors
	dd if="$lun" of=/dev/null bs=4k count=1 skip=12000 iflag=direct status=none || fail "errors stay"
	check "contents" "4:2048" "$(tags "$lun" 0 2048)"
	path_works "$lun"
}

# The table of the device is one that fails everything, and comes back.
test_error_table() {
	local table
	make_cache
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator
	login
	find_lun
	path_works "$lun"
	table=$(dmsetup table cache)
	dmsetup suspend cache
	dmsetup load cache --table "0 $(sectors_of "$exported") error"
	dmsetup resume cache
	fails "a read" dd if="$lun" of=/dev/null bs=4k count=1 iflag=direct
	fails "a write" dd if=/dev/zero of="$lun" bs=4k count=1 oflag=direct
	check "sessions" 1 "$(sessions)"
	dmsetup suspend cache
	dmsetup load cache --table "$table"
	dmsetup resume cache
	judge "$lun" --expect-exact
	judge "$exported" --expect-exact
}

# Exports are taken away under work: commands end with an error, or have been done; nothing hangs.
test_unexport_at_work() {
	local worker
	serve
	"$BIN/io-load" "$lun" rw=write bs=16384 qd=16 n=0 t=60 seed=3 >"$work/load" 2>&1 &
	worker=$!
	sleep 3
	refused "" larder unexport vg/data
	grep -q "$initiator is logged in" "$work/out" || fail "does not say who is there: $(<"$work/out")"
	l larder unexport --drain vg/data
	is_unexported "at work"
	wait_until 60 is_over $worker || fail "the load hangs"
	keep_awake
	timeout 60 iscsiadm -m node -u || true
	path_works "$dev" "$dev"
}

# A device that does not answer keeps what is exported as it is, and the initiator's work with it.
test_drain_of_a_suspended_device() {
	local worker before code=0
	serve
	before=$(tree)
	dmsetup suspend "$cached"
	work_on "$lun" 1 &
	worker=$!
	sleep 3
	refused "nothing is taken away" larder unexport --drain --timeout 3 vg/data
	same_tree "configfs" "$before"
	dmsetup resume "$cached"
	wait $worker || code=$?
	check "I/O after the pause" 0 $code
	judge "$lun" --expect-exact
	logout
	unexport_it
}
