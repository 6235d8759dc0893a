// SPDX-License-Identifier: MIT
/*
 * buffer.c - maps, finds and unmaps guest buffers (see buffer.h)
 */
#include "buffer.h"

#include <string.h>

static struct buffer *lookup(struct buffers *b, uint32_t handle)
{
	if (!handle || handle > BACK_MAX_BUFFERS || !b->table[handle].used)
		return NULL;
	return &b->table[handle];
}

struct buffer *buffer_get(struct buffers *b, uint16_t ctx, uint32_t handle)
{
	struct buffer *buf = lookup(b, handle);

	return buf && buf->ctx == ctx ? buf : NULL;
}

static void unmap(struct buffers *b, struct buffer *buf)
{
	if (buf->region)
		vgpu_engine_region_remove(b->eng, buf->region);
	grants_unmap(b->grants, buf->base, buf->nr_pages);
	b->stats->buffers--;
	b->stats->bytes_mapped -= (uint64_t)buf->nr_pages * VGPUIF_PAGE_SIZE;
	memset(buf, 0, sizeof(*buf));
}

enum vgpu_status buffer_map(struct buffers *b, uint16_t ctx,
			    const struct vgpu_buffer_map_req *req)
{
	struct buffer *buf = &b->table[req->handle];
	bool read_only = req->flags & VGPU_BUF_READ_ONLY;
	uint64_t bytes = (uint64_t)req->nr_pages * VGPUIF_PAGE_SIZE;
	enum vgpu_status status;
	void *base;

	if (buf->used)
		return VGPU_RSP_EXISTS;
	if (b->stats->bytes_mapped + bytes >
	    (uint64_t)b->max_pages * VGPUIF_PAGE_SIZE)
		return VGPU_RSP_QUOTA;
	status = grants_map_directory(b->grants, req->directory, req->nr_pages,
				      read_only, &base);
	if (status)
		return status;
	*buf = (struct buffer){
		.data = (uint8_t *)base + req->first_offset,
		.base = base,
		.length = req->length,
		.nr_pages = req->nr_pages,
		.ctx = ctx,
		.used = true,
		.read_only = read_only,
	};
	if (b->eng)
		buf->region =
			vgpu_engine_region_add(b->eng, base, bytes, read_only);
	b->stats->buffers++;
	b->stats->bytes_mapped += bytes;
	return VGPU_RSP_OK;
}

enum vgpu_status buffer_unmap(struct buffers *b, uint16_t ctx, uint32_t handle)
{
	struct buffer *buf = buffer_get(b, ctx, handle);

	if (!buf)
		return VGPU_RSP_NO_HANDLE;
	if (buf->uses)
		return VGPU_RSP_BUSY;
	unmap(b, buf);
	return VGPU_RSP_OK;
}

void buffer_unmap_ctx(struct buffers *b, uint16_t ctx)
{
	for (uint32_t i = 1; i <= BACK_MAX_BUFFERS; i++)
		if (b->table[i].used && b->table[i].ctx == ctx)
			unmap(b, &b->table[i]);
}

void buffer_unmap_all(struct buffers *b)
{
	for (uint32_t i = 1; i <= BACK_MAX_BUFFERS; i++)
		if (b->table[i].used)
			unmap(b, &b->table[i]);
}
