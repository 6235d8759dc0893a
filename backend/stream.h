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

/*
 * Free where eng_stream is NULL.
 *
 * @next: in its chain, or of the free ones
 * @failed, @failed_value: of the first quiet request that failed since the last
 *	FENCE: its status, and what that FENCE's response says of it
 * @ended: it has no name any more, and goes when nothing is in flight
 */
struct stream {
	struct vgpu_engine_stream *eng_stream;
	struct stream *next;
	uint32_t inflight;
	uint32_t failed_value;
	uint16_t failed;
	uint16_t ctx;
	uint16_t id;
	bool ended;
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

/* A quiet request of it has failed; the first one is kept for the next FENCE. */
void stream_fail(struct stream *s, uint16_t id, uint8_t op,
		 enum vgpu_status status);
/* What that FENCE says; value: of its response. */
enum vgpu_status stream_take_failure(struct stream *s, uint64_t *value);

/* Takes its name, which may be made anew. */
void stream_end(struct streams *st, struct stream *s);
/* Nothing of it is in flight. */
void stream_free(struct streams *st, struct vgpu_engine *eng, struct stream *s);

/* Has a stream of the context anything in flight? */
bool streams_busy(const struct streams *st, uint16_t ctx);

/* All of a context, or of the device; none has anything in flight. */
void streams_free_ctx(struct streams *st, struct vgpu_engine *eng,
		      uint16_t ctx);
void streams_free_all(struct streams *st, struct vgpu_engine *eng);

#endif /* VGPU_BACKEND_STREAM_H */
