/* SPDX-License-Identifier: MIT */
/*
 * evil_ring.c - attacks through the shared memory and the event channel
 *
 * The main thread speaks the protocol; a second one changes memory behind its
 * back, or notifies without end. What the requests do then is the guest's own
 * affair: the backend must answer each one, and go on.
 */
#include "evil_front.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "evil_tap.h"

struct rival {
	struct evil_link *l;
	struct vgpu_page_directory *dir; /* to be changed, or NULL */
	uint32_t refs[2];
	atomic_bool stop;
};

/* ---- indices ---- */

/* Sets req_prod, tells the backend, and expects it to close the device. */
static void expect_closed(struct evil_link *l, RING_IDX req_prod,
			  const char *what)
{
	l->sring->req_prod = req_prod;
	xen_wmb(); /* req_prod before the notification */
	xenevtchn_notify(l->evt, l->port);
	tap(link_refused(l), "%s: closed, with a reason", what);
	if (!tap(link_connect(l) && link_healthy(l), "%s: works afterwards",
		 what))
		tap_bail("the device does not come back");
}

/* The backend keeps its own: what a guest writes there misleads nobody. */
static bool own_indices(struct evil_link *l)
{
	struct vgpu_request nop = link_request(VGPU_OP_NOP);
	int64_t end = evil_now_ms() + EVIL_TIMEOUT_MS;
	volatile RING_IDX *rsp_prod = &l->sring->rsp_prod;
	struct vgpu_response rsp;

	nop.id = 77;
	link_put(l, &nop);
	*rsp_prod += 1000;
	link_kick(l);
	l->sring->req_event = 0x7fffffff;
	xenevtchn_notify(l->evt, l->port);
	while (*rsp_prod != l->ring.req_prod_pvt && evil_now_ms() < end)
		sched_yield();
	return *rsp_prod == l->ring.req_prod_pvt && link_get(l, &rsp) &&
	       rsp.id == 77 && rsp.status == VGPU_RSP_OK;
}

static void attack_indices(struct evil_link *l)
{
	RING_IDX prod, slots = RING_SIZE(&l->ring);

	prod = l->ring.req_prod_pvt;
	expect_closed(l, prod + slots + 1, "req_prod one beyond the ring");
	prod = l->ring.req_prod_pvt;
	expect_closed(l, prod + 0x80000000u, "req_prod 2^31 ahead");
	prod = l->ring.req_prod_pvt;
	expect_closed(l, prod - 1, "req_prod going backwards");
	prod = l->ring.req_prod_pvt;
	expect_closed(l, prod - slots, "req_prod a ring backwards");

	tap(own_indices(l), "rsp_prod and req_event overwritten: answered");
	tap(link_healthy(l), "rsp_prod and req_event overwritten: works");
}

/* ---- slots and directories that change ---- */

static void *scribble(void *arg)
{
	struct rival *r = arg;
	volatile uint8_t *slots = (volatile uint8_t *)r->l->sring->ring;
	size_t len = RING_SIZE(&r->l->ring) * sizeof(union vgpu_sring_entry);
	unsigned int seed = 1;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		uint32_t v = rand_r(&seed);

		slots[v % len] = v >> 16;
		if (r->dir)
			((volatile uint32_t *)r->dir->gref)[v & 1] =
				v & 0x100 ? v : r->refs[v & 1];
	}
	return NULL;
}

/*
 * Sends requests while the rival is at work. False where the slot of one did not
 * come back. Nothing more can be said: the answers are scribbled on, too, and
 * what the rival made quiet has none.
 */
static bool send_meanwhile(struct evil_link *l, struct evil_buffer *spare,
			   unsigned int seconds)
{
	int64_t end = evil_now_ms() + seconds * 1000ll;
	unsigned long sent = 0;
	struct vgpu_request req;

	do {
		for (int i = 0; i < 16; i++) {
			req = i % 3 == 0 ? buffer_map_request(spare, 0) :
			      i % 3 == 1 ? add_request(l, 2048) :
					   link_request(VGPU_OP_BUFFER_UNMAP);
			if (i % 3 == 2)
				req.u.handle.handle = spare->handle;
			req.id = i + 1;
			link_put(l, &req);
		}
		link_kick(l);
		sent += 16;
		if (!link_settle(l)) {
			tap_note("slots are missing after %lu requests", sent);
			return false;
		}
	} while (evil_now_ms() < end);
	tap_note("%lu requests", sent);
	return true;
}

static void attack_memory(struct evil_link *l, unsigned int seconds, bool dirs)
{
	const char *what =
		dirs ? "slots and directories change" : "slots change";
	struct rival r = {.l = l};
	struct evil_buffer spare;
	pthread_t thread;
	bool answered;

	buffer_make(l, &spare, 30, 2, true);
	memcpy(r.refs, spare.refs, sizeof(r.refs));
	r.dir = dirs ? spare.dir : NULL;
	if (pthread_create(&thread, NULL, scribble, &r))
		tap_bail("no thread");
	answered = send_meanwhile(l, &spare, seconds);
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	tap(answered, "%s: every slot comes back", what);
	tap(link_connect(l) && link_healthy(l), "%s: works afterwards", what);
	buffer_drop(l, &spare);
}

/* ---- event channel ---- */

static void *storm(void *arg)
{
	struct rival *r = arg;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed))
		xenevtchn_notify(r->l->evt, r->l->port);
	return NULL;
}

static void attack_port(struct evil_link *l, unsigned int seconds)
{
	int64_t end = evil_now_ms() + seconds * 1000ll;
	struct rival r = {.l = l};
	pthread_t thread;
	bool ok;

	if (pthread_create(&thread, NULL, storm, &r))
		tap_bail("no thread");
	do
		ok = link_healthy(l);
	while (ok && evil_now_ms() < end);
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	tap(ok, "notifications without end: works meanwhile");
}

void attack_ring(struct evil_link *l, unsigned int seconds)
{
	if (!tap(link_connect(l) && link_healthy(l), "ring: connected"))
		return;
	attack_indices(l);
	attack_memory(l, seconds, false);
	attack_memory(l, seconds, true);
	attack_port(l, seconds);
	tap(link_reset(l), "ring: closed, and offered again");
}
