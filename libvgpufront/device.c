// SPDX-License-Identifier: MIT
/*
 * device.c - an open device: from vgpu_open() to vgpu_close(), its facts, its
 * poll descriptor, and progress for those who poll
 *
 * Owns struct vgpu_device and its descriptors. Any thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_PATH "/dev/vgpufront"

/* All requests but ENTER simply start again after a signal. */
int dev_ioctl(struct vgpu_device *dev, unsigned long request, void *arg)
{
	int err;

	do
		err = sys_ioctl(dev->fd, request, arg);
	while (err == -EINTR);
	return err;
}

int dev_free_handle(struct vgpu_device *dev, uint32_t handle)
{
	struct vgpufront_buffer_free req = {.handle = handle};

	return dev_ioctl(dev, VGPUFRONT_IOC_BUFFER_FREE, &req);
}

int dev_alloc_pages(struct vgpu_device *dev, uint64_t size, uint32_t *handle,
		    void **ptr)
{
	struct vgpufront_buffer_alloc req = {.size = size};
	int err;

	err = dev_ioctl(dev, VGPUFRONT_IOC_BUFFER_ALLOC, &req);
	if (err)
		return err;
	err = sys_mmap(dev->fd, pages_of(size) * (size_t)PAGE, req.mmap_offset,
		       ptr);
	if (err)
		dev_free_handle(dev, req.handle);
	*handle = req.handle;
	return err;
}

int dev_lost(const struct vgpu_device *dev)
{
	return dev->closing ? -ECANCELED : dev->lost;
}

void dev_lock(struct vgpu_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (dev->shared)
		return;
	if (!dev->owned) {
		dev->owned = true;
		dev->owner = pthread_self();
	} else if (!pthread_equal(dev->owner, pthread_self())) {
		dev->shared = true;
	}
}

void dev_unlock(struct vgpu_device *dev)
{
	pthread_mutex_unlock(&dev->lock);
}

VISIBLE int vgpu_open(const char *path, struct vgpu_device **out)
{
	struct vgpufront_info info;
	struct vgpu_device *dev;
	int err;

	if (!out)
		return -EINVAL;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->epoll_fd = dev->event_fd = -1;
	dev->max_arenas = MAX_ARENAS;
	dev->batches = calloc(BATCHES, sizeof(*dev->batches));
	if (!dev->batches) {
		err = -ENOMEM;
		goto free;
	}
	queue_init(dev);
	list_init(&dev->ops);
	list_init(&dev->kicked);
	list_init(&dev->cheap);
	list_init(&dev->objects);
	list_init(&dev->buffers);
	list_init(&dev->waiters);
	dev->fd = sys_open(path ? path : DEFAULT_PATH);
	if (dev->fd < 0) {
		err = dev->fd;
		goto free;
	}
	err = dev_ioctl(dev, VGPUFRONT_IOC_INFO, &info);
	if (!err && info.abi != VGPUFRONT_ABI_VERSION)
		err = -EPROTONOSUPPORT;
	if (err)
		goto close;
	pthread_mutex_init(&dev->lock, NULL);
	pthread_cond_init(&dev->moved, NULL);
	*out = dev;
	return 0;
close:
	sys_close(dev->fd);
free:
	free(dev->batches);
	free(dev);
	return err;
}

VISIBLE void vgpu_close(struct vgpu_device *dev)
{
	struct vgpu_op *op;

	if (!dev)
		return;
	dev_lock(dev);
	dev->closing = true;
	queue_drop(dev, -ECANCELED);
	list_for_each(op, &dev->ops)
		op_kick(op);
	dev_run_cheap(dev);
	dev_wait(dev, NULL, -1);
	dev->closing = false;
	streams_quiesce(dev);
	dev_unlock(dev);
	objects_destroy(dev);
	buffers_destroy(dev);
	staging_destroy(dev);
	streams_destroy(dev);
	if (dev->epoll_fd >= 0) {
		close(dev->epoll_fd);
		close(dev->event_fd);
	}
	sys_close(dev->fd);
	pthread_cond_destroy(&dev->moved);
	pthread_mutex_destroy(&dev->lock);
	free(dev->batches);
	free(dev);
}

static void text(char *out, size_t room, const char *in, size_t len)
{
	if (len > room - 1)
		len = room - 1;
	len = strnlen(in, len);
	memcpy(out, in, len);
}
#define TEXT(out, in) text(out, sizeof(out), in, sizeof(in))

