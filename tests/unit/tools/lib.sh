# shellcheck shell=bash disable=SC2154  # what the tests set
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of the tools share, to be sourced: how they begin, build (in $build) and judge (in passed and
# failed; in the current directory, out and err are what the last command printed).

tree=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../..")
passed=0 failed=0 shown=(out err)

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }
print_help() { sed -n '2,/^$/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0"; }

# --- beginning ---

# take_rounds ARGUMENT...: options of a test that tries things at random; sets rounds and seed.
take_rounds() {
	while [[ $# -gt 0 ]]; do
		case $1 in
		-h | --help) print_help && exit 0 ;;
		--rounds | --seed) [[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 wants a number: see --help" ;;
		*) die "unknown argument '$1': see --help" ;;
		esac
		[[ $1 == --rounds ]] && rounds=$2 || seed=$2
		shift 2
	done
	# shellcheck disable=SC2034  # for who sources this
	: "${rounds:?}" "${seed:=$RANDOM$RANDOM}"
}

# need TOOL=PACKAGE...
need() {
	local tool
	PATH=$PATH:/usr/sbin:/sbin
	for tool; do
		command -v "${tool%=*}" >/dev/null || die "needs ${tool%=*}: apt-get install ${tool#*=}"
	done
}

# make_scratch NAME: a directory for files, in memory where there is room: the tools flush what they write.
make_scratch() {
	[[ ${TMPDIR:-} || ! -w /dev/shm ]] || TMPDIR=/dev/shm
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/larder-$1.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
}

# --- building ---

sanitized='-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Werror'
larder_libraries=(-ldevmapper -l:libjson-c.a -l:libexpat.a -lm)
core=("$tree"/dm-target/core/{geometry,metadata*,*-user}.c)

sanitized_cc() {
	# shellcheck disable=SC2086  # flags are words
	gcc -std=gnu11 -Wall -Wextra -Wno-unused-parameter -D_FILE_OFFSET_BITS=64 $sanitized "$@"
}

# Takes CPPFLAGS.
build_larder() {
	mkdir -p "$build"
	make --no-print-directory -s -C "$tree/userland" BIN="$build" OBJ="$build/objects" CFLAGS="$sanitized"
}

# find_objects PATTERN: sets objects to all that larder is made of, but for userland/PATTERN.
find_objects() {
	local file
	objects=()
	while read -r file; do
		# a file whose source is gone is of an older tree; the right-hand side is meant as a pattern
		# shellcheck disable=SC2053
		[[ ! -e $tree/${file%.o}.c || $file == userland/$1.o ]] || objects+=("$build/objects/$file")
	done < <(cd "$build/objects" && find . -name '*.o' -printf '%P\n')
}

# build_with_larder PROGRAM [OPTION...] FILE...: with main() of larder as larder_main().
build_with_larder() {
	local objects
	find_objects main
	sanitized_cc -Dmain=larder_main -DLARDER_VERSION='"test"' -c -o "$build/main-as-function.o" "$tree/userland/main.c"
	sanitized_cc -o "$build/$1" "${@:2}" "$build/main-as-function.o" "${objects[@]}" "${larder_libraries[@]}"
}

build_make_metadata() {
	sanitized_cc -o "$build/make-metadata" "$tree/tests/unit/tools/make-metadata.c" "${core[@]}"
}

larder() { "$build/larder" "$@"; }
make_metadata() { "$build/make-metadata" "$@"; }

# --- judging ---

pass() { passed=$((passed + 1)) && printf 'ok %s\n' "$1"; }

fail() {
	failed=$((failed + 1))
	printf 'not ok %s: %s\n' "$1" "$2"
	local file
	for file in "${shown[@]}"; do
		[[ ! -s $file ]] || sed "s/^/#   ${file##*/}: /;30q" "$file"
	done
}

# expect NAME CODE PATTERN COMMAND...: the command must end with CODE and its output match PATTERN, if any.
expect() {
	local name=$1 want=$2 pattern=$3 code=0
	shift 3
	"$@" >out 2>err || code=$?
	if [[ $code -ne $want ]]; then
		fail "$name" "exit code $code, expected $want ($*)"
	elif [[ $pattern ]] && ! grep -qaE -- "$pattern" out err; then
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

# End of a test.
finish() {
	printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
	[[ $failed -eq 0 ]]
}
