// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `oracle-io verify`: reads the whole span and asks the oracle about each sector, then reads it
 * again in other orders and sizes and wants the same answers. What was found becomes the only
 * legal content (it is adopted into the journal), so the next run or verify holds the device to it.
 */
#include "run.h"

#include "journal.h"

#include <stdlib.h>
#include <string.h>

struct verification {
	struct io_device *device;
	const struct verify_options *options;
	struct oracle oracle;
	struct io_channel channel;
	void *buffer;
	struct found *first;		/* what the first pass found, for every sector */
	uint64_t zeros, valid, undefined, rolled_back, wrong, changed;
};

/* An unreadable range is read again block by block, to tell which sectors are. */
static void read_range(struct verification *verification, uint64_t sector, uint32_t count,
		       struct found *found)
{
	const struct oracle *oracle = &verification->oracle;
	uint32_t block = verification->device->block_sectors, i;
	char *buffer = verification->buffer;

	if (!channel_read(&verification->channel, buffer, oracle->first_sector + sector, count)) {
		for (i = 0; i < count; i++)
			found[i] = sector_decode(buffer + (size_t)i * SECTOR_SIZE,
						 oracle->first_sector + sector + i,
						 oracle->run_id);
	} else if (count > block) {
		for (i = 0; i < count; i += block)
			read_range(verification, sector + i, block, found + i);
	} else {
		for (i = 0; i < count; i++)
			found[i] = (struct found) { .class = FOUND_UNREADABLE };
	}
}

static void judge(struct verification *verification, uint64_t sector)
{
	const struct oracle *oracle = &verification->oracle;
	const struct found *found = &verification->first[sector];
	bool exact = verification->options->exact;

	if (!oracle_legal(oracle, sector, found, exact)) {
		verification->wrong++;
		report_wrong(oracle, exact ? "after a clean stop" : "after the crash", sector,
			     found);
		return;
	}
	if (oracle_undefined(oracle, sector, exact))
		verification->undefined++;
	else if (found->class == FOUND_ZERO)
		verification->zeros++;
	else
		verification->valid++;
	verification->rolled_back += !oracle_legal(oracle, sector, found, true);
}

static void first_pass(struct verification *verification)
{
	uint64_t sector = 0, end = verification->oracle.sectors;
	uint32_t count, i;

	for (; sector < end; sector += count) {
		count = end - sector < MAX_IO_SECTORS ? (uint32_t)(end - sector) : MAX_IO_SECTORS;
		read_range(verification, sector, count, verification->first + sector);
		for (i = 0; i < count; i++)
			judge(verification, sector + i);
	}
}

/* Two reads of the same sector may differ only where a discard left it undefined. */
static void compare(struct verification *verification, uint64_t sector, const struct found *found)
{
	const struct oracle *oracle = &verification->oracle;
	const struct found *first = &verification->first[sector];
	bool exact = verification->options->exact;

	if (found->class == first->class &&
	    (found->class != FOUND_VALID || found->version == first->version))
		return;
	if (oracle_undefined(oracle, sector, exact) && oracle_legal(oracle, sector, found, exact))
		return;
	verification->changed++;
	printf("first read of sector %llu found %s (version 0x%llx); now it is different:\n",
	       (unsigned long long)(sector + oracle->first_sector), found_class_name(first->class),
	       (unsigned long long)first->version);
	report_wrong(oracle, "on reading again", sector, found);
}

/* Visits pieces of `size` sectors in an order that is a permutation far from the first one. */
static void reread(struct verification *verification, uint32_t size, uint64_t seed)
{
	uint64_t pieces = (verification->oracle.sectors + size - 1) / size, i;
	struct found *found = calloc(size, sizeof(*found));
	uint64_t *order = calloc(pieces, sizeof(*order));

	if (!found || !order) {
		perror("reread");
		exit(EXIT_CANNOT);
	}
	for (i = 0; i < pieces; i++) {
		uint64_t other = (seed = mix64(seed + 0x9e3779b97f4a7c15ull)) % (i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (i = 0; i < pieces; i++) {
		uint64_t sector = order[i] * size, left = verification->oracle.sectors - sector;
		uint32_t count = left < size ? (uint32_t)left : size, n;

		read_range(verification, sector, count, found);
		for (n = 0; n < count; n++)
			compare(verification, sector + n, &found[n]);
	}
	free(found);
	free(order);
}

static int run_between(const char *command)
{
	int status;

	fflush(stdout);
	status = command ? system(command) : 0;
	if (!status)
		return 0;
	fprintf(stderr, "--between: '%s' failed with status 0x%x\n", command, status);
	return -1;
}

static int load(struct verification *verification)
{
	const struct verify_options *options = verification->options;
	struct oracle *oracle = &verification->oracle;
	enum journal_state state;

	if (journal_load(oracle, options->journal, &state))
		return -1;
	if (oracle->first_sector + oracle->sectors > verification->device->sectors) {
		fprintf(stderr, "%s: expected at least %llu sectors, found %llu\n",
			verification->device->path,
			(unsigned long long)(oracle->first_sector + oracle->sectors),
			(unsigned long long)verification->device->sectors);
		return -1;
	}
	if (state != JOURNAL_RUNNING)
		return 0;
	if (options->ack_stream && !options->exact)
		return stream_replay(oracle, options->ack_stream);
	fprintf(stderr, "%s: the run was killed; only --ack-stream (without --expect-exact) can "
		"tell what it did\n", options->journal);
	return -1;
}

static int adopt(struct verification *verification)
{
	struct oracle *oracle = &verification->oracle;
	uint64_t sector;

	for (sector = 0; sector < oracle->sectors; sector++)
		oracle_adopt(oracle, sector, &verification->first[sector],
			     verification->options->exact);
	return journal_save(oracle, verification->options->journal, JOURNAL_CLEAN);
}

static int conclude(struct verification *verification)
{
	printf("verify: sectors=%llu stamped=%llu zeros=%llu undefined=%llu rolled-back=%llu "
	       "wrong=%llu changed-on-reread=%llu\n",
	       (unsigned long long)verification->oracle.sectors,
	       (unsigned long long)verification->valid,
	       (unsigned long long)verification->zeros,
	       (unsigned long long)verification->undefined,
	       (unsigned long long)verification->rolled_back,
	       (unsigned long long)verification->wrong,
	       (unsigned long long)verification->changed);
	if (verification->wrong || verification->changed)
		return EXIT_WRONG_DATA;	/* and the journal stays as evidence */
	if (verification->options->adopt && adopt(verification))
		return EXIT_CANNOT;
	return EXIT_GOOD;
}

int verify_device(struct io_device *device, const struct verify_options *options)
{
	static const uint32_t sizes[] = { 128, 8, 1024 };
	struct verification verification = { .device = device, .options = options };
	unsigned int pass;
	int code;

	if (load(&verification) || channel_open(&verification.channel, device))
		return EXIT_CANNOT;
	verification.buffer = allocate_buffer(MAX_IO_SECTORS);
	verification.first = calloc(verification.oracle.sectors, sizeof(struct found));
	if (!verification.first) {
		perror("verify");
		return EXIT_CANNOT;
	}
	first_pass(&verification);
	for (pass = 0; pass < options->rereads; pass++) {
		if (run_between(options->between))
			return EXIT_CANNOT;
		reread(&verification, sizes[pass % 3], options->seed + pass);
	}
	code = conclude(&verification);
	channel_close(&verification.channel);
	free(verification.first);
	oracle_destroy(&verification.oracle);
	return code;
}
