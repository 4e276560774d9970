// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Power cuts at each write and each flush of larder convert and larder
 * writeback. What a user of the cache would read is worked out before, after
 * the cut and after the command was run again, and must always be the same.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../userland/convert.h"
#include "convert-disk-cuts.h"

int larder_main(int argc, char **argv);

#define METADATA_BYTES	(1u << 20)
#define CHUNKS_MAX	48u
#define SECTOR		512u

enum what { FROM, TO, WRITEBACK, NR_WHATS };

static const char *const names[] = { "from dm-cache", "to dm-cache", "writeback" };

/* A file, and what it held when the scenario began. */
struct content {
	const char *path;
	size_t bytes;
	u8 *data;
};

static struct scenario {
	enum what what;
	u32 chunk_sectors, nr_chunks, ratio, block_sectors;
	u64 origin_sectors;
	bool no_stop;
	struct content metadata, cache, origin;
	u8 *view;		/* of the whole origin, through the cache */
} sc;

static const char *make_metadata, *cache_restore;
static u64 random_state, seed_now;
static unsigned int cut_now, second_now;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;

	printf("not ok %s, seed %llu, cut at %u, then at %u: ", names[sc.what],
	       (unsigned long long)seed_now, cut_now, second_now);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static u32 rnd(u32 below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(random_state >> 33) % below;
}

/* --- files --- */

static void put(const struct content *c)
{
	int fd = open(c->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, c->data, c->bytes) != (ssize_t)c->bytes || close(fd))
		die("cannot write %s", c->path);
}

static void get(const struct content *c, u8 *data)
{
	int fd = open(c->path, O_RDONLY);

	if (fd < 0 || read(fd, data, c->bytes) != (ssize_t)c->bytes || close(fd))
		die("cannot read %s", c->path);
}

static void make(struct content *c, const char *path, size_t bytes, bool fill)
{
	size_t i;

	c->path = path;
	c->bytes = bytes;
	c->data = realloc(c->data, bytes);
	memset(c->data, 0, bytes);
	for (i = 0; fill && i + 4 <= bytes; i += 4) {
		u32 word = rnd(~0u >> 1);

		memcpy(c->data + i, &word, 4);
	}
	put(c);
}

/* --- the oracle --- */

/* What a slot or chunk hides of the origin; clean data must not differ from it. */
static void overlay(u8 *view, const u8 *origin, const u8 *cache, u64 from, u64 to, u64 sectors,
		    bool dirty)
{
	if (to >= sc.origin_sectors)
		return;
	sectors = min(sectors, sc.origin_sectors - to);
	if (!dirty && memcmp(origin + to * SECTOR, cache + from * SECTOR, sectors * SECTOR))
		die("sector %llu is called clean, but the origin has other data",
		    (unsigned long long)to);
	memcpy(view + to * SECTOR, cache + from * SECTOR, sectors * SECTOR);
}

static void view_stock(u8 *view, const u8 *origin, const u8 *cache)
{
	struct stock_info info;
	struct stock stock;
	struct disk d;
	u64 i;

	if (disk_open(&d, sc.metadata.path, false) || stock_read(&d, &stock, &info))
		die("the dm-cache is damaged");
	for (i = 0; i < stock.nr_chunks; i++) {
		const struct stock_chunk *chunk = &stock.chunks[i];

		if (!chunk->mapped)
			continue;
		/* the kernel's sends requests for a short last chunk to the origin */
		if ((chunk->origin + 1) * stock.chunk_sectors > sc.origin_sectors)
			die("a short last chunk is mapped");
		overlay(view, origin, cache, i * stock.chunk_sectors,
			chunk->origin * stock.chunk_sectors, stock.chunk_sectors, chunk->dirty);
	}
	disk_close(&d);
	stock_release(&stock);
}

