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
	object_init(&buf->obj, dev, OBJECT_BUFFER);
	buf->size = size;
	return buf;
}

static void buffer_publish(struct vgpu_buffer *buf)
{
	pthread_mutex_lock(&buf->obj.dev->lock);
	list_add_tail(&buf->obj.dev->buffers, &buf->obj.node);
	pthread_mutex_unlock(&buf->obj.dev->lock);
}

VISIBLE int vgpu_buffer_alloc(struct vgpu_device *dev, size_t size,
			      struct vgpu_buffer **out)
{
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
	err = dev_alloc_pages(dev, size, &buf->obj.handle, &ptr);
	if (err) {
		free(buf);
		return err;
	}
	buf->mapped = pages_of(size) * (size_t)PAGE;
	buf->ptr = ptr;
	buffer_publish(buf);
	*out = buf;
	return 0;
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
	buf->obj.handle = req.handle;
	buf->flags = flags;
	buffer_publish(buf);
	*out = buf;
	return 0;
}

/* Sends what may name it; nothing will any more. */
static int buffer_hide(struct vgpu_buffer *buf)
{
	struct vgpu_device *dev = buf->obj.dev;
	int err = 0;

	dev_lock(dev);
	/* An operation names it until it is known that its work is done. */
	if (buf->obj.refs > 1) {
		dev_progress(dev);
		dev_wake_next(dev);
	}
	if (!buf->obj.unsent)
		dev_flush(dev);
	if (buf->obj.refs > 1)
		err = -EBUSY;
	else
		list_del(&buf->obj.node);
	dev_unlock(dev);
	return err;
}

static int buffer_drop(struct vgpu_buffer *buf, bool allocated)
{
	int err;

	if (!buf)
		return 0;
	if (!buf->mapped == allocated)
		return -EINVAL;
	err = buffer_hide(buf);
	if (err)
		return err;
	err = dev_free_handle(buf->obj.dev, buf->obj.handle);
	if (err == -EBUSY) {
		/* Requests that nobody waits for use it. */
		buffer_publish(buf);
		return err;
	}
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

/* For lists of them: the object is the first member. */
#define for_each_buffer(buf, dev)                                              \
	for (buf = (void *)(dev)->buffers.next;                                \
	     (struct list *)(void *)buf != &(dev)->buffers;                    \
	     buf = (void *)buf->obj.node.next)

/*
 * The buffer that size bytes at ptr lie wholly in, at a multiple of align. One
 * that is only an input does for an output where there is no other.
 */
struct vgpu_buffer *buffer_find(struct vgpu_device *dev, const void *ptr,
				size_t size, unsigned int align, bool output)
{
	struct vgpu_buffer *buf, *read_only = NULL;

	for_each_buffer(buf, dev)
	{
		size_t offset = (uintptr_t)ptr - (uintptr_t)buf->ptr;

		if (offset > buf->size || size > buf->size - offset ||
		    offset % align)
			continue;
		if (!output || !(buf->flags & VGPU_BUFFER_READ_ONLY))
			return buf;
		read_only = buf;
	}
	return read_only;
}

/* Does any byte lie in a buffer, so that work nobody waits for may write it? */
bool buffer_touched(struct vgpu_device *dev, const void *ptr, size_t size)
{
	uintptr_t at = (uintptr_t)ptr;
	struct vgpu_buffer *buf;

	for_each_buffer(buf, dev)
	{
		uintptr_t start = (uintptr_t)buf->ptr;

		if (at < start + buf->size && start < at + size)
			return true;
	}
	return false;
}

/* With the device closing and all operations done. */
void buffers_destroy(struct vgpu_device *dev)
{
	while (!list_empty(&dev->buffers)) {
		struct vgpu_buffer *buf = (void *)dev->buffers.next;

		/* The kernel takes the pages back when it closes the file. */
		list_del(&buf->obj.node);
		if (buf->mapped)
			sys_munmap(buf->ptr, buf->mapped);
		free(buf);
	}
}
