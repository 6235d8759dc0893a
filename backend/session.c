// SPDX-License-Identifier: MIT
/*
 * session.c - carries out requests (see session.h)
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "validate.h"

/* An INFO costs the engine a look at the GPU: a guest gets one in this time. */
#define INFO_FRESH_MS 100

static bool id_in_flight(const struct session *s, uint16_t id)
{
	return s->ids[id / 64] >> (id % 64) & 1;
}

static void answer(struct session *s, uint16_t id, uint8_t op,
		   enum vgpu_status status, uint64_t time_ns, uint64_t value)
{
	struct vgpu_response rsp = {
		.id = id,
		.op = op,
		.status = status,
		.time_ns = time_ns,
		.value = value,
	};

	if (status)
		log_event(LOG_DEBUG, "request-failed", F_NUM("id", id),
			  F_NUM("op", op), F_NUM("status", status));
	s->stats->status[status]++;
	ring_respond(s->ring, &rsp);
}

bool session_init(struct session *s, uint32_t slots)
{
	s->pool = calloc(slots, sizeof(*s->pool));
	if (!s->pool)
		return false;
	s->pool_size = slots;
	streams_init(&s->streams);
	for (uint32_t i = 0; i < slots; i++) {
		s->pool[i].job.owner = &s->pool[i];
		s->pool[i].next = s->free;
		s->free = &s->pool[i];
	}
	return true;
}

/* The ring never has more requests unanswered than the pool has entries. */
static struct inflight *inflight_get(struct session *s,
				     const struct vgpu_request *req)
{
	struct inflight *fl = s->free;

	s->free = fl->next;
	fl->id = req->id;
	fl->op = req->op;
	fl->ctx = req->ctx;
	fl->used = true;
	fl->nr_bufs = 0;
	s->ids[req->id / 64] |= 1ull << (req->id % 64);
	s->nr_inflight++;
	return fl;
}

static void inflight_put(struct session *s, struct inflight *fl)
{
	s->ids[fl->id / 64] &= ~(1ull << (fl->id % 64));
	s->nr_inflight--;
	fl->used = false;
	fl->next = s->free;
	s->free = fl;
}

static bool ctx_dying(const struct session *s, uint16_t ctx)
{
	for (const struct inflight *d = s->destroys; d; d = d->next)
		if (d->ctx == ctx)
			return true;
	return false;
}

/* None of its streams has anything in flight. */
static void ctx_free(struct session *s, uint16_t ctx)
{
	streams_free_ctx(&s->streams, s->eng, ctx);
	buffer_unmap_ctx(&s->bufs, ctx);
}

static void submit(struct session *s, struct inflight *fl, struct stream *st)
{
	fl->stream = st;
	fl->job.stream = st->eng_stream;
	st->inflight++;
	vgpu_engine_submit(s->eng, &fl->job);
}

static enum vgpu_status do_builtin(struct session *s,
				   const struct vgpu_request *req)
{
	const struct vgpu_builtin_req *b = &req->u.builtin;
	struct vgpu_engine_operand host[VGPU_MAX_OPERANDS];
	struct buffer *buf[VGPU_MAX_OPERANDS];
	struct inflight *fl;
	struct stream *st;
	enum vgpu_status status;

	for (unsigned int i = 0; i < VGPU_MAX_OPERANDS; i++) {
		buf[i] = buffer_get(&s->bufs, req->ctx, b->operand[i].handle);
		status = operand_check(&b->operand[i], buf[i],
				       kernel_writes(b->kernel, i), &host[i]);
		if (status)
			return status;
	}
	st = stream_find(&s->streams, req->ctx, req->stream);
	if (!st) {
		status = stream_make(&s->streams, s->eng, req->ctx, req->stream,
				     &st);
		if (status)
			return status;
	}
	fl = inflight_get(s, req);
	fl->job.op = VGPU_OP_BUILTIN;
	fl->job.kernel = b->kernel;
	fl->job.param = b->param;
	fl->nr_bufs = VGPU_MAX_OPERANDS;
	for (unsigned int i = 0; i < VGPU_MAX_OPERANDS; i++) {
		fl->job.operand[i] = host[i];
		fl->buf[i] = buf[i];
		buf[i]->uses++;
	}
	submit(s, fl, st);
	return VGPU_RSP_OK;
}

static void do_fence(struct session *s, const struct vgpu_request *req)
{
	struct stream *st = stream_find(&s->streams, req->ctx, req->stream);
	struct inflight *fl;

	if (!st) {
		answer(s, req->id, req->op, VGPU_RSP_OK, 0, 0);
		return;
	}
	fl = inflight_get(s, req);
	fl->job.op = VGPU_OP_FENCE;
	fl->job.kernel = 0;
	fl->job.param = 0;
	memset(fl->job.operand, 0, sizeof(fl->job.operand));
	submit(s, fl, st);
}

static void do_ctx_destroy(struct session *s, const struct vgpu_request *req)
{
	struct inflight *fl;

	if (!streams_busy(&s->streams, req->ctx)) {
		ctx_free(s, req->ctx);
		answer(s, req->id, req->op, VGPU_RSP_OK, 0, 0);
		return;
	}
	fl = inflight_get(s, req);
	fl->next = s->destroys;
	s->destroys = fl;
}

