// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each interval of a range must hold: three versions per interval, the flushed one, the
 * acknowledged one and the newest one. Data and tags follow from the version.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "pi-io.h"

static LIST_HEAD(journals);
static DEFINE_MUTEX(journals_lock);
static atomic_t last_version;

u32 pi_io_next_version(void)
{
	return atomic_inc_return(&last_version);
}

static struct pi_io_journal *find(const char *name)
{
	struct pi_io_journal *journal;

	list_for_each_entry(journal, &journals, list)
		if (!strcmp(journal->name, name))
			return journal;
	return NULL;
}

static void destroy(struct pi_io_journal *journal)
{
	vfree(journal->flushed);
	vfree(journal->acked);
	vfree(journal->newest);
	kfree(journal);
}

static struct pi_io_journal *create(const char *name, u64 start, unsigned int intervals,
				    unsigned int shift)
{
	struct pi_io_journal *journal = kzalloc(sizeof(*journal), GFP_KERNEL);

	if (!journal)
		return NULL;
	journal->flushed = vzalloc(array_size(intervals, sizeof(u32)));
	journal->acked = vzalloc(array_size(intervals, sizeof(u32)));
	journal->newest = vzalloc(array_size(intervals, sizeof(u32)));
	if (!journal->flushed || !journal->acked || !journal->newest) {
		destroy(journal);
		return NULL;
	}
	strscpy(journal->name, name, sizeof(journal->name));
	journal->start = start;
	journal->intervals = intervals;
	journal->shift = shift;
	spin_lock_init(&journal->lock);
	INIT_LIST_HEAD(&journal->busy);
	init_waitqueue_head(&journal->released);
	list_add(&journal->list, &journals);
	return journal;
}

struct pi_io_journal *pi_io_journal_get(const char *name, u64 start, unsigned int intervals,
					unsigned int shift)
{
	struct pi_io_journal *journal;

	mutex_lock(&journals_lock);
	journal = find(name);
	if (journal) {
		if (journal->shift != shift)
			journal = ERR_PTR(-EMEDIUMTYPE);
	} else if (intervals) {
		journal = create(name, start, intervals, shift) ?: ERR_PTR(-ENOMEM);
	} else {
		journal = ERR_PTR(-ENOENT);
	}
	if (!IS_ERR(journal))
		journal->users++;
	mutex_unlock(&journals_lock);
	return journal;
}

void pi_io_journal_put(struct pi_io_journal *journal)
{
	mutex_lock(&journals_lock);
	journal->users--;
	mutex_unlock(&journals_lock);
}

int pi_io_journal_forget(const char *name)
{
	struct pi_io_journal *journal;
	int error = -ENOENT;

	mutex_lock(&journals_lock);
	journal = find(name);
	if (journal) {
		error = journal->users ? -EBUSY : 0;
		if (!error) {
			list_del(&journal->list);
			destroy(journal);
		}
	}
	mutex_unlock(&journals_lock);
	return error;
}

void pi_io_journal_exit(void)
{
	struct pi_io_journal *journal, *next;

	list_for_each_entry_safe(journal, next, &journals, list)
		destroy(journal);
}

/* journal->lock held. */
static bool conflicts(const struct pi_io_journal *journal, const struct pi_io_claim *claim)
{
	const struct pi_io_claim *other;

	list_for_each_entry(other, &journal->busy, list)
		if ((claim->write || other->write) &&
		    claim->first < other->first + other->count &&
		    other->first < claim->first + claim->count)
			return true;
	return false;
}

static bool try_claim(struct pi_io_journal *journal, struct pi_io_claim *claim)
{
	bool free;

	spin_lock(&journal->lock);
	free = !conflicts(journal, claim);
	if (free)
		list_add(&claim->list, &journal->busy);
	spin_unlock(&journal->lock);
	return free;
}

void pi_io_claim(struct pi_io_journal *journal, struct pi_io_claim *claim)
{
	wait_event(journal->released, try_claim(journal, claim));
}

void pi_io_unclaim(struct pi_io_journal *journal, struct pi_io_claim *claim)
{
	spin_lock(&journal->lock);
	list_del(&claim->list);
	spin_unlock(&journal->lock);
	wake_up_all(&journal->released);
}

bool pi_io_journal_allows(const struct pi_io_journal *journal, unsigned int interval,
			  enum pi_io_expect expect, u32 version)
{
	const u32 *least = expect == PI_IO_EXPECT_FLUSHED ? journal->flushed : journal->acked;

	if (expect == PI_IO_EXPECT_ANY)
		return true;
	return version >= least[interval] && version <= journal->newest[interval];
}

/* What was acknowledged before the flush is durable after it; what comes meanwhile may be. */
int pi_io_flush_journal(struct pi_io_device *device, struct pi_io_journal *journal)
{
	u32 *covered = vmalloc(array_size(journal->intervals, sizeof(u32)));
	unsigned int i;
	int error;

	if (!covered)
		return -ENOMEM;
	for (i = 0; i < journal->intervals; i++)
		covered[i] = READ_ONCE(journal->acked[i]);
	error = pi_io_flush(device);
	for (i = 0; !error && i < journal->intervals; i++)
		journal->flushed[i] = max(journal->flushed[i], covered[i]);
	vfree(covered);
	return error;
}
