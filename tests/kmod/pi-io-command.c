// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each command does. A command that does not find what it expects fails, and its answer says
 * what it found; so does one that makes no sense.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/string.h>

#include "pi-io.h"

#define PIECE_INTERVALS	256u	/* of commands that read a whole range */
#define SWEEP_INTERVALS	128u

struct command {
	struct pi_io_session *session;
	struct pi_io_device device;
	struct pi_io_journal *journal;
	struct pi_io_words words;
};

static int refuse(struct command *command, const char *why)
{
	pi_io_say(command->session, "error: %s\n", why);
	return -EINVAL;
}

/* --- what is asked for --- */

static u64 given(u64 number, u64 otherwise)
{
	return number == PI_IO_NOT_GIVEN ? otherwise : number;
}

/* The range of the command, of at most so many sectors; without one, the whole device. */
static int check_range(struct command *command, u64 most)
{
	unsigned int sectors = pi_io_interval_sectors(&command->device.format);
	struct pi_io_words *words = &command->words;
	u64 size = round_down(command->device.sectors, sectors);

	words->start = given(words->start, 0);
	if (words->start >= size)
		return refuse(command, "start is behind the end of the device");
	words->n = given(words->n, size - words->start);
	if (!words->n || words->n > size - words->start)
		return refuse(command, "the range does not lie within the device");
	if (words->start % sectors || words->n % sectors)
		return refuse(command, "start and n must be multiples of the interval");
	if (words->n > most)
		return refuse(command, "the range is too large for this command");
	return 0;
}

static int check_details(struct command *command, unsigned int intervals)
{
	const struct pi_io_words *words = &command->words;
	unsigned int i;

	for (i = 0; i < words->nr_cuts; i++)
		if (words->cuts[i] >= intervals)
			return refuse(command, "a cut is behind the range");
	for (i = 0; i < words->nr_bad; i++)
		if (words->bad[i].interval >= intervals)
			return refuse(command, "what is to be bad is behind the range");
	if (given(words->dataoff, 0) >= PAGE_SIZE ||
	    given(words->dataoff, 0) % (1 << command->device.format.shift))
		return refuse(command, "dataoff must be a multiple of the interval within a page");
	if (given(words->pibreak, 0) >= PAGE_SIZE / sizeof(struct t10_pi_tuple))
		return refuse(command, "pibreak must be below 512");
	if (given(words->version, 0) > U32_MAX || given(words->app, 0) > 0xffff)
		return refuse(command, "version or app is too large");
	return 0;
}

static int check_pi(struct command *command)
{
	if (command->words.plain)
		return 0;
	if (command->device.format.type == PI_IO_NONE) {
		pi_io_say(command->session, "error: the device has no profile\n");
		return -ENODATA;
	}
	if (command->device.format.tuple != sizeof(struct t10_pi_tuple)) {
		pi_io_say(command->session, "error: its tuples have %u bytes, expected 8\n",
			  command->device.format.tuple);
		return -ENODATA;
	}
	return 0;
}

/* A transfer of a part of the command's range, as the words want it. */
static int start_transfer(struct command *command, struct pi_io_transfer *transfer, u64 start,
			  unsigned int intervals, bool write)
{
	const struct pi_io_words *words = &command->words;
	const struct pi_io_format *format = &command->device.format;
	unsigned int i;
	u64 skipped = (start - words->start) >> (format->shift - SECTOR_SHIFT);

	*transfer = (struct pi_io_transfer) {
		.device = &command->device,
		.start = start,
		.intervals = intervals,
		.seed = skipped + given(words->seed,
					words->start >> (format->shift - SECTOR_SHIFT)),
		.write = write,
		.plain = words->plain,
		.nocheck = words->nocheck,
		.fua = words->fua,
		.nr_cuts = words->nr_cuts,
		.data_offset = given(words->dataoff, 0),
		.break_after = given(words->pibreak, 0),
	};
	for (i = 0; i < words->nr_cuts; i++)
		transfer->cuts[i] = words->cuts[i];
	return pi_io_prepare(transfer);
}

