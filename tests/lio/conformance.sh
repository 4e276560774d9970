# SPDX-License-Identifier: GPL-2.0-or-later
# libiscsi's conformance tests, on a cache and on dm-linear: what passes there passes here.
# shellcheck shell=bash disable=SC2154,SC2034  # what lib.sh sets and uses

# Sanitize takes the data of a whole disk away and needs a device that can; the others need more paths, or
# a kernel that has them.
families=(ALL.CompareAndWrite ALL.ExtendedCopy ALL.GetLBAStatus ALL.Inquiry ALL.Mandatory ALL.ModeSense6 ALL.NoMedia
	ALL.OrWrite ALL.Prefetch10 ALL.Prefetch16 ALL.PreventAllow ALL.PrinReadKeys ALL.PrinServiceactionRange
	ALL.PrinReportCapabilities ALL.ProutRegister ALL.ProutReserve ALL.ProutClear ALL.ProutPreempt
	ALL.Read6 ALL.Read10 ALL.Read12 ALL.Read16 ALL.ReadCapacity10 ALL.ReadCapacity16 ALL.ReadDefectData10
	ALL.ReadDefectData12 ALL.ReadOnly ALL.ReceiveCopyResults ALL.ReportSupportedOpcodes ALL.Reserve6
	ALL.StartStopUnit ALL.TestUnitReady ALL.Unmap ALL.Verify10 ALL.Verify12 ALL.Verify16 ALL.Write10 ALL.Write12
	ALL.Write16 ALL.WriteSame10 ALL.WriteSame16 ALL.WriteVerify10 ALL.WriteVerify12 ALL.WriteVerify16
	ALL.iSCSIcmdsn ALL.iSCSIdatasn ALL.iSCSIResiduals ALL.iSCSITMF ALL.iSCSISendTargets ALL.iSCSINop ALL.iSCSICHAP)

# conform NAME DEVICE: one line a test, "NAME RESULT", in $work/NAME.
conform() {
	local family
	l larder export "$2" --fabric iscsi --portal 127.0.0.1 --any-initiator
	: >"$work/$1.log"
	for family in "${families[@]}"; do
		timeout 200 iscsi-test-cu --dataloss --test="$family" "iscsi://127.0.0.1/$(wwn_of iscsi)/0" >>"$work/$1.log" 2>&1 || true
	done
	awk '/^Suite:/ { suite = $2 } /^  Test: / { name = suite "." $2; skipped = 0 }
		/\[SKIPPED\]/ { skipped = 1 }
		name && /passed$|FAILED$/ { print name, /FAILED$/ ? "fail" : skipped ? "skip" : "pass"; name = "" }' \
		"$work/$1.log" | sort >"$work/$1"
	l larder unexport "$2"
}

test_conformance() {
	make_cache
	add_disk plain 128M type=hdd discard=1
	linear linear /dev/plain 0 262144
	conform on-linear /dev/mapper/linear
	conform on-cache "$exported"
	check_that "tests" "$(wc -l <"$work/on-linear") > 100"
	note "linear: $(cut -d' ' -f2 "$work/on-linear" | sort | uniq -c | xargs)"
	note "cache: $(cut -d' ' -f2 "$work/on-cache" | sort | uniq -c | xargs)"
	join -a 1 -e none -o 0,1.2,2.2 "$work/on-linear" "$work/on-cache" |
		awk '($2 == "pass" && $3 != "pass") || ($2 == "skip" && $3 == "fail")' >"$work/worse"
	[[ ! -s $work/worse ]] || fail "worse than on dm-linear: $(tr '\n' ';' <"$work/worse")"
}
