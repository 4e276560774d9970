# SPDX-License-Identifier: GPL-2.0-or-later
# dm-larder, write-through: every write goes to the origin as well. The SSD may die without loss.
#
# For a new cache: lvconvert --type cache --metadataprofile larder-writethrough ...
# For all that are made in a VG from now on: vgchange --metadataprofile larder-writethrough VG
# make install overwrites this file: for other values, copy it to another name.
allocation {
	cache_mode = "writethrough"
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
