# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of the tools judge with, to be sourced; they count in passed and failed.

pass() { passed=$((passed + 1)) && printf 'ok %s\n' "$1"; }

fail() {
	failed=$((failed + 1))
	printf 'not ok %s: %s\n' "$1" "$2"
	[[ ! -s out ]] || sed 's/^/#   stdout: /;30q' out
	[[ ! -s err ]] || sed 's/^/#   stderr: /;30q' err
}

# expect NAME CODE PATTERN COMMAND...: the command must end with CODE and its output match PATTERN, if any.
expect() {
	local name=$1 want=$2 pattern=$3 code=0
	shift 3
	"$@" >out 2>err || code=$?
	if [[ $code -ne $want ]]; then
		fail "$name" "exit code $code, expected $want ($*)"
	elif [[ $pattern ]] && ! cat out err | grep -qE -- "$pattern"; then
		fail "$name" "nothing matches /$pattern/ ($*)"
	else
		pass "$name"
	fi
}

# expect_json NAME EXPRESSION COMMAND...: a Python expression on d, the command's JSON, must be true.
expect_json() {
	local name=$1 expression=$2
	shift 2
	"$@" >out 2>err || true
	if python3 -c "import json, sys
d = json.load(open('out'))
sys.exit(not ($expression))" 2>>err; then
		pass "$name"
	else
		fail "$name" "not true: $expression"
	fi
}
