#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests of the larder tool on metadata files: sound, damaged in every way, truncated, blank, foreign,
# and mutated at random; and on XML, its own and that of dm-cache's tools. The tool is built with the
# address and undefined-behaviour sanitizers. What it says of running caches (larder status) is tested
# where there are any, in a guest.
#
# usage: tests/unit/test-tools.sh [--rounds NUMBER] [--seed NUMBER]
#
#   --rounds   mutated files that are tried (default: 2000), and half as many repairs of random lives
#   --seed     of the mutations (default: a new one each time, which is printed)
#
# The last line is "N passed, N failed, 0 skipped".

set -euo pipefail
shopt -s lastpipe	# what judges at the end of a pipe also counts
# shellcheck source-path=SCRIPTDIR source=tools/lib.sh
. "$(dirname "$0")/tools/lib.sh"
build=$tree/build/unit/tools rounds=2000
take_rounds "$@"
need python3=python3 mke2fs=e2fsprogs cache_restore=thin-provisioning-tools
make_scratch tools
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:max_allocation_size_mb=256
cd "$scratch"

build_all() {
	local program
	build_larder
	build_make_metadata
	sanitized_cc -o "$build/status-line" "$tree/tests/unit/tools/status-line.c" "$tree/userland/status-line.c"
	for program in fuzz-tools repair-random; do
		build_with_larder $program "$tree/tests/unit/tools/$program.c"
	done
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
	cp sound.bin broken.bin && truncate -s 396K broken.bin
	expect 'check: truncated' 1 'numbers cannot be true for a device of 99 units' larder check broken.bin
	expect 'check: one unit is left' 1 'cannot be true' bash -c "head -c 4096 sound.bin >one.bin; '$build/larder' check one.bin"
}

