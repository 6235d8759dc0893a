/* SPDX-License-Identifier: MIT */
/*
 * evil_link.c - see evil_link.h
 */
#include "evil_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/xenbus.h>

#include "evil_tap.h"
#include "vgpu_nodes.h"

/* No answer comes on its own after this: it takes no time to be read. */
#define SETTLE_MS 200

#define BIT(n) (1u << (n))

void link_open(struct evil_link *l, unsigned int devid)
{
	char *id;

	memset(l, 0, sizeof(*l));
	l->xs = xs_open(0);
	if (!l->xs)
		tap_bail("no xenstore: %s", strerror(errno));
	l->gnt = xengntshr_open(NULL, 0);
	if (!l->gnt)
		tap_bail("no grants (is xen-gntalloc loaded?): %s",
			 strerror(errno));
	l->evt = xenevtchn_open(NULL, 0);
	if (!l->evt)
		tap_bail("no event channels (is xen-evtchn loaded?): %s",
			 strerror(errno));
	snprintf(l->front, sizeof(l->front), "device/" VGPUIF_CLASS "/%u",
		 devid);
	l->back = evil_read(l->xs, l->front, VGPU_NODE_BACKEND);
	if (!*l->back)
		tap_bail("no %s: vgpuctl attach makes it", l->front);
	id = evil_read(l->xs, l->front, VGPU_NODE_BACKEND_ID);
	l->back_id = strtoul(id, NULL, 10);
	free(id);
}

static void *share(struct evil_link *l, uint32_t pages, uint32_t *refs,
		   bool writable)
{
	void *mem = xengntshr_share_pages(l->gnt, l->back_id, pages, refs,
					  writable);

	if (!mem)
		tap_bail("cannot grant %u pages: %s", pages, strerror(errno));
	return mem;
}

void buffer_make(struct evil_link *l, struct evil_buffer *b, uint32_t handle,
		 uint32_t pages, bool writable)
{
	if (pages > VGPU_GREFS_PER_DIRECTORY)
		tap_bail("a buffer of %u pages needs a second directory",
			 pages);
	b->handle = handle;
	b->pages = pages;
	b->refs = calloc(pages, sizeof(*b->refs));
	if (!b->refs)
		tap_bail("out of memory");
	b->data = share(l, pages, b->refs, writable);
	b->dir = share(l, 1, &b->dir_ref, false);
	memcpy(b->dir->gref, b->refs, pages * sizeof(*b->refs));
}

void buffer_drop(struct evil_link *l, struct evil_buffer *b)
{
	if (!b->data)
		return;
	xengntshr_unshare(l->gnt, b->data, b->pages);
	xengntshr_unshare(l->gnt, b->dir, 1);
	free(b->refs);
	memset(b, 0, sizeof(*b));
}

static void drop_all(struct evil_link *l)
{
	for (int i = 0; i < 3; i++)
		buffer_drop(l, &l->good[i]);
	if (!l->granted)
		return;
	xengntshr_unshare(l->gnt, l->sring, 1);
	xengntshr_unshare(l->gnt, l->arena, EVIL_ARENA_PAGES);
	xengntshr_unshare(l->gnt, l->arena_dir, 1);
	xenevtchn_unbind(l->evt, l->port);
	l->granted = false;
}

void link_state(struct evil_link *l, unsigned int state)
{
	evil_write_uint(l->xs, l->front, VGPU_NODE_STATE, state);
}

static void remove_nodes(struct evil_link *l)
{
	static const char *const mine[] = {
		VGPU_NODE_VERSION,	VGPU_NODE_RING_PAGE_ORDER,
		VGPU_NODE_RING_REF,	VGPU_NODE_EVENT_CHANNEL,
		VGPU_NODE_ARENA_PAGES,	VGPU_NODE_ARENA_REF,
		VGPU_NODE_RING_REF "0", VGPU_NODE_RING_REF "1",
	};
	char path[128];

	for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", l->front, mine[i]);
		xs_rm(l->xs, XBT_NULL, path);
	}
}

