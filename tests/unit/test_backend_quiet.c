// SPDX-License-Identifier: MIT
/*
 * test_backend_quiet.c - requests without an answer, and who hears of their
 * failure
 *
 * Session, ring, grants and engine as in device_double.h. How slots come back
 * is in test_backend_ring.c.
 */
#include "device_double.h"

static struct vgpu_request quiet_fill(uint16_t stream)
{
	struct vgpu_request r = fill(0xffff, 1, 1);

	r.flags = VGPU_REQF_QUIET;
	r.stream = stream;
	return r;
}

/* One that is refused when it is read. */
static struct vgpu_request bad_fill(uint16_t id, uint16_t stream)
{
	struct vgpu_request r = quiet_fill(stream);

	r.id = id;
	r.u.fill.length = 4096;
	return r;
}

static struct vgpu_request fence(uint16_t id, uint16_t stream)
{
	struct vgpu_request r = request(VGPU_OP_FENCE, id, 1);

	r.stream = stream;
	return r;
}

static void failed_says(enum vgpu_status status, uint16_t id, uint8_t op)
{
	assert_int_equal(last()->status, status);
	assert_int_equal(last()->value, (uint64_t)id << 8 | op);
}

static void no_answer_when_all_is_well(void **state)
{
	struct vgpu_request r = quiet_fill(0);
	struct vgpu_request f = fence(7, 0);
	unsigned int before;

	(void)state;
	make_mem(1, 1, 64);
	before = nr_answers;
	/* Ids repeat, and may be those of others. */
	for (int i = 0; i < SLOTS - 1; i++)
		later(&r);
	r.id = 7;
	later(&r);
	assert_int_equal(retired, 0);
	finish(SLOTS, VGPU_RSP_OK);
	assert_int_equal(nr_answers, before);
	assert_int_equal(retired, SLOTS);
	assert_int_equal(now(&f), VGPU_RSP_OK);
	assert_int_equal(last()->value, 0);
	assert_int_equal(stats.quiet, SLOTS);
	assert_int_equal(stats.status[VGPU_RSP_OK], 1 + SLOTS + 1);
}

/* The id of a quiet one is nobody's. */
static void quiet_takes_no_id(void **state)
{
	struct vgpu_request r = quiet_fill(0), n = request(VGPU_OP_NOP, 9, 1);

	(void)state;
	make_mem(1, 1, 64);
	r.id = 9;
	later(&r);
	assert_int_equal(now(&n), VGPU_RSP_OK);
	r.flags |= VGPU_REQF_RETIRE;
	later(&r);
	assert_int_equal(now(&n), VGPU_RSP_INVALID);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(now(&n), VGPU_RSP_INVALID);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(now(&n), VGPU_RSP_OK);
}

static void retire_is_answered(void **state)
{
	struct vgpu_request r = quiet_fill(0), f = fence(2, 0);

	(void)state;
	make_mem(1, 1, 64);
	r.id = 3;
	r.flags |= VGPU_REQF_RETIRE;
	later(&r);
	finish(1, VGPU_RSP_NO_HANDLE);
	/* All that it says is that it is done. */
	assert_int_equal(last()->id, 3);
	assert_int_equal(last()->op, VGPU_OP_FILL);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(retired, 0);
	now(&f);
	failed_says(VGPU_RSP_NO_HANDLE, 3, VGPU_OP_FILL);
	/* Refused at once: the same. */
	r = bad_fill(4, 0);
	r.flags |= VGPU_REQF_RETIRE;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	now(&f);
	failed_says(VGPU_RSP_RANGE, 4, VGPU_OP_FILL);
}

static void first_failure_once(void **state)
{
	struct vgpu_request r = quiet_fill(0), f = fence(2, 0);

	(void)state;
	make_mem(1, 1, 64);
	for (uint16_t i = 10; i < 14; i++) {
		r.id = i;
		later(&r);
	}
	later(&f);
	finish(1, VGPU_RSP_OK);
	finish(1, VGPU_RSP_NO_MEMORY);
	finish(1, VGPU_RSP_LAUNCH);
	finish(2, VGPU_RSP_OK);
	failed_says(VGPU_RSP_NO_MEMORY, 11, VGPU_OP_FILL);
	/* The other one is not told of, and nothing is said twice. */
	assert_int_equal(now(&f), VGPU_RSP_OK);
	assert_int_equal(last()->value, 0);
	assert_int_equal(stats.status[VGPU_RSP_LAUNCH], 1);
}

/* Refused when read, but in the order of the stream. */
static void refusals_keep_the_order(void **state)
{
	struct vgpu_request r = quiet_fill(0), bad = bad_fill(20, 0);
	struct vgpu_request f1 = fence(1, 0), f2 = fence(2, 0);

	(void)state;
	make_mem(1, 1, 64);
	later(&r);
	later(&f1);
	later(&bad);
	later(&f2);
	assert_int_equal(queued->next->next->op, VGPU_OP_FENCE);
	finish(1, VGPU_RSP_OK);
	/* The refusal came after this fence. */
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 1);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(last()->id, 2);
	failed_says(VGPU_RSP_RANGE, 20, VGPU_OP_FILL);
	/* And behind an earlier one's failure. */
	r.id = 30;
	later(&r);
	later(&bad);
	later(&f1);
	finish(1, VGPU_RSP_NO_MEMORY);
	finish(2, VGPU_RSP_OK);
	failed_says(VGPU_RSP_NO_MEMORY, 30, VGPU_OP_FILL);
	assert_int_equal(retired, 4);
}

