// SPDX-License-Identifier: MIT
/*
 * device_ring.c - requests out, responses in, and waiting for them
 *
 * Owns the table of what is in flight and the turn to wait for the event. Runs
 * in whatever thread is in a call, with the lock but for the wait itself. What
 * the module does in its interrupt is dev_drain() here.
 *
 * While a thread listens the responses are its alone. Another one that took them
 * before the backend has looked for whom to notify would keep the event from it,
 * and it would sleep on.
 */
#include "device_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "vgpu_nodes.h"

#define NS_PER_S 1000000000ll
/* A thread that spins looks at clock and xenstore this seldom. */
#define SPINS_PER_LOOK (1u << 16)

int dev_status_errno(unsigned int status)
{
	static const int err[] = {
#define STATUS_ERRNO(name, code, e, text) [code] = e,
		VGPU_STATUS_LIST(STATUS_ERRNO)
#undef STATUS_ERRNO
	};

	return -err[status];
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t dev_deadline(int64_t timeout_ns)
{
	int64_t at;

	if (timeout_ns < 0 || __builtin_add_overflow(now_ns(), timeout_ns, &at))
		return INT64_MAX;
	return at;
}

void dev_complete(struct context *ctx, uint64_t user_data, int result,
		  uint32_t status, uint64_t time_ns, uint64_t value)
{
	unsigned int at =
		(ctx->cqe_head + ctx->nr_cqes++) % VGPUFRONT_MAX_REQUESTS;

	ctx->cqe[at] = (struct vgpufront_cqe){
		.user_data = user_data,
		.result = result,
		.status = status,
		.time_ns = time_ns,
		.value = value,
	};
}

static void complete_one(const struct vgpu_response *rsp)
{
	const struct inflight what = vdev.inflight[rsp->id];

	vgpufront_arena_read(&vdev.arena, what.mark);
	if (what.call) {
		what.call->rsp = *rsp;
		what.call->done = true;
		return;
	}
	dev_hold(what.ctx, what.held, -1);
	if (what.quiet)
		return;
	what.ctx->inflight--;
	dev_complete(what.ctx, what.user_data, dev_status_errno(rsp->status),
		     rsp->status, rsp->time_ns, vgpufront_sqe_value(rsp));
}

/* Nobody will answer what is in flight. */
static void fail_all(void)
{
	struct vgpu_response rsp = {.status = VGPU_RSP_DEVICE_LOST};

	vdev.lost = true;
	for (unsigned int id = 0; id < RING_SIZE(&vdev.f->ring.front); id++) {
		rsp.id = id;
		rsp.op = vdev.f->ring.shadow[id].op;
		if (vgpufront_ring_abort(&vdev.f->ring, id))
			complete_one(&rsp);
	}
}

void dev_drain(void)
{
	struct vgpu_response rsp;
	int n;

	if (vdev.lost || vdev.listening)
		return;
	while ((n = front_get(vdev.f, &rsp)) > 0)
		complete_one(&rsp);
	if (n < 0)
		fail_all();
}

void dev_arm(void)
{
	if (vdev.spin || vdev.listening)
		return;
	do
		dev_drain();
	while (!vdev.lost && vgpufront_ring_final_check(&vdev.f->ring));
	if (vdev.f->owed)
		xenevtchn_unmask(vdev.f->evt, vdev.f->port);
	vdev.f->owed = false;
}

void dev_take_event(void)
{
	struct pollfd fd = {.fd = xenevtchn_fd(vdev.f->evt), .events = POLLIN};

	if (vdev.spin || vdev.listening || poll(&fd, 1, 0) <= 0)
		return;
	vdev.f->owed = xenevtchn_pending(vdev.f->evt) == (int)vdev.f->port;
	vdev.f->counts.events++;
}

/*
 * A backend that is closing has answers on their way: it is lost when it is
 * Closed, or anything else.
 */
static void look_at_backend(void)
{
	unsigned int len;
	char path[128], **event, *state;

	while ((event = xs_check_watch(vdev.f->xs)))
		free(event);
	snprintf(path, sizeof(path), "%s/" VGPU_NODE_STATE, vdev.f->back);
	state = xs_read(vdev.f->xs, XBT_NULL, path, &len);
	if (!state || (atoi(state) != XenbusStateConnected &&
		       atoi(state) != XenbusStateClosing)) {
		dev_drain();
		if (!vdev.lost)
			fail_all();
	}
	free(state);
}

/* Without the lock. POLLIN of the event channel, of xenstore; or an error. */
static int sleep_for_event(int64_t deadline, struct pollfd fds[2])
{
	int64_t left = deadline == INT64_MAX ? 0 : deadline - now_ns();
	struct timespec ts;
	int n;

	if (left < 0)
		left = 0;
	ts = (struct timespec){left / NS_PER_S, left % NS_PER_S};
	n = ppoll(fds, 2, deadline == INT64_MAX ? NULL : &ts, NULL);
	return n > 0 ? 0 : n ? -errno : -ETIME;
}

/*
 * Without the lock. Looks at the producer index alone: a line of memory that
 * stays in this processor's cache until the backend writes to it.
 */
static int spin_for_response(int64_t deadline, struct pollfd fds[2],
			     RING_IDX seen)
{
	const RING_IDX *prod = &vdev.f->ring.front.sring->rsp_prod;

	for (uint32_t i = 1; __atomic_load_n(prod, __ATOMIC_RELAXED) == seen;
	     i++) {
		if (i % SPINS_PER_LOOK)
			continue;
		if (poll(&fds[1], 1, 0) > 0)
			return 0;
		if (now_ns() > deadline)
			return -ETIME;
	}
	return 0;
}

/* This thread waits for all; called and returns with the lock. */
static int listen_for_all(int64_t deadline)
{
	struct pollfd fds[2] = {
		{.fd = xenevtchn_fd(vdev.f->evt), .events = POLLIN},
		{.fd = xs_fileno(vdev.f->xs), .events = POLLIN},
	};
	RING_IDX seen = vdev.f->ring.front.rsp_cons;
	int err;

	vdev.listening = true;
	vdev.f->counts.waits += !vdev.spin;
	pthread_mutex_unlock(&vdev.lock);
	err = vdev.spin ? spin_for_response(deadline, fds, seen) :
			  sleep_for_event(deadline, fds);
	pthread_mutex_lock(&vdev.lock);
	vdev.listening = false;
	if (fds[0].revents & POLLIN)
		dev_take_event();
	if (fds[1].revents & POLLIN)
		look_at_backend();
	dev_drain();
	pthread_cond_broadcast(&vdev.changed);
	return err;
}

int dev_await(int64_t deadline)
{
	const struct timespec ts = {deadline / NS_PER_S, deadline % NS_PER_S};
	RING_IDX before = vdev.f->ring.front.rsp_cons;
	int err;

	if (!vdev.listening) {
		dev_arm();
		if (vdev.lost || vdev.f->ring.front.rsp_cons != before)
			return 0;
		return listen_for_all(deadline);
	}
	if (deadline == INT64_MAX)
		err = pthread_cond_wait(&vdev.changed, &vdev.lock);
	else
		err = pthread_cond_timedwait(&vdev.changed, &vdev.lock, &ts);
	return err ? -ETIME : 0;
}

void dev_put(struct vgpu_request *req, const struct inflight *what)
{
	int id = front_put(vdev.f, req);

	if (id < 0)
		abort();
	if (id == VGPUFRONT_NO_ID)
		return;
	vdev.inflight[id] = *what;
	vdev.inflight[id].mark = vgpufront_arena_ask(&vdev.arena);
}

int dev_call(struct context *ctx, struct vgpu_request *req,
	     struct vgpu_response *rsp)
{
	struct call call = {0};
	const struct inflight what = {.call = &call};

	while (!vdev.lost && !vgpufront_ring_free(&vdev.f->ring)) {
		front_push(vdev.f);
		dev_await(INT64_MAX);
	}
	if (vdev.lost)
		return -ENODEV;
	req->ctx = ctx->id;
	ctx->on_wire = true;
	dev_put(req, &what);
	front_push(vdev.f);
	while (!call.done)
		dev_await(INT64_MAX);
	*rsp = call.rsp;
	return rsp->status == VGPU_RSP_DEVICE_LOST ? -ENODEV : 0;
}

void dev_tell(void)
{
	for (unsigned int i = 0; i < MAX_CONTEXTS; i++) {
		struct context *ctx = vdev.ctx[i];
		eventfd_t count;
		bool tell;

		if (!ctx)
			continue;
		tell = ctx->nr_cqes || vdev.lost;
		if (tell && !ctx->told)
			eventfd_write(ctx->event, 1);
		if (!tell && ctx->told)
			eventfd_read(ctx->event, &count);
		ctx->told = tell;
	}
}
