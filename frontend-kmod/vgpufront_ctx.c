// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_ctx.c - contexts, and what is left of them after the file is gone
 *
 * Owns the life of vgf_ctx and the reclaim work. The work never waits: it looks
 * at each object, moves it one step on, and is started again by whatever
 * changes (a response, the loss of the device, the backend's end). So closing
 * a file returns at once, and nothing is given back too early.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "vgpufront.h"

struct vgf_ctx *vgf_ctx_open(struct vgf_dev *vgf)
{
	struct vgf_ctx *ctx;
	int id;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(-ENOMEM);
	ctx->cqes = kvcalloc(VGPUFRONT_MAX_REQUESTS, sizeof(*ctx->cqes),
			     GFP_KERNEL_ACCOUNT);
	id = ctx->cqes ? ida_alloc_range(&vgf->ctx_ids, VGF_FIRST_CTX,
					 VGF_LAST_CTX, GFP_KERNEL) : -ENOMEM;
	if (id < 0) {
		kvfree(ctx->cqes);
		kfree(ctx);
		return ERR_PTR(id == -ENOSPC ? -EMFILE : id);
	}

	vgf_dev_get(vgf);
	ctx->vgf = vgf;
	ctx->id = id;
	INIT_LIST_HEAD(&ctx->wake_node);
	init_waitqueue_head(&ctx->wq);
	mutex_init(&ctx->reap_lock);

	spin_lock_irq(&vgf->lock);
	ctx->lost = !vgf->up;
	ctx->generation = vgf->generation;
	list_add_tail(&ctx->node, &vgf->contexts);
	spin_unlock_irq(&vgf->lock);

	return ctx;
}

/*
 * The file is closed: no call runs in the context any more, and none will.
 * Requests in flight complete into it until the work sees none left.
 */
void vgf_ctx_close(struct vgf_ctx *ctx)
{
	struct vgf_dev *vgf = ctx->vgf;
	struct vgf_buffer *buf, *next;
	LIST_HEAD(released);
	unsigned int i;

	spin_lock_irq(&vgf->lock);
	for (i = 0; i < VGPUFRONT_MAX_BUFFERS; i++) {
		buf = ctx->bufs[i];
		if (buf && vgf_buffer_drop(vgf, buf))
			list_add(&buf->node, &released);
	}
	list_move_tail(&ctx->node, &vgf->dying);
	/* Still under the lock: afterwards the work may have freed all. */
	vgf_kick(vgf);
	spin_unlock_irq(&vgf->lock);

	list_for_each_entry_safe(buf, next, &released, node)
		vgf_buffer_put(buf);
}

/* Under lock. There is room: requests taken and completions are counted. */
void vgf_ctx_complete(struct vgf_ctx *ctx, u64 user_data, int result,
		      const struct vgpu_response *rsp)
{
	unsigned int at = (ctx->cqe_head + ctx->nr_cqes) %
			  VGPUFRONT_MAX_REQUESTS;
	struct vgpufront_cqe *cqe = &ctx->cqes[at];

	cqe->user_data = user_data;
	cqe->result = result;
	cqe->status = rsp->status;
	cqe->time_ns = rsp->time_ns;
	cqe->value = vgpufront_sqe_value(rsp);
	ctx->nr_cqes++;
	if (list_empty(&ctx->wake_node))
		list_add_tail(&ctx->wake_node, &ctx->vgf->wake_list);
}

static void destroy_done(struct vgf_dev *vgf, struct vgf_ctl *ctl,
			 const struct vgpu_response *rsp)
{
	/* Whatever the answer, there is nothing more to ask for. */
	container_of(ctl, struct vgf_ctx, ctl)->destroyed = true;
}

/* Under lock. True: the context is off all lists but node, and can be freed. */
static bool ctx_step(struct vgf_dev *vgf, struct vgf_ctx *ctx)
{
	struct vgpu_request req = { .op = VGPU_OP_CTX_DESTROY };

	if (ctx->nr_inflight || ctx->nr_quiet || ctx->nr_bufs)
		return false;
	if (ctx->destroying && !ctx->destroyed)
		return false;
	if (ctx->on_wire && !ctx->lost && !ctx->destroying &&
	    vgf->ctx_destroy) {
		ctx->ctl.done = destroy_done;
		ctx->destroying = !vgf_ctl_send(vgf, ctx, &req, &ctx->ctl);
		return false;
	}
	list_del_init(&ctx->wake_node);

	return true;
}

static void ctx_destroy(struct vgf_dev *vgf, struct vgf_ctx *ctx)
{
	/* Only now may another file use the id on the wire. */
	ida_free(&vgf->ctx_ids, ctx->id);
	mutex_destroy(&ctx->reap_lock);
	kvfree(ctx->cqes);
	kfree(ctx);
	vgf_dev_put(vgf);
}

void vgf_reclaim(struct work_struct *work)
{
	struct vgf_dev *vgf = container_of(work, struct vgf_dev, reclaim_work);
	struct vgf_buffer *buf, *next_buf;
	struct vgf_ctx *ctx, *next_ctx;
	bool again;

	do {
		LIST_HEAD(bufs);
		LIST_HEAD(ctxs);

		spin_lock_irq(&vgf->lock);
		list_for_each_entry_safe(buf, next_buf, &vgf->buffers, node) {
			/* What is STALE goes even while its file is open. */
			if (!buf->background && !(buf->published &&
						  buf->state == VGF_BUF_STALE))
				continue;
			if (vgf_buffer_step(vgf, buf))
				list_move_tail(&buf->node, &bufs);
		}
		list_for_each_entry_safe(ctx, next_ctx, &vgf->dying, node)
			if (ctx_step(vgf, ctx))
				list_move_tail(&ctx->node, &ctxs);
		spin_unlock_irq(&vgf->lock);

		again = !list_empty(&bufs) || !list_empty(&ctxs);
		list_for_each_entry_safe(buf, next_buf, &bufs, node)
			vgf_buffer_release(vgf, buf);
		list_for_each_entry_safe(ctx, next_ctx, &ctxs, node)
			ctx_destroy(vgf, ctx);
	} while (again);

	vgf_dev_put(vgf);
}