bool link_reset(struct evil_link *l)
{
	unsigned int state = evil_state(l->xs, l->back);

	if (state == XenbusStateInitWait && !l->granted &&
	    evil_state(l->xs, l->front) == XenbusStateInitialising)
		return true;
	if (state == XenbusStateConnected || state == XenbusStateClosing) {
		link_state(l, XenbusStateClosing);
		if (evil_wait_state(l->xs, l->back,
				    BIT(XenbusStateClosed) |
					    BIT(XenbusStateInitWait)) < 0) {
			tap_note("the backend does not close");
			return false;
		}
	}
	drop_all(l);
	remove_nodes(l);
	link_state(l, XenbusStateClosed);
	link_state(l, XenbusStateInitialising);
	if (evil_wait_state(l->xs, l->back, BIT(XenbusStateInitWait)) < 0) {
		tap_note("the backend does not offer the device again");
		return false;
	}
	return true;
}

void link_prepare(struct evil_link *l)
{
	uint32_t refs[EVIL_ARENA_PAGES];
	xenevtchn_port_or_error_t port;

	l->sring = share(l, 1, &l->ring_ref, true);
	SHARED_RING_INIT(l->sring);
	FRONT_RING_INIT(&l->ring, l->sring, VGPUIF_PAGE_SIZE);
	l->arena = share(l, EVIL_ARENA_PAGES, refs, true);
	l->arena_ref = refs[0];
	l->arena_dir = share(l, 1, &l->arena_dir_ref, false);
	memcpy(l->arena_dir->gref, refs, sizeof(refs));
	/* 0 would be the guest's console page, which the backend may map. */
	l->arena_dir->gref[EVIL_ARENA_PAGES] = EVIL_NOT_GRANTED;
	port = xenevtchn_bind_unbound_port(l->evt, l->back_id);
	if (port < 0)
		tap_bail("no event channel: %s", strerror(errno));
	l->port = port;
	l->granted = true;
	evil_write(l->xs, l->front, VGPU_NODE_VERSION, VGPUIF_VERSION_STR);
	evil_write_uint(l->xs, l->front, VGPU_NODE_RING_PAGE_ORDER, 0);
	evil_write_uint(l->xs, l->front, VGPU_NODE_RING_REF, l->ring_ref);
	evil_write_uint(l->xs, l->front, VGPU_NODE_EVENT_CHANNEL, l->port);
	evil_write_uint(l->xs, l->front, VGPU_NODE_ARENA_PAGES,
			EVIL_ARENA_PAGES);
	evil_write_uint(l->xs, l->front, VGPU_NODE_ARENA_REF, l->arena_dir_ref);
}

bool link_finish(struct evil_link *l)
{
	struct vgpu_request req;
	int state, status;
	char *error;

	link_state(l, XenbusStateInitialised);
	state = evil_wait_state(l->xs, l->back,
				BIT(XenbusStateConnected) |
					BIT(XenbusStateClosing) |
					BIT(XenbusStateClosed));
	if (state != XenbusStateConnected) {
		error = evil_read(l->xs, l->back, VGPU_NODE_ERROR);
		tap_note("not connected: backend state %d, error \"%s\"", state,
			 error);
		free(error);
		return false;
	}
	link_state(l, XenbusStateConnected);
	for (int i = 0; i < 3; i++) {
		buffer_make(l, &l->good[i], i + 1, 2, true);
		req = buffer_map_request(&l->good[i], 0);
		status = link_call(l, &req);
		if (status) {
			tap_note("mapping buffer %d: status %d", i, status);
			return false;
		}
	}
	return true;
}

bool link_connect(struct evil_link *l)
{
	if (!link_reset(l))
		return false;
	link_prepare(l);
	return link_finish(l);
}

bool link_refused(struct evil_link *l)
{
	int state = evil_wait_state(l->xs, l->back,
				    BIT(XenbusStateClosing) |
					    BIT(XenbusStateClosed));
	char *error = evil_read(l->xs, l->back, VGPU_NODE_ERROR);
	bool ok = state >= 0 && *error;

	tap_note("backend state %u, error \"%s\"", evil_state(l->xs, l->back),
		 error);
	free(error);
	return ok;
}

void link_put(struct evil_link *l, const struct vgpu_request *req)
{
	*RING_GET_REQUEST(&l->ring, l->ring.req_prod_pvt) = *req;
	l->ring.req_prod_pvt++;
}

void link_kick(struct evil_link *l)
{
	int notify;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&l->ring, notify);
	if (notify)
		xenevtchn_notify(l->evt, l->port);
}

