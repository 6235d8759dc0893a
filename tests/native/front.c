// SPDX-License-Identifier: MIT
/*
 * front.c - connecting, closing, and the ring's two directions (see front.h)
 */
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vgpu_nodes.h"
#include "vgpufront_parse.h"
#include "world.h"

/* A spinning front looks at the clock this seldom. */
#define SPINS_PER_LOOK (1u << 16)

static bool fail(const struct front *f, const char *what)
{
	fprintf(stderr, "front %u/%u: %s: %s\n", f->domid, f->devid, what,
		strerror(errno));
	return false;
}

bool front_open(struct front *f, uint32_t domid, uint32_t devid)
{
	char path[96];
	char *id;

	memset(f, 0, sizeof(*f));
	f->domid = domid;
	f->devid = devid;
	pthread_mutex_init(&f->lock, NULL);
	snprintf(f->dir, sizeof(f->dir), "device/" VGPUIF_CLASS "/%u", devid);
	nx_be(domid);
	f->xs = xs_open(0);
	f->evt = xenevtchn_open(NULL, 0);
	nx_be(0);
	if (!f->xs || !f->evt || !guest_open(&f->mem, domid))
		return fail(f, "open");
	snprintf(path, sizeof(path), "%s/" VGPU_NODE_BACKEND, f->dir);
	f->back = xs_read(f->xs, XBT_NULL, path, NULL);
	snprintf(path, sizeof(path), "%s/" VGPU_NODE_BACKEND_ID, f->dir);
	id = xs_read(f->xs, XBT_NULL, path, NULL);
	if (!f->back || !id)
		return fail(f, "not attached");
	f->back_id = strtoul(id, NULL, 10);
	free(id);
	return true;
}

void front_close(struct front *f)
{
	free(f->arena_ref);
	free(f->back);
	xenevtchn_close(f->evt);
	guest_close(&f->mem);
	xs_close(f->xs);
	pthread_mutex_destroy(&f->lock);
}

static bool write_text(struct front *f, xs_transaction_t t, const char *node,
		       const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->dir, node);
	return xs_write(f->xs, t, path, value, strlen(value));
}

static bool write_number(struct front *f, xs_transaction_t t, const char *node,
			 uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_text(f, t, node, text);
}

bool front_write(struct front *f, const char *node, uint64_t value)
{
	return write_number(f, XBT_NULL, node, value);
}

bool front_state(struct front *f, enum xenbus_state state)
{
	return front_write(f, VGPU_NODE_STATE, state);
}

bool front_wait_back(struct front *f, enum xenbus_state state)
{
	char path[128], value[4];

	snprintf(path, sizeof(path), "%s/" VGPU_NODE_STATE, f->back);
	snprintf(value, sizeof(value), "%d", state);
	if (store_wait(f->xs, path, value))
		return true;
	errno = ETIMEDOUT;
	return fail(f, "the backend's state does not come");
}

static char *back_text(struct front *f, const char *node)
{
	char path[128];
	char *text;

	snprintf(path, sizeof(path), "%s/%s", f->back, node);
	text = xs_read(f->xs, XBT_NULL, path, NULL);
	return text ? text : strdup("");
}

static bool back_number(struct front *f, const char *node, uint64_t max,
			uint64_t *out)
{
	char *text = back_text(f, node);
	bool ok = text && vgpufront_parse_u64(text, max, out);

	free(text);
	errno = EPROTO;
	return ok || fail(f, node);
}

static bool back_lists(struct front *f, const char *node, const char *word)
{
	char *text = back_text(f, node);
	bool ok = text && vgpufront_list_has(text, word);

	free(text);
	errno = EPROTO;
	return ok || fail(f, node);
}

static void back_copy(struct front *f, const char *node, char *to)
{
	char *text = back_text(f, node);

	vgpufront_copy_text(to, VGPU_NAME_LEN, text ? text : "");
	free(text);
}

bool front_await_offer(struct front *f)
{
	struct front_limits *l = &f->limits;

	if (!front_wait_back(f, XenbusStateInitWait))
		return false;
	back_copy(f, VGPU_NODE_ENGINE, l->engine);
	back_copy(f, VGPU_NODE_GPU_NAME, l->gpu_name);
	return back_lists(f, VGPU_NODE_VERSIONS, VGPUIF_VERSION_STR) &&
	       back_lists(f, VGPU_NODE_OPS, "nop") &&
	       back_lists(f, VGPU_NODE_OPS, "builtin") &&
	       back_number(f, VGPU_NODE_MAX_RING_PAGE_ORDER,
			   VGPUIF_MAX_RING_PAGE_ORDER, &l->ring_order) &&
	       back_number(f, VGPU_NODE_MAX_ARENA_PAGES, VGPUIF_MAX_ARENA_PAGES,
			   &l->arena_pages) &&
	       back_number(f, VGPU_NODE_MAX_BUFFERS, UINT32_MAX, &l->buffers) &&
	       back_number(f, VGPU_NODE_MAX_BUFFER_PAGES, UINT32_MAX,
			   &l->buffer_pages);
}

