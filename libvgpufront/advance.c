// SPDX-License-Identifier: MIT
/*
 * advance.c - how an operation is cut into chunks and goes on
 *
 *   held back by its stream -> started -> chunks, a window of them -> done
 *
 * A chunk is one request: a piece of the operands that is brought to the
 * backend's reach (in place in a buffer; pinned and granted; copied), sent,
 * and taken back. Runs on any thread that has the operation busy; the lock is
 * dropped while memory is pinned or copied. Must never wait for another
 * operation: what can not go on now is kicked when that has changed.
 *
 * When grants or pages are scarce, an operation with chunks in flight tries
 * smaller ones later; one without waits ("starved") for one of others to
 * finish, for whom one chunk at a time must do meanwhile; when there are none,
 * it tries smaller ones at once, down to copying through staging memory.
 */
#include <errno.h>

#include "internal.h"

void op_kick(struct vgpu_op *op)
{
	op->kick = true;
	if (op->waiters)
		dev_wake_op(op);
	else
		dev_notify(op->dev);
}

/* Those that an earlier operation of the stream may have kept from going on. */
void op_kick_held(struct vgpu_device *dev, uint16_t stream)
{
	struct vgpu_op *op;

	list_for_each(op, &dev->ops)
		if (op->stream == stream && (!op->started || op->fence))
			op_kick(op);
}

void dev_kick_starved(struct vgpu_device *dev)
{
	struct vgpu_op *op;

	if (!dev->starved)
		return;
	list_for_each(op, &dev->ops)
		if (op->starved)
			op_kick(op);
}

/* The oldest one that nobody waits for and nobody works on. */
struct vgpu_op *op_next_kicked(struct vgpu_device *dev)
{
	struct vgpu_op *op;

	list_for_each(op, &dev->ops)
		if (op->kick && !op->busy && !op->waiters)
			return op;
	return NULL;
}

static bool overlap(const struct vgpu_op *x, unsigned int i,
		    const struct vgpu_op *y, unsigned int j)
{
	uintptr_t px = (uintptr_t)x->operand[i].ptr;
	uintptr_t py = (uintptr_t)y->operand[j].ptr;

	return px < py + y->n * sizeof(float) && py < px + x->n * sizeof(float);
}

/* Does the later operation care whether the earlier one is done? */
static bool depends(const struct vgpu_op *later, const struct vgpu_op *earlier)
{
	unsigned int i;

	if (later->fence)
		return true;
	if (earlier->fence)
		return false;
	for (i = 0; i < NR_OPERANDS; i++)
		if (overlap(earlier, OPERAND_C, later, i) ||
		    overlap(earlier, i, later, OPERAND_C))
			return true;
	return false;
}

/* All of it is in the ring, in place: the backend keeps the order. */
static bool in_the_ring(const struct vgpu_op *op)
{
	unsigned int i;

	if (!op->direct || op->next < op->n)
		return false;
	for (i = 0; i < WINDOW; i++)
		if (op->chunk[i].state == CHUNK_READY || op->chunk[i].sending)
			return false;
	return true;
}

static bool held_back(const struct vgpu_op *op)
{
	const struct vgpu_op *earlier;

	list_for_each(earlier, &op->dev->ops) {
		if (earlier == op)
			break;
		if (earlier->stream == op->stream && depends(op, earlier) &&
		    !(op->direct && in_the_ring(earlier)))
			return true;
	}
	return false;
}

static unsigned char *piece(const struct chunk *chunk, unsigned int operand)
{
	return chunk->op->operand[operand].ptr + chunk->first * sizeof(float);
}

/* Gives pinned memory back; the first error, if any. */
static int chunk_unpin(struct chunk *chunk)
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

static int chunk_pin(struct chunk *chunk, unsigned int i)
{
	struct vgpufront_operand *to = chunk->sqe.builtin.operand;
	struct vgpu_op *op = chunk->op;
	struct vgpufront_buffer_register req = {
		.addr = (uintptr_t)piece(chunk, i),
		.size = chunk->count * sizeof(float),
		.flags = i == OPERAND_C ? 0 : VGPUFRONT_BUFFER_READ_ONLY,
	};
	unsigned int j;
	int err;

	/* The output is first: an input that is the same memory shares it. */
	for (j = NR_OPERANDS - 1; j > i; j--) {
		if (op->operand[j].ptr == op->operand[i].ptr) {
			to[i].handle = to[j].handle;
			return 0;
		}
	}
	err = dev_ioctl(op->dev, VGPUFRONT_IOC_BUFFER_REGISTER, &req);
	if (err)
		return err;
	to[i].handle = req.handle;
	chunk->handles[chunk->nr_handles++] = req.handle;
	return 0;
}

