# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the host-side scripts of tests/sanitized: where the kernels that watch the module are
# cached, and how a module is built for them. Sourced, never run.
# shellcheck shell=bash

SANITIZED_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../vm/lib.sh
. "$SANITIZED_DIR/../vm/lib.sh"

# Beside the parts of the machine room, whose prepare also removes what nobody has used for days. The
# compiler belongs to the key: modules must be built by the one that built the kernel.
sanitized_path() {
	printf '%s/sanitized-%s-%s' "$CACHE_DIR" "$1" "$({ cat "$SANITIZED_DIR/build-kernel.sh" \
		"$SANITIZED_DIR/config/$1".* "$VM_DIR/parts/apt.sh" "$VM_DIR/parts/kernel.sh" \
		"$VM_DIR/parts/initramfs-init" && gcc -dumpfullversion; } | sha256sum | cut -c1-12)"
}

is_sanitized() { [[ $1 == uml || $1 == kcsan ]]; }

# kernel_make KERNEL TREE ARGUMENTS...
kernel_make() {
	local kernel=$1 tree=$2
	shift 2
	case $kernel in
	uml) set -- ARCH=um "$@" ;;
	esac
	make -C "$tree" -j "$(nproc)" --no-print-directory -s CC=gcc "$@"
}

# build_modules KERNEL PART OUTDIR: dm-larder.ko and simdisk.ko of this tree (or of $LARDER_SOURCE) into
# OUTDIR. What was compiled stays in OUTDIR/work, where gcov of the kernel looks for it by its full path.
build_modules() {
	local kernel=$1 part=$2 outdir=$3 work=$3/work variables=()
	mkdir -p "$work"
	# By content and without times: what changed gets the present time and is compiled again.
	(cd "${LARDER_SOURCE:-$REPO_DIR}" && rsync -rR --delete --checksum --exclude='*.mod.c' \
		--include='*/' --include='*.[chS]' --include='Kbuild*' --exclude='*' \
		Kbuild dm-target policy tests/kmod "$work/")
	rsync -r --delete --checksum --include='*/' --include='*.c' --include=Kbuild --exclude='*' \
		"$SANITIZED_DIR/wrong" "$work/tests/"
	# Another kernel: nothing compiled for the last one is of use.
	[[ $(cat "$outdir/kernel" 2>/dev/null) == "$part" ]] ||
		find "$work" \( -name '*.o' -o -name '*.cmd' \) -delete
	echo "$part" >"$outdir/kernel"
	[[ $kernel != uml ]] || variables=(GCOV_PROFILE=y)
	# Not left to errexit, which callers switch off: what was built before must not be taken for new.
	kernel_make "$kernel" "$part/tree" M="$work" "${variables[@]}" modules &&
		kernel_make "$kernel" "$part/tree" M="$work/tests/kmod" modules &&
		kernel_make "$kernel" "$part/tree" M="$work/tests/wrong" modules &&
		cp "$work/dm-larder.ko" "$work/tests/kmod/simdisk.ko" "$work/tests/wrong/wrong.ko" "$outdir/"
}

# What the suites run in a guest. Builders of several runs at a time take turns.
build_programs() {
	local directory
	mkdir -p "$REPO_DIR/build/bin"
	exec 9>"$REPO_DIR/build/bin/.lock"
	flock 9
	for directory in tests/io tests/functional userland tests/sanitized; do
		# Not left to errexit, which callers switch off by what they do on failure.
		make -s -C "$REPO_DIR/$directory" >&2 || return
	done
	exec 9>&-
}

# suite_command SUITE: how it is started in a guest; at greater length if $long says so.
long=''
suite_command() {
	# A process takes long to start in User Mode Linux, and emulated disks are slow: no file systems.
	case $1${long:+-long} in
	lifecycle*) echo tests/functional/guest-lifecycle.sh short ;;
	bad-input) echo tests/functional/guest-bad-input.sh 3 ;;
	bad-input-long) echo tests/functional/guest-bad-input.sh 10 ;;
	random) echo tests/functional/guest-random.sh 1/5 ;;
	random-long) echo tests/functional/guest-random.sh ;;
	powercut*) echo tests/functional/guest-powercut.sh 201 ;;
	stress) echo tests/sanitized/guest-stress.sh plain 300 ;;
	stress-long) echo tests/sanitized/guest-stress.sh plain 1500 ;;
	faults) echo tests/sanitized/guest-stress.sh faults 300 1 ;;
	faults-long) echo tests/sanitized/guest-stress.sh faults 1500 3 ;;
	fail-nth) echo tests/sanitized/guest-fail-nth.sh 20 ;;
	fail-nth-long) echo tests/sanitized/guest-fail-nth.sh 60 ;;
	*) die "unknown suite '$1': see --help" ;;
	esac
}

passed=0 failed=0 skipped=0

# run_watched NAME COMMAND...: a suite in a guest. Its sum is added to ours; how the guest ended is one
# more test.
run_watched() {
	local name=$1 code=0 line p=0 f=0 s=0 output begun=$SECONDS
	shift
	output=$(mktemp)
	echo "--- $name"
	"$@" | tee "$output" | grep --line-buffered -v ' skipped$' || code=${PIPESTATUS[0]}
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$output" | tail -n 1 || true)
	rm -f "$output"
	[[ ! $line ]] || read -r p f s <<<"${line//[!0-9 ]/}"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [[ ! $line ]]; then
		echo "not ok $name: died without a summary, exit code $code"
	elif [[ $code != 0 && $f == 0 || $code -ge 95 ]]; then
		echo "not ok $name: the kernel's verdict: exit code $code (see above)"
	else
		echo "ok $name: nothing reported by the kernel ($((SECONDS - begun)) s)"
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
}

sum_up() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[[ $failed -eq 0 ]]
}