static bool grant_run(struct front *f, bool read_only, uint32_t page,
		      uint32_t n, uint32_t *refs)
{
	uint32_t pages[VGPUIF_MAX_ARENA_PAGES];

	for (uint32_t i = 0; i < n; i++)
		pages[i] = page + i;
	return page &&
	       guest_grant(&f->mem, f->back_id, read_only, pages, n, refs);
}

bool front_prepare(struct front *f, uint32_t ring_order, uint32_t arena_pages)
{
	struct vgpu_page_directory *dir;
	xenevtchn_port_or_error_t port;
	uint32_t ring_pages;

	if (ring_order > f->limits.ring_order)
		ring_order = f->limits.ring_order;
	if (arena_pages > f->limits.arena_pages)
		arena_pages = f->limits.arena_pages;
	ring_pages = 1u << ring_order;
	f->ring_order = ring_order;
	f->arena_pages = arena_pages;
	f->ring_page = guest_alloc(&f->mem, ring_pages);
	f->arena_page = guest_alloc(&f->mem, arena_pages);
	f->arena_dir_page = guest_alloc(&f->mem, 1);
	free(f->arena_ref);
	f->arena_ref = calloc(arena_pages, sizeof(*f->arena_ref));
	if (!f->arena_ref ||
	    !grant_run(f, false, f->ring_page, ring_pages, f->ring_ref) ||
	    !grant_run(f, false, f->arena_page, arena_pages, f->arena_ref) ||
	    !grant_run(f, true, f->arena_dir_page, 1, &f->arena_dir_ref))
		return fail(f, "grants of the ring and arena");
	f->granted = true;
	dir = guest_at(&f->mem, f->arena_dir_page);
	memcpy(dir->gref, f->arena_ref, arena_pages * sizeof(*f->arena_ref));
	vgpufront_ring_init(&f->ring, guest_at(&f->mem, f->ring_page),
			    ring_pages * NX_PAGE);
	f->owed = false;
	port = xenevtchn_bind_unbound_port(f->evt, f->back_id);
	if (port < 0)
		return fail(f, "event channel");
	f->port = port;
	return true;
}

static bool write_nodes(struct front *f, xs_transaction_t t)
{
	char node[24];

	for (uint32_t i = 0; i < 1u << f->ring_order; i++) {
		if (f->ring_order)
			snprintf(node, sizeof(node), VGPU_NODE_RING_REF_FMT, i);
		else
			strcpy(node, VGPU_NODE_RING_REF);
		if (!write_number(f, t, node, f->ring_ref[i]))
			return false;
	}
	return write_text(f, t, VGPU_NODE_VERSION, VGPUIF_VERSION_STR) &&
	       write_number(f, t, VGPU_NODE_RING_PAGE_ORDER, f->ring_order) &&
	       write_number(f, t, VGPU_NODE_EVENT_CHANNEL, f->port) &&
	       write_number(f, t, VGPU_NODE_ARENA_PAGES, f->arena_pages) &&
	       write_number(f, t, VGPU_NODE_ARENA_REF, f->arena_dir_ref);
}

bool front_publish(struct front *f)
{
	xs_transaction_t t;

	do {
		t = xs_transaction_start(f->xs);
		if (!t || !write_nodes(f, t))
			return fail(f, "writing the nodes");
	} while (!xs_transaction_end(f->xs, t, false) && errno == EAGAIN);
	return true;
}

bool front_finish(struct front *f)
{
	return front_state(f, XenbusStateInitialised) &&
	       front_wait_back(f, XenbusStateConnected) &&
	       front_state(f, XenbusStateConnected);
}

bool front_connect(struct front *f, uint32_t ring_order, uint32_t arena_pages)
{
	return front_await_offer(f) &&
	       front_prepare(f, ring_order, arena_pages) && front_publish(f) &&
	       front_finish(f);
}

