// SPDX-License-Identifier: MIT
/*
 * launch.c - launches
 *
 * Any thread. The way to be short on: checks what the caller gave, without the
 * lock, and writes a slot of a batch.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static int check_dims(const struct vgpu_dim *grid, const struct vgpu_dim *block)
{
	if (!grid->x || !grid->y || !grid->z || !block->x || !block->y ||
	    !block->z)
		return -EINVAL;
	/* More than a request can say, and than any GPU can do. */
	if (block->x > UINT16_MAX || block->y > UINT16_MAX ||
	    block->z > UINT16_MAX)
		return -EDOM;
	return 0;
}

static void fill_launch(struct request *rq, const struct vgpu_function *fn,
			const struct vgpu_dim *grid,
			const struct vgpu_dim *block, uint32_t shared,
			size_t len)
{
	struct vgpufront_sqe *sqe = rq->sqe;

	sqe->launch.function = fn->handle;
	sqe->launch.grid[0] = grid->x;
	sqe->launch.grid[1] = grid->y;
	sqe->launch.grid[2] = grid->z;
	sqe->launch.block[0] = (uint16_t)block->x;
	sqe->launch.block[1] = (uint16_t)block->y;
	sqe->launch.block[2] = (uint16_t)block->z;
	sqe->launch.shared = shared;
	sqe->launch.args_len = (uint16_t)len;
	sqe->launch.args = len ? (uintptr_t)rq->blob : 0;
	request_name(rq, &fn->mod->obj);
}

/* Most values are of these sizes: a call of memcpy() costs more than they. */
static void put_value(unsigned char *to, const void *from, size_t size)
{
	if (size == 8)
		memcpy(to, from, 8);
	else if (size == 4)
		memcpy(to, from, 4);
	else
		memcpy(to, from, size);
}

VISIBLE int vgpu_launch(struct vgpu_function *fn, struct vgpu_dim grid,
			struct vgpu_dim block, uint32_t shared,
			unsigned int stream, void *const *params)
{
	struct request rq = {.event = NULL};
	unsigned int i;
	int err;

	if (!fn || (fn->nr_params && !params))
		return -EINVAL;
	err = check_dims(&grid, &block);
	for (i = 0; !err && i < fn->nr_params; i++)
		if (!params[i])
			err = -EINVAL;
	if (err)
		return err;
	err = request_begin(&rq, fn->mod->obj.dev, stream, VGPUFRONT_OP_LAUNCH,
			    fn->args_len, 1);
	if (err)
		return err;
	fill_launch(&rq, fn, &grid, &block, shared, fn->args_len);
	memset(rq.blob, 0, fn->args_len);
	for (i = 0; i < fn->nr_params; i++)
		put_value(rq.blob + fn->params[i].offset, params[i],
			  fn->params[i].size);
	return request_end(&rq);
}

static int check_relocs(struct vgpu_device *dev,
			const struct vgpu_reloc *relocs, unsigned int nr,
			size_t len)
{
	struct object *obj;
	unsigned int i;
	int err;

	if (nr > VGPUFRONT_MAX_RELOCS || (nr && !relocs))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (relocs[i].at % 8 || relocs[i].at > len ||
		    len - relocs[i].at < 8)
			return -EINVAL;
		err = ref_check(dev, &relocs[i].ref, 0, true, &obj);
		if (err)
			return err;
	}
	return 0;
}

static void fill_relocs(struct request *rq, const struct vgpu_reloc *relocs,
			unsigned int nr, size_t start)
{
	struct vgpufront_reloc *out = (void *)(rq->blob + start);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct vgpu_ref *ref = &relocs[i].ref;
		struct object *obj = ref->mem ? &ref->mem->obj : &ref->buf->obj;

		memcpy(rq->blob + relocs[i].at, &ref->offset, 8);
		out[i] = (struct vgpufront_reloc){
			.handle = obj->handle,
			.at = (uint16_t)relocs[i].at,
		};
		request_name(rq, obj);
	}
	rq->sqe->launch.relocs = nr ? (uintptr_t)out : 0;
	rq->sqe->launch.nr_relocs = (uint16_t)nr;
}

VISIBLE int vgpu_launch_packed(struct vgpu_function *fn, struct vgpu_dim grid,
			       struct vgpu_dim block, uint32_t shared,
			       unsigned int stream, const void *args,
			       size_t len, const struct vgpu_reloc *relocs,
			       unsigned int nr)
{
	struct request rq = {.event = NULL};
	size_t start = (len + 7) / 8 * 8;
	struct vgpu_device *dev;
	int err;

	if (!fn || len > VGPUFRONT_MAX_ARGS || (len && !args))
		return -EINVAL;
	dev = fn->mod->obj.dev;
	err = check_dims(&grid, &block);
	if (!err)
		err = check_relocs(dev, relocs, nr, len);
	if (!err)
		err = request_begin(&rq, dev, stream, VGPUFRONT_OP_LAUNCH,
				    start + nr * sizeof(struct vgpufront_reloc),
				    1 + nr);
	if (err)
		return err;
	fill_launch(&rq, fn, &grid, &block, shared, len);
	if (len)
		memcpy(rq.blob, args, len);
	fill_relocs(&rq, relocs, nr, start);
	return request_end(&rq);
}
