// SPDX-License-Identifier: MIT
/*
 * object.c - handles, and what refers to the objects that have one
 *
 * Owns the numbers given out and the counts of each object. Any thread, with
 * the device's lock. A number is given out again when the request that ended
 * its last owner is with the kernel: what uses it anew comes behind.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

int handle_get(struct vgpu_device *dev, unsigned int space, uint32_t *handle)
{
	struct handles *h = &dev->handles[space];

	if (h->nr_free) {
		*handle = h->free[--h->nr_free];
		return 0;
	}
	/* Room for all that is given out to come back: that can not fail. */
	if (h->next == h->room) {
		uint32_t room = h->room ? 2 * h->room : 64;
		uint32_t *p;

		if (room >= VGPUFRONT_HANDLE_MEM)
			return -ENOMEM;
		p = realloc(h->free, room * sizeof(*p));
		if (!p)
			return -ENOMEM;
		h->free = p;
		h->room = room;
	}
	*handle = ++h->next;
	return 0;
}

void handle_put(struct vgpu_device *dev, unsigned int space, uint32_t handle)
{
	struct handles *h = &dev->handles[space];

	h->free[h->nr_free++] = handle;
}

void object_init(struct object *obj, struct vgpu_device *dev,
		 enum object_type type)
{
	list_init(&obj->node);
	obj->dev = dev;
	obj->type = type;
	obj->refs = 1;
}

static void object_destroy(struct object *obj)
{
	list_del(&obj->node);
	if (obj->type == OBJECT_MEM)
		mem_destroy(container_of(obj, struct vgpu_mem, obj));
	else if (obj->type == OBJECT_MODULE)
		module_destroy(container_of(obj, struct vgpu_module, obj));
	else
		free(container_of(obj, struct vgpu_event, obj));
}

void object_put(struct object *obj)
{
	if (!--obj->refs && obj->type != OBJECT_BUFFER)
		object_destroy(obj);
}

int object_end(struct object *obj, uint8_t code, struct stream *st)
{
	struct vgpu_op *op;
	int err;

	op = op_new(obj->dev, code, 0, 0);
	if (!op)
		return -ENOMEM;
	op->quiet = true;
	op->sqe.handle.handle = obj->handle;
	op->ends = obj;
	obj->ender = op;
	err = op_start(op, st);
	if (err) {
		obj->ender = NULL;
		object_put(obj);
	}
	return err;
}

/* The request that ends it is with the kernel, or nothing is any more. */
void object_ended(struct object *obj)
{
	obj->ender = NULL;
	if (obj->type == OBJECT_MEM)
		handle_put(obj->dev, HANDLES_MEM, obj->handle);
	else if (obj->type == OBJECT_EVENT)
		handle_put(obj->dev, HANDLES_EVENT, obj->handle);
	else
		module_ended(container_of(obj, struct vgpu_module, obj));
	object_put(obj);
}

int ref_check(struct vgpu_device *dev, const struct vgpu_ref *ref,
	      uint64_t size, bool output, struct object **obj)
{
	uint64_t room;

	if (!ref->mem == !ref->buf)
		return -EINVAL;
	*obj = ref->mem ? &ref->mem->obj : &ref->buf->obj;
	room = ref->mem ? ref->mem->size : ref->buf->size;
	if ((*obj)->dev != dev)
		return -EINVAL;
	if (ref->offset > room || size > room - ref->offset)
		return -ERANGE;
	if (output && ref->buf && (ref->buf->flags & VGPU_BUFFER_READ_ONLY))
		return -EACCES;
	return 0;
}

/* With the device closing and all operations done. */
void objects_destroy(struct vgpu_device *dev)
{
	unsigned int i;

	while (!list_empty(&dev->objects))
		object_destroy((void *)dev->objects.next);
	for (i = 0; i < HANDLES; i++)
		free(dev->handles[i].free);
}
