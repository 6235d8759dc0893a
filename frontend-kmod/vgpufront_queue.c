// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_queue.c - VGPUFRONT_IOC_ENTER: submit, wait, reap
 *
 * Runs in system calls, in any number of threads at once. Programs' memory is
 * only touched without vgf_dev.lock and without a turn in the queue for ring
 * space: a program can make that access take for ever.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "vgpufront.h"

/* Requests copied in at a time: one turn in the queue for ring space. */
#define SUBMIT_PIECE	8U
/* Completions copied out at a time. */
#define REAP_PIECE	16U

struct enter_wait {
	bool allowed;
	ktime_t deadline;	/* KTIME_MAX: none */
};

static ktime_t time_left(const struct enter_wait *wait)
{
	ktime_t left;

	if (wait->deadline == KTIME_MAX)
		return KTIME_MAX;
	left = ktime_sub(wait->deadline, ktime_get());

	return max_t(ktime_t, left, 0);
}

/*
 * A user's request may be put: there is space, and nobody waits before it.
 * Under lock.
 */
bool vgf_may_put(struct vgf_dev *vgf, const struct vgf_turn *turn)
{
	const struct vgf_turn *first;

	if (vgpufront_ring_free(&vgf->ring) <= VGF_RESERVED_SLOTS)
		return false;
	first = list_first_entry_or_null(&vgf->turns, struct vgf_turn, node);

	return !first || first == turn;
}

static bool turn_ready(struct vgf_ctx *ctx, const struct vgf_turn *turn)
{
	struct vgf_dev *vgf = ctx->vgf;
	bool ready;

	spin_lock_irq(&vgf->lock);
	ready = ctx->lost || vgf_may_put(vgf, turn);
	spin_unlock_irq(&vgf->lock);

	return ready;
}

/* Called and returns with vgf_dev.lock held. */
static int wait_turn(struct vgf_ctx *ctx, struct vgf_turn *turn,
		     const struct enter_wait *wait)
	__must_hold(&ctx->vgf->lock)
{
	struct vgf_dev *vgf = ctx->vgf;
	ktime_t left = time_left(wait);
	int err;

	/*
	 * What fills the ring may not be published yet, whoever put it: its
	 * submitter can be stuck between two pieces of its batch.
	 */
	vgf_push(vgf);
	if (!wait->allowed)
		return -EAGAIN;
	if (!turn->queued) {
		list_add_tail(&turn->node, &vgf->turns);
		turn->queued = true;
	}

	spin_unlock_irq(&vgf->lock);
	err = wait_event_interruptible_hrtimeout(vgf->wq, turn_ready(ctx, turn),
						 left);
	spin_lock_irq(&vgf->lock);

	return err == -ERESTARTSYS ? -EINTR : err;
}

/* Take one request. Under lock, the context has room for its completion. */
static int submit_one(struct vgf_ctx *ctx, const struct vgpufront_sqe *sqe,
		      const struct vgf_turn *turn)
{
	struct vgpu_response refused = { .status = VGPU_RSP_INVALID };
	struct vgpu_request req = { 0 };
	struct vgf_inflight what = { NULL };
	unsigned int i;
	int err;

	err = vgf_sqe_prepare(ctx, sqe, &req, &what);
	if (err) {
		vgf_ctx_complete(ctx, sqe->user_data, err, &refused);
		return 0;
	}
	if (!vgf_may_put(ctx->vgf, turn))
		return -EAGAIN;

	for (i = 0; i < ARRAY_SIZE(what.buf); i++)
		if (what.buf[i])
			what.buf[i]->in_use++;
	ctx->nr_inflight++;
	ctx->on_wire = true;
	vgf_put(ctx->vgf, &req, &what);

	return 0;
}

/* Submit a piece; last: it ends the batch. *taken counts what was taken. */
static int submit_piece(struct vgf_ctx *ctx, const struct vgpufront_sqe *sqe,
			unsigned int nr, bool last,
			const struct enter_wait *wait, u32 *taken)
{
	struct vgf_dev *vgf = ctx->vgf;
	struct vgf_turn turn = { .queued = false };
	unsigned int i = 0;
	int err = 0;

	spin_lock_irq(&vgf->lock);
	while (i < nr && !err) {
		if (ctx->lost)
			err = -ENODEV;
		else if (vgf_ctx_outstanding(ctx) >= VGPUFRONT_MAX_REQUESTS)
			err = -EAGAIN;
		else if (submit_one(ctx, &sqe[i], &turn))
			err = wait_turn(ctx, &turn, wait);
		else
			i++;
	}
	if (last || err)
		vgf_push(vgf);
	if (turn.queued)
		list_del(&turn.node);
	/* The next in the queue; and those who wait for refused requests. */
	if (turn.queued || !list_empty(&ctx->wake_node))
		vgf_wake(vgf);
	spin_unlock_irq(&vgf->lock);
	*taken += i;

	return err;
}

