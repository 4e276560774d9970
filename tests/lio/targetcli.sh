# SPDX-License-Identifier: GPL-2.0-or-later
# targetcli and targetctl: what we make they can list, save and restore; and the reverse.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

saved=/etc/rtslib-fb-target/saveconfig.json

set_up_targetctl() {
	mkdir -p /etc/rtslib-fb-target/{backup,pr,alua} /run/dbus
	[[ -S /run/dbus/system_bus_socket ]] || dbus-daemon --system --fork
}

# settings_of: the tree but for the numbers of storage adapters.
settings_of() { tree | sed -E 's/iblock_[0-9]+/iblock_N/g'; }

test_targetctl_restores() {
	make_cached_lv
	set_up_targetctl
	export_it --fabric iscsi --portal 127.0.0.1 --acl "$initiator" --lun 3
	export_it --fabric loopback
	settings_of >"$work/before"
	unit=$(serial)
	l targetctl save $saved
	l targetctl clear
	is_unexported "targetctl clear"
	l targetctl restore $saved
	settings_of | diff "$work/before" - || fail "something is not as it was"
	check "serial number" "$unit" "$(serial)"
	login
	wait_until 30 luns_are 2 || fail "no disks"
	path_works "$(luns | tail -n 1)"
	logout
	# They are ours again.
	unexport_it
}

test_targetcli_lists() {
	make_cache
	set_up_targetctl
	export_it --fabric iscsi --portal 127.0.0.1 --acl "$initiator"
	l targetcli ls
	[[ $(<"$work/out") == *"$exported"* && $(<"$work/out") == *$initiator* && $(<"$work/out") == *"$(wwn_of iscsi)"* ]] ||
		fail "not all is listed"
	unexport_it
}

# Our part of a file of targetcli's, the rest of which stays.
test_save_for_targetctl() {
	make_cached_lv
	set_up_targetctl
	l targetcli /backstores/ramdisk create name=foreign size=1M
	l targetctl save $saved
	export_it --fabric iscsi --portal 127.0.0.1 --acl "$initiator"
	l larder save --targetcli $saved
	check "mode of the file" 600 "$(stat -c %a $saved)"
	settings_of >"$work/before"
	l targetctl clear
	l targetctl restore $saved
	settings_of | diff "$work/before" - || fail "something is not as it was"
	[[ -d $(compgen -G "$target/core/rd_mcp_*/foreign") ]] || fail "what was there before is gone"
	login
	find_lun
	path_works "$lun"
	logout
	l larder unexport --all
	[[ -d $(compgen -G "$target/core/rd_mcp_*/foreign") ]] || fail "unexport --all takes others' away"
	l targetctl clear
}

# What targetcli has made is listed by us, and not taken away.
test_made_by_targetcli() {
	local before
	make_cache
	set_up_targetctl
	l targetcli /backstores/block create name=theirs dev="$exported"
	l targetcli /loopback create naa.5001405000000009
	l targetcli /loopback/naa.5001405000000009/luns create /backstores/block/theirs
	before=$(tree)
	l larder exports
	[[ $(<"$work/out") == *$exported* ]] || fail "not listed: $(<"$work/out")"
	l larder unexport --all
	same_tree "configfs" "$before"
	refused "exported already" larder export "$exported" --fabric iscsi --portal 127.0.0.1 --any-initiator
	same_tree "configfs" "$before"
	l targetctl clear
}

# A storage object that targetctl cannot save makes it fail for everybody's.
test_targetctl_beside_nvmet() {
	make_cache
	set_up_targetctl
	export_it --fabric nvme-tcp --portal 127.0.0.1 --any-initiator
	l targetctl save $saved
	l targetctl clear
	[[ $(tree) == *"$nvmet"* ]] || fail "nvmet is cleared by targetctl"
	unexport_it
}
