#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests of the larder tool on metadata files: sound, damaged in every way, truncated, blank, foreign,
# and mutated at random. The tool is built with the address and undefined-behaviour sanitizers. What
# it says of running caches (larder status) is tested where there are any, in a guest.
#
# usage: tests/unit/test-tools.sh [--rounds NUMBER] [--seed NUMBER]
#
#   --rounds   mutated files that are tried (default: 2000)
#   --seed     of the mutations (default: a new one each time, which is printed)
#
# The last line is "N passed, N failed, 0 skipped".

set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD build=$PWD/build/unit/tools rounds=2000 seed=$RANDOM$RANDOM passed=0 failed=0

die() { printf 'test-tools.sh: %s\n' "$*" >&2; exit 2; }

while [[ $# -gt 0 ]]; do
	case $1 in
	-h | --help) sed -n '2,/^$/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
	--rounds | --seed) [[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 wants a number: see --help" ;;
	*) die "unknown argument '$1': see --help" ;;
	esac
	[[ $1 == --rounds ]] && rounds=$2 || seed=$2
	shift 2
done
for tool in python3=python3 mke2fs=e2fsprogs cache_restore=thin-provisioning-tools; do
	command -v "${tool%=*}" >/dev/null || PATH=$PATH:/usr/sbin:/sbin
	command -v "${tool%=*}" >/dev/null || die "needs ${tool%=*}: apt-get install ${tool#*=}"
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/larder-tools.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:max_allocation_size_mb=256
cd "$scratch"

# --- building ---

sanitized='-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Werror'

build_all() {
	local core=("$root"/dm-target/core/{geometry,metadata*,*-user}.c) objects
	mkdir -p "$build"
	make --no-print-directory -s -C "$root/userland" BIN="$build" OBJ="$build/objects" CFLAGS="$sanitized"
	# shellcheck disable=SC2086  # flags are words
	gcc -std=gnu11 -Wall -Wextra -Wno-unused-parameter $sanitized -o "$build/make-metadata" \
		"$root/tests/unit/tools/make-metadata.c" "${core[@]}"
	# shellcheck disable=SC2086
	gcc -std=gnu11 -Wall -Wextra -Wno-unused-parameter $sanitized -o "$build/status-line" \
		"$root/tests/unit/tools/status-line.c" "$root/userland/status-line.c"
	objects=$(find "$build/objects" -name '*.o' ! -path '*/userland/main.o')
	# shellcheck disable=SC2086
	gcc -std=gnu11 -Wall -Wextra -Wno-unused-parameter $sanitized -Dmain=larder_main -c \
		-DLARDER_VERSION='"fuzz"' -o "$build/main-as-function.o" "$root/userland/main.c"
	# shellcheck disable=SC2086
	gcc -std=gnu11 -Wall -Wextra -Wno-unused-parameter $sanitized -o "$build/fuzz-tools" \
		"$root/tests/unit/tools/fuzz-tools.c" "$build/main-as-function.o" $objects \
		-ldevmapper -l:libjson-c.a -l:libexpat.a -lm
}

larder() { "$build/larder" "$@"; }
make_metadata() { "$build/make-metadata" "$@"; }

# --- judging ---

pass() { passed=$((passed + 1)) && printf 'ok %s\n' "$1"; }

fail() {
	failed=$((failed + 1))
	printf 'not ok %s: %s\n' "$1" "$2"
	[[ ! -s out ]] || sed 's/^/#   stdout: /;30q' out
	[[ ! -s err ]] || sed 's/^/#   stderr: /;30q' err
}

# expect NAME CODE PATTERN COMMAND...: the command must end with CODE and its output match PATTERN, if any.
expect() {
	local name=$1 want=$2 pattern=$3 code=0
	shift 3
	"$@" >out 2>err || code=$?
	if [[ $code -ne $want ]]; then
		fail "$name" "exit code $code, expected $want ($*)"
	elif [[ $pattern ]] && ! cat out err | grep -qE -- "$pattern"; then
		fail "$name" "nothing matches /$pattern/ ($*)"
	else
		pass "$name"
	fi
}

# expect_json NAME EXPRESSION COMMAND...: a Python expression on d, the command's JSON, must be true.
expect_json() {
	local name=$1 expression=$2
	shift 2
	"$@" >out 2>err || true
	if python3 -c "import json, sys
d = json.load(open('out'))
sys.exit(not ($expression))" 2>>err; then
		pass "$name"
	else
		fail "$name" "not true: $expression"
	fi
}

# broken OPERATION...: a copy of the sound file, broken by make-metadata.
broken() {
	cp sound.bin broken.bin
	make_metadata broken.bin "$@"
}

# 300 slots of 16 KiB in chunks of 64 KiB; an origin whose last block and chunk are short.
origin=1000024
make_sound() {
	make_metadata sound.bin "new:128:128:$origin:9600" \
		entry:0:400:0xf:0xf entry:1:401:0xf:0 entry:2:402:0xf:0x2 entry:3:403:0xf:0 hint:2:7 \
		entry:8:40:0xf:0 entry:9:41:0xf:0 entry:10:42:0xf:0 entry:11:43:0xf:0 \
		entry:21:30:0x3:0x1 entry:290:31250:0x1:0x1 entry:299:77:0x8:0 \
		commit checkpoint entry:40:99:0xf:0 free:8 hint:0:3 intent:2:1:0x100000 commit \
		entry:41:98:0x1:0x1 commit where >layout
	# shellcheck disable=SC1090  # name=value pairs
	source <(tr ' ' '\n' <layout)
	cp sound.bin stopped.bin
	make_metadata stopped.bin open stop
}

# --- larder check ---

# shellcheck disable=SC2154  # set by make_sound
test_check_sound() {
	expect 'check: sound' 0 '^sound.bin: ok$' larder check sound.bin
	expect 'check: quiet' 0 '' larder check -q sound.bin
	[[ ! -s out && ! -s err ]] || fail 'check: quiet' 'it printed something'
	expect_json 'check: what it counts' \
		"d['slots_used'] == 12 and d['slots_dirty'] == 5 and d['grains_dirty'] == 8 and
		 d['dirty_sectors'] == 64 and d['journal_blocks_to_replay'] == 2 and
		 d['intent_pages'] == 1 and d['damages'] == 0 and d['result'] == 'ok' and
		 not d['clean_stop'] and d['slots'] == $nr_slots" larder check --json sound.bin
	expect_json 'check: after an orderly stop' \
		"d['clean_stop'] and d['journal_blocks_to_replay'] == 0 and d['slots_used'] == 12" \
		larder check --json stopped.bin
	cp sound.bin before.bin
	larder check sound.bin >/dev/null && larder dump sound.bin >/dev/null
	expect 'check and dump: nothing was written' 0 '^$' bash -c 'cmp sound.bin before.bin && echo'
	expect 'check: a device that has grown' 0 ': ok$' bash -c "cp sound.bin grown.bin &&
		truncate -s +1M grown.bin && '$build/larder' check grown.bin"
}

# shellcheck disable=SC2154
test_check_superblocks() {
	local newer=$((generation % 2)) older=$((1 - generation % 2))
	broken "flip:$older:700"
	expect 'check: older superblock damaged' 1 "damage: unit $older: superblock .: wrong checksum" \
		larder check broken.bin
	expect 'check: ... does not keep a cache from starting' 0 'ok$' larder check --activation broken.bin
	broken "flip:$newer:700"
	expect 'check: newer superblock damaged' 1 "damage: unit $newer: superblock .: wrong checksum" \
		larder check broken.bin
	broken flip:0:700 flip:1:700
	expect 'check: both superblocks damaged' 1 'unit 1: superblock B: wrong checksum; none is left' \
		larder check broken.bin
	broken flip:0:3
	expect 'check: magic of superblock A damaged' 1 'unit 0: superblock A: wrong magic' larder check broken.bin
	expect 'dump: magic of superblock A damaged' 1 'superblock A' larder dump broken.bin
	broken poke:0:112:8:0xfffffffe poke:1:112:8:0xfffffffe seal:0 seal:1
	expect 'check: more slots than the device has room for' 1 'numbers cannot be true' larder check broken.bin
	broken "poke:$older:112:8:299" "seal:$older"
	expect 'check: superblocks disagree' 1 'disagree about the layout' larder check broken.bin
	broken "poke:$newer:16:8:$older" "seal:$newer"
	expect 'check: superblock in the wrong place' 1 'belongs to another place' larder check broken.bin
	broken poke:0:64:4:99 poke:1:64:4:99 seal:0 seal:1
	expect 'check: a newer format' 65 'newer format' larder check broken.bin
	broken poke:0:88:8:0x80 poke:1:88:8:0x80 seal:0 seal:1
	expect 'check: an unknown feature' 65 'newer format' larder check broken.bin
	cp sound.bin broken.bin && truncate -s 400K broken.bin
	expect 'check: truncated' 1 'numbers cannot be true for a device of 100 units' larder check broken.bin
	expect 'check: one unit is left' 1 'cannot be true' bash -c "head -c 4096 sound.bin >one.bin; '$build/larder' check one.bin"
}

# shellcheck disable=SC2154
test_check_table() {
	local page=$((table_start + 1)) entry=$((64 + 32 * 4))
	broken "flip:$page:2000"
	expect 'check: table page damaged' 1 "unit $page: table page 1 \(slots 126 to 251\): wrong checksum" \
		larder check broken.bin
	expect 'check: ... keeps a cache from starting' 1 'damaged$' larder check --activation broken.bin
	broken "poke:$page:16:8:$table_start" "seal:$page"
	expect 'check: table page of another place' 1 'another place' larder check broken.bin
	broken "poke:$page:48:4:7" "seal:$page"
	expect 'check: table page of another number' 1 'another place in the table' larder check broken.bin
	broken "poke:$page:52:1:9" "seal:$page"
	expect 'check: unknown intent' 1 'unknown intent' larder check broken.bin
	broken "poke:$page:24:8:0" "seal:$page"
	expect 'check: table page of another cache' 1 'another cache' larder check broken.bin
	broken "poke:$page:$entry:8:0x810000000001" "seal:$page"
	expect 'check: unknown flags' 1 'unknown flags' larder check broken.bin
	broken "poke:$page:$entry:8:5" "seal:$page"
	expect 'check: free slot that holds something' 1 'free slot that is not empty' larder check broken.bin
	broken "poke:$page:$entry:8:0x10000000005" "poke:$page:$((entry + 8)):8:0x10" "seal:$page"
	expect 'check: grains beyond the block' 1 'grains beyond its block' larder check broken.bin
	broken "poke:$page:$entry:8:0x10000000005" "poke:$page:$((entry + 8)):8:1" \
		"poke:$page:$((entry + 16)):8:3" "seal:$page"
	expect 'check: dirty but not valid' 1 'dirty grains that are not valid' larder check broken.bin
	broken "poke:$page:$entry:8:$((1 << 40 | nr_origin_blocks))" "poke:$page:$((entry + 8)):8:1" "seal:$page"
	expect 'check: block beyond the origin' 1 "slot 130: holds block $nr_origin_blocks, but the origin ends" \
		larder check broken.bin
	broken "poke:$page:$entry:8:$((1 << 40 | nr_origin_blocks - 1))" "poke:$page:$((entry + 8)):8:0xf" "seal:$page"
	expect 'check: grains beyond the end of the origin' 1 'slot 130: holds grains .* beyond the end of the origin' \
		larder check broken.bin
	broken "poke:$page:$entry:8:$((1 << 40 | 402))" "poke:$page:$((entry + 8)):8:1" "seal:$page"
	expect 'check: two slots hold a block' 1 'slots 2 and 130 both hold block 402' larder check broken.bin
	# that page has an image in the double-write area, which would be taken instead
	broken "flip:$dw_start:100" "poke:$((table_start + 2)):$((64 + 32 * 100)):8:$((1 << 40 | 5))" "seal:$((table_start + 2))"
	expect 'check: slot that does not exist' 1 'slot that does not exist' larder check broken.bin
	expect_json 'check: damage as JSON' \
		"d['result'] == 'damaged' and d['damages'] == 1 and d['reports'][1]['unit'] == $table_start + 2" \
		larder check --json broken.bin
}

# shellcheck disable=SC2154
test_check_journal() {
	# block n lives at journal_start + n % journal_blocks; the tail is at block "tail"
	local first=$((journal_start + tail)) record=64
	broken "flip:$first:1000"
	expect 'check: journal block damaged' 1 "unit .*: journal block .*goes on behind a block that is damaged" \
		larder check broken.bin
	broken "poke:$((first + 1)):$((record + 4)):1:9" "seal:$((first + 1))"
	expect 'check: record of an unknown type' 1 'record of an unknown type' larder check broken.bin
	broken "poke:$((first + 1)):$record:4:300" "seal:$((first + 1))"
	expect 'check: record of a slot that does not exist' 1 'record of a slot that does not exist' larder check broken.bin
	broken "poke:$((first + 1)):60:2:127" "seal:$((first + 1))"
	expect 'check: number of records' 1 'impossible number of records' larder check broken.bin
	broken "poke:$((first + 1)):$((record + 8)):8:$((1 << 40 | 401))" "seal:$((first + 1))"
	expect 'check: journal makes two slots hold a block' 1 'slots 1 and 41 both hold block 401' larder check broken.bin
	broken "poke:$((first + 1)):$((record + 8)):8:$((1 << 40 | nr_origin_blocks))" "seal:$((first + 1))"
	expect 'check: journal names a block beyond the origin' 1 'slot 41: holds block' larder check broken.bin
}

# shellcheck disable=SC2154
test_check_double_write() {
	broken "flip:$dw_start:100"
	expect 'check: torn double-write header is no damage' 0 'note: unit .*: double-write header: wrong checksum' \
		larder check broken.bin
	broken "flip:$((dw_start + 1)):100"
	expect 'check: torn double-write page is no damage' 0 'note: unit .* pages are torn and ignored' \
		larder check broken.bin
	# the page at home was torn, its image is whole: that is what the area is for
	broken "flip:$table_start:2000"
	expect 'check: torn page with a whole image is no damage' 0 'ok$' larder check broken.bin
	broken "flip:$table_start:2000" "flip:$((dw_start + 1)):100"
	expect 'check: torn page with a torn image' 1 'table page 0' larder check broken.bin
}

test_check_foreign() {
	truncate -s 512K blank.bin
	expect 'check: blank' 65 'found: blank' larder check blank.bin
	expect 'dump: blank' 65 'found: blank' larder dump blank.bin
	expect_json 'check: blank as JSON' "d['result'] == 'not a dm-larder cache' and 'blank' in d['found']" \
		larder check --json blank.bin
	cp sound.bin wiped.bin && dd if=/dev/zero of=wiped.bin bs=4096 count=1 conv=notrunc status=none
	expect 'check: wiped by LVM' 65 'found: blank' larder check wiped.bin
	head -c 524288 /dev/urandom >random.bin && printf 'x' | dd of=random.bin conv=notrunc status=none
	expect 'check: random bytes' 65 'found: ' larder check random.bin
	truncate -s 8M ext4.bin && mke2fs -q -t ext4 -F ext4.bin
	expect 'check: ext4' 65 'ext4' larder check ext4.bin
	expect 'dump: ext4' 65 'ext4' larder dump ext4.bin
	truncate -s 8M dm-cache.bin
	cat >dm-cache.xml <<-XML
		<superblock uuid="" block_size="128" nr_cache_blocks="64" policy="smq" hint_width="4">
		<mappings></mappings><hints></hints></superblock>
	XML
	cache_restore -i dm-cache.xml -o dm-cache.bin >/dev/null
	expect 'check: dm-cache' 65 'dm-cache' larder check dm-cache.bin
	cp sound.bin overwritten.bin && dd if=ext4.bin of=overwritten.bin bs=4096 count=1 conv=notrunc status=none
	expect 'check: overwritten by ext4' 65 'superblock B of a dm-larder cache is still there' larder check overwritten.bin
	printf 'tiny' >tiny.bin
	expect 'check: tiny file' 65 'too small' larder check tiny.bin
	expect 'check: no such file' 66 'No such file' larder check does-not-exist
	expect 'check: a directory' 66 'neither a block device nor a file' larder check .
	expect 'check: a character device' 66 'neither a block device nor a file' larder check /dev/zero
	mkfifo fifo
	expect 'check: a FIFO does not hold us up' 66 'neither a block device nor a file' timeout 20 "$build/larder" check fifo
}

# --- larder dump ---

# The exact state of sound.bin, as Python's {slot: (block, valid, dirty, hint)}.
sound_slots='{0: (400,15,15,3), 1: (401,15,0,0), 2: (402,15,2,7), 3: (403,15,0,0), 9: (41,15,0,0),
	10: (42,15,0,0), 11: (43,15,0,0), 21: (30,3,1,0), 290: (31250,1,1,0), 299: (77,8,0,0),
	40: (99,15,0,0), 41: (98,1,1,0)}'