static u64 view_ours(u8 *view, const u8 *origin, const u8 *cache)
{
	struct image *image = calloc(1, sizeof(*image));
	const struct geometry *g = &image->geometry;
	u64 slot, nr_dirty = 0;
	u32 i;

	if (image_open(image, sc.metadata.path) || image->found != METADATA_OURS ||
	    image_load(image) || image->nr_damages[SEVERITY_DAMAGE])
		die("our metadata is damaged");
	for (slot = 0; slot < image->nr_slots; slot++) {
		struct slot_state s = image_after_activation(image, slot);

		for (i = 0; slot_used(&s) && i < g->grains_per_block; i++) {
			u32 at = i * g->grain_sectors;

			nr_dirty += s.dirty >> i & 1;
			if (s.valid >> i & 1)
				overlay(view, origin, cache, slot * g->block_sectors + at,
					slot_state_block(&s) * g->block_sectors + at,
					min(g->grain_sectors, g->block_sectors - at),
					s.dirty >> i & 1);
		}
	}
	image_close(image);
	free(image);
	return nr_dirty;
}

enum state { STATE_STOCK, STATE_OURS, STATE_BETWEEN };

static enum state look(u8 *view, u64 *nr_dirty)
{
	u8 *origin = malloc(sc.origin.bytes), *cache = malloc(sc.cache.bytes);
	u8 *metadata = malloc(sc.metadata.bytes);
	enum state state = STATE_OURS;

	get(&sc.origin, origin);
	get(&sc.cache, cache);
	get(&sc.metadata, metadata);
	memcpy(view, origin, sc.origin.bytes);
	*nr_dirty = 0;
	if (stock_is_super(metadata)) {
		state = STATE_STOCK;
		view_stock(view, origin, cache);
	} else if (convert_marked(metadata)) {
		state = STATE_BETWEEN;
	} else {
		*nr_dirty = view_ours(view, origin, cache);
	}
	free(origin);
	free(cache);
	free(metadata);
	return state;
}

static void same_view(const char *when)
{
	u8 *view = malloc(sc.origin.bytes);
	u64 nr_dirty, i;
	enum state state = look(view, &nr_dirty);

	if (state != STATE_BETWEEN && memcmp(view, sc.view, sc.origin.bytes)) {
		for (i = 0; !memcmp(view + i * SECTOR, sc.view + i * SECTOR, SECTOR); i++)
			;
		die("%s, sector %llu reads as something else (%s)", when, (unsigned long long)i,
		    state == STATE_STOCK ? "dm-cache" : "dm-larder");
	}
	free(view);
}

/* --- scenarios --- */

static void run_command(const char *command)
{
	if (system(command))
		die("failed: %s", command);
}

static void shuffle(u32 *numbers, u32 nr)
{
	u32 i, other;

	for (i = 0; i < nr; i++)
		numbers[i] = i;
	for (i = 0; i + 1 < nr; i++) {
		other = i + rnd(nr - i);
		swap(numbers[i], numbers[other]);
	}
}

static void make_stock(void)
{
	u32 nr_origin = (u32)(sc.origin_sectors / sc.chunk_sectors), i;
	u32 *owner = calloc(nr_origin, sizeof(*owner));
	FILE *xml = fopen("scenario.xml", "w");
	char command[1024];

	shuffle(owner, nr_origin);
	fprintf(xml, "<superblock uuid=\"\" block_size=\"%u\" nr_cache_blocks=\"%u\" "
		"policy=\"smq\" hint_width=\"4\">\n<mappings>\n", sc.chunk_sectors, sc.nr_chunks);
	for (i = 0; i < sc.nr_chunks && i < nr_origin; i++)
		if (rnd(4))
			fprintf(xml, "<mapping cache_block=\"%u\" origin_block=\"%u\" "
				"dirty=\"%s\"/>\n", i, owner[i], rnd(2) ? "true" : "false");
	fprintf(xml, "</mappings><hints></hints></superblock>\n");
	fclose(xml);
	free(owner);
	snprintf(command, sizeof(command),
		 "%s -q --metadata-version %u %s -i scenario.xml -o %s >&2", cache_restore,
		 1 + rnd(2), rnd(4) ? "" : "--omit-clean-shutdown", sc.metadata.path);
	run_command(command);
}

