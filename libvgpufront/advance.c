// SPDX-License-Identifier: MIT
/*
 * advance.c - how an operation is cut into chunks and goes on
 *
 *   held back -> started -> chunks, a window of them -> unsent no more -> done
 *
 * A chunk is one request: a piece of the operands that is brought to the
 * backend's reach (chunk.c), sent, and taken back. Runs on any thread that has
 * the operation busy; the lock is dropped while memory is pinned or copied. Must
 * never wait for another operation: what can not go on now is kicked when that
 * has changed.
 *
 * An operation is held back until the one before it in its stream is all in
 * batches: then the backend keeps the order. It waits for earlier ones to be
 * done only where the library itself reads or writes memory that they use.
 *
 * When grants or pages are scarce, an operation with chunks in flight tries
 * smaller ones later; one without waits ("starved") for one of others to
 * finish, for whom one chunk at a time must do meanwhile; when there are none,
 * it tries smaller ones at once, down to copying through staging memory.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static bool is_cheap(const struct vgpu_op *op)
{
	return !op->nr_operands;
}

void op_kick(struct vgpu_op *op)
{
	struct vgpu_device *dev = op->dev;

	if (!op->kick)
		list_add_tail(is_cheap(op) ? &dev->cheap : &dev->kicked,
			      &op->knode);
	op->kick = true;
	if (is_cheap(op))
		return;
	if (op->waiters)
		dev_wake_op(op);
	else
		dev_notify(dev);
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

void dev_kick_combined(struct vgpu_device *dev)
{
	struct vgpu_op *op;

	if (!dev->combine_held)
		return;
	dev->combine_held = false;
	list_for_each(op, &dev->ops)
		if (op->unsent)
			op_kick(op);
}

/* One that nobody waits for and nobody works on. */
struct vgpu_op *op_next_kicked(struct vgpu_device *dev)
{
	struct list *at;

	for (at = dev->kicked.next; at != &dev->kicked; at = at->next) {
		struct vgpu_op *op = container_of(at, struct vgpu_op, knode);

		if (!op->busy && !op->waiters)
			return op;
	}
	return NULL;
}

static bool overlap(const struct vgpu_op *x, unsigned int i,
		    const struct vgpu_op *y, unsigned int j)
{
	uintptr_t px = (uintptr_t)x->operand[i].ptr;
	uintptr_t py = (uintptr_t)y->operand[j].ptr;

	return px < py + y->n * y->unit && py < px + x->n * x->unit;
}

/* The library reads or writes it, not the backend. */
static bool is_copied(const struct vgpu_op *op, unsigned int operand)
{
	return op->copy && !op->operand[operand].buf;
}

/*
 * What the library brings home when the earlier one is done must be there; and
 * what the library reads to start the later one must be written.
 */
static bool needs_done(const struct vgpu_op *later,
		       const struct vgpu_op *earlier)
{
	unsigned int i, j;

	for (j = 0; j < earlier->nr_operands; j++)
		for (i = 0; i < later->nr_operands; i++)
			if (earlier->operand[j].output &&
			    overlap(earlier, j, later, i) &&
			    (is_copied(earlier, j) ||
			     (is_copied(later, i) &&
			      !later->operand[i].output)))
				return true;
	return later->after_all;
}

static bool held_back(const struct vgpu_op *op)
{
	struct stream *st = op->stream;
	struct list *at = op->snode.prev;

	/* They start in order: this one speaks for all before it. */
	if (at != &st->ops && container_of(at, struct vgpu_op, snode)->unsent)
		return true;
	if (op->ends && op->ends->unsent)
		return true;
	if (op->event && op->event->unsent.next != &op->evnode)
		return true;
	for (; op->nr_operands && at != &st->ops; at = at->prev)
		if (needs_done(op, container_of(at, struct vgpu_op, snode)))
			return true;
	return false;
}

