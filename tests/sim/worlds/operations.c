// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an administrator does with a cache, and the content that must survive it.
 */
#include "larder.h"

#include "faults.h"
#include "kernel/memory.h"

#define SECOND_NS 1000000000ull

struct scene scene;

/* --- the scene --- */

s64 scene_dirty(void)
{
	struct larder_cache *c = machine_cache();

	return c ? atomic64_read(&c->map.nr_dirty) : 0;
}

void scene_write(u32 sector, u32 nr, u32 version)
{
	blk_status_t status;
	u32 i;

	for (i = 0; i < nr; i++)
		known_data(scene.memory + i * SIM_SECTOR, sector + i, version);
	known_write_begin(&scene.known, sector, nr, version);
	status = machine_io(REQ_OP_WRITE, sector, nr, scene.memory);
	if (status)
		sim_fail("a write of %u+%u failed with %u, and nothing is broken any more", sector,
			 nr, status);
	known_write_end(&scene.known, sector, nr, version, false);
}

void scene_flush(void)
{
	blk_status_t status = machine_io(REQ_OP_WRITE | REQ_PREFLUSH, 0, 0, NULL);

	if (status)
		sim_fail("a flush failed with %u, and nothing is broken any more", status);
	known_flushed(&scene.known);
}

void scene_read_all(const u16 *allowed, const char *when)
{
	u32 i, found, nr = (u32)machine.sectors;
	blk_status_t status = machine_io(REQ_OP_READ, 0, nr, scene.memory);

	if (status)
		sim_fail("%s, reading failed with %u", when, status);
	for (i = 0; i < nr; i++) {
		found = known_versions(scene.memory + i * SIM_SECTOR, i);
		if (!(found & allowed[i]))
			sim_fail("%s, sector %u has versions %x; allowed are %x", when, i, found,
				 allowed[i]);
	}
}

/* Blocks 0 (whole), 2 (a part of a grain) and 5 (short) are dirty, 1 is clean. */
void scene_fill(void)
{
	scene_write(0, 8, 1);
	if (machine_io(REQ_OP_READ, 8, 8, scene.memory))
		sim_fail("reading failed");
	machine_settle(20000000);
	scene_write(19, 2, 2);
	scene_write(40, 4, 3);
	scene_flush();
	machine_settle(20000000);
	if (scene_dirty() != 3)
		sim_fail("the scene has %lld dirty blocks", (long long)scene_dirty());
}

static int load(const char *mode, const char *policy)
{
	const char *why = NULL;
	char line[100];

	snprintf(line, sizeof(line), "metadata cache origin %u 1 %s %s 0", FAULT_CHUNK, mode,
		 policy);
	return sim_dm_load(machine.md, machine.sectors, line, &why);
}

int scene_start(const char *mode, const char *policy)
{
	int err = scene.module ? 0 : sim_module_init();

	if (err)
		return err;
	scene.module = true;
	if (!machine.md)
		machine.md = sim_dm_create();
	err = load(mode, policy);
	return err ? err : sim_dm_resume(machine.md);
}

void scene_stop(void)
{
	if (machine.md)
		sim_dm_remove(machine.md);
	machine.md = NULL;
	if (scene.module)
		sim_module_exit();
	scene.module = false;
	if (memory_in_use())
		sim_fail("%llu bytes are left behind by the module",
			 (unsigned long long)memory_in_use());
}

/* --- operations --- */

static int act_create(void)
{
	return scene_start("writeback", "s3fifo");
}

static int act_suspend(void)
{
	return sim_dm_suspend(machine.md, false);
}

static int act_resume(void)
{
	return sim_dm_resume(machine.md);
}

static int act_suspend_resume(void)
{
	int err = sim_dm_suspend(machine.md, false);

	return err ? err : sim_dm_resume(machine.md);
}

static int act_other_mode(void)
{
	return scene_start("writethrough", "s3fifo");
}

