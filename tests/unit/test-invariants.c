// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Broken promises do not go unnoticed: each is broken in a child, which must
 * die of an assertion that names the invariant.
 */
#include "maps.h"
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void clean_write_without_intent(struct fixture *f)
{
	slot_written(&f->map, fixture_slot(f, SLOT_VALID, 0xff, 0xf), 0x10);
}

static void insert_into_used(struct fixture *f)
{
	slot_insert(&f->map, fixture_slot(f, SLOT_VALID, 0, 0), 99, SLOT_VALID, 0);
}

static void insert_into_forgetting(struct fixture *f)
{
	slot_insert(&f->map, fixture_slot(f, SLOT_FORGETTING, 0, 0), 99, SLOT_VALID, 0);
}

static void unmap_not_forgotten(struct fixture *f)
{
	slot_unmap(&f->map, fixture_slot(f, SLOT_VALID, 0xf, 0));
}

static void unmap_read(struct fixture *f)
{
	u32 slot = fixture_slot(f, SLOT_VALID, 0xf, 0);

	slot_hold_read(&f->map, slot, slot_block(&f->map.slots[slot]));
	slot_change(&f->map, slot, SLOT_VALID, SLOT_FORGETTING, NO_WRITERS, NULL);
	slot_unmap(&f->map, slot);
}

static void unmap_dirty(struct fixture *f)
{
	slot_unmap(&f->map, fixture_slot(f, SLOT_FORGETTING, 0xf, 0x1));
}

static void record_forgotten_dirty(struct fixture *f)
{
	struct larder_record record;

	slot_record(&f->map, fixture_slot(f, SLOT_FORGETTING, 0xf, 0x1), true, &record);
}

static void forget_under_writers(struct fixture *f)
{
	slot_change(&f->map, fixture_slot(f, SLOT_VALID, 0xf, 0), SLOT_VALID, SLOT_FORGETTING, 0,
		    NULL);
}

static void discard_in_use(struct fixture *f)
{
	slot_discard(&f->map, fixture_slot(f, SLOT_VALID, 0xf, 0));
}

static void release_read_too_often(struct fixture *f)
{
	slot_release_read(&f->map, fixture_slot(f, SLOT_VALID, 0xf, 0));
}

static void release_write_too_often(struct fixture *f)
{
	slot_release_write(&f->map, fixture_slot(f, SLOT_VALID, 0xf, 0));
}

static void clean_without_destage(struct fixture *f)
{
	u32 slot = fixture_slot(f, SLOT_VALID, 0xf, 0xf);

	slot_clean_begin(&f->map, slot, 0xf, version_of(&f->map, slot));
}

static void origin_write_end_too_often(struct fixture *f)
{
	shard_origin_write_end(&f->map, 1);
}

static const struct {
	void (*run)(struct fixture *f);
	const char *report;
} broken[] = {
	{ clean_write_without_intent, "I3_ONE_AUTHORITY" },
	{ insert_into_used, "I2_FORGET_BEFORE_DIVERGENCE" },
	{ insert_into_forgetting, "I2_FORGET_BEFORE_DIVERGENCE" },
	{ unmap_not_forgotten, "I2_FORGET_BEFORE_DIVERGENCE" },
	{ unmap_read, "I2_FORGET_BEFORE_DIVERGENCE" },
	{ unmap_dirty, "I8_DIRTY_NEVER_DROPPED" },
	{ record_forgotten_dirty, "I8_DIRTY_NEVER_DROPPED" },
	{ forget_under_writers, "I8_DIRTY_NEVER_DROPPED" },
	{ discard_in_use, "SLOT_FORGETTING" },
	{ release_read_too_often, "Assertion" },
	{ release_write_too_often, "Assertion" },
	{ clean_without_destage, "SLOT_DESTAGING" },
	{ origin_write_end_too_often, "origin_writers" },
};

/* Runs it in a child; what that said on stderr, and how it ended. */
static int in_child(void (*run)(struct fixture *f), char *said, size_t size)
{
	size_t length = 0;
	struct fixture f;
	int status, to[2];
	ssize_t n;
	pid_t pid;

	fixture_init(&f, 128, 1 << 20, 256);
	CHECK_EQUAL(pipe(to), 0);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(to[1], STDERR_FILENO);
		run(&f);
		_exit(0);
	}
	close(to[1]);
	while ((n = read(to[0], said + length, size - 1 - length)) > 0)
		length += (size_t)n;
	said[length] = 0;
	close(to[0]);
	CHECK_EQUAL(waitpid(pid, &status, 0), pid);
	fixture_free(&f);
	return status;
}

static void nothing_wrong(struct fixture *f)
{
	u32 slot = fixture_slot(f, SLOT_VALID, 0xff, 0xf);

	hbitmap_set(&f->map.intent_live, slot_intent_group(slot));
	slot_written(&f->map, slot, 0x10);
}

static void test_kept(void)
{
	char said[4096];
	int status = in_child(nothing_wrong, said, sizeof(said));

	CHECK_SAY(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", said);
}

static void test_broken(void)
{
	char said[4096];
	unsigned int i;
	int status;

	for (i = 0; i < ARRAY_SIZE(broken); i++) {
		status = in_child(broken[i].run, said, sizeof(said));
		CHECK_SAY(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
			  strstr(said, broken[i].report) && strstr(said, "Assertion"),
			  "case %u: status %x and \"%s\", not an assertion on %s", i,
			  (unsigned int)status, said, broken[i].report);
	}
}

static const struct unit_test tests[] = {
	{ "kept promises", test_kept },
	{ "broken promises", test_broken },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}
