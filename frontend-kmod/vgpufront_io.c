// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_io.c - requests out, responses in
 *
 * Owns the table of what is in flight. Everything here runs under
 * vgf_dev.lock, from system calls, the reclaim work and the interrupt; it must
 * never sleep or allocate. A completion finds all it needs in place.
 */
#include <linux/log2.h>
#include <xen/events.h>
#include "vgpufront.h"

#define CREATE_TRACE_POINTS
#include "vgpufront_trace.h"

int vgf_status_errno(u16 status)
{
	static const int err[] = {
#define VGF_STATUS_ERRNO(name, code, e, text) [code] = e,
		VGPU_STATUS_LIST(VGF_STATUS_ERRNO)
#undef VGF_STATUS_ERRNO
	};

	return -err[status];
}

/* The link is up and a slot is free. */
void vgf_put(struct vgf_dev *vgf, struct vgpu_request *req,
	     const struct vgf_inflight *what)
{
	int id = vgpufront_ring_put(&vgf->ring, req);
	struct vgf_inflight *in;

	if (WARN_ON_ONCE(id < 0))
		return;

	vgf->stats.requests++;
	trace_vgpufront_submit(vgf->devid, req);
	if (id == VGPUFRONT_NO_ID) {
		vgf->stats.quiet++;
		return;
	}
	in = &vgf->inflight[id];
	*in = *what;
	in->ctx_id = req->ctx;
	in->start = ktime_get();
	in->mark = vgpufront_arena_ask(&vgf->blocks);
}

/*
 * Publish what was put by anybody, with at most one event for all of it. The
 * event goes out under the lock: the port can not be closed meanwhile.
 */
void vgf_push(struct vgf_dev *vgf)
{
	bool notify;

	if (!vgf->up || !vgpufront_ring_unpushed(&vgf->ring))
		return;

	notify = vgpufront_ring_push(&vgf->ring);
	if (notify) {
		notify_remote_via_irq(vgf->irq);
		vgf->stats.notify_sent++;
	} else {
		vgf->stats.notify_suppressed++;
	}
	trace_vgpufront_notify(vgf->devid, vgf->ring.pushed, notify);
}

/*
 * Send a request of the module's own; it may take any slot, the reserved ones
 * too. -EAGAIN: none is free, wait on vgf->wq. -ENODEV: the context is lost.
 */
int vgf_ctl_send(struct vgf_dev *vgf, struct vgf_ctx *ctx,
		 struct vgpu_request *req, struct vgf_ctl *ctl)
{
	struct vgf_inflight what = { .ctl = ctl };

	if (ctx->lost)
		return -ENODEV;
	if (!vgpufront_ring_free(&vgf->ring)) {
		vgf_push(vgf);
		return -EAGAIN;
	}
	req->ctx = ctx->id;
	ctx->on_wire = true;
	vgf_put(vgf, req, &what);
	vgf_push(vgf);

	return 0;
}

static void complete_user(const struct vgf_inflight *in,
			  const struct vgpu_response *rsp)
{
	struct vgf_ctx *ctx = in->ctx;

	vgf_buffers_use(ctx, in->held, -1);
	if (in->quiet) {
		/* How it went is for its stream's next FENCE to tell. */
		ctx->nr_quiet--;
		return;
	}
	ctx->nr_inflight--;
	vgf_ctx_complete(ctx, in->user_data, vgf_status_errno(rsp->status),
			 rsp);
}

static void complete_one(struct vgf_dev *vgf, const struct vgpu_response *rsp)
{
	struct vgf_inflight *in = &vgf->inflight[rsp->id];

	vgpufront_arena_read(&vgf->blocks, in->mark);
	if (in->ctl)
		in->ctl->done(vgf, in->ctl, rsp);
	else
		complete_user(in, rsp);
	memset(in, 0, sizeof(*in));
}

static void account_one(struct vgf_dev *vgf, const struct vgpu_response *rsp)
{
	const struct vgf_inflight *in = &vgf->inflight[rsp->id];
	s64 ns = ktime_to_ns(ktime_sub(ktime_get(), in->start));
	unsigned int bucket = ns > 0 ? ilog2(ns) : 0;

	vgf->stats.responses++;
	vgf->stats.retired += rsp->retired;
	vgf->stats.latency[min(bucket, VGF_LATENCY_BUCKETS - 1U)]++;
	trace_vgpufront_response(vgf->devid, in->ctx_id, rsp, ns);
}

