// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The progress of a flush that LVM runs.  It comes from device mapper: LVM
 * itself answers nobody while it holds the lock of the volume group.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "flush.h"
#include "lvm.h"
#include "status-line.h"

#define LINE_EVERY_MS 15000	/* where there is no terminal */

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static void print_end(u64 seconds)
{
	time_t end = time(NULL) + (time_t)seconds;
	struct tm local;
	char clock[16] = "";

	if (localtime_r(&end, &local))
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	fprintf(stderr, ", ends in %llu:%02llu:%02llu, at %s",
		(unsigned long long)(seconds / 3600), (unsigned long long)(seconds / 60 % 60),
		(unsigned long long)(seconds % 60), clock);
}

static void print_line(struct flush_show *s)
{
	double rate, chunk_mib = (double)s->chunk_sectors / 2048;
	u64 seconds;

	fprintf(stderr, "%s%s: %llu dirty chunks left (%.1f MiB)", s->on_terminal ? "\r" : "",
		s->lv->full, (unsigned long long)s->pace.last_dirty,
		(double)s->pace.last_dirty * chunk_mib);
	if (flush_pace_forecast(&s->pace, &rate, &seconds)) {
		fprintf(stderr, ", %.1f MiB/s", rate * chunk_mib);
		print_end(seconds);
	}
	fputs(s->on_terminal ? "; ^C stops it\033[K" : "\n", stderr);
	fflush(stderr);
}

static void tick(void *context)
{
	struct flush_show *s = context;
	struct cache_target target;
	struct status_line line;
	u64 now = now_ms();

	if (!cached_lv_running(&target, s->lv))
		return;
	if (!status_line_parse(&line, target.status) && !line.failed) {
		s->chunk_sectors = line.chunk_sectors;
		flush_pace_see(&s->pace, now, line.dirty);
		if (!s->quiet && (s->on_terminal || now - s->shown_ms >= LINE_EVERY_MS)) {
			s->shown_ms = now;
			print_line(s);
		}
	}
	cache_target_free(&target);
}

void flush_show(struct flush_show *show, struct program *p, const struct lv_name *lv, bool quiet)
{
	memset(show, 0, sizeof(*show));
	show->lv = lv;
	show->quiet = quiet;
	show->on_terminal = isatty(STDERR_FILENO);
	show->shown_ms = now_ms() - LINE_EVERY_MS;
	p->tick = tick;
	p->context = show;
	/* once before it begins */
	tick(show);
}

void flush_show_end(struct flush_show *show)
{
	if (show->on_terminal && !show->quiet)
		fputs("\r\033[K", stderr);
}
