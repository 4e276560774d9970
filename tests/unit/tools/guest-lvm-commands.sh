#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests of the larder tool's LVM commands against a real LVM, inside a guest:
#
#   make modules KERNEL=6.12 && make tools
#   tests/vm/run -k 6.12 -- tests/unit/tools/guest-lvm-commands.sh
#
# The origin is on a simulated disk whose writes can be made to fail: a flush lasts as long as a test
# wants. LARDER_MODULES and LARDER_TOOL name other builds. The last line is "N passed, N failed, 0 skipped".

set -euo pipefail
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR source=../../vm/guest-lib.sh
. "$here/../../vm/guest-lib.sh"
repo=$(realpath "$here/../../..")
tool=${LARDER_TOOL:-$repo/build/bin/larder}
passed=0 failed=0
# for dmsetup: no udev runs
export DM_DISABLE_UDEV=1
cd /tmp

# expect NAME CODE PATTERN COMMAND...: it must end with CODE, and its output match PATTERN.
expect() {
	local name=$1 want=$2 pattern=$3 code=0
	shift 3
	timeout 120 "$@" >output 2>&1 || code=$?
	judge "$name" "$want" "$pattern" "$code"
}

judge() {
	if [[ $4 -eq $2 ]] && { [[ ! $3 ]] || grep -qE -- "$3" output; }; then
		passed=$((passed + 1)) && echo "ok $1"
	else
		failed=$((failed + 1))
		echo "not ok $1: exit code $4 (expected $2), or no /$3/ in:"
		sed 's/^/#   /;40q' output
		dmesg | tail -n 5 | sed 's/^/#   | /'
	fi
}

# expect_json NAME EXPRESSION COMMAND...: sqlite's JSON functions must find it true; it is d.j there.
expect_json() {
	local name=$1 expression=$2
	shift 2
	timeout 120 "$@" >answer.json || true
	expect "$name" 0 '^1$' sqlite3 :memory: \
		"WITH d(j) AS (SELECT CAST(readfile('answer.json') AS TEXT)) SELECT ($expression) FROM d"
	[[ $(<output) == 1 ]] || sed 's/^/#   /' answer.json
}

# lvs_has NAME PATTERN COLUMNS LV
lvs_has() { expect "$1" 0 "$2" lvs -a --noheadings -o "$3" "$4"; }
dirty_of() { dmsetup status --noflush "$1" | cut -d' ' -f14; }
is_clean() { [[ $(dirty_of "$1") == 0 ]]; }
freeze() { echo 'add 0 0 w EIO' >/sys/block/pva/simdisk/errors; }
thaw() { echo clear >/sys/block/pva/simdisk/errors; }

# --- a host with an LVM, and the tools as make install puts them ---

# modprobe finds our module beside those of the kernel that matter here.
with_our_module() {
	local from to=/tmp/modules
	from=/lib/modules/$(uname -r)
	mkdir -p "$to$from/extra" "$to$from/kernel/drivers"
	cp -r "$from/kernel/lib" "$to$from/kernel/"
	cp -r "$from/kernel/drivers/md" "$from/kernel/drivers/block" "$to$from/kernel/drivers/"
	cp "$from"/modules.{builtin,order}* "$to$from/"
	cp "$(module_dir)/dm-larder.ko" "$to$from/extra/"
	depmod -b "$to" "$(uname -r)"
	modprobe -a dm-mod libcrc32c 2>/dev/null || modprobe dm-mod
	mount --bind "$to$from" "$from"
}

set_up() {
	! pidof systemd-udevd >/dev/null || udevadm control --exit
	wait_until 20 eval '! pidof systemd-udevd >/dev/null' || guest_die "udevd does not end"
	cp "$repo/lvm-integration/modprobe.conf" /etc/modprobe.d/dm-larder.conf
	mkdir -p /usr/local/bin /usr/local/libexec/dm-larder
	ln -sfn "$tool" /usr/local/bin/larder
	ln -sfn "$tool" /usr/local/libexec/dm-larder/cache_check
	ln -sfn "$tool" /usr/local/libexec/dm-larder/cache_repair
	cat >/etc/lvm/lvm.conf <<-END
		devices { filter = [ "a|^/dev/pv[a-z]\$|", "r|.*|" ] use_devicesfile = 0
			obtain_device_list_from_udev = 0 external_device_info_source = "none" }
		global { event_activation = 0 use_lvmpolld = 0
			cache_check_executable = "/usr/local/libexec/dm-larder/cache_check"
			cache_repair_executable = "/usr/local/libexec/dm-larder/cache_repair" }
		activation { monitoring = 0 udev_sync = 0 udev_rules = 0 }
		backup { backup = 0 archive = 0 }
	END
	modprobe -a dm-mod
	with_our_module
	modprobe brd rd_nr=3 rd_size=16384
	load_module simdisk
	load_module dm-larder
	echo 'name=pva size=256M fast=1 type=hdd discard=1' >/sys/kernel/simdisk/add
	echo 'name=pvb size=128M fast=1 type=ssd' >/sys/kernel/simdisk/add
	wait_until 10 test -b /dev/pva -a -b /dev/pvb
	pvcreate -qq --metadatacopies 0 /dev/pva
	pvcreate -qq /dev/pvb
	vgcreate -qq -s 1M vg /dev/pva /dev/pvb
}

