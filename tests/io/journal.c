// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading and writing of the journal and of the acknowledgement stream; journal.h says what they
 * are for. Both are in native byte order: they never leave the kind of machine they are made on.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL_MAGIC	0x316c6e726a726f6cull
#define STREAM_MAGIC	0x31727473726f6c31ull

struct journal_header {
	uint64_t magic;
	uint64_t state;
	uint64_t run_id;
	uint64_t seed;
	uint64_t first_sector;
	uint64_t sectors;
	uint64_t foreign_start;
	uint64_t base;
	uint64_t tick;
	uint64_t failed_changes;
	uint64_t full;		/* followed by states and ends, else by one value per sector */
	uint64_t check;		/* of everything after the header */
};

struct indexed_state {
	uint64_t sector;
	struct sector_state state;
};

struct stream_header {
	uint64_t magic;
	uint64_t run_id;
	uint64_t base;
};

struct stream_record {
	struct change change;
	uint64_t check;
};

/* A file being written or read, with the checksum of what has passed. */
struct body {
	FILE *file;
	uint64_t check;
	bool failed;
};

static void add_to_check(struct body *body, const void *data, size_t bytes)
{
	const uint64_t *word = data;

	for (; bytes; bytes -= sizeof(*word))
		body->check = mix64(body->check ^ *word++);
}

static void put(struct body *body, const void *data, size_t bytes)
{
	add_to_check(body, data, bytes);
	body->failed |= fwrite(data, 1, bytes, body->file) != bytes;
}

static bool get(struct body *body, void *data, size_t bytes)
{
	body->failed |= fread(data, 1, bytes, body->file) != bytes;
	if (!body->failed)
		add_to_check(body, data, bytes);
	return !body->failed;
}

static void put_values(struct body *body, const struct oracle *oracle)
{
	uint64_t sector, value;

	for (sector = 0; sector < oracle->sectors; sector++) {
		value = oracle_final_value(oracle, sector);
		put(body, &value, sizeof(value));
	}
}

/* States that differ from the initial one, then a terminator, then the ends. */
static void put_everything(struct body *body, const struct oracle *oracle)
{
	static const struct sector_state blank;
	struct indexed_state entry = { 0 };

	for (entry.sector = 0; entry.sector < oracle->sectors; entry.sector++) {
		entry.state = oracle->states[entry.sector];
		if (memcmp(&entry.state, &blank, sizeof(blank)))
			put(body, &entry, sizeof(entry));
	}
	put(body, &entry, sizeof(entry));
	put(body, oracle->ends, (oracle->tick - oracle->base + 1) * sizeof(uint64_t));
}

static int complain(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", path, what, errno ? strerror(errno) : "unexpected end");
	return -1;
}

int journal_save(struct oracle *oracle, const char *path, enum journal_state state)
{
	struct journal_header header = {
		.magic = JOURNAL_MAGIC,
		.state = state,
		.run_id = oracle->run_id,
		.seed = oracle->seed,
		.first_sector = oracle->first_sector,
		.sectors = oracle->sectors,
		.foreign_start = oracle->foreign_start,
		.base = oracle->base,
		.tick = oracle->tick,
		.failed_changes = oracle->failed_changes,
		.full = state == JOURNAL_STOPPED,
	};
	struct body body = { 0 };
	char temporary[4096];

	if (state == JOURNAL_CLEAN)
		header.base = ((oracle->tick >> GENERATION_BITS) + 1) << GENERATION_BITS;
	if (state != JOURNAL_STOPPED) {
		header.tick = header.base;
		header.failed_changes = 0;
	}
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	errno = 0;
	body.file = fopen(temporary, "we");
	if (!body.file)
		return complain(temporary, "cannot create the journal");
	body.failed = fwrite(&header, sizeof(header), 1, body.file) != 1;
	if (header.full)
		put_everything(&body, oracle);
	else
		put_values(&body, oracle);
	header.check = body.check;
	if (fseek(body.file, 0, SEEK_SET) || fwrite(&header, sizeof(header), 1, body.file) != 1 ||
	    fflush(body.file) || fsync(fileno(body.file)))
		body.failed = true;
	if (fclose(body.file) || body.failed || rename(temporary, path))
		return complain(path, "cannot write the journal");
	return 0;
}

static bool get_values(struct body *body, struct oracle *oracle)
{
	uint64_t sector, value;

	for (sector = 0; sector < oracle->sectors && get(body, &value, sizeof(value)); sector++) {
		if (value == VALUE_ZERO)
			continue;	/* leaves the table sparse */
		oracle->states[sector].live.settled = value;
		oracle->states[sector].durable.settled = value;
	}
	return !body->failed;
}

static bool get_everything(struct body *body, struct oracle *oracle)
{
	struct indexed_state entry;

	while (get(body, &entry, sizeof(entry)) && entry.sector < oracle->sectors)
		oracle->states[entry.sector] = entry.state;
	return get(body, oracle->ends, (oracle->tick - oracle->base + 1) * sizeof(uint64_t));
}

int journal_load(struct oracle *oracle, const char *path, enum journal_state *state)
{
	struct journal_header header;
	struct body body = { 0 };
	bool sound;

	errno = 0;
	body.file = fopen(path, "re");
	if (!body.file)
		return complain(path, "cannot open the journal");
	if (fread(&header, sizeof(header), 1, body.file) != 1 || header.magic != JOURNAL_MAGIC ||
	    header.tick - header.base >= TICKS_MAX) {
		fclose(body.file);
		fprintf(stderr, "%s: not a journal of oracle-io\n", path);
		return -1;
	}
	if (oracle_create(oracle, header.first_sector, header.sectors)) {
		fclose(body.file);
		return -1;
	}
	oracle->run_id = header.run_id;
	oracle->seed = header.seed;
	oracle->foreign_start = header.foreign_start;
	oracle->base = header.base;
	oracle->tick = header.tick;
	oracle->failed_changes = header.failed_changes;
	*state = header.state;
	sound = header.full ? get_everything(&body, oracle) : get_values(&body, oracle);
	fclose(body.file);
	if (sound && body.check == header.check)
		return 0;
	fprintf(stderr, "%s: damaged journal: wrong checksum or length\n", path);
	return -1;
}