# The mark in both superblocks that the cache device carries tuples (core/format.h).
test_tuples() {
	broken poke:0:80:8:2 poke:1:80:8:2 seal:0 seal:1
	expect 'check: tuples are carried' 0 'carries the tuples' larder check broken.bin
	expect_json 'dump: ... is in it' "d['super']['ro_compat'] == 2" larder dump --format json broken.bin
	larder dump broken.bin >marked.xml
	truncate -s "$(stat -c %s broken.bin)" restored.bin
	expect 'restore: ... is left out' 0 'not used any more' larder restore --force -i marked.xml -o restored.bin
	expect_json 'restore: ... of the superblock' "d['super']['ro_compat'] == 0" larder dump --format json restored.bin
	expect_json 'restore: ... and told' "d['tuples_left_out']" \
		larder restore --json --force -i marked.xml -o restored.bin
	expect 'repair: it is kept' 0 '' larder repair -i broken.bin -o repaired.bin
	expect_json 'repair: ... in the superblock' "d['super']['ro_compat'] == 2" larder dump --format json repaired.bin
	dd if=/dev/zero of=broken.bin bs=4096 count=1 conv=notrunc status=none
	expect 'repair: but not of a wiped one' 0 '' larder repair --wiped --accept-loss -i broken.bin -o repaired.bin
	expect_json 'repair: ... of which others may have been' "d['super']['ro_compat'] == 0" \
		larder dump --format json repaired.bin
	broken poke:0:80:8:4 poke:1:80:8:4 seal:0 seal:1
	expect 'check: what only a newer one may write' 0 'features that this version may only read' larder check broken.bin
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

# Chunks with ratio 1: everything is expressed, but for holes and the short chunk at the origin's end.
test_dump_whole() {
	make_metadata plain.bin new:128:32:$origin:9600 \
		entry:0:31250:0x7:0x1 entry:1:5:0xf:0 entry:2:6:0x7:0 commit
	larder dump plain.bin >plain.xml
	expect 'dump: the short last chunk of the origin is none of dm-cache' 1 '' grep 'origin_block="31250"' plain.xml
	expect 'dump: ... but stands in the comment' 0 '<slot number="0" block="31250"' cat plain.xml
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

# --- larder restore ---

# same_dumps FILE FILE: in everything, the size of the file aside.
same_dumps() { diff <(larder dump "$1" | sed 's/metadata_units="[0-9]*"//') <(larder dump "$2" | sed 's/metadata_units="[0-9]*"//'); }

same_slots() { diff <(larder dump "$1" | grep '<slot ') <(larder dump "$2" | grep '<slot '); }

test_restore_own() {
	local format
	for format in xml larder; do
		larder dump --format $format -o own.xml --force sound.bin
		rm -f back.bin
		expect "restore: $format makes a new file" 0 '12 of 300 slots used, 5 of them dirty' larder restore -i own.xml -o back.bin
		expect "restore: $format comes back whole" 0 '^$' bash -c "$(declare -f same_dumps larder); build='$build'; same_dumps sound.bin back.bin && echo"
		expect "restore: $format passes the check" 0 ': ok$' larder check back.bin
	done
	expect 'restore: from a pipe' 0 '^$' bash -c "'$build/larder' dump sound.bin | '$build/larder' restore -q -i - -o back.bin && echo"
	expect_json 'restore: as JSON' "d['slots_used'] == 12 and d['from'] == 'dm-larder' and not d['origin_guessed']" \
		larder restore --json -i own.xml -o back.bin
	# what was there before is gone: a journal of a later epoch, and a page of the same cache
	make_metadata back.bin open entry:200:500:0xf:0xf commit open entry:201:501:0xf:0xf commit
	expect 'restore: over an older life of the same cache' 0 '' larder restore -q -i own.xml -o back.bin
	expect 'restore: ... which does not come back' 0 '^$' bash -c "$(declare -f same_dumps larder); build='$build'; same_dumps sound.bin back.bin && echo"
	make_metadata back.bin open entry:200:500:0xf:0xf commit stop
	expect 'restore: the cache can be started and stopped' 0 'ok$' larder check back.bin
	truncate -s 300K small.bin
	expect 'restore: a smaller device has a shorter journal' 0 'slots used' larder restore -i own.xml -o small.bin
	expect 'restore: ... and the same contents' 0 '<slot number="299" block="77" valid="0x8" dirty="0x0" hint="0"/>' larder dump small.bin
	truncate -s 280K small.bin
	expect 'restore: a device that is too small' 1 'the output has 70 units of 4 KiB, this cache needs 73' larder restore -i own.xml -o small.bin
}

# A cache whose devices were made longer: by some slots in its last page, and by two pages.
test_grown() {
	make_metadata grown.bin new:73:64:100000:8000 entry:249:17:0x1:0x1 commit stop
	make_metadata grown.bin open grow:100:8064 entry:251:18:0x3:0x1 commit checkpoint \
		grow:120:16000 entry:499:19:0xf:0x3 entry:300:20:0x1:0 commit stop
	expect 'grown: check' 0 'slots: 4 used, 3 of them dirty: 4 grains' larder check grown.bin
	expect 'grown: dump' 0 '<slot number="499" block="19" valid="0xf" dirty="0x3" hint="0"/>' larder dump grown.bin
	larder dump -o grown.xml grown.bin
	truncate -s 480K back.bin
	expect 'grown: restore' 0 '4 of 500 slots used, 3 of them dirty' larder restore -i grown.xml -o back.bin
	expect 'grown: ... brings it back' 0 '^$' bash -c "$(declare -f same_dumps larder); build='$build'; same_dumps grown.bin back.bin && echo"
	rm -f back.bin
	truncate -s 480K back.bin
	expect 'grown: repair' 0 '' larder repair -i grown.bin -o back.bin
	expect 'grown: ... loses nothing' 0 '^$' bash -c "$(declare -f same_slots larder); build='$build'; same_slots grown.bin back.bin && echo"
	# one superblock is enough, and it may be the one from before the last write
	make_metadata grown.bin flip:0:100
	expect 'grown: repair with superblock B alone' 0 '' larder repair -i grown.bin -o back.bin
	expect 'grown: ... has the slots that were added' 0 'block="19"' larder dump back.bin
	make_metadata grown.bin flip:0:100 flip:1:100
	expect 'grown: repair with superblock A alone' 0 '' larder repair -i grown.bin -o back.bin
	expect 'grown: ... has the slots that were added' 0 'block="19"' larder dump back.bin
	# with no superblock the sizes tell, those when it was made, too
	make_metadata grown.bin flip:0:100
	local sizes=(--chunk-size 64 --origin-size 100000 --metadata-size $((73 * 8)))
	expect 'grown: repair without superblocks' 1 'the table goes on .* the cache has grown' \
		larder repair -i grown.bin -o none.bin "${sizes[@]}" --cache-size 8000
	expect 'grown: ... with the last size alone' 1 '--first-cache-size|no cache of these sizes' \
		larder repair -i grown.bin -o none.bin "${sizes[@]}" --cache-size 16000
	expect 'grown: ... writes nothing' 1 '' test -e none.bin
	expect 'grown: ... with both sizes' 0 '4 slots salvaged, 3 of them dirty' \
		larder repair -i grown.bin -o back.bin "${sizes[@]}" --cache-size 16000 --first-cache-size 8000
	expect 'grown: ... has the slots that were added' 0 'block="19"' larder dump back.bin
	expect 'grown: ... shrunk' 1 'no cache of these sizes' \
		larder repair -i grown.bin -o none.bin "${sizes[@]}" --cache-size 8000 --first-cache-size 16000
}

# XML as cache_dump of thin-provisioning-tools 1.1 writes it, but for names in capitals.
stock_xml() {
	cat <<-XML
		<superblock uuid="" block_size="${BLOCK:-128}" nr_cache_blocks="${BLOCKS:-64}" policy="smq" hint_width="${WIDTH:-4}">
		  <mappings>
		    <mapping cache_block="0" origin_block="7" dirty="true"/>
		    <mapping cache_block="5" origin_block="2" dirty="false"/>${MAPPING:-}
		  </mappings>
		  <hints>
		    <hint cache_block="0" data="BwAAAA=="/>
		    <hint cache_block="5" data="${HINT:-AAAAAA==}"/>
		  </hints>${MORE:-}
		</superblock>${TAIL:-}
	XML
}

# In block 128 of 16 KiB: chunk c of 64 KiB is slots 4c to 4c + 3, as the data already lies.
stock_slots='{0: (28,15,15,7), 1: (29,15,15,7), 2: (30,15,15,7), 3: (31,15,15,7),
	20: (8,15,0,0), 21: (9,15,0,0), 22: (10,15,0,0), 23: (11,15,0,0)}'
slots_of_json="{s['slot']: (s['block'], int(s['valid'], 0), int(s['dirty'], 0), s['hint']) for s in d['slots']}"

test_restore_stock() {
	local made
	stock_xml >stock.xml
	rm -f stock.bin
	expect 'restore: XML of dm-cache' 0 'the origin is taken to have 1024 sectors' larder restore -i stock.xml -o stock.bin
	expect_json 'restore: chunks became blocks in their places' "$slots_of_json == $stock_slots
		and d['geometry']['chunk_sectors'] == 128 and d['geometry']['origin_sectors'] == 1024
		and d['super']['clean_stop'] and d['super']['last_policy'] == 'smq'" larder dump --format json stock.bin
	expect 'restore: dm-cache XML comes out as it went in' 0 '^$' bash -c "'$build/larder' dump stock.bin | sed '/^<!--/,\$d' | cmp - stock.xml && echo"
	expect 'restore: with the size of the origin' 0 '' larder restore --origin-size 1g -q -i stock.xml -o stock.bin
	expect_json 'restore: ... which is recorded' "d['geometry']['origin_sectors'] == 2097152" larder dump --format json stock.bin
	expect 'restore: an origin with a short end' 0 '' larder restore --origin-size 920 -q -i stock.xml -o stock.bin
	expect_json 'restore: ... has short last blocks' "(d['slots'][0]['block'], d['slots'][0]['valid'], len(d['slots'])) == (28, '0x7', 5)" \
		larder dump --format json stock.bin
	expect 'restore: an origin that ends before a mapping' 1 'block 7 of the origin is cached' larder restore --origin-size 896 -i stock.xml -o stock.bin
	expect 'restore: not stopped in order' 0 '' larder restore --omit-clean-shutdown -q -i stock.xml -o stock.bin
	expect_json 'restore: ... all is dirty' "not d['super']['clean_stop'] and all(s['dirty'] == s['valid'] for s in d['slots'])" \
		larder dump --format json stock.bin
	expect 'restore: the started cache has all of it' 0 'slots: 8 used, 8 of them dirty' bash -c \
		"'$build/make-metadata' stock.bin open && '$build/larder' check stock.bin"
	WIDTH=8 stock_xml >wide.xml
	expect 'restore: hints that are too wide' 1 'line 1: .*hints have 8 bytes' larder restore -i wide.xml -o stock.bin
	expect 'restore: ... can be left out' 0 '8 of 256 slots used' larder restore --without-hints -i wide.xml -o stock.bin
	# through the real tools, and back
	for made in 1 2; do
		truncate -s 8M real.bin
		cache_restore --metadata-version $made -i stock.xml -o real.bin >/dev/null
		cache_dump real.bin >real.xml
		expect "restore: what cache_dump writes of version $made" 0 '8 of 256 slots used' larder restore -i real.xml -o stock.bin
	done
	larder restore -q -i stock.xml -o stock.bin
	larder dump stock.bin >ours.xml
	expect 'restore: cache_restore takes what comes of it' 0 'cache_block="5" origin_block="2" dirty="false"' \
		bash -c 'cache_restore --metadata-version 1 -i ours.xml -o real.bin >/dev/null && cache_dump real.bin'
	expect 'restore: dm-cache is converted in its place' 0 '8 of 256' larder restore -i stock.xml -o real.bin
	expect 'restore: ... and is a larder' 0 ': ok$' larder check real.bin
}

# refused NAME PATTERN: the XML on stdin must be refused, and nothing written.
refused() {
	cat >refused.xml
	cp sound.bin kept.bin
	expect "restore: $1" 1 "$2" larder restore -i refused.xml -o kept.bin
	cmp -s sound.bin kept.bin || fail "restore: $1" 'the output was touched'
}

test_restore_refused() {
	MAPPING='<mapping cache_block="5" origin_block="3" dirty="true"/>' stock_xml | refused 'a cache block twice' 'line 4: a second mapping of cache block 5'
	MAPPING='<mapping cache_block="6" origin_block="7" dirty="true"/>' stock_xml | refused 'an origin block twice' 'both hold block 28'
	MAPPING='<mapping cache_block="64" origin_block="9" dirty="true"/>' stock_xml | refused 'a block beyond the cache' 'is no number from 0 to 63'
	MAPPING='<mapping cache_block="6" origin_block="9" dirty="yes"/>' stock_xml | refused 'a strange flag' 'neither true nor false'
	MAPPING='<mapping cache_block="6" origin_block="9"/>' stock_xml | refused 'an attribute that is missing' 'there are 2 of 3'
	MAPPING='<mapping cache_block="6" origin_block="9" dirty="true" pinned="true"/>' stock_xml | refused 'an unknown attribute' 'unexpected attribute pinned'
	MORE='<discards/>' stock_xml | refused 'an unknown element' 'line 9: unexpected element <discards> in <superblock>'
	MORE='text' stock_xml | refused 'text' 'text outside'
	MORE='<![CDATA[ ]]>' stock_xml | refused 'CDATA' 'a CDATA section'
	MORE='<?run it?>' stock_xml | refused 'a processing instruction' 'a processing instruction'
	MORE='&lt;' stock_xml | refused 'an entity' 'text outside'
	HINT=A stock_xml | refused 'a hint that is no base64' 'a hint that is not'
	BLOCK=100 stock_xml | refused 'an impossible block size' 'cannot be'
	BLOCKS=0 stock_xml | refused 'no blocks' 'cannot be'
	BLOCKS=4294967295 stock_xml | refused 'too many blocks' 'no number from 0 to 4294967294'
	stock_xml | head -n 5 | refused 'half a file' 'no XML: no element found'
	TAIL='<!-- never ends' stock_xml | refused 'half a comment' 'ends within a comment'
	printf '' | refused 'an empty file' 'no XML'
	printf '<!DOCTYPE a [<!ENTITY b "c">]><superblock/>' | refused 'a document type' 'document type'
	printf '%s' '<larder/>' | refused 'a larder without anything' 'there are 0 of 14'
	python3 -c "print('<superblock uuid=\"' + 'x' * (64 << 20) + '\"/>')" | refused 'an attribute of 64 MiB' 'too long'
	python3 -c "print('<superblock ' + ' '.join('a%d=\"\"' % i for i in range(1000000)) + '/>')" | refused 'a million attributes' 'too long|unexpected attribute'
	python3 -c "print('<larder>' * 1000000)" | refused 'a million levels' 'attribute is missing'
	larder dump sound.bin >good.xml
	sed 's/origin_block="100" dirty="true"/origin_block="100" dirty="false"/' good.xml | refused 'halves that differ' 'disagree about cache block 0'
	sed 's/block_size="128"/block_size="256"/' good.xml | refused 'halves of different sizes' 'of different sizes'
	sed 's/complete="true"/complete="false"/' good.xml | refused 'an incomplete dump' 'dumped from damaged metadata'
	sed 's/incompat="0x0"/incompat="0x4"/' good.xml | refused 'a feature that is not known' 'newer dm-larder'
	sed 's/nr_slots="300"/nr_slots="301"/' good.xml | refused 'an impossible geometry' 'geometry and layout are impossible'
	sed 's/slot number="299"/slot number="290"/' good.xml | refused 'a slot twice' 'slot 290 comes twice'
	sed 's/slot number="299"/slot number="300"/' good.xml | refused 'a slot that does not exist' 'no number from 0 to 299'
	sed 's/valid="0x8"/valid="0x10"/' good.xml | refused 'grains beyond the block' 'grains beyond its block'
	sed 's/block="77"/block="41"/' good.xml | refused 'a block in two slots' 'both hold block 41'
	sed 's/block="77"/block="99999"/' good.xml | refused 'a block beyond the origin' 'the origin ends with'
	sed '/<layout/d' good.xml | refused 'no layout' 'without <geometry> and <layout>'
	printf "%s\n<!-- <slot/> -->" "$(<good.xml)" | refused 'two elements in comments' 'a second element'
	sed 's/complete="true"/complete="false"/' good.xml >incomplete.xml
	expect 'restore: an incomplete dump, as asked' 0 '' larder restore -q --incomplete -i incomplete.xml -o kept.bin
}

# --- larder repair ---

repaired_slots() { expect_json "$1" "$2" larder dump --format json repaired.bin; }

# repair NAME CODE PATTERN [OPTION...]: broken.bin into repaired.bin, which must pass the check.
repair() {
	local name=$1 code=$2 pattern=$3
	shift 3
	rm -f repaired.bin
	expect "repair: $name" "$code" "$pattern" larder repair -i broken.bin -o repaired.bin "$@"
	[[ ! -e repaired.bin ]] || larder check -q repaired.bin || fail "repair: $name" 'what was written is damaged'
}

# shellcheck disable=SC2154
test_repair() {
	local tail_block=$((journal_start + tail)) newer=$((generation % 2))
	cp sound.bin broken.bin
	repair 'sound metadata' 0 '12 slots salvaged, 5 of them dirty'
	repaired_slots 'repair: ... stays as it is' "$slots_of_json == $sound_slots"
	broken "flip:$newer:700"
	repair 'a superblock' 0 'superblock . is lost'
	repaired_slots 'repair: ... costs nothing' "$slots_of_json == $sound_slots"
	broken "flip:$((table_start + 1)):2000"
	repair 'a table page' 1 'table page 1 .slots 126 to 251. is lost'
	repaired_slots 'repair: ... costs what it had' "$slots_of_json == $sound_slots"
	broken "flip:$((table_start + 1)):2000"
	repair 'accepted loss' 0 'WARNING: what is lost may have been dirty' --accept-loss
	rm repaired.bin
	expect_json 'repair: as JSON' "d['written'] and d['may_lack_dirty'] and d['lost']['pages'] == 1 and d['lost']['slots_unknown'] == 126
		and d['exit_code'] == 1 and d['slots_used'] == 12" larder repair --json -i broken.bin -o repaired.bin
	broken "flip:$table_start:2000"
	repair 'a table page with a copy' 0 '12 slots salvaged'
	broken "flip:$table_start:2000" "flip:$dw_start:100"
	repair 'a table page with a copy that no header names' 0 '12 slots salvaged'
	# the first of two commits: what the second one names is certain, all else may have changed
	broken "flip:$tail_block:100"
	repair 'a hole in the journal' 1 'journal block .* is lost, with up to 126 changes'
	repaired_slots 'repair: ... leaves what is certain' "list($slots_of_json) == [41]"
	repair 'a hole in the journal, kept' 1 'were kept, as asked' --keep-uncertain
	repaired_slots 'repair: ... with what may be out of date' "len(d['slots']) == 12 and 40 not in $slots_of_json and 8 in $slots_of_json"
	broken "poke:$table_start:$((64 + 32 * 5)):8:$((1 << 40 | 402))" "poke:$table_start:$((64 + 32 * 5 + 8)):8:1" "seal:$table_start" "flip:$dw_start:100"
	repair 'a block in two slots of the table' 1 '2 slots hold block 402: which one is right is unknown'
	repaired_slots 'repair: ... drops both' "2 not in $slots_of_json and 5 not in $slots_of_json and len(d['slots']) == 11"
	broken "poke:$table_start:$((64 + 32 * 5)):8:$((1 << 40 | 98))" "poke:$table_start:$((64 + 32 * 5 + 8)):8:1" "seal:$table_start" "flip:$dw_start:100"
	repair 'a block in the table and in the journal' 0 'the last that the journal names is kept'
	repaired_slots 'repair: ... believes the journal' "5 not in $slots_of_json and 41 in $slots_of_json"
}

# shellcheck disable=SC2154
test_repair_superblocks() {
	local sizes=(--chunk-size 64k --cache-size 9600 --origin-size "$origin")
	broken flip:0:700 flip:1:700
	repair 'both superblocks' 1 'neither superblock is left. .*--chunk-size, --cache-size and --origin-size'
	[[ ! -e repaired.bin ]] || fail 'repair: both superblocks' 'something was written'
	repair 'both superblocks, with the sizes' 0 '12 slots salvaged' "${sizes[@]}"
	repaired_slots 'repair: ... all is there' "$slots_of_json == $sound_slots"
	repair 'both superblocks, with wrong sizes' 1 'not where these sizes would have them' --chunk-size 64k --cache-size 96000 --origin-size "$origin"
	broken 'poke:0:0:8:0' 'poke:0:32:8:0'
	repair 'an overwritten superblock A' 65 '--wiped'
	repair 'an overwritten superblock A, as told' 0 '12 slots salvaged' --wiped
	cp sound.bin broken.bin && dd if=/dev/zero of=broken.bin bs=4096 count=1 conv=notrunc status=none
	repair 'a wiped device' 65 'blank, or was wiped for a new cache'
	repair 'a wiped device, as told' 0 '12 slots salvaged' --wiped
	truncate -s 512K broken.bin && broken flip:0:3
	repair 'the magic of superblock A' 0 '12 slots salvaged'
	cp sound.bin broken.bin && truncate -s 392K broken.bin
	truncate -s 512K repaired-here.bin
	expect 'repair: a device that was cut' 1 'table pages? .* is lost|table page 1 ' larder repair -i broken.bin -o repaired-here.bin
	expect 'repair: ... into one of the right size' 0 'ok$' larder check repaired-here.bin
	broken poke:0:88:8:0x80 poke:1:88:8:0x80 seal:0 seal:1
	repair 'a newer format' 65 'a newer dm-larder'
	cp blank.bin broken.bin
	repair 'a blank device' 65 'all zero'
	cp ext4.bin broken.bin
	repair 'a file system' 65 'ext2/ext3/ext4'
}

# --- larder metadata-size ---

test_metadata_size() {
	expect 'metadata-size: blocks' 0 '^8[0-9]{3} sectors$' larder metadata-size --nr-blocks 1000
	expect 'metadata-size: number only' 0 '^[0-9]+$' larder metadata-size --nr-blocks 1000 -n
	expect 'metadata-size: sizes and unit' 0 '^6\.30 mebibytes$' larder metadata-size --block-size 64k --device-size 1g --unit m
	expect 'metadata-size: the same in sectors' 0 '^12896 sectors$' larder metadata-size --block-size 128 --device-size 2097152 --max-hint-width 4
	expect 'metadata-size: minimum' 0 '^2096 sectors$' larder metadata-size --block-size 64k --device-size 1g --minimum
	# what it says is what a cache takes: one unit less is refused
	expect 'metadata-size: the minimum suffices' 0 '' make_metadata least.bin new:262:128:2097152:2097152
	expect 'metadata-size: ... and is one' 64 'no geometry' make_metadata least.bin new:261:128:2097152:2097152
	expect 'metadata-size: what is wanted gives small blocks' 0 'block_sectors=32 ' make_metadata least.bin new:1612:128:2097152:2097152 where
	expect 'metadata-size: nothing to go by' 64 'expected --block-size' larder metadata-size
	expect 'metadata-size: half' 64 'expected --block-size' larder metadata-size --block-size 128
	expect 'metadata-size: both' 64 'expected --block-size' larder metadata-size --block-size 128 --device-size 1g --nr-blocks 5
	expect 'metadata-size: unknown unit' 64 "unknown unit 'mib'" larder metadata-size --nr-blocks 5 -u mib
	expect 'metadata-size: a block that cannot be' 64 'steps of 8' larder metadata-size --block-size 100 --device-size 1g
}

# --- by the names of dm-cache's tools ---

test_old_names() {
	local name
	mkdir -p old && for name in cache_check cache_dump cache_metadata_size cache_repair cache_restore; do
		ln -sf "$build/larder" old/$name
		expect "$name: version, as LVM reads it" 0 '^1\.1\.0 ' old/$name -V
		expect "$name: --help" 0 '^usage: larder ' old/$name --help
	done
	expect 'cache_check: as LVM runs it' 0 '' old/cache_check -q --clear-needs-check-flag sound.bin
	expect 'cache_check: other options of the original' 0 'ok$' old/cache_check --super-block-only --skip-mappings --skip-hints --skip-discards sound.bin
	broken "flip:$((1 - generation % 2)):700"
	expect 'cache_check: a spare superblock does not stop LVM' 0 'ok$' old/cache_check broken.bin
	broken "flip:$((table_start + 1)):2000"
	expect 'cache_check: damage does' 1 '' old/cache_check -q broken.bin
	expect 'cache_dump: the same as larder dump' 0 '^$' bash -c "old/cache_dump sound.bin | cmp - <('$build/larder' dump sound.bin) && echo"
	expect 'cache_restore: the original command line' 0 '' old/cache_restore -q --metadata-version 2 --input own.xml --output back.bin
	truncate -s 512K spare.bin && dd if=/dev/urandom of=spare.bin bs=4k count=128 conv=notrunc status=none
	expect 'cache_repair: as LVM runs it, whatever the output holds' 0 'slots salvaged' old/cache_repair -i sound.bin -o spare.bin
	expect 'cache_repair: as lvm2 2.03.16 runs it, with an empty word' 0 'slots salvaged' old/cache_repair '' -i sound.bin -o spare.bin
	expect 'cache_repair: LVM must not take a loss for success' 1 'WARNING' old/cache_repair -q -i broken.bin -o spare.bin
	expect 'cache_metadata_size: as the original' 0 '^[0-9]+ sectors$' old/cache_metadata_size --nr-blocks 10240
	expect 'cache_check: messages carry the name' 64 '^cache_check: ' old/cache_check
}

# --- where restore and repair write ---

test_targets() {
	local command input
	for command in restore repair; do
		[[ $command == restore ]] && input=own.xml || input=sound.bin
		cp sound.bin there.bin && ln -sf there.bin there.link && ln -sf nowhere.bin gone.link
		expect "$command: not through a link to a file" 73 'symbolic link to a file' larder $command -i $input -o there.link
		expect "$command: not through a dangling link" 73 'No such file|exists' larder $command -i $input -o gone.link
		[[ ! -e nowhere.bin ]] || fail "$command: dangling link" 'its target was made'
		cmp -s sound.bin there.bin || fail "$command: link" 'its target was changed'
		expect "$command: not into a directory" 73 'neither a block device nor' larder $command -i $input -o .
		expect "$command: not into a character device" 73 'neither a block device nor' larder $command -i $input -o /dev/null
		expect "$command: not into a FIFO" 73 'neither a block device nor' timeout 20 "$build/larder" $command -i $input -o fifo
		expect "$command: no such directory" 73 'No such file' larder $command -i $input -o no/such/file
		expect "$command: no input" 66 'No such file' larder $command -i does-not-exist -o new.bin
		[[ ! -e new.bin ]] || fail "$command: no input" 'the output was made'
		expect "$command: a file system that is too small" 73 'File too large' bash -c "ulimit -f 200; trap '' XFSZ; '$build/larder' $command -i $input -o too-large.bin"
		[[ ! -e too-large.bin ]] || fail "$command: a file system that is too small" 'half a file stays'
	done
	cp ext4.bin there.bin
	expect 'restore: not over a file system' 73 'holds ext2/ext3/ext4: --force' larder restore -i own.xml -o there.bin
	expect 'restore: ... but by force' 0 '' larder restore -q --force -i own.xml -o there.bin
	cp sound.bin same.bin && ln -f same.bin twin.bin
	expect 'repair: not onto itself' 64 'the same device' larder repair -i same.bin -o twin.bin
	cp sound.bin there.bin
	# the first write is the mark: a device is never half of one cache and half of another
	expect 'restore: interrupted' 74 '' bash -c "ulimit -f 100; trap '' XFSZ; '$build/larder' restore -q -i own.xml -o there.bin"
	expect 'restore: ... leaves no cache' 1 'a restore or repair onto this device has not finished' larder check there.bin
	expect 'restore: ... nothing to repair' 1 'has not finished' larder repair -i there.bin -o new.bin
	expect 'restore: ... done again' 0 '' larder restore -q -i own.xml -o there.bin
	expect 'restore: ... it is one' 0 'ok$' larder check there.bin
}

# --- the command line ---

test_usage() {
	local command
	expect 'larder: no command' 64 'usage: larder' larder
	expect 'larder: --help' 0 'usage: larder' larder --help
	expect 'larder: --version' 0 '^larder [0-9]+\.[0-9]+\.[0-9]+$' larder --version
	expect 'larder: unknown command' 64 "unknown command 'chekc'" larder chekc
	expect 'repair: nothing to work on' 64 'expected -i' larder repair
	for command in restore repair; do
		expect "$command: only one side" 64 'expected -i' larder "$command" -i own.xml
		expect "$command: too much to work on" 64 "unexpected argument 'c'" larder "$command" -i a -o b c
		expect "$command: an impossible size" 64 'is no size' larder "$command" --origin-size 100b -i a -o b
	done
	for command in check dump metadata-size repair restore status; do
		expect "$command: --help" 0 "^usage: larder $command" larder "$command" --help
		expect "$command: unknown option" 64 "unknown option '--nonsense'" larder "$command" --nonsense x
	done
	for command in check dump status; do
		expect "$command: nothing to work on" 64 'expected one' larder "$command"
		expect "$command: too much to work on" 64 'expected one' larder "$command" a b
	done
	expect 'dump: unknown format' 64 "unknown format 'yaml'" larder dump --format yaml sound.bin
	expect 'dump: option without its value' 64 'needs a value' larder dump sound.bin -o
	expect 'dump: --force alone' 64 'without -o' larder dump --force sound.bin
	expect 'status: no such path' 66 'No such file' larder status /dev/mapper/does-not-exist
	expect 'status: not a block device' 65 'is no block device' larder status ./sound.bin
	expect 'status: an impossible name' 66 'not a name' larder status "$(printf 'x%.0s' {1..300})"
}

# at_random NAME LIMIT COMMAND...: a command that tries things by the seed.
at_random() {
	local name=$1 limit=$2 code=0
	shift 2
	timeout "$limit" "$@" >out 2>err || code=$?
	if [[ $code -eq 0 ]]; then
		pass "$name"
	else
		grep -vE '^larder (check|dump|repair|restore): ' err | tail -n 30 >err.short || true
		: >out && mv err.short err
		fail "$name" "exit code $code with --seed $seed"
	fi
}

test_mutations() {
	local limit=$((600 + rounds / 5))
	printf '# %d mutated files, seed %d\n' "$rounds" "$seed"
	at_random 'mutated metadata: check, dump and repair survive' $limit "$build/fuzz-tools" "$seed" "$rounds" sound.bin
	at_random 'mutated XML: restore survives' $limit "$build/fuzz-tools" "$seed" "$rounds" own.xml whole.xml stock.xml
	at_random 'random lives, damaged: repair tells the truth' $limit "$build/repair-random" "$seed" $((rounds / 2))
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
test_tuples
test_check_table
test_check_journal
test_check_double_write
test_check_foreign
test_dump
test_dump_whole
test_output_files
test_restore_own
test_grown
test_restore_stock
test_restore_refused
test_repair
test_repair_superblocks
test_metadata_size
test_old_names
test_targets
test_usage
test_status_line
test_mutations
finish