test_create() {
	expect 'create: no such volume, no size' 66 'no volume vg/data: --size makes it' larder create vg/data --cache-pv /dev/pvb
	expect 'create: a PV that is none' 66 'no physical volume' larder create vg/data --cache-pv /dev/ram0 --size 64m
	expect 'create: a volume and its cache' 0 '^vg/data: cached by vg/data_larder$' \
		larder create vg/data --cache-pv /dev/pvb --size 64m --cache-size 32m --mode writeback --set small_percent=20 --chunk-size 64k
	lvs_has 'create: as LVM sees it' 'cache +writeback +s3fifo +small_percent=20' segtype,cache_mode,cache_policy,cache_settings vg/data
	lvs_has 'create: the origin is not on the SSD' '/dev/pva' devices vg/data_corig
	expect 'create: the setting is in the kernel' 0 'small_percent 20' dmsetup status vg-data
	expect 'create: once only' 65 'has a cache already' larder create vg/data --cache-pv /dev/pvb
	expect 'status: a volume of LVM' 0 '^health +ok$' larder status vg/data
	expect 'list: a volume of LVM' 0 '^vg/data +cachepool +writeback +s3fifo .* ok$' larder list
	dmsetup create bare --table '0 32768 larder /dev/ram0 /dev/ram1 /dev/ram2 128 1 writethrough s3fifo 0'
	expect_json 'list: as JSON' "json_array_length(j -> 'caches') = 2 AND j ->> '$.caches[1].kind' = 'dmsetup' AND j ->> '$.caches[0].name' = 'vg/data' AND
		j ->> '$.caches[0].chunk_sectors' = 128 AND j ->> '$.caches[0].target' = 'cache'" larder list --json
	dmsetup remove bare
	lvcreate -qq -y -Wn -n low -L 64M vg /dev/pva
	expect 'create: what was made is gone when the rest fails' 1 'LVM did not do it' larder create vg/low --cache-pv /dev/pvb --cache-size 100m
	expect 'create: ... all of it' 1 '' bash -c 'lvs -a --noheadings -o lv_name vg | grep low_larder'
}

test_set() {
	expect 'set: a setting' 0 'runs with policy s3fifo' larder set vg/data --set small_percent=30
	expect 'set: ... is in the kernel' 0 'small_percent 30' dmsetup status vg-data
	expect 'set: a setting out of range' 1 'LVM did not do it' larder set vg/data --set small_percent=200
	expect 'set: ... changes nothing' 0 'small_percent 30' dmsetup status vg-data
	expect 'set: no such policy' 64 "no policy 'lru'" larder set vg/data --policy lru
	expect 'set: the mode' 0 '' larder set vg/data --mode writethrough
	lvs_has 'set: ... as LVM sees it' 'writethrough' cache_mode vg/data
	expect 'set: and back' 0 '' larder set vg/data --mode writeback
	expect 'set: a policy' 0 'runs with policy cleaner' larder set vg/data --policy cleaner
	expect 'set: ... and back' 0 'runs with policy s3fifo' larder set vg/data --policy s3fifo
	expect 'set: no cache' 65 'vg/low has no cache: it is linear' larder set vg/low --mode writeback
	vgchange -qq -an vg && vgchange -qq -ay vg
	expect 'set: all of it is still there after a new start' 0 'writeback .*s3fifo' dmsetup table vg-data
}

make_dirty() {
	dd if=/dev/urandom of="/dev/$1" bs=64k count="$2" oflag=direct status=none
	! is_clean "${1/\//-}" || guest_die "nothing is dirty in $1"
}

test_interrupted() {
	local job sum
	freeze
	make_dirty vg/data 60
	sum=$(head -c 4M /dev/vg/data | md5sum)
	larder detach vg/data >output 2>&1 &
	job=$!
	wait_until 30 grep -q 'dirty chunks left' output || echo '# no progress was told'
	# shellcheck disable=SC2016  # for eval
	wait_until 30 eval '[[ $(dmsetup table vg-data) == *cleaner* ]]' || echo '# LVM does not flush'
	kill -TERM $job
	code=0 && wait $job || code=$?
	judge 'detach: interrupted' 75 'keeps its cache as it was' $code
	judge 'detach: ... told how much is left' 75 'vg/data: [0-9]+ dirty chunks left \([0-9.]+ MiB\)' $code
	lvs_has 'detach: ... the cache is there' 'cache +writeback +s3fifo' segtype,cache_mode,cache_policy vg/data
	expect 'detach: ... with its policy' 0 's3fifo' dmsetup table vg-data
	expect 'detach: ... and all that is dirty' 0 "^${sum%% *} " bash -c 'head -c 4M /dev/vg/data | md5sum'
	thaw
	expect 'detach: done' 0 '^vg/data: has no cache any more$' larder detach vg/data
	expect 'detach: ... the data is on the origin' 0 "^${sum%% *} " bash -c 'head -c 4M /dev/vg/data | md5sum'
	lvs_has 'detach: ... it is a plain volume' 'linear' segtype vg/data
	expect 'detach: no cache any more' 65 'has no cache' larder detach vg/data
}

