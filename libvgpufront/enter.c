// SPDX-License-Identifier: MIT
/*
 * enter.c - the one ioctl that submits and reaps, and who calls it when
 *
 * Owns dev->pending, dev->inflight, the leader and the waiters. Runs on any
 * thread with the device's lock, which it drops for the ioctl alone. Must never
 * have two threads reap at once: a thread in the kernel would not learn that
 * another one took its completion.
 */
#include <errno.h>
#include <time.h>

#include "internal.h"

#define NS_PER_S 1000000000ll

static void chunk_done(struct chunk *chunk, int result, uint64_t time_ns)
{
	chunk->state = CHUNK_DONE;
	chunk->result = result;
	chunk->time_ns = time_ns;
	op_kick(chunk->op);
}

/* What was not sent yet is finished with err. */
void dev_drop_pending(struct vgpu_device *dev, int err)
{
	struct chunk *chunk;

	while ((chunk = dev->pending)) {
		dev->pending = chunk->next;
		chunk_done(chunk, err, 0);
	}
	dev->pending_tail = &dev->pending;
}

/*
 * The kernel will answer nothing any more. Where it said so without anything
 * left to reap, that goes for all that was sent, too.
 */
static void dev_fail(struct vgpu_device *dev, int err, bool sent_too)
{
	struct chunk *chunk;
	struct vgpu_op *op;
	unsigned int i;

	if (!dev->lost)
		dev->lost = err;
	dev_drop_pending(dev, err);
	if (!sent_too)
		return;
	list_for_each(op, &dev->ops) {
		for (i = 0; i < WINDOW; i++) {
			chunk = &op->chunk[i];
			if (chunk->state != CHUNK_SENT || chunk->sending)
				continue;
			dev->inflight--;
			chunk_done(chunk, err, 0);
		}
	}
}

static void reaped(struct vgpu_device *dev, const struct vgpufront_cqe *cqe)
{
	struct chunk *chunk = (struct chunk *)(uintptr_t)cqe->user_data;

	dev->inflight--;
	if (cqe->result == -ENODEV && !dev->lost)
		dev->lost = -ENODEV;
	chunk_done(chunk, cqe->result, cqe->time_ns);
}

static void push_front(struct vgpu_device *dev, struct chunk *chunk)
{
	chunk->state = CHUNK_READY;
	chunk->next = dev->pending;
	dev->pending = chunk;
	if (!chunk->next)
		dev->pending_tail = &chunk->next;
}

static struct chunk *pop_front(struct vgpu_device *dev)
{
	struct chunk *chunk = dev->pending;

	dev->pending = chunk->next;
	if (!dev->pending)
		dev->pending_tail = &dev->pending;
	chunk->state = CHUNK_SENT;
	return chunk;
}

/*
 * A chunk being sent may be answered, and its answer reaped by the leader,
 * before the sender has the lock back: "sending" keeps the operation alive.
 */
static unsigned int take_batch(struct vgpu_device *dev,
			       struct vgpufront_sqe *sqes, struct chunk **batch)
{
	unsigned int nr;

	for (nr = 0; nr < BATCH && dev->pending; nr++) {
		batch[nr] = pop_front(dev);
		batch[nr]->sending = true;
		sqes[nr] = batch[nr]->sqe;
	}
	dev->inflight += nr;
	return nr;
}

static void settle_batch(struct vgpu_device *dev, struct chunk **batch,
			 unsigned int nr, unsigned int submitted)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		batch[i]->sending = false;
	for (i = nr; i-- > submitted;) {
		dev->inflight--;
		push_front(dev, batch[i]);
	}
	for (i = 0; i < submitted; i++) {
		if (batch[i]->state == CHUNK_DONE)
			op_kick(batch[i]->op);
		else if (batch[i]->op->direct)
			op_kick_held(dev, batch[i]->op->stream);
	}
}

unsigned int dev_enter(struct vgpu_device *dev, bool reap, int64_t timeout_ns)
{
	struct vgpufront_sqe sqes[BATCH];
	struct vgpufront_cqe cqes[BATCH];
	struct chunk *batch[BATCH];
	struct vgpufront_enter req = {
		.sqes = (uintptr_t)sqes,
		.nr_sqes = take_batch(dev, sqes, batch),
	};
	unsigned int i;
	int err;

	if (reap) {
		dev->leader = true;
		req.cqes = (uintptr_t)cqes;
		req.nr_cqes = BATCH;
		req.min_complete = timeout_ns ? 1 : 0;
		req.timeout_ns = timeout_ns;
	}
	pthread_mutex_unlock(&dev->lock);
	err = sys_ioctl(dev->fd, VGPUFRONT_IOC_ENTER, &req);
	pthread_mutex_lock(&dev->lock);
	if (err)
		req.submitted = req.completed = 0;
	settle_batch(dev, batch, req.nr_sqes, req.submitted);
	for (i = 0; i < req.completed; i++)
		reaped(dev, &cqes[i]);
	if (err && err != -EAGAIN && err != -ETIME && err != -EINTR)
		dev_fail(dev, err, reap);
	if (reap)
		dev->leader = false;
	dev_watch_room(dev);
	dev_wake_next(dev);
	return req.submitted;
}

