// SPDX-License-Identifier: MIT
/*
 * test_native_lib.c - the guest's library, whole: memory, copies, built-in
 * kernels, order, batches
 *
 * Unmodified over the unmodified backend, without Xen; on the cpu engine, or with
 * VGPU_NATIVE_REAL_CUDA=1 on the GPU. Worlds as in lib.h.
 */
#include "lib.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t sizes[] = {1,     3,     4,	    255, 4096,	 4097,
			       65535, 65536, 65540, MI,	 MI + 1, 5 * MI + 13};

/* From memory of any kind and alignment, with nothing written beside it. */
static void ordinary_memory_comes_back(void **state)
{
	enum { ROOM = 64 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i], off = i % 5;
		uint8_t *in = malloc(n + ROOM), *out = malloc(n + ROOM);
		struct vgpu_mem *mem = mem_of(n + off);

		fill_bytes(in, n + ROOM, i);
		memset(out, 0xa5, n + ROOM);
		/* Memory of the device is zero before it is written. */
		assert_int_equal(
			vgpu_copy_out(dev, out + 3, vgpu_at(mem, off), n, 0),
			0);
		fence(0);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(out[3 + k], 0);
		assert_int_equal(
			vgpu_copy_in(dev, vgpu_at(mem, off), in + 7, n, 0), 0);
		assert_int_equal(
			vgpu_copy_out(dev, out + 3, vgpu_at(mem, off), n, 0),
			0);
		fence(0);
		assert_memory_equal(out + 3, in + 7, n);
		assert_int_equal(out[2], 0xa5);
		assert_int_equal(out[3 + n], 0xa5);
		assert_int_equal(vgpu_mem_free(mem, 0), 0);
		free(in);
		free(out);
	}
	fence(0);
}

static void buffers_are_used_in_place(void **state)
{
	const unsigned int mapped = guest_mapped();
	const size_t n = 3 * MI + 8;
	struct vgpu_buffer *in = buffer_of(n), *out = buffer_of(n);
	struct vgpu_mem *a = mem_of(n), *b = mem_of(n);

	(void)state;
	fill_bytes(vgpu_buffer_ptr(in), n, 1);
	assert_int_equal(vgpu_copy(dev, vgpu_at(a, 0), vgpu_in(in, 0), n, 0),
			 0);
	assert_int_equal(vgpu_copy(dev, vgpu_at(b, 5), vgpu_at(a, 3), n - 5, 0),
			 0);
	assert_int_equal(
		vgpu_copy(dev, vgpu_in(out, 9), vgpu_at(b, 5), n - 9, 0), 0);
	fence(0);
	assert_memory_equal((uint8_t *)vgpu_buffer_ptr(out) + 9,
			    (uint8_t *)vgpu_buffer_ptr(in) + 3, n - 9);
	assert_int_equal(vgpu_copy(dev, vgpu_in(out, 0), vgpu_in(in, 0), n, 0),
			 0);
	fence(0);
	assert_memory_equal(vgpu_buffer_ptr(out), vgpu_buffer_ptr(in), n);
	assert_int_equal(vgpu_copy(dev, vgpu_in(out, 1), vgpu_in(in, 0), n, 0),
			 -ERANGE);
	assert_int_equal(vgpu_buffer_free(in), 0);
	assert_int_equal(vgpu_buffer_free(out), 0);
	assert_int_equal(guest_mapped(), mapped);
	assert_int_equal(vgpu_mem_free(a, 0), 0);
	assert_int_equal(vgpu_mem_free(b, 0), 0);
	fence(0);
	backend_is_empty();
}

static void fills(void **state)
{
	static const unsigned int widths[] = {1, 2, 4};
	const size_t n = 100000;
	struct vgpu_mem *mem = mem_of(n);
	uint8_t *out = malloc(n);

	(void)state;
	for (int i = 0; i < 3; i++) {
		const unsigned int w = widths[i];
		const uint32_t pattern = 0x81624ab7u >> (32 - 8 * w);

		assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0, 1, n, 0),
				 0);
		assert_int_equal(
			vgpu_fill(dev, vgpu_at(mem, 4), pattern, w, n - 8, 0),
			0);
		assert_int_equal(vgpu_copy_out(dev, out, vgpu_at(mem, 0), n, 0),
				 0);
		fence(0);
		for (size_t k = 0; k < n; k++) {
			uint8_t want = k < 4 || k >= n - 4 ?
					       0 :
					       pattern >> 8 * ((k - 4) % w);

			assert_int_equal(out[k], want);
		}
	}
	free(out);
	assert_int_equal(vgpu_mem_free(mem, 0), 0);
}

