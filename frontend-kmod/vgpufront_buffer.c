// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_buffer.c - a buffer's way to the backend and back
 *
 * Owns the states of buffers (enum vgf_buffer_state) and the tables that name
 * them. Runs in system calls and in the reclaim work; vgf_buffer_find(),
 * _target(), _step(), _drop() and vgf_buffers_use() want vgf_dev.lock. Pages must not be
 * given back before the backend has answered BUFFER_UNMAP or is closed.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include "vgpufront.h"
#include "vgpufront_trace.h"

static void buffer_destroy(struct kref *kref)
{
	struct vgf_buffer *buf = container_of(kref, struct vgf_buffer, kref);

	/* User mappings of these pages hold their own references. */
	vgf_pages_free(buf->pages, buf->nr_pages);
	kfree(buf);
}

void vgf_buffer_put(struct vgf_buffer *buf)
{
	kref_put(&buf->kref, buffer_destroy);
}

static struct vgf_buffer *buffer_lookup(struct vgf_ctx *ctx, u32 handle)
{
	u32 slot = handle - 1;

	if (slot >= VGPUFRONT_MAX_BUFFERS)
		return NULL;

	return ctx->bufs[array_index_nospec(slot, VGPUFRONT_MAX_BUFFERS)];
}

/* The buffer of a handle as long as requests may name it. */
struct vgf_buffer *vgf_buffer_find(struct vgf_ctx *ctx, u32 handle)
{
	struct vgf_buffer *buf = buffer_lookup(ctx, handle);

	return buf && buf->published && !buf->freeing ? buf : NULL;
}

/* The same for the translation of a context's request. */
bool vgf_buffer_target(void *ctx, u32 handle, struct vgpufront_target *out)
{
	const struct vgf_buffer *buf = vgf_buffer_find(ctx, handle);

	if (!buf)
		return false;
	out->handle = buf->handle;
	out->read_only = buf->read_only;
	out->length = buf->length;

	return true;
}

/*
 * Count a request's buffers in (1) or out (-1). They are in their places of
 * the table all the while: none that is in use is released.
 */
void vgf_buffers_use(struct vgf_ctx *ctx, const __u64 *held, int by)
{
	unsigned int i;
	u64 word;

	for (i = 0; i < VGPUFRONT_HELD_WORDS; i++)
		for (word = held[i]; word; word &= word - 1)
			ctx->bufs[i * 64 + __ffs64(word)]->in_use += by;
}

/* Take it off its table. True: the caller puts the table's reference. */
static bool buffer_detach(struct vgf_buffer *buf)
{
	struct vgf_ctx *ctx = buf->ctx;

	if (ctx->bufs[buf->slot] != buf)
		return false;
	ctx->bufs[buf->slot] = NULL;
	ctx->nr_bufs--;

	return true;
}

/*
 * Nobody asks for it any more: the reclaim work takes over. True: it was
 * released already, and the caller puts the table's reference.
 */
bool vgf_buffer_drop(struct vgf_dev *vgf, struct vgf_buffer *buf)
{
	buf->freeing = true;
	buf->drop = true;
	if (buf->state == VGF_BUF_RELEASED)
		return buffer_detach(buf);
	if (!buf->background) {
		buf->background = true;
		vgf->nr_background++;
	}
	vgf_kick(vgf);

	return false;
}

static void map_done(struct vgf_dev *vgf, struct vgf_ctl *ctl,
		     const struct vgpu_response *rsp)
{
	struct vgf_buffer *buf = container_of(ctl, struct vgf_buffer, ctl);

	buf->status = rsp->status;
	if (rsp->status == VGPU_RSP_OK)
		buf->state = VGF_BUF_MAPPED;
	else if (rsp->status == VGPU_RSP_DEVICE_LOST)
		buf->state = VGF_BUF_STALE;
	else
		buf->state = VGF_BUF_ENDED;
	buf->handle_lost = rsp->status == VGPU_RSP_EXISTS;
}

