// SPDX-License-Identifier: MIT
/*
 * device.c - files of the device in user space (see device.h)
 *
 * Owns the contexts and what the library calls instead of the kernel; any
 * thread. A file's descriptor is an epoll, so that programs can wait for it.
 */
#include "device_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vgpu_nodes.h"
#include "vgpufront_parse.h"

/* INFO's answer has the arena's first octets; blocks come behind it. */
#define BLOCKS_AT sizeof(struct vgpu_info)

struct device vdev = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char *back_read(const char *node)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", vdev.f->back, node);
	return xs_read(vdev.f->xs, XBT_NULL, path, NULL);
}

static void read_text(const char *node, char *to, size_t size)
{
	char *text = back_read(node);

	vgpufront_copy_text(to, size, text ? text : "");
	free(text);
}
#define READ_TEXT(node, to) read_text(node, to, sizeof(to))

static void read_facts(void)
{
	struct vgpufront_info *i = &vdev.facts;
	char memory[24];

	*i = (struct vgpufront_info){
		.abi = VGPUFRONT_ABI_VERSION,
		.generation = 1,
		.backend_domid = vdev.f->back_id,
		.devid = vdev.f->devid,
		.ring_slots = RING_SIZE(&vdev.f->ring.front),
		.max_buffer_pages = vdev.f->limits.buffer_pages,
	};
	READ_TEXT(VGPU_NODE_ENGINE, i->engine);
	READ_TEXT(VGPU_NODE_GPU_NAME, i->gpu_name);
	READ_TEXT(VGPU_NODE_GPU_UUID, i->gpu_uuid);
	READ_TEXT(VGPU_NODE_COMPUTE_CAPABILITY, i->compute_capability);
	READ_TEXT(VGPU_NODE_DRIVER_VERSION, i->driver_version);
	READ_TEXT(VGPU_NODE_OPS, i->ops);
	READ_TEXT(VGPU_NODE_BUILTINS, i->builtins);
	READ_TEXT(VGPU_NODE_GPU_MEMORY, memory);
	i->gpu_memory = strtoull(memory, NULL, 10);
}

bool device_begin(struct front *f, bool spin)
{
	uint32_t octets = f->arena_pages * NX_PAGE;
	pthread_condattr_t attr;
	char path[128], **event;

	vdev.f = f;
	vdev.spin = spin;
	vdev.lost = false;
	vdev.next_ctx = FIRST_CTX;
	vdev.counts = (struct device_counts){0};
	vdev.before = f->counts;
	memset(vdev.inflight, 0, sizeof(vdev.inflight));
	vgpufront_arena_init(&vdev.arena, BLOCKS_AT, octets - BLOCKS_AT);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vdev.changed, &attr);
	pthread_condattr_destroy(&attr);
	free(vdev.wire_handle);
	vdev.wire_handle = calloc(f->limits.buffers + 1, sizeof(bool));
	snprintf(path, sizeof(path), "%s/" VGPU_NODE_STATE, f->back);
	if (!vdev.wire_handle || !xs_watch(f->xs, path, "device"))
		return false;
	/* The one that says that there is a watch. */
	while ((event = xs_check_watch(f->xs)))
		free(event);
	read_facts();
	return true;
}

bool device_lost(void)
{
	bool lost;

	pthread_mutex_lock(&vdev.lock);
	lost = vdev.lost;
	pthread_mutex_unlock(&vdev.lock);
	return lost;
}

struct device_counts device_counts(void)
{
	struct device_counts c;

	pthread_mutex_lock(&vdev.lock);
	c = vdev.counts;
	c.notify_sent = vdev.f->counts.notify_sent - vdev.before.notify_sent;
	c.events = vdev.f->counts.events - vdev.before.events;
	c.waits = vdev.f->counts.waits - vdev.before.waits;
	pthread_mutex_unlock(&vdev.lock);
	return c;
}

/* With the lock. */
static struct context *find(int fd)
{
	for (unsigned int i = 0; i < MAX_CONTEXTS; i++)
		if (vdev.ctx[i] && vdev.ctx[i]->fd == fd)
			return vdev.ctx[i];
	return NULL;
}

static bool poll_both(struct context *ctx)
{
	struct epoll_event event = {.events = EPOLLIN};

	ctx->fd = epoll_create1(EPOLL_CLOEXEC);
	ctx->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return ctx->fd >= 0 && ctx->event >= 0 &&
	       !epoll_ctl(ctx->fd, EPOLL_CTL_ADD, ctx->event, &event) &&
	       !epoll_ctl(ctx->fd, EPOLL_CTL_ADD, xenevtchn_fd(vdev.f->evt),
			  &event);
}

static void forget(struct context *ctx)
{
	close(ctx->event);
	close(ctx->fd);
	free(ctx);
}

int __wrap_sys_open(const char *path)
{
	struct context *ctx = calloc(1, sizeof(*ctx));
	unsigned int i = 0;

	(void)path;
	if (!ctx || !poll_both(ctx))
		abort();
	pthread_mutex_lock(&vdev.lock);
	while (i < MAX_CONTEXTS && vdev.ctx[i])
		i++;
	if (i < MAX_CONTEXTS) {
		vdev.ctx[i] = ctx;
		ctx->id = vdev.next_ctx++;
	}
	pthread_mutex_unlock(&vdev.lock);
	if (i < MAX_CONTEXTS)
		return ctx->fd;
	forget(ctx);
	return -EMFILE;
}

