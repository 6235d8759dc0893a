// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_queue.c - VGPUFRONT_IOC_ENTER: submit, wait, reap
 *
 * Owns the order of these three, waiting and reaping; vgpufront_submit.c
 * submits. Runs in system calls, in any number of threads at once. Programs'
 * memory is only touched without vgf_dev.lock: a program can make that access
 * take for ever.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "vgpufront.h"

/* Completions copied out at a time. */
#define REAP_PIECE	16U

ktime_t vgf_time_left(const struct vgf_wait *wait)
{
	ktime_t left;

	if (wait->deadline == KTIME_MAX)
		return KTIME_MAX;
	left = ktime_sub(wait->deadline, ktime_get());

	return max_t(ktime_t, left, 0);
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
		const struct vgf_wait *wait)
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

		left = vgf_time_left(wait);
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
	struct vgf_wait wait = {
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

	err = vgf_submit(ctx, arg, &wait);
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