static void unmap_done(struct vgf_dev *vgf, struct vgf_ctl *ctl,
		       const struct vgpu_response *rsp)
{
	struct vgf_buffer *buf = container_of(ctl, struct vgf_buffer, ctl);

	if (rsp->status == VGPU_RSP_DEVICE_LOST) {
		buf->state = VGF_BUF_STALE;
		return;
	}
	/*
	 * Not a reason a backend can have. Ending the grants is safe even so;
	 * the handle is not used again.
	 */
	if (rsp->status != VGPU_RSP_OK) {
		buf->handle_lost = true;
		vgf->stats.unmap_errors++;
	}
	buf->state = VGF_BUF_ENDED;
}

/*
 * Move it one step towards RELEASED, without waiting. True: it is RELEASING
 * now, and the caller must call vgf_buffer_release() without the lock.
 */
bool vgf_buffer_step(struct vgf_dev *vgf, struct vgf_buffer *buf)
{
	struct vgpu_request req = { .op = VGPU_OP_BUFFER_UNMAP };

	if (buf->in_use)
		return false;
	switch (buf->state) {
	case VGF_BUF_MAPPED:
		req.u.handle.handle = buf->handle;
		buf->ctl.done = unmap_done;
		if (!vgf_ctl_send(vgf, buf->ctx, &req, &buf->ctl))
			buf->state = VGF_BUF_UNMAPPING;
		return false;
	case VGF_BUF_STALE:
		if (buf->generation > vgf->settled)
			return false;
		break;
	case VGF_BUF_NEW:
	case VGF_BUF_ENDED:
		break;
	case VGF_BUF_MAPPING:
	case VGF_BUF_UNMAPPING:
	case VGF_BUF_RELEASING:
	case VGF_BUF_RELEASED:
		return false;
	}
	buf->state = VGF_BUF_RELEASING;

	return true;
}

void vgf_buffer_release(struct vgf_dev *vgf, struct vgf_buffer *buf)
{
	bool put;

	trace_vgpufront_map(vgf->devid, buf->ctx->id, buf->handle,
			    buf->nr_pages, buf->read_only, false);
	vgf_grants_end(vgf, &buf->grants);
	if (buf->mm)
		vgf_unpin(buf);

	spin_lock_irq(&vgf->lock);
	if (!buf->handle_lost && buf->generation == vgf->generation)
		__clear_bit(buf->handle, vgf->handles);
	list_del_init(&buf->node);
	if (buf->background)
		vgf->nr_background--;
	buf->state = VGF_BUF_RELEASED;
	put = buf->drop && buffer_detach(buf);
	wake_up_all(&vgf->wq);
	spin_unlock_irq(&vgf->lock);

	if (put)
		vgf_buffer_put(buf);
}

/* Give up on a buffer that the program was never told about. */
static void buffer_abandon(struct vgf_dev *vgf, struct vgf_buffer *buf)
{
	bool release, put = false;

	spin_lock_irq(&vgf->lock);
	release = vgf_buffer_step(vgf, buf);
	if (release)
		buf->drop = true;
	else
		put = vgf_buffer_drop(vgf, buf);
	spin_unlock_irq(&vgf->lock);

	if (release)
		vgf_buffer_release(vgf, buf);
	if (put)
		vgf_buffer_put(buf);
}

/* Give it its place in the context's table and a handle on the wire. */
static int buffer_attach(struct vgf_ctx *ctx, struct vgf_buffer *buf)
{
	struct vgf_dev *vgf = ctx->vgf;
	unsigned int slot = 0;
	int err = 0;

	spin_lock_irq(&vgf->lock);
	while (slot < VGPUFRONT_MAX_BUFFERS && ctx->bufs[slot])
		slot++;
	if (ctx->lost) {
		err = -ENODEV;
		goto out;
	}
	if (slot == VGPUFRONT_MAX_BUFFERS) {
		err = -EMFILE;
		goto out;
	}
	buf->handle = find_next_zero_bit(vgf->handles, vgf->max_buffers + 1, 1);
	if (buf->handle > vgf->max_buffers) {
		err = -EDQUOT;
		goto out;
	}
	__set_bit(buf->handle, vgf->handles);
	buf->ctx = ctx;
	buf->slot = slot;
	buf->generation = ctx->generation;
	ctx->bufs[slot] = buf;
	ctx->nr_bufs++;
	list_add_tail(&buf->node, &vgf->buffers);
out:
	spin_unlock_irq(&vgf->lock);

	return err;
}

