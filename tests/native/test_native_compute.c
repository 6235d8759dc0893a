// SPDX-License-Identifier: MIT
/*
 * test_native_compute.c - device memory, streams, events and quiet requests
 * through the unmodified backend, request by request
 *
 * On the cpu engine, without Xen, as test_native_path.c. What a guest's library
 * makes of it is in test_native_lib.c.
 */
#include "path.h"

#include <stdlib.h>
#include <string.h>

#define MEM(n) (VGPU_HANDLE_MEM | (n))

static struct vgpu_request mem_alloc(uint32_t mem, uint64_t length)
{
	struct vgpu_request req = front_request(VGPU_OP_MEM_ALLOC);

	req.u.mem_alloc.handle = mem;
	req.u.mem_alloc.length = length;
	return req;
}

static struct vgpu_request copy(uint32_t dst, uint32_t src, uint64_t length)
{
	struct vgpu_request req = front_request(VGPU_OP_COPY);

	req.u.copy.dst = dst;
	req.u.copy.src = src;
	req.u.copy.length = length;
	return req;
}

static struct vgpu_request fill(uint32_t mem, uint32_t pattern, uint64_t length)
{
	struct vgpu_request req = front_request(VGPU_OP_FILL);

	req.u.fill.handle = mem;
	req.u.fill.pattern = pattern;
	req.u.fill.width = 4;
	req.u.fill.length = length;
	return req;
}

static struct vgpu_request with_handle(uint8_t op, uint32_t handle)
{
	struct vgpu_request req = front_request(op);

	req.u.handle.handle = handle;
	return req;
}

/* Operands from the start of what is named, of counts that may be 0. */
static struct vgpu_request builtin(uint16_t kernel, const uint32_t handle[3],
				   const uint32_t count[3])
{
	struct vgpu_request req = front_request(VGPU_OP_BUILTIN);

	req.u.builtin.kernel = kernel;
	for (int i = 0; i < 3; i++) {
		req.u.builtin.operand[i].handle = handle[i];
		req.u.builtin.operand[i].count = count[i];
	}
	return req;
}

static struct vgpu_request saxpy(uint32_t x, uint32_t y, uint32_t n)
{
	struct vgpu_request req =
		builtin(VGPU_KERNEL_SAXPY, (uint32_t[]){x, y, 0},
			(uint32_t[]){n, n, 0});
	const float alpha = 3;

	memcpy(&req.u.builtin.param, &alpha, sizeof(alpha));
	return req;
}

static void call(struct vgpu_request req, enum vgpu_status want)
{
	int got = front_call(&f, &req, NULL);

	if (got != (int)want)
		fail_msg("op %u: status %d, want %d", req.op, got, want);
}

/* Not published yet. */
static void put_quiet(struct vgpu_request req, uint16_t stream)
{
	req.flags = VGPU_REQF_QUIET;
	req.stream = stream;
	assert_int_equal(front_put(&f, &req), VGPUFRONT_NO_ID);
}

/* Behind all of the stream; what it says of quiet requests. */
static struct vgpu_response fence(uint16_t stream)
{
	struct vgpu_request req = front_request(VGPU_OP_FENCE);
	struct vgpu_response rsp;

	req.stream = stream;
	assert_true(front_call(&f, &req, &rsp) >= 0);
	return rsp;
}

static struct vgpu_info info(void)
{
	struct vgpu_request req = front_request(VGPU_OP_INFO);

	req.ctx = FRONT_CTX + 1;
	req.u.info.length = sizeof(struct vgpu_info);
	call(req, VGPU_RSP_OK);
	return *(struct vgpu_info *)guest_at(&f.mem, f.arena_page);
}

/* A mapped buffer of n floats. */
static float *floats(struct front_buffer *b, uint32_t handle, uint32_t n)
{
	assert_true(
		buffer_make(&f, b, handle, n * sizeof(float), 0, false, true));
	call(buffer_map_request(b), VGPU_RSP_OK);
	return b->data;
}

static void drop(struct front_buffer *b)
{
	call(buffer_unmap_request(b), VGPU_RSP_OK);
	assert_true(buffer_free(&f, b));
}

