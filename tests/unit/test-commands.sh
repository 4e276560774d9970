#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests of larder's LVM commands with a fake LVM and a fake kernel: what is run, with which words, and what
# becomes of answers that nobody should give. The tool is built with a root of its own, below which it
# looks for every program and file, and with the address and undefined-behaviour sanitizers.
#
# usage: tests/unit/test-commands.sh
#
# The last line is "N passed, N failed, 0 skipped".

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools/lib.sh
. "$(dirname "$0")/tools/lib.sh"
case ${1:-} in
-h | --help) print_help && exit 0 ;;
?*) die "unknown argument '$1': see --help" ;;
esac
need python3=python3 cache_restore=thin-provisioning-tools
cache_restore=$(command -v cache_restore)
build=$tree/build/unit/commands
root=$build/root
shown+=("$root/calls")
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
mkdir -p "$build"
cd "$build"

build_all() {
	local objects
	CPPFLAGS="-DLARDER_ROOT='\"$root\"'" build_larder
	find_objects 'kernel*'
	sanitized_cc "-DLARDER_ROOT=\"$root\"" -o larder "$tree/tests/unit/tools/fake-kernel.c" "${objects[@]}" "${larder_libraries[@]}"
	sanitized_cc -o flush-pace "$tree/tests/unit/tools/flush-pace.c" "$tree/userland/flush-pace.c"
}

larder() {
	: >"$root/calls"
	"$build/larder" "$@" </dev/null
}

# called NAME LINE: the last command has called exactly this; not_called NAME PATTERN.
called() { if grep -qxF -- "$2" "$root/calls"; then pass "$1"; else fail "$1" "not called: $2"; fi; }
not_called() { if grep -qE -- "$2" "$root/calls"; then fail "$1" "called: $2"; else pass "$1"; fi; }

answer() { cat >"$root/answers/$1"; }

# row NAME SEGTYPE POOL [KEY=VALUE...]: of lvs, as JSON.
row() {
	local word text
	text="{\"vg_name\":\"vg\",\"lv_name\":\"$1\",\"segtype\":\"$2\",\"pool_lv\":\"$3\",\"lv_size\":\"131072\""
	for word in "${@:4}"; do
		text+=",\"${word%%=*}\":\"${word#*=}\""
	done
	echo "$text}"
}

lvs_are() {
	local IFS=,
	echo "{\"report\":[{\"lv\":[$*]}]}" | answer lvs.out
}

status='8 72/1280 128 10/960 1 2 3 4 5 6 40 1 writeback 2 migration_threshold 2048 s3fifo 0 rw -'
stats='{"version":"1.0.0","policy":"s3fifo","block_sectors":128}'

# device NAME TYPE UUID STATUS TABLE STATS [MAJOR:MINOR]
device() { printf '%s\n' "$2" "$3" 131072 "$4" "$5" "$6" "${7:-254:99}" >"$root/dm/$1"; }

# A host where all is well: vg/data is cached by a pool, vg/vol by a volume, vg/plain and vg/fast are free.
well() {
	rm -rf "$root"
	mkdir -p "$root"/{answers,dm,usr/sbin,usr/bin,boot,sys/module,sys/dev/block/7:{0,1,2},libexec}
	cp "$tree/tests/unit/tools/fake-lvm" "$root/usr/sbin/lvm"
	cp "$tree/tests/unit/tools/fake-lvm" "$root/usr/sbin/modprobe"
	cp "$tree/tests/unit/tools/fake-lvm" "$root/usr/bin/lsinitramfs"
	printf 'larder 1.0.0\ncache 2.100.0\n' >"$root/dm/versions"
	device vg-data cache LVM-x "$status" "7:0 7:1 7:2 128 1 writeback s3fifo 0" "$stats"
	device vg-opt cache LVM-z "$status" "7:0 7:1 7:2 128 1 writeback s3fifo 0" "$stats"
	device vg-vol cache LVM-y "${status/s3fifo/mq}" "7:0 7:1 7:2 128 1 writeback mq 0" "$stats"
	lvs_are "$(row data cache '[pool_cpool]' cache_mode=writeback cache_policy=s3fifo)" "$(row '[pool_cpool]' cache-pool '')" \
		"$(row vol cache '[fast_cvol]' cache_mode=writeback cache_policy=cleaner cache_settings=policy_cleaner=1,x=2)" \
		"$(row '[fast_cvol]' linear '')" "$(row opt cache '[pool_cpool]' cache_policy=s3fifo 'cache_settings=x=1,y=2,migration_threshold=4096')" "$(row plain linear '')" "$(row fast linear '' devices='/dev/ssd(0)')" \
		"$(row free cache-pool '')"
	echo '{"report":[{"pv":[{"pv_name":"/dev/slow","vg_name":"vg"},{"pv_name":"/dev/ssd","vg_name":"vg"},
		{"pv_name":"/dev/other","vg_name":"wg"}]}]}' | answer pvs.out
	echo 'insmod /lib/modules/x/extra/dm-larder.ko' | answer modprobe.out
	echo '  LVM version:     2.03.31(2) (2025-02-27)' | answer version.out
	printf 'cache_check_executable="/libexec/cache_check"\ncache_repair_executable="/libexec/cache_repair"\n' |
		answer lvmconfig.out
	ln -s "$build/larder" "$root/libexec/cache_check"
	ln -s "$build/larder" "$root/libexec/cache_repair"
	: >"$root/boot/initrd.img-$(uname -r)"
	echo 'usr/lib/modules/x/extra/dm-larder.ko' | answer lsinitramfs.out
}

