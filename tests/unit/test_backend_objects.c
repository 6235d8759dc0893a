// SPDX-License-Identifier: MIT
/*
 * test_backend_objects.c - what a guest makes: buffers, regions, streams,
 * contexts, and when they may go
 *
 * Session, ring, grants and engine as in device_double.h. What becomes of
 * requests is in test_backend_session.c.
 */
#include "device_double.h"

static void handles(void **state)
{
	(void)state;
	assert_int_equal(unmap(1, 1), VGPU_RSP_NO_HANDLE);
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
	assert_int_equal(map(1, 1), VGPU_RSP_EXISTS);
	assert_int_equal(map(2, 1), VGPU_RSP_EXISTS);
	assert_int_equal(mappings, 1);
	/* Another context can not name it. */
	assert_int_equal(unmap(2, 1), VGPU_RSP_NO_HANDLE);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
	assert_int_equal(mappings, 0);
	assert_int_equal(unmap(1, 1), VGPU_RSP_NO_HANDLE);
	assert_int_equal(map(2, 1), VGPU_RSP_OK);
}

static void failed_map_leaves_nothing(void **state)
{
	(void)state;
	map_status = VGPU_RSP_GRANT;
	assert_int_equal(map(1, 1), VGPU_RSP_GRANT);
	assert_int_equal(stats.buffers, 0);
	assert_int_equal(stats.bytes_mapped, 0);
	assert_int_equal(unmap(1, 1), VGPU_RSP_NO_HANDLE);
}

static void mapped_pages_are_bounded(void **state)
{
	struct vgpu_request r = request(VGPU_OP_BUFFER_MAP, 1, 1);

	(void)state;
	r.u.map.nr_pages = 1000 / 2;
	r.u.map.length = (uint64_t)r.u.map.nr_pages * 4096;
	r.u.map.handle = 1;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	r.u.map.handle = 2;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(map(1, 3), VGPU_RSP_QUOTA);
	assert_int_equal(unmap(1, 2), VGPU_RSP_OK);
	assert_int_equal(map(1, 3), VGPU_RSP_OK);
}

static void operands_are_checked(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	map(1, 1);
	r.u.builtin.operand[1].handle = 4096;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	r = add(1, 2, 0);
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	r = add(1, 1, 0);
	r.u.builtin.operand[2].offset = 4096 - 60;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	map_flags(1, 2, VGPU_BUF_READ_ONLY);
	assert_true(mapped_read_only);
	r = add(1, 1, 0);
	r.u.builtin.operand[0].handle = 2;
	r.u.builtin.operand[2].handle = 2;
	assert_int_equal(now(&r), VGPU_RSP_ACCESS);
	/* Nothing else happened: no stream, no job, no use of the buffers. */
	assert_int_equal(streams, 0);
	assert_null(queued);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
	assert_int_equal(unmap(1, 2), VGPU_RSP_OK);
}

static void buffer_in_use_stays(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	r.id = 2;
	later(&r);
	assert_int_equal(unmap(1, 1), VGPU_RSP_BUSY);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(unmap(1, 1), VGPU_RSP_BUSY);
	assert_int_equal(mappings, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
}

static void one_operand_is_a_use(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		map(1, i + 1);
		r.u.builtin.operand[i].handle = i + 1;
	}
	later(&r);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(unmap(1, i), VGPU_RSP_BUSY);
	finish(1, VGPU_RSP_OK);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(unmap(1, i), VGPU_RSP_OK);
}

static void streams_are_bounded(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	for (unsigned int i = 0; i < BACK_MAX_STREAMS; i++) {
		r.stream = i;
		later(&r);
		finish(1, VGPU_RSP_OK);
	}
	r.stream = BACK_MAX_STREAMS;
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	/* The end of the context gives them all back. */
	r = request(VGPU_OP_CTX_DESTROY, 2, 1);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(streams, 0);
	map(1, 1);
	r = add(1, 1, BACK_MAX_STREAMS);
	later(&r);
	finish(1, VGPU_RSP_OK);
}

static void ctx_destroy_waits_for_its_streams(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 1, 1);
	struct vgpu_request other = add(3, 2, 0);
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 4, 1);
	struct vgpu_request n = request(VGPU_OP_NOP, 5, 1);

	(void)state;
	map(1, 1);
	map(1, 7);
	map(2, 2);
	for (int i = 0; i < 3; i++)
		other.u.builtin.operand[i].handle = 2;
	later(&a);
	later(&b);
	later(&other);
	later(&d);
	assert_int_equal(mappings, 3);
	/* Meanwhile the context is no place for anything new. */
	assert_int_equal(now(&n), VGPU_RSP_BUSY);
	n.op = VGPU_OP_CTX_DESTROY;
	assert_int_equal(now(&n), VGPU_RSP_BUSY);
	assert_int_equal(map(1, 9), VGPU_RSP_BUSY);
	assert_int_equal(unmap(1, 7), VGPU_RSP_BUSY);
	n.ctx = 3;
	n.op = VGPU_OP_NOP;
	assert_int_equal(now(&n), VGPU_RSP_OK);

	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 1);
	assert_int_equal(mappings, 3);
	finish(1, VGPU_RSP_OK);
	/* Its last job's answer, then its own. */
	assert_int_equal(answers[nr_answers - 2].id, 2);
	assert_int_equal(last()->id, 4);
	assert_int_equal(last()->op, VGPU_OP_CTX_DESTROY);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(mappings, 1);
	assert_int_equal(streams, 1);
	/* The other context lives on, and the number can be used again. */
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 3);
	assert_int_equal(unmap(2, 2), VGPU_RSP_OK);
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
}

