// SPDX-License-Identifier: MIT
/*
 * queue.c - what the kernel gets next, in batches, and who sends it
 *
 * Owns dev->queue, dev->free, dev->pending and what counts them. Any thread,
 * with the device's lock. What is in a batch goes to the kernel before what is
 * put behind it; must never have two threads send at once, whose calls could
 * overtake each other on their way into the kernel.
 */
#include <errno.h>

#include "internal.h"

void queue_init(struct vgpu_device *dev)
{
	unsigned int i;

	list_init(&dev->queue);
	list_init(&dev->free);
	for (i = 0; i < BATCHES; i++)
		list_add_tail(&dev->free, &dev->batches[i].node);
	dev->pending_tail = &dev->pending;
}

struct batch *queue_tail(struct vgpu_device *dev, size_t blob_len)
{
	struct batch *batch = (void *)dev->queue.prev;

	if (!list_empty(&dev->queue) && batch->nr < BATCH &&
	    blob_len <= BLOB_ROOM - batch->blob_used)
		return batch;
	if (list_empty(&dev->free))
		return NULL;
	batch = (void *)dev->free.next;
	list_del(&batch->node);
	list_add_tail(&dev->queue, &batch->node);
	return batch;
}

/* Chunks that are ready come into batches as far as there is room. */
static void queue_fill(struct vgpu_device *dev)
{
	struct batch *batch;
	struct chunk *chunk;

	while ((chunk = dev->pending) && (batch = queue_tail(dev, 0))) {
		dev->pending = chunk->next;
		if (!dev->pending)
			dev->pending_tail = &dev->pending;
		chunk->state = CHUNK_QUEUED;
		batch->sqes[batch->nr] = chunk->sqe;
		batch->chunks[batch->nr++] = chunk;
		dev->queued++;
		op_queued(chunk->op);
	}
}

void queue_chunk(struct chunk *chunk)
{
	struct vgpu_device *dev = chunk->op->dev;

	chunk->state = CHUNK_READY;
	chunk->next = NULL;
	*dev->pending_tail = chunk;
	dev->pending_tail = &chunk->next;
	queue_fill(dev);
}

bool dev_unsent(const struct vgpu_device *dev)
{
	return !list_empty(&dev->queue) || dev->pending;
}

/*
 * A chunk being sent may be answered, and its answer reaped by the leader,
 * before the sender has the lock back: "sending" keeps the operation alive.
 */
struct batch *queue_pop(struct vgpu_device *dev)
{
	struct batch *batch;
	unsigned int i;

	queue_fill(dev);
	if (list_empty(&dev->queue))
		return NULL;
	batch = (void *)dev->queue.next;
	list_del(&batch->node);
	for (i = batch->first; i < batch->nr; i++) {
		struct chunk *chunk = batch->chunks[i];

		if (!chunk)
			continue;
		chunk->state = CHUNK_SENT;
		chunk->sending = true;
		dev->inflight += !chunk->op->quiet;
	}
	return batch;
}

static void batch_free(struct vgpu_device *dev, struct batch *batch)
{
	batch->first = batch->nr = batch->blob_used = 0;
	list_add_tail(&dev->free, &batch->node);
}

static void settle_chunk(struct chunk *chunk, bool taken)
{
	struct vgpu_op *op = chunk->op;

	chunk->sending = false;
	if (!taken) {
		chunk->state = CHUNK_QUEUED;
		op->dev->inflight -= !op->quiet;
	} else if (op->quiet) {
		chunk_done(chunk, 0, 0, 0);
	} else if (chunk->state == CHUNK_DONE) {
		op_kick(op);
	}
}

void queue_settle(struct vgpu_device *dev, struct batch *batch,
		  unsigned int submitted)
{
	unsigned int i, end = batch->first + submitted;

	for (i = batch->first; i < batch->nr; i++)
		if (batch->chunks[i])
			settle_chunk(batch->chunks[i], i < end);
	dev->taken += submitted;
	batch->first = end;
	if (batch->first == batch->nr)
		batch_free(dev, batch);
	else
		list_add_tail(dev->queue.next, &batch->node);
}

static void drop_request(struct vgpu_device *dev, uint64_t user_data,
			 struct chunk *chunk, int err)
{
	if (!chunk || chunk->op->quiet)
		stream_refused(dev, user_data, err);
	if (chunk)
		chunk_done(chunk, chunk->op->quiet ? 0 : err, 0, 0);
}

/* What was not sent yet is finished with err. */
void queue_drop(struct vgpu_device *dev, int err)
{
	struct chunk *chunk;
	unsigned int i;

	while (!list_empty(&dev->queue)) {
		struct batch *batch = (void *)dev->queue.next;

		list_del(&batch->node);
		for (i = batch->first; i < batch->nr; i++)
			drop_request(dev, batch->sqes[i].user_data,
				     batch->chunks[i], err);
		dev->taken += batch->nr - batch->first;
		batch_free(dev, batch);
	}
	while ((chunk = dev->pending)) {
		dev->pending = chunk->next;
		drop_request(dev, chunk->sqe.user_data, chunk, err);
	}
	dev->pending_tail = &dev->pending;
}

bool dev_submit(struct vgpu_device *dev)
{
	bool any = false;

	if (dev->sending) {
		dev->resend = true;
		return false;
	}
	do {
		dev->resend = false;
		if (!dev_unsent(dev) || dev_enter(dev, true, false, 0) <= 0)
			return any;
		any = true;
	} while (!dev->sending);
	return any;
}

/* While a batch is collected, it goes when there is enough for one call. */
void dev_submit_unless_batching(struct vgpu_device *dev)
{
	if (!dev->batching || dev->pending || dev->queued - dev->taken >= BATCH)
		dev_submit(dev);
}

static void await_moved(struct vgpu_device *dev)
{
	dev->flushers++;
	pthread_cond_wait(&dev->moved, &dev->lock);
	dev->flushers--;
}

int dev_flush(struct vgpu_device *dev)
{
	uint64_t upto = dev->queued;

	while (dev->taken < upto && !dev_lost(dev)) {
		if (dev->sending) {
			await_moved(dev);
		} else if (dev_enter(dev, true, false, -1) == -EAGAIN) {
			/* The kernel holds all the answers it has room for. */
			if (dev->leader)
				await_moved(dev);
			else
				dev_enter(dev, false, true, -1);
		}
	}
	if (dev->resend)
		dev_submit(dev);
	return dev_lost(dev);
}
