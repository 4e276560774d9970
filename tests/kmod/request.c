// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a request between the block layer and the models. What makes power cuts exact is
 * here: a request is judged, numbered and applied in one step under world.lock, so that the cut
 * has one place in the event sequence of all disks.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-mq.h>

#include "simdisk.h"

static bool accept_request(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	unsigned long flags;
	bool accepted;

	spin_lock_irqsave(&disk->lock, flags);
	accepted = READ_ONCE(world.power) == SIMDISK_ON;
	if (accepted) {
		disk->inflight++;
		command->received = READ_ONCE(world.sequence);
		if (req_op(request) == REQ_OP_FLUSH) {
			command->barrier = disk->generation;
			disk->flush_barrier = disk->generation;
		}
	} else {
		disk->statistics.refused++;
	}
	spin_unlock_irqrestore(&disk->lock, flags);
	return accepted;
}

static void release_request(struct simdisk *disk)
{
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&disk->lock, flags);
	idle = !--disk->inflight;
	spin_unlock_irqrestore(&disk->lock, flags);
	if (idle && READ_ONCE(world.power) != SIMDISK_ON)
		wake_up_all(&world.drained);
}

static bool is_supported(const struct simdisk *disk, const struct request *request)
{
	switch (req_op(request)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
	case REQ_OP_FLUSH:
		return true;
	case REQ_OP_DISCARD:
		return disk->spec.discard;
	case REQ_OP_WRITE_ZEROES:
		return disk->spec.write_zeroes;
	default:
		return false;
	}
}

/* Whether applying it makes its own sectors durable. */
static bool is_durable_write(const struct simdisk *disk, const struct request *request)
{
	return !disk->spec.write_cache || (request->cmd_flags & REQ_FUA);
}

static void sleeping_work(struct work_struct *work)
{
	struct simdisk_command *command = container_of(work, struct simdisk_command, work);
	struct request *request = blk_mq_rq_from_pdu(command);
	struct simdisk *disk = request->q->queuedata;

	if (req_op(request) == REQ_OP_READ) {
		simdisk_backing_read(disk, command);
		simdisk_timing_start(disk, command);
	} else {
		simdisk_finish_sleeping(command);
	}
}

static blk_status_t simdisk_queue_rq(struct blk_mq_hw_ctx *hctx,
				     const struct blk_mq_queue_data *queue_data)
{
	struct request *request = queue_data->rq;
	struct simdisk_command *command = blk_mq_rq_to_pdu(request);
	struct simdisk *disk = request->q->queuedata;

	if (!is_supported(disk, request))
		return BLK_STS_NOTSUPP;
	if (!accept_request(disk, command))
		return BLK_STS_IOERR;
	command->versions = NULL;
	command->status = BLK_STS_OK;
	INIT_WORK(&command->work, sleeping_work);
	if (simdisk_is_write_like(request) && !simdisk_prepare(disk, command)) {
		release_request(disk);
		pr_warn_ratelimited("%s: no memory for a request now, it is tried again\n",
				    disk->spec.name);
		return BLK_STS_RESOURCE;
	}
	blk_mq_start_request(request);
	if (simdisk_has_backing(disk) && req_op(request) == REQ_OP_READ)
		queue_work(disk->readers, &command->work);
	else
		simdisk_timing_start(disk, command);
	return BLK_STS_OK;
}

static int simdisk_init_request(struct blk_mq_tag_set *tags, struct request *request,
				unsigned int queue, simdisk_node_t node)
{
	simdisk_timing_init_command(blk_mq_rq_to_pdu(request));
	return 0;
}

const struct blk_mq_ops simdisk_mq_ops = {
	.queue_rq = simdisk_queue_rq,
	.init_request = simdisk_init_request,
};

static void count_request(struct simdisk *disk, const struct request *request)
{
	struct simdisk_statistics *statistics = &disk->statistics;

	switch (req_op(request)) {
	case REQ_OP_READ:
		statistics->reads++;
		statistics->read_sectors += blk_rq_sectors(request);
		break;
	case REQ_OP_WRITE:
		statistics->writes++;
		statistics->write_sectors += blk_rq_sectors(request);
		if (request->cmd_flags & REQ_FUA)
			statistics->fua_writes++;
		break;
	case REQ_OP_FLUSH:
		statistics->flushes++;
		break;
	case REQ_OP_DISCARD:
		statistics->discards++;
		statistics->discard_sectors += blk_rq_sectors(request);
		break;
	case REQ_OP_WRITE_ZEROES:
		statistics->write_zeroes++;
		statistics->write_zeroes_sectors += blk_rq_sectors(request);
		break;
	default:
		break;
	}
}

