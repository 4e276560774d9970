# SPDX-License-Identifier: GPL-2.0-or-later
# Who gets in, and who can see secrets.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

secret=Long-Enough-Secret1 mutual_secret=Another-Long-Secret2

chap_file() {
	printf '%s\n' "userid user" "password $secret" "mutual_userid server" "mutual_password $mutual_secret" >"$work/chap"
	chmod 600 "$work/chap"
}

# chap_login PASSWORD
chap_login() {
	login 127.0.0.1:3260 node.session.auth.authmethod=CHAP node.session.auth.username=user \
		"node.session.auth.password=$1" node.session.auth.username_in=server \
		"node.session.auth.password_in=${2:-$mutual_secret}" node.session.initial_login_retry_max=1
}

test_chap() {
	make_cache
	chap_file
	export_it --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --chap-file "$work/chap"
	! login || fail "login without a password"
	! chap_login Wrong-Enough-Secret || fail "login with a wrong password"
	! chap_login $secret Not-What-It-Answers || fail "the initiator believes a wrong target"
	chap_login $secret || fail "login: $(tail -n 2 "$work/out")"
	find_lun
	path_works "$lun"
	logout
	l larder save
	unexport_it
	l larder restore --exports
	chap_login $secret || fail "login, restored: $(tail -n 2 "$work/out")"
	logout
	! chap_login Wrong-Enough-Secret || fail "login with a wrong password, restored"
	unexport_it
}

# Secrets are nowhere but in the file and in configfs: not in arguments, output, logs or files for all.
test_secrets_stay_secret() {
	local file
	make_cache
	chap_file
	strace -f -qq -s 300 -e trace=execve,write -o "$work/trace" "$TOOL" export "$exported" --fabric iscsi \
		--portal 127.0.0.1 --acl "$initiator" --chap-file "$work/chap" >"$work/said" 2>&1 || fail "export: $(cat "$work/said")"
	{
		larder exports
		larder exports --json
		larder save
		larder unexport "$exported"
		larder export "$exported" --fabric iscsi --portal 127.0.0.1 --acl "$initiator" \
			--chap-file "$work/chap" --dry-run
	} >>"$work/said" 2>&1
	grep 'execve(' "$work/trace" >"$work/arguments" || fail "nothing was traced"
	for file in "$work/said" "$work/arguments"; do
		! grep -E "$secret|$mutual_secret" "$file" || fail "a secret is in ${file##*/}"
	done
	dmesg | grep -E "$secret|$mutual_secret" && fail "a secret is in the kernel's log"
	while read -r file; do
		[[ $(stat -c %a "$file") == 600 ]] || fail "a secret is in $file, of mode $(stat -c %a "$file")"
	done < <(grep -rlE "$secret|$mutual_secret" /etc /run /var 2>/dev/null)
}

test_chap_file_of_others() {
	make_cache
	chap_file
	chmod 644 "$work/chap"
	refused "others can read or write it" larder export "$exported" --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --chap-file "$work/chap"
	chmod 600 "$work/chap"
	chown 65534 "$work/chap"
	refused "owned by somebody else" larder export "$exported" --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --chap-file "$work/chap"
	chown 0 "$work/chap"
	ln -sfn "$work/chap" "$work/chap-link"
	refused "symbolic link" larder export "$exported" --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --chap-file "$work/chap-link"
	rm -f "$work/chap-fifo"
	mkfifo -m 600 "$work/chap-fifo"
	refused "no regular file" larder export "$exported" --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --chap-file "$work/chap-fifo"
	echo nonsense >"$work/chap"
	refused "unknown key" larder export "$exported" --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --chap-file "$work/chap"
	is_unexported "secrets that others know"
}

# An initiator that is not named stays outside, and nobody gets in unless asked for.
test_acl() {
	make_cache
	refused "who may use it?" larder export "$exported" --fabric iscsi --portal 127.0.0.1
	refused "who may use it?" larder export "$exported" --fabric nvme-tcp --portal 127.0.0.1
	is_unexported "no initiator named"
	export_it --fabric iscsi --portal 127.0.0.1 --acl iqn.1993-08.org.debian:01:somebody-else
	check "demo mode" 0 "$(<"$(portal_group iscsi)/attrib/generate_node_acls")"
	! login || fail "an initiator gets in that is not named"
	unexport_it
	export_it --fabric iscsi --portal 127.0.0.1 --acl iqn.1993-08.org.debian:01:somebody-else --acl "$initiator"
	login || fail "login: $(tail -n 2 "$work/out")"
	find_lun
	path_works "$lun"
	logout
	unexport_it
}

test_acl_nvme() {
	local name
	make_cache
	export_it --fabric nvme-tcp --portal 127.0.0.1 --acl nqn.2014-08.org.nvmexpress:uuid:6c617264-6572-4000-8000-00000000dead
	name=$(basename "$(compgen -G "$nvmet/subsystems/*")")
	modprobe nvme-tcp
	refused "" nvme connect -t tcp -a 127.0.0.1 -s 4420 -n "$name" --hostnqn "$host_name"
	unexport_it
}
