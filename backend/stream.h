/* SPDX-License-Identifier: MIT */
/*
 * stream.h - a device's streams: found by context and id, at the same cost
 * however many there are
 *
 * Owns the engine's streams. Used by the worker's thread. Room for all of them
 * is there from the start, so that no guest makes the worker grow; one that
 * picks ids which share a chain slows down itself alone.
 */
#ifndef VGPU_BACKEND_STREAM_H
#define VGPU_BACKEND_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "limits.h"

#define STREAM_CHAINS 256

/* Free where eng_stream is NULL. @next: in its chain, or of the free ones. */
struct stream {
	struct vgpu_engine_stream *eng_stream;
	struct stream *next;
	uint32_t inflight;
	uint16_t ctx;
	uint16_t id;
};

struct streams {
	struct stream slot[BACK_MAX_STREAMS];
	struct stream *chain[STREAM_CHAINS];
	struct stream *free;
};

/* st is all zero before. */
void streams_init(struct streams *st);

/* NULL: there is none. */
struct stream *stream_find(struct streams *st, uint16_t ctx, uint16_t id);

/* There is none of that name yet. VGPU_RSP_QUOTA: there is no room for one. */
enum vgpu_status stream_make(struct streams *st, struct vgpu_engine *eng,
			     uint16_t ctx, uint16_t id, struct stream **out);

/* Has a stream of the context anything in flight? */
bool streams_busy(const struct streams *st, uint16_t ctx);

/* All of a context, or of the device; none has anything in flight. */
void streams_free_ctx(struct streams *st, struct vgpu_engine *eng,
		      uint16_t ctx);
void streams_free_all(struct streams *st, struct vgpu_engine *eng);

#endif /* VGPU_BACKEND_STREAM_H */