static blk_status_t judge(struct simdisk *disk, const struct request *request)
{
	if (READ_ONCE(disk->knobs.dead))
		return BLK_STS_IOERR;
	return simdisk_match_error(disk, request);
}

static void apply_request(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	bool durable;

	count_request(disk, request);
	if (req_op(request) == REQ_OP_FLUSH) {
		simdisk_make_durable(disk, command->barrier);
		return;
	}
	durable = is_durable_write(disk, request);
	if (!durable)
		disk->unflushed = true;
	simdisk_apply(disk, command, durable);
	simdisk_evict(disk);
	if (!durable && simdisk_has_backing(disk))
		simdisk_backing_leak(disk);
}

/* The power went while this was under way: it fails, but may have reached the medium in part. */
static void abandon(struct simdisk *disk, struct simdisk_command *command)
{
	if (simdisk_in_flight_survives(disk, command))
		simdisk_apply(disk, command, false);
	else
		simdisk_discard_prepared(disk, command);
}

/* The one step. With judged, errors were looked up before and command->status holds the result. */
static blk_status_t commit_event(struct simdisk *disk, struct simdisk_command *command, bool judged)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	unsigned long flags;
	blk_status_t status = command->status;
	bool done = false;

	spin_lock_irqsave(&world.lock, flags);
	spin_lock(&disk->lock);
	if (!judged && !status && world.power == SIMDISK_ON)
		status = judge(disk, request);
	if (world.power != SIMDISK_ON || (!status && simdisk_trigger_before(request))) {
		status = BLK_STS_IOERR;
		abandon(disk, command);
	} else if (status) {
		disk->statistics.errors++;
		simdisk_discard_prepared(disk, command);
	} else {
		simdisk_log_data(disk, command);
		apply_request(disk, command);
		done = true;
	}
	spin_unlock(&disk->lock);
	if (done) {
		WRITE_ONCE(world.sequence, world.sequence + 1);
		simdisk_log(disk, request);
		simdisk_trigger_after();
	}
	spin_unlock_irqrestore(&world.lock, flags);
	return status;
}

static blk_status_t finish_read(struct simdisk *disk, struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	blk_status_t status = command->status;
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	if (READ_ONCE(world.power) != SIMDISK_ON)
		status = BLK_STS_IOERR;
	else if (!status)
		status = judge(disk, request);
	if (!status) {
		count_request(disk, request);
		if (!simdisk_has_backing(disk))
			simdisk_read(disk, request);
	} else {
		disk->statistics.errors++;
	}
	spin_unlock_irqrestore(&disk->lock, flags);
	return status;
}

static void end_request(struct simdisk *disk, struct simdisk_command *command, blk_status_t status)
{
	release_request(disk);
	blk_mq_end_request(blk_mq_rq_from_pdu(command), status);
}

/* The time of the command is over. Any context. */
void simdisk_finish(struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	struct simdisk *disk = request->q->queuedata;

	if (req_op(request) == REQ_OP_READ)
		end_request(disk, command, finish_read(disk, command));
	else if (simdisk_has_backing(disk) && (req_op(request) == REQ_OP_FLUSH ||
					       is_durable_write(disk, request)))
		queue_work(disk->destager, &command->work);
	else
		end_request(disk, command, commit_event(disk, command, false));
}

/* The rest of a command that has to write to the backing device before it is complete. */
void simdisk_finish_sleeping(struct simdisk_command *command)
{
	struct request *request = blk_mq_rq_from_pdu(command);
	struct simdisk *disk = request->q->queuedata;

	if (READ_ONCE(world.power) == SIMDISK_ON) {
		spin_lock_irq(&disk->lock);
		command->status = judge(disk, request);
		spin_unlock_irq(&disk->lock);
		if (!command->status)
			simdisk_backing_finish(disk, command);
	}
	end_request(disk, command, commit_event(disk, command, true));
}
