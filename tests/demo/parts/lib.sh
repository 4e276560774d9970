# SPDX-License-Identifier: GPL-2.0-or-later
# What all acts of the demo use: output, bounded waiting, failing, reading the status of the cache.
# Sourced by tests/demo/guest.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154  # chunk_sectors is in disks.sh

act() { printf '\nAct %s: %s\n' "$1" "$2"; }
info() { printf '  %s\n' "$*"; }
good() { printf '  ok: %s\n' "$*"; }

# Fails the demo. What was expected, what was found.
failed() {
	printf '  FAILED: %s\n' "$*"
	echo "  the last messages of the kernel:"
	dmesg | grep -v systemd-udevd | tail -n 25 | sed 's/^/    | /'
	exit 1
}

# bounded SECONDS COMMAND...: fails the demo when the command fails or hangs; says where a hang is.
bounded() {
	local seconds=$1 code=0
	shift
	timeout -k 5 "$seconds" "$@" || code=$?
	[[ $code -ne 124 && $code -ne 137 ]] || {
		echo w >/proc/sysrq-trigger
		failed "'$*' did not end within $seconds s; the kernel log has the blocked tasks"
	}
	[[ $code -eq 0 ]] || failed "'$*' ended with exit code $code"
}

# progress_of PID COMMAND [ARGUMENT...]: prints what the command says every few seconds until the
# process ends, and returns the process's exit code.
progress_of() {
	local pid=$1 tick=0
	shift
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		tick=$((tick + 1))
		[[ $((tick % 30)) -ne 0 ]] || info "  $("$@")"
	done
	wait "$pid"
}

lines_of() { wc -l 2>/dev/null <"$1" || echo 0; }

now_ns() { date +%s%N; }

# Seconds with two digits, from a moment of now_ns to now.
seconds_since() { awk -v a="$1" -v b="$(now_ns)" 'BEGIN { printf "%.2f", (b - a) / 1e9 }'; }

# percentage PART WHOLE
percentage() {
	awk -v a="$1" -v b="$2" 'BEGIN { if (b) printf "%.1f%%", 100 * a / b; else printf "-" }'
}

# Nothing that was read or written may be answered from memory.
forget_page_cache() {
	bounded 120 sync
	echo 3 >/proc/sys/vm/drop_caches
}

# cache_status FIELD: a field of the status line, by name. Without flush, since that would commit.
cache_status() {
	local words
	read -r -a words <<<"$(dmsetup status --noflush cached)"
	[[ ${words[2]:-} == larder ]] ||
		failed "dmsetup status: expected a larder target, found '${words[*]}'"
	case $1 in
	used) echo "${words[6]%/*}" ;;
	total) echo "${words[6]#*/}" ;;
	read_hits) echo "${words[7]}" ;;
	read_misses) echo "${words[8]}" ;;
	write_hits) echo "${words[9]}" ;;
	write_misses) echo "${words[10]}" ;;
	dirty) echo "${words[13]}" ;;
	esac
}

# cache_statistic NAME: a number of the answer to the message "stats", in which blocks are the inner
# unit of mapping and not chunks.
cache_statistic() { dmsetup message cached 0 stats | grep -oE "\"$1\":[0-9]+" | cut -d: -f2; }

# counter DISK NAME: one of the counters of a simulated disk.
counter() {
	local name value
	while read -r name value; do
		[[ $name != "$2" ]] || echo "$value"
	done <"/sys/block/$1/simdisk/stats"
}

# The counts are in chunks of the cache.
as_mib() { echo $(($1 * chunk_sectors / 2048)); }