/* All of it is in batches: what waited for that may go on. */
static void op_sent(struct vgpu_op *op)
{
	struct stream *st = op->stream;
	struct list *next = op->snode.next;
	unsigned int i;

	op->unsent = false;
	st->unsent--;
	if (next != &st->ops)
		op_kick(container_of(next, struct vgpu_op, snode));
	if (op->event) {
		list_del(&op->evnode);
		next = op->event->unsent.next;
		if (next != &op->event->unsent)
			op_kick(container_of(next, struct vgpu_op, evnode));
	}
	for (i = 0; i < op->nr_objects; i++) {
		struct object *obj = op->objects[i];

		if (!--obj->unsent && obj->ender)
			op_kick(obj->ender);
	}
}

void op_queued(struct vgpu_op *op)
{
	unsigned int i;

	if (!op->unsent || !op->started || (op->next < op->n && !op->result))
		return;
	for (i = 0; i < WINDOW; i++)
		if (op->chunk[i].state == CHUNK_STARTING ||
		    op->chunk[i].state == CHUNK_READY)
			return;
	op_sent(op);
}

void chunk_done(struct chunk *chunk, int result, uint64_t time_ns,
		uint64_t value)
{
	chunk->state = CHUNK_DONE;
	chunk->result = result;
	chunk->time_ns = time_ns;
	chunk->value = value;
	op_kick(chunk->op);
}

static void chunk_release(struct chunk *chunk)
{
	struct vgpu_op *op = chunk->op;

	run_put(&chunk->run);
	chunk->state = CHUNK_FREE;
	op->active--;
	op->dev->holding -= !op->direct;
}

static int chunk_home(struct chunk *chunk)
{
	struct vgpu_device *dev = chunk->op->dev;
	int err = chunk->result, unpin_err;

	pthread_mutex_unlock(&dev->lock);
	if (!err)
		err = chunk_take(chunk);
	unpin_err = chunk_unpin(chunk);
	pthread_mutex_lock(&dev->lock);
	return err ? err : unpin_err;
}

static void chunk_finish(struct chunk *chunk)
{
	struct vgpu_op *op = chunk->op;
	int err = chunk->result;

	chunk->state = CHUNK_FINISHING;
	if (!is_cheap(op))
		err = chunk_home(chunk);
	if (!op->result)
		op->result = err;
	op->time_ns += chunk->time_ns;
	op->value = chunk->value;
	op->dev->releases++;
	chunk_release(chunk);
	dev_kick_starved(op->dev);
}

static int chunk_memory(struct vgpu_op *op, struct chunk *chunk)
{
	struct vgpu_device *dev = op->dev;
	size_t room;
	int err;

	if (op->copy && !op->direct) {
		err = run_get(dev, pages_of(chunk->count * op->unit),
			      op->nr_operands, &chunk->run);
		if (err)
			return err;
		room = chunk->run.pages * (size_t)PAGE / op->unit;
		if (chunk->count > room)
			chunk->count = room;
	}
	pthread_mutex_unlock(&dev->lock);
	err = chunk_bring(chunk);
	if (err)
		chunk_unpin(chunk);
	pthread_mutex_lock(&dev->lock);
	return err;
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
	chunk->sqe = op->sqe;
	if (!op->quiet)
		chunk->sqe.user_data = (uintptr_t)chunk;
	op->active++;
	dev->holding += !op->direct;
	if (!is_cheap(op))
		err = chunk_memory(op, chunk);
	if (err) {
		chunk_release(chunk);
		/* Who starves waits for a chunk; there may be none but this. */
		if (!dev->holding)
			dev_kick_starved(dev);
		return err;
	}
	op->next += chunk->count;
	queue_chunk(chunk);
	return 0;
}

static bool scarce(int err)
{
	return err == -ENOSPC || err == -ENOMEM || err == -EMFILE ||
	       err == -EDQUOT || err == -E2BIG || err == -EAGAIN;
}

/* Where its memory is read or written by the library, the order is another. */
static void op_copies(struct vgpu_op *op)
{
	op->copy = true;
	op->chunk_elems = COPY_MAX / op->unit;
	op->started = false;
}

