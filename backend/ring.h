/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the shared ring and its event channel, the backend's side
 *
 * Owns the ring's pages and the port. Run by the worker's thread. Knows nothing
 * of what requests mean, and never reads a slot twice.
 *
 * Order of one turn of the worker, and why no wake-up is lost:
 *
 *   ring_event()    takes the port's event; the kernel keeps the port masked
 *                   from now on. Further events only set its pending bit.
 *   ring_next()     until the ring is empty. req_prod is read before the slots
 *                   it covers (read barrier).
 *   ring_push()     answers: slots, write barrier, rsp_prod, full barrier,
 *                   rsp_event. Either we see the frontend's rsp_event and send
 *                   an event, or it set it after our rsp_prod was visible and
 *                   its final check finds the responses.
 *   ring_idle()     final check: writes req_event, full barrier, reads
 *                   req_prod again. A request published before that read is
 *                   found here, and the worker goes on instead of sleeping. One
 *                   published later sees our req_event, and the frontend sends
 *                   an event. That event sets the pending bit; only then is
 *                   the port unmasked, which delivers a pending event at once.
 *   ring_awake()    after the sleep, whatever ended it: takes the wish for an
 *                   event back, so that a frontend sends none to a worker
 *                   that looks anyway.
 *
 * A worker that polls takes many turns of ring_next() and ring_push() and
 * leaves ring_idle() out: req_event stays behind req_cons, where no push of the
 * frontend passes it, and neither side makes a system call. That loses nothing,
 * because it does not sleep: each turn reads req_prod, and before it does sleep
 * ring_idle() comes first. A frontend that still saw the former req_event sends
 * an event too many, whose pending bit ends the next sleep at once.
 *
 * The engine is the second thing to sleep on. It is armed after ring_idle():
 * where a job has ended by then, there is no sleep but another turn. Both
 * descriptors are level triggered, so what comes between arming and poll(2)
 * ends that poll.
 *
 * Slots come back to the frontend in the order of the responses. A quiet request
 * has none: ring_retire() counts it, and the next response says how many slots
 * behind it are void, which moves rsp_prod over them. What a frontend that sends
 * quiet requests alone lacks are slots; nobody else notices.
 *
 * So between "the ring is empty" and sleep there is no moment in which a
 * request could arrive unseen. A frontend that leaves the order out of its side
 * only delays its own requests.
 */
#ifndef VGPU_BACKEND_RING_H
#define VGPU_BACKEND_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <xen/io/vgpuif.h>
#include <xenevtchn.h>

#include "stats.h"

/*
 * @owed: the port was taken and not unmasked yet
 * @asked: req_event asks for an event
 * @quiet: requests that are done and wait for a response to retire them
 * @pushed: rsp_prod as last published; the shared copy is the guest's to change
 * @broken: the producer index was out of range; the ring is not touched again
 */
struct ring {
	xenevtchn_handle *xce;
	evtchn_port_t port;
	struct vgpu_back_ring back;
	struct vgpu_stats *stats;
	RING_IDX quiet;
	RING_IDX pushed;
	bool owed;
	bool asked;
	bool broken;
};

/* pages: 1 << order mapped pages; port: bound. */
void ring_init(struct ring *r, void *pages, uint32_t order,
	       xenevtchn_handle *xce, evtchn_port_t port,
	       struct vgpu_stats *stats);

/* The event channel's descriptor is readable. False: it failed. */
bool ring_event(struct ring *r);

/* Copies the next request; false where there is none, or the ring is broken. */
bool ring_next(struct ring *r, struct vgpu_request *req);

/*
 * Puts a response on the ring, with what it retires; ring_push() publishes all
 * of them.
 */
void ring_respond(struct ring *r, const struct vgpu_response *rsp);

/* A request that is to have no response is done. */
void ring_retire(struct ring *r);

/* At most one event, and none where the frontend does not wait for it. */
void ring_push(struct ring *r);

/*
 * True: nothing to do, the event channel will wake us. False: requests have
 * arrived, go on.
 */
bool ring_idle(struct ring *r);

/* We look at the ring from now on, until the next ring_idle(). */
void ring_awake(struct ring *r);

#endif /* VGPU_BACKEND_RING_H */
