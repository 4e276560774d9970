#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests of the larder tool against running caches, inside a guest:
#
#   make modules KERNEL=6.12 && make tools
#   tests/vm/run -k 6.12 -- tests/unit/tools/guest-tools.sh
#
# Caches of the module and one of the kernel's own dm-cache are made on RAM disks. The last line is
# "N passed, N failed, 0 skipped".

set -euo pipefail
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR source=../../vm/guest-lib.sh
. "$here/../../vm/guest-lib.sh"
larder=$(realpath "$here/../../../build/bin/larder")
passed=0 failed=0
cd /tmp

# expect NAME CODE PATTERN COMMAND...: it must end with CODE, and its output match PATTERN.
expect() {
	local name=$1 want=$2 pattern=$3 code=0
	shift 3
	timeout 60 "$@" >output 2>&1 || code=$?
	if [[ $code -eq $want ]] && grep -qE -- "$pattern" output; then
		passed=$((passed + 1)) && echo "ok $name"
	else
		failed=$((failed + 1))
		echo "not ok $name: exit code $code (expected $want), or no /$pattern/ in:"
		sed 's/^/#   /;40q' output
	fi
}

# expect_json NAME EXPRESSION COMMAND...: sqlite's JSON functions must find it true; it is d.j there.
expect_json() {
	local name=$1 expression=$2
	shift 2
	"$@" >answer.json || true
	expect "$name" 0 '^1$' sqlite3 :memory: \
		"WITH d(j) AS (SELECT CAST(readfile('answer.json') AS TEXT)) SELECT ($expression) FROM d"
}

table() { echo "0 131072 $1 /dev/ram0 /dev/ram1 /dev/ram2 128 2 metadata2 writeback ${2:-default 0}"; }

modprobe -a dm-mod
expect 'status: no target at all' 66 'There is no active cache' "$larder" status nothing

modprobe brd rd_nr=4 rd_size=65536
load_module dm-larder
dmsetup create plain --table "0 1024 linear /dev/ram3 0"
dmsetup create vg-my--data --table "$(table larder)"
dmsetup create empty --notable

expect 'status: no such device, caches are listed' 66 '^ vg-my--data$' "$larder" status nothing
expect 'status: not a cache' 65 'plain is no cache: it is made of linear' "$larder" status plain
expect 'status: a device without a table' 65 'no table is loaded' "$larder" status empty
expect 'status: a block device that is no cache' 65 'is no device of device mapper' "$larder" status /dev/ram0
expect 'status: only root' 77 'needs root' setpriv --reuid=65534 --clear-groups "$larder" status vg-my--data

dd if=/dev/urandom of=/dev/mapper/vg-my--data bs=64k count=16 oflag=direct status=none
dd if=/dev/mapper/vg-my--data of=/dev/null bs=64k count=16 iflag=direct status=none
expect 'status: a running cache' 0 '^health +ok$' "$larder" status vg-my--data
expect 'status: its mode' 0 '^mode +writeback$' "$larder" status vg-my--data
expect 'status: its hits' 0 '^reads +[1-9][0-9]* hits, .*% hits\)$' "$larder" status vg-my--data
expect 'status: its counts' 0 '^  commits  ' "$larder" status vg-my--data
expect 'status: the statistics of its policy' 0 '^  ghost_hits  ' "$larder" status vg-my--data
expect 'status: by LVM name' 0 '^device +vg-my--data ' "$larder" status vg/my-data
expect 'status: by path' 0 '^device +vg-my--data ' "$larder" status /dev/mapper/vg-my--data
expect_json 'status: as JSON' "j ->> 'health' = 'ok' AND j ->> 'mode' = 'writeback' AND
	j ->> 'chunks_used' >= 16 AND j -> 'stats' ->> 'slots' > 0 AND j ->> 'read_hits' > 0 AND
	j ->> 'target' = 'larder' AND j ->> 'sectors' = 131072" "$larder" status --json vg-my--data
dmsetup message vg-my--data 0 small_percent 20
expect 'status: a setting that was changed' 0 '^policy .*small_percent=20' "$larder" status vg-my--data
dmsetup message vg-my--data 0 small_percent 10

