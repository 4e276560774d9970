#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs commands one after the other, then copies what gcov of the kernel counted for our modules to
# /share/gcov, whatever became of them. See gcov-collect.
#
# usage: guest-gcov.sh 'COMMAND' ...

set -euo pipefail
case ${1:-} in
-h | --help | '') sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
code=0
for command; do
	bash -c "$command" || code=$?
done
mkdir -p /share/gcov
# cp sees files of length 0 there.
find /sys/kernel/debug/gcov -name '*.gcda' | while read -r file; do
	cat "$file" >"/share/gcov/$(basename "$file")"
done
exit $code
