// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the tools of others, and takes what they print.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"
#include "convert-run.h"

#define OUTPUT_MAX	(64u << 20)	/* more is no answer */

/* NULL when it is too long or cannot be read */
static char *read_answer(int fd)
{
	size_t room = 4096, filled = 0;
	char *text = malloc(room), *more;
	ssize_t n;

	while (text) {
		n = read(fd, text + filled, room - filled - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		filled += (size_t)n;
		if (room - filled > 1)
			continue;
		more = room < OUTPUT_MAX ? realloc(text, room *= 2) : NULL;
		if (!more) {
			free(text);
			return NULL;
		}
		text = more;
	}
	if (text)
		text[filled] = '\0';
	return text;
}

static void __attribute__((noreturn)) become(const char *program, const char *const *arguments,
					     int fd)
{
	/* theirs is for us, not for who reads ours */
	dup2(fd, STDOUT_FILENO);
	setenv("LC_ALL", "C", 1);
	setenv("LVM_SUPPRESS_FD_WARNINGS", "1", 1);
	execv(program, (char *const *)arguments);
	_exit(127);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_one(const char *program, const char *const *arguments, char **output)
{
	int pipe_fds[2];
	char *text;
	pid_t pid;

	if (pipe(pipe_fds))
		return -1;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		/* a signal to our group, of a person at the terminal, is not for them */
		setpgid(0, 0);
		close(pipe_fds[0]);
		become(program, arguments, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	text = pid > 0 ? read_answer(pipe_fds[0]) : NULL;
	close(pipe_fds[0]);
	if (output)
		*output = text;
	else
		free(text);
	return pid > 0 ? wait_for(pid) : -1;
}

int run_first(const char *const *programs, const char *const *arguments, char **output)
{
	int code;

	if (output)
		*output = NULL;
	for (; *programs; programs++) {
		if (access(*programs, X_OK))
			continue;
		code = run_one(*programs, arguments, output);
		if (code >= 0 && (!output || *output))
			return code;
		complain("cannot run %s", *programs);
		return -1;
	}
	return -1;
}