VISIBLE int vgpu_get_info(struct vgpu_device *dev, struct vgpu_device_info *out)
{
	struct vgpufront_info in;
	int err;

	if (!dev || !out)
		return -EINVAL;
	err = dev_ioctl(dev, VGPUFRONT_IOC_INFO, &in);
	if (err)
		return err;
	*out = (struct vgpu_device_info){
		.state = in.state,
		.generation = in.generation,
		.lost = in.lost,
		.backend_domid = in.backend_domid,
		.devid = in.devid,
		.ring_slots = in.ring_slots,
		.nr_buffers = in.nr_buffers,
		.nr_objects = in.nr_objects,
		.launches = in.launches,
		.max_buffer_size = (uint64_t)in.max_buffer_pages * PAGE,
		.mem_total = in.mem_total ? in.mem_total : in.gpu_memory,
		.mem_free = in.mem_free,
		.mem_quota = in.mem_quota,
		.mem_used = in.mem_used,
		.requests = in.requests,
		.errors = in.errors,
		.busy_ns = in.busy_ns,
		.temperature_mc = in.temperature_mc,
		.power_mw = in.power_mw,
		.utilization = in.utilization,
	};
	TEXT(out->engine, in.engine);
	TEXT(out->gpu_name, in.gpu_name);
	TEXT(out->gpu_uuid, in.gpu_uuid);
	TEXT(out->compute_capability, in.compute_capability);
	TEXT(out->driver_version, in.driver_version);
	TEXT(out->ops, in.ops);
	TEXT(out->builtins, in.builtins);
	return 0;
}

/*
 * The descriptor is an epoll of the device, readable when the kernel has
 * completions, and of an eventfd, readable when another thread took what the
 * poller would have been told of.
 */
static int poll_open(struct vgpu_device *dev)
{
	struct epoll_event event = {.events = EPOLLIN};
	int ep, ev, err;

	ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ev < 0)
		return -errno;
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ev, &event) ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, dev->fd, &event)) {
		err = -errno;
		if (ep >= 0)
			close(ep);
		close(ev);
		return err;
	}
	dev->event_fd = ev;
	dev->epoll_fd = ep;
	/* What finished before there was a descriptor counts too. */
	dev_notify(dev);
	return 0;
}

VISIBLE int vgpu_fd(struct vgpu_device *dev)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->epoll_fd < 0)
		ret = poll_open(dev);
	if (!ret)
		ret = dev->epoll_fd;
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* There is something for vgpu_process() that the device does not tell. */
void dev_notify(struct vgpu_device *dev)
{
	/* It can only fail when the counter is full, hence readable. */
	if (dev->event_fd >= 0)
		(void)eventfd_write(dev->event_fd, 1);
}

/*
 * Where other programs fill the ring and nothing of ours is in flight, no
 * completion will tell when what is pending can be sent.
 */
void dev_watch_room(struct vgpu_device *dev)
{
	struct epoll_event event = {.events = EPOLLIN};
	bool room = dev_unsent(dev) && !dev->inflight && !dev->batching;

	if (dev->epoll_fd < 0 || dev->watches_room == room)
		return;
	dev->watches_room = room;
	if (room)
		event.events |= EPOLLOUT;
	/* Can not fail: the descriptor is there, and nothing is allocated. */
	(void)epoll_ctl(dev->epoll_fd, EPOLL_CTL_MOD, dev->fd, &event);
}

void dev_progress(struct vgpu_device *dev)
{
	struct vgpu_op *op;

	/* Also with nothing in flight: it tells when the device is lost. */
	if (!dev->leader)
		dev_enter(dev, true, true, 0);
	dev_submit(dev);
	while ((op = op_next_kicked(dev))) {
		op_advance(op);
		dev_submit(dev);
	}
}

VISIBLE int vgpu_process(struct vgpu_device *dev)
{
	eventfd_t count;
	int ret;

	dev_lock(dev);
	dev_progress(dev);
	/* Nothing is left; what comes later notifies again. */
	if (dev->event_fd >= 0)
		(void)eventfd_read(dev->event_fd, &count);
	ret = (int)dev->finished;
	dev->finished = 0;
	if (!ret && dev->lost)
		ret = dev->lost;
	dev_wake_next(dev);
	dev_unlock(dev);
	return ret;
}

VISIBLE void vgpu_batch_begin(struct vgpu_device *dev)
{
	dev_lock(dev);
	dev->batching++;
	dev_unlock(dev);
}

VISIBLE int vgpu_batch_end(struct vgpu_device *dev)
{
	int err = -EINVAL;

	dev_lock(dev);
	if (dev->batching) {
		dev->batching--;
		err = dev->batching ? dev_lost(dev) : dev_flush(dev);
		dev_submit_unless_batching(dev);
	}
	dev_unlock(dev);
	return err;
}
