// SPDX-License-Identifier: MIT
/*
 * chunk.c - how the memory of a chunk gets to the backend and back
 *
 * In place in a buffer; pinned and granted; or copied through staging memory.
 * Runs without the lock, on the thread that has the operation busy. Must never
 * touch the operation's lists.
 */
#include <errno.h>

#include "internal.h"

static unsigned char *piece(const struct chunk *chunk, unsigned int operand)
{
	const struct vgpu_op *op = chunk->op;

	return op->operand[operand].ptr + chunk->first * op->unit;
}

/* Where the request says what is where. */
static void place(struct chunk *chunk, unsigned int i, uint32_t handle,
		  uint64_t offset)
{
	struct vgpufront_operand operand = {
		.handle = handle,
		.count = (uint32_t)chunk->count,
		.offset = offset,
	};
	struct vgpufront_sqe *sqe = &chunk->sqe;

	if (chunk->op->kind == OP_ADD) {
		sqe->builtin.operand[i] = operand;
	} else if (chunk->op->kind == OP_FUNCTION) {
		sqe->function_get.params = operand;
	} else if (chunk->op->kind == OP_COPY_IN) {
		sqe->copy.src = handle;
		sqe->copy.src_offset = offset;
		sqe->copy.dst_offset += chunk->first;
		sqe->copy.length = chunk->count;
	} else {
		sqe->copy.dst = handle;
		sqe->copy.dst_offset = offset;
		sqe->copy.src_offset += chunk->first;
		sqe->copy.length = chunk->count;
	}
}

/* Gives pinned memory back; the first error, if any. */
int chunk_unpin(struct chunk *chunk)
{
	int err, ret = 0;

	while (chunk->nr_handles) {
		err = dev_free_handle(chunk->op->dev,
				      chunk->handles[--chunk->nr_handles]);
		if (!ret)
			ret = err;
	}
	return ret;
}

static int chunk_pin(struct chunk *chunk, unsigned int i, uint32_t *pinned)
{
	struct vgpu_op *op = chunk->op;
	uintptr_t addr = (uintptr_t)piece(chunk, i);
	struct vgpufront_buffer_register req = {
		.addr = addr / 4 * 4,
		.size = addr % 4 + chunk->count * op->unit,
		.flags = op->operand[i].output ? 0 : VGPUFRONT_BUFFER_READ_ONLY,
	};
	unsigned int j;
	int err;

	/* The output is first: an input that is the same memory shares it. */
	for (j = op->nr_operands - 1; j > i; j--) {
		if (op->operand[j].ptr == op->operand[i].ptr) {
			req.handle = pinned[j];
			goto place;
		}
	}
	err = dev_ioctl(op->dev, VGPUFRONT_IOC_BUFFER_REGISTER, &req);
	if (err)
		return err;
	chunk->handles[chunk->nr_handles++] = req.handle;
place:
	pinned[i] = req.handle;
	place(chunk, i, req.handle, addr % 4);
	return 0;
}

int chunk_bring(struct chunk *chunk)
{
	struct iovec user[NR_OPERANDS], staging[NR_OPERANDS];
	struct vgpu_op *op = chunk->op;
	size_t size = chunk->count * op->unit;
	uint32_t pinned[NR_OPERANDS];
	unsigned int i, nr = 0;
	unsigned char *at;
	uint64_t offset;
	int err;

	for (i = op->nr_operands; i-- > 0;) {
		struct vgpu_buffer *buf = op->operand[i].buf;

		if (buf) {
			pinned[i] = buf->obj.handle;
			place(chunk, i, buf->obj.handle,
			      (size_t)(piece(chunk, i) - buf->ptr));
		} else if (op->copy) {
			at = run_operand(&chunk->run, i, &offset);
			place(chunk, i, chunk->run.arena->handle, offset);
			if (op->operand[i].output)
				continue;
			user[nr] = (struct iovec){piece(chunk, i), size};
			staging[nr++] = (struct iovec){at, size};
		} else {
			err = chunk_pin(chunk, i, pinned);
			if (err)
				return err;
		}
	}
	return staging_in(op->dev, user, staging, nr);
}

/* Brings the output, which is last, home. */
int chunk_take(struct chunk *chunk)
{
	struct vgpu_op *op = chunk->op;
	struct iovec user, staging;
	unsigned int last = op->nr_operands - 1;
	uint64_t offset;

	if (!chunk->run.arena || op->operand[last].buf ||
	    !op->operand[last].output)
		return 0;
	user.iov_base = piece(chunk, last);
	staging.iov_base = run_operand(&chunk->run, last, &offset);
	user.iov_len = staging.iov_len = chunk->count * op->unit;
	return staging_out(op->dev, &user, &staging);
}
