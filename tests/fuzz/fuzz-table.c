// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: table lines, messages and what a cache tells of itself, in the
 * module's own code (table.c, policies.c, status.c).  An input is a byte that
 * says which allocation fails, a number for the counters, the words of a table
 * line behind the devices, and messages, one a line.
 *
 *	- what is accepted is within its limits, and is echoed word by word;
 *	- the echo is accepted in turn, and means the same;
 *	- `larder status` understands the status line, and finds in it what is there;
 *	- "stats" is JSON;
 *	- with little room each is cut, and nothing is written beyond;
 *	- everything is freed.
 */
#include <json-c/json.h>

#include "../../userland/status-line.h"
#include "module-kernel.h"

#define TEXT_MAX 16384u
#define WORDS_MAX 100u

struct words {
	unsigned int nr;
	char *word[WORDS_MAX];
};

static struct metadata *metadata;
static struct dm_dev devices[3] = { { .name = "254:0" }, { .name = "254:1" }, { .name = "7:77" } };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	metadata = metadata_init(fuzz_alloc_aligned(LARDER_UNIT_SIZE, metadata_bytes()), 1000);
	return larder_policies_init();
}

/* As dm core, which knows spaces and backslashes; each word is as long as it is. */
static void split(struct words *w, const char *text, size_t size)
{
	char *copy = fuzz_alloc(size + 1, 1), *word, *rest;

	memcpy(copy, text, size);
	w->nr = 0;
	for (word = strtok_r(copy, " \t", &rest); word && w->nr < WORDS_MAX;
	     word = strtok_r(NULL, " \t", &rest))
		w->word[w->nr++] = strdup(word);
	free(copy);
}

static void free_words(struct words *w)
{
	while (w->nr)
		free(w->word[--w->nr]);
}

/* --- the table line --- */

static void check_echo(const struct larder_args *args, const struct words *w)
{
	const char *at = args->echo;
	unsigned int i;
	size_t length;

	for (i = 0; i < w->nr; i++) {
		FUZZ_CHECK(!i || *at++ == ' ');
		length = strlen(w->word[i]);
		FUZZ_CHECK(!strncmp(at, w->word[i], length));
		at += length;
	}
	FUZZ_CHECK(!*at);
}

static void check_args(const struct larder_args *args)
{
	unsigned int i;

	FUZZ_CHECK(args->chunk_sectors >= 8 && args->chunk_sectors <= 2097152 &&
		   args->chunk_sectors % 8 == 0);
	FUZZ_CHECK(args->mode == MODE_WRITE_BACK || args->mode == MODE_WRITE_THROUGH);
	FUZZ_CHECK(args->nr_policy_args <= POLICY_ARGS_MAX);
	FUZZ_CHECK(memchr(args->policy_name, '\0', sizeof(args->policy_name)));
	for (i = 0; i < args->nr_policy_args; i++)
		FUZZ_CHECK(strlen(args->policy_args[i].key));
}

/* The words that were handed in may be gone afterwards: a copy of them goes in. */
static int parse(struct larder_args *args, const struct words *w)
{
	struct words copy = { .nr = w->nr }, given;
	char *error = NULL;
	unsigned int i;
	int err;

	for (i = 0; i < w->nr; i++)
		copy.word[i] = strdup(w->word[i]);
	/* what it leaves in argv are pointers of its own */
	given = copy;
	memset(args, 0, sizeof(*args));
	err = larder_parse_args(args, given.nr, given.word, &error);
	free_words(&copy);
	FUZZ_CHECK(!err || (error && *error));
	FUZZ_CHECK(!err || err == -EINVAL || err == -ENOMEM);
	return err;
}

static void check_same(const struct larder_args *a, const struct larder_args *b)
{
	unsigned int i;

	FUZZ_CHECK(a->mode == b->mode && a->chunk_sectors == b->chunk_sectors &&
		   a->discard_passdown == b->discard_passdown &&
		   a->migration_threshold == b->migration_threshold &&
		   a->nr_policy_args == b->nr_policy_args &&
		   !strcmp(a->policy_name, b->policy_name));
	for (i = 0; i < a->nr_policy_args; i++)
		FUZZ_CHECK(a->policy_args[i].value == b->policy_args[i].value &&
			   !strcmp(a->policy_args[i].key, b->policy_args[i].key));
}