test_attach() {
	expect 'attach: nobody says yes' 1 'nobody can be asked' larder attach vg/data --cachepool data_larder </dev/null
	expect 'attach: a pool' 0 'cached by vg/data_larder' larder attach vg/data --cachepool data_larder --yes
	expect 'attach: the policy, unasked' 0 's3fifo' dmsetup table vg-data
	expect 'detach: with the pool' 0 '' larder detach --remove vg/data
	expect 'detach: ... which is gone' 1 '' bash -c 'lvs -a --noheadings -o lv_name vg | grep data_larder'
	expect 'create: all that is free' 0 'cached by vg/low_larder' larder create vg/low --cache-pv /dev/pvb
	expect 'create: ... is used' 0 '^ *0 *$' pvs --noheadings --units m --nosuffix -o pv_free /dev/pvb
	expect 'status: under a snapshot' 0 '^device +vg-low-real ' bash -c 'lvcreate -qq -y -s -n snap -L 8M vg/low /dev/pva && larder status vg/low'
	lvremove -qq -y vg/snap
	expect 'detach: all of it' 0 '' larder detach --remove vg/low
}

test_cachevol() {
	lvcreate -qq -y -Wn -n fast -L 32M vg /dev/pvb
	expect 'cachevol: not as a pool' 65 'no cache pool: it is linear' larder attach vg/data --cachepool fast --yes
	expect 'cachevol: a cache' 0 '' larder create vg/data --cachevol fast --mode writeback --policy cleaner --yes
	lvs_has 'cachevol: ... as LVM sees it' 'writeback +policy_cleaner=1' cache_mode,cache_settings vg/data
	expect 'cachevol: its policy arrives' 0 '"policy":"cleaner"' dmsetup message vg-data 0 stats
	expect 'cachevol: another one' 0 'runs with policy s3fifo' larder set vg/data --policy s3fifo --set small_percent=20
	expect 'cachevol: ... runs' 0 '"policy":"s3fifo"' dmsetup message vg-data 0 stats
	vgchange -qq -an vg && vgchange -qq -ay vg
	expect 'cachevol: ... after a new start, too' 0 '"policy":"s3fifo"' dmsetup message vg-data 0 stats
	expect 'cachevol: ... with its setting' 0 'small_percent 20' dmsetup status vg-data
	expect 'cachevol: the host decides again' 0 '' larder set vg/data --policy default
	expect 'cachevol: ... no choice is left' 1 '' bash -c 'dmsetup table vg-data | grep policy_'
	lvchange -qq -y --cachesettings 'policy_cleaner=1' --cachesettings 'policy_s3fifo=1' vg/data && code=0 || code=$?
	echo "$code" >output && judge 'cachevol: two policies are refused' 0 '^[1-9]' 0
	expect 'doctor: all is well' 0 '0 errors, 0 warnings' larder doctor
	expect_json 'doctor: as JSON' "j ->> 'result' = 'ok' AND j ->> 'errors' = 0" larder doctor --json
	make_dirty vg/data 20
	expect 'detach: a cache volume that is dirty' 0 'no cache any more' larder detach vg/data
	lvs_has 'detach: ... the volume is there' 'linear' segtype vg/fast
}

test_doctor() {
	mv /etc/modprobe.d/dm-larder.conf /tmp
	expect 'doctor: aliases are missing' 1 'error +alias: modprobe dm-cache-smq loads something else' larder doctor
	mv /tmp/dm-larder.conf /etc/modprobe.d/
	ln -sfn /usr/sbin/pdata_tools /usr/local/libexec/dm-larder/cache_check
	expect 'doctor: cache_check is of dm-cache' 1 'global/cache_check_executable is .* not larder' larder doctor
	ln -sfn "$tool" /usr/local/libexec/dm-larder/cache_check
	rmmod dm-larder
	modprobe -C /dev/null dm-cache-smq
	expect 'doctor: the kernel has its own' 1 "the kernel's own dm-cache, version" larder doctor
	expect 'doctor: ... stale modules' 1 'the module dm_cache is loaded' larder doctor
	expect 'attach: not with the kernel own' 69 'is not dm-larder' larder attach vg/data --cachevol fast --yes
}

set_up
for test in create set interrupted attach cachevol doctor; do
	"test_$test"
done
echo "$passed passed, $failed failed, 0 skipped"
[[ $failed -eq 0 ]]