/* Without the lock: makes the operands known to the backend. */
static int chunk_bring(struct chunk *chunk)
{
	struct vgpufront_operand *to = chunk->sqe.builtin.operand;
	struct iovec user[2], staging[2];
	struct vgpu_op *op = chunk->op;
	unsigned int i, nr = 0;
	int err;

	for (i = NR_OPERANDS; i-- > 0;) {
		struct vgpu_buffer *buf = op->operand[i].buf;
		size_t size = chunk->count * sizeof(float);
		unsigned char *at;
		uint64_t offset;

		to[i].count = (uint32_t)chunk->count;
		if (buf) {
			to[i].handle = buf->handle;
			to[i].offset = (size_t)(piece(chunk, i) - buf->ptr);
		} else if (op->copy) {
			at = run_operand(&chunk->run, i, &offset);
			to[i].handle = chunk->run.arena->handle;
			to[i].offset = offset;
			if (i == OPERAND_C)
				continue;
			user[nr] = (struct iovec){piece(chunk, i), size};
			staging[nr++] = (struct iovec){at, size};
		} else {
			err = chunk_pin(chunk, i);
			if (err)
				return err;
		}
	}
	return staging_in(op->dev, user, staging, nr);
}

/* Without the lock: brings the output home. */
static int chunk_take(struct chunk *chunk)
{
	struct iovec user, staging;
	struct vgpu_op *op = chunk->op;
	uint64_t offset;

	if (!chunk->run.arena || op->operand[OPERAND_C].buf)
		return 0;
	user.iov_base = piece(chunk, OPERAND_C);
	staging.iov_base = run_operand(&chunk->run, OPERAND_C, &offset);
	user.iov_len = staging.iov_len = chunk->count * sizeof(float);
	return staging_out(op->dev, &user, &staging);
}

static void chunk_release(struct chunk *chunk)
{
	struct vgpu_op *op = chunk->op;

	run_put(&chunk->run);
	chunk->state = CHUNK_FREE;
	op->active--;
	op->dev->holding -= !op->direct;
}

static void chunk_finish(struct chunk *chunk)
{
	struct vgpu_op *op = chunk->op;
	int err = chunk->result, unpin_err;

	chunk->state = CHUNK_FINISHING;
	pthread_mutex_unlock(&op->dev->lock);
	if (!err)
		err = chunk_take(chunk);
	unpin_err = chunk_unpin(chunk);
	if (!err)
		err = unpin_err;
	pthread_mutex_lock(&op->dev->lock);
	if (!op->result)
		op->result = err;
	op->time_ns += chunk->time_ns;
	op->dev->releases++;
	chunk_release(chunk);
	dev_kick_starved(op->dev);
}

static void chunk_queue(struct chunk *chunk)
{
	struct vgpu_device *dev = chunk->op->dev;

	chunk->state = CHUNK_READY;
	chunk->next = NULL;
	*dev->pending_tail = chunk;
	dev->pending_tail = &chunk->next;
}

static int chunk_start(struct vgpu_op *op, struct chunk *chunk)
{
	struct vgpu_device *dev = op->dev;
	size_t left = op->n - op->next;
	int err = 0;

	chunk->state = CHUNK_STARTING;
	chunk->first = op->next;
	chunk->count = left < op->chunk_elems ? left : op->chunk_elems;
	chunk->nr_handles = 0;
	chunk->sqe = (struct vgpufront_sqe){
		.user_data = (uintptr_t)chunk,
		.op = op->fence ? VGPUFRONT_OP_FENCE : VGPUFRONT_OP_BUILTIN,
		.stream = op->stream,
	};
	op->active++;
	dev->holding += !op->direct;
	if (op->copy && !op->direct) {
		err = run_get(dev, pages_of(chunk->count * sizeof(float)),
			      &chunk->run);
		left = chunk->run.pages * (size_t)(PAGE / sizeof(float));
		if (!err && chunk->count > left)
			chunk->count = left;
	}
	if (!err && !op->fence) {
		chunk->sqe.builtin.kernel = wire_kernel_vector_add;
		pthread_mutex_unlock(&dev->lock);
		err = chunk_bring(chunk);
		if (err)
			chunk_unpin(chunk);
		pthread_mutex_lock(&dev->lock);
	}
	if (err) {
		chunk_release(chunk);
		/* Who starves waits for a chunk; there may be none but this. */
		if (!dev->holding)
			dev_kick_starved(dev);
		return err;
	}
	op->next += chunk->count;
	chunk_queue(chunk);
	return 0;
}

