/* SPDX-License-Identifier: MIT */
/*
 * evil_back - a hostile backend: attacks a guest's vgpufront, reports in TAP
 *
 * Runs in the device's backend domain, where no vgpubackd serves the device,
 * as root, in one thread. It negotiates as vgpuif.h says, and answers "success"
 * without doing anything, until the attack. Some program in the guest must be
 * using the device meanwhile. Whether that program saw an error and the guest's
 * kernel stayed whole is for the test script to say; here is said what
 * vgpufront did with its state.
 */
#include "evil_back.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/io/xenbus.h>

#include "evil_tap.h"
#include "vgpu_nodes.h"

static const char usage[] =
	"usage: evil_back [-o OP] [-t SECONDS] DIRECTORY ATTACK...\n"
	"DIRECTORY is the device's backend directory in xenstore.\n"
	"Attacks with the answer to the first request of kind OP (5, BUILTIN; "
	"0: any):\n"
	"  foreign-id wrong-op duplicate unasked bad-status reserved\n"
	"  retired retired-more retired-ahead   lies about quiet requests\n"
	"  prod-far prod-back prod-half\n"
	"  close-middle   goes Closing and Closed instead of answering\n"
	"  never          answers nothing for SECONDS (3), then closes\n"
	"  vanish         ends at once, leaving everything as it is\n"
	"Others:\n"
	"  nodes          garbage in what the backend publishes\n"
	"  states         nonsense in the backend's state while connected\n"
	"  storm          notifies for SECONDS\n"
	"  scribble       random responses for SECONDS\n"
	"  lies           no attack: says success and does nothing, for "
	"SECONDS\n";

static const char *const static_nodes[][2] = {
	{VGPU_NODE_VERSIONS, VGPUIF_VERSION_STR},
	{VGPU_NODE_MAX_RING_PAGE_ORDER, "4"},
	{VGPU_NODE_MAX_ARENA_PAGES, "256"},
	{VGPU_NODE_MAX_BUFFERS, "1024"},
	{VGPU_NODE_MAX_BUFFER_PAGES, "65536"},
	{VGPU_NODE_MAX_STREAMS, "256"},
	{VGPU_NODE_OPS, "nop info buffer-map buffer-unmap builtin fence "
			"mem-alloc mem-free copy fill ctx-destroy"},
	{VGPU_NODE_BUILTINS, "vector-add"},
	{VGPU_NODE_ENGINE, "cpu"},
	{VGPU_NODE_GPU_NAME, "evil_back"},
	{VGPU_NODE_GPU_MEMORY, "1073741824"},
	{VGPU_NODE_DRIVER_VERSION, "6.66"},
};

void back_open(struct evil_back *b, const char *dir)
{
	char *id;

	b->xs = xs_open(0);
	if (!b->xs)
		tap_bail("no xenstore: %s", strerror(errno));
	b->gnt = xengnttab_open(NULL, 0);
	b->evt = xenevtchn_open(NULL, 0);
	if (!b->gnt || !b->evt)
		tap_bail("no grants or event channels: %s", strerror(errno));
	b->dir = dir;
	b->front = evil_read(b->xs, dir, VGPU_NODE_FRONTEND);
	id = evil_read(b->xs, dir, VGPU_NODE_FRONTEND_ID);
	if (!*b->front || !*id)
		tap_bail("no device at %s", dir);
	b->guest = strtoul(id, NULL, 10);
	free(id);
}

void back_state(struct evil_back *b, unsigned int state)
{
	evil_write_uint(b->xs, b->dir, VGPU_NODE_STATE, state);
}

int back_wait(struct evil_back *b, unsigned int mask)
{
	return evil_wait_state(b->xs, b->front, mask);
}

void back_unmap(struct evil_back *b)
{
	if (!b->sring)
		return;
	xenevtchn_unbind(b->evt, b->port);
	xengnttab_unmap(b->gnt, b->sring, b->pages);
	b->sring = NULL;
}

/* Closing, Closed, and the frontend follows. */
bool back_close(struct evil_back *b)
{
	back_state(b, XenbusStateClosing);
	back_wait(b, BIT(XenbusStateClosing) | BIT(XenbusStateClosed) |
			     BIT(XenbusStateInitialising));
	back_unmap(b);
	back_state(b, XenbusStateClosed);
	return back_wait(b, BIT(XenbusStateClosed) |
				    BIT(XenbusStateInitialising)) >= 0;
}

/* A clean offer; the frontend may be in any state that is not in use. */
void back_publish(struct evil_back *b)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/" VGPU_NODE_ERROR, b->dir);
	xs_rm(b->xs, XBT_NULL, path);
	for (size_t i = 0; i < sizeof(static_nodes) / sizeof(static_nodes[0]);
	     i++)
		evil_write(b->xs, b->dir, static_nodes[i][0],
			   static_nodes[i][1]);
}

