// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_info.c - VGPUFRONT_IOC_INFO
 *
 * Runs in system calls. The INFO request of ring id i uses block i of the
 * arena, so that a block belongs to one request in flight and to no other; the
 * blocks of payload lie behind them (vgf_blocks_base()).
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "vgpufront.h"

/* Shared by the caller, who may give up on a signal, and the request. */
struct info_call {
	struct vgf_ctl ctl;
	struct kref kref;
	bool done;
	bool valid;
	struct vgpu_info info;
};

static void info_release(struct kref *kref)
{
	kfree(container_of(kref, struct info_call, kref));
}

static void info_done(struct vgf_dev *vgf, struct vgf_ctl *ctl,
		      const struct vgpu_response *rsp)
{
	struct info_call *call = container_of(ctl, struct info_call, ctl);
	size_t at = rsp->id * sizeof(call->info);

	if (rsp->status == VGPU_RSP_OK) {
		/* The one copy; what the backend did not write stays 0. */
		memcpy(&call->info, page_address(vgf->arena[at / PAGE_SIZE]) +
		       at % PAGE_SIZE, min_t(u64, rsp->value,
					     sizeof(call->info)));
		call->valid = true;
	}
	/* The caller, who takes no lock, sees all of info. */
	smp_store_release(&call->done, true);
	kref_put(&call->kref, info_release);
}

static bool info_is_done(struct info_call *call)
{
	/* Paired with the release in info_done(): all of info is there. */
	return smp_load_acquire(&call->done);
}

static int info_send(struct vgf_ctx *ctx, struct info_call *call)
{
	struct vgpu_request req = { .op = VGPU_OP_INFO };
	struct vgf_dev *vgf = ctx->vgf;
	int err;

	spin_lock_irq(&vgf->lock);
	req.u.info.arena_offset = vgpufront_ring_next_id(&vgf->ring) *
				  sizeof(call->info);
	req.u.info.length = sizeof(call->info);
	kref_get(&call->kref);
	err = vgf_ctl_send(vgf, ctx, &req, &call->ctl);
	if (err)
		kref_put(&call->kref, info_release);
	spin_unlock_irq(&vgf->lock);

	return err;
}

/* The part that changes, from the backend. 0 where it can not be asked. */
static int info_live(struct vgf_ctx *ctx, struct vgpufront_info *out)
{
	struct vgf_dev *vgf = ctx->vgf;
	struct info_call *call;
	int err, stopped;

	call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	if (!call)
		return -ENOMEM;
	kref_init(&call->kref);
	call->ctl.done = info_done;

	stopped = wait_event_interruptible(vgf->wq,
					   (err = info_send(ctx, call)) !=
					   -EAGAIN);
	if (stopped) {
		err = -EINTR;
		goto out;
	}
	if (err) {
		err = 0;
		goto out;
	}
	stopped = wait_event_interruptible(vgf->wq, info_is_done(call));
	if (stopped) {
		err = -EINTR;
		goto out;
	}
	if (call->valid) {
		out->mem_total = call->info.mem_total;
		out->mem_free = call->info.mem_free;
		out->mem_quota = call->info.mem_quota;
		out->mem_used = call->info.mem_used;
		out->requests = call->info.requests;
		out->errors = call->info.errors;
		out->busy_ns = call->info.busy_ns;
		out->temperature_mc = call->info.temperature_mc;
		out->power_mw = call->info.power_mw;
		out->utilization = call->info.utilization;
		out->nr_buffers = call->info.nr_buffers;
		out->nr_objects = call->info.nr_objects;
		out->launches = call->info.launches;
	}
out:
	kref_put(&call->kref, info_release);

	return err;
}

long vgf_info(struct vgf_ctx *ctx, struct vgpufront_info *info)
{
	struct vgf_dev *vgf = ctx->vgf;
	const struct vgf_facts *facts = &vgf->facts;
	long err;

	memset(info, 0, sizeof(*info));
	err = info_live(ctx, info);
	if (err)
		return err;

	info->abi = VGPUFRONT_ABI_VERSION;
	info->devid = vgf->devid;
	if (mutex_lock_interruptible(&vgf->life))
		return -EINTR;
	memcpy(info->engine, facts->engine, sizeof(info->engine));
	memcpy(info->gpu_name, facts->gpu_name, sizeof(info->gpu_name));
	memcpy(info->gpu_uuid, facts->gpu_uuid, sizeof(info->gpu_uuid));
	memcpy(info->compute_capability, facts->compute_capability,
	       sizeof(info->compute_capability));
	memcpy(info->driver_version, facts->driver_version,
	       sizeof(info->driver_version));
	memcpy(info->ops, facts->ops, sizeof(info->ops));
	memcpy(info->builtins, facts->builtins, sizeof(info->builtins));
	info->gpu_memory = facts->gpu_memory;
	info->max_buffer_pages = facts->max_buffer_pages;
	mutex_unlock(&vgf->life);

	spin_lock_irq(&vgf->lock);
	info->state = vgf->state;
	info->generation = vgf->generation;
	info->lost = ctx->lost;
	info->backend_domid = vgf->domid;
	info->ring_slots = vgf->up ? RING_SIZE(&vgf->ring.front) : 0;
	spin_unlock_irq(&vgf->lock);

	return 0;
}