static void data_stays_on_the_device(void **state)
{
	enum { N = 10000, BYTES = 4 * N };
	struct front_buffer in, out;
	double sum = 0;
	float *x, *y;

	(void)state;
	path_connect(&f);
	x = floats(&in, 1, N);
	y = floats(&out, 2, N);
	for (int i = 0; i < N; i++)
		x[i] = i % 1000;
	/* All of it one batch: nothing waits for an answer. */
	put_quiet(mem_alloc(MEM(0), BYTES), 0);
	put_quiet(mem_alloc(MEM(7), BYTES), 0);
	put_quiet(mem_alloc(MEM(8), 4), 0);
	put_quiet(copy(MEM(0), 1, BYTES), 0);
	put_quiet(fill(MEM(7), 0x40000000, BYTES), 0);
	put_quiet(saxpy(MEM(0), MEM(7), N), 0);
	put_quiet(builtin(VGPU_KERNEL_REDUCE_SUM,
			  (uint32_t[]){MEM(7), MEM(8), 0},
			  (uint32_t[]){N, 1, 0}),
		  0);
	put_quiet(copy(2, MEM(7), BYTES), 0);
	put_quiet(copy(1, MEM(8), 4), 0);
	assert_int_equal(fence(0).status, VGPU_RSP_OK);
	for (int i = 0; i < N; i++) {
		assert_true(y[i] == 2 + 3 * (float)(i % 1000));
		sum += y[i];
	}
	assert_true(x[0] == (float)sum);
	assert_int_equal(info().mem_used, 2 * BYTES + 4);
	assert_int_equal(info().nr_objects, 3);
	for (int i = 0; i < 3; i++)
		call(with_handle(VGPU_OP_MEM_FREE, MEM(i ? 6 + i : 0)),
		     VGPU_RSP_OK);
	assert_int_equal(info().mem_used, 0);
	drop(&in);
	drop(&out);
	path_disconnect(&f);
}

static void matrices_by_a_block_in_the_arena(void **state)
{
	const struct vgpu_sgemm p = {.m = 2,
				     .n = 3,
				     .k = 4,
				     .lda = 2,
				     .ldb = 3,
				     .ldc = 2,
				     .alpha = 0x3f800000,
				     .trans_b = 1};
	struct front_buffer b;
	struct vgpu_request req;
	float *data;

	(void)state;
	path_connect(&f);
	data = floats(&b, 1, 100);
	/* A in 0 ... 7, B in 8 ... 19, C in 20 ... 25. */
	for (int i = 0; i < 20; i++)
		data[i] = i;
	memcpy((uint8_t *)guest_at(&f.mem, f.arena_page + 3) + 8, &p,
	       sizeof(p));
	req = builtin(VGPU_KERNEL_SGEMM, (uint32_t[]){1, 1, 1},
		      (uint32_t[]){8, 12, 6});
	req.u.builtin.operand[1].offset = 4 * 8;
	req.u.builtin.operand[2].offset = 4 * 20;
	req.u.builtin.param = 3 * NX_PAGE + 8;
	req.u.builtin.param_len = sizeof(p);
	call(req, VGPU_RSP_OK);
	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < 3; j++) {
			float want = 0;

			for (int k = 0; k < 4; k++)
				want += data[i + 2 * k] * data[8 + j + 3 * k];
			assert_true(data[20 + i + 2 * j] == want);
		}
	}
	req.u.builtin.operand[1].count = 11;
	call(req, VGPU_RSP_INVALID);
	req.u.builtin.param = f.arena_pages * NX_PAGE - 39;
	call(req, VGPU_RSP_RANGE);
	drop(&b);
	path_disconnect(&f);
}

/* What was in it before is nobody's to see, whoever had it. */
static void memory_is_zeroed(void **state)
{
	enum { N = 300000 };
	struct front_buffer b;
	uint32_t *data;

	(void)state;
	path_connect(&f);
	data = (uint32_t *)floats(&b, 1, N);
	for (int round = 0; round < 3; round++) {
		memset(data, 0xff, 4 * N);
		call(mem_alloc(MEM(1), 4 * N), VGPU_RSP_OK);
		call(copy(1, MEM(1), 4 * N), VGPU_RSP_OK);
		for (int i = 0; i < N; i++)
			assert_int_equal(data[i], 0);
		call(fill(MEM(1), 0xdeadbeef, 4 * N), VGPU_RSP_OK);
		call(with_handle(VGPU_OP_MEM_FREE, MEM(1)), VGPU_RSP_OK);
	}
	drop(&b);
	path_disconnect(&f);
}

