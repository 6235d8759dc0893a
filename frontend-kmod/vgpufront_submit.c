// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_submit.c - a program's batch of requests into the ring
 *
 * Owns turns: who may put next where slots or the arena are short. Runs in
 * system calls, in any number of threads at once. A batch is taken in pieces:
 * requests and what they point at are copied in, and then the piece is put.
 * Programs' memory is only touched without vgf_dev.lock and without a turn in
 * the queue: a program can make that access take for ever.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "vgpufront.h"

/* Requests of a piece: one turn in the queue for ring space. */
#define PIECE	8U

/*
 * A piece, and the memory for what its requests point at. That is kept from
 * piece to piece, and has at most PIECE * VGPUFRONT_MAX_ROOM octets.
 */
struct piece {
	unsigned int nr;
	struct vgpufront_sqe sqe[PIECE];
	int err[PIECE];		/* why it is refused */
	u32 at[PIECE];		/* in mem */
	u32 size;
	void *mem;
};

/*
 * A user's request may be put: there are a slot and room for its payload, and
 * nobody waits before it. Without a turn: any request. Under lock.
 */
bool vgf_may_put(struct vgf_dev *vgf, const struct vgf_turn *turn)
{
	u32 payload = turn ? turn->payload : VGPUFRONT_MAX_BLOCK;
	const struct vgf_turn *first;

	if (vgpufront_ring_free(&vgf->ring) <= VGF_RESERVED_SLOTS ||
	    !vgpufront_arena_fits(&vgf->blocks, payload))
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
		     const struct vgf_wait *wait)
	__must_hold(&ctx->vgf->lock)
{
	struct vgf_dev *vgf = ctx->vgf;
	ktime_t left = vgf_time_left(wait);
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

/* The pages of the arena lie anywhere. */
static void write_block(struct vgf_dev *vgf, u32 at, const void *from, u32 len)
{
	while (len) {
		u32 n = min_t(u32, len, PAGE_SIZE - at % PAGE_SIZE);

		memcpy(page_address(vgf->arena[at / PAGE_SIZE]) +
		       at % PAGE_SIZE, from, n);
		from += n;
		at += n;
		len -= n;
	}
}

/* There are a slot and room for it. Under lock. */
static void put_one(struct vgf_ctx *ctx, struct vgpufront_wire *wire,
		    const void *mem, u64 user_data)
{
	struct vgf_inflight what = { .ctx = ctx, .user_data = user_data };
	struct vgf_dev *vgf = ctx->vgf;
	u32 at;

	at = vgpufront_sqe_place(wire, &vgf->ring, &vgf->blocks);
	write_block(vgf, at, mem + wire->block_at, wire->block_len);

	/* A quiet request that is not answered names no buffer. */
	what.quiet = wire->req.flags & VGPU_REQF_QUIET;
	if (!what.quiet)
		ctx->nr_inflight++;
	else if (wire->req.flags & VGPU_REQF_RETIRE)
		ctx->nr_quiet++;
	memcpy(what.held, wire->held, sizeof(what.held));
	vgf_buffers_use(ctx, what.held, 1);
	wire->req.ctx = ctx->id;
	ctx->on_wire = true;
	vgf_put(vgf, &wire->req, &what);
}

/*
 * Take one request, where the context has room for a completion: one that is
 * refused has one even if it is quiet. Under lock.
 */
static int submit_one(struct vgf_ctx *ctx, struct piece *p, unsigned int i,
		      struct vgf_turn *turn)
{
	struct vgpu_response refused = { .status = VGPU_RSP_INVALID };
	const struct vgpufront_sqe *sqe = &p->sqe[i];
	void *mem = p->mem + p->at[i];
	struct vgpufront_wire wire;
	int err = p->err[i];

	/* Once more after each wait: a buffer may be gone meanwhile. */
	if (!err)
		err = vgpufront_sqe_translate(sqe, mem, vgf_buffer_target, ctx,
					      &wire);
	if (err) {
		vgf_ctx_complete(ctx, sqe->user_data, err, &refused);
		return 0;
	}
	turn->payload = wire.block_len;
	if (!vgf_may_put(ctx->vgf, turn))
		return -EAGAIN;
	put_one(ctx, &wire, mem, sqe->user_data);

	return 0;
}

/* Submit a piece; last: it ends the batch. *taken counts what was taken. */
static int submit_piece(struct vgf_ctx *ctx, struct piece *p, bool last,
			const struct vgf_wait *wait, u32 *taken)
{
	struct vgf_dev *vgf = ctx->vgf;
	struct vgf_turn turn = { .queued = false };
	unsigned int i = 0;
	int err = 0;

	spin_lock_irq(&vgf->lock);
	while (i < p->nr && !err) {
		if (ctx->lost)
			err = -ENODEV;
		else if (vgf_ctx_outstanding(ctx) >= VGPUFRONT_MAX_REQUESTS)
			err = -EAGAIN;
		else if (submit_one(ctx, p, i, &turn))
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

static int copy_part(void *mem, const struct vgpufront_part *part)
{
	unsigned long addr = part->addr;

	if (!part->len)
		return 0;
	if (addr != part->addr ||
	    copy_from_user(mem + part->at, (void __user *)addr, part->len))
		return -EFAULT;

	return 0;
}

static int copy_payload(void *mem, const struct vgpufront_payload *payload)
{
	int err = copy_part(mem, &payload->part[0]);

	return err ? err : copy_part(mem, &payload->part[1]);
}

/*
 * Check the piece's requests and copy in what they point at. What is wrong with
 * one of them is that request's result, and the batch goes on.
 */
static void stage(struct piece *p)
{
	struct vgpufront_payload payload[PIECE];
	unsigned int i;
	u32 room = 0;

	for (i = 0; i < p->nr; i++) {
		p->err[i] = vgpufront_sqe_check(&p->sqe[i], &payload[i]);
		p->at[i] = room;
		if (!p->err[i])
			room += payload[i].room;
	}
	if (room > p->size) {
		kvfree(p->mem);
		p->mem = kvmalloc(room, GFP_KERNEL_ACCOUNT);
		p->size = p->mem ? room : 0;
	}
	for (i = 0; i < p->nr; i++) {
		if (p->err[i] || !payload[i].room)
			continue;
		p->err[i] = p->mem ? copy_payload(p->mem + p->at[i],
						  &payload[i]) : -ENOMEM;
	}
}

/* Submit arg->sqes; arg->submitted says how many were taken, whatever else. */
int vgf_submit(struct vgf_ctx *ctx, struct vgpufront_enter *arg,
	       const struct vgf_wait *wait)
{
	struct vgpufront_sqe __user *from = u64_to_user_ptr(arg->sqes);
	struct vgf_dev *vgf = ctx->vgf;
	struct piece p;
	int err = 0;

	p.mem = NULL;
	p.size = 0;
	while (arg->submitted < arg->nr_sqes && !err) {
		p.nr = min(arg->nr_sqes - arg->submitted, PIECE);
		if (copy_from_user(p.sqe, from + arg->submitted,
				   p.nr * sizeof(*p.sqe))) {
			err = -EFAULT;
			break;
		}
		stage(&p);
		err = submit_piece(ctx, &p,
				   arg->submitted + p.nr == arg->nr_sqes, wait,
				   &arg->submitted);
	}
	kvfree(p.mem);
	if (err == -EFAULT && arg->submitted) {
		spin_lock_irq(&vgf->lock);
		vgf_push(vgf);
		spin_unlock_irq(&vgf->lock);
	}

	return err;
}
