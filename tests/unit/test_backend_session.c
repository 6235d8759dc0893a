// SPDX-License-Identifier: MIT
/*
 * test_backend_session.c - what becomes of requests: answers, order, the end
 *
 * Session, ring, grants and engine as in device_double.h. Buffers, streams and
 * contexts are in test_backend_objects.c, device memory in
 * test_backend_memory.c, modules, functions and events in test_backend_code.c,
 * quiet requests in test_backend_quiet.c.
 */
#include "device_double.h"

static void nop_echoes(void **state)
{
	struct vgpu_request r = request(VGPU_OP_NOP, 5, 1);

	(void)state;
	r.u.nop.cookie = 0x1122334455667788;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_true(last()->value == 0x1122334455667788);
	assert_int_equal(last()->time_ns, 0);
	assert_int_equal(last()->retired, 0);
}

static void info_in_the_arena(void **state)
{
	struct vgpu_request r = request(VGPU_OP_INFO, 5, 1);
	const struct vgpu_info *info = (const void *)(arena + 8);

	(void)state;
	memset(arena, 0xff, sizeof(arena));
	map(1, 1);
	map(1, 1);
	r.u.info.arena_offset = 8;
	r.u.info.length = sizeof(*info);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(last()->value, sizeof(*info));
	assert_int_equal(info->mem_total, 1 << 20);
	assert_int_equal(info->mem_quota, QUOTA);
	assert_int_equal(info->requests, 3);
	assert_int_equal(info->errors, 1);
	assert_int_equal(info->nr_buffers, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(info->reserved[i], 0);
	assert_int_equal(arena[7], 0xff);
	assert_int_equal(arena[8 + sizeof(*info)], 0xff);
	/* A guest that asks without a pause does not wear out the GPU. */
	for (int i = 0; i < 50; i++)
		now(&r);
	assert_true(infos <= 2);
}

static void job_is_answered_when_done(void **state)
{
	struct vgpu_request r = add(5, 1, 2);

	(void)state;
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
	later(&r);
	assert_int_equal(queued->kernel, VGPU_KERNEL_VECTOR_ADD);
	assert_ptr_equal(queued->operand[2].host, memory + 128);
	assert_int_equal(queued->operand[2].count, 16);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 5);
	assert_int_equal(last()->op, VGPU_OP_BUILTIN);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(last()->time_ns, 1000);
	assert_true(s->gate.busy_ns > 0);
	assert_true(s->gate.busy_since == 0);
	assert_int_equal(stats.path[VGPU_PATH_ZERO_COPY], 1);
	assert_int_equal(s->lost, VGPU_RSP_OK);
}

static void same_stream_same_engine_stream(void **state)
{
	struct vgpu_request r = add(1, 1, 2);
	struct vgpu_engine_stream *first;

	(void)state;
	map(1, 1);
	later(&r);
	first = queued->stream;
	r.id = 2;
	later(&r);
	assert_ptr_equal(queued->next->stream, first);
	r.id = 3;
	r.stream = 3;
	later(&r);
	assert_ptr_not_equal(queued->next->next->stream, first);
	assert_int_equal(streams, 2);
	finish(3, VGPU_RSP_OK);
}

static void fence_goes_behind(void **state)
{
	struct vgpu_request r = add(1, 1, 2);
	struct vgpu_request f = request(VGPU_OP_FENCE, 2, 1);

	(void)state;
	f.stream = 2;
	/* A stream that nothing was sent on has nothing to wait for. */
	assert_int_equal(now(&f), VGPU_RSP_OK);
	assert_int_equal(streams, 0);
	map(1, 1);
	later(&r);
	later(&f);
	assert_int_equal(queued->next->op, VGPU_OP_FENCE);
	assert_ptr_equal(queued->next->stream, queued->stream);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 2);
}

static void id_in_flight_is_refused(void **state)
{
	struct vgpu_request r = add(65535, 1, 0);
	struct vgpu_request n = request(VGPU_OP_NOP, 65535, 9);

	(void)state;
	map(1, 1);
	later(&r);
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
	assert_int_equal(now(&n), VGPU_RSP_INVALID);
	/* And the first one goes on, once. */
	assert_null(queued->next);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(now(&n), VGPU_RSP_OK);
}

static void pool_holds_a_full_ring(void **state)
{
	(void)state;
	map(1, 1);
	for (uint16_t id = 0; id < SLOTS; id++) {
		struct vgpu_request r = add(id, 1, id % 3);

		later(&r);
	}
	assert_int_equal(s->nr_inflight, SLOTS);
	finish(SLOTS, VGPU_RSP_OK);
	assert_int_equal(s->nr_inflight, 0);
	assert_int_equal(stats.status[VGPU_RSP_OK], SLOTS + 1);
}

static void refused_has_no_effect(void **state)
{
	struct vgpu_request r = request(31, 1, 1);

	(void)state;
	assert_int_equal(now(&r), VGPU_RSP_UNSUPPORTED);
	map(1, 1);
	s->rules.modules = false;
	r = module_load(1, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_NO_GPU);
	r = launch(1, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_NO_GPU);
	assert_int_equal(streams, 0);
	assert_int_equal(stats.objects, 0);
}

