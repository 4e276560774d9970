# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the checks in tests/static: counting, the list of files of this source tree, tools that
# must be there. Sourced, never run.
# shellcheck shell=bash

STATIC_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # used by the scripts that source this
REPO_DIR=$(cd "$STATIC_DIR/../.." && pwd)
PROGRAM=${0##*/}
passed=0 failed=0

die() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; exit 2; }
print_help() { sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0"; }

# start ARGUMENTS...: answers --help and makes $scratch.
start() {
	case ${1:-} in
	-h | --help) print_help && exit 0 ;;
	esac
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/larder-static.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
}

pass() { passed=$((passed + 1)) && printf 'ok   %s\n' "$1"; }

# fail NAME EXPLANATION [FILE-WITH-DETAILS]
fail() {
	failed=$((failed + 1))
	printf 'FAIL %s: %s\n' "$1" "$2"
	[[ ! ${3:-} ]] || awk 'NR <= 100 { print "     | " $0 } END { if (NR > 100) print "     ... of " NR " lines" }' "$3"
}

# expect_silence NAME COMMAND...: passes if the command succeeds and has nothing to say.
expect_silence() {
	local name=$1 code=0
	shift
	"$@" >"$scratch/report" 2>&1 || code=$?
	if [[ $code -ne 0 || -s $scratch/report ]]; then
		fail "$name" "exit code $code" "$scratch/report"
	else
		pass "$name"
	fi
}

finish() {
	printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
	[[ $failed -eq 0 ]]
}

# need_tools TOOL=PACKAGE...: dies with what to install.
need_tools() {
	local one missing=()
	for one; do
		command -v "${one%%=*}" >/dev/null || missing+=("${one#*=}")
	done
	[[ ${#missing[@]} -eq 0 ]] || die "missing tools: apt-get install ${missing[*]}"
}

# files_of ROOT PATTERN...: files of the source tree below ROOT whose path matches one of the patterns:
# those git knows or would add; without git, all but build products.
files_of() {
	local root=$1 path pattern
	shift
	{
		if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
			git -C "$root" ls-files --cached --others --exclude-standard | sort -u
		else
			(cd "$root" && find . -path ./build -prune -o -type f -print | sed 's,^\./,,' | sort)
		fi
	} | while read -r path; do
		[[ -f $root/$path ]] || continue
		for pattern; do
			# The right-hand side is meant as a pattern.
			# shellcheck disable=SC2053
			[[ $path == $pattern ]] && printf '%s\n' "$path" && break
		done
	done
}

# Is FILE (a C file, relative to the current directory) a part of user space?
is_user_space() {
	case $1 in
	userland/* | *-user.[ch]) return 0 ;;
	tests/kmod/*) grep -q '^#include <stdio.h>' "$1" ;;
	tests/*) return 0 ;;
	*) return 1 ;;
	esac
}