expect 'check: a cache in use' 0 'note: /dev/ram0 is in use by dm-' "$larder" check /dev/ram0
dmsetup suspend vg-my--data
expect 'status: suspended' 0 ', suspended\)$' "$larder" status vg-my--data
expect 'check: a suspended cache' 0 '^/dev/ram0: ok$' "$larder" check /dev/ram0
dmsetup resume vg-my--data
dmsetup remove vg-my--data
expect_json 'check: after an orderly stop' "j ->> 'result' = 'ok' AND j ->> 'clean_stop' AND
	NOT j ->> 'in_use' AND j ->> 'slots_used' >= 16" "$larder" check --json /dev/ram0
expect 'dump: a block device' 0 '<slot number="[0-9]+" block="0" valid="0xf" dirty="0x0"' "$larder" dump /dev/ram0

# The kernel's own, which does not answer "stats".
dmsetup remove_all
rmmod dm-larder
modprobe dm-cache && modprobe dm-cache-smq
dd if=/dev/zero of=/dev/ram0 bs=4096 count=1 oflag=direct status=none
dmsetup create stock --table "$(table cache 'smq 0')"
expect 'status: dm-cache' 0 '^statistics +none' "$larder" status stock
expect_json 'status: dm-cache as JSON' "j ->> 'policy' = 'smq' AND j ->> 'stats' IS NULL" "$larder" status --json stock
# The same chunks again and again, until it has taken some of them in.
for ((round = 0; round < 60; round++)); do
	dd if=/dev/urandom of=/dev/mapper/stock bs=64k count=16 seek=$((round % 3 * 100)) oflag=direct conv=notrunc status=none
	read -r _ _ _ _ _ _ _ _ _ _ _ _ _ stock_dirty _ < <(dmsetup status stock)
	((stock_dirty < 20)) || break
done
# From now on nothing is written back.
dmsetup message stock 0 migration_threshold 0
for round in 0 100 200; do
	dd if=/dev/urandom of=/dev/mapper/stock bs=64k count=16 seek=$round oflag=direct conv=notrunc status=none
done
expect 'restore: not onto a device in use' 73 'cannot write /dev/ram0: it is in use' "$larder" restore -i /dev/null -o /dev/ram0
expect 'repair: not from a device in use' 66 'is in use by' "$larder" repair -i /dev/ram0 -o /tmp/new.bin
stock_sum=$(md5sum </dev/mapper/stock)
dmsetup remove stock
expect 'check: metadata of dm-cache' 65 'found: dm-cache' "$larder" check /dev/ram0
expect 'dump: metadata of dm-cache' 65 'found: dm-cache' "$larder" dump /dev/ram0

# A dm-cache becomes a larder: the data stays where it is, on the origin and on the SSD.
cache_dump /dev/ram0 >stock.xml
expect 'restore: XML of a dm-cache' 0 'the origin is taken to have' "$larder" restore -i stock.xml -o /dev/ram0
stock_dirty=$(grep -c 'dirty="true"' stock.xml || true)
expect 'dm-cache: had dirty blocks' 0 '^[1-9]' echo "$stock_dirty"
expect_json 'check: what was restored' "j ->> 'result' = 'ok' AND j ->> 'slots_dirty' = 4 * $stock_dirty" "$larder" check --json /dev/ram0
rmmod dm-cache-smq dm-cache
load_module dm-larder
dmsetup create converted --table "$(table larder 's3fifo 0')"
expect 'restore: the larder has what the dm-cache had' 0 "^${stock_sum%% *} " md5sum /dev/mapper/converted
dmsetup remove converted
expect 'repair: from one device to another' 0 'slots salvaged' "$larder" repair -i /dev/ram0 -o /dev/ram3
dmsetup create converted --table "0 131072 larder /dev/ram3 /dev/ram1 /dev/ram2 128 2 metadata2 writeback cleaner 0"
expect 'repair: the data is there' 0 "^${stock_sum%% *} " md5sum /dev/mapper/converted
for ((round = 0; round < 300; round++)); do
	read -r _ _ _ _ _ _ _ _ _ _ _ _ _ dirty _ < <(dmsetup status converted)
	[[ $dirty -gt 0 ]] || break
	sleep 0.2
done
dmsetup remove converted
expect 'repair: the cleaner brings all of it home' 0 "^${stock_sum%% *} " md5sum /dev/ram2

echo "$passed passed, $failed failed, 0 skipped"
[[ $failed -eq 0 ]]
