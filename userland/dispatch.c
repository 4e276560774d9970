// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LVM knows one cache_check and one cache_repair for the whole host, but a
 * host may have caches of dm-cache, too (until they are converted, or on a
 * disk that came from elsewhere).  Called by such a name, larder looks at the
 * device first, and becomes the tool of dm-cache when that is whose it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatch.h"
#include "larder.h"
#include "page-cache.h"

#define BLOCK_SIZE 4096
/* Set for the tool that we become: it must not lead back to us. */
#define GUARD "LARDER_DISPATCHED"

/*
 * Never from PATH: these run as root, from LVM, in whatever environment.  A
 * diversion (see lvm-setup) leaves the first of these.  pdata_tools is all of
 * the tools in one, and goes by the name that it is called by.
 */
static const char *const stock_paths[] = {
	"/usr/sbin/%s.dm-cache",
	"/usr/sbin/%s",
	"/sbin/%s",
	"/usr/sbin/pdata_tools",
	"/sbin/pdata_tools",
};

struct tool {
	const char *name;
	const char *short_options;
	int device_option;		/* 0: the device is the argument */
	const char *missing_effect;
	int missing_code;
};

enum {
	OPT_DEVICE = 256,
	OPT_VALUE,
};

/* All options of these tools that have a value; what is not here has none. */
static const struct option long_options[] = {
	{ "input", required_argument, NULL, 'i' },
	{ "output", required_argument, NULL, 'o' },
	{ "metadata-device", required_argument, NULL, OPT_DEVICE },
	{ "origin-device", required_argument, NULL, OPT_VALUE },
	{ "fast-device", required_argument, NULL, OPT_VALUE },
	{ "origin-device-offset", required_argument, NULL, OPT_VALUE },
	{ "fast-device-offset", required_argument, NULL, OPT_VALUE },
	{ "buffer-size", required_argument, NULL, OPT_VALUE },
	{ "buffer-size-meg", required_argument, NULL, OPT_VALUE },
	{ "cache-size", required_argument, NULL, OPT_VALUE },
	{ "retry-count", required_argument, NULL, OPT_VALUE },
	{ NULL, 0, NULL, 0 },
};

/*
 * Without its tool, a cache of dm-cache is to fare as it would without us: LVM
 * takes ENOENT of a check for "not installed, not checked".
 */
static const struct tool tools[] = {
	{ "cache_check", "qhV", 0, "not checked", ENOENT },
	{ "cache_dump", "ro:hV", 0, "not dumped", EXIT_NO_SERVICE },
	{ "cache_repair", "i:o:hV", 'i', "not repaired", EXIT_NO_SERVICE },
	{ "cache_writeback", "qhV", OPT_DEVICE, "nothing written", EXIT_NO_SERVICE },
};

static const struct tool *find_tool(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (!strcmp(tools[i].name, name))
			return &tools[i];
	return NULL;
}

/* Works on a copy: getopt puts the arguments into an order of its own. */
static const char *find_device(const struct tool *tool, int argc, char **argv)
{
	const char *device = NULL;
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, tool->short_options, long_options, NULL)) != -1)
		if (c == tool->device_option)
			device = optarg;
	if (!tool->device_option && optind < argc)
		device = argv[optind];
	optind = 0;
	return device;
}

/* Reads block 0 past the page cache, which may hold what was there before a conversion. */
static bool read_first_block(const char *path, unsigned char *block)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool there = false;
	struct stat st;

	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && (S_ISBLK(st.st_mode) || S_ISREG(st.st_mode))) {
		if (S_ISBLK(st.st_mode))
			bypass_page_cache(fd);
		there = pread(fd, block, BLOCK_SIZE, 0) == BLOCK_SIZE;
	}
	close(fd);
	return there;
}

/* What is not certainly dm-cache's is ours to judge: we say what it is instead. */
static bool holds_stock_metadata(const char *path)
{
	static const unsigned char ours[] = "dm-lrder";
	static const unsigned char stock[8] = { 0x03, 0xc4, 0x18 };	/* 06142003, octal */
	unsigned char *block = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
	bool answer;

	if (!block)
		return false;
	answer = read_first_block(path, block) && memcmp(block, ours, sizeof(ours) - 1) &&
		 !memcmp(block + 32, stock, sizeof(stock));
	free(block);
	return answer;
}

/* Executable, and not ourselves by another name. */
static bool is_other_program(const char *path)
{
	struct stat self, other;

	if (stat(path, &other) || !S_ISREG(other.st_mode) || access(path, X_OK))
		return false;
	return !stat("/proc/self/exe", &self) &&
	       (self.st_dev != other.st_dev || self.st_ino != other.st_ino);
}

static int become_stock_tool(const struct tool *tool, const char *device, char **argv)
{
	char path[64];
	unsigned int i;

	if (getenv(GUARD)) {
		complain("%s holds metadata of dm-cache, whose %s leads back here", device,
			 tool->name);
		return EXIT_NO_SERVICE;
	}
	argv[0] = (char *)tool->name;
	setenv(GUARD, "1", 1);
	for (i = 0; i < sizeof(stock_paths) / sizeof(stock_paths[0]); i++) {
		snprintf(path, sizeof(path), stock_paths[i], tool->name);
		if (is_other_program(path))
			execv(path, argv);
	}
	complain("%s holds metadata of dm-cache, whose tools are not installed: %s.\n"
		 "Debian: apt-get install thin-provisioning-tools", device, tool->missing_effect);
	return tool->missing_code;
}

int dispatch_to_stock(const char *name, int argc, char **argv)
{
	const struct tool *tool = find_tool(name);
	const char *device;
	char **copy;

	if (!tool)
		return -1;
	copy = calloc((size_t)argc + 1, sizeof(*copy));
	if (!copy) {
		complain("not enough memory");
		return EXIT_NO_MEMORY;
	}
	memcpy(copy, argv, (size_t)argc * sizeof(*copy));
	device = find_device(tool, argc, copy);
	free(copy);
	if (!device || !holds_stock_metadata(device))
		return -1;
	return become_stock_tool(tool, device, argv);
}
