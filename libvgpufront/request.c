// SPDX-License-Identifier: MIT
/*
 * request.c - requests that nobody waits for: launches, copies, fills, built-in
 * kernels, waits for events
 *
 * Any thread. The short way is a slot of a batch, filled in place under the
 * lock: nothing is allocated, no list is walked. Where the stream has work that
 * is in no batch yet, the request becomes an operation behind it. Must never put
 * a request into a batch in front of an earlier one of its stream.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static int begin_op(struct request *rq, struct vgpu_device *dev, uint8_t op,
		    unsigned int nr_objects)
{
	rq->op = op_new(dev, op, nr_objects, rq->blob_len);
	if (!rq->op)
		return -ENOMEM;
	rq->op->quiet = true;
	rq->op->event = rq->event;
	rq->sqe = &rq->op->sqe;
	rq->blob = (unsigned char *)(rq->op->objects + nr_objects);
	rq->batch = NULL;
	return 0;
}

static void begin_slot(struct request *rq, struct batch *batch, uint8_t op)
{
	struct stream *st = rq->stream;

	rq->op = NULL;
	rq->batch = batch;
	rq->blob = batch->blob + batch->blob_used;
	rq->sqe = &batch->sqes[batch->nr];
	memset(rq->sqe, 0, sizeof(*rq->sqe));
	st->position++;
	rq->sqe->user_data = stream_quiet_data(st);
	rq->sqe->op = op;
	rq->sqe->flags = VGPUFRONT_SQE_QUIET;
	rq->sqe->stream = st->nr;
}

/* Must it wait for something to come into a batch before it? */
static bool is_held(const struct request *rq)
{
	return rq->stream->unsent || rq->dev->combining ||
	       (rq->event && !list_empty(&rq->event->unsent));
}

static int begin(struct request *rq, struct vgpu_device *dev,
		 unsigned int stream, uint8_t op, unsigned int nr_objects)
{
	struct batch *batch;
	int err;

	err = dev_lost(dev);
	if (!err)
		err = stream_use(dev, stream, &rq->stream);
	while (!err) {
		if (is_held(rq))
			return begin_op(rq, dev, op, nr_objects);
		batch = queue_tail(dev, rq->blob_len);
		if (batch) {
			begin_slot(rq, batch, op);
			return 0;
		}
		err = dev_flush(dev);
	}
	return err;
}

int request_begin(struct request *rq, struct vgpu_device *dev,
		  unsigned int stream, uint8_t op, size_t blob_len,
		  unsigned int nr_objects)
{
	int err;

	rq->dev = dev;
	rq->blob_len = (unsigned int)(blob_len + 7) / 8 * 8;
	dev_lock(dev);
	err = begin(rq, dev, stream, op, nr_objects);
	if (err)
		dev_unlock(dev);
	return err;
}

void request_name(struct request *rq, struct object *obj)
{
	if (rq->op)
		op_name(rq->op, obj);
}

static int end_slot(struct request *rq)
{
	struct vgpu_device *dev = rq->dev;
	struct batch *batch = rq->batch;

	batch->chunks[batch->nr++] = NULL;
	batch->blob_used += rq->blob_len;
	dev->queued++;
	rq->stream->quiet = true;
	if (dev->batching && batch->nr < BATCH)
		return 0;
	return dev_flush(dev);
}

int request_end(struct request *rq)
{
	int err;

	if (rq->op)
		err = op_start(rq->op, rq->stream);
	else
		err = end_slot(rq);
	dev_unlock(rq->dev);
	return err;
}
