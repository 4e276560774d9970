// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The staging: one header unit, then the new metadata as it shall be on the
 * device.  The header is written when all else is durable, so it vouches for
 * the rest; its checksum covers the image, too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "convert.h"
#include "progress.h"

#define PIECE_UNITS	256u
#define MARK_SIZE	512u	/* a sector, written as a whole or not at all */
#define STAGING_MAGIC	"larder-staging1"
#define TMPFS_MAGIC	0x01021994
#define RAMFS_MAGIC	0x858458f6

struct staging_header {
	char magic[16];
	__le32 crc;		/* of this unit, with this field zero */
	__le32 direction;
	__le64 image_units;
	__le64 metadata_sectors;
	__le32 image_crc;
	__le32 reserved;
	u8 uuid[LARDER_UUID_SIZE];
	char target[1024];	/* what is converted, for people */
	u8 zero[LARDER_UNIT_SIZE - 64 - 1024];
};

struct mark {
	struct larder_unit_header header;
	char text[64];
	char staging[MARK_SIZE - 64 - sizeof(struct larder_unit_header)];
};

static_assert(sizeof(struct staging_header) == LARDER_UNIT_SIZE, "staging header");
static_assert(sizeof(struct mark) == MARK_SIZE, "mark");

static u8 buffer[PIECE_UNITS][LARDER_UNIT_SIZE] __attribute__((aligned(DISK_ALIGN)));
static struct staging_header header __attribute__((aligned(DISK_ALIGN)));

static u64 unit_sectors(u64 units)
{
	return units * LARDER_UNIT_SECTORS;
}

/* --- opening --- */

static int refuse(const struct convert *c, int code, const char *why)
{
	complain("%s: %s", c->staging_path, why);
	return code;
}

static int judge_file_system(const struct convert *c, int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return refuse(c, EXIT_IO, strerror(errno));
	if ((fs.f_type != TMPFS_MAGIC && (u32)fs.f_type != RAMFS_MAGIC) || c->force)
		return 0;
	return refuse(c, EXIT_NO_OUTPUT, "it is on a file system in memory: a power cut would take "
		      "the only copy of the metadata with it (--force accepts that)");
}