test_names() {
	local name
	well
	# shellcheck disable=SC2016  # not to be expanded
	for name in '' data /data vg/ -vg/data vg/-data 'vg/da ta' 'vg/da;ta' vg/../x ../vg/data vg/data/x \
		'vg/$(id)' "vg/$(printf 'x%.0s' {1..200})"; do
		expect "names: '${name:0:20}'" 64 'VG/LV' larder set --mode writeback -- "$name"
		not_called 'names: ... LVM hears nothing of it' .
	done
	for name in -rf 'a b' ../x vg/fast @tag ''; do
		expect "names: a cache volume '$name'" 64 '' larder attach vg/plain --cachevol "$name" --yes
		not_called 'names: ... LVM hears nothing of it' .
	done
	expect 'names: a PV that is no path' 64 'path below /dev' larder create vg/plain --cache-pv sdb
	expect 'names: a PV that climbs' 64 'path below /dev' larder create vg/plain --cache-pv /dev/../etc/passwd
	expect 'names: /dev/VG/LV' 0 '' larder set /dev/vg/data --mode writethrough
}

test_words() {
	local word
	well
	for word in A=1 'a b=1' =1 a a= a=x a=-1 a=1.5 a=99999999999999999999 ro=1 rotor=1 -a=1 policy_x=1 Fail=1; do
		expect "settings: '$word'" 64 '' larder set vg/data --set "$word"
		not_called 'settings: ... LVM hears nothing of it' .
	done
	expect 'policies: no name' 64 'no name of a policy' larder set vg/data --policy 'x;y'
	expect 'policies: none' 64 "no policy 'arc'" larder set vg/data --policy arc
	mkdir -p "$root/sys/module/dm_larder_policy_arc"
	expect "policies: a module's" 1 "still runs with policy 's3fifo'" larder set vg/data --policy arc
	expect 'modes: none' 64 'unknown mode' larder set vg/data --mode writearound
	expect 'chunks: not in steps of 32k' 64 'multiples of 32 KiB' larder attach vg/plain --cachevol fast --chunk-size 48k
	for word in attach create detach doctor list set; do
		expect "$word: --help" 0 "^usage: larder $word" larder $word --help
		expect "$word: unknown option" 64 "unknown option '--nonsense'" larder $word --nonsense
	done
	for word in attach create detach set; do
		expect "$word: nothing to work on" 64 'expected one VG/LV' larder $word
	done
}

in_environment() { SECRET=x LVM_SYSTEM_DIR=/tmp LC_ALL=de_DE larder "$@"; }

test_attach() {
	well
	expect 'attach: a pool' 0 '^vg/plain: cached by vg/free$' larder attach vg/plain --cachepool free --mode writeback --set small_percent=5 -y
	called 'attach: ... this way' 'lvm [lvconvert] [-y] [--type] [cache] [--cachepool] [free] [--cachemode] [writeback] [--cachepolicy] [s3fifo] [--cachesettings] [small_percent=5] [vg/plain]'
	expect 'attach: nothing of our environment' 0 '' in_environment attach vg/plain --cachevol fast --policy cleaner -y
	called 'attach: a volume, the policy as a setting' 'lvm [lvconvert] [-y] [--type] [cache] [--cachevol] [fast] [--cachesettings] [policy_cleaner=1] [vg/plain]'
	expect 'attach: ... a clean one' 1 '' grep -E 'SECRET|SYSTEM_DIR|de_DE' "$root/environment"
	expect 'attach: ... in C' 0 '' grep -x LC_ALL=C "$root/environment"
	expect 'attach: nobody says yes' 1 'give --yes' larder attach vg/plain --cachepool free
	not_called 'attach: ... nothing is done' lvconvert
	expect 'attach: a pool that is none' 65 'no cache pool' larder attach vg/plain --cachepool fast -y
	expect 'attach: a pool as a volume' 65 'no cache volume' larder attach vg/plain --cachevol free -y
	expect 'attach: a hidden volume' 65 'a part of another' larder attach vg/plain --cachevol fast_cvol -y
	expect 'attach: no such volume' 66 'no volume vg/none' larder attach vg/plain --cachevol none -y
	expect 'attach: no such origin' 66 'no volume vg/none' larder attach vg/none --cachevol fast -y
	expect 'attach: has one' 65 'has a cache already' larder attach vg/data --cachevol fast -y
	printf '  Insufficient free space\n  \033[31mred\n' | answer lvconvert.err
	echo 5 | answer lvconvert.code
	expect 'attach: LVM says why it refuses' 1 'larder attach: lvconvert: Insufficient free space' larder attach vg/plain --cachepool free -y
	cp err said
	expect 'attach: ... printable' 0 '' bash -c "grep -q '?.31mred' said && ! grep -q \$'\033' said"
	printf 'cache 2.3.0\n' >"$root/dm/versions"
	expect "attach: dm-cache's target" 69 'is not dm-larder' larder attach vg/plain --cachepool free -y
	: >"$root/dm/versions"
	expect 'attach: no target at all' 69 'is not dm-larder' larder attach vg/plain --cachepool free -y
	called 'attach: ... loads the module' 'modprobe [dm-larder]'
}