static bool scarce(int err)
{
	return err == -ENOSPC || err == -ENOMEM || err == -EMFILE ||
	       err == -EDQUOT || err == -E2BIG || err == -EAGAIN;
}

static bool op_shrink(struct vgpu_op *op)
{
	if (op->copy)
		return false;
	if (op->chunk_elems > CHUNK_MIN) {
		op->chunk_elems /= 2;
		return true;
	}
	op->copy = true;
	op->chunk_elems = COPY_MAX / sizeof(float);
	return true;
}

/*
 * A chunk could not be started. True: try again, something is different.
 * A larger "releases" says that others gave something back since.
 */
static bool op_adapt(struct vgpu_op *op, int err, unsigned int releases)
{
	struct vgpu_device *dev = op->dev;

	if (err == -EFAULT && !op->copy) {
		/* Of a kind that can not be pinned, or not there: copying tells. */
		op->copy = true;
		op->chunk_elems = COPY_MAX / sizeof(float);
		return true;
	}
	if (scarce(err) && err != -E2BIG && !op->active) {
		if (dev->releases != releases)
			return true;
		op->starved = dev->holding;
		dev->starved += op->starved;
	}
	if (scarce(err) && (op->active || op->starved)) {
		/* Later, with less. */
		if (!op->copy && op->chunk_elems > CHUNK_MIN)
			op->chunk_elems /= 2;
		return false;
	}
	if (scarce(err) && op_shrink(op))
		return true;
	op->result = err == -EAGAIN ? -ENOMEM : err;
	return false;
}

static struct chunk *chunk_free(struct vgpu_op *op)
{
	unsigned int i;

	for (i = 0; op->chunk[i].state != CHUNK_FREE; i++)
		;
	return &op->chunk[i];
}

static void start_chunks(struct vgpu_op *op)
{
	struct vgpu_device *dev = op->dev;
	unsigned int releases;
	int err;

	if (op->starved) {
		op->starved = false;
		dev->starved--;
	}
	if (!op->started && held_back(op))
		return;
	op->started = true;
	while (op->next < op->n && !op->result) {
		op->result = dev_lost(dev);
		if (op->result || op->active >= WINDOW ||
		    (op->active && dev->starved))
			return;
		releases = dev->releases;
		err = chunk_start(op, chunk_free(op));
		if (err && !op_adapt(op, err, releases))
			return;
	}
}

static void finish_chunks(struct vgpu_op *op)
{
	unsigned int i;

	for (i = 0; i < WINDOW; i++)
		if (op->chunk[i].state == CHUNK_DONE && !op->chunk[i].sending)
			chunk_finish(&op->chunk[i]);
}

/* A fence's own answer may be seen before those of what it waits for. */
static bool fence_waits(const struct vgpu_op *fence)
{
	const struct vgpu_op *earlier;

	list_for_each(earlier, &fence->dev->ops) {
		if (earlier == fence)
			break;
		if (earlier->stream == fence->stream)
			return true;
	}
	return false;
}

static void op_complete(struct vgpu_op *op)
{
	struct vgpu_device *dev = op->dev;
	unsigned int i;

	list_del(&op->node);
	for (i = 0; i < NR_OPERANDS; i++)
		if (op->operand[i].buf)
			op->operand[i].buf->users--;
	op_kick_held(dev, op->stream);
	dev->finished += op->async;
	dev_wake_op(op);
	if (op->async)
		dev_notify(dev);
	/* The last access: whoever reads it may free the operation. */
	__atomic_store_n(&op->done, true, __ATOMIC_RELEASE);
}

void op_advance(struct vgpu_op *op)
{
	op->busy = true;
	while (op->kick) {
		op->kick = false;
		finish_chunks(op);
		start_chunks(op);
	}
	op->busy = false;
	if (!op->active && (op->result || op->next == op->n) &&
	    !(op->fence && fence_waits(op)))
		op_complete(op);
}