static void lost_engine_is_noticed(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	finish(1, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(s->lost, VGPU_RSP_DEVICE_LOST);
}

/* A time limit of the GPU leaves its context as dead as a fault does. */
static void timeout_loses_the_engine(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	finish(1, VGPU_RSP_NO_MEMORY);
	assert_int_equal(s->lost, VGPU_RSP_OK);
	later(&r);
	finish(1, VGPU_RSP_TIMEOUT);
	assert_int_equal(last()->status, VGPU_RSP_TIMEOUT);
	assert_int_equal(s->lost, VGPU_RSP_TIMEOUT);
}

/* The GPU is another worker's. */
static struct lease *no_gpu(void)
{
	static struct lease page;

	memset(&page, 0, sizeof(page));
	gate_init(&s->gate, s->eng, &page, -1, -1);
	return &page;
}

static void jobs_wait_for_the_gpu(void **state)
{
	struct vgpu_request a = add(1, 1, 0), n = request(VGPU_OP_NOP, 2, 1),
			    f = request(VGPU_OP_FENCE, 3, 1),
			    d = request(VGPU_OP_CTX_DESTROY, 4, 1);
	struct lease *page = no_gpu();

	(void)state;
	map(1, 1);
	later(&a);
	later(&f);
	assert_null(queued);
	assert_false(session_reap(s));
	/* What needs none does not wait; what the job needs stays. */
	assert_int_equal(now(&n), VGPU_RSP_OK);
	assert_int_equal(unmap(1, 1), VGPU_RSP_BUSY);
	later(&d);
	assert_int_equal(mappings, 1);
	lease_grant(page);
	session_reap(s);
	assert_int_equal(queued->op, VGPU_OP_BUILTIN);
	assert_int_equal(queued->next->op, VGPU_OP_FENCE);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(last()->id, 4);
	assert_int_equal(s->nr_inflight, 0);
}

/* The engine is lost with one job: so are those that it never had. */
static void waiting_jobs_are_lost_too(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 1, 1);
	struct lease *page = no_gpu();

	(void)state;
	map(1, 1);
	lease_grant(page);
	later(&a);
	lease_leave(page);
	later(&b);
	finish(1, VGPU_RSP_FAULT);
	assert_int_equal(last()->id, 1);
	assert_null(queued);
	assert_true(session_reap(s));
	assert_int_equal(last()->id, 2);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(s->lost, VGPU_RSP_FAULT);
	assert_int_equal(s->nr_inflight, 0);
}

/* FAULT is for the one that did it, whatever the engine says of the others. */
static void fault_is_answered_once(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 1, 1),
			    c = add(3, 1, 2);

	(void)state;
	map(1, 1);
	later(&a);
	later(&b);
	later(&c);
	finish(1, VGPU_RSP_FAULT);
	assert_int_equal(last()->id, 1);
	assert_int_equal(last()->status, VGPU_RSP_FAULT);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 2);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	finish(1, VGPU_RSP_FAULT);
	assert_int_equal(last()->id, 3);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(s->lost, VGPU_RSP_FAULT);
	assert_int_equal(stats.status[VGPU_RSP_FAULT], 1);
	assert_int_equal(s->nr_inflight, 0);
}

/* Jobs that died of another one's fault may come back before that one. */
static void blame_may_come_late(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 1, 1),
			    c = add(3, 1, 2);

	(void)state;
	map(1, 1);
	later(&a);
	later(&b);
	later(&c);
	finish(1, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(s->lost, VGPU_RSP_DEVICE_LOST);
	finish(1, VGPU_RSP_FAULT);
	assert_int_equal(last()->id, 2);
	assert_int_equal(last()->status, VGPU_RSP_FAULT);
	assert_int_equal(s->lost, VGPU_RSP_FAULT);
	finish(1, VGPU_RSP_TIMEOUT);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(s->lost, VGPU_RSP_FAULT);
}

static void status_of_no_meaning_is_internal(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	finish(1, 999);
	assert_int_equal(last()->status, VGPU_RSP_INTERNAL);
}

static void losing_answers_everything_once(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 2, 0);
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 3, 1);
	unsigned int seen = 0, before;

	(void)state;
	map(1, 1);
	map(2, 2);
	for (int i = 0; i < 3; i++)
		b.u.builtin.operand[i].handle = 2;
	later(&a);
	later(&b);
	later(&d);
	before = nr_answers;
	session_lose(s);
	assert_int_equal(nr_answers, before + 3);
	for (unsigned int i = before; i < nr_answers; i++) {
		assert_int_equal(answers[i].status, VGPU_RSP_DEVICE_LOST);
		seen |= 1u << answers[i].id;
	}
	assert_int_equal(seen, 0xe);
	finish(2, VGPU_RSP_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nop_echoes),
		TEST(info_in_the_arena),
		TEST(job_is_answered_when_done),
		TEST(same_stream_same_engine_stream),
		TEST(fence_goes_behind),
		TEST(id_in_flight_is_refused),
		TEST(pool_holds_a_full_ring),
		TEST(refused_has_no_effect),
		TEST(lost_engine_is_noticed),
		TEST(timeout_loses_the_engine),
		TEST(jobs_wait_for_the_gpu),
		TEST(waiting_jobs_are_lost_too),
		TEST(fault_is_answered_once),
		TEST(blame_may_come_late),
		TEST(status_of_no_meaning_is_internal),
		TEST(losing_answers_everything_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