/* With the lock. The backend ends all work, then everything of the context. */
static void end(struct context *ctx)
{
	struct vgpu_request req = {.op = VGPU_OP_CTX_DESTROY};
	struct vgpu_response rsp;

	if (ctx->on_wire && !vdev.lost && !dev_call(ctx, &req, &rsp) &&
	    rsp.status)
		abort();
	buffers_drop(ctx);
	for (unsigned int i = 0; i < MAX_CONTEXTS; i++)
		if (vdev.ctx[i] == ctx)
			vdev.ctx[i] = NULL;
}

int __wrap_sys_close(int fd)
{
	struct context *ctx;

	pthread_mutex_lock(&vdev.lock);
	ctx = find(fd);
	if (ctx)
		end(ctx);
	pthread_mutex_unlock(&vdev.lock);
	if (!ctx)
		return -EBADF;
	forget(ctx);
	return 0;
}

void device_end(void)
{
	struct context *ctx;
	char path[128];

	for (unsigned int i = 0; i < MAX_CONTEXTS; i++) {
		pthread_mutex_lock(&vdev.lock);
		ctx = vdev.ctx[i];
		if (ctx)
			end(ctx);
		pthread_mutex_unlock(&vdev.lock);
		if (ctx)
			forget(ctx);
	}
	snprintf(path, sizeof(path), "%s/" VGPU_NODE_STATE, vdev.f->back);
	xs_unwatch(vdev.f->xs, path, "device");
	pthread_cond_destroy(&vdev.changed);
	free(vdev.wire_handle);
	vdev.wire_handle = NULL;
}

static void take_live(struct vgpufront_info *out)
{
	const struct vgpu_info *in = guest_at(&vdev.f->mem, vdev.f->arena_page);

	out->mem_total = in->mem_total;
	out->mem_free = in->mem_free;
	out->mem_quota = in->mem_quota;
	out->mem_used = in->mem_used;
	out->requests = in->requests;
	out->errors = in->errors;
	out->busy_ns = in->busy_ns;
	out->temperature_mc = in->temperature_mc;
	out->power_mw = in->power_mw;
	out->utilization = in->utilization;
	out->nr_buffers = in->nr_buffers;
	out->nr_objects = in->nr_objects;
	out->launches = in->launches;
}

static int info(struct context *ctx, struct vgpufront_info *out)
{
	struct vgpu_request req = {.op = VGPU_OP_INFO};
	struct vgpu_response rsp;

	while (vdev.info_busy)
		pthread_cond_wait(&vdev.changed, &vdev.lock);
	vdev.info_busy = true;
	*out = vdev.facts;
	req.u.info.length = sizeof(struct vgpu_info);
	if (!dev_call(ctx, &req, &rsp) && rsp.status == VGPU_RSP_OK)
		take_live(out);
	out->state = vdev.lost ? VGPUFRONT_STATE_DISCONNECTED :
				 VGPUFRONT_STATE_CONNECTED;
	out->lost = vdev.lost;
	vdev.info_busy = false;
	pthread_cond_broadcast(&vdev.changed);
	return 0;
}

static int request(struct context *ctx, unsigned long number, void *arg)
{
	if (number == VGPUFRONT_IOC_ENTER) {
		vdev.counts.enters++;
		return device_enter(ctx, arg);
	}
	vdev.counts.ioctls++;
	switch (number) {
	case VGPUFRONT_IOC_INFO:
		return info(ctx, arg);
	case VGPUFRONT_IOC_BUFFER_ALLOC:
		return buffer_alloc(ctx, arg);
	case VGPUFRONT_IOC_BUFFER_REGISTER:
		/* Memory that can not be granted: the library copies. */
		return -EFAULT;
	case VGPUFRONT_IOC_BUFFER_FREE:
		return buffer_release(ctx, arg);
	default:
		return -ENOTTY;
	}
}

int __wrap_sys_ioctl(int fd, unsigned long number, void *arg)
{
	struct context *ctx;
	int ret;

	pthread_mutex_lock(&vdev.lock);
	ctx = find(fd);
	ret = ctx ? request(ctx, number, arg) : -EBADF;
	dev_arm();
	dev_tell();
	pthread_mutex_unlock(&vdev.lock);
	return ret;
}

int __wrap_sys_mmap(int fd, size_t size, uint64_t offset, void **ptr)
{
	uint64_t handle = offset >> MMAP_SHIFT;
	const struct device_buffer *buf = NULL;
	struct context *ctx;

	pthread_mutex_lock(&vdev.lock);
	ctx = find(fd);
	if (ctx && handle && handle <= VGPUFRONT_MAX_BUFFERS)
		buf = ctx->buf[handle - 1];
	if (buf && size == buf->mem.nr_pages * NX_PAGE)
		*ptr = guest_view(&vdev.f->mem, buf->mem.pages,
				  buf->mem.nr_pages);
	else
		buf = NULL;
	pthread_mutex_unlock(&vdev.lock);
	return buf ? 0 : -EINVAL;
}