static unsigned int intervals_of(const struct command *command)
{
	return command->words.n >> (command->device.format.shift - SECTOR_SHIFT);
}

static int check_transfer(struct command *command)
{
	return check_pi(command) ?: check_range(command, PI_IO_MAX_SECTORS) ?:
		check_details(command, intervals_of(command));
}

static const char *const expectations[] = {
	[PI_IO_EXPECT_ACKED] = "acked",
	[PI_IO_EXPECT_FLUSHED] = "flushed",
	[PI_IO_EXPECT_ANY] = "any",
};

static struct pi_io_expectation expectation_of(const struct command *command)
{
	int expect = PI_IO_EXPECT_ACKED;

	if (command->words.expect)
		expect = match_string(expectations, ARRAY_SIZE(expectations),
				      command->words.expect);
	return (struct pi_io_expectation) {
		.journal = command->journal,
		.expect = expect,
		.settle = command->words.settle,
		.version = command->words.zero ? 0 : command->words.version,
	};
}

/* --- commands --- */

static int do_profile(struct command *command)
{
	const struct pi_io_format *format = &command->device.format;

	if (format->type == PI_IO_NONE)
		pi_io_say(command->session, "type=none\n");
	else
		pi_io_say(command->session, "type=%s guard=%s tuple=%u interval=%u segments=%u\n",
			  pi_io_type_name(format->type), format->ip ? "ip" : "crc", format->tuple,
			  1 << format->shift, format->segments);
	return 0;
}

static int do_write(struct command *command)
{
	const struct pi_io_words *words = &command->words;
	struct pi_io_transfer transfer = {};
	u32 app = given(words->app, PI_IO_OWN_APP), version = 0;
	unsigned int i;
	int error;

	error = check_transfer(command);
	if (error)
		return error;
	if (command->journal && (words->nr_bad || given(words->version, 0)))
		return refuse(command, "what is bad on purpose or has a version is not for a journal");
	if (words->nr_bad && words->plain)
		return refuse(command, "a plain write has no tuples of ours");
	error = start_transfer(command, &transfer, words->start, intervals_of(command), true);
	if (!error && command->journal) {
		error = pi_io_write(&transfer, command->journal, app, &version);
	} else if (!error) {
		version = given(words->version, 0) ?: pi_io_next_version();
		pi_io_fill(&transfer, version, app);
		for (i = 0; i < words->nr_bad; i++)
			pi_io_spoil(&transfer, words->bad[i].interval, words->bad[i].what);
		error = pi_io_submit(&transfer);
	}
	if (transfer.tuples) {
		if (error)
			pi_io_say_error(command->session, &transfer, error);
		else
			pi_io_say(command->session, "ok %u:%u\n", version, transfer.intervals);
	}
	pi_io_release(&transfer);
	return error;
}

static int do_read(struct command *command)
{
	struct pi_io_expectation expectation = expectation_of(command);
	struct pi_io_transfer transfer = {};
	int error;

	error = check_transfer(command);
	if (error)
		return error;
	error = start_transfer(command, &transfer, command->words.start, intervals_of(command),
			       false);
	if (!error)
		error = pi_io_read(command->session, &transfer, &expectation);
	if (!error)
		pi_io_say_versions(command->session, &transfer);
	pi_io_release(&transfer);
	return error;
}

/* SECTOR GUARD APP REF CRC-OF-DATA, nothing judged. */
static int do_tuples(struct command *command)
{
	struct pi_io_transfer transfer = {};
	const struct t10_pi_tuple *tuple;
	unsigned int i, step;
	int error;

	if (command->words.plain)
		return refuse(command, "a plain read has no tuples");
	error = check_transfer(command);
	if (error)
		return error;
	step = pi_io_interval_sectors(&command->device.format);
	error = start_transfer(command, &transfer, command->words.start, intervals_of(command),
			       false);
	if (!error) {
		error = pi_io_submit(&transfer);
		if (error)
			pi_io_say_error(command->session, &transfer, error);
	}
	for (i = 0; !error && i < transfer.intervals; i++) {
		tuple = transfer.tuples + i;
		pi_io_say(command->session, "%u %04x %04x %08x %04x\n", i * step,
			  be16_to_cpu(tuple->guard_tag), be16_to_cpu(tuple->app_tag),
			  be32_to_cpu(tuple->ref_tag), pi_io_judge(&transfer, i, U64_MAX).guard);
	}
	pi_io_release(&transfer);
	return error;
}

