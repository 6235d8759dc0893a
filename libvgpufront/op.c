// SPDX-License-Identifier: MIT
/*
 * op.c - operations: made, begun, waited for, asked, freed
 *
 * Any thread. What an operation does is said by those who make it; how it goes
 * on is advance.c's. A finished operation does not refer to its device, which
 * may be closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void op_init(struct vgpu_op *op, struct vgpu_device *dev, enum op_kind kind,
	     uint8_t code)
{
	unsigned int i;

	memset(op, 0, sizeof(*op));
	list_init(&op->node);
	list_init(&op->snode);
	list_init(&op->knode);
	list_init(&op->evnode);
	op->dev = dev;
	op->kind = kind;
	op->sqe.op = code;
	/* One chunk, of one thing to do. */
	op->n = op->chunk_elems = op->unit = 1;
	op->direct = true;
	for (i = 0; i < WINDOW; i++)
		op->chunk[i].op = op;
}

/* The library's own. What there is room for lies behind it: objects, a blob. */
struct vgpu_op *op_new(struct vgpu_device *dev, uint8_t code,
		       unsigned int nr_objects, size_t blob_len)
{
	struct vgpu_op *op = malloc(
		sizeof(*op) + nr_objects * sizeof(*op->objects) + blob_len);

	if (!op)
		return NULL;
	op_init(op, dev, OP_SINGLE, code);
	op->detached = true;
	op->objects = (struct object **)(op + 1);
	return op;
}

void op_name(struct vgpu_op *op, struct object *obj)
{
	op->objects[op->nr_objects++] = obj;
	obj->refs++;
	obj->unsent++;
}

/* Drops one that was not begun. */
static void op_undo(struct vgpu_op *op)
{
	while (op->nr_objects) {
		struct object *obj = op->objects[--op->nr_objects];

		obj->unsent--;
		object_put(obj);
	}
	if (op->detached)
		free(op);
}

static bool is_users_fence(const struct vgpu_op *op)
{
	return op->kind == OP_FENCE && !op->checkpoint;
}

int op_begin(struct vgpu_op *op, struct stream *st)
{
	struct vgpu_device *dev = op->dev;
	int err = dev_lost(dev);

	if (err) {
		if (is_users_fence(op) && st->failure.err) {
			err = st->failure.err;
			st->failure.err = 0;
		}
		op_undo(op);
		return err;
	}
	op->stream = st;
	op->position = ++st->position;
	op->sqe.stream = st->nr;
	if (op->quiet) {
		op->sqe.flags = VGPUFRONT_SQE_QUIET;
		op->sqe.user_data = stream_quiet_data(st);
		st->quiet = true;
	} else if (op->kind == OP_FENCE) {
		st->quiet = false;
	}
	if (is_users_fence(op)) {
		op->failure = st->failure;
		st->failure.err = 0;
	}
	list_add_tail(&dev->ops, &op->node);
	list_add_tail(&st->ops, &op->snode);
	if (op->event)
		list_add_tail(&op->event->unsent, &op->evnode);
	op->unsent = true;
	st->unsent++;
	op_kick(op);
	op_advance(op);
	return 0;
}

int op_start(struct vgpu_op *op, struct stream *st)
{
	struct vgpu_device *dev = op->dev;
	int err = op_begin(op, st);

	if (err)
		return err;
	dev_submit_unless_batching(dev);
	/* Who saw this busy may have left the lead to it. */
	dev_wake_next(dev);
	return 0;
}

int op_run(struct vgpu_op *op, struct stream *st)
{
	int err = op_begin(op, st);

	if (err)
		return err;
	dev_wait(op->dev, op, -1);
	return op->result;
}

VISIBLE bool vgpu_op_done(const struct vgpu_op *op)
{
	return __atomic_load_n(&op->done, __ATOMIC_ACQUIRE);
}

VISIBLE int vgpu_op_wait(struct vgpu_op *op, int64_t timeout_ns)
{
	struct vgpu_device *dev;
	int ret;

	if (vgpu_op_done(op))
		return 0;
	dev = op->dev;
	dev_lock(dev);
	ret = dev_wait(dev, op, timeout_ns);
	dev_unlock(dev);
	return ret;
}

VISIBLE int vgpu_op_result(const struct vgpu_op *op)
{
	return vgpu_op_done(op) ? op->result : -EINPROGRESS;
}

VISIBLE uint64_t vgpu_op_time_ns(const struct vgpu_op *op)
{
	return vgpu_op_done(op) ? op->time_ns : 0;
}

VISIBLE int vgpu_op_free(struct vgpu_op *op)
{
	if (op && !vgpu_op_done(op))
		return -EBUSY;
	free(op);
	return 0;
}