/* ---- acknowledgement stream ---- */

static void stream_write(struct oracle *oracle, const void *data, size_t bytes)
{
	const char *next = data;

	while (bytes) {
		ssize_t done = write(oracle->stream_fd, next, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			perror("acknowledgement stream");
			_exit(2);	/* going on would make promises that nobody remembers */
		}
		next += done;
		bytes -= (size_t)done;
	}
}

static void seal(struct stream_record *record, const struct change *change)
{
	struct body body = { 0 };

	record->change = *change;
	add_to_check(&body, change, sizeof(*change));
	record->check = body.check;
}

int stream_open(struct oracle *oracle, const char *path)
{
	struct stream_header header = { STREAM_MAGIC, oracle->run_id, oracle->base };

	oracle->stream_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (oracle->stream_fd < 0)
		return complain(path, "cannot create the acknowledgement stream");
	oracle->streaming = true;
	stream_write(oracle, &header, sizeof(header));
	return 0;
}

void stream_intent(struct oracle *oracle, const struct change *change)
{
	struct change intent = *change;
	struct stream_record record;

	intent.kind = CHANGE_INTENT;
	intent.value = change->kind;
	seal(&record, &intent);
	pthread_mutex_lock(&oracle->stream_lock);
	stream_write(oracle, &record, sizeof(record));
	pthread_mutex_unlock(&oracle->stream_lock);
}

void stream_changes(struct oracle *oracle, uint64_t flush_begin)
{
	struct change flush = { .kind = CHANGE_FLUSH, .begin = flush_begin };
	struct stream_record *records;
	size_t i, count;

	pthread_mutex_lock(&oracle->stream_lock);
	pthread_mutex_lock(&oracle->lock);
	count = oracle->change_count - oracle->streamed_count;
	records = malloc((count + 1) * sizeof(*records));
	if (!records) {
		perror("acknowledgement stream");
		_exit(2);
	}
	for (i = 0; i < count; i++)
		seal(&records[i], &oracle->changes[oracle->streamed_count + i]);
	oracle->streamed_count += count;
	pthread_mutex_unlock(&oracle->lock);
	if (flush_begin)
		seal(&records[count++], &flush);
	stream_write(oracle, records, count * sizeof(*records));
	pthread_mutex_unlock(&oracle->stream_lock);
	free(records);
}

struct intents {
	struct change *list;
	size_t count, room;
};

static void add_intent(struct intents *intents, const struct change *change)
{
	if (intents->count == intents->room) {
		intents->room = intents->room ? 2 * intents->room : 64;
		intents->list = realloc(intents->list, intents->room * sizeof(*change));
		if (!intents->list) {
			perror("acknowledgement stream");
			exit(2);
		}
	}
	intents->list[intents->count++] = *change;
}

static void drop_intent(struct intents *intents, uint64_t begin)
{
	size_t i;

	for (i = 0; i < intents->count; i++)
		if (intents->list[i].begin == begin) {
			intents->list[i] = intents->list[--intents->count];
			return;
		}
}

/* Zeroing or discarding that began and was not seen to end may be in effect. */
static void apply_intents(struct oracle *oracle, const struct intents *intents)
{
	size_t i;
	uint32_t n;

	for (i = 0; i < intents->count; i++)
		for (n = 0; n < intents->list[i].count; n++) {
			struct sector_state *state = &oracle->states[intents->list[i].sector + n];

			if (intents->list[i].value == CHANGE_ZERO)
				state->zero_end = END_UNKNOWN;
			else
				state->discard_end = END_UNKNOWN;
		}
}

static bool record_is_sound(const struct oracle *oracle, const struct stream_record *record)
{
	struct stream_record expected;

	seal(&expected, &record->change);
	return record->check == expected.check &&
	       record->change.sector + record->change.count <= oracle->sectors;
}

static uint64_t replay_records(struct oracle *oracle, FILE *file, struct intents *intents)
{
	struct stream_record record;
	uint64_t count = 0;

	for (; fread(&record, sizeof(record), 1, file) == 1; count++) {
		if (!record_is_sound(oracle, &record))
			break;
		switch (record.change.kind) {
		case CHANGE_FLUSH:
			oracle_apply_flush(oracle, record.change.begin);
			break;
		case CHANGE_INTENT:
			add_intent(intents, &record.change);
			break;
		default:
			drop_intent(intents, record.change.begin);
			oracle_apply(oracle, &record.change);
		}
	}
	return count;
}

int stream_replay(struct oracle *oracle, const char *path)
{
	struct intents intents = { 0 };
	struct stream_header header;
	FILE *file = fopen(path, "re");
	uint64_t count;

	if (!file)
		return complain(path, "cannot open the acknowledgement stream");
	if (fread(&header, sizeof(header), 1, file) != 1 || header.magic != STREAM_MAGIC ||
	    header.run_id != oracle->run_id || header.base != oracle->base) {
		fclose(file);
		fprintf(stderr, "%s: not the acknowledgement stream of this journal\n", path);
		return -1;
	}
	count = replay_records(oracle, file, &intents);
	apply_intents(oracle, &intents);
	fclose(file);
	free(intents.list);
	oracle->ends_lost = true;
	printf("stream: %llu records replayed\n", (unsigned long long)count);
	return 0;
}