static void streams_have_failures_of_their_own(void **state)
{
	struct vgpu_request r = bad_fill(5, 3), f = fence(2, 0);

	(void)state;
	make_mem(1, 1, 64);
	silent(&r);
	assert_int_equal(now(&f), VGPU_RSP_OK);
	f.ctx = 2;
	f.stream = 3;
	assert_int_equal(now(&f), VGPU_RSP_OK);
	f.ctx = 1;
	now(&f);
	failed_says(VGPU_RSP_RANGE, 5, VGPU_OP_FILL);
}

/* Whatever is wrong with it, one that says it is quiet gets no answer. */
static void malformed_is_quiet_too(void **state)
{
	struct vgpu_request r = request(VGPU_OP_FENCE, 5, 1), f = fence(2, 0);

	(void)state;
	make_mem(1, 1, 64);
	r.flags = VGPU_REQF_QUIET;
	silent(&r);
	now(&f);
	failed_says(VGPU_RSP_INVALID, 5, VGPU_OP_FENCE);
	/* It is no fence: it hears nothing and forgets nothing. */
	r = bad_fill(6, 0);
	silent(&r);
	r = quiet_fill(0);
	later(&r);
	r = request(VGPU_OP_STREAM_DESTROY, 7, 1);
	r.flags = VGPU_REQF_QUIET;
	later(&r);
	finish(2, VGPU_RSP_OK);
	now(&f);
	failed_says(VGPU_RSP_RANGE, 6, VGPU_OP_FILL);
	r = request(99, 8, 1);
	r.flags = 0x81;
	silent(&r);
	now(&f);
	failed_says(VGPU_RSP_INVALID, 8, 99);
}

/* A clash of ids is found out, and leaves the first one alone. */
static void retire_with_an_id_in_flight(void **state)
{
	struct vgpu_request a = fill(4, 1, 1), b = quiet_fill(0);
	struct vgpu_request n = request(VGPU_OP_NOP, 4, 1), f = fence(2, 0);

	(void)state;
	make_mem(1, 1, 64);
	later(&a);
	b.id = 4;
	b.flags |= VGPU_REQF_RETIRE;
	later(&b);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(now(&n), VGPU_RSP_OK);
	now(&f);
	failed_says(VGPU_RSP_INVALID, 4, VGPU_OP_FILL);
	/* The second one has no part in the id, nor has its end. */
	later(&a);
	later(&b);
	finish(1, VGPU_RSP_OK);
	later(&a);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 4);
	assert_int_equal(now(&n), VGPU_RSP_INVALID);
	finish(1, VGPU_RSP_OK);
}

/* Every stream is taken: the failure is kept all the same. */
static void failure_without_a_stream(void **state)
{
	struct vgpu_request r = fill(1, 2, 1), f;

	(void)state;
	r = mem_alloc(1, 2, 1, 64);
	later(&r);
	finish(1, VGPU_RSP_OK);
	r = fill(1, 2, 1);
	for (unsigned int i = 1; i < BACK_MAX_STREAMS; i++) {
		r.stream = i;
		later(&r);
		finish(1, VGPU_RSP_OK);
	}
	r = bad_fill(9, 5);
	silent(&r);
	r = bad_fill(10, 6);
	silent(&r);
	/* Once, in its context, on a stream that there is none of. */
	f = fence(3, 5);
	f.ctx = 3;
	assert_int_equal(now(&f), VGPU_RSP_OK);
	f = fence(3, 5);
	assert_int_equal(now(&f), VGPU_RSP_QUOTA);
	assert_int_equal(now(&f), VGPU_RSP_OK);
	/* Or on the next stream that there is again. */
	silent(&r);
	f = request(VGPU_OP_STREAM_DESTROY, 4, 2);
	f.stream = 1;
	assert_int_equal(now(&f), VGPU_RSP_OK);
	map(1, 1);
	r = add(5, 1, 6);
	later(&r);
	f = fence(3, 6);
	later(&f);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(last()->status, VGPU_RSP_QUOTA);
	assert_int_equal(now(&f), VGPU_RSP_OK);
	/* The context's end forgets it. */
	r = bad_fill(10, 7);
	silent(&r);
	f = request(VGPU_OP_CTX_DESTROY, 4, 1);
	assert_int_equal(now(&f), VGPU_RSP_OK);
	f = fence(3, 7);
	assert_int_equal(now(&f), VGPU_RSP_OK);
}

