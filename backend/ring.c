// SPDX-License-Identifier: MIT
/*
 * ring.c - the backend's side of the ring (see ring.h)
 */
#include "ring.h"

#include <errno.h>
#include <string.h>

#include "log.h"

void ring_init(struct ring *r, void *pages, uint32_t order,
	       xenevtchn_handle *xce, evtchn_port_t port,
	       struct vgpu_stats *stats)
{
	struct vgpu_sring *sring = pages;

	r->xce = xce;
	r->port = port;
	r->stats = stats;
	r->quiet = 0;
	r->pushed = 0;
	r->owed = false;
	/* As SHARED_RING_INIT() left it. */
	r->asked = true;
	r->broken = false;
	BACK_RING_INIT(&r->back, sring, (size_t)VGPUIF_PAGE_SIZE << order);
}

bool ring_event(struct ring *r)
{
	xenevtchn_port_or_error_t port = xenevtchn_pending(r->xce);

	if (port < 0)
		return errno == EAGAIN || errno == EINTR;
	if ((evtchn_port_t)port == r->port) {
		r->owed = true;
		r->stats->wakeups++;
	}
	return true;
}

bool ring_next(struct ring *r, struct vgpu_request *req)
{
	RING_IDX prod, cons = r->back.req_cons;
	RING_IDX room;

	if (r->broken)
		return false;
	prod = __atomic_load_n(&r->back.sring->req_prod, __ATOMIC_RELAXED);
	/* The index before the slots: pairs with the frontend's xen_wmb(). */
	xen_rmb();
	/*
	 * As RING_REQUEST_PROD_OVERFLOW(), but an index that went backwards is
	 * out of range too.
	 */
	room = RING_SIZE(&r->back) - (cons - r->back.rsp_prod_pvt);
	if ((RING_IDX)(prod - cons) > room) {
		r->broken = true;
		return false;
	}
	if (prod == cons)
		return false;
	RING_COPY_REQUEST(&r->back, cons, req);
	r->back.req_cons = cons + 1;
	return true;
}

void ring_respond(struct ring *r, const struct vgpu_response *rsp)
{
	struct vgpu_response out = *rsp;

	if (r->broken)
		return;
	/* At most a ring of them, far less than the field holds. */
	out.retired = r->quiet;
	/*
	 * There is room: the slot's request was consumed, and so were those of
	 * the slots that it retires. What is left of the slot behind the
	 * response, and of those, are the guest's own requests.
	 */
	*RING_GET_RESPONSE(&r->back, r->back.rsp_prod_pvt) = out;
	r->back.rsp_prod_pvt += 1 + r->quiet;
	r->stats->retired += r->quiet;
	r->quiet = 0;
}

void ring_retire(struct ring *r)
{
	r->quiet++;
}

void ring_push(struct ring *r)
{
	int notify;

	if (r->broken || r->back.rsp_prod_pvt == r->pushed)
		return;
	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&r->back, notify);
	r->pushed = r->back.rsp_prod_pvt;
	r->stats->batches++;
	if (!notify) {
		r->stats->notify_suppressed++;
		return;
	}
	r->stats->notify_sent++;
	if (xenevtchn_notify(r->xce, r->port))
		log_event(LOG_ERROR, "notify", F_STR("why", strerror(errno)));
}

bool ring_idle(struct ring *r)
{
	int more;

	if (r->broken)
		return true;
	r->asked = true;
	RING_FINAL_CHECK_FOR_REQUESTS(&r->back, more);
	if (more)
		return false;
	if (r->owed) {
		r->owed = false;
		if (xenevtchn_unmask(r->xce, r->port))
			log_event(LOG_ERROR, "unmask",
				  F_STR("why", strerror(errno)));
	}
	return true;
}

void ring_awake(struct ring *r)
{
	if (r->broken || !r->asked)
		return;
	r->asked = false;
	/* Consumed already: a push covers indices from req_cons on only. */
	__atomic_store_n(&r->back.sring->req_event, r->back.req_cons,
			 __ATOMIC_RELAXED);
}