bool front_drop(struct front *f)
{
	uint32_t ring_pages = 1u << f->ring_order;

	if (f->granted) {
		if (!guest_end_grant(&f->mem, f->ring_ref, ring_pages) ||
		    !guest_end_grant(&f->mem, f->arena_ref, f->arena_pages) ||
		    !guest_end_grant(&f->mem, &f->arena_dir_ref, 1))
			return fail(f, "ending grants of the ring and arena");
		guest_free(&f->mem, f->ring_page, ring_pages);
		guest_free(&f->mem, f->arena_page, f->arena_pages);
		guest_free(&f->mem, f->arena_dir_page, 1);
		xenevtchn_unbind(f->evt, f->port);
		f->granted = false;
	}
	return front_state(f, XenbusStateClosed);
}

bool front_disconnect(struct front *f)
{
	return front_state(f, XenbusStateClosing) &&
	       front_wait_back(f, XenbusStateClosed) && front_drop(f);
}

bool front_restart(struct front *f)
{
	return front_state(f, XenbusStateInitialising);
}

/* Uncontended, it would still be a tenth of a polled round trip. */
static void lock(struct front *f)
{
	if (f->shared)
		pthread_mutex_lock(&f->lock);
}

static void unlock(struct front *f)
{
	if (f->shared)
		pthread_mutex_unlock(&f->lock);
}

int front_put(struct front *f, struct vgpu_request *req)
{
	int id;

	lock(f);
	id = vgpufront_ring_put(&f->ring, req);
	f->counts.requests += id >= 0;
	unlock(f);
	return id;
}

void front_push(struct front *f)
{
	bool notify;

	lock(f);
	notify = vgpufront_ring_unpushed(&f->ring) &&
		 vgpufront_ring_push(&f->ring);
	f->counts.pushes++;
	f->counts.notify_sent += notify;
	f->counts.syscalls += notify;
	unlock(f);
	if (notify)
		xenevtchn_notify(f->evt, f->port);
}

int front_get(struct front *f, struct vgpu_response *rsp)
{
	int n;

	lock(f);
	n = vgpufront_ring_get(&f->ring, rsp);
	f->counts.responses += n > 0;
	unlock(f);
	if (n < 0)
		fprintf(stderr, "front %u/%u: %s\n", f->domid, f->devid,
			vgpufront_violation_text(f->ring.violation));
	return n;
}

/*
 * The backend's ring_idle() mirrored: the port is unmasked when nothing is left
 * and the ring asks for an event, so one that came meanwhile comes through now.
 * False: nothing came.
 */
static bool sleep_for_event(struct front *f)
{
	struct pollfd fd = {.fd = xenevtchn_fd(f->evt), .events = POLLIN};
	bool more;

	lock(f);
	more = vgpufront_ring_final_check(&f->ring);
	f->counts.syscalls += more ? 0 : 2 + f->owed;
	f->counts.waits += !more;
	unlock(f);
	if (more)
		return true;
	if (f->owed)
		xenevtchn_unmask(f->evt, f->port);
	f->owed = false;
	if (poll(&fd, 1, WORLD_TIMEOUT_MS) <= 0)
		return false;
	f->owed = xenevtchn_pending(f->evt) == (int)f->port;
	lock(f);
	f->counts.events++;
	unlock(f);
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/*
 * Looks at the producer index alone, of which front_get() makes sure: a line of
 * memory that stays in this processor's cache until the backend writes to it.
 * What is read beside it is changed by this thread only. False: nothing came.
 */
static bool spin_for_response(const struct front *f)
{
	const struct vgpufront_ring *r = &f->ring;
	const RING_IDX *prod = &r->front.sring->rsp_prod;
	uint64_t end = 0;

	for (uint32_t i = 1;; i++) {
		if (r->violation || r->announced ||
		    __atomic_load_n(prod, __ATOMIC_RELAXED) !=
			    r->front.rsp_cons)
			return true;
		if (i % SPINS_PER_LOOK)
			continue;
		if (!end)
			end = now_ms() + WORLD_TIMEOUT_MS;
		if (now_ms() > end)
			return false;
	}
}

int front_next(struct front *f, struct vgpu_response *rsp)
{
	int n;

	for (;;) {
		n = front_get(f, rsp);
		if (n)
			return n;
		if (f->polling ? !spin_for_response(f) : !sleep_for_event(f))
			return 0;
	}
}

int front_call(struct front *f, struct vgpu_request *req,
	       struct vgpu_response *rsp)
{
	struct vgpu_response own;

	if (!rsp)
		rsp = &own;
	if (front_put(f, req) < 0)
		return -1;
	front_push(f);
	return front_next(f, rsp) > 0 && rsp->id == req->id ? rsp->status : -1;
}