/* Those who poll for room in the ring, and found none. */
static void wake_pollers(struct vgf_dev *vgf)
{
	struct vgf_ctx *ctx;

	if (!vgf->room_wanted || !vgf_may_put(vgf, NULL))
		return;
	vgf->room_wanted = false;
	list_for_each_entry(ctx, &vgf->contexts, node) {
		if (ctx->wants_room)
			wake_up_all(&ctx->wq);
		ctx->wants_room = false;
	}
}

/* Wake whoever the completions of one run concern. */
void vgf_wake(struct vgf_dev *vgf)
{
	struct vgf_ctx *ctx, *next;

	list_for_each_entry_safe(ctx, next, &vgf->wake_list, wake_node) {
		list_del_init(&ctx->wake_node);
		wake_up_all(&ctx->wq);
	}
	wake_up_all(&vgf->wq);
	wake_pollers(vgf);
	if (!list_empty(&vgf->dying) || vgf->nr_background)
		vgf_kick(vgf);
}

/*
 * Start the reclaim work. A queued work holds a reference to its device, so
 * that the last context may go while it is queued once more.
 */
void vgf_kick(struct vgf_dev *vgf)
{
	vgf_dev_get(vgf);
	if (!queue_work(vgf_wq, &vgf->reclaim_work))
		vgf_dev_put(vgf);
}

/*
 * The device is lost: nobody will answer what is in flight, so everything is
 * answered here, and all contexts of the connection are lost with it.
 */
void vgf_fail_all(struct vgf_dev *vgf)
{
	struct vgpu_response rsp = { .status = VGPU_RSP_DEVICE_LOST };
	struct vgf_buffer *buf;
	struct vgf_ctx *ctx;
	unsigned int id;

	list_for_each_entry(ctx, &vgf->dying, node)
		ctx->lost = true;
	list_for_each_entry(ctx, &vgf->contexts, node) {
		ctx->lost = true;
		if (list_empty(&ctx->wake_node))
			list_add_tail(&ctx->wake_node, &vgf->wake_list);
	}

	for (id = 0; id < VGPUFRONT_MAX_SLOTS; id++) {
		rsp.op = vgf->ring.shadow[id].op;
		if (!vgpufront_ring_abort(&vgf->ring, id))
			continue;
		rsp.id = id;
		complete_one(vgf, &rsp);
	}

	/* Those whose map or unmap was in flight are STALE already. */
	list_for_each_entry(buf, &vgf->buffers, node)
		if (buf->state == VGF_BUF_MAPPED)
			buf->state = VGF_BUF_STALE;

	vgf_wake(vgf);
}

irqreturn_t vgf_interrupt(int irq, void *data)
{
	struct vgf_dev *vgf = data;
	struct vgpu_response rsp;
	unsigned int n = 0;
	unsigned long flags;
	bool eoi = true;
	int got;

	spin_lock_irqsave(&vgf->lock, flags);
	vgf->stats.irqs++;
	if (!vgf->up) {
		/* Without an EOI the port stays masked: right once lost. */
		eoi = vgf->state == VGPUFRONT_STATE_DISCONNECTED;
		goto out;
	}

	/* Ends: each round consumes a request in flight, none is added. */
	do {
		while ((got = vgpufront_ring_get(&vgf->ring, &rsp)) > 0) {
			n++;
			account_one(vgf, &rsp);
			complete_one(vgf, &rsp);
		}
	} while (!got && vgpufront_ring_final_check(&vgf->ring));

	if (got < 0) {
		vgf->stats.protocol_errors++;
		vgf->up = false;
		vgf->state = VGPUFRONT_STATE_BROKEN;
		vgf_fail_all(vgf);
		queue_work(vgf_wq, &vgf->broken_work);
		eoi = false;
	} else if (n) {
		vgf_wake(vgf);
	}
out:
	if (!n)
		vgf->stats.irqs_spurious++;
	trace_vgpufront_irq(vgf->devid, n);
	spin_unlock_irqrestore(&vgf->lock, flags);

	if (eoi)
		xen_irq_lateeoi(irq, n ? 0 : XEN_EOI_FLAG_SPURIOUS);

	return IRQ_HANDLED;
}
