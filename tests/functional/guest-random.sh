#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Random I/O that is checked sector by sector (oracle-io), on caches so small that they are always
# evicting, writing back and checkpointing, with suspends, reloads and removals in between, in a guest.
# See run-in-vm.
#
# usage: guest-random.sh [--full] [--list] [SHARE]
#
#   --full   all combinations instead of a selection in which each pair of values occurs
#   --list   shows the combinations
#   SHARE    N/M: the N-th of M equal parts of the combinations (default 1/1)

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

modes=(writeback writethrough)
chunks=(8 64 128 192 512 2048 4096 2097152)
topologies=(volatile one-ssd non-volatile)
metadata_sizes=(ample minimal)
fuas=(fua no-fua)

# --- which combinations ---

every_combination() {
	local mode chunk topology size fua
	for mode in "${modes[@]}"; do
		for chunk in "${chunks[@]}"; do
			for topology in "${topologies[@]}"; do
				for size in "${metadata_sizes[@]}"; do
					for fua in "${fuas[@]}"; do
						# Without a volatile cache a disk needs no FUA.
						[[ $topology == non-volatile && $fua == no-fua ]] ||
							echo "$mode $chunk $topology $size $fua"
					done
				done
			done
		done
	done
}

# Greedy: each time the combination that covers most pairs that are still uncovered. Chunk sizes are
# paired with modes only.
pairwise() {
	awk '
	{ line[NR] = $0 }
	function pairs(text, found,   word, n, i, j, count) {
		n = split(text, word, " ")
		for (i = 1; i <= n; i++)
			for (j = i + 1; j <= n; j++)
				if (i != 2)
					found[++count] = i ":" word[i] "," j ":" word[j]
		return count
	}
	END {
		for (;;) {
			best = 0
			for (k = 1; k <= NR; k++) {
				n = pairs(line[k], p)
				gain = 0
				for (i = 1; i <= n; i++)
					gain += !(p[i] in covered)
				# of equals, the one with the values that were used least
				n = split(line[k], word, " ")
				for (i = 1; gain && i <= n; i++)
					gain -= used[word[i]] / 10000
				if (gain > best) { best = gain; which = k }
			}
			if (!best)
				exit
			n = pairs(line[which], p)
			for (i = 1; i <= n; i++)
				covered[p[i]] = 1
			n = split(line[which], word, " ")
			for (i = 1; i <= n; i++)
				used[word[i]]++
			print line[which]
		}
	}'
}

# --- one combination ---

# set_up TOPOLOGY METADATA FUA: the devices. The origin ends with a short block, at no multiple of 4 KiB.
set_up() {
	local ssd_words=fua=1 hdd_words='' size=14M needed
	[[ $chunk -le 4096 ]] || size=2G
	[[ $3 == fua ]] || ssd_words=fua=0
	[[ $1 != non-volatile ]] || ssd_words=wc=0 hdd_words=wc=0
	make_disks 2M $size $((98304 * 1024 + 28672)) $ssd_words $hdd_words
	length=$(($(sectors_of $hdd) - 3))
	if [[ $1 == one-ssd ]]; then
		linear both /dev/ssd 0 4096
		linear rest /dev/ssd 4096 $(($(sectors_of /dev/ssd) - 4096))
		meta=/dev/mapper/both ssd=/dev/mapper/rest
	fi
	[[ $2 == minimal ]] || return 0
	# What is too small says how much would do.
	linear tiny $meta 0 8
	log_mark
	fails "4 KiB of metadata" dmsetup create cache --table "$(meta=/dev/mapper/tiny table_line)"
	needed=$(log_since | sed -n 's/.*at least \([0-9]*\) KiB are needed.*/\1/p')
	[[ $needed ]] || fail "the log does not say how much metadata is needed"
	dmsetup remove tiny
	linear tiny $meta 0 $((needed * 2))
	meta=/dev/mapper/tiny
}

# Suspends, resumes and reloads, again and again, until the file $work/stop appears.
disturb() {
	while [[ ! -e $work/stop ]]; do
		dmsetup suspend cache
		dmsetup resume cache
		sleep 0.2
		dmsetup suspend --noflush cache
		dmsetup resume cache
		sleep 0.2
		reload
		sleep 0.2
	done
}

oracle() {
	local what=$1
	shift
	"$BIN/oracle-io" "$what" "$@"
}

# combination SEED MODE CHUNK TOPOLOGY METADATA FUA
combination() {
	local seed=$1 journal=$work/journal span=$((24 << 20)) disturber
	features=$2 chunk=$3
	set_up "$4" "$5" "$6"
	create
	dmsetup status cache
	oracle run $dev --journal "$journal" --offset $((length * 512 - span)) --span $span --seed "$seed" \
		--ops 250 --unaligned --threads 4
	rm -f "$work/stop"
	disturb &
	disturber=$!
	oracle run $dev --journal "$journal" --continue --seed $((seed + 1000)) --ops 300 --sizes 512..64K \
		--sequential-runs --threads 6
	: >"$work/stop"
	wait $disturber
	remove
	create
	oracle verify $dev --journal "$journal" --expect-exact
	oracle run $dev --journal "$journal" --continue --seed $((seed + 2000)) --ops 200 --sizes 512..256K \
		--unaligned --mix 60,30,3,4,2,1 --threads 4
	check "health" ok "$(health)"
	check "errors of the devices" "0 0" "$(larder_stat cache_errors) $(larder_stat origin_errors)"
	if [[ $features == writethrough ]]; then
		check "dirty in write-through" 0 "$(dirty)"
		flush $dev
	else
		policy=cleaner reload
		wait_until 60 is_clean || fail "the cleaner leaves $(dirty) dirty"
	fi
	remove
	oracle verify $hdd --journal "$journal" --expect-exact
}

combinations() {
	if [[ $full ]]; then every_combination; else every_combination | pairwise; fi
}

full='' share=1/1
while [[ $# -gt 0 ]]; do
	case $1 in
	-h | --help) sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
	--full) full=yes ;;
	--list) combinations && exit 0 ;;
	[1-9]*/[1-9]*) share=$1 ;;
	*) guest_die "unknown argument '$1': see --help" ;;
	esac
	shift
done
begin_suite
seed=0
while read -r -u 4 combination; do
	seed=$((seed + 1))
	[[ $((seed % ${share#*/})) == $((${share%/*} % ${share#*/})) ]] || continue
	name="random ${combination// /,}"
	# shellcheck disable=SC2086
	! chosen "$name" || run_test "$name" combination $seed $combination
done 4< <(combinations)
end_suite
