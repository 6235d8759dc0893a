// SPDX-License-Identifier: MIT
/*
 * test_lib_async.c - libvgpufront over a double of the module: operations in
 * flight, streams and fences, poll, several threads, a lost device
 */
#include <pthread.h>

#include "lib_common.h"

static void test_poll_loop(void **state)
{
	enum { OPS = 40, N = 3000 };
	float *a = vec(N, 1), *b = vec(N, 2), *c = vec((size_t)OPS * N, 3);
	struct vgpu_op *op[OPS];
	int i, n, left = OPS, fd = vgpu_fd(dev);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(vgpu_fd(dev), fd);
	while (readable(fd))
		assert_int_equal(vgpu_process(dev), 0);
	for (i = 0; i < OPS; i++)
		assert_int_equal(vgpu_vector_add_async(dev, a, b, c + i * N, N,
						       (unsigned int)i % 7,
						       &op[i]),
				 0);
	while (left) {
		await_readable(fd);
		n = vgpu_process(dev);
		assert_in_range(n, 0, left);
		left -= n;
	}
	assert_int_equal(vgpu_process(dev), 0);
	assert_false(readable(fd));
	for (i = 0; i < OPS; i++) {
		assert_true(vgpu_op_done(op[i]));
		assert_int_equal(vgpu_op_result(op[i]), 0);
		assert_int_equal(wrong(a, b, c + i * N, N), 0);
		assert_int_equal(vgpu_op_free(op[i]), 0);
	}
	assert_int_equal(vgpu_op_free(NULL), 0);
	free(a);
	free(b);
	free(c);
}

/* A large operation goes on in vgpu_process() alone, piece after piece. */
static void test_poll_large(void **state)
{
	size_t n = 10u << 20;
	float *a = vec(n, 1), *c = vec(n, 3);
	struct vgpu_op *op;
	int fd = vgpu_fd(dev);

	(void)state;
	fake_config.max_pages = 4000;
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, n, 0, &op), 0);
	while (!vgpu_op_done(op)) {
		await_readable(fd);
		assert_true(vgpu_process(dev) >= 0);
	}
	assert_int_equal(vgpu_op_result(op), 0);
	assert_int_equal(wrong(a, a, c, n), 0);
	vgpu_op_free(op);
	free(a);
	free(c);
}

static void test_timeouts(void **state)
{
	float a[100] = {0}, c[100];
	struct vgpu_op *op;

	(void)state;
	fake_hold(3);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 100, 3, &op), 0);
	assert_int_equal(vgpu_op_wait(op, 0), -ETIME);
	assert_int_equal(vgpu_op_wait(op, 5 * MS), -ETIME);
	assert_false(vgpu_op_done(op));
	assert_int_equal(vgpu_op_result(op), -EINPROGRESS);
	assert_int_equal(vgpu_op_time_ns(op), 0);
	assert_int_equal(vgpu_op_free(op), -EBUSY);
	fake_release(3);
	assert_int_equal(vgpu_op_wait(op, INT64_MAX), 0);
	assert_int_equal(vgpu_op_wait(op, 0), 0);
	assert_int_equal(vgpu_op_time_ns(op), 1000);
	assert_int_equal(vgpu_op_free(op), 0);
}

/*
 * Each operation reads what the one before wrote: through copies, pins and
 * buffers, whose data take different ways.
 */
static void test_order_in_a_stream(void **state)
{
	static const size_t sizes[] = {500, 40000, 2500000};
	size_t k, i;

	(void)state;
	for (k = 0; k < 3; k++) {
		enum { CHAIN = 12 };
		size_t n = sizes[k];
		struct vgpu_op *op[CHAIN];
		struct vgpu_buffer *buf;
		float *x, *y;

		assert_int_equal(vgpu_buffer_alloc(dev, n * 4, &buf), 0);
		x = vgpu_buffer_ptr(buf);
		y = vec(n, 9);
		for (i = 0; i < n; i++)
			x[i] = 1;
		/* y = x + x, x = y + y, ...: all doubles, in order only. */
		fake_hold(5);
		for (i = 0; i < CHAIN; i++)
			assert_int_equal(vgpu_vector_add_async(
						 dev, i % 2 ? y : x,
						 i % 2 ? y : x, i % 2 ? x : y,
						 n, 5, &op[i]),
					 0);
		assert_int_equal(vgpu_buffer_free(buf), -EBUSY);
		fake_release(5);
		assert_int_equal(vgpu_op_wait(op[CHAIN - 1], -1), 0);
		for (i = 0; i < n; i++)
			assert_true(x[i] == 1 << CHAIN);
		for (i = 0; i < CHAIN; i++) {
			assert_int_equal(vgpu_op_result(op[i]), 0);
			assert_int_equal(vgpu_op_free(op[i]), 0);
		}
		assert_int_equal(vgpu_buffer_free(buf), 0);
		free(y);
	}
}

