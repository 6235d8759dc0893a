// SPDX-License-Identifier: MIT
/*
 * buffer.c - the caller's buffers: shared memory and registered memory
 *
 * Owns the list of them, in which operands are looked up. Any thread. Must
 * never free a buffer that an unfinished operation uses.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static struct vgpu_buffer *buffer_new(struct vgpu_device *dev, size_t size)
{
	struct vgpu_buffer *buf = calloc(1, sizeof(*buf));

	if (!buf)
		return NULL;
	list_init(&buf->node);
	buf->dev = dev;
	buf->size = size;
	return buf;
}

static void buffer_publish(struct vgpu_buffer *buf)
{
	pthread_mutex_lock(&buf->dev->lock);
	list_add_tail(&buf->dev->buffers, &buf->node);
	pthread_mutex_unlock(&buf->dev->lock);
}

VISIBLE int vgpu_buffer_alloc(struct vgpu_device *dev, size_t size,
			      struct vgpu_buffer **out)
{
	struct vgpufront_buffer_alloc req = {.size = size};
	struct vgpu_buffer *buf;
	void *ptr;
	int err;

	if (!dev || !out || !size)
		return -EINVAL;
	if (size > SIZE_MAX - PAGE)
		return -E2BIG;
	buf = buffer_new(dev, size);
	if (!buf)
		return -ENOMEM;
	err = dev_ioctl(dev, VGPUFRONT_IOC_BUFFER_ALLOC, &req);
	if (err)
		goto free;
	buf->mapped = (size + PAGE - 1) / PAGE * PAGE;
	err = sys_mmap(dev->fd, buf->mapped, req.mmap_offset, &ptr);
	if (err) {
		dev_free_handle(dev, req.handle);
		goto free;
	}
	buf->ptr = ptr;
	buf->handle = req.handle;
	buffer_publish(buf);
	*out = buf;
	return 0;
free:
	free(buf);
	return err;
}

VISIBLE int vgpu_buffer_register(struct vgpu_device *dev, void *addr,
				 size_t size, unsigned int flags,
				 struct vgpu_buffer **out)
{
	struct vgpufront_buffer_register req = {
		.addr = (uintptr_t)addr,
		.size = size,
	};
	struct vgpu_buffer *buf;
	int err;

	if (!dev || !out || !size || (uintptr_t)addr % 4 ||
	    (flags & ~VGPU_BUFFER_READ_ONLY))
		return -EINVAL;
	if (!addr || (uintptr_t)addr + size < (uintptr_t)addr)
		return -EFAULT;
	if (flags & VGPU_BUFFER_READ_ONLY)
		req.flags = VGPUFRONT_BUFFER_READ_ONLY;
	buf = buffer_new(dev, size);
	if (!buf)
		return -ENOMEM;
	err = dev_ioctl(dev, VGPUFRONT_IOC_BUFFER_REGISTER, &req);
	if (err) {
		free(buf);
		return err;
	}
	buf->ptr = addr;
	buf->handle = req.handle;
	buf->flags = flags;
	buffer_publish(buf);
	*out = buf;
	return 0;
}

static int buffer_drop(struct vgpu_buffer *buf, bool allocated)
{
	struct vgpu_device *dev;
	int err;

	if (!buf)
		return 0;
	if (!buf->mapped == allocated)
		return -EINVAL;
	dev = buf->dev;
	pthread_mutex_lock(&dev->lock);
	if (buf->users) {
		pthread_mutex_unlock(&dev->lock);
		return -EBUSY;
	}
	list_del(&buf->node);
	pthread_mutex_unlock(&dev->lock);
	err = dev_free_handle(dev, buf->handle);
	if (buf->mapped)
		sys_munmap(buf->ptr, buf->mapped);
	free(buf);
	return err;
}

VISIBLE int vgpu_buffer_free(struct vgpu_buffer *buf)
{
	return buffer_drop(buf, true);
}

VISIBLE int vgpu_buffer_unregister(struct vgpu_buffer *buf)
{
	return buffer_drop(buf, false);
}

VISIBLE void *vgpu_buffer_ptr(const struct vgpu_buffer *buf)
{
	return buf->ptr;
}

VISIBLE size_t vgpu_buffer_size(const struct vgpu_buffer *buf)
{
	return buf->size;
}

/*
 * The buffer that size bytes at ptr lie wholly in, element by element. One that
 * is only an input does for an output where there is no other.
 */
struct vgpu_buffer *buffer_find(struct vgpu_device *dev, const void *ptr,
				size_t size, bool output)
{
	struct vgpu_buffer *buf, *read_only = NULL;

	list_for_each(buf, &dev->buffers) {
		size_t offset = (uintptr_t)ptr - (uintptr_t)buf->ptr;

		if (offset > buf->size || size > buf->size - offset ||
		    offset % 4)
			continue;
		if (!output || !(buf->flags & VGPU_BUFFER_READ_ONLY))
			return buf;
		read_only = buf;
	}
	return read_only;
}

/* With the device closing and all operations done. */
void buffers_destroy(struct vgpu_device *dev)
{
	while (!list_empty(&dev->buffers)) {
		struct vgpu_buffer *buf = (void *)dev->buffers.next;

		/* The kernel takes the pages back when it closes the file. */
		list_del(&buf->node);
		if (buf->mapped)
			sys_munmap(buf->ptr, buf->mapped);
		free(buf);
	}
}
