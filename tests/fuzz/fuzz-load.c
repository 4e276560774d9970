// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: what the module does with the metadata device when a cache is
 * opened, and what it then writes to it.
 *
 *	- a look without writing finds the same as a load that writes, and damage
 *	  if and only if that one refuses;
 *	- what loads can be activated, and loads again, with the same contents;
 *	- whatever is committed from then on is there after a reboot, through
 *	  checkpoints, extensions and stops.
 */
#include "image-input.h"
#include "loader.h"

/* The origin that the table line names, unless the superblock's is to be taken. */
#define ORIGIN_OF_TABLE IMAGE_OPTION_A
#define WORK_AFTERWARDS IMAGE_OPTION_B

static struct loader *loader;
static struct shown *expected;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	loader = loader_new();
	expected = fuzz_alloc(1, sizeof(*expected));
	return 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned int seed)
{
	return image_mutate(data, size, max_size, seed);
}

/* Must be refused as what it is not. */
static void check_refusals(struct metadata_disk *disk)
{
	const struct metadata_visitor nobody = { NULL };
	struct metadata *md = loader->md;

	FUZZ_CHECK(disk_run(disk, metadata_load_begin(md, &nobody, true)) == -EINVAL);
	FUZZ_CHECK(disk_run(disk, metadata_activate_begin(md, 100, 0, "x", NULL)) == -EINVAL);
	FUZZ_CHECK(disk_run(disk, metadata_stop_begin(md)) == -EINVAL);
	FUZZ_CHECK(disk_run(disk, metadata_extend_begin(md)) == -ESHUTDOWN);
	FUZZ_CHECK(disk_run(disk, metadata_commit_run(md, 0)) == -ESHUTDOWN);
	FUZZ_CHECK(!disk->nr_writes);
}

/* A reboot must find this. */
static void check_contents(struct metadata_disk *disk, const char *when)
{
	FUZZ_CHECK(loader_probe(loader, disk) == METADATA_OURS, "%s", when);
	FUZZ_CHECK(!loader_load(loader, false, false), "%s", when);
	shown_check_equal(&loader->shown, expected, when);
}

static void commit(struct metadata_disk *disk, u64 *random)
{
	struct metadata *md = loader->md;
	u32 nr = fuzz_below(random, fuzz_below(random, 3) ? 8 : 300);
	struct larder_record r;

	metadata_commit_begin(md);
	for (; nr && metadata_commit_room(md, false); nr--) {
		r = base_record(random, metadata_geometry(md), metadata_formatted_slots(md));
		FUZZ_CHECK(metadata_commit_add(md, &r));
		shown_apply(expected, &r);
	}
	FUZZ_CHECK(!disk_run(disk, metadata_commit_run(md, 0)));
}

static void work(struct metadata_disk *disk, u16 seed)
{
	struct metadata *md = loader->md;
	struct metadata_op *op;
	u64 random = seed;
	u32 steps = 1 + fuzz_below(&random, 24);

	while (steps--) {
		switch (fuzz_below(&random, 8)) {
		case 0:
			FUZZ_CHECK(!disk_run(disk, metadata_checkpoint_begin(md)));
			break;
		case 1:
			FUZZ_CHECK(!disk_run(disk, metadata_extend_begin(md)));
			break;
		case 2:
			FUZZ_CHECK(!disk_run(disk, metadata_stop_begin(md)));
			op = metadata_activate_begin(md, loader->geometry.origin_sectors, 1, "p",
						     NULL);
			FUZZ_CHECK(!disk_run(disk, op));
			break;
		default:
			if (!metadata_commit_room(md, false))
				FUZZ_CHECK(!disk_run(disk, metadata_checkpoint_begin(md)));
			commit(disk, &random);
		}
	}
}

/*
 * Does the double-write area hold pages that the superblock does not know?  Made up, as
 * formatted_pages never goes down.  When the table grows over them, the next load takes them for
 * copies.
 */
static bool images_of_unknown_pages(const struct metadata_disk *disk)
{
	const struct larder_double_header *header = (void *)disk->unit[loader->geometry.dw_start];
	u32 i;

	for (i = 0; i < loader->geometry.dw_pages; i++)
		if (le64_to_cpu(header->images[i].page) >=
		    le64_to_cpu(metadata_super(loader->md)->formatted_pages))
			return true;
	return false;
}

static void open_and_work(const struct image_input *image)
{
	struct metadata_disk *disk = image->disk;
	const struct geometry *g = &image->base->geometry;
	u64 damages, origin = image->flags & ORIGIN_OF_TABLE ? g->origin_sectors : 0;
	bool read_only = super_read_only(loader->md), beyond;
	bool made_up_images = images_of_unknown_pages(disk);
	bool work_afterwards = image->flags & WORK_AFTERWARDS;
	int err, opened;

	err = loader_load(loader, false, true);
	FUZZ_CHECK(!err, "a look that goes on after damage ends with %d", err);
	damages = loader->damages;
	memcpy(expected, &loader->shown, sizeof(*expected));
	/* a map for the largest origin that a superblock can name takes more than all memory */
	if (!origin && loader->geometry.nr_origin_blocks > 1u << 22)
		return;
	opened = loader_open(loader, disk, origin);
	beyond = loader->beyond;
	loader_close(loader);
	if (read_only) {
		FUZZ_CHECK(opened == -EROFS && !disk->nr_writes);
	} else if (opened) {
		FUZZ_CHECK(opened == -EUCLEAN);
		FUZZ_CHECK(!damages || loader->damages || beyond);
	} else {
		FUZZ_CHECK(!damages);
		if (work_afterwards)
			work(disk, image->seed);
		if (!made_up_images)
			check_contents(disk, work_afterwards ? "after work" :
				       "after an activation");
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct image_input image;

	image_read(&image, data, size);
	if (loader_probe(loader, image.disk) != METADATA_OURS) {
		check_refusals(image.disk);
		return 0;
	}
	if (counters_run_out(loader->md))
		return 0;
	open_and_work(&image);
	return 0;
}
