# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the scripts beside it, on the host, in a chroot and in a guest: each test is one line of output,
# "ok NAME" or "not ok NAME: why". Sourced, never run.
# shellcheck shell=bash

ok() { echo "ok $*"; }
not_ok() { echo "not ok $*"; }

# expect NAME CODE PATTERN COMMAND...: it must end with CODE, and its output match PATTERN.
expect() {
	local name=$1 want=$2 pattern=$3 code=0 output
	shift 3
	output=$("$@" 2>&1) || code=$?
	if [[ $code -eq $want ]] && grep -qE -- "$pattern" <<<"$output"; then
		ok "$name"
	else
		not_ok "$name: exit code $code (expected $want), or no /$pattern/ in:"
		head -n 30 <<<"$output" | sed 's/^/#   /'
	fi
}

# lacks NAME PATTERN COMMAND...: no line of its output may match.
lacks() {
	local name=$1 pattern=$2 output
	shift 2
	output=$("$@" 2>&1) || true
	if grep -E -- "$pattern" <<<"$output" | sed 's/^/#   /' | grep .; then
		not_ok "$name: found /$pattern/"
	else
		ok "$name"
	fi
}

# same NAME: do the files "expected" and "got" have the same contents?
same() {
	if diff expected got >difference; then
		ok "$1"
	else
		not_ok "$1: what was expected, and what there was:"
		sed 's/^/#   /;20q' difference
	fi
}
