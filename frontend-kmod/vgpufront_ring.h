/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * vgpufront_ring.h - the frontend's half of the shared ring
 *
 * Owns the ids of requests, the private record of what is in flight, and every
 * check of what the backend writes into the ring. It uses no kernel service:
 * the module, the unit tests, the fuzzer and user-space frontends compile the
 * same source.
 *
 * The life of a request:
 *
 *   put    an id is taken from the free list, the slot is written, the private
 *          producer index moves on. The backend sees nothing yet.
 *   push   the slots are published, then req_event is read: the macro's
 *          barrier between the two makes sure that either we see that the
 *          backend wants an event, or the backend sees our requests before it
 *          sleeps.
 *   get    a response is copied out of shared memory once, checked against
 *          the private record, and its id is free again. The void slots
 *          behind it, which stand for quiet requests, are free, too.
 *   final_check
 *          before the frontend stops looking, rsp_event is written, then
 *          rsp_prod is read once more: the mirror image of push, so a
 *          response that came in between is found here or announced by an
 *          event. The index must not go back again: a caller that loops over
 *          get and final_check ends, whatever the backend writes.
 *
 * A quiet request without VGPU_REQF_RETIRE has no id: all that is kept of it is
 * that one more slot is due to be retired. Nobody announces that, so whoever
 * puts quiet requests asks vgpufront_ring_retire_due() first. Where it is
 * heeded, a full ring always has a response to come.
 *
 * Nothing that decides is ever read back from the shared pages. Locking is the
 * caller's: one lock around all calls for one ring.
 */
#ifndef VGPUFRONT_RING_H
#define VGPUFRONT_RING_H

#include <xen/io/vgpuif.h>

#ifndef __KERNEL__
#include <stdbool.h>
#include <stddef.h>
#endif

/* What a backend can do wrong: X(NAME, "text"). */
#define VGPUFRONT_VIOLATION_LIST(X)					\
	X(NONE, "none")							\
	X(PRODUCER, "response producer index out of range")		\
	X(ID_RANGE, "response with an id that does not exist")		\
	X(ID_IDLE, "response to a request that is not in flight")	\
	X(OP, "response with another operation than its request")	\
	X(STATUS, "response with an unknown status")			\
	X(RETIRED, "response retires quiet requests that were never sent") \
	X(RETIRED_PROD, "response retires slots behind the producer index") \
	X(RESERVED, "response with reserved fields set")

enum vgpufront_violation {
#define VGPUFRONT_VIOLATION_ENUM(name, text) VGPUFRONT_BAD_##name,
	VGPUFRONT_VIOLATION_LIST(VGPUFRONT_VIOLATION_ENUM)
#undef VGPUFRONT_VIOLATION_ENUM
};

/* Slots of the largest ring; ids are smaller. */
#define VGPUFRONT_MAX_SLOTS	512

/* What put returns for a request that has no id, and what it writes as one. */
#define VGPUFRONT_NO_ID		0xffff

/* Private record of one id. */
struct vgpufront_shadow {
	uint16_t next;		/* free list, while not busy */
	uint8_t op;
	bool busy;
};

struct vgpufront_ring {
	struct vgpu_front_ring front;
	RING_IDX pushed;	/* our copy of the published req_prod */
	bool announced;		/* final_check saw a response not taken yet */
	unsigned int quiet;	/* requests without an id, not retired */
	unsigned int quiet_new;	/* of these, not pushed yet */
	unsigned int quiet_run;	/* of these, put since the last one with an id */
	uint16_t free_head;	/* oldest free id */
	uint16_t free_tail;	/* id freed last: reused last */
	enum vgpufront_violation violation;
	RING_IDX bad_prod;	/* with VGPUFRONT_BAD_PRODUCER */
	struct vgpu_response bad;	/* with any other violation */
	struct vgpufront_shadow shadow[VGPUFRONT_MAX_SLOTS];
};

/* Slots of a ring in that many octets of shared memory. */
unsigned int vgpufront_ring_slots(size_t octets);

/*
 * Start a ring in zeroed shared memory of 1 << n pages, n at most
 * VGPUIF_MAX_RING_PAGE_ORDER, that the backend has not mapped yet.
 */
void vgpufront_ring_init(struct vgpufront_ring *r, struct vgpu_sring *sring,
			 size_t octets);

/* Requests that can be put now; 0 for a broken ring. */
unsigned int vgpufront_ring_free(const struct vgpufront_ring *r);

/* Responses to come: requests put, but for quiet ones without an answer. */
unsigned int vgpufront_ring_in_flight(const struct vgpufront_ring *r);

/* Quiet requests put whose slots have not come back. */
static inline unsigned int
vgpufront_ring_quiet(const struct vgpufront_ring *r)
{
	return r->quiet;
}

/*
 * Must a quiet request that is put now have VGPU_REQF_RETIRE? So it is for one
 * in a quarter of a ring, which brings the slots back in time, and wherever
 * quiet requests could fill what is left while no response is to come.
 */
bool vgpufront_ring_retire_due(const struct vgpufront_ring *r);

/* The id that the next put will use; only where a slot is free. */
static inline uint16_t vgpufront_ring_next_id(const struct vgpufront_ring *r)
{
	return r->free_head;
}

/*
 * Write a request into the next slot; req->id is set. Returns the id,
 * VGPUFRONT_NO_ID for a quiet request without VGPU_REQF_RETIRE, or -1 where no
 * slot is free.
 *
 * The backend reads requests in the order in which they are put: a response to
 * one tells that it has read all that were put before it.
 */
int vgpufront_ring_put(struct vgpufront_ring *r, struct vgpu_request *req);

/* Are there requests put and not pushed? */
static inline bool vgpufront_ring_unpushed(const struct vgpufront_ring *r)
{
	return r->pushed != r->front.req_prod_pvt;
}

/* Publish what was put. True: the backend must be sent an event. */
bool vgpufront_ring_push(struct vgpufront_ring *r);

/*
 * Take the next response. Returns 1 and a checked copy, 0 when there is none,
 * -1 when the backend broke the protocol: r->violation says how, and the ring
 * must not be used any more (put, get and free keep refusing).
 */
int vgpufront_ring_get(struct vgpufront_ring *r, struct vgpu_response *rsp);

/* Ask for an event with the next response. True: there is one already. */
bool vgpufront_ring_final_check(struct vgpufront_ring *r);

/* Forget request id without an answer. True: it was in flight. */
bool vgpufront_ring_abort(struct vgpufront_ring *r, unsigned int id);

const char *vgpufront_violation_text(enum vgpufront_violation violation);

#endif /* VGPUFRONT_RING_H */
