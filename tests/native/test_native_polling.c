// SPDX-License-Identifier: MIT
/*
 * test_native_polling.c - who tells whom of work, counted, through whole paths
 *
 * Both sides poll: no system call for a request. Both sides sleep: one event a
 * batch each way. The counts are the frontend's and the worker's own.
 */
#include "path.h"

#include <sched.h>
#include <time.h>

static int begin_polling(void **state)
{
	static const char *const options[] = {"--poll-us", "1000000", NULL};

	(void)state;
	return path_begin_with("cpu", options);
}

static int begin_events(void **state)
{
	static const char *const options[] = {"--poll-us", "0", NULL};

	(void)state;
	return path_begin_with("cpu", options);
}

/* Returns how often the worker slept, which it does where we stand still. */
static uint64_t poll_both(void)
{
	enum { NOPS = 2000, ADDS = 200 };
	struct vgpu_request nop = front_request(VGPU_OP_NOP), add;
	struct front_counts before, after;
	struct vectors v;
	uint64_t sleeps;

	path_connect(&f);
	f.polling = true;
	vectors_make(&f, &v, 1, 256, 0, false);
	add = add_request(&v.a, &v.b, &v.c, v.n);
	before = f.counts;
	for (int i = 0; i < NOPS; i++)
		assert_int_equal(front_call(&f, &nop, NULL), VGPU_RSP_OK);
	/* Jobs are waited for like requests. */
	for (int i = 0; i < ADDS; i++)
		assert_int_equal(front_call(&f, &add, NULL), VGPU_RSP_OK);
	after = f.counts;
	vectors_check(&v);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
	sleeps = path_stat("sleeps");
	assert_int_equal(after.responses - before.responses, NOPS + ADDS);
	assert_in_range(after.notify_sent - before.notify_sent, 0, sleeps);
	assert_in_range(after.syscalls - before.syscalls, 0, sleeps);
	/* Binding the event channel is an event; SHARED_RING_INIT asks for one. */
	assert_in_range(path_stat("wakeups"), 0, 2 + sleeps);
	assert_in_range(path_stat("notify_sent"), 0, 1);
	assert_in_range(path_stat("polls_vain"), 0, sleeps);
	assert_in_range(path_stat("polls_hit"), 1, NOPS + 2 * ADDS + 10);
	assert_true(path_log_says("event=stats", "by_path=host:200 "));
	return sleeps;
}

#define TRIES 20

static void polled_requests_make_no_system_call(void **state)
{
	(void)state;
	for (int i = 0; poll_both(); i++) {
		assert_true(i < TRIES);
		assert_true(front_restart(&f));
	}
}

static void sleeping_sides_need_one_event_a_batch(void **state)
{
	enum { ROUNDS = 200, BATCH = 64 };
	struct front_counts before;
	struct vgpu_response rsp;

	(void)state;
	path_connect(&f);
	before = f.counts;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < BATCH; i++) {
			struct vgpu_request req = front_request(VGPU_OP_NOP);

			assert_true(front_put(&f, &req) >= 0);
		}
		front_push(&f);
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(front_next(&f, &rsp), 1);
	}
	assert_in_range(f.counts.notify_sent - before.notify_sent, 1, ROUNDS);
	assert_in_range(f.counts.events - before.events, 1, ROUNDS + 1);
	path_disconnect(&f);
	assert_int_equal(path_stat("requests"), ROUNDS * BATCH);
	assert_int_equal(path_stat("batches"), ROUNDS);
	assert_in_range(path_stat("notify_sent"), 1, ROUNDS);
	assert_int_equal(path_stat("polls_hit"), 0);
	assert_int_equal(path_stat("polls_vain"), 0);
	assert_true(path_stat("sleeps") > 0);
}

/* What the worker says last before it sleeps: it wants an event. */
static void until_asked(void)
{
	const RING_IDX *event = &f.ring.front.sring->req_event;
	RING_IDX next = f.ring.front.req_prod_pvt + 1;
	time_t end = time(NULL) + WORLD_TIMEOUT_MS / 1000;

	while (__atomic_load_n(event, __ATOMIC_ACQUIRE) != next) {
		assert_true(time(NULL) <= end);
		sched_yield();
	}
}

/* With the default it looks for a while, then sleeps, and can be woken. */
static void idle_worker_sleeps(void **state)
{
	enum { PAUSES = 3 };
	struct vgpu_request nop = front_request(VGPU_OP_NOP);

	(void)state;
	path_connect(&f);
	for (int i = 0; i < PAUSES; i++) {
		until_asked();
		assert_int_equal(front_call(&f, &nop, NULL), VGPU_RSP_OK);
	}
	path_disconnect(&f);
	/* The first may have found what SHARED_RING_INIT left there. */
	assert_true(path_stat("sleeps") >= PAUSES - 1);
	assert_in_range(path_stat("polls_vain"), 1, path_stat("sleeps"));
	assert_in_range(f.counts.notify_sent, PAUSES - 1, PAUSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			polled_requests_make_no_system_call, begin_polling,
			path_end),
		cmocka_unit_test_setup_teardown(
			sleeping_sides_need_one_event_a_batch, begin_events,
			path_end),
		PATH_TEST(idle_worker_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
