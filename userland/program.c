// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs other programs for what only they can do, above all LVM.
 *
 * What they print goes to memory, not into pipes: nobody blocks, and none of
 * them is killed by SIGPIPE in the midst of a change when we are gone.  Each is
 * a process group of its own, so that ^C at the terminal reaches it once.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"
#include "program.h"

#define OUTPUT_MAX	(64u << 20)	/* more is no answer */
#define TICK_NS		500000000
#define LINES_TOLD	20

static const char *const clean_environment[] = {
	"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", "LVM_SUPPRESS_FD_WARNINGS=1",
	NULL
};

const char *program_find(const char *const *paths)
{
	unsigned int i;

	for (i = 0; paths[i]; i++)
		if (!access(paths[i], X_OK))
			return paths[i];
	return paths[0];
}

void program_word(struct program *p, const char *word)
{
	assert(p->nr < WORDS_MAX);
	p->word[p->nr++] = word;
}

const int end_signals[NR_END_SIGNALS] = { SIGINT, SIGTERM, SIGHUP };

void watched_signals(sigset_t *set)
{
	struct sigaction action;
	unsigned int i;

	sigemptyset(set);
	for (i = 0; i < NR_END_SIGNALS; i++)
		if (!sigaction(end_signals[i], NULL, &action) && action.sa_handler == SIG_DFL)
			sigaddset(set, end_signals[i]);
}

static int spawn(struct program *p, int out, int err, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, err, 2);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
				 POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	error = posix_spawn(pid, p->path, &files, &attributes, (char **)p->word,
			    (char **)clean_environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

/* It is the program that knows how to stop; we wait for what it makes of it. */
static int wait_for_end(struct program *p, pid_t pid, const sigset_t *watched)
{
	const struct timespec half_a_second = { 0, TICK_NS };
	int status, signal;
	pid_t ended;

	for (;;) {
		ended = waitpid(pid, &status, WNOHANG);
		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (ended < 0 && errno != EINTR)
			return 128;
		if (p->tick)
			p->tick(p->context);
		signal = sigtimedwait(watched, NULL, &half_a_second);
		if (signal <= 0 || signal == SIGCHLD)
			continue;
		p->interrupted = true;
		kill(pid, SIGINT);
	}
}

/* As a string; NULL when it is too long, or there is no memory. */
static char *take_output(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END), at = 0;
	char *text = size >= 0 && size <= OUTPUT_MAX ? calloc(1, (size_t)size + 1) : NULL;
	ssize_t n;

	while (text && at < size) {
		n = pread(fd, text + at, (size_t)(size - at), at);
		if (n <= 0)
			break;
		at += n;
	}
	return text;
}

static int run_and_collect(struct program *p, int out, int err)
{
	sigset_t watched, before;
	int error;
	pid_t pid;

	/* what is to be handed on, and a child that has ended */
	watched_signals(&watched);
	sigaddset(&watched, SIGCHLD);
	sigprocmask(SIG_BLOCK, &watched, &before);
	error = spawn(p, out, err, &pid);
	if (!error)
		p->code = wait_for_end(p, pid, &watched);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error) {
		complain("cannot run %s: %s", p->path, strerror(error));
		return error == EACCES || error == EPERM ? EXIT_NO_PERMISSION : EXIT_NO_SERVICE;
	}
	p->out = take_output(out);
	p->err = take_output(err);
	if (p->out && p->err)
		return 0;
	complain("%s says more than can be read", p->path);
	return EXIT_NO_MEMORY;
}

int program_run(struct program *p)
{
	int out = memfd_create("stdout", MFD_CLOEXEC), err = memfd_create("stderr", MFD_CLOEXEC);
	int code;

	p->word[p->nr] = NULL;
	if (out < 0 || err < 0) {
		complain("not enough memory");
		code = EXIT_NO_MEMORY;
	} else {
		code = run_and_collect(p, out, err);
	}
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
	return code;
}

void program_free(struct program *p)
{
	free(p->out);
	free(p->err);
	p->out = NULL;
	p->err = NULL;
}

void program_tell(const struct program *p)
{
	const char *name = p->word[1] && !strcmp(p->word[0], "lvm") ? p->word[1] : p->word[0];
	unsigned int lines = 0;
	char *at, *line;

	for (at = p->err; at && (line = strsep(&at, "\n")) && lines < LINES_TOLD;) {
		char *c;

		for (c = line; *c; c++)
			if (!isprint((unsigned char)*c))
				*c = '?';
		line += strspn(line, " ");
		if (!*line)
			continue;
		complain("%s: %.300s", name, line);
		lines++;
	}
}
