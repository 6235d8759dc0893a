/* SPDX-License-Identifier: MIT */
/*
 * session.h - one device's contexts, streams, buffers, objects and requests in
 * flight
 *
 * Stands between ring and engine: session_request() takes a private copy of a
 * request; every request is done once, at once or when the engine is done with
 * it, and then answered through ring_respond(), or, where it is quiet, counted by
 * ring_retire(). Run by the worker's thread; nothing here blocks on work, and
 * nothing grows by what a guest does: jobs come from a pool with one entry for
 * each slot of the ring, and no more requests than that can be unanswered.
 *
 * A context is what names it: its streams, buffers and objects. It needs no state
 * of its own but the CTX_DESTROY that waits for its streams; until that is
 * answered, requests in the context are VGPU_RSP_BUSY. And one bit: a quiet
 * request has failed, and there was no stream to say so at its next FENCE.
 *
 * What a quiet request's failure is told by comes in the order of the stream:
 * where one is refused while earlier ones are in flight, an empty job takes the
 * refusal through the stream behind them.
 */
#ifndef VGPU_BACKEND_SESSION_H
#define VGPU_BACKEND_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "buffer.h"
#include "gate.h"
#include "limits.h"
#include "object.h"
#include "ring.h"
#include "stats.h"
#include "stream.h"
#include "validate.h"

/* session_parts.h */
struct inflight;

/*
 * @gate: what jobs go through to eng
 * @arena: octets shared with the guest, rules.arena_len of them
 * @ids: bitmap of the ids in flight
 * @unheard: bitmap of the contexts in which a quiet request failed that has no
 *	stream
 * @destroys: CTX_DESTROYs that wait, linked by next
 * @ending: a CTX_DESTROY waits for nothing but us
 * @lost: the engine is of no more use and the worker must end; why: FAULT or
 *	TIMEOUT of the job to blame, DEVICE_LOST where none is (yet). VGPU_RSP_OK:
 *	all is well
 */
struct session {
	struct ring *ring;
	struct vgpu_engine *eng;
	struct gate gate;
	struct vgpu_stats *stats;
	uint8_t *arena;
	struct rules rules;
	struct buffers bufs;
	struct objects objects;
	struct streams streams;
	uint64_t ids[65536 / 64];
	uint64_t unheard[65536 / 64];
	struct inflight *pool;
	uint32_t pool_size;
	struct inflight *free;
	struct inflight *destroys;
	bool ending;
	uint32_t nr_inflight;
	struct vgpu_engine_info info;
	uint64_t info_at;
	enum vgpu_status lost;
};

/*
 * ring, eng, gate, stats, arena, rules, bufs but its table, and objects.quota are
 * set, all else is zero before. slots is the ring's size; false where there is no
 * memory for the pool.
 */
bool session_init(struct session *s, uint32_t slots);

/* req is private to the caller. */
void session_request(struct session *s, const struct vgpu_request *req);

/*
 * Answers what the engine has finished; true where there was something. What
 * comes back after the engine was lost is VGPU_RSP_DEVICE_LOST, but for the job
 * to blame. Goes on with CTX_DESTROYs, a part at a time.
 */
bool session_reap(struct session *s);

/*
 * Answers everything in flight with VGPU_RSP_DEVICE_LOST, but for what is quiet.
 * The engine may still be in the guest's pages: only the end of the process may
 * follow.
 */
void session_lose(struct session *s);

/* Nothing is in flight: frees streams, objects and buffers. */
void session_end(struct session *s);

#endif /* VGPU_BACKEND_SESSION_H */