/* A write of the range with one cut, and a read with another; the PI in two pages. */
static int sweep_one(struct command *command, unsigned int cut, bool write,
		     struct pi_io_expectation *expectation)
{
	struct pi_io_transfer transfer = {};
	int error;

	command->words.nr_cuts = 1;
	command->words.cuts[0] = cut;
	command->words.pibreak = cut;
	error = start_transfer(command, &transfer, command->words.start, intervals_of(command),
			       write);
	if (!error && write) {
		expectation->version = pi_io_next_version();
		pi_io_fill(&transfer, expectation->version, PI_IO_OWN_APP);
		error = pi_io_submit(&transfer);
		if (error)
			pi_io_say_error(command->session, &transfer, error);
	} else if (!error) {
		error = pi_io_read(command->session, &transfer, expectation);
	}
	pi_io_release(&transfer);
	return error;
}

/* The range, once for each place where it can be cut in two. */
static int do_sweep(struct command *command)
{
	struct pi_io_expectation expectation = { .expect = PI_IO_EXPECT_ACKED };
	unsigned int cut, intervals;
	int error;

	error = check_transfer(command);
	if (error)
		return error;
	intervals = intervals_of(command);
	if (intervals < 2 || intervals > SWEEP_INTERVALS || command->journal)
		return refuse(command, "a sweep wants 2 to 128 intervals, and no journal");
	for (cut = 1; !error && cut < intervals; cut++) {
		error = sweep_one(command, cut, true, &expectation);
		if (!error)
			error = sweep_one(command, intervals - cut, false, &expectation);
		if (error)
			pi_io_say(command->session, "with a cut at %u\n", cut);
	}
	if (!error)
		pi_io_say(command->session, "ok %u cuts\n", intervals - 1);
	return error;
}

static int check_journal_fits(struct command *command)
{
	const struct pi_io_journal *journal = command->journal;

	if (journal->start + (u64)journal->intervals *
	    pi_io_interval_sectors(&command->device.format) > command->device.sectors)
		return refuse(command, "the journal's range does not lie within the device");
	return 0;
}

static int do_verify(struct command *command)
{
	struct pi_io_expectation expectation = expectation_of(command);
	struct pi_io_journal *journal = command->journal;
	struct pi_io_transfer transfer = {};
	unsigned int first, count, step;
	int error, result = 0;

	if (!journal)
		return refuse(command, "verify wants a journal");
	error = check_pi(command);
	if (error)
		return error;
	error = check_journal_fits(command);
	if (error)
		return error;
	step = pi_io_interval_sectors(&command->device.format);
	command->words.start = journal->start;
	command->words.nr_cuts = 0;
	for (first = 0; first < journal->intervals; first += count) {
		count = min(PIECE_INTERVALS, journal->intervals - first);
		error = start_transfer(command, &transfer, journal->start + (u64)first * step,
				       count, false);
		if (!error)
			error = pi_io_read(command->session, &transfer, &expectation);
		pi_io_release(&transfer);
		result = result ?: error;
	}
	if (!result)
		pi_io_say(command->session, "ok %u intervals\n", journal->intervals);
	return result;
}

/* --- scan --- */

/* Intervals in a row that differ in nothing but their place. */
struct run {
	u64 at;
	u64 sectors;
	u64 holds;		/* U64_MAX: no data of ours */
	u32 version;
	int error;
};

static void say_run(struct pi_io_session *session, const struct run *run)
{
	if (!run->sectors)
		return;
	if (run->error)
		pi_io_say(session, "at %llu n %llu: %s\n", run->at, run->sectors,
			  pi_io_error_name(run->error));
	else if (run->holds != U64_MAX)
		pi_io_say(session, "at %llu n %llu: sector %llu version %u\n", run->at,
			  run->sectors, run->holds, run->version);
}

