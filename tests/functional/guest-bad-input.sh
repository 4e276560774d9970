#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the constructor and the messages must refuse, each with an error of its own and without writing
# to any device; and metadata that is foreign, too new, damaged or hostile. In a guest, see run-in-vm.
#
# usage: guest-bad-input.sh [ROUNDS [SEED]]
#
#   ROUNDS   of random damage to metadata (default 40)
#   SEED     of the first (default 1)

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

default_disks() { make_disks 2M 12M 96M; }

# refused_table ERROR TABLE: does not load, the log has the error, and no device was written or flushed.
refused_table() {
	local before
	before=$(changes_of meta ssd hdd)
	log_mark
	fails "$2" dmsetup create cache --table "$2"
	log_has "$2" "$1"
	check "changes of the devices by '$2'" "$before" "$(changes_of meta ssd hdd)"
	[[ ! -e $dev ]] || fail "a device is left over from '$2'"
}

# refused ERROR WORDS: behind the usual three devices.
refused() { refused_table "$1" "0 $(sectors_of $hdd) larder $meta $ssd $hdd $2"; }

# refused_now ERROR: the table of the variables.
refused_now() { refused_table "$1" "$(table_line)"; }

# --- words ---

test_number_of_words() {
	default_disks
	refused_table "larder: Expected at least 7 arguments" "0 196608 larder"
	refused_table "larder: Expected at least 7 arguments" "0 196608 larder $meta $ssd $hdd 64 0 s3fifo"
	refused "larder: More arguments than announced" "64 0 s3fifo 0 1"
	refused "larder: Fewer policy arguments than announced" "64 0 s3fifo 2 small_percent"
	refused "larder: Fewer features than announced" "64 4 writeback metadata2"
}

test_features() {
	default_disks
	refused "larder: Number of features: expected 0 to 16" "64 17 s3fifo 0"
	refused "larder: Number of features: expected 0 to 16" "64 many s3fifo 0"
	refused "larder: Unknown feature" "64 1 passtrough s3fifo 0"
	refused 'unknown feature "writebck"' "64 1 writebck s3fifo 0"
	refused "larder: More than one mode" "64 2 writeback writethrough s3fifo 0"
	refused "larder: More than one mode" "64 3 writeback metadata2 writeback s3fifo 0"
}

test_policies() {
	default_disks
	refused "larder: Unknown policy" "64 0 nonsense 0"
	refused 'no policy "nonsense", and no module dm-larder-policy-nonsense' "64 0 nonsense 0"
	refused "larder: Policy name is missing or too long" "64 0 a_name_that_is_far_too_long_to_be_a_policy 0"
	refused "larder: Number of policy arguments: expected an even number up to 64" "64 0 s3fifo 1 small_percent"
	refused "larder: Number of policy arguments: expected an even number up to 64" "64 0 s3fifo none"
	refused "larder: Number of policy arguments: expected an even number up to 64" "64 0 s3fifo 66"
	refused "larder: Unknown policy argument" "64 0 s3fifo 2 colour 5"
	refused "larder: Unknown policy argument" "64 0 cleaner 2 small_percent 5"
	refused "larder: Value of a policy argument is no number" "64 0 s3fifo 2 small_percent five"
	refused 'policy argument "small_percent": its value must be a decimal number' "64 0 s3fifo 2 small_percent -5"
	refused "larder: Value of a policy argument is out of range" "64 0 s3fifo 2 small_percent 0"
	refused "larder: Value of a policy argument is out of range" "64 0 s3fifo 2 small_percent 91"
	refused "larder: Value of a policy argument is no number" "64 0 s3fifo 2 migration_threshold 18446744073709551616"
}

test_chunk_sizes() {
	local size
	default_disks
	for size in 0 7 4 12 -8 2097160 4294967304 big ''; do
		refused "larder: Chunk size must be a multiple of 8 sectors, from 8 to 2097152" "${size:-\"\"} 0 s3fifo 0"
	done
}

# --- tables ---

test_several_targets() {
	default_disks
	refused_table "must appear alone in table" "0 1024 larder $meta $ssd $hdd 64 0 s3fifo 0
1024 1024 zero"
	refused_table "must appear alone in table" "0 1024 zero
1024 1024 larder $meta $ssd $hdd 64 0 s3fifo 0"
	refused_table "Gap in table" "8 1024 larder $meta $ssd $hdd 64 0 s3fifo 0"
}