/* The second stream's work is behind the first one's, by nothing but the event. */
static void event_orders_two_streams(void **state)
{
	enum { N = 1 << 20, ROUNDS = 10 };
	struct front_buffer b;
	uint32_t *data;

	(void)state;
	path_connect(&f);
	data = (uint32_t *)floats(&b, 1, N);
	call(mem_alloc(MEM(1), 4 * N), VGPU_RSP_OK);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		data[N - 1] = 0;
		put_quiet(fill(MEM(1), round, 4 * N), 0);
		put_quiet(with_handle(VGPU_OP_EVENT_RECORD, 5), 0);
		put_quiet(with_handle(VGPU_OP_EVENT_WAIT, 5), 1);
		put_quiet(copy(1, MEM(1), 4 * N), 1);
		assert_int_equal(fence(1).status, VGPU_RSP_OK);
		assert_int_equal(data[0], round);
		assert_int_equal(data[N - 1], round);
		/* And back: the next fill is behind the copy. */
		put_quiet(with_handle(VGPU_OP_EVENT_RECORD, 6), 1);
		put_quiet(with_handle(VGPU_OP_EVENT_WAIT, 6), 0);
	}
	assert_int_equal(fence(0).status, VGPU_RSP_OK);
	call(with_handle(VGPU_OP_EVENT_DESTROY, 5), VGPU_RSP_OK);
	call(with_handle(VGPU_OP_EVENT_DESTROY, 5), VGPU_RSP_NO_HANDLE);
	assert_int_equal(info().nr_objects, 2);
	drop(&b);
	path_disconnect(&f);
}

/* One event to the backend, one answer, at most one event back. */
static void quiet_batches(void **state)
{
	enum { ROUNDS = 200, BATCH = 64 };
	struct front_counts before;
	struct vgpu_response rsp;

	(void)state;
	path_connect(&f);
	call(mem_alloc(MEM(1), 64), VGPU_RSP_OK);
	before = f.counts;
	for (int round = 0; round < ROUNDS; round++) {
		struct vgpu_request last = front_request(VGPU_OP_FENCE);

		for (int i = 1; i < BATCH; i++)
			put_quiet(fill(MEM(1), i, 64), 0);
		assert_true(front_put(&f, &last) >= 0);
		front_push(&f);
		assert_int_equal(front_next(&f, &rsp), 1);
		assert_int_equal(rsp.op, VGPU_OP_FENCE);
		assert_int_equal(rsp.status, VGPU_RSP_OK);
		assert_int_equal(rsp.retired, BATCH - 1);
		assert_int_equal(vgpufront_ring_quiet(&f.ring), 0);
	}
	assert_int_equal(f.counts.responses - before.responses, ROUNDS);
	assert_int_equal(f.counts.pushes - before.pushes, ROUNDS);
	assert_true(f.counts.notify_sent - before.notify_sent <= ROUNDS);
	assert_true(f.counts.events - before.events <= ROUNDS + 1);
	path_disconnect(&f);
	assert_int_equal(path_stat("quiet"), ROUNDS * (BATCH - 1));
	assert_int_equal(path_stat("retired"), ROUNDS * (BATCH - 1));
}

/* More than a ring of them: some carry their slots back. */
static void quiet_without_a_fence(void **state)
{
	enum { N = 20000 };
	struct vgpu_response rsp;

	(void)state;
	path_connect(&f);
	call(mem_alloc(MEM(1), 64), VGPU_RSP_OK);
	for (unsigned int i = 0; i < N;) {
		struct vgpu_request req = fill(MEM(1), i, 64);

		req.flags = VGPU_REQF_QUIET;
		if (vgpufront_ring_retire_due(&f.ring))
			req.flags |= VGPU_REQF_RETIRE;
		if (front_put(&f, &req) >= 0) {
			i++;
			continue;
		}
		front_push(&f);
		assert_int_equal(front_next(&f, &rsp), 1);
		assert_int_equal(rsp.op, VGPU_OP_FILL);
		assert_int_equal(rsp.status, VGPU_RSP_OK);
	}
	front_push(&f);
	while (vgpufront_ring_in_flight(&f.ring))
		assert_int_equal(front_next(&f, &rsp), 1);
	assert_int_equal(fence(0).status, VGPU_RSP_OK);
	assert_int_equal(vgpufront_ring_quiet(&f.ring), 0);
	path_disconnect(&f);
}

