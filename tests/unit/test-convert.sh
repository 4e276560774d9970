#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests of larder convert and larder writeback on files, with the tools of dm-cache: what comes out of a
# conversion is what went in, and a power cut at each write and each flush loses nothing. Built with the
# address and undefined-behaviour sanitizers. Volumes of LVM are converted in a guest, by
# tests/unit/tools/convert-vm.
#
# usage: tests/unit/test-convert.sh [--rounds NUMBER] [--seed NUMBER]
#
#   --rounds   random caches, each cut at every point (default: 3), in each of three ways
#   --seed     of these (default: a new one each time, which is printed)
#
# The last line is "N passed, N failed, 0 skipped".

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools/lib.sh
. "$(dirname "$0")/tools/lib.sh"
build=$tree/build/unit/convert rounds=3
take_rounds "$@"
need python3=python3 mke2fs=e2fsprogs cache_restore=thin-provisioning-tools
cache_restore=$(command -v cache_restore)
make_scratch convert
export TMPDIR=$scratch ASAN_OPTIONS=detect_leaks=1:abort_on_error=1

build_all() {
	build_larder
	build_make_metadata
	build_with_larder convert-cuts -Wl,--wrap=pwrite64,--wrap=fsync,--wrap=unlink \
		"$tree"/tests/unit/tools/convert-{cuts,disk-cuts}.c
}

# --- caches to convert ---

chunk=128 nr_chunks=40 nr_origin=100

# stock_xml: a random dm-cache, mappings in the order of cache_dump.
stock_xml() {
	python3 - "$seed" "$chunk" "$nr_chunks" "$nr_origin" <<-'PYTHON'
		import base64, random, sys
		seed, chunk, nr, origin = map(int, sys.argv[1:])
		r = random.Random(seed)
		owner = r.sample(range(origin), nr)
		used = [c for c in range(nr) if r.random() < 0.7]
		print('<superblock uuid="" block_size="%d" nr_cache_blocks="%d" policy="smq" hint_width="4">' % (chunk, nr))
		print('  <mappings>')
		for c in used:
		    print('    <mapping cache_block="%d" origin_block="%d" dirty="%s"/>' % (c, owner[c], r.choice(['true', 'false'])))
		print('  </mappings>\n  <hints>')
		for c in used:
		    print('    <hint cache_block="%d" data="%s"/>' % (c, base64.b64encode(r.randbytes(4)).decode()))
		print('  </hints>\n</superblock>')
	PYTHON
}

# new_stock VERSION [OPTION]: metadata, cache and origin in files.
new_stock() {
	local version=$1
	shift
	rm -f metadata && truncate -s 1M metadata
	"$cache_restore" -q --metadata-version "$version" "$@" -i stock.xml -o metadata
	head -c $((nr_chunks * chunk * 512)) /dev/zero >cache
	head -c $((nr_origin * chunk * 512)) /dev/zero >origin
}

from=(larder convert --from-dm-cache --metadata-device metadata --origin-device origin --staging staging --force)
to=(larder convert --to-dm-cache --metadata-device metadata --cache-device cache --origin-device origin
	--staging staging --force)

# The part of our dump that is dm-cache's.
stock_part() { larder dump "$1" | sed '/^<!--/,$d'; }
same_xml() { diff <(stock_part metadata) "$1"; }
# ... and without hints, which are of an orderly stop, too.
all_dirty() { sed 's/dirty="false"/dirty="true"/;s/data="[^"]*"/data="AAAAAA=="/' stock.xml >dirty.xml; }

test_from() {
	local version
	stock_xml >stock.xml && all_dirty
	for version in 1 2; do
		new_stock $version
		expect "from: format $version" 0 'metadata: converted' "${from[@]}"
		expect "from: format $version, each mapping, dirty bit and hint" 0 '' same_xml stock.xml
		expect "from: format $version, sound" 0 ': ok$' larder check metadata
		expect "from: format $version, once more" 0 'is a dm-larder cache already' "${from[@]}"
		# the kernel takes all for dirty then, in both formats
		new_stock $version --omit-clean-shutdown
		expect "from: format $version, not stopped in order" 0 'counts as dirty' "${from[@]}"
		expect "from: format $version, ... all is dirty" 0 '' same_xml dirty.xml
		new_stock $version
		cp metadata before
		expect "from: format $version, dry run" 0 'would be converted' "${from[@]}" --dry-run
		expect "from: format $version, ... writes nothing" 0 '' cmp metadata before
	done
	expect 'from: nothing is left behind' 1 '' test -e staging
	new_stock 2
	expect 'from: JSON' 0 '"outcome": ?"converted"' "${from[@]}" --json
}