# Makes LVM report what lvcreate has made.
make_new() {
	well
	answer lvcreate.sh <<-'END'
		while [[ $1 != -n ]]; do shift; done
		type=linear && [[ $2 != *_larder ]] || type=cache-pool
		sed -i 's/"lv":\[/&{"vg_name":"vg","lv_name":"'"$2"'","segtype":"'$type'"},/' "$root/answers/lvs.out"
	END
}

test_create() {
	make_new
	expect 'create: a cache for a volume' 0 'cached by vg/plain_larder' larder create vg/plain --cache-pv /dev/ssd --chunk-size 64k
	called 'create: ... the pool' 'lvm [lvcreate] [-y] [--type] [cache-pool] [-n] [plain_larder] [-l] [100%FREE] [--chunksize] [128s] [vg] [/dev/ssd]'
	expect 'create: no size' 66 '--size makes it' larder create vg/new --cache-pv /dev/ssd
	expect 'create: a size of what exists' 64 'vg/plain exists' larder create vg/plain --cache-pv /dev/ssd --size 1g
	expect 'create: both ways' 64 'expected --cache-pv or --cachevol' larder create vg/plain --cache-pv /dev/ssd --cachevol fast
	expect "create: another group's PV" 66 'not in volume group vg: vgextend' larder create vg/plain --cache-pv /dev/other
	expect 'create: no PV' 66 'no physical volume' larder create vg/plain --cache-pv /dev/null
	make_new
	echo 5 | answer lvconvert.code
	expect 'create: the rest fails' 1 'ended with 5' larder create vg/plain --cache-pv /dev/ssd --cache-size 1g
	called 'create: ... the pool is taken away' 'lvm [lvremove] [-y] [vg/plain_larder]'
	not_called 'create: ... the volume is not' 'lvremove.*vg/plain]'
	make_new
	echo 5 | answer lvconvert.code
	expect 'create: with the volume' 1 'ended with 5' larder create vg/new --size 1G --cache-pv /dev/ssd
	called 'create: ... not on the SSD' 'lvm [lvcreate] [-y] [-n] [new] [-L] [2097152s] [vg] [/dev/slow]'
	called 'create: ... which is taken away, too' 'lvm [lvremove] [-y] [vg/new]'
}

test_set() {
	well
	expect 'set: a pool' 0 'runs with policy s3fifo' larder set vg/data --policy s3fifo --set small_percent=5
	called 'set: ... this way' 'lvm [lvchange] [-y] [--cachepolicy] [s3fifo] [--cachesettings] [small_percent=5] [vg/data]'
	expect 'set: a volume' 0 'runs with policy s3fifo' larder set vg/vol --policy s3fifo
	called 'set: ... by a setting, and only one' 'lvm [lvchange] [-y] [--cachepolicy] [mq] [--cachesettings] [policy_s3fifo=1] [--cachesettings] [policy_cleaner=default] [--cachesettings] [x=default] [vg/vol]'
	expect 'set: the kernel does something else' 1 "still runs with policy 's3fifo'" larder set vg/vol --policy cleaner
	expect 'set: a setting of the policy that goes' 1 'still runs' larder set vg/opt --policy cleaner --set y=3
	called 'set: ... goes with it' 'lvm [lvchange] [-y] [--cachepolicy] [cleaner] [--cachesettings] [y=3] [--cachesettings] [x=default] [vg/opt]'
	expect 'set: the last setting goes' 0 '' larder set vg/data --set x=default
	called 'set: ... which LVM would not survive' 'lvm [lvchange] [-y] [--cachesettings] [x=default] [--cachesettings] [migration_threshold=2048] [vg/data]'
	expect 'set: the mode' 0 '' larder set vg/data --mode passthrough
	called 'set: ... this way' 'lvm [lvchange] [-y] [--cachemode] [passthrough] [vg/data]'
	expect 'set: nothing' 64 'expected --mode' larder set vg/data
	lvs_are "$(row data cache '[pool_cpool]' cache_policy=smq)" "$(row '[pool_cpool]' cache-pool '')"
	expect "set: what LVM would drop" 64 'add --policy s3fifo' larder set vg/data --set small_percent=5
	rm "$root/dm/vg-data"
	expect 'set: not active' 0 'when it is activated' larder set vg/data --mode writeback
}

# What larder $2... ends with when it is told to stop, as soon as the file $1 is there.
stopped_at() {
	local file=$1 job code=0 turns
	shift
	: >"$root/calls"
	"$build/larder" "$@" </dev/null >out 2>&1 &
	job=$!
	for ((turns = 0; turns < 1200; turns++)); do [[ ! -e $file ]] || break; sleep 0.05; done
	kill -TERM $job
	wait $job || code=$?
	echo $code
}

