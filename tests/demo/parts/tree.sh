# SPDX-License-Identifier: GPL-2.0-or-later
# The real tree of the demo: as many directories of the guest's /usr as fit the size, copied to the
# cached file system, the checksums of the source kept in memory. Sourced by tests/demo/guest.sh.
# shellcheck shell=bash

tree_mib=150
tree_checksums=/tmp/tree.b2sums

# Directories of /usr, in order of their names, each one that still fits.
choose_directories() {
	local kib directory total=0
	while read -r kib directory; do
		[[ $((total + kib)) -gt $((tree_mib * 1024)) ]] && continue
		total=$((total + kib))
		echo "$directory"
	done < <(du -xk -d 2 /usr | grep -E '/usr/[^/]+/[^/]+$|/usr/(s?bin)$' | sort -k 2)
}

copy_tree() {
	local directories total
	mapfile -t directories < <(choose_directories)
	mkdir /mnt/cached/tree
	find "${directories[@]}" -xdev -type f -print0 | sort -z |
		(cd / && xargs -0 b2sum) | sed 's|  /|  |' >$tree_checksums
	total=$(wc -l <$tree_checksums)
	[[ $total -gt 1000 ]] || failed "expected more than 1000 files below /usr, found $total"
	info "copying $total files of /usr, whose checksums (BLAKE2b) are recorded ..."
	timeout 400 cp -a --parents -x "${directories[@]}" /mnt/cached/tree/ &
	progress_of $! copied_so_far || failed "cp of the tree failed, or did not end within 400 s"
	forget_page_cache
	info "copied $(du -sm /mnt/cached/tree | cut -f1) MiB"
	check_tree /mnt/cached "through the cache"
	info "the cache holds $(as_mib "$(cache_status used)") of $(as_mib "$(cache_status total)") MiB," \
		"$(as_mib "$(cache_status dirty)") MiB of it dirty"
}

copied_so_far() { df -m --output=used /mnt/cached | awk 'NR == 2 { print $1 " MiB" }'; }

# check_tree ROOT HOW: reads all of it again and compares.
check_tree() {
	local wrong
	forget_page_cache
	wrong=$(cd "$1/tree" && b2sum --quiet -c $tree_checksums 2>&1) ||
		failed "the tree read $2 differs from its source: $(head -n 5 <<<"$wrong")"
	good "all $(wc -l <$tree_checksums) files of the tree intact, read $2"
}