/* The name must survive, too. */
static int flush_directory(const struct convert *c)
{
	char *path = strdup(c->staging_path), *slash = path ? strrchr(path, '/') : NULL;
	int fd, code = 0;

	if (!path)
		return EXIT_NO_MEMORY;
	if (slash)
		slash[slash == path] = '\0';
	fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		code = refuse(c, EXIT_IO, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(path);
	return code;
}

static int make_file(struct convert *c, u64 units)
{
	int fd, code;

	/* a device that is not there (yet) must not become a file in its place */
	if (!strncmp(c->staging_path, "/dev/", 5) && strncmp(c->staging_path, "/dev/shm/", 9))
		return refuse(c, EXIT_NO_INPUT, "there is no such device");
	fd = open(c->staging_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		complain("cannot make %s: %s", c->staging_path, strerror(errno));
		return EXIT_NO_OUTPUT;
	}
	c->staging_made = true;
	code = judge_file_system(c, fd);
	/* room that is missing shall be missed now */
	if (!code) {
		int error = posix_fallocate(fd, 0, (off_t)((1 + units) * LARDER_UNIT_SIZE));

		if (error)
			code = refuse(c, EXIT_NO_OUTPUT, strerror(error));
	}
	if (!code && fsync(fd))
		code = refuse(c, EXIT_IO, strerror(errno));
	close(fd);
	if (!code)
		code = flush_directory(c);
	if (code)
		unlink(c->staging_path);
	return code;
}

static bool header_fits(const struct staging_header *h)
{
	struct staging_header copy = *h;
	u32 crc = le32_to_cpu(h->crc);

	copy.crc = 0;
	return !memcmp(h->magic, STAGING_MAGIC, sizeof(h->magic)) &&
	       crc == crc32c(~0u, &copy, sizeof(copy));
}

static bool is_zero(const void *unit)
{
	static const u8 zero[LARDER_UNIT_SIZE];

	return !memcmp(unit, zero, sizeof(zero));
}

static int read_header(struct convert *c)
{
	struct disk *s = &c->staging;
	int error;

	memset(&header, 0, sizeof(header));
	if (s->sectors < unit_sectors(2))
		return refuse(c, EXIT_NO_OUTPUT, "it is too small for a staging");
	error = disk_read(s, 0, LARDER_UNIT_SECTORS, &header);
	if (error)
		return disk_failed(s, "read", error);
	if (header_fits(&header)) {
		if (le64_to_cpu(header.image_units) <= s->sectors / LARDER_UNIT_SECTORS - 1)
			return 0;
		return refuse(c, EXIT_NO_OUTPUT, "this staging was cut off");
	}
	/* a torn header is none; of the magic the first sector tells */
	if (!is_zero(&header) && memcmp(header.magic, STAGING_MAGIC, sizeof(header.magic)))
		return refuse(c, EXIT_NO_OUTPUT, "it holds something else: a staging must be new, "
			      "or begin with 4 KiB of zeros");
	memset(&header, 0, sizeof(header));
	return 0;
}

int staging_open(struct convert *c, u64 units)
{
	struct stat st;
	int code = 0;

	if (c->staging.fd < 0) {
		if (lstat(c->staging_path, &st)) {
			if (errno != ENOENT)
				return refuse(c, EXIT_NO_INPUT, strerror(errno));
			if (!units)
				return 0;	/* none, and none is wanted */
			code = make_file(c, units);
		}
		if (!code)
			code = disk_open(&c->staging, c->staging_path, true);
		if (!code && !c->staging.block)
			code = judge_file_system(c, c->staging.fd);
		if (!code)
			code = read_header(c);
	}
	if (code || c->staging.sectors >= unit_sectors(1 + units))
		return code;
	complain("%s has %llu units of 4 KiB, %llu are needed", c->staging_path,
		 (unsigned long long)(c->staging.sectors / LARDER_UNIT_SECTORS),
		 (unsigned long long)(1 + units));
	return EXIT_NO_OUTPUT;
}

/* --- where did an earlier run get to? --- */

static const char *target_name(const struct convert *c)
{
	return c->volume ? c->volume : c->metadata_path;
}

static const char *direction_option(enum convert_direction direction)
{
	return direction == CONVERT_TO_STOCK ? "--to-dm-cache" : "--from-dm-cache";
}

int staging_judge(struct convert *c, const void *unit0, enum mark_found *found)
{
	const struct mark *mark = unit0;
	bool marked = convert_marked(unit0), sealed = header_fits(&header);
	enum convert_direction direction = (enum convert_direction)le32_to_cpu(header.direction);

	*found = MARK_NONE;
	if (marked && sealed && !memcmp(mark->header.uuid, header.uuid, LARDER_UUID_SIZE)) {
		if (direction != c->direction) {
			complain("%s: a conversion has not finished: run it again with %s first",
				 c->metadata_path, direction_option(direction));
			return EXIT_DAMAGED;
		}
		if (le64_to_cpu(header.metadata_sectors) > c->metadata.sectors)
			return refuse(c, EXIT_DAMAGED, "the metadata device is smaller than when "
				      "the conversion began");
		memcpy(c->uuid, header.uuid, LARDER_UUID_SIZE);
		c->image_units = le64_to_cpu(header.image_units);
		c->decided = true;
		*found = MARK_OURS;
		return 0;
	}
	c->decided = marked;
	if (marked) {
		complain("%s: a conversion has not finished, and the new metadata is in %.*s: give "
			 "that with --staging", c->metadata_path, (int)sizeof(mark->staging),
			 mark->staging);
		return EXIT_DAMAGED;
	}
	if (sealed && strncmp(header.target, target_name(c), sizeof(header.target))) {
		complain("%s holds the metadata of %.*s in conversion: finish that first, or "
			 "remove this", c->staging_path, (int)sizeof(header.target), header.target);
		return EXIT_NO_OUTPUT;
	}
	return 0;
}

/* --- making one --- */

static int write_header(struct convert *c)
{
	int error = disk_write(&c->staging, 0, LARDER_UNIT_SECTORS, &header);

	if (!error)
		error = disk_flush(&c->staging);
	return error ? disk_failed(&c->staging, "write", error) : 0;
}

/* An image that is being changed must not have a header that vouches for it. */
int staging_begin(struct convert *c)
{
	memset(&header, 0, sizeof(header));
	if (getrandom(c->uuid, LARDER_UUID_SIZE, 0) != LARDER_UUID_SIZE) {
		complain("no random numbers: %s", strerror(errno));
		return EXIT_IO;
	}
	return write_header(c);
}

struct target staging_target(struct convert *c)
{
	return (struct target){
		.fd = c->staging.fd,
		.path = c->staging.path,
		.units = c->metadata.sectors / LARDER_UNIT_SECTORS,
		.base = 1,
	};
}

static int read_image(const struct convert *c, u64 unit, u32 nr)
{
	int error = disk_read(&c->staging, unit_sectors(1 + unit), unit_sectors(nr), buffer);

	return error ? disk_failed(&c->staging, "read", error) : 0;
}

static int sum_image(const struct convert *c, u32 *crc)
{
	u64 unit;
	int code = 0;
	u32 nr;

	*crc = ~0u;
	for (unit = 0; unit < c->image_units && !code; unit += nr) {
		nr = (u32)min_t(u64, c->image_units - unit, PIECE_UNITS);
		code = read_image(c, unit, nr);
		if (!code)
			*crc = crc32c(*crc, buffer, (size_t)nr * LARDER_UNIT_SIZE);
	}
	return code;
}

int staging_seal(struct convert *c)
{
	int code, error = disk_flush(&c->staging);
	u32 crc;

	if (error)
		return disk_failed(&c->staging, "write", error);
	code = sum_image(c, &crc);
	if (code)
		return code;
	memset(&header, 0, sizeof(header));
	memcpy(header.magic, STAGING_MAGIC, sizeof(header.magic));
	header.direction = cpu_to_le32(c->direction);
	header.image_units = cpu_to_le64(c->image_units);
	header.metadata_sectors = cpu_to_le64(c->metadata.sectors);
	header.image_crc = cpu_to_le32(crc);
	memcpy(header.uuid, c->uuid, LARDER_UUID_SIZE);
	snprintf(header.target, sizeof(header.target), "%s", target_name(c));
	header.crc = cpu_to_le32(crc32c(~0u, &header, sizeof(header)));
	return write_header(c);
}

/* --- putting it in place --- */

/* Only the first sector says anything, so a torn write leaves the old unit or the mark. */
static int write_mark(const struct convert *c)
{
	struct mark *mark = (void *)buffer[0];
	int error;

	memset(buffer[0], 0, LARDER_UNIT_SIZE);
	mark->header.magic = cpu_to_le64(LARDER_MAGIC_SUPER);
	memcpy(mark->header.uuid, c->uuid, LARDER_UUID_SIZE);
	memcpy(mark->text, CONVERT_MARK, sizeof(CONVERT_MARK));
	snprintf(mark->staging, sizeof(mark->staging), "%s", c->staging_path);
	error = disk_write(&c->metadata, 0, LARDER_UNIT_SECTORS, buffer[0]);
	if (!error)
		error = disk_flush(&c->metadata);
	return error ? disk_failed(&c->metadata, "write", error) : 0;
}

static int copy_units(const struct convert *c, u64 unit, u64 end)
{
	int code = 0, error;
	u32 nr;

	for (; unit < end && !code; unit += nr) {
		nr = (u32)min_t(u64, end - unit, PIECE_UNITS);
		code = read_image(c, unit, nr);
		if (code)
			return code;
		error = disk_write(&c->metadata, unit_sectors(unit), unit_sectors(nr), buffer);
		if (error)
			code = disk_failed(&c->metadata, "write", error);
		progress_at(unit + nr);
	}
	if (code)
		return code;
	error = disk_flush(&c->metadata);
	return error ? disk_failed(&c->metadata, "write", error) : 0;
}

int staging_apply(struct convert *c)
{
	u32 crc;
	int code = sum_image(c, &crc);

	if (code)
		return code;
	if (crc != le32_to_cpu(header.image_crc) || c->image_units < 2)
		return refuse(c, EXIT_DAMAGED, "the metadata in the staging is damaged");
	progress_start("putting the new metadata in place", c->image_units);
	c->decided = true;
	code = write_mark(c);
	if (!code)
		code = copy_units(c, 1, c->image_units);
	if (!code)
		code = copy_units(c, 0, 1);
	progress_end();
	return code;
}

int staging_end(struct convert *c)
{
	int code;

	if (c->staging.fd < 0)
		return 0;
	memset(&header, 0, sizeof(header));
	code = write_header(c);
	if (!code && !c->staging.block && unlink(c->staging_path))
		code = refuse(c, EXIT_IO, strerror(errno));
	return code;
}