static void first_failure_is_told(void **state)
{
	struct vgpu_request bad = fill(MEM(1), 1, 68);
	struct vgpu_response rsp;

	(void)state;
	path_connect(&f);
	call(mem_alloc(MEM(1), 64), VGPU_RSP_OK);
	call(mem_alloc(MEM(2), 64), VGPU_RSP_OK);
	put_quiet(fill(MEM(1), 1, 64), 3);
	put_quiet(bad, 3);
	put_quiet(copy(1, MEM(1), 64), 3);
	put_quiet(fill(MEM(2), 1, 64), 4);
	assert_int_equal(fence(4).status, VGPU_RSP_OK);
	rsp = fence(3);
	assert_int_equal(rsp.status, VGPU_RSP_RANGE);
	assert_int_equal(rsp.value & 0xff, VGPU_OP_FILL);
	assert_int_equal(rsp.value >> 8, VGPUFRONT_NO_ID);
	assert_int_equal(fence(3).status, VGPU_RSP_OK);
	path_disconnect(&f);
}

static void bad_names(void **state)
{
	struct vgpu_request req;

	(void)state;
	path_connect(&f);
	call(mem_alloc(MEM(1), 100), VGPU_RSP_OK);
	call(mem_alloc(MEM(1), 100), VGPU_RSP_EXISTS);
	req = with_handle(VGPU_OP_MEM_FREE, MEM(1));
	req.ctx++;
	call(req, VGPU_RSP_NO_HANDLE);
	req = fill(MEM(1), 1, 4);
	req.ctx++;
	call(req, VGPU_RSP_NO_HANDLE);
	call(fill(MEM(1), 1, 104), VGPU_RSP_RANGE);
	call(copy(MEM(1), MEM(1), UINT64_MAX), VGPU_RSP_RANGE);
	call(with_handle(VGPU_OP_MEM_FREE, MEM(1)), VGPU_RSP_OK);
	call(with_handle(VGPU_OP_MEM_FREE, MEM(1)), VGPU_RSP_NO_HANDLE);
	call(fill(MEM(1), 1, 4), VGPU_RSP_NO_HANDLE);
	/* More than any machine has; and then as if nothing had been. */
	call(mem_alloc(MEM(1), 1ull << 60), VGPU_RSP_NO_MEMORY);
	call(mem_alloc(MEM(1), 100), VGPU_RSP_OK);
	assert_int_equal(info().mem_used, 100);
	path_disconnect(&f);
}

static void quota_of_the_device(void **state)
{
	static const char *const node = "/local/domain/0/backend/vgpu/7/0/mem";

	(void)state;
	assert_true(xs_write(w.xs, XBT_NULL, node, "1000000", 7));
	path_connect(&f);
	assert_int_equal(info().mem_quota, 1000000);
	call(mem_alloc(MEM(1), 1000001), VGPU_RSP_QUOTA);
	call(mem_alloc(MEM(1), 999999), VGPU_RSP_OK);
	call(mem_alloc(MEM(2), 2), VGPU_RSP_QUOTA);
	call(mem_alloc(MEM(2), 1), VGPU_RSP_OK);
	call(with_handle(VGPU_OP_MEM_FREE, MEM(1)), VGPU_RSP_OK);
	call(mem_alloc(MEM(3), 999999), VGPU_RSP_OK);
	path_disconnect(&f);
}

/* Work of every kind in flight, on many streams; and all of it is given back. */
static void ctx_destroy_leaves_nothing(void **state)
{
	enum { STREAMS = 8, N = 1 << 18 };
	struct vgpu_request destroy = front_request(VGPU_OP_CTX_DESTROY);
	struct front_buffer b;
	struct vgpu_info left;

	(void)state;
	path_connect(&f);
	for (int round = 0; round < 5; round++) {
		floats(&b, 1, N);
		for (uint16_t i = 0; i < STREAMS; i++) {
			put_quiet(mem_alloc(MEM(i), 4 * N), i);
			put_quiet(copy(MEM(i), 1, 4 * N), i);
			put_quiet(saxpy(MEM(i), MEM(i), N), i);
			put_quiet(with_handle(VGPU_OP_EVENT_RECORD, 1 + i), i);
			put_quiet(with_handle(VGPU_OP_EVENT_WAIT,
					      1 + (i + 1) % STREAMS),
				  i);
			if (i % 2)
				put_quiet(with_handle(VGPU_OP_MEM_FREE, MEM(i)),
					  i);
		}
		call(destroy, VGPU_RSP_OK);
		left = info();
		assert_int_equal(left.mem_used, 0);
		assert_int_equal(left.nr_objects, 0);
		assert_int_equal(left.nr_buffers, 0);
		assert_true(buffer_free(&f, &b));
	}
	path_disconnect(&f);
	assert_int_equal(path_stat("objects"), 0);
	assert_int_equal(path_stat("mem_used"), 0);
}

