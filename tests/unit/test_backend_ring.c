// SPDX-License-Identifier: MIT
/*
 * test_backend_ring.c - the backend's ring against a frontend in this process
 *
 * The frontend uses the same macros on the same page; the event channel is a
 * double that counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ring.h"

#define PORT 5

static union {
	struct vgpu_sring sring;
	uint8_t octets[4096];
} page;

static struct vgpu_front_ring front;
static struct ring ring;
static struct vgpu_stats stats;
static unsigned int notified, unmasked;
static int pending_port;

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	assert_int_equal(port, PORT);
	notified++;
	return 0;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	assert_int_equal(port, PORT);
	unmasked++;
	return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	(void)xce;
	return pending_port;
}

static int setup(void **state)
{
	(void)state;
	memset(&page, 0, sizeof(page));
	memset(&stats, 0, sizeof(stats));
	notified = unmasked = 0;
	pending_port = PORT;
	SHARED_RING_INIT(&page.sring);
	FRONT_RING_INIT(&front, &page.sring, sizeof(page));
	ring_init(&ring, &page, 0, NULL, PORT, &stats);
	return 0;
}

static void put(uint16_t id)
{
	struct vgpu_request *req = RING_GET_REQUEST(&front, front.req_prod_pvt);

	memset(req, 0, sizeof(*req));
	req->id = id;
	req->op = VGPU_OP_NOP;
	front.req_prod_pvt++;
}

static int publish(void)
{
	int notify;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front, notify);
	return notify;
}

static void answer(uint16_t id)
{
	const struct vgpu_response rsp = {.id = id, .op = VGPU_OP_NOP};

	ring_respond(&ring, &rsp);
}

static unsigned int drain(void)
{
	struct vgpu_request req;
	unsigned int n = 0;

	while (ring_next(&ring, &req)) {
		answer(req.id);
		n++;
	}
	return n;
}

static void one_event_a_batch(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < 8; id++)
		put(id);
	assert_true(publish());
	assert_int_equal(drain(), 8);
	assert_int_equal(notified, 0);
	ring_push(&ring);
	assert_int_equal(notified, 1);
	ring_push(&ring);
	assert_int_equal(notified, 1);
	assert_int_equal(stats.batches, 1);
	assert_int_equal(stats.notify_sent, 1);
	assert_int_equal(page.sring.rsp_prod, 8);
	assert_int_equal(RING_GET_RESPONSE(&front, 3)->id, 3);
}

/* The frontend polls: it has not moved rsp_event since. */
static void no_event_where_none_is_wanted(void **state)
{
	(void)state;
	put(1);
	publish();
	drain();
	ring_push(&ring);
	assert_int_equal(notified, 1);
	put(2);
	publish();
	drain();
	ring_push(&ring);
	assert_int_equal(notified, 1);
	assert_int_equal(stats.notify_suppressed, 1);
}

static void idle_asks_for_the_next_request(void **state)
{
	(void)state;
	put(1);
	assert_true(publish());
	drain();
	ring_push(&ring);
	/* Not asked for yet: the backend is awake. */
	put(2);
	assert_false(publish());
	/* So the final check must see it. */
	assert_false(ring_idle(&ring));
	drain();
	ring_push(&ring);
	assert_true(ring_idle(&ring));
	put(3);
	assert_true(publish());
}

/* A backend that polls is never sent an event, and loses no request. */
static void polling_asks_for_nothing(void **state)
{
	(void)state;
	/* Not even for the first one. */
	ring_awake(&ring);
	for (uint16_t id = 0; id < 100; id++) {
		struct vgpu_response rsp;

		put(id);
		assert_false(publish());
		assert_int_equal(drain(), 1);
		ring_push(&ring);
		RING_COPY_RESPONSE(&front, front.rsp_cons, &rsp);
		front.rsp_cons++;
	}
	/* Woken by something else than a request. */
	assert_true(ring_idle(&ring));
	ring_awake(&ring);
	put(1);
	put(2);
	assert_false(publish());
	assert_false(ring_idle(&ring));
	drain();
	/* Asleep, it does ask. */
	assert_true(ring_idle(&ring));
	put(3);
	assert_true(publish());
}

/* Slots of quiet requests come back with the next answer, wherever it lies. */
static void an_answer_retires(void **state)
{
	unsigned int size = RING_SIZE(&front);
	struct vgpu_response rsp;
	struct vgpu_request req;

	(void)state;
	for (unsigned int round = 0; round < 3 * size; round++) {
		unsigned int n = round % (size - 1);

		for (unsigned int i = 0; i <= n; i++)
			put(i);
		publish();
		for (unsigned int i = 0; i < n; i++) {
			assert_true(ring_next(&ring, &req));
			ring_retire(&ring);
			ring_push(&ring);
			assert_int_equal(page.sring.rsp_prod, front.rsp_cons);
		}
		assert_true(ring_next(&ring, &req));
		answer(n);
		ring_push(&ring);
		assert_int_equal(page.sring.rsp_prod, front.rsp_cons + 1 + n);
		RING_COPY_RESPONSE(&front, front.rsp_cons, &rsp);
		assert_int_equal(rsp.id, n);
		assert_int_equal(rsp.retired, n);
		front.rsp_cons += 1 + rsp.retired;
		/* Once. */
		put(1);
		publish();
		drain();
		ring_push(&ring);
		RING_COPY_RESPONSE(&front, front.rsp_cons, &rsp);
		assert_int_equal(rsp.retired, 0);
		front.rsp_cons++;
		assert_int_equal(RING_FREE_REQUESTS(&front), size);
	}
	assert_false(ring.broken);
}

