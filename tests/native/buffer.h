/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - a guest's buffers: pages, directories, and the requests for them
 */
#ifndef NATIVE_BUFFER_H
#define NATIVE_BUFFER_H

#include "front.h"

/*
 * @data: the buffer's first octet; base is the page it is in
 * @pages, @refs: in the buffer's order; then those of its directories
 */
struct front_buffer {
	uint32_t handle;
	uint64_t length;
	uint32_t first_offset;
	uint32_t nr_pages;
	uint32_t nr_dirs;
	bool read_only;
	uint8_t *base;
	void *data;
	uint32_t first_page;
	uint32_t *pages;
	uint32_t *refs;
};

#define FRONT_CTX 1

/*
 * Memory and grants; no request is sent. scattered: no two pages follow each
 * other in the guest's memory. False: out of memory or grants.
 */
bool buffer_make(struct front *f, struct front_buffer *b, uint32_t handle,
		 uint64_t length, uint32_t first_offset, bool read_only,
		 bool scattered);
/* Ends the grants; false with EBUSY, and nothing done, where one is mapped. */
bool buffer_free(struct front *f, struct front_buffer *b);
/* The guest is dead: there are no grants to end. */
void buffer_forget(struct front *f, struct front_buffer *b);

/* Requests in FRONT_CTX, stream 0. */
struct vgpu_request front_request(uint8_t op);
struct vgpu_request buffer_map_request(const struct front_buffer *b);
struct vgpu_request buffer_unmap_request(const struct front_buffer *b);
/* c[0 ... n-1] = a + b, from the buffers' starts. */
struct vgpu_request add_request(const struct front_buffer *a,
				const struct front_buffer *b,
				const struct front_buffer *c, uint32_t n);

#endif /* NATIVE_BUFFER_H */