static void builtins(void **state)
{
	enum { N = 70001 };
	static float x[N], y[N], got[N];
	struct vgpu_mem *a = mem_of(sizeof(x)), *b = mem_of(sizeof(y)),
			*sum = mem_of(4);
	struct vgpu_buffer *c = buffer_of(sizeof(x));
	double total = 0;
	float out;

	(void)state;
	fill_floats(x, N, 0.3f);
	fill_floats(y, N, -1.7f);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(a, 0), x, sizeof(x), 0), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(b, 0), y, sizeof(y), 0), 0);
	/* Operands of both kinds. */
	assert_int_equal(vgpu_add(dev, vgpu_at(a, 0), vgpu_at(b, 0),
				  vgpu_in(c, 0), N, 0),
			 0);
	assert_int_equal(
		vgpu_saxpy(dev, 2.5f, vgpu_in(c, 0), vgpu_at(b, 0), N, 0), 0);
	assert_int_equal(
		vgpu_reduce_sum(dev, vgpu_at(b, 0), vgpu_at(sum, 0), N, 0), 0);
	assert_int_equal(vgpu_copy_out(dev, got, vgpu_at(b, 0), sizeof(got), 0),
			 0);
	assert_int_equal(vgpu_copy_out(dev, &out, vgpu_at(sum, 0), 4, 0), 0);
	fence(0);
	for (int i = 0; i < N; i++) {
		volatile float add = x[i] + y[i];
		float want = fmaf(2.5f, add, y[i]);

		assert_true(((float *)vgpu_buffer_ptr(c))[i] == add);
		assert_true(got[i] == want);
		total += got[i];
	}
	assert_true(fabs(out - total) <= fabs(total) * 1e-6);
	/* Ordinary memory, any size. */
	assert_int_equal(vgpu_vector_add(dev, x, y, got, N), 0);
	for (int i = 0; i < N; i++)
		assert_true(got[i] == ((float *)vgpu_buffer_ptr(c))[i]);
	assert_int_equal(vgpu_buffer_free(c), 0);
	assert_int_equal(vgpu_mem_free(a, 0), 0);
	assert_int_equal(vgpu_mem_free(b, 0), 0);
	assert_int_equal(vgpu_mem_free(sum, 0), 0);
}

/* Small integers: exact, whatever the order of the sums. */
static void sgemm(void **state)
{
	enum { M = 37, N = 29, K = 53, LDA = 60, LDB = 31, LDC = 40 };
	static float a[M * LDA], b[K * LDB], c[N * LDC], got[N * LDC];
	struct vgpu_mem *ma = mem_of(sizeof(a)), *mb = mem_of(sizeof(b)),
			*mc = mem_of(sizeof(c));

	(void)state;
	for (unsigned int i = 0; i < M * LDA; i++)
		a[i] = (int)(i % 7) - 3;
	for (unsigned int i = 0; i < K * LDB; i++)
		b[i] = (int)(i % 5) - 2;
	for (unsigned int i = 0; i < N * LDC; i++)
		c[i] = (int)(i % 11) - 5;
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(ma, 0), a, sizeof(a), 0), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mb, 0), b, sizeof(b), 0), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mc, 0), c, sizeof(c), 0), 0);
	/* A is stored K x M, B as stored N x K: both transposed. */
	assert_int_equal(
		vgpu_sgemm(dev, M, N, K, 2,
			   (struct vgpu_matrix){vgpu_at(ma, 0), LDA, true},
			   (struct vgpu_matrix){vgpu_at(mb, 0), LDB, true}, -1,
			   (struct vgpu_matrix){vgpu_at(mc, 0), LDC, false}, 0),
		0);
	assert_int_equal(vgpu_copy_out(dev, got, vgpu_at(mc, 0), sizeof(c), 0),
			 0);
	fence(0);
	for (int col = 0; col < N; col++) {
		for (int row = 0; row < LDC; row++) {
			float want = c[col * LDC + row], sum = 0;

			for (int k = 0; k < K && row < M; k++)
				sum += a[row * LDA + k] * b[k * LDB + col];
			if (row < M)
				want = 2 * sum - want;
			assert_true(got[col * LDC + row] == want);
		}
	}
	assert_int_equal(vgpu_mem_free(ma, 0), 0);
	assert_int_equal(vgpu_mem_free(mb, 0), 0);
	assert_int_equal(vgpu_mem_free(mc, 0), 0);
}