void dev_submit(struct vgpu_device *dev)
{
	while (dev->pending && dev_enter(dev, false, 0))
		;
}

static void wake(struct waiter *w)
{
	w->asleep = false;
	pthread_cond_signal(&w->cond);
}

/* Somebody is to lead, or to see what else there is to do. */
void dev_wake_next(struct vgpu_device *dev)
{
	struct waiter *w;

	if (dev->leader)
		return;
	list_for_each(w, &dev->waiters) {
		if (w->asleep) {
			wake(w);
			return;
		}
	}
}

void dev_wake_op(struct vgpu_op *op)
{
	struct waiter *w;

	list_for_each(w, &op->dev->waiters)
		if (w->op == op && w->asleep)
			wake(w);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t time_left(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return -1;
	left = deadline - now_ns();
	return left > 0 ? left : 0;
}

static void waiter_sleep(struct vgpu_device *dev, struct waiter *w,
			 int64_t deadline)
{
	struct timespec ts = {
		.tv_sec = deadline / NS_PER_S,
		.tv_nsec = deadline % NS_PER_S,
	};

	w->asleep = true;
	if (deadline < 0)
		pthread_cond_wait(&w->cond, &dev->lock);
	else
		pthread_cond_timedwait(&w->cond, &dev->lock, &ts);
	w->asleep = false;
}

static bool finished(const struct vgpu_device *dev, const struct vgpu_op *op)
{
	return op ? op->done : list_empty(&dev->ops);
}

/* Nothing of its operation is with the kernel: another one must go on first. */
static bool is_held_up(const struct waiter *w)
{
	unsigned int i;

	if (!w->op || w->op->kick)
		return false;
	for (i = 0; i < WINDOW; i++)
		if (w->op->chunk[i].state == CHUNK_READY ||
		    w->op->chunk[i].state == CHUNK_SENT)
			return false;
	return true;
}

/*
 * Who is held up is let go on by another thread's work, and would not learn of
 * it in the kernel, where the next answer may take for ever. It leads only
 * where no other thread does anything: then it does that work itself.
 */
static bool may_lead(struct vgpu_device *dev, const struct waiter *w)
{
	const struct vgpu_op *op;
	struct waiter *other;

	if (!is_held_up(w))
		return true;
	list_for_each(other, &dev->waiters) {
		if (!is_held_up(other)) {
			if (other->asleep)
				wake(other);
			return false;
		}
	}
	list_for_each(op, &dev->ops)
		if (op->busy)
			return false;
	return true;
}

static int wait_loop(struct vgpu_device *dev, struct waiter *w,
		     int64_t deadline)
{
	bool submitted = false, looked = false;
	struct vgpu_op *op = w->op, *other;

	while (!finished(dev, op)) {
		if (op && op->kick && !op->busy) {
			op_advance(op);
			continue;
		}
		other = op_next_kicked(dev);
		if (other) {
			op_advance(other);
			continue;
		}
		if (looked && !time_left(deadline))
			return -ETIME;
		looked = true;
		if (!dev->leader && (dev->pending || dev->inflight) &&
		    may_lead(dev, w)) {
			dev_enter(dev, true, time_left(deadline));
		} else if (dev->pending && !submitted) {
			dev_submit(dev);
			submitted = true;
		} else {
			waiter_sleep(dev, w, deadline);
			submitted = false;
		}
	}
	return 0;
}

int dev_wait(struct vgpu_device *dev, struct vgpu_op *op, int64_t timeout_ns)
{
	struct waiter w = {.op = op};
	int64_t deadline = -1;
	pthread_condattr_t attr;
	int ret;

	if (finished(dev, op))
		return 0;
	if (timeout_ns >= 0 &&
	    __builtin_add_overflow(now_ns(), timeout_ns, &deadline))
		deadline = -1;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w.cond, &attr);
	pthread_condattr_destroy(&attr);
	list_add_tail(&dev->waiters, &w.node);
	if (op)
		op->waiters++;
	ret = wait_loop(dev, &w, deadline);
	list_del(&w.node);
	if (op)
		op->waiters--;
	pthread_cond_destroy(&w.cond);
	/* What it would have done next is another one's now. */
	if (op && op->kick && !op->waiters)
		dev_notify(dev);
	dev_wake_next(dev);
	return ret;
}