static u64 random_mask(u32 bits)
{
	u64 all = ~0ull >> (64 - bits);

	switch (rnd(4)) {
	case 0:
		return all;
	case 1:
		return 1ull << rnd(bits);
	default:
		return ((u64)rnd(1u << 30) << 34 ^ rnd(1u << 30)) & all;
	}
}

static u64 valid_within(u64 block, u64 mask)
{
	u64 left = sc.origin_sectors - block * sc.block_sectors;
	u32 grains = (u32)DIV_ROUND_UP(min(left, (u64)sc.block_sectors), 8);

	return mask & (~0ull >> (64 - grains));
}

static void one_entry(FILE *out, u32 slot, u64 block, bool whole)
{
	u32 grains = sc.block_sectors / 8;	/* blocks are small here: grains have 4 KiB */
	u64 valid = valid_within(block, whole ? ~0ull : random_mask(grains));
	u64 dirty = rnd(2) ? valid & random_mask(grains) : 0;

	if (valid)
		fprintf(out, " entry:%u:%llu:%#llx:%#llx", slot, (unsigned long long)block,
			(unsigned long long)valid, (unsigned long long)dirty);
}

/* Chunks that are whole, nearly whole, or a mix of blocks from anywhere. */
static void make_ours(void)
{
	u64 nr_blocks = DIV_ROUND_UP(sc.origin_sectors, sc.block_sectors);
	u32 nr_owners = (u32)DIV_ROUND_UP(nr_blocks, sc.ratio), c, i;
	u32 *owner = calloc(nr_owners, sizeof(*owner)), *spare;
	u32 nr_spare = sc.ratio, at = 0;
	static char command[1 << 20];
	FILE *out = fmemopen(command, sizeof(command), "w");

	shuffle(owner, nr_owners);
	/* the blocks of the last of them are for the mixed chunks, with the short end or without */
	spare = calloc(nr_spare, sizeof(*spare));
	shuffle(spare, nr_spare);
	fprintf(out, "%s %s new:%u:%u:%llu:%u", make_metadata, sc.metadata.path,
		METADATA_BYTES / 4096, sc.chunk_sectors, (unsigned long long)sc.origin_sectors,
		sc.nr_chunks * sc.chunk_sectors);
	for (c = 0; c < sc.nr_chunks && c + 1 < nr_owners; c++) {
		u32 kind = rnd(5);

		for (i = 0; kind && i < sc.ratio; i++) {
			u64 block = (u64)owner[c] * sc.ratio + i;

			if (kind == 4 && at < nr_spare && !rnd(3))
				block = (u64)owner[nr_owners - 1] * sc.ratio + spare[at++];
			if (block < nr_blocks && (kind < 3 || rnd(3)))
				one_entry(out, c * sc.ratio + i, block, kind == 1 || rnd(2));
		}
		if (!rnd(6))
			fprintf(out, " commit%s", rnd(3) ? "" : " checkpoint");
	}
	fprintf(out, " commit");
	if (sc.no_stop && rnd(2))
		fprintf(out, " intent:0:%u:%#x commit", 1 + rnd(2), rnd(1u << 30));
	if (!sc.no_stop)
		fprintf(out, " stop");
	fprintf(out, " >&2");
	fclose(out);
	run_command(command);
	free(owner);
	free(spare);
}

static void note_clean(u64 from, u64 to, u64 sectors)
{
	if (to >= sc.origin_sectors)
		return;
	sectors = min(sectors, sc.origin_sectors - to);
	memcpy(sc.cache.data + from * SECTOR, sc.origin.data + to * SECTOR, sectors * SECTOR);
}