/* Takes what is pending on the port; unmasking it lets the next one through. */
static void take_event(struct evil_link *l, int64_t left)
{
	struct pollfd fd = {.fd = xenevtchn_fd(l->evt), .events = POLLIN};
	xenevtchn_port_or_error_t port;

	if (poll(&fd, 1, left) <= 0)
		return;
	port = xenevtchn_pending(l->evt);
	if (port >= 0)
		xenevtchn_unmask(l->evt, port);
}

bool link_get(struct evil_link *l, struct vgpu_response *rsp)
{
	int64_t end = evil_now_ms() + EVIL_TIMEOUT_MS;
	int more;

	for (;;) {
		int64_t left = end - evil_now_ms();

		if (l->ring.rsp_cons != l->sring->rsp_prod) {
			xen_rmb(); /* rsp_prod before the response it covers */
			RING_COPY_RESPONSE(&l->ring, l->ring.rsp_cons, rsp);
			l->ring.rsp_cons += 1 + rsp->retired;
			return true;
		}
		RING_FINAL_CHECK_FOR_RESPONSES(&l->ring, more);
		if (more)
			continue;
		if (left <= 0)
			return false;
		take_event(l, left);
	}
}

bool link_settle(struct evil_link *l)
{
	int64_t end = evil_now_ms() + EVIL_TIMEOUT_MS;
	struct vgpu_request nop = link_request(VGPU_OP_NOP);
	RING_IDX before;
	int more;

	while (evil_now_ms() < end) {
		l->ring.rsp_cons = before = l->sring->rsp_prod;
		if (before == l->ring.req_prod_pvt)
			return true;
		RING_FINAL_CHECK_FOR_RESPONSES(&l->ring, more);
		if (more)
			continue;
		take_event(l, SETTLE_MS);
		if (l->sring->rsp_prod != before || RING_FULL(&l->ring))
			continue;
		link_put(l, &nop);
		link_kick(l);
	}
	return false;
}

int link_call(struct evil_link *l, struct vgpu_request *req)
{
	struct vgpu_response rsp;

	if (!req->id)
		req->id = 100 + l->next_id++ % 10000;
	link_put(l, req);
	link_kick(l);
	if (!link_get(l, &rsp))
		return -1;
	if (rsp.id != req->id || rsp.op != req->op || rsp.retired ||
	    rsp.reserved0 || rsp.reserved)
		return -2;
	return rsp.status;
}

struct vgpu_request link_request(uint8_t op)
{
	struct vgpu_request req = {.op = op, .ctx = EVIL_CTX};

	return req;
}

struct vgpu_request buffer_map_request(const struct evil_buffer *b,
				       uint32_t flags)
{
	struct vgpu_request req = link_request(VGPU_OP_BUFFER_MAP);

	req.u.map.handle = b->handle;
	req.u.map.flags = flags;
	req.u.map.directory = b->dir_ref;
	req.u.map.nr_pages = b->pages;
	req.u.map.length = (uint64_t)b->pages * VGPUIF_PAGE_SIZE;
	return req;
}

struct vgpu_request add_request(const struct evil_link *l, uint32_t count)
{
	struct vgpu_request req = link_request(VGPU_OP_BUILTIN);

	req.u.builtin.kernel = VGPU_KERNEL_VECTOR_ADD;
	for (int i = 0; i < 3; i++) {
		req.u.builtin.operand[i].handle = l->good[i].handle;
		req.u.builtin.operand[i].count = count;
	}
	return req;
}

bool link_healthy(struct evil_link *l)
{
	const uint32_t n = 2 * VGPUIF_PAGE_SIZE / sizeof(float);
	struct vgpu_request nop = link_request(VGPU_OP_NOP);
	struct vgpu_request add = add_request(l, n);
	float *a = l->good[0].data, *b = l->good[1].data, *c = l->good[2].data;
	int status;

	status = link_call(l, &nop);
	if (status) {
		tap_note("NOP: status %d", status);
		return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		a[i] = i;
		b[i] = 0.5f * nop.id;
		c[i] = -1;
	}
	status = link_call(l, &add);
	if (status) {
		tap_note("vector add: status %d", status);
		return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (c[i] != a[i] + b[i]) {
			tap_note("c[%u] is %f, not %f", i, c[i], a[i] + b[i]);
			return false;
		}
	}
	return true;
}