test_detach() {
	local code
	well
	# LVM goes on until it is told to stop; it notes how often.
	answer lvconvert.sh <<-'END'
		trap 'echo stopped >>$root/calls; exit 5' INT
		touch "$root/flushing"
		for ((i = 0; i < 300; i++)); do sleep 0.1; done
	END
	code=$(stopped_at "$root/flushing" detach vg/data)
	if [[ $code == 75 ]] && grep -q 'keeps its cache as it was' out; then pass 'detach: interrupted'; else fail 'detach: interrupted' "exit code $code"; fi
	if [[ $(grep -c stopped "$root/calls") == 1 ]]; then pass 'detach: LVM is told once'; else fail 'detach: LVM is told once' ''; fi
	if grep -q 'vg/data: 40 dirty chunks left (2.5 MiB)' out; then pass 'detach: how much is left'; else fail 'detach: how much is left' ''; fi
	answer lvconvert.sh <<-'END'
		sed -i 's/"segtype":"cache"/"segtype":"linear"/' "$root/answers/lvs.out"
	END
	expect 'detach: done' 0 '^vg/data: has no cache any more$' larder detach vg/data
	called 'detach: ... this way' 'lvm [lvconvert] [-y] [--splitcache] [vg/data]'
	expect 'detach: no cache' 65 'has no cache: it is linear' larder detach vg/data
	well
	answer lvconvert.sh <<<':'
	expect 'detach: LVM lies' 1 'did not do it' larder detach --remove vg/data
	called 'detach: ... asked for the rest, too' 'lvm [lvconvert] [-y] [--uncache] [vg/data]'
	device vg-data cache LVM-x Fail '' ''
	expect 'detach: a cache that has failed' 1 'would drop it' larder detach vg/data
	not_called 'detach: ... LVM is not asked' lvconvert
	well
	answer lvconvert.sh <<-'END'
		trap 'echo stopped >>$root/calls; exit 5' INT
		touch "$root/flushing"
		until [[ -e $root/told ]]; do sleep 0.05; done
		sleep 1
		sed -i 's/"segtype":"cache"/"segtype":"linear"/' "$root/answers/lvs.out"
	END
	: >"$root/calls"
	(trap '' HUP && exec "$build/larder" detach vg/data </dev/null >out 2>&1) &
	job=$!
	until [[ -e $root/flushing ]]; do sleep 0.05; done
	kill -HUP $job && touch "$root/told"
	code=0 && wait $job || code=$?
	if [[ $code == 0 ]]; then pass 'detach: goes on without its terminal'; else fail 'detach: goes on without its terminal' "exit code $code"; fi
	not_called 'detach: ... and LVM, too' stopped
}

# convertible [KEY=VALUE...]: components of vg/data and vg/vol with metadata of dm-cache, in files; vg/data is
# reported so.
convertible() {
	well
	mkdir -p "$root/dev/mapper"
	cp "$tree/tests/unit/tools/fake-lvm" "$root/usr/bin/udevadm"
	ln -s "$cache_restore" "$root/usr/sbin/cache_restore"
	cat >stock.xml <<-'XML'
		<superblock uuid="" block_size="128" nr_cache_blocks="40" policy="smq" hint_width="4"><mappings>
		<mapping cache_block="0" origin_block="9" dirty="true"/>
		<mapping cache_block="7" origin_block="3" dirty="false"/></mappings><hints></hints></superblock>
	XML
	(cd "$root/dev/mapper" && truncate -s 1M vg-pool_cpool_cmeta vg-fast_cvol && truncate -s 2560K vg-pool_cpool_cdata &&
		truncate -s 64M vg-data_corig vg-vol_corig && truncate -s 8M "$root/pv")
	"$cache_restore" -q -i stock.xml -o "$root/dev/mapper/vg-pool_cpool_cmeta"
	"$cache_restore" -q -i stock.xml -o "$root/dev/mapper/vg-fast_cvol"
	truncate -s +2560K "$root/dev/mapper/vg-fast_cvol"
	report_convertible "$@"
	echo "{\"report\":[{\"vg\":[{\"pv_name\":\"$root/pv\"}]}]}" | answer vgs.out
	# shellcheck disable=SC2016  # expanded by the fake
	answer lvcreate.sh <<<'truncate -s 1028K "$root/dev/mapper/vg-$7"'
	# shellcheck disable=SC2016
	answer lvremove.sh <<<'rm -f "$root/dev/mapper/vg-${5#*/}"'
}

report_convertible() {
	lvs_are "$(row data cache '[pool_cpool]' 'origin=[data_corig]' "$@")" "$(row plain linear '')" \
		"$(row '[pool_cpool]' cache-pool '' 'metadata_lv=[pool_cpool_cmeta]' 'data_lv=[pool_cpool_cdata]')" \
		"$(row vol cache '[fast_cvol]' 'origin=[vol_corig]' lv_metadata_size=2048)" "$(row '[fast_cvol]' linear '')" \
		"$(row free_larder_convert linear '')" "$(row free cache '[pool_cpool]')"
}

