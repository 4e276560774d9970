// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes oracle-io mark its acknowledgement stream. Linked with the sources of tests/io as they are;
 * the linker (--wrap) puts these functions in front of those of the same names.
 *
 * CRASH_JOURNAL in the environment names the journal, of which a copy as it was at the beginning of
 * the run, FILE.begun, is kept: with a part of the stream it tells what was promised up to there.
 */
#define _GNU_SOURCE
#include "../io/journal.h"
#include "mark.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

int __real_stream_open(struct oracle *oracle, const char *path);
ssize_t __real_write(int fd, const void *data, size_t bytes);
int __wrap_stream_open(struct oracle *oracle, const char *path);
ssize_t __wrap_write(int fd, const void *data, size_t bytes);

static int stream = -1;
static uint64_t stream_length;

/* The header; oracle-io replaces its journal, so a second name keeps the one of now. */
int __wrap_stream_open(struct oracle *oracle, const char *path)
{
	const char *journal = getenv("CRASH_JOURNAL");
	char *begun;

	if (!journal || asprintf(&begun, "%s.begun", journal) < 0 ||
	    (unlink(begun) && errno != ENOENT) || link(journal, begun)) {
		perror("CRASH_JOURNAL");
		return -1;
	}
	free(begun);
	if (__real_stream_open(oracle, path))
		return -1;
	stream = oracle->stream_fd;
	stream_length = (uint64_t)lseek(stream, 0, SEEK_END);
	mark(stream_length);
	return 0;
}

/* Records of the stream; oracle-io's lock around them is held. */
ssize_t __wrap_write(int fd, const void *data, size_t bytes)
{
	ssize_t done;

	if (fd != stream)
		return __real_write(fd, data, bytes);
	mark(stream_length + bytes);
	done = __real_write(fd, data, bytes);
	stream_length += done > 0 ? (uint64_t)done : 0;
	return done;
}