/* A context that ends in parts keeps its worker from sleeping. */
static int begin_without_polling(void **state)
{
	static const char *const options[] = {"--poll-us", "0", NULL};

	(void)state;
	return path_begin_with("cpu", options);
}

static void many_objects_end(void **state)
{
	enum { N = 3000 };

	(void)state;
	path_connect(&f);
	for (uint32_t i = 1; i <= N; i++) {
		put_quiet(with_handle(VGPU_OP_EVENT_RECORD, i), 0);
		if (i % 300 == 0)
			assert_int_equal(fence(0).status, VGPU_RSP_OK);
	}
	assert_int_equal(info().nr_objects, N);
	call(front_request(VGPU_OP_CTX_DESTROY), VGPU_RSP_OK);
	assert_int_equal(info().nr_objects, 0);
	path_disconnect(&f);
}

/* A device that closes with memory and work in it: path_end() looks. */
static void closes_with_objects(void **state)
{
	(void)state;
	path_connect(&f);
	for (uint32_t i = 0; i < 20; i++) {
		put_quiet(mem_alloc(MEM(i), 100000), i % 3);
		put_quiet(fill(MEM(i), i, 100000), i % 3);
		put_quiet(with_handle(VGPU_OP_EVENT_RECORD, i + 1), i % 3);
	}
	front_push(&f);
	path_disconnect(&f);
}

static void cpu_runs_no_modules(void **state)
{
	struct vgpu_request req;
	struct front_buffer b;
	char *ops;

	(void)state;
	path_connect(&f);
	ops = world_back_read(&w, GUEST, 0, "ops");
	assert_non_null(ops);
	assert_non_null(strstr(ops, "event-record"));
	assert_null(strstr(ops, "launch"));
	free(ops);
	floats(&b, 1, 100);
	req = front_request(VGPU_OP_MODULE_LOAD);
	req.u.module_load.module = 1;
	req.u.module_load.format = VGPU_MODULE_PTX;
	req.u.module_load.image.handle = 1;
	req.u.module_load.image.count = 100;
	call(req, VGPU_RSP_NO_GPU);
	req = front_request(VGPU_OP_LAUNCH);
	req.u.launch.function = 1;
	for (int i = 0; i < 3; i++)
		req.u.launch.grid[i] = req.u.launch.block[i] = 1;
	call(req, VGPU_RSP_NO_GPU);
	put_quiet(req, 0);
	assert_int_equal(fence(0).status, VGPU_RSP_NO_GPU);
	drop(&b);
	path_disconnect(&f);
}

static void streams_come_and_go(void **state)
{
	struct vgpu_request req = front_request(VGPU_OP_STREAM_DESTROY);

	(void)state;
	path_connect(&f);
	call(mem_alloc(MEM(1), 64), VGPU_RSP_OK);
	/* More than there may be at a time. */
	for (uint16_t i = 0; i < 1000; i++) {
		put_quiet(fill(MEM(1), i, 64), i);
		req.stream = i;
		call(req, VGPU_RSP_OK);
	}
	path_disconnect(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATH_TEST(data_stays_on_the_device),
		PATH_TEST(matrices_by_a_block_in_the_arena),
		PATH_TEST(memory_is_zeroed),
		PATH_TEST(event_orders_two_streams),
		PATH_TEST(quiet_batches),
		PATH_TEST(quiet_without_a_fence),
		PATH_TEST(first_failure_is_told),
		PATH_TEST(bad_names),
		PATH_TEST(quota_of_the_device),
		PATH_TEST(ctx_destroy_leaves_nothing),
		cmocka_unit_test_setup_teardown(
			many_objects_end, begin_without_polling, path_end),
		PATH_TEST(closes_with_objects),
		PATH_TEST(cpu_runs_no_modules),
		PATH_TEST(streams_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
