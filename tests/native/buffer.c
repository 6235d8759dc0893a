// SPDX-License-Identifier: MIT
/*
 * buffer.c - a guest's buffers (see buffer.h)
 */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

void buffer_forget(struct front *f, struct front_buffer *b)
{
	if (b->base)
		guest_view_end(b->base, b->nr_pages);
	if (b->first_page)
		guest_free(&f->mem, b->first_page, b->nr_pages + b->nr_dirs);
	free(b->pages);
	free(b->refs);
	memset(b, 0, sizeof(*b));
}

/* Backwards, every page is followed by one that lies before it. */
static void number_pages(struct front_buffer *b, bool scattered)
{
	for (uint32_t i = 0; i < b->nr_pages + b->nr_dirs; i++)
		b->pages[i] = b->first_page + i;
	for (uint32_t i = 0; scattered && i < b->nr_pages; i++)
		b->pages[i] = b->first_page + b->nr_pages - 1 - i;
}

static void fill_directories(struct front *f, const struct front_buffer *b)
{
	for (uint32_t i = 0, done = 0; i < b->nr_dirs; i++) {
		struct vgpu_page_directory *dir =
			guest_at(&f->mem, b->pages[b->nr_pages + i]);
		uint32_t n = b->nr_pages - done;

		if (n > VGPU_GREFS_PER_DIRECTORY)
			n = VGPU_GREFS_PER_DIRECTORY;
		memcpy(dir->gref, b->refs + done, n * sizeof(*b->refs));
		done += n;
		dir->next =
			i + 1 < b->nr_dirs ? b->refs[b->nr_pages + i + 1] : 0;
	}
}

bool buffer_make(struct front *f, struct front_buffer *b, uint32_t handle,
		 uint64_t length, uint32_t first_offset, bool read_only,
		 bool scattered)
{
	uint32_t n = (first_offset + length + NX_PAGE - 1) / NX_PAGE;
	uint32_t dirs =
		(n + VGPU_GREFS_PER_DIRECTORY - 1) / VGPU_GREFS_PER_DIRECTORY;

	*b = (struct front_buffer){
		.handle = handle,
		.length = length,
		.first_offset = first_offset,
		.nr_pages = n,
		.nr_dirs = dirs,
		.read_only = read_only,
		.first_page = guest_alloc(&f->mem, n + dirs),
		.pages = calloc(n + dirs, sizeof(uint32_t)),
		.refs = calloc(n + dirs, sizeof(uint32_t)),
	};
	if (!b->first_page || !b->pages || !b->refs) {
		buffer_forget(f, b);
		return false;
	}
	number_pages(b, scattered);
	if (!guest_grant(&f->mem, f->back_id, read_only, b->pages, n,
			 b->refs)) {
		buffer_forget(f, b);
		return false;
	}
	if (!guest_grant(&f->mem, f->back_id, true, b->pages + n, dirs,
			 b->refs + n)) {
		guest_end_grant(&f->mem, b->refs, n);
		buffer_forget(f, b);
		return false;
	}
	fill_directories(f, b);
	b->base = guest_view(&f->mem, b->pages, n);
	b->data = b->base + first_offset;
	return true;
}

bool buffer_free(struct front *f, struct front_buffer *b)
{
	if (!guest_end_grant(&f->mem, b->refs, b->nr_pages + b->nr_dirs))
		return false;
	buffer_forget(f, b);
	return true;
}

struct vgpu_request front_request(uint8_t op)
{
	return (struct vgpu_request){.op = op, .ctx = FRONT_CTX};
}

struct vgpu_request buffer_map_request(const struct front_buffer *b)
{
	struct vgpu_request req = front_request(VGPU_OP_BUFFER_MAP);

	req.u.map = (struct vgpu_buffer_map_req){
		.handle = b->handle,
		.flags = b->read_only ? VGPU_BUF_READ_ONLY : 0,
		.directory = b->refs[b->nr_pages],
		.nr_pages = b->nr_pages,
		.first_offset = b->first_offset,
		.length = b->length,
	};
	return req;
}

struct vgpu_request buffer_unmap_request(const struct front_buffer *b)
{
	struct vgpu_request req = front_request(VGPU_OP_BUFFER_UNMAP);

	req.u.handle.handle = b->handle;
	return req;
}

struct vgpu_request add_request(const struct front_buffer *a,
				const struct front_buffer *b,
				const struct front_buffer *c, uint32_t n)
{
	const struct front_buffer *const operand[] = {a, b, c};
	struct vgpu_request req = front_request(VGPU_OP_BUILTIN);

	req.u.builtin.kernel = VGPU_KERNEL_VECTOR_ADD;
	for (int i = 0; i < 3; i++) {
		req.u.builtin.operand[i].handle = operand[i]->handle;
		req.u.builtin.operand[i].count = n;
	}
	return req;
}
