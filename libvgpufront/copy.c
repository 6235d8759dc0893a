// SPDX-License-Identifier: MIT
/*
 * copy.c - copies and fills
 *
 * Any thread. Between memory of the device and buffers a copy is one request;
 * ordinary memory goes in chunks (advance.c).
 */
#include <errno.h>

#include "internal.h"

VISIBLE int vgpu_copy(struct vgpu_device *dev, struct vgpu_ref dst,
		      struct vgpu_ref src, uint64_t size, unsigned int stream)
{
	struct request rq = {.event = NULL};
	struct object *to, *from;
	int err;

	if (!dev)
		return -EINVAL;
	err = ref_check(dev, &dst, size, true, &to);
	if (!err)
		err = ref_check(dev, &src, size, false, &from);
	if (err || !size)
		return err;
	err = request_begin(&rq, dev, stream, VGPUFRONT_OP_COPY, 0, 2);
	if (err)
		return err;
	rq.sqe->copy.dst = to->handle;
	rq.sqe->copy.dst_offset = dst.offset;
	rq.sqe->copy.src = from->handle;
	rq.sqe->copy.src_offset = src.offset;
	rq.sqe->copy.length = size;
	request_name(&rq, to);
	request_name(&rq, from);
	return request_end(&rq);
}

/* A copy between ordinary memory and a place in obj. With the lock. */
static int copy_chunked(struct vgpu_device *dev, enum op_kind kind, void *ptr,
			struct object *obj, uint64_t offset, size_t size,
			struct stream *st)
{
	struct vgpu_op *op;
	int err;

	err = stream_checkpoint(dev, st);
	if (err)
		return err;
	op = op_new(dev, VGPUFRONT_OP_COPY, 1, 0);
	if (!op)
		return -ENOMEM;
	op->kind = kind;
	if (kind == OP_COPY_IN) {
		op->sqe.copy.dst = obj->handle;
		op->sqe.copy.dst_offset = offset;
	} else {
		op->sqe.copy.src = obj->handle;
		op->sqe.copy.src_offset = offset;
	}
	op->operand[0].ptr = ptr;
	op->operand[0].output = kind == OP_COPY_OUT;
	op->nr_operands = 1;
	op->n = size;
	op->direct = false;
	op->copy = size <= COPY_MAX;
	op->chunk_elems = op->copy ? COPY_MAX : CHUNK_BYTES;
	op->after_all = buffer_touched(dev, ptr, size);
	op_name(op, obj);
	return op_start(op, st);
}

static int copy_ordinary(struct vgpu_device *dev, enum op_kind kind, void *ptr,
			 const struct vgpu_ref *ref, size_t size,
			 unsigned int stream)
{
	bool output = kind == OP_COPY_OUT;
	struct vgpu_buffer *buf = NULL;
	struct object *obj;
	struct stream *st;
	int err;

	if (!dev)
		return -EINVAL;
	err = ref_check(dev, ref, size, !output, &obj);
	if (err || !size)
		return err;
	if (!ptr || (uintptr_t)ptr + size < (uintptr_t)ptr)
		return -EFAULT;
	dev_lock(dev);
	err = stream_use(dev, stream, &st);
	if (!err) {
		buf = buffer_find(dev, ptr, size, 1, output);
		if (!buf)
			err = copy_chunked(dev, kind, ptr, obj, ref->offset,
					   size, st);
	}
	dev_unlock(dev);
	if (buf) {
		struct vgpu_ref in = {
			NULL, buf, (size_t)((unsigned char *)ptr - buf->ptr)};

		err = output ? vgpu_copy(dev, in, *ref, size, stream) :
			       vgpu_copy(dev, *ref, in, size, stream);
	}
	return err;
}

VISIBLE int vgpu_copy_in(struct vgpu_device *dev, struct vgpu_ref dst,
			 const void *src, size_t size, unsigned int stream)
{
	return copy_ordinary(dev, OP_COPY_IN, (void *)(uintptr_t)src, &dst,
			     size, stream);
}

VISIBLE int vgpu_copy_out(struct vgpu_device *dev, void *dst,
			  struct vgpu_ref src, size_t size, unsigned int stream)
{
	return copy_ordinary(dev, OP_COPY_OUT, dst, &src, size, stream);
}

VISIBLE int vgpu_fill(struct vgpu_device *dev, struct vgpu_ref dst,
		      uint32_t pattern, unsigned int width, uint64_t size,
		      unsigned int stream)
{
	struct request rq = {.event = NULL};
	struct object *obj;
	int err;

	if (!dev || (width != 1 && width != 2 && width != 4) || size % width ||
	    dst.offset % width)
		return -EINVAL;
	err = ref_check(dev, &dst, size, true, &obj);
	if (err || !size)
		return err;
	err = request_begin(&rq, dev, stream, VGPUFRONT_OP_FILL, 0, 1);
	if (err)
		return err;
	rq.sqe->fill.handle = obj->handle;
	rq.sqe->fill.pattern = pattern & (UINT32_MAX >> (32 - 8 * width));
	rq.sqe->fill.width = width;
	rq.sqe->fill.offset = dst.offset;
	rq.sqe->fill.length = size;
	request_name(&rq, obj);
	return request_end(&rq);
}
