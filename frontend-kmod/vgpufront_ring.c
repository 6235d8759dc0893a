// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_ring.c - the frontend's half of the shared ring
 *
 * See vgpufront_ring.h. Called with the caller's ring lock held, from any
 * context; never sleeps, allocates or logs, and never trusts what it reads
 * from shared memory twice.
 */
#include "vgpufront_ring.h"

#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/string.h>
#include <asm/barrier.h>
#define ring_rmb()	virt_rmb() /* against the backend */
#else
#define ring_rmb()	xen_rmb()
#endif

unsigned int vgpufront_ring_slots(size_t octets)
{
	size_t n = (octets - VGPUIF_OFFSETOF(struct vgpu_sring, ring)) /
		   sizeof(union vgpu_sring_entry);
	unsigned int slots = 1;

	while (slots <= n / 2)
		slots *= 2;

	return slots;
}

void vgpufront_ring_init(struct vgpufront_ring *r, struct vgpu_sring *sring,
			 size_t octets)
{
	unsigned int i, slots = vgpufront_ring_slots(octets);

	memset(r, 0, sizeof(*r));
	XEN_FRONT_RING_INIT(&r->front, sring, octets);
	for (i = 0; i < slots; i++)
		r->shadow[i].next = i + 1 < slots ? i + 1 : VGPUFRONT_NO_ID;
	r->free_head = 0;
	r->free_tail = slots - 1;
}

unsigned int vgpufront_ring_free(const struct vgpufront_ring *r)
{
	return r->violation ? 0 : RING_FREE_REQUESTS(&r->front);
}

unsigned int vgpufront_ring_in_flight(const struct vgpufront_ring *r)
{
	return r->front.req_prod_pvt - r->front.rsp_cons - r->quiet;
}

bool vgpufront_ring_retire_due(const struct vgpufront_ring *r)
{
	unsigned int quarter = RING_SIZE(&r->front) / 4;

	return r->quiet_run + 1 >= quarter ||
	       (!vgpufront_ring_in_flight(r) &&
		vgpufront_ring_free(r) <= quarter);
}

static void free_id(struct vgpufront_ring *r, uint16_t id)
{
	r->shadow[id].busy = false;
	r->shadow[id].next = VGPUFRONT_NO_ID;
	if (r->free_head == VGPUFRONT_NO_ID)
		r->free_head = id;
	else
		r->shadow[r->free_tail].next = id;
	r->free_tail = id;
}

static uint16_t take_id(struct vgpufront_ring *r, uint8_t op)
{
	uint16_t id = r->free_head;

	r->free_head = r->shadow[id].next;
	r->shadow[id].busy = true;
	r->shadow[id].op = op;
	r->quiet_run = 0;

	return id;
}

static uint16_t count_quiet(struct vgpufront_ring *r)
{
	r->quiet++;
	r->quiet_new++;
	r->quiet_run++;

	return VGPUFRONT_NO_ID;
}

int vgpufront_ring_put(struct vgpufront_ring *r, struct vgpu_request *req)
{
	bool answered = !(req->flags & VGPU_REQF_QUIET) ||
			req->flags & VGPU_REQF_RETIRE;

	if (!vgpufront_ring_free(r) ||
	    (answered && r->free_head == VGPUFRONT_NO_ID))
		return -1;

	req->id = answered ? take_id(r, req->op) : count_quiet(r);
	*RING_GET_REQUEST(&r->front, r->front.req_prod_pvt) = *req;
	r->front.req_prod_pvt++;

	return req->id;
}

bool vgpufront_ring_push(struct vgpufront_ring *r)
{
	bool notify;

	/*
	 * The macro takes the old index from shared memory. A backend that
	 * changes it only spoils its own notifications.
	 */
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&r->front, notify);
	r->pushed = r->front.req_prod_pvt;
	r->quiet_new = 0;

	return notify;
}

static int broken(struct vgpufront_ring *r, enum vgpufront_violation how)
{
	r->violation = how;

	return -1;
}

int vgpufront_ring_get(struct vgpufront_ring *r, struct vgpu_response *rsp)
{
	RING_IDX cons = r->front.rsp_cons;
	RING_IDX prod;

	if (r->violation)
		return -1;

	prod = *(volatile RING_IDX *)&r->front.sring->rsp_prod;
	/* Orders the read of rsp_prod before that of the slots it covers. */
	ring_rmb();
	if (prod == cons && !r->announced)
		return 0;
	/*
	 * Stricter than RING_RESPONSE_PROD_OVERFLOW(), which would let the
	 * index reach slots whose requests were not even published.
	 */
	if (prod == cons || prod - cons > r->pushed - cons) {
		r->bad_prod = prod;
		return broken(r, VGPUFRONT_BAD_PRODUCER);
	}

	RING_COPY_RESPONSE(&r->front, cons, rsp);
	r->bad = *rsp;
	if (rsp->id >= RING_SIZE(&r->front))
		return broken(r, VGPUFRONT_BAD_ID_RANGE);
	if (!r->shadow[rsp->id].busy)
		return broken(r, VGPUFRONT_BAD_ID_IDLE);
	if (rsp->op != r->shadow[rsp->id].op)
		return broken(r, VGPUFRONT_BAD_OP);
	if (rsp->status > VGPU_RSP_MAX)
		return broken(r, VGPUFRONT_BAD_STATUS);
	if (rsp->retired > r->quiet - r->quiet_new)
		return broken(r, VGPUFRONT_BAD_RETIRED);
	if (rsp->retired >= prod - cons)
		return broken(r, VGPUFRONT_BAD_RETIRED_PROD);
	if (rsp->reserved0 || rsp->reserved)
		return broken(r, VGPUFRONT_BAD_RESERVED);

	r->announced = false;
	/* Void slots are not looked at. */
	r->front.rsp_cons = cons + 1 + rsp->retired;
	r->quiet -= rsp->retired;
	free_id(r, rsp->id);

	return 1;
}

bool vgpufront_ring_final_check(struct vgpufront_ring *r)
{
	bool more;

	RING_FINAL_CHECK_FOR_RESPONSES(&r->front, more);
	r->announced = more;

	return more;
}

bool vgpufront_ring_abort(struct vgpufront_ring *r, unsigned int id)
{
	if (id >= RING_SIZE(&r->front) || !r->shadow[id].busy)
		return false;

	free_id(r, id);

	return true;
}

const char *vgpufront_violation_text(enum vgpufront_violation violation)
{
	static const char *const text[] = {
#define VGPUFRONT_VIOLATION_TEXT(name, str) [VGPUFRONT_BAD_##name] = str,
		VGPUFRONT_VIOLATION_LIST(VGPUFRONT_VIOLATION_TEXT)
#undef VGPUFRONT_VIOLATION_TEXT
	};

	return text[violation];
}
