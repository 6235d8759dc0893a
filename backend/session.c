// SPDX-License-Identifier: MIT
/*
 * session.c - what becomes of requests: carried out at once, made a job, or
 * refused; and answered (see session.h)
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "session_parts.h"

/* An INFO costs the engine a look at the GPU: a guest gets one in this time. */
#define INFO_FRESH_MS 100

/* How many objects a CTX_DESTROY gives back before others have their turn. */
#define ENDS_A_TURN 64

static bool id_in_flight(const struct session *s, uint16_t id)
{
	return s->ids[id / 64] >> (id % 64) & 1;
}

void request_done(struct session *s, struct head h, enum vgpu_status status,
		  uint64_t time_ns, uint64_t value)
{
	const struct vgpu_response rsp = {
		.id = h.id,
		.op = h.op,
		.status = quiet(h.flags) ? VGPU_RSP_OK : status,
		.time_ns = time_ns,
		.value = value,
	};

	if (status)
		log_event(LOG_DEBUG, "request-failed", F_NUM("id", h.id),
			  F_NUM("op", h.op), F_NUM("status", status));
	s->stats->status[status]++;
	if (has_answer(h.flags))
		ring_respond(s->ring, &rsp);
	else
		ring_retire(s->ring);
}

bool session_init(struct session *s, uint32_t slots)
{
	s->pool = calloc(slots, sizeof(*s->pool));
	if (!s->pool)
		return false;
	s->pool_size = slots;
	streams_init(&s->streams);
	s->objects.eng = s->eng;
	s->objects.stats = s->stats;
	objects_init(&s->objects);
	for (uint32_t i = 0; i < slots; i++) {
		s->pool[i].next = s->free;
		s->free = &s->pool[i];
	}
	return true;
}

static bool ctx_dying(const struct session *s, uint16_t ctx)
{
	for (const struct inflight *d = s->destroys; d; d = d->next)
		if (d->ctx == ctx)
			return true;
	return false;
}

static void set_unheard(struct session *s, uint16_t ctx)
{
	s->unheard[ctx / 64] |= 1ull << (ctx % 64);
}

enum vgpu_status take_unheard(struct session *s, uint16_t ctx)
{
	uint64_t bit = 1ull << (ctx % 64);

	if (!(s->unheard[ctx / 64] & bit))
		return VGPU_RSP_OK;
	s->unheard[ctx / 64] &= ~bit;
	return VGPU_RSP_QUOTA;
}

/*
 * FENCE and STREAM_DESTROY. Where nothing of the stream is in flight, no job
 * is needed to tell.
 */
static void do_fence(struct session *s, const struct vgpu_request *req)
{
	struct stream *st = stream_find(&s->streams, req->ctx, req->stream);
	enum vgpu_status status;
	uint64_t value = 0;

	if (st && st->inflight) {
		if (req->op == VGPU_OP_STREAM_DESTROY)
			stream_end(&s->streams, st);
		request_submit(s, inflight_get(s, req, true), st,
			       VGPU_OP_FENCE);
		return;
	}
	status = st ? stream_take_failure(st, &value) :
		      take_unheard(s, req->ctx);
	if (st && req->op == VGPU_OP_STREAM_DESTROY)
		stream_free(&s->streams, s->eng, st);
	request_done(s, head_of(req), status, 0, value);
}

/*
 * MEM_FREE, MODULE_UNLOAD, EVENT_DESTROY: the name goes now, the object when
 * nothing needs it. What is in flight on the stream comes first; an event's end
 * has no effect that could be early.
 */
static enum vgpu_status do_end(struct session *s,
			       const struct vgpu_request *req)
{
	struct stream *st = stream_find(&s->streams, req->ctx, req->stream);
	struct object *obj = objects_named(s, req);
	struct inflight *fl;

	if (!obj)
		return VGPU_RSP_NO_HANDLE;
	if (st && st->inflight && req->op != VGPU_OP_EVENT_DESTROY) {
		fl = inflight_get(s, req, true);
		inflight_hold_object(fl, obj);
		request_submit(s, fl, st, VGPU_OP_FENCE);
	} else {
		request_done(s, head_of(req), VGPU_RSP_OK, 0, 0);
	}
	object_end(&s->objects, obj);
	return VGPU_RSP_OK;
}

/* None of its streams has anything in flight. False: objects are left. */
static bool ctx_free(struct session *s, uint16_t ctx)
{
	if (!objects_end_ctx(&s->objects, ctx, ENDS_A_TURN))
		return false;
	streams_free_ctx(&s->streams, s->eng, ctx);
	buffer_unmap_ctx(&s->bufs, ctx);
	take_unheard(s, ctx);
	return true;
}

bool finish_destroys(struct session *s)
{
	struct inflight **link = &s->destroys;
	struct inflight *fl;

	while (*link && streams_busy(&s->streams, (*link)->ctx))
		link = &(*link)->next;
	fl = *link;
	s->ending = fl;
	if (!fl)
		return false;
	if (!ctx_free(s, fl->ctx))
		return true;
	*link = fl->next;
	s->ending = s->destroys;
	inflight_put(s, fl);
	request_done(s, head_of_job(fl), VGPU_RSP_OK, 0, 0);
	return true;
}

