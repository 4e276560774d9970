// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a command takes. SSD: everything in parallel but the transfers, which share one bus.
 * HDD: one arm, which takes the command that it can reach soonest. All settings are read at the
 * moment a command is started, so changes count from the next one on.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math.h>
#include <linux/math64.h>

#include "simdisk.h"

static u64 knob_ns(const u32 *knob)
{
	return (u64)READ_ONCE(*knob) * NSEC_PER_USEC;
}

static bool has_transfer(const struct request *request)
{
	return req_op(request) == REQ_OP_READ || req_op(request) == REQ_OP_WRITE;
}

static u64 start_of(const struct request *request)
{
	return (u64)blk_rq_pos(request) << SECTOR_SHIFT;
}

static u64 transfer_ns(const struct simdisk *disk, const struct request *request)
{
	u32 mbps = READ_ONCE(disk->knobs.mbps);

	if (!mbps || !has_transfer(request))
		return 0;
	return div_u64((u64)blk_rq_bytes(request) * 1000, mbps);
}

/* Counts as well. disk->lock held. */
static u64 flush_ns(struct simdisk *disk)
{
	if (!disk->unflushed) {
		disk->statistics.idle_flushes++;
		return knob_ns(&disk->knobs.flush_idle_us);
	}
	disk->unflushed = false;
	return knob_ns(&disk->knobs.flush_us);
}

/* What is to be waited for besides the bus and the arm. disk->lock held. */
static u64 latency_ns(struct simdisk *disk, const struct request *request)
{
	const struct simdisk_knobs *knobs = &disk->knobs;
	u64 latency = knob_ns(&knobs->command_us);

	switch (req_op(request)) {
	case REQ_OP_READ:
		return latency + knob_ns(&knobs->read_us);
	case REQ_OP_FLUSH:
		return latency + flush_ns(disk);
	case REQ_OP_DISCARD:
		return latency + knob_ns(&knobs->discard_us);
	default:
		latency += knob_ns(&knobs->write_us);
		if (request->cmd_flags & REQ_FUA)
			latency += knob_ns(&knobs->fua_us);
		return latency;
	}
}

/* Moves the head over the request; tells whether it had to go elsewhere first. disk->lock held. */
static bool move_head(struct simdisk *disk, const struct request *request)
{
	bool elsewhere = start_of(request) != disk->head;

	if (elsewhere)
		disk->statistics.seeks++;
	else
		disk->statistics.sequential++;
	disk->head = start_of(request) + blk_rq_bytes(request);
	return elsewhere;
}

/* --- HDD --- */

/*
 * The time until the wanted sector is under the head: the arm moves (the root of the distance, as
 * half of the way is acceleration), then the platter turns. A track holds what passes in one turn.
 */
static u64 positioning_ns(const struct simdisk *disk, const struct request *request, u64 now)
{
	u64 target = start_of(request);
	u64 turn = div_u64(60 * NSEC_PER_SEC, READ_ONCE(disk->knobs.rpm));
	u64 track = max_t(u64, div_u64(turn * READ_ONCE(disk->knobs.mbps), 1000), 512);
	u64 distance = target > disk->head ? target - disk->head : disk->head - target;
	u64 least = knob_ns(&disk->knobs.seek_min_us);
	u64 most = max(knob_ns(&disk->knobs.seek_max_us), least);
	u64 root, seek, offset, angle, wanted;

	if (!distance)
		return 0;
	/* 1024 * sqrt(distance / size); in pages, so that 2^44 bytes times 2^20 fit. */
	root = int_sqrt64(div64_u64((distance >> SIMDISK_PAGE_SHIFT) << 20,
				    disk->spec.size >> SIMDISK_PAGE_SHIFT));
	seek = least + (((most - least) * root) >> 10);
	div64_u64_rem(now + seek, turn, &angle);
	div64_u64_rem(target, track, &offset);
	wanted = div64_u64(offset * turn, track);
	return seek + (wanted >= angle ? wanted - angle : wanted + turn - angle);
}

/* The command to take next, and how far it is. disk->lock held. */
static struct simdisk_command *choose_next(struct simdisk *disk, u64 now, u64 *positioning)
{
	u64 starve = (u64)READ_ONCE(disk->knobs.starve_ms) * NSEC_PER_MSEC;
	struct simdisk_command *command, *best = NULL;
	u64 cost;

