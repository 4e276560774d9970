# SPDX-License-Identifier: GPL-2.0-or-later
# The demo as it runs inside the guest: the acts in their order. Called by tests/demo/demo with the
# seed of the power cut and the fault to plant ("none" for the real demo). The acts are in parts/.
# shellcheck shell=bash

set -euo pipefail
seed=$1
plant=$2

# shellcheck source-path=SCRIPTDIR source=../vm/guest-lib.sh
. /repo/tests/vm/guest-lib.sh
# shellcheck source=parts/lib.sh
. /repo/tests/demo/parts/lib.sh
# shellcheck source=parts/disks.sh
. /repo/tests/demo/parts/disks.sh
# shellcheck source=parts/tree.sh
. /repo/tests/demo/parts/tree.sh
# shellcheck source=parts/load.sh
. /repo/tests/demo/parts/load.sh
# shellcheck source=parts/power-cut.sh
. /repo/tests/demo/parts/power-cut.sh
# shellcheck source=parts/removal.sh
. /repo/tests/demo/parts/removal.sh
# shellcheck source=parts/lun.sh
. /repo/tests/demo/parts/lun.sh

act 1 "Simulated disks with volatile write caches: a slow HDD and a small SSD"
make_disks
act 2 "A cache in front of the HDD; a file system on it, filled with a real tree"
make_cached_file_system
copy_tree
act 3 "A database at work, without and with the cache"
compare_database_loads
act 4 "Power cut in the middle of writes (seed $seed)"
write_until_power_cut
recover_after_power_cut
check_what_was_promised
act 5 "The cache is removed; the HDD alone must have everything"
remove_cache
check_origin_alone
act 6 "A cache again, exported over iSCSI: the disk of another host"
export_cache
log_in
use_lun
unexport_cache
check_what_initiator_wrote