static int send_map(struct vgf_dev *vgf, struct vgf_buffer *buf)
{
	struct vgpu_request req = { .op = VGPU_OP_BUFFER_MAP };
	int err;

	req.u.map.handle = buf->handle;
	req.u.map.flags = buf->read_only ? VGPU_BUF_READ_ONLY : 0;
	req.u.map.directory = vgf_grants_first_dir(&buf->grants);
	req.u.map.nr_pages = buf->nr_pages;
	req.u.map.first_offset = buf->first_offset;
	req.u.map.length = buf->length;

	spin_lock_irq(&vgf->lock);
	buf->ctl.done = map_done;
	err = vgf_ctl_send(vgf, buf->ctx, &req, &buf->ctl);
	if (!err)
		buf->state = VGF_BUF_MAPPING;
	spin_unlock_irq(&vgf->lock);

	return err;
}

/* Send BUFFER_MAP and wait for its answer. 0 or -errno. */
static int buffer_map(struct vgf_dev *vgf, struct vgf_buffer *buf)
{
	int err, stopped;

	trace_vgpufront_map(vgf->devid, buf->ctx->id, buf->handle,
			    buf->nr_pages, buf->read_only, true);
	stopped = wait_event_interruptible(vgf->wq,
					   (err = send_map(vgf, buf)) !=
					   -EAGAIN);
	if (stopped)
		return -EINTR;
	if (err)
		return err;
	if (wait_event_interruptible(vgf->wq, READ_ONCE(buf->state) !=
				     VGF_BUF_MAPPING))
		return -EINTR;

	/* Paired with the lock under which the interrupt changed the state. */
	spin_lock_irq(&vgf->lock);
	err = vgf_status_errno(buf->status);
	spin_unlock_irq(&vgf->lock);
	if (err)
		return err;

	vgf_grants_end_dirs(vgf, &buf->grants);
	spin_lock_irq(&vgf->lock);
	if (buf->state == VGF_BUF_MAPPED)
		buf->published = true;
	else
		err = -ENODEV;
	spin_unlock_irq(&vgf->lock);

	return err;
}

/*
 * Make a buffer of size octets from first_offset of its first page: of memory
 * of the caller at addr, or of pages of its own where addr is 0.
 */
