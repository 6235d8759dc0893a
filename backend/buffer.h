/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - the table of a device's guest buffers
 *
 * Owns the mappings of all buffers and the engine's regions on them. Used by
 * the worker's thread. A buffer with uses is never unmapped: an engine may be
 * working in it. The region lives from the mapping to the unmapping, never
 * longer: the device must be out of the pages before they go back to the guest.
 */
#ifndef VGPU_BACKEND_BUFFER_H
#define VGPU_BACKEND_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "grants.h"
#include "limits.h"
#include "stats.h"

/*
 * @data: the buffer's first octet: base + first_offset
 * @region: the engine's name for all of the mapping; NULL: it has none
 * @uses: operands of requests in flight
 */
struct buffer {
	uint8_t *data;
	void *base;
	struct vgpu_engine_region *region;
	uint64_t length;
	uint32_t nr_pages;
	uint32_t uses;
	uint16_t ctx;
	bool used;
	bool read_only;
};

/*
 * Index is the handle; 0 stays unused.
 *
 * @eng: where mappings become regions; NULL: nowhere
 * @max_pages: bound of the pages mapped at a time
 */
struct buffers {
	struct grants *grants;
	struct vgpu_engine *eng;
	struct vgpu_stats *stats;
	uint32_t max_pages;
	struct buffer table[BACK_MAX_BUFFERS + 1];
};

/* The fields of req are checked (request_check). */
enum vgpu_status buffer_map(struct buffers *b, uint16_t ctx,
			    const struct vgpu_buffer_map_req *req);
enum vgpu_status buffer_unmap(struct buffers *b, uint16_t ctx, uint32_t handle);

/* NULL: no buffer of that handle in that context. */
struct buffer *buffer_get(struct buffers *b, uint16_t ctx, uint32_t handle);

/* Unmap all of a context, or of the device; none has uses. */
void buffer_unmap_ctx(struct buffers *b, uint16_t ctx);
void buffer_unmap_all(struct buffers *b);

#endif /* VGPU_BACKEND_BUFFER_H */
