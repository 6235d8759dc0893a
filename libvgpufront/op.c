// SPDX-License-Identifier: MIT
/*
 * op.c - operations as the caller sees them: made, waited for, asked, freed
 *
 * Any thread. Checks what the caller gave; all that comes after is advance.c's.
 * A finished operation does not refer to its device, which may be closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool overlap(const unsigned char *x, const unsigned char *y, size_t size)
{
	uintptr_t px = (uintptr_t)x, py = (uintptr_t)y;

	return px > py ? px - py < size : py - px < size;
}

static void op_init(struct vgpu_op *op, struct vgpu_device *dev,
		    uint16_t stream)
{
	unsigned int i;

	memset(op, 0, sizeof(*op));
	list_init(&op->node);
	op->dev = dev;
	op->stream = stream;
	for (i = 0; i < WINDOW; i++)
		op->chunk[i].op = op;
}

static int op_init_fence(struct vgpu_op *op, struct vgpu_device *dev,
			 unsigned int stream)
{
	if (!dev || stream > VGPU_MAX_STREAM)
		return -EINVAL;
	op_init(op, dev, (uint16_t)stream);
	op->fence = true;
	op->direct = true;
	/* One chunk, of one thing to do. */
	op->n = op->chunk_elems = 1;
	return 0;
}

static int op_init_add(struct vgpu_op *op, struct vgpu_device *dev,
		       const float *a, const float *b, float *c, size_t n,
		       unsigned int stream)
{
	unsigned char *ptr[NR_OPERANDS] = {(void *)(uintptr_t)a,
					   (void *)(uintptr_t)b, (void *)c};
	size_t size = n * sizeof(float);
	unsigned int i;

	if (!dev || stream > VGPU_MAX_STREAM || n > PTRDIFF_MAX / sizeof(float))
		return -EINVAL;
	op_init(op, dev, (uint16_t)stream);
	op->n = n;
	for (i = 0; n && i < NR_OPERANDS; i++) {
		if (!ptr[i] || (uintptr_t)ptr[i] + size < (uintptr_t)ptr[i])
			return -EFAULT;
		if (ptr[i] != ptr[OPERAND_C] &&
		    overlap(ptr[i], ptr[OPERAND_C], size))
			return -EINVAL;
		op->operand[i].ptr = ptr[i];
	}
	return 0;
}

/* Decides how the operands get to the backend. With the lock. */
static int op_place(struct vgpu_op *op)
{
	size_t size = op->n * sizeof(float);
	struct operand *o;

	if (op->fence)
		return 0;
	op->direct = true;
	op->copy = size <= COPY_MAX;
	for (o = op->operand; o < op->operand + NR_OPERANDS && op->n; o++) {
		bool output = o == &op->operand[OPERAND_C];

		o->buf = buffer_find(op->dev, o->ptr, size, output);
		if (!o->buf) {
			op->direct = false;
			op->copy |= (uintptr_t)o->ptr % 4 != 0;
		} else if (output && (o->buf->flags & VGPU_BUFFER_READ_ONLY)) {
			return -EACCES;
		}
	}
	for (o = op->operand; o < op->operand + NR_OPERANDS; o++)
		if (o->buf)
			o->buf->users++;
	op->chunk_elems = op->direct ? CHUNK_DIRECT :
			  op->copy   ? COPY_MAX / sizeof(float) :
				       CHUNK_ELEMS;
	return 0;
}

static int op_begin(struct vgpu_op *op)
{
	int err = dev_lost(op->dev);

	if (!err)
		err = op_place(op);
	if (err)
		return err;
	list_add_tail(&op->dev->ops, &op->node);
	op->kick = true;
	return 0;
}

/* Runs an operation of the caller's stack to its end. */
static int op_run(struct vgpu_op *op)
{
	struct vgpu_device *dev = op->dev;
	int err;

	pthread_mutex_lock(&dev->lock);
	err = op_begin(op);
	if (!err) {
		dev_wait(dev, op, -1);
		err = op->result;
	}
	pthread_mutex_unlock(&dev->lock);
	return err;
}

static int op_start(struct vgpu_op *op)
{
	struct vgpu_device *dev = op->dev;
	int err;

	op->async = true;
	pthread_mutex_lock(&dev->lock);
	err = op_begin(op);
	if (!err) {
		op_advance(op);
		dev_submit(dev);
		/* Who saw this busy may have left the lead to it. */
		dev_wake_next(dev);
	}
	pthread_mutex_unlock(&dev->lock);
	return err;
}

VISIBLE int vgpu_vector_add(struct vgpu_device *dev, const float *a,
			    const float *b, float *c, size_t n)
{
	struct vgpu_op op;
	int err;

	err = op_init_add(&op, dev, a, b, c, n, 0);
	return err ? err : op_run(&op);
}

VISIBLE int vgpu_fence(struct vgpu_device *dev, unsigned int stream)
{
	struct vgpu_op op;
	int err;

	err = op_init_fence(&op, dev, stream);
	return err ? err : op_run(&op);
}

VISIBLE int vgpu_vector_add_async(struct vgpu_device *dev, const float *a,
				  const float *b, float *c, size_t n,
				  unsigned int stream, struct vgpu_op **out)
{
	struct vgpu_op *op;
	int err;

	if (!out)
		return -EINVAL;
	op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	err = op_init_add(op, dev, a, b, c, n, stream);
	if (!err)
		err = op_start(op);
	if (err)
		free(op);
	else
		*out = op;
	return err;
}

VISIBLE int vgpu_fence_async(struct vgpu_device *dev, unsigned int stream,
			     struct vgpu_op **out)
{
	struct vgpu_op *op;
	int err;

	if (!out)
		return -EINVAL;
	op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	err = op_init_fence(op, dev, stream);
	if (!err)
		err = op_start(op);
	if (err)
		free(op);
	else
		*out = op;
	return err;
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
	pthread_mutex_lock(&dev->lock);
	ret = dev_wait(dev, op, timeout_ns);
	pthread_mutex_unlock(&dev->lock);
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