/* Not even work: a context that ends has no fence to hear it. */
static void quiet_in_a_dying_context(void **state)
{
	struct vgpu_request r = quiet_fill(0);
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 2, 1);

	(void)state;
	make_mem(1, 1, 64);
	later(&r);
	later(&d);
	silent(&r);
	r.flags |= VGPU_REQF_RETIRE;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	r = bad_fill(3, 1);
	silent(&r);
	assert_int_equal(streams, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 2);
	assert_int_equal(streams, 0);
	assert_int_equal(retired, 3);
}

static void stream_destroy_is_a_fence(void **state)
{
	struct vgpu_request r = quiet_fill(4), f = fence(3, 4);
	struct vgpu_request d = request(VGPU_OP_STREAM_DESTROY, 2, 1);
	struct vgpu_engine_stream *first;

	(void)state;
	make_mem(1, 1, 64);
	d.stream = 4;
	/* Of none, of an idle one that has something to say, of a busy one. */
	assert_int_equal(now(&d), VGPU_RSP_OK);
	r = bad_fill(9, 4);
	silent(&r);
	assert_int_equal(streams, 2);
	now(&d);
	failed_says(VGPU_RSP_RANGE, 9, VGPU_OP_FILL);
	assert_int_equal(streams, 1);
	r = quiet_fill(4);
	later(&r);
	first = queued->stream;
	later(&d);
	/* The name can be used again; the old one ends by itself. */
	assert_int_equal(now(&f), VGPU_RSP_OK);
	later(&r);
	assert_ptr_not_equal(queued->next->next->stream, first);
	finish(1, VGPU_RSP_NO_MEMORY);
	assert_int_equal(streams, 3);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->op, VGPU_OP_STREAM_DESTROY);
	failed_says(VGPU_RSP_NO_MEMORY, 0xffff, VGPU_OP_FILL);
	assert_int_equal(streams, 2);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(now(&f), VGPU_RSP_OK);
}

/* A context that ends waits for streams that have no name any more. */
static void ctx_destroy_waits_for_ended_streams(void **state)
{
	struct vgpu_request r = quiet_fill(4);
	struct vgpu_request e = request(VGPU_OP_STREAM_DESTROY, 2, 1);
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 3, 1);

	(void)state;
	make_mem(1, 1, 64);
	e.stream = 4;
	later(&r);
	later(&e);
	later(&d);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(mems, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 3);
	assert_int_equal(mems, 0);
	assert_int_equal(streams, 0);
}

/* Whoever is to blame: its stream's fence names it, the others are lost. */
static void loss_is_told_by_the_fence(void **state)
{
	struct vgpu_request r = quiet_fill(0), other = quiet_fill(1);
	struct vgpu_request f = fence(2, 0), g = fence(3, 1);

	(void)state;
	make_mem(1, 1, 64);
	r.id = 21;
	later(&r);
	later(&f);
	later(&other);
	later(&g);
	finish(1, VGPU_RSP_TIMEOUT);
	finish(1, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(last()->id, 2);
	failed_says(VGPU_RSP_TIMEOUT, 21, VGPU_OP_FILL);
	assert_int_equal(s->lost, VGPU_RSP_TIMEOUT);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(last()->id, 3);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
}

static void losing_leaves_quiet_ones_out(void **state)
{
	struct vgpu_request r = quiet_fill(0), f = fence(2, 0);
	unsigned int before;

	(void)state;
	make_mem(1, 1, 64);
	later(&r);
	later(&f);
	before = nr_answers;
	session_lose(s);
	assert_int_equal(nr_answers, before + 1);
	assert_int_equal(last()->id, 2);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(retired, 0);
	finish(2, VGPU_RSP_OK);
}

/* What is ended quietly, with and without something before it. */
static void quiet_ends(void **state)
{
	struct vgpu_request e = handle(VGPU_OP_MEM_FREE, 9, 1, 1);
	struct vgpu_request r = quiet_fill(0), f = fence(2, 0);

	(void)state;
	e.flags = VGPU_REQF_QUIET;
	make_mem(1, 1, 64);
	later(&r);
	later(&e);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(mems, 0);
	assert_int_equal(retired, 2);
	/* Twice is one too many. */
	silent(&e);
	now(&f);
	failed_says(VGPU_RSP_NO_HANDLE, 9, VGPU_OP_MEM_FREE);
	make_mem(1, 1, 64);
	silent(&e);
	assert_int_equal(mems, 0);
	assert_int_equal(now(&f), VGPU_RSP_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_answer_when_all_is_well),
		TEST(quiet_takes_no_id),
		TEST(retire_is_answered),
		TEST(first_failure_once),
		TEST(refusals_keep_the_order),
		TEST(streams_have_failures_of_their_own),
		TEST(malformed_is_quiet_too),
		TEST(retire_with_an_id_in_flight),
		TEST(failure_without_a_stream),
		TEST(quiet_in_a_dying_context),
		TEST(stream_destroy_is_a_fence),
		TEST(ctx_destroy_waits_for_ended_streams),
		TEST(loss_is_told_by_the_fence),
		TEST(losing_leaves_quiet_ones_out),
		TEST(quiet_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
