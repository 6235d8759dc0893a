// SPDX-License-Identifier: MIT
/*
 * device_buffer.c - buffers of the device in user space
 *
 * Pages of the guest, granted and mapped by the backend. Runs with the lock,
 * which waiting for the backend drops: a buffer that is being freed can not be
 * found any more.
 */
#include "device_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t take_wire_handle(void)
{
	for (uint32_t i = 1; i <= vdev.f->limits.buffers; i++) {
		if (vdev.wire_handle[i])
			continue;
		vdev.wire_handle[i] = true;
		return i;
	}
	return 0;
}

/* The backend has it mapped no more. */
static void drop(struct device_buffer *buf)
{
	vdev.wire_handle[buf->mem.handle] = false;
	if (!buffer_free(vdev.f, &buf->mem))
		abort();
	free(buf);
}

static int slot_of(const struct context *ctx)
{
	for (int i = 0; i < VGPUFRONT_MAX_BUFFERS; i++)
		if (!ctx->buf[i])
			return i;
	return -1;
}

bool buffer_target(void *owner, uint32_t handle, struct vgpufront_target *out)
{
	const struct context *ctx = owner;
	const struct device_buffer *buf = ctx->buf[handle - 1];

	if (!buf || !buf->mapped)
		return false;
	out->handle = buf->mem.handle;
	out->read_only = buf->mem.read_only;
	out->length = buf->mem.length;
	return true;
}

int buffer_alloc(struct context *ctx, struct vgpufront_buffer_alloc *arg)
{
	const uint64_t pages = arg->size / NX_PAGE + !!(arg->size % NX_PAGE);
	struct device_buffer *buf;
	struct vgpu_request req;
	struct vgpu_response rsp;
	int slot = slot_of(ctx), err;
	uint32_t handle;

	if (!arg->size || arg->flags)
		return -EINVAL;
	if (pages > vdev.f->limits.buffer_pages)
		return -E2BIG;
	if (vdev.lost)
		return -ENODEV;
	handle = slot < 0 ? 0 : take_wire_handle();
	if (!handle)
		return -EMFILE;
	buf = calloc(1, sizeof(*buf));
	if (!buf || !buffer_make(vdev.f, &buf->mem, handle, arg->size, 0, false,
				 false)) {
		vdev.wire_handle[handle] = false;
		free(buf);
		return -ENOSPC;
	}
	ctx->buf[slot] = buf;
	req = buffer_map_request(&buf->mem);
	err = dev_call(ctx, &req, &rsp);
	if (err || rsp.status) {
		ctx->buf[slot] = NULL;
		drop(buf);
		return err ? err : dev_status_errno(rsp.status);
	}
	buf->mapped = true;
	arg->handle = slot + 1;
	arg->mmap_offset = (uint64_t)arg->handle << MMAP_SHIFT;
	return 0;
}

int buffer_release(struct context *ctx, const struct vgpufront_buffer_free *arg)
{
	struct device_buffer *buf;
	struct vgpu_response rsp;
	struct vgpu_request req;
	int err;

	if (arg->reserved)
		return -EINVAL;
	if (!arg->handle || arg->handle > VGPUFRONT_MAX_BUFFERS)
		return -ENOENT;
	buf = ctx->buf[arg->handle - 1];
	if (!buf || !buf->mapped)
		return -ENOENT;
	if (buf->in_use)
		return -EBUSY;
	buf->mapped = false;
	if (!vdev.lost) {
		req = buffer_unmap_request(&buf->mem);
		err = dev_call(ctx, &req, &rsp);
		/* Nothing that names it is in flight: it can not be busy. */
		if (!err && rsp.status)
			abort();
	}
	ctx->buf[arg->handle - 1] = NULL;
	drop(buf);
	return 0;
}

void buffers_drop(struct context *ctx)
{
	for (int i = 0; i < VGPUFRONT_MAX_BUFFERS; i++) {
		if (ctx->buf[i])
			drop(ctx->buf[i]);
		ctx->buf[i] = NULL;
	}
}