static void do_info(struct session *s, const struct vgpu_request *req)
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
		.mem_quota = s->mem_quota,
		.requests = s->stats->requests,
		.errors = stats_errors(s->stats),
		.busy_ns = s->stats->busy_ns,
		.temperature_mc = s->info.temperature_mc,
		.power_mw = s->info.power_mw,
		.utilization = s->info.utilization,
		.nr_buffers = s->stats->buffers,
	};
	memcpy(s->arena + req->u.info.arena_offset, &info, sizeof(info));
	answer(s, req->id, req->op, VGPU_RSP_OK, 0, sizeof(info));
}

void session_request(struct session *s, const struct vgpu_request *req)
{
	enum vgpu_status status = request_check(req, s->arena_len, s->kernels);
	uint64_t value = 0;

	s->stats->requests++;
	if (id_in_flight(s, req->id))
		status = VGPU_RSP_INVALID;
	if (!status && ctx_dying(s, req->ctx))
		status = VGPU_RSP_BUSY;
	if (status) {
		answer(s, req->id, req->op, status, 0, 0);
		return;
	}
	switch (req->op) {
	case VGPU_OP_NOP:
		value = req->u.nop.cookie;
		break;
	case VGPU_OP_INFO:
		do_info(s, req);
		return;
	case VGPU_OP_BUFFER_MAP:
		status = buffer_map(&s->bufs, req->ctx, &req->u.map);
		break;
	case VGPU_OP_BUFFER_UNMAP:
		status = buffer_unmap(&s->bufs, req->ctx, req->u.handle.handle);
		break;
	case VGPU_OP_BUILTIN:
		status = do_builtin(s, req);
		if (!status)
			return;
		break;
	case VGPU_OP_FENCE:
		do_fence(s, req);
		return;
	case VGPU_OP_CTX_DESTROY:
		do_ctx_destroy(s, req);
		return;
	default:
		status = VGPU_RSP_UNSUPPORTED;
		break;
	}
	answer(s, req->id, req->op, status, 0, value);
}

/* Carries out the CTX_DESTROYs whose context has become idle. */
static void finish_destroys(struct session *s)
{
	struct inflight **link = &s->destroys;

	while (*link) {
		struct inflight *fl = *link;

		if (streams_busy(&s->streams, fl->ctx)) {
			link = &fl->next;
			continue;
		}
		*link = fl->next;
		ctx_free(s, fl->ctx);
		inflight_put(s, fl);
		answer(s, fl->id, fl->op, VGPU_RSP_OK, 0, 0);
	}
}

/*
 * After FAULT, TIMEOUT and DEVICE_LOST the engine is of no more use. One job is
 * to blame, which need not be the first that comes back; nothing that comes
 * back after the loss is said to be right.
 */
static enum vgpu_status note_loss(struct session *s, enum vgpu_status status)
{
	bool blamed = s->lost && s->lost != VGPU_RSP_DEVICE_LOST;
	bool cause = status == VGPU_RSP_FAULT || status == VGPU_RSP_TIMEOUT;

	if (cause && !blamed)
		return s->lost = status;
	if (!s->lost && status != VGPU_RSP_DEVICE_LOST)
		return status;
	if (!s->lost)
		s->lost = VGPU_RSP_DEVICE_LOST;
	return VGPU_RSP_DEVICE_LOST;
}

static void job_done(struct session *s, struct vgpu_job *job)
{
	struct inflight *fl = job->owner;
	enum vgpu_status status = job->status;

	if (status > VGPU_RSP_MAX)
		status = VGPU_RSP_INTERNAL;
	status = note_loss(s, status);
	for (unsigned int i = 0; i < fl->nr_bufs; i++)
		fl->buf[i]->uses--;
	fl->stream->inflight--;
	s->stats->busy_ns += job->time_ns;
	if (job->path < VGPU_NR_PATHS)
		s->stats->path[job->path]++;
	inflight_put(s, fl);
	answer(s, fl->id, fl->op, status, job->time_ns, 0);
}

bool session_reap(struct session *s)
{
	struct vgpu_job *job, *next;

	/* Nothing is with the engine, and it is not armed. */
	if (!s->nr_inflight)
		return false;
	job = vgpu_engine_reap(s->eng);
	if (!job)
		return false;
	for (; job; job = next) {
		next = job->next;
		job_done(s, job);
	}
	finish_destroys(s);
	return true;
}

void session_lose(struct session *s)
{
	for (uint32_t i = 0; i < s->pool_size; i++)
		if (s->pool[i].used)
			answer(s, s->pool[i].id, s->pool[i].op,
			       VGPU_RSP_DEVICE_LOST, 0, 0);
}

void session_end(struct session *s)
{
	streams_free_all(&s->streams, s->eng);
	buffer_unmap_all(&s->bufs);
	free(s->pool);
	s->pool = NULL;
	s->free = NULL;
}