/* What is all in buffers does not wait here: the backend keeps the order. */
static void test_pipelined_in_buffers(void **state)
{
	struct vgpu_op *op[8];
	struct vgpu_buffer *buf;
	float *x;
	int i;

	(void)state;
	assert_int_equal(vgpu_buffer_alloc(dev, 4096, &buf), 0);
	x = vgpu_buffer_ptr(buf);
	x[0] = 1;
	fake_hold(0);
	for (i = 0; i < 8; i++)
		assert_int_equal(
			vgpu_vector_add_async(dev, x, x, x, 1024, 0, &op[i]),
			0);
	assert_int_equal(fake_counts().in_flight, 8);
	fake_release(0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_true(x[0] == 256);
	for (i = 0; i < 8; i++)
		assert_int_equal(vgpu_op_free(op[i]), 0);
}

static void test_fence(void **state)
{
	float a[5000] = {0}, c[5000], d[5000];
	struct vgpu_op *op, *other, *fence;

	(void)state;
	fake_hold(1);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 5000, 1, &op), 0);
	assert_int_equal(vgpu_fence_async(dev, 1, &fence), 0);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, d, 5000, 2, &other),
			 0);
	/* Neither another stream's work nor its fence waits for stream 1. */
	assert_int_equal(vgpu_fence(dev, 2), 0);
	assert_true(vgpu_op_done(other));
	assert_int_equal(vgpu_op_wait(fence, 5 * MS), -ETIME);
	fake_release(1);
	assert_int_equal(vgpu_op_wait(fence, -1), 0);
	assert_true(vgpu_op_done(op));
	assert_int_equal(vgpu_op_result(fence), 0);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(vgpu_op_free(other), 0);
	assert_int_equal(vgpu_op_free(fence), 0);
}

static void test_full_ring(void **state)
{
	enum { OPS = 30 };
	struct vgpu_op *op[OPS];
	float a[OPS], c[OPS];
	int i;

	(void)state;
	fake_config.max_requests = 3;
	fake_config.ring_slots = 2;
	fill(a, OPS, 1);
	for (i = 0; i < OPS; i++)
		assert_int_equal(vgpu_vector_add_async(dev, &a[i], &a[i], &c[i],
						       1, 0, &op[i]),
				 0);
	for (i = OPS - 1; i >= 0; i--) {
		assert_int_equal(vgpu_op_wait(op[i], -1), 0);
		assert_int_equal(vgpu_op_result(op[i]), 0);
		assert_int_equal(vgpu_op_free(op[i]), 0);
	}
	assert_int_equal(wrong(a, a, c, OPS), 0);
}

/* Two large operations of one thread share too few grants. */
static void test_starved_operations(void **state)
{
	size_t n = 3u << 20;
	float *a = vec(n, 1), *c[4];
	struct vgpu_op *op[4];
	unsigned int i;

	(void)state;
	fake_config.max_pages = 2600;
	for (i = 0; i < 4; i++) {
		c[i] = vec(n, i);
		assert_int_equal(
			vgpu_vector_add_async(dev, a, a, c[i], n, i, &op[i]),
			0);
	}
	for (i = 4; i-- > 0;) {
		assert_int_equal(vgpu_op_wait(op[i], -1), 0);
		assert_int_equal(vgpu_op_result(op[i]), 0);
		assert_int_equal(wrong(a, a, c[i], n), 0);
		vgpu_op_free(op[i]);
		free(c[i]);
	}
	/* Waiting for each other, none had to copy. */
	assert_int_equal(fake_counts().allocs, 0);
	assert_int_equal(fake_counts().pages, 0);
	free(a);
}

struct worker {
	pthread_t thread;
	unsigned int nr;
	unsigned int failures;
};

static void *worker(void *arg)
{
	struct worker *w = arg;
	unsigned int seed = w->nr, i;

	for (i = 0; i < 60; i++) {
		size_t n = (size_t)rand_r(&seed) % (i % 10 ? 5000 : 400000);
		float *a = vec(n, seed), *b = vec(n, i), *c = vec(n, 0);
		struct vgpu_op *op = NULL;
		int err;

		if (i % 2) {
			err = vgpu_vector_add(dev, a, b, c, n);
		} else {
			err = vgpu_vector_add_async(dev, a, b, c, n, w->nr,
						    &op);
			if (!err)
				err = vgpu_op_wait(op, -1);
			if (!err)
				err = vgpu_op_result(op);
			if (vgpu_op_free(op))
				w->failures++;
		}
		w->failures += err || wrong(a, b, c, n);
		free(a);
		free(b);
		free(c);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct worker w[8] = {0};
	unsigned int i;

	(void)state;
	/* Little of everything, and signals. */
	fake_config.max_pages = 900;
	fake_config.max_requests = 5;
	fake_config.eintr_every = 7;
	for (i = 0; i < 8; i++) {
		w[i].nr = i;
		pthread_create(&w[i].thread, NULL, worker, &w[i]);
	}
	for (i = 0; i < 8; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].failures, 0);
	}
	assert_int_equal(fake_counts().in_flight, 0);
	assert_int_equal(fake_counts().pinned, 0);
}

