/* SPDX-License-Identifier: MIT */
/*
 * session.h - one device's contexts, streams, buffers and requests in flight
 *
 * Stands between ring and engine: session_request() takes a private copy of a
 * request; every request gets exactly one answer, at once or when the engine is
 * done with it, through ring_respond(). Run by the worker's thread; nothing
 * here blocks on work, and nothing grows by what a guest does: jobs come from a
 * pool with one entry for each slot of the ring, and no more requests than that
 * can be unanswered.
 *
 * A context is what names it: its streams and buffers. It needs no state of its
 * own but the CTX_DESTROY that waits for its streams; until that is answered,
 * requests in the context are VGPU_RSP_BUSY.
 */
#ifndef VGPU_BACKEND_SESSION_H
#define VGPU_BACKEND_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "buffer.h"
#include "limits.h"
#include "ring.h"
#include "stats.h"
#include "stream.h"

/*
 * A request in flight: a job that the engine has, or a CTX_DESTROY that waits.
 * Free ones, and those CTX_DESTROYs, are linked by next.
 */
struct inflight {
	struct vgpu_job job;
	struct inflight *next;
	struct stream *stream;
	struct buffer *buf[VGPU_MAX_OPERANDS];
	unsigned int nr_bufs;
	uint16_t id;
	uint16_t ctx;
	uint8_t op;
	bool used;
};

/*
 * @arena, @arena_len: octets shared with the guest, written by INFO only
 * @kernels: bits of enum vgpu_kernel that the guest may ask for
 * @ids: bitmap of the ids in flight
 * @destroys: CTX_DESTROYs that wait, linked by next
 * @lost: the engine is of no more use and the worker must end; why: FAULT or
 *	TIMEOUT of the job to blame, DEVICE_LOST where none is (yet). VGPU_RSP_OK:
 *	all is well
 */
struct session {
	struct ring *ring;
	struct vgpu_engine *eng;
	struct vgpu_stats *stats;
	uint8_t *arena;
	uint32_t arena_len;
	uint64_t mem_quota;
	uint32_t kernels;
	struct buffers bufs;
	struct streams streams;
	uint64_t ids[65536 / 64];
	struct inflight *pool;
	uint32_t pool_size;
	struct inflight *free;
	struct inflight *destroys;
	uint32_t nr_inflight;
	struct vgpu_engine_info info;
	uint64_t info_at;
	enum vgpu_status lost;
};

/*
 * All other members are set or zero before. slots is the ring's size; false
 * where there is no memory for the pool.
 */
bool session_init(struct session *s, uint32_t slots);

/* req is private to the caller. */
void session_request(struct session *s, const struct vgpu_request *req);

/*
 * Answers what the engine has finished; true where there was something. What
 * comes back after the engine was lost is VGPU_RSP_DEVICE_LOST, but for the job
 * to blame.
 */
bool session_reap(struct session *s);

/*
 * Answers everything in flight with VGPU_RSP_DEVICE_LOST. The engine may still
 * be in the guest's pages: only the end of the process may follow.
 */
void session_lose(struct session *s);

/* Nothing is in flight: frees streams and buffers. */
void session_end(struct session *s);

#endif /* VGPU_BACKEND_SESSION_H */
