# SPDX-License-Identifier: GPL-2.0-or-later
#
# Leaves out of a kernel log what User Mode Linux itself is to blame for: its flush_tlb_mm() walks the
# memory map of a process without the lock or RCU that lockdep wants for that. Seen when an AIO context
# ends (aio_free_ring). All else stays, a report that is cut off or has a module in its trace, too.

function end_report() {
	if (!(whole && known && !ours))
		printf "%s", report
	report = ""
	whole = known = ours = inside = traced = 0
}

function text(line) {
	sub(/^(<[0-9]+>)?\[ *[0-9.]+\] ?/, "", line)
	return line
}

/ =============================$/ {
	end_report()
	inside = 1
	report = $0 "\n"
	next
}
# the trace is the last of a report
traced && text($0) !~ /^ \[</ {
	whole = 1
	end_report()
}
inside {
	report = report $0 "\n"
	if (/ \[<[0-9a-f]+>\] flush_tlb_mm\+0x/)
		known = 1
	if (/ \[[a-z_]+\]$/)
		ours = 1
	if (text($0) ~ /^Call Trace:/)
		traced = 1
	next
}
{ print }
END { end_report() }