static int submit(struct vgf_ctx *ctx, struct vgpufront_enter *arg,
		  const struct enter_wait *wait)
{
	struct vgpufront_sqe __user *from = u64_to_user_ptr(arg->sqes);
	struct vgpufront_sqe sqe[SUBMIT_PIECE];
	struct vgf_dev *vgf = ctx->vgf;
	int err = 0;

	while (arg->submitted < arg->nr_sqes && !err) {
		unsigned int nr = min(arg->nr_sqes - arg->submitted,
				      SUBMIT_PIECE);

		if (copy_from_user(sqe, from + arg->submitted,
				   nr * sizeof(*sqe))) {
			err = -EFAULT;
			break;
		}
		err = submit_piece(ctx, sqe, nr,
				   arg->submitted + nr == arg->nr_sqes, wait,
				   &arg->submitted);
	}
	if (err == -EFAULT && arg->submitted) {
		spin_lock_irq(&vgf->lock);
		vgf_push(vgf);
		spin_unlock_irq(&vgf->lock);
	}

	return err;
}

/* Move completions to the program; those it could not take stay. */
static int copy_out(struct vgf_ctx *ctx, struct vgpufront_enter *arg)
{
	struct vgpufront_cqe __user *to = u64_to_user_ptr(arg->cqes);
	struct vgpufront_cqe cqe[REAP_PIECE];
	struct vgf_dev *vgf = ctx->vgf;
	unsigned int i, nr;
	int err = 0;

	if (mutex_lock_interruptible(&ctx->reap_lock))
		return -EINTR;
	while (arg->completed < arg->nr_cqes) {
		spin_lock_irq(&vgf->lock);
		nr = min3(arg->nr_cqes - arg->completed, ctx->nr_cqes,
			  REAP_PIECE);
		for (i = 0; i < nr; i++)
			cqe[i] = ctx->cqes[(ctx->cqe_head + i) %
					   VGPUFRONT_MAX_REQUESTS];
		spin_unlock_irq(&vgf->lock);
		if (!nr)
			break;

		if (copy_to_user(to + arg->completed, cqe, nr * sizeof(*cqe))) {
			err = -EFAULT;
			break;
		}

		/* reap_lock: nobody else moved the head meanwhile. */
		spin_lock_irq(&vgf->lock);
		ctx->cqe_head = (ctx->cqe_head + nr) % VGPUFRONT_MAX_REQUESTS;
		ctx->nr_cqes -= nr;
		spin_unlock_irq(&vgf->lock);
		arg->completed += nr;
	}
	mutex_unlock(&ctx->reap_lock);

	return err;
}

/* That many are there, or no more will come. */
static bool reap_ready(struct vgf_ctx *ctx, unsigned int need)
{
	struct vgf_dev *vgf = ctx->vgf;
	bool ready;

	spin_lock_irq(&vgf->lock);
	ready = ctx->nr_cqes >= need || !ctx->nr_inflight;
	spin_unlock_irq(&vgf->lock);

	return ready;
}

/* Neither in flight nor done: other threads have reaped what there was. */
static bool nothing_left(struct vgf_ctx *ctx)
{
	struct vgf_dev *vgf = ctx->vgf;
	bool nothing;

	spin_lock_irq(&vgf->lock);
	nothing = !ctx->nr_inflight && !ctx->nr_cqes;
	spin_unlock_irq(&vgf->lock);

	return nothing;
}

/* What was in flight when the device was lost is done, and there to reap. */
static bool lost_and_reaped(struct vgf_ctx *ctx)
{
	struct vgf_dev *vgf = ctx->vgf;
	bool over;

	spin_lock_irq(&vgf->lock);
	over = ctx->lost && !ctx->nr_cqes;
	spin_unlock_irq(&vgf->lock);

	return over;
}

static int reap(struct vgf_ctx *ctx, struct vgpufront_enter *arg,
		const struct enter_wait *wait)
{
	u32 min_complete = min(arg->min_complete, arg->nr_cqes);
	ktime_t left;
	u32 need;
	int err;

	for (;;) {
		err = copy_out(ctx, arg);
		if (err || arg->completed >= min_complete || nothing_left(ctx))
			return err;
		if (!wait->allowed)
			return -EAGAIN;

		left = time_left(wait);
		need = min_complete - arg->completed;
		err = wait_event_interruptible_hrtimeout(ctx->wq,
							 reap_ready(ctx, need),
							 left);
		if (err)
			return err == -ERESTARTSYS ? -EINTR : err;
	}
}

long vgf_enter(struct vgf_ctx *ctx, struct vgpufront_enter *arg, bool nonblock)
{
	struct enter_wait wait = {
		.allowed = arg->timeout_ns && !nonblock,
		.deadline = KTIME_MAX,
	};
	int err, reap_err;

	if (arg->flags)
		return -EINVAL;
	if (arg->timeout_ns > 0)
		wait.deadline = ktime_add_safe(ktime_get(), arg->timeout_ns);
	arg->submitted = 0;
	arg->completed = 0;

	err = submit(ctx, arg, &wait);
	/* A full context can be waited for; after anything else, just look. */
	if (err && err != -EAGAIN)
		wait.allowed = false;
	reap_err = arg->nr_cqes ? reap(ctx, arg, &wait) : 0;

	if (arg->submitted || arg->completed)
		return 0;
	if (err && err != -ENODEV)
		return err;
	/* -ENODEV says that nothing is left: not where it could not look. */
	if (reap_err)
		return reap_err;
	if (arg->nr_cqes && lost_and_reaped(ctx))
		return -ENODEV;

	return err;
}