/* Nobody asked for slots back: there are none, and nothing else happens. */
static void full_of_quiet_requests(void **state)
{
	unsigned int size = RING_SIZE(&front);
	struct vgpu_request req;

	(void)state;
	for (unsigned int i = 0; i < size; i++)
		put(i);
	publish();
	for (unsigned int i = 0; i < size; i++) {
		assert_true(ring_next(&ring, &req));
		ring_retire(&ring);
	}
	ring_push(&ring);
	assert_int_equal(page.sring.rsp_prod, 0);
	assert_int_equal(stats.retired, 0);
	assert_false(ring_next(&ring, &req));
	assert_false(ring.broken);
	assert_true(ring_idle(&ring));
	/* One more request is one too many. */
	page.sring.req_prod++;
	assert_false(ring_next(&ring, &req));
	assert_true(ring.broken);
}

static void unmasks_only_when_idle(void **state)
{
	(void)state;
	put(1);
	publish();
	assert_true(ring_event(&ring));
	assert_int_equal(stats.wakeups, 1);
	assert_false(ring_idle(&ring));
	assert_int_equal(unmasked, 0);
	drain();
	assert_true(ring_idle(&ring));
	assert_int_equal(unmasked, 1);
	/* No event was taken since: there is nothing to unmask. */
	assert_true(ring_idle(&ring));
	assert_int_equal(unmasked, 1);
}

static void foreign_port_is_not_ours(void **state)
{
	(void)state;
	pending_port = PORT + 1;
	assert_true(ring_event(&ring));
	assert_int_equal(stats.wakeups, 0);
	ring_idle(&ring);
	assert_int_equal(unmasked, 0);
}

static void wraps_around(void **state)
{
	struct vgpu_response rsp;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		put(i);
		publish();
		assert_int_equal(drain(), 1);
		ring_push(&ring);
		RING_COPY_RESPONSE(&front, front.rsp_cons, &rsp);
		assert_int_equal(rsp.id, i);
		front.rsp_cons++;
	}
}

static void full_ring_is_good(void **state)
{
	unsigned int size = RING_SIZE(&front);

	(void)state;
	for (unsigned int i = 0; i < size; i++)
		put(i);
	publish();
	assert_int_equal(drain(), size);
	assert_false(ring.broken);
}

/* Takes n requests and answers none of them. */
static void take(unsigned int n)
{
	struct vgpu_request req;

	for (unsigned int i = 0; i < n; i++) {
		put(i);
		publish();
		assert_true(ring_next(&ring, &req));
	}
}

static void breaks_at(unsigned int taken, RING_IDX prod)
{
	struct vgpu_request req;

	setup(NULL);
	take(taken);
	page.sring.req_prod = prod;
	assert_false(ring_next(&ring, &req));
	assert_true(ring.broken);
	/* A broken ring is left alone. */
	answer(0);
	ring_push(&ring);
	assert_int_equal(page.sring.rsp_prod, 0);
	assert_int_equal(notified, 0);
	assert_true(ring_idle(&ring));
}

static void producer_out_of_range(void **state)
{
	unsigned int size = RING_SIZE(&front);

	(void)state;
	breaks_at(0, size + 1);
	breaks_at(0, 0xffffffff);
	breaks_at(0, 0x80000000);
	/* Counting what is unanswered. */
	breaks_at(4, size + 1);
	/* Backwards, over what was taken. */
	breaks_at(4, 3);
}

/* What the guest does to rsp_prod harms nobody. */
static void own_index_is_private(void **state)
{
	(void)state;
	put(1);
	publish();
	drain();
	page.sring.rsp_prod = 1;
	ring_push(&ring);
	assert_int_equal(stats.batches, 1);
	assert_int_equal(page.sring.rsp_prod, 1);
}

static void request_is_copied(void **state)
{
	struct vgpu_request req;

	(void)state;
	put(77);
	publish();
	assert_true(ring_next(&ring, &req));
	RING_GET_REQUEST(&front, 0)->id = 78;
	assert_int_equal(req.id, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_event_a_batch, setup),
		cmocka_unit_test_setup(no_event_where_none_is_wanted, setup),
		cmocka_unit_test_setup(idle_asks_for_the_next_request, setup),
		cmocka_unit_test_setup(polling_asks_for_nothing, setup),
		cmocka_unit_test_setup(an_answer_retires, setup),
		cmocka_unit_test_setup(full_of_quiet_requests, setup),
		cmocka_unit_test_setup(unmasks_only_when_idle, setup),
		cmocka_unit_test_setup(foreign_port_is_not_ours, setup),
		cmocka_unit_test_setup(wraps_around, setup),
		cmocka_unit_test_setup(full_ring_is_good, setup),
		cmocka_unit_test_setup(producer_out_of_range, setup),
		cmocka_unit_test_setup(own_index_is_private, setup),
		cmocka_unit_test_setup(request_is_copied, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