static bool map_ring(struct evil_back *b)
{
	uint32_t refs[1u << VGPUIF_MAX_RING_PAGE_ORDER];
	xenevtchn_port_or_error_t port;
	unsigned long order;
	char node[24];
	char *text;

	text = evil_read(b->xs, b->front, VGPU_NODE_RING_PAGE_ORDER);
	order = strtoul(text, NULL, 10);
	free(text);
	if (order > VGPUIF_MAX_RING_PAGE_ORDER)
		return false;
	b->pages = 1u << order;
	for (uint32_t i = 0; i < b->pages; i++) {
		snprintf(node, sizeof(node),
			 order ? VGPU_NODE_RING_REF_FMT : VGPU_NODE_RING_REF,
			 i);
		text = evil_read(b->xs, b->front, node);
		refs[i] = strtoul(text, NULL, 10);
		free(text);
	}
	b->sring = xengnttab_map_domain_grant_refs(
		b->gnt, b->pages, b->guest, refs, PROT_READ | PROT_WRITE);
	if (!b->sring)
		return false;
	BACK_RING_INIT(&b->ring, b->sring, b->pages * VGPUIF_PAGE_SIZE);
	text = evil_read(b->xs, b->front, VGPU_NODE_EVENT_CHANNEL);
	port = xenevtchn_bind_interdomain(b->evt, b->guest,
					  strtoul(text, NULL, 10));
	free(text);
	if (port < 0)
		return false;
	b->port = port;
	b->quiet = 0;
	return true;
}

bool back_connect(struct evil_back *b)
{
	unsigned int state = evil_state(b->xs, b->dir);

	if (state != XenbusStateInitialising && state != XenbusStateClosed)
		back_close(b);
	back_publish(b);
	back_state(b, XenbusStateInitWait);
	if (back_wait(b, BIT(XenbusStateInitialised)) < 0) {
		tap_note("the frontend does not negotiate (state %u)",
			 evil_state(b->xs, b->front));
		return false;
	}
	if (!map_ring(b)) {
		tap_note("cannot map the ring: %s", strerror(errno));
		return false;
	}
	back_state(b, XenbusStateConnected);
	/* Not where its driver is bound anew meanwhile. */
	if (back_wait(b, BIT(XenbusStateConnected) | BIT(XenbusStateClosing) |
				 BIT(XenbusStateClosed) |
				 BIT(XenbusStateInitialising)) !=
	    XenbusStateConnected) {
		tap_note("the frontend does not connect");
		return false;
	}
	return true;
}

bool back_request(struct evil_back *b, struct vgpu_request *req,
		  int64_t deadline)
{
	xenevtchn_port_or_error_t port;
	int more;

	for (;;) {
		struct pollfd fd = {.fd = xenevtchn_fd(b->evt),
				    .events = POLLIN};
		int64_t left = deadline - evil_now_ms();

		RING_FINAL_CHECK_FOR_REQUESTS(&b->ring, more);
		if (more) {
			xen_rmb(); /* req_prod before the slot it covers */
			RING_COPY_REQUEST(&b->ring, b->ring.req_cons, req);
			b->ring.req_cons++;
			return true;
		}
		if (left <= 0)
			return false;
		if (poll(&fd, 1, left) <= 0)
			continue;
		port = xenevtchn_pending(b->evt);
		if (port >= 0)
			xenevtchn_unmask(b->evt, port);
	}
}

static bool is_silent(const struct vgpu_request *req)
{
	return (req->flags & VGPU_REQF_QUIET) &&
	       !(req->flags & VGPU_REQF_RETIRE);
}

static bool is_target(const struct evil_back *b, unsigned int op,
		      const struct vgpu_request *req)
{
	return !is_silent(req) && (!op || req->op == op) &&
	       (b->quiet || !b->wants_quiet);
}

struct vgpu_response back_success(const struct vgpu_request *req)
{
	struct vgpu_response rsp = {.id = req->id, .op = req->op};

	if (req->op == VGPU_OP_NOP)
		rsp.value = req->u.nop.cookie;
	if (req->op == VGPU_OP_INFO)
		rsp.value = sizeof(struct vgpu_info);
	return rsp;
}

void back_done(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp;

	if (is_silent(req)) {
		b->quiet++;
		return;
	}
	rsp = back_success(req);
	rsp.retired = b->quiet;
	back_answer(b, &rsp);
	b->ring.rsp_prod_pvt += b->quiet;
	b->quiet = 0;
}

void back_answer(struct evil_back *b, const struct vgpu_response *rsp)
{
	*RING_GET_RESPONSE(&b->ring, b->ring.rsp_prod_pvt) = *rsp;
	b->ring.rsp_prod_pvt++;
}

/* Notified in any case: an attack must not wait for the victim to ask. */
void back_push(struct evil_back *b)
{
	int notify;

	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&b->ring, notify);
	(void)notify;
	xenevtchn_notify(b->evt, b->port);
}

bool back_serve_until(struct evil_back *b, unsigned int op,
		      struct vgpu_request *req, int64_t deadline)
{
	while (back_request(b, req, deadline)) {
		if (is_target(b, op, req))
			return true;
		back_done(b, req);
		back_push(b);
	}
	return false;
}

int main(int argc, char **argv)
{
	struct evil_back b = {.op = VGPU_OP_BUILTIN, .seconds = 3};
	int opt;

	while ((opt = getopt(argc, argv, "o:t:")) != -1) {
		if (opt == 'o')
			b.op = atoi(optarg);
		else if (opt == 't')
			b.seconds = atoi(optarg);
		else
			optind = argc;
	}
	if (argc - optind < 2) {
		fputs(usage, stderr);
		return 2;
	}
	back_open(&b, argv[optind]);
	for (int i = optind + 1; i < argc; i++)
		back_attack(&b, argv[i]);
	tap(back_close(&b), "closed in order");
	return tap_end();
}