test_to() {
	local version
	for version in 1 2; do
		new_stock 1
		"${from[@]}" -q
		expect "to: format $version" 0 'metadata: converted' "${to[@]}" --metadata-version $version
		expect "to: format $version, cache_check" 0 '' cache_check -q metadata
		cp metadata before
		expect "to: format $version, and from" 0 'metadata: converted' "${from[@]}"
		expect "to: format $version, ... it is what it was" 0 '' same_xml stock.xml
		cp before metadata
		expect "to: format $version, once more" 0 'is a dm-cache already' "${to[@]}"
		# what other readers make of it; 0.9 does not see the dirty bits of format 2
		[[ $version == 2 ]] || expect 'to: format 1, what cache_dump reads' 0 '' \
			diff <(cache_dump metadata) stock.xml
		new_stock 1
		"${from[@]}" -q
		cp metadata before
		expect "to: format $version, dry run" 0 'would be converted' "${to[@]}" --dry-run
		expect "to: format $version, ... writes nothing" 0 '' cmp metadata before
	done
}

# What is not a dm-cache, or not one that can be converted, must be left alone.
refused() {
	local name=$1 code=$2 pattern=$3
	shift 3
	cp metadata before
	expect "refused: $name" "$code" "$pattern" "$@"
	cmp -s metadata before || fail "refused: $name" 'the metadata was changed'
}

poke() { printf '%b' "$2" | dd of=metadata bs=1 seek="$1" conv=notrunc status=none; }

test_refused() {
	local unit
	new_stock 2
	refused 'origin that is too small' 1 'is cached, but --origin-size ends' larder convert --from-dm-cache \
		--metadata-device metadata --origin-size 128 --staging staging --force
	refused 'cache that is too small' 65 'but the dm-cache has' larder convert --from-dm-cache --cache-device before \
		--metadata-device metadata --origin-device origin --staging staging --force
	refused 'to, of a dm-cache' 0 'is a dm-cache already' "${to[@]}"
	refused 'staging in memory' 73 'file system in memory' "${from[@]:0:7}" --staging /dev/shm/larder-convert.$$
	expect 'refused: ... which is not left there' 1 '' test -e /dev/shm/larder-convert.$$
	head -c 2M /dev/urandom >precious && cp precious precious.before
	refused 'staging that holds something' 73 'it holds something else' "${from[@]:0:7}" --force --staging precious
	expect 'refused: ... untouched' 0 '' cmp precious precious.before
	refused 'metadata in use' 66 'is in use' flock metadata "$build/larder" "${from[@]:1}"
	refused 'no staging' 64 'expected --staging' "${from[@]:0:7}"
	refused 'both ways' 64 'expected one of' "${from[@]}" --to-dm-cache
	poke 4 '\003'
	refused 'damaged superblock' 1 'superblock of the dm-cache is damaged' "${from[@]}"
	new_stock 2 && for unit in {1..30}; do poke $((4096 * unit + 100)) 'damage'; done
	refused 'damaged blocks' 1 'of the dm-cache.s metadata|holds block' "${from[@]}"
	truncate -s 0 metadata && truncate -s 1M metadata
	refused 'blank, from' 65 'holds no metadata of a dm-cache' "${from[@]}"
	refused 'blank, to' 65 'holds no dm-larder cache, found: blank' "${to[@]}"
	mke2fs -q -t ext4 -F metadata
	refused 'ext4, from' 65 'holds no metadata of a dm-cache' "${from[@]}"
	refused 'ext4, to' 65 'found: ext2/ext3/ext4' "${to[@]}"
	# chunks that dm-cache cannot have
	make_metadata metadata new:256:40:100000:10000 commit stop
	refused 'chunks of 20 KiB' 65 'multiple of 32 KiB' "${to[@]}"
	make_metadata metadata new:256:128:12800:5120 entry:0:1:0xf:0xf commit stop
	make_metadata metadata poke:200:0:1:1 flip:0:700 flip:1:700
	refused 'damaged metadata of ours' 1 'damaged' "${to[@]}"
	# a tool that loses dirty bits
	stock_xml >stock.xml && new_stock 1 && "${from[@]}" -q
	cat >liar <<-SH
		#!/bin/bash
		while [[ \$1 != -i ]]; do args+=("\$1"); shift; done
		sed 's/dirty="true"/dirty="false"/' "\$2" >"$scratch/clean.xml"
		exec "$cache_restore" "\${args[@]}" -i "$scratch/clean.xml" "\${@:3}"
	SH
	chmod +x liar
	refused 'a cache_restore that loses dirty bits' 73 'is wrong \(dirty bits\)' "${to[@]}" --cache-restore "$scratch/work/liar"
	refused 'no cache_restore' 73 'there is no cache_restore' "${to[@]}" --cache-restore /nonexistent
}

# A metadata device that is as small as LVM makes them suffices; a smaller one is refused.
test_small() {
	chunk=128 nr_chunks=4000 nr_origin=4000
	stock_xml >stock.xml
	new_stock 2
	rm -f metadata && truncate -s 540K metadata
	"$cache_restore" -q -i stock.xml -o metadata
	expect 'from: small metadata gives larger blocks' 0 'converted' larder convert --from-dm-cache \
		--metadata-device metadata --origin-size 1g --staging staging --force
	expect 'from: ... all of it' 0 '' same_xml stock.xml
	rm -f metadata && truncate -s 360K metadata
	"$cache_restore" -q -i stock.xml -o metadata
	refused 'metadata that is too small' 73 'this cache needs [0-9]+' larder convert --from-dm-cache \
		--metadata-device metadata --origin-size 1g --staging staging --force
	chunk=128 nr_chunks=40 nr_origin=100
}