static void parse_echo(const struct larder_args *args)
{
	struct larder_args again;
	struct words w;

	split(&w, args->echo, strlen(args->echo));
	FUZZ_CHECK(!parse(&again, &w));
	check_same(args, &again);
	larder_free_args(&again);
	free_words(&w);
}

/* --- status and messages --- */

static void status(struct dm_target *ti, status_type_t type, char *text, unsigned int size)
{
	larder_status(ti, type, 0, text, size);
}

static int stats(struct dm_target *ti, char *text, unsigned int size)
{
	char word[] = "stats", *argv[] = { word };

	return larder_message(ti, 1, argv, text, size);
}

/* With that much room only: the beginning of what it would be. */
static void check_cut(struct dm_target *ti, int type, const char *whole, unsigned int size)
{
	char *text = fuzz_alloc(size, 1);

	if (type < 0)
		stats(ti, text, size);
	else
		status(ti, (status_type_t)type, text, size);
	if (size) {
		FUZZ_CHECK(memchr(text, '\0', size));
		FUZZ_CHECK(strlen(text) == min_t(size_t, strlen(whole), size - 1));
		FUZZ_CHECK(!strncmp(text, whole, strlen(text)));
	}
	free(text);
}

static void check_cuts(struct dm_target *ti, int type, const char *whole, u8 how)
{
	unsigned int length = (unsigned int)strlen(whole);

	check_cut(ti, type, whole, how % 3);
	check_cut(ti, type, whole, how * length / 255);
	check_cut(ti, type, whole, length);
	check_cut(ti, type, whole, length + 1);
}

static bool printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static void check_info(const struct larder_cache *c, const char *text)
{
	bool failed = c->committer.failed;
	struct status_line s;
	const char *what = status_line_parse(&s, text);

	FUZZ_CHECK(!what, "%s in: %s", what, text);
	FUZZ_CHECK(s.failed == (failed && !atomic64_read(&c->map.nr_dirty)));
	if (s.failed)
		return;
	FUZZ_CHECK(!strcmp(s.mode, larder_mode_names[c->args.mode]));
	FUZZ_CHECK(!printable(c->args.policy_name) || !strcmp(s.policy, c->args.policy_name));
	FUZZ_CHECK(s.chunk_sectors == c->args.chunk_sectors);
	FUZZ_CHECK(s.read_hits == larder_sum((struct larder_cache *)c, COUNT_READ_HIT));
	FUZZ_CHECK(s.demotions == larder_sum((struct larder_cache *)c, COUNT_DEMOTION));
	FUZZ_CHECK(s.read_only == failed && s.needs_check == failed);
}

static void check_json(const struct larder_cache *c, const char *text)
{
	enum json_tokener_error error;
	struct json_object *o = json_tokener_parse_verbose(text, &error), *value;

	FUZZ_CHECK(o, "%s in %s", json_tokener_error_desc(error), text);
	FUZZ_CHECK(json_object_object_get_ex(o, "policy", &value) &&
		   !strcmp(json_object_get_string(value), c->policy_ops->name));
	FUZZ_CHECK(json_object_object_get_ex(o, "counts", &value));
	json_object_put(o);
}

static void check_status(struct dm_target *ti, u8 how)
{
	static char text[TEXT_MAX], echo[TEXT_MAX];
	struct larder_cache *c = ti->private;

	status(ti, STATUSTYPE_INFO, text, sizeof(text));
	check_info(c, text);
	check_cuts(ti, STATUSTYPE_INFO, text, how);
	status(ti, STATUSTYPE_TABLE, text, sizeof(text));
	snprintf(echo, sizeof(echo), "254:0 254:1 7:77 %s", c->args.echo);
	FUZZ_CHECK(!strcmp(text, echo));
	check_cuts(ti, STATUSTYPE_TABLE, text, how);
	status(ti, STATUSTYPE_IMA, text, sizeof(text));
	check_cuts(ti, STATUSTYPE_IMA, text, how);
	FUZZ_CHECK(stats(ti, text, sizeof(text)) == 1);
	check_json(c, text);
	check_cuts(ti, -1, text, how);
}

