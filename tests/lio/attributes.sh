# SPDX-License-Identifier: GPL-2.0-or-later
# What an initiator is told about the LUN is true: asked by configfs, and again by SCSI.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

queue() { cat "/sys/dev/block/$(lsblk -dno MAJ:MIN "$exported" | xargs)/queue/$1"; }

# vpd PAGE WHAT: the number behind "WHAT", or "(WHAT)", of a VPD page.
vpd() {
	local text found
	text=$(sg_vpd -p "$1" "$lun")
	echo "$text" >&2
	found=$(sed -nE "s/.*\b$2\)?[:=] *([0-9a-fx]+).*/\1/p" <<<"$text" | head -n 1)
	[[ $found ]] || fail "page $1 has no '$2'"
	echo "$((found))"
}

check_attributes() {
	local discards=0 cached=0
	[[ $(queue discard_max_bytes) == 0 ]] || discards=1
	[[ $(queue write_cache) == 'write through' ]] || cached=1
	check "emulate_tpu" $discards "$(attribute emulate_tpu)"
	check "emulate_tpws" $discards "$(attribute emulate_tpws)"
	check "unmap_zeroes_data" 0 "$(attribute unmap_zeroes_data)"
	# LIO asks the device, and has it not as an attribute: see "write cache enabled" below.
	check "emulate_write_cache" 0 "$(attribute emulate_write_cache)"
	check "is_nonrot" $((1 - $(queue rotational))) "$(attribute is_nonrot)"
	check "block size" "$(queue logical_block_size)" "$(attribute block_size)"
	[[ ! -e $(backstore)/attrib/emulate_pr ]] || check "emulate_pr" 1 "$(attribute emulate_pr)"
	check_that "queue depth" "$(attribute queue_depth) <= $(attribute hw_queue_depth)"
	check "size" "$(sectors_of "$exported")" "$(sectors_of "$lun")"
	# SBC-3, as an initiator asks.
	check "UNMAP" $discards "$(vpd lbpv LBPU)"
	check "WRITE SAME that unmaps" $discards "$(vpd lbpv LBPWS)"
	check "unmapped blocks read as zeros" 0 "$(vpd lbpv LBPRZ)"
	check "write cache enabled" $cached "$(grep -c 'write back' "/sys/block/${lun##*/}"/device/scsi_disk/*/cache_type)"
	[[ $discards == 0 ]] || check "granularity of UNMAP" "$(queue discard_granularity)" \
		$(($(vpd bl 'Optimal unmap granularity') * $(queue logical_block_size)))
	# of a device that names none, LIO says what it takes at once
	[[ $(queue optimal_io_size) == 0 ]] || check "optimal transfer length" "$(queue optimal_io_size)" \
		$(($(vpd bl 'Optimal transfer length') * $(queue logical_block_size)))
}

test_attributes() {
	make_cache
	export_it --fabric loopback
	find_lun
	check_attributes
	unexport_it
}

test_attributes_of_lv() {
	make_vg
	make_lv data 64M pva
	make_fast pool 24M -c 128k
	attach pool --cachemode writethrough
	exported=$dev
	export_it --fabric loopback
	find_lun
	check_attributes
	unexport_it
}

# A cached device always takes discards, as it forgets what they name; any device can be exported.
test_attributes_without_discards() {
	add_disk hdd 128M type=hdd
	linear plain "$hdd" 0 262144
	exported=/dev/mapper/plain
	check "largest discard" 0 "$(queue discard_max_bytes)"
	export_it --fabric loopback
	find_lun
	check_attributes
	unexport_it
}

# What was derived from the device goes when the device has become another.
test_attributes_derived_again() {
	chunk=8
	make_cache
	export_it --fabric loopback
	find_lun
	check "optimal transfer length" 8 "$(vpd bl 'Optimal transfer length')"
	l larder save
	unexport_it
	remove
	dd if=/dev/zero of="$meta" bs=4k count=1 oflag=direct status=none
	chunk=64
	create
	l larder restore --exports
	find_lun
	check_attributes
	check_that "optimal transfer length" "$(vpd bl 'Optimal transfer length') > 8"
	unexport_it
}

# NAA 6001405 and the first 25 hexadecimal digits of the serial number, which is a UUID.
test_identity() {
	local first second number digits
	make_cache
	linear part1 /dev/mapper/cache 0 65536
	linear part2 /dev/mapper/cache 65536 65536
	l larder export /dev/mapper/part1 --fabric loopback
	l larder export /dev/mapper/part2 --fabric loopback
	first=$(serial /dev/mapper/part1)
	second=$(serial /dev/mapper/part2)
	for number in "$first" "$second"; do
		[[ $number =~ ^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$ ]] || fail "serial number '$number' is no UUID"
		wait_until 30 eval "[[ \$(luns $number) ]]" || fail "no disk with serial number $number"
		digits=${number//-/}
		sg_vpd -p di "$(luns "$number")" | grep -q "0x6001405${digits:0:25}" || fail "NAA is not made of $number"
	done
	[[ ${first:0:28} != "${second:0:28}" ]] || fail "both have the same NAA"
	l larder unexport /dev/mapper/part1
	l larder unexport /dev/mapper/part2
	is_unexported "both"
}

# The same device gets the same identity again: initiators know it by that.
test_identity_stays() {
	local first
	make_cache
	export_it --fabric loopback
	first=$(serial)
	l larder save
	unexport_it
	l larder restore --exports
	check "serial number" "$first" "$(serial)"
	unexport_it
}

# Whatever name it is given: the record has one that is the device's after the next start, too.
test_stable_name() {
	local name node number
	make_cache
	node=$(dmsetup info -c --noheadings -o blkdevname cache)
	number=$(<"/sys/block/$node/dev")
	mkdir -p /dev/block
	ln -sfn "/dev/$node" "/dev/block/$number"
	for name in "/dev/$node" "/dev/block/$number" "/dev/./$node" /dev//mapper/cache; do
		l larder export "$name" --fabric loopback
		l larder exports
		[[ $(<"$work/out") == *"$exported"* ]] || fail "$name is written down as it is"
		unexport_it
	done
}

test_readonly() {
	make_cache
	write_tags "$exported" 0 2048 3 128
	export_it --fabric loopback --readonly
	find_lun
	check "contents" "3:2048" "$(tags "$lun" 0 2048)"
	fails "a write" dd if=/dev/zero of="$lun" bs=4k count=1 oflag=direct
	fails "a write by SCSI" sg_write_same --lba=0 --num=8 "$lun"
	check "contents" "3:2048" "$(tags "$exported" 0 2048)"
	unexport_it
}

test_lun_number() {
	make_cache
	export_it --fabric loopback --lun 7
	find_lun
	[[ $(readlink -f "/sys/block/${lun##*/}/device") == *:7 ]] || fail "not LUN 7: $(readlink -f "/sys/block/${lun##*/}/device")"
	unexport_it
}

test_dry_run() {
	make_cache
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator --dry-run
	[[ $(<"$work/out") == *iscsi* ]] || fail "does not say what it would do"
	is_unexported "--dry-run"
}

test_exports() {
	local wwn
	make_cached_lv
	l larder exports
	l larder exports --json
	check "nothing exported" 0 "$(python3 -c 'import json, sys; print(len(json.load(sys.stdin)["exports"]))' <"$work/out")"
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator
	wwn=$(wwn_of iscsi)
	l larder exports
	[[ $(<"$work/out") == *"$wwn"* && $(<"$work/out") == *vg/data* ]] || fail "not listed"
	l larder exports --json
	python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["exports"]))' <"$work/out" >"$work/json"
	[[ $(<"$work/json") == *"$wwn"* && $(<"$work/json") == *"$(serial)"* ]] || fail "JSON lacks something"
	unexport_it
}
