/* SPDX-License-Identifier: MIT */
/*
 * front_pair.h - a frontend's ring and the backend's view of it, in one memory
 *
 * For unit tests that play both sides in one thread; an honest backend, or a
 * hostile one that writes a response of its own with answer_raw().
 */
#ifndef FRONT_PAIR_H
#define FRONT_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vgpufront_ring.h"

#define PAIR_PAGES	2
#define PAIR_OCTETS	((size_t)PAIR_PAGES * VGPUIF_PAGE_SIZE)
#define PAIR_SLOTS	64U

struct pair {
	struct vgpufront_ring front;
	struct vgpu_back_ring back;
	struct vgpu_sring *sring;
};

static inline int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->sring = aligned_alloc(VGPUIF_PAGE_SIZE, PAIR_OCTETS);
	memset(p->sring, 0, PAIR_OCTETS);
	vgpufront_ring_init(&p->front, p->sring, PAIR_OCTETS);
	BACK_RING_INIT(&p->back, p->sring, PAIR_OCTETS);
	*state = p;

	return 0;
}

static inline int teardown(void **state)
{
	struct pair *p = *state;

	free(p->sring);
	free(p);

	return 0;
}

/* As if that many requests had been put and answered before. */
static inline void start_at(struct pair *p, RING_IDX start)
{
	p->front.front.req_prod_pvt = start;
	p->front.front.rsp_cons = start;
	p->front.pushed = start;
	p->sring->req_prod = start;
	p->sring->rsp_prod = start;
	p->sring->req_event = start + 1;
	p->sring->rsp_event = start + 1;
	p->back.req_cons = start;
	p->back.rsp_prod_pvt = start;
}

static inline int put(struct pair *p, uint8_t op)
{
	struct vgpu_request req = { .op = op, .ctx = 256, .stream = 7 };

	return vgpufront_ring_put(&p->front, &req);
}

/* The backend takes the next request; it must be there. */
static inline struct vgpu_request take(struct pair *p)
{
	struct vgpu_request req;

	assert_true(RING_HAS_UNCONSUMED_REQUESTS(&p->back));
	RING_COPY_REQUEST(&p->back, p->back.req_cons, &req);
	p->back.req_cons++;

	return req;
}

static inline bool answer_raw(struct pair *p, struct vgpu_response rsp)
{
	bool notify;

	*RING_GET_RESPONSE(&p->back, p->back.rsp_prod_pvt) = rsp;
	p->back.rsp_prod_pvt++;
	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&p->back, notify);

	return notify;
}

static inline bool answer(struct pair *p, uint16_t id, uint8_t op,
			  uint16_t status)
{
	return answer_raw(p, (struct vgpu_response){
		.id = id, .op = op, .status = status, .value = 1000 + id });
}

/* One NOP there and, but for its answer, back: the ring id in flight. */
static inline uint16_t in_flight(struct pair *p)
{
	int id = put(p, VGPU_OP_NOP);

	assert_true(id >= 0);
	vgpufront_ring_push(&p->front);
	assert_int_equal(take(p).id, id);

	return id;
}

/* get() must refuse for this reason, and the ring must stay refused. */
static inline void assert_broken(struct pair *p, enum vgpufront_violation how)
{
	struct vgpu_response rsp;

	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), -1);
	assert_int_equal(p->front.violation, how);
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), -1);
	assert_int_equal(vgpufront_ring_free(&p->front), 0);
	assert_int_equal(put(p, VGPU_OP_NOP), -1);
	assert_true(strlen(vgpufront_violation_text(how)) > 10);
}

#endif /* FRONT_PAIR_H */
