# SPDX-License-Identifier: GPL-2.0-or-later
# Caches come to be: pools and cachevols, on idle LVs, under work and below a mounted file system; what an
# earlier life has left on the SSD is not believed.
# shellcheck shell=bash disable=SC2154  # what lib.sh sets

test_create_cachevol() {
	make_vg
	make_lv data 64M pva
	write_tags "$dev" 0 8192 7 128
	make_fast vol
	attach vol --cachemode writeback
	# A cachevol never passes a policy on: "mq" is what LVM writes then.
	check_table "128 2 metadata2 writeback mq 0"
	check "contents" "7:8192" "$(tags "$dev" 0 8192)"
	work_on "$dev" 1
	judge "$dev" --expect-exact
	l lvconvert -y --uncache vg/data
	check_uncached
	check "contents, uncached" "7:8192" "$(tags "$dev" 0 8192)"
	judge "$dev" --expect-exact
	fails "the cachevol is gone" lvs vg/fast
}

test_create_cachepool() {
	make_vg
	make_lv data 64M pva
	write_tags "$dev" 0 8192 7 128
	make_fast pool
	attach pool
	check_table "128 2 metadata2 writethrough smq 0"
	check "contents" "7:8192" "$(tags "$dev" 0 8192)"
	work_on "$dev" 2
	l lvchange -y --cachemode writeback vg/data
	check_table "128 2 metadata2 writeback smq 0"
	work_on "$dev" 3
	judge "$dev" --expect-exact
	l lvconvert -y --uncache vg/data
	check_uncached
	check "contents, uncached" "7:8192" "$(tags "$dev" 0 8192)"
	judge "$dev" --expect-exact
}

# The one command that makes everything.
test_create_at_once() {
	make_vg
	l lvcreate -y --type cache -n data -L 64M --cachedevice /dev/pvc --cachesize 24M vg /dev/pva
	check_table "128 2 metadata2 writethrough mq 0"
	work_on "$dev" 4
	l lvremove -y vg/data
	make_lv data 64M pva
	l lvcreate -y --type cache -n fast -L 24M --poolmetadataspare n --cachemode writeback -c 128k vg/data /dev/pvd
	check "chunk size" 256 "$(status chunk)"
	check "mode" writeback "$(field cache_mode)"
	l lvconvert -y --uncache vg/data
	check_uncached
}

test_create_metadata_format_1() {
	make_cached pool --cachemetadataformat 1
	check_table "128 1 writethrough smq 0"
	work_on "$dev" 5
	l lvchange -an vg/data
	l lvchange -ay vg/data
	judge "$dev" --expect-exact
}

test_attach_while_working() {
	make_vg
	make_lv data 64M pva
	keep_working
	make_fast pool
	attach pool --cachemode writeback
	l lvchange -y --cachemode writethrough vg/data
	l lvchange -y --cachemode writeback vg/data
	l lvchange --cachepolicy mq vg/data
	l lvconvert -y --splitcache vg/data
	attach pool --cachemode writeback
	sleep 2
	l lvconvert -y --uncache vg/data
	end_work
	judge "$dev" --expect-exact
}

# Files with their checksums, all the time; each is whole when its checksum is there.
write_files() {
	local n=0
	until [[ -e $work/stop ]]; do
		n=$((n % 8 + 1))
		head -c 300000 /dev/urandom >"/mnt/file$n"
		sync "/mnt/file$n"
		(cd /mnt && sha256sum "file$n" >"file$n.sum")
	done
	echo "wrote the last file: $n"
}

check_files() {
	(cd /mnt && sha256sum --quiet -c file?.sum) || fail "$1: files are not what they were"
}

test_attach_mounted() {
	local writer
	make_vg
	make_lv data 64M pva
	mkfs.ext4 -q "$dev"
	mount "$dev" /mnt
	write_files &
	writer=$!
	wait_until 60 test -e /mnt/file2.sum || fail "no files"
	make_fast vol
	attach vol --cachemode writeback
	sleep 2
	[[ $(dmsetup table vg-data) == *" cache "* ]] || fail "not cached"
	l lvchange -y --cachemode writethrough vg/data
	l lvchange -y --cachemode writeback vg/data
	l lvconvert -y --splitcache vg/data
	attach vol --cachemode writeback
	touch "$work/stop"
	wait $writer
	sync
	echo 3 >/proc/sys/vm/drop_caches
	check_files "cached"
	l lvconvert -y --uncache vg/data
	umount /mnt
	e2fsck -fn "$dev" || fail "e2fsck found something"
	mount "$dev" /mnt
	check_files "uncached"
	umount /mnt
}