/* Random data made what would be so: clean is what the origin has. */
static void settle_stock(void)
{
	struct stock_info info;
	struct stock stock;
	struct disk d;
	u64 i;

	if (disk_open(&d, sc.metadata.path, false) || stock_read(&d, &stock, &info))
		die("the dm-cache of the scenario is damaged");
	for (i = 0; i < stock.nr_chunks; i++)
		if (stock.chunks[i].mapped && !stock.chunks[i].dirty)
			note_clean(i * stock.chunk_sectors,
				   stock.chunks[i].origin * stock.chunk_sectors,
				   stock.chunk_sectors);
	disk_close(&d);
	stock_release(&stock);
}

static void settle_ours(void)
{
	struct image *image = calloc(1, sizeof(*image));
	const struct geometry *g = &image->geometry;
	u64 slot;
	u32 i;

	if (image_open(image, sc.metadata.path) || image_load(image) ||
	    image->nr_damages[SEVERITY_DAMAGE] || g->block_sectors != sc.block_sectors)
		die("the metadata of the scenario is not what it should be: %s, blocks of %u",
		    image->nr_kept ? image->damages[0].what : "sound", g->block_sectors);
	for (slot = 0; slot < image->nr_slots; slot++) {
		struct slot_state s = image_after_activation(image, slot);

		for (i = 0; slot_used(&s) && i < g->grains_per_block; i++)
			if ((s.valid & ~s.dirty) >> i & 1)
				note_clean(slot * g->block_sectors + i * g->grain_sectors,
					   slot_state_block(&s) * g->block_sectors +
					   i * g->grain_sectors, g->grain_sectors);
	}
	image_close(image);
	free(image);
}

static void make_scenario(enum what what, u64 seed)
{
	/* chunk, and the block that this cache gives it */
	static const u32 sizes[][2] = { { 64, 32 }, { 128, 32 }, { 192, 48 }, { 512, 32 } };
	const u32 *size;
	u64 nr_dirty;

	random_state = seed * 2654435761u + (u64)what;
	size = sizes[rnd(ARRAY_SIZE(sizes))];
	sc.what = what;
	sc.chunk_sectors = size[0];
	sc.block_sectors = size[1];
	sc.ratio = size[0] / size[1];
	sc.nr_chunks = 4 + rnd(CHUNKS_MAX / sc.ratio);
	sc.origin_sectors = (u64)sc.chunk_sectors * (6 + rnd(CHUNKS_MAX / sc.ratio)) +
			    (rnd(2) ? rnd(sc.chunk_sectors) : 0);
	sc.no_stop = rnd(2);
	make(&sc.metadata, "metadata", METADATA_BYTES, false);
	make(&sc.origin, "origin", sc.origin_sectors * SECTOR, true);
	make(&sc.cache, "cache", (size_t)sc.nr_chunks * sc.chunk_sectors * SECTOR, true);
	if (what == FROM)
		make_stock();
	else
		make_ours();
	get(&sc.metadata, sc.metadata.data);
	if (what == FROM)
		settle_stock();
	else
		settle_ours();
	put(&sc.cache);
	sc.view = realloc(sc.view, sc.origin.bytes);
	look(sc.view, &nr_dirty);
}

/* --- running, with a cut or without --- */

