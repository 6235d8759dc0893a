// SPDX-License-Identifier: MIT
/*
 * enter.c - the one ioctl that submits and reaps; who reaps and who waits
 *
 * Owns dev->inflight, the leader and the waiters. Runs on any thread with the
 * device's lock, which it drops for the ioctl alone. Must never have two threads
 * reap at once: a thread in the kernel would not learn that another one took its
 * completion.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"

#define NS_PER_S 1000000000ll

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
	if (!sent_too)
		return;
	list_for_each(op, &dev->ops) {
		for (i = 0; i < WINDOW; i++) {
			chunk = &op->chunk[i];
			if (chunk->state != CHUNK_SENT || chunk->sending)
				continue;
			dev->inflight--;
			chunk_done(chunk, err, 0, 0);
		}
	}
}

static void reaped(struct vgpu_device *dev, const struct vgpufront_cqe *cqe)
{
	if (cqe->result == -ENODEV && !dev->lost)
		dev->lost = -ENODEV;
	/* Odd: a quiet request that the module refused. */
	if (cqe->user_data & 1) {
		stream_refused(dev, cqe->user_data, cqe->result);
		return;
	}
	dev->inflight--;
	chunk_done((struct chunk *)(uintptr_t)cqe->user_data, cqe->result,
		   cqe->time_ns, cqe->value);
}

/* A second thread that came meanwhile may go on. */
static void settle(struct vgpu_device *dev, struct batch *batch,
		   unsigned int submitted)
{
	queue_settle(dev, batch, submitted);
	dev->sending = false;
	dev->combining = false;
	dev_kick_combined(dev);
}

int dev_enter(struct vgpu_device *dev, bool submit, bool reap,
	      int64_t timeout_ns)
{
	struct vgpufront_enter req = {.timeout_ns = timeout_ns};
	struct vgpufront_cqe cqes[BATCH];
	struct batch *batch = NULL;
	unsigned int i;
	int err;

	if (submit && !dev->sending)
		batch = queue_pop(dev);
	if (batch) {
		dev->sending = true;
		dev->combining = reap && timeout_ns;
		req.sqes = (uintptr_t)&batch->sqes[batch->first];
		req.nr_sqes = batch->nr - batch->first;
	}
	if (reap) {
		dev->leader = true;
		req.cqes = (uintptr_t)cqes;
		req.nr_cqes = BATCH;
		req.min_complete = timeout_ns ? 1 : 0;
	}
	pthread_mutex_unlock(&dev->lock);
	err = sys_ioctl(dev->fd, VGPUFRONT_IOC_ENTER, &req);
	pthread_mutex_lock(&dev->lock);
	if (err)
		req.submitted = req.completed = 0;
	if (batch)
		settle(dev, batch, req.submitted);
	for (i = 0; i < req.completed; i++)
		reaped(dev, &cqes[i]);
	if (err && err != -EAGAIN && err != -ETIME && err != -EINTR)
		dev_fail(dev, err, reap);
	if (reap)
		dev->leader = false;
	if (dev->lost)
		queue_drop(dev, dev->lost);
	dev_run_cheap(dev);
	dev_watch_room(dev);
	dev_wake_next(dev);
	if (dev->flushers)
		pthread_cond_broadcast(&dev->moved);
	return req.submitted ? (int)req.submitted : err;
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
		    w->op->chunk[i].state == CHUNK_QUEUED ||
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

/* One call into the kernel, if it is this thread's turn. */
static bool lead(struct vgpu_device *dev, const struct waiter *w,
		 int64_t deadline)
{
	if (dev->leader || !(dev_unsent(dev) || dev->inflight) ||
	    !may_lead(dev, w))
		return false;
	if (dev->shared && dev_submit(dev))
		return true;
	if (!dev->inflight && (dev->sending || !dev_unsent(dev)))
		return false;
	dev_enter(dev, true, true, time_left(deadline));
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
		if (lead(dev, w, deadline))
			continue;
		if (dev_unsent(dev) && !submitted) {
			dev_submit(dev);
			submitted = true;
		} else {
			waiter_sleep(dev, w, deadline);
			submitted = false;
		}
	}
	return 0;
}

/* What it would have done next is another one's now. */
static void leave(struct vgpu_device *dev, struct vgpu_op *op)
{
	if (op) {
		op->waiters--;
		if (op->kick && !op->waiters)
			dev_notify(dev);
		if (op->done && op->detached && !op->waiters)
			free(op);
	}
	if (dev_unsent(dev) && (dev->resend || !dev->batching))
		dev_submit(dev);
	dev_wake_next(dev);
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
	pthread_cond_destroy(&w.cond);
	leave(dev, op);
	return ret;
}