# shellcheck disable=SC2154
test_dump() {
	expect_json 'dump: JSON has every slot' \
		"{s['slot']: (s['block'], int(s['valid'], 0), int(s['dirty'], 0), s['hint']) for s in d['slots']} == $sound_slots
		 and d['intents'] == [{'page': 2, 'kind': 'writeback', 'slots': '0x100000'}]
		 and d['geometry']['origin_sectors'] == $origin and d['super']['complete']" \
		larder dump --format json sound.bin
	expect 'dump: larder XML has every slot' 0 '^True$' python3 -c "
import subprocess, xml.etree.ElementTree as tree
text = subprocess.run(['$build/larder', 'dump', '--format', 'larder', 'sound.bin'], check=True, stdout=-1).stdout
top = tree.fromstring(text)
print({int(s.get('number')): (int(s.get('block')), int(s.get('valid'), 0), int(s.get('dirty'), 0), int(s.get('hint')))
       for s in top.findall('slot')} == $sound_slots and top.find('geometry').get('block_sectors') == '32'
      and top.find('intent').get('slots') == '0x100000')"
	expect 'dump: XML has whole chunks only, and the rest in a comment' 0 '^True$' python3 -c "
import subprocess, xml.etree.ElementTree as tree
text = subprocess.run(['$build/larder', 'dump', 'sound.bin'], check=True, stdout=-1).stdout.decode()
top = tree.fromstring(text)
comment = tree.fromstring(text[text.index('<!--') + 4:text.index('-->')])
print([m.attrib for m in top.find('mappings')] == [{'cache_block': '0', 'origin_block': '100', 'dirty': 'true'}]
      and [h.attrib for h in top.find('hints')] == [{'cache_block': '0', 'data': 'BwAAAA=='}]
      and top.get('nr_cache_blocks') == '75' and len(comment.findall('slot')) == 12)"
	larder dump -o whole.xml sound.bin
	expect 'dump: -o writes the same' 0 '^$' bash -c "'$build/larder' dump sound.bin | cmp - whole.xml && echo"
	truncate -s 8M restored.bin
	expect 'dump: cache_restore takes it' 0 '<mapping cache_block="0" origin_block="100" dirty="' \
		bash -c 'cache_restore -i whole.xml -o restored.bin >/dev/null && cache_dump restored.bin'
	broken "flip:$((table_start + 1)):2000"
	expect 'dump: what can be read of damaged metadata' 1 'complete="false"' larder dump broken.bin
	expect 'dump: ... and the damage on stderr' 1 'table page 1' bash -c "'$build/larder' dump broken.bin 2>&1 >/dev/null"
	broken poke:0:240:8:0x2d2d3c3e26220a27 poke:1:240:8:0x2d2d3c3e26220a27 seal:0 seal:1
	expect 'dump: a hostile name of a policy' 0 '^True$' python3 -c "
import subprocess, json, xml.etree.ElementTree as tree
run = lambda f: subprocess.run(['$build/larder', 'dump', '--format', f, 'broken.bin'], check=True, stdout=-1).stdout.decode()
text = run('xml')
tree.fromstring(text)
inner = tree.fromstring(text[text.index('<!--') + 4:text.rindex('-->')])
print(inner.get('last_policy') == json.loads(run('json'))['super']['last_policy'] and '--' not in
      text[text.index('<!--') + 4:text.rindex('-->')])"
	expect 'check: a hostile name of a policy' 0 'ok$' larder check broken.bin
}

