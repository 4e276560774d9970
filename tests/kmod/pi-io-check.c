// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is what was read what it should be? And what the answer says of it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "pi-io.h"

#define MOST_LINES	8u
#define MOST_RUNS	40u

const char *pi_io_error_name(int error)
{
	switch (error) {
	case -EILSEQ: return "EILSEQ";
	case -EIO: return "EIO";
	case -ENOSPC: return "ENOSPC";
	case -EOPNOTSUPP: return "EOPNOTSUPP";
	case -ENODATA: return "ENODATA";
	case -EREMOTEIO: return "EREMOTEIO";
	case -ENOMEM: return "ENOMEM";
	case -EINVAL: return "EINVAL";
	case -EUCLEAN: return "EUCLEAN";
	default: return "another error";
	}
}

static u64 place_of(const struct pi_io_transfer *transfer, unsigned int interval)
{
	return transfer->start + interval * pi_io_interval_sectors(&transfer->device->format);
}

void pi_io_say_error(struct pi_io_session *session, const struct pi_io_transfer *transfer,
		     int error)
{
	unsigned int sectors = transfer->intervals *
		pi_io_interval_sectors(&transfer->device->format);

	pi_io_say(session, "error %s (%d): %s of %llu+%u\n", pi_io_error_name(error), error,
		  transfer->write ? "write" : "read", transfer->start, sectors);
}

static void say_wrong(struct pi_io_session *session, const struct pi_io_transfer *transfer,
		      unsigned int interval, const struct pi_io_found *found, unsigned int wrong)
{
	const struct t10_pi_tuple *tuple = transfer->tuples + interval;

	pi_io_say(session, "wrong sector %llu:%s%s%s%s%s", place_of(transfer, interval),
		  wrong & PI_IO_WRONG_DATA ? " data" : "", wrong & PI_IO_WRONG_GUARD ? " guard" : "",
		  wrong & PI_IO_WRONG_APP ? " app" : "", wrong & PI_IO_WRONG_REF ? " ref" : "",
		  wrong & ~0xfu ? " version" : "");
	pi_io_say(session, "; tuple %04x %04x %08x, data version %u of sector %lld wants %04x %04x %08x\n",
		  be16_to_cpu(tuple->guard_tag), be16_to_cpu(tuple->app_tag),
		  be32_to_cpu(tuple->ref_tag), found->version, (s64)found->sector, found->guard,
		  found->app, found->ref);
}

/* Of the journal's intervals; PI_IO_NOT_GIVEN if it does not know this one. */
static u64 index_in(const struct pi_io_journal *journal, u64 place)
{
	u64 index;

	if (place < journal->start)
		return PI_IO_NOT_GIVEN;
	index = (place - journal->start) >> (journal->shift - SECTOR_SHIFT);
	return index < journal->intervals ? index : PI_IO_NOT_GIVEN;
}

static bool is_expected(const struct pi_io_expectation *expectation, u64 place, u32 version)
{
	struct pi_io_journal *journal = expectation->journal;
	u64 index;

	if (expectation->version != PI_IO_NOT_GIVEN && version != expectation->version)
		return false;
	if (!journal)
		return true;
	index = index_in(journal, place);
	if (index == PI_IO_NOT_GIVEN)
		return true;
	if (!pi_io_journal_allows(journal, index, expectation->expect, version))
		return false;
	if (expectation->settle) {
		journal->flushed[index] = version;
		journal->acked[index] = version;
		journal->newest[index] = version;
	}
	return true;
}

static void say_expected(struct pi_io_session *session,
			 const struct pi_io_expectation *expectation, u64 place)
{
	const struct pi_io_journal *journal = expectation->journal;
	u64 index = journal ? index_in(journal, place) : PI_IO_NOT_GIVEN;

	if (index != PI_IO_NOT_GIVEN)
		pi_io_say(session, "journal: flushed %u, acknowledged %u, newest %u\n",
			  journal->flushed[index], journal->acked[index], journal->newest[index]);
}

int pi_io_check(struct pi_io_session *session, const struct pi_io_transfer *transfer,
		const struct pi_io_expectation *expectation)
{
	unsigned int i, wrong, count = 0;
	struct pi_io_found found;

	for (i = 0; i < transfer->intervals; i++) {
		found = pi_io_judge(transfer, i, place_of(transfer, i));
		wrong = found.wrong;
		if (!is_expected(expectation, place_of(transfer, i), found.version))
			wrong |= 0x10;
		if (!wrong || count++ >= MOST_LINES)
			continue;
		say_wrong(session, transfer, i, &found, wrong);
		if (wrong & 0x10)
			say_expected(session, expectation, place_of(transfer, i));
	}
	if (!count)
		return 0;
	pi_io_say(session, "%u of %u intervals wrong\n", count, transfer->intervals);
	return -EUCLEAN;
}

/* VERSION:INTERVALS... */
void pi_io_say_versions(struct pi_io_session *session, const struct pi_io_transfer *transfer)
{
	unsigned int i, run = 0, runs = 0;
	u32 version = 0, now;

	pi_io_say(session, "ok");
	for (i = 0; i <= transfer->intervals; i++) {
		now = 0;
		if (i < transfer->intervals)
			now = pi_io_judge(transfer, i, U64_MAX).version;
		if (i && (i == transfer->intervals || now != version)) {
			if (runs++ < MOST_RUNS)
				pi_io_say(session, " %u:%u", version, i - run);
			run = i;
		}
		version = now;
	}
	pi_io_say(session, runs > MOST_RUNS ? " ...\n" : "\n");
}

static struct pi_io_claim claim_of(const struct pi_io_transfer *transfer,
				   const struct pi_io_journal *journal)
{
	return (struct pi_io_claim) {
		.first = index_in(journal, transfer->start),
		.count = transfer->intervals,
		.write = transfer->write,
	};
}

/* The range must be the journal's. Numbered when it is claimed: later is higher. */
int pi_io_write(struct pi_io_transfer *transfer, struct pi_io_journal *journal, u32 app,
		u32 *version)
{
	struct pi_io_claim claim = claim_of(transfer, journal);
	unsigned int i;
	int error;

	pi_io_claim(journal, &claim);
	*version = pi_io_next_version();
	pi_io_fill(transfer, *version, app);
	for (i = 0; i < claim.count; i++)
		journal->newest[claim.first + i] = *version;
	error = pi_io_submit(transfer);
	for (i = 0; !error && i < claim.count; i++) {
		WRITE_ONCE(journal->acked[claim.first + i], *version);
		if (transfer->fua)
			journal->flushed[claim.first + i] = *version;
	}
	pi_io_unclaim(journal, &claim);
	return error;
}

int pi_io_read(struct pi_io_session *session, struct pi_io_transfer *transfer,
	       const struct pi_io_expectation *expectation)
{
	struct pi_io_journal *journal = expectation->journal;
	struct pi_io_claim claim;
	int error;

	if (journal) {
		claim = claim_of(transfer, journal);
		pi_io_claim(journal, &claim);
	}
	error = pi_io_submit(transfer);
	if (error)
		pi_io_say_error(session, transfer, error);
	else
		error = pi_io_check(session, transfer, expectation);
	if (journal)
		pi_io_unclaim(journal, &claim);
	return error;
}
