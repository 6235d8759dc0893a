// SPDX-License-Identifier: MIT
/*
 * session_jobs.c - requests on their way through the engine: from the pool, to
 * the stream, and back (see session_parts.h)
 */
#include "session_parts.h"

#include <string.h>

struct inflight *inflight_get(struct session *s, const struct vgpu_request *req,
			      bool take_id)
{
	struct inflight *fl = s->free;

	s->free = fl->next;
	memset(&fl->job, 0, sizeof(fl->job));
	fl->gate.job = &fl->job;
	fl->gate.owner = fl;
	fl->made = NULL;
	fl->id = req->id;
	fl->op = req->op;
	fl->flags = req->flags;
	fl->ctx = req->ctx;
	fl->refused = VGPU_RSP_OK;
	fl->used = true;
	fl->nr_bufs = 0;
	fl->nr_objs = 0;
	fl->id_taken = take_id && has_answer(req->flags);
	if (fl->id_taken)
		s->ids[req->id / 64] |= 1ull << (req->id % 64);
	s->nr_inflight++;
	return fl;
}

void inflight_put(struct session *s, struct inflight *fl)
{
	if (fl->id_taken)
		s->ids[fl->id / 64] &= ~(1ull << (fl->id % 64));
	s->nr_inflight--;
	fl->used = false;
	fl->next = s->free;
	s->free = fl;
}

static void drop_all(struct session *s, struct inflight *fl)
{
	for (unsigned int i = 0; i < fl->nr_bufs; i++)
		fl->buf[i]->uses--;
	for (unsigned int i = 0; i < fl->nr_objs; i++)
		object_drop(&s->objects, fl->obj[i]);
}

enum vgpu_status make_stream(struct session *s, const struct vgpu_request *req,
			     struct stream **out)
{
	enum vgpu_status status =
		stream_make(&s->streams, s->eng, req->ctx, req->stream, out);

	if (!status)
		(*out)->failed = take_unheard(s, req->ctx);
	return status;
}

void request_submit(struct session *s, struct inflight *fl, struct stream *st,
		    uint8_t op)
{
	fl->stream = st;
	fl->job.stream = st->eng_stream;
	fl->job.op = op;
	st->inflight++;
	gate_submit(&s->gate, &fl->gate);
}

static bool makes_an_object(uint8_t op)
{
	return op == VGPU_OP_MEM_ALLOC || op == VGPU_OP_MODULE_LOAD ||
	       op == VGPU_OP_FUNCTION_GET;
}

enum vgpu_status request_start(struct session *s,
			       const struct vgpu_request *req)
{
	struct inflight *fl = inflight_get(s, req, true);
	struct stream *st = stream_find(&s->streams, req->ctx, req->stream);
	enum vgpu_status status = makes_an_object(req->op) ?
					  objects_prepare(s, req, fl) :
					  work_prepare(s, req, fl);

	if (!status && !st)
		status = make_stream(s, req, &st);
	if (!status) {
		request_submit(s, fl, st, req->op);
		return VGPU_RSP_OK;
	}
	if (fl->made)
		object_failed(&s->objects, fl->made);
	drop_all(s, fl);
	inflight_put(s, fl);
	return status;
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

static void count_job(struct session *s, const struct vgpu_job *job)
{
	if (job->path < VGPU_NR_PATHS)
		s->stats->path[job->path]++;
	if (job->op == VGPU_OP_LAUNCH && !job->status)
		s->stats->launches++;
}

/* A refused one is none: it is quiet. */
static bool is_fence(const struct inflight *fl)
{
	return (fl->op == VGPU_OP_FENCE || fl->op == VGPU_OP_STREAM_DESTROY) &&
	       !quiet(fl->flags);
}

static void job_done(struct session *s, struct vgpu_job *job)
{
	struct inflight *fl = ((struct gate_job *)job->owner)->owner;
	struct stream *st = fl->stream;
	enum vgpu_status status = job->status;
	uint64_t value;

	if (status > VGPU_RSP_MAX)
		status = VGPU_RSP_INTERNAL;
	status = note_loss(s, status);
	if (!status)
		status = fl->refused;
	value = status ? 0 : job->value;
	count_job(s, job);
	/* Before it is dropped: that may be its end. */
	if (status && makes_an_object(fl->op) && fl->made)
		object_failed(&s->objects, fl->made);
	drop_all(s, fl);
	st->inflight--;
	if (is_fence(fl) && st->failed)
		status = stream_take_failure(st, &value);
	else if (status && quiet(fl->flags))
		stream_fail(st, fl->id, fl->op, status);
	inflight_put(s, fl);
	request_done(s, head_of_job(fl), status, job->time_ns, value);
	if (st->ended && !st->inflight)
		stream_free(&s->streams, s->eng, st);
}

bool session_reap(struct session *s)
{
	struct vgpu_job *job = gate_reap(&s->gate), *next;
	bool worked = job;

	for (; job; job = next) {
		next = job->next;
		job_done(s, job);
	}
	if (s->lost)
		gate_lose(&s->gate);
	if (s->destroys && (worked || s->ending) && finish_destroys(s))
		worked = true;
	return worked;
}