static void test_lost(void **state)
{
	size_t n = 8u << 20;
	float *a = vec(n, 1), *c = vec(n, 2), *d = vec(n, 3);
	struct vgpu_op *op[3], *late;
	struct vgpu_device_info info;
	struct vgpu_buffer *buf;
	int i, fd = vgpu_fd(dev), done = 0;

	(void)state;
	for (i = 0; i < 3; i++)
		fake_hold((unsigned int)i);
	assert_int_equal(vgpu_buffer_alloc(dev, 4096, &buf), 0);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, n, 0, &op[0]), 0);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, d, 100, 1, &op[1]),
			 0);
	/* Held back behind the first one. */
	assert_int_equal(vgpu_vector_add_async(dev, c, a, d, n, 0, &op[2]), 0);
	fake_lose();
	while (done < 3) {
		await_readable(fd);
		i = vgpu_process(dev);
		assert_true(i >= 0);
		done += i;
	}
	for (i = 0; i < 3; i++) {
		assert_int_equal(vgpu_op_result(op[i]), -ENODEV);
		assert_int_equal(vgpu_op_free(op[i]), 0);
	}
	assert_true(readable(fd));
	assert_int_equal(vgpu_process(dev), -ENODEV);
	assert_int_equal(vgpu_vector_add(dev, a, a, c, n), -ENODEV);
	assert_int_equal(vgpu_vector_add(dev, a, a, c, 0), -ENODEV);
	assert_int_equal(vgpu_fence(dev, 0), -ENODEV);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 1, 0, &late),
			 -ENODEV);
	assert_int_equal(vgpu_get_info(dev, &info), 0);
	assert_int_equal(info.lost, 1);
	assert_int_equal(vgpu_buffer_free(buf), 0);
	assert_int_equal(fake_counts().pinned, 0);
	free(a);
	free(c);
	free(d);
}

/* Lost while idle: nobody asked, poll tells. */
static void test_lost_idle(void **state)
{
	int fd = vgpu_fd(dev);

	(void)state;
	while (readable(fd))
		assert_int_equal(vgpu_process(dev), 0);
	fake_lose();
	await_readable(fd);
	assert_int_equal(vgpu_process(dev), -ENODEV);
}

static void *lose_later(void *arg)
{
	(void)arg;
	fake_await_waiting();
	fake_lose();
	return NULL;
}

static void test_lost_while_waiting(void **state)
{
	float a[64] = {0}, c[64];
	pthread_t thread;

	(void)state;
	fake_hold(0);
	pthread_create(&thread, NULL, lose_later, NULL);
	assert_int_equal(vgpu_vector_add(dev, a, a, c, 64), -ENODEV);
	pthread_join(thread, NULL);
}

static void *release_later(void *arg)
{
	(void)arg;
	fake_await_waiting();
	fake_release(0);
	return NULL;
}

static void test_close_busy(void **state)
{
	size_t n = 8u << 20;
	float *a = vec(n, 1), *c = vec(n, 2);
	struct vgpu_op *op, *behind;
	pthread_t thread;

	(void)state;
	fake_hold(0);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, n, 0, &op), 0);
	assert_int_equal(vgpu_vector_add_async(dev, c, c, c, 10, 0, &behind),
			 0);
	pthread_create(&thread, NULL, release_later, NULL);
	vgpu_close(dev);
	pthread_join(thread, NULL);
	/* The double checks that nothing was in flight any more. */
	assert_int_equal(vgpu_op_wait(op, -1), 0);
	assert_int_equal(vgpu_op_result(op), -ECANCELED);
	assert_int_equal(vgpu_op_result(behind), -ECANCELED);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(vgpu_op_free(behind), 0);
	assert_int_equal(vgpu_open(NULL, &dev), 0);
	free(a);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(test_poll_loop),
		LIB_TEST(test_poll_large),
		LIB_TEST(test_timeouts),
		LIB_TEST(test_order_in_a_stream),
		LIB_TEST(test_pipelined_in_buffers),
		LIB_TEST(test_fence),
		LIB_TEST(test_full_ring),
		LIB_TEST(test_starved_operations),
		LIB_TEST(test_threads),
		LIB_TEST(test_lost),
		LIB_TEST(test_lost_idle),
		LIB_TEST(test_lost_while_waiting),
		LIB_TEST(test_close_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