# Chunks with ratio 1: nothing but the last chunk is short, and everything is expressed.
test_dump_whole() {
	make_metadata plain.bin new:128:32:$origin:9600 \
		entry:0:31250:0x7:0x1 entry:1:5:0xf:0 entry:2:6:0x7:0 commit
	larder dump plain.bin >plain.xml
	expect 'dump: the short last chunk of the origin is whole' 0 'cache_block="0" origin_block="31250" dirty="true"' cat plain.xml
	expect 'dump: a chunk with a hole is not expressed' 1 '' grep 'origin_block="6"' plain.xml
	make_metadata plain.bin intent:0:2:0x1 commit 2>err && fail 'make-metadata' 'it worked without open'
	make_metadata plain.bin open entry:1:5:0xf:0 intent:0:2:0x1 commit
	expect 'dump: write-through intents drop clean grains' 1 '' \
		bash -c "'$build/larder' dump plain.bin | grep 'origin_block=\"5\"'"
	make_metadata plain.bin open entry:1:5:0xf:0 intent:0:1:0x1 commit
	expect 'dump: write-back intents make clean grains dirty' 0 'origin_block="5" dirty="true"' larder dump plain.bin
}

test_output_files() {
	printf 'precious\n' >precious && ln -s precious link && ln -s nowhere dangling
	expect 'dump: -o does not replace' 73 'it exists; --force replaces it' larder dump -o precious sound.bin
	expect 'dump: -o does not follow a link' 73 'no regular file' larder dump -o link sound.bin
	expect 'dump: --force does not follow a link' 73 'no regular file' larder dump --force -o link sound.bin
	expect 'dump: -o does not follow a dangling link' 73 'no regular file' larder dump --force -o dangling sound.bin
	expect 'dump: the file is untouched' 0 '^precious$' cat precious
	[[ ! -e nowhere ]] || fail 'dump: dangling link' 'its target was made'
	expect 'dump: --force replaces a file' 0 '' larder dump --force -o precious sound.bin
	expect 'dump: ... completely' 0 '^-->$' tail -n 1 precious
	expect 'dump: no such directory' 73 'No such file' larder dump -o no/such/file sound.bin
	expect 'dump: a full file system' 74 'No space left' bash -c "'$build/larder' dump sound.bin >/dev/full"
	expect 'check: a full file system' 74 'No space left' bash -c "'$build/larder' check sound.bin >/dev/full"
	expect 'dump: nothing is left behind' 0 '^0$' bash -c 'find . -name "*.??????" ! -name "*.bin" | grep -c "xml\.\|precious\." || true'
}

