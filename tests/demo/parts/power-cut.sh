# SPDX-License-Identifier: GPL-2.0-or-later
# The power cut of the demo. Two writers keep a record outside the disks (in /share, on the host) of
# what they were promised: files after fsync returned, transactions after COMMIT returned.
# Afterwards all of it must be there. Sourced by tests/demo/guest.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154  # seed and plant are arguments of guest.sh

fsynced=/share/fsynced.b2sums
ledger=/share/ledger
files_before_cut=40

# Files of 4 to 252 KiB; a line is recorded only when fsync has returned.
write_files() {
	local number=0 name sum
	while true; do
		number=$((number + 1))
		name=$(printf 'files/%04d' $number)
		head -c $(((number * 37 % 63 + 1) * 4096)) /dev/urandom >/tmp/file
		sum=$(b2sum </tmp/file)
		dd if=/tmp/file "of=/mnt/cached/$name" bs=64k conv=fsync 2>/dev/null || return 0
		echo "${sum%% *}  $name" >>$fsynced
	done
}

# sqlite3 runs the SELECT only after COMMIT returned; -bail ends it at the first error. Only
# "synchronous = EXTRA" promises that the last transaction survives: FULL, the default, does not
# sync the directory from which the journal is removed.
write_ledger() {
	awk 'BEGIN {
			print "PRAGMA synchronous = EXTRA;"
			for (i = 1; i <= 100000; i++)
				printf "BEGIN; INSERT INTO ledger VALUES (%d, hex(randomblob(500)));" \
					" COMMIT;\nSELECT %d;\n", i, i
		}' |
		sqlite3 -bail /mnt/cached/ledger.db >$ledger 2>/dev/null || true
}

power_is() { [[ $(</sys/kernel/simdisk/power) == "$1" ]]; }

power() { echo "$*" >/sys/kernel/simdisk/power || failed "simdisk: 'power $*' was refused"; }

write_until_power_cut() {
	local files_writer ledger_writer
	mkdir /mnt/cached/files
	: >$fsynced
	bounded 60 sqlite3 /mnt/cached/ledger.db \
		'CREATE TABLE ledger (id INTEGER PRIMARY KEY, text TEXT);'
	forget_page_cache
	set_speed real
	info "one writer creates files with fsync, another commits transactions;" \
		"the record is kept elsewhere"
	write_files &
	files_writer=$!
	write_ledger &
	ledger_writer=$!
	until_enough_files &
	progress_of $! promised_so_far || failed "only $(promised_so_far) in 240 s"
	dirty_before_cut=$(cache_statistic slots_dirty)
	used_before_cut=$(cache_statistic slots_used)
	# A moment later, when somebody asks for a flush: then something is in the volatile caches.
	power "cut $seed before flush 5"
	wait_until 30 power_is off ||
		failed "expected the power to be off after 30 s, found '$(</sys/kernel/simdisk/power)'"
	info "CUT: $(</sys/kernel/simdisk/reverted) sectors lost from volatile caches," \
		"$(</sys/kernel/simdisk/kept) kept by luck"
	# With all devices dead, both must come to an end.
	wait_until 60 both_ended $files_writer $ledger_writer || {
		echo w >/proc/sysrq-trigger
		failed "the writers still hang 60 s after the cut"
	}
	wait $files_writer $ledger_writer || true
	info "promised before: $(promised_so_far)"
	[[ $(lines_of $ledger) -gt 0 ]] || failed "expected some committed transactions, found none"
}

until_enough_files() {
	local end=$((SECONDS + 240))
	until [[ $(lines_of $fsynced) -ge $files_before_cut ]]; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep 0.1
	done
}

promised_so_far() { echo "$(lines_of $fsynced) files, $(lines_of $ledger) transactions"; }

both_ended() { ! kill -0 "$1" 2>/dev/null && ! kill -0 "$2" 2>/dev/null; }

# What the machine would forget: all above the disks. Nothing of it reaches them, the power is off.
forget_everything() {
	bounded 120 umount /mnt/cached
	bounded 120 dmsetup remove --retry cached
	bounded 60 dmsetup remove --retry ssd-metadata
	bounded 60 dmsetup remove --retry ssd-cache
}

recover_after_power_cut() {
	local line used dirty
	forget_everything
	info "umounted and torn down; power on again"
	power revive
	make_ssd_parts
	create_cache
	info "recovered and usable after $cache_creation_seconds s"
	# From the log, since write-back goes on at once and the status is already past this.
	line=$(dmesg | grep -E 'larder: .*recovered after an unclean stop' | tail -n 1)
	[[ $line =~ ([0-9]+)\ blocks\ cached,\ ([0-9]+)\ of\ them\ dirty ]] ||
		failed "expected the kernel's log to tell of a recovery, found '$line'"
	used=${BASH_REMATCH[1]} dirty=${BASH_REMATCH[2]}
	info "$(printf '%-30s %8s %8s' \
		"blocks of $(($(cache_statistic block_sectors) / 2)) KiB" "in use" dirty)"
	info "$(printf '%-30s %8d %8d' "shortly before the cut" \
		"$used_before_cut" "$dirty_before_cut")"
	info "$(printf '%-30s %8d %8d' "recovered" "$used" "$dirty")"
	# A cache that does not know would have to call everything dirty, or nothing cached.
	[[ $dirty -gt 0 && $dirty -lt $used ]] ||
		failed "expected some dirty blocks and some clean ones, found $dirty dirty of $used"
	set_speed fast
}

check_what_was_promised() {
	bounded 120 mount /dev/mapper/cached /mnt/cached
	bounded 60 umount /mnt/cached
	info "the file system's journal is replayed"
	check_file_system /dev/mapper/cached -fp
	bounded 120 mount /dev/mapper/cached /mnt/cached
	case $plant in
	fsynced) echo "$(b2sum </dev/null | cut -d' ' -f1)  files/never-written" >>$fsynced ;;
	ledger) echo 99999999 >>$ledger ;;
	esac
	check_promises /mnt/cached "through the recovered cache"
	check_tree /mnt/cached "through the recovered cache"
}

# check_file_system DEVICE E2FSCK-OPTION: clean means that e2fsck has nothing to mend.
check_file_system() {
	local output
	output=$(timeout 300 e2fsck "$2" "$1" 2>&1) ||
		failed "e2fsck $2 $1 is not content, exit code $?: $(tail -n 8 <<<"$output")"
	good "e2fsck $2 finds the file system clean"
}

# check_promises ROOT HOW: every file that was fsynced, every transaction that was committed.
check_promises() {
	local wrong answer
	wrong=$(cd "$1" && b2sum --quiet -c $fsynced 2>&1) ||
		failed "fsynced files are not what they were, read $2: $(head -n 5 <<<"$wrong")"
	good "all $(lines_of $fsynced) fsynced files intact, read $2"
	# Immutable where the file system is read-only: sqlite3 could not make its journal.
	answer=$(sqlite3 "file:$1/ledger.db${3:-}" 'PRAGMA integrity_check;' 2>&1) || true
	[[ $answer == ok ]] ||
		failed "sqlite3's integrity check, read $2: expected 'ok', found '$answer'"
	sqlite3 "file:$1/ledger.db${3:-}" 'SELECT id FROM ledger;' | sort >/tmp/ledger.found ||
		failed "the ledger cannot be read $2"
	wrong=$(sort $ledger | comm -23 - /tmp/ledger.found)
	[[ ! $wrong ]] || failed "committed transactions are lost, read $2: $(head -n 5 <<<"$wrong")"
	good "all $(lines_of $ledger) committed transactions there, read $2;" \
		"sqlite3 finds its database intact"
}