static int act_other_policy(void)
{
	return scene_start("writeback", "cleaner");
}

static int act_load_clear(void)
{
	int err = load("writeback", "s3fifo");

	if (!err)
		sim_dm_clear(machine.md);
	return err;
}

static int act_grow(void)
{
	machine.sectors = FAULT_SECTORS_GROWN;
	return scene_start("writeback", "s3fifo");
}

static int act_message(void)
{
	char text[8192];
	int r;

	r = sim_dm_message(machine.md, "stats", text, sizeof(text));
	if (r == 1 && (text[0] != '{' || text[strlen(text) - 1] != '}'))
		sim_fail("stats are no JSON: %s", text);
	if (r < 0)
		return r;
	r = sim_dm_message(machine.md, "migration_threshold 100", text, sizeof(text));
	if (r < 0)
		return r;
	r = sim_dm_message(machine.md, "nonsense 1", text, sizeof(text));
	if (r != -EINVAL)
		sim_fail("nonsense is answered with %d", r);
	return 0;
}

static int act_status(void)
{
	static const char good[] = " rw -", bad[] = " ro needs_check";
	char text[4096];
	size_t length;

	sim_dm_status(machine.md, STATUSTYPE_INFO, 0, text, sizeof(text));
	length = strlen(text);
	if (length >= strlen(good) && !strcmp(text + length - strlen(good), good))
		return 0;
	/* the honest answers to a commit that failed */
	if (strcmp(text, "Fail") &&
	    (length < strlen(bad) || strcmp(text + length - strlen(bad), bad)))
		sim_fail("neither \"Fail\" nor a status that ends as one does: %s", text);
	return -EROFS;
}

static int act_remove(void)
{
	scene_stop();
	return 0;
}

/* Writes everything back first. */
static int act_detach(void)
{
	int err = scene_start("writeback", "cleaner");
	u32 seconds;

	for (seconds = 0; !err && scene_dirty(); seconds++) {
		sim_sleep_ns(SECOND_NS);
		if (seconds > 60)
			return -ETIME;
	}
	if (!err)
		scene_stop();
	return err;
}

static int act_discard(void)
{
	blk_status_t status;

	known_discard_begin(&scene.known, 0, FAULT_CHUNK);
	status = machine_io(REQ_OP_DISCARD, 0, FAULT_CHUNK, NULL);
	known_discard_end(&scene.known, 0, FAULT_CHUNK);
	return blk_status_to_errno(status);
}

static int act_flush(void)
{
	int err = blk_status_to_errno(machine_io(REQ_OP_WRITE | REQ_PREFLUSH, 0, 0, NULL));

	if (!err)
		known_flushed(&scene.known);
	return err;
}

const struct operation operations[] = {
	{ "create-on-blank", ON_BLANK, act_create, false, false },
	{ "create-after-stop", ON_CLEAN, act_create, false, false },
	{ "create-after-crash", ON_CRASHED, act_create, false, false },
	{ "suspend", ON_LIVE, act_suspend, true, false },
	{ "resume", ON_SUSPENDED, act_resume, false, false },
	{ "suspend-and-resume", ON_LIVE, act_suspend_resume, true, false },
	{ "reload-other-mode", ON_LIVE, act_other_mode, true, false },
	{ "reload-other-policy", ON_LIVE, act_other_policy, true, false },
	{ "load-and-clear", ON_LIVE, act_load_clear, false, false },
	{ "grow-origin", ON_LIVE, act_grow, true, false },
	{ "message", ON_LIVE, act_message, false, false },
	{ "status-with-flush", ON_LIVE, act_status, true, false },
	{ "flush", ON_LIVE, act_flush, true, false },
	{ "discard", ON_LIVE, act_discard, true, false },
	{ "remove-while-dirty", ON_LIVE, act_remove, false, false },
	{ "detach", ON_LIVE, act_detach, false, true },
};

const u32 nr_operations = ARRAY_SIZE(operations);