static void send_messages(struct dm_target *ti, const char *text, size_t size)
{
	char result[512];
	const char *end;
	struct words w;
	int rc;

	while (size) {
		end = memchr(text, '\n', size);
		split(&w, text, end ? (size_t)(end - text) : size);
		if (w.nr) {
			rc = larder_message(ti, w.nr, w.word, result, sizeof(result));
			FUZZ_CHECK(rc == 0 || rc == -EINVAL ||
				   (rc == 1 && !strcmp(w.word[0], "stats")));
		}
		free_words(&w);
		if (!end)
			return;
		size -= (size_t)(end + 1 - text);
		text = end + 1;
	}
}

/* --- a cache of that table line --- */

static bool cache_start(struct larder_cache *c, u64 seed)
{
	const u32 chunk = c->args.chunk_sectors;
	u64 needed;
	u32 i, cpu;

	if (larder_policy_open(c))
		return false;
	FUZZ_CHECK(!geometry_choose(&c->geometry, chunk, 100ull * chunk + 1, 3ull * chunk + 5,
				    1u << 20, &needed));
	c->map_memory = vzalloc(slotmap_bytes(&c->geometry));
	if (!c->map_memory)
		return false;
	slotmap_init(&c->map, &c->geometry, c->map_memory);
	c->stats = alloc_percpu(struct larder_stats);
	if (!c->stats)
		return false;
	for_each_possible_cpu(cpu)
		for (i = 0; i < NR_COUNTS; i++)
			per_cpu_ptr(c->stats, cpu)->count[i] =
				fuzz_random(&seed) >> fuzz_below(&seed, 64);
	atomic64_set(&c->map.nr_used, (s64)fuzz_below(&seed, (u32)c->map.nr_slots + 1));
	/* sums of counts that are being changed: for a moment below zero */
	atomic64_set(&c->map.nr_dirty, (s64)fuzz_below(&seed, (u32)c->map.nr_slots + 3) - 2);
	c->committer.failed = fuzz_below(&seed, 2);
	c->metadata = metadata;
	c->metadata_dev = &devices[0];
	c->cache_dev = &devices[1];
	c->origin_dev = &devices[2];
	c->loaded = true;
	return !larder_policy_attach(c);
}

static void cache_stop(struct larder_cache *c)
{
	larder_policy_close(c);
	sim_free(c->map_memory);
	sim_free(c->stats);
	larder_free_args(&c->args);
}

static void with_cache(struct larder_cache *c, u64 seed, u8 how, const char *messages, size_t size)
{
	struct dm_target ti = { .private = c, .type = &larder_target };

	if (cache_start(c, seed)) {
		kernel_fail_allocation(0);
		check_status(&ti, how);
		send_messages(&ti, messages, size);
		check_status(&ti, how);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, size };
	static struct larder_cache c;
	const char *text, *end;
	struct words w;
	u8 how, fail;
	u64 seed, before = kernel_memory_in_use();

	memset(&c, 0, sizeof(c));
	fail = input_byte(&in);
	how = input_byte(&in);
	seed = input_number(&in, 2);
	text = (const char *)in.at;
	end = in.left ? memchr(text, '\n', in.left) : NULL;
	split(&w, text, end ? (size_t)(end - text) : in.left);
	kernel_fail_allocation(fail > 200 ? fail - 200 : 0);
	if (!parse(&c.args, &w)) {
		check_echo(&c.args, &w);
		check_args(&c.args);
		kernel_fail_allocation(0);
		parse_echo(&c.args);
		kernel_fail_allocation(fail > 200 ? fail - 200 : 0);
		with_cache(&c, seed, how, end ? end + 1 : "",
			   end ? in.left - (size_t)(end + 1 - text) : 0);
	}
	kernel_fail_allocation(0);
	cache_stop(&c);
	free_words(&w);
	FUZZ_CHECK(kernel_memory_in_use() == before);
	return 0;
}
