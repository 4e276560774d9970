// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One line on stderr, written anew for each percent.
 */
#include <stdio.h>
#include <unistd.h>

#include "progress.h"

static struct {
	const char *what;	/* NULL: nothing under way */
	uint64_t total;
	unsigned int percent;
	bool quiet;
} progress;

void progress_quiet(void)
{
	progress.quiet = true;
}

static void show(unsigned int percent)
{
	progress.percent = percent;
	fprintf(stderr, "\r%s: %u%%", progress.what, percent);
	fflush(stderr);
}

void progress_start(const char *what, uint64_t total)
{
	progress_end();
	if (progress.quiet || !total || !isatty(STDERR_FILENO))
		return;
	progress.what = what;
	progress.total = total;
	show(0);
}

void progress_at(uint64_t done)
{
	unsigned int percent;

	if (!progress.what)
		return;
	percent = done < progress.total ? (unsigned int)((double)done / progress.total * 100) : 100;
	if (percent != progress.percent)
		show(percent);
}

void progress_end(void)
{
	if (!progress.what)
		return;
	fputs("\r\033[K", stderr);
	progress.what = NULL;
}