	/* The list is in order of arrival: if any is starving, the first is. */
	list_for_each_entry(command, &disk->waiting, list) {
		struct request *request = blk_mq_rq_from_pdu(command);

		cost = has_transfer(request) ? positioning_ns(disk, request, now) : 0;
		if (!best || cost < *positioning) {
			best = command;
			*positioning = cost;
		}
		if (best == command && now - command->queued_at > starve &&
		    list_is_first(&command->list, &disk->waiting))
			break;
	}
	return best;
}

/* disk->lock held, the arm is free. */
static void start_arm(struct simdisk *disk)
{
	struct simdisk_command *command;
	struct request *request;
	u64 positioning = 0, duration;

	command = choose_next(disk, ktime_get_ns(), &positioning);
	if (!command)
		return;
	list_del(&command->list);
	disk->active = command;
	request = blk_mq_rq_from_pdu(command);
	duration = latency_ns(disk, request);
	if (has_transfer(request)) {
		move_head(disk, request);
		duration += positioning + transfer_ns(disk, request);
	}
	if (READ_ONCE(world.power) != SIMDISK_ON || READ_ONCE(disk->knobs.fast))
		duration = 0;	/* the queue drains at once */
	hrtimer_start(&disk->arm, ns_to_ktime(duration), HRTIMER_MODE_REL);
}

static enum hrtimer_restart arm_done(struct hrtimer *timer)
{
	struct simdisk *disk = container_of(timer, struct simdisk, arm);
	struct simdisk_command *done;
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	done = disk->active;
	disk->active = NULL;
	start_arm(disk);
	spin_unlock_irqrestore(&disk->lock, flags);
	simdisk_finish(done);
	return HRTIMER_NORESTART;
}

static void start_hdd(struct simdisk *disk, struct simdisk_command *command)
{
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	command->queued_at = ktime_get_ns();
	list_add_tail(&command->list, &disk->waiting);
	if (!disk->active)
		start_arm(disk);
	spin_unlock_irqrestore(&disk->lock, flags);
}

/* --- SSD --- */

static enum hrtimer_restart ssd_done(struct hrtimer *timer)
{
	simdisk_finish(container_of(timer, struct simdisk_command, timer));
	return HRTIMER_NORESTART;
}

static void start_ssd(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	u64 now = ktime_get_ns(), done = now;
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	if (has_transfer(request)) {
		move_head(disk, request);
		disk->bus_free_at = max(disk->bus_free_at, now) + transfer_ns(disk, request);
		done = disk->bus_free_at;
	}
	done += latency_ns(disk, request);
	spin_unlock_irqrestore(&disk->lock, flags);
	if (done > now)
		hrtimer_start(&command->timer, ns_to_ktime(done - now), HRTIMER_MODE_REL);
	else
		simdisk_finish(command);
}

/* --- both --- */

/* Without latency only the counters are kept up. */
static void account_fast(struct simdisk *disk, const struct request *request)
{
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	if (has_transfer(request))
		move_head(disk, request);
	else if (req_op(request) == REQ_OP_FLUSH)
		flush_ns(disk);
	spin_unlock_irqrestore(&disk->lock, flags);
}

/* Ends in simdisk_finish, at once or from a timer. */
void simdisk_timing_start(struct simdisk *disk, struct simdisk_command *command)
{
	if (READ_ONCE(disk->knobs.fast)) {
		account_fast(disk, blk_mq_rq_from_pdu(command));
		simdisk_finish(command);
	} else if (disk->spec.rotational) {
		start_hdd(disk, command);
	} else {
		start_ssd(disk, command);
	}
}

static bool hurry_request(struct request *request, void *data)
{
	struct simdisk_command *command = blk_mq_rq_to_pdu(request);

	if (hrtimer_try_to_cancel(&command->timer) == 1)
		hrtimer_start(&command->timer, 0, HRTIMER_MODE_REL);
	return true;
}

/* After a power cut: what is in flight need not use up its time before it fails. */
void simdisk_timing_hurry(struct simdisk *disk)
{
	if (hrtimer_try_to_cancel(&disk->arm) == 1)
		hrtimer_start(&disk->arm, 0, HRTIMER_MODE_REL);
	blk_mq_tagset_busy_iter(&disk->tags, hurry_request, NULL);
}

void simdisk_timing_init_command(struct simdisk_command *command)
{
	hrtimer_setup(&command->timer, ssd_done, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
}

void simdisk_timing_init(struct simdisk *disk)
{
	INIT_LIST_HEAD(&disk->waiting);
	hrtimer_setup(&disk->arm, arm_done, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
}