# A conversion itself is tested by test-convert.sh.
test_convert() {
	local from=(larder convert --force --from-dm-cache) to=(larder convert --force --to-dm-cache) code
	convertible cache_policy=s3fifo cache_settings=a=1,migration_threshold=4096,b=2
	expect 'convert: from dm-cache' 0 'vg/data: converted' "${from[@]}" /dev/vg/data
	called 'convert: ... a component' 'lvm [lvchange] [-ay] [-y] [-qq] [vg/pool_cpool_cmeta]'
	called 'convert: ... to write on' 'writable [/dev/mapper/vg-pool_cpool_cmeta]'
	called 'convert: ... a staging' 'lvm [lvcreate] [-y] [-qq] [-Zy] [-Wy] [-n] [data_larder_convert] [-L] [2056s] [--addtag] [dm_larder_convert] [vg]'
	called 'convert: ... waits for udev' 'udevadm [settle] [--timeout=60]'
	called 'convert: ... stops the component' 'lvm [lvchange] [-an] [-y] [-qq] [vg/pool_cpool_cmeta]'
	called 'convert: ... takes the staging away' 'lvm [lvremove] [-f] [-y] [-qq] [vg/data_larder_convert]'
	not_called 'convert: ... no data is touched' 'corig|cdata'
	expect_json 'convert: once more' "d['outcome'] == 'nothing to do' and d['target'] == 'vg/data'" "${from[@]}" --json /dev/vg/data
	expect 'convert: a policy of ours' 65 'First: larder set vg/data --policy default --set a=default --set b=default$' "${to[@]}" vg/data
	not_called 'convert: ... nothing is done' lvchange
	report_convertible cache_settings=policy_cleaner=1,random_threshold=4
	expect 'convert: a policy by a setting' 65 'First: larder set vg/data --policy default$' "${to[@]}" vg/data
	report_convertible cache_policy=smq cache_settings=small_percent=7
	expect 'convert: a setting of ours' 65 'First: larder set vg/data --set small_percent=default$' "${to[@]}" vg/data
	report_convertible cache_policy=smq cache_settings=random_threshold=4
	expect 'convert: to dm-cache' 0 'vg/data: converted' "${to[@]}" vg/data
	called 'convert: ... the origin' 'writable [/dev/mapper/vg-data_corig]'
	called 'convert: ... the data' 'lvm [lvchange] [-an] [-y] [-qq] [vg/pool_cpool_cdata]'
	expect 'convert: a cachevol' 0 'vg/vol: converted' "${from[@]}" vg/vol
	called 'convert: ... as large a staging' 'lvm [lvcreate] [-y] [-qq] [-Zy] [-Wy] [-n] [vol_larder_convert] [-L] [2056s] [--addtag] [dm_larder_convert] [vg]'
	expect 'convert: ... and back' 0 'vg/vol: converted' "${to[@]}" vg/vol
	called 'convert: ... with its data' 'writable [/dev/mapper/vg-fast_cvol]'
	expect 'convert: a name that is none' 64 'expected VG/LV' "${from[@]}" data
	expect 'convert: no cache' 65 'vg/plain has no cache: it is linear' "${from[@]}" vg/plain
	expect 'convert: no such volume' 66 'there is no volume' "${from[@]}" vg/none
	expect "convert: somebody's staging" 73 'free_larder_convert is none of ours' "${from[@]}" vg/free
	not_called 'convert: ... it stays' lvremove
	convertible lv_active=active
	expect 'convert: active' 66 'is active: stop it, as lvchange -an vg/data does' "${from[@]}" vg/data
	not_called 'convert: ... it stays so' lvchange
	expect 'convert: active, dry run' 66 'is active: lvchange -an vg/data first' "${from[@]}" -n vg/data
	expect 'convert: active, with consent' 0 'activate it again with lvchange -ay vg/data' "${from[@]}" --yes vg/data
	called 'convert: ... stops it' 'lvm [lvchange] [-an] [-y] [-qq] [vg/data]'
	report_convertible lv_active=active lv_device_open=open
	expect 'convert: in use' 66 'is in use' "${from[@]}" --yes vg/data
	convertible
	echo 5 | answer lvcreate.code
	expect 'convert: no room for a staging' 73 'needs 2 MiB in volume group vg' "${from[@]}" vg/data
	echo 5 | answer lvchange.code && echo 'cannot do it' | answer lvchange.err
	expect 'convert: LVM says why it refuses' 69 'larder convert: lvchange: cannot do it' "${from[@]}" vg/data
	rm "$root/usr/sbin/lvm"
	expect 'convert: without LVM' 69 'cannot run' "${from[@]}" vg/data
	convertible
	answer lvchange.sh <<-'END'
		trap 'echo stopped >>$root/calls' INT
		touch "$root/changing"
		for ((i = 0; i < 10; i++)); do sleep 0.1; done
	END
	code=$(stopped_at "$root/changing" convert --force --from-dm-cache vg/data)
	if [[ $code == 75 ]]; then pass 'convert: interrupted'; else fail 'convert: interrupted' "exit code $code"; fi
	not_called 'convert: ... LVM is not' stopped
	called 'convert: ... no component stays active' 'lvm [lvchange] [-an] [-y] [-qq] [vg/pool_cpool_cmeta]'
	called 'convert: ... no staging is left' 'lvm [lvremove] [-f] [-y] [-qq] [vg/data_larder_convert]'
}