static void add_to_run(struct pi_io_session *session, struct run *run, const struct run *next)
{
	bool follows = run->sectors && run->error == next->error &&
		run->version == next->version && (run->holds == U64_MAX ? next->holds == U64_MAX :
						  run->holds + run->sectors == next->holds);

	if (follows) {
		run->sectors += next->sectors;
		return;
	}
	say_run(session, run);
	*run = *next;
}

static void scan_interval(struct command *command, const struct pi_io_transfer *transfer,
			  unsigned int interval, int error, struct run *run)
{
	unsigned int step = pi_io_interval_sectors(&command->device.format);
	/* who does not look at tuples may have those of another place */
	unsigned int foreign = command->device.format.type == PI_IO_OPAQUE ? PI_IO_WRONG_REF : 0;
	struct run next = {
		.at = transfer->start + interval * step,
		.sectors = step,
		.holds = U64_MAX,
		.error = error,
	};
	struct pi_io_found found;

	if (!error) {
		found = pi_io_judge(transfer, interval, U64_MAX);
		next.holds = found.sector;
		next.version = found.version;
		if (found.wrong & ~(PI_IO_WRONG_DATA | foreign))
			next.error = -EUCLEAN;
	}
	add_to_run(command->session, run, &next);
}

/* Reads a piece; if that fails, interval by interval, to see which. */
static int scan_piece(struct command *command, u64 start, unsigned int count, struct run *run)
{
	struct pi_io_transfer transfer = {};
	unsigned int i;
	int error;

	error = start_transfer(command, &transfer, start, count, false);
	if (error) {
		pi_io_release(&transfer);
		return error;
	}
	error = pi_io_submit(&transfer);
	if (!error || count == 1) {
		for (i = 0; i < count; i++)
			scan_interval(command, &transfer, i, error, run);
		error = 0;
	} else {
		for (i = 0, error = 0; !error && i < count; i++)
			error = scan_piece(command, start + i *
					   pi_io_interval_sectors(&command->device.format), 1, run);
	}
	pi_io_release(&transfer);
	return error;
}

/* What lies where, of all that pi-io ever wrote; and what cannot be read. */
static int do_scan(struct command *command)
{
	struct run run = {};
	unsigned int step;
	u64 at, end;
	int error;

	error = check_pi(command) ?: check_range(command, U64_MAX);
	if (error)
		return error;
	command->words.nr_cuts = 0;
	step = pi_io_interval_sectors(&command->device.format);
	end = command->words.start + command->words.n;
	for (at = command->words.start; !error && at < end; at += (u64)PIECE_INTERVALS * step)
		error = scan_piece(command, at,
				   min_t(u64, PIECE_INTERVALS, (end - at) / step), &run);
	say_run(command->session, &run);
	return error;
}

static int do_stress(struct command *command)
{
	int error = check_pi(command);

	if (!error && !command->journal)
		error = refuse(command, "stress wants a journal");
	error = error ?: check_journal_fits(command);
	return error ?: pi_io_stress(command->session, &command->device, command->journal,
				     &command->words);
}

/*
 * The same transfer again and again, and how long one takes: with a clock that counts instructions
 * (tests/pi/cost), the difference of two devices is what the one above costs.
 */
static int do_cost(struct command *command)
{
	const struct pi_io_words *words = &command->words;
	u64 ops = given(words->ops, 1000), i, begun, took = 0;
	struct pi_io_transfer transfer = {};
	int error;

	error = check_transfer(command);
	if (error)
		return error;
	if (!ops || ops > 1000000 || given(words->reads, 100) > 100)
		return refuse(command, "cost wants ops= of 1 to 1000000, and reads=100 or reads=0");
	error = start_transfer(command, &transfer, words->start, intervals_of(command),
			       !given(words->reads, 100));
	/* the first of them warms up */
	for (i = 0; !error && i <= ops; i++) {
		/* tuples that were written have other reference tags; that work is our own */
		if (transfer.write)
			pi_io_fill(&transfer, 1, PI_IO_OWN_APP);
		begun = ktime_get_ns();
		error = pi_io_submit(&transfer);
		if (i)
			took += ktime_get_ns() - begun;
	}
	if (error && transfer.tuples)
		pi_io_say_error(command->session, &transfer, error);
	else if (!error)
		pi_io_say(command->session, "ok %llu ns\n", div64_u64(took, ops));
	pi_io_release(&transfer);
	return error;
}

