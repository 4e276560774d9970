# SPDX-License-Identifier: GPL-2.0-or-later
# Chunks of all sizes, and caches that are hardly there.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

# with_chunk SIZE SECTORS POOL-SIZE
with_chunk() {
	make_vg
	make_lv data 64M pva
	write_tags "$dev" 0 2048 7
	make_fast pool "$3" -c "$1"
	attach pool --cachemode writeback
	check "chunk size" "$2" "$(status chunk)"
	check "contents" "7:2048" "$(tags "$dev" 0 2048)"
	work_on "$dev" 90
	l lvchange -an vg/data
	l lvchange -ay vg/data
	judge "$dev" --expect-exact
	l lvconvert -y --uncache vg/data
	judge "$dev" --expect-exact
	check "contents" "7:2048" "$(tags "$dev" 0 2048)"
}
test_chunk_32k() { with_chunk 32k 64 24M; }
test_chunk_96k() { with_chunk 96k 192 24M; }
test_chunk_2m() { with_chunk 2m 4096 32M; }

# The largest that LVM knows; the cache has two of them.
test_chunk_1g() {
	make_vg_of 4G 4G
	make_lv data 3G pva
	write_tags "$dev" 0 2048 7
	make_fast pool 2G -c 1g
	attach pool --cachemode writeback
	check "chunk size" 2097152 "$(status chunk)"
	[[ $(table_words) == *" migration_threshold 16777216" ]] || fail "table: $(table_words)"
	check "contents" "7:2048" "$(tags "$dev" 0 2048)"
	work_on "$dev" 91
	l lvchange -an vg/data
	l lvchange -ay vg/data
	judge "$dev" --expect-exact
	l lvconvert -y --uncache vg/data
	judge "$dev" --expect-exact
	check "contents" "7:2048" "$(tags "$dev" 0 2048)"
}

# works_or_not OPTION...: vg/fast is a cachevol that is hardly there. Either it works, or it is refused, the
# kernel's log says why, and the LV is what it was.
works_or_not() {
	log_mark
	if ! bounded lvconvert -y --type cache --cachevol vg/fast --cachemode writeback "$@" vg/data; then
		check "refused: type" linear "$(field segtype)"
		log_since | grep -iE 'too small|smaller|metadata device|chunk' || fail "refused, and not said why"
		note "refused"
	else
		work_on "$dev" 92
		l lvchange -an vg/data
		l lvchange -ay vg/data
		judge "$dev" --expect-exact
		l lvconvert -y --uncache vg/data
		judge "$dev" --expect-exact
		note "works"
	fi
	check "contents" "7:2048" "$(tags "$dev" 0 2048)"
}

test_chunk_too_large() {
	make_vg
	make_lv data 64M pva
	write_tags "$dev" 0 2048 7
	make_fast vol 8M
	works_or_not -c 16m
}

# One extent of metadata, one of data.
test_cachevol_two_extents() {
	add_disk pva 256M type=hdd discard=1
	add_disk pvc 128M type=ssd
	l vgcreate -qq -s 4M vg /dev/pva /dev/pvc
	make_lv data 64M pva
	write_tags "$dev" 0 2048 7
	make_fast vol 8M
	works_or_not
}

test_cachevol_two_small_extents() {
	make_vg
	make_lv data 64M pva
	write_tags "$dev" 0 2048 7
	make_fast vol 2M
	works_or_not
}

# The default for an SSD of 1 TiB, on one that is hardly written: LVM chooses the chunk.
test_chunk_of_terabyte() {
	make_vg_of 8T 2T
	make_lv data 4T pva
	write_tags "$dev" 8000000000 2048 7
	make_fast pool 1T
	attach pool --cachemode writeback
	check "chunk size" 4096 "$(status chunk)"
	check "contents" "7:2048" "$(tags "$dev" 8000000000 2048)"
	work_on "$dev" 94
	l lvchange -an vg/data
	l lvchange -ay vg/data
	judge "$dev" --expect-exact
	l lvconvert -y --uncache vg/data
	judge "$dev" --expect-exact
	check "contents" "7:2048" "$(tags "$dev" 8000000000 2048)"
}