test_list() {
	well
	device bare larder '' "$status" "7:0 7:1 7:2 128 1 writeback s3fifo 0" "$stats"
	device stock cache '' "${status/s3fifo/smq}" "7:0 7:1 7:2 128 1 writeback smq 0" ''
	expect_json 'list: all caches' "sorted((c['name'], c['kind'], c['active']) for c in d['caches']) == [('bare', 'dmsetup', True),
		('stock', 'dmsetup', True), ('vg/data', 'cachepool', True), ('vg/opt', 'cachepool', True), ('vg/vol', 'cachevol', True)]" larder list --json
	expect_json 'list: what the kernel runs' "{c['name']: c['runs_policy'] for c in d['caches']}['vg/vol'] == 's3fifo'" larder list --json
	expect 'list: for people' 0 '^vg/data +cachepool +writeback +s3fifo +0.1 +1.0 +2.5 +ok$' larder list
	rm "$root/usr/sbin/lvm"
	expect 'list: without LVM' 0 '^bare ' larder list
	expect 'set: without LVM' 69 'cannot run' larder set vg/data --mode writeback
}

# scrub_says STATE NEXT-SLOT LOST LEFT [LIST]: an answer of the kernel.
scrub_says() {
	echo "{\"state\":\"$1\",\"rate\":16384,\"slots\":960,\"next_slot\":$2,\"sectors_read\":2048,\"pi_errors\":3,\"media_errors\":1,\"other_errors\":0,\"healed\":2,\"lost\":$3,\"left\":$4,\"lost_blocks\":[${5:-}]}"
}

test_scrub() {
	local job code=0 word lost='{"slot":7,"sector":4096,"sectors":8,"why":"pi"},{"slot":9,"sector":64,"sectors":16,"why":"media"}'
	well
	device data larder '' "$status" '7:0 7:1 7:2 128' '{"version":"1.0.0","scrub":{"state":"none"}}'
	scrub_says running 0 0 0 | answer messages
	expect 'scrub: start' 0 '^data: scrub running: 0 of 960 slots, 1.0 MiB read, at most 16384 KiB/s$' larder scrub data
	called 'scrub: ... is told to the kernel' 'message [data] [scrub start]'
	expect 'scrub: with a rate' 0 '' larder scrub --rate 1000 data
	called 'scrub: ... which is handed on' 'message [data] [scrub start 1000]'
	expect 'scrub: quiet' 0 '' larder scrub -q data
	if [[ ! -s out && ! -s err ]]; then pass 'scrub: ... says nothing'; else fail 'scrub: ... says nothing' 'it does'; fi
	for word in 0 -1 1k x '' 1073741825 99999999999999999999 ' 5'; do
		expect "scrub: no rate is '$word'" 64 'expected 1 to 1073741824 KiB/s' larder scrub "--rate=$word" data
		not_called 'scrub: ... the kernel hears nothing of it' .
	done
	for word in '--stop --wait' '--stop --status' '--stop --rate 5' '--status --rate 5' '--dance' 'data'; do
		# shellcheck disable=SC2086  # words
		expect "scrub: $word" 64 '' larder scrub $word data
		not_called 'scrub: ... the kernel hears nothing of it' .
	done
	expect 'scrub: of nothing' 64 'expected one name' larder scrub
	expect 'scrub: no such device' 66 '' larder scrub none
	expect_json 'scrub: as JSON' "d['device'] == 'data' and d['state'] == 'running' and d['slots'] == 960" larder scrub --status --json data
	not_called 'scrub: ... nothing is begun' 'start|stop'
	expect 'scrub: stop' 0 '' larder scrub --stop data
	called 'scrub: ... is told to the kernel' 'message [data] [scrub stop]'
	{ scrub_says running 10 0 0 && scrub_says running 500 0 0 && scrub_says finished 960 0 0; } | answer messages
	expect 'scrub: to its end' 0 '^data: scrub finished: 960 of 960 slots' larder scrub --wait data
	word=$(grep -c 'scrub status' "$root/calls")
	if [[ $word == 3 ]]; then pass 'scrub: ... looked for'; else fail 'scrub: ... looked for' "$word looks"; fi
	{ scrub_says running 10 0 0 && scrub_says finished 960 2 0 "$lost"; } | answer messages
	expect 'scrub: something is lost' 1 '2 pieces of dirty data are damaged' larder scrub --wait data
	expect 'scrub: ... where it is' 1 '^lost: 8 sectors from sector 4096 of the origin .slot 7.: protection error$' larder scrub --status --wait data
	expect 'scrub: ... and what is unreadable' 1 '^lost: 16 sectors from sector 64 of the origin .slot 9.: unreadable$' larder scrub --status --wait data
	scrub_says finished 960 70 0 "$lost" | answer messages
	expect 'scrub: more than is listed' 1 '^lost: 68 more' larder scrub --status data
	expect_json 'scrub: ... as JSON' "len(d['lost_blocks']) == 2 and d['lost'] == 70" larder scrub --status --json data
	scrub_says finished 960 0 1 | answer messages
	expect 'scrub: something could not be healed' 74 '1 pieces could not be read or healed' larder scrub --status data
	scrub_says stopped 96 0 0 | answer messages
	expect 'scrub: stopped by somebody' 75 'was stopped before its end' larder scrub --wait data
	scrub_says none 0 0 0 | answer messages
	expect 'scrub: none yet' 0 'no scrub since' larder scrub --status data
	for word in '' '[]' '{' '{}' '{"state":5}' null '"x"'; do
		echo "$word" | answer messages
		expect "scrub: hostile: '$word'" 74 'is none' larder scrub --status data
	done
	echo '{"state":"finished","lost":-1,"lost_blocks":[5,null,{"sector":"x"}],"healed":[]}' | answer messages
	expect 'scrub: hostile: numbers that are none' 0 '' bash -c "'$build/larder' scrub --status data; [[ \$? == 0 || \$? == 1 ]]"
	rm "$root/answers/messages"
	expect 'scrub: the kernel refuses' 74 '' larder scrub data
	device data cache '' "$status" '7:0 7:1 7:2 128' ''
	expect 'scrub: dm-cache has none' 65 'knows no scrub' larder scrub data
	device data larder '' "$status" '7:0 7:1 7:2 128' "$stats"
	expect 'scrub: an older dm-larder has none' 65 'knows no scrub' larder scrub data
	not_called 'scrub: ... and is not asked for one' .
	device data larder '' "$status" '7:0 7:1 7:2 128' '{"scrub":{}}'
	scrub_says running 10 0 0 | answer messages
	: >"$root/calls"
	"$build/larder" scrub --wait data </dev/null >told 2>&1 &
	job=$!
	until grep -q 'scrub status' "$root/calls"; do sleep 0.05; done
	sleep 0.5
	kill -TERM $job
	wait $job || code=$?
	if [[ $code == 75 ]]; then pass 'scrub: interrupted'; else fail 'scrub: interrupted' "exit code $code"; fi
	expect 'scrub: ... says that it goes on' 0 'the scrub goes on; larder scrub --stop data' cat told
	not_called 'scrub: ... and does not stop it' 'scrub stop'
}