static int do_flush(struct command *command)
{
	int error = command->journal ? pi_io_flush_journal(&command->device, command->journal) :
		pi_io_flush(&command->device);

	if (error)
		pi_io_say(command->session, "error %s (%d): flush\n", pi_io_error_name(error),
			  error);
	else
		pi_io_say(command->session, "ok\n");
	return error;
}

/* --- which one --- */

static const struct {
	const char *verb;
	int (*run)(struct command *command);
	bool makes_journal;
} verbs[] = {
	{ "profile", do_profile, false },
	{ "write", do_write, true },
	{ "read", do_read, false },
	{ "tuples", do_tuples, false },
	{ "sweep", do_sweep, false },
	{ "verify", do_verify, true },
	{ "scan", do_scan, false },
	{ "stress", do_stress, true },
	{ "cost", do_cost, false },
	{ "flush", do_flush, false },
};

/* A new journal is for the range of the command that makes it. */
static int open_journal(struct command *command, bool may_make)
{
	struct pi_io_words *words = &command->words;
	unsigned int step = pi_io_interval_sectors(&command->device.format);
	u64 start = given(words->start, 0), n = given(words->n, 0), offset;
	struct pi_io_journal *journal;

	if (!words->journal)
		return 0;
	if (strlen(words->journal) >= sizeof(journal->name))
		return refuse(command, "the journal's name is too long");
	if (start % step || n % step || n > (1ull << 30) || start > command->device.sectors)
		return refuse(command, "start and n must be multiples of the interval, and sane");
	journal = pi_io_journal_get(words->journal, start, may_make ? n / step : 0,
				    command->device.format.shift);
	if (IS_ERR(journal)) {
		pi_io_say(command->session, "error: no such journal, or of another interval\n");
		return PTR_ERR(journal);
	}
	command->journal = journal;
	/* without a range: the journal's */
	words->start = given(words->start, journal->start);
	words->n = given(words->n, (u64)journal->intervals * step);
	offset = words->start - journal->start;
	if (words->start < journal->start || offset > (u64)journal->intervals * step ||
	    words->n > (u64)journal->intervals * step - offset)
		return refuse(command, "the range does not lie within the journal's");
	return 0;
}

static int run_on_device(struct command *command, unsigned int which)
{
	int error = pi_io_open(&command->device, command->words.dev);

	if (error) {
		pi_io_say(command->session, "error: cannot open %s: %d\n", command->words.dev,
			  error);
		return error;
	}
	/* what is below this device may want less than it says itself */
	if (command->words.piece)
		command->device.format.segments = 1;
	error = open_journal(command, verbs[which].makes_journal);
	if (!error)
		error = verbs[which].run(command);
	if (command->journal)
		pi_io_journal_put(command->journal);
	pi_io_close(&command->device);
	return error;
}

int pi_io_command(struct pi_io_session *session, char *text)
{
	struct command command = { .session = session };
	unsigned int i;
	int error;

	error = pi_io_parse(session, &command.words, text);
	if (error)
		return error;
	if (!strcmp(command.words.verb, "forget")) {
		if (!command.words.journal)
			return refuse(&command, "forget wants a journal");
		return pi_io_journal_forget(command.words.journal);
	}
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].verb, command.words.verb))
			break;
	if (i == ARRAY_SIZE(verbs))
		return refuse(&command, "no such command");
	if (!command.words.dev)
		return refuse(&command, "no dev=");
	if (command.words.expect &&
	    match_string(expectations, ARRAY_SIZE(expectations), command.words.expect) < 0)
		return refuse(&command, "expect is acked, flushed or any");
	return run_on_device(&command, i);
}
