/* SPDX-License-Identifier: MIT */
/*
 * evil_back_attacks.c - what evil_back does to a frontend
 *
 * After a response that the frontend cannot have asked for it must stop using
 * the ring and go Closing (vgpuif.h, "Refusal").
 */
#include "evil_back.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/xenbus.h>

#include "evil_tap.h"
#include "vgpu_nodes.h"

/* The last of them: the guest saw that and has bound its driver anew. */
#define GIVEN_UP                                                               \
	(BIT(XenbusStateClosing) | BIT(XenbusStateClosed) |                    \
	 BIT(XenbusStateInitialising))

static int64_t in_seconds(unsigned int seconds)
{
	return evil_now_ms() + seconds * 1000ll;
}

/* ---- responses: each spoils the answer to req and pushes it ---- */

static void foreign_id(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	rsp.id ^= 0x5555;
	back_answer(b, &rsp);
	back_push(b);
}

static void wrong_op(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	rsp.op = req->op == VGPU_OP_NOP ? VGPU_OP_INFO : VGPU_OP_NOP;
	back_answer(b, &rsp);
	back_push(b);
}

static void duplicate(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	back_answer(b, &rsp);
	back_answer(b, &rsp);
	back_push(b);
}

/* A right answer, then one more to nothing: beyond what was ever requested. */
static void unasked(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	back_answer(b, &rsp);
	back_push(b);
	rsp.id ^= 1;
	while (b->ring.rsp_prod_pvt != b->sring->req_prod + 1)
		back_answer(b, &rsp);
	back_push(b);
}

static void bad_status(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	rsp.status = VGPU_RSP_MAX + 1;
	back_answer(b, &rsp);
	back_push(b);
}

/* More than a ring has slots. */
static void retired(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	rsp.retired = UINT16_MAX;
	back_answer(b, &rsp);
	back_push(b);
}

/* One more than were sent, up to where the index may go. */
static void retired_more(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	rsp.retired = b->quiet + 1;
	back_answer(b, &rsp);
	b->ring.rsp_prod_pvt += b->quiet;
	back_push(b);
}

/* Right in number, but the index does not come with it. */
static void retired_ahead(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	rsp.retired = b->quiet;
	back_answer(b, &rsp);
	back_push(b);
}

static void reserved(struct evil_back *b, const struct vgpu_request *req)
{
	struct vgpu_response rsp = back_success(req);

	rsp.reserved = 1;
	back_answer(b, &rsp);
	back_push(b);
}

static void push_index(struct evil_back *b, RING_IDX rsp_prod)
{
	b->sring->rsp_prod = rsp_prod;
	xen_wmb(); /* rsp_prod before the notification */
	xenevtchn_notify(b->evt, b->port);
}

static void prod_far(struct evil_back *b, const struct vgpu_request *req)
{
	(void)req;
	push_index(b, b->ring.rsp_prod_pvt + RING_SIZE(&b->ring) + 1);
}

static void prod_back(struct evil_back *b, const struct vgpu_request *req)
{
	(void)req;
	push_index(b, b->ring.rsp_prod_pvt - 1);
}

static void prod_half(struct evil_back *b, const struct vgpu_request *req)
{
	(void)req;
	push_index(b, b->ring.rsp_prod_pvt + 0x80000000u);
}

static const struct {
	const char *name;
	void (*spoil)(struct evil_back *b, const struct vgpu_request *req);
	bool wants_quiet;
} spoilers[] = {
	{"foreign-id", foreign_id, false},
	{"wrong-op", wrong_op, false},
	{"duplicate", duplicate, false},
	{"unasked", unasked, false},
	{"bad-status", bad_status, false},
	{"reserved", reserved, false},
	{"retired", retired, false},
	{"retired-more", retired_more, true},
	{"retired-ahead", retired_ahead, true},
	{"prod-far", prod_far, false},
	{"prod-back", prod_back, false},
	{"prod-half", prod_half, false},
};

/* ---- silence and leaving ---- */

static void never(struct evil_back *b)
{
	int64_t end = in_seconds(b->seconds);
	struct vgpu_request req;

	while (back_request(b, &req, end))
		;
	tap(evil_state(b->xs, b->front) == XenbusStateConnected,
	    "never: the frontend waits");
	tap(back_close(b), "never: and closes when asked to");
}

static void close_middle(struct evil_back *b)
{
	back_state(b, XenbusStateClosing);
	back_unmap(b);
	back_state(b, XenbusStateClosed);
	tap(back_wait(b, BIT(XenbusStateClosed) |
				 BIT(XenbusStateInitialising)) >= 0,
	    "close-middle: the frontend closes");
}

/* ---- other channels ---- */

