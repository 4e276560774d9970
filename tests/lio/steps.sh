# SPDX-License-Identifier: GPL-2.0-or-later
# A failure of every step: each call that changes configfs fails once, from the first to the last. Either
# nothing is left, or all is there.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

# The calls by which something is made or set, and those by which it is taken away. strace counts each by itself.
makers=(mkdir mkdirat symlink symlinkat write pwrite64)
removers=(rmdir unlink unlinkat write)

# hurt CALL NUMBER HARM COMMAND...: runs it with the harm to the call of that number; its exit code. False as
# long as there are fewer.
hurt() {
	code=0
	timeout 100 strace -f -q -o "$work/trace" -e "trace=$1" -e "inject=$1:$3:when=$2" "${@:4}" >"$work/out" 2>&1 || code=$?
	grep -qE 'INJECTED|killed by SIGKILL' "$work/trace"
}

# fail_each WHAT "CALL..." COMMAND...: each call fails once, one in each run of the command. `settled` judges after
# each, and brings back what was before.
fail_each() {
	local what=$1 call n code hits=0
	for call in $2; do
		for ((n = 1; n <= 300; n++)); do
			hurt "$call" $n error=EIO "${@:3}" || break
			hits=$((hits + 1))
			[[ $code -lt 100 ]] || fail "$what, $call $n: had to be killed"
			settled "$what, $(grep INJECTED "$work/trace" | head -n 1 | cut -c1-150)" "$code"
		done
		[[ $code == 0 ]] || fail "$what fails though nothing was hurt: $(tail -n 2 "$work/out")"
		settled "$what, nothing hurt" 0
	done
	check_that "calls that failed" "$hits > 5"
	note "$what: $hits failures"
}

# After an export that failed: nothing. After one that did not care: everything.
settled() {
	# What cannot be told has been done all the same.
	[[ $2 == 0 ]] || ! grep -q 'write([12],.*INJECTED' "$work/trace" || larder unexport "$exported" || true
	[[ $2 != 0 ]] || { same_tree "$1: configfs after success" "$whole"; larder unexport "$exported"; }
	is_unexported "$1 (exit code $2: $(tail -n 1 "$work/out"))"
}

# fail_export OPTION...
fail_export() {
	export_it "$@"
	whole=$(tree)
	unexport_it
	fail_each "export $2" "${makers[*]}" larder export "$exported" "$@"
	is_unexported "at the end"
}

test_steps_loopback() {
	make_cache
	fail_export --fabric loopback --wwn naa.5001405000000001 --alua-group left:active-nonoptimized
}

test_steps_iscsi() {
	make_cache
	printf '%s\n' "userid user" "password Long-Enough-Secret1" >"$work/chap"
	chmod 600 "$work/chap"
	fail_export --fabric iscsi --wwn iqn.2003-01.org.example:steps --portal 127.0.0.1 --acl "$initiator" \
		--chap-file "$work/chap"
}

test_steps_vhost() {
	make_cache
	fail_export --fabric vhost --wwn naa.5001405000000001
}

test_steps_nvme() {
	make_cache
	fail_export --fabric nvme-tcp --wwn nqn.2014-08.org.example:steps --portal 127.0.0.1 --acl "$host_name"
}

# The second export of a device fails: the first one stays as it is.
test_steps_second_fabric() {
	make_cache
	export_it --fabric loopback
	first=$(tree)
	settled() {
		[[ $2 != 0 ]] || { larder unexport "$exported" && larder export "$exported" --fabric loopback --wwn "$(loop_wwn)"; }
		same_tree "$1: configfs" "$first"
	}
	loop_wwn() { sed -nE "s#^$target/loopback/([^/]+) *\$#\1#p" <<<"$first"; }
	fail_each "second fabric" "${makers[*]}" larder export "$exported" --fabric vhost --wwn naa.5001405000000002
	unexport_it
}

# An unexport that fails can be repeated.
test_steps_unexport() {
	make_cache
	settled() {
		[[ $2 == 0 ]] || larder unexport "$exported" || [[ ! $(tree) ]] || fail "$1: cannot be repeated"
		is_unexported "$1"
		larder export "$exported" --fabric iscsi --portal 127.0.0.1 --any-initiator
	}
	export_it --fabric iscsi --portal 127.0.0.1 --any-initiator
	fail_each "unexport" "${removers[*]}" larder unexport "$exported"
	unexport_it
}

# Killed in the middle: the next command copes with what is there.
test_steps_killed() {
	local call n code kills=0
	make_cache
	for call in "${makers[@]}"; do
		for ((n = 1; n <= 300; n++)); do
			hurt "$call" $n signal=KILL larder export "$exported" --fabric iscsi --wwn iqn.2003-01.org.example:steps \
				--portal 127.0.0.1 --acl "$initiator" || break
			kills=$((kills + 1))
			bounded larder unexport "$exported" || true
			is_unexported "killed at $call $n, then unexport"
		done
		check "exit code, not killed" 0 "$code"
		l larder unexport "$exported"
	done
	check_that "kills" "$kills > 5"
	note "$kills kills"
}
