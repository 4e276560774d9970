# SPDX-License-Identifier: GPL-2.0-or-later
# What lvs says of a cache, against what the kernel says and what was done.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

# columns_are NAME=VALUE...
columns_are() {
	local pair
	for pair; do
		check "${pair%%=*}" "${pair#*=}" "$(field "${pair%%=*}")"
	done
}

test_columns() {
	local used dirty
	make_cached pool --cachemode writeback --cachesettings migration_threshold=4096
	freeze_slow
	make_dirty 0 2048 1
	tags "$dev" 0 1024
	used=$(status used) dirty=$(status dirty)
	check "dirty" 16 "$dirty"
	columns_are cache_total_blocks=384 cache_used_blocks="${used%/*}" cache_dirty_blocks=16 \
		cache_read_hits="$(status read_hits)" cache_read_misses="$(status read_misses)" \
		cache_write_hits="$(status write_hits)" cache_write_misses="$(status write_misses)" \
		cache_mode=writeback kernel_cache_policy=smq cache_policy=smq chunk_size=128 \
		cache_settings=migration_threshold=4096 kernel_metadata_format=2 cache_metadata_format=2 \
		lv_health_status= lv_attr=Cwi-a-C--- 'pool_lv=[fast_cpool]' 'origin=[data_corig]' lv_check_needed= \
		kernel_discards=
	check "data_percent" "$(awk "BEGIN { printf \"%.2f\", 100 * ${used%/*} / ${used#*/} }")" "$(field data_percent)"
	check "copy_percent" "$(awk "BEGIN { printf \"%.2f\", 100 * 16 / ${used%/*} }")" "$(field copy_percent)"
	check_that "metadata_percent" "$(field metadata_percent | cut -d. -f1) < 100"
	[[ $(field kernel_cache_settings) == migration_threshold=4096* ]] || fail "$(field kernel_cache_settings)"
	check "lv_attr of the pool" Cwi---C--- "$(field lv_attr fast_cpool)"
	thaw_slow
	l lvchange -an vg/data
	columns_are cache_total_blocks= cache_dirty_blocks= kernel_cache_policy= cache_mode=writeback lv_attr=Cwi---C---
}

test_columns_of_cachevol() {
	make_cached vol --cachemode writethrough
	write_tags "$dev" 0 1024 1
	tags "$dev" 0 1024
	columns_are cache_total_blocks="$(status used | cut -d/ -f2)" cache_dirty_blocks=0 cache_mode=writethrough \
		kernel_cache_policy=mq lv_attr=Cwi-a-C--- 'pool_lv=[fast_cvol]' chunk_size=128 kernel_metadata_format=2
}

test_read_only() {
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	l lvchange -pr vg/data
	check "contents" "1:2048" "$(tags "$dev" 0 2048)"
	fails "a write to a read-only LV" write_tags "$dev" 0 8 2
	l lvchange -prw vg/data
	write_tags "$dev" 0 2048 2
	check "contents" "2:2048" "$(tags "$dev" 0 2048)"
}

# Another segment than LVM expects is told apart.
test_foreign_table() {
	make_cached pool --cachemode writeback
	dmsetup load "$cached" --table "0 $(sectors_of "$dev") error"
	dmsetup suspend "$cached"
	dmsetup resume "$cached"
	check "lv_attr" X "$(field lv_attr 2>/dev/null | cut -c9)"
}
