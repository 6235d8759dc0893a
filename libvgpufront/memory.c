// SPDX-License-Identifier: MIT
/*
 * memory.c - memory of the device, and which one an address lies in
 *
 * Any thread. The tree of addresses (tsearch(3), balanced) has what a caller
 * asked the address of and has not freed.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "internal.h"

static int mem_compare(const void *a, const void *b)
{
	const struct vgpu_mem *x = a, *y = b;

	/* Two memories do not overlap; the one looked for is a byte of one. */
	if (x->address + x->size <= y->address)
		return -1;
	return y->address + y->size <= x->address;
}

static int mem_begin(struct vgpu_mem *mem, struct stream *st)
{
	struct vgpu_device *dev = mem->obj.dev;
	struct vgpu_op *op;
	int err;

	err = stream_checkpoint(dev, st);
	if (err)
		return err;
	op = op_new(dev, VGPUFRONT_OP_MEM_ALLOC, 1, 0);
	if (!op)
		return -ENOMEM;
	op->sqe.mem_alloc.handle = mem->obj.handle;
	op->sqe.mem_alloc.length = mem->size;
	op_name(op, &mem->obj);
	mem->alloc = op;
	return op_start(op, st);
}

/* With the lock. */
static int mem_make(struct vgpu_mem *mem, unsigned int stream)
{
	struct vgpu_device *dev = mem->obj.dev;
	struct stream *st;
	uint32_t handle;
	int err;

	err = stream_use(dev, stream, &st);
	if (!err)
		err = handle_get(dev, HANDLES_MEM, &handle);
	if (err)
		return err;
	mem->obj.handle = handle | VGPUFRONT_HANDLE_MEM;
	list_add_tail(&dev->objects, &mem->obj.node);
	err = mem_begin(mem, st);
	if (err) {
		list_del(&mem->obj.node);
		handle_put(dev, HANDLES_MEM, mem->obj.handle);
	}
	return err;
}

VISIBLE int vgpu_mem_alloc(struct vgpu_device *dev, size_t size,
			   unsigned int stream, struct vgpu_mem **out)
{
	struct vgpu_mem *mem;
	int err;

	if (!dev || !out || !size)
		return -EINVAL;
	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return -ENOMEM;
	object_init(&mem->obj, dev, OBJECT_MEM);
	mem->size = size;
	dev_lock(dev);
	err = mem_make(mem, stream);
	dev_unlock(dev);
	if (err)
		free(mem);
	else
		*out = mem;
	return err;
}

void mem_allocated(struct vgpu_mem *mem, struct vgpu_op *op)
{
	mem->alloc = NULL;
	mem->err = op->result;
	mem->address = op->value;
}

static void mem_forget(struct vgpu_mem *mem)
{
	if (mem->found)
		tdelete(mem, &mem->obj.dev->addresses, mem_compare);
	mem->found = false;
}

void mem_destroy(struct vgpu_mem *mem)
{
	mem_forget(mem);
	free(mem);
}

VISIBLE int vgpu_mem_free(struct vgpu_mem *mem, unsigned int stream)
{
	struct vgpu_device *dev;
	struct stream *st;
	int err, end_err = 0;

	if (!mem)
		return 0;
	dev = mem->obj.dev;
	dev_lock(dev);
	mem_forget(mem);
	err = stream_use(dev, stream, &st);
	if (!mem->alloc && mem->err) {
		/* There never was any. */
		object_ended(&mem->obj);
		end_err = dev_lost(dev);
	} else if (!err || !stream_service(dev, &st)) {
		end_err = object_end(&mem->obj, VGPUFRONT_OP_MEM_FREE, st);
	}
	dev_unlock(dev);
	return err ? err : end_err;
}

/* With the lock. */
static int mem_find_later(struct vgpu_mem *mem)
{
	void *node;

	if (mem->found)
		return 0;
	node = tsearch(mem, &mem->obj.dev->addresses, mem_compare);
	if (!node)
		return -ENOMEM;
	/* What the backend says lies in another memory is no address. */
	if (*(struct vgpu_mem **)node != mem)
		return -EPROTO;
	mem->found = true;
	return 0;
}

VISIBLE int vgpu_mem_address(struct vgpu_mem *mem, uint64_t *address)
{
	struct vgpu_device *dev;
	int err;

	if (!mem || !address)
		return -EINVAL;
	dev = mem->obj.dev;
	dev_lock(dev);
	if (mem->alloc)
		dev_wait(dev, mem->alloc, -1);
	err = mem->err;
	if (!err && mem->address + mem->size < mem->address)
		err = -EPROTO;
	if (!err)
		err = mem_find_later(mem);
	if (!err)
		*address = mem->address;
	dev_unlock(dev);
	return err;
}

VISIBLE size_t vgpu_mem_size(const struct vgpu_mem *mem)
{
	return mem->size;
}

VISIBLE struct vgpu_mem *vgpu_mem_find(struct vgpu_device *dev,
				       uint64_t address, size_t *offset)
{
	struct vgpu_mem key = {.address = address, .size = 1};
	struct vgpu_mem **node, *mem;

	if (!dev || !offset || address == UINT64_MAX)
		return NULL;
	pthread_mutex_lock(&dev->lock);
	node = tfind(&key, &dev->addresses, mem_compare);
	/* The node may be gone when other memory is freed. */
	mem = node ? *node : NULL;
	pthread_mutex_unlock(&dev->lock);
	if (mem)
		*offset = address - mem->address;
	return mem;
}