test_devices() {
	local pair
	default_disks
	refused_table "larder: Cannot open the metadata device" "0 1024 larder /dev/nothing $ssd $hdd 64 0 s3fifo 0"
	refused_table "larder: Cannot open the cache device" "0 1024 larder $meta 99:99 $hdd 64 0 s3fifo 0"
	refused_table "larder: Cannot open the origin device" "0 1024 larder $meta $ssd nonsense 64 0 s3fifo 0"
	for pair in "$meta $meta $hdd" "$meta $ssd $meta" "$meta $ssd $ssd" "$ssd $ssd $ssd"; do
		refused_table "larder: Metadata, cache and origin must be three different devices" "0 1024 larder $pair 64 0 s3fifo 0"
	done
	length=$(($(sectors_of $hdd) + 8))
	refused_now "larder: Origin device is smaller than the table line's length"
	length=''
	linear small /dev/ssd 0 24
	ssd=/dev/mapper/small
	refused_now "larder: Cache device is smaller than one chunk"
	refused_now "cache device has 24 sectors, one chunk needs 64"
}

test_metadata_too_small() {
	local needed units
	default_disks
	for chunk in 8 64 4096; do
		needed=
		for units in 1 69; do
			linear small /dev/meta 0 $((units * 8))
			meta=/dev/mapper/small
			[[ $units == 1 || $chunk == 8 ]] && refused_now "Metadata device is too small (the log says how much is needed)"
			[[ $units != 1 ]] || needed=$(log_since | sed -n 's/.*at least \([0-9]*\) KiB are needed.*/\1/p')
			dmsetup remove small
		done
		[[ $needed ]] || fail "the log does not say how much is needed"
		linear small /dev/meta 0 $((needed * 2 - 8))
		refused_now "metadata device has $((needed - 4)) KiB, at least $needed KiB are needed"
		dmsetup remove small
		linear small /dev/meta 0 $((needed * 2))
		create
		remove
		dmsetup remove small
		dd if=/dev/zero of=/dev/meta bs=4096 count=1 oflag=direct status=none
	done
}

# --- metadata that is something else ---

blank() { blkdiscard -f -z $meta && reset_stats meta; }

foreign() {
	local before
	before=$(sum_of $meta)
	refused_now "larder: Metadata device holds something else (the log says what)"
	refused_now "metadata device holds $1, not a dm-larder cache"
	check "the metadata device's contents ($1)" "$before" "$(sum_of $meta)"
	blank
}

test_foreign_metadata() {
	default_disks
	# Both want the target's name "cache"; who comes first has it.
	rmmod dm-larder
	modprobe dm-cache
	load_module dm-larder
	dmsetup create stock --table "0 $(sectors_of $hdd) cache $meta $ssd $hdd 64 0 default 0"
	write_tags /dev/mapper/stock 0 64 1
	dmsetup remove stock
	foreign dm-cache
	modprobe dm-thin-pool
	dmsetup create stock --table "0 24576 thin-pool $meta $ssd 128 0"
	dmsetup remove stock
	foreign dm-thin
	mkfs.ext4 -q -F $meta
	foreign ext2/ext3/ext4
	pvcreate -q -ff -y --config 'devices { obtain_device_list_from_udev=0 use_devicesfile=0 }' $meta
	foreign "LVM2 physical volume"
	mkswap -q $meta
	foreign swap
	echo 'label: gpt' | sfdisk -q --no-reread $meta
	foreign "GPT partition table"
	head -c 65536 /dev/urandom | dd of=$meta bs=4096 oflag=direct iflag=fullblock status=none
	foreign "unknown data"
	# Blank is decided by the first 4 KiB alone.
	head -c 65536 /dev/urandom | dd of=$meta bs=4096 seek=1 oflag=direct iflag=fullblock status=none
	create
	check "the new cache is empty" 0 "$(larder_stat slots_used)"
}

# --- metadata that is ours, but not like that ---

# A cache with 64 clean and 16 dirty chunks, removed.
used_cache() {
	create
	write_tags $dev 0 4096 1 64
	policy=cleaner reload
	wait_until 60 is_clean || fail "still $(dirty) dirty"
	policy=s3fifo reload
	freeze_origin
	write_tags $dev 8192 1024 2 64
	flush $dev
	${1:-remove}
	thaw_origin
}

test_damaged_superblocks() {
	local unit
	default_disks
	used_cache
	for unit in 0 1; do
		"$BIN/metadata-edit" damage $meta $unit
		create
		check "contents with superblock $unit damaged" "1:4096 2:1024" \
			"$(tags $dev 0 4096) $(tags $dev 8192 1024)"
		remove
	done
	"$BIN/metadata-edit" damage $meta 0
	"$BIN/metadata-edit" damage $meta 1
	refused_now "larder: Metadata device has a damaged superblock"
}

