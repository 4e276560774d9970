# SPDX-License-Identifier: GPL-2.0-or-later
# libiscsi's conformance tests, on a cache and on dm-linear: what passes there passes here.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

# Sanitize takes the data of a whole disk away, and the others want a disk with more paths, or one that writes
# atomically; no kernel before 7.2 has that in LIO.
# suites PART: every sixth of them, so that a part stays within the time that guest gives it.
suites() {
	iscsi-test-cu --list | grep -E '^ALL\.[A-Za-z0-9]+$' | grep -vE 'Sanitize|MultipathIO|WriteAtomic16' |
		awk -v part="$1" 'NR % 6 == part - 1'
}

# conform NAME DEVICE PART: one line a test, "SUITE.TEST RESULT", in $work/NAME; what took how long in $work/NAME.took.
# A suite that does not come to its end is a failure, wherever: what it has not run would be compared with nothing.
conform() {
	local suite code begun
	l larder export "$2" --fabric iscsi --portal 127.0.0.1 --any-initiator
	: >"$work/$1.log"
	: >"$work/$1.took"
	for suite in $(suites "$3"); do
		code=0 begun=$SECONDS
		timeout 400 iscsi-test-cu --dataloss --test="$suite" "iscsi://127.0.0.1/$(wwn_of iscsi)/0" >"$work/$1.one" 2>&1 ||
			code=$?
		cat "$work/$1.one" >>"$work/$1.log"
		echo "$((SECONDS - begun)) $suite" >>"$work/$1.took"
		grep -q '^Run Summary' "$work/$1.one" || fail "$1: $suite ended with $code: $(tail -n 3 "$work/$1.one")"
	done
	awk '/^Suite:/ { suite = $2 } /^  Test: / { name = suite "." $2; skipped = 0 }
		/\[SKIPPED\]/ { skipped = 1 }
		name && /passed$|FAILED$/ { print name, /FAILED$/ ? "fail" : skipped ? "skip" : "pass"; name = "" }' \
		"$work/$1.log" | sort >"$work/$1"
	l larder unexport "$2"
}

conformance() {
	make_cache
	add_disk plain 128M type=hdd discard=1
	linear linear /dev/plain 0 262144
	conform on-linear /dev/mapper/linear "$1"
	conform on-cache "$exported" "$1"
	check_that "tests" "$(wc -l <"$work/on-linear") > 15"
	note "linear: $(cut -d' ' -f2 "$work/on-linear" | sort | uniq -c | xargs)"
	note "cache: $(cut -d' ' -f2 "$work/on-cache" | sort | uniq -c | xargs)"
	note "fail on both: $(join <(grep ' fail$' "$work/on-linear") <(grep ' fail$' "$work/on-cache") | cut -d' ' -f1 | xargs)"
	note "longest: $(sort -rn "$work"/on-*.took | head -n 4 | xargs)"
	join -a 1 -e none -o 0,1.2,2.2 "$work/on-linear" "$work/on-cache" |
		awk '($2 == "pass" && $3 != "pass") || ($2 == "skip" && $3 == "fail")' >"$work/worse"
	[[ ! -s $work/worse ]] || fail "worse than on dm-linear: $(tr '\n' ';' <"$work/worse")"
}

test_conformance_1() { conformance 1; }
test_conformance_2() { conformance 2; }
test_conformance_3() { conformance 3; }
test_conformance_4() { conformance 4; }
test_conformance_5() { conformance 5; }
test_conformance_6() { conformance 6; }
