/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets share: checks that end the process, so that the
 * fuzzer keeps the input, and reading an input byte by byte.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "../../dm-target/core/env.h"

/* Says what was expected and where, and aborts. */
void fuzz_fail(const char *file, int line, const char *expected, const char *format, ...)
	__attribute__((noreturn, format(printf, 4, 5)));

#define FUZZ_CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			fuzz_fail(__FILE__, __LINE__, #cond, "" __VA_ARGS__); \
	} while (0)

/* Memory, or the end: the targets themselves never run out of it. */
void *fuzz_alloc(size_t nr, size_t size);
void *fuzz_alloc_aligned(size_t align, size_t size);

/* An input that is eaten from the front; zeros come after its end. */
struct input {
	const u8 *at;
	size_t left;
};

u64 input_number(struct input *in, unsigned int bytes);
static inline u8 input_byte(struct input *in) { return (u8)input_number(in, 1); }
/* Takes up to this many bytes; how many in *taken. */
const u8 *input_bytes(struct input *in, size_t wanted, size_t *taken);

/* Random numbers that are the same in every run. */
u64 fuzz_random(u64 *state);
static inline u32 fuzz_below(u64 *state, u32 limit) { return (u32)(fuzz_random(state) % limit); }

/* libFuzzer's side */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size);

#endif