test_newer_metadata() {
	local field
	default_disks
	used_cache
	for field in incompat=0x80 version=2; do
		"$BIN/metadata-edit" set $meta 0 $field
		"$BIN/metadata-edit" set $meta 1 $field
		refused_now "larder: Metadata has features of a newer dm-larder, unknown to this one"
		"$BIN/metadata-edit" set $meta 0 incompat=0 version=1
		"$BIN/metadata-edit" set $meta 1 incompat=0 version=1
	done
	works_again
}

works_again() {
	create
	check "contents" "1:4096 2:1024" "$(tags $dev 0 4096) $(tags $dev 8192 1024)"
	remove
}

test_other_sizes() {
	default_disks
	used_cache
	chunk=128 refused_now "larder: Chunk size differs from the one this cache was made with"
	chunk=128 refused_now "the cache was made with chunks of 64 sectors, the table says 128"
	chunk=64
	linear small /dev/ssd 0 16384
	ssd=/dev/mapper/small refused_now "larder: Cache device is smaller than what the cache uses of it"
	ssd=/dev/mapper/small refused_now "cache device has 16384 sectors, the cache uses 24576"
	ssd=/dev/ssd
	dmsetup remove small
	linear small /dev/meta 0 1024
	meta=/dev/mapper/small refused_now "larder: Superblock does not fit the metadata device (has it shrunk?)"
	meta=/dev/meta
	length=9000 refused_now "larder: Origin is smaller than what is cached of it"
	length=9216
	create
	check "contents with the origin shrunk behind what is cached" "2:1024" "$(tags $dev 8192 1024)"
	remove
	length=''
	works_again
}

# --- messages ---

# message_refused LOG WORD...
message_refused() {
	local text=$1
	shift
	log_mark
	fails "message $*" dmsetup message cache 0 "$@"
	log_has "message $*" "$text"
}

test_messages() {
	default_disks
	create
	message_refused 'message: expected "stats", "scrub ...", "<key> <value>" or "invalidate_cblocks <range>..."' nonsense
	message_refused 'message: expected "stats", "scrub ...", "<key> <value>" or "invalidate_cblocks <range>..."' stats now please
	message_refused 'message: policy s3fifo has no setting "colour"' colour 5
	message_refused 'message: 1000 is out of range for "small_percent"' small_percent 1000
	message_refused 'message: value of "small_percent" must be a decimal number, found "five"' small_percent five
	message_refused 'must be a decimal number' migration_threshold 1x
	dmsetup message cache 0 small_percent 20
	dmsetup message cache 0 migration_threshold 5
	[[ $(dmsetup status cache) == *" migration_threshold 5 s3fifo "*" small_percent 20 "* ]] ||
		fail "status after messages: $(dmsetup status cache)"
	check "the table stays as it was given" "s3fifo 0" "$(dmsetup table cache | awk '{ print $(NF - 1), $NF }')"
}

# --- hostile metadata ---

# Stops without an order to, so that the journal has something to say.
power_off() {
	power "cut 7 keep=100"
	dmsetup remove cache
	power revive
}

# hostile ROUND: a few random changes to good metadata. Refused or working, but never a kernel report.
hostile() {
	local seed=$1
	default_disks
	if [[ ! -e $work/image ]]; then
		used_cache power_off
		dd if=$meta of="$work/image" bs=1M iflag=direct status=none
	fi
	dd if="$work/image" of=$meta bs=1M oflag=direct status=none
	"$BIN/metadata-edit" fuzz $meta "$seed"
	"$BIN/larder" check $meta || true
	log_mark
	if create; then
		dmsetup status cache
		dd if=$dev of=/dev/null bs=64K count=64 iflag=direct || true
		write_tags $dev 4096 512 3 || true
		flush $dev || true
		write_tags $dev 16384 4096 3 64 || true
		remove
	else
		log_since | grep -q "larder: " || fail "refused without a word"
	fi
}

test_hostile() {
	local round
	rm -f "$work/image"
	for ((round = 0; round < rounds; round++)); do
		echo "--- seed $((first_seed + round))"
		hostile $((first_seed + round))
		clean_up
	done
}

case ${1:-} in
-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
rounds=${1:-40} first_seed=${2:-1}
begin_suite
run_suite number_of_words features policies chunk_sizes several_targets devices metadata_too_small \
	foreign_metadata damaged_superblocks newer_metadata other_sizes messages hostile