static bool op_shrink(struct vgpu_op *op)
{
	if (op->copy)
		return false;
	/* No smaller ones than a page are tried. */
	if (op->chunk_elems > PAGE / op->unit)
		op->chunk_elems /= 2;
	else
		op_copies(op);
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
		op_copies(op);
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
		if (!op->copy && op->chunk_elems > PAGE / op->unit)
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

/* What a leader sends now is on its way: nothing may overtake it. */
static bool may_start(struct vgpu_op *op)
{
	if (op->dev->combining) {
		op->dev->combine_held = true;
		return false;
	}
	if (!op->started && held_back(op))
		return false;
	op->started = true;
	return true;
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
	while (op->next < op->n && !op->result && may_start(op)) {
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

/* Nothing is left to do for it. */
static bool is_over(const struct vgpu_op *op)
{
	return !op->active && (op->result || op->next == op->n);
}

/*
 * Operations are done in the stream's order, as their work is: who learns of a
 * fence or a mark knows that what was copied before is at home. A quiet one only
 * has to be sent.
 */
static bool may_complete(const struct vgpu_op *op)
{
	return is_over(op) && (op->quiet || op->snode.prev == &op->stream->ops);
}

/* Those whose turn may have come with the end of an operation of the stream. */
static void kick_stream(struct stream *st)
{
	struct list *at = st->ops.next;
	struct vgpu_op *op = container_of(at, struct vgpu_op, snode);

	if (at != &st->ops && is_over(op))
		op_kick(op);
	for (; st->unsent && at != &st->ops; at = at->next) {
		op = container_of(at, struct vgpu_op, snode);
		if (op->unsent) {
			op_kick(op);
			return;
		}
	}
}

/* What follows for the object that the operation was about. */
static void op_conclude(struct vgpu_op *op)
{
	unsigned int i;

	for (i = 0; i < op->nr_operands; i++)
		if (op->operand[i].buf)
			object_put(&op->operand[i].buf->obj);
	if (op->kind == OP_FENCE && op->failure.err)
		op->result = op->failure.err;
	if (op->detached && op->result)
		stream_fail(op->stream, op->position, op->result);
	if (op->sqe.op == VGPUFRONT_OP_MEM_ALLOC)
		mem_allocated(
			container_of(op->objects[0], struct vgpu_mem, obj), op);
	else if (op->sqe.op == VGPUFRONT_OP_EVENT_RECORD)
		event_recorded(op->event, op);
	else if (op->ends)
		object_ended(op->ends);
	while (op->nr_objects)
		object_put(op->objects[--op->nr_objects]);
}

static void op_complete(struct vgpu_op *op)
{
	struct vgpu_device *dev = op->dev;
	struct stream *st = op->stream;

	if (op->unsent)
		op_sent(op);
	list_del(&op->node);
	list_del(&op->snode);
	op_conclude(op);
	kick_stream(st);
	dev->finished += op->async;
	dev_wake_op(op);
	if (op->async)
		dev_notify(dev);
	if (op->detached && !op->waiters) {
		free(op);
		return;
	}
	/* The last access: whoever reads it may free the operation. */
	__atomic_store_n(&op->done, true, __ATOMIC_RELEASE);
}

static void advance(struct vgpu_op *op)
{
	op->busy = true;
	while (op->kick) {
		op->kick = false;
		list_del(&op->knode);
		finish_chunks(op);
		start_chunks(op);
	}
	op->busy = false;
	op_queued(op);
	if (may_complete(op))
		op_complete(op);
}

void op_advance(struct vgpu_op *op)
{
	struct vgpu_device *dev = op->dev;

	advance(op);
	dev_run_cheap(dev);
}

void dev_run_cheap(struct vgpu_device *dev)
{
	while (!list_empty(&dev->cheap))
		advance(container_of(dev->cheap.next, struct vgpu_op, knode));
}