# --- the command line ---

test_usage() {
	local command
	expect 'larder: no command' 64 'usage: larder' larder
	expect 'larder: --help' 0 'usage: larder' larder --help
	expect 'larder: --version' 0 '^larder [0-9]+\.[0-9]+\.[0-9]+$' larder --version
	expect 'larder: unknown command' 64 "unknown command 'chekc'" larder chekc
	for command in check dump status; do
		expect "$command: --help" 0 "^usage: larder $command" larder "$command" --help
		expect "$command: nothing to work on" 64 'expected one' larder "$command"
		expect "$command: too much to work on" 64 'expected one' larder "$command" a b
		expect "$command: unknown option" 64 "unknown option '--nonsense'" larder "$command" --nonsense x
	done
	expect 'dump: unknown format' 64 "unknown format 'yaml'" larder dump --format yaml sound.bin
	expect 'dump: option without its value' 64 'needs a value' larder dump sound.bin -o
	expect 'dump: --force alone' 64 'without -o' larder dump --force sound.bin
	expect 'status: no such path' 66 'No such file' larder status /dev/mapper/does-not-exist
	expect 'status: not a block device' 65 'is no block device' larder status ./sound.bin
	expect 'status: an impossible name' 66 'not a name' larder status "$(printf 'x%.0s' {1..300})"
}

test_mutations() {
	local code=0
	printf '# %d mutated files, seed %d\n' "$rounds" "$seed"
	timeout $((300 + rounds / 10)) "$build/fuzz-tools" "$seed" "$rounds" sound.bin >out 2>err || code=$?
	if [[ $code -eq 0 ]]; then
		pass 'mutated metadata: check and dump survive'
	else
		grep -vE '^larder (check|dump): ' err >err.short || true
		: >out && mv err.short err
		fail 'mutated metadata: check and dump survive' "exit code $code with --seed $seed"
	fi
}

test_status_line() {
	local p f
	"$build/status-line" | tee out | grep -v ' passed, ' || true
	read -r p _ f _ < <(tail -n 1 out)
	passed=$((passed + p)) failed=$((failed + f))
}

build_all
make_sound
test_check_sound
test_check_superblocks
test_check_table
test_check_journal
test_check_double_write
test_check_foreign
test_dump
test_dump_whole
test_output_files
test_usage
test_status_line
test_mutations
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[[ $failed -eq 0 ]]