static void storm(struct evil_back *b)
{
	int64_t end = in_seconds(b->seconds);
	struct vgpu_request req;

	do {
		for (int i = 0; i < 1000; i++)
			xenevtchn_notify(b->evt, b->port);
		while (back_request(b, &req, 0))
			back_done(b, &req);
		back_push(b);
	} while (evil_now_ms() < end);
	tap(evil_state(b->xs, b->front) == XenbusStateConnected,
	    "storm: the frontend stays connected");
}

static void fill_random(void *mem, size_t len, unsigned int *seed)
{
	uint8_t *p = mem;

	for (size_t i = 0; i < len; i++)
		p[i] = rand_r(seed);
}

static bool given_up(struct evil_back *b)
{
	return GIVEN_UP >> evil_state(b->xs, b->front) & 1;
}

/*
 * Random octets as responses, changed while the frontend reads them: for
 * SECONDS, and for as long as it has not seen one that it must not take.
 */
static void scribble(struct evil_back *b)
{
	int64_t end = in_seconds(b->seconds);
	int64_t last = evil_now_ms() + EVIL_TIMEOUT_MS;
	struct vgpu_request req;
	unsigned int seed = 1;
	RING_IDX i;

	while (evil_now_ms() < end || (!given_up(b) && evil_now_ms() < last)) {
		if (!back_request(b, &req, evil_now_ms() + 100))
			continue;
		i = b->ring.rsp_prod_pvt++;
		back_push(b);
		for (int k = 0; k < 200; k++)
			fill_random(RING_GET_RESPONSE(&b->ring, i),
				    sizeof(struct vgpu_response), &seed);
	}
	tap(given_up(b), "scribble: the frontend gives up");
}

/* The guest binds its driver anew at any time, so this may take some tries. */
static bool connect_again(struct evil_back *b)
{
	int64_t end = evil_now_ms() + EVIL_TIMEOUT_MS;
	bool ok;

	do
		ok = back_connect(b);
	while (!ok && evil_now_ms() < end);
	return ok;
}

static void states(struct evil_back *b)
{
	static const char *const nonsense[] = {
		"0", "7", "8", "255", "-1", "banana", "", "4 ", "3", "1", "4",
	};

	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]);
		     i++)
			evil_write(b->xs, b->dir, VGPU_NODE_STATE, nonsense[i]);
	tap(back_close(b), "states: the frontend closes in order after it");
	if (tap(connect_again(b), "states: and connects again"))
		back_close(b);
}

static void lies(struct evil_back *b)
{
	struct vgpu_request req;

	back_serve_until(b, 256, &req, in_seconds(b->seconds));
	tap(evil_state(b->xs, b->front) == XenbusStateConnected,
	    "lies: the frontend stays connected");
}

/* ---- what the backend publishes ---- */

#define LONGEST "LONG"

static const struct {
	const char *node;
	const char *value; /* NULL: missing; LONGEST: 3,000 octets */
	bool refuse;	   /* must not be connected to */
} bad_nodes[] = {
	{VGPU_NODE_VERSIONS, NULL, true},
	{VGPU_NODE_VERSIONS, "2 11 01", true},
	{VGPU_NODE_VERSIONS, LONGEST, true},
	{VGPU_NODE_MAX_RING_PAGE_ORDER, "-1", true},
	{VGPU_NODE_MAX_RING_PAGE_ORDER, "99", false},
	{VGPU_NODE_MAX_ARENA_PAGES, NULL, true},
	{VGPU_NODE_MAX_ARENA_PAGES, "0", true},
	{VGPU_NODE_MAX_ARENA_PAGES, "2", true}, /* no room for a launch */
	{VGPU_NODE_MAX_ARENA_PAGES, "3", false},
	{VGPU_NODE_MAX_BUFFERS, "banana", true},
	{VGPU_NODE_MAX_BUFFERS, "4294967295", false},
	{VGPU_NODE_MAX_BUFFER_PAGES, "99999999999999999999", true},
	{VGPU_NODE_MAX_BUFFER_PAGES, "4294967295", false},
	{VGPU_NODE_OPS, LONGEST, false},
	{VGPU_NODE_BUILTINS, "\x1b[2J", false},
	{VGPU_NODE_ENGINE, "\x01\xff%n%s", false},
	{VGPU_NODE_GPU_NAME, LONGEST, false},
	{VGPU_NODE_COMPUTE_CAPABILITY, "two\nlines", false},
};

static void spoil_node(struct evil_back *b, const char *node, const char *value)
{
	char path[256], many[3001];

	if (!value) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, node);
		xs_rm(b->xs, XBT_NULL, path);
		return;
	}
	if (!strcmp(value, LONGEST)) {
		memset(many, '9', sizeof(many) - 1);
		many[sizeof(many) - 1] = '\0';
		value = many;
	}
	evil_write(b->xs, b->dir, node, value);
}

/* Where the guest's kernel says why it refuses: error/ beside device/. */
static void error_dir(const struct evil_back *b, char dir[256])
{
	snprintf(dir, 256, "/local/domain/%u/error/device/" VGPUIF_CLASS "/%s",
		 b->guest, strrchr(b->front, '/') + 1);
}