static void do_ctx_destroy(struct session *s, const struct vgpu_request *req)
{
	struct inflight *fl = inflight_get(s, req, true);

	fl->next = s->destroys;
	s->destroys = fl;
	finish_destroys(s);
}

/* The number of octets written. */
static uint64_t do_info(struct session *s, const struct vgpu_info_req *req)
{
	uint64_t now = clock_ms();
	struct vgpu_info info;

	if (!s->info_at || now - s->info_at >= INFO_FRESH_MS) {
		vgpu_engine_info(s->eng, &s->info);
		/* It may have taken longer than the answer is good for. */
		s->info_at = clock_ms();
	}
	info = (struct vgpu_info){
		.mem_total = s->info.mem_total,
		.mem_free = s->info.mem_free,
		.mem_quota = s->objects.quota,
		.mem_used = s->stats->mem_used,
		.requests = s->stats->requests,
		.errors = stats_errors(s->stats),
		.busy_ns = gate_busy_ns(&s->gate),
		.temperature_mc = s->info.temperature_mc,
		.power_mw = s->info.power_mw,
		.utilization = s->info.utilization,
		.nr_buffers = s->stats->buffers,
		.nr_objects = s->stats->objects,
		.launches = s->stats->launches,
	};
	memcpy(s->arena + req->arena_offset, &info, sizeof(info));
	return sizeof(info);
}

/*
 * Carries out a checked request, answers it now or has it answered later.
 * Otherwise it says what is wrong and has done nothing.
 */
static enum vgpu_status carry_out(struct session *s,
				  const struct vgpu_request *req)
{
	enum vgpu_status status = VGPU_RSP_OK;
	uint64_t value = 0;

	switch (req->op) {
	case VGPU_OP_NOP:
		value = req->u.nop.cookie;
		break;
	case VGPU_OP_INFO:
		value = do_info(s, &req->u.info);
		break;
	case VGPU_OP_BUFFER_MAP:
		status = buffer_map(&s->bufs, req->ctx, &req->u.map);
		break;
	case VGPU_OP_BUFFER_UNMAP:
		status = buffer_unmap(&s->bufs, req->ctx, req->u.handle.handle);
		break;
	case VGPU_OP_FENCE:
	case VGPU_OP_STREAM_DESTROY:
		do_fence(s, req);
		return VGPU_RSP_OK;
	case VGPU_OP_MEM_FREE:
	case VGPU_OP_MODULE_UNLOAD:
	case VGPU_OP_EVENT_DESTROY:
		return do_end(s, req);
	case VGPU_OP_CTX_DESTROY:
		do_ctx_destroy(s, req);
		return VGPU_RSP_OK;
	case VGPU_OP_EVENT_WAIT:
		/* Without a mark there is nothing to wait for. */
		if (!objects_named(s, req))
			break;
		return request_start(s, req);
	default:
		return request_start(s, req);
	}
	if (!status)
		request_done(s, head_of(req), VGPU_RSP_OK, 0, value);
	return status;
}

/*
 * Says what is wrong with a request: in its answer, or, where it is quiet, by
 * the stream's next FENCE. A context that ends has none any more.
 */
static void refuse(struct session *s, const struct vgpu_request *req,
		   enum vgpu_status status, bool take_id)
{
	struct stream *st;
	struct inflight *fl;

	if (!quiet(req->flags) || ctx_dying(s, req->ctx)) {
		request_done(s, head_of(req), status, 0, 0);
		return;
	}
	st = stream_find(&s->streams, req->ctx, req->stream);
	if (!st && make_stream(s, req, &st))
		st = NULL;
	if (st && st->inflight) {
		fl = inflight_get(s, req, take_id);
		fl->refused = status;
		request_submit(s, fl, st, VGPU_OP_FENCE);
		return;
	}
	if (st)
		stream_fail(st, req->id, req->op, status);
	else
		set_unheard(s, req->ctx);
	request_done(s, head_of(req), status, 0, 0);
}

void session_request(struct session *s, const struct vgpu_request *req)
{
	enum vgpu_status status = request_check(req, &s->rules);
	bool id_clash = has_answer(req->flags) && id_in_flight(s, req->id);

	s->stats->requests++;
	s->stats->quiet += quiet(req->flags);
	if (id_clash)
		status = VGPU_RSP_INVALID;
	if (!status && ctx_dying(s, req->ctx))
		status = VGPU_RSP_BUSY;
	if (!status)
		status = carry_out(s, req);
	if (status)
		refuse(s, req, status, !id_clash);
}

void session_lose(struct session *s)
{
	for (uint32_t i = 0; i < s->pool_size; i++) {
		const struct inflight *fl = &s->pool[i];

		if (fl->used && !quiet(fl->flags))
			request_done(s, head_of_job(fl), VGPU_RSP_DEVICE_LOST,
				     0, 0);
	}
}

void session_end(struct session *s)
{
	/* Our end may take a while: others need not wait for a GPU that idles. */
	gate_arm(&s->gate);
	streams_free_all(&s->streams, s->eng);
	objects_end_all(&s->objects);
	buffer_unmap_all(&s->bufs);
	free(s->pool);
	s->pool = NULL;
	s->free = NULL;
}
