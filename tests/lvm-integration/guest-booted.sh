#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In a system that has booted from a cached LV.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
export LVM_SUPPRESS_FD_WARNINGS=1
setup=/usr/local/libexec/dm-larder/lvm-setup

expect 'booted: the root file system is on the LV' 0 '^/dev/mapper/vg-root$' findmnt -n -o SOURCE /
expect 'booted: with a cache' 0 '^0 [0-9]+ cache ' dmsetup table vg-root
expect 'booted: of ours' 0 '^dm_larder ' lsmod
lacks 'booted: not of the other one' '^dm_cache' lsmod
expect 'booted: the profile is known' 0 'larder-writeback' lvs --noheadings -o lv_profile vg/root
expect 'booted: the cache is well' 0 '^Cwi-ao' bash -c "lvs --noheadings -o lv_attr vg/root | tr -d ' '"
expect 'booted: what is on the disks is what was put there' 0 '' bash -c \
	"cd / && sha256sum --quiet -c /share/sums"
date >/etc/was-booted
sync -f /

expect 'uninstall: refused' 1 'the root file system stands on the cache vg-root' "$setup" check-uninstall
expect 'make uninstall: refused' 2 'the root file system stands on the cache' \
	env PATH="/share/bin:$PATH" make -C /repo uninstall
expect 'make uninstall: nothing is gone' 0 'dm-larder' /usr/sbin/cache_check -V
expect 'make uninstall: the aliases are there' 0 'dm-cache-smq' cat /etc/modprobe.d/dm-larder.conf
expect 'uninstall: FORCE' 0 'FORCE: the root file system' env FORCE=1 "$setup" check-uninstall
expect 'install: allowed beside our own' 0 '^$' "$setup" check-install

lvs -a vg
dmsetup status vg-root