# Killed behind the mark: neither starts it, and only the same command goes on.
test_interrupted() {
	stock_xml >stock.xml && new_stock 2
	cp metadata whole
	expect 'interrupted: behind the mark' 199 '' "$build/convert-cuts" stop-behind-mark
	expect 'interrupted: larder check says what to do' 1 'a conversion has not finished: run' larder check metadata
	expect 'interrupted: larder repair, too' 1 'a conversion has not finished: run' larder repair -i metadata -o new
	expect 'interrupted: no dm-cache any more' 1 '' cache_check -q metadata
	expect 'interrupted: without the staging' 1 'the new metadata is in .*staging' "${from[@]:0:7}" --force --staging other
	expect 'interrupted: the other way' 1 'run it again with --from-dm-cache first' "${to[@]}"
	cp staging staging.good && printf 'x' | dd of=staging bs=1 seek=5000 conv=notrunc status=none
	expect 'interrupted: with a damaged staging' 1 'the metadata in the staging is damaged' "${from[@]}"
	cp staging.good staging
	cp whole other-metadata
	expect 'interrupted: staging of another' 73 'in conversion: finish that first' larder convert --from-dm-cache \
		--metadata-device other-metadata --origin-device origin --staging staging --force
	expect 'interrupted: done again' 0 'metadata: finished' "${from[@]}"
	expect 'interrupted: ... all of it' 0 '' same_xml stock.xml
}

test_writeback() {
	local back=(larder writeback --metadata-device metadata --fast-device cache --origin-device origin)
	stock_xml >stock.xml && new_stock 2 && "${from[@]}" -q
	cp metadata before && cp origin origin.before
	head -c $((nr_chunks * chunk * 512)) /dev/urandom >cache
	expect 'writeback: no metadata update' 0 'still calls them dirty' "${back[@]}" --no-metadata-update
	expect 'writeback: ... as it was' 0 '' cmp metadata before
	cp origin written && cp origin.before origin
	expect 'writeback: JSON' 0 '"slots_failed": ?0' "${back[@]}" --json
	expect 'writeback: the origin' 0 '' cmp origin written
	expect 'writeback: nothing is dirty' 0 'slots: [0-9]+ used, 0 of them dirty' larder check metadata
	expect 'writeback: nothing to do' 0 ' 0 slots were dirty' "${back[@]}"
	cp before metadata
	{ head -c 512000 /dev/zero && cat cache; } >cache.offset && { head -c 51200 /dev/zero && cat origin.before; } >origin.offset
	expect 'writeback: offsets' 0 '' larder writeback --metadata-device metadata --fast-device cache.offset \
		--fast-device-offset 1000 --origin-device origin.offset --origin-device-offset 100 -q --buffer-size-meg 1
	expect 'writeback: ... the origin' 0 '' cmp <(tail -c +51201 origin.offset) written
	cp before metadata
	ln -sf "$build/larder" cache_writeback
	expect 'writeback: by its old name' 0 'slots were dirty' ./cache_writeback "${back[@]:2}"
	{ cat before && head -c 8192 /dev/zero && cat cache; } >cachevol
	cp origin.before origin
	expect 'writeback: a cachevol' 0 '' larder writeback --metadata-device cachevol --fast-device cachevol \
		--fast-device-offset $((2048 + 16)) --origin-device origin -q
	expect 'writeback: ... the origin' 0 '' cmp origin written
	expect 'writeback: ... nothing is dirty' 0 ', 0 of them dirty' larder check cachevol
	cp before metadata && truncate -s 64K cache
	expect 'writeback: a cache that is too small' 65 'the cached data takes' "${back[@]}"
	new_stock 1
	expect 'writeback: a dm-cache' 65 'cache_writeback of thin-provisioning-tools' "${back[@]}"
	expect 'writeback: in use' 66 'is in use' flock metadata "$build/larder" "${back[@]:1}"
	expect 'writeback: nothing to work on' 64 'expected --metadata-device' larder writeback
}

test_cuts() {
	printf '# %d random caches, seed %d\n' "$rounds" "$seed"
	mkdir -p cuts && cd cuts
	expect 'power cuts: nothing is lost' 0 '^ok writeback' timeout $((300 + rounds * 60)) \
		"$build/convert-cuts" "$seed" "$rounds" "$build/make-metadata" "$cache_restore"
	sed 's/^/# /' out
	cd ..
}

build_all
mkdir "$scratch/work" && cd "$scratch/work"
test_from
test_to
test_refused
test_small
test_interrupted
test_writeback
test_cuts
finish