/* Both are idle at once: one a turn, and none is forgotten. */
static void two_contexts_end(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 2, 0);
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 3, 1);
	struct vgpu_request e = request(VGPU_OP_CTX_DESTROY, 4, 2);

	(void)state;
	map(1, 1);
	map(2, 2);
	for (int i = 0; i < 3; i++)
		b.u.builtin.operand[i].handle = 2;
	later(&a);
	later(&b);
	later(&d);
	later(&e);
	finish(2, VGPU_RSP_OK);
	assert_true(s->ending);
	assert_true(session_reap(s));
	assert_false(s->ending);
	assert_false(session_reap(s));
	assert_int_equal(mappings, 0);
	assert_int_equal(answers[nr_answers - 2].op, VGPU_OP_CTX_DESTROY);
	assert_int_equal(last()->op, VGPU_OP_CTX_DESTROY);
	assert_int_equal(s->nr_inflight, 0);
}

static void ctx_destroy_of_nothing(void **state)
{
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 1, 77);

	(void)state;
	assert_int_equal(now(&d), VGPU_RSP_OK);
}

/* Each buffer is a region once; operands carry it, requests do not make any. */
static void buffers_are_regions(void **state)
{
	struct vgpu_request r = add(1, 1, 0);
	struct vgpu_engine_region *region[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(
			map_flags(1, i + 1, i < 2 ? VGPU_BUF_READ_ONLY : 0),
			VGPU_RSP_OK);
		r.u.builtin.operand[i].handle = i + 1;
		region[i] = s->bufs.table[i + 1].region;
		assert_non_null(region[i]);
	}
	for (int n = 0; n < 5; n++) {
		later(&r);
		for (int i = 0; i < 3; i++)
			assert_ptr_equal(queued->operand[i].region, region[i]);
		finish(1, VGPU_RSP_OK);
	}
	assert_int_equal(regions, 3);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
	assert_int_equal(regions, 2);
	/* The end of the context, and in teardown that of the device. */
	assert_int_equal(map(2, 9), VGPU_RSP_OK);
	r = request(VGPU_OP_CTX_DESTROY, 2, 1);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(regions, 1);
}

static void engine_may_have_no_regions(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	regions_fail = true;
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
	later(&r);
	assert_null(queued->operand[0].region);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
	/* Its DMA test has failed: it is not even asked. */
	regions_fail = false;
	s->bufs.eng = NULL;
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
	assert_int_equal(regions, 0);
}

/* Ids that share a chain, and one taken out of its middle. */
static void streams_that_share_a_chain(void **state)
{
	struct vgpu_engine_stream *made[4];
	struct vgpu_request r;

	(void)state;
	for (uint16_t ctx = 1; ctx <= 2; ctx++)
		map(ctx, ctx);
	for (int round = 0; round < 2; round++) {
		for (uint16_t i = 0; i < 4; i++) {
			r = add(i, 1 + i % 2, 0);
			for (int k = 0; k < 3; k++)
				r.u.builtin.operand[k].handle = r.ctx;
			/* Context 1 and 2 differ by 31 in it. */
			r.stream =
				(i / 2 + 1) * STREAM_CHAINS - 31 * (r.ctx - 1);
			later(&r);
			if (!round)
				made[i] = queued->stream;
			assert_ptr_equal(queued->stream, made[i]);
			finish(1, VGPU_RSP_OK);
		}
	}
	assert_int_equal(streams, 4);
	r = request(VGPU_OP_CTX_DESTROY, 9, 1);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(streams, 2);
	r = add(1, 2, 2 * STREAM_CHAINS - 31);
	for (int k = 0; k < 3; k++)
		r.u.builtin.operand[k].handle = 2;
	later(&r);
	assert_ptr_equal(queued->stream, made[3]);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(streams, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(handles),
		TEST(failed_map_leaves_nothing),
		TEST(mapped_pages_are_bounded),
		TEST(operands_are_checked),
		TEST(buffer_in_use_stays),
		TEST(one_operand_is_a_use),
		TEST(streams_are_bounded),
		TEST(ctx_destroy_waits_for_its_streams),
		TEST(two_contexts_end),
		TEST(ctx_destroy_of_nothing),
		TEST(buffers_are_regions),
		TEST(engine_may_have_no_regions),
		TEST(streams_that_share_a_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
