// SPDX-License-Identifier: MIT
/*
 * device_enter.c - VGPUFRONT_IOC_ENTER: submit, wait, reap
 *
 * Runs in any number of threads, with the lock. The same promises as the
 * module's vgpufront_queue.c.
 */
#include "device_internal.h"

#include <errno.h>
#include <string.h>

struct wait {
	bool allowed;
	int64_t deadline;
};

static bool has_room(const struct vgpufront_wire *wire)
{
	return vgpufront_ring_free(&vdev.f->ring) > RESERVED_SLOTS &&
	       vgpufront_arena_fits(&vdev.arena, wire->block_len);
}

/* There is room for it. */
static void send_one(struct context *ctx, const struct vgpufront_sqe *sqe,
		     struct vgpufront_wire *wire, const uint8_t *memory)
{
	struct inflight what = {
		.ctx = ctx,
		.quiet = sqe->flags & VGPUFRONT_SQE_QUIET,
		.user_data = sqe->user_data,
	};
	uint8_t *arena = guest_at(&vdev.f->mem, vdev.f->arena_page);
	uint32_t at = vgpufront_sqe_place(wire, &vdev.f->ring, &vdev.arena);

	if (wire->block_len)
		memcpy(arena + at, memory + wire->block_at, wire->block_len);
	memcpy(what.held, wire->held, sizeof(what.held));
	dev_hold(ctx, wire->held, 1);
	wire->req.ctx = ctx->id;
	ctx->on_wire = true;
	ctx->inflight += !what.quiet;
	vdev.counts.requests++;
	dev_put(&wire->req, &what);
}

/* 0: taken, or refused with a completion; else why it was not taken. */
static int submit_one(struct context *ctx, const struct vgpufront_sqe *sqe,
		      const struct wait *wait)
{
	_Alignas(8) uint8_t memory[VGPUFRONT_MAX_ROOM];
	struct vgpufront_payload payload;
	struct vgpufront_wire wire;
	int err = vgpufront_sqe_check(sqe, &payload);

	for (unsigned int i = 0; i < 2 && !err; i++)
		if (payload.part[i].len)
			memcpy(memory + payload.part[i].at,
			       (void *)(uintptr_t)payload.part[i].addr,
			       payload.part[i].len);
	for (;;) {
		if (vdev.lost)
			return -ENODEV;
		if (ctx->inflight + ctx->nr_cqes >= VGPUFRONT_MAX_REQUESTS)
			return -EAGAIN;
		/* Again after each wait: buffers may have gone. */
		if (!err)
			err = vgpufront_sqe_translate(
				sqe, memory, buffer_target, ctx, &wire);
		if (err) {
			dev_complete(ctx, sqe->user_data, err, VGPU_RSP_INVALID,
				     0, 0);
			return 0;
		}
		if (has_room(&wire))
			break;
		front_push(vdev.f);
		if (!wait->allowed)
			return -EAGAIN;
		err = dev_await(wait->deadline);
		if (err)
			return err;
	}
	send_one(ctx, sqe, &wire, memory);
	return 0;
}

static int submit(struct context *ctx, struct vgpufront_enter *arg,
		  const struct wait *wait)
{
	const struct vgpufront_sqe *from = (void *)(uintptr_t)arg->sqes;
	struct vgpufront_sqe sqe;
	int err = 0;

	while (arg->submitted < arg->nr_sqes && !err) {
		sqe = from[arg->submitted];
		err = submit_one(ctx, &sqe, wait);
		arg->submitted += !err;
	}
	if (!vdev.lost)
		front_push(vdev.f);
	return err;
}

static void copy_out(struct context *ctx, struct vgpufront_enter *arg)
{
	struct vgpufront_cqe *to = (void *)(uintptr_t)arg->cqes;

	while (arg->completed < arg->nr_cqes && ctx->nr_cqes) {
		to[arg->completed++] = ctx->cqe[ctx->cqe_head];
		ctx->cqe_head = (ctx->cqe_head + 1) % VGPUFRONT_MAX_REQUESTS;
		ctx->nr_cqes--;
	}
}

static int reap(struct context *ctx, struct vgpufront_enter *arg,
		const struct wait *wait)
{
	uint32_t need = arg->min_complete;
	int err;

	if (need > arg->nr_cqes)
		need = arg->nr_cqes;
	for (;;) {
		copy_out(ctx, arg);
		if (arg->completed >= need || !ctx->inflight)
			return 0;
		if (!wait->allowed)
			return -EAGAIN;
		err = dev_await(wait->deadline);
		if (err)
			return err;
	}
}

int device_enter(struct context *ctx, struct vgpufront_enter *arg)
{
	struct wait wait = {
		.allowed = arg->timeout_ns,
		.deadline = dev_deadline(arg->timeout_ns),
	};
	int err, reap_err = 0;

	if (arg->flags)
		return -EINVAL;
	arg->submitted = 0;
	arg->completed = 0;
	if (arg->nr_cqes && !wait.allowed)
		dev_take_event();
	dev_drain();
	err = submit(ctx, arg, &wait);
	/* A full context can be waited for; after anything else, just look. */
	if (err && err != -EAGAIN)
		wait.allowed = false;
	if (arg->nr_cqes)
		reap_err = reap(ctx, arg, &wait);
	if (arg->submitted || arg->completed)
		return 0;
	if (err && err != -ENODEV)
		return err;
	if (reap_err)
		return reap_err;
	if (arg->nr_cqes && vdev.lost && !ctx->nr_cqes)
		return -ENODEV;
	return err;
}
