/* SPDX-License-Identifier: MIT */
/*
 * session_parts.h - what the session's files share
 *
 * session.c decides what becomes of requests, session_work.c and
 * session_objects.c know what each operation needs for its job, session_jobs.c
 * takes that through the engine. All of it is run by the worker's thread.
 */
#ifndef VGPU_BACKEND_SESSION_PARTS_H
#define VGPU_BACKEND_SESSION_PARTS_H

#include "payload.h"
#include "session.h"

/* A launch's: its relocations and the function. No operation holds more. */
#define INFLIGHT_BUFFERS VGPU_MAX_RELOCS
#define INFLIGHT_OBJECTS (VGPU_MAX_RELOCS + 1)

/*
 * A request in flight: a job that gate or engine has, or a CTX_DESTROY that waits.
 * Free ones, and those CTX_DESTROYs, are linked by next.
 *
 * @refused: of a quiet request: what was wrong with it before it became a job
 * @made: the object that it makes
 * @buf, @obj: what it holds
 * @id_taken: its id is in the bitmap
 */
struct inflight {
	struct vgpu_job job;
	struct gate_job gate;
	struct inflight *next;
	struct stream *stream;
	struct object *made;
	uint16_t id;
	uint16_t ctx;
	uint16_t refused;
	uint8_t op;
	uint8_t flags;
	bool used;
	bool id_taken;
	uint16_t nr_bufs;
	uint16_t nr_objs;
	struct object *obj[INFLIGHT_OBJECTS];
	struct buffer *buf[INFLIGHT_BUFFERS];
	struct vgpu_engine_reloc reloc[VGPU_MAX_RELOCS];
	union payload payload;
};

/* What an answer needs to know of its request. */
struct head {
	uint16_t id;
	uint8_t op;
	uint8_t flags;
};

static inline struct head head_of(const struct vgpu_request *req)
{
	return (struct head){req->id, req->op, req->flags};
}

static inline struct head head_of_job(const struct inflight *fl)
{
	return (struct head){fl->id, fl->op, fl->flags};
}

static inline bool quiet(uint8_t flags)
{
	return flags & VGPU_REQF_QUIET;
}

static inline bool has_answer(uint8_t flags)
{
	return !quiet(flags) || flags & VGPU_REQF_RETIRE;
}

/* ---- session.c -------------------------------------------------------- */

/* A request is done. What a quiet one's failure is told by is not done here. */
void request_done(struct session *s, struct head h, enum vgpu_status status,
		  uint64_t time_ns, uint64_t value);

/*
 * Did a quiet request of the context fail that had no stream? VGPU_RSP_QUOTA,
 * which is then told.
 */
enum vgpu_status take_unheard(struct session *s, uint16_t ctx);

/*
 * Goes on with the first CTX_DESTROY whose context is idle; true: there was
 * one. The next one is for the next turn.
 */
bool finish_destroys(struct session *s);

/* ---- session_jobs.c --------------------------------------------------- */

/*
 * The ring never has more requests unanswered than the pool has entries.
 * take_id: its id is none in flight.
 */
struct inflight *inflight_get(struct session *s, const struct vgpu_request *req,
			      bool take_id);
void inflight_put(struct session *s, struct inflight *fl);

/* A stream comes to be with its first job, or a failure to keep. */
enum vgpu_status make_stream(struct session *s, const struct vgpu_request *req,
			     struct stream **out);

/* On its way to the engine, as this operation. */
void request_submit(struct session *s, struct inflight *fl, struct stream *st,
		    uint8_t op);

/* The checked request becomes a job; or nothing has happened. */
enum vgpu_status request_start(struct session *s,
			       const struct vgpu_request *req);

/* ---- session_work.c, session_objects.c -------------------------------- */

/* From now until the request is done or refused. */
static inline void inflight_hold_object(struct inflight *fl, struct object *obj)
{
	object_hold(obj);
	fl->obj[fl->nr_objs++] = obj;
}

static inline void inflight_hold_buffer(struct inflight *fl, struct buffer *buf)
{
	buf->uses++;
	fl->buf[fl->nr_bufs++] = buf;
}

/*
 * Fills in the job of a checked request, which is zero but for its owner, and
 * holds what it names. What is held or made where it fails is the caller's to
 * undo.
 */
enum vgpu_status work_prepare(struct session *s, const struct vgpu_request *req,
			      struct inflight *fl);
enum vgpu_status objects_prepare(struct session *s,
				 const struct vgpu_request *req,
				 struct inflight *fl);

/* What MEM_FREE, MODULE_UNLOAD or EVENT_DESTROY names; NULL: nothing. */
struct object *objects_named(struct session *s, const struct vgpu_request *req);

#endif /* VGPU_BACKEND_SESSION_PARTS_H */