/* 1: it accepted what is published; 0: it refused, and said why; -1: neither */
static int verdict(struct evil_back *b, const char *error)
{
	char *text = evil_read(b->xs, error, "error");
	bool refused = *text;

	if (refused)
		tap_note("%s", text);
	free(text);
	if (refused)
		return 0;
	return evil_state(b->xs, b->front) == XenbusStateInitialised ? 1 : -1;
}

static int offer(struct evil_back *b)
{
	int64_t end = evil_now_ms() + EVIL_TIMEOUT_MS;
	char error[256];
	char **event;
	int is;

	error_dir(b, error);
	xs_rm(b->xs, XBT_NULL, error);
	if (!xs_watch(b->xs, error, "error") ||
	    !xs_watch(b->xs, b->front, "front"))
		tap_bail("cannot watch %s", b->front);
	back_state(b, XenbusStateInitWait);
	for (;;) {
		struct pollfd fd = {.fd = xs_fileno(b->xs), .events = POLLIN};
		int64_t left = end - evil_now_ms();

		while ((event = xs_check_watch(b->xs)))
			free(event);
		is = verdict(b, error);
		if (is >= 0 || left <= 0)
			break;
		poll(&fd, 1, left);
	}
	xs_unwatch(b->xs, error, "error");
	xs_unwatch(b->xs, b->front, "front");
	return is;
}

static const char *shown(const char *value)
{
	if (!value)
		return "missing";
	if (value[0] < ' ')
		return *value ? "unprintable" : "empty";
	return strchr(value, '\n') ? "of two lines" : value;
}

static void nodes(struct evil_back *b)
{
	char path[256];

	for (size_t i = 0; i < sizeof(bad_nodes) / sizeof(bad_nodes[0]); i++) {
		int accepted;

		back_close(b);
		back_publish(b);
		spoil_node(b, bad_nodes[i].node, bad_nodes[i].value);
		accepted = offer(b);
		tap(bad_nodes[i].refuse ? !accepted : accepted >= 0,
		    "%s %s: the frontend %s", bad_nodes[i].node,
		    shown(bad_nodes[i].value),
		    bad_nodes[i].refuse ? "refuses" : "has an answer");
	}
	snprintf(path, sizeof(path), "%s/" VGPU_NODE_COMPUTE_CAPABILITY,
		 b->dir);
	xs_rm(b->xs, XBT_NULL, path);
	tap(back_close(b) && connect_again(b),
	    "nodes: connects after all that");
}

/* ---- by name ---- */

static const struct {
	const char *name;
	void (*run)(struct evil_back *b);
	bool on_request; /* begins with a request that has no answer yet */
} others[] = {
	{"never", never, true},	   {"close-middle", close_middle, true},
	{"storm", storm, false},   {"scribble", scribble, false},
	{"states", states, false}, {"lies", lies, false},
};

/* A request of that op came; false where the guest closed the device. */
static bool in_use(struct evil_back *b, unsigned int op,
		   struct vgpu_request *req, int64_t end)
{
	while (!given_up(b) && evil_now_ms() < end)
		if (back_serve_until(b, op, req, in_seconds(1)))
			return true;
	return false;
}

/*
 * Connected, and with a first request in hand: a guest whose program waits for
 * an answer leaves its driver alone. Where the attack wants none that is
 * answered.
 */
static bool ready(struct evil_back *b, const char *name, bool on_request,
		  struct vgpu_request *req)
{
	int64_t end = evil_now_ms() + EVIL_TIMEOUT_MS;
	bool ok;

	do
		ok = back_connect(b) &&
		     in_use(b, on_request ? b->op : 0, req, end);
	while (!ok && evil_now_ms() < end);
	if (ok && !on_request) {
		back_done(b, req);
		back_push(b);
	}
	return tap(ok, "%s: connected, and in use", name);
}

void back_attack(struct evil_back *b, const char *name)
{
	struct vgpu_request req;

	for (size_t i = 0; i < sizeof(spoilers) / sizeof(spoilers[0]); i++) {
		if (strcmp(spoilers[i].name, name))
			continue;
		b->wants_quiet = spoilers[i].wants_quiet;
		if (ready(b, name, true, &req)) {
			spoilers[i].spoil(b, &req);
			tap(back_wait(b, GIVEN_UP) >= 0,
			    "%s: the frontend gives up", name);
		}
		b->wants_quiet = false;
		back_close(b);
		return;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(others[i].name, name))
			continue;
		if (ready(b, name, others[i].on_request, &req))
			others[i].run(b);
		back_close(b);
		return;
	}
	if (!strcmp(name, "nodes")) {
		nodes(b);
		back_close(b);
	} else if (!strcmp(name, "vanish")) {
		ready(b, name, true, &req);
		exit(tap_end());
	} else {
		tap_bail("no attack %s", name);
	}
}
