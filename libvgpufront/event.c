// SPDX-License-Identifier: MIT
/*
 * event.c - events: marks in streams
 *
 * Any thread. What names one event comes into batches in the order of the calls,
 * whatever the streams: a wait is for the mark that was recorded before it. A
 * mark has an answer, by which a program learns that it is reached and when.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

VISIBLE int vgpu_event_create(struct vgpu_device *dev, struct vgpu_event **out)
{
	struct vgpu_event *ev;
	int err;

	if (!dev || !out)
		return -EINVAL;
	ev = calloc(1, sizeof(*ev));
	if (!ev)
		return -ENOMEM;
	object_init(&ev->obj, dev, OBJECT_EVENT);
	list_init(&ev->unsent);
	dev_lock(dev);
	err = dev_lost(dev);
	if (!err)
		err = handle_get(dev, HANDLES_EVENT, &ev->obj.handle);
	if (!err)
		list_add_tail(&dev->objects, &ev->obj.node);
	dev_unlock(dev);
	if (err)
		free(ev);
	else
		*out = ev;
	return err;
}

VISIBLE int vgpu_event_destroy(struct vgpu_event *ev)
{
	struct vgpu_device *dev;
	struct stream *st;
	int err;

	if (!ev)
		return 0;
	dev = ev->obj.dev;
	dev_lock(dev);
	err = stream_service(dev, &st);
	if (!err && !ev->recorded)
		/* The backend has not heard of it. */
		object_ended(&ev->obj);
	else if (!err)
		err = object_end(&ev->obj, VGPUFRONT_OP_EVENT_DESTROY, st);
	dev_unlock(dev);
	return err;
}

VISIBLE int vgpu_event_record(struct vgpu_event *ev, unsigned int stream)
{
	struct vgpu_op *op, *before;
	struct vgpu_device *dev;
	struct stream *st;
	int err;

	if (!ev)
		return -EINVAL;
	dev = ev->obj.dev;
	op = op_new(dev, VGPUFRONT_OP_EVENT_RECORD, 1, 0);
	if (!op)
		return -ENOMEM;
	dev_lock(dev);
	err = stream_use(dev, stream, &st);
	if (err) {
		free(op);
	} else {
		op->sqe.handle.handle = ev->obj.handle;
		op->event = ev;
		op_name(op, &ev->obj);
		before = ev->record;
		ev->record = op;
		err = op_start(op, st);
		if (err)
			ev->record = before;
		else
			__atomic_store_n(&ev->recorded, true, __ATOMIC_RELAXED);
	}
	dev_unlock(dev);
	return err;
}

void event_recorded(struct vgpu_event *ev, struct vgpu_op *op)
{
	if (ev->record != op)
		return;
	ev->record = NULL;
	ev->err = op->result;
	ev->ns = op->value;
}

VISIBLE int vgpu_event_wait(struct vgpu_event *ev, unsigned int stream)
{
	struct request rq = {.event = ev};
	int err;

	if (!ev || stream > VGPU_MAX_STREAM)
		return -EINVAL;
	if (!__atomic_load_n(&ev->recorded, __ATOMIC_RELAXED))
		return 0;
	err = request_begin(&rq, ev->obj.dev, stream, VGPUFRONT_OP_EVENT_WAIT,
			    0, 1);
	if (err)
		return err;
	rq.sqe->handle.handle = ev->obj.handle;
	request_name(&rq, &ev->obj);
	return request_end(&rq);
}

VISIBLE int vgpu_event_query(struct vgpu_event *ev)
{
	struct vgpu_device *dev;
	int ret;

	if (!ev)
		return -EINVAL;
	dev = ev->obj.dev;
	dev_lock(dev);
	if (ev->record)
		dev_progress(dev);
	ret = ev->record ? -EAGAIN : ev->err;
	dev_wake_next(dev);
	dev_unlock(dev);
	return ret;
}

VISIBLE int vgpu_event_synchronize(struct vgpu_event *ev)
{
	struct vgpu_device *dev;
	int err;

	if (!ev)
		return -EINVAL;
	dev = ev->obj.dev;
	dev_lock(dev);
	if (ev->record)
		dev_wait(dev, ev->record, -1);
	err = ev->err;
	dev_unlock(dev);
	return err;
}

VISIBLE int vgpu_event_elapsed(struct vgpu_event *start, struct vgpu_event *end,
			       int64_t *ns)
{
	int err;

	if (!start || !end || !ns || start->obj.dev != end->obj.dev)
		return -EINVAL;
	pthread_mutex_lock(&start->obj.dev->lock);
	if (!start->recorded || !end->recorded)
		err = -EINVAL;
	else if (start->record || end->record)
		err = -EAGAIN;
	else
		err = start->err ? start->err : end->err;
	if (!err)
		*ns = (int64_t)(end->ns - start->ns);
	pthread_mutex_unlock(&start->obj.dev->lock);
	return err;
}