# The SSD still holds what it held, and most of its metadata.
test_reattach() {
	local what
	for what in pool vol; do
		clean_up
		make_cached $what --cachemode writeback
		make_dirty 0 4096 1
		l lvconvert -y --splitcache vg/data
		check "$what: contents, split" "1:4096" "$(tags "$dev" 0 4096)"
		write_tags "$dev" 0 2048 2 128
		attach $what --cachemode writeback
		check "$what: contents, attached again" "1:2048 2:2048" "$(tags "$dev" 0 4096 | tr ' ' '\n' | sort | xargs)"
		check "$what: dirty" 0 "$(dirty)"
		make_dirty 1024 512 3
		l lvconvert -y --uncache vg/data
		check "$what: contents, uncached" "1:2048 2:1536 3:512" "$(tags "$dev" 0 4096 | tr ' ' '\n' | sort | xargs)"
	done
}

# --zero n lets the old metadata stay. A smaller origin cannot be the one that was cached; a larger one can,
# which has grown meanwhile.
test_keep_metadata() {
	make_cached pool --cachemode writeback
	make_dirty 0 2048 1
	make_dirty 65536 2048 1
	l lvconvert -y --splitcache vg/data
	attach pool --zero n --cachemode writeback
	check "the same LV: contents" "1:2048" "$(tags "$dev" 65536 2048)"
	l lvconvert -y --splitcache vg/data
	make_lv other 16M pva
	write_tags /dev/vg/other 0 2048 5
	only_ours "whose metadata it is"
	refused "" lvconvert -y --type cache --cachepool vg/fast --zero n --cachemode writeback vg/other
	dmesg | tail -n 8 | grep -q 'smaller than what is cached\|sectors are cached' || fail "the kernel does not say why"
	check "another size: contents" "5:2048" "$(tags /dev/vg/other 0 2048)"
	check "another size: type" linear "$(field segtype other)"
	check "contents of the first" "1:2048" "$(tags "$dev" 0 2048)"
}

# stock_pool: vg/fast becomes a pool whose metadata is dm-cache's own, with one mapping.
stock_pool() {
	make_lv meta 5M pvc
	make_lv fast 16M pvc
	cat >"$work/stock.xml" <<-END
		<superblock uuid="" block_size="128" nr_cache_blocks="256" policy="smq" hint_width="4">
		  <mappings>
		    <mapping cache_block="0" origin_block="3" dirty="true"/>
		  </mappings>
		  <hints>
		    <hint cache_block="0" data="AAAAAA=="/>
		  </hints>
		</superblock>
	END
	/usr/sbin/cache_restore -i "$work/stock.xml" -o /dev/vg/meta || fail "cache_restore"
	dd if=/dev/vg/meta of="$work/saved" bs=1M iflag=direct status=none
	l lvconvert -y --type cache-pool --zero n --poolmetadataspare n --poolmetadata vg/meta -c 64k vg/fast
}

test_stock_metadata() {
	make_vg
	make_lv data 64M pva
	write_tags "$dev" 0 2048 5
	stock_pool
	only_ours "metadata that is not ours"
	refused "" lvconvert -y --type cache --cachepool vg/fast --zero n vg/data
	check "contents" "5:2048" "$(tags "$dev" 0 2048)"
	check "type" linear "$(field segtype)"
	l lvchange -ay -y vg/fast_cmeta
	cmp "$work/saved" /dev/vg/fast_cmeta || fail "the metadata has changed"
}

use_stock_modules() {
	rmmod dm-larder
	modprobe -C /dev/null dm-cache-smq
}

test_refused_by_stock() {
	only_ours "that the other one refuses ours"
	make_cached pool --cachemode writeback
	freeze_slow
	make_dirty 0 1024 1
	l lvchange -an vg/data
	thaw_slow
	use_stock_modules
	dmsetup targets | grep -q '^cache .*v2\.[0-9]\.' || fail "these are not the stock modules: $(dmsetup targets)"
	refused "" lvchange -ay --config 'global/cache_check_executable=""' vg/data
	drop_devices
	modprobe -C /dev/null -r dm-cache-smq dm-cache
	l lvchange -ay vg/data
	check "contents" "1:1024" "$(tags "$dev" 0 1024)"
}