# What LVM would never say.
test_hostile() {
	local text
	well
	for text in '' '[]' '{' '{"report":0}' '{"report":[]}' '{"report":[{"lv":0}]}' '{"report":[0]}' 'null' '"x"' \
		"$(printf '[%.0s' {1..5000})"; do
		printf '%s' "$text" | answer lvs.out
		expect "hostile: '${text:0:20}'" 69 'cannot be understood' larder set vg/data --mode writeback
	done
	for text in '{"report":[{"lv":[0,null,[],{},{"lv_name":5}]}]}' '{"report":[{"lv":[]}]}' \
		'{"report":[{"lv":[{"vg_name":{},"lv_name":["data"]}]}]}'; do
		answer lvs.out <<<"$text"
		expect "hostile: '${text:0:30}'" 66 'no volume vg/data' larder set vg/data --mode writeback
		expect 'hostile: ... list' 0 '' larder list
	done
	lvs_are "$(row data cache '[-rf_cpool]')" "$(row '[-rf_cpool]' cache-pool '')"
	expect 'hostile: a pool that looks like an option' 69 'does not report the cache' larder set vg/data --mode writeback
	lvs_are "$(row data cache "$(printf 'x%.0s' {1..9000})" cache_settings="$(printf 'policy_%.0s' {1..3000})")"
	expect 'hostile: long names' 69 'does not report' larder set vg/data --mode writeback
	lvs_are "$(row data cache p cache_settings="$(printf 'policy_%d=1,' {1..200})")" "$(row p linear '')"
	expect 'hostile: many settings' 64 'more than' larder set vg/data --policy s3fifo
	well
	answer lvs.sh <<<'head -c 70000000 /dev/zero'
	expect 'hostile: too much' 71 'more than can be read' larder set vg/data --mode writeback
	well
	device vg-data cache LVM-x 'gibberish' 'x' '[1]'
	expect_json 'hostile: a status that is none' "[c['health'] for c in d['caches'] if c['name'] == 'vg/data'] == ['failed']" larder list --json
	expect 'hostile: stats that are none' 1 'still runs with' larder set vg/data --policy s3fifo
	answer lvs.code <<<5
	expect 'LVM does not report' 66 '' larder set vg/data --mode writeback
}

