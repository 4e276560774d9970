/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The three things that oracle-io does to a device: fill it, run threads of checked I/O on it, and
 * verify it afterwards. The exit codes are the interface to the test scripts.
 */
#ifndef TESTS_IO_RUN_H
#define TESTS_IO_RUN_H

#include "io-device.h"
#include "operations.h"
#include "oracle.h"

enum exit_code {
	EXIT_GOOD = 0,
	EXIT_WRONG_DATA = 1,
	EXIT_CANNOT = 2,	/* wrong use, unreadable journal, no memory */
	EXIT_DEVICE_DIED = 75,
	EXIT_DEVICE_HANGS = 76,
};

#define REPORT_LIMIT	20u	/* wrong sectors that are printed in full */

struct run_options {
	const char *journal;
	const char *ack_stream;
	struct operation_options operations;
	unsigned int threads;
	uint64_t operation_limit;	/* of all threads together, 0: none */
	unsigned int seconds;		/* 0: none */
	unsigned int hang_seconds;
	bool stop_on_error;
	bool tolerate_errors;
	bool allow_tearing;
};

struct verify_options {
	const char *journal;
	const char *ack_stream;
	unsigned int rereads;
	const char *between;	/* command to run before each reread */
	bool exact;
	bool adopt;
	uint64_t seed;
};

int run_oracle(struct io_device *device, struct oracle *oracle, const struct run_options *options);
int fill_device(struct io_device *device, struct oracle *oracle, const char *journal);
int verify_device(struct io_device *device, const struct verify_options *options);

/* One line about a sector that must not hold what was found in it. */
void report_wrong(const struct oracle *oracle, const char *when, uint64_t sector,
		  const struct found *found);
void *allocate_buffer(uint32_t sectors);

#endif