static int run_tool(unsigned int cut)
{
	static char *const from[] = { "larder convert", "--from-dm-cache", "--metadata-device",
		"metadata", "--cache-device", "cache", "--origin-device", "origin", "--staging",
		"staging", "--force", "-q", NULL };
	static char *const writeback[] = { "larder", "writeback", "--metadata-device", "metadata",
		"--fast-device", "cache", "--origin-device", "origin", "-q", NULL };
	char *arguments[24] = { "larder", "convert" };
	int nr = 2, status, fd;
	pid_t pid;

	if (sc.what == WRITEBACK) {
		memcpy(arguments, writeback, sizeof(writeback));
		nr = ARRAY_SIZE(writeback) - 1;
	} else {
		memcpy(arguments + 2, from + 1, sizeof(from) - sizeof(from[0]));
		nr = ARRAY_SIZE(from);
		if (sc.what == TO) {
			arguments[2] = "--to-dm-cache";
			arguments[nr++] = "--cache-restore";
			arguments[nr++] = (char *)cache_restore;
		}
		arguments[nr] = NULL;
	}
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fd = open("tool.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		cuts_arm(cut, random_state + cut);
		_exit(larder_main(nr, arguments));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		die("the tool died");
	return WEXITSTATUS(status);
}

static void judge_end(void)
{
	u8 *view = malloc(sc.origin.bytes);
	u64 nr_dirty;
	enum state state = look(view, &nr_dirty);

	same_view("in the end");
	free(view);
	if (state != (sc.what == TO ? STATE_STOCK : STATE_OURS))
		die("in the end it is not what it should be");
	if (sc.what == WRITEBACK && nr_dirty)
		die("%llu grains are dirty still", (unsigned long long)nr_dirty);
	if (!access("staging", F_OK))
		die("the staging was left behind");
}

/* One scenario, cut at each event, and then at any; returns the number of cuts. */
static unsigned int try_all(enum what what, u64 seed)
{
	unsigned int nr = 0;
	int code;

	seed_now = seed;
	cut_now = 0;
	second_now = 0;
	make_scenario(what, seed);
	do {
		put(&sc.metadata);
		put(&sc.cache);
		put(&sc.origin);
		unlink("staging");
		cut_now = ++nr;
		code = run_tool(cut_now);
		if (code && code != CUT_EXIT)
			die("exit code %d", code);
		same_view("after the cut");
		second_now = rnd(3) ? 0 : 1 + rnd(12);
		if (code == CUT_EXIT && second_now) {
			code = run_tool(second_now);
			if (code && code != CUT_EXIT)
				die("exit code %d the second time", code);
			code = CUT_EXIT;	/* the first one */
			same_view("after the second cut");
		}
		if (code == CUT_EXIT && run_tool(0))
			die("run again, it failed");
		judge_end();
	} while (code == CUT_EXIT);
	return nr - 1;
}

/* A conversion of the files that are there, cut when the mark is in place. */
static int stop_behind_mark(void)
{
	struct stat st;
	bool marked = false;
	unsigned int cut;
	u8 *now;

	sc.what = FROM;
	sc.metadata.path = "metadata";
	if (stat("metadata", &st))
		die("there are no files");
	sc.metadata.bytes = (size_t)st.st_size;
	sc.metadata.data = malloc(sc.metadata.bytes);
	now = malloc(sc.metadata.bytes);
	get(&sc.metadata, sc.metadata.data);
	for (cut = 1; run_tool(cut) == CUT_EXIT; cut++) {
		get(&sc.metadata, now);
		marked = convert_marked(now);
		if (marked)
			break;
		put(&sc.metadata);
		unlink("staging");
	}
	free(now);
	free(sc.metadata.data);
	return marked ? CUT_EXIT : 1;
}

int main(int argc, char **argv)
{
	unsigned long rounds, i, nr[NR_WHATS] = { 0 };
	u64 seed;
	int what;

	if (argc == 2 && !strcmp(argv[1], "stop-behind-mark"))
		return stop_behind_mark();
	if (argc != 5) {
		fprintf(stderr, "usage: convert-cuts SEED ROUNDS MAKE-METADATA CACHE-RESTORE\n"
			"       convert-cuts stop-behind-mark\n");
		return 64;
	}
	seed = strtoull(argv[1], NULL, 0);
	rounds = strtoul(argv[2], NULL, 0);
	make_metadata = argv[3];
	cache_restore = argv[4];
	for (i = 0; i < rounds; i++)
		for (what = 0; what < NR_WHATS; what++)
			nr[what] += try_all((enum what)what, seed + i);
	for (what = 0; what < NR_WHATS; what++)
		printf("ok %s: %lu power cuts in %lu scenarios\n", names[what], nr[what], rounds);
	return 0;
}