/* A chain over two streams, each step of which needs the one before. */
static void events_order_streams(void **state)
{
	enum { STEPS = 200, N = 1000 };
	static float one[N], got[N];
	struct vgpu_mem *x = mem_of(sizeof(one)), *y = mem_of(sizeof(one));
	struct vgpu_event *ev[2], *never;
	unsigned int s[2];
	int64_t ns;

	(void)state;
	fill_floats(one, N, 0);
	for (int i = 0; i < N; i++)
		one[i] = 1;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vgpu_stream_create(dev, &s[i]), 0);
		assert_int_equal(vgpu_event_create(dev, &ev[i]), 0);
	}
	assert_int_equal(vgpu_event_create(dev, &never), 0);
	assert_int_equal(vgpu_event_query(never), 0);
	assert_int_equal(vgpu_event_wait(never, s[0]), 0);
	assert_int_equal(vgpu_event_elapsed(never, never, &ns), -EINVAL);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(x, 0), one, sizeof(one), 0),
			 0);
	fence(0);
	for (int i = 0; i < STEPS; i++) {
		if (i)
			assert_int_equal(
				vgpu_event_wait(ev[!(i % 2)], s[i % 2]), 0);
		assert_int_equal(vgpu_saxpy(dev, 1, vgpu_at(x, 0),
					    vgpu_at(y, 0), N, s[i % 2]),
				 0);
		assert_int_equal(vgpu_event_record(ev[i % 2], s[i % 2]), 0);
	}
	assert_int_equal(vgpu_event_synchronize(ev[1]), 0);
	assert_int_equal(vgpu_event_query(ev[1]), 0);
	assert_int_equal(vgpu_event_elapsed(ev[0], ev[1], &ns), 0);
	assert_true(ns >= 0);
	assert_int_equal(
		vgpu_copy_out(dev, got, vgpu_at(y, 0), sizeof(got), s[1]), 0);
	fence(s[1]);
	for (int i = 0; i < N; i++)
		assert_true(got[i] == STEPS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vgpu_event_destroy(ev[i]), 0);
		assert_int_equal(vgpu_stream_destroy(dev, s[i]), 0);
	}
	assert_int_equal(vgpu_event_destroy(never), 0);
	assert_int_equal(vgpu_mem_free(x, 0), 0);
	assert_int_equal(vgpu_mem_free(y, 0), 0);
	fence(0);
	backend_is_empty();
}

/* 64 requests that nobody waits for: one system call, one event. */
static void a_batch_is_one_call(void **state)
{
	enum { BATCH = 64, TIMES = 20, N = 16 };
	struct vgpu_mem *x = mem_of(N * 4), *y = mem_of(N * 4);
	struct device_counts before, after;
	float got[N];

	(void)state;
	assert_int_equal(vgpu_fill(dev, vgpu_at(x, 0), 0x3f800000, 4, N * 4, 0),
			 0);
	fence(0);
	for (int t = 0; t < TIMES; t++) {
		before = device_counts();
		vgpu_batch_begin(dev);
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(vgpu_saxpy(dev, 1, vgpu_at(x, 0),
						    vgpu_at(y, 0), N, 0),
					 0);
		assert_int_equal(vgpu_batch_end(dev), 0);
		after = device_counts();
		assert_int_equal(after.enters - before.enters, 1);
		assert_int_equal(after.requests - before.requests, BATCH);
		assert_in_range(after.notify_sent - before.notify_sent, 0, 1);
		assert_int_equal(after.waits - before.waits, 0);
		fence(0);
	}
	assert_int_equal(vgpu_copy_out(dev, got, vgpu_at(y, 0), sizeof(got), 0),
			 0);
	fence(0);
	for (int i = 0; i < N; i++)
		assert_true(got[i] == BATCH * TIMES);
	assert_int_equal(vgpu_mem_free(x, 0), 0);
	assert_int_equal(vgpu_mem_free(y, 0), 0);
}

/*
 * Many times what ring and arena hold, without a look at what has come of it:
 * every other request has a parameter block.
 */
static void more_than_ring_and_arena_hold(void **state)
{
	enum { REQUESTS = 5000 };
	struct vgpu_mem *x = mem_of(4), *y = mem_of(4);
	const struct vgpu_matrix one = {vgpu_at(x, 0), 1, false};
	const struct vgpu_matrix sum = {vgpu_at(y, 0), 1, false};
	float got;

	(void)state;
	assert_int_equal(vgpu_fill(dev, vgpu_at(x, 0), 0x3f800000, 4, 4, 0), 0);
	for (int i = 0; i < REQUESTS; i++) {
		assert_int_equal(vgpu_saxpy(dev, 1, one.ref, sum.ref, 1, 0), 0);
		assert_int_equal(
			vgpu_sgemm(dev, 1, 1, 1, 1, one, one, 1, sum, 0), 0);
	}
	assert_int_equal(vgpu_copy_out(dev, &got, vgpu_at(y, 0), 4, 0), 0);
	fence(0);
	assert_true(got == 2 * REQUESTS);
	assert_int_equal(vgpu_mem_free(x, 0), 0);
	assert_int_equal(vgpu_mem_free(y, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(ordinary_memory_comes_back),
		LIB_TEST(buffers_are_used_in_place),
		LIB_TEST(fills),
		LIB_TEST(builtins),
		LIB_TEST(sgemm),
		LIB_TEST(events_order_streams),
		cmocka_unit_test_setup_teardown(a_batch_is_one_call,
						lib_begin_asleep, lib_end),
		LIB_TEST(more_than_ring_and_arena_hold),
	};

	lib_limit_time();
	return cmocka_run_group_tests_name("native library", tests, NULL, NULL);
}
