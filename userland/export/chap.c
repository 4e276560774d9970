// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a file with secrets, see chap.h.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../larder.h"
#include "chap.h"

#define FILE_MAX 4096

static const struct key {
	const char *name;
	size_t at;
	bool nvmet;
} keys[] = {
	{ "userid", offsetof(struct chap, userid), false },
	{ "password", offsetof(struct chap, password), false },
	{ "mutual_userid", offsetof(struct chap, userid_mutual), false },
	{ "mutual_password", offsetof(struct chap, password_mutual), false },
	{ "dhchap_key", offsetof(struct chap, dhchap_key), true },
	{ "dhchap_ctrl_key", offsetof(struct chap, dhchap_ctrl_key), true },
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

void chap_forget(struct chap *chap)
{
	explicit_bzero(chap, sizeof(*chap));
}

bool chap_empty(const struct chap *chap)
{
	return !*chap->userid && !*chap->dhchap_key;
}

/* NULL, or what is wrong with it. */
static const char *judge_value(const char *value)
{
	/* which LIO takes for no secret at all */
	if (!strncmp(value, "NULL", 4))
		return "a value begins with NULL, which the kernel takes for none";
	for (; *value; value++)
		if (!isprint((unsigned char)*value))
			return "a value has characters that cannot be printed";
	return NULL;
}

/* The same of all of it. */
static const char *judge_all(const struct chap *chap, bool nvmet)
{
	size_t i;

	for (i = 0; i < NR_KEYS; i++)
		if (keys[i].nvmet != nvmet && *((const char *)chap + keys[i].at))
			return nvmet ? "it has keys that are not for NVMe" :
				       "it has keys that are for NVMe only";
	if (nvmet)
		return *chap->dhchap_key ? NULL : "it has no dhchap_key, which NVMe needs";
	if (!*chap->userid || !*chap->password)
		return "it needs a userid and a password";
	if (!*chap->userid_mutual != !*chap->password_mutual)
		return "of mutual_userid and mutual_password it has one only";
	/* kernels compare them, and refuse each login then */
	return strcmp(chap->password, chap->password_mutual) ? NULL :
	       "the two passwords are the same";
}

bool chap_valid(const struct chap *chap)
{
	static const struct chap empty;
	bool nvmet = *chap->dhchap_key;
	size_t i;

	if (!memcmp(chap, &empty, sizeof(empty)))
		return true;
	for (i = 0; i < NR_KEYS; i++)
		if (judge_value((const char *)chap + keys[i].at))
			return false;
	return !judge_all(chap, nvmet);
}

static int refuse(const char *path, const char *why)
{
	complain("%s cannot be used: %s", path, why);
	return EXIT_NOT_OURS;
}

static int take_line(struct chap *chap, char *line, unsigned int number, const char *path)
{
	size_t length, i;
	const char *why;
	char *value, *to;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	length = strcspn(line, " \t=");
	value = line + length + strspn(line + length, " \t");
	if (*value == '=')
		value += 1 + strspn(value + 1, " \t");
	for (i = strlen(value); i && isspace((unsigned char)value[i - 1]); i--)
		value[i - 1] = '\0';
	for (i = 0; i < NR_KEYS; i++)
		if (strlen(keys[i].name) == length && !strncmp(line, keys[i].name, length))
			break;
	if (i == NR_KEYS || !*value || strlen(value) >= SECRET_MAX) {
		complain("%s cannot be used: line %u has an unknown key, no value, or one of more "
			 "than %d characters", path, number, SECRET_MAX - 1);
		return EXIT_NOT_OURS;
	}
	why = judge_value(value);
	if (why)
		return refuse(path, why);
	to = (char *)chap + keys[i].at;
	if (*to)
		return refuse(path, "a key is given twice");
	memcpy(to, value, strlen(value) + 1);
	return 0;
}

static int judge(const struct chap *chap, const char *path, bool nvmet)
{
	const char *why = judge_all(chap, nvmet);

	return why ? refuse(path, why) : 0;
}

static int read_lines(struct chap *chap, const char *path, int fd)
{
	char text[FILE_MAX + 1], *at = text, *line;
	unsigned int number = 0;
	size_t length = 0;
	ssize_t n = 0;
	int code = 0;

	while (length < FILE_MAX && (n = read(fd, text + length, FILE_MAX - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	if (n < 0)
		code = refuse(path, strerror(errno));
	else if (length == FILE_MAX || strlen(text) != length)
		code = refuse(path, "it is too long, or no text");
	while (!code && (line = strsep(&at, "\n")))
		code = take_line(chap, line, ++number, path);
	explicit_bzero(text, sizeof(text));
	return code;
}

static int judge_file(const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse(path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(path, "it is no regular file");
	if (st.st_uid && st.st_uid != geteuid())
		return refuse(path, "it is owned by somebody else: chown root");
	if (st.st_mode & 077)
		return refuse(path, "others can read or write it: chmod 600");
	return 0;
}

int chap_read(struct chap *chap, const char *path, bool nvmet)
{
	int code, fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	memset(chap, 0, sizeof(*chap));
	if (fd < 0) {
		complain("cannot open %s: %s", path,
			 errno == ELOOP ? "it is a symbolic link" : strerror(errno));
		return errno == ELOOP ? EXIT_NOT_OURS :
		       errno == EACCES ? EXIT_NO_PERMISSION : EXIT_NO_INPUT;
	}
	code = judge_file(path, fd);
	if (!code)
		code = read_lines(chap, path, fd);
	close(fd);
	if (!code)
		code = judge(chap, path, nvmet);
	if (code)
		chap_forget(chap);
	return code;
}