# root_is MAJOR:MINOR TYPE SOURCE: an initramfs without caches, and dm-3, which stands on the cache vg/data. A btrfs
# is on dm-3 and sdx, another one on sdy.
root_is() {
	local name
	echo 'usr/bin/sh' | answer lsinitramfs.out
	device vg-data cache LVM-x "$status" "7:0 7:1 7:2 128 1 writeback s3fifo 0" "$stats" 254:0
	mkdir -p "$root"/{proc/self,dev/mapper,sys/class/block/{dm-0,dm-3,sdx,sdy},sys/fs/btrfs/{features,a/devices,b/devices},sys/dev/block/254:3/slaves}
	for name in dm-0=254:0 dm-3=254:3 sdx=8:1 sdy=8:2; do
		echo "${name#*=}" >"$root/sys/class/block/${name%=*}/dev"
		: >"$root/dev/${name%=*}"
	done
	: >"$root/sys/dev/block/254:3/slaves/dm-0"
	touch "$root"/sys/fs/btrfs/{a/devices/{dm-3,sdx},b/devices/sdy}
	ln -s ../dm-3 "$root/dev/mapper/vg-root"
	printf '%s\n' '1 1 0:2 / / rw - rootfs rootfs rw' "27 1 $1 /@ / rw,noatime shared:1 - $2 $3 rw" \
		'28 27 0:22 / /proc rw - proc proc rw' >"$root/proc/self/mountinfo"
}

test_doctor() {
	well
	lvs_are "$(row data cache '[pool_cpool]' cache_policy=s3fifo)" "$(row '[pool_cpool]' cache-pool '')"
	expect 'doctor: all is well' 0 ' 0 errors, 0 warnings, 0 not known$' larder doctor
	expect_json 'doctor: as JSON' "d['result'] == 'ok' and not d['errors'] and len(d['checks']) >= 10" larder doctor --json
	# broken NAME LEVEL PATTERN: what was just broken is found, alone
	broken() {
		expect "doctor: $1" 1 "^$2 +$3" larder doctor
		cp out found
		expect 'doctor: ... says why and what to do' 0 '' bash -c "grep -q ' why: ' found && grep -q ' do:  ' found"
		well
		lvs_are "$(row data cache '[pool_cpool]' cache_policy=s3fifo)" "$(row '[pool_cpool]' cache-pool '')"
	}
	echo 'cache 2.3.0' >"$root/dm/versions"
	broken "dm-cache's target" error "target: .*the kernel's own"
	mkdir -p "$root/sys/module/dm_cache_smq"
	broken 'a stock module' warning 'stock-modules: the module dm_cache_smq'
	echo 'insmod /lib/modules/x/kernel/drivers/md/dm-cache.ko' | answer modprobe.out
	broken 'aliases' error 'alias: modprobe dm-cache loads something else'
	echo 1 | answer modprobe.code
	broken 'no module' error 'alias: modprobe dm-cache finds no module'
	echo '  LVM version:     2.02.98(2)' | answer version.out
	broken 'an old LVM' warning 'versions: LVM 2.02.98 is old'
	rm "$root/libexec/cache_check"
	broken 'no cache_check' error 'lvm.conf: global/cache_check_executable'
	ln -sf /bin/true "$root/libexec/cache_repair"
	broken 'another cache_repair' error 'lvm.conf: global/cache_repair_executable'
	echo 'usr/lib/modules/x/kernel/drivers/md/dm-cache.ko' | answer lsinitramfs.out
	broken 'the initramfs' warning 'initramfs: does not have dm-larder'
	root_is 254:3 ext4 /dev/mapper/vg-root
	broken 'root on a cache' error 'initramfs: does not have dm-larder'
	root_is 0:24 btrfs /dev/mapper/vg-root
	broken 'a btrfs as root on a cache' error 'initramfs: does not have dm-larder'
	root_is 0:24 btrfs /dev/sdx
	broken '... on its second device' error 'initramfs: does not have dm-larder'
	root_is 0:24 btrfs /dev/sdy
	expect 'doctor: a btrfs as root elsewhere' 0 'has no caches, and needs none' larder doctor
	well
	lvs_are "$(row data cache '[pool_cpool]' cache_policy=s3fifo)" "$(row '[pool_cpool]' cache-pool '')"
	device vg-data cache LVM-x "${status/rw -/ro needs_check}" '7:0 7:1 7:2 128' "$stats"
	broken 'a cache that needs a check' error 'health: vg/data: needs a check'
	device vg-data cache LVM-x "$status" '7:0 7:1 7:2 128' ''
	broken "a cache that dm-cache runs" error "target: vg/data is run by the kernel's own"
	device vg-data cache LVM-x "$status" '7:0 7:1 7:2 128' "${stats/:128/:4096}"
	broken 'large blocks' warning 'blocks: vg/data: blocks of 2048 KiB'
	echo 512 >"$root/sys/dev/block/7:1/alignment_offset"
	broken 'alignment' warning 'alignment: vg/data: cache device .7:1. is off by 512'
	mkdir "$root/sys/dev/block/7:2/integrity" && echo T10-DIF-TYPE1-CRC >"$root/sys/dev/block/7:2/integrity/format"
	broken 'protection information' warning 'integrity: vg/data: the origin has'
	lvs_are "$(row vol cache '[fast_cvol]' cache_policy=cleaner)" "$(row '[fast_cvol]' linear '')"
	broken 'a policy that LVM keeps to itself' warning 'policy: vg/vol: LVM says cleaner, but s3fifo runs'
}

build_all
for part in names words attach create set detach convert list scrub hostile doctor; do
	"test_$part"
done
./flush-pace | tee out
read -r p _ f _ < <(tail -n 1 out)
passed=$((passed + p)) failed=$((failed + f))
finish
