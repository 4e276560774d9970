# SPDX-License-Identifier: GPL-2.0-or-later
# dm-larder, write-back: writes are done when they are on the SSD, and reach the origin later. The SSD
# holds the only copy of what was written last: it should be as safe as the origin (two of them, raid1).
#
# For a new cache: lvconvert --type cache --metadataprofile larder-writeback ...
# For all that are made in a VG from now on: vgchange --metadataprofile larder-writeback VG
# make install overwrites this file: for other values, copy it to another name.
allocation {
	cache_mode = "writeback"
	cache_metadata_format = 2

	# With a cachevol LVM does not hand the policy on; dm-larder takes s3fifo by itself then.
	cache_policy = "s3fifo"
	cache_settings {
		s3fifo {
			small_percent = 10
			ghost_percent = 100
		}
	}

	# KiB. LVM doubles it until there are no more than cache_pool_max_chunks. Its own bound, a million,
	# makes chunks of 2 MiB for 1 TiB; this one makes 256 KiB, and a cache takes 0.2 GiB of memory
	# at most.
	cache_pool_chunk_size = 64
	cache_pool_max_chunks = 4194304
}