static long buffer_make(struct vgf_ctx *ctx, u64 addr, u64 size,
			bool read_only, u32 *handle)
{
	u32 first_offset = addr % PAGE_SIZE;
	struct vgf_dev *vgf = ctx->vgf;
	struct vgf_buffer *buf;
	u32 max_pages;
	domid_t domid;
	long err;

	spin_lock_irq(&vgf->lock);
	err = ctx->lost ? -ENODEV : 0;
	max_pages = vgf->max_buffer_pages;
	domid = vgf->domid;
	spin_unlock_irq(&vgf->lock);
	if (err)
		return err;
	if (size > (u64)max_pages * PAGE_SIZE - first_offset)
		return -E2BIG;

	buf = kzalloc(sizeof(*buf), GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	kref_init(&buf->kref);
	INIT_LIST_HEAD(&buf->node);
	buf->read_only = read_only;
	buf->first_offset = first_offset;
	buf->length = size;
	buf->nr_pages = DIV_ROUND_UP_ULL(first_offset + size, PAGE_SIZE);

	err = vgf_grants_claim(&buf->grants, buf->nr_pages);
	if (err)
		goto put;
	if (addr) {
		err = vgf_pin(buf, addr - first_offset);
	} else {
		buf->pages = vgf_pages_alloc(buf->nr_pages);
		err = buf->pages ? 0 : -ENOMEM;
	}
	if (err)
		goto end;
	vgf_grants_make(vgf, &buf->grants, domid, buf->pages, read_only);
	err = buffer_attach(ctx, buf);
	if (err)
		goto end;

	/* From here on the table's reference belongs to the reclaim as well. */
	kref_get(&buf->kref);
	err = buffer_map(vgf, buf);
	if (err)
		buffer_abandon(vgf, buf);
	else
		*handle = buf->slot + 1;
	vgf_buffer_put(buf);

	return err;

end:
	vgf_grants_end(vgf, &buf->grants);
	if (buf->mm)
		vgf_unpin(buf);
put:
	vgf_buffer_put(buf);

	return err;
}

long vgf_buffer_alloc(struct vgf_ctx *ctx, struct vgpufront_buffer_alloc *arg)
{
	long err;

	if (!arg->size || arg->flags)
		return -EINVAL;
	/* The length on the wire; a sum that overflows is too big as well. */
	if (arg->size > (u64)VGF_MAX_BUFFER_PAGES * PAGE_SIZE)
		return -E2BIG;
	err = buffer_make(ctx, 0, PAGE_ALIGN(arg->size), false, &arg->handle);
	if (!err)
		arg->mmap_offset = (u64)arg->handle << VGF_MMAP_SHIFT;

	return err;
}

long vgf_buffer_register(struct vgf_ctx *ctx,
			 struct vgpufront_buffer_register *arg)
{
	if (!arg->size || arg->addr % 4 ||
	    arg->flags & ~VGPUFRONT_BUFFER_READ_ONLY)
		return -EINVAL;
	if (arg->size > (u64)VGF_MAX_BUFFER_PAGES * PAGE_SIZE)
		return -E2BIG;
	if (!arg->addr || arg->addr + arg->size < arg->addr)
		return -EFAULT;

	return buffer_make(ctx, arg->addr, arg->size,
			   arg->flags & VGPUFRONT_BUFFER_READ_ONLY,
			   &arg->handle);
}

/* Step, and say whether vgf_buffer_free() has nothing more to wait for. */
static bool free_ready(struct vgf_dev *vgf, struct vgf_buffer *buf,
		       bool *release)
{
	bool ready;

	spin_lock_irq(&vgf->lock);
	*release = vgf_buffer_step(vgf, buf);
	/* Where the device is lost, the backend will not answer: go on. */
	ready = *release || buf->state == VGF_BUF_RELEASED ||
		buf->state == VGF_BUF_STALE;
	spin_unlock_irq(&vgf->lock);

	return ready;
}

/* Two threads may free the same buffer: both wait, both succeed. */
long vgf_buffer_free(struct vgf_ctx *ctx, u32 handle)
{
	struct vgf_dev *vgf = ctx->vgf;
	struct vgf_buffer *buf;
	bool release = false, put = false;
	long err = 0;

	spin_lock_irq(&vgf->lock);
	buf = buffer_lookup(ctx, handle);
	if (!buf || !buf->published || buf->drop)
		err = -ENOENT;
	else if (buf->in_use)
		err = -EBUSY;
	if (!err) {
		buf->freeing = true;
		kref_get(&buf->kref);
	}
	spin_unlock_irq(&vgf->lock);
	if (err)
		return err;

	if (wait_event_interruptible(vgf->wq, free_ready(vgf, buf, &release)))
		err = -EINTR;
	else if (release)
		vgf_buffer_release(vgf, buf);

	spin_lock_irq(&vgf->lock);
	if (!err) {
		put = vgf_buffer_drop(vgf, buf);
	} else if (!buf->background && buf->state != VGF_BUF_RELEASED) {
		/* The handle stays for another try; its end goes on. */
		buf->background = true;
		vgf->nr_background++;
		vgf_kick(vgf);
	}
	spin_unlock_irq(&vgf->lock);

	if (put)
		vgf_buffer_put(buf);
	vgf_buffer_put(buf);

	return err;
}

/* The caller could not be told the handle: take the buffer back. */
void vgf_buffer_discard(struct vgf_ctx *ctx, u32 handle)
{
	struct vgf_dev *vgf = ctx->vgf;
	struct vgf_buffer *buf;
	bool put = false;

	spin_lock_irq(&vgf->lock);
	buf = vgf_buffer_find(ctx, handle);
	if (buf)
		put = vgf_buffer_drop(vgf, buf);
	spin_unlock_irq(&vgf->lock);

	if (put)
		vgf_buffer_put(buf);
}
